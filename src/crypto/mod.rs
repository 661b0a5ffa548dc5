//! Packet protection and the TLS handshake (RFC 9001).

mod keys;
mod schedule;
mod token;

pub use keys::{KeyRing, OpenError, Opened};
pub use schedule::{Secret, Suite};
pub use token::ResetKey;
