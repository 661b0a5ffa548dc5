//! The simulator: whole endpoints on a simulated network, in virtual time, from one seed.
//!
//! A [`World`] holds hosts, the links and translators between them, and applications on their connections; it runs until
//! something is so, and panics when a rule is broken that can be seen from outside. A failed run prints its seed:
//! `SIM_SEED=7 SIM_LOG=1 cargo test --test loss what_failed` repeats it and shows every datagram.

#![forbid(unsafe_code)]
#![warn(missing_docs, unreachable_pub, missing_debug_implementations)]

mod app;
mod dice;
mod host;
mod link;
mod nat;
mod network;
mod recorder;
mod requests;
mod seeds;
mod shape;
pub mod tls;
mod trace;
mod watch;
mod words;
mod world;

pub use app::{App, Outcome, Serve};
pub use dice::Dice;
pub use host::{Clock, Host, Meanwhile};
pub use link::{Link, Marking, Queue};
pub use nat::{Filtering, Mapping, Nat};
pub use network::{Datagram, HostId, TapId, Verdict};
pub use recorder::Recorder;
pub use requests::{Client, Request, Served, Server, fill};
pub use seeds::for_seeds;
pub use shape::{Kind, Shape};
pub use trace::Trace;
pub use words::{addr, ip, ms, secs};
pub use world::{Conn, World};
