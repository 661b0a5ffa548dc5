//! Servers that move, over real sockets on loopback: each strategy, many clients, many moves, both ends at once.
//!
//! The simulator has the trouble; this shows that nothing of it is the simulator's.

#[path = "../../examples/common/driver.rs"]
mod driver;
mod net;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use peregrine::{
    MigrationConfig, MigrationEvent, MoveOrder, RelocationEvent, RelocationPlan, SeekPolicy, Strategy,
    StrategySet,
};

use net::{Net, free, is_completed, target};

const HOME: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const HOME_V6: SocketAddr = SocketAddr::new(std::net::IpAddr::V6(Ipv6Addr::LOCALHOST), 0);

fn only(strategy: Strategy) -> MigrationConfig {
    MigrationConfig::new(strategy.into())
}

/// What a server without a pool may choose from.
fn everything() -> MigrationConfig {
    MigrationConfig::new(StrategySet::ALL)
}

fn completed(strategy: Strategy, to: SocketAddr) -> MigrationEvent {
    MigrationEvent::Completed { strategy, address: Some(to) }
}

/// A client that offers this sees its server move, on each family of addresses.
#[track_caller]
fn follows(offer: &MigrationConfig, strategy: Strategy, order: impl Fn(SocketAddr) -> MoveOrder) {
    for home in [HOME, HOME_V6] {
        let (to, other) = (free(home), free(home));
        let pool = if strategy == Strategy::Pool { vec![target(other), target(to)] } else { Vec::new() };
        let mut net = Net::new(home, only(strategy).pool(pool));
        let client = net.connect(offer.clone());
        net.echo(client);
        net.relocate(RelocationPlan::uniform(order(to)), to);
        net.echo(client);
        net.settle(1);
        assert_eq!(net.said(client).last(), Some(completed(strategy, to)));
        assert_eq!(net.client(client).remote(), to);
        assert_eq!(net.relocations().last(), Some(&RelocationEvent::Settled { moved: 1, lost: 0 }));
    }
}

fn explicit(to: SocketAddr) -> MoveOrder {
    MoveOrder::Explicit(target(to))
}

#[test]
fn a_reactive_client_follows() {
    follows(&only(Strategy::Explicit), Strategy::Explicit, explicit);
}

#[test]
fn a_proactive_client_follows() {
    follows(&only(Strategy::Explicit).seek(SeekPolicy::Proactive), Strategy::Explicit, explicit);
}

#[test]
fn a_client_with_a_pool_follows() {
    follows(&only(Strategy::Pool), Strategy::Pool, |_| MoveOrder::Pool);
}

#[test]
fn a_client_that_agreed_on_symmetric_follows() {
    follows(&only(Strategy::Symmetric), Strategy::Symmetric, |_| MoveOrder::Symmetric);
}

#[test]
fn a_client_that_agreed_on_synchronized_symmetric_follows() {
    let strategy = Strategy::SynchronizedSymmetric;
    follows(&only(strategy), strategy, |_| MoveOrder::SynchronizedSymmetric);
}

#[test]
fn three_clients_follow_at_once_each_by_its_own_strategy() {
    let to = free(HOME);
    let mut net = Net::new(HOME, everything());
    let orders = [explicit(to), MoveOrder::Symmetric, MoveOrder::SynchronizedSymmetric];
    let strategies = [Strategy::Explicit, Strategy::Symmetric, Strategy::SynchronizedSymmetric];
    for strategy in strategies {
        net.connect(only(strategy));
    }
    let plan: Vec<_> = (0..3).map(|number| net.far_end(number)).zip(orders).collect();
    net.relocate(RelocationPlan::per_connection(plan), to);
    net.settle(1);
    for (number, strategy) in strategies.into_iter().enumerate() {
        net.echo(number);
        assert!(net.said(number).any(|event| event == completed(strategy, to)));
    }
}

#[test]
fn one_client_follows_by_one_strategy_after_the_other() {
    let mut net = Net::new(HOME, everything());
    let client = net.connect(everything());
    let places = [free(HOME), free(HOME), free(HOME)];
    let orders = [explicit(places[0]), MoveOrder::Symmetric, MoveOrder::SynchronizedSymmetric];
    for (moves, (order, to)) in (1..).zip(orders.into_iter().zip(places)) {
        net.relocate(RelocationPlan::uniform(order), to);
        net.echo(client);
        net.settle(moves);
        assert_eq!(net.client(client).remote(), to);
    }
}

#[test]
fn a_server_moves_through_its_pool_and_back_home() {
    let (home, to) = (free(HOME), free(HOME));
    let mut net = Net::new(home, only(Strategy::Pool).pool(vec![target(home), target(to)]));
    let client = net.connect(only(Strategy::Pool));
    for (moves, place) in (1..).zip([to, home]) {
        net.relocate(RelocationPlan::uniform(MoveOrder::Pool), place);
        net.echo(client);
        net.settle(moves);
        assert_eq!(net.client(client).remote(), place);
    }
}

#[test]
fn a_client_moves_while_its_server_does() {
    let to = free(HOME);
    let mut net = Net::new(HOME, everything());
    let client = net.connect(only(Strategy::Explicit));
    net.prepare(RelocationPlan::uniform(explicit(to)));
    net.rebind(client);
    net.move_to(to);
    net.echo(client);
    net.settle(1);
    assert_eq!(net.said(client).filter(is_completed).count(), 1);
    assert_eq!(net.moved_clients().len(), 1);
}

#[test]
fn a_server_on_a_wildcard_socket_moves_and_follows_its_clients_still() {
    let wildcard = |port| SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
    let mut net = Net::new(wildcard(0), everything());
    let client = net.connect(everything());
    for moves in 1..=3 {
        let to = free(HOME);
        net.relocate(RelocationPlan::uniform(MoveOrder::Symmetric), wildcard(to.port()));
        net.echo(client);
        net.settle(moves);
        assert_eq!(net.client(client).remote(), to);
        net.rebind(client);
        net.echo(client);
        assert_eq!(net.moved_clients().len(), moves);
    }
}
