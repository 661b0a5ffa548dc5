//! The client's side of server migration: what the server has said, and the search it may lead to.
//!
//! The only match on the strategy at a client is the one on [`Notice`]. Rules in brackets are those of server-migration.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::asking::Asking;
use super::explicit;
use super::policy::AddressPolicy;
use super::pool::{self, Insertion, Members};
use super::scheduler::AddressScheduler;
use super::seek::{Origin, Seek};
use super::synchronized;
use super::{Action, Actions, Facts, MigrationEvent, SeekPolicy};
use crate::error::{MigrationError, TransportError};
use crate::frame::{MigrationTarget, ServerMigration};
use crate::id::PacketNumber;
use crate::negotiation::{Agreement, Strategy};
use crate::time::{Instant, earliest};

/// Challenges of an adopted path, in full size, before it is given up [2.3].
const RECHECKS: u8 = 3;
/// SERVER_MIGRATED from home makes it be proved this often at most [2.12].
const REPROVE: Duration = Duration::from_secs(1);

/// What the embedder has set.
pub struct ClientSettings {
    /// When to look for an announced server.
    pub seek: SeekPolicy,
    /// How long a silent server is sought.
    pub deadline: Duration,
    /// How many pool addresses count.
    pub pool_limit: usize,
    /// Which addresses a server may name.
    pub policy: Arc<dyn AddressPolicy>,
    /// The order of a pool.
    pub scheduler: Box<dyn AddressScheduler>,
}

/// A migration frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// SERVER_MIGRATION.
    Migration(ServerMigration),
    /// SERVER_MIGRATED.
    Migrated,
    /// POOL_MIGRATION_ADDRESS.
    Pool(Option<MigrationTarget>),
}

/// What a client's machine is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientInput {
    /// A migration frame, in the packet with this number from this address.
    Frame {
        /// The packet's number.
        number: PacketNumber,
        /// Where it came from.
        from: SocketAddr,
        /// The frame.
        frame: Heard,
    },
    /// An ACK was sent after an announcement came.
    AckSent,
    /// An authentic new packet was processed.
    Arrived {
        /// Where it came from.
        from: SocketAddr,
        /// Its number.
        number: PacketNumber,
        /// Whether it asks for an acknowledgement.
        ack_eliciting: bool,
        /// Whether it holds probing frames only (RFC 9000, Section 9.1).
        probing: bool,
    },
    /// A copy of a known packet came from home.
    Duplicate {
        /// Its number.
        number: PacketNumber,
    },
    /// A probe timeout fired on home.
    LossTimeout,
    /// A challenge to this address was answered, by the packet with this number.
    Proved {
        /// Whose challenge.
        address: SocketAddr,
        /// Whether the challenge was of full size.
        padded: bool,
        /// The packet that brought the answer.
        number: PacketNumber,
    },
    /// Home says that it lost the connection's state.
    Reset,
    /// The embedder wants the announced server sought now.
    SeekNow,
    /// The deadline has come.
    Due,
}

/// What the server has said of its moves.
#[derive(Debug)]
enum Notice {
    /// Nothing that is still in force.
    None,
    /// Where it will be.
    Explicit {
        announced: explicit::Announced,
        /// A proactive client has yet to begin its search.
        eager: bool,
    },
    /// That it will move.
    Synchronized(synchronized::Announced),
    /// Where it may be, for as long as the connection lasts.
    Pool(Members),
}

/// An adopted path that is proved once more, in full size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Recheck {
    made: u8,
    next: Instant,
    strategy: Strategy,
}

/// The machine of a client that agreed on server migration.
#[derive(Debug)]
pub struct Client {
    agreement: Agreement,
    settings: Settings,
    notice: Notice,
    seek: Seek,
    asking: Asking,
    /// The packet that ended the last migration, and how many ended.
    ended: Option<PacketNumber>,
    completed: u64,
    /// SERVER_MIGRATED was reported in the migration under way.
    told: bool,
    recheck: Option<Recheck>,
    /// Home is not proved again before, whatever the server says.
    reprove_from: Instant,
    /// The home that was left for an address known by its source alone [2.5].
    contested: Option<SocketAddr>,
    /// Home lost the connection's state.
    reset: bool,
}

