//! The TLS handshake, by rustls: CRYPTO bytes in and out, keys as they come (RFC 9001, Section 4).
//!
//! rustls decides when there are keys; the keys themselves are made here, from the secrets that it tells its key log.
//! The log belongs to a configuration, so each connection has a copy of its own, which passes everything on to the
//! embedder's log. TLS reads the system's clock and entropy: the library's one exception to having neither.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::quic::{self, KeyChange};
use rustls::{CipherSuite, HandshakeKind, HandshakeType, KeyLog, PeerMisbehaved};

use super::exporter::Exporter;
use super::hello::ClientHello;
use super::key_log::SecretLog;
use super::sessions::{Bound, Promises};
use super::{Level, Output, Suite};
use crate::error::{Code, TransportError};
use crate::id::Side;
use crate::packet::Version;

/// TLS alert: a parameter contradicts another (RFC 8446, Section 6.2).
const ILLEGAL_PARAMETER: u8 = 47;

/// TLS alert: no application protocol in common (RFC 7301, Section 3.2).
const NO_APPLICATION_PROTOCOL: u8 = 120;

/// Why TLS did not begin: the configuration cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{0}; enable TLS 1.3 and a cipher suite that QUIC can use")]
pub struct TlsRefused(rustls::Error);

/// What a complete handshake leaves behind.
#[derive(Debug)]
pub struct HandshakeSummary {
    /// The protocol that ALPN chose; `None` if it was not used, which is the embedder's choice.
    pub alpn: Option<Vec<u8>>,
    /// The server's name, as the client gave it.
    pub server_name: Option<String>,
    /// The peer's certificate and those it was signed with, its own first; none of an anonymous client.
    pub peer_certificates: Vec<CertificateDer<'static>>,
    /// The cipher suite; `None` before there was one.
    pub suite: Option<CipherSuite>,
    /// What exports keying material; `None` before its secret was known.
    pub exporter: Option<Exporter>,
    /// Whether a ticket of an earlier connection stood in for certificates.
    pub resumed: bool,
}

/// What a client does with tickets of earlier connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// It shows none.
    Never,
    /// It shows one.
    Plainly,
    /// It shows one, and offers 0-RTT if that permits it.
    Early,
}

/// A TLS handshake as QUIC sees it. May be dropped once complete, if no more TLS messages are to be understood.
pub struct Handshake {
    stage: Stage,
    /// Of the client's first flight.
    original: Version,
    version: Version,
    side: Side,
    secrets: Arc<SecretLog>,
    suite: Option<Suite>,
    server_name: Option<String>,
    /// The level of the message that TLS reads next, and how far it has come.
    reading: Level,
    message: Message,
    /// The level of the message that TLS writes next.
    writing: Level,
    output: VecDeque<Output>,
    /// What the server's parameters were an answer to.
    answered: Option<Vec<u8>>,
}

/// Whether rustls has begun.
enum Stage {
    /// A server that has not decided on its parameters.
    Listening { config: Arc<rustls::ServerConfig>, hello: ClientHello },
    /// Boxed, as it is large and soon gone.
    Running(Box<quic::Connection>),
}

impl Handshake {
    /// Begins as a client, with its transport parameters.
    ///
    /// # Errors
    ///
    /// [`TlsRefused`] if the configuration does not permit TLS 1.3, or lacks a suite for QUIC.
    pub fn client(
        config: &Arc<rustls::ClientConfig>,
        name: ServerName<'static>,
        params: Vec<u8>,
        version: Version,
        resume: Resume,
    ) -> Result<Self, TlsRefused> {
        let secrets = Arc::new(SecretLog::before(&config.key_log));
        let mut config = rustls::ClientConfig::clone(config);
        config.key_log = Arc::clone(&secrets) as Arc<dyn KeyLog>;
        config.enable_early_data = resume == Resume::Early;
        if resume == Resume::Never {
            config.resumption = Resumption::disabled();
        }
        let asked_for = name.to_str().into_owned();
        let tls = quic::ClientConnection::new(Arc::new(config), tls_version(version), name, params)
            .map_err(TlsRefused)?;
        let mut handshake = Self::new(Side::Client, version, secrets, Stage::Running(Box::new(tls.into())));
        handshake.server_name = Some(asked_for);
        handshake.collect().map_err(|fault| TlsRefused(rustls::Error::General(fault.to_string())))?;
        Ok(handshake)
    }

    /// Begins as a server, which waits for a ClientHello. What is wrong with the configuration is said by
    /// [`Handshake::check_server`] in time, and by [`Handshake::begin`] when it is too late.
    pub fn server(config: &Arc<rustls::ServerConfig>, version: Version) -> Self {
        let secrets = Arc::new(SecretLog::before(&config.key_log));
        let stage = Stage::Listening { config: Arc::clone(config), hello: ClientHello::default() };
        Self::new(Side::Server, version, secrets, stage)
    }

