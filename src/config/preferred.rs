//! Settings about a server's preferred address (RFC 9000, Section 9.6).

use std::fmt;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::sync::Arc;

use super::{ClientConfig, ServerConfig};
use crate::error::ConfigError;
use crate::migration::{AddressPolicy, DefaultPolicy};
use crate::net::Local;

/// Which addresses a client goes to because its server prefers them; `None`: to none.
#[derive(Clone)]
pub(crate) struct Preferred(pub(crate) Option<Arc<dyn AddressPolicy>>);

impl Default for Preferred {
    fn default() -> Self {
        Self(Some(Arc::new(DefaultPolicy)))
    }
}

impl fmt::Debug for Preferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "WithinPolicy" } else { "Ignored" })
    }
}

impl ClientConfig {
    /// Which addresses the client tries and goes to because its server prefers them, asked for each; `None`: it stays at
    /// the address it connected to. Default [`DefaultPolicy`]: a server on the Internet sends no client into the networks
    /// that it lives in.
    pub fn preferred_address(mut self, policy: Option<Arc<dyn AddressPolicy>>) -> Self {
        self.preferred = Preferred(policy);
        self
    }
}

impl ServerConfig {
    /// The IPv4 address at which the server would rather be reached, once a client has connected elsewhere, and which
    /// of the driver's sockets that is (RFC 9000, Section 9.6). Clients try it as soon as the handshake is confirmed and
    /// go on there; the server goes with each as soon as it has come and is proved to be there.
    ///
    /// The address holds for the connection alone, and is void when the server itself is relocated. Where it is that of
    /// another host, or of none, clients stay where they are.
    ///
    /// # Errors
    ///
    /// An unspecified address or port 0.
    pub fn preferred_v4(mut self, address: SocketAddrV4, local: Local) -> Result<Self, ConfigError> {
        check_preferred(address.into())?;
        self.preferred_v4 = Some((address, local));
        Ok(self)
    }

    /// The IPv6 address at which the server would rather be reached; else as [`preferred_v4`](Self::preferred_v4). A
    /// client is told of both and uses the one of the family in use.
    ///
    /// # Errors
    ///
    /// An unspecified address or port 0.
    pub fn preferred_v6(mut self, address: SocketAddrV6, local: Local) -> Result<Self, ConfigError> {
        check_preferred(address.into())?;
        self.preferred_v6 = Some((address, local));
        Ok(self)
    }
}

fn check_preferred(address: SocketAddr) -> Result<(), ConfigError> {
    if address.ip().is_unspecified() || address.port() == 0 {
        return Err(ConfigError { setting: "preferred_address", reason: "use a concrete address and port" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_preferred_address_is_a_concrete_one() {
        assert!(check_preferred((Ipv4Addr::UNSPECIFIED, 443).into()).is_err());
        assert!(check_preferred((Ipv4Addr::LOCALHOST, 0).into()).is_err());
        assert!(check_preferred((Ipv4Addr::LOCALHOST, 443).into()).is_ok());
    }
}
