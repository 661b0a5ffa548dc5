//! How a download went: bytes over time, in few points however long it lasts, and its longest pause exactly.

use std::time::Duration;

use peregrine::Instant;

/// More points than a picture can show.
const MOST_POINTS: usize = 1000;

/// The course of one download.
#[derive(Debug, Default)]
pub struct Timeline {
    points: Vec<(Duration, u64)>,
    /// The least time between two points; doubles when there are too many.
    spacing: Duration,
    last: Option<(Duration, u64)>,
    longest_pause: Duration,
}

impl Timeline {
    /// By `now` this many bytes have arrived, since the start.
    pub fn record(&mut self, now: Instant, bytes: u64) {
        let now = now.since(Instant::ZERO);
        if let Some((last, _)) = self.last {
            self.longest_pause = self.longest_pause.max(now.saturating_sub(last));
        }
        self.last = Some((now, bytes));
        if self.points.last().is_none_or(|(at, _)| now >= *at + self.spacing) {
            self.points.push((now, bytes));
        }
        if self.points.len() >= MOST_POINTS {
            self.spacing = (self.spacing * 2).max(Duration::from_micros(100));
            let (mut next, spacing) = (Duration::ZERO, self.spacing);
            self.points.retain(|(at, _)| {
                let kept = *at >= next;
                if kept {
                    next = *at + spacing;
                }
                kept
            });
        }
    }

    /// The longest time between two arrivals of data.
    pub fn longest_pause(&self) -> Duration {
        self.longest_pause
    }

    /// When, and how many bytes there were by then; the last arrival included.
    pub fn points(&self) -> Vec<(Duration, u64)> {
        let last = self.last.filter(|last| self.points.last() != Some(last));
        self.points.iter().copied().chain(last).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_download_leaves_few_points_and_its_longest_pause() {
        let mut timeline = Timeline::default();
        for number in 0..100_000 {
            let late = if number < 70_000 { 0 } else { 5_000 };
            timeline.record(Instant::from_micros(number * 10 + late), number);
        }
        assert_eq!(timeline.longest_pause(), Duration::from_micros(5_010));
        assert!(timeline.points().len() <= MOST_POINTS);
        assert_eq!(timeline.points().last(), Some(&(Duration::from_micros(1_004_990), 99_999)));
    }
}
