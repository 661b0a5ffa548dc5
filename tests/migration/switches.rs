//! What a server does when it has moved, and when its move is over (migration rules, 3.1 to 3.4).

use std::cell::RefCell;
use std::rc::Rc;

use peregrine::{
    ConnectionEvent, Local, MigrationConfig, MigrationEvent, MoveOrder, PathStats, RelocationPlan, SocketKey,
    Strategy, StrategySet, TransportConfig,
};

use crate::forger::wire::{
    NEW_CONNECTION_ID, PATH_CHALLENGE, PATH_RESPONSE, RETIRE_CONNECTION_ID, path as about_path, words,
};
use crate::forger::{Setup, Space, Stage as Forged, Victim};
use sim::{Client, Conn, Link, Verdict, World, addr, ip, ms, secs};
use stage::moves::{AWAY, BEYOND, HOME, Play, Stage};

fn path(world: &World, conn: Conn) -> PathStats {
    world.connection(conn).expect("open").path()
}

#[test]
fn an_announcement_waits_for_no_congestion_window_and_is_padded() {
    for play in Play::ALL {
        let mut scene = Stage::new(play).client(Client::download(1_500_000));
        scene.await_connected();
        scene.world.run_for(ms(300));
        scene.prepare(AWAY);
        let first = Rc::new(RefCell::new(None));
        let seen = Rc::clone(&first);
        scene.world.tap(move |now, datagram| {
            if datagram.from == addr(AWAY) {
                seen.borrow_mut().get_or_insert((now, datagram.payload.len()));
            }
            Verdict::Pass
        });
        // The window is full when the server freezes: nothing of it is acknowledged at the old address.
        scene.world.one_way(None, Some("20.0.0.1"), Link::rtt(ms(20)).down());
        scene.world.run_for(ms(30));
        scene.world.relocate(scene.server, AWAY, ms(50));
        let moved = scene.world.now();
        scene.world.run_for(ms(1));
        assert_eq!(*first.borrow(), Some((moved, 1200)), "{play:?}");
        scene.run_well(secs(30));
        scene.assert_followed(AWAY);
    }
}

#[test]
fn an_announcement_that_is_lost_is_made_again_though_there_is_nothing_else_to_say() {
    for play in Play::ALL {
        for losses in [1, 3, 5] {
            let mut scene = Stage::new(play).client(Client::echoes(1, std::time::Duration::ZERO));
            scene.world.run_for(secs(5));
            let mut lost = 0;
            scene.world.tap(move |_, datagram| {
                lost += usize::from(datagram.from == addr(AWAY));
                if datagram.from == addr(AWAY) && lost <= losses { Verdict::Drop } else { Verdict::Pass }
            });
            scene.relocate(AWAY, ms(50));
            scene.run_well(secs(10));
            scene.assert_followed(AWAY);
        }
    }
}

#[test]
fn the_window_of_the_old_path_is_not_spent_on_the_new_one() {
    for play in Play::ALL {
        let mut scene = Stage::new(play).client(Client::download(3_000_000));
        scene.await_connected();
        let far = scene.far_end();
        scene.world.run_for(ms(400));
        let before = path(&scene.world, far);
        assert!(before.window > 40_000, "{before:?}");
        scene.relocate(AWAY, ms(50));
        let after = path(&scene.world, far);
        assert_eq!((after.window, after.datagram_size), (12_000, 1200), "{play:?}");
        // The announcement, and what may go with it.
        assert!(after.in_flight <= 3 * 1200, "{play:?}: {} in flight", after.in_flight);
        scene.run_well(secs(60));
        scene.assert_followed(AWAY);
    }
}

#[test]
fn what_is_lost_with_the_old_path_does_not_shrink_the_new_window_and_no_outage_is_measured() {
    for play in Play::ALL {
        for app in [Client::download(3_000_000), Client::upload(3_000_000)] {
            let mut scene = Stage::new(play).link(Link::rtt(ms(20))).client(app);
            scene.await_connected();
            let ends = [scene.conn(), scene.far_end()];
            scene.world.run_for(ms(100));
            let congestions = |world: &World| {
                ends.map(|end| world.connection(end).expect("open").stats().congestion_events)
            };
            assert_eq!(congestions(&scene.world), [0, 0]);
            // Whatever is on its way is lost: the outage lasts for a quarter of a second.
            scene.relocate(AWAY, ms(250));
            let mut longest = ms(0);
            for _ in 0..200 {
                scene.world.run_for(ms(5));
                // A path that was not measured yet shows the 333 ms that are presumed of any.
                let rtts = ends.map(|end| path(&scene.world, end).latest_rtt).into_iter();
                let measured = rtts.filter(|rtt| *rtt != ms(333)).max();
                longest = longest.max(measured.unwrap_or_default());
            }
            assert!((ms(20)..ms(60)).contains(&longest), "{play:?}: {longest:?}");
            assert_eq!(congestions(&scene.world), [0, 0], "{play:?}");
            scene.run_well(secs(30));
            scene.assert_followed(AWAY);
        }
    }
}

