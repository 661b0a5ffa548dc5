//! The server's half: serves all requests of one connection, and checks what comes up.

use std::collections::BTreeMap;
use std::fmt;

use peregrine::{Connection, Dir, Instant, ReadError, StreamEvent, StreamId};

use super::HEAD;
use super::content::{Incoming, Outgoing, Progress};
use crate::app::{App, Outcome};

/// A request as the server has it.
#[derive(Debug)]
enum Serving {
    /// Its head is not complete.
    Head(Vec<u8>),
    /// Its content is coming.
    Upload { upload: Incoming, response: Outgoing },
    /// The response is going.
    Response(Outgoing),
}

/// The server's application: serves all requests of one connection.
#[derive(Debug, Default)]
pub struct Server {
    serving: BTreeMap<StreamId, Serving>,
    failure: Option<String>,
}

impl Server {
    fn fail(&mut self, id: StreamId, what: &dyn fmt::Display) {
        self.failure.get_or_insert_with(|| format!("stream {id}: {what}"));
    }

    fn accept(&mut self, connection: &mut Connection) {
        for dir in [Dir::Bi, Dir::Uni] {
            while let Some(id) = connection.accept(dir) {
                self.serving.insert(id, Serving::Head(Vec::new()));
                self.read(connection, id);
            }
        }
    }

    fn read(&mut self, connection: &mut Connection, id: StreamId) {
        if let Some(Serving::Head(head)) = self.serving.get_mut(&id) {
            match read_head(connection, id, head) {
                Ok(None) => return,
                Ok(Some([key, up, down])) => {
                    let (upload, response) = (Incoming::new(key, up), Outgoing::new(Vec::new(), !key, down));
                    self.serving.insert(id, Serving::Upload { upload, response });
                }
                Err(error) => return self.abandon(id, &error),
            }
        }
        let Some(Serving::Upload { upload, .. }) = self.serving.get_mut(&id) else { return };
        let Some(mut stream) = connection.recv(id) else {
            return self.abandon(id, &"gone before it was read");
        };
        match upload.advance(&mut stream, usize::MAX) {
            Progress::Waiting | Progress::Sated => {}
            Progress::Broken(how) => self.abandon(id, &how),
            Progress::Complete => {
                if let Some(Serving::Upload { response, .. }) = self.serving.remove(&id)
                    && id.dir() == Dir::Bi
                {
                    self.serving.insert(id, Serving::Response(response));
                    self.write(connection, id);
                }
            }
        }
    }

    /// A client that resets its stream, or ends it early, is served no more. Wrong content is our failure.
    fn abandon(&mut self, id: StreamId, what: &dyn fmt::Display) {
        self.serving.remove(&id);
        self.fail(id, what);
    }

    fn write(&mut self, connection: &mut Connection, id: StreamId) {
        let Some(Serving::Response(response)) = self.serving.get_mut(&id) else { return };
        let Some(mut stream) = connection.send(id) else { return };
        match response.advance(&mut stream) {
            Ok(()) if response.is_finished() => {
                self.serving.remove(&id);
            }
            Ok(()) => {}
            Err(error) => self.abandon(id, &error),
        }
    }
}

/// Reads on until the head is complete.
fn read_head(
    connection: &mut Connection,
    id: StreamId,
    head: &mut Vec<u8>,
) -> Result<Option<[u64; 3]>, String> {
    let mut stream = connection.recv(id).ok_or("gone before its head was read")?;
    while head.len() < HEAD as usize {
        let mut buffer = [0; HEAD as usize];
        match stream.read(&mut buffer[head.len()..]) {
            Ok(Some(len)) => head.extend_from_slice(&buffer[head.len()..][..len]),
            Ok(None) => return Err("it ended within its head".into()),
            Err(ReadError::Blocked) => return Ok(None),
            Err(error) => return Err(error.to_string()),
        }
    }
    let word = |at: usize| u64::from_be_bytes(head[at..at + 8].try_into().expect("eight bytes"));
    Ok(Some([word(0), word(8), word(16)]))
}

impl App for Server {
    fn on_connected(&mut self, _: Instant, connection: &mut Connection) {
        self.accept(connection);
    }

    fn on_stream(&mut self, _: Instant, connection: &mut Connection, event: StreamEvent) {
        match event {
            StreamEvent::Opened { .. } => self.accept(connection),
            StreamEvent::Readable { id } => self.read(connection, id),
            StreamEvent::Writable { id } => self.write(connection, id),
            StreamEvent::Stopped { id, .. } | StreamEvent::Reset { id, .. } => {
                self.serving.remove(&id);
            }
            _ => {}
        }
    }

    fn outcome(&self) -> Outcome {
        self.failure.clone().map_or(Outcome::Done, Outcome::Failed)
    }
}
