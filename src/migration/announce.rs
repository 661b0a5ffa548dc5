//! A server that has moved says so from its new address until it is heard, and knows when the move is over
//! (server-migration rules, 3.1 and 3.4).

use std::time::Duration;

use crate::time::Instant;

/// Longest wait between two announcements.
const MAX_SPACING: Duration = Duration::from_secs(1);
/// Announcements before a challenge goes with each: that client may have nothing in flight, and look for nobody.
const UNPROMPTED: u32 = 2;
/// Datagrams of data that may go with each announcement until something is acknowledged.
const DATA_PER_ANNOUNCEMENT: u32 = 2;

/// Whether the client has answered from the new path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// Not yet: it is said again at this time, the wait doubling.
    Nothing { next: Instant, said: u32 },
    /// Something sent after the switch was acknowledged; the client asked last at `asked`, or then.
    Acknowledged { quiet_since: Instant },
}

/// The announcement of one move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcement {
    heard: Heard,
    due: bool,
    /// Datagrams of data sent since the last announcement.
    data: u32,
    /// Whether the client has a SERVER_MIGRATED of this move.
    is_read: bool,
    /// Whether the client has sent a challenge since the switch: it sees the move.
    seen: bool,
}

impl Announcement {
    /// To be said for the first time at `at`.
    pub fn new(at: Instant) -> Self {
        Self { heard: Heard::Nothing { next: at, said: 0 }, due: false, data: 0, is_read: false, seen: false }
    }

    /// Whether it is to be said now.
    pub fn is_due(&self) -> bool {
        self.due
    }

    /// Whether a challenge is to go with the announcement that is due: a client that neither answers nor asks is given
    /// something to say.
    pub fn prompts(&self) -> bool {
        match self.heard {
            Heard::Nothing { said, .. } => self.due && !self.seen && said >= UNPROMPTED,
            Heard::Acknowledged { .. } => false,
        }
    }

    /// How many datagrams of data may go before the client answers, or before it is said again; `None`: any number.
    pub fn data_left(&self) -> Option<u32> {
        match self.heard {
            Heard::Nothing { said: 0, .. } => Some(0),
            Heard::Nothing { .. } => Some(DATA_PER_ANNOUNCEMENT.saturating_sub(self.data)),
            Heard::Acknowledged { .. } => None,
        }
    }

    /// Whether the client has answered something sent after the switch.
    pub fn is_heard(&self) -> bool {
        matches!(self.heard, Heard::Acknowledged { .. })
    }

    /// Whether the client has asked about the new path: it knows of the move.
    pub fn is_seen(&self) -> bool {
        self.seen
    }

    /// It was said; `pto` is the wait before it is said for the second time.
    pub fn on_said(&mut self, now: Instant, pto: Duration) {
        self.due = false;
        self.data = 0;
        if let Heard::Nothing { next, said } = &mut self.heard {
            *next = now + pto.saturating_mul(1 << (*said).min(16)).min(MAX_SPACING);
            *said = said.saturating_add(1);
        }
    }

    /// A datagram of data was sent.
    pub fn on_data(&mut self) {
        self.data = self.data.saturating_add(1);
    }

    /// Something sent after the switch was acknowledged. Whether it was the first.
    pub fn on_acked(&mut self, now: Instant) -> bool {
        let first = !self.is_heard();
        if first {
            self.heard = Heard::Acknowledged { quiet_since: now };
            self.due = false;
        }
        first
    }

    /// A SERVER_MIGRATED of this move was acknowledged. Whether it was the first.
    pub fn on_read(&mut self) -> bool {
        !std::mem::replace(&mut self.is_read, true)
    }

    /// The client sent a challenge: it has not finished.
    pub fn on_challenge(&mut self, now: Instant) {
        self.seen = true;
        if let Heard::Acknowledged { quiet_since } = &mut self.heard {
            *quiet_since = now;
        }
    }

    /// The next time something is due.
    pub fn deadline(&self, pto: Duration) -> Option<Instant> {
        match self.heard {
            Heard::Nothing { next, .. } => (!self.due).then_some(next),
            Heard::Acknowledged { quiet_since } => Some(quiet_since + pto.saturating_mul(3)),
        }
    }

    /// Time has passed. Whether the move is over: the client was heard, and asked nothing for three PTO.
    pub fn expire(&mut self, now: Instant, pto: Duration) -> bool {
        match self.heard {
            Heard::Nothing { next, .. } => {
                self.due |= next <= now;
                false
            }
            Heard::Acknowledged { quiet_since } => now >= quiet_since + pto.saturating_mul(3),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    const PTO: Duration = Duration::from_millis(300);

    #[test]
    fn it_is_said_again_after_a_pto_then_two_then_every_second() {
        let mut announcement = Announcement::new(at(0));
        let mut times = Vec::new();
        let mut now = at(0);
        for _ in 0..5 {
            assert!(!announcement.expire(now, PTO));
            assert!(announcement.is_due());
            announcement.on_said(now, PTO);
            now = announcement.deadline(PTO).expect("it is repeated");
            times.push(now.as_micros() / 1000);
        }
        assert_eq!(times, [300, 900, 1900, 2900, 3900]);
    }

    #[test]
    fn from_the_third_on_challenges_go_with_it_until_the_client_asks() {
        let mut announcement = Announcement::new(at(0));
        let mut prompts = Vec::new();
        for second in 0..5 {
            announcement.expire(at(1000 * second), PTO);
            prompts.push(announcement.prompts());
            announcement.on_said(at(1000 * second), PTO);
        }
        assert_eq!(prompts, [false, false, true, true, true]);
        announcement.on_challenge(at(5000));
        announcement.expire(at(5000), PTO);
        assert_eq!((announcement.is_due(), announcement.prompts()), (true, false));
    }

    #[test]
    fn two_datagrams_of_data_go_with_it_until_it_is_heard() {
        let mut announcement = Announcement::new(at(0));
        assert_eq!(announcement.data_left(), Some(0));
        announcement.expire(at(0), PTO);
        announcement.on_said(at(0), PTO);
        assert_eq!(announcement.data_left(), Some(2));
        announcement.on_data();
        announcement.on_data();
        assert_eq!(announcement.data_left(), Some(0));
        announcement.on_said(at(100), PTO);
        assert_eq!(announcement.data_left(), Some(2));
        assert!(announcement.on_acked(at(140)));
        assert_eq!(announcement.data_left(), None);
    }

    #[test]
    fn a_move_that_the_client_cannot_see_is_over_three_pto_after_it_was_heard() {
        let mut announcement = Announcement::new(at(0));
        announcement.expire(at(0), PTO);
        announcement.on_said(at(0), PTO);
        announcement.on_acked(at(100));
        assert_eq!(announcement.deadline(PTO), Some(at(1000)));
        announcement.on_challenge(at(500));
        assert!(!announcement.expire(at(1000), PTO));
        assert!(announcement.expire(at(1400), PTO));
    }
}
