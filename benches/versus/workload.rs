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
