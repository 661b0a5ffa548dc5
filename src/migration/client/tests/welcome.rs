//! Where candidates come from, and whom the policy keeps out (server-migration rules, 2.1, 2.2 and 2.11).

use super::*;

#[test]
fn a_source_alone_is_welcome_only_if_a_symmetric_strategy_was_agreed_and_its_number_is_the_highest() {
    let mut table = client(&[Symmetric], SeekPolicy::Reactive);
    table.arrive(0, 1, 10);
    assert!(table.client.welcomes(address(2), 11, address(1)));
    assert!(!table.client.welcomes(address(2), 9, address(1)));
    let mut explicit = client(&[Explicit], SeekPolicy::Reactive);
    explicit.arrive(0, 1, 10);
    assert!(!explicit.client.welcomes(address(2), 11, address(1)));
}

#[test]
fn synchronized_symmetric_trusts_a_source_once_the_move_is_announced() {
    let mut table = client(&[SynchronizedSymmetric], SeekPolicy::Reactive);
    assert!(!table.client.welcomes(address(2), 5, address(1)));
    assert_eq!(table.announce(0, 1).unwrap()[..], [announced(SynchronizedSymmetric)]);
    assert!(table.client.welcomes(address(2), 5, address(1)));
}

#[test]
fn an_announced_address_is_welcome_with_any_number_and_a_refused_one_is_not() {
    let mut table = client(&[Explicit], SeekPolicy::Reactive);
    table.arrive(0, 1, 10);
    table.move_to(0, 11, 2).unwrap();
    assert!(table.client.welcomes(address(2), 3, address(1)));
    let mut refused = client(&[Explicit, Symmetric], SeekPolicy::Reactive);
    let actions = refused.move_to(0, 1, 200).unwrap();
    assert_eq!(actions[..], [emit(MigrationEvent::Refused { target: target(200) })]);
    assert!(!refused.client.welcomes(address(200), 5, address(1)));
}

#[test]
fn a_target_that_is_refused_again_and_again_is_reported_once() {
    let mut table = client(&[Explicit], SeekPolicy::Reactive);
    assert_eq!(table.move_to(0, 1, 200).unwrap().len(), 1);
    assert_eq!(table.move_to(0, 2, 200).unwrap().len(), 0);
}
