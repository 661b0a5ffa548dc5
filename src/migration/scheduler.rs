//! In which order a client asks the addresses of its pool (reference, Section 7).
//!
//! The strategy's machine drives a scheduler in rounds: it calls `next` until `None`, sends a seek to each
//! address it was given, and begins the next round when it is due. Schedulers know nothing of time or paths,
//! and keep no bound: the machine inserts no more members than its limit.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::frame::MigrationTarget;

/// The pool of one connection, and the order in which a round asks it (reference, Section 7.1).
pub trait AddressScheduler: Send {
    /// Adds a member; false if it is known already. A round under way may leave it to the next one.
    fn insert(&mut self, target: MigrationTarget) -> bool;

    /// Whether a member has this endpoint, whether or not a round has asked it yet.
    fn contains(&self, address: SocketAddr) -> bool;

    /// Says where the server is now; `None`: not known. A round under way may leave it to the next one.
    fn set_current(&mut self, current: Option<MigrationTarget>);

    /// Where the server is, as far as the scheduler has taken it up.
    fn current(&self) -> Option<MigrationTarget>;

    /// The next address of the round. `None` ends the round, at once when there is nothing to try beside the
    /// current address; the call after that begins another.
    fn next(&mut self) -> Option<MigrationTarget>;

    /// Ends the round under way, if there is one; the next call of `next` begins another.
    fn restart(&mut self);

    /// Shows every member once.
    fn members(&self, each: &mut dyn FnMut(MigrationTarget));
}

/// The default: the current address first, then the members in ascending order (reference, Section 7.2).
///
/// A round keeps to what was known when it began: members inserted during a round and a current address set
/// during it count from the next one. A member at the current address is not asked a second time.
#[derive(Debug, Default)]
pub struct Cycle {
    pool: BTreeSet<MigrationTarget>,
    current: Option<MigrationTarget>,
    round: Option<Round>,
}

/// A round under way: from its first address until it has said that there is no other.
#[derive(Debug)]
struct Round {
    /// What is still to be asked, the last one first.
    ahead: Vec<MigrationTarget>,
    /// What the current address will be when the round is over.
    successor: Option<MigrationTarget>,
}

impl Cycle {
    /// The round over what is known now; `None` if it would ask nothing but the current address.
    fn begin(&self) -> Option<Round> {
        let is_elsewhere =
            |member: &&MigrationTarget| self.current.is_none_or(|at| !shares_endpoint(member, &at));
        let mut ahead: Vec<_> = self.pool.iter().rev().filter(is_elsewhere).copied().collect();
        if ahead.is_empty() {
            return None;
        }
        ahead.extend(self.current);
        Some(Round { ahead, successor: self.current })
    }
}

impl AddressScheduler for Cycle {
    fn insert(&mut self, target: MigrationTarget) -> bool {
        self.pool.insert(target)
    }

    fn contains(&self, address: SocketAddr) -> bool {
        self.pool.iter().any(|member| member.names(address))
    }

    fn set_current(&mut self, current: Option<MigrationTarget>) {
        match &mut self.round {
            Some(round) => round.successor = current,
            None => self.current = current,
        }
    }

    fn current(&self) -> Option<MigrationTarget> {
        self.current
    }

    fn next(&mut self) -> Option<MigrationTarget> {
        if self.round.is_none() {
            self.round = self.begin();
        }
        let next = self.round.as_mut()?.ahead.pop();
        if next.is_none() {
            self.restart();
        }
        next
    }

    fn restart(&mut self) {
        if let Some(round) = self.round.take() {
            self.current = round.successor;
        }
    }

    fn members(&self, each: &mut dyn FnMut(MigrationTarget)) {
        self.pool.iter().copied().for_each(each);
    }
}

/// Whether the two name one place. A member of two families is at the current address, which usually has one,
/// though the two values differ.
fn shares_endpoint(member: &MigrationTarget, current: &MigrationTarget) -> bool {
    let v4 = current.v4().map(SocketAddr::V4);
    let v6 = current.v6().map(SocketAddr::V6);
    v4.into_iter().chain(v6).any(|endpoint| member.names(endpoint))
}

#[cfg(test)]
mod tests;
