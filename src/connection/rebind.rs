//! A client's own moves: to another address at once, or to a path that was tried before (RFC 9000, Sections 9.1 to 9.5).
//!
//! The server's address stays what it is; a server that moves is `steer`'s business. The two know of each other only
//! what must not be said while the other is under way.

use std::time::Duration;

use smallvec::SmallVec;

use super::preferred::Preference;
use super::{Connection, Role};
use crate::error::PathError;
use crate::event::ConnectionEvent;
use crate::id::{ConnectionId, PacketNumber, PathId};
use crate::net::{FourTuple, Local};
use crate::path::{PathEvent, PathState};
use crate::time::Instant;

/// Paths that are probed, or were and wait to be moved to, at most.
const MAX_PROBES: usize = 3;
/// New addresses of a client that a server answers before the client acknowledges anything more, at most: what is sent to
/// each is remembered until something later is acknowledged.
const MAX_NEWCOMERS: u8 = 32;

/// What the connection keeps for a client's moves.
#[derive(Debug)]
pub(super) struct Moves {
    /// The server said disable_active_migration.
    forbidden: bool,
    /// Paths that the application asked for, oldest first.
    probed: SmallVec<[PathId; 1]>,
    /// The home that was moved to at once and has not answered yet.
    trial: Option<Trial>,
    /// Server: the ID of ours that its client called it by when it came to its home. `None`: the server itself has moved
    /// since, and is called by another for that.
    called: Option<ConnectionId>,
    /// What became of the server's preferred address.
    pub(super) preference: Preference,
    /// Server: how far its client had acknowledged when it came to a new address last, and how many came since.
    newcomers: (Option<PacketNumber>, u8),
}

/// A home that was moved to at once.
#[derive(Debug, Clone, Copy)]
struct Trial {
    path: PathId,
    /// The probe timeout of the home that was left, without back-off.
    left: Duration,
}

impl Moves {
    /// Begins where the handshake is made; `scid` is the ID that we are known by.
    pub(super) fn new(scid: ConnectionId) -> Self {
        Self {
            forbidden: false,
            probed: SmallVec::new(),
            trial: None,
            called: Some(scid),
            preference: Preference::None,
            newcomers: (None, 0),
        }
    }

    /// Whether the application asked for this path.
    pub(super) fn probes(&self, path: PathId) -> bool {
        self.probed.contains(&path)
    }

    fn has_on_trial(&self, path: PathId) -> bool {
        self.trial.is_some_and(|trial| trial.path == path)
    }

    /// What a probe timeout took on the path that was left for this one, if this one has yet to answer.
    pub(super) fn left_for(&self, path: PathId) -> Option<Duration> {
        self.trial.filter(|trial| trial.path == path).map(|trial| trial.left)
    }

    /// Whether a client tries this path, or has: the application asked for it, or the server prefers it.
    pub(super) fn tries(&self, path: PathId) -> bool {
        self.probes(path) || self.preference == Preference::Tried(path)
    }

    /// Whether a client calls us what it did when it came to its home, as far as that can be told: it was moved, if it
    /// was, without its knowledge.
    pub(super) fn knows_by(&self, dcid: &[u8]) -> bool {
        self.called.is_none_or(|called| *called == *dcid)
    }

    /// A client came to its home calling us so.
    pub(super) fn know_by(&mut self, dcid: &[u8]) {
        self.called = ConnectionId::new(dcid);
    }

    /// Whether one more new address of a client is answered that has acknowledged so far.
    pub(super) fn admits_newcomer(&mut self, acked: Option<PacketNumber>) -> bool {
        let (before, count) = &mut self.newcomers;
        if *before < acked {
            (*before, *count) = (acked, 0);
        }
        *count < MAX_NEWCOMERS
    }

    /// One more is.
    pub(super) fn count_newcomer(&mut self) {
        self.newcomers.1 += 1;
    }

    /// The server has moved.
    pub(super) fn know_by_anything(&mut self) {
        self.called = None;
    }

    /// The server wants its clients to stay where they are.
    pub(super) fn forbid(&mut self) {
        self.forbidden = true;
    }
}

