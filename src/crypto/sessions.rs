//! A server's memory of the sessions it gave tickets for: rustls' own entries, each with what was promised along with it.
//!
//! A client that resumes sends 0-RTT data within the limits of the connection its ticket is from, so a server that
//! accepts such data must not permit less now (RFC 9000, Section 7.4.1), and a ticket is of one version of QUIC alone
//! (RFC 9369, Section 5). A session whose promises cannot be kept is not found: the handshake is a full one then.

use std::sync::Arc;

use rustls::server::{ProducesTickets, StoresServerSessions};

/// Ends an entry of ours; other users of the same store leave none.
const MARK: [u8; 8] = *b"quic-lim";

/// What is promised with each ticket of a connection, and held against those that it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promises {
    /// The version of QUIC.
    pub version: u32,
    /// The limits that a client remembers; none of them may shrink. `None`: it may send no 0-RTT data.
    pub limits: Option<Box<[u64]>>,
}

impl Promises {
    /// Whether a server with these limits takes 0-RTT data as was promised, or takes none.
    fn are_kept_by(&self, now: Option<&[u64]>) -> bool {
        match (&self.limits, now) {
            (Some(then), Some(now)) => then.len() == now.len() && then.iter().zip(now).all(|(a, b)| a <= b),
            // It was not promised, or is not accepted any more.
            (None, _) | (_, None) => true,
        }
    }

    /// Appends them to rustls' entry.
    fn append_to(&self, entry: &mut Vec<u8>) {
        let limits = self.limits.as_deref().unwrap_or_default();
        limits.iter().for_each(|limit| entry.extend(limit.to_be_bytes()));
        entry.extend(self.version.to_be_bytes());
        entry.push(u8::try_from(limits.len()).expect("limits are a few"));
        entry.extend(MARK);
    }

    /// Takes them off an entry; `None` if it is not one of ours.
    fn take_from(entry: &mut Vec<u8>) -> Option<Self> {
        let (rest, mark) = entry.split_last_chunk::<8>()?;
        let (count, rest) = rest.split_last().filter(|_| *mark == MARK)?;
        let (rest, version) = rest.split_last_chunk::<4>()?;
        let own = rest.len().checked_sub(8 * usize::from(*count))?;
        let limits = rest[own..]
            .chunks_exact(8)
            .map(|limit| u64::from_be_bytes(limit.try_into().expect("a chunk of eight bytes")));
        let limits: Box<[u64]> = limits.collect();
        let promises =
            Self { version: u32::from_be_bytes(*version), limits: (!limits.is_empty()).then_some(limits) };
        entry.truncate(own);
        Some(promises)
    }
}

/// The embedder's memory of sessions, or its way to put them into tickets, as one connection's server uses it.
#[derive(Debug)]
pub struct Bound<T: ?Sized> {
    inner: Arc<T>,
    /// The version of the client's first flight.
    shown_in: u32,
    promises: Promises,
}

impl<T: ?Sized> Bound<T> {
    /// Makes these promises with each ticket, and looks at those of tickets that are `shown_in` this version.
    pub fn new(inner: &Arc<T>, shown_in: u32, promises: Promises) -> Self {
        Self { inner: Arc::clone(inner), shown_in, promises }
    }

    fn bind(&self, mut entry: Vec<u8>) -> Vec<u8> {
        self.promises.append_to(&mut entry);
        entry
    }

    fn judge(&self, mut entry: Vec<u8>) -> Option<Vec<u8>> {
        let limits = self.promises.limits.as_deref();
        let holds = match Promises::take_from(&mut entry) {
            Some(promises) => promises.version == self.shown_in && promises.are_kept_by(limits),
            // What another user of the store promised is not known.
            None => limits.is_none(),
        };
        holds.then_some(entry)
    }
}

impl StoresServerSessions for Bound<dyn StoresServerSessions> {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.inner.put(key, self.bind(value))
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.judge(self.inner.get(key)?)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.judge(self.inner.take(key)?)
    }

    fn can_cache(&self) -> bool {
        self.inner.can_cache()
    }
}

