//! Explicit: the server says where it will be before it moves (reference, Section 3.3).

use std::net::SocketAddr;

use crate::error::TransportError;
use crate::frame::MigrationTarget;
use crate::time::Instant;

/// A client was told where the server will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Announced {
    /// What the frame named.
    pub target: MigrationTarget,
    /// The endpoint of the family in use.
    pub address: SocketAddr,
    /// When the announcement came.
    pub since: Instant,
}

impl Announced {
    /// Reads an announcement that is the first of its move.
    ///
    /// # Errors
    ///
    /// A target without an endpoint of the family in use (reference, C8).
    pub fn new(now: Instant, target: MigrationTarget, home: SocketAddr) -> Result<Self, TransportError> {
        let address = target.like(home).ok_or(TransportError::protocol_violation(
            "the server's target has no address of the family in use",
        ))?;
        Ok(Self { target, address, since: now })
    }

    /// Hears an announcement once more: the same one says nothing new.
    ///
    /// # Errors
    ///
    /// Another target before the move was completed (reference, C10).
    pub fn again(&self, target: MigrationTarget) -> Result<(), TransportError> {
        if target == self.target {
            return Ok(());
        }
        Err(TransportError::protocol_violation("another target before the announced migration completed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    fn target(address: &str) -> MigrationTarget {
        MigrationTarget::single(address.parse().expect("an address")).expect("a whole endpoint")
    }

    fn home() -> SocketAddr {
        "192.0.2.1:443".parse().expect("an address")
    }

    #[test]
    fn a_target_of_the_other_family_is_a_violation() {
        let heard = Announced::new(Instant::ZERO, target("[2001:db8::1]:443"), home());
        assert_eq!(heard.map_err(|e| e.code), Err(Code::PROTOCOL_VIOLATION));
    }

    #[test]
    fn the_same_target_again_says_nothing_new_and_another_is_a_violation() {
        let announced =
            Announced::new(Instant::ZERO, target("192.0.2.2:443"), home()).expect("the same family");
        assert_eq!(announced.again(target("192.0.2.2:443")), Ok(()));
        assert!(announced.again(target("192.0.2.3:443")).is_err());
    }
}
