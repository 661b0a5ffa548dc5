//! Servers that would rather be reached at another address, and the clients they name it to (RFC 9000, Section 9.6).

use std::cell::RefCell;
use std::net::{SocketAddr, SocketAddrV4};
use std::rc::Rc;
use std::sync::Arc;

use peregrine::{
    AddressPolicy, ClientConfig, Connection, ConnectionEvent, DropReason, Instant, Local, PathError,
    PathEvent, ServerConfig, SocketKey,
};

use sim::{
    Client, Conn, Filtering, HostId, Link, Mapping, Nat, Outcome, Verdict, World, addr, for_seeds, ip, ms,
    secs, tls,
};
use stage::log::{Log, assert_no_id_was_on_two_paths, watch};
use stage::moves::{AWAY, HOME, Play, Stage};

const SERVER: &str = "45.0.0.1:443";
const PREFERRED: &str = "45.0.0.2:4433";
const CLIENT: &str = "30.0.0.1:5000";

/// How many datagrams went this way.
fn count(log: &Log, from: &str, to: &str) -> usize {
    log.borrow().iter().filter(|(_, source, there, _)| (*source, *there) == (addr(from), addr(to))).count()
}

fn v4(address: &str) -> SocketAddrV4 {
    address.parse().expect("an IPv4 address and a port")
}

fn there(address: &str) -> Local {
    Local { socket: SocketKey(1), ip: Some(addr(address).ip()) }
}

fn server_config(address: &str) -> ServerConfig {
    let config = ServerConfig::new(tls::server());
    config.preferred_v4(v4(address), there(address)).expect("an address that can be")
}

/// A server that would rather be at its second socket, and nobody else yet.
fn stage(seed: u64, preferred: &str) -> (World, HostId, Log) {
    let mut world = World::seeded(seed);
    world.links(Link::rtt(ms(40)));
    let log = watch(&mut world);
    let server = world.server_with(SERVER, server_config(preferred));
    world.add_socket(server, preferred);
    (world, server, log)
}

fn client_config() -> ClientConfig {
    ClientConfig::new(tls::client())
}

/// Such a server and a client of it.
fn pair(app: Client) -> (World, Conn, Log) {
    let (mut world, _, log) = stage(1, PREFERRED);
    let client = world.client(CLIENT);
    let conn = world.connect(client, SERVER, app);
    (world, conn, log)
}

fn remote(world: &World, conn: Conn) -> SocketAddr {
    world.connection(conn).expect("it is open").remote()
}

fn paths(world: &World, conn: Conn) -> Vec<PathEvent> {
    let events = world.at(conn.host).said(conn.handle).filter_map(|(_, event)| match event {
        ConnectionEvent::Path(event) => Some(*event),
        _ => None,
    });
    events.collect()
}

fn has_moved(world: &World, conn: Conn) -> bool {
    paths(world, conn).iter().any(|event| matches!(event, PathEvent::Preferred { .. }))
}

/// Both ends are at the preferred address, and said so once.
fn assert_both_moved(world: &World, conn: Conn, preferred: &str) {
    let far = world.server_side(conn).expect("the server has it too");
    assert_eq!(remote(world, conn), addr(preferred));
    assert_eq!(world.connection(far).map(Connection::local), Some(there(preferred)));
    for end in [conn, far] {
        let said = paths(world, end);
        assert!(matches!(said[..], [PathEvent::Preferred { .. }]), "{said:?}");
    }
}

#[test]
fn a_client_goes_where_its_server_would_rather_be_and_the_server_goes_with_it() {
    let (mut world, conn, log) = pair(Client::echoes(40, ms(20)));
    world.run_until(move |world| has_moved(world, conn), secs(1));
    world.run_for(ms(200));
    let left = (count(&log, CLIENT, SERVER), count(&log, SERVER, CLIENT));
    world.run_well(secs(10));
    assert_both_moved(&world, conn, PREFERRED);
    assert_eq!((count(&log, CLIENT, SERVER), count(&log, SERVER, CLIENT)), left, "nothing goes the old way");
    assert_no_id_was_on_two_paths(&log);
}

