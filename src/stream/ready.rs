//! Streams that have data to send: higher priority first, taking turns within one priority.

use std::collections::VecDeque;

/// How many levels may stand empty before they are forgotten.
const MAX_LEVELS: usize = 8;

/// Slots of streams by priority, each at most once.
#[derive(Debug, Default)]
pub struct Ready {
    /// In falling order of priority; a level may be empty.
    levels: Vec<Level>,
}

#[derive(Debug)]
struct Level {
    priority: i32,
    slots: VecDeque<u32>,
}

impl Ready {
    /// Whether no stream waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.levels.iter().all(|level| level.slots.is_empty())
    }

    /// The stream whose turn it is.
    #[inline]
    pub fn front(&self) -> Option<u32> {
        self.levels.iter().find_map(|level| level.slots.front().copied())
    }

    /// Takes the stream out whose turn it is.
    #[inline]
    pub fn pop_front(&mut self) -> Option<u32> {
        self.levels.iter_mut().find_map(|level| level.slots.pop_front())
    }

    /// The stream whose turn it was waits for the others of its priority.
    #[inline]
    pub fn rotate(&mut self) {
        if let Some(level) = self.levels.iter_mut().find(|level| !level.slots.is_empty())
            && level.slots.len() > 1
        {
            level.slots.rotate_left(1);
        }
    }

    /// Adds a stream after the others of its priority.
    #[inline]
    pub fn push_back(&mut self, priority: i32, slot: u32) {
        match self.levels.binary_search_by(|level| priority.cmp(&level.priority)) {
            Ok(at) => self.levels[at].slots.push_back(slot),
            Err(_) => self.add_level(priority).push_back(slot),
        }
    }

    fn add_level(&mut self, priority: i32) -> &mut VecDeque<u32> {
        if self.levels.len() >= MAX_LEVELS {
            self.levels.retain(|level| !level.slots.is_empty());
        }
        let at = self.levels.partition_point(|level| level.priority > priority);
        self.levels.insert(at, Level { priority, slots: VecDeque::new() });
        &mut self.levels[at].slots
    }

    /// Takes a stream out wherever it stands among those of its priority.
    pub fn remove(&mut self, priority: i32, slot: u32) {
        if let Ok(at) = self.levels.binary_search_by(|level| priority.cmp(&level.priority)) {
            self.levels[at].slots.retain(|other| *other != slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_priority_goes_first_and_equals_take_turns() {
        let mut ready = Ready::default();
        for (priority, slot) in [(0, 1), (5, 2), (0, 3), (-7, 4), (5, 5)] {
            ready.push_back(priority, slot);
        }
        assert_eq!(ready.front(), Some(2));
        ready.rotate();
        let order: Vec<_> = std::iter::from_fn(|| ready.pop_front()).collect();
        assert_eq!(order, [5, 2, 1, 3, 4]);
        assert!(ready.is_empty());
    }

    #[test]
    fn a_stream_is_taken_out_of_the_middle() {
        let mut ready = Ready::default();
        [1, 2, 3].into_iter().for_each(|slot| ready.push_back(0, slot));
        ready.remove(0, 2);
        ready.remove(9, 1);
        assert_eq!(std::iter::from_fn(|| ready.pop_front()).collect::<Vec<_>>(), [1, 3]);
    }

    #[test]
    fn empty_levels_are_forgotten() {
        let mut ready = Ready::default();
        for priority in 0..1000 {
            ready.push_back(priority, 1);
            ready.pop_front();
        }
        assert!(ready.levels.len() <= MAX_LEVELS);
    }
}
