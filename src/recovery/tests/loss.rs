//! What is lost and when (RFC 9002, Sections 6.1 and 7.6).

use super::*;

// ---- loss --------------------------------------------------------------------------------------

#[test]
fn a_packet_is_lost_once_one_sent_three_later_arrived() {
    let mut bench = bench();
    bench.send_each(0..4);
    bench.ack(at(50), &[2..=2]).expect("it was sent");
    assert!(bench.lost().is_empty());
    bench.ack(at(51), &[3..=3]).expect("it was sent");
    assert_eq!(bench.lost(), [0]);
    assert_eq!((bench.fate(HOME).lost_bytes, bench.fate(HOME).largest_lost_sent), (1000, Some(at(0))));
}

#[test]
fn a_packet_is_lost_once_nine_eighths_of_a_round_trip_passed() {
    let mut bench = bench();
    bench.send(at(0));
    bench.send(at(10));
    bench.ack(at(89), &[1..=1]).expect("it was sent");
    assert_eq!((bench.lost(), bench.deadline()), (vec![], Some(at(90))));
    assert_eq!(bench.timeout(at(89)), None);
    assert_eq!(bench.timeout(at(90)), Some(Timeout::Lost(SpaceId::Data)));
    assert_eq!((bench.lost(), bench.deadline()), (vec![0], None));
}

#[test]
fn the_sample_of_the_same_ack_decides_how_late_is_lost() {
    let mut bench = bench();
    bench.send(at(0));
    bench.send(at(10));
    // 160 ms: the limit is 180 ms, not 90.
    bench.ack(at(170), &[1..=1]).expect("it was sent");
    assert_eq!((bench.lost(), bench.deadline()), (vec![], Some(at(180))));
}

#[test]
fn nothing_is_lost_without_a_later_arrival() {
    let mut bench = bench();
    bench.send(at(0));
    bench.send(at(1));
    bench.ack(at(80), &[0..=0]).expect("it was sent");
    assert!(bench.lost().is_empty());
    // 145 ms after it was sent.
    assert_eq!(bench.deadline(), Some(at(146)));
}

#[test]
fn a_packet_that_arrives_after_all_is_tolerated() {
    let mut bench = bench();
    bench.send_each(0..5);
    bench.ack(at(50), &[1..=4]).expect("they were sent");
    assert_eq!(bench.lost(), [0]);
    bench.ack(at(51), &[0..=4]).expect("they were sent");
    assert!(bench.acked().is_empty() && bench.fates.paths.is_empty());
}

#[test]
fn packets_that_are_only_acks_are_forgotten_not_lost() {
    let mut bench = bench();
    bench.send_ack(at(0));
    bench.send_each(0..4);
    bench.ack(at(80), &[1..=4]).expect("they were sent");
    assert_eq!(bench.fates.lost_packets, 0);
    assert!(bench.fates.lost.is_empty());
    assert_eq!(bench.deadline(), None);
}

#[test]
fn what_arrives_elsewhere_is_evidence_by_time_only() {
    let mut bench = bench();
    bench.send_on(HOME, at(0));
    for n in 1..=9 {
        bench.send_on(OTHER, at(n));
    }
    bench.ack(at(50), &[1..=9]).expect("they were sent");
    assert_eq!((bench.lost(), bench.deadline()), (vec![], Some(at(90))));
    bench.timeout(at(90));
    assert_eq!(bench.lost(), [0]);
    assert_eq!((bench.fate(HOME).lost_bytes, bench.fate(OTHER).lost_bytes), (1000, 0));
}

