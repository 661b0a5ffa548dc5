//! Retry and Version Negotiation at a client: neither is authentic, so a client takes one that fits and drops all others
//! (RFC 9000, Sections 6.2 and 17.2.5; RFC 9001, Section 5.8).

use peregrine::Code;
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::quic::Version;

use crate::forger::wire;
use crate::forger::{Draft, Forger, Say, Setup, Space, Stage, Victim, ids};

/// RFC 9001, Section 5.8.
const KEY: [u8; 16] = 0xbe0c_690b_9f66_575a_1d76_6b54_e368_c84e_u128.to_be_bytes();
const NONCE: [u8; 12] = [0x46, 0x15, 0x99, 0xd3, 0x5d, 0x63, 0x2b, 0xf2, 0x23, 0x98, 0x25, 0xbb];

/// What a Retry calls the server.
const RETRY_SCID: [u8; 8] = [0xab; 8];

/// Our client, which has said hello and heard nothing.
fn waiting() -> Stage {
    Stage::new(Victim::Client, &Setup::default())
}

/// A Retry to our client from `scid` with this token; its unused bits are `unused`.
fn retry(stage: &Stage, scid: &[u8], token: &[u8], unused: u8) -> Vec<u8> {
    let (first_dcid, client) = (&stage.forger.first_dcid, &stage.forger.dcid);
    let mut packet = vec![0xf0 | unused, 0, 0, 0, 1];
    for id in [client, scid] {
        packet.push(u8::try_from(id.len()).expect("a short ID"));
        packet.extend(id);
    }
    packet.extend(token);
    let covered = [&[u8::try_from(first_dcid.len()).expect("a short ID")], &first_dcid[..], &packet].concat();
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &KEY).expect("a key"));
    let nonce = Nonce::assume_unique_for_key(NONCE);
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(covered), &mut []).expect("a tag");
    packet.extend(tag.as_ref());
    packet
}

/// A Version Negotiation packet to our client that lists these versions.
fn negotiation(stage: &Stage, versions: &[u8]) -> Vec<u8> {
    let mut packet = vec![0xff, 0, 0, 0, 0];
    for id in [&stage.forger.dcid, &stage.forger.first_dcid] {
        packet.push(u8::try_from(id.len()).expect("a short ID"));
        packet.extend(id);
    }
    packet.extend(versions);
    packet
}

/// Our client sends this datagram, and says to whom it speaks after it.
fn speaks_to(stage: &mut Stage, datagram: Vec<u8>) -> Option<Vec<u8>> {
    stage.send(datagram);
    // Its first answer to a Retry comes at once, its next hello only at the probe timeout.
    stage.world.run_for(sim::ms(60));
    stage.untaken().last().map(|said| ids(said).0)
}

#[test]
fn a_retry_that_fits_is_obeyed_whatever_its_unused_bits() {
    for unused in [0, 0x0f] {
        let mut stage = waiting();
        let packet = retry(&stage, &RETRY_SCID, b"token", unused);
        assert_eq!(speaks_to(&mut stage, packet), Some(RETRY_SCID.to_vec()));
    }
}

#[test]
fn a_retry_with_a_wrong_tag_is_dropped() {
    let mut stage = waiting();
    let mut packet = retry(&stage, &RETRY_SCID, b"token", 0);
    *packet.last_mut().expect("it has bytes") ^= 1;
    assert_eq!(speaks_to(&mut stage, packet), None);
    stage.still_connects();
}

#[test]
fn a_retry_without_a_token_is_dropped() {
    let mut stage = waiting();
    let packet = retry(&stage, &RETRY_SCID, b"", 0);
    assert_eq!(speaks_to(&mut stage, packet), None);
    stage.still_connects();
}

#[test]
fn a_retry_that_keeps_the_clients_first_id_is_dropped() {
    let mut stage = waiting();
    let packet = retry(&stage, &stage.forger.first_dcid, b"token", 0);
    assert_eq!(speaks_to(&mut stage, packet), None);
    stage.still_connects();
}

#[test]
fn a_second_retry_is_dropped() {
    let mut stage = waiting();
    let packet = retry(&stage, &RETRY_SCID, b"token", 0);
    let second = retry(&stage, &[0xcd; 8], b"other", 0);
    assert_eq!(speaks_to(&mut stage, packet), Some(RETRY_SCID.to_vec()));
    assert_eq!(speaks_to(&mut stage, second), None);
}

#[test]
fn a_retry_after_an_initial_is_dropped() {
    let mut stage = waiting();
    let packet = retry(&stage, &RETRY_SCID, b"token", 0);
    stage.say_as(Space::Initial, Draft::new(&wire::words(&[wire::PING])));
    stage.untaken();
    assert_eq!(speaks_to(&mut stage, packet), None);
    stage.still_connects();
}

