//! hq and quinn fetch from each other, over loopback: neither knows what the other is.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Connection, Endpoint, Incoming, ServerConfig};
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::quic::Suite;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::case::Case;
use crate::places::Places;
use crate::tests::{Server, program};
use crate::tls::{self, Identity, Trust};

/// The longest request that quinn's end reads, in bytes.
const REQUEST: usize = 4096;

/// What Initial packets are sealed with, whatever cipher suite is agreed on.
fn initial() -> Suite {
    TLS13_AES_128_GCM_SHA256.tls13().and_then(|suite| suite.quic_suite()).expect("it is one of QUIC's")
}

fn runtime() -> Runtime {
    Runtime::new().expect("the system gives a runtime")
}

fn report(role: &str, case: &str) {
    println!("matrix: quinn {role} {case} ok");
}

// ---- hq asks, quinn answers -------------------------------------------------------------------

/// A quinn server that plays a case until its runtime ends; its port.
fn serve(runtime: &Runtime, places: &Places, case: &str) -> u16 {
    let part = Case::named(case).expect("a case").server;
    let identity = Identity::read(&places.place("certs/cert.pem"), &places.place("certs/priv.key"));
    let tls = tls::server(identity.expect("they were written"), part.cipher, None).expect("it can be used");
    let mut tls = rustls::ServerConfig::clone(&tls);
    tls.max_early_data_size = if part.zero_rtt { u32::MAX } else { 0 };
    let tls = QuicServerConfig::with_initial(Arc::new(tls), initial()).expect("it is one of QUIC's");
    let config = ServerConfig::with_crypto(Arc::new(tls));
    let www = places.place("www");
    let _guard = runtime.enter();
    let endpoint =
        Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).expect("loopback has a free port");
    let port = endpoint.local_addr().expect("it is bound").port();
    runtime.spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            if part.retry && !incoming.remote_address_validated() {
                incoming.retry().expect("it has not answered one");
                continue;
            }
            tokio::spawn(answer_all(incoming, www.clone()));
        }
    });
    port
}

async fn answer_all(incoming: Incoming, www: std::path::PathBuf) -> Option<()> {
    // Early requests are answered before the handshake is complete, if there are any.
    let (connection, _) = incoming.accept().ok()?.into_0rtt().ok()?;
    while let Ok((mut send, mut receive)) = connection.accept_bi().await {
        let www = www.clone();
        tokio::spawn(async move {
            let request = receive.read_to_end(REQUEST).await.ok()?;
            let path = std::str::from_utf8(&request).ok()?.strip_prefix("GET /")?.strip_suffix("\r\n")?;
            send.write_all(&std::fs::read(www.join(path)).ok()?).await.ok()?;
            send.finish().ok()
        });
    }
    Some(())
}

