//! How a connection ends whose server may have moved: resets and closes from home and from candidates (server-migration
//! rules, 2.12).

use peregrine::CloseReason;

use crate::forger::wire::{self, words};
use crate::script::{AWAY, HOME, Script, TOKEN, bare, response};
use sim::addr;

/// A stateless reset with the token of this ID.
fn reset(script: &mut Script, from: &str, token: [u8; 16]) {
    let datagram = [&[0x40], &script.stage.forger.dcid[..], &[7; 30], &token].concat();
    script.stage.send_from(from, datagram);
}

#[test]
fn a_reset_from_home_while_a_move_is_announced_begins_the_search_and_the_connection_lives_on() {
    let mut script = Script::announced();
    reset(&mut script, HOME, TOKEN);
    let seek = script.hear_at(AWAY, 5).remove(0);
    assert_eq!(script.stage.end(), None);
    script.say(AWAY, &response(&seek.challenge().expect("a challenge")));
    script.hear(5);
    assert_eq!((script.home(), script.stage.end()), (addr(AWAY), None));
}

#[test]
fn a_reset_from_home_counts_at_the_deadline_if_nobody_is_found() {
    let mut script = Script::announced();
    reset(&mut script, HOME, TOKEN);
    script.hear(29_000);
    assert_eq!(script.stage.end(), None);
    script.hear(2_000);
    assert_eq!(script.stage.end(), Some(&CloseReason::Reset));
}

#[test]
fn a_reset_from_home_waits_for_a_candidate_that_has_spoken() {
    let mut script = Script::symmetric();
    script.say_at_length(AWAY, &bare(wire::PING));
    let data = script.hear_at(AWAY, 5)[0].challenge().expect("a challenge");
    reset(&mut script, HOME, TOKEN);
    script.hear(5);
    assert_eq!(script.stage.end(), None);
    script.say(AWAY, &response(&data));
    script.hear(5);
    assert_eq!((script.home(), script.stage.end()), (addr(AWAY), None));
}

#[test]
fn a_reset_from_home_counts_at_once_if_nothing_is_announced() {
    let mut script = Script::symmetric();
    reset(&mut script, HOME, TOKEN);
    script.hear(5);
    assert_eq!(script.stage.end(), Some(&CloseReason::Reset));
}

#[test]
fn a_reset_from_a_candidate_is_ignored() {
    let mut script = Script::announced();
    script.say_at_length(AWAY, &bare(wire::PING));
    script.hear(5);
    for token in [TOKEN, wire::token(1)] {
        reset(&mut script, AWAY, token);
        script.hear(5);
        assert_eq!(script.stage.end(), None);
    }
}

#[test]
fn a_close_is_said_at_home_and_to_a_candidate_that_has_spoken_and_to_no_silent_one() {
    for speaks in [false, true] {
        let mut script = Script::announced();
        script.stage.speak(|now, client| client.migration().seek_now(now)).expect("it was announced");
        if speaks {
            script.say_at_length(AWAY, &bare(wire::PING));
        }
        script.hear(5);
        script.stage.speak(|now, client| client.close(now, 7u32.into(), b"enough"));
        let mut told: Vec<_> = script
            .hear(5)
            .into_iter()
            .filter(|said| said.kinds().contains(&wire::APPLICATION_CLOSE))
            .map(|said| said.to)
            .collect();
        told.sort();
        assert_eq!(told, if speaks { vec![addr(HOME), addr(AWAY)] } else { vec![addr(HOME)] });
    }
}

#[test]
fn a_close_from_a_candidate_is_honoured() {
    let mut script = Script::announced();
    script.say(AWAY, &words(&[wire::APPLICATION_CLOSE, 7, 0]));
    script.hear(5);
    let reason = CloseReason::Application { code: 7u32.into(), reason: Vec::new() };
    assert_eq!(script.stage.end(), Some(&reason));
}
