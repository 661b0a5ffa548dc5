//! Carries the same bytes over loopback UDP by Peregrine and by quinn, in turn, and compares what that costs.
//!
//! `cargo run --release --example throughput -- --help` says how. The terms are those of [`terms`]; read [`peregrine`]
//! and [`quinn`] side by side.

#![forbid(unsafe_code)]

mod body;
mod options;
mod peregrine;
mod quinn;
mod report;
mod terms;
mod transfer;

#[path = "../common/certificates.rs"]
mod certificates;
#[path = "../common/driver.rs"]
mod driver;
#[path = "../common/progress.rs"]
mod progress;
#[path = "../common/scrambled.rs"]
mod scrambled;
#[path = "../common/sizes.rs"]
mod sizes;

use std::io::{self, Write};
use std::process::ExitCode;

use self::certificates::Certificates;
use self::options::{Options, Plan};
use self::report::{Leg, Report};
use self::terms::Header;
use self::transfer::Job;

/// What both libraries call the protocol (ALPN).
const ALPN: &[u8] = b"throughput";

fn main() -> ExitCode {
    let plan = Options::plan();
    match run(plan) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("throughput: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(plan: Plan) -> Result<(), Box<dyn std::error::Error>> {
    let certificates = Certificates::generate(ALPN)?;
    let mut out = io::stdout().lock();
    writeln!(out, "{}", Header(plan))?;
    let mut job = Job::new(plan, certificates);
    let mut report = Report::new(plan.size);
    for round in 1..=plan.rounds {
        job.round = round;
        for leg in [Leg::Peregrine, Leg::Quinn] {
            let failed = |failure| format!("{}, round {round}: {failure}", leg.name());
            match leg {
                Leg::Peregrine => {
                    let (cost, client, server) = peregrine::carry(&job).map_err(failed)?;
                    report.add(leg, cost);
                    report.count(client, server);
                }
                Leg::Quinn => report.add(leg, quinn::carry(&job).map_err(failed)?),
            }
        }
    }
    Ok(writeln!(out, "{report}")?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::body::{Body, Wrong};
    use super::transfer::{Course, Failure};
    use super::*;

    fn job(size: u64, connections: u16) -> Job {
        let certificates = Certificates::generate(ALPN).expect("there is randomness");
        Job::new(Plan { size, connections, rounds: 1, mtu: None }, certificates)
    }

    #[test]
    fn a_mebibyte_arrives_by_either_library() {
        let job = job(1 << 20, 3);
        let (cost, client, server) = peregrine::carry(&job).expect("it arrives");
        assert!(!cost.wall.is_zero() && server.received >= (1 << 20) / u64::from(terms::DATAGRAM));
        assert!(client.sent >= server.received && client.received > 0);
        assert!(!quinn::carry(&job).expect("it arrives").wall.is_zero());
    }

    #[test]
    fn one_byte_arrives_by_either_library() {
        let job = job(1, 1);
        assert!(peregrine::carry(&job).is_ok() && quinn::carry(&job).is_ok());
    }

    #[test]
    fn a_corrupted_byte_fails_the_transfer_by_either_library() {
        let mut job = job(1 << 20, 1);
        job.sent = Body::corrupted_at(777_777);
        for failure in [peregrine::carry(&job).err(), quinn::carry(&job).err()] {
            assert!(matches!(failure, Some(Failure::Wrong(Wrong { at: 777_777 }))), "{failure:?}");
        }
    }

    #[test]
    fn a_transfer_that_stalls_is_given_up() {
        let mut job = job(1 << 20, 1);
        job.patience = Duration::from_millis(200);
        let stuck = |course: &std::sync::Arc<Course>| -> Result<(), Failure> {
            course.advance(1000);
            while !course.is_given_up() {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(Failure::Abandoned)
        };
        let failure = transfer::carry(&job, Leg::Quinn, stuck, stuck).err();
        assert!(matches!(failure, Some(Failure::Stalled { got: 2000, .. })), "{failure:?}");
    }
}
