//! What a library must offer to be measured: one endpoint, and what its driver keeps.

use bytes::Bytes;

use super::clock::Now;
use super::terms::Terms;

/// Datagrams of one size, the last perhaps shorter, back to back.
#[derive(Debug)]
pub struct Train<'a> {
    pub bytes: &'a mut [u8],
    pub segment: usize,
}

impl Train<'_> {
    /// How many datagrams it has.
    pub fn datagrams(&self) -> u64 {
        self.bytes.len().div_ceil(self.segment) as u64
    }
}

/// What an endpoint tells its application.
#[derive(Debug)]
pub enum News<L, S> {
    /// The handshake is complete.
    Connected(L),
    /// There is something to read; also said of a stream that is new.
    Readable(L, S),
    /// A stream that took less than was offered takes more.
    Writable(L, S),
    /// A stream may be opened again.
    MayOpen(L),
    /// The connection is over, and should not be.
    Lost(String),
}

/// Which way a stream flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    One,
    Both,
}

/// One endpoint of a library, client or server.
pub trait Peer: Sized {
    /// Names a connection of this endpoint.
    type Link: Copy + Eq;
    /// Names a stream of a connection.
    type Stream: Copy + Eq;

    /// A client and a server that trust each other.
    fn pair(terms: &Terms) -> [Self; 2];
    /// Begins a connection to the server.
    fn connect(&mut self, now: Now) -> Self::Link;
    /// Takes a train in.
    fn take(&mut self, now: Now, train: Train<'_>);
    /// The next train that wants to leave, if there is one.
    fn give(&mut self, now: Now) -> Option<Train<'_>>;
    /// When it wants to be called, once it gives nothing.
    fn wake(&mut self) -> Option<Now>;
    /// Time has passed.
    fn expire(&mut self, now: Now);
    /// The next thing its application should know.
    fn news(&mut self) -> Option<News<Self::Link, Self::Stream>>;

    /// Queues an unreliable datagram; false if there is no room now.
    fn send_datagram(&mut self, link: Self::Link, data: &Bytes) -> bool;
    /// Receives all unreliable datagrams that are there, and shows each to `look`.
    fn receive_datagrams(&mut self, link: Self::Link, look: impl FnMut(&[u8]));

    /// Opens a stream; `None` until the other side permits it.
    fn open(&mut self, link: Self::Link, way: Way) -> Option<Self::Stream>;
    /// Writes a prefix of `data` and takes it out.
    fn write(&mut self, link: Self::Link, stream: Self::Stream, data: &mut Bytes);
    /// Ends a stream after what was written.
    fn finish(&mut self, link: Self::Link, stream: Self::Stream);
    /// Reads all there is, in order, and shows each piece to `look`. Returns whether the stream has ended.
    fn read(&mut self, link: Self::Link, stream: Self::Stream, look: impl FnMut(&[u8])) -> bool;
}
