//! A datagram's way in: packets, keys, duplicates, the gate, frames, and only then the books.

use std::collections::VecDeque;

use super::phase::Phase;
use super::versions::Reading;
use super::{Connection, Note, Role};
use crate::config::MIN_DATAGRAM;
use crate::crypto::{OpenError, Standing};
use crate::error::TransportError;
use crate::frame::{Frames, PacketKind};
use crate::id::{ConnectionId, PacketNumber, PathId, SpaceId};
use crate::net::{Ecn, FourTuple};
use crate::packet::{Packet, PacketHeader, Packets, has_fixed_bit, is_short, reset};
use crate::path::{Path, PathState};
use crate::stats::DropReason;
use crate::time::Instant;

/// Packets kept until their keys come, at most, and their bytes.
const MAX_EARLY_PACKETS: usize = 8;
const MAX_EARLY_BYTES: usize = 12 << 10;

/// A packet that came before its keys did, and how.
#[derive(Debug)]
struct Kept {
    path: FourTuple,
    ecn: Ecn,
    len: usize,
    packet: Vec<u8>,
}

/// Packets that came before their keys did.
#[derive(Debug, Default)]
pub(super) struct Early {
    packets: VecDeque<Kept>,
    bytes: usize,
}

impl Early {
    fn keep(&mut self, came: &Came<'_>, packet: &[u8]) -> bool {
        if self.packets.len() >= MAX_EARLY_PACKETS || self.bytes + packet.len() > MAX_EARLY_BYTES {
            return false;
        }
        self.bytes += packet.len();
        let Came { path, ecn, len, .. } = *came;
        self.packets.push_back(Kept { path: *path, ecn, len, packet: packet.to_vec() });
        true
    }
}

/// How one datagram arrived, while its packets are taken apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Came<'a> {
    pub(super) path: &'a FourTuple,
    pub(super) ecn: Ecn,
    /// Bytes of the whole datagram.
    pub(super) len: usize,
    /// Whether its bytes were credited to its path already.
    pub(super) credited: bool,
}

/// An authentic packet that is no copy, while its frames are processed and what they turn out to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    /// Where it came from, and to.
    pub(super) from: &'a FourTuple,
    /// The path that is.
    pub(super) path: PathId,
    pub(super) space: SpaceId,
    pub(super) number: PacketNumber,
    /// The connection ID it was sent to; known of 1-RTT packets alone.
    pub(super) dcid: &'a [u8],
    /// Whether no packet with a higher number was received before.
    pub(super) newest: bool,
    pub(super) ack_eliciting: bool,
    pub(super) probing: bool,
    /// Whether it is to be acknowledged without delay.
    pub(super) urgent: bool,
    /// Whether it brought anything.
    pub(super) useful: bool,
}

impl Connection {
    /// Takes one datagram in; it is decrypted where it lies.
    pub(crate) fn handle_datagram(&mut self, now: Instant, path: &FourTuple, ecn: Ecn, data: &mut [u8]) {
        self.stats.datagrams_received += 1;
        self.stats.bytes_received += data.len() as u64;
        match &mut self.phase {
            Phase::Handshaking { .. } | Phase::Established { .. } => {}
            Phase::Closing(closing) => {
                closing.on_received();
                self.watch_for_close(now, path, data);
                return;
            }
            Phase::Draining { .. } | Phase::Drained => return self.stats.drop(DropReason::Closing),
        }
        let mut came = Came { path, ecn, len: data.len(), credited: false };
        // Almost every datagram is one packet with a short header.
        if is_short(data) {
            self.take_short(now, &mut came, data, self.local_ids.id_len());
        } else {
            self.take_apart(now, &mut came, data);
        }
    }

    #[inline(never)]
    fn take_apart(&mut self, now: Instant, came: &mut Came<'_>, data: &mut [u8]) {
        let id_len = self.local_ids.id_len();
        // Other versions may reset with a long header, so that any first packet that is not taken may be a stateless
        // reset (RFC 9000, Section 10.3). Its end is kept before decryption.
        let mut token = reset::token_of(data);
        for packet in Packets::new(data, id_len).greased(self.config.grease_quic_bit) {
            let token = token.take();
            let received = match packet {
                Ok(Packet { header: PacketHeader::Short { .. }, bytes, .. }) => {
                    self.take_short(now, came, bytes, id_len);
                    Ok(())
                }
                Ok(packet) => self.receive_long(now, came, packet),
                Err(reason) => Err(reason),
            };
            if let Err(reason) = received {
                self.stats.drop(reason);
                if let Some(token) = token {
                    self.on_maybe_reset(now, came.path, token);
                }
            }
            if !self.phase.is_open() {
                return;
            }
        }
    }

