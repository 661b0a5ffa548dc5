//! What the server has said of its moves, as a client understands it (server-migration rules, 2.1, 2.7, 2.11, 2.12).
//!
//! The only match on the strategy at a client. An announcement is in force until a migration completes, a pool as long
//! as the connection; the address policy is asked before either counts.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use super::policy::AddressPolicy;
use super::pool::{self, Insertion, Members};
use super::{Action, Actions, MigrationEvent, explicit, synchronized};
use crate::error::TransportError;
use crate::frame::{MigrationTarget, ServerMigration};
use crate::negotiation::{Agreement, Strategy};
use crate::time::Instant;

/// Targets that were refused or are too many, remembered so that each is reported once; further ones are not reported.
const MAX_IGNORED: usize = 32;

/// What is in force.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
enum Said {
    /// Nothing.
    Nothing,
    /// Where it will be.
    Explicit {
        announced: explicit::Announced,
        /// A proactive client has yet to begin its search.
        eager: bool,
    },
    /// That it will move.
    Synchronized(synchronized::Announced),
    /// Where it may be, for as long as the connection lasts.
    Pool,
}

/// An address that was home for a while and then did not carry what a path must. Whether the server has moved there is
/// open until it is heard from one of the two with something new: an outage looks the same.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(test, derive(Hash))]
struct Doubted {
    address: SocketAddr,
    strategy: Strategy,
    since: Instant,
}

/// The server's words.
#[cfg_attr(test, derive(Clone, Hash))]
pub struct Notice {
    agreement: Agreement,
    policy: Arc<dyn AddressPolicy>,
    /// Whether an announced server is sought before it is missed.
    proactive: bool,
    said: Said,
    doubted: Option<Doubted>,
    members: Members,
    /// What was refused, or was one too many.
    ignored: Vec<MigrationTarget>,
    /// Whether a migration completed: the pool is closed then.
    closed: bool,
}

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notice")
            .field("said", &self.said)
            .field("members", &self.members)
            .finish_non_exhaustive()
    }
}

impl Notice {
    /// The server has said nothing yet.
    pub fn new(
        agreement: Agreement,
        policy: Arc<dyn AddressPolicy>,
        proactive: bool,
        members: Members,
    ) -> Self {
        Self {
            agreement,
            policy,
            proactive,
            said: Said::Nothing,
            doubted: None,
            members,
            ignored: Vec::new(),
            closed: false,
        }
    }

    /// Whether the server named this address, or was there, and may still move there.
    pub fn names(&self, address: SocketAddr) -> bool {
        self.doubts(address) || self.says(address)
    }

    fn doubts(&self, address: SocketAddr) -> bool {
        self.doubted.is_some_and(|doubted| doubted.address == address)
    }

    fn says(&self, address: SocketAddr) -> bool {
        match &self.said {
            Said::Nothing | Said::Synchronized(_) => false,
            Said::Explicit { announced, .. } => announced.address == address,
            Said::Pool => self.members.names(address),
        }
    }

    /// Whether the source of a packet alone may show where the server is [2.1].
    pub fn trusts_sources(&self) -> bool {
        let announced = matches!(self.said, Said::Synchronized(_));
        self.agreement.permits(Strategy::Symmetric)
            || announced && self.agreement.permits(Strategy::SynchronizedSymmetric)
    }

    /// Whether a client whose server is at `home` may send there at all.
    pub fn permits(&self, home: SocketAddr, address: SocketAddr) -> bool {
        self.policy.permits(home, address)
    }

    /// When a move was announced, if one is, or began to be in doubt.
    pub fn announced(&self) -> Option<Instant> {
        match &self.said {
            Said::Nothing | Said::Pool => self.doubted.map(|doubted| doubted.since),
            Said::Explicit { announced, .. } => Some(announced.since),
            Said::Synchronized(announced) => Some(announced.since),
        }
    }

    /// Whether there is a pool.
    pub fn is_pool(&self) -> bool {
        matches!(self.said, Said::Pool)
    }

    /// Whether a proactive client has yet to begin its search.
    pub fn is_eager(&self) -> bool {
        matches!(self.said, Said::Explicit { eager: true, .. })
    }

    /// The search has begun.
    pub fn on_sought(&mut self) {
        if let Said::Explicit { eager, .. } = &mut self.said {
            *eager = false;
        }
    }

