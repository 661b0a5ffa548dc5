//! QUIC-LB: connection IDs that tell a load balancer which server they belong to, and nobody else
//! (draft-ietf-quic-load-balancers).
//!
//! A [`QuicLbConfig`] says how a server ID and a nonce become an ID. A server issues them through [`QuicLbIds`], a load
//! balancer finds the server with [`QuicLbRouter`].

mod cipher;
mod ids;
mod router;

use std::fmt;

use crate::id::{ConnectionId, MAX_CID_LEN};
use crate::rng::Rng;

use cipher::Cipher;
pub use ids::{QuicLbIds, UnroutableIds};
pub use router::QuicLbRouter;

/// The codepoint that says that an ID was made without a configuration (Section 3.2).
const UNROUTABLE: u8 = 0b111;

/// The bits of the first octet that hold a length, or noise.
const LOW_BITS: u8 = 0x1f;

/// The longest nonce, in bytes.
const MAX_NONCE_LEN: usize = 18;

/// The longest server ID, in bytes.
const MAX_SERVER_ID_LEN: usize = 15;

/// Why a QUIC-LB setting cannot be.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub enum QuicLbError {
    /// The codepoint is not one of seven.
    #[error("use a codepoint from 0 to 6; 7 means that there is no configuration")]
    Codepoint,
    /// The length of server IDs is out of range, or a server ID does not have it.
    #[error("use a server ID of 1 to 15 bytes, as long as the configuration says")]
    ServerIdLength,
    /// The length of nonces is out of range.
    #[error("use a nonce of 4 to 18 bytes")]
    NonceLength,
    /// The connection IDs would be too long, or not as long as they have to be.
    #[error(
        "use a connection ID of at most 20 bytes, at least 8 without a configuration, and always as many"
    )]
    IdLength,
    /// Two configurations have one codepoint.
    #[error("give each configuration in use a codepoint of its own")]
    CodepointTaken,
    /// A server ID is used with and without encryption, which helps to break the encryption.
    #[error("allocate another server ID for the configuration that encrypts")]
    ServerIdInTheClear,
}

/// Names a server to its load balancers: 1 to 15 bytes (Section 5.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId {
    len: u8,
    bytes: [u8; MAX_SERVER_ID_LEN],
}

impl ServerId {
    /// The server ID with these bytes; `None` if there are none, or more than 15.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let len = u8::try_from(bytes.len()).ok().filter(|len| *len > 0)?;
        let mut id = Self { len, bytes: [0; MAX_SERVER_ID_LEN] };
        id.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(id)
    }
}

impl std::ops::Deref for ServerId {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Debug for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// How connection IDs carry a server ID: what servers and load balancers agree on beforehand (Sections 3 and 5).
///
/// Without a [`key`](Self::key) everybody on the way sees which server a connection is at, and can tell two connections
/// of one server from those of others; use it only where that does not matter.
#[derive(Debug, Clone)]
pub struct QuicLbConfig {
    codepoint: u8,
    server_id_len: usize,
    nonce_len: usize,
    encodes_length: bool,
    cipher: Option<Cipher>,
}

impl QuicLbConfig {
    /// A configuration without encryption, in whose IDs the first octet says nothing but the codepoint.
    ///
    /// `codepoint` is 0 to 6 and tells configurations apart while one replaces another (Section 3.1). `server_id_len` is
    /// 1 to 15 bytes, `nonce_len` 4 to 18 bytes, both together at most 19. A server has 256 to the power of
    /// `nonce_len` IDs to give before it needs another configuration. Each Initial of a stranger takes one, so 6 bytes or more
    /// are advisable: 4 last a flood of a million Initials a second for little more than an hour.
    ///
    /// # Errors
    ///
    /// The setting that is out of range.
    pub fn new(codepoint: u8, server_id_len: usize, nonce_len: usize) -> Result<Self, QuicLbError> {
        if codepoint >= UNROUTABLE {
            return Err(QuicLbError::Codepoint);
        }
        if !(1..=MAX_SERVER_ID_LEN).contains(&server_id_len) {
            return Err(QuicLbError::ServerIdLength);
        }
        if !(4..=MAX_NONCE_LEN).contains(&nonce_len) {
            return Err(QuicLbError::NonceLength);
        }
        if server_id_len + nonce_len > cipher::MAX_LEN {
            return Err(QuicLbError::IdLength);
        }
        Ok(Self { codepoint, server_id_len, nonce_len, encodes_length: false, cipher: None })
    }

