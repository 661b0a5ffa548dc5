//! What is printed: for each quantity of a case a row a leg, median with least and most, the ratios that matter, and
//! whether the goals are met.

use std::fmt::{self, Write as _};

use serde_json::{Value, json};

use super::case::Case;
use super::goal::{Goal, Measure, Verdict};
use super::quantity::{Quantity, Run, number};

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

/// The figures of one leg, in the order of its runs.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    leg: Leg,
    figures: Vec<f64>,
    /// Datagrams of both directions in the last run.
    datagrams: u64,
}

impl Row {
    fn median(&self) -> f64 {
        median(&self.figures)
    }

    fn least(&self) -> f64 {
        self.figures.iter().copied().fold(f64::INFINITY, f64::min)
    }

    fn most(&self) -> f64 {
        self.figures.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    fn to_json(&self) -> Value {
        json!({
            "leg": self.leg.name(),
            "median": self.median(),
            "min": self.least(),
            "max": self.most(),
            "runs": self.figures.len(),
            "datagrams": self.datagrams,
        })
    }
}

/// One quantity.
#[derive(Debug, Clone, PartialEq)]
struct Table {
    quantity: Quantity,
    rows: Vec<Row>,
    verdicts: Vec<Verdict>,
}

impl Table {
    fn add(&mut self, leg: Leg, figure: f64, datagrams: u64) {
        match self.rows.iter_mut().find(|row| row.leg == leg) {
            Some(row) => {
                row.figures.push(figure);
                row.datagrams = datagrams;
            }
            None => self.rows.push(Row { leg, figures: vec![figure], datagrams }),
        }
    }

    fn row(&self, leg: Leg) -> Option<&Row> {
        self.rows.iter().find(|row| row.leg == leg)
    }

    fn median(&self, leg: Leg) -> Option<f64> {
        self.row(leg).map(Row::median)
    }

    /// Peregrine's figure in terms of another leg's: the median of what it was in each round, as two runs that follow
    /// each other find the machine as busy.
    fn ratio_to(&self, leg: Leg) -> Option<f64> {
        let (own, other) = (self.row(Leg::Peregrine)?, self.row(leg)?);
        let ratios: Vec<f64> =
            own.figures.iter().zip(&other.figures).map(|(own, other)| own / other).collect();
        Some(median(&ratios))
    }
}

/// The middle one of figures of which there is at least one.
fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// One case, and how each leg did.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    case: Case,
    tables: Vec<Table>,
}

impl Report {
    /// No runs yet.
    pub fn new(case: Case) -> Self {
        Self { case, tables: Vec::new() }
    }

    /// A leg has run once.
    pub fn add(&mut self, leg: Leg, run: &Run) {
        for &(quantity, figure) in &run.figures {
            let known = self.tables.iter().position(|table| table.quantity == quantity);
            let at = known.unwrap_or_else(|| {
                self.tables.push(Table { quantity, rows: Vec::new(), verdicts: Vec::new() });
                self.tables.len() - 1
            });
            self.tables[at].add(leg, figure, run.datagrams);
        }
    }

    /// The median of one leg's figures.
    pub fn median(&self, leg: Leg, quantity: Quantity) -> Option<f64> {
        self.tables.iter().find(|table| table.quantity == quantity)?.median(leg)
    }

    /// Holds the figures against the goals; `thousand` is Peregrine's own figure with a thousand connections.
    pub fn judge(&mut self, goals: &[Goal], thousand: Option<f64>) {
        for table in &mut self.tables {
            table.verdicts = goals
                .iter()
                .filter(|goal| goal.quantity == table.quantity)
                .map(|goal| {
                    let value = match goal.measure {
                        Measure::Itself => table.median(Leg::Peregrine),
                        Measure::Quinn => table.ratio_to(Leg::Quinn),
                        Measure::Floor => table.ratio_to(Leg::Floor),
                        Measure::Thousand => {
                            table.median(Leg::Peregrine).zip(thousand).map(|(own, base)| own / base)
                        }
                    };
                    Verdict { goal: *goal, value }
                })
                .collect();
        }
    }

    /// Every goal of the case.
    pub fn verdicts(&self) -> impl Iterator<Item = Verdict> {
        self.tables.iter().flat_map(|table| &table.verdicts).copied()
    }

    /// The same for a machine: one object a quantity.
    pub fn to_json(&self) -> impl Iterator<Item = Value> {
        let terms = &self.case.terms;
        self.tables.iter().map(move |table| {
            json!({
                "title": self.case.title(),
                "workload": self.case.workload.name(),
                "size": terms.size,
                "cipher": terms.cipher.name(),
                "quantity": table.quantity.name(),
                "unit": table.quantity.unit(),
                "legs": table.rows.iter().map(Row::to_json).collect::<Vec<_>>(),
                "to_quinn_proto": table.ratio_to(Leg::Quinn),
                "to_floor": table.ratio_to(Leg::Floor),
                "goals": table.verdicts.iter().copied().map(Verdict::to_json).collect::<Vec<_>>(),
            })
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.case.title())?;
        self.tables.iter().try_for_each(|table| table.fmt(f))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = ["median", "min", "max", "datagrams"].map(|head| format!("{head:>10}"));
        writeln!(
            f,
            "  {:<12} {}   {} {}",
            "",
            heads.join(" "),
            self.quantity.unit(),
            self.quantity.remark()
        )?;
        for row in &self.rows {
            let [median, least, most] = [row.median(), row.least(), row.most()].map(number);
            let (name, datagrams) = (row.leg.name(), row.datagrams);
            writeln!(f, "  {name:<12} {median:>10} {least:>10} {most:>10} {datagrams:>10}")?;
        }
        let mut ratios = String::new();
        for leg in [Leg::Quinn, Leg::Floor] {
            if let Some(ratio) = self.ratio_to(leg) {
                write!(ratios, "   {ratio:.2} x {}", leg.name())?;
            }
        }
        if !ratios.is_empty() {
            writeln!(f, "  peregrine = {}", ratios.trim_start())?;
        }
        self.verdicts.iter().try_for_each(|verdict| writeln!(f, "  {verdict}"))
    }
}
