//! CUBIC (RFC 9438): the window grows with the cube of the time since the last congestion event.
//!
//! Sizes are bytes where the RFC counts segments, so C is scaled by the datagram size. The window is a float
//! within [0, 2^40]: growth by fractions of a byte adds up, and no operation here leaves that range or makes
//! a NaN.

use std::time::Duration;

use super::hystart::{CSS_GROWTH_DIVISOR, Growth, HyStart};
use super::{AckReport, Controller, MAX_WINDOW};
use crate::time::Instant;

/// Multiplicative decrease (RFC 9438, Section 4.6).
const BETA: f64 = 0.7;
/// Aggressiveness, in segments per second cubed (RFC 9438, Section 5.1).
const C: f64 = 0.4;
/// Additive increase that is fair to Reno with this decrease (RFC 9438, Section 4.3).
const ALPHA: f64 = 3.0 * (1.0 - BETA) / (1.0 + BETA);

/// The state of Section 4.1.2.
#[derive(Debug, Clone)]
pub struct Cubic {
    window: f64,
    /// Up to here, the window doubles each round trip.
    slow_start_threshold: f64,
    /// `None` until a window that was used is acknowledged.
    past: Option<Box<Past>>,
    datagram_size: u16,
}

/// What the window has been through.
#[derive(Debug, Clone)]
enum Past {
    /// Nothing yet but the first slow start.
    Start(HyStart),
    /// Congestion, or slow start that ended without.
    Avoidance(Avoidance),
}

/// What congestion left behind.
#[derive(Debug, Clone, Default)]
struct Avoidance {
    /// W_max: where the curve is flat.
    plateau: f64,
    /// cwnd_prior: the window before the last reduction.
    prior: f64,
    /// The present stage of congestion avoidance, from its first acknowledgement on.
    stage: Option<Stage>,
}

/// A stage of congestion avoidance.
#[derive(Debug, Clone, Copy)]
struct Stage {
    /// t_epoch, moved forward by the time in which the window could not grow.
    start: Instant,
    /// K: when the curve reaches the plateau, in seconds since `start`.
    flat_at: f64,
    /// W_est: what Reno would have.
    reno: f64,
    /// The last acknowledgement.
    last: Instant,
    /// Whether the application was the limit then.
    was_limited: bool,
}

impl Cubic {
    /// Begins in slow start.
    pub fn new(datagram_size: u16, initial: u64) -> Self {
        Self { window: initial as f64, slow_start_threshold: f64::INFINITY, past: None, datagram_size }
    }

    fn minimum(&self) -> f64 {
        2.0 * f64::from(self.datagram_size)
    }

    fn start(&mut self, ack: &AckReport) {
        let past = self.past.get_or_insert_with(|| Box::new(Past::Start(HyStart::default())));
        let growth = match &mut **past {
            Past::Start(start) => start.on_ack(ack.now, ack.newest_sent, ack.latest_rtt),
            Past::Avoidance(_) => Growth::Full, // RFC 9406, Section 4.3: it guards the first slow start only
        };
        let bytes = ack.bytes as f64;
        match growth {
            Growth::Full => self.window = (self.window + bytes).min(MAX_WINDOW as f64),
            Growth::Conservative => {
                self.window = (self.window + bytes / CSS_GROWTH_DIVISOR).min(MAX_WINDOW as f64);
            }
            Growth::Over => self.slow_start_threshold = self.window,
        }
    }
}

impl Past {
    /// The past as congestion avoidance sees it: what slow start noticed is forgotten.
    fn avoidance(past: &mut Option<Box<Self>>) -> &mut Avoidance {
        let past = past.get_or_insert_with(|| Box::new(Self::Avoidance(Avoidance::default())));
        if let Self::Start(_) = **past {
            **past = Self::Avoidance(Avoidance::default());
        }
        match &mut **past {
            Self::Avoidance(avoidance) => avoidance,
            Self::Start(_) => unreachable!("slow start was forgotten above"),
        }
    }
}

impl Avoidance {
    /// Begins a stage at the present window, which lies below the plateau or is it.
    fn begin(&mut self, now: Instant, window: f64, datagram_size: f64) -> Stage {
        self.plateau = self.plateau.max(window);
        let flat_at = ((self.plateau - window) / datagram_size / C).cbrt();
        Stage { start: now, flat_at, reno: window, last: now, was_limited: false }
    }

