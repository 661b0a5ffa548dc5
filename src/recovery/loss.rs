//! The books of one packet number space: what an ACK means for the packets that were sent (RFC 9002, Section
//! 6.1).
//!
//! A packet is lost if one that was sent three packets later on the same path arrived, or if 9/8 of its
//! path's round trip passed and any later one arrived. An ACK costs its ranges and the packets it retires.
//! What stays unacknowledged below the largest acknowledged is visited again only for its time, or if there
//! is little of it.

use std::ops::Range;
use std::time::Duration;

use smallvec::SmallVec;

use super::fates::{Fates, PathFate, Telling, fate_of};
use super::rtt::RttView;
use super::sent::{Entry, Sent, SentPackets, State};
use crate::error::TransportError;
use crate::frame::{Ack, Record};
use crate::id::{PacketNumber, PathId};
use crate::net::MIN_DATAGRAM;
use crate::range_set::RangeSet;
use crate::time::Instant;

/// Packets sent later that must arrive (RFC 9002, Section 6.1.1: kPacketThreshold).
const PACKET_THRESHOLD: u32 = 3;
/// Skipped numbers are remembered in this many runs; beyond, the oldest run is forgotten.
const MAX_SKIPPED_RUNS: usize = 256;
/// Runs of skipped numbers that are remembered although nothing older waits: a copy of us that was left
/// behind is recognised by them.
const KEPT_SKIPPED_RUNS: usize = 16;
/// Paths whose arrivals are remembered; beyond, only the time threshold is left to the oldest.
const MAX_EVIDENCE: usize = 8;
/// As many places below the largest acknowledged are simply looked through at every ACK.
const SHORT: u64 = 64;
/// The largest packet number (RFC 9000, Section 12.3).
const LARGEST_NUMBER: PacketNumber = (1 << 62) - 1;

/// What arrived on one path: evidence that what was sent there before is lost.
#[derive(Debug, Clone, Copy)]
struct Evidence {
    path: PathId,
    /// Position of the newest in-flight packet that was acknowledged.
    newest: u64,
    /// Before this position nothing of the path waits that was not judged by `newest`.
    judged: u64,
    /// Whether `newest` changed since the last judgement.
    grown: bool,
}

/// Packets of one path, in flight and next to each other, that an ACK was the first to acknowledge.
#[derive(Debug)]
struct Arrived {
    path: PathId,
    bytes: u64,
    /// The newest one's position.
    newest: u64,
    /// When that was sent.
    time: Instant,
    /// How many left ECN-marked.
    marked: u64,
    /// The largest one's length.
    largest: u16,
}

impl Arrived {
    #[inline]
    fn begin(entry: &Entry, position: u64) -> Self {
        Self {
            path: entry.path,
            bytes: entry.len.into(),
            newest: position,
            time: entry.time,
            marked: entry.marked.into(),
            largest: entry.len,
        }
    }

    #[inline]
    fn extend(&mut self, entry: &Entry, position: u64) {
        self.bytes += u64::from(entry.len);
        self.marked += u64::from(entry.marked);
        self.largest = self.largest.max(entry.len);
        (self.newest, self.time) = (position, entry.time);
    }

    /// Enters them in the path's sums, and as evidence.
    fn enter(self, evidence: &mut SmallVec<[Evidence; 1]>, fates: &mut SmallVec<[(PathId, PathFate); 2]>) {
        let fate = fate_of(fates, self.path);
        fate.acked_bytes += self.bytes;
        fate.marked_acked += self.marked;
        fate.largest_acked = fate.largest_acked.max(self.largest);
        fate.newest_acked_sent = fate.newest_acked_sent.max(Some(self.time));
        testify(evidence, self.path, self.newest);
    }
}

/// The newest packet that an ACK was the first to acknowledge.
#[derive(Debug, Clone, Copy)]
pub struct Newest {
    /// Its number.
    pub number: PacketNumber,
    /// When it was sent.
    pub time: Instant,
    /// Where it went.
    pub path: PathId,
    /// Whether it can measure a round trip: the ACK is about it, something ack-eliciting arrived, and it is
    /// no seek.
    pub measures: bool,
}

