//! The sending half of a stream (RFC 9000, Section 3.1), and the application's hand on it.

use std::fmt;

use bytes::Bytes;

use super::Streams;
use super::blocks::Blocks;
use super::flow::Credit;
use super::send_buffer::SendBuffer;
use super::shared::Shared;
use super::stream::{CONTROL, DATA, WAITING};
use crate::error::WriteError;
use crate::frame;
use crate::id::StreamId;
use crate::packet::{Full, PacketWriter};
use crate::varint::VarInt;

/// The most data a STREAM frame carries, in bytes: its length field has two bytes.
const MAX_DATA: usize = (1 << 14) - 1;
/// A piece shorter than this waits for the next packet, unless it is the last.
const MIN_DATA: usize = 32;

/// How far the end of the data has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fin {
    /// To be said, for the first time or again.
    Due,
    /// Said, and not acknowledged.
    Said,
    /// The peer knows it.
    Acked,
}

/// Where the half stands. "Data Recvd" and "Reset Recvd" of the RFC are the half's absence.
#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// "Ready" and "Send".
    Open,
    /// "Send", with bytes that were written early under higher limits than the peer grants now.
    Held(Box<Held>),
    /// The application has written everything: "Send" until the end was said, then "Data Sent".
    Finishing(Fin),
    /// "Reset Sent", or about to be; what was sent is the final size.
    Reset { code: VarInt, is_said: bool, by_peer: bool },
}

/// Written bytes that wait for credit before they go into the buffer.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    bytes: Bytes,
    /// Whether the stream ends with them.
    finishes: bool,
}

/// The sending half of a stream.
#[derive(Debug)]
pub struct SendHalf {
    phase: Phase,
    buffer: SendBuffer,
    credit: Credit,
    priority: i32,
    /// The application offered more than there was room for.
    waits: bool,
}

impl SendHalf {
    /// A half on which the peer permits `limit` bytes.
    pub fn new(limit: u64) -> Self {
        Self {
            phase: Phase::Open,
            buffer: SendBuffer::new(),
            credit: Credit::new(limit),
            priority: 0,
            waits: false,
        }
    }

    /// Its priority; the highest is sent first.
    pub fn priority(&self) -> i32 {
        self.priority
    }

    /// Whether it has data to send, or its end.
    pub fn has_pending(&self) -> bool {
        self.buffer.has_pending() || self.phase == Phase::Finishing(Fin::Due)
    }

    /// Whether its application waits and there is room on the stream; if so it waits no longer.
    pub fn wake(&mut self) -> bool {
        let wakes = self.waits && self.credit.room() > 0;
        self.waits &= !wakes;
        wakes
    }

    /// Whether its application waits for room.
    pub fn is_waiting(&self) -> bool {
        self.waits && self.phase == Phase::Open
    }

    /// Whether the peer permits more on the stream.
    pub fn has_credit(&self) -> bool {
        self.credit.room() > 0
    }

    /// The peer permits `limit` bytes. Returns whether the application waits for that.
    pub fn raise(&mut self, limit: u64) -> bool {
        self.credit.raise(limit) && self.waits
    }

    /// Writes data while there is room; [`Full`] if there is more than that.
    #[inline]
    pub fn write(&mut self, id: StreamId, packet: &mut PacketWriter<'_>) -> Result<(), Full> {
        while let Some((offset, data)) = self.buffer.peek() {
            let room = packet.room().saturating_sub(frame::Stream::overhead(id, offset));
            if room < data.len().min(MAX_DATA) {
                // More than the packet holds: a first part of it, which cannot be the end.
                if room >= MIN_DATA {
                    packet.write(&frame::Stream { id, offset, fin: false, data: &data[..room] })?;
                    self.buffer.advance(offset, room);
                }
                return Err(packet.refuse());
            }
            let data = &data[..data.len().min(MAX_DATA)];
            let len = data.len();
            let ends = offset + len as u64 == self.buffer.end();
            let fin = ends && matches!(self.phase, Phase::Finishing(_));
            packet.write(&frame::Stream { id, offset, fin, data })?;
            self.buffer.advance(offset, len);
            if fin {
                self.say_fin();
            }
        }
        if self.phase == Phase::Finishing(Fin::Due) {
            packet.write(&frame::Stream { id, offset: self.buffer.end(), fin: true, data: &[] })?;
            self.say_fin();
        }
        Ok(())
    }

