//! What must be remembered of a frame that was sent, so that its owner can be told its fate.

use crate::id::{Dir, PathId, StreamId};

/// The memory of one sent frame: enough to reconsider it when it is lost, no copy of what it said.
///
/// `lost` means "reconsider", not "resend": a `MaxData(n)` is said again only if `n` is still the newest limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Record {
    /// An ACK up to this number: once it is acknowledged, older ranges need not be sent again.
    Ack {
        /// The largest number it acknowledged.
        largest: u64,
    },
    /// CRYPTO bytes of the packet's own space.
    Crypto {
        /// Where the data began.
        offset: u64,
        /// How many bytes there were.
        len: u16,
    },
    /// STREAM bytes, perhaps with the end of the stream.
    Stream {
        /// Which stream.
        id: StreamId,
        /// Where the data began.
        offset: u64,
        /// How many bytes there were.
        len: u16,
        /// Whether the stream ended with them.
        fin: bool,
    },
    /// RESET_STREAM.
    ResetStream {
        /// Which stream.
        id: StreamId,
    },
    /// STOP_SENDING.
    StopSending {
        /// Which stream.
        id: StreamId,
    },
    /// MAX_DATA with this limit.
    MaxData {
        /// The limit that was said.
        limit: u64,
    },
    /// MAX_STREAM_DATA with this limit.
    MaxStreamData {
        /// Which stream.
        id: StreamId,
        /// The limit that was said.
        limit: u64,
    },
    /// MAX_STREAMS with this limit.
    MaxStreams {
        /// Which kind of streams.
        dir: Dir,
        /// The limit that was said.
        limit: u64,
    },
    /// DATA_BLOCKED at this limit.
    DataBlocked {
        /// The limit that was said.
        limit: u64,
    },
    /// STREAM_DATA_BLOCKED at this limit.
    StreamDataBlocked {
        /// Which stream.
        id: StreamId,
        /// The limit that was said.
        limit: u64,
    },
    /// STREAMS_BLOCKED at this limit.
    StreamsBlocked {
        /// Which kind of streams.
        dir: Dir,
        /// The limit that was said.
        limit: u64,
    },
    /// NEW_CONNECTION_ID with this sequence number.
    NewConnectionId {
        /// The sequence number.
        sequence: u64,
    },
    /// RETIRE_CONNECTION_ID with this sequence number.
    RetireConnectionId {
        /// The sequence number.
        sequence: u64,
    },
    /// PATH_RESPONSE: never sent again, but its acknowledgement ends a migration at the server.
    PathResponse,
    /// A probe of a path's MTU: a PING in a datagram of this size. Its loss speaks of the size, not of congestion.
    MtuProbe {
        /// Which path.
        path: PathId,
        /// The size of the datagram.
        bytes: u16,
    },
    /// ACK_FREQUENCY with this sequence number.
    AckFrequency {
        /// The sequence number.
        sequence: u64,
    },
    /// HANDSHAKE_DONE.
    HandshakeDone,
    /// NEW_TOKEN.
    NewToken,
    /// SERVER_MIGRATION of the connection's migration with this ordinal number.
    ServerMigration {
        /// Which of the connection's migrations.
        migration: u32,
    },
    /// SERVER_MIGRATED of the connection's migration with this ordinal number.
    ServerMigrated {
        /// Which of the connection's migrations.
        migration: u32,
    },
    /// POOL_MIGRATION_ADDRESS: the pool's member with this index.
    PoolMigrationAddress {
        /// The index in the pool.
        member: u16,
    },
}

const _: () = assert!(size_of::<Record>() <= 24);
