//! Whether a path carries ECN marks (RFC 9000, Section 13.4.2 and Appendix A.4).
//!
//! Owned by [`Path`](super::Path). Asked before datagrams leave, told how many left marked, what became of them and what
//! the peer counted. Knows nothing of packets, frames or time; a fresh path begins a fresh machine.

use crate::frame::EcnCounts;

/// Packets that are marked before the peer's counts must confirm that marks arrive.
const TESTED: u8 = 10;
/// Probe timeouts in a row after which a path that carried marks is suspected of dropping what is marked.
const MAX_TIMEOUTS: u32 = 3;

/// What is known of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Marked packets leave to see what becomes of them.
    Testing,
    /// Enough left; unmarked ones follow until the peer has counted.
    Unknown,
    /// Marks arrive.
    Capable,
    /// They do not, or are not wanted.
    Failed,
}

/// What one ACK says of marked packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Packets that left marked and are acknowledged for the first time.
    pub newly_acked: u64,
    /// Packets that ever left marked, on whatever path.
    pub sent: u64,
    /// What the peer counted before.
    pub before: EcnCounts,
    /// What it counts now; `None`: its ACK has no counts.
    pub now: Option<EcnCounts>,
}

/// The validation of ECN on one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validator {
    stage: Stage,
    /// Packets that left marked before the verdict, saturated.
    tested: u8,
    /// Those among them that were lost, saturated.
    lost: u8,
}

impl Validator {
    /// Begins to test, unless marks are not `wanted`.
    pub fn new(wanted: bool) -> Self {
        Self { stage: if wanted { Stage::Testing } else { Stage::Failed }, tested: 0, lost: 0 }
    }

    /// Whether datagrams leave marked ECT(0) now.
    #[inline]
    pub fn is_marking(self) -> bool {
        matches!(self.stage, Stage::Testing | Stage::Capable)
    }

    /// Whether marks are known to arrive.
    #[inline]
    pub fn is_capable(self) -> bool {
        self.stage == Stage::Capable
    }

    /// Whether the peer's counts still matter: not once the path has failed, or if marks are not wanted.
    #[inline]
    pub fn is_watched(self) -> bool {
        self.stage != Stage::Failed
    }

    /// So many packets left marked.
    pub fn on_sent(&mut self, packets: u64) {
        if self.stage == Stage::Testing {
            self.tested = add(self.tested, packets);
            if self.tested >= TESTED {
                self.stage = Stage::Unknown;
            }
        }
    }

    /// So many packets that left marked are lost: if none of those of the test arrived, the path drops them.
    pub fn on_lost(&mut self, packets: u64) {
        if matches!(self.stage, Stage::Testing | Stage::Unknown) {
            self.lost = add(self.lost, packets);
            if self.stage == Stage::Unknown && self.lost >= self.tested {
                self.stage = Stage::Failed;
            }
        }
    }

    /// A probe timeout, so many in a row: what is sent next is to arrive in any case.
    pub fn on_timeout(&mut self, in_a_row: u32) {
        match self.stage {
            Stage::Testing if self.tested > 0 => self.stage = Stage::Unknown,
            Stage::Capable if in_a_row >= MAX_TIMEOUTS => self.stage = Stage::Failed,
            Stage::Testing | Stage::Unknown | Stage::Capable | Stage::Failed => {}
        }
    }

    /// An ACK that raises the largest acknowledged number; true if it tells of congestion by new CE marks.
    pub fn on_ack(&mut self, report: &Report) -> bool {
        if self.stage == Stage::Failed {
            return false;
        }
        let Some(ce) = report.new_ce() else {
            self.stage = Stage::Failed;
            return false;
        };
        // The first counts on a path may tell of what went on another: what this one cannot have brought is theirs.
        let foreign = if self.stage == Stage::Capable { 0 } else { report.foreign() };
        if report.newly_acked > 0 {
            self.stage = Stage::Capable;
        }
        ce > foreign
    }
}

impl Report {
    /// How many CE marks are new; `None` if the counts cannot be true of a path that leaves marks alone
    /// (RFC 9000, Section 13.4.2.1).
    fn new_ce(&self) -> Option<u64> {
        let Some(now) = self.now else { return (self.newly_acked == 0).then_some(0) };
        let ect0 = now.ect0.checked_sub(self.before.ect0)?;
        let ce = now.ce.checked_sub(self.before.ce)?;
        let enough = ect0.saturating_add(ce) >= self.newly_acked;
        let too_many = now.ect0.saturating_add(now.ce) > self.sent;
        // We never send ECT(1).
        (enough && !too_many && now.ect1 == self.before.ect1).then_some(ce)
    }

