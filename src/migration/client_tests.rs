use proptest::prelude::*;

use super::*;
use crate::error::Code;
use crate::frame::ServerMigration;
use crate::migration::Cycle;
use crate::negotiation::Strategy::{self, Explicit, Pool, Symmetric, SynchronizedSymmetric};
use crate::negotiation::{StrategySet, select};

const PTO: Duration = Duration::from_millis(100);

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 443))
}

fn target(last: u8) -> MigrationTarget {
    MigrationTarget::single(address(last)).expect("a whole endpoint")
}

fn of_the_other_family() -> MigrationTarget {
    MigrationTarget::single("[fd00::1]:443".parse().expect("an address")).expect("a whole endpoint")
}

/// Refuses what ends in 200 and above.
struct Below200;

impl AddressPolicy for Below200 {
    fn permits(&self, _: SocketAddr, target: SocketAddr) -> bool {
        match target {
            SocketAddr::V4(v4) => v4.ip().octets()[3] < 200,
            SocketAddr::V6(_) => true,
        }
    }
}

fn agreement(strategies: &[Strategy]) -> Agreement {
    let set: StrategySet = strategies.iter().copied().collect();
    select(Some(set), Some(set.into())).expect("a sound offer").expect("both take part")
}

/// A client whose server is at 10.0.0.1, and what the connection would keep of it.
struct Table {
    client: Client,
    facts: Facts,
}

fn client(strategies: &[Strategy], seek: SeekPolicy) -> Table {
    let settings = ClientSettings {
        seek,
        deadline: Duration::from_secs(30),
        pool_limit: 3,
        policy: Arc::new(Below200),
        scheduler: Box::new(Cycle::default()),
    };
    let facts = Facts {
        home: address(1),
        pto: PTO,
        patience: Duration::from_secs(3),
        spare_ids: 8,
        quiet: false,
        receiving: false,
        former: None,
    };
    Table { client: Client::new(at(0), agreement(strategies), settings), facts }
}

impl Table {
    fn step(&mut self, now: u64, input: ClientInput) -> Actions {
        let actions = self.client.step(at(now), input, &self.facts).expect("no fault");
        for action in &actions {
            match *action {
                Action::Adopt(to) => self.facts.former = Some(std::mem::replace(&mut self.facts.home, to)),
                Action::GoBack => self.facts.home = self.facts.former.take().expect("a former home"),
                _ => {}
            }
        }
        actions
    }

    fn hear(&mut self, now: u64, number: PacketNumber, last: u8, frame: Heard) -> Result<Actions, Code> {
        let input = ClientInput::Frame { number, from: address(last), frame };
        self.client.step(at(now), input, &self.facts).map_err(|fault| fault.code)
    }

    fn move_to(&mut self, now: u64, number: PacketNumber, last: u8) -> Result<Actions, Code> {
        self.hear(now, number, 1, Heard::Migration(ServerMigration::MoveTo(target(last))))
    }

    fn announce(&mut self, now: u64, number: PacketNumber) -> Result<Actions, Code> {
        self.hear(now, number, 1, Heard::Migration(ServerMigration::Announce))
    }

    fn pool(&mut self, now: u64, number: PacketNumber, last: u8) -> Result<Actions, Code> {
        self.hear(now, number, 1, Heard::Pool(Some(target(last))))
    }

    fn arrive(&mut self, now: u64, last: u8, number: PacketNumber) -> Actions {
        self.step(now, ClientInput::Arrived { from: address(last), number, ack_eliciting: true })
    }

    fn prove(&mut self, now: u64, last: u8, number: PacketNumber, padded: bool) -> Actions {
        self.step(now, ClientInput::Proved { address: address(last), padded, number })
    }
}

fn emit(event: MigrationEvent) -> Action {
    Action::Emit(event)
}

fn announced(strategy: Strategy) -> Action {
    emit(MigrationEvent::Announced { strategy })
}

