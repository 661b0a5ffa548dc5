//! The client's search for a moved server: candidates, rounds, and how much attention each may ask for.
//!
//! A pure machine over addresses (server-migration rules, 2.1 to 2.7). It is told what arrives from where and what runs
//! out; it answers with seeks, and knows nothing of paths, packets or connection IDs. A client never gives up home for
//! an address that has not answered: this machine only ever proposes to ask.

mod candidate;

use std::net::SocketAddr;
use std::time::Duration;

pub use self::candidate::Origin;

use self::candidate::{Candidate, Rounds, Spoken};
use super::budget::{Attention, Bucket};
use super::{Action, Actions, Facts};
use crate::id::PacketNumber;
use crate::time::{Instant, earliest};

/// Time between two slow seeks of one connection.
const SLOW: Duration = Duration::from_millis(250);
/// Candidates known by their source address alone, at most.
const MAX_STRAYS: usize = 2;
/// Seeks to named addresses that may be sent in quick rounds while home answers.
const QUICK_BUCKET: u32 = 64;
/// Challenges to addresses known by their source alone.
const STRAY_BUCKET: u32 = 16;

/// Whether the server is being looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Search {
    /// It is where it was, as far as we know.
    Resting,
    /// Home is silent for too long, another address has spoken, or the embedder wants to look; a proactive search ends
    /// no sooner than its quick rounds do.
    Running { proactive: bool, rounds: Rounds },
    /// The deadline passed; only a sign of life begins another.
    Failed,
}

/// What a challenge is paid from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Toll {
    /// The first round of a search is always granted.
    Granted,
    /// Further rounds to named addresses.
    Quick,
    /// Anything to a stray.
    Stray,
    /// Four a second are toll enough.
    Slow,
}

