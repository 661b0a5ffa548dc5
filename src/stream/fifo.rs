//! A queue whose first element lies inline: a short stream holds one block, and needs no list for it.

use std::collections::VecDeque;

/// A double-ended queue that allocates only from its second element on.
#[derive(Debug)]
pub struct Fifo<T> {
    /// `None` only if `rest` is empty.
    front: Option<T>,
    rest: VecDeque<T>,
}

impl<T> Default for Fifo<T> {
    fn default() -> Self {
        Self { front: None, rest: VecDeque::new() }
    }
}

impl<T> Fifo<T> {
    /// How many elements there are.
    #[inline]
    pub fn len(&self) -> usize {
        usize::from(self.front.is_some()) + self.rest.len()
    }

    /// The first element.
    #[inline]
    pub fn front(&self) -> Option<&T> {
        self.front.as_ref()
    }

    /// The last element.
    #[inline]
    pub fn back(&self) -> Option<&T> {
        self.rest.back().or(self.front.as_ref())
    }

    /// The last element.
    #[inline]
    pub fn back_mut(&mut self) -> Option<&mut T> {
        match self.rest.back_mut() {
            Some(last) => Some(last),
            None => self.front.as_mut(),
        }
    }

    /// The element at `index`.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&T> {
        match index.checked_sub(1) {
            None => self.front.as_ref(),
            Some(index) => self.rest.get(index),
        }
    }

    /// The element at `index`.
    #[inline]
    pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        match index.checked_sub(1) {
            None => self.front.as_mut(),
            Some(index) => self.rest.get_mut(index),
        }
    }

    /// Appends an element.
    #[inline]
    pub fn push_back(&mut self, value: T) {
        match self.front {
            None => self.front = Some(value),
            Some(_) => self.rest.push_back(value),
        }
    }

    /// Takes the first element out.
    #[inline]
    pub fn pop_front(&mut self) -> Option<T> {
        std::mem::replace(&mut self.front, self.rest.pop_front())
    }

    /// Puts an element before the one at `index`, which is at most the length.
    pub fn insert(&mut self, index: usize, value: T) {
        match (index.checked_sub(1), self.front.take()) {
            (None, None) => self.front = Some(value),
            (None, Some(front)) => {
                self.rest.push_front(front);
                self.front = Some(value);
            }
            (Some(index), front) => {
                self.front = front;
                self.rest.insert(index, value);
            }
        }
    }

    /// The index of the first element for which `before` is false, if those for which it is true come first.
    #[inline]
    pub fn partition_point(&self, mut before: impl FnMut(&T) -> bool) -> usize {
        match &self.front {
            Some(front) if before(front) => 1 + self.rest.partition_point(before),
            Some(_) | None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_behaves_like_a_plain_queue(ops in prop::collection::vec((0u8..3, any::<u8>()), 0..60)) {
            let (mut fifo, mut model) = (Fifo::default(), VecDeque::new());
            for (op, value) in ops {
                match op {
                    0 => {
                        fifo.push_back(value);
                        model.push_back(value);
                    }
                    1 => prop_assert_eq!(fifo.pop_front(), model.pop_front()),
                    _ => {
                        let at = usize::from(value) % (model.len() + 1);
                        fifo.insert(at, value);
                        model.insert(at, value);
                    }
                }
                prop_assert_eq!(fifo.len(), model.len());
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
