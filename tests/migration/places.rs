//! What a server can make its clients send, and to whom (migration rules, 2.3, 2.4 and 2.11).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use peregrine::{ConnectionEvent, MigrationConfig, MigrationEvent, StrategySet, TransportConfig};

use crate::forger::wire::{POOL_MIGRATION_ADDRESS, words};
use crate::forger::{FORGER, Setup, Stage as Forged, Victim};
use sim::{Client, Verdict, addr, ms, secs};
use stage::moves::{AWAY, HOME, Play, Stage};

#[test]
fn a_third_party_that_a_server_names_gets_small_seeks_and_never_data() {
    for play in Play::NAMED {
        let mut scene = Stage::new(play).clients((0..10).map(|_| Client::upload(1_000_000)));
        scene.await_connected();
        scene.prepare(AWAY);
        let sizes = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&sizes);
        scene.world.tap(move |_, datagram| {
            if datagram.to == addr(AWAY) {
                seen.borrow_mut().push(datagram.payload.len());
            }
            Verdict::Pass
        });
        // Nobody is there, and the server is silent with ten clients in the middle of an upload.
        scene.world.freeze(scene.server);
        scene.world.run_for(secs(10));
        let sizes = sizes.borrow();
        assert!(sizes.iter().all(|size| *size <= 60), "{play:?}: {:?}", sizes.iter().max());
        // Three quick rounds, and four slow seeks a second, of each client.
        assert!((10..=10 * 43).contains(&sizes.len()), "{play:?}: {} seeks", sizes.len());
    }
}

/// POOL_MIGRATION_ADDRESS of 45.1.x.y:443.
fn pool_address(number: u16) -> Vec<u8> {
    let [high, low] = number.to_be_bytes();
    [&words(&[POOL_MIGRATION_ADDRESS])[..], &[45, 1, high, low, 0x01, 0xbb], &[0; 18]].concat()
}

#[test]
fn of_a_pool_without_end_sixteen_members_count() {
    let setup = Setup::params(|params| params.integer(0x64, 2));
    let migration = Some(MigrationConfig::new(StrategySet::ALL));
    let mut stage =
        Forged::that_migrates(Victim::Client, TransportConfig::default(), migration, &setup).connect();
    for first in (0..2000).step_by(40) {
        let frames: Vec<u8> = (first..first + 40).flat_map(pool_address).collect();
        stage.say(&frames);
    }
    stage.goes_on();
    let told = stage.world.at(stage.host).said(stage.conn().handle);
    let told = told
        .filter(|(_, event)| matches!(event, ConnectionEvent::Migration(MigrationEvent::PoolAddress { .. })));
    assert_eq!(told.count(), 16);
    // The server falls silent with a request under way: whom does the client ask?
    let sought: Rc<RefCell<BTreeMap<_, usize>>> = Rc::default();
    let seen = Rc::clone(&sought);
    stage.world.tap(move |_, datagram| {
        if datagram.to != addr(FORGER) {
            *seen.borrow_mut().entry(datagram.to).or_default() += 1;
        }
        Verdict::Pass
    });
    stage.speak(|_, ours| {
        let id = ours.open(peregrine::Dir::Uni).expect("the forger permits it");
        ours.send(id).expect("open").write(b"request").expect("there is room");
    });
    stage.world.run_for(secs(20));
    let sought = sought.borrow();
    assert_eq!(sought.len(), 16);
    assert!(sought.values().sum::<usize>() <= 16 * 3 + 4 * 20, "{sought:?}");
}

#[test]
fn a_client_is_sent_nowhere_that_its_policy_forbids() {
    // By the default one: from a server on the Internet to loopback, to private and to link-local hosts.
    for forbidden in ["127.0.0.1:443", "10.0.0.7:443", "192.168.0.7:443", "169.254.0.7:443", "224.0.0.7:443"]
    {
        for play in [Play::Reactive, Play::Proactive, Play::Pool(1)] {
            let mut scene = Stage::new(play).pool(&[forbidden]).client(Client::upload(400_000));
            scene.await_connected();
            stage::trials::forbid_datagrams_to(&mut scene, &[forbidden]);
            let plan = peregrine::RelocationPlan::uniform(play.order(forbidden));
            scene.world.prepare(scene.server, plan);
            scene.world.run_for(ms(100));
            scene.world.freeze(scene.server);
            scene.world.run_for(secs(5));
            scene.world.thaw(scene.server);
            scene.world.run_well(secs(30));
            assert_eq!(scene.world.connection(scene.conn()).expect("open").remote(), addr(HOME));
        }
    }
}
