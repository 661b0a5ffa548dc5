//! Tokens for later connections: a server gives them, a client's application keeps them (RFC 9000, Section 8.1.3).

use super::{Connection, Role};
use crate::config::MAX_TOKEN;
use crate::error::TransportError;
use crate::event::ConnectionEvent;
use crate::frame::NewToken;

/// Tokens of one server that the application is told of.
const MAX_TOKENS: u8 = 8;

impl Connection {
    /// Gives the client a token for a later connection.
    pub(crate) fn give_token(&mut self, token: Vec<u8>) {
        self.control.give(token);
    }

    #[cold]
    pub(super) fn on_new_token(&mut self, new: &NewToken<'_>) -> Result<(), TransportError> {
        let Role::Client { tokens, .. } = &mut self.role else {
            return Err(TransportError::protocol_violation("NEW_TOKEN from a client"));
        };
        // A server that gives more, or longer ones, is not at fault; they are of no use to us.
        if *tokens < MAX_TOKENS && new.token.len() <= MAX_TOKEN {
            *tokens += 1;
            self.events.push_back(ConnectionEvent::NewToken(new.token.to_vec()));
        }
        Ok(())
    }
}
