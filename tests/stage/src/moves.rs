//! Scenes of server migration: a server at home, clients of it that have agreed on a strategy, and a place to move to.
//!
//! The server's addresses are global ones, because a client's default policy follows to no other.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use peregrine::{
    AddressPolicy, ClientConfig, Connection, ConnectionEvent, Event, Instant, MigrationConfig,
    MigrationEvent, MigrationTarget, MoveOrder, RelocationEvent, RelocationPlan, SeekPolicy, ServerConfig,
    Strategy, StrategySet, TransportConfig, TransportConfigBuilder, Version,
};

use peregrine_sim::{
    Client, Conn, Filtering, HostId, Link, Mapping, Nat, Outcome, World, addr, ip, ms, secs, tls,
};

/// Where servers begin.
pub const HOME: &str = "20.0.0.1:443";
/// Where they move to.
pub const AWAY: &str = "20.0.9.1:443";
/// Where they move to from there.
pub const BEYOND: &str = "20.0.9.2:443";
/// What the world sees of clients behind a translator.
pub const PUBLIC: &str = "30.0.9.9";

/// How a server moves and its clients follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Play {
    /// Explicit; clients look for the server when it falls silent.
    Reactive,
    /// Explicit; clients look for the server as soon as they know where it will be.
    Proactive,
    /// Pool, with so many members: where the server moves to is the last, home is none.
    Pool(usize),
    /// Symmetric.
    Symmetric,
    /// Synchronized Symmetric.
    Synchronized,
}

impl Play {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Reactive, Self::Proactive, Self::Pool(3), Self::Symmetric, Self::Synchronized];

    /// Those in which a client knows beforehand where the server may be.
    pub const NAMED: [Self; 3] = [Self::Reactive, Self::Proactive, Self::Pool(3)];

    /// Those in which the server has to show itself.
    pub const SHOWN: [Self; 2] = [Self::Symmetric, Self::Synchronized];

    /// What is negotiated.
    pub fn strategy(self) -> Strategy {
        match self {
            Self::Reactive | Self::Proactive => Strategy::Explicit,
            Self::Pool(_) => Strategy::Pool,
            Self::Symmetric => Strategy::Symmetric,
            Self::Synchronized => Strategy::SynchronizedSymmetric,
        }
    }

    /// What a server's connection is told.
    pub fn order(self, to: &str) -> MoveOrder {
        match self {
            Self::Reactive | Self::Proactive => MoveOrder::Explicit(target(to)),
            Self::Pool(_) => MoveOrder::Pool,
            Self::Symmetric => MoveOrder::Symmetric,
            Self::Synchronized => MoveOrder::SynchronizedSymmetric,
        }
    }

    /// What its client offers.
    pub fn offer(self) -> MigrationConfig {
        let offer = MigrationConfig::new(self.strategy().into());
        match self {
            Self::Proactive => offer.seek(SeekPolicy::Proactive),
            Self::Reactive | Self::Pool(_) | Self::Symmetric | Self::Synchronized => offer,
        }
    }

    /// The pool its server has, with `AWAY` last.
    pub fn pool(self) -> Vec<MigrationTarget> {
        let Self::Pool(members) = self else { return Vec::new() };
        let others = (1..members).map(|number| target(&format!("20.0.5.{number}:443")));
        others.chain([target(AWAY)]).collect()
    }
}

/// A target of one address.
pub fn target(address: &str) -> MigrationTarget {
    MigrationTarget::single(addr(address)).expect("a whole endpoint")
}

/// What is needed for a scene.
#[derive(Clone)]
pub struct Stage {
    play: Play,
    seed: u64,
    link: Link,
    deadline: Duration,
    idle: Duration,
    filtering: Option<Filtering>,
    mapping: Mapping,
    policy: Option<Arc<dyn AddressPolicy>>,
    pool: Option<Vec<MigrationTarget>>,
    all: bool,
    keep_alive: Option<Duration>,
    /// Of the server and of its clients.
    transports: [TransportConfigBuilder; 2],
    version: Option<Version>,
}

impl Stage {
    /// The default settings, and paths of 20 ms and 20 Mbit/s.
    pub fn new(play: Play) -> Self {
        Self {
            play,
            seed: 1,
            link: Link::rtt(ms(20)).bandwidth(20_000_000),
            deadline: secs(30),
            idle: secs(30),
            filtering: None,
            mapping: Mapping::EndpointIndependent,
            policy: None,
            pool: None,
            all: false,
            keep_alive: None,
            transports: [TransportConfig::builder(), TransportConfig::builder()],
            version: None,
        }
    }

    /// From this seed.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// On these paths.
    pub fn link(mut self, link: Link) -> Self {
        self.link = link;
        self
    }

    /// With this migration deadline and this idle timeout.
    pub fn patience(mut self, deadline: Duration, idle: Duration) -> Self {
        self.deadline = deadline;
        self.idle = idle;
        self
    }

