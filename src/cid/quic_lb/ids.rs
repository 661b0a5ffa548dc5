//! The connection IDs of one server behind QUIC-LB load balancers (draft-ietf-quic-load-balancers, Section 5.4).
//!
//! What makes each of them different is a nonce that is never given twice (Section 9.6): a counter that begins anywhere,
//! shared by all endpoints that are this server. Without encryption, where it would be seen, the counter is scrambled.

use std::sync::atomic::{AtomicU64, Ordering};

use super::cipher::Cipher;
use super::{
    LOW_BITS, MAX_NONCE_LEN, QuicLbConfig, QuicLbError, ServerId, codepoint_of, said_len, unroutable,
};
use crate::cid::generator::{ConnectionIdGenerator, Owner};
use crate::id::{ConnectionId, MAX_CID_LEN};
use crate::rng::Rng;

/// Length of the counter in a nonce that has room for it, in bytes.
const COUNTER_LEN: usize = size_of::<u64>();

/// Makes the IDs of one server.
///
/// Endpoints of one process that are one server to the load balancer share one of these; processes with one server ID
/// each get [nonces of their own](Self::nonces). A stray is answered with a stateless reset only if its ID decodes to
/// this server, so that servers may share their reset secret.
#[derive(Debug)]
pub struct QuicLbIds {
    config: QuicLbConfig,
    server_id: ServerId,
    nonces: Nonces,
    /// What is not issued any more, but still in use.
    former: Vec<(QuicLbConfig, ServerId)>,
}

impl QuicLbIds {
    /// The IDs of the server that is called `server_id`. The first nonce is drawn from `rng`.
    ///
    /// # Errors
    ///
    /// [`QuicLbError::ServerIdLength`] if the configuration is for server IDs of another length.
    pub fn new(config: QuicLbConfig, server_id: ServerId, rng: &mut dyn Rng) -> Result<Self, QuicLbError> {
        if server_id.len() != config.server_id_len {
            return Err(QuicLbError::ServerIdLength);
        }
        let nonces = Nonces::new(&config, rng);
        Ok(Self { config, server_id, nonces, former: Vec::new() })
    }

    /// Issues `count` IDs at most, with the nonces from `first` on; to be said before the first is issued.
    ///
    /// A server that starts again under the same configuration goes on from its last
    /// [`next_nonce`](Self::next_nonce), and processes that share a server ID share out its nonces: under one key none may
    /// ever be used twice. Nonces of fewer than 8 bytes are counted modulo 256 to the power of their length. Without
    /// encryption nonces are scrambled, and this only bounds their number.
    pub fn nonces(mut self, first: u64, count: u64) -> Self {
        self.nonces.begin(first, count, self.config.nonce_len);
        self
    }

    /// IDs that were issued under `former` still are this server's, of which the name was `server_id` then (Section
    /// 3.1). Load balancers must keep the configuration as long as connections with such IDs last.
    ///
    /// # Errors
    ///
    /// [`QuicLbError::ServerIdLength`] as above. [`QuicLbError::IdLength`] if its connection IDs have another length: a
    /// server could not read short headers. [`QuicLbError::CodepointTaken`], and [`QuicLbError::ServerIdInTheClear`] if
    /// the server has the same ID with encryption and without (Section 9.7).
    pub fn formerly(mut self, former: QuicLbConfig, server_id: ServerId) -> Result<Self, QuicLbError> {
        if server_id.len() != former.server_id_len {
            return Err(QuicLbError::ServerIdLength);
        }
        if former.id_len() != self.config.id_len() {
            return Err(QuicLbError::IdLength);
        }
        for (other, other_id) in self.known() {
            if other.codepoint == former.codepoint {
                return Err(QuicLbError::CodepointTaken);
            }
            if other.is_encrypted() != former.is_encrypted() && *other_id == server_id {
                return Err(QuicLbError::ServerIdInTheClear);
            }
        }
        self.former.push((former, server_id));
        Ok(self)
    }

    /// How many IDs it can still issue. Have another configuration ready before there are none: IDs are random and not
    /// routable then (Section 9.6).
    pub fn nonces_left(&self) -> u64 {
        self.nonces.left()
    }

    /// The counter in the next nonce, from which [`nonces`](Self::nonces) can go on.
    pub fn next_nonce(&self) -> u64 {
        self.nonces.next()
    }

    fn known(&self) -> impl Iterator<Item = (&QuicLbConfig, &ServerId)> {
        let former = self.former.iter().map(|(config, server_id)| (config, server_id));
        std::iter::once((&self.config, &self.server_id)).chain(former)
    }
}

