//! 0-RTT: data before the handshake is complete (RFC 9001, Section 4.6; RFC 9000, Section 7.4.1).
//!
//! A client that holds a ticket sends within the limits of the connection that the ticket is from; the server decides
//! with its answer to the ClientHello whether it takes the data. What it does not take is sent again once the handshake
//! is complete. A server takes the data in at once and may answer it at once.

use super::Connection;
use super::space::Space;
use crate::crypto::KeyRing;
use crate::error::TransportError;
use crate::event::ConnectionEvent;
use crate::frame::Ack;
use crate::id::{PacketNumber, SpaceId};
use crate::params::{Common, LIMITS, ServerParams};
use crate::time::Instant;

/// What becomes of data that is sent before the handshake is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EarlyData {
    /// A client may open streams and send on them now, and datagrams if they were permitted in the earlier connection.
    /// **What it sends can be replayed**; see [`ClientConfig::early_data`](crate::ClientConfig::early_data).
    Offered,
    /// The server takes it. At the server: what is read before [`Connected`](ConnectionEvent::Connected) **may be a
    /// replay**; see [`ServerConfig::early_data`](crate::ServerConfig::early_data).
    Accepted,
    /// The server did not take it. What was written on streams is sent again, in the same streams, as soon as the
    /// server's new limits permit; unreliable datagrams are lost, and counted as
    /// [`lost_early`](crate::Datagrams::lost_early).
    ///
    /// Nothing has been sent again when this is told: a client that offered several protocols looks first whether
    /// [`alpn`](crate::Connection::alpn) is the one it spoke, and resets its streams if it is not.
    Rejected,
}

/// Where 0-RTT stands in a connection.
#[derive(Debug)]
pub(super) enum EarlyState {
    /// It was not tried.
    Unused,
    /// A client sends, or would, under these limits of an earlier connection.
    Offered(Box<[u64; LIMITS]>),
    /// It is decided.
    Decided {
        early: EarlyData,
        /// A client's packets with lower numbers were of 0-RTT.
        before: PacketNumber,
    },
}

impl Connection {
    /// Whether data is exchanged before the handshake is complete, and what becomes of it; `None` if it is not.
    pub fn early_data(&self) -> Option<EarlyData> {
        match self.early_state {
            EarlyState::Unused => None,
            EarlyState::Offered(_) => Some(EarlyData::Offered),
            EarlyState::Decided { early, .. } => Some(early),
        }
    }

    /// At a server: whether what is read now **may be a replay**, since it came in 0-RTT packets and the handshake is
    /// not complete (RFC 9001, Section 9.2). Act only on what does no harm when done twice, or wait for
    /// [`Connected`](ConnectionEvent::Connected): an attacker who repeats what a client once sent cannot complete a
    /// handshake. At a client: whether what is sent now may be replayed.
    pub fn is_early(&self) -> bool {
        self.may_speak_early() && !self.phase.is_established()
    }

    /// Whether there are keys for data before the handshake is complete.
    pub(super) fn may_speak_early(&self) -> bool {
        self.spaces.has_early_keys()
    }

    /// A client has a ticket that permits 0-RTT, and the parameters that came with it.
    pub(super) fn begin_early_data(&mut self, keys: KeyRing, remembered: &[u8]) {
        // They were read before, when they were new. Others were not remembered by us, and are of no use.
        let Ok(ServerParams { common, .. }) = ServerParams::decode(remembered) else { return };
        self.early_state = EarlyState::Offered(Box::new(common.limits()));
        let space = Space::new(SpaceId::Data, keys, self.config.max_ack_delay);
        self.spaces.begin_sending_early(space);
        // ACK delays, IDs and tokens are not remembered, nor is what was agreed on server migration: nobody moves before
        // the handshake is confirmed.
        self.apply_limits(&common);
        let size = u16::try_from(common.max_udp_payload_size).unwrap_or(u16::MAX);
        if size < self.paths.home().datagram_size {
            // For now: what the server takes today, it will say.
            self.paths.home_mut().set_datagram_size(size);
        }
        self.events.push_back(ConnectionEvent::EarlyData(EarlyData::Offered));
    }

    /// A server accepts 0-RTT.
    pub(super) fn accept_early_data(&mut self, keys: KeyRing) {
        self.spaces.begin_receiving_early(keys);
        self.decide(EarlyData::Accepted);
    }

    /// Another ClientHello was asked for: the server has not taken anything, and will not.
    pub(super) fn suspend_early_data(&mut self) {
        self.spaces.end_sending_early();
    }

    /// A client's handshake is complete, and these are the server's parameters: they are taken over, and what was sent
    /// early is settled.
    ///
    /// # Errors
    ///
    /// PROTOCOL_VIOLATION if the server took early data under limits that it lowered.
    pub(super) fn settle_early_data(
        &mut self,
        now: Instant,
        server: &Common,
        accepted: bool,
    ) -> Result<(), TransportError> {
        let EarlyState::Offered(remembered) = &self.early_state else { return Ok(()) };
        if accepted {
            server.keeps(remembered)?;
            self.streams.on_early_accepted(server.into());
            self.decide(EarlyData::Accepted);
        } else {
            self.spaces.end_sending_early();
            self.send_again(now, SpaceId::Data);
            self.streams.on_early_rejected(server.into());
            self.datagrams.on_early_rejected();
            self.decide(EarlyData::Rejected);
        }
        Ok(())
    }

    fn decide(&mut self, early: EarlyData) {
        let before = self.recovery.next_number(SpaceId::Data);
        self.early_state = EarlyState::Decided { early, before };
        self.events.push_back(ConnectionEvent::EarlyData(early));
    }

    /// Whether a client's packet in the Data space was of 0-RTT.
    pub(super) fn was_early(&self, number: PacketNumber) -> bool {
        matches!(self.early_state, EarlyState::Decided { before, .. } if number < before)
    }

    /// Looks at an acknowledgement before the handshake is confirmed.
    ///
    /// # Errors
    ///
    /// PROTOCOL_VIOLATION if it is of a 0-RTT packet, and the server took none (RFC 9001, Section 4.6.2).
    #[cold]
    pub(super) fn check_early_ack(&self, ack: &Ack<'_>) -> Result<(), TransportError> {
        let EarlyState::Decided { early: EarlyData::Rejected, .. } = self.early_state else { return Ok(()) };
        if ack.ranges().any(|range| self.was_early(*range.start())) {
            return Err(TransportError::protocol_violation("0-RTT packets were acknowledged and not taken"));
        }
        Ok(())
    }

    /// Whether a 0-RTT packet may be of use: there are keys for it, or will be when the ClientHello is whole.
    pub(super) fn expects_early_data(&self) -> bool {
        self.spaces.receives_early() || self.tls.as_ref().is_some_and(|tls| tls.is_listening())
    }
}
