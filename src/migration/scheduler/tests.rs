//! What a pool's rounds ask, and when a change takes effect (reference, Sections 7.2 and 9.L).

use proptest::prelude::*;

use super::*;

/// `10.0.0.host:443`.
fn v4(host: u8) -> MigrationTarget {
    MigrationTarget::single(([10, 0, 0, host], 443).into()).unwrap()
}

/// `10.0.0.host:443` and `[fd00::host]:443`.
fn dual(host: u8) -> MigrationTarget {
    let v6 = format!("[fd00::{host:x}]:443").parse().unwrap();
    MigrationTarget::new(v4(host).v4(), Some(v6)).unwrap()
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn pool(hosts: &[u8]) -> Cycle {
    let mut cycle = Cycle::default();
    for &host in hosts {
        assert!(cycle.insert(v4(host)));
    }
    cycle
}

/// What the rest of the round asks, or a whole one.
fn rest(cycle: &mut Cycle) -> Vec<MigrationTarget> {
    std::iter::from_fn(|| cycle.next()).collect()
}

fn hosts(hosts: &[u8]) -> Vec<MigrationTarget> {
    hosts.iter().map(|&host| v4(host)).collect()
}

fn members(cycle: &Cycle) -> Vec<MigrationTarget> {
    let mut members = Vec::new();
    cycle.members(&mut |member| members.push(member));
    members
}

// The current address.

#[test]
fn there_is_no_current_address_until_one_is_set() {
    let mut cycle = Cycle::default();
    assert_eq!(cycle.current(), None);
    cycle.set_current(Some(v4(1)));
    assert_eq!(cycle.current(), Some(v4(1)));
}

#[test]
fn between_rounds_the_current_address_set_last_counts_at_once() {
    let mut cycle = pool(&[5]);
    cycle.set_current(Some(v4(1)));
    cycle.set_current(Some(v4(2)));
    assert_eq!(cycle.current(), Some(v4(2)));
    assert_eq!(rest(&mut cycle), hosts(&[2, 5]));
}

#[test]
fn the_current_address_can_be_taken_back() {
    let mut cycle = pool(&[5]);
    cycle.set_current(Some(v4(1)));
    cycle.set_current(None);
    assert_eq!(cycle.current(), None);
    assert_eq!(rest(&mut cycle), hosts(&[5]));
}

#[test]
fn a_current_address_set_during_a_round_leads_the_next_one() {
    let mut cycle = pool(&[5, 6]);
    assert_eq!(cycle.next(), Some(v4(5)));
    cycle.set_current(Some(v4(1)));
    assert_eq!(rest(&mut cycle), hosts(&[6]));
    assert_eq!(rest(&mut cycle), hosts(&[1, 5, 6]));
}

#[test]
fn the_current_address_stays_until_the_round_that_began_with_it_is_over() {
    let mut cycle = pool(&[5]);
    cycle.set_current(Some(v4(1)));
    assert_eq!(cycle.next(), Some(v4(1)));
    cycle.set_current(Some(v4(2)));
    assert_eq!(cycle.current(), Some(v4(1)));
    assert_eq!(cycle.next(), Some(v4(5)));
    assert_eq!(cycle.current(), Some(v4(1)));
    assert_eq!(cycle.next(), None);
    assert_eq!(cycle.current(), Some(v4(2)));
    assert_eq!(rest(&mut cycle), hosts(&[2, 5]));
}

#[test]
fn of_two_current_addresses_set_during_a_round_the_last_one_counts() {
    let mut cycle = pool(&[5, 6]);
    cycle.next();
    cycle.set_current(Some(v4(1)));
    cycle.set_current(None);
    rest(&mut cycle);
    assert_eq!(cycle.current(), None);
}

// Members.

#[test]
fn a_member_of_two_families_is_found_by_either_endpoint() {
    let mut cycle = pool(&[1]);
    assert!(cycle.insert(dual(2)));
    for known in ["10.0.0.1:443", "10.0.0.2:443", "[fd00::2]:443"] {
        assert!(cycle.contains(address(known)), "{known}");
    }
    for unknown in ["10.0.0.1:444", "[fd00::1]:443", "10.0.0.3:443", "0.0.0.0:0", "[::]:0"] {
        assert!(!cycle.contains(address(unknown)), "{unknown}");
    }
}

#[test]
fn an_empty_address_cannot_become_a_member() {
    assert_eq!(MigrationTarget::new(None, None), None);
    assert_eq!(MigrationTarget::single(address("0.0.0.0:0")), None);
}

#[test]
fn between_rounds_a_new_member_is_asked_in_the_round_that_begins() {
    let mut cycle = pool(&[5]);
    assert_eq!(rest(&mut cycle), hosts(&[5]));
    assert!(cycle.insert(v4(4)));
    assert_eq!(members(&cycle), hosts(&[4, 5]));
    assert_eq!(rest(&mut cycle), hosts(&[4, 5]));
}

#[test]
fn during_a_round_a_new_member_waits_for_the_next_one() {
    let mut cycle = pool(&[5, 7]);
    assert_eq!(cycle.next(), Some(v4(5)));
    assert!(cycle.insert(v4(6)));
    assert_eq!(rest(&mut cycle), hosts(&[7]));
    assert_eq!(rest(&mut cycle), hosts(&[5, 6, 7]));
}

#[test]
fn a_member_that_comes_after_the_last_one_was_asked_waits_for_the_next_round() {
    let mut cycle = pool(&[5]);
    assert_eq!(cycle.next(), Some(v4(5)));
    assert!(cycle.insert(v4(6)));
    assert_eq!(cycle.next(), None);
    assert_eq!(rest(&mut cycle), hosts(&[5, 6]));
}

#[test]
fn new_members_wait_through_a_restart_too() {
    let mut cycle = pool(&[5, 7]);
    cycle.next();
    cycle.insert(v4(6));
    cycle.insert(v4(4));
    cycle.restart();
    assert_eq!(rest(&mut cycle), hosts(&[4, 5, 6, 7]));
}

#[test]
fn a_member_is_added_once_between_rounds_and_during_one() {
    let mut cycle = pool(&[5]);
    assert!(!cycle.insert(v4(5)));
    cycle.next();
    assert!(!cycle.insert(v4(5)));
    assert!(cycle.insert(v4(6)));
    assert!(!cycle.insert(v4(6)));
    assert_eq!(cycle.next(), None);
    assert_eq!(rest(&mut cycle), hosts(&[5, 6]));
}

#[test]
fn members_are_told_apart_by_their_whole_value() {
    let mut cycle = pool(&[5]);
    cycle.next();
    assert!(cycle.insert(dual(5)));
    assert!(!cycle.insert(dual(5)));
    assert_eq!(members(&cycle), [v4(5), dual(5)]);
}

#[test]
fn a_member_of_either_family_is_found_while_it_waits_for_its_round() {
    let mut cycle = pool(&[5]);
    cycle.next();
    cycle.insert(dual(6));
    cycle.insert(MigrationTarget::single(address("[fd00::7]:443")).unwrap());
    for known in ["10.0.0.5:443", "10.0.0.6:443", "[fd00::6]:443", "[fd00::7]:443"] {
        assert!(cycle.contains(address(known)), "{known}");
    }
}

#[test]
fn the_current_address_is_no_member() {
    let mut cycle = pool(&[5]);
    cycle.set_current(Some(v4(1)));
    assert!(!cycle.contains(address("10.0.0.1:443")));
    assert_eq!(members(&cycle), hosts(&[5]));
}

// Rounds.

#[test]
fn an_empty_pool_has_nothing_to_try_with_or_without_a_current_address() {
    let mut cycle = Cycle::default();
    assert_eq!(cycle.next(), None);
    cycle.set_current(Some(v4(1)));
    assert_eq!((cycle.next(), cycle.next()), (None, None));
}

#[test]
fn a_pool_of_the_current_address_has_nothing_to_try_until_the_server_is_elsewhere() {
    let mut cycle = pool(&[1]);
    cycle.set_current(Some(v4(1)));
    assert_eq!((cycle.next(), cycle.next()), (None, None));
    cycle.set_current(None);
    assert_eq!(rest(&mut cycle), hosts(&[1]));
    cycle.set_current(Some(v4(2)));
    assert_eq!(rest(&mut cycle), hosts(&[2, 1]));
}

#[test]
fn a_round_that_asked_nothing_does_not_keep_new_members_waiting() {
    let mut cycle = Cycle::default();
    assert_eq!(cycle.next(), None);
    cycle.insert(v4(5));
    assert_eq!(cycle.next(), Some(v4(5)));
}

#[test]
fn every_round_asks_the_current_address_and_then_the_pool_in_ascending_order() {
    let mut cycle = pool(&[7, 5, 6]);
    cycle.set_current(Some(v4(9)));
    for _ in 0..2 {
        assert_eq!(rest(&mut cycle), hosts(&[9, 5, 6, 7]));
    }
}

#[test]
fn without_a_current_address_every_round_asks_the_pool_in_ascending_order() {
    let mut cycle = pool(&[7, 5, 6]);
    for _ in 0..2 {
        assert_eq!(rest(&mut cycle), hosts(&[5, 6, 7]));
    }
}

#[test]
fn a_member_at_the_current_address_is_asked_once_and_first() {
    let mut cycle = pool(&[5, 6, 7]);
    cycle.set_current(Some(v4(6)));
    for _ in 0..2 {
        assert_eq!(rest(&mut cycle), hosts(&[6, 5, 7]));
    }
}

#[test]
fn a_member_of_two_families_at_the_current_address_is_not_asked_again() {
    let mut cycle = pool(&[5]);
    cycle.insert(dual(6));
    cycle.set_current(Some(v4(6)));
    assert_eq!(rest(&mut cycle), hosts(&[6, 5]));
}

#[test]
fn a_member_that_becomes_the_current_address_during_a_round_is_asked_in_it_and_first_in_the_next() {
    let mut cycle = pool(&[5, 6, 7]);
    assert_eq!(cycle.next(), Some(v4(5)));
    cycle.set_current(Some(v4(7)));
    assert_eq!(rest(&mut cycle), hosts(&[6, 7]));
    assert_eq!(rest(&mut cycle), hosts(&[7, 5, 6]));
}

#[test]
fn a_current_address_taken_back_during_a_round_is_not_asked_twice_and_an_ordinary_member_in_the_next() {
    let mut cycle = pool(&[5, 6, 7]);
    cycle.set_current(Some(v4(6)));
    assert_eq!(cycle.next(), Some(v4(6)));
    cycle.set_current(None);
    assert_eq!(rest(&mut cycle), hosts(&[5, 7]));
    assert_eq!(rest(&mut cycle), hosts(&[5, 6, 7]));
}

#[test]
fn after_a_restart_the_round_begins_with_the_current_address() {
    let mut cycle = pool(&[5, 6]);
    cycle.set_current(Some(v4(1)));
    assert_eq!((cycle.next(), cycle.next()), (Some(v4(1)), Some(v4(5))));
    cycle.restart();
    assert_eq!(rest(&mut cycle), hosts(&[1, 5, 6]));
}

#[test]
fn a_restart_between_rounds_changes_nothing() {
    let mut cycle = pool(&[5]);
    cycle.set_current(Some(v4(1)));
    cycle.restart();
    assert_eq!(cycle.current(), Some(v4(1)));
    assert_eq!(rest(&mut cycle), hosts(&[1, 5]));
}

proptest! {
    /// Whatever was inserted, set and restarted before: a whole round asks every place once and then ends.
    #[test]
    fn a_whole_round_asks_every_place_exactly_once(
        steps in proptest::collection::vec((0..4u8, 0..6u8), 0..40),
    ) {
        let mut cycle = Cycle::default();
        for (step, host) in steps {
            match step {
                0 => drop(cycle.insert(v4(host))),
                1 => cycle.set_current((host != 0).then(|| v4(host))),
                2 => cycle.restart(),
                _ => drop(cycle.next()),
            }
        }
        cycle.restart();
        let current = cycle.current();
        let mut expected: BTreeSet<_> = members(&cycle).into_iter().collect();
        let nothing_else = expected.iter().all(|member| Some(*member) == current);
        expected.extend(current);
        let asked = rest(&mut cycle);
        if nothing_else {
            prop_assert_eq!(asked, []);
        } else {
            prop_assert_eq!(asked.len(), expected.len());
            prop_assert!(current.is_none() || asked.first().copied() == current);
            prop_assert_eq!(asked.into_iter().collect::<BTreeSet<_>>(), expected);
        }
    }
}