    fn say_fin(&mut self) {
        if self.phase == Phase::Finishing(Fin::Due) {
            self.phase = Phase::Finishing(Fin::Said);
        }
    }

    /// Writes RESET_STREAM and STREAM_DATA_BLOCKED if they are due.
    pub fn write_control(&mut self, id: StreamId, packet: &mut PacketWriter<'_>) -> Result<(), Full> {
        if let Phase::Reset { code, is_said: is_said @ false, .. } = &mut self.phase {
            let final_size = self.buffer.sent();
            packet.write(&frame::ResetStream { id, code: code.into_inner(), final_size })?;
            *is_said = true;
        }
        if let Some(limit) = self.blocked() {
            packet.write(&frame::StreamDataBlocked { id, limit })?;
            self.credit.said(limit);
        }
        Ok(())
    }

    /// The limit that keeps us from sending, once all that was written before it is sent.
    pub fn blocked(&self) -> Option<u64> {
        let is_open = matches!(self.phase, Phase::Open | Phase::Held(_));
        self.credit.blocked().filter(|_| is_open && !self.buffer.has_pending())
    }

    /// The peer has this data. Returns whether it has everything, so that the half is over.
    #[inline]
    pub fn acked(&mut self, shared: &mut Shared, offset: u64, len: u16, fin: bool) -> bool {
        let freed = self.buffer.acked(&mut shared.blocks, offset..offset.saturating_add(len.into()));
        shared.release(freed);
        match &mut self.phase {
            Phase::Finishing(state) => {
                if fin {
                    *state = Fin::Acked;
                }
                *state == Fin::Acked && self.buffer.is_acked()
            }
            Phase::Open | Phase::Held(_) | Phase::Reset { .. } => false,
        }
    }

    /// A packet with this data was lost. Returns whether something must be sent again.
    pub fn lost(&mut self, offset: u64, len: u16, fin: bool) -> bool {
        self.buffer.lost(offset..offset.saturating_add(len.into()));
        if fin && self.phase == Phase::Finishing(Fin::Said) {
            self.phase = Phase::Finishing(Fin::Due);
        }
        self.has_pending()
    }

    /// RESET_STREAM was acknowledged. Returns whether the half is over.
    pub fn reset_acked(&self) -> bool {
        matches!(self.phase, Phase::Reset { .. })
    }

    /// RESET_STREAM was lost. Returns whether it must be said again.
    pub fn reset_lost(&mut self) -> bool {
        match &mut self.phase {
            Phase::Reset { is_said, .. } => {
                *is_said = false;
                true
            }
            Phase::Open | Phase::Held(_) | Phase::Finishing(_) => false,
        }
    }

    /// STREAM_DATA_BLOCKED was lost. Returns whether it must be said again.
    pub fn blocked_lost(&mut self, limit: u64) -> bool {
        self.credit.lost(limit) && self.blocked().is_some()
    }

    /// Abandons what was written. Credit for what was never sent goes back to the connection (RFC 9000, Section 4.5:
    /// the final size is what was sent). Returns false if that has happened before.
    pub fn reset(&mut self, shared: &mut Shared, code: VarInt, by_peer: bool) -> bool {
        if matches!(self.phase, Phase::Reset { .. }) {
            return false;
        }
        shared.limits.refund(self.buffer.end() - self.buffer.sent());
        let kept = self.buffer.clear(&mut shared.blocks);
        let held = if let Phase::Held(held) = &self.phase { held.bytes.len() as u64 } else { 0 };
        shared.release(kept + held);
        self.phase = Phase::Reset { code, is_said: false, by_peer };
        self.waits = false;
        true
    }

