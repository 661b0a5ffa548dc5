//! Headers, numbers and datagrams: what is dropped without a word, and what is not (RFC 9000, Sections 5.2, 7.2, 12, 14
//! and 17).

use peregrine::{Code, DropReason, TransportConfig};

use crate::forger::wire::{self, words};
use crate::forger::{Draft, Setup, Space, Stage, Victim};
use sim::ms;

/// A frame that would end the connection if it were read.
const POISON: [u8; 1] = [0x21];

fn poison() -> Draft {
    Draft::new(&POISON)
}

/// A forging client's hello, with a change to its header.
fn hello(change: impl Fn(Draft) -> Draft) -> (Stage, Vec<u8>) {
    hello_to(TransportConfig::default(), change)
}

/// The same to a server with these settings.
fn hello_to(transport: TransportConfig, change: impl Fn(Draft) -> Draft) -> (Stage, Vec<u8>) {
    let mut stage = Stage::with(Victim::Server, transport, &Setup::default());
    stage.forger.turn();
    let frames = wire::crypto(0, &stage.forger.unsent(Space::Initial));
    let datagram = stage.forger.seal(Space::Initial, change(Draft::new(&frames)));
    (stage, datagram)
}

/// Our server says nothing to this datagram, and has no connection for it.
#[track_caller]
fn meets_silence(mut stage: Stage, datagram: Vec<u8>) {
    stage.send(datagram);
    assert!(!stage.listen_for(ms(500)), "it is answered");
    assert!(stage.connection().is_none());
}

// ---- the first byte -------------------------------------------------------------------------------

#[test]
fn reserved_bits_of_a_short_header_are_a_protocol_violation() {
    for victim in Victim::BOTH {
        for flip in [0x08, 0x10, 0x18] {
            let mut stage = Stage::connected(victim);
            stage.say_as(Space::OneRtt, Draft { flip, ..Draft::new(&words(&[wire::PING])) });
            stage.ends_with(Code::PROTOCOL_VIOLATION, 0);
        }
    }
}

#[test]
fn reserved_bits_of_a_long_header_are_a_protocol_violation() {
    for victim in Victim::BOTH {
        for flip in [0x04, 0x08, 0x0c] {
            let mut stage = Stage::new(victim, &Setup::default());
            stage.shake_in(Space::Initial);
            stage.say_as(Space::Handshake, Draft { flip, ..Draft::new(&words(&[wire::PING])) });
            stage.ends_with(Code::PROTOCOL_VIOLATION, 0);
        }
    }
}

/// Settings of one that does not tell its peer that any second bit will do (RFC 9287).
fn strict() -> TransportConfig {
    TransportConfig::builder().grease_quic_bit(false).build().expect("permitted settings")
}

#[test]
fn a_packet_without_the_fixed_bit_is_dropped() {
    for victim in Victim::BOTH {
        let mut stage = Stage::connected_with(victim, strict(), &Setup::default());
        stage.say_as(Space::OneRtt, Draft { flip: 0x40, ..poison() });
        stage.goes_on();
        let mut stage = Stage::with(victim, strict(), &Setup::default());
        stage.shake_in(Space::Initial);
        stage.say_as(Space::Handshake, Draft { flip: 0x40, ..poison() });
        stage.still_connects();
    }
    let (stage, datagram) = hello_to(strict(), |draft| Draft { flip: 0x40, ..draft });
    meets_silence(stage, datagram);
}

#[test]
fn the_spin_bit_means_nothing() {
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        for flip in [0x20, 0, 0x20, 0x20] {
            stage.say_as(Space::OneRtt, Draft { flip, ..Draft::new(&words(&[wire::PING])) });
        }
        stage.goes_on();
    }
}

#[test]
fn a_flipped_key_phase_that_does_not_decrypt_is_dropped() {
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        stage.say_as(Space::OneRtt, Draft { flip: 0x04, ..poison() });
        stage.goes_on();
        assert_eq!(stage.connection().map(|ours| ours.stats().key_updates), Some(0));
    }
}

