//! A client of mvfst's before our server: the [`Model`] with real keys, its timers, and what else it does on the wire.
//!
//! It numbers its connection IDs from 0 again, acknowledges after 20 ms or at once where a number is missing, skips a
//! number at each probe timeout, says PING there in place of a packet that began with an ACK, resends what is lost, and
//! sends everything to the one address that it takes for its server's.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use peregrine::{EndpointConfig, Instant, MigrationConfig, ServerConfig};
use serde_json::Value;

use super::forger::wire::{self, Heard, Reader};
use super::forger::{Draft, FIRST_DCID, Forger, Params, Setup, Space};
use super::model::{self, Close, Deed, Model};
use super::scripts::hex;
use sim::{Datagram, HostId, Link, Server, Verdict, World, addr, ms, tls};

/// Where the client is.
pub const CLIENT: &str = "127.0.0.1:5555";
/// Where our server begins, and where it may move to.
pub const HOME: &str = "127.0.0.1:6000";
pub const AWAY: &str = "127.0.0.2:6001";
pub const BEYOND: &str = "127.0.0.3:6002";

const INITIAL_SOURCE_CONNECTION_ID: u64 = 0x0f;
const SERVER_MIGRATION_SUITE: u64 = 0x64;
const ACTIVE_CONNECTION_ID_LIMIT: u64 = 0x0e;
/// The number of its first packet.
const FIRST_NUMBER: u64 = 7_041_985;
/// It waits so long with an ACK.
const ACK_DELAY: Duration = Duration::from_millis(20);
/// The probe timeout while the round trip is known, and after it was forgotten.
const PROBE_AFTER: Duration = Duration::from_millis(40);
const FRESH_PROBE_AFTER: Duration = Duration::from_millis(100);
/// A packet is lost when a later one was acknowledged so long after it was sent.
const LOST_AFTER: Duration = Duration::from_millis(20);
/// A connection is given up when so many probes in a row brought nothing.
const MAX_PROBES: u32 = 7;
/// A path is not validated after so long.
const VALIDATION: Duration = Duration::from_millis(310);

/// A packet that wants to be acknowledged.
#[derive(Debug, Clone)]
struct Sent {
    number: u64,
    at: Instant,
    /// Its frames, but for an ACK.
    frames: Vec<u8>,
    /// An ACK stood before them: it is not copied at a probe timeout.
    after_ack: bool,
}

/// A packet that the client heard.
#[derive(Debug, Clone)]
pub struct Packet {
    pub from: SocketAddr,
    /// The ID it was sent to.
    pub dcid: Vec<u8>,
    pub number: u64,
    pub frames: Vec<Heard>,
}

/// What our server sent, and from where.
type Tape = Rc<RefCell<VecDeque<(SocketAddr, Vec<u8>)>>>;

/// The client, and the world with our server in it.
pub struct Client {
    pub world: World,
    pub server: HostId,
    pub model: Model,
    /// Everything it heard in 1-RTT packets.
    pub heard: Vec<Packet>,
    /// Everything it sent in 1-RTT packets: where to, how large, and what.
    pub sent: Vec<(SocketAddr, usize, Vec<Heard>)>,
    /// What it told its application.
    pub told: Vec<String>,
    /// Its own close.
    pub close: Option<Close>,
    /// Our server's close.
    pub ended: Option<Heard>,
    /// Whether it gave up without a word.
    pub abandoned: bool,
    pub forger: Forger,
    tape: Tape,
    unacknowledged: Vec<Sent>,
    acks: Acks,
    probes: u32,
    last_asked: Instant,
    is_fresh: bool,
    challenged_at: Option<Instant>,
    challenges: u64,
    /// The server's ID in use, by its number.
    server_id: u64,
    streams: u64,
    answers: BTreeMap<u64, (usize, bool)>,
    /// Datagrams that get lost: those to come in, and those to go out.
    pub deaf_for: usize,
    pub mute_for: usize,
}

/// What it owes in acknowledgements.
#[derive(Debug, Default)]
struct Acks {
    due: Option<Instant>,
    waiting: u32,
    largest: Option<u64>,
}

/// The parameters that the client was seen to send, but for its name and its offer.
fn recorded_params() -> Params {
    let data: Value = serde_json::from_str(include_str!("../data/mvfst.json")).expect("JSON");
    let all = data["transport_parameters"].as_array().expect("a list");
    let seen = all.iter().find(|seen| seen["file"] == "explicit-reactive" && seen["side"] == "client");
    let entries = seen.expect("recorded")["in_order"].as_array().expect("a list").iter();
    entries.map(|entry| hex(entry.as_str().expect("a text"))).fold(Params::default(), |params, entry| {
        let mut reader = Reader(&entry);
        let id = reader.varint();
        params.also(id, reader.prefixed())
    })
}

