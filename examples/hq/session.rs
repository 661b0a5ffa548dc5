//! One connection of a client: asks for files as the server permits streams, and stores what comes.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use peregrine::{
    Connection, ConnectionEvent, ConnectionHandle, Dir, EarlyData, Endpoint, Instant, ReadError, StreamEvent,
    StreamId, VarInt, WriteError,
};

use crate::bars::Bars;
use crate::notes;
use crate::request::{Fault, request};
use crate::url::Url;

/// The code by which a download is given up that cannot be stored.
const NO_ROOM: VarInt = VarInt::from_u32(1);

/// A file to be fetched, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errand {
    /// What it is.
    pub url: Url,
    /// Where it is stored.
    pub file: PathBuf,
}

/// One connection and its errands.
#[derive(Debug)]
pub struct Session<'a> {
    handle: ConnectionHandle,
    queue: VecDeque<Errand>,
    open: BTreeMap<StreamId, Download>,
    bars: &'a Bars,
    /// Files that are complete.
    pub fetched: usize,
    /// Bytes of all files.
    pub bytes: u64,
    /// Whether it resumed an earlier connection.
    pub is_resumed: bool,
    /// Whether what was asked before the handshake was complete was taken.
    pub is_early: bool,
    /// When the handshake was complete.
    pub since: Option<Instant>,
    /// What is worth knowing of it and was not said yet.
    pub notes: Vec<String>,
    /// What went wrong, in sentences.
    pub faults: Vec<String>,
    is_closed: bool,
}

impl<'a> Session<'a> {
    /// A connection that was just begun.
    pub fn new(handle: ConnectionHandle, errands: Vec<Errand>, bars: &'a Bars) -> Self {
        Self {
            handle,
            queue: errands.into(),
            open: BTreeMap::new(),
            bars,
            fetched: 0,
            bytes: 0,
            is_resumed: false,
            is_early: false,
            since: None,
            notes: Vec::new(),
            faults: Vec::new(),
            is_closed: false,
        }
    }

    /// Whether every errand has come to its end.
    pub fn is_over(&self) -> bool {
        self.is_closed || (self.queue.is_empty() && self.open.is_empty())
    }

    /// Something happened on a connection.
    pub fn on_event(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        of: ConnectionHandle,
        event: &ConnectionEvent,
    ) {
        if of != self.handle {
            return;
        }
        if let ConnectionEvent::Closed(reason) = event {
            let missing = self.queue.len() + self.open.len();
            if missing > 0 {
                self.faults.push(format!("{reason}; files that are missing: {missing}"));
            }
            self.is_closed = true;
            return;
        }
        let Some(connection) = endpoint.connection_mut(self.handle) else { return };
        match event {
            ConnectionEvent::Connected { migration } => {
                self.since = Some(now);
                self.is_resumed = connection.is_resumed();
                self.notes.push(notes::connected(connection));
                self.notes.extend(migration.map(notes::agreed));
                self.ask(connection);
            }
            ConnectionEvent::EarlyData(EarlyData::Offered) => self.ask(connection),
            ConnectionEvent::EarlyData(EarlyData::Accepted) => {
                self.is_early = true;
                self.notes.push("0-RTT was accepted".to_owned());
            }
            ConnectionEvent::EarlyData(EarlyData::Rejected) => {
                self.notes.push("0-RTT was rejected, and said again".to_owned());
            }
            ConnectionEvent::Path(event) => self.notes.extend(notes::path(event)),
            ConnectionEvent::Migration(event) => self.notes.extend(notes::migration(event)),
            ConnectionEvent::Stream(StreamEvent::Available { .. }) => self.ask(connection),
            ConnectionEvent::Stream(StreamEvent::Writable { id }) => self.write(connection, *id),
            ConnectionEvent::Stream(StreamEvent::Readable { id }) => self.read(connection, *id),
            ConnectionEvent::Stream(StreamEvent::Reset { id, code }) => {
                self.end(*id, Some(Fault::explain(*code)));
            }
            // An answer may come all the same, if the server only does not care for the end of the request.
            ConnectionEvent::Stream(StreamEvent::Stopped { id, code }) if self.is_asking(*id) => {
                self.end(*id, Some(Fault::explain(*code)));
            }
            _ => {}
        }
    }

