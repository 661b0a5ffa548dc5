//! How often the client may ask: token buckets for the connection, and the challenges of the last second.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::time::{Instant, micros};

/// A second in microseconds: the worth of one token.
const TOKEN: u64 = 1_000_000;

/// Challenges of one second that are remembered; the buckets permit fewer.
const MAX_REMEMBERED: usize = 256;

/// A bucket of tokens, refilled by one a second of the time it is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

/// Challenges of the last second: each may cost the peer one of our connection IDs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Attention(VecDeque<(Instant, SocketAddr)>);

impl Attention {
    /// Whether this address may be challenged: in any one second as often as there are spare connection IDs, less one,
    /// and at least once (server-migration rules, 2.3). An address that has not `spoken` leaves two of these: the one
    /// that a server takes when it has moved and speaks (3.2), and the one that it is to be challenged with at once then.
    pub fn permits(&mut self, now: Instant, address: SocketAddr, spare_ids: u64, spoken: bool) -> bool {
        while self.0.front().is_some_and(|(at, _)| now.since(*at) >= Duration::from_secs(1)) {
            self.0.pop_front();
        }
        let taken = self.0.iter().filter(|(_, asked)| *asked == address).count();
        self.0.len() < MAX_REMEMBERED
            && (taken as u64) < spare_ids.saturating_sub(if spoken { 1 } else { 3 }).max(1)
    }

    /// It was challenged.
    pub fn on_asked(&mut self, now: Instant, address: SocketAddr) {
        self.0.push_back((now, address));
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

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, last], 443))
    }

    fn take(attention: &mut Attention, now: u64, last: u8, spare_ids: u64) -> bool {
        let permitted = attention.permits(at(now), address(last), spare_ids, true);
        if permitted {
            attention.on_asked(at(now), address(last));
        }
        permitted
    }

    #[test]
    fn an_address_is_not_asked_more_often_than_there_are_ids_to_burn() {
        let mut attention = Attention::default();
        let taken = (0..10).filter(|_| take(&mut attention, 500, 1, 4)).count();
        assert_eq!(taken, 3);
        assert!(take(&mut attention, 500, 2, 4), "another address has an allotment of its own");
        assert!(!take(&mut attention, 1499, 1, 4));
        assert!(take(&mut attention, 1500, 1, 4));
    }

    #[test]
    fn seeks_leave_a_challenge_for_a_server_that_speaks_and_the_id_it_takes() {
        let mut attention = Attention::default();
        for now in [100, 200] {
            assert!(attention.permits(at(now), address(1), 5, false));
            attention.on_asked(at(now), address(1));
        }
        assert!(!attention.permits(at(300), address(1), 5, false));
        assert!(take(&mut attention, 300, 1, 4), "it speaks, under another of our connection IDs");
        assert!(!take(&mut attention, 300, 1, 4));
    }

    #[test]
    fn no_second_anywhere_sees_more_than_the_allotment() {
        let mut attention = Attention::default();
        let taken: Vec<u64> = (0..5000).step_by(10).filter(|now| take(&mut attention, *now, 1, 3)).collect();
        assert!(taken.windows(3).all(|three| three[2] - three[0] >= 1000), "{taken:?}");
        assert_eq!(taken.len(), 10);
    }

    #[test]
    fn in_one_second_no_more_challenges_go_to_all_addresses_than_are_remembered() {
        let mut attention = Attention::default();
        let mut permitted = 0;
        for port in 0..300 {
            let address = SocketAddr::from(([10, 0, 0, 1], port));
            if attention.permits(at(0), address, 4, false) {
                attention.on_asked(at(0), address);
                permitted += 1;
            }
        }
        assert_eq!((permitted, attention.0.len()), (256, 256));
        assert!(take(&mut attention, 1000, 1, 4), "a second later they are forgotten");
    }

    #[test]
    fn without_spare_ids_one_a_second_is_still_asked() {
        let mut attention = Attention::default();
        assert!(take(&mut attention, 0, 1, 0));
        assert!(!take(&mut attention, 999, 1, 0));
        assert!(take(&mut attention, 1000, 1, 0));
    }
}
