//! quinn, in a thread of its own.

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Endpoint, RecvStream, SendStream, ServerConfig};
use tokio::sync::oneshot;

use crate::pki::{Identity, SERVER_NAME};

/// The longest request that is read, in bytes.
const REQUEST: usize = 64;

/// A server that serves files until it is dropped.
#[derive(Debug)]
pub struct QuinnServer {
    /// Where it listens.
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl QuinnServer {
    /// Starts at an address of this machine.
    ///
    /// # Panics
    ///
    /// If quinn does not start.
    pub fn start(identity: &Identity, at: SocketAddr) -> Self {
        let tls = QuicServerConfig::try_from(Arc::new(identity.server())).expect("the suites are there");
        let config = ServerConfig::with_crypto(Arc::new(tls));
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            run(async move {
                let endpoint = Endpoint::server(config, at).expect("the address is this machine's");
                tell.send(endpoint.local_addr().expect("it is bound")).expect("the test waits");
                let serve = async {
                    while let Some(incoming) = endpoint.accept().await {
                        tokio::spawn(async move {
                            let connection = incoming.await.expect("the handshake completes");
                            while let Ok((send, receive)) = connection.accept_bi().await {
                                tokio::spawn(answer(send, receive));
                            }
                        });
                    }
                };
                tokio::select! { () = serve => {}, _ = stopped => {} }
            });
        });
        let address = told.recv().expect("the server starts");
        Self { address, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for QuinnServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn answer(mut send: SendStream, mut receive: RecvStream) {
    let Ok(line) = receive.read_to_end(REQUEST).await else { return };
    if let Ok(Some(len)) = crate::asked(&line) {
        let content: Vec<u8> = crate::content(len).collect();
        // An error is a client that has left.
        let _ = send.write_all(&content).await;
        let _ = send.finish();
    }
}

/// Lets a quinn client fetch files of these lengths one after the other on one connection; after the first it goes on
/// from `elsewhere`, if that is said. The thread ends when all were right.
pub fn quinn_fetch(
    identity: &Identity,
    to: SocketAddr,
    lengths: &[u64],
    elsewhere: Option<SocketAddr>,
) -> JoinHandle<()> {
    let tls = QuicClientConfig::try_from(Arc::new(identity.client())).expect("the suites are there");
    let lengths = lengths.to_vec();
    thread::spawn(move || {
        run(async move {
            let at = if to.is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" };
            let mut endpoint = Endpoint::client(at.parse().expect("an address")).expect("there is a port");
            endpoint.set_default_client_config(ClientConfig::new(Arc::new(tls)));
            let connecting = endpoint.connect(to, SERVER_NAME).expect("the configuration is sound");
            let connection = connecting.await.expect("the handshake completes");
            for (number, len) in lengths.into_iter().enumerate() {
                let (mut send, mut receive) = connection.open_bi().await.expect("a stream");
                send.write_all(format!("GET /{len}\r\n").as_bytes()).await.expect("a line");
                send.finish().expect("the stream is open");
                let got = receive.read_to_end(usize::MAX).await.expect("the file comes whole");
                assert!(got.iter().copied().eq(crate::content(len)), "the file of {len} bytes is wrong");
                if let (0, Some(elsewhere)) = (number, elsewhere) {
                    let socket = UdpSocket::bind(elsewhere).expect("the address is this machine's");
                    endpoint.rebind(socket).expect("quinn can use it");
                }
            }
            connection.close(0_u32.into(), b"");
            endpoint.wait_idle().await;
        });
    })
}

fn run(play: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("the system gives a runtime").block_on(play);
}
