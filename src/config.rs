//! Settings: builders that end in checked values.
//!
//! A [`TransportConfig`] holds what both sides set; [`ClientConfig`] and [`ServerConfig`] add TLS and server migration;
//! an [`EndpointConfig`] holds what concerns the endpoint as a whole. All are meant to live in an `Arc` and be shared.

mod endpoint;
mod migration;
mod preferred;
mod transport;
mod versions;

use std::net::{SocketAddrV4, SocketAddrV6};
use std::sync::Arc;

use crate::error::ConfigError;
use crate::net::Local;

pub use endpoint::EndpointConfig;
pub use migration::{MakeScheduler, MigrationConfig};
pub(crate) use preferred::Preferred;
pub(crate) use transport::Congestion;
pub use transport::{MakeController, TransportConfig, TransportConfigBuilder};
pub(crate) use versions::{ClientVersions, ServerVersions};

pub use crate::net::MIN_DATAGRAM;

/// Longest token of a server's that a client takes, in bytes: it takes room from the ClientHello in every Initial.
pub(crate) const MAX_TOKEN: usize = 768;

/// What a client connects with.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    pub(crate) transport: Arc<TransportConfig>,
    pub(crate) tls: Arc<rustls::ClientConfig>,
    pub(crate) migration: Option<MigrationConfig>,
    pub(crate) token: Box<[u8]>,
    pub(crate) preferred: Preferred,
    pub(crate) versions: ClientVersions,
    pub(crate) early_data: bool,
}

impl ClientConfig {
    /// A client with this TLS configuration, the transport's defaults and no server migration. The key log of `tls`
    /// hears of all secrets but those of Initial packets, those after key updates included.
    pub fn new(tls: Arc<rustls::ClientConfig>) -> Self {
        Self {
            transport: Arc::default(),
            tls,
            migration: None,
            token: Box::default(),
            preferred: Preferred::default(),
            versions: ClientVersions::default(),
            early_data: false,
        }
    }

    /// Sets the transport.
    pub fn transport(mut self, transport: Arc<TransportConfig>) -> Self {
        self.transport = transport;
        self
    }

    /// Offers server migration.
    ///
    /// # Errors
    ///
    /// A setting of `migration` that cannot be.
    pub fn migration(mut self, migration: MigrationConfig) -> Result<Self, ConfigError> {
        migration.check()?;
        self.migration = Some(migration);
        Ok(self)
    }

    /// Whether data may be sent before the handshake is complete (0-RTT), if the TLS configuration holds a ticket of an
    /// earlier connection that permits it. Default false. What `enable_early_data` of the TLS configuration says is of
    /// no account.
    ///
    /// **Such data can be replayed**: whoever sees it can send it to the server again, any number of times, and the
    /// server may act on each copy (RFC 9001, Section 9.2). Send nothing early but what does no harm when done twice. It
    /// has no forward secrecy either: it is as safe as the ticket's key.
    ///
    /// [`ConnectionEvent::EarlyData`](crate::ConnectionEvent::EarlyData) says when streams can be opened, and whether the
    /// server took what was sent. A ticket is shown in the version of QUIC alone that it was given in: see
    /// [`first_version`](Self::first_version) for servers that go over to another.
    pub fn early_data(mut self, offered: bool) -> Self {
        self.early_data = offered;
        self
    }

    /// Shows the server a token that it gave earlier, by [`ConnectionEvent::NewToken`](crate::ConnectionEvent::NewToken).
    ///
    /// For one connection: a second one with the same token can be told to be of the same client, and a server believes
    /// a token once (RFC 9000, Section 8.1.3). It is good for the version of the connection that it was given on alone
    /// ([`Connection::version`](crate::Connection::version)): begin with that one
    /// ([`first_version`](Self::first_version)).
    ///
    /// # Errors
    ///
    /// No bytes, or more than 768: they would leave no room in a datagram.
    pub fn token(mut self, token: &[u8]) -> Result<Self, ConfigError> {
        if token.is_empty() || token.len() > MAX_TOKEN {
            return Err(ConfigError { setting: "token", reason: "use 1 to 768 bytes" });
        }
        self.token = token.into();
        Ok(self)
    }
}

/// What a server accepts connections with.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    pub(crate) transport: Arc<TransportConfig>,
    pub(crate) tls: Arc<rustls::ServerConfig>,
    pub(crate) migration: Option<MigrationConfig>,
    pub(crate) versions: ServerVersions,
    pub(crate) disable_active_migration: bool,
    pub(crate) early_data: bool,
    pub(crate) preferred_v4: Option<(SocketAddrV4, Local)>,
    pub(crate) preferred_v6: Option<(SocketAddrV6, Local)>,
}

impl ServerConfig {
    /// A server with this TLS configuration, the transport's defaults and no server migration. The key log of `tls`
    /// hears of all secrets but those of Initial packets, those after key updates included.
    pub fn new(tls: Arc<rustls::ServerConfig>) -> Self {
        Self {
            transport: Arc::default(),
            tls,
            migration: None,
            versions: ServerVersions::default(),
            disable_active_migration: false,
            early_data: false,
            preferred_v4: None,
            preferred_v6: None,
        }
    }

    /// Whether data is taken before the handshake is complete (0-RTT), from clients with a ticket of an earlier
    /// connection. Default false. What `max_early_data_size` of the TLS configuration says is of no account; it must keep
    /// sessions in its `session_storage`, as it does unless a `ticketer` was set.
    ///
    /// **Such data may be a replay**: an attacker's copy of what a client once sent. A session that rustls keeps is
    /// resumed once, which stops replays to the same store, but not to another server of the same name, nor after the
    /// store was lost. As long as [`Connection::is_early`](crate::Connection::is_early) says so, do nothing that does harm
    /// when done twice; wait for [`ConnectionEvent::Connected`](crate::ConnectionEvent::Connected), which no replay brings
    /// about (RFC 9001, Section 9.2; RFC 8470, Section 3).
    pub fn early_data(mut self, accepted: bool) -> Self {
        self.early_data = accepted;
        self
    }

    /// Sets the transport.
    pub fn transport(mut self, transport: Arc<TransportConfig>) -> Self {
        self.transport = transport;
        self
    }

    /// Asks clients to stay at the addresses they come from: for a server that is not reached by its connection IDs
    /// alone (RFC 9000, Section 18.2). One whose address changes all the same is followed: it may be the work of a NAT.
    /// Default false.
    pub fn disable_active_migration(mut self, stay: bool) -> Self {
        self.disable_active_migration = stay;
        self
    }

    /// Permits server migration.
    ///
    /// # Errors
    ///
    /// A setting of `migration` that cannot be.
    pub fn migration(mut self, migration: MigrationConfig) -> Result<Self, ConfigError> {
        migration.check()?;
        self.migration = Some(migration);
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client with the defaults.
    pub(super) fn client() -> ClientConfig {
        let roots = rustls::RootCertStore::empty();
        let tls =
            rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_protocol_versions(&[&rustls::version::TLS13])
                .expect("TLS 1.3 is there")
                .with_root_certificates(roots)
                .with_no_client_auth();
        ClientConfig::new(Arc::new(tls))
    }

    #[test]
    fn a_token_leaves_room_in_a_datagram() {
        let config = client();
        assert!(config.clone().token(&[7; 768]).is_ok());
        assert!(config.clone().token(&[7; 769]).is_err());
        assert!(config.token(&[]).is_err());
    }
}
