//! Streams and flow control (RFC 9000, Sections 2 to 4).
//!
//! [`Streams`] holds the streams of one connection and what they share. Frames come in through `inbound`, go out
//! through `outbound`; the application writes and reads through [`SendStream`] and [`RecvStream`] and is told by
//! [`StreamEvent`]s. Nothing exists for a stream before its first frame or its acceptance, nor after both halves are
//! over.

pub mod assembler;
pub mod blocks;
mod early;
mod event;
mod fifo;
mod flow;
mod inbound;
mod limits;
mod outbound;
mod ready;
mod recv;
mod send;
pub mod send_buffer;
mod shared;
#[expect(clippy::module_inception, reason = "the noun of this part")]
mod stream;
mod table;
#[cfg(test)]
mod tests;

use slab::Slab;

pub use event::StreamEvent;
pub use recv::RecvStream;
pub use send::SendStream;

use crate::id::{Dir, Side, StreamId};
use event::Events;
use fifo::Fifo;
use ready::Ready;
use recv::RecvHalf;
use send::SendHalf;
use shared::Shared;
use stream::{CONTROL, DATA, EVENTS, READABLE, RESET, Stream};
use table::{Entry, Table};

/// What we permit the peer, as our transport parameters say, and ourselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLimits {
    /// How many bidirectional streams the peer may have open at a time.
    pub max_bidi: u64,
    /// How many unidirectional streams the peer may have open at a time.
    pub max_uni: u64,
    /// How many received bytes may wait on all streams together.
    pub receive_window: u64,
    /// How many received bytes may wait on one stream.
    pub stream_receive_window: u64,
    /// How many written bytes are kept until they are acknowledged, on all streams together.
    pub send_buffer: u64,
}

/// What the peer permits us at first, as its transport parameters say (RFC 9000, Section 18.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PeerLimits {
    /// Bytes on all streams together.
    pub max_data: u64,
    /// Bytes on a bidirectional stream that the peer opened.
    pub max_stream_data_bidi_local: u64,
    /// Bytes on a bidirectional stream that we opened.
    pub max_stream_data_bidi_remote: u64,
    /// Bytes on a unidirectional stream.
    pub max_stream_data_uni: u64,
    /// How many bidirectional streams we may open.
    pub max_streams_bidi: u64,
    /// How many unidirectional streams we may open.
    pub max_streams_uni: u64,
}

/// What keeps the application from writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hindrance {
    /// The peer's limits: on the connection, on a stream, or on the number of streams.
    FlowControl,
    /// The send buffer is full.
    SendBuffer,
}

/// How many bytes the peer permits at first on a stream of ours to send on.
#[derive(Debug, Default)]
struct FirstLimits {
    /// Bidirectional, opened by us.
    bidi_ours: u64,
    /// Bidirectional, opened by the peer.
    bidi_theirs: u64,
    /// Unidirectional.
    uni: u64,
}

impl From<PeerLimits> for FirstLimits {
    fn from(limits: PeerLimits) -> Self {
        Self {
            bidi_ours: limits.max_stream_data_bidi_remote,
            bidi_theirs: limits.max_stream_data_bidi_local,
            uni: limits.max_stream_data_uni,
        }
    }
}

/// The streams of one connection.
#[derive(Debug)]
#[repr(C)] // In the order of use: what is asked whenever the connection is visited lies together, in front.
pub struct Streams {
    events: Events,
    /// Streams with control frames to say, each at most once.
    control: Fifo<u32>,
    /// Streams with data to send, each at most once.
    ready: Ready,
    /// How many receiving halves are not fully received.
    receiving: u32,
    side: Side,
    /// Whether something waits that was written early under higher limits than hold now.
    holds_back: bool,
    shared: Shared,
    slots: Slab<Stream>,
    /// By the two low bits of the stream's number.
    tables: [Table; 4],
    /// By direction: index of the next of the peer's streams that the application accepts.
    accepted: [u64; 2],
    stream_receive_window: u64,
    first_limits: FirstLimits,
}

// Every connection has them, and the memory of thousands does not fit in a cache.
const _: () = assert!(size_of::<Streams>() <= 520);

