//! TLS 1.3 on paper: the real handshake and the real keys of packets, but neither curves nor signatures.
//!
//! Those would be most of a handshake's work and none of what is counted, and ten thousand connections must stand
//! before the first tick. Nothing is drawn at random either, so that a run repeats itself to the byte.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::{cipher_suite, default_provider};
use rustls::crypto::{
    ActiveKeyExchange, CryptoProvider, GetRandomFailed, SecureRandom, SharedSecret, SupportedKxGroup,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, NamedGroup, ServerConfig, SignatureAlgorithm, SignatureScheme,
};

/// What stands for a key, a secret, a signature and a certificate.
const PAPER: [u8; 64] = [0x5a; 64];

/// The client's side: it believes what it is shown.
pub fn client() -> Arc<ClientConfig> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("a cipher of TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Paper))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// The server's side; it gives no tickets.
pub fn server() -> Arc<ServerConfig> {
    let shown = CertifiedKey::new(vec![CertificateDer::from_slice(&PAPER)], Arc::new(Paper));
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("a cipher of TLS 1.3")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(shown)));
    config.send_tls13_tickets = 0;
    Arc::new(config)
}

/// AES-128-GCM is real.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![&Paper],
        secure_random: &Paper,
        ..default_provider()
    })
}

/// Plays every part that costs much or is random.
#[derive(Debug)]
struct Paper;

impl SecureRandom for Paper {
    fn fill(&self, out: &mut [u8]) -> Result<(), GetRandomFailed> {
        out.fill(PAPER[0]);
        Ok(())
    }
}

impl SupportedKxGroup for Paper {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        Ok(Box::new(Self))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

impl ActiveKeyExchange for Paper {
    fn complete(self: Box<Self>, peer_pub_key: &[u8]) -> Result<SharedSecret, Error> {
        Ok(SharedSecret::from(peer_pub_key))
    }

    fn pub_key(&self) -> &[u8] {
        &PAPER[..32]
    }

    fn group(&self) -> NamedGroup {
        self.name()
    }
}

impl SigningKey for Paper {
    fn choose_scheme(&self, _offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        Some(Box::new(Self))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for Paper {
    fn sign(&self, _message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(PAPER.to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

impl ServerCertVerifier for Paper {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("QUIC has TLS 1.3".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![self.scheme()]
    }
}
