//! A peer that may say anything: real keys from a real TLS handshake, and packets put together by hand.
//!
//! It shares no code with the library. A [`Stage`] puts it on the simulated network before one of our endpoints, lets it
//! shake hands as an honest peer would, and then sends whatever a test makes up, in any packet, and listens.

#![expect(dead_code, unused_imports, reason = "each test says its share of what can be said")]

mod packet;
pub mod params;
mod peer;
mod setup;
mod stage;
pub mod wire;

pub use packet::ids;
pub use params::Params;
pub use peer::{Draft, Forger};
pub use setup::{Say, Setup, Space};
pub use stage::{FIRST_DCID, FORGER, OURS, Stage, Victim};
