//! Frames there and back: one vector by hand for each, anything at all for all, and where each may stand.

use proptest::prelude::*;

use super::*;
use crate::codec::Writer;
use crate::error::Code;
use crate::id::{ConnectionId, ResetToken, StreamId};
use crate::range_set::RangeSet;
use crate::varint::VarInt;

/// What a frame is on the wire; it knows its length beforehand.
pub(super) fn encode(frame: &impl Encode) -> Vec<u8> {
    let mut buf = vec![0xee; frame.encoded_len()];
    let mut out = Writer::new(&mut buf);
    frame.encode(&mut out);
    assert_eq!(out.room(), 0, "the frame is shorter than it said");
    buf
}

/// The frame as we would send it, with what the sender's side says of it: ack-eliciting, probing.
fn sent<F: Outgoing>(frame: &F) -> (Vec<u8>, bool, bool) {
    (encode(frame), F::ACK_ELICITING, F::PROBING)
}

/// A received frame written again through the types that are sent.
pub(super) fn resent(frame: &Frame<'_>) -> (Vec<u8>, bool, bool) {
    match *frame {
        Frame::Padding(len) => sent(&Padding(len)),
        Frame::Ping => sent(&Ping),
        Frame::Ack(ack) => {
            let mut ranges = RangeSet::new();
            for range in ack.ranges() {
                ranges.insert(*range.start()..range.end() + 1);
            }
            sent(&AckOut { ranges: &ranges, limit: usize::MAX, delay: ack.delay, ecn: ack.ecn, due: true })
        }
        Frame::ResetStream(frame) => sent(&frame),
        Frame::StopSending(frame) => sent(&frame),
        Frame::Crypto(frame) => sent(&frame),
        Frame::NewToken(frame) => sent(&frame),
        Frame::Stream(frame) => sent(&frame),
        Frame::MaxData(frame) => sent(&frame),
        Frame::MaxStreamData(frame) => sent(&frame),
        Frame::MaxStreams(frame) => sent(&frame),
        Frame::DataBlocked(frame) => sent(&frame),
        Frame::StreamDataBlocked(frame) => sent(&frame),
        Frame::StreamsBlocked(frame) => sent(&frame),
        Frame::NewConnectionId(frame) => sent(&frame),
        Frame::RetireConnectionId(frame) => sent(&frame),
        Frame::PathChallenge(frame) => sent(&frame),
        Frame::PathResponse(frame) => sent(&frame),
        Frame::ConnectionClose(frame) => sent(&frame),
        Frame::HandshakeDone => sent(&HandshakeDone),
        Frame::Datagram(frame) => sent(&super::SendDatagram { head: frame.data, tail: b"" }),
        Frame::AckFrequency(frame) => sent(&frame),
        Frame::ImmediateAck => sent(&ImmediateAck),
        Frame::ServerMigration(frame) => sent(&SendServerMigration { frame, migration: 1 }),
        Frame::ServerMigrated => sent(&SendServerMigrated { migration: 1 }),
        Frame::PoolMigrationAddress(PoolMigrationAddress { target: Some(target) }) => {
            sent(&SendPoolAddress { target, member: 1 })
        }
        // No server of ours sends this.
        Frame::PoolMigrationAddress(PoolMigrationAddress { target: None }) => {
            ([&[0x34][..], &[0; 24]].concat(), true, false)
        }
    }
}

pub(super) fn read(bytes: &[u8]) -> Result<Vec<Frame<'_>>, TransportError> {
    Frames::new(bytes).collect()
}

pub(super) fn refused(bytes: &[u8]) -> bool {
    read(bytes).map_err(|e| e.code) == Err(Code::FRAME_ENCODING_ERROR)
}

fn stream_id(n: u64) -> StreamId {
    StreamId::from_wire(n)
}

fn cid(bytes: &[u8]) -> ConnectionId {
    ConnectionId::new(bytes).expect("at most 20 bytes")
}

pub(super) fn target(v4: Option<&str>, v6: Option<&str>) -> MigrationTarget {
    let v4 = v4.map(|text| text.parse().expect("an IPv4 endpoint"));
    let v6 = v6.map(|text| text.parse().expect("an IPv6 endpoint"));
    MigrationTarget::new(v4, v6).expect("a usable endpoint")
}