/// The books of one packet number space.
#[derive(Debug)]
pub struct Ledger {
    sent: SentPackets,
    next: PacketNumber,
    /// Numbers below may be acknowledged: one above the largest the peer did.
    acked_below: PacketNumber,
    /// When the next packet is lost by time; [`Instant::FAR`] if none is.
    loss_time: Instant,
    /// Ack-eliciting packets in flight.
    awaited: u32,
    /// Packets sent since the last ack-eliciting one.
    unasked: u32,
    /// When that was sent, if any is in flight.
    last_awaited: Instant,
    evidence: SmallVec<[Evidence; 1]>,
    skipped: RangeSet,
}

const _: () = assert!(size_of::<Ledger>() <= 192);

impl Ledger {
    /// Books without an entry.
    pub fn new() -> Self {
        Self {
            sent: SentPackets::new(),
            next: 0,
            acked_below: 0,
            loss_time: Instant::FAR,
            awaited: 0,
            unasked: 0,
            last_awaited: Instant::ZERO,
            evidence: SmallVec::new(),
            skipped: RangeSet::new(),
        }
    }

    /// The next packet's number.
    #[inline]
    pub fn next(&self) -> PacketNumber {
        self.next
    }

    /// The largest number the peer acknowledged.
    #[inline]
    pub fn largest_acked(&self) -> Option<PacketNumber> {
        self.acked_below.checked_sub(1)
    }

    /// When the next packet is lost by time.
    #[inline]
    pub fn loss_time(&self) -> Option<Instant> {
        Some(self.loss_time).filter(|time| *time < Instant::FAR)
    }

    /// When the last ack-eliciting packet was sent, if any such is in flight.
    #[inline]
    pub fn awaiting_since(&self) -> Option<Instant> {
        (self.awaited > 0).then_some(self.last_awaited)
    }

    /// How many packets were sent since then.
    pub fn unasked(&self) -> u32 {
        self.unasked
    }

    /// Leaves out the next `count` numbers; an ACK of one is a lie.
    pub fn skip(&mut self, count: u64) {
        let after = self.next.saturating_add(count).min(LARGEST_NUMBER);
        self.skipped.insert(self.next..after);
        self.next = after;
        if self.skipped.len() > MAX_SKIPPED_RUNS {
            self.skipped.pop_first();
        }
    }

    /// Enters a packet.
    #[inline]
    pub fn on_sent(&mut self, now: Instant, sent: &Sent, records: &[Record]) {
        debug_assert!(sent.number >= self.next, "packet numbers ascend");
        if sent.number > self.next {
            self.skip(sent.number - self.next);
        }
        self.next = sent.number + 1;
        self.sent.push(now, sent, records);
        if sent.ack_eliciting && sent.in_flight {
            self.awaited += 1;
            self.last_awaited = now;
            self.unasked = 0;
        } else {
            self.unasked = self.unasked.saturating_add(1);
        }
    }

