//! One row a timer: read the deadline, expire the owner. Nothing is set or stopped; deadlines follow from state.

use super::Connection;
use super::phase::Phase;
use crate::error::CloseReason;
use crate::event::{TimerKind, Wake};
use crate::id::{PathId, SpaceId};
use crate::path::Expiry;
use crate::recovery::{Fates, PtoRules, RttView, Timeout};
use crate::time::{Instant, earliest};

/// Every timer of a connection, in the order in which they expire at the same instant.
const TIMERS: [TimerKind; 10] = [
    TimerKind::Close,
    TimerKind::Handshake,
    // Before the idle timer: a search that failed says so before the connection ends.
    TimerKind::Migration,
    TimerKind::Idle,
    TimerKind::Recovery,
    TimerKind::Ack,
    TimerKind::Path,
    TimerKind::KeepAlive,
    TimerKind::Keys,
    TimerKind::Pacer,
];

impl Connection {
    /// When the connection wants to be called, and what for.
    pub(crate) fn wake(&self, now: Instant) -> Option<Wake> {
        // What most deadlines are reckoned from is read once.
        let rules = self.pto_rules();
        let wake = |timer| Some(Wake { at: self.deadline(now, timer, &rules)?, timer });
        TIMERS.into_iter().filter_map(wake).min_by_key(|wake| wake.at)
    }

