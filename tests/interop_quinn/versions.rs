//! Versions that quinn knows and such that it does not, and the bit that it lets us grease.
//!
//! quinn speaks version 1 and drafts of it, and says nothing of versions in its transport parameters.

use std::sync::Arc;

use peregrine::{ClientConfig, CloseReason, TransportConfig, Version};
use quinn::{ConnectionError, EndpointConfig};

use crate::certificates::Identity;
use crate::driver::Host;
use crate::foreign::{Foreign, accept, client_config, connect, server_config};
use crate::load::{Exchange, Load};
use crate::pair::{Pair, closed, connected, exchanges_a_little, no_talk, our_client, our_server};

/// A draft of version 1, which quinn speaks and we do not.
const DRAFT_29: u32 = 0xff00_001d;

/// Our client with these settings, at a quinn server.
fn our_client_with(change: impl FnOnce(ClientConfig) -> ClientConfig) -> Pair<ConnectionError> {
    let identity = Identity::fresh();
    let quinn = Foreign::server(server_config(identity.server()), |endpoint| async move {
        let connection = accept(&endpoint).await;
        exchanges_a_little(endpoint, connection).await
    });
    let mut host = Host::client();
    host.connect(quinn.address, change(our_client(identity.client())));
    let handle = connected(&mut host);
    Pair { host, handle, quinn }
}

fn ends_in_version_1(change: impl FnOnce(ClientConfig) -> ClientConfig) {
    let mut pair = our_client_with(change);
    assert_eq!(pair.host.connection(pair.handle).version(), Version::V1);
    Exchange::run(&mut pair.host, pair.handle, Load::SMALL, no_talk);
    pair.close();
}

#[test]
fn a_version_of_nobody_is_answered_and_our_client_goes_on_in_version_1() {
    ends_in_version_1(ClientConfig::grease_version);
}

#[test]
fn our_client_that_begins_with_version_2_goes_on_in_version_1() {
    ends_in_version_1(|config| {
        let config = config.versions(&[Version::V2, Version::V1]).expect("two versions");
        config.first_version(Version::V2).expect("one of them")
    });
}

#[test]
fn our_client_that_would_rather_speak_version_2_speaks_version_1() {
    ends_in_version_1(|config| config.versions(&[Version::V2, Version::V1]).expect("two versions"));
}

#[test]
fn our_client_that_speaks_version_2_alone_is_told_what_quinn_speaks() {
    let identity = Identity::fresh();
    let quinn = Foreign::server(server_config(identity.server()), |endpoint| async move {
        // Nobody comes; a moment later the endpoint goes.
        tokio::time::timeout(std::time::Duration::from_millis(500), endpoint.accept()).await.is_err()
    });
    let mut host = Host::client();
    host.connect(quinn.address, our_client(identity.client()).versions(&[Version::V2]).expect("a version"));
    let CloseReason::NoCommonVersion { offered } = closed(&mut host) else { panic!("a common version") };
    assert!(offered.contains(&1) && offered.contains(&DRAFT_29), "{offered:x?}");
    assert!(quinn.outcome(&mut host));
}

#[test]
fn a_quinn_client_that_speaks_a_draft_is_told_that_we_do_not() {
    let identity = Identity::fresh();
    let mut host = Host::server(our_server(identity.server()));
    let (to, mut config) = (host.address(), client_config(identity.client()));
    config.version(DRAFT_29);
    let quinn = Foreign::client(EndpointConfig::default(), move |endpoint| async move {
        connect(&endpoint, to, config).await.expect_err("we do not speak it")
    });
    assert_eq!(quinn.outcome(&mut host), ConnectionError::VersionMismatch);
    assert_eq!(host.endpoint.connections().count(), 0);
}

#[test]
fn a_quinn_client_speaks_version_1_with_a_server_that_would_rather_speak_version_2() {
    let identity = Identity::fresh();
    let preferring = our_server(identity.server()).versions(&[Version::V2, Version::V1]).expect("versions");
    let mut host = Host::server(preferring);
    let (to, config) = (host.address(), client_config(identity.client()));
    let quinn = Foreign::client(EndpointConfig::default(), move |endpoint| async move {
        let connection = connect(&endpoint, to, config).await.expect("the handshake completes");
        exchanges_a_little(endpoint, connection).await
    });
    let handle = connected(&mut host);
    assert_eq!(host.connection(handle).version(), Version::V1);
    Exchange::run(&mut host, handle, Load::SMALL, no_talk);
    Pair { host, handle, quinn }.close();
}

#[test]
fn the_quic_bit_is_greased_with_quinn_unless_it_is_switched_off() {
    for greases in [true, false] {
        let transport = TransportConfig::builder().grease_quic_bit(greases).build();
        let transport = Arc::new(transport.expect("settings that can be"));
        let mut pair = our_client_with(|config| config.transport(transport));
        Exchange::run(&mut pair.host, pair.handle, Load::SMALL, no_talk);
        let [received, sent] = pair.host.clear_bits;
        assert_eq!((received > 0, sent > 0), (greases, greases), "{received} {sent}");
        pair.close();
    }
}
