//! Packets as bytes: their keys, their protection, and what their headers and numbers say (RFC 9000, Section 17 and
//! Appendix A.3; RFC 9001, Section 5).

use rustls::Side;
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::quic::{DirectionalKeys, Keys, PacketKey, Suite, Version};

use super::wire::Reader;

/// The keys of Initials to this ID.
pub fn initial_keys(version: Version, dcid: &[u8], side: Side) -> Keys {
    let suite = TLS13_AES_128_GCM_SHA256.tls13().expect("a suite of TLS 1.3");
    let quic = suite.quic_suite().map(|Suite { quic, .. }| quic).expect("a suite for QUIC");
    Keys::initial(version, suite, quic, dcid, side)
}

/// Appends a packet number of four bytes and these frames to a header, and protects both.
pub fn protect(
    keys: &DirectionalKeys,
    key: &dyn PacketKey,
    number: u64,
    mut header: Vec<u8>,
    mut frames: Vec<u8>,
) -> Vec<u8> {
    let number_at = header.len();
    header.extend((number as u32).to_be_bytes());
    let tag = key.encrypt_in_place(number, &header, &mut frames).expect("it can be sealed");
    frames.extend(tag.as_ref());
    let (first, rest) = header.split_at_mut(1);
    let numbers = &mut rest[number_at - 1..];
    keys.header.encrypt_in_place(&frames[..16], &mut first[0], numbers).expect("it can be masked");
    header.extend(frames);
    header
}

/// The destination's and the source's name in a long header.
pub fn ids(datagram: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut reader = Reader(&datagram[5..]);
    let [dcid, scid] = [(); 2].map(|()| {
        let len = reader.byte();
        reader.take(len.into()).to_vec()
    });
    (dcid, scid)
}

/// The number nearest to the one expected (RFC 9000, Section A.3).
pub fn expand(truncated: u64, len: usize, expected: u64) -> u64 {
    let window = 1 << (8 * len);
    let near = expected & !(window - 1) | truncated;
    let candidates = [near.checked_sub(window), Some(near), near.checked_add(window)];
    candidates.into_iter().flatten().min_by_key(|n| n.abs_diff(expected)).unwrap_or(near)
}
