//! Identifiers: connections, streams, paths, packet number spaces, and the two sides.

use std::fmt;

use crate::codec::{Reader, Truncated};

/// A packet number: below 2^62, never reused within a space (RFC 9000, Section 12.3).
pub type PacketNumber = u64;

/// Which end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The end that began the connection.
    Client,
    /// The end that accepted it.
    Server,
}

impl Side {
    /// The other end.
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    /// Whether this is the client.
    pub const fn is_client(self) -> bool {
        matches!(self, Self::Client)
    }
}

/// Whether data flows both ways on a stream or only from its initiator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dir {
    /// Both ends send.
    Bi,
    /// Only the initiator sends.
    Uni,
}

/// A stream (RFC 9000, Section 2.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u64);

impl StreamId {
    /// The stream number `index` of those that `initiator` opens in `dir`; `index` must be at most 2^60.
    pub const fn new(initiator: Side, dir: Dir, index: u64) -> Self {
        let initiator = match initiator {
            Side::Client => 0,
            Side::Server => 1,
        };
        let dir = match dir {
            Dir::Bi => 0,
            Dir::Uni => 2,
        };
        Self(index << 2 | dir | initiator)
    }

    /// The stream that a frame names.
    pub const fn from_wire(value: u64) -> Self {
        Self(value)
    }

    /// The number on the wire.
    pub const fn into_inner(self) -> u64 {
        self.0
    }

    /// Who opened it.
    pub const fn initiator(self) -> Side {
        if self.0 & 1 == 0 { Side::Client } else { Side::Server }
    }

    /// Which ways data flows.
    pub const fn dir(self) -> Dir {
        if self.0 & 2 == 0 { Dir::Bi } else { Dir::Uni }
    }

    /// Its position among the streams of the same initiator and direction, from zero.
    pub const fn index(self) -> u64 {
        self.0 >> 2
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/{:?}/{}", self.initiator(), self.dir(), self.index())
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A connection of one endpoint. A handle that outlived its connection names nothing, never another connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionHandle {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

/// A client that waits for the application's answer. A handle that outlived it names nothing, never another client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncomingHandle(pub(crate) u64);

/// A path within one connection; never reused there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId(pub u32);

impl PathId {
    /// Where something came from that cannot be answered: the name of no path.
    pub const MUTE: Self = Self(u32::MAX);
}

/// A packet number space (RFC 9000, Section 12.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpaceId {
    /// Initial packets.
    Initial,
    /// Handshake packets.
    Handshake,
    /// 0-RTT and 1-RTT packets.
    Data,
}

impl SpaceId {
    /// All three, in the order in which they stand in a datagram.
    pub const ALL: [Self; 3] = [Self::Initial, Self::Handshake, Self::Data];
}

/// The longest connection ID of QUIC version 1, in bytes.
pub const MAX_CID_LEN: usize = 20;

/// A connection ID of 0 to 20 bytes (RFC 9000, Section 5.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    len: u8,
    bytes: [u8; MAX_CID_LEN],
}

impl ConnectionId {
    /// The connection ID of no bytes.
    pub const EMPTY: Self = Self { len: 0, bytes: [0; MAX_CID_LEN] };

    /// The connection ID with these bytes; `None` if there are more than 20.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut id = Self { len: u8::try_from(bytes.len()).ok()?, bytes: [0; MAX_CID_LEN] };
        id.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(id)
    }

    /// Reads `len` bytes as a connection ID; `None` inside if `len` is above 20.
    pub(crate) fn read(reader: &mut Reader<'_>, len: u8) -> Result<Option<Self>, Truncated> {
        reader.bytes(len.into()).map(Self::new)
    }

    /// Whether these are its bytes.
    #[inline]
    pub(crate) fn is(&self, bytes: &[u8]) -> bool {
        // Eight bytes, which our own IDs have, are compared in one step.
        match <&[u8; 8]>::try_from(bytes) {
            Ok(eight) => self.len == 8 && self.bytes.first_chunk() == Some(eight),
            Err(_) => **self == *bytes,
        }
    }

    /// Its bytes, and zeros up to the longest ID's length.
    #[inline]
    pub(crate) fn padded(&self) -> &[u8; MAX_CID_LEN] {
        &self.bytes
    }

    /// Its length in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.len.into()
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl std::ops::Deref for ConnectionId {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The secret that ends a stateless reset (RFC 9000, Section 10.3). Comparison takes the same time for any two.
#[derive(Clone, Copy)]
pub struct ResetToken(pub [u8; 16]);

impl PartialEq for ResetToken {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
    }
}

impl Eq for ResetToken {}

impl fmt::Debug for ResetToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResetToken(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_id_tells_who_opened_it_and_which_way_it_flows() {
        let id = StreamId::new(Side::Server, Dir::Uni, 5);
        assert_eq!((id.into_inner(), id.initiator(), id.dir(), id.index()), (23, Side::Server, Dir::Uni, 5));
    }

    #[test]
    fn a_connection_id_of_twenty_one_bytes_does_not_exist() {
        assert!(ConnectionId::new(&[1; 20]).is_some());
        assert!(ConnectionId::new(&[1; 21]).is_none());
        assert!(ConnectionId::new(&[1; 300]).is_none());
    }

    #[test]
    fn a_reset_token_is_not_printed() {
        assert_eq!(format!("{:?}", ResetToken([7; 16])), "ResetToken(..)");
        assert_ne!(ResetToken([7; 16]), ResetToken([8; 16]));
    }
}
