//! How secrets become keys: cipher suites, HKDF labels, and the key of one direction (RFC 9001, Section 5; RFC 9369,
//! Section 3.3).
//!
//! We derive keys ourselves, over ring, because the secrets must be able to travel: rustls gives its own keys away to
//! nobody. What ring makes of a key cannot be wiped; secrets and our copies of them are.

use std::fmt;

use ring::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey, quic::HeaderProtectionKey};
use ring::digest;
use ring::hkdf::{self, KeyType, Okm, Prk, Salt};
use zeroize::Zeroize;

use crate::id::{ConnectionId, PacketNumber, Side};
use crate::packet::{TAG_LEN, Version};

/// A cipher suite of TLS 1.3 that QUIC uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Suite {
    /// TLS_AES_128_GCM_SHA256, the suite of all Initial packets.
    Aes128Gcm,
    /// TLS_AES_256_GCM_SHA384.
    Aes256Gcm,
    /// TLS_CHACHA20_POLY1305_SHA256.
    ChaCha20Poly1305,
}

impl Suite {
    fn aead(self) -> &'static aead::Algorithm {
        match self {
            Self::Aes128Gcm => &aead::AES_128_GCM,
            Self::Aes256Gcm => &aead::AES_256_GCM,
            Self::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
        }
    }

    fn header(self) -> &'static aead::quic::Algorithm {
        match self {
            Self::Aes128Gcm => &aead::quic::AES_128,
            Self::Aes256Gcm => &aead::quic::AES_256,
            Self::ChaCha20Poly1305 => &aead::quic::CHACHA20,
        }
    }

    fn hkdf(self) -> hkdf::Algorithm {
        match self {
            Self::Aes128Gcm | Self::ChaCha20Poly1305 => hkdf::HKDF_SHA256,
            Self::Aes256Gcm => hkdf::HKDF_SHA384,
        }
    }

    fn hash(self) -> &'static digest::Algorithm {
        match self {
            Self::Aes128Gcm | Self::ChaCha20Poly1305 => &digest::SHA256,
            Self::Aes256Gcm => &digest::SHA384,
        }
    }

    /// The most that HKDF makes of a secret at once, in bytes.
    pub fn max_expanded(self) -> usize {
        255 * self.hkdf().len()
    }

    #[cfg(test)]
    /// Length of its secrets, in bytes.
    pub fn secret_len(self) -> usize {
        self.hkdf().len()
    }

    /// How many packets one key may seal (RFC 9001, Section 6.6).
    pub const fn max_sealed(self) -> u64 {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm => 1 << 23,
            Self::ChaCha20Poly1305 => 1 << 62,
        }
    }

    /// How many packets may fail to open in one connection (RFC 9001, Section 6.6).
    pub const fn max_failed(self) -> u64 {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm => 1 << 52,
            Self::ChaCha20Poly1305 => 1 << 36,
        }
    }
}

/// A traffic secret; wiped when it is dropped.
#[derive(Clone)]
pub struct Secret {
    bytes: [u8; Self::MAX_LEN],
    len: usize,
}

impl Secret {
    /// The longest, that of SHA-384.
    const MAX_LEN: usize = 48;

    /// The secret with these bytes; `None` if there are more than 48.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut secret = Self { bytes: [0; Self::MAX_LEN], len: bytes.len() };
        secret.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(secret)
    }

    fn filled<L: KeyType>(okm: Okm<'_, L>) -> Self {
        let mut secret = Self { bytes: [0; Self::MAX_LEN], len: okm.len().len() };
        okm.fill(&mut secret.bytes[..secret.len]).expect("the output is as long as was asked for");
        secret
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What a version calls the things it derives (RFC 9001, Sections 5.1, 5.2 and 6.1; RFC 9369, Section 3.3).
#[derive(Debug)]
struct Labels {
    salt: [u8; 20],
    key: &'static [u8],
    iv: &'static [u8],
    header: &'static [u8],
    update: &'static [u8],
}

const LABELS_1: Labels = Labels {
    salt: [
        0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc,
        0xbb, 0x7f, 0x0a,
    ],
    key: b"quic key",
    iv: b"quic iv",
    header: b"quic hp",
    update: b"quic ku",
};

const LABELS_2: Labels = Labels {
    salt: [
        0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9,
        0xbd, 0x2e, 0xd9,
    ],
    key: b"quicv2 key",
    iv: b"quicv2 iv",
    header: b"quicv2 hp",
    update: b"quicv2 ku",
};

/// The key schedule of one suite in one version.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    suite: Suite,
    labels: &'static Labels,
}

