//! Pool of Addresses: the server names where it may be right after the handshake (reference, Section 3.4).
//!
//! The pool outlives every move. At a client it is a scheduler's; at a server it is a list with the fate of each frame.

use std::fmt;
use std::net::SocketAddr;

use super::scheduler::AddressScheduler;
use crate::error::TransportError;
use crate::frame::{MigrationTarget, SendPoolAddress};
use crate::packet::PacketWriter;

/// The addresses that a client was told.
#[cfg_attr(test, derive(Clone, Hash))]
pub struct Members {
    scheduler: Box<dyn AddressScheduler>,
    count: usize,
    limit: usize,
}

/// What became of an address that the server named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Insertion {
    /// It is a member now.
    New,
    /// It was one before.
    Known,
    /// One too many: ignored.
    Full,
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Members")
            .field("count", &self.count)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl Members {
    /// An empty pool of at most `limit` members.
    pub fn new(scheduler: Box<dyn AddressScheduler>, limit: usize) -> Self {
        Self { scheduler, count: 0, limit }
    }

    /// Whether this very target is a member.
    pub fn knows(&self, target: MigrationTarget) -> bool {
        let mut known = false;
        self.scheduler.members(&mut |member| known |= member == target);
        known
    }

    /// Whether a member has this endpoint.
    pub fn names(&self, address: SocketAddr) -> bool {
        self.scheduler.contains(address)
    }

    /// Takes a member in.
    pub fn insert(&mut self, target: MigrationTarget) -> Insertion {
        if self.knows(target) {
            return Insertion::Known;
        }
        if self.count == self.limit {
            return Insertion::Full;
        }
        self.count += 1;
        if self.scheduler.insert(target) { Insertion::New } else { Insertion::Known }
    }

    /// The addresses of all members that can be sought, home apart.
    pub fn addresses(&self, home: SocketAddr) -> Vec<SocketAddr> {
        let mut all = Vec::with_capacity(self.count);
        self.scheduler.members(&mut |member| {
            if let Some(address) =
                member.like(home).filter(|address| *address != home && !all.contains(address))
            {
                all.push(address);
            }
        });
        all
    }

    /// The addresses of one round, in the scheduler's order, home apart.
    pub fn round(&mut self, home: SocketAddr) -> Vec<SocketAddr> {
        self.scheduler.set_current(MigrationTarget::single(home));
        let mut round = Vec::with_capacity(self.count);
        // All members, the current address, and the end of the round: a scheduler of the embedder's that goes on and on is
        // cut short.
        for _ in 0..self.limit.saturating_add(2) {
            let Some(target) = self.scheduler.next() else { break };
            if let Some(address) = target.like(home).filter(|address| *address != home)
                && !round.contains(&address)
            {
                round.push(address);
            }
        }
        round
    }

    /// A search is over: the next one begins a new round.
    pub fn restart(&mut self) {
        self.scheduler.restart();
        self.scheduler.set_current(None);
    }
}

/// The endpoint of the family in use that a pool frame names.
///
/// # Errors
///
/// None of that family, or no endpoint at all (reference, C5).
pub fn usable(
    target: Option<MigrationTarget>,
    home: SocketAddr,
) -> Result<(MigrationTarget, SocketAddr), TransportError> {
    let named = target.and_then(|target| Some((target, target.like(home)?)));
    named.ok_or(TransportError::protocol_violation("a pool address without an address of the family in use"))
}

/// Where the frame of a member stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Told {
    Due,
    Sent,
    Acknowledged,
    /// The server moved before the client was known to have it: it is not said any more.
    Withdrawn,
}

/// The addresses that a server tells its client.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Pool(Vec<(MigrationTarget, Told)>);

