//! Driving TLS: CRYPTO bytes in and out, keys as they come, transport parameters, and the moment the handshake is done.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;

use super::phase::Phase;
use super::space::Space;
use super::{ACK_DELAY_EXPONENT, Connection, Note, Peer, Role};
use crate::config::{ClientConfig, TransportConfig};
use crate::crypto::{Handshake, Level, Output, Resume, TlsRefused};
use crate::error::TransportError;
use crate::event::ConnectionEvent;
use crate::id::{ConnectionId, SpaceId};
use crate::negotiation::{Strategy, confirm, select};
use crate::packet::Version;
use crate::params::{ClientParams, Common, ServerParams, VersionInformation};
use crate::stream::PeerLimits;
use crate::time::Instant;

fn common(config: &TransportConfig, scid: ConnectionId, active_ids: u64) -> Common {
    Common {
        max_idle_timeout: config.idle_timeout.unwrap_or_default(),
        max_udp_payload_size: config.max_udp_payload_size.into(),
        initial_max_data: config.receive_window,
        initial_max_stream_data_bidi_local: config.stream_receive_window,
        initial_max_stream_data_bidi_remote: config.stream_receive_window,
        initial_max_stream_data_uni: config.stream_receive_window,
        initial_max_streams_bidi: config.max_bidi_streams,
        initial_max_streams_uni: config.max_uni_streams,
        ack_delay_exponent: ACK_DELAY_EXPONENT,
        max_ack_delay: config.max_ack_delay,
        disable_active_migration: false,
        active_connection_id_limit: active_ids,
        initial_source_connection_id: Some(scid),
        max_datagram_frame_size: datagram_frame_size(config),
        min_ack_delay: config.min_ack_delay,
        version_information: None,
        grease_quic_bit: config.grease_quic_bit,
    }
}

/// Largest DATAGRAM frame we take: any that a UDP packet holds (RFC 9221, Section 3), if it can wait for the application.
fn datagram_frame_size(config: &TransportConfig) -> u64 {
    config.datagram_receive_buffer.map_or(0, |bytes| bytes.min(65_535) as u64)
}

/// How many of the server's connection IDs a client keeps: a pool wants one for each of its members
/// (server-migration rules, 2.10).
pub(super) fn id_limit(config: &ClientConfig) -> u64 {
    let limit = config.transport.active_connection_ids;
    match &config.migration {
        Some(migration) if migration.strategies.contains(Strategy::Pool) => {
            limit.max(migration.pool_limit as u64 + 3)
        }
        Some(_) | None => limit,
    }
}

/// The parameters a client begins with.
pub(super) fn client_params(
    config: &Arc<ClientConfig>,
    scid: ConnectionId,
    versions: VersionInformation,
) -> Vec<u8> {
    let offer = config.migration.as_ref().map(|m| m.strategies);
    let active = id_limit(config);
    let mut out = Vec::new();
    let common = Common { version_information: Some(versions), ..common(&config.transport, scid, active) };
    ClientParams { common, suite_offer: offer.map(Into::into) }.encode(&mut out);
    out
}

/// Begins TLS as a client, with `early` data if there is a ticket that permits it. A ticket of another version is not
/// shown (RFC 9369, Section 5).
pub(super) fn begin_tls(
    config: &ClientConfig,
    name: ServerName<'static>,
    params: Vec<u8>,
    version: Version,
    early: bool,
) -> Result<Handshake, TlsRefused> {
    let resume = if early { Resume::Early } else { Resume::Plainly };
    let tls = Handshake::client(&config.tls, name.clone(), params.clone(), version, resume)?;
    let is_other = tls.remembered_params().is_some_and(|remembered| version_of(remembered) != version.wire());
    if is_other { Handshake::client(&config.tls, name, params, version, Resume::Never) } else { Ok(tls) }
}

/// The version of the connection that a server had these parameters in.
fn version_of(remembered: &[u8]) -> u32 {
    let server = ServerParams::decode(remembered).ok();
    // Who knows version 1 alone need not say so.
    server.and_then(|server| server.common.version_information).map_or(Version::V1.wire(), |said| said.chosen)
}

fn level_of(space: SpaceId) -> Level {
    match space {
        SpaceId::Initial => Level::Initial,
        SpaceId::Handshake => Level::Handshake,
        SpaceId::Data => Level::OneRtt,
    }
}

fn space_of(level: Level) -> SpaceId {
    match level {
        Level::Initial => SpaceId::Initial,
        Level::Handshake => SpaceId::Handshake,
        Level::OneRtt => SpaceId::Data,
    }
}

/// A server's answer to a client's parameters.
struct Answer {
    /// Its own, encoded.
    params: Vec<u8>,
    /// The limits under which it takes 0-RTT data, if it does.
    limits: Option<Box<[u64]>>,
}

