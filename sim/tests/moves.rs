//! What can be done to hosts on the move: several at once, of both families, and clients that move as well.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use peregrine::{
    ClientConfig, MigrationConfig, MigrationTarget, MoveOrder, RelocationEvent, RelocationPlan, ServerConfig,
    Strategy, StrategySet, TransportConfig,
};
use peregrine_sim::{
    Client, Clock, Conn, Filtering, HostId, Kind, Link, Meanwhile, Nat, Shape, Verdict, World, addr, ip, ms,
    secs, tls,
};

/// Both ends wait this long for each other.
fn patience(deadline: Duration) -> (MigrationConfig, Arc<TransportConfig>) {
    let strategies = StrategySet::from(Strategy::Symmetric) | Strategy::Explicit.into();
    let transport = TransportConfig::builder().idle_timeout(Some(deadline)).build().expect("a timeout");
    (MigrationConfig::new(strategies).deadline(deadline), Arc::new(transport))
}

fn server(world: &mut World, address: &str) -> HostId {
    let (migration, transport) = patience(secs(900));
    let config = ServerConfig::new(tls::server()).transport(transport);
    world.server_with(address, config.migration(migration).expect("a permit"))
}

/// A host at this address, with a client that asks for an echo every 20 ms, a hundred times.
fn client(world: &mut World, address: &str, to: &str) -> Conn {
    let host = world.client(address);
    asking(world, host, to)
}

fn asking(world: &mut World, host: HostId, to: &str) -> Conn {
    let (migration, transport) = patience(secs(900));
    let config = ClientConfig::new(tls::client()).transport(transport);
    let config = Arc::new(config.migration(migration).expect("an offer"));
    world.connect_with(host, to, config, Client::echoes(100, ms(20)))
}

fn symmetric() -> RelocationPlan {
    RelocationPlan::uniform(MoveOrder::Symmetric)
}

fn explicit(to: &str) -> RelocationPlan {
    RelocationPlan::uniform(MoveOrder::Explicit(MigrationTarget::single(addr(to)).expect("a whole endpoint")))
}

/// Where a connection's client takes its server to be.
fn remote(world: &World, conn: Conn) -> SocketAddr {
    world.connection(conn).expect("it is open").remote()
}

/// Connections that followed, and that were lost.
fn settled(world: &World, server: HostId) -> Option<(usize, usize)> {
    world.at(server).relocations().find_map(|(_, event)| match event {
        RelocationEvent::Settled { moved, lost } => Some((*moved, *lost)),
        RelocationEvent::Ready { .. } => None,
    })
}

#[test]
fn several_servers_move_at_once() {
    let mut world = World::new();
    let servers = [server(&mut world, "45.0.0.1:443"), server(&mut world, "45.0.0.2:443")];
    let first = client(&mut world, "30.0.0.1:5000", "45.0.0.1:443");
    let second = client(&mut world, "30.0.0.2:5000", "45.0.0.2:443");
    world.run_for(ms(300));
    for server in servers {
        world.prepare(server, symmetric());
        world.run_until_ready(server, secs(1));
    }
    world.relocate_all(&[(servers[0], &["46.0.0.1:443"]), (servers[1], &["46.0.0.2:443"])], ms(100));
    world.run_well(secs(60));
    assert_eq!(remote(&world, first), addr("46.0.0.1:443"));
    assert_eq!(remote(&world, second), addr("46.0.0.2:443"));
}

#[test]
fn a_server_with_both_families_moves_in_both() {
    let mut world = World::new();
    let server = server(&mut world, "45.0.0.1:443");
    world.add_socket(server, "[2a00::1]:443");
    let old = client(&mut world, "30.0.0.1:5000", "45.0.0.1:443");
    let new = client(&mut world, "[2a01::1]:5000", "[2a00::1]:443");
    world.run_for(ms(300));
    let [v4, v6] = ["46.0.0.1:443", "[2a00::9]:443"];
    let both = MigrationTarget::new(v4.parse().ok(), v6.parse().ok());
    let plan = RelocationPlan::uniform(MoveOrder::Explicit(both.expect("two whole endpoints")));
    world.prepare(server, plan);
    world.run_until_ready(server, secs(1));
    world.relocate_all(&[(server, &[v4, v6])], ms(100));
    world.run_well(secs(60));
    assert_eq!((remote(&world, old), remote(&world, new)), (addr(v4), addr(v6)));
}

