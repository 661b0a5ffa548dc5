//! A server and its clients on real sockets, in one thread: who is asked for an echo gives it.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use peregrine::{
    Arrival, ClientConfig, Connection, ConnectionEvent, ConnectionHandle, Dir, Endpoint, EndpointConfig,
    Event, FourTuple, Instant, MigrationConfig, MigrationEvent, MigrationTarget, ReadError, RelocationEvent,
    RelocationPlan, ServerConfig, SocketKey, StreamId, SystemRng,
};
use sim::tls;

use crate::driver::Driver;

/// The server's socket; the clients' follow in their order.
const SERVER: SocketKey = SocketKey(0);
/// How long anything may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// An endpoint, its sockets, what it said, and when it wants to be called.
struct Party {
    endpoint: Endpoint,
    sockets: Vec<SocketKey>,
    wake: Option<Instant>,
    events: Vec<Event>,
}

impl Party {
    fn new(config: EndpointConfig, socket: SocketKey) -> Self {
        let endpoint = Endpoint::new(config, Box::new(SystemRng::default()));
        Self { endpoint, sockets: vec![socket], wake: Some(Instant::ZERO), events: Vec::new() }
    }
}

/// Everything there is.
pub struct Net {
    driver: Driver,
    server: Party,
    clients: Vec<(Party, ConnectionHandle)>,
    /// The streams on which the server echoes.
    echoing: Vec<(ConnectionHandle, StreamId)>,
}

/// An address of this host that nobody uses.
pub fn free(like: SocketAddr) -> SocketAddr {
    let socket = UdpSocket::bind(SocketAddr::new(like.ip(), 0)).expect("loopback has a free port");
    socket.local_addr().expect("it is bound")
}

/// A target of one address.
pub fn target(address: SocketAddr) -> MigrationTarget {
    MigrationTarget::single(address).expect("a whole endpoint")
}

impl Net {
    /// A server at this address with these strategies, without clients.
    pub fn new(home: SocketAddr, permits: MigrationConfig) -> Self {
        let mut driver = Driver::starting_at(Instant::ZERO);
        assert_eq!(driver.bind(home).expect("the address is free"), SERVER);
        let config = ServerConfig::new(tls::server()).migration(permits).expect("a permit that can be");
        let server = Party::new(EndpointConfig::server(Arc::new(config)), SERVER);
        Self { driver, server, clients: Vec::new(), echoing: Vec::new() }
    }

    /// One more client, which offers this; it is connected when this returns. Its number, from 0 on.
    pub fn connect(&mut self, offer: MigrationConfig) -> usize {
        let mut home = self.driver.address(SERVER);
        if home.ip().is_unspecified() {
            home.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        let socket = self.driver.bind(SocketAddr::new(home.ip(), 0)).expect("loopback has a free port");
        let config = ClientConfig::new(tls::client()).migration(offer).expect("an offer that can be");
        let mut party = Party::new(EndpointConfig::client(), socket);
        let path = FourTuple { local: self.driver.local(socket), remote: home };
        let handle = party.endpoint.connect(self.driver.now(), path, Arc::new(config), tls::NAME);
        self.clients.push((party, handle.expect("a connection")));
        let number = self.clients.len() - 1;
        self.until("the handshakes are confirmed", |net| {
            let near = net.client(number).is_confirmed();
            let far = net.server.endpoint.connections().filter(|(_, conn)| conn.is_confirmed());
            near && far.count() == net.clients.len()
        });
        number
    }

    /// This client's connection.
    pub fn client(&self, number: usize) -> &Connection {
        let (party, handle) = &self.clients[number];
        let mut all = party.endpoint.connections();
        all.find(|(known, _)| known == handle).expect("it is open").1
    }

    /// The server's end of a client's connection.
    pub fn far_end(&self, number: usize) -> ConnectionHandle {
        let name = self.client(number).original_id();
        let mut all = self.server.endpoint.connections();
        all.find(|(_, conn)| conn.original_id() == name).expect("the server has it too").0
    }

    /// Gives notice, and moves to this address when the server is ready.
    pub fn relocate(&mut self, plan: RelocationPlan, to: SocketAddr) {
        self.prepare(plan);
        self.move_to(to);
    }

    /// Gives notice, and waits until the server is ready.
    pub fn prepare(&mut self, plan: RelocationPlan) {
        let before = self.relocations().count();
        self.server.endpoint.prepare_relocation(self.driver.now(), plan).expect("a sound plan");
        self.server.wake = Some(self.driver.now());
        self.until("the server is ready", |net| net.relocations().count() > before);
    }

    /// The old socket is closed, and what is under way to it finds nobody.
    pub fn move_to(&mut self, to: SocketAddr) {
        self.driver.rebind(SERVER, to).expect("the address is free");
        let (now, local) = (self.driver.now(), self.driver.local(SERVER));
        self.server.endpoint.relocated(now, &[(SERVER, local)]).expect("a move");
        self.server.wake = Some(now);
    }

    /// This client goes on from another socket.
    pub fn rebind(&mut self, number: usize) {
        let like = self.driver.address(SERVER);
        let socket = self.driver.bind(SocketAddr::new(like.ip(), 0)).expect("loopback has a free port");
        let (now, local) = (self.driver.now(), self.driver.local(socket));
        let (party, handle) = &mut self.clients[number];
        let connection = party.endpoint.connection_mut(*handle).expect("it is open");
        connection.rebind(now, local).expect("a client may move");
        party.sockets.push(socket);
        party.wake = Some(now);
    }

    /// Waits until the server's last move is settled, and all of the clients have completed theirs.
    pub fn settle(&mut self, moves: usize) {
        self.until("all is settled", |net| {
            let settled = matches!(net.relocations().last(), Some(RelocationEvent::Settled { .. }));
            let follows = |number| net.said(number).filter(is_completed).count() == moves;
            settled && (0..net.clients.len()).all(follows)
        });
    }

    /// What a client said of migrations.
    pub fn said(&self, number: usize) -> impl Iterator<Item = MigrationEvent> + '_ {
        self.clients[number].0.events.iter().filter_map(|event| match event {
            Event::Connection(_, ConnectionEvent::Migration(event)) => Some(*event),
            _ => None,
        })
    }