    /// Takes a packet with a short header in, the last of its datagram.
    fn take_short(&mut self, now: Instant, came: &mut Came<'_>, packet: &mut [u8], id_len: usize) {
        // A packet that does not decrypt may be a stateless reset: its last bytes are kept before decryption.
        let token = reset::token_of(packet);
        if !has_fixed_bit(packet) && !self.config.grease_quic_bit {
            return self.stats.drop(DropReason::Malformed);
        }
        if let Err(reason) =
            self.receive(now, came, (SpaceId::Data, PacketKind::OneRtt), packet, 1 + id_len, None)
        {
            if let (DropReason::Undecryptable, Some(token)) = (reason, token) {
                self.on_maybe_reset(now, came.path, token);
            }
            self.stats.drop(reason);
        }
    }

    /// While closing, only the peer's own CONNECTION_CLOSE matters.
    #[cold]
    fn watch_for_close(&mut self, now: Instant, path: &FourTuple, data: &mut [u8]) {
        let packets = Packets::new(data, self.local_ids.id_len()).greased(self.config.grease_quic_bit);
        for packet in packets.map_while(Result::ok) {
            let Some((space, kind)) = place(&packet.header) else { continue };
            let standing = self.standing();
            let Some(own) = self.spaces.get_mut(space) else { continue };
            let expected = own.received.expected();
            let Ok(opened) = own.keys.open(packet.bytes, packet.number_at, expected, now, || standing) else {
                continue;
            };
            let payload = packet.bytes.get(opened.payload).unwrap_or_default();
            let closes = Frames::new(payload)
                .map_while(Result::ok)
                .any(|f| matches!(f, crate::frame::Frame::ConnectionClose(_)) && f.is_permitted_in(kind));
            if closes && self.paths.iter().any(|known| known.tuple.remote == path.remote) {
                return self.fall_silent(now);
            }
        }
    }

    /// Takes a packet with a long header in.
    ///
    /// # Errors
    ///
    /// As for [`Connection::receive`].
    fn receive_long(
        &mut self,
        now: Instant,
        came: &mut Came<'_>,
        packet: Packet<'_>,
    ) -> Result<(), DropReason> {
        let Packet { header, bytes, number_at } = packet;
        if let PacketHeader::VersionNegotiation { dcid, scid } = header {
            let body = bytes.get(number_at..).unwrap_or_default();
            return self.on_version_negotiation(now, came.path, (dcid, scid), body);
        }
        let reading = self.reading(&header);
        if reading == Reading::Never {
            return Err(DropReason::Version);
        }
        if let PacketHeader::Retry { .. } = header {
            return self.on_retry(now, came.path, bytes);
        }
        let place = place(&header).ok_or(match header {
            PacketHeader::OtherVersion { .. } => DropReason::Version,
            _ => DropReason::UnexpectedType,
        })?;
        if place.1 == PacketKind::ZeroRtt && !self.expects_early_data() {
            return Err(DropReason::UnexpectedType);
        }
        self.check_header(came, &header)?;
        let before = self.versions.current();
        self.before_reading(reading, place.0);
        let received = self.receive(now, came, place, bytes, number_at, Some(&header));
        self.after_reading(reading, before, received.is_err());
        received
    }

    /// Takes one packet in; `header` is its long header, if it has one.
    ///
    /// # Errors
    ///
    /// Why it was discarded. A fault of the peer is not an error here: it closes the connection.
    // For short packets, where the space is known, not much of the distinctions is left.
    #[inline(always)]
    fn receive(
        &mut self,
        now: Instant,
        came: &mut Came<'_>,
        (space_id, kind): (SpaceId, PacketKind),
        packet: &mut [u8],
        number_at: usize,
        header: Option<&PacketHeader>,
    ) -> Result<(), DropReason> {
        let (home, peer, recovery) = (self.paths.home(), &self.peer, &self.recovery);
        let standing = || Standing {
            pto: home.rtt_view(peer.max_ack_delay).pto_base(SpaceId::Data),
            next_number: recovery.next_number(SpaceId::Data),
        };
        let complete = self.phase.is_established();
        let Some((keys, received)) = self.spaces.receiving(kind) else {
            return self.keep_early(came, space_id, packet);
        };
        // 1-RTT data is not read before the handshake is complete (RFC 9001, Section 5.7).
        if kind == PacketKind::OneRtt && !complete {
            return self.keep_early(came, space_id, packet);
        }
        let expected = received.expected();
        let opened = match keys.open(packet, number_at, expected, now, standing) {
            Ok(opened) => opened,
            Err(OpenError::Dropped(reason)) => return Err(reason),
            Err(OpenError::Fault(fault)) => {
                self.fail(now, fault);
                return Ok(());
            }
        };
        let number = opened.number;
        let newest = number >= expected;
        if !newest && received.is_duplicate(number) {
            self.on_duplicate(now, came.path, number);
            return Err(DropReason::Duplicate);
        }
        let (front, payload) = packet.split_at(opened.payload.start);
        let dcid = if header.is_none() { front.get(1..number_at).unwrap_or_default() } else { &[] };
        let path = self.gate(now, came, space_id, number, dcid)?;
        if opened.key_updated
            && let Err(fault) = self.on_peer_updated(now)
        {
            self.fail(now, fault);
            return Ok(());
        }
        self.credit(came, path);
        if newest && self.config.spin_bit && header.is_none() {
            self.spin(path, front);
        }
        let mut seen = Seen {
            from: came.path,
            path,
            space: space_id,
            number,
            dcid,
            newest,
            ack_eliciting: false,
            probing: true,
            // Who updates may go on when that is acknowledged.
            urgent: opened.key_updated,
            useful: false,
        };
        match self.process(now, kind, &payload[..opened.payload.len()], &mut seen) {
            Ok(()) => self.on_processed(now, came, header, &seen),
            Err(fault) => self.fail(now, fault),
        }
        Ok(())
    }

