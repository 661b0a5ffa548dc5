//! The strategies by which a server moves, by the names that people and programs give them.

use clap::ValueEnum;
use peregrine::{MigrationTarget, MoveOrder, Strategy};
use serde::Deserialize;

/// A strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// Clients are told beforehand where the server goes
    Explicit,
    /// Clients know all along where the server may go
    Pool,
    /// Clients are told nothing; the server speaks first from its new address
    Symmetric,
    /// Clients are told beforehand that the server goes, not where to
    Synchronized,
}

impl Way {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Explicit => "explicit",
            Self::Pool => "pool",
            Self::Symmetric => "symmetric",
            Self::Synchronized => "synchronized",
        }
    }

    /// As the library calls it.
    pub fn strategy(self) -> Strategy {
        match self {
            Self::Explicit => Strategy::Explicit,
            Self::Pool => Strategy::Pool,
            Self::Symmetric => Strategy::Symmetric,
            Self::Synchronized => Strategy::SynchronizedSymmetric,
        }
    }

    /// The order to move by it; `None` if it wants a target and has none, or has one and wants none.
    pub fn order(self, target: Option<MigrationTarget>) -> Option<MoveOrder> {
        match (self, target) {
            (Self::Explicit, Some(target)) => Some(MoveOrder::Explicit(target)),
            (Self::Pool, None) => Some(MoveOrder::Pool),
            (Self::Symmetric, None) => Some(MoveOrder::Symmetric),
            (Self::Synchronized, None) => Some(MoveOrder::SynchronizedSymmetric),
            (Self::Explicit, None) | (Self::Pool | Self::Symmetric | Self::Synchronized, Some(_)) => None,
        }
    }
}

impl From<Strategy> for Way {
    fn from(strategy: Strategy) -> Self {
        match strategy {
            Strategy::Explicit => Self::Explicit,
            Strategy::Pool => Self::Pool,
            Strategy::Symmetric => Self::Symmetric,
            Strategy::SynchronizedSymmetric => Self::Synchronized,
        }
    }
}
