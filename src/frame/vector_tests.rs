//! 347 encodings written from RFC 9000, Sections 12.4 and 19, and RFC 9221: well-formed ones with their fields, and
//! malformed ones with the error they must cause. Each is a whole packet payload that holds one frame.

use serde_json::{Value, json};

use super::tests::{read, resent};
use super::{ConnectionClose, Frame, FrameKind, PacketKind};
use crate::error::Code;

fn cases() -> Vec<Value> {
    let vectors = include_str!("../../tests/data/vectors/frames.json");
    let data: Value = serde_json::from_str(vectors).expect("JSON");
    data["cases"].as_array().expect("a list").clone()
}

fn name(case: &Value) -> &str {
    case["name"].as_str().expect("a text")
}

fn payload(case: &Value) -> Vec<u8> {
    let hex = case["bytes"].as_str().expect("a text");
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

/// The one frame of a well-formed case.
fn only<'a>(case: &Value, payload: &'a [u8]) -> Frame<'a> {
    match read(payload).map(<[Frame<'a>; 1]>::try_from) {
        Ok(Ok([frame])) => frame,
        other => panic!("{}: {other:?}", name(case)),
    }
}

fn well_formed() -> impl Iterator<Item = Value> {
    cases().into_iter().filter(|case| case["result"] == "ok")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The fields as the vectors name them: numbers in decimal, bytes in hexadecimal.
fn fields(frame: &Frame<'_>) -> Value {
    let n = |number: u64| number.to_string();
    match *frame {
        Frame::Padding(len) => json!({ "length": len.to_string() }),
        Frame::Ack(ack) => {
            let ranges: Vec<[String; 2]> = ack.ranges().map(|r| [n(*r.start()), n(*r.end())]).collect();
            let mut fields = json!({ "delay": n(ack.delay), "ranges": ranges });
            if let Some(ecn) = ack.ecn {
                fields["ecn"] = json!([n(ecn.ect0), n(ecn.ect1), n(ecn.ce)]);
            }
            fields
        }
        Frame::ResetStream(f) => {
            json!({ "stream_id": n(f.id.into_inner()), "error": n(f.code), "final_size": n(f.final_size) })
        }
        Frame::StopSending(f) => json!({ "stream_id": n(f.id.into_inner()), "error": n(f.code) }),
        Frame::Crypto(f) => json!({ "offset": n(f.offset), "data": hex(f.data) }),
        Frame::NewToken(f) => json!({ "token": hex(f.token) }),
        Frame::Stream(f) => {
            json!({
                "stream_id": n(f.id.into_inner()), "offset": n(f.offset), "fin": f.fin, "data": hex(f.data),
            })
        }
        Frame::MaxData(f) => json!({ "maximum": n(f.limit) }),
        Frame::MaxStreamData(f) => json!({ "stream_id": n(f.id.into_inner()), "maximum": n(f.limit) }),
        Frame::MaxStreams(f) => json!({ "maximum": n(f.limit) }),
        Frame::DataBlocked(f) => json!({ "limit": n(f.limit) }),
        Frame::StreamDataBlocked(f) => json!({ "stream_id": n(f.id.into_inner()), "limit": n(f.limit) }),
        Frame::StreamsBlocked(f) => json!({ "limit": n(f.limit) }),
        Frame::NewConnectionId(f) => json!({
            "sequence": n(f.sequence), "retire_prior_to": n(f.retire_prior_to), "cid": hex(&f.id),
            "reset_token": hex(&f.token.0),
        }),
        Frame::RetireConnectionId(f) => json!({ "sequence": n(f.sequence) }),
        Frame::PathChallenge(f) => json!({ "data": hex(&f.data) }),
        Frame::PathResponse(f) => json!({ "data": hex(&f.data) }),
        Frame::ConnectionClose(ConnectionClose::Transport { code, frame, reason }) => {
            json!({ "error": n(code.into_inner()), "frame_type": n(frame), "reason": hex(reason) })
        }
        Frame::ConnectionClose(ConnectionClose::Application { code, reason }) => {
            json!({ "error": n(code.into_inner()), "reason": hex(reason) })
        }
        Frame::Datagram(f) => json!({ "data": hex(f.data) }),
        Frame::Ping | Frame::HandshakeDone => json!({}),
        Frame::ServerMigration(_) | Frame::ServerMigrated | Frame::PoolMigrationAddress(_) => {
            panic!("no vector of RFC 9000 is a migration frame")
        }
        Frame::AckFrequency(_) | Frame::ImmediateAck => {
            panic!("no vector of RFC 9000 is about ACK frequency")
        }
    }
}

#[test]
fn all_cases_are_used() {
    assert_eq!(cases().len(), 347);
    assert_eq!(well_formed().count(), 114);
}

#[test]
fn every_well_formed_frame_is_read_with_its_fields() {
    for case in well_formed() {
        let payload = payload(&case);
        let frame = only(&case, &payload);
        let mut expected = case["fields"].clone();
        // Whether a length was given cannot be told from the frame, nor need it be.
        expected.as_object_mut().expect("fields").remove("to_end_of_packet");
        assert_eq!(fields(&frame), expected, "{}", name(&case));
        let code = case["type"].as_str().and_then(|code| code.strip_prefix("0x")).expect("a code");
        let code = u64::from_str_radix(code, 16).expect("hex");
        let span = match frame.kind() {
            FrameKind::Stream => 8,
            FrameKind::Ack
            | FrameKind::MaxStreams
            | FrameKind::StreamsBlocked
            | FrameKind::ConnectionClose
            | FrameKind::Datagram => 2,
            _ => 1,
        };
        assert!((frame.kind().code()..frame.kind().code() + span).contains(&code), "{}", name(&case));
    }
}

#[test]
fn every_well_formed_frame_is_read_again_when_it_is_written() {
    for case in well_formed() {
        let payload = payload(&case);
        let frame = only(&case, &payload);
        let encoded = resent(&frame).0;
        let again = only(&case, &encoded);
        assert_eq!(fields(&again), fields(&frame), "{}", name(&case));
        assert_eq!(again.kind(), frame.kind(), "{}", name(&case));
    }
}

#[test]
fn every_well_formed_frame_is_classified_as_the_rfc_says() {
    for case in well_formed() {
        let payload = payload(&case);
        let frame = only(&case, &payload);
        assert_eq!(frame.is_ack_eliciting(), case["ack_eliciting"] == true, "{}", name(&case));
        assert_eq!(frame.is_probing(), case["probing"] == true, "{}", name(&case));
        let letters = case["packets"].as_str().expect("letters");
        let kinds = [
            ('I', PacketKind::Initial),
            ('H', PacketKind::Handshake),
            ('0', PacketKind::ZeroRtt),
            ('1', PacketKind::OneRtt),
        ];
        for (letter, kind) in kinds {
            // Section 12.5 lets a server object to RETIRE_CONNECTION_ID in 0-RTT, which Table 3 permits.
            let objects = matches!(frame, Frame::RetireConnectionId(_)) && kind == PacketKind::ZeroRtt;
            let permitted = letters.contains(letter) && !objects;
            assert_eq!(frame.is_permitted_in(kind), permitted, "{} in {kind:?}", name(&case));
        }
    }
}

/// Called malformed by the vectors, which list the same shape as well-formed elsewhere
/// (`stream_offset_max_len0`): no byte of it lies beyond 2^62 - 1. Flow control refuses it one floor up.
const WELL_FORMED_AFTER_ALL: &str = "stream_hang_picoquic_class";

/// Unknown to the vectors; since then it is IMMEDIATE_ACK.
const KNOWN_BY_NOW: &str = "unknown_type_1f";

fn allows(case: &Value, outcome: &str) -> bool {
    case["error"] == outcome
        || case["also_allowed"].as_array().is_some_and(|all| all.contains(&outcome.into()))
}

#[test]
fn every_malformed_frame_is_refused_except_types_in_a_longer_encoding() {
    let mut accepted = 0;
    let others = [WELL_FORMED_AFTER_ALL, KNOWN_BY_NOW];
    let malformed =
        cases().into_iter().filter(|case| case["result"] == "error" && !others.contains(&name(case)));
    for case in malformed {
        match read(&payload(&case)) {
            Err(fault) => {
                assert_eq!(fault.code, Code::FRAME_ENCODING_ERROR, "{}", name(&case));
                assert!(allows(&case, "FRAME_ENCODING_ERROR"), "{}", name(&case));
            }
            // Section 12.4 only permits to object; mvfst accepts them, and so do we.
            Ok(_) => {
                assert!(allows(&case, "accept") && name(&case).ends_with("_non_minimal"), "{}", name(&case));
                accepted += 1;
            }
        }
    }
    assert_eq!(accepted, 6);
}

#[test]
fn a_frame_of_no_bytes_at_the_very_end_of_a_stream_is_well_formed() {
    let case = cases().into_iter().find(|case| name(case) == WELL_FORMED_AFTER_ALL).expect("a case");
    let payload = payload(&case);
    let Frame::Stream(stream) = only(&case, &payload) else { panic!("a STREAM frame") };
    assert_eq!((stream.offset, stream.data.len(), stream.fin), ((1 << 62) - 1, 0, false));
}
