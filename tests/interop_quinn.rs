//! Our endpoints against quinn's, over real sockets on loopback: our client and its server, our server and its client.
//!
//! quinn knows nothing of server migration. We offer or permit it all the same, in every test, since nothing else may
//! change for such a peer.

#[path = "interop_quinn/certificates.rs"]
mod certificates;
#[path = "interop_quinn/driver.rs"]
mod driver;
#[path = "interop_quinn/foreign.rs"]
mod foreign;
#[path = "interop_quinn/load.rs"]
mod load;

use std::sync::Arc;
use std::time::Duration;

use peregrine::{
    ClientConfig, CloseReason, Code, ConnectionEvent, ConnectionHandle, Dir, DropReason, Event, Instant,
    MigrationConfig, ServerConfig, Strategy, StrategySet, StreamEvent, TransportConfig, TransportError,
};
use quinn::{ApplicationClose, Connection, ConnectionError, Endpoint, EndpointConfig};
use quinn_proto::RandomConnectionIdGenerator;
use rustls::crypto::ring::{cipher_suite, default_provider, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};

use certificates::{ALPN, Identity};
use driver::Host;
use foreign::{Foreign, accept, bind, client_config, connect, exchange, server_config};
use load::{Exchange, Load};

/// The code and the words that an application closes with in these tests.
const DONE: (u32, &[u8]) = (42, b"done");
/// TLS: the certificate's issuer is not known (RFC 8446, Section 6.2).
const UNKNOWN_CA: u8 = 48;
/// TLS: no protocol in common (RFC 7301, Section 3.2).
const NO_APPLICATION_PROTOCOL: u8 = 120;
/// Shorter than the first probe timeout: who takes longer has waited for a timer.
const SWIFT: Duration = Duration::from_millis(900);
/// An idle timeout that a test can wait for.
const SOON: Duration = Duration::from_millis(300);

// ---- our end ------------------------------------------------------------------------------------

fn migration() -> MigrationConfig {
    let all = [Strategy::Explicit, Strategy::Pool, Strategy::Symmetric, Strategy::SynchronizedSymmetric];
    MigrationConfig::new(all.into_iter().fold(StrategySet::EMPTY, StrategySet::with))
}

fn our_client(tls: rustls::ClientConfig) -> ClientConfig {
    ClientConfig::new(Arc::new(tls)).migration(migration()).expect("the settings can be")
}

fn our_server(tls: rustls::ServerConfig) -> ServerConfig {
    ServerConfig::new(Arc::new(tls)).migration(migration()).expect("the settings can be")
}

/// Waits for the handshake, which agrees on the protocol and on no migration.
fn connected(host: &mut Host) -> ConnectionHandle {
    let (handle, migration) = host.await_event("the handshake completes", |_, event| match event {
        Event::Connection(handle, ConnectionEvent::Connected { migration }) => Some((*handle, *migration)),
        _ => None,
    });
    assert_eq!(migration, None);
    let connection = host.connection(handle);
    assert_eq!(connection.alpn(), Some(ALPN));
    assert_eq!(connection.migration().agreement(), None);
    handle
}

/// Waits for the end, whatever it is.
fn closed(host: &mut Host) -> CloseReason {
    host.await_event("the connection ends", |_, event| match event {
        Event::Connection(_, ConnectionEvent::Closed(reason)) => Some(reason.clone()),
        _ => None,
    })
}

/// Closes as an application does that has nothing more to say.
fn close(host: &mut Host, handle: ConnectionHandle) {
    let (now, (code, words)) = (host.now(), DONE);
    host.connection(handle).close(now, code.into(), words);
    assert_eq!(closed(host), CloseReason::Local { code: code.into() });
}

fn no_talk(event: &ConnectionEvent) {
    panic!("nothing but streams: {event:?}");
}

// ---- both ends ----------------------------------------------------------------------------------

/// One of our endpoints, its connection to quinn, and quinn.
struct Pair<T> {
    host: Host,
    handle: ConnectionHandle,
    quinn: Foreign<T>,
}

/// Our client with a quinn server that does as `play` says once they are connected.
fn with_quinn_server<T: Send + 'static, F: Future<Output = T>>(
    play: impl FnOnce(Endpoint, Connection) -> F + Send + 'static,
) -> Pair<T> {
    let identity = Identity::fresh();
    let quinn = Foreign::server(server_config(identity.server()), |endpoint| async move {
        let connection = accept(&endpoint).await;
        play(endpoint, connection).await
    });
    let mut host = Host::client();
    host.connect(quinn.address, our_client(identity.client()));
    let handle = connected(&mut host);
    Pair { host, handle, quinn }
}