    /// What the window is after an acknowledgement (RFC 9438, Sections 4.2 to 4.5).
    fn on_ack(&mut self, ack: &AckReport, window: f64, datagram_size: f64) -> f64 {
        let mut stage = self.stage.unwrap_or_else(|| self.begin(ack.now, window, datagram_size));
        // Section 4.2: time in which the window is not used does not count. Without an ACK for two round
        // trips it was not, whoever says what.
        let pause = ack.now.since(stage.last);
        if stage.was_limited || pause > ack.rtt.saturating_mul(2) {
            stage.start += pause;
        }
        (stage.last, stage.was_limited) = (ack.now, ack.app_limited);
        let grown = if ack.app_limited { window } else { self.grow(&mut stage, ack, window, datagram_size) };
        self.stage = Some(stage);
        grown
    }

    /// W_cubic after so many seconds (RFC 9438, Figure 1).
    fn curve(&self, stage: &Stage, seconds: f64, datagram_size: f64) -> f64 {
        C * (seconds - stage.flat_at).powi(3) * datagram_size + self.plateau
    }

    fn grow(&self, stage: &mut Stage, ack: &AckReport, window: f64, datagram_size: f64) -> f64 {
        let acked_share = (ack.bytes as f64 / window).min(1.0);
        let alpha = if stage.reno >= self.prior { 1.0 } else { ALPHA };
        stage.reno += alpha * acked_share * datagram_size;
        let elapsed = ack.now.since(stage.start);
        let grown = if self.curve(stage, elapsed.as_secs_f64(), datagram_size) < stage.reno {
            window.max(stage.reno)
        } else {
            let ahead = self.curve(stage, seconds(elapsed, ack.rtt), datagram_size);
            let target = ahead.clamp(window, 1.5 * window);
            window + (target - window) * acked_share
        };
        grown.min(MAX_WINDOW as f64)
    }
}

/// The sum of two durations, in seconds.
fn seconds(elapsed: Duration, rtt: Duration) -> f64 {
    elapsed.saturating_add(rtt).as_secs_f64()
}

impl Controller for Cubic {
    fn on_ack(&mut self, ack: &AckReport) {
        if self.window >= self.slow_start_threshold {
            let avoidance = Past::avoidance(&mut self.past);
            self.window = avoidance.on_ack(ack, self.window, self.datagram_size.into());
        } else if !ack.app_limited {
            self.start(ack);
        }
    }

    fn on_congestion(&mut self, _now: Instant) {
        let avoidance = Past::avoidance(&mut self.past);
        // Section 4.7: a plateau lower than the last means that someone else came; leave room.
        let shrinks = self.window < avoidance.plateau;
        let plateau = if shrinks { self.window * (1.0 + BETA) / 2.0 } else { self.window };
        *avoidance = Avoidance { plateau, prior: self.window, stage: None };
        self.window = (self.window * BETA).max(self.minimum());
        self.slow_start_threshold = self.window;
    }

    fn on_persistent(&mut self) {
        self.window = self.minimum();
        // Section 4.8: the stage after slow start begins at its own plateau.
        let avoidance = Past::avoidance(&mut self.past);
        (avoidance.plateau, avoidance.stage) = (0.0, None);
    }

    fn on_datagram_size(&mut self, bytes: u16) {
        self.datagram_size = bytes;
        self.window = self.window.max(self.minimum());
    }

    fn window(&self) -> u64 {
        self.window as u64 // saturates
    }

    fn on_rest(&mut self, bytes: u64) {
        // RFC 2861, Section 3.1: slow start comes back to three quarters of what was.
        if self.slow_start_threshold.is_finite() {
            self.slow_start_threshold = self.slow_start_threshold.max(self.window * 0.75);
        }
        self.window = self.window.min(bytes as f64).max(self.minimum());
        if let Some(Past::Avoidance(avoidance)) = self.past.as_deref_mut() {
            // The next stage begins where slow start ends.
            avoidance.stage = None;
        }
    }

