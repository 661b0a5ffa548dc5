//! The handshake in CRYPTO frames, and the keys that follow from it (RFC 9000, Section 7.5; RFC 9001, Sections 4, 6 and 8).

use peregrine::{Code, DropReason};

use crate::forger::wire::{self, LARGEST, crypto, words};
use crate::forger::{Draft, Setup, Space, Stage, Victim};
use sim::tls::ALPN;

/// TLS alerts as CONNECTION_CLOSE carries them.
const UNEXPECTED_MESSAGE: Code = Code::from_wire(0x10a);
const MISSING_EXTENSION: Code = Code::from_wire(0x16d);
const NO_APPLICATION_PROTOCOL: Code = Code::from_wire(0x178);
const PROTOCOL_VERSION: Code = Code::from_wire(0x146);

/// The extensions of TLS that are played with.
const QUIC_TRANSPORT_PARAMETERS: u16 = 57;
const APPLICATION_LAYER_PROTOCOL_NEGOTIATION: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;

/// A TLS message of this type.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).expect("a short message").to_be_bytes();
    [&[kind][..], &len[1..], body].concat()
}

/// The same TLS message, one of a hello or of EncryptedExtensions, without this extension; others stand behind it.
fn without_extension(id: u16, bytes: Vec<u8>) -> Vec<u8> {
    let len = 4 + u32::from_be_bytes([0, bytes[1], bytes[2], bytes[3]]) as usize;
    let (first, rest) = bytes.split_at(len);
    let extensions_at = match first[0] {
        // ClientHello: version, random, session, suites, compression.
        1 => {
            let session = 4 + 2 + 32;
            let suites = session + 1 + usize::from(first[session]);
            let compression = suites + 2 + usize::from(first[suites]) * 256 + usize::from(first[suites + 1]);
            compression + 1 + usize::from(first[compression])
        }
        // ServerHello: version, random, session, suite, compression.
        2 => 4 + 2 + 32 + 1 + usize::from(first[38]) + 2 + 1,
        // EncryptedExtensions.
        8 => 4,
        other => panic!("a message of type {other}"),
    };
    let (front, mut extensions) = (&first[4..extensions_at], &first[extensions_at + 2..]);
    let mut kept = Vec::new();
    while let [high, low, len_high, len_low, ..] = *extensions {
        let end = 4 + usize::from(u16::from_be_bytes([len_high, len_low]));
        if u16::from_be_bytes([high, low]) != id {
            kept.extend(&extensions[..end]);
        }
        extensions = &extensions[end..];
    }
    let len = u16::try_from(kept.len()).expect("short extensions").to_be_bytes();
    [&message(first[0], &[front, &len, &kept].concat())[..], rest].concat()
}

/// Shakes hands as far as our endpoint goes along, and our endpoint ends it with this error.
#[track_caller]
fn shaking_ends(victim: Victim, setup: &Setup, code: Code) {
    let mut stage = Stage::new(victim, setup);
    stage.shake();
    assert!(!stage.is_connected());
    stage.ends_with(code, 0);
}

// ---- what must be in the handshake ----------------------------------------------------------------

#[test]
fn without_transport_parameters_a_client_hello_is_a_missing_extension() {
    let edit = |space, bytes| match space {
        Space::Initial => without_extension(QUIC_TRANSPORT_PARAMETERS, bytes),
        Space::Handshake | Space::OneRtt => bytes,
    };
    shaking_ends(Victim::Server, &Setup::edit(edit), MISSING_EXTENSION);
}

#[test]
fn without_transport_parameters_encrypted_extensions_are_a_missing_extension() {
    let edit = |space, bytes| match space {
        Space::Handshake => without_extension(QUIC_TRANSPORT_PARAMETERS, bytes),
        Space::Initial | Space::OneRtt => bytes,
    };
    shaking_ends(Victim::Client, &Setup::edit(edit), MISSING_EXTENSION);
}

#[test]
fn an_older_tls_ends_the_connection() {
    let edit = |space, bytes| match space {
        Space::Initial => without_extension(SUPPORTED_VERSIONS, bytes),
        Space::Handshake | Space::OneRtt => bytes,
    };
    for victim in Victim::BOTH {
        shaking_ends(victim, &Setup::edit(edit), PROTOCOL_VERSION);
    }
}

#[test]
fn a_client_without_a_common_protocol_is_told_so() {
    for client_alpn in [vec![b"other".to_vec()], Vec::new()] {
        let setup = Setup { client_alpn, ..Setup::default() };
        shaking_ends(Victim::Server, &setup, NO_APPLICATION_PROTOCOL);
    }
}

