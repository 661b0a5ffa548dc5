//! How much one world bears: `crowd [CLIENTS [SERVERS [HOSTS]]]` connects clients (10 000) that share so many hosts (one
//! each), every host behind a translator, lets each ask for an echo, relocates all servers (one) at once, and lets each
//! ask again. The time it takes is for `time` to say.

use std::net::Ipv4Addr;
use std::sync::Arc;

use peregrine::{ClientConfig, MigrationConfig, MoveOrder, RelocationPlan, ServerConfig, Strategy};
use peregrine_sim::{Client, Conn, Filtering, HostId, Link, Nat, World, ms, secs, tls};

/// Where the first server begins.
const HOME: Ipv4Addr = Ipv4Addr::new(45, 0, 0, 1);
/// Where it moves to.
const AWAY: Ipv4Addr = Ipv4Addr::new(46, 0, 0, 1);
/// The first of the clients' hosts.
const INSIDE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// The translator in front of it.
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(30, 0, 0, 1);

/// So many addresses after the first.
fn nth(first: Ipv4Addr, number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(first.to_bits() + number)
}

fn migration() -> MigrationConfig {
    MigrationConfig::new(Strategy::Symmetric.into())
}

/// The server of this number.
fn server(world: &mut World, number: u32) -> HostId {
    let config = ServerConfig::new(tls::server()).migration(migration()).expect("a permit");
    world.server_with(&format!("{}:443", nth(HOME, number)), config)
}

/// The clients' host of this number.
fn site(world: &mut World, number: u32) -> HostId {
    let inside = nth(INSIDE, number);
    world.nat(Nat::new(&[inside.into()], nth(OUTSIDE, number).into(), Filtering::EndpointIndependent));
    world.client(&format!("{inside}:5000"))
}

fn report(world: &World, what: &str) {
    println!("{:?} after {} steps: {what}", world.now(), world.steps());
}

fn main() {
    let mut numbers = std::env::args().skip(1).map(|word| word.parse().expect("a number"));
    let clients: u32 = numbers.next().unwrap_or(10_000);
    let servers: u32 = numbers.next().unwrap_or(1);
    let sites: u32 = numbers.next().unwrap_or(clients);

    let mut world = World::new();
    world.links(Link::rtt(ms(20)));
    let hosts: Vec<HostId> = (0..servers).map(|number| server(&mut world, number)).collect();
    let sites: Vec<HostId> = (0..sites).map(|number| site(&mut world, number)).collect();
    let config = ClientConfig::new(tls::client()).migration(migration()).expect("an offer");
    let config = Arc::new(config);
    let connect = |number: u32| {
        let (site, to) = (sites[number as usize % sites.len()], nth(HOME, number % servers));
        let app = Client::asking([Client::echo()]);
        world.connect_with(site, &format!("{to}:443"), Arc::clone(&config), app)
    };
    let conns: Vec<Conn> = (0..clients).map(connect).collect();
    world.run_well(secs(60));
    report(&world, "all are served");

    for host in &hosts {
        world.prepare(*host, RelocationPlan::uniform(MoveOrder::Symmetric));
        world.run_until_ready(*host, secs(30));
    }
    report(&world, "all servers are ready to move");
    let away: Vec<String> = (0..servers).map(|number| format!("{}:443", nth(AWAY, number))).collect();
    let to: Vec<[&str; 1]> = away.iter().map(|address| [address.as_str()]).collect();
    let moves: Vec<(HostId, &[&str])> = hosts.iter().copied().zip(to.iter().map(|to| &to[..])).collect();
    world.relocate_all(&moves, secs(5));
    for conn in &conns {
        world.ask(*conn, Client::echo());
    }
    world.run_well(secs(60));
    report(&world, "all are served again");
    for conn in conns {
        let remote = world.connection(conn).expect("it is open").remote();
        assert!(remote.ip() >= AWAY, "{conn:?} has not followed");
    }
}
