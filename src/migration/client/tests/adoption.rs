//! Who becomes home, and what follows for the home that was (server-migration rules, 2.3 and 2.5).

use super::*;

#[test]
fn one_copied_packet_does_not_move_the_client() {
    let mut table = client(&[Symmetric], SeekPolicy::Reactive);
    table.arrive(0, 1, 9);
    let actions = table.arrive(10, 66, 10);
    assert_eq!(actions[..], [Action::Seek(address(66))]);
    assert_eq!(table.step(11, ClientInput::Duplicate { number: 10 })[..], [Action::Recall(address(66))]);
    assert_eq!(table.client.lead(at(11)), None);
    assert_eq!(table.facts.home, address(1));
}

#[test]
fn the_first_candidate_proved_is_adopted_and_the_others_go() {
    let mut table = client(&[Pool], SeekPolicy::Reactive);
    table.pool(0, 1, 2).unwrap();
    table.pool(0, 2, 3).unwrap();
    table.step(100, ClientInput::LossTimeout);
    let actions = table.prove(150, 3, 70_000, true);
    let expected = [Action::Forget(address(2)), Action::Adopt(address(3)), completed(Pool, 3)];
    assert_eq!(actions[..], expected);
    assert!(table.client.names(address(2)), "a pool outlives the move");
}

#[test]
fn an_address_that_was_never_a_candidate_is_not_adopted() {
    let mut table = client(&[Symmetric], SeekPolicy::Reactive);
    assert!(table.prove(10, 66, 10, true).is_empty());
}

#[test]
fn proof_of_home_moves_nothing() {
    let mut table = client(&[Symmetric], SeekPolicy::Reactive);
    table.arrive(0, 2, 5);
    assert!(table.prove(10, 1, 6, true).is_empty());
}

#[test]
fn an_announcement_ends_with_its_migration_and_another_may_follow() {
    let mut table = client(&[Explicit], SeekPolicy::Reactive);
    table.move_to(0, 1, 2).unwrap();
    table.arrive(100, 2, 70_000);
    assert!(table.prove(120, 2, 70_001, true).contains(&completed(Explicit, 2)));
    assert!(!table.client.names(address(2)));
    assert_eq!(table.move_to(200, 70_002, 3).unwrap()[..], [announced(Explicit)]);
}

#[test]
fn the_home_left_for_a_mere_source_address_is_asked_and_wins_if_it_answers() {
    let mut table = client(&[Symmetric], SeekPolicy::Reactive);
    table.arrive(0, 66, 10);
    let actions = table.prove(20, 66, 11, true);
    assert_eq!(actions[..], [Action::Adopt(address(66)), completed(Symmetric, 66), Action::AskFormer]);
    assert!(table.arrive(30, 1, 9).is_empty(), "an older packet from the former home moves nothing");
    assert_eq!(table.arrive(40, 1, 12)[..], [Action::Seek(address(1))]);
    assert_eq!(table.prove(60, 1, 13, true)[..], [Action::Adopt(address(1)), returned(1)]);
}

#[test]
fn a_server_that_announced_a_move_and_speaks_from_the_former_home_has_moved_there() {
    let mut table = client(&[SynchronizedSymmetric], SeekPolicy::Reactive);
    table.hear(0, 1, 1, Heard::Migration(ServerMigration::Announce)).unwrap();
    table.arrive(10, 2, 10);
    assert!(table.prove(20, 2, 11, true).contains(&completed(SynchronizedSymmetric, 2)));
    table.hear(30, 12, 2, Heard::Migration(ServerMigration::Announce)).unwrap();
    table.arrive(40, 1, 70_000);
    assert!(table.prove(60, 1, 70_001, true).contains(&completed(SynchronizedSymmetric, 1)));
}

#[test]
fn the_former_home_of_an_announced_move_moves_nothing() {
    let mut table = client(&[Explicit], SeekPolicy::Reactive);
    table.move_to(0, 1, 2).unwrap();
    table.arrive(100, 2, 10);
    let actions = table.prove(120, 2, 11, true);
    assert!(!actions.contains(&Action::AskFormer));
    assert!(table.arrive(130, 1, 12).is_empty());
}

#[test]
fn a_server_that_announced_a_move_back_to_the_former_home_is_sought_there_when_it_speaks_up() {
    let mut table = client(&[Explicit], SeekPolicy::Reactive);
    table.move_to(0, 1, 2).unwrap();
    table.arrive(100, 2, 10);
    table.prove(120, 2, 11, true);
    table.hear(130, 12, 2, Heard::Migration(ServerMigration::MoveTo(target(1)))).unwrap();
    assert!(table.arrive(140, 1, 9).is_empty(), "what it sent before it left moves nothing");
    assert!(table.arrive(150, 1, 70_000).contains(&Action::Seek(address(1))));
}

#[test]
fn a_path_proved_by_a_small_challenge_is_proved_again_in_full_size_or_given_up() {
    let mut table = client(&[Explicit], SeekPolicy::Reactive);
    table.move_to(0, 1, 2).unwrap();
    table.step(100, ClientInput::LossTimeout);
    assert_eq!(table.prove(120, 2, 10, false).last(), Some(&Action::ProveHome));
    assert!(table.client.keeps(address(1)));
    assert_eq!(table.step(220, ClientInput::Due)[..], [Action::ProveHome]);
    assert_eq!(table.step(320, ClientInput::Due)[..], [Action::ProveHome]);
    assert_eq!(table.step(420, ClientInput::Due)[..], [Action::GoBack, returned(1)]);
    assert!(!table.client.keeps(address(1)));
}

