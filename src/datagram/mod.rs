//! Unreliable datagrams: a bounded queue each way (RFC 9221).
//!
//! Driven by the connection: told of every DATAGRAM frame, asked to write its own before or after STREAM data. What is
//! sent is forgotten. Costs are in bytes of data, and [`ITEM_COST`] more for each datagram, so that empty ones cost too.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::error::{SendDatagramError, TransportError};
use crate::frame::{Datagram, SendDatagram};
use crate::packet::PacketWriter;

/// What a datagram costs besides its data, in bytes.
pub const ITEM_COST: usize = 16;

/// Something happened to the datagrams of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatagramEvent {
    /// There is something to receive, and there was nothing before.
    Received,
    /// There is room again after a datagram was refused for want of it.
    Unblocked,
}

/// Both queues of a connection; nothing at all unless one side announced support.
#[derive(Debug, Default)]
pub struct Datagrams(Option<Box<Queues>>);

#[derive(Debug)]
struct Queues {
    outgoing: Ring,
    incoming: Ring,
    /// Largest frame we announced, in bytes; 0: none.
    announced: usize,
    /// Largest frame the peer takes, in bytes; 0: none.
    permitted: usize,
    /// Whether STREAM data goes first in the next packet.
    yields: bool,
    /// Whether a datagram was refused for want of room since there was some.
    blocked: bool,
    tell_received: bool,
    tell_unblocked: bool,
    dropped_outgoing: u64,
    dropped_incoming: u64,
    /// How many were written into packets.
    written: u64,
    /// How many of them a server did not take, since they came early.
    lost_early: u64,
}

impl Datagrams {
    /// Begins with what both sides announced, the largest frame in bytes each, and the bounds of the queues. Told again
    /// by a client that used what an earlier connection permitted, it goes by what is permitted now.
    pub fn on_params(&mut self, announced: u64, permitted: u64, receive_buffer: usize, send_buffer: usize) {
        let size = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
        if let Some(queues) = &mut self.0 {
            (queues.announced, queues.permitted) = (size(announced), size(permitted));
            return;
        }
        if announced == 0 && permitted == 0 {
            return;
        }
        self.0 = Some(Box::new(Queues {
            outgoing: Ring::new(send_buffer),
            incoming: Ring::new(receive_buffer),
            announced: size(announced),
            permitted: size(permitted),
            yields: false,
            blocked: false,
            tell_received: false,
            tell_unblocked: false,
            dropped_outgoing: 0,
            dropped_incoming: 0,
            written: 0,
            lost_early: 0,
        }));
    }

    /// The server did not take what was sent early: so far, that is all.
    pub fn on_early_rejected(&mut self) {
        if let Some(queues) = &mut self.0 {
            queues.lost_early = queues.written;
        }
    }

    /// How many were sent early and not taken.
    pub fn lost_early(&self) -> u64 {
        self.0.as_ref().map_or(0, |queues| queues.lost_early)
    }

    /// The longest datagram the peer takes in packets with `room` bytes for frames; `None` if it takes none.
    pub fn max_size(&self, room: usize) -> Option<usize> {
        let queues = self.0.as_ref().filter(|queues| queues.permitted > 0)?;
        let frame = queues.permitted.min(room);
        Some(frame.saturating_sub(SendDatagram::overhead(frame)))
    }

    /// Queues a datagram of at most [`Datagrams::max_size`] bytes.
    pub fn send(&mut self, data: &[u8], room: usize) -> Result<(), SendDatagramError> {
        let max = self.max_size(room).ok_or(SendDatagramError::Unsupported)?;
        let Some(queues) = &mut self.0 else { return Err(SendDatagramError::Unsupported) };
        let max = max.min(queues.outgoing.limit.saturating_sub(ITEM_COST));
        if data.len() > max {
            return Err(SendDatagramError::TooLarge { max });
        }
        if !queues.outgoing.has_room(data.len()) {
            queues.blocked = true;
            return Err(SendDatagramError::Blocked);
        }
        queues.outgoing.push(data);
        Ok(())
    }