impl Streams {
    /// No stream yet, and no credit before the peer's parameters. Allocates nothing before the first stream.
    pub fn new(side: Side, limits: StreamLimits) -> Self {
        let max_streams = [limits.max_bidi, limits.max_uni];
        Self {
            events: Events::default(),
            control: Fifo::default(),
            ready: Ready::default(),
            receiving: 0,
            side,
            holds_back: false,
            shared: Shared::new(limits.receive_window, max_streams, limits.send_buffer),
            slots: Slab::new(),
            tables: Default::default(),
            accepted: [0; 2],
            stream_receive_window: limits.stream_receive_window,
            first_limits: FirstLimits::default(),
        }
    }

    /// Takes the peer's first limits; before any stream, or none of them lower than what holds.
    pub fn on_peer_params(&mut self, limits: PeerLimits) {
        self.first_limits = limits.into();
        self.shared.limits.raise(limits.max_data);
        self.raise_streams(Dir::Bi, limits.max_streams_bidi);
        self.raise_streams(Dir::Uni, limits.max_streams_uni);
    }

    fn raise_streams(&mut self, dir: Dir, limit: u64) {
        if self.shared.limits.raise_streams(dir, limit) {
            self.events.available[dir as usize] = true;
        }
    }

    /// Opens a stream; `None` until the peer permits another ([`StreamEvent::Available`]).
    pub fn open(&mut self, dir: Dir) -> Option<StreamId> {
        let index = self.shared.limits.open(dir)?;
        let id = StreamId::new(self.side, dir, index);
        self.create(id);
        Some(id)
    }

    /// Takes the next stream that the peer opened, in order; `None` if there is none.
    pub fn accept(&mut self, dir: Dir) -> Option<StreamId> {
        if !self.has_acceptable(dir) {
            return None;
        }
        let id = StreamId::new(self.side.other(), dir, self.accepted[dir as usize]);
        self.accepted[dir as usize] += 1;
        let slot = match self.table(id).get(id.index()) {
            Entry::Live(slot) => slot,
            Entry::Untouched | Entry::Closed | Entry::Unopened => self.create(id),
        };
        let stream = self.slots.get_mut(slot as usize)?;
        stream.is_accepted = true;
        let is_readable = stream.recv.as_ref().is_some_and(RecvHalf::is_readable);
        let events = stream.events | if is_readable { READABLE } else { 0 };
        if events != 0 {
            self.tell(slot, events);
        }
        Some(id)
    }

    fn has_acceptable(&self, dir: Dir) -> bool {
        let first = StreamId::new(self.side.other(), dir, 0);
        self.accepted[dir as usize] < self.table(first).next()
    }

