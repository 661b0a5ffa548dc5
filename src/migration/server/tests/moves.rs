//! What a server says when it has moved, who moves along, and when the move is over (server-migration rules, 3.1, 3.4,
//! 4.5 and 4.8).

use super::*;

#[test]
fn symmetric_says_that_it_moved_and_explicit_does_not() {
    let mut symmetric = server(&[Symmetric]);
    relocate(&mut symmetric, 0);
    assert!(symmetric.announces() && symmetric.data_left() == Some(0));
    assert!(matches!(written(&mut symmetric)[..], [Record::ServerMigrated { .. }]));
    let mut explicit = server(&[Explicit]);
    prepare(&mut explicit, 0, MoveOrder::Explicit(target(2))).unwrap();
    relocate(&mut explicit, 10);
    assert!(explicit.announces());
    assert!(written(&mut explicit).is_empty(), "not even the notice that was due");
}

#[test]
fn after_the_move_the_symmetric_strategies_say_that_it_happened_and_those_that_name_targets_say_nothing() {
    let says = |order: MoveOrder, pool: &[MigrationTarget]| {
        let mut server = server_with(&[order.strategy()], pool);
        written(&mut server);
        (0..pool.len() as u16)
            .for_each(|member| drop(acked(&mut server, 1, Record::PoolMigrationAddress { member })));
        prepare(&mut server, 2, order).unwrap();
        relocate(&mut server, 10);
        assert!(server.announces() && server.is_busy(), "{order:?}");
        matches!(written(&mut server)[..], [Record::ServerMigrated { .. }])
    };
    assert!(says(MoveOrder::Symmetric, &[]) && says(MoveOrder::SynchronizedSymmetric, &[]));
    assert!(!says(MoveOrder::Explicit(target(2)), &[]) && !says(MoveOrder::Pool, &[target(2), target(3)]));
}

#[test]
fn an_answered_challenge_ends_the_move() {
    let mut server = server(&[Symmetric]);
    relocate(&mut server, 0);
    step(&mut server, 0, ServerInput::Announced);
    step(&mut server, 20, ServerInput::Challenged);
    step(&mut server, 40, ServerInput::AckedAfterSwitch);
    assert_eq!(acked(&mut server, 40, Record::PathResponse), [completed(Symmetric)]);
    assert!(!server.is_busy());
}

#[test]
fn an_answered_challenge_before_the_move_ends_nothing() {
    let mut server = server(&[Symmetric]);
    prepare(&mut server, 0, MoveOrder::Symmetric).unwrap();
    assert!(acked(&mut server, 5, Record::PathResponse).is_empty());
    assert!(server.is_busy());
}

#[test]
fn a_move_that_the_client_cannot_see_ends_three_pto_after_it_was_heard_with_a_last_question() {
    let mut server = server(&[Symmetric]);
    relocate(&mut server, 0);
    step(&mut server, 0, ServerInput::Announced);
    step(&mut server, 40, ServerInput::AckedAfterSwitch);
    assert!(step(&mut server, 339, ServerInput::Due).is_empty());
    // Should the client see the move after all, and have asked in vain, it hears of it once more.
    assert_eq!(step(&mut server, 340, ServerInput::Due), [completed(Symmetric), Action::Ask]);
}

#[test]
fn from_the_third_announcement_on_a_client_that_says_nothing_is_prompted() {
    let mut server = server(&[Explicit]);
    prepare(&mut server, 0, MoveOrder::Explicit(target(2))).unwrap();
    relocate(&mut server, 0);
    let mut prompts = Vec::new();
    for _ in 0..4 {
        let now = server.due(&facts()).map_or(0, |due| due.as_micros() / 1000);
        prompts.push(step(&mut server, now, ServerInput::Due).contains(&Action::Prompt));
        step(&mut server, now, ServerInput::Announced);
    }
    assert_eq!(prompts, [false, false, true, true]);
    step(&mut server, 2000, ServerInput::Challenged);
    assert!(step(&mut server, 3000, ServerInput::Due).is_empty());
}

#[test]
fn a_move_that_the_client_asks_about_ends_when_it_has_its_answer_and_it_is_asked_until_then() {
    let mut server = server(&[Symmetric]);
    relocate(&mut server, 0);
    step(&mut server, 0, ServerInput::Announced);
    step(&mut server, 40, ServerInput::Challenged);
    step(&mut server, 40, ServerInput::AckedAfterSwitch);
    for now in [340, 440, 640, 1040] {
        assert_eq!(step(&mut server, now, ServerInput::Due), [Action::Ask], "{now}");
    }
    assert_eq!(acked(&mut server, 1100, Record::PathResponse), [completed(Symmetric)]);
}

