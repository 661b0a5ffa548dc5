//! The tokens of one server: which it gives, and what those that come prove (RFC 9000, Sections 8.1.2 to 8.1.4).
//!
//! Knows the key, the time that is shared with other servers, and what was used; nothing of connections.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::replays::Replays;
use crate::config::EndpointConfig;
use crate::crypto::{SALT_LEN, Token, TokenKey};
use crate::id::ConnectionId;
use crate::packet::Version;
use crate::rng::Rng;
use crate::time::{Instant, micros};

/// How long the token of a Retry is valid: a client answers a Retry at once.
const RETRY_LIFETIME: Duration = Duration::from_secs(15);
/// How far the clocks of servers with one secret may be apart.
const SKEW: Duration = Duration::from_secs(15);

/// What the token of a client's first Initial proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Nothing: there is none, it is not ours, or it was valid once.
    Nothing,
    /// A Retry of ours reached this address.
    Retried {
        /// Where the client's first Initial went.
        original_dcid: ConnectionId,
    },
    /// A connection from this IP address was confirmed earlier.
    Earlier {
        /// Names the token.
        salt: [u8; SALT_LEN],
    },
    /// It is of a Retry of ours, but not for this client, not for this Initial, or not any more.
    Invalid,
}

impl Proof {
    /// Whether the client is where it says.
    pub fn is_valid(&self) -> bool {
        matches!(self, Self::Retried { .. } | Self::Earlier { .. })
    }
}

/// The tokens of one server.
#[derive(Debug)]
pub struct Tokens {
    key: TokenKey,
    /// Microseconds of the shared time at the endpoint's own zero.
    epoch: u64,
    lifetime: Duration,
    used: Replays,
}

impl Tokens {
    /// Begins with the secret of the configuration, or with one of its own.
    pub fn new(config: &EndpointConfig, rng: &mut dyn Rng) -> Self {
        Self {
            key: config.token_key.clone().unwrap_or_else(|| TokenKey::new(rng.bytes())),
            epoch: micros(config.token_epoch),
            lifetime: config.token_lifetime,
            used: Replays::default(),
        }
    }

    fn shared(&self, now: Instant) -> u64 {
        self.epoch.saturating_add(now.as_micros())
    }

    /// The token of a Retry that answers an Initial of this version to `original_dcid` and tells its client to go on to
    /// `scid`; `salt` is random.
    pub fn retry(
        &self,
        now: Instant,
        salt: [u8; SALT_LEN],
        address: SocketAddr,
        (version, original_dcid): (Version, ConnectionId),
        scid: ConnectionId,
    ) -> Vec<u8> {
        let issued = self.shared(now);
        self.key.seal(salt, &Token::Retry { version, address, issued, original_dcid, scid })
    }

    /// The token of a NEW_TOKEN on a connection of this version; `salt` is random.
    pub fn later(&self, now: Instant, salt: [u8; SALT_LEN], version: Version, ip: IpAddr) -> Vec<u8> {
        self.key.seal(salt, &Token::Later { version, ip, issued: self.shared(now) })
    }

    /// What `token` proves of the client at `remote` whose Initial is of this version and goes to `dcid`.
    pub fn judge(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        (asked, dcid): (Version, &ConnectionId),
        token: &[u8],
    ) -> Proof {
        let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
        match self.key.open(token) {
            Some((_, Token::Retry { version, address, issued, original_dcid, scid })) => {
                let fits = version == asked && address == remote && scid == *dcid;
                let fits = fits && self.is_fresh(now, issued, RETRY_LIFETIME);
                if fits { Proof::Retried { original_dcid } } else { Proof::Invalid }
            }
            Some((salt, Token::Later { version, ip, issued })) => {
                let fits = version == asked && ip == remote.ip() && self.is_fresh(now, issued, self.lifetime);
                let shared = self.shared(now);
                let permitted = fits && self.used.permits(shared, self.remembered(), &salt);
                if permitted { Proof::Earlier { salt } } else { Proof::Nothing }
            }
            None => Proof::Nothing,
        }
    }

    /// Whether what was issued then is valid: not too old, and not from a time that no clock can be ahead by.
    fn is_fresh(&self, now: Instant, issued: u64, lifetime: Duration) -> bool {
        let now = self.shared(now);
        now.saturating_sub(issued) <= micros(lifetime) && issued.saturating_sub(now) <= micros(SKEW)
    }

    /// How long a token can be valid, in microseconds.
    fn remembered(&self) -> u64 {
        micros(self.lifetime.saturating_add(SKEW))
    }

