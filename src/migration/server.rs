//! The server's side of server migration: an order, readiness, the switch, and the end of the move.
//!
//! The only match on the strategy at a server is the one on [`MoveOrder`]. Rules in brackets are those of
//! server-migration.

mod fates;
mod input;
mod order;

use std::time::Duration;

pub use self::input::ServerInput;

use super::announce::{Announcement, Turn};
use super::asking::Asking;
use super::fuse::Fuse;
use super::pool::Pool;
use super::relocation::MoveOrder;
use super::{Action, Actions, Facts, MigrationEvent};
use crate::error::{Binding, MigrationError};
use crate::frame::{MigrationTarget, SendServerMigrated, SendServerMigration};
use crate::negotiation::{Agreement, Strategy};
use crate::packet::PacketWriter;
use crate::time::{Instant, earliest};

/// Silence of the client before it is asked, and the longest wait between two questions [3.6].
const ASK_AFTER: Duration = Duration::from_millis(500);
const ASK_AT_MOST: Duration = Duration::from_secs(2);
const ASK_AT_MOST_BOUND: Duration = Duration::from_secs(5);

/// Where the frame that gives notice stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Notice {
    Due,
    Sent,
    Acknowledged,
}

/// What a cancelled order left behind: the client believes it until a move completes [3.5].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Bound {
    Free,
    Explicit { target: MigrationTarget, notice: Notice },
    Synchronized { notice: Notice },
}

/// Where the move stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum State {
    /// No order.
    Settled,
    /// The client is being told.
    Preparing { order: MoveOrder, notice: Notice },
    /// The endpoint may move.
    Ready { order: MoveOrder, fuse: Fuse },
    /// The endpoint has moved.
    Moved { order: MoveOrder, announcement: Announcement, fuse: Fuse },
}

/// The machine of a server that agreed on server migration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Server {
    agreement: Agreement,
    pool: Pool,
    deadline: Duration,
    state: State,
    bound: Bound,
    /// What binds is a move that was carried out: a client whose challenge is answered has followed after all.
    may_follow: bool,
    asking: Asking,
    /// Whether the client has confirmed the handshake: before, it hears no other address than this one [2.1].
    client_listens: bool,
    /// The number of the move under way: acknowledgements of earlier ones are ignored.
    migration: u32,
}

impl Server {
    /// Begins when the handshake is complete; `pool` is told to the client if Pool was agreed.
    pub fn new(now: Instant, agreement: Agreement, pool: &[MigrationTarget], deadline: Duration) -> Self {
        let told = if agreement.permits(Strategy::Pool) { pool } else { &[] };
        Self {
            agreement,
            pool: Pool::new(told.iter().copied()),
            deadline,
            state: State::Settled,
            bound: Bound::Free,
            may_follow: false,
            asking: Asking::new(now),
            client_listens: false,
            migration: 0,
        }
    }

    /// Orders a move.
    ///
    /// # Errors
    ///
    /// Why it cannot be, in the order of the reference's checks (Section 3.2); nothing has changed then.
    pub fn prepare(
        &mut self,
        now: Instant,
        order: MoveOrder,
        facts: &Facts,
    ) -> Result<Actions, MigrationError> {
        self.check(order, facts)?;
        self.asking = Asking::new(now);
        // What a cancelled order said goes on to be said, once: the client takes a second frame for the same move.
        let said = match (order, self.bound) {
            (MoveOrder::Explicit(_), Bound::Explicit { notice, .. })
            | (MoveOrder::SynchronizedSymmetric, Bound::Synchronized { notice }) => Some(notice),
            (
                MoveOrder::Explicit(_)
                | MoveOrder::Pool
                | MoveOrder::Symmetric
                | MoveOrder::SynchronizedSymmetric,
                _,
            ) => None,
        };
        if said.is_none() {
            self.migration = self.migration.wrapping_add(1);
        }
        let notice = said.unwrap_or(match order {
            MoveOrder::Explicit(_) | MoveOrder::SynchronizedSymmetric => Notice::Due,
            MoveOrder::Pool if self.pool.is_known() => Notice::Acknowledged,
            // The pool's own frames give notice.
            MoveOrder::Pool => Notice::Sent,
            MoveOrder::Symmetric => Notice::Acknowledged,
        });
        self.state = State::Preparing { order, notice };
        let mut actions = Actions::new();
        self.become_ready(now, &mut actions);
        Ok(actions)
    }

