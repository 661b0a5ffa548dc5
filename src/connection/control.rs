//! Small things waiting to be said once: PING, HANDSHAKE_DONE and NEW_TOKEN.

use crate::frame::{HandshakeDone, NewToken, Ping, Record};
use crate::packet::PacketWriter;

/// What is to be said in 1-RTT packets and belongs to no other part.
#[derive(Debug, Default)]
pub struct Control {
    /// HANDSHAKE_DONE is to be said.
    handshake_done: bool,
    /// A PING was asked for.
    ping: bool,
    /// A NEW_TOKEN that was not acknowledged yet.
    token: Option<Box<Given>>,
}

/// A token for the client.
#[derive(Debug)]
struct Given {
    token: Vec<u8>,
    due: bool,
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

    /// Says NEW_TOKEN with this token until it is acknowledged.
    pub fn give(&mut self, token: Vec<u8>) {
        self.token = Some(Box::new(Given { token, due: true }));
    }

    /// Writes what is due.
    pub fn write(&mut self, packet: &mut PacketWriter<'_>) {
        if self.handshake_done && packet.write(&HandshakeDone).is_ok() {
            self.handshake_done = false;
        }
        if self.ping && packet.write(&Ping).is_ok() {
            self.ping = false;
        }
        if let Some(given) = &mut self.token
            && given.due
            && packet.write(&NewToken { token: &given.token }).is_ok()
        {
            given.due = false;
        }
    }

    /// A record of ours was acknowledged.
    pub fn acked(&mut self, record: &Record) {
        if matches!(record, Record::NewToken) {
            self.token = None;
        }
    }

    /// A record of ours was lost.
    pub fn lost(&mut self, record: &Record) {
        if matches!(record, Record::HandshakeDone) {
            self.handshake_done = true;
        }
        if let (Record::NewToken, Some(given)) = (record, &mut self.token) {
            given.due = true;
        }
    }
}
