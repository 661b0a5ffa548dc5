//! A limit on packets that bring nothing: a peer may waste some of our time, not all of it (RFC 9000, Section 21.9).

use std::time::Duration;

use crate::error::TransportError;
use crate::time::{Instant, micros};

/// Useless packets in a row that are borne.
const BURST: u64 = 10_000;
/// How long it takes to forgive one.
const FORGIVEN_AFTER: Duration = Duration::from_millis(3);

/// How much patience is left.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Glitches {
    borne: u64,
    since: Instant,
}

impl Glitches {
    /// A packet brought nothing: no data, no acknowledgement of anything new, nothing to act on.
    ///
    /// # Errors
    ///
    /// PROTOCOL_VIOLATION when there were more than ten thousand beyond 333 a second.
    pub fn bear(&mut self, now: Instant) -> Result<(), TransportError> {
        let forgiven = micros(now.since(self.since)) / micros(FORGIVEN_AFTER);
        if forgiven > 0 {
            self.borne = self.borne.saturating_sub(forgiven);
            self.since = now;
        }
        self.borne += 1;
        if self.borne > BURST {
            return Err(TransportError::protocol_violation("too many packets that bring nothing"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_useless_packets_is_not_borne_for_ever() {
        let mut glitches = Glitches::default();
        let borne = (0..20_000).take_while(|_| glitches.bear(Instant::ZERO).is_ok()).count();
        assert_eq!(borne, 10_000);
    }

    #[test]
    fn three_hundred_a_second_are_borne_for_an_hour() {
        let mut glitches = Glitches::default();
        for number in 0..300 * 3600 {
            assert_eq!(glitches.bear(Instant::from_micros(number * 1_000_000 / 300)), Ok(()));
        }
    }
}
