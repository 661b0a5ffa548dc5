//! Small things waiting to be said once: PING and HANDSHAKE_DONE.

use crate::frame::{HandshakeDone, Ping, Record};
use crate::packet::PacketWriter;

/// What is to be said in 1-RTT packets and belongs to no other part.
#[derive(Debug, Default)]
pub struct Control {
    /// HANDSHAKE_DONE is to be said.
    handshake_done: bool,
    /// A PING was asked for.
    ping: bool,
}

impl Control {
    /// Says HANDSHAKE_DONE until it is acknowledged.
    pub fn say_handshake_done(&mut self) {
        self.handshake_done = true;
    }

    /// Asks the peer for a sign of life.
    pub fn ask(&mut self) {
        self.ping = true;
    }

    /// Writes what is due.
    pub fn write(&mut self, packet: &mut PacketWriter<'_>) {
        if self.handshake_done && packet.write(&HandshakeDone).is_ok() {
            self.handshake_done = false;
        }
        if self.ping && packet.write(&Ping).is_ok() {
            self.ping = false;
        }
    }

    /// A record of ours was lost.
    pub fn lost(&mut self, record: &Record) {
        if matches!(record, Record::HandshakeDone) {
            self.handshake_done = true;
        }
    }
}
