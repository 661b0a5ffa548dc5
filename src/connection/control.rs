//! Small things waiting to be said: PING or IMMEDIATE_ACK, HANDSHAKE_DONE, NEW_TOKEN, and how often we wish for ACKs.

use crate::frame::{HandshakeDone, ImmediateAck, NewToken, Ping, Record};
use crate::packet::PacketWriter;
use crate::recovery::Wishes;

/// What is to be said in 1-RTT packets and belongs to no other part.
#[derive(Debug, Default)]
pub struct Control {
    /// HANDSHAKE_DONE is to be said.
    handshake_done: bool,
    /// A sign of life was asked for.
    ask: Option<Ask>,
    /// What most connections do not say, or not for long.
    rare: Option<Box<Rare>>,
}

/// How the peer is asked for a sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    /// By PING.
    Soon,
    /// By IMMEDIATE_ACK.
    AtOnce,
}

/// What most connections do not say, or not for long.
#[derive(Debug, Default)]
struct Rare {
    /// A NEW_TOKEN that was not acknowledged yet.
    token: Option<Given>,
    /// How often our packets are to be acknowledged.
    wishes: Option<Wishes>,
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
        self.ask.get_or_insert(Ask::Soon);
    }

    /// Asks the peer for a sign of life without delay; it must be known to take that.
    pub fn ask_at_once(&mut self) {
        self.ask = Some(Ask::AtOnce);
    }

    /// From now on the peer is told how often to acknowledge.
    pub fn wish(&mut self, wishes: Wishes) {
        self.rare.get_or_insert_default().wishes = Some(wishes);
    }

    /// How often our packets are to be acknowledged, if we care and the peer does.
    #[inline]
    pub fn wishes(&mut self) -> Option<&mut Wishes> {
        self.rare.as_mut()?.wishes.as_mut()
    }

    /// Says NEW_TOKEN with this token until it is acknowledged.
    pub fn give(&mut self, token: Vec<u8>) {
        self.rare.get_or_insert_default().token = Some(Given { token, due: true });
    }

    /// Writes what is due.
    pub fn write(&mut self, packet: &mut PacketWriter<'_>) {
        if self.handshake_done && packet.write(&HandshakeDone).is_ok() {
            self.handshake_done = false;
        }
        if let Some(ask) = self.ask {
            let written = match ask {
                Ask::Soon => packet.write(&Ping),
                Ask::AtOnce => packet.write(&ImmediateAck),
            };
            if written.is_ok() {
                self.ask = None;
            }
        }
        if let Some(rare) = &mut self.rare {
            rare.write(packet);
        }
    }

    /// A record of ours was acknowledged.
    pub fn acked(&mut self, record: &Record) {
        if let (Record::NewToken, Some(rare)) = (record, &mut self.rare) {
            rare.token = None;
            if rare.wishes.is_none() {
                self.rare = None;
            }
        }
    }

    /// A record of ours was lost.
    pub fn lost(&mut self, record: &Record) {
        if matches!(record, Record::HandshakeDone) {
            self.handshake_done = true;
        }
        if let (Record::NewToken, Some(rare)) = (record, &mut self.rare)
            && let Some(given) = &mut rare.token
        {
            given.due = true;
        }
    }
}

impl Rare {
    #[cold]
    fn write(&mut self, packet: &mut PacketWriter<'_>) {
        if let Some(given) = &mut self.token
            && given.due
            && packet.write(&NewToken { token: &given.token }).is_ok()
        {
            given.due = false;
        }
        if let Some(wishes) = &mut self.wishes {
            wishes.write(packet);
        }
    }
}
