//! One run: a server, its clients, and a move half way. One thread, one loop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use peregrine::{
    Arrival, ClientConfig, Endpoint, EndpointConfig, FourTuple, Instant, MigrationTarget, RelocationPlan,
    ServerConfig, SocketKey, SystemRng, TransportConfig, VarInt,
};

use crate::certificates::{Certificates, SERVER_NAME};
use crate::client::{Client, Download, State};
use crate::driver::Driver;
use crate::options::Plan;
use crate::outcome::{Failure, Moments, Outcome, hex};
use crate::progress::Progress;
use crate::server::{Desk, Server};
use crate::source::Hash;
use crate::variant::{Variant, target};

/// How long nothing may happen.
const PATIENCE: Duration = Duration::from_secs(30);
/// The server's socket is opened first; the clients' follow in their order.
const SERVER: SocketKey = SocketKey(0);

/// Bytes the server writes ahead for one client; hundreds of clients are to fit into memory.
const SEND_BUFFER: u64 = 1 << 20;
/// Datagrams the server sends by one system call, at most.
const BURST: usize = 32;

/// Everything that takes part in one run.
pub struct Trial<'a> {
    plan: &'a Plan,
    variant: Variant,
    driver: Driver,
    server: Server,
    clients: Vec<Client>,
    from: SocketAddr,
    to: SocketAddr,
    moments: Moments,
    /// When anything happened last.
    alive: Instant,
    progress: Progress,
}

impl<'a> Trial<'a> {
    /// Opens all sockets and begins all connections.
    ///
    /// # Errors
    ///
    /// An address that cannot be bound, or a configuration that the library refuses.
    pub fn begin(plan: &'a Plan, variant: Variant, certificates: &Certificates) -> Result<Self, Failure> {
        let mut driver = Driver::starting_at(Instant::ZERO);
        let bind = |driver: &mut Driver, at| driver.bind(at).map_err(|error| Failure::Bind(at, error));
        bind(&mut driver, plan.from)?;
        // Independent clients: each has an endpoint and a socket of its own, on the address the server begins at.
        let sockets = (0..plan.clients)
            .map(|_| bind(&mut driver, SocketAddr::new(plan.from.ip(), 0)))
            .collect::<Result<Vec<_>, _>>()?;
        let from = driver.address(SERVER);
        let places = reserve(&plan.to)?;
        let targets: Vec<MigrationTarget> = places.iter().copied().map(target).collect();

        let transport = TransportConfig::builder()
            .send_buffer(SEND_BUFFER)
            .burst(BURST)
            .build()
            .map_err(|error| Failure::Library("set the transport", error.into()))?;
        let config = ServerConfig::new(Arc::clone(&certificates.server))
            .transport(Arc::new(transport))
            .migration(variant.server(&targets))
            .map_err(|error| Failure::Library("permit migration", error.into()))?;
        let server = Server {
            endpoint: Endpoint::new(EndpointConfig::server(Arc::new(config)), Box::new(SystemRng::default())),
            wake: None,
            desk: Desk::new(plan.source.clone(), plan.size),
        };
        let config = ClientConfig::new(Arc::clone(&certificates.client))
            .migration(variant.client())
            .map_err(|error| Failure::Library("offer migration", error.into()))?;
        let config = Arc::new(config);
        let mut connect = |socket| {
            let mut endpoint = Endpoint::new(EndpointConfig::client(), Box::new(SystemRng::default()));
            let path = FourTuple { local: driver.local(socket), remote: from };
            let handle = endpoint
                .connect(driver.now(), path, Arc::clone(&config), SERVER_NAME)
                .map_err(|error| Failure::Library("connect", error.into()))?;
            Ok(Client { endpoint, wake: Some(driver.now()), download: Download::new(handle, plan.size) })
        };
        let clients = sockets.into_iter().map(&mut connect).collect::<Result<_, _>>()?;
        let progress = Progress::new(variant.name(), plan.clients, plan.size);
        progress.stage(format!("downloading from {from}"));
        let (to, alive, moments) = (places[0], driver.now(), Moments::default());
        Ok(Self { plan, variant, driver, server, clients, from, to, moments, alive, progress })
    }

