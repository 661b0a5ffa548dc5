//! How often the client may ask: token buckets for the connection, and an allotment for each address.

use std::time::Duration;

use crate::time::{Instant, micros};

/// A second in microseconds: the worth of one token.
const TOKEN: u64 = 1_000_000;

/// A bucket of tokens, refilled by one a second of the time it is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Content and size, in microseconds: a second buys one token.
    content: u64,
    size: u64,
    last: Instant,
}

impl Bucket {
    /// A full bucket of this many tokens.
    pub fn full(tokens: u32, now: Instant) -> Self {
        let size = u64::from(tokens) * TOKEN;
        Self { content: size, size, last: now }
    }

    /// Credits the time from `from` to `to`.
    pub fn refill(&mut self, from: Instant, to: Instant) {
        self.content = self.size.min(self.content.saturating_add(micros(to.since(from))));
        self.last = to;
    }

    /// Credits the time since the last credit.
    pub fn refill_until(&mut self, now: Instant) {
        self.refill(self.last, now);
    }

    /// Takes a token; false if there is none.
    pub fn take(&mut self) -> bool {
        let paid = self.content.checked_sub(TOKEN);
        if let Some(rest) = paid {
            self.content = rest;
        }
        paid.is_some()
    }
}

/// Challenges of the running second to one address: each may cost the peer one of our connection IDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allotment {
    since: Instant,
    taken: u64,
}

impl Allotment {
    /// Nothing taken yet.
    pub fn new(now: Instant) -> Self {
        Self { since: now, taken: 0 }
    }

    /// Takes a challenge, of which one second permits as many as there are spare connection IDs, less one, and at
    /// least one (server-migration rules, 2.3).
    pub fn take(&mut self, now: Instant, spare_ids: u64) -> bool {
        if now.since(self.since) >= Duration::from_secs(1) {
            *self = Self::new(now);
        }
        let permitted = self.taken < spare_ids.saturating_sub(1).max(1);
        self.taken += u64::from(permitted);
        permitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn a_bucket_gives_what_it_holds_and_one_a_second_more() {
        let mut bucket = Bucket::full(2, at(0));
        assert_eq!([bucket.take(), bucket.take(), bucket.take()], [true, true, false]);
        bucket.refill_until(at(999));
        assert!(!bucket.take());
        bucket.refill_until(at(1000));
        assert!(bucket.take());
    }

    #[test]
    fn a_bucket_never_overflows() {
        let mut bucket = Bucket::full(1, at(0));
        bucket.refill(at(0), Instant::FAR);
        assert_eq!([bucket.take(), bucket.take()], [true, false]);
    }

    #[test]
    fn an_address_is_not_asked_more_often_than_there_are_ids_to_burn() {
        let mut allotment = Allotment::new(at(0));
        let taken = (0..10).filter(|_| allotment.take(at(500), 4)).count();
        assert_eq!(taken, 3);
        assert!(allotment.take(at(1000), 4));
    }

    #[test]
    fn without_spare_ids_one_a_second_is_still_asked() {
        let mut allotment = Allotment::new(at(0));
        assert!(allotment.take(at(0), 0));
        assert!(!allotment.take(at(999), 0));
        assert!(allotment.take(at(1000), 0));
    }
}
