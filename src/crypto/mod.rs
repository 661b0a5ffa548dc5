//! Packet protection and the TLS handshake (RFC 9001).

mod hello;
mod keys;
mod schedule;
mod stream;
mod token;

pub use keys::{KeyRing, OpenError, Opened};
pub use schedule::{Secret, Suite};
pub use stream::CryptoStream;
pub use token::ResetKey;