#[test]
fn many_packets_of_a_slower_path_do_not_hide_losses_of_the_faster() {
    let mut bench = bench();
    for n in 0..1000 {
        bench.send_on(if n < 500 { HOME } else { OTHER }, at(n / 500));
    }
    for n in 500..996 {
        // Every fourth packet of the other path is missing.
        if n % 4 != 0 {
            bench.ack(at(40), &[n..=n]).expect("it was sent");
            assert_eq!(bench.lost(), if n % 4 == 3 { vec![n - 3] } else { vec![] });
        }
    }
    assert_eq!(bench.deadline(), Some(at(90)));
    bench.ack(at(80), &[100..=499]).expect("they were sent");
    assert_eq!(bench.fates.lost_packets, 100);
}

#[test]
fn a_seek_that_is_acknowledged_proves_nothing_and_arms_nothing() {
    let mut bench = bench();
    bench.send(at(0));
    for n in 0..5 {
        bench.seek(at(n));
    }
    assert_eq!(bench.deadline(), Some(at(145)));
    bench.ack(at(120), &[1..=5]).expect("they were sent");
    assert_eq!((bench.lost(), bench.fates.rtt_sample), (vec![], None));
    assert!(bench.recovery.has_ack_eliciting_in_flight(SpaceId::Data));
    bench.ack(at(121), &[0..=5]).expect("they were sent");
    assert!(!bench.recovery.has_ack_eliciting_in_flight(SpaceId::Data));
}

// ---- probes of the MTU, and large packets ----------------------------------------------------------

#[test]
fn a_lost_probe_of_the_mtu_is_told_and_charges_nobody() {
    let mut bench = bench();
    bench.probe_mtu(at(0));
    assert_eq!(bench.deadline(), None, "nobody waits for it");
    bench.send_each(1..4);
    bench.ack(at(80), &[1..=3]).expect("they were sent");
    assert_eq!(bench.fates.lost, [Record::MtuProbe { path: HOME, bytes: 1400 }]);
    let fate = bench.fate(HOME);
    assert_eq!((fate.lost_bytes, fate.discarded_bytes, fate.largest_lost_sent), (0, 1400, None));
    assert_eq!((fate.vanished, bench.fates.lost_packets), (0, 1));
}

#[test]
fn large_packets_have_vanished_if_only_smaller_ones_that_were_sent_later_arrive() {
    let mut bench = bench();
    for (time, len) in [(0, 1400), (1, 1300), (2, 1200), (3, 1500), (4, 1299), (5, 1000), (6, 1000)] {
        bench.send_sized(at(time), len);
    }
    bench.ack(at(80), &[4..=6]).expect("they were sent");
    let fate = bench.fate(HOME);
    assert_eq!(bench.lost(), [0, 1, 2, 3]);
    assert_eq!((fate.vanished, fate.smallest_vanished, fate.largest_acked), (3, 1300, 1299));
}

#[test]
fn an_arrival_speaks_for_all_that_are_as_small_and_were_sent_before() {
    let mut bench = bench();
    for (time, len) in [(0, 1400), (1, 1400), (2, 1400), (3, 1500), (4, 1500), (5, 1000), (6, 1000)] {
        bench.send_sized(at(time), len);
    }
    bench.ack(at(80), &[3..=3, 5..=6]).expect("they were sent");
    assert_eq!((bench.lost(), bench.fate(HOME).vanished), (vec![0, 1, 2], 0));
    bench.timeout(at(94));
    assert_eq!((bench.lost(), bench.fate(HOME).vanished), (vec![4], 1));
}

// ---- persistent congestion ---------------------------------------------------------------------

/// The example of RFC 9002, Section 7.6.3, with seconds as there: PTO with the peer's delay is 2.
fn example() -> Bench {
    let mut bench = bench();
    let second = ms(1000);
    let rtt =
        RttView { smoothed: second, variance: second / 4, latest: second, max_ack_delay: ms(0), ..bench.rtt };
    bench.rtt = RttView { has_sample: false, ..rtt };
    bench.send(at(0)); // #1 of the example
    bench.send(at(1000));
    bench.ack(at(1200), &[0..=0]).expect("it was sent");
    bench.rtt = rtt;
    bench.send_each([2000, 3000, 4000, 5000, 6000]);
    bench
}

