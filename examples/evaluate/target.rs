//! What has to be shown, and whether it was.

use std::time::Duration;

use stage::moves::Play;

use crate::conditions::{Loss, Pace, SECOND_RTT};
use crate::first::Series;
use crate::readiness::Point;
use crate::recovery::Tally;
use crate::statistics::millis;
use crate::way::{POOLS, Way, strategy, unheard};

/// How much slower than without a move a request may be that is handed over after it.
const MARGIN: Duration = Duration::from_millis(1);
/// What readiness may take beyond a round trip.
const READY_MARGIN: Duration = Duration::from_millis(5);
/// How many clients are to be ready that soon.
const READY_CLIENTS: usize = 50;

/// A figure and the most it may be.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    pub what: String,
    pub unit: &'static str,
    pub figure: f64,
    pub limit: f64,
}

impl Target {
    fn time(what: String, figure: Duration, limit: Duration) -> Self {
        Self { what, unit: "ms", figure: millis(figure), limit: millis(limit) }
    }

    /// Whether it was met.
    pub fn is_met(&self) -> bool {
        self.figure <= self.limit
    }
}

/// Those of the first request.
pub fn of_first_requests(all: &[Series]) -> Vec<Target> {
    let find = |way, pace| {
        let fits = |series: &&Series| (series.way, series.loss, series.pace) == (way, Loss::Without, pace);
        all.iter().find(fits).expect("all ways are tried")
    };
    let yardstick = find(Way::Stay, Pace::Steady);
    let mut targets = Vec::new();
    for way in Way::following() {
        let paces: &[Pace] = if way.is_unheard() { &Pace::ALL } else { &[Pace::Steady] };
        for pace in paces {
            let grant = |pto, rtt| if way.is_unheard() { pto + rtt } else { MARGIN };
            let (figure, limit) = worst(find(way, *pace), yardstick, grant);
            let what = format!("{way}: first request {} above no move", pace.name());
            targets.push(Target::time(what, figure, limit));
        }
    }
    targets.extend(Pace::ALL.map(|pace| {
        let worst = POOLS.map(|size| find(unheard(Play::Pool(size)), pace).times().into_iter().max());
        let spread = worst
            .iter()
            .max()
            .zip(worst.iter().min())
            .map(|(most, least)| most.unwrap_or(Duration::MAX).saturating_sub(least.unwrap_or_default()));
        let what = format!("pools of {POOLS:?}, unheard, {}: apart", pace.name());
        Target::time(what, spread.unwrap_or(Duration::MAX), MARGIN)
    }));
    targets
}

/// The request that fared worst against what it is granted above the same request without a move, given its client's
/// probe timeout on the first path and the round trip that one without a move measures on the second: how much longer it took than that, and how much it is granted. For ever, if it was not answered.
fn worst(
    series: &Series,
    still: &Series,
    grant: impl Fn(Duration, Duration) -> Duration,
) -> (Duration, Duration) {
    let pairs = series.runs.iter().zip(&still.runs).map(|(run, still)| {
        let above =
            run.took.zip(still.took).map_or(Duration::MAX, |(took, still)| took.saturating_sub(still));
        (above, grant(run.pto, still.rtt))
    });
    let fares = |(above, granted): &(Duration, Duration)| (above.saturating_sub(*granted), *above);
    pairs.max_by_key(fares).unwrap_or((Duration::MAX, Duration::ZERO))
}

/// Those of readiness.
pub fn of_readiness(points: &[Point]) -> Vec<Target> {
    let fits = |point: &&Point| point.clients == READY_CLIENTS && point.rtt == SECOND_RTT;
    let targets = points.iter().filter(fits).map(|point| {
        let limit = match point.play {
            Play::Symmetric | Play::Pool(_) => Duration::ZERO,
            Play::Reactive | Play::Proactive | Play::Synchronized => SECOND_RTT + READY_MARGIN,
        };
        let what = format!("{}: notice to ready, {READY_CLIENTS} clients", strategy(point.play));
        Target::time(what, point.took.unwrap_or(Duration::MAX), limit)
    });
    targets.collect()
}

/// Those of recovery.
pub fn of_recovery(tallies: &[Tally]) -> Vec<Target> {
    let targets = tallies.iter().map(|tally| Target {
        what: format!("{}: never recovered, of {}", tally.way, tally.runs.len()),
        unit: "runs",
        figure: tally.lost().count() as f64,
        limit: 0.0,
    });
    targets.collect()
}
