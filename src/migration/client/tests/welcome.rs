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

#[test]
fn a_server_that_shows_itself_where_it_may_not_be_followed_is_reported_once() {
    let mut table = client(&[Symmetric], SeekPolicy::Reactive);
    assert!(table.client.refuses(address(200), 5, address(1)));
    let refused = emit(MigrationEvent::Refused { target: target(200) });
    assert_eq!(table.step(0, ClientInput::Refused { from: address(200) })[..], [refused]);
    assert!(table.step(5, ClientInput::Refused { from: address(200) }).is_empty());
}

#[test]
fn of_places_without_end_where_a_server_may_not_be_followed_the_first_32_are_told() {
    let mut table = client(&[Symmetric], SeekPolicy::Reactive);
    let told = (1..=100).map(|port| {
        let from = SocketAddr::new(address(200).ip(), port);
        table.step(port.into(), ClientInput::Refused { from }).len()
    });
    assert_eq!(told.sum::<usize>(), 32);
}

#[test]
fn whom_nobody_would_follow_is_not_refused_but_a_stranger() {
    let explicit = client(&[Explicit], SeekPolicy::Reactive);
    assert!(!explicit.client.refuses(address(200), 5, address(1)));
    let mut symmetric = client(&[Symmetric], SeekPolicy::Reactive);
    symmetric.arrive(0, 1, 10);
    assert!(!symmetric.client.refuses(address(200), 9, address(1)), "a late packet shows nothing");
    assert!(!symmetric.client.refuses(address(2), 11, address(1)), "it is welcome");
}

/// Permits whatever is not below home.
struct NoWayBack;

impl AddressPolicy for NoWayBack {
    fn permits(&self, home: SocketAddr, target: SocketAddr) -> bool {
        target.ip() >= home.ip()
    }
}

#[test]
fn the_policy_is_asked_again_for_each_member_when_home_is_another() {
    let mut table = client_of(Arc::new(NoWayBack), &[Pool], SeekPolicy::Reactive);
    for last in [2, 3, 4] {
        table.pool(0, last.into(), last).unwrap();
    }
    table.step(100, ClientInput::LossTimeout);
    table.prove(120, 3, 10, true);
    let seeking = emit(MigrationEvent::Seeking { strategy: Pool, address: address(4) });
    assert_eq!(table.step(900, ClientInput::LossTimeout)[..], [Action::Seek(address(4)), seeking]);
    assert!(!table.client.welcomes(address(2), 11, address(3)));
}
