//! What the reference's tests show of server migration, and what the reference does not withstand.
//!
//! [`catalogue`] reads the two lists beside this file, which name a test for every behaviour and for every remedy.

#[path = "../forger/mod.rs"]
mod forger;

mod admission;
mod catalogue;
mod copies;
mod ids;
mod orders;
mod patience;
mod places;
mod plans;
mod resets;
mod schedulers;
mod searching;
mod switches;
