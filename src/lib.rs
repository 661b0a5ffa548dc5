//! Peregrine: a sans-IO QUIC library whose server can move to another address while its connections live on.
//!
//! An [`Endpoint`] is a pure state machine. It is told what arrived and what time it is; it says what to send, what
//! happened, and when it wants to be called again. It opens no socket and reads no clock, so it fits in any event loop, and
//! in a simulation it repeats itself to the byte.
//!
//! ```no_run
//! use std::net::UdpSocket;
//! use std::sync::Arc;
//!
//! use peregrine::*;
//!
//! fn serve(tls: Arc<rustls::ServerConfig>, socket: UdpSocket) -> Result<(), Box<dyn std::error::Error>> {
//!     let config = ServerConfig::new(tls).migration(MigrationConfig::new(StrategySet::ALL))?;
//!     let mut endpoint = Endpoint::new(EndpointConfig::server(Arc::new(config)), Box::new(SystemRng::new()));
//!     let local = Local { socket: SocketKey(0), ip: None };
//!     let started = std::time::Instant::now();
//!     let (mut incoming, mut outgoing) = ([0; 65_536], [0; 16_384]);
//!     loop {
//!         let now = Instant::ZERO + started.elapsed();
//!         endpoint.handle_timeout(now);
//!         let wake = loop {
//!             match endpoint.poll(now, &mut outgoing) {
//!                 Output::Transmit(transmit) => {
//!                     for datagram in transmit.datagrams(&outgoing) {
//!                         socket.send_to(datagram, transmit.path.remote)?;
//!                     }
//!                 }
//!                 Output::Event(event) => println!("{event:?}"), // the application's turn
//!                 Output::TooSmall => unreachable!("no datagram is larger"),
//!                 Output::Idle { wake } => break wake,
//!             }
//!         };
//!         let wait = wake.map(|wake| wake.at.since(now).max(std::time::Duration::from_micros(1)));
//!         socket.set_read_timeout(wait)?;
//!         if let Ok((len, remote)) = socket.recv_from(&mut incoming) {
//!             let now = Instant::ZERO + started.elapsed();
//!             let arrival = Arrival::single(FourTuple { local, remote });
//!             endpoint.handle_datagrams(now, arrival, &mut incoming[..len]);
//!         }
//!     }
//! }
//! ```
//!
//! * [`Endpoint::connect`] begins a connection; a server's shows itself by [`ConnectionEvent::Connected`].
//! * [`Connection`] has streams ([`Connection::open`], [`Connection::accept`], [`SendStream`], [`RecvStream`]),
//!   [unreliable datagrams](Connection::datagrams), and [what a server's own move](Connection::migration) needs.
//! * [`Endpoint::prepare_relocation`] and [`Endpoint::relocated`] move a server with all its connections; what to agree
//!   on beforehand is [`MigrationConfig`]. `docs/migration.md` tells the life of a move.
//! * Errors say what to do; discarded packets are counted by [`DropReason`].

#![forbid(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations)]

mod cid;
mod codec;
mod config;
mod connection;
mod crypto;
mod datagram;
mod endpoint;
mod error;
mod event;
mod frame;
mod id;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
mod migration;
mod negotiation;
mod net;
mod packet;
mod params;
mod path;
mod range_set;
mod recovery;
mod rng;
mod stats;
mod stream;
mod time;
mod varint;

pub use cid::{
    ConnectionIdGenerator, Owner, QuicLbConfig, QuicLbError, QuicLbIds, QuicLbRouter, RandomIds, ServerId,
    UnroutableIds,
};
pub use config::{
    ClientConfig, EndpointConfig, MIN_DATAGRAM, MakeController, MakeScheduler, MigrationConfig, ServerConfig,
    TransportConfig, TransportConfigBuilder,
};
pub use connection::{Connection, Datagrams, EarlyData, Limit, Migrations, PathStats};
pub use endpoint::{AddressProof, Endpoint, Incoming};
pub use error::*;
pub use event::{ConnectionEvent, Event, Output, TimerKind, Wake};
pub use frame::{FrameKind, MigrationTarget};
pub use id::{ConnectionHandle, ConnectionId, Dir, IncomingHandle, ResetToken, Side, StreamId};
pub use migration::{
    AddressPolicy, AddressScheduler, Cycle, DefaultPolicy, MigrationEvent, MoveOrder, RelocationEvent,
    RelocationPlan, SeekPolicy,
};
pub use negotiation::{Agreement, Strategy, StrategySet};
pub use net::{Arrival, Ecn, FourTuple, Local, SocketKey, Transmit};
pub use packet::{Version, peek};
pub use path::PathEvent;
pub use recovery::AckFrequency;
pub use recovery::congestion::{AckReport, Algorithm, CongestionStage, Controller};
pub use rng::{Rng, SeededRng, SystemRng};
pub use stats::{DropReason, Stats};
pub use stream::{RecvStream, SendStream, StreamEvent};
pub use time::Instant;
pub use varint::{VarInt, VarIntTooLarge};

/// The examples of these pages are compiled.
#[cfg(doctest)]
#[doc = include_str!("../docs/migration.md")]
struct Pages;
