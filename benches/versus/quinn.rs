//! quinn-proto, as the drivers of quinn use it: one copy of every train that arrives, zero-copy writes and reads, and
//! a timer for each connection.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig, Event,
    MtuDiscoveryConfig, ServerConfig, StreamEvent, StreamId, TransportConfig, VarInt,
};
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;

use super::clock::Now;
use super::peer::{News, Peer, Train, Way};
use super::terms::{self, Sending, Terms};

/// A connection and what its driver keeps of it.
#[derive(Debug)]
struct Held {
    connection: Connection,
    /// It stands in the queue of those to be polled.
    queued: bool,
    /// Its entry among the alarms that counts; its deadline may be later.
    alarm: Option<Instant>,
}

/// An endpoint and what its driver keeps.
#[derive(Debug)]
pub struct Quinn {
    epoch: Instant,
    endpoint: Endpoint,
    connects_with: Option<ClientConfig>,
    remote: SocketAddr,
    held: Vec<Option<Held>>,
    queue: VecDeque<ConnectionHandle>,
    /// When connections want to be called, by their place in `held`.
    alarms: BinaryHeap<Reverse<(Instant, usize)>>,
    buffer: Vec<u8>,
    /// Where the endpoint writes answers of its own, which a benchmark has none of.
    answer: Vec<u8>,
    burst: usize,
    news: VecDeque<News<ConnectionHandle, StreamId>>,
}

fn transport(terms: &Terms) -> Arc<TransportConfig> {
    let bounded = |value| VarInt::from_u64(value).expect("a setting below 2^62");
    let mut congestion = quinn_proto::congestion::CubicConfig::default();
    match terms.sending {
        // It paces always, but under such a window there is no pace to keep.
        Sending::Freely => {
            congestion.initial_window(terms::WIDE);
        }
        Sending::Carefully => {}
    }
    let mut config = TransportConfig::default();
    config
        .stream_receive_window(bounded(terms::STREAM_WINDOW))
        .receive_window(bounded(terms::WINDOW))
        .send_window(terms::SEND_BUFFER)
        .max_concurrent_bidi_streams(bounded(terms.streams))
        .max_concurrent_uni_streams(bounded(terms.streams))
        .congestion_controller_factory(Arc::new(congestion))
        .initial_mtu(terms.size)
        .min_mtu(terms.size)
        .datagram_receive_buffer_size(terms.messages.then_some(terms::DATAGRAM_BUFFER))
        .datagram_send_buffer_size(terms::DATAGRAM_BUFFER)
        .mtu_discovery_config(terms.search.map(|bytes| {
            let mut search = MtuDiscoveryConfig::default();
            search.upper_bound(bytes);
            search
        }));
    Arc::new(config)
}

impl Quinn {
    #[expect(clippy::disallowed_methods, reason = "quinn-proto counts from an instant of the system's clock")]
    fn new(server: Option<ServerConfig>, seed: u8, remote: &str, terms: &Terms) -> Self {
        let mut config = EndpointConfig::default();
        config.max_udp_payload_size(terms.largest().max(1472)).expect("a size that can be");
        Self {
            epoch: Instant::now(),
            endpoint: Endpoint::new(
                Arc::new(config),
                server.map(Arc::new),
                terms.search.is_some(),
                Some([seed; 32]),
            ),
            connects_with: None,
            remote: remote.parse().expect("an address"),
            held: Vec::new(),
            queue: VecDeque::new(),
            alarms: BinaryHeap::new(),
            buffer: Vec::with_capacity(terms.burst * usize::from(terms.largest())),
            answer: Vec::new(),
            burst: terms.burst,
            news: VecDeque::new(),
        }
    }

    fn hold(&mut self, handle: ConnectionHandle, connection: Connection) {
        if self.held.len() <= handle.0 {
            self.held.resize_with(handle.0 + 1, || None);
        }
        self.held[handle.0] = Some(Held { connection, queued: false, alarm: None });
        self.enqueue(handle);
    }

    fn held(&mut self, handle: ConnectionHandle) -> &mut Held {
        self.held[handle.0].as_mut().expect("the connection lives")
    }

