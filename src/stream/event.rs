//! What happens on streams, as the application is told.
//!
//! Events are state, not a queue of messages: each stream has a few bits and stands at most once in a list, so a peer
//! cannot make them grow, and what is no longer true when it is asked for is not said.

use super::Streams;
use super::fifo::Fifo;
use super::recv::RecvHalf;
use super::stream::{EVENTS, FINISHED, READABLE, RESET, STOPPED, WAITING};
use crate::id::{Dir, StreamId};
use crate::varint::VarInt;

/// Something happened on a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamEvent {
    /// The peer opened one stream or more: accept until there is none.
    Opened {
        /// Which kind.
        dir: Dir,
    },
    /// There is data to read, or the end of the stream. Read until [`Blocked`](crate::ReadError::Blocked) or the end;
    /// what is left unread is not announced again before more arrives.
    Readable {
        /// Which stream.
        id: StreamId,
    },
    /// A stream that took less than was offered can take more.
    Writable {
        /// Which stream.
        id: StreamId,
    },
    /// The peer has received everything, the end included; the sending half is over.
    Finished {
        /// Which stream.
        id: StreamId,
    },
    /// The peer does not want the data; the stream was reset with the same code, the sending half is over.
    Stopped {
        /// Which stream.
        id: StreamId,
        /// The peer application's reason.
        code: VarInt,
    },
    /// The peer abandoned the stream; what was not read is lost, the receiving half is over.
    Reset {
        /// Which stream.
        id: StreamId,
        /// The peer application's reason.
        code: VarInt,
    },
    /// After [`open`](crate::Connection::open) found no credit: the peer permits more streams.
    Available {
        /// Which kind.
        dir: Dir,
    },
}

/// Whose turn it is to be told.
#[derive(Debug, Default)]
pub struct Events {
    /// By direction: the peer opened streams.
    pub opened: [bool; 2],
    /// By direction: a stream that was wanted can be opened.
    pub available: [bool; 2],
    /// Streams with event bits set, each at most once.
    pub streams: Fifo<u32>,
    /// Streams whose application waits for room that all share, each at most once.
    pub waiting: Fifo<u32>,
}

impl Events {
    /// Whether there is nobody to tell of anything.
    #[inline]
    fn is_empty(&self) -> bool {
        let of_direction = self.opened[0] | self.opened[1] | self.available[0] | self.available[1];
        !of_direction && self.streams.is_empty() && self.waiting.is_empty()
    }
}

impl Streams {
    /// The next thing to tell the application.
    #[inline]
    pub fn poll_event(&mut self) -> Option<StreamEvent> {
        if self.events.is_empty() {
            return None;
        }
        self.next_of_direction().or_else(|| self.next_of_stream()).or_else(|| self.next_writable())
    }

    fn next_of_direction(&mut self) -> Option<StreamEvent> {
        for dir in [Dir::Bi, Dir::Uni] {
            if std::mem::take(&mut self.events.opened[dir as usize]) && self.has_acceptable(dir) {
                return Some(StreamEvent::Opened { dir });
            }
            if std::mem::take(&mut self.events.available[dir as usize]) {
                return Some(StreamEvent::Available { dir });
            }
        }
        None
    }

    fn next_of_stream(&mut self) -> Option<StreamEvent> {
        while let Some(slot) = self.events.streams.front().copied() {
            let stream = self.slots.get_mut(slot as usize)?;
            let (id, events) = (stream.id, stream.events);
            let event = if events & READABLE != 0 {
                stream.events &= !READABLE;
                if !stream.recv.as_mut().is_some_and(RecvHalf::announce) {
                    continue;
                }
                StreamEvent::Readable { id }
            } else if events & RESET != 0 {
                stream.events &= !RESET;
                // Being told is the "Reset Read" of RFC 9000, Section 3.2: the half is over.
                match stream.recv.take().and_then(|recv| recv.reset_code()) {
                    Some(code) => StreamEvent::Reset { id, code },
                    None => continue,
                }
            } else if events & STOPPED != 0 {
                stream.events &= !STOPPED;
                StreamEvent::Stopped { id, code: stream.stop_code }
            } else if events & FINISHED != 0 {
                stream.events &= !FINISHED;
                StreamEvent::Finished { id }
            } else {
                self.events.streams.pop_front();
                self.settle(slot);
                self.leave(slot, EVENTS);
                continue;
            };
            self.settle(slot);
            return Some(event);
        }
        None
    }

    fn next_writable(&mut self) -> Option<StreamEvent> {
        while let Some(slot) = self.events.waiting.front().copied() {
            if !self.shared.may_wake() {
                return None;
            }
            self.events.waiting.pop_front();
            let stream = self.slots.get_mut(slot as usize)?;
            let id = stream.id;
            let wakes = stream.send.as_mut().is_some_and(|send| send.wake());
            self.leave(slot, WAITING);
            if wakes {
                return Some(StreamEvent::Writable { id });
            }
        }
        None
    }
}
