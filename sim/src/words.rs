//! Literals of tests, short to write.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// An address and a port: `45.0.0.1:443`, `[2a00::1]:443`.
///
/// # Panics
///
/// When it is none.
pub fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap_or_else(|_| panic!("{text} is not an address and a port"))
}

/// An address without a port: `45.0.0.1`, `2a00::1`.
///
/// # Panics
///
/// When it is none.
pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|_| panic!("{text} is not an address"))
}

/// Milliseconds.
pub fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Seconds.
pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
