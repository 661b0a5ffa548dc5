//! A client that looks for its server too early, or in vain, or in a pool (migration rules, 2.6 to 2.8).

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use peregrine::{ConnectionEvent, Instant, MigrationEvent, PathStats};

use sim::{Client, Conn, Filtering, Link, Outcome, Verdict, World, addr, ms, secs};
use stage::moves::{AWAY, HOME, Play, Scene, Stage};
use stage::trials;

/// The server hears nothing of its clients for so long.
fn deafen(scene: &mut Scene, time: Duration) {
    let link = Link::rtt(ms(20)).bandwidth(20_000_000);
    scene.world.one_way(None, Some("20.0.0.1"), link.clone().down());
    scene.world.plan(time, move |world| world.one_way(None, Some("20.0.0.1"), link));
}

fn path(world: &World, conn: Conn) -> PathStats {
    world.connection(conn).expect("open").path()
}

#[test]
fn a_client_that_looks_for_its_server_too_early_finds_it_at_home() {
    for play in Play::ALL {
        let mut scene = Stage::new(play).client(Client::echoes(100, ms(20)));
        scene.world.run_for(ms(200));
        scene.prepare(AWAY);
        // Requests are lost until the client's probe timeout, and the server has nothing to say by itself.
        deafen(&mut scene, ms(200));
        let sought = Rc::new(RefCell::new(0));
        let seen = Rc::clone(&sought);
        scene.world.tap(move |_, datagram| {
            *seen.borrow_mut() += usize::from(datagram.to == addr(AWAY));
            Verdict::Pass
        });
        scene.world.run_well(secs(20));
        assert_eq!(*sought.borrow() > 0, Play::NAMED.contains(&play), "{play:?}");
        assert_eq!(scene.world.connection(scene.conn()).expect("open").remote(), addr(HOME));
        assert_eq!(scene.completed(scene.conn()), 0, "{play:?}: {:?}", scene.said(scene.conn()));
    }
}

#[test]
fn a_client_that_looked_too_early_still_follows_when_its_server_moves() {
    for play in Play::ALL {
        let mut scene = Stage::new(play).client(Client::echoes(100, ms(20)));
        scene.world.run_for(ms(200));
        scene.prepare(AWAY);
        deafen(&mut scene, ms(200));
        scene.world.run_for(secs(1));
        scene.world.relocate(scene.server, AWAY, ms(100));
        scene.run_well(secs(20));
        scene.assert_followed(AWAY);
    }
}

#[test]
fn a_pool_of_one_address_that_is_home_survives_probe_timeouts() {
    let mut scene = Stage::new(Play::Pool(1)).client(Client::echoes(200, ms(20)));
    scene.world.run_for(ms(200));
    scene.relocate(AWAY, ms(50));
    scene.world.run_for(secs(1));
    assert_eq!(scene.completed(scene.conn()), 1);
    // The pool holds nothing but where the server is, and the client's packets are lost for a while.
    let link = Link::rtt(ms(20));
    scene.world.one_way(None, Some("20.0.9.1"), link.clone().down());
    scene.world.plan(ms(700), move |world| world.one_way(None, Some("20.0.9.1"), link));
    scene.world.run_for(ms(650));
    assert!(path(&scene.world, scene.conn()).pto_count > 1, "there were probe timeouts");
    scene.run_well(secs(20));
    scene.assert_followed(AWAY);
}

#[test]
fn a_probe_timeout_in_a_pool_throws_away_neither_window_nor_round_trip() {
    let mut scene = Stage::new(Play::Pool(3)).client(Client::upload(8_000_000));
    scene.await_connected();
    scene.world.run_for(ms(600));
    let before = path(&scene.world, scene.conn());
    assert!(before.window > 50_000, "{before:?}");
    // Acknowledgements stay away until the client's probe timeout: the pool is sought, and then home answers.
    let link = Link::rtt(ms(20)).bandwidth(20_000_000);
    scene.world.one_way(Some("20.0.0.1"), None, link.clone().down());
    let conn = scene.conn();
    scene.world.run_until(|world| world.when(conn, is_seeking).is_some(), secs(2));
    let during = path(&scene.world, conn);
    assert!(during.window >= before.window, "{} after {}", during.window, before.window);
    assert_eq!(during.min_rtt, before.min_rtt);
    scene.world.one_way(Some("20.0.0.1"), None, link);
    scene.world.run_until(|world| world.when(conn, is_back).is_some(), secs(2));
    scene.world.run_for(ms(300));
    let after = path(&scene.world, scene.conn());
    // What was lost in between may halve it once; it does not begin at ten packets again.
    assert!(after.window > 30_000, "{after:?}");
    scene.world.run_well(secs(30));
    assert_eq!(scene.completed(scene.conn()), 0);
}

fn is_seeking(event: &ConnectionEvent) -> bool {
    matches!(event, ConnectionEvent::Migration(MigrationEvent::Seeking { .. }))
}

fn is_back(event: &ConnectionEvent) -> bool {
    matches!(event, ConnectionEvent::Migration(MigrationEvent::Returned { .. }))
}

#[test]
fn the_last_member_of_a_pool_is_found_as_soon_as_the_only_one() {
    let took = [1, 2, 3, 8, 16].map(|size| {
        let stage = Stage::new(Play::Pool(size)).behind(Filtering::AddressDependent);
        trials::first_request_unheard(&stage)
    });
    assert!(took.iter().all(|time| time.abs_diff(took[0]) < ms(1)), "{took:?}");
}

/// When a client that has nothing in flight heard of its server's move; the server moves at 5 s.
fn found_after(play: Play, app: Client) -> Duration {
    let mut scene = Stage::new(play).client(app);
    scene.world.run_for(secs(5));
    scene.relocate(AWAY, ms(100));
    let moved: Instant = scene.world.now();
    scene.run_well(secs(5));
    scene.assert_followed(AWAY);
    let completed = scene.world.when(scene.conn(), |event| {
        matches!(event, ConnectionEvent::Migration(MigrationEvent::Completed { .. }))
    });
    assert_eq!(scene.world.outcome(scene.conn()), Outcome::Done);
    completed.expect("it followed").since(moved)
}

#[test]
fn a_client_that_has_nothing_to_say_is_found_within_two_round_trips() {
    for play in Play::ALL {
        let took = found_after(play, Client::echoes(1, Duration::ZERO));
        assert!(took <= ms(40), "{play:?}: {took:?}");
    }
}

#[test]
fn a_proactive_client_acknowledges_the_notice_at_home_before_it_looks_elsewhere() {
    let mut scene = Stage::new(Play::Proactive).link(Link::rtt(ms(18))).client(Client::idle());
    scene.world.run_for(secs(1));
    let client = scene.world.at(scene.conn().host).address();
    let places = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&places);
    scene.world.tap(move |_, datagram| {
        if datagram.from == client {
            seen.borrow_mut().push(datagram.to);
        }
        Verdict::Pass
    });
    let notice = scene.world.now();
    let ready = scene.prepare(AWAY);
    // Nothing holds the acknowledgement back: not even the delay that is permitted for it.
    assert!(ready.since(notice) <= ms(19), "{:?}", ready.since(notice));
    assert_eq!(places.borrow()[..2], [addr(HOME), addr(AWAY)]);
}
