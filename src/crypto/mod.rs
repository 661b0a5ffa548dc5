//! Packet protection and the TLS handshake (RFC 9001).
//!
//! [`Handshake`] turns CRYPTO bytes into CRYPTO bytes and [`KeyRing`]s; a [`KeyRing`] seals and opens packets;
//! [`CryptoStream`] carries the bytes. Nothing here knows a connection.

mod exporter;
mod hello;
mod key_log;
mod keys;
mod reset_key;
mod rustls;
mod schedule;
mod sessions;
mod stream;
#[cfg(test)]
pub mod testing;
mod token;

#[cfg(test)]
pub use keys::Opened;
pub use keys::{KeyRing, OpenError, Standing};
pub use reset_key::ResetKey;
pub use rustls::{Handshake, HandshakeSummary, Resume, TlsRefused};
pub use schedule::{Secret, Suite};
pub use stream::CryptoStream;
pub use token::{SALT_LEN, Token, TokenKey};

/// An encryption level of TLS, as far as CRYPTO data is sent at it (RFC 9001, Section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Initial packets.
    Initial,
    /// Handshake packets.
    Handshake,
    /// 1-RTT packets.
    OneRtt,
}

/// What a [`Handshake`] has to say.
#[derive(Debug)]
pub enum Output {
    /// CRYPTO bytes to be sent at a level.
    Bytes(Level, Vec<u8>),
    /// The keys of a level.
    Keys(Level, KeyRing),
    /// The keys of 0-RTT packets, which a client seals and a server that accepts them opens.
    EarlyKeys(KeyRing),
}
