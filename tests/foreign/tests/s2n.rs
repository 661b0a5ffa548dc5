//! Against s2n-quic, which speaks version 1 and its core: in both roles.

use std::sync::Arc;

use foreign::{Fetch, Files, Identity, Ours, S2nServer, report, s2n_fetch, unsupported};
use peregrine::{ClientConfig, EndpointConfig, ServerConfig, TransportConfig};
use rustls::crypto::ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256;

const MIB: u64 = 1 << 20;

fn our_client(identity: &Identity) -> ClientConfig {
    ClientConfig::new(Arc::new(identity.client()))
}

/// Our client fetches files of these lengths from an s2n-quic server and does `midway` when half has come.
fn fetch(
    case: &str,
    lengths: &[u64],
    retry: bool,
    midway: impl FnOnce(&mut Ours, peregrine::ConnectionHandle),
) {
    let identity = Identity::fresh();
    let server = S2nServer::start(&identity, "127.0.0.1:0", retry);
    let mut ours = Ours::client();
    let handle = ours.connect(server.address, our_client(&identity));
    ours.connected();
    ours.confirmed(handle);
    let mut fetch = Fetch::begin(&mut ours, handle, lengths);
    fetch.until(&mut ours, lengths.iter().sum::<u64>() / 2);
    midway(&mut ours, handle);
    fetch.finish(&mut ours);
    ours.close(handle);
    report("s2n-quic", "client", case, "");
}

/// An s2n-quic client fetches files of these lengths from our server; what was seen of it.
fn serve(config: EndpointConfig, at: &str, identity: &Identity, lengths: &[u64]) -> Files {
    let mut ours = Ours::at(config, at.parse().expect("an address"));
    let client = s2n_fetch(identity, ours.address(), lengths);
    let mut files = Files::default();
    let mut deal = |ours: &mut Ours, handle, event: &_| files.on_event(ours, handle, event);
    ours.go_on("s2n-quic was done", &mut deal, |_| client.is_finished());
    client.join().expect("every file was right");
    assert_eq!((files.connections, files.served), (1, lengths.len() as u64));
    files
}

fn our_server(identity: &Identity) -> EndpointConfig {
    EndpointConfig::server(Arc::new(ServerConfig::new(Arc::new(identity.server()))))
}

#[test]
fn our_client_shakes_hands() {
    fetch("handshake", &[1000], false, |_, _| {});
}

#[test]
fn our_client_fetches_much() {
    fetch("transfer", &[2 * MIB, 3 * MIB, 5 * MIB], false, |_, _| {});
}

#[test]
fn our_client_fetches_many() {
    fetch("multiplexing", &[32; 500], false, |_, _| {});
}

#[test]
fn our_client_obeys_a_retry() {
    fetch("retry", &[1000], true, |ours, handle| {
        assert_eq!(ours.connection(handle).stats().retries, 1);
    });
}

#[test]
fn our_client_speaks_chacha20() {
    let identity = Identity::fresh();
    let server = S2nServer::start(&identity, "127.0.0.1:0", false);
    let mut ours = Ours::client();
    let tls = identity.client_with(vec![TLS13_CHACHA20_POLY1305_SHA256]);
    let handle = ours.connect(server.address, ClientConfig::new(Arc::new(tls)));
    ours.connected();
    Fetch::begin(&mut ours, handle, &[MIB]).finish(&mut ours);
    report("s2n-quic", "client", "chacha20", "");
}

#[test]
fn our_client_changes_its_port() {
    fetch("rebind-port", &[4 * MIB], false, |ours, _| ours.change_port());
}

#[test]
fn our_client_updates_its_keys() {
    fetch("keyupdate", &[4 * MIB], false, |ours, handle| {
        let now = ours.now();
        ours.connection(handle).update_keys(now).expect("the keys may be updated");
    });
}

#[test]
fn our_client_moves_to_another_address() {
    fetch("connectionmigration", &[4 * MIB], false, |ours, handle| {
        let socket = ours.bind("127.0.0.2:0".parse().expect("an address"));
        let (now, local) = (ours.now(), ours.local(socket));
        ours.connection(handle).rebind(now, local).expect("the client may move");
    });
    report("s2n-quic", "client", "rebind-addr", "");
}

