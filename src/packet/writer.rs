//! Writing datagrams: one segment of the caller's buffer, up to three packets in it, frames in each.
//!
//! [`PacketWriter::write`] is the only way a frame gets into a packet, and it leaves the frame's [`Record`] behind.
//! A packet nothing came out of is abandoned without a trace. Packets are drafts until the whole datagram is
//! composed, because padding goes into the last of them; then each is sealed in place. A datagram of a single packet,
//! as almost all are, needs no [`DatagramWriter`].

use std::ops::Range;

use smallvec::SmallVec;

use super::number;
use super::version::{LongType, Version};
use crate::codec::Writer;
use crate::frame::{Outgoing, Record};
use crate::id::{ConnectionId, PacketNumber, SpaceId};

/// Length of the authentication tag of every AEAD of QUIC.
pub const TAG_LEN: usize = 16;

/// The most that the two-byte Length field of a long header can name: packet number, payload and tag, in bytes.
const MAX_LONG_LEN: usize = 0x3fff;

/// What a path permits right now; a writer refuses the rest, so that no owner asks about congestion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// Only what is not ack-eliciting: the congestion window is full.
    AckOnly,
    /// Only PATH_CHALLENGE, PATH_RESPONSE, PING and PADDING: the address has not spoken.
    Seek,
    /// Everything.
    Full,
}

/// Not in this packet: no room, or not permitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// The header of a packet to be sent (RFC 9000, Sections 17.2.2 to 17.2.4 and 17.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header<'a> {
    /// Initial.
    Initial {
        /// Which its keys, too, are made for.
        version: Version,
        /// The peer's connection ID.
        dcid: ConnectionId,
        /// Ours.
        scid: ConnectionId,
        /// From a Retry or an earlier connection; empty if there is none.
        token: &'a [u8],
    },
    /// Handshake.
    Handshake {
        /// Which its keys, too, are made for.
        version: Version,
        /// The peer's connection ID.
        dcid: ConnectionId,
        /// Ours.
        scid: ConnectionId,
    },
    /// 0-RTT, which only a client sends.
    ZeroRtt {
        /// Which its keys, too, are made for.
        version: Version,
        /// The server's connection ID.
        dcid: ConnectionId,
        /// Ours.
        scid: ConnectionId,
    },
    /// 1-RTT; the key phase is set when the packet is sealed.
    Short {
        /// The peer's connection ID.
        dcid: ConnectionId,
    },
}

impl Header<'_> {
    #[inline]
    fn space(&self) -> SpaceId {
        match self {
            Self::Initial { .. } => SpaceId::Initial,
            Self::Handshake { .. } => SpaceId::Handshake,
            Self::ZeroRtt { .. } | Self::Short { .. } => SpaceId::Data,
        }
    }

    #[inline]
    fn is_long(&self) -> bool {
        !matches!(self, Self::Short { .. })
    }

    /// Length up to the packet number, in bytes.
    #[inline]
    fn len(&self) -> usize {
        match self {
            Self::Initial { dcid, scid, token, .. } => {
                let token_len = crate::varint::size(token.len() as u64) + token.len();
                7 + dcid.len() + scid.len() + token_len + 2
            }
            Self::Handshake { dcid, scid, .. } | Self::ZeroRtt { dcid, scid, .. } => {
                7 + dcid.len() + scid.len() + 2
            }
            Self::Short { dcid } => 1 + dcid.len(),
        }
    }

    /// Writes all but the packet number; the Length field of a long header is left zero.
    #[inline(always)]
    fn write(&self, number_len: usize, out: &mut Writer<'_>) {
        let number_bits = u8::try_from(number_len - 1).expect("a packet number has one to four bytes");
        match *self {
            Self::Initial { version, dcid, scid, token } => {
                out.u8(0xc0 | version.type_bits(LongType::Initial) | number_bits);
                out.u32(version.wire());
                out.prefixed(&dcid);
                out.prefixed(&scid);
                out.prefixed(token);
                out.varint_in_two(0);
            }
            Self::Handshake { version, dcid, scid } => {
                out.u8(0xc0 | version.type_bits(LongType::Handshake) | number_bits);
                out.u32(version.wire());
                out.prefixed(&dcid);
                out.prefixed(&scid);
                out.varint_in_two(0);
            }
            Self::ZeroRtt { version, dcid, scid } => {
                out.u8(0xc0 | version.type_bits(LongType::ZeroRtt) | number_bits);
                out.u32(version.wire());
                out.prefixed(&dcid);
                out.prefixed(&scid);
                out.varint_in_two(0);
            }
            Self::Short { dcid } => {
                out.u8(0x40 | number_bits);
                out.front_of(dcid.padded(), dcid.len());
            }
        }
    }
}

