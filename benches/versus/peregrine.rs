//! Peregrine, as its driver would embed it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use bytes::Bytes;
use peregrine::{
    Algorithm, Arrival, ClientConfig, ConnectionEvent, ConnectionHandle, Dir, Ecn, Endpoint, EndpointConfig,
    Event, FourTuple, Instant, Local, Output, SeededRng, ServerConfig, StreamEvent, StreamId,
    TransportConfig,
};

use super::clock::Now;
use super::peer::{News, Peer, Train, Way};
use super::terms::{self, Sending, Terms};

/// An endpoint and what its driver keeps.
#[derive(Debug)]
pub struct Peregrine {
    endpoint: Endpoint,
    connects_with: Option<Arc<ClientConfig>>,
    /// The other side, and our own end.
    path: FourTuple,
    buffer: Vec<u8>,
    /// Where an unreliable datagram is received.
    datagram: Vec<u8>,
    news: VecDeque<News<ConnectionHandle, StreamId>>,
    wake: Option<Now>,
}

fn transport(terms: &Terms) -> Arc<TransportConfig> {
    let (window, pacing) = match terms.sending {
        Sending::Freely => (Some(terms::WIDE), false),
        Sending::Carefully => (None, true),
    };
    let config = TransportConfig::builder()
        .congestion(Algorithm::Cubic)
        .stream_receive_window(terms::STREAM_WINDOW)
        .receive_window(terms::WINDOW)
        .send_buffer(terms::SEND_BUFFER)
        .max_bidi_streams(terms.streams)
        .max_uni_streams(terms.streams)
        .initial_window(window)
        .datagram_size(terms.size)
        .mtu_discovery(terms.search)
        .datagram_receive_buffer(terms.messages.then_some(terms::DATAGRAM_BUFFER))
        .datagram_send_buffer(terms::DATAGRAM_BUFFER)
        .burst(terms.burst)
        .pacing(pacing)
        .build();
    Arc::new(config.expect("settings that can be"))
}

fn instant(now: Now) -> Instant {
    Instant::ZERO + now
}

impl Peregrine {
    fn new(config: EndpointConfig, seed: u64, remote: &str, terms: &Terms) -> Self {
        let remote: SocketAddr = remote.parse().expect("an address");
        Self {
            endpoint: Endpoint::new(config, Box::new(SeededRng::new(seed))),
            connects_with: None,
            path: FourTuple { local: Local::default(), remote },
            buffer: vec![0; terms.burst * usize::from(terms.largest())],
            datagram: Vec::new(),
            news: VecDeque::new(),
            wake: None,
        }
    }

    fn on_event(&mut self, handle: ConnectionHandle, event: ConnectionEvent) {
        match event {
            ConnectionEvent::Connected { .. } => self.news.push_back(News::Connected(handle)),
            ConnectionEvent::Closed(reason) => self.news.push_back(News::Lost(format!("{reason:?}"))),
            ConnectionEvent::Stream(StreamEvent::Opened { dir }) => {
                let connection = self.endpoint.connection_mut(handle).expect("it has just spoken");
                while let Some(id) = connection.accept(dir) {
                    self.news.push_back(News::Readable(handle, id));
                }
            }
            ConnectionEvent::Stream(StreamEvent::Readable { id }) => {
                self.news.push_back(News::Readable(handle, id));
            }
            ConnectionEvent::Stream(StreamEvent::Writable { id }) => {
                self.news.push_back(News::Writable(handle, id));
            }
            ConnectionEvent::Stream(StreamEvent::Available { .. }) => {
                self.news.push_back(News::MayOpen(handle));
            }
            _ => {} // of no interest to a benchmark
        }
    }
}

impl Peer for Peregrine {
    type Link = ConnectionHandle;
    type Stream = StreamId;

