//! One of our endpoints and one of quinn's, connected to each other.

use std::sync::Arc;

use peregrine::{
    ClientConfig, CloseReason, ConnectionEvent, ConnectionHandle, Event, MigrationConfig, ServerConfig,
    Strategy, StrategySet, TransportConfig,
};
use quinn::{ApplicationClose, Connection, ConnectionError, Endpoint, EndpointConfig};

use crate::certificates::{ALPN, Identity};
use crate::driver::Host;
use crate::foreign::{Foreign, accept, client_config, connect, exchange, server_config};
use crate::load::Load;

/// The code and the words that an application closes with in these tests.
pub const DONE: (u32, &[u8]) = (42, b"done");

/// All that there is of server migration.
fn migration() -> MigrationConfig {
    let all = [Strategy::Explicit, Strategy::Pool, Strategy::Symmetric, Strategy::SynchronizedSymmetric];
    MigrationConfig::new(all.into_iter().fold(StrategySet::EMPTY, StrategySet::with))
}

/// We take datagrams, and search each path for larger ones than quinn takes.
fn transport() -> Arc<TransportConfig> {
    let transport =
        TransportConfig::builder().datagram_receive_buffer(Some(1 << 20)).mtu_discovery(Some(9000));
    Arc::new(transport.build().expect("the settings can be"))
}

/// Our client, which offers server migration.
pub fn our_client(tls: rustls::ClientConfig) -> ClientConfig {
    ClientConfig::new(Arc::new(tls))
        .transport(transport())
        .migration(migration())
        .expect("the settings can be")
}

/// Our server, which permits server migration.
pub fn our_server(tls: rustls::ServerConfig) -> ServerConfig {
    ServerConfig::new(Arc::new(tls))
        .transport(transport())
        .migration(migration())
        .expect("the settings can be")
}

/// Waits for the handshake, which agrees on the protocol and on no migration.
pub fn connected(host: &mut Host) -> ConnectionHandle {
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
pub fn closed(host: &mut Host) -> CloseReason {
    host.await_event("the connection ends", |_, event| match event {
        Event::Connection(_, ConnectionEvent::Closed(reason)) => Some(reason.clone()),
        _ => None,
    })
}

/// Closes as an application does that has nothing more to say.
pub fn close(host: &mut Host, handle: ConnectionHandle) {
    let (now, (code, words)) = (host.now(), DONE);
    host.connection(handle).close(now, code.into(), words);
    assert_eq!(closed(host), CloseReason::Local { code: code.into() });
}

/// For connections on which nothing but streams is expected.
pub fn no_talk(event: &ConnectionEvent) {
    panic!("nothing but streams: {event:?}");
}

/// One of our endpoints, its connection to quinn, and quinn.
pub struct Pair<T> {
    pub host: Host,
    pub handle: ConnectionHandle,
    pub quinn: Foreign<T>,
}

/// Our client with a quinn server that does as `play` says once they are connected.
pub fn with_quinn_server<T: Send + 'static, F: Future<Output = T>>(
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
pub fn with_quinn_client<T: Send + 'static, F: Future<Output = T>>(
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
    pub fn close(mut self) {
        close(&mut self.host, self.handle);
        let (code, words) = DONE;
        let seen = ApplicationClose { error_code: code.into(), reason: words.into() };
        assert_eq!(self.quinn.outcome(&mut self.host), ConnectionError::ApplicationClosed(seen));
    }
}

/// quinn waits for the end.
pub async fn listens(_: Endpoint, connection: Connection) -> ConnectionError {
    connection.closed().await
}

/// quinn exchanges [`Load::SMALL`] and waits for the end.
pub async fn exchanges_a_little(_: Endpoint, connection: Connection) -> ConnectionError {
    exchange(&connection, Load::SMALL).await;
    connection.closed().await
}
