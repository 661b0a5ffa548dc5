//! Packets: headers, numbers, coalescing, and the writers that fill datagrams (RFC 9000, Sections 12 and 17).

mod header;
pub mod number;
pub mod reset;
pub mod retry;
#[cfg(test)]
pub(crate) mod vectors;
mod version;
mod writer;

pub use header::{
    FIXED, Invariant, PacketHeader, dcid_of, has_fixed_bit, initial_token, is_short, negotiable_versions,
    peek, version_negotiation,
};
pub use version::{LongType, Version, reserved};
pub use writer::{Allowance, DatagramWriter, Draft, Full, Header, PacketWriter, TAG_LEN};

use crate::id::ConnectionId;
use crate::stats::DropReason;
use header::{LONG, Long};

/// One packet of a received datagram, still protected.
#[derive(Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What can be read without keys.
    pub header: PacketHeader,
    /// The bytes of this packet alone.
    pub bytes: &'a mut [u8],
    /// Where in `bytes` the packet number stands, or the body of a packet that has none.
    pub number_at: usize,
}

/// Takes a datagram apart into its coalesced packets (RFC 9000, Section 12.2).
///
/// A packet that is no good is an error and the ones behind it are still tried, as far as its length can be trusted.
#[derive(Debug)]
pub struct Packets<'a> {
    rest: &'a mut [u8],
    cid_len: usize,
    /// Whether the second bit of a packet may be clear.
    greased: bool,
    /// What the first packet said, once it was read.
    dcid: Option<ConnectionId>,
}

impl<'a> Packets<'a> {
    /// Begins with a whole datagram; `cid_len` is the length of the receiver's connection IDs.
    pub fn new(data: &'a mut [u8], cid_len: usize) -> Self {
        Self { rest: data, cid_len, greased: false, dcid: None }
    }

    /// Takes packets whose second bit is clear, too, if `permitted` (RFC 9287).
    #[must_use]
    pub fn greased(mut self, permitted: bool) -> Self {
        self.greased = permitted;
        self
    }

    /// A short packet is the last of its datagram, since it does not know its length.
    #[inline]
    fn short(&mut self, first: u8) -> Result<Packet<'a>, DropReason> {
        let bytes = std::mem::take(&mut self.rest);
        let number_at = 1 + self.cid_len;
        let dcid = bytes.get(1..number_at).and_then(ConnectionId::new).ok_or(DropReason::Malformed)?;
        if first & FIXED == 0 && !self.greased {
            return Err(DropReason::Malformed);
        }
        self.check_id(&dcid)?;
        Ok(Packet { header: PacketHeader::Short { dcid }, bytes, number_at })
    }

    fn long(&mut self) -> Result<Packet<'a>, DropReason> {
        let rest = std::mem::take(&mut self.rest);
        let Long { header, number_at, len, fixed } = Long::read(rest)?;
        let (bytes, rest) = rest.split_at_mut_checked(len).ok_or(DropReason::Malformed)?;
        self.rest = rest;
        if let Some(dcid) = header.dcid() {
            self.check_id(dcid)?;
        }
        if !fixed && !self.greased {
            return Err(DropReason::Malformed);
        }
        Ok(Packet { header, bytes, number_at })
    }

    /// All packets of a datagram go to one connection ID; the first one says which.
    #[inline]
    fn check_id(&mut self, dcid: &ConnectionId) -> Result<(), DropReason> {
        if self.dcid.get_or_insert(*dcid) == dcid { Ok(()) } else { Err(DropReason::ForeignId) }
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, DropReason>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let first = *self.rest.first()?;
        Some(if first & LONG == 0 { self.short(first) } else { self.long() })
    }
}

#[cfg(test)]
mod tests;
