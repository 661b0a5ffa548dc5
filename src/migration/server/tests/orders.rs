//! Orders, readiness, and orders taken back (server-migration rules, 3.5 and 3.6).

use super::*;

#[test]
fn a_client_that_may_not_have_confirmed_the_handshake_is_waited_for() {
    let set: StrategySet = [Symmetric].into_iter().collect();
    let agreement = select(Some(set), Some(set.into())).expect("a sound offer").expect("both take part");
    let mut server = Server::new(at(0), agreement, &[], DEADLINE);
    assert_eq!(prepare(&mut server, 0, MoveOrder::Symmetric), Ok(vec![]));
    let ready = Action::Emit(MigrationEvent::Ready { strategy: Symmetric });
    assert_eq!(step(&mut server, 40, ServerInput::Acked(Record::HandshakeDone)), [ready]);
}

#[test]
fn a_symmetric_order_is_ready_at_once_and_says_nothing_beforehand() {
    let mut server = server(&[Symmetric]);
    assert_eq!(prepare(&mut server, 0, MoveOrder::Symmetric), Ok(vec![ready(Symmetric)]));
    assert!(written(&mut server).is_empty());
}

#[test]
fn an_explicit_order_is_ready_when_its_frame_is_acknowledged() {
    let mut server = server(&[Explicit]);
    assert_eq!(prepare(&mut server, 0, MoveOrder::Explicit(target(2))), Ok(vec![]));
    let record = notice(&mut server);
    assert!(written(&mut server).is_empty(), "it is said once");
    let expected = [acknowledged(FrameKind::ServerMigration), ready(Explicit)];
    assert_eq!(acked(&mut server, 20, record), expected);
}

#[test]
fn a_lost_announcement_is_said_again_before_the_move_and_never_after_it() {
    let mut server = server(&[SynchronizedSymmetric]);
    prepare(&mut server, 0, MoveOrder::SynchronizedSymmetric).unwrap();
    let record = notice(&mut server);
    step(&mut server, 50, ServerInput::Lost(record));
    let record = notice(&mut server);
    relocate(&mut server, 60);
    step(&mut server, 70, ServerInput::Lost(record));
    assert!(matches!(written(&mut server)[..], [Record::ServerMigrated { .. }]));
}

#[test]
fn a_synchronized_order_is_ready_when_its_frame_is_acknowledged() {
    let mut server = server(&[SynchronizedSymmetric]);
    assert_eq!(prepare(&mut server, 0, MoveOrder::SynchronizedSymmetric), Ok(vec![]));
    assert!(server.is_busy());
    let record = notice(&mut server);
    assert!(written(&mut server).is_empty(), "it is said once");
    let expected = [acknowledged(FrameKind::ServerMigration), ready(SynchronizedSymmetric)];
    assert_eq!(acked(&mut server, 20, record), expected);
}

#[test]
fn explicit_gives_notice_with_its_target_and_synchronized_symmetric_with_none() {
    assert_eq!(MoveOrder::Explicit(target(2)).notice(), Some(ServerMigration::MoveTo(target(2))));
    assert_eq!(MoveOrder::SynchronizedSymmetric.notice(), Some(ServerMigration::Announce));
    assert_eq!([MoveOrder::Pool.notice(), MoveOrder::Symmetric.notice()], [None, None]);
}

#[test]
fn a_pool_order_is_ready_at_once_when_the_whole_pool_is_known_and_says_nothing() {
    let mut server = server_with(&[Pooled], &[target(2), target(3), target(4)]);
    assert_eq!(written(&mut server).len(), 3);
    (0..3).for_each(|member| drop(acked(&mut server, 5, Record::PoolMigrationAddress { member })));
    assert_eq!(prepare(&mut server, 10, MoveOrder::Pool), Ok(vec![ready(Pooled)]));
    assert!(server.is_busy() && written(&mut server).is_empty());
}

