//! What closes a client of mvfst's, our server never does, whatever it is ordered.
//!
//! Each test brings the client into the situation of a script, has our server do all that could lead to what the script
//! shows, and then asks the client's model what that would have come to.

use std::net::SocketAddr;

use peregrine::{
    Binding, MigrationConfig, MigrationError, MigrationTarget, MoveOrder, RelocationError, RelocationPlan,
    Strategy, StrategySet,
};

use super::client::{AWAY, BEYOND, Client, HOME};
use super::forger::wire;
use super::model::{EXPLICIT, POOL, SYMMETRIC, SYNCHRONIZED};
use super::scripts::hex;
use sim::{addr, ms, secs};

/// What the scripts say: a target, another one, that of the server's own address, one of IPv6, and none.
const TO_AWAY: &str = "327f0000021771000000000000000000000000000000000000";
const TO_BEYOND: &str = "327f0000031772000000000000000000000000000000000000";
const TO_HOME: &str = "327f0000011770000000000000000000000000000000000000";
const TO_IPV6: &str = "32000000000000000000000000000000000000000000011771";
const EMPTY: &str = "32000000000000000000000000000000000000000000000000";
const MEMBER: &str = "347f0000021771000000000000000000000000000000000000";
const MEMBER_OF_IPV6: &str = "34000000000000000000000000000000000000000000011771";
const MIGRATED: &str = "33";
const PING: &str = "01";

/// Nothing was agreed.
const DISABLED: &str = "Server migration is disabled";
const NOT_SYMMETRIC: &str = "Symmetric protocol not negotiated";

/// A server that permits all strategies and has no pool.
pub fn all() -> MigrationConfig {
    MigrationConfig::new(StrategySet::ALL)
}

/// A server that permits all strategies and has this pool.
pub fn pooled(members: &[&str]) -> MigrationConfig {
    all().pool(members.iter().map(|member| target(member)).collect())
}

/// The target of one address.
pub fn target(address: &str) -> MigrationTarget {
    MigrationTarget::single(addr(address)).expect("a whole endpoint")
}

/// The order of a move to this address.
pub fn explicit(to: &str) -> MoveOrder {
    MoveOrder::Explicit(target(to))
}

/// The target of two addresses.
pub fn both_families() -> MigrationTarget {
    let (SocketAddr::V4(v4), SocketAddr::V6(v6)) = (addr(AWAY), addr("[::1]:6001")) else {
        panic!("one of each")
    };
    MigrationTarget::new(Some(v4), Some(v6)).expect("two whole endpoints")
}

/// All that can be ordered.
pub fn orders() -> [MoveOrder; 4] {
    [explicit(AWAY), MoveOrder::Pool, MoveOrder::Symmetric, MoveOrder::SynchronizedSymmetric]
}

impl Client {
    /// All orders are refused for this reason, and nothing of a migration is said.
    #[track_caller]
    fn hears_of_nothing(&mut self, reason: MigrationError) {
        for order in orders() {
            assert_eq!(self.order(order), Err(reason), "{order:?}");
            self.run_for(ms(100));
        }
        assert_eq!(self.count_all(), 0);
        self.goes_on();
    }

    /// What the script says would have closed it.
    #[track_caller]
    fn closes_at(&self, from: &str, frames: &str, reason: &str) {
        assert_eq!(self.would_close(from, &hex(frames)).as_deref(), Some(reason), "{self:?}");
    }

    /// A plan for all connections is followed by this one or not.
    fn plan(&mut self, plan: RelocationPlan) -> Result<(), RelocationError> {
        let server = self.server;
        self.world.speak(server, |now, endpoint| endpoint.prepare_relocation(now, plan))
    }
}

#[test]
pub fn a_client_that_offered_nothing_hears_no_migration_frame() {
    for permits in [all(), pooled(&[AWAY, BEYOND])] {
        let mut client = Client::offering(None, permits);
        client.hears_of_nothing(MigrationError::Disabled);
        for frames in [MIGRATED, TO_AWAY, MEMBER] {
            client.closes_at(HOME, frames, DISABLED);
        }
    }
}

