//! A network address translator in front of client hosts (RFC 4787): how it maps, whom it lets in, and how it forgets.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use peregrine::Instant;

/// Who may send to a mapping (RFC 4787, Section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filtering {
    /// Everybody.
    EndpointIndependent,
    /// Addresses that were sent to, from any port.
    AddressDependent,
    /// Exactly those endpoints that were sent to.
    AddressAndPortDependent,
}

/// Which public endpoint a datagram leaves from (RFC 4787, Section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mapping {
    /// The same whatever the destination.
    EndpointIndependent,
    /// Another for each destination, as a "symmetric" NAT does.
    PerDestination,
}

/// One public endpoint in use.
#[derive(Debug)]
struct Entry {
    inside: SocketAddr,
    /// The one destination it is for, if the mapping depends on it.
    only: Option<SocketAddr>,
    public: SocketAddr,
    /// Whom it was used to send to.
    sent_to: Vec<SocketAddr>,
    used: Instant,
}

/// A translator with one public address.
#[derive(Debug)]
pub struct Nat {
    inside: Vec<IpAddr>,
    public: IpAddr,
    next_port: u16,
    mapping: Mapping,
    filtering: Filtering,
    timeout: Option<Duration>,
    entries: Vec<Entry>,
}

impl Nat {
    /// In front of these hosts, seen by the world as `public`. Mappings are endpoint-independent and never forgotten
    /// unless said otherwise.
    pub fn new(inside: &[IpAddr], public: IpAddr, filtering: Filtering) -> Self {
        Self {
            inside: inside.to_vec(),
            public,
            next_port: 20_000,
            mapping: Mapping::EndpointIndependent,
            filtering,
            timeout: None,
            entries: Vec::new(),
        }
    }

    /// Maps like this.
    pub fn mapping(mut self, mapping: Mapping) -> Self {
        self.mapping = mapping;
        self
    }

    /// Forgets a mapping that was not used outward for this long.
    pub fn timeout(mut self, after: Duration) -> Self {
        self.timeout = Some(after);
        self
    }

    /// Whether this host stands behind it.
    pub fn shields(&self, host: IpAddr) -> bool {
        self.inside.contains(&host)
    }

    /// Whether the world reaches it at this address.
    pub fn answers_to(&self, address: IpAddr) -> bool {
        self.public == address
    }

    /// Forgets all mappings; datagrams leave from new ports from now on, and from `public` if one is given.
    pub fn rebind(&mut self, public: Option<IpAddr>) {
        self.entries.clear();
        self.public = public.unwrap_or(self.public);
    }

    /// The public endpoint that a datagram from inside leaves from.
    pub fn outward(&mut self, now: Instant, inside: SocketAddr, to: SocketAddr) -> SocketAddr {
        self.forget_old(now);
        let only = match self.mapping {
            Mapping::EndpointIndependent => None,
            Mapping::PerDestination => Some(to),
        };
        let known = self.entries.iter().position(|entry| entry.inside == inside && entry.only == only);
        let index = known.unwrap_or_else(|| {
            let public = SocketAddr::new(self.public, self.next_port);
            self.next_port = self.next_port.wrapping_add(1).max(1024);
            self.entries.push(Entry { inside, only, public, sent_to: Vec::new(), used: now });
            self.entries.len() - 1
        });
        let entry = &mut self.entries[index];
        entry.used = now;
        if !entry.sent_to.contains(&to) {
            entry.sent_to.push(to);
        }
        entry.public
    }

    /// The endpoint inside that a datagram is for; `None` if it is not let in.
    pub fn inward(&mut self, now: Instant, from: SocketAddr, public: SocketAddr) -> Option<SocketAddr> {
        self.forget_old(now);
        let entry = self.entries.iter().find(|entry| entry.public == public)?;
        let welcome = match self.filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => entry.sent_to.iter().any(|peer| peer.ip() == from.ip()),
            Filtering::AddressAndPortDependent => entry.sent_to.contains(&from),
        };
        welcome.then_some(entry.inside)
    }

    fn forget_old(&mut self, now: Instant) {
        if let Some(timeout) = self.timeout {
            self.entries.retain(|entry| now.since(entry.used) < timeout);
        }
    }
}

#[cfg(test)]
mod tests;
