//! The forging peer: TLS and keys of rustls, and packets put together by hand (RFC 9000, Section 17; RFC 9001, Section 5).

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use rustls::Side;
use rustls::quic::{
    ClientConnection, Connection, KeyChange, Keys, PacketKeySet, Secrets, ServerConnection, Version,
};

use super::packet::{expand, ids, initial_keys, protect};
use super::params::{ORIGINAL_DESTINATION_CONNECTION_ID, Params};
use super::setup::{Edit, Setup, Space};
use super::wire::{self, Heard, Reader};
use sim::tls;

/// The smallest datagram with an Initial.
const INITIAL: usize = 1200;
/// CRYPTO bytes in one packet.
const PIECE: usize = 1000;

/// What the forger knows of one space.
#[derive(Default)]
struct Own {
    keys: Option<Keys>,
    /// The next packet number.
    next: u64,
    received: BTreeSet<u64>,
    owes_ack: bool,
    /// CRYPTO that came too early, by offset.
    early: BTreeMap<u64, Vec<u8>>,
    read: u64,
    /// CRYPTO to be sent, and where it begins.
    out: Vec<u8>,
    sent: u64,
}

/// A packet to be forged. What is not said is as it should be.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    pub frames: Vec<u8>,
    pub number: Option<u64>,
    /// Bits of the first byte that are the other way round, before header protection.
    pub flip: u8,
    /// The same, after header protection.
    pub flip_late: u8,
    pub version: Option<u32>,
    pub dcid: Option<Vec<u8>>,
    pub scid: Option<Vec<u8>>,
    pub token: Vec<u8>,
    /// Sealed by the key of the phase before.
    pub old_key: bool,
}

impl Draft {
    /// A packet with these frames.
    pub fn new(frames: &[u8]) -> Self {
        Self { frames: frames.to_vec(), ..Self::default() }
    }
}

/// The peer.
pub struct Forger {
    pub side: Side,
    version: Version,
    tls: Connection,
    edit: Edit,
    spaces: [Own; 3],
    /// Where TLS writes now.
    level: Space,
    secrets: Option<Secrets>,
    /// What was sealed and opened with before the last update.
    old: Option<PacketKeySet>,
    phase: bool,
    /// Its own name.
    pub scid: Vec<u8>,
    /// Where the client's first Initial went.
    pub first_dcid: Vec<u8>,
    /// Our endpoint's name.
    pub dcid: Vec<u8>,
    /// Our endpoint's IDs by their numbers.
    pub ids: BTreeMap<u64, Vec<u8>>,
    /// Everything heard, and in which space.
    pub heard: Vec<(Space, Heard)>,
    /// Numbers of the packets heard of 1-RTT, in their order.
    pub numbers: Vec<u64>,
    /// Whether it acknowledges.
    pub acknowledges: bool,
    /// Datagrams that could not be read.
    pub unreadable: Vec<Vec<u8>>,
}

impl Forger {
    /// A client that will say hello to a server that it calls `dcid`.
    pub fn client(setup: &Setup, dcid: &[u8]) -> Self {
        let offered = setup.client_alpn.iter().map(Vec::as_slice).collect::<Vec<_>>();
        Self::client_with(setup, dcid, tls::client_offering(&offered))
    }

    /// The same, with this TLS configuration.
    pub fn client_with(setup: &Setup, dcid: &[u8], config: Arc<rustls::ClientConfig>) -> Self {
        let params = (setup.params)(Params::honest(&setup.scid)).encode();
        let name = tls::NAME.try_into().expect("a name");
        let tls = ClientConnection::new(config, setup.version, name, params).expect("a client");
        Self::new(setup, Connection::Client(tls), Side::Client, dcid, dcid)
    }

    /// A server that answers this datagram, a client's first.
    pub fn server(setup: &Setup, hello: &[u8]) -> Self {
        let (dcid, scid) = ids(hello);
        let honest = Params::honest(&setup.scid).bytes(ORIGINAL_DESTINATION_CONNECTION_ID, &dcid);
        let mut config = (*tls::server()).clone();
        config.alpn_protocols.clone_from(&setup.server_alpn);
        let tls = ServerConnection::new(config.into(), setup.version, (setup.params)(honest).encode());
        Self::new(setup, Connection::Server(tls.expect("a server")), Side::Server, &scid, &dcid)
    }

