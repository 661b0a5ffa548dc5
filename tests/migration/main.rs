//! What the reference's tests show of server migration, and what the reference does not withstand.
//!
//! [`catalogue`] reads the two lists beside this file, which name a test for every behaviour and for every remedy.

mod catalogue;
mod orders;
mod plans;
mod schedulers;
