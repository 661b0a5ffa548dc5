//! What a repeated first flight brings.

use peregrine::{DropReason, VarInt};

use crate::scene::{CLIENT, FIRST, Scene, watch};
use sim::{Client, Datagram, HostId, Shape, Verdict, addr, ms, secs};

#[test]
fn a_repeated_first_flight_brings_no_early_data_a_second_time() {
    let mut scene = Scene::usual();
    let seen = watch(&mut scene.world, |_| Verdict::Pass);
    let conn = scene.ask(FIRST);
    let flight = seen.borrow().clone();
    scene.world.run_well(secs(1));
    scene.world.with(conn, |now, connection| connection.close(now, VarInt::ZERO, b""));
    scene.world.run_for(secs(5));
    let heard = |scene: &Scene| scene.world.at(HostId(0)).events().len();
    let before = heard(&scene);
    for payload in flight {
        scene.world.inject(Datagram::new(addr("192.0.2.99:7"), addr(FIRST), payload));
    }
    scene.world.run_for(ms(100));
    assert_eq!(heard(&scene), before, "no event of a connection, and no data: its ticket is used up");
}

#[test]
fn the_keys_of_early_data_are_gone_soon_after_the_handshake() {
    let mut scene = Scene::usual();
    let seen = watch(&mut scene.world, |_| Verdict::Pass);
    let config = scene.config();
    let conn = scene.connect(FIRST, config, Client::upload(3_000));
    scene.world.run_well(secs(1));
    let server_side = scene.world.server_side(conn).expect("the server has it too");
    let copy = seen.borrow().iter().find(|datagram| Shape::of(datagram).to_string() == "ZeroRtt").cloned();
    let copy = copy.expect("a datagram of early data alone");
    let drops = |scene: &Scene| {
        let connection = scene.world.connection(server_side).expect("open").stats();
        let endpoint = scene.world.at(HostId(0)).endpoint().stats();
        (connection.dropped(DropReason::Duplicate), endpoint.dropped(DropReason::UnknownConnection))
    };
    assert_eq!(drops(&scene), (0, 0));
    scene.world.inject(Datagram::new(addr(CLIENT), addr(FIRST), copy.clone()));
    scene.world.run_for(ms(11));
    assert_eq!(drops(&scene), (1, 0));
    scene.world.run_for(ms(500));
    // Neither keys nor the ID that it was sent to are known any more.
    scene.world.inject(Datagram::new(addr(CLIENT), addr(FIRST), copy));
    scene.world.run_for(ms(11));
    assert_eq!(drops(&scene), (1, 1));
}
