//! TLS for simulations: one Ed25519 certificate of this process, always valid, at a time that stands still.
//!
//! Any other configuration of rustls does as well, behind `peregrine::ServerConfig::new` and `ClientConfig::new`.
//! TLS bytes cannot repeat themselves, because the key exchange draws on the system's entropy. Their *lengths* can, and
//! that is all a trace holds: Ed25519 signatures have one size, and the certificate's serial number is fixed.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedCipherSuite};

/// The name in the ready-made certificate, to which [`World::connect`](crate::World::connect) connects.
pub const NAME: &str = "server.sim";
/// The protocol that ready-made servers and clients speak (ALPN).
pub const ALPN: &[u8] = b"sim";

/// A clock for rustls that stands still: it is always the beginning of 2030 (UTC).
#[derive(Debug)]
pub struct StandingStill;

impl TimeProvider for StandingStill {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(1_893_456_000)))
    }
}

/// A certificate and its key.
#[derive(Debug)]
struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
}

fn identity(name: &str) -> Identity {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("an Ed25519 key can be made");
    let mut params = rcgen::CertificateParams::new([name.to_owned()]).expect("a DNS name");
    params.serial_number = Some(rcgen::SerialNumber::from(42));
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2040, 1, 1);
    let certificate = params.self_signed(&key).expect("a certificate can be made");
    Identity { certificate: certificate.into(), key: PrivatePkcs8KeyDer::from(key.serialize_der()) }
}

/// The identity of all servers of this process.
fn shared() -> &'static Identity {
    static SHARED: OnceLock<Identity> = OnceLock::new();
    SHARED.get_or_init(|| identity(NAME))
}

/// A server that shows the certificate all clients trust.
pub fn server() -> Arc<ServerConfig> {
    Arc::new(server_of(shared()))
}

/// A server that shows a certificate of the right name that nobody trusts.
pub fn impostor() -> Arc<ServerConfig> {
    Arc::new(server_of(&identity(NAME)))
}

fn server_of(identity: &Identity) -> ServerConfig {
    let key = PrivateKeyDer::Pkcs8(identity.key.clone_key());
    let mut config =
        ServerConfig::builder_with_details(Arc::new(default_provider()), Arc::new(StandingStill))
            .with_protocol_versions(&[&TLS13])
            .expect("TLS 1.3 is there")
            .with_no_client_auth()
            .with_single_cert(vec![identity.certificate.clone()], key)
            .expect("the key fits the certificate");
    config.alpn_protocols = vec![ALPN.to_vec()];
    config
}

/// A client that trusts [`server`] and offers these protocols. It resumes nothing, so that the second handshake of a
/// run has the lengths of the first.
pub fn client_offering(alpn: &[&[u8]]) -> Arc<ClientConfig> {
    Arc::new(client_of(default_provider(), alpn))
}

/// A client that trusts [`server`] and knows no other cipher suite than this.
pub fn client_with(suite: SupportedCipherSuite) -> ClientConfig {
    client_of(CryptoProvider { cipher_suites: vec![suite], ..default_provider() }, &[ALPN])
}

fn client_of(provider: CryptoProvider, alpn: &[&[u8]]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(shared().certificate.clone()).expect("the certificate can be trusted");
    let mut config = ClientConfig::builder_with_details(Arc::new(provider), Arc::new(StandingStill))
        .with_protocol_versions(&[&TLS13])
        .expect("TLS 1.3 is there")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    config.resumption = Resumption::disabled();
    config
}

/// A client that trusts [`server`].
pub fn client() -> Arc<ClientConfig> {
    client_offering(&[ALPN])
}

/// A client that trusts [`server`], keeps up to eight of its sessions, and resumes them when it connects again.
pub fn resuming_client() -> Arc<ClientConfig> {
    let mut config = ClientConfig::clone(&client());
    config.resumption = Resumption::in_memory_sessions(8);
    Arc::new(config)
}
