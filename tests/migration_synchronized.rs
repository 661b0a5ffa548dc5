//! A server that says that it will move, and shows itself from its new address.

use std::time::Duration;

use peregrine::{CloseReason, FrameKind, MigrationError, MigrationEvent, Strategy};

use sim::{Client, Filtering, Verdict, addr, ms, secs};
use stage::moves::{AWAY, HOME, Play, Stage};
use stage::trials;

const PLAY: Play = Play::Synchronized;
const STRATEGY: Strategy = Strategy::SynchronizedSymmetric;

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
fn both_ends_tell_what_happens_in_order() {
    let mut scene = Stage::new(PLAY).client(Client::echoes(30, ms(20)));
    scene.world.run_for(ms(200));
    let far = scene.far_end();
    scene.relocate(AWAY, ms(50));
    scene.run_well(secs(10));
    let completed = MigrationEvent::Completed { strategy: STRATEGY, address: Some(addr(AWAY)) };
    let client = [MigrationEvent::Announced { strategy: STRATEGY }, MigrationEvent::Migrated, completed];
    assert_eq!(scene.said(scene.conn()), client);
    let server = scene.said(far);
    let notice = MigrationEvent::FrameAcknowledged { kind: FrameKind::ServerMigration };
    assert_eq!(server[..2], [notice, MigrationEvent::Ready { strategy: STRATEGY }]);
    assert!(matches!(server.last(), Some(MigrationEvent::Completed { strategy: STRATEGY, .. })));
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
    for after in [10, 20, 27, 30, 100, 1000].map(ms) {
        let (first, yardstick) = trials::first_request(&Stage::new(PLAY), after);
        assert!(first <= yardstick + ms(1), "{after:?}: {first:?} against {yardstick:?}");
    }
}

#[test]
fn a_server_is_ready_a_round_trip_after_the_notice() {
    trials::is_ready_in_a_round_trip(PLAY);
}

#[test]
fn a_lost_notice_is_said_again() {
    trials::says_a_lost_notice_again(PLAY);
}

#[test]
fn behind_a_filter_client_and_server_lose_each_other_and_both_come_to_an_end() {
    let mut scene = Stage::new(PLAY).behind(Filtering::AddressDependent).client(Client::download(2_000_000));
    scene.await_connected();
    scene.world.run_for(ms(100));
    let (near, far) = (scene.conn(), scene.far_end());
    scene.relocate(AWAY, ms(100));
    scene.run_out(secs(300));
    assert_eq!(scene.world.closed(near), Some(&CloseReason::TimedOut));
    let failed = MigrationEvent::Failed { strategy: STRATEGY, reason: MigrationError::Deadline };
    assert_eq!(scene.said(far).last(), Some(&failed));
    assert!(scene.world.closed(far).is_some());
    assert_eq!(scene.settled(), [(0, 1)]);
}

#[test]
fn a_source_that_was_not_announced_is_not_followed() {
    // The server moves without notice: nothing was announced, and Symmetric was not agreed.
    let mut scene = Stage::new(PLAY).client(Client::echoes(200, ms(20)));
    scene.world.run_for(ms(200));
    scene.world.tap(|_, datagram| {
        let copied = datagram.from == addr(HOME) && datagram.payload.len() > 100;
        let copy = Verdict::Copy { from: addr(AWAY), to: datagram.to, after: Duration::ZERO };
        if copied { copy } else { Verdict::Pass }
    });
    scene.world.run_well(secs(20));
    assert_eq!(scene.world.connection(scene.conn()).expect("open").remote(), addr(HOME));
    assert_eq!(scene.said(scene.conn()), []);
}

#[test]
fn nobody_is_left_behind_under_the_conditions_of_the_thesis() {
    trials::recovers_always(PLAY, 100);
}

#[test]
fn lost_announcements_are_said_again() {
    trials::survives_lost_announcements(PLAY);
}