#[test]
fn a_server_that_selects_no_protocol_is_told_so() {
    let edit = |space, bytes| match space {
        Space::Handshake => without_extension(APPLICATION_LAYER_PROTOCOL_NEGOTIATION, bytes),
        Space::Initial | Space::OneRtt => bytes,
    };
    shaking_ends(Victim::Client, &Setup::edit(edit), NO_APPLICATION_PROTOCOL);
}

#[test]
fn a_server_that_selects_another_protocol_than_was_offered_is_not_accepted() {
    let edit = |space, mut bytes: Vec<u8>| {
        if let Some(at) = bytes.windows(3).position(|window| space == Space::Handshake && window == ALPN) {
            bytes[at] ^= 1;
        }
        bytes
    };
    shaking_ends(Victim::Client, &Setup::edit(edit), NO_APPLICATION_PROTOCOL);
}

#[test]
fn a_tls_message_out_of_turn_is_a_fatal_alert() {
    for victim in Victim::BOTH {
        let mut stage = Stage::new(victim, &Setup::default());
        // A Finished where a hello should be.
        stage.say_in(Space::Initial, &crypto(0, &message(20, &[7; 32])));
        stage.ends_with(UNEXPECTED_MESSAGE, 0);
    }
}

// ---- levels ---------------------------------------------------------------------------------------

#[test]
fn more_handshake_data_at_a_level_that_is_over_is_a_protocol_violation() {
    let mut stage = Stage::new(Victim::Server, &Setup::default());
    stage.shake_in(Space::Initial);
    let offset = stage.forger.crypto_offset(Space::Initial);
    stage.say_in(Space::Initial, &crypto(offset, &[0]));
    stage.ends_with(Code::PROTOCOL_VIOLATION, 0);
}

#[test]
fn handshake_data_that_a_change_of_keys_leaves_behind_is_a_protocol_violation() {
    for victim in Victim::BOTH {
        let edit = |space, bytes: Vec<u8>| match space {
            Space::Initial => [bytes, vec![0]].concat(),
            Space::Handshake | Space::OneRtt => bytes,
        };
        shaking_ends(victim, &Setup::edit(edit), Code::PROTOCOL_VIOLATION);
    }
}

#[test]
fn handshake_data_said_again_at_a_level_that_is_over_is_fine() {
    let mut stage = Stage::new(Victim::Server, &Setup::default());
    stage.shake_in(Space::Initial);
    stage.say_in(Space::Initial, &crypto(0, &[1]));
    stage.still_connects();
}

// ---- how much -------------------------------------------------------------------------------------

#[test]
fn handshake_data_further_ahead_than_is_kept_is_crypto_buffer_exceeded() {
    for victim in Victim::BOTH {
        let mut stage = Stage::new(victim, &Setup::default());
        stage.say_in(Space::Initial, &crypto(65_536, &[0]));
        stage.ends_with(Code::CRYPTO_BUFFER_EXCEEDED, wire::CRYPTO);
        let frame = crypto(1 << 20, &[0]);
        Stage::connected(victim).say_and_end(&frame, Code::CRYPTO_BUFFER_EXCEEDED, wire::CRYPTO);
    }
}

#[test]
fn handshake_data_beyond_the_largest_offset_is_a_frame_encoding_error() {
    Stage::both_end(|_| crypto(LARGEST, &[0]), Code::FRAME_ENCODING_ERROR, wire::CRYPTO);
}

#[test]
fn handshake_data_out_of_order_is_kept() {
    let mut stage = Stage::new(Victim::Server, &Setup::default());
    stage.forger.turn();
    let hello = stage.forger.unsent(Space::Initial);
    for at in (0..hello.len()).step_by(64).rev() {
        let piece = &hello[at..hello.len().min(at + 64)];
        stage.say_in(Space::Initial, &crypto(at as u64, piece));
    }
    stage.still_connects();
}

// ---- after the handshake --------------------------------------------------------------------------

#[test]
fn a_key_update_message_is_an_unexpected_message() {
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        let offset = stage.forger.crypto_offset(Space::OneRtt);
        stage.say(&crypto(offset, &message(24, &[0])));
        assert_eq!(stage.close().map(|(code, _)| code), Some(UNEXPECTED_MESSAGE));
    }
}

#[test]
fn a_certificate_request_after_the_handshake_is_a_protocol_violation() {
    let mut stage = Stage::connected(Victim::Client);
    let offset = stage.forger.crypto_offset(Space::OneRtt);
    // No context, and one extension: signature_algorithms with Ed25519.
    let body = [0, 0, 8, 0, 13, 0, 4, 0, 2, 8, 7];
    stage.say(&crypto(offset, &message(13, &body)));
    assert_eq!(stage.close().map(|(code, _)| code), Some(Code::PROTOCOL_VIOLATION));
}

