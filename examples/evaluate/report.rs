//! The figures as tables.

use std::time::Duration;

use crate::conditions::{COLD, Loss, Pace};
use crate::first::Series;
use crate::goodput::{Course, END, LEAVES};
use crate::readiness::{PLAYS, Point, ROUND_TRIPS};
use crate::recovery::Tally;
use crate::reference;
use crate::statistics::{Summary, millis, percentile};
use crate::table::Table;
use crate::target::Target;
use crate::way::{Way, strategy};

/// What stands for what there is none of.
const NONE: &str = "-";

/// One table without loss, one with it.
pub fn of_first_requests(all: &[Series], seed: u64) -> Vec<Table> {
    let headings = ["first request after the move, ms", "in rhythm: mean", "median", "95 %", "max"];
    let more =
        ["at once: mean", "median", "95 %", "max", "no answer", "thesis: mean", "median", "95 %", "max"];
    let tables = Loss::ALL.map(|loss| {
        let runs = all.first().map_or(0, |series| series.runs.len());
        let title = format!("First request, {}, {runs} runs each, seeds from {seed}", loss.name());
        let mut table = Table::new(title, &[&headings[..], &more].concat());
        for way in Way::ALL {
            let find = |pace| all.iter().find(|s| (s.way, s.loss, s.pace) == (way, loss, pace));
            let paces = Pace::ALL.map(find);
            let summaries = paces.map(|series| series.and_then(|series| Summary::of(&series.times())));
            let unanswered: usize = paces.into_iter().flatten().map(Series::unanswered).sum();
            let mut row = vec![way.to_string()];
            row.extend(summaries.into_iter().flat_map(four));
            row.push(unanswered.to_string());
            row.extend(four(reference::first_request(way, loss)));
            table.row(row);
        }
        table
    });
    tables.into()
}

fn four(summary: Option<Summary>) -> [String; 4] {
    let Some(Summary { mean, median, most, max }) = summary else { return [NONE; 4].map(str::to_owned) };
    [mean, median, most, max].map(figure)
}

/// A number of milliseconds.
fn figure(millis: f64) -> String {
    format!("{millis:.1}")
}

fn time(took: Option<Duration>) -> String {
    took.map_or_else(|| NONE.to_owned(), |took| figure(millis(took)))
}

/// A table for each path.
pub fn of_readiness(points: &[Point], seed: u64) -> Vec<Table> {
    let tables = ROUND_TRIPS.map(|rtt| {
        let title = format!("Notice to ready, ms; {rtt:?} round trip, no loss, seed {seed}");
        let names = PLAYS.map(strategy);
        let mut headings = vec!["clients"];
        headings.extend(names.iter().map(String::as_str));
        headings.extend(["thesis: Symmetric", "thesis: Explicit"]);
        let mut table = Table::new(title, &headings);
        let mut numbers: Vec<_> = points.iter().map(|point| point.clients).collect();
        numbers.sort_unstable();
        numbers.dedup();
        for clients in numbers {
            let mut row = vec![clients.to_string()];
            row.extend(PLAYS.map(|play| {
                let found = points.iter().find(|p| (p.play, p.rtt, p.clients) == (play, rtt, clients));
                time(found.and_then(|point| point.took))
            }));
            row.extend([PLAYS[0], PLAYS[3]].map(|play| {
                reference::readiness(play, rtt, clients).map_or_else(|| NONE.to_owned(), figure)
            }));
            table.row(row);
        }
        table
    });
    tables.into()
}

/// One table without loss, one with it.
pub fn of_goodput(courses: &[Course], seed: u64) -> Vec<Table> {
    let headings = ["download through a move", "pause after the return, ms", "MB before the server left"];
    let more = ["in 0.5 s from its return", "in 1 s", "in 3 s"];
    let tables = Loss::ALL.map(|loss| {
        let title = format!("Goodput, {}, seed {seed}", loss.name());
        let mut table = Table::new(title, &[&headings[..], &more].concat());
        for course in courses.iter().filter(|course| course.loss == loss) {
            let back = LEAVES + COLD;
            let megabytes = |bytes: u64| format!("{:.2}", bytes as f64 / 1e6);
            let since = |millis| {
                megabytes(course.by((back + Duration::from_millis(millis)).min(END)) - course.by(back))
            };
            table.row([
                course.way.to_string(),
                time(course.pause()),
                megabytes(course.by(LEAVES)),
                since(500),
                since(1000),
                since(3000),
            ]);
        }
        table
    });
    tables.into()
}

/// One table.
pub fn of_recovery(tallies: &[Tally], seed: u64) -> Vec<Table> {
    let runs = tallies.first().map_or(0, |tally| tally.runs.len());
    let title = format!("Recovery, {}, {runs} seeds from {seed}; first request, ms", Loss::With.name());
    let headings = ["strategy", "mean", "median", "95 %", "99 %", "99.9 %", "max", "never recovered"];
    let mut table = Table::new(title, &headings);
    for tally in tallies {
        let sorted = tally.sorted();
        let [mean, median, most, max] = four(Summary::of(&sorted));
        let tail =
            [99.0, 99.9].map(|percent| percentile(&sorted, percent).map_or_else(|| NONE.to_owned(), figure));
        let [hundredth, thousandth] = tail;
        let lost: Vec<_> = tally.lost().map(|number| (seed + number as u64).to_string()).collect();
        let never = match lost.len() {
            0 => "0".to_owned(),
            count => format!("{count}: seeds {}", lost[..count.min(5)].join(", ")),
        };
        table.row([tally.way.to_string(), mean, median, most, hundredth, thousandth, max, never]);
    }
    vec![table]
}

/// What was to be shown.
pub fn of_targets(targets: &[Target]) -> Table {
    let mut table = Table::new("Targets", &["target", "figure", "at most", "unit", ""]);
    for target in targets {
        let number =
            |figure: f64| if target.unit == "ms" { format!("{figure:.2}") } else { figure.to_string() };
        let verdict = if target.is_met() { "met" } else { "MISSED" };
        let [figure, limit] = [target.figure, target.limit].map(number);
        table.row([target.what.clone(), figure, limit, target.unit.to_owned(), verdict.to_owned()]);
    }
    table
}
