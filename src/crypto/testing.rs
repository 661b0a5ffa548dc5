//! TLS configurations of two sides that trust each other, for tests.

use std::sync::Arc;

use ::rustls::crypto::{CryptoProvider, ring};
use ::rustls::pki_types::PrivateKeyDer;
use ::rustls::version::TLS13;
use ::rustls::{CipherSuite, ClientConfig, RootCertStore, ServerConfig};

/// The name of the server.
pub const NAME: &str = "server.test";

/// A client and a server that speak the protocol `test` and know no cipher suite but this, if one is given.
pub fn pair(suite: Option<CipherSuite>) -> (ClientConfig, ServerConfig) {
    let mut provider = ring::default_provider();
    provider.cipher_suites.retain(|known| suite.is_none_or(|suite| known.suite() == suite));
    let provider: Arc<CryptoProvider> = Arc::new(provider);
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key pair");
    let params = rcgen::CertificateParams::new(vec![NAME.into()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate");
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).expect("a trust anchor");
    let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a private key");
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("a certificate and its key");
    client.alpn_protocols = vec![b"test".to_vec()];
    server.alpn_protocols = vec![b"test".to_vec()];
    (client, server)
}
