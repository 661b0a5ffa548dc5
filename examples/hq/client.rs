//! The client: connections one after the other, each with its share of the files.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use indicatif::BinaryBytes;
use peregrine::{
    ClientConfig, Connection, Endpoint, EndpointConfig, Event, FourTuple, Instant, MigrationConfig,
    SocketKey, StrategySet, SystemRng, TransportConfig, VarInt, Version,
};

use crate::bars::Bars;
use crate::case::{Split, Versions};
use crate::driver::Driver;
use crate::plan::ClientPlan;
use crate::session::{Errand, Session};
use crate::tls::{self, Secrets};
use crate::url::Authority;
use crate::when::When;

/// How long a handshake may take: the runner has links that lose a third of all datagrams.
const HANDSHAKE: Duration = Duration::from_secs(30);
/// Bytes that may wait for us, on one stream and on all of them: small, so that a transfer of a megabyte needs more.
const WINDOWS: (u64, u64) = (512 << 10, 1 << 20);

/// Fetches all files; whether it got them.
///
/// # Errors
///
/// What keeps it from beginning, or a socket that is beyond use.
pub fn run(plan: &ClientPlan) -> Result<bool, String> {
    let bars = Bars::new(plan.errands.len());
    let mut client = Client::new(plan)?;
    let (mut fetched, mut bytes, mut faults) = (0, 0, Vec::new());
    for (number, (authority, errands)) in shares(plan).into_iter().enumerate() {
        match client.fetch(authority, errands, &bars) {
            Ok(session) => {
                (fetched, bytes) = (fetched + session.fetched, bytes + session.bytes);
                // Tickets are for the connections after the first.
                let resumes = number > 0 && plan.part.split == Split::FirstThenRest;
                if resumes && !session.is_resumed {
                    faults.push(format!("{authority}: the server has not resumed the first connection"));
                } else if resumes && plan.part.zero_rtt && !session.is_early {
                    faults.push(format!("{authority}: the server has not taken what was asked in 0-RTT"));
                }
                faults.extend(session.faults);
            }
            Err(fault) => faults.push(format!("{authority}: {fault}")),
        }
    }
    drop(bars);
    let time = client.driver.now().since(Instant::ZERO);
    let files = plan.errands.len() - faults.len().min(plan.errands.len());
    println!(
        "{files} of {} files, {} in {:.3} s",
        plan.errands.len(),
        BinaryBytes(bytes),
        time.as_secs_f64()
    );
    for fault in &faults {
        eprintln!("hq: {fault}");
    }
    Ok(faults.is_empty())
}

/// Which files are fetched over which connection.
fn shares(plan: &ClientPlan) -> Vec<(&Authority, Vec<Errand>)> {
    let mut shares: Vec<(&Authority, Vec<Errand>)> = Vec::new();
    for errand in &plan.errands {
        let authority = &errand.url.authority;
        let known = match plan.part.split {
            Split::Together => shares.iter_mut().find(|(of, _)| *of == authority),
            Split::Each => None,
            Split::FirstThenRest => shares.iter_mut().skip(1).find(|(of, _)| *of == authority),
        };
        match known {
            Some((_, share)) => share.push(errand.clone()),
            None => shares.push((authority, vec![errand.clone()])),
        }
    }
    shares
}

/// An endpoint, and sockets as they are needed.
struct Client {
    driver: Driver,
    endpoint: Endpoint,
    config: Arc<ClientConfig>,
    /// What is to happen on each connection.
    asides: Asides,
    /// Whether each connection waits for tickets before it ends.
    waits: bool,
    /// For IPv4, and for IPv6.
    sockets: [Option<SocketKey>; 2],
}

impl Client {
    fn new(plan: &ClientPlan) -> Result<Self, String> {
        let key_log = plan.key_log.as_deref().map(Secrets::append).transpose()?;
        let tls = tls::client(&plan.trust, plan.part.cipher, key_log)?;
        let (stream_window, window) = WINDOWS;
        let transport = TransportConfig::builder()
            .stream_receive_window(stream_window)
            .receive_window(window)
            .max_bidi_streams(0)
            .max_uni_streams(0)
            .handshake_timeout(HANDSHAKE)
            .build()
            .map_err(|error| error.to_string())?;
        let mut config = ClientConfig::new(tls).transport(Arc::new(transport));
        let second = |config: ClientConfig| {
            config.versions(&[Version::V2, Version::V1]).and_then(|config| config.first_version(Version::V1))
        };
        config = match plan.part.versions {
            Versions::Both => Ok(config),
            Versions::PreferSecond => second(config),
            Versions::BeginReserved => Ok(config.grease_version()),
            Versions::Only(version) => config.versions(&[version]),
        }
        .map_err(|error| error.to_string())?;
        if let Some(seek) = plan.follows {
            let all = MigrationConfig::new(StrategySet::ALL).seek(seek);
            config = config.migration(all).map_err(|error| error.to_string())?;
        }
        config = config.early_data(plan.part.zero_rtt);
        Ok(Self {
            asides: Asides { key_update: plan.part.key_update, rebind: plan.rebind },
            waits: plan.part.split == Split::FirstThenRest,
            driver: Driver::starting_at(Instant::ZERO),
            endpoint: Endpoint::new(EndpointConfig::client(), Box::new(SystemRng::default())),
            config: Arc::new(config),
            sockets: [None; 2],
        })
    }

