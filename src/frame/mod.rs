//! Frames: what packets are made of (RFC 9000, Section 19, those of ACK frequency and of server migration).
//!
//! [`Frames`] reads them from a packet's payload, borrowed; the same types are written through
//! [`PacketWriter`](crate::packet::PacketWriter), which remembers what it writes ([`Outgoing`]).
//! Which frame may stand in which packet is decided here, once.

mod ack;
mod ack_frequency;
mod connection_id;
mod control;
mod datagram;
mod flow;
mod kind;
mod migration;
#[cfg(test)]
mod mvfst_tests;
mod path;
mod record;
mod stream;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vector_tests;

pub use ack::{Ack, AckOut, EcnCounts};
pub use ack_frequency::{AckFrequency, ImmediateAck};
pub use connection_id::{NewConnectionId, RetireConnectionId};
#[cfg(test)]
pub use control::Padding;
pub use control::{ConnectionClose, HandshakeDone, MtuProbe, NewToken, Ping};
pub use datagram::{Datagram, SendDatagram};
pub use flow::{DataBlocked, MaxData, MaxStreamData, MaxStreams, StreamDataBlocked, StreamsBlocked};
pub use kind::FrameKind;
pub use migration::{
    MigrationTarget, PoolMigrationAddress, SendPoolAddress, SendServerMigrated, SendServerMigration,
    ServerMigration,
};
pub use path::{PathChallenge, PathResponse};
pub use record::Record;
pub use stream::{Crypto, ResetStream, StopSending, Stream};

use crate::codec::{Encode, Reader, Truncated};
use crate::error::TransportError;
use crate::id::Dir;

/// A frame that may be sent. Writing one without remembering it cannot be expressed.
pub trait Outgoing: Encode {
    /// Whether the peer must acknowledge it.
    const ACK_ELICITING: bool = true;
    /// Whether it may leave a packet a probing one (RFC 9000, Section 9.1).
    const PROBING: bool = false;
    /// Whether a seek, or a datagram to an address that never spoke, may hold it.
    const SEEKING: bool = false;
    /// Whether the packet is worth sending for this frame. PADDING is not, nor an ACK that is not due.
    fn carries(&self) -> bool {
        true
    }
    /// What to remember; `None` for what nobody reconsiders.
    fn record(&self) -> Option<Record>;
}

