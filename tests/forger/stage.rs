//! One of our endpoints and a forger, face to face on the simulated network.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use peregrine::{
    ClientConfig, CloseReason, Code, Connection, ConnectionEvent, ConnectionHandle, Dir, EndpointConfig,
    Event, Instant, MigrationConfig, ServerConfig, TransportConfig,
};

use super::peer::{Draft, Forger};
use super::setup::{Setup, Space};
use super::wire::{self, Heard};
use sim::{App, Conn, Datagram, HostId, Outcome, Verdict, World, addr, ms, tls};

/// Where the forger is.
pub const FORGER: &str = "45.0.0.66:4433";
/// Where our endpoint is.
pub const OURS: &str = "45.0.0.1:443";
/// What a forging client calls our server at first.
pub const FIRST_DCID: [u8; 8] = [0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7];

/// Which of our endpoints has to bear it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    Client,
    Server,
}

impl Victim {
    pub const BOTH: [Self; 2] = [Self::Client, Self::Server];

    /// The victim's first bidirectional stream.
    pub fn bidi(self) -> u64 {
        if self == Self::Server { 1 } else { 0 }
    }

    /// The victim's first unidirectional stream.
    pub fn uni(self) -> u64 {
        2 + self.bidi()
    }

    /// The forger's first bidirectional stream.
    pub fn forgers_bidi(self) -> u64 {
        1 - self.bidi()
    }

    /// The forger's first unidirectional stream.
    pub fn forgers_uni(self) -> u64 {
        3 - self.bidi()
    }
}

/// An application that neither speaks nor reads.
#[derive(Debug)]
struct Mute;

impl App for Mute {
    fn outcome(&self) -> Outcome {
        Outcome::Running
    }
}

/// What our endpoint sent to the forger's addresses.
type Tape = Rc<RefCell<VecDeque<Vec<u8>>>>;
/// These addresses.
type Addresses = Rc<RefCell<Vec<SocketAddr>>>;

/// A world, and what is sent to the forger in it.
fn recorded() -> (World, Tape, Addresses) {
    let (mut world, tape) = (World::new(), Tape::default());
    let addresses = Rc::new(RefCell::new(vec![addr(FORGER)]));
    let (sent, own) = (Rc::clone(&tape), Rc::clone(&addresses));
    world.tap(move |_, datagram| {
        if own.borrow().contains(&datagram.to) {
            sent.borrow_mut().push_back(datagram.payload.clone());
        }
        Verdict::Pass
    });
    (world, tape, addresses)
}

/// The two of them.
pub struct Stage {
    pub world: World,
    pub forger: Forger,
    pub host: HostId,
    pub victim: Victim,
    /// What our endpoint sent to the forger's address and the forger has not taken yet.
    tape: Tape,
    /// Where the forger listens.
    addresses: Addresses,
    /// Whether our endpoint has answered a forging client.
    met: bool,
}

impl Stage {
    /// Before our endpoint with these settings. A client of ours has said hello already.
    pub fn with(victim: Victim, transport: TransportConfig, setup: &Setup) -> Self {
        Self::that_migrates(victim, transport, None, setup)
    }

    /// Before our endpoint with these settings, those of server migration too.
    pub fn that_migrates(
        victim: Victim,
        transport: TransportConfig,
        migration: Option<MigrationConfig>,
        setup: &Setup,
    ) -> Self {
        let (mut world, tape, addresses) = recorded();
        let transport = Arc::new(transport);
        let (host, forger) = match victim {
            Victim::Server => {
                let mut config = ServerConfig::new(tls::server()).transport(transport);
                if let Some(permits) = migration {
                    config = config.migration(permits).expect("a permit that can be");
                }
                let config = EndpointConfig::server(Arc::new(config));
                let host = world.host(OURS, config, Some(|| Box::new(Mute)));
                (host, Forger::client(setup, &FIRST_DCID))
            }
            Victim::Client => {
                let host = world.client(OURS);
                let mut config = ClientConfig::new(tls::client()).transport(transport);
                if let Some(offers) = migration {
                    config = config.migration(offers).expect("an offer that can be");
                }
                world.connect_with(host, FORGER, Arc::new(config), Mute);
                let hello = tape.borrow().front().cloned().expect("a client says hello");
                (host, Forger::server(setup, &hello))
            }
        };
        let mut stage = Self { world, forger, host, victim, tape, addresses, met: victim == Victim::Client };
        stage.listen_for(Duration::ZERO);
        stage
    }