#[test]
pub fn a_client_with_which_nothing_is_in_common_hears_no_migration_frame() {
    let permits = MigrationConfig::new(Strategy::Symmetric.into());
    let mut client = Client::offering(Some(EXPLICIT), permits);
    client.hears_of_nothing(MigrationError::Disabled);
    client.closes_at(HOME, TO_AWAY, DISABLED);
}

#[test]
pub fn a_server_that_permits_nothing_says_no_migration_frame() {
    let mut client = Client::of_plain_server(Some(EXPLICIT));
    assert_eq!(client.suite(), None);
    client.hears_of_nothing(MigrationError::Disabled);
    client.closes_at(HOME, TO_AWAY, DISABLED);
}

#[test]
pub fn a_suite_is_answered_only_to_whom_offers_one() {
    let client = Client::offering(None, all());
    assert_eq!((client.suite(), client.close), (None, None));
}

#[test]
pub fn an_answer_holds_nothing_that_was_not_offered() {
    let strategies =
        [Strategy::Explicit, Strategy::Pool, Strategy::Symmetric, Strategy::SynchronizedSymmetric];
    for permitted in 1..16 {
        let set = (0..4).filter(|bit| permitted >> bit & 1 == 1).map(|bit| strategies[bit]);
        for offer in [1, 2, 4, 8, 5, 15, 16, 31] {
            let client = Client::offering(Some(offer), MigrationConfig::new(set.clone().collect()));
            assert_eq!(client.suite(), Some(offer & permitted), "{offer} {permitted}");
            assert_eq!(client.close, None);
        }
    }
}

#[test]
pub fn a_pool_is_told_only_to_whom_agreed_on_it() {
    let mut client = Client::offering(Some(EXPLICIT), pooled(&[AWAY, BEYOND]));
    client.prepare(explicit(AWAY));
    assert_eq!(client.count(wire::POOL_MIGRATION_ADDRESS), 0);
    client.closes_at(HOME, MEMBER, "Pool of Addresses protocol not negotiated");
}

#[test]
pub fn a_pool_and_another_strategy_are_not_announced_on_one_connection() {
    let agreed = POOL | SYNCHRONIZED | EXPLICIT | SYMMETRIC;
    let mut client = Client::offering(Some(agreed), pooled(&[AWAY, BEYOND]));
    for order in [explicit(BEYOND), MoveOrder::SynchronizedSymmetric, MoveOrder::Symmetric] {
        assert_eq!(client.order(order), Err(MigrationError::PoolOnly));
        client.run_for(ms(100));
    }
    assert_eq!((client.count(wire::POOL_MIGRATION_ADDRESS), client.count_all()), (2, 2));
    client.goes_on();

    let mut client = Client::offering(Some(agreed), all());
    client.prepare(MoveOrder::SynchronizedSymmetric);
    assert_eq!((client.count(wire::SERVER_MIGRATION), client.count_all()), (1, 1));
    client.closes_at(HOME, MEMBER, "Pool of Addresses protocol took the place of another protocol");
}

#[test]
pub fn a_pool_member_is_told_only_to_clients_of_its_family() {
    let mut client = Client::offering(Some(POOL), pooled(&["[::1]:6001", AWAY]));
    assert_eq!(client.count(wire::POOL_MIGRATION_ADDRESS), 1);
    client.prepare(MoveOrder::Pool);
    let reason = "Received a POOL_MIGRATION_ADDRESS frame not carrying an address of a supported family";
    client.closes_at(HOME, MEMBER_OF_IPV6, reason);
}

#[test]
pub fn what_is_no_whole_address_is_no_target() {
    assert_eq!(MigrationTarget::single(addr("127.0.0.2:0")), None);
    assert_eq!(MigrationTarget::single(addr("0.0.0.0:6001")), None);
    assert_eq!(MigrationTarget::new(None, None), None);
}

#[test]
pub fn explicit_is_not_announced_where_it_was_not_agreed() {
    let mut client = Client::offering(Some(SYMMETRIC), all());
    assert_eq!(client.order(explicit(AWAY)), Err(MigrationError::NotAgreed));
    client.run_for(ms(100));
    assert_eq!(client.count_all(), 0);
    client.closes_at(HOME, TO_AWAY, "Explicit protocol not negotiated");
}