    /// An observer is to see when this packet was answered.
    #[cold]
    fn spin(&mut self, path: PathId, header: &[u8]) {
        if let (Some(path), Some(first)) = (self.paths.get_mut(path), header.first()) {
            path.spin.on_received(*first);
        }
    }

    fn prove_client(&mut self) {
        if !self.paths.home().is_validated() {
            self.paths.home_mut().validate();
            self.notes.push_back(Note::Proved);
        }
    }

    /// What the header alone can be wrong about.
    fn check_header(&mut self, came: &Came<'_>, header: &PacketHeader) -> Result<(), DropReason> {
        match (header, &self.role) {
            (PacketHeader::Initial { .. }, Role::Server { .. }) if came.len < usize::from(MIN_DATAGRAM) => {
                Err(DropReason::SmallInitial)
            }
            // Section 17.2.2: only a client has tokens to show.
            (PacketHeader::Initial { token, .. }, Role::Client { .. }) if !token.is_empty() => {
                Err(DropReason::Malformed)
            }
            (
                PacketHeader::Initial { scid, .. }
                | PacketHeader::Handshake { scid, .. }
                | PacketHeader::ZeroRtt { scid, .. },
                role,
            ) => {
                let met = !matches!(role, Role::Client { met_server: false, .. });
                if met && *scid != self.remote_ids.handshake_id() {
                    Err(DropReason::ForeignId)
                } else {
                    Ok(())
                }
            }
            _ => Ok(()),
        }
    }

    fn keep_early(&mut self, came: &Came<'_>, space: SpaceId, packet: &[u8]) -> Result<(), DropReason> {
        if self.spaces.is_discarded(space) {
            return Err(DropReason::NoKeysAnyMore);
        }
        if self.early.keep(came, packet) { Ok(()) } else { Err(DropReason::NoKeysYet) }
    }

    /// Keys have come: what waited for them is taken in.
    pub(super) fn replay_early(&mut self, now: Instant) {
        let early = std::mem::take(&mut self.early);
        for Kept { path, ecn, len, mut packet } in early.packets {
            if !self.phase.is_open() {
                return;
            }
            let mut came = Came { path: &path, ecn, len, credited: true };
            self.take_apart(now, &mut came, &mut packet);
        }
    }

    /// The datagram's bytes count for its path's budget, once.
    fn credit(&mut self, came: &mut Came<'_>, path: PathId) {
        if came.credited {
            return;
        }
        came.credited = true;
        if let Some(path) = self.paths.get_mut(path) {
            path.on_received(came.len);
            // Where we are is learned from what reaches us, but not from what was sent to where we were.
            if path.tuple.local.ip.is_none() && !self.steering.was_at(came.path.local) {
                path.tuple.local = came.path.local;
            }
        }
    }

    /// Processes a packet's frames.
    fn process(
        &mut self,
        now: Instant,
        kind: PacketKind,
        payload: &[u8],
        seen: &mut Seen<'_>,
    ) -> Result<(), TransportError> {
        if payload.is_empty() {
            return Err(TransportError::protocol_violation("a packet without frames"));
        }
        for frame in Frames::new(payload) {
            let frame = frame?;
            let frame_kind = frame.kind();
            seen.useful |= frame.is_useful();
            if !frame.is_permitted_in(kind) {
                let fault =
                    TransportError::protocol_violation("a frame that this packet type does not permit");
                return Err(fault.in_frame(frame_kind.code()));
            }
            seen.ack_eliciting |= frame.is_ack_eliciting();
            seen.probing &= frame.is_probing();
            self.dispatch(now, frame, seen)
                .map_err(|fault| if fault.frame == 0 { fault.in_frame(frame_kind.code()) } else { fault })?;
            if !self.phase.is_open() {
                return Ok(());
            }
        }
        if seen.useful { Ok(()) } else { self.glitches.bear(now) }
    }

