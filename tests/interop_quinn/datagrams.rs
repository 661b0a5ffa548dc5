//! Unreliable datagrams of every length, there and back; and the search for how long they may be.

use std::collections::BTreeSet;

use peregrine::{ConnectionEvent, Event};
use quinn::{Connection, ConnectionError, Endpoint};

use crate::pair::{Pair, with_quinn_client, with_quinn_server};

/// What quinn takes unless it is told otherwise.
const QUINN_TAKES: u16 = 1472;

/// quinn sends back what it gets.
async fn echoes(_: Endpoint, connection: Connection) -> ConnectionError {
    loop {
        match connection.read_datagram().await {
            Ok(data) => connection.send_datagram(data).expect("what fitted once fits again"),
            Err(error) => return error,
        }
    }
}

fn all_come_back(mut pair: Pair<ConnectionError>) {
    let mut datagrams = pair.host.connection(pair.handle).datagrams();
    // quinn begins with datagrams of 1200 bytes, whatever ours have grown to.
    let max = datagrams.max_size().expect("quinn takes datagrams").min(1100);
    let mut missing: BTreeSet<Vec<u8>> =
        (0..=40).map(|number| vec![number; max * usize::from(number) / 40]).collect();
    missing.iter().for_each(|data| assert_eq!(datagrams.send(data), Ok(())));
    pair.host.await_event("all datagrams have come back", |host, event| {
        if *event == Event::Connection(pair.handle, ConnectionEvent::DatagramReceived) {
            let mut datagrams = host.connection(pair.handle).datagrams();
            while let Some(data) = datagrams.recv() {
                assert!(missing.remove(&data[..]), "{} bytes that were not sent", data.len());
            }
        }
        missing.is_empty().then_some(())
    });
    pair.close();
}

#[test]
fn datagrams_of_our_client_come_back_from_a_quinn_server() {
    all_come_back(with_quinn_server(echoes));
}

#[test]
fn datagrams_of_our_server_come_back_from_a_quinn_client() {
    all_come_back(with_quinn_client(echoes));
}

#[test]
fn our_search_for_larger_datagrams_ends_with_what_quinn_takes() {
    for mut pair in [with_quinn_server(echoes), with_quinn_client(echoes)] {
        let handle = pair.handle;
        let size = |connection: &peregrine::Connection| connection.path().datagram_size;
        pair.host.await_that("the search is over", |endpoint| {
            endpoint.connection(handle).map(size) == Some(QUINN_TAKES)
        });
        pair.close();
    }
}
