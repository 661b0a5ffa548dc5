//! Early data between peers of several versions.

use std::time::Duration;

use peregrine::EarlyData;
use peregrine::Version::{V1, V2};

use crate::scene::{FIRST, SECOND, Scene, shapes, taking, usual, watch};
use sim::{Client, Verdict, ms, secs, tls};

/// A client that holds tickets of a server which goes over to version 2 as soon as it can.
fn knows_a_server_of_version_2() -> Scene {
    let server_tls = tls::server();
    let config = taking(&server_tls, usual()).versions(&[V2, V1]).expect("versions");
    Scene::of(server_tls, config)
}

#[test]
fn a_ticket_of_another_version_is_not_shown() {
    let mut scene = Scene::usual();
    let config = scene.config().first_version(V2).expect("versions");
    let conn = scene.connect(FIRST, config, Client::echoes(1, Duration::ZERO));
    scene.world.run_well(secs(1));
    assert_eq!(scene.early(conn), []);
    assert!(!scene.world.connection(conn).expect("open").is_resumed());
}

#[test]
fn a_ticket_is_of_the_version_that_was_negotiated() {
    let mut scene = knows_a_server_of_version_2();
    let seen = watch(&mut scene.world, |_| Verdict::Pass);
    let config = scene.config().first_version(V2).expect("versions");
    let conn = scene.connect(FIRST, config, Client::echoes(1, Duration::ZERO));
    scene.world.run_well(secs(1));
    assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Accepted]);
    assert_eq!((scene.took(conn), &shapes(&seen)[0][..]), (vec![ms(20)], "Initial+ZeroRtt"));
}

#[test]
fn early_data_is_of_the_first_version_whatever_is_negotiated() {
    let mut scene = Scene::usual();
    let config = taking(&scene.server_tls, usual()).versions(&[V2, V1]).expect("versions");
    scene.world.server_with(SECOND, config);
    let config = scene.config();
    let conn = scene.connect(SECOND, config, Client::upload(40_000));
    scene.world.run_well(secs(2));
    assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Accepted]);
    assert_eq!(scene.world.connection(conn).expect("open").version(), V2);
}

#[test]
fn early_data_to_a_server_of_another_version_is_sent_after_the_handshake() {
    let mut scene = Scene::usual();
    let config = taking(&scene.server_tls, usual()).versions(&[V2]).expect("versions");
    scene.world.server_with(SECOND, config);
    let config = scene.config();
    let conn = scene.connect(SECOND, config, Client::upload(5_000));
    scene.world.run_well(secs(2));
    assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Rejected]);
    assert_eq!(scene.took(conn), [ms(60)], "for another version, the handshake, and the data");
}

#[test]
fn a_client_that_begins_in_no_version_sends_early_data_when_it_begins_again() {
    let mut scene = Scene::usual();
    let seen = watch(&mut scene.world, |_| Verdict::Pass);
    let config = scene.config().grease_version();
    let conn = scene.connect(FIRST, config, Client::downloads(1, 1000));
    assert_eq!((scene.early(conn), seen.borrow().len()), (vec![], 1));
    scene.world.run_well(secs(1));
    assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Accepted]);
    assert_eq!((scene.took(conn), &shapes(&seen)[1][..]), (vec![ms(20)], "Initial+ZeroRtt"));
}
