//! From a datagram's connection ID or reset token to the connection it belongs to.
//!
//! Lookups go through a keyed hash, so that a peer that picks its own IDs cannot make them collide. The tables are
//! never walked.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};

use crate::id::{ConnectionHandle, ConnectionId, ResetToken};

/// Folds bytes with two secret words; fast for the 8 bytes of our own connection IDs.
#[derive(Debug, Clone, Copy)]
struct Keyed([u64; 2]);

impl BuildHasher for Keyed {
    type Hasher = Folding;
    fn build_hasher(&self) -> Folding {
        Folding { state: self.0[0], key: self.0[1] | 1 }
    }
}

#[derive(Debug)]
struct Folding {
    state: u64,
    key: u64,
}

impl Folding {
    #[inline]
    fn fold(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(self.key ^ 0x9e37_79b9_7f4a_7c15);
        let [high, low] = [(product >> 64) as u64, product as u64];
        self.state = high ^ low.rotate_left(23) ^ self.key;
    }
}

impl Hasher for Folding {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.fold(u64::from_le_bytes(word));
        }
    }

    #[inline]
    fn write_u8(&mut self, value: u8) {
        self.fold(value.into());
    }

    #[inline]
    fn write_usize(&mut self, value: usize) {
        self.fold(value as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.state ^ (self.state >> 29)
    }
}

/// The tables of one endpoint.
#[derive(Debug)]
pub struct Router {
    ids: HashMap<ConnectionId, ConnectionHandle, Keyed>,
    tokens: HashMap<[u8; 16], ConnectionHandle, Keyed>,
    /// The last answer: datagrams of one connection come in trains.
    last: Option<(ConnectionId, ConnectionHandle)>,
}

impl Router {
    /// Empty tables under this key, which must be random and secret.
    pub fn new(key: [u64; 2]) -> Self {
        let (ids, tokens) = (HashMap::with_hasher(Keyed(key)), HashMap::with_hasher(Keyed(key)));
        Self { ids, tokens, last: None }
    }

    /// Whose packets carry the ID with these bytes.
    #[inline]
    pub fn find(&mut self, id: &[u8]) -> Option<ConnectionHandle> {
        match &self.last {
            Some((last, handle)) if last.is(id) => Some(*handle),
            _ => self.look_up(id),
        }
    }

    fn look_up(&mut self, id: &[u8]) -> Option<ConnectionHandle> {
        let id = ConnectionId::new(id)?;
        let handle = *self.ids.get(&id)?;
        self.last = Some((id, handle));
        Some(handle)
    }

    /// Whom a stateless reset with this token ends.
    pub fn find_token(&self, token: &ResetToken) -> Option<ConnectionHandle> {
        self.tokens.get(&token.0).copied()
    }

    /// Packets with this ID are for `handle` from now on, unless another connection has it.
    pub fn insert(&mut self, id: ConnectionId, handle: ConnectionHandle) {
        self.ids.entry(id).or_insert(handle);
    }

    /// Packets with this ID are for `handle` no longer.
    pub fn remove(&mut self, id: &ConnectionId, handle: ConnectionHandle) {
        if self.ids.get(id) == Some(&handle) {
            self.ids.remove(id);
            self.last = None;
        }
    }

    /// This token is a stateless reset for `handle`, unless another connection has it.
    pub fn insert_token(&mut self, token: ResetToken, handle: ConnectionHandle) {
        self.tokens.entry(token.0).or_insert(handle);
    }

    /// This token means nothing for `handle` any more.
    pub fn remove_token(&mut self, token: &ResetToken, handle: ConnectionHandle) {
        if self.tokens.get(&token.0) == Some(&handle) {
            self.tokens.remove(&token.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ConnectionHandle = ConnectionHandle { slot: 0, generation: 1 };
    const B: ConnectionHandle = ConnectionHandle { slot: 1, generation: 1 };

    fn id(byte: u8) -> ConnectionId {
        ConnectionId::new(&[byte; 8]).expect("eight bytes are a connection ID")
    }

    #[test]
    fn an_id_leads_to_its_connection_until_it_is_removed() {
        let mut router = Router::new([1, 2]);
        router.insert(id(7), A);
        assert_eq!(router.find(&id(7)), Some(A));
        router.remove(&id(7), A);
        assert_eq!(router.find(&id(7)), None);
    }

    #[test]
    fn an_id_that_is_taken_is_not_stolen() {
        let mut router = Router::new([1, 2]);
        router.insert(id(7), A);
        router.insert(id(7), B);
        router.remove(&id(7), B);
        assert_eq!(router.find(&id(7)), Some(A));
    }

    #[test]
    fn a_hash_depends_on_its_key() {
        let hash = |key| Keyed(key).hash_one(id(7));
        assert_ne!(hash([1, 2]), hash([1, 5]));
        assert_ne!(hash([1, 2]), hash([2, 2]));
    }
}
