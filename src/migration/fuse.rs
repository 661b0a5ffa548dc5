//! A deadline counted in the time that its owner is awake (server-migration rules, 4.8).
//!
//! A server that waits for its move may be frozen at any moment, and must not find its patience gone when it is thawed.

use std::time::Duration;

use crate::time::Instant;

/// A longer gap between two looks counts as this much.
const LONGEST_TICK: Duration = Duration::from_secs(1);

/// Time that only runs while it is watched: no gap between two looks counts for more than a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fuse {
    left: Duration,
    looked: Instant,
}

impl Fuse {
    /// Burns down in this much watched time.
    pub fn new(now: Instant, length: Duration) -> Self {
        Self { left: length, looked: now }
    }

    /// Takes the time since the last look off; whether nothing is left.
    pub fn burn(&mut self, now: Instant) -> bool {
        let gap = now.since(self.looked).min(LONGEST_TICK);
        self.looked = now;
        self.left = self.left.saturating_sub(gap);
        self.left.is_zero()
    }

    /// When to look again.
    pub fn next(&self) -> Instant {
        self.looked + self.left.min(LONGEST_TICK)
    }

    /// A time that lies ahead whenever the fuse is looked at: what waits for it waits for the fuse.
    pub fn beyond_a_tick(now: Instant) -> Instant {
        now + LONGEST_TICK.saturating_mul(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn a_gap_of_ten_minutes_counts_as_a_second() {
        let mut fuse = Fuse::new(at(0), Duration::from_secs(3));
        assert!(!fuse.burn(at(600_000)));
        assert!(!fuse.burn(at(601_000)));
        assert!(fuse.burn(at(602_000)));
    }

    #[test]
    fn it_wants_to_be_looked_at_every_second_and_at_its_end() {
        let mut fuse = Fuse::new(at(0), Duration::from_millis(1500));
        assert_eq!(fuse.next(), at(1000));
        fuse.burn(at(1000));
        assert_eq!(fuse.next(), at(1500));
    }
}
