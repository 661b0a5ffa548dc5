//! The heap that a connection occupies, and the allocations of a transfer, each side for itself.
//!
//! Every allocation of this program is counted, timed runs included, with four atomic additions by a single thread for
//! each that is made and given back. Compared in turns with a build that counts nothing, bulk transfers and streams do
//! not change by more than they do from run to run; handshakes, which allocate most, are 2 to 3 % slower, and the ratio
//! of the libraries is the same.

use std::alloc::System;
use std::time::Duration;

use bytes::Bytes;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use super::clock::Now;
use super::content::Look;
use super::fault::Fault;
use super::pair::Pair;
use super::peer::{News, Peer, Train, Way};
use super::quantity::{Quantity, Run};
use super::terms::{self, Terms};
use super::wire::Wire;
use super::workload::{Bulk, Direction};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Connections that share what they occupy. Tables double when they are full: with a power of two none is half empty.
pub const CONNECTIONS: u16 = 1024;
/// How long nothing happens before the heap is weighed: timers that tidy up have run.
const REST: Duration = Duration::from_secs(2);
/// What is carried before allocations are counted: buffers have found their size then.
const WARM_UP: Bulk = Bulk { mib: 32, direction: Direction::Up };
/// What is carried while they are.
const COUNTED: Bulk = Bulk { mib: 64, direction: Direction::Up };

/// What one side has taken from the heap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Taken {
    /// Bytes asked for and not given back.
    bytes: isize,
    /// How often it asked.
    allocations: usize,
}

impl Taken {
    /// What the whole program has taken until now.
    fn until_now() -> Self {
        let stats = HEAP.stats();
        // What a reallocation adds or gives back is in these two already.
        let bytes = stats.bytes_allocated.wrapping_sub(stats.bytes_deallocated).cast_signed();
        Self { bytes, allocations: stats.allocations + stats.reallocations }
    }

    fn add(&mut self, before: Self) {
        let now = Self::until_now();
        self.bytes += now.bytes - before.bytes;
        self.allocations += now.allocations - before.allocations;
    }
}

/// A peer, and what it takes from the heap while it is called.
#[derive(Debug)]
struct Weighed<P> {
    peer: P,
    taken: Taken,
}

impl<P: Peer> Weighed<P> {
    fn weigh<T>(&mut self, call: impl FnOnce(&mut P) -> T) -> T {
        let before = Taken::until_now();
        let result = call(&mut self.peer);
        self.taken.add(before);
        result
    }
}

impl<P: Peer> Peer for Weighed<P> {
    type Link = P::Link;
    type Stream = P::Stream;

    fn pair(terms: &Terms) -> [Self; 2] {
        P::pair(terms).map(|peer| Self { peer, taken: Taken::default() })
    }

    fn connect(&mut self, now: Now) -> P::Link {
        self.weigh(|peer| peer.connect(now))
    }

    fn take(&mut self, now: Now, train: Train<'_>) {
        self.weigh(|peer| peer.take(now, train));
    }

    fn give(&mut self, now: Now) -> Option<Train<'_>> {
        let before = Taken::until_now();
        let train = self.peer.give(now);
        self.taken.add(before);
        train
    }

    fn wake(&mut self) -> Option<Now> {
        self.weigh(P::wake)
    }

    fn expire(&mut self, now: Now) {
        self.weigh(|peer| peer.expire(now));
    }

    fn news(&mut self) -> Option<News<P::Link, P::Stream>> {
        self.weigh(P::news)
    }

    fn send_datagram(&mut self, link: P::Link, data: &Bytes) -> bool {
        self.weigh(|peer| peer.send_datagram(link, data))
    }

    fn receive_datagrams(&mut self, link: P::Link, look: impl FnMut(&[u8])) {
        self.weigh(|peer| peer.receive_datagrams(link, look));
    }

    fn open(&mut self, link: P::Link, way: Way) -> Option<P::Stream> {
        self.weigh(|peer| peer.open(link, way))
    }

    fn write(&mut self, link: P::Link, stream: P::Stream, data: &mut Bytes) {
        self.weigh(|peer| peer.write(link, stream, data));
    }

    fn finish(&mut self, link: P::Link, stream: P::Stream) {
        self.weigh(|peer| peer.finish(link, stream));
    }

    fn read(&mut self, link: P::Link, stream: P::Stream, look: impl FnMut(&[u8])) -> bool {
        self.weigh(|peer| peer.read(link, stream, look))
    }
}

/// Weighs connections that are established, confirmed and idle, then counts what a transfer allocates.
pub fn footprint<P: Peer>(terms: &Terms) -> Result<Run, Fault> {
    let few = Terms { streams: terms::FEW_STREAMS, ..*terms };
    let mut pair = Pair::<Weighed<P>>::new(&few, Wire::Short);
    for _ in 0..CONNECTIONS {
        pair.connect()?;
    }
    pair.rest(REST)?;
    let kilobytes = |side: &Weighed<P>| side.taken.bytes as f64 / f64::from(CONNECTIONS) / 1e3;
    let [client, server] = pair.sides.each_ref().map(kilobytes);

    let mut pair = Pair::<Weighed<P>>::new(terms, Wire::Short);
    let links = pair.connect()?;
    WARM_UP.carry(&mut pair, links, Look::Compare)?;
    let before = pair.sides.each_ref().map(|side| side.taken.allocations);
    let datagrams = COUNTED.carry(&mut pair, links, Look::Compare)?.datagrams;
    let taken: usize =
        pair.sides.iter().zip(before).map(|(side, before)| side.taken.allocations - before).sum();
    let figures = vec![
        (Quantity::ClientHeap, client),
        (Quantity::ServerHeap, server),
        (Quantity::Allocations, taken as f64 / datagrams as f64),
    ];
    Ok(Run { figures, datagrams })
}
