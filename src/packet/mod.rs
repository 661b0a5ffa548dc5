//! Packets: headers, numbers, coalescing, and the writers that fill datagrams (RFC 9000, Section 17).

pub mod number;
mod writer;

pub use writer::{Allowance, DatagramWriter, Draft, Full, Header, PacketWriter, TAG_LEN};
