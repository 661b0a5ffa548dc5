//! Against aioquic, which speaks both versions, resumes, updates keys and moves: in both roles.

use std::sync::Arc;
use std::time::Duration;

use foreign::{Aioquic, AioquicServer, Fetch, Files, Identity, Ours, report, unsupported};
use peregrine::{
    ClientConfig, ConnectionEvent, ConnectionHandle, DropReason, EarlyData, EndpointConfig, ServerConfig,
    TransportConfig, Version,
};
use rustls::crypto::ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256;

const MIB: u64 = 1 << 20;

/// A transport that takes datagrams, and whose client is not silent for long: a server that does not hear from a new
/// address does not know of it.
fn transport() -> Arc<TransportConfig> {
    let builder = TransportConfig::builder()
        .datagram_receive_buffer(Some(1 << 16))
        .keep_alive(Some(Duration::from_millis(100)));
    Arc::new(builder.build().expect("the settings can be"))
}

fn our_client(identity: &Identity) -> ClientConfig {
    ClientConfig::new(Arc::new(identity.client())).transport(transport())
}

fn our_server(identity: &Identity) -> EndpointConfig {
    let server = ServerConfig::new(Arc::new(identity.server())).transport(transport());
    EndpointConfig::server(Arc::new(server))
}

/// Whether aioquic saw this.
#[track_caller]
fn saw(seen: &str, what: &str) {
    assert!(seen.split(' ').any(|word| word == what), "aioquic saw {seen}, not {what}");
}

/// Our client connects to an aioquic server.
fn connect(server: &AioquicServer, config: ClientConfig) -> (Ours, ConnectionHandle) {
    let at = if server.address.is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" };
    let mut ours = Ours::at(EndpointConfig::client(), at.parse().expect("an address"));
    let handle = ours.connect(server.address, config);
    ours.connected();
    ours.confirmed(handle);
    (ours, handle)
}

/// Our client fetches files of these lengths and does `midway` when half has come; what aioquic saw.
fn fetch(
    server: &mut AioquicServer,
    config: ClientConfig,
    lengths: &[u64],
    midway: impl FnOnce(&mut Ours, ConnectionHandle),
) -> String {
    let (mut ours, handle) = connect(server, config);
    let mut fetch = Fetch::begin(&mut ours, handle, lengths);
    fetch.until(&mut ours, lengths.iter().sum::<u64>() / 2);
    midway(&mut ours, handle);
    fetch.finish(&mut ours);
    ours.close(handle);
    server.seen()
}

/// An aioquic client does as its options say; what it saw, and what we saw.
fn serve(
    config: EndpointConfig,
    at: &str,
    identity: &Identity,
    options: &[&str],
) -> (Vec<String>, Files, Ours) {
    let mut ours = Ours::at(config, at.parse().expect("an address"));
    let mut client = Aioquic::client(identity, ours.address(), options);
    let mut files = Files::default();
    let deal = |ours: &mut Ours, handle, event: &ConnectionEvent| {
        if *event == ConnectionEvent::DatagramReceived {
            let mut datagrams = ours.connection(handle).datagrams();
            while let Some(datagram) = datagrams.recv() {
                datagrams.send(&datagram).expect("a small datagram fits");
            }
        }
        files.on_event(ours, handle, event);
    };
    ours.go_on("aioquic was done", deal, |_| client.is_done());
    (client.seen(), files, ours)
}

// ---- our client -------------------------------------------------------------------------------

#[test]
fn our_client_shakes_hands() {
    let identity = Identity::fresh();
    let mut server = AioquicServer::start(&identity, &[]);
    saw(&fetch(&mut server, our_client(&identity), &[1000], |_, _| {}), "version=1");
    report("aioquic", "client", "handshake", "");
}

#[test]
fn our_client_fetches_much() {
    let identity = Identity::fresh();
    let mut server = AioquicServer::start(&identity, &[]);
    fetch(&mut server, our_client(&identity), &[MIB, 2 * MIB], |_, _| {});
    report("aioquic", "client", "transfer", "");
}

#[test]
fn our_client_fetches_many() {
    let identity = Identity::fresh();
    let mut server = AioquicServer::start(&identity, &[]);
    fetch(&mut server, our_client(&identity), &[32; 300], |_, _| {});
    report("aioquic", "client", "multiplexing", "");
}

