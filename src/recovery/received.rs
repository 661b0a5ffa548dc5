//! What was received in one packet number space: the duplicate filter, and when and what to acknowledge
//! (RFC 9000, Section 13.2), as the peer wishes (draft-ietf-quic-ack-frequency, Section 6).
//!
//! An ACK is offered to every packet that may carry one as soon as there is news, and is a reason to send a
//! packet only when it is due. What was offered counts as said when the packet leaves
//! ([`on_ack_sent`](Received::on_ack_sent)).

use std::time::Duration;

use crate::error::TransportError;
use crate::frame::{AckFrequency, AckOut, EcnCounts};
use crate::id::{PacketNumber, SpaceId};
use crate::net::Ecn;
use crate::packet::PacketWriter;
use crate::range_set::RangeSet;
use crate::time::{Instant, micros};

/// Runs of packet numbers that are remembered and reported.
const MAX_RANGES: usize = 64;
/// An ACK is due for every second ack-eliciting packet (RFC 9000, Section 13.2.2), unless the peer wishes otherwise.
const PACKETS_PER_ACK: u8 = 2;
/// Packets after which an ACK is due whatever the peer wishes.
const MAX_PACKETS_PER_ACK: u8 = u8::MAX;
/// With so many runs remembered, disorder is told at once whatever the peer wishes: a run that is forgotten before it was
/// reported is lost to the peer.
const MANY_RANGES: usize = MAX_RANGES / 2;
/// Delays of ACKs are below this many microseconds (RFC 9000, Section 18.2).
const ACK_DELAY_BOUND: u64 = 1000 << 14;
/// No packet has this number.
const NEVER: PacketNumber = PacketNumber::MAX;

/// Received packets of one space.
#[derive(Debug)]
pub struct Received {
    numbers: RangeSet,
    /// Numbers below are forgotten and count as received.
    floor: PacketNumber,
    /// When the largest number arrived.
    largest_at: Instant,
    timing: Timing,
    /// From this number on, a packet is far enough beyond a gap that was not reported; [`NEVER`] if there is none.
    alarm: PacketNumber,
    /// In microseconds, saturated.
    max_ack_delay: u32,
    /// Ack-eliciting packets since the last ACK, saturated.
    unreported: u8,
    /// With so many of them an ACK is due.
    threshold: u8,
    space: SpaceId,
    ecn: EcnCounts,
    /// What the peer wished, if it did.
    wish: Option<Box<Wish>>,
}

const _: () = assert!(size_of::<Received>() <= 104);

/// A peer's wish, but for what is compared with every packet.
#[derive(Debug)]
struct Wish {
    /// Its number: older ones mean nothing.
    sequence: u64,
    /// How far a gap must be exceeded to be told at once; 0: it is not told.
    reordering: u64,
    /// The largest number that an ACK of ours reported.
    reported: PacketNumber,
    /// The last packet that had experienced congestion.
    last_ce: Option<PacketNumber>,
}

/// When the next ACK is worth a packet of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timing {
    /// Nothing asks for one.
    Idle,
    /// At this time.
    By(Instant),
    /// Now.
    Due,
}

impl Received {
    /// Begins with nothing received. In the Data space an ACK is delayed by at most `max_ack_delay`, which
    /// the peer knows; in the others by nothing.
    pub fn new(space: SpaceId, max_ack_delay: Duration) -> Self {
        Self {
            numbers: RangeSet::new(),
            floor: 0,
            largest_at: Instant::ZERO,
            timing: Timing::Idle,
            alarm: NEVER,
            max_ack_delay: u32::try_from(micros(max_ack_delay)).unwrap_or(u32::MAX),
            unreported: 0,
            threshold: match space {
                SpaceId::Initial | SpaceId::Handshake => 1,
                SpaceId::Data => PACKETS_PER_ACK,
            },
            space,
            ecn: EcnCounts::default(),
            wish: None,
        }
    }

