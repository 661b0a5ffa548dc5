//! The QUIC bit of the packets we send: always set, or, once the peer permits it, now this and now that (RFC 9287).

use crate::packet::FIXED;
use crate::rng::Rng;

/// The last bit that is left marks the end of those that were drawn.
const END: u64 = 1;

/// Random bits, drawn many at a time.
#[derive(Debug, Default)]
pub struct QuicBit(u64);

impl QuicBit {
    /// The peer takes packets whatever the bit.
    pub fn permit(&mut self) {
        if self.0 == 0 {
            self.0 = END;
        }
    }

    /// What is to be changed in the first byte of the next packet.
    #[inline]
    pub fn next(&mut self, rng: &mut dyn Rng) -> u8 {
        if self.0 <= END {
            if self.0 == 0 {
                return 0;
            }
            self.draw(rng);
        }
        let clears = self.0 & 1 != 0;
        self.0 >>= 1;
        if clears { FIXED } else { 0 }
    }

    /// Draws more.
    #[cold]
    fn draw(&mut self, rng: &mut dyn Rng) {
        self.0 = u64::from_be_bytes(rng.bytes()) | 1 << 63;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::SeededRng;

    #[test]
    fn the_bit_is_left_alone_until_the_peer_permits_more() {
        let mut bit = QuicBit::default();
        assert!((0..200).all(|_| bit.next(&mut SeededRng::new(1)) == 0));
    }

    #[test]
    fn then_it_is_cleared_in_half_of_the_packets_and_nobody_knows_in_which() {
        let (mut bit, mut rng) = (QuicBit::default(), SeededRng::new(1));
        bit.permit();
        let drawn: Vec<u8> = (0..63_000).map(|_| bit.next(&mut rng)).collect();
        assert!(drawn.iter().all(|change| [0, 0x40].contains(change)));
        let cleared = drawn.iter().filter(|change| **change != 0).count();
        assert!((31_000..32_000).contains(&cleared), "{cleared}");
        // No two draws of 63 bits are alike.
        let mut rows: Vec<&[u8]> = drawn.chunks(63).collect();
        rows.sort_unstable();
        rows.dedup();
        assert_eq!(rows.len(), 1000);
    }

    #[test]
    fn permission_that_is_given_twice_changes_nothing() {
        let (mut one, mut other) = (QuicBit::default(), QuicBit::default());
        one.permit();
        other.permit();
        let first = [one.next(&mut SeededRng::new(3)), other.next(&mut SeededRng::new(3))];
        other.permit();
        assert_eq!((first[0], one.0), (first[1], other.0));
    }
}
