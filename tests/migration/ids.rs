//! Connection IDs through moves: which are shown where, and how many are spent (RFC 9000, Section 9.5; migration rules,
//! 2.10 and 3.2).

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use peregrine::{ConnectionId, MigrationConfig, StrategySet, TransportConfig, peek};

use crate::forger::wire::NEW_CONNECTION_ID;
use crate::forger::{Setup, Stage as Forged, Victim};
use sim::{Client, Filtering, Verdict, addr, ms, secs};
use stage::log::{assert_no_id_was_on_two_paths, watch};
use stage::moves::{AWAY, BEYOND, HOME, Play, Scene, Stage};

#[test]
fn no_two_places_of_a_server_see_one_connection_id() {
    for play in Play::ALL {
        for filtering in [Filtering::EndpointIndependent, Filtering::AddressAndPortDependent] {
            if filtering != Filtering::EndpointIndependent && Play::SHOWN.contains(&play) {
                continue; // Such a client hears nothing (rules, 5).
            }
            let mut scene = Stage::new(play).behind(filtering).client(Client::upload(400_000));
            let log = watch(&mut scene.world);
            scene.await_connected();
            scene.world.run_for(ms(50));
            scene.relocate(AWAY, ms(300));
            scene.run_well(secs(20));
            scene.assert_followed(AWAY);
            // Seeks, data, acknowledgements and probes, of both sides, to every address of the server.
            assert_no_id_was_on_two_paths(&log);
        }
    }
}

/// The connection IDs that the server has shown from this address so far.
fn shown_from(scene: &mut Scene, place: &str) -> Rc<RefCell<BTreeSet<ConnectionId>>> {
    let ids = Rc::new(RefCell::new(BTreeSet::new()));
    let (seen, place) = (Rc::clone(&ids), addr(place));
    scene.world.tap(move |_, datagram| {
        if datagram.from == place {
            seen.borrow_mut().extend(peek(&datagram.payload, 8));
        }
        Verdict::Pass
    });
    ids
}

#[test]
fn challenges_that_are_repeated_burn_no_connection_ids() {
    for play in Play::ALL {
        let mut scene = Stage::new(play).client(Client::download(400_000));
        scene.await_connected();
        scene.world.run_for(ms(50));
        let ids = shown_from(&mut scene, AWAY);
        // The client hears of the server, and the server's answers to its challenges are lost half of the time.
        let mut number = 0;
        scene.world.tap(move |_, datagram| {
            number += usize::from(datagram.from == addr(AWAY));
            if datagram.from == addr(AWAY) && number % 2 == 0 && number < 20 {
                Verdict::Drop
            } else {
                Verdict::Pass
            }
        });
        scene.relocate(AWAY, ms(100));
        scene.run_well(secs(20));
        scene.assert_followed(AWAY);
        assert_eq!(ids.borrow().len(), 1, "{play:?}");
    }
}

#[test]
fn move_after_move_the_server_has_another_connection_id_to_show() {
    for play in [Play::Reactive, Play::Symmetric, Play::Synchronized] {
        let mut scene = Stage::new(play).client(Client::echoes(800, ms(20)));
        scene.await_connected();
        let log = watch(&mut scene.world);
        scene.world.run_for(ms(100));
        for (round, to) in [AWAY, BEYOND, HOME].into_iter().cycle().take(15).enumerate() {
            scene.relocate(to, ms(50));
            scene.world.run_for(ms(600));
            assert_eq!(scene.completed(scene.conn()), round + 1, "{play:?}");
        }
        scene.run_well(secs(60));
        assert_no_id_was_on_two_paths(&log);
        let server = [HOME, AWAY, BEYOND].map(addr);
        let log = log.borrow();
        let of_the_server = log.iter().filter(|(_, from, ..)| server.contains(from));
        let ids: BTreeSet<_> = of_the_server.filter_map(|(_, _, _, payload)| peek(payload, 8)).collect();
        assert_eq!(ids.len(), 16, "{play:?}: one at first, and one for each move");
    }
}

#[test]
fn a_client_does_not_flood_its_server_with_spare_connection_ids() {
    let setup = Setup::params(|params| params.integer(0x64, 15).integer(0x0e, 100));
    let migration = Some(MigrationConfig::new(StrategySet::ALL));
    let stage =
        Forged::that_migrates(Victim::Client, TransportConfig::default(), migration, &setup).connect();
    // The server would take a hundred.
    assert_eq!(stage.heard(NEW_CONNECTION_ID).len(), 8);
}
