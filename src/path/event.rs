//! What a client is told of the paths that it asked for, or that its server would rather use (RFC 9000, Section 9).

use std::time::Duration;

use crate::net::FourTuple;

/// What became of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathEvent {
    /// The server answered on it. A path that was [probed](crate::Connection::probe) can be
    /// [moved to](crate::Connection::rebind) without delay.
    Validated {
        /// Its two ends.
        path: FourTuple,
        /// How long the answer took.
        rtt: Duration,
    },
    /// The server did not answer. A path that was probed is forgotten; the one in use is kept, and tried for as long as
    /// the connection lives: move to another if there is one.
    Failed {
        /// Its two ends.
        path: FourTuple,
    },
}
