//! Asking home for a sign of life, so that a silent peer is noticed by whoever has nothing to send
//! (server-migration rules, 2.8 and 3.6).

use std::time::Duration;

use crate::time::Instant;

/// Questions in a row that brought nothing but their acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Asking {
    row: u32,
    /// The last packet from the peer, or the last question.
    since: Instant,
}

impl Asking {
    /// Nothing asked yet.
    pub fn new(now: Instant) -> Self {
        Self { row: 0, since: now }
    }

    /// A packet came; one that says more than an answer does, or a question, begins a new row.
    pub fn on_heard(&mut self, now: Instant, says_more: bool) {
        self.since = now;
        if says_more {
            self.row = 0;
        }
    }

    /// Whether a question was asked that brought no more than its acknowledgement.
    pub fn has_asked(&self) -> bool {
        self.row > 0
    }

    /// When to ask, if the first wait is `base` and the longest `cap`.
    pub fn due(&self, base: Duration, cap: Duration) -> Instant {
        self.since + base.saturating_mul(1 << self.row.min(16)).min(cap.max(base))
    }

    /// The last packet from the peer, or the last question.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// A question was asked.
    pub fn on_asked(&mut self, now: Instant) {
        self.row = self.row.saturating_add(1);
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    const BASE: Duration = Duration::from_millis(500);
    const CAP: Duration = Duration::from_secs(2);

    #[test]
    fn each_question_in_a_row_doubles_the_wait_up_to_the_cap() {
        let mut asking = Asking::new(at(0));
        let mut waits = Vec::new();
        let mut now = at(0);
        for _ in 0..5 {
            let due = asking.due(BASE, CAP);
            waits.push(due.since(now).as_millis());
            now = due;
            asking.on_asked(now);
            asking.on_heard(now, false);
        }
        assert_eq!(waits, [500, 1000, 2000, 2000, 2000]);
    }

    #[test]
    fn a_peer_that_says_something_of_its_own_is_asked_as_at_first() {
        let mut asking = Asking::new(at(0));
        asking.on_asked(at(500));
        asking.on_heard(at(600), true);
        assert_eq!(asking.due(BASE, CAP), at(1100));
    }
}
