//! Many connections, one move: how a server is made ready, moves, and settles (server-migration rules, 4).
//!
//! The endpoint drives [`Relocation`]: it checks a plan against its connections, tells the machine what was
//! asked and what each connection reports, and carries out the actions in their order. The machine knows
//! connections by their handles only, and never asks for the time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use smallvec::SmallVec;

pub use plan::{MoveOrder, RelocationPlan, Terms};
pub use spread::Spread;

use crate::error::RelocationError;
use crate::id::ConnectionHandle;
use crate::time::Instant;
use crate::varint::VarInt;

mod plan;
mod spread;

/// The longest gap between two calls that counts against the migration deadline in full: what lies beyond,
/// the server may have spent frozen.
const LONGEST_GAP: Duration = Duration::from_secs(1);

/// Where the relocation of an endpoint stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Relocation {
    phase: Phase,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
enum Phase {
    /// No move is under way.
    #[default]
    Steady,
    /// A plan was made, and some of its connections have not reported.
    Preparing(Preparing),
    /// All have reported, and the move is awaited.
    Ready(Ready),
    /// The server has moved, and some connections have not followed.
    Settling(Settling),
}

/// What is asked of the relocation, and what has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A plan was asked for and is found possible.
    Plan(CheckedPlan),
    /// The plan was called off.
    Cancel,
    /// The server runs at its new address.
    Relocated {
        /// Connections that follow.
        participants: BTreeSet<ConnectionHandle>,
        /// Connections that are left as they are; those that end before all is settled count as lost.
        bystanders: BTreeSet<ConnectionHandle>,
    },
    /// A connection reports. Reports of connections that are not waited for mean nothing.
    Connection(ConnectionHandle, Report),
    /// The time that [`Relocation::deadline`] named has come.
    Deadline,
}

/// A plan as it concerns the connections that there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedPlan {
    /// What each connection that is to move is to do.
    pub orders: BTreeMap<ConnectionHandle, MoveOrder>,
    /// The connections that are closed: in the handshake, not named, or unfit and not kept.
    pub leaving: BTreeSet<ConnectionHandle>,
    /// The plan's settings.
    pub terms: Terms,
    /// How long a connection stays ready without a move.
    pub migration_deadline: Duration,
}

/// What a connection reports of its move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// It may be moved.
    Ready,
    /// Its order was refused, or its move failed.
    Failed,
    /// It ended, for whatever reason.
    Closed,
    /// Its move is complete.
    Done,
}

/// What the endpoint has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Give the connection this order, and report a refusal as [`Report::Failed`].
    Prepare(ConnectionHandle, MoveOrder),
    /// Close the connection with [`Relocation::farewell`]. It is counted already.
    Close(ConnectionHandle),
    /// Cancel the connection's order.
    Resume(ConnectionHandle),
    /// Tell the embedder, after what the closes before it have to send.
    Emit(RelocationEvent),
}

/// Actions, to be carried out in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Actions(SmallVec<[Action; 2]>);

impl IntoIterator for Actions {
    type Item = Action;
    type IntoIter = smallvec::IntoIter<[Action; 2]>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// What the relocation of an endpoint tells its embedder (rules, 4.3 and 4.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelocationEvent {
    /// No connection is left to wait for: the server may be moved. Comes once for each plan, unless the
    /// server moves or the plan is cancelled first.
    Ready {
        /// Connections that can be moved.
        prepared: usize,
        /// Connections that ended on the way or were closed.
        closed: usize,
    },
    /// No connection is left to wait for after the move.
    Settled {
        /// Connections that live at the new address.
        moved: usize,
        /// Connections that failed to follow, or ended.
        lost: usize,
    },
}

impl Relocation {
    /// Takes in what was asked or has happened.
    ///
    /// # Errors
    ///
    /// [`RelocationError::Busy`] for a plan while another is pending, [`RelocationError::NotPrepared`] for a
    /// cancel while none is; then nothing changes. Other inputs are never refused.
    pub fn step(&mut self, now: Instant, input: Input) -> Result<Actions, RelocationError> {
        let pending = !self.admits();
        if pending && matches!(input, Input::Plan(_)) {
            return Err(RelocationError::Busy);
        }
        if !pending && matches!(input, Input::Cancel) {
            return Err(RelocationError::NotPrepared);
        }
        let mut actions = Actions::default();
        self.phase = std::mem::take(&mut self.phase).step(now, input, &mut actions);
        Ok(actions)
    }

    /// Whether new handshakes are begun.
    pub fn admits(&self) -> bool {
        matches!(self.phase, Phase::Steady | Phase::Settling(_))
    }

    /// Whether an Initial that is not admitted is answered with CONNECTION_REFUSED instead of silence.
    pub fn refuses(&self) -> bool {
        self.terms().is_some_and(|terms| terms.refuse_initials)
    }

