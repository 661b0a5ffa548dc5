//! A peer that follows a script, and our endpoint before it: what is sent where, in which frames.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use peregrine::{
    Dir, Instant, MigrationConfig, MigrationEvent, MoveOrder, RelocationPlan, Strategy, TransportConfig,
};

use crate::forger::params::{EXPLICIT, SERVER_MIGRATION_SUITE, SYMMETRIC};
use crate::forger::wire::{self, Heard, words};
use crate::forger::{Draft, FORGER, OURS, Params, Setup, Space, Stage, Victim};
use sim::{Datagram, Link, Verdict, addr, ms};

/// Where the server is at first.
pub const HOME: &str = FORGER;
/// Where it may go.
pub const AWAY: &str = "45.0.0.67:4433";
/// Another place where it may go.
pub const BEYOND: &str = "45.0.0.68:4433";

/// The transport parameter that says how to reset what has no state.
const STATELESS_RESET_TOKEN: u64 = 0x02;
/// How many connection IDs the server keeps.
const ACTIVE_CONNECTION_ID_LIMIT: u64 = 0x0e;
/// The token that ends the connection at home.
pub const TOKEN: [u8; 16] = [0x77; 16];

type Log = Rc<RefCell<Vec<(Instant, Datagram)>>>;

/// A datagram that our endpoint sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub at: Instant,
    pub from: SocketAddr,
    pub to: SocketAddr,
    /// Bytes of UDP payload.
    pub len: usize,
    /// The forger's connection ID that it names.
    pub dcid: Vec<u8>,
    pub frames: Vec<Heard>,
}

impl Said {
    pub fn kinds(&self) -> Vec<u64> {
        self.frames.iter().map(|frame| frame.kind).collect()
    }

    pub fn has_stream(&self) -> bool {
        self.frames.iter().any(|frame| (0x08..0x10).contains(&frame.kind))
    }

    /// The data of its PATH_CHALLENGE, if it has one.
    pub fn challenge(&self) -> Option<Vec<u8>> {
        self.frames.iter().find(|frame| frame.kind == wire::PATH_CHALLENGE).map(|frame| frame.data.clone())
    }
}

/// The two of them.
pub struct Script {
    pub stage: Stage,
    log: Log,
    /// Where our endpoint is.
    ours: SocketAddr,
}

/// A frame that is its type alone.
pub fn bare(kind: u64) -> Vec<u8> {
    words(&[kind])
}

/// PATH_RESPONSE with this data.
pub fn response(data: &[u8]) -> Vec<u8> {
    [&bare(wire::PATH_RESPONSE)[..], data].concat()
}

impl Script {
    /// Our client with this offer before a server that agrees to these strategies, and keeps so many connection IDs.
    pub fn keeping(ids: u64, offer: MigrationConfig, suite: u64) -> Self {
        Self::watch(Self::before(ids, offer, suite).connect())
    }

    /// Our client, which was told that its server goes away.
    pub fn announced() -> Self {
        let mut script = Self::new(MigrationConfig::new(Strategy::Explicit.into()), EXPLICIT, 3);
        script.say(HOME, &wire::naming(wire::SERVER_MIGRATION, Some(AWAY)));
        script.hear(60);
        script
    }

    /// Our client, which is told nothing before its server goes away.
    pub fn symmetric() -> Self {
        Self::new(MigrationConfig::new(Strategy::Symmetric.into()), SYMMETRIC, 3)
    }

    /// The same with eight, when the handshake is complete and not confirmed.
    pub fn unconfirmed(offer: MigrationConfig, suite: u64) -> Self {
        let mut stage = Self::before(8, offer, suite);
        // An acknowledgement in 1-RTT would confirm it, too.
        stage.shake_in(Space::Initial);
        stage.shake_in(Space::Handshake);
        assert!(stage.is_connected());
        Self::watch(stage)
    }

    fn before(ids: u64, offer: MigrationConfig, suite: u64) -> Stage {
        let say = move |params: Params| {
            let params =
                params.integer(SERVER_MIGRATION_SUITE, suite).integer(ACTIVE_CONNECTION_ID_LIMIT, ids);
            params.bytes(STATELESS_RESET_TOKEN, &TOKEN)
        };
        let setup = Setup::params(say);
        Stage::that_migrates(Victim::Client, TransportConfig::default(), Some(offer), &setup)
    }

    fn watch(mut stage: Stage) -> Self {
        stage.world.links(Link::delay(ms(1)));
        let log = Log::default();
        let tape = Rc::clone(&log);
        // A server of ours moves to where the forger's would.
        let ours: &[&str] = if stage.victim == Victim::Client { &[OURS] } else { &[OURS, AWAY] };
        let ours: Vec<_> = ours.iter().map(|place| addr(place)).collect();
        stage.world.tap(move |now, datagram| {
            if ours.contains(&datagram.from) {
                tape.borrow_mut().push((now, datagram.clone()));
            }
            Verdict::Pass
        });
        Self { stage, log, ours: addr(OURS) }
    }

