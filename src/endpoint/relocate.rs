//! Carrying out the orders of a relocation on every connection.

use super::Endpoint;
use crate::event::{ConnectionEvent, TimerKind};
use crate::id::ConnectionHandle;
use crate::migration::RelocationEvent;
use crate::time::Instant;

/// The endpoint's relocation.
#[derive(Debug, Default)]
pub(super) struct Relocating {}

impl Relocating {
    /// Whether new connections are admitted.
    pub(super) fn admits(&self) -> bool {
        true
    }

    /// Whether stateless resets may be sent.
    pub(super) fn permits_resets(&self) -> bool {
        true
    }
}

impl Endpoint {
    pub(super) fn expire_relocation(&mut self, _now: Instant) {}

    pub(super) fn relocation_deadline(&self) -> Option<(Instant, TimerKind)> {
        None
    }

    pub(super) fn poll_relocation(&mut self, _now: Instant) -> Option<RelocationEvent> {
        None
    }

    pub(super) fn watch_relocation(
        &mut self,
        _now: Instant,
        _handle: ConnectionHandle,
        _event: &ConnectionEvent,
    ) {
    }

    pub(super) fn relocation_lost(&mut self, _now: Instant, _handle: ConnectionHandle) {}
}