impl Client {
    /// After the handshake with our server; the client offers this suite, and was served once.
    pub fn offering(offer: Option<u64>, permits: MigrationConfig) -> Self {
        let mut client = Self::before(offer, Some(permits));
        client.shake_hands(offer);
        client
    }

    /// The same, with a server that permits no migration.
    pub fn of_plain_server(offer: Option<u64>) -> Self {
        let mut client = Self::before(offer, None);
        client.shake_hands(offer);
        client
    }

    /// The same, but nothing that the client says after the handshake arrives.
    pub fn offering_and_mute(offer: Option<u64>, permits: MigrationConfig) -> Self {
        let mut client = Self::before(offer, Some(permits));
        client.mute_for = usize::MAX;
        client.shake_hands(offer);
        client
    }

    fn before(offer: Option<u64>, permits: Option<MigrationConfig>) -> Self {
        let mut world = World::new();
        world.links(Link::delay(ms(5)));
        let config = ServerConfig::new(tls::server());
        let config = match permits {
            Some(permits) => config.migration(permits).expect("a permit that can be"),
            None => config,
        };
        let config = EndpointConfig::server(Arc::new(config));
        let server = world.host(HOME, config, Some(|| Box::new(Server::default())));
        let tape = Tape::default();
        let heard = Rc::clone(&tape);
        world.tap(move |_, datagram| {
            if datagram.to == addr(CLIENT) {
                heard.borrow_mut().push_back((datagram.from, datagram.payload.clone()));
            }
            Verdict::Pass
        });
        let scid = Setup::default().scid;
        let setup = Setup::params(move |_| {
            let params = recorded_params().bytes(INITIAL_SOURCE_CONNECTION_ID, &scid);
            let params = params.without(SERVER_MIGRATION_SUITE);
            offer.map_or(params.clone(), |offer| params.integer(SERVER_MIGRATION_SUITE, offer))
        });
        let mut forger = Forger::client(&setup, &FIRST_DCID);
        forger.number_from(FIRST_NUMBER);
        Self {
            world,
            server,
            model: Model::new(addr(HOME), None),
            heard: Vec::new(),
            sent: Vec::new(),
            told: Vec::new(),
            close: None,
            ended: None,
            abandoned: false,
            forger,
            tape,
            unacknowledged: Vec::new(),
            acks: Acks::default(),
            probes: 0,
            last_asked: Instant::ZERO,
            is_fresh: false,
            challenged_at: None,
            challenges: 0,
            server_id: 0,
            streams: 0,
            answers: BTreeMap::new(),
            deaf_for: 0,
            mute_for: 0,
        }
    }

    /// Shakes hands, issues its connection IDs, and asks for something small.
    fn shake_hands(&mut self, offer: Option<u64>) {
        let mut met = false;
        self.forger.turn();
        while self.forger.crypto_read(Space::Handshake) == 0 || !self.forger.can_speak(Space::OneRtt) {
            self.flush();
            self.world.run_for(ms(10));
            for (_, datagram) in self.came() {
                if !std::mem::replace(&mut met, true) {
                    self.forger.meet(&datagram);
                }
                self.forger.take(&datagram);
            }
            self.forger.turn();
        }
        self.flush();
        // In Initial and Handshake packets a migration frame is a violation, and before the handshake is complete as well.
        let such = [wire::SERVER_MIGRATION, wire::SERVER_MIGRATED, wire::POOL_MIGRATION_ADDRESS];
        assert!(!self.forger.heard.iter().any(|(_, frame)| such.contains(&frame.kind)));
        match model::agree(offer, self.suite()) {
            Ok(agreed) => self.model = Model::new(addr(HOME), agreed),
            Err(close) => return self.close = Some(close),
        }
        // It never counts the one it shook hands with, and begins with that one's number.
        let limit = self.parameter(ACTIVE_CONNECTION_ID_LIMIT).expect("our server says it");
        let ids: Vec<u8> = (0..limit - 1)
            .flat_map(|number| {
                wire::new_connection_id_as(number, 0, &wire::id(number + 1, 8), &wire::token(number + 1))
            })
            .collect();
        self.say(&ids, false);
        self.asks();
        self.run_for(ms(100));
    }

    fn flush(&mut self) {
        for space in [Space::Initial, Space::Handshake] {
            for datagram in self.forger.flush(space) {
                self.world.inject(Datagram::new(addr(CLIENT), addr(HOME), datagram));
            }
        }
    }

    /// The suite that our server answered with.
    pub fn suite(&self) -> Option<u64> {
        self.parameter(SERVER_MIGRATION_SUITE)
    }

