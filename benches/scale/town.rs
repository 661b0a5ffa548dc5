//! One server endpoint with many clients, and the mail between them: memory, under a virtual clock.
//!
//! The phases of a move are functions of their own, so that each can be counted; what clients do stands outside of them.

use std::alloc::System;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use peregrine::{
    Arrival, ClientConfig, Ecn, Endpoint, EndpointConfig, Event, FourTuple, Instant, Local, MigrationConfig,
    MigrationTarget, MoveOrder, Output, RelocationEvent, RelocationPlan, SeededRng, ServerConfig, SocketKey,
    Strategy, StrategySet, TransportConfig,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use super::paper;

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Where the server begins, where it moves to, and where its clients are. A client's policy follows to global addresses.
const HOME: ([u8; 4], u16) = ([20, 0, 0, 1], 443);
const AWAY: ([u8; 4], u16) = ([20, 0, 9, 1], 443);
const CLIENTS: ([u8; 4], u16) = ([30, 0, 0, 1], 5000);

/// How the server moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Way {
    Explicit,
    Pool,
    Symmetric,
    Synchronized,
}

impl Way {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Explicit => "explicit",
            Self::Pool => "pool",
            Self::Symmetric => "symmetric",
            Self::Synchronized => "synchronized",
        }
    }

    fn strategy(self) -> Strategy {
        match self {
            Self::Explicit => Strategy::Explicit,
            Self::Pool => Strategy::Pool,
            Self::Symmetric => Strategy::Symmetric,
            Self::Synchronized => Strategy::SynchronizedSymmetric,
        }
    }

    fn order(self) -> MoveOrder {
        match self {
            Self::Explicit => MoveOrder::Explicit(away()),
            Self::Pool => MoveOrder::Pool,
            Self::Symmetric => MoveOrder::Symmetric,
            Self::Synchronized => MoveOrder::SynchronizedSymmetric,
        }
    }
}

fn away() -> MigrationTarget {
    MigrationTarget::single(AWAY.into()).expect("a whole endpoint")
}

/// Datagrams that are sent and have not arrived.
#[derive(Debug, Default)]
pub struct Mail {
    pub parcels: Vec<Parcel>,
    bytes: Vec<u8>,
}

/// A train of datagrams.
#[derive(Debug)]
pub struct Parcel {
    from: SocketAddr,
    to: SocketAddr,
    ecn: Ecn,
    segment: Option<NonZeroU16>,
    at: usize,
    len: usize,
}

impl Mail {
    fn clear(&mut self) {
        self.parcels.clear();
        self.bytes.clear();
    }
}

/// The server and its clients.
#[derive(Debug)]
pub struct Town {
    pub now: Instant,
    way: Way,
    server: Endpoint,
    at: SocketAddr,
    clients: Endpoint,
    wire: Vec<u8>,
    /// To the server, and to its clients.
    pub up: Mail,
    pub down: Mail,
    /// Bytes of heap that the server took and has not given back.
    pub heap: isize,
    /// Connections that were ready and closed, and those that have moved and are lost, once it is known.
    pub ready: Option<(usize, usize)>,
    pub settled: Option<(usize, usize)>,
    wakes: [Option<Instant>; 2],
}

impl Town {
    /// A server with so many clients, all connected and silent.
    pub fn new(way: Way, connections: usize) -> Self {
        let transport = TransportConfig::builder().idle_timeout(None).pacing(false);
        let transport = Arc::new(transport.build().expect("settings that can be"));
        let pool = if way == Way::Pool { vec![away()] } else { vec![] };
        let permits = MigrationConfig::new(StrategySet::ALL).pool(pool).port(443);
        let server = ServerConfig::new(paper::server()).transport(Arc::clone(&transport));
        let server = server.migration(permits).expect("a permit that can be");
        let client = ClientConfig::new(paper::client()).transport(transport);
        let client =
            client.migration(MigrationConfig::new(way.strategy().into())).expect("an offer that can be");
        let client = Arc::new(client);
        let mut town = Self {
            now: Instant::from_millis(1000),
            way,
            server: Endpoint::new(EndpointConfig::server(Arc::new(server)), Box::new(SeededRng::new(1))),
            at: HOME.into(),
            clients: Endpoint::new(EndpointConfig::client(), Box::new(SeededRng::new(2))),
            wire: vec![0; 1 << 16],
            up: Mail::default(),
            down: Mail::default(),
            heap: 0,
            ready: None,
            settled: None,
            wakes: [None; 2],
        };
        let path = FourTuple { local: Local::default(), remote: HOME.into() };
        for _ in 0..connections {
            let connected = town.clients.connect(town.now, path, Arc::clone(&client), "localhost");
            connected.expect("a connection begins");
            town.exchange();
        }
        town.rest(Duration::from_secs(1));
        let confirmed = town.server.connections().filter(|(_, connection)| connection.is_confirmed()).count();
        assert_eq!(confirmed, connections, "all are connected");
        // Mail grows no more while anything is counted.
        town.down.bytes.reserve(connections * 2600);
        town
    }

    fn exchange(&mut self) {
        loop {
            self.clients_speak();
            self.server_speaks();
            if self.up.parcels.is_empty() && self.down.parcels.is_empty() {
                return;
            }
            self.server_takes();
            self.clients_take();
        }
    }

