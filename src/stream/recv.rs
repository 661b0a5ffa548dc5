//! The receiving half of a stream (RFC 9000, Section 3.2), and the application's hand on it.

use std::fmt;

use bytes::Bytes;

use super::Streams;
use super::assembler::Assembler;
use super::flow::{Exceeded, Window};
use super::shared::{BYTES_PER_GAP, GAPS_PER_STREAM, Shared};
use crate::error::{ReadError, TransportError};
use crate::frame;
use crate::id::StreamId;
use crate::packet::{Full, PacketWriter};
use crate::varint::VarInt;

/// Where the half stands. "Data Read" and "Reset Read" of the RFC are the half's absence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// "Recv", "Size Known" and "Data Recvd".
    Reading,
    /// The application wants no more: what comes is counted and thrown away until the peer says where it ends.
    Stopped { code: VarInt, is_said: bool },
    /// "Reset Recvd".
    Reset { code: VarInt },
}

/// Where the stream ends, once that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FinalSize(u64);

impl FinalSize {
    /// No stream is as long.
    const UNKNOWN: Self = Self(u64::MAX);

    #[inline]
    fn is_known(self) -> bool {
        self != Self::UNKNOWN
    }
}

/// What a frame brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// Nothing to tell.
    Nothing,
    /// There is something to read, and the application waits for it.
    Readable,
    /// The peer reset the stream, and the application must be told.
    Reset,
    /// The half is over, and the application knows.
    Over,
}

/// The receiving half of a stream.
#[derive(Debug)]
pub struct RecvHalf {
    phase: Phase,
    assembler: Assembler,
    window: Window,
    final_size: FinalSize,
    /// The application has read something, or found nothing to read, since it was last told.
    waits: bool,
}

impl RecvHalf {
    /// A half that permits the peer `window` bytes at a time.
    pub fn new(window: u64) -> Self {
        Self {
            phase: Phase::Reading,
            assembler: Assembler::new(),
            window: Window::new(window),
            final_size: FinalSize::UNKNOWN,
            waits: true,
        }
    }

    /// Bytes of memory held.
    #[cfg(test)]
    pub fn held(&self) -> usize {
        self.assembler.held()
    }

    /// Whether the peer has more to send that the application wants: "Recv" and "Size Known".
    #[inline]
    pub fn is_receiving(&self) -> bool {
        self.phase == Phase::Reading && !self.is_complete()
    }

    /// Whether everything was received: "Data Recvd".
    #[inline]
    fn is_complete(&self) -> bool {
        self.final_size == FinalSize(self.assembler.ready_offset())
    }

    /// Whether a read would bring something: data, or the end.
    #[inline]
    pub fn is_readable(&self) -> bool {
        let is_ready = self.assembler.read_offset() < self.assembler.ready_offset();
        self.phase == Phase::Reading && (is_ready || self.is_complete())
    }

    /// The code of the peer's RESET_STREAM.
    pub fn reset_code(&self) -> Option<VarInt> {
        match self.phase {
            Phase::Reset { code } => Some(code),
            Phase::Reading | Phase::Stopped { .. } => None,
        }
    }

    /// Whether the application is to be told now that there is something to read.
    pub fn announce(&mut self) -> bool {
        self.waits = !self.is_readable();
        !self.waits
    }

    /// STREAM arrived.
    #[inline]
    pub fn on_stream(
        &mut self,
        shared: &mut Shared,
        frame: &frame::Stream<'_>,
    ) -> Result<Outcome, TransportError> {
        let end = frame.offset.saturating_add(frame.data.len() as u64);
        let more = self.count(shared, end, frame.fin)?;
        match self.phase {
            Phase::Reading => {
                let ready = self.assembler.ready_offset();
                self.assemble(shared, frame)?;
                let brought = self.assembler.ready_offset() > ready || self.is_complete();
                let tells = self.waits && brought;
                self.waits &= !tells;
                Ok(if tells { Outcome::Readable } else { Outcome::Nothing })
            }
            Phase::Stopped { .. } => {
                shared.limits.consume(more);
                Ok(if frame.fin { Outcome::Over } else { Outcome::Nothing })
            }
            Phase::Reset { .. } => Ok(Outcome::Nothing),
        }
    }

    #[inline]
    fn assemble(&mut self, shared: &mut Shared, frame: &frame::Stream<'_>) -> Result<(), TransportError> {
        if self.assembler.append(&mut shared.blocks, frame.offset, frame.data) {
            return Ok(());
        }
        let gaps = self.assembler.gaps();
        let most = GAPS_PER_STREAM.max(self.window.size() / BYTES_PER_GAP);
        let permitted = shared.gaps_permitted(gaps, most);
        let taken = self.assembler.insert(&mut shared.blocks, frame.offset, frame.data, permitted);
        shared.count_gaps(gaps, self.assembler.gaps());
        taken.map_err(|_| TransportError::internal("the data received has too many gaps"))
    }

