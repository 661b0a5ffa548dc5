//! Clients that move, at once and after a look at the other path (RFC 9000, Section 9).

use std::cell::Cell;
use std::net::SocketAddr;

use peregrine::{
    CloseReason, Connection, ConnectionEvent, Event, FourTuple, Instant, Local, PathError, PathEvent,
    ServerConfig, SocketKey, VarInt, peek,
};

use sim::{Client, Conn, Dice, Filtering, HostId, Link, Nat, World, addr, for_seeds, ip, ms, secs, tls};
use stage::log::{Log, assert_no_id_was_on_two_paths, watch};
use stage::moves::{HOME, Play, Scene, Stage};

const SERVER: &str = "45.0.0.1:443";
const FIRST: &str = "30.0.0.1:5000";
const SECOND: &str = "30.0.1.1:5000";

/// The lengths of what left an address since then.
fn lengths_from(log: &Log, from: &str, since: Instant) -> Vec<usize> {
    let log = log.borrow();
    let left = log.iter().filter(|(at, source, ..)| *at >= since && *source == addr(from));
    left.map(|(.., payload)| payload.len()).collect()
}

/// Bytes that were sent to an address since then.
fn bytes_to(log: &Log, to: &str, since: Instant) -> usize {
    let log = log.borrow();
    log.iter().filter(|(at, _, there, _)| *at >= since && *there == addr(to)).map(|(.., p)| p.len()).sum()
}

/// A client of a server with the default settings, confirmed, and a log of all datagrams.
fn pair(app: Client) -> (World, Conn, Log) {
    pair_of(1, ServerConfig::new(tls::server()), app)
}

fn pair_of(seed: u64, server: ServerConfig, app: Client) -> (World, Conn, Log) {
    let mut world = World::seeded(seed);
    world.links(Link::rtt(ms(40)).bandwidth(20_000_000));
    let log = watch(&mut world);
    world.server_with(SERVER, server);
    let client = world.client(FIRST);
    let conn = world.connect(client, SERVER, app);
    world.run_until(move |world| is_confirmed(world, conn), secs(5));
    world.run_for(ms(100));
    (world, conn, log)
}

fn is_confirmed(world: &World, conn: Conn) -> bool {
    world.connection(conn).is_some_and(Connection::is_confirmed)
}

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

/// Where the server saw its clients go.
fn moves_seen(world: &World) -> Vec<SocketAddr> {
    let seen = world.at(HostId(0)).events().iter().filter_map(|(_, event)| match event {
        Event::Connection(_, ConnectionEvent::PeerMoved { to, .. }) => Some(*to),
        _ => None,
    });
    seen.collect()
}

fn to_server(local: Local) -> FourTuple {
    FourTuple { local, remote: addr(SERVER) }
}

// ---- at once ----------------------------------------------------------------------------------------

#[test]
fn a_client_that_has_lost_its_address_goes_on_from_another_within_a_round_trip() {
    let (mut world, conn, log) = pair(Client::download(500_000));
    world.run_for(ms(50));
    world.links_of("30.0.0.1", Link::delay(ms(20)).down());
    let (moved, before) = (world.now(), world.app::<Client>(conn).received());
    let local = another(&mut world, conn.host, SECOND);
    assert_eq!(rebind(&mut world, conn, local), Ok(()));
    assert_eq!(world.connection(conn).map(Connection::local), Some(local));
    world.run_for(ms(45));
    assert!(world.app::<Client>(conn).received() > before, "data comes a round trip later");
    world.run_well(secs(10));
    assert_eq!(lengths_from(&log, FIRST, moved), [0; 0]);
    assert_eq!(moves_seen(&world), [addr(SECOND)]);
    let validated =
        |event: &PathEvent| matches!(event, PathEvent::Validated { path, .. } if *path == to_server(local));
    assert!(paths(&world, conn).iter().all(validated) && paths(&world, conn).len() == 1);
    assert_no_id_was_on_two_paths(&log);
}

