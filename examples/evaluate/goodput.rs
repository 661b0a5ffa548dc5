//! A long download through a move: how fast it is before, how long it pauses, how fast it is again.

use std::time::Duration;

use peregrine::Dir;
use sim::{Client, Conn, Request, secs};
use stage::moves::{HOME, Play};

use crate::conditions::{COLD, Loss};
use crate::crew::Crew;
use crate::scene::Scene;
use crate::way::{Cue, SILENCE, Way, follow, unheard};

/// More than can be had in the time.
const SIZE: u64 = 200_000_000;
/// When notice is given.
pub const NOTICE: Duration = secs_of(2);
/// When the server leaves; it is back [`COLD`] later.
pub const LEAVES: Duration = secs_of(4);
/// When it is over.
pub const END: Duration = secs_of(9);
/// How often one looks.
pub const STEP: Duration = Duration::from_millis(20);
/// The ways that are compared.
pub const WAYS: [Way; 9] = [
    Way::Stay,
    follow(Play::Symmetric),
    follow(Play::Synchronized),
    follow(Play::Proactive),
    follow(Play::Reactive),
    follow(Play::Pool(3)),
    unheard(Play::Reactive),
    Way::Reconnect(Cue::Told),
    Way::Reconnect(SILENCE),
];

const fn secs_of(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// One download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    pub way: Way,
    pub loss: Loss,
    /// Bytes received by the end of each step.
    pub received: Vec<u64>,
}

impl Course {
    /// Bytes received by this time.
    pub fn by(&self, time: Duration) -> u64 {
        let steps = (time.as_micros() / STEP.as_micros()) as usize;
        steps.checked_sub(1).and_then(|last| self.received.get(last)).copied().unwrap_or(0)
    }

    /// From the server's return to the end of the first step that brought something; `None` if none did.
    pub fn pause(&self) -> Option<Duration> {
        let back = LEAVES + COLD;
        let stale = self.by(back);
        let steps = self.received.iter().filter(|received| **received <= stale).count();
        (steps < self.received.len()).then(|| (STEP * (steps as u32 + 1)).saturating_sub(back))
    }

    /// Megabits a second, averaged over `window` steps up to each step.
    pub fn rates(&self, window: usize) -> impl Iterator<Item = (Duration, f64)> {
        let time = STEP * window as u32;
        (window..=self.received.len()).map(move |steps| {
            let before = steps.checked_sub(window + 1).map_or(0, |first| self.received[first]);
            let bits = (self.received[steps - 1] - before) as f64 * 8.0;
            (STEP * steps as u32, bits / time.as_secs_f64() / 1e6)
        })
    }
}

/// All ways, with loss and without.
pub fn all(crew: Crew, seed: u64) -> Vec<Course> {
    let kinds: Vec<_> = Loss::ALL.into_iter().flat_map(|loss| WAYS.map(|way| (way, loss))).collect();
    crew.each("goodput", kinds.len(), |number| {
        let (way, loss) = kinds[number];
        run(way, loss, seed, END)
    })
}

/// A client that fetches something, perhaps on one connection after the other.
struct Fetch {
    scene: Scene,
    /// What came on connections that were given up.
    before: u64,
    conn: Conn,
    received: Vec<u64>,
}

impl Fetch {
    fn total(&self) -> u64 {
        self.before + self.scene.world.app::<Client>(self.conn).received()
    }

    /// Runs up to this time of the download, or until it has brought nothing for so long.
    fn run_to(&mut self, time: Duration, patience: Option<Duration>) {
        let start = self.received.len();
        while STEP * (self.received.len() as u32) < time {
            self.scene.world.run_for(STEP);
            self.received.push(self.total());
            let patience = patience.map(|patience| (patience.as_micros() / STEP.as_micros()) as usize);
            let waited = |steps: usize| {
                let then = self.received.len().checked_sub(steps + 1).filter(|then| *then >= start);
                then.is_some_and(|then| self.received[then] == self.received[self.received.len() - 1])
            };
            if patience.is_some_and(waited) {
                return;
            }
        }
    }

    /// Asks for the rest on another connection.
    fn reconnect(&mut self) {
        self.before = self.total();
        self.conn = self.scene.reconnect(Client::download(SIZE - self.before));
    }
}

/// One download, looked at until `end`.
pub fn run(way: Way, loss: Loss, seed: u64, end: Duration) -> Course {
    let mut scene = Scene::new(way, HOME, loss, seed, Client::idle());
    scene.world.run_for(secs(1));
    let conn = scene.conn;
    scene.world.ask(conn, Request { dir: Dir::Bi, up: 0, down: SIZE });
    let mut fetch = Fetch { scene, before: 0, conn, received: Vec::new() };
    fetch.run_to(NOTICE, None);
    fetch.scene.give_notice();
    fetch.run_to(LEAVES, None);
    fetch.scene.leave(COLD);
    match way {
        Way::Stay | Way::Follow { .. } | Way::Reconnect(Cue::Idle) => {}
        Way::Reconnect(Cue::Told) => {
            fetch.run_to(LEAVES + COLD, None);
            fetch.reconnect();
        }
        Way::Reconnect(Cue::Silence(wait)) => {
            fetch.run_to(end, Some(wait));
            fetch.reconnect();
        }
    }
    fetch.run_to(end, None);
    Course { way, loss, received: fetch.received }
}
