//! Frames of the peer: which stream they name, whether they may, and what they change (RFC 9000, Section 3).

use super::Streams;
use super::recv::{Outcome, RecvHalf};
use super::shared::Shared;
use super::stream::{READABLE, RESET, STOPPED, WAITING};
use super::table::Entry;
use crate::error::TransportError;
use crate::frame::{self, FrameKind};
use crate::id::{Dir, StreamId};
use crate::varint::VarInt;

impl Streams {
    /// STREAM arrived.
    ///
    /// # Errors
    ///
    /// As RFC 9000, Section 4 names them; also if there are too many gaps in what was received.
    #[inline]
    pub fn on_stream(&mut self, frame: &frame::Stream<'_>) -> Result<(), TransportError> {
        self.receive(FrameKind::Stream, frame.id, |half, shared| half.on_stream(shared, frame))
    }

    /// RESET_STREAM arrived.
    ///
    /// # Errors
    ///
    /// As RFC 9000, Section 4 names them.
    pub fn on_reset_stream(&mut self, frame: &frame::ResetStream) -> Result<(), TransportError> {
        self.receive(FrameKind::ResetStream, frame.id, |half, shared| half.on_reset(shared, frame))
    }

    #[inline]
    fn receive(
        &mut self,
        kind: FrameKind,
        id: StreamId,
        apply: impl FnOnce(&mut RecvHalf, &mut Shared) -> Result<Outcome, TransportError>,
    ) -> Result<(), TransportError> {
        let Some(slot) = self.received_on(id).map_err(|e| e.in_frame(kind.code()))? else { return Ok(()) };
        let Some((half, shared)) = self.recv_half(slot) else { return Ok(()) };
        let was_receiving = half.is_receiving();
        let outcome = apply(half, shared).map_err(|e| e.in_frame(kind.code()))?;
        let is_receiving = half.is_receiving();
        self.receiving -= u32::from(was_receiving && !is_receiving);
        match outcome {
            Outcome::Nothing => {}
            Outcome::Readable => self.tell(slot, READABLE),
            Outcome::Reset => self.tell(slot, RESET),
            Outcome::Over => self.end_recv(slot),
        }
        Ok(())
    }

    /// STOP_SENDING arrived. The stream is reset at once (RFC 9000, Section 3.5), with the code the peer gave.
    ///
    /// # Errors
    ///
    /// If the stream cannot be named by such a frame.
    pub fn on_stop_sending(&mut self, frame: &frame::StopSending) -> Result<(), TransportError> {
        let named = self.sent_on(frame.id).map_err(|e| e.in_frame(FrameKind::StopSending.code()))?;
        let Some(slot) = named else { return Ok(()) };
        let code = VarInt::saturating(frame.code);
        let Some((half, shared)) = self.send_half(slot) else { return Ok(()) };
        if half.reset(shared, code, true) {
            if let Some(stream) = self.slots.get_mut(slot as usize) {
                stream.stop_code = code;
            }
            self.list_control(slot);
            self.let_go();
            self.tell(slot, STOPPED);
        }
        Ok(())
    }

    /// MAX_DATA arrived.
    ///
    /// # Errors
    ///
    /// None today.
    pub fn on_max_data(&mut self, frame: &frame::MaxData) -> Result<(), TransportError> {
        self.shared.limits.raise(frame.limit);
        self.let_go();
        Ok(())
    }

    /// MAX_STREAM_DATA arrived.
    ///
    /// # Errors
    ///
    /// If the stream cannot be named by such a frame.
    pub fn on_max_stream_data(&mut self, frame: &frame::MaxStreamData) -> Result<(), TransportError> {
        let named = self.sent_on(frame.id).map_err(|e| e.in_frame(FrameKind::MaxStreamData.code()))?;
        let Some(stream) = named.and_then(|slot| self.slots.get_mut(slot as usize)) else { return Ok(()) };
        let wakes = stream.send.as_mut().is_some_and(|half| half.raise(frame.limit));
        if let Some(slot) = named.filter(|_| wakes && stream.enlist(WAITING)) {
            self.events.waiting.push_back(slot);
        }
        self.let_go();
        Ok(())
    }

    /// MAX_STREAMS arrived.
    ///
    /// # Errors
    ///
    /// None today: a number above 2^60 is refused where the frame is read.
    pub fn on_max_streams(&mut self, frame: &frame::MaxStreams) -> Result<(), TransportError> {
        self.raise_streams(frame.dir, frame.limit);
        self.let_go();
        Ok(())
    }

    /// DATA_BLOCKED arrived: credit is given as data is consumed, not on request.
    ///
    /// # Errors
    ///
    /// None today.
    pub fn on_data_blocked(&mut self, _: &frame::DataBlocked) -> Result<(), TransportError> {
        Ok(())
    }

    /// STREAM_DATA_BLOCKED arrived: it may open the stream, and changes nothing else.
    ///
    /// # Errors
    ///
    /// If the stream cannot be named by such a frame.
    pub fn on_stream_data_blocked(&mut self, frame: &frame::StreamDataBlocked) -> Result<(), TransportError> {
        self.received_on(frame.id).map_err(|e| e.in_frame(FrameKind::StreamDataBlocked.code())).map(drop)
    }

    /// STREAMS_BLOCKED arrived: credit is given as streams end, not on request.
    ///
    /// # Errors
    ///
    /// None today.
    pub fn on_streams_blocked(&mut self, _: &frame::StreamsBlocked) -> Result<(), TransportError> {
        Ok(())
    }

    /// The slot of a stream on which the peer says it sends; `None` if the stream is over.
    #[inline]
    fn received_on(&mut self, id: StreamId) -> Result<Option<u32>, TransportError> {
        if id.dir() == Dir::Uni && id.initiator() == self.side {
            return Err(TransportError::stream_state("the peer cannot send on this stream"));
        }
        self.named(id)
    }

    /// The slot of a stream on which the peer says we send; `None` if the stream is over.
    fn sent_on(&mut self, id: StreamId) -> Result<Option<u32>, TransportError> {
        if id.dir() == Dir::Uni && id.initiator() != self.side {
            return Err(TransportError::stream_state("we cannot send on this stream"));
        }
        self.named(id)
    }

    /// The slot of a stream that a frame names; `None` if the stream is over. Any frame can open a stream of the peer,
    /// and so every such frame is held against the limit.
    #[inline]
    fn named(&mut self, id: StreamId) -> Result<Option<u32>, TransportError> {
        match self.table(id).slot(id.index()) {
            Some(slot) => Ok(Some(slot)),
            None => self.newly_named(id),
        }
    }

    #[inline(never)] // Once a stream.
    fn newly_named(&mut self, id: StreamId) -> Result<Option<u32>, TransportError> {
        match self.table(id).get(id.index()) {
            Entry::Live(slot) => Ok(Some(slot)),
            Entry::Closed => Ok(None),
            Entry::Untouched => Ok(Some(self.create(id))),
            Entry::Unopened if id.initiator() == self.side => {
                Err(TransportError::stream_state("the stream was not opened"))
            }
            Entry::Unopened if self.shared.limits.permits(id.dir(), id.index()) => {
                self.events.opened[id.dir() as usize] = true;
                Ok(Some(self.create(id)))
            }
            Entry::Unopened => Err(TransportError::stream_limit("more streams than were permitted")),
        }
    }
}
