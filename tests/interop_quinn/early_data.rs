//! Resumption and 0-RTT: our early data at quinn, quinn's at us; taken, and not taken.

use std::net::SocketAddr;
use std::sync::Arc;

use peregrine::{ConnectionEvent, ConnectionHandle, EarlyData, EndpointConfig, Event};

use crate::certificates::Identity;
use crate::driver::Host;
use crate::foreign::{Foreign, client_config, connect, exchange, server_config};
use crate::load::{Exchange, Load};
use crate::pair::{close, connected, no_talk, our_client, our_server};

fn no_talk_but_tokens(event: &ConnectionEvent) {
    if !matches!(event, ConnectionEvent::NewToken(_)) {
        no_talk(event);
    }
}

/// A client of ours that has exchanged a little with a quinn server once, and so has its ticket.
fn acquainted(host: &mut Host, quinn: SocketAddr, tls: &rustls::ClientConfig) {
    let handle = host.connect(quinn, our_client(tls.clone()));
    connected(host);
    Exchange::run(host, handle, Load::SMALL, no_talk_but_tokens);
    close(host, handle);
}

/// Connects and exchanges a little without waiting for the handshake; returns what was said of early data.
fn exchanges_early(
    host: &mut Host,
    quinn: SocketAddr,
    tls: &rustls::ClientConfig,
) -> (ConnectionHandle, Vec<EarlyData>) {
    let handle = host.connect(quinn, our_client(tls.clone()).early_data(true));
    let (mut said, mut is_connected) = (Vec::new(), false);
    Exchange::begin(host, handle, Load::SMALL).finish(host, |event| match event {
        ConnectionEvent::EarlyData(early) => said.push(*early),
        ConnectionEvent::Connected { .. } => is_connected = true,
        other => no_talk_but_tokens(other),
    });
    assert!(is_connected);
    (handle, said)
}

/// A quinn server that takes early data, or not, of so many connections, one after the other.
fn quinn_server(identity: &Identity, takes: bool, connections: usize) -> Foreign<()> {
    let mut tls = identity.server();
    tls.max_early_data_size = if takes { u32::MAX } else { 0 };
    Foreign::server(server_config(tls), move |endpoint| async move {
        for _ in 0..connections {
            let connecting = endpoint.accept().await.expect("the endpoint is open").accept();
            let (connection, _) = connecting
                .expect("the first Initial is sound")
                .into_0rtt()
                .unwrap_or_else(|_| panic!("a server can always speak early"));
            exchange(&connection, Load::SMALL).await;
            connection.closed().await;
        }
    })
}

#[test]
fn a_quinn_server_takes_our_early_data() {
    let identity = Identity::fresh();
    let quinn = quinn_server(&identity, true, 3);
    let (mut host, tls) = (Host::client(), identity.client());
    acquainted(&mut host, quinn.address, &tls);
    for _ in 0..2 {
        let (handle, said) = exchanges_early(&mut host, quinn.address, &tls);
        assert_eq!(said, [EarlyData::Offered, EarlyData::Accepted]);
        assert!(host.connection(handle).is_resumed());
        close(&mut host, handle);
    }
    quinn.outcome(&mut host);
}

#[test]
fn a_quinn_server_that_has_forgotten_us_is_told_again() {
    let identity = Identity::fresh();
    let (mut host, tls) = (Host::client(), identity.client());
    let first = quinn_server(&identity, true, 1);
    acquainted(&mut host, first.address, &tls);
    first.outcome(&mut host);
    let second = quinn_server(&identity, true, 1);
    let (handle, said) = exchanges_early(&mut host, second.address, &tls);
    assert_eq!(said, [EarlyData::Offered, EarlyData::Rejected]);
    assert!(!host.connection(handle).is_resumed());
    close(&mut host, handle);
    second.outcome(&mut host);
}

