//! Frames in packets: which may stand where, and which cannot be read (RFC 9000, Sections 12.4, 12.5 and 19; RFC 9221).

use peregrine::{Code, TransportConfig};

use crate::forger::wire::{self, LARGEST, words};
use crate::forger::{Draft, Setup, Space, Stage, Victim};

/// One frame of each type that only 1-RTT packets may carry, and the type that CONNECTION_CLOSE names.
fn only_in_one_rtt(victim: Victim) -> Vec<(Vec<u8>, u64)> {
    let mut frames = vec![
        (words(&[wire::RESET_STREAM, victim.forgers_bidi(), 0, 1]), wire::RESET_STREAM),
        (words(&[wire::STOP_SENDING, victim.forgers_bidi(), 0]), wire::STOP_SENDING),
        (wire::stream(victim.forgers_bidi(), 0, b"x"), 0x08),
        (words(&[wire::MAX_DATA, 7]), wire::MAX_DATA),
        (words(&[wire::MAX_STREAM_DATA, victim.forgers_bidi(), 7]), wire::MAX_STREAM_DATA),
        (words(&[wire::MAX_STREAMS_BIDI, 7]), wire::MAX_STREAMS_BIDI),
        (words(&[wire::DATA_BLOCKED, 7]), wire::DATA_BLOCKED),
        (words(&[wire::STREAM_DATA_BLOCKED, victim.forgers_bidi(), 7]), wire::STREAM_DATA_BLOCKED),
        (words(&[wire::STREAMS_BLOCKED_BIDI, 7]), wire::STREAMS_BLOCKED_BIDI),
        (wire::new_connection_id(1, 0, 8), wire::NEW_CONNECTION_ID),
        (words(&[wire::RETIRE_CONNECTION_ID, 0]), wire::RETIRE_CONNECTION_ID),
        (wire::path(wire::PATH_CHALLENGE, 7), wire::PATH_CHALLENGE),
        (wire::path(wire::PATH_RESPONSE, 7), wire::PATH_RESPONSE),
        (words(&[wire::APPLICATION_CLOSE, 7, 0]), wire::CONNECTION_CLOSE),
        (wire::datagram(b"x"), 0x30),
    ];
    if victim == Victim::Client {
        frames.push((wire::new_token(b"token"), wire::NEW_TOKEN));
        frames.push((words(&[wire::HANDSHAKE_DONE]), wire::HANDSHAKE_DONE));
    }
    frames
}

/// Before our endpoint, with Handshake keys at both sides.
fn within_the_handshake(victim: Victim) -> Stage {
    let mut stage = Stage::new(victim, &Setup::default());
    stage.shake_in(Space::Initial);
    assert!(stage.forger.can_speak(Space::Handshake));
    stage
}

#[test]
fn a_frame_that_an_initial_must_not_carry_is_a_protocol_violation() {
    for victim in Victim::BOTH {
        for (frame, kind) in only_in_one_rtt(victim) {
            let mut stage = Stage::new(victim, &Setup::default());
            if victim == Victim::Server {
                stage.shake_in(Space::Initial);
            }
            stage.say_in(Space::Initial, &frame);
            stage.ends_with(Code::PROTOCOL_VIOLATION, kind);
        }
    }
}

#[test]
fn a_frame_that_a_handshake_packet_must_not_carry_is_a_protocol_violation() {
    for victim in Victim::BOTH {
        for (frame, kind) in only_in_one_rtt(victim) {
            let mut stage = within_the_handshake(victim);
            stage.say_in(Space::Handshake, &frame);
            stage.ends_with(Code::PROTOCOL_VIOLATION, kind);
        }
    }
}

#[test]
fn a_packet_without_frames_is_a_protocol_violation() {
    for victim in Victim::BOTH {
        for space in [Space::Initial, Space::Handshake] {
            let mut stage = within_the_handshake(victim);
            if space == Space::Initial && victim == Victim::Client {
                // Its Initial keys are gone since it has Handshake keys.
                stage = Stage::new(victim, &Setup::default());
            }
            let empty = stage.forger.seal(space, Draft::default());
            // What is behind the packet makes the datagram as large as one with an Initial must be.
            stage.send([empty, vec![0; 1200]].concat());
            stage.listen();
            stage.ends_with(Code::PROTOCOL_VIOLATION, 0);
        }
        Stage::connected(victim).say_and_end(b"", Code::PROTOCOL_VIOLATION, 0);
    }
}