    /// The sending half of a stream; `None` if it is unknown, over, or not ours to send on.
    pub fn send(&mut self, id: StreamId) -> Option<SendStream<'_>> {
        let slot = self.table(id).slot(id.index())?;
        self.send_half(slot)?;
        Some(SendStream { streams: self, slot, id })
    }

    /// The receiving half of a stream; `None` if it is unknown, over, or not ours to receive on.
    pub fn recv(&mut self, id: StreamId) -> Option<RecvStream<'_>> {
        let slot = self.table(id).slot(id.index())?;
        self.recv_half(slot)?;
        Some(RecvStream { streams: self, slot, id })
    }

    /// Whether STREAM data waits to be sent: if not, it is the application that limits the flow.
    pub fn has_data_to_send(&self) -> bool {
        !self.ready.is_empty()
    }

    /// What the application waits for that wanted to write or to open more than was possible; `None` if it does not.
    /// Looks at every stream.
    pub fn hindrance(&self) -> Option<Hindrance> {
        let waiting =
            self.slots.iter().filter_map(|(_, stream)| stream.send.as_ref()).filter(|half| half.is_waiting());
        let has_credit = self.shared.limits.room() > 0;
        let found = waiting.map(|half| match has_credit && half.has_credit() {
            true => Hindrance::SendBuffer,
            false => Hindrance::FlowControl,
        });
        let streams = self.shared.limits.wants_streams().then_some(Hindrance::FlowControl);
        found.chain(streams).min()
    }

    /// Whether some stream is not fully received.
    pub fn is_receiving(&self) -> bool {
        self.receiving > 0
    }

    // ---- among ourselves ----------------------------------------------------------------------

    #[inline]
    fn table(&self, id: StreamId) -> &Table {
        &self.tables[kind(id)]
    }

    #[inline]
    fn send_half(&mut self, slot: u32) -> Option<(&mut SendHalf, &mut Shared)> {
        self.slots.get_mut(slot as usize)?.send.as_mut().map(|half| (half, &mut self.shared))
    }

    #[inline]
    fn recv_half(&mut self, slot: u32) -> Option<(&mut RecvHalf, &mut Shared)> {
        self.slots.get_mut(slot as usize)?.recv.as_mut().map(|half| (half, &mut self.shared))
    }

    /// Begins a stream that we or the peer opened, and returns its slot.
    fn create(&mut self, id: StreamId) -> u32 {
        let is_ours = id.initiator() == self.side;
        let limit = self.first_limit(id);
        let window = (id.dir() == Dir::Bi || !is_ours).then_some(self.stream_receive_window);
        self.receiving += u32::from(window.is_some());
        let stream = Stream::new(id, limit.map(SendHalf::new), window.map(RecvHalf::new), is_ours);
        let slot = u32::try_from(self.slots.insert(stream)).expect("fewer than 2^32 streams fit in memory");
        self.tables[kind(id)].insert(id.index(), slot);
        slot
    }

    /// How many bytes the peer permits at first on a stream; `None` if we cannot send on it.
    fn first_limit(&self, id: StreamId) -> Option<u64> {
        match (id.dir(), id.initiator() == self.side) {
            (Dir::Bi, true) => Some(self.first_limits.bidi_ours),
            (Dir::Bi, false) => Some(self.first_limits.bidi_theirs),
            (Dir::Uni, true) => Some(self.first_limits.uni),
            (Dir::Uni, false) => None,
        }
    }

    /// Has the application told of a stream, once it knows the stream.
    fn tell(&mut self, slot: u32, events: u8) {
        let Some(stream) = self.slots.get_mut(slot as usize) else { return };
        stream.events |= events;
        if stream.is_accepted && stream.enlist(EVENTS) {
            self.events.streams.push_back(slot);
        }
    }

    /// A stream has control frames to say.
    fn list_control(&mut self, slot: u32) {
        if self.slots.get_mut(slot as usize).is_some_and(|stream| stream.enlist(CONTROL)) {
            self.control.push_back(slot);
        }
    }

    /// A stream has data to send, or its end.
    fn list_data(&mut self, slot: u32) {
        let Some(stream) = self.slots.get_mut(slot as usize) else { return };
        let Some(priority) = stream.send.as_ref().map(SendHalf::priority) else { return };
        if stream.enlist(DATA) {
            self.ready.push_back(priority, slot);
        }
    }

    /// The application has seen the end of the receiving half.
    fn end_recv(&mut self, slot: u32) {
        if let Some(stream) = self.slots.get_mut(slot as usize) {
            stream.recv = None;
            stream.events &= !(READABLE | RESET);
            self.settle(slot);
        }
    }

    /// Forgets a stream that is over in both directions.
    fn settle(&mut self, slot: u32) {
        let Some(stream) = self.slots.get_mut(slot as usize) else { return };
        if stream.is_over || !stream.is_done() {
            return;
        }
        stream.is_over = true;
        let id = stream.id;
        self.tables[kind(id)].remove(id.index());
        if id.initiator() != self.side {
            self.shared.limits.close(id.dir());
        }
        self.leave(slot, 0);
    }

    /// A list has let go of a slot; one that nothing holds is free.
    fn leave(&mut self, slot: u32, list: u8) {
        let Some(stream) = self.slots.get_mut(slot as usize) else { return };
        stream.listed &= !list;
        if stream.is_over && stream.listed == 0 {
            self.slots.remove(slot as usize);
        }
    }
}

/// Which of the four tables a stream is in.
#[inline]
fn kind(id: StreamId) -> usize {
    (id.into_inner() & 3) as usize
}