impl Schedule {
    /// The schedule of `suite` with the labels of `version`.
    pub fn new(version: Version, suite: Suite) -> Self {
        let labels = match version {
            Version::V1 => &LABELS_1,
            Version::V2 => &LABELS_2,
        };
        Self { suite, labels }
    }

    /// The suite.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The secret with which `side` protects its Initial packets, from the ID the client's first one went to.
    pub fn initial_secret(&self, dcid: &ConnectionId, side: Side) -> Secret {
        let common = Salt::new(self.suite.hkdf(), &self.labels.salt).extract(dcid);
        let label: &[u8] = match side {
            Side::Client => b"client in",
            Side::Server => b"server in",
        };
        expand(&common, label, self.suite.hkdf(), Secret::filled)
    }

    /// The keys that a secret gives its side: for payloads, until the next key update, and for headers, for good.
    pub fn keys(&self, secret: &Secret) -> (PacketKey, HeaderKey) {
        let prk = self.prk(secret);
        let header = expand(&prk, self.labels.header, self.suite.header(), |okm| okm.into());
        (self.packet_key_of(&prk), HeaderKey(header))
    }

    /// The key for payloads alone.
    pub fn packet_key(&self, secret: &Secret) -> PacketKey {
        self.packet_key_of(&self.prk(secret))
    }

    fn packet_key_of(&self, prk: &Prk) -> PacketKey {
        let key: UnboundKey = expand(prk, self.labels.key, self.suite.aead(), |okm| okm.into());
        let mut iv = [0; aead::NONCE_LEN];
        expand(prk, self.labels.iv, Bytes(aead::NONCE_LEN), |okm| okm.fill(&mut iv))
            .expect("the output is as long as an IV");
        PacketKey { key: LessSafeKey::new(key), iv }
    }

    /// The secret that follows this one after a key update.
    pub fn next_secret(&self, secret: &Secret) -> Secret {
        expand(&self.prk(secret), self.labels.update, self.suite.hkdf(), Secret::filled)
    }

    fn prk(&self, secret: &Secret) -> Prk {
        Prk::new_less_safe(self.suite.hkdf(), secret.as_bytes())
    }
}

/// A number of bytes, as HKDF wants to hear it.
struct Bytes(usize);

