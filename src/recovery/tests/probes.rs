//! The probe timeout, and keys that go (RFC 9002, Sections 6.2 and 6.4).

use super::*;

#[test]
fn a_silent_peer_is_probed_ever_more_rarely_until_it_answers() {
    let mut bench = bench();
    bench.send(at(0));
    assert_eq!(bench.timeout(at(144)), None);
    assert_eq!(bench.timeout(at(145)), Some(Timeout::Probe(SpaceId::Data)));
    bench.send(at(145));
    assert_eq!((bench.recovery.pto_count(), bench.deadline()), (1, Some(at(435))));
    bench.timeout(at(435));
    bench.send(at(435));
    assert_eq!(bench.deadline(), Some(at(1015)));
    bench.ack(at(500), &[2..=2]).expect("it was sent");
    assert_eq!(bench.recovery.pto_count(), 0);
}

#[test]
fn a_probe_timeout_declares_nothing_lost() {
    let mut bench = bench();
    bench.send(at(0));
    bench.timeout(at(145));
    assert!(bench.fates.lost.is_empty() && bench.fates.paths.is_empty());
    assert!(bench.recovery.has_ack_eliciting_in_flight(SpaceId::Data));
}

#[test]
fn a_probe_that_could_not_be_sent_is_not_asked_for_at_once_again() {
    let mut bench = bench();
    bench.send(at(0));
    bench.timeout(at(600_000));
    assert_eq!(bench.deadline(), Some(at(600_290)));
}

#[test]
fn probes_repeat_the_oldest_packets_without_giving_them_up() {
    let mut bench = bench();
    bench.send(at(0));
    bench.send_ack(at(0));
    bench.send_each([0; 3]);
    bench.ack(at(10), &[2..=2]).expect("it was sent");
    bench.fates.clear();
    bench.recovery.reoffer_oldest(SpaceId::Data, 2, &mut bench.fates);
    assert_eq!((bench.lost(), bench.fates.lost_packets), (vec![0, 3], 0));
    bench.ack(at(20), &[0..=4]).expect("they were sent");
    assert_eq!(bench.acked(), [0, 3, 4]);
}

#[test]
fn an_ack_of_an_initial_packet_does_not_reset_a_clients_back_off() {
    let mut bench = bench();
    let sent = Sent { number: 0, path: HOME, len: 1200, ack_eliciting: true, in_flight: true, marked: false };
    bench.recovery.on_sent(at(0), SpaceId::Initial, sent, &[]);
    assert_eq!(bench.timeout(at(120)), Some(Timeout::Probe(SpaceId::Initial)));
    let mut bytes = [0; 8];
    let mut set = RangeSet::new();
    set.insert_one(0);
    AckOut { ranges: &set, limit: 1, delay: 0, ecn: None, due: true }.encode(&mut Writer::new(&mut bytes));
    let Some(Ok(Frame::Ack(ack))) = Frames::new(&bytes).next() else { panic!("an ACK was written") };
    let rtt = bench.rtt;
    bench.recovery.on_ack(at(130), SpaceId::Initial, &ack, |_| rtt, &mut bench.fates).expect("it was sent");
    assert_eq!(bench.recovery.pto_count(), 1);
    // Nothing is in flight, yet the server may need us: the next probe counts from the ACK.
    let rules = PtoRules { peer_validated: false, has_handshake_keys: true, ..bench.rules() };
    assert_eq!(bench.recovery.deadline(&rules), Some(at(370)));
    assert_eq!(bench.recovery.largest_acked(SpaceId::Initial), Some(0));
}

#[test]
fn discarded_keys_take_their_packets_out_of_flight_and_reset_the_back_off() {
    let mut bench = bench();
    let sent = Sent { number: 0, path: HOME, len: 1200, ack_eliciting: true, in_flight: true, marked: false };
    bench.recovery.on_sent(at(0), SpaceId::Initial, sent, &[record(0)]);
    bench.timeout(at(120));
    bench.recovery.discard_space(SpaceId::Initial, &mut bench.fates);
    assert_eq!(bench.fate(HOME), PathFate { discarded_bytes: 1200, ..PathFate::default() });
    assert!(bench.fates.lost.is_empty());
    assert_eq!((bench.recovery.pto_count(), bench.deadline()), (0, None));
    bench.recovery.discard_space(SpaceId::Initial, &mut bench.fates);
    assert_eq!(bench.fate(HOME).discarded_bytes, 1200);
}

#[test]
fn a_packet_should_ask_after_sixteen_that_did_not() {
    let mut bench = bench();
    for _ in 0..15 {
        bench.send_ack(at(0));
    }
    assert!(!bench.recovery.wants_answer(SpaceId::Data));
    bench.send_ack(at(0));
    assert!(bench.recovery.wants_answer(SpaceId::Data));
    bench.send(at(0));
    assert!(!bench.recovery.wants_answer(SpaceId::Data));
}
