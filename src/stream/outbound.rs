//! Frames of ours: what is due, and what became of what was sent.

use super::Streams;
use super::early::is_ahead;
use super::stream::{CONTROL, DATA, FINISHED};
use crate::frame::{self, Record};
use crate::id::StreamId;
use crate::packet::{Full, PacketWriter};

impl Streams {
    /// Writes what is due of MAX_DATA, MAX_STREAM_DATA, MAX_STREAMS, the *_BLOCKED frames, RESET_STREAM and
    /// STOP_SENDING; all of it is generated from state, so none of it is ever queued.
    pub fn write_control(&mut self, packet: &mut PacketWriter<'_>) {
        // What is refused stays due for the next packet.
        let limits = self.shared.limits.write(packet, self.ready.is_empty());
        if limits.is_ok() && !self.control.is_empty() {
            self.write_halves(packet).ok();
        }
    }

    fn write_halves(&mut self, packet: &mut PacketWriter<'_>) -> Result<(), Full> {
        while let Some(slot) = self.control.front().copied() {
            // A stream that the peer does not permit yet is listed again when it does.
            if let Some(stream) = self.slots.get_mut(slot as usize)
                && !(self.holds_back && is_ahead(&self.shared.limits, self.side, stream.id))
            {
                if let Some(send) = &mut stream.send {
                    send.write_control(stream.id, packet)?;
                }
                if let Some(recv) = &mut stream.recv {
                    recv.write_control(stream.id, packet)?;
                }
            }
            self.control.pop_front();
            self.leave(slot, CONTROL);
        }
        Ok(())
    }

    /// Writes STREAM data: the highest priority first, equals in turns of a packet.
    #[inline]
    pub fn write(&mut self, packet: &mut PacketWriter<'_>) {
        if !packet.permits::<frame::Stream<'_>>() {
            if !self.ready.is_empty() {
                packet.refuse();
            }
            return;
        }
        while let Some(slot) = self.ready.front() {
            let room = packet.room();
            let stream = self.slots.get_mut(slot as usize);
            let blocked = match stream.and_then(|stream| stream.send.as_mut().map(|send| (stream.id, send))) {
                None => false,
                Some((id, send)) => match send.write(id, packet) {
                    Ok(()) => send.blocked().is_some(),
                    Err(Full) => {
                        if packet.room() < room {
                            self.ready.rotate();
                        }
                        return;
                    }
                },
            };
            self.ready.pop_front();
            if blocked {
                self.list_control(slot);
            }
            self.leave(slot, DATA);
        }
    }

    /// The peer received what this records.
    #[inline]
    pub fn acked(&mut self, record: &Record) {
        match *record {
            Record::Stream { id, offset, len, fin } => {
                let Some(slot) = self.table(id).slot(id.index()) else { return };
                let Some((half, shared)) = self.send_half(slot) else { return };
                if half.acked(shared, offset, len, fin) {
                    self.end_send(slot, FINISHED);
                }
            }
            Record::ResetStream { id } => {
                let Some(slot) = self.table(id).slot(id.index()) else { return };
                if self.send_half(slot).is_some_and(|(half, _)| half.reset_acked()) {
                    self.end_send(slot, 0);
                }
            }
            Record::StopSending { id } => {
                let Some(slot) = self.table(id).slot(id.index()) else { return };
                if self.recv_half(slot).is_some_and(|(half, _)| half.stop_acked()) {
                    self.end_recv(slot);
                }
            }
            Record::MaxStreams { dir, limit } => self.shared.limits.streams_acked(dir, limit),
            Record::MaxData { .. }
            | Record::MaxStreamData { .. }
            | Record::DataBlocked { .. }
            | Record::StreamDataBlocked { .. }
            | Record::StreamsBlocked { .. } => {}
            // Not ours.
            Record::Ack { .. }
            | Record::Crypto { .. }
            | Record::NewConnectionId { .. }
            | Record::RetireConnectionId { .. }
            | Record::AckFrequency { .. }
            | Record::PathResponse
            | Record::HandshakeDone
            | Record::NewToken
            | Record::ServerMigration { .. }
            | Record::ServerMigrated { .. }
            | Record::PoolMigrationAddress { .. }
            | Record::MtuProbe { .. } => {}
        }
    }

    /// The sending half is over, and the application is told so.
    fn end_send(&mut self, slot: u32, event: u8) {
        if let Some(stream) = self.slots.get_mut(slot as usize) {
            stream.send = None;
        }
        if event != 0 {
            self.tell(slot, event);
        }
        self.settle(slot);
    }

    /// The packet with what this records was lost: it is reconsidered.
    pub fn lost(&mut self, record: &Record) {
        match *record {
            Record::Stream { id, offset, len, fin } => {
                let Some(slot) = self.table(id).slot(id.index()) else { return };
                if self.send_half(slot).is_some_and(|(half, _)| half.lost(offset, len, fin)) {
                    self.list_data(slot);
                }
            }
            Record::ResetStream { id } => self.say_again(id, |slot, streams| {
                streams.send_half(slot).is_some_and(|(half, _)| half.reset_lost())
            }),
            Record::StreamDataBlocked { id, limit } => self.say_again(id, |slot, streams| {
                streams.send_half(slot).is_some_and(|(half, _)| half.blocked_lost(limit))
            }),
            Record::StopSending { id } => self.say_again(id, |slot, streams| {
                streams.recv_half(slot).is_some_and(|(half, _)| half.stop_lost())
            }),
            Record::MaxStreamData { id, limit } => self.say_again(id, |slot, streams| {
                streams.recv_half(slot).is_some_and(|(half, _)| half.limit_lost(limit))
            }),
            Record::MaxData { limit } => self.shared.limits.max_data_lost(limit),
            Record::DataBlocked { limit } => self.shared.limits.data_blocked_lost(limit),
            Record::MaxStreams { dir, limit } => self.shared.limits.max_streams_lost(dir, limit),
            Record::StreamsBlocked { dir, limit } => self.shared.limits.streams_blocked_lost(dir, limit),
            // Not ours.
            Record::Ack { .. }
            | Record::Crypto { .. }
            | Record::NewConnectionId { .. }
            | Record::RetireConnectionId { .. }
            | Record::AckFrequency { .. }
            | Record::PathResponse
            | Record::HandshakeDone
            | Record::NewToken
            | Record::ServerMigration { .. }
            | Record::ServerMigrated { .. }
            | Record::PoolMigrationAddress { .. }
            | Record::MtuProbe { .. } => {}
        }
    }

    /// Has a stream say its control frames again if `again` finds something that is still to be said.
    fn say_again(&mut self, id: StreamId, again: impl FnOnce(u32, &mut Self) -> bool) {
        if let Some(slot) = self.table(id).slot(id.index())
            && again(slot, self)
        {
            self.list_control(slot);
        }
    }
}
