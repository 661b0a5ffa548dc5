//! One workload under one set of terms: how much of it is done, and what a run of it brings.

use std::time::Duration;

use clap::ValueEnum;

use super::content::Look;
use super::fault::Fault;
use super::floor;
use super::memory;
use super::peer::Peer;
use super::quantity::{Quantity, Run};
use super::terms::{Cipher, STREAMS, Sending, Terms};
use super::wire;
use super::workload::{Bulk, Direction, Messages, Requests, early_requests, handshakes};

/// The largest datagram that is looked for, in bytes, where any is.
const SEARCHED: u16 = 9000;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Workload {
    /// One stream from client to server.
    BulkUp,
    /// One stream from server to client.
    BulkDown,
    /// One stream from client to server, after both have found that the path carries 9000 bytes.
    BulkSearched,
    /// Unreliable datagrams of 100 bytes from client to server.
    Datagrams,
    /// One stream from client to server, over a wire that is long and loses datagrams.
    Lossy,
    /// One connection, 1 KiB each way on a stream of its own, 100 at a time.
    ManyStreams,
    /// 1000 connections, 256 bytes there and 1 KiB back, one at a time on each.
    ManyConnections,
    /// The same with 10000 connections; not in the short form unless it is named.
    #[value(name = "many-connections-10000")]
    TenThousandConnections,
    /// Full handshakes, one after the other.
    Handshakes,
    /// Resumed handshakes, one after the other, each with a request of 256 bytes and a response of 1 KiB as early data.
    EarlyRequests,
    /// Heap of idle connections, and allocations of a bulk transfer.
    Memory,
}

impl Workload {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::BulkUp => "bulk-up",
            Self::BulkDown => "bulk-down",
            Self::BulkSearched => "bulk-searched",
            Self::Datagrams => "datagrams",
            Self::Lossy => "lossy",
            Self::ManyStreams => "many-streams",
            Self::ManyConnections => "many-connections",
            Self::TenThousandConnections => "many-connections-10000",
            Self::Handshakes => "handshakes",
            Self::EarlyRequests => "early-requests",
            Self::Memory => "memory",
        }
    }

    /// Whether the floor can be measured too.
    pub fn is_bulk(self) -> bool {
        matches!(self, Self::BulkUp | Self::BulkDown)
    }
}

/// How much is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    /// The short form.
    pub quick: bool,
    /// MiB of a bulk transfer, if not as the form has it.
    pub mib: Option<u64>,
    /// Runs of each leg, if not as the form has it.
    pub reps: Option<usize>,
    /// What the first run's losses follow from; the next run has the next number.
    pub seed: u64,
}

impl Amount {
    /// One or the other, as the form has it.
    fn pick<T>(&self, short: T, full: T) -> T {
        if self.quick { short } else { full }
    }

    fn reps(&self, workload: Workload) -> usize {
        let reps = self.reps.unwrap_or(self.pick(3, 7));
        match workload {
            // Making its connections takes most of the time, and what is timed is long enough.
            Workload::TenThousandConnections => reps.min(3),
            // It repeats itself to the byte, but for what TLS draws.
            Workload::Memory => 1,
            Workload::BulkUp
            | Workload::BulkDown
            | Workload::BulkSearched
            | Workload::Datagrams
            | Workload::Lossy
            | Workload::ManyStreams
            | Workload::ManyConnections
            | Workload::Handshakes
            | Workload::EarlyRequests => reps,
        }
    }

    fn plan(&self, workload: Workload) -> Plan {
        let bulk = |direction, mib| Bulk { mib: self.mib.unwrap_or(mib), direction };
        let connections =
            |links, each| Requests { links, at_a_time: 1, total: links * each, request: 256, response: 1024 };
        match workload {
            Workload::BulkUp => Plan::Bulk(bulk(Direction::Up, self.pick(64, 256))),
            Workload::BulkDown => Plan::Bulk(bulk(Direction::Down, self.pick(64, 256))),
            Workload::BulkSearched => Plan::Searched(bulk(Direction::Up, self.pick(64, 256))),
            Workload::Datagrams => {
                Plan::Messages(Messages { total: self.pick(200_000, 2_000_000), len: 100 })
            }
            Workload::Lossy => Plan::Far(bulk(Direction::Up, self.pick(4, 32))),
            Workload::ManyStreams => {
                let total = self.pick(10_000, 100_000);
                Plan::Streams(Requests { links: 1, at_a_time: 100, total, request: 1024, response: 1024 })
            }
            Workload::ManyConnections => Plan::Connections(connections(1_000, self.pick(10, 30))),
            Workload::TenThousandConnections => Plan::Connections(connections(10_000, self.pick(10, 30))),
            Workload::Handshakes => Plan::Handshakes(self.pick(50, 300)),
            Workload::EarlyRequests => Plan::EarlyRequests(self.pick(50, 300)),
            Workload::Memory => Plan::Footprint,
        }
    }
}

/// What a run consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    Bulk(Bulk),
    Far(Bulk),
    Searched(Bulk),
    Messages(Messages),
    Streams(Requests),
    Connections(Requests),
    Handshakes(u32),
    EarlyRequests(u32),
    Footprint,
}

/// A workload to be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    pub workload: Workload,
    pub terms: Terms,
    /// Timed runs of each leg.
    pub reps: usize,
    plan: Plan,
    seed: u64,
}

