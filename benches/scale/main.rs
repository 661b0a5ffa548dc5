//! One endpoint relocates very many connections: what each costs must not depend on how many there are.
//!
//! Counts, under callgrind, the server's instructions for notice, readiness, announcement and settling at several numbers
//! of connections; measures, in virtual time, how long it takes until all have moved; and weighs what a move takes from
//! the server's heap.

#[path = "../instructions/paper.rs"]
mod paper;
#[path = "../instructions/profile.rs"]
mod profile;

mod callgrind;
mod town;
mod walk;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use serde_json::{Value, json};

use self::town::{Town, Way};

/// Heap that a connection may take for its move.
const HEAP_LIMIT: f64 = 1024.0;

/// Moves a server with many connections: instructions, time and heap for each.
///
/// Instructions are those of the server, driver included, for each connection: callgrind counts them in a run of its own
/// for each number of connections. They must not grow from the second number to the last by more than the tolerance;
/// the first, with few connections, shows what is spent once for all. Time is virtual: from the switch until every
/// connection has moved, with the default rate of announcements. Fails if a limit is broken.
#[derive(Debug, Parser)]
#[command(
    name = "scale",
    version,
    after_help = "cargo bench --bench scale -- --connections 100,1000 --way symmetric"
)]
struct Args {
    /// Numbers of connections, ascending.
    #[arg(long, value_delimiter = ',', default_value = "100,1000,10000")]
    connections: Vec<usize>,
    /// How the server moves.
    #[arg(long, value_enum, default_value = "explicit")]
    way: Way,
    /// The round trip on the links, in milliseconds.
    #[arg(long, default_value_t = 40)]
    rtt: u64,
    /// How much more a phase may cost with the most connections than with the second number, in percent.
    #[arg(long, default_value_t = 5.0)]
    tolerance: f64,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Move so many connections and measure nothing: for callgrind.
    #[arg(long, hide = true)]
    solo: Option<usize>,
    /// Passed by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A part of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Notice,
    Readiness,
    Announcement,
    Settling,
}

impl Phase {
    const ALL: [Self; 4] = [Self::Notice, Self::Readiness, Self::Announcement, Self::Settling];

    fn name(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Readiness => "readiness",
            Self::Announcement => "announcement",
            Self::Settling => "settling",
        }
    }

    /// The function that callgrind watches, by the name it has there.
    fn function(self) -> &'static str {
        match self {
            Self::Notice => std::any::type_name_of_val(&Town::notice),
            Self::Readiness => std::any::type_name_of_val(&Town::readiness),
            Self::Announcement => std::any::type_name_of_val(&Town::announcement),
            Self::Settling => std::any::type_name_of_val(&Town::settling),
        }
    }

    /// What callgrind writes into the profile of one call.
    fn trigger(self) -> String {
        format!("desc: Trigger: --dump-after={}", self.function())
    }
}

/// All that is measured with one number of connections.
#[derive(Debug)]
struct Row {
    connections: usize,
    /// Instructions for each connection, phase by phase; none where valgrind is missing.
    costs: Option<[f64; Phase::ALL.len()]>,
    settling: walk::Settling,
    growth: walk::Growth,
}

impl Row {
    fn measure(args: &Args, connections: usize) -> Result<Self, String> {
        eprintln!("scale: {connections} connections");
        let costs = if callgrind::is_there() { Some(callgrind::count(args.way, connections)?) } else { None };
        let settling = walk::on_a_clock(args.way, connections, Duration::from_millis(args.rtt));
        Ok(Self { connections, costs, settling, growth: walk::step_by_step(args.way, connections) })
    }

    fn json(&self) -> Value {
        let costs = self.costs.map(|costs| {
            let named = Phase::ALL.into_iter().zip(costs);
            named
                .map(|(phase, cost)| (phase.name().to_owned(), json!(cost.round())))
                .collect::<serde_json::Map<_, _>>()
        });
        json!({
            "connections": self.connections,
            "instructions_per_connection": costs,
            "settled_after_ms": self.settling.took.as_secs_f64() * 1e3,
            "settled_limit_ms": self.settling.limit.as_secs_f64() * 1e3,
            "heap_per_connection_bytes": {
                "ready": self.growth.ready.round(),
                "announced": self.growth.announced.round(),
                "settled": self.growth.settled.round(),
            },
        })
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(connections) = args.solo {
        walk::step_by_step(args.way, connections);
        return ExitCode::SUCCESS;
    }
    let rows: Result<Vec<_>, _> =
        args.connections.iter().map(|number| Row::measure(&args, *number)).collect();
    match rows {
        Ok(rows) => report(&args, &rows),
        Err(fault) => {
            eprintln!("scale: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn report(args: &Args, rows: &[Row]) -> ExitCode {
    let faults = faults(args, rows);
    if args.json {
        let rows: Vec<_> = rows.iter().map(Row::json).collect();
        println!(
            "{:#}",
            json!({ "way": args.way.name(), "rtt_ms": args.rtt, "rows": rows, "faults": faults })
        );
    } else {
        print_table(rows);
    }
    faults.iter().for_each(|fault| eprintln!("scale: {fault}"));
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print_table(rows: &[Row]) {
    let names = Phase::ALL.map(|phase| format!("{:>13}", phase.name())).concat();
    println!("{:>12}{names}{:>12}{:>12}{:>12}", "connections", "settled ms", "limit ms", "heap bytes");
    for row in rows {
        let costs = row.costs.map_or("            -".repeat(Phase::ALL.len()), |costs| {
            costs.map(|cost| format!("{cost:>13.0}")).concat()
        });
        let (took, limit) = (row.settling.took.as_secs_f64() * 1e3, row.settling.limit.as_secs_f64() * 1e3);
        println!("{:>12}{costs}{took:>12.1}{limit:>12.1}{:>12.0}", row.connections, row.growth.peak());
    }
    if rows.iter().any(|row| row.costs.is_none()) {
        println!("valgrind is missing: no instructions were counted");
    }
}

/// Which limits are broken.
fn faults(args: &Args, rows: &[Row]) -> Vec<String> {
    let mut faults = Vec::new();
    if let [_, second, .., last] = rows
        && let (Some(few), Some(many)) = (second.costs, last.costs)
    {
        for ((phase, few), many) in Phase::ALL.into_iter().zip(few).zip(many) {
            let more = (many / few - 1.0) * 100.0;
            if more > args.tolerance {
                faults.push(format!("{} grows with the number of connections, by {more:.1} %", phase.name()));
            }
        }
    }
    for Row { connections, settling, growth, .. } in rows {
        if settling.took > settling.limit {
            faults.push(format!(
                "{connections} connections settle too late, {:?} after the switch",
                settling.took
            ));
        }
        if growth.peak() >= HEAP_LIMIT {
            faults.push(format!("{connections} connections take {:.0} bytes each", growth.peak()));
        }
    }
    faults
}