/// Our server with a quinn client that does as `play` says once they are connected.
fn with_quinn_client<T: Send + 'static, F: Future<Output = T>>(
    play: impl FnOnce(Endpoint, Connection) -> F + Send + 'static,
) -> Pair<T> {
    let identity = Identity::fresh();
    let mut host = Host::server(our_server(identity.server()));
    let (to, config) = (host.address(), client_config(identity.client()));
    let quinn = Foreign::client(EndpointConfig::default(), move |endpoint| async move {
        let connection = connect(&endpoint, to, config).await.expect("the handshake completes");
        play(endpoint, connection).await
    });
    let handle = connected(&mut host);
    Pair { host, handle, quinn }
}

impl Pair<ConnectionError> {
    /// We close, and quinn sees with which code and why.
    fn close(mut self) {
        close(&mut self.host, self.handle);
        let (code, words) = DONE;
        let seen = ApplicationClose { error_code: code.into(), reason: words.into() };
        assert_eq!(self.quinn.outcome(&mut self.host), ConnectionError::ApplicationClosed(seen));
    }
}

async fn listens(_: Endpoint, connection: Connection) -> ConnectionError {
    connection.closed().await
}

async fn exchanges_a_little(_: Endpoint, connection: Connection) -> ConnectionError {
    exchange(&connection, Load::SMALL).await;
    connection.closed().await
}

// ---- streams and the end of a connection --------------------------------------------------------

async fn exchanges_everything(_: Endpoint, connection: Connection) -> ConnectionError {
    exchange(&connection, Load::FULL).await;
    connection.closed().await
}

#[test]
fn our_client_and_a_quinn_server_exchange_everything() {
    let mut pair = with_quinn_server(exchanges_everything);
    Exchange::run(&mut pair.host, pair.handle, Load::FULL, no_talk);
    pair.close();
}

#[test]
fn our_server_and_a_quinn_client_exchange_everything() {
    let mut pair = with_quinn_client(exchanges_everything);
    Exchange::run(&mut pair.host, pair.handle, Load::FULL, no_talk);
    pair.close();
}

#[test]
fn streams_beyond_the_first_hundred_are_permitted_as_others_end() {
    const MANY: Load = Load { streams: 1000, bytes: 1_000_000 };
    async fn exchanges_many(_: Endpoint, connection: Connection) -> ConnectionError {
        exchange(&connection, MANY).await;
        connection.closed().await
    }
    for mut pair in [with_quinn_server(exchanges_many), with_quinn_client(exchanges_many)] {
        Exchange::run(&mut pair.host, pair.handle, MANY, no_talk);
        pair.close();
    }
}

#[test]
fn quinn_stops_and_resets_a_stream() {
    let (code, _) = DONE;
    let stops = move |_, connection: Connection| async move {
        let (mut send, mut recv) = connection.accept_bi().await.expect("we open one");
        recv.stop(code.into()).expect("the stream is open");
        send.reset(code.into()).expect("the stream is open");
        connection.closed().await
    };
    for mut pair in [with_quinn_server(stops), with_quinn_client(stops)] {
        let stream = pair.host.connection(pair.handle).open(Dir::Bi).expect("quinn permits 100 streams");
        pair.host
            .connection(pair.handle)
            .send(stream)
            .expect("a new stream")
            .write(b"hello")
            .expect("there is room");
        let mut missing = vec![
            StreamEvent::Stopped { id: stream, code: code.into() },
            StreamEvent::Reset { id: stream, code: code.into() },
        ];
        pair.host.await_event("both directions end", |_, event| {
            missing.retain(|one| *event != Event::Connection(pair.handle, ConnectionEvent::Stream(*one)));
            missing.is_empty().then_some(())
        });
        pair.close();
    }
}

