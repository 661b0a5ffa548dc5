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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Heard {
    /// Not yet: it is said again at this time, the wait doubling.
    Nothing { next: Instant, said: u32 },
    /// Something sent after the switch was acknowledged, then, and the client has no question that is open.
    Acknowledged { since: Instant },
    /// And the client has asked whether we are here: it goes on when it knows that, and is asked in turn until then.
    Challenged { next: Instant, asked: u32 },
}

/// What is to be done about a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Nothing but what [`Announcement::is_due`] says.
    Wait,
    /// The client is to be asked for a sign of life: the answer to its challenge may be lost, and no packet of ours would
    /// make it ask again.
    Ask,
    /// The client was heard, and asked nothing for three PTO: the move is over.
    Over,
}

/// The announcement of one move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
            Heard::Acknowledged { .. } | Heard::Challenged { .. } => false,
        }
    }

    /// How many datagrams of data may go before the client answers, or before it is said again; `None`: any number.
    pub fn data_left(&self) -> Option<u32> {
        match self.heard {
            Heard::Nothing { said: 0, .. } => Some(0),
            Heard::Nothing { .. } => Some(DATA_PER_ANNOUNCEMENT.saturating_sub(self.data)),
            Heard::Acknowledged { .. } | Heard::Challenged { .. } => None,
        }
    }

    /// Whether the client has answered something sent after the switch.
    pub fn is_heard(&self) -> bool {
        !matches!(self.heard, Heard::Nothing { .. })
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
            *next = now + spacing(pto, *said);
            *said = said.saturating_add(1);
        }
    }

    /// A datagram of data was sent.
    pub fn on_data(&mut self) {
        self.data = self.data.saturating_add(1);
    }

    /// Something sent after the switch was acknowledged. Whether it was the first.
    pub fn on_acked(&mut self, now: Instant, pto: Duration) -> bool {
        if self.is_heard() {
            return false;
        }
        self.due = false;
        self.heard = if self.seen { asked_at(now, pto) } else { Heard::Acknowledged { since: now } };
        true
    }

    /// A SERVER_MIGRATED of this move was acknowledged. Whether it was the first.
    pub fn on_read(&mut self) -> bool {
        !std::mem::replace(&mut self.is_read, true)
    }

    /// The client sent a challenge: it has not finished.
    pub fn on_challenge(&mut self, now: Instant, pto: Duration) {
        self.seen = true;
        if matches!(self.heard, Heard::Acknowledged { .. }) {
            self.heard = asked_at(now, pto);
        }
    }

    /// A packet came. If the client was asked and asks nothing more, it has what it wants: that the acknowledgement of the
    /// answer was not noticed means little, for a late one is not.
    pub fn on_arrived(&mut self, now: Instant) {
        if matches!(self.heard, Heard::Challenged { asked: 1.., .. }) {
            self.heard = Heard::Acknowledged { since: now };
        }
    }

    /// The next time something is due.
    pub fn deadline(&self, pto: Duration) -> Option<Instant> {
        match self.heard {
            Heard::Nothing { next, .. } => (!self.due).then_some(next),
            Heard::Acknowledged { since } => Some(since + pto.saturating_mul(3)),
            Heard::Challenged { next, .. } => Some(next),
        }
    }

    /// Time has passed.
    pub fn expire(&mut self, now: Instant, pto: Duration) -> Turn {
        match &mut self.heard {
            Heard::Nothing { next, .. } => {
                self.due |= *next <= now;
                Turn::Wait
            }
            Heard::Acknowledged { since } if now >= *since + pto.saturating_mul(3) => Turn::Over,
            Heard::Challenged { next, asked } if *next <= now => {
                *next = now + spacing(pto, *asked);
                *asked = asked.saturating_add(1);
                Turn::Ask
            }
            Heard::Acknowledged { .. } | Heard::Challenged { .. } => Turn::Wait,
        }
    }
}

fn asked_at(now: Instant, pto: Duration) -> Heard {
    Heard::Challenged { next: now + pto.saturating_mul(3).min(MAX_SPACING), asked: 0 }
}

/// The wait after so many in vain.
fn spacing(pto: Duration, in_vain: u32) -> Duration {
    pto.saturating_mul(1 << in_vain.min(16)).min(MAX_SPACING)
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
            assert_eq!(announcement.expire(now, PTO), Turn::Wait);
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
        announcement.on_challenge(at(5000), PTO);
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
        assert!(announcement.on_acked(at(140), PTO));
        assert_eq!(announcement.data_left(), None);
    }

    #[test]
    fn a_move_that_the_client_cannot_see_is_over_three_pto_after_it_was_heard() {
        let mut announcement = Announcement::new(at(0));
        announcement.expire(at(0), PTO);
        announcement.on_said(at(0), PTO);
        announcement.on_acked(at(100), PTO);
        assert_eq!(announcement.deadline(PTO), Some(at(1000)));
        assert_eq!(announcement.expire(at(999), PTO), Turn::Wait);
        assert_eq!(announcement.expire(at(1000), PTO), Turn::Over);
    }

    #[test]
    fn a_client_that_has_asked_is_asked_in_turn_and_the_move_is_not_over() {
        for challenge_first in [true, false] {
            let mut announcement = Announcement::new(at(0));
            announcement.expire(at(0), PTO);
            announcement.on_said(at(0), PTO);
            if challenge_first {
                announcement.on_challenge(at(100), PTO);
                announcement.on_acked(at(100), PTO);
            } else {
                announcement.on_acked(at(50), PTO);
                announcement.on_challenge(at(100), PTO);
            }
            let mut asked = Vec::new();
            for _ in 0..4 {
                let at = announcement.deadline(PTO).expect("it goes on");
                assert_eq!(announcement.expire(at, PTO), Turn::Ask);
                asked.push(at.as_micros() / 1000);
            }
            assert_eq!(asked, [1000, 1300, 1900, 2900]); // 900 ms after the challenge, then as an announcement is said again
        }
    }

    #[test]
    fn a_client_that_answers_and_asks_no_more_has_followed() {
        let mut announcement = Announcement::new(at(0));
        announcement.expire(at(0), PTO);
        announcement.on_said(at(0), PTO);
        announcement.on_acked(at(50), PTO);
        announcement.on_challenge(at(100), PTO);
        // What comes before it was asked is no answer.
        announcement.on_arrived(at(200));
        assert_eq!(announcement.expire(at(1000), PTO), Turn::Ask);
        announcement.on_arrived(at(1100));
        assert_eq!(announcement.expire(at(1999), PTO), Turn::Wait);
        assert_eq!(announcement.expire(at(2000), PTO), Turn::Over);
        announcement.on_challenge(at(2000), PTO);
        assert_eq!(announcement.expire(at(2000), PTO), Turn::Wait);
    }
}
