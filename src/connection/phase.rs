//! Where a connection stands in its life (RFC 9000, Sections 4.1.2 and 10).

use crate::time::Instant;

use super::close::Closing;

/// The phases of a connection, each with what only it needs.
#[derive(Debug)]
pub enum Phase {
    /// TLS is not complete.
    Handshaking {
        /// When it is given up.
        deadline: Instant,
    },
    /// Data flows. At a client the handshake may still be unconfirmed.
    Established {
        /// Whether the handshake is confirmed (RFC 9001, Section 4.1.2).
        confirmed: bool,
    },
    /// We said CONNECTION_CLOSE and repeat it when asked.
    Closing(Box<Closing>),
    /// The peer said it, or lost us: silence until it is over.
    Draining {
        /// When the connection may be forgotten.
        until: Instant,
    },
    /// Nothing is left but to forget it.
    Drained,
}

impl Phase {
    /// Whether frames are processed and data is sent.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Handshaking { .. } | Self::Established { .. })
    }

    /// Whether the handshake is complete.
    pub fn is_established(&self) -> bool {
        matches!(self, Self::Established { .. })
    }

    /// Whether the handshake is confirmed.
    pub fn is_confirmed(&self) -> bool {
        matches!(self, Self::Established { confirmed: true })
    }

    /// When a closing or draining connection may be forgotten.
    pub fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Handshaking { .. } | Self::Established { .. } | Self::Drained => None,
            Self::Closing(closing) => Some(closing.until),
            Self::Draining { until } => Some(*until),
        }
    }
}
