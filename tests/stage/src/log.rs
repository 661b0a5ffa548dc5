//! What a test sees of all datagrams, from outside.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use peregrine::{ConnectionId, Instant, peek};

use peregrine_sim::{Verdict, World};

/// Every datagram: when, from where, to where, and what is in it.
pub type Log = Rc<RefCell<Vec<(Instant, SocketAddr, SocketAddr, Vec<u8>)>>>;

/// Keeps all datagrams from now on.
pub fn watch(world: &mut World) -> Log {
    let log = Log::default();
    let seen = Rc::clone(&log);
    world.tap(move |now, datagram| {
        seen.borrow_mut().push((now, datagram.from, datagram.to, datagram.payload.clone()));
        Verdict::Pass
    });
    log
}

/// No connection ID of eight bytes was seen on two paths.
#[track_caller]
pub fn assert_no_id_was_on_two_paths(log: &Log) {
    let mut seen: BTreeMap<ConnectionId, (SocketAddr, SocketAddr)> = BTreeMap::new();
    for (at, from, to, payload) in log.borrow().iter() {
        let Some(id) = peek(payload, 8) else { continue };
        let path = *seen.entry(id).or_insert((*from, *to));
        assert_eq!(path, (*from, *to), "{at:?}: {id:?} is on two paths");
    }
}
