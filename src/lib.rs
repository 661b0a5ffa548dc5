//! Peregrine: a sans-IO QUIC library whose server can move to another address while its connections live on.

#![forbid(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations)]
#![allow(dead_code)] // while the parts are being joined

mod cid;
mod codec;
mod crypto;
mod error;
mod frame;
mod id;
mod migration;
mod negotiation;
mod net;
mod packet;
mod params;
mod range_set;
mod recovery;
mod rng;
mod stats;
mod stream;
mod time;
mod varint;

pub use error::*;
pub use frame::{FrameKind, MigrationTarget};
pub use id::{ConnectionHandle, ConnectionId, Dir, ResetToken, Side, StreamId};
pub use net::{Arrival, Ecn, FourTuple, Local, SocketKey, Transmit};
pub use rng::{Rng, SeededRng, SystemRng};
pub use stats::{DropReason, Stats};
pub use time::Instant;
pub use varint::{VarInt, VarIntTooLarge};
