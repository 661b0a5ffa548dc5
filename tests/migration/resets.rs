//! Stateless resets around a move (RFC 9000, Section 10.3; migration rules, 2.12 and 3.7).

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use peregrine::{CloseReason, EndpointConfig};

use sim::{Client, Server, Verdict, addr, ms, secs};
use stage::moves::{AWAY, Play, Stage};

#[test]
fn a_server_that_moved_and_lost_its_memory_can_reset_its_clients() {
    for play in Play::ALL {
        let mut scene = Stage::new(play).client(Client::echoes(1000, ms(20)));
        scene.world.run_for(ms(300));
        scene.relocate(AWAY, ms(50));
        scene.world.run_for(secs(3));
        scene.assert_followed(AWAY);
        // The token that the client holds for the ID it uses was given at the old address.
        scene.world.restart(scene.server);
        scene.world.run_for(secs(3));
        assert_eq!(scene.world.closed(scene.conn()), Some(&CloseReason::Reset), "{play:?}");
    }
}

#[test]
fn a_new_server_at_the_old_address_with_the_same_secret_does_not_reset_clients_of_one_that_is_moving() {
    for play in [Play::Reactive, Play::Proactive, Play::Synchronized] {
        let stage = Stage::new(play);
        let mut scene = stage.clients([]);
        let secret = [0x5e; 32];
        // Two servers with one secret: the first one moves, the second one comes to where it was.
        let config = || EndpointConfig::server(Arc::new(stage.server_config())).reset_secret(secret);
        let serve: sim::Serve = || Box::new(Server::default());
        let home = "20.0.1.1:443";
        let server = scene.world.host_with_secret(home, config(), Some(serve));
        let conn = scene.newcomer_at(play, home, Client::upload(3_000_000));
        scene.world.run_for(ms(300));
        let far = scene.world.server_side(conn).expect("the server has it too");
        let plan = peregrine::RelocationPlan::per_connection([(far.handle, play.order(AWAY))]);
        scene.world.prepare(server, plan);
        scene.world.run_until_ready(server, secs(1));
        scene.world.freeze(server);
        scene.world.move_to(server, AWAY);
        scene.world.host_with_secret(home, config(), Some(serve));
        let resets = Rc::new(RefCell::new(0));
        let seen = Rc::clone(&resets);
        scene.world.tap(move |_, datagram| {
            *seen.borrow_mut() += usize::from(datagram.from == addr(home));
            Verdict::Pass
        });
        scene.world.run_for(secs(2));
        assert!(*resets.borrow() > 0, "the second server knows no such connection");
        assert!(scene.world.closed(conn).is_none(), "{play:?}: {:?}", scene.world.closed(conn));
        scene.world.thaw(server);
        scene.world.relocated(server);
        scene.world.run_well(secs(30));
        assert_eq!(scene.world.connection(conn).expect("open").remote(), addr(AWAY), "{play:?}");
    }
}
