//! Downloads by our client.

use std::collections::{BTreeMap, VecDeque};

use peregrine::{ConnectionEvent, ConnectionHandle, Dir, ReadError, StreamEvent, StreamId};

use crate::ours::Ours;

/// Files that one connection fetches; every byte is compared.
#[derive(Debug)]
pub struct Fetch {
    handle: ConnectionHandle,
    wanted: VecDeque<u64>,
    /// Of each stream: the length asked for, and how much of it has come.
    open: BTreeMap<StreamId, (u64, u64)>,
    total: u64,
}

impl Fetch {
    /// Asks for files of these lengths, as many at once as the server permits.
    pub fn begin(ours: &mut Ours, handle: ConnectionHandle, lengths: &[u64]) -> Self {
        let wanted = lengths.iter().copied().collect();
        let mut fetch = Self { handle, wanted, open: BTreeMap::new(), total: 0 };
        fetch.ask(ours);
        fetch
    }

    /// Bytes that have come so far.
    pub fn total(&self) -> u64 {
        self.total
    }

    fn ask(&mut self, ours: &mut Ours) {
        let connection = ours.connection(self.handle);
        while let Some(len) = self.wanted.front().copied()
            && let Some(id) = connection.open(Dir::Bi)
        {
            self.wanted.pop_front();
            let mut send = connection.send(id).expect("the stream was just opened");
            let request = format!("GET /{len}\r\n");
            let taken = send.write(request.as_bytes()).expect("a new stream takes a line");
            assert_eq!(taken, request.len(), "a request is cut");
            send.finish().expect("the stream is open");
            self.open.insert(id, (len, 0));
        }
    }

    /// Deals with an event of the connection.
    ///
    /// # Panics
    ///
    /// If a file is not what it should be.
    pub fn on_event(&mut self, ours: &mut Ours, handle: ConnectionHandle, event: &ConnectionEvent) {
        if handle != self.handle {
            return;
        }
        match event {
            ConnectionEvent::Stream(StreamEvent::Readable { id }) => self.read(ours, *id),
            ConnectionEvent::Stream(StreamEvent::Available { .. }) => self.ask(ours),
            ConnectionEvent::Stream(StreamEvent::Reset { id, code }) => panic!("{id} was reset with {code}"),
            ConnectionEvent::Closed(reason) => panic!("the connection ended: {reason}"),
            _ => {}
        }
    }

    fn read(&mut self, ours: &mut Ours, id: StreamId) {
        let Some(mut recv) = ours.connection(self.handle).recv(id) else { return };
        let (len, got) = self.open.get_mut(&id).expect("only our streams are readable");
        loop {
            match recv.chunk() {
                Ok(Some(bytes)) => {
                    let right = bytes.iter().zip(*got..).all(|(byte, at)| *byte == crate::byte(at));
                    assert!(right, "{id} is wrong somewhere behind byte {got}");
                    let taken = bytes.len();
                    *got += taken as u64;
                    self.total += taken as u64;
                    recv.consume(taken);
                }
                Ok(None) => {
                    assert_eq!(got, len, "length of the file on {id}");
                    self.open.remove(&id);
                    return;
                }
                Err(ReadError::Blocked) => return,
                Err(error) => panic!("{id}: {error}"),
            }
        }
    }

    /// Goes on until at least `bytes` have come.
    pub fn until(&mut self, ours: &mut Ours, bytes: u64) {
        while self.total < bytes {
            self.next(ours, "enough had come");
        }
    }

    /// Goes on until every file is there.
    pub fn finish(mut self, ours: &mut Ours) {
        while !(self.open.is_empty() && self.wanted.is_empty()) {
            self.next(ours, "every file was there");
        }
    }

    fn next(&mut self, ours: &mut Ours, what: &str) {
        ours.until(what, |ours, handle, event| {
            self.on_event(ours, handle, event);
            Some(())
        });
    }
}