    /// Before our server, which takes early data, with a forging client that has a ticket of it and has said hello.
    pub fn before_early_server() -> Self {
        let (mut world, tape, addresses) = recorded();
        let config = ServerConfig::new(tls::server()).early_data(true);
        let host = world.host(OURS, EndpointConfig::server(Arc::new(config)), Some(|| Box::new(Mute)));
        let mut config = rustls::ClientConfig::clone(&tls::resuming_client());
        config.enable_early_data = true;
        let config = Arc::new(config);
        let first = Forger::client_with(&Setup::default(), &FIRST_DCID, Arc::clone(&config));
        let mut stage =
            Self { world, forger: first, host, victim: Victim::Server, tape, addresses, met: false };
        stage.shake();
        let setup = Setup { scid: vec![0xf1; 8], ..Setup::default() };
        stage.forger = Forger::client_with(&setup, &[0xda; 8], config);
        stage.met = false;
        stage.forger.turn();
        for datagram in stage.forger.flush(Space::Initial) {
            stage.send(datagram);
        }
        stage
    }

    /// Before our client, which holds the ticket of an honest server of that name and has sent this early; the forger
    /// knows nothing of the ticket. The honest connection goes on.
    pub fn before_early_client(early: &[u8]) -> Self {
        let (mut world, tape, addresses) = recorded();
        let honest = ServerConfig::new(tls::server()).early_data(true);
        world.host("45.0.0.9:443", EndpointConfig::server(Arc::new(honest)), Some(|| Box::new(Mute)));
        let host = world.client(OURS);
        let config = Arc::new(ClientConfig::new(tls::resuming_client()).early_data(true));
        world.connect_with(host, "45.0.0.9:443", Arc::clone(&config), Mute);
        world.run_for(ms(100));
        let conn = world.connect_with(host, FORGER, config, Mute);
        world.with(conn, |_, connection| {
            let id = connection.open(Dir::Uni).expect("the honest server permits it");
            assert_eq!(connection.send(id).expect("open").write(early), Ok(early.len()));
        });
        let hello = tape.borrow().front().cloned().expect("a client says hello");
        let forger = Forger::server(&Setup::default(), &hello);
        let mut stage = Self { world, forger, host, victim: Victim::Client, tape, addresses, met: true };
        stage.listen_for(Duration::ZERO);
        stage
    }

    /// Before our endpoint with the default settings; nothing was answered yet.
    pub fn new(victim: Victim, setup: &Setup) -> Self {
        Self::with(victim, TransportConfig::default(), setup)
    }

    /// After the handshake with our endpoint of the default settings, with all keys but 1-RTT's gone.
    pub fn connected(victim: Victim) -> Self {
        Self::connected_with(victim, TransportConfig::default(), &Setup::default())
    }

    /// After the handshake.
    pub fn connected_with(victim: Victim, transport: TransportConfig, setup: &Setup) -> Self {
        Self::with(victim, transport, setup).connect()
    }

    /// The same after the handshake.
    pub fn connect(mut self) -> Self {
        self.shake();
        if self.victim == Victim::Client {
            self.say(&wire::words(&[wire::HANDSHAKE_DONE]));
        }
        assert!(self.is_connected(), "the forger can be honest: {:?}", self.end());
        assert_eq!(self.end(), None);
        self
    }

    /// Says these frames to each of our endpoints; each ends the connection with this error, because of this frame.
    #[track_caller]
    pub fn both_end(frames: impl Fn(Victim) -> Vec<u8>, code: Code, frame: u64) {
        for victim in Victim::BOTH {
            Self::connected(victim).say_and_end(&frames(victim), code, frame);
        }
    }

