//! Scenarios from seeds, in parts that run side by side.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::run::Run;
use super::scenario::Scenario;

/// Seeds of a test run, unless `SIM_SEEDS` asks for more.
const SEEDS: u64 = 500;
/// Tests that share them.
const PARTS: u64 = 4;

/// Plays one scenario, and tells it in words if it fails; whether it went well.
fn play(seed: u64) -> bool {
    let scenario = Scenario::draw(seed);
    let words = scenario.to_string();
    let went = catch_unwind(AssertUnwindSafe(|| Run::begin(scenario).play()));
    if went.is_err() {
        eprintln!("{words}");
    }
    went.is_ok()
}

fn number_in(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}

/// Every `PARTS`th seed, from this one on; or the one of `SIM_SEED`.
fn play_every(first: u64) {
    if let Some(seed) = number_in("SIM_SEED") {
        assert!(seed % PARTS != first % PARTS || play(seed), "storm {seed} went wrong");
        return;
    }
    let seeds = number_in("SIM_SEEDS").unwrap_or(SEEDS);
    let failed: Vec<u64> = (first..=seeds).step_by(PARTS as usize).filter(|seed| !play(*seed)).collect();
    assert!(failed.is_empty(), "these went wrong: {failed:?}");
}

#[test]
fn whatever_happens_while_servers_move_the_rules_hold_and_every_run_ends() {
    play_every(1);
}

#[test]
fn and_again() {
    play_every(2);
}

#[test]
fn and_once_more() {
    play_every(3);
}

#[test]
fn and_for_the_last_time() {
    play_every(4);
}
