//! What must never happen, seen from outside: from datagrams and events, without any key.
//!
//! A broken rule panics where it is broken, so that the log ends there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use peregrine::{ConnectionEvent, ConnectionHandle, Instant};

use super::network::{Datagram, HostId};
use super::shape::{Kind, Shape};

/// The largest seek, in bytes: the only thing that may go to an address nothing came from.
const SEEK: usize = 60;
/// Seeks in one second that one connection may send to one address: three quick rounds, and four slow ones, and the
/// first of another search.
const SEEKS_A_SECOND: usize = 8;
/// Datagrams in which a client asks at an address that its server prefers, and their size (RFC 9000, Section 8.2.1).
const PROBES: (u32, usize) = (3, 1200);
/// The smallest datagram with a client's Initial (RFC 9000, Section 14.1).
const INITIAL: usize = 1200;

/// What went between a host and one address.
#[derive(Debug, Default)]
struct Pair {
    received: u64,
    sent: u64,
    /// Bytes sent as seeks, on top of the budget.
    seeks: VecDeque<Instant>,
    /// Full-size probes to where a client's server wants to be.
    probes: u32,
    /// A Retry went there: an Initial that answers it proves the address by its token (RFC 9000, Section 8.1.2).
    retried: bool,
    /// Something came from there that can only be an answer.
    proved: bool,
}

impl Pair {
    /// Whether something went there that can be answered.
    fn was_asked(&self) -> bool {
        self.sent > 0 || self.probes > 0 || !self.seeks.is_empty()
    }
}

/// Looks at every datagram and every event.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    pairs: BTreeMap<(HostId, SocketAddr), Pair>,
    relays: BTreeSet<SocketAddr>,
    connected: BTreeSet<(HostId, ConnectionHandle)>,
    closed: BTreeSet<(HostId, ConnectionHandle)>,
}

impl Watch {
    /// A host chooses to connect to an address: nothing limits what goes there.
    pub(crate) fn on_connect(&mut self, host: HostId, remote: SocketAddr) {
        self.pairs.entry((host, remote)).or_default().proved = true;
    }

    /// Answers of anybody may come from there.
    pub(crate) fn on_relay(&mut self, relay: SocketAddr) {
        self.relays.insert(relay);
    }

    /// A host has lost its memory.
    pub(crate) fn on_restart(&mut self, host: HostId) {
        self.pairs.retain(|(of, _), _| *of != host);
        self.connected.retain(|(of, _)| *of != host);
        self.closed.retain(|(of, _)| *of != host);
    }

    /// A host gets a datagram.
    pub(crate) fn on_received(&mut self, host: HostId, datagram: &Datagram) {
        let pair = self.pairs.entry((host, datagram.from)).or_default();
        pair.received += datagram.payload.len() as u64;
        let shape = Shape::of(&datagram.payload);
        // Only what came after we sent something can be an answer, and an Initial proves nothing.
        let answers = shape.has(Kind::Handshake) || shape.has(Kind::OneRtt);
        pair.proved |= answers && pair.was_asked() || pair.retried && shape.has(Kind::Initial);
        if answers && self.relays.contains(&datagram.from) {
            let others = self.pairs.iter_mut().filter(|((of, _), pair)| *of == host && pair.was_asked());
            others.for_each(|(_, pair)| pair.proved = true);
        }
    }

    /// A host, a client or not, with so many connections sends a datagram.
    pub(crate) fn on_sent(
        &mut self,
        now: Instant,
        host: (HostId, bool),
        connections: usize,
        datagram: &Datagram,
    ) {
        let (host, is_client) = host;
        let (to, len) = (datagram.to, datagram.payload.len());
        let pair = self.pairs.entry((host, to)).or_default();
        if pair.proved {
            return;
        }
        pair.retried |= Shape::of(&datagram.payload).has(Kind::Retry);
        if pair.sent + len as u64 <= 3 * pair.received {
            pair.sent += len as u64;
            return;
        }
        if is_client && len == PROBES.1 && pair.probes < PROBES.0 {
            pair.probes += 1;
            return;
        }
        let (sent, received) = (pair.sent, pair.received);
        assert!(
            len <= SEEK,
            "{now:?}: {host:?} sends {len} bytes to {to}, unproved, after {sent} sent and {received} received"
        );
        pair.seeks.push_back(now);
        while pair.seeks.front().is_some_and(|at| now.since(*at) >= Duration::from_secs(1)) {
            pair.seeks.pop_front();
        }
        let limit = SEEKS_A_SECOND * connections.max(1);
        assert!(pair.seeks.len() <= limit, "{now:?}: {host:?} seeks {to} more than {limit} times a second");
    }

    /// A client's Initial is to be large.
    pub(crate) fn on_client_sent(&mut self, now: Instant, datagram: &Datagram) {
        let small = datagram.payload.len() < INITIAL;
        assert!(
            !small || !Shape::of(&datagram.payload).has(Kind::Initial),
            "{now:?}: a client's Initial is small"
        );
    }

    /// A connection says something.
    pub(crate) fn on_event(
        &mut self,
        now: Instant,
        host: HostId,
        handle: ConnectionHandle,
        event: &ConnectionEvent,
    ) {
        let over = self.closed.contains(&(host, handle));
        assert!(!over, "{now:?}: {handle:?} of {host:?} says {event:?} after its end");
        match event {
            ConnectionEvent::Connected { .. } => {
                assert!(
                    self.connected.insert((host, handle)),
                    "{now:?}: {handle:?} of {host:?} connected twice"
                );
            }
            ConnectionEvent::Closed(_) => {
                self.closed.insert((host, handle));
            }
            _ => {}
        }
    }
}