    fn pair(terms: &Terms) -> [Self; 2] {
        let transport = transport(terms);
        let client = ClientConfig::new(terms.tls_client()).transport(Arc::clone(&transport));
        let server = ServerConfig::new(terms.tls_server()).transport(transport);
        let (client, server) = (client.early_data(terms.resumes), server.early_data(terms.resumes));
        let mut connecting = Self::new(EndpointConfig::client(), 1, "10.0.0.2:443", terms);
        connecting.connects_with = Some(Arc::new(client));
        [connecting, Self::new(EndpointConfig::server(Arc::new(server)), 2, "10.0.0.1:50000", terms)]
    }

    fn connect(&mut self, now: Now) -> ConnectionHandle {
        let config = Arc::clone(self.connects_with.as_ref().expect("the client connects"));
        self.endpoint.connect(instant(now), self.path, config, terms::HOST).expect("a connection begins")
    }

    fn take(&mut self, now: Now, train: Train<'_>) {
        let segment = u16::try_from(train.segment).ok().and_then(NonZeroU16::new);
        let arrival = Arrival { path: self.path, ecn: Ecn::NotEct, segment };
        self.endpoint.handle_datagrams(instant(now), arrival, train.bytes);
    }

    fn give(&mut self, now: Now) -> Option<Train<'_>> {
        loop {
            match self.endpoint.poll(instant(now), &mut self.buffer) {
                Output::Transmit(transmit) => {
                    let segment = transmit.segment.map_or(transmit.len, |segment| segment.get().into());
                    return Some(Train { bytes: &mut self.buffer[..transmit.len], segment });
                }
                Output::Event(Event::Connection(handle, event)) => self.on_event(handle, event),
                Output::Event(event) => unreachable!("nobody relocates: {event:?}"),
                Output::TooSmall => unreachable!("the buffer holds a whole train"),
                Output::Idle { wake } => {
                    self.wake = wake.map(|wake| wake.at.since(Instant::ZERO));
                    return None;
                }
            }
        }
    }

    fn wake(&mut self) -> Option<Now> {
        self.wake
    }

    fn expire(&mut self, now: Now) {
        self.endpoint.handle_timeout(instant(now));
    }

    fn news(&mut self) -> Option<News<ConnectionHandle, StreamId>> {
        self.news.pop_front()
    }

    fn send_datagram(&mut self, link: ConnectionHandle, data: &Bytes) -> bool {
        let connection = self.endpoint.connection_mut(link).expect("the connection lives");
        connection.datagrams().send(data).is_ok()
    }

    fn receive_datagrams(&mut self, link: ConnectionHandle, mut look: impl FnMut(&[u8])) {
        let connection = self.endpoint.connection_mut(link).expect("the connection lives");
        let mut datagrams = connection.datagrams();
        while datagrams.recv_into(&mut self.datagram) {
            look(&self.datagram);
        }
    }

    fn open(&mut self, link: ConnectionHandle, way: Way) -> Option<StreamId> {
        let dir = match way {
            Way::One => Dir::Uni,
            Way::Both => Dir::Bi,
        };
        self.endpoint.connection_mut(link)?.open(dir)
    }

    fn write(&mut self, link: ConnectionHandle, stream: StreamId, data: &mut Bytes) {
        let connection = self.endpoint.connection_mut(link).expect("the connection lives");
        let mut stream = connection.send(stream).expect("the stream is open");
        let _ = stream.write_chunk(data); // what is blocked stays in `data`
    }

    fn finish(&mut self, link: ConnectionHandle, stream: StreamId) {
        let connection = self.endpoint.connection_mut(link).expect("the connection lives");
        connection.send(stream).expect("the stream is open").finish().expect("it ends once");
    }

    fn read(&mut self, link: ConnectionHandle, stream: StreamId, mut look: impl FnMut(&[u8])) -> bool {
        let connection = self.endpoint.connection_mut(link).expect("the connection lives");
        let Some(mut stream) = connection.recv(stream) else { return false };
        loop {
            match stream.chunk() {
                Ok(Some(chunk)) => {
                    look(chunk);
                    let len = chunk.len();
                    stream.consume(len);
                }
                Ok(None) => return true,
                Err(_) => return false, // nothing more for now
            }
        }
    }
}
