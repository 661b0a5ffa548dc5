//! Key phases: the peer's updates and our own, one after the other or both at once (RFC 9001, Section 6).
//!
//! Driven by [`KeyRing::open`], which tells what comes first of a phase, and by the connection, which asks for a phase of
//! our own and tells what was acknowledged.

use std::time::Duration;

use super::KeyRing;
use crate::crypto::key_log::UpdateLog;
use crate::crypto::schedule::{PacketKey, Secret};
use crate::error::{KeyUpdateError, TransportError};
use crate::id::PacketNumber;
use crate::time::Instant;

/// How far both sides have come in the phase in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// We began it, and nothing of it was received yet: what comes is of the phase before.
    Ahead,
    /// The peer is in it, too, but has acknowledged nothing that we sent in it.
    Unacknowledged,
    /// The peer has acknowledged something of it: it is known to both.
    Acknowledged {
        /// From when we may begin another: the peer has discarded its old keys by then (Section 6.5).
        another_from: Instant,
    },
}

/// Where a connection stands when a key phase begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Its probe timeout, thrice which old keys are kept.
    pub pto: Duration,
    /// The number of the next packet to be sealed.
    pub next_number: PacketNumber,
}

/// What follows the keys in use, and what went before them.
pub(super) struct Updates {
    /// The secrets of this phase; those of later ones follow from them.
    pub(super) sending: Secret,
    pub(super) receiving: Secret,
    /// There before it is needed, so that no packet takes longer to open because it begins a phase (Section 6.3).
    pub(super) next: PacketKey,
    /// One above the largest number that an older key opened: no number below has a key of this phase.
    pub(super) floor: PacketNumber,
    /// How many updates there were, the peer's and ours.
    pub(super) count: u64,
    /// Who wants to know the secrets.
    pub(super) log: Option<Box<UpdateLog>>,
}

/// The key of the phase before, for packets that were delayed.
pub(super) struct Previous {
    pub(super) key: PacketKey,
    /// When it is discarded; `None` as long as the peer may know no other.
    pub(super) until: Option<Instant>,
}

