//! The world: hosts on a network, one virtual time, one seed, and everything a test may do to them.
//!
//! Time starts at 0 and jumps from event to event. Whatever happens at the same time happens in this order: what the
//! test had planned, datagrams in the order of their sending, timers in the order of the hosts.

use std::any::Any;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use peregrine::{
    ClientConfig, CloseReason, Connection, ConnectionEvent, ConnectionHandle, Endpoint, EndpointConfig,
    FourTuple, Instant, Local, RelocationEvent, RelocationPlan, SeededRng, ServerConfig, Side, SocketKey,
};

use super::app::{App, Client, Outcome, Request, Server};
use super::dice::{fold, mix};
use super::host::{Clock, Host, Meanwhile, Serve};
use super::link::Link;
use super::nat::Nat;
use super::network::{Datagram, HostId, Network, Verdict};
use super::tls;
use super::trace::Trace;
use super::watch::Watch;

/// Steps at one point in time after which the world is taken to stand still.
const MAX_STEPS_AT_ONCE: usize = 100_000;
/// Steps of one run after which it is taken never to end.
const MAX_STEPS: usize = 20_000_000;
/// The seed of worlds that are not given one.
const SEED: u64 = 1;

/// A connection of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conn {
    /// Whose.
    pub host: HostId,
    /// Its name there.
    pub handle: ConnectionHandle,
}

/// What a test has planned for later.
type Plan = Box<dyn FnOnce(&mut World)>;

/// Everything there is.
pub struct World {
    seed: u64,
    now: Instant,
    hosts: Vec<Host>,
    network: Network,
    watch: Watch,
    plans: BTreeMap<(Instant, usize), Plan>,
    planned: usize,
    /// Hosts' deadlines; one that its host does not have any more means nothing.
    wakes: BinaryHeap<Reverse<(Instant, HostId)>>,
    /// By host: the deadline queued last, until it comes up.
    queued: Vec<Option<Instant>>,
    /// By host: how much it had said of moves when it was last given notice.
    noticed: Vec<usize>,
    steps: usize,
    steps_at_once: usize,
    configs: Vec<EndpointConfig>,
}

/// The number in this environment variable.
fn number_in(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}

/// The seed that `SIM_SEED` asks for.
fn wanted_seed() -> Option<u64> {
    number_in("SIM_SEED")
}

/// Runs this under so many seeds (under as many as `SIM_SEEDS` asks for, if it does), or under the one of `SIM_SEED`.
pub fn for_seeds(count: u64, run: impl Fn(u64)) {
    match wanted_seed() {
        Some(seed) => run(seed),
        None => (1..=number_in("SIM_SEEDS").unwrap_or(count)).for_each(run),
    }
}

impl World {
    /// An empty world with the usual seed, or the one `SIM_SEED` asks for.
    pub fn new() -> Self {
        Self::seeded(wanted_seed().unwrap_or(SEED))
    }

    /// An empty world with this seed.
    pub fn seeded(seed: u64) -> Self {
        Self {
            seed,
            now: Instant::ZERO,
            hosts: Vec::new(),
            network: Network::new(seed),
            watch: Watch::default(),
            plans: BTreeMap::new(),
            planned: 0,
            wakes: BinaryHeap::new(),
            queued: Vec::new(),
            noticed: Vec::new(),
            steps: 0,
            steps_at_once: 0,
            configs: Vec::new(),
        }
    }

    // ---- who is there -------------------------------------------------------------------------

    /// A server with the default settings. One that moves needs global addresses such as `45.0.0.1:443`: clients follow
    /// nobody into the ranges for documentation.
    pub fn server(&mut self, address: &str) -> HostId {
        self.server_with(address, ServerConfig::new(tls::server()))
    }

    /// A server with these settings.
    pub fn server_with(&mut self, address: &str, config: ServerConfig) -> HostId {
        self.host(address, EndpointConfig::server(Arc::new(config)), Some(|| Box::new(Server::default())))
    }

