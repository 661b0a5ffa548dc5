//! One client, one server and the two paths of the thesis, in a world of their own.

use std::sync::Arc;
use std::time::Duration;

use peregrine::{
    ClientConfig, ConnectionEvent, Event, RelocationEvent, RelocationPlan, ServerConfig, TransportConfig,
};
use sim::{Client, Conn, Filtering, HostId, Nat, World, ip, secs, tls};
use stage::moves::{AWAY, PUBLIC, Stage};

use crate::conditions::{Loss, PATIENCE};
use crate::way::Way;

/// Where a client is that no translator hides: what the world sees of one that a translator hides, so that both meet
/// with the same losses.
const CLIENT: &str = "30.0.9.9:5000";
/// Where one is that a translator hides.
const HIDDEN: &str = "10.0.0.1:5000";

/// A client and its server.
pub struct Scene {
    pub world: World,
    pub conn: Conn,
    server: HostId,
    config: Arc<ClientConfig>,
    way: Way,
}

impl Scene {
    /// A client that connects to its server at this place and runs this.
    pub fn new(way: Way, place: &str, loss: Loss, seed: u64, app: Client) -> Self {
        let mut world = World::seeded(seed);
        world.links(loss.first_path());
        world.links_of(&addr_ip(AWAY), loss.second_path());
        let (server, client) = settings(way);
        let server = world.server_with(place, server);
        let hidden = way.is_unheard();
        if hidden {
            world.nat(Nat::new(&[ip(&addr_ip(HIDDEN))], ip(PUBLIC), Filtering::AddressDependent));
        }
        let host = world.client(if hidden { HIDDEN } else { CLIENT });
        let config = Arc::new(client);
        let conn = world.connect_with(host, place, Arc::clone(&config), app);
        Self { world, conn, server, config, way }
    }

    /// Gives notice to who can be given notice.
    pub fn give_notice(&mut self) {
        if let Way::Follow { play, .. } = self.way {
            self.world.prepare(self.server, RelocationPlan::uniform(play.order(AWAY)));
        }
    }

    /// Gives notice, and awaits readiness.
    pub fn prepare(&mut self) {
        self.give_notice();
        if matches!(self.way, Way::Follow { .. }) {
            self.world.run_until_ready(self.server, PATIENCE);
        }
    }

    /// The server leaves now, and will be at its new address after so long; one that stays does not.
    pub fn leave(&mut self, unreachable: Duration) {
        let server = self.server;
        if self.way != Way::Stay {
            self.world.freeze(server);
            self.world.move_to(server, AWAY);
            self.world.plan(unreachable, move |world| {
                world.thaw(server);
                world.relocated(server);
            });
        }
    }

    /// A second connection of the client, to the new address, with its requests in the first flight.
    pub fn reconnect(&mut self, app: Client) -> Conn {
        self.world.connect_with(self.conn.host, AWAY, Arc::clone(&self.config), app)
    }

    /// Runs until a connection's application has been served so often, at most so long; whether it was.
    pub fn await_served(&mut self, conn: Conn, count: usize, limit: Duration) -> bool {
        let served = |world: &World| world.app::<Client>(conn).served().len() >= count;
        self.await_that(served, limit)
    }

    /// Runs until this is so, at most so long; whether it is.
    pub fn await_that(&mut self, so: impl Fn(&World) -> bool, limit: Duration) -> bool {
        let end = self.world.now() + limit;
        self.world.plan(limit, |_| {});
        self.world.run_until(|world| so(world) || world.now() >= end, limit);
        so(&self.world)
    }

    /// Whether the client has still the connection it began with, and the server has moved it and lost none.
    pub fn await_moved(&mut self) -> bool {
        let server = self.server;
        let settled = move |world: &World| {
            let last = world.at(server).relocations().last();
            matches!(last, Some((_, RelocationEvent::Settled { moved: 1, lost: 0 })))
        };
        self.await_that(settled, PATIENCE + secs(5)) && self.handshakes() == 1
    }

    fn handshakes(&self) -> usize {
        let connected =
            |event: &Event| matches!(event, Event::Connection(_, ConnectionEvent::Connected { .. }));
        self.world.at(self.server).events().iter().filter(|(_, event)| connected(event)).count()
    }
}

/// What server and client are set to.
fn settings(way: Way) -> (ServerConfig, ClientConfig) {
    match way {
        Way::Follow { play, .. } => {
            let stage = Stage::new(play).patience(PATIENCE, PATIENCE);
            (stage.server_config(), ClientConfig::clone(&stage.client_config(play)))
        }
        Way::Stay | Way::Reconnect(_) => {
            let transport = TransportConfig::builder().idle_timeout(Some(PATIENCE));
            let transport = Arc::new(transport.build().expect("settings that can be"));
            let server = ServerConfig::new(tls::server()).early_data(true).transport(Arc::clone(&transport));
            let client = ClientConfig::new(tls::resuming_client()).early_data(true).transport(transport);
            (server, client)
        }
    }
}

/// The address of an endpoint, without its port.
fn addr_ip(endpoint: &str) -> String {
    sim::addr(endpoint).ip().to_string()
}
