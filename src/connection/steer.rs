//! Carrying out what `migration/` decides: on paths, connection IDs, recovery and the application's events.
//!
//! Nothing is decided here but what the rules leave to whoever knows paths: which connection ID an address is shown,
//! and what begins afresh when a path becomes home.

use std::net::SocketAddr;
use std::time::Duration;

use super::receive::Seen;
use super::{Connection, Role};
use crate::config::ClientConfig;
use crate::error::{CloseReason, TransportError};
use crate::event::ConnectionEvent;
use crate::frame::{Ack, Frame, Record};
use crate::id::{PacketNumber, PathId, ResetToken, SpaceId};
use crate::migration::{
    Action, Actions, Client, ClientInput, ClientSettings, Facts, Heard, Migration, MigrationEvent, Server,
    ServerInput,
};
use crate::net::FourTuple;
use crate::path::{Path, PathState};
use crate::recovery::{Fates, Recovery, Rtt};
use crate::time::Instant;

/// Spare connection IDs that a client which agreed on migration keeps issued [2.10].
const CLIENT_SPARE_IDS: usize = 8;

impl Connection {
    /// The handshake is complete: the machine of our side begins, if there is an agreement.
    pub(super) fn begin_migration(&mut self, now: Instant) {
        let Some(agreement) = self.steering.agreement.filter(|agreement| !agreement.strategies().is_empty())
        else {
            return;
        };
        let client = self.remote();
        self.steering.migration = match &self.role {
            Role::Client { config, .. } => {
                let Some(settings) = client_settings(config, u64::from_be_bytes(self.rng.bytes())) else {
                    return;
                };
                self.local_ids.set_target(CLIENT_SPARE_IDS);
                Some(Migration::Client(Box::new(Client::new(now, agreement, settings))))
            }
            Role::Server { config, .. } => {
                let Some(settings) = &config.migration else { return };
                // A client takes an address that it cannot reach for a violation (reference, C5).
                let pool = settings.pool.iter().filter(|member| member.like(client).is_some());
                let pool: Vec<_> = pool.copied().collect();
                self.local_ids.set_target(pool.len() + 2);
                let server = Server::new(now, agreement, &pool, settings.deadline);
                Some(Migration::Server(Box::new(server)))
            }
        };
    }

    /// What the machines must know of the connection.
    pub(super) fn facts(&self) -> Facts {
        let max_ack_delay = self.peer.max_ack_delay;
        let pto = self.seek_pto();
        let initial = Rtt::new(self.config.initial_rtt).view(max_ack_delay).pto_base(SpaceId::Data);
        Facts {
            home: self.remote(),
            pto,
            patience: initial.max(self.rtt().latest).max(pto).saturating_mul(3),
            spare_ids: self.local_ids.spare_issued() as u64,
            quiet: !self.recovery.has_ack_eliciting_in_flight(SpaceId::Data),
            receiving: self.streams.is_receiving(),
            former: self.former_here().map(|path| path.tuple.remote),
        }
    }

    /// The probe timeout that a search goes by, without back-off: on a home that we moved to and that has not answered, the
    /// one of the home that was left. A second of nothing known is for what fills a path; seeks have their own bounds.
    pub(super) fn seek_pto(&self) -> Duration {
        let (home, pto) = (self.paths.home(), self.pto());
        let left = self.moves.left_for(home.id).filter(|_| !self.rtt().has_sample);
        left.map_or(pto, |left| left.min(pto))
    }

    /// The former home, unless it was left because we moved: the server's search knows nothing of that.
    fn former_here(&self) -> Option<&Path> {
        let former = self.paths.get(self.paths.former()?)?;
        former.tuple.local.matches(self.local()).then_some(former)
    }

    pub(super) fn migration_deadline(&self) -> Option<Instant> {
        match self.steering.migration.as_ref()? {
            Migration::Client(client) => client.due(&self.facts()),
            Migration::Server(server) => server.due(&self.facts()),
        }
    }

    /// The candidate that new data goes to, within its budget.
    pub(super) fn lead(&self, now: Instant) -> Option<PathId> {
        self.paths.to(self.steering.client()?.lead(now)?)
    }

    // ---- telling the machine ------------------------------------------------------------------------

    fn tell_client(&mut self, now: Instant, input: ClientInput) -> Result<(), TransportError> {
        // Every packet comes by here; without a migration nobody wants the facts.
        if self.steering.client().is_none() {
            return Ok(());
        }
        let facts = self.facts();
        let Some(Migration::Client(client)) = &mut self.steering.migration else { return Ok(()) };
        let actions = client.step(now, input, &facts)?;
        self.carry_out(now, actions);
        Ok(())
    }

