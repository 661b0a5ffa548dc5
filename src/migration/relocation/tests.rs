//! Readiness that no single connection can hold up, a move that is accounted for once, and the clock between
//! the two (server-migration rules, 4).

use super::*;

mod any_order;

const A: ConnectionHandle = ConnectionHandle { slot: 0, generation: 0 };
const B: ConnectionHandle = ConnectionHandle { slot: 1, generation: 0 };
const C: ConnectionHandle = ConnectionHandle { slot: 2, generation: 0 };
const D: ConnectionHandle = ConnectionHandle { slot: 3, generation: 0 };

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// A plan for `orders`, all Symmetric, that closes `leaving`; 30 s from readiness to the move.
fn plan(orders: &[ConnectionHandle], leaving: &[ConnectionHandle], terms: Terms) -> Input {
    Input::Plan(CheckedPlan {
        orders: orders.iter().map(|&handle| (handle, MoveOrder::Symmetric)).collect(),
        leaving: leaving.iter().copied().collect(),
        terms,
        migration_deadline: Duration::from_secs(30),
    })
}

fn relocated(participants: &[ConnectionHandle], bystanders: &[ConnectionHandle]) -> Input {
    Input::Relocated {
        participants: participants.iter().copied().collect(),
        bystanders: bystanders.iter().copied().collect(),
    }
}

fn prepare(handle: ConnectionHandle) -> Action {
    Action::Prepare(handle, MoveOrder::Symmetric)
}

fn ready(prepared: usize, closed: usize) -> Action {
    Action::Emit(RelocationEvent::Ready { prepared, closed })
}

fn settled(moved: usize, lost: usize) -> Action {
    Action::Emit(RelocationEvent::Settled { moved, lost })
}

/// What the machine answers to an input that it must take.
fn step(relocation: &mut Relocation, now: Instant, input: Input) -> Vec<Action> {
    relocation.step(now, input).unwrap().into_iter().collect()
}

fn report(relocation: &mut Relocation, handle: ConnectionHandle, report: Report) -> Vec<Action> {
    step(relocation, at(0), Input::Connection(handle, report))
}

/// A plan for these connections was just made.
fn preparing(orders: &[ConnectionHandle], terms: Terms) -> Relocation {
    let mut relocation = Relocation::default();
    let expected: Vec<_> = orders.iter().copied().map(prepare).collect();
    assert_eq!(step(&mut relocation, at(0), plan(orders, &[], terms)), expected);
    relocation
}

/// A plan for A and B is ready since time zero.
fn prepared() -> Relocation {
    let mut relocation = preparing(&[A, B], Terms::default());
    assert_eq!(report(&mut relocation, A, Report::Ready), []);
    assert_eq!(report(&mut relocation, B, Report::Ready), [ready(2, 0)]);
    relocation
}

/// A server with A and B has moved, with or without notice.
fn settling() -> Relocation {
    let mut relocation = Relocation::default();
    assert_eq!(step(&mut relocation, at(0), relocated(&[A, B], &[])), []);
    relocation
}

// 4.1: a plan.

#[test]
fn a_plan_closes_those_that_do_not_come_and_then_orders_the_others() {
    let mut relocation = Relocation::default();
    let actions = step(&mut relocation, at(0), plan(&[C, A], &[D, B], Terms::default()));
    assert_eq!(actions, [Action::Close(B), Action::Close(D), prepare(A), prepare(C)]);
}

#[test]
fn a_connection_that_refuses_its_order_is_closed() {
    let mut relocation = preparing(&[A, B], Terms::default());
    assert_eq!(report(&mut relocation, A, Report::Failed), [Action::Close(A)]);
    assert_eq!(report(&mut relocation, B, Report::Ready), [ready(1, 1)]);
}

#[test]
fn a_connection_that_refuses_its_order_may_be_kept_and_counts_as_neither() {
    let mut relocation = preparing(&[A, B], Terms { keep_unfit: true, ..Terms::default() });
    assert_eq!(report(&mut relocation, A, Report::Failed), []);
    assert_eq!(report(&mut relocation, B, Report::Ready), [ready(1, 0)]);
}