    /// Retires what the peer has; `None` if all of it was known.
    ///
    /// # Errors
    ///
    /// PROTOCOL_VIOLATION if a number was never sent (RFC 9000, Section 13.1). Part of the ACK may be entered
    /// then.
    pub fn on_ack(&mut self, ack: &Ack<'_>, fates: &mut Fates) -> Result<Option<Newest>, TransportError> {
        if ack.largest >= self.next {
            return Err(TransportError::protocol_violation("an ACK of a packet that was not sent yet"));
        }
        let floor = self.sent.front_number().unwrap_or(self.next);
        let mut skipped = self.skipped.iter().rev().peekable();
        let mut newest = None;
        let mut any_eliciting = false;
        let mut arrived: Option<Arrived> = None;
        let mut telling = Telling::new(&mut fates.acked);
        for range in ack.ranges() {
            while skipped.next_if(|skip| skip.start > *range.end()).is_some() {}
            if skipped.peek().is_some_and(|skip| skip.end > *range.start()) {
                return Err(TransportError::protocol_violation("an ACK of a packet number that was skipped"));
            }
            if *range.end() < floor {
                break; // ranges descend: all that follow were settled long ago
            }
            let run = self.sent.positions(&range);
            let start = run.start;
            let (entries, further) = self.sent.run(run);
            let mut last = None;
            for (position, entry) in (start..).zip(entries) {
                if entry.state != State::Waiting {
                    continue;
                }
                entry.state = State::Acked;
                further.tell(position, entry, &mut telling);
                any_eliciting |= entry.ack_eliciting;
                last = Some(position);
                if entry.in_flight {
                    self.awaited -= u32::from(entry.ack_eliciting);
                    // A run of packets of one path is entered at once.
                    match &mut arrived {
                        Some(run) if run.path == entry.path => run.extend(entry, position),
                        _ => {
                            let begun = Arrived::begin(entry, position);
                            if let Some(run) = arrived.replace(begun) {
                                run.enter(&mut self.evidence, &mut fates.paths);
                            }
                        }
                    }
                }
            }
            newest = newest.max(last);
            if let Some(run) = arrived.take() {
                run.enter(&mut self.evidence, &mut fates.paths);
            }
        }
        telling.finish();
        self.acked_below = self.acked_below.max(ack.largest + 1);
        let Some(position) = newest else { return Ok(None) };
        let (number, entry) = (self.sent.number_at(position), self.sent.at(position));
        let is_seek = entry.ack_eliciting && !entry.in_flight;
        let measures = number == ack.largest && any_eliciting && !is_seek;
        Ok(Some(Newest { number, time: entry.time, path: entry.path, measures }))
    }

    /// Declares lost what is lost by now (RFC 9002, Appendix A.10), and settles what is settled.
    ///
    /// `view` is each path's round trip, `sampled` when it was first measured.
    pub fn detect(
        &mut self,
        now: Instant,
        view: impl Fn(PathId) -> RttView,
        sampled: impl Fn(PathId) -> Option<Instant>,
        fates: &mut Fates,
    ) {
        self.settle();
        let start = self.sent.start();
        let end = self.evidence.iter().map(|e| e.newest).max().unwrap_or(0);
        if end <= start {
            self.loss_time = Instant::FAR;
            self.forget_old_evidence(start);
            return;
        }
        let is_due = self.loss_time().is_some_and(|time| time <= now);
        let from = if is_due || end - start <= SHORT { start } else { self.unjudged().clamp(start, end) };
        let untouched = if from > start { self.loss_time } else { Instant::FAR };
        let thresholds = self.thresholds(from);
        self.loss_time = untouched.min(self.judge(now, from..end, &thresholds, view, sampled, fates));
        self.settle();
    }

    /// Forgets what waits for nothing.
    fn settle(&mut self) {
        self.sent.settle();
        let floor = self.sent.front_number().unwrap_or(self.next);
        while self.skipped.len() > KEPT_SKIPPED_RUNS
            && self.skipped.first().is_some_and(|skip| skip.end <= floor)
        {
            self.skipped.pop_first();
        }
    }

    /// The first position that evidence new since the last judgement may condemn.
    fn unjudged(&self) -> u64 {
        self.evidence.iter().filter(|e| e.grown).map(|e| e.judged).min().unwrap_or(u64::MAX)
    }

    /// For each path of the evidence, the position before which everything is lost by the packet threshold.
    fn thresholds(&mut self, from: u64) -> SmallVec<[(PathId, u64); 2]> {
        let (sent, evidence) = (&self.sent, &mut self.evidence);
        let threshold = |e: &mut Evidence| {
            if e.grown || from == sent.start() {
                (e.grown, e.judged) = (false, e.newest);
            }
            let below = from..e.newest.max(from);
            // Holes do not count: a number that was skipped on purpose is no evidence (Appendix A.10).
            let mut seen = 0;
            let third = below.clone().rev().zip(sent.iter(below).rev()).find(|(_, entry)| {
                seen += u32::from(entry.path == e.path && entry.state != State::Hole);
                seen == PACKET_THRESHOLD
            });
            (e.path, third.map_or(from, |(position, _)| position + 1))
        };
        evidence.iter_mut().map(threshold).collect()
    }

