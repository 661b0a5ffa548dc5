//! What to send next: on which path, what for, how much is permitted, how large. Read-only, the pacer's bucket apart.
//!
//! A flight is an attempt: whether anything comes out is known when it was written, not before.

use super::Connection;
use super::phase::Phase;
use crate::config::MIN_DATAGRAM;
use crate::id::{PathId, SpaceId};
use crate::packet::Allowance;
use crate::path::{Path, PathState};
use crate::recovery::congestion::Window;
use crate::time::{Instant, micros};

/// Below this many bytes nothing useful fits in a datagram.
pub(super) const MIN_USEFUL: usize = 64;

/// What data leaves of a candidate's budget: room for the bare challenges of a search (server-migration rules, 2.4).
const CHALLENGES: u64 = 3 * MIN_USEFUL as u64;

/// A window of more datagrams than this, and larger than the initial one, shrinks while nothing is in flight.
const RESTART_DATAGRAMS: u64 = 10;

/// What a datagram is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// CONNECTION_CLOSE.
    Close,
    /// A challenge to an address that has not spoken, with a PING.
    Seek,
    /// A challenge or an answer on a path that has.
    Validate,
    /// A server says from its new address that it has moved.
    Announce,
    /// A probe after a timeout, in this space.
    Probe(SpaceId),
    /// Whether the path carries a datagram of this size, and nothing else.
    MtuProbe,
    /// Whatever waits.
    Normal,
}

/// One attempt to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flight {
    pub(super) path: PathId,
    pub(super) purpose: Purpose,
    pub(super) allowance: Allowance,
    /// Largest datagram, in bytes.
    pub(super) max_len: usize,
    /// Smallest datagram, as far as `max_len` permits.
    pub(super) min_len: usize,
    /// Bytes that the window and the pacer let go in one burst.
    pub(super) burst: u64,
    /// Whether its datagrams leave ECN-marked.
    pub(super) marked: bool,
}

impl Connection {
    /// What cannot wait: closing, challenges and answers, announcements, probes; those of the MTU as far as there is
    /// `room` for one, in bytes.
    pub(super) fn urgent_flight(&self, now: Instant, room: usize) -> Option<Flight> {
        if let Phase::Closing(closing) = &self.phase {
            let mut places = closing.due().filter_map(|id| self.paths.get(id));
            return places.find_map(|path| flight_on(path, Purpose::Close, Allowance::Full, 0));
        }
        if let Some(flight) = self.paths.iter().find_map(|path| self.validation_flight(now, path)) {
            let home = self.paths.home();
            let goes_along =
                flight.path == home.id && !home.validation.is_owed() && self.steering.announces();
            return if goes_along { self.announcement() } else { Some(flight) };
        }
        if self.steering.announces() {
            return self.announcement();
        }
        if let Some((space, _)) = self.spaces.iter().find(|(_, space)| space.probes > 0) {
            let flight = self.home_flight(Purpose::Probe(space), Allowance::Full, 0)?;
            // Where nothing else arrives, it may be that nothing as large does any more.
            let max_len =
                if self.config.mtu_discovery.is_some() { usize::from(MIN_DATAGRAM) } else { flight.max_len };
            return Some(Flight { max_len: max_len.min(flight.max_len), ..flight });
        }
        if self.paths.home().mtu.is_due(now) { self.mtu_flight(now, room) } else { None }
    }

    /// What says that we have moved, and takes a challenge along (server-migration rules, 3.1).
    fn announcement(&self) -> Option<Flight> {
        self.home_flight(Purpose::Announce, Allowance::Full, usize::from(MIN_DATAGRAM))
    }

    /// Everything else: first the candidate that leads, within what it has earned, then home.
    pub(super) fn normal_flights(&mut self, now: Instant) -> [Option<Flight>; 2] {
        let lead = self.lead(now).and_then(|id| self.paths.get(id)).and_then(|path| self.lead_flight(path));
        [lead, self.normal_flight(now)]
    }