    /// RESET_STREAM arrived.
    pub fn on_reset(
        &mut self,
        shared: &mut Shared,
        frame: &frame::ResetStream,
    ) -> Result<Outcome, TransportError> {
        let was_complete = self.is_complete();
        let more = self.count(shared, frame.final_size, true)?;
        match self.phase {
            // The end is here and all before it: Section 3.2 permits to withhold the reset.
            Phase::Reading if was_complete => Ok(Outcome::Nothing),
            Phase::Reading => {
                self.discard(shared);
                self.phase = Phase::Reset { code: VarInt::saturating(frame.code) };
                Ok(Outcome::Reset)
            }
            Phase::Stopped { .. } => {
                shared.limits.consume(more);
                Ok(Outcome::Over)
            }
            Phase::Reset { .. } => Ok(Outcome::Nothing),
        }
    }

    /// Charges both windows up to `end`, and learns the final size if that is where the stream ends. Returns by how
    /// much it has grown.
    #[inline]
    fn count(&mut self, shared: &mut Shared, end: u64, is_final: bool) -> Result<u64, TransportError> {
        let FinalSize(size) = self.final_size;
        if end > size || (is_final && end != size && self.final_size.is_known()) {
            return Err(TransportError::final_size("the stream's end has moved"));
        }
        let received = self.window.received();
        if is_final && end < received {
            return Err(TransportError::final_size("the stream ends before data that was received"));
        }
        let more = end.saturating_sub(received);
        self.window
            .receive(more)
            .map_err(|Exceeded| TransportError::flow_control("the stream's window is exceeded"))?;
        shared
            .limits
            .receive(more)
            .map_err(|Exceeded| TransportError::flow_control("the connection's window is exceeded"))?;
        if is_final {
            self.final_size = FinalSize(end);
        }
        Ok(more)
    }

    /// Throws away what was not read, and returns its credit.
    fn discard(&mut self, shared: &mut Shared) {
        shared.limits.consume(self.window.waiting());
        self.window.consume(self.window.waiting());
        shared.count_gaps(self.assembler.gaps(), 0);
        self.assembler.clear(&mut shared.blocks);
    }

    /// The application wants no more. Returns whether the half is over with that.
    fn stop(&mut self, shared: &mut Shared, code: VarInt) -> bool {
        let is_complete = self.is_complete();
        self.discard(shared);
        self.phase = Phase::Stopped { code, is_said: is_complete };
        is_complete
    }

    /// STOP_SENDING was acknowledged. Returns whether the half is over: with the size known, nothing need come.
    pub fn stop_acked(&self) -> bool {
        matches!(self.phase, Phase::Stopped { .. }) && self.final_size.is_known()
    }

    /// STOP_SENDING was lost. Returns whether it must be said again.
    pub fn stop_lost(&mut self) -> bool {
        match &mut self.phase {
            Phase::Stopped { is_said, .. } => {
                *is_said = false;
                true
            }
            Phase::Reading | Phase::Reset { .. } => false,
        }
    }

    /// MAX_STREAM_DATA was lost. Returns whether it must be said again.
    pub fn limit_lost(&mut self, limit: u64) -> bool {
        self.window.lost(limit) && self.limit_due().is_some()
    }

    /// The limit to be said: only while the end is not known (RFC 9000, Section 3.2).
    fn limit_due(&self) -> Option<u64> {
        self.window.due().filter(|_| !self.final_size.is_known() && self.phase == Phase::Reading)
    }

    /// Writes STOP_SENDING and MAX_STREAM_DATA if they are due.
    pub fn write_control(&mut self, id: StreamId, packet: &mut PacketWriter<'_>) -> Result<(), Full> {
        if let Phase::Stopped { code, is_said: is_said @ false } = &mut self.phase {
            packet.write(&frame::StopSending { id, code: code.into_inner() })?;
            *is_said = true;
        }
        if let Some(limit) = self.limit_due() {
            packet.write(&frame::MaxStreamData { id, limit })?;
            self.window.said(limit);
        }
        Ok(())
    }
}

/// The application's hand on the receiving half of a stream.
pub struct RecvStream<'a> {
    pub(super) streams: &'a mut Streams,
    pub(super) slot: u32,
    pub(super) id: StreamId,
}

impl fmt::Debug for RecvStream<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvStream").field("id", &self.id).finish_non_exhaustive()
    }
}

