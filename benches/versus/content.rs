//! What is carried, and how it is looked at when it arrives: every stream carries the same bytes, each known by its
//! offset.
//!
//! Timed runs only count, because the floor does not compare either; before them, one run of every leg compares each
//! byte.

use std::sync::LazyLock;

use bytes::Bytes;

use super::fault::Fault;
use super::peer::Peer;

/// After this many bytes the content repeats itself; also what an application offers to a stream at a time.
const PERIOD: usize = 1 << 20;

/// One period: pseudo-random, so that no two places look alike.
static CONTENT: LazyLock<Bytes> = LazyLock::new(|| {
    let words = (1..=PERIOD as u64 / 8).flat_map(|word| {
        let mixed = word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ (mixed >> 29)).to_le_bytes()
    });
    words.collect()
});

/// The first `len` bytes of a stream, at most [`PERIOD`], without a copy.
pub fn beginning(len: usize) -> Bytes {
    CONTENT.slice(..len)
}

/// What one stream has still to be given.
#[derive(Debug)]
pub struct Supply {
    next: Bytes,
    /// Bytes after `next`.
    left: u64,
}

impl Supply {
    /// A stream of so many bytes.
    pub fn new(bytes: u64) -> Self {
        Self { next: Bytes::new(), left: bytes }
    }

    /// Writes until the stream is full, or ends it. Returns whether it has ended.
    pub fn pour<P: Peer>(&mut self, peer: &mut P, link: P::Link, stream: P::Stream) -> bool {
        loop {
            if self.next.is_empty() {
                if self.left == 0 {
                    peer.finish(link, stream);
                    return true;
                }
                let len = usize::try_from(self.left).unwrap_or(usize::MAX).min(PERIOD);
                self.next = beginning(len);
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

/// How closely an application looks at what it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// It touches every piece: for runs that are timed.
    Glance,
    /// It compares every byte, and the length of every stream.
    Compare,
}

/// What one side's application has received, on all streams.
#[derive(Debug)]
pub struct Inbox<P: Peer> {
    look: Look,
    /// Bytes of every stream.
    expected: u64,
    /// Bytes so far, of all streams together.
    pub received: u64,
    /// Streams of which only a part was compared, and how much.
    partial: Vec<(P::Link, P::Stream, u64)>,
}

impl<P: Peer> Inbox<P> {
    /// Nothing yet; every stream will bring `expected` bytes.
    pub fn new(look: Look, expected: u64) -> Self {
        Self { look, expected, received: 0, partial: Vec::new() }
    }

    /// Reads all there is of a stream. Returns whether it has ended.
    ///
    /// # Errors
    ///
    /// Bytes or a length that are not what was sent, if they are compared.
    pub fn read(&mut self, peer: &mut P, link: P::Link, stream: P::Stream) -> Result<bool, Fault> {
        match self.look {
            Look::Glance => Ok(peer.read(link, stream, |data| {
                std::hint::black_box((data.first(), data.last()));
                self.received += data.len() as u64;
            })),
            Look::Compare => self.compare(peer, link, stream),
        }
    }

    fn compare(&mut self, peer: &mut P, link: P::Link, stream: P::Stream) -> Result<bool, Fault> {
        let known = self.partial.iter().position(|(l, s, _)| (*l, *s) == (link, stream));
        let begin = known.map_or(0, |known| self.partial.swap_remove(known).2);
        let (mut at, mut wrong) = (begin, None);
        let has_ended = peer.read(link, stream, |data| {
            wrong = wrong.or(first_difference(at, data));
            at += data.len() as u64;
        });
        self.received += at - begin;
        match wrong {
            Some(at) => Err(Fault::Corrupt { at }),
            None if has_ended && at != self.expected => {
                Err(Fault::Length { received: at, expected: self.expected })
            }
            None => {
                if !has_ended && at > 0 {
                    self.partial.push((link, stream, at));
                }
                Ok(has_ended)
            }
        }
    }
}

/// The offset of the first byte of `data` that does not belong where it is.
fn first_difference(mut at: u64, mut data: &[u8]) -> Option<u64> {
    while !data.is_empty() {
        let place = usize::try_from(at % PERIOD as u64).expect("a period fits");
        let (piece, rest) = data.split_at(data.len().min(PERIOD - place));
        let right = &CONTENT[place..place + piece.len()];
        if piece != right {
            let same = piece.iter().zip(right).take_while(|(a, b)| a == b).count();
            return Some(at + same as u64);
        }
        at += piece.len() as u64;
        data = rest;
    }
    None
}
