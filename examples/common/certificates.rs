//! A certificate that is made on the spot, and the TLS configurations of a server that shows it and a client that
//! trusts nothing else.
//!
//! Ed25519, since its signatures have one length; TLS 1.3 and ring by name, since a program may hold several providers;
//! AES-128-GCM alone, so that it is known what was measured.

use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{cipher_suite, default_provider};
use rustls::pki_types::PrivateKeyDer;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// What the certificate is made out to.
pub const SERVER_NAME: &str = "localhost";

/// Both ends' TLS configurations.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// Shows the certificate.
    pub server: Arc<ServerConfig>,
    /// Trusts it.
    pub client: Arc<ClientConfig>,
}

impl Certificates {
    /// Makes a fresh certificate for peers that speak `alpn`.
    ///
    /// # Errors
    ///
    /// The system has no randomness to give.
    pub fn generate(alpn: &[u8]) -> Result<Self, Box<dyn std::error::Error>> {
        let key = KeyPair::generate_for(&PKCS_ED25519)?;
        let certificate = CertificateParams::new([SERVER_NAME.to_owned()])?.self_signed(&key)?;
        let private = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let cipher_suites = vec![cipher_suite::TLS13_AES_128_GCM_SHA256];
        let provider = Arc::new(CryptoProvider { cipher_suites, ..default_provider() });

        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)?;
        server.alpn_protocols = vec![alpn.to_vec()];

        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone())?;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![alpn.to_vec()];

        Ok(Self { server: Arc::new(server), client: Arc::new(client) })
    }
}
