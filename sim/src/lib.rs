#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![warn(unreachable_pub, missing_debug_implementations)]
#![expect(clippy::test_attr_in_doctest, reason = "the first example is a whole test, and is run as one")]

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
