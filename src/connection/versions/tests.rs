//! Who agrees on what, what is read how, and every way to tamper with it.

use super::Version::{V1, V2};
use super::*;
use crate::error::Code;
use crate::id::{ConnectionId, Side};
use crate::rng::SeededRng;

const ONE: u32 = 0x0000_0001;
const TWO: u32 = 0x6b33_43cf;
const RESERVED: u32 = 0x1a2a_3a4a;

fn said(chosen: u32, available: &[u32]) -> VersionInformation {
    VersionInformation { chosen, available: available.to_vec() }
}

fn initial(version: Version) -> PacketHeader {
    let id = ConnectionId::EMPTY;
    PacketHeader::Initial { version, dcid: id, scid: id, token: 0..0 }
}

fn handshake(version: Version) -> PacketHeader {
    PacketHeader::Handshake { version, dcid: ConnectionId::EMPTY, scid: ConnectionId::EMPTY }
}

fn zero_rtt(version: Version) -> PacketHeader {
    PacketHeader::ZeroRtt { version, dcid: ConnectionId::EMPTY, scid: ConnectionId::EMPTY }
}

fn retry(version: Version) -> PacketHeader {
    PacketHeader::Retry { version, dcid: ConnectionId::EMPTY, scid: ConnectionId::EMPTY }
}

/// A client that has begun anew with this version.
fn second(version: Version) -> Versions {
    let mut versions = Versions::client(V1, None);
    versions.begin_again(version);
    versions
}

// ---- a server ---------------------------------------------------------------------------------------

#[test]
fn a_server_goes_by_its_own_order_if_it_has_one() {
    /// The original version, the server's in order, those available to the client; what is agreed on.
    type Row = (Version, &'static [Version], &'static [u32], Option<Version>);
    let agree = |original, own: &[Version], available: &[u32]| {
        Versions::server(original).agree(own, true, Some(&said(original.wire(), available))).ok()
    };
    let table: [Row; 8] = [
        (V1, &[V1, V2], &[ONE, TWO], Some(V1)),
        (V1, &[V2, V1], &[ONE, TWO], Some(V2)),
        (V1, &[V2, V1], &[ONE], Some(V1)),
        (V1, &[V2, V1], &[RESERVED, ONE], Some(V1)),
        (V2, &[V2, V1], &[TWO, ONE], Some(V2)),
        (V2, &[V1, V2], &[TWO, ONE], Some(V1)),
        (V1, &[V2], &[ONE, TWO], Some(V2)),
        (V1, &[V2], &[ONE], None),
    ];
    for (original, own, available, agreed) in table {
        assert_eq!(agree(original, own, available), agreed, "{original} {own:?} {available:x?}");
    }
}

#[test]
fn a_server_without_an_order_goes_by_the_clients() {
    let agree = |original: Version, available: &[u32]| {
        Versions::server(original).agree(&[V1, V2], false, Some(&said(original.wire(), available)))
    };
    assert_eq!(agree(V1, &[ONE, TWO]), Ok(V1));
    assert_eq!(agree(V1, &[RESERVED, TWO, ONE]), Ok(V2));
    assert_eq!(agree(V2, &[ONE, TWO]), Ok(V1));
}

#[test]
fn a_client_that_says_nothing_gets_what_it_began_with() {
    assert_eq!(Versions::server(V1).agree(&[V2, V1], true, None), Ok(V1));
    assert_eq!(Versions::server(V2).agree(&[V1, V2], true, None), Ok(V2));
    let refused = Versions::server(V1).agree(&[V2], true, None).map_err(|fault| fault.code);
    assert_eq!(refused, Err(Code::VERSION_NEGOTIATION_ERROR));
}

#[test]
fn a_client_whose_choice_is_not_its_packets_version_is_refused() {
    for chosen in [TWO, RESERVED] {
        let client = said(chosen, &[chosen, ONE]);
        let refused = Versions::server(V1).agree(&[V1, V2], true, Some(&client)).map_err(|fault| fault.code);
        assert_eq!(refused, Err(Code::VERSION_NEGOTIATION_ERROR));
    }
}

#[test]
fn a_server_reads_initials_of_the_version_before_until_it_forgets_the_keys() {
    let mut versions = Versions::server(V1);
    let reading = |versions: &Versions, header| versions.reading(&header, &[], true);
    assert_eq!(reading(&versions, initial(V2)), Reading::Never);
    versions.change(V2);
    versions.keep(KeyRing::initial(V1, &ConnectionId::EMPTY, Side::Server));
    assert_eq!(reading(&versions, initial(V1)), Reading::Former);
    assert_eq!(reading(&versions, initial(V2)), Reading::Current);
    assert_eq!(reading(&versions, handshake(V1)), Reading::Never);
    assert_eq!(reading(&versions, handshake(V2)), Reading::Current);
    assert_eq!(reading(&versions, zero_rtt(V1)), Reading::Current);
    assert_eq!(reading(&versions, zero_rtt(V2)), Reading::Never);
    versions.forget();
    assert_eq!(reading(&versions, initial(V1)), Reading::Never);
}

// ---- a client ---------------------------------------------------------------------------------------

#[test]
fn a_client_follows_its_server_once_and_before_its_handshake_alone() {
    let mut versions = Versions::client(V1, None);
    assert_eq!(versions.reading(&initial(V2), &[V1, V2], false), Reading::Other(V2));
    assert_eq!(versions.reading(&handshake(V2), &[V1, V2], false), Reading::Other(V2));
    assert_eq!(versions.reading(&initial(V2), &[V1, V2], true), Reading::Never);
    assert_eq!(versions.reading(&initial(V2), &[V1], false), Reading::Never);
    versions.change(V2);
    assert_eq!(versions.reading(&initial(V1), &[V1, V2], false), Reading::Never);
    assert_eq!(versions.reading(&initial(V2), &[V1, V2], false), Reading::Current);
}