    /// For inputs that are not frames: those are never faults of the peer.
    pub(super) fn inform_client(&mut self, now: Instant, input: ClientInput) {
        if let Err(fault) = self.tell_client(now, input) {
            self.fail(now, fault);
        }
    }

    pub(super) fn tell_server(&mut self, now: Instant, input: ServerInput) {
        if self.steering.server().is_none() {
            return;
        }
        let facts = self.facts();
        let Some(Migration::Server(server)) = &mut self.steering.migration else { return };
        let actions = server.step(now, input, &facts);
        self.carry_out(now, actions);
    }

    pub(super) fn on_migration_timeout(&mut self, now: Instant) {
        match &self.steering.migration {
            Some(Migration::Client(_)) => self.inform_client(now, ClientInput::Due),
            Some(Migration::Server(_)) => self.tell_server(now, ServerInput::Due),
            None => {}
        }
    }

    pub(super) fn on_loss_timeout(&mut self, now: Instant, space: SpaceId) {
        // There are no candidates before the handshake is confirmed [2.1].
        if space == SpaceId::Data && self.phase.is_confirmed() {
            self.inform_client(now, ClientInput::LossTimeout);
        }
    }

    /// An ACK of 1-RTT packets was sent.
    pub(super) fn on_ack_went(&mut self, now: Instant) {
        if self.phase.is_confirmed() && self.steering.client().is_some_and(Client::awaits_ack) {
            self.inform_client(now, ClientInput::AckSent);
        }
    }

    pub(super) fn on_announced(&mut self, now: Instant) {
        self.tell_server(now, ServerInput::Announced);
    }

    /// So many datagrams of data were sent on home.
    pub(super) fn on_data_sent(&mut self, now: Instant, datagrams: u64) {
        if self.steering.server().is_some_and(Server::has_moved) {
            (0..datagrams).for_each(|_| self.tell_server(now, ServerInput::DataSent));
        }
    }

    pub(super) fn client_arrival(&mut self, now: Instant, seen: &Seen<'_>) {
        if self.steering.client().is_some() {
            let (from, number, says_more) = (seen.from.remote, seen.number, seen.says_more());
            self.inform_client(now, ClientInput::Arrived { from, number, says_more });
        }
    }

    pub(super) fn server_arrival(&mut self, now: Instant, seen: &Seen<'_>) {
        if self.steering.server().is_some() {
            self.tell_server(now, ServerInput::Arrived { says_more: seen.says_more() });
        }
    }

    pub(super) fn on_duplicate(&mut self, now: Instant, from: &FourTuple, number: PacketNumber) {
        if from.remote == self.remote() {
            self.inform_client(now, ClientInput::Duplicate { number });
        }
    }

    pub(super) fn on_migration_acked(&mut self, now: Instant, record: &Record) {
        self.tell_server(now, ServerInput::Acked(*record));
    }

    pub(super) fn on_migration_lost(&mut self, now: Instant, record: &Record) {
        self.tell_server(now, ServerInput::Lost(*record));
    }

    /// Whether this acknowledged number is the first one after a switch: the sign that the client follows.
    #[inline]
    pub(super) fn answers_switch(&self, largest: PacketNumber) -> bool {
        self.steering.switch.is_some_and(|(first, _)| largest >= first && self.steering.hurries())
    }

    pub(super) fn on_switch_answered(&mut self, now: Instant) {
        if self.steering.hurries() {
            self.tell_server(now, ServerInput::AckedAfterSwitch);
        }
    }

    pub(super) fn on_migration_frame(
        &mut self,
        now: Instant,
        frame: &Frame<'_>,
        seen: &mut Seen<'_>,
    ) -> Result<(), TransportError> {
        let frame = match frame {
            Frame::ServerMigration(migration) => Heard::Migration(*migration),
            Frame::ServerMigrated => Heard::Migrated,
            Frame::PoolMigrationAddress(pool) => Heard::Pool(pool.target),
            _ => return Ok(()),
        };
        if self.migration_config().is_none() {
            return Err(TransportError::frame_encoding("the frame type is unknown"));
        }
        self.refuse_from_client("a migration frame from a client")?;
        if self.steering.client().is_none() {
            return Err(TransportError::protocol_violation("a migration frame though nothing was agreed"));
        }
        seen.urgent = true;
        self.tell_client(now, ClientInput::Frame { number: seen.number, from: seen.from.remote, frame })
    }

