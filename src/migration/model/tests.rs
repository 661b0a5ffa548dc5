//! Scenarios, each explored to its end; and mutants, each of which must be found out.

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model};

use super::mutant::Mutant;
use super::network::Place::{Away, Beyond, Home};
use super::properties::{ALIVE, ANSWERED, GIVEN_UP, HEARD, MOVED, VALIDATED, VISITED, WELL};
use super::scenario::{Act, Scenario, target};
use super::script::script;
use crate::migration::{MoveOrder, SeekPolicy};
use crate::negotiation::Strategy::{self, Explicit, Pool, Symmetric, SynchronizedSymmetric};
use crate::negotiation::StrategySet;

fn order(strategy: Strategy) -> MoveOrder {
    match strategy {
        Explicit => MoveOrder::Explicit(target(Away)),
        Pool => MoveOrder::Pool,
        Symmetric => MoveOrder::Symmetric,
        SynchronizedSymmetric => MoveOrder::SynchronizedSymmetric,
    }
}

/// A server that may be ordered to move, and then moves or not.
fn a_move(strategy: Strategy) -> Scenario {
    Scenario {
        offer: StrategySet::from(strategy),
        seek: SeekPolicy::Reactive,
        pool: if strategy == Pool { vec![Away, Beyond] } else { vec![] },
        acts: vec![Act::Prepare(order(strategy)), Act::Move(Away)],
        hesitation: 1,
        requests: false,
        vanishes: false,
        troubles: 1,
        lateness: 3,
        forgeries: 0,
        rest: 9,
        mutant: None,
    }
}