#[test]
fn a_pool_order_waits_for_two_addresses_of_three() {
    let mut server = server_with(&[Pooled], &[target(2), target(3), target(4)]);
    written(&mut server);
    acked(&mut server, 5, Record::PoolMigrationAddress { member: 1 });
    assert_eq!(prepare(&mut server, 10, MoveOrder::Pool), Ok(vec![]));
    assert!(!acked(&mut server, 15, Record::PoolMigrationAddress { member: 2 }).contains(&ready(Pooled)));
    assert!(acked(&mut server, 20, Record::PoolMigrationAddress { member: 0 }).contains(&ready(Pooled)));
}

#[test]
fn a_pool_order_is_ready_when_the_last_address_is_acknowledged() {
    let mut server = server_with(&[Pooled], &[target(2), target(3)]);
    assert_eq!(written(&mut server).len(), 2);
    acked(&mut server, 5, Record::PoolMigrationAddress { member: 1 });
    assert_eq!(prepare(&mut server, 10, MoveOrder::Pool), Ok(vec![]));
    let told = Action::Emit(MigrationEvent::PoolAddress { target: target(2) });
    let actions = acked(&mut server, 20, Record::PoolMigrationAddress { member: 0 });
    assert_eq!(actions, [told, ready(Pooled)]);
}

#[test]
fn an_order_that_cannot_be_followed_is_refused_and_changes_nothing() {
    let mut none = server(&[Explicit]);
    assert_eq!(prepare(&mut none, 0, MoveOrder::Symmetric), Err(MigrationError::NotAgreed));
    let v6 = MigrationTarget::single("[fd00::1]:1".parse().expect("an address")).expect("whole");
    assert_eq!(prepare(&mut none, 0, MoveOrder::Explicit(v6)), Err(MigrationError::Target));
    assert_eq!(prepare(&mut none, 0, MoveOrder::Explicit(target(2))), Ok(vec![]));
    assert_eq!(prepare(&mut none, 0, MoveOrder::Explicit(target(2))), Err(MigrationError::Busy));
    let mut empty = server(&[Pooled]);
    assert_eq!(prepare(&mut empty, 0, MoveOrder::Pool), Err(MigrationError::EmptyPool));
    let mut pooled = server_with(&[Pooled, Explicit], &[target(2)]);
    assert_eq!(prepare(&mut pooled, 0, MoveOrder::Explicit(target(3))), Err(MigrationError::PoolOnly));
}

#[test]
fn a_cancelled_explicit_order_permits_the_same_target_only_though_it_was_never_acknowledged() {
    let mut server = server(&[Explicit, Symmetric, SynchronizedSymmetric]);
    prepare(&mut server, 0, MoveOrder::Explicit(target(2))).unwrap();
    assert_eq!(server.cancel(at(1)), Ok(()));
    let bound = Err(MigrationError::Bound { to: Binding::SameTarget });
    assert_eq!(prepare(&mut server, 2, MoveOrder::Explicit(target(3))), bound);
    assert_eq!(prepare(&mut server, 2, MoveOrder::Symmetric), bound);
    assert_eq!(prepare(&mut server, 2, MoveOrder::SynchronizedSymmetric), bound);
    assert_eq!(prepare(&mut server, 2, MoveOrder::Explicit(target(2))), Ok(vec![]));
}

#[test]
fn a_cancelled_symmetric_order_binds_nothing() {
    for next in [MoveOrder::Symmetric, MoveOrder::SynchronizedSymmetric, MoveOrder::Explicit(target(3))] {
        let mut server = server(&[Explicit, Symmetric, SynchronizedSymmetric]);
        prepare(&mut server, 0, MoveOrder::Symmetric).unwrap();
        assert_eq!(server.cancel(at(1)), Ok(()));
        assert_eq!(prepare(&mut server, 2, next).map(|_| ()), Ok(()), "{next:?}");
    }
}

#[test]
fn an_order_while_another_is_pending_ready_or_carried_out_is_refused_whatever_it_is() {
    let orders = [MoveOrder::Symmetric, MoveOrder::SynchronizedSymmetric, MoveOrder::Explicit(target(2))];
    for pending in orders {
        let mut server = server(&[Explicit, Symmetric, SynchronizedSymmetric]);
        prepare(&mut server, 0, pending).unwrap();
        let refused = |server: &mut Server| orders.map(|order| prepare(server, 5, order));
        assert_eq!(refused(&mut server), [const { Err(MigrationError::Busy) }; 3], "{pending:?}");
        relocate(&mut server, 10);
        assert_eq!(refused(&mut server), [const { Err(MigrationError::Busy) }; 3], "{pending:?}");
    }
}

