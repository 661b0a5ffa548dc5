//! The end of a connection: who may still speak, and what a stateless reset is (RFC 9000, Sections 10 and 11).

use peregrine::{CloseReason, Code, ConnectionEvent, Event, TransportConfig, VarInt};

use crate::forger::wire::{self, words};
use crate::forger::{Draft, Params, Setup, Space, Stage, Victim};
use sim::{addr, ms};

const STATELESS_RESET_TOKEN: u64 = 0x02;
const TOKEN: [u8; 16] = [0x5a; 16];

// ---- closing --------------------------------------------------------------------------------------

#[test]
fn an_error_is_said_in_one_rtt_packets_alone_once_the_handshake_is_confirmed() {
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        stage.say_and_end(&[0x21], Code::FRAME_ENCODING_ERROR, 0x21);
        let closes = stage.forger.heard.iter().filter(|(_, frame)| frame.kind == wire::CONNECTION_CLOSE);
        assert!(closes.map(|(space, _)| *space).eq([Space::OneRtt]));
    }
}

#[test]
fn an_error_is_said_again_to_who_has_not_heard_it_but_ever_more_rarely() {
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        stage.say(&[0x21]);
        for _ in 0..30 {
            stage.shout(&words(&[wire::PING]));
        }
        stage.listen();
        let said = stage.heard(wire::CONNECTION_CLOSE).len();
        assert!((2..=6).contains(&said), "{said} times");
    }
}

#[test]
fn an_application_that_closes_within_the_handshake_tells_nobody_why() {
    for victim in Victim::BOTH {
        let mut stage = Stage::new(victim, &Setup::default());
        stage.shake_in(Space::Initial);
        stage.speak(|now, ours| ours.close(now, VarInt::from_u32(77), b"a secret"));
        stage.listen();
        let early: Vec<_> = stage.forger.heard.iter().filter(|(space, _)| *space != Space::OneRtt).collect();
        assert!(early.iter().all(|(_, frame)| frame.kind != wire::APPLICATION_CLOSE));
        let close = early.iter().find(|(_, frame)| frame.kind == wire::CONNECTION_CLOSE);
        let (_, close) = close.expect("it is said");
        assert_eq!((close.words[0], &close.data[..]), (0x0c, &b""[..]));
    }
}

#[test]
fn a_closing_endpoint_sends_nothing_to_an_address_that_is_not_the_peers() {
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        stage.say(&[0x21]);
        let tape = stage.record();
        for _ in 0..20 {
            let datagram = stage.forger.seal(Space::OneRtt, Draft::new(&words(&[wire::PING])));
            stage.send_from("45.0.0.67:4433", datagram);
        }
        stage.listen();
        assert!(!tape.borrow().contains(&addr("45.0.0.67:4433")));
    }
}

#[test]
fn who_was_told_that_it_is_over_says_nothing_more() {
    for close in [words(&[wire::CONNECTION_CLOSE, 0x0a, 0, 0]), words(&[wire::APPLICATION_CLOSE, 7, 0])] {
        for victim in Victim::BOTH {
            let mut stage = Stage::connected(victim);
            stage.say(&close);
            stage.forger.heard.clear();
            for _ in 0..10 {
                stage.shout(&words(&[wire::PING]));
            }
            stage.shout(&[0x21]);
            assert!(!stage.listen_for(ms(200)), "{victim:?} goes on talking");
        }
    }
}

#[test]
fn frames_behind_a_close_are_not_read() {
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        stage.say(&[&words(&[wire::APPLICATION_CLOSE, 7, 0])[..], &[0x21]].concat());
        let reason = CloseReason::Application { code: VarInt::from_u32(7), reason: Vec::new() };
        assert_eq!((stage.end(), stage.close()), (Some(&reason), None));
    }
}

#[test]
fn what_a_packet_brought_before_its_offence_is_told_before_the_end() {
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        let told = stage.world.at(stage.host).events().len();
        stage.say(&[&wire::stream(victim.forgers_uni(), 0, b"x")[..], &[0x21]].concat());
        // Streams' events are not kept here: that none came after the end is watched by the world.
        let last = stage.world.at(stage.host).events()[told..].last().map(|(_, event)| event.clone());
        assert!(matches!(last, Some(Event::Connection(_, ConnectionEvent::Closed(_)))), "{last:?}");
    }
}

// ---- stateless resets -----------------------------------------------------------------------------

/// Our client, whose server has given it a token for stateless resets.
fn with_token() -> Stage {
    let params: fn(Params) -> Params = |params| params.bytes(STATELESS_RESET_TOKEN, &TOKEN);
    Stage::connected_with(Victim::Client, TransportConfig::default(), &Setup::params(params))
}

/// A datagram that begins with this byte, goes to our endpoint's ID and ends with a token.
fn reset(stage: &Stage, first: u8, token: [u8; 16]) -> Vec<u8> {
    [&[first], &stage.forger.dcid[..], &[7; 30], &token].concat()
}

#[test]
fn a_stateless_reset_ends_the_connection_without_a_word() {
    let mut stage = with_token();
    let datagram = reset(&stage, 0x40, TOKEN);
    stage.send(datagram);
    assert!(!stage.listen_for(ms(500)));
    assert_eq!(stage.end(), Some(&CloseReason::Reset));
}

#[test]
fn a_stateless_reset_to_an_id_that_nobody_knows_ends_the_connection() {
    let mut stage = with_token();
    stage.forger.dcid = vec![0x99; 8];
    let datagram = reset(&stage, 0x40, TOKEN);
    stage.send(datagram);
    stage.listen();
    assert_eq!(stage.end(), Some(&CloseReason::Reset));
}

#[test]
fn a_stateless_reset_with_a_long_header_ends_the_connection() {
    // As another version's server may send: it is not to be read, only its end (RFC 9000, Section 10.3).
    for first in [0xc0, 0xe0, 0xff] {
        for known in [true, false] {
            let mut stage = with_token();
            let dcid = if known { stage.forger.dcid.clone() } else { vec![0x99; 8] };
            let head = [&[first, 0x1a, 0x2a, 0x3a, 0x4a, 8], &dcid[..], &[0; 20]].concat();
            stage.send([&head[..], &TOKEN].concat());
            stage.listen();
            assert_eq!(stage.end(), Some(&CloseReason::Reset), "{first:#x}, to an ID that is known: {known}");
        }
    }
}

#[test]
fn a_token_that_nobody_gave_resets_nothing() {
    let mut stage = with_token();
    let datagram = reset(&stage, 0x40, [0x5b; 16]);
    stage.send(datagram);
    stage.goes_on();
}

#[test]
fn a_token_of_an_id_that_is_not_in_use_resets_nothing() {
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        stage.say(&wire::new_connection_id(1, 0, 8));
        let datagram = reset(&stage, 0x40, wire::token(1));
        stage.send(datagram);
        stage.goes_on();
    }
}

#[test]
fn a_token_of_an_id_that_was_given_back_resets_nothing() {
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        stage.say(&wire::new_connection_id(1, 1, 8));
        stage.say(&wire::new_connection_id(2, 2, 8));
        let datagram = reset(&stage, 0x40, wire::token(1));
        stage.send(datagram);
        stage.goes_on();
        let datagram = reset(&stage, 0x40, wire::token(2));
        stage.send(datagram);
        stage.listen();
        assert_eq!(stage.end(), Some(&CloseReason::Reset), "but the one in use does");
    }
}
