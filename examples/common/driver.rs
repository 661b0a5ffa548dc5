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

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use peregrine::{Arrival, Ecn, Endpoint, Event, FourTuple, Instant, Local, Output, SocketKey, Transmit};
use quinn_udp::{BATCH_SIZE, EcnCodepoint, RecvMeta, UdpSocketState};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use smallvec::SmallVec;

/// Trains taken from a socket by one system call, at most: 32 where the kernel can give several.
const TRAINS: usize = BATCH_SIZE;
/// Room for one received train: a UDP datagram is never longer, nor is what GRO makes of several.
const TRAIN_ROOM: usize = 1 << 16;
/// The longest train that is sent: what fits into one IPv4 packet of 65 535 bytes, which GSO is not allowed to exceed.
const TRAIN_LIMIT: usize = 65_507;
/// Trains that one endpoint may send before the others are heard again. Fewer than are taken in at a time, since each
/// is acknowledged: a queue of acknowledgements that only grows would be a round trip that only grows.
const TRAINS_A_TURN: usize = 16;
/// Bytes the kernel is asked to keep for us, each way; it may grant less.
const KERNEL_BUFFER: usize = 4 << 20;
/// Some platforms cannot wait for weeks; returning early costs nothing.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// How long a full send buffer is waited for before the datagrams count as lost.
const SEND_PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

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

/// A socket with all that the platform offers switched on: GSO, GRO, ECN, no fragmentation.
#[derive(Debug)]
struct Socket {
    udp: UdpSocket,
    state: UdpSocketState,
    address: SocketAddr,
}

impl Socket {
    fn bind(address: SocketAddr) -> io::Result<Self> {
        let udp = UdpSocket::bind(address)?;
        let state = UdpSocketState::new((&udp).into())?;
        // Larger buffers are a favour, not a need: what the kernel drops, QUIC sends again.
        let _ = state.set_recv_buffer_size((&udp).into(), KERNEL_BUFFER);
        let _ = state.set_send_buffer_size((&udp).into(), KERNEL_BUFFER);
        Ok(Self { address: udp.local_addr()?, udp, state })
    }

    /// Sends a train in one system call, or its datagrams one by one where the kernel cannot cut it.
    fn send(&self, transmit: &Transmit, bytes: &[u8]) -> io::Result<()> {
        let segment = transmit.segment.map(|segment| usize::from(segment.get()));
        let datagrams = segment.map_or(1, |segment| bytes.len().div_ceil(segment));
        if datagrams <= self.state.max_gso_segments() {
            match self.send_once(transmit, bytes, segment) {
                // The state has just learned that this kernel or card refuses trains.
                Err(_) if datagrams > self.state.max_gso_segments() => {}
                sent => return sent,
            }
        }
        transmit.datagrams(bytes).try_for_each(|datagram| self.send_once(transmit, datagram, None))
    }

    fn send_once(&self, transmit: &Transmit, contents: &[u8], segment_size: Option<usize>) -> io::Result<()> {
        let train = quinn_udp::Transmit {
            destination: transmit.path.remote,
            ecn: codepoint(transmit.ecn),
            contents,
            segment_size,
            // A socket bound to one address sends from there; only a wildcard socket must be told.
            src_ip: if self.address.ip().is_unspecified() { transmit.path.local.ip } else { None },
        };
        match self.state.try_send((&self.udp).into(), &train) {
            Err(full) if full.kind() == io::ErrorKind::WouldBlock => {
                poll(&mut [PollFd::new(&self.udp, PollFlags::OUT)], Some(&SEND_PATIENCE))?;
                self.state.try_send((&self.udp).into(), &train)
            }
            sent => sent,
        }
    }
}

/// Sockets, a clock, and the buffers between them and an endpoint.
#[derive(Debug)]
pub struct Driver {
    clock: Clock,
    sockets: Vec<Socket>,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
}

impl Driver {
    /// A driver without sockets whose clock shows `at` now.
    ///
    /// A server that was frozen is given the time at which it froze: to its timers the time between did not pass.
    pub fn starting_at(at: Instant) -> Self {
        Self {
            clock: Clock::starting_at(at),
            sockets: Vec::new(),
            incoming: vec![0; TRAINS * TRAIN_ROOM],
            outgoing: vec![0; TRAIN_LIMIT],
        }
    }

    /// The time, as the endpoints are told it.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Opens a socket; port 0 lets the kernel choose one.
    ///
    /// # Errors
    ///
    /// The address is not ours, or its port is taken.
    pub fn bind(&mut self, address: SocketAddr) -> io::Result<SocketKey> {
        let key = SocketKey(u32::try_from(self.sockets.len()).expect("sockets are fewer than 2^32"));
        self.sockets.push(Socket::bind(address)?);
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
        self.sockets[key.0 as usize] = Socket::bind(address)?;
        Ok(())
    }

    /// Where a socket is bound.
    pub fn address(&self, key: SocketKey) -> SocketAddr {
        self.sockets[key.0 as usize].address
    }

