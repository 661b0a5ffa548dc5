//! One path: two ends, what was proved about it, and everything that belongs to it alone.

use std::time::Duration;

use super::amplification::Budget;
use super::ecn::Validator;
use super::mtu::{Mtu, Vanished};
use super::spin::Spin;
use super::validation::Validation;
use crate::id::{ConnectionId, PathId};
use crate::net::FourTuple;
use crate::recovery::congestion::Window;
use crate::recovery::{Pacer, Rtt, RttView};
use crate::time::Instant;

/// Whether the peer was shown to be at the other end.
#[derive(Debug)]
pub enum PathState {
    /// A client's candidate that nothing authentic came from: only seeks go there.
    Silent,
    /// A client's own choice: challenges of full size go there and nothing else, until one is answered.
    Probed,
    /// It may be a lie: no more than three times what came from there goes there (RFC 9000, Section 8).
    Unproven {
        /// What may still be sent.
        budget: Budget,
    },
    /// It is.
    Validated,
}

/// A path and its own measure of the network: nothing here outlives the path or is taken from another.
///
/// It lies in memory as it is written here: what every datagram touches comes first.
#[derive(Debug)]
#[repr(C)]
pub struct Path {
    /// Its name within the connection.
    pub id: PathId,
    /// Largest datagram it is known to carry, in UDP payload bytes.
    pub datagram_size: u16,
    /// The peer's connection ID that is used on it.
    pub dcid: ConnectionId,
    /// A PING is to be sent on it, though it is not home.
    pub ping: bool,
    /// What an observer of it may read.
    pub spin: Spin,
    /// Whether it carries ECN marks.
    pub ecn: Validator,
    /// Its two ends.
    pub tuple: FourTuple,
    /// Challenges sent and answers owed.
    pub validation: Validation,
    /// Bytes in flight, and how many may be.
    pub window: Window,
    /// Round-trip time.
    pub rtt: Rtt,
    /// Spreads datagrams over the round trip.
    pub pacer: Pacer,
    /// The search for larger datagrams.
    pub mtu: Mtu,
    /// Whether the peer was shown to be there.
    pub state: PathState,
}

const _: () = assert!(size_of::<Path>() <= 240);

impl Path {
    /// What may be sent before the peer proves to be there; `None`: no limit.
    pub fn budget(&self) -> Option<u64> {
        match &self.state {
            PathState::Silent | PathState::Probed => Some(0),
            PathState::Unproven { budget } => Some(budget.remaining()),
            PathState::Validated => None,
        }
    }

    /// The path carries datagrams of at most this many bytes.
    pub fn set_datagram_size(&mut self, bytes: u16) {
        self.datagram_size = bytes;
        self.window.set_datagram_size(bytes);
        self.pacer.set_datagram_size(bytes);
    }

    /// The peer takes no larger datagrams (RFC 9000, Section 18.2).
    pub fn limit_datagram_size(&mut self, bytes: u16) {
        self.mtu.limit(self.datagram_size, bytes);
        if bytes < self.datagram_size {
            self.set_datagram_size(bytes);
        }
    }

    /// A probe of the path's MTU arrived.
    pub fn on_mtu_probe_acked(&mut self, now: Instant, bytes: u16) {
        if let Some(larger) = self.mtu.on_acked(now, self.datagram_size, bytes) {
            self.set_datagram_size(larger);
        }
    }

    /// A probe of the path's MTU is lost.
    pub fn on_mtu_probe_lost(&mut self, now: Instant, bytes: u16) {
        self.mtu.on_lost(now, self.datagram_size, bytes);
    }

    /// Large packets vanished, or arrived, on a path that may be searched up to `bound`; whether it turns out not to carry
    /// them any more.
    pub fn on_vanished(&mut self, now: Instant, bound: u16, vanished: Vanished) -> bool {
        let base = self.mtu.on_vanished(now, self.datagram_size, bound, vanished);
        base.map(|bytes| self.set_datagram_size(bytes)).is_some()
    }

    /// The peer is called this on it from now on.
    pub fn call(&mut self, dcid: ConnectionId) {
        self.dcid = dcid;
        self.spin.restart(&dcid);
    }

    /// Each is where the other was, with what was proved of that place; what was measured stays.
    pub fn trade_places(&mut self, other: &mut Self) {
        std::mem::swap(&mut self.tuple, &mut other.tuple);
        std::mem::swap(&mut self.dcid, &mut other.dcid);
        std::mem::swap(&mut self.ping, &mut other.ping);
        std::mem::swap(&mut self.spin, &mut other.spin);
        std::mem::swap(&mut self.validation, &mut other.validation);
        std::mem::swap(&mut self.state, &mut other.state);
    }

    /// Whether the peer was shown to be there.
    pub fn is_validated(&self) -> bool {
        matches!(self.state, PathState::Validated)
    }

    /// Takes note that the peer is there.
    pub fn validate(&mut self) {
        self.state = PathState::Validated;
    }

    /// Counts a datagram from the peer; a silent candidate has spoken then.
    pub fn on_received(&mut self, bytes: usize) {
        if matches!(self.state, PathState::Silent) {
            self.state = PathState::Unproven { budget: Budget::new() };
        }
        match &mut self.state {
            PathState::Unproven { budget } => budget.on_received(bytes as u64),
            PathState::Silent | PathState::Probed | PathState::Validated => {}
        }
    }

    /// Counts a datagram to the peer against the limit of three.
    pub fn on_sent(&mut self, bytes: usize) {
        match &mut self.state {
            PathState::Unproven { budget } => budget.on_sent(bytes as u64),
            PathState::Silent | PathState::Probed | PathState::Validated => {}
        }
    }

    /// The round-trip time for those who only look.
    pub fn rtt_view(&self, max_ack_delay: Duration) -> RttView {
        self.rtt.view(max_ack_delay)
    }
}
