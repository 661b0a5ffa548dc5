//! Keys of others: opens packets by the secrets that TLS logged, as Wireshark does (RFC 9001, Section 5; RFC 9369,
//! Section 3.3). Written against ring alone, so that it does not share the library's mistakes.

use ring::aead::{self, LessSafeKey, Nonce, UnboundKey, quic};
use ring::hkdf::{self, HKDF_SHA256, HKDF_SHA384, KeyType, Prk, Salt};

/// QUIC version 1.
pub const V1: u32 = 1;
/// QUIC version 2.
pub const V2: u32 = 0x6b33_43cf;

const SALT_V1: [u8; 20] =
    *b"\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a";
const SALT_V2: [u8; 20] =
    *b"\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9";

/// How a packet is sealed.
#[derive(Clone, Copy)]
pub struct Suite {
    hash: hkdf::Algorithm,
    aead: &'static aead::Algorithm,
    header: &'static quic::Algorithm,
}

const AES_128: Suite = Suite { hash: HKDF_SHA256, aead: &aead::AES_128_GCM, header: &quic::AES_128 };
const AES_256: Suite = Suite { hash: HKDF_SHA384, aead: &aead::AES_256_GCM, header: &quic::AES_256 };
const CHACHA20: Suite = Suite { hash: HKDF_SHA256, aead: &aead::CHACHA20_POLY1305, header: &quic::CHACHA20 };

/// A length for ring.
struct Len(usize);

impl KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-Expand-Label (RFC 8446, Section 7.1).
fn expand(secret: &Prk, label: &str, len: usize) -> Vec<u8> {
    let short = |value: usize| u8::try_from(value).expect("labels and keys are short");
    let info = [&[0, short(len), short(label.len() + 6)][..], b"tls13 ", label.as_bytes(), &[0]].concat();
    let mut out = vec![0; len];
    let info = [&*info];
    let okm = secret.expand(&info, Len(len)).expect("keys are short");
    okm.fill(&mut out).expect("the length fits");
    out
}

/// What a packet is once it is open.
#[derive(Debug)]
pub struct Opened {
    /// Its number.
    pub number: u64,
    /// Its key phase; false if it has none.
    pub phase: bool,
    /// Its frames.
    pub payload: Vec<u8>,
}

/// What one side seals with at one level of one connection, through all key updates.
pub struct Sealer {
    suite: Suite,
    version: u32,
    header: quic::HeaderProtectionKey,
    secret: Vec<u8>,
    generations: Vec<(LessSafeKey, [u8; 12])>,
    largest: u64,
}

impl Sealer {
    /// The keys of a logged secret: its length tells the suites and versions it may be for.
    pub fn all_of(secret: &[u8]) -> Vec<Self> {
        let suites: &[Suite] = if secret.len() == 48 { &[AES_256] } else { &[AES_128, CHACHA20] };
        let each = suites.iter().flat_map(|suite| [V1, V2].map(|version| (*suite, version)));
        each.map(|(suite, version)| Self::new(suite, version, secret.to_vec())).collect()
    }

    /// The client's and the server's Initial keys for the ID that the client's first Initial went to.
    pub fn initial(version: u32, dcid: &[u8]) -> [Self; 2] {
        let salt = if version == V2 { SALT_V2 } else { SALT_V1 };
        let initial = Salt::new(HKDF_SHA256, &salt).extract(dcid);
        ["client in", "server in"].map(|label| Self::new(AES_128, version, expand(&initial, label, 32)))
    }

    fn new(suite: Suite, version: u32, secret: Vec<u8>) -> Self {
        let prk = Prk::new_less_safe(suite.hash, &secret);
        let header = expand(&prk, &label(version, "hp"), suite.header.key_len());
        let header = quic::HeaderProtectionKey::new(suite.header, &header).expect("the length fits");
        let first = generation(suite, version, &prk);
        Self { suite, version, header, secret, generations: vec![first], largest: 0 }
    }

    /// Opens a packet whose number begins at `at`, if it is sealed with these keys.
    pub fn open(&mut self, packet: &[u8], at: usize) -> Option<Opened> {
        let mask = self.header.new_mask(packet.get(at + 4..at + 20)?).ok()?;
        let is_long = packet[0] & 0x80 != 0;
        let first = packet[0] ^ mask[0] & if is_long { 0x0f } else { 0x1f };
        let len = usize::from(first & 0x03) + 1;
        let mut header = packet[..at + len].to_vec();
        header[0] = first;
        let mut truncated = 0;
        for (byte, mask) in header[at..].iter_mut().zip(&mask[1..]) {
            *byte ^= mask;
            truncated = truncated << 8 | u64::from(*byte);
        }
        let number = nearest(truncated, 8 * u32::try_from(len).ok()?, self.largest + 1);
        let sealed = &packet[at + len..];
        let phase = !is_long && first & 0x04 != 0;
        let payload = self.unseal(number, phase, &header, sealed)?;
        self.largest = self.largest.max(number);
        Some(Opened { number, phase, payload })
    }

    /// Tries the generations of this key phase, the next one included.
    fn unseal(&mut self, number: u64, phase: bool, header: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let such = |generation: &usize| (generation % 2 == 1) == phase;
        let known = (0..self.generations.len()).rev().filter(such);
        let opened = known.filter_map(|generation| self.unseal_by(generation, number, header, sealed)).next();
        if opened.is_some() || (self.generations.len() % 2 == 1) != phase {
            return opened;
        }
        let prk = Prk::new_less_safe(self.suite.hash, &self.secret);
        let next = expand(&prk, &label(self.version, "ku"), self.secret.len());
        let keys = generation(self.suite, self.version, &Prk::new_less_safe(self.suite.hash, &next));
        self.generations.push(keys);
        let opened = self.unseal_by(self.generations.len() - 1, number, header, sealed);
        match opened {
            Some(_) => self.secret = next,
            None => drop(self.generations.pop()),
        }
        opened
    }

    fn unseal_by(&self, generation: usize, number: u64, header: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (key, iv) = &self.generations[generation];
        let mut nonce = *iv;
        nonce[4..].iter_mut().zip(number.to_be_bytes()).for_each(|(byte, number)| *byte ^= number);
        let mut bytes = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let payload = key.open_in_place(nonce, aead::Aad::from(header), &mut bytes).ok()?;
        Some(payload.to_vec())
    }
}

fn label(version: u32, what: &str) -> String {
    format!("{} {what}", if version == V2 { "quicv2" } else { "quic" })
}

fn generation(suite: Suite, version: u32, secret: &Prk) -> (LessSafeKey, [u8; 12]) {
    let key = expand(secret, &label(version, "key"), suite.aead.key_len());
    let key = LessSafeKey::new(UnboundKey::new(suite.aead, &key).expect("the length fits"));
    let iv = expand(secret, &label(version, "iv"), 12);
    (key, iv.try_into().expect("twelve bytes"))
}

/// The number nearest to the one expected that ends in these bits (RFC 9000, Appendix A.3).
fn nearest(truncated: u64, bits: u32, expected: u64) -> u64 {
    let window = 1u64 << bits;
    let candidate = expected & !(window - 1) | truncated;
    if candidate + window / 2 <= expected {
        candidate + window
    } else if candidate > expected + window / 2 && candidate >= window {
        candidate - window
    } else {
        candidate
    }
}
