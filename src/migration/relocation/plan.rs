//! What the embedder asks for when a whole server is to move (server-migration rules, 4.1, 4.2, 4.3, 4.6).
//!
//! Only wishes: whether they suit the connections is checked by the endpoint, before anything happens.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::frame::MigrationTarget;
use crate::id::ConnectionHandle;
use crate::varint::VarInt;

/// Announcements per second unless a plan says otherwise.
pub const ANNOUNCE_RATE: u32 = 20_000;

/// How one connection is to move (reference, Section 3.2). Which order is possible was settled in the handshake:
/// [`Agreement`](crate::Agreement).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MoveOrder {
    /// To this address, which the client is told beforehand.
    Explicit(MigrationTarget),
    /// To one of the pool's addresses, which the client knows already.
    Pool,
    /// Anywhere; the client learns the address from the first packet that comes from it.
    Symmetric,
    /// Anywhere; the client is told beforehand that a move comes, and not where to.
    SynchronizedSymmetric,
}

/// How an endpoint prepares to move with all its connections (rules, 4.1 to 4.3; reference, Section 5.1).
///
/// Connections that the plan does not name, that are still in the handshake, or that cannot follow their
/// order are closed. From then until the move or a cancel no handshake is begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelocationPlan {
    orders: Orders,
    terms: Terms,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Orders {
    Uniform(MoveOrder),
    PerConnection(BTreeMap<ConnectionHandle, MoveOrder>),
}

/// The settings of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Terms {
    /// Connections that are not ready this long after the plan was made are closed.
    pub deadline: Option<Duration>,
    /// What closed connections are told.
    pub code: VarInt,
    /// The same, for people.
    pub reason: Vec<u8>,
    /// Whether connections that cannot follow their order are left as they are.
    pub keep_unfit: bool,
    /// Whether Initials are answered with CONNECTION_REFUSED while the plan is pending.
    pub refuse_initials: bool,
    /// Announcements per second after the move, at least 1.
    pub announce_rate: u32,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            deadline: None,
            code: VarInt::ZERO,
            reason: b"server migrated".to_vec(),
            keep_unfit: false,
            refuse_initials: false,
            announce_rate: ANNOUNCE_RATE,
        }
    }
}

impl RelocationPlan {
    /// The same order for every connection.
    pub fn uniform(order: MoveOrder) -> Self {
        Self { orders: Orders::Uniform(order), terms: Terms::default() }
    }

    /// An order for each connection named, the last one if it is named twice; the others are closed.
    pub fn per_connection(orders: impl IntoIterator<Item = (ConnectionHandle, MoveOrder)>) -> Self {
        Self { orders: Orders::PerConnection(orders.into_iter().collect()), terms: Terms::default() }
    }

    /// Closes connections that are not ready this long after the plan was made; zero closes all that are not ready at
    /// once. Default: waits for all, for as long as they live.
    #[must_use]
    pub fn deadline(mut self, after: Duration) -> Self {
        self.terms.deadline = Some(after);
        self
    }

    /// What connections that are closed are told: an application's code (0 to 2^62 - 1), and a reason for people, of which as
    /// much is sent as one datagram holds (RFC 9000, Section 19.19). Default 0, "server migrated".
    #[must_use]
    pub fn close_with(mut self, code: VarInt, reason: &[u8]) -> Self {
        self.terms.code = code;
        self.terms.reason = reason.to_vec();
        self
    }

    /// Leaves connections that cannot follow their order as they are, instead of closing them. They are lost if nothing
    /// reaches them after the move. Connections that are not named, or in the handshake, are closed all the same.
    #[must_use]
    pub fn keep_unfit(mut self) -> Self {
        self.terms.keep_unfit = true;
        self
    }

    /// Answers Initials with CONNECTION_REFUSED while the plan is pending (RFC 9000, Section 20.1). By default they are
    /// dropped silently, and a client that sends them again after the move is admitted.
    #[must_use]
    pub fn refuse_initials(mut self) -> Self {
        self.terms.refuse_initials = true;
        self
    }