/// A packet that is composed but not sealed. Offsets count from the datagram's first byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Its packet number space.
    pub space: SpaceId,
    /// Its number.
    pub number: PacketNumber,
    /// Its first byte.
    pub start: usize,
    /// The first byte of its packet number.
    pub number_at: usize,
    /// The first byte of its payload.
    pub payload_at: usize,
    /// The end of its payload; the tag follows.
    pub end: usize,
    /// Whether the peer must acknowledge it.
    pub ack_eliciting: bool,
    /// Whether it counts as in flight: ack-eliciting, or padded (RFC 9002, Section 2).
    pub in_flight: bool,
    /// Whether it holds nothing but probing frames.
    pub probing: bool,
    /// Whether its header is a long one, with a Length field.
    pub is_long: bool,
    /// Its records, as a range of the list they were written to.
    pub records: Range<usize>,
}

impl Draft {
    /// Length of the sealed packet in bytes.
    pub fn sealed_len(&self) -> usize {
        self.end + TAG_LEN - self.start
    }
}

/// Where a sealed packet must end: with the buffer, or where its Length field cannot name more.
#[inline]
fn end_limit(is_long: bool, number_at: usize, buf_len: usize) -> usize {
    if is_long { buf_len.min(number_at + MAX_LONG_LEN) } else { buf_len }
}

/// Fills one UDP datagram with up to three packets.
#[derive(Debug)]
pub struct DatagramWriter<'a> {
    buf: &'a mut [u8],
    at: usize,
    drafts: SmallVec<[Draft; 3]>,
    records: &'a mut Vec<Record>,
}

impl<'a> DatagramWriter<'a> {
    /// Starts a datagram of at most `buf.len()` bytes; records are appended to `records`.
    pub fn new(buf: &'a mut [u8], records: &'a mut Vec<Record>) -> Self {
        Self { buf, at: 0, drafts: SmallVec::new(), records }
    }

    /// Starts a packet behind those that were kept; `None` if there is no room for a useful one.
    ///
    /// `largest_acked` is the largest number of this space that the peer acknowledged; it decides the length of the
    /// packet number on the wire.
    pub fn begin(
        &mut self,
        header: &Header<'_>,
        number: PacketNumber,
        largest_acked: Option<PacketNumber>,
        allowance: Allowance,
    ) -> Option<PacketWriter<'_>> {
        PacketWriter::begin(self.buf, self.at, self.records, header, number, largest_acked, allowance)
    }

    /// Keeps what [`PacketWriter::finish`] gave; whether there was anything.
    pub fn keep(&mut self, draft: Option<Draft>) -> bool {
        let Some(draft) = draft else { return false };
        self.at = draft.end + TAG_LEN;
        self.drafts.push(draft);
        true
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.drafts.is_empty()
    }

    /// The packets so far.
    pub fn drafts(&self) -> &[Draft] {
        &self.drafts
    }

    /// The records of all its packets, after what was in the list before.
    pub fn records(&self) -> &[Record] {
        self.records
    }

    /// Pads the last packet so that the datagram has at least `len` bytes, or as many as fit.
    pub fn pad_to(&mut self, len: usize) {
        let Some(draft) = self.drafts.last_mut() else { return };
        let end = len.min(end_limit(draft.is_long, draft.number_at, self.buf.len()));
        if self.at >= end {
            return;
        }
        let padded = end - TAG_LEN;
        self.buf[draft.end..padded].fill(0);
        draft.end = padded;
        draft.in_flight = true;
        self.at = end;
    }

    /// Completes the Length fields and hands each packet, tag room included, to `seal`. Returns the datagram's length.
    #[inline]
    pub fn seal(&mut self, mut seal: impl FnMut(&Draft, &mut [u8])) -> usize {
        for draft in &self.drafts {
            if draft.is_long {
                let len = u16::try_from(draft.end + TAG_LEN - draft.number_at)
                    .expect("a long packet is cut to what its Length field names");
                Writer::new(&mut self.buf[draft.number_at - 2..]).varint_in_two(len);
            }
            seal(draft, &mut self.buf[draft.start..draft.end + TAG_LEN]);
        }
        self.at
    }
}