#[test]
fn version_negotiation_that_lists_the_version_in_use_is_dropped() {
    let mut stage = waiting();
    let packet = negotiation(&stage, &[0x1a, 0x2a, 0x3a, 0x4a, 0, 0, 0, 1]);
    assert_eq!(speaks_to(&mut stage, packet), None);
    stage.still_connects();
}

#[test]
fn version_negotiation_after_an_initial_is_dropped() {
    let mut stage = waiting();
    let packet = negotiation(&stage, &[0x1a, 0x2a, 0x3a, 0x4a]);
    stage.say_as(Space::Initial, Draft::new(&wire::words(&[wire::PING])));
    stage.send(packet);
    stage.still_connects();
}

#[test]
fn version_negotiation_that_lists_nothing_is_dropped() {
    for versions in [&[][..], &[0x1a, 0x2a, 0x3a]] {
        let mut stage = waiting();
        let packet = negotiation(&stage, versions);
        assert_eq!(speaks_to(&mut stage, packet), None);
        stage.still_connects();
    }
}

#[test]
fn without_the_id_of_its_retry_a_servers_parameters_are_a_transport_parameter_error() {
    for (said, is_taken) in [(None, false), (Some([0xcd; 8]), false), (Some(RETRY_SCID), true)] {
        let mut stage = waiting();
        let packet = retry(&stage, &RETRY_SCID, b"token", 0);
        stage.send(packet);
        stage.world.run_for(sim::ms(60));
        let again = stage.untaken().pop().expect("our client says hello again");
        let first_dcid = stage.forger.first_dcid.clone();
        let setup = Setup::params(move |params| {
            let params = params.bytes(0x00, &first_dcid);
            match said {
                Some(id) => params.bytes(0x10, &id),
                None => params,
            }
        });
        stage.forger = Forger::server(&setup, &again);
        stage.forger.take(&again);
        stage.shake();
        assert_eq!(stage.is_connected(), is_taken);
        let expected = (!is_taken).then_some((Code::TRANSPORT_PARAMETER_ERROR, 0));
        assert_eq!(stage.close(), expected);
    }
}

// ---- after a Version Negotiation packet that was obeyed -------------------------------------------

const ONE: u32 = 1;
const TWO: u32 = 0x6b33_43cf;
const NOBODYS: u32 = 0x1a2a_3a4a;

/// Our client was told to speak version 2 and does; the server's version_information is this, if it says any.
fn advised(information: Option<&'static [u32]>) -> Stage {
    let mut stage = waiting();
    let named: Vec<u8> = [TWO, NOBODYS].iter().flat_map(|version| version.to_be_bytes()).collect();
    let packet = negotiation(&stage, &named);
    stage.send(packet);
    stage.world.run_for(sim::ms(15));
    let again = stage.untaken().pop().expect("our client says hello again");
    assert_eq!(again[1..5], TWO.to_be_bytes());
    let params: Say = Box::new(move |params| match information {
        Some(versions) => {
            let row: Vec<u8> = versions.iter().flat_map(|version| version.to_be_bytes()).collect();
            params.bytes(0x11, &row)
        }
        None => params,
    });
    let setup = Setup { version: Version::V2, params, ..Setup::default() };
    stage.forger = Forger::server(&setup, &again);
    stage.forger.take(&again);
    stage
}

#[test]
fn a_server_that_says_what_it_said_before_is_believed() {
    let mut stage = advised(Some(&[TWO, TWO, NOBODYS]));
    stage.still_connects();
}

#[test]
fn a_server_that_says_nothing_of_versions_after_its_advice_is_a_version_negotiation_error() {
    let mut stage = advised(None);
    stage.shake();
    stage.ends_with(Code::VERSION_NEGOTIATION_ERROR, 0);
}

#[test]
fn a_server_that_speaks_what_its_advice_left_out_is_a_version_negotiation_error() {
    let mut stage = advised(Some(&[TWO, TWO, ONE]));
    stage.shake();
    stage.ends_with(Code::VERSION_NEGOTIATION_ERROR, 0);
}

#[test]
fn a_server_that_speaks_nothing_after_its_advice_is_a_version_negotiation_error() {
    let mut stage = advised(Some(&[TWO]));
    stage.shake();
    stage.ends_with(Code::VERSION_NEGOTIATION_ERROR, 0);
}

#[test]
fn a_second_advice_is_dropped() {
    let mut stage = advised(Some(&[TWO, TWO]));
    let packet = negotiation(&stage, &ONE.to_be_bytes());
    stage.send(packet);
    stage.still_connects();
}
