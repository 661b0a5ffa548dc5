//! An application's own order of asking a pool (reference, Section 7).

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use peregrine::{
    AddressScheduler, ClientConfig, MigrationConfig, MigrationTarget, MoveOrder, RelocationPlan,
    ServerConfig, Strategy,
};

use sim::{Client, Verdict, World, addr, ms, secs, tls};
use stage::moves::{AWAY, HOME, target};

/// Where the server may be.
const POOL: [&str; 3] = ["20.0.5.1:443", "20.0.5.2:443", AWAY];

/// Asks the member that was named last first, and each once a round.
#[derive(Default)]
struct LastFirst {
    members: Vec<MigrationTarget>,
    asked: usize,
}

impl AddressScheduler for LastFirst {
    fn insert(&mut self, target: MigrationTarget) -> bool {
        self.members.push(target);
        true
    }
    fn contains(&self, address: SocketAddr) -> bool {
        self.members.iter().any(|member| member.names(address))
    }
    fn set_current(&mut self, _: Option<MigrationTarget>) {}
    fn current(&self) -> Option<MigrationTarget> {
        None
    }
    fn next(&mut self) -> Option<MigrationTarget> {
        let next = self.members.iter().rev().nth(self.asked).copied();
        self.asked = if next.is_some() { self.asked + 1 } else { 0 };
        next
    }
    fn restart(&mut self) {
        self.asked = 0;
    }
    fn members(&self, each: &mut dyn FnMut(MigrationTarget)) {
        self.members.iter().copied().for_each(each);
    }
}

/// The addresses that a client sought first, a round of them, while its server was nowhere.
fn first_round(offer: MigrationConfig) -> Vec<SocketAddr> {
    let mut world = World::new();
    let permits = MigrationConfig::new(Strategy::Pool.into()).pool(POOL.map(target).into());
    let server = ServerConfig::new(tls::server()).migration(permits).expect("a permit that can be");
    let server = world.server_with(HOME, server);
    let host = world.client("30.0.0.1:5000");
    let config = ClientConfig::new(tls::client()).migration(offer).expect("an offer that can be");
    let conn = world.connect_with(host, HOME, Arc::new(config), Client::echoes(100, ms(20)));
    world.run_for(ms(300));
    let sought = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&sought);
    world.tap(move |_, datagram| {
        if datagram.from == addr("30.0.0.1:5000") && datagram.to != addr(HOME) {
            seen.borrow_mut().push(datagram.to);
        }
        Verdict::Pass
    });
    world.prepare(server, RelocationPlan::uniform(MoveOrder::Pool));
    world.run_until_ready(server, secs(1));
    world.freeze(server);
    world.run_for(secs(1));
    world.thaw(server);
    world.relocate(server, AWAY, ms(10));
    world.run_well(secs(20));
    assert_eq!(world.connection(conn).expect("open").remote(), addr(AWAY));
    let sought = sought.borrow();
    sought[..3].to_vec()
}

#[test]
fn a_pool_is_sought_in_the_order_of_the_applications_scheduler() {
    let offer = MigrationConfig::new(Strategy::Pool.into());
    assert_eq!(first_round(offer.clone()), POOL.map(addr));
    let last_first = offer.scheduler(Arc::new(|_| Box::new(LastFirst::default())));
    assert_eq!(first_round(last_first), [POOL[2], POOL[1], POOL[0]].map(addr));
}
