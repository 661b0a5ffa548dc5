//! Filling the caller's buffer: datagrams of packets of frames, each owner asked in turn.

use std::num::{NonZeroU16, NonZeroUsize};

use super::ack_frequency::hurry;
use super::phase::Phase;
use super::schedule::{Flight, Purpose};
use super::{Connection, Role};
use crate::config::MIN_DATAGRAM;
use crate::frame::{MtuProbe, Ping, Record};
use crate::id::{ConnectionId, PacketNumber, PathId, SpaceId};
use crate::net::{Ecn, Transmit};
use crate::packet::{Allowance, DatagramWriter, Draft, Header, PacketWriter};
use crate::recovery::Sent;
use crate::time::Instant;

/// A datagram of a burst is padded to the size of the others if no more than such a part of it is missing: that costs
/// less than a burst of its own for what follows.
const MOST_PADDED: usize = 8;

/// What a connection answers when it is asked for datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Polled {
    /// The buffer holds datagrams; there may be more.
    Transmit(Transmit),
    /// The buffer holds datagrams, and nothing is left to send now or to tell.
    Last(Transmit),
    /// The buffer holds as many as may go at once: others speak first now.
    Burst(Transmit),
    /// The buffer is too small for one datagram.
    TooSmall,
    /// There is nothing to send now.
    Nothing,
}

/// One datagram that was filled.
#[derive(Debug, Clone, Copy)]
struct Filled {
    /// Its length in bytes; 0 if nothing came out.
    len: usize,
    /// What waits behind it.
    left: Left,
    /// Whether it leaves ECN-marked.
    marked: bool,
}

impl Filled {
    /// Whether others of its size may follow the first datagram of a burst: it is full, or what is next does not fit in,
    /// since unreliable datagrams are not divided.
    #[inline]
    fn may_lead(&self, flight: &Flight) -> bool {
        let waits = self.left == Left::Data && flight.allowance == Allowance::Full;
        self.len == flight.max_len || waits && self.len >= flight.max_len / 2
    }
}

/// What had to wait for another datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    /// STREAM data and datagrams alone.
    Data,
    Anything,
}

/// What packets that left together add up to, for those who are told of all of them at once.
#[derive(Debug, Default)]
struct Tally {
    packets: u64,
    /// UDP payload bytes.
    bytes: usize,
    /// Bytes of packets that count as in flight.
    in_flight: u64,
    ack_eliciting: bool,
    /// Whether they leave ECN-marked.
    marked: bool,
}

/// Writes another version into the one packet of a client's first flight: nobody will read on.
#[cold]
fn disguise(datagram: &mut [u8], number: u32) {
    if let Some(version) = datagram.get_mut(1..5) {
        version.copy_from_slice(&number.to_be_bytes());
    }
}

impl Connection {
    /// Fills `out` with one datagram, or with a burst of one size.
    pub(crate) fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Polled {
        match &self.phase {
            Phase::Draining { .. } | Phase::Drained => return Polled::Nothing,
            Phase::Handshaking { .. } | Phase::Established { .. } | Phase::Closing(_) => {}
        }
        if out.len() < usize::from(self.paths.home().datagram_size) {
            return Polled::TooSmall;
        }
        if self.spaces.get(SpaceId::Data).is_some_and(|space| space.keys.is_worn()) {
            self.on_worn_keys(now);
        }
        if let Some(flight) = self.urgent_flight(now, out.len())
            && let Some(polled) = self.fly(now, &flight, out)
        {
            return polled;
        }
        if !self.phase.is_open() {
            return Polled::Nothing;
        }
        for flight in self.normal_flights(now).into_iter().flatten() {
            if let Some(polled) = self.fly(now, &flight, out) {
                return polled;
            }
        }
        Polled::Nothing
    }

