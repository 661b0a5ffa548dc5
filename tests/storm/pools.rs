//! Pools of every size, true ones and others.

use peregrine::{MigrationError, MigrationEvent, Strategy};

use sim::Filtering;
use stage::moves::Play;

use super::plain::ALL_DAY;
use super::scenario::{Busy, Scenario};

fn count(events: &[MigrationEvent], such: impl Fn(&MigrationEvent) -> bool) -> usize {
    events.iter().filter(|event| such(event)).count()
}

#[test]
fn pools_of_any_size_are_followed_through_filters_of_any_kind() {
    for members in [1, 3, 16, 20] {
        for filtering in
            [Filtering::EndpointIndependent, Filtering::AddressDependent, Filtering::AddressAndPortDependent]
        {
            for busy in ALL_DAY {
                let scenario = Scenario::plain(Play::Pool(members), busy).behind(filtering);
                scenario.play().assert_followed();
            }
        }
    }
}

#[test]
fn members_beyond_the_cap_are_reported_one_by_one_and_ignored() {
    let run = Scenario::plain(Play::Pool(20), Busy::Idle).play();
    run.assert_followed();
    let said = run.said(run.actors[0].conn);
    assert_eq!(count(&said, |event| matches!(event, MigrationEvent::PoolAddress { .. })), 16);
    assert_eq!(count(&said, |event| matches!(event, MigrationEvent::PoolFull { .. })), 4);
}

#[test]
fn a_pool_of_one_is_of_no_use_once_the_server_is_there() {
    let mut scenario = Scenario::plain(Play::Pool(1), Busy::Talking(200)).behind(Filtering::AddressDependent);
    scenario = scenario.then(2, Play::Pool(1));
    let run = scenario.play();
    let conn = run.actors[0].conn;
    let said = run.said(conn);
    assert_eq!(count(&said, |event| matches!(event, MigrationEvent::Completed { .. })), 1);
    assert!(run.world.closed(conn).is_some(), "{}", run.words);
}

#[test]
fn a_pool_none_of_whose_members_answers_fails_at_both_ends_at_the_deadline() {
    for members in [1, 3, 16] {
        let mut scenario =
            Scenario::plain(Play::Pool(members), Busy::Talking(200)).behind(Filtering::AddressDependent);
        scenario.pool_is_true = false;
        let run = scenario.play();
        run.assert_lost();
        let failed = MigrationEvent::Failed { strategy: Strategy::Pool, reason: MigrationError::Deadline };
        assert!(run.said(run.actors[0].conn).contains(&failed), "{}", run.words);
    }
}
