//! Translators that let in only whom they were used to send to: what passes, and what is reported where nothing does
//! (migration rules, 5).

use peregrine::{CloseReason, MigrationError, MigrationEvent};

use sim::Filtering;
use stage::moves::Play;

use super::plain::ALL_DAY;
use super::scenario::{Busy, Scenario};

const FILTERS: [Filtering; 2] = [Filtering::AddressDependent, Filtering::AddressAndPortDependent];

#[test]
fn whoever_knows_where_to_look_passes() {
    for play in Play::NAMED {
        for filtering in FILTERS {
            for busy in ALL_DAY {
                Scenario::plain(play, busy).behind(filtering).play().assert_followed();
            }
        }
    }
}

#[test]
fn a_client_of_all_strategies_passes_where_it_is_told_the_address_and_not_where_the_server_shows_itself() {
    for filtering in FILTERS {
        for (play, passes) in [(Play::Reactive, true), (Play::Symmetric, false), (Play::Synchronized, false)]
        {
            let mut scenario = Scenario::plain(play, Busy::Talking(60)).behind(filtering);
            scenario.parts[0].all = true;
            let run = scenario.play();
            if passes { run.assert_followed() } else { run.assert_lost() }
        }
    }
}

#[test]
fn where_nothing_passes_the_client_is_idle_and_the_server_reports_its_deadline() {
    for play in Play::SHOWN {
        for filtering in FILTERS {
            let run = Scenario::plain(play, Busy::Talking(60)).behind(filtering).play();
            run.assert_lost();
            assert_eq!(run.world.closed(run.actors[0].conn), Some(&CloseReason::TimedOut));
            let failed =
                MigrationEvent::Failed { strategy: play.strategy(), reason: MigrationError::Deadline };
            let said = run.world.at(run.server).events().iter();
            let wanted = peregrine::ConnectionEvent::Migration(failed);
            let reports = said.filter(
                |(_, event)| matches!(event, peregrine::Event::Connection(_, event) if *event == wanted),
            );
            assert_eq!(reports.count(), 1, "{}", run.words);
        }
    }
}