impl Connection {
    /// Client: tries another address of ours while the connection stays at the one in use: whether the server can be
    /// reached from there, and what a round trip takes.
    ///
    /// [`PathEvent::Validated`] or [`PathEvent::Failed`] tells how it ended; a path that was validated is kept for
    /// [`rebind`](Self::rebind), and can be probed again. Nothing but probing frames is sent there, in at most three
    /// datagrams of 1200 bytes. Three paths are kept at a time: the oldest that was validated makes room for another.
    /// `local` may be on the same socket if the endpoint is told which address datagrams come to, else on another.
    ///
    /// # Errors
    ///
    /// Why nothing is sent; nothing has changed then.
    pub fn probe(&mut self, now: Instant, local: Local) -> Result<(), PathError> {
        self.may_move(local)?;
        if self.steering.awaits_move() {
            return Err(PathError::Busy);
        }
        let tuple = FourTuple { local, remote: self.remote() };
        let known = self.paths.at(tuple);
        let tried = |id: PathId| self.paths.get(id).is_some_and(|path| path.is_validated());
        let id = match known {
            Some(id) if self.moves.probes(id) && tried(id) => id,
            Some(_) => return Err(PathError::Known),
            None => {
                if self.moves.probed.len() == MAX_PROBES {
                    let oldest = self.moves.probed.iter().copied().find(|id| tried(*id));
                    self.forget_path(oldest.ok_or(PathError::Busy)?);
                }
                let dcid = self.show_another(tuple).ok_or(PathError::NoConnectionId)?;
                let id = self.add_path(tuple, dcid, PathState::Probed);
                self.moves.probed.push(id);
                id
            }
        };
        self.try_path(now, id);
        Ok(())
    }

    /// Client: the connection is at `local` from now on, and says so to its server at once.
    ///
    /// For a client that knows that its address has changed, or is about to, and that would otherwise learn of it by
    /// losing packets; whether the old one still carries anything does not matter. What was under way is sent again,
    /// under a connection ID that was not seen elsewhere (RFC 9000, Section 9.5); window and round trip begin afresh,
    /// but for the first probe timeout, unless the path was [probed](Self::probe) before. What still comes to the old address is taken for three probe
    /// timeouts: keep its socket for as long, if it can be kept.
    ///
    /// The move is not taken back if the new path fails: [`PathEvent::Failed`] says so, and the connection goes on
    /// trying until it is idle for too long or is moved again. While a server's own move is announced or looked for, the
    /// path is not asked, so that no event comes (server-migration rules, 5); the server asks.
    ///
    /// `local` may be the one in use: the socket was bound anew, or the kernel chooses another address.
    ///
    /// # Errors
    ///
    /// Why the connection stays where it is; nothing has changed then. A client that has lost its address all the same
    /// may use another without a call to this: its server will take it for the work of a NAT.
    pub fn rebind(&mut self, now: Instant, local: Local) -> Result<(), PathError> {
        self.may_move(local)?;
        let (before, left) = (self.paths.home().tuple, self.rtt());
        let tuple = FourTuple { local, ..before };
        if before.matches(tuple) {
            self.begin_again_here(now, tuple)?;
        } else {
            self.go_there(now, tuple)?;
        }
        // Only a packet that is no probe moves us in the eyes of the server (Section 9.2).
        self.ask();
        self.try_preferred(now);
        let home = self.paths.home().id;
        if self.moves.has_on_trial(home) {
            if !self.steering.awaits_move() {
                self.try_path(now, home);
            }
            // One probe timeout is as short as on the path that was left: whoever moves while its server does would look
            // for it a second later otherwise. Challenges wait for longer (Section 8.2.4).
            self.paths.home_mut().rtt.seed_hint(left.smoothed, left.variance);
        }
        Ok(())
    }

    fn go_there(&mut self, now: Instant, tuple: FourTuple) -> Result<(), PathError> {
        let (before, left) = (self.paths.home().tuple, self.seek_pto());
        let id = match self.paths.at(tuple) {
            Some(known) => known,
            None => {
                let dcid = self.show_another(tuple).ok_or(PathError::NoConnectionId)?;
                self.add_path(tuple, dcid, PathState::Probed)
            }
        };
        self.leave_place(before.local);
        self.moves.probed.retain(|probed| *probed != id);
        if let Some(path) = self.paths.get_mut(id)
            && !path.is_validated()
        {
            // That the server is at its address is known (Section 9.2); what is tried is the way there.
            path.validate();
            self.moves.trial = Some(Trial { path: id, left });
        }
        self.make_home(now, id);
        Ok(())
    }

    /// The same place, as far as we can tell, on another path, as far as we know.
    fn begin_again_here(&mut self, now: Instant, tuple: FourTuple) -> Result<(), PathError> {
        if !self.remote_ids.has_spare() {
            return Err(PathError::NoConnectionId);
        }
        let left = self.seek_pto();
        self.leave_place(tuple.local);
        self.begin_afresh(now);
        let home = self.paths.home_mut();
        home.tuple = tuple;
        home.rtt.forget_hint();
        self.moves.trial = Some(Trial { path: home.id, left });
        Ok(())
    }