#[test]
fn our_client_goes_back_to_a_version_that_the_server_speaks() {
    let identity = Identity::fresh();
    let server = S2nServer::start(&identity, "127.0.0.1:0", false);
    let mut ours = Ours::client();
    let handle = ours.connect(server.address, our_client(&identity).grease_version());
    ours.connected();
    Fetch::begin(&mut ours, handle, &[MIB]).finish(&mut ours);
    report("s2n-quic", "client", "versionnegotiation", "");
}

#[test]
fn our_clients_marks_arrive() {
    fetch("ecn", &[4 * MIB], false, |ours, handle| {
        let path = ours.connection(handle).path();
        assert!(path.carries_ecn, "{path:?}");
    });
}

#[test]
fn our_client_speaks_ipv6() {
    let identity = Identity::fresh();
    let server = S2nServer::start(&identity, "[::1]:0", false);
    let mut ours = Ours::at(EndpointConfig::client(), "[::1]:0".parse().expect("an address"));
    let handle = ours.connect(server.address, our_client(&identity));
    ours.connected();
    Fetch::begin(&mut ours, handle, &[MIB]).finish(&mut ours);
    report("s2n-quic", "client", "ipv6", "");
}

#[test]
fn our_server_shakes_hands() {
    let identity = Identity::fresh();
    serve(our_server(&identity), "127.0.0.1:0", &identity, &[1000]);
    report("s2n-quic", "server", "handshake", "");
}

#[test]
fn our_server_serves_much() {
    let identity = Identity::fresh();
    serve(our_server(&identity), "127.0.0.1:0", &identity, &[2 * MIB, 3 * MIB, 5 * MIB]);
    report("s2n-quic", "server", "transfer", "");
}

#[test]
fn our_server_serves_many() {
    let identity = Identity::fresh();
    serve(our_server(&identity), "127.0.0.1:0", &identity, &[32; 500]);
    report("s2n-quic", "server", "multiplexing", "");
}

#[test]
fn our_server_asks_for_a_proof() {
    let identity = Identity::fresh();
    serve(our_server(&identity).half_open_limit(0), "127.0.0.1:0", &identity, &[1000]);
    report("s2n-quic", "server", "retry", "");
}

#[test]
fn our_server_speaks_chacha20() {
    let identity = Identity::fresh();
    let tls = identity.server_with(vec![TLS13_CHACHA20_POLY1305_SHA256]);
    let config = EndpointConfig::server(Arc::new(ServerConfig::new(Arc::new(tls))));
    serve(config, "127.0.0.1:0", &identity, &[MIB]);
    report("s2n-quic", "server", "chacha20", "");
}

#[test]
fn our_server_updates_its_keys_again_and_again() {
    let identity = Identity::fresh();
    let transport = TransportConfig::builder().key_update_after(500).build().expect("the settings can be");
    let server = ServerConfig::new(Arc::new(identity.server())).transport(Arc::new(transport));
    let config = EndpointConfig::server(Arc::new(server));
    let files = serve(config, "127.0.0.1:0", &identity, &[64 * MIB]);
    assert!(files.key_updates > 1, "{} key updates", files.key_updates);
    report("s2n-quic", "server", "keyupdate", &format!("{} updates", files.key_updates));
}

#[test]
fn our_servers_marks_arrive_and_its_datagrams_grow() {
    let identity = Identity::fresh();
    let files = serve(our_server(&identity), "127.0.0.1:0", &identity, &[4 * MIB]);
    let path = files.path.expect("a file went out");
    assert!(path.carries_ecn, "{path:?}");
    report("s2n-quic", "server", "ecn", "");
    // More, so that the search comes to its end.
    let files = serve(our_server(&identity), "127.0.0.1:0", &identity, &[32 * MIB]);
    let path = files.path.expect("a file went out");
    assert_eq!(path.datagram_size, 1452, "{path:?}");
    report("s2n-quic", "server", "mtu", "1452 bytes");
}

#[test]
fn our_server_speaks_ipv6() {
    let identity = Identity::fresh();
    serve(our_server(&identity), "[::1]:0", &identity, &[MIB]);
    report("s2n-quic", "server", "ipv6", "");
}

#[test]
fn what_s2n_quic_does_not_do_is_said() {
    for role in ["client", "server"] {
        for case in ["v2", "resumption", "zerortt", "datagram"] {
            unsupported("s2n-quic", role, case, "not in its stable interface");
        }
    }
    unsupported("s2n-quic", "server", "versionnegotiation", "its client speaks version 1 alone");
}
