//! What a server may say, what it may not, and what says nothing (server-migration rules, 2.12).

use super::*;

#[test]
fn frames_of_a_strategy_not_agreed_on_are_violations() {
    let violation = Err(Code::PROTOCOL_VIOLATION);
    assert_eq!(client(&[Symmetric], SeekPolicy::Reactive).move_to(0, 1, 2), violation);
    assert_eq!(client(&[Explicit], SeekPolicy::Reactive).announce(0, 1), violation);
    assert_eq!(client(&[Explicit], SeekPolicy::Reactive).pool(0, 1, 2), violation);
    assert_eq!(client(&[Explicit], SeekPolicy::Reactive).hear(0, 1, 1, Heard::Migrated), violation);
}

#[test]
fn another_target_before_the_move_is_a_violation_and_the_same_one_is_not() {
    let mut table = client(&[Explicit, SynchronizedSymmetric], SeekPolicy::Reactive);
    table.move_to(0, 1, 2).unwrap();
    assert_eq!(table.move_to(0, 2, 2), Ok(Actions::new()));
    assert_eq!(table.move_to(0, 3, 3), Err(Code::PROTOCOL_VIOLATION));
    assert_eq!(table.announce(0, 4), Err(Code::PROTOCOL_VIOLATION), "no target is another target");
}

#[test]
fn a_target_without_the_family_in_use_is_a_violation() {
    let v6 = "[fd00::1]:443".parse().expect("an address");
    for (home, named) in [(address(1), v6), (v6, address(1))] {
        let named = MigrationTarget::single(named).expect("a whole endpoint");
        let frames =
            [Heard::Migration(ServerMigration::MoveTo(named)), Heard::Pool(Some(named)), Heard::Pool(None)];
        for frame in frames {
            let mut table = client(&[Explicit, Pool], SeekPolicy::Reactive);
            table.facts.home = home;
            assert_eq!(table.hear(0, 1, 1, frame), Err(Code::PROTOCOL_VIOLATION), "{frame:?}");
        }
    }
}

#[test]
fn a_target_is_reported_once_and_nobody_is_sought_for_it_yet() {
    let mut table = client(&[Explicit], SeekPolicy::Reactive);
    assert_eq!(table.move_to(0, 1, 2).unwrap()[..], [announced(Explicit)]);
    assert_eq!(table.move_to(5, 2, 2), Ok(Actions::new()));
    assert!(table.client.names(address(2)));
}

#[test]
fn a_target_while_a_move_without_one_is_announced_is_a_violation() {
    let mut table = client(&[Explicit, SynchronizedSymmetric], SeekPolicy::Reactive);
    table.announce(0, 1).unwrap();
    assert_eq!(table.move_to(0, 2, 2), Err(Code::PROTOCOL_VIOLATION));
    assert!(!table.client.names(address(2)) && table.client.welcomes(address(9), 3, address(1)));
}

#[test]
fn a_frame_that_names_home_says_nothing() {
    let mut table = client(&[Explicit], SeekPolicy::Reactive);
    assert_eq!(table.move_to(0, 1, 1), Ok(Actions::new()));
    table.move_to(0, 2, 2).unwrap();
    assert_eq!(table.move_to(0, 3, 1), Ok(Actions::new()));
}

#[test]
fn a_new_pool_address_after_the_first_migration_is_a_violation_and_a_known_one_is_not() {
    let mut table = client(&[Pool], SeekPolicy::Reactive);
    table.pool(0, 1, 2).unwrap();
    table.pool(0, 2, 200).unwrap();
    table.step(100, ClientInput::LossTimeout);
    table.prove(120, 2, 10, true);
    assert_eq!(table.pool(200, 11, 2), Ok(Actions::new()));
    assert_eq!(table.pool(200, 11, 200), Ok(Actions::new()), "known, though refused");
    assert_eq!(table.pool(200, 12, 3), Err(Code::PROTOCOL_VIOLATION));
}

#[test]
fn late_frames_say_nothing_whatever_they_are() {
    let mut table = client(&[Symmetric], SeekPolicy::Reactive);
    table.arrive(0, 2, 10);
    table.prove(20, 2, 11, true);
    assert_eq!(table.move_to(30, 10, 7), Ok(Actions::new()));
    assert_eq!(table.pool(30, 3, 7), Ok(Actions::new()));
    assert_eq!(table.move_to(30, 11, 7), Err(Code::PROTOCOL_VIOLATION));
}

#[test]
fn a_reset_from_home_counts_at_once_if_no_move_is_announced() {
    let mut table = client(&[Symmetric], SeekPolicy::Reactive);
    assert_eq!(table.step(0, ClientInput::Reset)[..], [Action::EndByReset]);
}

#[test]
fn a_reset_from_home_begins_a_search_while_a_move_is_announced_and_counts_at_the_deadline() {
    let mut table = client(&[Explicit], SeekPolicy::Reactive);
    table.move_to(0, 1, 2).unwrap();
    let actions = table.step(50, ClientInput::Reset);
    assert!(actions.contains(&Action::Seek(address(2))) && !actions.contains(&Action::EndByReset));
    assert!(!table.step(29_999, ClientInput::Due).contains(&Action::EndByReset));
    assert!(table.step(30_000, ClientInput::Due).contains(&Action::EndByReset));
}

#[test]
fn a_reset_from_home_waits_for_a_candidate_that_has_spoken_and_is_forgotten_when_it_answers() {
    let mut table = client(&[Symmetric], SeekPolicy::Reactive);
    table.arrive(0, 2, 10);
    assert!(table.step(5, ClientInput::Reset).is_empty());
    table.prove(20, 2, 11, true);
    assert_eq!(table.client.due(&table.facts), None);
}
