//! Who comes while a server is about to move, and what those hear that it leaves behind (migration rules, 4.1 and 4.2).

use std::sync::Arc;
use std::time::Duration;

use peregrine::{CloseReason, EndpointConfig, Local, MoveOrder, RelocationError, RelocationPlan, SocketKey};

use sim::{Client, Server, ip, ms, secs};
use stage::moves::{AWAY, Play, Stage};

fn echo() -> Client {
    Client::echoes(1, Duration::ZERO)
}

#[test]
fn a_switch_that_is_refused_blocks_nobody_for_good() {
    let mut scene = Stage::new(Play::Symmetric).client(Client::echoes(200, ms(20)));
    scene.world.run_for(ms(300));
    scene.prepare(AWAY);
    let v6 = Local { ip: Some(ip("2a00::1")), ..Local::default() };
    let refused =
        scene.world.speak(scene.server, |now, endpoint| endpoint.relocated(now, &[(SocketKey(0), v6)]));
    assert_eq!(refused, Err(RelocationError::Family));
    let newcomer = scene.newcomer(Play::Symmetric, echo());
    scene.world.run_for(ms(500));
    assert!(!scene.world.is_connected(newcomer), "the plan is as it was");
    scene.world.cancel(scene.server);
    scene.world.run_for(secs(3));
    assert!(scene.world.is_connected(newcomer));
}

#[test]
fn a_move_or_a_plan_taken_back_does_not_lift_the_limit_that_the_application_set() {
    for moves in [false, true] {
        let stage = Stage::new(Play::Symmetric);
        let mut scene = stage.clients([]);
        let config = EndpointConfig::server(Arc::new(stage.server_config())).max_connections(1);
        let home = "20.0.1.1:443";
        let server = scene.world.host(home, config, Some(|| Box::new(Server::default())));
        let first = scene.newcomer_at(Play::Symmetric, home, Client::echoes(400, ms(20)));
        scene.world.run_for(ms(300));
        scene.world.prepare(server, RelocationPlan::uniform(MoveOrder::Symmetric));
        scene.world.run_until_ready(server, secs(1));
        if moves {
            scene.world.relocate(server, AWAY, ms(50));
        } else {
            scene.world.cancel(server);
        }
        scene.world.run_for(secs(1));
        let place = if moves { AWAY } else { home };
        let second = scene.newcomer_at(Play::Symmetric, place, echo());
        scene.world.run_for(secs(3));
        assert!(scene.world.is_connected(first) && scene.world.closed(first).is_none());
        assert!(!scene.world.is_connected(second), "one is as many as there may be");
    }
}

#[test]
fn who_is_left_behind_hears_of_no_error_and_that_the_server_migrated() {
    let mut scene = Stage::new(Play::Symmetric).clients((0..2).map(|_| Client::echoes(50, ms(20))));
    scene.world.run_for(ms(300));
    let plan = RelocationPlan::per_connection([(scene.far_end().handle, MoveOrder::Symmetric)]);
    scene.world.prepare(scene.server, plan);
    scene.world.run_for(secs(1));
    let told = CloseReason::Application { code: 0u32.into(), reason: b"server migrated".to_vec() };
    assert_eq!(scene.world.closed(scene.conns[1]), Some(&told));
    assert!(scene.world.closed(scene.conns[0]).is_none());
}
