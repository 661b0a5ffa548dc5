//! What is exchanged: streams opened by both sides, each carrying as much one way as the other.
//!
//! The bytes follow from who sends them on which stream, so each end knows what the other must say; they are compared
//! by their SHA-256.

use std::collections::BTreeMap;

use peregrine::{
    ConnectionEvent, ConnectionHandle, Dir, Event, ReadError, Side, StreamEvent, StreamId, WriteError,
};
use sha2::{Digest, Sha256};

use crate::driver::Host;

/// How much is exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Streams that each side opens.
    pub streams: u64,
    /// Bytes each way on the streams that one side opened, all together.
    pub bytes: u64,
}

impl Load {
    /// The load that interoperability is measured by.
    pub const FULL: Self = Self { streams: 10, bytes: 16 << 20 };
    /// Enough for something to happen in the middle of it.
    pub const MEDIUM: Self = Self { streams: 4, bytes: 2 << 20 };
    /// Enough to see that data flows.
    pub const SMALL: Self = Self { streams: 2, bytes: 64 << 10 };

    /// How many bytes `sender` says on a stream.
    pub fn len(self, stream: StreamId) -> u64 {
        let rest = u64::from(stream.into_inner() >> 2 < self.bytes % self.streams);
        self.bytes / self.streams + rest
    }

    /// What `sender` says on a stream.
    pub fn content(self, sender: Side, stream: StreamId) -> Vec<u8> {
        let len = usize::try_from(self.len(stream)).expect("a stream's content fits in memory");
        let seed = stream.into_inner() << 1 | u64::from(sender.is_client());
        let mut content: Vec<u8> =
            (0..len.div_ceil(8) as u64).flat_map(|word| scramble(seed << 40 | word).to_le_bytes()).collect();
        content.truncate(len);
        content
    }

    /// The digest of what `sender` says on a stream.
    pub fn digest(self, sender: Side, stream: StreamId) -> [u8; 32] {
        Sha256::digest(self.content(sender, stream)).into()
    }
}

/// The finalizer of SplitMix64: each word of a content is another.
fn scramble(word: u64) -> u64 {
    let word = word.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

/// One stream of ours, and how far it has come.
#[derive(Debug)]
struct Flow {
    content: Vec<u8>,
    /// Bytes of `content` that the stream has taken.
    taken: usize,
    received: Sha256,
    received_len: u64,
    is_read: bool,
    is_finished: bool,
}

/// Our end of an exchange.
#[derive(Debug)]
pub struct Exchange {
    handle: ConnectionHandle,
    side: Side,
    load: Load,
    /// Streams that we have opened.
    opened: u64,
    flows: BTreeMap<StreamId, Flow>,
}

impl Exchange {
    /// Exchanges `load` with the peer: to the last byte, and until the peer has acknowledged all of ours.
    ///
    /// `tell` is shown every event that does not concern streams.
    pub fn run(host: &mut Host, handle: ConnectionHandle, load: Load, tell: impl FnMut(&ConnectionEvent)) {
        Self::begin(host, handle, load).finish(host, tell);
    }

    /// Opens our streams; the host is to go on to [`finish`](Self::finish) before windows are full.
    pub fn begin(host: &mut Host, handle: ConnectionHandle, load: Load) -> Self {
        let side = host.connection(handle).side();
        let mut exchange = Self { handle, side, load, opened: 0, flows: BTreeMap::new() };
        exchange.open(host);
        exchange
    }

    /// The rest of [`run`](Self::run).
    pub fn finish(self, host: &mut Host, tell: impl FnMut(&ConnectionEvent)) {
        self.finish_while(host, tell, |_| {});
    }

    /// The rest of [`run`](Self::run), while `meddle` is done at every event.
    pub fn finish_while(
        mut self,
        host: &mut Host,
        mut tell: impl FnMut(&ConnectionEvent),
        mut meddle: impl FnMut(&mut Host),
    ) {
        host.await_event("all streams are exchanged", |host, event| {
            meddle(host);
            match event {
                Event::Connection(_, ConnectionEvent::Stream(event)) => self.on_event(host, *event),
                Event::Connection(_, event) => tell(event),
                _ => {}
            }
            self.is_complete().then_some(())
        });
    }

    /// Opens as many streams as are permitted and wanted.
    fn open(&mut self, host: &mut Host) {
        while self.opened < self.load.streams {
            let Some(stream) = host.connection(self.handle).open(Dir::Bi) else { return };
            self.opened += 1;
            self.add(host, stream);
        }
    }

    fn add(&mut self, host: &mut Host, stream: StreamId) {
        let flow = Flow {
            content: self.load.content(self.side, stream),
            taken: 0,
            received: Sha256::new(),
            received_len: 0,
            is_read: false,
            is_finished: false,
        };
        self.flows.insert(stream, flow);
        self.write(host, stream);
    }

    fn accept(&mut self, host: &mut Host) {
        while let Some(stream) = host.connection(self.handle).accept(Dir::Bi) {
            self.add(host, stream);
            self.read(host, stream);
        }
    }

    fn on_event(&mut self, host: &mut Host, event: StreamEvent) {
        match event {
            StreamEvent::Available { dir: Dir::Bi } => self.open(host),
            StreamEvent::Opened { dir: Dir::Bi } => self.accept(host),
            StreamEvent::Readable { id } => self.read(host, id),
            StreamEvent::Writable { id } => self.write(host, id),
            StreamEvent::Finished { id } => {
                self.flows.get_mut(&id).expect("a stream that was begun").is_finished = true;
            }
            other => panic!("nobody does that in an exchange: {other:?}"),
        }
    }

    fn write(&mut self, host: &mut Host, stream: StreamId) {
        let flow = self.flows.get_mut(&stream).expect("a stream that was begun");
        let mut sending = host.connection(self.handle).send(stream).expect("we have not finished it");
        while flow.taken < flow.content.len() {
            match sending.write(&flow.content[flow.taken..]) {
                Ok(taken) => flow.taken += taken,
                Err(WriteError::Blocked) => return,
                Err(error) => panic!("stream {stream} broke off after {} bytes: {error}", flow.taken),
            }
        }
        sending.finish().expect("the stream is open");
    }

    fn read(&mut self, host: &mut Host, stream: StreamId) {
        let flow = self.flows.get_mut(&stream).expect("a stream that was begun");
        let mut receiving = host.connection(self.handle).recv(stream).expect("we have not read its end");
        loop {
            match receiving.chunk() {
                Ok(Some(bytes)) => {
                    flow.received.update(bytes);
                    let len = bytes.len();
                    flow.received_len += len as u64;
                    receiving.consume(len);
                }
                Ok(None) => break,
                Err(ReadError::Blocked) => return,
                Err(error) => panic!("stream {stream} broke off after {} bytes: {error}", flow.received_len),
            }
        }
        let digest: [u8; 32] = flow.received.finalize_reset().into();
        assert_eq!(flow.received_len, self.load.len(stream), "length of stream {stream}");
        assert_eq!(digest, self.load.digest(self.side.other(), stream), "content of stream {stream}");
        flow.is_read = true;
    }

    fn is_complete(&self) -> bool {
        self.flows.len() as u64 == 2 * self.load.streams
            && self.flows.values().all(|flow| flow.is_read && flow.is_finished)
    }
}
