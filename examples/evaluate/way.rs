//! The ways over a move that are compared: to follow the server by one strategy or another, to connect anew, and that
//! nothing moves.

use std::fmt;
use std::time::Duration;

use stage::moves::Play;

/// How a client gets over its server's move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It need not: the server stays.
    Stay,
    /// It follows, by this strategy.
    Follow {
        /// The strategy and its variant.
        play: Play,
        /// Whether a translator in front of the client keeps out what the server says first at its new address.
        unheard: bool,
    },
    /// It has no server migration, and connects anew with its request in the first flight (0-RTT).
    Reconnect(Cue),
}

/// What makes a client without server migration connect to the new address, which it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cue {
    /// An oracle tells it, the moment the server is there.
    Told,
    /// Its application has waited for so long.
    Silence(Duration),
    /// Its old connection has ended by the idle timeout.
    Idle,
}

/// Follows and is not hindered.
pub const fn follow(play: Play) -> Way {
    Way::Follow { play, unheard: false }
}

/// Follows and does not hear the server.
pub const fn unheard(play: Play) -> Way {
    Way::Follow { play, unheard: true }
}

/// An application's patience with a silent server.
pub const SILENCE: Cue = Cue::Silence(Duration::from_secs(1));

/// The sizes of pools that are compared.
pub const POOLS: [usize; 4] = [1, 2, 3, 8];

impl Way {
    /// All that are compared, the yardstick first.
    pub const ALL: [Self; 18] = [
        Self::Stay,
        follow(Play::Symmetric),
        follow(Play::Synchronized),
        follow(Play::Proactive),
        follow(Play::Reactive),
        follow(Play::Pool(POOLS[0])),
        follow(Play::Pool(POOLS[1])),
        follow(Play::Pool(POOLS[2])),
        follow(Play::Pool(POOLS[3])),
        unheard(Play::Proactive),
        unheard(Play::Reactive),
        unheard(Play::Pool(POOLS[0])),
        unheard(Play::Pool(POOLS[1])),
        unheard(Play::Pool(POOLS[2])),
        unheard(Play::Pool(POOLS[3])),
        Self::Reconnect(Cue::Told),
        Self::Reconnect(SILENCE),
        Self::Reconnect(Cue::Idle),
    ];

    /// Whether a translator keeps out what the server says first.
    pub fn is_unheard(self) -> bool {
        matches!(self, Self::Follow { unheard: true, .. })
    }

    /// Those in which connections move.
    pub fn following() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|way| matches!(way, Self::Follow { .. }))
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stay => f.write_str("no move"),
            Self::Follow { play, unheard } => {
                let heard = if *unheard { ", unheard" } else { "" };
                write!(f, "{}{heard}", strategy(*play))
            }
            Self::Reconnect(Cue::Told) => f.write_str("reconnect, told at once"),
            Self::Reconnect(Cue::Silence(wait)) => write!(f, "reconnect after {wait:?}"),
            Self::Reconnect(Cue::Idle) => f.write_str("reconnect, idle timeout"),
        }
    }
}

/// A strategy and its variant, as people call it.
pub fn strategy(play: Play) -> String {
    match play {
        Play::Reactive => "Explicit, reactive".to_owned(),
        Play::Proactive => "Explicit, proactive".to_owned(),
        Play::Pool(members) => format!("Pool of {members}"),
        Play::Symmetric => "Symmetric".to_owned(),
        Play::Synchronized => "Synchronized Symmetric".to_owned(),
    }
}
