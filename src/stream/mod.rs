//! Streams and flow control (RFC 9000, Sections 2 to 4).

mod assembler;
mod blocks;
mod fifo;
mod send_buffer;

pub use assembler::{Assembler, TooManyGaps};
pub use blocks::Blocks;
pub use send_buffer::SendBuffer;
