//! A server that shows itself, by its packets' source or by SERVER_MIGRATED (server-migration rules, 2.1, 2.5 and 2.12;
//! reference, Sections 3.5 and 3.6).

use super::*;

/// Clients that may be shown where their server is: one that agreed on Symmetric, one that waits for an announced move.
fn shown() -> [(Strategy, Table); 2] {
    let mut synchronized = client(&[SynchronizedSymmetric], SeekPolicy::Reactive);
    synchronized.announce(0, 1).unwrap();
    [(Symmetric, client(&[Symmetric], SeekPolicy::Reactive)), (SynchronizedSymmetric, synchronized)]
}

const MIGRATED: Action = Action::Emit(MigrationEvent::Migrated);

#[test]
fn server_migrated_from_elsewhere_is_reported_once() {
    for (_, mut table) in shown() {
        assert_eq!(table.hear(0, 5, 2, Heard::Migrated).unwrap()[..], [MIGRATED]);
        assert!(table.hear(0, 5, 2, Heard::Migrated).unwrap().is_empty(), "in the same packet");
        assert!(table.hear(0, 6, 2, Heard::Migrated).unwrap().is_empty());
    }
}

#[test]
fn server_migrated_alone_moves_nobody_and_challenges_nobody() {
    for (_, mut table) in shown() {
        assert_eq!(table.hear(0, 5, 2, Heard::Migrated).unwrap()[..], [MIGRATED]);
        assert_eq!(table.facts.home, address(1));
        assert_eq!(table.client.lead(at(0)), None);
    }
}

#[test]
fn a_packet_from_elsewhere_is_challenged_at_once_with_server_migrated_and_without() {
    for says in [false, true] {
        for (strategy, mut table) in shown() {
            table.arrive(0, 1, 9);
            if says {
                table.hear(10, 10, 2, Heard::Migrated).unwrap();
            }
            assert_eq!(table.arrive(10, 2, 10)[..], [Action::Seek(address(2))], "{strategy:?}");
            assert!(table.prove(30, 2, 11, true).contains(&completed(strategy, 2)));
        }
    }
}

#[test]
fn a_second_address_that_shows_itself_does_not_stop_the_first_from_being_proved() {
    for (strategy, mut table) in shown() {
        table.arrive(0, 2, 10);
        assert_eq!(table.arrive(10, 3, 11)[..], [Action::Seek(address(3))]);
        assert_eq!(table.facts.home, address(1));
        let actions = table.prove(20, 2, 12, true);
        assert!(actions.contains(&Action::Adopt(address(2))) && actions.contains(&completed(strategy, 2)));
    }
}

#[test]
fn more_packets_from_a_candidate_bring_no_more_challenges_than_its_rounds() {
    for (_, mut table) in shown() {
        assert_eq!(table.arrive(0, 2, 10)[..], [Action::Seek(address(2))]);
        for number in 11..20 {
            assert!(table.arrive(number, 2, number).is_empty());
        }
        assert_eq!(table.step(100, ClientInput::Due)[..], [Action::Seek(address(2))]);
    }
}

#[test]
fn server_migrated_that_comes_after_the_move_was_seen_is_reported_while_it_is_not_over() {
    for (_, mut table) in shown() {
        table.arrive(0, 2, 11);
        assert_eq!(table.hear(5, 10, 2, Heard::Migrated).unwrap()[..], [MIGRATED]);
    }
}

#[test]
fn server_migrated_that_comes_after_the_move_is_over_says_nothing() {
    for (_, mut table) in shown() {
        table.arrive(0, 2, 11);
        table.prove(20, 2, 12, true);
        assert_eq!(table.hear(30, 10, 2, Heard::Migrated), Ok(Actions::new()));
    }
}

#[test]
fn server_migrated_from_the_former_home_is_not_reported() {
    for (_, mut table) in shown() {
        table.arrive(0, 2, 11);
        table.prove(20, 2, 12, true);
        let again = table.hear(30, 13, 1, Heard::Migrated);
        assert_eq!(again, Ok(Actions::new()));
    }
}

