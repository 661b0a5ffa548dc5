//! The loop of a host: datagrams and time into its endpoint, and what it wants into the network and to the applications.

use peregrine::{
    Arrival, ConnectionEvent, ConnectionHandle, EarlyData, Event, FourTuple, Instant, Output, SocketKey,
    TimerKind, Transmit,
};

use super::{Host, Meanwhile};
use crate::network::{Datagram, Network};
use crate::watch::Watch;

/// Room for what one poll writes, in bytes.
pub(crate) const BUFFER: usize = 16 * 1024;
/// Polls in a row after which an endpoint is taken to be in an endless loop, and how many more for each connection.
const MAX_POLLS: (usize, usize) = (200_000, 100);

impl Host {
    /// Hands in a datagram, unless the host is frozen.
    pub(crate) fn receive(&mut self, now: Instant, mut datagram: Datagram, network: &mut Network) {
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

    /// Tells the endpoint the time if it is due, and does all it wants, until it is idle. `buffer` is
    /// [`BUFFER`] bytes long; what is in it means nothing.
    pub(crate) fn drive(
        &mut self,
        now: Instant,
        network: &mut Network,
        watch: &mut Watch,
        buffer: &mut [u8],
    ) {
        if self.frozen.is_some() {
            return;
        }
        let local = self.clock(now);
        if self.wake.is_some_and(|(at, _)| at <= now) {
            self.endpoint.handle_timeout(local);
        }
        for _ in 0..MAX_POLLS.0 + MAX_POLLS.1 * self.apps.len() {
            match self.endpoint.poll(local, buffer) {
                Output::Transmit(transmit) => self.send(now, &transmit, buffer, network, watch),
                Output::Event(event) => self.on_event(now, event, network, watch),
                Output::TooSmall => panic!("{BUFFER} bytes are too small for {:?}", self.id),
                Output::Idle { wake } => {
                    if !self.run_due(local) {
                        self.wake = self.soonest(wake.map(|wake| (wake.at, wake.timer)));
                        return;
                    }
                }
            }
        }
        panic!("{now:?}: {:?} is never idle", self.id);
    }

    fn send(
        &self,
        now: Instant,
        transmit: &Transmit,
        buffer: &[u8],
        network: &mut Network,
        watch: &mut Watch,
    ) {
        let from = self.sockets[transmit.path.local.socket.0 as usize];
        for bytes in transmit.datagrams(buffer) {
            let mut payload = network.buffer();
            payload.extend_from_slice(bytes);
            let datagram = Datagram { from, to: transmit.path.remote, ecn: transmit.ecn, payload };
            watch.on_sent(now, (self.id, self.is_client()), self.apps.len(), &datagram);
            if self.is_client() {
                watch.on_client_sent(now, &datagram);
            }
            network.send(now, datagram);
        }
    }

    /// Runs the applications whose time has come; false if there were none.
    fn run_due(&mut self, local: Instant) -> bool {
        let mut any = false;
        for handle in self.apps.due(local) {
            match self.call(handle, |app, connection| app.on_deadline(local, connection)) {
                Some(()) => any = true,
                None => self.apps.forget_deadline(handle),
            }
        }
        any
    }

    /// The endpoint's next deadline or an application's, by the world's time.
    fn soonest(&mut self, endpoint: Option<(Instant, TimerKind)>) -> Option<(Instant, Option<TimerKind>)> {
        while let Some((_, handle)) = self.apps.first()
            && self.endpoint.connection(handle).is_none()
        {
            self.apps.forget_deadline(handle);
        }
        let apps = self.apps.first().map(|(at, _)| (at, None));
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
        self.journal.write(now, event);
    }

    fn tell_app(&mut self, local: Instant, handle: ConnectionHandle, said: &ConnectionEvent) {
        let begins = matches!(said, ConnectionEvent::Connected { .. } | ConnectionEvent::EarlyData(_));
        if begins
            && self.apps.get(handle).is_none()
            && let Some(accept) = &mut self.accept
        {
            self.apps.install(handle, accept());
        }
        if let ConnectionEvent::Closed(reason) = said {
            return self.apps.end(handle, reason);
        }
        self.call(handle, |app, connection| match said {
            ConnectionEvent::Connected { .. }
            | ConnectionEvent::EarlyData(EarlyData::Offered | EarlyData::Accepted) => {
                app.on_connected(local, connection);
            }
            ConnectionEvent::Stream(event) => app.on_stream(local, connection, *event),
            other => app.on_event(local, connection, other),
        });
    }
}
