//! Peregrine against quinn-proto and against the floor that ring sets, in one run.
//!
//! Client and server of one library exchange datagrams through memory, under a virtual clock, on one thread. There are
//! no sockets and no runtime: what is measured is the library, in processor time. Terms are the same for all
//! ([`terms`]), the legs take turns, and every run checks that all bytes arrived.
//!
//! ```text
//! cargo bench --bench versus                    everything
//! cargo bench --bench versus -- --quick         a short form
//! cargo bench --bench versus -- --only bulk-up --size 1452 --json
//! ```

mod clock;
mod floor;
mod peer;
mod peregrine;
mod quinn;
mod report;
mod terms;
mod workload;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use self::peregrine::Peregrine;
use self::quinn::Quinn;
use self::report::{Leg, Report};
use self::terms::{Cipher, Terms};
use self::workload::Direction;

/// Measures Peregrine against quinn-proto and the floor.
#[derive(Debug, Parser)]
#[command(name = "versus")]
struct Args {
    /// Fewer and shorter runs.
    #[arg(long)]
    quick: bool,
    /// One JSON object a line instead of tables.
    #[arg(long)]
    json: bool,
    /// Only these workloads.
    #[arg(long, value_enum)]
    only: Vec<Workload>,
    /// UDP payload of a full datagram in bytes, 1200 to 9000.
    #[arg(long, default_values_t = [1200, 1452])]
    size: Vec<u32>,
    /// The cipher.
    #[arg(long, value_enum, default_values_t = [Cipher::Aes128Gcm])]
    cipher: Vec<Cipher>,
    /// Datagrams in one train at most, 1 to 64.
    #[arg(long, default_value_t = 32)]
    burst: usize,
    /// MiB that a bulk transfer carries, 1 to 4096.
    #[arg(long)]
    mib: Option<u64>,
    /// Runs of each leg, 1 to 99.
    #[arg(long)]
    reps: Option<usize>,
    /// Only this leg, once: for a profiler.
    #[arg(long, value_enum)]
    solo: Option<Solo>,
    /// Passed by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Workload {
    /// One stream from client to server.
    BulkUp,
    /// One stream from server to client.
    BulkDown,
}

/// A leg that may run alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Solo {
    Peregrine,
    Quinn,
    Floor,
}

impl Args {
    fn mib(&self) -> u64 {
        self.mib.unwrap_or(if self.quick { 64 } else { 256 })
    }

    fn reps(&self) -> usize {
        self.reps.unwrap_or(if self.quick { 3 } else { 7 })
    }

    /// Refuses what cannot be run, in one line.
    fn check(&self) -> Result<(), String> {
        if let Some(size) = self.size.iter().find(|size| !(1200..=9000).contains(*size)) {
            return Err(format!("--size {size}: use 1200 to 9000 bytes"));
        }
        if !(1..=64).contains(&self.burst) {
            return Err(format!("--burst {}: use 1 to 64 datagrams", self.burst));
        }
        if !(1..=4096).contains(&self.mib()) {
            return Err(format!("--mib {}: use 1 to 4096", self.mib()));
        }
        if !(1..=99).contains(&self.reps()) {
            return Err(format!("--reps {}: use 1 to 99", self.reps()));
        }
        Ok(())
    }

    fn runs(&self, workload: Workload) -> bool {
        self.only.is_empty() || self.only.contains(&workload)
    }

    fn legs(&self, all: &[Leg]) -> Vec<Leg> {
        let wanted = self.solo.map(|solo| match solo {
            Solo::Peregrine => Leg::Peregrine,
            Solo::Quinn => Leg::Quinn,
            Solo::Floor => Leg::Floor,
        });
        all.iter().copied().filter(|leg| wanted.is_none_or(|wanted| wanted == *leg)).collect()
    }

    fn tell(&self, report: &Report) {
        if self.json {
            println!("{}", report.to_json());
        } else {
            println!("{report}");
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Err(refusal) = args.check() {
        eprintln!("versus: {refusal}");
        return ExitCode::from(2);
    }
    for &cipher in &args.cipher {
        for &size in &args.size {
            let size = u16::try_from(size).expect("it was checked");
            let terms = Terms { size, burst: args.burst, cipher };
            for (workload, direction) in
                [(Workload::BulkUp, Direction::Up), (Workload::BulkDown, Direction::Down)]
            {
                if args.runs(workload) {
                    args.tell(&bulk(&args, &terms, direction));
                }
            }
        }
    }
    ExitCode::SUCCESS
}

fn bulk(args: &Args, terms: &Terms, direction: Direction) -> Report {
    let name = match direction {
        Direction::Up => "bulk-up",
        Direction::Down => "bulk-down",
    };
    let (mib, bytes) = (args.mib() as f64, args.mib() << 20);
    let title = format!(
        "{name}, {mib} MiB in {}-byte datagrams, {} a train, {}",
        terms.size,
        terms.burst,
        terms.cipher.name()
    );
    let mut report = Report::new(title, "MiB/s", mib);
    for _ in 0..args.reps() {
        for leg in args.legs(&[Leg::Peregrine, Leg::Quinn, Leg::Floor]) {
            let spent = match leg {
                Leg::Peregrine => workload::bulk::<Peregrine>(terms, bytes, direction).spent,
                Leg::Quinn => workload::bulk::<Quinn>(terms, bytes, direction).spent,
                Leg::Floor => floor::bulk(terms, bytes),
            };
            report.add(leg, spent);
        }
    }
    report
}
