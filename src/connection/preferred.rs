//! The server's preferred address: a client tries it and moves there, a server waits for it there (RFC 9000, Section 9.6).
//!
//! It is named in the handshake, for this connection alone, and settled once.

use std::net::SocketAddr;

use super::receive::Seen;
use super::{Connection, Note, Role};
use crate::error::TransportError;
use crate::event::ConnectionEvent;
use crate::frame::NewConnectionId;
use crate::id::{ConnectionId, PathId};
use crate::net::{FourTuple, Local};
use crate::params::PreferredAddress;
use crate::path::{PathEvent, PathState};
use crate::time::Instant;

/// The number of the connection ID that comes with a preferred address (RFC 9000, Section 5.1.1).
const SEQUENCE: u64 = 1;

/// Where the two sides stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Preference {
    /// The server named no address that counts, or it came to nothing.
    None,
    /// Client: there the server wants to be, which is to be tried.
    Wanted(SocketAddr),
    /// Client: this path leads there and is being tried.
    Tried(PathId),
    /// Server: the client may come to where we would rather be.
    Offered,
    /// Server: the client goes on there, on this path, and calls us this. It is not proved to be its own yet.
    Awaited(PathId, ConnectionId),
    /// The connection is there.
    Settled,
}

impl Connection {
    // ---- the server ---------------------------------------------------------------------------------

    /// What a server tells its client, with the connection ID to be called by there.
    pub(super) fn prefer(&mut self) -> Option<PreferredAddress> {
        let Role::Server { config, .. } = &self.role else { return None };
        let (v4, v6) = (config.preferred_v4, config.preferred_v6);
        if v4.is_none() && v6.is_none() {
            return None;
        }
        let id = self.issuer.generate(&mut *self.rng);
        self.local_ids.issue_in_handshake(id);
        self.notes.push_back(Note::Issued(id));
        self.moves.preference = Preference::Offered;
        let (v4, v6) = (v4.map(|(address, _)| address), v6.map(|(address, _)| address));
        Some(PreferredAddress { v4, v6, id, token: self.issuer.token(&id) })
    }

    /// Whether this is where a server would rather be, and its client may still come.
    pub(super) fn would_rather_be_at(&self, local: Local) -> bool {
        let Role::Server { config, .. } = &self.role else { return false };
        let open = matches!(self.moves.preference, Preference::Offered | Preference::Awaited(..));
        let places = [config.preferred_v4.map(|(_, at)| at), config.preferred_v6.map(|(_, at)| at)];
        open && places.into_iter().flatten().any(|place| place.matches(local))
    }

    /// Whether a server has gone where it would rather be, and this is where it was: nothing new is said there
    /// (RFC 9000, Section 9.6.2).
    pub(super) fn has_gone_from(&self, local: Local) -> bool {
        self.moves.preference == Preference::Settled && !self.local().matches(local)
    }

    /// The client goes on at another place of ours: we go there with it as soon as it is proved to be there itself.
    #[cold]
    pub(super) fn on_client_elsewhere(&mut self, now: Instant, seen: &Seen<'_>) {
        let Some(path) = self.paths.get(seen.path) else { return };
        match self.moves.preference {
            Preference::Offered | Preference::Awaited(..) if path.is_validated() => {
                self.settle_there(now, seen.path, seen.dcid);
            }
            Preference::Offered => {
                let called = ConnectionId::new(seen.dcid).unwrap_or(ConnectionId::EMPTY);
                self.moves.preference = Preference::Awaited(seen.path, called);
            }
            Preference::None
            | Preference::Wanted(_)
            | Preference::Tried(_)
            | Preference::Awaited(..)
            | Preference::Settled => {}
        }
    }

    /// A path to the client was proved: it may be the one that it goes on on.
    pub(super) fn on_elsewhere_proved(&mut self, now: Instant, path: PathId) {
        if let Preference::Awaited(awaited, called) = self.moves.preference
            && awaited == path
        {
            self.settle_there(now, path, &called);
        }
    }

    fn settle_there(&mut self, now: Instant, path: PathId, called: &[u8]) {
        self.moves.preference = Preference::Settled;
        self.follow(now, path, called);
        let path = self.paths.home().tuple;
        self.events.push_back(ConnectionEvent::Path(PathEvent::Preferred { path }));
    }

    // ---- the client ---------------------------------------------------------------------------------

    /// A server told where it would rather be.
    ///
    /// # Errors
    ///
    /// Its connection ID is one that it has already.
    pub(super) fn on_preferred(&mut self, preferred: &PreferredAddress) -> Result<(), TransportError> {
        // The ID is ours to use on any path, wherever the server wants to be.
        let PreferredAddress { v4, v6, id, token } = *preferred;
        let replaced =
            self.remote_ids.on_new(&NewConnectionId { sequence: SEQUENCE, retire_prior_to: 0, id, token })?;
        debug_assert_eq!(replaced, crate::cid::Replaced::default(), "nothing is retired in the handshake");
        let Role::Client { config, .. } = &self.role else { return Ok(()) };
        let Some(policy) = &config.preferred.0 else { return Ok(()) };
        let remote = self.remote();
        let address: Option<SocketAddr> =
            if remote.is_ipv4() { v4.map(SocketAddr::from) } else { v6.map(SocketAddr::from) };
        let Some(address) = address.filter(|address| *address != remote) else { return Ok(()) };
        if policy.permits(remote, address) {
            self.moves.preference = Preference::Wanted(address);
        } else {
            // The server is not told, or it could map our network (RFC 9000, Section 21.5.3).
            self.events.push_back(ConnectionEvent::Path(PathEvent::Refused { address }));
        }
        Ok(())
    }

    /// A client tries where its server would rather be, if that is still to be done and can be.
    pub(super) fn try_preferred(&mut self, now: Instant) {
        let Preference::Wanted(remote) = self.moves.preference else { return };
        let tuple = FourTuple { local: self.local(), remote };
        let Some(dcid) = self.show_another(tuple) else { return };
        let id = self.add_path(tuple, dcid, PathState::Probed);
        self.moves.preference = Preference::Tried(id);
        self.try_path(now, id);
    }

    /// We are elsewhere: what was tried from where we were is to be tried from here (RFC 9000, Section 9.6.3).
    pub(super) fn want_preferred_again(&mut self) {
        if let Preference::Tried(id) = self.moves.preference
            && let Some(path) = self.paths.get(id)
        {
            self.moves.preference = Preference::Wanted(path.tuple.remote);
            self.forget_path(id);
        }
    }

    /// The server answered where it would rather be: the connection goes on there.
    pub(super) fn settle_at_preferred(&mut self, now: Instant, id: PathId) {
        self.moves.preference = Preference::Settled;
        self.make_home(now, id);
        self.end_probes();
        // Only a packet that is no probe moves the connection in the eyes of the server.
        self.ask();
        let path = self.paths.home().tuple;
        self.events.push_back(ConnectionEvent::Path(PathEvent::Preferred { path }));
    }
}