/// Writes the frames of one packet.
#[derive(Debug)]
pub struct PacketWriter<'a> {
    /// The whole datagram.
    buf: &'a mut [u8],
    records: &'a mut Vec<Record>,
    draft: Draft,
    /// Where its frames must end at the latest.
    limit: usize,
    allowance: Allowance,
    carries: bool,
    refused: bool,
}

impl<'a> PacketWriter<'a> {
    /// Starts a packet at the byte `start` of a datagram of at most `buf.len()` bytes; `None` if there is no room for
    /// a useful one. Records are appended to `records`.
    ///
    /// `largest_acked` is as for [`DatagramWriter::begin`].
    // Where the header is known to be short, not much of this is left.
    #[inline(always)]
    pub fn begin(
        buf: &'a mut [u8],
        start: usize,
        records: &'a mut Vec<Record>,
        header: &Header<'_>,
        number: PacketNumber,
        largest_acked: Option<PacketNumber>,
        allowance: Allowance,
    ) -> Option<Self> {
        let number_len = number::encoded_len(number, largest_acked);
        let number_at = start + header.len();
        let payload_at = number_at + number_len;
        // The sample for header protection begins four bytes after the packet number does.
        if payload_at + 4 + TAG_LEN > buf.len() {
            return None;
        }
        header.write(number_len, &mut Writer::new(&mut buf[start..]));
        // Four bytes whatever the length: the payload is written over what is too many.
        let digits = (number << (64 - 8 * number_len)).to_be_bytes();
        buf[number_at..number_at + 4].copy_from_slice(&digits[..4]);
        let is_long = header.is_long();
        let limit = end_limit(is_long, number_at, buf.len()) - TAG_LEN;
        let draft = Draft {
            space: header.space(),
            number,
            start,
            number_at,
            payload_at,
            end: payload_at,
            ack_eliciting: false,
            in_flight: false,
            probing: true,
            is_long,
            records: records.len()..records.len(),
        };
        Some(Self { buf, records, draft, limit, allowance, carries: false, refused: false })
    }

    /// Sets the spin bit of a short header, where it stands in the first byte: 0x20 or 0 (RFC 9000, Section 17.4). A long
    /// header has none.
    #[inline]
    pub fn spin(&mut self, bit: u8) {
        if let Some(first) = self.buf.get_mut(self.draft.start) {
            // The bit that makes a header long, shifted to where the spin bit stands.
            *first |= bit & !(*first >> 2);
        }
    }

    /// Writes a frame and remembers it.
    ///
    /// # Errors
    ///
    /// [`Full`] if it does not fit or is not permitted now; nothing is written then. The owner keeps it for later.
    #[inline]
    pub fn write<F: Outgoing>(&mut self, frame: &F) -> Result<(), Full> {
        if !self.permits::<F>() || frame.encoded_len() > self.room() {
            return Err(self.refuse());
        }
        let mut out = Writer::new(&mut self.buf[self.draft.end..]);
        frame.encode(&mut out);
        self.draft.end += out.written();
        self.draft.ack_eliciting |= F::ACK_ELICITING;
        self.draft.probing &= F::PROBING;
        self.carries |= frame.carries();
        if let Some(record) = frame.record() {
            self.records.push(record);
        }
        Ok(())
    }

    /// Something has to wait for another packet: for owners that see so by [`PacketWriter::room`].
    #[inline]
    pub fn refuse(&mut self) -> Full {
        self.refused = true;
        Full
    }

    /// Whether something has to wait for another packet.
    #[inline]
    pub fn has_refused(&self) -> bool {
        self.refused
    }

    /// Whether a frame of this type may stand in this packet now, room apart.
    #[inline]
    pub fn permits<F: Outgoing>(&self) -> bool {
        match self.allowance {
            Allowance::AckOnly => !F::ACK_ELICITING,
            Allowance::Seek => F::SEEKING,
            Allowance::Full => true,
        }
    }