#[test]
fn our_client_obeys_a_retry() {
    let identity = Identity::fresh();
    let mut server = AioquicServer::start(&identity, &["--retry"]);
    let retried = |ours: &mut Ours, handle| assert_eq!(ours.connection(handle).stats().retries, 1);
    fetch(&mut server, our_client(&identity), &[1000], retried);
    report("aioquic", "client", "retry", "");
}

#[test]
fn our_client_speaks_chacha20() {
    let identity = Identity::fresh();
    let mut server = AioquicServer::start(&identity, &["--cipher", "CHACHA20_POLY1305_SHA256"]);
    let tls = identity.client_with(vec![TLS13_CHACHA20_POLY1305_SHA256]);
    fetch(&mut server, ClientConfig::new(Arc::new(tls)), &[MIB], |_, _| {});
    report("aioquic", "client", "chacha20", "");
}

#[test]
fn our_client_changes_its_port() {
    let identity = Identity::fresh();
    let mut server = AioquicServer::start(&identity, &[]);
    let seen = fetch(&mut server, our_client(&identity), &[2 * MIB], |ours, _| ours.change_port());
    saw(&seen, "paths=2");
    report("aioquic", "client", "rebind-port", "");
}

/// Our client's second connection to a server that gave it a ticket; what aioquic saw.
fn fetch_again(early: bool) -> String {
    let identity = Identity::fresh();
    let mut server = AioquicServer::start(&identity, &[]);
    let config = our_client(&identity).early_data(early);
    saw(&fetch(&mut server, config.clone(), &[1000], |_, _| {}), "resumed=0");
    let mut ours = Ours::client();
    let handle = ours.connect(server.address, config);
    if early {
        ours.until("the client could send", |_, _, event| {
            (*event == ConnectionEvent::EarlyData(EarlyData::Offered)).then_some(())
        });
    } else {
        ours.connected();
    }
    Fetch::begin(&mut ours, handle, &[100_000]).finish(&mut ours);
    assert!(ours.connection(handle).is_resumed());
    assert_eq!(ours.connection(handle).early_data(), early.then_some(EarlyData::Accepted));
    ours.close(handle);
    server.seen()
}

#[test]
fn our_client_resumes() {
    let seen = fetch_again(false);
    saw(&seen, "resumed=1");
    saw(&seen, "early=0");
    report("aioquic", "client", "resumption", "");
}

#[test]
fn our_client_sends_before_the_handshake() {
    let seen = fetch_again(true);
    saw(&seen, "resumed=1");
    saw(&seen, "early=1");
    report("aioquic", "client", "zerortt", "");
}

#[test]
fn our_client_updates_its_keys() {
    let identity = Identity::fresh();
    let mut server = AioquicServer::start(&identity, &[]);
    let seen = fetch(&mut server, our_client(&identity), &[2 * MIB], |ours, handle| {
        let now = ours.now();
        ours.connection(handle).update_keys(now).expect("the keys may be updated");
    });
    saw(&seen, "phase=1");
    report("aioquic", "client", "keyupdate", "");
}

#[test]
fn our_client_moves_to_another_address() {
    let identity = Identity::fresh();
    let mut server = AioquicServer::at("127.0.0.1", &identity, &[]);
    let seen = fetch(&mut server, our_client(&identity), &[2 * MIB], |ours, handle| {
        let socket = ours.bind("127.0.0.2:0".parse().expect("an address"));
        let (now, local) = (ours.now(), ours.local(socket));
        ours.connection(handle).rebind(now, local).expect("the client may move");
    });
    saw(&seen, "paths=2");
    report("aioquic", "client", "rebind-addr", "");
    report("aioquic", "client", "connectionmigration", "");
}

#[test]
fn our_client_begins_with_version_2() {
    let identity = Identity::fresh();
    let mut server = AioquicServer::start(&identity, &["--versions", "2"]);
    let config = our_client(&identity).versions(&[Version::V2]).expect("a version");
    saw(&fetch(&mut server, config, &[MIB], |_, _| {}), "version=2");
}

