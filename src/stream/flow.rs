//! Credit: bytes and streams, in both directions (RFC 9000, Section 4).
//!
//! A [`Window`] is what we permit the peer to send, on the connection or one stream; a [`Quota`] is how many streams
//! we permit it to open; a [`Credit`] is what the peer permits us, of any of the three. All saturate at 2^62 - 1.

use crate::varint::VarInt;

/// The largest number of streams of one kind (RFC 9000, Section 4.6).
const MAX_STREAMS: u64 = 1 << 60;

/// The peer sent more than was permitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded;

/// Bytes that the peer may send: a window that slides as they are consumed.
#[derive(Debug, Clone)]
pub struct Window {
    /// How many received bytes may wait to be consumed.
    size: u64,
    received: u64,
    consumed: u64,
    /// The limit that the peer was told.
    announced: u64,
    /// A higher limit is to be said.
    due: bool,
}

impl Window {
    /// A window that the peer knows from the transport parameters.
    pub fn new(size: u64) -> Self {
        Self { size, received: 0, consumed: 0, announced: size, due: false }
    }

    /// How much of the credit the peer has used.
    #[inline]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// How many received bytes were not consumed yet.
    #[inline]
    pub fn waiting(&self) -> u64 {
        self.received - self.consumed
    }

    /// The peer used `more` bytes of its credit.
    ///
    /// # Errors
    ///
    /// [`Exceeded`] if it had not as many.
    #[inline]
    pub fn receive(&mut self, more: u64) -> Result<(), Exceeded> {
        let received = self.received.checked_add(more).filter(|received| *received <= self.announced);
        self.received = received.ok_or(Exceeded)?;
        Ok(())
    }

    /// Received bytes need no memory any more. The peer is told when half of the window has been consumed.
    #[inline]
    pub fn consume(&mut self, bytes: u64) {
        self.consumed = self.consumed.saturating_add(bytes).min(self.received);
        self.due |= self.limit() - self.announced >= self.size.div_ceil(2).max(1);
    }

    /// The limit to be said, if one is.
    #[inline]
    pub fn due(&self) -> Option<u64> {
        self.due.then(|| self.limit())
    }

    /// The peer is told `limit`.
    pub fn said(&mut self, limit: u64) {
        self.announced = self.announced.max(limit);
        self.due = false;
    }

    /// The packet that said `limit` was lost. Returns whether it must be said again.
    pub fn lost(&mut self, limit: u64) -> bool {
        self.due |= limit == self.announced;
        self.due
    }

    #[inline]
    fn limit(&self) -> u64 {
        VarInt::saturating(self.consumed.saturating_add(self.size)).into_inner()
    }
}

/// Streams of one kind that the peer may open: as many at a time as configured.
///
/// No more than `ROUND_TRIP` times that number are granted beyond what the peer has acknowledged, so that a peer that
/// opens and closes streams as fast as it can is held to a number of them a round trip, and one that acknowledges
/// nothing to a number at all.
#[derive(Debug, Clone)]
pub struct Quota {
    /// How many may be open at a time.
    at_a_time: u64,
    closed: u64,
    /// The limit that the peer was told.
    announced: u64,
    /// The highest limit that the peer has acknowledged.
    acked: u64,
    due: bool,
}

impl Quota {
    /// How often the streams open at a time may be replaced in a round trip.
    const ROUND_TRIP: u64 = 2;
    /// The share of the streams at a time that is granted in one frame.
    const BATCH: u64 = 8;

    /// A quota that the peer knows from the transport parameters.
    pub fn new(at_a_time: u64) -> Self {
        Self { at_a_time, closed: 0, announced: at_a_time, acked: at_a_time, due: false }
    }

    /// Whether the peer may open the stream with this index.
    #[inline]
    pub fn permits(&self, index: u64) -> bool {
        index < self.announced
    }

    /// A stream of the peer is over.
    pub fn close(&mut self) {
        self.closed = self.closed.saturating_add(1);
        self.reconsider();
    }

    /// The limit to be said, if one is.
    pub fn due(&self) -> Option<u64> {
        self.due.then(|| self.limit())
    }

    /// The peer is told `limit`.
    pub fn said(&mut self, limit: u64) {
        self.announced = self.announced.max(limit);
        self.due = false;
    }

    /// The peer knows `limit`.
    pub fn acked(&mut self, limit: u64) {
        self.acked = self.acked.max(limit);
        self.reconsider();
    }

    /// The packet that said `limit` was lost.
    pub fn lost(&mut self, limit: u64) {
        self.due |= limit == self.announced;
    }

    fn reconsider(&mut self) {
        self.due |= self.limit() - self.announced >= (self.at_a_time / Self::BATCH).max(1);
    }

    fn limit(&self) -> u64 {
        let open = self.closed.saturating_add(self.at_a_time);
        let paced = self.acked.saturating_add(self.at_a_time.saturating_mul(Self::ROUND_TRIP));
        open.min(paced).min(MAX_STREAMS).max(self.announced)
    }
}