#[test]
fn a_frame_of_an_unknown_type_is_a_frame_encoding_error() {
    for kind in [0x20, 0x22, 0x2f, 0x3f, 0x4000, LARGEST] {
        Stage::both_end(|_| words(&[kind]), Code::FRAME_ENCODING_ERROR, kind);
    }
    for victim in Victim::BOTH {
        let mut stage = within_the_handshake(victim);
        stage.say_in(Space::Handshake, &[0x21]);
        stage.ends_with(Code::FRAME_ENCODING_ERROR, 0x21);
    }
}

#[test]
fn what_stands_before_a_frame_that_cannot_be_read_does_not_hide_the_error() {
    for victim in Victim::BOTH {
        let mut stage = Stage::new(victim, &Setup::default());
        stage.forger.turn();
        let hello = stage.forger.flush(Space::Initial);
        assert!(!hello.is_empty() || victim == Victim::Client);
        // The same handshake data, and behind it a frame that there is none of.
        let frames = [&wire::crypto(0, &[1]), &words(&[0x21])[..]].concat();
        stage.say_in(Space::Initial, &frames);
        stage.ends_with(Code::FRAME_ENCODING_ERROR, 0x21);
    }
}

#[test]
fn a_frame_that_ends_too_early_is_a_frame_encoding_error() {
    for (whole, kind) in [
        (words(&[wire::ACK, 0, 0, 0, 0]), wire::ACK),
        (words(&[wire::RESET_STREAM, 0, 0, 0]), wire::RESET_STREAM),
        (words(&[wire::STOP_SENDING, 0, 0]), wire::STOP_SENDING),
        (wire::crypto(0, b"x"), wire::CRYPTO),
        (wire::stream(0, 0, b"x"), wire::STREAM),
        (words(&[wire::MAX_DATA, 0]), wire::MAX_DATA),
        (words(&[wire::MAX_STREAM_DATA, 0, 0]), wire::MAX_STREAM_DATA),
        (words(&[wire::MAX_STREAMS_UNI, 0]), wire::MAX_STREAMS_UNI),
        (words(&[wire::DATA_BLOCKED, 0]), wire::DATA_BLOCKED),
        (words(&[wire::STREAM_DATA_BLOCKED, 0, 0]), wire::STREAM_DATA_BLOCKED),
        (words(&[wire::STREAMS_BLOCKED_UNI, 0]), wire::STREAMS_BLOCKED_UNI),
        (wire::new_connection_id(1, 0, 8), wire::NEW_CONNECTION_ID),
        (words(&[wire::RETIRE_CONNECTION_ID, 0]), wire::RETIRE_CONNECTION_ID),
        (wire::path(wire::PATH_CHALLENGE, 0), wire::PATH_CHALLENGE),
        (wire::path(wire::PATH_RESPONSE, 0), wire::PATH_RESPONSE),
        (words(&[wire::CONNECTION_CLOSE, 0, 0, 0]), wire::CONNECTION_CLOSE),
        (words(&[wire::APPLICATION_CLOSE, 0, 0]), wire::APPLICATION_CLOSE),
        (wire::datagram(b"x"), wire::DATAGRAM),
    ] {
        let cut = whole[..whole.len() - 1].to_vec();
        Stage::both_end(|_| cut.clone(), Code::FRAME_ENCODING_ERROR, kind);
    }
}

#[test]
fn every_frame_that_an_honest_peer_may_send_is_taken() {
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        for (frame, kind) in only_in_one_rtt(victim) {
            if ![wire::RETIRE_CONNECTION_ID, wire::CONNECTION_CLOSE, 0x30].contains(&kind) {
                stage.say(&frame);
            }
        }
        stage.goes_on();
    }
}

