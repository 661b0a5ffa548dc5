//! Packet numbers that are left out on purpose, ever more rarely (RFC 9000, Section 21.4).
//!
//! A peer that acknowledges packets before they arrive, to make us send faster, acknowledges one of these in the end;
//! recovery takes that for the violation it is.

use crate::id::PacketNumber;
use crate::rng::Rng;

/// The first number is left out among this many.
const FIRST_PERIOD: u32 = 256;
/// The longest period.
const LAST_PERIOD: u32 = 1 << 16;

/// When the next number is left out.
#[derive(Debug, PartialEq, Eq)]
pub struct Lures {
    period: u32,
    /// 0 until the first one is chosen.
    next: PacketNumber,
}

impl Default for Lures {
    fn default() -> Self {
        Self { period: FIRST_PERIOD, next: 0 }
    }
}

impl Lures {
    /// Whether `number` is to be left out, or the first one is to be chosen.
    #[inline]
    pub fn is_due(&self, number: PacketNumber) -> bool {
        number >= self.next
    }

    /// Chooses the next one behind `number`; periods double.
    pub fn set_next(&mut self, number: PacketNumber, rng: &mut dyn Rng) {
        self.next = number + 1 + u64::from(rng.below(self.period));
        self.period = (self.period * 2).min(LAST_PERIOD);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::SeededRng;

    #[test]
    fn numbers_are_left_out_ever_more_rarely() {
        let mut rng = SeededRng::new(5);
        let mut lures = Lures::default();
        let mut left_out = 0;
        for number in 0..1_000_000 {
            if lures.is_due(number) {
                lures.set_next(number, &mut rng);
                left_out += 1;
            }
        }
        assert!((20..80).contains(&left_out), "{left_out} of a million");
    }
}
