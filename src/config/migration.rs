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

    /// Server: the addresses it may move to, 256 at most, told to every client with which Pool is agreed, but for those
    /// that have no endpoint of the client's family (reference, Section 3.4). A connection that was told moves by Pool
    /// alone.
    pub fn pool(mut self, targets: Vec<MigrationTarget>) -> Self {
        self.pool = targets;
        self
    }

    /// Server: the UDP port of its sockets (1 to 65535), if it is one and the same wherever the server ever is. With it an
    /// Explicit order to the address in use is refused as [`MigrationError::Target`](crate::MigrationError::Target) (rules,
    /// 4.1): sockets are known by the driver's numbers alone, and no datagram tells its port.
    ///
    /// Not for a server that may change its port: it is taken to be at this one on any address. Once it has gone from this
    /// port to another one of the same address, an order back is refused although it is a move, unless the client still
    /// waits there; and one to where it is then is obeyed.
    ///
    /// Default: not known. An order to the address in use is obeyed then, though no client has to follow it anywhere.
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
    use crate::config::{ClientConfig, ServerConfig};
    use crate::crypto::testing;

    fn offer(strategies: &[Strategy]) -> MigrationConfig {
        MigrationConfig::new(strategies.iter().copied().collect())
    }

    fn member() -> MigrationTarget {
        MigrationTarget::single(([10, 0, 0, 1], 443).into()).expect("a whole endpoint")
    }

    /// A client and a server without server migration.
    fn pair() -> (ClientConfig, ServerConfig) {
        let (client, server) = testing::pair(None);
        (ClientConfig::new(Arc::new(client)), ServerConfig::new(Arc::new(server)))
    }

    /// The strategies of both, if they migrate.
    fn strategies(client: &ClientConfig, server: &ServerConfig) -> [Option<StrategySet>; 2] {
        [&client.migration, &server.migration].map(|migration| migration.as_ref().map(|m| m.strategies))
    }

    #[test]
    fn a_pool_without_its_strategy_is_refused() {
        let config = offer(&[Strategy::Symmetric]).pool(vec![member()]);
        assert_eq!(config.check().map_err(|e| e.setting), Err("pool"));
        assert_eq!(offer(&[Strategy::Pool]).pool(vec![member()]).check(), Ok(()));
    }

    #[test]
    fn either_side_has_the_strategies_that_were_named_last() {
        let (client, server) = pair();
        assert_eq!(strategies(&client, &server), [None, None]);
        let two = offer(&[Strategy::Explicit, Strategy::Pool]);
        let (client, server) =
            (client.migration(two.clone()).expect("an offer"), server.migration(two).expect("a permit"));
        let set = StrategySet::from(Strategy::Explicit).with(Strategy::Pool);
        assert_eq!(strategies(&client, &server), [Some(set), Some(set)]);
        let one = offer(&[Strategy::Symmetric]);
        let (client, server) =
            (client.migration(one.clone()).expect("an offer"), server.migration(one).expect("a permit"));
        assert_eq!(strategies(&client, &server), [Some(Strategy::Symmetric.into()); 2]);
    }

    #[test]
    fn no_strategies_are_refused_and_what_was_set_before_is_not_lost() {
        let (client, server) = pair();
        let refused = |client: &ClientConfig, server: &ServerConfig| {
            let client = client.clone().migration(offer(&[])).map_err(|e| e.setting);
            let server = server.clone().migration(offer(&[])).map_err(|e| e.setting);
            [client.map(|_| ()), server.map(|_| ())] == [Err("strategies"); 2]
        };
        assert!(refused(&client, &server));
        assert_eq!(strategies(&client, &server), [None, None]);
        let one = offer(&[Strategy::Explicit]);
        let (client, server) =
            (client.migration(one.clone()).expect("an offer"), server.migration(one).expect("a permit"));
        assert!(refused(&client, &server));
        assert_eq!(strategies(&client, &server), [Some(Strategy::Explicit.into()); 2]);
    }

    #[test]
    fn a_pool_is_asked_as_the_scheduler_says_and_by_the_default_one_if_none_was_named() {
        /// Asks nobody.
        struct Nobody;

        impl AddressScheduler for Nobody {
            fn insert(&mut self, _: MigrationTarget) -> bool {
                false
            }
            fn contains(&self, _: std::net::SocketAddr) -> bool {
                false
            }
            fn set_current(&mut self, _: Option<MigrationTarget>) {}
            fn current(&self) -> Option<MigrationTarget> {
                None
            }
            fn next(&mut self) -> Option<MigrationTarget> {
                None
            }
            fn restart(&mut self) {}
            fn members(&self, _: &mut dyn FnMut(MigrationTarget)) {}
        }

        let asks = |config: &MigrationConfig| {
            let mut scheduler = (config.scheduler)(1);
            scheduler.insert(member());
            scheduler.next()
        };
        let config = offer(&[Strategy::Pool]);
        assert_eq!(asks(&config), Some(member()));
        assert_eq!(asks(&config.scheduler(Arc::new(|_| Box::new(Nobody)))), None);
    }
}
