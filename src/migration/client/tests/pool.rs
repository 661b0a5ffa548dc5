//! A pool at a client: what the server may say of it and when, who is asked, and that it outlives every move
//! (server-migration rules, 2.3 and 2.12; reference, Section 3.4).

use super::*;

fn learned(last: u8) -> Action {
    emit(MigrationEvent::PoolAddress { target: target(last) })
}

fn seeking(last: u8) -> Action {
    emit(MigrationEvent::Seeking { strategy: Pool, address: address(last) })
}

/// A client that knows these members.
fn client_with_pool(members: &[u8]) -> Table {
    let mut table = client(&[Pool], SeekPolicy::Reactive);
    for (number, last) in (1..).zip(members) {
        assert_eq!(table.pool(0, number, *last).unwrap()[..], [learned(*last)]);
    }
    table
}

// ---- what is said of it -------------------------------------------------------------------------------

#[test]
fn two_addresses_in_one_packet_are_both_members() {
    let mut table = client(&[Pool], SeekPolicy::Reactive);
    assert_eq!(table.pool(0, 1, 2).unwrap()[..], [learned(2)]);
    assert_eq!(table.pool(0, 1, 3).unwrap()[..], [learned(3)]);
    assert!(table.client.names(address(2)) && table.client.names(address(3)));
}

#[test]
fn two_addresses_in_two_packets_are_both_members_in_whatever_order_they_come() {
    for numbers in [[1, 2], [2, 1]] {
        let mut table = client(&[Pool], SeekPolicy::Reactive);
        assert_eq!(table.pool(0, numbers[0], 2).unwrap()[..], [learned(2)]);
        assert_eq!(table.pool(0, numbers[1], 3).unwrap()[..], [learned(3)]);
        assert!(table.client.names(address(2)) && table.client.names(address(3)));
    }
}

#[test]
fn an_address_that_is_said_twice_is_reported_once() {
    let mut table = client_with_pool(&[2]);
    assert_eq!(table.pool(5, 2, 2), Ok(Actions::new()));
    assert!(table.client.names(address(2)));
}

#[test]
fn a_pool_in_use_keeps_other_announcements_out_and_stays() {
    let mut table = client(&[Pool, Explicit, SynchronizedSymmetric], SeekPolicy::Reactive);
    table.pool(0, 1, 2).unwrap();
    assert_eq!(table.move_to(0, 2, 3), Err(Code::PROTOCOL_VIOLATION));
    assert_eq!(table.announce(0, 3), Err(Code::PROTOCOL_VIOLATION));
    assert!(table.client.names(address(2)) && !table.client.names(address(3)));
}

#[test]
fn an_announced_move_keeps_a_pool_out_and_stays() {
    let mut explicit = client(&[Pool, Explicit], SeekPolicy::Reactive);
    explicit.move_to(0, 1, 2).unwrap();
    assert_eq!(explicit.pool(0, 2, 3), Err(Code::PROTOCOL_VIOLATION));
    assert!(explicit.client.names(address(2)) && !explicit.client.names(address(3)));
    let mut synchronized = client(&[Pool, SynchronizedSymmetric], SeekPolicy::Reactive);
    synchronized.announce(0, 1).unwrap();
    assert_eq!(synchronized.pool(0, 2, 3), Err(Code::PROTOCOL_VIOLATION));
    assert!(synchronized.client.welcomes(address(9), 5, address(1)), "the announcement is in force");
}

#[test]
fn an_address_that_comes_during_a_search_is_sought_in_the_next_round() {
    let mut table = client_with_pool(&[2]);
    assert_eq!(table.step(100, ClientInput::LossTimeout)[..], [Action::Seek(address(2)), seeking(2)]);
    assert_eq!(table.pool(150, 2, 3).unwrap()[..], [learned(3)]);
    let round = table.step(200, ClientInput::Due);
    assert_eq!(round[..], [Action::Seek(address(2)), Action::Seek(address(3))]);
}

