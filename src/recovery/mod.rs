//! Loss recovery (RFC 9002): what was sent, what became of it, and when to doubt.
//!
//! [`Recovery`] is told of packets and ACKs and answers with [`Fates`]; it never sees a path, only its
//! [`RttView`]. [`Received`] is the other direction: which packets came and when to acknowledge them. A path
//! owns an [`Rtt`], a [`Pacer`] and a [`congestion::Window`].

mod ack_frequency;
pub mod congestion;
mod fates;
mod loss;
mod pacer;
mod pto;
mod received;
mod rtt;
mod sent;

use smallvec::SmallVec;

pub use ack_frequency::{AckFrequency, Wishes};
pub use fates::{Fates, PathFate};
pub use pacer::Pacer;
pub use pto::PtoRules;
pub use received::Received;
pub use rtt::{Rtt, RttView};
pub use sent::Sent;

use crate::error::TransportError;
use crate::frame::{Ack, Record};
use crate::id::{PacketNumber, PathId, SpaceId};
use crate::time::Instant;
use loss::Ledger;

/// Paths whose first sample is remembered; beyond, the oldest is forgotten and waits for persistent
/// congestion anew.
const MAX_SAMPLED_PATHS: usize = 8;
/// After this many packets in a row that ask for no acknowledgement one should ask: the peer's ACKs are what
/// lets us forget what we received.
const MAX_UNASKED: u32 = 16;

/// What the loss timer's expiry means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeout {
    /// Packets of this space were lost by time; they are in the fates.
    Lost(SpaceId),
    /// One or two ack-eliciting packets are to be sent in this space, whatever the congestion window says.
    Probe(SpaceId),
}

/// Sent packets of the three spaces, and the timer over them.
#[derive(Debug)]
pub struct Recovery {
    data: Ledger,
    /// The two of the handshake, until their keys are discarded.
    handshake: [Option<Box<Ledger>>; 2],
    pto_count: u32,
    /// When something ack-eliciting was last sent, something was acknowledged, or a probe fell due: from then
    /// on a client waits with nothing in flight.
    last_event: Instant,
    /// When a probe last fell due.
    last_probe: Instant,
    /// When each path was first measured.
    sampled: SmallVec<[(PathId, Instant); 1]>,
    /// Packets sent before measure nothing.
    no_sample_before: Instant,
}

impl Default for Recovery {
    fn default() -> Self {
        Self::new()
    }
}

impl Recovery {
    /// Begins with nothing sent.
    pub fn new() -> Self {
        Self {
            data: Ledger::new(),
            handshake: [Some(Box::new(Ledger::new())), Some(Box::new(Ledger::new()))],
            pto_count: 0,
            last_event: Instant::ZERO,
            last_probe: Instant::ZERO,
            sampled: SmallVec::new(),
            no_sample_before: Instant::ZERO,
        }
    }

    #[inline]
    fn ledger(&self, space: SpaceId) -> Option<&Ledger> {
        match space {
            SpaceId::Data => Some(&self.data),
            SpaceId::Initial => self.handshake[0].as_deref(),
            SpaceId::Handshake => self.handshake[1].as_deref(),
        }
    }

    #[inline]
    fn ledger_mut(&mut self, space: SpaceId) -> Option<&mut Ledger> {
        match space {
            SpaceId::Data => Some(&mut self.data),
            SpaceId::Initial => self.handshake[0].as_deref_mut(),
            SpaceId::Handshake => self.handshake[1].as_deref_mut(),
        }
    }

    // ---- sending ------------------------------------------------------------------------------

    /// The number of the next packet in a space whose keys exist.
    #[inline]
    pub fn next_number(&self, space: SpaceId) -> PacketNumber {
        self.ledger(space).map_or(0, Ledger::next)
    }

    /// The largest number of a space that the peer acknowledged.
    #[inline]
    pub fn largest_acked(&self, space: SpaceId) -> Option<PacketNumber> {
        self.ledger(space)?.largest_acked()
    }

