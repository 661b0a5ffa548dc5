//! The secret that stateless reset tokens come from (RFC 9000, Section 10.3.2).

use std::fmt;
use std::sync::Arc;

use ring::hmac;

use crate::id::{ConnectionId, ResetToken};

/// Makes the reset token of any connection ID of ours, so that none need be remembered.
///
/// Two endpoints with the same secret make the same tokens: an endpoint that takes over another's connection IDs can
/// reset its connections.
#[derive(Clone)]
pub struct ResetKey(Arc<hmac::Key>);

impl ResetKey {
    /// A key from 32 secret random bytes.
    pub fn new(secret: [u8; 32]) -> Self {
        Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &secret)))
    }

    /// The token of `id`: an HMAC over the ID and nothing else, cut to 16 bytes.
    pub fn token(&self, id: &ConnectionId) -> ResetToken {
        let tag = hmac::sign(&self.0, id);
        ResetToken(*tag.as_ref().first_chunk().expect("HMAC-SHA256 has 32 bytes"))
    }
}

impl fmt::Debug for ResetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResetKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(bytes: &[u8]) -> ConnectionId {
        ConnectionId::new(bytes).expect("at most 20 bytes")
    }

    #[test]
    fn a_token_follows_from_the_secret_and_the_id() {
        let (one, same, other) = (ResetKey::new([1; 32]), ResetKey::new([1; 32]), ResetKey::new([2; 32]));
        assert_eq!(one.token(&id(&[7; 8])), same.token(&id(&[7; 8])));
        assert_ne!(one.token(&id(&[7; 8])), one.token(&id(&[8; 8])));
        assert_ne!(one.token(&id(&[7; 8])), other.token(&id(&[7; 8])));
    }

    #[test]
    fn ids_that_differ_only_in_length_have_different_tokens() {
        let key = ResetKey::new([1; 32]);
        assert_ne!(key.token(&id(&[0; 4])), key.token(&id(&[0; 5])));
    }

    #[test]
    fn a_reset_key_is_not_printed() {
        assert_eq!(format!("{:?}", ResetKey::new([0xab; 32])), "ResetKey(..)");
    }
}
