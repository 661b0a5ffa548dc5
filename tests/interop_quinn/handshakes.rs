//! Handshakes: what is agreed on, what is asked for again, and what is refused.

use std::time::Duration;

use peregrine::{CloseReason, Code, Instant, TransportError};
use quinn::{Connection, ConnectionError, Endpoint, EndpointConfig};
use quinn_proto::RandomConnectionIdGenerator;
use rustls::crypto::ring::{cipher_suite, default_provider, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};

use crate::certificates::Identity;
use crate::driver::Host;
use crate::foreign::{Foreign, accept, client_config, connect, server_config};
use crate::load::{Exchange, Load};
use crate::pair::{
    Pair, close, closed, connected, exchanges_a_little, listens, no_talk, our_client, our_server,
    with_quinn_client, with_quinn_server,
};

/// TLS: the certificate's issuer is not known (RFC 8446, Section 6.2).
const UNKNOWN_CA: u8 = 48;
/// TLS: no protocol in common (RFC 7301, Section 3.2).
const NO_APPLICATION_PROTOCOL: u8 = 120;
/// Shorter than the first probe timeout: who takes longer has waited for a timer.
const SWIFT: Duration = Duration::from_millis(900);

#[test]
fn a_handshake_waits_for_no_timer() {
    for mut pair in [with_quinn_server(listens), with_quinn_client(listens)] {
        let took = pair.host.now().since(Instant::ZERO);
        assert!(took < SWIFT, "{took:?}");
        assert_eq!(pair.host.connection(pair.handle).stats().probe_timeouts, 0);
        pair.close();
    }
}

/// Both handshakes, with this cryptography at the client and that at the server, and a little data.
fn cryptography_is_agreed_on(client: &CryptoProvider, server: &CryptoProvider) {
    let identity = Identity::fresh();
    let quinn = Foreign::server(server_config(identity.server_with(server.clone())), |endpoint| async move {
        let connection = accept(&endpoint).await;
        exchanges_a_little(endpoint, connection).await
    });
    let mut host = Host::client();
    host.connect(quinn.address, our_client(identity.client_with(client.clone())));
    let handle = connected(&mut host);
    Exchange::run(&mut host, handle, Load::SMALL, no_talk);
    Pair { host, handle, quinn }.close();

    let mut host = Host::server(our_server(identity.server_with(server.clone())));
    let (to, config) = (host.address(), client_config(identity.client_with(client.clone())));
    let quinn = Foreign::client(EndpointConfig::default(), move |endpoint| async move {
        let connection = connect(&endpoint, to, config).await.expect("the handshake completes");
        exchanges_a_little(endpoint, connection).await
    });
    let handle = connected(&mut host);
    Exchange::run(&mut host, handle, Load::SMALL, no_talk);
    Pair { host, handle, quinn }.close();
}

#[test]
fn every_cipher_suite_carries_data() {
    // quinn wants AES-128-GCM in the list, for Initial packets; the server's preference decides.
    let initial = cipher_suite::TLS13_AES_128_GCM_SHA256;
    for suite in
        [initial, cipher_suite::TLS13_AES_256_GCM_SHA384, cipher_suite::TLS13_CHACHA20_POLY1305_SHA256]
    {
        let preferring = CryptoProvider { cipher_suites: vec![suite, initial], ..default_provider() };
        cryptography_is_agreed_on(&preferring, &preferring);
    }
}

/// What quinn exports, and its end.
async fn exports(_: Endpoint, connection: Connection) -> ([u8; 48], ConnectionError) {
    let mut out = [0; 48];
    connection.export_keying_material(&mut out, b"EXPORTER interop", b"here").expect("it can be exported");
    (out, connection.closed().await)
}

fn exports_what_we_export(mut pair: Pair<([u8; 48], ConnectionError)>) {
    let mut out = [0; 48];
    let connection = pair.host.connection(pair.handle);
    connection.export_keying_material(&mut out, b"EXPORTER interop", Some(b"here")).expect("it is exported");
    close(&mut pair.host, pair.handle);
    let (theirs, _) = pair.quinn.outcome(&mut pair.host);
    assert_eq!(out, theirs);
}

#[test]
fn quinn_exports_the_same_keying_material() {
    exports_what_we_export(with_quinn_server(exports));
    exports_what_we_export(with_quinn_client(exports));
}

#[test]
fn a_server_may_ask_for_another_key_exchange() {
    let groups =
        |kx_groups: Vec<&'static dyn SupportedKxGroup>| CryptoProvider { kx_groups, ..default_provider() };
    let client = groups(vec![kx_group::X25519, kx_group::SECP256R1]);
    let server = groups(vec![kx_group::SECP256R1]);
    cryptography_is_agreed_on(&client, &server);
}

