//! Credit: bytes and streams, in both directions (RFC 9000, Section 4).
//!
//! A [`Window`] is what we permit the peer to send, on the connection or one stream; a [`Quota`] is how many streams
//! we permit it to open; a [`Credit`] is what the peer permits us, of any of the three. All saturate at 2^62 - 1.

use crate::varint::VarInt;

/// The largest number of streams of one kind (RFC 9000, Section 4.6).
const MAX_STREAMS: u64 = 1 << 60;

/// A number below 2^62, and two flags in the bits that it leaves: limits are many, and seldom looked at alone.
#[derive(Debug, Clone, Copy, Default)]
struct Flagged(u64);

impl Flagged {
    fn new(number: u64) -> Self {
        Self(VarInt::saturating(number).into_inner() << 2)
    }

    #[inline]
    fn number(self) -> u64 {
        self.0 >> 2
    }

    #[inline]
    fn has(self, flag: u64) -> bool {
        self.0 & flag != 0
    }

    #[inline]
    fn set(&mut self, flag: u64, to: bool) {
        self.0 = if to { self.0 | flag } else { self.0 & !flag };
    }
}

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
    /// The limit that the peer was told; flag: a higher one is to be said.
    announced: Flagged,
}

impl Window {
    const DUE: u64 = 1;

    /// A window that the peer knows from the transport parameters.
    pub fn new(size: u64) -> Self {
        Self { size, received: 0, consumed: 0, announced: Flagged::new(size) }
    }

    /// How many received bytes may wait to be consumed.
    pub fn size(&self) -> u64 {
        self.size
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
        let received =
            self.received.checked_add(more).filter(|received| *received <= self.announced.number());
        self.received = received.ok_or(Exceeded)?;
        Ok(())
    }

    /// Received bytes need no memory any more. The peer is told when half of the window has been consumed.
    #[inline]
    pub fn consume(&mut self, bytes: u64) {
        self.consumed = self.consumed.saturating_add(bytes).min(self.received);
        if self.limit() - self.announced.number() >= self.size.div_ceil(2).max(1) {
            self.announced.set(Self::DUE, true);
        }
    }

    /// The limit to be said, if one is.
    #[inline]
    pub fn due(&self) -> Option<u64> {
        self.announced.has(Self::DUE).then(|| self.limit())
    }

    /// The peer is told `limit`.
    pub fn said(&mut self, limit: u64) {
        self.announced = Flagged::new(self.announced.number().max(limit));
    }

    /// The packet that said `limit` was lost. Returns whether it must be said again.
    pub fn lost(&mut self, limit: u64) -> bool {
        if limit == self.announced.number() {
            self.announced.set(Self::DUE, true);
        }
        self.announced.has(Self::DUE)
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
    /// The limit that the peer was told; flag: a higher one is to be said.
    announced: Flagged,
    /// The highest limit that the peer has acknowledged.
    acked: u64,
}

impl Quota {
    const DUE: u64 = 1;
    /// How often the streams open at a time may be replaced in a round trip.
    const ROUND_TRIP: u64 = 2;
    /// The share of the streams at a time that is granted in one frame.
    const BATCH: u64 = 8;

    /// A quota that the peer knows from the transport parameters.
    pub fn new(at_a_time: u64) -> Self {
        Self { at_a_time, closed: 0, announced: Flagged::new(at_a_time), acked: at_a_time }
    }

    /// Whether the peer may open the stream with this index.
    #[inline]
    pub fn permits(&self, index: u64) -> bool {
        index < self.announced.number()
    }

    /// A stream of the peer is over.
    pub fn close(&mut self) {
        self.closed = self.closed.saturating_add(1);
        self.reconsider();
    }

    /// The limit to be said, if one is.
    pub fn due(&self) -> Option<u64> {
        self.announced.has(Self::DUE).then(|| self.limit())
    }

    /// The peer is told `limit`.
    pub fn said(&mut self, limit: u64) {
        self.announced = Flagged::new(self.announced.number().max(limit));
    }

