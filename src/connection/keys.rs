//! Key updates of our own, and what is exported of the handshake's secrets.

use super::Connection;
use super::phase::Phase;
use crate::crypto::Standing;
use crate::error::{ExportError, KeyUpdateError, TransportError};
use crate::id::{PacketNumber, SpaceId};
use crate::time::Instant;

impl Connection {
    /// Updates the keys of both directions (RFC 9001, Section 6): what is sent from now on has the next ones.
    ///
    /// The connection does so by itself before a key is used up, or
    /// [earlier](crate::TransportConfigBuilder::key_update_after). A server's move in progress does not stand against
    /// it: whoever is sought, or seeks, follows as soon as anything arrives.
    ///
    /// # Errors
    ///
    /// Why not, and nothing has changed; but the peer is asked for an acknowledgement that is missing. None of them is
    /// worth waiting for in a loop: an update is possible again some round trips after the last, if the peer is there.
    pub fn update_keys(&mut self, now: Instant) -> Result<(), KeyUpdateError> {
        match self.phase {
            Phase::Handshaking { .. } | Phase::Established { confirmed: false } => {
                return Err(KeyUpdateError::NotConfirmed);
            }
            Phase::Closing(_) | Phase::Draining { .. } | Phase::Drained => {
                return Err(KeyUpdateError::Closed);
            }
            Phase::Established { confirmed: true } => {}
        }
        let begun = self.begin_keys(now);
        if begun == Err(KeyUpdateError::Unacknowledged)
            && !self.recovery.has_ack_eliciting_in_flight(SpaceId::Data)
        {
            self.control.ask();
        }
        begun
    }

    fn begin_keys(&mut self, now: Instant) -> Result<(), KeyUpdateError> {
        let next_number = self.recovery.next_number(SpaceId::Data);
        let space = self.spaces.get_mut(SpaceId::Data).ok_or(KeyUpdateError::NotConfirmed)?;
        space.keys.update(now, space.received.expected(), next_number)?;
        self.stats.own_key_updates += 1;
        // Without a packet the peer would not learn of it.
        self.control.ask();
        Ok(())
    }

    /// The peer began a key phase, and we have followed.
    ///
    /// # Errors
    ///
    /// KEY_UPDATE_ERROR for too many in too short a time: each costs us more than the packet that began it.
    #[cold]
    pub(super) fn on_peer_updated(&mut self, now: Instant) -> Result<(), TransportError> {
        self.stats.key_updates += 1;
        self.glitches.bear(now).map_err(|_| TransportError::key_update("too many key updates"))
    }

    /// The sending key has sealed enough: another takes its place if it may, and otherwise the connection ends before
    /// the key is used up.
    #[cold]
    pub(super) fn on_worn_keys(&mut self, now: Instant) {
        if self.phase.is_confirmed() && self.begin_keys(now).is_ok() {
            return;
        }
        if let Some(Err(fault)) = self.spaces.get(SpaceId::Data).map(|space| space.keys.check()) {
            self.fail(now, fault);
        }
    }

    /// The 1-RTT packet `carrier` acknowledged others, `newest` the newest of them.
    #[inline]
    pub(super) fn on_acked_keys(
        &mut self,
        now: Instant,
        carrier: PacketNumber,
        newest: PacketNumber,
    ) -> Result<(), TransportError> {
        let (home, max_ack_delay) = (self.paths.home(), self.peer.max_ack_delay);
        let pto = || home.rtt_view(max_ack_delay).pto_base(SpaceId::Data);
        match self.spaces.get_mut(SpaceId::Data) {
            Some(space) => space.keys.on_acked(now, carrier, newest, pto),
            None => Ok(()),
        }
    }

    /// Where the connection stands, for keys that begin a phase.
    pub(super) fn standing(&self) -> Standing {
        Standing { pto: self.pto(), next_number: self.recovery.next_number(SpaceId::Data) }
    }

    /// Fills `out` with keying material that both sides of this connection can export and nobody else (RFC 8446,
    /// Section 7.5), from [`Connected`](crate::ConnectionEvent::Connected) on. Key updates do not change it.
    ///
    /// Another label or context, or another length, gives something else. No context and an empty one are the same.
    ///
    /// # Errors
    ///
    /// [`ExportError`]: too early, or more than can be derived.
    pub fn export_keying_material(
        &self,
        out: &mut [u8],
        label: &[u8],
        context: Option<&[u8]>,
    ) -> Result<(), ExportError> {
        let exporter = self.summary.as_ref().and_then(|summary| summary.exporter.as_ref());
        let exporter = exporter.ok_or(ExportError::HandshakeNotComplete)?;
        exporter.export(out, label, context.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