#[test]
fn our_client_obeys_a_retry() {
    let identity = Identity::fresh();
    let quinn = Foreign::server(server_config(identity.server()), |endpoint| async move {
        let first = endpoint.accept().await.expect("the endpoint is open");
        first.retry().expect("the first Initial has no token");
        let again = endpoint.accept().await.expect("the endpoint is open");
        assert!(again.remote_address_validated());
        let connection = again.await.expect("the handshake completes");
        exchanges_a_little(endpoint, connection).await
    });
    let mut host = Host::client();
    host.connect(quinn.address, our_client(identity.client()));
    let handle = connected(&mut host);
    assert!(host.now().since(Instant::ZERO) < SWIFT);
    assert_eq!(host.connection(handle).stats().probe_timeouts, 0);
    Exchange::run(&mut host, handle, Load::SMALL, no_talk);
    Pair { host, handle, quinn }.close();
}

#[test]
fn a_quinn_client_learns_that_our_server_does_not_speak_its_version() {
    let identity = Identity::fresh();
    let mut host = Host::server(our_server(identity.server()));
    let (to, mut config) = (host.address(), client_config(identity.client()));
    config.version(0xff00_001d);
    let mut only_draft_29 = EndpointConfig::default();
    only_draft_29.supported_versions(vec![0xff00_001d]);
    let quinn = Foreign::client(only_draft_29, move |endpoint| async move {
        connect(&endpoint, to, config).await.expect_err("no version in common")
    });
    assert_eq!(quinn.outcome(&mut host), ConnectionError::VersionMismatch);
}

#[test]
fn a_quinn_client_may_do_without_a_connection_id() {
    let identity = Identity::fresh();
    let mut host = Host::server(our_server(identity.server()));
    let (to, config) = (host.address(), client_config(identity.client()));
    let mut nameless = EndpointConfig::default();
    nameless.cid_generator(|| Box::new(RandomConnectionIdGenerator::new(0)));
    let quinn = Foreign::client(nameless, move |endpoint| async move {
        let connection = connect(&endpoint, to, config).await.expect("the handshake completes");
        exchanges_a_little(endpoint, connection).await
    });
    let handle = connected(&mut host);
    Exchange::run(&mut host, handle, Load::SMALL, no_talk);
    Pair { host, handle, quinn }.close();
}

#[test]
fn our_client_does_not_trust_a_strange_certificate_and_says_so() {
    let quinn = Foreign::server(server_config(Identity::strange().server()), |endpoint| async move {
        endpoint.accept().await.expect("the endpoint is open").await.expect_err("the client objects")
    });
    let mut host = Host::client();
    host.connect(quinn.address, our_client(Identity::fresh().client()));
    let reason = closed(&mut host);
    let fault = TransportError {
        code: Code::crypto(UNKNOWN_CA),
        frame: 0,
        reason: "the peer's certificate does not verify",
    };
    assert_eq!(reason, CloseReason::Fault(fault));
    assert_eq!(reason.to_string(), "ended by a fault: TLS alert 48: the peer's certificate does not verify");
    let ConnectionError::ConnectionClosed(seen) = quinn.outcome(&mut host) else {
        panic!("quinn is told by CONNECTION_CLOSE");
    };
    assert_eq!(seen.error_code, quinn::TransportErrorCode::crypto(UNKNOWN_CA));
}

#[test]
fn our_server_hears_that_its_certificate_is_not_trusted() {
    let mut host = Host::server(our_server(Identity::strange().server()));
    let (to, config) = (host.address(), client_config(Identity::fresh().client()));
    let quinn = Foreign::client(EndpointConfig::default(), move |endpoint| async move {
        connect(&endpoint, to, config).await.expect_err("quinn does not trust it")
    });
    let CloseReason::Peer { code, .. } = closed(&mut host) else { panic!("quinn closes") };
    assert_eq!(code, Code::crypto(UNKNOWN_CA));
    assert!(matches!(quinn.outcome(&mut host), ConnectionError::TransportError(_)));
}

#[test]
fn our_server_refuses_a_protocol_that_it_does_not_speak() {
    let identity = Identity::fresh();
    let mut tls = identity.client();
    tls.alpn_protocols = vec![b"another".to_vec()];
    let mut host = Host::server(our_server(identity.server()));
    let (to, config) = (host.address(), client_config(tls));
    let quinn = Foreign::client(EndpointConfig::default(), move |endpoint| async move {
        connect(&endpoint, to, config).await.expect_err("nothing in common")
    });
    let CloseReason::Fault(fault) = closed(&mut host) else { panic!("we close") };
    assert_eq!(fault.code, Code::crypto(NO_APPLICATION_PROTOCOL));
    assert_eq!(fault.reason, "no application protocol in common");
    let ConnectionError::ConnectionClosed(seen) = quinn.outcome(&mut host) else {
        panic!("quinn is told by CONNECTION_CLOSE");
    };
    assert_eq!(seen.error_code, quinn::TransportErrorCode::crypto(NO_APPLICATION_PROTOCOL));
}

#[test]
fn our_client_hears_that_it_is_refused() {
    let identity = Identity::fresh();
    let quinn = Foreign::server(server_config(identity.server()), |endpoint| async move {
        endpoint.accept().await.expect("the endpoint is open").refuse();
    });
    let mut host = Host::client();
    host.connect(quinn.address, our_client(identity.client()));
    let CloseReason::Peer { code, .. } = closed(&mut host) else { panic!("quinn closes") };
    assert_eq!(code, Code::CONNECTION_REFUSED);
    quinn.outcome(&mut host);
}
