//! Connection IDs: those we issue and those we may use (RFC 9000, Section 5.1).
//!
//! Both halves regenerate their frames from what they know, so nothing a peer does makes a queue grow.

mod local;
mod remote;
#[cfg(test)]
mod remote_tests;
mod retirements;
mod tokens;

pub use local::LocalIds;
pub use remote::{RemoteIds, Replaced};
pub use tokens::TokenChange;

use crate::id::{ConnectionId, MAX_CID_LEN};
use crate::rng::Rng;

/// A random connection ID of `len` bytes, at most 20.
pub fn random(len: usize, rng: &mut dyn Rng) -> ConnectionId {
    let bytes: [u8; MAX_CID_LEN] = rng.bytes();
    ConnectionId::new(&bytes[..len.min(MAX_CID_LEN)]).expect("at most 20 bytes are a connection ID")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::SeededRng;

    #[test]
    fn a_random_id_has_the_length_asked_for() {
        let mut rng = SeededRng::new(1);
        assert_eq!([0, 8, 20, 99].map(|len| random(len, &mut rng).len()), [0, 8, 20, 20]);
        assert_ne!(random(8, &mut rng), random(8, &mut rng));
    }
}