#[test]
fn our_stop_and_our_reset_reach_quinn() {
    let (code, _) = DONE;
    let is_stopped = move |_, connection: Connection| async move {
        let (mut send, mut recv) = connection.open_bi().await.expect("we permit 100 streams");
        send.write_all(b"hello").await.expect("there is room");
        assert_eq!(send.stopped().await, Ok(Some(code.into())));
        let heard = recv.read_to_end(100).await;
        assert_eq!(heard, Err(quinn::ReadToEndError::Read(quinn::ReadError::Reset(code.into()))));
        let mut seen = connection.open_uni().await.expect("we permit 100 streams");
        seen.write_all(b"seen").await.expect("there is room");
        connection.closed().await
    };
    for mut pair in [with_quinn_server(is_stopped), with_quinn_client(is_stopped)] {
        let stream = pair
            .host
            .await_event("quinn opens a stream", |host, _| host.connection(pair.handle).accept(Dir::Bi));
        let connection = pair.host.connection(pair.handle);
        connection.recv(stream).expect("a new stream").stop(code.into()).expect("the stream is open");
        connection.send(stream).expect("a new stream").reset(code.into()).expect("the stream is open");
        pair.host.await_event("quinn has seen both and says so", |host, _| {
            host.connection(pair.handle).accept(Dir::Uni)
        });
        pair.close();
    }
}

#[test]
fn a_code_with_which_quinn_closes_is_reported() {
    let (code, words) = DONE;
    let closes = move |_, connection: Connection| async move { connection.close(code.into(), words) };
    for mut pair in [with_quinn_server(closes), with_quinn_client(closes)] {
        let reported = CloseReason::Application { code: code.into(), reason: words.to_vec() };
        assert_eq!(closed(&mut pair.host), reported);
        pair.quinn.outcome(&mut pair.host);
    }
}

#[test]
fn silence_ends_the_connection_at_both_ends_after_the_shorter_timeout() {
    let transport = TransportConfig::builder().idle_timeout(Some(SOON)).build().expect("the settings can be");
    let identity = Identity::fresh();
    let quinn = Foreign::server(server_config(identity.server()), |endpoint| async move {
        accept(&endpoint).await.closed().await
    });
    let mut host = Host::client();
    host.connect(quinn.address, our_client(identity.client()).transport(Arc::new(transport)));
    connected(&mut host);
    let since = host.now();
    assert_eq!(closed(&mut host), CloseReason::TimedOut);
    let silence = host.now().since(since);
    assert!(silence > SOON / 2 && silence < 5 * SOON, "ended after {silence:?}");
    assert_eq!(quinn.outcome(&mut host), ConnectionError::TimedOut);
}

#[test]
fn the_idle_timeout_of_quinn_holds_for_us_too() {
    let mut transport = quinn::TransportConfig::default();
    transport.max_idle_timeout(Some(SOON.try_into().expect("a short time")));
    let identity = Identity::fresh();
    let mut host = Host::server(our_server(identity.server()));
    let (to, mut config) = (host.address(), client_config(identity.client()));
    config.transport_config(Arc::new(transport));
    let quinn = Foreign::client(EndpointConfig::default(), move |endpoint| async move {
        connect(&endpoint, to, config).await.expect("the handshake completes").closed().await
    });
    connected(&mut host);
    let since = host.now();
    assert_eq!(closed(&mut host), CloseReason::TimedOut);
    let silence = host.now().since(since);
    assert!(silence > SOON / 2 && silence < 5 * SOON, "ended after {silence:?}");
    assert_eq!(quinn.outcome(&mut host), ConnectionError::TimedOut);
}

// ---- keys and addresses change ------------------------------------------------------------------

/// Exchanges everything while quinn changes its keys whenever it may.
async fn changes_keys(_: Endpoint, connection: Connection) -> ConnectionError {
    let change = async {
        loop {
            tokio::time::sleep(Duration::from_millis(2)).await;
            connection.force_key_update();
        }
    };
    tokio::select! {
        () = exchange(&connection, Load::FULL) => {}
        () = change => {}
    }
    connection.closed().await
}

fn key_updates_are_followed(mut pair: Pair<ConnectionError>) {
    Exchange::run(&mut pair.host, pair.handle, Load::FULL, no_talk);
    let stats = pair.host.connection(pair.handle).stats();
    assert!(stats.key_updates >= 2, "{stats:?}");
    assert_eq!(stats.dropped(DropReason::Undecryptable), 0);
    pair.close();
}

#[test]
fn our_client_follows_the_key_updates_of_a_quinn_server() {
    key_updates_are_followed(with_quinn_server(changes_keys));
}

#[test]
fn our_server_follows_the_key_updates_of_a_quinn_client() {
    key_updates_are_followed(with_quinn_client(changes_keys));
}

