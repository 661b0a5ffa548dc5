//! The server's preferred address: where it would rather be, told in the handshake (RFC 9000, Sections 9.6
//! and 18.2).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

use crate::codec::{Reader, Truncated, Writer};
use crate::error::TransportError;
use crate::id::{ConnectionId, ResetToken};

/// Longest value: two endpoints, a connection ID with its length, a token.
const MAX_LEN: usize = 4 + 2 + 16 + 2 + 1 + 20 + 16;

/// A preferred address and the connection ID to use there, whose sequence number is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreferredAddress {
    /// The IPv4 endpoint; `None` is all zeros on the wire. Kept as sent: [`Self::like`] says whether it can
    /// be used.
    pub v4: Option<SocketAddrV4>,
    /// The IPv6 endpoint; `None` is all zeros on the wire.
    pub v6: Option<SocketAddrV6>,
    /// The connection ID, of 1 to 20 bytes.
    pub id: ConnectionId,
    /// The token that a stateless reset of that ID ends with.
    pub token: ResetToken,
}

impl PreferredAddress {
    /// Reads the parameter's value.
    ///
    /// # Errors
    ///
    /// TRANSPORT_PARAMETER_ERROR if its length is wrong or its connection ID is not of 1 to 20 bytes.
    pub fn decode(value: &[u8]) -> Result<Self, TransportError> {
        const LENGTH: TransportError =
            TransportError::transport_parameter("preferred_address has the wrong length");
        let mut reader = Reader::new(value);
        let preferred = Self::read(&mut reader).map_err(|_| LENGTH)?.ok_or(
            TransportError::transport_parameter("preferred_address has a connection ID not of 1 to 20 bytes"),
        )?;
        if reader.is_empty() { Ok(preferred) } else { Err(LENGTH) }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Option<Self>, Truncated> {
        let v4 = SocketAddrV4::new(reader.array::<4>()?.into(), reader.u16()?);
        let v6 = SocketAddrV6::new(reader.array::<16>()?.into(), reader.u16()?, 0, 0);
        let len = reader.u8()?;
        let Some(id) = ConnectionId::read(reader, len)?.filter(|id| !id.is_empty()) else { return Ok(None) };
        let token = ResetToken(reader.array()?);
        let v4 = Some(v4).filter(|a| !a.ip().is_unspecified() || a.port() != 0);
        let v6 = Some(v6).filter(|a| !a.ip().is_unspecified() || a.port() != 0);
        Ok(Some(Self { v4, v6, id, token }))
    }

    /// Hands the parameter's value to `each`.
    pub fn encode(&self, each: impl FnOnce(&[u8])) {
        let mut buf = [0; MAX_LEN];
        let mut out = Writer::new(&mut buf);
        out.bytes(&self.v4.map_or(Ipv4Addr::UNSPECIFIED, |a| *a.ip()).octets());
        out.u16(self.v4.map_or(0, |a| a.port()));
        out.bytes(&self.v6.map_or(Ipv6Addr::UNSPECIFIED, |a| *a.ip()).octets());
        out.u16(self.v6.map_or(0, |a| a.port()));
        out.prefixed(&self.id);
        out.bytes(&self.token.0);
        let len = out.written();
        each(&buf[..len]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9000, Figure 22, by hand: 192.0.2.7:6666, no IPv6, connection ID 0a0b, token 16 times 05.
    fn only_v4() -> Vec<u8> {
        let parts: [&[u8]; 5] = [&[192, 0, 2, 7, 0x1a, 0x0a], &[0; 18], &[2], &[0x0a, 0x0b], &[5; 16]];
        parts.concat()
    }

    fn encoded(preferred: &PreferredAddress) -> Vec<u8> {
        let mut out = Vec::new();
        preferred.encode(|value| out.extend_from_slice(value));
        out
    }

    #[test]
    fn an_address_of_one_family_leaves_the_other_zero() {
        let preferred = PreferredAddress::decode(&only_v4()).expect("a proper value");
        assert_eq!(preferred.v4, Some("192.0.2.7:6666".parse().expect("an address")));
        assert_eq!(preferred.v6, None);
        assert_eq!(&*preferred.id, [0x0a, 0x0b]);
        assert_eq!(preferred.token, ResetToken([5; 16]));
        assert_eq!(encoded(&preferred), only_v4());
    }

    #[test]
    fn half_an_endpoint_is_kept_but_not_used() {
        let mut bytes = only_v4();
        bytes[4..6].fill(0);
        let preferred = PreferredAddress::decode(&bytes).expect("a proper value");
        assert_eq!(encoded(&preferred), bytes);
    }

    #[test]
    fn a_value_too_short_or_too_long_is_an_error() {
        let bytes = only_v4();
        assert!((0..bytes.len()).all(|len| PreferredAddress::decode(&bytes[..len]).is_err()));
        assert!(PreferredAddress::decode(&[bytes, vec![0]].concat()).is_err());
    }

    #[test]
    fn its_connection_id_has_one_to_twenty_bytes() {
        let with = |len: u8| {
            let id = vec![7; len.into()];
            PreferredAddress::decode(&[&[1; 24][..], &[len], &id, &[5; 16]].concat()).is_ok()
        };
        assert_eq!([0, 1, 20, 21].map(with), [false, true, true, false]);
    }
}
