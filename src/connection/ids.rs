//! Connection IDs on the wire: what the peer issues and gives back, and what follows for paths and for the endpoint.

use std::sync::Arc;

use super::receive::Seen;
use super::{Connection, Note};
use crate::cid::{ConnectionIdGenerator, Owner, Replaced, TokenChange};
use crate::crypto::ResetKey;
use crate::error::TransportError;
use crate::frame::{NewConnectionId, RetireConnectionId};
use crate::id::{ConnectionId, PathId, ResetToken};
use crate::rng::Rng;
use crate::time::Instant;

/// Makes the IDs of all connections of an endpoint, and their reset tokens.
#[derive(Debug)]
pub(crate) struct Issuer {
    ids: Arc<dyn ConnectionIdGenerator>,
    key: ResetKey,
}

impl Issuer {
    pub(crate) fn new(ids: Arc<dyn ConnectionIdGenerator>, key: ResetKey) -> Self {
        Self { ids, key }
    }

    /// Makes other IDs, with the same tokens.
    pub(crate) fn with(&self, ids: Arc<dyn ConnectionIdGenerator>) -> Self {
        Self { ids, key: self.key.clone() }
    }

    /// A new ID of ours.
    pub(crate) fn generate(&self, rng: &mut dyn Rng) -> ConnectionId {
        self.ids.generate(rng)
    }

    /// The reset token of an ID of ours.
    pub(crate) fn token(&self, id: &ConnectionId) -> ResetToken {
        self.key.token(id)
    }

    /// Whose the ID of a packet without a connection is.
    pub(crate) fn owner(&self, id: &ConnectionId) -> Owner {
        self.ids.owner(id)
    }

    /// Whether a packet with this ID and without a connection may be answered with a reset.
    pub(crate) fn may_reset(&self, id: &ConnectionId) -> bool {
        self.ids.may_reset(id)
    }
}

impl Connection {
    pub(super) fn on_new_connection_id(
        &mut self,
        now: Instant,
        new: &NewConnectionId,
    ) -> Result<(), TransportError> {
        let Replaced { current, bound } = self.remote_ids.on_new(new)?;
        if let Some(id) = current {
            self.paths.home_mut().call(id);
        }
        for (tuple, id) in bound {
            let Some(path) = self.paths.at(tuple) else { continue };
            match id {
                Some(id) => self.show(path, id),
                // A path whose ID the peer wants back and for which there is no other cannot be used.
                None if path != self.paths.home().id => self.forget_path(path),
                None => {}
            }
        }
        if self.phase.is_confirmed() {
            self.try_preferred(now);
        }
        Ok(())
    }

    fn show(&mut self, path: PathId, id: ConnectionId) {
        if let Some(path) = self.paths.get_mut(path) {
            path.call(id);
            self.remote_ids.mark_used(path.tuple);
        }
    }

    pub(super) fn on_retire_connection_id(
        &mut self,
        retire: &RetireConnectionId,
        seen: &Seen<'_>,
    ) -> Result<(), TransportError> {
        if let Some(id) = self.local_ids.on_retire(retire, seen.dcid)? {
            self.steering.prompts = self.steering.prompts.saturating_sub(1);
            self.notes.push_back(Note::Retired(id));
        }
        self.issue_ids();
        Ok(())
    }

    /// Issues as many connection IDs as the peer keeps and we want it to have.
    pub(super) fn issue_ids(&mut self) {
        for _ in 0..self.local_ids.wanted() {
            let id = self.issuer.generate(&mut *self.rng);
            let token = self.issuer.token(&id);
            self.local_ids.issue(id, token);
            self.notes.push_back(Note::Issued(id));
        }
    }

    /// IDs come from another issuer from now on; the peer retires those it has.
    pub(crate) fn renew_ids(&mut self, issuer: &Arc<Issuer>) {
        self.issuer = Arc::clone(issuer);
        self.local_ids.outdate();
        // Before, the peer's limit is unknown: they are issued when the handshake is complete.
        if self.phase.is_established() {
            self.issue_ids();
        }
    }

    /// The next thing that the endpoint's tables must know.
    pub(crate) fn poll_note(&mut self) -> Option<Note> {
        let note = self.notes.pop_front();
        note.or_else(|| match self.remote_ids.poll_token()? {
            TokenChange::Watch(token) => Some(Note::Token(token)),
            TokenChange::Forget(token) => Some(Note::TokenGone(token)),
        })
    }
}
