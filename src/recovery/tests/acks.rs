//! What ACKs say, and the lies among them (RFC 9002, Section 5.1; RFC 9000, Section 13.1).

use super::*;

// ---- ACKs --------------------------------------------------------------------------------------

#[test]
fn an_ack_tells_owners_path_and_estimator() {
    let mut bench = bench();
    bench.send_each(0..3);
    bench.ack(at(80), &[0..=1]).expect("both were sent");
    assert_eq!((bench.acked(), bench.lost()), (vec![0, 1], vec![]));
    assert_eq!(bench.fates.rtt_sample, Some((HOME, ms(79))));
    assert_eq!(bench.fates.newly_acked_largest, Some(1));
    let newest = Some(at(1));
    let fate =
        PathFate { acked_bytes: 2000, newest_acked_sent: newest, largest_acked: 1000, ..PathFate::default() };
    assert_eq!(bench.fate(HOME), fate);
}

#[test]
fn an_ack_that_says_nothing_new_changes_nothing() {
    let mut bench = bench();
    bench.send(at(0));
    bench.send(at(1));
    bench.ack(at(80), &[0..=0]).expect("it was sent");
    bench.ack(at(200), &[0..=0]).expect("it was sent");
    assert_eq!((bench.fates.rtt_sample, bench.fates.newly_acked_largest), (None, None));
    assert!(bench.fates.paths.is_empty() && bench.fates.acked.is_empty());
}

#[test]
fn only_the_largest_acknowledged_measures() {
    let mut bench = bench();
    bench.send_each(0..3);
    bench.ack(at(80), &[2..=2]).expect("it was sent");
    bench.ack(at(90), &[0..=2]).expect("they were sent");
    assert_eq!((bench.acked(), bench.fates.rtt_sample), (vec![0, 1], None));
}

#[test]
fn an_ack_of_acks_alone_measures_nothing() {
    let mut bench = bench();
    bench.send_ack(at(0));
    bench.ack(at(80), &[0..=0]).expect("it was sent");
    assert_eq!(bench.fates.rtt_sample, None);
    assert_eq!(bench.fates.acked, [Record::Ack { largest: 0 }]);
    bench.send(at(100));
    bench.send_ack(at(101));
    bench.ack(at(180), &[1..=2]).expect("both were sent");
    assert_eq!(bench.fates.rtt_sample, Some((HOME, ms(79))));
}

#[test]
fn what_was_sent_before_the_clock_stood_still_measures_nothing() {
    let mut bench = bench();
    bench.send(at(0));
    bench.recovery.begin_afresh(at(50), HOME);
    bench.send(at(50));
    bench.ack(at(80), &[0..=0]).expect("it was sent");
    assert_eq!((bench.acked(), bench.fates.rtt_sample), (vec![0], None));
    bench.ack(at(130), &[1..=1]).expect("it was sent");
    assert_eq!(bench.fates.rtt_sample, Some((HOME, ms(80))));
}

#[test]
fn adjoining_stream_ranges_of_a_run_come_out_as_one() {
    let mut bench = bench();
    let id = StreamId::from_wire(0);
    for n in 0..10 {
        let stream = Record::Stream { id, offset: n * 1000, len: 1000, fin: n == 9 };
        let sent =
            Sent { number: n, path: HOME, len: 1030, ack_eliciting: true, in_flight: true, marked: false };
        bench.recovery.on_sent(at(0), SpaceId::Data, sent, &[stream]);
    }
    bench.ack(at(80), &[0..=9]).expect("they were sent");
    assert_eq!(bench.fates.acked, [Record::Stream { id, offset: 0, len: 10_000, fin: true }]);
}

// ---- lies --------------------------------------------------------------------------------------

#[test]
fn an_ack_of_a_packet_that_was_not_sent_is_a_violation() {
    let mut bench = bench();
    bench.send(at(0));
    for lie in [1, (1 << 62) - 1] {
        let fault = bench.ack(at(80), &[lie..=lie]).expect_err("nobody sent it");
        assert_eq!(fault.code, Code::PROTOCOL_VIOLATION);
    }
    assert_eq!(bench.recovery.largest_acked(SpaceId::Data), None);
}

#[test]
fn an_ack_of_any_skipped_number_in_the_window_is_a_violation() {
    for lie in [1, 3, 5] {
        let mut bench = bench();
        for _ in 0..4 {
            bench.send(at(0));
            bench.recovery.skip(SpaceId::Data, 1);
        }
        let honest = [0..=0, 2..=2, 4..=4, 6..=6];
        let mut ranges = honest.to_vec();
        ranges.push(lie..=lie);
        bench.ack(at(80), &ranges).expect_err("it was skipped");
    }
}

#[test]
fn an_honest_ack_around_skipped_numbers_is_welcome_later_too() {
    let mut bench = bench();
    for _ in 0..4 {
        bench.send(at(0));
        bench.recovery.skip(SpaceId::Data, 1);
    }
    let honest = [0..=0, 2..=2, 4..=4, 6..=6];
    bench.ack(at(80), &honest).expect("all were sent");
    assert_eq!(bench.acked().len(), 4);
    bench.send(at(90));
    bench.ack(at(170), &[0..=0, 2..=2, 4..=4, 6..=6, 8..=8]).expect("all were sent");
    assert_eq!(bench.acked(), [8]);
}

#[test]
fn a_skipped_number_makes_no_packet_look_three_behind() {
    let mut bench = bench();
    bench.send(at(0));
    bench.recovery.skip(SpaceId::Data, 1);
    bench.send(at(0));
    bench.send(at(0));
    bench.ack(at(80), &[3..=3]).expect("it was sent");
    assert!(bench.lost().is_empty());
    bench.send(at(80));
    bench.ack(at(81), &[3..=4]).expect("both were sent");
    assert_eq!(bench.lost(), [0]);
}

#[test]
fn a_jump_of_many_numbers_is_remembered_whole_and_costs_nothing() {
    let mut bench = bench();
    bench.send(at(0));
    bench.recovery.skip(SpaceId::Data, 1 << 17);
    let after = bench.send(at(1));
    assert_eq!(after, 1 + (1 << 17));
    bench.ack(at(80), &[70_000..=70_000]).expect_err("it was skipped");
    bench.ack(at(81), &[0..=0, after..=after]).expect("both were sent");
    assert_eq!(bench.acked(), [after, 0]);
    assert_eq!(bench.recovery.largest_acked(SpaceId::Data), Some(after));
}

#[test]
fn jumps_do_not_leave_the_number_space() {
    let mut bench = bench();
    bench.recovery.skip(SpaceId::Data, u64::MAX);
    bench.recovery.skip(SpaceId::Data, u64::MAX);
    assert_eq!(bench.recovery.next_number(SpaceId::Data), (1 << 62) - 1);
}

#[test]
fn an_ack_of_every_other_packet_of_many_retires_each_once() {
    let mut bench = bench();
    bench.send_each([0; 2000]);
    let every_other: Vec<_> = (0..1000).map(|n| 2 * n..=2 * n).collect();
    bench.ack(at(50), &every_other).expect("they were sent");
    assert_eq!((bench.acked().len(), bench.fates.lost_packets), (1000, 998));
    for _ in 0..100 {
        bench.ack(at(51), &every_other).expect("they were sent");
        assert!(bench.fates.paths.is_empty());
    }
    assert_eq!(bench.deadline(), Some(at(90)));
}
