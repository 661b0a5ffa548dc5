//! The search for the largest datagram of a path (RFC 8899; RFC 9000, Sections 14.3 and 14.4): what is found and how soon,
//! and what becomes of a connection whose path carries less than it did.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use peregrine::{ClientConfig, Instant, ServerConfig, Stats, TransportConfig, TransportConfigBuilder};

use sim::{Client, Conn, Filtering, Link, Nat, Queue, Verdict, World, addr, for_seeds, ip, ms, secs, tls};
use stage::moves::{AWAY, HOME, Play, Stage};

const SERVER: &str = "45.0.0.1:443";
const CLIENT: &str = "192.0.2.1:5000";
const RTT: Duration = Duration::from_millis(40);

fn link(mtu: usize) -> Link {
    Link::rtt(RTT).bandwidth(20_000_000).queue(Queue::Packets(1000)).mtu(mtu)
}

fn up_to(bytes: u16) -> TransportConfigBuilder {
    TransportConfig::builder().mtu_discovery(Some(bytes))
}

/// A client behind a translator and its server, with such a link between them and these settings each.
fn ends(
    seed: u64,
    link: Link,
    (client, server): (TransportConfigBuilder, TransportConfigBuilder),
    app: Client,
) -> (World, Conn) {
    let build = |builder: TransportConfigBuilder| Arc::new(builder.build().expect("settings that can be"));
    let mut world = World::seeded(seed);
    world.links(link);
    world.nat(Nat::new(&[ip("192.0.2.1")], ip("30.0.0.1"), Filtering::AddressDependent));
    world.server_with(SERVER, ServerConfig::new(tls::server()).transport(build(server)));
    let host = world.client(CLIENT);
    let config = Arc::new(ClientConfig::new(tls::client()).transport(build(client)));
    let conn = world.connect_with(host, SERVER, config, app);
    (world, conn)
}

/// A client that downloads more than it will get in a test, both ends searching up to so many bytes.
fn download(link: Link, bound: u16) -> (World, Conn) {
    ends(1, link, (up_to(bound), up_to(bound)), Client::download(1 << 40))
}

/// The largest datagram that the server sends to this client.
fn size(world: &World, conn: Conn) -> u16 {
    let server = world.server_side(conn).expect("the server has it too");
    world.connection(server).expect("it is open").path().datagram_size
}

/// What the server counted.
fn stats(world: &World, conn: Conn) -> Stats {
    let server = world.server_side(conn).expect("the server has it too");
    world.connection(server).expect("it is open").stats().clone()
}

/// How many round trips it takes until the server has found what this link carries.
fn round_trips(limit: usize, bound: u16) -> u128 {
    let (mut world, conn) = download(link(limit), bound);
    world.run_until(|world| world.is_connected(conn), secs(1));
    let begun = world.now();
    let is_found = |world: &World| usize::from(size(world, conn)) == limit;
    world.run_until(is_found, secs(2));
    world.now().since(begun).as_micros().div_ceil(RTT.as_micros())
}

/// When datagrams of which size were sent from one address.
type Log = Rc<RefCell<Vec<(Instant, usize)>>>;

fn watch(world: &mut World, from: &str) -> Log {
    let (log, from) = (Log::default(), addr(from));
    let seen = Rc::clone(&log);
    world.tap(move |now, datagram| {
        if datagram.from == from {
            seen.borrow_mut().push((now, datagram.payload.len()));
        }
        Verdict::Pass
    });
    log
}

fn largest(log: &Log) -> usize {
    log.borrow().iter().map(|(_, len)| *len).max().unwrap_or(0)
}

fn larger_than(log: &Log, bytes: usize) -> usize {
    log.borrow().iter().filter(|(_, len)| *len > bytes).count()
}

#[test]
fn the_most_that_is_looked_for_is_found_in_two_round_trips() {
    for bound in [1452, 1472, 9000] {
        assert!(round_trips(bound.into(), bound) <= 2);
    }
}

