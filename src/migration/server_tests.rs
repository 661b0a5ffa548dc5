use proptest::prelude::*;

use super::*;
use crate::id::ConnectionId;
use crate::negotiation::Strategy::{self, Explicit, Pool as Pooled, Symmetric, SynchronizedSymmetric};
use crate::negotiation::{StrategySet, select};
use crate::packet::{Allowance, DatagramWriter, Header};

const PTO: Duration = Duration::from_millis(100);
const DEADLINE: Duration = Duration::from_secs(30);

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn target(last: u8) -> MigrationTarget {
    MigrationTarget::single(std::net::SocketAddr::from(([10, 0, 0, last], 443))).expect("a whole endpoint")
}

fn facts() -> Facts {
    Facts {
        home: std::net::SocketAddr::from(([10, 9, 9, 9], 4000)),
        pto: PTO,
        patience: Duration::from_secs(3),
        spare_ids: 2,
        quiet: true,
        receiving: false,
        former: None,
    }
}

fn server_with(strategies: &[Strategy], pool: &[MigrationTarget]) -> Server {
    let set: StrategySet = strategies.iter().copied().collect();
    let agreement = select(Some(set), Some(set.into())).expect("a sound offer").expect("both take part");
    let mut server = Server::new(at(0), agreement, pool, DEADLINE);
    assert!(step(&mut server, 0, ServerInput::Acked(Record::HandshakeDone)).is_empty());
    server
}

#[test]
fn a_client_that_may_not_have_confirmed_the_handshake_is_waited_for() {
    let set: StrategySet = [Symmetric].into_iter().collect();
    let agreement = select(Some(set), Some(set.into())).expect("a sound offer").expect("both take part");
    let mut server = Server::new(at(0), agreement, &[], DEADLINE);
    assert_eq!(prepare(&mut server, 0, MoveOrder::Symmetric), Ok(vec![]));
    let ready = Action::Emit(MigrationEvent::Ready { strategy: Symmetric });
    assert_eq!(step(&mut server, 40, ServerInput::Acked(Record::HandshakeDone)), [ready]);
}

fn server(strategies: &[Strategy]) -> Server {
    server_with(strategies, &[])
}

/// The records of what the server writes now.
fn written(server: &mut Server) -> Vec<Record> {
    let (mut buf, mut records) = ([0; 1200], Vec::new());
    let mut datagram = DatagramWriter::new(&mut buf, &mut records);
    let header = Header::Short { dcid: ConnectionId::EMPTY };
    let mut packet = datagram.begin(&header, 0, None, Allowance::Full).expect("1200 bytes hold a packet");
    server.write(&mut packet);
    let draft = packet.finish();
    datagram.keep(draft);
    records
}

fn prepare(server: &mut Server, now: u64, order: MoveOrder) -> Result<Vec<Action>, MigrationError> {
    server.prepare(at(now), order, &facts()).map(|actions| actions.to_vec())
}

fn step(server: &mut Server, now: u64, input: ServerInput) -> Vec<Action> {
    server.step(at(now), input, &facts()).to_vec()
}

fn relocate(server: &mut Server, now: u64) {
    step(server, now, ServerInput::Relocated { announce_at: at(now) });
}

fn acked(server: &mut Server, now: u64, record: Record) -> Vec<Action> {
    step(server, now, ServerInput::Acked(record))
}

fn ready(strategy: Strategy) -> Action {
    Action::Emit(MigrationEvent::Ready { strategy })
}

fn completed(strategy: Strategy) -> Action {
    Action::Emit(MigrationEvent::Completed { strategy, address: None })
}

fn failed(strategy: Strategy) -> Action {
    Action::Emit(MigrationEvent::Failed { strategy, reason: MigrationError::Deadline })
}

fn acknowledged(kind: FrameKind) -> Action {
    Action::Emit(MigrationEvent::FrameAcknowledged { kind })
}

/// The notice that the server writes now, which must be one.
fn notice(server: &mut Server) -> Record {
    let records = written(server);
    assert!(matches!(records[..], [Record::ServerMigration { .. }]), "{records:?}");
    records[0]
}

// ---- orders ---------------------------------------------------------------------------------------------

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

// ---- 3.1, 3.4: the announcement and the end -----------------------------------------------------------------

