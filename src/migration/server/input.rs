//! What a server's machine is told.

use crate::frame::Record;
use crate::time::Instant;

/// What a server's machine is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerInput {
    /// The endpoint has moved; the client is told at `announce_at` [4.6].
    Relocated {
        /// When this connection's turn to announce comes.
        announce_at: Instant,
    },
    /// A record of this machine was acknowledged.
    Acked(Record),
    /// A record of this machine was lost.
    Lost(Record),
    /// Something sent after the switch was acknowledged.
    AckedAfterSwitch,
    /// An authentic packet came from the client.
    Arrived {
        /// Whether it says more than an answer to a question does, or a question itself.
        says_more: bool,
    },
    /// The client sent PATH_CHALLENGE.
    Challenged,
    /// The announcement was sent.
    Announced,
    /// A datagram of data was sent.
    DataSent,
    /// The deadline has come.
    Due,
}