    /// Whether a stateless reset may be sent for an unknown connection ID. From readiness until all is
    /// settled the other place may know it.
    pub fn permits_resets(&self) -> bool {
        matches!(self.phase, Phase::Steady | Phase::Preparing(_))
    }

    #[cfg(any(test, feature = "internals"))]
    /// Whether the move is awaited: [`RelocationEvent::Ready`] was emitted, and neither a move nor a cancel
    /// nor the migration deadline came since. That long the plan's connections are spared by their idle
    /// timers.
    pub fn is_prepared(&self) -> bool {
        matches!(self.phase, Phase::Ready(_))
    }

    /// When [`Input::Deadline`] is due. While the move is awaited, at least once a second.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Steady | Phase::Settling(_) => None,
            Phase::Preparing(preparing) => preparing.until,
            Phase::Ready(ready) => Some(ready.patience.deadline()),
        }
    }

    /// Code and reason for the connections that are closed, while a plan is pending.
    pub fn farewell(&self) -> Option<(VarInt, &[u8])> {
        self.terms().map(|terms| (terms.code, &*terms.reason))
    }

    /// Announcements per second at a move that came now.
    pub fn announce_rate(&self) -> u32 {
        self.terms().map_or(plan::ANNOUNCE_RATE, |terms| terms.announce_rate)
    }

    fn terms(&self) -> Option<&Terms> {
        match &self.phase {
            Phase::Steady | Phase::Settling(_) => None,
            Phase::Preparing(preparing) => Some(&preparing.terms),
            Phase::Ready(ready) => Some(&ready.terms),
        }
    }
}

impl Phase {
    fn step(self, now: Instant, input: Input, actions: &mut Actions) -> Self {
        match (self, input) {
            (before, Input::Plan(plan)) => {
                if let Self::Settling(settling) = before {
                    settling.give_up(actions);
                }
                Preparing::begin(now, plan, actions).proceed(now, actions)
            }
            (before, Input::Relocated { participants, bystanders }) => {
                let mut settling = match before {
                    Self::Settling(settling) => settling,
                    Self::Steady | Self::Preparing(_) | Self::Ready(_) => Settling::default(),
                };
                settling.join(participants, bystanders);
                settling.proceed(actions)
            }
            (Self::Preparing(preparing), Input::Cancel) => {
                actions.0.extend(preparing.ordered.into_keys().map(Action::Resume));
                Self::Steady
            }
            (Self::Ready(ready), Input::Cancel) => {
                actions.0.extend(ready.prepared.into_iter().map(Action::Resume));
                Self::Steady
            }
            (Self::Preparing(mut preparing), Input::Connection(handle, report)) => {
                preparing.on_report(handle, report, actions);
                preparing.proceed(now, actions)
            }
            (Self::Preparing(mut preparing), Input::Deadline) => {
                preparing.expire(now, actions);
                preparing.proceed(now, actions)
            }
            (Self::Ready(mut ready), Input::Connection(handle, report)) => {
                ready.patience.spend(now);
                ready.on_report(handle, report);
                Self::Ready(ready)
            }
            (Self::Ready(mut ready), Input::Deadline) => {
                ready.patience.spend(now);
                // Nobody carries the plan out; its connections report their own failures.
                if ready.patience.left.is_zero() { Self::Steady } else { Self::Ready(ready) }
            }
            (Self::Settling(mut settling), Input::Connection(handle, report)) => {
                settling.on_report(handle, report);
                settling.proceed(actions)
            }
            (phase, _) => phase, // a report or a deadline of something that is over
        }
    }
}

/// A plan some of whose connections have not reported.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Preparing {
    terms: Terms,
    /// When the connections that still wait are closed.
    until: Option<Instant>,
    migration_deadline: Duration,
    /// Connections with an order that have not reported, or have reported ready and live.
    ordered: BTreeMap<ConnectionHandle, Standing>,
    /// How many of them have not reported.
    waiting: usize,
    closed: usize,
}

/// Where a connection with an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Standing {
    Waiting,
    Prepared,
}

impl Preparing {
    fn begin(now: Instant, plan: CheckedPlan, actions: &mut Actions) -> Self {
        let mut preparing = Self {
            until: plan.terms.deadline.map(|after| now + after),
            terms: plan.terms,
            migration_deadline: plan.migration_deadline,
            ordered: plan.orders.keys().map(|handle| (*handle, Standing::Waiting)).collect(),
            waiting: plan.orders.len(),
            closed: 0,
        };
        for handle in plan.leaving.into_iter().filter(|handle| !plan.orders.contains_key(handle)) {
            preparing.close(handle, actions);
        }
        actions.0.extend(plan.orders.into_iter().map(|(handle, order)| Action::Prepare(handle, order)));
        preparing
    }