    /// What our server said of itself under this number.
    fn parameter(&self, wanted: u64) -> Option<u64> {
        let mut reader = Reader(self.forger.peer_params().expect("they came with the handshake"));
        while !reader.0.is_empty() {
            let (id, value) = (reader.varint(), reader.prefixed());
            if id == wanted {
                return Some(Reader(value).varint());
            }
        }
        None
    }

    // ---- speaking -----------------------------------------------------------------------------

    /// Its application asks for 100 bytes.
    pub fn asks(&mut self) -> u64 {
        let id = 4 * self.streams;
        self.streams += 1;
        let head: Vec<u8> = [id, 0, 100].iter().flat_map(|word| word.to_be_bytes()).collect();
        self.say(&wire::stream_end(id, 0, &head), false);
        id
    }

    /// Whether a request was answered.
    pub fn is_answered(&self, id: u64) -> bool {
        self.answers.get(&id) == Some(&(100, true))
    }

    /// Sends these frames where it takes its server to be, behind an ACK if one is due or `ack` asks for it.
    fn say(&mut self, frames: &[u8], ack: bool) {
        let ack = ack || self.acks.waiting > 0;
        let ack = if ack { self.forger.ack_of_all(Space::OneRtt) } else { Vec::new() };
        if !ack.is_empty() {
            self.acks.due = None;
            self.acks.waiting = 0;
        }
        let number = self.forger.next_number(Space::OneRtt);
        let mut payload = [&ack[..], frames].concat();
        // A packet must be long enough for its number to be hidden.
        payload.resize(payload.len().max(3), wire::PADDING as u8);
        if !frames.is_empty() {
            let after_ack = !ack.is_empty();
            let at = self.world.now();
            self.unacknowledged.push(Sent { number, at, frames: frames.to_vec(), after_ack });
            self.last_asked = at;
        }
        let said = Heard::all(&payload);
        let datagram = self.forger.seal_small(Space::OneRtt, Draft::new(&payload));
        self.sent.push((self.model.home, datagram.len(), said));
        if self.mute_for > 0 {
            self.mute_for -= 1;
            return;
        }
        self.world.inject(Datagram::new(addr(CLIENT), self.model.home, datagram));
    }

    fn ends_with(&mut self, close: Close) {
        let words = [wire::CONNECTION_CLOSE, close.code, wire::CONNECTION_CLOSE, close.reason.len() as u64];
        self.say(&[&wire::words(&words)[..], close.reason.as_bytes()].concat(), true);
        self.close = Some(close);
    }

    // ---- time ---------------------------------------------------------------------------------

    /// Whether it is over, one way or another.
    pub fn is_over(&self) -> bool {
        self.close.is_some() || self.ended.is_some() || self.abandoned
    }

    /// Lets time pass.
    pub fn run_for(&mut self, time: Duration) {
        let until = self.world.now() + time;
        while self.world.now() < until {
            self.tick();
        }
    }

    /// Lets time pass until this is so.
    #[track_caller]
    pub fn run_until(&mut self, so: impl Fn(&Self) -> bool, limit: Duration) {
        let until = self.world.now() + limit;
        while !so(self) {
            assert!(self.world.now() < until, "not so after {limit:?}: {self:#?}");
            self.tick();
        }
    }

    /// What came since it was asked last, and from where.
    fn came(&self) -> VecDeque<(SocketAddr, Vec<u8>)> {
        std::mem::take(&mut *self.tape.borrow_mut())
    }

    fn tick(&mut self) {
        self.world.run_for(ms(1));
        for (from, datagram) in self.came() {
            if self.deaf_for > 0 {
                self.deaf_for -= 1;
            } else if !self.is_over() {
                self.hears(from, &datagram);
            }
        }
        if self.is_over() {
            return;
        }
        let now = self.world.now();
        if self.acks.due.is_some_and(|at| at <= now) {
            self.say(&[], true);
        }
        if self.challenged_at.is_some_and(|at| at + VALIDATION <= now) {
            return self.ends_with(self.model.gives_up());
        }
        let after = if self.is_fresh { FRESH_PROBE_AFTER } else { PROBE_AFTER };
        if !self.unacknowledged.is_empty() && self.last_asked + after * (1 << self.probes) <= now {
            self.probe();
        }
    }

    fn probe(&mut self) {
        if self.probes == MAX_PROBES {
            self.abandoned = true;
            return;
        }
        self.probes += 1;
        self.forger.skip_number(Space::OneRtt);
        let home = self.model.home;
        match self.model.on_probe_timeout() {
            Ok(deeds) => self.does(deeds),
            Err(close) => return self.ends_with(close),
        }
        self.is_fresh |= self.model.home != home;
        let copied: Vec<Sent> = self.unacknowledged.iter().take(2).cloned().collect();
        for Sent { frames, after_ack, .. } in copied {
            self.say(if after_ack { &[wire::PING as u8] } else { &frames }, false);
        }
    }