    /// With the clients behind one translator.
    pub fn behind(mut self, filtering: Filtering) -> Self {
        self.filtering = Some(filtering);
        self
    }

    /// With a translator that maps like this.
    pub fn mapping(mut self, mapping: Mapping) -> Self {
        self.mapping = mapping;
        self
    }

    /// With clients that follow only there.
    pub fn policy(mut self, policy: Arc<dyn AddressPolicy>) -> Self {
        self.policy = Some(policy);
        self
    }

    /// With a server that has this pool.
    pub fn pool(mut self, members: &[&str]) -> Self {
        self.pool = Some(members.iter().map(|member| target(member)).collect());
        self
    }

    /// With both ends asking whether the other is there, every second: without it, a client that only receives never
    /// learns that its address has changed.
    pub fn kept_alive(mut self) -> Self {
        self.keep_alive = Some(secs(1));
        self
    }

    /// With these settings of the server and of its clients, patience and keep-alive apart.
    pub fn transports(mut self, server: TransportConfigBuilder, client: TransportConfigBuilder) -> Self {
        self.transports = [server, client];
        self
    }

    /// With clients that offer all strategies but Pool, beside which a server without a pool may choose freely.
    pub fn everything(mut self) -> Self {
        self.all = true;
        self
    }

    /// With a server that goes over to this version of QUIC.
    pub fn version(mut self, version: Version) -> Self {
        self.version = Some(version);
        self
    }

    fn transport(&self, builder: &TransportConfigBuilder) -> Arc<TransportConfig> {
        let transport = builder
            .clone()
            .idle_timeout(Some(self.idle))
            .keep_alive(self.keep_alive)
            .datagram_receive_buffer(Some(1 << 20))
            .handshake_timeout(secs(60));
        Arc::new(transport.build().expect("settings that can be"))
    }

    /// What the clients connect with.
    pub fn client_config(&self, play: Play) -> Arc<ClientConfig> {
        let mut offer = if self.all { MigrationConfig::new(StrategySet::ALL) } else { play.offer() };
        offer = offer.deadline(self.deadline);
        if let Some(policy) = &self.policy {
            offer = offer.policy(Arc::clone(policy));
        }
        let config = ClientConfig::new(tls::client()).transport(self.transport(&self.transports[1]));
        Arc::new(config.migration(offer).expect("an offer that can be"))
    }

    /// What the server accepts with: all strategies.
    pub fn server_config(&self) -> ServerConfig {
        let pool = self.pool.clone().unwrap_or_else(|| self.play.pool());
        let permits = MigrationConfig::new(StrategySet::ALL).pool(pool).port(443).deadline(self.deadline);
        let config = ServerConfig::new(tls::server()).transport(self.transport(&self.transports[0]));
        let config = config.migration(permits).expect("a permit that can be");
        match self.version {
            Some(Version::V2) => config.versions(&[Version::V2, Version::V1]).expect("two versions"),
            Some(Version::V1) => config.versions(&[Version::V1]).expect("a version"),
            None => config,
        }
    }

    /// A server, and for each of these applications a client that runs it.
    pub fn clients(&self, apps: impl IntoIterator<Item = Client>) -> Scene {
        self.cast(apps.into_iter().map(|app| (self.play, app)))
    }

    /// A server, and for each of these a client that plays and runs it.
    pub fn cast(&self, parts: impl IntoIterator<Item = (Play, Client)>) -> Scene {
        let mut world = World::seeded(self.seed);
        world.links(self.link.clone());
        let server = world.server_with(HOME, self.server_config());
        let parts: Vec<_> = parts.into_iter().collect();
        let net = if self.filtering.is_some() { "10.0.0" } else { "30.0.0" };
        if let Some(filtering) = self.filtering {
            let inside: Vec<_> = (1..=parts.len()).map(|number| ip(&format!("{net}.{number}"))).collect();
            world.nat(Nat::new(&inside, ip(PUBLIC), filtering).mapping(self.mapping));
        }
        let mut conns = Vec::new();
        let mut plays = Vec::new();
        for (number, (play, app)) in (1..).zip(parts) {
            let host = world.client(&format!("{net}.{number}:5000"));
            conns.push(world.connect_with(host, HOME, self.client_config(play), app));
            plays.push(play);
        }
        Scene { world, server, conns, plays, stage: self.clone() }
    }

    /// A server and one client.
    pub fn client(&self, app: Client) -> Scene {
        self.clients([app])
    }
}

/// A server and its clients.
pub struct Scene {
    /// Where they are.
    pub world: World,
    /// The server.
    pub server: HostId,
    /// The clients' connections.
    pub conns: Vec<Conn>,
    /// What each plays.
    pub plays: Vec<Play>,
    stage: Stage,
}

impl Scene {
    /// The first client's connection.
    pub fn conn(&self) -> Conn {
        self.conns[0]
    }

    /// The server's end of the first client's connection.
    pub fn far_end(&self) -> Conn {
        self.world.server_side(self.conn()).expect("the server has it too")
    }

