//! Where a move stands when something is done to it.

use std::fmt;

/// A part of a move, in the order of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Before the server is given notice.
    Before,
    /// Between the notice and readiness.
    Preparing,
    /// The server stands still.
    Frozen,
    /// The server runs at its new address; nothing of it has arrived.
    Switched,
    /// The two ends are proving the new path to each other.
    Validating,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Before, Self::Preparing, Self::Frozen, Self::Switched, Self::Validating];
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Before => "before the notice",
            Self::Preparing => "between notice and ready",
            Self::Frozen => "while the server is frozen",
            Self::Switched => "after the switch",
            Self::Validating => "during validation",
        })
    }
}
