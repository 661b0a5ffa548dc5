//! A peer that breaks the protocol: every sentence of the RFCs about an error, and what our endpoints make of it.
//!
//! [`requirements`] says which test shows which sentence. Each test lets a forger commit one offence through the
//! simulator and reads the answer with the forger's own keys: the error's code and the frame it names, or silence.

#[path = "../forger/mod.rs"]
mod forger;

mod acks;
mod anything;
mod early_data;
mod elsewhere;
mod endings;
mod frames;
mod ids;
mod migration;
mod packets;
mod parameters;
mod requirements;
mod retries;
mod streams;
mod tls;
