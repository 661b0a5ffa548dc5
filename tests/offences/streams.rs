//! Frames that name streams, and their limits (RFC 9000, Sections 2 to 4 and 19.4 to 19.14).

use peregrine::{Code, Dir, TransportConfig};

use crate::forger::wire::{self, LARGEST, stream, stream_end, words};
use crate::forger::{Setup, Stage, Victim};

/// As CONNECTION_CLOSE names STREAM, whatever its flags.
const ANY_STREAM: u64 = 0x08;

/// Before our endpoint, which permits 100 bytes on a stream, 150 on all, and two streams each way.
fn narrow(victim: Victim) -> Stage {
    let transport = TransportConfig::builder()
        .stream_receive_window(100)
        .receive_window(150)
        .max_bidi_streams(2)
        .max_uni_streams(2)
        .build()
        .expect("permitted settings");
    Stage::connected_with(victim, transport, &Setup::default())
}

#[test]
fn an_honest_forger_is_not_noticed() {
    Stage::both_go_on(|victim| {
        let streams = [victim.forgers_bidi(), victim.forgers_uni()];
        streams.iter().flat_map(|id| stream_end(*id, 0, b"honest")).collect()
    });
}

// ---- flow control ---------------------------------------------------------------------------------

#[test]
fn stream_data_beyond_the_streams_limit_is_a_flow_control_error() {
    for victim in Victim::BOTH {
        let id = victim.forgers_bidi();
        narrow(victim).say_and_end(&stream(id, 1, &[7; 100]), Code::FLOW_CONTROL_ERROR, ANY_STREAM);
    }
}

#[test]
fn an_empty_end_beyond_the_streams_limit_is_a_flow_control_error() {
    for victim in Victim::BOTH {
        let id = victim.forgers_uni();
        narrow(victim).say_and_end(&stream_end(id, 101, b""), Code::FLOW_CONTROL_ERROR, ANY_STREAM);
    }
}

#[test]
fn stream_data_beyond_the_connections_limit_is_a_flow_control_error() {
    for victim in Victim::BOTH {
        let mut stage = narrow(victim);
        stage.say(&stream(victim.forgers_bidi(), 0, &[7; 100]));
        stage.goes_on();
        let second = stream(victim.forgers_uni(), 0, &[7; 51]);
        stage.say_and_end(&second, Code::FLOW_CONTROL_ERROR, ANY_STREAM);
    }
}

#[test]
fn exactly_as_much_as_is_permitted_is_taken() {
    for victim in Victim::BOTH {
        let mut stage = narrow(victim);
        stage.say(&stream_end(victim.forgers_bidi(), 0, &[7; 100]));
        stage.say(&stream_end(victim.forgers_uni(), 0, &[7; 50]));
        stage.goes_on();
    }
}

#[test]
fn a_reset_whose_final_size_is_beyond_a_limit_is_a_flow_control_error() {
    for victim in Victim::BOTH {
        let reset = words(&[wire::RESET_STREAM, victim.forgers_bidi(), 0, 101]);
        narrow(victim).say_and_end(&reset, Code::FLOW_CONTROL_ERROR, wire::RESET_STREAM);
    }
}

#[test]
fn limits_that_are_lowered_are_ignored() {
    for victim in Victim::BOTH {
        let setup = Setup::params(|params| params.integer(0x04, 0).integer(0x07, 0).integer(0x09, 1));
        let mut stage = Stage::connected_with(victim, TransportConfig::default(), &setup);
        let id = stage.speak(|_, ours| ours.open(Dir::Uni)).expect("one stream is permitted");
        let raw = id.into_inner();
        stage.say(&words(&[wire::MAX_STREAM_DATA, raw, 1000]));
        stage.say(&words(&[wire::MAX_STREAM_DATA, raw, 10]));
        stage.say(&words(&[wire::MAX_DATA, 1000]));
        stage.say(&words(&[wire::MAX_DATA, 10]));
        let written = stage.speak(|_, ours| ours.send(id).expect("it is open").write(&[7; 1000]));
        assert_eq!(written, Ok(1000));
        stage.listen();
        let heard: usize = stage
            .forger
            .heard
            .iter()
            .filter(|(_, f)| f.kind & !1 == wire::STREAM)
            .map(|(_, f)| f.data.len())
            .sum();
        assert_eq!(heard, 1000);
        stage.goes_on();
    }
}

