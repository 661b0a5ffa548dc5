//! What went over the network, taken apart: datagrams become packets, and packets frames.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;

use peregrine::{Ecn, Instant};
use rustls::KeyLog;

use crate::frames::{Frame, frames, take, varint};
use crate::keys::{Opened, Sealer, V2};
use sim::{Datagram, Kind};

/// Length of all connection IDs in these runs, in bytes.
const ID_LEN: u64 = 8;

/// The secrets that TLS told, of all connections of a run.
#[derive(Debug, Default)]
pub struct Secrets(Mutex<Vec<(String, Vec<u8>)>>);

impl KeyLog for Secrets {
    fn log(&self, label: &str, _: &[u8], secret: &[u8]) {
        self.0.lock().expect("nobody panics with it").push((label.to_owned(), secret.to_vec()));
    }
}

/// A packet, seen by somebody who has all secrets.
#[derive(Debug)]
pub struct Packet {
    /// Where it came from, after translation.
    pub from: SocketAddr,
    /// Where it went.
    pub to: SocketAddr,
    /// The mark of its datagram.
    pub ecn: Ecn,
    /// Whether its sender is the server.
    pub from_server: bool,
    /// Its type.
    pub kind: Kind,
    /// The version in its header; 0 if there is none.
    pub version: u32,
    /// Whom it is for.
    pub dcid: Vec<u8>,
    /// Whose it is; empty if it does not say so.
    pub scid: Vec<u8>,
    /// The token of an Initial or a Retry.
    pub token: Vec<u8>,
    /// What is in it; `None` if it could not be opened.
    pub inside: Option<Inside>,
}

/// What is in a packet.
#[derive(Debug)]
pub struct Inside {
    /// Its number.
    pub number: u64,
    /// Its key phase; false if it has none.
    pub phase: bool,
    /// Its frames but for padding.
    pub frames: Vec<Frame>,
    /// Bytes of all frames.
    pub len: usize,
}

impl Packet {
    /// Its frames; none if it could not be opened.
    pub fn frames(&self) -> &[Frame] {
        self.inside.as_ref().map_or(&[], |inside| &inside.frames)
    }

    /// Whether it has such a frame.
    pub fn has(&self, such: impl Fn(&Frame) -> bool) -> bool {
        self.frames().iter().any(such)
    }
}

/// Everything that a run has shown.
#[derive(Debug, Default)]
pub struct Tape(pub Vec<(Instant, Datagram)>);

impl Tape {
    /// The packets of all datagrams, in the order of their sending; opened if there are secrets.
    pub fn packets(&self, is_server: impl Fn(SocketAddr) -> bool, secrets: Option<&Secrets>) -> Vec<Packet> {
        let mut keys = secrets.map(Keys::of);
        let mut packets = Vec::new();
        for (_, datagram) in &self.0 {
            let mut rest = &*datagram.payload;
            while let Some(header) = Header::read(&mut rest) {
                let from_server = is_server(datagram.from);
                let inside = keys.as_mut().and_then(|keys| keys.open(from_server, &header));
                let Header { kind, version, dcid, scid, token, .. } = header;
                let Datagram { from, to, ecn, .. } = *datagram;
                packets.push(Packet { from, to, ecn, from_server, kind, version, dcid, scid, token, inside });
            }
        }
        packets
    }
}

/// A packet's header (RFC 9000, Section 17), and the bytes of the whole packet.
struct Header<'a> {
    kind: Kind,
    version: u32,
    dcid: Vec<u8>,
    scid: Vec<u8>,
    token: Vec<u8>,
    packet: &'a [u8],
    /// Where its number is, if it has one.
    number_at: Option<usize>,
}

