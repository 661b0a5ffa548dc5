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
mod tests {
    use super::*;
    use crate::frame::{Frame, Frames, Ping, Record};
    use crate::id::ConnectionId;
    use crate::packet::{Allowance, DatagramWriter, Header};

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    const fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn data() -> Received {
        Received::new(SpaceId::Data, ms(25))
    }

    fn receive(received: &mut Received, now: Instant, numbers: impl IntoIterator<Item = u64>) {
        numbers.into_iter().for_each(|n| received.on_received(now, n, true, false, Ecn::NotEct));
    }

    /// What a packet of `room` bytes says: the ranges of its ACK, its delay and its ECN counts, and whether
    /// it goes.
    #[derive(Debug, PartialEq, Eq)]
    struct Said {
        ranges: Vec<(u64, u64)>,
        delay: u64,
        ecn: Option<EcnCounts>,
        goes: bool,
    }

    fn write(received: &mut Received, now: Instant, ping: bool, room: usize) -> Option<Said> {
        let mut buf = vec![0; room + 18];
        let mut records = Vec::new();
        let mut datagram = DatagramWriter::new(&mut buf, &mut records);
        let header = Header::Short { dcid: ConnectionId::EMPTY };
        let mut packet = datagram.begin(&header, 0, None, Allowance::Full).expect("room for a packet");
        let payload_at = 2;
        received.write(now, &mut packet, 3);
        let acks = !packet.is_ack_eliciting() && packet.room() < room;
        let len = room - packet.room();
        if ping {
            packet.write(&Ping).expect("room for a PING");
        }
        let draft = packet.finish();
        let goes = datagram.keep(draft);
        if goes && acks {
            assert_eq!(records, [Record::Ack { largest: received.largest().expect("an ACK has a largest") }]);
            received.on_ack_sent();
        }
        if !acks {
            return None;
        }
        let frame =
            Frames::new(&buf[payload_at..payload_at + len]).next().expect("a frame").expect("well formed");
        let Frame::Ack(ack) = frame else { panic!("{frame:?}") };
        let ranges = ack.ranges().map(|range| (*range.start(), *range.end())).collect();
        Some(Said { ranges, delay: ack.delay, ecn: ack.ecn, goes })
    }

    #[test]
    fn a_number_is_new_once() {
        let mut received = data();
        assert_eq!((received.expected(), received.largest()), (0, None));
        receive(&mut received, at(0), [0, 1, 5]);
        assert!(received.is_duplicate(5) && received.is_duplicate(0));
        assert!(!received.is_duplicate(3) && !received.is_duplicate(6));
        assert_eq!((received.expected(), received.largest()), (6, Some(5)));
    }

    #[test]
    fn every_second_packet_is_acknowledged_at_once_and_one_alone_in_time() {
        let mut received = data();
        receive(&mut received, at(10), [0]);
        assert_eq!((received.deadline(), received.is_due()), (Some(at(35)), false));
        receive(&mut received, at(12), [1]);
        assert!(received.is_due());
        received.on_ack_sent();
        assert_eq!((received.deadline(), received.is_due()), (None, false));
    }

    #[test]
    fn an_ack_that_waited_long_enough_is_due() {
        let mut received = data();
        receive(&mut received, at(10), [0]);
        received.expire(at(34));
        assert!(!received.is_due());
        received.expire(at(35));
        assert!(received.is_due());
    }

    #[test]
    fn handshake_packets_are_acknowledged_at_once() {
        let mut received = Received::new(SpaceId::Handshake, ms(25));
        receive(&mut received, at(0), [0]);
        assert!(received.is_due());
    }

    #[test]
    fn gaps_late_packets_marks_and_urgent_ones_are_told_at_once() {
        let news: [(u64, bool, Ecn); 4] =
            [(3, false, Ecn::NotEct), (1, false, Ecn::NotEct), (2, true, Ecn::NotEct), (2, false, Ecn::Ce)];
        for (number, urgent, ecn) in news {
            let mut received = data();
            let before = if number == 1 { vec![0, 2] } else { vec![0, 1] };
            receive(&mut received, at(0), before);
            received.on_ack_sent();
            received.on_received(at(1), number, true, urgent, ecn);
            assert!(received.is_due(), "{number} {urgent} {ecn:?}");
        }
    }

    #[test]
    fn acks_alone_are_never_acknowledged() {
        let mut received = data();
        for n in (0..100).step_by(2) {
            received.on_received(at(n), n, false, false, Ecn::NotEct);
        }
        assert_eq!((received.is_due(), received.deadline()), (false, None));
        assert_eq!(write(&mut received, at(100), true, 400), None);
    }

