//! Early data that the server does not take, and servers that promise what they do not keep.

use std::sync::Arc;
use std::time::Duration;

use peregrine::{
    CloseReason, Code, Dir, EarlyData, EndpointConfig, ServerConfig, TransportConfigBuilder, VarInt,
    WriteError,
};
use rustls::server::{ServerSessionMemoryCache, StoresServerSessions};

use crate::scene::{FIRST, SECOND, Scene, shapes, taking, transport, usual, watch};
use sim::{Client, HostId, Kind, Outcome, Recorder, Request, Shape, Verdict, ms, secs, tls};

/// Early data that is not taken is sent again, and nothing is lost or comes twice.
fn is_sent_again(scene: &mut Scene, to: &str) {
    let begun = scene.world.now();
    let conn = scene.ask(to);
    scene.world.run_well(secs(1));
    assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Rejected]);
    assert_eq!((scene.world.now().since(begun), scene.took(conn)), (ms(40), vec![ms(40)]));
    let connection = scene.world.connection(conn).expect("open");
    assert_eq!(connection.early_data(), Some(EarlyData::Rejected));
    scene.world.run_for(secs(1));
    assert_eq!(scene.world.closed(conn), None);
}

#[test]
fn a_server_without_the_switch_is_asked_again() {
    let mut scene = Scene::usual();
    let config = ServerConfig::new(Arc::clone(&scene.server_tls));
    scene.world.server_with(SECOND, config);
    is_sent_again(&mut scene, SECOND);
}

#[test]
fn a_server_that_does_not_know_the_ticket_is_asked_again() {
    let mut scene = Scene::usual();
    let stranger = taking(&tls::server(), usual());
    scene.world.server_with(SECOND, stranger);
    is_sent_again(&mut scene, SECOND);
}

#[test]
fn a_server_that_lowered_a_limit_does_not_take_early_data() {
    let lowered = [
        usual().receive_window(4 << 20),
        usual().stream_receive_window(1 << 20),
        usual().max_bidi_streams(99),
        usual().max_uni_streams(99),
        usual().active_connection_ids(31),
        usual().max_udp_payload_size(1_300),
    ];
    for builder in lowered {
        let mut scene = Scene::usual();
        scene.another(builder);
        is_sent_again(&mut scene, SECOND);
    }
}

#[test]
fn a_server_that_takes_smaller_datagrams_does_not_take_early_data() {
    let mut scene = Scene::with(usual().datagram_receive_buffer(Some(1 << 20)));
    scene.another(usual().datagram_receive_buffer(Some(2000)));
    is_sent_again(&mut scene, SECOND);
}

#[test]
fn a_client_without_the_switch_waits_for_the_handshake() {
    let mut scene = Scene::usual();
    let config = scene.config().early_data(false);
    let conn = scene.connect(FIRST, config, Client::echoes(1, Duration::ZERO));
    assert_eq!(scene.world.with(conn, |_, connection| connection.open(Dir::Bi)), None);
    scene.world.run_well(secs(1));
    assert_eq!((scene.early(conn), scene.took(conn)), (vec![], vec![ms(20)]));
    assert!(scene.world.connection(conn).expect("open").is_resumed());
}

#[test]
fn what_exceeds_a_lower_limit_waits_until_it_is_raised() {
    let lowered = [
        usual().stream_receive_window(1_500),
        usual().receive_window(1_500),
        usual().receive_window(2_500).stream_receive_window(1_200),
        usual().max_bidi_streams(1),
        usual().max_bidi_streams(2).stream_receive_window(700).receive_window(1_500),
    ];
    for (number, builder) in lowered.into_iter().enumerate() {
        let mut scene = Scene::usual();
        scene.another(builder);
        let config = scene.config();
        let uploads = [Request { dir: Dir::Bi, up: 2_800, down: 100 }; 4];
        let conn = scene.connect(SECOND, config, Client::echoes(0, Duration::ZERO));
        uploads.into_iter().for_each(|request| scene.world.ask(conn, request));
        scene.world.run_until_done(secs(5));
        assert_eq!(scene.world.outcome(conn), Outcome::Done, "limits {number}");
        assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Rejected]);
    }
}

#[test]
fn a_stream_that_waits_for_a_limit_takes_no_more_and_can_be_ended_or_reset() {
    let mut scene = Scene::usual();
    let config = taking(&scene.server_tls, usual().stream_receive_window(1_000).max_bidi_streams(2));
    let recorder = Some((|| Box::new(Recorder::default())) as sim::Serve);
    scene.world.host(SECOND, EndpointConfig::server(Arc::new(config)), recorder);
    let config = scene.config();
    let conn = scene.connect(SECOND, config, Recorder::default());
    let ids = scene.world.with(conn, |_, connection| {
        let ids = [(); 3].map(|()| connection.open(Dir::Bi).expect("three are remembered to be permitted"));
        for id in ids {
            assert_eq!(connection.send(id).expect("open").write(&[7; 1_800]), Ok(1_800));
        }
        ids
    });
    scene.world.run_for(ms(100));
    assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Rejected]);
    scene.world.with(conn, |_, connection| {
        assert_eq!(connection.open(Dir::Bi), None);
        let mut first = connection.send(ids[0]).expect("open");
        assert_eq!(first.write(b"more"), Err(WriteError::Blocked));
        assert_eq!(first.finish(), Ok(()));
        assert_eq!(first.write(b"more"), Err(WriteError::Closed));
        assert_eq!(connection.send(ids[1]).expect("open").reset(VarInt::from(5u32)), Ok(()));
        assert_eq!(connection.send(ids[2]).expect("open").reset(VarInt::from(6u32)), Ok(()));
    });
    let server_side = scene.world.server_side(conn).expect("the server has it too");
    scene.world.run_for(ms(100));
    // The third stream is not known to the server, which permits two.
    scene.world.with(server_side, |_, connection| {
        assert_eq!([(); 3].map(|()| connection.accept(Dir::Bi)), [Some(ids[0]), Some(ids[1]), None]);
        let mut buffer = [0; 2_000];
        assert_eq!(connection.recv(ids[0]).expect("open").read(&mut buffer), Ok(Some(1_000)));
        assert!(connection.recv(ids[1]).expect("open").read(&mut buffer).is_err(), "it was reset");
    });
    scene.world.run_for(ms(100));
    let rest = scene.world.with(server_side, |_, connection| {
        let mut buffer = [0; 2_000];
        let mut stream = connection.recv(ids[0]).expect("open");
        (stream.read(&mut buffer), stream.read(&mut buffer))
    });
    assert_eq!(rest, (Ok(Some(800)), Ok(None)));
    assert_eq!(scene.world.closed(conn), None);
}