impl ConnectionIdGenerator for QuicLbIds {
    fn generate(&self, rng: &mut dyn Rng) -> ConnectionId {
        match self.nonces.take(self.config.nonce_len, rng) {
            Some(nonce) => {
                let [noise] = rng.bytes();
                self.config.seal(&self.server_id, &nonce[..self.config.nonce_len], noise)
            }
            None => unroutable(self.config.id_len(), rng),
        }
    }

    fn id_len(&self) -> usize {
        self.config.id_len()
    }

    fn owner(&self, id: &ConnectionId) -> Owner {
        let config = self.known().find(|(config, _)| codepoint_of(id) == Some(config.codepoint));
        let Some((config, own)) = config.filter(|(config, _)| id.len() == config.id_len()) else {
            return Owner::Unknown;
        };
        // What says another length of itself was not issued by a server of this configuration.
        let said = id.first().map(|first| first & LOW_BITS);
        if config.encodes_length && said != Some(said_len(id.len())) {
            return Owner::Unknown;
        }
        match config.open(id) {
            Some(server_id) if server_id == *own => Owner::Mine,
            Some(_) => Owner::Another,
            None => Owner::Unknown,
        }
    }

    /// Only what decodes to this server: any other ID may be in use at a server that has the same reset secret.
    fn may_reset(&self, id: &ConnectionId) -> bool {
        self.owner(id) == Owner::Mine
    }
}

/// Nonces, of which none is given twice.
#[derive(Debug)]
struct Nonces {
    first: u64,
    /// How many there are.
    count: u64,
    given: AtomicU64,
    /// Makes a counter look random where it can be seen; a permutation, so no two are the same.
    scramble: Option<Cipher>,
}

impl Nonces {
    fn new(config: &QuicLbConfig, rng: &mut dyn Rng) -> Self {
        let scramble = (!config.is_encrypted()).then(|| Cipher::new(&rng.bytes()));
        let mut nonces = Self { first: 0, count: 0, given: AtomicU64::new(0), scramble };
        nonces.begin(u64::from_be_bytes(rng.bytes()), u64::MAX, config.nonce_len);
        nonces
    }

    fn begin(&mut self, first: u64, count: u64, nonce_len: usize) {
        let bits = u32::try_from(8 * nonce_len).unwrap_or(u32::MAX);
        let most = 1u64.checked_shl(bits).unwrap_or(u64::MAX);
        (self.first, self.count) = (first, count.min(most));
        *self.given.get_mut() = 0;
    }

    fn left(&self) -> u64 {
        self.count - self.given.load(Ordering::Relaxed)
    }

    fn next(&self) -> u64 {
        self.first.wrapping_add(self.given.load(Ordering::Relaxed))
    }

    /// The next nonce of `len` bytes, and bytes that mean nothing; `None` if all were given.
    fn take(&self, len: usize, rng: &mut dyn Rng) -> Option<[u8; MAX_NONCE_LEN]> {
        let one_more = |given: u64| (given < self.count).then(|| given + 1);
        let given = self.given.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        let counter = self.first.wrapping_add(given).to_be_bytes();
        // What the counter does not fill is random: the harder a nonce is to guess, the better (Section 9.7).
        let mut nonce: [u8; MAX_NONCE_LEN] = rng.bytes();
        let text = &mut nonce[..len];
        let counted = len.min(COUNTER_LEN);
        text[len - counted..].copy_from_slice(&counter[COUNTER_LEN - counted..]);
        if let Some(scramble) = &self.scramble {
            scramble.encrypt(text);
        }
        Some(nonce)
    }
}

/// The IDs of a server that has no configuration yet (Section 3.2): random, and marked so.
///
/// Load balancers route their packets by address, so a connection ends when its client moves. Strays are not answered
/// with stateless resets, since any server may have issued their IDs. The draft would rather have one ID for a connection;
/// as many are issued as always, since a server that moves needs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnroutableIds {
    len: usize,
}

impl UnroutableIds {
    /// IDs of `len` bytes, 8 to 20.
    ///
    /// # Errors
    ///
    /// [`QuicLbError::IdLength`] for any other length.
    pub fn new(len: usize) -> Result<Self, QuicLbError> {
        if (8..=MAX_CID_LEN).contains(&len) { Ok(Self { len }) } else { Err(QuicLbError::IdLength) }
    }
}

impl ConnectionIdGenerator for UnroutableIds {
    fn generate(&self, rng: &mut dyn Rng) -> ConnectionId {
        unroutable(self.len, rng)
    }