#[test]
fn well_known_sizes_are_found_to_the_byte_in_a_few_round_trips() {
    for (limit, round) in [(1452, 8), (1472, 8), (1500, 8), (8952, 8), (1392, 8), (1280, 8)] {
        let took = round_trips(limit, 9000);
        assert!(took <= round, "{limit} bytes took {took} round trips");
    }
}

#[test]
fn both_ends_search_without_being_told_to() {
    let (mut world, conn) =
        ends(1, link(1472), (TransportConfig::builder(), TransportConfig::builder()), Client::idle());
    world.run_for(secs(1));
    assert_eq!(size(&world, conn), 1452);
    assert_eq!(world.connection(conn).expect("it is open").path().datagram_size, 1452);
}

#[test]
fn who_does_not_search_sends_nothing_larger() {
    let off = || TransportConfig::builder().mtu_discovery(None);
    let (mut world, conn) = ends(1, link(9000), (off(), off()), Client::download(1_000_000));
    let log = watch(&mut world, SERVER);
    world.run_well(secs(10));
    assert_eq!(largest(&log), 1200);
    assert_eq!(stats(&world, conn).mtu_probes, 0);
}

#[test]
fn a_lost_probe_is_no_sign_of_congestion() {
    let (mut world, conn) = download(link(1300), 9000);
    world.run_for(RTT * 16);
    let stats = stats(&world, conn);
    assert_eq!((size(&world, conn), stats.packets_lost), (1291, stats.mtu_probes_lost));
    assert!(stats.mtu_probes_lost >= 5, "{stats:?}");
    assert_eq!((stats.congestion_events, stats.probe_timeouts), (0, 0));
}

#[test]
fn probes_that_are_lost_by_chance_do_not_mislead() {
    for_seeds(10, |seed| {
        let lossy = link(1472).loss(0.05);
        let (mut world, conn) = ends(seed, lossy, (up_to(9000), up_to(9000)), Client::download(1 << 40));
        world.run_for(secs(2));
        assert_eq!(size(&world, conn), 1472, "seed {seed}");
    });
}

#[test]
fn what_the_peer_takes_is_not_exceeded() {
    let client = up_to(9000).max_udp_payload_size(1300);
    let (mut world, conn) = ends(1, link(9000), (client, up_to(9000)), Client::download(1_000_000));
    let log = watch(&mut world, SERVER);
    world.run_well(secs(10));
    assert_eq!((largest(&log), size(&world, conn)), (1300, 1300));
}

#[test]
fn a_connection_at_rest_is_neither_disturbed_nor_kept_alive() {
    let idle = || up_to(9000).idle_timeout(Some(secs(20)));
    let (mut world, conn) = ends(1, link(1300), (idle(), idle()), Client::idle());
    world.run_for(secs(10));
    assert_eq!(stats(&world, conn).probe_timeouts, 0);
    world.run_for(secs(11));
    assert!(world.closed(conn).is_some(), "its probes count as signs of life");
}

#[test]
fn a_path_that_becomes_wider_is_used_after_ten_minutes() {
    let alive = || up_to(1452).keep_alive(Some(secs(10)));
    let (mut world, conn) = ends(1, link(1300), (alive(), alive()), Client::echoes(10, ms(100)));
    world.run_for(secs(300));
    assert_eq!(size(&world, conn), 1291);
    world.links(link(1452));
    world.run_for(secs(290));
    assert_eq!(size(&world, conn), 1291);
    world.run_for(secs(120));
    assert_eq!(size(&world, conn), 1452);
}

