//! Links: time, bandwidth, queues and mishaps.

use super::*;
use crate::ms;

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn wire(link: Link) -> Wire {
    Wire::new(link, Dice::named(1, "wire"))
}

/// How many of a thousand datagrams get through.
fn through(link: Link) -> usize {
    let mut wire = wire(link);
    (0..1000).filter(|_| wire.carry(at(0), 1200).is_ok()).count()
}

#[test]
fn a_perfect_link_only_takes_its_time() {
    let carried = wire(Link::rtt(ms(30))).carry(at(5), 1200).expect("nothing is lost");
    assert_eq!((carried.at, carried.again, carried.flipped), (at(20), None, None));
}

#[test]
fn a_bandwidth_spreads_datagrams() {
    // 1222 + 28 bytes are 10 000 bits: a millisecond at 10 Mbit/s.
    let mut wire = wire(Link::delay(ms(10)).bandwidth(10_000_000));
    let arrivals: Vec<Instant> = (0..3).map(|_| wire.carry(at(0), 1222).expect("there is room").at).collect();
    assert_eq!(arrivals, [at(11), at(12), at(13)]);
    assert_eq!(wire.carry(at(50), 1222).expect("there is room").at, at(61));
}

#[test]
fn a_full_queue_drops_at_its_tail() {
    let slow = Link::delay(ms(10)).bandwidth(10_000_000);
    let mut packets = wire(slow.clone().queue(Queue::Packets(2)));
    let taken: Vec<bool> = (0..3).map(|_| packets.carry(at(0), 1222).is_ok()).collect();
    assert_eq!(taken, [true, true, false]);
    assert!(packets.carry(at(1), 1222).is_ok(), "the first has left");
    let mut bytes = wire(slow.queue(Queue::Bytes(2500)));
    let taken: Vec<bool> = (0..3).map(|_| bytes.carry(at(0), 1222).is_ok()).collect();
    assert_eq!(taken, [true, true, false]);
}

#[test]
fn loss_is_about_as_likely_as_said() {
    assert_eq!(through(Link::delay(ms(1))), 1000);
    assert_eq!(through(Link::delay(ms(1)).loss(1.0)), 0);
    assert!((650..750).contains(&through(Link::delay(ms(1)).loss(0.3))));
}

#[test]
fn what_is_too_large_or_sent_in_an_outage_is_lost() {
    let mut wire = wire(Link::delay(ms(1)).mtu(1200).outage(at(10)..at(20)));
    assert_eq!(wire.carry(at(0), 1201), Err(Loss::TooLarge));
    assert_eq!(wire.carry(at(10), 1200), Err(Loss::Outage));
    assert!(wire.carry(at(20), 1200).is_ok());
    wire.set(Link::delay(ms(1)).down());
    assert_eq!(wire.carry(at(30), 1200), Err(Loss::Outage));
}

#[test]
fn mishaps_in_a_row_can_be_bounded() {
    for unlucky in [Link::delay(ms(1)).loss(1.0), Link::delay(ms(1)).corruption(1.0)] {
        let mut wire = wire(unlucky.in_a_row(3));
        let lucky = |carried: Result<Carried, Loss>| carried.is_ok_and(|carried| carried.flipped.is_none());
        let luck: Vec<_> = (0..8).map(|_| lucky(wire.carry(at(0), 1200))).collect();
        assert_eq!(luck, [false, false, false, true, false, false, false, true]);
    }
}

#[test]
fn corruption_can_be_kept_to_headers() {
    let mut wire = wire(Link::delay(ms(1)).corruption(1.0).corrupt_within(50));
    let mut flip = |len| wire.carry(at(0), len).ok().and_then(|carried| carried.flipped);
    assert!((0..100).all(|_| flip(1200).is_some_and(|bit| bit < 50 * 8)));
    assert!((0..100).all(|_| flip(2).is_some_and(|bit| bit < 16)));
}

#[test]
fn one_setting_does_not_reshuffle_another() {
    let flips = |link: Link| {
        let mut wire = wire(link.corruption(0.5));
        let flipped = |carried: Result<Carried, Loss>| carried.ok().map(|carried| carried.flipped);
        (0..100).map(|_| flipped(wire.carry(at(0), 1200))).collect::<Vec<_>>()
    };
    let (clean, lossy) = (flips(Link::delay(ms(1))), flips(Link::delay(ms(1)).loss(0.5)));
    assert!(lossy.iter().zip(&clean).all(|(lossy, clean)| lossy.is_none() || lossy == clean));
}

#[test]
fn a_late_datagram_is_overtaken_and_a_double_comes_twice() {
    let mut wire = wire(Link::delay(ms(10)).reordering(0.5, ms(5)).duplication(1.0));
    let arrivals: Vec<_> = (0..20).map(|_| wire.carry(at(0), 100).expect("nothing is lost")).collect();
    assert!(arrivals.iter().any(|carried| carried.at > at(10)));
    assert!(arrivals.iter().all(|carried| carried.at <= at(15) && carried.again > Some(carried.at)));
}

#[test]
fn a_link_changes_marks_as_it_is_told_and_leaves_what_has_none() {
    let arrives = |marking, ecn| wire(Link::delay(ms(1)).marking(marking)).mark(ecn);
    for (marking, mark) in [
        (Marking::Keep, Some(Ecn::Ect0)),
        (Marking::Bleach, Some(Ecn::NotEct)),
        (Marking::Drop, None),
        (Marking::Remark(Ecn::Ect1), Some(Ecn::Ect1)),
        (Marking::Congested(0), Some(Ecn::Ce)),
        (Marking::Congested(1), Some(Ecn::Ect0)),
    ] {
        assert_eq!(arrives(marking, Ecn::Ect0), mark, "{marking:?}");
        assert_eq!(arrives(marking, Ecn::NotEct), Some(Ecn::NotEct), "{marking:?}");
    }
}
