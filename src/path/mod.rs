//! The paths of a connection: which exist, which is home, which are former or candidates.
//!
//! A client's home changes only to a path that was validated. A server follows its client at once, within the limit of
//! three, and keeps the last validated path to fall back to (RFC 9000, Section 9.3). `Paths` keeps the books; who
//! becomes home and when is decided by `migration/` at a client and by `connection/` at a server.

pub mod amplification;
pub mod state;
pub mod validation;

use std::net::SocketAddr;

use smallvec::SmallVec;

pub use amplification::Budget;
pub use state::{Path, PathState};
pub use validation::{Answer, Expiry, Validation};

use crate::id::PathId;
use crate::time::Instant;

/// Paths a peer can make us keep besides home and the candidates we look for ourselves.
pub const MAX_FOREIGN_PATHS: usize = 4;

/// All paths of one connection. Home stands first, for there is where almost every packet goes.
#[derive(Debug)]
pub struct Paths {
    list: SmallVec<[Path; 1]>,
    /// The path that was home, and until when its packets are still welcome.
    former: Option<(PathId, Instant)>,
    /// A server that follows its client to an unproven address: the path to go back to.
    fallback: Option<PathId>,
    next: u32,
}

impl Paths {
    /// Begins with a home.
    pub fn new(make: impl FnOnce(PathId) -> Path) -> Self {
        let mut list = SmallVec::new();
        list.push(make(PathId(0)));
        Self { list, former: None, fallback: None, next: 1 }
    }

    /// The path in use.
    #[inline]
    pub fn home(&self) -> &Path {
        &self.list[0]
    }

    /// The path in use.
    #[inline]
    pub fn home_mut(&mut self) -> &mut Path {
        &mut self.list[0]
    }

    /// The path with this name.
    #[inline]
    pub fn get(&self, id: PathId) -> Option<&Path> {
        self.list.iter().find(|path| path.id == id)
    }

    /// The path with this name.
    #[inline]
    pub fn get_mut(&mut self, id: PathId) -> Option<&mut Path> {
        self.list.iter_mut().find(|path| path.id == id)
    }

    /// The path to this address; home first.
    #[inline]
    pub fn to(&self, remote: SocketAddr) -> Option<PathId> {
        self.list.iter().find(|path| path.tuple.remote == remote).map(|path| path.id)
    }

    /// All paths, home first.
    pub fn iter(&self) -> impl Iterator<Item = &Path> {
        self.list.iter()
    }

    /// All paths, home first.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Path> {
        self.list.iter_mut()
    }

    /// How many paths there are, home included.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Adds a path that is not home.
    pub fn add(&mut self, make: impl FnOnce(PathId) -> Path) -> PathId {
        let id = PathId(self.next);
        self.next += 1;
        self.list.push(make(id));
        id
    }

    /// Forgets a path other than home.
    pub fn remove(&mut self, id: PathId) -> Option<Path> {
        let at = self.list.iter().skip(1).position(|path| path.id == id)? + 1;
        if self.former.is_some_and(|(former, _)| former == id) {
            self.former = None;
        }
        if self.fallback == Some(id) {
            self.fallback = None;
        }
        Some(self.list.remove(at))
    }

    /// Makes another path home and returns the one that was; it stays in the list.
    pub fn move_home(&mut self, id: PathId) -> Option<PathId> {
        let at = self.list.iter().position(|path| path.id == id)?;
        let old = self.home().id;
        self.list.swap(0, at);
        if self.former.is_some_and(|(former, _)| former == id) {
            self.former = None;
        }
        (old != id).then_some(old)
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
