//! What one end has sent and received: acknowledgements, and the probe timeout (RFC 9002, much simplified).
//!
//! Every ack-eliciting packet is acknowledged at once. A packet is lost when a later one is acknowledged that was sent
//! after it at another time; a probe timeout offers again what is in flight.

use std::time::Duration;

use smallvec::SmallVec;

use super::TICK;
use super::network::Numbers;
use crate::time::Instant;

/// Longest wait between probes while a move is announced or under way (rules, 2.7 and 3.1).
const HURRY: Duration = Duration::from_secs(1);

/// What is told of packets in flight.
pub type Records<R> = SmallVec<[R; 2]>;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Sent<R> {
    number: u8,
    at: Instant,
    records: Records<R>,
}

/// One end's packets; `R` is what it remembers of a frame.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ledger<R> {
    next: u8,
    received: Numbers,
    owes_ack: bool,
    in_flight: Vec<Sent<R>>,
    timeouts: u8,
    asked: Instant,
}

/// What an ACK says of packets in flight.
#[derive(Debug)]
pub struct Fates<R> {
    pub acked: Records<R>,
    pub lost: Records<R>,
    /// The largest number acknowledged anew.
    pub largest: Option<u8>,
}

impl<R: Copy> Ledger<R> {
    pub fn new(now: Instant) -> Self {
        Self {
            next: 0,
            received: Numbers::default(),
            owes_ack: false,
            in_flight: Vec::new(),
            timeouts: 0,
            asked: now,
        }
    }

    // ---- sending --------------------------------------------------------------------------------

    pub fn number(&mut self) -> u8 {
        self.next += 1;
        self.next - 1
    }

    pub fn skip(&mut self, numbers: u8) {
        self.next += numbers;
    }

    pub fn next_number(&self) -> u8 {
        self.next
    }

    /// A packet was sent that is to be acknowledged.
    pub fn on_sent(&mut self, now: Instant, number: u8, records: Records<R>) {
        self.in_flight.push(Sent { number, at: now, records });
        self.asked = now;
    }

    pub fn is_quiet(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Takes the probe timeout, if it is due: what is in flight is to be offered again.
    pub fn expire(&mut self, now: Instant, hurried: bool) -> Option<Records<R>> {
        let wait = TICK * (1 << self.timeouts.min(4));
        let wait = if hurried { wait.min(HURRY) } else { wait };
        if self.is_quiet() || now < self.asked + wait {
            return None;
        }
        self.timeouts += 1;
        self.asked = now;
        Some(self.in_flight.iter().flat_map(|sent| sent.records.iter().copied()).collect())
    }

    /// Everything in flight is given up.
    pub fn abandon(&mut self) -> Records<R> {
        self.timeouts = 0;
        self.in_flight.drain(..).flat_map(|sent| sent.records).collect()
    }

    pub fn on_ack(&mut self, acked: Numbers) -> Fates<R> {
        let mut fates = Fates { acked: Records::new(), lost: Records::new(), largest: None };
        let Some(newest) = self.in_flight.iter().rfind(|sent| acked.has(sent.number)) else { return fates };
        let (largest, at) = (newest.number, newest.at);
        (fates.largest, self.timeouts) = (Some(largest), 0);
        self.in_flight.retain(|sent| {
            let is_acked = acked.has(sent.number);
            let is_lost = !is_acked && sent.number < largest && sent.at < at;
            if is_acked {
                fates.acked.extend(sent.records.iter().copied());
            } else if is_lost {
                fates.lost.extend(sent.records.iter().copied());
            }
            !is_acked && !is_lost
        });
        fates
    }

    // ---- receiving ------------------------------------------------------------------------------

    pub fn has(&self, number: u8) -> bool {
        self.received.has(number)
    }

    /// All that was received.
    pub fn received(&self) -> Numbers {
        self.received
    }

    pub fn on_received(&mut self, number: u8, ack_eliciting: bool) {
        self.received.insert(number);
        self.owes_ack |= ack_eliciting;
    }

    pub fn owes_ack(&self) -> bool {
        self.owes_ack
    }

    /// The ACK that is owed.
    pub fn ack(&mut self) -> Option<Numbers> {
        std::mem::take(&mut self.owes_ack).then_some(self.received)
    }
}
