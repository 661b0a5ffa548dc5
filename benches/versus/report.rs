//! What is printed: for each case a row a leg, median with least and most, and the two ratios that matter.

use std::fmt::{self, Write as _};
use std::time::Duration;

use serde_json::json;

/// Who ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leg {
    Peregrine,
    Quinn,
    Floor,
}

impl Leg {
    /// Its name in a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Peregrine => "peregrine",
            Self::Quinn => "quinn-proto",
            Self::Floor => "floor",
        }
    }
}

/// The rates of one leg, one of each run.
#[derive(Debug, Clone, PartialEq)]
struct Rates {
    leg: Leg,
    /// Units of work in a second of processor time, in rising order.
    sorted: Vec<f64>,
    /// Datagrams of both directions in the last run.
    datagrams: u64,
}

impl Rates {
    fn median(&self) -> f64 {
        self.sorted[self.sorted.len() / 2]
    }

    fn least(&self) -> f64 {
        self.sorted[0]
    }

    fn most(&self) -> f64 {
        self.sorted[self.sorted.len() - 1]
    }
}

/// One workload under one set of terms, and how fast each leg was.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    title: String,
    unit: &'static str,
    /// Units of work in one run.
    work: f64,
    rates: Vec<Rates>,
}

impl Report {
    /// No runs yet.
    pub fn new(title: String, unit: &'static str, work: f64) -> Self {
        Self { title, unit, work, rates: Vec::new() }
    }

    /// A leg did the work once, in this much processor time and with this many datagrams.
    pub fn add(&mut self, leg: Leg, spent: Duration, datagrams: u64) {
        let rate = self.work / spent.as_secs_f64();
        match self.rates.iter_mut().find(|rates| rates.leg == leg) {
            Some(rates) => {
                let at = rates.sorted.partition_point(|other| *other < rate);
                rates.sorted.insert(at, rate);
                rates.datagrams = datagrams;
            }
            None => self.rates.push(Rates { leg, sorted: vec![rate], datagrams }),
        }
    }

    fn median(&self, leg: Leg) -> Option<f64> {
        self.rates.iter().find(|rates| rates.leg == leg).map(Rates::median)
    }

    /// Peregrine's rate in terms of another leg's.
    fn ratio_to(&self, leg: Leg) -> Option<f64> {
        Some(self.median(Leg::Peregrine)? / self.median(leg)?)
    }

    /// The same for a machine: one object.
    pub fn to_json(&self) -> serde_json::Value {
        let legs = self.rates.iter().map(|rates| {
            json!({
                "leg": rates.leg.name(),
                "median": rates.median(),
                "min": rates.least(),
                "max": rates.most(),
                "runs": rates.sorted.len(),
                "datagrams": rates.datagrams,
            })
        });
        json!({
            "case": self.title,
            "unit": self.unit,
            "legs": legs.collect::<Vec<_>>(),
            "to_quinn_proto": self.ratio_to(Leg::Quinn),
            "to_floor": self.ratio_to(Leg::Floor),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        writeln!(
            f,
            "  {:<12} {:>10} {:>10} {:>10}   {} of processor time",
            "", "median", "min", "max", self.unit
        )?;
        for rates in &self.rates {
            let (median, least, most) = (rates.median(), rates.least(), rates.most());
            let (name, datagrams) = (rates.leg.name(), rates.datagrams);
            writeln!(f, "  {name:<12} {median:>10.0} {least:>10.0} {most:>10.0} {datagrams:>10}")?;
        }
        let mut ratios = String::new();
        for leg in [Leg::Quinn, Leg::Floor] {
            if let Some(ratio) = self.ratio_to(leg) {
                write!(ratios, "   {ratio:.2} x {}", leg.name())?;
            }
        }
        if ratios.is_empty() { Ok(()) } else { writeln!(f, "  peregrine = {}", ratios.trim_start()) }
    }
}
