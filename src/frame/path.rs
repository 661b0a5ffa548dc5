//! PATH_CHALLENGE and PATH_RESPONSE (RFC 9000, Sections 19.17 and 19.18).

use super::{Malformed, Outgoing, Record};
use crate::codec::{Encode, Reader, Writer};

/// Asks whether a path works. Never sent again with the same data, so it leaves no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathChallenge {
    /// Unpredictable bytes that the answer must repeat.
    pub data: [u8; 8],
}

impl PathChallenge {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { data: reader.array()? })
    }
}

impl Encode for PathChallenge {
    fn encoded_len(&self) -> usize {
        9
    }

    fn encode(&self, out: &mut Writer<'_>) {
        out.u8(0x1a);
        out.bytes(&self.data);
    }
}

impl Outgoing for PathChallenge {
    const PROBING: bool = true;
    const SEEKING: bool = true;
    fn record(&self) -> Option<Record> {
        None
    }
}

/// Repeats the data of a PATH_CHALLENGE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathResponse {
    /// The challenge's bytes.
    pub data: [u8; 8],
}

impl PathResponse {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { data: reader.array()? })
    }
}

impl Encode for PathResponse {
    fn encoded_len(&self) -> usize {
        9
    }

    fn encode(&self, out: &mut Writer<'_>) {
        out.u8(0x1b);
        out.bytes(&self.data);
    }
}

impl Outgoing for PathResponse {
    const PROBING: bool = true;
    const SEEKING: bool = true;
    fn record(&self) -> Option<Record> {
        Some(Record::PathResponse)
    }
}
