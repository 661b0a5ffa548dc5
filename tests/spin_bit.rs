//! What an observer reads from the spin bit (RFC 9000, Section 17.4).

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use peregrine::{ClientConfig, ConnectionId, Instant, ServerConfig, TransportConfig, peek};

use sim::{Client, Conn, Link, Verdict, World, addr, ms, secs, tls};

const SERVER: &str = "45.0.0.1:443";
const CLIENT: &str = "30.0.0.1:5000";

/// When the server's 1-RTT packets passed an observer, what they were for, and their spin bit.
type Log = Rc<RefCell<Vec<(Instant, ConnectionId, bool)>>>;

fn observe(world: &mut World) -> Log {
    let log = Log::default();
    let seen = Rc::clone(&log);
    world.tap(move |now, datagram| {
        if datagram.from == addr(SERVER)
            && let Some(first) = datagram.payload.first().filter(|first| **first & 0x80 == 0)
            && let Some(id) = peek(&datagram.payload, 8)
        {
            seen.borrow_mut().push((now, id, first & 0x20 != 0));
        }
        Verdict::Pass
    });
    log
}

fn transport(on: bool) -> Arc<TransportConfig> {
    Arc::new(TransportConfig::builder().spin_bit(on).build().expect("settings that can be"))
}

/// A client of a server, each of which spins or does not.
fn pair(seed: u64, client_spins: bool, server_spins: bool, app: Client) -> (World, Conn, Log) {
    let mut world = World::seeded(seed);
    world.links(Link::rtt(ms(40)));
    let log = observe(&mut world);
    world.server_with(SERVER, ServerConfig::new(tls::server()).transport(transport(server_spins)));
    let client = world.client(CLIENT);
    let config = ClientConfig::new(tls::client()).transport(transport(client_spins));
    let conn = world.connect_with(client, SERVER, Arc::new(config), app);
    (world, conn, log)
}

/// The times between two changes of the bit.
fn periods(log: &Log) -> Vec<Duration> {
    let log = log.borrow();
    let edges: Vec<Instant> =
        log.windows(2).filter(|pair| pair[0].2 != pair[1].2).map(|pair| pair[1].0).collect();
    edges.windows(2).map(|pair| pair[1].since(pair[0])).collect()
}

/// Whether the bit says the same of each connection ID throughout.
fn is_constant(log: &Log) -> bool {
    let mut shown: BTreeMap<ConnectionId, bool> = BTreeMap::new();
    log.borrow().iter().all(|(_, id, bit)| *shown.entry(*id).or_insert(*bit) == *bit)
}

#[test]
fn an_observer_reads_the_round_trip_where_both_sides_let_it() {
    let (mut world, _, log) = pair(1, true, true, Client::download(400_000));
    world.run_well(secs(10));
    let periods = periods(&log);
    assert!(periods.len() >= 4, "{periods:?}");
    assert!(periods.iter().all(|period| (ms(40)..ms(48)).contains(period)), "{periods:?}");
}

#[test]
fn nothing_is_read_where_one_side_does_not() {
    for (client, server) in [(false, false), (true, false), (false, true)] {
        let (mut world, _, log) = pair(1, client, server, Client::download(100_000));
        world.run_well(secs(10));
        assert!(log.borrow().len() > 50);
        assert!(periods(&log).is_empty(), "{client}, {server}");
    }
}

#[test]
fn by_default_the_bit_is_another_for_each_connection_id_and_means_nothing() {
    let mut bits = BTreeSet::new();
    for seed in 1..=12 {
        let (mut world, _, log) = pair(seed, false, false, Client::echoes(3, ms(10)));
        world.run_well(secs(10));
        assert!(is_constant(&log));
        bits.extend(log.borrow().iter().map(|(.., bit)| *bit));
    }
    assert_eq!(bits.len(), 2, "both values are seen");
}

#[test]
fn one_path_in_sixteen_keeps_to_itself() {
    let silent = (1..=96).filter(|seed| {
        let (mut world, _, log) = pair(*seed, true, true, Client::echoes(4, ms(20)));
        world.run_well(secs(10));
        is_constant(&log)
    });
    // Each side draws for itself: it takes two to spin.
    let silent = silent.count();
    assert!((3..=24).contains(&silent), "{silent} of 96");
}

/// The bits of what a server sends to a client that has moved.
fn bits_after_a_move(seed: u64) -> Vec<bool> {
    let (mut world, conn, log) = pair(seed, true, true, Client::echoes(16, ms(20)));
    world.run_for(ms(400));
    let socket = world.add_socket(conn.host, "30.0.1.1:5000");
    let local = world.at(conn.host).local(socket);
    let before: BTreeSet<ConnectionId> = log.borrow().iter().map(|(_, id, _)| *id).collect();
    assert_eq!(world.with(conn, |now, connection| connection.rebind(now, local)), Ok(()));
    world.run_well(secs(10));
    let log = log.borrow();
    log.iter().filter(|(_, id, _)| !before.contains(id)).map(|(.., bit)| *bit).collect()
}

#[test]
fn a_client_that_moves_begins_at_zero_and_spins_on() {
    let spins = |seed: &u64| {
        let bits = bits_after_a_move(*seed);
        bits.first() == Some(&false) && bits.contains(&true)
    };
    // On each new path each side draws anew whether it keeps to itself.
    let spinning = (1..=24).filter(spins).count();
    assert!(spinning >= 15, "{spinning} of 24");
}