    fn new(setup: &Setup, tls: Connection, side: Side, dcid: &[u8], first_dcid: &[u8]) -> Self {
        let mut spaces: [Own; 3] = Default::default();
        spaces[0].keys = Some(initial_keys(setup.version, first_dcid, side));
        Self {
            side,
            version: setup.version,
            tls,
            edit: setup.edit,
            spaces,
            level: Space::Initial,
            secrets: None,
            old: None,
            phase: false,
            scid: setup.scid.clone(),
            first_dcid: first_dcid.to_vec(),
            dcid: dcid.to_vec(),
            ids: BTreeMap::new(),
            heard: Vec::new(),
            numbers: Vec::new(),
            acknowledges: true,
            unreadable: Vec::new(),
        }
    }

    // ---- out ----------------------------------------------------------------------------------

    /// The number of the version that it speaks.
    fn number(&self) -> u32 {
        if matches!(self.version, Version::V2) { 0x6b33_43cf } else { 1 }
    }

    /// Has TLS say what it wants to.
    pub fn turn(&mut self) {
        loop {
            let mut bytes = Vec::new();
            let change = self.tls.write_hs(&mut bytes);
            let level = self.level;
            if bytes.is_empty() && change.is_none() {
                return;
            }
            if !bytes.is_empty() {
                self.spaces[level as usize].out.extend((self.edit)(level, bytes));
            }
            match change {
                Some(KeyChange::Handshake { keys }) => self.raise(Space::Handshake, keys),
                Some(KeyChange::OneRtt { keys, next }) => {
                    self.secrets = Some(next);
                    self.raise(Space::OneRtt, keys);
                }
                None => {}
            }
        }
    }

    fn raise(&mut self, level: Space, keys: Keys) {
        self.level = level;
        self.spaces[level as usize].keys = Some(keys);
    }

    /// Whether it has keys for this space.
    pub fn can_speak(&self, space: Space) -> bool {
        self.spaces[space as usize].keys.is_some()
    }