// ---- the end ----------------------------------------------------------------------------------------------

#[test]
fn a_move_that_the_client_cannot_see_ends_and_the_next_one_may_begin() {
    for play in Play::ALL {
        let pool: &[&str] = if play == Play::Pool(3) { &[BEYOND, AWAY] } else { &[] };
        let mut scene = Stage::new(play).pool(pool).client(Client::echoes(400, ms(20)));
        scene.world.run_for(ms(300));
        scene.prepare(BEYOND);
        // A translator or a balancer stands before the server: its own address is another, and clients see the old one.
        let local = Local { ip: Some(ip("20.0.9.2")), ..Local::default() };
        scene.world.relocated_as(scene.server, &[(SocketKey(0), local)]);
        scene.world.run_for(secs(3));
        assert_eq!(scene.settled(), [(1, 0)], "{play:?}");
        assert_eq!(scene.world.connection(scene.conn()).expect("open").remote(), addr(HOME));
        // A client that was told where its server would be waits for it there.
        let next = if play.strategy() == Strategy::Explicit { BEYOND } else { AWAY };
        scene.relocate(next, ms(50));
        scene.run_well(secs(20));
        assert_eq!(scene.settled(), [(1, 0), (1, 0)], "{play:?}");
        assert_eq!(scene.world.connection(scene.conn()).expect("open").remote(), addr(next));
    }
}

#[test]
fn a_challenge_whose_answer_was_late_is_not_made_again_after_the_move() {
    for play in Play::ALL {
        let mut scene = Stage::new(play).client(Client::echoes(100, ms(20)));
        scene.world.run_for(ms(300));
        scene.prepare(AWAY);
        // The first challenge is held up for so long that others follow it, and all are answered in the end.
        let mut number = 0;
        scene.world.tap(move |_, datagram| {
            number += usize::from(datagram.to == addr(AWAY));
            if datagram.to == addr(AWAY) && number == 1 { Verdict::Delay(ms(250)) } else { Verdict::Pass }
        });
        scene.world.relocate(scene.server, AWAY, ms(50));
        let conn = scene.conn();
        let completed = |event: &ConnectionEvent| {
            matches!(event, ConnectionEvent::Migration(MigrationEvent::Completed { .. }))
        };
        scene.world.run_until(|world| world.when(conn, completed).is_some(), secs(3));
        let seeks = |world: &World| world.connection(conn).expect("open").stats().seeks;
        let before = seeks(&scene.world);
        scene.run_well(secs(20));
        assert_eq!(seeks(&scene.world), before, "{play:?}");
        scene.assert_followed(AWAY);
    }
}

/// Before our server, with a forging client that agreed on everything but Pool.
fn server() -> Forged {
    let setup = Setup::params(|params| params.integer(0x64, 13));
    let migration = Some(MigrationConfig::new(StrategySet::ALL));
    Forged::that_migrates(Victim::Server, TransportConfig::default(), migration, &setup).connect()
}

fn is_over(stage: &Forged) -> bool {
    let mut said = stage.world.at(stage.host).said(stage.conn().handle);
    said.any(|(_, event)| matches!(event, ConnectionEvent::Migration(MigrationEvent::Completed { .. })))
}

/// Our server moves its only connection, on paper: the forger is where it was.
fn relocate(stage: &mut Forged) {
    let local = Local { ip: Some(ip("45.0.0.2")), ..Local::default() };
    stage.speak(|now, ours| ours.migration().relocated(now, local)).expect("a move");
}

