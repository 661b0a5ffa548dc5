//! The client's search for a moved server: candidates, rounds, and how much attention each may ask for.
//!
//! A pure machine over addresses (server-migration rules, 2.1 to 2.7). It is told what arrives from where and what runs
//! out; it answers with seeks, and knows nothing of paths, packets or connection IDs. A client never gives up home for
//! an address that has not answered: this machine only ever proposes to ask.

use std::net::SocketAddr;
use std::time::Duration;

use smallvec::SmallVec;

use super::budget::{Allotment, Bucket};
use super::{Action, Actions, Facts};
use crate::id::PacketNumber;
use crate::time::{Instant, earliest};

/// Quick rounds of a search.
const ROUNDS: u8 = 3;
/// Shortest time between two quick rounds.
const MIN_SPACING: Duration = Duration::from_millis(20);
/// Time between two slow seeks of one connection.
const SLOW: Duration = Duration::from_millis(250);
/// Candidates known by their source address alone, at most.
const MAX_STRAYS: usize = 2;
/// Seeks to named addresses that may be sent in quick rounds while home answers.
const QUICK_BUCKET: u32 = 64;
/// Challenges to addresses known by their source alone.
const STRAY_BUCKET: u32 = 16;

/// How an address came to be a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The server named it: announced, or a member of the pool.
    Named,
    /// An authentic packet came from there, and nothing else is known of it.
    Stray {
        /// When it is given up without an answer.
        until: Instant,
    },
}

/// What a candidate has sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spoken {
    first: PacketNumber,
    outspoken: bool,
}

/// An address that may be the server's new one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    address: SocketAddr,
    origin: Origin,
    /// `None`: silent, nothing authentic came from there.
    spoken: Option<Spoken>,
    /// Quick rounds made, and when the next one is due.
    round: u8,
    next: Option<Instant>,
    allotment: Allotment,
}

/// Whether the server is being looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Search {
    /// It is where it was, as far as we know.
    Resting,
    /// Nothing came from home for too long, or the embedder wants to look; a proactive search ends no sooner than its
    /// quick rounds do.
    Running { proactive: bool, slow: Option<Instant> },
    /// The deadline passed; only a sign of life begins another.
    Failed,
}

/// The search and all its candidates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seek {
    deadline: Duration,
    candidates: Vec<Candidate>,
    search: Search,
    /// The last authentic packet from home.
    heard: Instant,
    /// The highest packet number so far, and where it came from.
    top: Option<(SocketAddr, PacketNumber)>,
    /// No candidate leads before: home has spoken louder.
    barred_until: Instant,
    quick: Bucket,
    strays: Bucket,
    /// Whose turn is next in slow seeking.
    turn: usize,
}

impl Seek {
    /// Nothing is sought; `deadline` ends a search in silence.
    pub fn new(now: Instant, deadline: Duration) -> Self {
        Self {
            deadline,
            candidates: Vec::new(),
            search: Search::Resting,
            heard: now,
            top: None,
            barred_until: now,
            quick: Bucket::full(QUICK_BUCKET, now),
            strays: Bucket::full(STRAY_BUCKET, now),
            turn: 0,
        }
    }

    /// When home was last heard.
    pub fn heard(&self) -> Instant {
        self.heard
    }

    /// Whether a search is under way.
    pub fn is_running(&self) -> bool {
        matches!(self.search, Search::Running { .. })
    }

    /// Whether the last search failed and no sign of life came since.
    pub fn has_failed(&self) -> bool {
        self.search == Search::Failed
    }

    /// Whether this address is a candidate.
    pub fn has(&self, address: SocketAddr) -> bool {
        self.find(address).is_some()
    }

    /// Whether an authentic packet came from any candidate.
    pub fn has_spoken(&self) -> bool {
        self.candidates.iter().any(|candidate| candidate.spoken.is_some())
    }

    /// Whether this candidate is known by its source address alone.
    pub fn is_stray(&self, address: SocketAddr) -> bool {
        self.find(address).is_some_and(|candidate| matches!(candidate.origin, Origin::Stray { .. }))
    }

    fn find(&self, address: SocketAddr) -> Option<&Candidate> {
        self.candidates.iter().find(|candidate| candidate.address == address)
    }

