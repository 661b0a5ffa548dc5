//! What happens to one move, beside the weather.

use std::fmt;
use std::time::Duration;

use sim::{Dice, ms};

use super::phase::Phase;

/// Which datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// All.
    Both,
    /// Those to the server.
    Up,
    /// Those from the server.
    Down,
}

/// What is done at one point of a move. Clients are named by their number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing arrives for so long.
    Blackhole(Way, Duration),
    /// The next so many datagrams are lost: notices, announcements, or their acknowledgements.
    Lost(Way, u64),
    /// The next so many datagrams come so late that the move may be over.
    Late(Way, u64, Duration),
    /// The clients' translator forgets; at another public address from then on, or not.
    Rebinding { elsewhere: bool },
    /// A client moves to another address of its own.
    Roaming { client: usize },
    /// A client tries another address of its own.
    Probing { client: usize },
    /// One end of a client's connection updates its keys.
    KeyUpdate { client: usize, server: bool },
    /// A client looks for its server.
    SeekNow { client: usize },
    /// A client asks for more.
    Asking { client: usize, up: u64, down: u64 },
    /// A client comes.
    Newcomer,
    /// Somebody copies every so many datagrams, and sends the copies so much later from elsewhere, for two seconds; the
    /// copied one comes so much later itself.
    Copies { way: Way, every: u64, after: Duration, held: Duration },
}

impl Trouble {
    fn draw(dice: &mut Dice, clients: usize) -> Self {
        let mut below = |limit: u64| dice.word() % limit;
        let way = |number| [Way::Both, Way::Up, Way::Down][number as usize % 3];
        let client = below(clients as u64) as usize;
        match below(14) {
            0 | 1 => Self::Blackhole(way(below(3)), ms(20 + below(2500))),
            2 | 3 => Self::Lost(way(below(3)), 1 + below(6)),
            4 => Self::Late(way(below(3)), 1 + below(8), ms(50 + below(4000))),
            5 | 6 => Self::Rebinding { elsewhere: below(2) == 0 },
            7 | 8 => Self::Roaming { client },
            9 => Self::Probing { client },
            10 => Self::KeyUpdate { client, server: below(2) == 0 },
            11 if below(2) == 0 => Self::SeekNow { client },
            11 => Self::Newcomer,
            12 => Self::Asking { client, up: below(20_000), down: below(20_000) },
            _ => Self::Copies {
                way: way(1 + below(2)),
                every: 1 + below(8),
                after: ms(below(40)),
                held: if below(2) == 0 { ms(below(60)) } else { Duration::ZERO },
            },
        }
    }

    /// What happens to one move, and when.
    pub fn draw_some(dice: &mut Dice, clients: usize) -> Vec<(Phase, Self)> {
        let count = [0, 0, 1, 1, 2, 3, 4][(dice.word() % 7) as usize];
        let mut some: Vec<_> = (0..count)
            .map(|_| {
                let phase = Phase::ALL[(dice.word() % 5) as usize];
                (phase, Self::draw(dice, clients))
            })
            .collect();
        some.sort_by_key(|(phase, _)| *phase);
        some
    }

    /// Whether the address that the server knows this client by may become wrong.
    pub fn displaces(&self, client: usize) -> bool {
        match self {
            Self::Rebinding { .. } => true,
            Self::Roaming { client: who } => *who == client,
            Self::Copies { way, .. } => *way != Way::Down,
            Self::Blackhole(..)
            | Self::Lost(..)
            | Self::Late(..)
            | Self::Probing { .. }
            | Self::KeyUpdate { .. }
            | Self::SeekNow { .. }
            | Self::Asking { .. }
            | Self::Newcomer => false,
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Both => "either way",
            Self::Up => "to the server",
            Self::Down => "from the server",
        })
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blackhole(way, time) => write!(f, "nothing arrives {way} for {time:?}"),
            Self::Lost(way, count) => write!(f, "the next {count} datagrams {way} are lost"),
            Self::Late(way, count, by) => write!(f, "the next {count} datagrams {way} come {by:?} late"),
            Self::Rebinding { elsewhere: true } => {
                write!(f, "the translator forgets, and has another address")
            }
            Self::Rebinding { elsewhere: false } => write!(f, "the translator forgets"),
            Self::Roaming { client } => write!(f, "client {client} moves"),
            Self::Probing { client } => write!(f, "client {client} tries another address"),
            Self::KeyUpdate { client, server } => {
                write!(
                    f,
                    "client {client}'s keys are updated by its {}",
                    if *server { "server" } else { "own end" }
                )
            }
            Self::SeekNow { client } => write!(f, "client {client} looks for its server"),
            Self::Asking { client, up, down } => write!(f, "client {client} asks for {down} bytes with {up}"),
            Self::Newcomer => write!(f, "a client comes"),
            Self::Copies { way, every, after, held } => write!(
                f,
                "one of {every} datagrams {way} is copied, held for {held:?}, and sent from elsewhere after {after:?}"
            ),
        }
    }
}
