//! ECN between the parts: which datagrams leave marked, and what the peer's counts say to their path
//! (RFC 9000, Section 13.4).

use super::Connection;
use crate::frame::{Ack, EcnCounts};
use crate::packet::Draft;
use crate::path::ecn::Report;
use crate::recovery::Fates;
use crate::time::Instant;

/// Marks of 1-RTT packets, on whatever path: the peer counts them per packet number space.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Packets that left marked.
    pub(super) sent: u64,
    /// What the peer counted last.
    told: EcnCounts,
}

impl Connection {
    /// Whether datagrams on home leave marked: once nothing but 1-RTT packets is sent there.
    #[inline]
    pub(super) fn marks_home(&self) -> bool {
        self.paths.home().ecn.is_marking() && self.phase.is_confirmed()
    }

    /// Whether these packets may leave marked: while the path is tested, only what asks for an answer, or nobody would learn
    /// that ACKs are lost for their marks.
    #[inline]
    pub(super) fn may_mark(&self, drafts: &[Draft]) -> bool {
        self.paths.home().ecn.is_capable() || drafts.iter().any(|draft| draft.ack_eliciting)
    }

    /// Whether an ACK of 1-RTT packets says something of marks, or ought to.
    #[inline]
    pub(super) fn watches_marks(&self, ack: &Ack<'_>) -> bool {
        ack.ecn.is_some() || self.marks.sent > 0 && self.paths.home().ecn.is_watched()
    }

    /// So many packets left marked on home.
    pub(super) fn on_marked(&mut self, packets: u64) {
        self.marks.sent = self.marks.sent.saturating_add(packets);
        self.paths.home_mut().ecn.on_sent(packets);
    }

    /// An ACK of 1-RTT packets raised the largest acknowledged number: home learns what became of its marks.
    #[inline(never)]
    pub(super) fn on_mark_counts(&mut self, now: Instant, ack: &Ack<'_>, fates: &Fates) {
        let home = self.paths.home_mut();
        let fate = fates.paths.iter().find(|(id, _)| *id == home.id).map(|(_, fate)| *fate);
        let fate = fate.unwrap_or_default();
        let report = Report {
            newly_acked: fate.marked_acked,
            sent: self.marks.sent,
            before: self.marks.told,
            now: ack.ecn,
        };
        let was_watched = home.ecn.is_watched();
        let congested = home.ecn.on_ack(&report);
        self.stats.ecn_failures += u64::from(was_watched && !home.ecn.is_watched());
        if congested
            && let Some(sent) = fate.newest_acked_sent
            && home.window.on_congestion(now, sent)
        {
            self.stats.congestion_events += 1;
        }
        if let Some(counts) = ack.ecn {
            self.marks.told = counts;
        }
    }
}
