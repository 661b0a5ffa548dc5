//! A host: an endpoint with its sockets, its clock and its applications; the model of an embedder's driver.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use peregrine::{
    Arrival, CloseReason, Connection, ConnectionEvent, ConnectionHandle, EarlyData, Endpoint, Event,
    FourTuple, Instant, Local, Output, RelocationEvent, SocketKey, TimerKind,
};

use super::app::{App, Outcome};
use super::network::{Datagram, HostId, Network};
use super::watch::Watch;

/// Room for what one poll writes, in bytes.
const BUFFER: usize = 16 * 1024;
/// Polls in a row after which an endpoint is taken to be in an endless loop.
const MAX_POLLS: usize = 200_000;

/// Whose clock stands still while the host is frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The driver's: it goes on from where it froze, as a driver should.
    Continues,
    /// Nobody's: the driver reads the world's time and finds a gap.
    Jumps,
}

/// What becomes of datagrams for a frozen host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meanwhile {
    /// They are lost.
    Lost,
    /// They wait in the socket's buffer.
    Queued,
}

/// Makes what runs on a connection that was made to a host.
pub type Serve = fn() -> Box<dyn App>;

/// A host that is frozen.
#[derive(Debug)]
struct Frozen {
    since: Instant,
    meanwhile: Meanwhile,
    waiting: Vec<Datagram>,
}

/// An endpoint and all that drives it.
pub struct Host {
    id: HostId,
    endpoint: Endpoint,
    /// By socket key: where each socket is bound. A server that moves may hold an old and a new one.
    sockets: Vec<SocketAddr>,
    /// Whether datagrams say which local address they came to.
    names_local: bool,
    /// How far the driver's clock is behind the world's.
    behind: Duration,
    frozen: Option<Frozen>,
    wake: Option<(Instant, Option<TimerKind>)>,
    apps: BTreeMap<ConnectionHandle, Box<dyn App>>,
    serve: Option<Serve>,
    events: Vec<(Instant, Event)>,
    buffer: Vec<u8>,
}

impl Host {
    /// A host at this address, and what it runs on each connection made to it.
    pub fn new(id: HostId, endpoint: Endpoint, address: SocketAddr, serve: Option<Serve>) -> Self {
        Self {
            id,
            endpoint,
            sockets: vec![address],
            names_local: true,
            behind: Duration::ZERO,
            frozen: None,
            wake: None,
            apps: BTreeMap::new(),
            serve,
            events: Vec::new(),
            buffer: vec![0; BUFFER],
        }
    }

    /// The endpoint itself. Whoever changes something there must have the world drive the host afterwards.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The endpoint, to be spoken through.
    pub fn endpoint_mut(&mut self) -> &mut Endpoint {
        &mut self.endpoint
    }

    /// The host's time.
    pub fn clock(&self, now: Instant) -> Instant {
        now - self.behind
    }

    /// Where its first socket is bound.
    pub fn address(&self) -> SocketAddr {
        self.sockets[0]
    }

    /// Where all its sockets are bound.
    pub fn sockets(&self) -> &[SocketAddr] {
        &self.sockets
    }

    /// The endpoint's name of a socket.
    pub fn local(&self, socket: SocketKey) -> Local {
        let ip = self.sockets.get(socket.0 as usize).map(|address| address.ip());
        Local { socket, ip: ip.filter(|_| self.names_local) }
    }

    /// From now on datagrams do not say which local address they came to, as on a wildcard socket.
    pub fn hide_local(&mut self) {
        self.names_local = false;
    }

    /// The socket is bound elsewhere now; returns where it was.
    pub fn rebind(&mut self, socket: SocketKey, address: SocketAddr) -> SocketAddr {
        std::mem::replace(&mut self.sockets[socket.0 as usize], address)
    }

    /// Opens one more socket.
    pub fn open(&mut self, address: SocketAddr) -> SocketKey {
        self.sockets.push(address);
        SocketKey(u32::try_from(self.sockets.len() - 1).expect("few sockets"))
    }

    /// Another endpoint takes over, with no memory of this one's connections.
    pub fn replace(&mut self, endpoint: Endpoint) {
        self.endpoint = endpoint;
        self.apps.clear();
        self.wake = None;
    }

