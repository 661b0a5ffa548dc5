//! Where the two are: clients that say that they move, and servers that would rather be elsewhere.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

use peregrine::{ConnectionEvent, Local, PathError, PathEvent};
use quinn::EndpointConfig;
use quinn_proto::RandomConnectionIdGenerator;

use crate::certificates::Identity;
use crate::driver::Host;
use crate::foreign::{Foreign, accept, bind, client_config, connect, exchange, server_config};
use crate::load::{Exchange, Load};
use crate::pair::{Pair, close, connected, no_talk, our_client, our_server, with_quinn_server};

#[test]
fn a_quinn_server_follows_our_client_that_says_it_has_moved() {
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
    let now = pair.host.now();
    let moved = pair.host.connection(pair.handle).rebind(now, Local::default());
    assert_eq!(moved, Ok(()));
    let mut validated = 0;
    exchange.finish(&mut pair.host, |event| match event {
        ConnectionEvent::Path(PathEvent::Validated { .. }) => validated += 1,
        other => panic!("nothing but a validated path: {other:?}"),
    });
    assert_eq!(validated, 1);
    close(&mut pair.host, pair.handle);
    let there = pair.host.address();
    let (_, followed) = pair.quinn.outcome(&mut pair.host);
    assert_eq!(followed, there);
}

/// quinn listens everywhere and prefers another loopback address, but does not answer from there.
#[test]
fn our_client_stays_with_a_quinn_server_that_does_not_answer_from_where_it_would_rather_be() {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("there is a free port");
    let port = socket.local_addr().expect("a bound socket has an address").port();
    let identity = Identity::fresh();
    let mut config = server_config(identity.server());
    config.preferred_address_v4(Some(SocketAddrV4::new([127, 0, 0, 2].into(), port)));
    let quinn = Foreign::start(socket, EndpointConfig::default(), Some(config), |endpoint| async move {
        let connection = accept(&endpoint).await;
        exchange(&connection, Load::FULL).await;
        connection.closed().await
    });
    let mut host = Host::client();
    let home = (Ipv4Addr::LOCALHOST, port).into();
    host.connect(home, our_client(identity.client()));
    let handle = connected(&mut host);
    Exchange::run(&mut host, handle, Load::FULL, |event| match event {
        ConnectionEvent::Path(PathEvent::Failed { .. }) => {}
        other => panic!("nothing but a failed path: {other:?}"),
    });
    assert_eq!(host.connection(handle).remote(), home);
    Pair { host, handle, quinn }.close();
}

#[test]
fn a_quinn_client_stays_and_keeps_the_connection_id_that_came_with_a_preferred_address() {
    let identity = Identity::fresh();
    let there = SocketAddrV4::new([127, 0, 0, 2].into(), 4433);
    let config =
        our_server(identity.server()).preferred_v4(there, Local::default()).expect("an address that can be");
    let mut host = Host::server(config);
    let (to, config) = (host.address(), client_config(identity.client()));
    let quinn = Foreign::client(EndpointConfig::default(), move |endpoint| async move {
        let connection = connect(&endpoint, to, config).await.expect("the handshake completes");
        exchange(&connection, Load::MEDIUM).await;
        connection.closed().await
    });
    let handle = connected(&mut host);
    Exchange::run(&mut host, handle, Load::MEDIUM, no_talk);
    Pair { host, handle, quinn }.close();
}

#[test]
fn our_client_does_not_move_on_purpose_where_a_quinn_server_knows_it_by_its_address_alone() {
    let identity = Identity::fresh();
    let mut endpoint = EndpointConfig::default();
    endpoint.cid_generator(|| Box::new(RandomConnectionIdGenerator::new(0)));
    let config = server_config(identity.server());
    let quinn = Foreign::start(bind(), endpoint, Some(config), |endpoint| async move {
        let connection = accept(&endpoint).await;
        exchange(&connection, Load::SMALL).await;
        connection.closed().await
    });
    let mut host = Host::client();
    host.connect(quinn.address, our_client(identity.client()));
    let handle = connected(&mut host);
    let exchange = Exchange::begin(&mut host, handle, Load::SMALL);
    host.await_that("the handshake is confirmed", |endpoint| {
        endpoint.connections().all(|(_, c)| c.is_confirmed())
    });
    let now = host.now();
    let refused = host.connection(handle).rebind(now, Local::default());
    assert_eq!(refused, Err(PathError::NoConnectionId));
    exchange.finish(&mut host, no_talk);
    Pair { host, handle, quinn }.close();
}