    /// A packet was processed: it is recorded, and what depends on whole packets follows.
    fn on_processed(
        &mut self,
        now: Instant,
        came: &Came<'_>,
        header: Option<&PacketHeader>,
        seen: &Seen<'_>,
    ) {
        self.stats.packets_received += 1;
        self.idle.on_received(now);
        if let Some(space) = self.spaces.get_mut(seen.space) {
            space.received.on_received(now, seen.number, seen.ack_eliciting, seen.urgent, came.ecn);
        }
        if let Some(header) = header {
            self.meet_server(header);
        }
        match seen.space {
            SpaceId::Initial => {}
            SpaceId::Handshake => {
                if matches!(self.role, Role::Server { .. }) {
                    // A Handshake packet proves the client's address (RFC 9000, Section 8.1) and ends the Initial
                    // space (RFC 9001, Section 4.9.1).
                    self.prove_client();
                    self.discard_space(now, SpaceId::Initial);
                }
            }
            SpaceId::Data => self.on_arrival(now, seen),
        }
        if (self.phase.is_open() && seen.space != SpaceId::Data || self.has_crypto(seen.space))
            && let Err(fault) = self.advance_handshake(now)
        {
            self.fail(now, fault);
        }
    }

    fn has_crypto(&mut self, space: SpaceId) -> bool {
        self.phase.is_open() && self.spaces.get_mut(space).is_some_and(|s| s.crypto.read().is_some())
    }

    /// A client learns the connection ID that the server chose (RFC 9000, Section 7.2).
    fn meet_server(&mut self, header: &PacketHeader) {
        let Role::Client { met_server, .. } = &mut self.role else { return };
        let PacketHeader::Initial { scid, .. } = header else { return };
        if !*met_server {
            *met_server = true;
            self.remote_ids.set_handshake_id(*scid);
            self.original_id = *scid;
            self.paths.home_mut().call(*scid);
        }
    }

    pub(super) fn add_path(&mut self, tuple: FourTuple, dcid: ConnectionId, state: PathState) -> PathId {
        let spin = self.another_spin(&dcid);
        let (config, sizes) = (&self.config, self.sizes());
        self.paths.add(|id| Path { spin, ..super::birth::fresh_path(config, sizes, id, tuple, dcid, state) })
    }

    /// Forgets a path other than home, and gives its connection ID back.
    pub(super) fn forget_path(&mut self, id: PathId) {
        if let Some(path) = self.paths.remove(id) {
            self.remote_ids.unbind_and_retire(path.tuple);
            self.on_path_forgotten(id, path.tuple);
        }
    }

    /// A 1-RTT packet was processed: a server may have to follow its client, a client may have found its server.
    fn on_arrival(&mut self, now: Instant, seen: &Seen<'_>) {
        if !self.phase.is_open() {
            // The packet ended the connection.
            return;
        }
        match self.role {
            Role::Client { .. } => self.client_arrival(now, seen),
            Role::Server { .. } => {
                // Section 9.3: only the highest-numbered non-probing packet moves a peer, or reordering would bounce us.
                // What was sent to where we were before a move moves nothing either (server-migration rules, 4.4).
                let moves = seen.path != self.paths.home().id && seen.newest && !seen.probing;
                if moves && !self.steering.was_at(seen.from.local) {
                    if self.local().matches(seen.from.local) {
                        self.follow(now, seen.path, seen.dcid);
                    } else {
                        self.on_client_elsewhere(now, seen);
                    }
                } else if self.paths.home().id == seen.path && self.paths.home().validation.may_repeat(now) {
                    let data = self.rng.bytes();
                    self.paths.home_mut().validation.want(data);
                }
                self.server_arrival(now, seen);
            }
        }
    }
}

/// The space and the type of a packet that can be read; `None` for those that cannot.
fn place(header: &PacketHeader) -> Option<(SpaceId, PacketKind)> {
    match header {
        PacketHeader::Short { .. } => Some((SpaceId::Data, PacketKind::OneRtt)),
        PacketHeader::Initial { .. } => Some((SpaceId::Initial, PacketKind::Initial)),
        PacketHeader::Handshake { .. } => Some((SpaceId::Handshake, PacketKind::Handshake)),
        PacketHeader::ZeroRtt { .. } => Some((SpaceId::Data, PacketKind::ZeroRtt)),
        PacketHeader::Retry { .. }
        | PacketHeader::VersionNegotiation { .. }
        | PacketHeader::OtherVersion { .. } => None,
    }
}
