//! Writing datagrams: one segment of the caller's buffer, up to three packets in it, frames in each.
//!
//! [`PacketWriter::write`] is the only way a frame gets into a packet, and it leaves the frame's [`Record`] behind.
//! A packet nothing came out of is abandoned without a trace. Packets are drafts until the whole datagram is
//! composed, because padding goes into the last of them; then each is sealed in place.

use std::ops::Range;

use smallvec::SmallVec;

use super::number;
use crate::codec::{Encode, Writer};
use crate::frame::{Outgoing, Record};
use crate::id::{ConnectionId, PacketNumber, SpaceId};

/// Length of the authentication tag of every AEAD of QUIC version 1.
pub const TAG_LEN: usize = 16;

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

/// The header of a packet to be sent (RFC 9000, Sections 17.2.2, 17.2.4 and 17.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header<'a> {
    /// Initial.
    Initial {
        /// QUIC version.
        version: u32,
        /// The peer's connection ID.
        dcid: ConnectionId,
        /// Ours.
        scid: ConnectionId,
        /// From a Retry or an earlier connection; empty if there is none.
        token: &'a [u8],
    },
    /// Handshake.
    Handshake {
        /// QUIC version.
        version: u32,
        /// The peer's connection ID.
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
    fn space(&self) -> SpaceId {
        match self {
            Self::Initial { .. } => SpaceId::Initial,
            Self::Handshake { .. } => SpaceId::Handshake,
            Self::Short { .. } => SpaceId::Data,
        }
    }

    /// Length up to the packet number, in bytes.
    fn len(&self) -> usize {
        match self {
            Self::Initial { dcid, scid, token, .. } => {
                let token_len = crate::varint::size(token.len() as u64) + token.len();
                7 + dcid.len() + scid.len() + token_len + 2
            }
            Self::Handshake { dcid, scid, .. } => 7 + dcid.len() + scid.len() + 2,
            Self::Short { dcid } => 1 + dcid.len(),
        }
    }

    /// Writes all but the packet number; the Length field of a long header is left zero.
    fn write(&self, number_len: usize, out: &mut Writer<'_>) {
        let number_bits = u8::try_from(number_len - 1).expect("a packet number has one to four bytes");
        match *self {
            Self::Initial { version, dcid, scid, token } => {
                out.u8(0xc0 | number_bits);
                out.u32(version);
                out.prefixed(&dcid);
                out.prefixed(&scid);
                out.prefixed(token);
                out.varint_in_two(0);
            }
            Self::Handshake { version, dcid, scid } => {
                out.u8(0xe0 | number_bits);
                out.u32(version);
                out.prefixed(&dcid);
                out.prefixed(&scid);
                out.varint_in_two(0);
            }
            Self::Short { dcid } => {
                out.u8(0x40 | number_bits);
                out.bytes(&dcid);
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
    /// Its records, as a range of the list they were written to.
    pub records: Range<usize>,
}

impl Draft {
    /// Length of the sealed packet in bytes.
    pub fn sealed_len(&self) -> usize {
        self.end + TAG_LEN - self.start
    }
}

/// Fills one UDP datagram.
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

    /// Starts a packet; `None` if there is no room for a useful one.
    ///
    /// `largest_acked` is the largest number of this space that the peer acknowledged; it decides the length of the
    /// packet number on the wire.
    #[inline]
    pub fn begin(
        &mut self,
        header: &Header<'_>,
        number: PacketNumber,
        largest_acked: Option<PacketNumber>,
        allowance: Allowance,
    ) -> Option<PacketWriter<'_, 'a>> {
        let number_len = number::encoded_len(number, largest_acked);
        let payload_at = self.at + header.len() + number_len;
        // The sample for header protection begins four bytes after the packet number does.
        if payload_at + 4 + TAG_LEN > self.buf.len() {
            return None;
        }
        let mut out = Writer::new(&mut self.buf[self.at..payload_at]);
        header.write(number_len, &mut out);
        out.bytes(&number.to_be_bytes()[8 - number_len..]);
        let draft = Draft {
            space: header.space(),
            number,
            start: self.at,
            number_at: payload_at - number_len,
            payload_at,
            end: payload_at,
            ack_eliciting: false,
            in_flight: false,
            probing: true,
            records: self.records.len()..self.records.len(),
        };
        Some(PacketWriter { datagram: self, draft, allowance, carries: false })
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.drafts.is_empty()
    }

    /// Bytes the sealed datagram will have.
    pub fn len(&self) -> usize {
        self.at
    }

    /// The packets so far.
    pub fn drafts(&self) -> &[Draft] {
        &self.drafts
    }

    /// Pads the last packet so that the datagram has at least `len` bytes, or as many as fit.
    pub fn pad_to(&mut self, len: usize) {
        let Some(draft) = self.drafts.last_mut() else { return };
        let end = len.min(self.buf.len());
        if self.at >= end {
            return;
        }
        let padded = end - TAG_LEN;
        self.buf[draft.end..padded].fill(0);
        draft.end = padded;
        draft.in_flight = true;
        self.at = end;
    }

    /// Completes the Length fields and hands each packet, tag room included, to `seal`; returns the datagram's length.
    #[inline]
    pub fn seal(self, mut seal: impl FnMut(&Draft, &mut [u8])) -> usize {
        for draft in &self.drafts {
            if draft.space != SpaceId::Data {
                let len = u16::try_from(draft.end + TAG_LEN - draft.number_at).unwrap_or(u16::MAX);
                Writer::new(&mut self.buf[draft.number_at - 2..]).varint_in_two(len);
            }
            seal(draft, &mut self.buf[draft.start..draft.end + TAG_LEN]);
        }
        self.at
    }
}

/// Writes the frames of one packet.
#[derive(Debug)]
pub struct PacketWriter<'w, 'a> {
    datagram: &'w mut DatagramWriter<'a>,
    draft: Draft,
    allowance: Allowance,
    carries: bool,
}

impl PacketWriter<'_, '_> {
    /// Writes a frame and remembers it.
    ///
    /// # Errors
    ///
    /// [`Full`] if it does not fit or is not permitted now; nothing is written then. The owner keeps it for later.
    #[inline]
    pub fn write<F: Outgoing>(&mut self, frame: &F) -> Result<(), Full> {
        if !self.permits::<F>() || frame.encoded_len() > self.room() {
            return Err(Full);
        }
        self.put(frame);
        self.draft.ack_eliciting |= F::ACK_ELICITING;
        self.draft.probing &= F::PROBING;
        self.carries |= frame.carries();
        if let Some(record) = frame.record() {
            self.datagram.records.push(record);
        }
        Ok(())
    }

    #[inline]
    fn put<F: Encode>(&mut self, frame: &F) {
        let mut out = Writer::new(&mut self.datagram.buf[self.draft.end..]);
        frame.encode(&mut out);
        self.draft.end += out.written();
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
        (self.datagram.buf.len() - TAG_LEN).saturating_sub(self.draft.end)
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

    /// Completes the packet if it carries anything; otherwise nothing happened. Returns whether it does.
    pub fn finish(mut self) -> bool {
        if !self.carries {
            self.datagram.records.truncate(self.draft.records.start);
            return false;
        }
        // Packet number and payload together have at least four bytes (RFC 9001, Section 5.4.2).
        let short = 4usize.saturating_sub(self.draft.end - self.draft.number_at);
        self.datagram.buf[self.draft.end..self.draft.end + short].fill(0);
        self.draft.end += short;
        self.draft.in_flight = self.draft.ack_eliciting;
        self.draft.records.end = self.datagram.records.len();
        self.datagram.at = self.draft.end + TAG_LEN;
        self.datagram.drafts.push(self.draft);
        true
    }
}
