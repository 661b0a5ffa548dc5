//! What a connection keeps for its migrations, and what the others on it ask of that.
//!
//! [`steer`](super::steer) changes it; here it is only read. Rules in brackets are those of server-migration.

use std::net::SocketAddr;
use std::time::Duration;

use crate::frame::Record;
use crate::id::PacketNumber;
use crate::migration::{Client, Migration, Server};
use crate::negotiation::Agreement;
use crate::net::Local;
use crate::packet::PacketWriter;
use crate::time::Instant;

/// Longest wait between probes while a move is announced or under way [2.7, 3.1].
const PTO_CAP: Duration = Duration::from_secs(1);

/// What the connection keeps for its migrations.
#[derive(Debug, Default)]
pub(super) struct Steering {
    pub(super) agreement: Option<Agreement>,
    pub(super) migration: Option<Migration>,
    /// A server's last switch: the first packet number after it, and where it was before, unless that is where it is: where
    /// ports are is not told.
    pub(super) switch: Option<(PacketNumber, Option<Local>)>,
    /// Challenges for which the client may have gone over to another of our IDs without our having heard of it.
    pub(super) prompts: u32,
    /// The stream data that was under way at that switch, with the numbers of its packets, in their order: until the
    /// client is heard.
    pub(super) behind: Box<[(PacketNumber, Record)]>,
}

impl Steering {
    pub(super) fn client(&self) -> Option<&Client> {
        match &self.migration {
            Some(Migration::Client(client)) => Some(client),
            Some(Migration::Server(_)) | None => None,
        }
    }

    pub(super) fn server(&self) -> Option<&Server> {
        match &self.migration {
            Some(Migration::Server(server)) => Some(server),
            Some(Migration::Client(_)) | None => None,
        }
    }

    /// Whether a server is to say from its new address that it has moved.
    pub(super) fn announces(&self) -> bool {
        self.server().is_some_and(Server::announces)
    }

    /// Whether data waits until the peer has answered from the new path.
    pub(super) fn holds_data(&self) -> bool {
        self.data_left() == Some(0)
    }

    /// How many datagrams of data may go before that; `None`: any number.
    pub(super) fn data_left(&self) -> Option<u32> {
        self.server().and_then(Server::data_left)
    }

    /// Until when the idle timer does not fire.
    pub(super) fn idle_held_until(&self, now: Instant) -> Option<Instant> {
        match &self.migration {
            Some(Migration::Client(client)) => client.held_until(),
            Some(Migration::Server(server)) => server.held_until(now),
            None => None,
        }
    }

    /// Whether a server left this place at its last switch, and its client may not have followed yet.
    pub(super) fn was_at(&self, local: Local) -> bool {
        self.former().is_some_and(|former| former.ip.is_some() && former == local)
            && self.server().is_some_and(Server::has_moved)
    }

    /// Whether a packet for this place of ours may be one for where a server was before its last switch.
    pub(super) fn has_left(&self, local: Local) -> bool {
        self.former().is_some_and(|former| former.matches(local))
    }

    fn former(&self) -> Option<Local> {
        self.switch.and_then(|(_, former)| former)
    }

    /// Whether the former home, which is there, is kept beyond its time.
    pub(super) fn keeps(&self, former: SocketAddr) -> bool {
        self.client().is_some_and(|client| client.keeps(former))
    }

    /// Whether the server is about to move, or has and is looked for: it may take a challenge for a client that follows.
    pub(super) fn awaits_move(&self) -> bool {
        self.client().is_some_and(|client| client.held_until().is_some())
    }

    /// Whether the server named this address to its client.
    pub(super) fn names(&self, address: SocketAddr) -> bool {
        self.client().is_some_and(|client| client.names(address))
    }

    /// Whether a server has moved and its client has not answered yet.
    pub(super) fn hurries(&self) -> bool {
        self.server().is_some_and(Server::hurries)
    }

    /// Longest wait between probes.
    pub(super) fn pto_cap(&self) -> Option<Duration> {
        let hurries = match &self.migration {
            Some(Migration::Client(client)) => client.held_until().is_some(),
            Some(Migration::Server(server)) => server.hurries(),
            None => false,
        };
        hurries.then_some(PTO_CAP)
    }

    pub(super) fn write(&mut self, packet: &mut PacketWriter<'_>) {
        if let Some(migration) = &mut self.migration {
            migration.write(packet);
        }
    }
}
