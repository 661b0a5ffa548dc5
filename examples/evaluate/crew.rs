//! Many runs on all processors: one world a thread at a time, results in the order of their numbers.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use indicatif::{ProgressBar, ProgressStyle};

/// So many threads.
#[derive(Debug, Clone, Copy)]
pub struct Crew(pub NonZero<usize>);

impl Crew {
    /// Does `run` for each number below `count`, and returns what came of each, in order; the number of threads does
    /// not show. Meanwhile a bar says how far it is, on a terminal.
    pub fn each<T: Send>(self, what: &str, count: usize, run: impl Fn(usize) -> T + Sync) -> Vec<T> {
        let bar = ProgressBar::new(count as u64).with_message(what.to_owned());
        let template = "{msg:14} {bar:40} {pos} of {len} runs, {eta} left";
        bar.set_style(ProgressStyle::with_template(template).expect("the template is well-formed"));
        let next = AtomicUsize::new(0);
        let (done, results) = mpsc::channel();
        let mut slots: Vec<Option<T>> = (0..count).map(|_| None).collect();
        thread::scope(|scope| {
            for _ in 0..self.0.get().min(count) {
                let (done, next, run) = (done.clone(), &next, &run);
                scope.spawn(move || {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= count || done.send((number, run(number))).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(done);
            for (number, result) in results {
                slots[number] = Some(result);
                bar.inc(1);
            }
        });
        bar.finish_and_clear();
        slots.into_iter().map(|slot| slot.expect("each run has its result")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_whatever_the_number_of_threads() {
        for threads in [1, 3, 64] {
            let crew = Crew(NonZero::new(threads).expect("some"));
            assert_eq!(crew.each("squares", 5, |number| number * number), [0, 1, 4, 9, 16]);
        }
    }
}
