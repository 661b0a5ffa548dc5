//! The idle timeout and keep-alive (RFC 9000, Section 10.1).

use std::time::Duration;

use crate::time::Instant;

/// When a silent connection ends, and when a PING keeps it alive.
#[derive(Debug)]
pub struct Idle {
    timeout: Option<Duration>,
    keep_alive: Option<Duration>,
    /// The last packet processed, or the first ack-eliciting one sent since.
    since: Instant,
    /// The last packet in either direction, for keep-alive.
    last: Instant,
    /// Whether something ack-eliciting was sent since the last packet was processed.
    asked: bool,
}

impl Idle {
    /// Begins with our own timeout; the peer's is not known yet.
    pub fn new(now: Instant, timeout: Option<Duration>, keep_alive: Option<Duration>) -> Self {
        Self { timeout, keep_alive, since: now, last: now, asked: false }
    }

    /// Takes the smaller of both sides' timeouts.
    pub fn on_peer_timeout(&mut self, peer: Option<Duration>) {
        self.timeout = match (self.timeout, peer) {
            (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
            (one, None) | (None, one) => one,
        };
    }

    /// A packet was received and processed.
    pub fn on_received(&mut self, now: Instant) {
        self.since = now;
        self.last = now;
        self.asked = false;
    }

    /// A packet was sent.
    pub fn on_sent(&mut self, now: Instant, ack_eliciting: bool) {
        if ack_eliciting && !self.asked {
            self.asked = true;
            self.since = now;
        }
        if ack_eliciting {
            self.last = now;
        }
    }

    /// Starts anew: the server has moved, or a search ended.
    pub fn restart(&mut self, now: Instant) {
        self.on_received(now);
    }

    /// When the connection ends; never sooner than three PTO.
    pub fn deadline(&self, pto: Duration) -> Option<Instant> {
        self.timeout.map(|timeout| self.since + timeout.max(pto.saturating_mul(3)))
    }

    /// When a PING is to be sent.
    pub fn keep_alive_deadline(&self) -> Option<Instant> {
        self.keep_alive.map(|after| self.last + after)
    }

    /// A PING is on its way, or not wanted.
    pub fn on_keep_alive(&mut self, now: Instant) {
        self.last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_smaller_timeout_of_both_sides_holds() {
        let mut idle = Idle::new(at(0), Some(SECOND * 30), None);
        idle.on_peer_timeout(Some(SECOND * 10));
        assert_eq!(idle.deadline(SECOND), Some(at(10_000)));
    }

    #[test]
    fn it_is_never_shorter_than_three_pto() {
        let idle = Idle::new(at(0), Some(SECOND), None);
        assert_eq!(idle.deadline(SECOND * 2), Some(at(6000)));
    }

    #[test]
    fn only_the_first_question_since_an_answer_restarts_it() {
        let mut idle = Idle::new(at(0), Some(SECOND), None);
        idle.on_sent(at(100), true);
        idle.on_sent(at(200), true);
        assert_eq!(idle.deadline(Duration::ZERO), Some(at(1100)));
        idle.on_received(at(300));
        idle.on_sent(at(400), true);
        assert_eq!(idle.deadline(Duration::ZERO), Some(at(1400)));
    }
}