    // ---- candidates ---------------------------------------------------------------------------------

    /// The path to a candidate; `None` if there is no connection ID to show there.
    pub(super) fn candidate(&mut self, address: SocketAddr) -> Option<PathId> {
        if let Some(known) = self.paths.to(address) {
            return Some(known);
        }
        let tuple = FourTuple { local: self.local(), remote: address };
        let strict = self.migration_config().is_some_and(|config| config.strict_ids);
        let dcid = match self.remote_ids.bind(tuple) {
            Some(bound) => bound.id,
            None if strict => return None,
            // A server that issued no spare ID could not be found otherwise: a deliberate deviation [2.10].
            None => self.remote_ids.current(),
        };
        self.remote_ids.mark_used(tuple);
        Some(self.add_path(tuple, dcid, PathState::Silent))
    }

    // ---- challenges -----------------------------------------------------------------------------------

    pub(super) fn on_path_challenge(&mut self, now: Instant, data: [u8; 8], seen: &Seen<'_>) {
        let is_client = self.side().is_client();
        // One that came to where a client was before is about that place: it is not answered from another (RFC 9000,
        // Section 8.2.2).
        if let Some(path) = self.paths.get_mut(seen.path)
            && (!is_client || path.tuple.local.matches(seen.from.local))
        {
            path.validation.on_challenge(data);
        }
        self.tell_server(now, ServerInput::Challenged);
    }

    pub(super) fn on_path_response(&mut self, now: Instant, data: [u8; 8], seen: &mut Seen<'_>) {
        let home = self.paths.home().id;
        let own = seen.from.remote == self.remote() && self.side().is_client();
        let moves = &self.moves;
        let answered = self.paths.iter_mut().find_map(|path| {
            // A response that comes from home proves of another address of the server's only that home is alive [2.5]: not
            // every server that prefers another answers from there.
            let hollow = own && path.id != home && !moves.probes(path.id);
            let answer = if hollow { None } else { path.validation.on_response(now, data) }?;
            Some((path.id, path.tuple.remote, answer))
        });
        let Some((id, address, answer)) = answered else { return };
        seen.urgent = true;
        if let Some(path) = self.paths.get_mut(id)
            && !path.is_validated()
        {
            path.validate();
            path.rtt.on_sample(answer.rtt, Duration::ZERO, true);
        }
        match self.role {
            Role::Client { .. } => {
                self.on_path_proved(now, id, answer.rtt);
                let padded = answer.padded;
                self.inform_client(now, ClientInput::Proved { address, padded, number: seen.number });
            }
            Role::Server { .. } => {
                if !answer.padded {
                    // It is proved to be there, and not yet that the path carries what it must (RFC 9000, Section 8.2.1).
                    self.try_path(now, id);
                }
                self.on_client_proved(now, id);
            }
        }
    }

    /// An acknowledged challenge of full size says as much of a home that was proved by a small one as its answer would:
    /// that home carries such datagrams [2.3]. Its answer may be lost alone.
    pub(super) fn on_acked_ranges(&mut self, now: Instant, ack: &Ack<'_>, number: PacketNumber) {
        let Some(client) = self.steering.client() else {
            if !self.steering.behind.is_empty() {
                self.take_up(ack);
            }
            return;
        };
        let has = |number: PacketNumber| ack.ranges().any(|range| range.contains(&number));
        if client.rechecks()
            && self.paths.home().is_validated()
            && self.paths.home().validation.is_carried(has)
        {
            let address = self.remote();
            self.inform_client(now, ClientInput::Proved { address, padded: true, number });
        }
    }

    /// A datagram from there ends with the token of a stateless reset.
    pub(super) fn on_maybe_reset(&mut self, now: Instant, from: &FourTuple, token: ResetToken) {
        // From anywhere else it means nothing: another host may share the key [2.12].
        if from.remote != self.remote() || !self.remote_ids.is_reset(&token) {
            return;
        }
        if self.steering.client().is_some() {
            self.inform_client(now, ClientInput::Reset);
        } else {
            self.drain(now, CloseReason::Reset);
        }
    }

    // ---- carrying out -----------------------------------------------------------------------------------

