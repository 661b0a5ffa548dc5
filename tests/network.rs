//! The simulated network itself: links, translators, taps. Nothing here knows QUIC.

#[path = "../sim/src/dice.rs"]
mod dice;
#[path = "../sim/src/link.rs"]
mod link;
#[path = "../sim/src/nat.rs"]
mod nat;
#[path = "../sim/src/network.rs"]
mod network;
#[path = "../sim/src/shape.rs"]
mod shape;
#[path = "../sim/src/trace.rs"]
mod trace;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use peregrine::Instant;

use dice::Dice;
use link::{Link, Loss, Queue, Wire};
use nat::{Filtering, Mapping, Nat};
use network::{Datagram, HostId, Network, Verdict};
use shape::{Kind, Shape};

const A: HostId = HostId(0);
const B: HostId = HostId(1);

fn addr(text: &str) -> SocketAddr {
    text.parse().expect("an address and a port")
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

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
        let lucky =
            |carried: Result<link::Carried, Loss>| carried.is_ok_and(|carried| carried.flipped.is_none());
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
        let flipped = |carried: Result<link::Carried, Loss>| carried.ok().map(|carried| carried.flipped);
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

/// Two hosts, 10 ms apart.
fn network() -> Network {
    let mut network = Network::new(1);
    network.attach(addr("192.0.2.1:1000"), A);
    network.attach(addr("203.0.113.1:443"), B);
    network
}

fn hello(from: &str, to: &str) -> Datagram {
    Datagram::new(addr(from), addr(to), b"hello".to_vec())
}

/// Who gets what until nothing is under way.
fn deliveries(network: &mut Network) -> Vec<(u64, HostId, SocketAddr)> {
    let mut out = Vec::new();
    while let Some(now) = network.next() {
        while let Some((host, datagram)) = network.receive(now) {
            out.push((now.as_micros() / 1000, host, datagram.from));
        }
    }
    out
}

#[test]
fn a_datagram_reaches_whoever_holds_its_destination_when_it_arrives() {
    let mut network = network();
    network.send(at(0), hello("192.0.2.1:1000", "203.0.113.1:443"));
    network.send(at(0), hello("192.0.2.1:1000", "203.0.113.9:443"));
    assert_eq!(deliveries(&mut network), [(10, B, addr("192.0.2.1:1000"))]);
    network.send(at(20), hello("192.0.2.1:1000", "203.0.113.1:443"));
    network.detach(addr("203.0.113.1:443"));
    assert_eq!(deliveries(&mut network), []);
}

#[test]
fn the_newest_rule_that_fits_is_the_link() {
    let mut network = network();
    network.link(None, Some(ip("203.0.113.1")), Link::delay(ms(3)));
    network.send(at(0), hello("192.0.2.1:1000", "203.0.113.1:443"));
    network.send(at(0), hello("203.0.113.1:443", "192.0.2.1:1000"));
    let arrived: Vec<u64> = deliveries(&mut network).iter().map(|delivery| delivery.0).collect();
    assert_eq!(arrived, [3, 10]);
    network.link(None, None, Link::delay(ms(7)));
    network.send(at(20), hello("192.0.2.1:1000", "203.0.113.1:443"));
    assert_eq!(deliveries(&mut network)[0].0, 27);
}

#[test]
fn a_tap_drops_delays_and_copies() {
    let mut network = network();
    let mut seen = 0;
    network.tap(Box::new(move |_, datagram| {
        seen += 1;
        match seen {
            1 => Verdict::Drop,
            2 => Verdict::Delay(ms(5)),
            3 => Verdict::Copy { from: addr("198.51.100.66:6"), to: datagram.to, after: ms(2) },
            4 => Verdict::Replace(b"other".to_vec()),
            _ => Verdict::Pass,
        }
    }));
    for _ in 0..5 {
        network.send(at(0), hello("192.0.2.1:1000", "203.0.113.1:443"));
    }
    let client = addr("192.0.2.1:1000");
    let spoofed = addr("198.51.100.66:6");
    let expected = [(10, B, client), (10, B, client), (10, B, client), (12, B, spoofed), (15, B, client)];
    assert_eq!(deliveries(&mut network), expected);
}

/// Whether a translator lets in the peer it was used to send to, another port there, and a stranger.
fn lets_in(filtering: Filtering) -> [bool; 3] {
    let mut nat = Nat::new(&[ip("10.0.0.2")], ip("192.0.2.77"), filtering);
    let public = nat.outward(at(0), addr("10.0.0.2:1000"), addr("203.0.113.1:443"));
    let mut try_from = |peer: &str| nat.inward(at(1), addr(peer), public) == Some(addr("10.0.0.2:1000"));
    [try_from("203.0.113.1:443"), try_from("203.0.113.1:444"), try_from("203.0.113.2:443")]
}

#[test]
fn translators_filter_in_three_ways() {
    assert_eq!(lets_in(Filtering::EndpointIndependent), [true, true, true]);
    assert_eq!(lets_in(Filtering::AddressDependent), [true, true, false]);
    assert_eq!(lets_in(Filtering::AddressAndPortDependent), [true, false, false]);
}

#[test]
fn a_rebound_translator_sends_from_elsewhere_and_forgets() {
    let mut nat = Nat::new(&[ip("10.0.0.2")], ip("192.0.2.77"), Filtering::EndpointIndependent);
    let (inside, peer) = (addr("10.0.0.2:1000"), addr("203.0.113.1:443"));
    let before = nat.outward(at(0), inside, peer);
    assert_eq!(nat.outward(at(1), inside, addr("203.0.113.2:443")), before);
    nat.rebind(Some(ip("192.0.2.78")));
    let after = nat.outward(at(2), inside, peer);
    assert_ne!(after.port(), before.port());
    assert_eq!(after.ip(), ip("192.0.2.78"));
    assert_eq!(nat.inward(at(3), peer, before), None);
}

#[test]
fn a_translator_may_map_by_destination_and_forget_in_time() {
    let nat = Nat::new(&[ip("10.0.0.2")], ip("192.0.2.77"), Filtering::EndpointIndependent);
    let mut nat = nat.mapping(Mapping::PerDestination).timeout(ms(100));
    let inside = addr("10.0.0.2:1000");
    let first = nat.outward(at(0), inside, addr("203.0.113.1:443"));
    assert_ne!(nat.outward(at(0), inside, addr("203.0.113.2:443")), first);
    assert!(nat.inward(at(99), addr("203.0.113.1:443"), first).is_some());
    assert!(nat.inward(at(100), addr("203.0.113.1:443"), first).is_none());
}

#[test]
fn a_host_behind_a_translator_is_seen_at_its_public_address() {
    let mut network = network();
    network.attach(addr("10.0.0.2:5"), HostId(2));
    network.nat(Nat::new(&[ip("10.0.0.2")], ip("192.0.2.77"), Filtering::AddressDependent));
    network.send(at(0), hello("10.0.0.2:5", "203.0.113.1:443"));
    let seen = deliveries(&mut network)[0].2;
    assert_eq!(seen, addr("192.0.2.77:20000"));
    network.send(at(20), Datagram::new(addr("203.0.113.1:443"), seen, Vec::new()));
    network.send(at(20), Datagram::new(addr("203.0.113.7:443"), seen, Vec::new()));
    assert_eq!(deliveries(&mut network), [(30, HostId(2), addr("203.0.113.1:443"))]);
}

#[test]
fn the_same_seed_loses_the_same_datagrams_whatever_other_links_do() {
    let run = |others: u64| {
        let mut network = network();
        network.link(None, None, Link::delay(ms(10)).loss(0.5));
        network.attach(addr("192.0.2.9:9"), A);
        for round in 0..50 {
            network.send(at(round), hello("192.0.2.1:1000", "203.0.113.1:443"));
            for _ in 0..others {
                network.send(at(round), hello("192.0.2.9:9", "203.0.113.1:443"));
            }
        }
        let all = deliveries(&mut network);
        all.into_iter().filter(|(_, _, from)| *from == addr("192.0.2.1:1000")).collect::<Vec<_>>()
    };
    assert_eq!(run(0), run(3));
}

#[test]
fn the_trace_tells_runs_apart() {
    let run = |len: usize| {
        let mut network = network();
        let datagram = Datagram::new(addr("192.0.2.1:1000"), addr("203.0.113.1:443"), vec![0; len]);
        network.send(at(0), datagram);
        (network.trace.hash(), network.trace.datagrams(), network.trace.bytes())
    };
    assert_eq!(run(100), run(100));
    assert_ne!(run(100).0, run(101).0);
    assert_eq!((run(100).1, run(100).2), (1, 100));
}

#[test]
fn the_buffer_of_a_lost_datagram_is_used_again() {
    let mut network = network();
    network.link(None, None, Link::delay(ms(10)).down());
    network.send(at(0), hello("192.0.2.1:1000", "203.0.113.1:443"));
    assert!(network.buffer().capacity() >= 5);
}

#[test]
fn coalesced_packets_are_seen_without_keys() {
    // Initial with empty IDs and token and a body of 2 bytes, Handshake with a body of 1 byte, 1-RTT.
    let initial = [0xc0, 0, 0, 0, 1, 0, 0, 0, 2, 7, 7];
    let handshake = [0xe0, 0, 0, 0, 1, 0, 0, 1, 7];
    let datagram = [&initial[..], &handshake[..], &[0x40, 1, 2]].concat();
    let shape = Shape::of(&datagram);
    assert_eq!(shape.to_string(), "Initial+Handshake+OneRtt");
    assert!(shape.has(Kind::Handshake) && !shape.has(Kind::Retry));
    assert_eq!(Shape::of(&[]).to_string(), "?");
}

#[test]
fn packets_of_version_2_are_seen_as_what_they_are() {
    let initial = [0xd0, 0x6b, 0x33, 0x43, 0xcf, 0, 0, 0, 2, 7, 7];
    let handshake = [0xf0, 0x6b, 0x33, 0x43, 0xcf, 0, 0, 1, 7];
    let shape = Shape::of(&[&initial[..], &handshake[..]].concat());
    let packets: Vec<_> = shape.packets().collect();
    assert_eq!(packets, [(Kind::Initial, 0x6b33_43cf), (Kind::Handshake, 0x6b33_43cf)]);
    assert!(Shape::of(&[0xc0, 0x6b, 0x33, 0x43, 0xcf, 0, 0, 1]).has(Kind::Retry));
}

#[test]
fn a_balancer_says_who_gets_what_it_knows() {
    let mut network = network();
    network.balance(Box::new(|datagram| (datagram.from == addr("192.0.2.7:7")).then_some(A)));
    network.send(at(0), hello("192.0.2.7:7", "203.0.113.1:443"));
    network.send(at(0), hello("192.0.2.1:1000", "203.0.113.1:443"));
    let hosts: Vec<HostId> = deliveries(&mut network).iter().map(|delivery| delivery.1).collect();
    assert_eq!(hosts, [A, B]);
}

#[test]
fn a_link_changes_marks_as_it_is_told_and_leaves_what_has_none() {
    use link::Marking;
    use peregrine::Ecn;
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
