//! The endpoint: two ways in (datagrams and time), one way out ([`Endpoint::poll`]).
//!
//! Owns its connections, routes datagrams to them, and asks each that is awake what it has to say. What to do with a
//! stranger's datagram is decided in [`incoming`], who becomes a connection in [`admission`], who is next in [`agenda`],
//! who is meant in [`router`]; moving many connections at once is [`relocate`].

mod admission;
mod agenda;
mod incoming;
mod misrouted;
mod refusal;
mod relocate;
mod renew;
mod replays;
mod router;
mod tokens;
mod waiting;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use slab::Slab;

use crate::cid::Owner;
use crate::config::{ClientConfig, EndpointConfig};
use crate::connection::{Connection, Issuer, Note, Polled, Scratch};
use crate::crypto::ResetKey;
use crate::error::ConnectError;
use crate::event::{Event, Output};
use crate::id::{ConnectionHandle, ConnectionId};
use crate::net::{Arrival, Ecn, FourTuple, Transmit};
use crate::packet::{Invariant, Version, dcid_of, reserved, reset, version_negotiation};
use crate::rng::Rng;
use crate::stats::{DropReason, Stats};
use crate::time::Instant;

use agenda::Agenda;
use incoming::First;
use misrouted::Misrouted;
use relocate::Relocating;
use router::Router;
use tokens::Tokens;
use waiting::Waiting;
pub use waiting::{AddressProof, Incoming};

/// Answers without a connection that wait to be sent, at most; further ones are not given.
const MAX_ANSWERS: usize = 32;
/// Stateless resets and version negotiations a second, at most (RFC 9000, Section 10.3.3).
const ANSWERS_A_SECOND: u32 = 200;

/// A connection and the generation of its slot.
#[derive(Debug)]
struct Slot {
    generation: u32,
    /// A server's connection whose client has not proved its address.
    half_open: bool,
    connection: Box<Connection>,
}

impl Slot {
    /// Has the connection act, with buffers on loan.
    #[inline]
    fn act<T>(&mut self, scratch: &mut Option<Box<Scratch>>, act: impl FnOnce(&mut Connection) -> T) -> T {
        self.connection.lend(scratch.take());
        let result = act(&mut self.connection);
        *scratch = self.connection.give_back();
        result
    }
}

/// A short datagram that answers a stranger.
#[derive(Debug)]
struct Answer {
    path: FourTuple,
    bytes: Vec<u8>,
}

/// A QUIC endpoint: a client, a server, or both.
///
/// The whole driver: bytes arrived -> [`handle_datagrams`](Self::handle_datagrams); the clock reached `wake.at` ->
/// [`handle_timeout`](Self::handle_timeout); after either, and after touching a connection, [`poll`](Self::poll) in a
/// loop until it says [`Output::Idle`].
pub struct Endpoint {
    config: EndpointConfig,
    slots: Slab<Slot>,
    /// Buffers that each connection has on loan while it acts.
    scratch: Option<Box<Scratch>>,
    router: Router,
    agenda: Agenda,
    relocating: Relocating,
    answers: VecDeque<Answer>,
    misrouted: Misrouted,
    /// The second in which answers were given, and how many.
    answered: (Instant, u32),
    generation: u32,
    issuer: Arc<Issuer>,
    tokens: Tokens,
    waiting: Waiting,
    /// Connections whose slots say so.
    half_open: usize,
    rng: Box<dyn Rng>,
    stats: Stats,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("connections", &self.slots.len()).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// An endpoint without connections.
    pub fn new(config: EndpointConfig, mut rng: Box<dyn Rng>) -> Self {
        let reset_key = config.reset_key.clone().unwrap_or_else(|| ResetKey::new(rng.bytes()));
        let key = [rng.bytes(), rng.bytes()].map(u64::from_be_bytes);
        let issuer = Arc::new(Issuer::new(Arc::clone(&config.ids), reset_key));
        let tokens = Tokens::new(&config, &mut *rng);
        Self {
            config,
            slots: Slab::new(),
            scratch: None,
            router: Router::new(key),
            agenda: Agenda::default(),
            relocating: Relocating::default(),
            answers: VecDeque::new(),
            misrouted: Misrouted::default(),
            answered: (Instant::ZERO, 0),
            generation: 0,
            issuer,
            tokens,
            waiting: Waiting::default(),
            half_open: 0,
            rng,
            stats: Stats::default(),
        }
    }

