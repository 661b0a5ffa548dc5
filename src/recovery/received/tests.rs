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
    assert_eq!(told(&mut wished(100, 3), &[0, 1, 70_000, 70_001, 70_002, 70_003]), [70_000, 70_001, 70_002]);
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
