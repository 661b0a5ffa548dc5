//! The gate against slowing down: instructions, counted by `valgrind --tool=callgrind`, against a record.
//!
//! Time tells little on a machine that is shared; the same program spends the same instructions every time. This
//! program runs itself under valgrind, once for each [part](scenario) of a workload, and fails if one costs more than
//! 3 % above its record. Client and server exchange datagrams through memory, under a virtual clock, with a handshake
//! that [costs little](paper) and nothing random, and every run checks that all bytes arrived.
//!
//! ```text
//! cargo bench --bench instructions                 count, and compare with record.json
//! cargo bench --bench instructions -- --record     count, and write record.json anew
//! cargo bench --bench instructions -- --only bulk
//! cargo bench --bench instructions -- --required   fail if valgrind is missing; so it does where CI is set
//! ```

mod bulk;
mod cost;
mod idle;
mod pair;
mod paper;
mod profile;
mod record;
mod report;
mod scenario;
mod stream;
mod valgrind;

use std::env;
use std::fs;
use std::process::{Command, ExitCode};

use clap::{Parser, ValueEnum};

use self::record::Record;
use self::report::{RECORD_ANEW, Report, Row};
use self::scenario::Scenario;

/// The record, in the repository.
const RECORD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions/record.json");

/// Counts instructions and compares them with a record.
#[derive(Debug, Parser)]
#[command(name = "instructions")]
struct Args {
    /// Write the record anew.
    #[arg(long)]
    record: bool,
    /// Fail if valgrind is missing.
    #[arg(long)]
    required: bool,
    /// Only these workloads.
    #[arg(long, value_enum)]
    only: Vec<Scenario>,
    /// Do this work and count nothing; print how many units it was. For valgrind, and for other profilers.
    #[arg(long, value_enum)]
    solo: Option<Scenario>,
    /// Passed by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.record && !args.only.is_empty() {
        eprintln!(
            "instructions: --record with --only would leave out the other scenarios; use it without --only"
        );
        return ExitCode::from(2);
    }
    if let Some(scenario) = args.solo {
        println!("{}", scenario.run());
        return ExitCode::SUCCESS;
    }
    if !valgrind::is_there() {
        eprintln!(
            "instructions: valgrind is missing: nothing was counted; install it with \
             apt-get install valgrind libc6-dbg, apk add valgrind, or dnf install valgrind"
        );
        let is_required = args.required || args.record || env::var_os("CI").is_some_and(|ci| !ci.is_empty());
        return if is_required { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    let done = if args.record { record() } else { compare(&args.only) };
    done.unwrap_or_else(|fault| {
        eprintln!("instructions: {fault}");
        ExitCode::FAILURE
    })
}

/// Counts everything and writes the record.
fn record() -> Result<ExitCode, String> {
    let report = count(Scenario::value_variants(), &Record::default())?;
    fs::write(RECORD, report.record(rustc()).to_json()).map_err(|error| format!("{RECORD}: {error}"))?;
    print!("{report}");
    println!("recorded in {RECORD}");
    Ok(ExitCode::SUCCESS)
}

/// Counts what is wanted, all if nothing is, and compares it with the record.
fn compare(only: &[Scenario]) -> Result<ExitCode, String> {
    let text =
        fs::read_to_string(RECORD).map_err(|error| format!("{RECORD}: {error}; make it: {RECORD_ANEW}"))?;
    let record =
        Record::from_json(&text).ok_or(format!("{RECORD} is no record; make it anew: {RECORD_ANEW}"))?;
    let scenarios = if only.is_empty() { Scenario::value_variants() } else { only };
    let report = count(scenarios, &record)?;
    print!("{report}");
    let running = rustc();
    if running != record.rustc {
        println!("  recorded with {}, but this is {running}: counts move with the compiler", record.rustc);
    }
    println!("  profiles for callgrind_annotate: {}", valgrind::PROFILES);
    for remark in report.remarks(true) {
        println!("instructions: {remark}");
    }
    for remark in report.remarks(false) {
        eprintln!("instructions: {remark}");
    }
    Ok(if report.passes() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A row for each workload, and, if it has several parts, one for each of them.
fn count(scenarios: &[Scenario], record: &Record) -> Result<Report, String> {
    eprintln!("instructions: counting; this takes a minute or two");
    let mut report = Report::default();
    for &scenario in scenarios {
        let row = |name, now| {
            let (unit, recorded) = (scenario.unit(), record.costs.get(name).copied());
            Row { name, unit, now, recorded }
        };
        let parts = scenario.parts();
        let costs =
            parts.iter().map(|part| valgrind::count(scenario, *part)).collect::<Result<Vec<_>, _>>()?;
        let whole = costs.iter().copied().reduce(|whole, part| whole + part);
        report.add(row(scenario.name(), whole.expect("a workload has parts")));
        if parts.len() > 1 {
            parts.iter().zip(costs).for_each(|(part, cost)| report.add(row(part.name, cost)));
        }
    }
    Ok(report)
}

/// The compiler in use and the machine it compiles for, as it names them.
fn rustc() -> String {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&output);
    let version = text.lines().next().unwrap_or("an unknown rustc");
    let host = text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or("an unknown host");
    format!("{version} on {host}")
}
