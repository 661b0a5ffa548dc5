//! Which version a connection speaks, and how both sides came to that (RFC 9368; RFC 9369, Section 4.1).
//!
//! Decides alone: which packets can be read, what a server answers, what a client makes of a Version Negotiation packet,
//! and whether somebody has tampered. What follows for keys and packets is [`negotiate`](super::negotiate)'s to do.

use crate::crypto::KeyRing;
use crate::error::TransportError;
use crate::packet::{PacketHeader, Version, reserved};
use crate::params::VersionInformation;
use crate::rng::Rng;

/// How many of the versions that a server named an application is told of.
const MAX_TOLD: usize = 16;

/// The versions of one connection.
#[derive(Debug)]
pub struct Versions {
    /// Of the client's first flight, the second first one after a Version Negotiation packet.
    original: Version,
    /// In use.
    current: Version,
    tale: Tale,
}

/// How it came to that.
#[derive(Debug)]
enum Tale {
    /// A client's first attempt.
    First,
    /// A client's first attempt, in which packets of the original version bear a number that nobody knows.
    Disguised { number: u32 },
    /// A client's second attempt, upon a Version Negotiation packet.
    Second,
    /// A server's only one.
    Server {
        /// The keys of Initial packets of the original version, after the server went over to another: the client may
        /// not know yet (RFC 9369, Section 4.1).
        former: Option<Box<KeyRing>>,
    },
}

/// How a packet with a long header is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// As all are.
    Current,
    /// With the keys of the version before.
    Former,
    /// As one of this version, which the server has gone over to if the packet is authentic.
    Other(Version),
    /// Not at all.
    Never,
}

/// What a client makes of a Version Negotiation packet.
#[derive(Debug, PartialEq, Eq)]
pub enum Advice {
    /// Nothing.
    Ignored,
    /// It begins anew with this version.
    Again(Version),
    /// There is none in common with these, which the server named.
    Hopeless(Vec<u32>),
}

impl Versions {
    /// A client's, whose first flight is of `original`; `disguise` is the number it bears instead.
    pub fn client(original: Version, disguise: Option<u32>) -> Self {
        let tale = disguise.map_or(Tale::First, |number| Tale::Disguised { number });
        Self { original, current: original, tale }
    }

    /// A server's, whose client's first flight is of `original`.
    pub fn server(original: Version) -> Self {
        Self { original, current: original, tale: Tale::Server { former: None } }
    }

    /// The version in use.
    pub fn current(&self) -> Version {
        self.current
    }

    /// The version of the client's first flight, and so of its 0-RTT packets, whatever is negotiated (RFC 9369, Section
    /// 4.1).
    pub fn original(&self) -> Version {
        self.original
    }

    /// The number that takes the place of the version in a client's packets.
    pub fn disguise(&self) -> Option<u32> {
        match self.tale {
            Tale::Disguised { number } => Some(number),
            Tale::First | Tale::Second | Tale::Server { .. } => None,
        }
    }

    /// How a packet is to be read. `own` is what a client speaks; `heard` is whether the server's handshake has begun,
    /// from when on its version is known (RFC 9369, Section 4.1).
    pub fn reading(&self, header: &PacketHeader, own: &[Version], heard: bool) -> Reading {
        let Some(version) = header.version() else { return Reading::Current };
        let (is_initial, is_original) = match header {
            PacketHeader::Initial { .. } => (true, false),
            // 0-RTT is never of a version that was negotiated, nor is a Retry.
            PacketHeader::ZeroRtt { .. } | PacketHeader::Retry { .. } => (false, true),
            PacketHeader::Handshake { .. }
            | PacketHeader::Short { .. }
            | PacketHeader::VersionNegotiation { .. }
            | PacketHeader::OtherVersion { .. } => (false, false),
        };
        let may_change = !heard && !is_original && self.current == self.original;
        match &self.tale {
            Tale::Disguised { .. } => Reading::Never,
            _ if is_original && version == self.original => Reading::Current,
            _ if !is_original && version == self.current => Reading::Current,
            Tale::Server { former: Some(_) } if is_initial && version == self.original => Reading::Former,
            Tale::First | Tale::Second if may_change && own.contains(&version) => Reading::Other(version),
            Tale::First | Tale::Second | Tale::Server { .. } => Reading::Never,
        }
    }

    /// Goes over to another version, or back.
    pub fn change(&mut self, to: Version) {
        self.current = to;
    }