impl From<&Common> for PeerLimits {
    fn from(peer: &Common) -> Self {
        Self {
            max_data: peer.initial_max_data,
            max_stream_data_bidi_local: peer.initial_max_stream_data_bidi_local,
            max_stream_data_bidi_remote: peer.initial_max_stream_data_bidi_remote,
            max_stream_data_uni: peer.initial_max_stream_data_uni,
            max_streams_bidi: peer.initial_max_streams_bidi,
            max_streams_uni: peer.initial_max_streams_uni,
        }
    }
}

impl Connection {
    /// Gives TLS what has come in order, takes from it what is to be sent, and goes on from there.
    pub(super) fn advance_handshake(&mut self, now: Instant) -> Result<(), TransportError> {
        let Some(mut tls) = self.tls.take() else { return self.refuse_late_crypto() };
        let outcome = self.turn_tls(&mut tls);
        self.tls = Some(tls);
        let has_new_keys = outcome?;
        if matches!(self.phase, Phase::Handshaking { .. })
            && self.tls.as_ref().is_some_and(|t| t.is_complete())
        {
            self.on_complete(now)?;
        } else if has_new_keys {
            self.replay_early(now);
        }
        Ok(())
    }

    /// With TLS gone nothing may come in CRYPTO any more (RFC 9001, Section 6: no KeyUpdate message either).
    fn refuse_late_crypto(&mut self) -> Result<(), TransportError> {
        let space = self.spaces.get_mut(SpaceId::Data);
        if space.is_some_and(|space| space.crypto.read().is_some()) {
            return Err(TransportError {
                code: crate::error::Code::crypto(10),
                frame: 0x06,
                reason: "a TLS message after the handshake",
            });
        }
        Ok(())
    }

    /// Returns whether keys came of it.
    fn turn_tls(&mut self, tls: &mut Handshake) -> Result<bool, TransportError> {
        let mut has_new_keys = false;
        for id in SpaceId::ALL {
            let Some(space) = self.spaces.get_mut(id) else { continue };
            while let Some(bytes) = space.crypto.read() {
                let len = bytes.len();
                tls.read(level_of(id), bytes)?;
                space.crypto.consume(len);
            }
        }
        if let Some(offered) = tls.offered_params() {
            let Answer { params, limits } = self.answer(offered)?;
            tls.set_version(self.versions.current());
            tls.begin(params, limits)?;
        }
        if self.spaces.sends_early() && tls.was_asked_again() {
            self.suspend_early_data();
        }
        while let Some(output) = tls.write() {
            match output {
                Output::Bytes(level, bytes) => {
                    if let Some(space) = self.spaces.get_mut(space_of(level)) {
                        space.crypto.push(&bytes);
                    }
                }
                Output::Keys(level, mut keys) => {
                    keys.wear_after(self.config.key_update_after);
                    let id = space_of(level);
                    self.spaces.insert(id, Space::new(id, keys, self.config.max_ack_delay));
                    has_new_keys = true;
                }
                Output::EarlyKeys(keys) => {
                    match tls.remembered_params().filter(|_| self.side().is_client()) {
                        Some(remembered) => self.begin_early_data(keys, remembered),
                        None => {
                            self.accept_early_data(keys);
                            has_new_keys = true;
                        }
                    }
                }
            }
        }
        Ok(has_new_keys)
    }

    /// A server reads the client's parameters and decides its own: the migration suite is an answer.
    fn answer(&mut self, offered: &[u8]) -> Result<Answer, TransportError> {
        let client = ClientParams::decode(offered)?;
        client.validate_ids(self.remote_ids.current())?;
        let versions = self.agree_on_version(client.common.version_information.as_ref())?;
        let preferred_address = self.prefer();
        let Role::Server { config, first_dcid, before_retry } = &self.role else {
            return Err(TransportError::internal("a client answers nobody"));
        };
        let config = Arc::clone(config);
        let enabled = config.migration.as_ref().map(|m| m.strategies);
        let agreement = select(enabled, client.suite_offer)?;
        self.steering.agreement = agreement;
        let scid = self.original_id;
        let server = ServerParams {
            common: Common {
                version_information: Some(versions),
                disable_active_migration: config.disable_active_migration,
                ..common(&config.transport, scid, config.transport.active_connection_ids)
            },
            original_destination_connection_id: before_retry.or(Some(*first_dcid)),
            stateless_reset_token: Some(self.issuer.token(&scid)),
            preferred_address,
            retry_source_connection_id: before_retry.map(|_| *first_dcid),
            suite_answer: agreement.map(|a| a.strategies().into()),
        };
        self.apply(&client.common);
        let mut params = Vec::new();
        server.encode(&mut params);
        let limits = config.early_data.then(|| server.common.promises());
        Ok(Answer { params, limits })
    }