impl<'a> Header<'a> {
    /// Takes one packet off a datagram.
    fn read(datagram: &mut &'a [u8]) -> Option<Self> {
        let whole = *datagram;
        let mut rest = whole;
        let first = take(&mut rest, 1)?[0];
        if first & 0x80 == 0 {
            let dcid = take(&mut rest, ID_LEN)?.to_vec();
            *datagram = &[];
            // Zeros behind the last packet are none. The QUIC bit says nothing (RFC 9287).
            return whole.iter().any(|byte| *byte != 0).then_some(Self {
                kind: Kind::OneRtt,
                version: 0,
                dcid,
                scid: Vec::new(),
                token: Vec::new(),
                packet: whole,
                number_at: Some(1 + ID_LEN as usize),
            });
        }
        let version = u32::from_be_bytes(take(&mut rest, 4)?.try_into().ok()?);
        let mut id = || {
            let len = take(&mut rest, 1)?[0];
            Some(take(&mut rest, len.into())?.to_vec())
        };
        let (dcid, scid) = (id()?, id()?);
        // Version 2 counts the types from another one on (RFC 9369, Section 3.2).
        let number = (first >> 4).wrapping_sub(u8::from(version == V2)) & 0x03;
        let kind = match number {
            _ if version == 0 => Kind::Version,
            0 => Kind::Initial,
            1 => Kind::ZeroRtt,
            2 => Kind::Handshake,
            _ => Kind::Retry,
        };
        let mut token = Vec::new();
        if matches!(kind, Kind::Version | Kind::Retry) {
            token = rest.get(..rest.len().saturating_sub(16)).unwrap_or_default().to_vec();
            *datagram = &[];
            return Some(Self { kind, version, dcid, scid, token, packet: whole, number_at: None });
        }
        if kind == Kind::Initial {
            let len = varint(&mut rest)?;
            token = take(&mut rest, len)?.to_vec();
        }
        let len = varint(&mut rest)?;
        let number_at = whole.len() - rest.len();
        take(&mut rest, len)?;
        *datagram = rest;
        let packet = &whole[..whole.len() - rest.len()];
        Some(Self { kind, version, dcid, scid, token, packet, number_at: Some(number_at) })
    }
}

/// All keys of a run.
struct Keys {
    /// By the ID that a client's Initial went to, and by version.
    initial: BTreeMap<(Vec<u8>, u32), [Sealer; 2]>,
    /// By level and side: those of all connections.
    logged: BTreeMap<(u8, bool), Vec<Sealer>>,
    /// IDs that clients' Initials went to.
    dcids: Vec<Vec<u8>>,
}

impl Keys {
    fn of(secrets: &Secrets) -> Self {
        let mut logged: BTreeMap<(u8, bool), Vec<Sealer>> = BTreeMap::new();
        for (label, secret) in secrets.0.lock().expect("nobody panics with it").iter() {
            let place = match label.as_str() {
                "CLIENT_EARLY_TRAFFIC_SECRET" => (0, false),
                "CLIENT_HANDSHAKE_TRAFFIC_SECRET" => (1, false),
                "SERVER_HANDSHAKE_TRAFFIC_SECRET" => (1, true),
                "CLIENT_TRAFFIC_SECRET_0" => (2, false),
                "SERVER_TRAFFIC_SECRET_0" => (2, true),
                _ => continue,
            };
            logged.entry(place).or_default().extend(Sealer::all_of(secret));
        }
        Self { initial: BTreeMap::new(), logged, dcids: Vec::new() }
    }

    fn open(&mut self, from_server: bool, header: &Header<'_>) -> Option<Inside> {
        let at = header.number_at?;
        let level = match header.kind {
            Kind::Initial => return self.open_initial(from_server, header, at),
            Kind::ZeroRtt => 0,
            Kind::Handshake => 1,
            Kind::OneRtt => 2,
            Kind::Version | Kind::Retry => return None,
        };
        let sealers = self.logged.get_mut(&(level, from_server))?;
        let found =
            (0..sealers.len()).find_map(|index| Some((index, sealers[index].open(header.packet, at)?)));
        let (index, opened) = found?;
        // The next packet is probably of the same connection.
        sealers.swap(0, index);
        Some(Inside::new(&opened))
    }

    fn open_initial(&mut self, from_server: bool, header: &Header<'_>, at: usize) -> Option<Inside> {
        if !from_server && !self.dcids.contains(&header.dcid) {
            self.dcids.push(header.dcid.clone());
        }
        let initial = &mut self.initial;
        let opened = self.dcids.iter().rev().find_map(|dcid| {
            let keys = initial
                .entry((dcid.clone(), header.version))
                .or_insert_with(|| Sealer::initial(header.version, dcid));
            keys[usize::from(from_server)].open(header.packet, at)
        })?;
        Some(Inside::new(&opened))
    }
}

impl Inside {
    fn new(opened: &Opened) -> Self {
        let Opened { number, phase, payload } = opened;
        Self { number: *number, phase: *phase, frames: frames(payload), len: payload.len() }
    }
}
