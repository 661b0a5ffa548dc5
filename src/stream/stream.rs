//! One stream: its two halves, what its application must be told, and the lists it stands in.

use super::recv::RecvHalf;
use super::send::SendHalf;
use crate::id::StreamId;
use crate::varint::VarInt;

/// Event: data or the end can be read.
pub const READABLE: u8 = 1;
/// Event: the peer reset the stream.
pub const RESET: u8 = 1 << 1;
/// Event: the peer asked to stop.
pub const STOPPED: u8 = 1 << 2;
/// Event: everything was acknowledged.
pub const FINISHED: u8 = 1 << 3;

/// List: streams with events.
pub const EVENTS: u8 = 1;
/// List: streams whose application waits for shared room.
pub const WAITING: u8 = 1 << 1;
/// List: streams with control frames to say.
pub const CONTROL: u8 = 1 << 2;
/// List: streams with data to send.
pub const DATA: u8 = 1 << 3;

/// A stream that is not over.
#[derive(Debug)]
pub struct Stream {
    /// Its name.
    pub id: StreamId,
    /// `None`: it never flowed this way, or is over this way.
    pub send: Option<SendHalf>,
    /// `None`: it never flowed this way, or is over this way.
    pub recv: Option<RecvHalf>,
    /// What the application has not been told yet.
    pub events: u8,
    /// The lists that hold its slot; the slot is not given to another stream before all have let go of it.
    pub listed: u8,
    /// Whether the application knows the stream.
    pub is_accepted: bool,
    /// Whether it is over and only lists still hold its slot.
    pub is_over: bool,
    /// The code of the peer's STOP_SENDING.
    pub stop_code: VarInt,
}

// A request touches one at each end, mostly out of cold memory.
const _: () = assert!(size_of::<Stream>() <= 288);

impl Stream {
    /// A stream that has begun, with the halves it has.
    pub fn new(id: StreamId, send: Option<SendHalf>, recv: Option<RecvHalf>, is_accepted: bool) -> Self {
        Self { id, send, recv, events: 0, listed: 0, is_accepted, is_over: false, stop_code: VarInt::ZERO }
    }

    /// Enters a list. Returns whether it was not there yet.
    #[inline]
    pub fn enlist(&mut self, list: u8) -> bool {
        let is_new = self.listed & list == 0;
        self.listed |= list;
        is_new
    }

    /// Whether nothing is left to do or to tell.
    #[inline]
    pub fn is_done(&self) -> bool {
        self.send.is_none() && self.recv.is_none() && self.events == 0 && self.is_accepted
    }
}