    /// The strategy by which this address would be the server's.
    pub fn strategy_of(&self, address: SocketAddr) -> Strategy {
        match self.doubted {
            Some(doubted) if doubted.address == address => doubted.strategy,
            _ if self.says(address) => self.strategy(),
            _ => self.strategy_of_strays(),
        }
    }

    fn strategy_of_strays(&self) -> Strategy {
        match &self.said {
            Said::Synchronized(_) => Strategy::SynchronizedSymmetric,
            Said::Nothing | Said::Explicit { .. } | Said::Pool => Strategy::Symmetric,
        }
    }

    /// The strategy in force.
    pub fn strategy(&self) -> Strategy {
        match &self.said {
            Said::Nothing => self.doubted.map_or(Strategy::Symmetric, |doubted| doubted.strategy),
            Said::Explicit { .. } => Strategy::Explicit,
            Said::Synchronized(_) => Strategy::SynchronizedSymmetric,
            Said::Pool => Strategy::Pool,
        }
    }

    /// Every address that the server may be at and that can be sought, home apart.
    pub fn addresses(&self, home: SocketAddr) -> Vec<SocketAddr> {
        let all = match &self.said {
            Said::Nothing | Said::Synchronized(_) => Vec::new(),
            Said::Explicit { announced, .. } => vec![announced.address],
            Said::Pool => self.members.addresses(home),
        };
        self.permitted(home, all)
    }

    /// The addresses of one round.
    pub fn round(&mut self, home: SocketAddr) -> Vec<SocketAddr> {
        let all = match &self.said {
            Said::Nothing | Said::Synchronized(_) => Vec::new(),
            Said::Explicit { announced, .. } => vec![announced.address],
            Said::Pool => self.members.round(home),
        };
        self.permitted(home, all)
    }

    /// Those of them that may be sought from this home, and the one in doubt: what was permitted when it was named may not
    /// be since a move.
    fn permitted(&self, home: SocketAddr, mut all: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let doubted = self.doubted.map(|doubted| doubted.address);
        all.extend(doubted.filter(|address| *address != home && !all.contains(address)));
        all.retain(|address| *address != home && self.permits(home, *address));
        all
    }

    /// A search is over.
    pub fn rest(&mut self) {
        self.members.restart();
    }

    /// A migration completed: what was announced has come true, and the pool takes no member any more.
    pub fn on_completed(&mut self, address: SocketAddr) {
        // Whoever is found where it was in doubt has not moved since: what it announced from there is still to come.
        let stays = self.doubts(address);
        self.closed = true;
        self.doubted = None;
        match self.said {
            Said::Pool => {}
            Said::Explicit { .. } | Said::Synchronized(_) if stays => {}
            Said::Nothing | Said::Explicit { .. } | Said::Synchronized(_) => self.said = Said::Nothing,
        }
        self.rest();
    }

    /// Home is again where it was before the last migration, by this strategy to `left`: the server may be there after all,
    /// or be about to come to this home, if it announced that.
    pub fn go_back(&mut self, now: Instant, home: SocketAddr, left: SocketAddr, strategy: Strategy) {
        self.doubted = Some(Doubted { address: left, strategy, since: now });
        if let Said::Explicit { announced, eager } = &mut self.said
            && announced.address == home
        {
            *eager = false;
        }
    }

    /// The server said something new from this home: it is there, and whatever it announced to come here came true. The
    /// address that was in doubt until now.
    pub fn on_home_spoke(&mut self, home: SocketAddr) -> Option<SocketAddr> {
        let doubted = self.doubted.take()?;
        if matches!(&self.said, Said::Explicit { announced, .. } if announced.address == home) {
            self.said = Said::Nothing;
        }
        Some(doubted.address)
    }

    // ---- frames -------------------------------------------------------------------------------------

    /// Whether any of these strategies was agreed on.
    ///
    /// # Errors
    ///
    /// PROTOCOL_VIOLATION if none was.
    pub fn must_permit(&self, strategies: &[Strategy]) -> Result<(), TransportError> {
        if strategies.iter().any(|strategy| self.agreement.permits(*strategy)) {
            return Ok(());
        }
        Err(TransportError::protocol_violation("a migration frame of a strategy that was not agreed"))
    }

