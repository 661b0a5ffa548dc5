//! What must be remembered of a frame that was sent, so that its owner can be told its fate.

use crate::id::{Dir, StreamId};

/// The memory of one sent frame: enough to reconsider it when it is lost, no copy of what it said.
///
/// `lost` means "reconsider", not "resend": a `MaxData(n)` is said again only if `n` is still the newest limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// An ACK up to this number: once it is acknowledged, older ranges need not be sent again.
    Ack { largest: u64 },
    /// CRYPTO bytes of the packet's own space.
    Crypto { offset: u64, len: u16 },
    /// STREAM bytes, perhaps with the end of the stream.
    Stream { id: StreamId, offset: u64, len: u16, fin: bool },
    /// RESET_STREAM.
    ResetStream { id: StreamId },
    /// STOP_SENDING.
    StopSending { id: StreamId },
    /// MAX_DATA with this limit.
    MaxData { limit: u64 },
    /// MAX_STREAM_DATA with this limit.
    MaxStreamData { id: StreamId, limit: u64 },
    /// MAX_STREAMS with this limit.
    MaxStreams { dir: Dir, limit: u64 },
    /// DATA_BLOCKED at this limit.
    DataBlocked { limit: u64 },
    /// STREAM_DATA_BLOCKED at this limit.
    StreamDataBlocked { id: StreamId, limit: u64 },
    /// STREAMS_BLOCKED at this limit.
    StreamsBlocked { dir: Dir, limit: u64 },
    /// NEW_CONNECTION_ID with this sequence number.
    NewConnectionId { sequence: u64 },
    /// RETIRE_CONNECTION_ID with this sequence number.
    RetireConnectionId { sequence: u64 },
    /// PATH_RESPONSE: never sent again, but its acknowledgement ends a migration at the server.
    PathResponse,
    /// HANDSHAKE_DONE.
    HandshakeDone,
    /// SERVER_MIGRATION of the connection's migration with this ordinal number.
    ServerMigration { migration: u32 },
    /// SERVER_MIGRATED of the connection's migration with this ordinal number.
    ServerMigrated { migration: u32 },
    /// POOL_MIGRATION_ADDRESS: the pool's member with this index.
    PoolMigrationAddress { member: u16 },
}

const _: () = assert!(size_of::<Record>() <= 24);
