//! Acknowledgements of what a server said of its moves: each is reported once, and one that belongs to no move under way
//! says nothing (server-migration rules, 3.4).

use super::*;

/// The SERVER_MIGRATED that the server writes now, which must be all.
fn migrated(server: &mut Server) -> Record {
    let records = written(server);
    assert!(matches!(records[..], [Record::ServerMigrated { .. }]), "{records:?}");
    records[0]
}

/// A server with this order, which has said what it says beforehand.
fn preparing(order: MoveOrder) -> (Server, Record) {
    let mut server = server(&[Explicit, SynchronizedSymmetric, Symmetric]);
    assert_eq!(prepare(&mut server, 0, order), Ok(vec![]));
    let record = notice(&mut server);
    (server, record)
}

const NOTIFIED: [MoveOrder; 2] = [MoveOrder::SynchronizedSymmetric, MoveOrder::Symmetric];

#[test]
fn a_notice_acknowledged_twice_is_reported_once() {
    for order in [MoveOrder::Explicit(target(2)), MoveOrder::SynchronizedSymmetric] {
        let (mut server, record) = preparing(order);
        let expected = [acknowledged(FrameKind::ServerMigration), ready(order.strategy())];
        assert_eq!(acked(&mut server, 20, record), expected);
        assert!(acked(&mut server, 30, record).is_empty());
        assert!(server.is_busy(), "it is ready still");
    }
}

#[test]
fn a_pool_address_acknowledged_twice_is_reported_once() {
    let mut server = server_with(&[Pooled], &[target(2), target(3)]);
    let record = Record::PoolMigrationAddress { member: 0 };
    let told = Action::Emit(MigrationEvent::PoolAddress { target: target(2) });
    assert_eq!(acked(&mut server, 5, record), [told]);
    assert!(acked(&mut server, 6, record).is_empty());
    prepare(&mut server, 7, MoveOrder::Pool).unwrap();
    assert!(acked(&mut server, 8, record).is_empty(), "one of two is not all");
}

#[test]
fn a_pool_address_that_is_none_changes_nothing() {
    let mut server = server_with(&[Pooled], &[target(2)]);
    prepare(&mut server, 0, MoveOrder::Pool).unwrap();
    assert!(acked(&mut server, 5, Record::PoolMigrationAddress { member: 7 }).is_empty());
    assert_eq!(server.would_move(), Some(MoveOrder::Pool));
    let told = Action::Emit(MigrationEvent::PoolAddress { target: target(2) });
    assert_eq!(acked(&mut server, 6, Record::PoolMigrationAddress { member: 0 }), [told, ready(Pooled)]);
}

#[test]
fn server_migrated_is_reported_acknowledged_once_however_often_it_was_said() {
    for order in NOTIFIED {
        let mut server = server(&[SynchronizedSymmetric, Symmetric]);
        prepare(&mut server, 0, order).unwrap();
        relocate(&mut server, 10);
        let first = migrated(&mut server);
        step(&mut server, 10, ServerInput::Announced);
        step(&mut server, 110, ServerInput::Due);
        let second = migrated(&mut server);
        assert_eq!(acked(&mut server, 120, second), [acknowledged(FrameKind::ServerMigrated)]);
        assert!(acked(&mut server, 121, first).is_empty());
    }
}

#[test]
fn server_migrated_acknowledged_when_the_move_is_over_says_nothing() {
    for order in NOTIFIED {
        let mut server = server(&[SynchronizedSymmetric, Symmetric]);
        prepare(&mut server, 0, order).unwrap();
        relocate(&mut server, 10);
        let record = migrated(&mut server);
        assert_eq!(acked(&mut server, 40, Record::PathResponse), [completed(order.strategy())]);
        assert!(acked(&mut server, 50, record).is_empty());
        assert!(!server.is_busy());
    }
}

#[test]
fn server_migrated_may_be_acknowledged_though_the_notice_never_was() {
    let (mut server, lost) = preparing(MoveOrder::SynchronizedSymmetric);
    relocate(&mut server, 10);
    let record = migrated(&mut server);
    assert_eq!(acked(&mut server, 40, record), [acknowledged(FrameKind::ServerMigrated)]);
    assert!(acked(&mut server, 41, lost).is_empty(), "it has moved: nobody waits for this");
    assert_eq!(acked(&mut server, 60, Record::PathResponse), [completed(SynchronizedSymmetric)]);
}

#[test]
fn a_notice_acknowledged_when_its_move_is_over_makes_no_other_ready() {
    for (earlier, later) in [
        (MoveOrder::Explicit(target(2)), MoveOrder::SynchronizedSymmetric),
        (MoveOrder::SynchronizedSymmetric, MoveOrder::Explicit(target(3))),
        (MoveOrder::Explicit(target(2)), MoveOrder::Explicit(target(3))),
    ] {
        let (mut server, late) = preparing(earlier);
        relocate(&mut server, 10);
        acked(&mut server, 40, Record::PathResponse);
        assert!(acked(&mut server, 50, late).is_empty(), "no order");
        assert_eq!(prepare(&mut server, 60, later), Ok(vec![]));
        assert!(acked(&mut server, 70, late).is_empty(), "another order");
        let record = notice(&mut server);
        assert!(acked(&mut server, 80, record).contains(&ready(later.strategy())));
    }
}

#[test]
fn server_migrated_of_an_earlier_move_is_not_taken_for_that_of_a_later_one() {
    let mut server = server(&[Symmetric]);
    relocate(&mut server, 0);
    let first = migrated(&mut server);
    relocate(&mut server, 100);
    assert!(acked(&mut server, 120, first).is_empty());
    let second = migrated(&mut server);
    assert_eq!(acked(&mut server, 140, second), [acknowledged(FrameKind::ServerMigrated)]);
}

#[test]
fn what_was_not_agreed_on_is_never_said_so_nobody_acknowledges_it() {
    let orders = [
        MoveOrder::Explicit(target(2)),
        MoveOrder::Pool,
        MoveOrder::Symmetric,
        MoveOrder::SynchronizedSymmetric,
    ];
    for agreed in [Explicit, Pooled, Symmetric, SynchronizedSymmetric] {
        let pool: &[MigrationTarget] = if agreed == Pooled { &[] } else { &[target(2)] };
        for order in orders.into_iter().filter(|order| order.strategy() != agreed) {
            let mut server = server_with(&[agreed], pool);
            assert_eq!(prepare(&mut server, 0, order), Err(MigrationError::NotAgreed));
            assert_eq!(written(&mut server), [], "{agreed:?}, {order:?}");
        }
    }
}

#[test]
fn a_pool_is_told_only_if_it_was_agreed_on() {
    for (agreed, told) in [(Pooled, 2), (Explicit, 0), (Symmetric, 0)] {
        let mut server = server_with(&[agreed], &[target(2), target(3)]);
        assert_eq!(written(&mut server).len(), told, "{agreed:?}");
    }
}
