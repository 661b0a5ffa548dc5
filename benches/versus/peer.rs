//! What a library must offer to be measured, and the wire between two endpoints of it.

use bytes::Bytes;

use super::clock::{Now, on_the_wire};
use super::terms::Terms;

/// Datagrams of one size, the last perhaps shorter, back to back.
#[derive(Debug)]
pub struct Train<'a> {
    pub bytes: &'a mut [u8],
    pub segment: usize,
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

/// What a read brought: everything that was there.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    pub bytes: u64,
    pub end: bool,
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

    /// Opens a stream; `None` until the other side permits it.
    fn open(&mut self, link: Self::Link, way: Way) -> Option<Self::Stream>;
    /// Writes a prefix of `data` and takes it out.
    fn write(&mut self, link: Self::Link, stream: Self::Stream, data: &mut Bytes);
    /// Ends a stream after what was written.
    fn finish(&mut self, link: Self::Link, stream: Self::Stream);
    /// Reads and touches all there is.
    fn read(&mut self, link: Self::Link, stream: Self::Stream) -> Read;
}

/// Looks at what was read, as an application would.
#[inline]
pub fn touch(data: &[u8]) {
    std::hint::black_box((data.first(), data.last()));
}

/// A client and a server of one library, and the wire between them.
#[derive(Debug)]
pub struct Pair<P> {
    /// The client, then the server.
    pub sides: [P; 2],
    pub now: Now,
    /// Datagrams carried so far, both ways.
    pub datagrams: u64,
}

impl<P: Peer> Pair<P> {
    pub fn new(terms: &Terms) -> Self {
        Self { sides: P::pair(terms), now: Now::from_secs(1), datagrams: 0 }
    }

    /// Connects once and lets the wire fall silent; returns the connection's name at each side.
    pub fn connect(&mut self) -> [P::Link; 2] {
        let link = self.sides[0].connect(self.now);
        let mut known = None;
        let mut confirmed = false;
        while known.is_none() || !confirmed {
            self.advance();
            while let Some(news) = self.sides[0].news() {
                match news {
                    News::Connected(_) => confirmed = true,
                    News::Lost(reason) => panic!("the client lost the connection: {reason}"),
                    News::Readable(..) | News::Writable(..) | News::MayOpen(_) => {}
                }
            }
            while let Some(news) = self.sides[1].news() {
                match news {
                    News::Connected(link) => known = Some(link),
                    News::Lost(reason) => panic!("the server lost the connection: {reason}"),
                    News::Readable(..) | News::Writable(..) | News::MayOpen(_) => {}
                }
            }
        }
        while self.turn() {}
        [link, known.expect("the loop ends when it is known")]
    }

    /// Lets each side send one train, which the other takes in whole. Returns whether there was any.
    pub fn turn(&mut self) -> bool {
        let before = self.datagrams;
        let [client, server] = &mut self.sides;
        carry(&mut self.now, &mut self.datagrams, client, server);
        carry(&mut self.now, &mut self.datagrams, server, client);
        self.datagrams > before
    }

    /// As [`Pair::turn`]; if nobody has anything to send, the next timer expires instead.
    pub fn advance(&mut self) {
        if self.turn() {
            return;
        }
        let wake = self.sides.iter_mut().filter_map(P::wake).min().expect("a side that waits has a timer");
        self.now = self.now.max(wake);
        for side in &mut self.sides {
            side.expire(self.now);
        }
    }
}

fn carry<P: Peer>(now: &mut Now, datagrams: &mut u64, from: &mut P, to: &mut P) {
    if let Some(train) = from.give(*now) {
        *datagrams += train.bytes.len().div_ceil(train.segment) as u64;
        *now += on_the_wire(train.bytes.len());
        to.take(*now, train);
    }
}
