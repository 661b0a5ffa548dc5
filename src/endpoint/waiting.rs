//! Clients that wait for the application's answer (RFC 9000, Section 5.2.2).
//!
//! Known by the ID their Initial went to *and* by their address; both go with the client, whatever becomes of it. A full
//! queue drops the newcomer, unless the newcomer's address is proved and another's is not: then the oldest such makes
//! room. Of datagrams that follow a client's first, those beyond 3 KiB are dropped. Bound: as many clients as the
//! endpoint's configuration says, each with at most 6 KiB.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::tokens::Proof;
use crate::connection::Caller;
use crate::event::TimerKind;
use crate::id::{ConnectionId, IncomingHandle};
use crate::net::{Ecn, FourTuple, Local};
use crate::time::Instant;

/// Bytes of a client's first datagram, and of all that follow it.
const MAX_BYTES: usize = 3 << 10;

/// What shows that a client is where it says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressProof {
    /// It answered a Retry.
    Retry,
    /// It has a token of an earlier connection.
    Token,
}

/// A client that wants to connect, and waits for the application's answer.
#[derive(Debug)]
pub struct Incoming {
    pub(super) path: FourTuple,
    pub(super) caller: Caller,
    pub(super) proof: Proof,
    pub(super) datagrams: Vec<(Ecn, Vec<u8>)>,
    /// Bytes of all datagrams but the first.
    more: usize,
    deadline: Instant,
}

impl Incoming {
    /// Where it says it is; true only if it is [validated](Self::validated).
    pub fn remote(&self) -> SocketAddr {
        self.path.remote
    }

    /// Our own end.
    pub fn local(&self) -> Local {
        self.path.local
    }

    /// What shows that it is there. `None`: nothing does, and a Retry would ask for it.
    pub fn validated(&self) -> Option<AddressProof> {
        match self.proof {
            Proof::Retried { .. } => Some(AddressProof::Retry),
            Proof::Earlier { .. } => Some(AddressProof::Token),
            Proof::Nothing | Proof::Invalid => None,
        }
    }

    /// The random ID that its very first Initial went to.
    pub fn original_dcid(&self) -> ConnectionId {
        self.caller.before_retry.unwrap_or(self.caller.dcid)
    }
}

/// All clients that wait.
#[derive(Debug, Default)]
pub struct Waiting {
    /// In the order of their coming, which is that of their deadlines.
    clients: BTreeMap<IncomingHandle, Incoming>,
    names: BTreeMap<(ConnectionId, SocketAddr), IncomingHandle>,
    unproved: BTreeSet<IncomingHandle>,
    next: u64,
    /// The first that the application was not told of.
    untold: u64,
}

impl Waiting {
    /// How many wait whose address is not proved.
    pub fn unproved(&self) -> usize {
        self.unproved.len()
    }

    /// Keeps a datagram with a client that waits already; false if it is of none.
    pub fn follow(&mut self, remote: SocketAddr, dcid: ConnectionId, ecn: Ecn, datagram: &[u8]) -> bool {
        let known = self.names.get(&(dcid, remote));
        let Some(client) = known.and_then(|handle| self.clients.get_mut(handle)) else { return false };
        let repeated = client.datagrams.iter().any(|(_, kept)| kept == datagram);
        if !repeated && client.more + datagram.len() <= MAX_BYTES {
            client.more += datagram.len();
            client.datagrams.push((ecn, datagram.to_vec()));
        }
        true
    }

    /// A client begins to wait, of `limit` at most; false if there is no room for it.
    pub fn add(
        &mut self,
        limit: usize,
        deadline: Instant,
        (path, caller, proof): (FourTuple, Caller, Proof),
        ecn: Ecn,
        datagram: &[u8],
    ) -> bool {
        if datagram.len() > MAX_BYTES {
            return false;
        }
        if self.clients.len() >= limit {
            let oldest = self.unproved.first().copied().filter(|_| proof.is_valid());
            if oldest.and_then(|oldest| self.take(oldest)).is_none() {
                return false;
            }
        }
        let handle = IncomingHandle(self.next);
        self.next += 1;
        if !proof.is_valid() {
            self.unproved.insert(handle);
        }
        self.names.insert((caller.dcid, path.remote), handle);
        let datagrams = vec![(ecn, datagram.to_vec())];
        self.clients.insert(handle, Incoming { path, caller, proof, datagrams, more: 0, deadline });
        true
    }

    /// The next one that the application is to be told of.
    #[inline]
    pub fn poll(&mut self) -> Option<IncomingHandle> {
        if self.untold == self.next {
            return None;
        }
        let (handle, _) = self.clients.range(IncomingHandle(self.untold)..).next()?;
        self.untold = handle.0 + 1;
        Some(*handle)
    }

    /// A client that waits.
    pub fn get(&self, handle: IncomingHandle) -> Option<&Incoming> {
        self.clients.get(&handle)
    }

    /// A client waits no longer.
    pub fn take(&mut self, handle: IncomingHandle) -> Option<Incoming> {
        let client = self.clients.remove(&handle)?;
        self.names.remove(&(client.caller.dcid, client.path.remote));
        self.unproved.remove(&handle);
        Some(client)
    }