#[test]
fn a_transfer_moves_along() {
    for app in [Client::download(300_000), Client::upload(300_000)] {
        let (mut world, conn, log) = pair(app);
        world.run_well(secs(10));
        assert_both_moved(&world, conn, PREFERRED);
        assert_no_id_was_on_two_paths(&log);
    }
}

#[test]
fn a_client_that_rests_moves_too() {
    let (mut world, conn, _) = pair(Client::idle());
    world.run_for(secs(1));
    assert_both_moved(&world, conn, PREFERRED);
}

#[test]
fn nothing_but_probes_leaves_the_preferred_address_before_the_client_has_come() {
    let (mut world, conn, log) = pair(Client::echoes(40, ms(20)));
    world.run_until(move |world| has_moved(world, conn), secs(1));
    // The client has just learned that it may go there: all that came from there were padded probes.
    let log = log.borrow();
    let probes: Vec<usize> = log
        .iter()
        .filter(|(_, from, ..)| *from == addr(PREFERRED))
        .map(|(.., payload)| payload.len())
        .collect();
    assert!(!probes.is_empty() && probes.iter().all(|len| *len == 1200), "{probes:?}");
}

#[test]
fn moves_on_lossy_links_end_well_and_share_no_connection_id() {
    for_seeds(40, |seed| {
        let (mut world, _, log) = stage(seed, PREFERRED);
        world.links(Link::rtt(ms(40)).loss(0.08).reordering(0.1, ms(10)).duplication(0.03));
        let client = world.client(CLIENT);
        world.connect(client, SERVER, Client::echoes(30, ms(20)));
        world.run_well(secs(60));
        assert_no_id_was_on_two_paths(&log);
    });
}

#[test]
fn a_preferred_address_that_does_not_answer_is_left_alone() {
    let (mut world, conn, log) = pair(Client::echoes(100, ms(100)));
    world.links_of("45.0.0.2", Link::delay(ms(20)).down());
    world.run_well(secs(30));
    assert_eq!(remote(&world, conn), addr(SERVER));
    assert!(
        matches!(paths(&world, conn)[..], [PathEvent::Failed { path }] if path.remote == addr(PREFERRED))
    );
    assert_eq!(count(&log, CLIENT, PREFERRED), 3);
}

#[test]
fn a_server_on_the_internet_sends_no_client_into_its_own_network() {
    for inside in ["10.0.0.7:80", "127.0.0.1:80", "169.254.169.254:80", "192.168.1.1:80"] {
        let (mut world, _, log) = stage(1, inside);
        let client = world.client(CLIENT);
        let conn = world.connect(client, SERVER, Client::echoes(10, ms(20)));
        world.run_well(secs(5));
        assert_eq!(paths(&world, conn), [PathEvent::Refused { address: addr(inside) }]);
        assert_eq!(count(&log, CLIENT, inside), 0);
    }
}

/// Permits nothing.
struct Nowhere;

impl AddressPolicy for Nowhere {
    fn permits(&self, _: SocketAddr, _: SocketAddr) -> bool {
        false
    }
}

#[test]
fn a_client_may_be_told_to_stay() {
    let nowhere: Arc<dyn AddressPolicy> = Arc::new(Nowhere);
    for policy in [None, Some(nowhere)] {
        // Without a policy the client is not interested; with one it says what was refused.
        let refused = policy.iter().map(|_| PathEvent::Refused { address: addr(PREFERRED) });
        let said: Vec<PathEvent> = refused.collect();
        let (mut world, _, log) = stage(1, PREFERRED);
        let client = world.client(CLIENT);
        let config = Arc::new(client_config().preferred_address(policy));
        let conn = world.connect_with(client, SERVER, config, Client::echoes(10, ms(20)));
        world.run_well(secs(5));
        assert_eq!(paths(&world, conn), said);
        assert_eq!(count(&log, CLIENT, PREFERRED), 0);
    }
}

