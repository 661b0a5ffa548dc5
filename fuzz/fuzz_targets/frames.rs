//! The payload of a packet: nothing panics, and what was read is what would be written.

#![no_main]

use libfuzzer_sys::fuzz_target;
use peregrine::internals::{AckOut, Encode, Frame, Frames, PacketKind, RangeSet, Writer};
use peregrine::internals::{SendDatagram, SendPoolAddress, SendServerMigrated, SendServerMigration};

/// Longest data in a STREAM or CRYPTO frame of ours.
const MAX_DATA: usize = 16_383;

fn bytes(frame: &impl Encode) -> Vec<u8> {
    let mut buf = vec![0; frame.encoded_len()];
    let mut out = Writer::new(&mut buf);
    frame.encode(&mut out);
    assert_eq!(out.written(), frame.encoded_len(), "a frame is as long as it said");
    buf
}

/// The frame as we would write it; `None` for what we never send.
fn written(frame: &Frame<'_>) -> Option<Vec<u8>> {
    Some(match frame {
        Frame::Padding(_) | Frame::NewToken(_) => return None,
        Frame::Stream(stream) if stream.data.len() > MAX_DATA => return None,
        Frame::Crypto(crypto) if crypto.data.len() > MAX_DATA => return None,
        Frame::Ping => bytes(&peregrine::internals::Ping),
        Frame::Ack(ack) => {
            let mut ranges = RangeSet::new();
            let count = ack.ranges().count();
            ack.ranges().for_each(|range| {
                ranges.insert(*range.start()..range.end() + 1);
            });
            bytes(&AckOut { ranges: &ranges, limit: count, delay: ack.delay, ecn: ack.ecn, due: true })
        }
        Frame::ResetStream(frame) => bytes(frame),
        Frame::StopSending(frame) => bytes(frame),
        Frame::Crypto(frame) => bytes(frame),
        Frame::Stream(frame) => bytes(frame),
        Frame::MaxData(frame) => bytes(frame),
        Frame::MaxStreamData(frame) => bytes(frame),
        Frame::MaxStreams(frame) => bytes(frame),
        Frame::DataBlocked(frame) => bytes(frame),
        Frame::StreamDataBlocked(frame) => bytes(frame),
        Frame::StreamsBlocked(frame) => bytes(frame),
        Frame::NewConnectionId(frame) => bytes(frame),
        Frame::RetireConnectionId(frame) => bytes(frame),
        Frame::PathChallenge(frame) => bytes(frame),
        Frame::PathResponse(frame) => bytes(frame),
        Frame::ConnectionClose(frame) => bytes(frame),
        Frame::HandshakeDone => bytes(&peregrine::internals::HandshakeDone),
        Frame::Datagram(frame) => bytes(&SendDatagram { head: frame.data, tail: b"" }),
        Frame::AckFrequency(frame) => bytes(frame),
        Frame::ImmediateAck => bytes(&peregrine::internals::ImmediateAck),
        Frame::ServerMigration(frame) => bytes(&SendServerMigration { frame: *frame, migration: 0 }),
        Frame::ServerMigrated => bytes(&SendServerMigrated { migration: 0 }),
        Frame::PoolMigrationAddress(frame) => bytes(&SendPoolAddress { target: frame.target?, member: 0 }),
    })
}

/// Whether two frames say the same; an ACK keeps its ranges as they stood, whatever the length of their integers.
fn alike(one: &Frame<'_>, other: &Frame<'_>) -> bool {
    match (one, other) {
        (Frame::Ack(one), Frame::Ack(other)) => {
            one.delay == other.delay && one.ecn == other.ecn && one.ranges().eq(other.ranges())
        }
        (one, other) => one == other,
    }
}

fuzz_target!(|payload: &[u8]| {
    for frame in Frames::new(payload).map_while(Result::ok) {
        let kinds = [PacketKind::Initial, PacketKind::Handshake, PacketKind::ZeroRtt, PacketKind::OneRtt];
        assert!(kinds.into_iter().any(|kind| frame.is_permitted_in(kind)), "every frame has its place");
        if let Some(bytes) = written(&frame) {
            let again: Vec<_> = Frames::new(&bytes).collect();
            assert!(matches!(&again[..], [Ok(again)] if alike(again, &frame)), "{frame:?} became {again:?}");
        }
    }
});