    /// A client was taken at its proof: a token for later proves nothing more.
    pub fn on_believed(&mut self, now: Instant, proof: &Proof) {
        if let Proof::Earlier { salt } = proof {
            let shared = self.shared(now);
            self.used.on_used(shared, self.remembered(), salt);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Version::{V1, V2};
    use super::*;
    use crate::rng::SeededRng;

    const SALT: [u8; SALT_LEN] = [7; SALT_LEN];

    fn id(byte: u8) -> ConnectionId {
        ConnectionId::new(&[byte; 8]).expect("eight bytes are a connection ID")
    }

    fn addr(text: &str) -> SocketAddr {
        text.parse().expect("an address and a port")
    }

    fn tokens(secret: u8, epoch: u64) -> Tokens {
        let config = EndpointConfig::client().token_epoch(Duration::from_secs(epoch));
        Tokens::new(&config.token_secret([secret; 32]), &mut SeededRng::new(1))
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(1000 * seconds)
    }

    const CLIENT: &str = "192.0.2.1:5000";

    #[test]
    fn a_retry_token_proves_the_address_it_was_sent_to() {
        let mut tokens = tokens(1, 0);
        let token = tokens.retry(at(100), SALT, addr(CLIENT), (V1, id(1)), id(2));
        let mut judge = |now, from, dcid| tokens.judge(at(now), addr(from), (V1, &id(dcid)), &token);
        assert_eq!(judge(115, CLIENT, 2), Proof::Retried { original_dcid: id(1) });
        assert_eq!(judge(115, "[::ffff:192.0.2.1]:5000", 2), Proof::Retried { original_dcid: id(1) });
        assert_eq!(judge(116, CLIENT, 2), Proof::Invalid);
        assert_eq!(judge(84, CLIENT, 2), Proof::Invalid);
        assert_eq!(judge(101, "192.0.2.1:5001", 2), Proof::Invalid);
        assert_eq!(judge(101, "192.0.2.2:5000", 2), Proof::Invalid);
        assert_eq!(judge(101, CLIENT, 1), Proof::Invalid);
    }

    #[test]
    fn a_token_for_later_proves_the_ip_address_once_and_for_a_day() {
        let mut tokens = tokens(1, 0);
        let token = tokens.later(at(100), SALT, V1, addr(CLIENT).ip());
        let day = 24 * 3600;
        let judge = |tokens: &mut Tokens, now, from| tokens.judge(at(now), addr(from), (V1, &id(3)), &token);
        assert_eq!(judge(&mut tokens, 100 + day, "192.0.2.1:9"), Proof::Earlier { salt: SALT });
        assert_eq!(judge(&mut tokens, 101 + day, "192.0.2.1:9"), Proof::Nothing);
        assert_eq!(judge(&mut tokens, 100, "192.0.2.2:9"), Proof::Nothing);
        tokens.on_believed(at(200), &Proof::Earlier { salt: SALT });
        assert_eq!(judge(&mut tokens, 201, "192.0.2.1:9"), Proof::Nothing);
    }

    #[test]
    fn a_token_of_one_version_proves_nothing_in_the_other() {
        let mut tokens = tokens(1, 0);
        let retry = tokens.retry(at(100), SALT, addr(CLIENT), (V1, id(1)), id(2));
        let later = tokens.later(at(100), SALT, V2, addr(CLIENT).ip());
        let mut judge = |version, token| tokens.judge(at(101), addr(CLIENT), (version, &id(2)), token);
        assert_eq!((judge(V2, &retry), judge(V1, &later)), (Proof::Invalid, Proof::Nothing));
        assert!(judge(V1, &retry).is_valid() && judge(V2, &later).is_valid());
    }

    #[test]
    fn servers_with_one_secret_and_one_time_believe_each_other() {
        let (one, mut same, mut other) = (tokens(1, 1000), tokens(1, 3000), tokens(2, 1000));
        let token = one.retry(at(2500), SALT, addr(CLIENT), (V1, id(1)), id(2));
        assert!(same.judge(at(505), addr(CLIENT), (V1, &id(2)), &token).is_valid());
        assert_eq!(same.judge(at(600), addr(CLIENT), (V1, &id(2)), &token), Proof::Invalid);
        assert_eq!(other.judge(at(2505), addr(CLIENT), (V1, &id(2)), &token), Proof::Nothing);
    }

    #[test]
    fn nothing_proves_nothing() {
        assert_eq!(tokens(1, 0).judge(at(0), addr(CLIENT), (V1, &id(1)), b""), Proof::Nothing);
        assert_eq!(tokens(1, 0).judge(at(0), addr(CLIENT), (V1, &id(1)), &[0; 60]), Proof::Nothing);
    }
}
