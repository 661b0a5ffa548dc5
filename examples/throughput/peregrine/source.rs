//! The client's application: on each connection one stream, filled whenever there is room.

use std::collections::BTreeMap;

use peregrine::{
    CloseReason, Connection, ConnectionEvent, ConnectionHandle, Dir, Endpoint, Event, Instant, StreamEvent,
    StreamId, VarInt, WriteError,
};

use super::Application;
use crate::body::Body;
use crate::terms::VERIFIED;
use crate::transfer::Failure;

/// What goes out on one connection.
#[derive(Debug, Clone, Copy, Default)]
struct Part {
    /// The next byte to write.
    offset: u64,
    /// The end.
    len: u64,
}

/// Sends all parts.
#[derive(Debug)]
pub struct Source<'a> {
    body: &'a Body,
    parts: BTreeMap<ConnectionHandle, Part>,
    broken: Option<String>,
}

impl<'a> Source<'a> {
    /// Sends so many bytes of `body` on each connection.
    pub fn new(body: &'a Body, lengths: BTreeMap<ConnectionHandle, u64>) -> Self {
        let parts = lengths.into_iter().map(|(handle, len)| (handle, Part { offset: 0, len }));
        Self { body, parts: parts.collect(), broken: None }
    }

    fn write(&mut self, handle: ConnectionHandle, connection: &mut Connection, id: StreamId) {
        let Some(part) = self.parts.get_mut(&handle) else { return };
        let Some(mut stream) = connection.send(id) else { return };
        while part.offset < part.len {
            match stream.write_chunk(&mut self.body.piece(part.offset, part.len)) {
                Ok(taken) => part.offset += taken as u64,
                // `Writable` comes, or `Closed` does and says more.
                Err(WriteError::Blocked | WriteError::Stopped(_) | WriteError::Closed) => return,
            }
        }
        // An error says that the stream is over, which is what is wanted.
        let _ = stream.finish();
    }
}

impl Application for Source<'_> {
    fn on_event(&mut self, _: Instant, endpoint: &mut Endpoint, event: Event) {
        let Event::Connection(handle, event) = event else { return };
        let connection = endpoint.connection_mut(handle);
        match (event, connection) {
            (ConnectionEvent::Connected { .. }, Some(connection)) => match connection.open(Dir::Uni) {
                Some(id) => self.write(handle, connection, id),
                None => self.broken = Some("the server permits no stream".to_owned()),
            },
            (ConnectionEvent::Stream(StreamEvent::Writable { id }), Some(connection)) => {
                self.write(handle, connection, id);
            }
            (ConnectionEvent::Closed(CloseReason::Application { code, .. }), _)
                if code == VarInt::from_u32(VERIFIED) =>
            {
                self.parts.remove(&handle);
            }
            (ConnectionEvent::Closed(reason), _) => self.broken = Some(reason.to_string()),
            _ => {}
        }
    }

    fn is_done(&mut self, _: &Endpoint) -> Result<bool, Failure> {
        match self.broken.take() {
            Some(why) => Err(Failure::Broken(why)),
            None => Ok(self.parts.is_empty()),
        }
    }
}
