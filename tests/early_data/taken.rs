//! Early data that the server takes, and resumption alone.

use std::sync::Arc;
use std::time::Duration;

use peregrine::{ClientConfig, Dir, DropReason, EarlyData, EndpointConfig, Event};

use crate::scene::{CLIENT, FIRST, SECOND, Scene, seen_alone, shapes, taking, transport, usual, watch};
use sim::{Client, Datagram, HostId, Link, Recorder, Server, Shape, Verdict, World, addr, ms, secs, tls};

#[test]
fn the_second_handshake_stands_on_the_ticket_of_the_first() {
    let mut world = World::new();
    world.links(Link::rtt(ms(20)));
    world.server(FIRST);
    let client = world.client(CLIENT);
    let config = Arc::new(ClientConfig::new(tls::resuming_client()));
    let mut ends = Vec::new();
    for _ in 0..2 {
        let conn = world.connect_with(client, FIRST, Arc::clone(&config), Client::echoes(1, Duration::ZERO));
        world.run_well(secs(1));
        let server_side = world.server_side(conn).expect("the server has it too");
        let both = [conn, server_side].map(|end| world.connection(end).expect("open").is_resumed());
        ends.push((both, world.app::<Client>(conn).served()[0].took));
        assert_eq!(world.connection(conn).expect("open").early_data(), None);
    }
    assert_eq!(ends, [([false; 2], ms(20)), ([true; 2], ms(20))]);
}

#[test]
fn an_early_request_is_answered_in_one_round_trip() {
    let mut scene = Scene::usual();
    let begun = scene.world.now();
    let seen = watch(&mut scene.world, |_| Verdict::Pass);
    let conn = scene.ask(FIRST);
    assert_eq!(shapes(&seen)[0], "Initial+ZeroRtt");
    scene.world.run_well(secs(1));
    // Its answer is there when the handshake is complete.
    assert_eq!((scene.world.now().since(begun), scene.took(conn)), (ms(20), vec![ms(20)]));
    assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Accepted]);
    let connection = scene.world.connection(conn).expect("open");
    assert!(connection.is_resumed());
    assert_eq!(connection.early_data(), Some(EarlyData::Accepted));
    scene.world.run_for(secs(1));
    let connection = scene.world.connection(conn).expect("open");
    assert_eq!(connection.stats().packets_lost, 0);
}

#[test]
fn every_later_connection_is_as_fast() {
    let mut scene = Scene::usual();
    for _ in 0..4 {
        let conn = scene.ask(FIRST);
        scene.world.run_well(secs(1));
        scene.world.run_for(secs(1));
        assert_eq!((scene.early(conn).pop(), scene.took(conn)), (Some(EarlyData::Accepted), vec![ms(20)]));
    }
}

#[test]
fn what_a_server_reads_before_its_handshake_is_complete_is_said_to_be_early() {
    let mut scene = Scene::usual();
    let begun = scene.world.now();
    let conn = scene.ask(FIRST);
    let is_early = |scene: &Scene| {
        let served = scene.world.server_side(conn).and_then(|end| scene.world.connection(end));
        served.map(|connection| (connection.is_early(), connection.is_established()))
    };
    assert!(scene.world.connection(conn).expect("open").is_early());
    scene.world.run_to(begun + ms(25));
    assert_eq!(is_early(&scene), Some((true, false)));
    assert!(!scene.world.connection(conn).expect("open").is_early());
    scene.world.run_to(begun + ms(35));
    assert_eq!(is_early(&scene), Some((false, true)));
}

#[test]
fn a_long_early_upload_goes_on_after_the_handshake() {
    let mut scene = Scene::usual();
    let config = scene.config();
    let conn = scene.connect(FIRST, config, Client::upload(200_000));
    scene.world.run_well(secs(2));
    assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Accepted]);
}

#[test]
fn a_higher_limit_than_the_remembered_one_holds_from_the_handshake_on() {
    let mut scene = Scene::with(usual().stream_receive_window(2_000).receive_window(4_000));
    scene.another(usual().stream_receive_window(60_000).receive_window(60_000));
    let seen = watch(&mut scene.world, |_| Verdict::Pass);
    let config = scene.config();
    let conn = scene.connect(SECOND, config, Client::upload(20_000));
    // Two thousand bytes may go early.
    assert!(seen.borrow().iter().map(Vec::len).sum::<usize>() < 1200 + 2_400);
    scene.world.run_well(secs(2));
    assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Accepted]);
    assert_eq!(scene.took(conn), [ms(60)], "one round trip to be permitted, two for the first windows");
}