#[test]
fn each_move_reports_its_own_server_migrated() {
    let mut table = client(&[Symmetric], SeekPolicy::Reactive);
    assert_eq!(table.hear(0, 10, 2, Heard::Migrated).unwrap()[..], [MIGRATED]);
    table.arrive(0, 2, 10);
    table.prove(20, 2, 11, true);
    assert_eq!(table.hear(5000, 70_000, 3, Heard::Migrated).unwrap()[..], [MIGRATED]);
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
fn server_migrated_from_home_leaves_an_announced_move_in_force() {
    let mut table = client(&[SynchronizedSymmetric], SeekPolicy::Reactive);
    table.announce(0, 1).unwrap();
    assert_eq!(table.hear(0, 2, 1, Heard::Migrated).unwrap()[..], [Action::ProveHome]);
    assert!(table.client.welcomes(address(2), 3, address(1)));
}

#[test]
fn server_migrated_beside_another_strategy_in_force_is_no_error_and_ends_nothing() {
    let mut explicit = client(&[Explicit, Symmetric], SeekPolicy::Reactive);
    explicit.move_to(0, 1, 2).unwrap();
    assert_eq!(explicit.hear(0, 5, 9, Heard::Migrated).unwrap()[..], [MIGRATED]);
    assert!(explicit.client.names(address(2)));
    let mut pool = client(&[Pool, Symmetric], SeekPolicy::Reactive);
    pool.pool(0, 1, 2).unwrap();
    assert_eq!(pool.hear(0, 5, 9, Heard::Migrated).unwrap()[..], [MIGRATED]);
    assert!(pool.client.names(address(2)));
}

#[test]
fn an_announcement_without_a_target_is_reported_once_and_nobody_is_sought() {
    let mut table = client(&[SynchronizedSymmetric], SeekPolicy::Proactive);
    assert_eq!(table.announce(0, 1).unwrap()[..], [announced(SynchronizedSymmetric)]);
    assert_eq!(table.announce(5, 2), Ok(Actions::new()));
    assert!(table.step(6, ClientInput::AckSent).is_empty());
    assert!(table.step(300, ClientInput::LossTimeout).is_empty());
}

#[test]
fn a_mere_source_that_was_given_up_comes_back_with_its_next_packet() {
    let mut table = client(&[Symmetric], SeekPolicy::Reactive);
    assert_eq!(table.arrive(0, 2, 10)[..], [Action::Seek(address(2))]);
    assert!(table.step(3000, ClientInput::Due).contains(&Action::Forget(address(2))));
    assert!(table.prove(3001, 2, 11, true).is_empty(), "its answer is too late");
    assert!(table.client.welcomes(address(2), 12, address(1)));
    assert_eq!(table.arrive(5000, 2, 12)[..], [Action::Seek(address(2))]);
}

#[test]
fn whoever_contradicts_a_silent_home_is_challenged_until_a_while_after_its_last_packet() {
    for (strategy, mut table) in shown() {
        table.arrive(0, 1, 9);
        table.arrive(10, 2, 10);
        let mut times = Vec::new();
        for now in (20..4000).step_by(10) {
            if now == 1000 {
                table.arrive(now, 2, 11);
            }
            if table.step(now, ClientInput::Due).contains(&Action::Seek(address(2))) {
                times.push(now);
            }
        }
        // Three rounds, four a second from then on, three rounds again; and three seconds after its last packet it goes.
        assert!(times.windows(2).all(|two| two[1] - two[0] <= 350), "{strategy:?}: {times:?}");
        assert!((3500..4000).contains(times.last().unwrap()), "{strategy:?}: {times:?}");
        table.step(4000, ClientInput::Due);
        assert!(!table.client.welcomes(address(2), 5, address(1)), "{strategy:?}");
    }
}

#[test]
fn whoever_contradicts_a_home_that_is_heard_is_challenged_in_its_three_rounds_alone() {
    for (strategy, mut table) in shown() {
        table.arrive(0, 2, 100);
        let mut times = Vec::new();
        for now in (50..1000).step_by(50) {
            // Older than what the candidate said: that moves nothing, but home is not silent.
            table.arrive(now, 1, now / 50);
            if table.step(now, ClientInput::Due).contains(&Action::Seek(address(2))) {
                times.push(now);
            }
        }
        assert_eq!(times, [100, 300], "{strategy:?}");
    }
}
