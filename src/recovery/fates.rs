//! What became of sent packets, as lists that the connection reuses from ACK to ACK.
//!
//! [`Recovery`](super::Recovery) fills it, the connection spends it: the sample and the sums go to the paths,
//! the records to their owners. Everything belongs to the one packet number space that was asked about.

use std::time::Duration;

use smallvec::SmallVec;

use crate::frame::Record;
use crate::id::{PacketNumber, PathId, StreamId};
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
    /// Packets that left ECN-marked and arrived.
    pub marked_acked: u64,
    /// Packets that left ECN-marked and are lost.
    pub marked_lost: u64,
    /// Lost packets of more than 1200 bytes, probes of the path's MTU apart, if no packet as large that was sent later
    /// arrived.
    pub vanished: u32,
    /// The smallest of them, in bytes.
    pub smallest_vanished: u16,
    /// The largest packet that arrived, in bytes.
    pub largest_acked: u16,
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

    /// The sums of one path.
    #[inline]
    pub(super) fn path(&mut self, id: PathId) -> &mut PathFate {
        fate_of(&mut self.paths, id)
    }
}

/// The sums of one path, among those of all.
#[inline]
pub(super) fn fate_of(paths: &mut SmallVec<[(PathId, PathFate); 2]>, id: PathId) -> &mut PathFate {
    let at = paths.iter().position(|(path, _)| *path == id).unwrap_or_else(|| {
        paths.push((id, PathFate::default()));
        paths.len() - 1
    });
    &mut paths[at].1
}

/// Appends records to a list. STREAM ranges that adjoin become one, which is held back until none extends it.
#[derive(Debug)]
pub(super) struct Telling<'a> {
    list: &'a mut Vec<Record>,
    run: Option<Run>,
}

/// A STREAM record in the making.
#[derive(Debug)]
struct Run {
    id: StreamId,
    offset: u64,
    len: u16,
    fin: bool,
}

impl<'a> Telling<'a> {
    /// Begins; to be followed by [`finish`](Self::finish).
    pub(super) fn new(list: &'a mut Vec<Record>) -> Self {
        Self { list, run: None }
    }

    /// Tells the next record.
    // An ACK tells many, of which almost all go on where the last one ended.
    #[inline(always)]
    pub(super) fn tell(&mut self, record: Record) {
        let Record::Stream { id, offset, len, fin } = record else { return self.tell_other(record) };
        if let Some(run) = &mut self.run
            && run.id == id
            && !run.fin
            && run.offset.checked_add(u64::from(run.len)) == Some(offset)
            && let Some(sum) = run.len.checked_add(len)
        {
            (run.len, run.fin) = (sum, fin);
            return;
        }
        self.begin(Run { id, offset, len, fin });
    }

    #[inline(never)]
    fn begin(&mut self, run: Run) {
        self.flush();
        self.run = Some(run);
    }

    #[inline(never)]
    fn tell_other(&mut self, record: Record) {
        self.flush();
        self.list.push(record);
    }

    /// Tells an ACK, which nothing else depends on: it may come before what is held back.
    #[inline]
    pub(super) fn tell_ack(&mut self, largest: PacketNumber) {
        self.list.push(Record::Ack { largest });
    }

    /// Appends what is held back.
    pub(super) fn finish(mut self) {
        self.flush();
    }

    fn flush(&mut self) {
        if let Some(Run { id, offset, len, fin }) = self.run.take() {
            self.list.push(Record::Stream { id, offset, len, fin });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(id: u64, offset: u64, len: u16, fin: bool) -> Record {
        Record::Stream { id: StreamId::from_wire(id), offset, len, fin }
    }

    fn merged(records: &[Record]) -> Vec<Record> {
        let mut list = Vec::new();
        let mut telling = Telling::new(&mut list);
        records.iter().for_each(|record| telling.tell(*record));
        telling.finish();
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
    fn an_ack_between_two_ranges_does_not_part_them() {
        let mut list = Vec::new();
        let mut telling = Telling::new(&mut list);
        telling.tell(stream(0, 0, 10, false));
        telling.tell_ack(7);
        telling.tell(stream(0, 10, 10, false));
        telling.finish();
        assert_eq!(list, [Record::Ack { largest: 7 }, stream(0, 0, 20, false)]);
    }

    #[test]
    fn a_length_that_does_not_fit_begins_another_record() {
        let records = [stream(0, 0, 65_000, false), stream(0, 65_000, 1000, false)];
        assert_eq!(merged(&records), records);
    }
}
