//! Connection IDs: those we issue and those we may use (RFC 9000, Section 5.1).
//!
//! Both halves regenerate their frames from what they know, so nothing a peer does makes a queue grow.

mod generator;
mod local;
mod quic_lb;
mod remote;
#[cfg(test)]
mod remote_tests;
mod retirements;
mod tokens;

pub use generator::{ConnectionIdGenerator, Owner, RandomIds, check_len};
pub use local::LocalIds;
pub use quic_lb::{QuicLbConfig, QuicLbError, QuicLbIds, QuicLbRouter, ServerId, UnroutableIds};
pub use remote::{RemoteIds, Replaced};
pub use tokens::TokenChange;
