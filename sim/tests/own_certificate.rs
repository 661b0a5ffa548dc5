//! A server with a certificate and a name of its own, and who trusts it.

use std::sync::Arc;

use peregrine::{ClientConfig, ServerConfig};
use peregrine_sim::tls::StandingStill;
use peregrine_sim::{Client, Outcome, Server, World, secs, tls};
use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::TLS13;

fn certificate() -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
    let params = rcgen::CertificateParams::new(["chat.example".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate");
    (certificate.into(), PrivateKeyDer::Pkcs8(key.serialize_der().into()))
}

fn server_of(certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> rustls::ServerConfig {
    let builder =
        rustls::ServerConfig::builder_with_details(Arc::new(default_provider()), Arc::new(StandingStill));
    let builder = builder.with_protocol_versions(&[&TLS13]).expect("TLS 1.3").with_no_client_auth();
    let mut config = builder.with_single_cert(vec![certificate], key).expect("the key fits");
    config.alpn_protocols = vec![b"chat".to_vec()];
    config
}

fn client_trusting(certificate: CertificateDer<'static>) -> rustls::ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a certificate");
    let builder =
        rustls::ClientConfig::builder_with_details(Arc::new(default_provider()), Arc::new(StandingStill));
    let builder = builder.with_protocol_versions(&[&TLS13]).expect("TLS 1.3").with_root_certificates(roots);
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"chat".to_vec()];
    config
}

#[test]
fn a_client_connects_by_name_to_whom_it_trusts() {
    let (certificate, key) = certificate();
    let mut world = World::new();
    let config = ServerConfig::new(Arc::new(server_of(certificate.clone(), key)));
    world.serve("45.0.0.1:443", config, Server::default);
    let host = world.client("30.0.0.1:5000");
    let config = Arc::new(ClientConfig::new(Arc::new(client_trusting(certificate))));
    let download = || Client::download(1000);
    let friend = world.connect_named(host, "45.0.0.1:443", "chat.example", Arc::clone(&config), download());
    let lost = world.connect_named(host, "45.0.0.1:443", "other.example", config, download());
    let wary = Arc::new(ClientConfig::new(tls::client_offering(&[b"chat"])));
    let stranger = world.connect_named(host, "45.0.0.1:443", "chat.example", wary, download());
    world.run_until_done(secs(10));
    assert_eq!(world.outcome(friend), Outcome::Done);
    assert!(matches!(world.outcome(lost), Outcome::Failed(_)), "it was given another name");
    assert!(matches!(world.outcome(stranger), Outcome::Failed(_)), "it knows another certificate");
}