/// A server that has moved by this order, of which its client saw nothing, or has its answer, of which nothing is heard.
fn moved_in_silence(order: MoveOrder, asked: bool) -> Server {
    let mut server = server(&[Explicit, Symmetric, SynchronizedSymmetric]);
    prepare(&mut server, 0, order).unwrap();
    written(&mut server);
    relocate(&mut server, 10);
    step(&mut server, 10, ServerInput::Announced);
    if asked {
        step(&mut server, 20, ServerInput::Challenged);
    }
    step(&mut server, 40, ServerInput::AckedAfterSwitch);
    let mut over = 340;
    if asked {
        assert_eq!(step(&mut server, 340, ServerInput::Due), [Action::Ask]);
        step(&mut server, 360, ServerInput::Arrived { says_more: false });
        over = 660;
    }
    assert_eq!(step(&mut server, over, ServerInput::Due), [completed(order.strategy()), Action::Ask]);
    server
}

#[test]
fn a_move_that_the_client_was_told_of_and_cannot_see_binds_the_next_order() {
    let mut explicit = moved_in_silence(MoveOrder::Explicit(target(2)), false);
    let bound = Err(MigrationError::Bound { to: Binding::SameTarget });
    assert_eq!(prepare(&mut explicit, 400, MoveOrder::Explicit(target(3))), bound);
    assert_eq!(prepare(&mut explicit, 400, MoveOrder::Explicit(target(2))), Ok(vec![ready(Explicit)]));
    let mut synchronized = moved_in_silence(MoveOrder::SynchronizedSymmetric, false);
    let bound = Err(MigrationError::Bound { to: Binding::SynchronizedOrSymmetric });
    assert_eq!(prepare(&mut synchronized, 400, MoveOrder::Explicit(target(3))), bound);
    let mut symmetric = moved_in_silence(MoveOrder::Symmetric, false);
    assert_eq!(prepare(&mut symmetric, 400, MoveOrder::Explicit(target(3))), Ok(vec![]));
}

#[test]
fn a_move_that_the_client_has_asked_about_binds_nothing_though_the_answer_was_lost() {
    for order in [MoveOrder::Explicit(target(2)), MoveOrder::SynchronizedSymmetric] {
        let mut server = moved_in_silence(order, true);
        assert_eq!(prepare(&mut server, 700, MoveOrder::Explicit(target(3))), Ok(vec![]), "{order:?}");
    }
}

#[test]
fn a_client_that_may_know_of_a_pool_is_not_told_that_we_migrated() {
    let mut server = server_with(&[Pooled, Symmetric], &[target(2), target(3)]);
    relocate(&mut server, 0);
    assert!(server.announces());
    assert!(written(&mut server).is_empty(), "a PING says it");
}

#[test]
fn a_client_that_has_its_answer_after_the_move_was_over_is_free_to_be_told_of_another() {
    let mut unnoticed = moved_in_silence(MoveOrder::SynchronizedSymmetric, false);
    assert_eq!(acked(&mut unnoticed, 350, Record::PathResponse), []);
    assert_eq!(prepare(&mut unnoticed, 400, MoveOrder::Explicit(target(3))), Ok(vec![]));
    // One that was told of a move that never came looks for it still, whatever else it asks.
    let mut cancelled = server(&[Explicit, SynchronizedSymmetric]);
    prepare(&mut cancelled, 0, MoveOrder::SynchronizedSymmetric).unwrap();
    written(&mut cancelled);
    cancelled.cancel(at(10)).unwrap();
    assert_eq!(acked(&mut cancelled, 20, Record::PathResponse), []);
    let bound = Err(MigrationError::Bound { to: Binding::SynchronizedOrSymmetric });
    assert_eq!(prepare(&mut cancelled, 30, MoveOrder::Explicit(target(3))), bound);
}

#[test]
fn a_lost_server_migrated_is_said_again_by_the_clock_alone_and_never_once_the_client_was_heard() {
    let mut server = server(&[Symmetric]);
    relocate(&mut server, 0);
    let [record] = written(&mut server)[..] else { panic!("one frame") };
    step(&mut server, 0, ServerInput::Announced);
    step(&mut server, 50, ServerInput::Lost(record));
    assert_eq!(written(&mut server), [], "its loss alone brings nothing");
    step(&mut server, 100, ServerInput::Due);
    assert!(matches!(written(&mut server)[..], [Record::ServerMigrated { .. }]));
    step(&mut server, 120, ServerInput::AckedAfterSwitch);
    step(&mut server, 130, ServerInput::Lost(record));
    assert_eq!(written(&mut server), []);
}