#[test]
fn an_announced_move_to_where_the_client_goes_back_to_is_not_sought_any_more() {
    let mut table = client(&[Explicit], SeekPolicy::Proactive);
    table.move_to(0, 1, 2).unwrap();
    table.step(0, ClientInput::AckSent);
    table.prove(20, 2, 10, false);
    table.move_to(30, 2, 1).unwrap();
    table.step(120, ClientInput::Due);
    table.step(220, ClientInput::Due);
    assert_eq!(table.step(320, ClientInput::Due)[..], [Action::GoBack, returned(1)]);
    assert_eq!(table.step(330, ClientInput::AckSent)[..], []);
}

/// A client that followed to 10.0.0.2 and went back, for nothing came through from there for a while.
fn gone_back(strategies: &[Strategy]) -> Table {
    let mut table = client(strategies, SeekPolicy::Reactive);
    if strategies == [Explicit] {
        table.move_to(0, 1, 2).unwrap();
    } else if strategies == [SynchronizedSymmetric] {
        table.announce(0, 1).unwrap();
    }
    table.arrive(20, 2, 70_000);
    table.prove(30, 2, 70_001, false);
    [130, 230]
        .into_iter()
        .for_each(|now| assert_eq!(table.step(now, ClientInput::Due)[..], [Action::ProveHome]));
    assert_eq!(table.step(330, ClientInput::Due)[..], [Action::GoBack, returned(1)]);
    table
}

#[test]
fn where_home_was_given_up_the_server_is_sought_all_the_same() {
    for strategy in [Explicit, Symmetric, SynchronizedSymmetric] {
        let mut table = gone_back(&[strategy]);
        assert!(table.client.welcomes(address(2), 5, address(1)), "{strategy:?}: it may speak from there");
        let actions = table.step(430, ClientInput::LossTimeout);
        let seeking = emit(MigrationEvent::Seeking { strategy, address: address(2) });
        assert_eq!(actions[..], [Action::Seek(address(2)), seeking], "{strategy:?}");
        assert!(table.prove(450, 2, 70_002, true).contains(&completed(strategy, 2)));
    }
}

#[test]
fn where_home_was_given_up_nobody_is_sought_once_the_server_says_something_new_at_home() {
    for strategy in [Explicit, Symmetric, SynchronizedSymmetric] {
        let mut table = gone_back(&[strategy]);
        // What it said before it moved says nothing.
        table.arrive(340, 1, 60_000);
        assert!(table.client.names(address(2)), "{strategy:?}");
        table.arrive(350, 1, 70_002);
        assert!(!table.client.names(address(2)), "{strategy:?}");
        assert!(table.step(450, ClientInput::LossTimeout).is_empty(), "{strategy:?}");
    }
}

#[test]
fn what_was_announced_before_the_client_went_back_is_still_to_come_when_the_server_is_found_where_it_was() {
    let mut table = client(&[Explicit], SeekPolicy::Reactive);
    table.move_to(0, 1, 2).unwrap();
    table.arrive(20, 2, 70_000);
    table.prove(30, 2, 70_001, false);
    // It will move back to where it was, and an outage makes the client go there first.
    table.hear(40, 70_002, 2, Heard::Migration(ServerMigration::MoveTo(target(1)))).unwrap();
    [130, 230, 330].into_iter().for_each(|now| drop(table.step(now, ClientInput::Due)));
    assert_eq!(table.facts.home, address(1));
    let actions = table.step(430, ClientInput::LossTimeout);
    assert_eq!(actions.first(), Some(&Action::Seek(address(2))), "and nobody seeks home");
    assert!(table.prove(450, 2, 70_003, true).contains(&completed(Explicit, 2)));
    assert!(table.client.names(address(1)), "the next move is still announced");
    table.step(600, ClientInput::LossTimeout);
    assert!(table.prove(620, 1, 140_000, true).contains(&completed(Explicit, 1)));
}

#[test]
fn without_a_former_home_a_path_that_carries_no_full_size_fails() {
    let mut table = client(&[Explicit], SeekPolicy::Reactive);
    table.move_to(0, 1, 2).unwrap();
    table.step(100, ClientInput::LossTimeout);
    table.prove(120, 2, 10, false);
    table.facts.former = None;
    table.step(220, ClientInput::Due);
    table.step(320, ClientInput::Due);
    let failed = MigrationEvent::Failed { strategy: Explicit, reason: MigrationError::PathFailed };
    assert_eq!(table.step(420, ClientInput::Due)[..], [emit(failed)]);
}

#[test]
fn a_full_size_answer_ends_the_second_proof() {
    let mut table = client(&[Explicit], SeekPolicy::Reactive);
    table.move_to(0, 1, 2).unwrap();
    table.step(100, ClientInput::LossTimeout);
    table.prove(120, 2, 10, false);
    table.prove(140, 2, 11, true);
    assert_eq!(table.client.due(&table.facts), None);
}
