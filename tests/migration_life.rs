//! The life of connections whose server may move, as their two ends tell it: the beginning, the moves, the end.

use std::net::IpAddr;
use std::time::Duration;

use peregrine::{
    CloseReason, ConnectionEvent, FrameKind, Local, MigrationEvent, MoveOrder, RelocationEvent,
    RelocationPlan, SocketKey, Strategy, StrategySet,
};

use sim::{Client, Conn, Filtering, World, addr, ms, secs};
use stage::moves::{AWAY, BEYOND, HOME, Play, Stage, target};

/// Another port of the server's host.
const NEXT_DOOR: &str = "20.0.0.1:4433";

/// What a connection said, of whatever kind.
fn events(world: &World, conn: Conn) -> Vec<ConnectionEvent> {
    world.at(conn.host).said(conn.handle).map(|(_, event)| event.clone()).collect()
}

fn completed(strategy: Strategy, to: &str) -> MigrationEvent {
    MigrationEvent::Completed { strategy, address: Some(addr(to)) }
}

/// The same at the server, which was told by whoever moved it where it is.
fn over(strategy: Strategy) -> MigrationEvent {
    MigrationEvent::Completed { strategy, address: None }
}

fn seeking(strategy: Strategy, to: &str) -> MigrationEvent {
    MigrationEvent::Seeking { strategy, address: addr(to) }
}

fn acknowledged(kind: FrameKind) -> MigrationEvent {
    MigrationEvent::FrameAcknowledged { kind }
}

// ---- the beginning and the end ------------------------------------------------------------------------

#[test]
fn a_server_hears_of_each_client_once_with_its_address_and_what_was_agreed() {
    for play in Play::ALL {
        let mut scene = Stage::new(play).clients((0..3).map(|_| Client::echoes(3, ms(10))));
        scene.world.run_well(secs(5));
        for (number, conn) in (1..).zip(scene.conns.clone()) {
            let far = scene.world.server_side(conn).expect("the server has it too");
            let connected: Vec<_> = events(&scene.world, far)
                .into_iter()
                .filter_map(|event| match event {
                    ConnectionEvent::Connected { migration } => Some(migration.map(|all| all.strategies())),
                    _ => None,
                })
                .collect();
            assert_eq!(connected, [Some(StrategySet::from(play.strategy()))]);
            let remote = scene.world.connection(far).expect("open").remote();
            assert_eq!(remote, addr(&format!("30.0.0.{number}:5000")));
        }
    }
}

#[test]
fn a_server_hears_once_that_a_client_has_left_and_which() {
    let mut scene = Stage::new(Play::Symmetric).clients((0..3).map(|_| Client::echoes(3, ms(10))));
    scene.world.run_well(secs(5));
    let ends: Vec<_> = scene.conns.iter().map(|conn| scene.world.server_side(*conn)).collect();
    let name = scene.world.connection(scene.conns[1]).map(|conn| conn.original_id());
    assert_eq!(scene.world.connection(ends[1].expect("open")).map(|conn| conn.original_id()), name);
    scene.world.with(scene.conns[1], |now, conn| conn.close(now, 7u32.into(), b"enough"));
    scene.world.run_for(secs(1));
    let closed = ends.into_iter().flatten().map(|far| {
        let all = events(&scene.world, far).into_iter();
        all.filter(|event| matches!(event, ConnectionEvent::Closed(CloseReason::Application { .. }))).count()
    });
    assert_eq!(closed.collect::<Vec<_>>(), [0, 1, 0]);
}

// ---- one move -----------------------------------------------------------------------------------------

/// A client that is asked for an echo before the move and after it, and nothing else: what both ends say of the move.
fn told(stage: &Stage, to: &str) -> [Vec<MigrationEvent>; 2] {
    let mut scene = stage.client(Client::echoes(1, Duration::ZERO));
    scene.world.run_well(secs(5));
    scene.world.run_for(secs(1));
    let (near, far) = (scene.conn(), scene.far_end());
    let before = [near, far].map(|end| scene.said(end).len());
    scene.relocate(to, ms(100));
    scene.run_well(secs(10));
    scene.world.ask(near, Client::echo());
    scene.world.run_well(secs(5));
    scene.assert_followed(to);
    [(near, before[0]), (far, before[1])].map(|(end, before)| scene.said(end).split_off(before))
}

