//! Memory, while servers move and all that can go wrong does: scenarios from seeds, one after the other.
//!
//! It is a binary of its own, with one test: what is counted is the heap of the whole process. With what endpoints hold
//! goes what applications do and what the simulator writes down, so that endpoints hold less than is said here.
//! `SIM_SEED=7 cargo test --test storm_memory` plays one scenario alone.

mod happen;
mod phase;
mod places;
mod prospect;
mod run;
mod scenario;
mod trouble;
mod watcher;
#[expect(dead_code, reason = "the weather is drawn here, and never fair")]
mod weather;

use std::alloc::System;
use std::collections::BTreeSet;

use sim::{HostId, Verdict};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use run::Run;
use scenario::Scenario;
use trouble::Trouble;

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Scenarios that are played.
const SEEDS: u64 = 100;
/// What a world without connections may hold, in bytes: the buffer of its hosts is most of it.
const WORLD: usize = 128 << 10;
/// What each connection may add to that, in bytes: its two ends, with all that is under way between them.
const CONNECTION: usize = 256 << 10;
/// What an endpoint without connections may hold more than one that never had any, in bytes: tables that keep their size,
/// and what applications have noted.
const REMAINS: usize = 32 << 10;
/// What the process may hold more when all is over than before, in bytes, however much was played.
const LEFT: usize = 4 << 10;

/// Bytes that are allocated and not freed.
fn live() -> usize {
    let stats = HEAP.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// Connections that a scenario comes to, and those by which its clients get their tickets.
fn connections(scenario: &Scenario) -> usize {
    let tickets = scenario.parts.iter().filter(|part| part.early).count();
    let troubles = scenario.moves.iter().flat_map(|step| &step.troubles);
    let newcomers = troubles.filter(|(_, trouble)| *trouble == Trouble::Newcomer).count();
    scenario.parts.len() + tickets + newcomers
}

/// Plays a scenario. What its world holds is looked at with every datagram, and what endpoints hold at its end.
fn play(seed: u64) {
    let before = live();
    let scenario = Scenario::draw(seed);
    let connections = connections(&scenario);
    let most = WORLD + connections * CONNECTION;
    let mut run = Run::begin(scenario);
    run.world.tap(move |now, _| {
        let held = live() - before;
        assert!(held <= most, "seed {seed}, {now:?}: {held} bytes are held for {connections} connections");
        Verdict::Pass
    });
    run.play();
    let clients = run.actors.iter().map(|actor| actor.conn.host);
    let hosts: BTreeSet<HostId> = clients.chain([run.server]).collect();
    for host in hosts {
        let quiet = live();
        // An endpoint that never had a connection takes its place.
        run.world.restart(host);
        let remains = quiet - live();
        assert!(remains <= REMAINS, "seed {seed}: {remains} bytes remain at {host:?}\n{}", run.words);
    }
}

#[test]
fn a_connection_holds_little_whatever_happens_and_nothing_is_left_of_it_but_tables() {
    if let Ok(seed) = std::env::var("SIM_SEED") {
        return play(seed.parse().expect("a number"));
    }
    // What the process makes once and keeps is there afterwards.
    play(1);
    let before = live();
    (1..=SEEDS).for_each(play);
    let left = live().saturating_sub(before);
    assert!(left <= LEFT, "{left} bytes that nobody holds are not freed");
}
