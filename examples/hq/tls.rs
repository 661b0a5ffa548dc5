//! TLS for both ends: certificates from PEM files or made on the spot, cipher suites by name, and a log of secrets.

use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use clap::ValueEnum;
use rcgen::{CertificateParams, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::{cipher_suite, default_provider};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{
    ClientConfig, DigitallySignedStruct, KeyLog, RootCertStore, ServerConfig, SignatureScheme,
    SupportedCipherSuite,
};

use crate::request::ALPN;

/// What a certificate made on the spot is for.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A cipher suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Cipher {
    /// TLS_AES_128_GCM_SHA256
    Aes128,
    /// TLS_AES_256_GCM_SHA384
    Aes256,
    /// TLS_CHACHA20_POLY1305_SHA256
    #[value(name = "chacha20")]
    ChaCha20,
}

impl Cipher {
    fn suite(self) -> SupportedCipherSuite {
        match self {
            Self::Aes128 => cipher_suite::TLS13_AES_128_GCM_SHA256,
            Self::Aes256 => cipher_suite::TLS13_AES_256_GCM_SHA384,
            Self::ChaCha20 => cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        }
    }
}

/// What any fault of TLS or of its files comes to: a sentence.
type Result<T, E = String> = std::result::Result<T, E>;

fn provider(cipher: Option<Cipher>) -> Arc<CryptoProvider> {
    let usual = default_provider();
    let cipher_suites = cipher.map_or(usual.cipher_suites, |cipher| vec![cipher.suite()]);
    Arc::new(CryptoProvider { cipher_suites, ..default_provider() })
}

/// A server's certificates, its own first, and its key.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Reads PEM files.
    ///
    /// # Errors
    ///
    /// Which file cannot be used, and why.
    pub fn read(chain: &Path, key: &Path) -> Result<Self> {
        let private = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| format!("no private key in {}: {error}", key.display()))?;
        Ok(Self { chain: certificates(chain)?, key: private })
    }

    /// Makes a certificate that signs itself, and writes it to a file that clients can trust.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn make(authority: &Path) -> Result<Self> {
        let unmade = |error: rcgen::Error| format!("cannot make a certificate: {error}");
        let unwritten = |error: io::Error| format!("cannot write {}: {error}", authority.display());
        let key = KeyPair::generate().map_err(unmade)?;
        let params = CertificateParams::new(NAMES.map(str::to_owned)).map_err(unmade)?;
        let certificate = params.self_signed(&key).map_err(unmade)?;
        if let Some(folder) = authority.parent() {
            std::fs::create_dir_all(folder).map_err(unwritten)?;
        }
        std::fs::write(authority, certificate.pem()).map_err(unwritten)?;
        Ok(Self {
            chain: vec![certificate.der().clone()],
            key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        })
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let unread = |error| format!("cannot read certificates from {}: {error}", file.display());
    let all = CertificateDer::pem_file_iter(file).map_err(unread)?;
    let all = all.collect::<std::result::Result<Vec<_>, _>>().map_err(unread)?;
    if all.is_empty() {
        return Err(format!("no certificate in {}", file.display()));
    }
    Ok(all)
}

/// How a server speaks TLS.
///
/// # Errors
///
/// The key is not that of the certificate, or of a kind that is not known.
pub fn server(
    identity: Identity,
    cipher: Option<Cipher>,
    key_log: Option<Arc<dyn KeyLog>>,
) -> Result<Arc<ServerConfig>> {
    let unusable = |error: rustls::Error| format!("the certificate or its key cannot be used: {error}");
    let mut config = ServerConfig::builder_with_provider(provider(cipher))
        .with_protocol_versions(&[&TLS13])
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(identity.chain, identity.key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.key_log = key_log.unwrap_or(config.key_log);
    Ok(Arc::new(config))
}

/// Whom a client believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Who is certified by one of the certificates in these files.
    Authorities {
        /// All in here.
        file: PathBuf,
        /// All in here but the first: what a server shows, its own certificate and those above it. Chains are
        /// followed over six certificates at most, and the runner has one of nine.
        above: Option<PathBuf>,
    },
    /// Anybody.
    Anybody,
}

/// How a client speaks TLS.
///
/// # Errors
///
/// The file with the certificates that are trusted cannot be used.
pub fn client(
    trust: &Trust,
    cipher: Option<Cipher>,
    key_log: Option<Arc<dyn KeyLog>>,
) -> Result<Arc<ClientConfig>> {
    let provider = provider(cipher);
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| error.to_string())?;
    let builder = match trust {
        Trust::Authorities { file, above } => {
            let mut roots = RootCertStore::empty();
            let above = above.as_deref().map(certificates).transpose()?.unwrap_or_default();
            for certificate in certificates(file)?.into_iter().chain(above.into_iter().skip(1)) {
                let unusable =
                    |error| format!("a certificate in {} cannot be trusted: {error}", file.display());
                roots.add(certificate).map_err(unusable)?;
            }
            builder.with_root_certificates(roots)
        }
        Trust::Anybody => builder.dangerous().with_custom_certificate_verifier(Arc::new(Credulous(provider))),
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.key_log = key_log.unwrap_or(config.key_log);
    Ok(Arc::new(config))
}

/// Takes any certificate for what it claims to be, and only checks that the server has its key.
#[derive(Debug)]
struct Credulous(Arc<CryptoProvider>);

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Writes the secrets of all connections to a file, as Wireshark reads them.
pub struct Secrets {
    file: Mutex<File>,
}

impl Secrets {
    /// Goes on with a file, or begins one that nobody else may read.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn append(path: &Path) -> Result<Arc<dyn KeyLog>> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path);
        let file = file.map_err(|error| format!("cannot write secrets to {}: {error}", path.display()))?;
        Ok(Arc::new(Self { file: Mutex::new(file) }))
    }
}

impl KeyLog for Secrets {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let line = format!("{label} {} {}\n", hex(client_random), hex(secret));
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // A transfer is worth more than its log.
        let _ = file.write_all(line.as_bytes());
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(..)")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
