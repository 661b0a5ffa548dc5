//! One arm a frame: call its owner.

use std::time::Duration;

use super::receive::Seen;
use super::{Connection, Role};
use crate::error::{CloseReason, TransportError};
use crate::frame::{Ack, ConnectionClose, Frame};
use crate::id::{PathId, SpaceId};
use crate::time::Instant;

impl Seen<'_> {
    /// Whether it is neither an answer alone nor a mere question: two peers that ask each other whether they are there have
    /// nothing to say.
    pub(super) fn says_more(&self) -> bool {
        self.ack_eliciting && self.useful
    }
}

impl Connection {
    #[inline(always)]
    pub(super) fn dispatch(
        &mut self,
        now: Instant,
        frame: Frame<'_>,
        seen: &mut Seen<'_>,
    ) -> Result<(), TransportError> {
        match frame {
            Frame::Stream(stream) => self.streams.on_stream(&stream),
            Frame::Ack(ack) => self.on_ack(now, &ack, seen),
            Frame::Datagram(datagram) => self.datagrams.on_datagram(&datagram),
            Frame::Padding(_) | Frame::Ping => Ok(()),
            Frame::Crypto(crypto) => match self.spaces.get_mut(seen.space) {
                Some(space) => space.crypto.on_crypto(&crypto),
                None => Ok(()),
            },
            Frame::ResetStream(reset) => self.streams.on_reset_stream(&reset),
            Frame::StopSending(stop) => self.streams.on_stop_sending(&stop),
            Frame::MaxData(max) => self.streams.on_max_data(&max),
            Frame::MaxStreamData(max) => self.streams.on_max_stream_data(&max),
            Frame::MaxStreams(max) => self.streams.on_max_streams(&max),
            Frame::DataBlocked(blocked) => self.streams.on_data_blocked(&blocked),
            Frame::StreamDataBlocked(blocked) => self.streams.on_stream_data_blocked(&blocked),
            Frame::StreamsBlocked(blocked) => self.streams.on_streams_blocked(&blocked),
            Frame::NewConnectionId(new) => self.on_new_connection_id(now, &new),
            Frame::RetireConnectionId(retire) => self.on_retire_connection_id(&retire, seen),
            Frame::PathChallenge(challenge) => {
                self.on_path_challenge(now, challenge.data, seen);
                Ok(())
            }
            Frame::PathResponse(response) => {
                self.on_path_response(now, response.data, seen);
                Ok(())
            }
            Frame::ConnectionClose(close) => {
                self.on_connection_close(now, &close);
                Ok(())
            }
            Frame::AckFrequency(wish) => self.on_ack_frequency(&wish),
            Frame::ImmediateAck => self.on_immediate_ack(seen),
            Frame::HandshakeDone => self.on_handshake_done(now),
            Frame::NewToken(new) => self.on_new_token(&new),
            Frame::ServerMigration(_) | Frame::ServerMigrated | Frame::PoolMigrationAddress(_) => {
                self.on_migration_frame(now, &frame, seen)
            }
        }
    }

    pub(super) fn refuse_from_client(&self, reason: &'static str) -> Result<(), TransportError> {
        match self.role {
            Role::Client { .. } => Ok(()),
            Role::Server { .. } => Err(TransportError::protocol_violation(reason)),
        }
    }

    fn on_handshake_done(&mut self, now: Instant) -> Result<(), TransportError> {
        self.refuse_from_client("HANDSHAKE_DONE from a client")?;
        if !self.phase.is_confirmed() {
            self.on_confirmed(now);
        }
        Ok(())
    }

    #[inline(never)]
    fn on_ack(&mut self, now: Instant, ack: &Ack<'_>, seen: &mut Seen<'_>) -> Result<(), TransportError> {
        let space = seen.space;
        let delay = match space {
            SpaceId::Data => {
                let micros = ack.delay.saturating_mul(1 << self.peer.ack_delay_exponent.min(20));
                let claimed = Duration::from_micros(micros);
                // Before confirmation the peer may be slower than it promised (RFC 9002, Section 5.3).
                if self.phase.is_confirmed() { claimed.min(self.peer.max_ack_delay) } else { claimed }
            }
            SpaceId::Initial | SpaceId::Handshake => Duration::ZERO,
        };
        if space == SpaceId::Data && !self.phase.is_confirmed() {
            self.check_early_ack(ack)?;
        }
        let raises = self.recovery.largest_acked(space) < Some(ack.largest);
        let mut scratch = self.take_scratch();
        let fates = &mut scratch.fates;
        fates.clear();
        let (paths, max_ack_delay) = (&self.paths, self.peer.max_ack_delay);
        let view = |id: PathId| paths.get(id).unwrap_or(paths.home()).rtt_view(max_ack_delay);
        let mut outcome = self.recovery.on_ack(now, space, ack, view, fates);
        let newest = fates.newly_acked_largest;
        let news = newest.is_some();
        seen.useful |= news;
        // What was sent on one path and acknowledged on another has measured neither (RFC 9000, Section 9.4): a server
        // that moved while it was frozen would give its client the freeze for a round trip.
        fates.rtt_sample = fates.rtt_sample.filter(|(sent_on, _)| *sent_on == seen.path);
        if space == SpaceId::Data
            && let (Ok(()), Some(newest)) = (outcome, fates.newly_acked_largest)
        {
            outcome = self.on_acked_keys(now, seen.number, newest);
        }
        if outcome.is_ok() {
            self.deliver(now, space, delay, fates);
        }
        if space == SpaceId::Data && news && outcome.is_ok() {
            if raises && self.watches_marks(ack) {
                self.on_mark_counts(now, ack, fates);
            }
            self.on_acked_ranges(now, ack, seen.number);
            self.reconsider_wishes(now);
            // Nobody reads 1-RTT packets before the handshake is complete: their acknowledgement confirms it, should
            // HANDSHAKE_DONE be lost while the server moves (RFC 9001, Section 4.1.2). 0-RTT packets are read before.
            if self.phase.is_established()
                && !self.phase.is_confirmed()
                && newest.is_some_and(|number| !self.was_early(number))
            {
                self.on_confirmed(now);
            }
        }
        self.scratch = Some(scratch);
        outcome
    }

    fn on_connection_close(&mut self, now: Instant, close: &ConnectionClose<'_>) {
        let reason = match *close {
            ConnectionClose::Application { code, reason } => {
                CloseReason::Application { code, reason: reason.to_vec() }
            }
            ConnectionClose::Transport { code, frame, reason } => {
                CloseReason::Peer { code, frame, reason: reason.to_vec() }
            }
        };
        self.drain(now, reason);
    }
}
