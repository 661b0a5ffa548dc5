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

use self::peer::Peer;
use self::peregrine::Peregrine;
use self::quinn::Quinn;
use self::report::{Leg, Report};
use self::terms::{Cipher, Terms};
use self::workload::{Direction, Outcome, Requests};

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
    /// The cipher. Without it: AES-128-GCM for everything, and ChaCha20 for bulk transfers unless in the short form.
    #[arg(long, value_enum)]
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
    /// Only this leg: for a profiler.
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
    /// One connection, 1 KiB each way on a stream of its own, 100 at a time.
    ManyStreams,
    /// 1000 connections, 256 bytes there and 1 KiB back, one at a time on each.
    ManyConnections,
    /// Full handshakes, one after the other.
    Handshakes,
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

    fn ciphers(&self) -> Vec<Cipher> {
        match (self.cipher.is_empty(), self.quick) {
            (false, _) => self.cipher.clone(),
            (true, true) => vec![Cipher::Aes128Gcm],
            (true, false) => vec![Cipher::Aes128Gcm, Cipher::Chacha20],
        }
    }

    fn runs(&self, workload: Workload, cipher: Cipher) -> bool {
        let is_bulk = matches!(workload, Workload::BulkUp | Workload::BulkDown);
        let is_wanted = self.only.is_empty() || self.only.contains(&workload);
        is_wanted && (is_bulk || cipher == Cipher::Aes128Gcm || !self.cipher.is_empty())
    }

    fn many_streams(&self) -> Requests {
        let total = if self.quick { 10_000 } else { 50_000 };
        Requests { links: 1, at_a_time: 100, total, request: 1024, response: 1024 }
    }

    fn many_connections(&self) -> Requests {
        let (links, total) = if self.quick { (200, 4_000) } else { (1_000, 50_000) };
        Requests { links, at_a_time: 1, total, request: 256, response: 1024 }
    }

    fn handshakes(&self) -> usize {
        if self.quick { 50 } else { 300 }
    }

    fn legs(&self) -> Vec<Leg> {
        let wanted = self.solo.map(|solo| match solo {
            Solo::Peregrine => Leg::Peregrine,
            Solo::Quinn => Leg::Quinn,
            Solo::Floor => Leg::Floor,
        });
        wanted.map_or(vec![Leg::Peregrine, Leg::Quinn, Leg::Floor], |leg| vec![leg])
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
    for cipher in args.ciphers() {
        for &size in &args.size {
            let size = u16::try_from(size).expect("it was checked");
            let terms = Terms { size, burst: args.burst, cipher };
            for workload in Workload::value_variants() {
                if args.runs(*workload, cipher) {
                    args.tell(&measure(&args, *workload, &terms));
                }
            }
        }
    }
    ExitCode::SUCCESS
}

/// Lets the legs take turns.
fn measure(args: &Args, workload: Workload, terms: &Terms) -> Report {
    let (name, unit, work) = match workload {
        Workload::BulkUp => (format!("bulk-up of {} MiB", args.mib()), "MiB/s", args.mib() as f64),
        Workload::BulkDown => (format!("bulk-down of {} MiB", args.mib()), "MiB/s", args.mib() as f64),
        Workload::ManyStreams => {
            let plan = args.many_streams();
            (format!("many-streams, {}", plan.total), "streams/s", plan.total as f64)
        }
        Workload::ManyConnections => {
            let plan = args.many_connections();
            (format!("many-connections, {}", plan.links), "requests/s", plan.total as f64)
        }
        Workload::Handshakes => {
            (format!("handshakes, {}", args.handshakes()), "handshakes/s", args.handshakes() as f64)
        }
    };
    let Terms { size, burst, cipher } = terms;
    let title = format!("{name}, {size}-byte datagrams, {burst} a train, {}", cipher.name());
    let mut report = Report::new(title, unit, work);
    for _ in 0..args.reps() {
        for leg in args.legs() {
            let outcome = match leg {
                Leg::Peregrine => Some(run::<Peregrine>(args, workload, terms)),
                Leg::Quinn => Some(run::<Quinn>(args, workload, terms)),
                Leg::Floor => floor(args, workload, terms),
            };
            if let Some(Outcome { spent, datagrams }) = outcome {
                report.add(leg, spent, datagrams);
            }
        }
    }
    report
}

/// One run of a library.
fn run<P: Peer>(args: &Args, workload: Workload, terms: &Terms) -> Outcome {
    match workload {
        Workload::BulkUp => workload::bulk::<P>(terms, args.mib() << 20, Direction::Up),
        Workload::BulkDown => workload::bulk::<P>(terms, args.mib() << 20, Direction::Down),
        Workload::ManyStreams => workload::requests::<P>(terms, &args.many_streams()),
        Workload::ManyConnections => workload::requests::<P>(terms, &args.many_connections()),
        Workload::Handshakes => workload::handshakes::<P>(terms, args.handshakes()),
    }
}

/// One run of the floor; only a bulk transfer has one.
fn floor(args: &Args, workload: Workload, terms: &Terms) -> Option<Outcome> {
    match workload {
        Workload::BulkUp | Workload::BulkDown => Some(floor::bulk(terms, args.mib() << 20)),
        Workload::ManyStreams | Workload::ManyConnections | Workload::Handshakes => None,
    }
}