    fn close(&mut self, handle: ConnectionHandle, actions: &mut Actions) {
        self.closed += 1;
        actions.0.push(Action::Close(handle));
    }

    fn on_report(&mut self, handle: ConnectionHandle, report: Report, actions: &mut Actions) {
        let Some(standing) = self.ordered.get_mut(&handle) else { return };
        let before = std::mem::replace(standing, Standing::Prepared);
        self.waiting -= usize::from(before == Standing::Waiting);
        if report == Report::Ready {
            return;
        }
        self.ordered.remove(&handle);
        match report {
            Report::Closed => self.closed += 1,
            Report::Failed if before == Standing::Waiting && !self.terms.keep_unfit => {
                self.close(handle, actions);
            }
            // Unfit and kept, or fit and failed since, or moved by itself: it has left the plan.
            Report::Ready | Report::Failed | Report::Done => {}
        }
    }

    /// Closes the connections that kept the others waiting for too long.
    fn expire(&mut self, now: Instant, actions: &mut Actions) {
        if self.until.is_some_and(|until| until <= now) {
            let laggards = self.ordered.extract_if(.., |_, standing| *standing == Standing::Waiting);
            let laggards: Vec<_> = laggards.map(|(handle, _)| handle).collect();
            self.waiting = 0;
            laggards.into_iter().for_each(|laggard| self.close(laggard, actions));
        }
    }

    fn proceed(self, now: Instant, actions: &mut Actions) -> Phase {
        if self.waiting > 0 {
            return Phase::Preparing(self);
        }
        actions
            .0
            .push(Action::Emit(RelocationEvent::Ready { prepared: self.ordered.len(), closed: self.closed }));
        let patience = Patience { left: self.migration_deadline, seen: now };
        let prepared = self.ordered.into_keys().collect();
        Phase::Ready(Ready { terms: self.terms, prepared, patience })
    }
}

/// A plan that is ready and awaits the move.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Ready {
    terms: Terms,
    /// Connections that are ready and live.
    prepared: BTreeSet<ConnectionHandle>,
    patience: Patience,
}

impl Ready {
    fn on_report(&mut self, handle: ConnectionHandle, report: Report) {
        match report {
            Report::Failed | Report::Closed | Report::Done => {
                self.prepared.remove(&handle);
            }
            Report::Ready => {}
        }
    }
}

/// The migration deadline of a server that may be frozen meanwhile: in time attended, not in time passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Patience {
    left: Duration,
    seen: Instant,
}

impl Patience {
    fn spend(&mut self, now: Instant) {
        self.left = self.left.saturating_sub(now.since(self.seen).min(LONGEST_GAP));
        self.seen = self.seen.max(now);
    }

    fn deadline(&self) -> Instant {
        self.seen + self.left.min(LONGEST_GAP)
    }
}

/// A move some of whose connections have not followed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Settling {
    /// Participants that have not reported.
    waiting: BTreeSet<ConnectionHandle>,
    /// Connections that were left as they are and have not ended.
    bystanders: BTreeSet<ConnectionHandle>,
    moved: BTreeSet<ConnectionHandle>,
    /// Connections that failed, and may live, or ended.
    lost: BTreeSet<ConnectionHandle>,
}

impl Settling {
    /// Takes in a move; if it is not the first, one account is given of both.
    fn join(&mut self, participants: BTreeSet<ConnectionHandle>, bystanders: BTreeSet<ConnectionHandle>) {
        self.moved.retain(|handle| !participants.contains(handle));
        self.lost.retain(|handle| !participants.contains(handle));
        self.waiting.extend(participants);
        self.bystanders.extend(bystanders);
    }

    fn on_report(&mut self, handle: ConnectionHandle, report: Report) {
        match report {
            Report::Done => {
                if self.waiting.remove(&handle) {
                    self.moved.insert(handle);
                }
            }
            Report::Failed => {
                if self.waiting.contains(&handle) {
                    self.lose(handle);
                }
            }
            Report::Closed => {
                if self.waiting.contains(&handle) || self.bystanders.contains(&handle) {
                    self.lose(handle);
                }
            }
            Report::Ready => {}
        }
    }

    fn lose(&mut self, handle: ConnectionHandle) {
        self.waiting.remove(&handle);
        self.bystanders.remove(&handle);
        self.moved.remove(&handle);
        self.lost.insert(handle);
    }

    fn proceed(self, actions: &mut Actions) -> Phase {
        if !self.waiting.is_empty() {
            return Phase::Settling(self);
        }
        self.give_up(actions);
        Phase::Steady
    }

    /// Closes the account: who has not followed by now is lost.
    fn give_up(self, actions: &mut Actions) {
        let lost = self.lost.len() + self.waiting.len();
        actions.0.push(Action::Emit(RelocationEvent::Settled { moved: self.moved.len(), lost }));
    }
}

#[cfg(test)]
mod tests;