    /// A socket as the library calls it.
    pub fn local(&self, key: SocketKey) -> Local {
        let ip = self.address(key).ip();
        Local { socket: key, ip: (!ip.is_unspecified()).then_some(ip) }
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
        mut deliver: impl FnMut(Instant, Arrival, &mut [u8]),
    ) -> io::Result<()> {
        let Self { clock, sockets, incoming, .. } = self;
        let timeout = until.map(|until| timespec(until.since(clock.now())));
        let mut waiting: SmallVec<[PollFd<'_>; 16]> =
            sockets.iter().map(|socket| PollFd::new(&socket.udp, PollFlags::IN)).collect();
        match poll(&mut waiting, timeout.as_ref()) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        for ((key, socket), ready) in (0..).map(SocketKey).zip(sockets.iter()).zip(&waiting) {
            if ready.revents().is_empty() {
                continue;
            }
            let mut metas = [RecvMeta::default(); TRAINS];
            let mut rooms = incoming.chunks_mut(TRAIN_ROOM);
            let mut slices: [IoSliceMut<'_>; TRAINS] =
                std::array::from_fn(|_| IoSliceMut::new(rooms.next().unwrap_or_default()));
            let trains = match socket.state.recv((&socket.udp).into(), &mut slices, &mut metas) {
                Ok(trains) => trains,
                Err(error) if is_fleeting(&error) => 0,
                Err(error) => return Err(error),
            };
            let now = clock.now();
            for (meta, slice) in metas.iter().zip(&mut slices).take(trains) {
                deliver(now, arrival(key, socket, meta), &mut slice[..meta.len]);
            }
        }
        Ok(())
    }

    /// Sends what `endpoint` has to say and hands its events to `tell`; returns when it wants to be spoken to again.
    ///
    /// Stops after a number of trains, so that the peers' datagrams are taken in before there are too many.
    pub fn speak(
        &mut self,
        endpoint: &mut Endpoint,
        mut tell: impl FnMut(Instant, &mut Endpoint, Event),
    ) -> Option<Instant> {
        let Self { clock, sockets, outgoing, .. } = self;
        let mut trains = 0;
        while trains < TRAINS_A_TURN {
            let now = clock.now();
            match endpoint.poll(now, outgoing) {
                Output::Transmit(transmit) => {
                    trains += 1;
                    if let Some(socket) = sockets.get(transmit.path.local.socket.0 as usize) {
                        // Whatever the network or the kernel says: a datagram that did not leave is a lost one.
                        let _ = socket.send(&transmit, &outgoing[..transmit.len]);
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

fn arrival(socket: SocketKey, bound: &Socket, meta: &RecvMeta) -> Arrival {
    let ip = bound.address.ip();
    let local = Local { socket, ip: if ip.is_unspecified() { meta.dst_ip } else { Some(ip) } };
    let train = meta.stride < meta.len;
    Arrival {
        path: FourTuple { local, remote: meta.addr },
        ecn: meta.ecn.map_or(Ecn::NotEct, mark),
        segment: u16::try_from(meta.stride).ok().filter(|_| train).and_then(|stride| stride.try_into().ok()),
    }
}

fn codepoint(ecn: Ecn) -> Option<EcnCodepoint> {
    match ecn {
        Ecn::NotEct => None,
        Ecn::Ect0 => Some(EcnCodepoint::Ect0),
        Ecn::Ect1 => Some(EcnCodepoint::Ect1),
        Ecn::Ce => Some(EcnCodepoint::Ce),
    }
}

fn mark(codepoint: EcnCodepoint) -> Ecn {
    match codepoint {
        EcnCodepoint::Ect0 => Ecn::Ect0,
        EcnCodepoint::Ect1 => Ecn::Ect1,
        EcnCodepoint::Ce => Ecn::Ce,
    }
}

fn timespec(duration: Duration) -> Timespec {
    let duration = duration.min(LONGEST_WAIT);
    Timespec { tv_sec: duration.as_secs().try_into().unwrap_or(0), tv_nsec: duration.subsec_nanos().into() }
}

/// Whether an error of receiving only reports what became of something sent earlier, or that nothing is there.
fn is_fleeting(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted, NetworkDown, NetworkUnreachable,
        WouldBlock,
    };
    let fleeting = [
        WouldBlock,
        Interrupted,
        ConnectionRefused,
        ConnectionReset,
        HostUnreachable,
        NetworkUnreachable,
        NetworkDown,
    ];
    fleeting.contains(&error.kind())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

    fn two_sockets() -> (Driver, SocketKey, SocketKey) {
        let mut driver = Driver::starting_at(Instant::ZERO);
        let mut bind = || driver.bind(LOOPBACK.into()).expect("loopback has a free port");
        let (here, there) = (bind(), bind());
        (driver, here, there)
    }

    fn send(driver: &Driver, from: SocketKey, to: SocketAddr, len: usize, segment: u16, ecn: Ecn) {
        let path = FourTuple { local: driver.local(from), remote: to };
        let transmit = Transmit { path, ecn, len, segment: segment.try_into().ok() };
        driver.sockets[from.0 as usize].send(&transmit, &vec![7; len]).expect("the kernel takes it");
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
        send(&driver, here, driver.address(there), 2500, 1200, Ecn::Ect0);
        let lengths = [1200, 1200, 100];
        assert_eq!(arrivals(&mut driver), lengths.map(|len| (there, Ecn::Ect0, len)));
    }

    #[test]
    fn a_socket_that_moved_keeps_its_key() {
        let (mut driver, here, there) = two_sockets();
        let former = driver.address(there);
        driver.rebind(there, LOOPBACK.into()).expect("loopback has a free port");
        assert_ne!(driver.address(there), former);
        send(&driver, here, driver.address(there), 100, 0, Ecn::NotEct);
        assert_eq!(arrivals(&mut driver), [(there, Ecn::NotEct, 100)]);
    }

    #[test]
    fn nobody_at_the_other_end_is_no_error() {
        let (mut driver, here, there) = two_sockets();
        let former = driver.address(there);
        driver.rebind(there, LOOPBACK.into()).expect("loopback has a free port");
        for _ in 0..3 {
            send(&driver, here, former, 100, 0, Ecn::NotEct);
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