fn completed(strategy: Strategy, last: u8) -> Action {
    emit(MigrationEvent::Completed { strategy, address: Some(address(last)) })
}

fn returned(last: u8) -> Action {
    emit(MigrationEvent::Returned { address: address(last) })
}

// ---- 2.1, 2.2: where candidates come from -------------------------------------------------------------

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

// ---- 2.3, 2.8: seeking --------------------------------------------------------------------------------

#[test]
fn a_reactive_client_seeks_at_a_probe_timeout() {
    let mut table = client(&[Explicit], SeekPolicy::Reactive);
    table.move_to(0, 1, 2).unwrap();
    assert!(table.step(5, ClientInput::AckSent).is_empty());
    let seeking = emit(MigrationEvent::Seeking { strategy: Explicit, address: address(2) });
    assert_eq!(table.step(100, ClientInput::LossTimeout)[..], [Action::Seek(address(2)), seeking]);
}

#[test]
fn a_proactive_client_seeks_when_the_announcement_is_acknowledged() {
    let mut table = client(&[Explicit], SeekPolicy::Proactive);
    table.move_to(0, 1, 2).unwrap();
    assert!(table.client.awaits_ack());
    assert!(table.step(5, ClientInput::AckSent).contains(&Action::Seek(address(2))));
    assert!(!table.client.awaits_ack());
}

#[test]
fn a_packet_from_an_announced_address_begins_the_search_without_waiting_for_silence() {
    let mut table = client(&[Explicit], SeekPolicy::Reactive);
    table.move_to(0, 1, 2).unwrap();
    let actions = table.arrive(10, 2, 2);
    assert!(actions.contains(&Action::Seek(address(2))));
    assert!(actions.contains(&emit(MigrationEvent::Seeking { strategy: Explicit, address: address(2) })));
}

#[test]
fn a_pool_is_sought_whole_in_each_round_and_home_never() {
    let mut table = client(&[Pool], SeekPolicy::Reactive);
    for (number, last) in [(1, 3), (2, 1), (3, 2)] {
        table.pool(0, number, last).unwrap();
    }
    let actions = table.step(100, ClientInput::LossTimeout);
    assert_eq!(actions[..2], [Action::Seek(address(2)), Action::Seek(address(3))]);
    assert!(!actions.contains(&Action::Seek(address(1))));
    let again = table.step(200, ClientInput::Due);
    assert_eq!(again[..], [Action::Seek(address(2)), Action::Seek(address(3))]);
}

#[test]
fn pool_addresses_beyond_the_limit_are_ignored_and_reported_once() {
    let mut table = client(&[Pool], SeekPolicy::Reactive);
    for last in [2, 3, 4] {
        table.pool(0, last.into(), last).unwrap();
    }
    let full = emit(MigrationEvent::PoolFull { target: target(5) });
    assert_eq!(table.pool(0, 9, 5).unwrap()[..], [full]);
    assert!(table.pool(0, 10, 5).unwrap().is_empty());
    assert!(!table.client.names(address(5)));
}

#[test]
fn home_is_asked_after_two_pto_of_silence_while_a_move_is_announced_ever_more_rarely() {
    let mut table = client(&[SynchronizedSymmetric], SeekPolicy::Reactive);
    table.announce(0, 1).unwrap();
    table.facts.quiet = true;
    let mut times = Vec::new();
    for _ in 0..5 {
        let due = table.client.due(&table.facts).expect("home is asked");
        assert!(table.step(due.as_micros() / 1000, ClientInput::Due).contains(&Action::Ask));
        times.push(due.as_micros() / 1000);
        let number = times.len() as u64 + 1;
        let now = due.as_micros() / 1000;
        table.step(now, ClientInput::Arrived { from: address(1), number, ack_eliciting: false });
    }
    assert_eq!(times, [200, 600, 1400, 2400, 3400]);
}