    /// The datagrams that an honest peer would send now in this space.
    pub fn flush(&mut self, space: Space) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        if !self.can_speak(space) {
            return datagrams;
        }
        loop {
            let own = &mut self.spaces[space as usize];
            let piece: Vec<u8> = own.out.drain(..own.out.len().min(PIECE)).collect();
            let ack = std::mem::take(&mut own.owes_ack) && self.acknowledges;
            let mut frames = if ack { self.ack_of_all(space) } else { Vec::new() };
            if !piece.is_empty() {
                let own = &mut self.spaces[space as usize];
                frames.extend(wire::crypto(own.sent, &piece));
                own.sent += piece.len() as u64;
            }
            if frames.is_empty() {
                return datagrams;
            }
            datagrams.push(self.seal(space, Draft::new(&frames)));
        }
    }

    /// What an honest peer would say in CRYPTO frames of this space now; it is for the caller to say it.
    pub fn unsent(&mut self, space: Space) -> Vec<u8> {
        let own = &mut self.spaces[space as usize];
        own.sent += own.out.len() as u64;
        std::mem::take(&mut own.out)
    }

    /// An ACK of all that was received in a space.
    pub fn ack_of_all(&self, space: Space) -> Vec<u8> {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for number in self.spaces[space as usize].received.iter().rev() {
            match ranges.last_mut() {
                Some((low, _)) if *low == number + 1 => *low = *number,
                _ => ranges.push((*number, *number)),
            }
        }
        if ranges.is_empty() { Vec::new() } else { wire::ack(&ranges) }
    }

    /// The number of the next packet.
    pub fn next_number(&self, space: Space) -> u64 {
        self.spaces[space as usize].next
    }

    /// Numbers the next packets of all spaces from here on.
    pub fn number_from(&mut self, number: u64) {
        self.spaces.iter_mut().for_each(|own| own.next = number);
    }

    /// Leaves a number out.
    pub fn skip_number(&mut self, space: Space) {
        self.spaces[space as usize].next += 1;
    }

    /// What our endpoint said of itself in transport parameters, once it has.
    pub fn peer_params(&self) -> Option<&[u8]> {
        self.tls.quic_transport_parameters()
    }

    /// Where the next CRYPTO byte stands.
    pub fn crypto_offset(&self, space: Space) -> u64 {
        self.spaces[space as usize].sent
    }

    /// How far our endpoint's CRYPTO bytes were read.
    pub fn crypto_read(&self, space: Space) -> u64 {
        self.spaces[space as usize].read
    }

    /// A datagram of one packet; one with an Initial has 1200 bytes.
    pub fn seal(&mut self, space: Space, mut draft: Draft) -> Vec<u8> {
        if space == Space::Initial && !draft.frames.is_empty() {
            let most = INITIAL - self.seal_small(space, Draft { number: Some(0), ..draft.clone() }).len();
            draft.frames.resize(draft.frames.len() + most, 0);
        }
        self.seal_small(space, draft)
    }

    /// A datagram of one packet, of just the size it needs.
    pub fn seal_small(&mut self, space: Space, draft: Draft) -> Vec<u8> {
        let Draft { frames, number, flip, flip_late, version, dcid, scid, token, old_key } = draft;
        let own = &mut self.spaces[space as usize];
        let number = number.unwrap_or_else(|| {
            own.next += 1;
            own.next - 1
        });
        let dcid = dcid.unwrap_or_else(|| self.dcid.clone());
        let kind = match (space, self.version) {
            (Space::OneRtt, _) => 0x43,
            (Space::Initial, Version::V2) => 0xd3,
            (Space::Handshake, Version::V2) => 0xf3,
            (Space::Initial, _) => 0xc3,
            (Space::Handshake, _) => 0xe3,
        };
        let mut header = vec![(kind | u8::from(self.phase && space == Space::OneRtt) << 2) ^ flip];
        if space != Space::OneRtt {
            header.extend(version.unwrap_or(self.number()).to_be_bytes());
            for id in [dcid, scid.unwrap_or_else(|| self.scid.clone())] {
                header.push(u8::try_from(id.len()).expect("a short ID"));
                header.extend(id);
            }
            if space == Space::Initial {
                header.extend(wire::varint(token.len() as u64));
                header.extend(token);
            }
            header.extend((0x4000 | (4 + frames.len() as u16 + 16)).to_be_bytes());
        } else {
            header.extend(dcid);
        }
        let keys = &self.spaces[space as usize].keys.as_ref().expect("it has keys").local;
        let old = self.old.as_ref().filter(|_| old_key).map(|old| &old.local);
        let mut packet = protect(keys, &**old.unwrap_or(&keys.packet), number, header, frames);
        packet[0] ^= flip_late;
        packet
    }

    /// A datagram of one 0-RTT packet with these frames, of a client that holds a ticket.
    pub fn seal_early(&mut self, frames: &[u8]) -> Vec<u8> {
        let keys = self.tls.zero_rtt_keys().expect("early keys");
        let own = &mut self.spaces[Space::OneRtt as usize];
        own.next += 1;
        let mut header = vec![0xd3, 0, 0, 0, 1];
        for id in [&self.dcid, &self.scid] {
            header.push(u8::try_from(id.len()).expect("a short ID"));
            header.extend(id);
        }
        header.extend((0x4000 | (4 + frames.len() as u16 + 16)).to_be_bytes());
        protect(&keys, &*keys.packet, own.next - 1, header, frames.to_vec())
    }

    /// Goes over to the next keys, both ways.
    pub fn update_keys(&mut self) {
        let PacketKeySet { local, remote } = self.secrets.as_mut().expect("1-RTT").next_packet_keys();
        let keys = self.spaces[Space::OneRtt as usize].keys.as_mut().expect("1-RTT");
        self.old = Some(PacketKeySet {
            local: std::mem::replace(&mut keys.local.packet, local),
            remote: std::mem::replace(&mut keys.remote.packet, remote),
        });
        self.phase = !self.phase;
    }

    // ---- in -----------------------------------------------------------------------------------

    /// Takes a datagram in.
    pub fn take(&mut self, datagram: &[u8]) {
        let mut rest = datagram;
        while let Some((space, packet, number_at, after)) = self.next_packet(rest) {
            rest = after;
            match self.open(space, packet, number_at) {
                Some((number, payload)) => {
                    self.read(space, number, &payload);
                    // The keys of the next packet may be those that this one brought.
                    self.turn();
                }
                None => self.unreadable.push(packet.to_vec()),
            }
        }
        if !rest.is_empty() {
            self.unreadable.push(rest.to_vec());
        }
    }

    /// The next packet of a datagram, where its number stands, and what follows it.
    fn next_packet<'a>(&self, datagram: &'a [u8]) -> Option<(Space, &'a [u8], usize, &'a [u8])> {
        let first = *datagram.first()?;
        if first & 0x80 == 0 {
            return Some((Space::OneRtt, datagram, 1 + self.scid.len(), &[]));
        }
        let space = match (first >> 4 & 3, datagram.get(1..5)?) {
            (0, [0, 0, 0, 1]) | (1, [0x6b, ..]) => Space::Initial,
            (2, [0, 0, 0, 1]) | (3, [0x6b, ..]) => Space::Handshake,
            _ => return None,
        };
        let mut reader = Reader(&datagram[5..]);
        for _ in 0..2 {
            let len = reader.byte();
            reader.take(len.into());
        }
        if space == Space::Initial {
            reader.prefixed();
        }
        let len = usize::try_from(reader.varint()).ok()?;
        let number_at = datagram.len() - reader.0.len();
        let (packet, rest) = datagram.split_at_checked(number_at + len)?;
        Some((space, packet, number_at, rest))
    }

    fn open(&mut self, space: Space, packet: &[u8], number_at: usize) -> Option<(u64, Vec<u8>)> {
        let own = &self.spaces[space as usize];
        let keys = &own.keys.as_ref()?.remote;
        let mut packet = packet.to_vec();
        let sample: [u8; 16] = packet.get(number_at + 4..number_at + 20)?.try_into().ok()?;
        let (first, rest) = packet.split_at_mut(1);
        let numbers = &mut rest[number_at - 1..number_at + 3];
        keys.header.decrypt_in_place(&sample, &mut first[0], numbers).ok()?;
        let number_len = usize::from(packet[0] & 3) + 1;
        let payload_at = number_at + number_len;
        let truncated = packet[number_at..payload_at].iter().fold(0_u64, |n, b| n << 8 | u64::from(*b));
        let number = expand(truncated, number_len, own.received.last().map_or(0, |last| last + 1));
        let (header, payload) = packet.split_at_mut(payload_at);
        let is_old = space == Space::OneRtt && (header[0] & 0x04 != 0) != self.phase;
        let old = self.old.as_ref().filter(|_| is_old).map(|old| &old.remote);
        let len = old.unwrap_or(&keys.packet).decrypt_in_place(number, header, payload).ok()?.len();
        Some((number, payload[..len].to_vec()))
    }

    fn read(&mut self, space: Space, number: u64, payload: &[u8]) {
        let own = &mut self.spaces[space as usize];
        own.received.insert(number);
        if space == Space::OneRtt {
            self.numbers.push(number);
        }
        for frame in Heard::all(payload) {
            let own = &mut self.spaces[space as usize];
            own.owes_ack |= frame.elicits();
            match frame.kind {
                wire::CRYPTO => {
                    own.early.insert(frame.words[0], frame.data.clone());
                    self.hand_to_tls(space);
                }
                wire::NEW_CONNECTION_ID => {
                    self.ids.insert(frame.words[0], frame.data.clone());
                }
                _ => {}
            }
            self.heard.push((space, frame));
        }
    }

    fn hand_to_tls(&mut self, space: Space) {
        let own = &mut self.spaces[space as usize];
        while let Some(entry) = own.early.first_entry().filter(|entry| *entry.key() <= own.read) {
            let (offset, data) = entry.remove_entry();
            let Some(new) = data.get((own.read - offset) as usize..) else { continue };
            own.read += new.len() as u64;
            // What it makes of it is its own affair: a forger has often heard enough.
            let _ = self.tls.read_hs(new);
        }
    }

    /// Forgets all it has heard, but for the numbers that it needs to read on.
    pub fn forget(&mut self) {
        self.heard = Vec::new();
        self.numbers = Vec::new();
        self.unreadable = Vec::new();
        for own in &mut self.spaces {
            let last = own.received.last().copied();
            own.received = last.into_iter().collect();
        }
    }

    /// Learns our endpoint's name from its first answer.
    pub fn meet(&mut self, datagram: &[u8]) {
        self.dcid = ids(datagram).1;
    }

    /// Whether an Initial's keys are those of another connection ID now, after a Retry.
    pub fn rekey(&mut self, dcid: &[u8]) {
        self.spaces[0].keys = Some(initial_keys(self.version, dcid, self.side));
        self.dcid = dcid.to_vec();
    }

    /// Everything that was said of one type.
    pub fn heard_of(&self, kind: u64) -> impl Iterator<Item = &Heard> {
        self.heard.iter().filter(move |(_, frame)| frame.kind == kind).map(|(_, frame)| frame)
    }
}

impl fmt::Debug for Forger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forger").field("side", &self.side).field("heard", &self.heard).finish_non_exhaustive()
    }
}
