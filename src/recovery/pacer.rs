//! Spreads datagrams over the round trip (RFC 9002, Section 7.7): a bucket that fills at 5/4 of window per
//! round trip.
//!
//! Owned by a path. Asked once a burst, told what went. The bucket holds two milliseconds' worth of sending,
//! at least ten datagrams, so an idle path comes back with a short burst and no more.

use std::time::Duration;

use crate::time::{Instant, micros};

/// Datagrams that may always go at once after a rest (RFC 9002, Section 7.7: the initial window).
const MIN_BURST: u32 = 10;
/// Datagrams that never go at once, whatever the rate.
const MAX_BURST: u32 = 256;
/// Datagrams worth waking up for.
const MIN_QUANTUM: u64 = 2;
/// What the bucket holds, in microseconds of sending.
const BURST_MICROS: u64 = 2_000;

/// A token bucket of bytes.
#[derive(Debug, Clone)]
pub struct Pacer {
    /// When `tokens` was right.
    at: Instant,
    /// [`FULL`] until first asked.
    tokens: u32,
    datagram_size: u16,
}

const _: () = assert!(size_of::<Pacer>() <= 16);

/// More than any bucket holds.
const FULL: u32 = u32::MAX;

impl Pacer {
    /// A full bucket for datagrams of this many bytes.
    pub fn new(datagram_size: u16) -> Self {
        Self { at: Instant::ZERO, tokens: FULL, datagram_size }
    }

    /// The path carries datagrams of another size now.
    pub fn set_datagram_size(&mut self, datagram_size: u16) {
        self.datagram_size = datagram_size;
    }

    /// Bytes that may go now, under a congestion window of `window` bytes a round trip.
    pub fn budget(&mut self, now: Instant, window: u64, rtt: Duration) -> u64 {
        if rtt.is_zero() {
            return u64::MAX;
        }
        let capacity = self.capacity(window, rtt);
        let level = self.filled(now, window, rtt).min(capacity);
        // Rounding must not eat what trickles in: the clock moves on only with the level. Nothing trickles into a bucket
        // that is full.
        if level != self.tokens || level == capacity {
            (self.tokens, self.at) = (level, now);
        }
        level.into()
    }

    /// Takes note that `bytes` went. A datagram may overdraw what [`budget`](Self::budget) allowed; probes
    /// may too.
    pub fn on_sent(&mut self, bytes: u64) {
        if self.tokens != FULL {
            self.tokens = self.tokens.saturating_sub(u32::try_from(bytes).unwrap_or(u32::MAX));
        }
    }

    /// When enough has trickled in to send again; `None` if a datagram may go now.
    pub fn ready_at(&self, now: Instant, window: u64, rtt: Duration) -> Option<Instant> {
        if rtt.is_zero() {
            return None;
        }
        let datagram = u64::from(self.datagram_size);
        let level = u64::from(self.level(now, window, rtt));
        if level >= datagram {
            return None;
        }
        let quantum = flow(window, rtt, BURST_MICROS / 2)
            .max(MIN_QUANTUM * datagram)
            .min(self.capacity(window, rtt).into());
        let missing = u128::from(quantum - level.min(quantum));
        let per_round = u128::from(rate(window).max(1));
        let wait = (missing * u128::from(micros(rtt))).div_ceil(per_round);
        Some(now + Duration::from_micros(u64::try_from(wait).unwrap_or(u64::MAX)))
    }

    /// Whether no datagram of full size might go when the bucket was last asked.
    pub fn is_spent(&self) -> bool {
        self.tokens < self.datagram_size.into()
    }

    /// Bytes a second at which the bucket fills; `None` if nothing is held back.
    pub fn rate(&self, window: u64, rtt: Duration) -> Option<u64> {
        (!rtt.is_zero()).then(|| flow(window, rtt, 1_000_000))
    }

    fn level(&self, now: Instant, window: u64, rtt: Duration) -> u32 {
        self.filled(now, window, rtt).min(self.capacity(window, rtt))
    }

    /// What there would be by now in a bucket without a rim.
    fn filled(&self, now: Instant, window: u64, rtt: Duration) -> u32 {
        let inflow = flow(window, rtt, micros(now.since(self.at)));
        let inflow = u32::try_from(inflow).unwrap_or(u32::MAX);
        self.tokens.saturating_add(inflow)
    }

    fn capacity(&self, window: u64, rtt: Duration) -> u32 {
        let datagram = u32::from(self.datagram_size);
        let burst = u32::try_from(flow(window, rtt, BURST_MICROS)).unwrap_or(u32::MAX);
        burst.clamp(MIN_BURST * datagram, MAX_BURST * datagram)
    }
}