#[test]
fn an_announcement_older_than_the_deadline_is_asked_about_every_fifteen_seconds_at_most() {
    let mut table = client(&[SynchronizedSymmetric], SeekPolicy::Reactive);
    table.announce(0, 1).unwrap();
    table.facts.quiet = true;
    let mut now = 0;
    let mut gaps = Vec::new();
    while now < 200_000 {
        let due = table.client.due(&table.facts).expect("home is asked").as_micros() / 1000;
        table.step(due, ClientInput::Due);
        table.step(due, ClientInput::Arrived { from: address(1), number: due, ack_eliciting: false });
        gaps.push(due - now);
        now = due;
    }
    assert!(gaps.iter().all(|gap| *gap <= 15_000));
    assert_eq!(gaps.last(), Some(&15_000));
}

#[test]
fn a_pool_client_asks_home_only_while_it_waits_for_data() {
    let mut table = client(&[Pool], SeekPolicy::Reactive);
    table.pool(0, 1, 2).unwrap();
    table.facts.quiet = true;
    assert_eq!(table.client.due(&table.facts), None);
    table.facts.receiving = true;
    assert_eq!(table.client.due(&table.facts), Some(at(500)));
    table.facts.quiet = false;
    assert_eq!(table.client.due(&table.facts), None);
}

// ---- 2.5: adoption ------------------------------------------------------------------------------------

#[test]
fn one_copied_packet_does_not_move_the_client() {
    let mut table = client(&[Symmetric], SeekPolicy::Reactive);
    table.arrive(0, 1, 9);
    let actions = table.arrive(10, 66, 10);
    assert_eq!(actions[..], [Action::Seek(address(66))]);
    assert_eq!(table.step(11, ClientInput::Duplicate { number: 10 })[..], [Action::Recall(address(66))]);
    assert_eq!(table.client.lead(at(11)), None);
    assert_eq!(table.facts.home, address(1));
}

#[test]
fn the_first_candidate_proved_is_adopted_and_the_others_go() {
    let mut table = client(&[Pool], SeekPolicy::Reactive);
    table.pool(0, 1, 2).unwrap();
    table.pool(0, 2, 3).unwrap();
    table.step(100, ClientInput::LossTimeout);
    let actions = table.prove(150, 3, 70_000, true);
    let expected = [Action::Forget(address(2)), Action::Adopt(address(3)), completed(Pool, 3)];
    assert_eq!(actions[..], expected);
    assert!(table.client.names(address(2)), "a pool outlives the move");
}

#[test]
fn an_address_that_was_never_a_candidate_is_not_adopted() {
    let mut table = client(&[Symmetric], SeekPolicy::Reactive);
    assert!(table.prove(10, 66, 10, true).is_empty());
}

#[test]
fn proof_of_home_moves_nothing() {
    let mut table = client(&[Symmetric], SeekPolicy::Reactive);
    table.arrive(0, 2, 5);
    assert!(table.prove(10, 1, 6, true).is_empty());
}

#[test]
fn an_announcement_ends_with_its_migration_and_another_may_follow() {
    let mut table = client(&[Explicit], SeekPolicy::Reactive);
    table.move_to(0, 1, 2).unwrap();
    table.arrive(100, 2, 70_000);
    assert!(table.prove(120, 2, 70_001, true).contains(&completed(Explicit, 2)));
    assert!(!table.client.names(address(2)));
    assert_eq!(table.move_to(200, 70_002, 3).unwrap()[..], [announced(Explicit)]);
}

#[test]
fn the_home_left_for_a_mere_source_address_is_asked_and_wins_if_it_answers() {
    let mut table = client(&[Symmetric], SeekPolicy::Reactive);
    table.arrive(0, 66, 10);
    let actions = table.prove(20, 66, 11, true);
    assert_eq!(actions[..], [Action::Adopt(address(66)), completed(Symmetric, 66), Action::AskFormer]);
    assert!(table.arrive(30, 1, 9).is_empty(), "an older packet from the former home moves nothing");
    assert_eq!(table.arrive(40, 1, 12)[..], [Action::Seek(address(1))]);
    assert_eq!(table.prove(60, 1, 13, true)[..], [Action::Adopt(address(1)), returned(1)]);
}

