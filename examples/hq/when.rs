//! When something is to happen: after a time, or after an amount.

use std::time::Duration;

use peregrine::Instant;

use crate::sizes;

/// A moment that is not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// So long after it all began.
    After(Duration),
    /// Once so many bytes have passed.
    Bytes(u64),
}

impl When {
    /// Reads `2s`, `500ms`, or an amount as in `1M`.
    ///
    /// # Errors
    ///
    /// A sentence that says what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let time =
            |number: &str, unit: Duration| number.parse().ok().and_then(|number| unit.checked_mul(number));
        let time = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
            (Some(number), _) => time(number, Duration::from_millis(1)),
            (None, Some(number)) => time(number, Duration::from_secs(1)),
            (None, None) => return sizes::parse(text).map(Self::Bytes),
        };
        time.map(Self::After)
            .ok_or_else(|| format!("{text} is no time; use 2s or 500ms, or an amount as in 1M"))
    }

    /// Whether it has come, for what began then (`None`: not yet) and has passed so many bytes.
    pub fn is_due(self, now: Instant, since: Option<Instant>, bytes: u64) -> bool {
        match self {
            Self::After(_) => self.deadline(since).is_some_and(|at| at <= now),
            Self::Bytes(amount) => bytes >= amount,
        }
    }

    /// At what time, if that can be said.
    pub fn deadline(self, since: Option<Instant>) -> Option<Instant> {
        match self {
            Self::After(time) => since.map(|since| since + time),
            Self::Bytes(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_an_amount() {
        assert_eq!(When::parse("2s"), Ok(When::After(Duration::from_secs(2))));
        assert_eq!(When::parse("50ms"), Ok(When::After(Duration::from_millis(50))));
        assert_eq!(When::parse("1M"), Ok(When::Bytes(1 << 20)));
        for text in ["", "s", "-1s", "1.5s", "99999999999s", "soon"] {
            assert!(When::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn it_comes_when_it_was_said_to() {
        let (at, begun) = (Instant::from_millis, Some(Instant::from_millis(1000)));
        let when = When::After(Duration::from_millis(500));
        assert!(!when.is_due(at(9999), None, 0) && !when.is_due(at(1499), begun, 0));
        assert!(when.is_due(at(1500), begun, 0));
        assert_eq!((when.deadline(begun), When::Bytes(5).deadline(begun)), (Some(at(1500)), None));
        assert!(!When::Bytes(5).is_due(at(9999), begun, 4) && When::Bytes(5).is_due(at(0), None, 5));
    }
}
