//! Who becomes a connection: a client's first Initial, what its token proves, and what the application says.
//!
//! Until a client has proved its address it costs constant work; while too many have not, it is sent a Retry, of which
//! nothing is kept (RFC 9000, Sections 5.2.2 and 8.1).

use std::sync::Arc;

use super::refusal::refusal;
use super::tokens::Proof;
use super::waiting::Incoming;
use super::{Answer, Endpoint, MAX_ANSWERS};
use crate::config::{MIN_DATAGRAM, ServerConfig};
use crate::connection::{Caller, Connection};
use crate::error::{AcceptError, Code, RetryError, TransportError, UnknownIncoming};
use crate::id::{ConnectionHandle, ConnectionId, IncomingHandle};
use crate::net::{Ecn, FourTuple};
use crate::packet::retry::Retry;
use crate::packet::{Version, has_fixed_bit, initial_token};
use crate::stats::DropReason;
use crate::time::Instant;

/// Shortest ID that a Retry gives, in bytes: the Initial that follows is a first one to us, with all that is asked of one.
const MIN_RETRY_SCID: usize = 8;

const REFUSED: TransportError =
    TransportError { code: Code::CONNECTION_REFUSED, frame: 0, reason: "no connections are admitted now" };
const INVALID_TOKEN: TransportError =
    TransportError { code: Code::INVALID_TOKEN, frame: 0, reason: "the token of the Retry is not valid" };

impl Endpoint {
    /// A client's first Initial; its version, `dcid` and `scid` are its header's.
    pub(super) fn on_first(
        &mut self,
        now: Instant,
        path: FourTuple,
        ecn: Ecn,
        (version, dcid, scid): (Version, ConnectionId, ConnectionId),
        datagram: &mut [u8],
    ) {
        let Some(config) = self.config.server.clone() else {
            return self.stats.drop(DropReason::NotAdmitted);
        };
        // A client may know from an earlier connection that the bit means nothing to us (RFC 9287, Section 3.1).
        if !has_fixed_bit(datagram) && !config.transport.grease_quic_bit {
            return self.stats.drop(DropReason::Malformed);
        }
        if self.waiting.follow(path.remote, dcid, ecn, datagram) {
            return;
        }
        let Some(token) = initial_token(datagram) else { return self.stats.drop(DropReason::Malformed) };
        let proof = self.tokens.judge(now, path.remote, (version, &dcid), token);
        let before_retry = match proof {
            Proof::Retried { original_dcid } => Some(original_dcid),
            Proof::Nothing | Proof::Earlier { .. } | Proof::Invalid => None,
        };
        let caller = Caller { version, dcid, scid, before_retry, proved: proof.is_valid() };
        if proof == Proof::Invalid {
            return self.turn_away(now, path, &caller, (DropReason::InvalidToken, INVALID_TOKEN), datagram);
        }
        if !self.admits() {
            if self.relocating.refuses() {
                return self.turn_away(now, path, &caller, (DropReason::NotAdmitted, REFUSED), datagram);
            }
            return self.stats.drop(DropReason::NotAdmitted);
        }
        if !caller.proved && self.demands_proof() {
            self.stats.drop(DropReason::Unproved);
            self.answer_retry(now, path, &caller);
        } else if self.config.asks_for_each {
            let deadline = now + config.transport.handshake_timeout;
            let limit = self.config.waiting_limit;
            if self.waiting.add(limit, deadline, (path, caller, proof), ecn, datagram) {
                self.tokens.on_believed(now, &proof);
            } else {
                self.stats.drop(DropReason::NotAdmitted);
            }
        } else if self.begin(now, path, config, caller, [(ecn, datagram)]).is_some() {
            self.tokens.on_believed(now, &proof);
        }
    }

    fn admits(&self) -> bool {
        self.relocating.admits() && self.slots.len() < self.config.max_connections
    }

    /// Whether so many have not proved their address that the next one must.
    fn demands_proof(&self) -> bool {
        self.half_open + self.waiting.unproved() >= self.config.half_open_limit
    }

    /// Begins a connection upon a client's first datagrams; `None` if no packet in them is authentic.
    fn begin<D: AsMut<[u8]>>(
        &mut self,
        now: Instant,
        path: FourTuple,
        config: Arc<ServerConfig>,
        caller: Caller,
        datagrams: impl IntoIterator<Item = (Ecn, D)>,
    ) -> Option<ConnectionHandle> {
        let own = self.fresh_id();
        let (rng, issuer) = (self.rng.fork(), Arc::clone(&self.issuer));
        let mut connection = Connection::server(now, path, config, caller, rng, own, issuer);
        for (ecn, mut datagram) in datagrams {
            connection.handle_datagram(now, &path, ecn, datagram.as_mut());
        }
        // Only a packet that decrypts makes a connection; anything else costs us this much and nothing more.
        if connection.stats().packets_received == 0 && !connection.is_closing() {
            self.stats.drop(DropReason::Undecryptable);
            return None;
        }
        Some(self.admit(connection, !caller.proved))
    }

    /// Tells a client why it is turned away, if another answer may be given, and keeps nothing of it.
    fn turn_away(
        &mut self,
        now: Instant,
        path: FourTuple,
        caller: &Caller,
        (reason, fault): (DropReason, TransportError),
        datagram: &mut [u8],
    ) {
        if !self.may_answer(now) {
            return self.stats.drop(reason);
        }
        let own = self.fresh_id();
        match refusal(now, caller, own, &fault, datagram) {
            Some(bytes) => {
                self.stats.drop(reason);
                self.answers.push_back(Answer { path, bytes });
            }
            None => self.stats.drop(DropReason::Undecryptable),
        }
    }

