//! What is counted: a workload, the unit it is divided by, and the functions that are counted one by one.

use std::any::type_name_of_val;

use clap::ValueEnum;

use super::bulk;

/// A workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// One stream in full trains, for each data packet.
    Bulk,
}

/// A part of a workload: one function of this benchmark and all that it calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    pub name: &'static str,
    /// The function, as valgrind calls it.
    pub function: &'static str,
}

impl Scenario {
    /// Its name in a table and in the record.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bulk => "bulk",
        }
    }

    /// What one unit of it is.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Bulk => "packet",
        }
    }

    /// Its parts, which make up the whole.
    pub fn parts(self) -> Vec<Part> {
        match self {
            Self::Bulk => vec![
                Part { name: "bulk-send", function: type_name_of_val(&bulk::send) },
                Part { name: "bulk-receive", function: type_name_of_val(&bulk::receive) },
                Part { name: "acknowledge", function: type_name_of_val(&bulk::acknowledge) },
            ],
        }
    }

    /// Does the work, and returns how many units it was.
    pub fn run(self) -> u64 {
        match self {
            Self::Bulk => bulk::run(),
        }
    }
}
