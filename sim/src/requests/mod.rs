//! The ready-made application: requests and responses, checked byte by byte at both ends.
//!
//! A request is 24 bytes of head (a key, how many bytes go up, how many come down: eight bytes each, big-endian), then
//! the content of the key; when its end has come, the response is the content of the key's complement. A download has
//! nothing to go up, an upload little to come down, an echo as much of one as of the other.

mod client;
mod content;
mod server;

use std::time::Duration;

use peregrine::{Dir, Instant};

pub use client::Client;
pub use content::fill;
pub use server::Server;

/// Length of a request's head in bytes.
const HEAD: u64 = 24;

/// One request and its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Bidirectional; or unidirectional, without a response.
    pub dir: Dir,
    /// Bytes of content that go up.
    pub up: u64,
    /// Bytes that come down.
    pub down: u64,
}

/// A request that was served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// When it was handed to the transport.
    pub asked: Instant,
    /// How long until its response, or for one without a response its acknowledgement, was complete.
    pub took: Duration,
}