#[test]
fn our_client_goes_over_to_version_2() {
    let identity = Identity::fresh();
    let mut server = AioquicServer::start(&identity, &["--versions", "2,1"]);
    let config = our_client(&identity).versions(&[Version::V2, Version::V1]).expect("two versions");
    saw(&fetch(&mut server, config, &[MIB], |_, _| {}), "version=2");
    report("aioquic", "client", "v2", "");
}

#[test]
fn our_client_goes_back_to_a_version_that_the_server_speaks() {
    let identity = Identity::fresh();
    let mut server = AioquicServer::start(&identity, &["--versions", "1"]);
    saw(&fetch(&mut server, our_client(&identity).grease_version(), &[MIB], |_, _| {}), "version=1");
    report("aioquic", "client", "versionnegotiation", "");
}

#[test]
fn our_client_speaks_ipv6() {
    let identity = Identity::fresh();
    let mut server = AioquicServer::at("::1", &identity, &[]);
    fetch(&mut server, our_client(&identity), &[MIB], |_, _| {});
    report("aioquic", "client", "ipv6", "");
}

#[test]
fn our_client_exchanges_datagrams() {
    let identity = Identity::fresh();
    let mut server = AioquicServer::start(&identity, &["--datagrams", "1"]);
    let (mut ours, handle) = connect(&server, our_client(&identity));
    ours.connection(handle).datagrams().send(b"hello").expect("the server takes datagrams");
    let echo = ours.until("an echo had come", |ours, handle, event| {
        let received = *event == ConnectionEvent::DatagramReceived;
        received.then(|| ours.connection(handle).datagrams().recv().expect("it can be received"))
    });
    assert_eq!(&echo[..], b"hello");
    ours.close(handle);
    saw(&server.seen(), "datagrams=1");
    report("aioquic", "client", "datagram", "");
}

// ---- our server -------------------------------------------------------------------------------

#[test]
fn our_server_shakes_hands() {
    let identity = Identity::fresh();
    let (seen, files, _) = serve(our_server(&identity), "127.0.0.1:0", &identity, &["--lengths", "1000"]);
    saw(&seen[0], "version=1");
    assert_eq!((files.connections, files.served), (1, 1));
    report("aioquic", "server", "handshake", "");
}

#[test]
fn our_server_serves_much() {
    let identity = Identity::fresh();
    let lengths = ["--lengths", "1000000,2000000"];
    let (_, files, _) = serve(our_server(&identity), "127.0.0.1:0", &identity, &lengths);
    assert_eq!(files.served, 2);
    report("aioquic", "server", "transfer", "");
}

#[test]
fn our_server_serves_many() {
    let identity = Identity::fresh();
    let lengths = vec!["32"; 300].join(",");
    let (_, files, _) = serve(our_server(&identity), "127.0.0.1:0", &identity, &["--lengths", &lengths]);
    assert_eq!((files.connections, files.served), (1, 300));
    report("aioquic", "server", "multiplexing", "");
}

#[test]
fn our_server_asks_for_a_proof() {
    let identity = Identity::fresh();
    let config = our_server(&identity).half_open_limit(0);
    let (_, files, ours) = serve(config, "127.0.0.1:0", &identity, &["--lengths", "1000"]);
    assert_eq!((files.connections, files.served), (1, 1));
    assert!(ours.endpoint.stats().dropped(DropReason::Unproved) > 0, "no Retry was sent");
    report("aioquic", "server", "retry", "");
}

#[test]
fn our_server_speaks_chacha20() {
    let identity = Identity::fresh();
    let options = ["--lengths", "1000000", "--cipher", "CHACHA20_POLY1305_SHA256"];
    let (_, files, _) = serve(our_server(&identity), "127.0.0.1:0", &identity, &options);
    assert_eq!(files.served, 1);
    report("aioquic", "server", "chacha20", "");
}

#[test]
fn our_server_speaks_ipv6() {
    let identity = Identity::fresh();
    serve(our_server(&identity), "[::1]:0", &identity, &["--lengths", "1000000", "--host", "::1"]);
    report("aioquic", "server", "ipv6", "");
}

#[test]
fn our_server_resumes() {
    let identity = Identity::fresh();
    let options = ["--lengths", "10000", "--again", "resume"];
    let (seen, files, _) = serve(our_server(&identity), "127.0.0.1:0", &identity, &options);
    saw(&seen[1], "resumed=1");
    assert_eq!((files.connections, files.served), (2, 2));
    report("aioquic", "server", "resumption", "");
}