/// What is left of the settings once the scheduler has its pool.
struct Settings {
    seek: SeekPolicy,
    deadline: Duration,
    policy: Arc<dyn AddressPolicy>,
    pool: Option<Members>,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("seek", &self.seek)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Begins when the handshake is complete.
    pub fn new(now: Instant, agreement: Agreement, settings: ClientSettings) -> Self {
        let ClientSettings { seek, deadline, pool_limit, policy, scheduler } = settings;
        let pool = Some(Members::new(scheduler, pool_limit));
        Self {
            agreement,
            settings: Settings { seek, deadline, policy, pool },
            notice: Notice::None,
            seek: Seek::new(now, deadline),
            asking: Asking::new(now),
            ended: None,
            completed: 0,
            told: false,
            recheck: None,
            reprove_from: now,
            contested: None,
            reset: false,
        }
    }

    /// Whether a packet from there, with this number, may be the server's although it is not home [2.1, 2.2].
    pub fn welcomes(&self, from: SocketAddr, number: PacketNumber, home: SocketAddr) -> bool {
        if self.seek.has(from) {
            return true;
        }
        let named = self.names(from);
        (named || self.trusts_sources() && self.seek.is_above_all(number))
            && self.settings.policy.permits(home, from)
    }

    /// Whether the server named this address and may still move there.
    pub fn names(&self, address: SocketAddr) -> bool {
        match &self.notice {
            Notice::None | Notice::Synchronized(_) => false,
            Notice::Explicit { announced, .. } => announced.address == address,
            Notice::Pool(members) => members.names(address),
        }
    }

    /// Whether the source of a packet alone may show where the server is [2.1].
    fn trusts_sources(&self) -> bool {
        let announced = matches!(self.notice, Notice::Synchronized(_));
        self.agreement.permits(Strategy::Symmetric)
            || announced && self.agreement.permits(Strategy::SynchronizedSymmetric)
    }

    /// When a move was announced, if one is.
    fn announced(&self) -> Option<Instant> {
        match &self.notice {
            Notice::None | Notice::Pool(_) => None,
            Notice::Explicit { announced, .. } => Some(announced.since),
            Notice::Synchronized(announced) => Some(announced.since),
        }
    }

    /// Whether the ACK of an announcement is to be reported.
    pub fn awaits_ack(&self) -> bool {
        matches!(self.notice, Notice::Explicit { eager: true, .. })
    }

    /// Until when the connection must not end by its idle timer [2.7].
    pub fn held_until(&self) -> Option<Instant> {
        let held = !self.seek.has_failed() && (self.announced().is_some() || self.seek.is_running());
        held.then(|| self.seek.deadline())
    }

    /// The candidate that new data goes to [2.4].
    pub fn lead(&self, now: Instant) -> Option<SocketAddr> {
        self.seek.lead(now)
    }

    /// The strategy by which this address would be the server's.
    fn strategy_of(&self, address: SocketAddr) -> Strategy {
        match &self.notice {
            Notice::Explicit { announced, .. } if announced.address == address => Strategy::Explicit,
            Notice::Pool(members) if members.names(address) => Strategy::Pool,
            Notice::Synchronized(_) => Strategy::SynchronizedSymmetric,
            Notice::None | Notice::Explicit { .. } | Notice::Pool(_) => Strategy::Symmetric,
        }
    }

    /// The next time something is due.
    pub fn due(&self, facts: &Facts) -> Option<Instant> {
        let recheck = self.recheck.map(|recheck| recheck.next);
        let reset = self.reset.then(|| self.seek.deadline());
        earliest(earliest(self.seek.due(), recheck), earliest(self.ask_due(facts), reset))
    }

