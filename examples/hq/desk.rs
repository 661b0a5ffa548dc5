//! The server's end of all exchanges: reads requests, and streams files in pieces as clients take them.
//!
//! Of a request it holds its line, of an answer one piece and an open file. A client that takes nothing for
//! [`PATIENCE`] loses its stream, so that nobody holds a file for ever.

use std::collections::BTreeMap;
use std::time::Duration;

use peregrine::{ConnectionEvent, ConnectionHandle, Dir, Endpoint, Event, Instant, StreamEvent, StreamId};

use crate::exchange::Answer;
use crate::request::{Asking, Fault};
use crate::root::{Refusal, Root};

/// How long a stream may stand still.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often streams that stand still are looked for.
const ROUND: Duration = Duration::from_secs(1);

/// One stream.
struct Exchange {
    asking: Asking,
    answer: Progress,
    /// When something last happened on it.
    touched: Instant,
}

/// How far an answer is.
enum Progress {
    /// The request is not complete.
    Awaited,
    /// Its pieces are going out.
    Going(Answer),
    /// All of it was taken.
    Gone,
}

/// What is served, and to whom.
pub struct Desk {
    root: Root,
    exchanges: BTreeMap<(ConnectionHandle, StreamId), Exchange>,
    /// When streams that stand still are looked for next.
    next_round: Instant,
}

impl Desk {
    /// A desk that hands out what is in `root`.
    pub fn new(root: Root) -> Self {
        Self { root, exchanges: BTreeMap::new(), next_round: Instant::ZERO }
    }

    /// Something happened.
    pub fn on_event(&mut self, now: Instant, endpoint: &mut Endpoint, event: &Event) {
        let Event::Connection(handle, event) = event else { return };
        match event {
            ConnectionEvent::Stream(event) => self.on_stream(now, endpoint, *handle, *event),
            ConnectionEvent::Closed(_) => self.exchanges.retain(|(of, _), _| of != handle),
            _ => {}
        }
    }

    fn on_stream(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        handle: ConnectionHandle,
        event: StreamEvent,
    ) {
        match event {
            StreamEvent::Opened { .. } => {
                while let Some(id) = endpoint.connection_mut(handle).and_then(|c| c.accept(Dir::Bi)) {
                    let exchange =
                        Exchange { asking: Asking::default(), answer: Progress::Awaited, touched: now };
                    self.exchanges.insert((handle, id), exchange);
                    self.serve(now, endpoint, handle, id);
                }
            }
            StreamEvent::Readable { id } | StreamEvent::Writable { id } => {
                self.serve(now, endpoint, handle, id);
            }
            StreamEvent::Stopped { id, .. } | StreamEvent::Reset { id, .. } => {
                self.end(endpoint, handle, id, Some(Fault::BadRequest));
            }
            _ => {}
        }
    }

    /// Reads on and writes on, as far as it goes.
    fn serve(&mut self, now: Instant, endpoint: &mut Endpoint, handle: ConnectionHandle, id: StreamId) {
        let Some(exchange) = self.exchanges.get_mut(&(handle, id)) else { return };
        exchange.touched = now;
        match exchange.serve(&self.root, endpoint, handle, id) {
            Ok(false) => {}
            Ok(true) => self.end(endpoint, handle, id, None),
            Err(fault) => self.end(endpoint, handle, id, Some(fault)),
        }
    }

    /// Forgets a stream, and resets it if something is wrong with it.
    fn end(&mut self, endpoint: &mut Endpoint, handle: ConnectionHandle, id: StreamId, fault: Option<Fault>) {
        self.exchanges.remove(&(handle, id));
        let (Some(fault), Some(connection)) = (fault, endpoint.connection_mut(handle)) else { return };
        // Errors mean that a half is over already, which is as good.
        if let Some(mut stream) = connection.send(id) {
            let _ = stream.reset(fault.code());
        }
        if let Some(mut stream) = connection.recv(id) {
            let _ = stream.stop(fault.code());
        }
    }

    /// Gives up streams that stand still; to be called now and then.
    pub fn clean(&mut self, now: Instant, endpoint: &mut Endpoint) {
        if now < self.next_round {
            return;
        }
        self.next_round = now + ROUND;
        let still = self.exchanges.iter().filter(|(_, exchange)| now.since(exchange.touched) >= PATIENCE);
        for (handle, id) in still.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.end(endpoint, handle, id, Some(Fault::TooSlow));
        }
    }

    /// How many streams it has to do with.
    #[cfg(test)]
    pub fn open(&self) -> usize {
        self.exchanges.len()
    }

    /// When it wants to be called next; `None` if no stream is open.
    pub fn deadline(&self) -> Option<Instant> {
        (!self.exchanges.is_empty()).then_some(self.next_round)
    }
}

impl Exchange {
    /// Whether all is done.
    fn serve(
        &mut self,
        root: &Root,
        endpoint: &mut Endpoint,
        handle: ConnectionHandle,
        id: StreamId,
    ) -> Result<bool, Fault> {
        let Some(connection) = endpoint.connection_mut(handle) else { return Ok(true) };
        if !self.asking.is_over {
            self.asking.read(connection.recv(id).ok_or(Fault::BadRequest)?)?;
        }
        if matches!(self.answer, Progress::Awaited) {
            let Some(path) = self.asking.path().transpose()? else { return Ok(false) };
            let (file, len) = root.open(path).map_err(|refusal| match refusal {
                Refusal::NotFound => Fault::NotFound,
                Refusal::Unreadable => Fault::Unreadable,
            })?;
            self.answer = Progress::Going(Answer::new(Box::new(file), len));
        }
        if let Progress::Going(answer) = &mut self.answer {
            let stream = connection.send(id).ok_or(Fault::BadRequest)?;
            if answer.write(stream).map_err(|_| Fault::Unreadable)? {
                self.answer = Progress::Gone;
            }
        }
        Ok(self.asking.is_over && matches!(self.answer, Progress::Gone))
    }
}