#[test]
pub fn synchronized_is_not_announced_where_it_was_not_agreed() {
    let mut client = Client::offering(Some(EXPLICIT), all());
    assert_eq!(client.order(MoveOrder::SynchronizedSymmetric), Err(MigrationError::NotAgreed));
    client.run_for(ms(100));
    assert_eq!(client.count_all(), 0);
    client.closes_at(HOME, EMPTY, "Synchronized Symmetric protocol not negotiated");
}

#[test]
pub fn after_a_cancelled_synchronized_notice_no_target_is_announced() {
    let mut client = Client::offering(Some(EXPLICIT | SYNCHRONIZED), all());
    client.prepare(MoveOrder::SynchronizedSymmetric);
    client.cancel();
    let bound = MigrationError::Bound { to: Binding::SynchronizedOrSymmetric };
    assert_eq!(client.order(explicit(AWAY)), Err(bound));
    client.run_for(ms(100));
    assert_eq!((client.count(wire::SERVER_MIGRATION), client.count_all()), (1, 1));
    client.closes_at(HOME, TO_AWAY, "Explicit protocol took the place of another protocol");
    client.goes_on();
}

#[test]
pub fn after_a_cancelled_target_no_synchronized_notice_is_said() {
    let mut client = Client::offering(Some(EXPLICIT | SYNCHRONIZED), all());
    client.prepare(explicit(AWAY));
    client.cancel();
    let bound = MigrationError::Bound { to: Binding::SameTarget };
    assert_eq!(client.order(MoveOrder::SynchronizedSymmetric), Err(bound));
    client.run_for(ms(100));
    assert_eq!((client.count(wire::SERVER_MIGRATION), client.count_all()), (1, 1));
    client.closes_at(HOME, EMPTY, "Synchronized Symmetric protocol took the place of another protocol");
    client.goes_on();
}

#[test]
pub fn a_second_target_is_not_announced_before_a_move_completes() {
    let mut client = Client::offering(Some(EXPLICIT), all());
    client.prepare(explicit(AWAY));
    assert_eq!(client.order(explicit(BEYOND)), Err(MigrationError::Busy));
    client.cancel();
    let bound = MigrationError::Bound { to: Binding::SameTarget };
    assert_eq!(client.order(explicit(BEYOND)), Err(bound));
    assert_eq!(client.order(explicit(AWAY)), Ok(()));
    client.run_for(ms(100));
    assert_eq!(client.count(wire::SERVER_MIGRATION), 1);
    client.closes_at(HOME, TO_BEYOND, "Received multiple SERVER_MIGRATION frames with different addresses");
    client.goes_on();
}

#[test]
fn a_target_of_a_move_that_the_client_could_not_see_is_not_followed_by_another() {
    let mut client = Client::offering(Some(EXPLICIT | SYMMETRIC), all());
    client.prepare(explicit(AWAY));
    client.server_moves(HOME);
    client.run_for(secs(2));
    assert_eq!(client.completed(), 1);
    let bound = MigrationError::Bound { to: Binding::SameTarget };
    for order in [explicit(BEYOND), MoveOrder::Symmetric] {
        assert_eq!(client.order(order), Err(bound));
    }
    client.closes_at(HOME, TO_BEYOND, "Received multiple SERVER_MIGRATION frames with different addresses");
    client.goes_on();
}

#[test]
pub fn a_target_of_another_family_is_refused() {
    let mut client = Client::offering(Some(EXPLICIT), all());
    assert_eq!(client.order(explicit("[::1]:6001")), Err(MigrationError::Target));
    let plan = RelocationPlan::uniform(explicit("[::1]:6001"));
    assert_eq!(client.plan(plan), Err(RelocationError::Target));
    client.run_for(ms(100));
    assert_eq!(client.count_all(), 0);
    let reason = "Received a SERVER_MIGRATION frame not carrying an address of a supported family";
    client.closes_at(HOME, TO_IPV6, reason);
    client.goes_on();
}

