//! A set of numbers kept as sorted, disjoint, non-adjacent ranges.
//!
//! Used for received packet numbers, acknowledged stream bytes and holes in both. Almost every set has one range, and
//! almost every insertion extends the last: that one lies in the set itself, those before it in a queue of their own.

use std::collections::VecDeque;
use std::ops::Range;

/// Sorted disjoint half-open ranges of `u64`.
#[derive(Debug, Clone, Default)]
pub struct RangeSet {
    /// The highest range; `0..0` if the set is empty.
    last: Range<u64>,
    /// The others. `None` until there is a second one.
    #[expect(clippy::box_collection, reason = "there are none almost always: a pointer is enough")]
    older: Option<Box<VecDeque<Range<u64>>>>,
}

const _: () = assert!(size_of::<RangeSet>() <= 24);

static NONE: VecDeque<Range<u64>> = VecDeque::new();

impl RangeSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    #[inline]
    fn older(&self) -> &VecDeque<Range<u64>> {
        self.older.as_deref().unwrap_or(&NONE)
    }

    /// Whether some range before the last reaches `value`, or ends there.
    #[inline]
    fn reaches(&self, value: u64) -> bool {
        self.older().back().is_some_and(|range| range.end >= value)
    }

    /// Adds one number; false if it was there.
    #[inline]
    pub fn insert_one(&mut self, value: u64) -> bool {
        let last = &mut self.last;
        if !last.is_empty() {
            if value == last.end {
                last.end += 1;
                return true;
            }
            if last.contains(&value) {
                return false;
            }
        }
        self.insert(value..value + 1)
    }

    /// Adds a range; false if all of it was there (or it is empty).
    pub fn insert(&mut self, range: Range<u64>) -> bool {
        if range.is_empty() {
            return false;
        }
        let last = &mut self.last;
        if last.is_empty() {
            *last = range;
            return true;
        }
        if range.start > last.end {
            let before = std::mem::replace(last, range);
            self.older.get_or_insert_default().push_back(before);
            return true;
        }
        if range.start >= last.start {
            let grows = range.end > last.end;
            last.end = last.end.max(range.end);
            return grows;
        }
        if range.end >= last.start && !self.reaches(range.start) {
            self.last = range.start..range.end.max(self.last.end);
            return true;
        }
        self.rearrange(|all| insert(all, range))
    }

    /// Takes a range out of the set.
    pub fn remove(&mut self, range: Range<u64>) {
        if range.is_empty() || range.start >= self.last.end {
            return;
        }
        if self.reaches(range.start) || (range.start > self.last.start && range.end < self.last.end) {
            self.rearrange(|all| remove(all, range));
        } else if range.start > self.last.start {
            self.last.end = range.start;
        } else if range.end < self.last.end {
            self.last.start = self.last.start.max(range.end);
        } else {
            self.last = self.pop_older().unwrap_or(0..0);
        }
    }

    /// Changes all ranges as one queue.
    fn rearrange<T>(&mut self, change: impl FnOnce(&mut VecDeque<Range<u64>>) -> T) -> T {
        let all = self.older.get_or_insert_default();
        all.push_back(self.last.clone());
        let result = change(all);
        self.last = all.pop_back().unwrap_or(0..0);
        result
    }

    fn pop_older(&mut self) -> Option<Range<u64>> {
        self.older.as_mut()?.pop_back()
    }

    /// Whether `value` is in the set.
    #[inline]
    pub fn contains(&self, value: u64) -> bool {
        if value >= self.last.start {
            return value < self.last.end;
        }
        let older = self.older();
        let at = older.partition_point(|r| r.end <= value);
        older.get(at).is_some_and(|r| r.contains(&value))
    }

    /// The smallest number.
    pub fn min(&self) -> Option<u64> {
        self.first().map(|r| r.start)
    }

    /// The largest number.
    #[inline]
    pub fn max(&self) -> Option<u64> {
        (!self.is_empty()).then(|| self.last.end - 1)
    }

    /// The ranges in ascending order; walk it backwards for an ACK frame.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Range<u64>> + ExactSizeIterator + '_ {
        (0..self.len()).map(|at| self.older().get(at).unwrap_or(&self.last).clone())
    }

    /// The ranges that share a number with `range`, in ascending order.
    pub fn overlapping(&self, range: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let older = self.older();
        let first = older.partition_point(|r| r.end <= range.start);
        let after = older.partition_point(|r| r.start < range.end);
        let last = Some(&self.last).filter(|last| last.start < range.end && range.start < last.end);
        older.range(first..after.max(first)).chain(last).cloned()
    }

    /// How many ranges there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.older().len() + usize::from(!self.is_empty())
    }

    /// Whether the set is empty.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.last.is_empty()
    }

    /// Takes the lowest range out.
    pub fn pop_first(&mut self) -> Option<Range<u64>> {
        let older = self.older.as_mut().and_then(|older| older.pop_front());
        older.or_else(|| Some(std::mem::replace(&mut self.last, 0..0)).filter(|last| !last.is_empty()))
    }

    /// The lowest range.
    #[inline]
    pub fn first(&self) -> Option<Range<u64>> {
        self.older().front().or(Some(&self.last)).filter(|range| !range.is_empty()).cloned()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

impl PartialEq for RangeSet {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for RangeSet {}

/// Adds a range that is not empty to a queue of ranges; false if all of it was there.
fn insert(all: &mut VecDeque<Range<u64>>, range: Range<u64>) -> bool {
    // The ranges that touch or overlap the new one stand in a row: [first, after).
    let first = all.partition_point(|r| r.end < range.start);
    let after = all.partition_point(|r| r.start <= range.end);
    if first == after {
        all.insert(first, range);
        return true;
    }
    let held = &all[first];
    if held.start <= range.start && range.end <= held.end {
        return false;
    }
    let start = held.start.min(range.start);
    let end = all[after - 1].end.max(range.end);
    all[first] = start..end;
    all.drain(first + 1..after);
    true
}

/// Takes a range that is not empty out of a queue of ranges.
fn remove(all: &mut VecDeque<Range<u64>>, range: Range<u64>) {
    let first = all.partition_point(|r| r.end <= range.start);
    let after = all.partition_point(|r| r.start < range.end);
    if first >= after {
        return;
    }
    let left = all[first].start..range.start;
    let right = range.end..all[after - 1].end;
    all.drain(first..after);
    if !right.is_empty() {
        all.insert(first, right);
    }
    if !left.is_empty() {
        all.insert(first, left);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set(ranges: &[Range<u64>]) -> RangeSet {
        let mut set = RangeSet::new();
        ranges.iter().for_each(|r| {
            set.insert(r.clone());
        });
        set
    }

    /// Its ranges as pairs of start and end.
    fn pairs(set: &RangeSet) -> Vec<(u64, u64)> {
        set.iter().map(|range| (range.start, range.end)).collect()
    }

    #[test]
    fn adjacent_ranges_become_one() {
        assert_eq!(pairs(&set(&[0..2, 4..6, 2..4])), [(0, 6)]);
    }

    #[test]
    fn a_number_that_is_known_is_not_inserted_again() {
        let mut set = RangeSet::new();
        assert!(set.insert(3..9));
        assert!(!set.insert_one(3));
        assert!(!set.insert(4..9));
        assert!(set.insert_one(9));
        assert!(set.insert_one(2));
        assert_eq!(pairs(&set), [(2, 10)]);
    }

    #[test]
    fn removing_the_middle_leaves_both_ends() {
        let mut set = set(&[0..10, 20..30]);
        set.remove(5..25);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0..5, 25..30]);
    }

    #[test]
    fn ranges_that_only_touch_do_not_overlap() {
        let set = set(&[0..5, 7..9, 12..20]);
        assert_eq!(set.overlapping(5..13).collect::<Vec<_>>(), [7..9, 12..20]);
        assert_eq!(set.overlapping(5..7).count(), 0);
    }

    #[test]
    fn a_single_range_that_grows_and_shrinks_needs_no_heap() {
        let mut set = set(&[10..20, 20..30, 5..12, 2..5]);
        assert_eq!((pairs(&set), set.older.is_none()), (vec![(2, 30)], true));
        [0..4, 25..40, 60..70].into_iter().for_each(|range| set.remove(range));
        assert_eq!((pairs(&set), set.older.is_none()), (vec![(4, 25)], true));
        set.remove(4..25);
        assert_eq!((set.is_empty(), set.max(), set.older.is_none()), (true, None, true));
    }

    #[test]
    fn sets_of_the_same_numbers_are_equal_whatever_they_held_before() {
        let mut shrunk = set(&[0..2, 4..6]);
        assert_eq!(shrunk.pop_first(), Some(0..2));
        let mut same = RangeSet::new();
        same.insert(4..6);
        assert_eq!(shrunk, same);
        assert_eq!((shrunk.pop_first(), shrunk.pop_first()), (Some(4..6), None));
        assert_eq!(shrunk, RangeSet::new());
    }

    proptest! {
        #[test]
        fn it_behaves_like_a_set_of_numbers(ops in prop::collection::vec((any::<bool>(), 0u64..64, 0u64..12), 0..60)) {
            let mut model = BTreeSet::new();
            let mut set = RangeSet::new();
            for (insert, start, len) in ops {
                let range = start..start + len;
                if insert {
                    let grew = range.clone().any(|v| !model.contains(&v));
                    model.extend(range.clone());
                    prop_assert_eq!(set.insert(range), grew);
                } else {
                    model.retain(|v| !range.contains(v));
                    set.remove(range);
                }
                let listed: Vec<u64> = set.iter().flatten().collect();
                prop_assert_eq!(listed, model.iter().copied().collect::<Vec<_>>());
                prop_assert!(set.iter().zip(set.iter().skip(1)).all(|(a, b)| a.end < b.start));
                prop_assert!((0..80).all(|v| set.contains(v) == model.contains(&v)));
                prop_assert_eq!((set.min(), set.max()), (model.first().copied(), model.last().copied()));
                prop_assert_eq!(set.len(), set.iter().count());
                let expected: Vec<_> = set.iter().filter(|r| r.start < 40 && 20 < r.end).collect();
                prop_assert_eq!(set.overlapping(20..40).collect::<Vec<_>>(), expected);
            }
        }
    }
}