/// Bytes a round trip: a quarter more than the window, so that pacing does not leave it unused.
fn rate(window: u64) -> u64 {
    window.saturating_add(window / 4)
}

/// Bytes that may go in this many microseconds.
fn flow(window: u64, rtt: Duration, elapsed: u64) -> u64 {
    let bytes = u128::from(rate(window)).saturating_mul(u128::from(elapsed)) / u128::from(micros(rtt).max(1));
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    const fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    // 100 000 bytes in 100 ms, a quarter more: 1250 bytes a millisecond.
    const WINDOW: u64 = 100_000;
    const RTT: Duration = ms(100);

    #[test]
    fn a_new_path_may_send_ten_datagrams_at_once() {
        let mut pacer = Pacer::new(1200);
        assert_eq!(pacer.budget(at(0), WINDOW, RTT), 12_000);
        assert_eq!(pacer.ready_at(at(0), WINDOW, RTT), None);
    }

    #[test]
    fn an_empty_bucket_fills_at_five_quarters_of_the_window_per_round_trip() {
        let mut pacer = Pacer::new(1200);
        pacer.budget(at(0), WINDOW, RTT);
        pacer.on_sent(12_000);
        assert_eq!(pacer.budget(at(0), WINDOW, RTT), 0);
        assert_eq!(pacer.budget(at(4), WINDOW, RTT), 5_000);
    }

    #[test]
    fn it_wakes_for_two_datagrams_not_for_one_byte() {
        let mut pacer = Pacer::new(1200);
        pacer.budget(at(0), WINDOW, RTT);
        pacer.on_sent(12_000);
        // 2400 bytes at 1.25 bytes a microsecond.
        assert_eq!(pacer.ready_at(at(0), WINDOW, RTT), Some(Instant::from_micros(1920)));
        assert_eq!(pacer.budget(Instant::from_micros(1920), WINDOW, RTT), 2400);
    }

    #[test]
    fn rest_earns_no_more_than_one_burst() {
        let mut pacer = Pacer::new(1200);
        pacer.budget(at(0), WINDOW, RTT);
        pacer.on_sent(12_000);
        assert_eq!(pacer.budget(at(3_600_000), WINDOW, RTT), 12_000);
    }

    #[test]
    fn a_full_bucket_that_rested_gives_one_burst_not_two() {
        let mut pacer = Pacer::new(1200);
        pacer.budget(at(0), WINDOW, RTT);
        assert_eq!(pacer.budget(at(100), WINDOW, RTT), 12_000);
        pacer.on_sent(12_000);
        assert_eq!(pacer.budget(at(100), WINDOW, RTT), 0);
    }

    #[test]
    fn a_fast_path_has_a_burst_of_two_milliseconds() {
        let mut pacer = Pacer::new(1200);
        // 10 MB in 100 ms: 250 000 bytes in 2 ms.
        assert_eq!(pacer.budget(at(0), 10_000_000, RTT), 250_000);
    }

    #[test]
    fn asking_often_loses_nothing_to_rounding() {
        let mut pacer = Pacer::new(1200);
        pacer.budget(at(0), 3_000, RTT);
        pacer.on_sent(12_000);
        let mut budget = 0;
        for micro in 0..=100_000 {
            budget = pacer.budget(Instant::from_micros(micro), 3_000, RTT);
        }
        assert!((3_000..=3_750).contains(&budget), "{budget} bytes after a round trip");
    }

    #[test]
    fn it_is_spent_once_no_datagram_may_go() {
        let mut pacer = Pacer::new(1200);
        assert!(!pacer.is_spent());
        pacer.budget(at(0), WINDOW, RTT);
        pacer.on_sent(10_800);
        assert!(!pacer.is_spent());
        pacer.on_sent(1);
        assert!(pacer.is_spent());
        assert_eq!((pacer.rate(WINDOW, RTT), pacer.rate(WINDOW, ms(0))), (Some(1_250_000), None));
    }

    #[test]
    fn without_a_round_trip_nothing_is_held_back() {
        assert_eq!(Pacer::new(1200).budget(at(0), WINDOW, Duration::ZERO), u64::MAX);
        assert_eq!(Pacer::new(1200).ready_at(at(0), WINDOW, Duration::ZERO), None);
    }

    #[test]
    fn time_that_runs_backwards_and_extreme_windows_are_survived() {
        let mut pacer = Pacer::new(u16::MAX);
        pacer.budget(at(10), u64::MAX, Duration::MAX);
        pacer.on_sent(u64::MAX);
        assert!(pacer.budget(at(5), u64::MAX, Duration::from_micros(1)) <= 256 * 65_535);
        pacer.on_sent(u64::MAX);
        assert!(pacer.ready_at(at(5), 0, Duration::MAX).is_some());
    }
}
