//! Resumption and 0-RTT: data before the handshake, taken or not, lost, delayed, repeated, and under other limits.

mod moves;
mod refused;
mod replays;
mod scene;
mod taken;
mod trouble;
mod versions;
