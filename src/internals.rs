//! Decoders and state machines for fuzzing and benchmarks. No promise of stability.

pub use crate::codec::{Encode, Reader, Truncated, Writer};
pub use crate::crypto::{KeyRing, OpenError, ResetKey, Standing};
pub use crate::frame::*;
pub use crate::id::{PacketNumber, PathId, SpaceId};
pub use crate::migration::{
    Action, Actions, Client, ClientInput, ClientSettings, Facts, Heard, Migration, Relocation, Server,
    ServerInput, relocation,
};
pub use crate::negotiation::{Suite, confirm, select};
pub use crate::packet::*;
pub use crate::params::{ClientParams, Common, ServerParams};
pub use crate::range_set::RangeSet;
pub use crate::recovery::{Fates, Recovery, Rtt, RttView, Sent};
pub use crate::stream::{assembler::Assembler, blocks::Blocks, send_buffer::SendBuffer};

/// A handle to feed to [`Relocation`]; it names no connection of an endpoint.
pub fn handle(slot: u32) -> crate::id::ConnectionHandle {
    crate::id::ConnectionHandle { slot, generation: 0 }
}

/// The settings of a plan, as [`relocation::CheckedPlan`] wants them.
pub fn terms(plan: &relocation::RelocationPlan) -> relocation::Terms {
    plan.terms().clone()
}