    /// Says these frames to each of our endpoints; each goes on.
    #[track_caller]
    pub fn both_go_on(frames: impl Fn(Victim) -> Vec<u8>) {
        for victim in Victim::BOTH {
            let mut stage = Self::connected(victim);
            stage.say(&frames(victim));
            stage.goes_on();
        }
    }

    /// Says these frames in a 1-RTT packet, and our endpoint ends the connection with this error.
    #[track_caller]
    pub fn say_and_end(&mut self, frames: &[u8], code: Code, frame: u64) {
        self.say(frames);
        self.ends_with(code, frame);
    }

    // ---- speaking -----------------------------------------------------------------------------

    /// Both do what honest peers do, until both are silent.
    pub fn shake(&mut self) {
        self.forger.turn();
        loop {
            let said: Vec<_> = Space::ALL.into_iter().flat_map(|space| self.forger.flush(space)).collect();
            let is_silent = said.is_empty();
            said.into_iter().for_each(|datagram| self.send(datagram));
            if !self.listen() && is_silent {
                return;
            }
        }
    }

    /// The forger says what an honest peer would in this space, and nothing in the others; then it listens.
    pub fn shake_in(&mut self, space: Space) {
        self.forger.turn();
        for datagram in self.forger.flush(space) {
            self.send(datagram);
        }
        self.listen();
    }

    /// Puts a datagram of the forger's on the network.
    pub fn send(&mut self, datagram: Vec<u8>) {
        self.send_from(FORGER, datagram);
    }

    /// Puts a datagram from elsewhere on the network.
    pub fn send_from(&mut self, from: &str, datagram: Vec<u8>) {
        self.world.inject(Datagram::new(addr(from), addr(OURS), datagram));
    }

    /// Seals a packet, sends it, and listens.
    pub fn say_as(&mut self, space: Space, draft: Draft) {
        let datagram = self.forger.seal(space, draft);
        self.send(datagram);
        self.listen();
    }

    /// Says these frames in a packet of this space, and listens.
    pub fn say_in(&mut self, space: Space, frames: &[u8]) {
        self.say_as(space, Draft::new(frames));
    }

    /// Says these frames in a 1-RTT packet, and listens.
    pub fn say(&mut self, frames: &[u8]) {
        self.say_in(Space::OneRtt, frames);
    }

    /// Says these frames in a 1-RTT packet and goes on at once.
    pub fn shout(&mut self, frames: &[u8]) {
        let datagram = self.forger.seal(Space::OneRtt, Draft::new(frames));
        self.send(datagram);
    }

    /// The forger is at another address for a while: it hears what is sent there, answers challenges and acknowledges.
    pub fn hear_at(&mut self, address: &str) {
        self.addresses.borrow_mut().push(addr(address));
        for _ in 0..2 {
            self.forger.heard.clear();
            self.listen();
            let challenges: Vec<_> =
                self.heard(wire::PATH_CHALLENGE).iter().map(|f| f.data.clone()).collect();
            let answers =
                challenges.iter().flat_map(|data| [&[wire::PATH_RESPONSE as u8][..], data].concat());
            let frames: Vec<u8> = answers.chain(self.forger.ack_of_all(Space::OneRtt)).collect();
            let datagram = self.forger.seal(Space::OneRtt, Draft::new(&frames));
            self.send_from(address, datagram);
        }
        self.listen();
    }

    /// Waits for our endpoint for 60 ms; returns whether it said anything.
    pub fn listen(&mut self) -> bool {
        self.listen_for(ms(60))
    }

    /// Waits for our endpoint; returns whether it said anything.
    pub fn listen_for(&mut self, time: Duration) -> bool {
        self.world.run_for(time);
        let said = std::mem::take(&mut *self.tape.borrow_mut());
        for datagram in &said {
            if !self.met && datagram.first().is_some_and(|first| first & 0x80 != 0) {
                self.met = true;
                self.forger.meet(datagram);
            }
            self.forger.take(datagram);
        }
        !said.is_empty()
    }

