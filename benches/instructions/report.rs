//! What is printed: a row a scenario and a part, the ceiling, and a line for each row that needs one.

use std::fmt;

use super::cost::Cost;
use super::record::{Record, Verdict};

/// The most that a bulk packet should cost both ends, AEAD and copying apart.
const CEILING: f64 = 2500.0;
/// How a cost that is meant is recorded.
pub const RECORD_ANEW: &str = "cargo bench --bench instructions -- --record";

/// What a scenario or a part of it costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    pub name: &'static str,
    pub unit: &'static str,
    pub now: Cost,
    pub recorded: Option<Cost>,
}

impl Row {
    fn verdict(&self) -> Verdict {
        Verdict::of(self.now, self.recorded)
    }

    /// How much it grew, in percent; less than zero if it shrank.
    fn growth(&self) -> Option<f64> {
        let percent = |recorded: Cost| (self.now.rest / recorded.rest - 1.0) * 100.0;
        // To the hundredth, and without a negative zero.
        self.recorded.map(|recorded| (percent(recorded) * 100.0).round() / 100.0 + 0.0)
    }

    /// What is to be said of it, if anything.
    fn remark(&self) -> Option<String> {
        let Self { name, unit, now, recorded } = self;
        let change = match (recorded, self.growth()) {
            (Some(recorded), Some(growth)) => {
                let (was, growth, now) = (recorded.rest, growth.abs(), now.rest);
                format!("by {growth:.1} %, from {was:.1} to {now:.1} instructions a {unit}")
            }
            (_, None) | (None, _) => format!("{:.1} instructions a {unit}", now.rest),
        };
        match self.verdict() {
            Verdict::Steady => None,
            Verdict::Grown => {
                Some(format!("{name} grew {change}; if it must, record it anew: {RECORD_ANEW}"))
            }
            Verdict::Shrunk => Some(format!("{name} shrank {change}; record it anew: {RECORD_ANEW}")),
            Verdict::Unrecorded => Some(format!("{name} has no record ({change}); make one: {RECORD_ANEW}")),
        }
    }
}

/// All rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    rows: Vec<Row>,
}

impl Report {
    /// Adds a row.
    pub fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// The costs as they are now, to be recorded.
    pub fn record(&self, rustc: String) -> Record {
        Record { rustc, costs: self.rows.iter().map(|row| (row.name.to_owned(), row.now)).collect() }
    }

    /// The rows that need a word: those that close the gate, and those that do not.
    pub fn remarks(&self, passes: bool) -> impl Iterator<Item = String> {
        self.rows.iter().filter(move |row| row.verdict().passes() == passes).filter_map(Row::remark)
    }

    /// Whether no row closes the gate.
    pub fn passes(&self) -> bool {
        self.rows.iter().all(|row| row.verdict().passes())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "instructions a unit, both ends; AEAD and memcpy are apart and not judged")?;
        let heads = ["now", "recorded", "growth %", "AEAD", "memcpy"];
        let [now, recorded, growth, aead, memcpy] = heads;
        writeln!(f, "  {:<21} {now:>10} {recorded:>10} {growth:>10} {aead:>10} {memcpy:>10}", "")?;
        for row in &self.rows {
            let title = format!("{}, a {}", row.name, row.unit);
            let dash = || "-".to_owned();
            let recorded = row.recorded.map_or_else(dash, |recorded| format!("{:.1}", recorded.rest));
            let growth = row.growth().map_or_else(dash, |growth| format!("{growth:+.2}"));
            let Cost { rest, aead, memcpy } = row.now;
            writeln!(
                f,
                "  {title:<21} {rest:>10.1} {recorded:>10} {growth:>10} {aead:>10.1} {memcpy:>10.1}"
            )?;
        }
        if let Some(bulk) = self.rows.iter().find(|row| row.name == "bulk") {
            let verdict = if bulk.now.rest <= CEILING { "met" } else { "missed" };
            let distance = (bulk.now.rest - CEILING).abs();
            writeln!(f, "  ceiling of {CEILING} a bulk packet: {verdict}, by {distance:.1}")?;
        }
        Ok(())
    }
}
