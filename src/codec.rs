//! The two byte cursors: [`Reader`] over bytes from anywhere, [`Writer`] over room that was measured before.
//!
//! Everything on the wire goes through these. A reader never panics and never allocates; what is missing is
//! [`Truncated`]. A writer is given room by [`PacketWriter`](crate::packet::PacketWriter), which measures first, so
//! running out of it is our own fault and panics.

use crate::varint;

/// The bytes end before the value does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes end before the value does")]
pub struct Truncated;

/// A cursor that reads from the front of a borrowed slice.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the front of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// How many bytes have not been read yet.
    pub fn len(&self) -> usize {
        self.rest.len()
    }

    /// Whether everything was read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes the next `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], Truncated> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Takes the next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// Takes one byte.
    pub fn u8(&mut self) -> Result<u8, Truncated> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Takes a big-endian 16-bit number.
    pub fn u16(&mut self) -> Result<u16, Truncated> {
        self.array().map(u16::from_be_bytes)
    }

    /// Takes a big-endian 32-bit number.
    pub fn u32(&mut self) -> Result<u32, Truncated> {
        self.array().map(u32::from_be_bytes)
    }

    /// Takes a variable-length integer (RFC 9000, Section 16); any of its four encodings is accepted.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, Truncated> {
        // Where eight bytes are left, any encoding is among them, and no branch depends on which it is.
        if let Some(eight) = self.rest.first_chunk() {
            let word = u64::from_be_bytes(*eight);
            let len = 1 << (word >> 62);
            (_, self.rest) = self.rest.split_at_checked(len).ok_or(Truncated)?;
            return Ok((word & varint::VarInt::MAX.into_inner()) >> (64 - 8 * len));
        }
        self.last_varint()
    }

    /// A variable-length integer among the last bytes.
    fn last_varint(&mut self) -> Result<u64, Truncated> {
        let first = *self.rest.first().ok_or(Truncated)?;
        let low = u64::from(first & 0x3f);
        match first >> 6 {
            0 => self.u8().map(|_| low),
            1 => self.u16().map(|v| u64::from(v & 0x3fff)),
            2 => self.u32().map(|v| u64::from(v & 0x3fff_ffff)),
            _ => self.array().map(|v| u64::from_be_bytes(v) & varint::VarInt::MAX.into_inner()),
        }
    }

    /// Takes bytes that are preceded by their length as a variable-length integer.
    pub fn prefixed(&mut self) -> Result<&'a [u8], Truncated> {
        let len = self.varint()?;
        self.bytes(usize::try_from(len).map_err(|_| Truncated)?)
    }
}

/// A cursor that writes from the front of a borrowed slice.
#[derive(Debug)]
pub struct Writer<'a> {
    buf: &'a mut [u8],
    at: usize,
}

impl<'a> Writer<'a> {
    /// Starts at the front of `buf`.
    pub fn new(buf: &'a mut [u8]) -> Self {
        Self { buf, at: 0 }
    }

    /// How many bytes were written.
    pub fn written(&self) -> usize {
        self.at
    }

    #[cfg(test)]
    /// How many bytes still fit.
    pub fn room(&self) -> usize {
        self.buf.len() - self.at
    }

    /// Writes `bytes`.
    ///
    /// # Panics
    ///
    /// If they do not fit: whoever writes has measured.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len();
        self.buf[self.at..end].copy_from_slice(bytes);
        self.at = end;
    }

    /// Writes the first `len` bytes of `padded`. The others may be written as well, and are to be written over: a copy of
    /// constant length is a single instruction.
    ///
    /// # Panics
    ///
    /// As for [`Writer::bytes`].
    #[inline]
    pub fn front_of<const N: usize>(&mut self, padded: &[u8; N], len: usize) {
        match self.buf.get_mut(self.at..).and_then(|rest| rest.first_chunk_mut::<N>()) {
            Some(room) => {
                *room = *padded;
                self.at += len;
            }
            None => self.bytes(&padded[..len]),
        }
    }

    /// Writes one byte.
    #[inline]
    pub fn u8(&mut self, value: u8) {
        self.buf[self.at] = value;
        self.at += 1;
    }

    /// Writes a big-endian 16-bit number.
    #[inline]
    pub fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    /// Writes a big-endian 32-bit number.
    #[inline]
    pub fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    /// Writes a variable-length integer in its shortest form; `value` must be below 2^62. Up to eight bytes may be
    /// written where there is room, and those that are too many are to be written over.
    #[inline]
    pub fn varint(&mut self, value: u64) {
        debug_assert!(value <= varint::VarInt::MAX.into_inner());
        let log_len = varint::log_size(value);
        let len = 1 << log_len;
        let word = u64::from(log_len) << 62 | value << (64 - 8 * len);
        self.front_of(&word.to_be_bytes(), len);
    }

    /// Writes `value`, below 2^14, as a variable-length integer of two bytes.
    #[inline]
    pub fn varint_in_two(&mut self, value: u16) {
        debug_assert!(value < 0x4000);
        self.u16(value | 0x4000);
    }

    /// Writes `bytes` preceded by their length as a variable-length integer.
    pub fn prefixed(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.bytes(bytes);
    }

    /// Writes `len` zero bytes.
    pub fn zeros(&mut self, len: usize) {
        let end = self.at + len;
        self.buf[self.at..end].fill(0);
        self.at = end;
    }
}

/// Something that can be written, and knows beforehand how long it will be.
pub trait Encode {
    /// Exact length of what [`Encode::encode`] writes, in bytes.
    fn encoded_len(&self) -> usize;
    /// Writes it.
    fn encode(&self, out: &mut Writer<'_>);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_rfc_9000_a_1_are_read() {
        let read = |bytes: &[u8]| Reader::new(bytes).varint();
        assert_eq!(read(&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c]), Ok(151_288_809_941_952_652));
        assert_eq!(read(&[0x9d, 0x7f, 0x3e, 0x7d]), Ok(494_878_333));
        assert_eq!(read(&[0x7b, 0xbd]), Ok(15_293));
        assert_eq!(read(&[0x25]), Ok(37));
        assert_eq!(read(&[0x40, 0x25]), Ok(37));
    }

    #[test]
    fn a_truncated_number_is_an_error_at_every_length() {
        for bytes in [&[][..], &[0x40], &[0x80, 0, 0], &[0xc0, 0, 0, 0, 0, 0, 0]] {
            assert_eq!(Reader::new(bytes).varint(), Err(Truncated));
        }
    }

    #[test]
    fn numbers_are_written_in_their_shortest_form() {
        for value in [0, 63, 64, 16_383, 16_384, (1 << 30) - 1, 1 << 30, (1 << 62) - 1] {
            let mut buf = [0; 8];
            let mut out = Writer::new(&mut buf);
            out.varint(value);
            let len = out.written();
            assert_eq!(len, varint::size(value));
            assert_eq!(Reader::new(&buf[..len]).varint(), Ok(value));
        }
    }

    #[test]
    fn a_claimed_length_beyond_the_bytes_is_truncated() {
        assert_eq!(Reader::new(&[0xff; 9]).prefixed(), Err(Truncated));
        assert_eq!(Reader::new(&[2, b'o', b'k', 3]).prefixed(), Ok(&b"ok"[..]));
    }
}
