//! What the benchmark measures at ten thousand connections, at a few: it holds at any number.

#[path = "../instructions/paper.rs"]
mod paper;
mod town;
mod walk;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use town::Way;
use walk::{on_a_clock, step_by_step};

const WAYS: [Way; 4] = [Way::Explicit, Way::Pool, Way::Symmetric, Way::Synchronized];

/// The heap is that of the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn a_move_takes_less_than_a_kibibyte_for_each_connection() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for way in WAYS {
        let growth = step_by_step(way, 256);
        println!("{}: {growth:?}", way.name());
        assert!(growth.peak() < 1024.0, "{}: {growth:?}", way.name());
    }
}

#[test]
fn all_have_moved_three_round_trips_after_the_last_announcement() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for way in WAYS {
        let settling = on_a_clock(way, 500, Duration::from_millis(40));
        println!("{}: {settling:?}", way.name());
        assert!(settling.took <= settling.limit, "{}: {settling:?}", way.name());
    }
}
