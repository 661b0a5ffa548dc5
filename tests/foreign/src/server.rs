//! Files that our server serves.

use std::collections::BTreeMap;

use peregrine::{
    ConnectionEvent, ConnectionHandle, Dir, PathStats, ReadError, StreamEvent, StreamId, WriteError,
};

use crate::ours::Ours;

/// Bytes made at a time.
const PIECE: u64 = 64 << 10;

/// What is known of one request.
#[derive(Debug)]
enum Request {
    Asking(Vec<u8>),
    Answering { len: u64, sent: u64 },
}

/// The requests under way, and what was seen of connections.
#[derive(Debug, Default)]
pub struct Files {
    requests: BTreeMap<(ConnectionHandle, StreamId), Request>,
    /// Connections whose handshake was complete.
    pub connections: u64,
    /// Connections that have ended.
    pub ended: u64,
    /// How often a client was found at another address.
    pub moves: u64,
    /// How often we had updated our keys when a file was out.
    pub key_updates: u64,
    /// The path when the last file was out.
    pub path: Option<PathStats>,
    /// Files that went out whole.
    pub served: u64,
}

impl Files {
    /// Deals with an event.
    ///
    /// # Panics
    ///
    /// If a client asks for what is no file.
    pub fn on_event(&mut self, ours: &mut Ours, handle: ConnectionHandle, event: &ConnectionEvent) {
        match event {
            ConnectionEvent::Connected { .. } => self.connections += 1,
            ConnectionEvent::Closed(_) => {
                self.ended += 1;
                self.requests.retain(|(of, _), _| *of != handle);
            }
            ConnectionEvent::PeerMoved { .. } => self.moves += 1,
            ConnectionEvent::Stream(StreamEvent::Opened { dir: Dir::Bi }) => {
                while let Some(id) = ours.endpoint.connection_mut(handle).and_then(|c| c.accept(Dir::Bi)) {
                    self.requests.insert((handle, id), Request::Asking(Vec::new()));
                    self.read(ours, handle, id);
                }
            }
            ConnectionEvent::Stream(StreamEvent::Readable { id }) => self.read(ours, handle, *id),
            ConnectionEvent::Stream(StreamEvent::Writable { id }) => self.write(ours, handle, *id),
            _ => {}
        }
    }

    fn read(&mut self, ours: &mut Ours, handle: ConnectionHandle, id: StreamId) {
        let Some(Request::Asking(line)) = self.requests.get_mut(&(handle, id)) else { return };
        let Some(mut recv) = ours.endpoint.connection_mut(handle).and_then(|c| c.recv(id)) else { return };
        loop {
            match recv.chunk() {
                Ok(Some(bytes)) => {
                    line.extend_from_slice(bytes);
                    let len = bytes.len();
                    recv.consume(len);
                }
                Ok(None) | Err(ReadError::Blocked) => break,
                Err(_) => return,
            }
        }
        if let Some(len) = crate::asked(line).expect("a request for a length") {
            self.requests.insert((handle, id), Request::Answering { len, sent: 0 });
            self.write(ours, handle, id);
        }
    }

    fn write(&mut self, ours: &mut Ours, handle: ConnectionHandle, id: StreamId) {
        let Some(Request::Answering { len, sent }) = self.requests.get_mut(&(handle, id)) else { return };
        let Some(mut send) = ours.endpoint.connection_mut(handle).and_then(|c| c.send(id)) else { return };
        while sent < len {
            let piece: Vec<u8> = (*sent..(*sent + PIECE).min(*len)).map(crate::byte).collect();
            match send.write(&piece) {
                Ok(taken) => *sent += taken as u64,
                Err(WriteError::Blocked) => return,
                Err(_) => break,
            }
        }
        // A client that wants no more has said so; that is its choice.
        let _ = send.finish();
        self.served += u64::from(sent == len);
        let connection = ours.connection(handle);
        self.key_updates = connection.stats().own_key_updates;
        self.path = Some(connection.path());
        self.requests.remove(&(handle, id));
    }
}
