//! Connection IDs on the wire: what the peer issues and gives back, and what follows for paths and for the endpoint.

use super::{Connection, Note};
use crate::error::TransportError;
use crate::frame::{NewConnectionId, RetireConnectionId};

impl Connection {
    pub(super) fn on_new_connection_id(&mut self, new: &NewConnectionId) -> Result<(), TransportError> {
        self.remote_ids.on_new(new)?;
        Ok(())
    }

    pub(super) fn on_retire_connection_id(&mut self, retire: &RetireConnectionId) -> Result<(), TransportError> {
        if let Some(id) = self.local_ids.on_retire(retire)? {
            self.notes.push_back(Note::Retired(id));
        }
        self.issue_ids();
        Ok(())
    }
}
