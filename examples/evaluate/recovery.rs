//! Whether every connection survives, with loss, over very many seeds: the thesis lost 12 of 520.

use std::time::Duration;

use crate::conditions::{Loss, Pace, trigger};
use crate::crew::Crew;
use crate::first::{self, Run};
use crate::way::Way;

/// Many runs of one way.
#[derive(Debug)]
pub struct Tally {
    pub way: Way,
    /// In the order of their seeds.
    pub runs: Vec<Run>,
}

impl Tally {
    /// Seeds, counted from the first, in which the request was not answered, or the connection not moved.
    pub fn lost(&self) -> impl Iterator<Item = usize> {
        let lost = |run: &Run| run.took.is_none() || !run.moved;
        self.runs.iter().enumerate().filter(move |(_, run)| lost(run)).map(|(number, _)| number)
    }

    /// How long the requests took that were answered, the shortest first.
    pub fn sorted(&self) -> Vec<Duration> {
        let mut times: Vec<_> = self.runs.iter().filter_map(|run| run.took).collect();
        times.sort_unstable();
        times
    }
}

/// All ways of following, each with these seeds; every other request is handed over at once, the others in rhythm,
/// and the server leaves at any moment after the response before.
pub fn all(crew: Crew, first_seed: u64, seeds: usize) -> Vec<Tally> {
    let ways: Vec<_> = Way::following().collect();
    let results = crew.each("recovery", ways.len() * seeds, |number| {
        let seed = first_seed + (number % seeds) as u64;
        let pace = if seed.is_multiple_of(2) { Pace::Steady } else { Pace::Hasty };
        first::run(ways[number / seeds], Loss::With, pace, trigger(seed), seed)
    });
    let tallies = ways.iter().zip(results.chunks(seeds));
    tallies.map(|(way, runs)| Tally { way: *way, runs: runs.to_vec() }).collect()
}