    /// The oldest datagram received, in up to two pieces, handed to `take`.
    pub fn recv<T>(&mut self, take: impl FnOnce(&[u8], &[u8]) -> T) -> Option<T> {
        let queues = self.0.as_mut()?;
        let (head, tail) = queues.incoming.front()?;
        let taken = take(head, tail);
        queues.incoming.pop();
        Some(taken)
    }

    /// Takes a frame of the peer. The oldest make room for the newest.
    pub fn on_datagram(&mut self, frame: &Datagram<'_>) -> Result<(), TransportError> {
        let Some(queues) = self.0.as_mut().filter(|queues| queues.announced > 0) else {
            return Err(TransportError::protocol_violation("a DATAGRAM frame that was not permitted"));
        };
        if frame.frame_len > queues.announced {
            return Err(TransportError::protocol_violation("a DATAGRAM frame is larger than permitted"));
        }
        let incoming = &mut queues.incoming;
        if frame.data.len() + ITEM_COST > incoming.limit {
            queues.dropped_incoming += 1;
            return Ok(());
        }
        queues.tell_received |= incoming.lens.is_empty();
        while !incoming.has_room(frame.data.len()) {
            incoming.pop();
            queues.dropped_incoming += 1;
        }
        incoming.push(frame.data);
        Ok(())
    }

    /// Whether nothing waits to be sent.
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.0.as_ref().is_none_or(|queues| queues.outgoing.lens.is_empty())
    }

    /// Whose turn it is to begin a packet: every other one that finds datagrams waiting begins with STREAM data, so
    /// that neither starves.
    pub fn yields(&mut self) -> bool {
        let Some(queues) = &mut self.0 else { return false };
        let yields = queues.yields;
        queues.yields = !yields;
        yields
    }

    /// Writes as many as fit. `room` is what an empty packet of this path has: what exceeds it is dropped, since the
    /// path became narrower after it was queued, or the peer takes less than it did in an earlier connection.
    pub fn write(&mut self, packet: &mut PacketWriter<'_>, room: usize) {
        let Some(queues) = &mut self.0 else { return };
        while let Some((head, tail)) = queues.outgoing.front() {
            let len = head.len() + tail.len();
            if len + SendDatagram::overhead(len) > room.min(queues.permitted) {
                queues.dropped_outgoing += 1;
            } else if packet.write(&SendDatagram { head, tail }).is_err() {
                break;
            } else {
                queues.written += 1;
            }
            queues.outgoing.pop();
        }
        if queues.blocked && queues.outgoing.cost <= queues.outgoing.limit / 2 {
            queues.blocked = false;
            queues.tell_unblocked = true;
        }
    }

    /// Whether there is something to tell.
    pub fn has_news(&self) -> bool {
        self.0.as_ref().is_some_and(|queues| queues.tell_received || queues.tell_unblocked)
    }

    /// What is to be told next.
    pub fn poll_event(&mut self) -> Option<DatagramEvent> {
        let queues = self.0.as_mut()?;
        if std::mem::take(&mut queues.tell_received) && !queues.incoming.lens.is_empty() {
            return Some(DatagramEvent::Received);
        }
        std::mem::take(&mut queues.tell_unblocked).then_some(DatagramEvent::Unblocked)
    }

    /// How many datagrams were dropped here: received ones that nobody fetched, and queued ones that became too large.
    pub fn dropped(&self) -> (u64, u64) {
        self.0.as_ref().map_or((0, 0), |queues| (queues.dropped_incoming, queues.dropped_outgoing))
    }
}

/// Datagrams in order, their bytes in one ring: nothing is allocated for one once the ring has grown.
#[derive(Debug)]
struct Ring {
    bytes: VecDeque<u8>,
    lens: VecDeque<u16>,
    /// What those in it cost together.
    cost: usize,
    /// What they may cost at most.
    limit: usize,
}

impl Ring {
    fn new(limit: usize) -> Self {
        Self { bytes: VecDeque::new(), lens: VecDeque::new(), cost: 0, limit }
    }

    fn has_room(&self, len: usize) -> bool {
        self.cost + len + ITEM_COST <= self.limit
    }

    /// Appends a datagram; one that no UDP packet holds is left out.
    fn push(&mut self, data: &[u8]) {
        let Ok(len) = u16::try_from(data.len()) else { return };
        self.bytes.extend(data);
        self.lens.push_back(len);
        self.cost += data.len() + ITEM_COST;
    }

