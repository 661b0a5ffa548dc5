//! Streams that have data to send: higher priority first, taking turns within one priority.

use super::fifo::Fifo;

/// The priority that streams have until the application gives them another.
pub const USUAL: i32 = 0;
/// How many other levels may stand empty before they are forgotten.
const MAX_LEVELS: usize = 8;

/// Slots of streams by priority, each at most once.
#[derive(Debug, Default)]
pub struct Ready {
    /// Those of the usual priority.
    usual: Fifo<u32>,
    /// The others; nothing before a stream has another priority.
    others: Option<Box<Levels>>,
}

/// Other priorities in falling order; a level may be empty.
#[derive(Debug, Default)]
struct Levels(Vec<Level>);

#[derive(Debug)]
struct Level {
    priority: i32,
    slots: Fifo<u32>,
}

impl Ready {
    /// Whether no stream waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.front().is_none()
    }

    /// The stream whose turn it is.
    #[inline]
    pub fn front(&self) -> Option<u32> {
        let other = self.others.as_ref().and_then(|others| others.turn(!self.usual.is_empty()));
        other.unwrap_or(&self.usual).front().copied()
    }

    /// Takes the stream out whose turn it is.
    #[inline]
    pub fn pop_front(&mut self) -> Option<u32> {
        self.turn().pop_front()
    }

    /// The stream whose turn it was waits for the others of its priority.
    #[inline]
    pub fn rotate(&mut self) {
        self.turn().rotate();
    }

    /// Adds a stream after the others of its priority.
    #[inline]
    pub fn push_back(&mut self, priority: i32, slot: u32) {
        match priority {
            USUAL => self.usual.push_back(slot),
            _ => self.others.get_or_insert_default().level(priority).push_back(slot),
        }
    }

    /// Takes a stream out wherever it stands among those of its priority.
    pub fn remove(&mut self, priority: i32, slot: u32) {
        let slots = match priority {
            USUAL => &mut self.usual,
            _ => self.others.get_or_insert_default().level(priority),
        };
        slots.retain(|other| *other != slot);
    }

    #[inline]
    fn turn(&mut self) -> &mut Fifo<u32> {
        let usual_waits = !self.usual.is_empty();
        let other = self.others.as_mut().and_then(|others| others.turn_mut(usual_waits));
        other.unwrap_or(&mut self.usual)
    }
}

impl Levels {
    /// The level whose turn it is; `None` if it is the usual one's, where streams wait or not.
    fn turn(&self, usual_waits: bool) -> Option<&Fifo<u32>> {
        let level = self.0.iter().find(|level| !level.slots.is_empty())?;
        (level.priority > USUAL || !usual_waits).then_some(&level.slots)
    }

    fn turn_mut(&mut self, usual_waits: bool) -> Option<&mut Fifo<u32>> {
        let level = self.0.iter_mut().find(|level| !level.slots.is_empty())?;
        (level.priority > USUAL || !usual_waits).then_some(&mut level.slots)
    }

    fn level(&mut self, priority: i32) -> &mut Fifo<u32> {
        let place = |levels: &[Level]| levels.binary_search_by(|level| priority.cmp(&level.priority));
        if place(&self.0).is_err() && self.0.len() >= MAX_LEVELS {
            self.0.retain(|level| !level.slots.is_empty());
        }
        let at = place(&self.0).unwrap_or_else(|at| {
            self.0.insert(at, Level { priority, slots: Fifo::default() });
            at
        });
        &mut self.0[at].slots
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
        assert!(ready.others.is_some_and(|others| others.0.len() <= MAX_LEVELS));
    }
}
