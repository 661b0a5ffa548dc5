//! Packets that belong at another server behind the same load balancer, until the embedder is told of them.
//!
//! Strangers can make up such packets at will, so no more than a few wait; further ones are only counted.

use std::collections::VecDeque;

use crate::id::ConnectionId;

/// How many wait to be told, at most.
const MAX_WAITING: usize = 64;

/// The IDs of packets that came to the wrong server.
#[derive(Debug, Default)]
pub struct Misrouted(VecDeque<ConnectionId>);

impl Misrouted {
    /// A packet for another server came here; nothing is kept of it if too many wait.
    #[cold]
    pub fn note(&mut self, id: ConnectionId) {
        if self.0.len() < MAX_WAITING {
            self.0.push_back(id);
        }
    }

    /// The next to be told.
    pub fn poll(&mut self) -> Option<ConnectionId> {
        self.0.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u16) -> ConnectionId {
        ConnectionId::new(&n.to_be_bytes()).expect("two bytes")
    }

    #[test]
    fn each_is_told_once_in_order() {
        let mut misrouted = Misrouted::default();
        [3, 1, 2].into_iter().for_each(|n| misrouted.note(id(n)));
        assert_eq!(std::iter::from_fn(|| misrouted.poll()).collect::<Vec<_>>(), [id(3), id(1), id(2)]);
        assert_eq!(misrouted.poll(), None);
    }

    #[test]
    fn a_flood_leaves_the_first_64_and_room_for_more_once_they_are_told() {
        let mut misrouted = Misrouted::default();
        (0..10_000).for_each(|n| misrouted.note(id(n)));
        assert_eq!(std::iter::from_fn(|| misrouted.poll()).count(), 64);
        misrouted.note(id(7));
        assert_eq!(misrouted.poll(), Some(id(7)));
    }
}
