//! Beginnings and ends of connections: handshakes on good and bad networks, refusals, idle ends, closes, resets.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use peregrine::{
    ClientConfig, CloseReason, Code, ConnectionEvent, DropReason, Instant, ServerConfig, Side,
    TransportConfig, TransportConfigBuilder, VarInt,
};

use sim::{
    Client, Conn, Datagram, HostId, Kind, Link, Outcome, Shape, Verdict, World, addr, for_seeds, ms, secs,
    tls,
};

const SERVER: &str = "45.0.0.1:443";
const CLIENT: &str = "192.0.2.1:5000";

/// A server and a client of it that were given these transport settings.
fn pair_with(world: &mut World, builder: TransportConfigBuilder, app: Client) -> (HostId, Conn) {
    let transport = Arc::new(builder.build().expect("settings that can be"));
    let server =
        world.server_with(SERVER, ServerConfig::new(tls::server()).transport(Arc::clone(&transport)));
    let client = world.client(CLIENT);
    let config = ClientConfig::new(tls::client()).transport(transport);
    (server, world.connect_with(client, SERVER, Arc::new(config), app))
}

/// A server and a client of it.
fn pair(world: &mut World, app: Client) -> (HostId, Conn) {
    pair_with(world, TransportConfig::builder(), app)
}

fn connected_at(world: &World, conn: Conn) -> Option<Instant> {
    world.when(conn, |event| matches!(event, ConnectionEvent::Connected { .. }))
}

#[test]
fn a_handshake_takes_one_round_trip() {
    let mut world = World::new();
    world.links(Link::rtt(ms(20)));
    let (_, conn) = pair(&mut world, Client::idle());
    world.run_for(ms(100));
    let server_side = world.server_side(conn).expect("the server has it too");
    assert_eq!(connected_at(&world, conn), Some(Instant::from_millis(20)));
    assert_eq!(connected_at(&world, server_side), Some(Instant::from_millis(30)));
}

#[test]
fn a_request_is_answered_in_two_round_trips() {
    let mut world = World::new();
    world.links(Link::rtt(ms(20)));
    let (_, conn) = pair(&mut world, Client::echoes(1, Duration::ZERO));
    world.run_well(secs(1));
    assert!(world.now() <= Instant::from_millis(41), "{:?}", world.now());
    assert_eq!(world.app::<Client>(conn).served().len(), 1);
}

#[test]
fn both_ends_know_the_protocol_and_each_other() {
    let mut world = World::new();
    let (_, conn) = pair(&mut world, Client::idle());
    world.run_for(ms(100));
    let server_side = world.server_side(conn).expect("the server has it too");
    let (client, server) = (world.connection(conn), world.connection(server_side));
    let (client, server) = (client.expect("open"), server.expect("open"));
    assert_eq!((client.alpn(), server.alpn()), (Some(tls::ALPN), Some(tls::ALPN)));
    assert_eq!((client.side(), server.side()), (Side::Client, Side::Server));
    assert_eq!((client.remote(), server.remote()), (addr(SERVER), addr(CLIENT)));
    assert_eq!(client.original_id(), server.original_id());
}

/// A tap that does this to the datagrams with these numbers, from 0.
fn doing_to(
    numbers: Vec<usize>,
    verdict: impl Fn(&Datagram) -> Verdict,
) -> impl FnMut(Instant, &Datagram) -> Verdict {
    let mut number = 0;
    move |_, datagram| {
        number += 1;
        if numbers.contains(&(number - 1)) { verdict(datagram) } else { Verdict::Pass }
    }
}

#[test]
fn whichever_two_datagrams_are_lost_the_handshake_completes() {
    for first in 0..10 {
        for second in first..10 {
            let mut world = World::new();
            world.tap(doing_to(vec![first, second], |_| Verdict::Drop));
            let (_, conn) = pair(&mut world, Client::echoes(1, Duration::ZERO));
            world.run_until_done(secs(20));
            assert_eq!(world.outcome(conn), Outcome::Done, "without datagrams {first} and {second}");
        }
    }
}

