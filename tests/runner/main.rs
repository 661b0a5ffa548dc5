//! The test cases of the QUIC interop runner in the simulator: its links, its files, its criteria.
//!
//! The runner judges by packet captures and the secrets of TLS; so do these tests ([`sniffer`]). Where a criterion does not
//! depend on a file's size, the file is smaller than the runner's, and the test says so. Each case prints a line that
//! begins with `matrix:`; `cargo test --test runner -- --nocapture` shows them.

mod frames;
mod keys;
mod lab;
mod moving;
mod plain;
mod resumption;
mod sniffer;
mod speed;
mod tls;
mod trouble;
mod versions;
