//! quinn: a foreign peer in a thread of its own, at a socket on loopback.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use peregrine::{Side, StreamId};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, EndpointConfig, RecvStream, SendStream,
    ServerConfig, TokioRuntime,
};
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;

use crate::driver::{Host, LIMIT};
use crate::load::Load;

/// How long quinn may take its leave: it would wait for stragglers for three probe timeouts.
const PARTING: Duration = Duration::from_millis(100);

/// A quinn endpoint at work, and what will come of it.
#[derive(Debug)]
pub struct Foreign<T> {
    pub address: SocketAddr,
    thread: JoinHandle<T>,
}

impl<T: Send + 'static> Foreign<T> {
    /// Lets an endpoint that accepts connections do as `play` says.
    pub fn server<F: Future<Output = T>>(
        config: ServerConfig,
        play: impl FnOnce(Endpoint) -> F + Send + 'static,
    ) -> Self {
        Self::start(bind(), EndpointConfig::default(), Some(config), play)
    }

    /// Lets an endpoint that only connects do as `play` says.
    pub fn client<F: Future<Output = T>>(
        config: EndpointConfig,
        play: impl FnOnce(Endpoint) -> F + Send + 'static,
    ) -> Self {
        Self::start(bind(), config, None, play)
    }

    /// Lets an endpoint at this socket do as `play` says.
    pub fn start<F: Future<Output = T>>(
        socket: UdpSocket,
        config: EndpointConfig,
        server: Option<ServerConfig>,
        play: impl FnOnce(Endpoint) -> F + Send + 'static,
    ) -> Self {
        let address = socket.local_addr().expect("a bound socket has an address");
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("the system gives a runtime").block_on(async {
                let endpoint = Endpoint::new(config, server, socket, Arc::new(TokioRuntime));
                let endpoint = endpoint.expect("quinn can use the socket");
                let played = tokio::time::timeout(LIMIT, play(endpoint.clone())).await;
                let played = played.unwrap_or_else(|_| panic!("quinn was not done within {LIMIT:?}"));
                // The last CONNECTION_CLOSE is to be sent before the runtime ends.
                let _ = tokio::time::timeout(PARTING, endpoint.wait_idle()).await;
                played
            })
        });
        Self { address, thread }
    }

    /// What came of it; `host` goes on until quinn is done.
    pub fn outcome(self, host: &mut Host) -> T {
        host.await_that("quinn is done", |_| self.thread.is_finished());
        self.thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}

/// A free port on loopback.
pub fn bind() -> UdpSocket {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port")
}

/// quinn's server configuration around a TLS configuration.
pub fn server_config(tls: rustls::ServerConfig) -> ServerConfig {
    let tls = QuicServerConfig::try_from(Arc::new(tls)).expect("the suite for Initial packets is there");
    ServerConfig::with_crypto(Arc::new(tls))
}

/// quinn's client configuration around a TLS configuration.
pub fn client_config(tls: rustls::ClientConfig) -> ClientConfig {
    let tls = QuicClientConfig::try_from(Arc::new(tls)).expect("the suite for Initial packets is there");
    ClientConfig::new(Arc::new(tls))
}

/// Waits for the first connection.
pub async fn accept(endpoint: &Endpoint) -> Connection {
    endpoint.accept().await.expect("the endpoint is open").await.expect("the handshake completes")
}

/// Connects to one of our servers.
pub async fn connect(
    endpoint: &Endpoint,
    to: SocketAddr,
    config: ClientConfig,
) -> Result<Connection, ConnectionError> {
    endpoint.connect_with(config, to, "localhost").expect("the configuration is sound").await
}

/// quinn's end of an exchange of `load`.
pub async fn exchange(connection: &Connection, load: Load) {
    let side = match connection.side() {
        quinn::Side::Client => Side::Client,
        quinn::Side::Server => Side::Server,
    };
    let mut talks = JoinSet::new();
    for _ in 0..load.streams {
        let (send, recv) = connection.open_bi().await.expect("we permit 100 streams");
        talks.spawn(talk(load, side, send, recv));
    }
    for _ in 0..load.streams {
        let (send, recv) = connection.accept_bi().await.expect("the peer opens as many");
        talks.spawn(talk(load, side, send, recv));
    }
    while let Some(outcome) = talks.join_next().await {
        outcome.unwrap_or_else(|error| resume_unwind(error.into_panic()));
    }
}

/// Says all on one stream and hears all, both at once. Whether all that was said has arrived is known to the peer.
async fn talk(load: Load, side: Side, mut send: SendStream, mut recv: RecvStream) {
    let stream = StreamId::from_wire(quinn::VarInt::from(send.id()).into_inner());
    let say = async {
        send.write_all(&load.content(side, stream)).await.expect("the peer takes all of it");
        send.finish().expect("the stream is open");
    };
    let hear = async { recv.read_to_end(usize::MAX).await.expect("the peer says all of it") };
    let ((), heard) = tokio::join!(say, hear);
    assert_eq!(heard.len() as u64, load.len(stream), "length of stream {stream}");
    let digest: [u8; 32] = Sha256::digest(heard).into();
    assert_eq!(digest, load.digest(side.other(), stream), "content of stream {stream}");
}