    fn normal_flight(&mut self, now: Instant) -> Option<Flight> {
        let mut flight = self.home_flight(Purpose::Normal, Allowance::Full, 0)?;
        let home = self.paths.home();
        let kept = RESTART_DATAGRAMS * u64::from(home.datagram_size);
        let (rtt, mut paces) = (self.rtt().smoothed, self.paces());
        // A probe timeout is longer than a round trip.
        if home.window.rests_above(kept.max(self.config.initial_window.unwrap_or(0)))
            && now.since(self.recovery.last_event()) > rtt
        {
            self.rest(now);
        }
        let home = self.paths.home();
        let mut room = if home.window.has_room() { home.window.room() } else { 0 };
        if room == 0 && self.probes_fill_window() {
            (room, paces) = (flight.max_len as u64, false);
        }
        let home = self.paths.home_mut();
        let paced = if paces { home.pacer.budget(now, home.window.size(), rtt) } else { u64::MAX };
        flight.burst = room.min(paced).min(home.budget().unwrap_or(u64::MAX));
        let left = self.steering.data_left();
        if let Some(datagrams) = left {
            flight.burst = flight.burst.min(u64::from(datagrams) * flight.max_len as u64);
        }
        if room == 0 || paced < flight.max_len as u64 || left == Some(0) {
            flight.allowance = Allowance::AckOnly;
        }
        Some(flight)
    }

    /// Nothing is in flight: a window that was large before has to be earned again, the more of it the longer nothing was.
    #[cold]
    fn rest(&mut self, now: Instant) {
        let idle = now.since(self.recovery.last_event());
        let timeouts = micros(idle) / micros(self.pto()).max(1);
        let initial = self.config.initial_window;
        let home = self.paths.home_mut();
        let floor = Window::initial(home.datagram_size, initial);
        home.window.on_rest(u32::try_from(timeouts).unwrap_or(u32::MAX), floor);
    }

    fn lead_flight(&self, path: &Path) -> Option<Flight> {
        let PathState::Unproven { budget } = &path.state else { return None };
        let left = budget.remaining().saturating_sub(CHALLENGES);
        let max_len = usize::from(path.datagram_size).min(usize::try_from(left).unwrap_or(usize::MAX));
        if max_len < MIN_USEFUL {
            return None;
        }
        let room = path.window.room();
        let allowance = if room == 0 { Allowance::AckOnly } else { Allowance::Full };
        let burst = left.min(room);
        Some(Flight {
            path: path.id,
            purpose: Purpose::Normal,
            allowance,
            max_len,
            min_len: 0,
            burst,
            marked: false,
        })
    }

    fn home_flight(&self, purpose: Purpose, allowance: Allowance, min_len: usize) -> Option<Flight> {
        let flight = flight_on(self.paths.home(), purpose, allowance, min_len)?;
        Some(Flight { marked: self.marks_home(), ..flight })
    }

    /// A challenge or an answer that waits on this path.
    fn validation_flight(&self, now: Instant, path: &Path) -> Option<Flight> {
        let (wanted, owed) = (path.validation.is_wanted(), path.validation.is_owed());
        if !wanted && !owed && !path.ping {
            return None;
        }
        // Answers have no other limit than the window (RFC 9000, Section 8.2.2): a peer that asks and acknowledges nothing
        // waits for its answers.
        if !wanted && !path.ping && !path.window.has_room() {
            return None;
        }
        let size = usize::from(path.datagram_size);
        let min_len = usize::from(MIN_DATAGRAM);
        let flight = Flight {
            path: path.id,
            purpose: Purpose::Validate,
            allowance: Allowance::Seek,
            max_len: size,
            min_len,
            burst: 0,
            marked: path.id == self.paths.home().id && self.marks_home(),
        };
        match &path.state {
            PathState::Silent => Some(Flight { purpose: Purpose::Seek, min_len: 0, ..flight }),
            PathState::Probed => Some(flight),
            PathState::Unproven { budget } => {
                let left = usize::try_from(budget.remaining()).unwrap_or(usize::MAX);
                let allowance =
                    if self.lead(now) == Some(path.id) { Allowance::Full } else { Allowance::Seek };
                if left >= min_len {
                    Some(Flight { allowance, max_len: size.min(left), ..flight })
                } else if left >= MIN_USEFUL || wanted && self.steering.names(path.tuple.remote) {
                    // A named address is never worse off than a silent one: one bare challenge a round needs no budget.
                    Some(Flight { max_len: MIN_USEFUL.max(left), min_len: 0, ..flight })
                } else {
                    None
                }
            }
            PathState::Validated => {
                let full = path.id == self.paths.home().id && path.window.has_room();
                Some(Flight { allowance: if full { Allowance::Full } else { Allowance::Seek }, ..flight })
            }
        }
    }
}

/// A flight on this path, as large as its budget permits.
fn flight_on(path: &Path, purpose: Purpose, allowance: Allowance, min_len: usize) -> Option<Flight> {
    let budget = path.budget().map_or(usize::MAX, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    let max_len = usize::from(path.datagram_size).min(budget);
    if max_len < MIN_USEFUL {
        return None;
    }
    Some(Flight { path: path.id, purpose, allowance, max_len, min_len, burst: 0, marked: false })
}
