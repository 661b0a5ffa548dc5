//! A UDP socket with all that the platform offers switched on: GSO, GRO, ECN, no fragmentation.
//!
//! The last is what a search for larger datagrams needs (RFC 8899, Section 3): quinn-udp sets "don't fragment", and has
//! Linux go by the interface's MTU alone (IP_PMTUDISC_PROBE), not by what an ICMP message claimed of the path. A datagram
//! that the interface does not take (EMSGSIZE) counts as one that the path has lost.
//!
//! Sends what the library wrote as one train, and receives trains; where the kernel can do neither it sends and
//! receives datagrams.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};

use peregrine::{Arrival, Ecn, FourTuple, Local, SocketKey, Transmit};
use quinn_udp::{EcnCodepoint, RecvMeta, UdpSocketState};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::KERNEL_BUFFER;
use super::traffic::Traffic;

/// Bytes to be taken at once: what is still in the cache of a processor when it is decrypted, and again when it is read.
const BURST: usize = 256 << 10;
/// How long a full send buffer is waited for before the datagrams count as lost.
const SEND_PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// A bound socket.
#[derive(Debug)]
pub struct Socket {
    key: SocketKey,
    udp: UdpSocket,
    state: UdpSocketState,
    address: SocketAddr,
    /// Bytes in a train that was received, on average of the last burst.
    typical: usize,
}

impl Socket {
    /// Opens a socket that the driver calls `key`.
    pub fn bind(key: SocketKey, address: SocketAddr) -> io::Result<Self> {
        let udp = UdpSocket::bind(address)?;
        Ok(Self { key, address: udp.local_addr()?, state: set_options(&udp)?, udp, typical: 0 })
    }

    /// Sets all options again, and looks again where it is bound.
    ///
    /// A socket that was restored with its process has some of them no longer, and nobody says which: CRIU 4.2 loses
    /// those by which ECN marks and, on a socket of both families, local addresses are read, fragments are forbidden,
    /// and datagrams are gathered into trains.
    pub fn refresh(&mut self) -> io::Result<()> {
        self.state = set_options(&self.udp)?;
        self.address = self.udp.local_addr()?;
        Ok(())
    }

    /// What the driver calls it.
    pub fn key(&self) -> SocketKey {
        self.key
    }

    /// The socket itself, to be waited for.
    pub fn udp(&self) -> &UdpSocket {
        &self.udp
    }

    /// Where it is bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Our end of its paths.
    pub fn local(&self) -> Local {
        let ip = self.address.ip();
        Local { socket: self.key, ip: (!ip.is_unspecified()).then_some(ip) }
    }

    /// Datagrams that one call can send.
    pub fn longest_train(&self) -> usize {
        self.state.max_gso_segments()
    }

    /// Sends a train in one system call, or its datagrams one by one where the kernel cannot cut it.
    pub fn send(&self, traffic: &mut Traffic, transmit: &Transmit, bytes: &[u8]) -> io::Result<()> {
        let segment = transmit.segment.map(|segment| usize::from(segment.get()));
        let datagrams = segment.map_or(1, |segment| bytes.len().div_ceil(segment));
        if datagrams <= self.longest_train() {
            match self.send_once(traffic, transmit, bytes, segment) {
                // The state has just learned that this kernel or card refuses trains.
                Err(_) if datagrams > self.longest_train() => {}
                sent => return sent,
            }
        }
        let mut datagrams = transmit.datagrams(bytes);
        datagrams.try_for_each(|datagram| self.send_once(traffic, transmit, datagram, None))
    }

    fn send_once(
        &self,
        traffic: &mut Traffic,
        transmit: &Transmit,
        contents: &[u8],
        segment_size: Option<usize>,
    ) -> io::Result<()> {
        let train = quinn_udp::Transmit {
            destination: self.spelt_address(transmit.path.remote),
            ecn: codepoint(transmit.ecn),
            contents,
            segment_size,
            // A socket bound to one address sends from there; only a wildcard socket must be told.
            src_ip: transmit
                .path
                .local
                .ip
                .filter(|_| self.address.ip().is_unspecified())
                .map(|ip| self.spelt(ip)),
        };
        match self.state.try_send((&self.udp).into(), &train) {
            Err(full) if full.kind() == io::ErrorKind::WouldBlock => {
                traffic.waits += 1;
                poll(&mut [PollFd::new(&self.udp, PollFlags::OUT)], Some(&SEND_PATIENCE))?;
                self.state.try_send((&self.udp).into(), &train)?;
            }
            sent => sent?,
        }
        traffic.sends += 1;
        traffic.sent += segment_size.map_or(1, |segment| contents.len().div_ceil(segment) as u64);
        Ok(())
    }

    /// An address as this socket writes it: one of both families writes those of IPv4 in IPv6's way.
    fn spelt(&self, ip: IpAddr) -> IpAddr {
        match ip {
            IpAddr::V4(v4) if self.address.is_ipv6() => v4.to_ipv6_mapped().into(),
            IpAddr::V4(_) | IpAddr::V6(_) => ip,
        }
    }

    fn spelt_address(&self, address: SocketAddr) -> SocketAddr {
        match address {
            SocketAddr::V4(v4) => SocketAddr::new(self.spelt((*v4.ip()).into()), v4.port()),
            SocketAddr::V6(_) => address,
        }
    }

    /// Receives trains into `rooms` and tells of them in `metas`; returns how many, zero if there is none.
    ///
    /// Asks for as many as will be a burst if they are like those before.
    pub fn receive(
        &mut self,
        traffic: &mut Traffic,
        rooms: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> io::Result<usize> {
        let wanted = (BURST / self.typical.max(1)).clamp(1, rooms.len());
        let trains = match self.state.recv((&self.udp).into(), &mut rooms[..wanted], metas) {
            Ok(trains) => trains,
            Err(error) if is_fleeting(&error) => return Ok(0),
            Err(error) => return Err(error),
        };
        let metas = &metas[..trains];
        self.typical = metas.iter().map(|meta| meta.len).sum::<usize>() / trains.max(1);
        traffic.receives += 1;
        traffic.received +=
            metas.iter().map(|meta| meta.len.div_ceil(meta.stride.max(1)) as u64).sum::<u64>();
        Ok(trains)
    }

    /// How a train arrived, as the library wants to know it: addresses of IPv4 are told as such on a socket of both
    /// families too, or no target would suit the clients there.
    pub fn arrival(&self, meta: &RecvMeta) -> Arrival {
        let Local { socket, ip } = self.local();
        let local = Local { socket, ip: ip.or(meta.dst_ip.map(|ip| ip.to_canonical())) };
        let remote = match meta.addr.ip().to_canonical() {
            IpAddr::V4(v4) => SocketAddr::new(v4.into(), meta.addr.port()),
            IpAddr::V6(_) => meta.addr,
        };
        let train = meta.stride < meta.len;
        Arrival {
            path: FourTuple { local, remote },
            ecn: meta.ecn.map_or(Ecn::NotEct, mark),
            segment: u16::try_from(meta.stride)
                .ok()
                .filter(|_| train)
                .and_then(|stride| stride.try_into().ok()),
        }
    }
}

/// Switches on all that there is.
fn set_options(udp: &UdpSocket) -> io::Result<UdpSocketState> {
    let state = UdpSocketState::new(udp.into())?;
    // Larger buffers are a favour, not a need: what the kernel drops, QUIC sends again.
    let _ = state.set_recv_buffer_size(udp.into(), KERNEL_BUFFER);
    let _ = state.set_send_buffer_size(udp.into(), KERNEL_BUFFER);
    Ok(state)
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
