//! What the tests against foreign stacks share: our end at real sockets, the protocol spoken, certificates, and the
//! lines of which the matrix in README is made.
//!
//! The protocol is that of the interop runner, HTTP/0.9 over `hq-interop`: a client opens a stream and says
//! `GET /4096`, the server answers with that many bytes of [`content`].

mod client;
#[path = "../../../examples/common/driver.rs"]
mod driver;
mod matrix;
mod ours;
mod pki;
mod python;
mod quinn;
mod s2n;
mod server;

pub use client::Fetch;
pub use matrix::{report, unsupported};
pub use ours::Ours;
pub use pki::{ALPN, Identity, SERVER_NAME};
pub use python::{Aioquic, AioquicServer};
pub use quinn::{QuinnServer, quinn_fetch};
pub use s2n::{S2nServer, s2n_fetch};
pub use server::Files;

/// What a file of `len` bytes holds: a period of 251, so that no power of two hides a shift.
pub fn content(len: u64) -> impl Iterator<Item = u8> {
    (0..len).map(byte)
}

/// The byte at `offset` of any file.
fn byte(offset: u64) -> u8 {
    (offset % 251) as u8
}

/// The length that a request asks for, once its line is whole; `None` before.
///
/// # Errors
///
/// What was asked instead.
pub fn asked(line: &[u8]) -> Result<Option<u64>, String> {
    let Some(end) = line.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
    let text = String::from_utf8_lossy(&line[..end]);
    let len = text.trim_end().strip_prefix("GET /").and_then(|len| len.parse().ok());
    len.map(Some).ok_or_else(|| text.into_owned())
}
