//! The second bit of packets, the QUIC bit: greased where both ends say they bear it, and left alone elsewhere (RFC
//! 9287).

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use peregrine::{ClientConfig, DropReason, ServerConfig, TransportConfig, VarInt};

use sim::{Client, Conn, HostId, Link, Verdict, World, addr, ms, secs, tls};
use stage::moves::{AWAY, Play, Stage};

const SERVER: &str = "45.0.0.1:443";
const CLIENT: &str = "192.0.2.1:5000";

/// First bytes of datagrams, in the order they were sent: whether the client sent them, and the byte.
type Tape = Rc<RefCell<Vec<(bool, u8)>>>;

fn record(world: &mut World) -> Tape {
    let tape = Tape::default();
    let log = Rc::clone(&tape);
    world.tap(move |_, datagram| {
        log.borrow_mut().push((datagram.from == addr(CLIENT), datagram.payload[0]));
        Verdict::Pass
    });
    tape
}

/// A server and a client that downloads so much, each bearing any bit or not.
fn pair(world: &mut World, greases: [bool; 2], bytes: u64) -> (HostId, Conn) {
    let [server, client] = greases.map(|on| {
        Arc::new(TransportConfig::builder().grease_quic_bit(on).build().expect("settings that can be"))
    });
    let host = world.server_with(SERVER, ServerConfig::new(tls::server()).transport(server));
    let from = world.client(CLIENT);
    let config = Arc::new(ClientConfig::new(tls::client()).transport(client));
    (host, world.connect_with(from, SERVER, config, Client::download(bytes)))
}

/// How many datagrams of the client or of the server begin with a short header, and how many of them with a clear bit.
fn short(tape: &Tape, by_client: bool) -> (usize, usize) {
    let tape = tape.borrow();
    let own = tape.iter().filter(|(of_client, first)| *of_client == by_client && first & 0x80 == 0);
    let firsts: Vec<u8> = own.map(|(_, first)| *first).collect();
    (firsts.len(), firsts.iter().filter(|first| **first & 0x40 == 0).count())
}

#[test]
fn between_two_that_bear_it_half_of_the_packets_have_the_bit_clear() {
    let mut world = World::new();
    world.links(Link::rtt(ms(20)));
    let tape = record(&mut world);
    pair(&mut world, [true, true], 1_000_000);
    world.run_well(secs(10));
    for by_client in [true, false] {
        let (all, clear) = short(&tape, by_client);
        assert!(all > 100 && (all * 2 / 5..all * 3 / 5).contains(&clear), "{clear} of {all}");
    }
}

#[test]
fn the_bit_is_set_until_the_peer_has_said_that_it_bears_either() {
    // The client's first flight goes out before it knows; the server's may be greased already.
    let mut greased = 0;
    for seed in 0..20 {
        let mut world = World::seeded(seed);
        let tape = record(&mut world);
        pair(&mut world, [true, true], 1000);
        world.run_well(secs(1));
        let tape = tape.borrow();
        let first_of_server = tape.iter().find(|(by_client, _)| !by_client).expect("the server spoke").1;
        assert_eq!((tape[0].1 & 0xc0, first_of_server & 0x80), (0xc0, 0x80));
        greased += usize::from(first_of_server & 0x40 == 0);
    }
    assert!((1..20).contains(&greased), "{greased}");
}

#[test]
fn what_is_remembered_of_an_earlier_connection_clears_no_bit() {
    let mut world = World::new();
    world.links(Link::rtt(ms(20)));
    world.server_with(SERVER, ServerConfig::new(tls::server()).early_data(true));
    let from = world.client(CLIENT);
    let config = Arc::new(ClientConfig::new(tls::resuming_client()).early_data(true));
    let earlier = world.connect_with(from, SERVER, Arc::clone(&config), Client::echoes(1, ms(0)));
    world.run_well(secs(1));
    world.with(earlier, |now, connection| connection.close(now, VarInt::ZERO, b""));
    world.run_for(secs(1));
    let tape = record(&mut world);
    world.connect_with(from, SERVER, config, Client::upload(12_000));
    // Before it can have heard from the server.
    world.run_for(ms(15));
    let tape = tape.borrow();
    let first_flight: Vec<u8> = tape.iter().filter(|entry| entry.0).map(|(_, first)| first & 0xc0).collect();
    assert!(first_flight.len() > 8, "{}", first_flight.len());
    assert!(first_flight.iter().all(|first| *first == 0xc0), "{first_flight:x?}");
}

#[test]
fn where_one_does_not_bear_it_the_bit_is_always_set() {
    for greases in [[true, false], [false, true], [false, false]] {
        let mut world = World::new();
        world.links(Link::rtt(ms(20)));
        let tape = record(&mut world);
        pair(&mut world, greases, 200_000);
        world.run_well(secs(10));
        assert!(tape.borrow().iter().all(|(_, first)| first & 0x40 != 0), "{greases:?}");
        assert!(short(&tape, false).0 > 100);
    }
}

#[test]
fn who_does_not_bear_it_drops_packets_with_a_clear_bit_unread() {
    for (greases, reason) in [(true, DropReason::Undecryptable), (false, DropReason::Malformed)] {
        let mut world = World::new();
        world.links(Link::rtt(ms(20)));
        let mut number = 0;
        // The header is authentic: who changes it makes a packet that does not open, if it is tried.
        world.tap(move |_, datagram| {
            number += 1;
            if number != 40 {
                return Verdict::Pass;
            }
            let mut payload = datagram.payload.clone();
            payload[0] = payload[0] & 0x3f | (payload[0] & 0x40 ^ 0x40);
            Verdict::Replace(payload)
        });
        let (_, conn) = pair(&mut world, [greases; 2], 200_000);
        world.run_well(secs(10));
        let server_side = world.server_side(conn).expect("the server has it too");
        let dropped =
            [conn, server_side].map(|end| world.connection(end).expect("open").stats().dropped(reason));
        assert_eq!(dropped.iter().sum::<u64>(), 1, "{greases}");
    }
}

#[test]
fn a_server_that_lost_its_memory_resets_a_connection_that_greases() {
    let mut world = World::new();
    let (server, conn) = pair(&mut world, [true, true], 1000);
    world.run_well(secs(1));
    world.restart(server);
    world.ask(conn, Client::echo());
    world.run_for(secs(5));
    assert_eq!(world.closed(conn), Some(&peregrine::CloseReason::Reset));
}

#[test]
fn a_server_moves_while_both_grease() {
    for play in Play::ALL {
        let mut scene = Stage::new(play).client(Client::download(2_000_000));
        scene.await_connected();
        scene.world.run_for(ms(200));
        scene.relocate(AWAY, ms(100));
        scene.run_well(secs(20));
        scene.assert_followed(AWAY);
    }
}