    /// The oldest, in two pieces where it reaches around the end of the ring.
    fn front(&self) -> Option<(&[u8], &[u8])> {
        let len = usize::from(*self.lens.front()?);
        let (head, tail) = self.bytes.as_slices();
        let cut = len.min(head.len());
        Some((head.get(..cut)?, tail.get(..len - cut)?))
    }

    fn pop(&mut self) {
        let Some(len) = self.lens.pop_front().map(usize::from) else { return };
        self.bytes.drain(..len);
        self.cost -= len + ITEM_COST;
    }
}

/// Joins the pieces of a datagram.
pub fn joined(head: &[u8], tail: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(head.len() + tail.len());
    bytes.extend_from_slice(head);
    bytes.extend_from_slice(tail);
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(datagrams: &mut Datagrams) -> Option<Bytes> {
        datagrams.recv(joined)
    }

    /// A frame without a length.
    fn frame(data: &[u8]) -> Datagram<'_> {
        Datagram { data, frame_len: 1 + data.len() }
    }

    fn both(receive_buffer: usize, send_buffer: usize) -> Datagrams {
        let mut datagrams = Datagrams::default();
        datagrams.on_params(1200, 1200, receive_buffer, send_buffer);
        datagrams
    }

    #[test]
    fn the_oldest_makes_room_for_the_newest() {
        let mut datagrams = both(2 * (ITEM_COST + 4), 100);
        for data in [b"one.", b"two.", b"tri."] {
            assert_eq!(datagrams.on_datagram(&frame(data)), Ok(()));
        }
        assert_eq!(datagrams.dropped(), (1, 0));
        assert_eq!(received(&mut datagrams).as_deref(), Some(&b"two."[..]));
        assert_eq!(received(&mut datagrams).as_deref(), Some(&b"tri."[..]));
        assert_eq!(received(&mut datagrams), None);
    }

    #[test]
    fn a_flood_of_empty_datagrams_is_bounded() {
        let mut datagrams = both(10 * ITEM_COST, 100);
        (0..1000).for_each(|_| assert_eq!(datagrams.on_datagram(&frame(b"")), Ok(())));
        assert_eq!(datagrams.dropped(), (990, 0));
        assert_eq!(std::iter::from_fn(|| received(&mut datagrams)).count(), 10);
    }

    #[test]
    fn a_full_send_queue_refuses() {
        let mut datagrams = both(100, 2 * (ITEM_COST + 1));
        assert_eq!(datagrams.send(b"a", 1000), Ok(()));
        assert_eq!(datagrams.send(b"b", 1000), Ok(()));
        assert_eq!(datagrams.send(b"c", 1000), Err(SendDatagramError::Blocked));
    }

    #[test]
    fn what_was_not_announced_is_a_violation() {
        let mut datagrams = Datagrams::default();
        assert!(datagrams.on_datagram(&frame(b"")).is_err());
        datagrams.on_params(0, 1200, 0, 100);
        assert!(datagrams.on_datagram(&frame(b"")).is_err());
        datagrams.on_params(5, 0, 100, 100);
        assert!(datagrams.on_datagram(&frame(b"four")).is_ok());
        assert!(datagrams.on_datagram(&frame(b"five.")).is_err());
        assert_eq!(datagrams.send(b"", 1000), Err(SendDatagramError::Unsupported));
    }

    #[test]
    fn arrival_is_told_once_until_all_is_read() {
        let mut datagrams = both(1000, 1000);
        assert_eq!(datagrams.on_datagram(&frame(b"a")), Ok(()));
        assert_eq!(datagrams.on_datagram(&frame(b"b")), Ok(()));
        assert_eq!(datagrams.poll_event(), Some(DatagramEvent::Received));
        assert_eq!(datagrams.poll_event(), None);
        assert_eq!(datagrams.on_datagram(&frame(b"c")), Ok(()));
        assert_eq!(datagrams.poll_event(), None);
        while received(&mut datagrams).is_some() {}
        assert_eq!(datagrams.on_datagram(&frame(b"d")), Ok(()));
        assert_eq!(datagrams.poll_event(), Some(DatagramEvent::Received));
    }
}