    /// SERVER_MIGRATION came.
    ///
    /// # Errors
    ///
    /// PROTOCOL_VIOLATION for a strategy not agreed on, another announcement than the one in force, and a target
    /// without the family in use.
    pub fn on_migration(
        &mut self,
        now: Instant,
        frame: ServerMigration,
        home: SocketAddr,
        actions: &mut Actions,
    ) -> Result<(), TransportError> {
        match frame {
            ServerMigration::MoveTo(target) => self.on_target(now, target, home, actions),
            ServerMigration::Announce => self.on_announcement(now, actions),
        }
    }

    fn on_target(
        &mut self,
        now: Instant,
        target: MigrationTarget,
        home: SocketAddr,
        actions: &mut Actions,
    ) -> Result<(), TransportError> {
        self.must_permit(&[Strategy::Explicit])?;
        if target.names(home) {
            return Ok(());
        }
        match &self.said {
            Said::Nothing => {}
            Said::Explicit { announced, .. } => return announced.again(target),
            Said::Synchronized(_) | Said::Pool => return Err(contradiction()),
        }
        let announced = explicit::Announced::new(now, target, home)?;
        if !self.permits(home, announced.address) {
            self.ignore(target, MigrationEvent::Refused { target }, actions);
            return Ok(());
        }
        self.said = Said::Explicit { announced, eager: self.proactive };
        actions.push(Action::Emit(MigrationEvent::Announced { strategy: Strategy::Explicit }));
        Ok(())
    }

    fn on_announcement(&mut self, now: Instant, actions: &mut Actions) -> Result<(), TransportError> {
        self.must_permit(&[Strategy::SynchronizedSymmetric])?;
        match &self.said {
            Said::Nothing => {}
            Said::Synchronized(_) => return Ok(()),
            Said::Explicit { .. } | Said::Pool => return Err(contradiction()),
        }
        self.said = Said::Synchronized(synchronized::Announced { since: now });
        let strategy = Strategy::SynchronizedSymmetric;
        actions.push(Action::Emit(MigrationEvent::Announced { strategy }));
        Ok(())
    }

    /// POOL_MIGRATION_ADDRESS came.
    ///
    /// # Errors
    ///
    /// PROTOCOL_VIOLATION if Pool was not agreed on, for an address that is of no use, and for a new one after the first
    /// migration.
    pub fn on_pool(
        &mut self,
        target: Option<MigrationTarget>,
        home: SocketAddr,
        actions: &mut Actions,
    ) -> Result<(), TransportError> {
        self.must_permit(&[Strategy::Pool])?;
        match &self.said {
            Said::Nothing | Said::Pool => {}
            Said::Explicit { .. } | Said::Synchronized(_) => return Err(contradiction()),
        }
        let (target, address) = pool::usable(target, home)?;
        if self.members.knows(target) || self.ignored.contains(&target) {
            return Ok(());
        }
        if self.closed {
            let fault = TransportError::protocol_violation("a new pool address after the first migration");
            return if address == home { Ok(()) } else { Err(fault) };
        }
        if !self.permits(home, address) {
            self.ignore(target, MigrationEvent::Refused { target }, actions);
            return Ok(());
        }
        match self.members.insert(target) {
            Insertion::New => actions.push(Action::Emit(MigrationEvent::PoolAddress { target })),
            Insertion::Full => self.ignore(target, MigrationEvent::PoolFull { target }, actions),
            Insertion::Known => {}
        }
        self.said = Said::Pool;
        Ok(())
    }

    /// The server showed itself at an address that the policy refuses.
    pub fn on_refused(&mut self, address: SocketAddr, actions: &mut Actions) {
        if let Some(target) = MigrationTarget::single(address) {
            self.ignore(target, MigrationEvent::Refused { target }, actions);
        }
    }

    fn ignore(&mut self, target: MigrationTarget, event: MigrationEvent, actions: &mut Actions) {
        if self.ignored.contains(&target) || self.ignored.len() == MAX_IGNORED {
            return;
        }
        self.ignored.push(target);
        actions.push(Action::Emit(event));
    }
}

fn contradiction() -> TransportError {
    TransportError::protocol_violation(
        "the server announces a move by another strategy than the one in force",
    )
}
