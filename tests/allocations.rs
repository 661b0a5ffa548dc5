//! In steady state nothing is allocated: neither per datagram of a bulk transfer, sent or received, nor for an unreliable
//! datagram.

use std::alloc::System;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use peregrine::{
    Arrival, ClientConfig, ConnectionEvent, ConnectionHandle, Dir, Ecn, Endpoint, EndpointConfig, Event,
    FourTuple, Instant, Local, Output, ReadError, SeededRng, ServerConfig, Side, StreamId, TransportConfig,
    WriteError,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes carried before anything is counted: buffers have found their size then.
const WARM_UP: u64 = 32 << 20;
/// Bytes carried while allocations are counted.
const COUNTED: u64 = 32 << 20;
/// Allocations per datagram that are too many.
const LIMIT: f64 = 0.1;

/// Allocations are those of the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn tls() -> (Arc<rustls::ClientConfig>, Arc<rustls::ServerConfig>) {
    let key = rcgen::KeyPair::generate().expect("a key pair");
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate").der().clone();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.clone()).expect("a certificate that may be trusted");
    let client = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate],
            rustls::pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .expect("a key that fits its certificate");
    (Arc::new(client), Arc::new(server))
}

/// An endpoint, what its driver keeps, and what it cost.
struct Node {
    endpoint: Endpoint,
    peer: FourTuple,
    buffer: Vec<u8>,
    link: Option<ConnectionHandle>,
    wake: Option<Instant>,
    /// Datagrams in and out, and allocations, since the counting began.
    datagrams: u64,
    allocations: usize,
    /// Trains that were sent, and datagrams in them.
    sent: (u64, u64),
}

impl Node {
    fn new(config: EndpointConfig, seed: u64, peer: &str) -> Self {
        let remote: SocketAddr = peer.parse().expect("an address");
        Self {
            endpoint: Endpoint::new(config, Box::new(SeededRng::new(seed))),
            peer: FourTuple { local: Local::default(), remote },
            buffer: vec![0; 32 * 1452],
            link: None,
            wake: None,
            datagrams: 0,
            allocations: 0,
            sent: (0, 0),
        }
    }

    /// Does something, and charges this side with what it allocates.
    fn counted<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> T {
        let region = Region::new(HEAP);
        let result = act(self);
        let change = region.change();
        self.allocations += change.allocations + change.reallocations;
        result
    }

    /// Sends one train to the other side. Returns whether there was one.
    fn send(&mut self, now: Instant, to: &mut Self) -> bool {
        let Some((len, segment)) = self.counted(|node| node.poll(now)) else { return false };
        let datagrams = len.div_ceil(segment.map_or(len, |segment| segment.get().into())) as u64;
        self.datagrams += datagrams;
        self.sent = (self.sent.0 + 1, self.sent.1 + datagrams);
        to.datagrams += datagrams;
        let train = &mut self.buffer[..len];
        to.counted(|node| {
            node.endpoint.handle_datagrams(
                now,
                Arrival { path: node.peer, ecn: Ecn::NotEct, segment },
                train,
            );
        });
        true
    }

    fn poll(&mut self, now: Instant) -> Option<(usize, Option<std::num::NonZeroU16>)> {
        loop {
            match self.endpoint.poll(now, &mut self.buffer) {
                Output::Transmit(transmit) => return Some((transmit.len, transmit.segment)),
                Output::Event(Event::Connection(link, ConnectionEvent::Connected { .. })) => {
                    self.link = Some(link);
                }
                Output::Event(Event::Connection(_, ConnectionEvent::Closed(reason))) => {
                    panic!("the connection was lost: {reason:?}");
                }
                Output::Event(_) => {}
                Output::TooSmall => unreachable!("the buffer holds a train"),
                Output::Idle { wake } => {
                    self.wake = wake.map(|wake| wake.at);
                    return None;
                }
            }
        }
    }

