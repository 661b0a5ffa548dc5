//! What all streams of a connection share: credit in both directions, memory, and the budget of gaps.

use super::blocks::Blocks;
use super::flow::{Credit, Window};

/// Gaps that every stream may have, whatever the others do.
pub const GAPS_PER_STREAM: u64 = 64;
/// A window of this many bytes permits one gap more.
pub const BYTES_PER_GAP: u64 = 512;

/// Shared by all streams.
#[derive(Debug)]
pub struct Shared {
    /// Memory.
    pub blocks: Blocks,
    /// What the peer may send on all streams together.
    pub window: Window,
    /// What we may send on all streams together; spent when bytes are written.
    pub credit: Credit,
    /// Written bytes that are kept.
    buffered: u64,
    /// How many may be kept.
    send_buffer: u64,
    /// Gaps above `GAPS_PER_STREAM`, over all streams.
    extra_gaps: u64,
    /// How many of these there may be.
    max_extra_gaps: u64,
}

impl Shared {
    /// Nothing received, nothing permitted yet by the peer.
    pub fn new(receive_window: u64, send_buffer: u64) -> Self {
        Self {
            blocks: Blocks::new(),
            window: Window::new(receive_window),
            credit: Credit::default(),
            buffered: 0,
            send_buffer,
            extra_gaps: 0,
            max_extra_gaps: receive_window / BYTES_PER_GAP,
        }
    }

    /// How many bytes may be written on all streams together.
    #[inline]
    pub fn room(&self) -> u64 {
        self.credit.room().min(self.send_buffer.saturating_sub(self.buffered))
    }

    /// Whether there is room enough to wake one who waits for it: an eighth of the buffer, so that not every
    /// acknowledgement brings an event.
    pub fn may_wake(&self) -> bool {
        self.credit.room() > 0
            && self.send_buffer.saturating_sub(self.buffered) >= self.send_buffer.div_ceil(8)
    }

    /// Bytes were written.
    #[inline]
    pub fn spend(&mut self, bytes: u64) {
        self.credit.spend(bytes);
        self.buffered += bytes;
    }

    /// Written bytes are kept no longer.
    #[inline]
    pub fn release(&mut self, bytes: u64) {
        self.buffered -= bytes;
    }

    /// How many gaps a stream may have that has `gaps` and alone could have `most`.
    pub fn gaps_permitted(&self, gaps: usize, most: u64) -> usize {
        let own = (gaps as u64).saturating_sub(GAPS_PER_STREAM);
        let others = self.extra_gaps - own;
        let permitted = GAPS_PER_STREAM + self.max_extra_gaps.saturating_sub(others);
        usize::try_from(permitted.min(most)).unwrap_or(usize::MAX)
    }

    /// A stream that had `before` gaps has `after`.
    pub fn count_gaps(&mut self, before: usize, after: usize) {
        let extra = |gaps: usize| (gaps as u64).saturating_sub(GAPS_PER_STREAM);
        self.extra_gaps = self.extra_gaps + extra(after) - extra(before);
    }
}
