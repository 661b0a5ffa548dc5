//! What all streams of a connection share: credit in both directions, memory, and the budget of gaps.

use super::blocks::Blocks;
use super::limits::Limits;

/// Gaps that every stream may have, whatever the others do.
pub const GAPS_PER_STREAM: u64 = 64;
/// A window of this many bytes permits one gap more.
pub const BYTES_PER_GAP: u64 = 512;

/// Shared by all streams.
#[derive(Debug)]
#[repr(C)] // The limits first, as they begin with what is asked for every packet.
pub struct Shared {
    /// Bytes and streams, both ways.
    pub limits: Limits,
    /// Memory.
    pub blocks: Blocks,
    /// Written bytes that are kept.
    buffered: u64,
    /// How many may be kept.
    send_buffer: u64,
    /// Gaps above `GAPS_PER_STREAM`, over all streams; as many as the connection's window permits.
    extra_gaps: u64,
}

impl Shared {
    /// Nothing received, nothing permitted yet by the peer.
    pub fn new(receive_window: u64, max_streams: [u64; 2], send_buffer: u64) -> Self {
        Self {
            limits: Limits::new(receive_window, max_streams),
            blocks: Blocks::new(),
            buffered: 0,
            send_buffer,
            extra_gaps: 0,
        }
    }

    /// How many bytes may be written on all streams together.
    #[inline]
    pub fn room(&self) -> u64 {
        self.limits.room().min(self.send_buffer.saturating_sub(self.buffered))
    }

    /// Whether there is room enough to wake one who waits for it: an eighth of the buffer, so that not every
    /// acknowledgement brings an event.
    pub fn may_wake(&self) -> bool {
        self.limits.room() > 0
            && self.send_buffer.saturating_sub(self.buffered) >= self.send_buffer.div_ceil(8)
    }

    /// Bytes were written.
    #[inline]
    pub fn spend(&mut self, bytes: u64) {
        self.limits.spend(bytes);
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
        let extra = self.limits.receive_window() / BYTES_PER_GAP;
        let permitted = GAPS_PER_STREAM + extra.saturating_sub(others);
        usize::try_from(permitted.min(most)).unwrap_or(usize::MAX)
    }

    /// A stream that had `before` gaps has `after`.
    pub fn count_gaps(&mut self, before: usize, after: usize) {
        let extra = |gaps: usize| (gaps as u64).saturating_sub(GAPS_PER_STREAM);
        self.extra_gaps = self.extra_gaps + extra(after) - extra(before);
    }
}