    /// When home is to be asked, so that its silence is noticed [2.8].
    fn ask_due(&self, facts: &Facts) -> Option<Instant> {
        if !facts.quiet {
            return None;
        }
        let (base, cap) = match (&self.notice, self.announced()) {
            (_, Some(since)) => {
                let base = facts.pto.saturating_mul(2).max(Duration::from_millis(100));
                let old = self.asking.due(Duration::ZERO, Duration::ZERO) >= since + self.settings.deadline;
                (base, Duration::from_secs(if old { 15 } else { 1 }))
            }
            (Notice::Pool(_), None) if facts.receiving => {
                (facts.pto.saturating_mul(3).max(Duration::from_millis(500)), Duration::from_secs(5))
            }
            (Notice::None | Notice::Explicit { .. } | Notice::Synchronized(_) | Notice::Pool(_), None) => {
                return None;
            }
        };
        Some(self.asking.due(base, cap))
    }

    /// Takes an input.
    ///
    /// # Errors
    ///
    /// A migration frame that the server must not send now [2.12].
    pub fn step(
        &mut self,
        now: Instant,
        input: ClientInput,
        facts: &Facts,
    ) -> Result<Actions, TransportError> {
        let mut actions = Actions::new();
        match input {
            ClientInput::Frame { number, from, frame } => {
                self.on_frame(now, number, from, frame, facts, &mut actions)?
            }
            ClientInput::AckSent => {
                if let Notice::Explicit { eager, .. } = &mut self.notice {
                    if std::mem::take(eager) {
                        self.search(now, true, facts, &mut actions);
                    }
                }
            }
            ClientInput::Arrived { from, number, ack_eliciting, probing } => {
                self.on_arrived(now, from, number, ack_eliciting, probing, facts, &mut actions);
            }
            ClientInput::Duplicate { number } => {
                let ended = self.seek.on_home(now, facts.home, number, false, facts.pto);
                debug_assert!(!ended, "a duplicate ends no search");
            }
            ClientInput::LossTimeout => self.search(now, false, facts, &mut actions),
            ClientInput::Proved { address, padded, number } => {
                self.on_proved(now, address, padded, number, facts, &mut actions);
            }
            ClientInput::Reset => self.on_reset(now, facts, &mut actions),
            ClientInput::SeekNow => self.search(now, true, facts, &mut actions),
            ClientInput::Due => self.on_due(now, facts, &mut actions),
        }
        Ok(actions)
    }

    fn on_frame(
        &mut self,
        now: Instant,
        number: PacketNumber,
        from: SocketAddr,
        frame: Heard,
        facts: &Facts,
        actions: &mut Actions,
    ) -> Result<(), TransportError> {
        // A late frame of an earlier move says nothing, before all else.
        if self.ended.is_some_and(|ended| number < ended) {
            return Ok(());
        }
        match frame {
            Heard::Migration(ServerMigration::MoveTo(target)) => self.on_target(now, target, facts, actions),
            Heard::Migration(ServerMigration::Announce) => self.on_announcement(now, actions),
            Heard::Migrated => self.on_migrated(now, from, facts, actions),
            Heard::Pool(target) => self.on_pool(target, facts, actions),
        }
    }

    fn must_permit(&self, strategies: &[Strategy]) -> Result<(), TransportError> {
        if strategies.iter().any(|strategy| self.agreement.permits(*strategy)) {
            return Ok(());
        }
        Err(TransportError::protocol_violation("a migration frame of a strategy that was not agreed"))
    }

    fn on_target(
        &mut self,
        now: Instant,
        target: MigrationTarget,
        facts: &Facts,
        actions: &mut Actions,
    ) -> Result<(), TransportError> {
        self.must_permit(&[Strategy::Explicit])?;
        match &self.notice {
            Notice::None => {}
            Notice::Explicit { announced, .. } => return announced.again(target),
            Notice::Synchronized(_) | Notice::Pool(_) => return Err(contradiction()),
        }
        let announced = explicit::Announced::new(now, target, facts.home)?;
        if announced.address == facts.home {
            return Ok(());
        }
        if !self.settings.policy.permits(facts.home, announced.address) {
            actions.push(Action::Emit(MigrationEvent::Refused { target }));
            return Ok(());
        }
        let eager = self.settings.seek == SeekPolicy::Proactive;
        self.notice = Notice::Explicit { announced, eager };
        actions.push(Action::Emit(MigrationEvent::Announced { strategy: Strategy::Explicit }));
        Ok(())
    }

