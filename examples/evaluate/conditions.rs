//! The conditions of the thesis that Peregrine is measured against, but on simulated links.

use std::time::Duration;

use sim::{Dice, Link, ms};

/// Round trip of the second path: where the server goes.
pub const SECOND_RTT: Duration = ms_of(18);
/// Round trip of the first path: where the server is.
pub const FIRST_RTT: Duration = ms_of(122);
/// From a response to the next request.
pub const INTERVAL: Duration = ms_of(5000);
/// Requests before the notice, and one more before the move.
pub const BEFORE_NOTICE: usize = 9;
/// Idle timeout of all connections, and how long a client looks for its server.
pub const PATIENCE: Duration = ms_of(30_000);
/// From the tenth response until the server stands still, in the thesis' experiment: the word to begin travels half a
/// round trip, and a checkpoint takes a moment to begin.
pub const TRIGGER: Duration = ms_of(100);
/// How long a server is nowhere, at least and at most, in the thesis' moves of containers.
const UNREACHABLE: (u64, u64) = (1400, 3300);
/// A cold move of a container without memory to speak of: dump, transfer and restore.
pub const COLD: Duration = ms_of(1480);

const fn ms_of(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Whether datagrams get lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// None.
    Without,
    /// 1.5 % each way.
    With,
}

impl Loss {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Without, Self::With];

    /// What is said of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Without => "no loss",
            Self::With => "1.5 % loss",
        }
    }

    fn probability(self) -> f64 {
        match self {
            Self::Without => 0.0,
            Self::With => 0.015,
        }
    }

    /// The path to where the server is: 13 Mbit/s.
    pub fn first_path(self) -> Link {
        Link::rtt(FIRST_RTT).bandwidth(13_000_000).loss(self.probability())
    }

    /// The path to where it goes: 100 Mbit/s.
    pub fn second_path(self) -> Link {
        Link::rtt(SECOND_RTT).bandwidth(100_000_000).loss(self.probability())
    }
}

/// When the first request after the move is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Five seconds after the last response, as in the thesis.
    Steady,
    /// The moment the server is at its new address.
    Hasty,
}

impl Pace {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Steady, Self::Hasty];

    /// What is said of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Steady => "in rhythm",
            Self::Hasty => "at once",
        }
    }
}

/// How long the server is nowhere in the run of this seed.
pub fn unreachable(seed: u64) -> Duration {
    let (least, most) = UNREACHABLE;
    ms(least + Dice::named(seed, "unreachable").word() % (most - least))
}

/// From the tenth response until the server stands still, where any moment may be the worst: before the response is
/// acknowledged, or after.
pub fn trigger(seed: u64) -> Duration {
    Duration::from_micros(Dice::named(seed, "trigger").word() % 200_000)
}