    /// Hides server IDs and nonces with AES-128 under this key (Section 5.4), which only servers and load balancers that
    /// trust each other may know.
    pub fn key(mut self, key: [u8; 16]) -> Self {
        self.cipher = Some(Cipher::new(&key));
        self
    }

    /// The first octet says how many bytes of ID follow, for hardware that must know (Section 3.3).
    pub fn encode_length(mut self) -> Self {
        self.encodes_length = true;
        self
    }

    /// What tells it from other configurations.
    pub fn codepoint(&self) -> u8 {
        self.codepoint
    }

    /// Length of a server ID, in bytes.
    pub fn server_id_len(&self) -> usize {
        self.server_id_len
    }

    /// Length of a nonce, in bytes.
    pub fn nonce_len(&self) -> usize {
        self.nonce_len
    }

    /// Length of a connection ID, in bytes: 6 to 20.
    pub fn id_len(&self) -> usize {
        1 + self.server_id_len + self.nonce_len
    }

    /// Whether only those who have its key can read its server IDs.
    pub fn is_encrypted(&self) -> bool {
        self.cipher.is_some()
    }

    /// Makes a connection ID. `nonce` has the configured length, `noise` is random.
    fn seal(&self, server_id: &ServerId, nonce: &[u8], noise: u8) -> ConnectionId {
        let mut bytes = [0; MAX_CID_LEN];
        let id = &mut bytes[..self.id_len()];
        let low = if self.encodes_length { said_len(id.len()) } else { noise & LOW_BITS };
        id[0] = self.codepoint << 5 | low;
        let text = &mut id[1..];
        text[..self.server_id_len].copy_from_slice(server_id);
        text[self.server_id_len..].copy_from_slice(nonce);
        if let Some(cipher) = &self.cipher {
            cipher.encrypt(text);
        }
        ConnectionId::new(id).expect("at most 20 bytes are a connection ID")
    }