#[test]
fn a_retry_is_of_the_original_version() {
    let versions = Versions::client(V1, None);
    assert_eq!(versions.reading(&retry(V1), &[V1, V2], false), Reading::Current);
    assert_eq!(versions.reading(&retry(V2), &[V1, V2], false), Reading::Never);
}

#[test]
fn a_client_in_disguise_reads_nothing_but_version_negotiation() {
    let versions = Versions::client(V1, Some(RESERVED));
    for header in [initial(V1), initial(V2), handshake(V1), retry(V1)] {
        assert_eq!(versions.reading(&header, &[V1, V2], false), Reading::Never);
    }
    let id = ConnectionId::EMPTY;
    let negotiation = PacketHeader::VersionNegotiation { dcid: id, scid: id };
    assert_eq!(versions.reading(&negotiation, &[V1, V2], false), Reading::Current);
}

#[test]
fn a_client_takes_the_first_advice_by_its_own_order() {
    let advised =
        |versions: &Versions, own: &[Version], named: &[u32]| versions.advised(own, named.iter().copied());
    let first = Versions::client(V1, None);
    assert_eq!(advised(&first, &[V1, V2], &[TWO, RESERVED]), Advice::Again(V2));
    assert_eq!(advised(&first, &[V1, V2], &[TWO, ONE]), Advice::Ignored);
    assert_eq!(advised(&first, &[V1, V2], &[]), Advice::Ignored);
    assert_eq!(advised(&first, &[V1], &[TWO, RESERVED]), Advice::Hopeless(vec![TWO, RESERVED]));
    let disguised = Versions::client(V1, Some(RESERVED));
    assert_eq!(advised(&disguised, &[V1, V2], &[TWO, ONE]), Advice::Again(V1));
    assert_eq!(advised(&disguised, &[V2, V1], &[ONE, TWO]), Advice::Again(V2));
    assert_eq!(advised(&disguised, &[V1], &[RESERVED, ONE]), Advice::Ignored);
    assert_eq!(advised(&second(V2), &[V1, V2], &[0xabcd]), Advice::Ignored);
}

#[test]
fn an_application_is_told_of_sixteen_versions_at_most() {
    let advice = Versions::client(V1, None).advised(&[V1], (100..100_000).step_by(2));
    assert_eq!(advice, Advice::Hopeless((100..132).step_by(2).collect()));
}

#[test]
fn a_server_that_answers_as_it_says_is_believed() {
    let mut switched = Versions::client(V1, None);
    assert_eq!(switched.check(&[V1, V2], Some(&said(ONE, &[]))), Ok(()));
    assert_eq!(switched.check(&[V1, V2], None), Ok(()));
    switched.change(V2);
    assert_eq!(switched.check(&[V1, V2], Some(&said(TWO, &[TWO]))), Ok(()));
    assert_eq!(second(V2).check(&[V1, V2], Some(&said(TWO, &[TWO, RESERVED]))), Ok(()));
    assert_eq!(second(V2).check(&[V2, V1], Some(&said(TWO, &[ONE, TWO]))), Ok(()));
    assert_eq!(second(V1).check(&[V1, V2], None), Ok(()));
}

#[test]
fn a_second_attempt_may_end_in_another_version_that_the_server_prefers() {
    let mut versions = second(V1);
    versions.change(V2);
    assert_eq!(versions.check(&[V1, V2], Some(&said(TWO, &[ONE, TWO]))), Ok(()));
}

#[test]
fn whoever_has_tampered_is_found_out() {
    let mut switched = Versions::client(V1, None);
    switched.change(V2);
    let table: [(Versions, &[Version], Option<VersionInformation>); 8] = [
        // The packets are of another version than the server chose.
        (Versions::client(V1, None), &[V1, V2], Some(said(TWO, &[ONE, TWO]))),
        (Versions::client(V1, None), &[V1, V2], Some(said(RESERVED, &[ONE]))),
        (switched, &[V1, V2], None),
        // The advice hid a version that we prefer.
        (second(V2), &[V1, V2], Some(said(TWO, &[ONE, TWO]))),
        (second(V1), &[V2, V1], Some(said(ONE, &[ONE, TWO]))),
        // The server does not say what it speaks.
        (second(V2), &[V1, V2], Some(said(TWO, &[]))),
        (second(V2), &[V1, V2], None),
        (second(V1), &[V2, V1], Some(said(ONE, &[]))),
    ];
    for (versions, own, server) in table {
        let outcome = versions.check(own, server.as_ref()).map_err(|fault| fault.code);
        assert_eq!(outcome, Err(Code::VERSION_NEGOTIATION_ERROR), "{versions:?} {own:?} {server:x?}");
    }
}

#[test]
fn what_is_said_names_the_version_in_use_ours_in_order_and_a_reserved_one_anywhere() {
    let mut places = [0; 3];
    for seed in 0..30 {
        let said = Versions::client(V1, None).information(&[V2, V1], &mut SeededRng::new(seed));
        assert_eq!((said.chosen, said.available.len()), (ONE, 3));
        let is_reserved = |number: &u32| number & 0x0f0f_0f0f == 0x0a0a_0a0a;
        places[said.available.iter().position(is_reserved).expect("a reserved version")] += 1;
        let spoken: Vec<u32> = said.available.into_iter().filter(|number| !is_reserved(number)).collect();
        assert_eq!(spoken, [TWO, ONE]);
    }
    assert!(places.iter().all(|count| *count > 0), "{places:?}");
}
