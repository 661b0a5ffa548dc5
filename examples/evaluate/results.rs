//! What came of an experiment, whichever it was.

use std::error::Error;
use std::path::Path;

use serde_json::Value;

use crate::first::{self, Series};
use crate::goodput::{self, Course};
use crate::options::{Experiment, Plan};
use crate::readiness::{self, CLIENTS, Point};
use crate::recovery::{self, Tally};
use crate::table::Table;
use crate::target::{self, Target};
use crate::{picture, record, report};

/// The figures of one experiment.
#[derive(Debug)]
pub enum Results {
    FirstRequests(Vec<Series>),
    Readiness(Vec<Point>),
    Goodput(Vec<Course>),
    Recovery(Vec<Tally>),
}

impl Results {
    /// Runs an experiment.
    pub fn of(experiment: Experiment, plan: &Plan) -> Self {
        let Plan { crew, seed, .. } = *plan;
        match experiment {
            Experiment::FirstRequest => Self::FirstRequests(first::all(crew, seed, plan.runs)),
            Experiment::Readiness => {
                let clients: Vec<_> = CLIENTS.into_iter().filter(|count| *count <= plan.clients).collect();
                Self::Readiness(readiness::all(crew, seed, &clients))
            }
            Experiment::Goodput => Self::Goodput(goodput::all(crew, seed)),
            Experiment::Recovery => Self::Recovery(recovery::all(crew, seed, plan.seeds)),
        }
    }

    /// For a person.
    pub fn tables(&self, seed: u64) -> Vec<Table> {
        match self {
            Self::FirstRequests(all) => report::of_first_requests(all, seed),
            Self::Readiness(points) => report::of_readiness(points, seed),
            Self::Goodput(courses) => report::of_goodput(courses, seed),
            Self::Recovery(tallies) => report::of_recovery(tallies, seed),
        }
    }

    /// For a program.
    pub fn lines(&self, seed: u64) -> Vec<Value> {
        match self {
            Self::FirstRequests(all) => record::of_first_requests(all),
            Self::Readiness(points) => record::of_readiness(points),
            Self::Goodput(courses) => record::of_goodput(courses),
            Self::Recovery(tallies) => record::of_recovery(tallies, seed),
        }
    }

    /// What was to be shown.
    pub fn targets(&self) -> Vec<Target> {
        match self {
            Self::FirstRequests(all) => target::of_first_requests(all),
            Self::Readiness(points) => target::of_readiness(points),
            Self::Goodput(_) => Vec::new(),
            Self::Recovery(tallies) => target::of_recovery(tallies),
        }
    }

    /// Its picture, into this folder.
    pub fn draw(&self, folder: &Path) -> Result<(), Box<dyn Error>> {
        match self {
            Self::FirstRequests(all) => picture::of_first_requests(&folder.join("first-request.svg"), all),
            Self::Readiness(points) => picture::of_readiness(&folder.join("readiness.svg"), points),
            Self::Goodput(courses) => picture::of_goodput(&folder.join("goodput.svg"), courses),
            Self::Recovery(tallies) => picture::of_recovery(&folder.join("recovery.svg"), tallies),
        }
    }
}