    /// Carries a flight out; `None` if nothing came of it.
    fn fly(&mut self, now: Instant, flight: &Flight, out: &mut [u8]) -> Option<Polled> {
        // Another path than home may carry more than the buffer holds.
        let max_len = flight.max_len.min(out.len());
        let first = self.fill(now, flight, &mut out[..max_len]);
        self.on_flown(now, flight, first);
        let size = NonZeroUsize::new(first.len)?;
        let path = self.paths.get(flight.path).map(|path| path.tuple)?;
        let Filled { mut len, mut left, marked } = first;
        if flight.purpose == Purpose::Normal && first.may_lead(flight) {
            let rest = self.fill_rest(now, flight, first, &mut out[first.len..]);
            len += rest.len;
            left = rest.left;
        }
        let datagrams = len.div_ceil(size.get());
        self.stats.datagrams_sent += datagrams as u64;
        self.stats.bytes_sent += len as u64;
        let segment = if datagrams > 1 { NonZeroU16::try_from(size).ok() } else { None };
        let mut transmit = Transmit { path, ecn: Ecn::NotEct, len, segment };
        if marked {
            // All that is marked is one packet a datagram.
            self.on_marked(datagrams as u64);
            transmit.ecn = Ecn::Ect0;
        }
        if left == Left::Nothing && flight.path == self.paths.home().id && self.is_silent(now) {
            self.paths.home_mut().window.on_nothing_left();
            return Some(Polled::Last(transmit));
        }
        let is_burst = datagrams == self.config.burst || len + size.get() > out.len();
        Some(if is_burst { Polled::Burst(transmit) } else { Polled::Transmit(transmit) })
    }

    /// Fills the rest of a burst behind its first datagram: others of the same size, the last perhaps shorter.
    fn fill_rest(&mut self, now: Instant, flight: &Flight, first: Filled, out: &mut [u8]) -> Filled {
        let permitted = usize::try_from(flight.burst / first.len as u64).unwrap_or(usize::MAX);
        let most = self.config.burst.min(permitted).saturating_sub(1);
        let mut segments = out.chunks_exact_mut(first.len).take(most);
        let (mut len, mut last) = (0, first);
        while last.len == first.len
            && last.left == Left::Anything
            && let Some(segment) = segments.next()
        {
            last = self.fill(now, flight, segment);
            len += last.len;
        }
        if last.len == first.len && last.left == Left::Data {
            last = self.fill_with_data(now, flight, segments);
            len += last.len;
        }
        Filled { len, left: last.left, marked: first.marked }
    }

    /// Whether a flight that left nothing gave nobody else cause to speak.
    fn is_silent(&self, now: Instant) -> bool {
        self.events.is_empty()
            && !self.datagrams.has_news()
            && self.phase.is_established()
            && self.urgent_flight(now, usize::MAX).is_none()
    }

    /// A flight is over, and this was its first datagram: who waited for it is told.
    fn on_flown(&mut self, now: Instant, flight: &Flight, first: Filled) {
        let Filled { len, left, .. } = first;
        match flight.purpose {
            Purpose::Close => {
                if let Phase::Closing(closing) = &mut self.phase {
                    closing.on_sent(flight.path);
                }
            }
            Purpose::Seek => self.stats.seeks += u64::from(len > 0),
            Purpose::Announce => self.on_announced(now),
            Purpose::Probe(space) => {
                if let Some(space) = self.spaces.get_mut(space) {
                    space.probes = space.probes.saturating_sub(1);
                }
            }
            Purpose::Validate => {}
            Purpose::MtuProbe => self.on_mtu_probe_sent(flight.path, len),
            Purpose::Normal => {
                // Whom the pacer holds back has something to send, or not.
                let starved = len == 0 && (flight.allowance == Allowance::Full || left == Left::Nothing);
                if let Some(path) = self.paths.get_mut(flight.path) {
                    if starved {
                        path.window.on_nothing_left();
                    } else {
                        path.window.on_more_left();
                    }
                }
            }
        }
    }

    /// Composes, seals and books one datagram.
    fn fill(&mut self, now: Instant, flight: &Flight, buf: &mut [u8]) -> Filled {
        let mut scratch = self.take_scratch();
        let records = &mut scratch.records;
        records.clear();
        let mut datagram = DatagramWriter::new(buf, records);
        let mut left = Left::Anything;
        let spaces = if self.spaces.is_settled() { &[SpaceId::Data][..] } else { &SpaceId::ALL };
        for space in spaces.iter().copied() {
            if !self.may_send_in(space, flight) {
                continue;
            }
            let number = match space {
                SpaceId::Data => self.next_data_number(),
                SpaceId::Initial | SpaceId::Handshake => self.recovery.next_number(space),
            };
            let (header, acked) = (self.header(space, flight.path), self.recovery.largest_acked(space));
            let Some(mut packet) = datagram.begin(&header, number, acked, flight.allowance) else { break };
            if space == SpaceId::Data {
                packet.spin(self.spin_on(flight.path));
            }
            left = self.compose(now, flight, space, &mut packet);
            let draft = packet.finish();
            datagram.keep(draft);
        }
        let settled = self.spaces.is_settled();
        let mut filled =
            Filled { len: 0, left: if settled { left } else { Left::Anything }, marked: flight.marked };
        if !datagram.is_empty() {
            let min_len = flight.min_len.max(self.handshake_min_len(datagram.drafts()));
            datagram.pad_to(min_len);
            let (spaces, quic_bit, rng) = (&mut self.spaces, &mut self.quic_bit, &mut *self.rng);
            filled.len = datagram.seal(|draft, packet| {
                packet[0] ^= quic_bit.next(rng);
                if let Some(space) = spaces.get_mut(draft.space) {
                    // Beyond the AEAD's limit the packet is zeroed, and the connection closed before.
                    let _ = space.keys.seal(draft, packet);
                }
            });
            filled.marked = filled.marked && self.may_mark(datagram.drafts());
            self.book_datagram(now, flight, datagram.drafts(), filled, datagram.records());
        }
        if !settled && let Some(number) = self.versions.disguise() {
            disguise(&mut buf[..filled.len], number);
        }
        self.scratch = Some(scratch);
        filled
    }

