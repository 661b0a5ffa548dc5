//! Coming to an agreement on server migration, seen from the ends of whole connections.

use std::sync::Arc;

use peregrine::{
    ClientConfig, ConnectionEvent, MigrationConfig, MigrationError, MoveOrder, RelocationPlan, ServerConfig,
    Strategy, StrategySet,
};

use sim::{Client, Conn, Filtering, Link, Nat, World, addr, for_seeds, ip, ms, secs, tls};
use stage::moves::{AWAY, HOME, target};

type Set = Option<StrategySet>;

const SOME: [Strategy; 2] = [Strategy::Explicit, Strategy::Symmetric];

fn set(strategies: &[Strategy]) -> Set {
    Some(strategies.iter().copied().collect())
}

/// A client that offers this, and a server that permits that.
fn pair(world: &mut World, offered: Set, permitted: Set) -> Conn {
    pair_of(world, offered, permitted.map(MigrationConfig::new))
}

fn pair_of(world: &mut World, offered: Set, permit: Option<MigrationConfig>) -> Conn {
    let mut server = ServerConfig::new(tls::server());
    if let Some(permit) = permit {
        server = server.migration(permit).expect("a permit that can be");
    }
    world.server_with(HOME, server);
    let client = world.client("30.0.0.1:5000");
    let mut config = ClientConfig::new(tls::client());
    if let Some(strategies) = offered {
        config = config.migration(MigrationConfig::new(strategies)).expect("an offer that can be");
    }
    world.connect_with(client, HOME, Arc::new(config), Client::echoes(3, ms(10)))
}

/// What both ends say was agreed; they must say the same.
fn agreed(offered: Set, permitted: Set) -> Set {
    let mut world = World::new();
    let conn = pair(&mut world, offered, permitted);
    world.run_well(secs(5));
    let far = world.server_side(conn).expect("the server has it too");
    let [near, far] = [conn, far].map(|end| {
        let said = world.at(end.host).said(end.handle).find_map(|(_, event)| match event {
            ConnectionEvent::Connected { migration } => Some(*migration),
            _ => None,
        });
        said.expect("it is connected").map(|agreement| agreement.strategies())
    });
    assert_eq!(near, far);
    near
}

#[test]
fn whoever_says_nothing_agrees_to_nothing() {
    assert_eq!(agreed(None, None), None);
    assert_eq!(agreed(None, Some(StrategySet::ALL)), None);
    assert_eq!(agreed(Some(StrategySet::ALL), None), None);
}

#[test]
fn what_both_have_is_agreed_on() {
    for offered in Strategy::ALL {
        for permitted in Strategy::ALL {
            let common: StrategySet =
                [offered].into_iter().filter(|strategy| *strategy == permitted).collect();
            assert_eq!(agreed(set(&[offered]), set(&[permitted])), Some(common));
        }
    }
    assert_eq!(agreed(Some(StrategySet::ALL), set(&SOME)), set(&SOME));
    assert_eq!(agreed(set(&SOME), Some(StrategySet::ALL)), set(&SOME));
    let (offered, permitted) =
        ([Strategy::Symmetric, Strategy::Pool], [Strategy::Explicit, Strategy::Pool, Strategy::Symmetric]);
    assert_eq!(agreed(set(&offered), set(&permitted)), set(&[Strategy::Pool, Strategy::Symmetric]));
}

#[test]
fn a_pool_is_told_to_nobody_who_has_not_agreed_on_it() {
    let pool = Strategy::Pool;
    for (offered, permitted) in [
        (set(&[Strategy::Symmetric]), [pool].into_iter().collect::<StrategySet>()),
        (None, [pool, Strategy::Explicit].into_iter().collect()),
        (set(&[Strategy::Explicit]), [pool, Strategy::Explicit].into_iter().collect()),
    ] {
        let mut world = World::new();
        let permit = MigrationConfig::new(permitted).pool(vec![target(AWAY)]);
        let conn = pair_of(&mut world, offered, Some(permit));
        world.run_well(secs(5));
        let far = world.server_side(conn).expect("the server has it too");
        for end in [conn, far] {
            let told = |(_, event): (_, &ConnectionEvent)| matches!(event, ConnectionEvent::Migration(_));
            assert!(!world.at(end.host).said(end.handle).any(told), "{offered:?}, {permitted:?}");
        }
    }
}

