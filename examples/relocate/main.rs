//! Moves a live QUIC server to another address while its clients download, and proves that nothing was lost.
//!
//! `cargo run --release --example relocate -- --help` says how. Read [`trial`] first: it has the loop and the move.

#![forbid(unsafe_code)]

mod client;
mod options;
mod outcome;
mod server;
mod source;
mod timeline;
mod trial;

#[path = "../common/certificates.rs"]
mod certificates;
#[path = "../common/driver.rs"]
mod driver;
#[path = "../common/exchange.rs"]
mod exchange;
#[path = "../common/picture.rs"]
mod picture;
#[path = "../common/progress.rs"]
mod progress;
#[path = "../common/scrambled.rs"]
mod scrambled;
#[path = "../common/sizes.rs"]
mod sizes;
#[path = "../common/variant.rs"]
mod variant;

use std::error::Error;
use std::io::{self, Write};
use std::net::{SocketAddr, UdpSocket};
use std::process::ExitCode;
use std::time::Duration;

use certificates::Certificates;
use options::{Options, Plan};
use outcome::{Failure, Moments, Outcome};
use source::Hash;
use trial::Trial;
use variant::Variant;

fn main() -> ExitCode {
    let plan = Options::plan();
    match run(&plan) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("relocate: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every run succeeded.
fn run(plan: &Plan) -> Result<bool, Box<dyn Error>> {
    check_addresses(plan)?;
    let certificates = Certificates::generate(exchange::ALPN)?;
    let want =
        plan.source.hash(plan.size).map_err(|error| format!("cannot read what is to be served: {error}"))?;
    let mut out = io::stdout().lock();
    if !plan.json {
        writeln!(out, "{}", Outcome::HEADINGS)?;
    }
    let mut outcomes = Vec::new();
    for &variant in &plan.variants {
        let outcome = run_one(plan, variant, &certificates, &want);
        writeln!(out, "{}", if plan.json { outcome.json(&want) } else { outcome.row() })?;
        if let Some(failure) = &outcome.failure {
            eprintln!("relocate: {}: {failure}", variant.name());
        }
        outcomes.push(outcome);
    }
    draw(plan, &outcomes)?;
    if !plan.json {
        writeln!(out, "Received bytes over time: {}", plan.svg.display())?;
    }
    Ok(outcomes.iter().all(|outcome| outcome.failure.is_none()))
}

fn run_one(plan: &Plan, variant: Variant, certificates: &Certificates, want: &Hash) -> Outcome {
    match Trial::begin(plan, variant, certificates) {
        Ok(trial) => trial.run(want),
        Err(failure) => Outcome {
            variant,
            clients: plan.clients,
            places: None,
            moments: Moments::default(),
            longest_pause: Duration::ZERO,
            bytes: 0,
            handshakes: 0,
            lines: Vec::new(),
            failure: Some(failure),
        },
    }
}

/// Says at once, and once, if the server cannot be where it is to be.
fn check_addresses(plan: &Plan) -> Result<(), Failure> {
    let check = |place: &SocketAddr| UdpSocket::bind(place).map_err(|error| Failure::Bind(*place, error));
    check(&plan.from)?;
    plan.to.first().map(check).transpose()?;
    Ok(())
}

fn draw(plan: &Plan, outcomes: &[Outcome]) -> Result<(), Box<dyn Error>> {
    let unwritable = |error: Box<dyn Error>| format!("cannot write {}: {error}", plan.svg.display());
    if let Some(folder) = plan.svg.parent() {
        std::fs::create_dir_all(folder).map_err(|error| unwritable(error.into()))?;
    }
    let title = format!("A server moves while {} clients download", plan.clients);
    let panels: Vec<_> = outcomes.iter().map(Outcome::panel).collect();
    Ok(picture::draw(&plan.svg, &title, &panels).map_err(unwritable)?)
}
