//! Copies of a client's machine: the checker keeps one in every state, and tells them apart.
//!
//! A policy never changes, and between rounds a scheduler is what it shows of itself.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::frame::MigrationTarget;
use crate::migration::client::Client;
use crate::migration::policy::AddressPolicy;
use crate::migration::scheduler::{AddressScheduler, Cycle};

impl Hash for dyn AddressPolicy {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl dyn AddressScheduler {
    fn shown(&self) -> (Vec<MigrationTarget>, Option<MigrationTarget>) {
        let mut members = Vec::new();
        self.members(&mut |member| members.push(member));
        (members, self.current())
    }
}

impl Hash for dyn AddressScheduler {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.shown().hash(state);
    }
}

impl Clone for Box<dyn AddressScheduler> {
    fn clone(&self) -> Self {
        let (members, current) = self.shown();
        let mut copy = Cycle::default();
        members.into_iter().for_each(|member| {
            copy.insert(member);
        });
        copy.set_current(current);
        Box::new(copy)
    }
}

/// A client's machine that several threads may look at: a scheduler alone is for one.
#[derive(Debug)]
pub struct Seat(Mutex<Client>);

impl Seat {
    pub fn new(client: Client) -> Self {
        Self(Mutex::new(client))
    }

    pub fn look(&self) -> MutexGuard<'_, Client> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn hold(&mut self) -> &mut Client {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for Seat {
    fn clone(&self) -> Self {
        Self::new(self.look().clone())
    }
}

impl PartialEq for Seat {
    /// As the checker sees it: what hashes alike is alike.
    fn eq(&self, other: &Self) -> bool {
        let hashed = |seat: &Self| BuildHasherDefault::<DefaultHasher>::default().hash_one(seat);
        hashed(self) == hashed(other)
    }
}

impl Hash for Seat {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.look().hash(state);
    }
}