impl Previous {
    #[inline]
    pub(super) fn opens_at(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl KeyRing {
    /// Tells this log the secrets of all phases to come.
    pub fn log_updates(&mut self, log: UpdateLog) {
        if let Some(updates) = &mut self.updates {
            updates.log = Some(Box::new(log));
        }
    }

    /// Has [`KeyRing::is_worn`] ask for another phase after so many packets sealed in one; half of what the suite permits
    /// holds if that is less.
    pub fn wear_after(&mut self, packets: u64) {
        if self.updates.is_some() {
            self.worn_at = packets.min(self.schedule.suite().max_sealed() / 2);
        }
    }

    // ---- the peer's ---------------------------------------------------------------------------

    /// A packet of this phase, with a lower number than any before.
    #[cold]
    pub(super) fn on_lowest(
        &mut self,
        number: PacketNumber,
        now: Instant,
        standing: impl FnOnce() -> Standing,
    ) -> Result<(), TransportError> {
        if self.updates.as_ref().is_some_and(|updates| number < updates.floor) {
            return Err(TransportError::key_update("a newer key than a packet with a higher number had"));
        }
        self.lowest = number;
        if self.turn == Turn::Ahead {
            // The peer has followed us, or began the same phase at the same time.
            self.turn = Turn::Unacknowledged;
            if let Some(previous) = &mut self.previous {
                previous.until = Some(now + standing().pto.saturating_mul(3));
            }
        }
        Ok(())
    }

    /// A packet of the phase before.
    #[cold]
    pub(super) fn on_delayed(&mut self, number: PacketNumber) {
        if let Some(updates) = &mut self.updates {
            updates.floor = updates.floor.max(number + 1);
        }
    }

    /// The peer began a new key phase, in a packet that is authentic: both directions follow (RFC 9001, Section 6.2).
    #[cold]
    pub(super) fn follow(
        &mut self,
        number: PacketNumber,
        expected: PacketNumber,
        now: Instant,
        standing: Standing,
    ) -> Result<(), TransportError> {
        // Section 6.4: a higher number never has an older key.
        if number < expected {
            return Err(TransportError::key_update("a newer key than a packet with a higher number had"));
        }
        // Section 6.2: who updates twice in a row did not wait for an acknowledgement, since nothing was said yet
        // in this phase. The first update needs only a confirmed handshake.
        if self.updates.as_ref().is_some_and(|updates| updates.count > 0) && self.sealed == 0 {
            return Err(TransportError::key_update("another key update before the last was acknowledged"));
        }
        let until = now + standing.pto.saturating_mul(3);
        self.advance(expected, standing.next_number, Some(until));
        self.turn = Turn::Unacknowledged;
        self.lowest = number;
        Ok(())
    }

    // ---- our own ------------------------------------------------------------------------------

    /// Begins the next key phase of our own accord; the next packet sealed tells the peer. The handshake must be
    /// confirmed (RFC 9001, Section 6.1).
    ///
    /// `expected` is one above the largest number received, `next_number` that of the next packet to be sealed.
    ///
    /// # Errors
    ///
    /// [`KeyUpdateError::Unacknowledged`] as long as nothing sealed in this phase is known to have arrived, and
    /// [`KeyUpdateError::TooSoon`] for three probe timeouts after that; never that for the first update.
    pub fn update(
        &mut self,
        now: Instant,
        expected: PacketNumber,
        next_number: PacketNumber,
    ) -> Result<(), KeyUpdateError> {
        match self.turn {
            Turn::Ahead | Turn::Unacknowledged => Err(KeyUpdateError::Unacknowledged),
            Turn::Acknowledged { another_from } if now < another_from => Err(KeyUpdateError::TooSoon),
            Turn::Acknowledged { .. } => {
                self.advance(expected, next_number, None);
                self.turn = Turn::Ahead;
                self.lowest = PacketNumber::MAX;
                Ok(())
            }
        }
    }

    /// The packet `carrier` brought the first acknowledgement of the packet `newest`, which is the newest of those it
    /// acknowledges first.
    ///
    /// # Errors
    ///
    /// KEY_UPDATE_ERROR if the carrier had an older key than what it acknowledges: who has that packet has the newer
    /// key, and had to use it (RFC 9001, Section 6.2).
    #[inline]
    pub fn on_acked(
        &mut self,
        now: Instant,
        carrier: PacketNumber,
        newest: PacketNumber,
        pto: impl FnOnce() -> Duration,
    ) -> Result<(), TransportError> {
        if newest < self.first {
            return Ok(());
        }
        if carrier < self.lowest {
            return Err(TransportError::key_update("an old key acknowledges a packet that had a newer one"));
        }
        if self.turn == Turn::Unacknowledged {
            self.on_acknowledged(now, pto());
        }
        Ok(())
    }

    #[cold]
    fn on_acknowledged(&mut self, now: Instant, pto: Duration) {
        // The first phase has no keys before it that the peer would wait to discard.
        let is_first = self.updates.as_ref().is_none_or(|updates| updates.count == 0);
        let wait = if is_first { Duration::ZERO } else { pto.saturating_mul(3) };
        self.turn = Turn::Acknowledged { another_from: now + wait };
    }

    /// Both directions go on to the next phase; the key for receiving is kept until then.
    fn advance(&mut self, expected: PacketNumber, next_number: PacketNumber, until: Option<Instant>) {
        let updates = self.updates.as_mut().expect("only updated keys have a next generation");
        let schedule = &self.schedule;
        updates.sending = schedule.next_secret(&updates.sending);
        updates.receiving = schedule.next_secret(&updates.receiving);
        let after_next = schedule.packet_key(&schedule.next_secret(&updates.receiving));
        let next = std::mem::replace(&mut updates.next, after_next);
        let key = std::mem::replace(&mut self.receiving, next);
        self.previous = Some(Box::new(Previous { key, until }));
        updates.floor = expected;
        updates.count += 1;
        if let Some(log) = &updates.log {
            log.tell(updates.count, &updates.sending, &updates.receiving);
        }
        self.sending = schedule.packet_key(&updates.sending);
        self.phase = !self.phase;
        self.first = next_number;
        self.sealed = 0;
    }
}

#[cfg(test)]
mod tests;
