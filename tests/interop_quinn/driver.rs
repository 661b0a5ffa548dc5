//! The smallest driver there can be: one UDP socket and a clock around one of our endpoints.
//!
//! It asks the socket again and again instead of waiting for it, so that no timer is coarser than the pacer's. Whatever
//! is waited for has to come within [`LIMIT`], or the test fails and says what did not come.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use peregrine::{
    Arrival, ClientConfig, Connection, ConnectionEvent, ConnectionHandle, Endpoint, EndpointConfig, Event,
    FourTuple, Instant, Local, Output, ServerConfig, SystemRng,
};

/// The longest that a test may take.
pub const LIMIT: Duration = Duration::from_secs(60);
/// Between two looks at a socket that has nothing.
const NAP: Duration = Duration::from_micros(50);
/// Datagrams taken in before the endpoint is asked what it has to say.
const DATAGRAMS_A_TURN: usize = 32;

/// One of our endpoints, at a socket on loopback.
#[derive(Debug)]
pub struct Host {
    pub endpoint: Endpoint,
    socket: UdpSocket,
    started: std::time::Instant,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    /// Datagrams whose second bit, the QUIC bit, was clear: those received and those sent.
    pub clear_bits: [u64; 2],
    events: VecDeque<Event>,
}

impl Host {
    /// An endpoint that only connects.
    pub fn client() -> Self {
        Self::new(EndpointConfig::client())
    }

    /// An endpoint that accepts connections.
    pub fn server(config: ServerConfig) -> Self {
        Self::new(EndpointConfig::server(Arc::new(config)))
    }

    /// An endpoint with this configuration.
    #[expect(clippy::disallowed_methods, reason = "a driver is who reads the clock")]
    pub fn new(config: EndpointConfig) -> Self {
        Self {
            endpoint: Endpoint::new(config, Box::new(SystemRng::new())),
            socket: bind(),
            started: std::time::Instant::now(),
            incoming: vec![0; 1 << 16],
            outgoing: vec![0; 1 << 14],
            clear_bits: [0; 2],
            events: VecDeque::new(),
        }
    }

    /// The time, as the endpoint is told it: since the host began.
    pub fn now(&self) -> Instant {
        Instant::ZERO + self.started.elapsed()
    }

    /// Where the socket is bound.
    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("a bound socket has an address")
    }

    /// Moves to another port without a word to the endpoint, as a NAT does.
    pub fn rebind(&mut self) {
        self.socket = bind();
    }

    /// Begins anew without its connections, as after a crash; the socket stays.
    pub fn lose_everything(&mut self, config: EndpointConfig) {
        self.endpoint = Endpoint::new(config, Box::new(SystemRng::new()));
        self.events.clear();
    }

    /// Begins a connection to `localhost` at this address.
    pub fn connect(&mut self, remote: SocketAddr, config: ClientConfig) -> ConnectionHandle {
        let path = FourTuple { local: Local::default(), remote };
        let config = Arc::new(config);
        self.endpoint.connect(self.now(), path, config, "localhost").expect("the configuration is sound")
    }

    /// A connection that has not ended.
    pub fn connection(&mut self, handle: ConnectionHandle) -> &mut Connection {
        self.endpoint.connection_mut(handle).expect("the connection lives")
    }

    /// Goes on until `find` finds what it seeks in an event, which it may answer by using the endpoint.
    ///
    /// A connection that ends is an event like any other to `find`; where it is not what is sought, the test fails.
    pub fn await_event<T>(&mut self, what: &str, mut find: impl FnMut(&mut Self, &Event) -> Option<T>) -> T {
        loop {
            while let Some(event) = self.events.pop_front() {
                if let Some(found) = find(self, &event) {
                    return found;
                }
                if let Event::Connection(_, ConnectionEvent::Closed(reason)) = event {
                    panic!("the connection ended before {what}: {reason}");
                }
            }
            self.turn(what);
        }
    }

    /// Goes on until `is_so`; events are kept for whoever asks for them next.
    pub fn await_that(&mut self, what: &str, mut is_so: impl FnMut(&Endpoint) -> bool) {
        while !is_so(&self.endpoint) {
            self.turn(what);
        }
    }

    /// One turn: takes in what has arrived, lets time pass, sends what is to be said.
    fn turn(&mut self, what: &str) {
        if self.started.elapsed() > LIMIT {
            let stats: Vec<_> = self.endpoint.connections().map(|(_, c)| (c, c.stats(), c.path())).collect();
            panic!("{LIMIT:?} have passed before {what}; our connections: {stats:#?}");
        }
        let arrived = self.take_in();
        let now = self.now();
        self.endpoint.handle_timeout(now);
        let spoken = self.speak(now);
        if !arrived && !spoken {
            thread::sleep(NAP);
        }
    }

    fn take_in(&mut self) -> bool {
        for taken in 0..DATAGRAMS_A_TURN {
            // An error says that nothing is there, or what became of something sent earlier.
            let Ok((len, remote)) = self.socket.recv_from(&mut self.incoming) else { return taken > 0 };
            self.clear_bits[0] += u64::from(self.incoming[0] & 0x40 == 0);
            let arrival = Arrival::single(FourTuple { local: Local::default(), remote });
            self.endpoint.handle_datagrams(self.now(), arrival, &mut self.incoming[..len]);
        }
        true
    }

    fn speak(&mut self, now: Instant) -> bool {
        let mut spoken = false;
        loop {
            match self.endpoint.poll(now, &mut self.outgoing) {
                Output::Transmit(transmit) => {
                    for datagram in transmit.datagrams(&self.outgoing) {
                        self.clear_bits[1] += u64::from(datagram[0] & 0x40 == 0);
                        // What did not leave is a datagram lost.
                        let _ = self.socket.send_to(datagram, transmit.path.remote);
                    }
                }
                Output::Event(event) => self.events.push_back(event),
                Output::TooSmall => unreachable!("the buffer holds a burst"),
                Output::Idle { .. } => return spoken,
            }
            spoken = true;
        }
    }
}

fn bind() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    socket.set_nonblocking(true).expect("a UDP socket need not block");
    socket
}
