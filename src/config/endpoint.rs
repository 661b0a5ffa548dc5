//! The settings of an endpoint: whom it serves and how many, how it names its connections, and what a stranger has to
//! prove (RFC 9000, Sections 5 and 8.1).

use std::sync::Arc;
use std::time::Duration;

use super::ServerConfig;
use crate::cid::{ConnectionIdGenerator, RandomIds, check_len};
use crate::crypto::{ResetKey, TokenKey};
use crate::error::ConfigError;

/// What concerns an endpoint as a whole.
#[derive(Debug, Clone)]
pub struct EndpointConfig {
    pub(crate) server: Option<Arc<ServerConfig>>,
    pub(crate) cid_len: usize,
    pub(crate) reset_key: Option<ResetKey>,
    pub(crate) max_connections: usize,
    /// Makes IDs of `cid_len` bytes.
    pub(crate) ids: Arc<dyn ConnectionIdGenerator>,
    pub(crate) token_key: Option<TokenKey>,
    pub(crate) token_epoch: Duration,
    pub(crate) token_lifetime: Duration,
    pub(crate) new_tokens: bool,
    pub(crate) half_open_limit: usize,
    pub(crate) asks_for_each: bool,
    pub(crate) waiting_limit: usize,
}

impl EndpointConfig {
    /// An endpoint that only connects.
    pub fn client() -> Self {
        let ids = RandomIds::DEFAULT;
        Self {
            server: None,
            cid_len: ids.id_len(),
            reset_key: None,
            max_connections: 100_000,
            ids: Arc::new(ids),
            token_key: None,
            token_epoch: Duration::ZERO,
            token_lifetime: Duration::from_secs(24 * 3600),
            new_tokens: true,
            half_open_limit: 1000,
            asks_for_each: false,
            waiting_limit: 1024,
        }
    }

    /// An endpoint that accepts connections too.
    pub fn server(server: Arc<ServerConfig>) -> Self {
        Self { server: Some(server), ..Self::client() }
    }

    /// Our connection IDs are random, of so many bytes, 1 to 20. Default 8. Takes the place of
    /// [`connection_ids`](Self::connection_ids).
    ///
    /// # Errors
    ///
    /// Zero, or more than 20: connections could not be told apart by address alone once one end moves.
    pub fn cid_len(self, len: usize) -> Result<Self, ConfigError> {
        self.connection_ids(Arc::new(RandomIds::new(len)?))
    }

    /// The secret that stateless reset tokens are derived from; drawn at random if none is given. Give the same to an
    /// endpoint that takes over the connection IDs of another.
    pub fn reset_secret(mut self, secret: [u8; 32]) -> Self {
        self.reset_key = Some(ResetKey::new(secret));
        self
    }

    /// How many connections the endpoint holds at most; further ones are refused. Default 100 000.
    pub fn max_connections(mut self, limit: usize) -> Self {
        self.max_connections = limit;
        self
    }

    /// Where our connection IDs come from. Default [`RandomIds`] of 8 bytes; takes the place of
    /// [`cid_len`](Self::cid_len).
    ///
    /// # Errors
    ///
    /// A generator of IDs that do not have 1 to 20 bytes.
    pub fn connection_ids(mut self, ids: Arc<dyn ConnectionIdGenerator>) -> Result<Self, ConfigError> {
        check_len(ids.id_len())?;
        self.cid_len = ids.id_len();
        self.ids = ids;
        Ok(self)
    }

    /// The secret that address validation tokens are sealed with; drawn at random if none is given. Servers with the same
    /// believe each other's tokens, if they tell the time alike ([`token_epoch`](Self::token_epoch)).
    pub fn token_secret(mut self, secret: [u8; 32]) -> Self {
        self.token_key = Some(TokenKey::new(secret));
        self
    }

    /// What the time that servers with one token secret share is at this endpoint's [`Instant::ZERO`]: since the Unix
    /// epoch, for example. Default zero. Their clocks may be 15 s apart; a token from further in the future is void.
    ///
    /// [`Instant::ZERO`]: crate::Instant::ZERO
    pub fn token_epoch(mut self, since: Duration) -> Self {
        self.token_epoch = since;
        self
    }

    /// How long a token that a client got for a later connection is valid. Default 24 h.
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.token_lifetime = lifetime;
        self
    }

    /// Whether a server gives each client a token for a later connection (RFC 9000, Section 8.1.3). Default true.
    pub fn new_tokens(mut self, on: bool) -> Self {
        self.new_tokens = on;
        self
    }

    /// How many clients may be in the handshake at a time whose address is not proved; beyond that a client has to
    /// prove it first, by a Retry (RFC 9000, Section 8.1.2). Zero: every client has to. Default 1000.
    pub fn half_open_limit(mut self, clients: usize) -> Self {
        self.half_open_limit = clients;
        self
    }

    /// Asks the application for each client, by [`Event::Incoming`](crate::Event::Incoming), instead of accepting it.
    pub fn ask_for_each(mut self) -> Self {
        self.asks_for_each = true;
        self
    }

    /// How many clients may wait for the application's answer; further ones are dropped. Default 1024.
    pub fn waiting_limit(mut self, clients: usize) -> Self {
        self.waiting_limit = clients;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_ids_have_one_to_twenty_bytes() {
        assert!(EndpointConfig::client().cid_len(0).is_err());
        assert!(EndpointConfig::client().cid_len(20).is_ok());
        assert!(EndpointConfig::client().cid_len(21).is_err());
    }

    #[test]
    fn no_secret_is_printed() {
        let config = EndpointConfig::client().reset_secret([171; 32]).token_secret([171; 32]);
        assert!(!format!("{config:?}").contains("171"));
    }
}