#[test]
fn a_connection_that_fails_after_it_was_ready_lives_on_without_a_part_in_the_plan() {
    let mut relocation = preparing(&[A, B], Terms::default());
    report(&mut relocation, A, Report::Ready);
    assert_eq!(report(&mut relocation, A, Report::Failed), []);
    assert_eq!(report(&mut relocation, B, Report::Ready), [ready(1, 0)]);
}

#[test]
fn a_connection_both_ordered_and_leaving_is_not_closed() {
    let mut relocation = Relocation::default();
    assert_eq!(step(&mut relocation, at(0), plan(&[A], &[A], Terms::default())), [prepare(A)]);
}

#[test]
fn a_second_plan_is_refused_until_the_first_is_carried_out_or_cancelled() {
    for mut relocation in [preparing(&[A], Terms::default()), prepared()] {
        let before = relocation.clone();
        let refused = relocation.step(at(1), plan(&[C], &[], Terms::default()));
        assert_eq!(refused, Err(RelocationError::Busy));
        assert_eq!(relocation, before);
        step(&mut relocation, at(1), Input::Cancel);
        assert_eq!(step(&mut relocation, at(1), plan(&[C], &[], Terms::default())), [prepare(C)]);
    }
}

#[test]
fn those_that_are_closed_are_told_what_the_plan_says() {
    let terms = Terms { code: VarInt::from_u32(7), reason: b"bye".to_vec(), ..Terms::default() };
    let relocation = preparing(&[A], terms);
    assert_eq!(relocation.farewell(), Some((VarInt::from_u32(7), &b"bye"[..])));
    assert_eq!(prepared().farewell(), Some((VarInt::ZERO, &b"server migrated"[..])));
    assert_eq!(settling().farewell(), None);
}

// 4.2: newcomers.

#[test]
fn no_handshake_is_begun_from_the_plan_to_the_move() {
    assert!(Relocation::default().admits());
    assert!(!preparing(&[A], Terms::default()).admits());
    assert!(!prepared().admits());
    assert!(settling().admits());
}

#[test]
fn a_cancel_admits_handshakes_again() {
    for mut relocation in [preparing(&[A], Terms::default()), prepared()] {
        step(&mut relocation, at(1), Input::Cancel);
        assert!(relocation.admits());
    }
}

#[test]
fn newcomers_are_met_with_silence_unless_the_plan_refuses_them() {
    assert!(!prepared().refuses());
    let mut relocation = preparing(&[A], Terms { refuse_initials: true, ..Terms::default() });
    assert!(relocation.refuses());
    report(&mut relocation, A, Report::Ready);
    assert!(relocation.refuses());
    step(&mut relocation, at(1), relocated(&[A], &[]));
    assert!(!relocation.refuses());
}

// 4.3: readiness.

#[test]
fn with_no_connections_readiness_comes_at_once() {
    let mut relocation = Relocation::default();
    assert_eq!(step(&mut relocation, at(0), plan(&[], &[], Terms::default())), [ready(0, 0)]);
    assert!(relocation.is_prepared());
}

#[test]
fn with_none_to_wait_for_readiness_comes_after_the_closes() {
    let mut relocation = Relocation::default();
    let actions = step(&mut relocation, at(0), plan(&[], &[A, B], Terms::default()));
    assert_eq!(actions, [Action::Close(A), Action::Close(B), ready(0, 2)]);
}

#[test]
fn readiness_comes_once_when_the_last_one_has_reported() {
    let mut relocation = preparing(&[A, B, C], Terms::default());
    assert_eq!(report(&mut relocation, A, Report::Ready), []);
    assert_eq!(report(&mut relocation, A, Report::Ready), []);
    assert_eq!(report(&mut relocation, B, Report::Failed), [Action::Close(B)]);
    assert!(!relocation.is_prepared());
    assert_eq!(report(&mut relocation, C, Report::Ready), [ready(2, 1)]);
    assert!(relocation.is_prepared());
    for late in [Report::Ready, Report::Failed, Report::Closed, Report::Done] {
        assert_eq!(report(&mut relocation, A, late), []);
    }
}

