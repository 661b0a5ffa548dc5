//! Ending a connection: what CONNECTION_CLOSE says, and how often (RFC 9000, Section 10.2).

use crate::error::{Code, TransportError};
use crate::frame::ConnectionClose;
use crate::id::SpaceId;
use crate::packet::PacketWriter;
use crate::time::Instant;
use crate::varint::VarInt;

/// Longest reason we send, in bytes, so that the frame fits in any packet.
const MAX_REASON: usize = 256;

/// What we say when we close.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Farewell {
    /// The peer broke the protocol.
    Fault(TransportError),
    /// The application is done.
    Application {
        /// The application's code.
        code: VarInt,
        /// For people; cut to 256 bytes.
        reason: Vec<u8>,
    },
}

impl Farewell {
    /// The application's wish, its reason cut to what always fits.
    pub fn application(code: VarInt, reason: &[u8]) -> Self {
        Self::Application { code, reason: reason[..reason.len().min(MAX_REASON)].to_vec() }
    }

    /// Writes the frame that fits this packet's space: before 1-RTT the application's words stay private
    /// (RFC 9000, Section 10.2.3).
    pub fn write(&self, packet: &mut PacketWriter<'_, '_>) {
        let frame = match (self, packet.space()) {
            (Self::Fault(error), _) => ConnectionClose::fault(error),
            (Self::Application { code, reason }, SpaceId::Data) => {
                ConnectionClose::Application { code: *code, reason }
            }
            (Self::Application { .. }, SpaceId::Initial | SpaceId::Handshake) => {
                ConnectionClose::Transport { code: Code::APPLICATION_ERROR, frame: 0, reason: b"" }
            }
        };
        // A packet too small for it is not sent; the next one will be larger.
        let _ = packet.write(&frame);
    }
}

/// The closing state: we have said it, and say it again ever more rarely.
#[derive(Debug, PartialEq, Eq)]
pub struct Closing {
    /// What we say.
    pub farewell: Farewell,
    /// When the connection is forgotten.
    pub until: Instant,
    /// Whether it is to be said now.
    due: bool,
    /// Packets that came since, and how many of them bring the next answer.
    received: u32,
    threshold: u32,
}

impl Closing {
    /// Begins by saying it once.
    pub fn new(farewell: Farewell, until: Instant) -> Self {
        Self { farewell, until, due: true, received: 0, threshold: 1 }
    }

    /// A packet came: every answer takes twice as many packets as the one before.
    pub fn on_received(&mut self) {
        self.received = self.received.saturating_add(1);
        if self.received >= self.threshold {
            self.threshold = self.threshold.saturating_mul(2);
            self.received = 0;
            self.due = true;
        }
    }

    /// Whether the frame is to be sent now.
    pub fn is_due(&self) -> bool {
        self.due
    }

    /// It was sent.
    pub fn on_sent(&mut self) {
        self.due = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_answered_ever_more_rarely() {
        let farewell = Farewell::application(VarInt::ZERO, b"bye");
        let mut closing = Closing::new(farewell, Instant::from_millis(300));
        let mut answers = 0;
        for _ in 0..1000 {
            closing.on_received();
            answers += u32::from(closing.is_due());
            closing.on_sent();
        }
        assert_eq!(answers, 9);
    }

    #[test]
    fn a_long_reason_is_cut() {
        let Farewell::Application { reason, .. } = Farewell::application(VarInt::ZERO, &[b'x'; 2000]) else {
            panic!("an application's farewell");
        };
        assert_eq!(reason.len(), 256);
    }
}
