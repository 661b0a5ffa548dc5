//! The network between hosts: links by address, translators, taps, and the datagrams on their way.
//!
//! Knows nothing of QUIC. A datagram is translated and tapped when it is sent, runs along the link between the two
//! public addresses, and is translated back and handed to whoever holds its destination when it arrives.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use peregrine::{Ecn, Instant};

use super::dice::Dice;
use super::link::{Link, Wire};
use super::nat::Nat;
use super::shape::Shape;
use super::trace::Trace;

/// Who holds an address: a number that the world gives its hosts.
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
    /// It goes on its way so much later.
    Delay(Duration),
    /// Another goes in its place.
    Replace(Vec<u8>),
    /// It goes on, and a copy is sent so much later with these addresses.
    Copy {
        /// Whom the copy claims to come from.
        from: SocketAddr,
        /// Where it goes to.
        to: SocketAddr,
        /// When it is sent.
        after: Duration,
    },
}

/// Sees each datagram on the network, with its public addresses, before its link takes it.
pub type Tap = Box<dyn FnMut(Instant, &Datagram) -> Verdict>;

/// Who gets a datagram whose destination several hosts share; `None`: who holds it.
pub type Balancer = Box<dyn FnMut(&Datagram) -> Option<HostId>>;

/// From where to where a link is meant; `None`: any address.
type Rule = (Option<IpAddr>, Option<IpAddr>, Link);

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
pub struct Network {
    seed: u64,
    rules: Vec<Rule>,
    wires: BTreeMap<(IpAddr, IpAddr), Wire>,
    nats: Vec<Nat>,
    holders: BTreeMap<SocketAddr, HostId>,
    taps: Vec<Tap>,
    balancer: Option<Balancer>,
    flights: BinaryHeap<Reverse<Flight>>,
    /// Datagrams on their way, and the slots and buffers that are free again.
    cargo: Vec<Option<Datagram>>,
    free: Vec<usize>,
    spare: Vec<Vec<u8>>,
    sent: u64,
    /// What was sent.
    pub trace: Trace,
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
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            rules: vec![(None, None, Link::delay(Duration::from_millis(10)))],
            wires: BTreeMap::new(),
            nats: Vec::new(),
            holders: BTreeMap::new(),
            taps: Vec::new(),
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
    pub fn link(&mut self, from: Option<IpAddr>, to: Option<IpAddr>, link: Link) {
        for (_, wire) in self.wires.iter_mut().filter(|(ends, _)| fits(from, to, **ends)) {
            wire.set(link.clone());
        }
        self.rules.retain(|(rule_from, rule_to, _)| (*rule_from, *rule_to) != (from, to));
        self.rules.push((from, to, link));
    }

    /// Puts a translator in front of the hosts it names.
    pub fn nat(&mut self, nat: Nat) {
        self.nats.push(nat);
    }

    /// The translator this host stands behind.
    pub fn nat_of(&mut self, inside: IpAddr) -> Option<&mut Nat> {
        self.nats.iter_mut().find(|nat| nat.shields(inside))
    }

    /// Adds a tap; each sees what the ones before let pass.
    pub fn tap(&mut self, tap: Tap) {
        self.taps.push(tap);
    }

    /// Puts a load balancer in front of all hosts: it says who gets what arrives.
    pub fn balance(&mut self, balancer: Balancer) {
        self.balancer = Some(balancer);
    }

    /// This host holds this address now; whoever held it does not.
    pub fn attach(&mut self, address: SocketAddr, host: HostId) {
        self.holders.insert(address, host);
    }

    /// Nobody holds this address any more.
    pub fn detach(&mut self, address: SocketAddr) {
        self.holders.remove(&address);
    }

    /// A buffer that was used before, empty, or a new one.
    pub fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes a buffer back.
    pub fn recycle(&mut self, mut buffer: Vec<u8>) {
        if self.spare.len() < 256 {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// A host sends a datagram from an address of its own.
    pub fn send(&mut self, now: Instant, mut datagram: Datagram) {
        let (from, to) = (datagram.from, datagram.to);
        if let Some(nat) = self.nat_of(from.ip()) {
            datagram.from = nat.outward(now, from, to);
        }
        self.put(now, datagram);
    }

    /// Puts a datagram on the network as it is, whoever it claims to come from; taps see it too.
    pub fn put(&mut self, now: Instant, mut datagram: Datagram) {
        self.trace.datagram(now, datagram.from, datagram.to, datagram.payload.len());
        let mut taps = std::mem::take(&mut self.taps);
        let mut delay = None;
        for tap in &mut taps {
            match tap(now, &datagram) {
                Verdict::Pass => {}
                Verdict::Drop => {
                    self.taps = taps;
                    return self.lose(now, datagram, "tap");
                }
                Verdict::Delay(by) => delay = Some(by),
                Verdict::Replace(payload) => datagram.payload = payload,
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
        let Some(ecn) = self.wire(datagram.from.ip(), datagram.to.ip()).mark(datagram.ecn) else {
            return self.lose(now, datagram, "its mark");
        };
        datagram.ecn = ecn;
        match self.wire(datagram.from.ip(), datagram.to.ip()).carry(now, datagram.payload.len()) {
            Err(loss) => self.lose(now, datagram, &format!("{loss:?}")),
            Ok(carried) => {
                let arrives = carried.at;
                self.note(now, &datagram, |line| format!("{line}  (arrives in {:?})", arrives.since(now)));
                if let Some(again) = carried.again {
                    self.launch(again, datagram.clone(), false);
                }
                if let Some(bit) = carried.flipped {
                    datagram.payload[bit / 8] ^= 1 << (bit % 8);
                }
                self.launch(carried.at, datagram, false);
            }
        }
    }

    fn wire(&mut self, from: IpAddr, to: IpAddr) -> &mut Wire {
        let (rules, seed) = (&self.rules, self.seed);
        self.wires.entry((from, to)).or_insert_with(|| {
            let rule = rules.iter().rev().find(|(a, b, _)| fits(*a, *b, (from, to)));
            let (_, _, link) = rule.expect("the first rule fits all");
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
    pub fn next(&self) -> Option<Instant> {
        self.flights.peek().map(|Reverse(flight)| flight.at)
    }

    /// The next datagram that has arrived by now, and the host that gets it.
    pub fn receive(&mut self, now: Instant) -> Option<(HostId, Datagram)> {
        while self.next().is_some_and(|at| at <= now) {
            let Reverse(flight) = self.flights.pop()?;
            self.free.push(flight.slot);
            let mut datagram = self.cargo[flight.slot].take().expect("a flight has its cargo");
            if flight.pending {
                self.carry(flight.at, datagram);
                continue;
            }
            if let Some(nat) = self.nats.iter_mut().find(|nat| nat.answers_to(datagram.to.ip())) {
                let (from, to) = (datagram.from, datagram.to);
                let Some(inside) = nat.inward(now, from, to) else {
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

fn fits(from: Option<IpAddr>, to: Option<IpAddr>, ends: (IpAddr, IpAddr)) -> bool {
    from.is_none_or(|from| from == ends.0) && to.is_none_or(|to| to == ends.1)
}

#[cfg(test)]
mod tests;
