//! An address that may be the server's new one, and the quick rounds in which it is asked (server-migration rules, 2.1 and
//! 2.3).

use std::net::SocketAddr;
use std::time::Duration;

use crate::id::PacketNumber;
use crate::time::Instant;

/// Quick rounds of a search, and of a candidate that has spoken.
const ROUNDS: u8 = 3;
/// Shortest time between two quick rounds.
const MIN_SPACING: Duration = Duration::from_millis(20);

/// How an address came to be a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The server named it: announced, or a member of the pool.
    Named,
    /// An authentic packet came from there, and nothing else is known of it.
    Stray {
        /// When it is given up without an answer.
        until: Instant,
    },
}

/// What a candidate has sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Spoken {
    /// The number of its first packet, or of the first one after home outspoke it.
    pub(super) first: PacketNumber,
    pub(super) outspoken: bool,
}

/// Quick rounds: three, the wait doubling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Rounds {
    made: u8,
    pub(super) next: Option<Instant>,
}

impl Rounds {
    pub(super) const OVER: Self = Self { made: 0, next: None };

    pub(super) fn beginning(now: Instant) -> Self {
        Self { made: 0, next: Some(now) }
    }

    pub(super) fn are_over(self) -> bool {
        self.next.is_none()
    }

    pub(super) fn are_due(self, now: Instant) -> bool {
        self.next.is_some_and(|at| at <= now)
    }

    /// A round was made; whether it was the first.
    pub(super) fn on_made(&mut self, now: Instant, pto: Duration) -> bool {
        let wait = pto.max(MIN_SPACING).saturating_mul(1 << self.made.min(ROUNDS));
        self.made += 1;
        self.next = (self.made < ROUNDS).then(|| now + wait);
        self.made == 1
    }
}

/// An address that may be the server's new one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Candidate {
    pub(super) address: SocketAddr,
    pub(super) origin: Origin,
    /// `None`: silent, nothing authentic came from there.
    pub(super) spoken: Option<Spoken>,
    /// Its own rounds, once it has spoken; they outlive the search.
    pub(super) rounds: Rounds,
}

impl Candidate {
    pub(super) fn is_stray(&self) -> bool {
        matches!(self.origin, Origin::Stray { .. })
    }

    pub(super) fn contradicts_home(&self) -> bool {
        self.spoken.is_some_and(|spoken| !spoken.outspoken)
    }
}
