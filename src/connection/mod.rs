//! One connection: the only place where the parts meet.
//!
//! A part decides; this module carries out. Datagrams come in through [`receive`], are taken apart in [`dispatch`],
//! and leave through [`transmit`], which asks [`schedule`] what to send next. [`delivery`] tells owners the fate of what
//! they sent, [`timers`] asks everybody for their deadlines, [`steer`] carries out what `migration/` wants, [`switch`] a
//! server's move and [`rebind`] a client's. It begins in [`birth`], and the application speaks to its [`face`].

mod ack_frequency;
mod birth;
mod close;
mod control;
mod datagrams;
mod delivery;
mod dispatch;
mod early_data;
mod face;
mod follow;
mod gate;
mod glitches;
mod handshake;
mod idle;
mod ids;
mod keys;
mod lures;
mod marks;
mod migrations;
mod mtu;
mod negotiate;
mod new_token;
mod path_stats;
mod phase;
mod preferred;
mod prompt;
mod quic_bit;
mod rebind;
mod receive;
mod retry;
mod schedule;
mod space;
mod steer;
mod steering;
mod switch;
mod timers;
mod transmit;
mod versions;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::cid::{LocalIds, RemoteIds};
use crate::config::{ClientConfig, MigrationConfig, ServerConfig, TransportConfig};
use crate::crypto::{Handshake, HandshakeSummary};
use crate::datagram::{self, DatagramEvent};
use crate::error::{CloseReason, TransportError};
use crate::event::ConnectionEvent;
use crate::frame::Record;
use crate::id::{ConnectionId, ResetToken, SpaceId};
use crate::path::{Path, PathState, Paths, Spin};
use crate::recovery::{Fates, Recovery, RttView};
use crate::rng::Rng;
use crate::stats::Stats;
use crate::stream::Streams;
use crate::time::Instant;

pub(crate) use birth::Caller;
use close::{Closing, Farewell};
use control::Control;
pub use datagrams::Datagrams;
pub use early_data::EarlyData;
use early_data::EarlyState;
use glitches::Glitches;
use idle::Idle;
pub(crate) use ids::Issuer;
use lures::Lures;
use marks::Marks;
pub use migrations::Migrations;
pub use path_stats::{Limit, PathStats};
use phase::Phase;
use quic_bit::QuicBit;
use rebind::Moves;
use receive::Early;
use retry::Retried;
use space::Spaces;
use steering::Steering;
pub(crate) use transmit::Polled;
use versions::Versions;

/// Exponent by which our ACK delays are scaled (RFC 9000, Section 18.2: the default).
const ACK_DELAY_EXPONENT: u8 = 3;

/// What only a client or only a server has.
#[derive(Debug)]
enum Role {
    Client {
        config: Arc<ClientConfig>,
        /// The random ID our first Initial went to.
        first_dcid: ConnectionId,
        /// Whether the server's own connection ID is known.
        met_server: bool,
        /// What the server's Retry demands, if it sent one.
        retried: Option<Retried>,
        /// How many NEW_TOKENs the application was told of.
        tokens: u8,
    },
    Server {
        config: Arc<ServerConfig>,
        /// The ID the client's first Initial went to; after a Retry the ID that the Retry gave.
        first_dcid: ConnectionId,
        /// After a Retry: the ID the client's very first Initial went to.
        before_retry: Option<ConnectionId>,
    },
}

/// What the peer's transport parameters said, beyond what a part keeps for itself.
#[derive(Debug, Clone, Copy)]
struct Peer {
    ack_delay_exponent: u8,
    /// As we wish, or wished, if we did.
    max_ack_delay: Duration,
    /// Largest datagram it takes, in UDP payload bytes.
    max_udp_payload_size: u16,
    /// Whether it takes wishes of how often to acknowledge, and acknowledges at once when asked to.
    takes_wishes: bool,
}

/// Something the endpoint's tables must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Note {
    /// Packets for this ID are for us.
    Issued(ConnectionId),
    /// No longer.
    Retired(ConnectionId),
    /// A datagram that ends with this token is a stateless reset for us.
    Token(ResetToken),
    /// No longer.
    TokenGone(ResetToken),
    /// A server's client has proved its address in the handshake.
    Proved,
    /// A server's handshake was confirmed at this time, or its client is proved to be at another address.
    Confirmed(Instant),
}

/// Buffers that are reused from packet to packet: an endpoint lends the same to each of its connections, so that they
/// are at hand and a connection that rests holds none.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    records: Vec<Record>,
    fates: Fates,
}

/// A QUIC connection, client or server. Owned by an [`Endpoint`](crate::Endpoint) and reached through its handle.
// The order is kept, since an endpoint of many connections fetches each from far memory at every visit: first what every
// visit touches, then what every packet does, and last what the handshake and rare events need.
#[repr(C)]
pub struct Connection {
    phase: Phase,
    control: Control,
    config: Arc<TransportConfig>,
    scratch: Option<Box<Scratch>>,
    events: VecDeque<ConnectionEvent>,
    notes: VecDeque<Note>,
    steering: Steering,
    idle: Idle,
    peer: Peer,
    role: Role,
    paths: Paths,
    streams: Streams,
    datagrams: datagram::Datagrams,
    recovery: Recovery,
    stats: Stats,
    lures: Lures,
    quic_bit: QuicBit,
    marks: Marks,
    local_ids: LocalIds,
    remote_ids: RemoteIds,
    spaces: Spaces,
    glitches: Glitches,
    early: Early,
    tls: Option<Box<Handshake>>,
    summary: Option<Box<HandshakeSummary>>,
    rng: Box<dyn Rng>,
    issuer: Arc<Issuer>,
    original_id: ConnectionId,
    versions: Versions,
    moves: Moves,
    early_state: EarlyState,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("side", &self.side())
            .field("original_id", &self.original_id)
            .field("remote", &self.remote())
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

impl Connection {
    // ---- what the endpoint asks ---------------------------------------------------------------

