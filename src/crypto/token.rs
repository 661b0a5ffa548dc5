//! Address validation tokens: what a server wants to be told again, sealed for itself (RFC 9000, Section 8.1.4).
//!
//! Each is of one version of QUIC and proves nothing in another (RFC 9369, Section 5). Two kinds: a Retry token comes back at once from the same address and port, a token of NEW_TOKEN comes later from the
//! same IP address. Each is sealed under a key of its own, derived from the secret and 16 random bytes in the token, so
//! that servers that share the secret never use a nonce twice. How old a token may be, and whether it was used before,
//! is for others to say: times are microseconds since an epoch that those servers share.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;

use crate::codec::{Reader, Truncated};
use crate::id::ConnectionId;
use crate::packet::Version;

/// Random bytes at the front of a token.
pub const SALT_LEN: usize = 16;
/// What the secret says before a salt to make a token's key and nothing else.
const LABEL: &[u8] = b"peregrine address token";

const RETRY: u8 = 0;
const NEW_TOKEN: u8 = 1;

/// What a token of ours says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// The token of a Retry packet.
    Retry {
        /// That of the Retry.
        version: Version,
        /// Whom the Retry was sent to.
        address: SocketAddr,
        /// When, in microseconds.
        issued: u64,
        /// Where the client's first Initial went.
        original_dcid: ConnectionId,
        /// Where the Retry told it to send the next one.
        scid: ConnectionId,
    },
    /// The token of a NEW_TOKEN frame.
    Later {
        /// That of the connection it was given on.
        version: Version,
        /// Whom it was given to.
        ip: IpAddr,
        /// When, in microseconds.
        issued: u64,
    },
}

impl Token {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Retry { version, address, issued, original_dcid, scid } => {
                out.push(RETRY);
                out.extend(version.wire().to_be_bytes());
                out.extend(issued.to_be_bytes());
                encode_ip(address.ip(), &mut out);
                out.extend(address.port().to_be_bytes());
                for id in [original_dcid, scid] {
                    out.push(u8::try_from(id.len()).expect("a connection ID has at most 20 bytes"));
                    out.extend_from_slice(id);
                }
            }
            Self::Later { version, ip, issued } => {
                out.push(NEW_TOKEN);
                out.extend(version.wire().to_be_bytes());
                out.extend(issued.to_be_bytes());
                encode_ip(*ip, &mut out);
            }
        }
        out
    }

    fn decode(plain: &[u8]) -> Result<Option<Self>, Truncated> {
        let mut reader = Reader::new(plain);
        let kind = reader.u8()?;
        let Some(version) = Version::from_wire(reader.u32()?) else { return Ok(None) };
        let issued = u64::from_be_bytes(reader.array()?);
        let ip = IpAddr::from(reader.array::<16>()?).to_canonical();
        let token = match kind {
            RETRY => {
                let address = SocketAddr::new(ip, reader.u16()?);
                let ids = [decode_id(&mut reader)?, decode_id(&mut reader)?];
                let [Some(original_dcid), Some(scid)] = ids else { return Ok(None) };
                Self::Retry { version, address, issued, original_dcid, scid }
            }
            NEW_TOKEN => Self::Later { version, ip, issued },
            _ => return Ok(None),
        };
        Ok(Some(token).filter(|_| reader.is_empty()))
    }
}

/// An address in sixteen bytes; one of IPv4 as the IPv6 address that stands for it.
fn encode_ip(ip: IpAddr, out: &mut Vec<u8>) {
    let ip = match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    out.extend(ip.octets());
}

fn decode_id(reader: &mut Reader<'_>) -> Result<Option<ConnectionId>, Truncated> {
    let len = reader.u8()?;
    ConnectionId::read(reader, len)
}

/// Seals tokens and opens them again. Endpoints with the same secret open each other's.
#[derive(Clone)]
pub struct TokenKey(Arc<hmac::Key>);

