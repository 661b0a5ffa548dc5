//! PADDING, PING, NEW_TOKEN, HANDSHAKE_DONE and CONNECTION_CLOSE
//! (RFC 9000, Sections 19.1, 19.2, 19.7, 19.19 and 19.20).

use super::{Malformed, Outgoing, Record};
use crate::codec::{Encode, Reader, Writer};
use crate::error::{Code, TransportError};
use crate::id::PathId;
use crate::varint::{VarInt, size};

/// Skips the rest of a run of PADDING and returns its length.
pub(super) fn skip_padding(reader: &mut Reader<'_>) -> usize {
    let rest = reader.rest();
    let len = rest.iter().position(|&byte| byte != 0).unwrap_or(rest.len());
    reader.bytes(len).map_or(0, <[u8]>::len)
}

/// A run of this many bytes of nothing; a datagram is padded by its writer, so only tests write one.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Padding(pub usize);

#[cfg(test)]
impl Encode for Padding {
    fn encoded_len(&self) -> usize {
        self.0
    }

    fn encode(&self, out: &mut Writer<'_>) {
        out.zeros(self.0);
    }
}

#[cfg(test)]
impl Outgoing for Padding {
    const ACK_ELICITING: bool = false;
    const PROBING: bool = true;
    const SEEKING: bool = true;
    fn carries(&self) -> bool {
        false
    }
    fn record(&self) -> Option<Record> {
        None
    }
}

/// Asks for an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ping;

impl Encode for Ping {
    fn encoded_len(&self) -> usize {
        1
    }

    fn encode(&self, out: &mut Writer<'_>) {
        out.u8(0x01);
    }
}

impl Outgoing for Ping {
    const SEEKING: bool = true;
    fn record(&self) -> Option<Record> {
        None
    }
}

/// A PING that probes whether its path carries its datagram, which is padded to a size of interest.
///
/// The peer acknowledges it, but nobody waits for that: a probe that is lost arms no timer and speaks of no congestion
/// (RFC 9000, Section 14.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MtuProbe {
    /// The path.
    pub path: PathId,
    /// The size of the datagram in bytes.
    pub bytes: u16,
}

impl Encode for MtuProbe {
    fn encoded_len(&self) -> usize {
        Ping.encoded_len()
    }

    fn encode(&self, out: &mut Writer<'_>) {
        Ping.encode(out);
    }
}

impl Outgoing for MtuProbe {
    const ACK_ELICITING: bool = false;
    fn record(&self) -> Option<Record> {
        Some(Record::MtuProbe { path: self.path, bytes: self.bytes })
    }
}

/// A token for a later connection to the same server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewToken<'a> {
    /// At least one byte.
    pub token: &'a [u8],
}

impl<'a> NewToken<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let token = reader.prefixed()?;
        if token.is_empty() {
            return Err(Malformed("the token is empty"));
        }
        Ok(Self { token })
    }
}

impl Encode for NewToken<'_> {
    fn encoded_len(&self) -> usize {
        1 + size(self.token.len() as u64) + self.token.len()
    }

    fn encode(&self, out: &mut Writer<'_>) {
        out.u8(0x07);
        out.prefixed(self.token);
    }
}

impl Outgoing for NewToken<'_> {
    fn record(&self) -> Option<Record> {
        Some(Record::NewToken)
    }
}

/// The server has completed the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandshakeDone;

impl Encode for HandshakeDone {
    fn encoded_len(&self) -> usize {
        1
    }

    fn encode(&self, out: &mut Writer<'_>) {
        out.u8(0x1e);
    }
}

impl Outgoing for HandshakeDone {
    fn record(&self) -> Option<Record> {
        Some(Record::HandshakeDone)
    }
}

/// Ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionClose<'a> {
    /// A fault of the transport (0x1c).
    Transport {
        /// Which fault.
        code: Code,
        /// Type of the frame at fault, 0 if unknown.
        frame: u64,
        /// For people.
        reason: &'a [u8],
    },
    /// The application's wish (0x1d).
    Application {
        /// The application's code.
        code: VarInt,
        /// For people.
        reason: &'a [u8],
    },
}

impl<'a> ConnectionClose<'a> {
    /// The frame that reports a fault of the peer.
    pub fn fault(error: &TransportError) -> ConnectionClose<'static> {
        ConnectionClose::Transport { code: error.code, frame: error.frame, reason: error.reason.as_bytes() }
    }

    /// Whether the application asked for it.
    pub fn is_application(&self) -> bool {
        matches!(self, Self::Application { .. })
    }

    pub(super) fn read(application: bool, reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let code = reader.varint()?;
        if application {
            return Ok(Self::Application { code: VarInt::saturating(code), reason: reader.prefixed()? });
        }
        Ok(Self::Transport {
            code: Code::from_wire(code),
            frame: reader.varint()?,
            reason: reader.prefixed()?,
        })
    }
}

impl Encode for ConnectionClose<'_> {
    fn encoded_len(&self) -> usize {
        match self {
            Self::Transport { code, frame, reason } => {
                1 + size(code.into_inner()) + size(*frame) + size(reason.len() as u64) + reason.len()
            }
            Self::Application { code, reason } => 1 + code.size() + size(reason.len() as u64) + reason.len(),
        }
    }

    fn encode(&self, out: &mut Writer<'_>) {
        match self {
            Self::Transport { code, frame, reason } => {
                out.u8(0x1c);
                out.varint(code.into_inner());
                out.varint(*frame);
                out.prefixed(reason);
            }
            Self::Application { code, reason } => {
                out.u8(0x1d);
                out.varint(code.into_inner());
                out.prefixed(reason);
            }
        }
    }
}

impl Outgoing for ConnectionClose<'_> {
    const ACK_ELICITING: bool = false;
    fn record(&self) -> Option<Record> {
        None
    }
}
