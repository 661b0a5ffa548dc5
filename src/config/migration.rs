//! What is offered or permitted of server migration.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::ConfigError;
use crate::frame::MigrationTarget;
use crate::migration::{AddressPolicy, AddressScheduler, Cycle, DefaultPolicy, SeekPolicy};
use crate::negotiation::{Strategy, StrategySet};

/// Makes the scheduler of one connection's pool from a seed.
pub type MakeScheduler = Arc<dyn Fn(u64) -> Box<dyn AddressScheduler> + Send + Sync>;

/// What one side offers of server migration, and how it plays it (reference, Section 2; rules, 2).
#[derive(Clone)]
pub struct MigrationConfig {
    pub(crate) strategies: StrategySet,
    pub(crate) seek: SeekPolicy,
    pub(crate) scheduler: MakeScheduler,
    pub(crate) deadline: Duration,
    pub(crate) pool_limit: usize,
    pub(crate) strict_ids: bool,
    pub(crate) pool: Vec<MigrationTarget>,
    pub(crate) port: Option<u16>,
    pub(crate) policy: Arc<dyn AddressPolicy>,
}

impl MigrationConfig {
    /// Offers (client) or permits (server) these strategies. Without any a connection's configuration is refused: leave
    /// migration out to switch it off.
    pub fn new(strategies: StrategySet) -> Self {
        Self {
            strategies,
            seek: SeekPolicy::Reactive,
            scheduler: Arc::new(|_seed| Box::new(Cycle::default())),
            deadline: Duration::from_secs(30),
            pool_limit: 16,
            strict_ids: false,
            pool: Vec::new(),
            port: None,
            policy: Arc::new(DefaultPolicy),
        }
    }

    /// Client: when to look for a server that announced its target (rules, 2.8). Default reactive.
    pub fn seek(mut self, policy: SeekPolicy) -> Self {
        self.seek = policy;
        self
    }

    /// Client: the order in which pool addresses are sought, from a seed of the connection's (reference, Section 7).
    /// Default [`Cycle`].
    pub fn scheduler(mut self, make: MakeScheduler) -> Self {
        self.scheduler = make;
        self
    }

    /// Client: how long a server that is silent is sought, in which time the idle timer waits. Server: how long a
    /// connection that is ready waits for the move, and how long the move may take after it. More than zero; default
    /// 30 s. The longest freeze that a move is to survive must be shorter on both sides (rules, 2.7 and 4.8).
    pub fn deadline(mut self, after: Duration) -> Self {
        self.deadline = after;
        self
    }

    /// Client: how many pool addresses count, 1 to 256; more are ignored and reported (rules, 2.3; reference, W5).
    /// Default 16.
    pub fn pool_limit(mut self, members: usize) -> Self {
        self.pool_limit = members;
        self
    }

    /// Client: never show one connection ID at two server addresses, even if the server issued no spare one (RFC 9000,
    /// Section 9.5). A server that issues none is then not found after its move (rules, 2.10).
    pub fn strict_ids(mut self) -> Self {
        self.strict_ids = true;
        self
    }

    /// Server: the addresses it may move to, 256 at most, told to every client with which Pool is agreed. Each should have
    /// an endpoint of every family that clients use (reference, Section 3.4). A connection that was told moves by Pool
    /// alone.
    pub fn pool(mut self, targets: Vec<MigrationTarget>) -> Self {
        self.pool = targets;
        self
    }

    /// Server: the UDP port of its sockets, if it is one and the same wherever the server moves. With it an Explicit order
    /// to the address in use is refused (rules, 4.1): sockets are known by the driver's numbers alone. Default: not known,
    /// and such an order is obeyed, though no client has to follow it anywhere.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Client: which addresses a server may name (rules, 2.11). Default [`DefaultPolicy`].
    pub fn policy(mut self, policy: Arc<dyn AddressPolicy>) -> Self {
        self.policy = policy;
        self
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let refuse = |setting, reason| Err(ConfigError { setting, reason });
        if self.strategies.is_empty() {
            return refuse("strategies", "name at least one; leave migration out to switch it off");
        }
        if self.pool_limit == 0 || self.pool_limit > 256 {
            return refuse("pool_limit", "use 1 to 256 members");
        }
        if self.pool.len() > 256 {
            return refuse("pool", "use at most 256 targets");
        }
        if !self.pool.is_empty() && !self.strategies.contains(Strategy::Pool) {
            return refuse("pool", "a pool needs the strategy Pool");
        }
        if self.deadline.is_zero() {
            return refuse("deadline", "use more than zero");
        }
        Ok(())
    }
}

impl fmt::Debug for MigrationConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MigrationConfig")
            .field("strategies", &self.strategies)
            .field("seek", &self.seek)
            .field("deadline", &self.deadline)
            .field("pool_limit", &self.pool_limit)
            .field("strict_ids", &self.strict_ids)
            .field("pool", &self.pool)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_without_its_strategy_is_refused() {
        let target = MigrationTarget::single(([10, 0, 0, 1], 443).into()).expect("a whole endpoint");
        let config = MigrationConfig::new(StrategySet::EMPTY.with(Strategy::Symmetric)).pool(vec![target]);
        assert_eq!(config.check().map_err(|e| e.setting), Err("pool"));
        assert!(MigrationConfig::new(StrategySet::EMPTY).check().is_err());
    }
}
