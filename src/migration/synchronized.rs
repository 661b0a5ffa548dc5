//! Synchronized Symmetric: the server says that it will move, and then speaks from wherever it is
//! (reference, Section 3.6).

use crate::time::Instant;

/// A client was told that the server will move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Announced {
    /// When the announcement came.
    pub since: Instant,
}
