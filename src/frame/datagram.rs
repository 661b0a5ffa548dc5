//! DATAGRAM: bytes that are sent once, whole, and in no order (RFC 9221, Section 4).

use super::{Malformed, Outgoing, Record};
use crate::codec::{Encode, Reader, Writer};
use crate::varint::VarInt;

/// Bytes of the application, delivered whole or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// The bytes.
    pub data: &'a [u8],
    /// Length of the whole frame, its type and the length in it included.
    pub frame_len: usize,
}

impl<'a> Datagram<'a> {
    /// Reads what follows the type; without a length it reaches to the end of the packet.
    pub(super) fn read(has_len: bool, reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let before = reader.len();
        let data = if has_len { reader.prefixed()? } else { reader.bytes(reader.len())? };
        Ok(Self { data, frame_len: 1 + before - reader.len() })
    }
}

/// A DATAGRAM frame to be sent, always with its length; its bytes lie in up to two pieces.
#[derive(Debug, Clone, Copy)]
pub struct SendDatagram<'a> {
    /// Where it begins.
    pub head: &'a [u8],
    /// How it goes on.
    pub tail: &'a [u8],
}

impl SendDatagram<'_> {
    /// Bytes of a frame besides its data, of which there are `len`.
    pub fn overhead(len: usize) -> usize {
        1 + VarInt::saturating(len as u64).size()
    }
}

impl Encode for SendDatagram<'_> {
    fn encoded_len(&self) -> usize {
        let len = self.head.len() + self.tail.len();
        Self::overhead(len) + len
    }

    #[inline]
    fn encode(&self, out: &mut Writer<'_>) {
        out.u8(0x31);
        out.varint((self.head.len() + self.tail.len()) as u64);
        out.bytes(self.head);
        // It is almost never in two pieces.
        if !self.tail.is_empty() {
            out.bytes(self.tail);
        }
    }
}

impl Outgoing for SendDatagram<'_> {
    /// A lost one stays lost (RFC 9221, Section 5).
    fn record(&self) -> Option<Record> {
        None
    }
}
