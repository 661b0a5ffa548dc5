//! The client's half: so many requests at a time, each timed, each response checked.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use peregrine::{CloseReason, Connection, Dir, Instant, StreamEvent, StreamId, VarInt};

use super::content::{Incoming, Outgoing, Progress};
use super::{HEAD, Request, Served};
use crate::app::{App, Outcome};

/// A request under way.
#[derive(Debug)]
struct Exchange {
    asked: Instant,
    up: Outgoing,
    down: Option<Incoming>,
}

/// The client's application: requests, so many at a time.
#[derive(Debug)]
pub struct Client {
    queue: VecDeque<Request>,
    parallel: usize,
    gap: Duration,
    appetite: Option<(usize, Duration)>,
    closes: bool,
    connected: bool,
    asked: u64,
    next_at: Option<Instant>,
    meal_at: Option<Instant>,
    hungry: Vec<StreamId>,
    open: BTreeMap<StreamId, Exchange>,
    served: Vec<Served>,
    received: u64,
    failure: Option<String>,
}

impl Client {
    fn new(requests: impl IntoIterator<Item = Request>, parallel: usize) -> Self {
        Self {
            queue: requests.into_iter().collect(),
            parallel,
            gap: Duration::ZERO,
            appetite: None,
            closes: false,
            connected: false,
            asked: 0,
            next_at: None,
            meal_at: None,
            hungry: Vec::new(),
            open: BTreeMap::new(),
            served: Vec::new(),
            received: 0,
            failure: None,
        }
    }

    /// Does nothing.
    pub fn idle() -> Self {
        Self::new([], 1)
    }

    /// Sends these requests, all at once.
    pub fn asking(requests: impl IntoIterator<Item = Request>) -> Self {
        Self::new(requests, usize::MAX)
    }

    /// Downloads so many bytes on one stream.
    pub fn download(bytes: u64) -> Self {
        Self::downloads(1, bytes)
    }

    /// Downloads so many bytes on each of so many streams, all at once.
    pub fn downloads(streams: usize, bytes: u64) -> Self {
        Self::new(vec![Request { dir: Dir::Bi, up: 0, down: bytes }; streams], usize::MAX)
    }

    /// Uploads so many bytes on one stream.
    pub fn upload(bytes: u64) -> Self {
        Self::new([Request { dir: Dir::Bi, up: bytes, down: 8 }], 1)
    }

    /// Uploads so many bytes on each of so many unidirectional streams, all at once.
    pub fn messages(streams: usize, bytes: u64) -> Self {
        Self::new(vec![Request { dir: Dir::Uni, up: bytes, down: 0 }; streams], usize::MAX)
    }

    /// Sends so many requests of 1 KB that are answered by 1 KB, one after the other, `gap` apart.
    pub fn echoes(count: usize, gap: Duration) -> Self {
        Self { gap, ..Self::new(vec![Self::echo(); count], 1) }
    }

    /// A request of 1 KB that is answered by 1 KB.
    pub fn echo() -> Request {
        Request { dir: Dir::Bi, up: 1024 - HEAD, down: 1024 }
    }

    /// Reads at most so many bytes of each stream every so often.
    pub fn slowly(mut self, bytes: usize, every: Duration) -> Self {
        self.appetite = Some((bytes, every));
        self
    }

    /// Closes the connection when it is done.
    pub fn then_close(mut self) -> Self {
        self.closes = true;
        self
    }

    /// Asks for one more.
    pub fn ask(&mut self, now: Instant, connection: &mut Connection, request: Request) {
        self.queue.push_back(request);
        self.begin(now, connection);
    }

    /// The requests that were served, in the order of their completion.
    pub fn served(&self) -> &[Served] {
        &self.served
    }

    /// Bytes of all responses so far.
    pub fn received(&self) -> u64 {
        self.received + self.open.values().filter_map(|e| e.down.as_ref()).map(Incoming::read).sum::<u64>()
    }

    fn fail(&mut self, what: String) {
        self.failure.get_or_insert(what);
    }

