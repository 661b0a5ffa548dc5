//! A client, two servers that may know the same tickets, and what is seen between them.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use peregrine::{
    ClientConfig, ConnectionEvent, EarlyData, Event, ServerConfig, TransportConfig, TransportConfigBuilder,
    VarInt,
};

use sim::{Client, Conn, HostId, Link, Shape, Verdict, World, addr, ms, secs, tls};

/// Where the client is given its ticket, and where it shows it: often the same.
pub const FIRST: &str = "45.0.0.1:443";
pub const SECOND: &str = "45.0.0.2:443";
pub const CLIENT: &str = "192.0.2.1:5000";

pub fn transport(builder: TransportConfigBuilder) -> Arc<TransportConfig> {
    Arc::new(builder.build().expect("settings that can be"))
}

pub fn usual() -> TransportConfigBuilder {
    TransportConfig::builder()
}

/// A server that takes early data.
pub fn taking(tls: &Arc<rustls::ServerConfig>, builder: TransportConfigBuilder) -> ServerConfig {
    ServerConfig::new(Arc::clone(tls)).transport(transport(builder)).early_data(true)
}

/// A world 20 ms across, and a client in it that holds the tickets of a server.
pub struct Scene {
    pub world: World,
    pub client: HostId,
    pub client_tls: Arc<rustls::ClientConfig>,
    pub server_tls: Arc<rustls::ServerConfig>,
}

impl Scene {
    /// The tickets are of a server with this transport, at `FIRST`.
    pub fn with(builder: TransportConfigBuilder) -> Self {
        let server_tls = tls::server();
        let config = taking(&server_tls, builder);
        Self::of(server_tls, config)
    }

    pub fn of(server_tls: Arc<rustls::ServerConfig>, config: ServerConfig) -> Self {
        let mut world = World::new();
        world.links(Link::rtt(ms(20)));
        world.server_with(FIRST, config);
        let client = world.client(CLIENT);
        let mut scene = Self { world, client, client_tls: tls::resuming_client(), server_tls };
        let conn = scene.connect(FIRST, scene.config(), Client::echoes(1, Duration::ZERO));
        scene.world.run_well(secs(1));
        assert_eq!(scene.early(conn), []);
        scene.world.run_for(ms(100));
        scene.world.with(conn, |now, connection| connection.close(now, VarInt::ZERO, b""));
        scene.world.run_for(secs(1));
        scene
    }

    pub fn usual() -> Self {
        Self::with(usual())
    }

    /// A client that sends early data.
    pub fn config(&self) -> ClientConfig {
        ClientConfig::new(Arc::clone(&self.client_tls)).early_data(true)
    }

    /// Another server that knows the tickets of the first.
    pub fn another(&mut self, builder: TransportConfigBuilder) -> HostId {
        let config = taking(&self.server_tls, builder);
        self.world.server_with(SECOND, config)
    }

    pub fn connect(&mut self, to: &str, config: ClientConfig, app: impl sim::App) -> Conn {
        self.world.connect_with(self.client, to, Arc::new(config), app)
    }

    /// Connects early, to run one request.
    pub fn ask(&mut self, to: &str) -> Conn {
        let config = self.config();
        self.connect(to, config, Client::echoes(1, Duration::ZERO))
    }

    /// What was said of early data.
    pub fn early(&self, conn: Conn) -> Vec<EarlyData> {
        let said = self.world.at(conn.host).said(conn.handle);
        let early = said.filter_map(|(_, event)| match event {
            ConnectionEvent::EarlyData(early) => Some(*early),
            _ => None,
        });
        early.collect()
    }

    /// The server's end of a connection whose client has not heard from it yet.
    pub fn newest_at(&self, server: HostId) -> Conn {
        let mut events = self.world.at(server).events().iter().rev();
        let handle = events.find_map(|(_, event)| match event {
            Event::Connection(handle, _) => Some(*handle),
            _ => None,
        });
        Conn { host: server, handle: handle.expect("it has said something") }
    }

    /// How long the requests of a connection took.
    pub fn took(&self, conn: Conn) -> Vec<Duration> {
        self.world.app::<Client>(conn).served().iter().map(|served| served.took).collect()
    }
}

/// The datagrams from the client that pass from now on, and what becomes of each, by its number from 0.
pub fn watch(world: &mut World, verdict: impl Fn(usize) -> Verdict + 'static) -> Rc<RefCell<Vec<Vec<u8>>>> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&seen);
    world.tap(move |_, datagram| {
        if datagram.from != addr(CLIENT) {
            return Verdict::Pass;
        }
        log.borrow_mut().push(datagram.payload.clone());
        verdict(log.borrow().len() - 1)
    });
    seen
}

/// How many datagrams of the first flight are early data alone.
pub fn seen_alone(seen: &Rc<RefCell<Vec<Vec<u8>>>>) -> usize {
    shapes(seen).iter().filter(|shape| *shape == "ZeroRtt").count()
}

pub fn shapes(seen: &Rc<RefCell<Vec<Vec<u8>>>>) -> Vec<String> {
    seen.borrow().iter().map(|datagram| Shape::of(datagram).to_string()).collect()
}
