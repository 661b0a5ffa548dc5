//! One thing goes wrong in one phase of one move, by every strategy: what comes of it.

use sim::{Filtering, ms};
use stage::moves::Play;

use super::phase::Phase;
use super::plain::ALL_DAY;
use super::scenario::{Busy, Scenario};
use super::trouble::{Trouble, Way};

const WAYS: [Way; 3] = [Way::Both, Way::Up, Way::Down];

/// Every play, every phase, and a client that only receives, only sends, or does nothing.
fn each(test: impl Fn(Play, Phase, Busy)) {
    for play in Play::ALL {
        for phase in Phase::ALL {
            ALL_DAY.into_iter().for_each(|busy| test(play, phase, busy));
        }
    }
}

#[test]
fn a_blackhole_of_two_seconds_in_any_phase_either_way_loses_nobody() {
    each(|play, phase, busy| {
        for way in WAYS {
            let blackhole = Trouble::Blackhole(way, ms(2000));
            Scenario::plain(play, busy).with(phase, blackhole).play().assert_followed();
        }
    });
}

#[test]
fn up_to_eight_lost_datagrams_in_any_phase_either_way_lose_nobody() {
    each(|play, phase, busy| {
        for way in WAYS {
            for count in [1, 2, 3, 8] {
                Scenario::plain(play, busy).with(phase, Trouble::Lost(way, count)).play().assert_followed();
            }
        }
    });
}

#[test]
fn frames_and_acknowledgements_that_come_when_the_next_move_is_under_way_change_nothing() {
    each(|play, phase, busy| {
        for way in WAYS {
            let late = Trouble::Late(way, 4, ms(1300));
            let scenario = Scenario::plain(play, busy).with(phase, late);
            scenario.then(2, play).then(0, play).play().assert_followed();
        }
    });
}

#[test]
fn keys_are_updated_in_any_phase_by_either_end() {
    each(|play, phase, busy| {
        for server in [false, true] {
            let update = Trouble::KeyUpdate { client: 0, server };
            Scenario::plain(play, busy).with(phase, update).play().assert_followed();
        }
    });
}

#[test]
fn an_observer_who_copies_every_datagram_from_elsewhere_in_any_phase_leads_nobody_astray() {
    each(|play, phase, busy| {
        for held in [0, 15].map(ms) {
            let copies = Trouble::Copies { way: Way::Down, every: 1, after: ms(5), held };
            Scenario::plain(play, busy).with(phase, copies).play().assert_followed();
        }
    });
}

/// Those who know where their server will be look for it there, from wherever they are.
fn looks(play: Play) -> bool {
    Play::NAMED.contains(&play)
}

#[test]
fn a_client_whose_translator_forgets_is_found_unless_the_server_alone_must_find_it() {
    for play in Play::ALL {
        for phase in [Phase::Before, Phase::Frozen, Phase::Switched] {
            for elsewhere in [false, true] {
                let scenario =
                    Scenario::plain(play, Busy::Talking(60)).behind(Filtering::EndpointIndependent);
                let run = scenario.with(phase, Trouble::Rebinding { elsewhere }).play();
                // The notice is acknowledged from the new address, if there is one.
                let tells = play == Play::Synchronized && phase == Phase::Before;
                if looks(play) || tells { run.assert_followed() } else { run.assert_lost() }
            }
        }
    }
}

#[test]
fn a_client_that_moves_in_the_same_round_trip_as_its_server_is_found() {
    for play in Play::ALL {
        for phase in [Phase::Before, Phase::Frozen, Phase::Switched, Phase::Validating] {
            // It says at once where it is, to where the server was or is, and listens at its old address for a while.
            let roaming = Trouble::Roaming { client: 0 };
            Scenario::plain(play, Busy::Talking(60)).with(phase, roaming).play().assert_followed();
        }
    }
}

#[test]
fn a_client_that_moves_while_its_server_is_frozen_for_long_is_lost_if_the_server_alone_must_find_it() {
    for play in Play::ALL {
        let mut scenario = Scenario::plain(play, Busy::Talking(60));
        scenario.moves[0].freeze = ms(6000);
        let run = scenario.with(Phase::Frozen, Trouble::Roaming { client: 0 }).play();
        if looks(play) { run.assert_followed() } else { run.assert_lost() }
    }
}
