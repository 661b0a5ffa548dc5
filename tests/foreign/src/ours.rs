//! Our end: an endpoint, real sockets and a clock, turned by whoever waits for something.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use peregrine::{
    ClientConfig, Connection, ConnectionEvent, ConnectionHandle, Endpoint, EndpointConfig, Event, FourTuple,
    Instant, ServerConfig, SocketKey, SystemRng,
};

use crate::driver::Driver;

/// The longest that a test may take.
const LIMIT: Duration = Duration::from_secs(60);
/// How long a turn waits at most, so that what others do is seen.
const TURN: Duration = Duration::from_millis(20);

/// One of our endpoints at work.
#[derive(Debug)]
pub struct Ours {
    /// The endpoint itself.
    pub endpoint: Endpoint,
    driver: Driver,
    events: VecDeque<(ConnectionHandle, ConnectionEvent)>,
    wake: Option<Instant>,
}

impl Ours {
    /// A client at a free port of 127.0.0.1.
    pub fn client() -> Self {
        Self::at(EndpointConfig::client(), ([127, 0, 0, 1], 0).into())
    }

    /// A server at a free port of 127.0.0.1.
    pub fn server(config: ServerConfig) -> Self {
        Self::at(EndpointConfig::server(Arc::new(config)), ([127, 0, 0, 1], 0).into())
    }

    /// An endpoint at an address of this machine; port 0 is any.
    ///
    /// # Panics
    ///
    /// If the address cannot be had.
    pub fn at(config: EndpointConfig, address: SocketAddr) -> Self {
        let mut driver = Driver::starting_at(Instant::ZERO);
        driver.bind(address).expect("the address is this machine's");
        let endpoint = Endpoint::new(config, Box::new(SystemRng::new()));
        Self { endpoint, driver, events: VecDeque::new(), wake: None }
    }

    /// Opens another socket.
    ///
    /// # Panics
    ///
    /// If the address cannot be had.
    pub fn bind(&mut self, address: SocketAddr) -> SocketKey {
        self.driver.bind(address).expect("the address is this machine's")
    }

    /// Where the first socket is bound.
    pub fn address(&self) -> SocketAddr {
        self.driver.address(SocketKey(0))
    }

    /// A socket as the library calls it.
    pub fn local(&self, socket: SocketKey) -> peregrine::Local {
        self.driver.local(socket)
    }

    /// The time, as the endpoint is told it.
    pub fn now(&self) -> Instant {
        self.driver.now()
    }

    /// Gives the first socket another port without a word to the endpoint, as a NAT does.
    pub fn change_port(&mut self) {
        let address = SocketAddr::new(self.address().ip(), 0);
        self.driver.rebind(SocketKey(0), address).expect("there is another free port");
    }

    /// Begins a connection.
    pub fn connect(&mut self, remote: SocketAddr, config: ClientConfig) -> ConnectionHandle {
        let path = FourTuple { local: self.driver.local(SocketKey(0)), remote };
        let now = self.now();
        let begun = self.endpoint.connect(now, path, Arc::new(config), crate::SERVER_NAME);
        begun.expect("the configuration is sound")
    }

    /// A connection that has not ended.
    ///
    /// # Panics
    ///
    /// If it has.
    pub fn connection(&mut self, handle: ConnectionHandle) -> &mut Connection {
        self.endpoint.connection_mut(handle).expect("the connection lives")
    }

    /// Goes on until `find` finds what it seeks in an event, which it may answer by using the endpoint.
    ///
    /// # Panics
    ///
    /// If it does not come in a minute, or a connection ends that was not to.
    pub fn until<T>(
        &mut self,
        what: &str,
        mut find: impl FnMut(&mut Self, ConnectionHandle, &ConnectionEvent) -> Option<T>,
    ) -> T {
        loop {
            while let Some((handle, event)) = self.events.pop_front() {
                if let Some(found) = find(self, handle, &event) {
                    return found;
                }
                if let ConnectionEvent::Closed(reason) = event {
                    panic!("the connection ended before {what}: {reason}");
                }
            }
            self.turn(what);
        }
    }

    /// Goes on until `is_so`, dealing with each event by `deal`.
    ///
    /// # Panics
    ///
    /// If it is not so in a minute.
    pub fn go_on(
        &mut self,
        what: &str,
        mut deal: impl FnMut(&mut Self, ConnectionHandle, &ConnectionEvent),
        mut is_so: impl FnMut(&mut Self) -> bool,
    ) {
        while !is_so(self) {
            self.turn(what);
            while let Some((handle, event)) = self.events.pop_front() {
                deal(self, handle, &event);
            }
        }
    }

    /// Waits for the handshake.
    ///
    /// # Panics
    ///
    /// If it fails.
    pub fn connected(&mut self) -> ConnectionHandle {
        self.until("the handshake was complete", |_, handle, event| {
            matches!(event, ConnectionEvent::Connected { .. }).then_some(handle)
        })
    }

    /// Waits for the handshake to be confirmed; without it a client may do little.
    ///
    /// # Panics
    ///
    /// If it is not in a minute.
    pub fn confirmed(&mut self, handle: ConnectionHandle) {
        let deal = |_: &mut Self, _, event: &ConnectionEvent| {
            assert!(!matches!(event, ConnectionEvent::Closed(_)), "the connection ended: {event:?}");
        };
        self.go_on("the handshake was confirmed", deal, |ours| ours.connection(handle).is_confirmed());
    }

    /// Closes a connection and says so to its peer.
    pub fn close(&mut self, handle: ConnectionHandle) {
        let now = self.now();
        self.connection(handle).close(now, 0_u32.into(), b"done");
        self.turn("the end");
        self.events.clear();
    }

    fn turn(&mut self, what: &str) {
        let Self { endpoint, driver, events, wake } = self;
        assert!(driver.now() < Instant::ZERO + LIMIT, "{LIMIT:?} have passed before {what}");
        let latest = driver.now() + TURN;
        let until = wake.map_or(latest, |wake| wake.min(latest));
        let deliver = |now, arrival, datagrams: &mut [u8]| endpoint.handle_datagrams(now, arrival, datagrams);
        driver.receive(Some(until), deliver).expect("the sockets are sound");
        endpoint.handle_timeout(driver.now());
        *wake = driver.speak(endpoint, |_, _, event| {
            if let Event::Connection(handle, event) = event {
                events.push_back((handle, event));
            }
        });
    }
}