    /// The peer knows `limit`.
    pub fn acked(&mut self, limit: u64) {
        self.acked = self.acked.max(limit);
        self.reconsider();
    }

    /// The packet that said `limit` was lost.
    pub fn lost(&mut self, limit: u64) {
        if limit == self.announced.number() {
            self.announced.set(Self::DUE, true);
        }
    }

    fn reconsider(&mut self) {
        if self.limit() - self.announced.number() >= (self.at_a_time / Self::BATCH).max(1) {
            self.announced.set(Self::DUE, true);
        }
    }

    fn limit(&self) -> u64 {
        let open = self.closed.saturating_add(self.at_a_time);
        let paced = self.acked.saturating_add(self.at_a_time.saturating_mul(Self::ROUND_TRIP));
        open.min(paced).min(MAX_STREAMS).max(self.announced.number())
    }
}

/// What the peer permits us: bytes on the connection or a stream, or streams.
#[derive(Debug, Clone, Default)]
pub struct Credit {
    /// Flags: more is wanted than there is; the peer was told so at this limit.
    limit: Flagged,
    used: u64,
}

impl Credit {
    const WANTED: u64 = 1;
    const SAID: u64 = 2;

    /// Credit up to `limit`.
    pub fn new(limit: u64) -> Self {
        Self { limit: Flagged::new(limit), used: 0 }
    }

    /// How much there is.
    #[inline]
    pub fn room(&self) -> u64 {
        self.limit.number().saturating_sub(self.used)
    }

    /// How much was used.
    #[inline]
    pub fn used(&self) -> u64 {
        self.used
    }

    /// How much the peer permits in all.
    pub fn limit(&self) -> u64 {
        self.limit.number()
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
        if self.room() > 0 {
            self.limit.set(Self::WANTED, false);
        }
    }

    /// There is not enough: the peer is told, once.
    pub fn want(&mut self) {
        self.limit.set(Self::WANTED, self.room() == 0);
    }

    /// Whether more is wanted than there is.
    pub fn is_wanted(&self) -> bool {
        self.limit.has(Self::WANTED)
    }

    /// The peer raises its limit; a lower one has no effect. Returns whether that was waited for.
    pub fn raise(&mut self, limit: u64) -> bool {
        if limit <= self.limit.number() {
            return false;
        }
        let before = std::mem::replace(&mut self.limit, Flagged::new(limit));
        before.has(Self::WANTED)
    }

    /// The peer's limit is another one, perhaps lower than what was used. Returns whether more was waited for and is
    /// there.
    pub fn replace(&mut self, limit: u64) -> bool {
        let before = std::mem::replace(&mut self.limit, Flagged::new(limit));
        let wanted = before.has(Self::WANTED);
        self.limit.set(Self::WANTED, wanted && self.room() == 0);
        wanted && self.room() > 0
    }

    /// The limit at which we are blocked, if the peer does not know it yet.
    #[inline]
    pub fn blocked(&self) -> Option<u64> {
        (self.limit.has(Self::WANTED) && !self.limit.has(Self::SAID)).then(|| self.limit.number())
    }

    /// The peer is told that we are blocked at `limit`.
    pub fn said(&mut self, limit: u64) {
        self.limit.set(Self::SAID, limit == self.limit.number());
    }

    /// The packet that said so was lost. Returns whether it must be said again.
    pub fn lost(&mut self, limit: u64) -> bool {
        if limit == self.limit.number() {
            self.limit.set(Self::SAID, false);
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
    fn a_limit_that_is_replaced_may_be_lower_than_what_was_used() {
        let mut credit = Credit::new(100);
        credit.spend(60);
        assert!(!credit.replace(50));
        assert_eq!((credit.room(), credit.limit(), credit.used()), (0, 50, 60));
        credit.want();
        assert_eq!(credit.blocked(), Some(50));
        assert!(!credit.replace(60));
        assert_eq!(credit.blocked(), Some(60));
        assert!(credit.replace(70));
        assert_eq!((credit.room(), credit.blocked()), (10, None));
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