    /// Whether this order could be given now.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn check(&self, order: MoveOrder, facts: &Facts) -> Result<(), MigrationError> {
        if self.agreement.strategies().is_empty() {
            return Err(MigrationError::Disabled);
        }
        if !self.agreement.permits(order.strategy()) {
            return Err(MigrationError::NotAgreed);
        }
        if self.state != State::Settled {
            return Err(MigrationError::Busy);
        }
        match (order, self.pool.is_empty()) {
            (MoveOrder::Pool, true) => return Err(MigrationError::EmptyPool),
            (MoveOrder::Explicit(_) | MoveOrder::Symmetric | MoveOrder::SynchronizedSymmetric, false) => {
                return Err(MigrationError::PoolOnly);
            }
            (MoveOrder::Pool, false)
            | (MoveOrder::Explicit(_) | MoveOrder::Symmetric | MoveOrder::SynchronizedSymmetric, true) => {}
        }
        if let MoveOrder::Explicit(target) = order {
            // The family in use is that of the client's address.
            target.like(facts.home).ok_or(MigrationError::Target)?;
        }
        match (self.bound, order) {
            (Bound::Free, _) => Ok(()),
            (Bound::Explicit { target, .. }, MoveOrder::Explicit(again)) if again == target => Ok(()),
            (Bound::Explicit { .. }, _) => Err(MigrationError::Bound { to: Binding::SameTarget }),
            (Bound::Synchronized { .. }, MoveOrder::Symmetric | MoveOrder::SynchronizedSymmetric) => Ok(()),
            (Bound::Synchronized { .. }, MoveOrder::Explicit(_) | MoveOrder::Pool) => {
                Err(MigrationError::Bound { to: Binding::SynchronizedOrSymmetric })
            }
        }
    }

    /// Takes an order back.
    ///
    /// # Errors
    ///
    /// [`MigrationError::NotOrdered`] if there is none that was not carried out.
    pub fn cancel(&mut self, now: Instant) -> Result<(), MigrationError> {
        let (order, notice) = match self.state {
            State::Preparing { order, notice } => (order, notice),
            State::Ready { order, .. } => (order, Notice::Acknowledged),
            State::Settled | State::Moved { .. } => return Err(MigrationError::NotOrdered),
        };
        self.bind(order, notice);
        self.may_follow = false;
        self.state = State::Settled;
        self.asking = Asking::new(now);
        Ok(())
    }

    fn bind(&mut self, order: MoveOrder, notice: Notice) {
        match order {
            MoveOrder::Explicit(target) => self.bound = Bound::Explicit { target, notice },
            MoveOrder::SynchronizedSymmetric => self.bound = Bound::Synchronized { notice },
            MoveOrder::Pool | MoveOrder::Symmetric => {}
        }
    }

    /// What this connection does when the endpoint moves, with an order or without one [4.5]; `None`: it stays behind.
    pub fn would_move(&self) -> Option<MoveOrder> {
        match (self.state, self.bound) {
            (State::Preparing { order, .. } | State::Ready { order, .. } | State::Moved { order, .. }, _) => {
                Some(order)
            }
            (State::Settled, _) if self.pool.is_partly_known() => Some(MoveOrder::Pool),
            // To an mvfst client SERVER_MIGRATED is a violation while it believes in an Explicit move.
            (State::Settled, Bound::Explicit { .. }) => None,
            (State::Settled, Bound::Free | Bound::Synchronized { .. }) => {
                self.agreement.permits(Strategy::Symmetric).then_some(MoveOrder::Symmetric)
            }
        }
    }

    /// Where the client may wait for us, though the order was taken back or its move went unnoticed [3.5].
    pub fn awaited(&self) -> Option<MigrationTarget> {
        match self.bound {
            Bound::Explicit { target, .. } => Some(target),
            Bound::Free | Bound::Synchronized { .. } => None,
        }
    }

    #[cfg(any(test, feature = "internals"))]
    /// Whether a move was ordered or carried out and is not over.
    pub fn is_busy(&self) -> bool {
        self.state != State::Settled
    }

    /// Whether the endpoint has moved and the client is being told or followed.
    pub fn has_moved(&self) -> bool {
        matches!(self.state, State::Moved { .. })
    }

    /// Whether the announcement is to be sent now.
    pub fn announces(&self) -> bool {
        self.announcement().is_some_and(Announcement::is_due)
    }

    /// How many datagrams of data may go before an answer from the new path; `None`: any number [3.1].
    pub fn data_left(&self) -> Option<u32> {
        self.announcement().and_then(Announcement::data_left)
    }

    fn announcement(&self) -> Option<&Announcement> {
        match &self.state {
            State::Moved { announcement, .. } => Some(announcement),
            State::Settled | State::Preparing { .. } | State::Ready { .. } => None,
        }
    }

    /// Until when, seen from `now`, the connection must not end by its idle timer: the fuse decides, not the clock [4.8].
    pub fn held_until(&self, now: Instant) -> Option<Instant> {
        match &self.state {
            State::Ready { .. } => Some(Fuse::beyond_a_tick(now)),
            State::Moved { announcement, .. } if !announcement.is_heard() => Some(Fuse::beyond_a_tick(now)),
            State::Settled | State::Preparing { .. } | State::Moved { .. } => None,
        }
    }

    /// Whether probes are spaced by a second at most.
    pub fn hurries(&self) -> bool {
        self.announcement().is_some_and(|announcement| !announcement.is_heard())
    }

    /// The next time something is due.
    pub fn due(&self, facts: &Facts) -> Option<Instant> {
        let own = match &self.state {
            State::Settled | State::Preparing { .. } => None,
            State::Ready { fuse, .. } => Some(fuse.next()),
            State::Moved { announcement, fuse, .. } => {
                earliest(announcement.deadline(facts.pto), Some(fuse.next()))
            }
        };
        earliest(own, self.ask_due())
    }

    /// When the client is to be asked: it pulls back one that leapt too early [3.6].
    fn ask_due(&self) -> Option<Instant> {
        let pending = match &self.state {
            State::Preparing { order, .. } | State::Ready { order, .. } => {
                matches!(order, MoveOrder::Explicit(_) | MoveOrder::Pool)
            }
            State::Settled | State::Moved { .. } => false,
        };
        let bound = self.state == State::Settled && matches!(self.bound, Bound::Explicit { .. });
        let cap = if bound { ASK_AT_MOST_BOUND } else { ASK_AT_MOST };
        (pending || bound).then(|| self.asking.due(ASK_AFTER, cap))
    }

    /// Takes an input.
    pub fn step(&mut self, now: Instant, input: ServerInput, facts: &Facts) -> Actions {
        let mut actions = Actions::new();
        match input {
            ServerInput::Relocated { announce_at } => self.on_relocated(now, announce_at),
            ServerInput::Acked(record) => self.on_acked(now, &record, &mut actions),
            ServerInput::Lost(record) => self.on_lost(&record),
            ServerInput::AckedAfterSwitch => {
                if let State::Moved { announcement, .. } = &mut self.state {
                    announcement.on_acked(now, facts.pto);
                }
            }
            ServerInput::Arrived { says_more } => {
                // A question was answered, and by no more than an ACK.
                if !says_more && self.asking.has_asked() && self.ask_due().is_some() {
                    actions.push(Action::PullBack);
                }
                self.asking.on_heard(now, says_more);
                if let State::Moved { announcement, .. } = &mut self.state {
                    announcement.on_arrived(now);
                }
            }
            ServerInput::Challenged => {
                if let State::Moved { announcement, .. } = &mut self.state {
                    announcement.on_challenge(now, facts.pto);
                }
            }
            ServerInput::Announced => {
                if let State::Moved { announcement, .. } = &mut self.state {
                    announcement.on_said(now, facts.pto);
                }
            }
            ServerInput::DataSent => {
                if let State::Moved { announcement, .. } = &mut self.state {
                    announcement.on_data();
                }
            }
            ServerInput::Due => self.on_due(now, facts, &mut actions),
        }
        actions
    }

    fn on_relocated(&mut self, now: Instant, announce_at: Instant) {
        let Some(order) = self.would_move() else { return };
        match self.state {
            State::Settled | State::Moved { .. } => self.migration = self.migration.wrapping_add(1),
            State::Preparing { .. } | State::Ready { .. } => {}
        }
        self.pool.withdraw();
        let mut announcement = Announcement::new(announce_at);
        let _ = announcement.expire(now, Duration::ZERO);
        let fuse = Fuse::new(now, self.deadline.saturating_add(announce_at.since(now)));
        self.state = State::Moved { order, announcement, fuse };
    }

    fn become_ready(&mut self, now: Instant, actions: &mut Actions) {
        if let State::Preparing { order, notice: Notice::Acknowledged } = self.state
            && self.client_listens
        {
            self.state = State::Ready { order, fuse: Fuse::new(now, self.deadline) };
            let strategy = order.strategy();
            actions.push(Action::Emit(MigrationEvent::Ready { strategy }));
        }
    }

    fn complete(&mut self, actions: &mut Actions) {
        let State::Moved { order, .. } = self.state else { return };
        self.state = State::Settled;
        self.bound = Bound::Free;
        let strategy = order.strategy();
        actions.push(Action::Emit(MigrationEvent::Completed { strategy, address: None }));
    }

    fn on_due(&mut self, now: Instant, facts: &Facts, actions: &mut Actions) {
        if self.ask_due().is_some_and(|at| at <= now) {
            self.asking.on_asked(now);
            actions.push(Action::Ask);
        }
        match &mut self.state {
            State::Settled | State::Preparing { .. } => {}
            State::Ready { order, fuse } => {
                if fuse.burn(now) {
                    let order = *order;
                    self.give_up(now, order, actions);
                }
            }
            State::Moved { order, announcement, fuse } => {
                let (order, spent, seen) = (*order, fuse.burn(now), announcement.is_seen());
                match announcement.expire(now, facts.pto) {
                    Turn::Over => {
                        self.complete(actions);
                        // All challenges of a client that sees the move may be lost: one more packet, and it asks again.
                        actions.push(Action::Ask);
                        if !seen {
                            // It went unnoticed: what the client was told beforehand it goes on to believe.
                            self.bind(order, Notice::Acknowledged);
                            self.may_follow = true;
                            self.asking = Asking::new(now);
                        }
                    }
                    Turn::Wait | Turn::Ask if spent => self.give_up(now, order, actions),
                    Turn::Ask => actions.push(Action::Ask),
                    Turn::Wait if announcement.prompts() => actions.push(Action::Prompt),
                    Turn::Wait => {}
                }
            }
        }
    }

    fn give_up(&mut self, now: Instant, order: MoveOrder, actions: &mut Actions) {
        // The client may wait for this very move still, and must not be told again.
        self.bind(order, Notice::Acknowledged);
        self.may_follow = self.has_moved();
        self.state = State::Settled;
        self.asking = Asking::new(now);
        let (strategy, reason) = (order.strategy(), MigrationError::Deadline);
        actions.push(Action::Emit(MigrationEvent::Failed { strategy, reason }));
    }

    /// Writes the migration frames that are due.
    pub fn write(&mut self, packet: &mut PacketWriter<'_>) {
        let migration = self.migration;
        match &mut self.state {
            State::Preparing { order, notice } if *notice == Notice::Due => {
                let Some(frame) = order.notice() else { return };
                if packet.write(&SendServerMigration { frame, migration }).is_ok() {
                    *notice = Notice::Sent;
                }
            }
            // A client may know of a pool whose frames it has not acknowledged: PING does as well.
            State::Moved { order, announcement, .. }
                if announcement.is_due() && order.says_migrated() && self.pool.is_empty() =>
            {
                // If it does not fit here, the announcement is due still and the next packet takes it.
                let _ = packet.write(&SendServerMigrated { migration });
            }
            State::Settled | State::Preparing { .. } | State::Ready { .. } | State::Moved { .. } => {}
        }
        self.pool.write(packet);
    }
}

#[cfg(test)]
mod tests;
