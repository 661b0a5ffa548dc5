//! The bytes of one stream from when they are written until they are acknowledged.
//!
//! A cursor stands at the first byte never sent, so the next piece is found in one step; lost ranges go before it.
//! Large [`Bytes`] are kept as they are, all else is copied once into blocks. Knows nothing of packets, credit or the
//! end of a stream.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use super::blocks::{Block, Blocks};
use super::fifo::Fifo;
use crate::range_set::RangeSet;

/// Shared bytes shorter than this are copied: an entry of their own would cost more.
const MIN_SHARED: usize = 2 << 10;

/// Written bytes that are not all acknowledged.
#[derive(Debug, Default)]
pub struct SendBuffer {
    chunks: Fifo<Chunk>,
    /// Everything before this offset is acknowledged and released.
    acked: u64,
    /// The first byte never sent.
    sent: u64,
    /// The chunk that holds `sent`; the number of chunks when everything was sent.
    cursor: usize,
    /// The end of what was written.
    end: u64,
    /// Nothing before the first loss or reordering.
    holes: Option<Box<Holes>>,
}

/// What keeps the sent bytes from being acknowledged in order.
#[derive(Debug, Default)]
struct Holes {
    /// What was acknowledged beyond `acked`.
    acked_beyond: RangeSet,
    /// What must be sent again.
    lost: RangeSet,
}

impl SendBuffer {
    /// An empty buffer at offset zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where the next written byte will stand in the stream.
    #[inline]
    pub fn end(&self) -> u64 {
        self.end
    }

    /// One above the highest offset that was ever sent.
    #[inline]
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// How many bytes are kept.
    #[inline]
    pub fn kept(&self) -> u64 {
        self.end - self.acked
    }

    /// Whether everything that was written is acknowledged.
    #[inline]
    pub fn is_acked(&self) -> bool {
        self.acked == self.end
    }

    /// Whether there is something to send, again or for the first time.
    #[inline]
    pub fn has_pending(&self) -> bool {
        self.sent < self.end || self.first_lost().is_some()
    }

    /// The first range that must be sent again.
    #[inline]
    fn first_lost(&self) -> Option<Range<u64>> {
        self.holes.as_ref().and_then(|holes| holes.lost.first())
    }

    fn holes(&mut self) -> &mut Holes {
        self.holes.get_or_insert_default()
    }

    /// Appends a copy of `data`.
    pub fn push(&mut self, blocks: &mut Blocks, mut data: &[u8]) {
        while !data.is_empty() {
            if self.chunks.back().is_none_or(|tail| tail.room() == 0) {
                // As large as the write, or as what waits already: at most half of the memory stands empty.
                let kept = usize::try_from(self.kept()).unwrap_or(usize::MAX);
                let block = blocks.take(data.len().max(kept));
                self.chunks.push_back(Chunk { start: self.end, len: 0, data: Data::Copied(block) });
            }
            self.point_cursor();
            let tail = self.chunks.back_mut().expect("a chunk with room was added above");
            let taken = tail.append(data);
            self.end += taken as u64;
            data = &data[taken..];
        }
    }

    /// Appends `data`, without copying it unless it is short.
    pub fn push_shared(&mut self, blocks: &mut Blocks, data: Bytes) {
        if data.len() < MIN_SHARED {
            return self.push(blocks, &data);
        }
        let (start, len) = (self.end, data.len());
        self.chunks.push_back(Chunk { start, len, data: Data::Shared(data) });
        self.point_cursor();
        self.end += len as u64;
    }

    /// When everything was sent, the next byte to send is the next one written: in the last chunk.
    fn point_cursor(&mut self) {
        if self.sent == self.end {
            self.cursor = self.chunks.len() - 1;
        }
    }

    /// The next bytes to send and their offset: lost ones first. All of them lie in one piece of memory.
    #[inline]
    pub fn peek(&self) -> Option<(u64, &[u8])> {
        match self.first_lost() {
            None => self.chunks.get(self.cursor).map(|chunk| (self.sent, chunk.slice(self.sent..self.end))),
            Some(range) => {
                let at = self.chunks.partition_point(|chunk| chunk.end() <= range.start);
                self.chunks.get(at).map(|chunk| (range.start, chunk.slice(range)))
            }
        }
    }

