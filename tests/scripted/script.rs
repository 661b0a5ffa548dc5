//! A server that follows a script, and our client before it: what is sent where, in which frames.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use peregrine::{Dir, MigrationConfig, MigrationEvent, TransportConfig};

use crate::forger::wire::{self, Heard, words};
use crate::forger::{Draft, FORGER, Params, Setup, Space, Stage, Victim};
use sim::{Link, Verdict, addr, ms};

/// Where the server is at first.
pub const HOME: &str = FORGER;
/// Where it may go.
pub const AWAY: &str = "45.0.0.67:4433";
/// Another place where it may go.
pub const BEYOND: &str = "45.0.0.68:4433";

/// The transport parameters that say which strategies there are, and how to reset what has no state.
const SUITE: u64 = 0x64;
const STATELESS_RESET_TOKEN: u64 = 0x02;
/// How many connection IDs the server keeps.
const ACTIVE_CONNECTION_ID_LIMIT: u64 = 0x0e;
/// The token that ends the connection at home.
pub const TOKEN: [u8; 16] = [0x77; 16];

pub const SERVER_MIGRATION: u64 = 0x32;
pub const SERVER_MIGRATED: u64 = 0x33;
pub const POOL_MIGRATION_ADDRESS: u64 = 0x34;

type Log = Rc<RefCell<Vec<(SocketAddr, Vec<u8>)>>>;

/// A datagram that our client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub to: SocketAddr,
    /// Bytes of UDP payload.
    pub len: usize,
    /// The server's connection ID that it names.
    pub dcid: Vec<u8>,
    pub frames: Vec<Heard>,
}

impl Said {
    pub fn kinds(&self) -> Vec<u64> {
        self.frames.iter().map(|frame| frame.kind).collect()
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
}

/// SERVER_MIGRATION or POOL_MIGRATION_ADDRESS that names this IPv4 endpoint, or none.
pub fn naming(kind: u64, endpoint: Option<&str>) -> Vec<u8> {
    let mut frame = words(&[kind]);
    frame.resize(25, 0);
    if let Some(SocketAddr::V4(v4)) = endpoint.map(addr) {
        frame[1..5].copy_from_slice(&v4.ip().octets());
        frame[5..7].copy_from_slice(&v4.port().to_be_bytes());
    }
    frame
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
            let params = params.integer(SUITE, suite).integer(ACTIVE_CONNECTION_ID_LIMIT, ids);
            params.bytes(STATELESS_RESET_TOKEN, &TOKEN)
        };
        let setup = Setup::params(say);
        Stage::that_migrates(Victim::Client, TransportConfig::default(), Some(offer), &setup)
    }

    fn watch(mut stage: Stage) -> Self {
        stage.world.links(Link::delay(ms(1)));
        let log = Log::default();
        let tape = Rc::clone(&log);
        stage.world.tap(move |_, datagram| {
            if datagram.from == addr(crate::forger::OURS) {
                tape.borrow_mut().push((datagram.to, datagram.payload.clone()));
            }
            Verdict::Pass
        });
        Self { stage, log }
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

    /// The server says these frames from there, and acknowledges nothing.
    pub fn say(&mut self, from: &str, frames: &[u8]) {
        let datagram = self.stage.forger.seal(Space::OneRtt, Draft::new(frames));
        self.stage.send_from(from, datagram);
    }

    /// The same in a datagram of 1200 bytes.
    pub fn say_at_length(&mut self, from: &str, frames: &[u8]) {
        let mut frames = frames.to_vec();
        let overhead = 1 + self.stage.forger.dcid.len() + 4 + 16;
        frames.resize(1200 - overhead, 0);
        self.say(from, &frames);
    }

    /// The server acknowledges all that it has heard, from there.
    pub fn acknowledge(&mut self, from: &str) {
        let ack = self.stage.forger.ack_of_all(Space::OneRtt);
        self.say(from, &ack);
    }

    /// What our client sends within so many milliseconds.
    pub fn hear(&mut self, millis: u64) -> Vec<Said> {
        self.stage.world.run_for(Duration::from_millis(millis));
        let sent = std::mem::take(&mut *self.log.borrow_mut());
        let said = sent.into_iter().map(|(to, datagram)| {
            let before = self.stage.forger.heard.len();
            self.stage.forger.take(&datagram);
            let frames = self.stage.forger.heard[before..].iter().map(|(_, frame)| frame.clone()).collect();
            Said { to, len: datagram.len(), dcid: datagram[1..9].to_vec(), frames }
        });
        said.collect()
    }

    /// What it sends there, of that.
    pub fn hear_at(&mut self, place: &str, millis: u64) -> Vec<Said> {
        self.hear(millis).into_iter().filter(|said| said.to == addr(place)).collect()
    }

    /// Our client's application has so many bytes to send on a stream of its own.
    pub fn write(&mut self, bytes: usize) {
        self.stage.speak(|_, client| {
            let id = client.open(Dir::Uni).expect("the server permits it");
            assert_eq!(client.send(id).expect("it is open").write(&vec![7; bytes]), Ok(bytes));
        });
    }

    /// What our client said of migrations since it was asked last.
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
