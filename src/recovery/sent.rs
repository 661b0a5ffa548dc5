//! What was sent in one packet number space and waits for its fate: a ring in the order of sending.
//!
//! A position counts the entries that were put in before and stays the same while the ring drains. Numbers
//! are mapped to positions by segments: a small gap is filled with holes, a large one (a skip of thousands, a
//! long run of packets that nobody will acknowledge) begins another segment and costs nothing. What most
//! packets have, an ACK and another record, lies in the entry itself; further ones lie in a queue beside the
//! ring, which drains with it.

use std::collections::{VecDeque, vec_deque};
use std::num::NonZeroU32;
use std::ops::{Range, RangeInclusive};

use super::fates::Telling;
use crate::frame::Record;
use crate::id::{PacketNumber, PathId};
use crate::time::Instant;

/// A gap of at most this many numbers is filled with holes.
const MAX_FILLED: u64 = 8;
/// After this many packets in a row that are not in flight, they are forgotten: nothing obliges the peer to
/// acknowledge them, so they would pile up behind one packet that it withholds.
const MAX_QUIET: u32 = 64;

/// A packet that was sent, as the caller describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Its number: at least what `next_number` said.
    pub number: PacketNumber,
    /// Where it went.
    pub path: PathId,
    /// Its length in bytes, header and tag included.
    pub len: u16,
    /// Whether the peer must acknowledge it.
    pub ack_eliciting: bool,
    /// Whether it counts towards the congestion window (RFC 9002, Section 2). A packet that elicits an
    /// acknowledgement and is not in flight is a seek: it arms no timer, measures no round trip and is no
    /// evidence of loss.
    pub in_flight: bool,
    /// Whether it left ECN-marked.
    pub marked: bool,
}

/// What is known of a packet's fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing yet.
    Waiting,
    /// The peer has it.
    Acked,
    /// Lost, abandoned or forgotten.
    Gone,
    /// There never was such a packet.
    Hole,
}

/// One place in the ring.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// When it was sent.
    pub time: Instant,
    record: Option<Record>,
    /// How far its ACK went, counted from one below [`Further::acks_from`].
    ack: Option<NonZeroU32>,
    /// Where it went.
    pub path: PathId,
    /// Its length in bytes.
    pub len: u16,
    has_further: bool,
    /// Its fate.
    pub state: State,
    /// Whether the peer must acknowledge it.
    pub ack_eliciting: bool,
    /// Whether it counts towards the congestion window.
    pub in_flight: bool,
    /// Whether it left ECN-marked.
    pub marked: bool,
}

const _: () = assert!(size_of::<Entry>() <= 48);

impl Entry {
    const HOLE: Self = Self {
        time: Instant::ZERO,
        record: None,
        ack: None,
        path: PathId(0),
        len: 0,
        has_further: false,
        state: State::Hole,
        ack_eliciting: false,
        in_flight: false,
        marked: false,
    };

    /// Whether it probes its path's MTU.
    #[inline]
    pub fn is_mtu_probe(&self) -> bool {
        matches!(self.record, Some(Record::MtuProbe { .. }))
    }

    /// Whether it makes the peer answer and is waited for.
    #[inline]
    pub fn is_awaited(&self) -> bool {
        self.state == State::Waiting && self.ack_eliciting && self.in_flight
    }
}

/// What the entries cannot say by themselves of the records of their packets.
#[derive(Debug, Default)]
pub struct Further {
    /// Records that do not fit in their entry, each with its position, in the order of sending.
    #[expect(clippy::box_collection, reason = "there are none almost always: a pointer is enough")]
    records: Option<Box<VecDeque<(u64, Record)>>>,
    /// How far the first ACK in the ring went.
    acks_from: PacketNumber,
}

impl Further {
    /// Tells a packet's records.
    #[inline(always)]
    pub fn tell(&self, position: u64, entry: &Entry, telling: &mut Telling<'_>) {
        if let Some(ack) = entry.ack {
            telling.tell_ack(self.acks_from + u64::from(ack.get()) - 1);
        }
        if entry.has_further {
            self.tell_further(position, telling);
        }
        if let Some(record) = entry.record {
            telling.tell(record);
        }
    }

    #[cold]
    fn tell_further(&self, position: u64, telling: &mut Telling<'_>) {
        let Some(records) = &self.records else { return };
        let first = records.partition_point(|(at, _)| *at < position);
        let own = records.range(first..).take_while(|(at, _)| *at == position);
        own.for_each(|(_, record)| telling.tell(*record));
    }

