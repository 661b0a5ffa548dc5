//! Against quinn, what asks for sockets that tell ECN marks, or for other addresses; all else is in
//! `tests/interop_quinn.rs`.

use std::net::SocketAddr;
use std::sync::Arc;

use foreign::{Fetch, Files, Identity, Ours, QuinnServer, quinn_fetch, report};
use peregrine::{ClientConfig, ConnectionHandle, EndpointConfig, ServerConfig};

const MIB: u64 = 1 << 20;

fn at(address: &str) -> SocketAddr {
    address.parse().expect("an address")
}

/// Our client fetches files of these lengths from a quinn server and does `midway` when half has come.
fn fetch(address: &str, lengths: &[u64], midway: impl FnOnce(&mut Ours, ConnectionHandle)) {
    let identity = Identity::fresh();
    let server = QuinnServer::start(&identity, at(address));
    let mut ours = Ours::at(EndpointConfig::client(), at(address));
    let handle = ours.connect(server.address, ClientConfig::new(Arc::new(identity.client())));
    ours.connected();
    ours.confirmed(handle);
    let mut fetch = Fetch::begin(&mut ours, handle, lengths);
    fetch.until(&mut ours, lengths.iter().sum::<u64>() / 2);
    midway(&mut ours, handle);
    fetch.finish(&mut ours);
    ours.close(handle);
}

/// A quinn client fetches files of these lengths from our server, after the first from `elsewhere`.
fn serve(address: &str, lengths: &[u64], elsewhere: Option<&str>) -> Files {
    let identity = Identity::fresh();
    let config = EndpointConfig::server(Arc::new(ServerConfig::new(Arc::new(identity.server()))));
    let mut ours = Ours::at(config, at(address));
    let client = quinn_fetch(&identity, ours.address(), lengths, elsewhere.map(at));
    let mut files = Files::default();
    let mut deal = |ours: &mut Ours, handle, event: &_| files.on_event(ours, handle, event);
    ours.go_on("quinn was done", &mut deal, |_| client.is_finished());
    client.join().expect("every file was right");
    assert_eq!((files.connections, files.served), (1, lengths.len() as u64));
    files
}

#[test]
fn our_clients_marks_arrive() {
    fetch("127.0.0.1:0", &[4 * MIB], |ours, handle| {
        let path = ours.connection(handle).path();
        assert!(path.carries_ecn, "{path:?}");
    });
    report("quinn", "client", "ecn", "");
}

#[test]
fn our_client_speaks_ipv6() {
    fetch("[::1]:0", &[MIB], |_, _| {});
    report("quinn", "client", "ipv6", "");
}

#[test]
fn our_client_moves_to_another_address() {
    fetch("127.0.0.1:0", &[4 * MIB], |ours, handle| {
        let socket = ours.bind(at("127.0.0.2:0"));
        let (now, local) = (ours.now(), ours.local(socket));
        ours.connection(handle).rebind(now, local).expect("the client may move");
    });
    report("quinn", "client", "rebind-addr", "");
}

#[test]
fn our_servers_marks_arrive_and_its_datagrams_grow() {
    let files = serve("127.0.0.1:0", &[4 * MIB], None);
    let path = files.path.expect("a file went out");
    assert!(path.carries_ecn, "{path:?}");
    report("quinn", "server", "ecn", "");
    assert_eq!(path.datagram_size, 1452, "{path:?}");
    report("quinn", "server", "mtu", "1452 bytes");
}

#[test]
fn our_server_speaks_ipv6() {
    serve("[::1]:0", &[MIB], None);
    report("quinn", "server", "ipv6", "");
}

#[test]
fn our_server_follows_a_client_to_another_address() {
    let files = serve("127.0.0.1:0", &[MIB, MIB], Some("127.0.0.2:0"));
    assert_eq!(files.moves, 1);
    report("quinn", "server", "rebind-addr", "");
    report("quinn", "server", "connectionmigration", "");
}
