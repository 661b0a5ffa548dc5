//! Two [`Streams`] and the wire between them, made of real packets without protection.

mod delivery;
mod early;
mod limits;
mod states;

use super::*;
use crate::error::{Code, TransportError};
use crate::frame::{self, Frame, Frames, Record};
use crate::id::ConnectionId;
use crate::packet::{Allowance, DatagramWriter, Header};
use crate::varint::VarInt;

const LIMITS: StreamLimits = StreamLimits {
    max_bidi: 100,
    max_uni: 100,
    receive_window: 1 << 20,
    stream_receive_window: 256 << 10,
    send_buffer: 1 << 20,
};

/// What a peer with these limits tells us.
fn told(limits: StreamLimits) -> PeerLimits {
    PeerLimits {
        max_data: limits.receive_window,
        max_stream_data_bidi_local: limits.stream_receive_window,
        max_stream_data_bidi_remote: limits.stream_receive_window,
        max_stream_data_uni: limits.stream_receive_window,
        max_streams_bidi: limits.max_bidi,
        max_streams_uni: limits.max_uni,
    }
}

fn streams(side: Side, ours: StreamLimits, theirs: StreamLimits) -> Streams {
    let mut streams = Streams::new(side, ours);
    streams.on_peer_params(told(theirs));
    streams
}

fn client() -> Streams {
    streams(Side::Client, LIMITS, LIMITS)
}

fn server() -> Streams {
    streams(Side::Server, LIMITS, LIMITS)
}

/// A packet under way.
#[derive(Debug, Clone)]
struct Sent {
    payload: Vec<u8>,
    records: Vec<Record>,
}

/// The next packet of at most `size` bytes, if there is anything to say.
fn send(streams: &mut Streams, size: usize) -> Option<Sent> {
    let (mut buf, mut records) = (vec![0; size], Vec::new());
    let mut datagram = DatagramWriter::new(&mut buf, &mut records);
    let header = Header::Short { dcid: ConnectionId::EMPTY };
    let mut packet = datagram.begin(&header, 0, None, Allowance::Full)?;
    streams.write_control(&mut packet);
    streams.write(&mut packet);
    let draft = packet.finish();
    if !datagram.keep(draft) {
        return None;
    }
    let payload = datagram.drafts().first().map(|draft| draft.payload_at..draft.end)?;
    Some(Sent { payload: buf[payload].to_vec(), records })
}

fn receive(streams: &mut Streams, payload: &[u8]) -> Result<(), TransportError> {
    for frame in Frames::new(payload) {
        match frame? {
            Frame::Stream(frame) => streams.on_stream(&frame),
            Frame::ResetStream(frame) => streams.on_reset_stream(&frame),
            Frame::StopSending(frame) => streams.on_stop_sending(&frame),
            Frame::MaxData(frame) => streams.on_max_data(&frame),
            Frame::MaxStreamData(frame) => streams.on_max_stream_data(&frame),
            Frame::MaxStreams(frame) => streams.on_max_streams(&frame),
            Frame::DataBlocked(frame) => streams.on_data_blocked(&frame),
            Frame::StreamDataBlocked(frame) => streams.on_stream_data_blocked(&frame),
            Frame::StreamsBlocked(frame) => streams.on_streams_blocked(&frame),
            Frame::Padding(_) => Ok(()),
            other => panic!("{other:?} does not concern streams"),
        }?;
    }
    Ok(())
}

fn ack(streams: &mut Streams, sent: &Sent) {
    sent.records.iter().for_each(|record| streams.acked(record));
}

fn lose(streams: &mut Streams, sent: &Sent) {
    sent.records.iter().for_each(|record| streams.lost(record));
}

/// Carries everything that `from` has to say to `to`, and the acknowledgements back. Returns the number of packets.
fn carry(from: &mut Streams, to: &mut Streams) -> usize {
    let mut packets = 0;
    while let Some(sent) = send(from, 1200) {
        receive(to, &sent.payload).expect("honest frames");
        ack(from, &sent);
        packets += 1;
    }
    packets
}

/// The frames that `streams` has to say now, as types.
fn said(streams: &mut Streams) -> Vec<String> {
    let mut kinds = Vec::new();
    while let Some(sent) = send(streams, 1200) {
        let frames = Frames::new(&sent.payload).map(|frame| frame.expect("our frames"));
        let frames = frames.filter(|frame| !matches!(frame, Frame::Padding(_)));
        kinds.extend(frames.map(|frame| frame.kind().to_string()));
    }
    kinds
}

fn events(streams: &mut Streams) -> Vec<StreamEvent> {
    std::iter::from_fn(|| streams.poll_event()).collect()
}

fn write(streams: &mut Streams, id: StreamId, data: &[u8]) -> usize {
    streams.send(id).expect("the stream is open").write(data).unwrap_or(0)
}

fn finish(streams: &mut Streams, id: StreamId) {
    streams.send(id).expect("the stream is open").finish().expect("and was not finished");
}

/// Reads all that lies ready; whether the end was met.
fn read(streams: &mut Streams, id: StreamId) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    let Some(mut stream) = streams.recv(id) else { return (bytes, true) };
    loop {
        match stream.read_bytes(usize::MAX) {
            Ok(Some(more)) => bytes.extend_from_slice(&more),
            Ok(None) => return (bytes, true),
            Err(_) => return (bytes, false),
        }
    }
}

const fn bidi(initiator: Side, index: u64) -> StreamId {
    StreamId::new(initiator, Dir::Bi, index)
}

const fn uni(initiator: Side, index: u64) -> StreamId {
    StreamId::new(initiator, Dir::Uni, index)
}

fn data(id: StreamId, offset: u64, data: &[u8], fin: bool) -> frame::Stream<'_> {
    frame::Stream { id, offset, fin, data }
}

fn code(result: Result<(), TransportError>) -> Option<Code> {
    result.err().map(|error| error.code)
}

const fn number(value: u32) -> VarInt {
    VarInt::from_u32(value)
}
