//! The time: what is planned, which host wakes next, and the run from one event to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use peregrine::{ConnectionHandle, Instant};

use super::World;
use crate::app::Outcome;
use crate::network::{Datagram, HostId};

/// Steps at one point in time after which the world is taken to stand still, and how many more for each host.
const MAX_STEPS_AT_ONCE: (usize, usize) = (100_000, 100);
/// Steps of one world after which it is taken never to end, and how many more for each host.
const MAX_STEPS: (usize, usize) = (20_000_000, 20_000);

/// What a test has planned for later.
type Plan = Box<dyn FnOnce(&mut World)>;

/// What is to happen, datagrams apart.
#[derive(Default)]
pub(super) struct Schedule {
    plans: BTreeMap<(Instant, usize), Plan>,
    planned: usize,
    /// The hosts that want to be woken, each once.
    wakes: BTreeSet<(Instant, HostId)>,
    /// By host: when it stands in `wakes`.
    woken: Vec<Option<Instant>>,
    steps: usize,
    steps_at_once: usize,
}

impl Schedule {
    /// A host wants to be woken then, and not when it wanted before.
    fn wake(&mut self, host: HostId, at: Option<Instant>) {
        if self.woken.len() <= host.0 {
            self.woken.resize(host.0 + 1, None);
        }
        let before = std::mem::replace(&mut self.woken[host.0], at);
        if before == at {
            return;
        }
        before.map(|before| self.wakes.remove(&(before, host)));
        self.wakes.extend(at.map(|at| (at, host)));
    }

    /// The first plan that is due.
    fn plan(&mut self, now: Instant) -> Option<Plan> {
        let first = self.plans.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(first.remove())
    }

    /// The first host that is due.
    fn due(&self, now: Instant) -> Option<HostId> {
        self.wakes.first().filter(|(at, _)| *at <= now).map(|(_, host)| *host)
    }

    fn next(&self) -> Option<Instant> {
        let plan = self.plans.first_key_value().map(|((at, _), _)| *at);
        let wake = self.wakes.first().map(|(at, _)| *at);
        plan.into_iter().chain(wake).min()
    }
}

impl World {
    /// The time. It begins with zero, and is not what a host that was frozen takes it for ([`Host::clock`](crate::Host::clock)).
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Does this so much later, while the world runs. Plans for the same time are done in their order.
    pub fn plan(&mut self, after: Duration, what: impl FnOnce(&mut Self) + 'static) {
        self.schedule.planned += 1;
        self.schedule.plans.insert((self.now + after, self.schedule.planned), Box::new(what));
    }

    /// Runs for so long.
    pub fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        self.run_to(until);
    }

    /// Runs up to this time.
    pub fn run_to(&mut self, until: Instant) {
        while self.next().is_some_and(|at| at <= until) {
            self.step();
        }
        self.now = self.now.max(until);
    }

    /// Runs until this is so, which is asked before every step: let it be cheap.
    ///
    /// # Panics
    ///
    /// When it is not so after `limit`, or nothing is left that could happen.
    pub fn run_until(&mut self, so: impl Fn(&Self) -> bool, limit: Duration) {
        let until = self.now + limit;
        while !so(self) {
            match self.next() {
                Some(at) if at <= until => self.step(),
                Some(_) => panic!("not so after {limit:?}\n{}", self.report()),
                None => panic!("nothing is left that could happen\n{}", self.report()),
            }
        }
    }

    /// Runs until all applications are done or have failed, and nothing is planned, at most so long.
    ///
    /// # Panics
    ///
    /// When some are not after `limit`, or nothing is left that could happen.
    pub fn run_until_done(&mut self, limit: Duration) {
        self.run_until(|world| world.schedule.plans.is_empty() && world.running() == 0, limit);
    }

    /// Runs until all applications are done, and nothing is planned, at most so long.
    ///
    /// # Panics
    ///
    /// When some are not after `limit`, or one has failed.
    pub fn run_well(&mut self, limit: Duration) {
        self.run_until_done(limit);
        let failed = |(_, outcome): &(ConnectionHandle, Outcome)| *outcome != Outcome::Done;
        if let Some((handle, outcome)) = self.hosts.iter().flat_map(|host| host.outcomes()).find(failed) {
            panic!("{handle:?}: {outcome:?}\n{}", self.report());
        }
    }

    /// Runs until nothing is left that could happen, at most so long; returns whether that came.
    pub fn run_out(&mut self, limit: Duration) -> bool {
        let until = self.now + limit;
        while self.next().is_some_and(|at| at <= until) {
            self.step();
        }
        self.next().is_none()
    }

    /// How many applications are neither done nor have failed.
    pub fn running(&self) -> usize {
        self.running.1
    }

    /// How much has happened so far: datagrams that arrived, hosts that woke, and plans that were done.
    pub fn steps(&self) -> usize {
        self.schedule.steps
    }

    fn next(&self) -> Option<Instant> {
        [self.schedule.next(), self.network.next()].into_iter().flatten().min()
    }

    /// Does the next thing.
    fn step(&mut self) {
        let Some(next) = self.next() else { return };
        self.count_step(next);
        if let Some(plan) = self.schedule.plan(next) {
            return plan(self);
        }
        if let Some((host, datagram)) = self.network.receive(next) {
            return self.deliver(host, datagram);
        }
        if let Some(host) = self.schedule.due(next) {
            self.drive(host);
        }
    }

    fn count_step(&mut self, next: Instant) {
        let schedule = &mut self.schedule;
        schedule.steps += 1;
        schedule.steps_at_once = if next > self.now { 0 } else { schedule.steps_at_once + 1 };
        self.now = self.now.max(next);
        let limit = |(base, each)| base + each * self.hosts.len();
        if schedule.steps_at_once > limit(MAX_STEPS_AT_ONCE) || schedule.steps > limit(MAX_STEPS) {
            panic!("the world does not come on\n{}", self.report());
        }
    }

    pub(super) fn deliver(&mut self, host: HostId, datagram: Datagram) {
        if !self.hosts[host.0].is_frozen() {
            self.watch.on_received(host, &datagram);
        }
        // Only a long header begins a connection.
        if datagram.payload.first().is_some_and(|byte| byte & 0x80 != 0) {
            self.far_ends.get_mut().unread.insert(host);
        }
        self.hosts[host.0].receive(self.now, datagram, &mut self.network);
        self.drive(host);
    }

    /// Lets a host do all it wants.
    pub(super) fn drive(&mut self, host: HostId) {
        self.hosts[host.0].drive(self.now, &mut self.network, &mut self.watch, &mut self.buffer);
        self.settle(host);
    }

    /// Takes down when a host wants to be woken, and how many of its applications are at work.
    pub(super) fn settle(&mut self, host: HostId) {
        let at = &self.hosts[host.0];
        self.schedule.wake(host, at.wake());
        let (of_hosts, of_all) = &mut self.running;
        *of_all -= of_hosts[host.0];
        of_hosts[host.0] = at.running();
        *of_all += of_hosts[host.0];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_stands_in_the_queue_once_however_often_it_changes_its_mind() {
        let mut schedule = Schedule::default();
        for millis in (0..1000).rev().chain(0..1000) {
            schedule.wake(HostId(0), Some(Instant::from_millis(millis)));
        }
        assert_eq!(schedule.wakes, BTreeSet::from([(Instant::from_millis(999), HostId(0))]));
        schedule.wake(HostId(0), None);
        assert_eq!(schedule.next(), None);
    }
}