    /// Goes on until every client is verified and every connection has moved, or until that will never be.
    pub fn run(mut self, want: &Hash) -> Outcome {
        let failure = self.until_over(want).err();
        Outcome {
            variant: self.variant,
            clients: self.clients.len(),
            places: Some((self.from, self.to)),
            moments: self.moments,
            longest_pause: self.downloads().map(|d| d.timeline.longest_pause()).max().unwrap_or_default(),
            bytes: self.received(),
            handshakes: self.server.desk.handshakes,
            lines: self.downloads().map(|d| d.timeline.points()).collect(),
            failure,
        }
    }

    fn until_over(&mut self, want: &Hash) -> Result<(), Failure> {
        while !self.is_over() {
            self.turn()?;
            self.steer()?;
            self.check_life()?;
        }
        self.moments.end = Some(self.driver.now());
        self.verify(want)?;
        self.part();
        Ok(())
    }

    /// The loop's body: waits, takes in what arrived, lets time pass, lets everybody speak.
    fn turn(&mut self) -> Result<(), Failure> {
        let Self { driver, server, clients, progress, alive, .. } = self;
        let wakes = clients.iter().map(|client| client.wake).chain([server.wake]);
        let until = wakes.flatten().fold(*alive + PATIENCE, Instant::min);
        let deliver = |now, arrival: Arrival, datagrams: &mut [u8]| {
            let endpoint = match arrival.path.local.socket {
                SERVER => &mut server.endpoint,
                SocketKey(number) => &mut clients[number as usize - 1].endpoint,
            };
            endpoint.handle_datagrams(now, arrival, datagrams);
        };
        driver.receive(Some(until), deliver).map_err(Failure::Socket)?;

        let now = driver.now();
        let Server { endpoint, wake, desk } = server;
        endpoint.handle_timeout(now);
        *wake = driver.speak(endpoint, |now, endpoint, event| desk.on_event(now, endpoint, event));
        for (number, Client { endpoint, wake, download }) in clients.iter_mut().enumerate() {
            let before = download.received;
            endpoint.handle_timeout(now);
            *wake = driver.speak(endpoint, |now, endpoint, event| download.on_event(now, endpoint, event));
            if download.received > before {
                *alive = now;
                progress.advance(number, download.received - before);
            }
        }
        Ok(())
    }

    /// Lets the downloads begin, tells the server to prepare half way, and moves it when it is ready.
    fn steer(&mut self) -> Result<(), Failure> {
        let now = self.driver.now();
        // All at once, or handshakes of others would be what the first clients wait for.
        if self.downloads().all(|download| download.state == State::Connected) {
            for Client { endpoint, wake, download } in &mut self.clients {
                download.ask(endpoint);
                *wake = Some(now);
            }
            self.alive = now;
            return Ok(());
        }
        // A connection whose handshake the server has not completed would be closed instead of moved.
        let is_half_time =
            self.received() >= self.whole() / 2 && self.server.desk.handshakes >= self.clients.len();
        let Server { endpoint, wake, desk } = &mut self.server;
        if self.moments.notice.is_none() && is_half_time {
            let order = self.variant.order(target(self.to));
            endpoint
                .prepare_relocation(now, RelocationPlan::uniform(order))
                .map_err(|error| Failure::Library("prepare the relocation", error.into()))?;
            self.progress.stage("the server prepares to move".to_owned());
            self.moments.notice = Some(now);
        } else if self.moments.ready.is_none() && desk.ready.is_some() {
            self.moments.ready = desk.ready;
            // The old socket is closed, and whatever is on its way there will find nobody.
            self.driver.rebind(SERVER, self.to).map_err(|error| Failure::Bind(self.to, error))?;
            let now = self.driver.now();
            endpoint
                .relocated(now, &[(SERVER, self.driver.local(SERVER))])
                .map_err(|error| Failure::Library("relocate", error.into()))?;
            self.progress.stage(format!("the server has moved to {}", self.to));
            self.moments.moved = Some(now);
        } else {
            return Ok(());
        }
        (self.alive, *wake) = (now, Some(now));
        Ok(())
    }