#[test]
fn the_former_home_of_an_announced_move_moves_nothing() {
    let mut table = client(&[Explicit], SeekPolicy::Reactive);
    table.move_to(0, 1, 2).unwrap();
    table.arrive(100, 2, 10);
    let actions = table.prove(120, 2, 11, true);
    assert!(!actions.contains(&Action::AskFormer));
    assert!(table.arrive(130, 1, 12).is_empty());
}

#[test]
fn a_path_proved_by_a_small_challenge_is_proved_again_in_full_size_or_given_up() {
    let mut table = client(&[Explicit], SeekPolicy::Reactive);
    table.move_to(0, 1, 2).unwrap();
    table.step(100, ClientInput::LossTimeout);
    assert_eq!(table.prove(120, 2, 10, false).last(), Some(&Action::ProveHome));
    assert!(table.client.keeps(address(1)));
    assert_eq!(table.step(220, ClientInput::Due)[..], [Action::ProveHome]);
    assert_eq!(table.step(320, ClientInput::Due)[..], [Action::ProveHome]);
    assert_eq!(table.step(420, ClientInput::Due)[..], [Action::GoBack, returned(1)]);
    assert!(!table.client.keeps(address(1)));
}

#[test]
fn an_announced_move_to_where_the_client_goes_back_to_is_not_sought_any_more() {
    let mut table = client(&[Explicit], SeekPolicy::Proactive);
    table.move_to(0, 1, 2).unwrap();
    table.step(0, ClientInput::AckSent);
    table.prove(20, 2, 10, false);
    table.move_to(30, 2, 1).unwrap();
    table.step(120, ClientInput::Due);
    table.step(220, ClientInput::Due);
    assert_eq!(table.step(320, ClientInput::Due)[..], [Action::GoBack, returned(1)]);
    assert_eq!(table.step(330, ClientInput::AckSent)[..], []);
}

#[test]
fn without_a_former_home_a_path_that_carries_no_full_size_fails() {
    let mut table = client(&[Explicit], SeekPolicy::Reactive);
    table.move_to(0, 1, 2).unwrap();
    table.step(100, ClientInput::LossTimeout);
    table.prove(120, 2, 10, false);
    table.facts.former = None;
    table.step(220, ClientInput::Due);
    table.step(320, ClientInput::Due);
    let failed = MigrationEvent::Failed { strategy: Explicit, reason: MigrationError::PathFailed };
    assert_eq!(table.step(420, ClientInput::Due)[..], [emit(failed)]);
}

#[test]
fn a_full_size_answer_ends_the_second_proof() {
    let mut table = client(&[Explicit], SeekPolicy::Reactive);
    table.move_to(0, 1, 2).unwrap();
    table.step(100, ClientInput::LossTimeout);
    table.prove(120, 2, 10, false);
    table.prove(140, 2, 11, true);
    assert_eq!(table.client.due(&table.facts), None);
}

// ---- 2.6, 2.7: false alarms and the clock ---------------------------------------------------------------

#[test]
fn a_false_alarm_ends_with_returned_and_the_announcement_stays_in_force() {
    let mut table = client(&[Explicit], SeekPolicy::Reactive);
    table.move_to(0, 1, 2).unwrap();
    table.step(100, ClientInput::LossTimeout);
    assert_eq!(table.arrive(150, 1, 2)[..], [returned(1)]);
    assert!(table.client.names(address(2)));
    assert!(table.step(400, ClientInput::LossTimeout).contains(&Action::Seek(address(2))));
}

