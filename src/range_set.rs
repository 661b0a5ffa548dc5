//! A set of numbers kept as sorted, disjoint, non-adjacent ranges.
//!
//! Used for received packet numbers, acknowledged stream bytes and holes in both. Almost every insertion extends the
//! last range, so that case costs two comparisons.

use std::collections::VecDeque;
use std::ops::Range;

/// Sorted disjoint half-open ranges of `u64`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RangeSet(VecDeque<Range<u64>>);

impl RangeSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one number; false if it was there.
    #[inline]
    pub fn insert_one(&mut self, value: u64) -> bool {
        if let Some(last) = self.0.back_mut() {
            if value == last.end {
                last.end += 1;
                return true;
            }
            if value >= last.start && value < last.end {
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
        if self.0.back().is_none_or(|last| last.end < range.start) {
            self.0.push_back(range);
            return true;
        }
        // The ranges that touch or overlap the new one stand in a row: [first, after).
        let first = self.0.partition_point(|r| r.end < range.start);
        let after = self.0.partition_point(|r| r.start <= range.end);
        if first == after {
            self.0.insert(first, range);
            return true;
        }
        let held = &self.0[first];
        if held.start <= range.start && range.end <= held.end {
            return false;
        }
        let start = held.start.min(range.start);
        let end = self.0[after - 1].end.max(range.end);
        self.0[first] = start..end;
        self.0.drain(first + 1..after);
        true
    }

    /// Takes a range out of the set.
    pub fn remove(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let first = self.0.partition_point(|r| r.end <= range.start);
        let after = self.0.partition_point(|r| r.start < range.end);
        if first >= after {
            return;
        }
        let left = self.0[first].start..range.start;
        let right = range.end..self.0[after - 1].end;
        self.0.drain(first..after);
        if !right.is_empty() {
            self.0.insert(first, right);
        }
        if !left.is_empty() {
            self.0.insert(first, left);
        }
    }

    /// Whether `value` is in the set.
    #[inline]
    pub fn contains(&self, value: u64) -> bool {
        match self.0.back() {
            Some(last) if value >= last.start => value < last.end,
            _ => {
                let at = self.0.partition_point(|r| r.end <= value);
                self.0.get(at).is_some_and(|r| r.contains(&value))
            }
        }
    }

    /// The smallest number.
    pub fn min(&self) -> Option<u64> {
        self.0.front().map(|r| r.start)
    }

    /// The largest number.
    pub fn max(&self) -> Option<u64> {
        self.0.back().map(|r| r.end - 1)
    }

    /// The ranges in ascending order; walk it backwards for an ACK frame.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Range<u64>> + ExactSizeIterator + '_ {
        self.0.iter().cloned()
    }

    /// The ranges that share a number with `range`, in ascending order.
    pub fn overlapping(&self, range: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let first = self.0.partition_point(|r| r.end <= range.start);
        let after = self.0.partition_point(|r| r.start < range.end);
        self.0.range(first..after.max(first)).cloned()
    }

    /// How many ranges there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the lowest range out.
    pub fn pop_first(&mut self) -> Option<Range<u64>> {
        self.0.pop_front()
    }

    /// The lowest range.
    pub fn first(&self) -> Option<Range<u64>> {
        self.0.front().cloned()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.clear();
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
            }
        }
    }
}