    /// Goes through a run of packets and returns when the first of those left is lost by time, or
    /// [`Instant::FAR`].
    fn judge(
        &mut self,
        now: Instant,
        run: Range<u64>,
        thresholds: &[(PathId, u64)],
        view: impl Fn(PathId) -> RttView,
        sampled: impl Fn(PathId) -> Option<Instant>,
        fates: &mut Fates,
    ) -> Instant {
        let mut loss_time = Instant::FAR;
        let mut telling = Telling::new(&mut fates.lost);
        let (mut spans, mut vanished) = (Spans::default(), Vanishing::default());
        let quiet_end = run.end.saturating_sub(u64::from(PACKET_THRESHOLD));
        let (entries, further) = self.sent.run(run.clone());
        for (position, entry) in run.zip(entries) {
            match entry.state {
                State::Gone | State::Hole => continue,
                State::Acked => {
                    spans.interrupt(entry.path);
                    vanished.on_arrival(entry);
                    continue;
                }
                State::Waiting if !entry.in_flight => {
                    // Nobody waits for it, and it must not hold the ring.
                    if position < quiet_end {
                        entry.state = State::Gone;
                    }
                    continue;
                }
                State::Waiting => {}
            }
            let outrun = thresholds.iter().any(|(path, below)| *path == entry.path && position < *below);
            let rtt = view(entry.path);
            let time = entry.time + rtt.loss_delay();
            if !outrun && time > now {
                loss_time = loss_time.min(time);
                if let Some(evidence) = self.evidence.iter_mut().find(|e| e.path == entry.path) {
                    evidence.judged = evidence.judged.min(position);
                }
                continue;
            }
            entry.state = State::Gone;
            further.tell(position, entry, &mut telling);
            fates.lost_packets += 1;
            let fate = fate_of(&mut fates.paths, entry.path);
            if entry.is_mtu_probe() {
                // It left to get lost: neither congestion nor a black hole (RFC 9000, Section 14.4).
                fate.discarded_bytes += u64::from(entry.len);
                continue;
            }
            vanished.on_lost(entry);
            fate.lost_bytes += u64::from(entry.len);
            fate.marked_lost += u64::from(entry.marked);
            fate.largest_lost_sent = fate.largest_lost_sent.max(Some(entry.time));
            if entry.ack_eliciting {
                self.awaited -= 1;
                // Section 7.6.2: only packets sent after the first sample of their path count.
                if sampled(entry.path).is_some_and(|first| entry.time > first) {
                    fate.persistent |= spans.extend(entry.path, entry.time) > rtt.persistent_duration();
                }
            }
        }
        telling.finish();
        vanished.enter(&mut fates.paths);
        loss_time
    }

    /// Evidence about packets that are all settled condemns nothing any more.
    fn forget_old_evidence(&mut self, start: u64) {
        if self.evidence.len() > 1 {
            self.evidence.retain(|e| e.newest >= start);
        }
    }

    /// Gives the oldest awaited packets' records to `fates.lost`; the packets stay in flight.
    pub fn reoffer_oldest(&self, packets: usize, fates: &mut Fates) {
        let all = self.sent.start()..self.sent.end();
        let entries = all.clone().zip(self.sent.iter(all));
        let mut telling = Telling::new(&mut fates.lost);
        for (position, entry) in entries.filter(|(_, entry)| entry.is_awaited()).take(packets) {
            self.sent.further().tell(position, entry, &mut telling);
        }
        telling.finish();
    }

    /// The stream data in flight, each piece with the number of its packet.
    pub fn stream_data(&self) -> Vec<(PacketNumber, Record)> {
        self.sent.stream_data()
    }

