//! Resumption and 0-RTT: data before the handshake, taken or not, lost, delayed, repeated, and under other limits.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use peregrine::Version::{V1, V2};
use peregrine::{
    Agreement, ClientConfig, CloseReason, Code, ConnectionEvent, Dir, DropReason, EarlyData, EndpointConfig,
    Event, MigrationConfig, RelocationPlan, ServerConfig, TransportConfig, TransportConfigBuilder, VarInt,
    WriteError,
};
use rustls::server::{ServerSessionMemoryCache, StoresServerSessions};

use sim::{
    Client, Conn, Datagram, HostId, Kind, Link, Outcome, Recorder, Request, Server, Shape, Verdict, World,
    addr, ms, secs, tls,
};
use stage::moves::{AWAY, HOME, Play};

/// Where the client is given its ticket, and where it shows it: often the same.
const FIRST: &str = "45.0.0.1:443";
const SECOND: &str = "45.0.0.2:443";
const CLIENT: &str = "192.0.2.1:5000";

fn transport(builder: TransportConfigBuilder) -> Arc<TransportConfig> {
    Arc::new(builder.build().expect("settings that can be"))
}

fn usual() -> TransportConfigBuilder {
    TransportConfig::builder()
}

/// A server that takes early data.
fn taking(tls: &Arc<rustls::ServerConfig>, builder: TransportConfigBuilder) -> ServerConfig {
    ServerConfig::new(Arc::clone(tls)).transport(transport(builder)).early_data(true)
}

/// A world 20 ms across, and a client in it that holds the tickets of a server.
struct Scene {
    world: World,
    client: HostId,
    client_tls: Arc<rustls::ClientConfig>,
    server_tls: Arc<rustls::ServerConfig>,
}

impl Scene {
    /// The tickets are of a server with this transport, at `FIRST`.
    fn with(builder: TransportConfigBuilder) -> Self {
        let server_tls = tls::server();
        let config = taking(&server_tls, builder);
        Self::of(server_tls, config)
    }

    fn of(server_tls: Arc<rustls::ServerConfig>, config: ServerConfig) -> Self {
        let mut world = World::new();
        world.links(Link::rtt(ms(20)));
        world.server_with(FIRST, config);
        let client = world.client(CLIENT);
        let mut scene = Self { world, client, client_tls: tls::resuming_client(), server_tls };
        let conn = scene.connect(FIRST, scene.config(), Client::echoes(1, Duration::ZERO));
        scene.world.run_well(secs(1));
        assert_eq!(scene.early(conn), []);
        scene.world.run_for(ms(100));
        scene.world.with(conn, |now, connection| connection.close(now, VarInt::ZERO, b""));
        scene.world.run_for(secs(1));
        scene
    }

    fn usual() -> Self {
        Self::with(usual())
    }

    /// A client that sends early data.
    fn config(&self) -> ClientConfig {
        ClientConfig::new(Arc::clone(&self.client_tls)).early_data(true)
    }

    /// Another server that knows the tickets of the first.
    fn another(&mut self, builder: TransportConfigBuilder) -> HostId {
        let config = taking(&self.server_tls, builder);
        self.world.server_with(SECOND, config)
    }

    fn connect(&mut self, to: &str, config: ClientConfig, app: impl sim::App) -> Conn {
        self.world.connect_with(self.client, to, Arc::new(config), app)
    }

    /// Connects early, to run one request.
    fn ask(&mut self, to: &str) -> Conn {
        let config = self.config();
        self.connect(to, config, Client::echoes(1, Duration::ZERO))
    }

    /// What was said of early data.
    fn early(&self, conn: Conn) -> Vec<EarlyData> {
        let said = self.world.at(conn.host).said(conn.handle);
        let early = said.filter_map(|(_, event)| match event {
            ConnectionEvent::EarlyData(early) => Some(*early),
            _ => None,
        });
        early.collect()
    }

