//! Scenarios in which one thing happens, and how they end: for tests that are named after it.

use peregrine::{MigrationEvent, RelocationEvent};

use sim::{Clock, Conn, Filtering, Mapping, Meanwhile, Outcome, addr, ms};
use stage::moves::Play;

use super::phase::Phase;
use super::run::Run;
use super::scenario::{Busy, End, Move, Part, Scenario};
use super::trouble::Trouble;
use super::weather::Weather;

/// Two ways to be busy all the while, and to have nothing to do.
pub const ALL_DAY: [Busy; 3] = [Busy::Receiving(60_000), Busy::Sending(60_000), Busy::Idle];

impl Scenario {
    /// One client, kept alive, and one move away, in fair weather.
    pub fn plain(play: Play, busy: Busy) -> Self {
        let pool = if let Play::Pool(members) = play { members } else { 0 };
        Self {
            seed: 1,
            v6: false,
            dual: false,
            weather: Weather::fair(),
            nat: None,
            retry: false,
            pool,
            pool_is_true: true,
            parts: vec![Part { play, all: false, busy, early: false, kept_alive: true }],
            moves: vec![Move::plain(1, play)],
        }
    }

    /// Behind a translator.
    pub fn behind(mut self, filtering: Filtering) -> Self {
        self.nat = Some((filtering, Mapping::EndpointIndependent));
        self
    }

    /// With this in the first move.
    pub fn with(mut self, phase: Phase, trouble: Trouble) -> Self {
        self.moves[0].troubles.push((phase, trouble));
        self
    }

    /// With one more move.
    pub fn then(mut self, to: usize, play: Play) -> Self {
        self.moves.push(Move::plain(to, play));
        self
    }

    /// Plays it.
    pub fn play(self) -> Run {
        let mut run = Run::begin(self);
        run.play();
        run
    }
}

impl Move {
    fn plain(to: usize, play: Play) -> Self {
        Self {
            to,
            plays: vec![play],
            end: End::Carried,
            freeze: ms(100),
            meanwhile: Meanwhile::Lost,
            clock: Clock::Continues,
            patient: true,
            troubles: Vec::new(),
        }
    }
}

impl Run {
    /// How the server's moves ended: connections moved, and lost.
    fn ends(&self) -> Vec<(usize, usize)> {
        let said = self.world.at(self.server).relocations().filter_map(|(_, event)| match event {
            RelocationEvent::Settled { moved, lost } => Some((*moved, *lost)),
            RelocationEvent::Ready { .. } => None,
        });
        said.collect()
    }

    /// What a connection said of migrations.
    pub fn said(&self, conn: Conn) -> Vec<MigrationEvent> {
        let said = self.world.at(conn.host).said(conn.handle).filter_map(|(_, event)| match event {
            peregrine::ConnectionEvent::Migration(event) => Some(*event),
            _ => None,
        });
        said.collect()
    }

    /// The client has followed every move, was served all it asked for, and knows where its server is.
    pub fn assert_followed(&self) {
        let conn = self.actors[0].conn;
        let outcome = self.world.outcome(conn);
        assert_eq!(outcome, Outcome::Done, "{}", self.words);
        assert_eq!(self.ends(), vec![(1, 0); self.scenario.moves.len()], "{}", self.words);
        let last = self.said(conn).into_iter().rev().find_map(|event| match event {
            MigrationEvent::Completed { address, .. } => address,
            _ => None,
        });
        assert_eq!(last, Some(addr(self.places.server(self.place))), "{}", self.words);
    }

    /// Client and server have lost each other, which both have noticed.
    pub fn assert_lost(&self) {
        let conn = self.actors[0].conn;
        assert!(matches!(self.world.outcome(conn), Outcome::Failed(_)), "{}", self.words);
        assert!(self.world.closed(conn).is_some(), "{}", self.words);
        assert_eq!(self.ends(), [(0, 1)], "{}", self.words);
    }
}
