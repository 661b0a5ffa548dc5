//! What is transferred: bytes that are a function of their offset, cheap to make and cheap to verify.
//!
//! One period of random-looking bytes is repeated for ever. Its length is a prime, so that nothing that is lost,
//! doubled or swapped in steps of packets or of powers of two fits where it ends up.

use bytes::Bytes;

use crate::scrambled::scrambled;

/// Bytes after which the content repeats itself: the largest prime below 2^20.
const PERIOD: usize = 1_048_573;

/// The content of every stream.
#[derive(Debug, Clone)]
pub struct Body(Bytes);

/// The first byte that is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wrong {
    /// Its offset in the stream.
    pub at: u64,
}

impl Body {
    /// The content.
    pub fn new() -> Self {
        Self((0..).flat_map(|number| scrambled(number).to_le_bytes()).take(PERIOD).collect())
    }

    /// The same, but for one byte in each period: what a verifier must find.
    #[cfg(test)]
    pub fn corrupted_at(offset: u64) -> Self {
        let mut bytes = Vec::from(Self::new().0);
        bytes[place(offset)] ^= 1;
        Self(bytes.into())
    }

    /// A piece that begins at `offset` and ends at `end` at most, uncopied; not empty if there is anything left.
    pub fn piece(&self, offset: u64, end: u64) -> Bytes {
        let from = place(offset);
        let left = usize::try_from(end.saturating_sub(offset)).unwrap_or(PERIOD);
        self.0.slice(from..PERIOD.min(from.saturating_add(left)))
    }

    /// Compares what arrived at `offset` with what should be there.
    ///
    /// # Errors
    ///
    /// Where the first difference is.
    pub fn verify(&self, offset: u64, arrived: &[u8]) -> Result<(), Wrong> {
        let (mut at, mut rest) = (offset, arrived);
        while !rest.is_empty() {
            let want = &self.0[place(at)..];
            let (got, beyond) = rest.split_at(rest.len().min(want.len()));
            if got != &want[..got.len()] {
                let same = got.iter().zip(want).take_while(|(got, want)| got == want).count();
                return Err(Wrong { at: at + same as u64 });
            }
            (at, rest) = (at + got.len() as u64, beyond);
        }
        Ok(())
    }
}

/// Where in the period an offset lies.
fn place(offset: u64) -> usize {
    usize::try_from(offset % PERIOD as u64).expect("less than the period")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `len` bytes from `offset` on, as a sender puts them together.
    fn sent(body: &Body, offset: u64, len: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < len {
            bytes.extend_from_slice(&body.piece(offset + bytes.len() as u64, offset + len as u64));
        }
        bytes
    }

    #[test]
    fn what_was_sent_verifies_wherever_it_is_cut() {
        let body = Body::new();
        for offset in [0, 1, PERIOD as u64 - 1, PERIOD as u64, 1 << 40] {
            let bytes = sent(&body, offset, 3 * PERIOD / 2);
            assert_eq!(body.verify(offset, &bytes), Ok(()));
        }
    }

    #[test]
    fn a_corrupted_byte_is_found_where_it_is() {
        let body = Body::new();
        let mut bytes = sent(&body, 1000, 2 * PERIOD);
        bytes[PERIOD + 5] ^= 0x80;
        assert_eq!(body.verify(1000, &bytes), Err(Wrong { at: 1000 + PERIOD as u64 + 5 }));
    }

    #[test]
    fn what_is_displaced_by_packets_or_powers_of_two_is_found() {
        let body = Body::new();
        for displaced in [1, 1200, 1452, 1 << 16, 1 << 20, 1 << 30] {
            assert!(body.verify(0, &sent(&body, displaced, 1200)).is_err(), "{displaced}");
        }
    }
}
