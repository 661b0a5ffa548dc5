//! A certificate for `localhost`, as each stack wants it: rustls configurations and PEM files.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256,
};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::PrivateKeyDer;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedCipherSuite};

/// What both ends call the protocol.
pub const ALPN: &[u8] = b"hq-interop";
/// What the certificate is made out to.
pub const SERVER_NAME: &str = "localhost";

/// A certificate, its key, and the authority that signed it.
#[derive(Debug)]
pub struct Identity {
    authority: Certificate,
    certificate: Certificate,
    key: KeyPair,
}

impl Identity {
    /// A fresh one.
    pub fn fresh() -> Self {
        let authority_key = key();
        let mut params = CertificateParams::new([]).expect("no name is a name too many");
        params.distinguished_name.push(DnType::CommonName, "an authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&authority_key).expect("the key can sign");
        let issuer = Issuer::new(params, authority_key);
        let key = key();
        let leaf = CertificateParams::new([SERVER_NAME.to_owned()]).expect("a DNS name");
        let certificate = leaf.signed_by(&key, &issuer).expect("the authority can sign");
        Self { authority, certificate, key }
    }

    /// The certificate in PEM.
    pub fn certificate_pem(&self) -> String {
        self.certificate.pem()
    }

    /// The key in PEM.
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// The authority in PEM.
    pub fn authority_pem(&self) -> String {
        self.authority.pem()
    }

    /// Writes `cert.pem`, `priv.key` and `ca.pem`.
    ///
    /// # Errors
    ///
    /// The folder cannot be written to.
    pub fn write_to(&self, folder: &Path) -> io::Result<()> {
        std::fs::write(folder.join("cert.pem"), self.certificate_pem())?;
        std::fs::write(folder.join("priv.key"), self.key_pem())?;
        std::fs::write(folder.join("ca.pem"), self.authority_pem())
    }

    /// Our server's TLS.
    pub fn server(&self) -> ServerConfig {
        self.server_with(ring::default_provider().cipher_suites)
    }

    /// Our server's TLS with these suites alone.
    pub fn server_with(&self, cipher_suites: Vec<SupportedCipherSuite>) -> ServerConfig {
        let private = PrivateKeyDer::Pkcs8(self.key.serialize_der().into());
        let provider = CryptoProvider { cipher_suites, ..ring::default_provider() };
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&TLS13])
            .expect("ring speaks TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.der().clone()], private)
            .expect("the key is the certificate's");
        config.alpn_protocols = vec![ALPN.to_vec()];
        config
    }

    /// Our client's TLS.
    pub fn client(&self) -> ClientConfig {
        self.client_with(ring::default_provider().cipher_suites)
    }

    /// Our client's TLS with these suites alone.
    pub fn client_with(&self, cipher_suites: Vec<SupportedCipherSuite>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).expect("the certificate can be read");
        let provider = CryptoProvider { cipher_suites, ..ring::default_provider() };
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&TLS13])
            .expect("ring speaks TLS 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        config
    }
}

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("the system has randomness")
}
