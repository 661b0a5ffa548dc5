//! What becomes of a server's frames, and what that tells it (server-migration rules, 3.4 to 3.6).

use super::{Bound, Notice, Server, State};
use crate::frame::{FrameKind, Record};
use crate::migration::{Action, Actions, MigrationEvent, MoveOrder};
use crate::time::Instant;

impl Server {
    pub(super) fn on_acked(&mut self, now: Instant, record: &Record, actions: &mut Actions) {
        match *record {
            Record::ServerMigration { migration } if migration == self.migration => {
                self.on_notice_acked(now, actions);
            }
            Record::ServerMigrated { migration } if migration == self.migration => {
                if let State::Moved { announcement, .. } = &mut self.state
                    && announcement.on_read()
                {
                    let kind = FrameKind::ServerMigrated;
                    actions.push(Action::Emit(MigrationEvent::FrameAcknowledged { kind }));
                }
            }
            Record::PoolMigrationAddress { member } => {
                let Some(target) = self.pool.acked(member) else { return };
                actions.push(Action::Emit(MigrationEvent::PoolAddress { target }));
                if let State::Preparing { order: MoveOrder::Pool, notice } = &mut self.state
                    && self.pool.is_known()
                {
                    *notice = Notice::Acknowledged;
                }
                self.become_ready(now, actions);
            }
            Record::HandshakeDone => {
                self.client_listens = true;
                self.become_ready(now, actions);
            }
            // The answer to a challenge that came after the switch: whoever asked knows where we are.
            Record::PathResponse if self.has_moved() => self.complete(actions),
            Record::PathResponse if self.may_follow => self.bound = Bound::Free,
            // Of an earlier move, or of none.
            Record::ServerMigration { .. } | Record::ServerMigrated { .. } | Record::PathResponse => {}
            // Not ours.
            Record::Ack { .. }
            | Record::Crypto { .. }
            | Record::Stream { .. }
            | Record::ResetStream { .. }
            | Record::StopSending { .. }
            | Record::MaxData { .. }
            | Record::MaxStreamData { .. }
            | Record::MaxStreams { .. }
            | Record::DataBlocked { .. }
            | Record::StreamDataBlocked { .. }
            | Record::StreamsBlocked { .. }
            | Record::NewConnectionId { .. }
            | Record::RetireConnectionId { .. }
            | Record::MtuProbe { .. }
            | Record::AckFrequency { .. }
            | Record::NewToken => {}
        }
    }

    fn on_notice_acked(&mut self, now: Instant, actions: &mut Actions) {
        match (&mut self.state, &mut self.bound) {
            (State::Preparing { notice, .. }, _) if *notice != Notice::Acknowledged => {
                *notice = Notice::Acknowledged;
                let kind = FrameKind::ServerMigration;
                actions.push(Action::Emit(MigrationEvent::FrameAcknowledged { kind }));
                self.become_ready(now, actions);
            }
            (State::Settled, Bound::Explicit { notice, .. } | Bound::Synchronized { notice }) => {
                *notice = Notice::Acknowledged;
            }
            (State::Settled | State::Preparing { .. } | State::Ready { .. } | State::Moved { .. }, _) => {}
        }
    }

    pub(super) fn on_lost(&mut self, record: &Record) {
        match *record {
            Record::ServerMigration { migration } if migration == self.migration => {
                match (&mut self.state, &mut self.bound) {
                    (State::Preparing { notice, .. }, _)
                    | (State::Settled, Bound::Explicit { notice, .. } | Bound::Synchronized { notice })
                        if *notice == Notice::Sent =>
                    {
                        *notice = Notice::Due;
                    }
                    (
                        State::Settled | State::Preparing { .. } | State::Ready { .. } | State::Moved { .. },
                        _,
                    ) => {}
                }
            }
            Record::PoolMigrationAddress { member } => self.pool.lost(member),
            // Of an earlier move; and announcements have a clock of their own.
            Record::ServerMigration { .. } | Record::ServerMigrated { .. } => {}
            // Not ours to say again.
            Record::Ack { .. }
            | Record::Crypto { .. }
            | Record::Stream { .. }
            | Record::ResetStream { .. }
            | Record::StopSending { .. }
            | Record::MaxData { .. }
            | Record::MaxStreamData { .. }
            | Record::MaxStreams { .. }
            | Record::DataBlocked { .. }
            | Record::StreamDataBlocked { .. }
            | Record::StreamsBlocked { .. }
            | Record::NewConnectionId { .. }
            | Record::RetireConnectionId { .. }
            | Record::PathResponse
            | Record::MtuProbe { .. }
            | Record::AckFrequency { .. }
            | Record::HandshakeDone
            | Record::NewToken => {}
        }
    }
}