#[test]
fn our_server_takes_data_before_the_handshake() {
    let identity = Identity::fresh();
    let server = ServerConfig::new(Arc::new(identity.server())).early_data(true);
    let options = ["--lengths", "10000", "--again", "early"];
    let config = EndpointConfig::server(Arc::new(server));
    let (seen, files, _) = serve(config, "127.0.0.1:0", &identity, &options);
    saw(&seen[1], "resumed=1");
    saw(&seen[1], "early=1");
    assert_eq!((files.connections, files.served), (2, 2));
    report("aioquic", "server", "zerortt", "");
}

#[test]
fn our_server_follows_new_keys() {
    let identity = Identity::fresh();
    let options = ["--lengths", "3000000", "--key-update"];
    let (seen, files, _) = serve(our_server(&identity), "127.0.0.1:0", &identity, &options);
    saw(&seen[0], "phase=1");
    assert_eq!(files.served, 1);
    report("aioquic", "server", "keyupdate", "");
}

#[test]
fn our_server_follows_a_new_port() {
    let identity = Identity::fresh();
    let options = ["--lengths", "3000000", "--rebind"];
    let (_, files, _) = serve(our_server(&identity), "127.0.0.1:0", &identity, &options);
    assert_eq!((files.connections, files.moves, files.served), (1, 1, 1));
    report("aioquic", "server", "rebind-port", "");
}

#[test]
fn our_server_follows_a_new_address() {
    let identity = Identity::fresh();
    let options = ["--lengths", "3000000", "--rebind", "--elsewhere", "127.0.0.2"];
    let (_, files, _) = serve(our_server(&identity), "127.0.0.1:0", &identity, &options);
    assert_eq!((files.connections, files.moves, files.served), (1, 1, 1));
    report("aioquic", "server", "rebind-addr", "");
}

#[test]
fn our_server_follows_a_client_that_moves() {
    let identity = Identity::fresh();
    let options = ["--lengths", "3000000", "--migrate"];
    let (_, files, _) = serve(our_server(&identity), "127.0.0.1:0", &identity, &options);
    assert_eq!((files.connections, files.moves, files.served), (1, 1, 1));
    report("aioquic", "server", "connectionmigration", "");
}

#[test]
fn our_server_goes_over_to_version_2() {
    let identity = Identity::fresh();
    let server = ServerConfig::new(Arc::new(identity.server())).versions(&[Version::V2, Version::V1]);
    let config = EndpointConfig::server(Arc::new(server.expect("two versions")));
    let options = ["--lengths", "1000000", "--versions", "2,1", "--original", "1"];
    let (seen, files, _) = serve(config, "127.0.0.1:0", &identity, &options);
    saw(&seen[0], "version=2");
    assert_eq!(files.served, 1);
    report("aioquic", "server", "v2", "");
}

#[test]
fn our_server_speaks_version_2_from_the_first() {
    let identity = Identity::fresh();
    let options = ["--lengths", "1000000", "--versions", "2"];
    let (seen, files, _) = serve(our_server(&identity), "127.0.0.1:0", &identity, &options);
    saw(&seen[0], "version=2");
    assert_eq!(files.served, 1);
}

#[test]
fn our_server_says_which_versions_it_speaks() {
    let identity = Identity::fresh();
    let options = ["--lengths", "1000000", "--versions", "reserved,1"];
    let (_, files, _) = serve(our_server(&identity), "127.0.0.1:0", &identity, &options);
    assert_eq!((files.connections, files.served), (1, 1));
    report("aioquic", "server", "versionnegotiation", "");
}

#[test]
fn our_server_exchanges_datagrams() {
    let identity = Identity::fresh();
    let (seen, _, _) = serve(our_server(&identity), "127.0.0.1:0", &identity, &["--datagrams", "20"]);
    saw(&seen[0], "datagrams=20");
    report("aioquic", "server", "datagram", "");
}

#[test]
fn what_aioquic_does_not_do_is_said() {
    for role in ["client", "server"] {
        unsupported("aioquic", role, "ecn", "its sockets do not tell the marks");
    }
}