#[test]
fn the_connection_is_held_while_a_move_is_announced_until_silence_reaches_the_deadline() {
    let mut table = client(&[SynchronizedSymmetric], SeekPolicy::Reactive);
    assert_eq!(table.client.held_until(), None);
    table.announce(0, 1).unwrap();
    assert_eq!(table.client.held_until(), Some(at(30_000)));
    table.arrive(1000, 1, 2);
    assert_eq!(table.client.held_until(), Some(at(31_000)));
    let failed = MigrationEvent::Failed { strategy: SynchronizedSymmetric, reason: MigrationError::Deadline };
    assert!(table.step(31_000, ClientInput::Due).contains(&emit(failed)));
    assert_eq!(table.client.held_until(), None);
}

#[test]
fn a_failed_search_is_not_begun_again_by_a_probe_timeout_but_by_a_packet_from_home() {
    let mut table = client(&[Explicit], SeekPolicy::Reactive);
    table.move_to(0, 1, 2).unwrap();
    table.step(100, ClientInput::LossTimeout);
    table.step(30_000, ClientInput::Due);
    assert!(table.step(30_100, ClientInput::LossTimeout).is_empty());
    assert!(table.step(30_100, ClientInput::SeekNow).is_empty());
    table.arrive(31_000, 1, 2);
    assert!(table.step(31_200, ClientInput::LossTimeout).contains(&Action::Seek(address(2))));
}

#[test]
fn a_pool_client_that_was_idle_for_long_has_the_whole_deadline_for_its_search() {
    let mut table = client(&[Pool], SeekPolicy::Reactive);
    table.pool(0, 1, 2).unwrap();
    table.step(600_000, ClientInput::LossTimeout);
    assert_eq!(table.client.held_until(), Some(at(630_000)));
}

// ---- 2.12: errors and what is none ------------------------------------------------------------------------

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
    let mut table = client(&[Explicit, Pool], SeekPolicy::Reactive);
    let explicit = Heard::Migration(ServerMigration::MoveTo(of_the_other_family()));
    assert_eq!(table.hear(0, 1, 1, explicit), Err(Code::PROTOCOL_VIOLATION));
    let pool = Heard::Pool(Some(of_the_other_family()));
    assert_eq!(table.hear(0, 1, 1, pool), Err(Code::PROTOCOL_VIOLATION));
    assert_eq!(table.hear(0, 1, 1, Heard::Pool(None)), Err(Code::PROTOCOL_VIOLATION));
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
fn server_migrated_from_home_proves_home_once_a_second_and_not_right_after_an_adoption() {
    let mut table = client(&[Symmetric], SeekPolicy::Reactive);
    let proves = |actions: Result<Actions, Code>| actions.unwrap().contains(&Action::ProveHome);
    assert!(proves(table.hear(0, 1, 1, Heard::Migrated)));
    assert!(!proves(table.hear(999, 2, 1, Heard::Migrated)));
    assert!(proves(table.hear(1000, 3, 1, Heard::Migrated)));
    table.arrive(3000, 2, 10);
    table.prove(3020, 2, 11, true);
    assert!(!proves(table.hear(3319, 12, 2, Heard::Migrated)));
    assert!(proves(table.hear(3320, 13, 2, Heard::Migrated)));
}