    /// The server's end of a connection whose client has not heard from it yet.
    fn newest_at(&self, server: HostId) -> Conn {
        let mut events = self.world.at(server).events().iter().rev();
        let handle = events.find_map(|(_, event)| match event {
            Event::Connection(handle, _) => Some(*handle),
            _ => None,
        });
        Conn { host: server, handle: handle.expect("it has said something") }
    }

    /// How long the requests of a connection took.
    fn took(&self, conn: Conn) -> Vec<Duration> {
        self.world.app::<Client>(conn).served().iter().map(|served| served.took).collect()
    }
}

/// The datagrams from the client that pass from now on, and what becomes of each, by its number from 0.
fn watch(world: &mut World, verdict: impl Fn(usize) -> Verdict + 'static) -> Rc<RefCell<Vec<Vec<u8>>>> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&seen);
    world.tap(move |_, datagram| {
        if datagram.from != addr(CLIENT) {
            return Verdict::Pass;
        }
        log.borrow_mut().push(datagram.payload.clone());
        verdict(log.borrow().len() - 1)
    });
    seen
}

/// How many datagrams of the first flight are early data alone.
fn seen_alone(seen: &Rc<RefCell<Vec<Vec<u8>>>>) -> usize {
    shapes(seen).iter().filter(|shape| *shape == "ZeroRtt").count()
}

fn shapes(seen: &Rc<RefCell<Vec<Vec<u8>>>>) -> Vec<String> {
    seen.borrow().iter().map(|datagram| Shape::of(datagram).to_string()).collect()
}

// ---- resumption alone -------------------------------------------------------------------------

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

// ---- taken ------------------------------------------------------------------------------------

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

// ---- not taken --------------------------------------------------------------------------------

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

// ---- limits that lie --------------------------------------------------------------------------

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

// ---- trouble on the way -----------------------------------------------------------------------

#[test]
fn whichever_datagram_of_an_early_flight_is_lost_nothing_is_missing() {
    for lost in 0..8 {
        let mut scene = Scene::usual();
        watch(&mut scene.world, move |number| if number == lost { Verdict::Drop } else { Verdict::Pass });
        let config = scene.config();
        let conn = scene.connect(FIRST, config, Client::upload(4_000));
        scene.world.run_until_done(secs(5));
        assert_eq!(scene.world.outcome(conn), Outcome::Done, "without datagram {lost}");
        assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Accepted]);
    }
}

#[test]
fn whichever_two_datagrams_are_lost_of_one_that_is_not_taken_nothing_is_missing() {
    for first in 0..5 {
        for second in first + 1..6 {
            let mut scene = Scene::usual();
            let stranger = taking(&tls::server(), usual());
            scene.world.server_with(SECOND, stranger);
            let is_lost = move |number| number == first || number == second;
            watch(&mut scene.world, move |n| if is_lost(n) { Verdict::Drop } else { Verdict::Pass });
            let config = scene.config();
            let conn = scene.connect(SECOND, config, Client::upload(3_000));
            scene.world.run_until_done(secs(20));
            assert_eq!(scene.world.outcome(conn), Outcome::Done, "without datagrams {first} and {second}");
        }
    }
}

#[test]
fn a_first_flight_that_is_lost_is_sent_again_with_its_early_data() {
    let mut scene = Scene::usual();
    watch(&mut scene.world, |number| if number == 0 { Verdict::Drop } else { Verdict::Pass });
    let conn = scene.ask(FIRST);
    scene.world.run_well(secs(5));
    // The timeout of a path that was never measured, and one round trip.
    let took = scene.took(conn)[0];
    assert!(took >= ms(999) && took <= ms(1_020), "{took:?}");
    assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Accepted]);
}