// ---- connection IDs and versions ------------------------------------------------------------------

#[test]
fn ids_of_more_than_20_bytes_are_dropped() {
    let (stage, datagram) = hello(|draft| Draft { dcid: Some(vec![7; 21]), ..draft });
    meets_silence(stage, datagram);
    let (stage, datagram) = hello(|draft| Draft { scid: Some(vec![7; 21]), ..draft });
    meets_silence(stage, datagram);
    let mut stage = Stage::new(Victim::Client, &Setup::default());
    stage.say_as(Space::Initial, Draft { scid: Some(vec![7; 21]), ..poison() });
    stage.still_connects();
}

#[test]
fn packets_of_another_source_than_the_first_are_dropped() {
    for victim in Victim::BOTH {
        let mut stage = Stage::new(victim, &Setup::default());
        stage.shake_in(Space::Initial);
        for space in [Space::Initial, Space::Handshake] {
            stage.say_as(space, Draft { scid: Some(vec![9; 8]), ..poison() });
        }
        stage.still_connects();
    }
}

#[test]
fn a_packet_of_another_version_is_dropped_by_a_client() {
    let mut stage = Stage::new(Victim::Client, &Setup::default());
    stage.say_as(Space::Initial, Draft { version: Some(0x1a2a_3a4a), ..poison() });
    stage.still_connects();
}

#[test]
fn a_small_datagram_of_an_unknown_version_is_not_answered() {
    let (mut stage, mut datagram) = hello(|draft| Draft { version: Some(0x1a2a_3a4a), ..draft });
    stage.send(datagram.clone());
    assert!(stage.listen(), "a large one is");
    datagram.truncate(1199);
    meets_silence(stage, datagram);
}

#[test]
fn version_negotiation_to_a_server_is_not_answered() {
    let (stage, mut datagram) = hello(|draft| draft);
    datagram[1..5].fill(0);
    meets_silence(stage, datagram);
}

#[test]
fn a_handshake_packet_of_no_connection_is_not_answered() {
    let (stage, mut datagram) = hello(|draft| draft);
    datagram[0] = 0xe3;
    meets_silence(stage, datagram);
}

// ---- sizes ----------------------------------------------------------------------------------------

#[test]
fn an_initial_in_a_small_datagram_is_dropped_by_a_server() {
    let (mut stage, _) = hello(|draft| draft);
    let datagram = stage.forger.seal_small(Space::Initial, Draft::new(&words(&[wire::PING])));
    assert!(datagram.len() < 1200);
    meets_silence(stage, datagram);
    // One that comes later harms nothing either: the connection lives on.
    let mut stage = Stage::new(Victim::Server, &Setup::default());
    stage.shake_in(Space::Initial);
    let datagram = stage.forger.seal_small(Space::Initial, poison());
    stage.send(datagram);
    stage.still_connects();
}

#[test]
fn a_packet_too_short_to_be_sampled_is_dropped() {
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        for len in 1..1 + 8 + 4 + 16 {
            let mut datagram = stage.forger.seal(Space::OneRtt, poison());
            datagram.truncate(len);
            stage.send(datagram);
        }
        stage.goes_on();
    }
}

#[test]
fn a_datagram_too_short_for_a_packet_is_not_answered_at_all() {
    let mut stage = Stage::new(Victim::Server, &Setup::default());
    for len in 0..=21 {
        stage.send(vec![0x40; len]);
    }
    assert!(!stage.listen_for(ms(500)));
}

#[test]
fn a_path_challenge_in_a_small_datagram_is_answered() {
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        stage.say(&wire::path(wire::PATH_CHALLENGE, 7));
        let answers = stage.heard(wire::PATH_RESPONSE);
        assert_eq!(answers.iter().map(|frame| &frame.data[..]).collect::<Vec<_>>(), [7_u64.to_be_bytes()]);
    }
}

