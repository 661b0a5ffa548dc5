//! The client's side of server migration: what the server has said, and the search it may lead to.
//!
//! What the frames mean is the [`Notice`]'s business, whom to ask and how often the [`Seek`]'s. Rules in brackets are those of server-migration.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::asking::Asking;
use super::notice::Notice;
use super::policy::AddressPolicy;
use super::pool::Members;
use super::scheduler::AddressScheduler;
use super::seek::{Origin, Seek};
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

impl std::fmt::Debug for ClientSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientSettings")
            .field("seek", &self.seek)
            .field("deadline", &self.deadline)
            .field("pool_limit", &self.pool_limit)
            .finish_non_exhaustive()
    }
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
        /// Whether it says more than an answer to a question does, or a question itself.
        says_more: bool,
    },
    /// A copy of a known packet came from home.
    Duplicate {
        /// Its number.
        number: PacketNumber,
    },
    /// A packet came from an address that the policy refuses, and from there it was discarded.
    Refused {
        /// Where it came from.
        from: SocketAddr,
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

/// An adopted path that is proved once more, in full size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Recheck {
    made: u8,
    next: Instant,
    strategy: Strategy,
}

/// The machine of a client that agreed on server migration.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
pub struct Client {
    /// How long a silent server is sought.
    deadline: Duration,
    notice: Notice,
    seek: Seek,
    asking: Asking,
    /// The packet that ended the last migration.
    ended: Option<PacketNumber>,
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

impl Client {
    /// Begins when the handshake is complete.
    pub fn new(now: Instant, agreement: Agreement, settings: ClientSettings) -> Self {
        let ClientSettings { seek, deadline, pool_limit, policy, scheduler } = settings;
        let proactive = seek == SeekPolicy::Proactive;
        let members = Members::new(scheduler, pool_limit);
        Self {
            deadline,
            notice: Notice::new(agreement, policy, proactive, members),
            seek: Seek::new(now, deadline),
            asking: Asking::new(now),
            ended: None,
            told: false,
            recheck: None,
            reprove_from: now,
            contested: None,
            reset: false,
        }
    }

    // ---- what the connection asks -------------------------------------------------------------------

    /// Whether a packet from there, with this number, may be the server's although it is not home [2.1, 2.2].
    pub fn welcomes(&self, from: SocketAddr, number: PacketNumber, home: SocketAddr) -> bool {
        self.seek.has(from) || self.may_be_at(from, number) && self.notice.permits(home, from)
    }

    /// Whether that packet would be welcome if the address policy permitted to send there [2.11].
    pub fn refuses(&self, from: SocketAddr, number: PacketNumber, home: SocketAddr) -> bool {
        !self.welcomes(from, number, home) && self.may_be_at(from, number)
    }

    fn may_be_at(&self, from: SocketAddr, number: PacketNumber) -> bool {
        let shown = self.notice.trusts_sources() && self.seek.is_above_all(number);
        shown || self.names(from)
    }

    /// Whether the server named this address and may still move there.
    pub fn names(&self, address: SocketAddr) -> bool {
        self.notice.names(address)
    }

    /// Whether the ACK of an announcement is to be reported.
    pub fn awaits_ack(&self) -> bool {
        self.notice.is_eager()
    }

    /// Until when the connection must not end by its idle timer [2.7].
    pub fn held_until(&self) -> Option<Instant> {
        let held = !self.seek.has_failed() && (self.is_announced() || self.seek.is_running());
        held.then(|| self.seek.deadline())
    }

    /// Whether home is yet to be proved in full size [2.3].
    pub fn rechecks(&self) -> bool {
        self.recheck.is_some()
    }

    /// The candidate that new data goes to [2.4].
    pub fn lead(&self, now: Instant) -> Option<SocketAddr> {
        self.seek.lead(now)
    }

    /// Whether the former home, which is there, is still needed when its time is over: to go back to, or because it may
    /// be the right one after all.
    pub fn keeps(&self, former: SocketAddr) -> bool {
        self.recheck.is_some() || self.seek.has(former)
    }

    fn is_announced(&self) -> bool {
        self.notice.announced().is_some()
    }

    /// The next time something is due.
    pub fn due(&self, facts: &Facts) -> Option<Instant> {
        let recheck = self.recheck.map(|recheck| recheck.next);
        let reset = self.reset.then(|| self.seek.deadline());
        let seek = self.seek.due(facts.pto, self.is_announced());
        earliest(earliest(seek, recheck), earliest(self.ask_due(facts), reset))
    }

    /// When home is to be asked, so that its silence is noticed [2.8].
    fn ask_due(&self, facts: &Facts) -> Option<Instant> {
        if !facts.quiet {
            return None;
        }
        if let Some(since) = self.notice.announced() {
            let base = facts.pto.saturating_mul(2).max(Duration::from_millis(100));
            let old = self.asking.since() >= since + self.deadline;
            return Some(self.asking.due(base, Duration::from_secs(if old { 15 } else { 1 })));
        }
        let base = facts.pto.saturating_mul(3).max(Duration::from_millis(500));
        let listens = self.notice.is_pool() && facts.receiving;
        listens.then(|| self.asking.due(base, Duration::from_secs(5)))
    }