    /// Bytes of frames that still fit: for owners of STREAM and CRYPTO data, who cut it to measure.
    #[inline]
    pub fn room(&self) -> usize {
        self.limit.saturating_sub(self.draft.end)
    }

    /// Whether anything worth sending was written.
    pub fn carries(&self) -> bool {
        self.carries
    }

    /// Whether anything ack-eliciting was written.
    pub fn is_ack_eliciting(&self) -> bool {
        self.draft.ack_eliciting
    }

    /// The packet number space of this packet.
    pub fn space(&self) -> SpaceId {
        self.draft.space
    }

    /// Completes the packet; `None` if it carries nothing, and then nothing happened.
    #[inline]
    pub fn finish(mut self) -> Option<Draft> {
        if !self.carries {
            self.records.truncate(self.draft.records.start);
            return None;
        }
        // Packet number and payload together have at least four bytes (RFC 9001, Section 5.4.2).
        let least = self.draft.number_at + 4;
        if self.draft.end < least {
            self.buf[self.draft.end..least].fill(0);
            self.draft.end = least;
        }
        self.draft.in_flight = self.draft.ack_eliciting;
        self.draft.records.end = self.records.len();
        Some(self.draft)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Crypto, HandshakeDone, Padding, PathChallenge, Ping};

    const ID: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8];

    fn id() -> ConnectionId {
        ConnectionId::new(ID).expect("eight bytes are a connection ID")
    }

    fn short() -> Header<'static> {
        Header::Short { dcid: id() }
    }

    fn handshake() -> Header<'static> {
        Header::Handshake { version: Version::V1, dcid: id(), scid: ConnectionId::EMPTY }
    }

    #[test]
    fn a_short_packet_is_laid_out_as_rfc_9000_17_3_says() {
        let (mut buf, mut records) = ([0xee; 64], Vec::new());
        let mut datagram = DatagramWriter::new(&mut buf, &mut records);
        let mut packet = datagram.begin(&short(), 0x1234, Some(0x1200), Allowance::Full).expect("room");
        assert_eq!(packet.write(&HandshakeDone), Ok(()));
        let draft = packet.finish();
        assert!(datagram.keep(draft));
        let len = datagram.seal(|draft, packet| {
            assert_eq!((draft.start, draft.number_at, draft.payload_at, draft.end), (0, 9, 10, 13));
            assert_eq!(packet[..13], [0x40, 1, 2, 3, 4, 5, 6, 7, 8, 0x34, 0x1e, 0, 0]);
        });
        assert_eq!((len, records.as_slice()), (13 + TAG_LEN, &[Record::HandshakeDone][..]));
    }

    #[test]
    fn a_0_rtt_packet_is_laid_out_as_rfc_9000_17_2_3_says() {
        let (mut buf, mut records) = ([0xee; 64], Vec::new());
        let mut datagram = DatagramWriter::new(&mut buf, &mut records);
        let scid = ConnectionId::new(&[9, 8]).expect("two bytes are a connection ID");
        let header = Header::ZeroRtt { version: Version::V1, dcid: id(), scid };
        let mut packet = datagram.begin(&header, 2, None, Allowance::Full).expect("room");
        assert_eq!((packet.write(&Ping), packet.space()), (Ok(()), SpaceId::Data));
        let draft = packet.finish();
        assert!(datagram.keep(draft));
        datagram.seal(|_, packet| {
            let header = [0xd0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 2, 9, 8];
            // The Length field counts the packet number, the payload (padded to be sampled) and the tag.
            assert_eq!((&packet[..17], &packet[17..23]), (&header[..], &[0x40, 20, 2, 1, 0, 0][..]));
        });
    }

    #[test]
    fn a_packet_that_carries_nothing_leaves_nothing_behind() {
        let (mut buf, mut records) = ([0; 64], Vec::new());
        let mut datagram = DatagramWriter::new(&mut buf, &mut records);
        let mut packet = datagram.begin(&short(), 0, None, Allowance::Full).expect("room");
        assert_eq!(packet.write(&Padding(3)), Ok(()));
        let draft = packet.finish();
        assert!(!datagram.keep(draft));
        assert!(datagram.is_empty() && records.is_empty());
    }

    #[test]
    fn an_allowance_refuses_what_it_does_not_permit() {
        let (mut buf, mut records) = ([0; 64], Vec::new());
        let mut datagram = DatagramWriter::new(&mut buf, &mut records);
        let mut seek = datagram.begin(&short(), 0, None, Allowance::Seek).expect("room");
        assert_eq!(seek.write(&HandshakeDone), Err(Full));
        assert_eq!(seek.write(&PathChallenge { data: [0; 8] }), Ok(()));
        let mut full_window = datagram.begin(&short(), 0, None, Allowance::AckOnly).expect("room");
        assert_eq!(full_window.write(&Ping), Err(Full));
        assert_eq!(full_window.write(&Padding(1)), Ok(()));
    }

    #[test]
    fn a_short_header_spins_and_a_long_one_does_not() {
        let scid = id();
        for (header, first) in
            [(short(), 0x60), (Header::Handshake { version: Version::V1, dcid: id(), scid }, 0xe0)]
        {
            let (mut buf, mut records) = ([0; 64], Vec::new());
            let mut datagram = DatagramWriter::new(&mut buf, &mut records);
            let mut packet = datagram.begin(&header, 0, None, Allowance::Full).expect("room");
            packet.spin(0x20);
            drop(datagram);
            assert_eq!(buf[0], first);
        }
        let header = Header::ZeroRtt { version: Version::V1, dcid: id(), scid };
        let (mut buf, mut records) = ([0; 64], Vec::new());
        let mut datagram = DatagramWriter::new(&mut buf, &mut records);
        datagram.begin(&header, 0, None, Allowance::Full).expect("room").spin(0x20);
        drop(datagram);
        assert_eq!(buf[0], 0xd0);
    }

    #[test]
    fn a_frame_that_does_not_fit_is_refused_whole() {
        let (mut buf, mut records) = ([0; 36], Vec::new());
        let mut datagram = DatagramWriter::new(&mut buf, &mut records);
        let mut packet = datagram.begin(&short(), 0, None, Allowance::Full).expect("room");
        assert_eq!(packet.room(), 10);
        assert_eq!(packet.write(&Crypto { offset: 0, data: &[7; 7] }), Err(Full));
        assert_eq!(packet.write(&Crypto { offset: 0, data: &[7; 6] }), Ok(()));
        assert_eq!(packet.room(), 0);
    }

    #[test]
    fn padding_goes_into_the_last_packet_and_puts_it_in_flight() {
        let (mut buf, mut records) = ([0xee; 1500], Vec::new());
        let mut datagram = DatagramWriter::new(&mut buf, &mut records);
        for header in [handshake(), short()] {
            let mut packet = datagram.begin(&header, 0, None, Allowance::Full).expect("room");
            assert_eq!(packet.write(&Ping), Ok(()));
            let draft = packet.finish();
            assert!(datagram.keep(draft));
        }
        let first = datagram.drafts()[0].clone();
        datagram.pad_to(1200);
        assert_eq!(datagram.drafts()[0], first);
        assert_eq!((datagram.drafts()[1].end, datagram.drafts()[1].in_flight), (1200 - TAG_LEN, true));
        let len = datagram.seal(|_, packet| assert!(!packet[..packet.len() - TAG_LEN].ends_with(&[0xee])));
        assert_eq!(len, 1200);
    }

    #[test]
    fn a_long_packet_in_a_jumbo_datagram_ends_where_its_length_field_does() {
        let (mut buf, mut records) = (vec![0; 60_000], Vec::new());
        let mut datagram = DatagramWriter::new(&mut buf, &mut records);
        let mut packet = datagram.begin(&handshake(), 0, None, Allowance::Full).expect("room");
        assert_eq!(packet.room(), 0x3fff - 1 - TAG_LEN);
        assert_eq!(packet.write(&Ping), Ok(()));
        let draft = packet.finish();
        assert!(datagram.keep(draft));
        datagram.pad_to(30_000);
        let number_at = datagram.drafts()[0].number_at;
        let len = datagram.seal(|_, packet| assert_eq!(packet[number_at - 2..number_at], [0x7f, 0xff]));
        assert_eq!(len, number_at + 0x3fff);
    }

    #[test]
    fn a_buffer_without_room_for_a_useful_packet_begins_none() {
        let (mut buf, mut records) = ([0; 29], Vec::new());
        let mut datagram = DatagramWriter::new(&mut buf, &mut records);
        assert!(datagram.begin(&short(), 0, None, Allowance::Full).is_none());
    }
}