    /// Begins a connection to `path.remote`; the server must prove to be `server_name`.
    ///
    /// # Errors
    ///
    /// A name or an address that cannot be connected to, or a TLS configuration that cannot be used. Nothing is sent
    /// or kept then.
    pub fn connect(
        &mut self,
        now: Instant,
        path: FourTuple,
        config: Arc<ClientConfig>,
        server_name: &str,
    ) -> Result<ConnectionHandle, ConnectError> {
        if path.remote.ip().is_unspecified() || path.remote.port() == 0 {
            return Err(ConnectError::Address(path.remote));
        }
        let scid = self.fresh_id();
        let (rng, issuer) = (self.rng.fork(), Arc::clone(&self.issuer));
        let connection = Connection::client(now, path, config, server_name, rng, scid, issuer)?;
        Ok(self.admit(connection, false))
    }

    /// Takes in one datagram, or a train of datagrams of one size; they are decrypted where they lie.
    pub fn handle_datagrams(&mut self, now: Instant, arrival: Arrival, datagrams: &mut [u8]) {
        let segment = arrival.segment.map_or(datagrams.len(), |segment| segment.get().into()).max(1);
        self.stats.datagrams_received += datagrams.len().div_ceil(segment) as u64;
        self.stats.bytes_received += datagrams.len() as u64;
        let mut woken = None;
        for datagram in datagrams.chunks_mut(segment) {
            let Some(handle) = self.owner_of(datagram) else {
                self.handle_stranger(now, arrival.path, arrival.ecn, datagram);
                continue;
            };
            let Some(slot) = slot_of(&mut self.slots, handle) else { continue };
            slot.act(&mut self.scratch, |c| c.handle_datagram(now, &arrival.path, arrival.ecn, datagram));
            // A train is of one connection almost always: it is woken once.
            if woken.replace(handle) != Some(handle) {
                self.agenda.wake(handle);
            }
        }
    }

    /// Whose datagram it is: by its connection ID, or by the token of a stateless reset.
    #[inline]
    fn owner_of(&mut self, datagram: &[u8]) -> Option<ConnectionHandle> {
        let known = dcid_of(datagram, self.config.cid_len).and_then(|dcid| self.router.find(dcid));
        known.or_else(|| reset::token_of(datagram).and_then(|token| self.router.find_token(&token)))
    }

    /// A datagram that belongs to no connection.
    fn handle_stranger(&mut self, now: Instant, path: FourTuple, ecn: Ecn, datagram: &mut [u8]) {
        match incoming::judge(datagram, self.config.cid_len, self.versions()) {
            First::Connect { version, dcid, scid } => {
                self.on_first(now, path, ecn, (version, dcid, scid), datagram)
            }
            First::OtherVersion => {
                self.stats.drop(DropReason::Version);
                self.answer_version(now, path, datagram);
            }
            First::Stray { dcid } | First::Late { dcid } if self.issuer.owner(&dcid) == Owner::Another => {
                self.stats.drop(DropReason::Misrouted);
                self.misrouted.note(dcid);
            }
            First::Late { .. } => self.stats.drop(DropReason::UnknownConnection),
            First::Stray { dcid } => {
                self.stats.drop(DropReason::UnknownConnection);
                self.answer_stray(now, path, dcid, datagram.len());
            }
            First::Nothing(reason) => self.stats.drop(reason),
        }
    }

    fn admit(&mut self, connection: Connection, half_open: bool) -> ConnectionHandle {
        self.generation = self.generation.wrapping_add(1);
        self.half_open += usize::from(half_open);
        let connection = Box::new(connection);
        let slot = self.slots.insert(Slot { generation: self.generation, half_open, connection });
        let slot = u32::try_from(slot).expect("connections are fewer than 2^32");
        let handle = ConnectionHandle { slot, generation: self.generation };
        self.spend_notes(handle);
        self.agenda.wake(handle);
        handle
    }

    fn fresh_id(&mut self) -> ConnectionId {
        self.issuer.generate(&mut *self.rng)
    }