    /// How many marks are counted of packets that this ACK is not the first to acknowledge.
    fn foreign(&self) -> u64 {
        let marks = |counts: EcnCounts| counts.ect0.saturating_add(counts.ce);
        let new = self.now.map_or(0, |now| marks(now).saturating_sub(marks(self.before)));
        new.saturating_sub(self.newly_acked)
    }
}

fn add(count: u8, more: u64) -> u8 {
    count.saturating_add(u8::try_from(more).unwrap_or(u8::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn counts(ect0: u64, ect1: u64, ce: u64) -> EcnCounts {
        EcnCounts { ect0, ect1, ce }
    }

    fn tested() -> Validator {
        let mut path = Validator::new(true);
        path.on_sent(10);
        path
    }

    fn report(newly_acked: u64, now: Option<EcnCounts>) -> Report {
        Report { newly_acked, sent: 10, before: counts(0, 0, 0), now }
    }

    #[test]
    fn congestion_of_the_path_before_is_not_held_against_a_fresh_one() {
        let before = counts(50, 0, 0);
        // Six marks are new, and four packets of this path: two that experienced congestion may have gone elsewhere.
        let first = Report { newly_acked: 4, sent: 70, before, now: Some(counts(54, 0, 2)) };
        assert!(!tested().on_ack(&first));
        let worse = Report { now: Some(counts(53, 0, 3)), ..first };
        assert!(tested().on_ack(&worse));
    }

    #[test]
    fn ten_packets_are_marked_and_then_none_until_the_peer_has_counted() {
        let mut path = Validator::new(true);
        path.on_sent(9);
        assert!(path.is_marking());
        path.on_sent(1);
        assert!(!path.is_marking());
        assert!(!path.on_ack(&report(2, Some(counts(2, 0, 0)))));
        assert!(path.is_marking());
    }

    #[test]
    fn marks_that_are_not_wanted_are_not_made() {
        assert!(!Validator::new(false).is_marking());
    }

    #[test]
    fn new_ce_marks_tell_of_congestion_once() {
        let mut path = tested();
        assert!(path.on_ack(&report(4, Some(counts(3, 0, 1)))));
        let again = Report { before: counts(3, 0, 1), ..report(2, Some(counts(5, 0, 1))) };
        assert!(!path.on_ack(&again));
        assert!(path.is_marking());
    }

    #[test]
    fn counts_that_cannot_be_true_end_it() {
        let lies = [
            (2, None, "no counts"),
            (2, Some(counts(1, 0, 0)), "too few"),
            (2, Some(counts(2, 1, 0)), "marks that were never made"),
            (2, Some(counts(10, 0, 1)), "more than were sent"),
            (2, Some(counts(u64::MAX, 0, u64::MAX)), "more than can be"),
        ];
        for (newly_acked, now, what) in lies {
            let mut path = tested();
            assert!(!path.on_ack(&report(newly_acked, now)), "{what}");
            assert_eq!(path.stage, Stage::Failed, "{what}");
        }
    }

    #[test]
    fn counts_that_shrink_end_it() {
        let mut path = tested();
        let shrunk = Report { before: counts(5, 0, 1), ..report(1, Some(counts(6, 0, 0))) };
        assert!(!path.on_ack(&shrunk));
        assert_eq!(path.stage, Stage::Failed);
    }

    #[test]
    fn an_ack_of_unmarked_packets_needs_no_counts() {
        let mut path = tested();
        assert!(!path.on_ack(&report(0, None)));
        assert_eq!(path.stage, Stage::Unknown);
    }

    #[test]
    fn a_path_that_loses_all_that_is_marked_is_marked_no_more() {
        let mut path = tested();
        path.on_lost(9);
        assert_eq!(path.stage, Stage::Unknown);
        path.on_lost(1);
        assert_eq!(path.stage, Stage::Failed);
    }

    #[test]
    fn losses_among_those_that_arrive_are_nothing_special() {
        let mut path = tested();
        path.on_lost(9);
        path.on_ack(&report(1, Some(counts(1, 0, 0))));
        path.on_lost(100);
        assert!(path.is_marking());
    }

    #[test]
    fn a_probe_leaves_without_a_mark() {
        let mut path = Validator::new(true);
        path.on_timeout(1);
        assert!(path.is_marking());
        path.on_sent(2);
        path.on_timeout(1);
        assert!(!path.is_marking());
    }
}
