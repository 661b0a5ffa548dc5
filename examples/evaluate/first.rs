//! The first request after the move: the thesis' experiments 0 and 1.
//!
//! Requests of 1 KB are echoed, one every five seconds. Notice is given after the ninth, the server leaves after the
//! tenth, and what counts is how long the eleventh takes.

use std::time::Duration;

use sim::{Client, Conn, secs};
use stage::moves::{AWAY, HOME};

use crate::conditions::{BEFORE_NOTICE, INTERVAL, Loss, PATIENCE, Pace, TRIGGER, unreachable};
use crate::crew::Crew;
use crate::scene::Scene;
use crate::way::{Cue, Way};

/// The longest that is waited for an answer: the idle timeout, and as long again.
const LIMIT: Duration = Duration::from_secs(90);

/// What came of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// From handing the request over until the whole answer was read; `None` if it never was.
    pub took: Option<Duration>,
    /// The client's probe timeout on the first path when the server left.
    pub pto: Duration,
    /// The round trip that the client measured last.
    pub rtt: Duration,
    /// Whether the connection moved, with all that belongs to it; of no meaning for who does not follow.
    pub moved: bool,
}

/// Many runs under the same conditions.
#[derive(Debug)]
pub struct Series {
    pub way: Way,
    pub loss: Loss,
    pub pace: Pace,
    /// In the order of their seeds.
    pub runs: Vec<Run>,
}

impl Series {
    /// How long the requests took that were answered.
    pub fn times(&self) -> Vec<Duration> {
        self.runs.iter().filter_map(|run| run.took).collect()
    }

    /// How many were not.
    pub fn unanswered(&self) -> usize {
        self.runs.iter().filter(|run| run.took.is_none()).count()
    }
}

/// All ways, with loss and without, in rhythm and at once.
pub fn all(crew: Crew, first_seed: u64, runs: usize) -> Vec<Series> {
    let kinds: Vec<_> = Way::ALL.into_iter().flat_map(kinds).collect();
    let results = crew.each("first request", kinds.len() * runs, |number| {
        let (way, loss, pace) = kinds[number / runs];
        run(way, loss, pace, TRIGGER, first_seed + (number % runs) as u64)
    });
    let series = kinds.iter().zip(results.chunks(runs));
    series.map(|(&(way, loss, pace), runs)| Series { way, loss, pace, runs: runs.to_vec() }).collect()
}

/// The yardstick knows no haste: its server is there all the time.
fn kinds(way: Way) -> impl Iterator<Item = (Way, Loss, Pace)> {
    let all = Loss::ALL.into_iter().flat_map(|loss| Pace::ALL.map(|pace| (loss, pace)));
    all.filter(move |(_, pace)| way != Way::Stay || *pace == Pace::Steady)
        .map(move |(loss, pace)| (way, loss, pace))
}

/// One run, in which the server leaves `trigger` after the tenth response.
pub fn run(way: Way, loss: Loss, pace: Pace, trigger: Duration, seed: u64) -> Run {
    let place = if way == Way::Stay { AWAY } else { HOME };
    let mut scene = Scene::new(way, place, loss, seed, Client::idle());
    let conn = scene.conn;
    scene.world.run_for(secs(1));
    for number in 1..=BEFORE_NOTICE + 1 {
        scene.world.ask(conn, Client::echo());
        assert!(scene.await_served(conn, number, LIMIT), "seed {seed}: no answer before anything moved");
        if number == BEFORE_NOTICE {
            let next = scene.world.now() + INTERVAL;
            scene.prepare();
            scene.world.run_to(next);
        } else if number < BEFORE_NOTICE {
            scene.world.run_for(INTERVAL);
        }
    }
    let next = scene.world.now() + INTERVAL;
    let pto = scene.world.connection(conn).expect("it is open").path().pto;
    scene.world.run_for(trigger);
    let unreachable = unreachable(seed);
    scene.leave(unreachable);
    scene.world.run_for(unreachable);
    if pace == Pace::Steady {
        scene.world.run_to(next);
    }
    let took = first_request(&mut scene, way);
    let moved = matches!(way, Way::Follow { .. }) && scene.await_moved();
    let rtt = scene.world.connection(conn).map_or(Duration::MAX, |connection| connection.path().rtt);
    Run { took, pto, rtt, moved }
}

/// Hands the first request after the move over, and awaits its answer.
fn first_request(scene: &mut Scene, way: Way) -> Option<Duration> {
    let (handed, old) = (scene.world.now(), scene.conn);
    if way != Way::Reconnect(Cue::Told) {
        scene.world.ask(old, Client::echo());
    }
    let conn = match way {
        Way::Stay | Way::Follow { .. } => old,
        Way::Reconnect(cue) => {
            await_cue(scene, cue);
            scene.reconnect(Client::asking([Client::echo()]))
        }
    };
    let count = if conn == old { BEFORE_NOTICE + 2 } else { 1 };
    scene.await_served(conn, count, LIMIT).then(|| scene.world.now().since(handed))
}

fn await_cue(scene: &mut Scene, cue: Cue) {
    let old: Conn = scene.conn;
    match cue {
        Cue::Told => {}
        Cue::Silence(wait) => scene.world.run_for(wait),
        Cue::Idle => {
            let ended = scene.await_that(|world| world.closed(old).is_some(), LIMIT);
            assert!(ended, "a connection without a server ends after {PATIENCE:?}");
        }
    }
}