#[test]
fn an_upload_moves_with_its_client() {
    let (mut world, conn, log) = pair(Client::upload(500_000));
    world.run_for(ms(50));
    world.links_of("30.0.0.1", Link::delay(ms(20)).down());
    let local = another(&mut world, conn.host, SECOND);
    assert_eq!(rebind(&mut world, conn, local), Ok(()));
    world.run_well(secs(10));
    assert_no_id_was_on_two_paths(&log);
}

#[test]
fn a_client_that_rests_tells_its_server_all_the_same() {
    let (mut world, conn, _) = pair(Client::idle());
    let local = another(&mut world, conn.host, SECOND);
    assert_eq!(rebind(&mut world, conn, local), Ok(()));
    world.run_for(ms(100));
    assert_eq!(moves_seen(&world), [addr(SECOND)]);
    let far = world.server_side(conn).expect("the server has it too");
    assert_eq!(world.connection(far).map(Connection::remote), Some(addr(SECOND)));
}

#[test]
fn window_and_round_trip_begin_afresh_on_the_new_path() {
    let (mut world, conn, _) = pair(Client::upload(1_000_000));
    world.run_for(ms(200));
    let before = world.connection(conn).expect("it is open").path();
    world.links_of("30.0.1.1", Link::rtt(ms(120)));
    let local = another(&mut world, conn.host, SECOND);
    assert_eq!(rebind(&mut world, conn, local), Ok(()));
    let after = world.connection(conn).expect("it is open").path();
    assert!(before.window > 20_000, "{before:?}");
    assert_eq!(after.window, 12_000);
    // What was measured there is assumed here until a probe timeout or a sample, which counts alone.
    assert_eq!(after.rtt, before.rtt);
    world.run_for(ms(130));
    let measured = world.connection(conn).expect("it is open").path().rtt;
    assert!(measured > ms(118), "{measured:?}");
}

#[test]
fn what_was_measured_on_the_path_that_was_left_is_good_for_one_probe_timeout() {
    let (mut world, conn, _) = pair(Client::upload(1_000_000));
    world.run_for(ms(200));
    world.links_of("30.0.1.1", Link::delay(ms(20)).down());
    let local = another(&mut world, conn.host, SECOND);
    assert_eq!(rebind(&mut world, conn, local), Ok(()));
    let rtt = |world: &World| world.connection(conn).expect("it is open").path().rtt;
    assert!(rtt(&world) < ms(150), "{:?}", rtt(&world));
    world.run_for(ms(600));
    assert_eq!(rtt(&world), ms(333));
}

#[test]
fn what_comes_to_the_old_address_is_still_taken() {
    let (mut world, conn, _) = pair(Client::download(500_000));
    world.run_for(ms(100));
    let local = another(&mut world, conn.host, SECOND);
    let before = world.app::<Client>(conn).received();
    assert_eq!(rebind(&mut world, conn, local), Ok(()));
    // The server does not know yet: what comes now was sent to the first address.
    world.run_for(ms(19));
    assert!(world.app::<Client>(conn).received() > before);
    world.run_well(secs(10));
}

#[test]
fn the_old_connection_id_is_given_back_when_the_old_path_is_forgotten() {
    let (mut world, conn, log) = pair(Client::echoes(100, ms(100)));
    let first =
        log.borrow().iter().rev().find_map(|(_, from, _, p)| (*from == addr(FIRST)).then(|| peek(p, 8)));
    let first = first.flatten().expect("something was sent from there");
    let local = another(&mut world, conn.host, SECOND);
    assert_eq!(rebind(&mut world, conn, local), Ok(()));
    world.run_well(secs(20));
    // Nobody knows it any more: it is a stranger's, who gets a stateless reset.
    let stray = [&[0x40][..], &first, &[0x55; 200]].concat();
    world.inject(sim::Datagram::new(addr("198.51.100.66:6666"), addr(SERVER), stray));
    let answers = || log.borrow().iter().filter(|(_, _, to, _)| *to == addr("198.51.100.66:6666")).count();
    world.run_for(ms(100));
    assert_eq!(answers(), 1);
}

