//! Who wants to be polled, and whose deadline is next.
//!
//! Woken connections stand in a queue, each at most once. Deadlines stand in a heap, at most one entry a connection
//! but for those that moved nearer: an entry that comes up too early is put back where the deadline is now. Nothing is
//! ever searched.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::event::{TimerKind, Wake};
use crate::id::ConnectionHandle;
use crate::time::Instant;

/// What one connection has on the agenda.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    generation: u32,
    woken: bool,
    /// The earliest entry of the heap, and the deadline itself, which may be later.
    queued: Option<Instant>,
    deadline: Option<Wake>,
}

/// The agenda of one endpoint.
#[derive(Debug, Default)]
pub struct Agenda {
    woken: VecDeque<ConnectionHandle>,
    heap: BinaryHeap<Reverse<(Instant, ConnectionHandle)>>,
    entries: Vec<Entry>,
}

impl Agenda {
    fn entry(&mut self, handle: ConnectionHandle) -> &mut Entry {
        let slot = handle.slot as usize;
        if self.entries.len() <= slot {
            self.entries.resize(slot + 1, Entry::default());
        }
        let entry = &mut self.entries[slot];
        if entry.generation != handle.generation {
            *entry = Entry { generation: handle.generation, ..Entry::default() };
        }
        entry
    }

    /// This connection wants to be polled.
    pub fn wake(&mut self, handle: ConnectionHandle) {
        let entry = self.entry(handle);
        if !entry.woken {
            entry.woken = true;
            self.woken.push_back(handle);
        }
    }

    /// The connection to poll next; it stays there.
    pub fn front(&self) -> Option<ConnectionHandle> {
        self.woken.front().copied()
    }

    /// How many connections want to be polled.
    pub fn len(&self) -> usize {
        self.woken.len()
    }

    /// The first one has spoken and lets the others speak.
    pub fn rotate(&mut self) {
        if self.woken.len() > 1 {
            self.woken.rotate_left(1);
        }
    }

    /// The first one has nothing more to say before `deadline`.
    pub fn rest(&mut self, deadline: Option<Wake>) {
        let Some(handle) = self.woken.pop_front() else { return };
        let entry = self.entry(handle);
        entry.woken = false;
        entry.deadline = deadline;
        if let Some(wake) = deadline
            && entry.queued.is_none_or(|queued| wake.at < queued)
        {
            entry.queued = Some(wake.at);
            self.heap.push(Reverse((wake.at, handle)));
        }
    }

    /// A connection whose deadline has come.
    pub fn pop_due(&mut self, now: Instant) -> Option<ConnectionHandle> {
        if self.next()?.at > now {
            return None;
        }
        let Reverse((_, handle)) = self.heap.pop()?;
        let entry = self.entry(handle);
        entry.queued = None;
        entry.deadline = None;
        Some(handle)
    }

    /// The next deadline of all.
    pub fn next(&mut self) -> Option<Wake> {
        while let Some(&Reverse((at, handle))) = self.heap.peek() {
            let current = self.entries.get(handle.slot as usize).copied().unwrap_or_default();
            let alive = current.generation == handle.generation && current.queued == Some(at);
            match current.deadline {
                Some(wake) if alive && wake.at <= at => return Some(wake),
                Some(wake) if alive => {
                    self.heap.pop();
                    self.entry(handle).queued = Some(wake.at);
                    self.heap.push(Reverse((wake.at, handle)));
                }
                _ => {
                    self.heap.pop();
                    if alive {
                        self.entry(handle).queued = None;
                    }
                }
            }
        }
        None
    }

    /// The connection is gone.
    pub fn forget(&mut self, handle: ConnectionHandle) {
        if let Some(entry) = self.entries.get_mut(handle.slot as usize)
            && entry.generation == handle.generation
        {
            *entry = Entry::default();
            self.woken.retain(|woken| *woken != handle);
        }
    }

    /// The earlier of two wishes to be woken.
    pub fn earlier(a: Option<Wake>, b: Option<(Instant, TimerKind)>) -> Option<Wake> {
        let b = b.map(|(at, timer)| Wake { at, timer });
        match (a, b) {
            (Some(a), Some(b)) => Some(if b.at < a.at { b } else { a }),
            (one, None) | (None, one) => one,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ConnectionHandle = ConnectionHandle { slot: 0, generation: 1 };
    const B: ConnectionHandle = ConnectionHandle { slot: 1, generation: 1 };

    fn wake(millis: u64) -> Option<Wake> {
        Some(Wake { at: Instant::from_millis(millis), timer: TimerKind::Idle })
    }

    fn resting(rests: &[(ConnectionHandle, Option<Wake>)]) -> Agenda {
        let mut agenda = Agenda::default();
        for (handle, deadline) in rests {
            agenda.wake(*handle);
            agenda.rest(*deadline);
        }
        agenda
    }

    #[test]
    fn a_connection_is_woken_once() {
        let mut agenda = Agenda::default();
        agenda.wake(A);
        agenda.wake(A);
        agenda.rest(None);
        assert_eq!(agenda.front(), None);
    }

    #[test]
    fn the_nearest_deadline_is_next() {
        let mut agenda = resting(&[(A, wake(30)), (B, wake(10))]);
        assert_eq!(agenda.next(), wake(10));
        assert_eq!(agenda.pop_due(Instant::from_millis(10)), Some(B));
        assert_eq!(agenda.next(), wake(30));
    }

    #[test]
    fn a_deadline_moves_both_ways() {
        let mut agenda = resting(&[(A, wake(30)), (A, wake(50))]);
        assert_eq!(agenda.next(), wake(50));
        agenda.wake(A);
        agenda.rest(wake(20));
        assert_eq!(agenda.next(), wake(20));
        assert_eq!(agenda.pop_due(Instant::from_millis(60)), Some(A));
        assert_eq!(agenda.next(), None);
    }

    #[test]
    fn a_forgotten_connection_leaves_no_deadline_to_its_slot() {
        let mut agenda = resting(&[(A, wake(30))]);
        agenda.wake(A);
        agenda.forget(A);
        assert_eq!((agenda.front(), agenda.next()), (None, None));
        let heir = ConnectionHandle { slot: 0, generation: 2 };
        agenda.wake(heir);
        agenda.rest(wake(70));
        assert_eq!(agenda.next(), wake(70));
    }

    #[test]
    fn a_deadline_that_moves_often_leaves_one_entry() {
        let mut agenda = Agenda::default();
        for millis in 0..1000 {
            agenda.wake(A);
            agenda.rest(wake(1000 + millis));
        }
        assert_eq!(agenda.heap.len(), 1);
    }
}
