//! Offences in 0-RTT packets, and about them (RFC 9000, Section 12.5; RFC 9001, Sections 4.6.2 and 8.3).

use peregrine::{Code, ConnectionEvent, EarlyData, Event};

use crate::forger::{Space, Stage, wire};

/// What our endpoint said of early data.
fn early(stage: &Stage) -> Vec<EarlyData> {
    let events = stage.world.at(stage.host).events().iter();
    let early = events.filter_map(|(_, event)| match event {
        Event::Connection(_, ConnectionEvent::EarlyData(early)) => Some(*early),
        _ => None,
    });
    early.collect()
}

#[test]
fn early_data_of_an_honest_kind_is_taken() {
    let mut stage = Stage::before_early_server();
    let datagram = stage.forger.seal_early(&wire::stream_end(2, 0, b"early"));
    stage.send(datagram);
    stage.listen();
    assert_eq!(early(&stage), [EarlyData::Accepted]);
    stage.still_connects();
    assert!(stage.forger.heard.iter().any(|(space, frame)| *space == Space::OneRtt && frame.acknowledges(0)));
}

#[test]
fn a_frame_that_0_rtt_does_not_permit_is_a_protocol_violation() {
    let not_permitted = [
        wire::ack(&[(0, 0)]),
        wire::crypto(0, b"x"),
        wire::words(&[wire::HANDSHAKE_DONE]),
        wire::path(wire::PATH_RESPONSE, 7),
        wire::words(&[wire::RETIRE_CONNECTION_ID, 0]),
        wire::new_token(b"token"),
        wire::words(&[wire::SERVER_MIGRATED]),
    ];
    for frame in not_permitted {
        let mut stage = Stage::before_early_server();
        let datagram = stage.forger.seal_early(&frame);
        stage.send(datagram);
        stage.listen();
        assert_eq!(early(&stage), [EarlyData::Accepted]);
        stage.ends_with(Code::PROTOCOL_VIOLATION, frame[0].into());
    }
}

#[test]
fn what_ends_a_connection_later_ends_it_in_early_data_as_well() {
    let beyond = wire::stream_end(2, 1 << 40, b"");
    for (frame, code, kind) in
        [(vec![0x21], Code::FRAME_ENCODING_ERROR, 0x21), (beyond, Code::FLOW_CONTROL_ERROR, 0x08)]
    {
        let mut stage = Stage::before_early_server();
        let datagram = stage.forger.seal_early(&frame);
        stage.send(datagram);
        stage.listen();
        stage.ends_with(code, kind);
    }
}

#[test]
fn an_acknowledgement_of_early_data_that_was_not_taken_is_a_protocol_violation() {
    let mut stage = Stage::before_early_client(b"early");
    stage.shake();
    assert_eq!(early(&stage).last(), Some(&EarlyData::Rejected));
    stage.say_and_end(&wire::ack(&[(0, 0)]), Code::PROTOCOL_VIOLATION, wire::ACK);
}

#[test]
fn what_was_not_taken_comes_again_and_is_acknowledged_without_offence() {
    let mut stage = Stage::before_early_client(b"early");
    stage.shake();
    assert_eq!(early(&stage).last(), Some(&EarlyData::Rejected));
    let again = stage.forger.heard.iter().any(|(space, frame)| {
        *space == Space::OneRtt && (0x08..0x10).contains(&frame.kind) && frame.data == b"early"
    });
    assert!(again);
    stage.goes_on();
}
