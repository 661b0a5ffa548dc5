//! Early data on connections whose server moves.

use std::sync::Arc;
use std::time::Duration;

use peregrine::{
    Agreement, ConnectionEvent, EarlyData, EndpointConfig, MigrationConfig, RelocationPlan, VarInt,
};

use crate::scene::{CLIENT, SECOND, Scene, taking, usual};
use sim::{Client, Conn, HostId, Link, Outcome, Server, World, addr, ms, secs, tls};
use stage::moves::{AWAY, HOME, Play};

/// A server at home that takes early data and plays this, and a client that was there before under the same terms.
fn at_home(play: Play) -> Scene {
    let server_tls = tls::server();
    let offer = MigrationConfig::new(play.strategy().into()).pool(play.pool());
    let config = taking(&server_tls, usual()).migration(offer).expect("an offer that can be");
    let mut world = World::new();
    world.links(Link::rtt(ms(20)));
    world.server_with(HOME, config);
    let client = world.client(CLIENT);
    let mut scene = Scene { world, client, client_tls: tls::resuming_client(), server_tls };
    let config = scene.config().migration(play.offer()).expect("an offer that can be");
    let conn = scene.connect(HOME, config, Client::echoes(1, Duration::ZERO));
    scene.world.run_well(secs(1));
    scene.world.run_for(ms(100));
    scene.world.with(conn, |now, connection| connection.close(now, VarInt::ZERO, b""));
    scene.world.run_for(secs(1));
    scene
}

fn agreed(world: &World, conn: Conn) -> Option<Agreement> {
    let mut said = world.at(conn.host).said(conn.handle);
    said.find_map(|(_, event)| match event {
        ConnectionEvent::Connected { migration } => Some(*migration),
        _ => None,
    })?
}

#[test]
fn a_server_moves_under_a_connection_that_began_early() {
    for play in Play::ALL {
        let mut scene = at_home(play);
        let config = scene.config().migration(play.offer()).expect("an offer that can be");
        let conn = scene.connect(HOME, config, Client::echoes(60, ms(50)));
        scene.world.run_for(ms(200));
        assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Accepted]);
        let server_side = scene.world.server_side(conn).expect("the server has it too");
        let agreements = [conn, server_side].map(|end| agreed(&scene.world, end));
        assert!(
            agreements.iter().all(|a| a.is_some_and(|a| a.strategies() == play.strategy().into())),
            "{play:?}"
        );
        let plan = RelocationPlan::uniform(play.order(AWAY));
        scene.world.relocate_by(HostId(0), plan, AWAY, ms(100));
        scene.world.run_until_done(secs(20));
        assert_eq!(scene.world.outcome(conn), Outcome::Done, "{play:?}");
        assert_eq!(scene.world.connection(conn).expect("open").remote(), addr(AWAY), "{play:?}");
    }
}

#[test]
fn what_was_agreed_on_a_move_is_not_remembered() {
    let mut scene = at_home(Play::Symmetric);
    let conn = scene.ask(HOME);
    scene.world.run_well(secs(1));
    let server_side = scene.world.server_side(conn).expect("the server has it too");
    assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Accepted]);
    assert_eq!([conn, server_side].map(|end| agreed(&scene.world, end)), [None, None]);
}

#[test]
fn after_a_retry_and_early_data_a_server_still_moves() {
    let mut scene = at_home(Play::Symmetric);
    let offer = MigrationConfig::new(Play::Symmetric.strategy().into());
    let config = taking(&scene.server_tls, usual()).migration(offer).expect("an offer that can be");
    let config = EndpointConfig::server(Arc::new(config)).half_open_limit(0);
    let server = scene.world.host(SECOND, config, Some(|| Box::new(Server::default())));
    let config = scene.config().migration(Play::Symmetric.offer()).expect("an offer that can be");
    let conn = scene.connect(SECOND, config, Client::echoes(60, ms(50)));
    scene.world.run_for(ms(200));
    assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Accepted]);
    scene.world.relocate_by(server, RelocationPlan::uniform(Play::Symmetric.order(AWAY)), AWAY, ms(100));
    scene.world.run_until_done(secs(20));
    assert_eq!(scene.world.outcome(conn), Outcome::Done);
    assert_eq!(scene.world.connection(conn).expect("open").remote(), addr(AWAY));
}