#[test]
fn a_client_with_both_families_connects_by_either_and_follows() {
    let mut world = World::new();
    let server = server(&mut world, "[2a00::1]:443");
    let host = world.client("30.0.0.1:5000");
    world.add_socket(host, "[2a01::1]:5000");
    let conn = asking(&mut world, host, "[2a00::1]:443");
    world.run_for(ms(300));
    world.relocate_by(server, symmetric(), "[2a00:5::7]:8443", ms(100));
    world.run_well(secs(60));
    assert_eq!(remote(&world, conn), addr("[2a00:5::7]:8443"));
}

#[test]
fn a_server_on_wildcard_sockets_moves() {
    let mut world = World::new();
    let server = server(&mut world, "45.0.0.1:443");
    world.wildcard(server);
    let conn = client(&mut world, "30.0.0.1:5000", "45.0.0.1:443");
    world.run_for(ms(300));
    world.relocate_by(server, symmetric(), "46.0.0.1:443", ms(100));
    world.run_well(secs(60));
    assert_eq!(remote(&world, conn), addr("46.0.0.1:443"));
}

#[test]
fn both_ends_move_in_the_same_round_trip() {
    let mut world = World::new();
    let server = server(&mut world, "45.0.0.1:443");
    let conn = client(&mut world, "30.0.0.1:5000", "45.0.0.1:443");
    world.run_for(ms(300));
    world.prepare(server, explicit("46.0.0.1:443"));
    world.run_until_ready(server, secs(1));
    world.plan(ms(5), move |world| world.rebind(conn, "30.0.0.9:5000").expect("it may move"));
    world.relocate(server, "46.0.0.1:443", ms(10));
    world.run_well(secs(60));
    let far = world.server_side(conn).expect("it is open");
    assert_eq!((remote(&world, conn), remote(&world, far)), (addr("46.0.0.1:443"), addr("30.0.0.9:5000")));
}

/// How a client's address changes.
#[derive(Debug, Clone, Copy)]
enum Change {
    /// It moves to another socket.
    Told,
    /// Its host is elsewhere, and its endpoint does not know.
    Untold,
    /// Its translator forgets.
    Translator,
}

/// The client changes so long after the notice of a move that takes 20 ms to be ready and 100 ms of frost. Both ends
/// then know where the other is.
fn assert_both_follow(after: Duration, change: Change) {
    let mut world = World::new();
    let server = server(&mut world, "45.0.0.1:443");
    world.nat(Nat::new(&[ip("10.0.0.1")], ip("30.0.0.1"), Filtering::AddressAndPortDependent));
    let inside = if let Change::Translator = change { "10.0.0.1:5000" } else { "30.0.5.1:5000" };
    let host = world.client(inside);
    world.wildcard(host);
    let conn = asking(&mut world, host, "45.0.0.1:443");
    world.run_for(ms(300));
    world.plan(after, move |world| match change {
        Change::Told => world.rebind(conn, "30.0.0.2:5000").expect("it may move"),
        Change::Untold => world.renumber(conn.host, "30.0.0.2:5000"),
        Change::Translator => world.rebind_nat(conn.host, Some("30.0.0.2")),
    });
    world.relocate_by(server, explicit("46.0.0.1:443"), "46.0.0.1:443", ms(100));
    world.run_well(secs(60));
    let far = world.server_side(conn).expect("it is open");
    let places = (remote(&world, conn), remote(&world, far).ip());
    assert_eq!(places, (addr("46.0.0.1:443"), ip("30.0.0.2")), "{change:?} after {after:?}");
}

#[test]
fn a_client_may_change_its_address_in_any_phase_of_its_servers_move() {
    for after in [0, 5, 15, 25, 60, 115, 122, 129, 145] {
        for change in [Change::Told, Change::Untold, Change::Translator] {
            assert_both_follow(ms(after), change);
        }
    }
}

