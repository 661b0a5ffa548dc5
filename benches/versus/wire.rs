//! What lies between two endpoints.
//!
//! Its own cost is the same for both libraries, and small: the short wire hands a train over where it lies, the long
//! one copies what is not lost into memory that it keeps, which is a thirtieth of what Peregrine spends over it.

use std::collections::VecDeque;
use std::time::Duration;

use super::clock::{Now, on_the_wire};
use super::peer::{Peer, Train};

/// How long a datagram is on a long wire.
pub const DELAY: Duration = Duration::from_millis(10);
/// One datagram of so many is lost on a long wire.
pub const ONE_IN: u64 = 100;

/// The way of datagrams from one side to the other and back.
#[derive(Debug)]
pub enum Wire {
    /// Nothing is lost, and nothing waits: time passes as bytes do at 10 Gbit/s.
    Short,
    /// Each way has its queue, of the client's datagrams first.
    Long([Queue; 2]),
}

impl Wire {
    /// A wire that loses the same datagrams, by their number, whenever `seed` is the same.
    pub fn long(seed: u64) -> Self {
        Self::Long([0, 1].map(|way| Queue::new(Dice(seed.wrapping_mul(2) + way))))
    }

    /// Carries what can be carried now, from each side at least one train if there is one. Returns how many datagrams
    /// were sent, or `None` if none were and none arrived.
    pub fn carry<P: Peer>(&mut self, now: &mut Now, [client, server]: &mut [P; 2]) -> Option<u64> {
        match self {
            Self::Short => {
                let sent = hand_over(now, client, server) + hand_over(now, server, client);
                (sent > 0).then_some(sent)
            }
            Self::Long([up, down]) => {
                let arrived = up.deliver(*now, server) | down.deliver(*now, client);
                let sent = up.load(*now, client) + down.load(*now, server);
                (arrived || sent > 0).then_some(sent)
            }
        }
    }

    /// When the next datagrams arrive, if any are on their way.
    pub fn due(&self) -> Option<Now> {
        match self {
            Self::Short => None,
            Self::Long(queues) => queues.iter().filter_map(|queue| Some(queue.flying.front()?.due)).min(),
        }
    }
}

/// One train at once.
fn hand_over<P: Peer>(now: &mut Now, from: &mut P, to: &mut P) -> u64 {
    let Some(train) = from.give(*now) else { return 0 };
    let datagrams = train.datagrams();
    *now += on_the_wire(train.bytes.len());
    to.take(*now, train);
    datagrams
}

/// A train on its way.
#[derive(Debug)]
struct Flight {
    due: Now,
    segment: usize,
    bytes: Vec<u8>,
}

/// One way of a long wire.
#[derive(Debug)]
pub struct Queue {
    dice: Dice,
    flying: VecDeque<Flight>,
    /// Memory of flights that are over.
    spare: Vec<Vec<u8>>,
}

impl Queue {
    fn new(dice: Dice) -> Self {
        Self { dice, flying: VecDeque::new(), spare: Vec::new() }
    }

    /// Takes everything that wants to leave. Returns how many datagrams that were.
    fn load<P: Peer>(&mut self, now: Now, from: &mut P) -> u64 {
        let mut sent = 0;
        while let Some(train) = from.give(now) {
            sent += train.datagrams();
            let mut bytes = self.spare.pop().unwrap_or_default();
            for datagram in train.bytes.chunks(train.segment).filter(|_| self.dice.spare()) {
                bytes.extend_from_slice(datagram);
            }
            if bytes.is_empty() {
                self.spare.push(bytes);
            } else {
                self.flying.push_back(Flight { due: now + DELAY, segment: train.segment, bytes });
            }
        }
        sent
    }

    /// Hands over what is due. Returns whether there was anything.
    fn deliver<P: Peer>(&mut self, now: Now, to: &mut P) -> bool {
        let mut delivered = false;
        while let Some(mut flight) = self.flying.pop_front_if(|flight| flight.due <= now) {
            to.take(now, Train { bytes: &mut flight.bytes, segment: flight.segment });
            delivered = true;
            flight.bytes.clear();
            self.spare.push(flight.bytes);
        }
        delivered
    }
}

/// Decides what is lost: the n-th datagram of a way has the same fate in every run with the same seed.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    /// Whether the next datagram is spared. The state is a Weyl sequence, mixed as in SplitMix64.
    fn spare(&mut self) -> bool {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        !(word ^ (word >> 31)).is_multiple_of(ONE_IN)
    }
}
