//! Frames that carry or end data: STREAM, CRYPTO, RESET_STREAM, STOP_SENDING (RFC 9000, Sections 19.4 to 19.8).

use super::{Malformed, Outgoing, Record};
use crate::codec::{Encode, Reader, Writer};
use crate::id::StreamId;
use crate::varint::{VarInt, size};

/// Bytes of a stream, perhaps its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream<'a> {
    /// Which stream.
    pub id: StreamId,
    /// Where in the stream the data begins.
    pub offset: u64,
    /// Whether the stream ends with this data.
    pub fin: bool,
    /// At most 16 383 bytes when sent.
    pub data: &'a [u8],
}

impl<'a> Stream<'a> {
    /// Length of the frame without its data, for data of any length; written with a length field of two bytes.
    pub fn overhead(id: StreamId, offset: u64) -> usize {
        1 + size(id.into_inner()) + if offset == 0 { 0 } else { size(offset) } + 2
    }

    #[inline(always)]
    pub(super) fn read(code: u64, reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let id = StreamId::from_wire(reader.varint()?);
        let offset = if code & 0x04 != 0 { reader.varint()? } else { 0 };
        let data = if code & 0x02 != 0 { reader.prefixed()? } else { reader.bytes(reader.len())? };
        check_end(offset, data)?;
        Ok(Self { id, offset, fin: code & 0x01 != 0, data })
    }
}

/// No stream is longer than 2^62 - 1 bytes.
fn check_end(offset: u64, data: &[u8]) -> Result<(), Malformed> {
    if offset + data.len() as u64 > VarInt::MAX.into_inner() {
        return Err(Malformed("the data ends beyond 2^62 - 1"));
    }
    Ok(())
}

impl Encode for Stream<'_> {
    fn encoded_len(&self) -> usize {
        Self::overhead(self.id, self.offset) + self.data.len()
    }

    #[inline]
    fn encode(&self, out: &mut Writer<'_>) {
        let offset_bit = if self.offset == 0 { 0 } else { 0x04 };
        out.u8(0x08 | 0x02 | offset_bit | u8::from(self.fin));
        out.varint(self.id.into_inner());
        if self.offset != 0 {
            out.varint(self.offset);
        }
        out.varint_in_two(u16::try_from(self.data.len()).unwrap_or(u16::MAX));
        out.bytes(self.data);
    }
}

impl Outgoing for Stream<'_> {
    fn record(&self) -> Option<Record> {
        let len = u16::try_from(self.data.len()).unwrap_or(u16::MAX);
        Some(Record::Stream { id: self.id, offset: self.offset, len, fin: self.fin })
    }
}

/// Bytes of the TLS handshake at the level of their packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crypto<'a> {
    /// Where in the level's byte stream the data begins.
    pub offset: u64,
    /// At most 16 383 bytes when sent.
    pub data: &'a [u8],
}

impl<'a> Crypto<'a> {
    /// Length of the frame without its data; written with a length field of two bytes.
    pub fn overhead(offset: u64) -> usize {
        1 + size(offset) + 2
    }

    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let offset = reader.varint()?;
        let data = reader.prefixed()?;
        check_end(offset, data)?;
        Ok(Self { offset, data })
    }
}

impl Encode for Crypto<'_> {
    fn encoded_len(&self) -> usize {
        Self::overhead(self.offset) + self.data.len()
    }

    fn encode(&self, out: &mut Writer<'_>) {
        out.u8(0x06);
        out.varint(self.offset);
        out.varint_in_two(u16::try_from(self.data.len()).unwrap_or(u16::MAX));
        out.bytes(self.data);
    }
}

impl Outgoing for Crypto<'_> {
    fn record(&self) -> Option<Record> {
        let len = u16::try_from(self.data.len()).unwrap_or(u16::MAX);
        Some(Record::Crypto { offset: self.offset, len })
    }
}

/// The sender abandons a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResetStream {
    /// Which stream.
    pub id: StreamId,
    /// The application's reason.
    pub code: u64,
    /// How many bytes of flow control the stream has used for good.
    pub final_size: u64,
}

impl ResetStream {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            id: StreamId::from_wire(reader.varint()?),
            code: reader.varint()?,
            final_size: reader.varint()?,
        })
    }
}

impl Encode for ResetStream {
    fn encoded_len(&self) -> usize {
        1 + size(self.id.into_inner()) + size(self.code) + size(self.final_size)
    }

    fn encode(&self, out: &mut Writer<'_>) {
        out.u8(0x04);
        out.varint(self.id.into_inner());
        out.varint(self.code);
        out.varint(self.final_size);
    }
}

impl Outgoing for ResetStream {
    fn record(&self) -> Option<Record> {
        Some(Record::ResetStream { id: self.id })
    }
}

/// The receiver asks the sender to abandon a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopSending {
    /// Which stream.
    pub id: StreamId,
    /// The application's reason.
    pub code: u64,
}

impl StopSending {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { id: StreamId::from_wire(reader.varint()?), code: reader.varint()? })
    }
}

impl Encode for StopSending {
    fn encoded_len(&self) -> usize {
        1 + size(self.id.into_inner()) + size(self.code)
    }

    fn encode(&self, out: &mut Writer<'_>) {
        out.u8(0x05);
        out.varint(self.id.into_inner());
        out.varint(self.code);
    }
}

impl Outgoing for StopSending {
    fn record(&self) -> Option<Record> {
        Some(Record::StopSending { id: self.id })
    }
}
