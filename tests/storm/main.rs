//! Everything at once, in the simulator: servers move by every strategy while all that can go wrong does.
//!
//! [`seeds`] draws whole scenarios, plays them and looks at every step; the other tests play one thing at a time.
//! `SIM_SEED=7 cargo test --test storm` repeats a scenario that failed, `SIM_LOG=1` shows every datagram of it, and
//! `SIM_SEEDS=10000 cargo test --release --test storm seeds` plays many in a night, and names all that fail.
//! `memory.rs` beside it is a binary of its own, `storm_memory`: it plays seeds alone, and counts the heap.

mod filters;
mod happen;
mod offers;
mod phase;
mod phases;
mod places;
mod plain;
mod pools;
mod prospect;
mod run;
mod scenario;
mod seeds;
mod trouble;
mod watcher;
mod weather;
