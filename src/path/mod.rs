//! The paths of a connection: which exist, which is home, which are former or candidates.
//!
//! A client's home changes only to a path that was validated. A server follows its client at once, within the limit of
//! three, and keeps the last validated path to fall back to (RFC 9000, Section 9.3). `Paths` keeps the books; who
//! becomes home and when is decided by `migration/` at a client and by `connection/` at a server.

pub mod amplification;
pub mod ecn;
mod event;
pub mod mtu;
mod spin;
pub mod state;
pub mod validation;

use std::net::SocketAddr;

pub use amplification::Budget;
pub use event::PathEvent;
pub use spin::Spin;
pub use state::{Path, PathState};
pub use validation::{Expiry, Validation};

use crate::id::PathId;
use crate::net::FourTuple;
use crate::time::Instant;

/// Paths a peer can make us keep besides home and the candidates we look for ourselves.
pub const MAX_FOREIGN_PATHS: usize = 4;

/// All paths of one connection. Home stands apart, for there is where almost every packet goes.
#[derive(Debug)]
pub struct Paths {
    home: Path,
    others: Vec<Path>,
    /// The path that was home, and until when its packets are still welcome.
    former: Option<(PathId, Instant)>,
    /// A server that follows its client to an unproven address: the path to go back to.
    fallback: Option<PathId>,
    next: u32,
}

impl Paths {
    /// Begins with a home.
    pub fn new(make: impl FnOnce(PathId) -> Path) -> Self {
        Self { home: make(PathId(0)), others: Vec::new(), former: None, fallback: None, next: 1 }
    }

    /// The path in use.
    #[inline]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The path in use.
    #[inline]
    pub fn home_mut(&mut self) -> &mut Path {
        &mut self.home
    }

    /// The path with this name.
    #[inline]
    pub fn get(&self, id: PathId) -> Option<&Path> {
        if self.home.id == id { Some(&self.home) } else { self.others.iter().find(|path| path.id == id) }
    }

    /// The path with this name.
    #[inline]
    pub fn get_mut(&mut self, id: PathId) -> Option<&mut Path> {
        if self.home.id == id {
            Some(&mut self.home)
        } else {
            self.others.iter_mut().find(|path| path.id == id)
        }
    }

    /// The path between these ends; home first.
    pub fn at(&self, tuple: FourTuple) -> Option<PathId> {
        self.iter().find(|path| path.tuple.matches(tuple)).map(|path| path.id)
    }

    /// The path to this address from where we are; home first.
    pub fn to(&self, remote: SocketAddr) -> Option<PathId> {
        self.at(FourTuple { local: self.home.tuple.local, remote })
    }

    /// All paths, home first.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(&self.home).chain(&self.others)
    }

    /// All paths, home first.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Path> {
        std::iter::once(&mut self.home).chain(&mut self.others)
    }

    /// How many paths there are, home included.
    pub fn len(&self) -> usize {
        1 + self.others.len()
    }

    /// Adds a path that is not home.
    pub fn add(&mut self, make: impl FnOnce(PathId) -> Path) -> PathId {
        let id = PathId(self.next);
        self.next += 1;
        self.others.push(make(id));
        id
    }

    /// Forgets a path other than home.
    pub fn remove(&mut self, id: PathId) -> Option<Path> {
        let at = self.others.iter().position(|path| path.id == id)?;
        if self.former.is_some_and(|(former, _)| former == id) {
            self.former = None;
        }
        if self.fallback == Some(id) {
            self.fallback = None;
        }
        Some(self.others.remove(at))
    }

    /// Makes another path home and returns the one that was, which stays; `None` if it is home or unknown.
    pub fn move_home(&mut self, id: PathId) -> Option<PathId> {
        let other = self.others.iter_mut().find(|path| path.id == id)?;
        std::mem::swap(&mut self.home, other);
        let old = other.id;
        if self.former.is_some_and(|(former, _)| former == id) {
            self.former = None;
        }
        Some(old)
    }

    /// Home leads to where another path does, which leads to where home did; what was measured and what is under way stays
    /// with home. Whether there is such a path.
    pub fn trade_places(&mut self, id: PathId) -> bool {
        let Some(other) = self.others.iter_mut().find(|path| path.id == id) else { return false };
        self.home.trade_places(other);
        if self.former.is_some_and(|(former, _)| former == id) {
            self.former = None;
        }
        true
    }

    /// The path that was home, while its packets are still welcome.
    pub fn former(&self) -> Option<PathId> {
        self.former.map(|(id, _)| id)
    }

    /// Keeps a path as the former home until `until`; the one before it is returned to be removed.
    pub fn set_former(&mut self, id: PathId, until: Instant) -> Option<PathId> {
        let before = self.former.replace((id, until));
        before.map(|(id, _)| id).filter(|before| *before != id)
    }

    /// When the former home is to be forgotten.
    pub fn former_deadline(&self) -> Option<Instant> {
        self.former.map(|(_, until)| until)
    }

    /// Where a server goes back to if the address it follows its client to proves false.
    pub fn fallback(&self) -> Option<PathId> {
        self.fallback
    }

    /// Sets or clears the path to fall back to.
    pub fn set_fallback(&mut self, path: Option<PathId>) {
        self.fallback = path;
    }
}