    pub(crate) fn poll_event(&mut self) -> Option<ConnectionEvent> {
        let Some(event) = self.events.pop_front() else {
            // After the end nobody can do anything about what streams may have left to say.
            return if self.phase.is_open() { self.poll_data_event() } else { None };
        };
        if matches!(event, ConnectionEvent::Closed(_))
            && let Some(earlier) = self.event_before_end()
        {
            self.events.push_front(event);
            return Some(earlier);
        }
        if self.events.is_empty() {
            // They are rare, those of streams apart: a connection that rests holds no room for them.
            self.events = VecDeque::new();
        }
        Some(event)
    }

    /// What came before the end, even in the same packet, is told before it.
    #[cold]
    fn event_before_end(&mut self) -> Option<ConnectionEvent> {
        self.poll_data_event()
    }

    /// What streams and datagrams have to say.
    #[inline(always)]
    fn poll_data_event(&mut self) -> Option<ConnectionEvent> {
        if let Some(event) = self.streams.poll_event() {
            return Some(ConnectionEvent::Stream(event));
        }
        self.datagrams.poll_event().map(|event| match event {
            DatagramEvent::Received => ConnectionEvent::DatagramReceived,
            DatagramEvent::Unblocked => ConnectionEvent::DatagramsUnblocked,
        })
    }

    /// Whether it is neither closing nor closed.
    pub(crate) fn is_open(&self) -> bool {
        self.phase.is_open()
    }

    /// Whether it has said CONNECTION_CLOSE, or is about to.
    pub(crate) fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing(_))
    }

    pub(crate) fn is_drained(&self) -> bool {
        matches!(self.phase, Phase::Drained)
    }

    /// IDs and tokens that the endpoint's tables still hold for us.
    pub(crate) fn names(&self) -> impl Iterator<Item = Note> + '_ {
        let first = match &self.role {
            Role::Server { first_dcid, .. } => Some(Note::Retired(*first_dcid)),
            Role::Client { .. } => None,
        };
        let ids = self.local_ids.ids().map(Note::Retired);
        first.into_iter().chain(ids).chain(self.remote_ids.tokens().map(Note::TokenGone))
    }

    /// Takes buffers on loan, until [`Connection::give_back`].
    #[inline]
    pub(crate) fn lend(&mut self, scratch: Option<Box<Scratch>>) {
        self.scratch = scratch;
    }

    /// Gives back what was lent.
    #[inline]
    pub(crate) fn give_back(&mut self) -> Option<Box<Scratch>> {
        self.scratch.take()
    }

    // ---- among ourselves ----------------------------------------------------------------------

    /// The buffers on loan; others if there are none, or they are in use.
    #[inline]
    fn take_scratch(&mut self) -> Box<Scratch> {
        self.scratch.take().unwrap_or_default()
    }

    /// The round trip of the path in use.
    fn rtt(&self) -> RttView {
        self.paths.home().rtt_view(self.peer.max_ack_delay)
    }

    /// The probe timeout of the path in use, without back-off.
    fn pto(&self) -> Duration {
        self.rtt().pto_base(SpaceId::Data)
    }

    /// Ends the connection because of a fault of the peer.
    fn fail(&mut self, now: Instant, fault: TransportError) {
        if self.phase.is_open() {
            self.end(now, Farewell::Fault(fault), CloseReason::Fault(fault));
        }
    }

    fn end(&mut self, now: Instant, farewell: Farewell, reason: CloseReason) {
        let until = now + self.pto().saturating_mul(3);
        let (home, client) = (self.paths.home().id, self.side().is_client());
        let is_heard = |path: &Path| client && matches!(path.state, PathState::Unproven { .. });
        let hears = |path: &&Path| path.id == home || is_heard(path);
        let places = self.paths.iter().filter(hears).map(|path| path.id).collect();
        self.phase = Phase::Closing(Box::new(Closing::new(farewell, until, places)));
        self.events.push_back(ConnectionEvent::Closed(reason));
    }

    /// The peer ended the connection, or lost it: nothing is sent any more.
    fn drain(&mut self, now: Instant, reason: CloseReason) {
        if self.phase.is_open() {
            self.events.push_back(ConnectionEvent::Closed(reason));
        }
        self.fall_silent(now);
    }

    /// Both sides know that it is over.
    fn fall_silent(&mut self, now: Instant) {
        if !matches!(self.phase, Phase::Drained) {
            self.phase = Phase::Draining { until: now + self.pto().saturating_mul(3) };
        }
    }

    /// Ends the connection without a word.
    fn vanish(&mut self, reason: CloseReason) {
        if self.phase.is_open() {
            self.events.push_back(ConnectionEvent::Closed(reason));
        }
        self.phase = Phase::Drained;
    }

    /// The spin bit of a path where the peer is called this. One in sixteen means nothing although it might, so that those
    /// that never do do not stand out (RFC 9000, Section 17.4).
    fn another_spin(&mut self, dcid: &ConnectionId) -> Spin {
        if self.config.spin_bit && self.rng.below(16) > 0 {
            Spin::readable(self.side())
        } else {
            Spin::silent(dcid)
        }
    }

    /// What was offered or permitted of server migration.
    fn migration_config(&self) -> Option<&MigrationConfig> {
        match &self.role {
            Role::Client { config, .. } => config.migration.as_ref(),
            Role::Server { config, .. } => config.migration.as_ref(),
        }
    }
}
