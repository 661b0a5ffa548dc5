//! Which stateless reset tokens the endpoint is to watch for (RFC 9000, Section 10.3).
//!
//! Only tokens of connection IDs in use count (Section 10.3.1): one that was never used proves nothing, and
//! one that was retired is void. [`RemoteIds`](super::RemoteIds) notes what changes here, the connection
//! passes it on.

use std::collections::VecDeque;

use crate::id::ResetToken;

/// What the endpoint's table has to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenChange {
    /// A datagram that ends with this token is a reset from now on.
    Watch(ResetToken),
    /// No longer.
    Forget(ResetToken),
}

/// Changes that the endpoint has not been told of. A change and its opposite cancel each other, so there are
/// never more than tokens the endpoint holds and tokens in use together, however long nobody asks. `None` if there are
/// none.
#[derive(Debug, Default)]
#[expect(clippy::box_collection, reason = "there are none almost always: a pointer is enough")]
pub(super) struct TokenChanges(Option<Box<VecDeque<TokenChange>>>);

const _: () = assert!(size_of::<TokenChanges>() <= 8);

impl TokenChanges {
    /// The token's ID came into use.
    pub(super) fn watch(&mut self, token: Option<ResetToken>) {
        if let Some(token) = token {
            self.note(TokenChange::Watch(token), TokenChange::Forget(token));
        }
    }

    /// The token's ID was retired.
    pub(super) fn forget(&mut self, token: Option<ResetToken>) {
        if let Some(token) = token {
            self.note(TokenChange::Forget(token), TokenChange::Watch(token));
        }
    }

    fn note(&mut self, change: TokenChange, opposite: TokenChange) {
        let changes = self.0.get_or_insert_default();
        match changes.iter().position(|noted| *noted == opposite) {
            Some(at) => drop(changes.remove(at)),
            None => changes.push_back(change),
        }
    }

    /// The next change to pass on.
    #[inline]
    pub(super) fn poll(&mut self) -> Option<TokenChange> {
        let next = self.0.as_mut()?.pop_front();
        if next.is_none() {
            self.0 = None;
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(n: u8) -> Option<ResetToken> {
        Some(ResetToken([n; 16]))
    }

    #[test]
    fn changes_are_told_in_order() {
        let mut changes = TokenChanges::default();
        changes.watch(token(1));
        changes.watch(None);
        changes.forget(token(2));
        assert_eq!(changes.poll(), token(1).map(TokenChange::Watch));
        assert_eq!(changes.poll(), token(2).map(TokenChange::Forget));
        assert_eq!(changes.poll(), None);
        assert!(changes.0.is_none());
    }

    #[test]
    fn a_change_and_its_opposite_cancel_each_other() {
        let mut changes = TokenChanges::default();
        for n in 0..200 {
            changes.watch(token(n));
            changes.forget(token(n));
        }
        assert_eq!(changes.poll(), None);
    }
}
