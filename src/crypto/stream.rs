//! CRYPTO data of one level, in and out: a stream without flow control or end (RFC 9000, Sections 7.5 and 19.6).
//!
//! Driven by the space it belongs to. What comes in is put in order within a bounded window; what goes out is kept
//! until it is acknowledged. Idle, neither side holds memory.

use std::ops::Range;

use crate::error::TransportError;
use crate::frame::Crypto;
use crate::packet::PacketWriter;
use crate::range_set::RangeSet;

/// How far CRYPTO data may reach beyond what TLS has read, in bytes.
pub const MAX_AHEAD: u64 = 64 << 10;

/// How many pieces may wait with holes between them. A browser's shuffled ClientHello has tens.
pub const MAX_PIECES: usize = 257;

/// The longest data of a CRYPTO frame, whose length is written in two bytes.
const MAX_FRAME_DATA: usize = 0x3fff;

/// Both directions of CRYPTO data at one level.
#[derive(Debug, Default)]
pub struct CryptoStream {
    /// How far TLS has read and the peer has acknowledged, when last nothing was under way.
    settled: (u64, u64),
    /// What is under way; `None` almost always.
    under_way: Option<Box<UnderWay>>,
}

/// What one direction owes TLS and the other the peer.
#[derive(Debug)]
struct UnderWay {
    incoming: Incoming,
    outgoing: Outgoing,
}

/// Bytes that TLS has not read yet.
#[derive(Debug, Default)]
struct Incoming {
    /// Where `bytes` begins in the stream: what TLS has read.
    start: u64,
    /// What came, at its place; holes are zero.
    bytes: Vec<u8>,
    /// Which of it came, in offsets of the stream.
    held: RangeSet,
}

/// Bytes that the peer has not acknowledged yet.
#[derive(Debug, Default)]
struct Outgoing {
    /// Where `bytes` begins in the stream: all before is acknowledged.
    start: u64,
    bytes: Vec<u8>,
    /// What is to be sent, for the first time or again.
    pending: RangeSet,
    acked: RangeSet,
}

impl CryptoStream {
    /// An empty stream.
    pub fn new() -> Self {
        Self::default()
    }

    fn begin(&mut self) -> &mut UnderWay {
        let (read, acked) = self.settled;
        self.under_way.get_or_insert_with(|| {
            let incoming = Incoming { start: read, ..Incoming::default() };
            let outgoing = Outgoing { start: acked, ..Outgoing::default() };
            Box::new(UnderWay { incoming, outgoing })
        })
    }

    /// Gives memory back if nothing is under way any more.
    fn settle(&mut self) {
        if let Some(ended) = self.under_way.take_if(|under_way| under_way.is_over()) {
            self.settled = (ended.incoming.start, ended.outgoing.start);
        }
    }

    /// Takes in a CRYPTO frame.
    ///
    /// # Errors
    ///
    /// CRYPTO_BUFFER_EXCEEDED if it lies further ahead than is kept, or leaves too many holes.
    pub fn on_crypto(&mut self, frame: &Crypto<'_>) -> Result<(), TransportError> {
        let taken = self.begin().incoming.insert(frame);
        self.settle();
        taken
    }

    /// Whether anything of the peer's was taken in.
    pub fn has_heard(&self) -> bool {
        let under_way = self.under_way.as_ref();
        self.settled.0 > 0
            || under_way.is_some_and(|both| both.incoming.start > 0 || !both.incoming.held.is_empty())
    }

    /// What came next in order and is not consumed yet; `None` if nothing.
    #[inline]
    pub fn read(&self) -> Option<&[u8]> {
        let incoming = &self.under_way.as_ref()?.incoming;
        let ready = incoming.ready();
        if ready == 0 { None } else { incoming.bytes.get(..ready) }
    }

    /// Forgets the first `len` bytes of what [`CryptoStream::read`] gives, or all of it if that is less.
    pub fn consume(&mut self, len: usize) {
        if let Some(under_way) = &mut self.under_way {
            under_way.incoming.consume(len);
            self.settle();
        }
    }

    /// Appends bytes to be sent.
    pub fn push(&mut self, bytes: &[u8]) {
        let outgoing = &mut self.begin().outgoing;
        let end = outgoing.end();
        outgoing.bytes.extend_from_slice(bytes);
        outgoing.pending.insert(end..outgoing.end());
    }

    /// Writes as much of what is to be sent as the packet takes, lowest offsets first.
    #[inline]
    pub fn write(&mut self, packet: &mut PacketWriter<'_>) {
        if let Some(under_way) = &mut self.under_way {
            under_way.outgoing.write(packet);
        }
    }

