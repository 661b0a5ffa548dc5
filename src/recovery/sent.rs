//! What was sent in one packet number space and waits for its fate: a ring in the order of sending.
//!
//! A position counts the entries that were put in before and stays the same while the ring drains. Numbers
//! are mapped to positions by segments: a small gap is filled with holes, a large one (a skip of thousands, a
//! long run of packets that nobody will acknowledge) begins another segment and costs nothing. The single
//! record that most packets have lies in the entry itself; further ones lie in a queue beside the ring, which
//! drains with it.

use std::collections::{VecDeque, vec_deque};
use std::ops::{Range, RangeInclusive};

use super::fates::merge;
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
    /// Where its further records begin, as the queue counts.
    further_at: u32,
    further: u16,
    /// Its length in bytes.
    pub len: u16,
    /// Where it went.
    pub path: PathId,
    /// Its fate.
    pub state: State,
    /// Whether the peer must acknowledge it.
    pub ack_eliciting: bool,
    /// Whether it counts towards the congestion window.
    pub in_flight: bool,
}

const _: () = assert!(size_of::<Entry>() <= 48);

impl Entry {
    const HOLE: Self = Self {
        time: Instant::ZERO,
        record: None,
        further_at: 0,
        further: 0,
        len: 0,
        path: PathId(0),
        state: State::Hole,
        ack_eliciting: false,
        in_flight: false,
    };

    /// Whether it makes the peer answer and is waited for.
    #[inline]
    pub fn is_awaited(&self) -> bool {
        self.state == State::Waiting && self.ack_eliciting && self.in_flight
    }
}

/// Records beyond the first of a packet, in the order of sending. Positions wrap around.
#[derive(Debug, Default)]
pub struct Further {
    records: VecDeque<Record>,
    base: u32,
}

impl Further {
    /// Appends a packet's records to a list.
    #[inline]
    pub fn tell(&self, entry: &Entry, list: &mut Vec<Record>) {
        if entry.further > 0 {
            let start = entry.further_at.wrapping_sub(self.base) as usize;
            let records = self.records.range(start..start + usize::from(entry.further));
            records.for_each(|record| merge(list, *record));
        }
        if let Some(record) = entry.record {
            merge(list, record);
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

/// The ring of one space.
#[derive(Debug)]
pub struct SentPackets {
    entries: VecDeque<Entry>,
    /// The position of the first entry.
    base: u64,
    /// Segments before the newest; empty almost always.
    older: VecDeque<Segment>,
    newest: Segment,
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
            older: VecDeque::new(),
            newest: Segment { first: 0, start: 0 },
            further: Further::default(),
            quiet: 0,
        }
    }

    /// Puts a packet in; its number must be above all before it.
    #[inline]
    pub fn push(&mut self, now: Instant, sent: &Sent, records: &[Record]) {
        self.reach(sent.number);
        let (record, further) = self.split(records);
        self.entries.push_back(Entry {
            time: now,
            record,
            further_at: self
                .further
                .base
                .wrapping_add(self.further.records.len() as u32)
                .wrapping_sub(further.into()),
            further,
            len: sent.len,
            path: sent.path,
            state: State::Waiting,
            ack_eliciting: sent.ack_eliciting,
            in_flight: sent.in_flight,
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
            self.older.clear();
            self.newest = Segment { first: number, start: end };
        } else if number - next <= MAX_FILLED {
            self.entries.extend((next..number).map(|_| Entry::HOLE));
        } else {
            self.older.push_back(self.newest);
            self.newest = Segment { first: number, start: end };
        }
    }

    /// Keeps the record that stays in the entry, a STREAM if there is one, and queues the others.
    #[inline]
    fn split(&mut self, records: &[Record]) -> (Option<Record>, u16) {
        if let [] | [_] = records {
            return (records.first().copied(), 0);
        }
        let inline = records.iter().position(|record| matches!(record, Record::Stream { .. })).unwrap_or(0);
        // A frame has two bytes at least: a datagram cannot hold more frames than this counts.
        let others = records.iter().enumerate().filter(|(at, _)| *at != inline).take(u16::MAX.into());
        let before = self.further.records.len();
        self.further.records.extend(others.map(|(_, record)| *record));
        (records.get(inline).copied(), (self.further.records.len() - before) as u16)
    }

    /// Drops the run of quiet packets at the end; the next packet begins another segment.
    fn forget_quiet(&mut self) {
        for _ in 0..std::mem::take(&mut self.quiet) {
            while let Some(entry) = self.entries.pop_back() {
                self.further.records.truncate(self.further.records.len() - usize::from(entry.further));
                if entry.state != State::Hole {
                    break;
                }
            }
        }
        while self.newest.start >= self.end()
            && let Some(segment) = self.older.pop_back()
        {
            self.newest = segment;
        }
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
            let at = self.older.partition_point(|segment| segment.start <= position);
            self.older[at - 1]
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
        let after = self.older.partition_point(|segment| segment.first <= number);
        let next_start = self.older.get(after).unwrap_or(&self.newest).start;
        let position = match after.checked_sub(1).and_then(|at| self.older.get(at)) {
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

    /// Drops what waits for nothing from the front.
    #[inline]
    pub fn settle(&mut self) {
        while let Some(entry) = self.entries.front() {
            if entry.state == State::Waiting {
                break;
            }
            let further = entry.further;
            self.entries.pop_front();
            self.base += 1;
            if further > 0 {
                self.further.records.drain(..usize::from(further));
                self.further.base = self.further.base.wrapping_add(further.into());
            }
        }
        self.quiet = self.quiet.min(self.entries.len() as u32);
        while self.older.front().is_some() && self.older.get(1).unwrap_or(&self.newest).start <= self.base {
            self.older.pop_front();
        }
    }

    /// Gives memory back that an empty ring needs no more.
    pub fn release(&mut self) {
        if self.entries.is_empty() {
            self.entries.shrink_to_fit();
            self.older.shrink_to_fit();
            self.further.records.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests;
