//! The terms that hold for both libraries alike.

use std::fmt;
use std::time::Duration;

use indicatif::BinaryBytes;

use crate::driver::KERNEL_BUFFER;
use crate::options::Plan;

/// UDP payload of a full datagram, in bytes: what an Ethernet carries over IPv6. Neither library looks for more unless
/// both are told to.
pub const DATAGRAM: u16 = 1452;
/// First congestion window of a connection, in bytes: more than is ever in flight.
pub const CONGESTION_WINDOW: u64 = 64 << 20;
/// How long nothing may arrive before a transfer counts as stalled.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How often an end looks whether the other one has given up.
pub const GLANCE: Duration = Duration::from_millis(100);
/// The code with which the server closes a connection whose every byte it has verified.
pub const VERIFIED: u32 = 1;

/// Bytes that may be under way on all connections together, unless they are many: the kernel has room for them.
const WINDOW: u64 = KERNEL_BUFFER as u64;
/// Bytes that may be under way on one of many connections: a train.
const LEAST_WINDOW: u64 = 64 << 10;

/// How many bytes a receiver permits a sender to be ahead, on each of so many connections.
pub fn receive_window(connections: u16) -> u64 {
    (WINDOW / u64::from(connections)).max(LEAST_WINDOW)
}

/// How many bytes a sender keeps until they are acknowledged: there is always more to send.
pub fn send_buffer(connections: u16) -> u64 {
    2 * receive_window(connections)
}

/// What both are told, and how it is measured.
pub struct Header(pub Plan);

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { size, connections, rounds, mtu } = self.0;
        writeln!(f, "{}, connections: {connections}, rounds of both in turn: {rounds}", BinaryBytes(size))?;
        writeln!(
            f,
            "the same for both: TLS_AES_128_GCM_SHA256, one certificate, datagrams of {DATAGRAM} bytes, CUBIC"
        )?;
        if let Some(mtu) = mtu {
            writeln!(f, "  and then as large as the path carries them, up to {mtu} bytes")?;
        }
        writeln!(
            f,
            "  windows of a connection: {} receive, {} send, {} congestion; socket buffers of {}",
            BinaryBytes(receive_window(connections)),
            BinaryBytes(send_buffer(connections)),
            BinaryBytes(CONGESTION_WINDOW),
            BinaryBytes(KERNEL_BUFFER as u64),
        )?;
        writeln!(
            f,
            "  a thread for the client and one for the server; GSO and GRO as either driver uses them"
        )
    }
}