    /// The keys that a server keeps for Initial packets of the version before.
    pub fn former(&mut self) -> Option<&mut Box<KeyRing>> {
        match &mut self.tale {
            Tale::Server { former } => former.as_mut(),
            Tale::First | Tale::Disguised { .. } | Tale::Second => None,
        }
    }

    /// Keeps them.
    pub fn keep(&mut self, keys: KeyRing) {
        if let Tale::Server { former } = &mut self.tale {
            *former = Some(Box::new(keys));
        }
    }

    /// No Initial packet is read any more.
    pub fn forget(&mut self) {
        if let Tale::Server { former } = &mut self.tale {
            *former = None;
        }
    }

    // ---- what is said -------------------------------------------------------------------------

    /// What we say of versions, with a reserved one among those we speak.
    pub fn information(&self, own: &[Version], rng: &mut dyn Rng) -> VersionInformation {
        let mut available: Vec<u32> = own.iter().map(|version| version.wire()).collect();
        let places = u32::try_from(available.len() + 1).unwrap_or(u32::MAX);
        available.insert(rng.below(places) as usize, reserved(rng.bytes()));
        VersionInformation { chosen: self.current.wire(), available }
    }

    /// The version that a server negotiates with a client that says this of versions. `own` is what it accepts; its
    /// order counts if `is_ordered`, else the client's does.
    ///
    /// # Errors
    ///
    /// VERSION_NEGOTIATION_ERROR if the client chose another version than its packets have (RFC 9368, Section 4), or
    /// there is none in common.
    pub fn agree(
        &self,
        own: &[Version],
        is_ordered: bool,
        client: Option<&VersionInformation>,
    ) -> Result<Version, TransportError> {
        let offered = match client {
            Some(client) if client.chosen != self.original.wire() => {
                return Err(TransportError::version_negotiation(
                    "the client's packets are of another version",
                ));
            }
            Some(client) => {
                client.available.iter().filter_map(|number| Version::from_wire(*number)).collect()
            }
            None => vec![self.original],
        };
        let agreed = if is_ordered { common(own, &offered) } else { common(&offered, own) };
        agreed.ok_or(TransportError::version_negotiation("no version in common"))
    }

    /// What a client makes of a Version Negotiation packet that answers it and names these versions.
    pub fn advised(&self, own: &[Version], named: impl Iterator<Item = u32> + Clone) -> Advice {
        let tried = match self.tale {
            Tale::First => self.original.wire(),
            Tale::Disguised { number } => number,
            Tale::Second | Tale::Server { .. } => return Advice::Ignored,
        };
        // One that names the version it answers is forged, or a mistake (RFC 9368, Section 4).
        if named.clone().any(|number| number == tried) || named.clone().next().is_none() {
            return Advice::Ignored;
        }
        let spoken: Vec<Version> = named.clone().filter_map(Version::from_wire).collect();
        common(own, &spoken).map_or_else(|| Advice::Hopeless(named.take(MAX_TOLD).collect()), Advice::Again)
    }

    /// A client begins anew with this version.
    pub fn begin_again(&mut self, version: Version) {
        *self = Self { original: version, current: version, tale: Tale::Second };
    }

    /// Compares what the server says, authentically now, with what has happened (RFC 9368, Sections 4 and 8).
    ///
    /// # Errors
    ///
    /// VERSION_NEGOTIATION_ERROR if somebody may have tampered.
    pub fn check(&self, own: &[Version], server: Option<&VersionInformation>) -> Result<(), TransportError> {
        let refuse = |reason| Err(TransportError::version_negotiation(reason));
        let advised = matches!(self.tale, Tale::Second);
        let only_one = VersionInformation { chosen: Version::V1.wire(), available: vec![Version::V1.wire()] };
        let server = match server {
            Some(server) => server,
            None if !advised && self.current == self.original => return Ok(()),
            // Who knows version 1 alone need not know version_information.
            None if advised && self.original == Version::V1 => &only_one,
            None => return refuse("the server says nothing of versions"),
        };
        if server.chosen != self.current.wire() || !own.contains(&self.current) {
            return refuse("the server chose another version than its packets have");
        }
        if advised {
            let named = server.available.iter().chain([&server.chosen]);
            let spoken: Vec<Version> = named.filter_map(|number| Version::from_wire(*number)).collect();
            if server.available.is_empty() || common(own, &spoken) != Some(self.original) {
                return refuse("a Version Negotiation packet named other versions than the server");
            }
        }
        Ok(())
    }
}

/// The first of `preferred` that is in `others`.
fn common(preferred: &[Version], others: &[Version]) -> Option<Version> {
    preferred.iter().copied().find(|version| others.contains(version))
}

#[cfg(test)]
mod tests;