    /// Fetches files over one connection.
    fn fetch<'a>(
        &mut self,
        authority: &Authority,
        errands: Vec<Errand>,
        bars: &'a Bars,
    ) -> Result<Session<'a>, String> {
        let remote = resolve(authority)?;
        let socket = self.socket(remote)?;
        let path = FourTuple { local: self.driver.local(socket), remote };
        let Self { driver, endpoint, config, asides, waits, .. } = self;
        let handle = endpoint
            .connect(driver.now(), path, Arc::clone(config), &authority.host)
            .map_err(|error| error.to_string())?;
        let mut session = Session::new(handle, errands, bars);
        let (mut wake, mut end, mut asides) = (Some(driver.now()), None, *asides);
        while !session.is_over() || end.is_some_and(|end| driver.now() < end) {
            let until = wake.into_iter().chain(asides.deadline(&session)).chain(end).min();
            driver
                .receive(until, |now, arrival, datagrams| endpoint.handle_datagrams(now, arrival, datagrams))
                .map_err(|error| format!("the socket is broken: {error}"))?;
            endpoint.handle_timeout(driver.now());
            if let Some(connection) = endpoint.connection_mut(handle) {
                asides.act(driver, connection, &mut session)?;
            }
            wake = driver.speak(endpoint, |now, endpoint, event| {
                if let Event::Connection(of, event) = event {
                    session.on_event(now, endpoint, of, &event);
                }
            });
            for note in session.notes.drain(..) {
                bars.say(&format!("{authority}: {note}"));
            }
            // Usually tickets have come before the first file; if they were lost, they come again before long.
            if *waits && session.is_over() && end.is_none() {
                let rtt = endpoint.connection(handle).map(|connection| connection.path().rtt);
                end = Some(driver.now() + rtt.unwrap_or_default() * 3);
            }
        }
        if let Some(connection) = endpoint.connection_mut(handle) {
            connection.close(driver.now(), VarInt::ZERO, b"");
        }
        driver.speak(endpoint, |_, _, _| {});
        Ok(session)
    }

    /// The socket for peers of this family, opened when it is first needed.
    fn socket(&mut self, remote: SocketAddr) -> Result<SocketKey, String> {
        let slot = usize::from(remote.is_ipv6());
        if let Some(socket) = self.sockets[slot] {
            return Ok(socket);
        }
        let any = any_of_family(remote);
        let socket = self.driver.bind(any).map_err(|error| format!("cannot open a socket: {error}"))?;
        self.sockets[slot] = Some(socket);
        Ok(socket)
    }
}

/// What is to happen once, beside a transfer.
#[derive(Debug, Clone, Copy)]
struct Asides {
    /// An update of keys, early.
    key_update: bool,
    /// A move to another port.
    rebind: Option<When>,
}

impl Asides {
    /// Does what it is time for.
    fn act(
        &mut self,
        driver: &mut Driver,
        connection: &mut Connection,
        session: &mut Session<'_>,
    ) -> Result<(), String> {
        let now = driver.now();
        // Not every moment will do for new keys, but before long one comes.
        if self.key_update && session.bytes > 0 && connection.update_keys(now).is_ok() {
            self.key_update = false;
        }
        if self.rebind.is_some_and(|when| when.is_due(now, session.since, session.bytes)) {
            self.rebind = None;
            let any = any_of_family(connection.remote());
            let socket = driver.bind(any).map_err(|error| format!("cannot open a socket: {error}"))?;
            session.notes.push(match connection.rebind(now, driver.local(socket)) {
                Ok(()) => format!("moves to port {}", driver.address(socket).port()),
                Err(error) => format!("does not move: {error}"),
            });
        }
        Ok(())
    }

    /// When it will be time.
    fn deadline(&self, session: &Session<'_>) -> Option<Instant> {
        self.rebind.and_then(|when| when.deadline(session.since))
    }
}

fn any_of_family(remote: SocketAddr) -> SocketAddr {
    match remote {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

/// Where a server is: at its first IPv4 address, if it has one.
fn resolve(authority: &Authority) -> Result<SocketAddr, String> {
    let Authority { host, port } = authority;
    let found =
        (host.as_str(), *port).to_socket_addrs().map_err(|error| format!("cannot be found: {error}"))?;
    found.min_by_key(|address| !address.is_ipv4()).ok_or_else(|| "has no address".to_owned())
}
