//! The network between hosts: links by address, translators, taps, and the datagrams on their way.
//!
//! Knows nothing of QUIC. A datagram is translated and tapped when it is sent, runs along the link between the two
//! public addresses, and is translated back and handed to whoever holds its destination when it arrives.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use peregrine::{Ecn, Instant};

use super::dice::Dice;
use super::link::{Link, Wire};
use super::nat::Nat;
use super::shape::Shape;
use super::trace::Trace;

/// Who holds an address: a number that the world gives its hosts, the first is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub usize);

/// A datagram as its receiver sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// Where it comes from, after translation.
    pub from: SocketAddr,
    /// Where it goes to.
    pub to: SocketAddr,
    /// How it is marked.
    pub ecn: Ecn,
    /// What is in it.
    pub payload: Vec<u8>,
}

impl Datagram {
    /// A datagram without a mark.
    pub fn new(from: SocketAddr, to: SocketAddr, payload: Vec<u8>) -> Self {
        Self { from, to, ecn: Ecn::NotEct, payload }
    }
}

/// What a tap does to a datagram that passes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Pass,
    /// It is gone.
    Drop,
    /// It begins its way so much later.
    Delay(Duration),
    /// Another payload goes in its place.
    Replace(Vec<u8>),
    /// It goes on with one bit turned: the first of the first byte is 0. Nothing happens beyond its end.
    Corrupt {
        /// Which bit.
        bit: usize,
    },
    /// It goes on, and a copy is sent so much later with these addresses. No tap sees the copy.
    Copy {
        /// Whom the copy claims to come from.
        from: SocketAddr,
        /// Where it goes to.
        to: SocketAddr,
        /// When it is sent.
        after: Duration,
    },
}

/// A tap, to be taken away again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TapId(u64);

/// Sees each datagram on the network, with its public addresses, before its link takes it.
pub(crate) type Tap = Box<dyn FnMut(Instant, &Datagram) -> Verdict>;

/// Who gets a datagram whose destination several hosts share; `None`: who holds it.
pub(crate) type Balancer = Box<dyn FnMut(&Datagram) -> Option<HostId>>;

/// From where to where a link is meant; `None`: any address.
type Ends = (Option<IpAddr>, Option<IpAddr>);

/// A link, and its place among those that were set: the latest that fits holds.
type Rule = (u64, Link);

/// A datagram on its way, in order of arrival; those that arrive at once, in order of sending.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    at: Instant,
    number: u64,
    slot: usize,
    /// Not sent yet: a copy or a delayed datagram that has its link before it.
    pending: bool,
}

/// All that lies between the hosts.
pub(crate) struct Network {
    seed: u64,
    rules: BTreeMap<Ends, Rule>,
    rules_set: u64,
    wires: BTreeMap<(IpAddr, IpAddr), Wire>,
    /// Addresses that nothing comes from or goes to.
    cut: BTreeSet<IpAddr>,
    nats: Vec<Nat>,
    /// Where in `nats` the translator in front of an address stands.
    shields: BTreeMap<IpAddr, usize>,
    /// Where in `nats` the one with a public address stands.
    publics: BTreeMap<IpAddr, usize>,
    holders: BTreeMap<SocketAddr, HostId>,
    taps: Vec<(TapId, Tap)>,
    taps_set: u64,
    balancer: Option<Balancer>,
    flights: BinaryHeap<Reverse<Flight>>,
    /// Datagrams on their way, and the slots and buffers that are free again.
    cargo: Vec<Option<Datagram>>,
    free: Vec<usize>,
    spare: Vec<Vec<u8>>,
    sent: u64,
    /// What was sent.
    pub(crate) trace: Trace,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("holders", &self.holders)
            .field("on_their_way", &self.flights.len())
            .field("trace", &self.trace)
            .finish_non_exhaustive()
    }
}

