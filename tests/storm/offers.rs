//! Whatever a client does, however it came, and whatever family it uses: it follows.

use stage::moves::Play;

use super::plain::ALL_DAY;
use super::scenario::{Busy, Scenario};

fn each(change: impl Fn(&mut Scenario)) {
    for play in Play::ALL {
        for busy in ALL_DAY.into_iter().chain([Busy::Talking(40)]) {
            let mut scenario = Scenario::plain(play, busy);
            change(&mut scenario);
            scenario.then(2, play).then(0, play).play().assert_followed();
        }
    }
}

#[test]
fn servers_move_on_and_back_home_and_are_followed() {
    each(|_| ());
}

#[test]
fn servers_at_ipv6_addresses_are_followed() {
    each(|scenario| scenario.v6 = true);
}

#[test]
fn targets_of_both_families_are_taken_by_their_family_in_use() {
    for v6 in [false, true] {
        each(|scenario| (scenario.dual, scenario.v6) = (true, v6));
    }
}

#[test]
fn clients_that_had_to_prove_their_address_follow() {
    each(|scenario| scenario.retry = true);
}

#[test]
fn clients_that_came_with_a_ticket_and_early_data_follow() {
    for retry in [false, true] {
        each(|scenario| (scenario.parts[0].early, scenario.retry) = (true, retry));
    }
}
