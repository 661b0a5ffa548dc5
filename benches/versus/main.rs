//! Peregrine against quinn-proto and against the floor that ring sets, in one run.
//!
//! Client and server of one library exchange datagrams through memory, under a virtual clock, on one thread. There are
//! no sockets and no runtime: what is measured is the library, in processor time, and its heap. Terms are the same for
//! all ([`terms`]), and the legs take turns. Before a case is timed each library runs it once while every byte that
//! arrives is compared; timed runs check how many arrived. A run that fails either is no figure but the end.
//!
//! ```text
//! cargo bench --bench versus                    everything, in a quarter of an hour at most
//! cargo bench --bench versus -- --quick         a short form
//! cargo bench --bench versus -- --only bulk-up --size 1452 --json
//! ```

mod args;
mod case;
mod clock;
mod content;
mod fault;
mod floor;
mod goal;
mod memory;
mod pair;
mod peer;
mod peregrine;
mod quantity;
mod quinn;
mod report;
mod terms;
mod wire;
mod workload;

use std::process::ExitCode;

use clap::Parser;

use self::args::Args;
use self::case::{Case, Workload};
use self::content::Look;
use self::fault::Fault;
use self::goal::{Goal, Summary};
use self::peregrine::Peregrine;
use self::quantity::{Quantity, Run};
use self::quinn::Quinn;
use self::report::{Leg, Report};

fn main() -> ExitCode {
    let args = Args::parse();
    let cases = match args.cases() {
        Ok(cases) => cases,
        Err(refusal) => {
            eprintln!("versus: {refusal}");
            return ExitCode::from(2);
        }
    };
    let mut summary = Summary::default();
    let mut thousand = None;
    for case in cases {
        let mut report = match measure(case, &args.legs()) {
            Ok(report) => report,
            Err((leg, fault)) => {
                eprintln!("versus: {}, {}: {fault}", case.title(), leg.name());
                return ExitCode::FAILURE;
            }
        };
        if case.workload == Workload::ManyConnections {
            thousand = report.median(Leg::Peregrine, Quantity::Request).map(|figure| (case.terms, figure));
        }
        let base = thousand.filter(|(terms, _)| *terms == case.terms).map(|(_, figure)| figure);
        report.judge(&Goal::of(case.workload, case.terms.cipher), base);
        summary.add(&case, report.verdicts());
        if args.json {
            report.to_json().for_each(|line| println!("{line}"));
        } else {
            println!("{report}");
        }
    }
    if args.json {
        println!("{}", summary.to_json());
    } else {
        println!("{summary}");
    }
    ExitCode::SUCCESS
}

/// Has each leg verified, then lets them take turns.
fn measure(case: Case, legs: &[Leg]) -> Result<Report, (Leg, Fault)> {
    let mut report = Report::new(case);
    for leg in legs {
        run(&case, *leg, 0, Look::Compare).map_err(|fault| (*leg, fault))?;
    }
    for rep in 0..case.reps {
        for leg in legs {
            let run = run(&case, *leg, rep, Look::Glance).map_err(|fault| (*leg, fault))?;
            run.into_iter().for_each(|run| report.add(*leg, &run));
        }
    }
    Ok(report)
}

/// One run of a leg; `None` for a floor that there is not.
fn run(case: &Case, leg: Leg, rep: usize, look: Look) -> Result<Option<Run>, Fault> {
    match leg {
        Leg::Peregrine => case.run::<Peregrine>(rep, look).map(Some),
        Leg::Quinn => case.run::<Quinn>(rep, look).map(Some),
        Leg::Floor => Ok(case.run_floor()),
    }
}