    /// The number after the largest received: what truncated numbers are expanded around.
    #[inline]
    pub fn expected(&self) -> PacketNumber {
        self.largest().map_or(self.floor, |largest| largest + 1)
    }

    /// The largest number received.
    #[inline]
    pub fn largest(&self) -> Option<PacketNumber> {
        self.numbers.max()
    }

    /// Whether a packet was received before, or is too old to tell.
    #[inline]
    pub fn is_duplicate(&self, number: PacketNumber) -> bool {
        number < self.floor || self.numbers.contains(number)
    }

    /// Whether numbers below the largest are missing, of those that are remembered.
    pub fn has_gaps(&self) -> bool {
        self.numbers.len() > 1
    }

    /// Records a packet that was processed and is no duplicate; `urgent` if it is to be acknowledged without
    /// delay.
    #[inline]
    pub fn on_received(
        &mut self,
        now: Instant,
        number: PacketNumber,
        ack_eliciting: bool,
        urgent: bool,
        ecn: Ecn,
    ) {
        let expected = self.expected();
        if number < self.floor || !self.numbers.insert_one(number) {
            return;
        }
        if self.numbers.len() > MAX_RANGES
            && let Some(oldest) = self.numbers.pop_first()
        {
            self.floor = oldest.end;
        }
        if number >= expected {
            self.largest_at = now;
        }
        self.count(ecn);
        if ack_eliciting {
            self.unreported = self.unreported.saturating_add(1);
            // Section 13.2.1: reordering and congestion are told at once, unless the peer wishes otherwise.
            let notable = number != expected || number >= self.alarm || ecn == Ecn::Ce;
            if urgent || self.unreported >= self.threshold || notable && self.is_told(number, expected, ecn) {
                self.timing = Timing::Due;
            } else if self.timing == Timing::Idle {
                self.timing = Timing::By(now + Duration::from_micros(self.max_ack_delay.into()));
            }
        }
    }

    /// Whether disorder or congestion is told at once; it was found with this packet.
    #[cold]
    #[inline(never)]
    fn is_told(&mut self, number: PacketNumber, expected: PacketNumber, ecn: Ecn) -> bool {
        let Some(wish) = &mut self.wish else { return true };
        if ecn == Ecn::Ce {
            // With fewer ACKs than usual, only the first of several marks in a row is (draft, Section 6.3).
            let before = wish.last_ce.replace(number);
            if self.threshold <= PACKETS_PER_ACK || before.is_none_or(|before| before + 1 != number) {
                return true;
            }
        }
        let (reordering, reported) = (wish.reordering, wish.reported);
        match reordering {
            _ if number != expected && self.numbers.len() >= MANY_RANGES => true,
            0 => false,
            1 => number != expected,
            // One that the peer holds lost already (draft, Section 6.2).
            _ if number < expected && reported.checked_sub(reordering).is_some_and(|lost| number <= lost) => {
                true
            }
            _ => {
                self.set_alarm(reordering, reported);
                self.largest().is_some_and(|largest| largest >= self.alarm)
            }
        }
    }

    /// Looks for the first gap that the peer cannot take for lost by what was reported.
    fn set_alarm(&mut self, reordering: u64, reported: PacketNumber) {
        let from = (reported + 1).saturating_sub(reordering);
        let mut missing = from.max(self.floor);
        for run in self.numbers.iter() {
            if run.start > missing {
                break;
            }
            missing = missing.max(run.end);
        }
        let is_gap = reordering > 1 && missing < self.expected();
        self.alarm = if is_gap { missing.saturating_add(reordering) } else { NEVER };
    }

