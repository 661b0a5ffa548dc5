//! A host: an endpoint with its sockets, its clock and its applications; the model of an embedder's driver.

mod apps;
mod driver;
mod journal;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use peregrine::{
    CloseReason, Connection, ConnectionEvent, ConnectionHandle, Endpoint, Event, Instant, Local,
    RelocationEvent, SocketKey, TimerKind,
};

use super::app::{App, Outcome};
use super::network::{Datagram, HostId};
use apps::Apps;
pub(crate) use driver::BUFFER;
use journal::Journal;

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
    /// They wait in the socket's buffer, which has room for all of them.
    Queued,
}

/// Makes what runs on the connections that are made to a host.
pub(crate) type Accept = Box<dyn FnMut() -> Box<dyn App>>;

/// A host that is frozen.
#[derive(Debug)]
struct Frozen {
    since: Instant,
    meanwhile: Meanwhile,
    waiting: Vec<Datagram>,
}

/// An endpoint and all that drives it. It is only read here; what one does to it is done with the
/// [`World`](crate::World), which has it do what follows.
pub struct Host {
    id: HostId,
    endpoint: Endpoint,
    /// By socket key: where each socket is bound. A server that moves may hold an old and a new one.
    sockets: Vec<SocketAddr>,
    /// Sockets that are elsewhere than the endpoint was told.
    astray: Vec<SocketKey>,
    /// Whether datagrams say which local address they came to.
    names_local: bool,
    /// How far the driver's clock is behind the world's.
    behind: Duration,
    frozen: Option<Frozen>,
    wake: Option<(Instant, Option<TimerKind>)>,
    apps: Apps,
    /// `None`: it only connects.
    accept: Option<Accept>,
    journal: Journal,
}

impl Host {
    pub(crate) fn new(id: HostId, endpoint: Endpoint, address: SocketAddr, accept: Option<Accept>) -> Self {
        Self {
            id,
            endpoint,
            sockets: vec![address],
            astray: Vec::new(),
            names_local: true,
            behind: Duration::ZERO,
            frozen: None,
            wake: None,
            apps: Apps::default(),
            accept,
            journal: Journal::default(),
        }
    }

    // ---- to be asked --------------------------------------------------------------------------

    /// Its endpoint.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The host's time at this time of the world: earlier by as long as it was frozen, if its clock
    /// [continued](Clock::Continues).
    pub fn clock(&self, now: Instant) -> Instant {
        now - self.behind
    }

    /// Where its first socket is bound.
    pub fn address(&self) -> SocketAddr {
        self.sockets[0]
    }

    /// Where all its sockets are bound, by their keys.
    pub fn sockets(&self) -> &[SocketAddr] {
        &self.sockets
    }

    /// The endpoint's name of a socket; without an address if there is no such socket, or it is a
    /// [wildcard](crate::World::wildcard).
    pub fn local(&self, socket: SocketKey) -> Local {
        let ip = self.sockets.get(socket.0 as usize).map(SocketAddr::ip);
        Local { socket, ip: ip.filter(|_| self.names_local) }
    }

    /// What runs on a connection. It outlives the connection.
    pub fn app(&self, handle: ConnectionHandle) -> Option<&dyn App> {
        self.apps.get(handle)
    }

    /// Where what runs on a connection stands.
    pub fn outcome(&self, handle: ConnectionHandle) -> Option<Outcome> {
        self.apps.outcome(handle)
    }

    /// Where each application stands, in the order of their connections' handles.
    pub fn outcomes(&self) -> impl Iterator<Item = (ConnectionHandle, Outcome)> + '_ {
        self.apps.outcomes()
    }

    /// Everything the endpoint said, with the world's time, but for what it said of streams.
    pub fn events(&self) -> &[(Instant, Event)] {
        self.journal.all()
    }

    /// What a connection said, but for what it said of streams.
    pub fn said(&self, handle: ConnectionHandle) -> impl Iterator<Item = (Instant, &ConnectionEvent)> {
        self.journal.of(handle)
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
        self.journal.moves()
    }

    /// When it wants to be driven, by the world's time; `None` while it is frozen.
    pub fn wake(&self) -> Option<Instant> {
        self.wake.filter(|_| !self.is_frozen()).map(|(at, _)| at)
    }

    /// Whether it is frozen.
    pub fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// How many applications are neither done nor have failed.
    pub(crate) fn running(&self) -> usize {
        self.apps.running()
    }

    fn is_client(&self) -> bool {
        self.accept.is_none()
    }

    // ---- what the world does to it ------------------------------------------------------------

    pub(crate) fn endpoint_mut(&mut self) -> &mut Endpoint {
        &mut self.endpoint
    }

    /// The first socket of this address' family, or else the first.
    pub(crate) fn socket_towards(&self, remote: SocketAddr) -> SocketKey {
        let like = self.sockets.iter().position(|address| address.is_ipv4() == remote.is_ipv4());
        SocketKey(u32::try_from(like.unwrap_or(0)).expect("few sockets"))
    }

    /// The socket is bound elsewhere now; returns where it was.
    pub(crate) fn rebind(&mut self, socket: SocketKey, address: SocketAddr) -> SocketAddr {
        if !self.astray.contains(&socket) {
            self.astray.push(socket);
        }
        std::mem::replace(&mut self.sockets[socket.0 as usize], address)
    }

    /// The sockets that are elsewhere than the endpoint was told; from now on it knows. The first, if none is.
    pub(crate) fn take_astray(&mut self) -> Vec<(SocketKey, Local)> {
        let mut sockets = std::mem::take(&mut self.astray);
        if sockets.is_empty() {
            sockets.push(SocketKey(0));
        }
        sockets.into_iter().map(|socket| (socket, self.local(socket))).collect()
    }

    pub(crate) fn open(&mut self, address: SocketAddr) -> SocketKey {
        self.sockets.push(address);
        SocketKey(u32::try_from(self.sockets.len() - 1).expect("few sockets"))
    }

    /// Datagrams do not say any more which local address they came to.
    pub(crate) fn hide_local(&mut self) {
        self.names_local = false;
    }

    /// Runs this on the connections that are made to it from now on.
    pub(crate) fn accept(&mut self, accept: Accept) {
        self.accept = Some(accept);
    }

    /// Another endpoint takes over, with no memory of this one's connections.
    pub(crate) fn replace(&mut self, endpoint: Endpoint) {
        self.endpoint = endpoint;
        self.apps = Apps::default();
        self.wake = None;
    }

    pub(crate) fn install(&mut self, handle: ConnectionHandle, app: Box<dyn App>) {
        self.apps.install(handle, app);
    }

    /// Calls what runs on a connection that is still there.
    pub(crate) fn call<T>(
        &mut self,
        handle: ConnectionHandle,
        call: impl FnOnce(&mut dyn App, &mut Connection) -> T,
    ) -> Option<T> {
        let connection = self.endpoint.connection_mut(handle)?;
        self.apps.call(handle, |app| call(app, connection))
    }

    pub(crate) fn freeze(&mut self, now: Instant, meanwhile: Meanwhile) {
        assert!(self.frozen.is_none(), "{:?} is frozen already", self.id);
        self.frozen = Some(Frozen { since: now, meanwhile, waiting: Vec::new() });
    }

    /// Goes on; returns what waited for it.
    pub(crate) fn thaw(&mut self, now: Instant, clock: Clock) -> Vec<Datagram> {
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
        self.events()
            .iter()
            .rev()
            .take(20)
            .rev()
            .try_for_each(|(at, event)| writeln!(f, "  {at:?} {event:?}"))
    }
}
