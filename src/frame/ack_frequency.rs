//! ACK_FREQUENCY and IMMEDIATE_ACK (draft-ietf-quic-ack-frequency, Sections 4 and 5).

use super::{Malformed, Outgoing, Record};
use crate::codec::{Encode, Reader, Writer};
use crate::varint::size;

/// How often its sender wants what it sends to be acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AckFrequency {
    /// Newer frames have larger ones.
    pub sequence: u64,
    /// Ack-eliciting packets that are received without an ACK, at most; more than this many ask for one.
    pub threshold: u64,
    /// Longest delay of an ACK, in microseconds.
    pub max_ack_delay: u64,
    /// Packets by which a gap is exceeded before it is told at once; 0: it is not.
    pub reordering: u64,
}

impl AckFrequency {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            sequence: reader.varint()?,
            threshold: reader.varint()?,
            max_ack_delay: reader.varint()?,
            reordering: reader.varint()?,
        })
    }

    fn fields(&self) -> [u64; 4] {
        [self.sequence, self.threshold, self.max_ack_delay, self.reordering]
    }
}

impl Encode for AckFrequency {
    fn encoded_len(&self) -> usize {
        2 + self.fields().into_iter().map(size).sum::<usize>()
    }

    fn encode(&self, out: &mut Writer<'_>) {
        out.varint(0xaf);
        self.fields().into_iter().for_each(|field| out.varint(field));
    }
}

impl Outgoing for AckFrequency {
    fn record(&self) -> Option<Record> {
        Some(Record::AckFrequency { sequence: self.sequence })
    }
}

/// Asks for an acknowledgement at once. Not sent again when it is lost: what is sent next can ask for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImmediateAck;

impl Encode for ImmediateAck {
    fn encoded_len(&self) -> usize {
        1
    }

    fn encode(&self, out: &mut Writer<'_>) {
        out.u8(0x1f);
    }
}

impl Outgoing for ImmediateAck {
    fn record(&self) -> Option<Record> {
        None
    }
}