    fn enqueue(&mut self, handle: ConnectionHandle) {
        let held = self.held(handle);
        if !std::mem::replace(&mut held.queued, true) {
            self.queue.push_back(handle);
        }
    }

    /// Takes note of when a connection that has nothing to send wants to be called.
    fn set_alarm(&mut self, slot: usize) {
        let Some(Some(held)) = self.held.get_mut(slot) else { return };
        if let Some(at) = held.connection.poll_timeout()
            && held.alarm.is_none_or(|alarm| at < alarm)
        {
            held.alarm = Some(at);
            self.alarms.push(Reverse((at, slot)));
        }
    }

    /// The next connection that wants to be called, and when.
    fn next_alarm(&mut self) -> Option<(Instant, usize)> {
        while let Some(&Reverse((at, slot))) = self.alarms.peek() {
            if let Some(Some(held)) = self.held.get_mut(slot)
                && held.alarm == Some(at)
            {
                if held.connection.poll_timeout().is_some_and(|due| due <= at) {
                    return Some((at, slot));
                }
                held.alarm = None;
            }
            self.alarms.pop();
            self.set_alarm(slot);
        }
        None
    }

    /// Carries what a connection says to its endpoint and to the application.
    fn pump(&mut self, handle: ConnectionHandle) {
        let Some(Some(held)) = self.held.get_mut(handle.0) else { return };
        let connection = &mut held.connection;
        while let Some(event) = connection.poll_endpoint_events() {
            if let Some(answer) = self.endpoint.handle_event(handle, event) {
                connection.handle_event(answer);
            }
        }
        while let Some(event) = connection.poll() {
            match event {
                Event::Connected => self.news.push_back(News::Connected(handle)),
                Event::ConnectionLost { reason } => self.news.push_back(News::Lost(reason.to_string())),
                Event::Stream(StreamEvent::Opened { dir }) => {
                    while let Some(id) = connection.streams().accept(dir) {
                        self.news.push_back(News::Readable(handle, id));
                    }
                }
                Event::Stream(StreamEvent::Readable { id }) => {
                    self.news.push_back(News::Readable(handle, id));
                }
                Event::Stream(StreamEvent::Writable { id }) => {
                    self.news.push_back(News::Writable(handle, id));
                }
                Event::Stream(StreamEvent::Available { .. }) => self.news.push_back(News::MayOpen(handle)),
                _ => {} // of no interest to a benchmark
            }
        }
    }
}

impl Peer for Quinn {
    type Link = ConnectionHandle;
    type Stream = StreamId;

    fn pair(terms: &Terms) -> [Self; 2] {
        let transport = transport(terms);
        let initial = TLS13_AES_128_GCM_SHA256.tls13().and_then(|suite| suite.quic_suite());
        let initial = initial.expect("AES-128-GCM protects Initial packets");
        let tls = QuicClientConfig::with_initial(terms.tls_client(), initial).expect("the suite is right");
        let mut client = ClientConfig::new(Arc::new(tls));
        client.transport_config(Arc::clone(&transport));
        let tls = QuicServerConfig::with_initial(terms.tls_server(), initial).expect("the suite is right");
        let mut server = ServerConfig::with_crypto(Arc::new(tls));
        server.transport_config(transport);
        let mut connecting = Self::new(None, 1, "10.0.0.2:443", terms);
        connecting.connects_with = Some(client);
        [connecting, Self::new(Some(server), 2, "10.0.0.1:50000", terms)]
    }

    fn connect(&mut self, now: Now) -> ConnectionHandle {
        let config = self.connects_with.clone().expect("the client connects");
        let begun = self.endpoint.connect(self.epoch + now, config, self.remote, terms::HOST);
        let (handle, connection) = begun.expect("a connection begins");
        self.hold(handle, connection);
        handle
    }