    /// Asks a client to prove its address; false if too many answers wait already.
    ///
    /// As many as are polled for may be given in a second: each is far smaller than what asks for it, and honest clients
    /// depend on them.
    fn answer_retry(&mut self, now: Instant, path: FourTuple, caller: &Caller) -> bool {
        if self.answers.len() >= MAX_ANSWERS {
            return false;
        }
        let scid = self.retry_id();
        let token =
            self.tokens.retry(now, self.rng.bytes(), path.remote, (caller.version, caller.dcid), scid);
        let [random] = self.rng.bytes();
        let mut bytes = vec![0; usize::from(MIN_DATAGRAM)];
        let retry = Retry { version: caller.version, dcid: caller.scid, scid, token: &token };
        let Some(len) = retry.write(&mut bytes, &caller.dcid, random) else { return false };
        bytes.truncate(len);
        self.answers.push_back(Answer { path, bytes });
        true
    }

    /// An ID that leads a client's next Initial here, even through a load balancer: one of ours, lengthened if need be.
    fn retry_id(&mut self) -> ConnectionId {
        let own = self.fresh_id();
        let mut bytes: [u8; MIN_RETRY_SCID] = self.rng.bytes();
        let Some(front) = bytes.get_mut(..own.len()) else { return own };
        front.copy_from_slice(&own);
        ConnectionId::new(&bytes).expect("eight bytes are a connection ID")
    }

    /// A server's client has proved its address, or the connection is over.
    pub(super) fn on_proved(&mut self, handle: ConnectionHandle) {
        if let Some(slot) = self.slot_mut(handle)
            && std::mem::take(&mut slot.half_open)
        {
            self.half_open = self.half_open.saturating_sub(1);
        }
    }

    /// A server's handshake is confirmed: its client gets a token for later.
    pub(super) fn on_confirmed(&mut self, now: Instant, handle: ConnectionHandle) {
        self.on_proved(handle);
        let known = self.connection(handle).map(|known| (known.version(), known.remote().ip()));
        let Some((version, ip)) = known else { return };
        if self.config.new_tokens {
            let token = self.tokens.later(now, self.rng.bytes(), version, ip);
            if let Some(slot) = self.slot_mut(handle) {
                slot.connection.give_token(token);
            }
        }
    }

    // ---- what the application says ------------------------------------------------------------

    /// A client that waits for an answer; `None` once it was answered, has waited for too long, or had to make room.
    pub fn incoming(&self, handle: IncomingHandle) -> Option<&Incoming> {
        self.waiting.get(handle)
    }

    /// Begins the connection that a client asks for, with this configuration.
    ///
    /// # Errors
    ///
    /// [`AcceptError::NotAdmitted`] leaves the client waiting; after the others nothing is left of it.
    pub fn accept(
        &mut self,
        now: Instant,
        handle: IncomingHandle,
        config: Arc<ServerConfig>,
    ) -> Result<ConnectionHandle, AcceptError> {
        if self.waiting.get(handle).is_none() {
            return Err(AcceptError::Unknown);
        }
        if !self.admits() {
            return Err(AcceptError::NotAdmitted);
        }
        let Incoming { path, caller, datagrams, .. } =
            self.waiting.take(handle).ok_or(AcceptError::Unknown)?;
        self.begin(now, path, config, caller, datagrams).ok_or(AcceptError::Undecryptable)
    }

    /// Tells a client that it is refused (CONNECTION_REFUSED), unless too many are told such things in this second.
    ///
    /// # Errors
    ///
    /// The client does not wait (any more).
    pub fn refuse(&mut self, now: Instant, handle: IncomingHandle) -> Result<(), UnknownIncoming> {
        let Incoming { path, caller, datagrams, .. } = self.waiting.take(handle).ok_or(UnknownIncoming)?;
        if let Some((_, mut datagram)) = datagrams.into_iter().next() {
            self.turn_away(now, path, &caller, (DropReason::NotAdmitted, REFUSED), &mut datagram);
        }
        Ok(())
    }

    /// Asks a client to prove its address and forgets it: if it does, it comes again as another
    /// [`Event::Incoming`](crate::Event::Incoming).
    ///
    /// # Errors
    ///
    /// [`RetryError::Validated`] if it has proved it already: no client obeys two Retries. [`RetryError::Busy`] if too
    /// many answers wait to be polled. It waits on in both cases.
    pub fn retry(&mut self, now: Instant, handle: IncomingHandle) -> Result<(), RetryError> {
        let waiting = self.waiting.get(handle).ok_or(RetryError::Unknown)?;
        let (path, caller) = (waiting.path, waiting.caller);
        if caller.proved {
            return Err(RetryError::Validated);
        }
        if !self.answer_retry(now, path, &caller) {
            return Err(RetryError::Busy);
        }
        self.waiting.take(handle);
        Ok(())
    }

    /// Forgets a client without a word. If it tries again, it is another [`Event::Incoming`](crate::Event::Incoming).
    ///
    /// # Errors
    ///
    /// The client does not wait (any more).
    pub fn ignore(&mut self, handle: IncomingHandle) -> Result<(), UnknownIncoming> {
        self.waiting.take(handle).map(drop).ok_or(UnknownIncoming)?;
        self.stats.drop(DropReason::NotAdmitted);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
