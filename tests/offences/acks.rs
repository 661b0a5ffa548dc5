//! Wishes about acknowledgements (draft-ietf-quic-ack-frequency): those that cannot be, and those that ask too much.

use peregrine::{Code, TransportConfig};

use crate::forger::wire::{self, LARGEST, words};
use crate::forger::{Setup, Space, Stage, Victim};
use sim::ms;

const IMMEDIATE_ACK: u64 = 0x1f;
const ACK_FREQUENCY: u64 = 0xaf;
const MIN_ACK_DELAY: u64 = 0xff04_de1b;

/// A wish for an ACK after more than `threshold` packets, or after so many microseconds.
fn wish(sequence: u64, threshold: u64, micros: u64) -> Vec<u8> {
    words(&[ACK_FREQUENCY, sequence, threshold, micros, 1])
}

/// How many ACKs come of so many packets with these frames.
fn acks_of(stage: &mut Stage, packets: usize, frames: &[u8]) -> usize {
    let before = stage.heard(wire::ACK).len();
    (0..packets).for_each(|_| stage.shout(frames));
    stage.listen_for(ms(60));
    stage.heard(wire::ACK).len() - before
}

#[test]
fn a_delay_of_acks_that_cannot_be_is_a_protocol_violation() {
    for micros in [0, 999, 16_384_000, LARGEST] {
        Stage::both_end(|_| wish(0, 1, micros), Code::PROTOCOL_VIOLATION, ACK_FREQUENCY);
    }
    for micros in [1000, 16_383_999] {
        Stage::both_go_on(|_| wish(0, 1, micros));
    }
}

#[test]
fn wishes_to_one_that_takes_none_are_frames_of_an_unknown_type() {
    for victim in Victim::BOTH {
        for (frames, kind) in [(wish(0, 1, 25_000), ACK_FREQUENCY), (words(&[IMMEDIATE_ACK]), IMMEDIATE_ACK)]
        {
            let deaf = TransportConfig::builder().min_ack_delay(None).build().expect("settings that can be");
            let mut stage = Stage::connected_with(victim, deaf, &Setup::default());
            stage.say_and_end(&frames, Code::FRAME_ENCODING_ERROR, kind);
        }
    }
}

#[test]
fn wishes_in_the_handshake_are_a_protocol_violation() {
    for victim in Victim::BOTH {
        for (frames, kind) in [(wish(0, 1, 25_000), ACK_FREQUENCY), (words(&[IMMEDIATE_ACK]), IMMEDIATE_ACK)]
        {
            let mut stage = Stage::new(victim, &Setup::default());
            stage.shake_in(Space::Initial);
            stage.say_in(Space::Handshake, &frames);
            stage.ends_with(Code::PROTOCOL_VIOLATION, kind);
        }
    }
}

#[test]
fn a_shortest_delay_above_the_longest_is_a_transport_parameter_error() {
    for victim in Victim::BOTH {
        // The longest is 25 ms unless it is said.
        let mut stage = Stage::new(victim, &Setup::params(|params| params.integer(MIN_ACK_DELAY, 25_001)));
        stage.shake();
        stage.ends_with(Code::TRANSPORT_PARAMETER_ERROR, 0);
    }
}

#[test]
fn who_wants_no_acks_gets_one_for_255_packets() {
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        stage.say(&wish(0, LARGEST, 16_383_999));
        assert_eq!(acks_of(&mut stage, 600, &words(&[wire::PING])), 2);
        assert_eq!((stage.end(), stage.close()), (None, None));
    }
}

#[test]
fn who_wants_an_ack_at_once_for_every_packet_gets_no_more_than_that() {
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        let many = words(&[IMMEDIATE_ACK; 50]);
        let acks = acks_of(&mut stage, 100, &many);
        assert!((50..=101).contains(&acks), "{acks} ACKs");
        stage.goes_on();
    }
}

#[test]
fn who_wants_an_ack_for_ten_packets_gets_that() {
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        stage.say(&wish(0, 9, 25_000));
        let acks = acks_of(&mut stage, 100, &words(&[wire::PING]));
        assert!((10..=11).contains(&acks), "{acks} ACKs");
        stage.goes_on();
    }
}
