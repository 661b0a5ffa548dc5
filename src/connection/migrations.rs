//! What an application may say about the migration of one connection.

use super::Connection;
use crate::error::MigrationError;
use crate::migration::{ClientInput, Migration, MoveOrder};
use crate::negotiation::Agreement;
use crate::net::Local;
use crate::time::Instant;

/// Server migration on one connection (rules, 3 and 4.7). A whole endpoint is moved by
/// [`Endpoint::prepare_relocation`](crate::Endpoint::prepare_relocation).
#[derive(Debug)]
pub struct Migrations<'a> {
    connection: &'a mut Connection,
}

impl<'a> Migrations<'a> {
    pub(super) fn new(connection: &'a mut Connection) -> Self {
        Self { connection }
    }

    /// What was agreed. `None`: the peer said nothing; an empty one: nothing in common.
    pub fn agreement(&self) -> Option<Agreement> {
        self.connection.steering.agreement
    }

    /// Server: orders a move of this connection alone.
    ///
    /// [`MigrationEvent::Ready`](crate::MigrationEvent::Ready) says when it may be carried out.
    ///
    /// # Errors
    ///
    /// Why the order cannot be given; nothing has changed then.
    pub fn prepare(&mut self, now: Instant, order: MoveOrder) -> Result<(), MigrationError> {
        self.connection.prepare_move(now, order)
    }

    /// Server: the connection is at `local` from now on. Everything sent leaves from there, and the client is told.
    ///
    /// The copy left behind at the old address, if there is one, must stay silent for ever: two servers that seal with
    /// the same keys give them away.
    ///
    /// # Errors
    ///
    /// [`MigrationError::NotOrdered`] if no order was given and no strategy permits a move without one,
    /// [`MigrationError::Family`] for an address of another family; nothing has changed then.
    pub fn relocated(&mut self, now: Instant, local: Local) -> Result<(), MigrationError> {
        let connection = &mut *self.connection;
        if connection.side().is_client() {
            return Err(MigrationError::WrongSide);
        }
        if local.ip.is_some_and(|ip| ip.is_ipv4() != connection.remote().is_ipv4()) {
            return Err(MigrationError::Family);
        }
        connection.would_move().ok_or(MigrationError::NotOrdered)?;
        connection.relocate(now, local, now);
        Ok(())
    }

    /// Server: takes an order back that was not carried out. Until a migration completes it binds the next one.
    ///
    /// # Errors
    ///
    /// [`MigrationError::NotOrdered`] if there is none.
    pub fn cancel(&mut self, now: Instant) -> Result<(), MigrationError> {
        self.connection.cancel_move(now)
    }

    /// Client: looks for the announced server, or for one of its pool, now.
    ///
    /// # Errors
    ///
    /// [`MigrationError::Disabled`] without an agreement, [`MigrationError::WrongSide`] at a server,
    /// [`MigrationError::HandshakeNotComplete`] until the handshake is confirmed.
    pub fn seek_now(&mut self, now: Instant) -> Result<(), MigrationError> {
        match &self.connection.steering.migration {
            Some(Migration::Client(_)) if !self.connection.phase.is_confirmed() => {
                Err(MigrationError::HandshakeNotComplete)
            }
            Some(Migration::Client(_)) => {
                self.connection.inform_client(now, ClientInput::SeekNow);
                Ok(())
            }
            Some(Migration::Server(_)) => Err(MigrationError::WrongSide),
            None => Err(MigrationError::Disabled),
        }
    }
}