#[test]
fn a_ticket_that_permits_early_data_by_the_byte_is_a_protocol_violation() {
    let mut stage = Stage::connected(Victim::Client);
    let offset = stage.forger.crypto_offset(Space::OneRtt);
    // An hour, no age, a nonce and a ticket of one byte each, and early_data of 1000 bytes.
    let body = [0, 0, 0x0e, 0x10, 0, 0, 0, 0, 1, 7, 0, 1, 7, 0, 8, 0, 42, 0, 4, 0, 0, 0x03, 0xe8];
    stage.say(&crypto(offset, &message(4, &body)));
    assert_eq!(stage.close().map(|(code, _)| code), Some(Code::PROTOCOL_VIOLATION));
}

#[test]
fn a_ticket_that_permits_no_early_data_is_fine() {
    let mut stage = Stage::connected(Victim::Client);
    let offset = stage.forger.crypto_offset(Space::OneRtt);
    let body = [0, 0, 0x0e, 0x10, 0, 0, 0, 0, 1, 7, 0, 1, 7, 0, 0];
    stage.say(&crypto(offset, &message(4, &body)));
    stage.goes_on();
}

// ---- key updates ----------------------------------------------------------------------------------

#[test]
fn a_key_update_is_followed() {
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        stage.forger.update_keys();
        stage.goes_on();
        assert_eq!(stage.connection().map(|ours| ours.stats().key_updates), Some(1));
    }
}

#[test]
fn a_newer_key_on_a_lower_number_is_a_key_update_error() {
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        let ping = words(&[wire::PING]);
        let number = stage.forger.next_number(Space::OneRtt);
        stage.say_as(Space::OneRtt, Draft { number: Some(number + 5), ..Draft::new(&ping) });
        stage.forger.update_keys();
        stage.say_as(Space::OneRtt, Draft { number: Some(number), ..Draft::new(&ping) });
        stage.ends_with(Code::KEY_UPDATE_ERROR, 0);
    }
}

#[test]
fn an_old_key_on_a_higher_number_is_not_even_tried() {
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        stage.forger.update_keys();
        stage.goes_on();
        stage.say_as(Space::OneRtt, Draft { old_key: true, flip: 0x04, ..Draft::new(&[0x21]) });
        stage.goes_on();
    }
}

#[test]
fn a_delayed_packet_of_the_key_before_is_read() {
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        let delayed = stage.forger.seal(Space::OneRtt, Draft::new(&wire::path(wire::PATH_CHALLENGE, 7)));
        stage.forger.update_keys();
        stage.goes_on();
        stage.send(delayed);
        stage.goes_on();
        assert_eq!(stage.heard(wire::PATH_RESPONSE).len(), 1);
    }
}

#[test]
fn packets_of_a_level_that_is_over_are_dropped() {
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        stage.say_in(Space::Initial, &[0x21]);
        stage.say_in(Space::Handshake, &[0x21]);
        stage.goes_on();
        let dropped = stage.connection().map(|ours| ours.stats().dropped(DropReason::NoKeysAnyMore));
        assert_eq!(dropped, Some(2));
    }
}

#[test]
fn an_initial_is_dropped_once_a_handshake_packet_was_taken_or_sent() {
    let mut stage = Stage::new(Victim::Client, &Setup::default());
    stage.shake_in(Space::Initial);
    stage.shake_in(Space::Handshake);
    stage.say_in(Space::Initial, &[0x21]);
    stage.still_connects();
    let mut stage = Stage::new(Victim::Server, &Setup::default());
    stage.shake_in(Space::Initial);
    stage.say_in(Space::Handshake, &words(&[wire::PING]));
    stage.say_in(Space::Initial, &[0x21]);
    stage.still_connects();
}

#[test]
fn an_unknown_cipher_suite_is_no_fault() {
    let edit = |space, mut bytes: Vec<u8>| {
        if space == Space::Initial {
            // The last of the suites that are offered becomes one that there is none of.
            let suites = 4 + 2 + 32 + 1 + usize::from(bytes[38]);
            let end = suites + 2 + usize::from(bytes[suites + 1]);
            bytes[end - 2..end].copy_from_slice(&[0x8a, 0x8a]);
        }
        bytes
    };
    let mut stage = Stage::new(Victim::Server, &Setup::edit(edit));
    stage.shake_in(Space::Initial);
    // It chooses another: the handshake goes on as far as it can after such a change.
    assert_eq!((stage.end(), stage.close()), (None, None));
    assert!(stage.forger.can_speak(Space::Handshake));
}
