//! Paths that are left, and the bounds on what is remembered.

use super::*;

// ---- moving ------------------------------------------------------------------------------------

#[test]
fn an_abandoned_path_is_charged_with_nothing_and_measures_nothing() {
    let mut bench = bench();
    bench.send_on(HOME, at(0));
    bench.send_on(OTHER, at(1));
    bench.send_on(HOME, at(2));
    bench.fates.clear();
    bench.recovery.abandon_path(HOME, &mut bench.fates);
    assert_eq!((bench.lost(), bench.fates.lost_packets), (vec![0, 2], 2));
    assert_eq!(bench.fate(HOME), PathFate { discarded_bytes: 2000, ..PathFate::default() });
    bench.ack(at(80), &[0..=0, 2..=2]).expect("both were sent");
    assert_eq!((bench.fates.rtt_sample, bench.fates.newly_acked_largest), (None, None));
    assert!(bench.fates.paths.is_empty());
    assert_eq!(bench.deadline(), Some(at(147)));
    bench.ack(at(81), &[0..=2]).expect("they were sent");
    assert_eq!(bench.acked(), [1]);
}

#[test]
fn a_server_that_moved_starts_from_nothing() {
    let mut bench = bench();
    bench.send_each(0..10);
    bench.ack(at(60), &[2..=2]).expect("it was sent");
    bench.timeout(at(500));
    bench.fates.clear();
    bench.recovery.abandon_all(SpaceId::Data, &mut bench.fates);
    bench.recovery.reset_backoff();
    bench.recovery.skip(SpaceId::Data, 1 << 16);
    bench.recovery.begin_afresh(at(600), HOME);
    assert_eq!(bench.deadline(), None);
    let first = bench.send_on(OTHER, at(600));
    bench.ack(at(680), &[0..=9, first..=first]).expect("all were sent");
    assert_eq!((bench.acked(), bench.lost()), (vec![first], vec![]));
    assert_eq!(bench.fates.rtt_sample, Some((OTHER, ms(80))));
    bench.ack(at(690), &[50..=50]).expect_err("a copy of us sent it");
}

#[test]
fn stream_data_whose_fate_is_open_is_known_by_its_packets() {
    let mut bench = bench();
    let id = StreamId::from_wire(0);
    let piece = |n: u64| Record::Stream { id, offset: n * 1000, len: 1000, fin: false };
    for n in 0..4 {
        let sent =
            Sent { number: n, path: HOME, len: 1030, ack_eliciting: true, in_flight: true, marked: false };
        bench.recovery.on_sent(
            at(0),
            SpaceId::Data,
            sent,
            &[Record::Ack { largest: n }, piece(n), record(n)],
        );
    }
    bench.send(at(1));
    bench.ack(at(80), &[1..=1]).expect("it was sent");
    assert_eq!(bench.recovery.stream_data(), [(0, piece(0)), (2, piece(2)), (3, piece(3))]);
    bench.recovery.abandon_all(SpaceId::Data, &mut bench.fates);
    assert_eq!(bench.recovery.stream_data(), []);
}

// ---- bounds ------------------------------------------------------------------------------------

#[test]
fn skipping_without_end_forgets_the_oldest_skips_only() {
    let mut bench = bench();
    for _ in 0..10_000 {
        bench.send(at(0));
        bench.recovery.skip(SpaceId::Data, 1);
    }
    bench.ack(at(80), &[19_997..=19_997]).expect_err("it was skipped lately");
    bench.ack(at(80), &[19_601..=19_601]).expect_err("it was skipped two hundred skips ago");
    bench.ack(at(80), &[1..=1]).expect("nobody knows any more");
}

#[test]
fn skips_behind_the_window_are_forgotten_but_for_the_newest() {
    let mut bench = bench();
    for n in 0..1000 {
        let number = bench.send(at(n));
        bench.recovery.skip(SpaceId::Data, 1);
        bench.ack(at(n + 80), &[number..=number]).expect("it was sent");
    }
    bench.ack(at(2000), &[1997..=1997]).expect_err("it was skipped lately");
    bench.ack(at(2000), &[1961..=1961]).expect("nothing that old is waited for");
}

#[test]
fn more_paths_than_are_remembered_still_lose_by_time() {
    let mut bench = bench();
    for path in 0..40 {
        bench.send_on(PathId(path), at(0));
        bench.send_on(PathId(path), at(1));
    }
    let second_of_each: Vec<_> = (0..40).map(|path| 2 * path + 1..=2 * path + 1).collect();
    bench.ack(at(80), &second_of_each).expect("they were sent");
    assert_eq!((bench.fates.acked.len(), bench.fates.lost_packets), (40, 0));
    bench.timeout(at(90));
    assert_eq!(bench.fates.lost_packets, 40);
    assert_eq!(bench.deadline(), None);
}