#[test]
fn an_address_that_comes_before_the_first_migration_has_completed_is_a_member() {
    let mut table = client_with_pool(&[2]);
    table.step(100, ClientInput::LossTimeout);
    table.arrive(120, 2, 70_000);
    assert_eq!(table.pool(121, 2, 3).unwrap()[..], [learned(3)], "said before the server left home");
    table.prove(140, 2, 70_001, true);
    assert_eq!(table.pool(150, 70_002, 4), Err(Code::PROTOCOL_VIOLATION));
}

// ---- the search ---------------------------------------------------------------------------------------

#[test]
fn every_member_but_home_is_reported_as_sought_once_a_search() {
    let mut table = client_with_pool(&[2, 1, 3]);
    let actions = table.step(100, ClientInput::LossTimeout);
    assert_eq!(actions[2..], [seeking(2), seeking(3)]);
    let round = table.step(200, ClientInput::Due);
    assert!(!round.contains(&seeking(2)) && !round.contains(&seeking(3)));
    assert!(table.step(210, ClientInput::LossTimeout).is_empty(), "a probe timeout more changes nothing");
}

#[test]
fn a_member_that_speaks_is_challenged_and_adopted_whosever_turn_it_was() {
    let mut table = client_with_pool(&[2, 3, 4]);
    table.step(100, ClientInput::LossTimeout);
    for (now, asked) in [(200, 3), (400, 3), (650, 1)] {
        assert_eq!(table.step(now, ClientInput::Due).len(), asked);
    }
    assert_eq!(table.arrive(660, 2, 70_000)[..], [Action::Seek(address(2))]);
    let actions = table.prove(680, 2, 70_001, true);
    let others = [Action::Forget(address(3)), Action::Forget(address(4))];
    assert_eq!(actions[..], [&others[..], &[Action::Adopt(address(2)), completed(Pool, 2)]].concat());
}

#[test]
fn a_search_that_ends_at_home_begins_the_next_one_from_the_beginning() {
    let mut table = client_with_pool(&[2, 3]);
    table.step(100, ClientInput::LossTimeout);
    assert_eq!(table.arrive(150, 1, 3)[..], [returned(1)]);
    let again = table.step(400, ClientInput::LossTimeout);
    let round = [Action::Seek(address(2)), Action::Seek(address(3))];
    assert_eq!(again[..], [&round[..], &[seeking(2), seeking(3)]].concat());
}

#[test]
fn a_packet_from_home_ends_no_search_where_there_is_none() {
    let mut table = client_with_pool(&[2]);
    assert!(table.arrive(50, 1, 2).is_empty());
    table.step(100, ClientInput::LossTimeout);
    assert_eq!(table.arrive(150, 1, 3)[..], [returned(1)]);
    assert!(table.arrive(160, 1, 4).is_empty(), "it is reported once");
}

#[test]
fn a_packet_from_home_that_is_older_ends_no_search_once_a_member_has_spoken() {
    let mut table = client_with_pool(&[2, 3]);
    table.step(100, ClientInput::LossTimeout);
    table.arrive(120, 2, 70_000);
    assert!(table.arrive(121, 1, 9).is_empty());
    assert!(table.step(130, ClientInput::LossTimeout).is_empty(), "the search is under way");
    assert_eq!(table.step(200, ClientInput::Due)[..2], [Action::Seek(address(2)), Action::Seek(address(3))]);
}

#[test]
fn a_pool_is_sought_again_after_each_move_and_its_former_home_too_if_it_is_a_member() {
    let mut table = client_with_pool(&[1, 2]);
    table.step(100, ClientInput::LossTimeout);
    assert!(table.prove(120, 2, 10, true).contains(&completed(Pool, 2)));
    assert_eq!(table.step(900, ClientInput::LossTimeout)[..], [Action::Seek(address(1)), seeking(1)]);
    assert!(table.prove(920, 1, 20, true).contains(&completed(Pool, 1)));
    assert_eq!(table.step(1900, ClientInput::LossTimeout)[..], [Action::Seek(address(2)), seeking(2)]);
}
