//! What went over the network: a hash of all of it, and a log to read for who asks with `SIM_LOG=1`.

use std::net::SocketAddr;

use peregrine::Instant;

use super::dice::{fold, mix};

/// The record of one run.
#[derive(Debug)]
pub struct Trace {
    hash: u64,
    datagrams: u64,
    bytes: u64,
    loud: bool,
}

impl Default for Trace {
    fn default() -> Self {
        let loud = std::env::var_os("SIM_LOG").is_some();
        Self { hash: 0xcbf2_9ce4_8422_2325, datagrams: 0, bytes: 0, loud }
    }
}

impl Trace {
    /// A datagram is put on the network.
    pub(crate) fn datagram(&mut self, at: Instant, from: SocketAddr, to: SocketAddr, len: usize) {
        self.datagrams += 1;
        self.bytes += len as u64;
        let words = [at.as_micros(), endpoint(from), endpoint(to), len as u64];
        self.hash = words.iter().fold(self.hash, |hash, word| fold(mix(hash), &word.to_be_bytes()));
    }

    /// Something to be read by who asked for the log.
    pub(crate) fn note(&mut self, at: Instant, text: impl FnOnce() -> String) {
        if self.loud {
            let micros = at.as_micros();
            eprintln!("{:>6}.{:03} ms  {}", micros / 1000, micros % 1000, text());
        }
    }

    /// One number for the whole run so far.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// How many datagrams were sent.
    pub fn datagrams(&self) -> u64 {
        self.datagrams
    }

    /// How many bytes were sent.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// An address and a port in one word.
fn endpoint(address: SocketAddr) -> u64 {
    let ip = match address.ip() {
        std::net::IpAddr::V4(ip) => u64::from(ip.to_bits()),
        std::net::IpAddr::V6(ip) => mix(fold(0, &ip.octets())),
    };
    mix(ip) ^ u64::from(address.port())
}