// ---- numbers, copies and coalesced packets --------------------------------------------------------

#[test]
fn a_copy_of_a_packet_is_dropped() {
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        let frames = wire::path(wire::PATH_CHALLENGE, 7);
        let datagram = stage.forger.seal(Space::OneRtt, Draft::new(&frames));
        for _ in 0..3 {
            stage.send(datagram.clone());
            stage.listen();
        }
        assert_eq!(stage.heard(wire::PATH_RESPONSE).len(), 1);
        let dropped = stage.connection().map(|ours| ours.stats().dropped(DropReason::Duplicate));
        assert_eq!(dropped, Some(2));
    }
}

#[test]
fn a_packet_with_a_number_used_before_is_dropped() {
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        let number = stage.forger.next_number(Space::OneRtt);
        stage.say(&words(&[wire::PING]));
        stage.say_as(Space::OneRtt, Draft { number: Some(number), ..poison() });
        stage.goes_on();
    }
}

#[test]
fn what_follows_a_packet_that_does_not_decrypt_is_read() {
    for victim in Victim::BOTH {
        let mut stage = Stage::new(victim, &Setup::default());
        stage.shake_in(Space::Initial);
        let mut forged = stage.forger.seal_small(Space::Handshake, poison());
        *forged.last_mut().expect("it has bytes") ^= 1;
        let genuine = stage.forger.seal_small(Space::Handshake, Draft::new(&[0x22]));
        stage.send([forged, genuine].concat());
        stage.listen();
        stage.ends_with(Code::FRAME_ENCODING_ERROR, 0x22);
    }
}

#[test]
fn a_packet_behind_one_for_another_id_is_dropped() {
    for victim in Victim::BOTH {
        let mut stage = Stage::new(victim, &Setup::default());
        stage.shake_in(Space::Initial);
        let first = stage.forger.seal_small(Space::Handshake, Draft::new(&words(&[wire::PING])));
        let second = stage.forger.seal_small(Space::Handshake, Draft { dcid: Some(vec![9; 8]), ..poison() });
        stage.send([first, second].concat());
        stage.still_connects();
    }
}

// ---- what only one side sends ---------------------------------------------------------------------

#[test]
fn an_initial_with_a_token_is_not_taken_by_a_client() {
    let mut stage = Stage::new(Victim::Client, &Setup::default());
    stage.say_as(Space::Initial, Draft { token: vec![7; 8], ..poison() });
    stage.still_connects();
}

#[test]
fn a_0_rtt_packet_is_not_taken_by_a_client() {
    let mut stage = Stage::new(Victim::Client, &Setup::default());
    stage.shake_in(Space::Initial);
    let mut datagram = stage.forger.seal_small(Space::Handshake, poison());
    datagram[0] = datagram[0] & !0x30 | 0x10;
    stage.send(datagram);
    stage.still_connects();
}

#[test]
fn a_client_takes_nothing_from_another_address() {
    let mut stage = Stage::connected(Victim::Client);
    let datagram = stage.forger.seal(Space::OneRtt, poison());
    stage.send_from("45.0.0.67:4433", datagram);
    stage.goes_on();
    let dropped = stage.connection().map(|ours| ours.stats().dropped(DropReason::Gate));
    assert_eq!(dropped, Some(1));
}

#[test]
fn one_rtt_packets_wait_until_the_handshake_is_complete() {
    for victim in Victim::BOTH {
        let mut stage = Stage::new(victim, &Setup::default());
        stage.shake_in(Space::Initial);
        assert!(stage.forger.can_speak(Space::OneRtt));
        stage.say(&wire::path(wire::PATH_CHALLENGE, 7));
        stage.say(&POISON);
        assert_eq!((stage.end(), stage.close()), (None, None));
        assert!(stage.heard(wire::PATH_RESPONSE).is_empty());
        // Then they are read.
        stage.shake();
        stage.ends_with(Code::FRAME_ENCODING_ERROR, 0x21);
    }
}