impl ProducesTickets for Bound<dyn ProducesTickets> {
    fn enabled(&self) -> bool {
        self.inner.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.inner.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.inner.encrypt(&self.bind(plain.to_vec()))
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.judge(self.inner.decrypt(cipher)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn promises(version: u32, limits: &[u64]) -> Promises {
        Promises { version, limits: (!limits.is_empty()).then(|| limits.into()) }
    }

    fn store() -> Arc<dyn StoresServerSessions> {
        rustls::server::ServerSessionMemoryCache::new(8)
    }

    /// The store of a server that negotiates no version.
    fn bound(store: &Arc<dyn StoresServerSessions>, promises: Promises) -> Bound<dyn StoresServerSessions> {
        Bound::new(store, promises.version, promises)
    }

    /// What a server with the promises of `now` finds of a session kept by one with those of `then`.
    fn found(then: Promises, now: Promises) -> Option<Vec<u8>> {
        let store = store();
        assert!(bound(&store, then).put(vec![1], b"session".to_vec()));
        bound(&store, now).take(&[1])
    }

    #[test]
    fn a_session_is_found_as_it_was_put() {
        let found = found(promises(1, &[10, 20]), promises(1, &[10, 21]));
        assert_eq!(found.as_deref(), Some(&b"session"[..]));
    }

    #[test]
    fn a_session_is_found_once() {
        let store = store();
        let sessions = bound(&store, promises(1, &[10]));
        assert!(sessions.put(vec![1], b"session".to_vec()));
        assert!(sessions.take(&[1]).is_some());
        assert_eq!(sessions.take(&[1]), None);
    }

    #[test]
    fn a_session_with_a_limit_that_shrank_is_not_found() {
        assert_eq!(found(promises(1, &[10, 20]), promises(1, &[11, 19])), None);
    }

    #[test]
    fn limits_do_not_matter_without_early_data() {
        assert!(found(promises(1, &[10]), promises(1, &[])).is_some());
        assert!(found(promises(1, &[]), promises(1, &[10])).is_some());
    }

    #[test]
    fn a_session_of_another_version_is_not_found() {
        assert_eq!(found(promises(1, &[]), promises(2, &[])), None);
    }

    #[test]
    fn a_session_is_of_the_version_that_was_negotiated_and_shown_in_the_first() {
        let store = store();
        assert!(Bound::new(&store, 1, promises(2, &[])).put(vec![1], b"session".to_vec()));
        assert!(Bound::new(&store, 2, promises(1, &[])).take(&[1]).is_some());
    }

    #[test]
    fn tickets_that_hold_the_session_are_bound_to_a_version_too() {
        #[derive(Debug)]
        struct Plain;
        impl ProducesTickets for Plain {
            fn enabled(&self) -> bool {
                true
            }
            fn lifetime(&self) -> u32 {
                60
            }
            fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
                Some(plain.to_vec())
            }
            fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
                Some(cipher.to_vec())
            }
        }
        let plain: Arc<dyn ProducesTickets> = Arc::new(Plain);
        let ticket = Bound::new(&plain, 1, promises(1, &[])).encrypt(b"session").expect("a ticket");
        let shown_in = |version| Bound::new(&plain, version, promises(1, &[])).decrypt(&ticket);
        assert_eq!((shown_in(1).as_deref(), shown_in(2)), (Some(&b"session"[..]), None));
    }

    #[test]
    fn a_session_of_another_user_of_the_store_is_found_without_early_data_alone() {
        let store = store();
        for key in [1, 2] {
            assert!(store.put(vec![key], b"session".to_vec()));
        }
        assert_eq!(bound(&store, promises(1, &[10])).take(&[1]), None);
        assert!(bound(&store, promises(1, &[])).take(&[2]).is_some());
    }

    #[test]
    fn an_entry_that_is_cut_anywhere_is_not_ours() {
        let mut whole = b"session".to_vec();
        promises(1, &[10, 20]).append_to(&mut whole);
        for len in 0..whole.len() {
            assert_eq!(Promises::take_from(&mut whole[..len].to_vec()), None, "{len} bytes");
        }
        // One that promises more limits than it has.
        let mut short = whole[whole.len() - 13..].to_vec();
        assert_eq!(Promises::take_from(&mut short), None);
    }
}
