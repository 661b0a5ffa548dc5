//! A server that names the address it will move to.

use std::time::Duration;

use peregrine::{FrameKind, MigrationEvent, RelocationPlan, Strategy};

use sim::{Client, Filtering, addr, ms, secs};
use stage::moves::{AWAY, HOME, Play, Stage, target};
use stage::trials;

const PLAYS: [Play; 2] = [Play::Reactive, Play::Proactive];
const STRATEGY: Strategy = Strategy::Explicit;

#[test]
fn a_server_moves_under_a_transfer() {
    PLAYS.into_iter().for_each(trials::moves_under_a_transfer);
}

#[test]
fn a_server_moves_under_a_transfer_with_a_little_loss() {
    PLAYS.into_iter().for_each(|play| trials::moves_with_a_little_loss(play, 30));
}

#[test]
fn a_reactive_client_follows_in_all_kinds_of_trouble() {
    trials::moves_in_all_kinds_of_trouble(Play::Reactive, 200);
}

#[test]
fn a_proactive_client_follows_in_all_kinds_of_trouble() {
    trials::moves_in_all_kinds_of_trouble(Play::Proactive, 200);
}

#[test]
fn copies_from_elsewhere_lead_nobody_astray() {
    PLAYS.into_iter().for_each(trials::is_not_led_astray_by_copies);
}

#[test]
fn both_ends_tell_what_happens_in_order() {
    let mut scene = Stage::new(Play::Reactive).client(Client::echoes(30, ms(20)));
    scene.world.run_for(ms(200));
    let far = scene.far_end();
    scene.relocate(AWAY, ms(50));
    scene.run_well(secs(10));
    let client = scene.said(scene.conn());
    assert_eq!(client.first(), Some(&MigrationEvent::Announced { strategy: STRATEGY }));
    let completed = MigrationEvent::Completed { strategy: STRATEGY, address: Some(addr(AWAY)) };
    assert_eq!(client.last(), Some(&completed));
    let server = scene.said(far);
    let notice = MigrationEvent::FrameAcknowledged { kind: FrameKind::ServerMigration };
    assert_eq!(server[..2], [notice, MigrationEvent::Ready { strategy: STRATEGY }]);
    assert!(matches!(server.last(), Some(MigrationEvent::Completed { strategy: STRATEGY, .. })));
}

#[test]
fn a_server_is_ready_a_round_trip_after_the_notice() {
    PLAYS.into_iter().for_each(trials::is_ready_in_a_round_trip);
}

#[test]
fn a_lost_notice_is_said_again() {
    PLAYS.into_iter().for_each(trials::says_a_lost_notice_again);
}

#[test]
fn the_first_request_after_the_move_is_as_fast_as_any_when_the_server_is_heard() {
    for play in PLAYS {
        for after in [10, 20, 27, 30, 100, 1000].map(ms) {
            let (first, yardstick) = trials::first_request(&Stage::new(play), after);
            assert!(first <= yardstick + ms(1), "{play:?} {after:?}: {first:?} against {yardstick:?}");
        }
    }
}

#[test]
fn a_request_at_the_moment_of_the_return_waits_for_the_announcement_and_one_challenge_however_long_was_sought()
 {
    for freeze in (0..40).map(|number| ms(number * 50)) {
        let mut scene = trials::thesis_idle(&Stage::new(Play::Reactive));
        scene.relocate(AWAY, freeze);
        scene.world.ask(scene.conn(), Client::echo());
        scene.world.run_well(secs(10));
        let took = trials::took(&scene, 20);
        // 9 ms until the server is heard, 18 until it has answered, 18 for the request, and what a link takes.
        assert!(took <= ms(46), "{took:?} after {freeze:?}");
    }
}

#[test]
fn behind_a_filter_the_first_request_costs_one_probe_timeout() {
    for play in PLAYS {
        trials::first_request_unheard(&Stage::new(play).behind(Filtering::AddressDependent));
    }
}

#[test]
fn filters_and_mappings_that_depend_on_the_destination_are_passed() {
    PLAYS.into_iter().for_each(trials::passes_filters);
}

#[test]
fn an_idle_client_is_found() {
    for play in PLAYS {
        for filtering in [Filtering::EndpointIndependent, Filtering::AddressAndPortDependent] {
            let mut scene = Stage::new(play).behind(filtering).client(Client::echoes(1, Duration::ZERO));
            scene.world.run_for(secs(5));
            scene.relocate(AWAY, ms(100));
            scene.run_well(secs(5));
            scene.assert_followed(AWAY);
        }
    }
}

#[test]
fn a_server_that_is_nowhere_is_given_up_at_the_deadline() {
    PLAYS.into_iter().for_each(trials::gives_up_at_the_deadline);
}

#[test]
fn a_target_in_a_narrower_scope_is_refused_and_nothing_goes_there() {
    let forbidden = [
        "127.0.0.1:443",
        "10.1.1.1:443",
        "192.168.1.1:80",
        "169.254.169.254:80",
        "239.1.1.1:443",
        "255.255.255.255:443",
    ];
    for to in forbidden {
        for play in PLAYS {
            let mut scene = Stage::new(play).client(Client::echoes(60, ms(20)));
            trials::forbid_datagrams_to(&mut scene, &forbidden);
            scene.world.run_for(ms(200));
            let plan = RelocationPlan::uniform(play.order(to));
            scene.world.prepare(scene.server, plan);
            scene.world.run_well(secs(20));
            let refused = MigrationEvent::Refused { target: target(to) };
            assert_eq!(scene.said(scene.conn()), [refused]);
            assert_eq!(scene.world.connection(scene.conn()).expect("open").remote(), addr(HOME));
        }
    }
}

#[test]
fn a_server_that_stays_although_it_announced_a_move_keeps_its_clients() {
    for play in PLAYS {
        let mut scene = Stage::new(play).client(Client::echoes(400, ms(20)));
        scene.world.run_for(ms(200));
        scene.prepare(AWAY);
        scene.world.run_well(secs(60));
        assert_eq!(scene.world.connection(scene.conn()).expect("open").remote(), addr(HOME));
        assert_eq!(scene.completed(scene.conn()), 0);
    }
}

#[test]
fn nobody_is_left_behind_under_the_conditions_of_the_thesis() {
    PLAYS.into_iter().for_each(|play| trials::recovers_always(play, 100));
}

#[test]
fn lost_announcements_are_said_again() {
    PLAYS.into_iter().for_each(trials::survives_lost_announcements);
}
