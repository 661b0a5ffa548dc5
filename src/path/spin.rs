//! The spin bit of one path: an observer reads the round trip from it, if both sides let it (RFC 9000, Section 17.4).
//!
//! It stands outside of header protection. A path whose bit means nothing shows one that is as good as drawn at random
//! for each connection ID: a bit of the ID itself, which its issuer drew.

use crate::id::{ConnectionId, Side};

/// Where the bit is in the first byte of a short header.
const BIT: u8 = 0x20;
/// The bit follows what the peer shows.
const FOLLOWS: u8 = 0x01;
/// It shows the opposite.
const INVERTS: u8 = 0x02;

/// What is shown, and what it follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spin(u8);

impl Spin {
    /// A bit that means nothing, on a path where the peer is called this.
    pub fn silent(dcid: &ConnectionId) -> Self {
        Self(dcid.last().map_or(0, |byte| (byte & 1) * BIT))
    }

    /// A bit that an observer can read: a client inverts what it sees, a server reflects it.
    pub fn readable(side: Side) -> Self {
        match side {
            Side::Client => Self(FOLLOWS | INVERTS),
            Side::Server => Self(FOLLOWS),
        }
    }

    /// The peer is called otherwise from now on.
    pub fn restart(&mut self, dcid: &ConnectionId) {
        *self = if self.0 & FOLLOWS == 0 { Self::silent(dcid) } else { Self(self.0 & !BIT) };
    }

    /// The bit, where it stands in the first byte.
    #[inline]
    pub fn bit(self) -> u8 {
        self.0 & BIT
    }

    /// A packet arrived on the path, numbered above all others, that begins with this byte.
    pub fn on_received(&mut self, first: u8) {
        if self.0 & FOLLOWS != 0 {
            let shown = if self.0 & INVERTS == 0 { first } else { !first };
            self.0 = self.0 & !BIT | shown & BIT;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(last: u8) -> ConnectionId {
        ConnectionId::new(&[7, last]).expect("two bytes")
    }

    #[test]
    fn a_server_reflects_and_a_client_inverts() {
        let (mut server, mut client) = (Spin::readable(Side::Server), Spin::readable(Side::Client));
        assert_eq!((server.bit(), client.bit()), (0, 0));
        client.on_received(0x40);
        server.on_received(0x40 | client.bit());
        assert_eq!((server.bit(), client.bit()), (0x20, 0x20));
        client.on_received(0x40 | server.bit());
        server.on_received(0x40 | client.bit());
        assert_eq!((server.bit(), client.bit()), (0, 0));
    }

    #[test]
    fn another_connection_id_begins_at_zero() {
        let mut server = Spin::readable(Side::Server);
        server.on_received(0x60);
        server.restart(&id(1));
        assert_eq!(server.bit(), 0);
        server.on_received(0x60);
        assert_eq!(server.bit(), 0x20);
    }

    #[test]
    fn a_silent_bit_follows_nothing_but_the_connection_id() {
        let mut spin = Spin::silent(&id(1));
        spin.on_received(0x40);
        assert_eq!(spin.bit(), 0x20);
        spin.restart(&id(2));
        spin.on_received(0x60);
        assert_eq!(spin.bit(), 0);
        assert_eq!(Spin::silent(&ConnectionId::EMPTY).bit(), 0);
    }
}
