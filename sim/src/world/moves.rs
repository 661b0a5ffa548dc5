//! Hosts that freeze, move, thaw and learn of it: a relocation step by step, and the whole of it.
//!
//! Hosts move independently of each other: several servers, or both ends of a connection, may be on the move at once.

use std::time::Duration;

use peregrine::{Instant, Local, PathError, RelocationEvent, RelocationPlan, SocketKey};

use super::{Conn, World};
use crate::host::{Clock, Meanwhile};
use crate::network::HostId;
use crate::words::addr;

/// How long [`World::relocate_by`] waits for readiness.
const READY_WITHIN: Duration = Duration::from_secs(30);

impl World {
    // ---- notice -------------------------------------------------------------------------------

    /// Gives a server notice of its move.
    ///
    /// # Panics
    ///
    /// When the endpoint refuses the plan; [`World::speak`] returns its error instead.
    pub fn prepare(&mut self, server: HostId, plan: RelocationPlan) {
        self.noticed[server.0] = self.hosts[server.0].relocations().count();
        self.speak(server, |now, endpoint| endpoint.prepare_relocation(now, plan))
            .expect("the plan can be followed");
    }

    /// When a server that was given notice was ready; `None` if it is not.
    pub fn ready(&self, server: HostId) -> Option<Instant> {
        let mut since = self.hosts[server.0].relocations().skip(self.noticed[server.0]);
        since.find(|(_, event)| matches!(event, RelocationEvent::Ready { .. })).map(|(at, _)| at)
    }

    /// Runs until a server that was given notice is ready; returns when it was.
    ///
    /// # Panics
    ///
    /// When it is not after `limit`.
    pub fn run_until_ready(&mut self, server: HostId, limit: Duration) -> Instant {
        self.run_until(|world| world.ready(server).is_some(), limit);
        self.ready(server).expect("it is ready")
    }

    /// Takes a server's notice back.
    ///
    /// # Panics
    ///
    /// When none was given.
    pub fn cancel(&mut self, server: HostId) {
        self.speak(server, |now, endpoint| endpoint.cancel_relocation(now))
            .expect("a move was being prepared");
    }

    // ---- freeze, move, thaw -------------------------------------------------------------------

    /// A host stands still from now on; what is sent to it is lost.
    ///
    /// # Panics
    ///
    /// When it is frozen already.
    pub fn freeze(&mut self, host: HostId) {
        self.freeze_with(host, Meanwhile::Lost);
    }

    /// A host stands still from now on. However long that is, it costs nothing.
    ///
    /// # Panics
    ///
    /// When it is frozen already.
    pub fn freeze_with(&mut self, host: HostId, meanwhile: Meanwhile) {
        let now = self.now;
        self.network.trace.note(now, || format!("{host:?} is frozen"));
        self.hosts[host.0].freeze(now, meanwhile);
        self.settle(host);
    }

    /// The first socket of a host is bound to another address: nobody is at the old one, and what was on its way there is
    /// lost. A server is told with [`Self::relocated`].
    pub fn move_to(&mut self, host: HostId, address: &str) {
        self.move_socket(host, SocketKey(0), address);
    }

    /// As [`Self::move_to`], of any socket.
    ///
    /// # Panics
    ///
    /// When the host has no such socket.
    pub fn move_socket(&mut self, host: HostId, socket: SocketKey, address: &str) {
        let address = addr(address);
        let now = self.now;
        self.network.trace.note(now, || format!("{host:?} is at {address}"));
        let former = self.hosts[host.0].rebind(socket, address);
        self.network.detach(former);
        self.network.attach(address, host);
    }

    /// A host gets one more socket, at another address, and keeps those it has.
    pub fn add_socket(&mut self, host: HostId, address: &str) -> SocketKey {
        let address = addr(address);
        self.network.attach(address, host);
        self.hosts[host.0].open(address)
    }