/// 127.0.0.1:5000 and [::1]:5001, as in the reference, Section 1.2.
const BOTH: [u8; 24] = [127, 0, 0, 1, 0x13, 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x13, 0x89];
/// 192.0.2.7:6666 and nothing.
const ONLY_V4: [u8; 24] = [192, 0, 2, 7, 0x1a, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// One frame of each kind, written out by hand from the RFC's figures, and where Table 3 lets it stand.
fn vectors() -> Vec<(Vec<u8>, Frame<'static>, &'static str)> {
    let fault = ConnectionClose::Transport { code: Code::PROTOCOL_VIOLATION, frame: 6, reason: b"no" };
    let bye = ConnectionClose::Application { code: VarInt::from_u32(0x404), reason: b"bye" };
    let both = target(Some("127.0.0.1:5000"), Some("[::1]:5001"));
    let only_v4 = target(Some("192.0.2.7:6666"), None);
    let issued = NewConnectionId {
        sequence: 2,
        retire_prior_to: 1,
        id: cid(&[0xc0, 0xff, 0xee]),
        token: ResetToken([7; 16]),
    };
    let stream = Stream { id: stream_id(4), offset: 0, fin: false, data: b"abc" };
    let tenth = AckFrequency { sequence: 1, threshold: 9, max_ack_delay: 25_000, reordering: 3 };
    let end = Stream { id: stream_id(64), offset: 16_384, fin: true, data: b"" };
    let reset = ResetStream { id: stream_id(4), code: 64, final_size: 5 };
    vec![
        (vec![0, 0, 0], Frame::Padding(3), "IH01"),
        (vec![1], Frame::Ping, "IH01"),
        (vec![4, 4, 0x40, 64, 5], Frame::ResetStream(reset), "01"),
        (vec![5, 4, 23], Frame::StopSending(StopSending { id: stream_id(4), code: 23 }), "01"),
        (vec![6, 9, 0x40, 2, b'h', b'i'], Frame::Crypto(Crypto { offset: 9, data: b"hi" }), "IH1"),
        (vec![7, 2, 0xaa, 0xbb], Frame::NewToken(NewToken { token: &[0xaa, 0xbb] }), "1"),
        (vec![0x0a, 4, 0x40, 3, b'a', b'b', b'c'], Frame::Stream(stream), "01"),
        (vec![0x0f, 0x40, 64, 0x80, 0, 0x40, 0, 0x40, 0], Frame::Stream(end), "01"),
        (vec![0x10, 0x41, 0], Frame::MaxData(MaxData { limit: 256 }), "01"),
        (vec![0x11, 1, 9], Frame::MaxStreamData(MaxStreamData { id: stream_id(1), limit: 9 }), "01"),
        (vec![0x12, 7], Frame::MaxStreams(MaxStreams { dir: Dir::Bi, limit: 7 }), "01"),
        (vec![0x13, 7], Frame::MaxStreams(MaxStreams { dir: Dir::Uni, limit: 7 }), "01"),
        (vec![0x14, 0x41, 0], Frame::DataBlocked(DataBlocked { limit: 256 }), "01"),
        (vec![0x15, 1, 9], Frame::StreamDataBlocked(StreamDataBlocked { id: stream_id(1), limit: 9 }), "01"),
        (vec![0x16, 7], Frame::StreamsBlocked(StreamsBlocked { dir: Dir::Bi, limit: 7 }), "01"),
        (vec![0x17, 7], Frame::StreamsBlocked(StreamsBlocked { dir: Dir::Uni, limit: 7 }), "01"),
        ([&[0x18, 2, 1, 3, 0xc0, 0xff, 0xee][..], &[7; 16]].concat(), Frame::NewConnectionId(issued), "01"),
        // Table 3 permits it in 0-RTT, Section 12.5 says that it cannot be there and lets a server object: we
        // do.
        (vec![0x19, 2], Frame::RetireConnectionId(RetireConnectionId { sequence: 2 }), "1"),
        ([&[0x1a][..], &[5; 8]].concat(), Frame::PathChallenge(PathChallenge { data: [5; 8] }), "01"),
        ([&[0x1b][..], &[5; 8]].concat(), Frame::PathResponse(PathResponse { data: [5; 8] }), "1"),
        (vec![0x1c, 10, 6, 2, b'n', b'o'], Frame::ConnectionClose(fault), "IH01"),
        (vec![0x1d, 0x44, 0x04, 3, b'b', b'y', b'e'], Frame::ConnectionClose(bye), "01"),
        (vec![0x1e], Frame::HandshakeDone, "1"),
        (vec![0x1f], Frame::ImmediateAck, "1"),
        (vec![0x40, 0xaf, 1, 9, 0x80, 0, 0x61, 0xa8, 3], Frame::AckFrequency(tenth), "1"),
        ([&[0x32][..], &BOTH].concat(), Frame::ServerMigration(ServerMigration::MoveTo(both)), "1"),
        ([&[0x32][..], &ONLY_V4].concat(), Frame::ServerMigration(ServerMigration::MoveTo(only_v4)), "1"),
        ([&[0x32][..], &[0; 24]].concat(), Frame::ServerMigration(ServerMigration::Announce), "1"),
        (vec![0x33], Frame::ServerMigrated, "1"),
        (
            [&[0x34][..], &BOTH].concat(),
            Frame::PoolMigrationAddress(PoolMigrationAddress { target: Some(both) }),
            "1",
        ),
        (
            [&[0x34][..], &ONLY_V4].concat(),
            Frame::PoolMigrationAddress(PoolMigrationAddress { target: Some(only_v4) }),
            "1",
        ),
        (
            [&[0x34][..], &[0; 24]].concat(),
            Frame::PoolMigrationAddress(PoolMigrationAddress { target: None }),
            "1",
        ),
    ]
}

#[test]
fn each_frame_is_read_and_written_as_the_rfc_draws_it() {
    for (bytes, frame, _) in vectors() {
        assert_eq!(read(&bytes), Ok(vec![frame.clone()]));
        assert_eq!(resent(&frame).0, bytes, "{frame:?}");
    }
}

#[test]
fn sender_and_receiver_agree_on_what_must_be_acknowledged_and_what_is_probing() {
    for (_, frame, _) in vectors() {
        let (_, ack_eliciting, probing) = resent(&frame);
        assert_eq!((frame.is_ack_eliciting(), frame.is_probing()), (ack_eliciting, probing), "{frame:?}");
    }
}

#[test]
fn each_frame_stands_where_table_3_permits() {
    let kinds = [
        ('I', PacketKind::Initial),
        ('H', PacketKind::Handshake),
        ('0', PacketKind::ZeroRtt),
        ('1', PacketKind::OneRtt),
    ];
    for (_, frame, permitted) in vectors() {
        for (letter, kind) in kinds {
            assert_eq!(frame.is_permitted_in(kind), permitted.contains(letter), "{frame:?} in {kind:?}");
        }
    }
    let ack = read(&[2, 0, 0, 0, 0]).expect("an ACK").remove(0);
    assert_eq!(kinds.map(|(_, kind)| ack.is_permitted_in(kind)), [true, true, false, true]);
}

#[test]
fn a_truncated_frame_is_refused_wherever_it_ends() {
    for (bytes, frame, _) in vectors() {
        let whole = if matches!(frame, Frame::Padding(_)) { 1 } else { bytes.len() };
        for len in 1..whole {
            assert!(refused(&bytes[..len]), "{frame:?} of {len} bytes");
        }
    }
}

#[test]
fn a_fault_names_the_frame_and_ends_the_packet() {
    let mut frames = Frames::new(&[0x01, 0x19]);
    assert_eq!(frames.next(), Some(Ok(Frame::Ping)));
    let fault = frames.next().and_then(Result::err).expect("a fault");
    assert_eq!((fault.code, fault.frame), (Code::FRAME_ENCODING_ERROR, 0x19));
    assert_eq!(frames.next(), None);
    let unknown = read(&[0x7f, 0xff, 1]).expect_err("an unknown type");
    assert_eq!(unknown.frame, 0x3fff);
}

#[test]
fn a_token_of_no_bytes_is_refused() {
    assert!(refused(&[7, 0]));
    assert_eq!(read(&[7, 1, 9]), Ok(vec![Frame::NewToken(NewToken { token: &[9] })]));
}

#[test]
fn a_type_in_a_longer_encoding_is_accepted() {
    let migration = [&[0x40, 0x32][..], &ONLY_V4].concat();
    assert!(matches!(read(&migration).as_deref(), Ok([Frame::ServerMigration(ServerMigration::MoveTo(_))])));
    assert_eq!(read(&[0x40, 0x01]), Ok(vec![Frame::Ping]));
}

#[test]
fn a_run_of_padding_is_one_frame_and_what_follows_another() {
    assert_eq!(read(&[0, 0, 1, 0, 0, 0]), Ok(vec![Frame::Padding(2), Frame::Ping, Frame::Padding(3)]));
    assert_eq!(read(&[0; 1200]), Ok(vec![Frame::Padding(1200)]));
    assert_eq!(read(&[]), Ok(vec![]));
}

#[test]
fn stream_data_without_a_length_reaches_to_the_end_of_the_packet() {
    let stream = |offset, fin| Stream { id: stream_id(4), offset, fin, data: b"end" };
    assert_eq!(read(b"\x08\x04end"), Ok(vec![Frame::Stream(stream(0, false))]));
    assert_eq!(read(b"\x0d\x04\x07end"), Ok(vec![Frame::Stream(stream(7, true))]));
}

#[test]
fn what_a_frame_leaves_behind_says_what_it_said() {
    let stream = Stream { id: stream_id(4), offset: 9, fin: true, data: b"abc" };
    assert_eq!(stream.record(), Some(Record::Stream { id: stream_id(4), offset: 9, len: 3, fin: true }));
    assert_eq!(Crypto { offset: 9, data: b"abc" }.record(), Some(Record::Crypto { offset: 9, len: 3 }));
    assert_eq!(MaxData { limit: 7 }.record(), Some(Record::MaxData { limit: 7 }));
    let uni = MaxStreams { dir: Dir::Uni, limit: 7 };
    assert_eq!(uni.record(), Some(Record::MaxStreams { dir: Dir::Uni, limit: 7 }));
    let retire = RetireConnectionId { sequence: 3 };
    assert_eq!(retire.record(), Some(Record::RetireConnectionId { sequence: 3 }));
    assert_eq!(SendServerMigrated { migration: 2 }.record(), Some(Record::ServerMigrated { migration: 2 }));
    assert_eq!(PathResponse { data: [1; 8] }.record(), Some(Record::PathResponse));
    // A challenge is drawn anew, a PING or a close said again, by whoever has a reason.
    assert_eq!(PathChallenge { data: [1; 8] }.record(), None);
    assert_eq!((Ping.record(), Padding(9).record()), (None, None));
}

#[test]
fn only_what_may_go_to_an_unproven_address_is_seeking() {
    fn seeks<F: Outgoing>(_: F) -> bool {
        F::SEEKING
    }
    assert!(seeks(Ping) && seeks(Padding(1)));
    assert!(seeks(PathChallenge { data: [0; 8] }) && seeks(PathResponse { data: [0; 8] }));
    assert!(!seeks(Stream { id: stream_id(0), offset: 0, fin: false, data: b"" }));
    assert!(!seeks(HandshakeDone) && !seeks(RetireConnectionId { sequence: 0 }));
    assert!(!seeks(SendServerMigrated { migration: 0 }));
}

// ---- anything at all ----------------------------------------------------------------------------------

/// The frame number `which`, made of these numbers and bytes.
fn any_frame<'a>(which: u8, [a, b, c]: [u64; 3], flag: bool, data: &'a [u8], bytes: [u8; 24]) -> Frame<'a> {
    let id = stream_id(a);
    let dir = if flag { Dir::Bi } else { Dir::Uni };
    let room = VarInt::MAX.into_inner() - data.len() as u64;
    let data8 = *bytes.first_chunk().expect("eight of 24");
    match which {
        0 => Frame::ResetStream(ResetStream { id, code: b, final_size: c }),
        1 => Frame::StopSending(StopSending { id, code: b }),
        2 => Frame::Crypto(Crypto { offset: a.min(room), data }),
        3 => Frame::Stream(Stream { id, offset: b.min(room), fin: flag, data }),
        4 => Frame::MaxData(MaxData { limit: a }),
        5 => Frame::MaxStreamData(MaxStreamData { id, limit: b }),
        6 => Frame::MaxStreams(MaxStreams { dir, limit: a >> 2 }),
        7 => Frame::DataBlocked(DataBlocked { limit: a }),
        8 => Frame::StreamDataBlocked(StreamDataBlocked { id, limit: b }),
        9 => Frame::StreamsBlocked(StreamsBlocked { dir, limit: a >> 2 }),
        10 => Frame::NewConnectionId(NewConnectionId {
            sequence: a.max(b),
            retire_prior_to: a.min(b),
            id: cid(&bytes[..1 + usize::from(data8[0] % 20)]),
            token: ResetToken(*bytes.last_chunk().expect("sixteen of 24")),
        }),
        11 => Frame::RetireConnectionId(RetireConnectionId { sequence: a }),
        12 => Frame::PathChallenge(PathChallenge { data: data8 }),
        13 => Frame::PathResponse(PathResponse { data: data8 }),
        14 => Frame::ConnectionClose(ConnectionClose::Transport {
            code: Code::from_wire(a),
            frame: b,
            reason: data,
        }),
        15 => {
            Frame::ConnectionClose(ConnectionClose::Application { code: VarInt::saturating(a), reason: data })
        }
        16 => Frame::ServerMigration(
            target_of(bytes).map_or(ServerMigration::Announce, ServerMigration::MoveTo),
        ),
        17 => Frame::PoolMigrationAddress(PoolMigrationAddress { target: target_of(bytes) }),
        18 => Frame::ServerMigrated,
        19 => {
            let frame_len = super::SendDatagram::overhead(data.len()) + data.len();
            Frame::Datagram(super::Datagram { data, frame_len })
        }
        20 => Frame::AckFrequency(AckFrequency {
            sequence: a,
            threshold: b,
            max_ack_delay: c,
            reordering: a ^ b,
        }),
        21 => Frame::ImmediateAck,
        _ => Frame::HandshakeDone,
    }
}

