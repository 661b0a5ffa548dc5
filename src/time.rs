//! Time as the embedder tells it: microseconds since an epoch of its choice.
//!
//! Peregrine never reads a clock. A driver picks an epoch, usually the moment it starts, and hands in the time with
//! every call. A server that was frozen and thawed on another host must go on with *its* time: the host's monotonic
//! clock may have jumped by minutes, and fed in raw it would fire every timer, the idle timer first. Because the
//! epoch belongs to the driver, continuing from where it froze is the natural thing to write.

use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// A point in time, in microseconds since the driver's epoch.
///
/// Arithmetic saturates: there is no time before the epoch and none after [`Instant::FAR`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

impl Instant {
    /// The driver's epoch.
    pub const ZERO: Self = Self(0);
    /// A time that never comes.
    pub const FAR: Self = Self(u64::MAX);

    /// The instant `micros` microseconds after the epoch.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// The instant `millis` milliseconds after the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1000))
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to `self`, zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// A duration in whole microseconds, at most `u64::MAX`.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros(duration)))
    }
}

/// The earlier of two deadlines, where `None` is a deadline that never comes.
pub(crate) fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        assert_eq!(Instant::ZERO - Duration::from_secs(1), Instant::ZERO);
        assert_eq!(Instant::FAR + Duration::MAX, Instant::FAR);
        assert_eq!(Instant::ZERO.since(Instant::FAR), Duration::ZERO);
    }

    #[test]
    fn the_earliest_of_no_deadline_and_one_is_the_one() {
        assert_eq!(earliest(None, Some(Instant::from_millis(3))), Some(Instant::from_millis(3)));
        assert_eq!(earliest(None, None), None);
    }
}