impl Pool {
    /// A pool of these targets, each once, none of them told yet.
    pub fn new(targets: impl IntoIterator<Item = MigrationTarget>) -> Self {
        let mut pool = Self::default();
        for target in targets {
            if !pool.0.iter().any(|(known, _)| *known == target) {
                pool.0.push((target, Told::Due));
            }
        }
        pool
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the client has acknowledged every member that it is still told.
    pub fn is_known(&self) -> bool {
        let open = self.0.iter().any(|(_, told)| matches!(told, Told::Due | Told::Sent));
        self.is_partly_known() && !open
    }

    /// Whether the client has acknowledged any member.
    pub fn is_partly_known(&self) -> bool {
        self.0.iter().any(|(_, told)| *told == Told::Acknowledged)
    }

    /// Writes what is due.
    pub fn write(&mut self, packet: &mut PacketWriter<'_>) {
        for (member, (target, told)) in (0u16..).zip(&mut self.0) {
            if *told != Told::Due {
                continue;
            }
            if packet.write(&SendPoolAddress { target: *target, member }).is_err() {
                return;
            }
            *told = Told::Sent;
        }
    }

    /// A member's frame was acknowledged: the member, the first time.
    pub fn acked(&mut self, member: u16) -> Option<MigrationTarget> {
        let (target, told) = self.0.get_mut(usize::from(member))?;
        let first = *told != Told::Acknowledged;
        *told = Told::Acknowledged;
        first.then_some(*target)
    }

    /// The server has moved: a client that has followed takes new members for a violation, so none is sent any more.
    pub fn withdraw(&mut self) {
        for (_, told) in &mut self.0 {
            if matches!(told, Told::Due | Told::Sent) {
                *told = Told::Withdrawn;
            }
        }
    }

    /// A member's frame was lost.
    pub fn lost(&mut self, member: u16) {
        if let Some((_, told)) = self.0.get_mut(usize::from(member))
            && *told == Told::Sent
        {
            *told = Told::Due;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration::Cycle;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    fn target(text: &str) -> MigrationTarget {
        MigrationTarget::single(address(text)).expect("a whole endpoint")
    }

    fn members(limit: usize, texts: &[&str]) -> Members {
        let mut members = Members::new(Box::new(Cycle::default()), limit);
        texts.iter().for_each(|text| {
            members.insert(target(text));
        });
        members
    }

    #[test]
    fn a_round_asks_every_member_but_home() {
        let mut members = members(16, &["10.0.0.3:1", "10.0.0.1:1", "10.0.0.2:1"]);
        let round = members.round(address("10.0.0.1:1"));
        assert_eq!(round, [address("10.0.0.2:1"), address("10.0.0.3:1")]);
        assert_eq!(members.round(address("10.0.0.1:1")), round);
    }

    #[test]
    fn a_full_pool_is_asked_in_every_round() {
        let mut members = members(2, &["10.0.0.2:1", "10.0.0.3:1"]);
        for _ in 0..3 {
            let round = members.round(address("10.0.0.1:1"));
            assert_eq!(round, [address("10.0.0.2:1"), address("10.0.0.3:1")]);
        }
    }

    /// Goes on and on.
    #[derive(Default)]
    struct Endless(Cycle);

    impl AddressScheduler for Endless {
        fn insert(&mut self, target: MigrationTarget) -> bool {
            self.0.insert(target)
        }
        fn contains(&self, address: SocketAddr) -> bool {
            self.0.contains(address)
        }
        fn set_current(&mut self, _: Option<MigrationTarget>) {}
        fn current(&self) -> Option<MigrationTarget> {
            None
        }
        fn next(&mut self) -> Option<MigrationTarget> {
            self.0.next().or_else(|| self.0.next())
        }
        fn restart(&mut self) {}
        fn members(&self, each: &mut dyn FnMut(MigrationTarget)) {
            self.0.members(each);
        }
    }

    #[test]
    fn a_scheduler_that_ends_no_round_asks_everybody_once() {
        let mut members = Members::new(Box::new(Endless::default()), 3);
        members.insert(target("10.0.0.2:1"));
        members.insert(target("10.0.0.3:1"));
        for _ in 0..2 {
            let mut round = members.round(address("10.0.0.1:1"));
            round.sort();
            assert_eq!(round, [address("10.0.0.2:1"), address("10.0.0.3:1")]);
        }
    }

    #[test]
    fn a_pool_of_home_alone_has_nobody_to_ask() {
        let mut members = members(16, &["10.0.0.1:1"]);
        assert!(members.round(address("10.0.0.1:1")).is_empty());
    }

    #[test]
    fn one_member_too_many_is_ignored_and_a_known_one_is_not_counted_twice() {
        let mut members = members(2, &["10.0.0.1:1", "10.0.0.1:1", "10.0.0.2:1"]);
        assert_eq!(members.insert(target("10.0.0.3:1")), Insertion::Full);
        assert_eq!(members.insert(target("10.0.0.2:1")), Insertion::Known);
    }

    #[test]
    fn a_server_tells_an_address_once_though_it_was_named_twice() {
        let pool = Pool::new(["10.0.0.1:1", "10.0.0.2:1", "10.0.0.1:1", "10.0.0.2:1"].map(target));
        assert_eq!(pool.0, [(target("10.0.0.1:1"), Told::Due), (target("10.0.0.2:1"), Told::Due)]);
    }

    #[test]
    fn a_server_knows_that_its_pool_is_known_when_the_last_member_is_acknowledged() {
        let mut pool = Pool::new([target("10.0.0.1:1"), target("10.0.0.2:1"), target("10.0.0.1:1")]);
        assert_eq!(pool.acked(1), Some(target("10.0.0.2:1")));
        assert_eq!(pool.acked(1), None);
        assert_eq!((pool.is_partly_known(), pool.is_known()), (true, false));
        assert_eq!(pool.acked(0), Some(target("10.0.0.1:1")));
        assert!(pool.is_known());
        assert_eq!(pool.acked(7), None);
    }

    #[test]
    fn what_the_client_was_not_told_before_a_move_it_is_not_told_after_it() {
        let mut pool = Pool::new([target("10.0.0.1:1"), target("10.0.0.2:1")]);
        pool.acked(0);
        assert!(!pool.is_known());
        pool.withdraw();
        pool.lost(1);
        assert!(pool.is_known());
        assert_eq!(pool.0[1].1, Told::Withdrawn);
    }
}