    fn take(&mut self, now: Now, train: Train<'_>) {
        let now = self.epoch + now;
        let mut rest = BytesMut::from(&*train.bytes);
        let mut last = None;
        while !rest.is_empty() {
            let datagram = rest.split_to(train.segment.min(rest.len()));
            let handled = self.endpoint.handle(now, self.remote, None, None, datagram, &mut self.answer);
            let touched = match handled {
                Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                    self.held(handle).connection.handle_event(event);
                    Some(handle)
                }
                Some(DatagramEvent::NewConnection(incoming)) => {
                    let accepted = self.endpoint.accept(incoming, now, &mut self.answer, None);
                    let (handle, connection) =
                        accepted.unwrap_or_else(|error| panic!("not accepted: {:?}", error.cause));
                    self.hold(handle, connection);
                    Some(handle)
                }
                Some(DatagramEvent::Response(_)) | None => None,
            };
            if touched != last
                && let Some(before) = std::mem::replace(&mut last, touched)
            {
                self.enqueue(before);
                self.pump(before);
            }
        }
        if let Some(handle) = last {
            self.enqueue(handle);
            self.pump(handle);
        }
    }

    fn give(&mut self, now: Now) -> Option<Train<'_>> {
        let now = self.epoch + now;
        while let Some(&handle) = self.queue.front() {
            let burst = self.burst;
            self.buffer.clear();
            let held = self.held[handle.0].as_mut().expect("the connection lives");
            if let Some(transmit) = held.connection.poll_transmit(now, burst, &mut self.buffer) {
                let segment = transmit.segment_size.unwrap_or(transmit.size);
                return Some(Train { bytes: &mut self.buffer[..transmit.size], segment });
            }
            held.queued = false;
            self.queue.pop_front();
            self.pump(handle);
            self.set_alarm(handle.0);
        }
        None
    }

    fn wake(&mut self) -> Option<Now> {
        self.next_alarm().map(|(at, _)| at.saturating_duration_since(self.epoch))
    }

    fn expire(&mut self, now: Now) {
        let now = self.epoch + now;
        while let Some((at, slot)) = self.next_alarm()
            && at <= now
        {
            self.alarms.pop();
            let held = self.held(ConnectionHandle(slot));
            held.alarm = None;
            held.connection.handle_timeout(now);
            self.enqueue(ConnectionHandle(slot));
            self.pump(ConnectionHandle(slot));
        }
    }

    fn news(&mut self) -> Option<News<ConnectionHandle, StreamId>> {
        self.news.pop_front()
    }

    fn send_datagram(&mut self, link: ConnectionHandle, data: &Bytes) -> bool {
        let is_queued = self.held(link).connection.datagrams().send(data.clone(), false).is_ok();
        self.enqueue(link);
        is_queued
    }

    fn receive_datagrams(&mut self, link: ConnectionHandle, mut look: impl FnMut(&[u8])) {
        let mut datagrams = self.held(link).connection.datagrams();
        while let Some(data) = datagrams.recv() {
            look(&data);
        }
    }

    fn open(&mut self, link: ConnectionHandle, way: Way) -> Option<StreamId> {
        let dir = match way {
            Way::One => Dir::Uni,
            Way::Both => Dir::Bi,
        };
        self.held(link).connection.streams().open(dir)
    }

    fn write(&mut self, link: ConnectionHandle, stream: StreamId, data: &mut Bytes) {
        // It takes what was written out of `data`; what is blocked stays there.
        let _ = self.held(link).connection.send_stream(stream).write_chunks(std::slice::from_mut(data));
        self.enqueue(link);
    }

    fn finish(&mut self, link: ConnectionHandle, stream: StreamId) {
        self.held(link).connection.send_stream(stream).finish().expect("it ends once");
        self.enqueue(link);
    }

    fn read(&mut self, link: ConnectionHandle, stream: StreamId, mut look: impl FnMut(&[u8])) -> bool {
        let mut stream = self.held(link).connection.recv_stream(stream);
        let Ok(mut chunks) = stream.read(true) else { return false };
        let has_ended = loop {
            match chunks.next(usize::MAX) {
                Ok(Some(chunk)) => look(&chunk.bytes),
                Ok(None) => break true,
                Err(_) => break false, // nothing more for now
            }
        };
        if chunks.finalize().should_transmit() {
            self.enqueue(link);
        }
        has_ended
    }
}