// ---- ACK ------------------------------------------------------------------------------------------

#[test]
fn an_ack_below_number_zero_is_a_frame_encoding_error() {
    let first = words(&[wire::ACK, 0, 0, 0, 1]);
    let later = words(&[wire::ACK, 5, 0, 1, 4, 0, 0]);
    for frame in [first, later] {
        Stage::both_end(|_| frame.clone(), Code::FRAME_ENCODING_ERROR, wire::ACK);
    }
}

#[test]
fn an_ack_of_what_was_never_sent_is_a_protocol_violation() {
    Stage::both_end(|_| wire::ack(&[(1000, 1000)]), Code::PROTOCOL_VIOLATION, wire::ACK);
    for victim in Victim::BOTH {
        let mut stage = within_the_handshake(victim);
        stage.say_in(Space::Handshake, &wire::ack(&[(0, 1000)]));
        stage.ends_with(Code::PROTOCOL_VIOLATION, wire::ACK);
    }
}

// ---- only from a server ---------------------------------------------------------------------------

#[test]
fn handshake_done_from_a_client_is_a_protocol_violation() {
    let mut stage = Stage::connected(Victim::Server);
    stage.say_and_end(&[0x1e], Code::PROTOCOL_VIOLATION, wire::HANDSHAKE_DONE);
}

#[test]
fn new_token_from_a_client_is_a_protocol_violation() {
    let mut stage = Stage::connected(Victim::Server);
    stage.say_and_end(&wire::new_token(b"token"), Code::PROTOCOL_VIOLATION, wire::NEW_TOKEN);
}

#[test]
fn an_empty_new_token_is_a_frame_encoding_error() {
    let mut stage = Stage::connected(Victim::Client);
    stage.say_and_end(&wire::new_token(b""), Code::FRAME_ENCODING_ERROR, wire::NEW_TOKEN);
}

// ---- DATAGRAM -------------------------------------------------------------------------------------

/// Before our endpoint, which takes datagrams of at most 1200 bytes.
fn takes_datagrams(victim: Victim) -> Stage {
    let transport = TransportConfig::builder().datagram_receive_buffer(Some(1200)).build();
    Stage::connected_with(victim, transport.expect("permitted settings"), &Setup::default())
}

#[test]
fn a_datagram_frame_that_was_not_asked_for_is_a_protocol_violation() {
    Stage::both_end(|_| wire::datagram(b"x"), Code::PROTOCOL_VIOLATION, 0x30);
    Stage::both_end(|_| vec![0x30], Code::PROTOCOL_VIOLATION, 0x30);
}

#[test]
fn a_datagram_frame_larger_than_was_permitted_is_a_protocol_violation() {
    for victim in Victim::BOTH {
        // Type and length are counted too.
        let frame = wire::datagram(&[7; 1198]);
        takes_datagrams(victim).say_and_end(&frame, Code::PROTOCOL_VIOLATION, 0x30);
    }
}

#[test]
fn a_datagram_frame_of_the_largest_size_is_taken() {
    for victim in Victim::BOTH {
        let mut stage = takes_datagrams(victim);
        stage.say(&wire::datagram(&[7; 1150]));
        stage.goes_on();
        assert_eq!(stage.speak(|_, ours| ours.datagrams().recv()).map(|data| data.len()), Some(1150));
    }
}

// ---- frames of extensions that were not agreed on -------------------------------------------------

#[test]
fn a_frame_of_an_extension_that_was_not_agreed_on_is_an_unknown_one() {
    for victim in Victim::BOTH {
        for (frame, kind) in [(words(&[0x1f]), 0x1f), (words(&[0xaf, 1, 9, 25_000, 3]), 0xaf)] {
            let transport = TransportConfig::builder().min_ack_delay(None).build();
            let transport = transport.expect("permitted settings");
            let mut stage = Stage::connected_with(victim, transport, &Setup::default());
            stage.say_and_end(&frame, Code::FRAME_ENCODING_ERROR, kind);
        }
    }
}
