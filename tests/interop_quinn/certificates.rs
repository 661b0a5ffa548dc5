//! A certificate for `localhost`, and TLS configurations that both libraries are built from.
//!
//! TLS 1.3 and ring by name, since a program may hold several providers.

use std::sync::Arc;

use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ED25519};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// What both ends call the protocol.
pub const ALPN: &[u8] = b"interop";

/// A certificate and its key.
#[derive(Debug)]
pub struct Identity {
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

impl Identity {
    /// A fresh one, which signs itself.
    pub fn fresh() -> Self {
        Self::issued_by("interop")
    }

    /// A fresh one that nobody knows who trusts [`fresh`](Self::fresh) ones.
    pub fn strange() -> Self {
        Self::issued_by("a stranger")
    }

    fn issued_by(issuer: &str) -> Self {
        let key = KeyPair::generate_for(&PKCS_ED25519).expect("the system has randomness");
        let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a DNS name");
        params.distinguished_name.push(DnType::CommonName, issuer);
        let certificate = params.self_signed(&key).expect("the key can sign").der().clone();
        Self { certificate, key }
    }

    /// A server that shows it.
    pub fn server(&self) -> ServerConfig {
        self.server_with(ring::default_provider())
    }

    /// A server that shows it and has this cryptography.
    pub fn server_with(&self, provider: CryptoProvider) -> ServerConfig {
        let key = PrivateKeyDer::Pkcs8(self.key.serialize_der().into());
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&TLS13])
            .expect("ring speaks TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], key)
            .expect("the key is the certificate's");
        config.alpn_protocols = vec![ALPN.to_vec()];
        config
    }

    /// A client that trusts it and nothing else.
    pub fn client(&self) -> ClientConfig {
        self.client_with(ring::default_provider())
    }

    /// A client that trusts it and has this cryptography.
    pub fn client_with(&self, provider: CryptoProvider) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("the certificate can be read");
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&TLS13])
            .expect("ring speaks TLS 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        config
    }
}