#[test]
fn readiness_does_not_wait_for_a_connection_that_died() {
    let mut relocation = preparing(&[A, B], Terms::default());
    assert_eq!(report(&mut relocation, B, Report::Ready), []);
    assert_eq!(report(&mut relocation, A, Report::Closed), [ready(1, 1)]);
}

#[test]
fn a_connection_that_dies_after_it_was_ready_is_not_reported_as_prepared() {
    let mut relocation = preparing(&[A, B], Terms::default());
    report(&mut relocation, A, Report::Ready);
    assert_eq!(report(&mut relocation, A, Report::Closed), []);
    assert_eq!(report(&mut relocation, B, Report::Ready), [ready(1, 1)]);
}

#[test]
fn readiness_does_not_wait_for_a_connection_that_moved_by_itself() {
    let mut relocation = preparing(&[A, B], Terms::default());
    report(&mut relocation, B, Report::Ready);
    assert_eq!(report(&mut relocation, A, Report::Done), [ready(1, 0)]);
}

#[test]
fn a_connection_closed_by_the_plan_is_counted_once_whatever_it_reports() {
    let mut relocation = Relocation::default();
    step(&mut relocation, at(0), plan(&[A], &[B], Terms::default()));
    assert_eq!(report(&mut relocation, B, Report::Closed), []);
    assert_eq!(report(&mut relocation, A, Report::Ready), [ready(1, 1)]);
}

#[test]
fn a_later_connection_in_the_same_slot_does_not_answer_for_the_one_waited_for() {
    let mut relocation = preparing(&[A], Terms::default());
    let later = ConnectionHandle { generation: 1, ..A };
    assert_eq!(report(&mut relocation, later, Report::Ready), []);
    assert!(!relocation.is_prepared());
}

#[test]
fn laggards_are_closed_at_the_plans_deadline_and_hold_nobody_up() {
    let mut relocation =
        preparing(&[A, B, C], Terms { deadline: Some(Duration::from_secs(2)), ..Terms::default() });
    assert_eq!(relocation.deadline(), Some(at(2000)));
    report(&mut relocation, B, Report::Ready);
    assert_eq!(step(&mut relocation, at(1999), Input::Deadline), []);
    let actions = step(&mut relocation, at(2000), Input::Deadline);
    assert_eq!(actions, [Action::Close(A), Action::Close(C), ready(1, 2)]);
}

#[test]
fn without_a_deadline_laggards_are_waited_for() {
    let mut relocation = preparing(&[A], Terms::default());
    assert_eq!(relocation.deadline(), None);
    assert_eq!(step(&mut relocation, Instant::FAR, Input::Deadline), []);
    assert!(!relocation.is_prepared());
}

// 3.5 and 4.2: a cancel.

#[test]
fn a_cancel_resumes_every_connection_with_an_order_ready_or_not() {
    let mut relocation = preparing(&[A, B, C, D], Terms { keep_unfit: true, ..Terms::default() });
    report(&mut relocation, C, Report::Ready);
    report(&mut relocation, A, Report::Closed);
    report(&mut relocation, D, Report::Failed);
    assert_eq!(step(&mut relocation, at(1), Input::Cancel), [Action::Resume(B), Action::Resume(C)]);
    assert_eq!(relocation, Relocation::default());
}

#[test]
fn a_cancel_after_readiness_resumes_those_that_live() {
    let mut relocation = prepared();
    report(&mut relocation, A, Report::Closed);
    assert_eq!(step(&mut relocation, at(1), Input::Cancel), [Action::Resume(B)]);
    assert_eq!(relocation, Relocation::default());
}

#[test]
fn nothing_can_be_cancelled_before_a_plan_or_after_the_move() {
    for mut relocation in [Relocation::default(), settling()] {
        let before = relocation.clone();
        assert_eq!(relocation.step(at(1), Input::Cancel), Err(RelocationError::NotPrepared));
        assert_eq!(relocation, before);
    }
}

// 4.4 and 4.5: the move.

