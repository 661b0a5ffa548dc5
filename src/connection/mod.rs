//! One connection: the only place where the parts meet.
//!
//! A part decides; this module carries out. Datagrams come in through [`receive`], are taken apart in [`dispatch`],
//! and leave through [`transmit`], which asks [`schedule`] what to send next. [`delivery`] tells owners the fate of what
//! they sent, [`timers`] asks everybody for their deadlines, [`steer`] carries out what `migration/` wants, [`switch`] a server's move and [`rebind`] a client's.

mod ack_frequency;
mod close;
mod control;
mod datagrams;
mod delivery;
mod dispatch;
mod early_data;
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
mod quic_bit;
mod rebind;
mod receive;
mod retry;
mod schedule;
mod space;
mod steer;
mod switch;
mod timers;
mod transmit;
mod versions;

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::CipherSuite;
use rustls::pki_types::{CertificateDer, ServerName};

use crate::cid::{LocalIds, RemoteIds};
use crate::config::{ClientConfig, Congestion, MigrationConfig, ServerConfig, TransportConfig};
use crate::crypto::{Handshake, HandshakeSummary, KeyRing};
use crate::datagram::{self, DatagramEvent};
use crate::error::{CloseReason, ConnectError, TransportError};
use crate::event::ConnectionEvent;
use crate::frame::Record;
use crate::id::{ConnectionId, Dir, PathId, ResetToken, Side, SpaceId, StreamId};
use crate::net::{FourTuple, Local};
use crate::packet::{Version, reserved};
use crate::path::mtu::{Mtu, Sizes};
use crate::path::{Budget, Path, PathState, Paths, Spin, Validation};
use crate::recovery::congestion::Window;
use crate::recovery::{Fates, Pacer, Recovery, Rtt, RttView};
use crate::rng::Rng;
use crate::stats::Stats;
use crate::stream::{RecvStream, SendStream, StreamLimits, Streams};
use crate::time::Instant;
use crate::varint::VarInt;

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
use space::{Space, Spaces};
use steer::Steering;
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

/// What a client's first packet says, and what its token proves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    /// The version of its first packet.
    pub(crate) version: Version,
    /// The ID it went to.
    pub(crate) dcid: ConnectionId,
    /// What the client calls itself.
    pub(crate) scid: ConnectionId,
    /// After a Retry: the ID the client's very first Initial went to.
    pub(crate) before_retry: Option<ConnectionId>,
    /// Whether the client was shown to be where it says.
    pub(crate) proved: bool,
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

/// Makes a fresh path with nothing known about it.
fn fresh_path(
    config: &TransportConfig,
    sizes: Sizes,
    id: PathId,
    tuple: FourTuple,
    dcid: ConnectionId,
    state: PathState,
) -> Path {
    let size = sizes.first;
    Path {
        id,
        tuple,
        dcid,
        state,
        rtt: Rtt::new(config.initial_rtt),
        window: match &config.congestion {
            Congestion::Known(algorithm) => Window::new(*algorithm, size, config.initial_window),
            Congestion::Own(make) => Window::with_controller(make(size), size),
        },
        pacer: Pacer::new(size),
        mtu: Mtu::new(sizes),
        validation: Validation::new(),
        ping: false,
        spin: Spin::silent(&dcid),
        ecn: crate::path::ecn::Validator::new(config.ecn),
        datagram_size: size,
    }
}

/// What both sides are born with.
struct Birth {
    now: Instant,
    versions: Versions,
    tuple: FourTuple,
    /// The ID packets go to at first.
    dcid: ConnectionId,
    /// The ID we are known by at first.
    scid: ConnectionId,
    rng: Box<dyn Rng>,
    issuer: Arc<Issuer>,
}