#[test]
fn the_connection_id_that_came_with_the_address_serves_another_move_of_a_client_that_stays() {
    let (mut world, _, log) = stage(1, PREFERRED);
    let client = world.client(CLIENT);
    let config = Arc::new(client_config().preferred_address(None));
    let conn = world.connect_with(client, SERVER, config, Client::echoes(30, ms(20)));
    world.run_until(move |world| world.connection(conn).is_some_and(Connection::is_confirmed), secs(1));
    let socket = world.add_socket(client, "30.0.1.1:5000");
    let local = world.at(client).local(socket);
    assert_eq!(world.with(conn, |now, connection| connection.rebind(now, local)), Ok(()));
    world.run_well(secs(5));
    assert_no_id_was_on_two_paths(&log);
}

#[test]
fn a_client_behind_a_translator_that_maps_by_destination_is_proved_there_again() {
    let (mut world, _, _) = stage(1, PREFERRED);
    world.nat(
        Nat::new(&[ip("10.0.0.1")], ip("30.0.9.9"), Filtering::AddressAndPortDependent)
            .mapping(Mapping::PerDestination),
    );
    let client = world.client("10.0.0.1:5000");
    let conn = world.connect(client, SERVER, Client::download(300_000));
    world.run_well(secs(10));
    assert_both_moved(&world, conn, PREFERRED);
}

#[test]
fn late_packets_to_the_old_address_do_not_bring_the_server_back() {
    let (mut world, conn, log) = pair(Client::echoes(60, ms(20)));
    // What the client sends to the old address within a round trip after the handshake is a second late.
    let held = Rc::new(RefCell::new(0));
    let tap = Rc::clone(&held);
    world.tap(move |now, datagram| {
        let late = datagram.to == addr(SERVER) && (ms(100)..ms(130)).contains(&now.since(Instant::ZERO));
        *tap.borrow_mut() += usize::from(late);
        if late { Verdict::Delay(ms(300)) } else { Verdict::Pass }
    });
    world.run_until(move |world| has_moved(world, conn), secs(1));
    world.run_well(secs(10));
    assert!(*held.borrow() > 0);
    assert_both_moved(&world, conn, PREFERRED);
    assert_no_id_was_on_two_paths(&log);
}

#[test]
fn what_is_newer_and_comes_to_the_old_address_is_dropped() {
    let (mut world, conn, _) = pair(Client::echoes(60, ms(20)));
    world.run_until(move |world| has_moved(world, conn), secs(1));
    world.run_for(ms(100));
    // Somebody sends copies of what the client says to where the server was, and they come first.
    world.links_of("45.0.0.1", Link::delay(ms(1)));
    world.tap(move |_, datagram| {
        if datagram.to == addr(PREFERRED) {
            return Verdict::Copy { from: addr(CLIENT), to: addr(SERVER), after: ms(0) };
        }
        Verdict::Pass
    });
    world.run_well(secs(10));
    let far = world.server_side(conn).expect("the server has it too");
    let stats = world.connection(far).expect("it is open").stats();
    assert!(stats.dropped(DropReason::LocalAddress) > 10, "{stats:?}");
    assert_both_moved(&world, conn, PREFERRED);
}

#[test]
fn of_two_addresses_a_client_goes_to_the_one_of_its_family() {
    const SERVER_V6: &str = "[2a00::1]:443";
    let v6 = Local { socket: SocketKey(2), ip: Some(ip("2a00::2")) };
    for (home, client, preferred) in
        [(SERVER, CLIENT, PREFERRED), (SERVER_V6, "[2a01::1]:5000", "[2a00::2]:4433")]
    {
        let mut world = World::seeded(1);
        let config = server_config(PREFERRED);
        let config = config.preferred_v6("[2a00::2]:4433".parse().expect("an IPv6 address and a port"), v6);
        let server = world.server_with(home, config.expect("an address that can be"));
        world.add_socket(server, PREFERRED);
        world.add_socket(server, "[2a00::2]:4433");
        let client = world.client(client);
        let conn = world.connect(client, home, Client::echoes(10, ms(20)));
        world.run_well(secs(5));
        assert_eq!(remote(&world, conn), addr(preferred));
        let far = world.server_side(conn).expect("the server has it too");
        assert_eq!(world.connection(far).and_then(|c| c.local().ip), Some(addr(preferred).ip()));
    }
}