#[test]
fn a_socket_that_was_bound_anew_is_another_path_too() {
    let (mut world, conn, log) = pair(Client::download(300_000));
    world.run_for(ms(20));
    world.move_to(conn.host, "30.0.0.1:5001");
    let local = world.at(conn.host).local(SocketKey(0));
    assert_eq!(rebind(&mut world, conn, local), Ok(()));
    world.run_well(secs(10));
    assert_eq!(moves_seen(&world), [addr("30.0.0.1:5001")]);
    assert_no_id_was_on_two_paths(&log);
}

#[test]
fn a_client_moves_again_and_again_and_back() {
    let (mut world, conn, log) = pair(Client::echoes(60, ms(100)));
    let locals: Vec<Local> =
        (1..=3).map(|number| another(&mut world, conn.host, &format!("30.0.{number}.1:5000"))).collect();
    for round in 0..6 {
        world.run_for(ms(500));
        assert_eq!(rebind(&mut world, conn, locals[round % 3]), Ok(()), "round {round}");
    }
    world.run_well(secs(20));
    assert!(moves_seen(&world).len() >= 6, "{:?}", moves_seen(&world));
    // A path that was left and is used again may show its ID again; no two paths share one.
    assert_no_id_was_on_two_paths(&log);
}

#[test]
fn a_move_to_nowhere_is_reported_and_the_next_one_saves_the_connection() {
    let (mut world, conn, _) = pair(Client::echoes(60, ms(100)));
    world.links_of("30.0.1.1", Link::delay(ms(20)).down());
    let nowhere = another(&mut world, conn.host, SECOND);
    assert_eq!(rebind(&mut world, conn, nowhere), Ok(()));
    world.run_until(|world| !paths(world, conn).is_empty(), secs(15));
    assert_eq!(paths(&world, conn), [PathEvent::Failed { path: to_server(nowhere) }]);
    let first = world.at(conn.host).local(SocketKey(0));
    assert_eq!(rebind(&mut world, conn, first), Ok(()));
    world.run_well(secs(20));
}

// ---- after a look -----------------------------------------------------------------------------------

#[test]
fn a_path_is_tried_with_probing_packets_alone_and_moved_to_without_delay() {
    let (mut world, conn, log) = pair(Client::download(2_000_000));
    let (begun, local) = (world.now(), another(&mut world, conn.host, SECOND));
    assert_eq!(probe(&mut world, conn, local), Ok(()));
    world.run_for(ms(300));
    assert!(
        matches!(paths(&world, conn)[..], [PathEvent::Validated { path, rtt }]
            if path == to_server(local) && rtt < ms(60)),
        "{:?}",
        paths(&world, conn)
    );
    // Our challenge, and the answer to the server's.
    assert!(lengths_from(&log, SECOND, begun).iter().all(|len| *len == 1200));
    assert!(lengths_from(&log, SECOND, begun).len() <= 2);
    assert_eq!(moves_seen(&world), []);
    assert_ne!(world.connection(conn).map(Connection::local), Some(local));
    let moved = world.now();
    assert_eq!(rebind(&mut world, conn, local), Ok(()));
    world.run_for(ms(60));
    // A whole first window: the server has proved the address too, and nothing limits it to three times what came.
    let there = bytes_to(&log, SECOND, moved);
    assert!(there > 10_000, "{there} bytes");
    assert_eq!(moves_seen(&world), [addr(SECOND)]);
    world.run_well(secs(10));
    assert_eq!(paths(&world, conn).len(), 1, "it was validated once and for all");
    assert_no_id_was_on_two_paths(&log);
}

#[test]
fn a_path_that_does_not_answer_is_asked_three_times_and_given_up() {
    let (mut world, conn, log) = pair(Client::echoes(100, ms(100)));
    world.links_of("30.0.1.1", Link::delay(ms(20)).down());
    let (begun, local) = (world.now(), another(&mut world, conn.host, SECOND));
    assert_eq!(probe(&mut world, conn, local), Ok(()));
    world.run_well(secs(30));
    assert_eq!(paths(&world, conn), [PathEvent::Failed { path: to_server(local) }]);
    assert_eq!(lengths_from(&log, SECOND, begun), [1200; 3]);
    assert_eq!(moves_seen(&world), []);
}

