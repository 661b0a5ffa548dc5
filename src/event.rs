//! Events: what an endpoint and its connections tell the embedder. Gathered here, each defined by the part that speaks.

use crate::connection::EarlyData;
use crate::error::CloseReason;
use crate::id::{ConnectionHandle, ConnectionId, IncomingHandle};
use crate::migration::{MigrationEvent, RelocationEvent};
use crate::negotiation::Agreement;
use crate::net::Transmit;
use crate::path::PathEvent;
use crate::stream::StreamEvent;
use crate::time::Instant;

/// What [`Endpoint::poll`](crate::Endpoint::poll) has to say.
#[derive(Debug)]
pub enum Output {
    /// The buffer holds datagrams to be sent; then poll again.
    Transmit(Transmit),
    /// Something happened; then poll again.
    Event(Event),
    /// The buffer is too small for one datagram as the path in use carries it; poll with a larger one.
    ///
    /// One that holds what [`mtu_discovery`](crate::TransportConfigBuilder::mtu_discovery) is bound by, and
    /// [`datagram_size`](crate::TransportConfigBuilder::datagram_size), never is. Nor is one that is always the same and
    /// holds the latter: no path is searched for datagrams larger than the buffer.
    TooSmall,
    /// Nothing to do before `wake`, a datagram, or a call to a connection. `None`: no timer runs.
    Idle {
        /// When to call [`Endpoint::handle_timeout`](crate::Endpoint::handle_timeout).
        wake: Option<Wake>,
    },
}

/// When the endpoint wants to be called, and what for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wake {
    /// When.
    pub at: Instant,
    /// What runs out then.
    pub timer: TimerKind,
}

/// The timers of a connection and of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TimerKind {
    /// Packets are declared lost, or a probe is sent (RFC 9002, Section 6).
    Recovery,
    /// A delayed acknowledgement is sent.
    Ack,
    /// The pacer permits the next datagrams.
    Pacer,
    /// A path validation is repeated or given up, or a former path is forgotten.
    Path,
    /// Server migration wants to seek, ask or give up.
    Migration,
    /// The connection ends for want of packets.
    Idle,
    /// A PING keeps the connection alive.
    KeepAlive,
    /// Old keys are discarded.
    Keys,
    /// The handshake is given up.
    Handshake,
    /// A closing or draining connection is forgotten.
    Close,
    /// The endpoint's relocation: a deadline, or the next announcements.
    Relocation,
}

/// What happened at an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Something happened on a connection. A server's new connection shows itself with
    /// [`ConnectionEvent::Connected`], or before that with [`ConnectionEvent::EarlyData`].
    Connection(ConnectionHandle, ConnectionEvent),
    /// The endpoint's move has come further.
    Relocation(RelocationEvent),
    /// A packet came here whose connection ID is another server's, as
    /// [`ConnectionIdGenerator::owner`](crate::ConnectionIdGenerator::owner) says. It was dropped: neither a connection
    /// nor a stateless reset comes of it (RFC 9000, Section 21.11). Anybody can send such packets; if too many come,
    /// some are only counted, as [`DropReason::Misrouted`](crate::DropReason::Misrouted).
    Misrouted(ConnectionId),
    /// A client wants to connect to a server that [asks for each](crate::EndpointConfig::ask_for_each): look at it with
    /// [`Endpoint::incoming`](crate::Endpoint::incoming), and accept, refuse, retry or ignore it. It is forgotten after
    /// the handshake timeout of the server's transport.
    Incoming(IncomingHandle),
}

/// What happened on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionEvent {
    /// The handshake is complete.
    Connected {
        /// What was agreed on server migration. `None`: the peer said nothing; an empty one: nothing in common.
        migration: Option<Agreement>,
    },
    /// Data can be exchanged before the handshake is complete, or what became of that (0-RTT). **It may be replayed.** At
    /// a client `Offered` comes with its first flight, and `Accepted` or `Rejected` right before `Connected`; a server that
    /// accepts early data shows its new connection with `Accepted`.
    EarlyData(EarlyData),
    /// Something happened on a stream.
    Stream(StreamEvent),
    /// A client is at another address; the server follows it.
    PeerMoved {
        /// Where it was.
        from: std::net::SocketAddr,
        /// Where it is.
        to: std::net::SocketAddr,
    },
    /// The server's move has come further.
    Migration(MigrationEvent),
    /// A path that a client asked for, or that its server prefers, was validated, or was not.
    Path(PathEvent),
    /// A client's server gave a token of 1 to 768 bytes, to be shown by
    /// [`ClientConfig::token`](crate::ClientConfig::token) when connecting again. At most eight are told of.
    NewToken(Vec<u8>),
    /// An unreliable datagram can be received, after there was none: receive until there is none.
    DatagramReceived,
    /// After [`SendDatagramError::Blocked`](crate::SendDatagramError): datagrams can be queued again.
    DatagramsUnblocked,
    /// The connection is over; its handle means nothing from now on.
    Closed(CloseReason),
}