/// What the peer permits us: bytes on the connection or a stream, or streams.
#[derive(Debug, Clone, Default)]
pub struct Credit {
    limit: u64,
    used: u64,
    /// More is wanted than there is.
    wanted: bool,
    /// The limit at which the peer was told so.
    said: Option<u64>,
}

impl Credit {
    /// Credit up to `limit`.
    pub fn new(limit: u64) -> Self {
        Self { limit, ..Self::default() }
    }

    /// How much there is.
    #[inline]
    pub fn room(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    /// How much was used.
    #[inline]
    pub fn used(&self) -> u64 {
        self.used
    }

    /// Uses some of it.
    #[inline]
    pub fn spend(&mut self, amount: u64) {
        debug_assert!(amount <= self.room());
        self.used = self.used.saturating_add(amount);
    }

    /// Returns what was used of it and will not be sent.
    pub fn refund(&mut self, amount: u64) {
        self.used = self.used.saturating_sub(amount);
        self.wanted &= self.room() == 0;
    }

    /// There is not enough: the peer is told, once.
    pub fn want(&mut self) {
        self.wanted = self.room() == 0;
    }

    /// The peer raises its limit; a lower one has no effect. Returns whether that was waited for.
    pub fn raise(&mut self, limit: u64) -> bool {
        if limit <= self.limit {
            return false;
        }
        self.limit = limit;
        std::mem::take(&mut self.wanted)
    }

    /// The limit at which we are blocked, if the peer does not know it yet.
    #[inline]
    pub fn blocked(&self) -> Option<u64> {
        (self.wanted && self.said != Some(self.limit)).then_some(self.limit)
    }

    /// The peer is told that we are blocked at `limit`.
    pub fn said(&mut self, limit: u64) {
        self.said = Some(limit);
    }

    /// The packet that said so was lost. Returns whether it must be said again.
    pub fn lost(&mut self, limit: u64) -> bool {
        if self.said == Some(limit) {
            self.said = None;
        }
        self.blocked().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: u64 = (1 << 62) - 1;

    #[test]
    fn a_window_is_raised_when_half_of_it_was_consumed() {
        let mut window = Window::new(100);
        assert_eq!(window.receive(100), Ok(()));
        window.consume(49);
        assert_eq!(window.due(), None);
        window.consume(1);
        assert_eq!(window.due(), Some(150));
        window.said(150);
        assert_eq!((window.due(), window.receive(51), window.receive(50)), (None, Err(Exceeded), Ok(())));
    }

    #[test]
    fn only_the_newest_limit_is_said_again() {
        let mut window = Window::new(100);
        assert_eq!(window.receive(100), Ok(()));
        window.consume(50);
        window.said(150);
        window.consume(50);
        window.said(200);
        assert!(!window.lost(150));
        assert!(window.lost(200));
        assert_eq!(window.due(), Some(200));
    }

    #[test]
    fn a_window_saturates_at_the_largest_number() {
        let mut window = Window::new(MAX);
        assert_eq!(window.receive(MAX), Ok(()));
        assert_eq!(window.receive(u64::MAX), Err(Exceeded));
        window.consume(u64::MAX);
        assert_eq!(window.due(), None);
    }

    #[test]
    fn streams_are_granted_in_batches() {
        let mut quota = Quota::new(100);
        (0..11).for_each(|_| quota.close());
        assert_eq!(quota.due(), None);
        quota.close();
        assert_eq!(quota.due(), Some(112));
        quota.said(112);
        assert!(quota.permits(111) && !quota.permits(112));
    }

    #[test]
    fn a_peer_that_acknowledges_no_grant_is_granted_three_times_the_number() {
        let mut quota = Quota::new(100);
        for _ in 0..10_000 {
            quota.close();
            if let Some(limit) = quota.due() {
                quota.said(limit);
            }
        }
        assert!(quota.permits(300 - 100 / 8 - 1) && !quota.permits(300));
    }

    #[test]
    fn a_peer_that_acknowledges_grants_is_never_held_up() {
        let mut quota = Quota::new(100);
        for closed in 1..10_000 {
            quota.close();
            if let Some(limit) = quota.due() {
                quota.said(limit);
                quota.acked(limit.saturating_sub(100)); // a round trip late
            }
            assert!(quota.permits(closed + 87));
        }
    }

    #[test]
    fn the_number_of_streams_ends_at_2_to_the_60() {
        let mut quota = Quota::new(1 << 60);
        quota.close();
        assert_eq!(quota.due(), None);
    }

    #[test]
    fn being_blocked_is_said_once_at_each_limit() {
        let mut credit = Credit::new(10);
        credit.spend(10);
        credit.want();
        assert_eq!(credit.blocked(), Some(10));
        credit.said(10);
        assert_eq!(credit.blocked(), None);
        assert!(!credit.raise(10));
        assert!(credit.raise(20));
        assert_eq!((credit.blocked(), credit.room()), (None, 10));
        credit.spend(10);
        credit.want();
        assert_eq!(credit.blocked(), Some(20));
        assert!(!Credit::lost(&mut Credit::new(5), 5));
    }
}
