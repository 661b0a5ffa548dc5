//! What is told of the paths that a client asked for, or that its server would rather use (RFC 9000, Section 9).

use std::net::SocketAddr;
use std::time::Duration;

use crate::net::FourTuple;

/// What became of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathEvent {
    /// Client: the server answered on it. A path that was [probed](crate::Connection::probe) can be
    /// [moved to](crate::Connection::rebind) without delay.
    Validated {
        /// Its two ends.
        path: FourTuple,
        /// How long the answer took.
        rtt: Duration,
    },
    /// Client: the server did not answer. A path that was probed, or that the server preferred, is forgotten; the one in use is kept, and tried for as long as
    /// the connection lives: move to another if there is one.
    Failed {
        /// Its two ends.
        path: FourTuple,
    },
    /// The connection goes on at the server's preferred address (RFC 9000, Section 9.6).
    Preferred {
        /// Its two ends.
        path: FourTuple,
    },
    /// Client: the server prefers an address that the policy refuses; nothing was sent there.
    Refused {
        /// What the server named.
        address: SocketAddr,
    },
}