    /// The peer has these bytes.
    pub fn acked(&mut self, offset: u64, len: u16) {
        if let Some(under_way) = &mut self.under_way {
            under_way.outgoing.acked(offset..offset.saturating_add(len.into()));
            self.settle();
        }
    }

    /// These bytes are to be sent again, as far as they are not acknowledged.
    pub fn lost(&mut self, offset: u64, len: u16) {
        if let Some(under_way) = &mut self.under_way {
            under_way.outgoing.lost(offset..offset.saturating_add(len.into()));
        }
    }
}

impl UnderWay {
    /// Whether TLS has read everything that came and the peer has everything that was sent.
    fn is_over(&self) -> bool {
        self.incoming.held.is_empty() && self.outgoing.bytes.is_empty()
    }
}

impl Incoming {
    fn insert(&mut self, frame: &Crypto<'_>) -> Result<(), TransportError> {
        let end = frame.offset.saturating_add(frame.data.len() as u64);
        let excess = |reason| Err(TransportError::crypto_buffer_exceeded(reason));
        if end > self.start.saturating_add(MAX_AHEAD) {
            return excess("CRYPTO data beyond what is kept");
        }
        // What TLS has read already is a retransmission.
        let from = frame.offset.max(self.start);
        if from >= end {
            return Ok(());
        }
        let known = usize::try_from(from - frame.offset).unwrap_or(usize::MAX);
        let data = frame.data.get(known..).unwrap_or_default();
        let place = self.index(from)..self.index(end);
        if self.bytes.len() == place.start {
            self.bytes.extend_from_slice(data);
        } else {
            if self.bytes.len() < place.end {
                self.bytes.resize(place.end, 0);
            }
            self.bytes[place].copy_from_slice(data);
        }
        self.held.insert(from..end);
        if self.held.len() > MAX_PIECES {
            return excess("CRYPTO data with too many holes");
        }
        Ok(())
    }

    /// Where an offset stands in `bytes`; it is at most [`MAX_AHEAD`] beyond the start.
    fn index(&self, offset: u64) -> usize {
        usize::try_from(offset - self.start).expect("what is kept lies within the window")
    }

    /// How many bytes lie ready in order.
    fn ready(&self) -> usize {
        match self.held.first() {
            Some(first) if first.start == self.start => self.index(first.end),
            _ => 0,
        }
    }

    fn consume(&mut self, len: usize) {
        let len = len.min(self.ready());
        let from = self.start;
        self.start += len as u64;
        self.held.remove(from..self.start);
        if self.held.is_empty() {
            self.bytes = Vec::new();
        } else {
            self.bytes.drain(..len);
        }
    }
}

impl Outgoing {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    fn write(&mut self, packet: &mut PacketWriter<'_>) {
        while let Some(range) = self.pending.first() {
            let room = packet.room().saturating_sub(Crypto::overhead(range.start)).min(MAX_FRAME_DATA);
            let end = range.end.min(range.start + room as u64);
            if end == range.start {
                packet.refuse();
                return;
            }
            let data = &self.bytes[self.index(range.start)..self.index(end)];
            if packet.write(&Crypto { offset: range.start, data }).is_err() {
                return;
            }
            self.pending.remove(range.start..end);
        }
    }

    /// Where an offset of a range we sent, not all of it acknowledged, stands in `bytes`.
    fn index(&self, offset: u64) -> usize {
        usize::try_from(offset - self.start).expect("what is unacknowledged is kept")
    }

    /// A range we sent, without what is before `start`.
    fn clip(&self, range: Range<u64>) -> Range<u64> {
        range.start.max(self.start)..range.end.min(self.end())
    }

    fn acked(&mut self, range: Range<u64>) {
        let range = self.clip(range);
        self.pending.remove(range.clone());
        self.acked.insert(range);
        if let Some(first) = self.acked.first().filter(|first| first.start == self.start) {
            self.acked.pop_first();
            self.bytes.drain(..self.index(first.end));
            self.start = first.end;
            if self.bytes.is_empty() {
                self.bytes = Vec::new();
            }
        }
    }

