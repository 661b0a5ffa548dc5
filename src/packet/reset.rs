//! Stateless resets: datagrams that look like 1-RTT packets and end in a secret (RFC 9000, Section 10.3).

use crate::id::ResetToken;

/// Length of the token.
const TOKEN_LEN: usize = 16;

/// The shortest stateless reset: five bytes of header and noise, and the token.
const MIN_LEN: usize = 5 + TOKEN_LEN;

/// What a reset has beyond the shortest if its trigger permits: as long as a small packet with the longest ID.
const USUAL_LEN: usize = MIN_LEN + 21;

/// How much of a random length comes on top.
const SPREAD: u8 = 0x1f;

/// The token that `datagram` ends with, if it is long enough to be a stateless reset.
///
/// To be read before the datagram is decrypted in place.
#[inline]
pub fn token_of(datagram: &[u8]) -> Option<ResetToken> {
    if datagram.len() < MIN_LEN {
        return None;
    }
    datagram.last_chunk().copied().map(ResetToken)
}

/// Writes a stateless reset and returns its length in bytes.
///
/// It is always shorter than the `trigger_len` bytes it answers, so that two endpoints that have both forgotten a
/// connection fall silent (Section 10.3.3). `None` if the trigger is too short for that, or `out` for the reset.
pub fn write(
    out: &mut [u8],
    trigger_len: usize,
    token: ResetToken,
    random: &mut dyn FnMut(&mut [u8]),
) -> Option<usize> {
    let longest = trigger_len.saturating_sub(1).min(out.len());
    if longest < MIN_LEN {
        return None;
    }
    // One length for all would give resets away.
    let mut spread = [0];
    random(&mut spread);
    let len = longest.min(USUAL_LEN + usize::from(spread[0] & SPREAD));
    let (noise, end) = out[..len].split_at_mut(len - TOKEN_LEN);
    random(noise);
    noise[0] = noise[0] & 0x3f | 0x40;
    end.copy_from_slice(&token.0);
    Some(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Rng, SeededRng};

    const TOKEN: ResetToken = ResetToken([0xa5; 16]);

    fn reset(trigger_len: usize) -> Option<Vec<u8>> {
        let mut rng = SeededRng::new(1);
        let mut out = [0; 1500];
        let len = write(&mut out, trigger_len, TOKEN, &mut |noise| rng.fill(noise))?;
        Some(out[..len].to_vec())
    }

    #[test]
    fn a_reset_looks_like_a_short_packet_and_ends_in_its_token() {
        let reset = reset(1200).expect("the trigger is long");
        assert_eq!(reset[0] & 0xc0, 0x40);
        assert!(reset.len() >= 42 && reset.len() < 74);
        assert_eq!(token_of(&reset), Some(TOKEN));
    }

    #[test]
    fn a_reset_is_shorter_than_its_trigger_so_two_forgetful_ends_fall_silent() {
        let mut trigger = 1200;
        let mut answers = 0;
        while let Some(reset) = reset(trigger) {
            assert!(reset.len() < trigger && reset.len() >= 21);
            trigger = reset.len();
            answers += 1;
        }
        assert_eq!(trigger, 21);
        assert!(answers < 60);
    }

    #[test]
    fn a_trigger_of_22_bytes_is_the_shortest_that_is_answered() {
        assert_eq!(reset(22).map(|reset| reset.len()), Some(21));
        assert_eq!(reset(21), None);
        assert_eq!(reset(0), None);
    }

    #[test]
    fn a_buffer_too_small_for_a_reset_gets_none() {
        assert_eq!(write(&mut [0; 20], 1200, TOKEN, &mut |noise| noise.fill(0)), None);
    }

    #[test]
    fn a_datagram_of_20_bytes_is_no_reset() {
        assert_eq!(token_of(&[0xa5; 20]), None);
        assert_eq!(token_of(&[0xa5; 21]), Some(TOKEN));
    }
}
