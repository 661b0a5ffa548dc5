//! Bytes on the wire, by hand: integers, frames to be said, and frames heard (RFC 9000, Sections 16 and 19).

use std::net::SocketAddrV4;

pub const PADDING: u64 = 0x00;
pub const PING: u64 = 0x01;
pub const ACK: u64 = 0x02;
pub const RESET_STREAM: u64 = 0x04;
pub const STOP_SENDING: u64 = 0x05;
pub const CRYPTO: u64 = 0x06;
pub const NEW_TOKEN: u64 = 0x07;
/// With an offset and a length.
pub const STREAM: u64 = 0x0e;
/// With an offset and a length, and the last of its stream.
pub const STREAM_FIN: u64 = 0x0f;
pub const MAX_DATA: u64 = 0x10;
pub const MAX_STREAM_DATA: u64 = 0x11;
pub const MAX_STREAMS_BIDI: u64 = 0x12;
pub const MAX_STREAMS_UNI: u64 = 0x13;
pub const DATA_BLOCKED: u64 = 0x14;
pub const STREAM_DATA_BLOCKED: u64 = 0x15;
pub const STREAMS_BLOCKED_BIDI: u64 = 0x16;
pub const STREAMS_BLOCKED_UNI: u64 = 0x17;
pub const NEW_CONNECTION_ID: u64 = 0x18;
pub const RETIRE_CONNECTION_ID: u64 = 0x19;
pub const PATH_CHALLENGE: u64 = 0x1a;
pub const PATH_RESPONSE: u64 = 0x1b;
pub const CONNECTION_CLOSE: u64 = 0x1c;
pub const APPLICATION_CLOSE: u64 = 0x1d;
pub const HANDSHAKE_DONE: u64 = 0x1e;
/// With a length.
pub const DATAGRAM: u64 = 0x31;
/// With the 24 bytes of a target.
pub const SERVER_MIGRATION: u64 = 0x32;
pub const SERVER_MIGRATED: u64 = 0x33;
/// With the 24 bytes of a target.
pub const POOL_MIGRATION_ADDRESS: u64 = 0x34;

/// The largest integer there is.
pub const LARGEST: u64 = (1 << 62) - 1;

/// An integer in its shortest form.
pub fn varint(value: u64) -> Vec<u8> {
    match value {
        0..0x40 => vec![value as u8],
        0x40..0x4000 => (value as u16 | 0x4000).to_be_bytes().to_vec(),
        0x4000..0x4000_0000 => (value as u32 | 0x8000_0000).to_be_bytes().to_vec(),
        0x4000_0000..=LARGEST => (value | 0xc000_0000_0000_0000).to_be_bytes().to_vec(),
        _ => panic!("{value} is no integer of QUIC's"),
    }
}

/// A frame of integers alone, the first of which is its type.
pub fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| varint(*word)).collect()
}

fn ending_in(words: &[u64], data: &[u8]) -> Vec<u8> {
    [&self::words(words)[..], data].concat()
}

/// CRYPTO.
pub fn crypto(offset: u64, data: &[u8]) -> Vec<u8> {
    ending_in(&[CRYPTO, offset, data.len() as u64], data)
}

/// STREAM.
pub fn stream(id: u64, offset: u64, data: &[u8]) -> Vec<u8> {
    ending_in(&[STREAM, id, offset, data.len() as u64], data)
}

/// The last STREAM of its stream.
pub fn stream_end(id: u64, offset: u64, data: &[u8]) -> Vec<u8> {
    ending_in(&[STREAM_FIN, id, offset, data.len() as u64], data)
}

/// NEW_TOKEN.
pub fn new_token(token: &[u8]) -> Vec<u8> {
    ending_in(&[NEW_TOKEN, token.len() as u64], token)
}

/// NEW_CONNECTION_ID with an ID of `len` bytes and a token, which are those of this number and of no other.
pub fn new_connection_id(sequence: u64, retire_prior_to: u64, len: u8) -> Vec<u8> {
    new_connection_id_as(sequence, retire_prior_to, &id(sequence, len), &token(sequence))
}

/// NEW_CONNECTION_ID with this ID and this token.
pub fn new_connection_id_as(sequence: u64, retire_prior_to: u64, id: &[u8], token: &[u8; 16]) -> Vec<u8> {
    let head = words(&[NEW_CONNECTION_ID, sequence, retire_prior_to]);
    [&head[..], &[u8::try_from(id.len()).expect("a short ID")], id, token].concat()
}

/// The connection ID of a number.
pub fn id(sequence: u64, len: u8) -> Vec<u8> {
    let name = [&sequence.to_be_bytes()[4..], &[0xfe; 20][..]].concat();
    name[..len.into()].to_vec()
}

/// The stateless reset token of a number.
pub fn token(sequence: u64) -> [u8; 16] {
    (u128::from(sequence) << 64 | 0x7000).to_be_bytes()
}

/// PATH_CHALLENGE or PATH_RESPONSE.
pub fn path(kind: u64, data: u64) -> Vec<u8> {
    ending_in(&[kind], &data.to_be_bytes())
}

/// DATAGRAM.
pub fn datagram(data: &[u8]) -> Vec<u8> {
    ending_in(&[DATAGRAM, data.len() as u64], data)
}

/// SERVER_MIGRATION or POOL_MIGRATION_ADDRESS that names this IPv4 endpoint, or none.
pub fn naming(kind: u64, endpoint: Option<&str>) -> Vec<u8> {
    let mut frame = varint(kind);
    frame.resize(25, 0);
    if let Some(endpoint) = endpoint {
        let v4: SocketAddrV4 = endpoint.parse().expect("an IPv4 endpoint");
        frame[1..5].copy_from_slice(&v4.ip().octets());
        frame[5..7].copy_from_slice(&v4.port().to_be_bytes());
    }
    frame
}

