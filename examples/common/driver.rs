//! A UDP driver for any [`Endpoint`]: several sockets, one thread, one system call per burst and per train.
//!
//! The library speaks in datagrams and in time; this file has the sockets and the clock. The whole loop:
//!
//! ```ignore
//! let mut driver = Driver::starting_at(Instant::ZERO);
//! let socket = driver.bind("127.0.0.1:4433".parse()?)?;
//! let mut wake = None;
//! loop {
//!     driver.receive(wake, |now, arrival, datagrams| endpoint.handle_datagrams(now, arrival, datagrams))?;
//!     endpoint.handle_timeout(driver.now());
//!     wake = driver.speak(&mut endpoint, |now, endpoint, event| application.on_event(now, endpoint, event));
//! }
//! ```

#![cfg_attr(not(test), expect(dead_code, reason = "no example uses all of it"))]

mod socket;
mod traffic;

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::time::Duration;

use peregrine::{Arrival, Endpoint, Event, Instant, Local, Output, SocketKey};
use quinn_udp::{BATCH_SIZE, RecvMeta};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use smallvec::SmallVec;

pub use socket::Socket;
pub use traffic::Traffic;

/// Trains taken from a socket by one system call, at most: 32 where the kernel can give several.
const TRAINS: usize = BATCH_SIZE;
/// Room for one received train: a UDP datagram is never longer, nor is what GRO makes of several.
const TRAIN_ROOM: usize = 1 << 16;
/// The longest train that is sent: what fits into one IPv4 packet of 65 535 bytes, which GSO is not allowed to exceed.
const TRAIN_LIMIT: usize = 65_507;
/// Trains that one endpoint may send before the others are heard again. Fewer than are taken in at a time, since each
/// is acknowledged: a queue of acknowledgements that only grows would be a round trip that only grows.
const TRAINS_A_TURN: usize = 16;
/// How often busy sockets are read in a row before the others are looked at.
const TURNS_UNASKED: u32 = 16;
/// Bytes the kernel is asked to keep for each socket, each way; it may grant less.
pub const KERNEL_BUFFER: usize = 4 << 20;
/// Some platforms cannot wait for weeks; returning early costs nothing.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Microseconds since an epoch of ours, going on from wherever a frozen server stopped.
#[derive(Debug)]
struct Clock {
    started: std::time::Instant,
    at: Instant,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "a driver is who reads the clock")]
    fn starting_at(at: Instant) -> Self {
        Self { started: std::time::Instant::now(), at }
    }

    fn now(&self) -> Instant {
        self.at + self.started.elapsed()
    }
}

/// Sockets, a clock, and the buffers between them and an endpoint.
#[derive(Debug)]
pub struct Driver {
    clock: Clock,
    sockets: Vec<Socket>,
    /// Sockets that had something to receive when we last looked.
    ready: SmallVec<[SocketKey; 16]>,
    /// How often they were read in a row without a look at the others.
    unasked: u32,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    traffic: Traffic,
}

impl Driver {
    /// A driver without sockets whose clock shows `at` now.
    ///
    /// A server that was frozen is given the time at which it froze: to its timers the time between did not pass.
    pub fn starting_at(at: Instant) -> Self {
        Self {
            clock: Clock::starting_at(at),
            sockets: Vec::new(),
            ready: SmallVec::new(),
            unasked: 0,
            incoming: vec![0; TRAINS * TRAIN_ROOM],
            outgoing: vec![0; TRAIN_LIMIT],
            traffic: Traffic::default(),
        }
    }

    /// The time, as the endpoints are told it.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// What was sent and received so far.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Opens a socket; port 0 lets the kernel choose one.
    ///
    /// # Errors
    ///
    /// The address is not ours, or its port is taken.
    pub fn bind(&mut self, address: SocketAddr) -> io::Result<SocketKey> {
        let key = SocketKey(u32::try_from(self.sockets.len()).expect("sockets are fewer than 2^32"));
        self.sockets.push(Socket::bind(key, address)?);
        Ok(key)
    }

