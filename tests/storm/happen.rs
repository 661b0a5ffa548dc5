//! Doing to the world what a scenario says.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

use peregrine::{Connection, ConnectionEvent, Instant, MigrationEvent, SocketKey};

use sim::{Client, Conn, Datagram, Verdict, addr, ms, secs};
use stage::moves::Play;

use super::phase::Phase;
use super::places::PUBLIC;
use super::run::Run;
use super::scenario::{Busy, Move, Part};
use super::trouble::{Trouble, Way};

/// What a tap does to the datagrams that go its way.
struct Toll {
    way: Way,
    servers: [SocketAddr; 3],
    calm: Rc<Cell<bool>>,
}

impl Toll {
    fn concerns(&self, datagram: &Datagram) -> bool {
        let up = self.servers.contains(&datagram.to);
        let down = self.servers.contains(&datagram.from);
        !self.calm.get()
            && match self.way {
                Way::Both => up || down,
                Way::Up => up,
                Way::Down => down,
            }
    }
}

impl Run {
    /// A move comes to this phase: what is to happen happens.
    pub fn enter(&mut self, step: &Move, phase: Phase) {
        let now: Vec<Trouble> =
            step.troubles.iter().filter(|(at, _)| *at == phase).map(|(_, trouble)| trouble.clone()).collect();
        now.iter().for_each(|trouble| self.happen(trouble));
    }

    fn happen(&mut self, trouble: &Trouble) {
        match *trouble {
            Trouble::Blackhole(way, time) => {
                let (toll, until) = (self.toll(way), self.world.now() + time);
                self.world.tap(move |now, datagram| {
                    if now < until && toll.concerns(datagram) { Verdict::Drop } else { Verdict::Pass }
                });
            }
            Trouble::Lost(way, count) => self.tap_next(way, count, Verdict::Drop),
            Trouble::Late(way, count, by) => self.tap_next(way, count, Verdict::Delay(by)),
            Trouble::Rebinding { elsewhere } => self.rebind_translator(elsewhere),
            Trouble::Roaming { client } => self.roam(client, false),
            Trouble::Probing { client } => self.roam(client, true),
            Trouble::KeyUpdate { client, server } => self.update_keys(client, server),
            Trouble::SeekNow { client } => {
                // Nothing may be agreed on, or the handshake not be confirmed.
                let _ = self.tell(client, |now, connection| connection.migration().seek_now(now));
            }
            Trouble::Asking { client, up, down } => {
                let conn = self.actors[client].conn;
                if self.is_open(conn) && self.world.is_connected(conn) {
                    let request = sim::Request { dir: peregrine::Dir::Bi, up, down };
                    self.world.ask(conn, request);
                }
            }
            Trouble::Newcomer => self.come(),
            Trouble::Copies { way, every, after, held } => {
                let (toll, until) = (self.toll(way), self.world.now() + secs(2));
                let (stranger, mut count) = (addr(self.places.stranger()), 0u64);
                let copied = Rc::new(Cell::new(false));
                let mark = Rc::clone(&copied);
                self.world.tap(move |now, datagram| {
                    let concerns = now < until && toll.concerns(datagram);
                    count += u64::from(concerns);
                    mark.set(concerns && count.is_multiple_of(every));
                    let copy = Verdict::Copy { from: stranger, to: datagram.to, after };
                    if mark.get() { copy } else { Verdict::Pass }
                });
                self.world.tap(move |_, _| {
                    if copied.take() && !held.is_zero() { Verdict::Delay(held) } else { Verdict::Pass }
                });
            }
        }
    }

    fn toll(&self, way: Way) -> Toll {
        Toll { way, servers: self.places.servers(), calm: Rc::clone(&self.calm) }
    }

    fn tap_next(&mut self, way: Way, count: u64, verdict: Verdict) {
        let (toll, mut left) = (self.toll(way), count);
        self.world.tap(move |_, datagram| {
            if left == 0 || !toll.concerns(datagram) {
                return Verdict::Pass;
            }
            left -= 1;
            verdict.clone()
        });
    }

    fn rebind_translator(&mut self, elsewhere: bool) {
        if self.places.translated {
            let host = self.actors[0].conn.host;
            self.world.rebind_nat(host, elsewhere.then_some(PUBLIC[1]));
        }
    }

    /// Does this to a client's connection, if it lives.
    fn tell<T>(&mut self, client: usize, say: impl FnOnce(Instant, &mut Connection) -> T) -> Option<T> {
        let conn = self.actors[client].conn;
        self.is_open(conn).then(|| self.world.with(conn, say))
    }

    fn roam(&mut self, client: usize, only_tries: bool) {
        let actor = &mut self.actors[client];
        actor.moved += 1;
        let (host, address) = (actor.conn.host, self.places.client(client, actor.moved));
        let socket: SocketKey = self.world.add_socket(host, &address);
        let local = self.world.at(host).local(socket);
        // It may have no connection ID to show there, or have to wait.
        let _ = self.tell(client, |now, connection| {
            if only_tries { connection.probe(now, local) } else { connection.rebind(now, local) }
        });
    }

    fn update_keys(&mut self, client: usize, server: bool) {
        let near = self.actors[client].conn;
        let end = if server { self.world.server_side(near) } else { Some(near) };
        if let Some(end) = end.filter(|end| self.is_open(*end)) {
            // It may have to wait.
            let _ = self.world.with(end, |now, connection| connection.update_keys(now));
        }
    }

    fn come(&mut self) {
        self.newcomers += 1;
        let address = self.places.client(90 + self.newcomers, 0);
        let host = self.world.client(&address);
        let part = Part {
            play: Play::Symmetric,
            all: false,
            busy: Busy::Talking(2),
            early: false,
            kept_alive: false,
        };
        let to = self.places.server(self.place);
        self.watcher.permit(addr(to));
        self.world.connect_with(host, to, self.client_config(&part), Client::echoes(2, ms(100)));
    }

    /// Whether the server told its clients of this place.
    pub fn pool_names(&self, place: usize) -> bool {
        let told = [1, 2, 0].into_iter().take(self.scenario.pool);
        self.scenario.pool_is_true && told.into_iter().any(|named| named == place)
    }

    /// Whether a client has all of the pool, as far as its server knows.
    pub fn knows_pool(&self, client: usize) -> bool {
        let told = |conn: Conn| {
            let said = self.world.at(conn.host).said(conn.handle).filter(|(_, event)| {
                matches!(event, ConnectionEvent::Migration(MigrationEvent::PoolAddress { .. }))
            });
            said.count()
        };
        let far = self.world.server_side(self.actors[client].conn);
        far.is_some_and(|far| told(far) == self.scenario.pool)
    }
}
