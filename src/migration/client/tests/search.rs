//! When a client looks for its server, how often, and for how long (server-migration rules, 2.3 and 2.6 to 2.8).

use super::*;

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
        table.step(now, ClientInput::Arrived { from: address(1), number, says_more: false });
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
        table.step(due, ClientInput::Arrived { from: address(1), number: due, says_more: false });
        gaps.push(due - now);
        now = due;
    }
    assert!(gaps.iter().all(|gap| *gap <= 15_000));
    assert_eq!(gaps.last(), Some(&15_000));
}

#[test]
fn on_a_short_path_home_is_not_asked_sooner_than_after_a_tenth_of_a_second_or_half_a_one_for_a_pool() {
    let mut announced = client(&[SynchronizedSymmetric], SeekPolicy::Reactive);
    announced.announce(0, 1).unwrap();
    let mut pool = client(&[Pool], SeekPolicy::Reactive);
    pool.pool(0, 1, 2).unwrap();
    for (mut table, due) in [(announced, 100), (pool, 500)] {
        (table.facts.quiet, table.facts.receiving) = (true, true);
        table.facts.pto = Duration::from_millis(10);
        assert_eq!(table.client.due(&table.facts), Some(at(due)));
    }
}

#[test]
fn a_pool_client_that_waits_for_data_asks_ever_more_rarely_and_every_five_seconds_at_last() {
    let mut table = client(&[Pool], SeekPolicy::Reactive);
    table.pool(0, 1, 2).unwrap();
    (table.facts.quiet, table.facts.receiving) = (true, true);
    let mut times = Vec::new();
    for number in 2..8 {
        let now = table.client.due(&table.facts).expect("home is asked").as_micros() / 1000;
        assert_eq!(table.step(now, ClientInput::Due)[..], [Action::Ask]);
        table.step(now, ClientInput::Arrived { from: address(1), number, says_more: false });
        times.push(now);
    }
    assert_eq!(times, [500, 1500, 3500, 7500, 12_500, 17_500]);
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

// ---- while it is under way ----------------------------------------------------------------------------------

#[test]
fn a_probe_timeout_and_the_same_target_again_change_nothing_in_a_search() {
    let mut table = client(&[Explicit], SeekPolicy::Reactive);
    table.move_to(0, 1, 2).unwrap();
    table.step(100, ClientInput::LossTimeout);
    assert!(table.step(150, ClientInput::LossTimeout).is_empty());
    assert_eq!(table.move_to(160, 2, 2), Ok(Actions::new()));
    assert_eq!(
        table.step(200, ClientInput::Due)[..],
        [Action::Seek(address(2))],
        "the second round, as before"
    );
    assert_eq!(table.facts.home, address(1));
}

#[test]
fn the_announced_address_is_challenged_when_it_speaks_and_a_probe_timeout_changes_nothing_any_more() {
    let mut table = client(&[Explicit], SeekPolicy::Reactive);
    table.move_to(0, 1, 2).unwrap();
    table.step(100, ClientInput::LossTimeout);
    assert_eq!(table.arrive(120, 2, 70_000)[..], [Action::Seek(address(2))]);
    assert_eq!(table.client.lead(at(120)), Some(address(2)));
    assert!(table.step(130, ClientInput::LossTimeout).is_empty());
    assert!(table.arrive(140, 2, 70_001).is_empty());
    assert_eq!(table.prove(150, 2, 70_002, true)[..], [Action::Adopt(address(2)), completed(Explicit, 2)]);
}

#[test]
fn a_third_address_has_no_say_in_a_search() {
    for strategy in [Explicit, Pool] {
        let mut table = client(&[strategy], SeekPolicy::Reactive);
        match strategy {
            Explicit => table.move_to(0, 1, 2).unwrap(),
            _ => table.pool(0, 1, 2).unwrap(),
        };
        table.step(100, ClientInput::LossTimeout);
        assert!(!table.client.welcomes(address(9), 70_000, address(1)));
        assert!(table.client.welcomes(address(2), 70_000, address(1)));
    }
}
