//! A Retry at a client: the same handshake once more, to another connection ID and with a token that shows our address
//! is real (RFC 9000, Sections 8.1.2 and 17.2.5).
//!
//! Obeyed once, and only before anything else was heard from the server.

use super::{Connection, Role};
use crate::config::MAX_TOKEN;
use crate::crypto::KeyRing;
use crate::id::{ConnectionId, Side, SpaceId};
use crate::net::FourTuple;
use crate::packet::retry::Retry;
use crate::stats::DropReason;
use crate::time::Instant;

/// What a Retry leaves with its client.
#[derive(Debug, PartialEq, Eq)]
pub struct Retried {
    /// Where it came from, which the server's transport parameters must confirm.
    pub scid: ConnectionId,
    /// To be repeated in every Initial.
    pub token: Box<[u8]>,
}

impl Retried {
    /// Reads a Retry that answers an Initial to `first_dcid`.
    ///
    /// # Errors
    ///
    /// Why it is not obeyed.
    fn read(packet: &[u8], first_dcid: &ConnectionId) -> Result<Self, DropReason> {
        let Retry { scid, token, .. } = Retry::read(packet, first_dcid).ok_or(DropReason::Undecryptable)?;
        if scid == *first_dcid || token.len() > MAX_TOKEN {
            return Err(DropReason::Malformed);
        }
        Ok(Self { scid, token: token.into() })
    }
}

impl Connection {
    /// Takes a Retry.
    ///
    /// # Errors
    ///
    /// Why it was discarded: a second one, one that comes too late, or one that does not answer our Initial.
    pub(super) fn on_retry(
        &mut self,
        now: Instant,
        from: &FourTuple,
        packet: &[u8],
    ) -> Result<(), DropReason> {
        let home = self.remote();
        let Role::Client { first_dcid, met_server: false, retried: retried @ None, .. } = &mut self.role
        else {
            return Err(DropReason::UnexpectedType);
        };
        if from.remote != home {
            return Err(DropReason::Gate);
        }
        let scid = retried.insert(Retried::read(packet, first_dcid)?).scid;
        self.remote_ids.set_handshake_id(scid);
        self.paths.home_mut().call(scid);
        if let Some(space) = self.spaces.get_mut(SpaceId::Initial) {
            space.keys = KeyRing::initial(self.versions.current(), &scid, Side::Client);
        }
        self.stats.retries += 1;
        self.send_again(now, SpaceId::Initial);
        if self.spaces.sends_early() {
            // A server that asks for proof has kept nothing. The keys stay, as the ClientHello does (Section 17.2.5.3).
            self.send_again(now, SpaceId::Data);
        }
        Ok(())
    }

    /// What was sent before is void, but its packet numbers stay used (RFC 9000, Section 17.2.5.3).
    pub(super) fn send_again(&mut self, now: Instant, space: SpaceId) {
        let mut scratch = self.take_scratch();
        let fates = &mut scratch.fates;
        fates.clear();
        self.recovery.abandon_all(space, fates);
        self.recovery.reset_backoff();
        self.settle_windows(now, fates);
        self.reconsider(now, space, fates);
        self.scratch = Some(scratch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Version;

    fn id(bytes: &[u8]) -> ConnectionId {
        ConnectionId::new(bytes).expect("a connection ID")
    }

    /// A Retry from `scid` with a token of `token_len` bytes, to a client whose Initial went to 01020304.
    fn retry(scid: &[u8], token_len: usize) -> Vec<u8> {
        let mut packet = vec![0; 2000];
        let retry =
            Retry { version: Version::V1, dcid: id(&[9; 8]), scid: id(scid), token: &vec![7; token_len] };
        let len = retry.write(&mut packet, &id(&[1, 2, 3, 4]), 0).expect("there is room");
        packet.truncate(len);
        packet
    }

    #[test]
    fn an_answer_to_our_initial_is_obeyed() {
        let obeyed = Retried::read(&retry(&[5, 6], 768), &id(&[1, 2, 3, 4]));
        assert_eq!(obeyed, Ok(Retried { scid: id(&[5, 6]), token: vec![7; 768].into() }));
    }

    #[test]
    fn an_answer_to_another_initial_is_not() {
        assert_eq!(Retried::read(&retry(&[5, 6], 20), &id(&[4, 3, 2, 1])), Err(DropReason::Undecryptable));
    }

    #[test]
    fn a_token_that_leaves_no_room_is_not_taken() {
        assert_eq!(Retried::read(&retry(&[5, 6], 769), &id(&[1, 2, 3, 4])), Err(DropReason::Malformed));
    }

    #[test]
    fn a_server_that_keeps_the_id_is_not_obeyed() {
        assert_eq!(Retried::read(&retry(&[1, 2, 3, 4], 20), &id(&[1, 2, 3, 4])), Err(DropReason::Malformed));
    }
}
