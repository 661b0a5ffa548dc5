//! Transfers on bad networks: loss, duplication, reordering, corruption, outages, narrow links, moving clients.

use std::sync::Arc;
use std::time::Duration;

use peregrine::{ClientConfig, ConnectionEvent, ServerConfig, TransportConfig};

use sim::{
    Client, Conn, Filtering, HostId, Link, Mapping, Nat, Outcome, Queue, Verdict, World, addr, for_seeds, ip,
    ms, secs, tls,
};

const SERVER: &str = "45.0.0.1:443";
const CLIENT: &str = "192.0.2.1:5000";

/// A server and a client of it, patient with handshakes, that runs this.
fn pair(world: &mut World, app: Client) -> Conn {
    let patient =
        TransportConfig::builder().handshake_timeout(secs(100)).build().expect("settings that can be");
    let patient = Arc::new(patient);
    world.server_with(SERVER, ServerConfig::new(tls::server()).transport(Arc::clone(&patient)));
    let client = world.client(CLIENT);
    let config = Arc::new(ClientConfig::new(tls::client()).transport(patient));
    world.connect_with(client, SERVER, config, app)
}

/// A world with these links, and in it a client that runs this.
fn world(seed: u64, link: Link, app: Client) -> (World, Conn) {
    let mut world = World::seeded(seed);
    world.links(link);
    let conn = pair(&mut world, app);
    (world, conn)
}

/// Runs it under so many seeds, down and up; each run ends well.
fn transfers(seeds: u64, bytes: u64, link: &Link) {
    for_seeds(seeds, |seed| {
        world(seed, link.clone(), Client::download(bytes)).0.run_well(secs(600));
        world(seed, link.clone(), Client::upload(bytes)).0.run_well(secs(600));
    });
}

fn link() -> Link {
    Link::rtt(ms(40)).bandwidth(20_000_000)
}

#[test]
fn transfers_survive_no_loss() {
    transfers(2, 1_000_000, &link());
}

#[test]
fn transfers_survive_a_little_loss() {
    transfers(20, 200_000, &link().loss(0.015));
}

#[test]
fn transfers_survive_much_loss() {
    transfers(40, 50_000, &link().loss(0.1));
}

#[test]
fn transfers_survive_terrible_loss() {
    transfers(20, 20_000, &link().loss(0.3));
}

#[test]
fn transfers_survive_duplication() {
    transfers(10, 200_000, &link().duplication(0.3));
}

#[test]
fn transfers_survive_reordering() {
    transfers(10, 200_000, &link().reordering(0.2, ms(15)));
}

#[test]
fn transfers_survive_corruption() {
    transfers(40, 100_000, &link().corruption(0.05));
}

#[test]
fn transfers_survive_all_of_it_at_once() {
    let bad = link().loss(0.05).duplication(0.05).reordering(0.1, ms(30)).corruption(0.02);
    transfers(60, 50_000, &bad);
}

#[test]
fn reordering_alone_is_hardly_taken_for_loss() {
    // A millisecond late is overtaken by one or two datagrams: below the packet threshold of three.
    let (mut world, conn) =
        world(1, link().reordering(0.05, Duration::from_micros(900)), Client::download(500_000));
    world.run_well(secs(60));
    let server_side = world.server_side(conn).expect("the server has it too");
    assert_eq!(world.connection(server_side).expect("open").stats().packets_lost, 0);
}

#[test]
fn a_clean_link_is_filled() {
    let (mut world, conn) = world(1, link().queue(Queue::Packets(100)), Client::download(10_000_000));
    world.run_well(secs(60));
    let took = world.app::<Client>(conn).served()[0].took;
    // 10 MB at 20 Mbit/s are 4 s.
    assert!(took < Duration::from_millis(5_000), "{took:?}");
}

#[test]
fn a_link_with_a_short_queue_is_used_well() {
    let narrow = Link::rtt(ms(40)).bandwidth(4_000_000).queue(Queue::Packets(15));
    let (mut world, conn) = world(1, narrow, Client::download(2_000_000));
    world.run_well(secs(60));
    let took = world.app::<Client>(conn).served()[0].took;
    // 2 MB at 4 Mbit/s are 4 s.
    assert!(took < Duration::from_millis(6_500), "{took:?}");
}