    /// Runs this on a connection.
    pub fn install(&mut self, handle: ConnectionHandle, app: Box<dyn App>) {
        self.apps.insert(handle, app);
    }

    /// What runs on a connection.
    pub fn app(&self, handle: ConnectionHandle) -> Option<&dyn App> {
        self.apps.get(&handle).map(|app| &**app)
    }

    /// What runs on a connection, and the connection.
    pub fn app_mut(&mut self, handle: ConnectionHandle) -> Option<(&mut dyn App, &mut Connection)> {
        let app = self.apps.get_mut(&handle)?;
        Some((&mut **app, self.endpoint.connection_mut(handle)?))
    }

    /// All applications, in the order of their connections' handles.
    pub fn outcomes(&self) -> impl Iterator<Item = (ConnectionHandle, Outcome)> + '_ {
        self.apps.iter().map(|(handle, app)| (*handle, app.outcome()))
    }

    /// Everything the endpoint said, with the world's time, but for what it said of streams.
    pub fn events(&self) -> &[(Instant, Event)] {
        &self.events
    }

    /// What a connection said, but for what it said of streams.
    pub fn said(&self, handle: ConnectionHandle) -> impl Iterator<Item = (Instant, &ConnectionEvent)> {
        self.events.iter().filter_map(move |(at, event)| match event {
            Event::Connection(of, event) if *of == handle => Some((*at, event)),
            _ => None,
        })
    }

    /// Why a connection ended, once it has.
    pub fn closed(&self, handle: ConnectionHandle) -> Option<&CloseReason> {
        self.said(handle).find_map(|(_, event)| match event {
            ConnectionEvent::Closed(reason) => Some(reason),
            _ => None,
        })
    }

    /// What was said of the endpoint's moves.
    pub fn relocations(&self) -> impl Iterator<Item = (Instant, &RelocationEvent)> {
        self.events.iter().filter_map(|(at, event)| match event {
            Event::Relocation(event) => Some((*at, event)),
            _ => None,
        })
    }

    /// When it wants to be driven, by the world's time.
    pub fn wake(&self) -> Option<Instant> {
        if self.frozen.is_some() { None } else { self.wake.map(|(at, _)| at) }
    }

    /// Whether it is frozen.
    pub fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// Stands still from now on.
    pub fn freeze(&mut self, now: Instant, meanwhile: Meanwhile) {
        assert!(self.frozen.is_none(), "{:?} is frozen already", self.id);
        self.frozen = Some(Frozen { since: now, meanwhile, waiting: Vec::new() });
    }

    /// Goes on; returns what waited for it.
    pub fn thaw(&mut self, now: Instant, clock: Clock) -> Vec<Datagram> {
        let frozen = self.frozen.take().expect("only a frozen host is thawed");
        let gap = now.since(frozen.since);
        match clock {
            Clock::Continues => {
                self.behind += gap;
                self.wake = self.wake.map(|(at, timer)| (at + gap, timer));
            }
            Clock::Jumps => {}
        }
        frozen.waiting
    }

    /// Hands in a datagram, unless the host is frozen.
    pub fn receive(&mut self, now: Instant, mut datagram: Datagram, network: &mut Network) {
        if let Some(frozen) = &mut self.frozen {
            match frozen.meanwhile {
                Meanwhile::Queued => frozen.waiting.push(datagram),
                Meanwhile::Lost => network.recycle(datagram.payload),
            }
            return;
        }
        let Some(socket) = self.sockets.iter().position(|address| *address == datagram.to) else { return };
        let local = self.local(SocketKey(u32::try_from(socket).expect("few sockets")));
        let path = FourTuple { local, remote: datagram.from };
        let arrival = Arrival { ecn: datagram.ecn, ..Arrival::single(path) };
        self.endpoint.handle_datagrams(self.clock(now), arrival, &mut datagram.payload);
        network.recycle(datagram.payload);
    }

    /// Tells the endpoint the time if it is due, and does all it wants, until it is idle.
    pub fn drive(&mut self, now: Instant, network: &mut Network, watch: &mut Watch) {
        if self.frozen.is_some() {
            return;
        }
        let local = self.clock(now);
        if self.wake.is_some_and(|(at, _)| at <= now) {
            self.endpoint.handle_timeout(local);
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        for _ in 0..MAX_POLLS {
            match self.endpoint.poll(local, &mut buffer) {
                Output::Transmit(transmit) => {
                    let from = self.sockets[transmit.path.local.socket.0 as usize];
                    for bytes in transmit.datagrams(&buffer) {
                        let mut payload = network.buffer();
                        payload.extend_from_slice(bytes);
                        let datagram =
                            Datagram { from, to: transmit.path.remote, ecn: transmit.ecn, payload };
                        watch.on_sent(now, (self.id, self.serve.is_none()), self.apps.len(), &datagram);
                        if self.serve.is_none() {
                            watch.on_client_sent(now, &datagram);
                        }
                        network.send(now, datagram);
                    }
                }
                Output::Event(event) => self.on_event(now, event, network, watch),
                Output::TooSmall => panic!("{BUFFER} bytes are too small for {:?}", self.id),
                Output::Idle { wake } => {
                    if !self.run_due(local) {
                        self.wake = self.soonest(wake.map(|wake| (wake.at, wake.timer)));
                        self.buffer = buffer;
                        return;
                    }
                }
            }
        }
        panic!("{now:?}: {:?} is never idle", self.id);
    }

    /// Runs the applications whose time has come; false if there were none.
    fn run_due(&mut self, local: Instant) -> bool {
        let mut any = false;
        for (handle, app) in &mut self.apps {
            if app.deadline().is_some_and(|at| at <= local)
                && let Some(connection) = self.endpoint.connection_mut(*handle)
            {
                app.on_deadline(local, connection);
                any = true;
            }
        }
        any
    }

    /// The endpoint's next deadline or an application's, by the world's time.
    fn soonest(&self, endpoint: Option<(Instant, TimerKind)>) -> Option<(Instant, Option<TimerKind>)> {
        let alive = self.apps.iter().filter(|(handle, _)| self.endpoint.connection(**handle).is_some());
        let apps = alive.filter_map(|(_, app)| app.deadline()).min().map(|at| (at, None));
        let endpoint = endpoint.map(|(at, timer)| (at, Some(timer)));
        let (at, timer) = [endpoint, apps].into_iter().flatten().min_by_key(|(at, _)| *at)?;
        Some((at + self.behind, timer))
    }

    fn on_event(&mut self, now: Instant, event: Event, network: &mut Network, watch: &mut Watch) {
        network.trace.note(now, || format!("{:?} says {event:?}", self.id));
        let local = self.clock(now);
        if let Event::Connection(handle, said) = &event {
            watch.on_event(now, self.id, *handle, said);
            self.tell_app(local, *handle, said);
            if matches!(said, ConnectionEvent::Stream(_)) {
                return;
            }
        }
        self.events.push((now, event));
    }

    fn tell_app(&mut self, local: Instant, handle: ConnectionHandle, said: &ConnectionEvent) {
        let begins = matches!(said, ConnectionEvent::Connected { .. } | ConnectionEvent::EarlyData(_));
        if let Some(serve) = self.serve.filter(|_| begins) {
            self.apps.entry(handle).or_insert_with(serve);
        }
        let Some(app) = self.apps.get_mut(&handle) else { return };
        if let ConnectionEvent::Closed(reason) = said {
            return app.on_closed(reason);
        }
        let Some(connection) = self.endpoint.connection_mut(handle) else { return };
        match said {
            ConnectionEvent::Connected { .. }
            | ConnectionEvent::EarlyData(EarlyData::Offered | EarlyData::Accepted) => {
                app.on_connected(local, connection);
            }
            ConnectionEvent::Stream(event) => app.on_stream(local, connection, *event),
            _ => {}
        }
    }
}

impl fmt::Debug for Host {
    /// What one wants to read when a run has failed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:?} at {:?}, frozen: {}, wakes at {:?}",
            self.id,
            self.sockets,
            self.is_frozen(),
            self.wake
        )?;
        for (handle, connection) in self.endpoint.connections() {
            writeln!(
                f,
                "  {handle:?} {connection:?}\n    {:?}\n    {:?}",
                connection.path(),
                connection.stats()
            )?;
        }
        for (handle, outcome) in self.outcomes() {
            writeln!(f, "  {handle:?} runs an application: {outcome:?}")?;
        }
        self.events.iter().rev().take(20).rev().try_for_each(|(at, event)| writeln!(f, "  {at:?} {event:?}"))
    }
}