    fn id_len(&self) -> usize {
        self.len
    }

    fn owner(&self, _id: &ConnectionId) -> Owner {
        Owner::Unknown
    }

    fn may_reset(&self, _id: &ConnectionId) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::rng::SeededRng;

    const KEY: [u8; 16] = [0x5a; 16];

    fn config(codepoint: u8) -> QuicLbConfig {
        QuicLbConfig::new(codepoint, 3, 4).expect("it can be")
    }

    fn server(byte: u8) -> ServerId {
        ServerId::new(&[byte; 3]).expect("three bytes")
    }

    fn ids(config: QuicLbConfig, byte: u8) -> QuicLbIds {
        QuicLbIds::new(config, server(byte), &mut SeededRng::new(1)).expect("three bytes are asked for")
    }

    fn made(ids: &QuicLbIds, count: usize) -> Vec<ConnectionId> {
        let mut rng = SeededRng::new(2);
        (0..count).map(|_| ids.generate(&mut rng)).collect()
    }

    #[test]
    fn a_server_knows_its_own_ids_from_anothers() {
        for config in [config(2), config(2).key(KEY), config(2).key(KEY).encode_length()] {
            let (one, two) = (ids(config.clone(), 1), ids(config, 2));
            for id in made(&one, 100) {
                assert_eq!((one.owner(&id), two.owner(&id)), (Owner::Mine, Owner::Another));
                assert!(one.may_reset(&id) && !two.may_reset(&id));
            }
        }
    }

    #[test]
    fn what_does_not_decode_is_nobodys_and_not_reset() {
        let ids = ids(config(2).key(KEY).encode_length(), 1);
        let good = made(&ids, 1)[0];
        let mut other_codepoint = good.to_vec();
        other_codepoint[0] ^= 0x20;
        let mut other_length = good.to_vec();
        other_length[0] ^= 0x01;
        for bytes in [&[][..], &good[..7], &[&good[..], &[0]].concat(), &other_codepoint, &other_length] {
            let id = ConnectionId::new(bytes).expect("at most 20 bytes");
            assert_eq!(ids.owner(&id), Owner::Unknown, "{id}");
            assert!(!ids.may_reset(&id));
        }
    }

    #[test]
    fn no_nonce_is_given_twice_with_encryption_or_without() {
        for config in [config(0), config(0).key(KEY)] {
            let ids = made(&ids(config, 1), 50_000);
            // The low bits of the first octet are noise; what follows it must differ.
            let distinct: BTreeSet<&[u8]> = ids.iter().map(|id| &id[1..]).collect();
            assert_eq!(distinct.len(), ids.len());
        }
    }

    #[test]
    fn a_counter_wraps_around_and_ends_where_it_began() {
        let ids = ids(config(0).key(KEY), 1).nonces(0xffff_fffe, u64::MAX);
        assert_eq!((ids.nonces_left(), ids.next_nonce()), (1 << 32, 0xffff_fffe));
        let distinct: BTreeSet<ConnectionId> = made(&ids, 4).into_iter().collect();
        assert_eq!((distinct.len(), ids.nonces_left()), (4, (1 << 32) - 4));
    }

    #[test]
    fn processes_that_share_out_nonces_never_make_the_same_id() {
        let share = |first| made(&ids(config(0).key(KEY), 1).nonces(first, 1000), 1000);
        let both: BTreeSet<Vec<u8>> =
            [share(0), share(1000)].concat().iter().map(|id| id[1..].to_vec()).collect();
        assert_eq!(both.len(), 2000);
    }

    #[test]
    fn one_that_goes_on_from_its_last_nonce_makes_what_it_would_have_made() {
        let before = ids(config(0).key(KEY).encode_length(), 1);
        made(&before, 10);
        let after =
            ids(config(0).key(KEY).encode_length(), 1).nonces(before.next_nonce(), before.nonces_left());
        assert_eq!(made(&after, 10), made(&before, 10));
        assert_eq!(after.nonces_left(), before.nonces_left());
    }

    #[test]
    fn a_server_without_nonces_issues_ids_that_are_marked_unroutable() {
        let ids = ids(config(2).key(KEY), 1).nonces(0, 3);
        let made = made(&ids, 6);
        let codepoints: Vec<u8> = made.iter().map(|id| id[0] >> 5).collect();
        assert_eq!((codepoints, ids.nonces_left()), (vec![2, 2, 2, 7, 7, 7], 0));
        // Their length is in the first octet, as it must be.
        assert!(made[3..].iter().all(|id| id.len() == 8 && id[0] == 0xe7));
        assert!(made[3..].iter().all(|id| ids.owner(id) == Owner::Unknown && !ids.may_reset(id)));
    }