    /// Whether another answer to a stranger may be given in this second.
    fn may_answer(&mut self, now: Instant) -> bool {
        let (since, given) = &mut self.answered;
        if now.since(*since) >= Duration::from_secs(1) {
            (*since, *given) = (now, 0);
        }
        *given += 1;
        *given <= ANSWERS_A_SECOND && self.answers.len() < MAX_ANSWERS
    }

    /// The versions in which a client may begin.
    fn versions(&self) -> &[Version] {
        self.config.server.as_ref().map_or(&[], |server| &server.versions.accepted)
    }

    fn answer_version(&mut self, now: Instant, path: FourTuple, datagram: &[u8]) {
        if self.config.server.is_none() || !self.may_answer(now) {
            return;
        }
        let [random] = self.rng.bytes();
        let Ok(Invariant::Long { version, dcid, scid, .. }) = Invariant::read(datagram, self.config.cid_len)
        else {
            return;
        };
        // One that nobody speaks, for the sake of versions to come, but never the one that is answered: a client takes
        // no advice that names what it has tried.
        let reserved = Some(reserved(self.rng.bytes())).filter(|reserved| *reserved != version);
        let versions: Vec<u32> = self.versions().iter().map(|spoken| spoken.wire()).chain(reserved).collect();
        let mut bytes = vec![0; datagram.len()];
        if let Some(len) = version_negotiation(&mut bytes, scid, dcid, random, &versions) {
            bytes.truncate(len);
            self.answers.push_back(Answer { path, bytes });
        }
    }

    /// A stateless reset, but not while a move is under way: the connection may live on another host.
    fn answer_stray(&mut self, now: Instant, path: FourTuple, dcid: ConnectionId, trigger: usize) {
        if !self.relocating.permits_resets() || !self.issuer.may_reset(&dcid) || !self.may_answer(now) {
            return;
        }
        let token = self.issuer.token(&dcid);
        let mut bytes = vec![0; trigger];
        let rng = &mut self.rng;
        if let Some(len) = reset::write(&mut bytes, trigger, token, &mut |out| rng.fill(out)) {
            bytes.truncate(len);
            self.answers.push_back(Answer { path, bytes });
        }
    }