    /// Reads the server ID from an ID of this codepoint; `None` if it is too short or says so of itself. Bytes beyond
    /// the configured length are a server's own (Section 5.4).
    fn open(&self, id: &[u8]) -> Option<ServerId> {
        let (first, rest) = id.split_first()?;
        if self.encodes_length && first & LOW_BITS < said_len(self.id_len()) {
            return None;
        }
        let mut bytes = [0; cipher::MAX_LEN];
        let text = bytes.get_mut(..self.id_len() - 1)?;
        text.copy_from_slice(rest.get(..text.len())?);
        if let Some(cipher) = &self.cipher {
            cipher.decrypt(text, self.server_id_len);
        }
        text.get(..self.server_id_len).and_then(ServerId::new)
    }
}

/// The codepoint of an ID; `None` if it has no bytes.
fn codepoint_of(id: &[u8]) -> Option<u8> {
    id.first().map(|first| first >> 5)
}

/// What the first octet says of an ID of `len` bytes, at least one and at most 20.
fn said_len(len: usize) -> u8 {
    u8::try_from(len - 1).expect("an ID has at most 20 bytes")
}

/// An ID without a configuration: random, but for its codepoint and its length (Section 3.2).
fn unroutable(len: usize, rng: &mut dyn Rng) -> ConnectionId {
    let mut bytes: [u8; MAX_CID_LEN] = rng.bytes();
    bytes[0] = UNROUTABLE << 5 | said_len(len);
    ConnectionId::new(&bytes[..len]).expect("at most 20 bytes are a connection ID")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: [u8; 16] = 0x8f95_f092_4576_5f80_2569_34e5_0c66_207f_u128.to_be_bytes();

    fn bytes(hex: &str) -> Vec<u8> {
        let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("two digits");
        (0..hex.len()).step_by(2).map(digits).collect()
    }

    fn server(hex: &str) -> ServerId {
        ServerId::new(&bytes(hex)).expect("1 to 15 bytes")
    }

    /// What the draft says of one ID: it is made so, and read so.
    fn agree(codepoint: u8, key: Option<[u8; 16]>, server_id: &str, nonce: &str, id: &str) {
        let (server_id, nonce) = (server(server_id), bytes(nonce));
        let config = QuicLbConfig::new(codepoint, server_id.len(), nonce.len()).expect("it can be");
        let config = key.into_iter().fold(config.encode_length(), QuicLbConfig::key);
        assert_eq!(config.seal(&server_id, &nonce, 0xff).to_string(), id);
        assert_eq!(config.open(&bytes(id)), Some(server_id));
    }

    #[test]
    fn ids_in_the_clear_are_those_of_the_draft() {
        agree(0, None, "c4605e", "4504cc4f", "07c4605e4504cc4f");
        // The draft prints the first octet as 20a and the nonce without its first digit, which is zero.
        agree(1, None, "350d28b420", "03487d970b", "2a350d28b42003487d970b");
    }

    #[test]
    fn encrypted_ids_are_those_of_the_draft() {
        agree(0, Some(KEY), "ed793a", "ee080dbf", "0720b1d07b359d3c");
        agree(1, Some(KEY), "ed793a51d49b8f5fab65", "ee080dbf48", "2fcc381bc74cb4fbad2823a3d1f8fed2");
        agree(2, Some(KEY), "ed793a51d49b8f5f", "ee080dbf48c0d1e5", "504dd2d05a7b0de9b2b9907afb5ecf8cc3");
        // The draft lists it under codepoint 3, but its first octet says 0.
        agree(
            0,
            Some(KEY),
            "ed793a51d49b8f5fab",
            "ee080dbf48c0d1e55d",
            "125779c9cc86beb3a3a4a3ca96fce4bfe0cdbc",
        );
    }

    #[test]
    fn what_is_out_of_range_is_refused_by_name() {
        let refused = |codepoint, server, nonce| QuicLbConfig::new(codepoint, server, nonce).err();
        assert_eq!(refused(6, 1, 4), None);
        assert_eq!(refused(6, 1, 18), None);
        assert_eq!(refused(6, 15, 4), None);
        assert_eq!(refused(7, 4, 4), Some(QuicLbError::Codepoint));
        assert_eq!(refused(255, 4, 4), Some(QuicLbError::Codepoint));
        assert_eq!(refused(0, 0, 4), Some(QuicLbError::ServerIdLength));
        assert_eq!(refused(0, 16, 4), Some(QuicLbError::ServerIdLength));
        assert_eq!(refused(0, 4, 3), Some(QuicLbError::NonceLength));
        assert_eq!(refused(0, 1, 19), Some(QuicLbError::NonceLength));
        assert_eq!(refused(0, 15, 5), Some(QuicLbError::IdLength));
        assert_eq!(refused(0, usize::MAX, usize::MAX), Some(QuicLbError::ServerIdLength));
    }

    #[test]
    fn a_server_id_has_1_to_15_bytes() {
        assert_eq!(
            [0, 1, 15, 16, 300].map(|len| ServerId::new(&vec![7; len]).is_some()),
            [false, true, true, false, false]
        );
    }

    #[test]
    fn the_low_bits_are_noise_unless_they_are_the_length() {
        let config = QuicLbConfig::new(5, 1, 4).expect("it can be");
        assert_eq!(config.seal(&server("07"), &[1; 4], 0b111_01010)[0], 0b101_01010);
        assert_eq!(config.encode_length().seal(&server("07"), &[1; 4], 0b111_01010)[0], 0b101_00101);
    }

    proptest! {
        #[test]
        fn what_is_sealed_is_opened(
            (codepoint, key, length) in (0u8..7, any::<Option<[u8; 16]>>(), any::<bool>()),
            (server_id, nonce) in (1usize..=15).prop_flat_map(|server| {
                let nonces = prop::collection::vec(any::<u8>(), 4..=(19 - server).min(18));
                (prop::collection::vec(any::<u8>(), server), nonces)
            }),
            noise: u8,
            own in prop::collection::vec(any::<u8>(), 0..5),
        ) {
            let mut config = QuicLbConfig::new(codepoint, server_id.len(), nonce.len()).expect("it can be");
            config = key.into_iter().fold(config, QuicLbConfig::key);
            if length {
                config = config.encode_length();
            }
            let server_id = ServerId::new(&server_id).expect("1 to 15 bytes");
            let id = config.seal(&server_id, &nonce, noise);
            prop_assert_eq!(id.len(), config.id_len());
            prop_assert_eq!(codepoint_of(&id), Some(codepoint));
            prop_assert_eq!(config.open(&id), Some(server_id));
            prop_assert_eq!(config.open(&[&*id, &own].concat()), Some(server_id));
            prop_assert_eq!(config.open(&id[..id.len() - 1]), None);
        }
    }
}