fn target_of(bytes: [u8; 24]) -> Option<MigrationTarget> {
    let frame = [&[0x34][..], &bytes].concat();
    let frames = read(&frame).expect("every 24 bytes are a target");
    let [Frame::PoolMigrationAddress(PoolMigrationAddress { target })] = frames[..] else {
        panic!("{frames:?}")
    };
    target
}

/// Numbers of every size that a variable-length integer has.
fn any_number() -> impl Strategy<Value = u64> {
    (0u32..62, any::<u64>()).prop_map(|(bits, n)| n & ((2 << bits) - 1))
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(
        which in 0u8..23,
        numbers in [any_number(), any_number(), any_number()],
        flag in any::<bool>(),
        data in prop::collection::vec(any::<u8>(), 0..300),
        bytes in any::<[u8; 24]>(),
    ) {
        let frame = any_frame(which, numbers, flag, &data, bytes);
        let (encoded, ack_eliciting, probing) = resent(&frame);
        prop_assert_eq!(frame.is_ack_eliciting(), ack_eliciting);
        prop_assert_eq!(frame.is_probing(), probing);
        prop_assert_eq!(read(&encoded), Ok(vec![frame]));
    }

    #[test]
    fn an_ack_is_read_as_it_was_meant(
        parts in prop::collection::vec((any_number(), 1u64..1000), 1..80),
        limit in 1usize..100,
        delay in any_number(),
        ecn in prop::option::of([any_number(), any_number(), any_number()]),
    ) {
        let mut ranges = RangeSet::new();
        for (start, len) in parts {
            ranges.insert(start.min(1 << 61)..start.min(1 << 61) + len);
        }
        let ecn = ecn.map(|[ect0, ect1, ce]| EcnCounts { ect0, ect1, ce });
        let bytes = encode(&AckOut { ranges: &ranges, limit, delay, ecn, due: true });
        let frames = read(&bytes).expect("our own frame");
        let [Frame::Ack(ack)] = frames[..] else { panic!("{frames:?}") };
        let meant: Vec<_> = ranges.iter().rev().take(limit).map(|r| r.start..=r.end - 1).collect();
        prop_assert_eq!(ack.ranges().collect::<Vec<_>>(), meant);
        prop_assert_eq!((ack.delay, ack.ecn), (delay, ecn));
    }

    #[test]
    fn whatever_is_read_is_the_same_when_written_and_read_again(
        payload in prop::collection::vec(prop_oneof![0u8..0x40, any::<u8>()], 0..120)
    ) {
        for frame in Frames::new(&payload).map_while(Result::ok) {
            let encoded = resent(&frame).0;
            let again = read(&encoded).expect("our own frame");
            let [again] = &again[..] else { panic!("{again:?}") };
            match (&frame, again) {
                // The bytes of the ranges may be written shorter than they came.
                (Frame::Ack(one), Frame::Ack(other)) => {
                    prop_assert!(one.ranges().eq(other.ranges()));
                    prop_assert_eq!((one.delay, one.ecn), (other.delay, other.ecn));
                }
                // Its length is always written, and as short as it can be.
                (Frame::Datagram(one), Frame::Datagram(other)) => prop_assert_eq!(one.data, other.data),
                (one, other) => prop_assert_eq!(one, other),
            }
        }
    }
}