    fn new(side: Side, version: Version, secrets: Arc<SecretLog>, stage: Stage) -> Self {
        Self {
            stage,
            original: version,
            version,
            side,
            secrets,
            suite: None,
            server_name: None,
            reading: Level::Initial,
            message: Message::default(),
            writing: Level::Initial,
            output: VecDeque::new(),
            answered: None,
        }
    }

    // ---- in -----------------------------------------------------------------------------------

    /// Reads the next CRYPTO bytes of `level`.
    ///
    /// # Errors
    ///
    /// The alert that TLS raised. PROTOCOL_VIOLATION for bytes at a level that TLS does not read from now, whole
    /// messages or parts (RFC 9001, Section 4.1.3): a message must come at the level that protects it.
    pub fn read(&mut self, level: Level, bytes: &[u8]) -> Result<(), TransportError> {
        match &mut self.stage {
            Stage::Listening { .. } if level != Level::Initial => Err(wrong_level()),
            Stage::Listening { hello, .. } => hello.push(bytes),
            Stage::Running(_) => self.feed(level, bytes),
        }
    }

    /// Gives rustls one message at a time, so that what follows a change of keys is seen to come too early.
    fn feed(&mut self, level: Level, mut bytes: &[u8]) -> Result<(), TransportError> {
        while !bytes.is_empty() {
            if level != self.reading {
                return Err(wrong_level());
            }
            let (of_message, rest) = bytes.split_at(self.message.take(bytes));
            bytes = rest;
            let Stage::Running(tls) = &mut self.stage else {
                return Err(TransportError::internal("TLS has not begun"));
            };
            tls.read_hs(of_message).map_err(|error| fault_of(tls, &error))?;
            if self.message.is_over() {
                self.collect()?;
            }
        }
        Ok(())
    }

    /// A server's view of the client's transport parameters: there from when its whole ClientHello has come until
    /// [`Handshake::begin`]. Not authentic until the handshake is complete.
    pub fn offered_params(&self) -> Option<&[u8]> {
        match &self.stage {
            Stage::Listening { hello, .. } => hello.params(),
            Stage::Running(_) => None,
        }
    }

    /// The keys that follow are those of another version: to be said before the server's first message is read, at a
    /// server before [`Handshake::begin`] (RFC 9369, Section 4.1).
    pub fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    /// Gives a server its transport parameters, and lets TLS read what was kept for it.
    ///
    /// With `limits`, 0-RTT is accepted from a client whose ticket did not promise higher ones (they are compared one by
    /// one), and new tickets promise these; without, it is not, and they promise nothing.
    ///
    /// # Errors
    ///
    /// As [`Handshake::read`]; INTERNAL_ERROR if the configuration cannot be used.
    pub fn begin(&mut self, params: Vec<u8>, limits: Option<Box<[u64]>>) -> Result<(), TransportError> {
        let Stage::Listening { config, hello } = &mut self.stage else {
            return Err(TransportError::internal("TLS has begun already"));
        };
        self.answered = hello.params().map(<[u8]>::to_vec);
        let kept = std::mem::take(hello).into_bytes();
        let key_log = Arc::clone(&self.secrets) as Arc<dyn KeyLog>;
        let promises = Promises { version: self.version.wire(), limits };
        let config = Arc::new(for_quic(config, key_log, self.original, promises));
        let refused = || TransportError::internal("the server's TLS configuration cannot be used for QUIC");
        let tls =
            quic::ServerConnection::new(config, tls_version(self.version), params).map_err(|_| refused())?;
        self.stage = Stage::Running(Box::new(tls.into()));
        self.feed(Level::Initial, &kept)
    }

    // ---- out ----------------------------------------------------------------------------------

    /// The next thing to be sent, or the next keys; `None` until more is read.
    ///
    /// Bytes before keys belong to older levels, so the order matters.
    pub fn write(&mut self) -> Option<Output> {
        let next = self.output.pop_front();
        if next.is_none() {
            // Keys are large, and a client keeps its TLS for as long as the connection lives.
            self.output = VecDeque::new();
        }
        next
    }