    /// Writes until the stream is full; returns how many bytes it took.
    fn write(&mut self, id: StreamId) -> u64 {
        let link = self.link.expect("connected");
        let connection = self.endpoint.connection_mut(link).expect("the connection lives");
        let mut stream = connection.send(id).expect("the stream is open");
        let mut written = 0;
        loop {
            match stream.write(&[0x5a; 32 << 10]) {
                Ok(len) => written += len as u64,
                Err(WriteError::Blocked) => return written,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Reads what is there; returns how many bytes it was.
    fn read(&mut self, id: StreamId) -> u64 {
        let link = self.link.expect("connected");
        let connection = self.endpoint.connection_mut(link).expect("the connection lives");
        while connection.accept(Dir::Uni).is_some() {}
        let Some(mut stream) = connection.recv(id) else { return 0 };
        let mut read = 0;
        loop {
            match stream.chunk() {
                Ok(Some(chunk)) => {
                    let len = chunk.len();
                    read += len as u64;
                    stream.consume(len);
                }
                Ok(None) => panic!("the stream does not end"),
                Err(ReadError::Blocked) => return read,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

impl Node {
    /// Queues unreliable datagrams for two trains.
    fn send_datagrams(&mut self) {
        let link = self.link.expect("connected");
        let connection = self.endpoint.connection_mut(link).expect("the connection lives");
        for _ in 0..600 {
            let _ = connection.datagrams().send(&[0x5a; 100]);
        }
    }

    /// Receives what is there; returns how many it was.
    fn receive_datagrams(&mut self, into: &mut Vec<u8>) -> u64 {
        let link = self.link.expect("connected");
        let connection = self.endpoint.connection_mut(link).expect("the connection lives");
        let mut received = 0;
        while connection.datagrams().recv_into(into) {
            received += 1;
        }
        received
    }
}

/// The two sides of a transfer.
struct Pair {
    client: Node,
    server: Node,
    now: Instant,
}

impl Pair {
    fn new() -> Self {
        let transport = TransportConfig::builder().datagram_size(1452).burst(32).pacing(false);
        let transport = transport.datagram_receive_buffer(Some(1 << 20)).build();
        let transport = Arc::new(transport.expect("settings that can be"));
        let (client_tls, server_tls) = tls();
        let server = ServerConfig::new(server_tls).transport(Arc::clone(&transport));
        let client = Arc::new(ClientConfig::new(client_tls).transport(transport));
        let mut pair = Self {
            client: Node::new(EndpointConfig::client(), 1, "10.0.0.2:443"),
            server: Node::new(EndpointConfig::server(Arc::new(server)), 2, "10.0.0.1:50000"),
            now: Instant::ZERO,
        };
        let path = pair.client.peer;
        pair.client.endpoint.connect(pair.now, path, client, "localhost").expect("a connection begins");
        while pair.client.link.is_none() || pair.server.link.is_none() {
            pair.advance();
        }
        pair
    }

    /// A train each way, or the next timer.
    fn advance(&mut self) {
        self.now += Duration::from_micros(50);
        let spoke =
            self.client.send(self.now, &mut self.server) | self.server.send(self.now, &mut self.client);
        if !spoke {
            let wake = self.client.wake.into_iter().chain(self.server.wake).min();
            self.now = self.now.max(wake.expect("a side that waits has a timer"));
            let now = self.now;
            self.client.counted(|node| node.endpoint.handle_timeout(now));
            self.server.counted(|node| node.endpoint.handle_timeout(now));
        }
    }

    /// Carries this many unreliable datagrams of 100 bytes from the client to the server.
    fn carry_datagrams(&mut self, many: u64, into: &mut Vec<u8>) {
        let mut received = 0;
        while received < many {
            self.client.counted(Node::send_datagrams);
            self.advance();
            received += self.server.counted(|node| node.receive_datagrams(into));
        }
    }

    /// Begins to count.
    fn count(&mut self) {
        for node in [&mut self.client, &mut self.server] {
            (node.datagrams, node.allocations, node.sent) = (0, 0, (0, 0));
        }
    }

    /// Checks what was counted.
    fn assert_frugal(&self) {
        for (name, node) in [("sender", &self.client), ("receiver", &self.server)] {
            let each = node.allocations as f64 / node.datagrams as f64;
            println!("{name}: {} allocations for {} datagrams", node.allocations, node.datagrams);
            assert!(each < LIMIT, "the {name} allocates {each:.3} times a datagram");
        }
    }

    /// Carries at least `bytes` from the client to the server.
    fn carry(&mut self, id: StreamId, bytes: u64) {
        let mut read = 0;
        while read < bytes {
            self.client.counted(|node| node.write(id));
            self.advance();
            read += self.server.counted(|node| node.read(id));
        }
    }
}

#[test]
fn a_bulk_transfer_in_steady_state_allocates_nothing() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut pair = Pair::new();
    let id = StreamId::new(Side::Client, Dir::Uni, 0);
    let link = pair.client.link.expect("connected");
    let client = pair.client.endpoint.connection_mut(link).expect("the connection lives");
    assert_eq!(client.open(Dir::Uni), Some(id));
    pair.carry(id, WARM_UP);
    pair.count();
    pair.carry(id, COUNTED);
    pair.assert_frugal();
}

#[test]
fn unreliable_datagrams_in_steady_state_allocate_nothing() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut pair, mut into) = (Pair::new(), Vec::with_capacity(1452));
    pair.carry_datagrams(200_000, &mut into);
    pair.count();
    pair.carry_datagrams(100_000, &mut into);
    pair.assert_frugal();
    // They do not fill a packet to the byte, and travel in long trains all the same.
    let (trains, datagrams) = pair.client.sent;
    assert!(datagrams >= 16 * trains, "{datagrams} datagrams in {trains} trains");
}