    /// Splits off the ACK that a packet begins with, in the entry's form; `None` if there is none, or if it
    /// went too far beyond the others.
    #[inline]
    fn split_ack(&self, records: &[Record]) -> Option<NonZeroU32> {
        let Some(Record::Ack { largest }) = records.first() else { return None };
        NonZeroU32::new(u32::try_from(largest.checked_sub(self.acks_from)?.checked_add(1)?).ok()?)
    }

    /// Drops the records of packets before `start`.
    fn drop_before(&mut self, start: u64) {
        if let Some(records) = &mut self.records {
            while records.pop_front_if(|(at, _)| *at < start).is_some() {}
        }
    }

    /// Drops the records of packets from `end` on.
    fn drop_from(&mut self, end: u64) {
        if let Some(records) = &mut self.records {
            while records.pop_back_if(|(at, _)| *at >= end).is_some() {}
        }
    }
}

/// Consecutive numbers at consecutive positions.
#[derive(Debug, Clone, Copy)]
struct Segment {
    first: PacketNumber,
    /// The position of `first`.
    start: u64,
}

static NONE: VecDeque<Segment> = VecDeque::new();

/// The ring of one space.
#[derive(Debug)]
pub struct SentPackets {
    entries: VecDeque<Entry>,
    /// The position of the first entry.
    base: u64,
    newest: Segment,
    /// Segments before the newest, if there are any.
    #[expect(clippy::box_collection, reason = "there are none almost always: a pointer is enough")]
    older: Option<Box<VecDeque<Segment>>>,
    further: Further,
    /// Packets at the end of the ring that are not in flight.
    quiet: u32,
}

impl SentPackets {
    /// An empty ring.
    pub fn new() -> Self {
        Self {
            entries: VecDeque::new(),
            base: 0,
            newest: Segment { first: 0, start: 0 },
            older: None,
            further: Further::default(),
            quiet: 0,
        }
    }

    /// Puts a packet in; its number must be above all before it.
    #[inline]
    pub fn push(&mut self, now: Instant, sent: &Sent, records: &[Record]) {
        self.reach(sent.number);
        if self.entries.is_empty()
            && let Some(Record::Ack { largest }) = records.first()
        {
            self.further.acks_from = *largest;
        }
        let ack = self.further.split_ack(records);
        let rest = &records[usize::from(ack.is_some())..];
        let (record, has_further) = match rest {
            [] => (None, false),
            [record] => (Some(*record), false),
            [..] => (self.split(rest), true),
        };
        self.entries.push_back(Entry {
            time: now,
            record,
            ack,
            path: sent.path,
            len: sent.len,
            has_further,
            state: State::Waiting,
            ack_eliciting: sent.ack_eliciting,
            in_flight: sent.in_flight,
            marked: sent.marked,
        });
        if sent.in_flight {
            self.quiet = 0;
        } else {
            self.quiet += 1;
            if self.quiet == MAX_QUIET {
                self.forget_quiet();
            }
        }
    }

    /// Makes `number` the next one to be put in.
    #[inline]
    fn reach(&mut self, number: PacketNumber) {
        let end = self.end();
        let next = self.newest.first + (end - self.newest.start);
        if number == next {
            return;
        }
        if self.entries.is_empty() {
            self.older = None;
            self.newest = Segment { first: number, start: end };
        } else if number - next <= MAX_FILLED {
            self.entries.extend((next..number).map(|_| Entry::HOLE));
        } else {
            self.older.get_or_insert_default().push_back(self.newest);
            self.newest = Segment { first: number, start: end };
        }
    }

    /// Of several records, keeps the one that stays in the entry, a STREAM if there is one, and queues the
    /// others.
    fn split(&mut self, records: &[Record]) -> Option<Record> {
        let inline = records.iter().position(|record| matches!(record, Record::Stream { .. })).unwrap_or(0);
        let position = self.end();
        let others = records.iter().enumerate().filter(|(at, _)| *at != inline);
        let queue = self.further.records.get_or_insert_default();
        queue.extend(others.map(|(_, record)| (position, *record)));
        records.get(inline).copied()
    }

    /// Drops the run of quiet packets at the end; the next packet begins another segment.
    fn forget_quiet(&mut self) {
        for _ in 0..std::mem::take(&mut self.quiet) {
            while self.entries.pop_back().is_some_and(|entry| entry.state == State::Hole) {}
        }
        let end = self.end();
        self.further.drop_from(end);
        while self.newest.start >= end
            && let Some(segment) = self.older.as_mut().and_then(|older| older.pop_back())
        {
            self.newest = segment;
        }
    }

