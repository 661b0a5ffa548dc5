//! Where our connection IDs come from, and whose a foreign one is (RFC 9000, Section 5.1).
//!
//! An [`Endpoint`](crate::Endpoint) takes all IDs that it and its connections issue from one
//! [`ConnectionIdGenerator`]. It keeps no randomness of its own: what is random in an ID is drawn from the source it is
//! handed.

use std::fmt;

use crate::error::ConfigError;
use crate::id::{ConnectionId, MAX_CID_LEN};
use crate::rng::Rng;

/// Whose a connection ID is, as far as its bytes tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// This endpoint's, though perhaps of a connection that is over.
    Mine,
    /// That of another endpoint behind the same load balancer.
    Another,
    /// The bytes do not tell.
    Unknown,
}

/// Makes the connection IDs of an endpoint.
///
/// Shared by all connections of the endpoint, and by several endpoints if they are one server to the world.
pub trait ConnectionIdGenerator: Send + Sync + fmt::Debug {
    /// Makes an ID of [`id_len`](Self::id_len) bytes that no other connection has, with randomness from `rng`.
    ///
    /// A stranger must not be able to tell that two IDs belong to one connection (RFC 9000, Section 5.1).
    fn generate(&self, rng: &mut dyn Rng) -> ConnectionId;

    /// Length of every ID in bytes, 1 to 20 and always the same: short headers do not say it.
    fn id_len(&self) -> usize;

    /// Whose ID this is. Asked only about IDs of packets that belong to no connection of the endpoint; they may have
    /// any length and come from anybody.
    fn owner(&self, id: &ConnectionId) -> Owner;

    /// Whether a packet with this ID that belongs to no connection may be answered with a stateless reset.
    ///
    /// An endpoint that shares its reset secret must say no to all IDs that may be in use at another, or it ends
    /// connections that live there (RFC 9000, Section 21.11). Unless overridden, yes to all but another's.
    fn may_reset(&self, id: &ConnectionId) -> bool {
        self.owner(id) != Owner::Another
    }
}

/// Random connection IDs: the default. They tell nobody anything, so nothing can be routed by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RandomIds {
    len: usize,
}

impl RandomIds {
    /// IDs of 8 bytes.
    pub const DEFAULT: Self = Self { len: 8 };

    /// IDs of `len` bytes, 1 to 20.
    ///
    /// # Errors
    ///
    /// Zero, or more than 20: connections could not be told apart by address alone once one end moves.
    pub fn new(len: usize) -> Result<Self, ConfigError> {
        check_len(len)?;
        Ok(Self { len })
    }
}

impl ConnectionIdGenerator for RandomIds {
    fn generate(&self, rng: &mut dyn Rng) -> ConnectionId {
        let bytes: [u8; MAX_CID_LEN] = rng.bytes();
        ConnectionId::new(&bytes[..self.len]).expect("at most 20 bytes are a connection ID")
    }

    fn id_len(&self) -> usize {
        self.len
    }

    fn owner(&self, _id: &ConnectionId) -> Owner {
        Owner::Unknown
    }
}

/// Refuses a length that connection IDs of ours cannot have.
pub fn check_len(len: usize) -> Result<(), ConfigError> {
    if len == 0 || len > MAX_CID_LEN {
        return Err(ConfigError { setting: "cid_len", reason: "use 1 to 20 bytes" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::SeededRng;

    #[test]
    fn a_random_id_has_the_length_asked_for() {
        let mut rng = SeededRng::new(1);
        for len in [1, 8, 20] {
            let ids = RandomIds::new(len).expect("a length that can be");
            assert_eq!((ids.id_len(), ids.generate(&mut rng).len()), (len, len));
        }
        assert_ne!(RandomIds::DEFAULT.generate(&mut rng), RandomIds::DEFAULT.generate(&mut rng));
    }

    #[test]
    fn an_id_without_bytes_or_with_too_many_cannot_be_had() {
        assert_eq!([0, 21, usize::MAX].map(|len| RandomIds::new(len).is_err()), [true; 3]);
    }

    #[test]
    fn a_random_id_is_nobodys_and_may_be_reset() {
        let id = RandomIds::DEFAULT.generate(&mut SeededRng::new(1));
        assert_eq!(RandomIds::DEFAULT.owner(&id), Owner::Unknown);
        assert!(RandomIds::DEFAULT.may_reset(&id));
    }
}