    /// Leaves out the next `count` numbers of a space: one, to catch a peer that acknowledges what it did not
    /// receive, or many, after a move. An ACK of one of them is an error as long as anything older waits, and
    /// beyond that for the newest.
    pub fn skip(&mut self, space: SpaceId, count: u64) {
        if let Some(ledger) = self.ledger_mut(space) {
            ledger.skip(count);
        }
    }

    /// Takes note of a packet that leaves now, and of what its frames left behind.
    #[inline]
    pub fn on_sent(&mut self, now: Instant, space: SpaceId, sent: Sent, records: &[Record]) {
        if let Some(ledger) = self.ledger_mut(space) {
            ledger.on_sent(now, &sent, records);
        }
        if sent.ack_eliciting && sent.in_flight {
            self.last_event = now;
        }
    }

    /// Whether the next packet should ask for an acknowledgement, with a PING if nothing else.
    ///
    /// A peer acknowledges nothing as long as all it gets are ACKs, and then we never learn that it has ours.
    pub fn wants_answer(&self, space: SpaceId) -> bool {
        self.ledger(space).is_some_and(|ledger| ledger.unasked() >= MAX_UNASKED)
    }

    /// Whether an ack-eliciting packet is in flight; seeks are not.
    pub fn has_ack_eliciting_in_flight(&self, space: SpaceId) -> bool {
        self.ledger(space).is_some_and(|ledger| ledger.awaiting_since().is_some())
    }

    // ---- what became of it --------------------------------------------------------------------

    /// Takes an ACK in: retires what arrived, declares lost what it proves lost, measures the round trip.
    ///
    /// `view` is the round trip of each path, that of the path in use for one that is gone. How long the peer
    /// says it waited is the estimator's concern: the sample is what the clock says.
    ///
    /// # Errors
    ///
    /// PROTOCOL_VIOLATION if a number was never sent; the fates are worth nothing then.
    pub fn on_ack(
        &mut self,
        now: Instant,
        space: SpaceId,
        ack: &Ack<'_>,
        view: impl Fn(PathId) -> RttView,
        fates: &mut Fates,
    ) -> Result<(), TransportError> {
        let Some(ledger) = self.ledger_mut(space) else { return Ok(()) };
        let Some(newest) = ledger.on_ack(ack, fates)? else { return Ok(()) };
        fates.newly_acked_largest = Some(newest.number);
        if newest.measures && newest.time >= self.no_sample_before {
            let sample = now.since(newest.time);
            fates.rtt_sample = Some((newest.path, sample));
            self.note_first_sample(now, newest.path, view(newest.path).has_sample);
        }
        // A client cannot tell from an Initial ACK that the server has validated its address (Section 6.2.1).
        if space != SpaceId::Initial {
            self.pto_count = 0;
        }
        self.last_event = now;
        let sample = fates.rtt_sample;
        let updated = |path| match sample {
            Some((sampled, rtt)) if sampled == path => view(path).with_sample(rtt),
            Some(_) | None => view(path),
        };
        self.detect(now, space, updated, fates);
        Ok(())
    }

    fn detect(&mut self, now: Instant, space: SpaceId, view: impl Fn(PathId) -> RttView, fates: &mut Fates) {
        let sampled = std::mem::take(&mut self.sampled);
        let first_sample = |path| sampled.iter().find(|(known, _)| *known == path).map(|(_, at)| *at);
        if let Some(ledger) = self.ledger_mut(space) {
            ledger.detect(now, view, first_sample, fates);
        }
        self.sampled = sampled;
    }

    fn note_first_sample(&mut self, now: Instant, path: PathId, has_sample: bool) {
        if has_sample || self.sampled.iter().any(|(known, _)| *known == path) {
            return;
        }
        if self.sampled.len() == MAX_SAMPLED_PATHS {
            self.sampled.remove(0);
        }
        self.sampled.push((path, now));
    }

    /// The keys of a space are gone: its packets leave the flight without a verdict (RFC 9002, Section 6.4).
    pub fn discard_space(&mut self, space: SpaceId, fates: &mut Fates) {
        let ledger = match space {
            SpaceId::Initial => self.handshake[0].take(),
            SpaceId::Handshake => self.handshake[1].take(),
            SpaceId::Data => return,
        };
        if let Some(ledger) = ledger {
            ledger.discard(fates);
            self.pto_count = 0;
        }
    }

