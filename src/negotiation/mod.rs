//! Which migration strategies the two sides agree on (reference, Section 2).
//!
//! The client offers a [`StrategySet`] in the transport parameter `server_migration_suite`, the server
//! answers with the part of it that it permits. On the wire a set is a [`Suite`]; [`select`] and [`confirm`]
//! turn one into the [`Agreement`] without which no migration machine can be built.

mod agreement;
mod suite;

pub use agreement::{Agreement, confirm, select};
pub use suite::Suite;

use std::fmt;
use std::ops::BitOr;

/// A way for a client to learn where its server has gone (reference, Section 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strategy {
    /// Before it moves the server names one address.
    Explicit,
    /// Right after the handshake the server lists all addresses it may ever move to.
    Pool,
    /// The server says nothing and shows itself from its new address.
    Symmetric,
    /// As Symmetric, but the server says beforehand that it will move.
    SynchronizedSymmetric,
}

impl Strategy {
    /// All four, in the order of their bits.
    pub const ALL: [Self; 4] = [Self::Explicit, Self::Pool, Self::Symmetric, Self::SynchronizedSymmetric];

    /// Its bit in the suite (reference, Section 1.6).
    const fn bit(self) -> u8 {
        match self {
            Self::Explicit => 0x1,
            Self::Pool => 0x2,
            Self::Symmetric => 0x4,
            Self::SynchronizedSymmetric => 0x8,
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Explicit => "Explicit",
            Self::Pool => "Pool of Addresses",
            Self::Symmetric => "Symmetric",
            Self::SynchronizedSymmetric => "Synchronized Symmetric",
        })
    }
}

/// A set of strategies, as it is offered, permitted and agreed on (reference, Section 1.6).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct StrategySet(u8);

impl StrategySet {
    /// No strategy.
    pub const EMPTY: Self = Self(0);
    /// All four.
    pub const ALL: Self = Self::EMPTY
        .with(Strategy::Explicit)
        .with(Strategy::Pool)
        .with(Strategy::Symmetric)
        .with(Strategy::SynchronizedSymmetric);

    /// This set and `strategy`.
    #[must_use]
    pub const fn with(self, strategy: Strategy) -> Self {
        Self(self.0 | strategy.bit())
    }

    /// Whether `strategy` is in the set.
    pub const fn contains(self, strategy: Strategy) -> bool {
        self.0 & strategy.bit() != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The strategies that are in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The strategies in the order of their bits.
    pub fn iter(self) -> impl Iterator<Item = Strategy> {
        Strategy::ALL.into_iter().filter(move |strategy| self.contains(*strategy))
    }
}

impl From<Strategy> for StrategySet {
    fn from(strategy: Strategy) -> Self {
        Self::EMPTY.with(strategy)
    }
}

impl FromIterator<Strategy> for StrategySet {
    fn from_iter<I: IntoIterator<Item = Strategy>>(strategies: I) -> Self {
        strategies.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl BitOr for StrategySet {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for StrategySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strategy_prints_the_name_it_has_in_the_reference() {
        let names: Vec<String> = StrategySet::ALL.iter().map(|s| s.to_string()).collect();
        assert_eq!(names, ["Explicit", "Pool of Addresses", "Symmetric", "Synchronized Symmetric"]);
    }

    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_else() {
        let set = StrategySet::EMPTY.with(Strategy::Symmetric).with(Strategy::Explicit);
        assert!(set.contains(Strategy::Explicit) && set.contains(Strategy::Symmetric));
        assert!(!set.contains(Strategy::Pool) && !set.contains(Strategy::SynchronizedSymmetric));
        assert_eq!(set, [Strategy::Explicit, Strategy::Symmetric].into_iter().collect());
        assert!(StrategySet::EMPTY.is_empty() && !set.is_empty());
    }

    #[test]
    fn an_intersection_holds_what_is_in_both() {
        let one = StrategySet::from(Strategy::Pool).with(Strategy::Explicit);
        let other = StrategySet::from(Strategy::Symmetric).with(Strategy::Explicit);
        assert_eq!(one.intersection(other), Strategy::Explicit.into());
        assert_eq!(one | other, StrategySet::EMPTY.with(Strategy::Pool) | other);
    }

    #[test]
    fn a_set_is_printed_by_names() {
        let set = StrategySet::from(Strategy::Pool).with(Strategy::SynchronizedSymmetric);
        assert_eq!(format!("{set:?}"), "{Pool, SynchronizedSymmetric}");
        assert_eq!(format!("{:?}", StrategySet::EMPTY), "{}");
    }
}
