//! What Peregrine is to reach. A goal that is missed is reported and fails nothing.

use std::fmt;

use serde_json::{Value, json};

use super::case::{Case, Workload};
use super::quantity::{Quantity, number};
use super::terms::Cipher;

/// What a figure of Peregrine's is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Nothing: the figure counts as it is.
    Itself,
    /// The same figure of quinn-proto.
    Quinn,
    /// The same figure of the floor.
    Floor,
    /// Its own figure with a thousand connections.
    Thousand,
}

/// Where the goal is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// A bound on one quantity of a workload.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Goal {
    pub quantity: Quantity,
    pub measure: Measure,
    bound: Bound,
}

impl Goal {
    fn at_least(quantity: Quantity, bound: f64, measure: Measure) -> Self {
        Self { quantity, measure, bound: Bound::AtLeast(bound) }
    }

    fn at_most(quantity: Quantity, bound: f64, measure: Measure) -> Self {
        Self { quantity, measure, bound: Bound::AtMost(bound) }
    }

    /// The goals of a workload.
    pub fn of(workload: Workload, cipher: Cipher) -> Vec<Self> {
        match (workload, cipher) {
            (Workload::BulkUp | Workload::BulkDown, Cipher::Aes128Gcm) => vec![
                Self::at_least(Quantity::Speed, 0.70, Measure::Floor),
                Self::at_least(Quantity::Speed, 2.5, Measure::Quinn),
            ],
            (Workload::BulkUp | Workload::BulkDown, Cipher::Chacha20) => {
                vec![Self::at_least(Quantity::Speed, 0.85, Measure::Floor)]
            }
            (Workload::ManyStreams, _) => vec![Self::at_least(Quantity::Streams, 2.0, Measure::Quinn)],
            (Workload::ManyConnections, _) => vec![Self::at_most(Quantity::Request, 0.5, Measure::Quinn)],
            (Workload::TenThousandConnections, _) => {
                vec![Self::at_most(Quantity::Request, 1.3, Measure::Thousand)]
            }
            (Workload::Handshakes, _) => vec![Self::at_least(Quantity::Handshakes, 1.25, Measure::Quinn)],
            (Workload::EarlyRequests, _) => vec![Self::at_least(Quantity::Handshakes, 1.2, Measure::Quinn)],
            (Workload::Datagrams, _) => vec![Self::at_least(Quantity::Messages, 1.6, Measure::Quinn)],
            // With datagrams so large most of the time is the cipher's, which is the same for both.
            (Workload::BulkSearched, _) => vec![Self::at_least(Quantity::Speed, 1.2, Measure::Quinn)],
            (Workload::Lossy, _) => vec![
                Self::at_least(Quantity::Goodput, 1.2, Measure::Itself),
                Self::at_most(Quantity::Cost, 0.5, Measure::Quinn),
            ],
            (Workload::Memory, _) => vec![
                Self::at_most(Quantity::ServerHeap, 4.0, Measure::Itself),
                Self::at_most(Quantity::ClientHeap, 12.0, Measure::Itself),
                Self::at_most(Quantity::Allocations, 0.001, Measure::Itself),
            ],
        }
    }

    /// Whether `value`, in terms of the measure, reaches it.
    pub fn is_met(&self, value: f64) -> bool {
        match self.bound {
            Bound::AtLeast(least) => value >= least,
            Bound::AtMost(most) => value <= most,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bound {
            Bound::AtLeast(least) => write!(f, "at least {least} ")?,
            Bound::AtMost(most) => write!(f, "at most {most} ")?,
        }
        match self.measure {
            Measure::Itself => f.write_str(self.quantity.unit()),
            Measure::Quinn => f.write_str("x quinn-proto"),
            Measure::Floor => f.write_str("x floor"),
            Measure::Thousand => f.write_str("x its own with 1000 connections"),
        }
    }
}

/// A goal, and where Peregrine is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    pub goal: Goal,
    /// In terms of the goal's measure; `None` if that was not measured.
    pub value: Option<f64>,
}

impl Verdict {
    /// Whether the goal is met, if that can be told.
    pub fn is_met(&self) -> Option<bool> {
        self.value.map(|value| self.goal.is_met(value))
    }

    /// The same for a machine.
    pub fn to_json(self) -> Value {
        json!({ "goal": self.goal.to_string(), "value": self.value, "met": self.is_met() })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.is_met() {
            Some(true) => "met",
            Some(false) => "missed",
            None => "not judged",
        };
        write!(f, "{word:<10} {}", self.goal)?;
        self.value.map_or(Ok(()), |value| write!(f, ": {}", number(value)))
    }
}

/// The goals of all cases that could be judged.
#[derive(Debug, Default)]
pub struct Summary(Vec<(String, Verdict)>);

impl Summary {
    /// Takes the verdicts on a case in.
    pub fn add(&mut self, case: &Case, verdicts: impl Iterator<Item = Verdict>) {
        let judged = verdicts.filter(|verdict| verdict.is_met().is_some());
        self.0.extend(judged.map(|verdict| (case.name(), verdict)));
    }

    fn met(&self) -> usize {
        self.0.iter().filter(|(_, verdict)| verdict.is_met() == Some(true)).count()
    }

    /// The same for a machine.
    pub fn to_json(&self) -> Value {
        json!({ "title": "goals", "met": self.met(), "of": self.0.len() })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (case, verdict) in &self.0 {
            writeln!(f, "{case:<44} {verdict}")?;
        }
        write!(f, "goals met: {} of {}", self.met(), self.0.len())
    }
}
