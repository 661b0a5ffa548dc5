//! What a datagram looks like from outside: the types of its coalesced packets and their versions, without any key (RFC
//! 9000, Section 17; RFC 9369, Section 3.2).

use std::fmt;

/// The type of a packet as anybody on the way sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Version Negotiation.
    Version,
    /// Initial.
    Initial,
    /// 0-RTT.
    ZeroRtt,
    /// Handshake.
    Handshake,
    /// Retry.
    Retry,
    /// 1-RTT, or a stateless reset.
    OneRtt,
}

/// The packets of one datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shape {
    kinds: [Option<Kind>; 4],
    versions: [u32; 4],
}

/// Version 2, whose types of long headers are one above those of version 1.
const VERSION_2: u32 = 0x6b33_43cf;

impl Shape {
    /// Looks at a datagram; stops where it makes no sense.
    pub fn of(mut datagram: &[u8]) -> Self {
        let mut shape = Self::default();
        for (kind, version) in shape.kinds.iter_mut().zip(&mut shape.versions) {
            let Some((found, number, rest)) = first(datagram) else { break };
            (*kind, *version) = (Some(found), number);
            datagram = rest;
        }
        shape
    }

    /// Whether a packet of this type is in it.
    pub fn has(&self, kind: Kind) -> bool {
        self.kinds.contains(&Some(kind))
    }

    /// The types of its packets, and their versions; zero of those that name none.
    pub fn packets(&self) -> impl Iterator<Item = (Kind, u32)> + '_ {
        self.kinds.iter().zip(&self.versions).filter_map(|(kind, version)| Some(((*kind)?, *version)))
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for kind in self.kinds.iter().flatten() {
            write!(f, "{separator}{kind:?}")?;
            separator = "+";
        }
        if self.kinds[0].is_none() { f.write_str("?") } else { Ok(()) }
    }
}

/// The type and the version of the first packet, and what follows it.
fn first(datagram: &[u8]) -> Option<(Kind, u32, &[u8])> {
    let (&byte, rest) = datagram.split_first()?;
    if byte & 0x80 == 0 {
        // Padding between packets, or behind them, is no packet. The QUIC bit says nothing (RFC 9287).
        return datagram.iter().any(|byte| *byte != 0).then_some((Kind::OneRtt, 0, &[][..]));
    }
    let (version, rest) = rest.split_first_chunk::<4>()?;
    let version = u32::from_be_bytes(*version);
    if version == 0 {
        return Some((Kind::Version, version, &[]));
    }
    let rest = skip_id(skip_id(rest)?)?;
    let long = if version == VERSION_2 { byte.wrapping_sub(0x10) } else { byte };
    let (kind, rest) = match long & 0x30 {
        0x00 => {
            let (token, rest) = varint(rest)?;
            (Kind::Initial, skip_body(rest.get(token..)?)?)
        }
        0x10 => (Kind::ZeroRtt, skip_body(rest)?),
        0x20 => (Kind::Handshake, skip_body(rest)?),
        _ => (Kind::Retry, &[][..]),
    };
    Some((kind, version, rest))
}

fn skip_id(bytes: &[u8]) -> Option<&[u8]> {
    let (&len, rest) = bytes.split_first()?;
    rest.get(usize::from(len)..)
}

fn skip_body(bytes: &[u8]) -> Option<&[u8]> {
    let (len, rest) = varint(bytes)?;
    rest.get(len..)
}

fn varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let len = 1 << (bytes.first()? >> 6);
    let (own, rest) = bytes.split_at_checked(len)?;
    let value =
        own.iter().skip(1).fold(u64::from(own[0] & 0x3f), |value, byte| value << 8 | u64::from(*byte));
    Some((usize::try_from(value).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coalesced_packets_are_seen_without_keys() {
        // Initial with empty IDs and token and a body of 2 bytes, Handshake with a body of 1 byte, 1-RTT.
        let initial = [0xc0, 0, 0, 0, 1, 0, 0, 0, 2, 7, 7];
        let handshake = [0xe0, 0, 0, 0, 1, 0, 0, 1, 7];
        let datagram = [&initial[..], &handshake[..], &[0x40, 1, 2]].concat();
        let shape = Shape::of(&datagram);
        assert_eq!(shape.to_string(), "Initial+Handshake+OneRtt");
        assert!(shape.has(Kind::Handshake) && !shape.has(Kind::Retry));
        assert_eq!(Shape::of(&[]).to_string(), "?");
    }

    #[test]
    fn packets_of_version_2_are_seen_as_what_they_are() {
        let initial = [0xd0, 0x6b, 0x33, 0x43, 0xcf, 0, 0, 0, 2, 7, 7];
        let handshake = [0xf0, 0x6b, 0x33, 0x43, 0xcf, 0, 0, 1, 7];
        let shape = Shape::of(&[&initial[..], &handshake[..]].concat());
        let packets: Vec<_> = shape.packets().collect();
        assert_eq!(packets, [(Kind::Initial, 0x6b33_43cf), (Kind::Handshake, 0x6b33_43cf)]);
        assert!(Shape::of(&[0xc0, 0x6b, 0x33, 0x43, 0xcf, 0, 0, 1]).has(Kind::Retry));
    }
}