/// Explores all there is, and says how much that was: at least `floor` different states, with these sights among them.
fn explore(name: &str, scenario: Scenario, floor: usize, sights: &[&'static str]) {
    let troubles = scenario.troubles + scenario.forgeries;
    let checker = scenario.checker().threads(2).spawn_bfs().join();
    let (states, depth) = (checker.unique_state_count(), checker.max_depth());
    println!("{name}: {states} states, all there are with up to {troubles} troubles; {depth} steps at most");
    for (property, path) in checker.discoveries() {
        let is_failure = checker.model().property(property).expectation.discovery_is_failure();
        let events = path.clone().into_actions();
        assert!(!is_failure, "{name}: not so: {property}\n{}\n{events:#?}", script(path));
    }
    let unseen: Vec<_> = sights.iter().filter(|sight| checker.discovery(sight).is_none()).collect();
    assert!(unseen.is_empty(), "{name}: never seen: {unseen:?}");
    assert!(states >= floor, "{name}: {states} states are too few to mean anything");
}

/// The shortest way to where a mutant breaks this property, as a script.
fn caught(mutant: Mutant, scenario: Scenario, property: &'static str) -> String {
    let scenario = Scenario { mutant: Some(mutant), ..scenario };
    let caught = HasDiscoveries::AnyOf(BTreeSet::from([property]));
    let checker = scenario.checker().finish_when(caught).spawn_bfs().join();
    let path = checker.discovery(property).unwrap_or_else(|| panic!("{mutant:?} was not caught"));
    let (states, script) = (checker.unique_state_count(), script(path));
    println!("{mutant:?}: caught after {states} states: not so: {property}\n{script}");
    script
}

// ---- moves that happen, and moves that never do ---------------------------------------------------------

#[test]
fn a_symmetric_move_ends_well() {
    explore("Symmetric", Scenario { troubles: 2, ..a_move(Symmetric) }, 20_000, &[MOVED, GIVEN_UP]);
}

#[test]
fn a_synchronized_move_ends_well() {
    explore(
        "Synchronized Symmetric",
        Scenario { troubles: 2, ..a_move(SynchronizedSymmetric) },
        1000,
        &[MOVED, GIVEN_UP],
    );
}

#[test]
fn an_explicit_move_ends_well() {
    let prompt = Scenario { troubles: 2, hesitation: 0, ..a_move(Explicit) };
    explore("Explicit, reactive", prompt, 100_000, &[MOVED]);
    let hesitant = Scenario { hesitation: 2, troubles: 0, ..a_move(Explicit) };
    explore("Explicit, reactive, the operator hesitates", hesitant, 100, &[MOVED, GIVEN_UP]);
}

#[test]
fn an_explicit_move_that_is_looked_for_at_once_ends_well() {
    let proactive = Scenario { seek: SeekPolicy::Proactive, hesitation: 0, ..a_move(Explicit) };
    explore("Explicit, proactive", proactive, 1000, &[MOVED]);
}

#[test]
fn a_move_within_a_pool_ends_well() {
    explore("Pool", a_move(Pool), 1000, &[MOVED, GIVEN_UP]);
}

#[test]
fn a_move_that_comes_before_the_client_is_ready_ends_well() {
    let hasty = |strategy| {
        let offer = StrategySet::from(strategy).with(Symmetric);
        Scenario {
            offer,
            acts: vec![Act::Prepare(order(strategy)), Act::MoveHastily(Away)],
            ..a_move(strategy)
        }
    };
    explore("Explicit, in haste", hasty(Explicit), 1000, &[MOVED]);
    explore("Synchronized Symmetric, in haste", hasty(SynchronizedSymmetric), 1000, &[MOVED]);
    let unannounced = Scenario { acts: vec![Act::MoveHastily(Away)], troubles: 2, ..a_move(Symmetric) };
    explore("Symmetric, without a notice", unannounced, 1000, &[MOVED]);
}

#[test]
fn a_request_reaches_a_server_that_is_frozen_and_moved() {
    for strategy in [Symmetric, SynchronizedSymmetric] {
        let acts = vec![Act::Prepare(order(strategy)), Act::Freeze, Act::Move(Away)];
        let asked = Scenario { requests: true, acts, ..a_move(strategy) };
        explore(&format!("{strategy}, with a request, frozen"), asked, 1000, &[MOVED]);
    }
    let asked = Scenario { requests: true, hesitation: 0, ..a_move(Explicit) };
    explore("Explicit, with a request", asked, 1000, &[MOVED]);
}

// ---- moves that are called off --------------------------------------------------------------------------

#[test]
fn a_cancelled_move_leaves_both_where_they_were() {
    for strategy in [Explicit, SynchronizedSymmetric] {
        let cancelled = Scenario {
            acts: vec![Act::Prepare(order(strategy)), Act::Cancel],
            hesitation: 2,
            troubles: 0,
            ..a_move(strategy)
        };
        explore(&format!("{strategy}, cancelled"), cancelled.clone(), 30, &[]);
        let proactive = Scenario { seek: SeekPolicy::Proactive, ..cancelled };
        explore(&format!("{strategy}, cancelled, looked for at once"), proactive, 30, &[]);
    }
}

#[test]
fn a_cancelled_move_may_be_ordered_again() {
    for strategy in [Explicit, SynchronizedSymmetric] {
        let order = Act::Prepare(order(strategy));
        let again = Scenario {
            acts: vec![order, Act::Cancel, order, Act::Move(Away)],
            hesitation: 0,
            ..a_move(strategy)
        };
        explore(&format!("{strategy}, cancelled and ordered again"), again, 1000, &[MOVED]);
    }
}

// ---- what others do -------------------------------------------------------------------------------------

#[test]
fn a_copied_packet_moves_nobody() {
    for strategy in [Symmetric, SynchronizedSymmetric, Explicit] {
        let copied = Scenario { forgeries: 1, hesitation: 0, rest: 14, ..a_move(strategy) };
        explore(&format!("{strategy}, with a copy from elsewhere"), copied, 1000, &[MOVED]);
    }
}

#[test]
fn a_client_that_is_gone_holds_nobody_up() {
    for strategy in [Symmetric, SynchronizedSymmetric, Explicit] {
        let acts = vec![Act::Prepare(order(strategy)), Act::Move(Away)];
        let gone = Scenario { vanishes: true, acts, troubles: 0, rest: 28, ..a_move(strategy) };
        explore(&format!("{strategy}, and the client is gone"), gone, 1000, &[GIVEN_UP]);
    }
}

// ---- several moves: whatever is late belongs to an earlier one ------------------------------------------

#[test]
fn two_moves_in_a_row_end_well() {
    let twice = |strategy, second, to| {
        let acts = vec![Act::Prepare(order(strategy)), Act::Move(Away), Act::Prepare(second), Act::Move(to)];
        Scenario { acts, hesitation: 0, ..a_move(strategy) }
    };
    explore("Symmetric, twice", twice(Symmetric, MoveOrder::Symmetric, Beyond), 1000, &[MOVED]);
    let synchronized = twice(SynchronizedSymmetric, MoveOrder::SynchronizedSymmetric, Home);
    explore("Synchronized Symmetric, and back", synchronized, 1000, &[MOVED]);
    explore("Explicit, twice", twice(Explicit, MoveOrder::Explicit(target(Beyond)), Beyond), 1000, &[MOVED]);
    explore("Explicit, and back", twice(Explicit, MoveOrder::Explicit(target(Home)), Home), 1000, &[MOVED]);
}

// ---- mutants --------------------------------------------------------------------------------------------

#[test]
fn a_client_that_completes_on_the_first_packet_is_caught() {
    let copied = Scenario { forgeries: 1, troubles: 0, ..a_move(Symmetric) };
    let script = caught(Mutant::CompletesOnTheFirstPacket, copied, VISITED);
    assert_eq!(script, include_str!("../../../tests/data/model/completes_on_the_first_packet"));
}

#[test]
fn a_client_that_leaps_in_silence_is_caught() {
    let script = caught(Mutant::LeapsInSilence, a_move(Explicit), VALIDATED);
    assert_eq!(script, include_str!("../../../tests/data/model/leaps_in_silence"));
}

#[test]
fn a_client_that_seeks_once_is_caught() {
    let script = caught(Mutant::SeeksOnce, a_move(Explicit), WELL);
    assert_eq!(script, include_str!("../../../tests/data/model/seeks_once"));
}

#[test]
fn a_server_that_announces_itself_once_is_caught() {
    let script = caught(Mutant::AnnouncesOnce, a_move(Symmetric), WELL);
    assert_eq!(script, include_str!("../../../tests/data/model/announces_once"));
}

#[test]
fn a_server_that_ends_when_it_is_challenged_is_caught() {
    let script = caught(Mutant::EndsWhenChallenged, a_move(Explicit), ANSWERED);
    assert_eq!(script, include_str!("../../../tests/data/model/ends_when_challenged"));
}

#[test]
fn a_server_that_ends_on_any_response_is_caught() {
    let acts = vec![Act::Prepare(MoveOrder::Symmetric), Act::Move(Away), Act::MoveHastily(Beyond)];
    caught(Mutant::EndsOnAnyResponse, Scenario { acts, ..a_move(Symmetric) }, ANSWERED);
}

#[test]
fn a_client_that_believes_late_frames_is_caught() {
    let back = [Act::Prepare(MoveOrder::Explicit(target(Home))), Act::Move(Home)];
    let acts = [Act::Prepare(order(Explicit)), Act::Move(Away)].into_iter().chain(back).collect();
    caught(Mutant::BelievesLateFrames, Scenario { acts, hesitation: 0, ..a_move(Explicit) }, WELL);
}

#[test]
fn a_server_that_is_ready_unheard_is_caught() {
    caught(Mutant::IsReadyUnheard, a_move(Explicit), HEARD);
}

#[test]
fn an_endpoint_that_waits_for_the_dead_is_caught() {
    let gone = Scenario { vanishes: true, troubles: 0, rest: 28, ..a_move(Explicit) };
    caught(Mutant::WaitsForTheDead, gone, ALIVE);
}
