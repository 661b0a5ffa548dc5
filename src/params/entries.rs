//! The list form of transport parameters: identifier, length, value (RFC 9000, Section 18).
//!
//! Reading borrows and allocates nothing; a length is a claim that the bytes must keep.

use crate::codec::{Reader, Writer};
use crate::error::TransportError;
use crate::id::{ConnectionId, ResetToken};
use crate::varint::VarInt;

/// Unknown identifiers that are watched for repetitions. A peer has a few (reserved ones, extensions); of
/// more than this many we do not care whether they repeat, since all are ignored anyway.
const MAX_WATCHED: usize = 32;

/// One parameter as received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Which.
    pub id: u64,
    value: &'a [u8],
}

impl<'a> Entry<'a> {
    /// Its raw value.
    pub fn bytes(&self) -> &'a [u8] {
        self.value
    }

    /// Its value as exactly one integer.
    pub fn integer(&self) -> Result<u64, TransportError> {
        const MALFORMED: TransportError =
            TransportError::transport_parameter("a transport parameter is not one integer");
        let mut reader = Reader::new(self.value);
        let integer = reader.varint().map_err(|_| MALFORMED)?;
        if reader.is_empty() { Ok(integer) } else { Err(MALFORMED) }
    }

    /// Its value as a connection ID, perhaps of no bytes.
    pub fn connection_id(&self) -> Result<ConnectionId, TransportError> {
        ConnectionId::new(self.value)
            .ok_or(TransportError::transport_parameter("a connection ID is longer than 20 bytes"))
    }

    /// Its value as a stateless reset token.
    pub fn token(&self) -> Result<ResetToken, TransportError> {
        let bytes = self.value.try_into();
        bytes
            .map(ResetToken)
            .map_err(|_| TransportError::transport_parameter("a stateless reset token is not of 16 bytes"))
    }

    /// Its value as a flag, which has none.
    pub fn flag(&self) -> Result<bool, TransportError> {
        if self.value.is_empty() {
            Ok(true)
        } else {
            Err(TransportError::transport_parameter("a flag has a value"))
        }
    }
}

/// Reads parameters one by one; a repeated one is an error (RFC 9000, Section 7.4).
#[derive(Debug)]
pub struct Entries<'a> {
    reader: Reader<'a>,
    seen: [u64; MAX_WATCHED],
    count: usize,
    /// The identifiers below 128, which include all that are defined here.
    low: u128,
}

impl<'a> Entries<'a> {
    /// Starts at the front of the TLS extension's value.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { reader: Reader::new(bytes), seen: [0; MAX_WATCHED], count: 0, low: 0 }
    }

    /// Whether `id` came before; it has now.
    fn repeats(&mut self, id: u64) -> bool {
        if id < 128 {
            let bit = 1 << id;
            let known = self.low & bit != 0;
            self.low |= bit;
            return known;
        }
        if self.seen.iter().take(self.count).any(|&seen| seen == id) {
            return true;
        }
        if let Some(slot) = self.seen.get_mut(self.count) {
            *slot = id;
            self.count += 1;
        }
        false
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, TransportError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let entry = self.reader.varint().and_then(|id| Ok(Entry { id, value: self.reader.prefixed()? }));
        let outcome = match entry {
            Err(_) => Err(TransportError::transport_parameter("the transport parameters are truncated")),
            Ok(entry) if self.repeats(entry.id) => {
                Err(TransportError::transport_parameter("a transport parameter is given twice"))
            }
            Ok(entry) => return Some(Ok(entry)),
        };
        self.reader = Reader::new(&[]);
        Some(outcome)
    }
}

fn put_varint(out: &mut Vec<u8>, value: u64) {
    let mut buf = [0; 8];
    let mut writer = Writer::new(&mut buf);
    writer.varint(VarInt::saturating(value).into_inner());
    let len = writer.written();
    out.extend_from_slice(&buf[..len]);
}

/// Appends a parameter.
pub fn put(out: &mut Vec<u8>, id: u64, value: &[u8]) {
    put_varint(out, id);
    put_varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Appends a parameter that is one integer; a value too large to be written becomes the largest that is not.
pub fn put_integer(out: &mut Vec<u8>, id: u64, value: u64) {
    put_varint(out, id);
    put_varint(out, VarInt::saturating(value).size() as u64);
    put_varint(out, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<(u64, &[u8])>, TransportError> {
        Entries::new(bytes).map(|entry| entry.map(|e| (e.id, e.bytes()))).collect()
    }

    #[test]
    fn a_list_is_read_in_order() {
        assert_eq!(
            read(&[4, 1, 9, 0x40, 0x64, 1, 15, 12, 0]),
            Ok(vec![(4, &[9][..]), (100, &[15]), (12, &[])])
        );
        assert_eq!(read(&[]), Ok(vec![]));
    }

    #[test]
    fn a_truncated_list_is_an_error_and_the_end() {
        for bytes in
            [&[4][..], &[4, 1], &[4, 2, 9], &[0x40], &[4, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]]
        {
            assert!(read(bytes).is_err());
            assert_eq!(Entries::new(bytes).count(), 1);
        }
    }

    #[test]
    fn a_repeated_parameter_is_an_error_known_or_not() {
        assert!(read(&[4, 1, 9, 4, 1, 9]).is_err());
        assert!(read(&[0x40, 0x64, 0, 0x40, 0x64, 0]).is_err());
        assert!(read(&[0x5a, 0xaa, 0, 1, 0, 0x5a, 0xaa, 0]).is_err());
        // The same identifier in another encoding is the same identifier.
        assert!(read(&[4, 0, 0x40, 4, 0]).is_err());
    }

    #[test]
    fn many_unknown_parameters_are_read_without_watching_them_all() {
        let mut bytes = Vec::new();
        (0..2000).for_each(|i| put(&mut bytes, 1000 + i, b""));
        put(&mut bytes, 2999, b"");
        assert_eq!(read(&bytes).map(|list| list.len()), Ok(2001));
        put(&mut bytes, 1000, b"");
        assert!(read(&bytes).is_err());
    }

    #[test]
    fn an_integer_is_all_of_its_value() {
        let integer = |value| Entry { id: 4, value }.integer().ok();
        assert_eq!(integer(&[0x40, 9]), Some(9));
        assert_eq!(integer(&[]), None);
        assert_eq!(integer(&[0x40]), None);
        assert_eq!(integer(&[9, 0]), None);
    }

    #[test]
    fn integers_are_written_in_their_shortest_form() {
        let mut out = Vec::new();
        put_integer(&mut out, 0x64, 15);
        put_integer(&mut out, 1, 60_000);
        put_integer(&mut out, 4, u64::MAX);
        let max = [4, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(out, [&[0x40, 0x64, 1, 15, 1, 4, 0x80, 0, 0xea, 0x60][..], &max].concat());
    }
}
