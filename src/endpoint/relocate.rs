//! Carrying out a relocation: the plan is checked against the connections, the machine decides, and its orders reach
//! every connection (server-migration rules, 4).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::Endpoint;
use crate::connection::Connection;
use crate::error::{MigrationError, RelocationError};
use crate::event::{ConnectionEvent, TimerKind};
use crate::id::{ConnectionHandle, Side};
use crate::migration::relocation::{Action, Actions, CheckedPlan, Input, Report, Spread};
use crate::migration::{MigrationEvent, MoveOrder, Relocation, RelocationEvent, RelocationPlan};
use crate::net::{Local, SocketKey};
use crate::time::Instant;
use crate::varint::VarInt;

/// How long a connection stays ready without a move where the server's configuration does not say.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);

/// The endpoint's relocation, and what it has to tell.
#[derive(Debug, Default)]
pub(super) struct Relocating {
    machine: Relocation,
    events: VecDeque<RelocationEvent>,
    /// How many connections are to speak before the events are told.
    first: usize,
}

impl Relocating {
    /// Whether new connections are admitted.
    pub(super) fn admits(&self) -> bool {
        self.machine.admits()
    }

    /// Whether a new connection that is not admitted is told so.
    pub(super) fn refuses(&self) -> bool {
        self.machine.refuses()
    }

    /// Whether stateless resets may be sent.
    pub(super) fn permits_resets(&self) -> bool {
        self.machine.permits_resets()
    }

    /// Keeps an event until those `awake` now have said what they have to say: a close that the relocation counts is
    /// told before it. One round of them, not silence: a busy endpoint is never silent.
    fn tell(&mut self, event: RelocationEvent, awake: usize) {
        self.events.push_back(event);
        self.first = awake;
    }

    /// A connection has said what it had to say, or lets the others speak.
    pub(super) fn one_has_spoken(&mut self) {
        self.first = self.first.saturating_sub(1);
    }

    /// What the relocation has to tell.
    pub(super) fn poll(&mut self, awake: usize) -> Option<RelocationEvent> {
        if self.first == 0 || awake == 0 { self.events.pop_front() } else { None }
    }
}

/// What a plan means for the connections there are.
#[derive(Debug, Default)]
struct Roll {
    /// In the order of the handles, as the machine's tables are built of them.
    orders: Vec<(ConnectionHandle, MoveOrder)>,
    /// Those that are closed, with the order they cannot follow, if they have one.
    leaving: BTreeMap<ConnectionHandle, (Option<MoveOrder>, MigrationError)>,
}

impl Endpoint {
    /// Tells the server's connections that it is going to move, and stops new ones from beginning.
    ///
    /// Each connection reports by its own events; [`RelocationEvent::Ready`] comes when none is left to wait for. Then,
    /// or earlier, the move may be carried out and [`relocated`](Self::relocated) called.
    ///
    /// # Errors
    ///
    /// The plan is checked whole before anything happens: a handle that names no connection, a target that suits none
    /// of its connections, or a plan that is pending. Nothing has changed then.
    pub fn prepare_relocation(&mut self, now: Instant, plan: RelocationPlan) -> Result<(), RelocationError> {
        if !self.relocating.machine.admits() {
            return Err(RelocationError::Busy);
        }
        if plan.named().any(|handle| self.connection(handle).is_none()) {
            return Err(RelocationError::UnknownConnection);
        }
        let Roll { orders, leaving } = self.call_the_roll(&plan)?;
        let terms = plan.terms().clone();
        let checked = CheckedPlan {
            orders: orders.into_iter().collect(),
            leaving: leaving.keys().copied().collect(),
            terms,
            migration_deadline: self.migration_deadline(),
        };
        let actions = self.relocating.machine.step(now, Input::Plan(checked))?;
        self.carry_out_relocation(now, actions, &leaving);
        Ok(())
    }

    /// Whether a plan is pending: made, and neither carried out nor cancelled nor given up at the migration deadline. While
    /// one is, no new connection is begun.
    ///
    /// May be asked at any time: whoever steers a move need not have heard every event.
    pub fn is_relocation_pending(&self) -> bool {
        !self.relocating.machine.admits()
    }