    // ---- listening ----------------------------------------------------------------------------

    fn hears(&mut self, from: SocketAddr, datagram: &[u8]) {
        let (numbers, heard) = (self.forger.numbers.len(), self.forger.heard.len());
        self.forger.take(datagram);
        let Some(&number) = self.forger.numbers.get(numbers) else { return };
        let frames: Vec<Heard> = self.forger.heard[heard..]
            .iter()
            .filter(|(space, _)| *space == Space::OneRtt)
            .map(|(_, f)| f.clone())
            .collect();
        let dcid = datagram[1..9].to_vec();
        self.heard.push(Packet { from, dcid, number, frames: frames.clone() });
        self.owe(number, &frames);
        for frame in &frames {
            self.takes(frame);
        }
        match self.model.on_packet(from, number, &frames) {
            Ok(deeds) => self.does(deeds),
            Err(close) => self.ends_with(close),
        }
        if !self.model.is_validating() {
            self.challenged_at = None;
        }
    }

    fn owe(&mut self, number: u64, frames: &[Heard]) {
        if frames.iter().any(Heard::elicits) {
            let in_order = self.acks.largest.is_none_or(|largest| number == largest + 1);
            self.acks.waiting += 1;
            let now = self.world.now();
            let due = if in_order && self.acks.waiting < 2 { now + ACK_DELAY } else { now };
            self.acks.due = Some(self.acks.due.map_or(due, |known| known.min(due)));
        }
        self.acks.largest = self.acks.largest.max(Some(number));
    }

    fn takes(&mut self, frame: &Heard) {
        match frame.kind {
            wire::ACK => {
                self.unacknowledged.retain(|sent| !frame.acknowledges(sent.number));
                self.probes = 0;
                let (largest, now) = (frame.words[1], self.world.now());
                let is_lost = |sent: &Sent| {
                    sent.number < largest && (sent.number + 3 <= largest || now.since(sent.at) > LOST_AFTER)
                };
                let (lost, left) =
                    std::mem::take(&mut self.unacknowledged).into_iter().partition::<Vec<_>, _>(is_lost);
                self.unacknowledged = left;
                // A PATH_RESPONSE is never sent again.
                for sent in lost.iter().filter(|sent| !is_response(&sent.frames)) {
                    self.say(&sent.frames, false);
                }
            }
            wire::STREAM | wire::STREAM_FIN => {
                let (stream, len) = (frame.words[0], frame.data.len());
                let answer = self.answers.entry(stream).or_default();
                *answer = (answer.0.max(frame.words[1] as usize + len), frame.kind == wire::STREAM_FIN);
                if stream == 1 {
                    self.say(&wire::stream_end(1, 0, &frame.data), true);
                }
            }
            wire::CONNECTION_CLOSE | wire::APPLICATION_CLOSE => self.ended = Some(frame.clone()),
            _ => {}
        }
    }

    fn does(&mut self, deeds: Vec<Deed>) {
        let mut frames = Vec::new();
        for deed in deeds {
            match deed {
                Deed::Tell(what) => self.told.push(what),
                Deed::Challenge => {
                    self.challenges += 1;
                    self.model.challenges_with(self.challenges.to_be_bytes());
                    self.challenged_at = Some(self.world.now());
                    self.is_fresh = true;
                    frames.extend(wire::path(wire::PATH_CHALLENGE, self.challenges));
                }
                Deed::Answer(data) => {
                    frames.extend(wire::words(&[wire::RETIRE_CONNECTION_ID, self.server_id]));
                    let next = self.forger.ids.range(self.server_id + 1..).next();
                    let (number, id) = next.expect("the model has counted them");
                    (self.server_id, self.forger.dcid) = (*number, id.clone());
                    frames.extend(wire::path(wire::PATH_RESPONSE, u64::from_be_bytes(data)));
                }
                Deed::End => {}
            }
        }
        if !frames.is_empty() {
            self.say(&frames, true);
        }
    }
}

fn is_response(frames: &[u8]) -> bool {
    Heard::all(frames).iter().any(|frame| frame.kind == wire::PATH_RESPONSE)
}

impl std::fmt::Debug for Client {
    /// What one wants to read when a run has failed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{:?}\ntold {:?}\nclose {:?}, ended {:?}",
            self.model, self.told, self.close, self.ended
        )?;
        self.heard.iter().rev().take(12).rev().try_for_each(|packet| writeln!(f, "heard {packet:?}"))?;
        self.sent.iter().rev().take(12).rev().try_for_each(|sent| writeln!(f, "sent {sent:?}"))
    }
}
