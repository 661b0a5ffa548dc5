//! What is counted: a workload, the unit it is divided by, and the functions that are counted one by one.

use std::any::type_name_of_val;

use clap::ValueEnum;

use super::{bulk, idle, stream};

/// A workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// One stream in full trains, for each data packet.
    Bulk,
    /// One connection, 1 KiB each way on a stream of its own, 100 at a time; for each stream.
    Stream,
    /// 10 000 connections that are kept alive, one due at a time; for each time.
    IdleTick,
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
            Self::Stream => "stream",
            Self::IdleTick => "idle-tick",
        }
    }

    /// What one unit of it is.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Bulk => "packet",
            Self::Stream => "stream",
            Self::IdleTick => "tick",
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
            Self::Stream => vec![Part { name: "stream", function: type_name_of_val(&stream::exchange) }],
            Self::IdleTick => vec![Part { name: "idle-tick", function: type_name_of_val(&idle::tick) }],
        }
    }

    /// Does the work, and returns how many units it was.
    pub fn run(self) -> u64 {
        match self {
            Self::Bulk => bulk::run(),
            Self::Stream => stream::run(),
            Self::IdleTick => idle::run(),
        }
    }
}