    /// Lets time pass, and everybody do what is due.
    pub fn rest(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(wake) = self.wake().filter(|wake| *wake <= end) {
            self.now = self.now.max(wake);
            self.expire();
            self.exchange();
        }
        self.now = end;
    }

    /// When somebody is to be woken.
    pub fn wake(&self) -> Option<Instant> {
        self.wakes.into_iter().flatten().min()
    }

    /// Tells everybody the time.
    pub fn expire(&mut self) {
        let before = taken();
        self.server.handle_timeout(self.now);
        self.heap += taken() - before;
        self.clients.handle_timeout(self.now);
    }

    // ---- the phases of a move ---------------------------------------------------------------------

    /// The plan is made, and every client is told.
    #[inline(never)]
    pub fn notice(&mut self, announce_rate: Option<u32>) {
        let plan = RelocationPlan::uniform(self.way.order());
        let plan = announce_rate.map_or(plan.clone(), |rate| plan.announce_rate(rate));
        let before = taken();
        self.server.prepare_relocation(self.now, plan).expect("a plan that suits");
        self.heap += taken() - before;
        self.server_speaks();
    }

    /// What the clients have to say arrives, and the server is ready.
    #[inline(never)]
    pub fn readiness(&mut self) {
        self.server_takes();
        self.server_speaks();
        // Not the same code as another phase: the compiler would make one function of both.
        assert!(self.ready.is_some(), "all have answered");
    }

    /// The server runs at its new address, and says so to every client.
    #[inline(never)]
    pub fn announcement(&mut self) {
        self.at = AWAY.into();
        let local = Local { socket: SocketKey::default(), ip: Some(self.at.ip()) };
        let before = taken();
        self.server.relocated(self.now, &[(local.socket, local)]).expect("an address of the same family");
        self.heap += taken() - before;
        self.server_speaks();
    }

    /// What the clients have to say arrives, until every move is complete.
    #[inline(never)]
    pub fn settling(&mut self) {
        self.server_takes();
        self.server_speaks();
    }

    // ---- mail -------------------------------------------------------------------------------------

    fn server_speaks(&mut self) {
        loop {
            let before = taken();
            let output = self.server.poll(self.now, &mut self.wire);
            self.heap += taken() - before;
            match output {
                Output::Transmit(transmit) => {
                    let at = self.down.bytes.len();
                    self.down.bytes.extend_from_slice(&self.wire[..transmit.len]);
                    let (from, to) = (self.at, transmit.path.remote);
                    let (ecn, segment, len) = (transmit.ecn, transmit.segment, transmit.len);
                    self.down.parcels.push(Parcel { from, to, ecn, segment, at, len });
                }
                Output::Event(Event::Relocation(RelocationEvent::Ready { prepared, closed })) => {
                    self.ready = Some((prepared, closed));
                }
                Output::Event(Event::Relocation(RelocationEvent::Settled { moved, lost })) => {
                    self.settled = Some((moved, lost));
                }
                Output::Event(_) => {}
                Output::TooSmall => unreachable!("the wire holds a train"),
                Output::Idle { wake } => {
                    self.wakes[0] = wake.map(|wake| wake.at);
                    return;
                }
            }
        }
    }

    pub fn clients_speak(&mut self) {
        loop {
            match self.clients.poll(self.now, &mut self.wire) {
                Output::Transmit(transmit) => {
                    let at = self.up.bytes.len();
                    self.up.bytes.extend_from_slice(&self.wire[..transmit.len]);
                    let (from, to) = (CLIENTS.into(), transmit.path.remote);
                    let (ecn, segment, len) = (transmit.ecn, transmit.segment, transmit.len);
                    self.up.parcels.push(Parcel { from, to, ecn, segment, at, len });
                }
                Output::Event(_) => {}
                Output::TooSmall => unreachable!("the wire holds a train"),
                Output::Idle { wake } => {
                    self.wakes[1] = wake.map(|wake| wake.at);
                    return;
                }
            }
        }
    }

    /// All mail to the server arrives, but for what goes to where it is not.
    fn server_takes(&mut self) {
        let mut mail = std::mem::take(&mut self.up);
        for parcel in mail.parcels.iter().filter(|parcel| parcel.to == self.at) {
            let local = Local { socket: SocketKey::default(), ip: Some(self.at.ip()) };
            let path = FourTuple { local, remote: parcel.from };
            let arrival = Arrival { path, ecn: parcel.ecn, segment: parcel.segment };
            let bytes = &mut mail.bytes[parcel.at..parcel.at + parcel.len];
            let before = taken();
            self.server.handle_datagrams(self.now, arrival, bytes);
            self.heap += taken() - before;
        }
        mail.clear();
        self.up = mail;
    }

    /// All mail to the clients arrives.
    pub fn clients_take(&mut self) {
        let mut mail = std::mem::take(&mut self.down);
        for parcel in mail.parcels.iter().filter(|parcel| parcel.to == CLIENTS.into()) {
            let path = FourTuple { local: Local::default(), remote: parcel.from };
            let arrival = Arrival { path, ecn: parcel.ecn, segment: parcel.segment };
            let bytes = &mut mail.bytes[parcel.at..parcel.at + parcel.len];
            self.clients.handle_datagrams(self.now, arrival, bytes);
        }
        mail.clear();
        self.down = mail;
    }
}

/// Bytes that the program asked for and has not given back.
fn taken() -> isize {
    let stats = HEAP.stats();
    stats.bytes_allocated.wrapping_sub(stats.bytes_deallocated).cast_signed()
}