#[test]
fn early_datagrams_that_are_not_taken_are_counted_as_lost() {
    let permits = || usual().datagram_receive_buffer(Some(1 << 16));
    let mut scene = Scene::with(permits());
    let stranger = taking(&tls::server(), usual());
    scene.world.server_with(SECOND, stranger);
    let config = scene.config().transport(transport(permits()));
    let conn = scene.connect(SECOND, config, Recorder::default());
    scene.world.with(conn, |_, connection| {
        for _ in 0..3 {
            assert_eq!(connection.datagrams().send(b"early"), Ok(()));
        }
    });
    scene.world.run_for(ms(100));
    scene.world.with(conn, |_, connection| {
        assert_eq!(connection.datagrams().lost_early(), 3);
        // This server takes none at all.
        assert_eq!(connection.datagrams().max_size(), None);
    });
}

/// A server with the certificate and the sessions of another, which knows only a group for the key exchange that clients
/// do not begin with.
fn server_of_another_group(other: &rustls::ServerConfig) -> Arc<rustls::ServerConfig> {
    let mut provider = rustls::crypto::ring::default_provider();
    provider.kx_groups = vec![rustls::crypto::ring::kx_group::SECP384R1];
    let mut config =
        rustls::ServerConfig::builder_with_details(Arc::new(provider), Arc::new(tls::StandingStill))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3 is there")
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&other.cert_resolver));
    config.alpn_protocols = vec![tls::ALPN.to_vec()];
    config.session_storage = Arc::clone(&other.session_storage);
    Arc::new(config)
}

#[test]
fn a_hello_retry_ends_early_data() {
    let mut scene = Scene::usual();
    // It takes the ticket, but wants another group for its key exchange.
    let picky = server_of_another_group(&scene.server_tls);
    scene.world.server_with(SECOND, taking(&picky, usual()));
    let seen = watch(&mut scene.world, |_| Verdict::Pass);
    let conn = scene.ask(SECOND);
    scene.world.run_well(secs(1));
    assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Rejected]);
    assert_eq!(scene.took(conn), [ms(60)]);
    let early = seen.borrow().iter().filter(|datagram| Shape::of(datagram).has(Kind::ZeroRtt)).count();
    assert_eq!(early, 2, "none after the server has asked again: {:?}", shapes(&seen));
}

/// Sessions that have forgotten what was promised with their tickets.
#[derive(Debug)]
struct Forgetful(Arc<ServerSessionMemoryCache>);

impl StoresServerSessions for Forgetful {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.0.put(key, value)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.get(key)
    }

    /// Nine promises of eight bytes stand before a version, a count and a mark: they become zero.
    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        let mut value = self.0.take(key)?;
        let end = value.len() - 13;
        value[end - 72..end].fill(0);
        Some(value)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

/// A server that had these limits and has those now, and takes early data all the same.
fn lowers(then: TransportConfigBuilder, now: TransportConfigBuilder) {
    let mut forgetful = rustls::ServerConfig::clone(&tls::server());
    forgetful.session_storage = Arc::new(Forgetful(ServerSessionMemoryCache::new(8)));
    let forgetful = Arc::new(forgetful);
    let config = taking(&forgetful, then);
    let mut scene = Scene::of(forgetful, config);
    scene.another(now);
    let conn = scene.ask(SECOND);
    scene.world.run_for(ms(15));
    let server_side = scene.newest_at(HostId(2));
    scene.world.run_for(ms(100));
    let Some(CloseReason::Fault(fault)) = scene.world.closed(conn) else { panic!("it must fail") };
    assert_eq!(fault.code, Code::PROTOCOL_VIOLATION);
    let Some(CloseReason::Peer { code, .. }) = scene.world.closed(server_side) else {
        panic!("the server hears of it")
    };
    assert_eq!(*code, Code::PROTOCOL_VIOLATION);
}

#[test]
fn a_server_that_takes_early_data_and_lowers_a_limit_breaks_the_protocol() {
    lowers(usual(), usual().max_uni_streams(99));
    lowers(usual(), usual().receive_window(1 << 20));
}

#[test]
fn a_server_that_takes_early_data_and_less_of_a_datagram_breaks_the_protocol() {
    lowers(usual().datagram_receive_buffer(Some(9_000)), usual().datagram_receive_buffer(Some(8_999)));
}
