//! How a connection begins, at its client and at its server.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;

use super::early_data::EarlyState;
use super::glitches::Glitches;
use super::lures::Lures;
use super::phase::Phase;
use super::quic_bit::QuicBit;
use super::rebind::Moves;
use super::space::{Space, Spaces};
use super::steering::Steering;
use super::versions::Versions;
use super::{Connection, Control, Early, Idle, Issuer, Marks, Note, Peer, Role, handshake};
use crate::cid::{LocalIds, RemoteIds};
use crate::config::{ClientConfig, Congestion, ServerConfig, TransportConfig};
use crate::crypto::{Handshake, KeyRing};
use crate::datagram::Datagrams;
use crate::error::ConnectError;
use crate::id::{ConnectionId, PathId, Side, SpaceId};
use crate::net::FourTuple;
use crate::packet::{Version, reserved};
use crate::path::mtu::{Mtu, Sizes};
use crate::path::{Budget, Path, PathState, Paths, Spin, Validation};
use crate::recovery::congestion::Window;
use crate::recovery::{Pacer, Recovery, Rtt};
use crate::rng::Rng;
use crate::stats::Stats;
use crate::stream::{StreamLimits, Streams};
use crate::time::Instant;

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

/// Makes a fresh path with nothing known about it.
pub(super) fn fresh_path(
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

/// What an attempt at a handshake begins with: the first one, and the one that begins anew in another version.
pub(super) struct Attempt {
    pub(super) tls: Box<Handshake>,
    pub(super) spaces: Spaces,
    pub(super) recovery: Recovery,
    pub(super) remote_ids: RemoteIds,
    pub(super) early: Early,
}

impl Attempt {
    /// An attempt with these keys for its Initial packets, which go to `dcid`; of the peer's IDs `id_limit` are kept.
    pub(super) fn new(
        tls: Handshake,
        keys: KeyRing,
        config: &TransportConfig,
        dcid: ConnectionId,
        id_limit: u64,
    ) -> Self {
        Self {
            tls: Box::new(tls),
            spaces: Spaces::new(Space::new(SpaceId::Initial, keys, config.max_ack_delay)),
            recovery: Recovery::new(),
            remote_ids: RemoteIds::new(dcid, id_limit),
            early: Early::default(),
        }
    }
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
        let attempt = Attempt::new(tls, keys, &config, dcid, id_limit);
        let mut connection = Self {
            phase: Phase::Handshaking { deadline: now + config.handshake_timeout },
            peer: Peer {
                ack_delay_exponent: 3,
                max_ack_delay: Duration::from_millis(25),
                max_udp_payload_size: u16::MAX,
                takes_wishes: false,
            },
            tls: Some(attempt.tls),
            summary: None,
            spaces: attempt.spaces,
            recovery: attempt.recovery,
            paths: Paths::new(|id| fresh_path(&config, sizes, id, tuple, dcid, state)),
            local_ids: LocalIds::new(scid),
            remote_ids: attempt.remote_ids,
            streams: Streams::new(side, limits),
            datagrams: Datagrams::default(),
            control: Control::default(),
            steering: Steering::default(),
            idle: Idle::new(now, config.idle_timeout, config.keep_alive),
            early: attempt.early,
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
}
