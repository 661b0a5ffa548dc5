//! Telling owners the fate of what they sent: one arm a record.

use std::time::Duration;

use super::Connection;
use crate::frame::Record;
use crate::id::SpaceId;
use crate::recovery::Fates;
use crate::time::Instant;

impl Connection {
    /// Spends what an ACK brought: measurements first, then the owners.
    pub(super) fn deliver(&mut self, now: Instant, space: SpaceId, delay: Duration, fates: &mut Fates) {
        if let Some((path, sample)) = fates.rtt_sample {
            let confirmed = self.phase.is_confirmed();
            if let Some(path) = self.paths.get_mut(path) {
                path.rtt.on_sample(sample, delay, confirmed);
            }
        }
        let largest = fates.newly_acked_largest.filter(|_| space == SpaceId::Data);
        let answers = largest.is_some_and(|largest| self.answers_switch(largest));
        if answers {
            // What was lost on the way to this first answer says nothing about the new path (server-migration rules, 3.1).
            self.paths.home_mut().window.forgive_before(now);
        }
        self.settle_windows(now, fates);
        for record in &fates.acked {
            self.acked(now, space, record);
        }
        self.reconsider(now, space, fates);
        if answers {
            self.on_switch_answered(now);
        }
    }

    /// Hands lost records back to their owners.
    pub(super) fn reconsider(&mut self, now: Instant, space: SpaceId, fates: &Fates) {
        self.stats.packets_lost += fates.lost_packets;
        for record in &fates.lost {
            self.lost(now, space, record);
        }
    }

    /// Charges each path's window with what became of its packets; a path that is gone charges nobody.
    pub(super) fn settle_windows(&mut self, now: Instant, fates: &Fates) {
        let max_ack_delay = self.peer.max_ack_delay;
        for (id, fate) in &fates.paths {
            if let Some(path) = self.paths.get_mut(*id) {
                let view = path.rtt_view(max_ack_delay);
                let congested = path.window.on_fate(now, fate, view);
                if fate.marked_lost > 0 {
                    let was_watched = path.ecn.is_watched();
                    path.ecn.on_lost(fate.marked_lost);
                    self.stats.ecn_failures += u64::from(was_watched && !path.ecn.is_watched());
                }
                if fate.persistent {
                    path.rtt.on_persistent_congestion();
                    self.stats.persistent_congestions += 1;
                }
                self.stats.congestion_events += u64::from(congested);
                if fate.vanished > 0 || path.mtu.suspects() {
                    self.on_vanished(now, *id, fate);
                }
            }
        }
    }

    fn acked(&mut self, now: Instant, space: SpaceId, record: &Record) {
        match record {
            Record::Stream { .. }
            | Record::ResetStream { .. }
            | Record::StopSending { .. }
            | Record::MaxData { .. }
            | Record::MaxStreamData { .. }
            | Record::MaxStreams { .. }
            | Record::DataBlocked { .. }
            | Record::StreamDataBlocked { .. }
            | Record::StreamsBlocked { .. } => self.streams.acked(record),
            Record::Ack { largest } => {
                if let Some(space) = self.spaces.get_mut(space) {
                    space.received.on_ack_acked(*largest);
                }
            }
            Record::Crypto { offset, len } => {
                if let Some(space) = self.spaces.get_mut(space) {
                    space.crypto.acked(*offset, *len);
                }
            }
            Record::NewConnectionId { .. } => self.local_ids.acked(record),
            Record::RetireConnectionId { .. } => self.remote_ids.acked(record),
            Record::NewToken => self.control.acked(record),
            Record::MtuProbe { path, bytes } => self.on_mtu_probe_acked(now, *path, *bytes),
            Record::AckFrequency { .. } => self.on_wish_acked(record),
            Record::HandshakeDone
            | Record::PathResponse
            | Record::ServerMigration { .. }
            | Record::ServerMigrated { .. }
            | Record::PoolMigrationAddress { .. } => self.on_migration_acked(now, record),
        }
    }

    fn lost(&mut self, now: Instant, space: SpaceId, record: &Record) {
        match record {
            Record::Stream { .. }
            | Record::ResetStream { .. }
            | Record::StopSending { .. }
            | Record::MaxData { .. }
            | Record::MaxStreamData { .. }
            | Record::MaxStreams { .. }
            | Record::DataBlocked { .. }
            | Record::StreamDataBlocked { .. }
            | Record::StreamsBlocked { .. } => self.streams.lost(record),
            // A later ACK says the same and more; a PATH_RESPONSE is asked for again.
            Record::Ack { .. } | Record::PathResponse => {}
            Record::Crypto { offset, len } => {
                if let Some(space) = self.spaces.get_mut(space) {
                    space.crypto.lost(*offset, *len);
                }
            }
            Record::NewConnectionId { .. } => self.local_ids.lost(record),
            Record::RetireConnectionId { .. } => self.remote_ids.lost(record),
            Record::HandshakeDone | Record::NewToken => self.control.lost(record),
            Record::MtuProbe { path, bytes } => self.on_mtu_probe_lost(now, *path, *bytes),
            Record::AckFrequency { .. } => self.on_wish_lost(record),
            Record::ServerMigration { .. }
            | Record::ServerMigrated { .. }
            | Record::PoolMigrationAddress { .. } => self.on_migration_lost(now, record),
        }
    }
}