    #[test]
    fn an_ack_rides_along_before_it_is_due_but_is_no_reason_to_send() {
        let mut received = data();
        receive(&mut received, at(0), [0]);
        let said = write(&mut received, at(8), false, 400);
        assert_eq!(said, Some(Said { ranges: vec![(0, 0)], delay: 1000, ecn: None, goes: false }));
        // Nothing left, so nothing was said: the deadline stands, and a PING takes the ACK along.
        assert_eq!(received.deadline(), Some(at(25)));
        assert!(write(&mut received, at(8), true, 400).is_some_and(|said| said.goes));
        assert_eq!(received.deadline(), None);
        assert_eq!(write(&mut received, at(9), true, 400), None);
    }

    #[test]
    fn an_ack_goes_alone_at_its_deadline() {
        let mut received = data();
        receive(&mut received, at(0), [0]);
        assert!(write(&mut received, at(25), false, 400).is_some_and(|said| said.goes));
    }

    #[test]
    fn marks_are_reported_once_any_was_seen() {
        let mut received = data();
        receive(&mut received, at(0), [0]);
        received.on_received(at(0), 1, true, false, Ecn::Ect0);
        received.on_received(at(0), 2, false, false, Ecn::Ce);
        let said = write(&mut received, at(0), false, 400).expect("an ACK is due");
        assert_eq!(said.ecn, Some(EcnCounts { ect0: 1, ect1: 0, ce: 1 }));
    }

    #[test]
    fn ranges_that_do_not_fit_are_left_out_oldest_first() {
        let mut received = data();
        receive(&mut received, at(0), (0..60).map(|n| n * 2));
        let said = write(&mut received, at(0), false, 40).expect("an ACK is due");
        assert_eq!(said.ranges.first(), Some(&(118, 118)));
        assert_eq!(said.ranges.len(), 16);
    }

    #[test]
    fn every_other_packet_of_many_leaves_sixty_four_ranges() {
        let mut received = data();
        receive(&mut received, at(0), (0..10_000).map(|n| n * 2));
        assert_eq!(received.numbers.len(), 64);
        // What was forgotten counts as received, what is in a remembered gap does not.
        assert!(received.is_duplicate(1) && received.is_duplicate(19_869));
        assert!(!received.is_duplicate(19_871) && !received.is_duplicate(19_873));
        let said = write(&mut received, at(0), false, 1200).expect("an ACK is due");
        assert_eq!(said.ranges.len(), 64);
    }

    #[test]
    fn a_packet_from_before_memory_changes_nothing() {
        let mut received = data();
        receive(&mut received, at(0), (0..100).map(|n| n * 2));
        received.on_ack_sent();
        received.on_received(at(1), 1, true, true, Ecn::Ce);
        assert!(!received.is_due() && received.numbers.len() == 64);
    }

    #[test]
    fn moderate_reordering_is_kept_in_full() {
        let mut received = data();
        receive(&mut received, at(0), (0..60).map(|n| n * 2));
        receive(&mut received, at(1), (0..60).map(|n| n * 2 + 1));
        assert_eq!((received.numbers.len(), received.floor), (1, 0));
    }

    #[test]
    fn what_the_peer_knows_we_have_is_not_reported_again() {
        let mut received = data();
        receive(&mut received, at(0), [0, 1, 4, 5, 6, 9]);
        received.on_ack_acked(5);
        assert!(received.is_duplicate(0) && received.is_duplicate(1) && received.is_duplicate(4));
        assert!(!received.is_duplicate(2) && !received.is_duplicate(7));
        let said = write(&mut received, at(0), false, 400).expect("an ACK is due");
        assert_eq!(said.ranges, [(9, 9), (4, 6)]);
    }

    #[test]
    fn an_ack_of_an_ack_of_old_changes_nothing() {
        let mut received = data();
        receive(&mut received, at(0), [0, 1, 2, 5]);
        received.on_ack_acked(2);
        received.on_ack_acked(1);
        assert!(!received.is_duplicate(3));
        assert_eq!(received.numbers.len(), 2);
    }

    // ---- as the peer wishes ---------------------------------------------------------------------

    fn wish(sequence: u64, threshold: u64, max_ack_delay: u64, reordering: u64) -> AckFrequency {
        AckFrequency { sequence, threshold, max_ack_delay, reordering }
    }

    /// A peer that wishes an ACK after more than so many packets, and disorder of so many to be told.
    fn wished(threshold: u64, reordering: u64) -> Received {
        let mut received = data();
        let wish = wish(0, threshold, 100_000, reordering);
        received.on_ack_frequency(&wish, ms(1)).expect("a wish that is permitted");
        received
    }

    /// Which of these packets, one after the other, are acknowledged at once.
    fn told(received: &mut Received, numbers: &[u64]) -> Vec<u64> {
        let mut told = Vec::new();
        for number in numbers {
            receive(received, at(0), [*number]);
            if received.is_due() {
                told.push(*number);
                received.on_ack_sent();
            }
        }
        told
    }

