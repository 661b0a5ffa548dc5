//! A queue whose first element lies inline: most queues of a connection hold one, and need no list for it.

use std::collections::VecDeque;

/// A double-ended queue that allocates only from its second element on, and is small until then.
#[derive(Debug)]
pub struct Fifo<T> {
    /// `None` only if there are no others.
    front: Option<T>,
    /// All but the first, once there was a second.
    others: Option<Box<Others<T>>>,
}

#[derive(Debug)]
struct Others<T>(VecDeque<T>);

impl<T> Default for Fifo<T> {
    fn default() -> Self {
        Self { front: None, others: None }
    }
}

impl<T> Fifo<T> {
    /// Whether there is no element.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.front.is_none()
    }

    /// How many elements there are.
    #[inline]
    pub fn len(&self) -> usize {
        usize::from(self.front.is_some()) + self.others.as_ref().map_or(0, |others| others.0.len())
    }

    /// The first element.
    #[inline]
    pub fn front(&self) -> Option<&T> {
        self.front.as_ref()
    }

    /// The last element.
    #[inline]
    pub fn back(&self) -> Option<&T> {
        self.others.as_ref().and_then(|others| others.0.back()).or(self.front.as_ref())
    }

    /// The last element.
    #[inline]
    pub fn back_mut(&mut self) -> Option<&mut T> {
        match self.others.as_mut().and_then(|others| others.0.back_mut()) {
            Some(last) => Some(last),
            None => self.front.as_mut(),
        }
    }

    /// The element at `index`.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&T> {
        match index.checked_sub(1) {
            None => self.front.as_ref(),
            Some(index) => self.others.as_ref()?.0.get(index),
        }
    }

    /// The element at `index`.
    #[inline]
    pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        match index.checked_sub(1) {
            None => self.front.as_mut(),
            Some(index) => self.others.as_mut()?.0.get_mut(index),
        }
    }

    /// Appends an element.
    #[inline]
    pub fn push_back(&mut self, value: T) {
        match self.front {
            None => self.front = Some(value),
            Some(_) => self.others().push_back(value),
        }
    }

    /// Takes the first element out.
    #[inline]
    pub fn pop_front(&mut self) -> Option<T> {
        let next = self.others.as_mut().and_then(|others| others.0.pop_front());
        std::mem::replace(&mut self.front, next)
    }

    /// The first element becomes the last.
    #[inline]
    pub fn rotate(&mut self) {
        if let Some(others) = &mut self.others
            && let Some(next) = others.0.pop_front()
        {
            others.0.extend(self.front.replace(next));
        }
    }

    /// Puts an element before the one at `index`, which is at most the length.
    pub fn insert(&mut self, index: usize, value: T) {
        match index.checked_sub(1) {
            Some(index) => self.others().insert(index, value),
            None => {
                if let Some(front) = self.front.replace(value) {
                    self.others().push_front(front);
                }
            }
        }
    }

    /// Takes all elements out for which `keep` is false.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        if let Some(others) = &mut self.others {
            others.0.retain(&mut keep);
        }
        if self.front.as_ref().is_some_and(|front| !keep(front)) {
            self.pop_front();
        }
    }

    /// The index of the first element for which `before` is false, if those for which it is true come first.
    #[inline]
    pub fn partition_point(&self, mut before: impl FnMut(&T) -> bool) -> usize {
        match &self.front {
            Some(front) if before(front) => {
                1 + self.others.as_ref().map_or(0, |others| others.0.partition_point(before))
            }
            Some(_) | None => 0,
        }
    }

    fn others(&mut self) -> &mut VecDeque<T> {
        &mut self.others.get_or_insert_with(|| Box::new(Others(VecDeque::new()))).0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_behaves_like_a_plain_queue(ops in prop::collection::vec((0u8..5, 0u8..40), 0..60)) {
            let (mut fifo, mut model) = (Fifo::default(), VecDeque::new());
            for (op, value) in ops {
                match op {
                    0 => {
                        fifo.push_back(value);
                        model.push_back(value);
                    }
                    1 => prop_assert_eq!(fifo.pop_front(), model.pop_front()),
                    2 => {
                        fifo.rotate();
                        model.rotate_left(usize::from(model.len() > 1));
                    }
                    3 => {
                        fifo.retain(|other| *other != value);
                        model.retain(|other| *other != value);
                    }
                    _ => {
                        let at = usize::from(value) % (model.len() + 1);
                        fifo.insert(at, value);
                        model.insert(at, value);
                    }
                }
                prop_assert_eq!((fifo.len(), fifo.is_empty()), (model.len(), model.is_empty()));
                prop_assert!((0..=model.len()).all(|i| fifo.get(i) == model.get(i)));
                prop_assert_eq!((fifo.front(), fifo.back()), (model.front(), model.back()));
            }
        }
    }

    #[test]
    fn the_partition_point_counts_the_inline_element() {
        let mut fifo = Fifo::default();
        [1, 3, 5].into_iter().for_each(|v| fifo.push_back(v));
        assert_eq!([0, 1, 2, 5, 9].map(|limit| fifo.partition_point(|v| *v <= limit)), [0, 1, 1, 3, 3]);
    }
}