    /// A host that only connects.
    pub fn client(&mut self, address: &str) -> HostId {
        self.host(address, EndpointConfig::client(), None)
    }

    /// A host with this endpoint, and what it runs on each connection made to it.
    pub fn host(&mut self, address: &str, config: EndpointConfig, serve: Option<Serve>) -> HostId {
        // A secret of its own that outlives a restart, so that a host that lost its memory can still reset.
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
        self.hosts.push(Host::new(id, endpoint, address, serve));
        self.queued.push(None);
        self.noticed.push(0);
        self.network.attach(address, id);
        id
    }

    fn endpoint_of(&self, id: HostId, config: EndpointConfig) -> Endpoint {
        let seed = mix(fold(mix(self.seed), format!("host {} at {:?}", id.0, self.now).as_bytes()));
        Endpoint::new(config, Box::new(SeededRng::new(seed)))
    }

    /// Connects with the default settings and runs an application.
    pub fn connect(&mut self, client: HostId, to: &str, app: Client) -> Conn {
        self.connect_with(client, to, Arc::new(ClientConfig::new(tls::client())), app)
    }

    /// Connects with these settings and runs an application.
    pub fn connect_with(
        &mut self,
        client: HostId,
        to: &str,
        config: Arc<ClientConfig>,
        app: impl App,
    ) -> Conn {
        let (now, remote) = (self.now, addr(to));
        let host = &mut self.hosts[client.0];
        let path = FourTuple { local: host.local(SocketKey(0)), remote };
        let local_now = host.clock(now);
        let connected = host.endpoint_mut().connect(local_now, path, config, tls::NAME);
        let handle = connected.unwrap_or_else(|error| panic!("{error}"));
        host.install(handle, Box::new(app));
        self.watch.on_connect(client, remote);
        self.drive(client);
        Conn { host: client, handle }
    }

    /// The other end of a client's connection, if a server of this world has it.
    pub fn server_side(&self, conn: Conn) -> Option<Conn> {
        let name = self.connection(conn)?.original_id();
        self.hosts.iter().enumerate().find_map(|(index, host)| {
            let mut ends = host.endpoint().connections();
            let (handle, _) = ends.find(|(_, c)| c.side() == Side::Server && c.original_id() == name)?;
            Some(Conn { host: HostId(index), handle })
        })
    }

    // ---- what lies between them ---------------------------------------------------------------

    /// All paths behave like this, unless a narrower rule is given later.
    pub fn links(&mut self, link: Link) {
        self.network.link(None, None, link);
    }

    /// Paths to this address and from it behave like this.
    pub fn links_of(&mut self, ip: &str, link: Link) {
        let ip = self::ip(ip);
        self.network.link(Some(ip), None, link.clone());
        self.network.link(None, Some(ip), link);
    }

    /// Datagrams from one address (any, if `None`) to another travel like this.
    pub fn one_way(&mut self, from: Option<&str>, to: Option<&str>, link: Link) {
        self.network.link(from.map(ip), to.map(ip), link);
    }

    /// Puts a translator in front of the hosts it names.
    pub fn nat(&mut self, nat: Nat) {
        self.network.nat(nat);
    }

    /// The translator in front of a host forgets all mappings, and moves to another public address if one is given.
    pub fn rebind_nat(&mut self, host: HostId, public: Option<&str>) {
        let inside = self.hosts[host.0].address().ip();
        let nat = self.network.nat_of(inside).expect("the host stands behind a translator");
        nat.rebind(public.map(ip));
    }

    /// Shows this every datagram, with its public addresses, as it is sent.
    pub fn tap(&mut self, tap: impl FnMut(Instant, &Datagram) -> Verdict + 'static) {
        self.network.tap(Box::new(tap));
    }

