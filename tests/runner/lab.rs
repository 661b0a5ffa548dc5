//! One run: a client and a server on the runner's link, and the record of what went between them.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use peregrine::{ClientConfig, EndpointConfig, Instant, ServerConfig, TransportConfig};

use crate::sniffer::{Packet, Tape};
use crate::tls::Tls;
use sim::{self, App, Conn, HostId, Kind, Link, Queue, Server, Shape, Verdict, World, addr, ms};

/// Where the server is.
pub const SERVER: &str = "193.167.100.100:443";
/// Where the client is.
pub const CLIENT: &str = "193.167.0.100:5000";
/// The longest that a run may take, in simulated time: the runner's own limit.
pub const LIMIT: Duration = Duration::from_secs(60);

/// 1024 bytes.
pub const KB: u64 = 1 << 10;
/// 1024 of those.
pub const MB: u64 = 1 << 20;

/// The runner's link: 15 ms one way, 10 Mbit/s, a queue of 25 packets.
pub fn link() -> Link {
    Link::delay(ms(15)).bandwidth(10_000_000).queue(Queue::Packets(25))
}

/// What the interop endpoint sets too: handshakes have more time than usual, for links that lose a third.
fn transport() -> Arc<TransportConfig> {
    let builder = TransportConfig::builder().handshake_timeout(Duration::from_secs(30));
    Arc::new(builder.build().expect("settings that can be"))
}

/// How much of a run is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Every datagram.
    All,
    /// Datagrams with a long header.
    Handshakes,
}

/// A run.
pub struct Lab {
    /// Where it takes place.
    pub world: World,
    /// The server's host.
    pub server: HostId,
    /// The client's host.
    pub client: HostId,
    tls: Tls,
    tape: Rc<RefCell<Tape>>,
    server_at: SocketAddr,
}

impl Lab {
    /// A server with the usual settings on this link.
    pub fn new(link: Link, tls: Tls, keep: Keep) -> Self {
        Self::serving(link, tls, keep, |config| config, |config| config)
    }

    /// A server whose settings, and whose endpoint's, are changed like this.
    pub fn serving(
        link: Link,
        tls: Tls,
        keep: Keep,
        change: impl FnOnce(ServerConfig) -> ServerConfig,
        change_endpoint: impl FnOnce(EndpointConfig) -> EndpointConfig,
    ) -> Self {
        Self::at(SERVER, CLIENT, link, tls, keep, change, change_endpoint)
    }

    /// The same at other addresses.
    pub fn at(
        server_at: &str,
        client_at: &str,
        link: Link,
        tls: Tls,
        keep: Keep,
        change: impl FnOnce(ServerConfig) -> ServerConfig,
        change_endpoint: impl FnOnce(EndpointConfig) -> EndpointConfig,
    ) -> Self {
        let mut world = World::new();
        world.links(link);
        let tape: Rc<RefCell<Tape>> = Rc::default();
        let seen = Rc::clone(&tape);
        world.tap(move |now, datagram| {
            let is_long = datagram.payload.first().is_some_and(|first| first & 0x80 != 0);
            if keep == Keep::All || is_long {
                seen.borrow_mut().0.push((now, datagram.clone()));
            }
            Verdict::Pass
        });
        let config = change(ServerConfig::new(Arc::clone(&tls.server)).transport(transport()));
        let endpoint = change_endpoint(EndpointConfig::server(Arc::new(config)));
        let server = world.host(server_at, endpoint, Some(|| Box::new(Server::default())));
        let client = world.client(client_at);
        Self { world, server, client, tls, tape, server_at: addr(server_at) }
    }

    /// What a client connects with.
    pub fn config(&self) -> ClientConfig {
        ClientConfig::new(Arc::clone(&self.tls.client)).transport(transport())
    }

    /// Connects with the usual settings.
    pub fn connect(&mut self, app: impl App) -> Conn {
        let config = self.config();
        self.connect_with(config, app)
    }

    /// Connects with these settings.
    pub fn connect_with(&mut self, config: ClientConfig, app: impl App) -> Conn {
        let to = self.server_at.to_string();
        self.world.connect_with(self.client, &to, Arc::new(config), app)
    }

    /// Connects, and runs until the application has all its files; each byte of them is checked.
    pub fn fetch(&mut self, app: impl App) -> Conn {
        let conn = self.connect(app);
        self.world.run_well(LIMIT);
        conn
    }

    /// All packets so far.
    pub fn packets(&self) -> Vec<Packet> {
        let server = self.server_at;
        self.tape.borrow().packets(|from| from.ip() == server.ip(), Some(&self.tls.secrets))
    }

    /// How many handshakes there were, as the runner counts them: by the IDs that the server gave itself.
    pub fn handshakes(&self) -> usize {
        let server = self.server_at;
        let packets = self.tape.borrow().packets(|from| from.ip() == server.ip(), None);
        let such = packets.iter().filter(|p| p.from_server && p.kind == Kind::Initial);
        such.map(|packet| &packet.scid).collect::<BTreeSet<_>>().len()
    }

    /// Whether anything of this type was sent.
    pub fn saw(&self, kind: Kind) -> bool {
        self.tape.borrow().0.iter().any(|(_, datagram)| Shape::of(&datagram.payload).has(kind))
    }

    /// Megabits a second from the first 1-RTT packet of the server's to the last, as the runner reckons goodput.
    pub fn goodput(&self, bytes: u64) -> f64 {
        let tape = self.tape.borrow();
        let is_such = |(_, datagram): &&(Instant, sim::Datagram)| {
            datagram.from == self.server_at && Shape::of(&datagram.payload).has(Kind::OneRtt)
        };
        let mut times = tape.0.iter().filter(is_such).map(|(at, _)| *at);
        let first = times.next().expect("the server sent something");
        let last = times.next_back().expect("the server sent more");
        bytes as f64 * 8.0 / last.since(first).as_secs_f64() / 1e6
    }
}

/// Says for the compatibility matrix that a case is played, and perhaps how well.
pub fn report(case: &str, figure: Option<String>) {
    let figure = figure.map(|figure| format!(" {figure}")).unwrap_or_default();
    println!("matrix: simulator both {case} ok{figure}");
}
