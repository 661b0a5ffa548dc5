//! What the applications of both ends do. Every run checks that all bytes arrived.

use std::time::Duration;

use bytes::Bytes;

use super::clock::Processor;
use super::peer::{News, Pair, Peer, Way};
use super::terms::Terms;

/// What an application offers to a stream at a time, in bytes.
const CHUNK: usize = 1 << 20;

/// Which side sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The client does.
    Up,
    /// The server does.
    Down,
}

/// What a run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Processor time of both ends together.
    pub spent: Duration,
    /// Datagrams of both directions.
    pub datagrams: u64,
}

/// Repeats one chunk of memory until enough is written.
struct Supply {
    chunk: Bytes,
    next: Bytes,
    /// Bytes still to be taken from the chunk.
    left: u64,
}

impl Supply {
    fn new(bytes: u64) -> Self {
        Self { chunk: Bytes::from(vec![0x5a; CHUNK]), next: Bytes::new(), left: bytes }
    }

    /// Writes until the stream is full, or ends it. Returns whether it has ended.
    fn pour<P: Peer>(&mut self, peer: &mut P, link: P::Link, stream: P::Stream) -> bool {
        loop {
            if self.next.is_empty() {
                if self.left == 0 {
                    peer.finish(link, stream);
                    return true;
                }
                let len = usize::try_from(self.left).unwrap_or(usize::MAX).min(CHUNK);
                self.next = self.chunk.slice(..len);
                self.left -= len as u64;
            }
            let offered = self.next.len();
            peer.write(link, stream, &mut self.next);
            // Only a write that took nothing makes quinn-proto promise news.
            if self.next.len() == offered {
                return false;
            }
        }
    }
}

/// One stream carries `bytes` in one direction.
pub fn bulk<P: Peer>(terms: &Terms, bytes: u64, direction: Direction) -> Outcome {
    let mut pair = Pair::<P>::new(terms);
    let links = pair.connect();
    let (from, to) = match direction {
        Direction::Up => (0, 1),
        Direction::Down => (1, 0),
    };
    let mut supply = Supply::new(bytes);
    let (before, processor) = (pair.datagrams, Processor::start());
    let stream = pair.sides[from].open(links[from], Way::One).expect("one stream is permitted");
    let mut is_written = supply.pour(&mut pair.sides[from], links[from], stream);
    let (mut received, mut has_ended) = (0, false);
    while !has_ended {
        pair.advance();
        while let Some(news) = pair.sides[from].news() {
            match news {
                News::Writable(..) if !is_written => {
                    is_written = supply.pour(&mut pair.sides[from], links[from], stream);
                }
                News::Lost(reason) => panic!("the sender lost the connection: {reason}"),
                News::Connected(_) | News::Readable(..) | News::Writable(..) | News::MayOpen(_) => {}
            }
        }
        while let Some(news) = pair.sides[to].news() {
            match news {
                News::Readable(link, stream) => {
                    let read = pair.sides[to].read(link, stream);
                    received += read.bytes;
                    has_ended |= read.end;
                }
                News::Lost(reason) => panic!("the receiver lost the connection: {reason}"),
                News::Connected(_) | News::Writable(..) | News::MayOpen(_) => {}
            }
        }
    }
    let spent = processor.spent();
    assert_eq!(received, bytes, "all bytes arrive");
    Outcome { spent, datagrams: pair.datagrams - before }
}

/// Requests and responses, each on a bidirectional stream of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requests {
    /// Connections.
    pub links: usize,
    /// Streams that each connection has open at a time.
    pub at_a_time: usize,
    /// Requests on all connections together.
    pub total: usize,
    /// Bytes of a request.
    pub request: usize,
    /// Bytes of a response.
    pub response: usize,
}

impl Requests {
    /// Sends a request on a new stream; false if the server does not permit one now.
    fn ask<P: Peer>(&self, client: &mut P, link: P::Link) -> bool {
        let Some(stream) = client.open(link, Way::Both) else { return false };
        say(client, link, stream, self.request);
        true
    }
}

/// Writes a short message and ends the stream.
fn say<P: Peer>(peer: &mut P, link: P::Link, stream: P::Stream, len: usize) {
    let mut message = Bytes::from_static(&[0x5a; 4096]).slice(..len);
    peer.write(link, stream, &mut message);
    assert!(message.is_empty(), "a short message fits");
    peer.finish(link, stream);
}

/// Many short exchanges, on one connection or on many.
pub fn requests<P: Peer>(terms: &Terms, plan: &Requests) -> Outcome {
    let mut pair = Pair::<P>::new(terms);
    let links: Vec<P::Link> = (0..plan.links).map(|_| pair.connect()[0]).collect();
    let (before, processor) = (pair.datagrams, Processor::start());
    // Connections that may ask once more, as often as they stand here.
    let mut turns: Vec<P::Link> = links.iter().copied().cycle().take(plan.links * plan.at_a_time).collect();
    let mut waiting = Vec::new();
    let (mut asked, mut answered, mut bytes) = (0, 0, [0; 2]);
    while answered < plan.total {
        while asked < plan.total
            && let Some(link) = turns.pop()
        {
            if plan.ask(&mut pair.sides[0], link) {
                asked += 1;
            } else {
                waiting.push(link);
            }
        }
        turns.append(&mut waiting);
        pair.advance();
        while let Some(news) = pair.sides[1].news() {
            match news {
                News::Readable(link, stream) => {
                    let read = pair.sides[1].read(link, stream);
                    bytes[1] += read.bytes;
                    if read.end {
                        say(&mut pair.sides[1], link, stream, plan.response);
                    }
                }
                News::Lost(reason) => panic!("the server lost a connection: {reason}"),
                News::Connected(_) | News::Writable(..) | News::MayOpen(_) => {}
            }
        }
        while let Some(news) = pair.sides[0].news() {
            match news {
                News::Readable(link, stream) => {
                    let read = pair.sides[0].read(link, stream);
                    bytes[0] += read.bytes;
                    if read.end {
                        answered += 1;
                        turns.push(link);
                    }
                }
                News::Lost(reason) => panic!("the client lost a connection: {reason}"),
                News::Connected(_) | News::Writable(..) | News::MayOpen(_) => {}
            }
        }
    }
    let spent = processor.spent();
    let expected = [plan.response, plan.request].map(|len| (len * plan.total) as u64);
    assert_eq!(bytes, expected, "all bytes arrive");
    Outcome { spent, datagrams: pair.datagrams - before }
}

/// Full handshakes one after the other, each until nobody has anything left to say.
pub fn handshakes<P: Peer>(terms: &Terms, count: usize) -> Outcome {
    let mut pair = Pair::<P>::new(terms);
    pair.connect();
    let (before, processor) = (pair.datagrams, Processor::start());
    for _ in 0..count {
        pair.connect();
    }
    Outcome { spent: processor.spent(), datagrams: pair.datagrams - before }
}
