//! The machines of both ends, explored in every order of events within a bound.
//!
//! The true [`Client`](super::Client), [`Server`](super::Server) and [`Relocation`](super::Relocation) are composed with a network that
//! delivers in any order, loses, delays and copies, and with an operator who acts at any moment or not at all. What
//! stands between machine and network, the connection, is modelled: [`client`], [`server`] and [`ledger`].
//!
//! **What is abstracted.** *Time* goes on in ticks of one probe timeout, and only when nothing flies: a packet arrives
//! within the tick it was sent in, or it is one of the few that are withheld, to arrive at any time or never. All delays
//! of the machines are multiples of a tick, or round up to one, so that every order of two timers that are further apart
//! is seen. *Delay* has a price, and so do loss and copies: the network may cause a bounded number of troubles, in every
//! place. That makes "it ends well" decidable: so many ticks after the last trouble, whatever it was, all must be over.
//! *Paths* have no budget, window or size but whether a challenge was padded; *keys* and connection IDs never run out.

mod client;
mod facsimile;
mod ledger;
mod mutant;
mod network;
mod properties;
mod scenario;
mod script;
mod server;
mod tests;

use std::time::Duration;

/// A step of time: the probe timeout of every path.
const TICK: Duration = Duration::from_millis(250);
/// The migration deadline of both ends.
const DEADLINE: Duration = Duration::from_millis(1500);
/// How long a candidate known by its source alone may stay unanswered: three times the probe timeout of a path that was
/// never measured.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a connection lives in silence.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);
