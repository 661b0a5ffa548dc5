//! The memory stream data lies in: blocks of three sizes, recycled so that a steady flow allocates nothing.
//!
//! One [`Blocks`] serves all streams of a connection. A block is not cleared between two uses; whoever holds one
//! remembers which of its bytes are his.

use std::fmt;
use std::ops::{Deref, DerefMut};

/// The block of a short message: it begins every received stream.
pub const SMALL: usize = 2 << 10;
/// The block of received data.
pub const MEDIUM: usize = 16 << 10;
/// The block of a bulk write; the larger, the fewer datagrams carry two frames.
pub const LARGE: usize = 64 << 10;

/// How many bytes of unused blocks are kept while others are in use: a stream's window opens by halves.
const MAX_FREE: usize = 4 << 20;
/// How many are kept when none is in use: the connection may be idle for long.
const MAX_IDLE: usize = 256 << 10;

/// Some bytes of memory.
pub struct Block(Box<[u8]>);

impl Deref for Block {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Block {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({} bytes)", self.0.len())
    }
}

/// Unused blocks.
#[derive(Debug, Default)]
pub struct Blocks {
    /// The one that was given back last: mostly it is the next that is wanted.
    last: Option<Block>,
    /// The others, by size.
    others: Option<Box<[Vec<Block>; 3]>>,
    free_bytes: usize,
    used_bytes: usize,
}

impl Blocks {
    /// No blocks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The smallest block of at least `len` bytes, or the largest there is.
    #[inline]
    pub fn take(&mut self, len: usize) -> Block {
        let size = match len {
            ..=SMALL => SMALL,
            _ if len <= MEDIUM => MEDIUM,
            _ => LARGE,
        };
        self.used_bytes += size;
        let last = self.last.take_if(|last| last.len() == size);
        match last.or_else(|| self.others.as_mut()?[class(size)].pop()) {
            Some(block) => {
                self.free_bytes -= size;
                block
            }
            None => Block(vec![0; size].into_boxed_slice()),
        }
    }

    /// Takes a block back.
    #[inline]
    pub fn give(&mut self, block: Block) {
        self.used_bytes -= block.len();
        if self.free_bytes + block.len() <= MAX_FREE {
            self.free_bytes += block.len();
            if let Some(before) = self.last.replace(block) {
                self.others.get_or_insert_default()[class(before.len())].push(before);
            }
        }
        if self.used_bytes == 0 && self.free_bytes > MAX_IDLE {
            self.trim();
        }
    }

    /// Forgets unused blocks, the largest first.
    fn trim(&mut self) {
        for others in self.others.iter_mut().flat_map(|others| others.iter_mut().rev()) {
            while let Some(block) = others.pop_if(|_| self.free_bytes > MAX_IDLE) {
                self.free_bytes -= block.len();
            }
        }
    }

    /// Bytes of unused blocks.
    #[cfg(test)]
    pub fn free_bytes(&self) -> usize {
        self.free_bytes
    }
}

/// Which of the three sizes.
#[inline]
fn class(size: usize) -> usize {
    match size {
        SMALL => 0,
        MEDIUM => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_block_that_suffices_is_taken() {
        let mut blocks = Blocks::new();
        let sizes = [0, 1, 2048, 2049, 16_384, 16_385, 65_536, 1 << 20].map(|len| blocks.take(len).len());
        assert_eq!(sizes, [SMALL, SMALL, SMALL, MEDIUM, MEDIUM, LARGE, LARGE, LARGE]);
    }

    #[test]
    fn a_block_given_back_is_the_next_one_taken() {
        let mut blocks = Blocks::new();
        let mut block = blocks.take(10);
        block[0] = 7;
        blocks.give(block);
        assert_eq!(blocks.free_bytes(), SMALL);
        assert_eq!(blocks.take(10)[0], 7);
        assert_eq!(blocks.free_bytes(), 0);
    }

    #[test]
    fn unused_memory_is_bounded() {
        let mut blocks = Blocks::new();
        let last = blocks.take(1);
        let many: Vec<_> = (0..100).map(|_| blocks.take(LARGE)).collect();
        many.into_iter().for_each(|block| blocks.give(block));
        assert_eq!(blocks.free_bytes(), MAX_FREE);
        blocks.give(last);
        assert_eq!(blocks.free_bytes(), MAX_IDLE);
    }
}