#[test]
fn our_server_follows_a_quinn_client_to_another_socket() {
    let next = bind();
    let there = next.local_addr().expect("a bound socket has an address");
    let mut pair = with_quinn_client(move |endpoint, connection| async move {
        let rebind = async {
            while connection.stats().udp_rx.bytes < Load::FULL.bytes / 4 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            endpoint.rebind(next).expect("quinn can use the socket");
        };
        tokio::join!(exchange(&connection, Load::FULL), rebind);
        connection.closed().await
    });
    let mut moves = Vec::new();
    Exchange::run(&mut pair.host, pair.handle, Load::FULL, |event| match event {
        ConnectionEvent::PeerMoved { from, to } => moves.push((*from, *to)),
        other => panic!("nothing but a move: {other:?}"),
    });
    assert_eq!(moves, [(pair.quinn.address, there)]);
    assert_eq!(pair.host.connection(pair.handle).remote(), there);
    pair.close();
}

#[test]
fn a_quinn_server_follows_our_client_to_another_socket() {
    let mut pair = with_quinn_server(|_, connection| async move {
        exchange(&connection, Load::FULL).await;
        let followed = connection.remote_address();
        (connection.closed().await, followed)
    });
    let exchange = Exchange::begin(&mut pair.host, pair.handle, Load::FULL);
    pair.host.await_that("a quarter has arrived", |endpoint| {
        endpoint.stats().bytes_received >= Load::FULL.bytes / 4
    });
    pair.host.rebind();
    exchange.finish(&mut pair.host, no_talk);
    close(&mut pair.host, pair.handle);
    let there = pair.host.address();
    let (_, followed) = pair.quinn.outcome(&mut pair.host);
    assert_eq!(followed, there);
}

// ---- handshakes ---------------------------------------------------------------------------------

#[test]
fn a_handshake_waits_for_no_timer() {
    for mut pair in [with_quinn_server(listens), with_quinn_client(listens)] {
        let took = pair.host.now().since(Instant::ZERO);
        assert!(took < SWIFT, "{took:?}");
        assert_eq!(pair.host.connection(pair.handle).stats().probe_timeouts, 0);
        pair.close();
    }
}

/// Both handshakes, with this cryptography at the client and that at the server, and a little data.
fn cryptography_is_agreed_on(client: &CryptoProvider, server: &CryptoProvider) {
    let identity = Identity::fresh();
    let quinn = Foreign::server(server_config(identity.server_with(server.clone())), |endpoint| async move {
        let connection = accept(&endpoint).await;
        exchanges_a_little(endpoint, connection).await
    });
    let mut host = Host::client();
    host.connect(quinn.address, our_client(identity.client_with(client.clone())));
    let handle = connected(&mut host);
    Exchange::run(&mut host, handle, Load::SMALL, no_talk);
    Pair { host, handle, quinn }.close();

    let mut host = Host::server(our_server(identity.server_with(server.clone())));
    let (to, config) = (host.address(), client_config(identity.client_with(client.clone())));
    let quinn = Foreign::client(EndpointConfig::default(), move |endpoint| async move {
        let connection = connect(&endpoint, to, config).await.expect("the handshake completes");
        exchanges_a_little(endpoint, connection).await
    });
    let handle = connected(&mut host);
    Exchange::run(&mut host, handle, Load::SMALL, no_talk);
    Pair { host, handle, quinn }.close();
}

#[test]
fn every_cipher_suite_carries_data() {
    // quinn wants AES-128-GCM in the list, for Initial packets; the server's preference decides.
    let initial = cipher_suite::TLS13_AES_128_GCM_SHA256;
    for suite in
        [initial, cipher_suite::TLS13_AES_256_GCM_SHA384, cipher_suite::TLS13_CHACHA20_POLY1305_SHA256]
    {
        let preferring = CryptoProvider { cipher_suites: vec![suite, initial], ..default_provider() };
        cryptography_is_agreed_on(&preferring, &preferring);
    }
}

#[test]
fn a_server_may_ask_for_another_key_exchange() {
    let groups =
        |kx_groups: Vec<&'static dyn SupportedKxGroup>| CryptoProvider { kx_groups, ..default_provider() };
    let client = groups(vec![kx_group::X25519, kx_group::SECP256R1]);
    let server = groups(vec![kx_group::SECP256R1]);
    cryptography_is_agreed_on(&client, &server);
}