#[test]
fn without_streams_in_the_remembered_limits_nothing_is_opened_early() {
    let mut scene = Scene::with(usual().max_bidi_streams(1));
    let config = scene.config();
    let conn = scene.connect(FIRST, config, Client::downloads(3, 1000));
    assert_eq!(scene.world.with(conn, |_, connection| connection.open(Dir::Bi)), None);
    scene.world.run_well(secs(2));
}

#[test]
fn early_data_keeps_to_the_datagrams_that_the_server_takes() {
    let mut scene = Scene::with(usual().max_udp_payload_size(1_250));
    let seen = watch(&mut scene.world, |_| Verdict::Pass);
    let config = scene.config().transport(transport(usual().datagram_size(1_400)));
    let conn = scene.connect(FIRST, config, Client::upload(5_000));
    assert!(seen.borrow().iter().all(|datagram| datagram.len() <= 1_250));
    scene.world.run_well(secs(2));
    assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Accepted]);
}

#[test]
fn early_datagrams_arrive() {
    let permits = || usual().datagram_receive_buffer(Some(1 << 16));
    let mut scene = Scene::with(permits());
    let config = scene.config().transport(transport(permits()));
    let conn = scene.connect(FIRST, config, Recorder::default());
    scene.world.with(conn, |_, connection| {
        let size = connection.datagrams().max_size().expect("they are permitted");
        assert_eq!(connection.datagrams().send(&vec![7; size]), Ok(()));
    });
    scene.world.run_for(ms(15));
    let server_side = scene.newest_at(HostId(0));
    let received = scene.world.with(server_side, |_, connection| connection.datagrams().recv());
    assert!(received.is_some_and(|data| data.len() > 1100 && data.iter().all(|byte| *byte == 7)));
}

#[test]
fn early_data_beside_a_hello_waits_with_it_for_the_applications_answer() {
    let mut scene = Scene::usual();
    let config = Arc::new(taking(&scene.server_tls, usual()));
    let asks = EndpointConfig::server(Arc::clone(&config)).ask_for_each();
    let server = scene.world.host(SECOND, asks, Some(|| Box::new(Server::default())));
    let client = scene.config();
    let conn = scene.connect(SECOND, client, Client::downloads(1, 1000));
    scene.world.run_for(ms(15));
    let asked = scene.world.at(server).events().iter().find_map(|(_, event)| match event {
        Event::Incoming(handle) => Some(*handle),
        _ => None,
    });
    let asked = asked.expect("the client asks");
    scene.world.speak(server, |now, endpoint| endpoint.accept(now, asked, config)).expect("it is genuine");
    scene.world.run_well(secs(1));
    assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Accepted]);
    assert_eq!(scene.took(conn), [ms(25)]);
}

#[test]
fn early_packets_wait_for_the_rest_of_a_client_hello() {
    let mut scene = Scene::usual();
    // So many protocols that the ClientHello takes more than a datagram.
    let mut tls = rustls::ClientConfig::clone(&scene.client_tls);
    tls.alpn_protocols.extend((0..9).map(|number| vec![b'0' + number; 99]));
    let seen =
        watch(&mut scene.world, |number| if number == 0 { Verdict::Delay(ms(5)) } else { Verdict::Pass });
    scene.client_tls = Arc::new(tls);
    let config = scene.config();
    let conn = scene.connect(FIRST, config, Client::echoes(1, Duration::ZERO));
    assert_eq!(shapes(&seen)[..2], ["Initial", "Initial+ZeroRtt"]);
    scene.world.run_well(secs(1));
    assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Accepted]);
    assert_eq!(scene.took(conn), [ms(25)]);
}

#[test]
fn a_flood_of_early_packets_before_the_hello_is_whole_is_bounded() {
    let mut scene = Scene::usual();
    let mut tls = rustls::ClientConfig::clone(&scene.client_tls);
    tls.alpn_protocols.extend((0..9).map(|number| vec![b'0' + number; 99]));
    scene.client_tls = Arc::new(tls);
    let is_second = |number| number == 1;
    let seen =
        watch(&mut scene.world, move |n| if is_second(n) { Verdict::Delay(ms(5)) } else { Verdict::Pass });
    let config = scene.config();
    let conn = scene.connect(FIRST, config, Client::upload(6_000));
    let early = seen.borrow().last().cloned().expect("early data alone");
    assert_eq!(Shape::of(&early).to_string(), "ZeroRtt");
    for _ in 0..100 {
        scene.world.inject(Datagram::new(addr(CLIENT), addr(FIRST), early.clone()));
    }
    scene.world.run_well(secs(2));
    let server_side = scene.world.server_side(conn).expect("the server has it too");
    let stats = scene.world.connection(server_side).expect("open").stats();
    // Eight are kept, whatever they are, of those of the client and a hundred copies.
    assert_eq!(stats.dropped(DropReason::NoKeysYet) as usize, seen_alone(&seen) - 8);
    assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Accepted]);
}
