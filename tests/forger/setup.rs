//! What is peculiar about a forger, and the packet number spaces that it speaks in.

use rustls::quic::Version;

use super::params::Params;
use sim::tls;

/// A packet number space, and the packets of it that are forged; those of 0-RTT are [`Forger::seal_early`]'s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Space {
    Initial,
    Handshake,
    OneRtt,
}

impl Space {
    pub const ALL: [Self; 3] = [Self::Initial, Self::Handshake, Self::OneRtt];
}

/// Changes the TLS messages of one space before they are sent.
pub type Edit = fn(Space, Vec<u8>) -> Vec<u8>;
/// Changes the transport parameters.
pub type Say = Box<dyn Fn(Params) -> Params>;

/// What is peculiar about a forger.
pub struct Setup {
    /// Its connection ID.
    pub scid: Vec<u8>,
    /// The version of QUIC that it speaks.
    pub version: Version,
    /// What it makes of honest transport parameters.
    pub params: Say,
    /// What it makes of TLS messages.
    pub edit: Edit,
    /// Protocols that a client offers.
    pub client_alpn: Vec<Vec<u8>>,
    /// Whether a server selects a protocol that was not offered.
    pub server_alpn: Vec<Vec<u8>>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            scid: vec![0xf0, 1, 2, 3, 4, 5, 6, 7],
            version: Version::V1,
            params: Box::new(|params| params),
            edit: |_, bytes| bytes,
            client_alpn: vec![tls::ALPN.to_vec()],
            server_alpn: vec![tls::ALPN.to_vec()],
        }
    }
}

impl Setup {
    /// Says these transport parameters.
    pub fn params(say: impl Fn(Params) -> Params + 'static) -> Self {
        Self { params: Box::new(say), ..Self::default() }
    }

    /// Says these TLS messages.
    pub fn edit(edit: Edit) -> Self {
        Self { edit, ..Self::default() }
    }
}