    #[test]
    fn the_same_randomness_makes_the_same_ids() {
        let run = || made(&ids(config(0).key(KEY), 1), 20);
        assert_eq!(run(), run());
    }

    #[test]
    fn plain_nonces_have_no_observable_order() {
        let nonces: Vec<u32> = made(&ids(config(0), 1), 1000)
            .iter()
            .map(|id| u32::from_be_bytes(*id.last_chunk().expect("four bytes")))
            .collect();
        let rising = nonces.windows(2).filter(|pair| pair[0] < pair[1]).count();
        let close = nonces.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) < 1 << 20).count();
        assert!((400..600).contains(&rising) && close < 10, "{rising} {close}");
    }

    #[test]
    fn encrypted_ids_have_no_bytes_in_common() {
        let made = made(&ids(config(0).key(KEY), 1), 1000);
        for at in 1..8 {
            let distinct: BTreeSet<u8> = made.iter().map(|id| id[at]).collect();
            assert!(distinct.len() > 200, "byte {at} has only {} values", distinct.len());
        }
        // Nor are the low bits of the first octet a sign.
        assert_eq!(made.iter().map(|id| id[0]).collect::<BTreeSet<u8>>().len(), 32);
    }

    #[test]
    fn ids_of_a_former_configuration_are_still_known() {
        let old = ids(config(0).key(KEY), 1);
        let strange = ids(config(0).key(KEY), 9);
        let new = ids(config(1).key([7; 16]), 5).formerly(config(0).key(KEY), server(1)).expect("it can be");
        assert!(made(&old, 100).iter().all(|id| new.owner(id) == Owner::Mine));
        assert!(made(&strange, 100).iter().all(|id| new.owner(id) == Owner::Another));
        assert!(made(&new, 100).iter().all(|id| id[0] >> 5 == 1 && new.owner(id) == Owner::Mine));
        // Who was not told of the new one does not know its IDs.
        assert!(made(&new, 100).iter().all(|id| old.owner(id) == Owner::Unknown));
    }

    #[test]
    fn a_former_configuration_must_not_contradict_the_present_one() {
        let refused = |former, byte| ids(config(0).key(KEY), 1).formerly(former, server(byte)).err();
        assert_eq!(refused(config(1).key(KEY), 1), None);
        assert_eq!(refused(config(0).key(KEY), 1), Some(QuicLbError::CodepointTaken));
        assert_eq!(refused(config(1), 1), Some(QuicLbError::ServerIdInTheClear));
        assert_eq!(refused(config(1), 2), None);
        let longer = QuicLbConfig::new(1, 3, 5).expect("it can be");
        assert_eq!(refused(longer, 1), Some(QuicLbError::IdLength));
        let shorter = QuicLbConfig::new(1, 2, 5).expect("it can be");
        assert_eq!(refused(shorter, 1), Some(QuicLbError::ServerIdLength));
        let wrong = QuicLbIds::new(config(0), ServerId::new(&[1; 4]).expect("four"), &mut SeededRng::new(1));
        assert_eq!(wrong.err(), Some(QuicLbError::ServerIdLength));
    }

    #[test]
    fn a_server_without_a_configuration_says_so_in_every_id() {
        let mut rng = SeededRng::new(3);
        assert_eq!([7, 8, 20, 21].map(|len| UnroutableIds::new(len).is_ok()), [false, true, true, false]);
        let ids = UnroutableIds::new(20).expect("a length that can be");
        let id = ids.generate(&mut rng);
        assert_eq!((id.len(), ids.id_len(), id[0]), (20, 20, 0b111_10011));
        assert_eq!((ids.owner(&id), ids.may_reset(&id)), (Owner::Unknown, false));
        assert_ne!(id, ids.generate(&mut rng));
    }

    proptest! {
        #[test]
        fn whatever_comes_from_outside_is_judged(bytes in prop::collection::vec(any::<u8>(), 0..=20)) {
            let id = ConnectionId::new(&bytes).expect("at most 20 bytes");
            for config in [config(2), config(2).key(KEY), config(2).key(KEY).encode_length()] {
                let owner = ids(config, 1).owner(&id);
                prop_assert!(owner == Owner::Unknown || (bytes.len() == 8 && bytes[0] >> 5 == 2));
            }
        }
    }
}