#[test]
fn a_finished_lost_twice_gets_past_a_window_full_of_early_data() {
    let mut world = World::new();
    world.links(Link::rtt(ms(40)));
    let mut lost = 0;
    // The server can read nothing of what fills the client's window before it has the client's Finished.
    world.tap(move |_, datagram| {
        let bears = datagram.from == addr(CLIENT) && Shape::of(&datagram.payload).has(Kind::Handshake);
        lost += usize::from(bears);
        if bears && lost <= 2 { Verdict::Drop } else { Verdict::Pass }
    });
    let (_, conn) = pair(&mut world, Client::upload(50_000));
    world.run_until_done(secs(5));
    assert_eq!(world.outcome(conn), Outcome::Done);
}

#[test]
fn whichever_byte_of_the_handshake_is_wrong_it_completes() {
    for number in 0..8 {
        for place in (0..1200).step_by(37).chain(0..8) {
            let mut world = World::new();
            world.tap(doing_to(vec![number], move |datagram| {
                let mut payload = datagram.payload.clone();
                if let Some(byte) = payload.get_mut(place) {
                    *byte ^= 0x55;
                }
                Verdict::Replace(payload)
            }));
            let (_, conn) = pair(&mut world, Client::echoes(1, Duration::ZERO));
            world.run_until_done(secs(20));
            assert_eq!(world.outcome(conn), Outcome::Done, "datagram {number}, byte {place}");
        }
    }
}

#[test]
fn with_a_third_lost_every_connection_still_ends_well() {
    for_seeds(100, |seed| {
        let mut world = World::seeded(seed);
        world.links(Link::rtt(ms(40)).loss(0.3));
        let patient = TransportConfig::builder().handshake_timeout(secs(200)).idle_timeout(Some(secs(200)));
        let (_, conn) = pair_with(&mut world, patient, Client::download(20_000));
        world.run_until_done(secs(400));
        assert_eq!(world.outcome(conn), Outcome::Done);
    });
}

#[test]
fn a_server_sends_no_more_than_three_times_what_came_before_the_client_is_proved() {
    let mut world = World::new();
    let mut from_client = 0;
    // Only the first Initial comes through.
    world.tap(move |_, datagram| {
        from_client += usize::from(datagram.from == addr(CLIENT));
        if datagram.from == addr(CLIENT) && from_client > 1 { Verdict::Drop } else { Verdict::Pass }
    });
    let (server, _) = pair(&mut world, Client::idle());
    world.run_for(secs(60));
    let sent = world.at(server).endpoint().stats().bytes_sent;
    assert!((1200..=3600).contains(&sent), "{sent} bytes were sent");
    assert_eq!(world.at(server).endpoint().connections().count(), 0, "the server has given it up");
}

#[test]
fn a_handshake_with_nobody_is_given_up() {
    let mut world = World::new();
    let client = world.client(CLIENT);
    let conn = world.connect(client, SERVER, Client::idle());
    assert!(world.run_out(secs(60)));
    assert_eq!(world.closed(conn), Some(&CloseReason::HandshakeTimedOut));
    assert_eq!(world.now(), Instant::from_millis(10_000));
    assert!(world.connection(conn).is_none(), "nothing is kept of it");
}

#[test]
fn an_impostor_is_refused() {
    let mut world = World::new();
    let server = world.server_with(SERVER, ServerConfig::new(tls::impostor()));
    let client = world.client(CLIENT);
    let conn = world.connect(client, SERVER, Client::idle());
    world.run_out(secs(60));
    let alert = |reason: Option<&CloseReason>| match reason {
        Some(CloseReason::Fault(fault)) => fault.code.into_inner(),
        other => panic!("{other:?}"),
    };
    assert!((0x100..0x200).contains(&alert(world.closed(conn))));
    assert_eq!(world.at(server).endpoint().connections().count(), 0);
}

#[test]
fn without_a_common_protocol_both_hear_of_it() {
    let mut world = World::new();
    let server = world.server(SERVER);
    let client = world.client(CLIENT);
    let config = Arc::new(ClientConfig::new(tls::client_offering(&[b"other"])));
    let conn = world.connect_with(client, SERVER, config, Client::idle());
    world.run_out(secs(60));
    let Some(CloseReason::Peer { code, .. }) = world.closed(conn) else { panic!("{:?}", world.closed(conn)) };
    assert_eq!(*code, Code::crypto(120));
    assert_eq!(world.at(server).endpoint().connections().count(), 0);
}