    /// When the first one has waited too long.
    pub fn deadline(&self) -> Option<(Instant, TimerKind)> {
        self.clients.first_key_value().map(|(_, client)| (client.deadline, TimerKind::Handshake))
    }

    /// Forgets those that have waited too long.
    pub fn expire(&mut self, now: Instant) {
        while let Some((&handle, client)) = self.clients.first_key_value()
            && client.deadline <= now
        {
            self.take(handle);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Version;

    fn id(byte: u8) -> ConnectionId {
        ConnectionId::new(&[byte; 8]).expect("eight bytes are a connection ID")
    }

    fn client(number: u8, proof: Proof) -> (FourTuple, Caller, Proof) {
        let path = FourTuple { local: Local::default(), remote: ([192, 0, 2, number], 5000).into() };
        let (dcid, scid, proved) = (id(number), id(99), proof.is_valid());
        (path, Caller { version: Version::V1, dcid, scid, before_retry: None, proved }, proof)
    }

    const PROVED: Proof = Proof::Earlier { salt: [7; 16] };

    fn add(waiting: &mut Waiting, number: u8, proof: Proof) -> bool {
        let deadline = Instant::from_millis(1000 + u64::from(number));
        waiting.add(3, deadline, client(number, proof), Ecn::NotEct, &[number; 1200])
    }

    fn told(waiting: &mut Waiting) -> Vec<u8> {
        let handles: Vec<_> = std::iter::from_fn(|| waiting.poll()).collect();
        handles.iter().filter_map(|handle| waiting.get(*handle)).map(|client| client.caller.dcid[0]).collect()
    }

    #[test]
    fn each_client_is_told_of_once_and_a_datagram_that_follows_is_kept_with_it() {
        let mut waiting = Waiting::default();
        assert!(add(&mut waiting, 1, Proof::Nothing) && add(&mut waiting, 2, Proof::Nothing));
        let remote: SocketAddr = ([192, 0, 2, 1], 5000).into();
        assert!(waiting.follow(remote, id(1), Ecn::NotEct, &[5; 1200]));
        assert_eq!(told(&mut waiting), [1, 2]);
        assert!(told(&mut waiting).is_empty());
        let first = waiting.take(IncomingHandle(0)).expect("it waits");
        assert_eq!(first.datagrams.len(), 2);
    }

    #[test]
    fn a_datagram_to_the_same_id_from_elsewhere_is_of_another_client() {
        let mut waiting = Waiting::default();
        assert!(add(&mut waiting, 1, Proof::Nothing));
        let elsewhere: SocketAddr = ([192, 0, 2, 2], 5000).into();
        assert!(!waiting.follow(elsewhere, id(1), Ecn::NotEct, &[1; 1200]));
    }

    #[test]
    fn nothing_is_left_of_a_client_that_was_taken() {
        let mut waiting = Waiting::default();
        assert!(add(&mut waiting, 1, Proof::Nothing));
        assert!(waiting.take(IncomingHandle(0)).is_some());
        assert!(waiting.take(IncomingHandle(0)).is_none());
        assert!(waiting.clients.is_empty() && waiting.names.is_empty() && waiting.unproved.is_empty());
        assert!(told(&mut waiting).is_empty());
    }

    #[test]
    fn what_follows_is_kept_up_to_three_kibibytes() {
        let mut waiting = Waiting::default();
        assert!(add(&mut waiting, 1, Proof::Nothing));
        let remote: SocketAddr = ([192, 0, 2, 1], 5000).into();
        for byte in 10..200 {
            assert!(waiting.follow(remote, id(1), Ecn::NotEct, &[byte; 1200]));
        }
        assert_eq!(waiting.get(IncomingHandle(0)).map(|client| client.datagrams.len()), Some(3));
    }

    #[test]
    fn a_full_queue_drops_the_newcomer() {
        let mut waiting = Waiting::default();
        let kept: Vec<_> = (1..6).filter(|number| add(&mut waiting, *number, Proof::Nothing)).collect();
        assert_eq!(kept, [1, 2, 3]);
        assert_eq!(waiting.clients.len(), 3);
    }

    #[test]
    fn a_proved_newcomer_takes_the_place_of_the_oldest_that_is_not() {
        let mut waiting = Waiting::default();
        assert!(add(&mut waiting, 1, PROVED));
        assert!(add(&mut waiting, 2, Proof::Nothing) && add(&mut waiting, 3, Proof::Nothing));
        assert!(add(&mut waiting, 4, PROVED) && add(&mut waiting, 5, PROVED));
        assert!(!add(&mut waiting, 6, PROVED));
        assert_eq!(told(&mut waiting), [1, 4, 5]);
        assert_eq!((waiting.unproved(), waiting.names.len()), (0, 3));
    }

    #[test]
    fn nobody_waits_for_ever() {
        let mut waiting = Waiting::default();
        assert!(add(&mut waiting, 1, Proof::Nothing) && add(&mut waiting, 2, Proof::Nothing));
        assert_eq!(waiting.deadline().map(|(at, _)| at), Some(Instant::from_millis(1001)));
        waiting.expire(Instant::from_millis(1001));
        assert_eq!(told(&mut waiting), [2]);
        waiting.expire(Instant::from_millis(5000));
        assert!(waiting.deadline().is_none() && waiting.names.is_empty());
    }
}
