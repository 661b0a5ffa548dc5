//! Our client follows every server of mvfst's whose traffic was recorded.

use peregrine::{MigrationConfig, MigrationEvent, SeekPolicy, StrategySet};

use super::forger::wire;
use super::recording::Recording;
use super::server::Server;

/// A recorded connection.
macro_rules! recorded {
    ($name:literal) => {
        $crate::recording::Recording::read(include_str!(concat!("../data/mvfst/", $name, ".json")))
    };
}
pub(super) use recorded;

/// What our client offers.
pub fn offer() -> MigrationConfig {
    MigrationConfig::new(StrategySet::ALL)
}

/// It follows that server, in all its moves.
#[track_caller]
pub fn follows(recording: Recording, offer: MigrationConfig) -> Server {
    let mut server = Server::before(recording, offer);
    server.play();
    server.was_followed();
    server
}

#[test]
fn it_follows_an_explicit_server() {
    follows(recorded!("explicit-reactive"), offer());
    follows(recorded!("explicit-ipv6"), offer());
}

#[test]
fn it_looks_for_an_explicit_server_before_it_has_to() {
    follows(recorded!("explicit-proactive"), offer().seek(SeekPolicy::Proactive));
}

#[test]
fn it_follows_a_server_of_a_pool() {
    follows(recorded!("pool-of-addresses"), offer());
}

#[test]
fn it_follows_a_symmetric_server() {
    follows(recorded!("symmetric"), offer());
}

#[test]
fn it_follows_a_synchronized_symmetric_server() {
    follows(recorded!("synchronized-symmetric"), offer());
}

#[test]
fn it_follows_three_moves_of_three_strategies() {
    follows(recorded!("sequence"), offer());
}

#[test]
fn it_follows_while_it_moves_itself() {
    follows(recorded!("both-move"), offer());
}

#[test]
fn it_follows_as_another_client_did() {
    follows(recorded!("other-client-explicit"), offer());
    follows(recorded!("other-client-pool-of-addresses"), offer());
    follows(recorded!("other-client-symmetric"), offer());
    follows(recorded!("other-client-synchronized-symmetric"), offer());
}

#[test]
fn it_follows_nobody_who_answers_no_challenge() {
    for silent in [recorded!("explicit-reactive"), recorded!("pool-of-addresses"), recorded!("symmetric")] {
        let silent = silent.with(wire::PATH_RESPONSE, "01").with(wire::RETIRE_CONNECTION_ID, "01");
        let mut server = Server::before(silent, offer());
        server.play();
        assert!(!server.said().any(|event| matches!(event, MigrationEvent::Completed { .. })));
    }
}