    fn lost(&mut self, range: Range<u64>) {
        let range = self.clip(range);
        self.pending.insert(range.clone());
        for acked in self.acked.iter() {
            // Only what was lost can have been inserted, so only there can it be taken out again.
            self.pending.remove(acked.start.max(range.start)..acked.end.min(range.end));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::Code;
    use crate::frame::{Frame, Frames, Record};
    use crate::id::ConnectionId;
    use crate::packet::{Allowance, DatagramWriter, Header, TAG_LEN};

    fn put(stream: &mut CryptoStream, offset: u64, data: &[u8]) -> Result<(), Code> {
        stream.on_crypto(&Crypto { offset, data }).map_err(|fault| fault.code)
    }

    /// Reads and consumes all that lies ready.
    fn take(stream: &mut CryptoStream) -> Vec<u8> {
        let ready = stream.read().unwrap_or_default().to_vec();
        stream.consume(ready.len());
        ready
    }

    /// What one packet with `room` bytes for frames carries: offsets and data.
    fn said(stream: &mut CryptoStream, room: usize) -> Vec<(u64, Vec<u8>)> {
        let mut buf = vec![0; 2 + room + TAG_LEN];
        let mut records = Vec::new();
        let mut datagram = DatagramWriter::new(&mut buf, &mut records);
        let header = Header::Short { dcid: ConnectionId::EMPTY };
        let mut packet = datagram.begin(&header, 0, None, Allowance::Full).expect("there is room");
        stream.write(&mut packet);
        let draft = packet.finish();
        if !datagram.keep(draft) {
            return Vec::new();
        }
        let mut frames = Vec::new();
        datagram.seal(|draft, packet| {
            for frame in Frames::new(&packet[draft.payload_at..draft.end]).flatten() {
                if let Frame::Crypto(crypto) = frame {
                    frames.push((crypto.offset, crypto.data.to_vec()));
                }
            }
        });
        let recorded: Vec<Record> = frames
            .iter()
            .map(|(offset, data)| Record::Crypto {
                offset: *offset,
                len: u16::try_from(data.len()).expect("short"),
            })
            .collect();
        assert_eq!(records, recorded);
        frames
    }

    #[test]
    fn a_stream_has_heard_something_once_and_for_good() {
        let mut stream = CryptoStream::new();
        stream.push(b"ours");
        assert!(!stream.has_heard());
        assert_eq!(put(&mut stream, 3, b"later"), Ok(()));
        assert!(stream.has_heard());
        assert_eq!(put(&mut stream, 0, b"now"), Ok(()));
        assert_eq!(take(&mut stream), b"nowlater");
        stream.acked(0, 4);
        assert!(stream.has_heard());
    }

    #[test]
    fn bytes_in_order_are_read_as_they_come() {
        let mut stream = CryptoStream::new();
        assert_eq!(stream.read(), None);
        assert_eq!(put(&mut stream, 0, b"hel"), Ok(()));
        assert_eq!(put(&mut stream, 3, b"lo"), Ok(()));
        assert_eq!(take(&mut stream), b"hello");
        assert_eq!(stream.read(), None);
    }

    #[test]
    fn a_hole_is_waited_for() {
        let mut stream = CryptoStream::new();
        assert_eq!(put(&mut stream, 3, b"lo"), Ok(()));
        assert_eq!(stream.read(), None);
        assert_eq!(put(&mut stream, 0, b"hel"), Ok(()));
        assert_eq!(take(&mut stream), b"hello");
    }

    #[test]
    fn what_was_read_is_not_read_again() {
        let mut stream = CryptoStream::new();
        assert_eq!(put(&mut stream, 0, b"hello"), Ok(()));
        assert_eq!(take(&mut stream), b"hello");
        assert_eq!(put(&mut stream, 0, b"hello"), Ok(()));
        assert_eq!(stream.read(), None);
        assert_eq!(put(&mut stream, 3, b"lo you"), Ok(()));
        assert_eq!(take(&mut stream), b" you");
    }

    #[test]
    fn data_beyond_64_kib_is_refused_and_up_to_it_is_kept() {
        let mut stream = CryptoStream::new();
        assert_eq!(put(&mut stream, (64 << 10) - 1, b"x"), Ok(()));
        assert_eq!(put(&mut stream, 64 << 10, b"x"), Err(Code::CRYPTO_BUFFER_EXCEEDED));
        assert_eq!(put(&mut stream, (1 << 62) - 2, b"x"), Err(Code::CRYPTO_BUFFER_EXCEEDED));
        assert!(stream.under_way.is_some_and(|under_way| under_way.incoming.bytes.len() <= 64 << 10));
    }

    #[test]
    fn reading_moves_the_window_on() {
        let mut stream = CryptoStream::new();
        for piece in 0..10u64 {
            assert_eq!(put(&mut stream, piece * 60_000, &[7; 60_000]), Ok(()));
            assert_eq!(take(&mut stream).len(), 60_000);
        }
        assert!(stream.under_way.is_none());
    }

    #[test]
    fn more_than_256_holes_are_refused() {
        let mut stream = CryptoStream::new();
        for piece in 1..=257u64 {
            assert_eq!(put(&mut stream, piece * 2, b"x"), Ok(()));
        }
        assert_eq!(put(&mut stream, 258 * 2, b"x"), Err(Code::CRYPTO_BUFFER_EXCEEDED));
    }

    #[test]
    fn a_hello_of_a_thousand_fragments_backwards_is_honest() {
        let mut stream = CryptoStream::new();
        for offset in (0..1000u64).rev() {
            assert_eq!(put(&mut stream, offset, &[offset.to_be_bytes()[7]]), Ok(()));
        }
        let hello = take(&mut stream);
        assert_eq!((hello.len(), hello[0], hello[999]), (1000, 0, 0xe7));
    }

    #[test]
    fn bytes_are_cut_to_the_packets_they_go_in() {
        let mut stream = CryptoStream::new();
        stream.push(b"hello ");
        stream.push(b"world");
        assert_eq!(said(&mut stream, 4 + 8), [(0, b"hello wo".to_vec())]);
        assert_eq!(said(&mut stream, 100), [(8, b"rld".to_vec())]);
        assert!(said(&mut stream, 100).is_empty());
    }

    #[test]
    fn a_packet_without_room_for_a_byte_gets_none() {
        let mut stream = CryptoStream::new();
        stream.push(b"hello");
        assert!(said(&mut stream, 4).is_empty());
        assert_eq!(said(&mut stream, 5), [(0, b"h".to_vec())]);
    }

    #[test]
    fn lost_bytes_go_first_and_acknowledged_ones_never() {
        let mut stream = CryptoStream::new();
        stream.push(b"0123456789");
        assert_eq!(said(&mut stream, 4 + 8).len(), 1);
        stream.acked(2, 3);
        stream.lost(0, 8);
        let again = [(0, b"01".to_vec()), (5, b"56789".to_vec())];
        assert_eq!(said(&mut stream, 100), again);
    }

    #[test]
    fn what_is_acknowledged_is_forgotten() {
        let mut stream = CryptoStream::new();
        stream.push(b"0123456789");
        assert_eq!(said(&mut stream, 100).len(), 1);
        stream.acked(5, 5);
        stream.acked(0, 5);
        assert_eq!((stream.settled, stream.under_way.is_none()), ((0, 10), true));
        stream.lost(0, 10);
        assert!(said(&mut stream, 100).is_empty());
        stream.push(b"more");
        assert_eq!(said(&mut stream, 100), [(10, b"more".to_vec())]);
    }

    proptest! {
        #[test]
        fn whatever_the_order_the_bytes_come_out_in_order(
            pieces in prop::collection::vec((0usize..500, 1usize..80), 0..200),
        ) {
            let sent: Vec<u8> = (0..600u64).map(|i| i.to_be_bytes()[7] ^ i.to_be_bytes()[6]).collect();
            let mut stream = CryptoStream::new();
            let mut got = Vec::new();
            for (offset, len) in pieces {
                prop_assert_eq!(put(&mut stream, offset as u64, &sent[offset..offset + len]), Ok(()));
                got.extend(take(&mut stream));
                prop_assert_eq!(&got[..], &sent[..got.len()]);
            }
            prop_assert_eq!(put(&mut stream, 0, &sent), Ok(()));
            got.extend(take(&mut stream));
            prop_assert_eq!(got, sent);
        }

        #[test]
        fn every_byte_is_said_until_it_is_acknowledged(
            fates in prop::collection::vec((any::<bool>(), 5usize..60), 1..60),
        ) {
            let sent: Vec<u8> = (0..=255).collect();
            let mut stream = CryptoStream::new();
            stream.push(&sent);
            let mut got = vec![None; sent.len()];
            // After the fates given, all goes well.
            for (arrives, room) in fates.into_iter().chain(std::iter::repeat_n((true, 60), 100)) {
                for (offset, data) in said(&mut stream, room) {
                    let at = usize::try_from(offset).expect("small");
                    let len = u16::try_from(data.len()).expect("small");
                    if arrives {
                        data.iter().zip(&mut got[at..]).for_each(|(byte, got)| *got = Some(*byte));
                        stream.acked(offset, len);
                    } else {
                        stream.lost(offset, len);
                    }
                }
            }
            prop_assert_eq!(got.into_iter().collect::<Option<Vec<_>>>(), Some(sent));
            prop_assert!(stream.under_way.is_none());
        }
    }
}
