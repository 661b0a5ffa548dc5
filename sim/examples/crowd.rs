//! How much one world bears: `crowd [CLIENTS [SERVERS [HOSTS]]]` connects clients (10 000) that share so many hosts (one
//! each), every host behind a translator, lets each ask for an echo, relocates all servers (one) at once, and lets each
//! ask again. The time it takes is for `time` to say.

use std::sync::Arc;

use peregrine::{ClientConfig, MigrationConfig, MoveOrder, RelocationPlan, ServerConfig, Strategy};
use peregrine_sim::{Client, Filtering, HostId, Link, Nat, World, ip, ms, secs, tls};

/// So many addresses, from this one on.
fn address(base: u32, number: u32) -> std::net::Ipv4Addr {
    std::net::Ipv4Addr::from_bits(base + number)
}

fn main() {
    let mut numbers = std::env::args().skip(1).map(|word| word.parse().expect("a number"));
    let clients: u32 = numbers.next().unwrap_or(10_000);
    let servers: u32 = numbers.next().unwrap_or(1);
    let sites: u32 = numbers.next().unwrap_or(clients);
    let migration = || MigrationConfig::new(Strategy::Symmetric.into());

    let mut world = World::new();
    world.links(Link::rtt(ms(20)));
    let home = |number| format!("{}:443", address(0x2d00_0000, number));
    let hosts: Vec<HostId> = (0..servers)
        .map(|number| {
            let config = ServerConfig::new(tls::server()).migration(migration()).expect("a permit");
            world.server_with(&home(number), config)
        })
        .collect();
    let config = ClientConfig::new(tls::client()).migration(migration()).expect("an offer");
    let config = Arc::new(config);
    let sites: Vec<HostId> = (0..sites)
        .map(|number| {
            let (inside, public) = (address(0x0a00_0001, number), address(0x1e00_0001, number));
            world.nat(Nat::new(&[inside.into()], public.into(), Filtering::EndpointIndependent));
            world.client(&format!("{inside}:5000"))
        })
        .collect();
    let mut conns = Vec::new();
    for number in 0..clients {
        let (host, to) = (sites[number as usize % sites.len()], home(number % servers));
        conns.push(world.connect_with(host, &to, Arc::clone(&config), Client::asking([Client::echo()])));
    }
    world.run_well(secs(60));
    println!("{:?}: {clients} clients are served, after {} steps", world.now(), world.steps());

    let away: Vec<String> =
        (0..servers).map(|number| format!("{}:443", address(0x2e00_0000, number))).collect();
    for host in &hosts {
        world.prepare(*host, RelocationPlan::uniform(MoveOrder::Symmetric));
        world.run_until_ready(*host, secs(30));
    }
    println!("{:?}: ready, after {} steps", world.now(), world.steps());
    let to: Vec<[&str; 1]> = away.iter().map(|address| [address.as_str()]).collect();
    let moves: Vec<(HostId, &[&str])> = hosts.iter().copied().zip(to.iter().map(|to| &to[..])).collect();
    world.relocate_all(&moves, secs(5));
    for conn in &conns {
        world.ask(*conn, Client::echo());
    }
    world.run_well(secs(60));
    let followed = |conn: &&peregrine_sim::Conn| {
        let remote = world.connection(**conn).expect("it is open").remote();
        remote.ip() >= ip("46.0.0.0")
    };
    let followed = conns.iter().filter(followed).count();
    println!(
        "{:?}: {followed} have followed and are served again, after {} steps",
        world.now(),
        world.steps()
    );
    assert_eq!(followed, conns.len());
}
