//! What became of sent packets, as lists that the connection reuses from ACK to ACK.
//!
//! [`Recovery`](super::Recovery) fills it, the connection spends it: the sample and the sums go to the paths,
//! the records to their owners. Everything belongs to the one packet number space that was asked about.

use std::time::Duration;

use smallvec::SmallVec;

use crate::frame::Record;
use crate::id::{PacketNumber, PathId};
use crate::time::Instant;

/// The fates of packets since the last [`clear`](Self::clear).
#[derive(Debug, Default)]
pub struct Fates {
    /// A round trip that was measured, and on which path (RFC 9002, Section 5.1). Not adjusted for the peer's
    /// delay.
    pub rtt_sample: Option<(PathId, Duration)>,
    /// Frames that the peer has. STREAM ranges that adjoin are one record as far as its length permits.
    pub acked: Vec<Record>,
    /// Frames to be reconsidered, in the order in which they were sent, merged likewise.
    pub lost: Vec<Record>,
    /// The largest number that this ACK was the first to acknowledge.
    pub newly_acked_largest: Option<PacketNumber>,
    /// In-flight packets declared lost, those of abandoned paths included.
    pub lost_packets: u64,
    /// What each path is to be credited and charged with.
    pub paths: SmallVec<[(PathId, PathFate); 2]>,
}

/// What became of one path's packets. Bytes are those of packets in flight only, headers and tags included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PathFate {
    /// Bytes that arrived.
    pub acked_bytes: u64,
    /// Bytes declared lost, which speaks of congestion.
    pub lost_bytes: u64,
    /// Bytes that left the flight without a verdict: their keys or their path are gone.
    pub discarded_bytes: u64,
    /// When the newest lost packet was sent; a loss from before the last reduction is not a new one.
    pub largest_lost_sent: Option<Instant>,
    /// When the newest acknowledged packet was sent.
    pub newest_acked_sent: Option<Instant>,
    /// Whether the losses span persistent congestion (RFC 9002, Section 7.6).
    pub persistent: bool,
}

impl Fates {
    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.rtt_sample = None;
        self.newly_acked_largest = None;
        self.lost_packets = 0;
        self.paths.clear();
        self.acked.clear();
        self.lost.clear();
    }

    /// Forgets everything and gives the memory back. For a connection that rests.
    pub fn release(&mut self) {
        *self = Self::default();
    }

    /// The sums of one path.
    #[inline]
    pub(super) fn path(&mut self, id: PathId) -> &mut PathFate {
        let at = self.paths.iter().position(|(path, _)| *path == id).unwrap_or_else(|| {
            self.paths.push((id, PathFate::default()));
            self.paths.len() - 1
        });
        &mut self.paths[at].1
    }
}

/// Appends a record, or lets it extend the last one if both are STREAM ranges that adjoin.
#[inline]
pub(super) fn merge(list: &mut Vec<Record>, record: Record) {
    if let Record::Stream { id, offset, len, fin } = record
        && let Some(Record::Stream { id: last, offset: start, len: before, fin: ends }) = list.last_mut()
        && *last == id
        && !*ends
        && start.checked_add(u64::from(*before)) == Some(offset)
        && let Some(sum) = before.checked_add(len)
    {
        *before = sum;
        *ends = fin;
        return;
    }
    list.push(record);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::StreamId;

    fn stream(id: u64, offset: u64, len: u16, fin: bool) -> Record {
        Record::Stream { id: StreamId::from_wire(id), offset, len, fin }
    }

    fn merged(records: &[Record]) -> Vec<Record> {
        let mut list = Vec::new();
        records.iter().for_each(|record| merge(&mut list, *record));
        list
    }

    #[test]
    fn adjoining_ranges_of_a_stream_become_one_with_the_end_of_the_last() {
        let records = [stream(0, 0, 1000, false), stream(0, 1000, 500, false), stream(0, 1500, 0, true)];
        assert_eq!(merged(&records), [stream(0, 0, 1500, true)]);
    }

    #[test]
    fn ranges_with_a_gap_or_of_two_streams_stay_apart() {
        let records = [stream(0, 0, 10, false), stream(4, 10, 10, false), stream(4, 21, 10, false)];
        assert_eq!(merged(&records), records);
    }

    #[test]
    fn a_length_that_does_not_fit_begins_another_record() {
        let records = [stream(0, 0, 65_000, false), stream(0, 65_000, 1000, false)];
        assert_eq!(merged(&records), records);
    }
}
