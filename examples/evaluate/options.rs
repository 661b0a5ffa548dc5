//! The command line, and what comes of it once it is checked.

use std::num::NonZero;
use std::path::PathBuf;
use std::thread;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, ValueEnum};

use crate::crew::Crew;

const EXAMPLES: &str = "\
The experiments:
  first-request  how long a 1 KB request takes that is the first after the move: each strategy and variant, with the
                 server's announcement heard or kept out by a translator (NAT), with 1.5 % loss each way and without;
                 beside no move at all, and beside clients that connect anew with 0-RTT
  readiness      how long a server prepares, over the number of its clients
  goodput        a long download through a move
  recovery       with loss, over many seeds: does every connection survive?

The first path has a round trip of 122 ms and 13 Mbit/s, the second, where the server goes, 18 ms and 100 Mbit/s.
All of it is simulated, in virtual time: the same options bring the same figures, on any machine.

Examples:
  Everything, at full length (some minutes on two processors):
      cargo run --release --example evaluate

  A first look (some seconds), with pictures:
      cargo run --release --example evaluate -- --quick --svg target/evaluation

  One experiment, other seeds, for a program to read:
      cargo run --release --example evaluate -- --only recovery --seeds 1000 --seed 70001 --json

Exit status: 0 if every target was met, 1 if one was missed, 2 if the options cannot be used.";

/// Measures what a move costs its clients, and compares it with the targets and with what the thesis measured.
#[derive(Debug, Parser)]
#[command(name = "evaluate", after_help = EXAMPLES, verbatim_doc_comment)]
pub struct Options {
    /// Only this experiment; may be given several times [default: all]
    #[arg(long, value_name = "EXPERIMENT", value_enum)]
    only: Vec<Experiment>,

    /// How often the first request is measured, each time with another seed [default: 100; with --quick 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    runs: Option<u32>,

    /// How many seeds must recover [default: 10000; with --quick 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    seeds: Option<u32>,

    /// The largest number of clients to prepare, at least 50 [default: 10000; with --quick 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(50..=10_000))]
    clients: Option<u32>,

    /// The first seed; the others follow it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=u64::MAX >> 1))]
    seed: u64,

    /// Few runs, for a first look
    #[arg(long)]
    quick: bool,

    /// How many worlds run at a time; no figure depends on it [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,

    /// Print lines of JSON to standard output, and nothing else
    #[arg(long)]
    json: bool,

    /// Draw a picture of each experiment into this folder
    #[arg(long, value_name = "DIR")]
    svg: Option<PathBuf>,
}

/// A question, and how it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Experiment {
    FirstRequest,
    Readiness,
    Goodput,
    Recovery,
}

/// What to do.
#[derive(Debug)]
pub struct Plan {
    pub experiments: Vec<Experiment>,
    pub seed: u64,
    /// Runs of each series of first requests.
    pub runs: usize,
    /// Runs of each way to recover.
    pub seeds: usize,
    /// The largest number of clients that are prepared.
    pub clients: usize,
    pub crew: Crew,
    pub json: bool,
    pub svg: Option<PathBuf>,
}

impl Options {
    /// The command line, checked; ends the program with status 2 and a sentence if it cannot be used.
    pub fn plan() -> Plan {
        Self::parse()
            .check()
            .unwrap_or_else(|what| Self::command().error(ErrorKind::ValueValidation, what).exit())
    }

    pub fn check(self) -> Result<Plan, String> {
        let quick = |given: Option<u32>, full, quick| {
            given.map_or(if self.quick { quick } else { full }, |given| given as usize)
        };
        if let Some(path) = self.svg.as_ref().filter(|path| path.exists() && !path.is_dir()) {
            return Err(format!("{} is not a folder", path.display()));
        }
        let mut experiments = Experiment::value_variants().to_vec();
        experiments.retain(|experiment| self.only.is_empty() || self.only.contains(experiment));
        let threads = self.threads.and_then(|threads| NonZero::new(usize::from(threads)));
        let threads =
            threads.or_else(|| thread::available_parallelism().ok()).unwrap_or(NonZero::<usize>::MIN);
        Ok(Plan {
            experiments,
            seed: self.seed,
            runs: quick(self.runs, 100, 10),
            seeds: quick(self.seeds, 10_000, 100),
            clients: quick(self.clients, 10_000, 1000),
            crew: Crew(threads),
            json: self.json,
            svg: self.svg,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(arguments: &[&str]) -> Result<Plan, String> {
        Options::try_parse_from([&["evaluate"], arguments].concat())
            .map_err(|error| error.to_string())?
            .check()
    }

    #[test]
    fn the_options_themselves_are_sound() {
        Options::command().debug_assert();
    }

    #[test]
    fn nothing_said_means_everything_at_full_length() {
        let plan = checked(&[]).expect("the defaults are usable");
        assert_eq!((plan.experiments.len(), plan.runs, plan.seeds, plan.clients), (4, 100, 10_000, 10_000));
        assert_eq!((plan.seed, plan.json, plan.svg), (1, false, None));
    }

    #[test]
    fn quick_means_less_where_nothing_else_is_said() {
        let plan = checked(&["--quick", "--runs", "7", "--only", "recovery"]).expect("usable");
        assert_eq!((plan.experiments, plan.runs, plan.seeds), (vec![Experiment::Recovery], 7, 100));
    }

    #[test]
    fn experiments_come_in_their_order_and_once() {
        let said = ["--only", "recovery", "--only", "first-request", "--only", "recovery"];
        let plan = checked(&said).expect("usable");
        assert_eq!(plan.experiments, [Experiment::FirstRequest, Experiment::Recovery]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for arguments in [
            &["--runs", "0"][..],
            &["--runs", "-1"],
            &["--runs", "many"],
            &["--seeds", "1000001"],
            &["--seed", "18446744073709551615"],
            &["--clients", "49"],
            &["--threads", "0"],
            &["--only", "everything"],
            &["--svg", "Cargo.toml"],
            &["--svg"],
            &["something"],
        ] {
            let what = checked(arguments).expect_err("it cannot be used");
            assert!(!what.is_empty(), "{arguments:?}");
        }
    }
}
