//! A client: one connection, one request, and a close look at what comes back.

use peregrine::{
    CloseReason, ConnectionEvent, ConnectionHandle, Dir, Endpoint, Event, Instant, MigrationEvent, ReadError,
    StreamId,
};
use sha2::{Digest, Sha256};

use crate::exchange;
use crate::source::Hash;
use crate::timeline::Timeline;

/// An independent client.
#[derive(Debug)]
pub struct Client {
    /// Its endpoint, with a socket of its own.
    pub endpoint: Endpoint,
    /// When it wants to be spoken to.
    pub wake: Option<Instant>,
    /// What it does with its connection.
    pub download: Download,
}

/// How far a download is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The handshake is under way.
    Connecting,
    /// The handshake is complete, and nothing was asked for yet.
    Connected,
    /// The answer comes in on this stream.
    Receiving(StreamId),
    /// The stream ended, and its hash was this.
    Ended(Hash),
    /// It will not end any more.
    Broken(String),
}

/// The client's end of the exchange.
#[derive(Debug)]
pub struct Download {
    /// Its connection.
    pub handle: ConnectionHandle,
    /// How far it is.
    pub state: State,
    /// Bytes so far.
    pub received: u64,
    /// How many handshakes it took.
    pub handshakes: usize,
    /// How it went.
    pub timeline: Timeline,
    /// What the library had to say when a migration failed.
    pub complaint: Option<String>,
    want: u64,
    hash: Sha256,
}

impl Download {
    /// A download of `want` bytes over a connection that was just begun.
    pub fn new(handle: ConnectionHandle, want: u64) -> Self {
        Self {
            handle,
            state: State::Connecting,
            received: 0,
            handshakes: 0,
            timeline: Timeline::default(),
            complaint: None,
            want,
            hash: Sha256::new(),
        }
    }

    /// Something happened.
    pub fn on_event(&mut self, now: Instant, endpoint: &mut Endpoint, event: Event) {
        let Event::Connection(_, event) = event else { return };
        match event {
            ConnectionEvent::Connected { .. } => {
                self.handshakes += 1;
                if self.state == State::Connecting {
                    self.state = State::Connected;
                }
            }
            ConnectionEvent::Stream(_) => self.read(now, endpoint),
            ConnectionEvent::Migration(MigrationEvent::Failed { strategy, reason }) => {
                self.complaint = Some(format!("{strategy:?}: {reason}"));
            }
            ConnectionEvent::Closed(reason) => self.on_closed(&reason),
            _ => {}
        }
    }

    /// Asks for the bytes, once connected.
    pub fn ask(&mut self, endpoint: &mut Endpoint) {
        let Some(connection) = endpoint.connection_mut(self.handle) else { return };
        let Some(id) = connection.open(Dir::Bi) else { return self.give_up("the server permits no stream") };
        let request = exchange::request(self.want);
        let asked = connection.send(id).is_some_and(|mut stream| {
            stream.write(request.as_bytes()) == Ok(request.len()) && stream.finish().is_ok()
        });
        self.state = State::Receiving(id);
        if !asked {
            self.give_up("the request was not taken");
        }
    }

    fn read(&mut self, now: Instant, endpoint: &mut Endpoint) {
        let State::Receiving(id) = self.state else { return };
        let Some(mut stream) =
            endpoint.connection_mut(self.handle).and_then(|connection| connection.recv(id))
        else {
            return;
        };
        let before = self.received;
        let over = loop {
            match stream.chunk() {
                Ok(Some(bytes)) => {
                    self.hash.update(bytes);
                    let len = bytes.len();
                    self.received += len as u64;
                    stream.consume(len);
                }
                Ok(None) => break Some(State::Ended(self.hash.finalize_reset().into())),
                Err(ReadError::Blocked) => break None,
                Err(error) => break Some(State::Broken(error.to_string())),
            }
        };
        if self.received > before {
            self.timeline.record(now, self.received);
        }
        if let Some(state) = over {
            self.state = state;
        }
    }

    fn on_closed(&mut self, reason: &CloseReason) {
        match self.state {
            State::Connecting | State::Connected | State::Receiving(_) => self.give_up(&reason.to_string()),
            State::Ended(_) | State::Broken(_) => {}
        }
    }

    fn give_up(&mut self, why: &str) {
        self.state = State::Broken(why.to_owned());
    }
}
