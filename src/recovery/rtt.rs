//! The round-trip time of one path (RFC 9002, Section 5).
//!
//! Owned by a path and fed with samples that [`Recovery`](super::Recovery) took. Everybody else looks at it
//! through a [`RttView`], a copy.

use std::time::Duration;

use crate::id::SpaceId;

/// Granularity of timers (RFC 9002, Section 6.1.2: kGranularity).
pub const GRANULARITY: Duration = Duration::from_millis(1);

/// Estimator of a path's round-trip time. All times are in nanoseconds, saturated.
#[derive(Debug, Clone)]
pub struct Rtt {
    smoothed: u64,
    variance: u64,
    /// What was assumed at first, before there is a sample.
    min: u64,
    latest: u64,
    has_sample: bool,
}

const _: () = assert!(size_of::<Rtt>() <= 40);

/// A path's round-trip time as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RttView {
    /// Weighted average, or the assumed value before the first sample.
    pub smoothed: Duration,
    /// Mean variation.
    pub variance: Duration,
    /// The smallest sample.
    pub min: Duration,
    /// The last sample.
    pub latest: Duration,
    /// How long the peer may delay the acknowledgement of a 1-RTT packet.
    pub max_ack_delay: Duration,
    /// Whether anything was measured.
    pub has_sample: bool,
}

impl Rtt {
    /// Assumes `initial` until a round trip is measured (RFC 9002, Section 6.2.2).
    pub fn new(initial: Duration) -> Self {
        let initial = nanos(initial);
        Self { smoothed: initial, variance: initial / 2, min: initial, latest: initial, has_sample: false }
    }

    /// Takes a measured round trip in, of which the peer says that it waited `ack_delay`.
    ///
    /// The caller limits `ack_delay` to the peer's max_ack_delay once the handshake is confirmed (Section
    /// 5.3).
    pub fn on_sample(&mut self, sample: Duration, ack_delay: Duration, handshake_confirmed: bool) {
        let (sample, ack_delay) = (nanos(sample), nanos(ack_delay));
        if !self.has_sample {
            self.has_sample = true;
            self.min = sample;
            self.latest = sample;
            self.smoothed = sample;
            self.variance = sample / 2;
            return;
        }
        self.min = self.min.min(sample);
        let plausible = sample >= self.min.saturating_add(ack_delay);
        if !plausible && !handshake_confirmed {
            // Section 5.3 lets us ignore such a sample: during the handshake a delay can be anything.
            return;
        }
        self.latest = sample;
        let adjusted = if plausible { sample - ack_delay } else { sample };
        self.variance = weigh(self.variance, 3, self.smoothed.abs_diff(adjusted));
        self.smoothed = weigh(self.smoothed, 7, adjusted);
    }

    /// Assumes a round trip that was measured elsewhere: on the path that a server left, or by a
    /// PATH_CHALLENGE.
    ///
    /// Not a sample: it shapes the first probe timeouts, and a first real sample replaces it wholly.
    pub fn seed_hint(&mut self, smoothed: Duration, variance: Duration) {
        if !self.has_sample {
            (self.smoothed, self.variance) = (nanos(smoothed), nanos(variance));
        }
    }

    /// Goes back from a hint to the initial assumption, once the hint did not serve; a sample stays.
    pub fn forget_hint(&mut self) {
        if !self.has_sample {
            *self = Self::new(Duration::from_nanos(self.min));
        }
    }

    /// Lets the minimum begin again after persistent congestion (RFC 9002, Section 5.2).
    pub fn on_persistent_congestion(&mut self) {
        self.min = self.latest;
    }

    /// The estimate as it stands.
    #[inline]
    pub fn view(&self, max_ack_delay: Duration) -> RttView {
        let Self { smoothed, variance, min, latest, has_sample } = *self;
        let [smoothed, variance, min, latest] = [smoothed, variance, min, latest].map(Duration::from_nanos);
        RttView { smoothed, variance, min, latest, max_ack_delay, has_sample }
    }
}

/// A duration in nanoseconds, at most `u64::MAX`: five centuries.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Weighs an average with `weight` parts of what it was and one part of what came.
fn weigh(average: u64, weight: u64, sample: u64) -> u64 {
    average.saturating_mul(weight).saturating_add(sample) / (weight + 1)
}

impl RttView {
    /// The probe timeout without back-off; the peer delays no acknowledgement outside the Data space
    /// (RFC 9002, Section 6.2.1).
    #[inline]
    pub fn pto_base(self, space: SpaceId) -> Duration {
        let round = self.smoothed.saturating_add(self.variance.saturating_mul(4).max(GRANULARITY));
        match space {
            SpaceId::Initial | SpaceId::Handshake => round,
            SpaceId::Data => round.saturating_add(self.max_ack_delay),
        }
    }