    /// A client before our server that permits this; it agrees to these strategies, keeps so many connection IDs, and has
    /// issued three beside the one in use.
    pub fn before_server(permits: MigrationConfig, suite: u64, ids: u64) -> Self {
        let say = move |params: Params| {
            params.integer(SERVER_MIGRATION_SUITE, suite).integer(ACTIVE_CONNECTION_ID_LIMIT, ids)
        };
        let (setup, transport) = (Setup::params(say), TransportConfig::default());
        let stage = Stage::that_migrates(Victim::Server, transport, Some(permits), &setup).connect();
        let mut script = Self::watch(stage);
        for sequence in 1..=3 {
            script.say(HOME, &wire::new_connection_id(sequence, 0, 8));
        }
        script.hear(60);
        script.acknowledge(HOME);
        script.hear(60);
        script
    }

    /// Our server is given this order, if any, and moves when it is ready.
    pub fn relocate(&mut self, order: Option<MoveOrder>) {
        let host = self.stage.host;
        if let Some(order) = order {
            self.stage.world.prepare(host, RelocationPlan::uniform(order));
            self.hear(5);
            self.acknowledge(HOME);
            self.hear(5);
        }
        self.stage.world.move_to(host, AWAY);
        self.ours = addr(AWAY);
        self.stage.world.relocated(host);
    }

    /// The same with eight, and so many issued by the server beside the one in use.
    pub fn new(offer: MigrationConfig, suite: u64, issued: u64) -> Self {
        let mut script = Self::keeping(8, offer, suite);
        for sequence in 1..=issued {
            script.say(HOME, &wire::new_connection_id(sequence, 0, 8));
        }
        script.hear(60);
        script
    }

    /// The forger says these frames from there, and acknowledges nothing.
    pub fn say(&mut self, from: &str, frames: &[u8]) {
        let datagram = self.stage.forger.seal(Space::OneRtt, Draft::new(frames));
        self.stage.world.inject(Datagram::new(addr(from), self.ours, datagram));
    }

    /// The same in a datagram of 1200 bytes.
    pub fn say_at_length(&mut self, from: &str, frames: &[u8]) {
        let mut frames = frames.to_vec();
        let overhead = 1 + self.stage.forger.dcid.len() + 4 + 16;
        frames.resize(1200 - overhead, 0);
        self.say(from, &frames);
    }

    /// The forger acknowledges all that it has heard, from there.
    pub fn acknowledge(&mut self, from: &str) {
        let ack = self.stage.forger.ack_of_all(Space::OneRtt);
        self.say(from, &ack);
    }

    /// All that our endpoint sends is lost but one packet, and then nobody is heard: the path is as bad as can be.
    pub fn spoil(&mut self) {
        self.write(10_000);
        self.hear(5);
        let last = *self.stage.forger.numbers.last().expect("it was heard");
        self.say(HOME, &wire::ack(&[(last, last)]));
        self.hear(1000);
        let path = self.stage.connection().expect("it is open").path();
        assert!(
            path.window < 12_000 && path.slow_start_threshold.is_some() && path.pto_count > 0,
            "{path:?}"
        );
    }

    /// What our endpoint sends within so many milliseconds.
    pub fn hear(&mut self, millis: u64) -> Vec<Said> {
        self.stage.world.run_for(Duration::from_millis(millis));
        let sent = std::mem::take(&mut *self.log.borrow_mut());
        let said = sent.into_iter().map(|(at, Datagram { from, to, payload, .. })| {
            let before = self.stage.forger.heard.len();
            self.stage.forger.take(&payload);
            let frames = self.stage.forger.heard[before..].iter().map(|(_, frame)| frame.clone()).collect();
            Said { at, from, to, len: payload.len(), dcid: payload[1..9].to_vec(), frames }
        });
        said.collect()
    }

    /// What it sends there, of that.
    pub fn hear_at(&mut self, place: &str, millis: u64) -> Vec<Said> {
        self.hear(millis).into_iter().filter(|said| said.to == addr(place)).collect()
    }

    /// Our endpoint's application has so many bytes to send on a stream of its own.
    pub fn write(&mut self, bytes: usize) {
        self.stage.speak(|_, ours| {
            let id = ours.open(Dir::Uni).expect("the forger permits it");
            assert_eq!(ours.send(id).expect("it is open").write(&vec![7; bytes]), Ok(bytes));
        });
    }

    /// What our endpoint said of migrations.
    pub fn told(&self) -> Vec<MigrationEvent> {
        let said = self.stage.world.at(self.stage.host).said(self.stage.conn().handle);
        let of_migration = said.filter_map(|(_, event)| match event {
            peregrine::ConnectionEvent::Migration(event) => Some(*event),
            _ => None,
        });
        of_migration.collect()
    }

    /// Where our client takes its server to be.
    pub fn home(&self) -> SocketAddr {
        self.stage.connection().expect("it is open").remote()
    }
}