#[test]
fn an_outage_shorter_than_the_idle_timeout_is_survived() {
    for_seeds(20, |seed| {
        let (mut world, _) = world(seed, link(), Client::download(3_000_000));
        world.run_for(ms(300 + 13 * (seed % 40)));
        world.links(link().down());
        world.run_for(secs(8));
        world.links(link());
        world.run_well(secs(60));
    });
}

#[test]
fn an_outage_longer_than_the_idle_timeout_ends_both_sides() {
    let (mut world, conn) = world(1, link(), Client::download(10_000_000));
    world.run_for(ms(500));
    let server_side = world.server_side(conn).expect("the server has it too");
    world.links(link().down());
    assert!(world.run_out(secs(300)));
    assert!(matches!(world.outcome(conn), Outcome::Failed(_)));
    assert!(world.closed(conn).is_some() && world.closed(server_side).is_some());
}

#[test]
fn a_path_that_carries_1200_bytes_is_enough() {
    transfers(2, 200_000, &link().mtu(1200));
}

#[test]
fn acknowledgements_lost_one_way_cost_little() {
    for_seeds(10, |seed| {
        let mut world = World::seeded(seed);
        world.links(link());
        let conn = pair(&mut world, Client::download(1_000_000));
        world.run_until(|world| world.is_connected(conn), secs(1));
        world.one_way(Some("192.0.2.1"), None, link().loss(0.3));
        world.run_well(secs(60));
        let took = world.app::<Client>(conn).served()[0].took;
        assert!(took < secs(3), "{took:?}");
    });
}

#[test]
fn a_lost_last_packet_is_repaired_within_two_probe_timeouts() {
    // Whichever datagram is lost of a small exchange after the handshake, it ends soon.
    for number in 0..12 {
        let (mut world, conn) = world(1, Link::rtt(ms(40)), Client::idle());
        world.run_for(secs(1));
        let mut seen = 0;
        world.tap(move |_, _| {
            seen += 1;
            if seen == number + 1 { Verdict::Drop } else { Verdict::Pass }
        });
        world.ask(conn, Client::echo());
        world.run_well(secs(5));
        let took = world.app::<Client>(conn).served()[0].took;
        assert!(took < ms(400), "datagram {number}: {took:?}");
    }
}

/// A client behind a translator, kept alive, that runs this.
fn behind_nat(seed: u64, filtering: Filtering, mapping: Mapping, app: Client) -> (World, HostId, Conn) {
    let mut world = World::seeded(seed);
    world.links(link());
    let transport =
        TransportConfig::builder().keep_alive(Some(secs(1))).build().expect("settings that can be");
    let transport = Arc::new(transport);
    world.server_with(SERVER, ServerConfig::new(tls::server()).transport(Arc::clone(&transport)));
    let client = world.client("10.0.0.2:5000");
    world.nat(Nat::new(&[ip("10.0.0.2")], ip("192.0.2.77"), filtering).mapping(mapping));
    let config = Arc::new(ClientConfig::new(tls::client()).transport(transport));
    let conn = world.connect_with(client, SERVER, config, app);
    (world, client, conn)
}

const FILTERINGS: [Filtering; 3] =
    [Filtering::EndpointIndependent, Filtering::AddressDependent, Filtering::AddressAndPortDependent];

#[test]
fn a_rebound_translator_does_not_end_a_transfer() {
    for_seeds(6, |seed| {
        for filtering in FILTERINGS {
            for app in [Client::download(1_200_000), Client::upload(1_200_000)] {
                let (mut world, client, conn) =
                    behind_nat(seed, filtering, Mapping::EndpointIndependent, app);
                world.run_for(ms(250 + 17 * (seed % 20)));
                let server_side = world.server_side(conn).expect("the server has it too");
                world.rebind_nat(client, None);
                world.run_well(secs(60));
                let moved =
                    world.when(server_side, |event| matches!(event, ConnectionEvent::PeerMoved { .. }));
                assert!(moved.is_some(), "the server has seen it");
            }
        }
    });
}

