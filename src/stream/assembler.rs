//! Puts received pieces of one stream in order.
//!
//! What arrives in order is copied to its place and is ready; nothing is searched. What arrives ahead lies at its
//! place too, and an ordered map tells which bytes are there; pieces that touch are one entry, so only gaps count.
//! Of two pieces that overlap the first wins. Whoever inserts has checked that the piece lies within a window.

use std::collections::BTreeMap;

use super::blocks::{Block, Blocks, MEDIUM};
use super::fifo::Fifo;

/// Bytes of a stream that a block holds.
const SPAN: u64 = MEDIUM as u64;

/// More gaps than a receiver keeps account of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyGaps;

/// Received bytes that were not read yet.
#[derive(Debug, Default)]
pub struct Assembler {
    /// Everything before this offset was read.
    read: u64,
    /// Everything before this offset was received.
    ready: u64,
    /// What was received beyond `ready`; nothing before the first gap.
    islands: Option<Box<Islands>>,
    /// The memory, by offset; only where bytes are.
    slabs: Fifo<Slab>,
}

/// Pieces by their start, with their end. Disjoint, and no two touch.
#[derive(Debug, Default)]
struct Islands(BTreeMap<u64, u64>);

impl Islands {
    /// The first that begins in `from..=to`.
    fn first_from(&self, from: u64, to: u64) -> Option<u64> {
        self.0.range(from..).next().map(|(start, _)| *start).filter(|start| *start <= to)
    }

    /// The last that begins at `at` or before, if it reaches that far.
    fn reaching(&self, at: u64) -> Option<(u64, u64)> {
        let last = self.0.range(..=at).next_back().map(|(start, end)| (*start, *end));
        last.filter(|(_, end)| *end >= at)
    }
}

/// The memory of the bytes from `index * SPAN` on.
#[derive(Debug)]
struct Slab {
    index: u64,
    block: Block,
}

impl Assembler {
    /// Begins at offset zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// How far the stream was read.
    #[inline]
    pub fn read_offset(&self) -> u64 {
        self.read
    }

    /// How far the stream was received without a gap.
    #[inline]
    pub fn ready_offset(&self) -> u64 {
        self.ready
    }

    /// How many gaps there are in what was received.
    #[inline]
    pub fn gaps(&self) -> usize {
        self.islands.as_ref().map_or(0, |islands| islands.0.len())
    }

    /// Takes the bytes from `offset` on if they come in order and there is no gap. Returns whether it did.
    #[inline]
    pub fn append(&mut self, blocks: &mut Blocks, offset: u64, data: &[u8]) -> bool {
        let is_next = offset == self.ready && self.gaps() == 0;
        if is_next {
            self.copy(blocks, offset, data);
            self.ready += data.len() as u64;
        }
        is_next
    }

    /// Takes the bytes from `offset` on; those that are known already are passed over.
    ///
    /// # Errors
    ///
    /// [`TooManyGaps`] if the piece would open a gap beyond `max_gaps`; it was not taken then.
    #[inline]
    pub fn insert(
        &mut self,
        blocks: &mut Blocks,
        offset: u64,
        data: &[u8],
        max_gaps: usize,
    ) -> Result<(), TooManyGaps> {
        if self.append(blocks, offset, data) {
            return Ok(());
        }
        self.insert_ahead(blocks, offset, data, max_gaps)
    }

    fn insert_ahead(
        &mut self,
        blocks: &mut Blocks,
        offset: u64,
        data: &[u8],
        max_gaps: usize,
    ) -> Result<(), TooManyGaps> {
        let end = offset.saturating_add(data.len() as u64);
        let start = offset.max(self.ready);
        if start >= end {
            return Ok(());
        }
        let gaps = self.gaps();
        let islands = self.islands();
        let before = islands.reaching(start);
        let after = islands.first_from(start, end);
        let joins = start == self.ready || before.is_some() || after.is_some();
        if !joins && gaps >= max_gaps {
            return Err(TooManyGaps);
        }

        // Only the bytes between the islands are new; every island on the way becomes part of this one.
        let mut at = before.map_or(start, |(_, to)| to);
        let mut next = after;
        while let Some(from) = next {
            self.copy(blocks, at.min(from), slice(data, offset, at.min(from), from));
            let islands = self.islands();
            at = islands.0.remove(&from).unwrap_or(from).max(at);
            next = islands.first_from(at, end);
        }
        if at < end {
            self.copy(blocks, at, slice(data, offset, at, end));
            at = end;
        }
        match before {
            None if start == self.ready => self.ready = at,
            Some(_) | None => {
                let start = before.map_or(start, |(from, _)| from);
                self.islands().0.insert(start, at);
            }
        }
        Ok(())
    }