    /// The sockets of a host are wildcards from now on: datagrams do not say which local address they came to, and
    /// connections that begin from now on do not know.
    pub fn wildcard(&mut self, host: HostId) {
        self.hosts[host.0].hide_local();
    }

    /// A host goes on; its clock goes on from where it stood.
    ///
    /// # Panics
    ///
    /// When it is not frozen.
    pub fn thaw(&mut self, host: HostId) {
        self.thaw_with(host, Clock::Continues);
    }

    /// A host goes on. Its endpoint is not driven before something happens: an embedder first says [`Self::relocated`].
    ///
    /// # Panics
    ///
    /// When it is not frozen.
    pub fn thaw_with(&mut self, host: HostId, clock: Clock) {
        let now = self.now;
        self.network.trace.note(now, || format!("{host:?} goes on"));
        let waiting = self.hosts[host.0].thaw(now, clock);
        for datagram in waiting {
            self.plan(Duration::ZERO, move |world| world.deliver(host, datagram));
        }
        self.settle(host);
    }

    /// Tells a server where those of its sockets are that were moved since it was told last; the first, if none was.
    ///
    /// # Panics
    ///
    /// When the endpoint refuses, for instance another family of addresses; [`World::speak`] returns its error instead.
    pub fn relocated(&mut self, server: HostId) {
        let locals = self.hosts[server.0].take_astray();
        self.relocated_as(server, &locals);
    }

    /// Tells a server that its sockets are there now.
    ///
    /// # Panics
    ///
    /// When the endpoint refuses.
    pub fn relocated_as(&mut self, server: HostId, locals: &[(SocketKey, Local)]) {
        self.speak(server, |now, endpoint| endpoint.relocated(now, locals)).expect("the server can move");
    }

    // ---- the whole move -----------------------------------------------------------------------

    /// The whole move of a server with one socket, with or without notice given before: freezes now, moves, runs for
    /// `freeze`, thaws and tells the server.
    pub fn relocate(&mut self, server: HostId, to: &str, freeze: Duration) {
        self.relocate_all(&[(server, &[to])], freeze);
    }

    /// The whole move of several servers at once, each to so many addresses as it has sockets, by their keys: an IPv4 and
    /// an IPv6 one for a server that has both.
    pub fn relocate_all(&mut self, servers: &[(HostId, &[&str])], freeze: Duration) {
        for (server, addresses) in servers {
            self.freeze(*server);
            for (socket, address) in (0..).zip(*addresses) {
                self.move_socket(*server, SocketKey(socket), address);
            }
        }
        self.run_for(freeze);
        for (server, _) in servers {
            self.thaw(*server);
            self.relocated(*server);
        }
    }

    /// Notice, readiness and the whole move of a server with one socket. Returns when the server was ready.
    ///
    /// # Panics
    ///
    /// When the plan is refused, or the server is not ready within 30 seconds.
    pub fn relocate_by(
        &mut self,
        server: HostId,
        plan: RelocationPlan,
        to: &str,
        freeze: Duration,
    ) -> Instant {
        self.prepare(server, plan);
        let ready = self.run_until_ready(server, READY_WITHIN);
        self.relocate(server, to, freeze);
        ready
    }

    // ---- clients that move --------------------------------------------------------------------

    /// A client's host is at another address from now on, and its endpoint is not told: as if its network had changed. To
    /// hear anything there its sockets are to be [wildcards](Self::wildcard) from before it connected: an endpoint drops
    /// what comes to an address that it does not know for its own.
    pub fn renumber(&mut self, host: HostId, address: &str) {
        self.move_to(host, address);
    }

    /// A client's host gets one more socket, and a connection moves there (RFC 9000, Section 9.2).
    ///
    /// # Errors
    ///
    /// Why the connection may not move.
    pub fn rebind(&mut self, conn: Conn, address: &str) -> Result<(), PathError> {
        let socket = self.add_socket(conn.host, address);
        let local = self.hosts[conn.host.0].local(socket);
        self.with(conn, |now, connection| connection.rebind(now, local))
    }
}
