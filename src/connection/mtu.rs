//! DPLPMTUD between the parts: when a path's MTU is probed, and what becomes of probes (RFC 9000, Section 14.3).

use super::Connection;
use super::schedule::{Flight, Purpose};
use crate::id::{PathId, SpaceId};
use crate::net::MIN_DATAGRAM;
use crate::packet::Allowance;
use crate::path::mtu::{Sizes, Vanished};
use crate::recovery::PathFate;
use crate::time::Instant;

impl Connection {
    /// A probe of the path in use, where every large datagram goes: no larger than `room`, as the window permits, and not
    /// before the path has carried anything else there and back.
    ///
    /// It may overdraw the window by what exceeds an ordinary datagram, or the data that takes each room would leave a
    /// large probe none.
    #[cold]
    pub(super) fn mtu_flight(&self, now: Instant, room: usize) -> Option<Flight> {
        let home = self.paths.home();
        if !self.phase.is_confirmed() || !home.is_validated() || !self.rtt().has_sample {
            return None;
        }
        let bytes = home.mtu.next(now, home.datagram_size, room)?;
        if !home.window.has_room() || home.window.size() < bytes.into() {
            return None;
        }
        let (path, purpose, len) = (home.id, Purpose::MtuProbe, usize::from(bytes));
        let (allowance, burst) = (Allowance::Full, 0);
        // One that is lost for its size must not be taken for a mark that is.
        Some(Flight { path, purpose, allowance, max_len: len, min_len: len, burst, marked: false })
    }

    /// Whether a full window holds nothing that a timer runs for: a probe that is lost, whose loss only a later packet
    /// shows. One datagram may go then, lest all wait for ever.
    #[cold]
    pub(super) fn probes_fill_window(&self) -> bool {
        self.phase.is_confirmed() && !self.recovery.has_ack_eliciting_in_flight(SpaceId::Data)
    }

    /// A probe of this length has left, if it is not 0.
    pub(super) fn on_mtu_probe_sent(&mut self, path: PathId, len: usize) {
        if len == 0 {
            return;
        }
        self.stats.mtu_probes += 1;
        if let Some(path) = self.paths.get_mut(path) {
            path.mtu.on_sent(u16::try_from(len).unwrap_or(u16::MAX));
        }
    }

    pub(super) fn on_mtu_probe_acked(&mut self, now: Instant, path: PathId, bytes: u16) {
        if let Some(path) = self.paths.get_mut(path) {
            path.on_mtu_probe_acked(now, bytes);
        }
    }

    pub(super) fn on_mtu_probe_lost(&mut self, now: Instant, path: PathId, bytes: u16) {
        self.stats.mtu_probes_lost += 1;
        if let Some(path) = self.paths.get_mut(path) {
            path.on_mtu_probe_lost(now, bytes);
        }
    }

    /// Large packets vanished, or did so before and now some arrived.
    #[cold]
    pub(super) fn on_vanished(&mut self, now: Instant, path: PathId, fate: &PathFate) {
        let PathFate { vanished: packets, smallest_vanished: smallest, largest_acked, .. } = *fate;
        let vanished = Vanished { packets, smallest, largest_acked };
        let (Some(bound), Some(path)) = (self.mtu_bound(), self.paths.get_mut(path)) else { return };
        if path.on_vanished(now, bound, vanished) {
            self.stats.black_holes += 1;
        }
    }

    /// What is looked for at most on each path; `None`: nothing is.
    fn mtu_bound(&self) -> Option<u16> {
        let bound = self.config.mtu_discovery?.max(self.config.datagram_size);
        Some(bound.min(self.peer.max_udp_payload_size))
    }

    /// What a further path begins with: what the path in use carries is hoped for, not taken for granted.
    pub(super) fn sizes(&self) -> Sizes {
        let known = self.config.datagram_size.min(self.peer.max_udp_payload_size);
        let bound = self.mtu_bound();
        let first = if bound.is_some() { MIN_DATAGRAM } else { known };
        Sizes { first, hint: Some(self.paths.home().datagram_size), bound }
    }
}
