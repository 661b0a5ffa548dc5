//! One stream from client to server, in full trains: each is sent, taken in and read, and acknowledged.
//!
//! The three steps are functions that are never inlined, so that each can be counted by itself. Together they are all
//! that both ends do.

use bytes::Bytes;
use peregrine::{ConnectionEvent, Dir, Endpoint, ReadError, StreamEvent, StreamId, Transmit};

use super::pair::{DATAGRAM, Link, Pair, TRAIN, datagrams};

/// Full trains that are sent, about.
const TRAINS: usize = 512;
/// What the application offers at a time, in bytes.
const CHUNK: usize = 1 << 20;
/// Bytes of a full datagram that carry no stream data, at most.
const OVERHEAD: usize = 48;

/// The transfer, and how far it has come.
#[derive(Debug)]
pub struct Bulk {
    pair: Pair,
    link: Link,
    stream: StreamId,
    supply: Supply,
    /// Bytes that were read, and whether the end was.
    read: usize,
    has_ended: bool,
}

/// One chunk of memory, repeated until enough is written.
#[derive(Debug)]
struct Supply {
    chunk: Bytes,
    /// What was offered and not taken.
    offered: Bytes,
    /// Bytes still to be offered.
    left: usize,
}

impl Supply {
    fn new(len: usize) -> Self {
        Self { chunk: Bytes::from(vec![0x5a; CHUNK]), offered: Bytes::new(), left: len }
    }

    /// Writes until the stream is full, or ends it.
    fn pour(&mut self, endpoint: &mut Endpoint, link: Link, stream: StreamId) {
        let connection = endpoint.connection_mut(link.client).expect("the connection lives");
        let Some(mut stream) = connection.send(stream) else { return };
        loop {
            if self.offered.is_empty() {
                if self.left == 0 {
                    // The last room may be told of after the end.
                    let _ = stream.finish();
                    return;
                }
                self.offered = self.chunk.slice(..self.left.min(CHUNK));
                self.left -= self.offered.len();
            }
            if stream.write_chunk(&mut self.offered).is_err() || !self.offered.is_empty() {
                return;
            }
        }
    }
}

/// Carries all trains, and returns how many data packets they were.
pub fn run() -> u64 {
    let mut pair = Pair::new(None);
    let link = pair.connect();
    let connection = pair.client.endpoint.connection_mut(link.client).expect("the connection lives");
    let stream = connection.open(Dir::Uni).expect("one stream is permitted");
    let len = TRAINS * TRAIN * (usize::from(DATAGRAM) - OVERHEAD);
    let mut bulk = Bulk { pair, link, stream, supply: Supply::new(len), read: 0, has_ended: false };
    bulk.supply.pour(&mut bulk.pair.client.endpoint, link, stream);
    let (mut trains, mut packets) = (0, 0);
    while !bulk.has_ended {
        let train = send(&mut bulk).expect("there is room to send");
        trains += 1;
        packets += datagrams(train);
        bulk.pair.pass();
        receive(&mut bulk, train);
        acknowledge(&mut bulk);
        bulk.pair.pass();
    }
    assert_eq!(bulk.read, len, "all bytes arrive");
    assert!(packets > (trains - 1) * TRAIN, "every train is full, but the last: {packets} in {trains}");
    let stats = bulk.pair.client.endpoint.connection(link.client).expect("the connection lives").stats();
    assert_eq!((stats.packets_lost, stats.probe_timeouts), (0, 0), "nothing is lost, nothing is late");
    packets as u64
}

/// The sender writes what there is room for, and makes a train.
#[inline(never)]
pub fn send(bulk: &mut Bulk) -> Option<Transmit> {
    let Bulk { pair, link, stream, supply, .. } = bulk;
    pair.client.speak(pair.now, &mut pair.wire, |endpoint, _, event| {
        if matches!(event, ConnectionEvent::Stream(StreamEvent::Writable { .. })) {
            supply.pour(endpoint, *link, *stream);
        }
    })
}

/// The receiver takes a train in, is told of it, and reads.
#[inline(never)]
pub fn receive(bulk: &mut Bulk, train: Transmit) {
    let Bulk { pair, link, stream, .. } = bulk;
    pair.server.take(pair.now, &mut pair.wire, train);
    match pair.server.hear(pair.now, &mut pair.wire) {
        ConnectionEvent::Stream(StreamEvent::Readable { .. }) => {}
        ConnectionEvent::Stream(StreamEvent::Opened { dir }) => {
            let connection = pair.server.endpoint.connection_mut(link.server).expect("the connection lives");
            assert_eq!(connection.accept(dir), Some(*stream), "the stream is new");
        }
        event => panic!("a train brings something to read, not {event:?}"),
    }
    let connection = pair.server.endpoint.connection_mut(link.server).expect("the connection lives");
    let mut stream = connection.recv(*stream).expect("the stream is open");
    loop {
        match stream.chunk() {
            Ok(Some(chunk)) => {
                let len = chunk.len();
                std::hint::black_box((chunk.first(), chunk.last()));
                bulk.read += len;
                stream.consume(len);
            }
            Ok(None) => {
                bulk.has_ended = true;
                return;
            }
            Err(ReadError::Blocked) => return,
            Err(error) => panic!("the stream broke: {error}"),
        }
    }
}

/// The receiver acknowledges, and the sender learns of it.
#[inline(never)]
pub fn acknowledge(bulk: &mut Bulk) {
    let Pair { now, client, server, wire, .. } = &mut bulk.pair;
    let train = server.speak(*now, wire, |_, _, event| panic!("everything was told before: {event:?}"));
    client.take(*now, wire, train.expect("a train is acknowledged at once"));
}
