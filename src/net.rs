//! What a driver and an endpoint say to each other about datagrams: where from, where to, how marked, how cut.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;

/// The smallest datagram every path must carry, in UDP payload bytes (RFC 9000, Section 14).
pub const MIN_DATAGRAM: u16 = 1200;

/// The driver's own small number for one of its sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SocketKey(pub u32);

/// Our end of a path: a socket, and the local address if it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Local {
    /// Which of the driver's sockets.
    pub socket: SocketKey,
    /// The address datagrams leave from. `None`: the socket is bound to a wildcard and the kernel chooses.
    pub ip: Option<IpAddr>,
}

impl Local {
    /// Whether the two may be the same place: they agree as far as both are known.
    pub fn matches(self, other: Self) -> bool {
        self.socket == other.socket && (self.ip.is_none() || other.ip.is_none() || self.ip == other.ip)
    }
}

/// The two ends of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FourTuple {
    /// Our end.
    pub local: Local,
    /// The peer's end; an IPv4 address as such and not mapped into IPv6, since the two are families of their own.
    pub remote: SocketAddr,
}

impl FourTuple {
    /// Whether the two may be the same path: one peer, and places of ours that may be the same.
    #[inline]
    pub fn matches(self, other: Self) -> bool {
        self.remote == other.remote && self.local.matches(other.local)
    }
}

/// The ECN field of an IP packet (RFC 3168).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ecn {
    /// Not capable, or not known.
    #[default]
    NotEct,
    /// Capable, codepoint 0b10.
    Ect0,
    /// Capable, codepoint 0b01.
    Ect1,
    /// Congestion experienced.
    Ce,
}

/// How a datagram, or a train of them, arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// From where, and on which of our ends.
    pub path: FourTuple,
    /// The ECN field of all of them.
    pub ecn: Ecn,
    /// Length of each datagram but the last, where several were received in one call (GRO). `None`: it is one.
    pub segment: Option<NonZeroU16>,
}

impl Arrival {
    /// A single datagram without an ECN mark.
    pub fn single(path: FourTuple) -> Self {
        Self { path, ecn: Ecn::NotEct, segment: None }
    }
}

/// Datagrams that wait in the caller's buffer to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transmit {
    /// To where, and from which of our ends.
    pub path: FourTuple,
    /// The ECN field to set.
    pub ecn: Ecn,
    /// Bytes in the buffer, all datagrams together.
    pub len: usize,
    /// Length of each datagram but the last, if there is more than one (GSO).
    pub segment: Option<NonZeroU16>,
}

impl Transmit {
    /// The datagrams one by one, for sockets that cannot send a train; `out` is the buffer given to `poll`.
    pub fn datagrams<'a>(&self, out: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let segment = self.segment.map_or(self.len, |s| usize::from(s.get()));
        out[..self.len].chunks(segment.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_local_address_matches_any_on_the_same_socket() {
        let wildcard = Local { socket: SocketKey(1), ip: None };
        let bound = Local { socket: SocketKey(1), ip: Some([127, 0, 0, 1].into()) };
        assert!(wildcard.matches(bound) && bound.matches(wildcard));
        assert!(!bound.matches(Local { socket: SocketKey(2), ..bound }));
        assert!(!bound.matches(Local { ip: Some([127, 0, 0, 2].into()), ..bound }));
    }

    #[test]
    fn paths_to_one_peer_from_two_sockets_are_two() {
        let path = FourTuple { local: Local::default(), remote: ([127, 0, 0, 1], 1).into() };
        let local = Local { socket: SocketKey(1), ip: None };
        assert!(path.matches(path) && !path.matches(FourTuple { local, ..path }));
    }

    #[test]
    fn a_train_is_cut_into_datagrams() {
        let path = FourTuple { local: Local::default(), remote: ([127, 0, 0, 1], 1).into() };
        let transmit = Transmit { path, ecn: Ecn::NotEct, len: 5, segment: NonZeroU16::new(2) };
        let lengths: Vec<usize> = transmit.datagrams(&[0; 8]).map(<[u8]>::len).collect();
        assert_eq!(lengths, [2, 2, 1]);
    }
}