/// ACK of these ranges of packet numbers, the highest first.
pub fn ack(ranges: &[(u64, u64)]) -> Vec<u8> {
    let (low, high) = ranges[0];
    let mut frame = words(&[ACK, high, 0, ranges.len() as u64 - 1, high - low]);
    let mut before = low;
    for (low, high) in &ranges[1..] {
        frame.extend(words(&[before - high - 2, high - low]));
        before = *low;
    }
    frame
}

/// Reads what comes next.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// The next bytes.
    pub fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at_checked(len).expect("the library writes whole packets");
        self.0 = rest;
        taken
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    /// The next integer.
    pub fn varint(&mut self) -> u64 {
        let len = 1 << (self.0[0] >> 6);
        let bytes = self.take(len);
        let value = bytes.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        value & (u64::MAX >> (66 - 8 * len))
    }

    /// Bytes after an integer that says how many.
    pub fn prefixed(&mut self) -> &'a [u8] {
        let len = usize::try_from(self.varint()).expect("a length");
        self.take(len)
    }
}

/// A frame that our endpoint sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Its type.
    pub kind: u64,
    /// Its integers, in their order.
    pub words: Vec<u64>,
    /// Its bytes, if it has any.
    pub data: Vec<u8>,
}

impl Heard {
    /// Reads all frames of a packet; runs of padding are left out.
    pub fn all(payload: &[u8]) -> Vec<Self> {
        let mut reader = Reader(payload);
        let mut heard = Vec::new();
        while !reader.0.is_empty() {
            let kind = reader.varint();
            if kind != PADDING {
                heard.push(Self::read(kind, &mut reader));
            }
        }
        heard
    }

    fn read(kind: u64, reader: &mut Reader<'_>) -> Self {
        let (count, data) = match kind {
            PING | HANDSHAKE_DONE | SERVER_MIGRATED => (0, 0),
            ACK | 0x03 => return Self::read_ack(kind, reader),
            RESET_STREAM => (3, 0),
            STOP_SENDING | MAX_STREAM_DATA | STREAM_DATA_BLOCKED => (2, 0),
            CRYPTO => (2, 1),
            NEW_TOKEN => (1, 1),
            0x08..=0x0f => return Self::read_stream(kind, reader),
            MAX_DATA | MAX_STREAMS_BIDI | MAX_STREAMS_UNI | DATA_BLOCKED => (1, 0),
            STREAMS_BLOCKED_BIDI | STREAMS_BLOCKED_UNI | RETIRE_CONNECTION_ID => (1, 0),
            NEW_CONNECTION_ID => return Self::read_id(reader),
            PATH_CHALLENGE | PATH_RESPONSE => {
                return Self { kind, words: Vec::new(), data: reader.take(8).to_vec() };
            }
            SERVER_MIGRATION | POOL_MIGRATION_ADDRESS => {
                return Self { kind, words: Vec::new(), data: reader.take(24).to_vec() };
            }
            CONNECTION_CLOSE => (3, 1),
            APPLICATION_CLOSE | DATAGRAM => (if kind == DATAGRAM { 1 } else { 2 }, 1),
            0x30 => return Self { kind, words: Vec::new(), data: std::mem::take(&mut reader.0).to_vec() },
            other => panic!("a frame of type {other:#x}"),
        };
        let words: Vec<u64> = (0..count).map(|_| reader.varint()).collect();
        let data = if data == 0 { &[][..] } else { reader.take(words[count - 1] as usize) };
        Self { kind, words, data: data.to_vec() }
    }

    /// The ranges of packet numbers, each as its lowest and its highest.
    fn read_ack(kind: u64, reader: &mut Reader<'_>) -> Self {
        let (mut high, _delay, more, first) =
            (reader.varint(), reader.varint(), reader.varint(), reader.varint());
        let mut words = vec![high - first, high];
        for _ in 0..more {
            high = words[words.len() - 2] - reader.varint() - 2;
            words.extend([high - reader.varint(), high]);
        }
        for _ in 0..if kind == ACK { 0 } else { 3 } {
            reader.varint();
        }
        Self { kind: ACK, words, data: Vec::new() }
    }

    /// The stream and the offset.
    fn read_stream(kind: u64, reader: &mut Reader<'_>) -> Self {
        let words = vec![reader.varint(), if kind & 4 == 0 { 0 } else { reader.varint() }];
        let data = if kind & 2 == 0 { std::mem::take(&mut reader.0) } else { reader.prefixed() };
        Self { kind: STREAM | kind & 1, words, data: data.to_vec() }
    }

    /// The number and what is to be retired.
    fn read_id(reader: &mut Reader<'_>) -> Self {
        let words = vec![reader.varint(), reader.varint()];
        let len = reader.byte();
        let data = reader.take(len.into()).to_vec();
        reader.take(16);
        Self { kind: NEW_CONNECTION_ID, words, data }
    }

    /// Whether an ACK names this packet.
    pub fn acknowledges(&self, number: u64) -> bool {
        self.kind == ACK && self.words.chunks(2).any(|range| (range[0]..=range[1]).contains(&number))
    }

    /// Whether it wants to be acknowledged.
    pub fn elicits(&self) -> bool {
        !matches!(self.kind, ACK | CONNECTION_CLOSE | APPLICATION_CLOSE)
    }
}
