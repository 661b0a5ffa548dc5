//! Server migration: the suite in the transport parameters, and the three frames (migration rules, 2.12; reference 1, 2
//! and 4).

use peregrine::{
    Code, ConnectionEvent, MigrationConfig, MigrationEvent, Strategy, StrategySet, TransportConfig,
};

use crate::forger::params::{EXPLICIT, POOL, SERVER_MIGRATION_SUITE as SUITE, SYMMETRIC, SYNCHRONIZED};
use crate::forger::wire::{POOL_MIGRATION_ADDRESS, SERVER_MIGRATED, SERVER_MIGRATION, naming, words};
use crate::forger::{Params, Setup, Space, Stage, Victim};

const ALL: u64 = 15;

fn moving_to(endpoint: &str) -> Vec<u8> {
    naming(SERVER_MIGRATION, Some(endpoint))
}

fn pooling(endpoint: &str) -> Vec<u8> {
    naming(POOL_MIGRATION_ADDRESS, Some(endpoint))
}

/// One frame of each kind, with its type, and SERVER_MIGRATION with a target and without.
fn frames() -> [(Vec<u8>, u64); 4] {
    [
        (moving_to("45.0.0.7:443"), SERVER_MIGRATION),
        (naming(SERVER_MIGRATION, None), SERVER_MIGRATION),
        (words(&[SERVER_MIGRATED]), SERVER_MIGRATED),
        (pooling("45.0.0.7:443"), POOL_MIGRATION_ADDRESS),
    ]
}

/// Our endpoint offers or permits all strategies, if any, and the forger says this suite, if any.
fn before(victim: Victim, ours: bool, suite: Option<u64>) -> Stage {
    let migration = ours.then(|| MigrationConfig::new(StrategySet::ALL));
    let say = move |params: Params| suite.map_or(params.clone(), |bits| params.integer(SUITE, bits));
    Stage::that_migrates(victim, TransportConfig::default(), migration, &Setup::params(say))
}

/// The same after the handshake.
pub fn connected(victim: Victim, ours: bool, suite: Option<u64>) -> Stage {
    before(victim, ours, suite).connect()
}

/// A client of ours that has agreed on these strategies with the forger.
fn client(suite: u64) -> Stage {
    connected(Victim::Client, true, Some(suite))
}

/// What our endpoint said of server migration.
pub fn told(stage: &Stage) -> Vec<MigrationEvent> {
    let said = stage.world.at(stage.host).said(stage.conn().handle);
    let of_migration = said.filter_map(|(_, event)| match event {
        ConnectionEvent::Migration(event) => Some(*event),
        _ => None,
    });
    of_migration.collect()
}

// ---- the suite --------------------------------------------------------------------------------------

#[track_caller]
fn refused(victim: Victim, ours: bool, value: &'static [u8]) {
    let migration = ours.then(|| MigrationConfig::new(StrategySet::from(Strategy::Explicit)));
    let setup = Setup::params(move |params| params.bytes(SUITE, value));
    let mut stage = Stage::that_migrates(victim, TransportConfig::default(), migration, &setup);
    stage.shake();
    assert!(!stage.is_connected(), "{victim:?} takes {value:?}");
    stage.ends_with(Code::TRANSPORT_PARAMETER_ERROR, 0);
}

#[test]
fn a_suite_that_is_not_one_integer_is_a_transport_parameter_error() {
    for victim in Victim::BOTH {
        for value in [&[][..], &[0x40], &[1, 1]] {
            refused(victim, true, value);
        }
    }
}

#[test]
fn a_suite_said_twice_is_a_transport_parameter_error() {
    for victim in Victim::BOTH {
        let setup = Setup::params(|params| params.integer(SUITE, EXPLICIT).also(SUITE, &[1]));
        let migration = Some(MigrationConfig::new(StrategySet::ALL));
        let mut stage = Stage::that_migrates(victim, TransportConfig::default(), migration, &setup);
        stage.shake();
        stage.ends_with(Code::TRANSPORT_PARAMETER_ERROR, 0);
    }
}

#[test]
fn an_offer_of_nothing_is_a_transport_parameter_error() {
    refused(Victim::Server, true, &[0]);
}

#[test]
fn an_answer_to_no_offer_is_a_transport_parameter_error() {
    for value in [&[0][..], &[1]] {
        refused(Victim::Client, false, value);
    }
}

#[test]
fn an_answer_that_names_what_was_not_offered_or_nobody_knows_is_a_transport_parameter_error() {
    for value in [&[2][..], &[3], &[16], &[17], &[0xe0, 0, 0, 0, 0, 0, 0, 1]] {
        refused(Victim::Client, true, value);
    }
}

#[test]
fn an_offer_is_ignored_by_a_server_that_does_not_migrate_and_its_unknown_bits_by_one_that_does() {
    before(Victim::Server, false, Some(0x3f)).still_connects();
    let mut stage = connected(Victim::Server, true, Some(0x3f));
    let agreed = stage.speak(|_, ours| ours.migration().agreement()).expect("both take part");
    assert_eq!(agreed.strategies(), StrategySet::ALL);
}