#[test]
fn a_quinn_server_that_gives_no_promise_is_resumed_without_early_data() {
    let identity = Identity::fresh();
    let quinn = quinn_server(&identity, false, 2);
    let (mut host, tls) = (Host::client(), identity.client());
    acquainted(&mut host, quinn.address, &tls);
    let handle = host.connect(quinn.address, our_client(tls).early_data(true));
    connected(&mut host);
    assert!(host.connection(handle).is_resumed());
    Exchange::run(&mut host, handle, Load::SMALL, no_talk_but_tokens);
    close(&mut host, handle);
    quinn.outcome(&mut host);
}

/// A quinn client that exchanges a little twice; the second time it says something early, and whether that was taken.
fn early_quinn_client(identity: &Identity, to: SocketAddr) -> Foreign<bool> {
    let mut tls = identity.client();
    tls.enable_early_data = true;
    let config = client_config(tls);
    Foreign::client(quinn::EndpointConfig::default(), move |endpoint| async move {
        let connection = connect(&endpoint, to, config.clone()).await.expect("the handshake completes");
        exchange(&connection, Load::SMALL).await;
        connection.closed().await;
        let connecting = endpoint.connect_with(config, to, "localhost").expect("the configuration is sound");
        let (connection, accepted) = connecting.into_0rtt().unwrap_or_else(|_| panic!("a ticket"));
        let (mut early, _) = connection.open_bi().await.expect("we permit 100 streams");
        early.write_all(b"early").await.expect("within our limits");
        early.reset(0u32.into()).expect("the stream is open");
        let accepted = accepted.await;
        exchange(&connection, Load::SMALL).await;
        connection.closed().await;
        accepted
    })
}

#[test]
fn we_do_not_take_a_quinn_clients_early_data_without_the_switch() {
    let identity = Identity::fresh();
    // The tickets are of a configuration with the switch, which is then taken away.
    let tls = identity.server();
    let mut host = Host::server(our_server(tls.clone()).early_data(true));
    let quinn = early_quinn_client(&identity, host.address());
    let handle = connected(&mut host);
    Exchange::run(&mut host, handle, Load::SMALL, no_talk);
    close(&mut host, handle);
    host.lose_everything(EndpointConfig::server(Arc::new(our_server(tls))));
    let handle = connected(&mut host);
    assert!(host.connection(handle).is_resumed());
    assert_eq!(host.connection(handle).early_data(), None);
    Exchange::run(&mut host, handle, Load::SMALL, no_talk);
    close(&mut host, handle);
    assert!(!quinn.outcome(&mut host));
}

#[test]
fn we_take_a_quinn_clients_early_data() {
    let identity = Identity::fresh();
    let mut host = Host::server(our_server(identity.server()).early_data(true));
    let mut tls = identity.client();
    tls.enable_early_data = true;
    let (to, config) = (host.address(), client_config(tls));
    let quinn = Foreign::client(quinn::EndpointConfig::default(), move |endpoint| async move {
        let connection = connect(&endpoint, to, config.clone()).await.expect("the handshake completes");
        exchange(&connection, Load::SMALL).await;
        connection.closed().await;
        let connecting = endpoint.connect_with(config, to, "localhost").expect("the configuration is sound");
        let (connection, accepted) = connecting.into_0rtt().unwrap_or_else(|_| panic!("a ticket"));
        exchange(&connection, Load::SMALL).await;
        connection.closed().await;
        accepted.await
    });
    let handle = connected(&mut host);
    Exchange::run(&mut host, handle, Load::SMALL, no_talk);
    close(&mut host, handle);
    let handle = host.await_event("early data comes", |_, event| match event {
        Event::Connection(handle, ConnectionEvent::EarlyData(EarlyData::Accepted)) => Some(*handle),
        _ => None,
    });
    let mut is_connected = false;
    Exchange::run(&mut host, handle, Load::SMALL, |event| match event {
        ConnectionEvent::Connected { .. } => is_connected = true,
        other => no_talk(other),
    });
    assert!(is_connected && host.connection(handle).is_resumed());
    close(&mut host, handle);
    assert!(quinn.outcome(&mut host));
}