#[test]
fn a_move_is_settled_once_when_every_participant_completed_failed_or_closed() {
    let mut relocation = prepared();
    assert_eq!(step(&mut relocation, at(1), relocated(&[A, B, C], &[])), []);
    assert_eq!(report(&mut relocation, A, Report::Done), []);
    assert_eq!(report(&mut relocation, B, Report::Failed), []);
    assert_eq!(report(&mut relocation, B, Report::Closed), []);
    assert_eq!(report(&mut relocation, C, Report::Closed), [settled(1, 2)]);
    assert_eq!(relocation, Relocation::default());
    for late in [Report::Ready, Report::Failed, Report::Closed, Report::Done] {
        assert_eq!(report(&mut relocation, A, late), []);
    }
}

#[test]
fn a_move_is_settled_at_once_when_nobody_moves() {
    for mut relocation in [Relocation::default(), preparing(&[A], Terms::default()), prepared()] {
        assert_eq!(step(&mut relocation, at(1), relocated(&[], &[C])), [settled(0, 0)]);
        assert_eq!(relocation, Relocation::default());
    }
}

#[test]
fn a_move_may_come_without_notice_before_readiness_or_after_it() {
    for mut relocation in [Relocation::default(), preparing(&[A, B], Terms::default()), prepared()] {
        assert_eq!(step(&mut relocation, at(1), relocated(&[A, B], &[])), []);
        report(&mut relocation, A, Report::Done);
        assert_eq!(report(&mut relocation, B, Report::Done), [settled(2, 0)]);
    }
}

#[test]
fn readiness_is_not_reported_after_the_move() {
    let mut relocation = preparing(&[A], Terms::default());
    step(&mut relocation, at(1), relocated(&[A], &[]));
    assert_eq!(report(&mut relocation, A, Report::Ready), []);
    assert_eq!(report(&mut relocation, A, Report::Done), [settled(1, 0)]);
}

#[test]
fn a_connection_left_as_it_is_counts_as_lost_when_it_ends_and_is_not_waited_for() {
    let mut relocation = Relocation::default();
    step(&mut relocation, at(0), relocated(&[A], &[B, C, D]));
    assert_eq!(report(&mut relocation, B, Report::Closed), []);
    assert_eq!(report(&mut relocation, B, Report::Closed), []);
    assert_eq!(report(&mut relocation, C, Report::Failed), []);
    assert_eq!(report(&mut relocation, A, Report::Done), [settled(1, 1)]);
}

#[test]
fn a_connection_accepted_after_the_move_is_no_part_of_the_account() {
    let mut relocation = settling();
    assert_eq!(report(&mut relocation, C, Report::Closed), []);
    report(&mut relocation, A, Report::Done);
    assert_eq!(report(&mut relocation, A, Report::Closed), [], "it had moved");
    assert_eq!(report(&mut relocation, B, Report::Done), [settled(2, 0)]);
}

#[test]
fn a_second_move_before_the_first_is_settled_gives_one_account_of_both() {
    let mut relocation = settling();
    report(&mut relocation, A, Report::Done);
    assert_eq!(step(&mut relocation, at(1), relocated(&[A, C], &[])), []);
    assert_eq!(report(&mut relocation, B, Report::Failed), []);
    assert_eq!(report(&mut relocation, C, Report::Done), []);
    assert_eq!(report(&mut relocation, A, Report::Done), [settled(2, 1)]);
}

#[test]
fn a_connection_that_failed_to_follow_once_and_lives_may_follow_the_second_move() {
    let mut relocation = settling();
    report(&mut relocation, A, Report::Failed);
    step(&mut relocation, at(1), relocated(&[A, B], &[]));
    report(&mut relocation, B, Report::Done);
    assert_eq!(report(&mut relocation, A, Report::Done), [settled(2, 0)]);
}

#[test]
fn a_connection_that_moved_once_and_is_then_left_behind_is_lost_once() {
    let mut relocation = settling();
    report(&mut relocation, A, Report::Done);
    step(&mut relocation, at(1), relocated(&[C], &[A]));
    assert_eq!(report(&mut relocation, A, Report::Closed), []);
    report(&mut relocation, B, Report::Done);
    assert_eq!(report(&mut relocation, C, Report::Done), [settled(2, 1)]);
}