#[test]
fn an_agreement_survives_a_lossy_handshake() {
    for_seeds(30, |seed| {
        let mut world = World::seeded(seed);
        world.links(Link::rtt(ms(40)).loss(0.2).duplication(0.1).reordering(0.2, ms(30)));
        let conn = pair(&mut world, Some(StrategySet::ALL), set(&SOME));
        world.run_until_done(secs(60));
        if let Some(connection) = world.connection(conn).filter(|connection| connection.is_established()) {
            assert!(connection.is_established());
            let agreement = world.with(conn, |_, connection| connection.migration().agreement());
            assert_eq!(agreement.map(|agreement| agreement.strategies()), set(&SOME));
        }
    });
}

#[test]
fn only_what_was_agreed_can_be_ordered() {
    let mut world = World::new();
    let conn = pair(&mut world, set(&[Strategy::Symmetric]), Some(StrategySet::ALL));
    world.run_well(secs(5));
    let far = world.server_side(conn).expect("the server has it too");
    for order in [MoveOrder::Explicit(target(AWAY)), MoveOrder::SynchronizedSymmetric, MoveOrder::Pool] {
        let refused = world.with(far, |now, connection| connection.migration().prepare(now, order));
        assert_eq!(refused, Err(MigrationError::NotAgreed), "{order:?}");
    }
    world
        .with(far, |now, connection| connection.migration().prepare(now, MoveOrder::Symmetric))
        .expect("it was agreed on");
}

#[test]
fn a_client_gives_no_orders() {
    let mut world = World::new();
    let conn = pair(&mut world, Some(StrategySet::ALL), Some(StrategySet::ALL));
    world.run_well(secs(5));
    let refused =
        world.with(conn, |now, connection| connection.migration().prepare(now, MoveOrder::Symmetric));
    assert_eq!(refused, Err(MigrationError::WrongSide));
}

#[test]
fn without_an_agreement_a_server_that_moves_leaves_its_clients_with_a_word() {
    for (offered, permitted) in [(None, None), (set(&[Strategy::Pool]), set(&SOME))] {
        let mut world = World::new();
        let conn = pair(&mut world, offered, permitted);
        world.run_well(secs(5));
        let server = sim::HostId(0);
        world.prepare(server, RelocationPlan::uniform(MoveOrder::Symmetric));
        world.run_until_ready(server, secs(1));
        world.run_for(secs(1));
        let reason = world.closed(conn).expect("the client was told").to_string();
        assert!(reason.contains("server migrated"), "{reason}");
    }
}

#[test]
fn with_migration_off_a_copy_from_elsewhere_is_nothing_to_a_client() {
    let mut world = World::new();
    let conn = pair(&mut world, None, None);
    world.tap(|_, datagram| match datagram.from == addr(HOME) {
        true => sim::Verdict::Copy { from: addr("40.0.0.6:443"), to: datagram.to, after: ms(0) },
        false => sim::Verdict::Pass,
    });
    world.run_well(secs(5));
    world.run_for(secs(1));
    assert_eq!(world.connection(conn).expect("it is open").remote(), addr(HOME));
}

#[test]
fn an_agreement_is_made_behind_a_translator_too() {
    let mut world = World::new();
    world.nat(Nat::new(&[ip("30.0.0.1")], ip("30.0.9.9"), Filtering::AddressAndPortDependent));
    let conn = pair(&mut world, Some(StrategySet::ALL), Some(StrategySet::ALL));
    world.run_well(secs(5));
    let agreement = world.with(conn, |_, connection| connection.migration().agreement());
    assert_eq!(agreement.map(|agreement| agreement.strategies()), Some(StrategySet::ALL));
}