    /// Whether our server may not know that we are here: we moved a while ago at most, or were not answered since.
    pub(super) fn has_come_unseen(&self) -> bool {
        let home = self.paths.home();
        let former = self.paths.former().and_then(|id| self.paths.get(id));
        self.moves.has_on_trial(home.id)
            || former.is_some_and(|former| !former.tuple.local.matches(home.tuple.local))
    }

    /// Nothing but home is sent from there any more: whoever looks for the server does so from the new place, with other
    /// challenges under other connection IDs.
    fn leave_place(&mut self, local: Local) {
        self.want_preferred_again();
        let others = self.paths.iter().skip(1).filter(|path| path.tuple.local.matches(local));
        let others: SmallVec<[PathId; 4]> = others.map(|path| path.id).collect();
        others.into_iter().for_each(|id| self.forget_path(id));
        self.remote_ids.leave(local);
    }

    fn may_move(&self, local: Local) -> Result<(), PathError> {
        if !self.phase.is_open() {
            return Err(PathError::Closed);
        }
        if matches!(self.role, Role::Server { .. }) {
            return Err(PathError::WrongSide);
        }
        if !self.phase.is_confirmed() {
            return Err(PathError::NotConfirmed);
        }
        // Who went where the server would rather be may go on from there (Section 18.2).
        if self.moves.forbidden && self.moves.preference != Preference::Settled {
            return Err(PathError::Forbidden);
        }
        if local.ip.is_some_and(|ip| ip.is_ipv4() != self.remote().is_ipv4()) {
            return Err(PathError::Family);
        }
        // A server without connection IDs tells its clients apart by their addresses (Section 9.5).
        if self.remote_ids.current().is_empty() {
            return Err(PathError::NoConnectionId);
        }
        Ok(())
    }

    /// A connection ID of the server's that was seen nowhere yet.
    pub(super) fn show_another(&mut self, tuple: FourTuple) -> Option<ConnectionId> {
        let bound = self.remote_ids.bind(tuple)?;
        self.remote_ids.mark_used(tuple);
        Some(bound.id)
    }

    /// Asks on a path until it answers, or long enough: no sooner again than what is known of both paths permits.
    pub(super) fn try_path(&mut self, now: Instant, id: PathId) {
        let (data, pto) = (self.rng.bytes(), self.pto());
        let max_ack_delay = self.peer.max_ack_delay;
        if let Some(path) = self.paths.get_mut(id) {
            let own = path.rtt_view(max_ack_delay).pto_base(crate::id::SpaceId::Data);
            path.validation.begin(now, data, own.max(pto));
        }
    }

    /// A client's challenge was answered.
    pub(super) fn on_path_proved(&mut self, now: Instant, id: PathId, rtt: Duration) {
        if self.moves.preference == Preference::Tried(id) {
            return self.settle_at_preferred(now, id);
        }
        let trial = self.moves.has_on_trial(id);
        if trial {
            self.moves.trial = None;
        }
        if let Some(path) = self.paths.get(id).filter(|_| trial || self.moves.probes(id)) {
            self.events.push_back(ConnectionEvent::Path(PathEvent::Validated { path: path.tuple, rtt }));
        }
    }

    /// A client's challenges were not.
    pub(super) fn on_path_failed(&mut self, id: PathId) {
        if self.moves.has_on_trial(id)
            && let Some(path) = self.paths.get(id)
        {
            self.moves.trial = None;
            self.events.push_back(ConnectionEvent::Path(PathEvent::Failed { path: path.tuple }));
        }
        if id != self.paths.home().id {
            self.forget_path(id);
        }
    }

    /// A path is forgotten: whoever asked for it is told.
    pub(super) fn on_path_forgotten(&mut self, id: PathId, path: FourTuple) {
        if self.moves.tries(id) {
            self.moves.probed.retain(|probed| *probed != id);
            if self.moves.preference == Preference::Tried(id) {
                self.moves.preference = Preference::None;
            }
            self.events.push_back(ConnectionEvent::Path(PathEvent::Failed { path }));
        }
    }

    /// The server is elsewhere: what is known of other ways to where it was is worth nothing.
    pub(super) fn end_probes(&mut self) {
        self.moves.trial = None;
        let probed = self.moves.probed.clone();
        probed.into_iter().for_each(|id| self.forget_path(id));
        if let Preference::Tried(id) = self.moves.preference {
            self.forget_path(id);
        }
    }
}
