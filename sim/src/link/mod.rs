//! One direction of a path between two addresses: how long it takes, how much it carries, and what it does wrong.
//!
//! A [`Link`] says how a path behaves, a [`Wire`] is one that datagrams run along. Each datagram draws the same number
//! of words from the wire's dice whatever the settings, so that more loss does not reshuffle the corruption.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use peregrine::{Ecn, Instant};

use super::dice::Dice;

/// IP and UDP headers, in bytes: they take their time on a wire as well.
const HEADERS: usize = 28;

/// How much waits for a wire that is busy; what comes on top is dropped at the tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// So many datagrams.
    Packets(usize),
    /// So many bytes, headers included.
    Bytes(usize),
}

/// What a link does to ECN marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marking {
    /// Nothing.
    Keep,
    /// All datagrams leave without a mark.
    Bleach,
    /// What is marked does not arrive.
    Drop,
    /// What is marked arrives with this mark.
    Remark(Ecn),
    /// What is marked arrives as having experienced congestion when so many datagrams wait already.
    Congested(usize),
}

/// How one direction of a path behaves. Built from [`Link::delay`]; perfect but for what is said.
#[derive(Debug, Clone)]
pub struct Link {
    delay: Duration,
    bandwidth: Option<u64>,
    queue: Queue,
    loss: f64,
    longest_run: u32,
    duplication: f64,
    reordering: f64,
    reorder_by: Duration,
    corruption: f64,
    corrupt_within: usize,
    mtu: usize,
    marking: Marking,
    outages: Vec<Range<Instant>>,
    down: bool,
}

impl Link {
    /// A perfect link that takes this long one way.
    pub fn delay(delay: Duration) -> Self {
        Self {
            delay,
            bandwidth: None,
            queue: Queue::Packets(200),
            loss: 0.0,
            longest_run: u32::MAX,
            duplication: 0.0,
            reordering: 0.0,
            reorder_by: Duration::ZERO,
            corruption: 0.0,
            corrupt_within: usize::MAX,
            mtu: 1472,
            marking: Marking::Keep,
            outages: Vec::new(),
            down: false,
        }
    }

    /// Half of this round trip, one way.
    pub fn rtt(rtt: Duration) -> Self {
        Self::delay(rtt / 2)
    }

    /// Bits a second.
    pub fn bandwidth(mut self, bits: u64) -> Self {
        self.bandwidth = Some(bits);
        self
    }

    /// What may wait if there is a bandwidth.
    pub fn queue(mut self, queue: Queue) -> Self {
        self.queue = queue;
        self
    }

    /// The probability that a datagram is lost.
    pub fn loss(mut self, probability: f64) -> Self {
        self.loss = probability;
        self
    }

    /// After so many datagrams in a row that were lost or corrupted by chance, the next one is not.
    pub fn in_a_row(mut self, at_most: u32) -> Self {
        self.longest_run = at_most;
        self
    }

    /// The probability that a datagram comes twice.
    pub fn duplication(mut self, probability: f64) -> Self {
        self.duplication = probability;
        self
    }

    /// The probability that a datagram is late by up to `by`, so that others overtake it.
    pub fn reordering(mut self, probability: f64, by: Duration) -> Self {
        self.reordering = probability;
        self.reorder_by = by;
        self
    }

    /// The probability that one bit of a datagram is turned.
    pub fn corruption(mut self, probability: f64) -> Self {
        self.corruption = probability;
        self
    }

    /// Bits are turned within the first so many bytes only, where headers are.
    pub fn corrupt_within(mut self, bytes: usize) -> Self {
        self.corrupt_within = bytes;
        self
    }

    /// The largest UDP payload that passes, in bytes; 1472 unless said.
    pub fn mtu(mut self, bytes: usize) -> Self {
        self.mtu = bytes;
        self
    }

    /// What becomes of ECN marks; they are kept unless said.
    pub fn marking(mut self, marking: Marking) -> Self {
        self.marking = marking;
        self
    }

    /// Nothing that is sent in this time arrives. May be said several times.
    pub fn outage(mut self, when: Range<Instant>) -> Self {
        self.outages.push(when);
        self
    }

    /// Nothing arrives until another link is set.
    pub fn down(mut self) -> Self {
        self.down = true;
        self
    }
}

/// Why a datagram did not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The link is down, or in an outage.
    Outage,
    /// It is larger than the MTU.
    TooLarge,
    /// The queue is full.
    Queue,
    /// Chance.
    Chance,
}

