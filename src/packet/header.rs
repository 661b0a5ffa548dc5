//! Headers of received packets: first what no version may change (RFC 8999), then versions 1 and 2 (RFC 9000, Section
//! 17; RFC 9369, Section 3.2).
//!
//! Nothing here is authentic yet. Header protection still covers the low bits of the first byte and the packet
//! number, so neither is looked at.

use std::ops::Range;

use super::version::{LongType, Version};
use crate::codec::{Reader, Truncated, Writer};
use crate::id::ConnectionId;
use crate::stats::DropReason;

/// The first bit of a packet: set in a long header.
pub(super) const LONG: u8 = 0x80;

/// The second bit, or QUIC bit: set in every packet of the versions we speak, Version Negotiation apart, as long as the
/// peers did not agree otherwise (RFC 9287).
pub const FIXED: u8 = 0x40;

/// Whether a packet begins with a short header.
#[inline]
pub fn is_short(packet: &[u8]) -> bool {
    packet.first().is_some_and(|first| first & LONG == 0)
}

/// Whether a packet has its second bit set.
#[inline]
pub fn has_fixed_bit(packet: &[u8]) -> bool {
    packet.first().is_some_and(|first| first & FIXED != 0)
}

/// What can be read of a packet of any version (RFC 8999, Section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invariant<'a> {
    /// A short header: the length of its connection ID is known only to those who issued it.
    Short {
        /// The first byte; all but its first bit belong to the version.
        first: u8,
        /// As many bytes as we give our connection IDs.
        dcid: &'a [u8],
    },
    /// A long header.
    Long {
        /// The first byte; all but its first bit belong to the version.
        first: u8,
        /// Zero in a Version Negotiation packet.
        version: u32,
        /// Up to 255 bytes, though versions we know have at most 20.
        dcid: &'a [u8],
        /// Up to 255 bytes.
        scid: &'a [u8],
        /// What the version makes of the rest.
        rest: &'a [u8],
    },
}

impl<'a> Invariant<'a> {
    /// Reads the front of a datagram whose receiver has connection IDs of `cid_len` bytes.
    ///
    /// # Errors
    ///
    /// [`Truncated`] if the datagram ends before the connection IDs do.
    pub fn read(datagram: &'a [u8], cid_len: usize) -> Result<Self, Truncated> {
        let mut reader = Reader::new(datagram);
        let first = reader.u8()?;
        if first & LONG == 0 {
            return Ok(Self::Short { first, dcid: reader.bytes(cid_len)? });
        }
        let version = reader.u32()?;
        let dcid_len = reader.u8()?;
        let dcid = reader.bytes(dcid_len.into())?;
        let scid_len = reader.u8()?;
        let scid = reader.bytes(scid_len.into())?;
        Ok(Self::Long { first, version, dcid, scid, rest: reader.rest() })
    }

    /// The connection ID the packet goes to.
    pub fn dcid(&self) -> &'a [u8] {
        match self {
            Self::Short { dcid, .. } | Self::Long { dcid, .. } => dcid,
        }
    }
}

/// The token of the Initial packet at the front of a datagram; `None` if there is no such packet, or it is cut.
pub fn initial_token(datagram: &[u8]) -> Option<&[u8]> {
    let PacketHeader::Initial { token, .. } = Long::read(datagram).ok()?.header else { return None };
    datagram.get(token)
}

/// The connection ID that a datagram goes to, for those who share a port among several endpoints.
///
/// `cid_len` is the length of the connection IDs issued here, in bytes. `None` if the datagram is too short, or names
/// an ID of more than 20 bytes, which nobody here has issued.
pub fn peek(datagram: &[u8], cid_len: usize) -> Option<ConnectionId> {
    dcid_of(datagram, cid_len).and_then(ConnectionId::new)
}

/// As [`peek`], as bytes: perhaps more than the 20 an ID has.
#[inline]
pub fn dcid_of(datagram: &[u8], cid_len: usize) -> Option<&[u8]> {
    if is_short(datagram) {
        return datagram.get(1..1 + cid_len);
    }
    Invariant::read(datagram, cid_len).ok().map(|header| header.dcid())
}