    fn on_announcement(&mut self, now: Instant, actions: &mut Actions) -> Result<(), TransportError> {
        self.must_permit(&[Strategy::SynchronizedSymmetric])?;
        match &self.notice {
            Notice::None => {}
            Notice::Synchronized(_) => return Ok(()),
            Notice::Explicit { .. } | Notice::Pool(_) => return Err(contradiction()),
        }
        self.notice = Notice::Synchronized(synchronized::Announced { since: now });
        let strategy = Strategy::SynchronizedSymmetric;
        actions.push(Action::Emit(MigrationEvent::Announced { strategy }));
        Ok(())
    }

    fn on_migrated(
        &mut self,
        now: Instant,
        from: SocketAddr,
        facts: &Facts,
        actions: &mut Actions,
    ) -> Result<(), TransportError> {
        self.must_permit(&[Strategy::Symmetric, Strategy::SynchronizedSymmetric])?;
        if from == facts.home {
            // A move that we cannot see, behind a NAT of the server's: the path is proved so that the server can end it.
            if now >= self.reprove_from {
                self.reprove_from = now + REPROVE;
                actions.push(Action::ProveHome);
            }
        } else if !self.told {
            self.told = true;
            actions.push(Action::Emit(MigrationEvent::Migrated));
        }
        Ok(())
    }

    fn on_pool(
        &mut self,
        target: Option<MigrationTarget>,
        facts: &Facts,
        actions: &mut Actions,
    ) -> Result<(), TransportError> {
        self.must_permit(&[Strategy::Pool])?;
        match &self.notice {
            Notice::None | Notice::Pool(_) => {}
            Notice::Explicit { .. } | Notice::Synchronized(_) => return Err(contradiction()),
        }
        if let (Notice::Pool(members), Some(target)) = (&self.notice, target) {
            if members.knows(target) {
                return Ok(());
            }
        }
        let (target, address) = pool::usable(target, facts.home)?;
        if self.completed > 0 {
            return Err(TransportError::protocol_violation("a new pool address after the first migration"));
        }
        if !self.settings.policy.permits(facts.home, address) {
            actions.push(Action::Emit(MigrationEvent::Refused { target }));
            return Ok(());
        }
        if let Some(members) = self.settings.pool.take() {
            self.notice = Notice::Pool(members);
        }
        let Notice::Pool(members) = &mut self.notice else { return Ok(()) };
        match members.insert(target) {
            Insertion::New => actions.push(Action::Emit(MigrationEvent::PoolAddress { target })),
            Insertion::Full => actions.push(Action::Emit(MigrationEvent::PoolFull { target })),
            Insertion::Known => {}
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "a packet is all of these")]
    fn on_arrived(
        &mut self,
        now: Instant,
        from: SocketAddr,
        number: PacketNumber,
        ack_eliciting: bool,
        probing: bool,
        facts: &Facts,
        actions: &mut Actions,
    ) {
        if from == facts.home {
            self.asking.on_heard(now, ack_eliciting);
            self.reset = false;
            if self.seek.on_home(now, from, number, true, facts.pto) {
                self.rest();
                actions.push(Action::Emit(MigrationEvent::Returned { address: from }));
            }
            return;
        }
        if facts.former == Some(from) {
            // Section 9.3.3: the home that was left speaks up. Before that its packets move nothing.
            let disputes = self.contested == Some(from) && self.seek.is_above_all(number) && !probing;
            if !disputes {
                return;
            }
        }
        let origin =
            if self.names(from) { Origin::Named } else { Origin::Stray { until: now + facts.patience } };
        self.seek.on_candidate(now, from, origin, number, facts, actions);
    }

    fn rest(&mut self) {
        if let Notice::Pool(members) = &mut self.notice {
            members.restart();
        }
    }

