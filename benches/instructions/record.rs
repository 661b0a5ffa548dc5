//! What every row cost when it was last recorded, and what is made of a growth.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::cost::Cost;

/// The share by which a cost may grow or shrink and still be the one recorded.
const TOLERANCE: f64 = 0.03;

/// The record: a file beside this one, in the repository.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// The compiler that made what was counted, and for which machine.
    pub rustc: String,
    /// Costs by the name of the row.
    pub costs: BTreeMap<String, Cost>,
}

/// What is to be done about a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// Nothing.
    Steady,
    /// It grew by more than is tolerated: the gate is closed.
    Grown,
    /// It shrank by so much that the record would let it grow again unseen: record it anew.
    Shrunk,
    /// There is no record of it: the gate is closed.
    Unrecorded,
}

impl Verdict {
    /// Judges what is not of the AEAD and of copying.
    pub fn of(now: Cost, recorded: Option<Cost>) -> Self {
        let Some(recorded) = recorded else { return Self::Unrecorded };
        if now.rest > recorded.rest * (1.0 + TOLERANCE) {
            Self::Grown
        } else if recorded.rest > now.rest * (1.0 + TOLERANCE) {
            Self::Shrunk
        } else {
            Self::Steady
        }
    }

    /// Whether the gate stays open.
    pub fn passes(self) -> bool {
        match self {
            Self::Steady | Self::Shrunk => true,
            Self::Grown | Self::Unrecorded => false,
        }
    }
}

impl Record {
    /// Reads what [`Record::to_json`] wrote; `None` if it is anything else.
    pub fn from_json(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let rows = value.get("scenarios")?.as_object()?.iter();
        let costs = rows.map(|(name, cost)| {
            let part = |key| cost.get(key)?.as_f64().filter(|part| *part >= 0.0);
            let cost = Cost { rest: part("rest")?, aead: part("aead")?, memcpy: part("memcpy")? };
            Some((name.clone(), cost))
        });
        Some(Self { rustc: value.get("rustc")?.as_str()?.to_owned(), costs: costs.collect::<Option<_>>()? })
    }

    /// The record as text, to a tenth of an instruction.
    pub fn to_json(&self) -> String {
        let tenth = |part: f64| (part * 10.0).round() / 10.0;
        let cost = |cost: &Cost| json!({ "rest": tenth(cost.rest), "aead": tenth(cost.aead), "memcpy": tenth(cost.memcpy) });
        let costs: BTreeMap<&String, Value> = self.costs.iter().map(|(name, of)| (name, cost(of))).collect();
        format!("{:#}\n", json!({ "rustc": self.rustc, "scenarios": costs }))
    }
}
