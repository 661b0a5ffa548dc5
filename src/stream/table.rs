//! Where the streams of one initiator and direction are kept, by their index.
//!
//! Streams are opened in order and mostly end in order, so a window of slots that slides over the indices finds them
//! without hashing; the few that outlive their neighbours move to an ordered map. What is over costs nothing, and a
//! stream that was opened only because a later one was (RFC 9000, Section 3.2) is a number in a range.

use std::collections::{BTreeMap, VecDeque};

use crate::range_set::RangeSet;

/// A slot of the window whose stream is not kept.
const NONE: u32 = u32::MAX;
/// The window may be this long, and `SPARSE` times as long as there are streams in it.
const SHORT: usize = 64;
const SPARSE: usize = 4;

/// What is known of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// It is kept in this slot.
    Live(u32),
    /// It is open, and nothing was said of it yet.
    Untouched,
    /// It is over.
    Closed,
    /// It was never opened.
    Unopened,
}

/// The streams of one initiator and direction.
#[derive(Debug, Default)]
pub struct Table {
    /// Index of the window's first slot.
    base: u64,
    window: VecDeque<u32>,
    /// How many streams are in the window.
    live: usize,
    /// Streams before the window.
    old: BTreeMap<u64, u32>,
    untouched: RangeSet,
    /// One above the highest index that was opened.
    next: u64,
}

impl Table {
    /// One above the highest index that was opened.
    #[inline]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The slot of a stream that is kept.
    #[inline]
    pub fn slot(&self, index: u64) -> Option<u32> {
        match index.checked_sub(self.base) {
            Some(at) => {
                let slot = self.window.get(usize::try_from(at).ok()?);
                slot.copied().filter(|slot| *slot != NONE)
            }
            None => self.old.get(&index).copied(),
        }
    }

    /// What is known of a stream.
    #[inline]
    pub fn get(&self, index: u64) -> Entry {
        if let Some(slot) = self.slot(index) {
            return Entry::Live(slot);
        }
        if index >= self.next {
            return Entry::Unopened;
        }
        if self.untouched.contains(index) { Entry::Untouched } else { Entry::Closed }
    }

    /// Keeps an unopened or untouched stream in `slot`; it is open now, and so are all before it.
    pub fn insert(&mut self, index: u64, slot: u32) {
        if index >= self.next {
            self.untouched.insert(self.next..index);
            self.next = index + 1;
        } else {
            self.untouched.remove(index..index + 1);
        }
        let Some(at) = index.checked_sub(self.base).and_then(|at| usize::try_from(at).ok()) else {
            self.old.insert(index, slot);
            return;
        };
        if at >= self.window.len() + SHORT {
            self.retire(self.window.len());
            self.base = index;
            self.window.push_back(slot);
        } else {
            if at >= self.window.len() {
                self.window.resize(at + 1, NONE);
            }
            self.window[at] = slot;
        }
        self.live += 1;
        self.tighten();
    }

    /// A stream is over.
    pub fn remove(&mut self, index: u64) {
        let Some(at) = index.checked_sub(self.base).and_then(|at| usize::try_from(at).ok()) else {
            self.old.remove(&index);
            return;
        };
        if let Some(slot) = self.window.get_mut(at).filter(|slot| **slot != NONE) {
            *slot = NONE;
            self.live -= 1;
        }
        while self.window.front() == Some(&NONE) {
            self.window.pop_front();
            self.base += 1;
        }
        self.tighten();
    }

    /// Keeps the window in proportion to the streams in it.
    fn tighten(&mut self) {
        while self.window.len() > SHORT + SPARSE * self.live {
            self.retire(1);
        }
    }

    /// Moves the window's first `count` slots to the map.
    fn retire(&mut self, count: usize) {
        for slot in self.window.drain(..count) {
            if slot != NONE {
                self.old.insert(self.base, slot);
                self.live -= 1;
            }
            self.base += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_stream_opens_all_before_it_and_keeps_none_of_them() {
        let mut table = Table::default();
        table.insert(1 << 59, 7);
        assert_eq!(table.get(1 << 59), Entry::Live(7));
        assert_eq!(table.get(12), Entry::Untouched);
        assert_eq!(table.get((1 << 59) + 1), Entry::Unopened);
        assert_eq!(table.window.len(), 1);
    }

    #[test]
    fn one_long_stream_does_not_keep_a_place_for_its_successors() {
        let mut table = Table::default();
        for index in 0..100_000 {
            table.insert(index, 1);
            if index > 0 {
                table.remove(index);
            }
        }
        assert_eq!((table.get(0), table.get(99_999)), (Entry::Live(1), Entry::Closed));
        assert!(table.window.len() <= SHORT + SPARSE && table.old.len() <= 1);
    }

    proptest! {
        #[test]
        fn it_agrees_with_sets_of_indices(ops in prop::collection::vec((any::<bool>(), 0u64..90, 0u64..400), 0..200)) {
            let mut table = Table::default();
            let (mut opened, mut live, mut closed) = (0u64, BTreeSet::new(), BTreeSet::new());
            for (insert, near, far) in ops {
                let index = if near < 80 { opened.saturating_sub(40) + near } else { far };
                if insert && !live.contains(&index) && !closed.contains(&index) {
                            table.insert(index, u32::try_from(index).unwrap_or(0));
                    opened = opened.max(index + 1);
                    live.insert(index);
                } else if !insert && live.remove(&index) {
                    table.remove(index);
                    closed.insert(index);
                }
                for index in 0..opened + 2 {
                    let expected = match () {
                        () if live.contains(&index) => Entry::Live(u32::try_from(index).unwrap_or(0)),
                        () if closed.contains(&index) => Entry::Closed,
                        () if index < opened => Entry::Untouched,
                        () => Entry::Unopened,
                    };
                    prop_assert_eq!(table.get(index), expected);
                }
                prop_assert!(table.window.len() <= SHORT + SPARSE * table.live);
            }
        }
    }
}
