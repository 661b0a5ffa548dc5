//! A server that moves without a word and shows itself from its new address.

use std::time::Duration;

use peregrine::{CloseReason, MigrationError, MigrationEvent, Strategy};

use sim::{Client, Filtering, Outcome, addr, ms, secs};
use stage::moves::{AWAY, Play, Stage};
use stage::trials;

const PLAY: Play = Play::Symmetric;

#[test]
fn a_server_moves_under_a_transfer() {
    trials::moves_under_a_transfer(PLAY);
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
fn an_idle_client_is_found() {
    let mut scene = Stage::new(PLAY).client(Client::echoes(1, Duration::ZERO));
    scene.world.run_for(secs(5));
    scene.relocate(AWAY, ms(100));
    scene.run_well(secs(5));
    scene.assert_followed(AWAY);
}

#[test]
fn the_first_request_after_the_move_is_as_fast_as_any() {
    // The announcement takes 9 ms; what is handed over before goes to the old address and is sent again.
    for after in [10, 20, 27, 30, 100, 1000].map(ms) {
        let (first, yardstick) = trials::first_request(&Stage::new(PLAY), after);
        assert!(first <= yardstick + ms(1), "{after:?}: {first:?} against {yardstick:?}");
    }
}

#[test]
fn a_server_is_ready_at_once() {
    let mut scene = Stage::new(PLAY).clients((0..50).map(|_| Client::idle()));
    scene.world.run_for(secs(1));
    let notice = scene.world.now();
    let ready = scene.prepare(AWAY);
    assert_eq!(ready, notice);
}

#[test]
fn behind_a_filter_client_and_server_lose_each_other_and_both_come_to_an_end() {
    for filtering in [Filtering::AddressDependent, Filtering::AddressAndPortDependent] {
        let mut scene = Stage::new(PLAY).behind(filtering).client(Client::download(2_000_000));
        scene.await_connected();
        scene.world.run_for(ms(100));
        let (near, far) = (scene.conn(), scene.far_end());
        scene.relocate(AWAY, ms(100));
        scene.run_out(secs(300));
        assert!(matches!(scene.world.outcome(near), Outcome::Failed(_)));
        assert_eq!(scene.world.closed(near), Some(&CloseReason::TimedOut));
        let failed =
            MigrationEvent::Failed { strategy: Strategy::Symmetric, reason: MigrationError::Deadline };
        assert_eq!(scene.said(far).last(), Some(&failed));
        assert!(scene.world.closed(far).is_some());
        assert_eq!(scene.settled(), [(0, 1)]);
    }
}

#[test]
fn a_server_that_gave_no_notice_is_followed_too() {
    for app in [Client::download(400_000), Client::upload(400_000), Client::idle()] {
        let mut scene = Stage::new(PLAY).client(app);
        scene.await_connected();
        scene.world.run_for(ms(50));
        scene.world.relocate(scene.server, AWAY, ms(200));
        scene.run_well(secs(10));
        assert_eq!(scene.world.connection(scene.conn()).expect("open").remote(), addr(AWAY));
        scene.assert_followed(AWAY);
    }
}

#[test]
fn nobody_is_left_behind_under_the_conditions_of_the_thesis() {
    trials::recovers_always(PLAY, 100);
}

#[test]
fn lost_announcements_are_said_again() {
    trials::survives_lost_announcements(PLAY);
}
