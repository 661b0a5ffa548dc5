//! Clients whose translator gives them another address, and strangers who make it look so (RFC 9000, Section 9.3).

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;

use peregrine::{Connection, ConnectionEvent, Dir, Instant};

use sim::{
    Client, Conn, Datagram, Filtering, Kind, Link, Nat, Request, Shape, Verdict, World, addr, ip, ms, secs,
};

const SERVER: &str = "45.0.0.1:443";
const INSIDE: &str = "10.0.0.1:5000";
const FIRST: &str = "30.0.9.9:20000";
const STRANGER: &str = "198.51.100.66:6666";

/// Every datagram: when, from where, to where, and how long.
type Log = Rc<RefCell<Vec<(Instant, SocketAddr, SocketAddr, usize)>>>;

fn pair(app: Client) -> (World, Conn, Log) {
    let mut world = World::seeded(1);
    world.links(Link::rtt(ms(40)).bandwidth(20_000_000));
    let log = Log::default();
    let seen = Rc::clone(&log);
    world.tap(move |now, datagram| {
        seen.borrow_mut().push((now, datagram.from, datagram.to, datagram.payload.len()));
        Verdict::Pass
    });
    world.server(SERVER);
    let client = world.client(INSIDE);
    world.nat(Nat::new(&[ip("10.0.0.1")], ip("30.0.9.9"), Filtering::AddressAndPortDependent));
    let conn = world.connect(client, SERVER, app);
    world.run_until(move |world| world.connection(conn).is_some_and(Connection::is_confirmed), secs(1));
    world.run_for(ms(200));
    (world, conn, log)
}

/// What the server says of the client's address, in order.
fn moves(world: &World, conn: Conn) -> Vec<(SocketAddr, SocketAddr)> {
    let far = world.server_side(conn).expect("the server has it");
    let moves = world.at(far.host).said(far.handle).filter_map(|(_, event)| match event {
        ConnectionEvent::PeerMoved { from, to } => Some((*from, *to)),
        _ => None,
    });
    moves.collect()
}

/// Lengths of what goes to an address since then.
fn lengths_to(log: &Log, to: &str, since: Instant) -> Vec<usize> {
    let log = log.borrow();
    log.iter().filter(|(at, _, there, _)| *at >= since && *there == addr(to)).map(|(.., len)| *len).collect()
}

fn far_path(world: &World, conn: Conn) -> peregrine::PathStats {
    let far = world.server_side(conn).expect("the server has it");
    world.connection(far).expect("it is open").path()
}

#[test]
fn a_new_port_is_asked_and_so_is_the_old_one() {
    let (mut world, conn, log) = pair(Client::echoes(60, ms(20)));
    let rebound = world.now();
    world.rebind_nat(conn.host, None);
    world.run_until(move |world| !moves(world, conn).is_empty(), secs(1));
    world.run_for(ms(30));
    assert_eq!(moves(&world, conn), [(addr(FIRST), addr("30.0.9.9:20001"))]);
    // The old path is asked with a probe of full size, although nobody lives there any more.
    assert_eq!(lengths_to(&log, FIRST, rebound).iter().filter(|len| **len == 1200).count(), 1);
    world.run_well(secs(10));
    assert_eq!(moves(&world, conn).len(), 1);
}

#[test]
fn a_new_port_keeps_window_and_round_trip_and_a_new_address_does_not() {
    for (public, keeps) in [(None, true), (Some("30.0.9.8"), false)] {
        let (mut world, conn, _) = pair(Client::download(2_000_000));
        let before = far_path(&world, conn);
        world.rebind_nat(conn.host, public);
        world.run_until(move |world| !moves(world, conn).is_empty(), secs(2));
        let after = far_path(&world, conn);
        assert!(before.window > 20_000, "{before:?}");
        assert_eq!(after.window >= before.window / 2, keeps, "{before:?}, then {after:?}");
        assert_eq!(after.min_rtt < ms(100), keeps, "{after:?}");
        world.run_well(secs(20));
    }
}

#[test]
fn a_client_at_a_new_address_gets_a_token_for_it() {
    for (public, tokens) in [(None, 1), (Some("30.0.9.8"), 2)] {
        let (mut world, conn, _) = pair(Client::echoes(60, ms(20)));
        world.rebind_nat(conn.host, public);
        world.run_well(secs(10));
        let told = world.at(conn.host).said(conn.handle);
        let given = told.filter(|(_, event)| matches!(event, ConnectionEvent::NewToken(_))).count();
        assert_eq!(given, tokens, "{public:?}");
    }
}

/// Sends a copy of the client's next 1-RTT packet from a stranger's address, so that it overtakes the packet.
fn forward_one(world: &mut World, wanted: &Rc<Cell<bool>>) {
    let wanted = Rc::clone(wanted);
    world.links_of("198.51.100.66", Link::delay(ms(1)));
    world.tap(move |_, datagram: &Datagram| {
        let forwards = datagram.to == addr(SERVER)
            && datagram.from != addr(STRANGER)
            && Shape::of(&datagram.payload).has(Kind::OneRtt);
        if forwards && wanted.replace(false) {
            return Verdict::Copy { from: addr(STRANGER), to: addr(SERVER), after: ms(0) };
        }
        Verdict::Pass
    });
}