#[test]
fn a_client_may_change_its_address_again_and_again() {
    for_seeds(10, |seed| {
        let (mut world, client, conn) = behind_nat(
            seed,
            Filtering::AddressDependent,
            Mapping::EndpointIndependent,
            Client::echoes(100, ms(50)),
        );
        for round in 1..=8u64 {
            world.plan(ms(700 * round), move |world| {
                let public = format!("192.0.2.{}", 100 + round);
                world.rebind_nat(client, (round % 2 == 0).then_some(public.as_str()));
            });
        }
        world.run_well(secs(60));
        let server_side = world.server_side(conn).expect("the server has it too");
        assert_eq!(world.connection(server_side).expect("open").remote().ip(), ip("192.0.2.108"));
    });
}

#[test]
fn a_copy_from_elsewhere_does_not_carry_the_client_away() {
    for_seeds(10, |seed| {
        let (mut world, conn) = world(seed, link(), Client::echoes(60, ms(30)));
        let mut number = 0;
        // An attacker sends a copy of every tenth datagram of the client from an address of its own, slower.
        world.tap(move |_, datagram| {
            number += 1;
            if datagram.from == addr(CLIENT) && number % 10 == 0 {
                Verdict::Copy { from: addr("198.51.100.66:6"), to: datagram.to, after: ms(3) }
            } else {
                Verdict::Pass
            }
        });
        world.run_well(secs(20));
        let server_side = world.server_side(conn).expect("the server has it too");
        assert_eq!(world.connection(server_side).expect("open").remote(), addr(CLIENT));
    });
}

#[test]
fn an_attacker_that_races_ahead_is_left_behind() {
    for_seeds(10, |seed| {
        let (mut world, conn) = world(seed, link(), Client::echoes(60, ms(30)));
        let mut number = 0;
        // Now the copy comes first: the original is held up.
        world.tap(move |_, datagram| {
            number += 1;
            match datagram.from == addr(CLIENT) {
                true if number % 17 == 0 => {
                    Verdict::Copy { from: addr("198.51.100.66:6"), to: datagram.to, after: Duration::ZERO }
                }
                true if number % 17 == 1 => Verdict::Delay(ms(1)),
                _ => Verdict::Pass,
            }
        });
        world.one_way(Some("198.51.100.66"), None, Link::delay(ms(1)));
        world.run_well(secs(60));
        world.run_for(secs(3));
        let server_side = world.server_side(conn).expect("the server has it too");
        assert_eq!(world.connection(server_side).expect("open").remote(), addr(CLIENT));
    });
}

#[test]
fn the_same_seed_is_the_same_run_on_a_bad_network() {
    let run = || {
        let bad = link().loss(0.05).duplication(0.05).reordering(0.1, ms(30)).corruption(0.02);
        let (mut world, _) = world(7, bad, Client::downloads(5, 30_000));
        world.run_well(secs(60));
        (world.trace().hash(), world.now())
    };
    assert_eq!(run(), run());
}

#[test]
fn a_keep_alive_faster_than_the_probe_timeout_does_not_put_it_off() {
    let mut world = World::seeded(1);
    world.links(Link::rtt(ms(600)));
    let transport =
        TransportConfig::builder().keep_alive(Some(ms(300))).build().expect("settings that can be");
    let transport = Arc::new(transport);
    world.server_with("45.0.0.1:443", ServerConfig::new(tls::server()).transport(Arc::clone(&transport)));
    let client = world.client("192.0.2.1:5000");
    let config = Arc::new(ClientConfig::new(tls::client()).transport(transport));
    let conn = world.connect_with(client, "45.0.0.1:443", config, Client::echoes(2, secs(3)));
    world.run_for(secs(4));
    // The second request is lost: nothing but a probe brings it back.
    world.links_of("192.0.2.1", Link::rtt(ms(600)).down());
    world.run_for(secs(2));
    world.links_of("192.0.2.1", Link::rtt(ms(600)));
    world.run_well(secs(10));
    let probes = world.connection(conn).expect("it is open").stats().probe_timeouts;
    assert!(probes > 0);
}