    pub(super) fn carry_out(&mut self, now: Instant, actions: Actions) {
        for action in actions {
            match action {
                Action::Seek(address) => self.seek(address),
                Action::Forget(address) => self.forget_candidate(now, address),
                Action::Recall(address) => self.recall(now, address),
                Action::Adopt(address) => self.adopt(now, address),
                Action::Ask => self.ask(),
                Action::AskFormer => self.ask_former(),
                Action::ProveHome => self.challenge_home(),
                Action::Prompt => self.prompt(),
                Action::PullBack => self.pull_back(),
                Action::GoBack => self.go_back(now),
                Action::EndByReset => self.drain(now, CloseReason::Reset),
                Action::Emit(event) => {
                    self.stats.migrations += u64::from(matches!(event, MigrationEvent::Completed { .. }));
                    self.events.push_back(ConnectionEvent::Migration(event));
                }
            }
        }
    }

    fn seek(&mut self, address: SocketAddr) {
        let (data, unseen) = (self.rng.bytes(), self.has_come_unseen());
        if let Some(path) = self.candidate(address).and_then(|id| self.paths.get_mut(id)) {
            path.validation.want(data);
            // Only a packet that is no probe moves us in the eyes of the server (RFC 9000, Section 9.2), and mvfst closes if
            // another comes first.
            path.ping |= unseen;
        }
    }

    /// A candidate is given up. While the server may still move there its connection ID stays bound: a false alarm
    /// burns none [2.10].
    fn forget_candidate(&mut self, now: Instant, address: SocketAddr) {
        let Some(id) = self.paths.to(address) else { return };
        if id == self.paths.home().id || self.paths.former() == Some(id) {
            return;
        }
        self.abandon(now, |recovery, fates| recovery.abandon_path(id, fates));
        self.paths.remove(id);
        if !self.steering.names(address) {
            self.remote_ids.release(FourTuple { local: self.local(), remote: address });
        }
    }

    /// Home has spoken louder than a candidate: what was sent there goes home again [2.4, 2.6].
    fn recall(&mut self, now: Instant, address: SocketAddr) {
        let home = self.paths.home().id;
        if let Some(id) = self.paths.to(address).filter(|id| *id != home) {
            self.abandon(now, |recovery, fates| recovery.abandon_path(id, fates));
        }
    }

    /// What recovery gives up is sent again, and is no sign of congestion.
    pub(super) fn abandon(&mut self, now: Instant, give_up: impl FnOnce(&mut Recovery, &mut Fates)) {
        let mut scratch = self.take_scratch();
        let fates = &mut scratch.fates;
        fates.clear();
        give_up(&mut self.recovery, fates);
        self.settle_windows(now, fates);
        self.reconsider(now, SpaceId::Data, fates);
        self.scratch = Some(scratch);
    }

    /// A candidate has answered: it is home, everything on it begins afresh, and what was on its way to the old home is
    /// sent again [2.5].
    fn adopt(&mut self, now: Instant, address: SocketAddr) {
        let Some(id) = self.paths.to(address) else { return };
        self.make_home(now, id);
        self.end_probes();
    }

    /// Another path is home from now on; the one that was is kept for what is under way on it.
    pub(super) fn make_home(&mut self, now: Instant, id: PathId) {
        let before = self.paths.home().tuple;
        let Some(old) = self.paths.move_home(id) else { return };
        self.remote_ids.adopt(self.paths.home().tuple, before);
        self.keep_former(now, old);
        self.leave(now, old);
        self.renew_wishes(now);
    }

    /// Home proved useless: the former home is home again, and nothing of the useless one is kept.
    fn go_back(&mut self, now: Instant) {
        let Some(former) = self.former_here().map(|path| path.id) else { return };
        let before = self.paths.home().tuple;
        let Some(failed) = self.paths.move_home(former) else { return };
        self.remote_ids.adopt(self.paths.home().tuple, before);
        self.leave(now, failed);
        self.forget_path(failed);
    }

    /// What was in flight on a path that is not home any more is sent again, and charges nobody.
    fn leave(&mut self, now: Instant, path: PathId) {
        self.abandon(now, |recovery, fates| recovery.abandon_path(path, fates));
        self.recovery.reset_backoff();
        self.idle.restart(now);
    }

    /// The home that was left on the word of a source address alone is asked whether it is still alive (RFC 9000,
    /// Section 9.3.3).
    fn ask_former(&mut self) {
        if let Some(path) = self.paths.former().and_then(|id| self.paths.get_mut(id)) {
            path.ping = true;
        }
    }
}

fn client_settings(config: &ClientConfig, seed: u64) -> Option<ClientSettings> {
    let migration = config.migration.as_ref()?;
    Some(ClientSettings {
        seek: migration.seek,
        deadline: migration.deadline,
        pool_limit: migration.pool_limit,
        policy: std::sync::Arc::clone(&migration.policy),
        scheduler: (migration.scheduler)(seed),
    })
}
