//! Spreading the announcements of a large endpoint over time (server-migration rules, 4.6).

use std::time::Duration;

use crate::time::Instant;

const MICROS_PER_SECOND: u64 = 1_000_000;

/// When each connection of a large endpoint announces itself after the move.
///
/// A hundredth of a second's worth goes at once, the rest evenly spaced behind it. Each time is computed from
/// the first, so that rounding does not add up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spread {
    start: Instant,
    per_second: u64,
    given: u64,
}

impl Spread {
    /// Slots from `now` on, `per_second` in a second; zero is treated as 1.
    pub fn new(now: Instant, per_second: u32) -> Self {
        Self { start: now, per_second: per_second.max(1).into(), given: 0 }
    }

    /// The time of the next connection's announcement, never earlier than the one before.
    pub fn next_slot(&mut self) -> Instant {
        let burst = (self.per_second / 100).max(1);
        self.given = self.given.saturating_add(1);
        let behind = self.given.saturating_sub(burst);
        let after = behind.saturating_mul(MICROS_PER_SECOND).div_ceil(self.per_second);
        self.start + Duration::from_micros(after)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slots(start: u64, per_second: u32, count: usize) -> Vec<u64> {
        let mut spread = Spread::new(Instant::from_micros(start), per_second);
        (0..count).map(|_| spread.next_slot().as_micros()).collect()
    }

    #[test]
    fn a_hundredth_of_a_second_goes_at_once_and_the_rest_follows_evenly() {
        assert_eq!(slots(5_000, 400, 7), [5_000, 5_000, 5_000, 5_000, 7_500, 10_000, 12_500]);
    }

    #[test]
    fn a_slow_rate_has_no_burst() {
        assert_eq!(slots(0, 1, 4), [0, 1_000_000, 2_000_000, 3_000_000]);
    }

    #[test]
    fn a_rate_of_zero_is_one() {
        assert_eq!(slots(9, 0, 3), slots(9, 1, 3));
    }

    #[test]
    fn twenty_thousand_connections_take_a_second_less_the_burst() {
        let slots = slots(0, 20_000, 20_000);
        assert_eq!((slots[199], slots[200], slots[19_999]), (0, 50, 990_000));
    }

    #[test]
    fn rounding_does_not_add_up() {
        // A third of a second is no whole number of microseconds; three of them are a second all the same.
        assert_eq!(slots(0, 3, 7), [0, 333_334, 666_667, 1_000_000, 1_333_334, 1_666_667, 2_000_000]);
    }

    #[test]
    fn the_fastest_rate_and_the_end_of_time_do_not_overflow() {
        let mut spread = Spread { start: Instant::FAR, per_second: 1, given: u64::MAX };
        assert_eq!(spread.next_slot(), Instant::FAR);
        assert_eq!(slots(0, u32::MAX, 1), [0]);
    }

    proptest! {
        /// Between any two slots lie no more announcements than a burst and what the time permits.
        #[test]
        fn no_stretch_of_time_holds_more_than_the_rate_and_one_burst(
            per_second in 1..200_000u32, from in 0..500usize, len in 1..500usize,
        ) {
            let slots = slots(0, per_second, from + len);
            prop_assert!(slots.is_sorted());
            let passed = slots[from + len - 1] - slots[from];
            let burst = u64::from(per_second / 100).max(1);
            let permitted = burst + passed * u64::from(per_second) / MICROS_PER_SECOND;
            prop_assert!(len as u64 <= permitted + 1, "{len} in {passed} us, {permitted} permitted");
        }

        #[test]
        fn a_second_later_the_pattern_is_the_same(per_second in 1..2_000u32, slot in 0..2_000usize) {
            let burst = (per_second as usize / 100).max(1);
            let slots = slots(0, per_second, burst + slot + per_second as usize + 1);
            let (this, next) = (slots[burst + slot], slots[burst + slot + per_second as usize]);
            prop_assert_eq!(next - this, MICROS_PER_SECOND);
        }
    }
}