#[test]
fn an_explicit_move_is_told_in_order_and_nothing_else_is() {
    let strategy = Strategy::Explicit;
    let [client, server] = told(&Stage::new(Play::Reactive), AWAY);
    let announced = MigrationEvent::Announced { strategy };
    assert_eq!(client, [announced, seeking(strategy, AWAY), completed(strategy, AWAY)]);
    let ready = [acknowledged(FrameKind::ServerMigration), MigrationEvent::Ready { strategy }];
    assert_eq!(server, [&ready[..], &[over(strategy)]].concat());
}

#[test]
fn a_move_within_a_pool_of_four_to_its_last_is_told_in_order_and_nothing_else_is() {
    let strategy = Strategy::Pool;
    let [client, server] = told(&Stage::new(Play::Pool(4)), AWAY);
    let members = ["20.0.5.1:443", "20.0.5.2:443", "20.0.5.3:443", AWAY].map(|to| seeking(strategy, to));
    assert_eq!(client, [&members[..], &[completed(strategy, AWAY)]].concat());
    assert_eq!(server, [MigrationEvent::Ready { strategy }, over(strategy)]);
}

#[test]
fn a_symmetric_move_is_told_in_order_though_the_client_says_nothing() {
    let strategy = Strategy::Symmetric;
    let [client, server] = told(&Stage::new(Play::Symmetric), AWAY);
    assert_eq!(client, [MigrationEvent::Migrated, completed(strategy, AWAY)]);
    let migrated = acknowledged(FrameKind::ServerMigrated);
    assert_eq!(server, [MigrationEvent::Ready { strategy }, migrated, over(strategy)]);
}

#[test]
fn a_synchronized_move_is_told_in_order_though_the_client_says_nothing() {
    let strategy = Strategy::SynchronizedSymmetric;
    let [client, server] = told(&Stage::new(Play::Synchronized), AWAY);
    let announced = MigrationEvent::Announced { strategy };
    assert_eq!(client, [announced, MigrationEvent::Migrated, completed(strategy, AWAY)]);
    let ready = [acknowledged(FrameKind::ServerMigration), MigrationEvent::Ready { strategy }];
    let migrated = acknowledged(FrameKind::ServerMigrated);
    assert_eq!(server, [&ready[..], &[migrated, over(strategy)]].concat());
}

#[test]
fn a_move_to_another_port_of_the_same_host_is_a_move() {
    for play in Play::ALL {
        let stage = if matches!(play, Play::Pool(_)) {
            Stage::new(play).pool(&["20.0.0.1:4432", NEXT_DOOR])
        } else {
            Stage::new(play)
        };
        let [client, _] = told(&stage, NEXT_DOOR);
        assert_eq!(client.last(), Some(&completed(play.strategy(), NEXT_DOOR)), "{play:?}");
    }
}

/// The server moves to another port, and tells the library this of its address; then a translator forgets the client.
fn follows_after_another_port(ip: Option<IpAddr>) {
    for play in Play::ALL {
        let stage = Stage::new(play).pool(if play == Play::Pool(3) { &[NEXT_DOOR] } else { &[] });
        let mut scene =
            stage.behind(Filtering::EndpointIndependent).client(Client::echoes(1, Duration::ZERO));
        scene.world.run_well(secs(5));
        scene.prepare(NEXT_DOOR);
        scene.world.move_to(scene.server, NEXT_DOOR);
        scene.world.relocated_as(scene.server, &[(SocketKey(0), Local { socket: SocketKey(0), ip })]);
        scene.world.run_for(secs(2));
        scene.world.rebind_nat(scene.conn().host, None);
        scene.world.ask(scene.conn(), Client::echo());
        scene.world.run_well(secs(5));
        let far = scene.far_end();
        let moved = |event: &ConnectionEvent| matches!(event, ConnectionEvent::PeerMoved { .. });
        assert_eq!(events(&scene.world, far).iter().filter(|event| moved(event)).count(), 1, "{play:?}");
    }
}

#[test]
fn a_server_that_moved_to_another_port_follows_its_clients_still() {
    follows_after_another_port(Some(addr(HOME).ip()));
}

#[test]
fn a_server_that_moved_and_does_not_say_where_it_is_follows_its_clients_still() {
    follows_after_another_port(None);
}

// ---- many -----------------------------------------------------------------------------------------------

