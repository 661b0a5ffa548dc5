//! A network address translator in front of client hosts (RFC 4787): how it maps, whom it lets in, and how it forgets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use peregrine::Instant;

/// The public port that is mapped first.
const FIRST_PORT: u16 = 20_000;

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

/// Whom a mapping is for: an endpoint inside, and its one destination, if the mapping depends on it.
type Flow = (SocketAddr, Option<SocketAddr>);

/// One public endpoint in use.
#[derive(Debug)]
struct Entry {
    flow: Flow,
    /// Whom it was used to send to.
    sent_to: BTreeSet<SocketAddr>,
    used: Instant,
}

/// A translator with one public address.
#[derive(Debug)]
pub struct Nat {
    inside: BTreeSet<IpAddr>,
    public: IpAddr,
    next_port: u16,
    mapping: Mapping,
    filtering: Filtering,
    timeout: Option<Duration>,
    /// By public port.
    entries: BTreeMap<u16, Entry>,
    ports: BTreeMap<Flow, u16>,
}

impl Nat {
    /// In front of these hosts, seen by the world as `public`. Mappings are endpoint-independent and never forgotten
    /// unless said otherwise.
    pub fn new(inside: &[IpAddr], public: IpAddr, filtering: Filtering) -> Self {
        Self {
            inside: inside.iter().copied().collect(),
            public,
            next_port: FIRST_PORT,
            mapping: Mapping::EndpointIndependent,
            filtering,
            timeout: None,
            entries: BTreeMap::new(),
            ports: BTreeMap::new(),
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

    /// The hosts that stand behind it.
    pub(crate) fn inside(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.inside.iter().copied()
    }

    /// Where the world reaches it.
    pub(crate) fn public(&self) -> IpAddr {
        self.public
    }

    /// Forgets all mappings; datagrams leave from new ports from now on, and from `public` if one is given.
    pub(crate) fn rebind(&mut self, public: Option<IpAddr>) {
        self.entries.clear();
        self.ports.clear();
        self.public = public.unwrap_or(self.public);
    }

    /// The public endpoint that a datagram from inside leaves from.
    pub(crate) fn outward(&mut self, now: Instant, inside: SocketAddr, to: SocketAddr) -> SocketAddr {
        let only = match self.mapping {
            Mapping::EndpointIndependent => None,
            Mapping::PerDestination => Some(to),
        };
        let flow = (inside, only);
        let known = self.ports.get(&flow).copied();
        let port = known.filter(|port| self.is_kept(now, *port)).unwrap_or_else(|| self.map(flow));
        let fresh = || Entry { flow, sent_to: BTreeSet::new(), used: now };
        let entry = self.entries.entry(port).or_insert_with(fresh);
        entry.used = now;
        entry.sent_to.insert(to);
        SocketAddr::new(self.public, port)
    }

    /// Takes the next port for a flow, from whom it belonged to if it was in use.
    fn map(&mut self, flow: Flow) -> u16 {
        let port = self.next_port;
        self.next_port = self.next_port.wrapping_add(1).max(1024);
        if let Some(former) = self.entries.remove(&port)
            && self.ports.get(&former.flow) == Some(&port)
        {
            self.ports.remove(&former.flow);
        }
        self.ports.insert(flow, port);
        port
    }

    /// The endpoint inside that a datagram is for; `None` if it is not let in.
    pub(crate) fn inward(&self, now: Instant, from: SocketAddr, public: SocketAddr) -> Option<SocketAddr> {
        let port = Some(public.port()).filter(|port| self.is_kept(now, *port))?;
        let entry = self.entries.get(&port)?;
        let welcome = match self.filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => entry.sent_to.iter().any(|peer| peer.ip() == from.ip()),
            Filtering::AddressAndPortDependent => entry.sent_to.contains(&from),
        };
        welcome.then_some(entry.flow.0)
    }

    /// Whether a mapping is there and not forgotten.
    fn is_kept(&self, now: Instant, port: u16) -> bool {
        let fresh = |entry: &Entry| self.timeout.is_none_or(|timeout| now.since(entry.used) < timeout);
        self.entries.get(&port).is_some_and(fresh)
    }
}

#[cfg(test)]
mod tests;
