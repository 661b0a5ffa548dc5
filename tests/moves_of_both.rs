//! Clients that move while their server is about to, or does, or has (server-migration rules, 5).

use std::net::SocketAddr;

use peregrine::{
    ConnectionEvent, FourTuple, Instant, Local, MigrationEvent, PathError, PathEvent, SocketKey,
};

use sim::{Client, Conn, HostId, Link, World, addr, ms, secs};
use stage::log::{Log, watch};
use stage::moves::{AWAY, HOME, Play, Scene, Stage};

/// One more address of a host.
fn another(world: &mut World, host: HostId, address: &str) -> Local {
    let socket = world.add_socket(host, address);
    world.at(host).local(socket)
}

fn rebind(world: &mut World, conn: Conn, local: Local) -> Result<(), PathError> {
    world.with(conn, |now, connection| connection.rebind(now, local))
}

fn probe(world: &mut World, conn: Conn, local: Local) -> Result<(), PathError> {
    world.with(conn, |now, connection| connection.probe(now, local))
}

/// What a client was told of its paths.
fn paths(world: &World, conn: Conn) -> Vec<PathEvent> {
    let events = world.at(conn.host).said(conn.handle).filter_map(|(_, event)| match event {
        ConnectionEvent::Path(event) => Some(*event),
        _ => None,
    });
    events.collect()
}

/// Moves a client to another address so long after its server was ready to move, and the server too. Says when it was back.
fn both_move(play: Play, seed: u64, client_moves_at: u64) -> (Scene, Log, Instant) {
    let mut scene = Stage::new(play).seed(seed).kept_alive().client(Client::echoes(100, ms(50)));
    let log = watch(&mut scene.world);
    scene.await_connected();
    scene.world.run_for(ms(200));
    let conn = scene.conn();
    let local = another(&mut scene.world, conn.host, "30.0.1.1:5000");
    scene.prepare(AWAY);
    let back = scene.world.now() + ms(700);
    let server = scene.server;
    // The server freezes at 500 ms and is back, elsewhere, at 700 ms.
    scene.world.plan(ms(client_moves_at), move |world| {
        world.links_of("30.0.0.1", Link::delay(ms(10)).down());
        assert_eq!(rebind(world, conn, local), Ok(()));
    });
    scene.world.plan(ms(500), move |world| {
        world.freeze(server);
        world.move_to(server, AWAY);
    });
    scene.world.plan(ms(700), move |world| {
        world.thaw(server);
        world.relocated(server);
    });
    scene.world.run_for(ms(800));
    scene.run_well(secs(30));
    (scene, log, back)
}

#[test]
fn a_client_moves_while_its_server_does() {
    for play in Play::NAMED {
        for (seed, at) in (1..).zip([0, 300, 480, 495, 505, 600, 690, 700, 710, 720, 730, 750, 780]) {
            let (scene, ..) = both_move(play, seed, at);
            scene.assert_followed(AWAY);
            let conn = scene.world.connection(scene.conn()).expect("it is open");
            assert_eq!(conn.local().socket, SocketKey(1), "{play:?}, {at} ms");
        }
    }
}

#[test]
fn a_client_that_moves_before_or_after_its_server_does_is_shown_to_as_before() {
    for play in Play::SHOWN {
        for (seed, at) in (1..).zip([0, 300, 470, 730, 750, 780]) {
            let (scene, ..) = both_move(play, seed, at);
            scene.assert_followed(AWAY);
        }
    }
}

#[test]
fn between_announcement_and_move_a_client_moves_without_a_challenge() {
    let (scene, log, _) = both_move(Play::Reactive, 1, 100);
    let conn = scene.conn();
    assert_eq!(paths(&scene.world, conn), []);
    let there = |entry: &&(Instant, SocketAddr, SocketAddr, Vec<u8>)| {
        entry.1 == addr("30.0.1.1:5000") && entry.2 == addr(HOME)
    };
    let first = log.borrow().iter().find(there).map(|entry| entry.3.len());
    assert!(first.is_some_and(|len| len < 200), "{first:?}");
}

#[test]
fn paths_are_not_probed_while_a_server_is_about_to_move() {
    let mut scene = Stage::new(Play::Reactive).client(Client::echoes(100, ms(20)));
    scene.await_connected();
    let conn = scene.conn();
    let local = another(&mut scene.world, conn.host, "30.0.1.1:5000");
    scene.prepare(AWAY);
    scene.world.run_for(ms(100));
    assert_eq!(probe(&mut scene.world, conn, local), Err(PathError::Busy));
    scene.world.run_well(secs(30));
}

#[test]
fn a_path_that_was_probed_is_worth_nothing_once_the_server_has_moved() {
    let mut scene = Stage::new(Play::Symmetric).client(Client::echoes(100, ms(20)));
    scene.await_connected();
    let conn = scene.conn();
    let local = another(&mut scene.world, conn.host, "30.0.1.1:5000");
    assert_eq!(probe(&mut scene.world, conn, local), Ok(()));
    scene.world.run_for(ms(100));
    scene.relocate(AWAY, ms(100));
    scene.run_well(secs(30));
    scene.assert_followed(AWAY);
    let path = FourTuple { local, remote: addr(HOME) };
    assert_eq!(paths(&scene.world, conn).last(), Some(&PathEvent::Failed { path }));
    assert_eq!(rebind(&mut scene.world, conn, local), Ok(()));
}

/// When a client had followed.
fn followed(scene: &Scene) -> Instant {
    let conn = scene.conn();
    let mut said = scene.world.at(conn.host).said(conn.handle);
    let completed = said.find_map(|(at, event)| match event {
        ConnectionEvent::Migration(MigrationEvent::Completed { .. }) => Some(at),
        _ => None,
    });
    completed.expect("it followed")
}

#[test]
fn a_client_that_moves_while_its_server_is_away_finds_it_soon_after_it_is_back() {
    // With what is assumed of an unknown path it took 0.9 s, 0.9 s, and 1.9 s.
    for (play, longest) in [(Play::Reactive, 100), (Play::Proactive, 450), (Play::Pool(3), 400)] {
        for (seed, at) in (1..).zip([495, 505, 600, 650, 690]) {
            let (scene, _, back) = both_move(play, seed, at);
            let after = followed(&scene).since(back);
            assert!(after < ms(longest), "{play:?}, {at} ms: {after:?}");
        }
    }
}
