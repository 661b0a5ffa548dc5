//! Retry packets: a token for the client, and a tag that shows the server has seen its Initial (RFC 9000, Section
//! 17.2.5; RFC 9001, Section 5.8; RFC 9369, Section 3.3.3).
//!
//! The tag's key is public: it keeps out strangers who did not see the Initial, not an attacker who did.

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::header::{FIXED, LONG, Long, PacketHeader};
use super::version::{LongType, Version};
use super::writer::TAG_LEN;
use crate::codec::Writer;
use crate::id::ConnectionId;

const KEY_1: [u8; 16] =
    [0xbe, 0x0c, 0x69, 0x0b, 0x9f, 0x66, 0x57, 0x5a, 0x1d, 0x76, 0x6b, 0x54, 0xe3, 0x68, 0xc8, 0x4e];
const NONCE_1: [u8; 12] = [0x46, 0x15, 0x99, 0xd3, 0x5d, 0x63, 0x2b, 0xf2, 0x23, 0x98, 0x25, 0xbb];
const KEY_2: [u8; 16] =
    [0x8f, 0xb4, 0xb0, 0x1b, 0x56, 0xac, 0x48, 0xe2, 0x60, 0xfb, 0xcb, 0xce, 0xad, 0x7c, 0xcc, 0x92];
const NONCE_2: [u8; 12] = [0xd8, 0x69, 0x69, 0xbc, 0x2d, 0x7c, 0x6d, 0x99, 0x90, 0xef, 0xb0, 0x4a];

/// A Retry packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry<'a> {
    /// That of the Initial it answers (RFC 9369, Section 4.1).
    pub version: Version,
    /// The client's connection ID.
    pub dcid: ConnectionId,
    /// What the server calls itself from now on; the client's next Initial goes there.
    pub scid: ConnectionId,
    /// To be repeated in every Initial that follows; never empty.
    pub token: &'a [u8],
}

impl<'a> Retry<'a> {
    /// Reads a Retry packet that answers an Initial to `original_dcid`.
    ///
    /// `None` if the packet is none, has no token, or its tag does not fit that Initial: discard it. Its second bit is
    /// for [`Packets`](super::Packets) to look at.
    pub fn read(packet: &'a [u8], original_dcid: &ConnectionId) -> Option<Self> {
        let Long { header, number_at, .. } = Long::read(packet).ok()?;
        let PacketHeader::Retry { version, dcid, scid } = header else { return None };
        let (covered, tag) = packet.split_last_chunk::<TAG_LEN>()?;
        let token = covered.get(number_at..)?;
        if token.is_empty() {
            return None;
        }
        (integrity_tag(version, covered, original_dcid) == *tag).then_some(Self {
            version,
            dcid,
            scid,
            token,
        })
    }

    /// Writes the answer to an Initial to `original_dcid` and returns its length in bytes; `None` if it does not fit
    /// or has no token.
    ///
    /// `first_byte_random` fills the bits that mean nothing.
    pub fn write(
        &self,
        out: &mut [u8],
        original_dcid: &ConnectionId,
        first_byte_random: u8,
    ) -> Option<usize> {
        let covered_len = 7 + self.dcid.len() + self.scid.len() + self.token.len();
        if self.token.is_empty() || out.len() < covered_len + TAG_LEN {
            return None;
        }
        let mut header = Writer::new(out);
        header.u8(LONG | FIXED | self.version.type_bits(LongType::Retry) | first_byte_random & 0x0f);
        header.u32(self.version.wire());
        header.prefixed(&self.dcid);
        header.prefixed(&self.scid);
        header.bytes(self.token);
        let tag = integrity_tag(self.version, &out[..covered_len], original_dcid);
        out[covered_len..covered_len + TAG_LEN].copy_from_slice(&tag);
        Some(covered_len + TAG_LEN)
    }
}