    #[inline]
    fn older(&self) -> &VecDeque<Segment> {
        self.older.as_deref().unwrap_or(&NONE)
    }

    /// The position after the last entry.
    #[inline]
    pub fn end(&self) -> u64 {
        self.base + self.entries.len() as u64
    }

    /// The position of the first entry.
    #[inline]
    pub fn start(&self) -> u64 {
        self.base
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    #[cfg(test)]
    /// How many places the ring has in use.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The number at the front of the ring; `None` if it is empty.
    pub fn front_number(&self) -> Option<PacketNumber> {
        (!self.entries.is_empty()).then(|| self.number_at(self.base))
    }

    /// The number at a position of the ring.
    pub fn number_at(&self, position: u64) -> PacketNumber {
        let segment = if position >= self.newest.start {
            self.newest
        } else {
            let at = self.older().partition_point(|segment| segment.start <= position);
            self.older()[at - 1]
        };
        segment.first + (position - segment.start)
    }

    /// The position of the first packet with this number or a larger one.
    #[inline]
    pub fn lower_bound(&self, number: PacketNumber) -> u64 {
        if number >= self.newest.first {
            return self
                .newest
                .start
                .saturating_add(number - self.newest.first)
                .min(self.end())
                .max(self.base);
        }
        let older = self.older();
        let after = older.partition_point(|segment| segment.first <= number);
        let next_start = older.get(after).unwrap_or(&self.newest).start;
        let position = match after.checked_sub(1).and_then(|at| older.get(at)) {
            Some(segment) => segment.start.saturating_add(number - segment.first).min(next_start),
            None => next_start,
        };
        position.clamp(self.base, self.end())
    }

    /// The positions of a range of numbers.
    #[inline]
    pub fn positions(&self, numbers: &RangeInclusive<PacketNumber>) -> Range<u64> {
        self.lower_bound(*numbers.start())..self.lower_bound(numbers.end().saturating_add(1))
    }

    /// A run of entries, and where their further records are.
    #[inline]
    pub fn run(&mut self, positions: Range<u64>) -> (vec_deque::IterMut<'_, Entry>, &Further) {
        let (start, end) = (positions.start - self.base, positions.end - self.base);
        (self.entries.range_mut(start as usize..end as usize), &self.further)
    }

    /// The entry at a position of the ring.
    pub fn at(&self, position: u64) -> &Entry {
        &self.entries[(position - self.base) as usize]
    }

    /// A run of entries, to look at.
    pub fn iter(&self, positions: Range<u64>) -> vec_deque::Iter<'_, Entry> {
        let (start, end) = (positions.start - self.base, positions.end - self.base);
        self.entries.range(start as usize..end as usize)
    }

    /// Where further records are.
    pub fn further(&self) -> &Further {
        &self.further
    }

    /// The stream data in packets whose fate is not known, each piece with the number of its packet.
    pub fn stream_data(&self) -> Vec<(PacketNumber, Record)> {
        let (mut data, mut told) = (Vec::new(), Vec::new());
        let waiting = (self.base..).zip(&self.entries).filter(|(_, entry)| entry.state == State::Waiting);
        for (position, entry) in waiting {
            let mut telling = Telling::new(&mut told);
            self.further.tell(position, entry, &mut telling);
            telling.finish();
            let number = self.number_at(position);
            let pieces = told.drain(..).filter(|record| matches!(record, Record::Stream { .. }));
            data.extend(pieces.map(|record| (number, record)));
        }
        data
    }

    /// Drops what waits for nothing from the front.
    #[inline]
    pub fn settle(&mut self) {
        let settled = self.entries.iter().take_while(|entry| entry.state != State::Waiting).count();
        if settled == 0 {
            return;
        }
        self.base += settled as u64;
        if settled == self.entries.len() {
            // The next packets lie where these did, in memory that is at hand.
            self.entries.clear();
        } else {
            self.entries.drain(..settled);
        }
        self.further.drop_before(self.base);
        self.quiet = self.quiet.min(self.entries.len() as u32);
        self.forget_segments();
    }

    /// Forgets the segments that end before the ring begins.
    fn forget_segments(&mut self) {
        let Some(older) = &mut self.older else { return };
        while !older.is_empty() && older.get(1).unwrap_or(&self.newest).start <= self.base {
            older.pop_front();
        }
        if older.is_empty() {
            self.older = None;
        }
    }

    /// Gives memory back that an empty ring needs no more.
    pub fn release(&mut self) {
        if self.entries.is_empty() {
            self.entries.shrink_to_fit();
            self.older = None;
            self.further.records = None;
        }
    }
}

#[cfg(test)]
mod tests;
