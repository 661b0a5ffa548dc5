//! A peer that may say anything: real keys from a real TLS handshake, and packets put together by hand.
//!
//! It shares no code with the library. A [`Stage`] puts it on the simulated network before one of our endpoints, lets it
//! shake hands as an honest peer would, and then sends whatever a test makes up, in any packet, and listens.

#![expect(dead_code, unused_imports, reason = "each test says its share of what can be said")]

mod params;
mod peer;
mod stage;
pub mod wire;

pub use params::Params;
pub use peer::{Draft, Forger, Say, Setup, Space, ids};
pub use stage::{FIRST_DCID, FORGER, OURS, Stage, Victim};