    /// What the server said of clients that moved: where to.
    pub fn moved_clients(&self) -> Vec<SocketAddr> {
        let moved = self.server.events.iter().filter_map(|event| match event {
            Event::Connection(_, ConnectionEvent::PeerMoved { to, .. }) => Some(*to),
            _ => None,
        });
        moved.collect()
    }

    /// What the server said of its moves.
    pub fn relocations(&self) -> impl Iterator<Item = &RelocationEvent> {
        self.server.events.iter().filter_map(|event| match event {
            Event::Relocation(event) => Some(event),
            _ => None,
        })
    }

    /// Has the server send some bytes back to this client.
    pub fn echo(&mut self, number: usize) {
        const ASKED: &[u8] = b"whoever has moved is where they are";
        let (party, handle) = &mut self.clients[number];
        let connection = party.endpoint.connection_mut(*handle).expect("it is open");
        let id = connection.open(Dir::Bi).expect("the server permits it");
        let mut send = connection.send(id).expect("it is open");
        assert_eq!(send.write(ASKED), Ok(ASKED.len()));
        send.finish().expect("the first end");
        party.wake = Some(self.driver.now());
        let mut got = Vec::new();
        let mut ended = false;
        let begun = self.driver.now();
        while !ended {
            assert!(self.driver.now().since(begun) < PATIENCE, "no echo came");
            self.turn();
            let (party, handle) = &mut self.clients[number];
            let connection = party.endpoint.connection_mut(*handle).expect("it is open");
            ended = read(connection, id, &mut got);
        }
        assert_eq!(got, ASKED);
    }

    fn until(&mut self, what: &str, so: impl Fn(&Self) -> bool) {
        let begun = self.driver.now();
        while !so(self) {
            assert!(self.driver.now().since(begun) < PATIENCE, "it never comes that {what}");
            self.turn();
        }
    }

    /// Waits a little, takes in what arrived, lets time pass, and lets everybody speak.
    fn turn(&mut self) {
        let Self { driver, server, clients, echoing, .. } = self;
        let soon = driver.now() + Duration::from_millis(20);
        let wakes = clients.iter().map(|(party, _)| party.wake).chain([server.wake]);
        let until = wakes.flatten().fold(soon, Instant::min);
        let deliver = |now, arrival: Arrival, datagrams: &mut [u8]| {
            let place = arrival.path.local.socket;
            let endpoint = match place {
                SERVER => &mut server.endpoint,
                _ => {
                    let own = clients.iter_mut().find(|(party, _)| party.sockets.contains(&place));
                    &mut own.expect("every socket has an owner").0.endpoint
                }
            };
            endpoint.handle_datagrams(now, arrival, datagrams);
        };
        driver.receive(Some(until), deliver).expect("the sockets are sound");
        for party in clients.iter_mut().map(|(party, _)| party).chain([&mut *server]) {
            let Party { endpoint, wake, events, .. } = party;
            endpoint.handle_timeout(driver.now());
            *wake = driver.speak(endpoint, |_, _, event| events.push(event));
        }
        serve(&mut server.endpoint, echoing);
        let Party { endpoint, wake, events, .. } = server;
        *wake = driver.speak(endpoint, |_, _, event| events.push(event));
    }
}

pub fn is_completed(event: &MigrationEvent) -> bool {
    matches!(event, MigrationEvent::Completed { .. })
}

/// Reads what has come; whether that was all.
fn read(connection: &mut Connection, id: StreamId, got: &mut Vec<u8>) -> bool {
    let Some(mut recv) = connection.recv(id) else { return false };
    let mut buf = [0; 1024];
    loop {
        match recv.read(&mut buf) {
            Ok(Some(len)) => got.extend(&buf[..len]),
            Ok(None) => return true,
            Err(ReadError::Blocked) => return false,
            Err(error) => panic!("{error}"),
        }
    }
}

/// The server sends back what it was sent, a stream at a time.
fn serve(endpoint: &mut Endpoint, echoing: &mut Vec<(ConnectionHandle, StreamId)>) {
    let handles: Vec<_> = endpoint.connections().map(|(handle, _)| handle).collect();
    for handle in handles {
        let Some(connection) = endpoint.connection_mut(handle) else { continue };
        while let Some(id) = connection.accept(Dir::Bi) {
            echoing.push((handle, id));
        }
    }
    echoing.retain(|(handle, id)| {
        let Some(connection) = endpoint.connection_mut(*handle) else { return false };
        let mut got = Vec::new();
        let ended = read(connection, *id, &mut got);
        let Some(mut send) = connection.send(*id) else { return false };
        assert_eq!(send.write(&got).unwrap_or(0), got.len(), "an echo is short");
        if ended {
            send.finish().expect("the first end");
        }
        !ended
    });
}
