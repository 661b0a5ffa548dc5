//! The types of frames: their codes on the wire and their names.

use std::fmt;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $name:literal;)*) => {
        /// The type of a frame (RFC 9000, Section 19; the migration frames: reference, Section 1.1).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum FrameKind { $($(#[$doc])* $variant,)* }

        impl FrameKind {
            /// The code on the wire; of types that span several codes, the lowest.
            pub const fn code(self) -> u64 {
                match self { $(Self::$variant => $code,)* }
            }

            /// The name in the standard.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

kinds! {
    /// Fills a packet.
    Padding = 0x00, "PADDING";
    /// Asks for an acknowledgement.
    Ping = 0x01, "PING";
    /// Acknowledges packets; 0x03 with ECN counts.
    Ack = 0x02, "ACK";
    /// Abandons the sending of a stream.
    ResetStream = 0x04, "RESET_STREAM";
    /// Asks to abandon the sending of a stream.
    StopSending = 0x05, "STOP_SENDING";
    /// Carries the TLS handshake.
    Crypto = 0x06, "CRYPTO";
    /// Gives a token for a later connection.
    NewToken = 0x07, "NEW_TOKEN";
    /// Carries stream data; 0x08 to 0x0f.
    Stream = 0x08, "STREAM";
    /// Raises the connection's window.
    MaxData = 0x10, "MAX_DATA";
    /// Raises a stream's window.
    MaxStreamData = 0x11, "MAX_STREAM_DATA";
    /// Raises the number of streams; 0x13 for unidirectional ones.
    MaxStreams = 0x12, "MAX_STREAMS";
    /// The connection's window is full.
    DataBlocked = 0x14, "DATA_BLOCKED";
    /// A stream's window is full.
    StreamDataBlocked = 0x15, "STREAM_DATA_BLOCKED";
    /// No stream may be opened; 0x17 for unidirectional ones.
    StreamsBlocked = 0x16, "STREAMS_BLOCKED";
    /// Issues a connection ID.
    NewConnectionId = 0x18, "NEW_CONNECTION_ID";
    /// Gives a connection ID back.
    RetireConnectionId = 0x19, "RETIRE_CONNECTION_ID";
    /// Asks whether a path works.
    PathChallenge = 0x1a, "PATH_CHALLENGE";
    /// Says that a path works.
    PathResponse = 0x1b, "PATH_RESPONSE";
    /// Ends the connection; 0x1d from the application.
    ConnectionClose = 0x1c, "CONNECTION_CLOSE";
    /// Confirms the handshake.
    HandshakeDone = 0x1e, "HANDSHAKE_DONE";
    /// Says how often its sender wants to be acknowledged.
    AckFrequency = 0xaf, "ACK_FREQUENCY";
    /// Asks for an acknowledgement at once.
    ImmediateAck = 0x1f, "IMMEDIATE_ACK";
    /// Announces a server's move.
    ServerMigration = 0x32, "SERVER_MIGRATION";
    /// Says that the server has moved.
    ServerMigrated = 0x33, "SERVER_MIGRATED";
    /// Names an address the server may move to.
    PoolMigrationAddress = 0x34, "POOL_MIGRATION_ADDRESS";
    /// Carries a datagram of the application; 0x31 with its length.
    Datagram = 0x30, "DATAGRAM";
}

impl fmt::Display for FrameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