#[test]
fn early_data_that_overtakes_its_hello_is_sent_again() {
    let mut scene = Scene::usual();
    watch(&mut scene.world, |number| if number == 0 { Verdict::Delay(ms(5)) } else { Verdict::Pass });
    let config = scene.config();
    let conn = scene.connect(FIRST, config, Client::upload(3_000));
    scene.world.run_well(secs(5));
    assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Accepted]);
    assert!(scene.world.at(HostId(0)).endpoint().stats().dropped(DropReason::UnknownConnection) > 0);
    // The delay, a round trip for the handshake, one for the news of the loss, and one for what was lost.
    assert!(scene.took(conn)[0] <= ms(65), "{:?}", scene.took(conn));
}

#[test]
fn early_data_goes_to_the_server_again_after_a_retry() {
    let mut scene = Scene::usual();
    let server = taking(&scene.server_tls, usual());
    let config = EndpointConfig::server(Arc::new(server)).half_open_limit(0);
    scene.world.host(SECOND, config, Some(|| Box::new(Server::default())));
    let seen = watch(&mut scene.world, |_| Verdict::Pass);
    let conn = scene.ask(SECOND);
    scene.world.run_well(secs(1));
    assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Accepted]);
    assert_eq!(scene.took(conn), [ms(40)]);
    let early = shapes(&seen).iter().filter(|shape| shape.contains("ZeroRtt")).count();
    assert!(early >= 2, "{:?}", shapes(&seen));
}

#[test]
fn an_early_answer_keeps_to_three_times_what_came() {
    let mut scene = Scene::usual();
    let sums = Rc::new(RefCell::new((0, 0)));
    let counted = Rc::clone(&sums);
    let begun = scene.world.now();
    scene.world.tap(move |now, datagram| {
        let (came, went) = &mut *counted.borrow_mut();
        if now < begun + ms(20) {
            *(if datagram.from == addr(CLIENT) { came } else { went }) += datagram.payload.len();
        }
        Verdict::Pass
    });
    let config = scene.config();
    let conn = scene.connect(FIRST, config, Client::download(100_000));
    scene.world.run_well(secs(2));
    assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Accepted]);
    let (came, went) = *sums.borrow();
    assert!(went > 2 * came && went <= 3 * came, "{came} bytes came, {went} went");
}

#[test]
fn on_bad_paths_early_data_arrives_whole_and_once() {
    for seed in 1..=20 {
        let mut scene = Scene::usual();
        let link = Link::rtt(ms(30)).loss(0.1).duplication(0.1).reordering(0.2, ms(10)).corruption(0.02);
        scene.world.links(link);
        scene.world.run_for(ms(seed));
        let config = scene.config();
        let conn = scene.connect(FIRST, config, Client::downloads(3, 5_000));
        scene.world.run_until_done(secs(60));
        assert_eq!(scene.world.outcome(conn), Outcome::Done, "run {seed}");
    }
}

// ---- replays ----------------------------------------------------------------------------------

#[test]
fn a_repeated_first_flight_brings_no_early_data_a_second_time() {
    let mut scene = Scene::usual();
    let seen = watch(&mut scene.world, |_| Verdict::Pass);
    let conn = scene.ask(FIRST);
    let flight = seen.borrow().clone();
    scene.world.run_well(secs(1));
    scene.world.with(conn, |now, connection| connection.close(now, VarInt::ZERO, b""));
    scene.world.run_for(secs(5));
    let heard = |scene: &Scene| scene.world.at(HostId(0)).events().len();
    let before = heard(&scene);
    for payload in flight {
        scene.world.inject(Datagram::new(addr("192.0.2.99:7"), addr(FIRST), payload));
    }
    scene.world.run_for(ms(100));
    assert_eq!(heard(&scene), before, "no event of a connection, and no data: its ticket is used up");
}

