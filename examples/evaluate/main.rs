//! Measures what a move costs the clients of a server, in simulated time, under the conditions of the thesis that
//! Peregrine is measured against; next to no move at all and to connecting anew.
//!
//! `cargo run --release --example evaluate -- --help` says how. Read [`first`] first: it has the move and the request.

#![forbid(unsafe_code)]

mod conditions;
mod crew;
mod first;
mod goodput;
mod options;
mod picture;
mod readiness;
mod record;
mod recovery;
mod reference;
mod report;
mod results;
mod scene;
mod statistics;
mod table;
mod target;
mod way;

#[cfg(test)]
mod tests;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use options::{Options, Plan};
use results::Results;
use target::Target;

fn main() -> ExitCode {
    let plan = Options::plan();
    match run(&plan, &mut io::stdout().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("evaluate: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs all experiments and tells of each as soon as it is over; whether every target was met.
fn run(plan: &Plan, out: &mut impl Write) -> Result<bool, Box<dyn Error>> {
    if let Some(folder) = &plan.svg {
        let cannot = |error| format!("cannot make {}: {error}", folder.display());
        std::fs::create_dir_all(folder).map_err(cannot)?;
    }
    let mut targets: Vec<Target> = Vec::new();
    for &experiment in &plan.experiments {
        let results = Results::of(experiment, plan);
        if plan.json {
            results.lines(plan.seed).iter().try_for_each(|line| writeln!(out, "{line}"))?;
        } else {
            results.tables(plan.seed).iter().try_for_each(|table| writeln!(out, "{table}"))?;
        }
        targets.extend(results.targets());
        if let Some(folder) = &plan.svg {
            let cannot = |error| format!("cannot draw into {}: {error}", folder.display());
            results.draw(folder).map_err(cannot)?;
        }
    }
    if plan.json {
        record::of_targets(&targets).iter().try_for_each(|line| writeln!(out, "{line}"))?;
    } else if !targets.is_empty() {
        write!(out, "{}", report::of_targets(&targets))?;
    }
    Ok(targets.iter().all(Target::is_met))
}