#[test]
fn one_forwarded_packet_moves_the_server_until_the_client_speaks_again() {
    let (mut world, conn, log) = pair(Client::echoes(60, ms(20)));
    let wanted = Rc::new(Cell::new(false));
    forward_one(&mut world, &wanted);
    let since = world.now();
    wanted.set(true);
    world.run_well(secs(10));
    assert_eq!(moves(&world, conn), [(addr(FIRST), addr(STRANGER)), (addr(STRANGER), addr(FIRST))]);
    let sent: usize = lengths_to(&log, STRANGER, since).iter().sum();
    assert!(sent < 4000, "{sent} bytes went to the stranger");
}

#[test]
fn a_server_that_was_led_astray_finds_back_to_a_client_that_is_silent() {
    let (mut world, conn, log) = pair(Client::idle());
    let wanted = Rc::new(Cell::new(false));
    forward_one(&mut world, &wanted);
    wanted.set(true);
    let since = world.now();
    world.ask(conn, Client::echo());
    // The client acknowledges the challenge on the old path, which is no probe: it is enough (Section 9.3.3).
    world.run_for(ms(100));
    assert_eq!(moves(&world, conn), [(addr(FIRST), addr(STRANGER)), (addr(STRANGER), addr(FIRST))]);
    world.run_for(secs(20));
    assert_eq!(moves(&world, conn).len(), 2);
    assert!(lengths_to(&log, STRANGER, since).iter().sum::<usize>() < 10_000);
    world.ask(conn, Client::echo());
    world.run_for(secs(1));
    assert_eq!(world.app::<Client>(conn).served().len(), 2);
}

#[test]
fn an_address_that_was_proved_by_a_small_challenge_is_asked_again_in_full_size() {
    // A client that only acknowledges: three times what comes from its new address is a small challenge.
    let (mut world, conn, log) = pair(Client::download(300_000));
    let rebound = world.now();
    world.rebind_nat(conn.host, Some("30.0.9.8"));
    world.run_until(move |world| !moves(world, conn).is_empty(), secs(1));
    world.run_well(secs(10));
    world.run_for(secs(1));
    let from_there: Vec<usize> = {
        let log = log.borrow();
        let there = log.iter().filter(|(at, from, ..)| *at >= rebound && *from == addr("30.0.9.8:20001"));
        there.map(|(.., len)| *len).collect()
    };
    // Each answer is padded, whatever asked for it, and nothing else that the client says is as large.
    assert_eq!(from_there.iter().filter(|len| **len == 1200).count(), 2, "{from_there:?}");
}

#[test]
fn the_address_that_was_proved_last_is_gone_back_to_though_it_was_never_shown_to_carry_full_datagrams() {
    let (mut world, conn, _) = pair(Client::idle());
    let deaf = Rc::new(Cell::new(false));
    let tap = Rc::clone(&deaf);
    world.tap(move |_, _| if tap.get() { Verdict::Drop } else { Verdict::Pass });
    // What comes from the new port is small, and so is the challenge that it permits.
    let small = Request { dir: Dir::Bi, up: 0, down: 8 };
    world.rebind_nat(conn.host, None);
    world.ask(conn, small);
    world.run_for(ms(65));
    // The translator forgets again before the second challenge arrives: it is not answered, and the client moves.
    world.rebind_nat(conn.host, None);
    deaf.set(true);
    world.run_for(ms(200));
    deaf.set(false);
    world.ask(conn, small);
    world.run_for(ms(25));
    // Then nothing gets through any more.
    let [first, second, third] = [FIRST, "30.0.9.9:20001", "30.0.9.9:20002"].map(addr);
    assert_eq!(moves(&world, conn), [(first, second), (second, third)]);
    deaf.set(true);
    world.run_for(secs(5));
    assert_eq!(moves(&world, conn)[2..], [(third, second)]);
    deaf.set(false);
    world.ask(conn, small);
    world.run_well(secs(10));
    assert_eq!(moves(&world, conn)[3..], [(second, third)]);
}

#[test]
fn reordered_packets_from_the_old_port_do_not_bring_the_server_back() {
    let (mut world, conn, _) = pair(Client::echoes(60, ms(20)));
    // What leaves before the translator forgets is late by two round trips.
    let late = Rc::new(Cell::new(true));
    let tap = Rc::clone(&late);
    world.tap(
        move |_, datagram| {
            if tap.get() && datagram.to == addr(SERVER) { Verdict::Delay(ms(80)) } else { Verdict::Pass }
        },
    );
    world.run_for(ms(60));
    late.set(false);
    world.rebind_nat(conn.host, None);
    world.run_well(secs(10));
    assert_eq!(moves(&world, conn).len(), 1, "{:?}", moves(&world, conn));
}