    /// Fills datagrams with what the application sends, all else being said, until one stays short. Returns the bytes of all.
    ///
    /// What is the same for all of them is done once.
    fn fill_with_data<'b>(
        &mut self,
        now: Instant,
        flight: &Flight,
        segments: impl Iterator<Item = &'b mut [u8]>,
    ) -> Filled {
        let mut scratch = self.take_scratch();
        let records = &mut scratch.records;
        let header = Header::Short { dcid: self.dcid_on(flight.path) };
        let acked = self.recovery.largest_acked(SpaceId::Data);
        let mut tally = Tally { marked: flight.marked, ..Tally::default() };
        let mut left = Left::Data;
        let spin = self.spin_on(flight.path);
        for segment in segments {
            records.clear();
            let number = self.next_data_number();
            let begun = PacketWriter::begin(segment, 0, records, &header, number, acked, flight.allowance);
            let Some(mut packet) = begun else { break };
            self.write_data(flight.path, &mut packet);
            left = if packet.has_refused() { Left::Data } else { Left::Nothing };
            let Some(mut draft) = packet.finish() else { break };
            let Some(space) = self.spaces.get_mut(SpaceId::Data) else { break };
            let short = segment.len() - draft.sealed_len();
            if short > 0 && left == Left::Data && short <= segment.len() / MOST_PADDED {
                segment[draft.end..draft.end + short].fill(0);
                draft.end += short;
            }
            // The spin bit of a fresh packet is clear.
            segment[0] ^= spin ^ self.quic_bit.next(&mut *self.rng);
            // Beyond the AEAD's limit the packet is zeroed, and the connection closed before.
            let _ = space.keys.seal(&draft, &mut segment[..draft.sealed_len()]);
            self.book_packet(now, flight.path, &draft, records, &mut tally);
            if draft.sealed_len() < segment.len() {
                break;
            }
        }
        self.scratch = Some(scratch);
        if tally.packets > 0 {
            self.book(now, flight, &tally);
        }
        Filled { len: tally.bytes, left, marked: flight.marked }
    }

    /// Whether a packet of this space may be tried in this flight.
    fn may_send_in(&self, space: SpaceId, flight: &Flight) -> bool {
        let on_home = flight.path == self.paths.home().id;
        let ready = match space {
            SpaceId::Initial | SpaceId::Handshake => on_home,
            SpaceId::Data => {
                self.phase.is_established() || !self.phase.is_open() || self.spaces.has_early_keys()
            }
        };
        ready && self.spaces.has(space)
    }

    /// The number of the next packet of data. One is left out now and then: a peer that acknowledges it acknowledges what
    /// it never received (RFC 9000, Section 21.4).
    #[inline]
    fn next_data_number(&mut self) -> PacketNumber {
        let number = self.recovery.next_number(SpaceId::Data);
        if self.lures.is_due(number) { self.leave_out(number) } else { number }
    }

    #[cold]
    fn leave_out(&mut self, number: PacketNumber) -> PacketNumber {
        self.recovery.skip(SpaceId::Data, 1);
        self.lures.set_next(number, &mut *self.rng);
        self.recovery.next_number(SpaceId::Data)
    }

    /// The ID by which the peer calls us in long headers.
    pub(super) fn original_local_id(&self) -> ConnectionId {
        self.local_ids.ids().next().unwrap_or(ConnectionId::EMPTY)
    }

    /// The token in our Initials: the one that a Retry gave us, or one of an earlier connection.
    fn token(&self) -> &[u8] {
        match &self.role {
            Role::Client { retried: Some(retried), .. } => &retried.token,
            // A token of one version begins no connection in another (RFC 9369, Section 5).
            Role::Client { retried: None, config, .. }
                if self.versions.original() == config.versions.first =>
            {
                &config.token
            }
            Role::Client { retried: None, .. } | Role::Server { .. } => &[],
        }
    }

    /// The ID by which we call the peer on this path.
    fn dcid_on(&self, path: PathId) -> ConnectionId {
        self.paths.get(path).map_or(self.remote_ids.current(), |path| path.dcid)
    }

    /// The spin bit on this path.
    fn spin_on(&self, path: PathId) -> u8 {
        self.paths.get(path).map_or(0, |path| path.spin.bit())
    }

    fn header(&self, space: SpaceId, path: PathId) -> Header<'_> {
        let dcid = self.dcid_on(path);
        match space {
            SpaceId::Initial => Header::Initial {
                version: self.versions.current(),
                dcid,
                scid: self.original_local_id(),
                token: self.token(),
            },
            SpaceId::Handshake => {
                Header::Handshake { version: self.versions.current(), dcid, scid: self.original_local_id() }
            }
            SpaceId::Data if self.spaces.sends_early() => {
                Header::ZeroRtt { version: self.versions.original(), dcid, scid: self.original_local_id() }
            }
            SpaceId::Data => Header::Short { dcid },
        }
    }

    /// Asks every owner, in order of priority.
    fn compose(&mut self, now: Instant, flight: &Flight, id: SpaceId, packet: &mut PacketWriter<'_>) -> Left {
        let Some(space) = self.spaces.get_mut(id) else { return Left::Anything };
        if let (Purpose::Close, Phase::Closing(closing)) = (flight.purpose, &self.phase) {
            // The peer learns what arrived before the end, if there is room for it.
            closing.farewell.write(packet);
            space.received.write(now, packet, super::ACK_DELAY_EXPONENT);
            return Left::Anything;
        }
        if flight.purpose == Purpose::MtuProbe {
            let bytes = u16::try_from(flight.max_len).unwrap_or(u16::MAX);
            // A datagram begins with room for a PING.
            let _ = packet.write(&MtuProbe { path: flight.path, bytes });
            return Left::Anything;
        }
        // Challenges and answers before all else: a small budget is theirs (server-migration rules, 2.4, 3.3).
        if id == SpaceId::Data
            && let Some(path) = self.paths.get_mut(flight.path)
        {
            path.validation.write(packet);
        }
        space.received.write(now, packet, super::ACK_DELAY_EXPONENT);
        space.crypto.write(packet);
        if id == SpaceId::Data && self.hurries(flight) {
            hurry(packet);
        }
        let mut others_wait = packet.has_refused();
        if id == SpaceId::Data {
            self.control.write(packet);
            self.local_ids.write(packet);
            self.remote_ids.write(packet);
            self.steering.write(packet);
            self.streams.write_control(packet);
            others_wait = packet.has_refused();
            self.write_data(flight.path, packet);
        }
        self.complete(flight, id, packet);
        match packet.has_refused() {
            _ if others_wait => Left::Anything,
            true => Left::Data,
            false => Left::Nothing,
        }
    }

    /// What the application sends: STREAM data and datagrams.
    #[inline]
    fn write_data(&mut self, path: PathId, packet: &mut PacketWriter<'_>) {
        if self.datagrams.is_idle() {
            self.streams.write(packet);
        } else {
            self.write_with_datagrams(path, packet);
        }
    }

    /// Datagrams and STREAM data take turns in beginning a packet; the other gets what is left of it.
    #[inline(never)]
    fn write_with_datagrams(&mut self, path: PathId, packet: &mut PacketWriter<'_>) {
        let room = self.frame_room(path);
        if self.datagrams.yields() {
            self.streams.write(packet);
            self.datagrams.write(packet, room);
        } else {
            self.datagrams.write(packet, room);
            self.streams.write(packet);
        }
    }

    /// Some flights must ask for an answer, whatever came out.
    fn complete(&self, flight: &Flight, id: SpaceId, packet: &mut PacketWriter<'_>) {
        // A peer that is told nothing but ACKs is asked now and then, or we would remember its packets for ever.
        let unanswered = packet.carries() && self.recovery.wants_answer(id) && !packet.is_ack_eliciting();
        let asks = match flight.purpose {
            Purpose::Seek => id == SpaceId::Data,
            Purpose::Announce => id == SpaceId::Data && !packet.is_ack_eliciting(),
            Purpose::Probe(space) => id == space && !packet.is_ack_eliciting(),
            Purpose::Validate => self.paths.get(flight.path).is_some_and(|path| path.ping),
            Purpose::Normal => unanswered,
            Purpose::Close | Purpose::MtuProbe => false,
        };
        if asks {
            // A packet so full that a PING does not fit asks for an answer already.
            let _ = packet.write(&Ping);
        }
    }

    /// Initial packets travel in datagrams of at least 1200 bytes: all of a client's, a server's ack-eliciting ones
    /// (RFC 9000, Section 14.1).
    fn handshake_min_len(&self, drafts: &[Draft]) -> usize {
        let client = matches!(self.role, Role::Client { .. });
        let padded =
            drafts.iter().any(|draft| draft.space == SpaceId::Initial && (client || draft.ack_eliciting));
        if padded { usize::from(MIN_DATAGRAM) } else { 0 }
    }

    /// A datagram of up to three packets leaves.
    fn book_datagram(
        &mut self,
        now: Instant,
        flight: &Flight,
        drafts: &[Draft],
        filled: Filled,
        records: &[Record],
    ) {
        let mut tally = Tally { marked: filled.marked, ..Tally::default() };
        for draft in drafts {
            let own = records.get(draft.records.clone()).unwrap_or_default();
            self.book_packet(now, flight.path, draft, own, &mut tally);
            // Before the ACK there are but the answers owed to challenges.
            let first = own.iter().find(|record| !matches!(record, Record::PathResponse));
            if let Some(Record::Ack { .. }) = first {
                if let Some(space) = self.spaces.get_mut(draft.space) {
                    space.received.on_ack_sent();
                }
                if draft.space == SpaceId::Data {
                    self.on_ack_went(now);
                }
            }
        }
        if let Some(path) = self.paths.get_mut(flight.path) {
            let full = filled.len >= usize::from(MIN_DATAGRAM);
            path.validation.on_sent(now, drafts.last().filter(|_| full).map(|draft| draft.number));
            path.ping = false;
        }
        self.book(now, flight, &tally);
        // A client's first Handshake packet ends the Initial space (RFC 9001, Section 4.9.1).
        let has_handshake = drafts.iter().any(|draft| draft.space == SpaceId::Handshake);
        if has_handshake && self.side().is_client() && self.spaces.has(SpaceId::Initial) {
            self.discard_space(now, SpaceId::Initial);
        }
    }

    /// A packet leaves: recovery remembers it.
    #[inline(always)]
    fn book_packet(
        &mut self,
        now: Instant,
        path: PathId,
        draft: &Draft,
        records: &[Record],
        tally: &mut Tally,
    ) {
        // A bare challenge elsewhere than home arms no timer and charges no window (server-migration rules, 2.3).
        let bare = records.is_empty() && path != self.paths.home().id;
        let len = draft.sealed_len();
        let sent = Sent {
            number: draft.number,
            path,
            len: u16::try_from(len).unwrap_or(u16::MAX),
            ack_eliciting: draft.ack_eliciting && !bare,
            in_flight: draft.in_flight && !bare,
            marked: tally.marked,
        };
        self.recovery.on_sent(now, draft.space, sent, records);
        tally.packets += 1;
        tally.bytes += len;
        tally.in_flight += if sent.in_flight { u64::from(sent.len) } else { 0 };
        tally.ack_eliciting |= sent.ack_eliciting;
    }

    /// Packets have left: windows, budgets and timers take note.
    fn book(&mut self, now: Instant, flight: &Flight, tally: &Tally) {
        self.stats.packets_sent += tally.packets;
        self.idle.on_sent(now, tally.ack_eliciting);
        let paced = self.config.pacing && self.phase.is_established();
        let on_home = flight.path == self.paths.home().id;
        if let Some(path) = self.paths.get_mut(flight.path) {
            path.on_sent(tally.bytes);
            if tally.in_flight > 0 {
                path.window.on_sent(tally.in_flight);
                if paced {
                    path.pacer.on_sent(tally.in_flight);
                }
            }
        }
        if on_home && tally.ack_eliciting && flight.purpose == Purpose::Normal {
            self.on_data_sent(now, tally.packets);
        }
    }
}