#[test]
fn an_answer_of_nothing_is_taken() {
    let mut stage = client(0);
    let agreed = stage.speak(|_, ours| ours.migration().agreement()).expect("both take part");
    assert!(agreed.strategies().is_empty());
    stage.goes_on();
}

// ---- frames without an agreement ------------------------------------------------------------------------

#[test]
fn a_migration_frame_though_we_offered_nothing_is_an_unknown_one() {
    for victim in Victim::BOTH {
        for (frame, kind) in frames() {
            connected(victim, false, None).say_and_end(&frame, Code::FRAME_ENCODING_ERROR, kind);
        }
    }
}

#[test]
fn a_migration_frame_though_nothing_was_agreed_is_a_protocol_violation() {
    for answer in [None, Some(0)] {
        for (frame, kind) in frames() {
            let mut stage = connected(Victim::Client, true, answer);
            stage.say_and_end(&frame, Code::PROTOCOL_VIOLATION, kind);
        }
    }
}

#[test]
fn a_migration_frame_of_a_strategy_that_was_not_agreed_on_is_a_protocol_violation() {
    let [explicit, empty, migrated, pool] = frames();
    for (suite, (frame, kind)) in [
        (ALL - EXPLICIT, explicit),
        (ALL - SYNCHRONIZED, empty),
        (EXPLICIT + POOL, migrated),
        (ALL - POOL, pool),
    ] {
        client(suite).say_and_end(&frame, Code::PROTOCOL_VIOLATION, kind);
    }
}

#[test]
fn a_migration_frame_from_a_client_is_a_protocol_violation_whatever_was_agreed() {
    for suite in [None, Some(ALL), Some(EXPLICIT), Some(0x10)] {
        for (frame, kind) in frames() {
            let mut stage = connected(Victim::Server, true, suite);
            stage.say_and_end(&frame, Code::PROTOCOL_VIOLATION, kind);
        }
    }
}

#[test]
fn a_migration_frame_in_a_packet_of_the_handshake_is_a_protocol_violation() {
    for victim in Victim::BOTH {
        for (frame, kind) in frames() {
            let mut stage = before(victim, true, Some(ALL));
            stage.shake_in(Space::Initial);
            stage.say_in(Space::Handshake, &frame);
            stage.ends_with(Code::PROTOCOL_VIOLATION, kind);
        }
    }
}

#[test]
fn a_migration_frame_that_ends_too_early_is_a_frame_encoding_error() {
    for (frame, kind) in frames().into_iter().filter(|(frame, _)| frame.len() > 1) {
        for len in [1, 5, 7, 24] {
            client(ALL).say_and_end(&frame[..len], Code::FRAME_ENCODING_ERROR, kind);
        }
    }
}

// ---- frames that contradict -----------------------------------------------------------------------------

#[test]
fn another_target_before_the_move_is_a_protocol_violation_and_the_same_again_is_fine() {
    for second in [moving_to("45.0.0.8:443"), naming(SERVER_MIGRATION, None)] {
        let mut stage = client(ALL);
        stage.say(&moving_to("45.0.0.7:443"));
        stage.say(&moving_to("45.0.0.7:443"));
        assert_eq!(told(&stage), [MigrationEvent::Announced { strategy: Strategy::Explicit }]);
        stage.say_and_end(&second, Code::PROTOCOL_VIOLATION, SERVER_MIGRATION);
    }
}

#[test]
fn an_address_without_the_family_in_use_is_a_protocol_violation() {
    let mut v6 = naming(SERVER_MIGRATION, None);
    v6[7..9].copy_from_slice(&[0x2a, 0]);
    v6[24] = 1;
    client(ALL).say_and_end(&v6, Code::PROTOCOL_VIOLATION, SERVER_MIGRATION);
    v6[0] = 0x34;
    client(ALL).say_and_end(&v6, Code::PROTOCOL_VIOLATION, POOL_MIGRATION_ADDRESS);
    let none = naming(POOL_MIGRATION_ADDRESS, None);
    client(ALL).say_and_end(&none, Code::PROTOCOL_VIOLATION, POOL_MIGRATION_ADDRESS);
    let without_port = naming(SERVER_MIGRATION, Some("45.0.0.7:0"));
    client(ALL).say_and_end(&without_port, Code::PROTOCOL_VIOLATION, SERVER_MIGRATION);
}

// ---- what is no offence ---------------------------------------------------------------------------------

#[test]
fn a_frame_that_names_where_the_server_is_says_nothing() {
    let mut stage = client(ALL);
    stage.say(&moving_to(crate::forger::FORGER));
    stage.say(&pooling(crate::forger::FORGER));
    assert!(!told(&stage).iter().any(|event| matches!(event, MigrationEvent::Announced { .. })));
    stage.goes_on();
}

#[test]
fn server_migrated_from_where_the_server_is_makes_the_client_ask_there_and_nothing_else() {
    let mut stage = client(SYMMETRIC);
    stage.say(&words(&[SERVER_MIGRATED]));
    assert_eq!(stage.heard(crate::forger::wire::PATH_CHALLENGE).len(), 1);
    assert_eq!(told(&stage), []);
    stage.goes_on();
}
