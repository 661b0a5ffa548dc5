//! Packet numbers on the wire: truncated when sent, expanded when received (RFC 9000, Appendices A.2 and A.3).

use crate::id::PacketNumber;

/// How many bytes `number` needs so that a peer that acknowledged `largest_acked` expands it rightly.
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