#[test]
pub fn every_migration_frame_is_whole_and_a_cut_one_would_be_noticed() {
    let mut client = Client::offering(Some(EXPLICIT), all());
    client.prepare(explicit(AWAY));
    client.closes_at(HOME, "3200000000000000000000", "Frame format invalid, type=50");
    let mut client = Client::offering(Some(POOL), pooled(&[AWAY, BEYOND]));
    client.prepare(MoveOrder::Pool);
    let reason = "Frame format invalid, type=52";
    client.closes_at(HOME, "340000000000000000000000000000000000000000000000", reason);
    client.goes_on();
}

#[test]
pub fn a_client_that_cannot_follow_is_closed_at_home_and_hears_nothing_from_elsewhere() {
    for (offer, order, from_away, reason) in [
        (None, MoveOrder::Symmetric, PING, DISABLED),
        (Some(EXPLICIT), MoveOrder::Symmetric, MIGRATED, NOT_SYMMETRIC),
        (Some(EXPLICIT), MoveOrder::SynchronizedSymmetric, PING, NOT_SYMMETRIC),
        (Some(SYNCHRONIZED), MoveOrder::Symmetric, MIGRATED, NOT_SYMMETRIC),
    ] {
        let mut client = Client::offering(offer, all());
        client.closes_at(AWAY, from_away, reason);
        client.plan(RelocationPlan::uniform(order)).expect("it is a plan");
        client.run_for(ms(50));
        let end = client.ended.as_ref().expect("it was told");
        assert_eq!(
            (end.kind, end.words[0], &*end.data),
            (wire::APPLICATION_CLOSE, 0, &b"server migrated"[..])
        );
        client.server_moves(AWAY);
        client.run_for(secs(3));
        assert!(client.heard.iter().all(|packet| packet.from == addr(HOME)));
        assert_eq!(client.close, None);
    }
}

#[test]
pub fn a_client_that_agreed_on_synchronized_alone_is_not_moved_without_notice() {
    let mut client = Client::offering(Some(SYNCHRONIZED), all());
    client.server_moves(AWAY);
    client.run_for(secs(10));
    assert!(client.heard.iter().all(|packet| packet.from == addr(HOME)));
    client.closes_at(AWAY, MIGRATED, NOT_SYMMETRIC);
}

#[test]
pub fn after_a_target_was_announced_nobody_says_server_migrated() {
    for cancelled in [false, true] {
        let mut client = Client::offering(Some(EXPLICIT | SYMMETRIC), all());
        client.prepare(explicit(AWAY));
        if cancelled {
            client.cancel();
        }
        client.server_moves(AWAY);
        client.run_for(secs(2));
        client.asks();
        client.run_for(secs(2));
        assert_eq!((client.count(wire::SERVER_MIGRATED), &client.close), (0, &None));
    }
    let mut client = Client::offering(Some(EXPLICIT | SYMMETRIC), all());
    client.prepare(explicit(AWAY));
    let reason = "Symmetric or Synchronized Symmetric protocol took the place of another protocol";
    client.closes_at(AWAY, MIGRATED, reason);
}

#[test]
fn a_client_that_knows_of_a_pool_is_not_told_server_migrated_though_no_member_was_acknowledged() {
    let mut client = Client::offering_and_mute(Some(POOL | SYMMETRIC), pooled(&[AWAY, BEYOND]));
    assert!(client.count(wire::POOL_MIGRATION_ADDRESS) >= 2);
    client.server_moves(AWAY);
    client.mute_for = 0;
    client.asks();
    client.run_for(secs(3));
    assert_eq!((client.count(wire::SERVER_MIGRATED), client.model.moves()), (0, 1), "{client:?}");
    client.goes_on();
}

#[test]
pub fn the_address_in_use_is_refused_as_a_target() {
    let port = addr(HOME).port();
    let mut client = Client::offering(Some(EXPLICIT), all().port(port));
    assert_eq!(client.order(explicit(HOME)), Err(MigrationError::Target));
    client.run_for(ms(100));
    assert_eq!(client.count_all(), 0);
    client.closes_at(
        HOME,
        TO_HOME,
        "Received a SERVER_MIGRATION frame carrying the current address of the peer",
    );
}