    /// Records that the first `len` bytes of what [`SendBuffer::peek`] returned were sent.
    #[inline]
    pub fn advance(&mut self, offset: u64, len: usize) {
        let end = offset + len as u64;
        if offset < self.sent {
            self.holes().lost.remove(offset..end);
            return;
        }
        self.sent = end;
        if self.chunks.get(self.cursor).is_some_and(|chunk| chunk.end() == end) {
            self.cursor += 1;
        }
    }

    /// The peer has these bytes. Returns how many bytes need not be kept any more.
    #[inline]
    pub fn acked(&mut self, blocks: &mut Blocks, range: Range<u64>) -> u64 {
        let range = range.start.max(self.acked)..range.end.min(self.sent);
        if range.is_empty() {
            return 0;
        }
        if let Some(holes) = &mut self.holes {
            holes.lost.remove(range.clone());
        }
        if range.start > self.acked {
            self.holes().acked_beyond.insert(range);
            return 0;
        }
        let before = std::mem::replace(&mut self.acked, range.end);
        if let Some(holes) = &mut self.holes {
            while let Some(next) = holes.acked_beyond.first().filter(|next| next.start <= self.acked) {
                self.acked = self.acked.max(next.end);
                holes.acked_beyond.pop_first();
            }
        }
        self.release(blocks);
        self.acked - before
    }

    /// A packet with these bytes was lost: what is not acknowledged of them is sent again.
    pub fn lost(&mut self, range: Range<u64>) {
        let range = range.start.max(self.acked)..range.end.min(self.sent);
        if range.is_empty() {
            return;
        }
        let Holes { acked_beyond, lost } = self.holes();
        lost.insert(range.clone());
        for acked in acked_beyond.overlapping(range) {
            lost.remove(acked);
        }
    }

    /// Forgets that anything was sent, which must not have been acknowledged.
    pub fn restart(&mut self) {
        debug_assert_eq!(self.acked, 0);
        self.sent = 0;
        self.cursor = 0;
        self.holes = None;
    }

    /// Takes out what was written beyond the first `keep` bytes; none of it may have been sent.
    pub fn cut(&mut self, blocks: &mut Blocks, keep: u64) -> Vec<u8> {
        debug_assert_eq!(self.sent, 0);
        let mut all = Vec::new();
        while let Some(chunk) = self.chunks.pop_front() {
            all.extend_from_slice(chunk.slice(chunk.start..chunk.end()));
            chunk.give_back(blocks);
        }
        self.end = 0;
        let rest = all.split_off(usize::try_from(keep).unwrap_or(usize::MAX).min(all.len()));
        self.push(blocks, &all);
        self.cursor = 0;
        rest
    }

    /// Forgets all bytes, and those never sent for good: the end is what was sent. Returns how many were kept.
    pub fn clear(&mut self, blocks: &mut Blocks) -> u64 {
        let kept = self.kept();
        while let Some(chunk) = self.chunks.pop_front() {
            chunk.give_back(blocks);
        }
        self.acked = self.sent;
        self.end = self.sent;
        self.cursor = 0;
        if let Some(holes) = &mut self.holes {
            holes.acked_beyond.clear();
            holes.lost.clear();
        }
        kept
    }

    /// Gives back the chunks that are acknowledged from first to last byte.
    fn release(&mut self, blocks: &mut Blocks) {
        while self.chunks.front().is_some_and(|chunk| chunk.end() <= self.acked) {
            if let Some(chunk) = self.chunks.pop_front() {
                chunk.give_back(blocks);
            }
            self.cursor = self.cursor.saturating_sub(1);
        }
    }
}

/// A run of bytes in one piece of memory.
struct Chunk {
    /// Offset of its first byte in the stream.
    start: u64,
    /// How many bytes are written.
    len: usize,
    data: Data,
}

enum Data {
    Copied(Block),
    Shared(Bytes),
}

impl Chunk {
    #[inline]
    fn end(&self) -> u64 {
        self.start + self.len as u64
    }

    /// How many bytes can be appended.
    #[inline]
    fn room(&self) -> usize {
        match &self.data {
            Data::Copied(block) => block.len() - self.len,
            Data::Shared(_) => 0,
        }
    }