/// One received frame, borrowed from the packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A run of PADDING of this many bytes.
    Padding(usize),
    /// PING.
    Ping,
    /// ACK.
    Ack(Ack<'a>),
    /// RESET_STREAM.
    ResetStream(ResetStream),
    /// STOP_SENDING.
    StopSending(StopSending),
    /// CRYPTO.
    Crypto(Crypto<'a>),
    /// NEW_TOKEN.
    NewToken(NewToken<'a>),
    /// STREAM.
    Stream(Stream<'a>),
    /// MAX_DATA.
    MaxData(MaxData),
    /// MAX_STREAM_DATA.
    MaxStreamData(MaxStreamData),
    /// MAX_STREAMS.
    MaxStreams(MaxStreams),
    /// DATA_BLOCKED.
    DataBlocked(DataBlocked),
    /// STREAM_DATA_BLOCKED.
    StreamDataBlocked(StreamDataBlocked),
    /// STREAMS_BLOCKED.
    StreamsBlocked(StreamsBlocked),
    /// NEW_CONNECTION_ID.
    NewConnectionId(NewConnectionId),
    /// RETIRE_CONNECTION_ID.
    RetireConnectionId(RetireConnectionId),
    /// PATH_CHALLENGE.
    PathChallenge(PathChallenge),
    /// PATH_RESPONSE.
    PathResponse(PathResponse),
    /// CONNECTION_CLOSE.
    ConnectionClose(ConnectionClose<'a>),
    /// HANDSHAKE_DONE.
    HandshakeDone,
    /// ACK_FREQUENCY.
    AckFrequency(AckFrequency),
    /// IMMEDIATE_ACK.
    ImmediateAck,
    /// SERVER_MIGRATION.
    ServerMigration(ServerMigration),
    /// SERVER_MIGRATED.
    ServerMigrated,
    /// POOL_MIGRATION_ADDRESS.
    PoolMigrationAddress(PoolMigrationAddress),
    /// DATAGRAM.
    Datagram(Datagram<'a>),
}

/// The packet types a frame can stand in (RFC 9000, Table 3). 0-RTT and 1-RTT differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PacketKind {
    /// Initial.
    Initial,
    /// Handshake.
    Handshake,
    /// 0-RTT.
    ZeroRtt,
    /// 1-RTT.
    OneRtt,
}

impl Frame<'_> {
    /// Its type.
    pub fn kind(&self) -> FrameKind {
        match self {
            Self::Padding(_) => FrameKind::Padding,
            Self::Ping => FrameKind::Ping,
            Self::Ack(_) => FrameKind::Ack,
            Self::ResetStream(_) => FrameKind::ResetStream,
            Self::StopSending(_) => FrameKind::StopSending,
            Self::Crypto(_) => FrameKind::Crypto,
            Self::NewToken(_) => FrameKind::NewToken,
            Self::Stream(_) => FrameKind::Stream,
            Self::MaxData(_) => FrameKind::MaxData,
            Self::MaxStreamData(_) => FrameKind::MaxStreamData,
            Self::MaxStreams(_) => FrameKind::MaxStreams,
            Self::DataBlocked(_) => FrameKind::DataBlocked,
            Self::StreamDataBlocked(_) => FrameKind::StreamDataBlocked,
            Self::StreamsBlocked(_) => FrameKind::StreamsBlocked,
            Self::NewConnectionId(_) => FrameKind::NewConnectionId,
            Self::RetireConnectionId(_) => FrameKind::RetireConnectionId,
            Self::PathChallenge(_) => FrameKind::PathChallenge,
            Self::PathResponse(_) => FrameKind::PathResponse,
            Self::ConnectionClose(_) => FrameKind::ConnectionClose,
            Self::HandshakeDone => FrameKind::HandshakeDone,
            Self::AckFrequency(_) => FrameKind::AckFrequency,
            Self::ImmediateAck => FrameKind::ImmediateAck,
            Self::ServerMigration(_) => FrameKind::ServerMigration,
            Self::ServerMigrated => FrameKind::ServerMigrated,
            Self::PoolMigrationAddress(_) => FrameKind::PoolMigrationAddress,
            Self::Datagram(_) => FrameKind::Datagram,
        }
    }

    /// Whether it must be acknowledged.
    pub fn is_ack_eliciting(&self) -> bool {
        !matches!(self, Self::Padding(_) | Self::Ack(_) | Self::ConnectionClose(_))
    }

    /// Whether it can bring anything by itself: a packet of other frames alone is a waste of time, unless it
    /// acknowledges something.
    pub fn is_useful(&self) -> bool {
        match self {
            Self::Padding(_)
            | Self::Ping
            | Self::Ack(_)
            | Self::MaxData(_)
            | Self::MaxStreamData(_)
            | Self::MaxStreams(_)
            | Self::DataBlocked(_)
            | Self::StreamDataBlocked(_)
            | Self::StreamsBlocked(_)
            | Self::AckFrequency(_)
            | Self::ImmediateAck => false,
            Self::Stream(stream) => stream.fin || !stream.data.is_empty(),
            Self::ResetStream(_)
            | Self::StopSending(_)
            | Self::Crypto(_)
            | Self::NewToken(_)
            | Self::NewConnectionId(_)
            | Self::RetireConnectionId(_)
            | Self::PathChallenge(_)
            | Self::PathResponse(_)
            | Self::ConnectionClose(_)
            | Self::HandshakeDone
            | Self::ServerMigration(_)
            | Self::ServerMigrated
            | Self::PoolMigrationAddress(_)
            | Self::Datagram(_) => true,
        }
    }

    /// Whether it leaves a packet a probing one (RFC 9000, Section 9.1).
    pub fn is_probing(&self) -> bool {
        matches!(
            self,
            Self::Padding(_) | Self::PathChallenge(_) | Self::PathResponse(_) | Self::NewConnectionId(_)
        )
    }

    /// Whether it may stand in a packet of this type (RFC 9000, Table 3).
    pub fn is_permitted_in(&self, packet: PacketKind) -> bool {
        use PacketKind::{Handshake, Initial, OneRtt, ZeroRtt};
        match self {
            Self::Padding(_) | Self::Ping => true,
            Self::Ack(_) | Self::Crypto(_) => matches!(packet, Initial | Handshake | OneRtt),
            Self::ConnectionClose(close) => match packet {
                Initial | Handshake => !close.is_application(),
                ZeroRtt | OneRtt => true,
            },
            Self::NewToken(_) | Self::HandshakeDone | Self::PathResponse(_) | Self::RetireConnectionId(_) => {
                matches!(packet, OneRtt)
            }
            // min_ack_delay is not remembered, so that no early data can rely on it (draft, Section 3).
            Self::AckFrequency(_) | Self::ImmediateAck => matches!(packet, OneRtt),
            Self::ServerMigration(_) | Self::ServerMigrated | Self::PoolMigrationAddress(_) => {
                matches!(packet, OneRtt)
            }
            Self::ResetStream(_)
            | Self::StopSending(_)
            | Self::Stream(_)
            | Self::MaxData(_)
            | Self::MaxStreamData(_)
            | Self::MaxStreams(_)
            | Self::DataBlocked(_)
            | Self::StreamDataBlocked(_)
            | Self::StreamsBlocked(_)
            | Self::NewConnectionId(_)
            | Self::PathChallenge(_)
            | Self::Datagram(_) => matches!(packet, ZeroRtt | OneRtt),
        }
    }
}

/// Reads the frames of one packet's payload; ends after the first error.
#[derive(Debug, Clone)]
pub struct Frames<'a> {
    reader: Reader<'a>,
    failed: bool,
}

impl<'a> Frames<'a> {
    /// Starts at the front of a decrypted payload.
    pub fn new(payload: &'a [u8]) -> Self {
        Self { reader: Reader::new(payload), failed: false }
    }

    #[inline(always)]
    fn read(&mut self) -> Result<Frame<'a>, TransportError> {
        let reader = &mut self.reader;
        let code =
            reader.varint().map_err(|_| TransportError::frame_encoding("a frame type is truncated"))?;
        let frame = match code {
            0x08..=0x0f => Stream::read(code, reader).map(Frame::Stream),
            0x02 | 0x03 => Ack::read(code == 0x03, reader).map(Frame::Ack),
            0x00 => Ok(Frame::Padding(1 + control::skip_padding(reader))),
            0x01 => Ok(Frame::Ping),
            0x04 => ResetStream::read(reader).map(Frame::ResetStream),
            0x05 => StopSending::read(reader).map(Frame::StopSending),
            0x06 => Crypto::read(reader).map(Frame::Crypto),
            0x07 => NewToken::read(reader).map(Frame::NewToken),
            0x10 => MaxData::read(reader).map(Frame::MaxData),
            0x11 => MaxStreamData::read(reader).map(Frame::MaxStreamData),
            0x12 => MaxStreams::read(Dir::Bi, reader).map(Frame::MaxStreams),
            0x13 => MaxStreams::read(Dir::Uni, reader).map(Frame::MaxStreams),
            0x14 => DataBlocked::read(reader).map(Frame::DataBlocked),
            0x15 => StreamDataBlocked::read(reader).map(Frame::StreamDataBlocked),
            0x16 => StreamsBlocked::read(Dir::Bi, reader).map(Frame::StreamsBlocked),
            0x17 => StreamsBlocked::read(Dir::Uni, reader).map(Frame::StreamsBlocked),
            0x18 => NewConnectionId::read(reader).map(Frame::NewConnectionId),
            0x19 => RetireConnectionId::read(reader).map(Frame::RetireConnectionId),
            0x1a => PathChallenge::read(reader).map(Frame::PathChallenge),
            0x1b => PathResponse::read(reader).map(Frame::PathResponse),
            0x1c | 0x1d => ConnectionClose::read(code == 0x1d, reader).map(Frame::ConnectionClose),
            0x1e => Ok(Frame::HandshakeDone),
            0x1f => Ok(Frame::ImmediateAck),
            0x30 | 0x31 => Datagram::read(code == 0x31, reader).map(Frame::Datagram),
            0x32 => ServerMigration::read(reader).map(Frame::ServerMigration),
            0x33 => Ok(Frame::ServerMigrated),
            0x34 => PoolMigrationAddress::read(reader).map(Frame::PoolMigrationAddress),
            0xaf => AckFrequency::read(reader).map(Frame::AckFrequency),
            _ => Err(Malformed("the frame type is unknown")),
        };
        frame.map_err(|Malformed(reason)| TransportError::frame_encoding(reason).in_frame(code))
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, TransportError>;

    // Whoever reads a frame matches on it next: seen together, the compiler goes from one to the other directly.
    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.reader.is_empty() {
            return None;
        }
        let frame = self.read();
        self.failed = frame.is_err();
        Some(frame)
    }
}

/// Why a frame cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl From<Truncated> for Malformed {
    fn from(_: Truncated) -> Self {
        Self("the frame is truncated")
    }
}
