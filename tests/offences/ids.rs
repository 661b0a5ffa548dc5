//! Connection IDs: more than are kept, contradictions, and giving back what was not given (RFC 9000, Sections 5.1, 19.15
//! and 19.16).

use std::collections::BTreeSet;

use peregrine::{Code, TransportConfig};

use crate::forger::wire::{self, new_connection_id, new_connection_id_as, words};
use crate::forger::{Draft, Setup, Space, Stage, Victim};

/// Before our endpoint, which keeps so many IDs.
fn keeps(victim: Victim, ids: u64) -> Stage {
    let transport = TransportConfig::builder().active_connection_ids(ids).build();
    Stage::connected_with(victim, transport.expect("permitted settings"), &Setup::default())
}

#[test]
fn one_id_more_than_is_kept_is_a_connection_id_limit_error() {
    for victim in Victim::BOTH {
        let mut stage = keeps(victim, 3);
        stage.say(&[new_connection_id(1, 0, 8), new_connection_id(2, 0, 8)].concat());
        stage.goes_on();
        let one_more = new_connection_id(3, 0, 8);
        stage.say_and_end(&one_more, Code::CONNECTION_ID_LIMIT_ERROR, wire::NEW_CONNECTION_ID);
    }
}

#[test]
fn an_id_that_retires_others_makes_room_for_itself() {
    for victim in Victim::BOTH {
        let mut stage = keeps(victim, 2);
        for number in 1..20 {
            stage.say(&new_connection_id(number, number, 8));
            stage.shake();
        }
        stage.goes_on();
        assert_eq!(stage.heard(wire::RETIRE_CONNECTION_ID).len(), 19);
    }
}

#[test]
fn an_id_not_of_1_to_20_bytes_is_a_frame_encoding_error() {
    let token = wire::token(1);
    for id in [&[][..], &[7; 21], &[7; 255]] {
        let frame = new_connection_id_as(1, 0, id, &token);
        Stage::both_end(|_| frame.clone(), Code::FRAME_ENCODING_ERROR, wire::NEW_CONNECTION_ID);
    }
    for len in [1, 20] {
        Stage::both_go_on(|_| new_connection_id(1, 0, len));
    }
}

#[test]
fn an_id_that_retires_itself_is_a_frame_encoding_error() {
    let frame = |_| new_connection_id(1, 2, 8);
    Stage::both_end(frame, Code::FRAME_ENCODING_ERROR, wire::NEW_CONNECTION_ID);
}

#[test]
fn the_same_id_twice_is_fine() {
    Stage::both_go_on(|_| [new_connection_id(1, 0, 8), new_connection_id(1, 0, 8)].concat());
}

#[test]
fn one_number_with_two_ids_or_two_tokens_is_a_protocol_violation() {
    let (id, other) = (wire::id(1, 8), wire::id(2, 8));
    let first = new_connection_id(1, 0, 8);
    for second in [
        new_connection_id_as(1, 0, &other, &wire::token(1)),
        new_connection_id_as(1, 0, &id, &wire::token(2)),
    ] {
        let frames = |_| [first.clone(), second.clone()].concat();
        Stage::both_end(frames, Code::PROTOCOL_VIOLATION, wire::NEW_CONNECTION_ID);
    }
}

#[test]
fn one_id_with_two_numbers_is_a_protocol_violation() {
    let second = new_connection_id_as(2, 0, &wire::id(1, 8), &wire::token(2));
    let frames = |_| [new_connection_id(1, 0, 8), second.clone()].concat();
    Stage::both_end(frames, Code::PROTOCOL_VIOLATION, wire::NEW_CONNECTION_ID);
}

#[test]
fn retire_prior_to_that_is_lowered_is_ignored() {
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        stage.say(&new_connection_id(3, 3, 8));
        stage.say(&new_connection_id(4, 1, 8));
        stage.say(&new_connection_id(2, 0, 8));
        stage.goes_on();
        // All below 3 are given back, the one that came late as well.
        let retired = stage.heard(wire::RETIRE_CONNECTION_ID).into_iter().map(|frame| frame.words[0]);
        assert_eq!(retired.collect::<BTreeSet<_>>(), [0, 2].into());
    }
}

#[test]
fn an_id_from_a_peer_that_has_none_is_a_protocol_violation() {
    for victim in Victim::BOTH {
        let setup = Setup { scid: Vec::new(), ..Setup::default() };
        let mut stage = Stage::connected_with(victim, TransportConfig::default(), &setup);
        stage.say_and_end(&new_connection_id(1, 0, 8), Code::PROTOCOL_VIOLATION, wire::NEW_CONNECTION_ID);
    }
}

#[test]
fn giving_back_an_id_that_was_not_issued_is_a_protocol_violation() {
    let frame = |_| words(&[wire::RETIRE_CONNECTION_ID, 1000]);
    Stage::both_end(frame, Code::PROTOCOL_VIOLATION, wire::RETIRE_CONNECTION_ID);
}

#[test]
fn giving_back_the_id_that_the_packet_came_on_is_a_protocol_violation() {
    let frame = |_| words(&[wire::RETIRE_CONNECTION_ID, 0]);
    Stage::both_end(frame, Code::PROTOCOL_VIOLATION, wire::RETIRE_CONNECTION_ID);
}

#[test]
fn giving_an_id_back_on_another_one_brings_one_more() {
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        let issued = stage.forger.ids.clone();
        let (number, id) = issued.last_key_value().expect("our endpoint issues some");
        let retire = words(&[wire::RETIRE_CONNECTION_ID, 0]);
        stage.say_as(Space::OneRtt, Draft { dcid: Some(id.clone()), ..Draft::new(&retire) });
        stage.forger.dcid.clone_from(id);
        stage.goes_on();
        assert_eq!(stage.forger.ids.last_key_value().map(|(number, _)| *number), Some(number + 1));
        // And twice is as good as once.
        stage.say(&retire);
        stage.goes_on();
    }
}