    /// Time has passed.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let mut rules = self.pto_rules();
        for timer in TIMERS {
            if self.deadline(now, timer, &rules).is_some_and(|at| at <= now) {
                self.expire(now, timer);
                rules = self.pto_rules();
            }
        }
    }

    #[inline]
    fn deadline(&self, now: Instant, timer: TimerKind, rules: &PtoRules) -> Option<Instant> {
        let open = self.phase.is_open();
        match timer {
            TimerKind::Close => self.phase.deadline(),
            TimerKind::Handshake => match self.phase {
                Phase::Handshaking { deadline } => Some(deadline),
                Phase::Established { .. } | Phase::Closing(_) | Phase::Draining { .. } | Phase::Drained => {
                    None
                }
            },
            TimerKind::Idle if open => self.idle_deadline(now, rules.rtt),
            TimerKind::KeepAlive if open && self.phase.is_established() => self.idle.keep_alive_deadline(),
            TimerKind::Recovery if open => self.recovery.deadline(rules),
            TimerKind::Ack if open => {
                self.spaces.iter().fold(None, |at, (_, s)| earliest(at, s.received.deadline()))
            }
            TimerKind::Path if open => {
                let validations = self.paths.iter().fold(None, |at, p| earliest(at, p.validation.deadline()));
                earliest(validations, self.former_deadline())
            }
            TimerKind::Migration if open => self.migration_deadline(),
            TimerKind::Keys if open => {
                let early = self.spaces.early_deadline();
                self.spaces.iter().fold(early, |at, (_, space)| earliest(at, space.keys.deadline()))
            }
            TimerKind::Pacer if open => self.pacer_deadline(now, rules.rtt),
            TimerKind::Idle
            | TimerKind::KeepAlive
            | TimerKind::Recovery
            | TimerKind::Ack
            | TimerKind::Path
            | TimerKind::Migration
            | TimerKind::Keys
            | TimerKind::Pacer
            | TimerKind::Relocation => None,
        }
    }

    /// The idle timer waits while a moved server is looked for, or a plan holds it (server-migration rules, 2.7, 4.8).
    fn idle_deadline(&self, now: Instant, rtt: RttView) -> Option<Instant> {
        let at = self.idle.deadline(rtt.pto_base(SpaceId::Data))?;
        self.steering.idle_held_until(now).map_or(Some(at), |held| Some(at.max(held)))
    }

    fn pacer_deadline(&self, now: Instant, rtt: RttView) -> Option<Instant> {
        let home = self.paths.home();
        // Whatever was kept back is waited for: STREAM data, datagrams, or control frames alone.
        if home.window.is_app_limited() || !self.paces() || !home.window.has_room() {
            return None;
        }
        home.pacer.ready_at(now, home.window.size(), rtt.smoothed)
    }

    /// Whether the server needs nothing from us any more to complete the handshake.
    ///
    /// An acknowledged Handshake packet does not say so (RFC 9002, Appendix A.8 takes it to): our Finished may be lost
    /// while 1-RTT packets, which the server cannot read yet, fill the window. Only a probe gets past that.
    fn server_has_all(&self) -> bool {
        !self.side().is_client() || self.phase.is_confirmed()
    }

    pub(super) fn pto_rules(&self) -> PtoRules {
        PtoRules {
            rtt: self.rtt(),
            handshake_confirmed: self.phase.is_confirmed(),
            has_handshake_keys: self.spaces.has(SpaceId::Handshake),
            // Until then a client keeps the server's hands free (RFC 9002, Section 6.2.2.1).
            peer_validated: self.server_has_all(),
            may_send: self.paths.home().budget() != Some(0),
            max_spacing: self.steering.pto_cap(),
        }
    }

    fn expire(&mut self, now: Instant, timer: TimerKind) {
        match timer {
            TimerKind::Close => self.phase = Phase::Drained,
            TimerKind::Handshake => self.vanish(CloseReason::HandshakeTimedOut),
            TimerKind::Idle => self.vanish(CloseReason::TimedOut),
            TimerKind::KeepAlive => {
                // What is under way asks already. A PING that comes before its probe timeout puts that off, for ever.
                if !self.recovery.has_ack_eliciting_in_flight(SpaceId::Data) {
                    self.control.ask();
                }
                self.idle.on_keep_alive(now);
            }
            TimerKind::Recovery => self.on_recovery_timeout(now),
            TimerKind::Ack => {
                for space in SpaceId::ALL {
                    if let Some(space) = self.spaces.get_mut(space) {
                        space.received.expire(now);
                    }
                }
            }
            TimerKind::Path => self.on_path_timeout(now),
            TimerKind::Migration => self.on_migration_timeout(now),
            TimerKind::Keys => {
                if self.spaces.expire(now) {
                    self.retire_first_dcid();
                }
            }
            // The next poll asks the pacer itself.
            TimerKind::Pacer | TimerKind::Relocation => {}
        }
    }

    fn on_recovery_timeout(&mut self, now: Instant) {
        let mut scratch = self.take_scratch();
        let fates = &mut scratch.fates;
        let rules = self.pto_rules();
        loop {
            fates.clear();
            let (paths, max_ack_delay) = (&self.paths, self.peer.max_ack_delay);
            let view = |id: PathId| paths.get(id).unwrap_or(paths.home()).rtt_view(max_ack_delay);
            match self.recovery.on_timeout(now, &rules, view, fates) {
                Some(Timeout::Lost(space)) => {
                    self.settle_windows(now, fates);
                    self.reconsider(now, space, fates);
                }
                Some(Timeout::Probe(space)) => {
                    self.probe_for_loss(now, space, fates);
                    break;
                }
                None => break,
            }
        }
        self.scratch = Some(scratch);
    }

    /// Two datagrams, with what is oldest in them: more likely to bring an answer than bare PINGs.
    fn probe_for_loss(&mut self, now: Instant, space: SpaceId, fates: &mut Fates) {
        self.stats.probe_timeouts += 1;
        // The old path's round trip was good for one timeout on the new one (server-migration rules, 3.2 and 5).
        let in_a_row = self.recovery.pto_count();
        let home = self.paths.home_mut();
        home.rtt.forget_hint();
        let was_watched = home.ecn.is_watched();
        home.ecn.on_timeout(in_a_row);
        self.stats.ecn_failures += u64::from(was_watched && !home.ecn.is_watched());
        self.recovery.reoffer_oldest(space, 2, fates);
        self.reconsider(now, space, fates);
        if self.spaces.sends_early() {
            // What went along with the first flight goes along again: only the handshake's spaces have a timer yet.
            fates.clear();
            self.recovery.reoffer_oldest(SpaceId::Data, 2, fates);
            self.reconsider(now, SpaceId::Data, fates);
        }
        // A server that has moved announces on a clock of its own, and takes along what is offered [3.1].
        let probes = if space == SpaceId::Data && self.steering.hurries() { 0 } else { 2 };
        if let Some(own) = self.spaces.get_mut(space) {
            own.probes = probes;
        }
        self.on_loss_timeout(now, space);
    }

    /// When the former home is forgotten; not while it may have to be home again.
    fn former_deadline(&self) -> Option<Instant> {
        let former = self.paths.get(self.paths.former()?)?;
        self.paths.former_deadline().filter(|_| !self.steering.keeps(former.tuple.remote))
    }

    fn on_path_timeout(&mut self, now: Instant) {
        if self.former_deadline().is_some_and(|at| at <= now)
            && let Some(former) = self.paths.former()
        {
            self.forget_path(former);
        }
        let due: smallvec::SmallVec<[PathId; 2]> = self
            .paths
            .iter()
            .filter(|p| p.validation.deadline().is_some_and(|at| at <= now))
            .map(|p| p.id)
            .collect();
        for id in due {
            let data = self.rng.bytes();
            let Some(path) = self.paths.get_mut(id) else { continue };
            match path.validation.expire(now) {
                Expiry::Nothing => {}
                Expiry::Again => path.validation.want(data),
                Expiry::Failed => self.on_validation_failed(id),
            }
        }
    }
}
