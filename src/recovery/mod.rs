//! Loss recovery (RFC 9002): what was sent, what became of it, and when to doubt.
//!
//! A path owns an [`Rtt`], a [`Pacer`] and a [`congestion::Window`].

pub mod congestion;
mod fates;
mod pacer;
mod received;
mod rtt;

pub use fates::{Fates, PathFate};
pub use pacer::Pacer;
pub use received::Received;
pub use rtt::{Rtt, RttView};