    /// Takes from rustls what it has to say.
    fn collect(&mut self) -> Result<(), TransportError> {
        let Stage::Running(tls) = &mut self.stage else { return Ok(()) };
        // A client has them with its ClientHello, a server that accepts with its answer.
        if let Some(suite) = suite_in_use(tls)
            && let Some(keys) = self.secrets.early_keys(self.original, suite)
            // A client is told the secret if it offers 0-RTT, a server whenever it resumes.
            && (self.side.is_client() || tls.zero_rtt_keys().is_some())
        {
            self.output.push_back(Output::EarlyKeys(keys));
        }
        loop {
            let mut bytes = Vec::new();
            let change = tls.write_hs(&mut bytes);
            if !bytes.is_empty() {
                self.output.push_back(Output::Bytes(self.writing, bytes));
            }
            // The keys in here are the same as ours, but cannot be taken out of it.
            let level = match change {
                None => break,
                Some(KeyChange::Handshake { .. }) => Level::Handshake,
                Some(KeyChange::OneRtt { .. }) => Level::OneRtt,
            };
            let suite = suite_in_use(tls);
            let suite = suite.ok_or(TransportError::internal("TLS chose a suite that QUIC does not know"))?;
            self.suite = Some(suite);
            let keys = self.secrets.keys(level, self.side, self.version, suite);
            let keys = keys.ok_or(TransportError::internal("TLS did not tell its secrets"))?;
            self.output.push_back(Output::Keys(level, keys));
            self.writing = level;
            if level == Level::Handshake {
                self.reading = level;
            }
        }
        if !tls.is_handshaking() && self.reading != Level::OneRtt {
            self.reading = Level::OneRtt;
            return self.check_answer();
        }
        Ok(())
    }

    /// After a HelloRetryRequest there are two ClientHellos, and TLS goes by the second, we by the first.
    fn check_answer(&self) -> Result<(), TransportError> {
        if self.answered.is_some() && self.answered.as_deref() != self.peer_params() {
            return Err(TransportError {
                code: Code::crypto(ILLEGAL_PARAMETER),
                frame: 0,
                reason: "transport parameters changed between two ClientHellos",
            });
        }
        Ok(())
    }

    // ---- questions ----------------------------------------------------------------------------

    /// The server's name, at a client.
    pub fn asked_for(&self) -> Option<ServerName<'static>> {
        ServerName::try_from(self.server_name.clone()?).ok()
    }

    /// Whether both sides have proven themselves (RFC 9001, Section 4.1.1).
    pub fn is_complete(&self) -> bool {
        self.reading == Level::OneRtt
    }

    /// The peer's transport parameters, authentic, once the handshake is complete; `None` if it sent none.
    pub fn peer_params(&self) -> Option<&[u8]> {
        match &self.stage {
            Stage::Running(tls) if self.is_complete() => tls.quic_transport_parameters(),
            Stage::Running(_) | Stage::Listening { .. } => None,
        }
    }

    /// Whether a server waits for the rest of the ClientHello.
    pub fn is_listening(&self) -> bool {
        matches!(self.stage, Stage::Listening { .. })
    }

    /// A client's view of the transport parameters that came with the ticket it shows; `None` without one, and once the
    /// server has sent its own.
    pub fn remembered_params(&self) -> Option<&[u8]> {
        match &self.stage {
            Stage::Running(tls) if !self.is_complete() => tls.quic_transport_parameters(),
            Stage::Running(_) | Stage::Listening { .. } => None,
        }
    }

    /// Whether a HelloRetryRequest asked a client for another ClientHello, which ends 0-RTT (RFC 8446, Section 4.1.2).
    pub fn was_asked_again(&self) -> bool {
        self.kind() == Some(HandshakeKind::FullWithHelloRetryRequest)
    }

    /// Whether the server took a client's 0-RTT data; decided once the handshake is complete.
    pub fn is_early_data_accepted(&self) -> bool {
        match &self.stage {
            Stage::Running(tls) => match &**tls {
                quic::Connection::Client(tls) => tls.is_early_data_accepted(),
                quic::Connection::Server(_) => false,
            },
            Stage::Listening { .. } => false,
        }
    }

    fn kind(&self) -> Option<HandshakeKind> {
        match &self.stage {
            Stage::Running(tls) => tls.handshake_kind(),
            Stage::Listening { .. } => None,
        }
    }

    /// What the handshake came to; to be asked once, when it is complete: its exporter goes along.
    pub fn summary(&mut self) -> HandshakeSummary {
        let Stage::Running(tls) = &self.stage else {
            return HandshakeSummary {
                alpn: None,
                server_name: None,
                peer_certificates: Vec::new(),
                suite: None,
                exporter: None,
                resumed: false,
            };
        };
        let server_name = match &**tls {
            quic::Connection::Client(_) => self.server_name.clone(),
            quic::Connection::Server(tls) => tls.server_name().map(str::to_owned),
        };
        let certificates = tls.peer_certificates().unwrap_or_default();
        HandshakeSummary {
            alpn: tls.alpn_protocol().map(<[u8]>::to_vec),
            server_name,
            peer_certificates: certificates.iter().map(|cert| cert.clone().into_owned()).collect(),
            suite: tls.negotiated_cipher_suite().map(|suite| suite.suite()),
            exporter: self.suite.and_then(|suite| self.secrets.exporter(suite)),
            resumed: self.kind() == Some(HandshakeKind::Resumed),
        }
    }
}

