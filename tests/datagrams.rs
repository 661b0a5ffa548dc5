//! Unreliable datagrams end to end (RFC 9221): both ways, lost when lost, bounded, and fair to streams.

use std::sync::Arc;

use peregrine::{
    ClientConfig, ConnectionEvent, Dir, EndpointConfig, SendDatagramError, ServerConfig, TransportConfig,
    TransportConfigBuilder,
};

use sim::{Client, Conn, Link, Recorder, World, ms, secs, tls};
use stage::moves::{AWAY, Play, Stage};

const SERVER: &str = "45.0.0.1:443";
const CLIENT: &str = "192.0.2.1:5000";

fn transport(receive: Option<usize>) -> TransportConfigBuilder {
    TransportConfig::builder().datagram_receive_buffer(receive)
}

/// A world 20 ms across; its client and its server with these settings.
fn ends(client: TransportConfigBuilder, server: TransportConfigBuilder) -> (World, Conn, Conn) {
    let mut world = World::new();
    world.links(Link::rtt(ms(20)));
    let server = Arc::new(server.build().expect("settings that can be"));
    let config = ServerConfig::new(tls::server()).transport(server);
    world.host(SERVER, EndpointConfig::server(Arc::new(config)), Some(|| Box::new(Recorder::default())));
    let host = world.client(CLIENT);
    let client = Arc::new(client.build().expect("settings that can be"));
    let config = Arc::new(ClientConfig::new(tls::client()).transport(client));
    let conn = world.connect_with(host, SERVER, config, Recorder::default());
    world.run_for(ms(200));
    let server_side = world.server_side(conn).expect("the server has it too");
    (world, conn, server_side)
}

fn both() -> (World, Conn, Conn) {
    ends(transport(Some(1 << 20)), transport(Some(1 << 20)))
}

fn send(world: &mut World, conn: Conn, data: &[u8]) -> Result<(), SendDatagramError> {
    world.with(conn, |_, connection| connection.datagrams().send(data))
}

/// All that can be received now.
fn received(world: &mut World, conn: Conn) -> Vec<Vec<u8>> {
    world.with(conn, |_, connection| {
        let mut datagrams = connection.datagrams();
        std::iter::from_fn(|| datagrams.recv()).map(|data| data.to_vec()).collect()
    })
}

#[test]
fn datagrams_arrive_both_ways() {
    let (mut world, client, server) = both();
    assert_eq!(send(&mut world, client, b"there"), Ok(()));
    assert_eq!(send(&mut world, client, b""), Ok(()));
    assert_eq!(send(&mut world, server, b"back"), Ok(()));
    world.run_for(ms(50));
    assert_eq!(received(&mut world, server), [&b"there"[..], b""]);
    assert_eq!(received(&mut world, client), [b"back"]);
    assert!(world.when(server, |event| *event == ConnectionEvent::DatagramReceived).is_some());
}

#[test]
fn the_largest_datagram_arrives_and_a_larger_one_is_refused() {
    let (mut world, client, server) = both();
    let max = world.with(client, |_, connection| connection.datagrams().max_size()).expect("supported");
    assert_eq!(send(&mut world, client, &vec![7; max + 1]), Err(SendDatagramError::TooLarge { max }));
    assert_eq!(send(&mut world, client, &vec![7; max]), Ok(()));
    world.run_for(ms(50));
    assert_eq!(received(&mut world, server), [vec![7; max]]);
}

#[test]
fn a_peer_that_takes_none_is_sent_none() {
    let (mut world, client, server) = ends(transport(Some(1 << 20)), transport(None));
    assert_eq!(send(&mut world, client, b"no"), Err(SendDatagramError::Unsupported));
    // The other way they go all the same.
    assert_eq!(send(&mut world, server, b"yes"), Ok(()));
    world.run_for(ms(50));
    assert_eq!(received(&mut world, client), [b"yes"]);
}

#[test]
fn what_is_lost_stays_lost() {
    let (mut world, client, server) = both();
    world.links(Link::rtt(ms(20)).loss(1.0));
    assert_eq!(send(&mut world, client, b"lost"), Ok(()));
    world.run_for(ms(5));
    world.links(Link::rtt(ms(20)));
    assert_eq!(send(&mut world, client, b"found"), Ok(()));
    world.run_for(secs(3));
    assert_eq!(received(&mut world, server), [b"found"]);
}

#[test]
fn a_flood_that_nobody_reads_is_bounded_and_the_newest_stay() {
    let (mut world, client, server) = ends(transport(None), transport(Some(1600)));
    for number in 0..500u32 {
        assert_eq!(send(&mut world, client, &number.to_be_bytes()), Ok(()));
    }
    world.run_for(secs(2));
    let kept = received(&mut world, server);
    assert_eq!(kept.len(), 1600 / (16 + 4));
    assert_eq!(kept.last().map(Vec::as_slice), Some(&499u32.to_be_bytes()[..]));
    let dropped = world.with(server, |_, connection| connection.datagrams().dropped_received());
    assert_eq!(dropped, 420);
}

