//! Acknowledgements as wished (draft-ietf-quic-ack-frequency): ours as the peer wants them, the peer's as we do, and at once
//! where a move or a timeout leaves no time.

use super::Connection;
use super::receive::Seen;
use super::schedule::{Flight, Purpose};
use crate::error::TransportError;
use crate::frame::{AckFrequency, ImmediateAck, Record};
use crate::id::SpaceId;
use crate::packet::PacketWriter;
use crate::params::Common;
use crate::recovery::Wishes;
use crate::time::Instant;

impl Connection {
    /// The peer's parameters have come: they say whether it takes wishes.
    pub(super) fn begin_wishes(&mut self, peer: &Common) {
        if let (Some(config), Some(min_delay)) = (self.config.ack_frequency, peer.min_ack_delay) {
            self.control.wish(Wishes::new(config, min_delay, peer.max_ack_delay));
        }
    }

    // ---- what the peer wishes -------------------------------------------------------------------------

    #[cold]
    pub(super) fn on_ack_frequency(&mut self, wish: &AckFrequency) -> Result<(), TransportError> {
        let min_delay = self.config.min_ack_delay.ok_or(UNKNOWN)?;
        match self.spaces.get_mut(SpaceId::Data) {
            Some(space) => space.received.on_ack_frequency(wish, min_delay),
            None => Ok(()),
        }
    }

    #[cold]
    pub(super) fn on_immediate_ack(&self, seen: &mut Seen<'_>) -> Result<(), TransportError> {
        if self.config.min_ack_delay.is_none() {
            return Err(UNKNOWN);
        }
        seen.urgent = true;
        Ok(())
    }

    // ---- what we wish ---------------------------------------------------------------------------------

    /// Looks whether our wish still fits the path, once a round trip.
    #[inline]
    pub(super) fn reconsider_wishes(&mut self, now: Instant) {
        if self.control.wishes().is_some() {
            self.reconsider_own_wishes(now);
        }
    }

    #[cold]
    fn reconsider_own_wishes(&mut self, now: Instant) {
        if !self.phase.is_confirmed() {
            return;
        }
        let (rtt, home) = (self.rtt().smoothed, self.paths.home());
        let window = home.window.size() / u64::from(home.datagram_size).max(1);
        if let Some(wishes) = self.control.wishes() {
            wishes.reconsider(now, window, rtt);
            self.peer.max_ack_delay = wishes.max_ack_delay();
        }
    }

    /// Home is another path: its first packets are to be acknowledged at once, and often while its window is small.
    pub(super) fn renew_wishes(&mut self, now: Instant) {
        self.ask_at_once_if_possible();
        if let Some(wishes) = self.control.wishes() {
            wishes.on_new_path();
        }
        self.reconsider_wishes(now);
    }

    pub(super) fn on_wish_acked(&mut self, record: &Record) {
        if let Some(wishes) = self.control.wishes() {
            wishes.acked(record);
            self.peer.max_ack_delay = wishes.max_ack_delay();
        }
    }

    pub(super) fn on_wish_lost(&mut self, record: &Record) {
        if let Some(wishes) = self.control.wishes() {
            wishes.lost(record);
        }
    }

    /// Asks the peer for a sign of life, without delay if it takes wishes.
    pub(super) fn ask(&mut self) {
        self.control.ask();
        self.ask_at_once_if_possible();
    }

    fn ask_at_once_if_possible(&mut self) {
        if self.peer.takes_wishes && self.phase.is_established() {
            self.control.ask_at_once();
        }
    }

    /// Probes and announcements are worth an answer at once: what the peer waits for may be lost.
    #[inline]
    pub(super) fn hurries(&self, flight: &Flight) -> bool {
        match flight.purpose {
            Purpose::Normal | Purpose::Validate | Purpose::Seek | Purpose::Close | Purpose::MtuProbe => false,
            Purpose::Probe(_) | Purpose::Announce => self.peer.takes_wishes && self.phase.is_established(),
        }
    }
}

/// Asks for an answer without delay; in a packet with no room for that there is more to answer.
#[cold]
pub(super) fn hurry(packet: &mut PacketWriter<'_>) {
    let _ = packet.write(&ImmediateAck);
}

/// The answer to what we did not say that we understand.
const UNKNOWN: TransportError = TransportError::frame_encoding("the frame type is unknown");