    /// The candidate that new data goes to: it sent the highest-numbered packet of all, and home did not outspeak any
    /// within a PTO (rules, 2.4).
    pub fn lead(&self, now: Instant) -> Option<SocketAddr> {
        let (address, _) = self.top?;
        let candidate = self.find(address)?;
        let leads = candidate.spoken.is_some_and(|spoken| !spoken.outspoken) && now >= self.barred_until;
        leads.then_some(address)
    }

    /// Whether no packet with a number as high was seen.
    pub fn is_above_all(&self, number: PacketNumber) -> bool {
        self.top.is_none_or(|(_, top)| number > top)
    }

    /// Begins a search over these addresses; those that the server named before stay candidates. Whether one began.
    pub fn start(
        &mut self,
        now: Instant,
        named: impl IntoIterator<Item = SocketAddr>,
        proactive: bool,
        facts: &Facts,
        actions: &mut Actions,
    ) -> bool {
        if self.search != Search::Resting {
            return false;
        }
        let mut any = false;
        for address in named {
            self.name(now, address);
            if let Some(candidate) = self.candidates.iter_mut().find(|c| c.address == address) {
                candidate.begin(now);
                any = true;
            }
        }
        if any {
            self.search = Search::Running { proactive, slow: None };
            self.tick(now, facts, actions);
        }
        any
    }

    fn name(&mut self, now: Instant, address: SocketAddr) {
        match self.candidates.iter_mut().find(|c| c.address == address) {
            Some(known) => known.origin = Origin::Named,
            None => self.candidates.push(Candidate::new(now, address, Origin::Named)),
        }
    }

    /// An authentic packet came from home; `new`: its number was not seen before. Whether that ended a search.
    pub fn on_home(
        &mut self,
        now: Instant,
        home: SocketAddr,
        number: PacketNumber,
        new: bool,
        pto: Duration,
    ) -> bool {
        self.quick.refill(self.heard.max(now - Duration::from_secs(1)), now);
        self.heard = now;
        if self.is_above_all(number) {
            self.top = Some((home, number));
        }
        for spoken in self.candidates.iter_mut().filter_map(|candidate| candidate.spoken.as_mut()) {
            // A server that has moved sends none from home; one whose packets are copied does (rules, 2.6).
            if number >= spoken.first && !spoken.outspoken {
                spoken.outspoken = true;
                self.barred_until = now + pto;
            }
        }
        if self.search == Search::Failed {
            self.search = Search::Resting;
        }
        let Search::Running { proactive, .. } = self.search else { return false };
        let waits = proactive && self.candidates.iter().any(|candidate| candidate.next.is_some());
        let contradicted = self.candidates.iter().any(|c| c.spoken.is_some_and(|spoken| !spoken.outspoken));
        if !new || waits || contradicted {
            return false;
        }
        self.search = Search::Resting;
        for silent in self.candidates.iter_mut().filter(|candidate| candidate.spoken.is_none()) {
            silent.next = None;
        }
        true
    }

    /// An authentic packet came from an address other than home that may be the server's.
    pub fn on_candidate(
        &mut self,
        now: Instant,
        address: SocketAddr,
        origin: Origin,
        number: PacketNumber,
        facts: &Facts,
        actions: &mut Actions,
    ) {
        if self.find(address).is_none() {
            if matches!(origin, Origin::Stray { .. }) {
                self.make_room_for_stray(actions);
            }
            self.candidates.push(Candidate::new(now, address, origin));
        }
        let newest = self.is_above_all(number);
        if newest {
            self.top = Some((address, number));
        }
        if self.search == Search::Failed {
            self.search = Search::Resting;
        }
        let Some(candidate) = self.candidates.iter_mut().find(|c| c.address == address) else { return };
        let first_word = candidate.spoken.is_none();
        let spoken = candidate.spoken.get_or_insert(Spoken { first: number, outspoken: false });
        if newest && spoken.outspoken {
            // Home was heard since, but the candidate has the last word again: from here on it may be outspoken anew.
            *spoken = Spoken { first: number, outspoken: false };
        }
        if first_word || newest && candidate.next.is_none() {
            candidate.begin(now);
        }
        self.tick(now, facts, actions);
    }

    /// A third stray replaces the oldest.
    fn make_room_for_stray(&mut self, actions: &mut Actions) {
        let is_stray = |candidate: &&Candidate| matches!(candidate.origin, Origin::Stray { .. });
        if self.candidates.iter().filter(is_stray).count() < MAX_STRAYS {
            return;
        }
        if let Some(at) = self.candidates.iter().position(|c| matches!(c.origin, Origin::Stray { .. })) {
            actions.push(Action::Forget(self.candidates.remove(at).address));
        }
    }