#[test]
fn our_client_obeys_a_retry() {
    let identity = Identity::fresh();
    let quinn = Foreign::server(server_config(identity.server()), |endpoint| async move {
        let first = endpoint.accept().await.expect("the endpoint is open");
        first.retry().expect("the first Initial has no token");
        let again = endpoint.accept().await.expect("the endpoint is open");
        assert!(again.remote_address_validated());
        let connection = again.await.expect("the handshake completes");
        exchanges_a_little(endpoint, connection).await
    });
    let mut host = Host::client();
    host.connect(quinn.address, our_client(identity.client()));
    let handle = connected(&mut host);
    assert!(host.now().since(Instant::ZERO) < SWIFT);
    assert_eq!(host.connection(handle).stats().probe_timeouts, 0);
    Exchange::run(&mut host, handle, Load::SMALL, no_talk);
    Pair { host, handle, quinn }.close();
}

#[test]
fn a_quinn_client_may_do_without_a_connection_id() {
    let identity = Identity::fresh();
    let mut host = Host::server(our_server(identity.server()));
    let (to, config) = (host.address(), client_config(identity.client()));
    let mut nameless = EndpointConfig::default();
    nameless.cid_generator(|| Box::new(RandomConnectionIdGenerator::new(0)));
    let quinn = Foreign::client(nameless, move |endpoint| async move {
        let connection = connect(&endpoint, to, config).await.expect("the handshake completes");
        exchanges_a_little(endpoint, connection).await
    });
    let handle = connected(&mut host);
    Exchange::run(&mut host, handle, Load::SMALL, no_talk);
    Pair { host, handle, quinn }.close();
}

#[test]
fn our_client_does_not_trust_a_strange_certificate_and_says_so() {
    let quinn = Foreign::server(server_config(Identity::strange().server()), |endpoint| async move {
        endpoint.accept().await.expect("the endpoint is open").await.expect_err("the client objects")
    });
    let mut host = Host::client();
    host.connect(quinn.address, our_client(Identity::fresh().client()));
    let reason = closed(&mut host);
    let fault = TransportError {
        code: Code::crypto(UNKNOWN_CA),
        frame: 0,
        reason: "the peer's certificate does not verify",
    };
    assert_eq!(reason, CloseReason::Fault(fault));
    assert_eq!(reason.to_string(), "ended by a fault: TLS alert 48: the peer's certificate does not verify");
    let ConnectionError::ConnectionClosed(seen) = quinn.outcome(&mut host) else {
        panic!("quinn is told by CONNECTION_CLOSE");
    };
    assert_eq!(seen.error_code, quinn::TransportErrorCode::crypto(UNKNOWN_CA));
}

#[test]
fn our_server_hears_that_its_certificate_is_not_trusted() {
    let mut host = Host::server(our_server(Identity::strange().server()));
    let (to, config) = (host.address(), client_config(Identity::fresh().client()));
    let quinn = Foreign::client(EndpointConfig::default(), move |endpoint| async move {
        connect(&endpoint, to, config).await.expect_err("quinn does not trust it")
    });
    let CloseReason::Peer { code, .. } = closed(&mut host) else { panic!("quinn closes") };
    assert_eq!(code, Code::crypto(UNKNOWN_CA));
    assert!(matches!(quinn.outcome(&mut host), ConnectionError::TransportError(_)));
}

#[test]
fn our_server_refuses_a_protocol_that_it_does_not_speak() {
    let identity = Identity::fresh();
    let mut tls = identity.client();
    tls.alpn_protocols = vec![b"another".to_vec()];
    let mut host = Host::server(our_server(identity.server()));
    let (to, config) = (host.address(), client_config(tls));
    let quinn = Foreign::client(EndpointConfig::default(), move |endpoint| async move {
        connect(&endpoint, to, config).await.expect_err("nothing in common")
    });
    let CloseReason::Fault(fault) = closed(&mut host) else { panic!("we close") };
    assert_eq!(fault.code, Code::crypto(NO_APPLICATION_PROTOCOL));
    assert_eq!(fault.reason, "no application protocol in common");
    let ConnectionError::ConnectionClosed(seen) = quinn.outcome(&mut host) else {
        panic!("quinn is told by CONNECTION_CLOSE");
    };
    assert_eq!(seen.error_code, quinn::TransportErrorCode::crypto(NO_APPLICATION_PROTOCOL));
}

#[test]
fn our_client_hears_that_it_is_refused() {
    let identity = Identity::fresh();
    let quinn = Foreign::server(server_config(identity.server()), |endpoint| async move {
        endpoint.accept().await.expect("the endpoint is open").refuse();
    });
    let mut host = Host::client();
    host.connect(quinn.address, our_client(identity.client()));
    let CloseReason::Peer { code, .. } = closed(&mut host) else { panic!("quinn closes") };
    assert_eq!(code, Code::CONNECTION_REFUSED);
    quinn.outcome(&mut host);
}