    /// Follows the peer's wish, if it is newer than those before; `min_delay` is the shortest delay that it may wish for.
    ///
    /// However seldom it wants ACKs, one is due after 255 packets, and before runs of numbers are forgotten.
    ///
    /// # Errors
    ///
    /// PROTOCOL_VIOLATION for a delay that cannot be (draft, Section 4).
    pub fn on_ack_frequency(
        &mut self,
        wish: &AckFrequency,
        min_delay: Duration,
    ) -> Result<(), TransportError> {
        let delay = wish.max_ack_delay;
        if delay < micros(min_delay) || delay >= ACK_DELAY_BOUND {
            return Err(TransportError::protocol_violation(
                "a delay of ACKs that is not permitted is asked for",
            ));
        }
        if self.wish.as_ref().is_some_and(|last| last.sequence >= wish.sequence) {
            return Ok(());
        }
        let AckFrequency { sequence, reordering, .. } = *wish;
        let before = self.wish.take();
        let reported = before.as_ref().map_or(self.largest().unwrap_or(0), |last| last.reported);
        let last_ce = before.and_then(|last| last.last_ce);
        self.wish = Some(Box::new(Wish { sequence, reordering, reported, last_ce }));
        self.threshold = u8::try_from(wish.threshold.saturating_add(1)).unwrap_or(MAX_PACKETS_PER_ACK);
        self.max_ack_delay = u32::try_from(delay).unwrap_or(u32::MAX);
        self.set_alarm(reordering, reported);
        Ok(())
    }

    fn count(&mut self, ecn: Ecn) {
        match ecn {
            Ecn::NotEct => {}
            Ecn::Ect0 => self.ecn.ect0 += 1,
            Ecn::Ect1 => self.ecn.ect1 += 1,
            Ecn::Ce => self.ecn.ce += 1,
        }
    }

    /// The peer has an ACK of ours that went up to `largest`: what lies before the run of `largest` is not
    /// reported again and counts as received (Section 13.2.4).
    pub fn on_ack_acked(&mut self, largest: PacketNumber) {
        while let Some(first) = self.numbers.first() {
            if first.end > largest {
                break;
            }
            self.numbers.pop_first();
            self.floor = first.end;
        }
    }

    /// Writes an ACK if there is news; it makes the packet worth sending only if it is due.
    ///
    /// `exponent` is the one our transport parameters name (Section 18.2). Ranges that do not fit are left
    /// out, oldest first.
    pub fn write(&mut self, now: Instant, packet: &mut PacketWriter<'_>, exponent: u8) {
        if self.unreported == 0 {
            return;
        }
        let delay = match self.space {
            SpaceId::Initial | SpaceId::Handshake => 0,
            SpaceId::Data => micros(now.since(self.largest_at)).checked_shr(exponent.into()).unwrap_or(0),
        };
        let due = match self.timing {
            Timing::Idle => false,
            Timing::By(at) => at <= now,
            Timing::Due => true,
        };
        let ecn = (self.ecn != EcnCounts::default()).then_some(self.ecn);
        let mut limit = MAX_RANGES;
        while limit > 0 && packet.write(&AckOut { ranges: &self.numbers, limit, delay, ecn, due }).is_err() {
            limit /= 2;
        }
    }

    /// The packet with the ACK that was written has left.
    pub fn on_ack_sent(&mut self) {
        self.unreported = 0;
        self.timing = Timing::Idle;
        if self.wish.is_some() {
            self.on_reported();
        }
    }

    #[cold]
    fn on_reported(&mut self) {
        let Some(largest) = self.largest() else { return };
        if let Some(wish) = &mut self.wish {
            wish.reported = largest;
            let reordering = wish.reordering;
            self.set_alarm(reordering, largest);
        }
    }

    /// When an ACK that waits falls due. `None` also if one is due already: it goes with the next datagram.
    #[inline]
    pub fn deadline(&self) -> Option<Instant> {
        match self.timing {
            Timing::By(at) => Some(at),
            Timing::Idle | Timing::Due => None,
        }
    }

    /// The deadline may have come.
    pub fn expire(&mut self, now: Instant) {
        if self.deadline().is_some_and(|at| at <= now) {
            self.timing = Timing::Due;
        }
    }

    #[cfg(test)]
    /// Whether an ACK is worth a packet of its own now.
    pub fn is_due(&self) -> bool {
        self.timing == Timing::Due
    }
}

#[cfg(test)]
mod tests;
