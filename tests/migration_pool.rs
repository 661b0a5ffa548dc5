//! A server that has told its clients all the addresses it may ever move to.

use std::time::Duration;

use peregrine::{MigrationError, MigrationEvent, Strategy};

use sim::{Client, Filtering, Mapping, addr, ms, secs};
use stage::moves::{AWAY, BEYOND, HOME, Play, Stage, target};
use stage::trials;

const PLAY: Play = Play::Pool(3);
const STRATEGY: Strategy = Strategy::Pool;
const SIZES: [usize; 4] = [1, 2, 3, 16];

#[test]
fn a_server_moves_under_a_transfer() {
    SIZES.map(Play::Pool).into_iter().for_each(trials::moves_under_a_transfer);
}

#[test]
fn a_server_moves_under_a_transfer_with_a_little_loss() {
    trials::moves_with_a_little_loss(PLAY, 40);
}

#[test]
fn a_server_moves_in_all_kinds_of_trouble() {
    trials::moves_in_all_kinds_of_trouble(PLAY, 200);
}

#[test]
fn copies_from_elsewhere_lead_nobody_astray() {
    trials::is_not_led_astray_by_copies(PLAY);
}

#[test]
fn a_client_learns_the_pool_right_after_the_handshake() {
    let mut scene = Stage::new(PLAY).client(Client::idle());
    scene.world.run_for(secs(1));
    let learned = PLAY.pool().into_iter().map(|target| MigrationEvent::PoolAddress { target });
    let learned: Vec<_> = learned.collect();
    assert_eq!(scene.said(scene.conn()), learned);
    assert_eq!(scene.said(scene.far_end()), learned);
}

#[test]
fn a_server_that_knows_its_pool_is_known_is_ready_at_once() {
    let mut scene = Stage::new(PLAY).clients((0..50).map(|_| Client::idle()));
    scene.world.run_for(secs(1));
    let notice = scene.world.now();
    assert_eq!(scene.prepare(AWAY), notice);
}

#[test]
fn the_first_request_after_the_move_is_as_fast_as_any_when_the_server_is_heard() {
    for size in SIZES {
        for after in [10, 27, 30, 1000].map(ms) {
            let (first, yardstick) = trials::first_request(&Stage::new(Play::Pool(size)), after);
            assert!(first <= yardstick + ms(1), "{size} members, {after:?}: {first:?}, {yardstick:?}");
        }
    }
}

#[test]
fn behind_a_filter_the_first_request_costs_one_probe_timeout_whatever_the_size_of_the_pool() {
    let stages = SIZES.map(|size| Stage::new(Play::Pool(size)).behind(Filtering::AddressDependent));
    let first = stages.map(|stage| trials::first_request_unheard(&stage));
    assert!(first.iter().all(|took| took.abs_diff(first[0]) < Duration::from_micros(100)), "{first:?}");
}

#[test]
fn announcements_that_a_filter_keeps_out_take_nothing_from_the_fresh_window() {
    let stage = Stage::new(PLAY).behind(Filtering::AddressDependent);
    let mut scene = trials::thesis_idle(&stage);
    scene.relocate(AWAY, ms(100));
    scene.world.run_for(secs(4));
    scene.world.ask(scene.conn(), Client::echo());
    scene.world.run_well(secs(10));
    let server = scene.world.connection(scene.far_end()).expect("open");
    assert_eq!(server.stats().persistent_congestions, 0);
    assert!(server.path().window >= 12_000, "{:?}", server.path());
}

#[test]
fn filters_and_mappings_that_depend_on_the_destination_are_passed() {
    trials::passes_filters(PLAY);
}

#[test]
fn an_idle_client_is_found() {
    let mut scene = Stage::new(PLAY).client(Client::echoes(1, Duration::ZERO));
    scene.world.run_for(secs(5));
    scene.relocate(AWAY, ms(100));
    scene.run_well(secs(5));
    scene.assert_followed(AWAY);
}

#[test]
fn a_server_moves_through_its_pool_and_back_home() {
    for filtering in [Filtering::EndpointIndependent, Filtering::AddressDependent] {
        let stage = Stage::new(PLAY).pool(&[HOME, AWAY, BEYOND]).behind(filtering);
        let mut scene = stage.client(Client::echoes(300, ms(20)));
        scene.await_connected();
        for (round, to) in (1..).zip([AWAY, BEYOND, HOME, AWAY]) {
            scene.world.run_for(secs(1));
            scene.relocate(to, ms(100));
            scene.world.run_for(secs(1));
            assert_eq!(scene.completed(scene.conn()), round, "{:?}", scene.said(scene.conn()));
            assert_eq!(scene.world.connection(scene.conn()).expect("open").remote(), addr(to));
        }
        scene.run_well(secs(20));
        assert_eq!(scene.settled(), [(1, 0); 4]);
    }
}

#[test]
fn a_server_that_is_nowhere_is_given_up_at_the_deadline() {
    trials::gives_up_at_the_deadline(PLAY);
}

#[test]
fn the_address_policy_is_asked_for_every_member() {
    let forbidden = ["127.0.0.1:443", "10.1.1.1:443", "192.168.1.1:80", "169.254.1.1:443", "239.1.1.1:443"];
    let members: Vec<_> = forbidden.into_iter().chain([AWAY]).collect();
    let mut scene = Stage::new(PLAY).pool(&members).client(Client::echoes(100, ms(20)));
    trials::forbid_datagrams_to(&mut scene, &forbidden);
    scene.world.run_for(ms(300));
    for member in forbidden {
        let refused = MigrationEvent::Refused { target: target(member) };
        assert!(scene.said(scene.conn()).contains(&refused), "{member}");
    }
    scene.relocate(AWAY, ms(100));
    scene.run_well(secs(10));
    scene.assert_followed(AWAY);
}

#[test]
fn seventeen_members_are_one_too_many_and_the_server_is_told_nothing() {
    let mut scene = Stage::new(Play::Pool(17)).client(Client::idle());
    scene.world.run_for(secs(1));
    let full = scene.said(scene.conn()).into_iter().filter(|e| matches!(e, MigrationEvent::PoolFull { .. }));
    assert_eq!(full.count(), 1);
    assert!(scene.world.closed(scene.conn()).is_none());
}

#[test]
fn a_filter_for_each_destination_is_passed_by_a_download_under_way() {
    let stage = Stage::new(PLAY).behind(Filtering::AddressAndPortDependent).mapping(Mapping::PerDestination);
    let mut scene = stage.client(Client::download(2_000_000));
    scene.await_connected();
    scene.world.run_for(ms(100));
    scene.relocate(AWAY, ms(700));
    scene.run_well(secs(20));
    scene.assert_followed(AWAY);
    let failed = |event: &MigrationEvent| {
        matches!(event, MigrationEvent::Failed { strategy: STRATEGY, reason: MigrationError::Deadline })
    };
    assert!(!scene.said(scene.conn()).iter().any(failed));
}

#[test]
fn nobody_is_left_behind_under_the_conditions_of_the_thesis() {
    trials::recovers_always(PLAY, 100);
}

#[test]
fn lost_announcements_are_said_again() {
    trials::survives_lost_announcements(PLAY);
}
