//! A client and a server, and the wire between them: memory, under a virtual clock.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use peregrine::{
    Arrival, ClientConfig, ConnectionEvent, ConnectionHandle, Endpoint, EndpointConfig, Event, FourTuple,
    Instant, Local, Output, SeededRng, ServerConfig, Transmit, TransportConfig, TransportConfigBuilder, Wake,
};

use super::paper;

/// UDP payload of a full datagram, in bytes.
pub const DATAGRAM: u16 = 1452;
/// Datagrams in a full train.
pub const TRAIN: usize = 32;
/// How long a full train is on the wire: 10 Gbit/s, so that time passes while data flows.
const ON_THE_WIRE: Duration = Duration::from_micros(37);

/// An endpoint and what its driver keeps.
#[derive(Debug)]
pub struct End {
    pub endpoint: Endpoint,
    /// The other end, and our own.
    path: FourTuple,
    buffer: Vec<u8>,
    /// When it wants to be called, as it said last.
    wake: Option<Wake>,
}

impl End {
    fn new(config: EndpointConfig, seed: u64, remote: &str) -> Self {
        let remote: SocketAddr = remote.parse().expect("an address");
        Self {
            endpoint: Endpoint::new(config, Box::new(SeededRng::new(seed))),
            path: FourTuple { local: Local::default(), remote },
            buffer: vec![0; TRAIN * usize::from(DATAGRAM)],
            wake: None,
        }
    }

    /// Polls until there is a train to send, or nothing; `hear` is told what happened meanwhile.
    pub fn speak(
        &mut self,
        now: Instant,
        mut hear: impl FnMut(&mut Endpoint, ConnectionHandle, ConnectionEvent),
    ) -> Option<Transmit> {
        loop {
            match self.endpoint.poll(now, &mut self.buffer) {
                Output::Transmit(transmit) => return Some(transmit),
                Output::Event(Event::Connection(_, ConnectionEvent::Closed(reason))) => {
                    panic!("a connection is lost: {reason:?}")
                }
                Output::Event(Event::Connection(handle, event)) => hear(&mut self.endpoint, handle, event),
                Output::Event(event) => unreachable!("nobody relocates: {event:?}"),
                Output::TooSmall => unreachable!("the buffer holds a whole train"),
                Output::Idle { wake } => {
                    self.wake = wake;
                    return None;
                }
            }
        }
    }

    /// The next thing that happened at this end, which must have heard of something.
    pub fn hear(&mut self, now: Instant) -> ConnectionEvent {
        match self.endpoint.poll(now, &mut self.buffer) {
            Output::Event(Event::Connection(_, event)) => event,
            output => panic!("something happened, but the endpoint says {output:?}"),
        }
    }

    /// Takes in the train that lies in the buffer of `from`.
    pub fn take(&mut self, now: Instant, from: &mut Self, train: Transmit) {
        let arrival = Arrival { path: self.path, ecn: train.ecn, segment: train.segment };
        self.endpoint.handle_datagrams(now, arrival, &mut from.buffer[..train.len]);
    }
}

/// The datagrams of a train.
pub fn datagrams(train: Transmit) -> usize {
    train.segment.map_or(1, |segment| train.len.div_ceil(segment.get().into()))
}

/// The name of one connection at the client, and at the server.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    pub client: ConnectionHandle,
    pub server: ConnectionHandle,
}

/// A client and a server.
#[derive(Debug)]
pub struct Pair {
    pub now: Instant,
    pub client: End,
    pub server: End,
    connects_with: Arc<ClientConfig>,
}

impl Pair {
    /// A pair whose windows never bind, but for what `set` changes at the server.
    pub fn new(set: impl FnOnce(TransportConfigBuilder) -> TransportConfigBuilder) -> Self {
        let base = TransportConfig::builder()
            .stream_receive_window(8 << 20)
            .receive_window(16 << 20)
            .send_buffer(8 << 20)
            .max_bidi_streams(256)
            .initial_window(Some(64 << 20))
            .datagram_size(DATAGRAM)
            .burst(TRAIN)
            .pacing(false);
        let transport =
            |builder: TransportConfigBuilder| Arc::new(builder.build().expect("settings that can be"));
        let server = ServerConfig::new(paper::server()).transport(transport(set(base.clone())));
        let client = ClientConfig::new(paper::client()).transport(transport(base));
        Self {
            now: Instant::from_millis(1000),
            client: End::new(EndpointConfig::client(), 1, "10.0.0.2:443"),
            server: End::new(EndpointConfig::server(Arc::new(server)), 2, "10.0.0.1:50000"),
            connects_with: Arc::new(client),
        }
    }

    /// Connects once and lets the wire fall silent.
    pub fn connect(&mut self) -> Link {
        let (path, config) = (self.client.path, Arc::clone(&self.connects_with));
        let client = self.client.endpoint.connect(self.now, path, config, "localhost");
        let client = client.expect("a connection begins");
        let mut server = None;
        self.settle(|handle, event| {
            if matches!(event, ConnectionEvent::Connected { .. }) {
                server = Some(handle);
            }
        });
        let server = server.expect("the server has completed the handshake");
        for (end, handle) in [(&self.client, client), (&self.server, server)] {
            let connection = end.endpoint.connection(handle).expect("the connection lives");
            assert!(connection.is_confirmed(), "the handshake is over");
        }
        Link { client, server }
    }

    /// Carries datagrams until nobody has anything to send; `hear` is told what happens at the server.
    fn settle(&mut self, mut hear: impl FnMut(ConnectionHandle, ConnectionEvent)) {
        loop {
            let up = self.client.speak(self.now, |_, _, _| {});
            if let Some(train) = up {
                self.server.take(self.now, &mut self.client, train);
            }
            let down = self.server.speak(self.now, |_, handle, event| hear(handle, event));
            if let Some(train) = down {
                self.client.take(self.now, &mut self.server, train);
            }
            if up.or(down).is_none() {
                return;
            }
        }
    }

    /// A train has spent its time on the wire.
    pub fn pass(&mut self) {
        self.now += ON_THE_WIRE;
    }
}