    fn migration_deadline(&self) -> Duration {
        let migration = self.config.server.as_ref().and_then(|server| server.migration.as_ref());
        migration.map_or(DEFAULT_DEADLINE, |migration| migration.deadline)
    }

    /// Sorts the connections into those that get an order, those that are closed, and those that are left alone.
    fn call_the_roll(&self, plan: &RelocationPlan) -> Result<Roll, RelocationError> {
        let mut roll = Roll::default();
        // For each order with a target: whether it suits anybody.
        let mut suits: Vec<(MoveOrder, bool)> = Vec::new();
        for (handle, connection) in self.connections().filter(|(_, c)| is_a_live_server(c)) {
            let Some(order) = plan.order(handle) else {
                roll.leaving.insert(handle, (None, MigrationError::NotOrdered));
                continue;
            };
            let fit = connection.check_order(order);
            let suited = connection.suits(order);
            match suits.iter_mut().find(|(known, _)| *known == order) {
                Some((_, any)) => *any |= suited,
                None => suits.push((order, suited)),
            }
            match fit {
                Ok(()) => {
                    roll.orders.push((handle, order));
                }
                Err(MigrationError::HandshakeNotComplete) => {
                    roll.leaving.insert(handle, (None, MigrationError::HandshakeNotComplete));
                }
                Err(_) if plan.terms().keep_unfit => {}
                Err(error) => {
                    roll.leaving.insert(handle, (Some(order), error));
                }
            }
        }
        if suits.iter().any(|(_, any)| !any) {
            return Err(RelocationError::Target);
        }
        Ok(roll)
    }

    /// Takes a plan back before the move: connections go on as they were, though what their clients were told binds the
    /// next order.
    ///
    /// # Errors
    ///
    /// [`RelocationError::NotPrepared`] if no plan is pending.
    pub fn cancel_relocation(&mut self, now: Instant) -> Result<(), RelocationError> {
        let actions = self.relocating.machine.step(now, Input::Cancel)?;
        self.carry_out_relocation(now, actions, &BTreeMap::new());
        Ok(())
    }

    /// The server runs at its new address from `now` on.
    ///
    /// `locals` names, for each socket that moved, what it is now; connections on other sockets stay as they are. With
    /// or without a plan, every connection that can follow does, and its client is told from the new address;
    /// [`RelocationEvent::Settled`] comes when each has completed, failed or ended.
    ///
    /// **The copy that was left behind must never send again.** Two servers with the same keys seal different packets
    /// under the same numbers, which gives the keys away.
    ///
    /// `now` continues the time of this endpoint, not of the host: a server that was frozen goes on where it stopped.
    ///
    /// # Errors
    ///
    /// [`RelocationError::Family`] if a new address is of another family than a connection on its socket; nothing has
    /// changed then, and a plan stays as it was.
    pub fn relocated(&mut self, now: Instant, locals: &[(SocketKey, Local)]) -> Result<(), RelocationError> {
        let place = |connection: &Connection| {
            let socket = connection.local().socket;
            locals.iter().find(|(key, _)| *key == socket).map(|(_, local)| *local)
        };
        let moving: Vec<(ConnectionHandle, Local, bool)> = self
            .connections()
            .filter(|(_, connection)| is_a_live_server(connection))
            .filter_map(|(handle, connection)| {
                Some((handle, place(connection)?, connection.would_move().is_some()))
            })
            .collect();
        let foreign = |(handle, local, _): &(ConnectionHandle, Local, bool)| {
            let remote = self.connection(*handle).map(Connection::remote);
            local.ip.zip(remote).is_some_and(|(ip, remote)| ip.is_ipv4() != remote.is_ipv4())
        };
        if moving.iter().any(foreign) {
            return Err(RelocationError::Family);
        }
        let mut spread = Spread::new(now, self.relocating.machine.announce_rate());
        let (mut participants, mut bystanders) = (BTreeSet::new(), BTreeSet::new());
        for (handle, local, follows) in moving {
            let announce_at = if follows { spread.next_slot() } else { now };
            let side = if follows { &mut participants } else { &mut bystanders };
            side.insert(handle);
            if let Some(connection) = self.connection_mut(handle) {
                connection.relocate(now, local, announce_at);
            }
        }
        let actions = self.relocating.machine.step(now, Input::Relocated { participants, bystanders })?;
        self.carry_out_relocation(now, actions, &BTreeMap::new());
        Ok(())
    }