    /// Begins as many requests as may be under way at a time.
    fn begin(&mut self, now: Instant, connection: &mut Connection) {
        while self.connected && self.open.len() < self.parallel && self.next_at.is_none() {
            let Some(request) = self.queue.front().copied() else { break };
            let Some(id) = connection.open(request.dir) else { break };
            self.queue.pop_front();
            self.asked += 1;
            let key = self.asked << 32 | id.into_inner();
            let mut head = Vec::new();
            [key, request.up, request.down].iter().for_each(|word| head.extend(word.to_be_bytes()));
            let up = Outgoing::new(head, key, request.up);
            let down = (request.dir == Dir::Bi).then(|| Incoming::new(!key, request.down));
            self.open.insert(id, Exchange { asked: now, up, down });
            self.write(connection, id);
        }
    }

    fn write(&mut self, connection: &mut Connection, id: StreamId) {
        let (Some(exchange), Some(mut stream)) = (self.open.get_mut(&id), connection.send(id)) else {
            return;
        };
        if let Err(error) = exchange.up.advance(&mut stream) {
            self.fail(format!("writing on stream {id}: {error}"));
        }
    }

    fn read(&mut self, now: Instant, connection: &mut Connection, id: StreamId) {
        let allowance = self.appetite.map_or(usize::MAX, |(bytes, _)| bytes);
        let Some(down) = self.open.get_mut(&id).and_then(|exchange| exchange.down.as_mut()) else { return };
        let Some(mut stream) = connection.recv(id) else {
            return self.fail(format!("stream {id} is gone before its response was read"));
        };
        match down.advance(&mut stream, allowance) {
            Progress::Waiting => {}
            Progress::Sated => self.hungry.push(id),
            Progress::Complete => self.complete(now, connection, id),
            Progress::Broken(how) => self.fail(format!("reading from stream {id}: {how}")),
        }
    }

    fn complete(&mut self, now: Instant, connection: &mut Connection, id: StreamId) {
        let Some(exchange) = self.open.remove(&id) else { return };
        self.received += exchange.down.as_ref().map_or(0, Incoming::read);
        self.served.push(Served { asked: exchange.asked, took: now.since(exchange.asked) });
        if !self.gap.is_zero() {
            self.next_at = Some(now + self.gap);
        }
        self.begin(now, connection);
        if self.closes && self.outcome() == Outcome::Done {
            connection.close(now, VarInt::ZERO, b"done");
        }
    }
}

impl App for Client {
    fn on_connected(&mut self, now: Instant, connection: &mut Connection) {
        self.connected = true;
        self.begin(now, connection);
    }

    fn on_stream(&mut self, now: Instant, connection: &mut Connection, event: StreamEvent) {
        match event {
            StreamEvent::Available { .. } => self.begin(now, connection),
            StreamEvent::Writable { id } => self.write(connection, id),
            StreamEvent::Readable { id } => match self.appetite {
                None => self.read(now, connection, id),
                Some((_, every)) => {
                    self.hungry.push(id);
                    self.meal_at.get_or_insert(now + every);
                }
            },
            StreamEvent::Finished { id } if id.dir() == Dir::Uni => {
                self.complete(now, connection, id);
            }
            StreamEvent::Stopped { id, code } => self.fail(format!("stream {id} was stopped with {code}")),
            StreamEvent::Reset { id, code } => self.fail(format!("stream {id} was reset with {code}")),
            _ => {}
        }
    }

    fn on_closed(&mut self, reason: &CloseReason) {
        if self.outcome() != Outcome::Done {
            self.fail(reason.to_string());
        }
    }

    fn deadline(&self) -> Option<Instant> {
        [self.next_at.filter(|_| !self.queue.is_empty()), self.meal_at].into_iter().flatten().min()
    }

    fn on_deadline(&mut self, now: Instant, connection: &mut Connection) {
        if self.next_at.is_some_and(|at| at <= now) {
            self.next_at = None;
            self.begin(now, connection);
        }
        if self.meal_at.is_some_and(|at| at <= now) {
            let mut hungry = std::mem::take(&mut self.hungry);
            hungry.sort_unstable();
            hungry.dedup();
            hungry.into_iter().for_each(|id| self.read(now, connection, id));
            let every = self.appetite.map_or(Duration::ZERO, |(_, every)| every);
            self.meal_at = (!self.hungry.is_empty()).then(|| now + every);
        }
    }

    fn outcome(&self) -> Outcome {
        match &self.failure {
            Some(failure) => Outcome::Failed(failure.clone()),
            None if self.connected && self.queue.is_empty() && self.open.is_empty() => Outcome::Done,
            None => Outcome::Running,
        }
    }
}