    /// Closes a socket and opens another one under the same key, with all options set again.
    ///
    /// The new one is opened first, so that an error leaves the old one as it was.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub fn rebind(&mut self, key: SocketKey, address: SocketAddr) -> io::Result<()> {
        let socket = Socket::bind(key, address)?;
        self.take_up(socket);
        Ok(())
    }

    /// Puts a socket, opened meanwhile, in the place of the one that is called the same, which is closed.
    pub fn take_up(&mut self, socket: Socket) {
        let place = socket.key().0 as usize;
        self.sockets[place] = socket;
    }

    /// Sets all options of a socket again, and looks again where it is bound: for a process that was moved, sockets and
    /// all, and whose sockets are not quite what they were.
    ///
    /// # Errors
    ///
    /// The socket is beyond use.
    pub fn refresh(&mut self, key: SocketKey) -> io::Result<()> {
        self.sockets[key.0 as usize].refresh()
    }

    /// Where a socket is bound.
    pub fn address(&self, key: SocketKey) -> SocketAddr {
        self.sockets[key.0 as usize].address()
    }

    /// A socket as the library calls it.
    pub fn local(&self, key: SocketKey) -> Local {
        self.sockets[key.0 as usize].local()
    }

    /// Waits for datagrams until `until` (`None`: for as long as it takes) and hands over one burst of each socket.
    ///
    /// On which socket a train came is told by `arrival.path.local.socket`.
    ///
    /// # Errors
    ///
    /// A socket that is beyond use. What the network did to earlier datagrams is not an error.
    pub fn receive(
        &mut self,
        until: Option<Instant>,
        deliver: impl FnMut(Instant, Arrival, &mut [u8]),
    ) -> io::Result<()> {
        self.receive_beside(until, &[], deliver).map(|_| ())
    }

    /// The same, and waits no longer once something else has happened that the application asks for; whether it has.
    ///
    /// While sockets are busy the application's are looked at now and then, as other sockets are.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    pub fn receive_beside(
        &mut self,
        until: Option<Instant>,
        others: &[PollFd<'_>],
        mut deliver: impl FnMut(Instant, Arrival, &mut [u8]),
    ) -> io::Result<bool> {
        // Where something was there is probably more. Now and then the other sockets have their turn.
        self.unasked += 1;
        if self.unasked <= TURNS_UNASKED && self.take_in(&mut deliver)? {
            return Ok(false);
        }
        self.unasked = 0;
        let called = self.wait(until, others)?;
        self.take_in(&mut deliver)?;
        Ok(called)
    }

    /// Waits until a socket has something, and remembers which ones have; whether one of the others has.
    fn wait(&mut self, until: Option<Instant>, others: &[PollFd<'_>]) -> io::Result<bool> {
        let Self { clock, sockets, ready, traffic, .. } = self;
        let timeout = until.map(|until| timespec(until.since(clock.now())));
        let own = sockets.iter().map(|socket| PollFd::new(socket.udp(), PollFlags::IN));
        let mut waiting: SmallVec<[PollFd<'_>; 16]> = own.chain(others.iter().cloned()).collect();
        traffic.waits += 1;
        match poll(&mut waiting, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let has_something = |fd: &PollFd<'_>| !fd.revents().is_empty();
        ready.clear();
        let heard = sockets.iter().zip(&waiting).filter(|(_, fd)| has_something(fd));
        ready.extend(heard.map(|(socket, _)| socket.key()));
        Ok(waiting[sockets.len()..].iter().any(has_something))
    }

    /// Hands over one burst of each socket that is ready; whether there was any.
    fn take_in(&mut self, deliver: &mut impl FnMut(Instant, Arrival, &mut [u8])) -> io::Result<bool> {
        let Self { clock, sockets, ready, incoming, traffic, .. } = self;
        for key in std::mem::take(ready) {
            let socket = &mut sockets[key.0 as usize];
            let mut metas = [RecvMeta::default(); TRAINS];
            let mut rooms = incoming.chunks_mut(TRAIN_ROOM);
            let mut rooms: [IoSliceMut<'_>; TRAINS] =
                std::array::from_fn(|_| IoSliceMut::new(rooms.next().unwrap_or_default()));
            let trains = socket.receive(traffic, &mut rooms, &mut metas)?;
            let now = clock.now();
            for (meta, room) in metas.iter().zip(&mut rooms).take(trains) {
                deliver(now, socket.arrival(meta), &mut room[..meta.len]);
            }
            if trains > 0 {
                ready.push(key);
            }
        }
        Ok(!ready.is_empty())
    }

    /// Sends what `endpoint` has to say and hands its events to `tell`; returns when it wants to be spoken to again.
    ///
    /// Stops after a number of trains, so that the peers' datagrams are taken in before there are too many.
    pub fn speak(
        &mut self,
        endpoint: &mut Endpoint,
        mut tell: impl FnMut(Instant, &mut Endpoint, Event),
    ) -> Option<Instant> {
        let Self { clock, sockets, traffic, outgoing, .. } = self;
        let mut trains = 0;
        while trains < TRAINS_A_TURN {
            let now = clock.now();
            match endpoint.poll(now, outgoing) {
                Output::Transmit(transmit) => {
                    trains += 1;
                    if let Some(socket) = sockets.get(transmit.path.local.socket.0 as usize) {
                        // Whatever the network or the kernel says: a datagram that did not leave is a lost one.
                        let _ = socket.send(traffic, &transmit, &outgoing[..transmit.len]);
                    }
                }
                Output::Event(event) => tell(now, endpoint, event),
                Output::TooSmall => unreachable!("the buffer holds the longest datagram of UDP"),
                Output::Idle { wake } => return wake.map(|wake| wake.at),
            }
        }
        Some(clock.now())
    }
}

fn timespec(duration: Duration) -> Timespec {
    let duration = duration.min(LONGEST_WAIT);
    Timespec { tv_sec: duration.as_secs().try_into().unwrap_or(0), tv_nsec: duration.subsec_nanos().into() }
}

#[cfg(test)]
mod tests {
    use peregrine::{Ecn, FourTuple, Transmit};

    use super::*;

    const LOOPBACK: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

    fn two_sockets() -> (Driver, SocketKey, SocketKey) {
        let mut driver = Driver::starting_at(Instant::ZERO);
        let mut bind = || driver.bind(LOOPBACK.into()).expect("loopback has a free port");
        let (here, there) = (bind(), bind());
        (driver, here, there)
    }

    fn send(driver: &mut Driver, from: SocketKey, to: SocketAddr, len: usize, segment: u16, ecn: Ecn) {
        let path = FourTuple { local: driver.local(from), remote: to };
        let transmit = Transmit { path, ecn, len, segment: segment.try_into().ok() };
        let Driver { sockets, traffic, .. } = driver;
        sockets[from.0 as usize].send(traffic, &transmit, &vec![7; len]).expect("the kernel takes it");
    }

    /// What arrives until nothing has arrived for 50 ms: on which socket, how marked, and the datagrams' lengths.
    fn arrivals(driver: &mut Driver) -> Vec<(SocketKey, Ecn, usize)> {
        let mut arrivals = Vec::new();
        loop {
            let before = arrivals.len();
            let until = driver.now() + Duration::from_millis(50);
            let deliver = |_, arrival: Arrival, bytes: &mut [u8]| {
                let segment = arrival.segment.map_or(bytes.len(), |segment| segment.get().into());
                let socket = arrival.path.local.socket;
                arrivals.extend(bytes.chunks(segment).map(|datagram| (socket, arrival.ecn, datagram.len())));
            };
            driver.receive(Some(until), deliver).expect("the sockets are sound");
            if arrivals.len() == before {
                return arrivals;
            }
        }
    }

    #[test]
    fn a_train_arrives_as_datagrams_with_its_mark() {
        let (mut driver, here, there) = two_sockets();
        let to = driver.address(there);
        send(&mut driver, here, to, 2500, 1200, Ecn::Ect0);
        let lengths = [1200, 1200, 100];
        assert_eq!(arrivals(&mut driver), lengths.map(|len| (there, Ecn::Ect0, len)));
    }

    #[test]
    fn a_train_costs_one_call_where_the_kernel_cuts_it() {
        let (mut driver, here, there) = two_sockets();
        let to = driver.address(there);
        send(&mut driver, here, to, 2500, 1200, Ecn::NotEct);
        arrivals(&mut driver);
        let Traffic { sends, sent, received, .. } = driver.traffic();
        let calls = if driver.sockets[0].longest_train() < 3 { 3 } else { 1 };
        assert_eq!((sends, sent, received), (calls, 3, 3));
    }

    #[test]
    fn a_busy_socket_does_not_keep_the_others_from_being_heard() {
        let (mut driver, here, there) = two_sockets();
        let (busy, quiet) = (driver.address(here), driver.address(there));
        send(&mut driver, there, busy, 100, 0, Ecn::NotEct);
        send(&mut driver, here, quiet, 100, 0, Ecn::NotEct);
        let mut heard = Vec::new();
        for _ in 0..2 * TURNS_UNASKED {
            send(&mut driver, there, busy, 100, 0, Ecn::NotEct);
            let deliver = |_, arrival: Arrival, _: &mut [u8]| heard.push(arrival.path.local.socket);
            driver.receive(Some(Instant::ZERO), deliver).expect("the sockets are sound");
        }
        assert!(heard.contains(&there) && driver.traffic().waits < TURNS_UNASKED.into(), "{heard:?}");
    }

    #[test]
    fn a_socket_that_moved_keeps_its_key() {
        let (mut driver, here, there) = two_sockets();
        let former = driver.address(there);
        driver.rebind(there, LOOPBACK.into()).expect("loopback has a free port");
        assert_ne!(driver.address(there), former);
        let to = driver.address(there);
        send(&mut driver, here, to, 100, 0, Ecn::NotEct);
        assert_eq!(arrivals(&mut driver), [(there, Ecn::NotEct, 100)]);
    }

    #[test]
    fn a_socket_that_lost_its_options_has_them_again() {
        let (mut driver, here, there) = two_sockets();
        let to = driver.address(there);
        let mark = |driver: &mut Driver| {
            send(driver, here, to, 100, 0, Ecn::Ect0);
            arrivals(driver).into_iter().map(|(_, mark, _)| mark).collect::<Vec<_>>()
        };
        assert_eq!(mark(&mut driver), [Ecn::Ect0]);
        // One of those that CRIU loses.
        let lost = rustix::net::sockopt::set_ip_recvtos(driver.sockets[there.0 as usize].udp(), false);
        lost.expect("the kernel knows the option");
        assert_eq!(mark(&mut driver), [Ecn::NotEct]);
        driver.refresh(there).expect("the socket is sound");
        assert_eq!((driver.address(there), mark(&mut driver)), (to, vec![Ecn::Ect0]));
    }

    #[test]
    fn something_else_ends_the_wait_and_is_told() {
        use std::io::Write;
        let (mut driver, ..) = two_sockets();
        let (mut far, near) = std::os::unix::net::UnixStream::pair().expect("the kernel has two");
        let wait = |driver: &mut Driver, until| {
            let other = [PollFd::new(&near, PollFlags::IN)];
            driver.receive_beside(until, &other, |_, _, _| {}).expect("the sockets are sound")
        };
        assert!(!wait(&mut driver, Some(Instant::ZERO)));
        far.write_all(b"!").expect("there is room");
        // Without an end to the wait: else this would never return.
        assert!(wait(&mut driver, None));
    }

    /// The host that a server has left answers what is sent there with an ICMP message, which the kernel reports to a
    /// connected socket as an error of whatever it is asked next.
    #[test]
    fn a_connected_socket_outlives_that_its_peer_is_gone() {
        let (mut driver, here, there) = two_sockets();
        let former = driver.address(there);
        driver.sockets[here.0 as usize].udp().connect(former).expect("it is there");
        driver.rebind(there, LOOPBACK.into()).expect("loopback has a free port");
        for _ in 0..3 {
            // Sent, or not since an error was waiting; received, or that error.
            let _ = driver.sockets[here.0 as usize].udp().send(b"?");
            assert_eq!(arrivals(&mut driver), []);
        }
    }

    #[test]
    fn a_socket_of_both_families_tells_and_takes_addresses_of_ipv4_as_such() {
        let (mut driver, here, _) = two_sockets();
        let both = driver.bind("[::]:0".parse().expect("an address")).expect("IPv6 is there");
        let (home, port) = (driver.address(here), driver.address(both).port());
        send(&mut driver, here, (LOOPBACK.0, port).into(), 100, 0, Ecn::Ect0);
        let mut path = None;
        let until = driver.now() + Duration::from_secs(10);
        driver
            .receive(Some(until), |_, arrival, _| path = Some(arrival.path))
            .expect("the sockets are sound");
        let path = path.expect("it has come");
        assert_eq!((path.remote, path.local.ip), (home, Some(LOOPBACK.0.into())));
        let back = Transmit { path, ecn: Ecn::Ect0, len: 100, segment: None };
        let Driver { sockets, traffic, .. } = &mut driver;
        sockets[both.0 as usize].send(traffic, &back, &[7; 100]).expect("the kernel takes it");
        assert_eq!(arrivals(&mut driver), [(here, Ecn::Ect0, 100)]);
    }

    #[test]
    fn nobody_at_the_other_end_is_no_error() {
        let (mut driver, here, there) = two_sockets();
        let former = driver.address(there);
        driver.rebind(there, LOOPBACK.into()).expect("loopback has a free port");
        for _ in 0..3 {
            send(&mut driver, here, former, 100, 0, Ecn::NotEct);
            assert_eq!(arrivals(&mut driver), []);
        }
    }

    #[test]
    fn a_continued_clock_goes_on_from_where_it_stopped() {
        let frozen = Instant::from_millis(600_000);
        let now = Driver::starting_at(frozen).now();
        assert!(now >= frozen && now < frozen + Duration::from_secs(60));
    }
}