#[test]
fn an_answer_that_is_lost_is_asked_for_again() {
    let (mut world, conn, _) = pair(Client::echoes(100, ms(100)));
    let local = another(&mut world, conn.host, SECOND);
    world.one_way(None, Some("30.0.1.1"), Link::delay(ms(20)).down());
    assert_eq!(probe(&mut world, conn, local), Ok(()));
    world.run_for(ms(500));
    world.one_way(None, Some("30.0.1.1"), Link::delay(ms(20)));
    world.run_well(secs(30));
    assert!(matches!(paths(&world, conn)[..], [PathEvent::Validated { .. }]), "{:?}", paths(&world, conn));
}

#[test]
fn a_path_is_probed_under_a_connection_id_of_its_own_or_not_at_all() {
    let (mut world, conn, _) = pair(Client::echoes(10, ms(100)));
    let locals: Vec<Local> =
        (1..=3).map(|number| another(&mut world, conn.host, &format!("30.0.{number}.1:5000"))).collect();
    world.links(Link::delay(ms(20)).down());
    // A server of ours issues two connection IDs to spare.
    let outcomes: Vec<_> = locals.iter().map(|local| probe(&mut world, conn, *local)).collect();
    assert_eq!(outcomes, [Ok(()), Ok(()), Err(PathError::NoConnectionId)]);
    assert_eq!(probe(&mut world, conn, locals[0]), Err(PathError::Known));
}

/// A client of a server that has issued many connection IDs, and five more addresses of its own.
fn many_ways() -> (Scene, Vec<Local>) {
    let mut scene = Stage::new(Play::Pool(6)).client(Client::echoes(100, ms(50)));
    scene.await_connected();
    scene.world.run_for(ms(200));
    let host = scene.conn().host;
    let locals =
        (1..=5).map(|number| another(&mut scene.world, host, &format!("30.0.{number}.1:5000"))).collect();
    (scene, locals)
}

#[test]
fn no_more_than_three_paths_are_probed_at_a_time() {
    let (mut scene, locals) = many_ways();
    scene.world.links(Link::delay(ms(20)).down());
    let outcomes: Vec<_> =
        locals.iter().map(|local| probe(&mut scene.world, scene.conns[0], *local)).collect();
    assert_eq!(outcomes[..3], [Ok(()); 3]);
    assert_eq!(outcomes[3..], [Err(PathError::Busy); 2]);
}

#[test]
fn the_oldest_path_that_was_validated_makes_room_for_another() {
    let (mut scene, locals) = many_ways();
    for local in &locals {
        assert_eq!(probe(&mut scene.world, scene.conns[0], *local), Ok(()));
        scene.world.run_for(ms(100));
    }
    let path = |local: &Local| FourTuple { local: *local, remote: addr(HOME) };
    let conn = scene.conn();
    let failed =
        paths(&scene.world, conn).into_iter().filter(|event| matches!(event, PathEvent::Failed { .. }));
    assert_eq!(
        Vec::from_iter(failed),
        [PathEvent::Failed { path: path(&locals[0]) }, PathEvent::Failed { path: path(&locals[1]) }]
    );
    assert_eq!(rebind(&mut scene.world, conn, locals[4]), Ok(()));
    scene.world.run_well(secs(30));
}

// ---- property ---------------------------------------------------------------------------------------

/// A random number below `end`.
fn below(dice: &mut Dice, end: u64) -> u64 {
    dice.word() % end
}

#[test]
fn no_two_paths_ever_share_a_connection_id() {
    let moves = Cell::new(0);
    for_seeds(12, |seed| {
        let (mut world, conn, log) =
            pair_of(seed, ServerConfig::new(tls::server()), Client::echoes(60, ms(50)));
        world.links(Link::rtt(ms(40)).loss(0.05).reordering(0.1, ms(10)));
        let mut dice = Dice::named(seed, "moves");
        let locals: Vec<Local> = (0..4)
            .map(|number| another(&mut world, conn.host, &format!("30.0.{}.1:5000", 10 + number)))
            .collect();
        for _ in 0..8 {
            world.run_for(ms(below(&mut dice, 600)));
            let local = locals[below(&mut dice, 4) as usize];
            // Some are refused, since the server has to issue connection IDs first.
            let _ = if dice.chance(0.5) {
                rebind(&mut world, conn, local)
            } else {
                probe(&mut world, conn, local)
            };
        }
        world.run_well(secs(30));
        assert_no_id_was_on_two_paths(&log);
        moves.set(moves.get() + moves_seen(&world).len());
    });
    assert!(moves.get() > 12, "{} moves", moves.get());
}