impl TokenKey {
    /// A key from 32 secret random bytes.
    pub fn new(secret: [u8; 32]) -> Self {
        Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &secret)))
    }

    /// The key of the one token with this salt.
    fn key(&self, salt: &[u8; SALT_LEN]) -> LessSafeKey {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(LABEL);
        context.update(salt);
        let key = UnboundKey::new(&AES_256_GCM, context.sign().as_ref()).expect("HMAC-SHA256 has 32 bytes");
        LessSafeKey::new(key)
    }

    /// Seals a token; `salt` must be random, and never the same again.
    pub fn seal(&self, salt: [u8; SALT_LEN], token: &Token) -> Vec<u8> {
        let mut plain = token.encode();
        // The key is used once: any nonce will do.
        let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
        self.key(&salt)
            .seal_in_place_append_tag(nonce, Aad::empty(), &mut plain)
            .expect("a token is far below what GCM seals");
        [&salt[..], &plain].concat()
    }

    /// Opens a token: its salt, and what it says; `None` if no server with this secret has sealed it.
    pub fn open(&self, sealed: &[u8]) -> Option<([u8; SALT_LEN], Token)> {
        let (salt, sealed) = sealed.split_first_chunk::<SALT_LEN>()?;
        let mut plain = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
        let plain = self.key(salt).open_in_place(nonce, Aad::empty(), &mut plain).ok()?;
        Some((*salt, Token::decode(plain).ok()??))
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(bytes: &[u8]) -> ConnectionId {
        ConnectionId::new(bytes).expect("at most 20 bytes")
    }

    fn retry() -> Token {
        Token::Retry {
            version: Version::V1,
            address: ([192, 0, 2, 1], 5000).into(),
            issued: 0x0102_0304_0506_0708,
            original_dcid: id(&[7; 8]),
            scid: id(&[8, 9]),
        }
    }

    fn later() -> Token {
        let ip = [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into();
        Token::Later { version: Version::V2, ip, issued: 1_000_000 }
    }

    #[test]
    fn a_retry_token_says_this() {
        let mut plain = vec![0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8];
        plain.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1, 0x13, 0x88]);
        plain.extend([8, 7, 7, 7, 7, 7, 7, 7, 7, 2, 8, 9]);
        assert_eq!(retry().encode(), plain);
        assert_eq!(Token::decode(&plain), Ok(Some(retry())));
    }

    #[test]
    fn a_token_for_later_says_this() {
        let mut plain = vec![1, 0x6b, 0x33, 0x43, 0xcf, 0, 0, 0, 0, 0, 0x0f, 0x42, 0x40];
        plain.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(later().encode(), plain);
        assert_eq!(Token::decode(&plain), Ok(Some(later())));
    }

    #[test]
    fn what_was_sealed_is_opened_by_whoever_has_the_secret() {
        let (one, same, other) = (TokenKey::new([1; 32]), TokenKey::new([1; 32]), TokenKey::new([2; 32]));
        for token in [retry(), later()] {
            let sealed = one.seal([3; 16], &token);
            assert_eq!(same.open(&sealed), Some(([3; 16], token)));
            assert_eq!(other.open(&sealed), None);
        }
    }

    #[test]
    fn tokens_of_the_same_words_have_nothing_in_common() {
        let key = TokenKey::new([1; 32]);
        let (one, other) = (key.seal([3; 16], &later()), key.seal([4; 16], &later()));
        assert_eq!((one.len(), other.len()), (61, 61));
        assert!(one[16..].iter().zip(&other[16..]).filter(|(a, b)| a == b).count() < 8);
    }

    #[test]
    fn a_token_that_was_cut_or_changed_anywhere_is_not_opened() {
        let key = TokenKey::new([1; 32]);
        let sealed = key.seal([3; 16], &retry());
        for at in 0..sealed.len() {
            assert_eq!(key.open(&sealed[..at]), None);
            let mut changed = sealed.clone();
            changed[at] ^= 0x20;
            assert_eq!(key.open(&changed), None);
        }
    }

    #[test]
    fn words_that_mean_nothing_are_no_token() {
        assert_eq!(Token::decode(&[]), Err(Truncated));
        let mut unknown = later().encode();
        unknown[0] = 2;
        assert_eq!(Token::decode(&unknown), Ok(None));
        let mut longer = later().encode();
        longer.push(0);
        assert_eq!(Token::decode(&longer), Ok(None));
        let mut long_id = retry().encode();
        long_id[27] = 21;
        long_id.extend([0; 40]);
        assert_eq!(Token::decode(&long_id), Ok(None));
    }

    #[test]
    fn a_token_key_is_not_printed() {
        assert_eq!(format!("{:?}", TokenKey::new([0xab; 32])), "TokenKey(..)");
    }

    proptest! {
        #[test]
        fn bytes_of_others_are_no_token(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(TokenKey::new([1; 32]).open(&bytes), None);
        }
    }
}