#[test]
fn losses_that_span_three_timeouts_are_persistent_congestion() {
    let mut bench = example();
    bench.send(at(8000));
    bench.send(at(8001));
    bench.send(at(12_000));
    // #2 went before the first sample and does not count; #3 to #8 span 6 s and a bit.
    bench.ack(at(12_200), &[9..=9]).expect("it was sent");
    assert_eq!(bench.lost(), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert!(bench.fate(HOME).persistent);
}

#[test]
fn a_packet_that_arrived_in_between_ends_the_span() {
    let mut bench = example();
    bench.send(at(8000));
    bench.send(at(8001));
    bench.send(at(12_000));
    bench.ack(at(12_200), &[4..=4, 9..=9]).expect("they were sent");
    assert_eq!(bench.lost(), [1, 2, 3, 5, 6, 7, 8]);
    assert!(!bench.fate(HOME).persistent);
}

#[test]
fn packets_that_ask_for_nothing_do_not_span_persistent_congestion() {
    let mut bench = example();
    bench.send_padding(at(8000));
    bench.send_padding(at(9000));
    bench.send(at(12_000));
    // #3 to #7 span 4 s; what comes after them are padded ACKs.
    bench.ack(at(12_200), &[9..=9]).expect("it was sent");
    assert_eq!((bench.fates.lost_packets, bench.fate(HOME).persistent), (8, false));
}

#[test]
fn one_loss_alone_is_not_persistent_congestion() {
    let mut bench = bench();
    bench.send(at(0));
    bench.send(at(100_000));
    bench.ack(at(100_080), &[1..=1]).expect("it was sent");
    assert_eq!((bench.fates.lost_packets, bench.fate(HOME).persistent), (1, false));
}

#[test]
fn losses_from_before_the_first_sample_are_not_persistent_congestion() {
    let mut bench = bench();
    let rtt = RttView { has_sample: false, ..bench.rtt };
    bench.send_each((0..10).map(|n| n * 1000));
    bench.ack_seeing(at(9080), &[9..=9], |_| rtt).expect("it was sent");
    assert_eq!((bench.fates.lost_packets, bench.fate(HOME).persistent), (9, false));
}

#[test]
fn losses_on_a_path_that_began_afresh_are_not_persistent_congestion_before_a_sample() {
    let mut bench = example();
    bench.recovery.abandon_all(SpaceId::Data, &mut bench.fates);
    bench.recovery.begin_afresh(at(7000), HOME);
    bench.send_each((7..17).map(|n| n * 1000));
    let rtt = RttView { has_sample: false, ..bench.rtt };
    bench.ack_seeing(at(17_000), &[16..=16], |_| rtt).expect("it was sent");
    assert_eq!((bench.fates.lost_packets, bench.fate(HOME).persistent), (9, false));
    bench.send_each((17..27).map(|n| n * 1000));
    bench.ack(at(27_000), &[26..=26]).expect("it was sent");
    assert!(bench.fate(HOME).persistent);
}

#[test]
fn losses_on_two_paths_make_no_common_span() {
    let mut bench = bench();
    for (path, time) in [(HOME, 0), (OTHER, 1)] {
        bench.send_on(path, at(time));
        let number = bench.recovery.next_number(SpaceId::Data) - 1;
        let rtt = RttView { has_sample: false, ..bench.rtt };
        bench.ack_seeing(at(80), &[number..=number], |_| rtt).expect("it was sent");
    }
    bench.send_on(HOME, at(100));
    bench.send_on(OTHER, at(700));
    bench.send_on(OTHER, at(800));
    bench.ack(at(1000), &[4..=4]).expect("it was sent");
    assert_eq!(bench.lost(), [2, 3]);
    assert!(!bench.fate(HOME).persistent && !bench.fate(OTHER).persistent);
}