    /// Where all datagrams go from now on.
    pub fn record(&mut self) -> Rc<RefCell<Vec<SocketAddr>>> {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let tape = Rc::clone(&seen);
        self.world.tap(move |_, datagram| {
            tape.borrow_mut().push(datagram.to);
            Verdict::Pass
        });
        seen
    }

    /// What our endpoint sent that the forger has not taken, which it never will.
    pub fn untaken(&mut self) -> Vec<Vec<u8>> {
        self.tape.borrow_mut().drain(..).collect()
    }

    // ---- what came of it ----------------------------------------------------------------------

    /// Our endpoint's connection, while it has one.
    pub fn connection(&self) -> Option<&Connection> {
        self.world.at(self.host).endpoint().connections().next().map(|(_, connection)| connection)
    }

    /// Its name.
    pub fn conn(&self) -> Conn {
        let mut all = self.world.at(self.host).endpoint().connections();
        Conn { host: self.host, handle: all.next().expect("there is a connection").0 }
    }

    /// Speaks to our endpoint's connection.
    pub fn speak<T>(&mut self, say: impl FnOnce(Instant, &mut Connection) -> T) -> T {
        let conn = self.conn();
        self.world.with(conn, say)
    }

    fn said(&self) -> impl Iterator<Item = (ConnectionHandle, &ConnectionEvent)> {
        self.world.at(self.host).events().iter().filter_map(|(_, event)| match event {
            Event::Connection(handle, event) => Some((*handle, event)),
            _ => None,
        })
    }

    /// Whether our endpoint's handshake was completed.
    pub fn is_connected(&self) -> bool {
        self.said().any(|(_, event)| matches!(event, ConnectionEvent::Connected { .. }))
    }

    /// Why our endpoint's connection ended, if it did.
    pub fn end(&self) -> Option<&CloseReason> {
        self.said().find_map(|(_, event)| match event {
            ConnectionEvent::Closed(reason) => Some(reason),
            _ => None,
        })
    }

    /// The error and the frame's type of the last CONNECTION_CLOSE that the forger heard.
    pub fn close(&self) -> Option<(Code, u64)> {
        let last = self.forger.heard_of(wire::CONNECTION_CLOSE).last()?;
        Some((Code::from_wire(last.words[0]), last.words[1]))
    }

    /// Our endpoint has ended the connection with this error, because of a frame of this type (0: of none), and said so.
    #[track_caller]
    pub fn ends_with(&self, code: Code, frame: u64) {
        assert_eq!(self.close(), Some((code, frame)), "on the wire; our side: {:?}", self.end());
        match self.end() {
            Some(CloseReason::Fault(fault)) => assert_eq!((fault.code, fault.frame), (code, frame)),
            // A server says nothing of a connection whose handshake was not completed.
            None => assert!(!self.is_connected()),
            other => panic!("another end: {other:?}"),
        }
    }

    /// Nothing has come of it: our endpoint goes on, and has said nothing of an error.
    #[track_caller]
    pub fn goes_on(&mut self) {
        let number = self.forger.next_number(Space::OneRtt);
        self.say(&wire::words(&[wire::PING]));
        assert_eq!((self.end(), self.close()), (None, None));
        let acknowledged = self.forger.heard.iter().any(|(_, frame)| frame.acknowledges(number));
        assert!(acknowledged, "a PING is not acknowledged");
    }

    /// Takes one packet more, in which nothing is wrong, and the handshake completes.
    #[track_caller]
    pub fn still_connects(&mut self) {
        self.shake();
        assert!(self.is_connected(), "the handshake does not complete: {:?}", self.end());
        assert_eq!((self.end(), self.close()), (None, None));
    }

    /// Frames of this type that the forger heard.
    pub fn heard(&self, kind: u64) -> Vec<&Heard> {
        self.forger.heard_of(kind).collect()
    }
}