    /// Looks for the server wherever it said it might be.
    fn search(&mut self, now: Instant, proactive: bool, facts: &Facts, actions: &mut Actions) {
        if self.seek.is_running() || self.seek.has_failed() {
            return;
        }
        let (strategy, addresses) = match &mut self.notice {
            Notice::None | Notice::Synchronized(_) => return,
            Notice::Explicit { announced, eager } => {
                *eager = false;
                (Strategy::Explicit, vec![announced.address])
            }
            Notice::Pool(members) => (Strategy::Pool, members.round(facts.home)),
        };
        let seeking = addresses.iter().map(|&address| MigrationEvent::Seeking { strategy, address });
        let events: Actions = seeking.map(Action::Emit).collect();
        if self.seek.start(now, addresses, proactive, facts, actions) {
            actions.extend(events);
        }
    }

    fn on_proved(
        &mut self,
        now: Instant,
        address: SocketAddr,
        padded: bool,
        number: PacketNumber,
        facts: &Facts,
        actions: &mut Actions,
    ) {
        if address == facts.home {
            if padded {
                self.recheck = None;
            }
            return;
        }
        if !self.seek.has(address) {
            return;
        }
        let strategy = self.strategy_of(address);
        let stray = self.seek.is_stray(address);
        self.seek.adopt(now, address, actions);
        self.contested = (stray && self.contested != Some(address)).then_some(facts.home);
        self.asking = Asking::new(now);
        self.ended = Some(number);
        self.completed += 1;
        self.told = false;
        self.reset = false;
        self.reprove_from = now + facts.patience;
        if !matches!(self.notice, Notice::Pool(_)) {
            self.notice = Notice::None;
        }
        self.rest();
        actions.push(Action::Adopt(address));
        let address = Some(address);
        actions.push(Action::Emit(MigrationEvent::Completed { strategy, address }));
        if self.contested.is_some() {
            actions.push(Action::AskFormer);
        }
        self.recheck = (!padded).then(|| {
            actions.push(Action::ProveHome);
            Recheck { made: 1, next: now + facts.pto, strategy }
        });
    }

    /// A reset from home counts at once, unless the server may live elsewhere [2.12].
    fn on_reset(&mut self, now: Instant, facts: &Facts, actions: &mut Actions) {
        if self.announced().is_none() && !self.seek.has_spoken() || self.seek.has_failed() {
            actions.push(Action::EndByReset);
            return;
        }
        self.reset = true;
        self.search(now, false, facts, actions);
    }

    fn on_due(&mut self, now: Instant, facts: &Facts, actions: &mut Actions) {
        self.seek.tick(now, facts, actions);
        if self.seek.fail(now) {
            self.rest();
            let strategy = match &self.notice {
                Notice::Pool(_) => Strategy::Pool,
                Notice::None | Notice::Explicit { .. } | Notice::Synchronized(_) => Strategy::Explicit,
            };
            let reason = MigrationError::Deadline;
            actions.push(Action::Emit(MigrationEvent::Failed { strategy, reason }));
        }
        if self.reset && now >= self.seek.deadline() {
            actions.push(Action::EndByReset);
        }
        if self.ask_due(facts).is_some_and(|at| at <= now) {
            self.asking.on_asked(now);
            actions.push(Action::Ask);
        }
        self.check_again(now, facts, actions);
    }

    /// An adopted path that was proved by a small datagram is proved by large ones, or given up [2.3].
    fn check_again(&mut self, now: Instant, facts: &Facts, actions: &mut Actions) {
        let Some(recheck) = &mut self.recheck else { return };
        if recheck.next > now {
            return;
        }
        if recheck.made < RECHECKS {
            recheck.made += 1;
            recheck.next = now + facts.pto;
            return actions.push(Action::ProveHome);
        }
        let strategy = recheck.strategy;
        self.recheck = None;
        match facts.former {
            Some(address) => {
                actions.push(Action::GoBack);
                actions.push(Action::Emit(MigrationEvent::Returned { address }));
            }
            None => {
                let reason = MigrationError::PathFailed;
                actions.push(Action::Emit(MigrationEvent::Failed { strategy, reason }));
            }
        }
    }
}

fn contradiction() -> TransportError {
    TransportError::protocol_violation(
        "the server announces a move by another strategy than the one in force",
    )
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
