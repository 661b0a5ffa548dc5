//! A move of all connections: step by step, for counting; and on a clock, for measuring how long it takes.

use std::collections::VecDeque;
use std::time::Duration;

use peregrine::Instant;

use super::town::{Mail, Town, Way};

/// Announcements a second by default, of which a hundredth goes at once (`RelocationPlan::announce_rate`).
const RATE: u64 = 20_000;
const BURST: u64 = 200;

/// Bytes of the server's heap that a connection takes more than before the move, after each phase.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    pub ready: f64,
    pub announced: f64,
    pub settled: f64,
}

impl Growth {
    /// The most of the three.
    pub fn peak(self) -> f64 {
        self.ready.max(self.announced).max(self.settled)
    }
}

/// Moves the server phase by phase; nothing takes time, and all announcements go at once.
pub fn step_by_step(way: Way, connections: usize) -> Growth {
    let mut town = Town::new(way, connections);
    let before = town.heap;
    let grown = |town: &Town| (town.heap - before) as f64 / connections as f64;
    town.notice(Some(u32::MAX));
    answer(&mut town);
    town.readiness();
    assert_eq!(town.ready, Some((connections, 0)), "all are ready");
    let ready = grown(&town);
    town.clients_take();
    town.rest(Duration::from_secs(1));
    town.announcement();
    let announced = grown(&town);
    while town.settled.is_none() {
        answer(&mut town);
        assert!(!town.up.parcels.is_empty(), "clients have nothing more to say, and all have not moved");
        town.settling();
    }
    assert_eq!(town.settled, Some((connections, 0)), "all have moved");
    Growth { ready, announced, settled: grown(&town) }
}

fn answer(town: &mut Town) {
    town.clients_take();
    town.clients_speak();
}

/// How long it took from the switch until all had moved, and how long it may take: the spread of the announcements and
/// three round trips.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settling {
    pub took: Duration,
    pub limit: Duration,
}

/// Moves the server on links that lose nothing, have no limit of rate, and take half of `rtt` each way.
pub fn on_a_clock(way: Way, connections: usize, rtt: Duration) -> Settling {
    let mut town = Town::new(way, connections);
    let mut flight = Flight::new(rtt / 2);
    town.notice(None);
    while town.ready.is_none() {
        flight.step(&mut town);
    }
    assert_eq!(town.ready, Some((connections, 0)), "all are ready");
    let switch = town.now;
    town.announcement();
    while town.settled.is_none() {
        flight.step(&mut town);
    }
    assert_eq!(town.settled, Some((connections, 0)), "all have moved");
    let spread = Duration::from_micros((connections as u64).saturating_sub(BURST) * 1_000_000 / RATE);
    Settling { took: town.now.since(switch), limit: spread + rtt * 3 }
}

/// What is on its way.
struct Flight {
    delay: Duration,
    up: VecDeque<(Instant, Mail)>,
    down: VecDeque<(Instant, Mail)>,
}

impl Flight {
    fn new(delay: Duration) -> Self {
        Self { delay, up: VecDeque::new(), down: VecDeque::new() }
    }

    /// Time goes on to the next thing that happens.
    fn step(&mut self, town: &mut Town) {
        for (queue, mail) in [(&mut self.up, &mut town.up), (&mut self.down, &mut town.down)] {
            if !mail.parcels.is_empty() {
                queue.push_back((town.now + self.delay, std::mem::take(mail)));
            }
        }
        let arrivals = [&self.up, &self.down].map(|queue| queue.front().map(|(at, _)| *at));
        let next = arrivals.into_iter().flatten().chain(town.wake()).min().expect("something is to happen");
        town.now = town.now.max(next);
        if let Some(mail) = arrived(&mut self.down, next) {
            town.down = mail;
            town.clients_take();
        }
        if let Some(mail) = arrived(&mut self.up, next) {
            town.up = mail;
        }
        town.expire();
        town.settling();
        town.clients_speak();
    }
}

fn arrived(queue: &mut VecDeque<(Instant, Mail)>, now: Instant) -> Option<Mail> {
    let is_due = queue.front().is_some_and(|(at, _)| *at <= now);
    if is_due { queue.pop_front().map(|(_, mail)| mail) } else { None }
}
