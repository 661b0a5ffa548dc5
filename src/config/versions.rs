//! Which versions of QUIC each side speaks, which it prefers, and what a client begins with (RFC 9368, Section 2.5).

use super::{ClientConfig, ServerConfig};
use crate::error::ConfigError;
use crate::packet::Version;

/// A client's versions.
#[derive(Debug, Clone)]
pub(crate) struct ClientVersions {
    /// In order of preference; each once, one at least.
    pub(crate) preferred: Box<[Version]>,
    /// Of the first flight; one of them.
    pub(crate) first: Version,
    /// Whether the first flight names a version that nobody speaks instead.
    pub(crate) greases: bool,
}

impl Default for ClientVersions {
    fn default() -> Self {
        Self { preferred: [Version::V1, Version::V2].into(), first: Version::V1, greases: false }
    }
}

/// A server's versions.
#[derive(Debug, Clone)]
pub(crate) struct ServerVersions {
    /// Each once, one at least.
    pub(crate) accepted: Box<[Version]>,
    /// Whether their order is one of preference; if not, the client's counts.
    pub(crate) is_ordered: bool,
}

impl Default for ServerVersions {
    fn default() -> Self {
        Self { accepted: [Version::V1, Version::V2].into(), is_ordered: false }
    }
}

fn check(versions: &[Version]) -> Result<Box<[Version]>, ConfigError> {
    let refuse = |reason| Err(ConfigError { setting: "versions", reason });
    if versions.is_empty() {
        return refuse("name at least one");
    }
    if versions.iter().enumerate().any(|(at, version)| versions.iter().skip(at + 1).any(|v| v == version)) {
        return refuse("name each version once");
    }
    Ok(versions.into())
}

impl ClientConfig {
    /// Speaks these versions of QUIC, the preferred one first. Default 1, then 2.
    ///
    /// The first flight is of the oldest of them, which most servers understand, unless
    /// [`first_version`](Self::first_version) says otherwise. A server that speaks another one may go over to it without
    /// a round trip (compatible version negotiation, RFC 9368); one that does not know the first costs a round trip.
    /// [`Connection::version`](crate::Connection::version) says what came of it.
    ///
    /// # Errors
    ///
    /// None at all, or one twice.
    pub fn versions(mut self, preferred: &[Version]) -> Result<Self, ConfigError> {
        let preferred = check(preferred)?;
        let first = preferred.iter().copied().min().unwrap_or(Version::V1);
        self.versions = ClientVersions { preferred, first, ..self.versions };
        Ok(self)
    }

    /// The version of the first flight, one of those set by [`versions`](Self::versions) before.
    ///
    /// # Errors
    ///
    /// One that is not among them.
    pub fn first_version(mut self, first: Version) -> Result<Self, ConfigError> {
        if !self.versions.preferred.contains(&first) {
            return Err(ConfigError { setting: "first_version", reason: "use one of `versions`" });
        }
        self.versions.first = first;
        Ok(self)
    }

    /// Begins with a version that nobody speaks, other ones at random (RFC 9000, Section 15), so that the server has to
    /// answer by Version Negotiation. Costs a round trip; a server that does not answer is not reached at all.
    pub fn grease_version(mut self) -> Self {
        self.versions.greases = true;
        self
    }
}

impl ServerConfig {
    /// Speaks these versions of QUIC, the preferred one first: to that one it goes over if the client permits it
    /// (compatible version negotiation, RFC 9368). Default 1 and 2, whichever the client prefers.
    ///
    /// A client that begins with none of them is told of them by Version Negotiation, as far as they are the endpoint's
    /// ([`EndpointConfig::server`](crate::EndpointConfig::server)).
    ///
    /// # Errors
    ///
    /// None at all, or one twice.
    pub fn versions(mut self, preferred: &[Version]) -> Result<Self, ConfigError> {
        self.versions = ServerVersions { accepted: check(preferred)?, is_ordered: true };
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [Version; 2] = [Version::V2, Version::V1];

    #[test]
    fn versions_are_named_once_and_one_at_least() {
        assert_eq!(check(&BOTH).as_deref(), Ok(&BOTH[..]));
        assert_eq!(check(&[]).map_err(|e| e.setting), Err("versions"));
        assert_eq!(check(&[Version::V1, Version::V2, Version::V1]).map_err(|e| e.setting), Err("versions"));
    }

    #[test]
    fn a_client_begins_with_the_oldest_whatever_it_prefers() {
        let config = super::super::tests::client().versions(&BOTH).expect("two versions");
        assert_eq!(config.versions.first, Version::V1);
        let config = config.first_version(Version::V2).expect("one of them");
        assert_eq!(config.versions.first, Version::V2);
        let config = config.versions(&[Version::V2]).expect("one version");
        assert!(config.first_version(Version::V1).is_err());
    }
}