#[test]
fn the_keys_of_early_data_are_gone_soon_after_the_handshake() {
    let mut scene = Scene::usual();
    let seen = watch(&mut scene.world, |_| Verdict::Pass);
    let config = scene.config();
    let conn = scene.connect(FIRST, config, Client::upload(3_000));
    scene.world.run_well(secs(1));
    let server_side = scene.world.server_side(conn).expect("the server has it too");
    let copy = seen.borrow().iter().find(|datagram| Shape::of(datagram).to_string() == "ZeroRtt").cloned();
    let copy = copy.expect("a datagram of early data alone");
    let drops = |scene: &Scene| {
        let connection = scene.world.connection(server_side).expect("open").stats();
        let endpoint = scene.world.at(HostId(0)).endpoint().stats();
        (connection.dropped(DropReason::Duplicate), endpoint.dropped(DropReason::UnknownConnection))
    };
    assert_eq!(drops(&scene), (0, 0));
    scene.world.inject(Datagram::new(addr(CLIENT), addr(FIRST), copy.clone()));
    scene.world.run_for(ms(11));
    assert_eq!(drops(&scene), (1, 0));
    scene.world.run_for(ms(500));
    // Neither keys nor the ID that it was sent to are known any more.
    scene.world.inject(Datagram::new(addr(CLIENT), addr(FIRST), copy));
    scene.world.run_for(ms(11));
    assert_eq!(drops(&scene), (1, 1));
}

// ---- versions ---------------------------------------------------------------------------------

/// A client that holds tickets of a server which goes over to version 2 as soon as it can.
fn knows_a_server_of_version_2() -> Scene {
    let server_tls = tls::server();
    let config = taking(&server_tls, usual()).versions(&[V2, V1]).expect("versions");
    Scene::of(server_tls, config)
}

#[test]
fn a_ticket_of_another_version_is_not_shown() {
    let mut scene = Scene::usual();
    let config = scene.config().first_version(V2).expect("versions");
    let conn = scene.connect(FIRST, config, Client::echoes(1, Duration::ZERO));
    scene.world.run_well(secs(1));
    assert_eq!(scene.early(conn), []);
    assert!(!scene.world.connection(conn).expect("open").is_resumed());
}

#[test]
fn a_ticket_is_of_the_version_that_was_negotiated() {
    let mut scene = knows_a_server_of_version_2();
    let seen = watch(&mut scene.world, |_| Verdict::Pass);
    let config = scene.config().first_version(V2).expect("versions");
    let conn = scene.connect(FIRST, config, Client::echoes(1, Duration::ZERO));
    scene.world.run_well(secs(1));
    assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Accepted]);
    assert_eq!((scene.took(conn), &shapes(&seen)[0][..]), (vec![ms(20)], "Initial+ZeroRtt"));
}

#[test]
fn early_data_is_of_the_first_version_whatever_is_negotiated() {
    let mut scene = Scene::usual();
    let config = taking(&scene.server_tls, usual()).versions(&[V2, V1]).expect("versions");
    scene.world.server_with(SECOND, config);
    let config = scene.config();
    let conn = scene.connect(SECOND, config, Client::upload(40_000));
    scene.world.run_well(secs(2));
    assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Accepted]);
    assert_eq!(scene.world.connection(conn).expect("open").version(), V2);
}

#[test]
fn early_data_to_a_server_of_another_version_is_sent_after_the_handshake() {
    let mut scene = Scene::usual();
    let config = taking(&scene.server_tls, usual()).versions(&[V2]).expect("versions");
    scene.world.server_with(SECOND, config);
    let config = scene.config();
    let conn = scene.connect(SECOND, config, Client::upload(5_000));
    scene.world.run_well(secs(2));
    assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Rejected]);
    assert_eq!(scene.took(conn), [ms(60)], "for another version, the handshake, and the data");
}

#[test]
fn a_client_that_begins_in_no_version_sends_early_data_when_it_begins_again() {
    let mut scene = Scene::usual();
    let seen = watch(&mut scene.world, |_| Verdict::Pass);
    let config = scene.config().grease_version();
    let conn = scene.connect(FIRST, config, Client::downloads(1, 1000));
    assert_eq!((scene.early(conn), seen.borrow().len()), (vec![], 1));
    scene.world.run_well(secs(1));
    assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Accepted]);
    assert_eq!((scene.took(conn), &shapes(&seen)[1][..]), (vec![ms(20)], "Initial+ZeroRtt"));
}