    /// Whether a request has not been written as a whole.
    fn is_asking(&self, id: StreamId) -> bool {
        self.open.get(&id).is_some_and(|download| !download.unsent.is_empty())
    }

    /// Asks for as many files as there may be streams.
    fn ask(&mut self, connection: &mut Connection) {
        while !self.queue.is_empty() {
            let Some(id) = connection.open(Dir::Bi) else { return };
            if let Some(errand) = self.queue.pop_front() {
                self.open.insert(id, Download::new(errand));
                self.write(connection, id);
            }
        }
    }

    fn write(&mut self, connection: &mut Connection, id: StreamId) {
        let Some(download) = self.open.get_mut(&id) else { return };
        let Some(mut stream) = connection.send(id) else { return };
        while !download.unsent.is_empty() {
            match stream.write(&download.unsent) {
                Ok(taken) => drop(download.unsent.drain(..taken)),
                Err(WriteError::Blocked) => return,
                Err(error @ (WriteError::Stopped(_) | WriteError::Closed)) => {
                    return self.end(id, Some(error.to_string()));
                }
            }
        }
        // The server may have answered and closed its half already, which is as good.
        let _ = stream.finish();
    }

    fn read(&mut self, connection: &mut Connection, id: StreamId) {
        let (Some(download), Some(mut stream)) = (self.open.get_mut(&id), connection.recv(id)) else {
            return;
        };
        loop {
            let stored = match stream.chunk() {
                Ok(Some(bytes)) => {
                    let (len, stored) = (bytes.len(), download.store(bytes));
                    stream.consume(len);
                    self.bytes += len as u64;
                    self.bars.advance(len as u64);
                    stored
                }
                Ok(None) => {
                    let complete = download.complete();
                    return self.end(id, complete.err().map(|error| format!("cannot be stored: {error}")));
                }
                Err(ReadError::Blocked) => return,
                Err(ReadError::Reset(code)) => return self.end(id, Some(Fault::explain(code))),
                Err(ReadError::Closed) => return self.end(id, Some("the stream has ended".to_owned())),
            };
            if let Err(error) = stored {
                let _ = stream.stop(NO_ROOM);
                return self.end(id, Some(format!("cannot be stored: {error}")));
            }
        }
    }

    /// A download is over, one way or the other.
    fn end(&mut self, id: StreamId, fault: Option<String>) {
        let Some(download) = self.open.remove(&id) else { return };
        self.bars.end();
        match fault {
            None => self.fetched += 1,
            Some(fault) => self.faults.push(format!("{}: {fault}", download.errand.url)),
        }
    }
}

/// A file on its way in: under another name until all of it has come.
#[derive(Debug)]
struct Download {
    errand: Errand,
    /// What the request has left to say.
    unsent: Vec<u8>,
    partial: PathBuf,
    into: Option<File>,
}

impl Download {
    fn new(errand: Errand) -> Self {
        let mut partial = errand.file.clone().into_os_string();
        partial.push(".part");
        Self { unsent: request(&errand.url.path), partial: partial.into(), into: None, errand }
    }

    fn store(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file()?.write_all(bytes)
    }

    /// The file, made when it is first written to.
    fn file(&mut self) -> io::Result<&mut File> {
        if self.into.is_none() {
            std::fs::create_dir_all(self.partial.parent().unwrap_or(Path::new(".")))?;
            self.into = Some(File::create(&self.partial)?);
        }
        self.into.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn complete(&mut self) -> io::Result<()> {
        self.file()?.flush()?;
        self.into = None;
        std::fs::rename(&self.partial, &self.errand.file)
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        if self.into.take().is_some() {
            // Half a file is of no use; that it stays does no harm either.
            let _ = std::fs::remove_file(&self.partial);
        }
    }
}
