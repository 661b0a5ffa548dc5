//! Whether a packet may come from where it came, and which path it belongs to (RFC 9000, Section 9; server-migration
//! rules, 2.1 and 2.2).
//!
//! Asked for every authentic packet, before anything is learned from it; almost all come from home.

use super::receive::Came;
use super::{Connection, Role};
use crate::id::{PacketNumber, PathId, SpaceId};
use crate::migration::ClientInput;
use crate::net::{FourTuple, Local};
use crate::path::{Budget, MAX_FOREIGN_PATHS, PathState};
use crate::stats::DropReason;
use crate::time::Instant;

impl Connection {
    /// Whether a packet may come from there at all, and on which path (server-migration rules, 2.2).
    #[inline(always)]
    pub(super) fn gate(
        &mut self,
        now: Instant,
        came: &Came<'_>,
        space: SpaceId,
        number: PacketNumber,
        dcid: &[u8],
    ) -> Result<PathId, DropReason> {
        let (home, from) = (self.paths.home(), came.path);
        if home.tuple.remote == from.remote && home.tuple.local.matches(from.local) {
            return Ok(home.id);
        }
        self.gate_elsewhere(now, came, space, number, dcid)
    }

    /// The same for what did not come from home.
    #[cold]
    #[inline(never)]
    fn gate_elsewhere(
        &mut self,
        now: Instant,
        came: &Came<'_>,
        space: SpaceId,
        number: PacketNumber,
        dcid: &[u8],
    ) -> Result<PathId, DropReason> {
        match self.role {
            Role::Client { .. } => self.client_gate(now, *came.path, space, number),
            Role::Server { .. } => {
                let newest = self.spaces.get(space).is_some_and(|space| number >= space.received.expected());
                self.server_gate(now, *came.path, (space, newest), dcid)
            }
        }
    }

    /// A server lets a client come from anywhere once the handshake is confirmed, on a bounded number of paths.
    fn server_gate(
        &mut self,
        now: Instant,
        mut from: FourTuple,
        (space, newest): (SpaceId, bool),
        dcid: &[u8],
    ) -> Result<PathId, DropReason> {
        let home = self.paths.home().tuple;
        if self.steering.has_left(from.local) {
            // What was sent to where we were is as good as sent here (rules, 4.4).
            from.local = home.local;
        }
        if newest && self.has_gone_from(from.local) {
            return Err(DropReason::LocalAddress);
        }
        if let Some(known) = self.paths.at(from) {
            return Ok(known);
        }
        if home.local.matches(from.local) {
            from.local = home.local;
        } else if !self.would_rather_be_at(from.local) {
            return Err(DropReason::LocalAddress);
        }
        if space != SpaceId::Data || !self.phase.is_confirmed() {
            return Err(DropReason::Gate);
        }
        let acked = self.recovery.largest_acked(SpaceId::Data);
        if !self.moves.admits_newcomer(acked) {
            // It is listened to, lest its acknowledgements get lost, and not answered.
            return Ok(PathId::MUTE);
        }
        if self.paths.len() > MAX_FOREIGN_PATHS {
            let keep = [self.paths.former(), self.paths.fallback()];
            let oldest = self.paths.iter().skip(1).map(|p| p.id).find(|id| !keep.contains(&Some(*id)));
            self.forget_path(oldest.ok_or(DropReason::Gate)?);
        }
        // A new address wants an ID it was not seen with.
        let dcid = match self.remote_ids.bind(from) {
            Some(bound) => bound.id,
            // A client that does not know that it moved is known by the one in use (RFC 9000, Section 9.5).
            None if self.moves.knows_by(dcid) => self.paths.home().dcid,
            // One that does can be listened to, but not answered until it has issued another.
            None => return Ok(PathId::MUTE),
        };
        self.remote_ids.mark_used(from);
        self.moves.count_newcomer();
        let id = self.add_path(from, dcid, PathState::Unproven { budget: Budget::new() });
        // A client that only probes may be about to move: it finds its new address proved then (Section 9.6.3).
        self.try_path(now, id);
        Ok(id)
    }

    /// Which path a packet belongs to that did not come from home; a packet may make its source a candidate [2.1, 2.2].
    fn client_gate(
        &mut self,
        now: Instant,
        mut from: FourTuple,
        space: SpaceId,
        number: PacketNumber,
    ) -> Result<PathId, DropReason> {
        if let Some(known) = self.paths.at(from)
            && (self.paths.former() == Some(known) || self.moves.tries(known))
        {
            return Ok(known);
        }
        if self.has_just_left(from.local) {
            // A server that moves in the same round trip speaks to where we were: it is looked for from here.
            from.local = self.local();
        }
        if !self.local().matches(from.local) {
            return Err(DropReason::LocalAddress);
        }
        let client = self.steering.client().ok_or(DropReason::Gate)?;
        let home = self.remote();
        if space != SpaceId::Data || !self.phase.is_confirmed() {
            return Err(DropReason::Gate);
        }
        if !client.welcomes(from.remote, number, home) {
            if client.refuses(from.remote, number, home) {
                self.inform_client(now, ClientInput::Refused { from: from.remote });
            }
            return Err(DropReason::Gate);
        }
        self.candidate(from.remote).ok_or(DropReason::Gate)
    }

    /// Whether a client was at this place of its own before its last move, a while ago at most.
    fn has_just_left(&self, local: Local) -> bool {
        let former = self.paths.former().and_then(|id| self.paths.get(id));
        former.is_some_and(|former| former.tuple.local.matches(local)) && !self.local().matches(local)
    }
}
