//! Ending a connection: what CONNECTION_CLOSE says, and how often (RFC 9000, Section 10.2).

use smallvec::SmallVec;

use crate::error::{Code, TransportError};
use crate::frame::ConnectionClose;
use crate::id::{PathId, SpaceId};
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
    pub fn write(&self, packet: &mut PacketWriter<'_>) {
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
    /// Where we say it: home, and every candidate that has spoken (server-migration rules, 2.12).
    places: SmallVec<[PathId; 1]>,
    /// Those of them where it is to be said now.
    due: SmallVec<[PathId; 1]>,
    /// Packets that came since, and how many of them bring the next answer.
    received: u32,
    threshold: u32,
}

impl Closing {
    /// Begins by saying it once in each place.
    pub fn new(farewell: Farewell, until: Instant, places: SmallVec<[PathId; 1]>) -> Self {
        Self { farewell, until, due: places.clone(), places, received: 0, threshold: 1 }
    }

    /// A packet came: every answer takes twice as many packets as the one before.
    pub fn on_received(&mut self) {
        self.received = self.received.saturating_add(1);
        if self.received >= self.threshold {
            self.threshold = self.threshold.saturating_mul(2);
            self.received = 0;
            self.due.clone_from(&self.places);
        }
    }

    /// Where the frame is to be sent now.
    pub fn due(&self) -> impl Iterator<Item = PathId> + '_ {
        self.due.iter().copied()
    }

    /// It was sent there.
    pub fn on_sent(&mut self, place: PathId) {
        self.due.retain(|due| *due != place);
    }
}

#[cfg(test)]
mod tests {
    use smallvec::smallvec;

    use super::*;

    #[test]
    fn a_flood_is_answered_ever_more_rarely() {
        let farewell = Farewell::application(VarInt::ZERO, b"bye");
        let mut closing = Closing::new(farewell, Instant::from_millis(300), smallvec![PathId(0)]);
        let mut answers = 0;
        for _ in 0..1000 {
            closing.on_received();
            answers += closing.due().count();
            closing.on_sent(PathId(0));
        }
        assert_eq!(answers, 9);
    }

    #[test]
    fn it_is_said_once_in_every_place() {
        let farewell = Farewell::application(VarInt::ZERO, b"bye");
        let places = smallvec![PathId(0), PathId(3)];
        let mut closing = Closing::new(farewell, Instant::from_millis(300), places);
        assert_eq!(closing.due().collect::<Vec<_>>(), [PathId(0), PathId(3)]);
        closing.on_sent(PathId(0));
        assert_eq!(closing.due().collect::<Vec<_>>(), [PathId(3)]);
        closing.on_sent(PathId(3));
        assert_eq!(closing.due().count(), 0);
    }

    #[test]
    fn a_long_reason_is_cut() {
        let Farewell::Application { reason, .. } = Farewell::application(VarInt::ZERO, &[b'x'; 2000]) else {
            panic!("an application's farewell");
        };
        assert_eq!(reason.len(), 256);
    }
}