impl Case {
    /// So much of a workload, with datagrams of `size` bytes and trains of `burst` datagrams.
    pub fn new(workload: Workload, size: u16, burst: usize, cipher: Cipher, amount: &Amount) -> Self {
        let (plan, reps, seed) = (amount.plan(workload), amount.reps(workload), amount.seed);
        let sending = match plan {
            Plan::Far(_) => Sending::Carefully,
            Plan::Bulk(_)
            | Plan::Searched(_)
            | Plan::Messages(_)
            | Plan::Streams(_)
            | Plan::Connections(_)
            | Plan::Handshakes(_)
            | Plan::EarlyRequests(_)
            | Plan::Footprint => Sending::Freely,
        };
        let resumes = workload == Workload::EarlyRequests;
        let search = matches!(plan, Plan::Searched(_)).then_some(SEARCHED);
        let messages = matches!(plan, Plan::Messages(_));
        let terms = Terms { size, burst, cipher, streams: STREAMS, sending, resumes, search, messages };
        Self { workload, terms, reps, plan, seed }
    }

    fn seed(&self, rep: usize) -> u64 {
        self.seed.wrapping_add(rep as u64)
    }

    /// What tells it from the other cases.
    pub fn name(&self) -> String {
        format!("{}, {}, {}", self.workload.name(), self.terms.size, self.terms.cipher.name())
    }

    /// All of it in words.
    pub fn title(&self) -> String {
        let what = match self.plan {
            Plan::Bulk(bulk) => format!(" of {} MiB", bulk.mib),
            Plan::Far(bulk) => {
                let (delay, first, last) = (wire::DELAY.as_millis(), self.seed, self.seed(self.reps - 1));
                let losses = format!("1 of {} lost, seeds {first} to {last}", wire::ONE_IN);
                format!(" of {} MiB, {delay} ms each way, {losses}", bulk.mib)
            }
            Plan::Searched(bulk) => format!(" of {} MiB, up to {SEARCHED}", bulk.mib),
            Plan::Messages(plan) => format!(", {} of {} bytes", plan.total, plan.len),
            Plan::Streams(plan) => format!(", {} of 1 KiB each way", plan.total),
            Plan::Connections(plan) => format!(", {} requests on {}", plan.total, plan.links),
            Plan::Handshakes(count) | Plan::EarlyRequests(count) => format!(", {count}"),
            Plan::Footprint => format!(" of {} connections", memory::CONNECTIONS),
        };
        let Terms { size, burst, cipher, .. } = self.terms;
        format!("{}{what}, {size}-byte datagrams, {burst} a train, {}", self.workload.name(), cipher.name())
    }

    /// One run of a library; `rep` decides what is lost, if anything is.
    ///
    /// # Errors
    ///
    /// Why the run is worth nothing.
    pub fn run<P: Peer>(&self, rep: usize, look: Look) -> Result<Run, Fault> {
        let terms = &self.terms;
        let (outcome, figures) = match self.plan {
            Plan::Bulk(bulk) => {
                let outcome = bulk.run::<P>(terms, look)?;
                (outcome, vec![(Quantity::Speed, per_second(bulk.mib as f64, outcome.spent))])
            }
            Plan::Far(bulk) => {
                let outcome = bulk.run_far::<P>(terms, self.seed(rep), look)?;
                let goodput = per_second(bulk.mib as f64, outcome.passed);
                let cost = micros_each(bulk.mib as f64, outcome.spent);
                (outcome, vec![(Quantity::Goodput, goodput), (Quantity::Cost, cost)])
            }
            Plan::Searched(bulk) => {
                let outcome = bulk.run_searched::<P>(terms, look)?;
                (outcome, vec![(Quantity::Speed, per_second(bulk.mib as f64, outcome.spent))])
            }
            Plan::Messages(plan) => {
                let outcome = plan.run::<P>(terms, look)?;
                (outcome, vec![(Quantity::Messages, per_second(plan.total as f64, outcome.spent))])
            }
            Plan::Streams(plan) => {
                let outcome = plan.run::<P>(terms, look)?;
                (outcome, vec![(Quantity::Streams, per_second(plan.total as f64, outcome.spent))])
            }
            Plan::Connections(plan) => {
                let outcome = plan.run::<P>(terms, look)?;
                (outcome, vec![(Quantity::Request, micros_each(plan.total as f64, outcome.spent))])
            }
            Plan::Handshakes(count) => {
                let outcome = handshakes::<P>(terms, count)?;
                (outcome, vec![(Quantity::Handshakes, per_second(count.into(), outcome.spent))])
            }
            Plan::EarlyRequests(count) => {
                let outcome = early_requests::<P>(terms, count, look)?;
                (outcome, vec![(Quantity::Handshakes, per_second(count.into(), outcome.spent))])
            }
            Plan::Footprint => return memory::footprint::<P>(terms),
        };
        Ok(Run { figures, datagrams: outcome.datagrams })
    }

    /// One run of the floor, if the workload has one.
    pub fn run_floor(&self) -> Option<Run> {
        match self.plan {
            Plan::Bulk(bulk) => {
                let (spent, datagrams) = floor::bulk(&self.terms, bulk.bytes());
                let figures = vec![(Quantity::Speed, per_second(bulk.mib as f64, spent))];
                Some(Run { figures, datagrams })
            }
            Plan::Far(_)
            | Plan::Searched(_)
            | Plan::Messages(_)
            | Plan::Streams(_)
            | Plan::Connections(_)
            | Plan::Handshakes(_)
            | Plan::EarlyRequests(_)
            | Plan::Footprint => None,
        }
    }
}

fn per_second(work: f64, time: Duration) -> f64 {
    work / time.as_secs_f64()
}

fn micros_each(work: f64, time: Duration) -> f64 {
    time.as_secs_f64() * 1e6 / work
}