/// hq plays a case as a client of quinn's; returns how many handshakes it took, and what it said.
fn ask_quinn(case: &str, lengths: &[usize]) -> (Places, usize, String) {
    let (places, runtime) = (Places::new(), runtime());
    let names = places.files(lengths);
    let port = serve(&runtime, &places, case);
    let output = places.output(case, port, &names);
    assert_eq!(output.status.code(), Some(0), "{case}: {}", String::from_utf8_lossy(&output.stderr));
    places.assert_fetched(&names);
    let handshakes = places.secrets("client", "CLIENT_TRAFFIC_SECRET_0");
    (places, handshakes, String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn hq_fetches_from_quinn() {
    for (case, lengths) in [
        ("handshake", &[1024][..]),
        ("transfer", &[1_000_000, 2_000_000]),
        ("multiplexing", &[32; 300]),
        ("retry", &[10_000]),
        ("chacha20", &[300_000]),
        ("versionnegotiation", &[1024]),
    ] {
        let (_, handshakes, said) = ask_quinn(case, lengths);
        assert_eq!(handshakes, 1, "{case}");
        assert!(said.contains("QUIC version 1\n"), "{case}: {said}");
        report("client", case);
    }
}

#[test]
fn hq_resumes_a_connection_with_quinn() {
    for case in ["resumption", "zerortt"] {
        let (_, handshakes, said) = ask_quinn(case, &[5000, 10_000, 32, 32]);
        assert_eq!(handshakes, 2, "{case}");
        assert!(said.contains(", resumed\n"), "{case}: {said}");
        report("client", case);
    }
}

#[test]
fn hq_updates_keys_with_quinn() {
    let (places, _, _) = ask_quinn("keyupdate", &[3_000_000]);
    for label in ["CLIENT_TRAFFIC_SECRET_1", "SERVER_TRAFFIC_SECRET_1"] {
        assert!(places.secrets("client", label) >= 1, "{label}");
    }
    report("client", "keyupdate");
}

#[test]
fn hq_moves_to_another_port_and_quinn_follows() {
    let (places, runtime) = (Places::new(), runtime());
    let names = places.files(&[4_000_000]);
    let port = serve(&runtime, &places, "transfer");
    let client = program(&format!(
        "client --ca {} --out {} --rebind=1M https://localhost:{port}/{}",
        places.place("certs/ca.pem").display(),
        places.place("downloads").display(),
        names[0],
    ))
    .output()
    .expect("it can be run");
    let said = String::from_utf8_lossy(&client.stdout);
    assert!(client.status.success(), "{}", String::from_utf8_lossy(&client.stderr));
    assert!(said.contains("by another path\n"), "{said}");
    places.assert_fetched(&names);
    report("client", "rebind-port");
}

// ---- quinn asks, hq answers -------------------------------------------------------------------

/// A quinn client that plays a case, and a server of hq's to ask.
struct Asker {
    runtime: Runtime,
    places: Places,
    server: Server,
    endpoint: Endpoint,
}

impl Asker {
    fn new(case: &str) -> Self {
        let (runtime, places) = (runtime(), Places::new());
        let part = Case::named(case).expect("a case").client;
        let trust = Trust::Authorities { file: places.place("certs/ca.pem"), above: None };
        let tls = tls::client(&trust, part.cipher, None).expect("it can be used");
        let mut tls = rustls::ClientConfig::clone(&tls);
        tls.enable_early_data = part.zero_rtt;
        let tls = QuicClientConfig::with_initial(Arc::new(tls), initial()).expect("it is one of QUIC's");
        let server = places.server(case, "127.0.0.1");
        let mut endpoint = {
            let _guard = runtime.enter();
            Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("loopback has a free port")
        };
        endpoint.set_default_client_config(ClientConfig::new(Arc::new(tls)));
        Self { runtime, places, server, endpoint }
    }

    fn connect(&self) -> quinn::Connecting {
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, self.server.port));
        let _guard = self.runtime.enter();
        self.endpoint.connect(to, "localhost").expect("it can be asked")
    }

    /// Fetches these files all at once, and looks whether they are as they were written.
    async fn fetch(&self, connection: &Connection, names: &[String]) {
        let mut fetches = JoinSet::new();
        for name in names {
            let (connection, request) = (connection.clone(), format!("GET /{name}\r\n"));
            let wanted = std::fs::read(self.places.place("www").join(name)).expect("it was written");
            fetches.spawn(async move {
                let (mut send, mut receive) = connection.open_bi().await.expect("a stream is permitted");
                send.write_all(request.as_bytes()).await.expect("it is taken");
                send.finish().expect("it is open");
                let found = receive.read_to_end(wanted.len()).await.expect("it is answered");
                assert!(found == wanted, "{request}");
            });
        }
        while let Some(fetched) = fetches.join_next().await {
            fetched.expect("it was fetched");
        }
    }

    /// Plays a case with files of these lengths, and does something once the first has come.
    fn play(case: &str, lengths: &[usize], then: impl FnOnce(&Endpoint, &Connection)) -> Self {
        let asker = Self::new(case);
        let names = asker.places.files(lengths);
        let connecting = asker.connect();
        asker.runtime.block_on(async {
            let connection = connecting.await.expect("the handshake completes");
            asker.fetch(&connection, &names[..1]).await;
            then(&asker.endpoint, &connection);
            asker.fetch(&connection, &names[1..]).await;
            connection.close(0_u32.into(), b"");
            asker.endpoint.wait_idle().await;
        });
        assert_eq!(asker.places.secrets("server", "CLIENT_TRAFFIC_SECRET_0"), 1, "{case}");
        asker
    }
}

#[test]
fn quinn_fetches_from_hq() {
    for (case, lengths) in [
        ("handshake", &[1024][..]),
        ("transfer", &[1_000_000, 2_000_000]),
        ("multiplexing", &[32; 300]),
        ("retry", &[10_000]),
        ("chacha20", &[300_000]),
    ] {
        Asker::play(case, lengths, |_, _| {});
        report("server", case);
    }
}

#[test]
fn quinn_updates_keys_with_hq() {
    let update = |_: &Endpoint, connection: &Connection| connection.force_key_update();
    let asker = Asker::play("keyupdate", &[1000, 1_000_000], update);
    assert!(asker.places.secrets("server", "SERVER_TRAFFIC_SECRET_1") >= 1);
    report("server", "keyupdate");
}

#[test]
fn quinn_moves_to_another_port_and_hq_follows() {
    let rebind = |endpoint: &Endpoint, _: &Connection| {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        endpoint.rebind(socket).expect("quinn can use it");
    };
    Asker::play("rebind-port", &[1000, 1_000_000], rebind);
    report("server", "rebind-port");
}

#[test]
fn quinn_asks_hq_before_the_handshake_is_complete() {
    let asker = Asker::new("zerortt");
    let names = asker.places.files(&[1000, 2000, 3000]);
    let first = asker.connect();
    asker.runtime.block_on(async {
        let first = first.await.expect("the handshake completes");
        asker.fetch(&first, &names[..1]).await;
        first.close(0_u32.into(), b"");
        let Ok((again, accepted)) = asker.connect().into_0rtt() else { panic!("there is no ticket") };
        asker.fetch(&again, &names[1..]).await;
        assert!(accepted.await, "the server did not take what was asked early");
        again.close(0_u32.into(), b"");
        asker.endpoint.wait_idle().await;
    });
    assert_eq!(asker.places.secrets("server", "CLIENT_TRAFFIC_SECRET_0"), 2);
    report("server", "zerortt");
}
