//! A whole scenario, drawn from one seed, and told in words when it fails.

use std::fmt;
use std::time::Duration;

use peregrine::StrategySet;

use sim::{Clock, Dice, Filtering, Mapping, Meanwhile, ms};
use stage::moves::Play;

use super::trouble::Trouble;
use super::weather::Weather;

/// Everything that is settled before the world begins.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// All chance comes from it.
    pub seed: u64,
    /// Whether all addresses are of IPv6.
    pub v6: bool,
    /// Whether targets name an address of the other family, too.
    pub dual: bool,
    /// What is wrong with all paths.
    pub weather: Weather,
    /// What all clients stand behind.
    pub nat: Option<(Filtering, Mapping)>,
    /// Whether clients must prove their address before anything.
    pub retry: bool,
    /// How many addresses the server names beforehand; none: it has no pool.
    pub pool: usize,
    /// Whether the server really moves to members of its pool.
    pub pool_is_true: bool,
    /// The clients.
    pub parts: Vec<Part>,
    /// What the server does.
    pub moves: Vec<Move>,
}

/// What a client offers, and does.
#[derive(Debug, Clone)]
pub struct Part {
    /// How it plays, and what its server is ordered in the first move.
    pub play: Play,
    /// Whether it offers all strategies.
    pub all: bool,
    /// What it does.
    pub busy: Busy,
    /// Whether it has a ticket, and asks before the handshake is complete.
    pub early: bool,
    /// Whether it asks for signs of life every second.
    pub kept_alive: bool,
}

/// What a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Busy {
    /// It asks for so many bytes and then only receives.
    Receiving(u64),
    /// It sends so many bytes.
    Sending(u64),
    /// It does both, a little at a time.
    Talking(usize),
    /// It does nothing.
    Idle,
}

/// How a move ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It is carried out.
    Carried,
    /// It is carried out though nobody was given notice.
    Unannounced,
    /// It is cancelled.
    Cancelled,
    /// It never happens.
    Never,
}

/// One move of the server.
#[derive(Debug, Clone)]
pub struct Move {
    /// Which of the server's places it moves to; 0 is home.
    pub to: usize,
    /// How each client is to follow.
    pub plays: Vec<Play>,
    /// How it ends.
    pub end: End,
    /// How long the server stands still.
    pub freeze: Duration,
    /// What becomes of what arrives meanwhile.
    pub meanwhile: Meanwhile,
    /// Whose time stands still.
    pub clock: Clock,
    /// Whether the server waits until all are ready.
    pub patient: bool,
    /// What happens, and when.
    pub troubles: Vec<(super::phase::Phase, Trouble)>,
}

fn one_of<T: Copy>(dice: &mut Dice, all: &[T]) -> T {
    all[(dice.word() % all.len() as u64) as usize]
}

impl Part {
    /// What it offers.
    pub fn strategies(&self) -> StrategySet {
        if self.all { StrategySet::ALL } else { self.play.strategy().into() }
    }

    fn draw(dice: &mut Dice, pool: usize) -> Self {
        let unpooled = [Play::Reactive, Play::Proactive, Play::Symmetric, Play::Synchronized];
        let pooled = [
            Play::Pool(pool),
            Play::Pool(pool),
            Play::Reactive,
            Play::Proactive,
            Play::Symmetric,
            Play::Synchronized,
        ];
        let play = if pool > 0 { one_of(dice, &pooled) } else { one_of(dice, &unpooled) };
        let mut below = |limit: u64| dice.word() % limit;
        let busy = match below(5) {
            0 => Busy::Receiving(1000 + below(60_000)),
            1 => Busy::Sending(1000 + below(60_000)),
            2 | 3 => Busy::Talking(1 + below(40) as usize),
            _ => Busy::Idle,
        };
        // Whoever agrees on a pool with a server that has one moves by it alone.
        let all = below(3) == 0 && (pool == 0 || matches!(play, Play::Pool(_)));
        Self { play, all, busy, early: below(5) == 0, kept_alive: below(2) == 0 }
    }

    /// How it is to follow in a move that is not its first.
    fn next_play(&self, dice: &mut Dice) -> Play {
        match self.play {
            Play::Reactive | Play::Proactive | Play::Symmetric | Play::Synchronized if self.all => {
                one_of(dice, &[Play::Reactive, Play::Symmetric, Play::Synchronized])
            }
            same => same,
        }
    }
}