    #[test]
    fn an_ack_is_due_after_more_packets_than_wished_or_the_delay() {
        let mut received = wished(9, 3);
        assert_eq!(told(&mut received, &(0..30).collect::<Vec<_>>()), [9, 19, 29]);
        receive(&mut received, at(50), [30]);
        assert_eq!(received.deadline(), Some(at(150)));
    }

    #[test]
    fn a_threshold_of_zero_is_an_ack_for_every_packet() {
        assert_eq!(told(&mut wished(0, 1), &[0, 1, 2]), [0, 1, 2]);
    }

    #[test]
    fn disorder_is_told_as_in_the_examples_of_the_draft() {
        assert_eq!(told(&mut wished(100, 3), &[0, 1, 3, 4, 5, 8, 9, 10]), [5, 9, 10]);
        assert_eq!(told(&mut wished(100, 5), &[0, 1, 3, 5, 6, 7, 8, 9]), [7, 9]);
        assert_eq!(told(&mut wished(100, 1), &[0, 1, 3, 4, 2]), [3, 2]);
        assert_eq!(told(&mut wished(100, 0), &[0, 1, 3, 4, 2, 20]), [0; 0]);
    }

    #[test]
    fn a_gap_that_is_filled_in_time_is_not_told_and_one_that_comes_too_late_is() {
        assert_eq!(told(&mut wished(100, 3), &[0, 2, 1, 3, 4, 5, 6]), [0; 0]);
        // 1 is lost to the peer once 4 is reported.
        assert_eq!(told(&mut wished(100, 3), &[0, 2, 3, 4, 5, 1]), [4, 1]);
    }

    #[test]
    fn a_jump_of_thousands_of_numbers_is_told_once() {
        assert_eq!(
            told(&mut wished(100, 3), &[0, 1, 70_000, 70_001, 70_002, 70_003]),
            [70_000, 70_001, 70_002]
        );
    }

    #[test]
    fn only_the_first_congestion_mark_in_a_row_is_told() {
        let mut received = wished(100, 3);
        let mut told = Vec::new();
        for (number, ecn) in [Ecn::Ect0, Ecn::Ce, Ecn::Ce, Ecn::Ect0, Ecn::Ce].into_iter().enumerate() {
            received.on_received(at(0), number as u64, true, false, ecn);
            if received.is_due() {
                told.push(number);
                received.on_ack_sent();
            }
        }
        assert_eq!(told, [1, 4]);
    }

    #[test]
    fn only_newer_wishes_are_followed() {
        let mut received = data();
        for (sequence, threshold) in [(5, 3), (4, 7), (5, 8)] {
            assert_eq!(received.on_ack_frequency(&wish(sequence, threshold, 5000, 1), ms(1)), Ok(()));
        }
        assert_eq!(told(&mut received, &[0, 1, 2, 3]), [3]);
        received.on_ack_frequency(&wish(6, 1, 5000, 1), ms(1)).expect("a wish that is permitted");
        assert_eq!(told(&mut received, &[4, 5]), [5]);
    }

    #[test]
    fn a_delay_that_cannot_be_is_a_violation() {
        for (delay, permitted) in [(999, false), (1000, true), (16_383_999, true), (16_384_000, false)] {
            let answer = data().on_ack_frequency(&wish(0, 1, delay, 1), ms(1));
            assert_eq!(answer.is_ok(), permitted, "{delay}");
        }
        // Even if the wish is old.
        assert!(wished(1, 1).on_ack_frequency(&wish(0, 1, 999, 1), ms(1)).is_err());
    }

    #[test]
    fn a_peer_that_wants_no_acks_gets_one_for_255_packets() {
        let most = (1 << 62) - 1;
        let mut received = wished(most, most);
        assert_eq!(told(&mut received, &(0..600).collect::<Vec<_>>()), [254, 509]);
    }

    #[test]
    fn disorder_that_memory_cannot_hold_is_told_whatever_is_wished() {
        let mut received = wished((1 << 62) - 1, 0);
        let numbers: Vec<_> = (0..200).map(|n| n * 2).collect();
        let told = told(&mut received, &numbers);
        assert_eq!(told.first(), Some(&62), "with half of the runs in use");
        // Nothing is forgotten before it was told.
        assert!(told.len() > 100, "{}", told.len());
    }

    #[test]
    fn an_honest_wish_costs_nothing_when_all_is_in_order() {
        let mut received = wished(254, 3);
        assert_eq!(told(&mut received, &(0..254).collect::<Vec<_>>()), [0; 0]);
    }

    #[test]
    fn the_largest_number_there_is_can_be_received() {
        let mut received = data();
        receive(&mut received, at(0), [(1 << 62) - 1]);
        assert_eq!(received.expected(), 1 << 62);
    }
}