/// The search and all its candidates.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Seek {
    deadline: Duration,
    candidates: Vec<Candidate>,
    search: Search,
    /// The last authentic packet from home.
    heard: Instant,
    /// Where the clock of a search began: with home's silence, unless nobody listened then.
    clock: Instant,
    /// The highest packet number so far, and where it came from.
    top: Option<(SocketAddr, PacketNumber)>,
    /// No candidate leads before: home has spoken louder.
    barred_until: Instant,
    quick: Bucket,
    strays: Bucket,
    attention: Attention,
    /// The next slow seek, and whose turn it is.
    slow: Instant,
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
            clock: now,
            top: None,
            barred_until: now,
            quick: Bucket::full(QUICK_BUCKET, now),
            strays: Bucket::full(STRAY_BUCKET, now),
            attention: Attention::default(),
            slow: now,
            turn: 0,
        }
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

    /// Whether a candidate has spoken and home has not spoken louder.
    pub fn is_contradicted(&self) -> bool {
        self.candidates.iter().any(Candidate::contradicts_home)
    }

    /// Whether this candidate is known by its source address alone.
    pub fn is_stray(&self, address: SocketAddr) -> bool {
        self.find(address).is_some_and(Candidate::is_stray)
    }

    fn find(&self, address: SocketAddr) -> Option<&Candidate> {
        self.candidates.iter().find(|candidate| candidate.address == address)
    }

    fn find_mut(&mut self, address: SocketAddr) -> Option<&mut Candidate> {
        self.candidates.iter_mut().find(|candidate| candidate.address == address)
    }

    /// The candidate that new data goes to: it sent the highest-numbered packet of all, and home did not outspeak any
    /// within a PTO (rules, 2.4).
    pub fn lead(&self, now: Instant) -> Option<SocketAddr> {
        let (address, _) = self.top?;
        let leads = self.find(address)?.contradicts_home() && now >= self.barred_until;
        leads.then_some(address)
    }

    /// Whether no packet with a number as high was seen.
    pub fn is_above_all(&self, number: PacketNumber) -> bool {
        self.top.is_none_or(|(_, top)| number > top)
    }

    // ---- the search ---------------------------------------------------------------------------------

    /// Begins a search among these addresses, all of which are candidates from now on; its first round is due at once.
    /// `listened` says whether home was asked while it was silent: else its silence counts from here. Whether it began.
    pub fn start(
        &mut self,
        now: Instant,
        named: impl IntoIterator<Item = SocketAddr>,
        proactive: bool,
        listened: bool,
    ) -> bool {
        if self.search != Search::Resting {
            return false;
        }
        named.into_iter().for_each(|address| self.name(address));
        if self.candidates.iter().all(Candidate::is_stray) {
            return false;
        }
        if !listened {
            self.clock = now;
        }
        self.search = Search::Running { proactive, rounds: Rounds::beginning(now) };
        self.slow = now + SLOW;
        true
    }

    fn name(&mut self, address: SocketAddr) {
        match self.find_mut(address) {
            Some(known) => known.origin = Origin::Named,
            None => self.candidates.push(Candidate {
                address,
                origin: Origin::Named,
                spoken: None,
                rounds: Rounds::OVER,
            }),
        }
    }

    /// Whether a round of the search is due: [`Seek::make_round`] is to be called with its addresses.
    pub fn is_round_due(&self, now: Instant) -> bool {
        matches!(self.search, Search::Running { rounds, .. } if rounds.are_due(now))
    }

    /// Seeks the server at these addresses, as one round.
    pub fn make_round(
        &mut self,
        now: Instant,
        addresses: impl IntoIterator<Item = SocketAddr>,
        facts: &Facts,
        actions: &mut Actions,
    ) {
        let Search::Running { rounds, .. } = &mut self.search else { return };
        let toll = if rounds.on_made(now, facts.pto) { Toll::Granted } else { Toll::Quick };
        for address in addresses {
            self.name(address);
            self.challenge(now, address, toll, facts, actions);
        }
    }

    /// What is due now beside the search's rounds: candidates that have spoken, slow seeks, strays to be given up.
    pub fn tick(&mut self, now: Instant, facts: &Facts, actions: &mut Actions) {
        self.drop_strays(now, actions);
        for at in 0..self.candidates.len() {
            let candidate = &mut self.candidates[at];
            if !candidate.rounds.are_due(now) {
                continue;
            }
            candidate.rounds.on_made(now, facts.pto);
            let toll = if candidate.is_stray() { Toll::Stray } else { Toll::Quick };
            let address = candidate.address;
            self.challenge(now, address, toll, facts, actions);
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
        if self.slow_due(facts.pto).is_none_or(|at| at > now) {
            return;
        }
        self.slow = now + SLOW;
        let (turn, count) = (self.turn, self.candidates.len());
        let next =
            (1..=count).map(|step| (turn + step) % count).find(|at| self.is_sought(&self.candidates[*at]));
        let Some(at) = next else { return };
        self.turn = at;
        let candidate = &self.candidates[at];
        let toll = if candidate.is_stray() { Toll::Stray } else { Toll::Slow };
        self.challenge(now, candidate.address, toll, facts, actions);
    }

    /// Whether this one has a share in slow seeks: all have while a search is under way, and whoever contradicts a home
    /// that is silent; three quick rounds to it may all be lost, and a server with nothing to say speaks no more.
    fn is_sought(&self, candidate: &Candidate) -> bool {
        self.is_running() || !self.has_failed() && candidate.contradicts_home()
    }

    /// When the next slow seek is due: home has been silent for a PTO then.
    fn slow_due(&self, pto: Duration) -> Option<Instant> {
        let any = self.candidates.iter().any(|candidate| self.is_sought(candidate));
        any.then(|| self.slow.max(self.heard + pto))
    }

    /// Challenges an address, if that is not too often.
    fn challenge(
        &mut self,
        now: Instant,
        address: SocketAddr,
        toll: Toll,
        facts: &Facts,
        actions: &mut Actions,
    ) {
        let seek = Action::Seek(address);
        let spoken = self.find(address).is_some_and(|candidate| candidate.spoken.is_some());
        if actions.contains(&seek) || !self.attention.permits(now, address, facts.spare_ids, spoken) {
            return;
        }
        let paid = match toll {
            Toll::Granted => {
                // It is paid for as far as there is something to pay with.
                let _ = self.quick.take();
                true
            }
            Toll::Quick => self.quick.take(),
            Toll::Stray => {
                self.strays.refill_until(now);
                self.strays.take()
            }
            Toll::Slow => true,
        };
        if paid {
            self.attention.on_asked(now, address);
            actions.push(seek);
        }
    }

    /// Whether silence has reached the deadline during a search, or while a move is announced: the search ends then.
    pub fn fail(&mut self, now: Instant, announced: bool) -> bool {
        let watches = self.is_running() || announced && !self.has_failed();
        let over = watches && now >= self.deadline();
        if over {
            self.search = Search::Failed;
            self.candidates.iter_mut().for_each(|candidate| candidate.rounds = Rounds::OVER);
        }
        over
    }

    /// When silence reaches the deadline.
    pub fn deadline(&self) -> Instant {
        self.clock + self.deadline
    }

    /// The next time something is due.
    pub fn due(&self, pto: Duration, announced: bool) -> Option<Instant> {
        let own = self.candidates.iter().fold(None, |at, candidate| {
            let until = match candidate.origin {
                Origin::Stray { until } => Some(until),
                Origin::Named => None,
            };
            earliest(at, earliest(candidate.rounds.next, until))
        });
        let search = match self.search {
            Search::Running { rounds, .. } => earliest(Some(self.deadline()), rounds.next),
            Search::Resting => announced.then(|| self.deadline()),
            Search::Failed => None,
        };
        earliest(earliest(own, search), self.slow_due(pto))
    }

    // ---- what arrives -------------------------------------------------------------------------------

    /// A new authentic packet came from home. Whether that ended a search.
    pub fn on_home(
        &mut self,
        now: Instant,
        home: SocketAddr,
        number: PacketNumber,
        pto: Duration,
        actions: &mut Actions,
    ) -> bool {
        self.quick.refill(self.heard.max(now - Duration::from_secs(1)), now);
        if self.is_above_all(number) {
            self.top = Some((home, number));
        }
        self.outspeak(now, number, pto, actions);
        (self.heard, self.clock) = (now, now);
        match self.search {
            Search::Resting => false,
            Search::Failed => {
                self.search = Search::Resting;
                false
            }
            Search::Running { proactive, rounds, .. } => {
                let over = !self.is_contradicted() && (!proactive || rounds.are_over());
                if over {
                    self.search = Search::Resting;
                }
                over
            }
        }
    }

    /// A copy of a known packet came from home. It ends the silence only if a server that has moved could not have sent
    /// the packet from there; any other copy anybody may have kept.
    pub fn on_duplicate(&mut self, now: Instant, number: PacketNumber, pto: Duration, actions: &mut Actions) {
        if self.outspeak(now, number, pto, actions) {
            (self.heard, self.clock) = (now, now);
        }
    }

    /// A server that has moved sends nothing from home; one whose packets are copied does (rules, 2.6). Whether this
    /// packet says that of any candidate.
    fn outspeak(&mut self, now: Instant, number: PacketNumber, pto: Duration, actions: &mut Actions) -> bool {
        let mut any = false;
        for candidate in &mut self.candidates {
            let Some(spoken) = candidate.spoken.as_mut().filter(|spoken| number >= spoken.first) else {
                continue;
            };
            any = true;
            if !spoken.outspoken {
                spoken.outspoken = true;
                self.barred_until = now + pto;
                actions.push(Action::Recall(candidate.address));
            }
        }
        any
    }

    /// An authentic packet came from an address other than home that may be the server's; its challenge is due at once.
    pub fn on_candidate(
        &mut self,
        now: Instant,
        address: SocketAddr,
        origin: Origin,
        number: PacketNumber,
        actions: &mut Actions,
    ) {
        match (origin, self.has(address)) {
            (Origin::Named, _) => self.name(address),
            (Origin::Stray { .. }, true) => {}
            (Origin::Stray { .. }, false) => {
                self.make_room_for_stray(actions);
                let (spoken, rounds) = (None, Rounds::OVER);
                self.candidates.push(Candidate { address, origin, spoken, rounds });
            }
        }
        let newest = self.is_above_all(number);
        if newest {
            self.top = Some((address, number));
        }
        if self.search == Search::Failed {
            self.search = Search::Resting;
            self.clock = now;
        }
        let Some(candidate) = self.find_mut(address) else { return };
        if newest && candidate.is_stray() {
            // As if it had been given up and had come back.
            candidate.origin = origin;
        }
        let first_word = candidate.spoken.is_none();
        let spoken = candidate.spoken.get_or_insert(Spoken { first: number, outspoken: false });
        if newest && spoken.outspoken {
            // Home was heard since, but the candidate has the last word again: from here on it may be outspoken anew.
            *spoken = Spoken { first: number, outspoken: false };
        }
        if first_word || newest && candidate.rounds.are_over() {
            candidate.rounds = Rounds::beginning(now);
            self.slow = self.slow.max(now + SLOW);
        }
    }

    /// A third stray replaces the oldest.
    fn make_room_for_stray(&mut self, actions: &mut Actions) {
        if self.candidates.iter().filter(|candidate| candidate.is_stray()).count() < MAX_STRAYS {
            return;
        }
        if let Some(at) = self.candidates.iter().position(Candidate::is_stray) {
            actions.push(Action::Forget(self.candidates.remove(at).address));
        }
    }

    /// One candidate became home: the others go, and everything begins afresh.
    pub fn adopt(&mut self, now: Instant, address: SocketAddr, actions: &mut Actions) {
        let others = self.candidates.drain(..).map(|candidate| candidate.address).filter(|a| *a != address);
        actions.extend(others.map(Action::Forget));
        self.search = Search::Resting;
        (self.heard, self.clock) = (now, now);
        self.barred_until = now;
        self.quick = Bucket::full(QUICK_BUCKET, now);
    }

    /// The server is not at this address, for all that was thought.
    pub fn forget(&mut self, address: SocketAddr, actions: &mut Actions) {
        let before = self.candidates.len();
        self.candidates.retain(|candidate| candidate.address != address);
        if self.candidates.len() < before {
            actions.push(Action::Forget(address));
        }
    }

    /// This address is home again without having answered anew: it is no candidate, if it was one.
    pub fn go_back(&mut self, now: Instant, home: SocketAddr) {
        self.candidates.retain(|candidate| candidate.address != home);
        (self.heard, self.clock) = (now, now);
    }
}

#[cfg(test)]
#[path = "seek_tests.rs"]
mod tests;