impl Network {
    /// A network whose every path is perfect and takes 10 ms one way.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            rules: BTreeMap::from([((None, None), (0, Link::delay(Duration::from_millis(10))))]),
            rules_set: 0,
            wires: BTreeMap::new(),
            cut: BTreeSet::new(),
            nats: Vec::new(),
            shields: BTreeMap::new(),
            publics: BTreeMap::new(),
            holders: BTreeMap::new(),
            taps: Vec::new(),
            taps_set: 0,
            balancer: None,
            flights: BinaryHeap::new(),
            cargo: Vec::new(),
            free: Vec::new(),
            spare: Vec::new(),
            sent: 0,
            trace: Trace::default(),
        }
    }

    /// From now on datagrams between these (public) addresses travel like this; `None` means any address, and the
    /// newest rule that fits holds.
    pub(crate) fn link(&mut self, from: Option<IpAddr>, to: Option<IpAddr>, link: Link) {
        for (_, wire) in self.wires.iter_mut().filter(|(ends, _)| fits(from, to, **ends)) {
            wire.set(link.clone());
        }
        self.rules_set += 1;
        self.rules.insert((from, to), (self.rules_set, link));
    }

    /// Nothing comes from this address or goes to it.
    pub(crate) fn cut(&mut self, address: IpAddr) {
        self.cut.insert(address);
    }

    /// The links of this address behave as they did before it was cut off.
    pub(crate) fn mend(&mut self, address: IpAddr) {
        self.cut.remove(&address);
    }

    /// Puts a translator in front of the hosts it names.
    pub(crate) fn nat(&mut self, nat: Nat) {
        let index = self.nats.len();
        for inside in nat.inside() {
            self.shields.entry(inside).or_insert(index);
        }
        self.publics.entry(nat.public()).or_insert(index);
        self.nats.push(nat);
    }

    /// The translator in front of a host forgets, and is at another public address if one is given.
    pub(crate) fn rebind_nat(&mut self, inside: IpAddr, public: Option<IpAddr>) {
        let index = *self.shields.get(&inside).expect("the host stands behind a translator");
        let nat = &mut self.nats[index];
        self.publics.remove(&nat.public());
        nat.rebind(public);
        self.publics.insert(nat.public(), index);
    }

    /// Adds a tap; each sees what the ones before let pass.
    pub(crate) fn tap(&mut self, tap: Tap) -> TapId {
        self.taps_set += 1;
        self.taps.push((TapId(self.taps_set), tap));
        TapId(self.taps_set)
    }

    /// Takes a tap away.
    pub(crate) fn untap(&mut self, tap: TapId) {
        self.taps.retain(|(id, _)| *id != tap);
    }

    /// Puts a load balancer in front of all hosts: it says who gets what arrives.
    pub(crate) fn balance(&mut self, balancer: Balancer) {
        self.balancer = Some(balancer);
    }

    /// This host holds this address now; whoever held it does not.
    pub(crate) fn attach(&mut self, address: SocketAddr, host: HostId) {
        self.holders.insert(address, host);
    }

    /// Nobody holds this address any more.
    pub(crate) fn detach(&mut self, address: SocketAddr) {
        self.holders.remove(&address);
    }

    /// A buffer that was used before, empty, or a new one.
    pub(crate) fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes a buffer back.
    pub(crate) fn recycle(&mut self, mut buffer: Vec<u8>) {
        if self.spare.len() < 256 {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// A host sends a datagram from an address of its own.
    pub(crate) fn send(&mut self, now: Instant, mut datagram: Datagram) {
        let (from, to) = (datagram.from, datagram.to);
        if let Some(index) = self.shields.get(&from.ip()) {
            datagram.from = self.nats[*index].outward(now, from, to);
        }
        self.put(now, datagram);
    }

    /// Puts a datagram on the network as it is, whoever it claims to come from; taps see it too.
    pub(crate) fn put(&mut self, now: Instant, mut datagram: Datagram) {
        self.trace.datagram(now, datagram.from, datagram.to, datagram.payload.len());
        let mut taps = std::mem::take(&mut self.taps);
        let mut delay = None;
        for (_, tap) in &mut taps {
            match tap(now, &datagram) {
                Verdict::Pass => {}
                Verdict::Drop => {
                    self.taps = taps;
                    return self.lose(now, datagram, "tap");
                }
                Verdict::Delay(by) => delay = Some(by),
                Verdict::Replace(payload) => datagram.payload = payload,
                Verdict::Corrupt { bit } => turn(&mut datagram.payload, bit),
                Verdict::Copy { from, to, after } => {
                    let copy = Datagram { from, to, ..datagram.clone() };
                    self.launch(now + after, copy, true);
                }
            }
        }
        self.taps = taps;
        match delay {
            Some(by) => self.launch(now + by, datagram, true),
            None => self.carry(now, datagram),
        }
    }

    /// Puts a datagram on its link.
    fn carry(&mut self, now: Instant, mut datagram: Datagram) {
        if [datagram.from, datagram.to].iter().any(|end| self.cut.contains(&end.ip())) {
            return self.lose(now, datagram, "cut off");
        }
        let Some(ecn) = self.wire(datagram.from.ip(), datagram.to.ip()).mark(datagram.ecn) else {
            return self.lose(now, datagram, "its mark");
        };
        datagram.ecn = ecn;
        match self.wire(datagram.from.ip(), datagram.to.ip()).carry(now, datagram.payload.len()) {
            Err(loss) => self.lose(now, datagram, loss.name()),
            Ok(carried) => {
                let arrives = carried.at;
                self.note(now, &datagram, |line| format!("{line}  (arrives in {:?})", arrives.since(now)));
                if let Some(again) = carried.again {
                    self.launch(again, datagram.clone(), false);
                }
                if let Some(bit) = carried.flipped {
                    turn(&mut datagram.payload, bit);
                }
                self.launch(carried.at, datagram, false);
            }
        }
    }

    fn wire(&mut self, from: IpAddr, to: IpAddr) -> &mut Wire {
        let (rules, seed) = (&self.rules, self.seed);
        self.wires.entry((from, to)).or_insert_with(|| {
            let ends = [(Some(from), Some(to)), (Some(from), None), (None, Some(to)), (None, None)];
            let rule = ends.iter().filter_map(|ends| rules.get(ends)).max_by_key(|(set, _)| *set);
            let (_, link) = rule.expect("the first rule fits all");
            Wire::new(link.clone(), Dice::named(seed, &format!("link {from} {to}")))
        })
    }

    fn launch(&mut self, at: Instant, datagram: Datagram, pending: bool) {
        let slot = self.free.pop().unwrap_or(self.cargo.len());
        if slot == self.cargo.len() {
            self.cargo.push(None);
        }
        self.cargo[slot] = Some(datagram);
        self.sent += 1;
        self.flights.push(Reverse(Flight { at, number: self.sent, slot, pending }));
    }

    fn lose(&mut self, now: Instant, datagram: Datagram, why: &str) {
        self.note(now, &datagram, |line| format!("{line}  LOST: {why}"));
        self.recycle(datagram.payload);
    }

    fn note(&mut self, now: Instant, datagram: &Datagram, text: impl FnOnce(String) -> String) {
        let Datagram { from, to, payload, .. } = datagram;
        self.trace.note(now, || text(format!("{from} > {to}  {:4}  {}", payload.len(), Shape::of(payload))));
    }

    /// When something happens next.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.flights.peek().map(|Reverse(flight)| flight.at)
    }

    /// The next datagram that has arrived by now, and the host that gets it.
    pub(crate) fn receive(&mut self, now: Instant) -> Option<(HostId, Datagram)> {
        while self.next().is_some_and(|at| at <= now) {
            let Reverse(flight) = self.flights.pop()?;
            self.free.push(flight.slot);
            let mut datagram = self.cargo[flight.slot].take().expect("a flight has its cargo");
            if flight.pending {
                self.carry(flight.at, datagram);
                continue;
            }
            if let Some(index) = self.publics.get(&datagram.to.ip()) {
                let (from, to) = (datagram.from, datagram.to);
                let Some(inside) = self.nats[*index].inward(now, from, to) else {
                    self.lose(now, datagram, "NAT");
                    continue;
                };
                datagram.to = inside;
            }
            let chosen = self.balancer.as_mut().and_then(|choose| choose(&datagram));
            match chosen.or_else(|| self.holders.get(&datagram.to).copied()) {
                Some(host) => return Some((host, datagram)),
                None => self.lose(now, datagram, "nobody there"),
            }
        }
        None
    }
}

/// Turns a bit, if there is such a one.
fn turn(payload: &mut [u8], bit: usize) {
    if let Some(byte) = payload.get_mut(bit / 8) {
        *byte ^= 0x80 >> (bit % 8);
    }
}

fn fits(from: Option<IpAddr>, to: Option<IpAddr>, ends: (IpAddr, IpAddr)) -> bool {
    from.is_none_or(|from| from == ends.0) && to.is_none_or(|to| to == ends.1)
}

#[cfg(test)]
mod tests;
