//! Packet numbers on the wire: truncated when sent, expanded when received (RFC 9000, Appendices A.2 and A.3).

use crate::id::PacketNumber;

/// How many bytes `number` needs so that a peer that acknowledged `largest_acked` expands it rightly: enough for more
/// than twice as many numbers as are unacknowledged (RFC 9000, Section 17.1).
#[inline]
pub fn encoded_len(number: PacketNumber, largest_acked: Option<PacketNumber>) -> usize {
    let unacked = match largest_acked {
        Some(acked) => number.saturating_sub(acked),
        None => number.saturating_add(1),
    };
    match unacked {
        0..0x80 => 1,
        0x80..0x8000 => 2,
        0x8000..0x80_0000 => 3,
        _ => 4,
    }
}

/// The full number of a packet that carries `len` low bytes of it, when `expected` is one above the largest received.
#[inline]
pub fn expand(truncated: u32, len: usize, expected: PacketNumber) -> PacketNumber {
    let window = 1u64 << (8 * len.clamp(1, 4));
    let half = window / 2;
    let candidate = (expected & !(window - 1)) | u64::from(truncated);
    if candidate.saturating_add(half) <= expected && candidate < (1 << 62) - window {
        candidate + window
    } else if candidate > expected.saturating_add(half) && candidate >= window {
        candidate - window
    } else {
        candidate
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::vectors::vector;
    use super::*;

    /// Large numbers are written as strings in the vectors.
    fn int(value: &Value) -> u64 {
        value.as_u64().or_else(|| value.as_str()?.parse().ok()).expect("a number")
    }

    #[test]
    fn numbers_are_as_long_on_the_wire_as_rfc_9000_a_2_says() {
        for case in vector("rfc9000_numbers.json")["pn_encode"].as_array().expect("a list") {
            let acked = (!case["largest_acked"].is_null()).then(|| int(&case["largest_acked"]));
            let number = int(&case["full_pn"]);
            let len = encoded_len(number, acked) as u64;
            // Section 17.1 wants *more* than twice the range where A.2 is content with exactly twice.
            let unacked = acked.map_or(number + 1, |acked| number - acked);
            let least = int(&case["min_bytes"]) + u64::from(matches!(unacked, 0x80 | 0x8000 | 0x80_0000));
            assert_eq!(len, least, "{case}");
        }
    }

    #[test]
    fn numbers_expand_as_rfc_9000_a_3_says() {
        for case in vector("rfc9000_numbers.json")["pn_decode"].as_array().expect("a list") {
            let truncated = u32::try_from(int(&case["truncated"])).expect("at most four bytes");
            let len = case["bits"].as_u64().expect("a number") as usize / 8;
            let number = expand(truncated, len, int(&case["largest_pn"]) + 1);
            assert_eq!(number, int(&case["expect"]), "{case}");
        }
    }

    #[test]
    fn the_first_packet_of_a_space_expands_to_what_it_says() {
        assert_eq!(expand(0, 1, 0), 0);
        assert_eq!(expand(0xff, 1, 0), 0xff);
        assert_eq!(expand(u32::MAX, 4, 0), u64::from(u32::MAX));
    }

    proptest! {
        #[test]
        fn what_is_truncated_expands_again(
            acked in 0u64..1 << 61,
            ahead in 1u64..1 << 31,
            seen in any::<prop::sample::Index>(),
        ) {
            let number = acked + ahead;
            let len = encoded_len(number, Some(acked));
            let truncated = u32::try_from(number & ((1u64 << (8 * len)) - 1)).expect("at most four bytes");
            // The receiver has seen what was acknowledged, and perhaps more, but nothing beyond this number.
            let largest = acked + seen.index(usize::try_from(ahead).expect("below 2^31")) as u64;
            prop_assert_eq!(expand(truncated, len, largest + 1), number);
        }

        #[test]
        fn no_number_is_too_odd_to_expand(
            truncated in any::<u32>(),
            len in 0usize..9,
            expected in any::<u64>(),
        ) {
            expand(truncated, len, expected);
        }
    }
}
