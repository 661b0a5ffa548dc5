//! The world: hosts on a network, one virtual time, one seed, and everything a test may do to them.
//!
//! Time starts at 0 and jumps from event to event. Whatever happens at the same time happens in this order: what the
//! test had planned, datagrams in the order of their sending, timers in the order of the hosts.

mod moves;
mod paths;
mod time;

use std::any::Any;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use peregrine::{
    ClientConfig, CloseReason, Connection, ConnectionEvent, ConnectionHandle, ConnectionId, Endpoint,
    EndpointConfig, FourTuple, Instant, SeededRng, ServerConfig, Side,
};

use super::app::{App, Outcome, Serve};
use super::dice::{fold, mix};
use super::host::{self, Accept, Host};
use super::network::{HostId, Network};
use super::requests::{self, Client, Request, Server};
use super::seeds;
use super::tls;
use super::watch::Watch;
use super::words::addr;

/// A connection of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conn {
    /// Whose.
    pub host: HostId,
    /// Its name there.
    pub handle: ConnectionHandle,
}

/// Servers' ends of connections, as far as somebody asked.
#[derive(Debug, Default)]
struct FarEnds {
    /// By the name that both ends know.
    by_name: BTreeMap<ConnectionId, Conn>,
    /// Hosts that may have connections that are not among them.
    unread: BTreeSet<HostId>,
}

/// Everything there is: hosts, what lies between them, and the time.
///
/// A new world is empty, and every path in it is perfect and takes 10 ms one way. Methods that take an address as a text
/// panic when it is none; those that take a [`HostId`] or a [`Conn`] panic when it is another world's.
///
/// What the world watches by itself, at every datagram and every event, and panics about:
///
/// * no endpoint sends more than three times what it got to an address that has not answered (RFC 9000, Section 8),
///   but for seeks of at most 60 bytes, eight a second for each connection;
/// * a client's Initial is never in a datagram of less than 1200 bytes (RFC 9000, Section 14.1);
/// * no connection connects twice, or says anything after its end;
/// * no endpoint goes on for ever without time passing.
///
/// A world that is dropped because of a panic prints its seed.
pub struct World {
    seed: u64,
    now: Instant,
    hosts: Vec<Host>,
    network: Network,
    watch: Watch,
    schedule: time::Schedule,
    /// By host: how much it had said of moves when it was last given notice.
    noticed: Vec<usize>,
    /// By host: how many of its applications are at work, and of all of them.
    running: (Vec<usize>, usize),
    configs: Vec<EndpointConfig>,
    far_ends: RefCell<FarEnds>,
    /// What hosts write their datagrams into.
    buffer: Vec<u8>,
}

impl World {
    /// An empty world with the seed that `SIM_SEED` asks for, or else always the same.
    pub fn new() -> Self {
        Self::seeded(seeds::usual_seed())
    }

