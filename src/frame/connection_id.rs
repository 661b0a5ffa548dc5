//! NEW_CONNECTION_ID and RETIRE_CONNECTION_ID (RFC 9000, Sections 19.15 and 19.16).

use super::{Malformed, Outgoing, Record};
use crate::codec::{Encode, Reader, Writer};
use crate::id::{ConnectionId, ResetToken};
use crate::varint::size;

/// A connection ID that the receiver may use towards the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewConnectionId {
    /// Its sequence number.
    pub sequence: u64,
    /// All connection IDs with a lower sequence number are to be retired.
    pub retire_prior_to: u64,
    /// The connection ID, of 1 to 20 bytes.
    pub id: ConnectionId,
    /// The token that a stateless reset of it ends with.
    pub token: ResetToken,
}

impl NewConnectionId {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let sequence = reader.varint()?;
        let retire_prior_to = reader.varint()?;
        if retire_prior_to > sequence {
            return Err(Malformed("the frame retires the connection ID it issues"));
        }
        let len = reader.u8()?;
        let id = ConnectionId::read(reader, len)?
            .filter(|id| !id.is_empty())
            .ok_or(Malformed("a connection ID is not of 1 to 20 bytes"))?;
        Ok(Self { sequence, retire_prior_to, id, token: ResetToken(reader.array()?) })
    }
}

impl Encode for NewConnectionId {
    fn encoded_len(&self) -> usize {
        1 + size(self.sequence) + size(self.retire_prior_to) + 1 + self.id.len() + 16
    }

    fn encode(&self, out: &mut Writer<'_>) {
        out.u8(0x18);
        out.varint(self.sequence);
        out.varint(self.retire_prior_to);
        out.prefixed(&self.id);
        out.bytes(&self.token.0);
    }
}

impl Outgoing for NewConnectionId {
    const PROBING: bool = true;
    fn record(&self) -> Option<Record> {
        Some(Record::NewConnectionId { sequence: self.sequence })
    }
}

/// A connection ID that will not be used any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetireConnectionId {
    /// Its sequence number.
    pub sequence: u64,
}

impl RetireConnectionId {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { sequence: reader.varint()? })
    }
}

impl Encode for RetireConnectionId {
    fn encoded_len(&self) -> usize {
        1 + size(self.sequence)
    }

    fn encode(&self, out: &mut Writer<'_>) {
        out.u8(0x19);
        out.varint(self.sequence);
    }
}

impl Outgoing for RetireConnectionId {
    fn record(&self) -> Option<Record> {
        Some(Record::RetireConnectionId { sequence: self.sequence })
    }
}
