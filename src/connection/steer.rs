//! Carrying out what `migration/` decides, on paths, connection IDs and recovery.

use std::time::Duration;

use super::receive::{Came, Seen};
use super::Connection;
use crate::error::TransportError;
use crate::frame::{Frame, Record};
use crate::id::{PacketNumber, PathId, ResetToken, SpaceId};
use crate::negotiation::Agreement;
use crate::net::{FourTuple, Local};
use crate::packet::PacketWriter;
use crate::stats::DropReason;
use crate::time::Instant;

/// What the connection keeps for its migrations.
#[derive(Debug, Default)]
pub(super) struct Steering {
    pub(super) agreement: Option<Agreement>,
}

impl Steering {
    /// Whether a server is to say from its new address that it has moved.
    pub(super) fn announces(&self) -> bool {
        false
    }

    /// Whether data waits until the peer has answered from the new path.
    pub(super) fn holds_data(&self) -> bool {
        false
    }

    /// The candidate that new data goes to, within its budget.
    pub(super) fn lead(&self) -> Option<PathId> {
        None
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        None
    }

    /// Until when the idle timer does not fire.
    pub(super) fn idle_held_until(&self) -> Option<Instant> {
        None
    }

    /// Longest wait between probes.
    pub(super) fn pto_cap(&self) -> Option<Duration> {
        None
    }

    pub(super) fn write(&mut self, _packet: &mut PacketWriter<'_, '_>) {}
}

impl Connection {
    pub(super) fn begin_migration(&mut self) {}

    pub(super) fn on_announced(&mut self, _now: Instant) {}

    pub(super) fn on_migration_timeout(&mut self, _now: Instant) {}

    pub(super) fn on_loss_timeout(&mut self, _now: Instant, _space: SpaceId) {}

    pub(super) fn client_gate(
        &mut self,
        _now: Instant,
        _from: FourTuple,
        _space: SpaceId,
        _number: PacketNumber,
        _newest: bool,
    ) -> Result<PathId, DropReason> {
        Err(DropReason::Gate)
    }

    pub(super) fn client_arrival(&mut self, _now: Instant, _came: &Came, _seen: Seen) {}

    pub(super) fn server_arrival(&mut self, _now: Instant, _seen: Seen) {}

    pub(super) fn on_duplicate(&mut self, _now: Instant, _from: FourTuple, _number: PacketNumber) {}

    pub(super) fn on_maybe_reset(&mut self, now: Instant, _from: FourTuple, token: ResetToken) {
        if self.remote_ids.is_reset(&token) {
            self.drain(now, crate::error::CloseReason::Reset);
        }
    }

    pub(super) fn permits_local(&self, local: Local) -> bool {
        self.paths.home().tuple.local.matches(local)
    }

    pub(super) fn on_path_challenge(&mut self, _now: Instant, path: PathId, data: [u8; 8]) {
        if let Some(path) = self.paths.get_mut(path) {
            path.validation.on_challenge(data);
        }
    }

    pub(super) fn on_path_response(&mut self, now: Instant, _from: FourTuple, data: [u8; 8], _seen: &mut Seen) {
        let answered = self.paths.iter_mut().find_map(|path| path.validation.on_response(now, data).map(|_| path.id));
        let Some(id) = answered else { return };
        if let Some(path) = self.paths.get_mut(id) {
            path.validate();
        }
        if id == self.paths.home().id && self.paths.fallback().is_some() {
            if let Some(old) = self.paths.fallback() {
                self.paths.set_fallback(None);
                self.keep_former(now, old);
            }
        }
    }

    pub(super) fn on_migration_frame(
        &mut self,
        _now: Instant,
        _from: FourTuple,
        _frame: &Frame<'_>,
        _seen: &mut Seen,
    ) -> Result<(), TransportError> {
        Err(TransportError::frame_encoding("the frame type is unknown"))
    }

    pub(super) fn on_migration_acked(&mut self, _now: Instant, _record: &Record) {}

    pub(super) fn on_migration_lost(&mut self, _record: &Record) {}

    pub(super) fn on_acked_number(&mut self, _now: Instant, _largest: PacketNumber) {}
}

/// Server migration on one connection.
#[derive(Debug)]
pub struct Migrations<'a> {
    connection: &'a mut Connection,
}

impl<'a> Migrations<'a> {
    pub(super) fn new(connection: &'a mut Connection) -> Self {
        Self { connection }
    }

    /// What was agreed. `None`: the peer said nothing; an empty one: nothing in common.
    pub fn agreement(&self) -> Option<Agreement> {
        self.connection.steering.agreement
    }
}
