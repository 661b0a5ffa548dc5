//! What the application may say about unreliable datagrams (RFC 9221).

use bytes::Bytes;

use super::Connection;
use crate::datagram::joined;
use crate::error::SendDatagramError;
use crate::id::PathId;
use crate::packet::TAG_LEN;

/// The unreliable datagrams of a connection: each arrives whole or not at all, in any order, and is sent once.
#[derive(Debug)]
pub struct Datagrams<'a> {
    connection: &'a mut Connection,
}

impl<'a> Datagrams<'a> {
    pub(super) fn new(connection: &'a mut Connection) -> Self {
        Self { connection }
    }

    /// Queues a datagram; it leaves as the congestion window permits, in turns with stream data.
    ///
    /// # Errors
    ///
    /// [`SendDatagramError::Blocked`] until [`DatagramsUnblocked`](crate::ConnectionEvent::DatagramsUnblocked).
    pub fn send(&mut self, data: &[u8]) -> Result<(), SendDatagramError> {
        let room = self.connection.frame_room(self.connection.paths.home().id);
        self.connection.datagrams.send(data, room)
    }

    /// The oldest datagram received; `None` if there is none.
    pub fn recv(&mut self) -> Option<Bytes> {
        self.connection.datagrams.recv(joined)
    }

    /// The oldest datagram received takes the place of what `into` holds, whose room is used again; whether there was
    /// one.
    pub fn recv_into(&mut self, into: &mut Vec<u8>) -> bool {
        let taken = self.connection.datagrams.recv(|head, tail| {
            into.clear();
            into.extend_from_slice(head);
            // It is almost never in two pieces.
            if !tail.is_empty() {
                into.extend_from_slice(tail);
            }
        });
        taken.is_some()
    }

    /// Longest datagram that can be sent now, in bytes; `None` if the peer takes none, or before the handshake said.
    /// A move to another path can change it: a queued datagram that no longer fits is dropped.
    pub fn max_size(&self) -> Option<usize> {
        let connection = &*self.connection;
        connection.datagrams.max_size(connection.frame_room(connection.paths.home().id))
    }

    /// How many received datagrams were dropped since nobody fetched them in time.
    pub fn dropped_received(&self) -> u64 {
        self.connection.datagrams.dropped().0
    }

    /// How many datagrams were sent before the handshake was complete and not taken by the server: they are lost.
    pub fn lost_early(&self) -> u64 {
        self.connection.datagrams.lost_early()
    }

    /// How many queued datagrams were dropped since they no longer fit the path.
    pub fn dropped_queued(&self) -> u64 {
        self.connection.datagrams.dropped().1
    }
}

impl Connection {
    /// Bytes for frames that every 1-RTT packet on this path has, whatever the length of its number; before the
    /// handshake is complete, every 0-RTT packet.
    pub(super) fn frame_room(&self, path: PathId) -> usize {
        let path = self.paths.get(path).unwrap_or(self.paths.home());
        // A long header has a version, both IDs with their lengths, and its own length (RFC 9000, Section 17.2.3).
        let long = if self.spaces.sends_early() { 4 + 2 + self.local_ids.id_len() + 2 } else { 0 };
        usize::from(path.datagram_size).saturating_sub(1 + path.dcid.len() + long + 4 + TAG_LEN)
    }
}
