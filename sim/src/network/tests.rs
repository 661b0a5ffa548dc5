//! The network itself: who gets what, and when. Nothing here knows QUIC.

use super::*;
use crate::{Filtering, addr, ip, ms};

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

const A: HostId = HostId(0);

const B: HostId = HostId(1);

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
fn a_balancer_says_who_gets_what_it_knows() {
    let mut network = network();
    network.balance(Box::new(|datagram| (datagram.from == addr("192.0.2.7:7")).then_some(A)));
    network.send(at(0), hello("192.0.2.7:7", "203.0.113.1:443"));
    network.send(at(0), hello("192.0.2.1:1000", "203.0.113.1:443"));
    let hosts: Vec<HostId> = deliveries(&mut network).iter().map(|delivery| delivery.1).collect();
    assert_eq!(hosts, [A, B]);
}