// ---- server migration -------------------------------------------------------------------------

/// A server at home that takes early data and plays this, and a client that was there before under the same terms.
fn at_home(play: Play) -> Scene {
    let server_tls = tls::server();
    let offer = MigrationConfig::new(play.strategy().into()).pool(play.pool());
    let config = taking(&server_tls, usual()).migration(offer).expect("an offer that can be");
    let mut world = World::new();
    world.links(Link::rtt(ms(20)));
    world.server_with(HOME, config);
    let client = world.client(CLIENT);
    let mut scene = Scene { world, client, client_tls: tls::resuming_client(), server_tls };
    let config = scene.config().migration(play.offer()).expect("an offer that can be");
    let conn = scene.connect(HOME, config, Client::echoes(1, Duration::ZERO));
    scene.world.run_well(secs(1));
    scene.world.run_for(ms(100));
    scene.world.with(conn, |now, connection| connection.close(now, VarInt::ZERO, b""));
    scene.world.run_for(secs(1));
    scene
}

fn agreed(world: &World, conn: Conn) -> Option<Agreement> {
    let mut said = world.at(conn.host).said(conn.handle);
    said.find_map(|(_, event)| match event {
        ConnectionEvent::Connected { migration } => Some(*migration),
        _ => None,
    })?
}

#[test]
fn a_server_moves_under_a_connection_that_began_early() {
    for play in Play::ALL {
        let mut scene = at_home(play);
        let config = scene.config().migration(play.offer()).expect("an offer that can be");
        let conn = scene.connect(HOME, config, Client::echoes(60, ms(50)));
        scene.world.run_for(ms(200));
        assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Accepted]);
        let server_side = scene.world.server_side(conn).expect("the server has it too");
        let agreements = [conn, server_side].map(|end| agreed(&scene.world, end));
        assert!(
            agreements.iter().all(|a| a.is_some_and(|a| a.strategies() == play.strategy().into())),
            "{play:?}"
        );
        let plan = RelocationPlan::uniform(play.order(AWAY));
        scene.world.relocate_by(HostId(0), plan, AWAY, ms(100));
        scene.world.run_until_done(secs(20));
        assert_eq!(scene.world.outcome(conn), Outcome::Done, "{play:?}");
        assert_eq!(scene.world.connection(conn).expect("open").remote(), addr(AWAY), "{play:?}");
    }
}

#[test]
fn what_was_agreed_on_a_move_is_not_remembered() {
    let mut scene = at_home(Play::Symmetric);
    let conn = scene.ask(HOME);
    scene.world.run_well(secs(1));
    let server_side = scene.world.server_side(conn).expect("the server has it too");
    assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Accepted]);
    assert_eq!([conn, server_side].map(|end| agreed(&scene.world, end)), [None, None]);
}

#[test]
fn after_a_retry_and_early_data_a_server_still_moves() {
    let mut scene = at_home(Play::Symmetric);
    let offer = MigrationConfig::new(Play::Symmetric.strategy().into());
    let config = taking(&scene.server_tls, usual()).migration(offer).expect("an offer that can be");
    let config = EndpointConfig::server(Arc::new(config)).half_open_limit(0);
    let server = scene.world.host(SECOND, config, Some(|| Box::new(Server::default())));
    let config = scene.config().migration(Play::Symmetric.offer()).expect("an offer that can be");
    let conn = scene.connect(SECOND, config, Client::echoes(60, ms(50)));
    scene.world.run_for(ms(200));
    assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Accepted]);
    scene.world.relocate_by(server, RelocationPlan::uniform(Play::Symmetric.order(AWAY)), AWAY, ms(100));
    scene.world.run_until_done(secs(20));
    assert_eq!(scene.world.outcome(conn), Outcome::Done);
    assert_eq!(scene.world.connection(conn).expect("open").remote(), addr(AWAY));
}
