//! The path in use, in the numbers of RFC 9002, and what keeps us from sending more on it.
//!
//! Everything is worked out when it is asked for; nothing is counted per packet. What concerns the pacer is as of the
//! last [`poll`](crate::Endpoint::poll).

use std::time::Duration;

use super::Connection;
use super::phase::Phase;
use super::schedule::MIN_USEFUL;
use crate::recovery::congestion::CongestionStage;
use crate::stream::Hindrance;

/// The path in use, in numbers (RFC 9002). Sizes are bytes of UDP payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PathStats {
    /// Smoothed round-trip time (Section 5.3: smoothed_rtt), or what is assumed before the first sample.
    pub rtt: Duration,
    /// The last sample (Section 5.1: latest_rtt).
    pub latest_rtt: Duration,
    /// Mean variation of the samples (Section 5.3: rttvar).
    pub rtt_variation: Duration,
    /// Smallest sample since the path began, or since persistent congestion (Section 5.2: min_rtt).
    pub min_rtt: Duration,
    /// Probe timeout of 1-RTT packets, without back-off (Section 6.2.1).
    pub pto: Duration,
    /// Probe timeouts in a row; each doubles the next one (pto_count).
    pub pto_count: u32,
    /// Congestion window, in bytes (congestion_window).
    pub window: u64,
    /// Where slow start ends, in bytes (ssthresh); `None` as long as nothing ended it.
    pub slow_start_threshold: Option<u64>,
    /// Bytes in flight (bytes_in_flight).
    pub in_flight: u64,
    /// The stage of congestion control.
    pub stage: CongestionStage,
    /// Bytes a second at which the pacer refills; `None` if nothing is paced.
    pub pacing_rate: Option<u64>,
    /// Largest datagram sent there, in bytes (max_datagram_size).
    pub datagram_size: u16,
    /// Whether ECN marks are known to arrive: the path was validated for them (RFC 9000, Section 13.4.2).
    pub carries_ecn: bool,
    /// What keeps us from sending more.
    pub limited_by: Limit,
}

/// What keeps a connection from sending more, as of the last poll: the first of these that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// The connection is over, or about to be.
    Closed,
    /// The peer has not proved its address: three times what came from there was sent (RFC 9000, Section 8).
    Amplification,
    /// The handshake is not complete.
    Handshake,
    /// The peer's limits on data or streams (RFC 9000, Section 4).
    FlowControl,
    /// The send buffer is full of what is not acknowledged
    /// ([`send_buffer`](crate::TransportConfigBuilder::send_buffer)).
    SendBuffer,
    /// The application: it has given nothing that was not sent.
    Application,
    /// The path is new, and data waits until the peer has answered there.
    Validation,
    /// The congestion window is full.
    CongestionWindow,
    /// The pacer: more may be sent in a moment.
    Pacer,
    /// Nothing: what waits leaves with the next poll.
    Nothing,
}

impl Connection {
    /// The path in use, in numbers.
    pub fn path(&self) -> PathStats {
        let home = self.paths.home();
        let view = home.rtt_view(self.peer.max_ack_delay);
        let window = home.window.size();
        PathStats {
            rtt: view.smoothed,
            latest_rtt: view.latest,
            rtt_variation: view.variance,
            min_rtt: view.min,
            pto: self.pto(),
            pto_count: self.recovery.pto_count(),
            window,
            slow_start_threshold: home.window.slow_start_threshold(),
            in_flight: home.window.in_flight(),
            stage: home.window.stage(),
            pacing_rate: if self.paces() { home.pacer.rate(window, view.smoothed) } else { None },
            datagram_size: home.datagram_size,
            carries_ecn: home.ecn.is_capable(),
            limited_by: self.limited_by(),
        }
    }

    /// Whether datagrams are spread over the round trip.
    #[inline]
    pub(super) fn paces(&self) -> bool {
        self.config.pacing && self.phase.is_established()
    }

    fn limited_by(&self) -> Limit {
        let home = self.paths.home();
        let spent = home.budget().is_some_and(|left| left < MIN_USEFUL as u64);
        let waits = self.streams.has_data_to_send() || !self.datagrams.is_idle();
        match self.phase {
            Phase::Closing(_) | Phase::Draining { .. } | Phase::Drained => Limit::Closed,
            Phase::Handshaking { .. } if spent => Limit::Amplification,
            Phase::Handshaking { .. } => Limit::Handshake,
            Phase::Established { .. } if !waits => match self.streams.hindrance() {
                Some(Hindrance::FlowControl) => Limit::FlowControl,
                Some(Hindrance::SendBuffer) => Limit::SendBuffer,
                None => Limit::Application,
            },
            Phase::Established { .. } if spent => Limit::Amplification,
            Phase::Established { .. } if self.steering.holds_data() => Limit::Validation,
            Phase::Established { .. } if !home.window.has_room() => Limit::CongestionWindow,
            Phase::Established { .. } if self.paces() && home.pacer.is_spent() => Limit::Pacer,
            Phase::Established { .. } => Limit::Nothing,
        }
    }
}