#[test]
fn an_answer_given_before_the_move_does_not_end_it_however_late_it_is_acknowledged() {
    for order in [MoveOrder::Symmetric, MoveOrder::SynchronizedSymmetric] {
        let mut stage = server();
        stage.speak(|now, ours| ours.migration().prepare(now, order)).expect("agreed on");
        stage.listen();
        let ack = stage.forger.ack_of_all(Space::OneRtt);
        stage.say(&ack);
        // The client has a reason of its own to ask for its path, for instance its own move.
        stage.say(&about_path(PATH_CHALLENGE, 7));
        assert_eq!(stage.heard(PATH_RESPONSE).len(), 1);
        let late = stage.forger.ack_of_all(Space::OneRtt);
        relocate(&mut stage);
        stage.say(&late);
        assert!(!is_over(&stage), "{order:?}");
        // One that is asked after the move ends it.
        stage.say(&about_path(PATH_CHALLENGE, 8));
        let ack = stage.forger.ack_of_all(Space::OneRtt);
        stage.say(&ack);
        assert!(is_over(&stage), "{order:?}");
        stage.goes_on();
    }
}

#[test]
fn a_late_acknowledgement_of_an_earlier_moves_frames_is_no_error() {
    let mut stage = server();
    relocate(&mut stage);
    stage.listen();
    let late = stage.forger.ack_of_all(Space::OneRtt);
    stage.say(&about_path(PATH_CHALLENGE, 7));
    // The answer is acknowledged, and SERVER_MIGRATED never was.
    let answer = stage.forger.next_number(Space::OneRtt);
    assert!(answer > 0);
    let ack = stage.forger.ack_of_all(Space::OneRtt);
    stage.say(&ack);
    assert!(is_over(&stage));
    let next = MoveOrder::Explicit(stage::moves::target("45.0.0.3:443"));
    stage.speak(|now, ours| ours.migration().prepare(now, next)).expect("the first move is over");
    stage.say(&late);
    stage.goes_on();
}

#[test]
fn a_client_that_never_answers_is_challenged_as_often_as_it_has_ids_to_burn_and_no_more() {
    let mut stage = server();
    relocate(&mut stage);
    stage.listen_for(secs(15));
    let spare = stage.heard(NEW_CONNECTION_ID).len();
    assert_eq!((spare, stage.heard(PATH_CHALLENGE).len()), (2, 2));
    // It gives one back, and has another for that.
    let retired = words(&[RETIRE_CONNECTION_ID, 1]);
    stage.say(&retired);
    stage.listen_for(secs(10));
    assert_eq!(stage.heard(PATH_CHALLENGE).len(), 3);
}

#[test]
fn a_client_that_answers_by_acks_alone_is_pulled_back_as_often_as_it_has_ids_to_burn_and_no_more() {
    let mut stage = server();
    let order = MoveOrder::Explicit(stage::moves::target("45.0.0.3:443"));
    stage.speak(|now, ours| ours.migration().prepare(now, order)).expect("agreed on");
    // It seems to have sent something elsewhere.
    stage.forger.skip_number(Space::OneRtt);
    for _ in 0..10 {
        stage.listen_for(ms(2100));
        let ack = stage.forger.ack_of_all(Space::OneRtt);
        stage.say(&ack);
    }
    let spare = stage.heard(NEW_CONNECTION_ID).len();
    assert_eq!((spare, stage.heard(PATH_CHALLENGE).len()), (2, 2));
}

#[test]
fn a_server_on_a_wildcard_socket_judges_a_target_by_its_clients_address() {
    let mut scene = Stage::new(Play::Reactive).client(Client::echoes(50, ms(20)));
    scene.world.wildcard(scene.server);
    scene.await_connected();
    let far = scene.far_end();
    assert_eq!(scene.world.connection(far).expect("open").local().ip, None);
    let to = |v4, v6| peregrine::MigrationTarget::new(v4, v6).expect("an endpoint");
    let v6 = Some("[2a00::1]:443".parse().expect("an endpoint"));
    let only_v6 = MoveOrder::Explicit(to(None, v6));
    let refused = scene.world.with(far, |now, connection| connection.migration().prepare(now, only_v6));
    assert_eq!(refused, Err(peregrine::MigrationError::Target));
    let both = MoveOrder::Explicit(to(Some("20.0.9.1:443".parse().expect("an endpoint")), v6));
    scene.world.relocate_by(scene.server, RelocationPlan::uniform(both), AWAY, ms(50));
    scene.run_well(secs(20));
    scene.assert_followed(AWAY);
    let completed = MigrationEvent::Completed { strategy: Strategy::Explicit, address: Some(addr(AWAY)) };
    assert!(scene.said(scene.conn()).contains(&completed));
}