/// The header of a received packet, as far as it can be read without keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PacketHeader {
    /// 1-RTT.
    Short {
        /// Ours.
        dcid: ConnectionId,
    },
    /// Initial.
    Initial {
        /// Which its keys, too, are made for.
        version: Version,
        /// Ours, or the one a client chose for its first flight.
        dcid: ConnectionId,
        /// The sender's.
        scid: ConnectionId,
        /// Where in the packet its token stands; empty if there is none.
        token: Range<usize>,
    },
    /// 0-RTT.
    ZeroRtt {
        /// Which its keys, too, are made for.
        version: Version,
        /// Ours, or the one a client chose for its first flight.
        dcid: ConnectionId,
        /// The sender's.
        scid: ConnectionId,
    },
    /// Handshake.
    Handshake {
        /// Which its keys, too, are made for.
        version: Version,
        /// Ours.
        dcid: ConnectionId,
        /// The sender's.
        scid: ConnectionId,
    },
    /// Retry: its token and its integrity tag follow.
    Retry {
        /// Which its tag, too, is made for.
        version: Version,
        /// Ours.
        dcid: ConnectionId,
        /// What the server calls itself from now on.
        scid: ConnectionId,
    },
    /// Version Negotiation: the versions follow, four bytes each.
    VersionNegotiation {
        /// Ours.
        dcid: ConnectionId,
        /// The one our packet went to.
        scid: ConnectionId,
    },
    /// A version we do not speak; nothing more can be read.
    OtherVersion {
        /// Which.
        version: u32,
    },
}

/// A long packet at the front of a datagram.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Long {
    pub(super) header: PacketHeader,
    /// Where the packet number stands, or the body of a packet without one.
    pub(super) number_at: usize,
    /// The whole packet, in bytes.
    pub(super) len: usize,
    /// Whether the fixed bit is set where it must be.
    pub(super) fixed: bool,
}

impl Long {
    /// Reads the header of the long packet at the front of `bytes`.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, DropReason> {
        let malformed = |_: Truncated| DropReason::Malformed;
        // A short header never comes here, so no length is needed for one.
        let Invariant::Long { first, version, dcid, scid, rest } =
            Invariant::read(bytes, 0).map_err(malformed)?
        else {
            return Err(DropReason::Malformed);
        };
        let body_at = bytes.len() - rest.len();
        let whole = |header, fixed| Ok(Self { header, number_at: body_at, len: bytes.len(), fixed });
        let spoken = Version::from_wire(version);
        if spoken.is_none() && version != 0 {
            return whole(PacketHeader::OtherVersion { version }, true);
        }
        let (Some(dcid), Some(scid)) = (ConnectionId::new(dcid), ConnectionId::new(scid)) else {
            return Err(DropReason::Malformed);
        };
        let Some(version) = spoken else {
            return whole(PacketHeader::VersionNegotiation { dcid, scid }, true);
        };
        let fixed = first & FIXED != 0;
        let mut reader = Reader::new(rest);
        let header = match version.long_type(first) {
            LongType::Initial => {
                let token_len = reader.prefixed().map_err(malformed)?.len();
                let token_end = bytes.len() - reader.len();
                PacketHeader::Initial { version, dcid, scid, token: token_end - token_len..token_end }
            }
            LongType::ZeroRtt => PacketHeader::ZeroRtt { version, dcid, scid },
            LongType::Handshake => PacketHeader::Handshake { version, dcid, scid },
            LongType::Retry => return whole(PacketHeader::Retry { version, dcid, scid }, fixed),
        };
        let protected = reader.prefixed().map_err(malformed)?;
        let len = bytes.len() - reader.len();
        Ok(Self { header, number_at: len - protected.len(), len, fixed })
    }
}

impl PacketHeader {
    /// The connection ID the packet goes to; `None` for versions we do not speak.
    pub fn dcid(&self) -> Option<&ConnectionId> {
        match self {
            Self::Short { dcid }
            | Self::Initial { dcid, .. }
            | Self::ZeroRtt { dcid, .. }
            | Self::Handshake { dcid, .. }
            | Self::Retry { dcid, .. }
            | Self::VersionNegotiation { dcid, .. } => Some(dcid),
            Self::OtherVersion { .. } => None,
        }
    }

    /// The version of a long header that we speak; a short header names none.
    pub fn version(&self) -> Option<Version> {
        match *self {
            Self::Initial { version, .. }
            | Self::ZeroRtt { version, .. }
            | Self::Handshake { version, .. }
            | Self::Retry { version, .. } => Some(version),
            Self::Short { .. } | Self::VersionNegotiation { .. } | Self::OtherVersion { .. } => None,
        }
    }
}

