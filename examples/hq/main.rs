//! A file server and client over QUIC that speaks HTTP/0.9, as the QUIC interop runner wants its endpoints.
//!
//! `cargo run --release --example hq -- --help` says how. Read [`server`] and [`client`] first: they have the loops;
//! [`desk`] and [`session`] are what runs on the connections, and [`case`] has the runner's test cases.

#![forbid(unsafe_code)]

mod bars;
mod case;
mod client;
mod desk;
#[cfg(test)]
mod desk_tests;
mod environment;
#[cfg(test)]
mod folder;
mod moving;
mod notes;
mod options;
#[cfg(test)]
mod places;
mod plan;
#[cfg(test)]
mod process;
#[cfg(test)]
mod quinn_tests;
mod request;
mod root;
mod server;
mod session;
mod terms;
#[cfg(test)]
mod tests;
mod tls;
mod url;
mod when;

#[path = "../common/driver.rs"]
mod driver;
#[path = "../common/exchange.rs"]
#[expect(dead_code, reason = "the request is HTTP/0.9's")]
mod exchange;
#[path = "../common/sizes.rs"]
mod sizes;
#[path = "../common/variant.rs"]
#[expect(dead_code, reason = "a client follows in any way there is")]
mod variant;

use std::process::ExitCode;

use clap::Parser;

use environment::Environment;
use options::Options;
use plan::{Plan, Refusal};

/// What cannot be used is told from what failed.
const UNUSABLE: u8 = 2;
/// The runner's word for a test case that is not supported.
const UNSUPPORTED: u8 = 127;

fn main() -> ExitCode {
    ExitCode::from(run(Options::parse()))
}

/// Does what options and environment say; returns the exit status.
fn run(options: Options) -> u8 {
    let environment = Environment::read(|name| std::env::var(name).ok());
    let done = match options.plan(&environment) {
        Ok(Plan::Server(plan)) => server::run(plan).map(|()| true),
        Ok(Plan::Client(plan)) => client::run(&plan),
        Err(Refusal::Usage(what)) => {
            eprintln!("hq: {what}");
            return UNUSABLE;
        }
        Err(Refusal::UnknownCase(name)) => {
            eprintln!("hq: the test case {name} is not supported");
            return UNSUPPORTED;
        }
    };
    match done {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(what) => {
            eprintln!("hq: {what}");
            1
        }
    }
}