#[test]
fn three_clients_follow_one_order_given_to_all_and_can_be_reached_afterwards() {
    for play in Play::ALL {
        let mut scene = Stage::new(play).clients((0..3).map(|_| Client::echoes(1, Duration::ZERO)));
        scene.world.run_well(secs(5));
        let plan = RelocationPlan::uniform(play.order(AWAY));
        scene.world.relocate_by(scene.server, plan, AWAY, ms(100));
        scene.run_well(secs(10));
        for conn in scene.conns.clone() {
            scene.world.ask(conn, Client::echo());
        }
        scene.world.run_well(secs(5));
        scene.assert_followed(AWAY);
    }
}

#[test]
fn a_server_without_clients_prepares_turns_newcomers_away_and_takes_them_at_its_new_address() {
    let mut scene = Stage::new(Play::Symmetric).clients([]);
    let plan = RelocationPlan::uniform(MoveOrder::Symmetric).refuse_initials();
    scene.world.prepare(scene.server, plan);
    let ready = RelocationEvent::Ready { prepared: 0, closed: 0 };
    assert_eq!(scene.world.at(scene.server).relocations().last().map(|(_, event)| event), Some(&ready));
    let early = scene.newcomer(Play::Symmetric, Client::echoes(1, Duration::ZERO));
    scene.world.run_for(secs(1));
    assert!(matches!(scene.world.closed(early), Some(CloseReason::Peer { .. })));
    scene.world.relocate(scene.server, AWAY, ms(100));
    let late = scene.newcomer_at(Play::Symmetric, AWAY, Client::echoes(1, Duration::ZERO));
    scene.world.run_for(secs(1));
    assert!(scene.world.is_connected(late));
}

#[test]
fn a_pool_that_holds_home_is_moved_through_and_back() {
    let stage = Stage::new(Play::Pool(2)).pool(&[HOME, AWAY]);
    let mut scene = stage.client(Client::echoes(1, Duration::ZERO));
    scene.world.run_well(secs(5));
    for to in [AWAY, HOME] {
        scene.relocate(to, ms(100));
        scene.world.run_for(secs(3));
        scene.world.ask(scene.conn(), Client::echo());
        scene.world.run_well(secs(5));
        assert_eq!(scene.said(scene.conn()).last(), Some(&completed(Strategy::Pool, to)));
    }
    let told = |member| MigrationEvent::PoolAddress { target: target(member) };
    assert_eq!(scene.said(scene.conn())[..2], [told(HOME), told(AWAY)]);
    assert_eq!(scene.settled(), [(1, 0); 2]);
}

#[test]
fn a_cancelled_order_costs_an_idle_connection_little_however_long_it_binds() {
    for play in Play::ALL {
        let mut scene = Stage::new(play).patience(secs(30), secs(3600)).client(Client::idle());
        scene.await_connected();
        scene.prepare(AWAY);
        scene.world.cancel(scene.server);
        scene.world.run_for(secs(60));
        let before = scene.world.trace().datagrams();
        scene.world.run_for(secs(600));
        // A question of the server's every five seconds, one of the client's every fifteen, and their answers.
        let datagrams = scene.world.trace().datagrams() - before;
        assert!(datagrams <= 350, "{play:?}: {datagrams} in ten minutes");
    }
}

#[test]
fn a_server_that_moves_on_before_it_was_followed_is_found() {
    // The first announcement is heard after 10 ms. A client that has followed one that was announced alone waits for
    // another announcement: such a server has to give notice again.
    let always = [0, 5, 10, 15, 20, 25, 30, 40, 60, 100, 200];
    for (play, waits) in
        [(Play::Symmetric, &always[..]), (Play::Pool(2), &always[..]), (Play::Synchronized, &always[..4])]
    {
        for wait in waits {
            let stage = Stage::new(play).pool(if play == Play::Pool(2) { &[AWAY, BEYOND] } else { &[] });
            let mut scene = stage.client(Client::echoes(60, ms(20)));
            scene.world.run_for(ms(300));
            scene.relocate(AWAY, ms(20));
            scene.world.run_for(ms(*wait));
            scene.world.relocate(scene.server, BEYOND, ms(20));
            scene.world.run_well(secs(10));
            let remote = scene.world.connection(scene.conn()).expect("open").remote();
            assert_eq!(remote, addr(BEYOND), "{play:?}, {wait} ms");
        }
    }
}
