//! Translators: mapping, filtering and forgetting.

use super::*;
use crate::{addr, ip, ms};

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// Whether a translator lets in the peer it was used to send to, another port there, and a stranger.
fn lets_in(filtering: Filtering) -> [bool; 3] {
    let mut nat = Nat::new(&[ip("10.0.0.2")], ip("192.0.2.77"), filtering);
    let public = nat.outward(at(0), addr("10.0.0.2:1000"), addr("203.0.113.1:443"));
    let try_from = |peer: &str| nat.inward(at(1), addr(peer), public) == Some(addr("10.0.0.2:1000"));
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
