//! The figures as lines of JSON, for programs.

use serde_json::{Value, json};

use crate::first::Series;
use crate::goodput::{Course, STEP};
use crate::readiness::Point;
use crate::recovery::Tally;
use crate::reference;
use crate::statistics::{Summary, millis, percentile};
use crate::target::Target;
use crate::way::strategy;

/// A line for each series.
pub fn of_first_requests(all: &[Series]) -> Vec<Value> {
    let line = |series: &Series| {
        json!({
            "experiment": "first-request",
            "way": series.way.to_string(),
            "loss": series.loss.name(),
            "pace": series.pace.name(),
            "runs": series.runs.len(),
            "unanswered": series.unanswered(),
            "ms": Summary::of(&series.times()).map(four),
            "thesis_ms": reference::first_request(series.way, series.loss).map(four),
            "each_ms": series.runs.iter().map(|run| run.took.map(millis)).collect::<Vec<_>>(),
        })
    };
    all.iter().map(line).collect()
}

fn four(summary: Summary) -> Value {
    json!({"mean": summary.mean, "median": summary.median, "95%": summary.most, "max": summary.max})
}

/// A line for each number of clients.
pub fn of_readiness(points: &[Point]) -> Vec<Value> {
    let line = |point: &Point| {
        json!({
            "experiment": "readiness",
            "strategy": strategy(point.play),
            "rtt_ms": millis(point.rtt),
            "clients": point.clients,
            "ms": point.took.map(millis),
            "thesis_ms": reference::readiness(point.play, point.rtt, point.clients),
        })
    };
    points.iter().map(line).collect()
}

/// A line for each download.
pub fn of_goodput(courses: &[Course]) -> Vec<Value> {
    let line = |course: &Course| {
        json!({
            "experiment": "goodput",
            "way": course.way.to_string(),
            "loss": course.loss.name(),
            "pause_ms": course.pause().map(millis),
            "step_ms": millis(STEP),
            "received": course.received,
        })
    };
    courses.iter().map(line).collect()
}

/// A line for each strategy.
pub fn of_recovery(tallies: &[Tally], seed: u64) -> Vec<Value> {
    let line = |tally: &Tally| {
        let sorted = tally.sorted();
        json!({
            "experiment": "recovery",
            "way": tally.way.to_string(),
            "runs": tally.runs.len(),
            "never_recovered": tally.lost().map(|number| seed + number as u64).collect::<Vec<_>>(),
            "ms": Summary::of(&sorted).map(four),
            "99%_ms": percentile(&sorted, 99.0),
            "99.9%_ms": percentile(&sorted, 99.9),
        })
    };
    tallies.iter().map(line).collect()
}

/// A line for each target.
pub fn of_targets(targets: &[Target]) -> Vec<Value> {
    let line = |target: &Target| {
        json!({
            "target": target.what,
            "figure": target.figure,
            "at_most": target.limit,
            "unit": target.unit,
            "met": target.is_met(),
        })
    };
    targets.iter().map(line).collect()
}
