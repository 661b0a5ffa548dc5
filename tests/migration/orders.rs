//! What a server's connection makes of an order, and of a move without one (migration rules, 3 and 4; reference 3.2).

use std::time::Duration;

use peregrine::{
    Local, MigrationConfig, MigrationError, MigrationEvent, MoveOrder, RelocationEvent, RelocationPlan,
    ServerConfig, SocketKey, Strategy, StrategySet,
};

use sim::{Client, Conn, World, addr, ip, ms, secs, tls};
use stage::moves::{AWAY, HOME, Play, Scene, Stage, target};

fn orders() -> [MoveOrder; 4] {
    [
        MoveOrder::Explicit(target(AWAY)),
        MoveOrder::Pool,
        MoveOrder::Symmetric,
        MoveOrder::SynchronizedSymmetric,
    ]
}

/// What a connection answers to each order.
fn answers(world: &mut World, far: Conn) -> [Result<(), MigrationError>; 4] {
    orders().map(|order| world.with(far, |now, connection| connection.migration().prepare(now, order)))
}

/// The answers to a client that plays this, of a server that permits these strategies, if any.
fn answers_of(permitted: Option<StrategySet>) -> [Result<(), MigrationError>; 4] {
    let mut world = World::new();
    let mut config = ServerConfig::new(tls::server());
    if let Some(strategies) = permitted {
        config = config.migration(MigrationConfig::new(strategies)).expect("a permit that can be");
    }
    world.server_with(HOME, config);
    let client = world.client("30.0.0.1:5000");
    let config = Stage::new(Play::Symmetric).client_config(Play::Symmetric);
    let conn = world.connect_with(client, HOME, config, Client::echoes(3, ms(10)));
    world.run_well(secs(5));
    let far = world.server_side(conn).expect("the server has it too");
    answers(&mut world, far)
}

#[test]
fn with_migration_off_or_nothing_in_common_every_order_is_refused_as_disabled() {
    assert_eq!(answers_of(None), [Err(MigrationError::Disabled); 4]);
    assert_eq!(answers_of(Some(Strategy::Explicit.into())), [Err(MigrationError::Disabled); 4]);
}

#[test]
fn an_order_during_the_handshake_is_refused_and_nothing_is_said() {
    let mut scene = Stage::new(Play::Symmetric).everything().client(Client::idle());
    // The client's first flight has come.
    scene.world.run_for(ms(12));
    let begun = scene.world.at(scene.server).endpoint().connections().next().expect("a handshake");
    let far = Conn { host: scene.server, handle: begun.0 };
    assert_eq!(answers(&mut scene.world, far), [Err(MigrationError::HandshakeNotComplete); 4]);
    scene.world.run_for(secs(1));
    assert!(scene.said(far).is_empty() && scene.said(scene.conn()).is_empty());
    // And it can be given now.
    scene.relocate(AWAY, ms(50));
    scene.run_well(secs(5));
    scene.assert_followed(AWAY);
}

#[test]
fn a_move_of_a_connection_that_has_no_order_and_needs_one_is_refused_and_it_stays_where_it_is() {
    for play in [Play::Reactive, Play::Synchronized] {
        let mut scene = Stage::new(play).client(Client::idle());
        scene.await_connected();
        let far = scene.far_end();
        let local = Local { ip: Some(ip("20.0.9.1")), ..Local::default() };
        let moved = scene.world.with(far, |now, connection| connection.migration().relocated(now, local));
        assert_eq!(moved, Err(MigrationError::NotOrdered));
        assert_eq!(scene.world.connection(far).expect("open").local().ip, Some(ip("20.0.0.1")));
        scene.world.run_for(secs(1));
        assert!(scene.said(far).is_empty());
    }
}

#[test]
fn after_a_move_every_connection_says_that_it_is_at_the_new_address() {
    let mut scene = Stage::new(Play::Symmetric).clients((0..3).map(|_| Client::idle()));
    scene.await_connected();
    let at = |scene: &Scene| -> Vec<_> {
        let endpoint = scene.world.at(scene.server).endpoint();
        endpoint.connections().map(|(_, connection)| connection.local().ip).collect()
    };
    assert_eq!(at(&scene), [Some(ip("20.0.0.1")); 3]);
    scene.relocate(AWAY, ms(50));
    assert_eq!(at(&scene), [Some(ip("20.0.9.1")); 3]);
    scene.run_well(secs(5));
    scene.assert_followed(AWAY);
}

#[test]
fn a_plan_gives_every_connection_one_notice_however_many_ids_it_has() {
    let uniform = |_: &Scene| RelocationPlan::uniform(MoveOrder::Explicit(target(AWAY)));
    let named = |scene: &Scene| scene.plan(AWAY);
    for plan in [uniform as fn(&Scene) -> RelocationPlan, named] {
        let mut scene = Stage::new(Play::Reactive).clients((0..3).map(|_| Client::idle()));
        scene.world.run_for(secs(1));
        let plan = plan(&scene);
        scene.world.prepare(scene.server, plan);
        scene.world.run_for(secs(5));
        let ready = RelocationEvent::Ready { prepared: 3, closed: 0 };
        let told: Vec<_> = scene.world.at(scene.server).relocations().map(|(_, event)| event).collect();
        assert_eq!(told, [&ready]);
        let strategy = Strategy::Explicit;
        for conn in &scene.conns {
            assert_eq!(scene.said(*conn), [MigrationEvent::Announced { strategy }]);
            let far = scene.world.server_side(*conn).expect("the server has it too");
            let ready =
                scene.said(far).into_iter().filter(|event| *event == MigrationEvent::Ready { strategy });
            assert_eq!(ready.count(), 1);
        }
    }
}

#[test]
fn a_server_whose_socket_stays_and_whose_address_changes_beneath_it_is_followed_by_all() {
    for play in Play::ALL {
        let mut scene = Stage::new(play).clients((0..3).map(|_| Client::echoes(50, ms(20))));
        scene.await_connected();
        scene.prepare(AWAY);
        scene.world.freeze(scene.server);
        scene.world.move_to(scene.server, AWAY);
        scene.world.thaw(scene.server);
        // The socket is the same, and nobody knows what the kernel will choose.
        scene.world.relocated_as(scene.server, &[(SocketKey(0), Local::default())]);
        scene.run_well(secs(20));
        scene.assert_followed(AWAY);
    }
}

// ---- the pool ---------------------------------------------------------------------------------------------

#[test]
fn a_client_is_told_no_pool_address_that_its_family_cannot_reach() {
    let mut scene =
        Stage::new(Play::Pool(1)).pool(&["[2a00::1]:443", AWAY]).client(Client::echoes(50, ms(20)));
    scene.await_connected();
    scene.world.run_for(ms(100));
    assert_eq!(scene.said(scene.conn()), [MigrationEvent::PoolAddress { target: target(AWAY) }]);
    scene.relocate(AWAY, ms(50));
    scene.run_well(secs(10));
    scene.assert_followed(AWAY);
}

#[test]
fn a_pool_that_a_client_cannot_reach_at_all_is_an_empty_one() {
    let mut scene =
        Stage::new(Play::Pool(1)).pool(&["[2a00::1]:443"]).client(Client::echoes(1, Duration::ZERO));
    scene.world.run_well(secs(5));
    let far = scene.far_end();
    let refused =
        scene.world.with(far, |now, connection| connection.migration().prepare(now, MoveOrder::Pool));
    assert_eq!(refused, Err(MigrationError::EmptyPool));
    assert_eq!(scene.world.connection(scene.conn()).expect("open").remote(), addr(HOME));
}