    /// Whether it was reset because the peer asked to stop.
    fn is_stopped(&self) -> bool {
        matches!(self.phase, Phase::Reset { by_peer: true, .. })
    }

    /// Whether the application may write.
    fn check_open(&self) -> Result<(), WriteError> {
        match self.phase {
            Phase::Open => Ok(()),
            Phase::Held(ref held) if !held.finishes => Ok(()),
            Phase::Reset { code, by_peer: true, .. } => Err(WriteError::Stopped(code)),
            Phase::Held(_) | Phase::Finishing(_) | Phase::Reset { .. } => Err(WriteError::Closed),
        }
    }

    // ---- 0-RTT --------------------------------------------------------------------------------

    /// Begins again with a peer that took nothing and permits `limit` bytes, and `shared` ones on all streams together.
    /// Returns how many of the latter are used up.
    ///
    /// What was written beyond that, and the end of the stream if it is not `is_permitted`, is held back for
    /// [`SendHalf::refill`].
    pub fn restart(&mut self, blocks: &mut Blocks, limit: u64, shared: u64, is_permitted: bool) -> u64 {
        let finishes = match &mut self.phase {
            Phase::Reset { is_said, .. } => {
                // Nothing was ever sent, as far as the peer knows.
                *is_said = false;
                self.buffer = SendBuffer::new();
                self.credit = Credit::new(limit);
                return 0;
            }
            Phase::Open | Phase::Held(_) => false,
            Phase::Finishing(_) => true,
        };
        self.buffer.restart();
        let written = self.buffer.end();
        let used = written.min(limit).min(shared);
        self.credit = Credit::new(limit);
        self.credit.spend(used);
        if used < written || !is_permitted {
            let bytes = self.buffer.cut(blocks, used).into();
            self.phase = Phase::Held(Box::new(Held { bytes, finishes }));
            self.credit.want();
        } else if finishes {
            self.phase = Phase::Finishing(Fin::Due);
        }
        used
    }

    /// Whether something is held back.
    pub fn is_held(&self) -> bool {
        matches!(self.phase, Phase::Held(_))
    }

    /// Puts what was held back into the buffer as far as there is credit.
    pub fn refill(&mut self, shared: &mut Shared) {
        let Phase::Held(held) = &mut self.phase else { return };
        let room = self.credit.room().min(shared.limits.room());
        let len = usize::try_from(room).unwrap_or(usize::MAX).min(held.bytes.len());
        self.credit.spend(len as u64);
        // They were counted among the bytes that are kept when they were written.
        shared.limits.spend(len as u64);
        self.buffer.push_shared(&mut shared.blocks, held.bytes.split_to(len));
        if held.bytes.is_empty() {
            self.phase = if held.finishes { Phase::Finishing(Fin::Due) } else { Phase::Open };
        }
        if self.is_held() || self.waits {
            self.credit.want();
            shared.limits.want();
        }
    }
}

/// The application's hand on the sending half of a stream.
pub struct SendStream<'a> {
    pub(super) streams: &'a mut Streams,
    pub(super) slot: u32,
    pub(super) id: StreamId,
}

impl fmt::Debug for SendStream<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendStream").field("id", &self.id).finish_non_exhaustive()
    }
}

