//! The five ways in which a server can move: four strategies, Explicit as its client plays it reactively or
//! proactively.

use std::net::SocketAddr;

use clap::ValueEnum;
use peregrine::{MigrationConfig, MigrationTarget, MoveOrder, SeekPolicy, Strategy, StrategySet};

/// How the server moves, and how its clients find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Variant {
    /// The server says where it will go; clients look there once it falls silent
    #[value(alias = "explicit")]
    ExplicitReactive,
    /// The server says where it will go; clients look there at once
    ExplicitProactive,
    /// The server has said all along where it may go; clients look there once it falls silent
    Pool,
    /// The server says nothing; it speaks first from its new address
    Symmetric,
    /// The server says that it will go, not where; it speaks first from its new address
    Synchronized,
}

impl Variant {
    /// Its name on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::ExplicitReactive => "explicit-reactive",
            Self::ExplicitProactive => "explicit-proactive",
            Self::Pool => "pool",
            Self::Symmetric => "symmetric",
            Self::Synchronized => "synchronized",
        }
    }

    fn strategy(self) -> Strategy {
        match self {
            Self::ExplicitReactive | Self::ExplicitProactive => Strategy::Explicit,
            Self::Pool => Strategy::Pool,
            Self::Symmetric => Strategy::Symmetric,
            Self::Synchronized => Strategy::SynchronizedSymmetric,
        }
    }

    /// What the clients offer.
    pub fn client(self) -> MigrationConfig {
        let seek = match self {
            Self::ExplicitProactive => SeekPolicy::Proactive,
            Self::ExplicitReactive | Self::Pool | Self::Symmetric | Self::Synchronized => {
                SeekPolicy::Reactive
            }
        };
        MigrationConfig::new(StrategySet::EMPTY.with(self.strategy())).seek(seek)
    }

    /// What the server permits; `targets` is where it may go.
    pub fn server(self, targets: &[MigrationTarget]) -> MigrationConfig {
        let config = MigrationConfig::new(StrategySet::EMPTY.with(self.strategy()));
        if self == Self::Pool { config.pool(targets.to_vec()) } else { config }
    }

    /// The order to go to `target`.
    pub fn order(self, target: MigrationTarget) -> MoveOrder {
        match self {
            Self::ExplicitReactive | Self::ExplicitProactive => MoveOrder::Explicit(target),
            Self::Pool => MoveOrder::Pool,
            Self::Symmetric => MoveOrder::Symmetric,
            Self::Synchronized => MoveOrder::SynchronizedSymmetric,
        }
    }
}

/// The target that is one address.
///
/// # Panics
///
/// If the address is unspecified or has port 0, which no bound socket has.
pub fn target(address: SocketAddr) -> MigrationTarget {
    MigrationTarget::single(address).expect("a bound address has an address and a port")
}