impl Connection {
    /// Begins a connection as its client; `scid` and `dcid` are random.
    pub(crate) fn client(
        now: Instant,
        tuple: FourTuple,
        config: Arc<ClientConfig>,
        server_name: &str,
        mut rng: Box<dyn Rng>,
        scid: ConnectionId,
        issuer: Arc<Issuer>,
    ) -> Result<Self, ConnectError> {
        let name = ServerName::try_from(server_name.to_owned())
            .map_err(|_| ConnectError::ServerName(server_name.to_owned()))?;
        let dcid = ConnectionId::new(&rng.bytes::<8>()).expect("eight bytes are a connection ID");
        let version = config.versions.first;
        let disguise = config.versions.greases.then(|| reserved(rng.bytes()));
        let versions = Versions::client(version, disguise);
        let said = versions.information(&config.versions.preferred, &mut *rng);
        let params = handshake::client_params(&config, scid, said);
        // Nobody reads on in a flight of a version that nobody knows.
        let early = config.early_data && versions.disguise().is_none();
        let tls = handshake::begin_tls(&config, name, params, version, early)
            .map_err(|e| ConnectError::Tls(e.to_string()))?;
        let keys = KeyRing::initial(version, &dcid, Side::Client);
        let transport = Arc::clone(&config.transport);
        let role = Role::Client { config, first_dcid: dcid, met_server: false, retried: None, tokens: 0 };
        let birth = Birth { now, versions, tuple, dcid, scid, rng, issuer };
        // The server's address was chosen by us: nothing limits what we send there (RFC 9000, Section 8.1).
        let mut connection = Self::new(birth, transport, role, tls, keys, PathState::Validated);
        connection.notes.push_back(Note::Issued(scid));
        connection.advance_handshake(now).map_err(|e| ConnectError::Tls(e.reason.to_owned()))?;
        Ok(connection)
    }

    /// Begins a connection as its server, upon a client's first Initial.
    pub(crate) fn server(
        now: Instant,
        tuple: FourTuple,
        config: Arc<ServerConfig>,
        caller: Caller,
        rng: Box<dyn Rng>,
        scid: ConnectionId,
        issuer: Arc<Issuer>,
    ) -> Self {
        let Caller { version, dcid: first_dcid, scid: client_id, before_retry, proved } = caller;
        let tls = Handshake::server(&config.tls, version);
        let keys = KeyRing::initial(version, &first_dcid, Side::Server);
        let transport = Arc::clone(&config.transport);
        let role = Role::Server { config, first_dcid, before_retry };
        let versions = Versions::server(version);
        let birth = Birth { now, versions, tuple, dcid: client_id, scid, rng, issuer };
        let state = if proved { PathState::Validated } else { PathState::Unproven { budget: Budget::new() } };
        let mut connection = Self::new(birth, transport, role, tls, keys, state);
        connection.notes.push_back(Note::Issued(scid));
        connection.notes.push_back(Note::Issued(first_dcid));
        connection
    }

    fn new(
        birth: Birth,
        config: Arc<TransportConfig>,
        role: Role,
        tls: Handshake,
        keys: KeyRing,
        state: PathState,
    ) -> Self {
        let Birth { now, versions, tuple, dcid, scid, rng, issuer } = birth;
        let side = match role {
            Role::Client { .. } => Side::Client,
            Role::Server { .. } => Side::Server,
        };
        let id_limit = match &role {
            Role::Client { config, .. } => handshake::id_limit(config),
            Role::Server { config, .. } => config.transport.active_connection_ids,
        };
        let limits = StreamLimits {
            max_bidi: config.max_bidi_streams,
            max_uni: config.max_uni_streams,
            receive_window: config.receive_window,
            stream_receive_window: config.stream_receive_window,
            send_buffer: config.send_buffer,
        };
        let sizes = Sizes { first: config.datagram_size, hint: None, bound: config.mtu_discovery };
        let mut connection = Self {
            phase: Phase::Handshaking { deadline: now + config.handshake_timeout },
            peer: Peer {
                ack_delay_exponent: 3,
                max_ack_delay: Duration::from_millis(25),
                max_udp_payload_size: u16::MAX,
                takes_wishes: false,
            },
            tls: Some(Box::new(tls)),
            summary: None,
            spaces: Spaces::new(Space::new(SpaceId::Initial, keys, config.max_ack_delay)),
            recovery: Recovery::new(),
            paths: Paths::new(|id| fresh_path(&config, sizes, id, tuple, dcid, state)),
            local_ids: LocalIds::new(scid),
            remote_ids: RemoteIds::new(dcid, id_limit),
            streams: Streams::new(side, limits),
            datagrams: datagram::Datagrams::default(),
            control: Control::default(),
            steering: Steering::default(),
            idle: Idle::new(now, config.idle_timeout, config.keep_alive),
            early: Early::default(),
            lures: Lures::default(),
            quic_bit: QuicBit::default(),
            marks: Marks::default(),
            glitches: Glitches::default(),
            events: VecDeque::new(),
            notes: VecDeque::new(),
            stats: Stats::default(),
            rng,
            issuer,
            original_id: scid,
            versions,
            moves: Moves::new(scid),
            early_state: EarlyState::Unused,
            scratch: None,
            config,
            role,
        };
        let spin = connection.another_spin(&dcid);
        connection.paths.home_mut().spin = spin;
        connection
    }

