//! A file server for people who relocate whole processes, steered on a Unix socket while it serves.
//!
//! `cargo run --release --example serve -- --help` says how. Read [`server`] first: it has the loop; [`mover`] carries
//! out what [`command`] has read, [`control`] is the socket, and [`ctl`] the program at its other end.

#![forbid(unsafe_code)]

mod command;
mod complaint;
mod control;
mod ctl;
mod ending;
mod mover;
mod options;
mod roster;
mod server;
#[cfg(test)]
mod tests;
mod way;

#[path = "../hq/desk.rs"]
#[cfg_attr(test, expect(dead_code, reason = "what its own tests ask"))]
mod desk;
#[path = "../common/driver.rs"]
mod driver;
#[path = "../common/exchange.rs"]
#[expect(dead_code, reason = "the request is HTTP/0.9's")]
mod exchange;
#[path = "../hq/request.rs"]
#[cfg_attr(not(test), expect(dead_code, reason = "the other half is a client's"))]
mod request;
#[path = "../hq/root.rs"]
mod root;
#[path = "../common/sizes.rs"]
mod sizes;
#[path = "../hq/terms.rs"]
mod terms;
#[path = "../hq/tls.rs"]
#[expect(dead_code, reason = "the other half is a client's")]
mod tls;
#[path = "../hq/when.rs"]
#[cfg_attr(not(test), expect(dead_code, reason = "no amount is waited for"))]
mod when;

#[cfg(test)]
#[path = "../hq/folder.rs"]
mod folder;
#[cfg(test)]
#[path = "../hq/places.rs"]
mod places;
#[cfg(test)]
#[path = "../hq/process.rs"]
mod process;

// The tests' other end, a client as `hq client` is: nothing of it is in the program.
#[cfg(test)]
#[path = "../hq/bars.rs"]
mod bars;
#[cfg(test)]
#[path = "../hq/case.rs"]
mod case;
#[cfg(test)]
#[path = "../hq/client.rs"]
mod client;
#[cfg(test)]
#[path = "../hq/environment.rs"]
mod environment;
#[cfg(test)]
#[path = "../hq/options.rs"]
mod hq_options;
#[cfg(test)]
#[path = "../hq/moving.rs"]
#[expect(dead_code, reason = "the other half is a server's")]
mod moving;
#[cfg(test)]
#[path = "../hq/notes.rs"]
mod notes;
#[cfg(test)]
#[path = "../hq/plan.rs"]
#[expect(dead_code, reason = "the other half is a server's")]
mod plan;
#[cfg(test)]
#[path = "../hq/session.rs"]
mod session;
#[cfg(test)]
#[path = "../hq/url.rs"]
mod url;
#[cfg(test)]
#[path = "../common/variant.rs"]
#[expect(dead_code, reason = "the other half is a server's")]
mod variant;

use std::process::ExitCode;

use clap::Parser;

use options::{Options, Task};

/// What cannot be used is told from what failed.
const UNUSABLE: u8 = 2;

fn main() -> ExitCode {
    ExitCode::from(run(Options::parse()))
}

/// Does what the options say; returns the exit status.
fn run(options: Options) -> u8 {
    let (status, what) = match options.task() {
        Ok(Task::Steer(ctl)) => return ctl::run(&ctl),
        Ok(Task::Serve(plan)) => (1, server::run(&plan).err()),
        Err(what) => (UNUSABLE, Some(what)),
    };
    what.map_or(0, |what| {
        eprintln!("serve: {what}");
        status
    })
}
