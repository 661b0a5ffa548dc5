//! TLS for the runner's cases: chains of certificates as long as its own, cipher suites, and secrets that are told.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{cipher_suite, default_provider};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedCipherSuite};

use crate::sniffer::Secrets;
use sim::tls::{ALPN, NAME, StandingStill};

/// What a certificate of ours is too short by to be as long as one of the runner's, which has RSA keys.
const RSA: usize = 450;

/// Both ends' TLS.
pub struct Tls {
    /// For the server.
    pub server: Arc<ServerConfig>,
    /// For its clients.
    pub client: Arc<ClientConfig>,
    /// What was told of all of their connections.
    pub secrets: Arc<Secrets>,
}

impl Tls {
    /// One certificate, and all cipher suites.
    pub fn new() -> Self {
        Self::with(1, &default_provider().cipher_suites)
    }

    /// Nothing but ChaCha20-Poly1305.
    pub fn chacha20() -> Self {
        Self::with(1, &[cipher_suite::TLS13_CHACHA20_POLY1305_SHA256])
    }

    /// So many certificates from the server's to the one below the root.
    pub fn certified_by(chain: usize) -> Self {
        Self::with(chain, &default_provider().cipher_suites)
    }

    fn with(length: usize, suites: &[SupportedCipherSuite]) -> Self {
        let provider = Arc::new(CryptoProvider { cipher_suites: suites.to_vec(), ..default_provider() });
        let (chain, key, trusted) = certify(length);
        let secrets = Arc::new(Secrets::default());
        let time = || Arc::new(StandingStill);
        let mut server = ServerConfig::builder_with_details(Arc::clone(&provider), time())
            .with_protocol_versions(&[&TLS13])
            .expect("TLS 1.3 is there")
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::Pkcs8(key))
            .expect("the key fits the certificate");
        server.alpn_protocols = vec![ALPN.to_vec()];
        let mut roots = RootCertStore::empty();
        trusted.into_iter().for_each(|certificate| roots.add(certificate).expect("it can be trusted"));
        let mut client = ClientConfig::builder_with_details(provider, time())
            .with_protocol_versions(&[&TLS13])
            .expect("TLS 1.3 is there")
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![ALPN.to_vec()];
        client.key_log = Arc::clone(&secrets) as _;
        Self { server: Arc::new(server), client: Arc::new(client), secrets }
    }
}

type Chain = (Vec<CertificateDer<'static>>, PrivatePkcs8KeyDer<'static>, Vec<CertificateDer<'static>>);

/// The chain that the server shows, its key, and whom clients trust: everybody above the server, since chains are
/// followed over six certificates at most.
fn certify(length: usize) -> Chain {
    let key = || KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key can be made");
    let params = |names: &[&str], organization: String| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2040, 1, 1);
        params.serial_number = Some(rcgen::SerialNumber::from(42));
        params.distinguished_name.push(DnType::OrganizationName, organization);
        let bulk = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![7; RSA]);
        params.custom_extensions.push(bulk);
        params
    };
    let authority = |number: usize| {
        let mut params = params(&[], format!("authority {number}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    };
    let mut issuer = Issuer::new(authority(0), key());
    let root = authority(0).self_signed(issuer.key()).expect("a certificate can be made");
    let (mut chain, mut trusted) = (Vec::new(), vec![root.der().clone()]);
    for number in 1..length {
        let key = key();
        let certificate = authority(number).signed_by(&key, &issuer).expect("it can be certified");
        chain.insert(0, certificate.der().clone());
        trusted.push(certificate.der().clone());
        issuer = Issuer::new(authority(number), key);
    }
    let key = key();
    let leaf = params(&[NAME], "leaf".to_owned()).signed_by(&key, &issuer).expect("it can be certified");
    chain.insert(0, leaf.der().clone());
    (chain, PrivatePkcs8KeyDer::from(key.serialize_der()), trusted)
}