    fn slow_start_threshold(&self) -> Option<u64> {
        self.slow_start_threshold.is_finite().then_some(self.slow_start_threshold as u64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIZE: u16 = 1000;

    fn ack(millis: u64, bytes: u64) -> AckReport {
        let now = Instant::from_millis(millis);
        let rtt = Duration::from_millis(100);
        AckReport { now, bytes, rtt, app_limited: false, newest_sent: Instant::ZERO, latest_rtt: rtt }
    }

    fn avoidance(cubic: &mut Cubic) -> &mut Avoidance {
        Past::avoidance(&mut cubic.past)
    }

    /// Reduced from 1000 segments to 700: K is the cube root of 300 / 0.4, about 9.0856 s.
    fn reduced() -> Cubic {
        let mut cubic = Cubic::new(SIZE, 1_000_000);
        cubic.on_congestion(Instant::ZERO);
        cubic
    }

    /// Acknowledges a whole window every 100 ms, ten times a round trip, from one time to another.
    fn run(cubic: &mut Cubic, millis: std::ops::RangeInclusive<u64>) {
        for now in millis.step_by(10) {
            let bytes = cubic.window() / 10;
            cubic.on_ack(&ack(now, bytes));
        }
    }

    fn segments(cubic: &Cubic) -> f64 {
        cubic.window / f64::from(SIZE)
    }

    #[test]
    fn congestion_leaves_seven_tenths() {
        let mut cubic = reduced();
        assert_eq!((cubic.window(), avoidance(&mut cubic).plateau), (700_000, 1_000_000.0));
    }

    #[test]
    fn slow_start_ends_without_loss_when_the_round_trip_has_grown() {
        let mut cubic = Cubic::new(SIZE, 10_000);
        let mut round = |n: u64, rtt| {
            for _ in 0..8 {
                let now = Instant::from_millis(100 * n + 50);
                let newest_sent = Instant::from_millis(100 * n);
                cubic.on_ack(&AckReport { now, newest_sent, latest_rtt: rtt, ..ack(0, 1000) });
            }
            (cubic.window(), cubic.slow_start_threshold.is_finite())
        };
        assert_eq!(round(0, Duration::from_millis(80)), (18_000, false));
        // The eighth sample tells; from it on, a quarter.
        assert_eq!(round(1, Duration::from_millis(100)), (25_250, false));
        assert_eq!(round(2, Duration::from_millis(100)), (27_250, false));
        (3..=5).for_each(|n| assert!(!round(n, Duration::from_millis(100)).1));
        let (window, is_over) = round(6, Duration::from_millis(100));
        assert!(is_over && window < 35_000, "{window}");
    }

    #[test]
    fn the_curve_passes_through_its_points() {
        let mut cubic = reduced();
        let avoidance = avoidance(&mut cubic);
        let stage = avoidance.begin(Instant::ZERO, 700_000.0, SIZE.into());
        assert!((stage.flat_at - 9.0856).abs() < 1e-4, "{}", stage.flat_at);
        // 0.4 * (t - K)^3 + 1000 segments, by hand for 0, 5, K and 10 + K seconds.
        for (time, size) in
            [(0.0, 700.0), (5.0, 972.7206), (stage.flat_at, 1000.0), (10.0 + stage.flat_at, 1400.0)]
        {
            let curve = avoidance.curve(&stage, time, SIZE.into()) / f64::from(SIZE);
            assert!((curve - size).abs() < 1e-3, "{time}: {curve}");
        }
    }

    #[test]
    fn the_window_follows_the_curve_to_the_plateau_and_beyond() {
        let mut cubic = reduced();
        run(&mut cubic, 0..=5000);
        assert!((segments(&cubic) - 972.7).abs() < 3.0, "{}", segments(&cubic));
        run(&mut cubic, 5010..=9080);
        assert!((segments(&cubic) - 1000.0).abs() < 1.0, "{}", segments(&cubic));
        run(&mut cubic, 9090..=14_080);
        // 5 s after the plateau: 0.4 * 125 = 50.
        assert!((segments(&cubic) - 1050.0).abs() < 3.0, "{}", segments(&cubic));
    }

    #[test]
    fn a_small_window_grows_like_reno() {
        // 20 segments to 14: the curve needs 2.47 s to come back, Reno grows by 0.53 segments each of 24
        // round trips.
        let mut cubic = Cubic::new(SIZE, 20_000);
        cubic.on_congestion(Instant::ZERO);
        (0..10).for_each(|n| {
            cubic.on_ack(&AckReport { rtt: Duration::from_millis(1), ..ack(n, cubic.window()) })
        });
        let reno = 14.0 + 10.0 * ALPHA;
        assert!((segments(&cubic) - reno).abs() < 0.1, "{} {reno}", segments(&cubic));
        // Past the window it had, it grows by one segment a round trip.
        (10..40).for_each(|n| {
            cubic.on_ack(&AckReport { rtt: Duration::from_millis(1), ..ack(n, cubic.window()) })
        });
        assert!((segments(&cubic) - (20.0 + 28.0)).abs() < 1.0, "{}", segments(&cubic));
    }

    #[test]
    fn growth_is_at_most_half_a_window_a_round_trip() {
        let mut cubic = reduced();
        cubic.on_ack(&ack(0, 1));
        let stage = avoidance(&mut cubic).stage.as_mut().expect("congestion avoidance began");
        stage.last = Instant::from_millis(3_600_000);
        let before = cubic.window();
        cubic.on_ack(&ack(3_600_001, before));
        assert!(cubic.window() <= before + before / 2);
    }

    #[test]
    fn a_second_congestion_below_the_plateau_lowers_it_further() {
        let mut cubic = reduced();
        cubic.on_congestion(Instant::ZERO);
        // 700 segments times (1 + 0.7) / 2.
        assert!((avoidance(&mut cubic).plateau - 595_000.0).abs() < 1e-6);
        assert!((cubic.window - 490_000.0).abs() < 1e-6);
    }

    #[test]
    fn idle_time_does_not_count() {
        let (mut busy, mut idle) = (reduced(), reduced());
        run(&mut busy, 0..=2000);
        run(&mut idle, 0..=2000);
        run(&mut busy, 2010..=3000);
        run(&mut idle, 602_010..=603_000);
        assert!((segments(&busy) - segments(&idle)).abs() < 2.0, "{} {}", segments(&busy), segments(&idle));
    }

    #[test]
    fn time_in_which_the_application_is_the_limit_does_not_count() {
        let (mut busy, mut limited) = (reduced(), reduced());
        run(&mut busy, 0..=2000);
        run(&mut limited, 0..=2000);
        for now in (2010..=8000).step_by(10) {
            limited.on_ack(&AckReport { app_limited: true, ..ack(now, 1000) });
        }
        assert_eq!(limited.window(), busy.window());
        run(&mut busy, 2010..=3000);
        run(&mut limited, 8010..=9000);
        assert!(
            (segments(&busy) - segments(&limited)).abs() < 2.0,
            "{} {}",
            segments(&busy),
            segments(&limited)
        );
    }

    #[test]
    fn after_persistent_congestion_the_next_stage_begins_at_its_plateau() {
        let mut cubic = reduced();
        cubic.on_persistent();
        assert_eq!(cubic.window(), 2000);
        for now in 0..20 {
            cubic.on_ack(&ack(now, cubic.window()));
        }
        let stage = avoidance(&mut cubic).stage.expect("slow start ended");
        assert_eq!(stage.flat_at, 0.0);
        assert!(cubic.window() >= 700_000);
    }

    proptest! {
        #[test]
        fn the_window_stays_within_its_bounds(
            events in prop::collection::vec((0u8..8, any::<u64>(), any::<u64>(), any::<u64>()), 0..100),
            size in 1200u16..,
        ) {
            let mut cubic = Cubic::new(size, 2 * u64::from(size));
            for (event, now, bytes, rtt) in events {
                match event {
                    0 => cubic.on_congestion(Instant::from_micros(now)),
                    3 => cubic.on_rest(bytes),
                    1 => cubic.on_persistent(),
                    _ => cubic.on_ack(&AckReport {
                        now: Instant::from_micros(now),
                        bytes,
                        rtt: Duration::from_micros(rtt),
                        app_limited: event == 2,
                        newest_sent: Instant::from_micros(now / 2),
                        latest_rtt: Duration::from_micros(rtt),
                    }),
                }
                prop_assert!(cubic.window.is_finite());
                prop_assert!((2 * u64::from(size)..=MAX_WINDOW).contains(&cubic.window()));
            }
        }
    }
}