    /// What is due now: rounds, slow seeks, strays to be given up.
    pub fn tick(&mut self, now: Instant, facts: &Facts, actions: &mut Actions) {
        self.drop_strays(now, actions);
        let spacing = facts.pto.max(MIN_SPACING);
        for candidate in &mut self.candidates {
            if candidate.next.is_none_or(|at| at > now) {
                continue;
            }
            let granted = match candidate.origin {
                // The first round of a search is always granted.
                Origin::Named if candidate.round == 0 => true,
                Origin::Named => self.quick.take(),
                Origin::Stray { .. } => {
                    self.strays.refill_until(now);
                    self.strays.take()
                }
            };
            if granted && candidate.allotment.take(now, facts.spare_ids) {
                actions.push(Action::Seek(candidate.address));
            }
            candidate.round += 1;
            let wait = spacing.saturating_mul(1 << (candidate.round - 1));
            candidate.next = (candidate.round < ROUNDS).then(|| now + wait);
        }
        self.seek_slowly(now, facts, actions);
    }

    fn drop_strays(&mut self, now: Instant, actions: &mut Actions) {
        self.candidates.retain(|candidate| match candidate.origin {
            Origin::Stray { until } if until <= now => {
                actions.push(Action::Forget(candidate.address));
                false
            }
            Origin::Stray { .. } | Origin::Named => true,
        });
    }

    fn seek_slowly(&mut self, now: Instant, facts: &Facts, actions: &mut Actions) {
        let silent = now.since(self.heard) >= facts.pto;
        let quick = self.candidates.iter().any(|candidate| candidate.next.is_some());
        let Search::Running { slow, .. } = &mut self.search else { return };
        if quick || !silent || self.candidates.is_empty() {
            *slow = Some((self.heard + facts.pto).max(now + SLOW));
            return;
        }
        match *slow {
            Some(at) if at > now => return,
            _ => *slow = Some(now + SLOW),
        }
        self.turn = (self.turn + 1) % self.candidates.len();
        let candidate = &mut self.candidates[self.turn];
        if candidate.allotment.take(now, facts.spare_ids) {
            actions.push(Action::Seek(candidate.address));
        }
    }

    /// Whether silence has reached the deadline while a search was under way: it ends then.
    pub fn fail(&mut self, now: Instant) -> bool {
        let over = self.is_running() && now.since(self.heard) >= self.deadline;
        if over {
            self.search = Search::Failed;
            self.candidates.iter_mut().for_each(|candidate| candidate.next = None);
        }
        over
    }

    /// One candidate became home: the others go, and everything begins afresh.
    pub fn adopt(&mut self, now: Instant, address: SocketAddr, actions: &mut Actions) {
        let others: SmallVec<[SocketAddr; 4]> =
            self.candidates.drain(..).map(|candidate| candidate.address).filter(|a| *a != address).collect();
        actions.extend(others.into_iter().map(Action::Forget));
        self.search = Search::Resting;
        self.heard = now;
        self.barred_until = now;
        self.quick = Bucket::full(QUICK_BUCKET, now);
    }

    /// The next time something is due.
    pub fn due(&self) -> Option<Instant> {
        let rounds = self.candidates.iter().fold(None, |at, candidate| {
            let until = match candidate.origin {
                Origin::Stray { until } => Some(until),
                Origin::Named => None,
            };
            earliest(at, earliest(candidate.next, until))
        });
        match self.search {
            Search::Running { slow, .. } => {
                earliest(rounds, earliest(slow, Some(self.heard + self.deadline)))
            }
            Search::Resting | Search::Failed => rounds,
        }
    }

    /// When silence reaches the deadline.
    pub fn deadline(&self) -> Instant {
        self.heard + self.deadline
    }
}

impl Candidate {
    fn new(now: Instant, address: SocketAddr, origin: Origin) -> Self {
        Self { address, origin, spoken: None, round: 0, next: None, allotment: Allotment::new(now) }
    }

    /// Its quick rounds begin.
    fn begin(&mut self, now: Instant) {
        self.round = 0;
        self.next = Some(now);
    }
}

#[cfg(test)]
#[path = "seek_tests.rs"]
mod tests;