#[test]
fn a_translator_forgets_while_the_server_is_frozen() {
    let mut world = World::new();
    let server = server(&mut world, "45.0.0.1:443");
    world.nat(Nat::new(&[ip("10.0.0.1")], ip("30.0.0.1"), Filtering::AddressDependent));
    let conn = client(&mut world, "10.0.0.1:5000", "45.0.0.1:443");
    world.run_for(ms(300));
    world.prepare(server, explicit("46.0.0.1:443"));
    world.run_until_ready(server, secs(1));
    world.plan(ms(50), move |world| world.rebind_nat(conn.host, Some("30.0.0.2")));
    world.relocate(server, "46.0.0.1:443", ms(100));
    world.run_well(secs(60));
    let far = world.server_side(conn).expect("it is open");
    assert_eq!(remote(&world, conn), addr("46.0.0.1:443"));
    assert_eq!(remote(&world, far).ip(), ip("30.0.0.2"));
}

#[test]
fn ten_minutes_of_frost_cost_little() {
    let mut world = World::new();
    let server = server(&mut world, "45.0.0.1:443");
    let conn = client(&mut world, "30.0.0.1:5000", "45.0.0.1:443");
    world.run_for(ms(300));
    let before = (world.trace().datagrams(), world.steps());
    world.relocate_by(server, symmetric(), "46.0.0.1:443", secs(600));
    let (datagrams, steps) = (world.trace().datagrams() - before.0, world.steps() - before.1);
    assert!(datagrams <= 700 && steps <= 4 * 700, "{datagrams} datagrams, {steps} steps");
    world.run_well(secs(60));
    assert_eq!(remote(&world, conn), addr("46.0.0.1:443"));
    assert_eq!(settled(&world, server), Some((1, 0)));
}

#[test]
fn what_was_sent_to_a_frozen_host_may_wait_for_it() {
    let served = |meanwhile| {
        let mut world = World::new();
        let server = server(&mut world, "45.0.0.1:443");
        let conn = client(&mut world, "30.0.0.1:5000", "45.0.0.1:443");
        world.run_for(ms(300));
        world.freeze_with(server, meanwhile);
        world.run_for(ms(25));
        world.thaw_with(server, Clock::Jumps);
        world.run_for(ms(11));
        world.app::<Client>(conn).served().last().expect("one was served").asked
    };
    assert!(served(Meanwhile::Queued) > served(Meanwhile::Lost));
}

#[test]
fn a_path_can_be_cut_in_one_phase_and_mended_in_the_next() {
    let mut world = World::new();
    let server = server(&mut world, "45.0.0.1:443");
    let conn = client(&mut world, "30.0.0.1:5000", "45.0.0.1:443");
    world.run_for(ms(300));
    world.prepare(server, symmetric());
    world.run_until_ready(server, secs(1));
    world.cut("46.0.0.1");
    world.relocate(server, "46.0.0.1:443", ms(100));
    world.run_for(secs(5));
    assert_eq!(remote(&world, conn), addr("45.0.0.1:443"), "nothing came from the new address");
    world.mend("46.0.0.1");
    world.run_well(secs(60));
    assert_eq!(remote(&world, conn), addr("46.0.0.1:443"));
}

#[test]
fn a_tap_sees_one_phase_and_turns_bits() {
    let mut world = World::new();
    let server = server(&mut world, "45.0.0.1:443");
    let conn = client(&mut world, "30.0.0.1:5000", "45.0.0.1:443");
    let turned = Rc::new(Cell::new(0));
    let count = Rc::clone(&turned);
    let tap = world.tap(move |_, datagram| {
        if !Shape::of(&datagram.payload).has(Kind::OneRtt) {
            return Verdict::Pass;
        }
        count.set(count.get() + 1);
        Verdict::Corrupt { bit: datagram.payload.len() * 8 - 1 }
    });
    world.run_for(secs(1));
    assert!(turned.get() > 0);
    assert!(world.app::<Client>(conn).served().is_empty(), "nothing is authentic");
    world.untap(tap);
    let in_vain = turned.get();
    world.run_well(secs(60));
    assert_eq!(turned.get(), in_vain);
    assert_eq!(world.at(server).endpoint().connections().count(), 1);
}

#[test]
fn a_link_may_be_worse_in_one_direction() {
    let mut world = World::new();
    world.one_way(Some("45.0.0.1"), None, Link::delay(ms(200)));
    let server = server(&mut world, "45.0.0.1:443");
    let conn = client(&mut world, "30.0.0.1:5000", "45.0.0.1:443");
    world.run_well(secs(60));
    assert!(world.app::<Client>(conn).served().iter().all(|served| served.took >= ms(210)));
    assert_eq!(world.closed(conn), None);
    assert_eq!(world.at(server).sockets(), [addr("45.0.0.1:443")]);
}