    // ---- inputs -------------------------------------------------------------------------------------

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
                if self.notice.is_eager() {
                    self.search(now, true, facts, &mut actions);
                }
            }
            ClientInput::Arrived { from, number, says_more } => {
                self.on_arrived(now, from, number, says_more, facts, &mut actions);
            }
            ClientInput::Duplicate { number } => self.seek.on_duplicate(now, number, facts.pto, &mut actions),
            ClientInput::Refused { from } => self.notice.on_refused(from, &mut actions),
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
            Heard::Migration(frame) => self.notice.on_migration(now, frame, facts.home, actions),
            Heard::Migrated => self.on_migrated(now, from, facts, actions),
            Heard::Pool(target) => self.notice.on_pool(target, facts.home, actions),
        }
    }

    fn on_migrated(
        &mut self,
        now: Instant,
        from: SocketAddr,
        facts: &Facts,
        actions: &mut Actions,
    ) -> Result<(), TransportError> {
        self.notice.must_permit(&[Strategy::Symmetric, Strategy::SynchronizedSymmetric])?;
        if from == facts.home {
            // A move that we cannot see, behind a NAT of the server's: the path is proved so that the server can end it.
            if now >= self.reprove_from {
                self.reprove_from = now + REPROVE;
                actions.push(Action::ProveHome);
            }
        } else if facts.former != Some(from) && !self.told {
            self.told = true;
            actions.push(Action::Emit(MigrationEvent::Migrated));
        }
        Ok(())
    }

    fn on_arrived(
        &mut self,
        now: Instant,
        from: SocketAddr,
        number: PacketNumber,
        says_more: bool,
        facts: &Facts,
        actions: &mut Actions,
    ) {
        if from == facts.home {
            self.asking.on_heard(now, says_more);
            self.reset = false;
            if self.seek.is_above_all(number)
                && let Some(doubted) = self.notice.on_home_spoke(from).filter(|address| !self.names(*address))
            {
                self.seek.forget(doubted, actions);
            }
            if self.seek.on_home(now, from, number, facts.pto, actions) {
                self.notice.rest();
                actions.push(Action::Emit(MigrationEvent::Returned { address: from }));
            }
            return;
        }
        let named = self.names(from);
        if facts.former == Some(from) && !self.seek.has(from) {
            // Section 9.3.3: the home that was left speaks up; or the server moved back there, as it said it might.
            // Otherwise its packets move nothing.
            let speaks_up = (named || self.contested == Some(from)) && self.seek.is_above_all(number);
            if !speaks_up {
                return;
            }
        }
        let origin = if named { Origin::Named } else { Origin::Stray { until: now + facts.patience } };
        self.seek.on_candidate(now, from, origin, number, actions);
        if named {
            self.search(now, false, facts, actions);
        }
        self.seek.tick(now, facts, actions);
    }

    /// Looks for the server wherever it said it might be.
    fn search(&mut self, now: Instant, proactive: bool, facts: &Facts, actions: &mut Actions) {
        let addresses = self.notice.addresses(facts.home);
        if addresses.is_empty() {
            return;
        }
        if !self.seek.start(now, addresses.iter().copied(), proactive, self.is_announced()) {
            return;
        }
        self.notice.on_sought();
        self.take_turn(now, facts, actions);
        let strategy = self.notice.strategy();
        let seeking = addresses.into_iter().map(|address| MigrationEvent::Seeking { strategy, address });
        actions.extend(seeking.map(Action::Emit));
    }

    /// What the search has to do now.
    fn take_turn(&mut self, now: Instant, facts: &Facts, actions: &mut Actions) {
        if self.seek.is_round_due(now) {
            let round = self.notice.round(facts.home);
            self.seek.make_round(now, round, facts, actions);
        }
        self.seek.tick(now, facts, actions);
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
        let strategy = self.notice.strategy_of(address);
        let stray = self.seek.is_stray(address);
        // A server that says so, before or after, has moved back; one that says nothing was never away.
        let came_back = self.contested == Some(address) && !self.told && !self.is_announced();
        self.seek.adopt(now, address, actions);
        self.contested = (stray && !came_back).then_some(facts.home);
        self.asking = Asking::new(now);
        self.ended = self.ended.max(Some(number));
        self.told = false;
        self.reset = false;
        self.reprove_from = now + facts.pto.saturating_mul(3);
        self.notice.on_completed(address);
        actions.push(Action::Adopt(address));
        if came_back {
            actions.push(Action::Emit(MigrationEvent::Returned { address }));
        } else {
            let address = Some(address);
            actions.push(Action::Emit(MigrationEvent::Completed { strategy, address }));
        }
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
        let elsewhere = self.is_announced() || self.seek.is_contradicted();
        if !elsewhere || self.seek.has_failed() {
            actions.push(Action::EndByReset);
            return;
        }
        self.reset = true;
        self.search(now, false, facts, actions);
    }

    fn on_due(&mut self, now: Instant, facts: &Facts, actions: &mut Actions) {
        if self.seek.fail(now, self.is_announced()) {
            self.notice.rest();
            let (strategy, reason) = (self.notice.strategy(), MigrationError::Deadline);
            actions.push(Action::Emit(MigrationEvent::Failed { strategy, reason }));
        }
        self.take_turn(now, facts, actions);
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
                self.contested = None;
                self.seek.go_back(now, address);
                self.notice.go_back(now, address, facts.home, strategy);
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

#[cfg(test)]
mod tests;