#[test]
fn server_migrated_from_elsewhere_is_reported_once() {
    let mut table = client(&[Symmetric], SeekPolicy::Reactive);
    assert_eq!(table.hear(0, 5, 2, Heard::Migrated).unwrap()[..], [emit(MigrationEvent::Migrated)]);
    assert!(table.hear(0, 6, 2, Heard::Migrated).unwrap().is_empty());
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

// ---- whatever comes -----------------------------------------------------------------------------------------

fn any_input() -> impl proptest::strategy::Strategy<Value = ClientInput> {
    use proptest::strategy::Strategy as _;

    let last = 1u8..7;
    let number = 0u64..60;
    prop_oneof![
        (number.clone(), last.clone(), last.clone()).prop_map(|(number, from, to)| ClientInput::Frame {
            number,
            from: address(from),
            frame: Heard::Migration(ServerMigration::MoveTo(target(to))),
        }),
        (number.clone(), last.clone()).prop_map(|(number, from)| ClientInput::Frame {
            number,
            from: address(from),
            frame: Heard::Migrated,
        }),
        (number.clone(), last.clone()).prop_map(|(number, to)| ClientInput::Frame {
            number,
            from: address(1),
            frame: Heard::Pool(Some(target(to))),
        }),
        (last.clone(), number.clone(), any::<bool>()).prop_map(|(from, number, ack_eliciting)| {
            ClientInput::Arrived { from: address(from), number, ack_eliciting }
        }),
        number.clone().prop_map(|number| ClientInput::Duplicate { number }),
        (last, any::<bool>(), number).prop_map(|(last, padded, number)| ClientInput::Proved {
            address: address(last),
            padded,
            number,
        }),
        Just(ClientInput::AckSent),
        Just(ClientInput::LossTimeout),
        Just(ClientInput::Reset),
        Just(ClientInput::SeekNow),
        Just(ClientInput::Due),
    ]
}

proptest! {
    /// There is one home, nothing but a proof changes it for a candidate, and time only goes forward.
    #[test]
    fn nobody_is_adopted_without_proof(
        explicit: bool,
        inputs in proptest::collection::vec((0u64..2000, any_input()), 1..80),
    ) {
        let strategies = if explicit { [Explicit, Symmetric] } else { [Pool, Symmetric] };
        let mut table = client(&strategies, SeekPolicy::Proactive);
        table.facts.quiet = true;
        let mut now = 0;
        for (wait, input) in inputs {
            now += wait;
            let before = table.facts.home;
            let Ok(actions) = table.client.step(at(now), input, &table.facts) else { return Ok(()) };
            let proved = match input {
                ClientInput::Proved { address, .. } => Some(address),
                _ => None,
            };
            let mut sought = Vec::new();
            for action in &actions {
                match *action {
                    Action::Seek(address) => {
                        prop_assert!(address != before && !sought.contains(&address));
                        sought.push(address);
                    }
                    Action::Adopt(address) => {
                        prop_assert_eq!(Some(address), proved);
                        prop_assert_eq!(table.facts.home, before, "one adoption in a step");
                        table.facts.former = Some(std::mem::replace(&mut table.facts.home, address));
                    }
                    Action::Emit(MigrationEvent::Completed { address, .. }) => prop_assert_eq!(address, proved),
                    Action::GoBack => {
                        table.facts.home = table.facts.former.take().expect("there is a former home");
                    }
                    Action::EndByReset => return Ok(()),
                    _ => {}
                }
            }
            table.client.step(at(now), ClientInput::Due, &table.facts).expect("time is no fault");
        }
    }

    /// Whoever waits for the deadline and calls is not told the same deadline again.
    #[test]
    fn what_was_due_is_due_no_more(inputs in proptest::collection::vec((0u64..2000, any_input()), 1..60)) {
        let mut table = client(&[Explicit, Symmetric], SeekPolicy::Reactive);
        table.facts.quiet = true;
        let mut now = 0;
        for (wait, input) in inputs {
            now += wait;
            if table.client.step(at(now), input, &table.facts).is_err() {
                return Ok(());
            }
            for _ in 0..20 {
                let Some(due) = table.client.due(&table.facts) else { break };
                let due = due.max(at(now));
                let Ok(actions) = table.client.step(due, ClientInput::Due, &table.facts) else { break };
                if actions.contains(&Action::EndByReset) {
                    return Ok(());
                }
                prop_assert!(table.client.due(&table.facts).is_none_or(|next| next > due));
                now = due.as_micros().div_ceil(1000);
            }
        }
    }
}
