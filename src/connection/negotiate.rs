//! Going over to another version: within a handshake, as its server or its client, and by beginning anew upon a Version
//! Negotiation packet (RFC 9368, Sections 2.1 and 2.3; RFC 9369, Section 4.1).

use std::sync::Arc;

use super::birth::Attempt;
use super::handshake::client_params;
use super::versions::{Advice, Reading};
use super::{Connection, Role, handshake};
use crate::crypto::KeyRing;
use crate::error::{CloseReason, TransportError};
use crate::id::{ConnectionId, Side, SpaceId};
use crate::net::FourTuple;
use crate::packet::{PacketHeader, Version, negotiable_versions};
use crate::params::VersionInformation;
use crate::stats::DropReason;
use crate::time::Instant;

impl Connection {
    // ---- packets of several versions ----------------------------------------------------------

    /// How a packet with a long header is to be read.
    pub(super) fn reading(&self, header: &PacketHeader) -> Reading {
        let own: &[Version] = match &self.role {
            Role::Client { config, .. } => &config.versions.preferred,
            Role::Server { .. } => &[],
        };
        let heard = self.spaces.get(SpaceId::Initial).is_none_or(|space| space.crypto.has_heard());
        self.versions.reading(header, own, heard)
    }

    /// Prepares for a packet of this space that is read so; [`Connection::after_reading`] must follow.
    pub(super) fn before_reading(&mut self, reading: Reading, space: SpaceId) {
        match reading {
            Reading::Former => self.exchange_keys(),
            // Without keys a Handshake packet decides nothing; it is kept until an Initial has.
            Reading::Other(version) if space == SpaceId::Initial => self.go_over(version),
            Reading::Other(_) | Reading::Current | Reading::Never => {}
        }
    }

    /// The packet was taken in, or dropped: then its version means nothing.
    pub(super) fn after_reading(&mut self, reading: Reading, before: Version, was_dropped: bool) {
        match reading {
            Reading::Former => self.exchange_keys(),
            Reading::Other(_) if was_dropped && self.versions.current() != before => self.go_over(before),
            Reading::Other(_) | Reading::Current | Reading::Never => {}
        }
    }

    /// Puts the keys of the version before in the place of those in use, and those in theirs.
    fn exchange_keys(&mut self) {
        if let (Some(former), Some(space)) = (self.versions.former(), self.spaces.get_mut(SpaceId::Initial)) {
            std::mem::swap(&mut **former, &mut space.keys);
        }
    }

    // ---- within a handshake -------------------------------------------------------------------

    /// A server decides on the version, knowing what the client says of it, and says so itself.
    ///
    /// # Errors
    ///
    /// VERSION_NEGOTIATION_ERROR if there is none that may be.
    pub(super) fn agree_on_version(
        &mut self,
        client: Option<&VersionInformation>,
    ) -> Result<VersionInformation, TransportError> {
        let Role::Server { config, first_dcid, .. } = &self.role else {
            return Err(TransportError::internal("a client answers nobody"));
        };
        let own = &config.versions;
        let version = self.versions.agree(&own.accepted, own.is_ordered, client)?;
        let changes = version != self.versions.current();
        self.versions.change(version);
        if let Some(space) = self.spaces.get_mut(SpaceId::Initial).filter(|_| changes) {
            let keys = KeyRing::initial(version, first_dcid, Side::Server);
            self.versions.keep(std::mem::replace(&mut space.keys, keys));
        }
        Ok(self.versions.information(&own.accepted, &mut *self.rng))
    }

    /// A client goes over to the version of its server's packets, or back.
    fn go_over(&mut self, version: Version) {
        let Role::Client { first_dcid, retried, .. } = &self.role else { return };
        let named_by = retried.as_ref().map_or(first_dcid, |retried| &retried.scid);
        if let Some(space) = self.spaces.get_mut(SpaceId::Initial) {
            space.keys = KeyRing::initial(version, named_by, Side::Client);
        }
        if let Some(tls) = &mut self.tls {
            tls.set_version(version);
        }
        self.versions.change(version);
    }

    // ---- anew ---------------------------------------------------------------------------------

    /// Takes a Version Negotiation packet to `dcid` from `scid`, whose versions are in `body`.
    ///
    /// # Errors
    ///
    /// Why it was discarded: it does not answer our first flight, comes too late, or names the version we tried.
    #[cold]
    pub(super) fn on_version_negotiation(
        &mut self,
        now: Instant,
        from: &FourTuple,
        (dcid, scid): (ConnectionId, ConnectionId),
        body: &[u8],
    ) -> Result<(), DropReason> {
        let Role::Client { config, first_dcid, met_server: false, retried: None, .. } = &self.role else {
            return Err(DropReason::UnexpectedType);
        };
        if from.remote != self.remote() {
            return Err(DropReason::Gate);
        }
        if scid != *first_dcid || dcid != self.original_local_id() {
            return Err(DropReason::ForeignId);
        }
        match self.versions.advised(&config.versions.preferred, negotiable_versions(body)) {
            Advice::Ignored => Err(DropReason::UnexpectedType),
            Advice::Hopeless(offered) => {
                self.vanish(CloseReason::NoCommonVersion { offered });
                Ok(())
            }
            Advice::Again(version) => {
                if let Err(fault) = self.begin_again(now, version) {
                    self.vanish(CloseReason::Fault(fault));
                }
                Ok(())
            }
        }
    }

    /// What was begun is void, and nothing of it is known to the server: another connection, but for its handle and our
    /// own ID.
    fn begin_again(&mut self, now: Instant, version: Version) -> Result<(), TransportError> {
        const REFUSED: TransportError = TransportError::internal("TLS refused to begin again");
        let Role::Client { config, first_dcid, .. } = &mut self.role else { return Ok(()) };
        let config = Arc::clone(config);
        let dcid = ConnectionId::new(&self.rng.bytes::<8>()).expect("eight bytes are a connection ID");
        *first_dcid = dcid;
        self.versions.begin_again(version);
        let name = self.tls.as_ref().and_then(|tls| tls.asked_for()).ok_or(REFUSED)?;
        let said = self.versions.information(&config.versions.preferred, &mut *self.rng);
        let params = client_params(&config, self.original_local_id(), said);
        // What was sent early waits for the handshake now; nothing was if the first flight was one for nobody to read.
        let early = config.early_data && self.early_data().is_none();
        let tls = handshake::begin_tls(&config, name, params, version, early).map_err(|_| REFUSED)?;
        if self.spaces.sends_early() {
            self.send_again(now, SpaceId::Data);
        }

        let mut scratch = self.take_scratch();
        scratch.fates.clear();
        self.recovery.abandon_all(SpaceId::Initial, &mut scratch.fates);
        self.settle_windows(now, &scratch.fates);
        self.scratch = Some(scratch);
        let keys = KeyRing::initial(version, &dcid, Side::Client);
        let attempt = Attempt::new(tls, keys, &self.config, dcid, handshake::id_limit(&config));
        let Attempt { tls, spaces, recovery, remote_ids, early } = attempt;
        self.tls = Some(tls);
        (self.spaces, self.recovery, self.remote_ids, self.early) = (spaces, recovery, remote_ids, early);
        self.paths.home_mut().call(dcid);
        self.advance_handshake(now)
    }
}