    /// An empty world with this seed, whatever `SIM_SEED` says.
    pub fn seeded(seed: u64) -> Self {
        Self {
            seed,
            now: Instant::ZERO,
            hosts: Vec::new(),
            network: Network::new(seed),
            watch: Watch::default(),
            schedule: time::Schedule::default(),
            noticed: Vec::new(),
            running: (Vec::new(), 0),
            configs: Vec::new(),
            far_ends: RefCell::default(),
            buffer: vec![0; host::BUFFER],
        }
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    // ---- who is there -------------------------------------------------------------------------

    /// A server with its own settings, and what it runs on each connection made to it. A server that moves needs global
    /// addresses such as `45.0.0.1:443`: by default clients follow nobody into the ranges for documentation.
    pub fn serve<A: App>(
        &mut self,
        address: &str,
        config: ServerConfig,
        accept: impl FnMut() -> A + 'static,
    ) -> HostId {
        let host = self.host(address, EndpointConfig::server(Arc::new(config)), None);
        self.on_accept(host, accept);
        host
    }

    /// A server of the ready-made application with the ready-made certificate.
    pub fn server(&mut self, address: &str) -> HostId {
        self.server_with(address, ServerConfig::new(tls::server()))
    }

    /// A server of the ready-made application with its own settings.
    pub fn server_with(&mut self, address: &str, config: ServerConfig) -> HostId {
        self.serve(address, config, Server::default)
    }

    /// A host that only connects.
    pub fn client(&mut self, address: &str) -> HostId {
        self.host(address, EndpointConfig::client(), None)
    }

    /// A host with this endpoint, and what it runs on each connection made to it. It has a reset secret of its own, which
    /// outlives a [restart](Self::restart).
    pub fn host(&mut self, address: &str, config: EndpointConfig, serve: Option<Serve>) -> HostId {
        let config = config.reset_secret(reset_secret(self.seed, HostId(self.hosts.len())));
        self.host_with_secret(address, config, serve)
    }

    /// As [`World::host`], with the reset secret that the settings have.
    pub fn host_with_secret(
        &mut self,
        address: &str,
        config: EndpointConfig,
        serve: Option<Serve>,
    ) -> HostId {
        let (id, address) = (HostId(self.hosts.len()), addr(address));
        let endpoint = self.endpoint_of(id, config.clone());
        self.configs.push(config);
        self.hosts.push(Host::new(id, endpoint, address, serve.map(|serve| Box::new(serve) as Accept)));
        self.noticed.push(0);
        self.running.0.push(0);
        self.network.attach(address, id);
        id
    }

    /// From now on a host runs on each connection made to it what this makes.
    pub fn on_accept<A: App>(&mut self, host: HostId, mut accept: impl FnMut() -> A + 'static) {
        self.hosts[host.0].accept(Box::new(move || Box::new(accept())));
    }

    fn endpoint_of(&self, id: HostId, config: EndpointConfig) -> Endpoint {
        let seed = mix(fold(mix(self.seed), format!("host {} at {:?}", id.0, self.now).as_bytes()));
        Endpoint::new(config, Box::new(SeededRng::new(seed)))
    }

    /// Connects with the default settings, trusting the ready-made certificate, and runs an application.
    pub fn connect(&mut self, client: HostId, to: &str, app: impl App) -> Conn {
        self.connect_with(client, to, Arc::new(ClientConfig::new(tls::client())), app)
    }

    /// Connects with these settings, to a server that is named as the ready-made certificate, and runs an application.
    pub fn connect_with(
        &mut self,
        client: HostId,
        to: &str,
        config: Arc<ClientConfig>,
        app: impl App,
    ) -> Conn {
        self.connect_named(client, to, tls::NAME, config, app)
    }

    /// Connects with these settings to a server of this name, from the first socket of that family of addresses, and runs
    /// an application.
    ///
    /// # Panics
    ///
    /// When the endpoint refuses to connect, for instance because the host has no address of that family.
    pub fn connect_named(
        &mut self,
        client: HostId,
        to: &str,
        name: &str,
        config: Arc<ClientConfig>,
        app: impl App,
    ) -> Conn {
        let (now, remote) = (self.now, addr(to));
        let host = &mut self.hosts[client.0];
        let path = FourTuple { local: host.local(host.socket_towards(remote)), remote };
        let local_now = host.clock(now);
        let connected = host.endpoint_mut().connect(local_now, path, config, name);
        let handle = connected.unwrap_or_else(|error| panic!("{error}"));
        host.install(handle, Box::new(app));
        self.watch.on_connect(client, remote);
        self.drive(client);
        Conn { host: client, handle }
    }

    /// The other end of a client's connection, if a server of this world has it.
    pub fn server_side(&self, conn: Conn) -> Option<Conn> {
        let name = self.connection(conn)?.original_id();
        let mut known = self.far_ends.borrow_mut();
        let is_it = |end: &Conn| self.connection(*end).is_some_and(|c| c.original_id() == name);
        if let Some(end) = known.by_name.get(&name).copied().filter(is_it) {
            return Some(end);
        }
        for host in std::mem::take(&mut known.unread) {
            let ends = self.hosts[host.0].endpoint().connections();
            for (handle, connection) in ends.filter(|(_, connection)| connection.side() == Side::Server) {
                known.by_name.insert(connection.original_id(), Conn { host, handle });
            }
        }
        known.by_name.get(&name).copied().filter(is_it)
    }

    // ---- what one may do to a host ------------------------------------------------------------

    /// A host, to be asked.
    pub fn at(&self, host: HostId) -> &Host {
        &self.hosts[host.0]
    }

    /// Speaks to an endpoint, at its host's time, and lets it do what follows.
    pub fn speak<T>(&mut self, host: HostId, say: impl FnOnce(Instant, &mut Endpoint) -> T) -> T {
        let at = &mut self.hosts[host.0];
        let local = at.clock(self.now);
        let answer = say(local, at.endpoint_mut());
        // It may have accepted somebody.
        self.far_ends.get_mut().unread.insert(host);
        self.drive(host);
        answer
    }

    /// Speaks to a connection, at its host's time, and lets its endpoint do what follows.
    pub fn with<T>(&mut self, conn: Conn, say: impl FnOnce(Instant, &mut Connection) -> T) -> T {
        self.speak(conn.host, |now, endpoint| {
            say(now, endpoint.connection_mut(conn.handle).expect("the connection is still there"))
        })
    }

    /// A connection, to be asked; `None` once it is forgotten.
    pub fn connection(&self, conn: Conn) -> Option<&Connection> {
        self.hosts[conn.host.0].endpoint().connection(conn.handle)
    }

    /// The application on a connection. It outlives the connection.
    ///
    /// # Panics
    ///
    /// When none runs there, or one of another kind.
    pub fn app<A: App>(&self, conn: Conn) -> &A {
        let app: &dyn Any = self.hosts[conn.host.0].app(conn.handle).expect("an application runs on it");
        app.downcast_ref().expect("it is of this kind")
    }

    /// Speaks to the application on a connection, at its host's time, and lets its endpoint do what follows.
    ///
    /// # Panics
    ///
    /// When none runs there, or one of another kind, or the connection is forgotten.
    pub fn with_app<A: App, T>(
        &mut self,
        conn: Conn,
        say: impl FnOnce(Instant, &mut A, &mut Connection) -> T,
    ) -> T {
        let host = &mut self.hosts[conn.host.0];
        let local = host.clock(self.now);
        let answer = host.call(conn.handle, |app, connection| {
            let app: &mut dyn Any = app;
            say(local, app.downcast_mut().expect("it is of this kind"), connection)
        });
        self.drive(conn.host);
        answer.expect("an application runs on a connection that is still there")
    }

    /// Asks the ready-made application on a client's connection for one more request.
    pub fn ask(&mut self, conn: Conn, request: Request) {
        self.with_app(conn, |now, client: &mut Client, connection| client.ask(now, connection, request));
    }

    /// Where the application on a connection stands.
    pub fn outcome(&self, conn: Conn) -> Outcome {
        self.hosts[conn.host.0].outcome(conn.handle).expect("an application runs on it")
    }

    /// Why a connection ended, once it has.
    pub fn closed(&self, conn: Conn) -> Option<&CloseReason> {
        self.hosts[conn.host.0].closed(conn.handle)
    }

    /// Whether a connection's handshake was completed.
    pub fn is_connected(&self, conn: Conn) -> bool {
        self.when(conn, |event| matches!(event, ConnectionEvent::Connected { .. })).is_some()
    }

    /// When a connection first said such a thing (of streams it may say anything).
    pub fn when(&self, conn: Conn, such: impl Fn(&ConnectionEvent) -> bool) -> Option<Instant> {
        self.hosts[conn.host.0].said(conn.handle).find(|(_, event)| such(event)).map(|(at, _)| at)
    }

    /// A host loses its memory: another endpoint with the same settings and the same reset secret is at its address.
    pub fn restart(&mut self, host: HostId) {
        let endpoint = self.endpoint_of(host, self.configs[host.0].clone());
        self.hosts[host.0].replace(endpoint);
        self.watch.on_restart(host);
        self.settle(host);
    }

    /// Everything one wants to read when a run has failed.
    fn report(&self) -> String {
        format!("{self:?}")
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for World {
    /// What one wants to read when a run has failed: the time, every host, and what is under way.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "at {:?} after {} steps", self.now, self.steps())?;
        self.hosts.iter().try_for_each(|host| writeln!(f, "{host:?}"))?;
        write!(f, "{:?}", self.network)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("run it again: SIM_SEED={} (and SIM_LOG=1 to see every datagram)", self.seed);
        }
    }
}

fn reset_secret(seed: u64, host: HostId) -> [u8; 32] {
    let mut secret = [0; 32];
    requests::fill(mix(seed) ^ host.0 as u64, 0, &mut secret);
    secret
}
