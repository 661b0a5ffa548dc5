//! The simulator: whole endpoints on a simulated network, in virtual time, from one seed.
//!
//! A [`World`] holds hosts, the links and translators between them, and applications on their connections; it runs until
//! something is so, and panics when a rule is broken that can be seen from outside. A failed run prints its seed:
//! `SIM_SEED=7 SIM_LOG=1 cargo test --test loss what_failed` repeats it and shows every datagram.

mod app;
mod content;
mod dice;
mod host;
mod link;
mod nat;
mod network;
mod shape;
pub mod tls;
mod trace;
mod watch;
mod world;

pub use app::{App, Client, Outcome, Recorder, Request, Served, Server};
pub use content::{Incoming, Outgoing, Progress, fill};
pub use dice::Dice;
pub use host::{Clock, Host, Meanwhile, Serve};
pub use link::{Link, Marking, Queue};
pub use nat::{Filtering, Mapping, Nat};
pub use network::{Datagram, HostId, Verdict};
pub use shape::{Kind, Shape};
pub use world::{Conn, World, addr, for_seeds, ip, ms, secs};