/// The tag of a Retry packet: an AEAD over nothing, with the packet and the ID it answers as what is authenticated.
fn integrity_tag(version: Version, covered: &[u8], original_dcid: &ConnectionId) -> [u8; TAG_LEN] {
    let (key, nonce) = match version {
        Version::V1 => (&KEY_1, NONCE_1),
        Version::V2 => (&KEY_2, NONCE_2),
    };
    let mut pseudo = Vec::with_capacity(1 + original_dcid.len() + covered.len());
    pseudo.push(u8::try_from(original_dcid.len()).expect("a connection ID has at most 20 bytes"));
    pseudo.extend_from_slice(original_dcid);
    pseudo.extend_from_slice(covered);
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key).expect("the key has 16 bytes"));
    let tag = key
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(&pseudo), &mut [])
        .expect("a packet is far below what GCM authenticates");
    tag.as_ref().try_into().expect("a GCM tag has 16 bytes")
}

#[cfg(test)]
mod tests {
    use super::super::vectors::{hex, vector};
    use super::*;

    fn id(bytes: &[u8]) -> ConnectionId {
        ConnectionId::new(bytes).expect("at most 20 bytes")
    }

    #[test]
    fn the_retry_packet_of_rfc_9001_a_4_is_read_and_written() {
        let vector = &vector("rfc9001_appendix_a.json")["retry"];
        let packet = hex(&vector["packet"]);
        let original = id(&hex(&vector["original_dcid"]));
        let retry = Retry::read(&packet, &original).expect("the tag fits");
        assert_eq!((retry.dcid, retry.token), (ConnectionId::EMPTY, &b"token"[..]));
        assert_eq!(retry.scid, id(&[0xf0, 0x67, 0xa5, 0x50, 0x2a, 0x42, 0x62, 0xb5]));
        let mut out = [0; 64];
        let len = retry.write(&mut out, &original, 0x0f).expect("it fits");
        assert_eq!(out[..len], packet);
    }

    #[test]
    fn the_retry_packet_of_rfc_9369_a_4_is_read_and_written() {
        let vector = &vector("rfc9369_appendix_a.json")["retry"];
        let packet = hex(&vector["packet"]);
        let original = id(&hex(&vector["original_dcid"]));
        let retry = Retry::read(&packet, &original).expect("the tag fits");
        assert_eq!((retry.version, retry.token), (Version::V2, &b"token"[..]));
        let mut out = [0; 64];
        let len = retry.write(&mut out, &original, 0x0f).expect("it fits");
        assert_eq!(out[..len], packet);
    }

    #[test]
    fn a_retry_of_one_version_does_not_pass_for_one_of_the_other() {
        let retry =
            Retry { version: Version::V1, dcid: ConnectionId::EMPTY, scid: id(&[1]), token: b"token" };
        let mut packet = [0; 64];
        let len = retry.write(&mut packet, &id(&[2]), 0).expect("it fits");
        packet[0] = packet[0] & !0x30 | Version::V2.type_bits(LongType::Retry);
        packet[1..5].copy_from_slice(&Version::V2.wire().to_be_bytes());
        assert_eq!(Retry::read(&packet[..len], &id(&[2])), None);
    }

    #[test]
    fn a_retry_for_another_initial_is_not_believed() {
        let packet = hex(&vector("rfc9001_appendix_a.json")["retry"]["packet"]);
        assert_eq!(Retry::read(&packet, &id(&[1, 2, 3, 4, 5, 6, 7, 8])), None);
    }

    #[test]
    fn a_retry_that_was_cut_or_changed_anywhere_is_not_believed() {
        let original = id(&[0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08]);
        let packet = hex(&vector("rfc9001_appendix_a.json")["retry"]["packet"]);
        for at in 0..packet.len() {
            assert_eq!(Retry::read(&packet[..at], &original), None);
            let mut changed = packet.clone();
            changed[at] ^= 0x20;
            assert_eq!(Retry::read(&changed, &original), None);
        }
    }

    #[test]
    fn a_retry_without_a_token_is_neither_written_nor_read() {
        let retry = Retry { version: Version::V1, dcid: ConnectionId::EMPTY, scid: id(&[1]), token: b"" };
        assert_eq!(retry.write(&mut [0; 64], &id(&[2]), 0), None);
        let mut packet = vec![0xf0, 0, 0, 0, 1, 0, 1, 1];
        packet.extend(integrity_tag(Version::V1, &packet, &id(&[2])));
        assert_eq!(Retry::read(&packet, &id(&[2])), None);
    }
}
