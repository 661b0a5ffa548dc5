//! The versions of QUIC that are spoken, and how their long headers differ (RFC 9000, Section 17.2; RFC 9369, Section
//! 3.2).

use std::fmt;

/// A version of QUIC.
///
/// Both do the same on the wire but for four things: their numbers, the bits that name the types of long headers, and
/// the salts and the labels that keys are made with (RFC 9369, Section 3). So each is compatible with the other, in the
/// sense of RFC 9368: a server may go over to one in its answer to the other.
///
/// Which is spoken follows from [`ClientConfig::versions`](crate::ClientConfig::versions) and
/// [`ServerConfig::versions`](crate::ServerConfig::versions); [`Connection::version`](crate::Connection::version) tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// Version 1 (RFC 9000).
    V1,
    /// Version 2 (RFC 9369).
    V2,
}

/// The type of a packet with a long header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LongType {
    /// Initial.
    Initial,
    /// 0-RTT.
    ZeroRtt,
    /// Handshake.
    Handshake,
    /// Retry.
    Retry,
}

impl Version {
    /// The version with this number; `None` for all that are not spoken.
    pub const fn from_wire(number: u32) -> Option<Self> {
        match number {
            0x0000_0001 => Some(Self::V1),
            0x6b33_43cf => Some(Self::V2),
            _ => None,
        }
    }

    /// Its number in the Version field of a long header.
    pub const fn wire(self) -> u32 {
        match self {
            Self::V1 => 0x0000_0001,
            Self::V2 => 0x6b33_43cf,
        }
    }

    /// The type that the first byte of a long header names.
    pub const fn long_type(self, first: u8) -> LongType {
        let bits = match self {
            Self::V1 => first >> 4,
            // Each is one above that of version 1, and the last comes round.
            Self::V2 => (first >> 4).wrapping_sub(1),
        };
        match bits & 0b11 {
            0 => LongType::Initial,
            1 => LongType::ZeroRtt,
            2 => LongType::Handshake,
            _ => LongType::Retry,
        }
    }

    /// The bits of the first byte of a long header that name this type; all others are zero.
    pub const fn type_bits(self, long: LongType) -> u8 {
        let bits = match (self, long) {
            (Self::V2, LongType::Retry) => 0,
            (Self::V1, LongType::Initial) => 0,
            (Self::V1, LongType::ZeroRtt) | (Self::V2, LongType::Initial) => 1,
            (Self::V1, LongType::Handshake) | (Self::V2, LongType::ZeroRtt) => 2,
            (Self::V1, LongType::Retry) | (Self::V2, LongType::Handshake) => 3,
        };
        bits << 4
    }
}

/// A version that nobody speaks, made of random bytes: named to keep peers ready for new ones (RFC 9000, Section 15).
pub fn reserved(random: [u8; 4]) -> u32 {
    u32::from_be_bytes(random) & 0xf0f0_f0f0 | 0x0a0a_0a0a
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1 => "QUIC version 1",
            Self::V2 => "QUIC version 2",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSIONS: [Version; 2] = [Version::V1, Version::V2];

    #[test]
    fn a_version_is_known_by_its_number() {
        assert_eq!(VERSIONS.map(Version::wire), [1, 0x6b33_43cf]);
        assert_eq!(VERSIONS.map(|version| Version::from_wire(version.wire())), VERSIONS.map(Some));
        assert_eq!([0, 2, 0x709a_50c4, 0x1a2a_3a4a].map(Version::from_wire), [None; 4]);
    }

    #[test]
    fn long_types_have_the_bits_of_rfc_9000_17_2_and_rfc_9369_3_2() {
        let types = [LongType::Initial, LongType::ZeroRtt, LongType::Handshake, LongType::Retry];
        assert_eq!(types.map(|long| Version::V1.type_bits(long)), [0x00, 0x10, 0x20, 0x30]);
        assert_eq!(types.map(|long| Version::V2.type_bits(long)), [0x10, 0x20, 0x30, 0x00]);
        for version in VERSIONS {
            assert_eq!(types.map(|long| version.long_type(0xcf | version.type_bits(long))), types);
        }
    }

    #[test]
    fn a_reserved_version_has_the_form_of_rfc_9000_15_and_is_spoken_by_nobody() {
        assert_eq!(reserved([0x12, 0x34, 0x56, 0x78]), 0x1a3a_5a7a);
        assert_eq!([reserved([0; 4]), reserved([0xff; 4])].map(Version::from_wire), [None; 2]);
    }

    #[test]
    fn a_version_is_printed_as_it_is_spoken_of() {
        assert_eq!(VERSIONS.map(|version| version.to_string()), ["QUIC version 1", "QUIC version 2"]);
    }
}
