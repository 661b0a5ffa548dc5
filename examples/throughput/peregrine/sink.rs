//! The server's application: verifies every byte where it lies, and closes a connection that has brought its part.

use std::collections::BTreeMap;

use peregrine::{
    Connection, ConnectionEvent, ConnectionHandle, Dir, Endpoint, Event, Instant, ReadError, StreamEvent,
    StreamId, VarInt,
};

use super::Application;
use crate::body::Body;
use crate::terms::VERIFIED;
use crate::transfer::{Course, Failure};

/// Verifies all parts.
#[derive(Debug)]
pub struct Sink<'a> {
    body: &'a Body,
    course: &'a Course,
    /// Streams that have not ended, and how much of each is verified.
    offsets: BTreeMap<ConnectionHandle, u64>,
    /// Connections whose part is still to come.
    left: u16,
    failure: Option<Failure>,
}

impl<'a> Sink<'a> {
    /// Expects `body` on so many connections.
    pub fn new(body: &'a Body, connections: u16, course: &'a Course) -> Self {
        Self { body, course, offsets: BTreeMap::new(), left: connections, failure: None }
    }

    fn read(&mut self, now: Instant, handle: ConnectionHandle, connection: &mut Connection, id: StreamId) {
        let Some(mut stream) = connection.recv(id) else { return };
        let offset = self.offsets.entry(handle).or_default();
        let before = *offset;
        let is_over = loop {
            match stream.chunk() {
                Ok(Some(bytes)) => {
                    if let Err(wrong) = self.body.verify(*offset, bytes) {
                        self.failure = Some(Failure::Wrong(wrong));
                        return;
                    }
                    let len = bytes.len();
                    *offset += len as u64;
                    stream.consume(len);
                }
                Ok(None) => break true,
                // `Readable` comes; of all else `Closed` says more.
                Err(ReadError::Blocked | ReadError::Reset(_) | ReadError::Closed) => break false,
            }
        };
        self.course.advance(*offset - before);
        if is_over {
            self.offsets.remove(&handle);
            self.left -= 1;
            connection.close(now, VarInt::from_u32(VERIFIED), b"");
        }
    }
}

impl Application for Sink<'_> {
    fn on_event(&mut self, now: Instant, endpoint: &mut Endpoint, event: Event) {
        let Event::Connection(handle, event) = event else { return };
        let connection = endpoint.connection_mut(handle);
        match (event, connection) {
            (ConnectionEvent::Stream(StreamEvent::Opened { dir: Dir::Uni }), Some(connection)) => {
                while let Some(id) = connection.accept(Dir::Uni) {
                    self.read(now, handle, connection, id);
                }
            }
            (ConnectionEvent::Stream(StreamEvent::Readable { id }), Some(connection)) => {
                self.read(now, handle, connection, id);
            }
            (ConnectionEvent::Closed(reason), _) if self.offsets.contains_key(&handle) => {
                self.failure = Some(Failure::Broken(reason.to_string()));
            }
            _ => {}
        }
    }

    fn is_done(&mut self, endpoint: &Endpoint) -> Result<bool, Failure> {
        match self.failure.take() {
            Some(failure) => Err(failure),
            // Whoever closes stays until the other end has surely heard it.
            None => Ok(self.left == 0 && endpoint.connections().next().is_none()),
        }
    }
}
