//! Variable-length integers (RFC 9000, Section 16).

use std::fmt;

/// A number below 2^62, as QUIC writes it in one, two, four or eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct VarInt(u64);

impl VarInt {
    /// The largest number QUIC can write: 2^62 - 1.
    pub const MAX: Self = Self((1 << 62) - 1);
    /// Zero.
    pub const ZERO: Self = Self(0);

    /// A number that always fits.
    pub const fn from_u32(value: u32) -> Self {
        Self(value as u64)
    }

    /// The number `value`, or the largest that fits.
    pub const fn saturating(value: u64) -> Self {
        if value > Self::MAX.0 { Self::MAX } else { Self(value) }
    }

    /// The number itself.
    pub const fn into_inner(self) -> u64 {
        self.0
    }

    /// Length of its shortest encoding, in bytes.
    pub const fn size(self) -> usize {
        size(self.0)
    }
}

/// Length of the shortest encoding of `value`, in bytes; eight for a number too large to be written.
#[inline]
pub(crate) const fn size(value: u64) -> usize {
    1 << log_size(value)
}

/// The two bits that name the length of the shortest encoding of `value`: 0 to 3 for one to eight bytes.
#[inline]
pub(crate) const fn log_size(value: u64) -> u8 {
    LOG_SIZES[value.leading_zeros() as usize]
}

/// By leading zeros, so that no branch depends on the value.
const LOG_SIZES: [u8; 65] = {
    let mut sizes = [3; 65];
    let mut zeros = 64 - 30;
    while zeros < sizes.len() {
        sizes[zeros] = match 64 - zeros {
            0..=6 => 0,
            7..=14 => 1,
            _ => 2,
        };
        zeros += 1;
    }
    sizes
};

/// A number of 2^62 or more, which QUIC cannot write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the number does not fit in a QUIC variable-length integer; use one below 2^62")]
pub struct VarIntTooLarge;

impl TryFrom<u64> for VarInt {
    type Error = VarIntTooLarge;
    fn try_from(value: u64) -> Result<Self, VarIntTooLarge> {
        if value > Self::MAX.0 { Err(VarIntTooLarge) } else { Ok(Self(value)) }
    }
}

impl From<u32> for VarInt {
    fn from(value: u32) -> Self {
        Self::from_u32(value)
    }
}

impl From<VarInt> for u64 {
    fn from(value: VarInt) -> Self {
        value.0
    }
}

impl fmt::Display for VarInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_to_the_sixty_two_does_not_fit() {
        assert_eq!(VarInt::try_from((1u64 << 62) - 1), Ok(VarInt::MAX));
        assert_eq!(VarInt::try_from(1u64 << 62), Err(VarIntTooLarge));
        assert_eq!(VarInt::saturating(u64::MAX), VarInt::MAX);
    }

    #[test]
    fn the_size_steps_at_powers_of_two() {
        let sizes = [0, 63, 64, 16_383, 16_384, (1 << 30) - 1, 1 << 30].map(size);
        assert_eq!(sizes, [1, 1, 2, 2, 4, 4, 8]);
    }
}
