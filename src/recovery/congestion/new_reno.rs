//! NewReno as RFC 9002, Section 7 and Appendix B describe it.

use super::{AckReport, Controller, MAX_WINDOW};
use crate::time::Instant;

/// Halves the window at congestion, and enlarges it by a datagram a round trip.
#[derive(Debug, Clone)]
pub struct NewReno {
    window: u64,
    /// Below, the window doubles each round trip.
    slow_start_threshold: u64,
    /// Acknowledged bytes that have not enlarged the window yet.
    credit: u64,
    datagram_size: u16,
}

impl NewReno {
    /// Begins in slow start.
    pub fn new(datagram_size: u16, initial: u64) -> Self {
        Self { window: initial, slow_start_threshold: u64::MAX, credit: 0, datagram_size }
    }

    fn minimum(&self) -> u64 {
        2 * u64::from(self.datagram_size)
    }
}

impl Controller for NewReno {
    fn on_ack(&mut self, ack: &AckReport) {
        if ack.app_limited {
            return;
        }
        if self.window < self.slow_start_threshold {
            self.window = self.window.saturating_add(ack.bytes).min(MAX_WINDOW);
            return;
        }
        // One datagram for each window acknowledged, counted in whole windows (RFC 3465, Section 2.1).
        self.credit = self.credit.saturating_add(ack.bytes).min(MAX_WINDOW);
        while self.credit >= self.window && self.window < MAX_WINDOW {
            self.credit -= self.window;
            self.window = self.window.saturating_add(self.datagram_size.into()).min(MAX_WINDOW);
        }
    }

    fn on_congestion(&mut self, _now: Instant) {
        self.window = (self.window / 2).max(self.minimum());
        self.slow_start_threshold = self.window;
        self.credit = 0;
    }

    fn on_persistent(&mut self) {
        self.window = self.minimum();
        self.credit = 0;
    }

    fn on_datagram_size(&mut self, bytes: u16) {
        self.datagram_size = bytes;
        self.window = self.window.max(self.minimum());
    }

    fn window(&self) -> u64 {
        self.window
    }

    fn on_rest(&mut self, bytes: u64) {
        // RFC 2861, Section 3.1: slow start comes back to three quarters of what was.
        if self.slow_start_threshold < u64::MAX {
            self.slow_start_threshold = self.slow_start_threshold.max(self.window / 4 * 3);
        }
        self.window = self.window.min(bytes).max(self.minimum());
        self.credit = 0;
    }

    fn slow_start_threshold(&self) -> Option<u64> {
        Some(self.slow_start_threshold).filter(|threshold| *threshold < u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn ack(bytes: u64) -> AckReport {
        let (now, rtt) = (Instant::ZERO, Duration::from_millis(100));
        AckReport { now, bytes, rtt, app_limited: false, newest_sent: now, latest_rtt: rtt }
    }

    #[test]
    fn slow_start_doubles_a_window_that_is_acknowledged() {
        let mut reno = NewReno::new(1200, 12_000);
        reno.on_ack(&ack(12_000));
        assert_eq!(reno.window(), 24_000);
    }

    #[test]
    fn congestion_halves_and_then_a_round_trip_adds_one_datagram() {
        let mut reno = NewReno::new(1200, 24_000);
        reno.on_congestion(Instant::ZERO);
        assert_eq!(reno.window(), 12_000);
        (0..9).for_each(|_| reno.on_ack(&ack(1200)));
        assert_eq!(reno.window(), 12_000);
        reno.on_ack(&ack(1200));
        assert_eq!(reno.window(), 13_200);
    }

    #[test]
    fn two_datagrams_are_always_left() {
        let mut reno = NewReno::new(1200, 3000);
        reno.on_congestion(Instant::ZERO);
        assert_eq!(reno.window(), 2400);
    }

    #[test]
    fn after_persistent_congestion_it_starts_slowly_up_to_half_of_what_it_was() {
        let mut reno = NewReno::new(1200, 24_000);
        reno.on_congestion(Instant::ZERO);
        reno.on_persistent();
        reno.on_ack(&ack(2400));
        assert_eq!(reno.window(), 4800);
        reno.on_ack(&ack(7200));
        reno.on_ack(&ack(1200));
        assert_eq!(reno.window(), 12_000);
    }

    #[test]
    fn avoidance_ends_at_the_largest_window() {
        let mut reno = NewReno { slow_start_threshold: 0, ..NewReno::new(1200, MAX_WINDOW - 1) };
        reno.on_ack(&ack(MAX_WINDOW));
        assert_eq!(reno.window(), MAX_WINDOW);
    }

    proptest! {
        #[test]
        fn the_window_stays_within_its_bounds(
            events in prop::collection::vec((0u8..8, any::<u64>()), 0..50),
            size in 1200u16..,
        ) {
            let mut reno = NewReno::new(size, 2 * u64::from(size));
            for (event, bytes) in events {
                match event {
                    0 => reno.on_congestion(Instant::ZERO),
                    3 => reno.on_rest(bytes),
                    1 => reno.on_persistent(),
                    _ => reno.on_ack(&AckReport { app_limited: event == 2, ..ack(bytes) }),
                }
                prop_assert!((2 * u64::from(size)..=MAX_WINDOW).contains(&reno.window()));
            }
        }
    }
}
