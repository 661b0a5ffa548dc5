//! What must hold at every step, beside what the world itself checks: home moves by proof alone, nothing but seeks goes
//! where nobody has spoken from, and no connection ID is seen on two paths.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::rc::Rc;

use peregrine::{ConnectionEvent, ConnectionId, Instant, MigrationEvent, peek};

use sim::{Conn, Datagram, Verdict, World};

/// The largest seek, in bytes.
const SEEK: usize = 60;

/// What all datagrams said so far.
#[derive(Debug, Default)]
struct Sights {
    /// Whoever has sent anything, and where clients connect to.
    spoken: BTreeSet<SocketAddr>,
    /// The last datagram from one address to another where nobody has spoken from.
    seeks: BTreeMap<(SocketAddr, SocketAddr), Instant>,
    /// By connection ID: the path that it was seen on.
    paths: BTreeMap<ConnectionId, (SocketAddr, SocketAddr)>,
    /// Whether that must be one path alone: of IDs that are shown to servers, and of those that they show.
    apart: (bool, bool),
    servers: Vec<SocketAddr>,
}

impl Sights {
    fn see(&mut self, now: Instant, datagram: &Datagram) {
        let Datagram { from, to, payload, .. } = datagram;
        self.spoken.insert(*from);
        if !self.spoken.contains(to) {
            assert!(payload.len() <= SEEK, "{now:?}: {} bytes go to {to}, which is silent", payload.len());
            let last = self.seeks.insert((*from, *to), now);
            assert!(last != Some(now), "{now:?}: two seeks go from {from} to {to} in one round");
        }
        let (up, down) = self.apart;
        let judged = if self.servers.contains(to) { up } else { down };
        if let Some(id) = peek(payload, 8).filter(|_| judged) {
            let path = *self.paths.entry(id).or_insert((*from, *to));
            assert_eq!(path, (*from, *to), "{now:?}: {id:?} is on two paths");
        }
    }
}

/// Where a client's server is, by what the client has said.
#[derive(Debug)]
struct Home {
    address: SocketAddr,
    /// Events of its host that were looked at.
    read: usize,
}

/// Looks at everything.
#[derive(Debug)]
pub struct Watcher {
    sights: Rc<RefCell<Sights>>,
    homes: RefCell<BTreeMap<Conn, Home>>,
}

impl Watcher {
    /// Sees all datagrams from now on; `apart` says whether each connection ID must be on one path alone: one that is
    /// shown to a server, and one that a server shows.
    pub fn new(world: &mut World, servers: [SocketAddr; 3], apart: (bool, bool)) -> Self {
        let sights = Sights { apart, servers: servers.to_vec(), ..Sights::default() };
        let sights = Rc::new(RefCell::new(sights));
        let seen = Rc::clone(&sights);
        world.tap(move |now, datagram| {
            seen.borrow_mut().see(now, datagram);
            Verdict::Pass
        });
        Self { sights, homes: RefCell::default() }
    }

    /// A client connects to its server.
    pub fn on_connect(&self, world: &World, conn: Conn, to: SocketAddr) {
        let read = world.at(conn.host).events().len();
        self.homes.borrow_mut().insert(conn, Home { address: to, read });
    }

    /// Whoever sends there has a reason that is none of ours.
    pub fn permit(&self, to: SocketAddr) {
        self.sights.borrow_mut().spoken.insert(to);
    }

    /// Looks at all clients: where their server is changes with a word, and what they say makes sense.
    pub fn look(&self, world: &World) {
        for (conn, home) in self.homes.borrow_mut().iter_mut() {
            let events = &world.at(conn.host).events()[home.read..];
            home.read += events.len();
            for (_, event) in events {
                let peregrine::Event::Connection(handle, event) = event else { continue };
                if *handle != conn.handle {
                    continue;
                }
                match event {
                    ConnectionEvent::Migration(MigrationEvent::Completed { address, .. }) => {
                        home.address = address.expect("a client knows where its server is");
                    }
                    ConnectionEvent::Migration(MigrationEvent::Returned { address }) => {
                        home.address = *address;
                    }
                    _ => {}
                }
            }
            if let Some(connection) = world.connection(*conn) {
                let at = world.now();
                assert_eq!(
                    connection.remote(),
                    home.address,
                    "{at:?}: {conn:?} has another home than it said"
                );
            }
        }
    }
}