    /// Appends what fits of `data` and returns its length.
    fn append(&mut self, data: &[u8]) -> usize {
        let taken = data.len().min(self.room());
        if let Data::Copied(block) = &mut self.data {
            block[self.len..self.len + taken].copy_from_slice(&data[..taken]);
            self.len += taken;
        }
        taken
    }

    /// Returns its memory.
    fn give_back(self, blocks: &mut Blocks) {
        match self.data {
            Data::Copied(block) => blocks.give(block),
            Data::Shared(_) => {}
        }
    }

    /// The part of `range` that lies here; `range.start` does.
    #[inline]
    fn slice(&self, range: Range<u64>) -> &[u8] {
        let bytes: &[u8] = match &self.data {
            Data::Copied(block) => block,
            Data::Shared(bytes) => bytes,
        };
        let place = |offset: u64| usize::try_from(offset - self.start).unwrap_or(usize::MAX).min(self.len);
        &bytes[place(range.start)..place(range.end)]
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chunk({}..{})", self.start, self.end())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn send(buffer: &mut SendBuffer, max: usize) -> Option<(u64, Vec<u8>)> {
        let (offset, data) = buffer.peek()?;
        let data = data[..data.len().min(max)].to_vec();
        buffer.advance(offset, data.len());
        Some((offset, data))
    }

    #[test]
    fn what_begins_again_is_sent_from_the_first_byte() {
        let (mut buffer, mut blocks) = (SendBuffer::new(), Blocks::new());
        buffer.push(&mut blocks, b"hello, world");
        assert_eq!(send(&mut buffer, 9), Some((0, b"hello, wo".to_vec())));
        buffer.lost(2..4);
        buffer.restart();
        assert_eq!(send(&mut buffer, 5), Some((0, b"hello".to_vec())));
        assert_eq!(send(&mut buffer, 9), Some((5, b", world".to_vec())));
        assert!(!buffer.has_pending());
    }

    #[test]
    fn what_is_cut_off_can_be_written_again() {
        let (mut buffer, mut blocks) = (SendBuffer::new(), Blocks::new());
        buffer.push(&mut blocks, b"hello, ");
        buffer.push_shared(&mut blocks, Bytes::from(vec![b'w'; MIN_SHARED]));
        assert_eq!(buffer.cut(&mut blocks, 9), vec![b'w'; MIN_SHARED - 2]);
        assert_eq!((buffer.end(), buffer.kept()), (9, 9));
        assert_eq!(send(&mut buffer, 99), Some((0, b"hello, ww".to_vec())));
        buffer.push(&mut blocks, b"!");
        assert_eq!(send(&mut buffer, 99), Some((9, b"!".to_vec())));
    }

    #[test]
    fn all_of_it_can_be_cut_off() {
        let (mut buffer, mut blocks) = (SendBuffer::new(), Blocks::new());
        buffer.push(&mut blocks, b"hello");
        assert_eq!(buffer.cut(&mut blocks, 0), b"hello");
        assert_eq!(buffer.peek(), None);
        buffer.push(&mut blocks, b"you");
        assert_eq!(send(&mut buffer, 99), Some((0, b"you".to_vec())));
    }

    #[test]
    fn what_is_written_is_sent_in_order_and_once() {
        let (mut buffer, mut blocks) = (SendBuffer::new(), Blocks::new());
        buffer.push(&mut blocks, b"hello, ");
        buffer.push(&mut blocks, b"world");
        assert_eq!(send(&mut buffer, 9), Some((0, b"hello, wo".to_vec())));
        assert_eq!(send(&mut buffer, 9), Some((9, b"rld".to_vec())));
        assert_eq!(send(&mut buffer, 9), None);
        buffer.push(&mut blocks, b"!");
        assert_eq!(send(&mut buffer, 9), Some((12, b"!".to_vec())));
    }

    #[test]
    fn a_lost_range_goes_first_and_only_what_is_not_acknowledged_of_it() {
        let (mut buffer, mut blocks) = (SendBuffer::new(), Blocks::new());
        buffer.push(&mut blocks, b"0123456789abcdef");
        send(&mut buffer, 12);
        assert_eq!(buffer.acked(&mut blocks, 4..6), 0);
        buffer.lost(2..8);
        assert_eq!(send(&mut buffer, 99), Some((2, b"23".to_vec())));
        assert_eq!(send(&mut buffer, 99), Some((6, b"67".to_vec())));
        assert_eq!(send(&mut buffer, 99), Some((12, b"cdef".to_vec())));
    }

