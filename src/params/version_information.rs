//! version_information: the version its sender has chosen, and those it could have (RFC 9368, Section 3).
//!
//! Versions are numbers here: a peer may name any, reserved ones among them.

use crate::codec::Reader;
use crate::error::TransportError;

/// What one side says about versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionInformation {
    /// The version in use, as its sender sees it; never zero.
    pub chosen: u32,
    /// A client's: what its first flight can be read as, in order of preference. A server's: what every server of its
    /// deployment speaks, in no order; may be none. Zero is not among them.
    pub available: Vec<u32>,
}

impl VersionInformation {
    /// Reads the parameter's value.
    ///
    /// # Errors
    ///
    /// TRANSPORT_PARAMETER_ERROR if it is not a row of one or more numbers, or one of them is zero (Section 4).
    pub fn decode(value: &[u8]) -> Result<Self, TransportError> {
        const MALFORMED: TransportError =
            TransportError::transport_parameter("version_information is not a row of versions");
        let mut reader = Reader::new(value);
        let mut next = || reader.u32().ok().filter(|version| *version != 0).ok_or(MALFORMED);
        let chosen = next()?;
        let available = (1..value.len().div_ceil(4)).map(|_| next()).collect::<Result<_, _>>()?;
        Ok(Self { chosen, available })
    }

    /// The parameter's value.
    pub fn encode(&self) -> Vec<u8> {
        let versions = [self.chosen].into_iter().chain(self.available.iter().copied());
        versions.flat_map(u32::to_be_bytes).collect()
    }

    /// Whether the version chosen is among those available, as it must be at a client.
    pub fn is_of_a_client(&self) -> bool {
        self.available.contains(&self.chosen)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::Code;

    fn refused(value: &[u8]) -> bool {
        VersionInformation::decode(value).is_err_and(|fault| fault.code == Code::TRANSPORT_PARAMETER_ERROR)
    }

    #[test]
    fn it_is_laid_out_as_rfc_9368_3_says() {
        let value = [0, 0, 0, 1, 0x6b, 0x33, 0x43, 0xcf, 0, 0, 0, 1, 0x1a, 0x2a, 0x3a, 0x4a];
        let information =
            VersionInformation { chosen: 1, available: vec![0x6b33_43cf, 0x0000_0001, 0x1a2a_3a4a] };
        assert_eq!(VersionInformation::decode(&value), Ok(information.clone()));
        assert_eq!(information.encode(), value);
    }

    #[test]
    fn a_server_need_not_have_any_version_available() {
        let information = VersionInformation { chosen: 1, available: Vec::new() };
        assert_eq!(VersionInformation::decode(&[0, 0, 0, 1]), Ok(information.clone()));
        assert!(!information.is_of_a_client());
    }

    #[test]
    fn what_is_not_a_row_of_versions_is_refused() {
        assert!(refused(&[]));
        assert!(refused(&[0, 0, 1]));
        assert!(refused(&[0, 0, 0, 1, 0]));
        assert!(refused(&[0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]));
    }

    #[test]
    fn version_zero_is_refused_wherever_it_stands() {
        assert!(refused(&[0, 0, 0, 0]));
        assert!(refused(&[0, 0, 0, 1, 0, 0, 0, 0]));
        assert!(refused(&[0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(chosen in 1u32.., available in prop::collection::vec(1u32.., 0..40)) {
            let information = VersionInformation { chosen, available };
            prop_assert_eq!(VersionInformation::decode(&information.encode()), Ok(information));
        }

        #[test]
        fn what_is_decoded_is_encoded_to_the_same_bytes(value in prop::collection::vec(0u8..4, 0..40)) {
            if let Ok(information) = VersionInformation::decode(&value) {
                prop_assert_eq!(information.encode(), value);
            }
        }
    }
}
