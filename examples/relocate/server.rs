//! The server: answers requests, and notes how its relocation goes.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use peregrine::{
    ConnectionEvent, ConnectionHandle, Dir, Endpoint, Event, Instant, RelocationEvent, StreamEvent, StreamId,
};

use crate::exchange::{self, Answer, Asking, Refused};
use crate::source::Source;

/// The server's endpoint and what it does with it.
pub struct Server {
    /// Its endpoint.
    pub endpoint: Endpoint,
    /// When it wants to be spoken to.
    pub wake: Option<Instant>,
    /// Its end of the exchanges.
    pub desk: Desk,
}

enum Exchange {
    Asking(Asking),
    Answering(Answer),
}

/// The server's end of all exchanges.
pub struct Desk {
    source: Source,
    /// The most that may be asked for.
    len: u64,
    exchanges: BTreeMap<(ConnectionHandle, StreamId), Exchange>,
    /// How many handshakes were completed.
    pub handshakes: usize,
    /// When all connections were ready to move.
    pub ready: Option<Instant>,
    /// How many connections moved, and how many were lost.
    pub settled: Option<(usize, usize)>,
    /// What could not be read of what is served.
    pub complaint: Option<String>,
}

impl Desk {
    /// A desk that hands out the first `len` bytes of `source`, or fewer.
    pub fn new(source: Source, len: u64) -> Self {
        Self {
            source,
            len,
            exchanges: BTreeMap::new(),
            handshakes: 0,
            ready: None,
            settled: None,
            complaint: None,
        }
    }

    /// Something happened.
    pub fn on_event(&mut self, now: Instant, endpoint: &mut Endpoint, event: Event) {
        match event {
            Event::Connection(_, ConnectionEvent::Connected { .. }) => self.handshakes += 1,
            Event::Connection(handle, ConnectionEvent::Stream(event)) => {
                self.on_stream(endpoint, handle, event)
            }
            Event::Connection(handle, ConnectionEvent::Closed(_)) => {
                self.exchanges.retain(|(of, _), _| *of != handle);
            }
            Event::Relocation(RelocationEvent::Ready { .. }) => self.ready = Some(now),
            Event::Relocation(RelocationEvent::Settled { moved, lost }) => self.settled = Some((moved, lost)),
            _ => {}
        }
    }

    fn on_stream(&mut self, endpoint: &mut Endpoint, handle: ConnectionHandle, event: StreamEvent) {
        match event {
            StreamEvent::Opened { .. } => {
                while let Some(id) = endpoint.connection_mut(handle).and_then(|c| c.accept(Dir::Bi)) {
                    self.exchanges.insert((handle, id), Exchange::Asking(Asking::default()));
                    self.serve(endpoint, handle, id);
                }
            }
            StreamEvent::Readable { id } | StreamEvent::Writable { id } => self.serve(endpoint, handle, id),
            _ => {}
        }
    }

    /// Reads on or writes on, whichever is next on this stream.
    fn serve(&mut self, endpoint: &mut Endpoint, handle: ConnectionHandle, id: StreamId) {
        let Some(exchange) = self.exchanges.get_mut(&(handle, id)) else { return };
        let Some(connection) = endpoint.connection_mut(handle) else { return };
        if let Exchange::Asking(asking) = exchange {
            let asked = connection.recv(id).map_or(Err(Refused), |stream| asking.read(stream));
            match asked {
                Ok(None) => return,
                Ok(Some(len)) if len <= self.len => match self.source.open() {
                    Ok(from) => *exchange = Exchange::Answering(Answer::new(from, len)),
                    Err(error) => self.complaint = Some(error.to_string()),
                },
                Ok(Some(_)) | Err(Refused) => {}
            }
        }
        let Some(stream) = connection.send(id) else {
            self.exchanges.remove(&(handle, id));
            return;
        };
        let over = match exchange {
            Exchange::Asking(_) => {
                exchange::refuse(stream);
                true
            }
            Exchange::Answering(answer) => answer.write(stream).unwrap_or_else(|error| {
                let is_short = error.kind() == ErrorKind::UnexpectedEof;
                self.complaint =
                    Some(if is_short { "it is shorter than it was".to_owned() } else { error.to_string() });
                true
            }),
        };
        if over {
            self.exchanges.remove(&(handle, id));
        }
    }
}
