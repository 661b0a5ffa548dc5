//! The terms that hold for every library alike: one certificate, one cipher, one size, the same windows.

use std::sync::{Arc, LazyLock};

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{cipher_suite, default_provider, kx_group};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The name in the certificate.
pub const HOST: &str = "localhost";

/// Flow-control window of a stream, in bytes.
pub const STREAM_WINDOW: u64 = 8 << 20;
/// Flow-control window of a connection, in bytes.
pub const WINDOW: u64 = 16 << 20;
/// Bytes a connection keeps until they are acknowledged.
pub const SEND_BUFFER: u64 = 8 << 20;
/// A congestion window that never binds, in bytes: more than is ever in flight.
pub const WIDE: u64 = 64 << 20;
/// Bytes of unreliable datagrams that wait to be sent, or received: what both libraries permit by default, or nearly.
pub const DATAGRAM_BUFFER: usize = 1 << 20;
/// Streams of each kind that a side may open at a time, where many are.
pub const STREAMS: u64 = 256;
/// The same for connections that do nothing: what both libraries permit by default.
pub const FEW_STREAMS: u64 = 100;

/// The cipher of everything but the first packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Cipher {
    /// TLS_AES_128_GCM_SHA256.
    Aes128Gcm,
    /// TLS_CHACHA20_POLY1305_SHA256.
    Chacha20,
}

impl Cipher {
    /// Its name in a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aes128Gcm => "AES-128-GCM",
            Self::Chacha20 => "ChaCha20-Poly1305",
        }
    }
}

/// How fast a sender may be. The controller is CUBIC in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sending {
    /// As fast as it can: the first window is [`WIDE`], and nothing is paced.
    Freely,
    /// As an embedder has it who sets nothing: the first window of RFC 9002, Section 7.2, and pacing.
    Carefully,
}

/// What may differ from case to case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// UDP payload of a full datagram, in bytes.
    pub size: u16,
    /// Datagrams in one train, at most.
    pub burst: usize,
    /// The cipher.
    pub cipher: Cipher,
    /// Streams of each kind that a side may open at a time.
    pub streams: u64,
    /// How fast a sender may be.
    pub sending: Sending,
    /// Whether the server gives a ticket to each connection, and the client shows it in the next, with early data.
    pub resumes: bool,
    /// Up to which size each side searches for larger datagrams; `None`: it does not.
    pub search: Option<u16>,
    /// Whether unreliable datagrams are sent.
    pub messages: bool,
}

/// A self-signed certificate, the same for all: ECDSA on P-256.
struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

static IDENTITY: LazyLock<Identity> = LazyLock::new(|| {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key pair");
    let params = rcgen::CertificateParams::new(vec![HOST.to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate").der().clone();
    Identity { certificate, key: PrivateKeyDer::Pkcs8(key.serialize_der().into()) }
});

impl Terms {
    /// The largest datagram that may be sent, in bytes.
    pub fn largest(&self) -> u16 {
        self.search.unwrap_or(0).max(self.size)
    }

    /// A provider that knows one cipher and one key exchange, X25519.
    fn provider(&self) -> Arc<CryptoProvider> {
        let suite = match self.cipher {
            Cipher::Aes128Gcm => cipher_suite::TLS13_AES_128_GCM_SHA256,
            Cipher::Chacha20 => cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        };
        let (cipher_suites, kx_groups) = (vec![suite], vec![kx_group::X25519]);
        Arc::new(CryptoProvider { cipher_suites, kx_groups, ..default_provider() })
    }

    /// The client's TLS: it trusts the certificate, and keeps no tickets unless it resumes.
    pub fn tls_client(&self) -> Arc<rustls::ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(IDENTITY.certificate.clone()).expect("a certificate that may be trusted");
        let mut config = rustls::ClientConfig::builder_with_provider(self.provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("a cipher of TLS 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.enable_early_data = self.resumes;
        if !self.resumes {
            config.resumption = rustls::client::Resumption::disabled();
        }
        Arc::new(config)
    }

    /// The server's TLS: it has the certificate, and gives no tickets unless the client resumes.
    pub fn tls_server(&self) -> Arc<rustls::ServerConfig> {
        let mut config = rustls::ServerConfig::builder_with_provider(self.provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("a cipher of TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![IDENTITY.certificate.clone()], IDENTITY.key.clone_key())
            .expect("a key that fits its certificate");
        config.send_tls13_tickets = usize::from(self.resumes);
        config.max_early_data_size = if self.resumes { u32::MAX } else { 0 };
        Arc::new(config)
    }
}