#[test]
fn a_copy_sent_to_the_preferred_address_moves_nobody() {
    let (mut world, _, log) = stage(1, PREFERRED);
    let client = world.client(CLIENT);
    let config = Arc::new(client_config().preferred_address(None));
    let conn = world.connect_with(client, SERVER, config, Client::echoes(60, ms(20)));
    // An attacker sends what the client says there before it comes to the server, and does not answer for the client.
    world.tap(move |now, datagram| {
        if datagram.to == addr(SERVER) && now.since(Instant::ZERO) > ms(200) {
            return Verdict::Copy { from: addr("198.51.100.66:66"), to: addr(PREFERRED), after: ms(0) };
        }
        Verdict::Pass
    });
    world.links_of("198.51.100.66", Link::delay(ms(1)));
    world.run_well(secs(20));
    let far = world.server_side(conn).expect("the server has it too");
    assert_eq!(world.connection(far).map(|connection| connection.local().socket), Some(SocketKey(0)));
    assert_eq!(remote(&world, far), addr(CLIENT));
    assert!(count(&log, PREFERRED, "198.51.100.66:66") > 0, "it was asked");
}

#[test]
fn a_client_that_must_stay_may_go_on_from_the_preferred_address() {
    let config = server_config(PREFERRED).disable_active_migration(true);
    let mut world = World::seeded(1);
    let server = world.server_with(SERVER, config);
    world.add_socket(server, PREFERRED);
    let client = world.client(CLIENT);
    let conn = world.connect(client, SERVER, Client::echoes(60, ms(20)));
    world.run_until(move |world| world.connection(conn).is_some_and(Connection::is_confirmed), secs(1));
    let socket = world.add_socket(client, "30.0.1.1:5000");
    let local = world.at(client).local(socket);
    let rebind = |world: &mut World| world.with(conn, |now, connection| connection.rebind(now, local));
    assert_eq!(rebind(&mut world), Err(PathError::Forbidden));
    world.run_until(move |world| has_moved(world, conn), secs(1));
    world.run_for(ms(100));
    assert_eq!(rebind(&mut world), Ok(()));
    world.run_well(secs(10));
    assert_eq!(remote(&world, conn), addr(PREFERRED));
}

#[test]
fn a_client_that_moves_itself_in_the_middle_tries_the_preferred_address_from_where_it_is() {
    for after in [0, 5, 15, 25, 35, 39, 41, 60] {
        let (mut world, conn, log) = pair(Client::echoes(60, ms(20)));
        world.run_until(move |world| world.connection(conn).is_some_and(Connection::is_confirmed), secs(1));
        world.run_for(ms(after));
        let socket = world.add_socket(conn.host, "30.0.1.1:5000");
        let local = world.at(conn.host).local(socket);
        world.links_of("30.0.0.1", Link::delay(ms(20)).down());
        assert_eq!(world.with(conn, |now, connection| connection.rebind(now, local)), Ok(()), "{after} ms");
        world.run_well(secs(20));
        assert_eq!(remote(&world, conn), addr(PREFERRED), "{after} ms");
        assert_no_id_was_on_two_paths(&log);
    }
}

#[test]
fn a_server_that_moves_takes_its_clients_along_from_the_preferred_address() {
    let stage = Stage::new(Play::Symmetric);
    let mut world = World::seeded(1);
    let log = watch(&mut world);
    let config = stage.server_config().preferred_v4(v4("20.0.0.2:4433"), there("20.0.0.2:4433"));
    let server = world.server_with(HOME, config.expect("an address that can be"));
    world.add_socket(server, "20.0.0.2:4433");
    let client = world.client(CLIENT);
    let conn =
        world.connect_with(client, HOME, stage.client_config(Play::Symmetric), Client::echoes(100, ms(20)));
    world.run_until(move |world| has_moved(world, conn), secs(1));
    world.run_for(ms(100));
    // The second socket, where the connection is now, goes where the first one is: one plan moves both.
    let socket = world.add_socket(server, AWAY);
    let local = world.at(server).local(socket);
    world.relocated_as(server, &[(SocketKey(1), local)]);
    world.run_well(secs(20));
    assert_eq!(remote(&world, conn), addr(AWAY));
    assert_eq!(world.outcome(conn), Outcome::Done);
    assert_no_id_was_on_two_paths(&log);
}
