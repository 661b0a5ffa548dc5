//! A client of the server: what `hq client` is.

use clap::Parser;

use crate::client;
use crate::environment::Environment;
use crate::hq_options::Options;
use crate::plan::Plan;

/// Does what hq does with this command line; returns the exit status.
pub fn run(line: &str) -> u8 {
    let options = Options::parse_from(line.split_whitespace());
    let Ok(Plan::Client(plan)) = options.plan(&Environment::default()) else { return 2 };
    match client::run(&plan) {
        Ok(fetched) => u8::from(!fetched),
        Err(what) => {
            eprintln!("hq: {what}");
            1
        }
    }
}