    // ---- what the application may say ---------------------------------------------------------

    /// Opens a stream; `None` until the peer permits another ([`StreamEvent::Available`](crate::StreamEvent)), and before
    /// the handshake is complete unless [early data](Connection::early_data) is exchanged: **that may be replayed**.
    pub fn open(&mut self, dir: Dir) -> Option<StreamId> {
        if !self.phase.is_established() && !self.may_speak_early() {
            return None;
        }
        self.streams.open(dir)
    }

    /// Takes the next stream that the peer opened; `None` if there is none.
    pub fn accept(&mut self, dir: Dir) -> Option<StreamId> {
        self.streams.accept(dir)
    }

    /// The sending half of a stream; `None` if it is unknown, over, or not ours to send on.
    pub fn send(&mut self, id: StreamId) -> Option<SendStream<'_>> {
        self.streams.send(id)
    }

    /// The receiving half of a stream; `None` if it is unknown, over, or not ours to receive on.
    pub fn recv(&mut self, id: StreamId) -> Option<RecvStream<'_>> {
        self.streams.recv(id)
    }

    /// Ends the connection at once; what was not delivered is lost. A reason beyond 256 bytes is cut.
    pub fn close(&mut self, now: Instant, code: VarInt, reason: &[u8]) {
        if self.phase.is_open() {
            self.end(now, Farewell::application(code, reason), CloseReason::Local { code });
        }
    }

    /// The server's connection ID of the handshake, at both sides: a name that stays whatever is issued or retired.
    pub fn original_id(&self) -> ConnectionId {
        self.original_id
    }

    /// Where the peer is.
    pub fn remote(&self) -> SocketAddr {
        self.paths.home().tuple.remote
    }

    /// Our own end of the path in use.
    pub fn local(&self) -> Local {
        self.paths.home().tuple.local
    }

    /// Which side we are.
    pub fn side(&self) -> Side {
        match self.role {
            Role::Client { .. } => Side::Client,
            Role::Server { .. } => Side::Server,
        }
    }

    /// The version of QUIC that is spoken; it may change until the handshake is complete (RFC 9368).
    pub fn version(&self) -> Version {
        self.versions.current()
    }

    /// What was counted so far.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The protocol that ALPN chose, once the handshake is complete.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.summary.as_ref().and_then(|s| s.alpn.as_deref())
    }

    /// The server's name as the client gave it, once the handshake is complete; `None` at a server whose client gave an
    /// address.
    pub fn server_name(&self) -> Option<&str> {
        self.summary.as_ref().and_then(|s| s.server_name.as_deref())
    }

    /// The peer's certificate and those it was signed with, its own first, once the handshake is complete; none of an
    /// anonymous client.
    pub fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        self.summary.as_ref().map_or(&[], |s| &s.peer_certificates)
    }

    /// The cipher suite of TLS, once the handshake is complete.
    pub fn cipher_suite(&self) -> Option<CipherSuite> {
        self.summary.as_ref().and_then(|s| s.suite)
    }

    /// Whether the handshake stood on a ticket of an earlier connection instead of certificates; known once it is
    /// complete.
    pub fn is_resumed(&self) -> bool {
        self.summary.as_ref().is_some_and(|summary| summary.resumed)
    }

    /// Whether the handshake is complete and data flows.
    pub fn is_established(&self) -> bool {
        self.phase.is_established()
    }

    /// Whether the handshake is confirmed (RFC 9001, Section 4.1.2): not before then a client follows its server.
    pub fn is_confirmed(&self) -> bool {
        self.phase.is_confirmed()
    }

    /// Unreliable datagrams on this connection.
    pub fn datagrams(&mut self) -> Datagrams<'_> {
        Datagrams::new(self)
    }

    /// Server migration on this connection.
    pub fn migration(&mut self) -> Migrations<'_> {
        Migrations::new(self)
    }

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