#[test]
fn a_full_queue_blocks_until_it_drains() {
    let (mut world, client, server) =
        ends(transport(None).datagram_send_buffer(3_000), transport(Some(1 << 20)));
    let mut sent = 0;
    while send(&mut world, client, &[1; 1000]).is_ok() {
        sent += 1;
        assert!(sent < 100, "the queue has no bound");
    }
    world.run_for(ms(100));
    assert!(world.when(client, |event| *event == ConnectionEvent::DatagramsUnblocked).is_some());
    assert_eq!(send(&mut world, client, &[2; 1000]), Ok(()));
    world.run_for(ms(100));
    assert_eq!(received(&mut world, server).len(), sent + 1);
}

#[test]
fn neither_streams_nor_datagrams_starve() {
    let (mut world, client, server) = both();
    let id = world.with(client, |_, connection| {
        let id = connection.open(Dir::Uni).expect("there is credit");
        assert_eq!(connection.send(id).expect("ours").write(&[5; 200_000]), Ok(200_000));
        (0..500).for_each(|_| assert_eq!(connection.datagrams().send(&[6; 1000]), Ok(())));
        id
    });
    world.run_for(ms(60));
    let datagrams = received(&mut world, server).len();
    let bytes = world.with(server, |_, connection| {
        let mut into = vec![0; 400_000];
        assert_eq!(connection.accept(Dir::Uni), Some(id));
        connection.recv(id).expect("open").read(&mut into).expect("some").expect("not over")
    });
    assert!(datagrams > 10, "{datagrams} datagrams beside {bytes} bytes");
    assert!(bytes > 5_000, "{bytes} bytes beside {datagrams} datagrams");
}

#[test]
fn the_room_of_a_buffer_is_used_again() {
    let (mut world, client, server) = both();
    assert_eq!(send(&mut world, client, b"one"), Ok(()));
    world.run_for(ms(50));
    let mut into = Vec::from(&b"something longer"[..]);
    world.with(server, |_, connection| {
        assert!(connection.datagrams().recv_into(&mut into));
        assert!(!connection.datagrams().recv_into(&mut Vec::new()));
    });
    assert_eq!(into, b"one");
}

/// Queues so many datagrams of the largest size, and a small one behind them.
fn queue(world: &mut World, conn: Conn, many: usize) -> usize {
    world.with(conn, |_, connection| {
        let mut datagrams = connection.datagrams();
        let max = datagrams.max_size().expect("the peer takes datagrams");
        (0..many).for_each(|_| assert_eq!(datagrams.send(&vec![1; max]), Ok(())));
        assert_eq!(datagrams.send(b"small"), Ok(()));
        max
    })
}

/// The longest datagram that can be sent now, and how many that were queued no longer fitted.
fn room(world: &mut World, conn: Conn) -> (usize, u64) {
    world.with(conn, |_, connection| {
        let datagrams = connection.datagrams();
        (datagrams.max_size().expect("the peer takes datagrams"), datagrams.dropped_queued())
    })
}

#[test]
fn what_no_longer_fits_a_path_that_became_narrower_is_dropped_and_counted() {
    let (mut world, client, server) = both();
    world.run_for(ms(200));
    let (before, _) = room(&mut world, client);
    assert!(before > 1400, "the path is searched: {before}");
    world.links(Link::rtt(ms(20)).mtu(1200));
    queue(&mut world, client, 30);
    world.run_for(secs(1));
    let (max, dropped) = room(&mut world, client);
    assert!(max < 1180 && (15..30).contains(&dropped), "{max} bytes, {dropped} dropped");
    assert_eq!(send(&mut world, client, &vec![7; before]), Err(SendDatagramError::TooLarge { max }));
    assert_eq!(received(&mut world, server), [b"small"]);
}

#[test]
fn what_does_not_fit_where_a_server_moves_to_is_dropped_and_counted() {
    let mut scene = Stage::new(Play::Symmetric).client(Client::echoes(100, ms(20)));
    scene.world.links_of("20.0.9.1", Link::rtt(ms(20)).mtu(1200));
    scene.await_connected();
    scene.world.run_for(ms(200));
    let (client, server) = (scene.conn(), scene.far_end());
    scene.prepare(AWAY);
    let before = queue(&mut scene.world, server, 40);
    scene.world.relocate(scene.server, AWAY, ms(100));
    scene.run_well(secs(10));
    let (max, dropped) = room(&mut scene.world, server);
    assert!(before > 1400 && max < 1180, "{before} bytes before, {max} after");
    assert!((1..40).contains(&dropped), "{dropped}");
    assert_eq!(received(&mut scene.world, client).last().map(Vec::as_slice), Some(&b"small"[..]));
}

#[test]
fn datagrams_grow_with_what_the_path_is_found_to_carry() {
    let (mut world, client, server) = both();
    let (before, _) = room(&mut world, client);
    world.run_for(ms(200));
    let (after, _) = room(&mut world, client);
    assert!(after >= before && after > 1400, "{before} bytes, then {after}");
    assert_eq!(send(&mut world, client, &vec![7; after]), Ok(()));
    world.run_for(ms(50));
    assert_eq!(received(&mut world, server), [vec![7; after]]);
}
