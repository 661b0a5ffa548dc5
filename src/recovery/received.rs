//! What was received in one packet number space: the duplicate filter, and when and what to acknowledge
//! (RFC 9000, Section 13.2).
//!
//! An ACK is offered to every packet that may carry one as soon as there is news, and is a reason to send a
//! packet only when it is due. What was offered counts as said when the packet leaves
//! ([`on_ack_sent`](Received::on_ack_sent)).

use std::time::Duration;

use crate::frame::{AckOut, EcnCounts};
use crate::id::{PacketNumber, SpaceId};
use crate::net::Ecn;
use crate::packet::PacketWriter;
use crate::range_set::RangeSet;
use crate::time::{Instant, micros};

/// Runs of packet numbers that are remembered and reported.
const MAX_RANGES: usize = 64;
/// An ACK is due for every second ack-eliciting packet (RFC 9000, Section 13.2.2).
const PACKETS_PER_ACK: u8 = 2;

/// Received packets of one space.
#[derive(Debug)]
pub struct Received {
    numbers: RangeSet,
    /// Numbers below are forgotten and count as received.
    floor: PacketNumber,
    /// When the largest number arrived.
    largest_at: Instant,
    timing: Timing,
    /// In microseconds, saturated.
    max_ack_delay: u32,
    /// Ack-eliciting packets since the last ACK, saturated.
    unreported: u8,
    space: SpaceId,
    ecn: EcnCounts,
}

const _: () = assert!(size_of::<Received>() <= 88);

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
            max_ack_delay: u32::try_from(micros(max_ack_delay)).unwrap_or(u32::MAX),
            unreported: 0,
            space,
            ecn: EcnCounts::default(),
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
            // Section 13.2.1: reordering and congestion are told at once.
            let notable = urgent || number != expected || ecn == Ecn::Ce;
            if notable || self.space != SpaceId::Data || self.unreported >= PACKETS_PER_ACK {
                self.timing = Timing::Due;
            } else if self.timing == Timing::Idle {
                self.timing = Timing::By(now + Duration::from_micros(self.max_ack_delay.into()));
            }
        }
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

    #[test]
    fn the_largest_number_there_is_can_be_received() {
        let mut received = data();
        receive(&mut received, at(0), [(1 << 62) - 1]);
        assert_eq!(received.expected(), 1 << 62);
    }
}
