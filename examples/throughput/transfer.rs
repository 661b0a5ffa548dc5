//! One transfer: two ends on a thread each, somebody who looks on, and what it cost.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;

use crate::body::{Body, Wrong};
use crate::certificates::Certificates;
use crate::options::Plan;
use crate::progress::Progress;
use crate::report::Leg;
use crate::terms::PATIENCE;

/// How often the onlooker looks.
const LOOK: Duration = Duration::from_millis(50);

/// What either library is to do.
#[derive(Debug)]
pub struct Job {
    /// How much, over how many connections.
    pub plan: Plan,
    /// Which of the plan's rounds this is.
    pub round: u16,
    /// Who the server is.
    pub certificates: Certificates,
    /// What the client sends.
    pub sent: Body,
    /// What the server expects.
    pub wanted: Body,
    /// How long nothing may be verified.
    pub patience: Duration,
}

impl Job {
    /// The first round of a plan.
    pub fn new(plan: Plan, certificates: Certificates) -> Self {
        let body = Body::new();
        Self { plan, round: 1, certificates, sent: body.clone(), wanted: body, patience: PATIENCE }
    }
}

/// Why a transfer failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A socket or a thread could not be had, or is beyond use.
    #[error("cannot {0}: {1}")]
    System(&'static str, io::Error),
    /// A library refused a setting or a call.
    #[error("the library refused to {0}: {1}")]
    Library(&'static str, Box<dyn std::error::Error + Send + Sync>),
    /// Bytes are not what was sent.
    #[error("the byte at offset {} of a stream is not the one that was sent", .0.at)]
    Wrong(Wrong),
    /// A connection ended before its time.
    #[error("a connection broke: {0}")]
    Broken(String),
    /// Streams ended too early or too late.
    #[error("{got} bytes arrived instead of {want}")]
    Length {
        /// Bytes that were verified.
        got: u64,
        /// Bytes that should have been.
        want: u64,
    },
    /// Nothing happened for too long.
    #[error("no progress for {after:?}: {got} of {want} bytes have arrived")]
    Stalled {
        /// How long.
        after: Duration,
        /// Bytes that were verified.
        got: u64,
        /// Bytes that should have been.
        want: u64,
    },
    /// The other end failed, and knows why.
    #[error("the other end gave up")]
    Abandoned,
}

impl Failure {
    /// The library refused to do something.
    pub fn library(what: &'static str, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Library(what, why.into())
    }
}

/// What a transfer cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Time until the last byte was verified, handshakes included.
    pub wall: Duration,
    /// Processor time of the process until both ends were done, that of the kernel on its behalf included.
    pub processor: Duration,
}

/// What both ends and the onlooker know of a transfer.
#[derive(Debug)]
pub struct Course {
    size: u64,
    started: Instant,
    verified: AtomicU64,
    complete: OnceLock<Duration>,
    given_up: AtomicBool,
}

impl Course {
    #[expect(clippy::disallowed_methods, reason = "this measures how long things take")]
    fn start(size: u64) -> Self {
        Self {
            size,
            started: Instant::now(),
            verified: AtomicU64::new(0),
            complete: OnceLock::new(),
            given_up: AtomicBool::new(false),
        }
    }

    /// The receiver has verified `bytes` more.
    pub fn advance(&self, bytes: u64) {
        let before = self.verified.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes == self.size {
            let _ = self.complete.set(self.started.elapsed());
        }
    }

    /// Whether there is no use in going on.
    pub fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }

    fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    fn verified(&self) -> u64 {
        self.verified.load(Ordering::Relaxed)
    }

    /// One end's life; the other one does not go on without it.
    fn live<T>(self: &Arc<Self>, end: impl FnOnce(&Arc<Self>) -> Result<T, Failure>) -> Result<T, Failure> {
        let outcome = end(self);
        if outcome.is_err() {
            self.give_up();
        }
        outcome
    }

    /// Shows how far it is until both ends are done; fails if nothing happens for too long.
    fn look_on(
        &self,
        progress: &Progress,
        patience: Duration,
        is_done: impl Fn() -> bool,
    ) -> Result<(), Failure> {
        let (mut seen, mut since) = (0, self.started.elapsed());
        while !is_done() {
            thread::sleep(LOOK);
            let (verified, now) = (self.verified(), self.started.elapsed());
            if verified > seen {
                progress.advance(0, verified - seen);
                (seen, since) = (verified, now);
            } else if now - since >= patience {
                self.give_up();
                return Err(Failure::Stalled { after: patience, got: verified, want: self.size });
            }
        }
        Ok(())
    }
}

/// Lets a source and a sink do the job, each on a thread; what they return is returned.
///
/// # Errors
///
/// The first thing that went wrong, or bytes that did not arrive.
pub fn carry<A: Send, B: Send>(
    job: &Job,
    leg: Leg,
    source: impl FnOnce(&Arc<Course>) -> Result<A, Failure> + Send,
    sink: impl FnOnce(&Arc<Course>) -> Result<B, Failure> + Send,
) -> Result<(Cost, A, B), Failure> {
    let size = job.plan.size;
    let progress = Progress::new(leg.name(), 1, size);
    progress.stage(format!("round {} of {}", job.round, job.plan.rounds));
    // A profiler tells the threads apart by their names.
    let thread = |role: &str| thread::Builder::new().name(format!("{}-{role}", leg.name()));
    let processor = ProcessTime::now();
    let course = Arc::new(Course::start(size));
    let no_thread = |error| {
        course.give_up();
        Failure::System("start a thread", error)
    };
    let (looked, source, sink) = thread::scope(|scope| {
        let sink = thread("sink").spawn_scoped(scope, || course.live(sink)).map_err(no_thread)?;
        let source = thread("source").spawn_scoped(scope, || course.live(source)).map_err(no_thread)?;
        let looked = course.look_on(&progress, job.patience, || source.is_finished() && sink.is_finished());
        Ok((looked, join(source), join(sink)))
    })?;
    let processor = processor.elapsed();
    looked?;
    let (source, sink) = match (source, sink) {
        (Ok(source), Ok(sink)) => (source, sink),
        // What the server has found explains why the client was cut off, not the other way round.
        (Err(why), Ok(_) | Err(Failure::Abandoned)) | (_, Err(why)) => return Err(why),
    };
    match course.complete.get() {
        Some(&wall) if course.verified() == size => Ok((Cost { wall, processor }, source, sink)),
        Some(_) | None => Err(Failure::Length { got: course.verified(), want: size }),
    }
}

fn join<T>(end: ScopedJoinHandle<'_, T>) -> T {
    end.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