    /// Declares lost what was sent on a path, or on every one, without a verdict on congestion.
    pub fn abandon(&mut self, path: Option<PathId>, fates: &mut Fates) {
        let all = self.sent.start()..self.sent.end();
        let (entries, further) = self.sent.run(all.clone());
        let mut telling = Telling::new(&mut fates.lost);
        for (position, entry) in all.zip(entries) {
            if entry.state != State::Waiting || path.is_some_and(|path| path != entry.path) {
                continue;
            }
            entry.state = State::Gone;
            further.tell(position, entry, &mut telling);
            if entry.in_flight {
                self.awaited -= u32::from(entry.ack_eliciting);
                fates.lost_packets += 1;
                fate_of(&mut fates.paths, entry.path).discarded_bytes += u64::from(entry.len);
            }
        }
        telling.finish();
        self.evidence.retain(|e| path.is_some_and(|path| path != e.path));
        self.settle();
        if self.sent.is_empty() {
            self.loss_time = Instant::FAR;
        }
    }

    /// Takes all packets out of flight; nobody is told of their frames.
    pub fn discard(self, fates: &mut Fates) {
        let all = self.sent.iter(self.sent.start()..self.sent.end());
        for entry in all.filter(|entry| entry.state == State::Waiting && entry.in_flight) {
            fates.path(entry.path).discarded_bytes += u64::from(entry.len);
        }
    }

    /// Gives memory back that is needed only while packets are in flight.
    pub fn release(&mut self) {
        self.sent.release();
    }
}

/// Takes note that a packet arrived. Of too many paths, those with the newest arrivals are kept.
#[inline]
fn testify(evidence: &mut SmallVec<[Evidence; 1]>, path: PathId, position: u64) {
    match evidence.iter_mut().find(|e| e.path == path) {
        Some(known) if known.newest < position => (known.newest, known.grown) = (position, true),
        Some(_) => {}
        None => {
            evidence.push(Evidence { path, newest: position, judged: 0, grown: true });
            if evidence.len() > MAX_EVIDENCE {
                evidence.sort_unstable_by_key(|e| e.newest);
                evidence.remove(0);
            }
        }
    }
}

/// Per path, large packets that are lost while nothing as large that was sent later arrived.
#[derive(Debug, Default)]
struct Vanishing(SmallVec<[(PathId, u32, u16); 1]>);

impl Vanishing {
    /// A packet is lost.
    fn on_lost(&mut self, entry: &Entry) {
        if entry.len <= MIN_DATAGRAM {
            return;
        }
        match self.0.iter_mut().find(|(path, ..)| *path == entry.path) {
            Some((_, packets, smallest)) => (*packets, *smallest) = (*packets + 1, entry.len.min(*smallest)),
            None => self.0.push((entry.path, 1, entry.len)),
        }
    }

    /// A packet that was sent later arrived.
    #[inline]
    fn on_arrival(&mut self, entry: &Entry) {
        if !self.0.is_empty() {
            self.0.retain(|(path, _, smallest)| *path != entry.path || *smallest > entry.len);
        }
    }

    /// Enters them in the paths' sums.
    fn enter(self, fates: &mut SmallVec<[(PathId, PathFate); 2]>) {
        for (path, packets, smallest) in self.0 {
            let fate = fate_of(fates, path);
            (fate.vanished, fate.smallest_vanished) = (packets, smallest);
        }
    }
}

/// Per path, since when everything was lost.
#[derive(Debug, Default)]
struct Spans(SmallVec<[(PathId, Instant); 2]>);

impl Spans {
    /// A packet of the path was lost; how long everything is by then.
    fn extend(&mut self, path: PathId, sent: Instant) -> Duration {
        match self.0.iter().find(|(known, _)| *known == path) {
            Some((_, since)) => sent.since(*since),
            None => {
                self.0.push((path, sent));
                Duration::ZERO
            }
        }
    }

    /// A packet of the path arrived.
    fn interrupt(&mut self, path: PathId) {
        self.0.retain(|(known, _)| *known != path);
    }
}