    /// Spreads the announcements after the move: so many connections a second, at least 1. Default 20 000.
    #[must_use]
    pub fn announce_rate(mut self, per_second: u32) -> Self {
        self.terms.announce_rate = per_second.max(1);
        self
    }

    /// What the plan orders this connection; `None` if it does not name it.
    pub(crate) fn order(&self, handle: ConnectionHandle) -> Option<MoveOrder> {
        match &self.orders {
            Orders::Uniform(order) => Some(*order),
            Orders::PerConnection(orders) => orders.get(&handle).copied(),
        }
    }

    /// The connections that it names; none if it means all.
    pub(crate) fn named(&self) -> impl Iterator<Item = ConnectionHandle> + '_ {
        let orders = match &self.orders {
            Orders::Uniform(_) => None,
            Orders::PerConnection(orders) => Some(orders),
        };
        orders.into_iter().flat_map(|orders| orders.keys().copied())
    }

    /// Its settings.
    pub(crate) fn terms(&self) -> &Terms {
        &self.terms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ConnectionHandle = ConnectionHandle { slot: 1, generation: 0 };
    const TWO: ConnectionHandle = ConnectionHandle { slot: 2, generation: 0 };
    const THREE: ConnectionHandle = ConnectionHandle { slot: 3, generation: 0 };

    #[test]
    fn a_uniform_plan_orders_every_connection_the_same_and_names_none() {
        let plan = RelocationPlan::uniform(MoveOrder::Pool);
        assert_eq!(plan.order(ONE), Some(MoveOrder::Pool));
        assert_eq!(plan.order(TWO), Some(MoveOrder::Pool));
        assert_eq!(plan.named().count(), 0);
    }

    #[test]
    fn a_plan_per_connection_orders_only_those_it_names() {
        let plan = RelocationPlan::per_connection([(TWO, MoveOrder::Pool), (ONE, MoveOrder::Symmetric)]);
        assert_eq!(plan.order(ONE), Some(MoveOrder::Symmetric));
        assert_eq!(plan.order(TWO), Some(MoveOrder::Pool));
        assert_eq!(plan.order(THREE), None);
        assert_eq!(plan.named().collect::<Vec<_>>(), [ONE, TWO]);
    }

    #[test]
    fn of_two_orders_for_one_connection_the_last_counts() {
        let plan = RelocationPlan::per_connection([(ONE, MoveOrder::Pool), (ONE, MoveOrder::Symmetric)]);
        assert_eq!(plan.order(ONE), Some(MoveOrder::Symmetric));
    }

    #[test]
    fn a_handle_of_a_later_connection_in_the_same_slot_is_not_named() {
        let plan = RelocationPlan::per_connection([(ONE, MoveOrder::Pool)]);
        assert_eq!(plan.order(ConnectionHandle { slot: 1, generation: 1 }), None);
    }

    #[test]
    fn by_default_a_plan_waits_closes_the_unfit_politely_and_is_silent_to_newcomers() {
        let terms = Terms {
            deadline: None,
            code: VarInt::ZERO,
            reason: b"server migrated".to_vec(),
            keep_unfit: false,
            refuse_initials: false,
            announce_rate: 20_000,
        };
        assert_eq!(*RelocationPlan::uniform(MoveOrder::Symmetric).terms(), terms);
    }

    #[test]
    fn every_setting_is_taken() {
        let plan = RelocationPlan::uniform(MoveOrder::SynchronizedSymmetric)
            .deadline(Duration::from_secs(2))
            .close_with(VarInt::from_u32(7), b"bye")
            .keep_unfit()
            .refuse_initials()
            .announce_rate(100);
        let terms = Terms {
            deadline: Some(Duration::from_secs(2)),
            code: VarInt::from_u32(7),
            reason: b"bye".to_vec(),
            keep_unfit: true,
            refuse_initials: true,
            announce_rate: 100,
        };
        assert_eq!(*plan.terms(), terms);
    }

    #[test]
    fn no_announcements_a_second_means_one() {
        assert_eq!(RelocationPlan::uniform(MoveOrder::Pool).announce_rate(0).terms().announce_rate, 1);
    }
}