    #[test]
    fn a_late_acknowledgement_spares_the_retransmission() {
        let (mut buffer, mut blocks) = (SendBuffer::new(), Blocks::new());
        buffer.push(&mut blocks, b"0123456789");
        send(&mut buffer, 10);
        buffer.lost(0..10);
        assert_eq!(buffer.acked(&mut blocks, 0..10), 10);
        assert!(!buffer.has_pending() && buffer.is_acked());
    }

    #[test]
    fn bytes_that_were_never_sent_are_neither_acknowledged_nor_lost() {
        let (mut buffer, mut blocks) = (SendBuffer::new(), Blocks::new());
        buffer.push(&mut blocks, b"0123456789");
        send(&mut buffer, 4);
        buffer.lost(2..u64::MAX);
        assert_eq!(buffer.acked(&mut blocks, 0..u64::MAX), 4);
        assert_eq!(send(&mut buffer, 99), Some((4, b"456789".to_vec())));
    }

    #[test]
    fn large_shared_bytes_are_not_copied() {
        let (mut buffer, mut blocks) = (SendBuffer::new(), Blocks::new());
        let data = Bytes::from(vec![1; 5000]);
        buffer.push_shared(&mut blocks, data.clone());
        assert_eq!(buffer.peek().map(|(_, bytes)| bytes.as_ptr()), Some(data.as_ptr()));
    }

    #[test]
    fn acknowledged_blocks_are_recycled() {
        let (mut buffer, mut blocks) = (SendBuffer::new(), Blocks::new());
        for round in 0..50u64 {
            buffer.push(&mut blocks, &[0; 60_000]);
            while send(&mut buffer, 1200).is_some() {}
            buffer.acked(&mut blocks, round * 60_000..(round + 1) * 60_000);
        }
        assert_eq!(blocks.free_bytes(), super::super::blocks::LARGE);
    }

    fn byte_at(offset: u64) -> u8 {
        (offset.wrapping_mul(0x9e37_79b9) >> 13).to_le_bytes()[0]
    }

    fn text(range: Range<u64>) -> Vec<u8> {
        range.map(byte_at).collect()
    }

    proptest! {
        #[test]
        fn every_byte_arrives_as_it_was_written(ops in prop::collection::vec((0u8..5, 0usize..9000), 1..120)) {
            let (mut buffer, mut blocks) = (SendBuffer::new(), Blocks::new());
            let mut flight: Vec<Range<u64>> = Vec::new();
            let mut arrived = RangeSet::new();
            let mut released = 0;
            // After the random part: send everything, lose nothing.
            let rest = std::iter::repeat_n([(2, 1200), (3, 0)], 4000).flatten();
            for (op, n) in ops.into_iter().chain(rest) {
                let at = n % flight.len().max(1);
                match op {
                    0 => buffer.push(&mut blocks, &text(buffer.end()..buffer.end() + n as u64)),
                    1 => buffer.push_shared(&mut blocks, text(buffer.end()..buffer.end() + n as u64).into()),
                    2 => {
                        let Some((offset, data)) = send(&mut buffer, n.max(1)) else { continue };
                        let range = offset..offset + data.len() as u64;
                        prop_assert_eq!(data, text(range.clone()));
                        flight.push(range);
                    }
                    3 if !flight.is_empty() => {
                        let range = flight.swap_remove(at);
                        arrived.insert(range.clone());
                        released += buffer.acked(&mut blocks, range);
                    }
                    4 if !flight.is_empty() => {
                        let range = flight.swap_remove(at);
                        buffer.lost(range.clone());
                        // A probe may carry it while the packet still arrives.
                        if n % 3 == 0 { flight.push(range) }
                    }
                    _ => {}
                }
                prop_assert_eq!(released + buffer.kept(), buffer.end());
            }
            prop_assert!(buffer.is_acked() && !buffer.has_pending() && flight.is_empty());
            let whole = 0..buffer.end();
            prop_assert_eq!(arrived.iter().collect::<Vec<_>>(), if whole.is_empty() { vec![] } else { vec![whole] });
        }
    }
}