impl KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-Expand-Label without a context (RFC 8446, Section 7.1); `read` makes of the output what it will.
fn expand<L: KeyType, T>(prk: &Prk, label: &[u8], len: L, read: impl FnOnce(Okm<'_, L>) -> T) -> T {
    expand_with(prk, label, &[], len, read)
}

/// HKDF-Expand-Label.
fn expand_with<L: KeyType, T>(
    prk: &Prk,
    label: &[u8],
    context: &[u8],
    len: L,
    read: impl FnOnce(Okm<'_, L>) -> T,
) -> T {
    const PREFIX: &[u8] = b"tls13 ";
    let out_len = u16::try_from(len.len()).expect("outputs are short").to_be_bytes();
    let label_len = u8::try_from(PREFIX.len() + label.len()).expect("labels are short");
    let context_len = u8::try_from(context.len()).expect("contexts are hashes");
    let info: [&[u8]; 6] = [&out_len, &[label_len], PREFIX, label, &[context_len], context];
    read(prk.expand(&info, len).expect("outputs are at most 255 hashes"))
}

/// Derive-Secret of these messages (RFC 8446, Section 7.1); labels of 249 bytes at most.
pub fn derive_secret(suite: Suite, secret: &Secret, label: &[u8], messages: &[u8]) -> Secret {
    let prk = Prk::new_less_safe(suite.hkdf(), secret.as_bytes());
    let hash = digest::digest(suite.hash(), messages);
    expand_with(&prk, label, hash.as_ref(), suite.hkdf(), Secret::filled)
}

/// HKDF-Expand-Label of this context's hash; `out` is at most [`Suite::max_expanded`] long.
pub fn expand_into(suite: Suite, secret: &Secret, label: &[u8], context: &[u8], out: &mut [u8]) {
    let prk = Prk::new_less_safe(suite.hkdf(), secret.as_bytes());
    let hash = digest::digest(suite.hash(), context);
    expand_with(&prk, label, hash.as_ref(), Bytes(out.len()), |okm| okm.fill(out))
        .expect("the output is as long as was asked for");
}

/// Protects the payloads of one direction in one key phase.
#[repr(C)]
pub struct PacketKey {
    iv: [u8; aead::NONCE_LEN],
    key: LessSafeKey,
}

impl PacketKey {
    /// The IV, with the packet number over its end (RFC 9001, Section 5.3).
    #[inline]
    fn nonce(&self, number: PacketNumber) -> Nonce {
        let mut nonce = self.iv;
        for (byte, of_number) in nonce[aead::NONCE_LEN - 8..].iter_mut().zip(number.to_be_bytes()) {
            *byte ^= of_number;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    /// Encrypts `payload` in place and returns its tag.
    #[inline]
    pub fn seal(&self, number: PacketNumber, header: &[u8], payload: &mut [u8]) -> [u8; TAG_LEN] {
        let tag = self
            .key
            .seal_in_place_separate_tag(self.nonce(number), Aad::from(header), payload)
            .expect("a datagram is far below what an AEAD seals at once");
        tag.as_ref().try_into().expect("all AEADs of QUIC have tags of 16 bytes")
    }

    /// Decrypts `sealed`, the tag at its end, in place and returns the payload's length; `None` if it is not
    /// authentic, and then its bytes are lost.
    #[inline]
    pub fn open(&self, number: PacketNumber, header: &[u8], sealed: &mut [u8]) -> Option<usize> {
        let opened = self.key.open_in_place(self.nonce(number), Aad::from(header), sealed);
        opened.ok().map(|payload| payload.len())
    }
}

/// Masks the headers of one direction.
pub struct HeaderKey(HeaderProtectionKey);

impl HeaderKey {
    /// Length of what is sampled of the ciphertext, in bytes.
    pub const SAMPLE_LEN: usize = 16;

    /// The mask for the first byte and the packet number.
    #[inline]
    pub fn mask(&self, sample: &[u8; Self::SAMPLE_LEN]) -> [u8; 5] {
        self.0.new_mask(sample).expect("a sample has 16 bytes")
    }
}

impl fmt::Debug for PacketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PacketKey(..)")
    }
}

impl fmt::Debug for HeaderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeaderKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::vectors::{hex, vector};

    /// The secrets and IVs of Initial packets in the file `name` of vectors.
    fn check_initial_secrets(version: Version, name: &str) {
        let vector = vector(name);
        let dcid = ConnectionId::new(&hex(&vector["dcid"])).expect("a connection ID");
        let schedule = Schedule::new(version, Suite::Aes128Gcm);
        let client = schedule.initial_secret(&dcid, Side::Client);
        let server = schedule.initial_secret(&dcid, Side::Server);
        assert_eq!(client.as_bytes(), hex(&vector["client_initial"]["secret"]));
        assert_eq!(server.as_bytes(), hex(&vector["server_initial"]["secret"]));
        assert_eq!(schedule.packet_key(&client).iv.as_slice(), hex(&vector["client_initial"]["iv"]));
        assert_eq!(schedule.packet_key(&server).iv.as_slice(), hex(&vector["server_initial"]["iv"]));
    }

    #[test]
    fn the_initial_secrets_of_rfc_9001_a_1_are_derived() {
        check_initial_secrets(Version::V1, "rfc9001_appendix_a.json");
    }

    #[test]
    fn the_initial_secrets_of_rfc_9369_a_1_are_derived() {
        check_initial_secrets(Version::V2, "rfc9369_appendix_a.json");
    }

    #[test]
    fn the_secret_after_a_key_update_is_that_of_rfc_9001_a_5_and_rfc_9369_a_5() {
        let files = [(Version::V1, "rfc9001_appendix_a.json"), (Version::V2, "rfc9369_appendix_a.json")];
        for (version, file) in files {
            let vector = &vector(file)["chacha20_short_header"];
            let secret = Secret::new(&hex(&vector["secret"])).expect("32 bytes");
            let next = Schedule::new(version, Suite::ChaCha20Poly1305).next_secret(&secret);
            assert_eq!(next.as_bytes(), hex(&vector["ku"]));
        }
    }

    #[test]
    fn nothing_secret_is_printed() {
        let secret = Secret::new(&[0xab; 32]).expect("32 bytes");
        let schedule = Schedule::new(Version::V1, Suite::Aes128Gcm);
        let printed = format!("{secret:?} {:?}", schedule.keys(&secret));
        assert_eq!(printed, "Secret(..) (PacketKey(..), HeaderKey(..))");
    }

    #[test]
    fn a_secret_longer_than_a_hash_does_not_exist() {
        assert!(Secret::new(&[0; 48]).is_some());
        assert!(Secret::new(&[0; 49]).is_none());
    }
}