#[test]
fn an_unknown_version_is_told_which_one_is_spoken() {
    let mut world = World::new();
    let server = world.server(SERVER);
    let _client = world.client(CLIENT);
    let mut payload = vec![0xc0, 0xab, 0xab, 0xab, 0xab, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0];
    payload.resize(1200, 0);
    world.inject(Datagram::new(addr(CLIENT), addr(SERVER), payload));
    let answers = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&answers);
    world.tap(move |_, datagram| {
        seen.borrow_mut().push((datagram.to, Shape::of(&datagram.payload).has(Kind::Version)));
        Verdict::Pass
    });
    world.run_for(secs(1));
    assert_eq!(*answers.borrow(), [(addr(CLIENT), true)]);
    assert_eq!(world.at(server).endpoint().stats().dropped(DropReason::Version), 1);
}

#[test]
fn a_replayed_first_datagram_leaves_nothing_behind() {
    let mut world = World::new();
    // The copy comes a second later, when the connection it began has long been established.
    world.tap(doing_to(vec![0], |datagram| Verdict::Copy {
        from: addr("198.51.100.66:6"),
        to: datagram.to,
        after: secs(1),
    }));
    let (server, conn) = pair(&mut world, Client::echoes(30, ms(100)));
    world.run_well(secs(10));
    world.run_for(secs(15));
    assert_eq!(world.at(server).endpoint().connections().count(), 1);
    assert_eq!(world.closed(conn), None);
}

#[test]
fn a_silent_connection_ends_at_both_ends() {
    let mut world = World::new();
    world.links(Link::rtt(ms(20)));
    let quick = TransportConfig::builder().idle_timeout(Some(secs(5)));
    let (_, conn) = pair_with(&mut world, quick, Client::idle());
    world.run_for(secs(1));
    let server_side = world.server_side(conn).expect("the server has it too");
    assert!(world.run_out(secs(20)));
    for end in [conn, server_side] {
        let ended = world.when(end, |event| matches!(event, ConnectionEvent::Closed(CloseReason::TimedOut)));
        let ended = ended.expect("it ended by its idle timer");
        assert!((5_000..5_200).contains(&(ended.as_micros() / 1000)), "{ended:?}");
        assert!(world.connection(end).is_none());
    }
}

#[test]
fn the_smaller_idle_timeout_holds_at_both_ends() {
    let mut world = World::new();
    let brief = TransportConfig::builder().idle_timeout(Some(secs(3))).build().expect("settings that can be");
    world.server_with(SERVER, ServerConfig::new(tls::server()).transport(Arc::new(brief)));
    let client = world.client(CLIENT);
    let conn = world.connect(client, SERVER, Client::idle());
    assert!(world.run_out(secs(4)));
    assert_eq!(world.closed(conn), Some(&CloseReason::TimedOut));
}

#[test]
fn keep_alive_keeps_a_silent_connection() {
    let mut world = World::new();
    let kept = TransportConfig::builder().idle_timeout(Some(secs(5))).keep_alive(Some(secs(2)));
    let (_, conn) = pair_with(&mut world, kept, Client::idle());
    world.run_for(secs(120));
    assert_eq!(world.closed(conn), None);
    let datagrams = world.trace().datagrams();
    assert!(datagrams < 300, "{datagrams} datagrams for a minute of silence kept alive");
}

fn code(number: u32) -> VarInt {
    VarInt::from(number)
}

#[test]
fn a_close_tells_the_peer_why_and_leaves_nothing() {
    let mut world = World::new();
    let (server, conn) = pair(&mut world, Client::idle());
    world.run_for(secs(1));
    let server_side = world.server_side(conn).expect("the server has it too");
    world.with(conn, |now, connection| connection.close(now, code(9), b"bye"));
    assert!(world.run_out(secs(5)));
    assert_eq!(world.closed(conn), Some(&CloseReason::Local { code: code(9) }));
    let theirs = CloseReason::Application { code: code(9), reason: b"bye".to_vec() };
    assert_eq!(world.closed(server_side), Some(&theirs));
    assert_eq!(world.at(server).endpoint().connections().count(), 0);
    assert!(world.connection(conn).is_none());
}

