//! Everything at once, in the simulator: servers move by every strategy while all that can go wrong does.

mod happen;
mod phase;
mod places;
mod prospect;
mod run;
mod scenario;
mod seeds;
mod trouble;
mod watcher;
mod weather;