#[test]
fn a_pool_outlives_its_moves_and_is_not_told_again() {
    let mut server = server_with(&[Pooled], &[target(2), target(3)]);
    assert_eq!(written(&mut server).len(), 2);
    for member in [0, 1] {
        acked(&mut server, 5, Record::PoolMigrationAddress { member });
    }
    for now in [10, 20] {
        assert_eq!(prepare(&mut server, now, MoveOrder::Pool), Ok(vec![ready(Pooled)]));
        relocate(&mut server, now + 1);
        assert_eq!(acked(&mut server, now + 5, Record::PathResponse), [completed(Pooled)]);
        assert_eq!(written(&mut server), []);
    }
}

#[test]
fn an_announcement_waits_for_its_turn_and_data_with_it() {
    let mut server = server(&[Symmetric]);
    step(&mut server, 0, ServerInput::Relocated { announce_at: at(50) });
    assert!(!server.announces() && server.data_left() == Some(0));
    assert_eq!(server.due(&facts()), Some(at(50)));
    step(&mut server, 50, ServerInput::Due);
    assert!(server.announces());
}

#[test]
fn without_an_order_a_connection_follows_by_its_pool_or_by_symmetric() {
    let mut pooled = server_with(&[Pooled, Symmetric], &[target(2), target(3)]);
    assert_eq!(pooled.would_move(), Some(MoveOrder::Symmetric), "the client may know of no pool");
    acked(&mut pooled, 5, Record::PoolMigrationAddress { member: 0 });
    assert_eq!(pooled.would_move(), Some(MoveOrder::Pool));
    assert_eq!(server(&[Symmetric]).would_move(), Some(MoveOrder::Symmetric));
    assert_eq!(server(&[Explicit, SynchronizedSymmetric]).would_move(), None);
}

#[test]
fn a_connection_bound_to_an_explicit_move_stays_behind() {
    let mut server = server(&[Explicit, Symmetric]);
    prepare(&mut server, 0, MoveOrder::Explicit(target(2))).unwrap();
    server.cancel(at(1)).unwrap();
    assert_eq!(server.would_move(), None);
}

#[test]
fn a_pool_address_that_was_not_acknowledged_is_not_sent_after_the_move() {
    let mut server = server_with(&[Pooled], &[target(2), target(3)]);
    acked(&mut server, 5, Record::PoolMigrationAddress { member: 0 });
    relocate(&mut server, 10);
    step(&mut server, 20, ServerInput::Lost(Record::PoolMigrationAddress { member: 1 }));
    assert!(written(&mut server).is_empty());
}

#[test]
fn a_freeze_of_ten_minutes_does_not_end_readiness() {
    let mut server = server(&[Symmetric]);
    prepare(&mut server, 0, MoveOrder::Symmetric).unwrap();
    assert!(server.held_until(at(600_000)).is_some_and(|at| at > Instant::from_millis(600_000)));
    assert!(step(&mut server, 600_000, ServerInput::Due).is_empty());
    relocate(&mut server, 600_001);
    assert!(server.has_moved());
}

#[test]
fn thirty_attended_seconds_of_readiness_without_a_move_fail() {
    let mut server = server(&[Symmetric]);
    prepare(&mut server, 0, MoveOrder::Symmetric).unwrap();
    let mut end = None;
    while let Some(due) = server.due(&facts()) {
        if step(&mut server, due.as_micros() / 1000, ServerInput::Due) == [failed(Symmetric)] {
            end = Some(due);
        }
    }
    assert_eq!(end, Some(at(30_000)));
}

#[test]
fn a_move_that_nobody_follows_fails_at_the_deadline_counted_anew_while_it_is_watched() {
    let mut server = server(&[Symmetric]);
    relocate(&mut server, 1_000);
    step(&mut server, 1_000, ServerInput::Announced);
    step(&mut server, 601_000, ServerInput::Due);
    assert!(server.has_moved(), "a gap of ten minutes counts as a second");
    let mut end = None;
    while let Some(due) = server.due(&facts()) {
        let actions = step(&mut server, due.as_micros() / 1000, ServerInput::Due);
        step(&mut server, due.as_micros() / 1000, ServerInput::Announced);
        if actions == [failed(Symmetric)] {
            end = Some(due);
            break;
        }
    }
    assert_eq!(end, Some(at(630_000)));
}

#[test]
fn the_idle_timer_is_held_from_readiness_until_the_client_is_heard() {
    let mut server = server(&[Symmetric]);
    assert_eq!(server.held_until(at(0)), None);
    prepare(&mut server, 0, MoveOrder::Symmetric).unwrap();
    assert!(server.held_until(at(0)).is_some());
    relocate(&mut server, 1);
    assert!(server.held_until(at(1)).is_some() && server.hurries());
    step(&mut server, 30, ServerInput::AckedAfterSwitch);
    assert_eq!(server.held_until(at(30)), None);
    assert!(!server.hurries());
}
