//! The value of the transport parameter `server_migration_suite`: one variable-length integer, a bit set
//! (reference, Section 1.6).
//!
//! A suite keeps every bit it was sent, unknown ones too, because the two sides judge them differently: a
//! server ignores those of an offer, a client refuses those of an answer.

use std::fmt;

use super::{Strategy, StrategySet};
use crate::codec::Reader;
use crate::error::TransportError;

/// Bits as they stand on the wire; below 2^62.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Suite(u64);

impl Suite {
    /// Reads the parameter's value. Any of the four encodings of the integer is accepted, as the reference
    /// does.
    ///
    /// # Errors
    ///
    /// TRANSPORT_PARAMETER_ERROR if the value is empty or truncated, or something follows the integer.
    pub fn decode(value: &[u8]) -> Result<Self, TransportError> {
        const MALFORMED: TransportError =
            TransportError::transport_parameter("server_migration_suite is not one integer");
        let mut reader = Reader::new(value);
        let bits = reader.varint().map_err(|_| MALFORMED)?;
        if reader.is_empty() { Ok(Self(bits)) } else { Err(MALFORMED) }
    }

    /// The integer to write.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Whether no bit is set, known or unknown.
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The strategies it names; unknown bits are left out.
    pub fn known(self) -> StrategySet {
        Strategy::ALL.into_iter().filter(|s| self.0 & u64::from(s.bit()) != 0).collect()
    }

    /// Whether a bit is set that names no strategy.
    pub fn has_unknown(self) -> bool {
        self.0 & !u64::from(StrategySet::ALL.0) != 0
    }
}

impl From<StrategySet> for Suite {
    fn from(set: StrategySet) -> Self {
        Self(set.0.into())
    }
}

impl fmt::Debug for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Suite({:#x})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::Code;
    use crate::negotiation::Strategy;

    #[test]
    fn each_strategy_has_its_bit() {
        let bits = Strategy::ALL.map(|s| Suite::from(StrategySet::from(s)).bits());
        assert_eq!(bits, [1, 2, 4, 8]);
        assert_eq!(Suite::from(StrategySet::ALL).bits(), 15);
    }

    #[test]
    fn an_empty_or_truncated_value_is_an_error() {
        for value in [&[][..], &[0x40], &[0x80, 0, 0], &[0xc0, 0, 0, 0, 0, 0, 1]] {
            assert_eq!(Suite::decode(value).map_err(|e| e.code), Err(Code::TRANSPORT_PARAMETER_ERROR));
        }
    }

    #[test]
    fn bytes_after_the_integer_are_an_error() {
        assert_eq!(Suite::decode(&[0x01, 0x01]).map_err(|e| e.code), Err(Code::TRANSPORT_PARAMETER_ERROR));
    }

    #[test]
    fn a_longer_encoding_of_the_same_integer_is_accepted() {
        for value in [&[0x05][..], &[0x40, 0x05], &[0x80, 0, 0, 5], &[0xc0, 0, 0, 0, 0, 0, 0, 5]] {
            assert_eq!(Suite::decode(value), Ok(Suite(5)));
        }
    }

    #[test]
    fn unknown_bits_are_kept_apart_from_known_ones() {
        let suite = Suite::decode(&[0x3f]).expect("one integer");
        assert_eq!((suite.known(), suite.has_unknown()), (StrategySet::ALL, true));
        let suite = Suite::decode(&[0x05]).expect("one integer");
        assert!(!suite.has_unknown());
        assert_eq!(suite.known(), [Strategy::Explicit, Strategy::Symmetric].into_iter().collect());
    }

    proptest! {
        #[test]
        fn every_value_is_a_suite_or_an_error(value in prop::collection::vec(any::<u8>(), 0..10)) {
            if let Ok(suite) = Suite::decode(&value) {
                prop_assert!(suite.bits() < 1 << 62);
                prop_assert_eq!(suite.is_zero(), suite.known().is_empty() && !suite.has_unknown());
            }
        }
    }
}
