//! Peregrine: a sans-IO QUIC library whose server can move to another address while its connections live on.

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
