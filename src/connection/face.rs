//! What an application may say to a connection and ask of it; streams, datagrams, paths and moves have more of their own.

use std::net::SocketAddr;

use rustls::CipherSuite;
use rustls::pki_types::CertificateDer;

use super::close::Farewell;
use super::{Connection, Datagrams, Migrations, Role};
use crate::error::CloseReason;
use crate::id::{ConnectionId, Dir, Side, StreamId};
use crate::net::Local;
use crate::packet::Version;
use crate::stats::Stats;
use crate::stream::{RecvStream, SendStream};
use crate::time::Instant;
use crate::varint::VarInt;

impl Connection {
    /// Opens a stream; `None` until the peer permits another ([`StreamEvent::Available`](crate::StreamEvent)), and before
    /// the handshake is complete unless [early data](Connection::early_data) is exchanged: **that may be replayed**.
    pub fn open(&mut self, dir: Dir) -> Option<StreamId> {
        if !self.phase.is_established() && !self.may_speak_early() {
            return None;
        }
        self.streams.open(dir)
    }

    /// Takes the next stream that the peer opened; `None` if there is none.
    pub fn accept(&mut self, dir: Dir) -> Option<StreamId> {
        self.streams.accept(dir)
    }

    /// The sending half of a stream; `None` if it is unknown, over, or not ours to send on.
    pub fn send(&mut self, id: StreamId) -> Option<SendStream<'_>> {
        self.streams.send(id)
    }

    /// The receiving half of a stream; `None` if it is unknown, over, or not ours to receive on.
    pub fn recv(&mut self, id: StreamId) -> Option<RecvStream<'_>> {
        self.streams.recv(id)
    }

    /// Ends the connection at once; what was not delivered is lost. A reason beyond 256 bytes is cut.
    pub fn close(&mut self, now: Instant, code: VarInt, reason: &[u8]) {
        if self.phase.is_open() {
            self.end(now, Farewell::application(code, reason), CloseReason::Local { code });
        }
    }

    /// The server's connection ID of the handshake, at both sides: a name that stays whatever is issued or retired.
    pub fn original_id(&self) -> ConnectionId {
        self.original_id
    }

    /// Where the peer is.
    pub fn remote(&self) -> SocketAddr {
        self.paths.home().tuple.remote
    }

    /// Our own end of the path in use.
    pub fn local(&self) -> Local {
        self.paths.home().tuple.local
    }

    /// Which side we are.
    pub fn side(&self) -> Side {
        match self.role {
            Role::Client { .. } => Side::Client,
            Role::Server { .. } => Side::Server,
        }
    }

    /// The version of QUIC that is spoken; it may change until the handshake is complete (RFC 9368).
    pub fn version(&self) -> Version {
        self.versions.current()
    }

    /// What was counted so far.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The protocol that ALPN chose, once the handshake is complete.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.summary.as_ref().and_then(|s| s.alpn.as_deref())
    }

    /// The server's name as the client gave it, once the handshake is complete; `None` at a server whose client gave an
    /// address.
    pub fn server_name(&self) -> Option<&str> {
        self.summary.as_ref().and_then(|s| s.server_name.as_deref())
    }

    /// The peer's certificate and those it was signed with, its own first, once the handshake is complete; none of an
    /// anonymous client.
    pub fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        self.summary.as_ref().map_or(&[], |s| &s.peer_certificates)
    }

    /// The cipher suite of TLS, once the handshake is complete.
    pub fn cipher_suite(&self) -> Option<CipherSuite> {
        self.summary.as_ref().and_then(|s| s.suite)
    }

    /// Whether the handshake stood on a ticket of an earlier connection instead of certificates; known once it is
    /// complete.
    pub fn is_resumed(&self) -> bool {
        self.summary.as_ref().is_some_and(|summary| summary.resumed)
    }

    /// Whether the handshake is complete and data flows.
    pub fn is_established(&self) -> bool {
        self.phase.is_established()
    }

    /// Whether the handshake is confirmed (RFC 9001, Section 4.1.2): not before then a client follows its server.
    pub fn is_confirmed(&self) -> bool {
        self.phase.is_confirmed()
    }

    /// Unreliable datagrams on this connection.
    pub fn datagrams(&mut self) -> Datagrams<'_> {
        Datagrams::new(self)
    }

    /// Server migration on this connection.
    pub fn migration(&mut self) -> Migrations<'_> {
        Migrations::new(self)
    }
}