    fn carry_out_relocation(
        &mut self,
        now: Instant,
        actions: Actions,
        leaving: &BTreeMap<ConnectionHandle, (Option<MoveOrder>, MigrationError)>,
    ) {
        for action in actions {
            match action {
                Action::Prepare(handle, order) => {
                    let ordered =
                        self.connection_mut(handle).map(|connection| connection.prepare_move(now, order));
                    if !matches!(ordered, Some(Ok(()))) {
                        self.report(now, handle, Report::Failed);
                    }
                }
                Action::Close(handle) => {
                    let (order, error) =
                        leaving.get(&handle).copied().unwrap_or((None, MigrationError::Deadline));
                    let (code, reason) = self.farewell();
                    if let Some(connection) = self.connection_mut(handle) {
                        connection.leave_behind(now, order, error, code, &reason);
                    }
                }
                Action::Resume(handle) => {
                    if let Some(connection) = self.connection_mut(handle) {
                        // One that never got its order has none to take back.
                        let _ = connection.cancel_move(now);
                    }
                }
                Action::Emit(event) => self.relocating.tell(event, self.agenda.len()),
            }
        }
    }

    fn farewell(&self) -> (VarInt, Vec<u8>) {
        let farewell = self.relocating.machine.farewell();
        farewell.map_or((VarInt::ZERO, Vec::new()), |(code, reason)| (code, reason.to_vec()))
    }

    fn report(&mut self, now: Instant, handle: ConnectionHandle, report: Report) {
        let step = self.relocating.machine.step(now, Input::Connection(handle, report));
        if let Ok(actions) = step {
            self.carry_out_relocation(now, actions, &BTreeMap::new());
        }
    }

    pub(super) fn expire_relocation(&mut self, now: Instant) {
        if self.relocating.machine.deadline().is_some_and(|at| at <= now)
            && let Ok(actions) = self.relocating.machine.step(now, Input::Deadline)
        {
            self.carry_out_relocation(now, actions, &BTreeMap::new());
        }
    }

    pub(super) fn relocation_deadline(&self) -> Option<(Instant, TimerKind)> {
        self.relocating.machine.deadline().map(|at| (at, TimerKind::Relocation))
    }

    /// What a connection tells the embedder may be what the relocation waits for.
    pub(super) fn watch_relocation(
        &mut self,
        now: Instant,
        handle: ConnectionHandle,
        event: &ConnectionEvent,
    ) {
        let report = match event {
            ConnectionEvent::Migration(MigrationEvent::Ready { .. }) => Report::Ready,
            ConnectionEvent::Migration(MigrationEvent::Failed { .. }) => Report::Failed,
            ConnectionEvent::Migration(MigrationEvent::Completed { .. }) => Report::Done,
            ConnectionEvent::Closed(_) => Report::Closed,
            _ => return,
        };
        self.report(now, handle, report);
    }
}

fn is_a_live_server(connection: &Connection) -> bool {
    connection.side() == Side::Server && connection.is_open()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relocation_is_told_after_one_round_of_an_endpoint_that_is_never_silent() {
        let ready = RelocationEvent::Ready { prepared: 2, closed: 1 };
        let mut relocating = Relocating::default();
        relocating.tell(ready.clone(), 3);
        for _ in 0..3 {
            assert_eq!(relocating.poll(3), None);
            relocating.one_has_spoken();
        }
        assert_eq!(relocating.poll(3), Some(ready));
        assert_eq!(relocating.poll(3), None);
    }
}