/// Writes a Version Negotiation packet (RFC 9000, Section 17.2.1) and returns its length in bytes.
///
/// `dcid` and `scid` are those of the packet it answers, swapped; they may have up to 255 bytes. `first_byte_random`
/// fills the bits that mean nothing. `None` if it does not fit, or an ID is longer than any version permits.
pub fn version_negotiation(
    out: &mut [u8],
    dcid: &[u8],
    scid: &[u8],
    first_byte_random: u8,
    versions: &[u32],
) -> Option<usize> {
    let (dcid_len, scid_len) = (u8::try_from(dcid.len()).ok()?, u8::try_from(scid.len()).ok()?);
    let len = 1 + 4 + 1 + dcid.len() + 1 + scid.len() + 4 * versions.len();
    let mut out = Writer::new(out.get_mut(..len)?);
    // The fixed bit is set for the sake of those who tell QUIC from other protocols by it.
    out.u8(LONG | FIXED | first_byte_random);
    out.u32(0);
    out.u8(dcid_len);
    out.bytes(dcid);
    out.u8(scid_len);
    out.bytes(scid);
    versions.iter().for_each(|version| out.u32(*version));
    Some(len)
}

/// The versions that the body of a Version Negotiation packet lists; a rest of less than four bytes is left out.
pub fn negotiable_versions(body: &[u8]) -> impl Iterator<Item = u32> + Clone + '_ {
    body.as_chunks::<4>().0.iter().map(|version| u32::from_be_bytes(*version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(bytes: &[u8]) -> ConnectionId {
        ConnectionId::new(bytes).expect("at most 20 bytes")
    }

    #[test]
    fn a_datagram_is_peeked_at_whatever_its_version() {
        assert_eq!(peek(&[0x40, 1, 2, 3, 4], 3), Some(id(&[1, 2, 3])));
        assert_eq!(peek(&[0x80, 9, 9, 9, 9, 2, 7, 8, 0], 3), Some(id(&[7, 8])));
        assert_eq!(peek(&[0x40, 1, 2], 3), None);
        assert_eq!(peek(&[], 0), None);
    }

    #[test]
    fn the_long_id_of_an_unknown_version_is_an_invariant_but_not_an_id_of_ours() {
        let mut datagram = vec![0xff, 0x1a, 0x2a, 0x3a, 0x4a, 255];
        datagram.extend([7; 255]);
        datagram.extend([21]);
        datagram.extend([8; 21]);
        datagram.extend(b"body");
        let Ok(Invariant::Long { version, dcid, scid, rest, .. }) = Invariant::read(&datagram, 8) else {
            panic!("a long header");
        };
        assert_eq!((version, dcid.len(), scid, rest), (0x1a2a_3a4a, 255, &[8; 21][..], &b"body"[..]));
        assert_eq!(peek(&datagram, 8), None);
    }

    #[test]
    fn a_datagram_that_ends_within_its_ids_is_truncated_at_every_length() {
        let datagram = [0xc0, 0, 0, 0, 1, 2, 7, 8, 3, 4, 5, 6];
        assert!(Invariant::read(&datagram, 0).is_ok());
        for len in 0..datagram.len() {
            assert_eq!(Invariant::read(&datagram[..len], 0), Err(Truncated));
        }
    }

    #[test]
    fn an_initial_packet_of_version_1_has_no_id_of_21_bytes() {
        let mut packet = vec![0xc0, 0, 0, 0, 1, 21];
        packet.extend([7; 21]);
        packet.extend([0, 0, 1, 0]);
        assert_eq!(Long::read(&packet), Err(DropReason::Malformed));
    }

    #[test]
    fn a_version_negotiation_packet_is_read_back() {
        let mut out = [0; 64];
        let len = version_negotiation(&mut out, &[1, 2], &[3], 0x15, &[1, 0x1a2a_3a4a]).expect("it fits");
        assert_eq!(out[..len], [0xd5, 0, 0, 0, 0, 2, 1, 2, 1, 3, 0, 0, 0, 1, 0x1a, 0x2a, 0x3a, 0x4a]);
        let long = Long::read(&out[..len]).expect("it is well-formed");
        assert_eq!(long.header, PacketHeader::VersionNegotiation { dcid: id(&[1, 2]), scid: id(&[3]) });
        assert_eq!(negotiable_versions(&out[long.number_at..len]).collect::<Vec<_>>(), [1, 0x1a2a_3a4a]);
    }

    #[test]
    fn a_version_negotiation_packet_echoes_ids_of_255_bytes_and_no_longer() {
        let mut out = [0; 600];
        let len = version_negotiation(&mut out, &[1; 255], &[2; 255], 0, &[1]).expect("it fits");
        let echoed = Invariant::read(&out[..len], 0).expect("it is well-formed");
        assert_eq!(echoed.dcid(), [1; 255]);
        assert_eq!(version_negotiation(&mut out, &[1; 256], &[], 0, &[1]), None);
        assert_eq!(version_negotiation(&mut out[..10], &[1; 8], &[], 0, &[1]), None);
    }
}
