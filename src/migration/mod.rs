//! Server migration: what each side of a connection decides when the server moves (server-migration rules, 1 to 5).
//!
//! Pure machines: inputs and facts in, actions out. They know addresses and time, and nothing of paths, packets, keys or
//! connection IDs; `connection/steer.rs` carries their actions out. [`Client`] and [`Server`] are the two sides, and each
//! has one match on the strategy; what is peculiar to a strategy stands in its own file. [`relocation`] moves many connections.

mod announce;
mod asking;
mod budget;
mod client;
mod explicit;
mod fuse;
#[cfg(test)]
mod model;
mod notice;
mod policy;
mod pool;
pub mod relocation;
mod scheduler;
mod seek;
mod server;
mod synchronized;

use std::net::SocketAddr;
use std::time::Duration;

use smallvec::SmallVec;

pub use client::{Client, ClientInput, ClientSettings, Heard};
pub use policy::{AddressPolicy, DefaultPolicy};
pub use relocation::{MoveOrder, Relocation, RelocationEvent, RelocationPlan};
pub use scheduler::{AddressScheduler, Cycle};
pub use server::{Server, ServerInput};

use crate::error::MigrationError;
use crate::frame::{FrameKind, MigrationTarget};
use crate::negotiation::Strategy;
use crate::packet::PacketWriter;

/// When a client looks for a server that announced where it will be: a variant of Explicit that the server knows
/// nothing of (reference, Section 3.3; rules, 2.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SeekPolicy {
    /// When something sent to the old address stays unanswered for a probe timeout (RFC 9002, Section 6.2), or the
    /// server is heard from the new one.
    #[default]
    Reactive,
    /// As soon as the acknowledgement of the announcement has been sent, too.
    Proactive,
}

/// What happened to a server's move, seen from one side of a connection (reference, Section 6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MigrationEvent {
    /// Client: the server may move there. Server: the client has acknowledged this member. Once for each (reference,
    /// Section 3.4).
    PoolAddress {
        /// The address.
        target: MigrationTarget,
    },
    /// Client: a move is coming; SERVER_MIGRATION said so. Never with Pool or Symmetric, which say nothing beforehand.
    Announced {
        /// By which strategy.
        strategy: Strategy,
    },
    /// Server: this connection may be relocated. Explicit and Synchronized Symmetric: the announcement is acknowledged;
    /// Pool: all members are; Symmetric: at once (reference, Section 3.2).
    Ready {
        /// By which strategy.
        strategy: Strategy,
    },
    /// Client: the server is looked for there. Once for each address and search (rules, 2.3).
    Seeking {
        /// By which strategy.
        strategy: Strategy,
        /// Where.
        address: SocketAddr,
    },
    /// Client: the address policy refuses what the server named; nothing is sent there, and the server is not told
    /// (rules, 2.11). Once for each target.
    Refused {
        /// What the server named.
        target: MigrationTarget,
    },
    /// Client: the pool holds as many members as [`pool_limit`](crate::MigrationConfig::pool_limit) permits; this one is
    /// ignored. Once for each target.
    PoolFull {
        /// What the server named.
        target: MigrationTarget,
    },
    /// Client: SERVER_MIGRATED came from a new address. Once for each move, and not at all if another packet showed the
    /// address first (reference, Section 3.5).
    Migrated,
    /// Client: the old address answered after all, and the search is over; or the new one failed, and the connection is
    /// back at the old one (rules, 2.6).
    Returned {
        /// The address in use.
        address: SocketAddr,
    },
    /// Server: the client has acknowledged a SERVER_MIGRATION or SERVER_MIGRATED of the move under way. Once for each.
    FrameAcknowledged {
        /// The frame.
        kind: FrameKind,
    },
    /// The connection goes on at the new address. Client: it answered a challenge. Server: the client has the answer, or
    /// anything that was sent after the move (rules, 2.5 and 3.4).
    Completed {
        /// By which strategy.
        strategy: Strategy,
        /// Client: the server's address. `None` at the server, which was told where it is by whoever moved it.
        address: Option<SocketAddr>,
    },
    /// The move, or the search, came to nothing before the migration deadline, or the order cannot be followed. The
    /// connection goes on, or ends by its idle timer, unless a plan closes it (rules, 2.7 and 4.1).
    Failed {
        /// By which strategy.
        strategy: Strategy,
        /// Why.
        reason: MigrationError,
    },
}

/// What the connection knows and the machines do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The peer's address in use.
    pub home: SocketAddr,
    /// The probe timeout of home without back-off, max_ack_delay included.
    pub pto: Duration,
    /// How long a candidate known by its source alone may stay unanswered: three times the longest of the probe timeout
    /// with the initial round trip, home's last round trip, and the current probe timeout (rules, 2.7).
    pub patience: Duration,
    /// Connection IDs issued to the peer beyond the one in use.
    pub spare_ids: u64,
    /// Whether nothing ack-eliciting is in flight.
    pub quiet: bool,
    /// Whether a stream of the peer is not fully received.
    pub receiving: bool,
    /// Where the former home is, while it is kept.
    pub former: Option<SocketAddr>,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Client: challenge this address; it is a candidate from now on.
    Seek(SocketAddr),
    /// Client: this address is no candidate any more.
    Forget(SocketAddr),
    /// Client: home has spoken louder than this candidate; what was sent there goes home again.
    Recall(SocketAddr),
    /// Client: this address has answered; it is home.
    Adopt(SocketAddr),
    /// Send a PING on home.
    Ask,
    /// Server: challenge home, so that a client which has nothing of its own to send has an answer to send. Not if it may
    /// have no spare ID of ours left: an mvfst client takes another with each challenge, and closes for want of one.
    Prompt,
    /// Server: the same, if packets of the client's are missing. One that leapt too early sends what it has to say to the
    /// target, and goes on to do so when it is pulled back; once home acknowledges an answer, what was sent before it is
    /// lost, and is sent again to home.
    PullBack,
    /// Client: send a PING to the former home.
    AskFormer,
    /// Client: challenge home itself.
    ProveHome,
    /// Client: home proved useless; the former home is home again.
    GoBack,
    /// Client: home lost its state and no candidate answered: the connection is over.
    EndByReset,
    /// Tell the application.
    Emit(MigrationEvent),
}

/// Actions in order.
pub type Actions = SmallVec<[Action; 4]>;

/// The machine of one side.
#[derive(Debug)]
pub enum Migration {
    /// A client's.
    Client(Box<Client>),
    /// A server's.
    Server(Box<Server>),
}

impl Migration {
    /// Writes the migration frames that are due.
    pub fn write(&mut self, packet: &mut PacketWriter<'_>) {
        match self {
            Self::Client(_) => {}
            Self::Server(server) => server.write(packet),
        }
    }
}
