//! What changes under a connection: its keys, and where a client is.

use std::time::Duration;

use peregrine::{ConnectionEvent, ConnectionHandle, DropReason, Endpoint};
use quinn::{Connection, ConnectionError};

use crate::driver::Host;
use crate::foreign::{bind, exchange};
use crate::load::{Exchange, Load};
use crate::pair::{Pair, close, no_talk, with_quinn_client, with_quinn_server};

/// Exchanges everything while quinn changes its keys whenever it may.
async fn changes_keys(_: quinn::Endpoint, connection: Connection) -> ConnectionError {
    exchange_with_new_keys(&connection, Load::FULL).await;
    connection.closed().await
}

async fn exchange_with_new_keys(connection: &Connection, load: Load) {
    let change = async {
        loop {
            tokio::time::sleep(Duration::from_millis(2)).await;
            connection.force_key_update();
        }
    };
    tokio::select! {
        () = exchange(connection, load) => {}
        () = change => {}
    }
}

fn key_updates_are_followed(mut pair: Pair<ConnectionError>) {
    Exchange::run(&mut pair.host, pair.handle, Load::FULL, no_talk);
    let stats = pair.host.connection(pair.handle).stats();
    // How many there is time for is the machine's affair.
    assert!(stats.key_updates >= 1, "{stats:?}");
    assert_eq!(stats.dropped(DropReason::Undecryptable), 0);
    pair.close();
}

#[test]
fn our_client_follows_the_key_updates_of_a_quinn_server() {
    key_updates_are_followed(with_quinn_server(changes_keys));
}

#[test]
fn our_server_follows_the_key_updates_of_a_quinn_client() {
    key_updates_are_followed(with_quinn_client(changes_keys));
}

/// We change our keys whenever we may, with data and without; how often we began and followed.
fn our_key_updates_are_followed(mut pair: Pair<ConnectionError>) -> (u64, u64) {
    let handle = pair.handle;
    let exchange = Exchange::begin(&mut pair.host, handle, Load::MEDIUM);
    exchange.finish_while(&mut pair.host, no_talk, |host| update_keys(host, handle));
    let begun = |endpoint: &Endpoint| {
        endpoint.connection(handle).expect("the connection lives").stats().own_key_updates
    };
    let wanted = begun(&pair.host.endpoint) + 2;
    while begun(&pair.host.endpoint) < wanted {
        update_keys(&mut pair.host, handle);
        let mut turned = false;
        pair.host.await_that("quinn acknowledges", |_| std::mem::replace(&mut turned, true));
    }
    let stats = pair.host.connection(handle).stats();
    assert_eq!(stats.dropped(DropReason::Undecryptable), 0);
    let updates = (stats.own_key_updates, stats.key_updates);
    pair.close();
    updates
}

fn update_keys(host: &mut Host, handle: ConnectionHandle) {
    let now = host.now();
    // It may have to wait.
    let _ = host.connection(handle).update_keys(now);
}

fn our_key_updates_alone_are_followed(pair: Pair<ConnectionError>) {
    let (begun, followed) = our_key_updates_are_followed(pair);
    assert!(begun >= 2, "{begun}");
    assert_eq!(followed, 0);
}

#[test]
fn quinn_follows_our_key_updates() {
    our_key_updates_alone_are_followed(with_quinn_server(exchanges_a_part));
    our_key_updates_alone_are_followed(with_quinn_client(exchanges_a_part));
}

#[test]
fn key_updates_of_quinn_and_ours_may_cross() {
    our_key_updates_are_followed(with_quinn_server(changes_keys_in_part));
    our_key_updates_are_followed(with_quinn_client(changes_keys_in_part));
}

/// As [`changes_keys`], with less.
async fn changes_keys_in_part(_: quinn::Endpoint, connection: Connection) -> ConnectionError {
    exchange_with_new_keys(&connection, Load::MEDIUM).await;
    connection.closed().await
}

async fn exchanges_a_part(_: quinn::Endpoint, connection: Connection) -> ConnectionError {
    exchange(&connection, Load::MEDIUM).await;
    connection.closed().await
}

#[test]
fn our_server_follows_a_quinn_client_to_another_socket() {
    let next = bind();
    let there = next.local_addr().expect("a bound socket has an address");
    let mut pair = with_quinn_client(move |endpoint, connection| async move {
        let rebind = async {
            while connection.stats().udp_rx.bytes < Load::FULL.bytes / 4 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            endpoint.rebind(next).expect("quinn can use the socket");
        };
        tokio::join!(exchange(&connection, Load::FULL), rebind);
        connection.closed().await
    });
    let mut moves = Vec::new();
    Exchange::run(&mut pair.host, pair.handle, Load::FULL, |event| match event {
        ConnectionEvent::PeerMoved { from, to } => moves.push((*from, *to)),
        other => panic!("nothing but a move: {other:?}"),
    });
    assert_eq!(moves, [(pair.quinn.address, there)]);
    assert_eq!(pair.host.connection(pair.handle).remote(), there);
    pair.close();
}

#[test]
fn a_quinn_server_follows_our_client_to_another_socket() {
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
    exchange.finish(&mut pair.host, no_talk);
    close(&mut pair.host, pair.handle);
    let there = pair.host.address();
    let (_, followed) = pair.quinn.outcome(&mut pair.host);
    assert_eq!(followed, there);
}
