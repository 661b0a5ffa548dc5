//! A server's switch to another address: what is ordered beforehand, what begins afresh at it, and who is left behind
//! (server-migration rules, 3.1, 3.2 and 4).

use std::net::SocketAddr;

use super::Connection;
use super::close::Farewell;
use super::preferred::Preference;
use crate::error::{CloseReason, MigrationError};
use crate::event::ConnectionEvent;
use crate::frame::Ack;
use crate::id::{PathId, SpaceId};
use crate::migration::{Migration, MigrationEvent, MoveOrder, Server, ServerInput};
use crate::net::{FourTuple, Local};
use crate::path::PathState;
use crate::time::Instant;
use crate::varint::VarInt;

/// Packet numbers skipped at a switch: at least this many, and less than twice as many [3.2].
const SKIPPED_NUMBERS: u32 = 1 << 16;

impl Connection {
    /// The endpoint has moved: this connection goes on from `local`, and the client is told at `announce_at`.
    pub(crate) fn relocate(&mut self, now: Instant, local: Local, announce_at: Instant) {
        let former = self.paths.home().tuple.local;
        let moves = self.would_move().is_some();
        // A client that was followed on trust is still followed on trust: the address it was proved at moves along.
        let fallback = self.paths.fallback();
        // Where we wanted to be then does not count any more.
        self.moves.preference = Preference::None;
        let others = self.paths.iter().skip(1).map(|path| path.id).filter(|id| Some(*id) != fallback);
        let others: smallvec::SmallVec<[PathId; 4]> = others.collect();
        others.into_iter().for_each(|id| self.forget_path(id));
        if let Some(path) = fallback.and_then(|id| self.paths.get_mut(id)) {
            // Nor is an ID shown from two places (RFC 9000, Section 9.5).
            let there = FourTuple { local, ..path.tuple };
            if let Some(dcid) = self.remote_ids.carry_over(path.tuple, there) {
                path.call(dcid);
            }
        }
        for path in self.paths.iter_mut() {
            path.tuple.local = local;
            if moves {
                // Questions and answers of the old place mean nothing at the new one.
                path.validation.clear();
            }
        }
        if !moves {
            return;
        }
        self.steering.behind = self.recovery.stream_data().into();
        self.begin_afresh(now);
        self.moves.know_by_anything();
        let skipped = SKIPPED_NUMBERS + self.rng.below(SKIPPED_NUMBERS);
        self.recovery.skip(SpaceId::Data, skipped.into());
        let former = Some(former).filter(|former| *former != local);
        self.steering.switch = Some((self.recovery.next_number(SpaceId::Data), former));
        self.tell_server(now, ServerInput::Relocated { announce_at });
    }

    /// The client acknowledges something sent after a switch, and with it what of the data that was under way then had
    /// arrived before the client's acknowledgements found nobody: that is not sent again.
    #[cold]
    pub(super) fn take_up(&mut self, ack: &Ack<'_>) {
        if self.steering.switch.is_none_or(|(first, _)| ack.largest < first) {
            return;
        }
        let behind = std::mem::take(&mut self.steering.behind);
        let mut rest = &*behind;
        // The ACK's ranges come from above.
        for range in ack.ranges() {
            let above = rest.partition_point(|(number, _)| number <= range.end());
            let (below, _) = rest.split_at(above);
            let within = below.partition_point(|(number, _)| number < range.start());
            below[within..].iter().for_each(|(_, record)| self.streams.acked(record));
            rest = &below[..within];
        }
    }

    /// Nothing that was measured or sent before the switch holds after it, but for a hint of the round trip [3.2].
    pub(super) fn begin_afresh(&mut self, now: Instant) {
        self.abandon(now, |recovery, fates| recovery.abandon_all(SpaceId::Data, fates));
        self.recovery.reset_backoff();
        let rotated = self.remote_ids.rotate();
        let rtt = self.rtt();
        let home = self.paths.home();
        self.recovery.begin_afresh(now, home.id);
        let (id, tuple, dcid, sizes) = (home.id, home.tuple, rotated.unwrap_or(home.dcid), self.sizes());
        let state = std::mem::replace(&mut self.paths.home_mut().state, PathState::Validated);
        let mut fresh = super::birth::fresh_path(&self.config, sizes, id, tuple, dcid, state);
        fresh.spin = self.another_spin(&dcid);
        fresh.rtt.seed_hint(rtt.smoothed, rtt.variance);
        if !fresh.is_validated() {
            fresh.validation.begin(now, self.rng.bytes(), rtt.pto_base(SpaceId::Data));
        }
        *self.paths.home_mut() = fresh;
        self.idle.restart(now);
        self.renew_wishes(now);
    }

    /// What this connection does when the endpoint moves; `None`: it stays behind.
    pub(crate) fn would_move(&self) -> Option<MoveOrder> {
        if !self.phase.is_established() {
            return None;
        }
        self.steering.server().and_then(Server::would_move)
    }

    /// Whether the order's target, if it has one, is one that our client could use and where we are not, whatever else
    /// stands against it.
    pub(crate) fn suits(&self, order: MoveOrder) -> bool {
        match order {
            MoveOrder::Explicit(target) => {
                let awaited = self.steering.server().and_then(Server::awaited);
                let is_elsewhere = |to| Some(to) != self.own_address() || awaited == Some(target);
                target.like(self.remote()).is_some_and(is_elsewhere)
            }
            MoveOrder::Pool | MoveOrder::Symmetric | MoveOrder::SynchronizedSymmetric => true,
        }
    }

    /// Where a server is reached, as far as it knows.
    fn own_address(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.local().ip?, self.migration_config()?.port?))
    }

    /// Whether this order could be given.
    pub(crate) fn check_order(&self, order: MoveOrder) -> Result<(), MigrationError> {
        if !self.phase.is_open() {
            return Err(MigrationError::Closed);
        }
        if self.side().is_client() {
            return Err(MigrationError::WrongSide);
        }
        if !self.phase.is_established() {
            return Err(MigrationError::HandshakeNotComplete);
        }
        self.steering.server().ok_or(MigrationError::Disabled)?.check(order, &self.facts())?;
        if self.suits(order) { Ok(()) } else { Err(MigrationError::Target) }
    }

    pub(crate) fn prepare_move(&mut self, now: Instant, order: MoveOrder) -> Result<(), MigrationError> {
        self.check_order(order)?;
        let facts = self.facts();
        let Some(Migration::Server(server)) = &mut self.steering.migration else {
            return Err(MigrationError::Disabled);
        };
        let actions = server.prepare(now, order, &facts)?;
        self.carry_out(now, actions);
        Ok(())
    }

    pub(crate) fn cancel_move(&mut self, now: Instant) -> Result<(), MigrationError> {
        match &mut self.steering.migration {
            Some(Migration::Server(server)) => server.cancel(now),
            Some(Migration::Client(_)) => Err(MigrationError::WrongSide),
            None => Err(MigrationError::Disabled),
        }
    }

    /// The server moves away and this connection does not go with it.
    pub(crate) fn leave_behind(
        &mut self,
        now: Instant,
        order: Option<MoveOrder>,
        error: MigrationError,
        code: VarInt,
        reason: &[u8],
    ) {
        if !self.phase.is_open() {
            return;
        }
        if let Some(order) = order {
            let event = MigrationEvent::Failed { strategy: order.strategy(), reason: error };
            self.events.push_back(ConnectionEvent::Migration(event));
        }
        self.end(now, Farewell::application(code, reason), CloseReason::NotMoved(error));
    }
}
