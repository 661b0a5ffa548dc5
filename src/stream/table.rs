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
#[derive(Debug)]
pub struct Table {
    /// One above the highest index that was opened.
    next: u64,
    /// Index of the window's first slot.
    base: u64,
    /// The window's first slot; `NONE` also if the window is empty.
    first: u32,
    /// How many streams are in the window.
    live: u32,
    /// Nothing before two streams are open at a time.
    more: Option<Box<More>>,
}

/// What a table of one stream at a time has no use for.
#[derive(Debug, Default)]
struct More {
    /// The window behind its first slot.
    window: VecDeque<u32>,
    /// Streams before the window.
    old: BTreeMap<u64, u32>,
    untouched: RangeSet,
}

impl Default for Table {
    fn default() -> Self {
        Self { next: 0, base: 0, first: NONE, live: 0, more: None }
    }
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
        let slot = match index.checked_sub(self.base) {
            Some(0) => self.first,
            Some(at) => *self.more.as_ref()?.window.get(usize::try_from(at - 1).ok()?)?,
            None => *self.more.as_ref()?.old.get(&index)?,
        };
        (slot != NONE).then_some(slot)
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
        let is_untouched = self.more.as_ref().is_some_and(|more| more.untouched.contains(index));
        if is_untouched { Entry::Untouched } else { Entry::Closed }
    }

    /// Keeps an unopened or untouched stream in `slot`; it is open now, and so are all before it.
    pub fn insert(&mut self, index: u64, slot: u32) {
        self.open(index);
        let Some(at) = self.place(index) else {
            self.more().old.insert(index, slot);
            return;
        };
        if at >= self.len() + SHORT {
            self.retire(self.len());
            self.base = index;
            self.first = slot;
        } else if at == 0 {
            self.first = slot;
        } else {
            let window = &mut self.more().window;
            if window.len() < at {
                window.resize(at, NONE);
            }
            window[at - 1] = slot;
        }
        self.live += 1;
        self.tighten();
    }

    /// A stream is touched for the first time, and all before it are open.
    fn open(&mut self, index: u64) {
        if index < self.next {
            self.more().untouched.remove(index..index + 1);
            return;
        }
        if index > self.next {
            let passed = self.next..index;
            self.more().untouched.insert(passed);
        }
        self.next = index + 1;
    }

    /// A stream is over.
    pub fn remove(&mut self, index: u64) {
        let slot = match self.place(index) {
            Some(0) => Some(&mut self.first),
            Some(at) => self.more.as_mut().and_then(|more| more.window.get_mut(at - 1)),
            None => {
                self.more().old.remove(&index);
                return;
            }
        };
        let Some(slot) = slot.filter(|slot| **slot != NONE) else { return };
        *slot = NONE;
        self.live -= 1;
        while self.first == NONE {
            self.base += 1;
            let Some(next) = self.pop_behind() else { break };
            self.first = next;
        }
        self.tighten();
    }

    /// Where in the window a stream stands or would; `None` if before it.
    #[inline]
    fn place(&self, index: u64) -> Option<usize> {
        index.checked_sub(self.base).and_then(|at| usize::try_from(at).ok())
    }

    /// How long the window is.
    #[inline]
    fn len(&self) -> usize {
        match self.more.as_ref().map_or(0, |more| more.window.len()) {
            0 => usize::from(self.first != NONE),
            behind => 1 + behind,
        }
    }

    /// Takes the slot out that is the window's second.
    fn pop_behind(&mut self) -> Option<u32> {
        self.more.as_mut()?.window.pop_front()
    }

    /// Keeps the window in proportion to the streams in it.
    fn tighten(&mut self) {
        while self.len() > SHORT + SPARSE * self.live as usize {
            self.retire(1);
        }
    }

    /// Moves the window's first `count` slots to the map.
    fn retire(&mut self, count: usize) {
        for _ in 0..count {
            let next = self.pop_behind().unwrap_or(NONE);
            let slot = std::mem::replace(&mut self.first, next);
            if slot != NONE {
                let index = self.base;
                self.more().old.insert(index, slot);
                self.live -= 1;
            }
            self.base += 1;
        }
    }

    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
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
        assert_eq!(table.len(), 1);
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
        assert!(table.len() <= SHORT + SPARSE && table.more().old.len() <= 1);
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
                prop_assert!(table.len() <= SHORT + SPARSE * table.live as usize);
            }
        }
    }
}