    /// How long after it was sent a packet is lost, if a later one arrived (RFC 9002, Section 6.1.2).
    #[inline]
    pub fn loss_delay(self) -> Duration {
        let longest = self.smoothed.max(self.latest);
        longest.saturating_add(longest / 8).max(GRANULARITY)
    }

    /// How long everything must be lost to be persistent congestion (RFC 9002, Section 7.6.1).
    pub fn persistent_duration(self) -> Duration {
        self.pto_base(SpaceId::Data).saturating_mul(3)
    }

    /// The view for judging losses by the ACK that brought `sample`, which the estimator has yet to take in.
    pub(super) fn with_sample(self, sample: Duration) -> Self {
        if self.has_sample {
            Self { latest: sample, ..self }
        } else {
            Self {
                smoothed: sample,
                variance: sample / 2,
                latest: sample,
                min: sample,
                has_sample: true,
                ..self
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn sampled(samples: &[(u64, u64)]) -> RttView {
        let mut rtt = Rtt::new(ms(333));
        samples.iter().for_each(|(sample, delay)| rtt.on_sample(ms(*sample), ms(*delay), true));
        rtt.view(ms(25))
    }

    #[test]
    fn before_any_sample_the_handshake_waits_a_second() {
        let view = Rtt::new(ms(333)).view(ms(25));
        assert_eq!(view.pto_base(SpaceId::Initial), ms(999));
        assert_eq!(view.pto_base(SpaceId::Data), ms(1024));
    }

    #[test]
    fn the_first_sample_replaces_what_was_assumed() {
        let view = sampled(&[(80, 20)]);
        assert_eq!((view.smoothed, view.variance, view.min, view.latest), (ms(80), ms(40), ms(80), ms(80)));
    }

    #[test]
    fn later_samples_are_averaged_without_the_peers_delay() {
        let view = sampled(&[(80, 0), (120, 24)]);
        // 96 after the delay: 7/8 * 80 + 1/8 * 96, and 3/4 * 40 + 1/4 * 16.
        assert_eq!((view.smoothed, view.variance, view.latest), (ms(82), ms(34), ms(120)));
    }

    #[test]
    fn a_delay_that_would_undercut_the_minimum_is_not_believed() {
        let view = sampled(&[(80, 0), (88, 20)]);
        assert_eq!(view.smoothed, ms(81));
    }

    #[test]
    fn an_implausible_delay_before_confirmation_discards_the_sample() {
        let mut rtt = Rtt::new(ms(333));
        rtt.on_sample(ms(80), ms(0), false);
        rtt.on_sample(ms(200), ms(190), false);
        assert_eq!(rtt.view(ms(25)).smoothed, ms(80));
    }

    #[test]
    fn a_hint_serves_until_the_first_sample_and_leaves_no_trace() {
        let mut rtt = Rtt::new(ms(333));
        rtt.seed_hint(ms(122), ms(10));
        assert_eq!(rtt.view(ms(25)).pto_base(SpaceId::Data), ms(187));
        rtt.on_sample(ms(18), ms(0), true);
        let view = rtt.view(ms(25));
        assert_eq!((view.smoothed, view.variance, view.min), (ms(18), ms(9), ms(18)));
        rtt.seed_hint(ms(500), ms(1));
        assert_eq!(rtt.view(ms(25)).smoothed, ms(18));
    }

    #[test]
    fn a_hint_that_failed_is_forgotten() {
        let mut rtt = Rtt::new(ms(333));
        rtt.seed_hint(ms(12), ms(1));
        rtt.forget_hint();
        assert_eq!(rtt.view(ms(25)).smoothed, ms(333));
    }

    #[test]
    fn a_packet_is_lost_nine_eighths_of_the_longer_round_trip_after_it_was_sent() {
        assert_eq!(sampled(&[(80, 0)]).loss_delay(), ms(90));
        assert_eq!(sampled(&[(80, 0), (160, 0)]).loss_delay(), ms(180));
        assert_eq!(sampled(&[(0, 0)]).loss_delay(), GRANULARITY);
    }

    #[test]
    fn extreme_samples_saturate() {
        let mut rtt = Rtt::new(Duration::MAX);
        rtt.on_sample(Duration::MAX, Duration::MAX, true);
        rtt.on_sample(Duration::MAX, Duration::MAX, true);
        let view = rtt.view(Duration::MAX);
        assert_eq!(view.pto_base(SpaceId::Data), Duration::MAX);
        assert_eq!(view.persistent_duration(), Duration::MAX);
    }
}
