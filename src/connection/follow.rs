//! A server follows its client: at once, on trust, and back again if the trust was misplaced (RFC 9000, Section 9.3).

use super::{Connection, Note};
use crate::error::CloseReason;
use crate::event::ConnectionEvent;
use crate::id::{PathId, SpaceId};
use crate::time::Instant;

impl Connection {
    /// A server follows its client at once, within the limit of three (RFC 9000, Section 9.3).
    ///
    /// `to` is the path it came on, and `called` our connection ID that it used.
    pub(super) fn follow(&mut self, now: Instant, to: PathId, called: &[u8]) {
        let (from, was_proven) = (self.paths.home().tuple, self.paths.home().is_validated());
        let Some(old) = self.go_to(to) else { return };
        self.moves.know_by(called);
        let home = self.paths.home();
        let (tuple, proven) = (home.tuple, home.is_validated());
        let remote = tuple.remote;
        self.remote_ids.adopt(tuple, from);
        if proven {
            self.paths.set_fallback(None);
        } else if was_proven {
            self.paths.set_fallback(Some(old));
        }
        if !proven {
            let data = self.rng.bytes();
            let pto = self.pto();
            self.paths.home_mut().validation.begin(now, data, pto);
        }
        if remote != from.remote {
            self.events.push_back(ConnectionEvent::PeerMoved { from: from.remote, to: remote });
        }
        self.renew_wishes(now);
        if proven {
            self.keep_former(now, old);
        }
        if was_proven && let Some(path) = self.paths.get_mut(old) {
            // The path just left is asked too, since the move may be an attacker's (Section 9.3.3).
            let data = self.rng.bytes();
            path.validation.want(data);
        }
    }

    /// The client is where this path leads to. Returns the path to where it was.
    ///
    /// Where nothing but its port has changed, by the work of a translator most probably, the network in between is the
    /// same: window and round trip are kept, and what is under way counts for them (RFC 9000, Section 9.4).
    fn go_to(&mut self, path: PathId) -> Option<PathId> {
        let (from, to) = (self.paths.home().tuple, self.paths.get(path)?.tuple);
        if from.remote.ip() == to.remote.ip() && from.local.matches(to.local) {
            return self.paths.trade_places(path).then_some(path);
        }
        self.paths.move_home(path)
    }

    /// Keeps a path that was home for three PTO more.
    pub(super) fn keep_former(&mut self, now: Instant, id: PathId) {
        let pto = self.pto();
        let own = self.paths.get(id).map(|p| p.rtt_view(self.peer.max_ack_delay).pto_base(SpaceId::Data));
        let longer = own.unwrap_or(pto).max(pto);
        if let Some(before) = self.paths.set_former(id, now + longer.saturating_mul(3)) {
            self.forget_path(before);
        }
    }

    /// A server's path to its client was proved: the one it came from lingers.
    pub(super) fn on_client_proved(&mut self, now: Instant, id: PathId) {
        if id != self.paths.home().id {
            return self.on_elsewhere_proved(now, id);
        }
        let Some(old) = self.paths.fallback() else { return };
        self.paths.set_fallback(None);
        let before = self.paths.get(old).map(|path| path.tuple.remote.ip());
        if before != Some(self.remote().ip()) {
            // Its token for a later connection is of use at the old address alone (Section 9.3).
            self.notes.push_back(Note::Confirmed(now));
        }
        self.keep_former(now, old);
    }

    /// A path did not answer: a server goes back to the address it knows (RFC 9000, Section 9.3.2).
    pub(super) fn on_validation_failed(&mut self, id: PathId) {
        if self.side().is_client() {
            return self.on_path_failed(id);
        }
        if self.paths.fallback() == Some(id) {
            // It was proved, and is asked whether it carries full datagrams too: it is the last address that is known,
            // and is kept for as long as another is taken on trust.
            return;
        }
        if id != self.paths.home().id {
            return self.forget_path(id);
        }
        if self.paths.home().is_validated() {
            // The client is there; that the path carries full datagrams is not known, and there is no better one.
            return;
        }
        let Some(fallback) = self.paths.fallback() else {
            // Without an address that was ever proved there is nobody to tell.
            return self.vanish(CloseReason::TimedOut);
        };
        let (before, failed) = (self.paths.home().tuple, self.paths.home().id);
        let failed = self.go_to(fallback).unwrap_or(failed);
        self.paths.set_fallback(None);
        let home = self.paths.home().tuple;
        self.remote_ids.adopt(home, before);
        self.forget_path(failed);
        let (from, to) = (before.remote, home.remote);
        self.events.push_back(ConnectionEvent::PeerMoved { from, to });
    }
}
