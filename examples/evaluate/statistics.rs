//! What a hundred runs say in four numbers, as the thesis tells them.

use std::time::Duration;

/// Mean, median, 95th percentile and maximum, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    pub mean: f64,
    pub median: f64,
    pub most: f64,
    pub max: f64,
}

impl Summary {
    /// Of these durations; `None` if there are none.
    pub fn of(samples: &[Duration]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_unstable();
        let max = sorted.last().copied().map(millis)?;
        let mean = sorted.iter().copied().map(millis).sum::<f64>() / sorted.len() as f64;
        Some(Self { mean, median: percentile(&sorted, 50.0)?, most: percentile(&sorted, 95.0)?, max })
    }
}

/// The smallest sample, in milliseconds, that `percent` of a hundred do not exceed; `None` if there are none.
pub fn percentile(sorted: &[Duration], percent: f64) -> Option<f64> {
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().map(millis)
}

/// Milliseconds.
pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: &[u64]) -> Vec<Duration> {
        millis.iter().copied().map(Duration::from_millis).collect()
    }

    #[test]
    fn mean_median_and_maximum_of_a_few() {
        let summary = Summary::of(&ms(&[40, 10, 20, 30, 900])).expect("there are some");
        assert_eq!(summary, Summary { mean: 200.0, median: 30.0, most: 900.0, max: 900.0 });
    }

    #[test]
    fn five_of_a_hundred_lie_above_the_95th_percentile() {
        let samples: Vec<_> = (1..=100).rev().collect();
        let summary = Summary::of(&ms(&samples)).expect("there are some");
        assert_eq!(summary, Summary { mean: 50.5, median: 50.0, most: 95.0, max: 100.0 });
    }

    #[test]
    fn one_is_all_there_is() {
        let summary = Summary::of(&[Duration::from_micros(1500)]).expect("there is one");
        assert_eq!(summary, Summary { mean: 1.5, median: 1.5, most: 1.5, max: 1.5 });
    }

    #[test]
    fn of_nothing_nothing_is_said() {
        assert_eq!((Summary::of(&[]), percentile(&[], 50.0)), (None, None));
    }
}
