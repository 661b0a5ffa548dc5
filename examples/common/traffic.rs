//! What a driver did: system calls, and the datagrams they carried. Shows what a train is worth.

use std::ops::Add;

/// System calls that succeeded, and the datagrams they carried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Calls that sent.
    pub sends: u64,
    /// Datagrams they sent.
    pub sent: u64,
    /// Calls that received.
    pub receives: u64,
    /// Datagrams they received.
    pub received: u64,
    /// Calls that waited, or only asked.
    pub waits: u64,
}

impl Add for Traffic {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            sends: self.sends + other.sends,
            sent: self.sent + other.sent,
            receives: self.receives + other.receives,
            received: self.received + other.received,
            waits: self.waits + other.waits,
        }
    }
}