    /// Tells the endpoint that time has passed; calling it early does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(handle) = self.agenda.pop_due(now) {
            if let Some(slot) = slot_of(&mut self.slots, handle) {
                slot.act(&mut self.scratch, |connection| connection.handle_timeout(now));
                self.agenda.wake(handle);
            }
        }
        self.waiting.expire(now);
        self.expire_relocation(now);
    }

    /// What the endpoint has to say; to be called in a loop until it is [`Output::Idle`].
    ///
    /// `out` takes datagrams: one if it holds one, a burst of one size if it holds more.
    pub fn poll(&mut self, now: Instant, out: &mut [u8]) -> Output {
        if let Some(transmit) = self.poll_answer(out) {
            return Output::Transmit(transmit);
        }
        if let Some(handle) = self.waiting.poll() {
            return Output::Event(Event::Incoming(handle));
        }
        loop {
            if let Some(event) = self.relocating.poll(self.agenda.len()) {
                return Output::Event(Event::Relocation(event));
            }
            let Some(handle) = self.agenda.front() else {
                if let Some(id) = self.misrouted.poll() {
                    return Output::Event(Event::Misrouted(id));
                }
                let wake = Agenda::earlier(self.agenda.next(), self.relocation_deadline());
                return Output::Idle { wake: Agenda::earlier(wake, self.waiting.deadline()) };
            };
            if let Some(output) = self.poll_connection(now, handle, out) {
                return output;
            }
        }
    }

    fn poll_answer(&mut self, out: &mut [u8]) -> Option<Transmit> {
        let answer = self.answers.pop_front()?;
        let len = answer.bytes.len();
        out.get_mut(..len)?.copy_from_slice(&answer.bytes);
        let transmit = Transmit { path: answer.path, ecn: Ecn::NotEct, len, segment: None };
        self.count_sent(&transmit);
        Some(transmit)
    }

    fn poll_connection(&mut self, now: Instant, handle: ConnectionHandle, out: &mut [u8]) -> Option<Output> {
        self.spend_notes(handle);
        let Some(slot) = slot_of(&mut self.slots, handle) else {
            self.agenda.rest(None);
            self.relocating.one_has_spoken();
            return None;
        };
        if let Some(event) = slot.connection.poll_event() {
            self.watch_relocation(now, handle, &event);
            return Some(Output::Event(Event::Connection(handle, event)));
        }
        match slot.act(&mut self.scratch, |connection| connection.poll_transmit(now, out)) {
            Polled::Transmit(transmit) => {
                // It stays in front: what it has left is little, and its memory is at hand.
                self.count_sent(&transmit);
                return Some(Output::Transmit(transmit));
            }
            Polled::TooSmall => return Some(Output::TooSmall),
            Polled::Last(transmit) => {
                let wake = slot.connection.wake(now);
                self.agenda.rest(wake);
                self.relocating.one_has_spoken();
                self.count_sent(&transmit);
                self.spend_notes(handle);
                return Some(Output::Transmit(transmit));
            }
            Polled::Burst(transmit) => {
                self.agenda.rotate();
                self.relocating.one_has_spoken();
                self.count_sent(&transmit);
                return Some(Output::Transmit(transmit));
            }
            Polled::Nothing if slot.connection.is_drained() => self.bury(handle),
            Polled::Nothing => {
                let wake = slot.connection.wake(now);
                self.agenda.rest(wake);
            }
        }
        self.relocating.one_has_spoken();
        None
    }

    fn count_sent(&mut self, transmit: &Transmit) {
        let segment = transmit.segment.map_or(transmit.len, |segment| segment.get().into());
        self.stats.datagrams_sent += transmit.len.div_ceil(segment.max(1)) as u64;
        self.stats.bytes_sent += transmit.len as u64;
    }

    /// A connection is over: its names go, then itself.
    fn bury(&mut self, handle: ConnectionHandle) {
        self.agenda.forget(handle);
        self.on_proved(handle);
        if let Some(slot) = self.slots.try_remove(handle.slot as usize) {
            slot.connection.names().for_each(|note| self.spend_note(handle, note));
        }
    }

    fn spend_notes(&mut self, handle: ConnectionHandle) {
        while let Some(note) = self.slot_mut(handle).and_then(|slot| slot.connection.poll_note()) {
            self.spend_note(handle, note);
        }
    }

    fn spend_note(&mut self, handle: ConnectionHandle, note: Note) {
        match note {
            Note::Issued(id) => self.router.insert(id, handle),
            Note::Retired(id) => self.router.remove(&id, handle),
            Note::Token(token) => self.router.insert_token(token, handle),
            Note::TokenGone(token) => self.router.remove_token(&token, handle),
            Note::Proved => self.on_proved(handle),
            Note::Confirmed(now) => self.on_confirmed(now, handle),
        }
    }

    fn slot_mut(&mut self, handle: ConnectionHandle) -> Option<&mut Slot> {
        slot_of(&mut self.slots, handle)
    }

    /// The connection with this handle; `None` once it is over.
    pub fn connection(&self, handle: ConnectionHandle) -> Option<&Connection> {
        let slot = self.slots.get(handle.slot as usize)?;
        (slot.generation == handle.generation).then_some(&*slot.connection)
    }

    /// The connection with this handle, to be spoken through; it is polled next time.
    pub fn connection_mut(&mut self, handle: ConnectionHandle) -> Option<&mut Connection> {
        self.slot_mut(handle)?;
        self.agenda.wake(handle);
        self.slot_mut(handle).map(|slot| &mut *slot.connection)
    }

    /// All connections, those that are closing included.
    pub fn connections(&self) -> impl Iterator<Item = (ConnectionHandle, &Connection)> {
        self.slots.iter().map(|(slot, held)| {
            let slot = u32::try_from(slot).expect("connections are fewer than 2^32");
            (ConnectionHandle { slot, generation: held.generation }, &*held.connection)
        })
    }

    /// What the endpoint as a whole has counted: datagrams of all connections, and what belonged to none.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }
}

/// The connection with this handle, unless it is over.
#[inline]
fn slot_of(slots: &mut Slab<Slot>, handle: ConnectionHandle) -> Option<&mut Slot> {
    slots.get_mut(handle.slot as usize).filter(|slot| slot.generation == handle.generation)
}