#[test]
fn symmetric_says_that_it_moved_and_explicit_does_not() {
    let mut symmetric = server(&[Symmetric]);
    relocate(&mut symmetric, 0);
    assert!(symmetric.announces() && symmetric.holds_data());
    assert!(matches!(written(&mut symmetric)[..], [Record::ServerMigrated { .. }]));
    let mut explicit = server(&[Explicit]);
    prepare(&mut explicit, 0, MoveOrder::Explicit(target(2))).unwrap();
    relocate(&mut explicit, 10);
    assert!(explicit.announces());
    assert!(written(&mut explicit).is_empty(), "not even the notice that was due");
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
fn a_move_that_the_client_cannot_see_ends_three_pto_after_it_was_heard() {
    let mut server = server(&[Symmetric]);
    relocate(&mut server, 0);
    step(&mut server, 0, ServerInput::Announced);
    step(&mut server, 40, ServerInput::AckedAfterSwitch);
    assert!(step(&mut server, 339, ServerInput::Due).is_empty());
    assert_eq!(step(&mut server, 340, ServerInput::Due), [completed(Symmetric)]);
}

#[test]
fn acknowledgements_of_an_earlier_migration_are_ignored() {
    let mut server = server(&[Symmetric]);
    relocate(&mut server, 0);
    let [first] = written(&mut server)[..] else { panic!("one frame") };
    relocate(&mut server, 100);
    assert!(acked(&mut server, 120, first).is_empty());
    let [second] = written(&mut server)[..] else { panic!("one frame") };
    assert_eq!(acked(&mut server, 140, second), [acknowledged(FrameKind::ServerMigrated)]);
}

#[test]
fn an_announcement_waits_for_its_turn_and_data_with_it() {
    let mut server = server(&[Symmetric]);
    step(&mut server, 0, ServerInput::Relocated { announce_at: at(50) });
    assert!(!server.announces() && server.holds_data());
    assert_eq!(server.due(&facts()), Some(at(50)));
    step(&mut server, 50, ServerInput::Due);
    assert!(server.announces());
}

// ---- 3.5: cancelling ------------------------------------------------------------------------------------

#[test]
fn a_cancelled_explicit_order_permits_the_same_target_only_though_it_was_never_acknowledged() {
    let mut server = server(&[Explicit, Symmetric]);
    prepare(&mut server, 0, MoveOrder::Explicit(target(2))).unwrap();
    assert_eq!(server.cancel(at(1)), Ok(()));
    let bound = Err(MigrationError::Bound { to: Binding::SameTarget });
    assert_eq!(prepare(&mut server, 2, MoveOrder::Explicit(target(3))), bound);
    assert_eq!(prepare(&mut server, 2, MoveOrder::Symmetric), bound);
    assert_eq!(prepare(&mut server, 2, MoveOrder::Explicit(target(2))), Ok(vec![]));
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

// ---- 3.6: waiting ---------------------------------------------------------------------------------------

fn asked_at(server: &mut Server, end: u64) -> Vec<u64> {
    let mut times = Vec::new();
    while let Some(due) = server.due(&facts()).filter(|due| *due <= at(end)) {
        let now = due.as_micros() / 1000;
        if step(server, now, ServerInput::Due).contains(&Action::Ask) {
            times.push(now);
            step(server, now, ServerInput::Arrived { ack_eliciting: false });
        }
    }
    times
}

#[test]
fn a_silent_client_is_asked_while_it_is_told_ever_more_rarely() {
    let mut server = server(&[Explicit]);
    prepare(&mut server, 0, MoveOrder::Explicit(target(2))).unwrap();
    assert_eq!(asked_at(&mut server, 8000), [500, 1500, 3500, 5500, 7500]);
}

#[test]
fn after_a_cancel_it_is_asked_every_five_seconds_at_last() {
    let mut server = server(&[Explicit]);
    prepare(&mut server, 0, MoveOrder::Explicit(target(2))).unwrap();
    server.cancel(at(0)).unwrap();
    assert_eq!(asked_at(&mut server, 18_000), [500, 1500, 3500, 7500, 12_500, 17_500]);
}

#[test]
fn nobody_is_asked_for_a_symmetric_order() {
    let mut server = server(&[Symmetric]);
    prepare(&mut server, 0, MoveOrder::Symmetric).unwrap();
    assert!(asked_at(&mut server, 8000).is_empty());
}

// ---- 4.5, 4.8: the endpoint's moves -------------------------------------------------------------------------

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

// ---- whatever comes -----------------------------------------------------------------------------------------

proptest! {
    /// Nothing completes that did not move, nothing is ready that was not ordered, and time only goes forward.
    #[test]
    fn a_server_completes_only_what_moved(steps in proptest::collection::vec((0u64..3000, 0u8..14, 0u32..4), 1..80)) {
        let mut server = server_with(&[Explicit, Symmetric, SynchronizedSymmetric], &[]);
        let mut now = 0;
        for (wait, what, number) in steps {
            now += wait;
            let had_moved = server.has_moved();
            let input = match what {
                0 => { let _ = prepare(&mut server, now, MoveOrder::Explicit(target(2))); continue }
                1 => { let _ = prepare(&mut server, now, MoveOrder::SynchronizedSymmetric); continue }
                2 => { let _ = prepare(&mut server, now, MoveOrder::Symmetric); continue }
                3 => { let _ = server.cancel(at(now)); continue }
                4 => { let _ = written(&mut server); continue }
                5 => ServerInput::Relocated { announce_at: at(now + u64::from(number)) },
                6 => ServerInput::Acked(Record::ServerMigration { migration: number }),
                7 => ServerInput::Lost(Record::ServerMigration { migration: number }),
                8 => ServerInput::Acked(Record::PathResponse),
                9 => ServerInput::AckedAfterSwitch,
                10 => ServerInput::Arrived { ack_eliciting: number > 1 },
                11 => ServerInput::Challenged,
                12 => ServerInput::Announced,
                _ => ServerInput::Due,
            };
            for action in step(&mut server, now, input) {
                match action {
                    Action::Emit(MigrationEvent::Completed { .. }) => prop_assert!(had_moved),
                    Action::Emit(MigrationEvent::Ready { .. }) => prop_assert!(server.is_busy() && !had_moved),
                    Action::Emit(_) | Action::Ask => {}
                    other => prop_assert!(false, "a server does not {:?}", other),
                }
            }
            step(&mut server, now, ServerInput::Due);
            prop_assert!(server.due(&facts()).is_none_or(|due| due > at(now)));
        }
    }
}