    fn check_life(&self) -> Result<(), Failure> {
        if let Some(complaint) = &self.server.desk.complaint {
            return Err(Failure::Source(complaint.clone()));
        }
        for (number, download) in (1..).zip(self.downloads()) {
            if let State::Broken(why) = &download.state {
                let complaint =
                    download.complaint.as_ref().map(|what| format!(" (its migration failed, {what})"));
                return Err(Failure::Broken(number, format!("{why}{}", complaint.unwrap_or_default())));
            }
        }
        if self.driver.now().since(self.alive) >= PATIENCE {
            return Err(Failure::Stalled(PATIENCE, self.situation()));
        }
        Ok(())
    }

    /// Where things stand, in words.
    fn situation(&self) -> String {
        let ended = self.downloads().filter(|download| matches!(download.state, State::Ended(_))).count();
        let stage = match self.moments {
            Moments { notice: None, .. } => "the server was not told to move yet",
            Moments { moved: None, .. } => "the server prepares to move, but not all connections are ready",
            Moments { moved: Some(_), .. } if self.server.desk.settled.is_none() => {
                "the server has moved, but not all connections have followed"
            }
            Moments { .. } => "the server has moved and all connections have followed",
        };
        let complaints = self.downloads().filter_map(|download| download.complaint.as_deref());
        let complaints: String = complaints.map(|what| format!("; a migration failed, {what}")).collect();
        let (received, whole, clients) = (self.received(), self.whole(), self.clients.len());
        format!(
            "{ended} of {clients} downloads are complete ({received} of {whole} bytes); {stage}{complaints}"
        )
    }

    fn is_over(&self) -> bool {
        let ended = self.downloads().all(|download| matches!(download.state, State::Ended(_)));
        ended && self.server.desk.settled.is_some()
    }

    fn verify(&self, want: &Hash) -> Result<(), Failure> {
        for (client, download) in (1..).zip(self.downloads()) {
            match &download.state {
                State::Ended(hash) if hash == want && download.received == self.plan.size => {}
                State::Ended(hash) => {
                    let (got, want) = (download.received, self.plan.size);
                    return Err(Failure::Wrong { client, got, want, hash: hex(hash) });
                }
                state => return Err(Failure::Broken(client, format!("it is {state:?}"))),
            }
        }
        let clients = self.clients.len();
        let there = self.server.desk.handshakes.max(self.server.endpoint.connections().count());
        let here = self.downloads().map(|download| download.handshakes).sum();
        if there != clients || self.downloads().any(|download| download.handshakes != 1) {
            return Err(Failure::Handshakes(there, here, clients));
        }
        match self.server.desk.settled {
            Some((moved, 0)) if moved == clients => Ok(()),
            settled => {
                let (moved, lost) = settled.unwrap_or_default();
                Err(Failure::Lost { moved, lost, clients })
            }
        }
    }

    /// The clients say goodbye, and nobody waits for an answer.
    fn part(&mut self) {
        for Client { endpoint, download, .. } in &mut self.clients {
            if let Some(connection) = endpoint.connection_mut(download.handle) {
                connection.close(self.driver.now(), VarInt::from_u32(0), b"done");
            }
            self.driver.speak(endpoint, |_, _, _| {});
        }
    }

    fn downloads(&self) -> impl Iterator<Item = &Download> {
        self.clients.iter().map(|client| &client.download)
    }

    /// Bytes that all clients together are to get.
    fn whole(&self) -> u64 {
        self.plan.size * self.clients.len() as u64
    }

    fn received(&self) -> u64 {
        self.downloads().map(|download| download.received).sum()
    }
}

/// Finds a free port wherever port 0 stands.
fn reserve(places: &[SocketAddr]) -> Result<Vec<SocketAddr>, Failure> {
    let mut held = Vec::new();
    let mut reserve = |place: &SocketAddr| {
        if place.port() != 0 {
            return Ok(*place);
        }
        let socket = std::net::UdpSocket::bind(place)?;
        let found = socket.local_addr()?;
        held.push(socket); // so that the next one is another
        Ok(found)
    };
    places.iter().map(|place| reserve(place).map_err(|error| Failure::Bind(*place, error))).collect()
}