    fn islands(&mut self) -> &mut Islands {
        self.islands.get_or_insert_default()
    }

    /// Copies bytes to their place.
    #[inline]
    fn copy(&mut self, blocks: &mut Blocks, offset: u64, data: &[u8]) {
        let at = place(offset);
        match self.slabs.back_mut().filter(|slab| slab.index == offset / SPAN) {
            Some(slab) if slab.block.len() >= at + data.len() => {
                slab.block[at..at + data.len()].copy_from_slice(data);
            }
            Some(_) | None => self.copy_by_blocks(blocks, offset, data),
        }
    }

    #[inline(never)] // Once a block: the step of every piece needs no stack.
    fn copy_by_blocks(&mut self, blocks: &mut Blocks, mut offset: u64, mut data: &[u8]) {
        while !data.is_empty() {
            let at = place(offset);
            let (now, later) = data.split_at(data.len().min(MEDIUM - at));
            let end = at + now.len();
            self.block(blocks, offset / SPAN, end)[at..end].copy_from_slice(now);
            offset += now.len() as u64;
            data = later;
        }
    }

    /// The block number `index`, with room for at least `len` bytes.
    fn block(&mut self, blocks: &mut Blocks, index: u64, len: usize) -> &mut Block {
        let last = self.slabs.len().wrapping_sub(1);
        let at = match self.slabs.back() {
            Some(slab) if slab.index == index => last,
            Some(slab) if slab.index < index => last + 1,
            Some(_) | None => self.slabs.partition_point(|slab| slab.index < index),
        };
        if self.slabs.get(at).is_none_or(|slab| slab.index != index) {
            // A stream begins small: most are short.
            let block = blocks.take(if index == 0 { len } else { MEDIUM });
            self.slabs.insert(at, Slab { index, block });
        }
        let slab = self.slabs.get_mut(at).expect("it was found or inserted");
        if slab.block.len() < len {
            let mut larger = blocks.take(MEDIUM);
            larger[..slab.block.len()].copy_from_slice(&slab.block);
            blocks.give(std::mem::replace(&mut slab.block, larger));
        }
        &mut slab.block
    }

    /// The bytes that can be read now, or a first part of them; empty if there are none.
    #[inline]
    pub fn chunk(&self) -> &[u8] {
        match self.slabs.front() {
            Some(slab) if self.read < self.ready => {
                let start = slab.index * SPAN;
                let end = usize::try_from(self.ready - start).unwrap_or(usize::MAX);
                &slab.block[place(self.read)..end.min(slab.block.len())]
            }
            Some(_) | None => &[],
        }
    }

    /// Passes over `len` bytes that were read, or as many as are ready. Returns how many.
    #[inline]
    pub fn consume(&mut self, blocks: &mut Blocks, len: usize) -> u64 {
        let len = (len as u64).min(self.ready - self.read);
        self.read += len;
        // A reader that keeps up holds no memory at all.
        let is_empty = self.read == self.ready && self.gaps() == 0;
        while self.slabs.front().is_some_and(|slab| is_empty || (slab.index + 1) * SPAN <= self.read) {
            if let Some(slab) = self.slabs.pop_front() {
                blocks.give(slab.block);
            }
        }
        len
    }

    /// Forgets all bytes that were not read.
    pub fn clear(&mut self, blocks: &mut Blocks) {
        self.islands = None;
        while let Some(slab) = self.slabs.pop_front() {
            blocks.give(slab.block);
        }
        self.read = self.ready;
    }

    /// Bytes of memory held.
    #[cfg(test)]
    pub fn held(&self) -> usize {
        (0..self.slabs.len()).filter_map(|at| self.slabs.get(at)).map(|slab| slab.block.len()).sum()
    }
}

/// Where in its block the byte at `offset` lies.
#[inline]
fn place(offset: u64) -> usize {
    usize::try_from(offset % SPAN).expect("a block is smaller than memory")
}

/// The bytes `from..to` of a piece that begins at `offset`.
fn slice(data: &[u8], offset: u64, from: u64, to: u64) -> &[u8] {
    let at = |position: u64| {
        usize::try_from(position.saturating_sub(offset)).unwrap_or(usize::MAX).min(data.len())
    };
    &data[at(from)..at(to)]
}

#[cfg(test)]
mod tests;