#[test]
fn a_stream_limit_that_is_lowered_is_ignored() {
    for victim in Victim::BOTH {
        let setup = Setup::params(|params| params.integer(0x08, 0).integer(0x09, 0));
        let mut stage = Stage::connected_with(victim, TransportConfig::default(), &setup);
        for kind in [wire::MAX_STREAMS_BIDI, wire::MAX_STREAMS_UNI] {
            stage.say(&words(&[kind, 2]));
            stage.say(&words(&[kind, 1]));
        }
        stage.goes_on();
        for dir in [Dir::Bi, Dir::Uni] {
            let opened = stage.speak(|_, ours| (0..3).filter(|_| ours.open(dir).is_some()).count());
            assert_eq!(opened, 2);
        }
    }
}

// ---- the number of streams ------------------------------------------------------------------------

#[test]
fn a_frame_for_a_stream_beyond_the_limit_is_a_stream_limit_error() {
    for victim in Victim::BOTH {
        let (bidi, uni) = (victim.forgers_bidi() + 8, victim.forgers_uni() + 8);
        for (frame, kind) in [
            (stream(bidi, 0, b"x"), ANY_STREAM),
            (stream(uni, 0, b"x"), ANY_STREAM),
            (words(&[wire::RESET_STREAM, bidi, 0, 0]), wire::RESET_STREAM),
            (words(&[wire::STOP_SENDING, bidi, 0]), wire::STOP_SENDING),
            (words(&[wire::MAX_STREAM_DATA, bidi, 0]), wire::MAX_STREAM_DATA),
            (words(&[wire::STREAM_DATA_BLOCKED, uni, 0]), wire::STREAM_DATA_BLOCKED),
        ] {
            narrow(victim).say_and_end(&frame, Code::STREAM_LIMIT_ERROR, kind);
        }
    }
}

#[test]
fn the_last_stream_within_the_limit_may_be_used() {
    for victim in Victim::BOTH {
        let mut stage = narrow(victim);
        stage.say(&stream(victim.forgers_bidi() + 4, 0, b"x"));
        stage.say(&stream(victim.forgers_uni() + 4, 0, b"x"));
        stage.goes_on();
    }
}

#[test]
fn a_number_of_streams_beyond_2_to_the_60_is_a_frame_encoding_error() {
    for kind in
        [wire::MAX_STREAMS_BIDI, wire::MAX_STREAMS_UNI, wire::STREAMS_BLOCKED_BIDI, wire::STREAMS_BLOCKED_UNI]
    {
        Stage::both_end(|_| words(&[kind, (1 << 60) + 1]), Code::FRAME_ENCODING_ERROR, kind);
        Stage::both_go_on(|_| words(&[kind, 1 << 60]));
    }
}

// ---- streams that a frame cannot name -------------------------------------------------------------

#[test]
fn a_frame_for_the_receiving_half_of_a_stream_that_only_we_send_on_is_a_stream_state_error() {
    for (frame, kind) in [
        (vec![wire::STREAM, 0, 0], ANY_STREAM),
        (vec![wire::RESET_STREAM, 0, 0], wire::RESET_STREAM),
        (vec![wire::STREAM_DATA_BLOCKED, 0], wire::STREAM_DATA_BLOCKED),
    ] {
        for victim in Victim::BOTH {
            let mut stage = Stage::connected(victim);
            let opened = stage.speak(|_, ours| ours.open(Dir::Uni));
            assert_eq!(opened.map(|id| id.into_inner()), Some(victim.uni()));
            let mut frame = frame.clone();
            frame.insert(1, victim.uni());
            stage.say_and_end(&words(&frame), Code::STREAM_STATE_ERROR, kind);
        }
    }
}