impl SendStream<'_> {
    /// Which stream.
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// Takes a prefix of `data` into the send buffer and returns its length in bytes.
    ///
    /// May be less than `data.len()`, zero only if `data` is empty; [`StreamEvent::Writable`](crate::StreamEvent) comes
    /// then when there is more room. Credit is spent here, not when the bytes are sent (RFC 9000, Section 4.1), so a
    /// full window is seen immediately.
    ///
    /// # Errors
    ///
    /// [`WriteError::Blocked`] until [`StreamEvent::Writable`](crate::StreamEvent); [`WriteError::Stopped`] when the
    /// peer does not want the data; [`WriteError::Closed`] after `finish` or `reset`.
    pub fn write(&mut self, data: &[u8]) -> Result<usize, WriteError> {
        self.take(data.len(), |buffer, shared, len| buffer.push(&mut shared.blocks, &data[..len]))
    }

    /// Takes a prefix of `data` out of it, uncopied unless it is short, and returns its length in bytes.
    ///
    /// # Errors
    ///
    /// As for [`SendStream::write`].
    pub fn write_chunk(&mut self, data: &mut Bytes) -> Result<usize, WriteError> {
        self.take(data.len(), |buffer, shared, len| {
            buffer.push_shared(&mut shared.blocks, data.split_to(len))
        })
    }

    fn take(
        &mut self,
        offered: usize,
        put: impl FnOnce(&mut SendBuffer, &mut Shared, usize),
    ) -> Result<usize, WriteError> {
        let Streams { slots, shared, events, ready, control, .. } = &mut *self.streams;
        let stream = slots.get_mut(self.slot as usize).ok_or(WriteError::Closed)?;
        let half = stream.send.as_mut().ok_or(WriteError::Closed)?;
        half.check_open()?;
        let room = half.credit.room().min(shared.room());
        let len = usize::try_from(room).unwrap_or(usize::MAX).min(offered);
        let bytes = len as u64;
        half.credit.spend(bytes);
        shared.spend(bytes);
        if len > 0 {
            put(&mut half.buffer, shared, len);
        }
        let priority = half.priority;
        if len < offered {
            half.waits = true;
            if half.credit.room() == 0 {
                half.credit.want();
                if half.blocked().is_some() && stream.enlist(CONTROL) {
                    control.push_back(self.slot);
                }
            } else {
                shared.limits.want();
                if stream.enlist(WAITING) {
                    events.waiting.push_back(self.slot);
                }
            }
        }
        if len > 0 && stream.enlist(DATA) {
            ready.push_back(priority, self.slot);
        }
        if len == 0 && offered > 0 { Err(WriteError::Blocked) } else { Ok(len) }
    }

    /// Ends the stream after what was written.
    ///
    /// # Errors
    ///
    /// [`WriteError::Stopped`] when the peer does not want the data; [`WriteError::Closed`] if it has ended already.
    pub fn finish(&mut self) -> Result<(), WriteError> {
        let (half, _) = self.streams.send_half(self.slot).ok_or(WriteError::Closed)?;
        half.check_open()?;
        half.waits = false;
        if let Phase::Held(held) = &mut half.phase {
            held.finishes = true;
            return Ok(());
        }
        half.phase = Phase::Finishing(Fin::Due);
        self.streams.list_data(self.slot);
        Ok(())
    }

    /// Abandons the stream: what the peer has not received yet it may never receive. Also after `finish`.
    ///
    /// # Errors
    ///
    /// [`WriteError::Closed`] if it was reset before, or the peer has everything. Not when the peer asked to stop: the
    /// stream was reset then, and nothing more is needed.
    pub fn reset(&mut self, code: VarInt) -> Result<(), WriteError> {
        let (half, shared) = self.streams.send_half(self.slot).ok_or(WriteError::Closed)?;
        if half.reset(shared, code, false) {
            self.streams.list_control(self.slot);
            // What it does not use any more is for others that wait.
            self.streams.let_go();
            return Ok(());
        }
        if half.is_stopped() { Ok(()) } else { Err(WriteError::Closed) }
    }

    /// Data of a higher priority is sent first; streams of one priority take turns. Zero at first.
    pub fn set_priority(&mut self, priority: i32) {
        let Streams { slots, ready, .. } = &mut *self.streams;
        let Some(stream) = slots.get_mut(self.slot as usize) else { return };
        let Some(half) = &mut stream.send else { return };
        let before = std::mem::replace(&mut half.priority, priority);
        if stream.listed & DATA != 0 && before != priority {
            ready.remove(before, self.slot);
            ready.push_back(priority, self.slot);
        }
    }
}
