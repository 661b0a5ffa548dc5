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
    /// When it wants to be called, as it said last.
    pub wake: Option<Wake>,
}

impl End {
    fn new(config: EndpointConfig, seed: u64, remote: &str) -> Self {
        let remote: SocketAddr = remote.parse().expect("an address");
        Self {
            endpoint: Endpoint::new(config, Box::new(SeededRng::new(seed))),
            path: FourTuple { local: Local::default(), remote },
            wake: None,
        }
    }

    /// Polls until there is a train on the wire, or nothing to send; `hear` is told what happened meanwhile.
    pub fn speak(
        &mut self,
        now: Instant,
        wire: &mut [u8],
        mut hear: impl FnMut(&mut Endpoint, ConnectionHandle, ConnectionEvent),
    ) -> Option<Transmit> {
        loop {
            match self.endpoint.poll(now, wire) {
                Output::Transmit(transmit) => return Some(transmit),
                Output::Event(Event::Connection(_, ConnectionEvent::Closed(reason))) => {
                    panic!("a connection is lost: {reason:?}")
                }
                Output::Event(Event::Connection(handle, event)) => hear(&mut self.endpoint, handle, event),
                Output::Event(event) => unreachable!("nobody relocates: {event:?}"),
                Output::TooSmall => unreachable!("the wire holds a whole train"),
                Output::Idle { wake } => {
                    self.wake = wake;
                    return None;
                }
            }
        }
    }

    /// The next thing that happened, when something must have, and before anything is to be sent.
    pub fn hear(&mut self, now: Instant, wire: &mut [u8]) -> ConnectionEvent {
        match self.endpoint.poll(now, wire) {
            Output::Event(Event::Connection(_, event)) => event,
            output => panic!("something happened, but the endpoint says {output:?}"),
        }
    }

    /// Takes in the train on the wire.
    pub fn take(&mut self, now: Instant, wire: &mut [u8], train: Transmit) {
        let arrival = Arrival { path: self.path, ecn: train.ecn, segment: train.segment };
        self.endpoint.handle_datagrams(now, arrival, &mut wire[..train.len]);
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

/// A client and a server, and room for a train between them.
#[derive(Debug)]
pub struct Pair {
    pub now: Instant,
    pub client: End,
    pub server: End,
    pub wire: Vec<u8>,
    connects_with: Arc<ClientConfig>,
}

impl Pair {
    /// A pair whose windows never bind; the server keeps silent connections alive, if it is told how often.
    pub fn new(keep_alive: Option<Duration>) -> Self {
        let settings = TransportConfig::builder()
            .stream_receive_window(8 << 20)
            .receive_window(16 << 20)
            .send_buffer(8 << 20)
            .max_bidi_streams(256)
            .initial_window(Some(64 << 20))
            .datagram_size(DATAGRAM)
            .burst(TRAIN)
            .pacing(false);
        let build =
            |settings: TransportConfigBuilder| Arc::new(settings.build().expect("settings that can be"));
        let server =
            ServerConfig::new(paper::server()).transport(build(settings.clone().keep_alive(keep_alive)));
        let client = ClientConfig::new(paper::client()).transport(build(settings));
        Self {
            now: Instant::from_millis(1000),
            client: End::new(EndpointConfig::client(), 1, "10.0.0.2:443"),
            server: End::new(EndpointConfig::server(Arc::new(server)), 2, "10.0.0.1:50000"),
            wire: vec![0; TRAIN * usize::from(DATAGRAM)],
            connects_with: Arc::new(client),
        }
    }

    /// Connects once and lets the wire fall silent.
    pub fn connect(&mut self) -> Link {
        let (path, config) = (self.client.path, Arc::clone(&self.connects_with));
        let client = self.client.endpoint.connect(self.now, path, config, "localhost");
        let client = client.expect("a connection begins");
        let mut server = None;
        let mut hear = |_: &mut Endpoint, handle, event| {
            if matches!(event, ConnectionEvent::Connected { .. }) {
                server = Some(handle);
            }
        };
        while self.turn(|_, _, _| {}, &mut hear) {}
        let server = server.expect("the server has completed the handshake");
        for (end, handle) in [(&self.client, client), (&self.server, server)] {
            let connection = end.endpoint.connection(handle).expect("the connection lives");
            assert!(connection.is_confirmed(), "the handshake is over");
        }
        Link { client, server }
    }

    /// Lets each side send one train, which the other takes in whole. Returns whether there was any.
    pub fn turn(
        &mut self,
        client_hears: impl FnMut(&mut Endpoint, ConnectionHandle, ConnectionEvent),
        server_hears: impl FnMut(&mut Endpoint, ConnectionHandle, ConnectionEvent),
    ) -> bool {
        let up = self.client.speak(self.now, &mut self.wire, client_hears);
        if let Some(train) = up {
            self.pass();
            self.server.take(self.now, &mut self.wire, train);
        }
        let down = self.server.speak(self.now, &mut self.wire, server_hears);
        if let Some(train) = down {
            self.pass();
            self.client.take(self.now, &mut self.wire, train);
        }
        up.or(down).is_some()
    }

    /// When the next timer of either side runs out.
    pub fn wake(&self) -> Option<Instant> {
        let [client, server] = [&self.client, &self.server].map(|end| end.wake.map(|wake| wake.at));
        client.into_iter().chain(server).min()
    }

    /// Lets the next timer run out, and carries what it gives rise to.
    pub fn expire(&mut self) {
        let wake = self.wake().expect("a timer runs");
        self.now = self.now.max(wake);
        for end in [&mut self.client, &mut self.server] {
            if end.wake.is_some_and(|own| own.at == wake) {
                end.endpoint.handle_timeout(self.now);
            }
        }
        self.settle();
    }

    /// Lets the timers run out that are due by then.
    pub fn rest_until(&mut self, then: Instant) {
        while self.wake().is_some_and(|wake| wake <= then) {
            self.expire();
        }
        self.now = self.now.max(then);
    }

    /// Carries trains until nobody has anything to send.
    pub fn settle(&mut self) {
        while self.turn(|_, _, _| {}, |_, _, _| {}) {}
    }

    /// A train has spent its time on the wire.
    pub fn pass(&mut self) {
        self.now += ON_THE_WIRE;
    }
}