#[test]
fn a_path_that_becomes_narrower_is_survived_and_searched_again() {
    for (before, after) in [(1452, 1252), (9000, 1472), (9000, 1200)] {
        let (mut world, conn) = download(link(before), 9000);
        world.run_for(ms(500));
        assert_eq!(usize::from(size(&world, conn)), before);
        world.links(link(after));
        world.run_until(|world| size(world, conn) == 1200, ms(600));
        world.run_for(RTT * 20);
        assert_eq!(usize::from(size(&world, conn)), after);
        assert_eq!(stats(&world, conn).black_holes, 1);
        let sent = stats(&world, conn).bytes_sent;
        world.run_for(ms(500));
        let sent = stats(&world, conn).bytes_sent - sent;
        assert!(sent > 1_000_000, "{sent} bytes in half a second after it went from {before} to {after}");
    }
}

#[test]
fn a_path_that_was_down_is_not_taken_to_be_narrower() {
    let (mut world, conn) = download(link(9000), 9000);
    world.run_for(ms(500));
    world.links(link(9000).down());
    world.run_for(ms(500));
    world.links(link(9000));
    world.run_for(secs(1));
    assert_eq!(size(&world, conn), 9000);
}

#[test]
fn losses_among_large_packets_that_arrive_are_no_black_hole() {
    let (mut world, conn) = download(link(1472).loss(0.03), 1452);
    world.run_for(secs(4));
    let stats = stats(&world, conn);
    assert!(stats.packets_lost > 10, "{stats:?}");
    assert_eq!((size(&world, conn), stats.black_holes), (1452, 0));
}

#[test]
fn a_server_that_moves_to_a_narrower_path_loses_nothing_but_probes() {
    for play in [Play::Reactive, Play::Symmetric] {
        let mut scene = Stage::new(play).client(Client::download(3_000_000));
        let (ip, _) = AWAY.split_once(':').expect("an address and a port");
        scene.world.links_of(ip, link(1300));
        let (home, away) = (watch(&mut scene.world, HOME), watch(&mut scene.world, AWAY));
        scene.await_connected();
        scene.world.run_for(ms(300));
        assert_eq!(largest(&home), 1452);
        scene.relocate(AWAY, ms(100));
        scene.run_well(secs(10));
        scene.assert_followed(AWAY);
        let server = stats(&scene.world, scene.conn());
        let lost = larger_than(&away, 1300) as u64;
        assert!((3..=8).contains(&lost), "{play:?}: {lost}");
        assert_eq!((lost, server.black_holes), (server.mtu_probes_lost, 0), "{play:?}");
        assert_eq!(size(&scene.world, scene.conn()), 1291);
    }
}

#[test]
fn a_server_that_moves_tries_first_what_home_carried() {
    let mut scene = Stage::new(Play::Symmetric).client(Client::download(3_000_000));
    let away = watch(&mut scene.world, AWAY);
    scene.await_connected();
    scene.world.run_for(ms(300));
    scene.relocate(AWAY, ms(100));
    scene.run_well(secs(10));
    let first = away.borrow().iter().map(|(_, len)| *len).find(|len| *len > 1200);
    assert_eq!(first, Some(1452));
    assert_eq!(stats(&scene.world, scene.conn()).mtu_probes, 2);
}

#[test]
fn a_client_that_moves_to_a_narrower_path_is_sent_nothing_that_is_lost() {
    // A client that only receives would not notice that it has moved.
    let client = up_to(9000).keep_alive(Some(ms(200)));
    let (mut world, conn) = ends(1, link(9000), (client, up_to(9000)), Client::download(3_000_000));
    world.links_of("30.0.0.9", link(1300));
    let log = watch(&mut world, SERVER);
    world.run_for(ms(300));
    assert_eq!(size(&world, conn), 9000);
    world.rebind_nat(conn.host, Some("30.0.0.9"));
    let moved = world.now();
    world.run_well(secs(20));
    log.borrow_mut().retain(|(at, _)| *at > moved + RTT);
    let server = stats(&world, conn);
    assert!(larger_than(&log, 1300) as u64 <= server.mtu_probes_lost, "{server:?}");
    assert_eq!(size(&world, conn), 1291);
}
