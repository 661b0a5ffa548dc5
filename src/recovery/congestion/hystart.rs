//! HyStart++ (RFC 9406): leaves slow start when the round trip grows, before a queue overflows.
//!
//! Driven by [`Cubic`](super::cubic::Cubic) in its first slow start only. A round lasts from a send to the
//! acknowledgement of something sent no earlier; rounds are told apart by the time of sending. Sending is paced,
//! so L is infinite (RFC 9406, Section 4.3).

use std::time::Duration;

use crate::time::Instant;

/// The least increase of the round trip that means a queue.
const MIN_RTT_THRESH: Duration = Duration::from_millis(4);
/// The increase that always means a queue.
const MAX_RTT_THRESH: Duration = Duration::from_millis(16);
/// Between the two, the increase is this part of the round trip.
const MIN_RTT_DIVISOR: u32 = 8;
/// Samples without which a round says nothing.
const N_RTT_SAMPLE: u8 = 8;
/// Conservative slow start grows by this part of slow start.
pub const CSS_GROWTH_DIVISOR: f64 = 4.0;
/// Conservative slow start lasts so many rounds, the one in which it began included.
const CSS_ROUNDS: u8 = 5;

/// How the window is to grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    /// By what was acknowledged.
    Full,
    /// By a part of it: [`CSS_GROWTH_DIVISOR`].
    Conservative,
    /// Slow start is over.
    Over,
}

/// The round trips of a slow start.
#[derive(Debug, Clone, Default)]
pub struct HyStart {
    /// What was sent from here on belongs to the next round; `None` before the first acknowledgement.
    round_end: Option<Instant>,
    /// The newest packet acknowledged: an older one brings no sample.
    newest: Instant,
    /// The smallest sample of the round before.
    before: Option<Duration>,
    /// The smallest sample of this round.
    current: Option<Duration>,
    samples: u8,
    conservative: Option<Conservative>,
}

/// Conservative slow start.
#[derive(Debug, Clone, Copy)]
struct Conservative {
    /// Below it, the increase was spurious.
    baseline: Duration,
    rounds: u8,
}

impl HyStart {
    /// Takes in an acknowledgement at `now` of a packet sent at `sent`, which measured `rtt`.
    pub fn on_ack(&mut self, now: Instant, sent: Instant, rtt: Duration) -> Growth {
        if self.round_end.is_none_or(|end| sent >= end) && self.end_round(now) {
            return Growth::Over;
        }
        if sent >= self.newest {
            self.newest = sent;
            self.current = Some(self.current.map_or(rtt, |current| current.min(rtt)));
            self.samples = self.samples.saturating_add(1);
        }
        self.judge();
        if self.conservative.is_some() { Growth::Conservative } else { Growth::Full }
    }

    /// Begins the next round; true if conservative slow start had all of its own.
    fn end_round(&mut self, now: Instant) -> bool {
        self.round_end = Some(now);
        (self.before, self.current, self.samples) = (self.current, None, 0);
        self.conservative.as_mut().is_some_and(|css| {
            css.rounds = css.rounds.saturating_add(1);
            css.rounds >= CSS_ROUNDS
        })
    }

    fn judge(&mut self) {
        let Some(current) = self.current.filter(|_| self.samples >= N_RTT_SAMPLE) else { return };
        match (self.conservative, self.before) {
            (Some(css), _) if current < css.baseline => self.conservative = None,
            (None, Some(before)) => {
                let threshold = (before / MIN_RTT_DIVISOR).clamp(MIN_RTT_THRESH, MAX_RTT_THRESH);
                if current >= before.saturating_add(threshold) {
                    self.conservative = Some(Conservative { baseline: current, rounds: 0 });
                }
            }
            (Some(_), _) | (None, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Growth::{Conservative, Full, Over};
    use super::*;

    /// `samples` acknowledgements of a round that begins at so many milliseconds; the last answer.
    fn round(start: &mut HyStart, millis: u64, samples: u64, rtt: u64) -> Growth {
        let mut growth = Full;
        for _ in 0..samples {
            let sent = Instant::from_millis(millis);
            growth = start.on_ack(Instant::from_millis(millis + 50), sent, Duration::from_millis(rtt));
        }
        growth
    }

    #[test]
    fn a_round_trip_that_grows_by_an_eighth_makes_it_conservative() {
        let mut start = HyStart::default();
        assert_eq!(round(&mut start, 0, 8, 80), Full);
        assert_eq!(round(&mut start, 100, 8, 89), Full);
        assert_eq!(round(&mut start, 200, 8, 101), Conservative);
    }

    #[test]
    fn less_than_four_milliseconds_are_no_queue_and_sixteen_always_are() {
        let mut start = HyStart::default();
        round(&mut start, 0, 8, 1);
        assert_eq!(round(&mut start, 100, 8, 4), Full);
        assert_eq!(round(&mut start, 200, 8, 8), Conservative);
        let mut start = HyStart::default();
        round(&mut start, 0, 8, 1000);
        assert_eq!(round(&mut start, 100, 8, 1015), Full);
        assert_eq!(round(&mut start, 200, 8, 1031), Conservative);
    }

    #[test]
    fn fewer_than_eight_samples_change_nothing() {
        let mut start = HyStart::default();
        round(&mut start, 0, 8, 80);
        assert_eq!(round(&mut start, 100, 7, 200), Full);
    }

    #[test]
    fn one_low_sample_among_high_ones_is_jitter() {
        let mut start = HyStart::default();
        round(&mut start, 0, 8, 80);
        round(&mut start, 100, 1, 81);
        assert_eq!(round(&mut start, 100, 20, 200), Full);
    }

    #[test]
    fn a_round_trip_that_falls_again_resumes_slow_start() {
        let mut start = HyStart::default();
        round(&mut start, 0, 8, 80);
        assert_eq!(round(&mut start, 100, 8, 100), Conservative);
        assert_eq!(round(&mut start, 200, 7, 99), Conservative);
        assert_eq!(round(&mut start, 200, 1, 99), Full);
    }

    #[test]
    fn five_conservative_rounds_end_slow_start() {
        let mut start = HyStart::default();
        round(&mut start, 0, 8, 80);
        for n in 1..=5 {
            assert_eq!(round(&mut start, 100 * n, 8, 100), Conservative);
        }
        assert_eq!(round(&mut start, 600, 1, 100), Over);
    }

    #[test]
    fn extreme_round_trips_and_a_clock_that_stands_are_survived() {
        let mut start = HyStart::default();
        for rtt in [Duration::MAX, Duration::ZERO, Duration::MAX].repeat(300) {
            start.on_ack(Instant::ZERO, Instant::ZERO, rtt);
        }
    }
}