#[test]
fn without_anything_in_common_every_order_is_refused_as_disabled() {
    let agreement = select(Some(Explicit.into()), Some(StrategySet::from(Symmetric).into()));
    let agreement = agreement.expect("a sound offer").expect("both take part");
    let mut server = Server::new(at(0), agreement, &[], DEADLINE);
    for order in [
        MoveOrder::Explicit(target(2)),
        MoveOrder::Pool,
        MoveOrder::Symmetric,
        MoveOrder::SynchronizedSymmetric,
    ] {
        assert_eq!(prepare(&mut server, 0, order), Err(MigrationError::Disabled), "{order:?}");
    }
}

#[test]
fn an_acknowledged_announcement_is_not_sent_again_after_a_cancel() {
    let mut server = server(&[Explicit]);
    prepare(&mut server, 0, MoveOrder::Explicit(target(2))).unwrap();
    let record = notice(&mut server);
    acked(&mut server, 5, record);
    server.cancel(at(6)).unwrap();
    assert_eq!(prepare(&mut server, 7, MoveOrder::Explicit(target(2))), Ok(vec![ready(Explicit)]));
    assert!(written(&mut server).is_empty());
}

#[test]
fn an_announcement_under_way_at_a_cancel_makes_the_next_order_ready() {
    let mut server = server(&[SynchronizedSymmetric]);
    prepare(&mut server, 0, MoveOrder::SynchronizedSymmetric).unwrap();
    let record = notice(&mut server);
    server.cancel(at(1)).unwrap();
    prepare(&mut server, 2, MoveOrder::SynchronizedSymmetric).unwrap();
    assert!(written(&mut server).is_empty(), "its one frame is under way");
    assert!(acked(&mut server, 5, record).contains(&ready(SynchronizedSymmetric)));
}

#[test]
fn an_announcement_lost_while_nothing_was_ordered_is_said_by_the_next_order() {
    let mut server = server(&[SynchronizedSymmetric]);
    prepare(&mut server, 0, MoveOrder::SynchronizedSymmetric).unwrap();
    let record = notice(&mut server);
    server.cancel(at(1)).unwrap();
    step(&mut server, 2, ServerInput::Lost(record));
    assert!(written(&mut server).is_empty(), "nothing is announced without an order");
    prepare(&mut server, 3, MoveOrder::SynchronizedSymmetric).unwrap();
    notice(&mut server);
}

#[test]
fn a_cancelled_synchronized_order_permits_itself_and_symmetric() {
    let mut server = server(&[SynchronizedSymmetric, Symmetric, Explicit]);
    prepare(&mut server, 0, MoveOrder::SynchronizedSymmetric).unwrap();
    server.cancel(at(1)).unwrap();
    let bound = Err(MigrationError::Bound { to: Binding::SynchronizedOrSymmetric });
    assert_eq!(prepare(&mut server, 2, MoveOrder::Explicit(target(2))), bound);
    assert_eq!(prepare(&mut server, 2, MoveOrder::Symmetric), Ok(vec![ready(Symmetric)]));
}

#[test]
fn nothing_is_cancelled_after_the_move_or_without_an_order() {
    let mut server = server(&[Symmetric]);
    assert_eq!(server.cancel(at(0)), Err(MigrationError::NotOrdered));
    prepare(&mut server, 0, MoveOrder::Symmetric).unwrap();
    relocate(&mut server, 1);
    assert_eq!(server.cancel(at(2)), Err(MigrationError::NotOrdered));
}

#[test]
fn a_completed_migration_unbinds() {
    let mut server = server(&[Explicit]);
    prepare(&mut server, 0, MoveOrder::Explicit(target(2))).unwrap();
    server.cancel(at(1)).unwrap();
    prepare(&mut server, 2, MoveOrder::Explicit(target(2))).unwrap();
    relocate(&mut server, 3);
    acked(&mut server, 20, Record::PathResponse);
    assert_eq!(prepare(&mut server, 30, MoveOrder::Explicit(target(3))), Ok(vec![]));
}