// ---- what cannot be ---------------------------------------------------------------------------------

#[test]
fn nobody_moves_before_the_handshake_is_confirmed() {
    let mut world = World::seeded(1);
    world.server(SERVER);
    let client = world.client(FIRST);
    let conn = world.connect(client, SERVER, Client::echoes(3, ms(10)));
    let local = another(&mut world, client, SECOND);
    assert_eq!(rebind(&mut world, conn, local), Err(PathError::NotConfirmed));
    assert_eq!(probe(&mut world, conn, local), Err(PathError::NotConfirmed));
    world.run_well(secs(5));
}

#[test]
fn a_server_that_wants_its_clients_to_stay_is_obeyed() {
    let server = ServerConfig::new(tls::server()).disable_active_migration(true);
    let (mut world, conn, log) = pair_of(1, server, Client::echoes(10, ms(10)));
    let local = another(&mut world, conn.host, SECOND);
    assert_eq!(rebind(&mut world, conn, local), Err(PathError::Forbidden));
    assert_eq!(probe(&mut world, conn, local), Err(PathError::Forbidden));
    world.run_well(secs(5));
    assert_eq!(lengths_from(&log, SECOND, Instant::ZERO), [0; 0]);
}

#[test]
fn a_server_that_wants_its_clients_to_stay_bears_with_their_translators() {
    let mut world = World::seeded(1);
    let server = ServerConfig::new(tls::server()).disable_active_migration(true);
    world.server_with(SERVER, server);
    let client = world.client("10.0.0.1:5000");
    world.nat(Nat::new(&[ip("10.0.0.1")], ip("30.0.9.9"), Filtering::AddressAndPortDependent));
    let conn = world.connect(client, SERVER, Client::echoes(20, ms(20)));
    world.run_for(ms(200));
    world.rebind_nat(client, Some("30.0.9.8"));
    world.run_well(secs(5));
    assert_eq!(world.outcome(conn), sim::Outcome::Done);
}

#[test]
fn a_move_without_a_connection_id_to_show_is_refused_and_costs_nothing() {
    let (mut world, conn, _) = pair(Client::echoes(60, ms(100)));
    let locals: Vec<Local> =
        (1..=3).map(|number| another(&mut world, conn.host, &format!("30.0.{number}.1:5000"))).collect();
    assert_eq!(rebind(&mut world, conn, locals[0]), Ok(()));
    assert_eq!(rebind(&mut world, conn, locals[1]), Ok(()));
    assert_eq!(rebind(&mut world, conn, locals[2]), Err(PathError::NoConnectionId));
    assert_eq!(world.connection(conn).map(Connection::local), Some(locals[1]));
    // Those given back are replaced within a round trip.
    world.run_for(secs(4));
    assert_eq!(rebind(&mut world, conn, locals[2]), Ok(()));
    world.run_well(secs(10));
}

#[test]
fn a_client_stays_in_its_family_and_a_server_where_it_is() {
    let (mut world, conn, _) = pair(Client::idle());
    let local = Local { socket: SocketKey(7), ip: Some(ip("2a00::1")) };
    assert_eq!(rebind(&mut world, conn, local), Err(PathError::Family));
    let far = world.server_side(conn).expect("the server has it too");
    let local = Local { socket: SocketKey(7), ip: None };
    assert_eq!(rebind(&mut world, far, local), Err(PathError::WrongSide));
    world.with(conn, |now, connection| connection.close(now, VarInt::from(0u32), b""));
    assert_eq!(rebind(&mut world, conn, local), Err(PathError::Closed));
    assert!(matches!(world.closed(conn), Some(CloseReason::Local { .. })));
}