#[test]
fn a_plan_made_before_the_last_move_is_settled_closes_its_account_first() {
    let mut relocation = settling();
    report(&mut relocation, A, Report::Done);
    let actions = step(&mut relocation, at(1), plan(&[A], &[B], Terms::default()));
    assert_eq!(actions, [settled(1, 1), Action::Close(B), prepare(A)]);
    assert_eq!(report(&mut relocation, A, Report::Ready), [ready(1, 1)]);
}

// 3.7: resets.

#[test]
fn no_reset_is_sent_from_readiness_until_all_is_settled() {
    let mut relocation = preparing(&[A], Terms::default());
    assert!(relocation.permits_resets());
    report(&mut relocation, A, Report::Ready);
    assert!(!relocation.permits_resets());
    step(&mut relocation, at(1), relocated(&[A], &[]));
    assert!(!relocation.permits_resets());
    report(&mut relocation, A, Report::Done);
    assert!(relocation.permits_resets());
}

#[test]
fn resets_are_sent_again_after_a_cancel() {
    let mut relocation = prepared();
    step(&mut relocation, at(1), Input::Cancel);
    assert!(relocation.permits_resets());
}

// 4.6: announcements.

#[test]
fn announcements_go_at_the_plans_rate_or_at_the_default_without_notice() {
    assert_eq!(preparing(&[A], Terms { announce_rate: 50, ..Terms::default() }).announce_rate(), 50);
    assert_eq!(prepared().announce_rate(), 20_000);
    assert_eq!(Relocation::default().announce_rate(), 20_000);
}

// 4.8: the clock.

/// Wakes the machine whenever it asks, up to `end`; the millisecond at which it stopped awaiting the move.
fn attend(relocation: &mut Relocation, end: Instant) -> Option<u64> {
    while let Some(wake) = relocation.deadline().filter(|wake| *wake <= end) {
        assert_eq!(step(relocation, wake, Input::Deadline), []);
        if !relocation.is_prepared() {
            return Some(wake.as_micros() / 1000);
        }
    }
    None
}

#[test]
fn a_plan_that_nobody_carries_out_is_over_at_the_migration_deadline_counted_from_readiness() {
    let mut relocation = preparing(&[A], Terms::default());
    step(&mut relocation, at(7_500), Input::Connection(A, Report::Ready));
    assert_eq!(attend(&mut relocation, at(100_000)), Some(37_500));
    assert_eq!(relocation, Relocation::default());
    assert!(relocation.admits());
}

#[test]
fn while_the_move_is_awaited_the_machine_asks_to_be_woken_every_second() {
    let mut relocation = prepared();
    assert_eq!(relocation.deadline(), Some(at(1000)));
    step(&mut relocation, at(1000), Input::Deadline);
    assert_eq!(relocation.deadline(), Some(at(2000)));
    step(&mut relocation, at(1200), Input::Connection(A, Report::Closed));
    assert_eq!(relocation.deadline(), Some(at(2200)));
}

#[test]
fn a_freeze_of_ten_minutes_counts_as_one_second() {
    let mut relocation = prepared();
    assert_eq!(attend(&mut relocation, at(5_000)), None);
    assert_eq!(step(&mut relocation, at(605_000), Input::Deadline), []);
    assert!(relocation.is_prepared());
    assert_eq!(attend(&mut relocation, at(1_000_000)), Some(605_000 + 24_000));
}

#[test]
fn a_report_after_a_freeze_counts_as_the_first_call() {
    let mut relocation = prepared();
    step(&mut relocation, at(600_000), Input::Connection(A, Report::Closed));
    assert_eq!(attend(&mut relocation, at(1_000_000)), Some(600_000 + 29_000));
}

#[test]
fn a_move_after_a_freeze_is_taken_whatever_the_clock_says() {
    let mut relocation = prepared();
    assert_eq!(step(&mut relocation, Instant::FAR, relocated(&[A, B], &[])), []);
    assert_eq!(relocation.deadline(), None);
}

#[test]
fn time_that_goes_backwards_gives_no_time_back() {
    let mut relocation = prepared();
    assert_eq!(attend(&mut relocation, at(10_000)), None);
    step(&mut relocation, at(0), Input::Deadline);
    assert_eq!(attend(&mut relocation, at(100_000)), Some(30_000));
}