impl RecvStream<'_> {
    /// Which stream.
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// What lies ready, uncopied, or a first part of it; `Ok(None)`, once, at the end of the stream.
    ///
    /// Never empty. The bytes stay until [`RecvStream::consume`] passes over them.
    ///
    /// # Errors
    ///
    /// [`ReadError::Blocked`] until [`StreamEvent::Readable`](crate::StreamEvent); [`ReadError::Reset`], once, when the
    /// peer abandoned the stream; [`ReadError::Closed`] after that, after the end, and after `stop`.
    pub fn chunk(&mut self) -> Result<Option<&[u8]>, ReadError> {
        if self.is_at_end()? {
            return Ok(None);
        }
        let (half, _) = self.streams.recv_half(self.slot).ok_or(ReadError::Closed)?;
        Ok(Some(half.assembler.chunk()))
    }

    /// Passes over `len` bytes of what lies ready, or as many as there are, and returns their flow-control credit.
    pub fn consume(&mut self, len: usize) {
        let Some((half, shared)) = self.streams.recv_half(self.slot) else { return };
        if half.phase != Phase::Reading {
            return;
        }
        let len = half.assembler.consume(&mut shared.blocks, len);
        half.window.consume(len);
        shared.limits.consume(len);
        if half.limit_due().is_some() {
            self.streams.list_control(self.slot);
        }
    }

    /// Copies what lies ready to `into`, as much as fits, and returns its length; `Ok(None)` at the end.
    ///
    /// # Errors
    ///
    /// As for [`RecvStream::chunk`].
    pub fn read(&mut self, into: &mut [u8]) -> Result<Option<usize>, ReadError> {
        if self.is_at_end()? {
            return Ok(None);
        }
        let mut filled = 0;
        while let Some(taken) = self.copy_chunk(&mut into[filled..]) {
            filled += taken;
        }
        Ok(Some(filled))
    }

    /// Takes what lies ready, at most `max` bytes, in memory of its own; `Ok(None)` at the end.
    ///
    /// # Errors
    ///
    /// As for [`RecvStream::chunk`].
    pub fn read_bytes(&mut self, max: usize) -> Result<Option<Bytes>, ReadError> {
        if self.is_at_end()? {
            return Ok(None);
        }
        let (half, _) = self.streams.recv_half(self.slot).ok_or(ReadError::Closed)?;
        let ready = half.assembler.ready_offset() - half.assembler.read_offset();
        let len = usize::try_from(ready).unwrap_or(usize::MAX).min(max);
        let mut bytes = vec![0; len];
        let mut filled = 0;
        while let Some(taken) = self.copy_chunk(&mut bytes[filled..]) {
            filled += taken;
        }
        Ok(Some(bytes.into()))
    }

    /// Copies and passes over one chunk, or its first part; `None` if nothing is left or nothing fits.
    fn copy_chunk(&mut self, into: &mut [u8]) -> Option<usize> {
        let (half, _) = self.streams.recv_half(self.slot)?;
        let chunk = half.assembler.chunk();
        let taken = chunk.len().min(into.len());
        into[..taken].copy_from_slice(&chunk[..taken]);
        self.consume(taken);
        (taken > 0).then_some(taken)
    }

    /// Wants no more: what was not read is thrown away, and the peer is asked to stop sending.
    ///
    /// # Errors
    ///
    /// [`ReadError::Reset`] if the peer had abandoned the stream; [`ReadError::Closed`] if it was read to its end or
    /// stopped before.
    pub fn stop(&mut self, code: VarInt) -> Result<(), ReadError> {
        match self.is_at_end() {
            // At the end there is nothing to stop, and the end is known with this call.
            Ok(_) | Err(ReadError::Blocked) => {}
            Err(error @ (ReadError::Reset(_) | ReadError::Closed)) => return Err(error),
        }
        let Some((half, shared)) = self.streams.recv_half(self.slot) else { return Ok(()) };
        let was_receiving = half.is_receiving();
        let is_over = half.stop(shared, code);
        self.streams.receiving -= u32::from(was_receiving);
        if is_over {
            self.streams.end_recv(self.slot)
        } else {
            self.streams.list_control(self.slot)
        }
        Ok(())
    }

    /// Whether the stream was read to its end; if so, or if it was reset, the half is over now.
    fn is_at_end(&mut self) -> Result<bool, ReadError> {
        let (half, _) = self.streams.recv_half(self.slot).ok_or(ReadError::Closed)?;
        half.waits = true;
        match half.phase {
            Phase::Reading if half.assembler.read_offset() < half.assembler.ready_offset() => Ok(false),
            Phase::Reading if half.is_complete() => {
                self.streams.end_recv(self.slot);
                Ok(true)
            }
            Phase::Reading => Err(ReadError::Blocked),
            Phase::Stopped { .. } => Err(ReadError::Closed),
            Phase::Reset { code } => {
                self.streams.end_recv(self.slot);
                Err(ReadError::Reset(code))
            }
        }
    }
}