    /// Declares lost what is in flight on a path that is given up or left, without a verdict on congestion.
    ///
    /// 1-RTT packets only: no other path than the first exists before the handshake is confirmed. Late ACKs
    /// of them are tolerated and measure nothing.
    pub fn abandon_path(&mut self, path: PathId, fates: &mut Fates) {
        self.data.abandon(Some(path), fates);
    }

    /// The stream data in flight in 1-RTT packets, each piece with the number of its packet: what is about to be given
    /// up may have arrived all the same.
    pub fn stream_data(&self) -> Vec<(PacketNumber, Record)> {
        self.data.stream_data()
    }

    /// Declares lost everything that is in flight in a space, without a verdict on congestion.
    pub fn abandon_all(&mut self, space: SpaceId, fates: &mut Fates) {
        if let Some(ledger) = self.ledger_mut(space) {
            ledger.abandon(None, fates);
        }
    }

    /// A path begins afresh: packets sent before `now` measure no round trip any more, because the clock stood still in
    /// between, and until a later one has, what is lost there is no persistent congestion (RFC 9002, Section 7.6.2).
    pub fn begin_afresh(&mut self, now: Instant, path: PathId) {
        self.no_sample_before = now;
        self.sampled.retain(|(known, _)| *known != path);
    }

    /// Offers the records of the oldest `packets` ack-eliciting packets in flight again, as the content of
    /// probes.
    ///
    /// They are put in `fates.lost`; the packets are not lost and their fate is still to come.
    pub fn reoffer_oldest(&self, space: SpaceId, packets: usize, fates: &mut Fates) {
        if let Some(ledger) = self.ledger(space) {
            ledger.reoffer_oldest(packets, fates);
        }
    }

    // ---- time ---------------------------------------------------------------------------------

    /// When [`on_timeout`](Self::on_timeout) is to be called: the next loss by time, else the next probe.
    pub fn deadline(&self, rules: &PtoRules) -> Option<Instant> {
        let loss = self.next_loss().map(|(time, _)| time);
        loss.or_else(|| self.next_probe(rules).map(|(time, _)| time))
    }

    fn next_loss(&self) -> Option<(Instant, SpaceId)> {
        SpaceId::ALL.into_iter().filter_map(|space| Some((self.ledger(space)?.loss_time()?, space))).min()
    }

    fn next_probe(&self, rules: &PtoRules) -> Option<(Instant, SpaceId)> {
        // A probe that could not be sent is not asked for again before its time.
        let awaiting_since = |space| Some(self.ledger(space)?.awaiting_since()?.max(self.last_probe));
        rules.deadline(self.pto_count, awaiting_since, self.last_event)
    }

    /// Acts on a deadline that has come (RFC 9002, Appendix A.9); `None` if none has. To be called until it
    /// says so, or says `Probe`.
    pub fn on_timeout(
        &mut self,
        now: Instant,
        rules: &PtoRules,
        view: impl Fn(PathId) -> RttView,
        fates: &mut Fates,
    ) -> Option<Timeout> {
        if let Some((time, space)) = self.next_loss() {
            if time > now {
                return None;
            }
            self.detect(now, space, view, fates);
            return Some(Timeout::Lost(space));
        }
        let (_, space) = self.next_probe(rules).filter(|(time, _)| *time <= now)?;
        self.pto_count = self.pto_count.saturating_add(1);
        (self.last_event, self.last_probe) = (now, now);
        Some(Timeout::Probe(space))
    }

    /// Probe timeouts in a row.
    pub fn pto_count(&self) -> u32 {
        self.pto_count
    }

    /// When something ack-eliciting was last sent, something was acknowledged, or a probe fell due.
    pub fn last_event(&self) -> Instant {
        self.last_event
    }

    /// Forgets the back-off: the path in use is another one.
    pub fn reset_backoff(&mut self) {
        self.pto_count = 0;
    }

    /// Gives memory back that is needed only while packets are in flight. For a connection that rests.
    pub fn release(&mut self) {
        self.data.release();
    }
}

#[cfg(test)]
mod tests;