impl Loss {
    /// For the log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Outage => "outage",
            Self::TooLarge => "too large",
            Self::Queue => "queue",
            Self::Chance => "chance",
        }
    }
}

/// What becomes of a datagram on a wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Carried {
    /// When it arrives.
    pub(crate) at: Instant,
    /// When it arrives once more.
    pub(crate) again: Option<Instant>,
    /// The bit that is turned on the way.
    pub(crate) flipped: Option<usize>,
}

/// A link in use.
#[derive(Debug)]
pub(crate) struct Wire {
    link: Link,
    dice: Dice,
    /// How many datagrams in a row met with a mishap.
    run: u32,
    /// When each waiting datagram has left, and its size with headers.
    waiting: VecDeque<(Instant, usize)>,
    waiting_bytes: usize,
    free_at: Instant,
}

impl Wire {
    /// A wire that nothing is on.
    pub(crate) fn new(link: Link, dice: Dice) -> Self {
        Self { link, dice, run: 0, waiting: VecDeque::new(), waiting_bytes: 0, free_at: Instant::ZERO }
    }

    /// Behaves like this from now on; what is on its way stays so.
    pub(crate) fn set(&mut self, link: Link) {
        self.link = link;
    }

    /// Takes a datagram of `len` bytes.
    ///
    /// # Errors
    ///
    /// Why it will not arrive.
    pub(crate) fn carry(&mut self, now: Instant, len: usize) -> Result<Carried, Loss> {
        let link = &self.link;
        let lost = self.dice.chance(link.loss);
        let twice = self.dice.chance(link.duplication);
        let late = self.dice.chance(link.reordering);
        let corrupt = self.dice.chance(link.corruption);
        let (lateness, bit) = (self.dice.word(), self.dice.word());
        if link.down || link.outages.iter().any(|outage| outage.contains(&now)) {
            return Err(Loss::Outage);
        }
        if len > link.mtu {
            return Err(Loss::TooLarge);
        }
        let spared = self.run >= link.longest_run;
        let (lost, corrupt) = (lost && !spared, corrupt && !spared);
        self.run = if lost || corrupt { self.run + 1 } else { 0 };
        let (delay, reach) = (link.delay, len.min(link.corrupt_within) as u64 * 8);
        let late = if late { link.reorder_by.mul_f64(fraction(lateness)) } else { Duration::ZERO };
        // Loss by chance comes behind the queue: a datagram that gets lost has taken its time on the wire.
        let left = self.enqueue(now, len + HEADERS)?;
        if lost {
            return Err(Loss::Chance);
        }
        let at = left + delay + late;
        Ok(Carried {
            at,
            again: twice.then_some(at + Duration::from_micros(100)),
            flipped: (corrupt && reach > 0).then(|| (bit % reach) as usize),
        })
    }

    /// The mark that a datagram arrives with; `None`: it does not arrive because of the one it has.
    pub(crate) fn mark(&self, ecn: Ecn) -> Option<Ecn> {
        if ecn == Ecn::NotEct {
            return Some(ecn);
        }
        match self.link.marking {
            Marking::Keep => Some(ecn),
            Marking::Bleach => Some(Ecn::NotEct),
            Marking::Drop => None,
            Marking::Remark(other) => Some(other),
            Marking::Congested(limit) => Some(if self.waiting.len() >= limit { Ecn::Ce } else { ecn }),
        }
    }

    /// Waits for the wire and occupies it; returns when the datagram has left.
    fn enqueue(&mut self, now: Instant, size: usize) -> Result<Instant, Loss> {
        let Some(bandwidth) = self.link.bandwidth else { return Ok(now) };
        while let Some(&(_, gone)) = self.waiting.front().filter(|(left, _)| *left <= now) {
            self.waiting_bytes -= gone;
            self.waiting.pop_front();
        }
        let full = match self.link.queue {
            Queue::Packets(limit) => self.waiting.len() >= limit,
            Queue::Bytes(limit) => self.waiting_bytes + size > limit,
        };
        if full {
            return Err(Loss::Queue);
        }
        let micros = (size as u64 * 8 * 1_000_000).div_ceil(bandwidth.max(1));
        self.free_at = self.free_at.max(now) + Duration::from_micros(micros);
        self.waiting.push_back((self.free_at, size));
        self.waiting_bytes += size;
        Ok(self.free_at)
    }
}

/// A word as a number between 0 and 1.
fn fraction(word: u64) -> f64 {
    (word >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests;