#[test]
fn a_frame_for_the_sending_half_of_a_stream_that_only_the_peer_sends_on_is_a_stream_state_error() {
    for kind in [wire::STOP_SENDING, wire::MAX_STREAM_DATA] {
        Stage::both_end(
            |victim| {
                let id = victim.forgers_uni();
                [stream(id, 0, b"x"), words(&[kind, id, 7])].concat()
            },
            Code::STREAM_STATE_ERROR,
            kind,
        );
    }
}

#[test]
fn a_frame_for_a_stream_of_ours_that_was_not_opened_is_a_stream_state_error() {
    for (frame, kind) in [
        (vec![wire::STREAM, 0, 0], ANY_STREAM),
        (vec![wire::RESET_STREAM, 0, 0], wire::RESET_STREAM),
        (vec![wire::STOP_SENDING, 0], wire::STOP_SENDING),
        (vec![wire::MAX_STREAM_DATA, 7], wire::MAX_STREAM_DATA),
        (vec![wire::STREAM_DATA_BLOCKED, 7], wire::STREAM_DATA_BLOCKED),
    ] {
        Stage::both_end(
            |victim| {
                let mut frame = frame.clone();
                frame.insert(1, victim.bidi());
                words(&frame)
            },
            Code::STREAM_STATE_ERROR,
            kind,
        );
    }
}

// ---- offsets and final sizes ----------------------------------------------------------------------

#[test]
fn stream_data_beyond_the_largest_offset_is_a_frame_encoding_error() {
    let frame = |victim: Victim| stream(victim.forgers_bidi(), LARGEST, b"x");
    Stage::both_end(frame, Code::FRAME_ENCODING_ERROR, wire::STREAM);
}

#[test]
fn data_after_the_end_of_a_stream_is_a_final_size_error() {
    Stage::both_end(
        |victim| {
            let id = victim.forgers_uni();
            [stream_end(id, 0, b"abc"), stream(id, 3, b"d")].concat()
        },
        Code::FINAL_SIZE_ERROR,
        ANY_STREAM,
    );
}

#[test]
fn an_end_that_moves_is_a_final_size_error() {
    for (second, kind) in [(2, wire::RESET_STREAM), (4, wire::RESET_STREAM)] {
        Stage::both_end(
            |victim| {
                let id = victim.forgers_uni();
                [stream_end(id, 0, b"abc"), words(&[wire::RESET_STREAM, id, 0, second])].concat()
            },
            Code::FINAL_SIZE_ERROR,
            kind,
        );
    }
    Stage::both_end(
        |victim| {
            let id = victim.forgers_uni();
            [stream(id, 0, b"abc"), stream_end(id, 2, b"")].concat()
        },
        Code::FINAL_SIZE_ERROR,
        ANY_STREAM,
    );
}

#[test]
fn an_end_that_is_said_twice_is_fine() {
    Stage::both_go_on(|victim| {
        let id = victim.forgers_uni();
        [stream_end(id, 0, b"abc"), stream_end(id, 3, b""), words(&[wire::RESET_STREAM, id, 7, 3])].concat()
    });
}

#[test]
fn other_data_at_the_same_offset_does_not_replace_what_was_read() {
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        let id = victim.forgers_uni();
        stage.say(&stream(id, 0, b"first"));
        stage.say(&stream(id, 0, b"other"));
        let mut out = [0; 16];
        let read = stage.speak(|_, ours| {
            let id = ours.accept(Dir::Uni).expect("the peer has opened it");
            ours.recv(id).expect("it is there").read(&mut out)
        });
        assert_eq!(read.map(|len| out[..len.unwrap_or(0)].to_vec()), Ok(b"first".to_vec()));
        stage.goes_on();
    }
}
