//! s2n-quic, in a thread of its own.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use s2n_quic::client::Connect;
use s2n_quic::provider::tls::rustls as tls;
use s2n_quic::stream::BidirectionalStream;
use s2n_quic::{Client, Server};
use tokio::io::AsyncWriteExt;
use tokio::sync::oneshot;

use crate::pki::{Identity, SERVER_NAME};

/// A server that serves files until it is dropped.
#[derive(Debug)]
pub struct S2nServer {
    /// Where it listens.
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl S2nServer {
    /// Starts at a free port of 127.0.0.1 or of another address; `retry`: asks every client to prove its address.
    ///
    /// # Panics
    ///
    /// If s2n-quic does not start.
    pub fn start(identity: &Identity, at: &str, retry: bool) -> Self {
        let (certificate, key, at) = (identity.certificate_pem(), identity.key_pem(), at.to_owned());
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            run(async move {
                let tls = tls::Server::builder()
                    .with_certificate(certificate.as_str(), key.as_str())
                    .expect("the certificate can be read")
                    .with_application_protocols([crate::ALPN].iter())
                    .expect("a protocol's name")
                    .build()
                    .expect("the TLS configuration is sound");
                // No connection in flight is permitted without a proof: every client gets a Retry.
                let limit = if retry { 0 } else { 1000 };
                let limits = s2n_quic::provider::endpoint_limits::Default::builder()
                    .with_inflight_handshake_limit(limit)
                    .expect("a number")
                    .build()
                    .expect("the limits are sound");
                let mut server = Server::builder()
                    .with_tls(tls)
                    .expect("a provider of TLS")
                    .with_endpoint_limits(limits)
                    .expect("a provider of limits")
                    .with_io(at.as_str())
                    .expect("the address is free")
                    .start()
                    .expect("the server starts");
                tell.send(server.local_addr().expect("a bound server")).expect("the test waits");
                let serve = async {
                    while let Some(mut connection) = server.accept().await {
                        tokio::spawn(async move {
                            while let Ok(Some(stream)) = connection.accept_bidirectional_stream().await {
                                tokio::spawn(answer(stream));
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

impl Drop for S2nServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn answer(mut stream: BidirectionalStream) {
    let mut line = Vec::new();
    while let Ok(Some(bytes)) = stream.receive().await {
        line.extend_from_slice(&bytes);
        if let Ok(Some(len)) = crate::asked(&line) {
            let content: Vec<u8> = crate::content(len).collect();
            // An error is a client that has left.
            let _ = stream.write_all(&content).await;
            let _ = stream.shutdown().await;
            return;
        }
    }
}

/// Lets an s2n-quic client fetch files of these lengths at once on one connection; the thread ends when all were right.
pub fn s2n_fetch(identity: &Identity, to: SocketAddr, lengths: &[u64]) -> JoinHandle<()> {
    let (authority, lengths) = (identity.authority_pem(), lengths.to_vec());
    thread::spawn(move || {
        run(async move {
            let tls = tls::Client::builder()
                .with_certificate(authority.as_str())
                .expect("the certificate can be read")
                .with_application_protocols([crate::ALPN].iter())
                .expect("a protocol's name")
                .build()
                .expect("the TLS configuration is sound");
            let at = if to.is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" };
            let client = Client::builder()
                .with_tls(tls)
                .expect("a provider of TLS")
                .with_io(at)
                .expect("there is a free port")
                .start()
                .expect("the client starts");
            let connect = Connect::new(to).with_server_name(SERVER_NAME);
            let connection = client.connect(connect).await.expect("the handshake completes");
            let mut fetches = tokio::task::JoinSet::new();
            for len in lengths {
                let mut handle = connection.handle();
                fetches.spawn(async move {
                    let mut stream = handle.open_bidirectional_stream().await.expect("a stream");
                    stream.write_all(format!("GET /{len}\r\n").as_bytes()).await.expect("a line");
                    stream.finish().expect("the stream is open");
                    let mut got = 0;
                    while let Some(bytes) = stream.receive().await.expect("the file comes whole") {
                        let right = bytes.iter().zip(got..).all(|(byte, at)| *byte == crate::byte(at));
                        assert!(right, "a file is wrong somewhere behind byte {got}");
                        got += bytes.len() as u64;
                    }
                    assert_eq!(got, len, "length of a file");
                });
            }
            while let Some(fetched) = fetches.join_next().await {
                fetched.expect("the file is right");
            }
            connection.close(0_u32.into());
            let mut client = client;
            let _ = client.wait_idle().await;
        });
    })
}

fn run(play: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("the system gives a runtime").block_on(play);
}