    /// Runs until all handshakes are confirmed at both ends.
    pub fn await_connected(&mut self) {
        let conns = self.conns.clone();
        let is_confirmed = |world: &World, conn: Conn| {
            let ends = [Some(conn), world.server_side(conn)].map(|end| world.connection(end?));
            ends.iter().all(|end| end.is_some_and(Connection::is_confirmed))
        };
        // Those before this one are: what was confirmed stays so.
        let first = Cell::new(0);
        let all = move |world: &World| {
            while conns.get(first.get()).is_some_and(|conn| is_confirmed(world, *conn)) {
                first.set(first.get() + 1);
            }
            first.get() == conns.len()
        };
        self.world.run_until(all, secs(60));
    }

    /// One more client, that comes now to the server's home. It is not among the connections that are to follow.
    pub fn newcomer(&mut self, play: Play, app: Client) -> Conn {
        self.newcomer_at(play, HOME, app)
    }

    /// One more client, that comes now to this address.
    pub fn newcomer_at(&mut self, play: Play, to: &str, app: Client) -> Conn {
        let number = self.world.now().as_micros() % 60_000;
        let host = self.world.client(&format!("30.1.0.1:{}", 1024 + number));
        self.world.connect_with(host, to, self.stage.client_config(play), app)
    }

    /// Orders each connection what it plays.
    pub fn plan(&self, to: &str) -> RelocationPlan {
        let orders = self
            .conns
            .iter()
            .zip(&self.plays)
            .filter_map(|(conn, play)| Some((self.world.server_side(*conn)?.handle, play.order(to))));
        RelocationPlan::per_connection(orders.collect::<Vec<_>>())
    }

    /// Notice, readiness, and the move. Returns when the server was ready.
    pub fn relocate(&mut self, to: &str, freeze: Duration) -> Instant {
        let plan = self.plan(to);
        self.world.relocate_by(self.server, plan, to, freeze)
    }

    /// Gives notice and awaits readiness.
    pub fn prepare(&mut self, to: &str) -> Instant {
        let plan = self.plan(to);
        self.world.prepare(self.server, plan);
        self.world.run_until_ready(self.server, secs(30))
    }

    /// What a connection said of migrations.
    pub fn said(&self, conn: Conn) -> Vec<MigrationEvent> {
        let events = self.world.at(conn.host).said(conn.handle).filter_map(|(_, event)| match event {
            ConnectionEvent::Migration(event) => Some(*event),
            _ => None,
        });
        events.collect()
    }

    /// How many moves a connection has completed.
    pub fn completed(&self, conn: Conn) -> usize {
        let completed = |event: &&MigrationEvent| matches!(event, MigrationEvent::Completed { .. });
        self.said(conn).iter().filter(completed).count()
    }

    /// How the server's moves ended: connections moved, and lost.
    pub fn settled(&self) -> Vec<(usize, usize)> {
        let events = self.world.at(self.server).relocations().filter_map(|(_, event)| match event {
            RelocationEvent::Settled { moved, lost } => Some((*moved, *lost)),
            RelocationEvent::Ready { .. } => None,
        });
        events.collect()
    }

    /// Runs until the applications are done, and the server's moves are settled; and a little longer, since a server
    /// may be done before its client is (rules, 3.4).
    pub fn run_well(&mut self, limit: Duration) {
        self.world.run_well(limit);
        self.run_until_settled(limit);
        self.world.run_for(secs(2));
    }

    /// Runs until all connections of the server's last move are accounted for.
    pub fn run_until_settled(&mut self, limit: Duration) {
        let server = self.server;
        let is_settled = move |world: &World| {
            let last = world.at(server).relocations().last();
            matches!(last, Some((_, RelocationEvent::Settled { .. })))
        };
        self.world.run_until(is_settled, limit);
    }

    /// All clients have followed there, each in one move, with the connection they had.
    pub fn assert_followed(&self, to: &str) {
        for conn in &self.conns {
            assert_eq!(self.world.connection(*conn).expect("it is open").remote(), addr(to));
            assert_eq!(self.completed(*conn), 1, "{:?}", self.said(*conn));
        }
        assert_eq!(self.settled(), [(self.conns.len(), 0)]);
        self.assert_one_handshake_each();
    }

    /// Nobody connected a second time.
    pub fn assert_one_handshake_each(&self) {
        let connected = |event: &&(Instant, Event)| {
            matches!(event.1, Event::Connection(_, ConnectionEvent::Connected { .. }))
        };
        let handshakes = self.world.at(self.server).events().iter().filter(connected).count();
        assert_eq!(handshakes, self.conns.len());
    }

    /// Runs until nothing can happen any more; every run ends.
    pub fn run_out(&mut self, limit: Duration) {
        assert!(self.world.run_out(limit), "it goes on and on");
    }

    /// Whether the first client's application is done.
    pub fn is_done(&self) -> bool {
        self.world.outcome(self.conn()) == Outcome::Done
    }
}