impl Move {
    fn draw(dice: &mut Dice, to: usize, parts: &[Part], first: bool) -> Self {
        let plays = parts.iter().map(|part| if first { part.play } else { part.next_play(dice) }).collect();
        let end = one_of(
            dice,
            &[
                End::Carried,
                End::Carried,
                End::Carried,
                End::Carried,
                End::Carried,
                End::Carried,
                End::Carried,
                End::Unannounced,
                End::Cancelled,
                End::Never,
            ],
        );
        let freeze = match dice.word() % 4 {
            0 => Duration::ZERO,
            1 | 2 => ms(dice.word() % 400),
            _ => ms(dice.word() % 4000),
        };
        Self {
            to,
            plays,
            end,
            freeze,
            meanwhile: one_of(dice, &[Meanwhile::Lost, Meanwhile::Queued]),
            clock: one_of(dice, &[Clock::Continues, Clock::Continues, Clock::Jumps]),
            patient: !dice.word().is_multiple_of(5),
            troubles: Trouble::draw_some(dice, parts.len()),
        }
    }
}

impl Scenario {
    /// The scenario of this seed.
    pub fn draw(seed: u64) -> Self {
        let mut dice = Dice::named(seed, "storm");
        let weather = Weather::draw(&mut dice);
        let v6 = dice.word().is_multiple_of(4);
        let filterings =
            [Filtering::EndpointIndependent, Filtering::AddressDependent, Filtering::AddressAndPortDependent];
        let nat = dice.word().is_multiple_of(2).then(|| {
            let filtering = one_of(&mut dice, &filterings);
            // Else a challenge to an old port is answered from a new one, which proves the old one to the server, and
            // not to who watches from outside.
            let strict = filtering == Filtering::AddressAndPortDependent && dice.word().is_multiple_of(2);
            (filtering, if strict { Mapping::PerDestination } else { Mapping::EndpointIndependent })
        });
        let pool = if dice.word().is_multiple_of(3) { one_of(&mut dice, &[1, 2, 3, 3, 16, 20]) } else { 0 };
        let pool_is_true = !dice.word().is_multiple_of(8);
        let clients = one_of(&mut dice, &[1, 1, 1, 2, 2, 3, 4]);
        let parts: Vec<Part> = (0..clients).map(|_| Part::draw(&mut dice, pool)).collect();
        let mut place = 0;
        let mut moves = Vec::new();
        for number in 0..one_of(&mut dice, &[1, 1, 1, 2, 2, 3]) {
            // To one of the two other places.
            let to = (place + 1 + (dice.word() % 2) as usize) % 3;
            let next = Move::draw(&mut dice, to, &parts, number == 0);
            if matches!(next.end, End::Carried | End::Unannounced) {
                place = to;
            }
            moves.push(next);
        }
        Self {
            seed,
            v6,
            dual: dice.word().is_multiple_of(3),
            weather,
            nat: nat.filter(|_| !v6),
            retry: dice.word().is_multiple_of(6),
            pool,
            pool_is_true,
            parts,
            moves,
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, v6, dual, weather, nat, retry, pool, pool_is_true, parts, moves } = self;
        writeln!(f, "storm {seed}: {weather}")?;
        let family = if *v6 { "IPv6" } else { "IPv4" };
        writeln!(
            f,
            "  {family}{}{}",
            if *dual { ", targets of both families" } else { "" },
            if *retry { ", Retry" } else { "" }
        )?;
        if let Some((filtering, mapping)) = nat {
            writeln!(f, "  clients behind a translator: filtering {filtering:?}, mapping {mapping:?}")?;
        }
        if *pool > 0 {
            writeln!(
                f,
                "  a pool of {pool}{}",
                if *pool_is_true { "" } else { ", none of whose members answers" }
            )?;
        }
        for (number, part) in parts.iter().enumerate() {
            let offer = if part.all { " among all strategies" } else { "" };
            let early = if part.early { ", with 0-RTT" } else { "" };
            let alive = if part.kept_alive { ", kept alive" } else { "" };
            writeln!(f, "  client {number}: {:?}{offer}, {:?}{early}{alive}", part.play, part.busy)?;
        }
        for step in moves {
            let Move { to, plays, end, freeze, meanwhile, clock, patient, troubles } = step;
            let waits = if *patient { "" } else { ", ready or not" };
            writeln!(
                f,
                "  to place {to} by {plays:?}: {end:?}{waits}, frozen for {freeze:?} ({meanwhile:?}, {clock:?})"
            )?;
            for (phase, trouble) in troubles {
                writeln!(f, "    {phase}: {trouble}")?;
            }
        }
        Ok(())
    }
}