    /// Takes over what the peer permits.
    fn apply(&mut self, peer: &Common) {
        self.peer = Peer {
            ack_delay_exponent: peer.ack_delay_exponent,
            max_ack_delay: peer.max_ack_delay,
            takes_wishes: peer.min_ack_delay.is_some(),
            max_udp_payload_size: u16::try_from(peer.max_udp_payload_size).unwrap_or(u16::MAX),
        };
        self.begin_wishes(peer);
        self.idle.on_peer_timeout((peer.max_idle_timeout > Duration::ZERO).then_some(peer.max_idle_timeout));
        self.apply_limits(peer);
        for path in self.paths.iter_mut() {
            path.limit_datagram_size(self.peer.max_udp_payload_size);
        }
        // Not by what is remembered: only a token would show that the server still bears it (RFC 9287, Section 3.1).
        if peer.grease_quic_bit && self.config.grease_quic_bit {
            self.quic_bit.permit();
        }
    }

    /// Takes over what bounds what we send, but for the size of datagrams: a client remembers it from an earlier connection.
    pub(super) fn apply_limits(&mut self, peer: &Common) {
        self.streams.on_peer_params(peer.into());
        self.datagrams.on_params(
            datagram_frame_size(&self.config),
            peer.max_datagram_frame_size,
            self.config.datagram_receive_buffer.unwrap_or(0),
            self.config.datagram_send_buffer,
        );
        self.local_ids.on_peer_limit(peer.active_connection_id_limit);
    }

    /// TLS is complete: the peer's parameters are authentic now.
    fn on_complete(&mut self, now: Instant) -> Result<(), TransportError> {
        self.summary = self.tls.as_mut().map(|tls| Box::new(tls.summary()));
        let confirmed = match &self.role {
            Role::Client { .. } => {
                self.take_server_params(now)?;
                false
            }
            Role::Server { .. } => {
                // What the client sent early may still be on its way (RFC 9001, Section 4.9.3).
                self.spaces.end_receiving_early(now + self.pto().saturating_mul(3));
                // A server's handshake is confirmed when it is complete (RFC 9001, Section 4.1.2).
                self.control.say_handshake_done();
                true
            }
        };
        self.phase = Phase::Established { confirmed };
        self.idle.restart(now);
        self.events.push_back(ConnectionEvent::Connected { migration: self.steering.agreement });
        self.begin_migration(now);
        self.issue_ids();
        if confirmed {
            self.on_confirmed(now);
        }
        self.replay_early(now);
        Ok(())
    }

    fn take_server_params(&mut self, now: Instant) -> Result<(), TransportError> {
        let Role::Client { config, first_dcid, retried, .. } = &self.role else { return Ok(()) };
        let config = Arc::clone(config);
        let bytes = self.tls.as_ref().and_then(|tls| tls.peer_params());
        let bytes =
            bytes.ok_or(TransportError::transport_parameter("the server sent no transport parameters"))?;
        let server = ServerParams::decode(bytes)?;
        server.validate_ids(*first_dcid, self.remote_ids.current(), retried.as_ref().map(|r| r.scid))?;
        self.versions.check(&config.versions.preferred, server.common.version_information.as_ref())?;
        let offered = config.migration.as_ref().map(|m| m.strategies);
        self.steering.agreement = confirm(offered, server.suite_answer)?;
        if let Some(token) = server.stateless_reset_token {
            self.remote_ids.set_handshake_token(token);
        }
        if let Some(preferred) = &server.preferred_address {
            self.on_preferred(preferred)?;
        }
        if server.common.disable_active_migration {
            self.moves.forbid();
        }
        let accepted = self.tls.as_ref().is_some_and(|tls| tls.is_early_data_accepted());
        self.settle_early_data(now, &server.common, accepted)?;
        self.apply(&server.common);
        Ok(())
    }

    /// The handshake is confirmed: its keys go, and at a server TLS itself.
    pub(super) fn on_confirmed(&mut self, now: Instant) {
        self.phase = Phase::Established { confirmed: true };
        self.discard_space(now, SpaceId::Initial);
        self.discard_space(now, SpaceId::Handshake);
        self.recovery.release();
        self.reconsider_wishes(now);
        if let Role::Server { .. } = &self.role {
            // 0-RTT packets that are still on their way go to the ID that the client made up.
            if !self.spaces.receives_early() {
                self.retire_first_dcid();
            }
            self.notes.push_back(Note::Confirmed(now));
            self.tls = None;
        }
        self.try_preferred(now);
    }

    /// No packet to the ID that the client's first Initial went to is of use any more.
    pub(super) fn retire_first_dcid(&mut self) {
        if let Role::Server { first_dcid, .. } = &self.role {
            self.notes.push_back(Note::Retired(*first_dcid));
        }
    }

    /// Drops a handshake space: its packets leave the flight without a verdict.
    pub(super) fn discard_space(&mut self, now: Instant, id: SpaceId) {
        if !self.spaces.discard(id) {
            return;
        }
        if id == SpaceId::Initial {
            self.versions.forget();
        }
        let mut scratch = self.take_scratch();
        let fates = &mut scratch.fates;
        fates.clear();
        self.recovery.discard_space(id, fates);
        self.settle_windows(now, fates);
        self.scratch = Some(scratch);
    }
}