#[test]
fn a_server_may_close_too() {
    let mut world = World::new();
    let (_, conn) = pair(&mut world, Client::download(10_000_000));
    world.run_for(ms(200));
    let server_side = world.server_side(conn).expect("the server has it too");
    world.with(server_side, |now, connection| connection.close(now, code(3), b""));
    world.run_for(ms(200));
    let reason = CloseReason::Application { code: code(3), reason: Vec::new() };
    assert_eq!(world.closed(conn), Some(&reason));
    assert!(world.run_out(secs(5)));
}

#[test]
fn a_lost_close_is_said_again_when_the_peer_goes_on_talking() {
    let mut world = World::new();
    let (server, conn) = pair(&mut world, Client::download(100_000_000));
    world.run_for(ms(200));
    let server_side = world.server_side(conn).expect("the server has it too");
    let mut lost = 0;
    world.tap(move |_, datagram| {
        lost += usize::from(datagram.from == addr(CLIENT));
        if datagram.from == addr(CLIENT) && lost == 1 { Verdict::Drop } else { Verdict::Pass }
    });
    world.with(conn, |now, connection| connection.close(now, code(9), b"bye"));
    world.run_for(ms(300));
    assert!(matches!(world.closed(server_side), Some(CloseReason::Application { .. })));
    assert!(world.run_out(secs(5)));
    assert_eq!(world.at(server).endpoint().connections().count(), 0);
}

#[test]
fn a_close_during_the_handshake_ends_both_sides() {
    let mut world = World::new();
    world.links(Link::rtt(ms(20)));
    let (server, conn) = pair(&mut world, Client::idle());
    world.run_for(ms(15));
    world.with(conn, |now, connection| connection.close(now, code(9), b"never mind"));
    assert!(world.run_out(secs(60)));
    assert_eq!(world.closed(conn), Some(&CloseReason::Local { code: code(9) }));
    assert_eq!(world.at(server).endpoint().connections().count(), 0);
}

#[test]
fn a_server_that_lost_its_memory_resets_the_connection() {
    let mut world = World::new();
    let (server, conn) = pair(&mut world, Client::idle());
    world.run_for(secs(1));
    world.restart(server);
    world.ask(conn, Client::echo());
    world.run_for(secs(3));
    assert_eq!(world.closed(conn), Some(&CloseReason::Reset));
    assert!(world.run_out(secs(60)));
}

#[test]
fn strangers_datagrams_harm_nobody() {
    for_seeds(20, |seed| {
        let mut world = World::seeded(seed);
        let (_, conn) = pair(&mut world, Client::echoes(20, ms(20)));
        for number in 0..200u64 {
            world.plan(ms(5 * number), move |world| {
                let mut payload = vec![0; (number as usize * 7) % 1300];
                sim::fill(seed ^ number, 0, &mut payload);
                let to = if number % 2 == 0 { SERVER } else { CLIENT };
                world.inject(Datagram::new(addr("198.51.100.66:6"), addr(to), payload.clone()));
                let claimed = if number % 2 == 0 { CLIENT } else { SERVER };
                world.inject(Datagram::new(addr(claimed), addr(to), payload));
            });
        }
        world.run_well(secs(10));
        assert_eq!(world.closed(conn), None);
    });
}

#[test]
fn fifty_clients_of_one_server_are_all_served() {
    let mut world = World::new();
    world.links(Link::rtt(ms(20)).loss(0.02));
    let server = world.server(SERVER);
    for number in 0..50 {
        let client = world.client(&format!("192.0.2.{}:5000", number + 1));
        world.connect(client, SERVER, Client::echoes(5, ms(10)));
    }
    world.run_well(secs(60));
    assert_eq!(world.at(server).endpoint().connections().count(), 50);
}

#[test]
fn the_same_seed_is_the_same_run() {
    let run = |seed: u64| {
        let mut world = World::seeded(seed);
        world.links(Link::rtt(ms(40)).loss(0.05).duplication(0.05).reordering(0.1, ms(10)));
        pair(&mut world, Client::download(50_000).then_close());
        world.run_well(secs(60));
        world.run_out(secs(60));
        (world.trace().hash(), world.trace().datagrams(), world.now())
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3).0, run(4).0);
}