fn wrong_level() -> TransportError {
    TransportError::protocol_violation("CRYPTO data at a level that TLS does not read from now")
}

/// What rustls calls a version of QUIC.
fn tls_version(version: Version) -> quic::Version {
    match version {
        Version::V1 => quic::Version::V1,
        Version::V2 => quic::Version::V2,
    }
}

/// A connection's own copy of a server's configuration.
fn for_quic(
    config: &rustls::ServerConfig,
    key_log: Arc<dyn KeyLog>,
    shown_in: Version,
    promises: Promises,
) -> rustls::ServerConfig {
    let mut config = config.clone();
    config.key_log = key_log;
    // How much data may come early is for flow control to say (RFC 9001, Section 4.6.1).
    config.max_early_data_size = if promises.limits.is_some() { u32::MAX } else { 0 };
    if config.ticketer.enabled() {
        // rustls takes no 0-RTT with tickets that can be shown twice.
        let promises = Promises { limits: None, ..promises.clone() };
        config.ticketer = Arc::new(Bound::new(&config.ticketer, shown_in.wire(), promises));
    }
    config.session_storage = Arc::new(Bound::new(&config.session_storage, shown_in.wire(), promises));
    config
}

fn suite_in_use(tls: &quic::Connection) -> Option<Suite> {
    tls.negotiated_cipher_suite().and_then(|suite| suite_of(suite.suite()))
}

fn suite_of(suite: CipherSuite) -> Option<Suite> {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => Some(Suite::Aes128Gcm),
        CipherSuite::TLS13_AES_256_GCM_SHA384 => Some(Suite::Aes256Gcm),
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => Some(Suite::ChaCha20Poly1305),
        _ => None,
    }
}

/// The alert that TLS raised, but for what QUIC wants to be said in another way.
fn code_of(tls: &quic::Connection, error: &rustls::Error) -> Code {
    match error {
        // RFC 9001, Section 4.4: there is no authentication after the handshake.
        rustls::Error::InappropriateHandshakeMessage {
            got_type: HandshakeType::CertificateRequest, ..
        } if !tls.is_handshaking() => Code::PROTOCOL_VIOLATION,
        // Section 8.1: whichever side finds that there is no protocol in common.
        rustls::Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedApplicationProtocol) => {
            Code::crypto(NO_APPLICATION_PROTOCOL)
        }
        _ => tls.alert().map_or(Code::PROTOCOL_VIOLATION, |alert| Code::crypto(alert.into())),
    }
}

/// How CONNECTION_CLOSE reports what TLS found wrong (RFC 9001, Section 4.8).
fn fault_of(tls: &quic::Connection, error: &rustls::Error) -> TransportError {
    let code = code_of(tls, error);
    let reason = match error {
        rustls::Error::NoApplicationProtocol => "no application protocol in common",
        rustls::Error::InvalidCertificate(_) => "the peer's certificate does not verify",
        rustls::Error::NoCertificatesPresented => "the peer has no certificate",
        rustls::Error::PeerIncompatible(_) => "nothing in common with the peer's TLS",
        rustls::Error::InappropriateMessage { .. } | rustls::Error::InappropriateHandshakeMessage { .. } => {
            "a TLS message out of turn"
        }
        rustls::Error::InvalidMessage(_) => "a TLS message that cannot be read",
        rustls::Error::PeerMisbehaved(_) => "the peer breaks the rules of TLS",
        rustls::Error::DecryptError => "the peer's proof of the handshake does not verify",
        _ => "the TLS handshake failed",
    };
    TransportError { code, frame: 0, reason }
}

/// How far the message that TLS reads has come: four bytes of type and length, and a body.
#[derive(Debug, Default)]
struct Message {
    header: [u8; 4],
    header_len: usize,
    body_left: usize,
}

impl Message {
    /// Takes as many of `bytes` as belong to the message, and says how many.
    fn take(&mut self, bytes: &[u8]) -> usize {
        if self.is_over() {
            *self = Self::default();
        }
        let open = self.header.get_mut(self.header_len..).unwrap_or_default();
        let of_header = bytes.len().min(open.len());
        for (to, from) in open.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.header_len += of_header;
        if of_header > 0 && self.header_len == self.header.len() {
            let [_, high, middle, low] = self.header.map(usize::from);
            self.body_left = high << 16 | middle << 8 | low;
        }
        let of_body = self.body_left.min(bytes.len() - of_header);
        self.body_left -= of_body;
        of_header + of_body
    }

    /// Whether the last byte has come.
    fn is_over(&self) -> bool {
        self.header_len == self.header.len() && self.body_left == 0
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("side", &self.side)
            .field("reading", &self.reading)
            .field("writing", &self.writing)
            .field("suite", &self.suite)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
