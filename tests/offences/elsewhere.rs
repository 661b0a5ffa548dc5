//! Packets of a server from where it is not, and nobody said that it would be (server-migration rules, 2.1 and 2.2).

use peregrine::{DropReason, MigrationEvent, Strategy};

use crate::forger::params::{EXPLICIT, POOL, SYNCHRONIZED};
use crate::forger::wire::{self, words};
use crate::forger::{Draft, Space, Stage, Victim};
use crate::migration::{connected, told};

/// Where the forger speaks from.
const ELSEWHERE: &str = "45.0.0.67:4433";

fn dropped_at_the_gate(stage: &Stage) -> u64 {
    stage.connection().map_or(0, |ours| ours.stats().dropped(DropReason::Gate))
}

/// A packet from elsewhere is dropped at the gate and leaves no trace: it is not acknowledged, its frames say nothing,
/// and its twin that comes from home afterwards is new.
#[track_caller]
fn follows_nobody(mut stage: Stage) {
    let number = stage.forger.next_number(Space::OneRtt);
    let datagram = stage.forger.seal(Space::OneRtt, Draft::new(&words(&[wire::PING])));
    let before = (told(&stage), dropped_at_the_gate(&stage));
    stage.forger.forget();
    stage.send_from(ELSEWHERE, datagram.clone());
    stage.listen();
    assert_eq!(stage.end(), None);
    assert_eq!((told(&stage), dropped_at_the_gate(&stage)), (before.0, before.1 + 1));
    let is_acknowledged =
        |stage: &Stage| stage.heard(wire::ACK).iter().any(|frame| frame.acknowledges(number));
    assert!(!is_acknowledged(&stage));
    stage.send(datagram);
    stage.listen();
    assert!(is_acknowledged(&stage));
}

#[test]
fn with_migration_off_a_packet_from_elsewhere_leaves_no_trace() {
    follows_nobody(Stage::connected(Victim::Client));
}

#[test]
fn without_a_symmetric_strategy_a_packet_from_elsewhere_leaves_no_trace() {
    follows_nobody(connected(Victim::Client, true, None));
    follows_nobody(connected(Victim::Client, true, Some(0)));
    follows_nobody(connected(Victim::Client, true, Some(EXPLICIT)));
    follows_nobody(connected(Victim::Client, true, Some(POOL)));
}

#[test]
fn without_an_announcement_synchronized_symmetric_follows_nobody() {
    follows_nobody(connected(Victim::Client, true, Some(SYNCHRONIZED)));
}

#[test]
fn an_address_that_was_not_announced_is_not_followed_while_another_is() {
    let mut stage = connected(Victim::Client, true, Some(EXPLICIT));
    stage.say(&wire::naming(wire::SERVER_MIGRATION, Some("45.0.0.99:4433")));
    assert_eq!(told(&stage), [MigrationEvent::Announced { strategy: Strategy::Explicit }]);
    follows_nobody(stage);
}