    /// Puts a load balancer in front of all hosts; where it says nothing, a datagram goes to who holds its address.
    pub fn balance(&mut self, balancer: impl FnMut(&Datagram) -> Option<HostId> + 'static) {
        self.network.balance(Box::new(balancer));
    }

    /// Puts a datagram on the network, whoever it claims to come from.
    pub fn inject(&mut self, datagram: Datagram) {
        self.network.put(self.now, datagram);
    }

    /// What was sent so far.
    pub fn trace(&self) -> &Trace {
        &self.network.trace
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

    /// The application on a connection.
    pub fn app<A: App>(&self, conn: Conn) -> &A {
        let app: &dyn Any = self.hosts[conn.host.0].app(conn.handle).expect("an application runs on it");
        app.downcast_ref().expect("it is of this kind")
    }

    /// Asks the application on a connection for one more request.
    pub fn ask(&mut self, conn: Conn, request: Request) {
        let host = &mut self.hosts[conn.host.0];
        let local = host.clock(self.now);
        let (app, connection) = host.app_mut(conn.handle).expect("an application runs on it");
        let app: &mut dyn Any = app;
        app.downcast_mut::<Client>().expect("it is a client's").ask(local, connection, request);
        self.drive(conn.host);
    }

    /// Where the application on a connection stands.
    pub fn outcome(&self, conn: Conn) -> Outcome {
        self.hosts[conn.host.0].app(conn.handle).expect("an application runs on it").outcome()
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

    /// A client host has another address from now on, and its endpoint is not told: as if its network had changed.
    pub fn renumber(&mut self, host: HostId, address: &str) {
        self.move_to(host, address);
    }

    /// A host loses its memory: another endpoint with the same settings and the same reset secret is at its address.
    pub fn restart(&mut self, host: HostId) {
        let endpoint = self.endpoint_of(host, self.configs[host.0].clone());
        self.hosts[host.0].replace(endpoint);
        self.watch.on_restart(host);
    }

    // ---- relocation, step by step -------------------------------------------------------------

    /// Gives a server notice of its move.
    pub fn prepare(&mut self, server: HostId, plan: RelocationPlan) {
        self.noticed[server.0] = self.hosts[server.0].relocations().count();
        self.speak(server, |now, endpoint| endpoint.prepare_relocation(now, plan))
            .expect("the plan can be followed");
    }

    /// When a server that was given notice was ready.
    pub fn ready(&self, server: HostId) -> Option<Instant> {
        let mut since = self.hosts[server.0].relocations().skip(self.noticed[server.0]);
        since.find(|(_, event)| matches!(event, RelocationEvent::Ready { .. })).map(|(at, _)| at)
    }

    /// Runs until a server that was given notice is ready, at most so long; returns when it was.
    pub fn run_until_ready(&mut self, server: HostId, limit: Duration) -> Instant {
        self.run_until(|world| world.ready(server).is_some(), limit);
        self.ready(server).expect("it is ready")
    }

    /// A host stands still from now on; what is sent to it is lost.
    pub fn freeze(&mut self, host: HostId) {
        self.freeze_with(host, Meanwhile::Lost);
    }

    /// A host stands still from now on.
    pub fn freeze_with(&mut self, host: HostId, meanwhile: Meanwhile) {
        let now = self.now;
        self.network.trace.note(now, || format!("{host:?} is frozen"));
        self.hosts[host.0].freeze(now, meanwhile);
    }

    /// The first socket of a host is bound to another address: nobody is at the old one.
    pub fn move_to(&mut self, host: HostId, address: &str) {
        let address = addr(address);
        let now = self.now;
        self.network.trace.note(now, || format!("{host:?} is at {address}"));
        let former = self.hosts[host.0].rebind(SocketKey(0), address);
        self.network.detach(former);
        self.network.attach(address, host);
    }

    /// A host gets a second socket at another address, and keeps the first.
    pub fn add_socket(&mut self, host: HostId, address: &str) -> SocketKey {
        let address = addr(address);
        self.network.attach(address, host);
        self.hosts[host.0].open(address)
    }

    /// A host goes on; its clock goes on from where it stood.
    pub fn thaw(&mut self, host: HostId) {
        self.thaw_with(host, Clock::Continues);
    }

    /// A host goes on. Its endpoint is not driven before something happens: an embedder first says [`Self::relocated`].
    pub fn thaw_with(&mut self, host: HostId, clock: Clock) {
        let now = self.now;
        self.network.trace.note(now, || format!("{host:?} goes on"));
        let waiting = self.hosts[host.0].thaw(now, clock);
        for datagram in waiting {
            self.plan(Duration::ZERO, move |world| world.deliver(host, datagram));
        }
        self.requeue(host);
    }

    /// Tells a server that its first socket is where [`Self::move_to`] put it.
    pub fn relocated(&mut self, server: HostId) {
        let local = self.hosts[server.0].local(SocketKey(0));
        self.relocated_as(server, &[(SocketKey(0), local)]);
    }

    /// Tells a server where its sockets are now.
    pub fn relocated_as(&mut self, server: HostId, locals: &[(SocketKey, Local)]) {
        self.speak(server, |now, endpoint| endpoint.relocated(now, locals)).expect("the server can move");
    }

    /// Takes a server's notice back.
    pub fn cancel(&mut self, server: HostId) {
        self.speak(server, |now, endpoint| endpoint.cancel_relocation(now))
            .expect("a move was being prepared");
    }

    /// The whole move, begun now, with or without notice given before: freezes, moves, and goes on after `freeze`.
    pub fn relocate(&mut self, server: HostId, to: &str, freeze: Duration) {
        self.freeze(server);
        self.move_to(server, to);
        let back = self.now + freeze;
        self.run_to(back);
        self.thaw(server);
        self.relocated(server);
    }

    /// Notice, readiness and the whole move. Returns when the server was ready.
    pub fn relocate_by(
        &mut self,
        server: HostId,
        plan: RelocationPlan,
        to: &str,
        freeze: Duration,
    ) -> Instant {
        self.prepare(server, plan);
        let ready = self.run_until_ready(server, Duration::from_secs(30));
        self.relocate(server, to, freeze);
        ready
    }

    // ---- time ---------------------------------------------------------------------------------

    /// The time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Does this so much later, while the world runs.
    pub fn plan(&mut self, after: Duration, what: impl FnOnce(&mut Self) + 'static) {
        self.planned += 1;
        self.plans.insert((self.now + after, self.planned), Box::new(what));
    }

    /// Runs for so long.
    pub fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        self.run_to(until);
    }

    /// Runs up to this time.
    pub fn run_to(&mut self, until: Instant) {
        while self.next().is_some_and(|at| at <= until) {
            self.step();
        }
        self.now = self.now.max(until);
    }

    /// Runs until this is so.
    ///
    /// # Panics
    ///
    /// When it is not so after `limit`, or nothing is left that could happen.
    pub fn run_until(&mut self, so: impl Fn(&Self) -> bool, limit: Duration) {
        let until = self.now + limit;
        while !so(self) {
            match self.next() {
                Some(at) if at <= until => self.step(),
                Some(_) => panic!("not so after {limit:?}\n{}", self.report()),
                None => panic!("nothing is left that could happen\n{}", self.report()),
            }
        }
    }

    /// Runs until all applications are done or have failed, at most so long.
    pub fn run_until_done(&mut self, limit: Duration) {
        let done = |world: &Self| {
            let mut outcomes = world.hosts.iter().flat_map(|host| host.outcomes());
            world.plans.is_empty() && outcomes.all(|(_, outcome)| outcome != Outcome::Running)
        };
        self.run_until(done, limit);
    }

    /// Runs until all applications are done, at most so long; none may fail.
    pub fn run_well(&mut self, limit: Duration) {
        self.run_until_done(limit);
        let failed = |(_, outcome): &(ConnectionHandle, Outcome)| *outcome != Outcome::Done;
        if let Some((handle, outcome)) = self.hosts.iter().flat_map(|host| host.outcomes()).find(failed) {
            panic!("{handle:?}: {outcome:?}\n{}", self.report());
        }
    }

    /// Runs until nothing is left that could happen, at most so long; returns whether that came.
    pub fn run_out(&mut self, limit: Duration) -> bool {
        let until = self.now + limit;
        while self.next().is_some_and(|at| at <= until) {
            self.step();
        }
        self.next().is_none()
    }

    fn next(&mut self) -> Option<Instant> {
        let plan = self.plans.keys().next().map(|(at, _)| *at);
        [plan, self.network.next(), self.next_wake()].into_iter().flatten().min()
    }

    fn next_wake(&mut self) -> Option<Instant> {
        while let Some(&Reverse((at, host))) = self.wakes.peek() {
            if self.hosts[host.0].wake() == Some(at) {
                return Some(at);
            }
            self.pop_wake();
        }
        None
    }

    fn pop_wake(&mut self) -> Option<HostId> {
        let Reverse((at, host)) = self.wakes.pop()?;
        if self.queued[host.0] == Some(at) {
            self.queued[host.0] = None;
        }
        Some(host)
    }

    /// Does the next thing.
    fn step(&mut self) {
        let Some(next) = self.next() else { return };
        self.count_step(next);
        let planned = self.plans.first_entry().filter(|entry| entry.key().0 <= next);
        if let Some(entry) = planned {
            let plan = entry.remove();
            return plan(self);
        }
        if let Some((host, datagram)) = self.network.receive(next) {
            return self.deliver(host, datagram);
        }
        if self.next_wake().is_some_and(|at| at <= next)
            && let Some(host) = self.pop_wake()
        {
            self.drive(host);
        }
    }

    fn count_step(&mut self, next: Instant) {
        self.steps += 1;
        self.steps_at_once = if next > self.now { 0 } else { self.steps_at_once + 1 };
        self.now = self.now.max(next);
        if self.steps_at_once > MAX_STEPS_AT_ONCE || self.steps > MAX_STEPS {
            panic!("the world does not come on\n{}", self.report());
        }
    }

    fn deliver(&mut self, host: HostId, datagram: Datagram) {
        if !self.hosts[host.0].is_frozen() {
            self.watch.on_received(host, &datagram);
        }
        self.hosts[host.0].receive(self.now, datagram, &mut self.network);
        self.drive(host);
    }

    fn drive(&mut self, host: HostId) {
        self.hosts[host.0].drive(self.now, &mut self.network, &mut self.watch);
        self.requeue(host);
    }

    fn requeue(&mut self, host: HostId) {
        let wake = self.hosts[host.0].wake().filter(|at| self.queued[host.0] != Some(*at));
        if let Some(at) = wake {
            self.queued[host.0] = Some(at);
            self.wakes.push(Reverse((at, host)));
        }
    }

    /// Everything one wants to read when a run has failed.
    fn report(&self) -> String {
        let hosts: String = self.hosts.iter().map(|host| format!("{host:?}\n")).collect();
        format!("at {:?} after {} steps\n{hosts}{:?}", self.now, self.steps, self.network)
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("run it again: SIM_SEED={} (and SIM_LOG=1 to see every datagram)", self.seed);
        }
    }
}

/// An address and a port.
pub fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap_or_else(|_| panic!("{text} is not an address and a port"))
}

/// An address.
pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|_| panic!("{text} is not an address"))
}

/// Milliseconds.
pub fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Seconds.
pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn reset_secret(seed: u64, host: HostId) -> [u8; 32] {
    let mut secret = [0; 32];
    super::content::fill(mix(seed) ^ host.0 as u64, 0, &mut secret);
    secret
}
