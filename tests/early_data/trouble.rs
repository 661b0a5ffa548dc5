//! Early data on bad paths.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use peregrine::{DropReason, EarlyData, EndpointConfig};

use crate::scene::{CLIENT, FIRST, SECOND, Scene, shapes, taking, usual, watch};
use sim::{Client, HostId, Link, Outcome, Server, Verdict, addr, ms, secs, tls};

#[test]
fn whichever_datagram_of_an_early_flight_is_lost_nothing_is_missing() {
    for lost in 0..8 {
        let mut scene = Scene::usual();
        watch(&mut scene.world, move |number| if number == lost { Verdict::Drop } else { Verdict::Pass });
        let config = scene.config();
        let conn = scene.connect(FIRST, config, Client::upload(4_000));
        scene.world.run_until_done(secs(5));
        assert_eq!(scene.world.outcome(conn), Outcome::Done, "without datagram {lost}");
        assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Accepted]);
    }
}

#[test]
fn whichever_two_datagrams_are_lost_of_one_that_is_not_taken_nothing_is_missing() {
    for first in 0..5 {
        for second in first + 1..6 {
            let mut scene = Scene::usual();
            let stranger = taking(&tls::server(), usual());
            scene.world.server_with(SECOND, stranger);
            let is_lost = move |number| number == first || number == second;
            watch(&mut scene.world, move |n| if is_lost(n) { Verdict::Drop } else { Verdict::Pass });
            let config = scene.config();
            let conn = scene.connect(SECOND, config, Client::upload(3_000));
            scene.world.run_until_done(secs(20));
            assert_eq!(scene.world.outcome(conn), Outcome::Done, "without datagrams {first} and {second}");
        }
    }
}

#[test]
fn a_first_flight_that_is_lost_is_sent_again_with_its_early_data() {
    let mut scene = Scene::usual();
    watch(&mut scene.world, |number| if number == 0 { Verdict::Drop } else { Verdict::Pass });
    let conn = scene.ask(FIRST);
    scene.world.run_well(secs(5));
    // The timeout of a path that was never measured, and one round trip.
    let took = scene.took(conn)[0];
    assert!(took >= ms(999) && took <= ms(1_020), "{took:?}");
    assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Accepted]);
}

#[test]
fn early_data_that_overtakes_its_hello_is_sent_again() {
    let mut scene = Scene::usual();
    watch(&mut scene.world, |number| if number == 0 { Verdict::Delay(ms(5)) } else { Verdict::Pass });
    let config = scene.config();
    let conn = scene.connect(FIRST, config, Client::upload(3_000));
    scene.world.run_well(secs(5));
    assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Accepted]);
    assert!(scene.world.at(HostId(0)).endpoint().stats().dropped(DropReason::UnknownConnection) > 0);
    // The delay, a round trip for the handshake, one for the news of the loss, and one for what was lost.
    assert!(scene.took(conn)[0] <= ms(65), "{:?}", scene.took(conn));
}

#[test]
fn early_data_goes_to_the_server_again_after_a_retry() {
    let mut scene = Scene::usual();
    let server = taking(&scene.server_tls, usual());
    let config = EndpointConfig::server(Arc::new(server)).half_open_limit(0);
    scene.world.host(SECOND, config, Some(|| Box::new(Server::default())));
    let seen = watch(&mut scene.world, |_| Verdict::Pass);
    let conn = scene.ask(SECOND);
    scene.world.run_well(secs(1));
    assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Accepted]);
    assert_eq!(scene.took(conn), [ms(40)]);
    let early = shapes(&seen).iter().filter(|shape| shape.contains("ZeroRtt")).count();
    assert!(early >= 2, "{:?}", shapes(&seen));
}

#[test]
fn an_early_answer_keeps_to_three_times_what_came() {
    let mut scene = Scene::usual();
    let sums = Rc::new(RefCell::new((0, 0)));
    let counted = Rc::clone(&sums);
    let begun = scene.world.now();
    scene.world.tap(move |now, datagram| {
        let (came, went) = &mut *counted.borrow_mut();
        if now < begun + ms(20) {
            *(if datagram.from == addr(CLIENT) { came } else { went }) += datagram.payload.len();
        }
        Verdict::Pass
    });
    let config = scene.config();
    let conn = scene.connect(FIRST, config, Client::download(100_000));
    scene.world.run_well(secs(2));
    assert_eq!(scene.early(conn), [EarlyData::Offered, EarlyData::Accepted]);
    let (came, went) = *sums.borrow();
    assert!(went > 2 * came && went <= 3 * came, "{came} bytes came, {went} went");
}

#[test]
fn on_bad_paths_early_data_arrives_whole_and_once() {
    for seed in 1..=20 {
        let mut scene = Scene::usual();
        let link = Link::rtt(ms(30)).loss(0.1).duplication(0.1).reordering(0.2, ms(10)).corruption(0.02);
        scene.world.links(link);
        scene.world.run_for(ms(seed));
        let config = scene.config();
        let conn = scene.connect(FIRST, config, Client::downloads(3, 5_000));
        scene.world.run_until_done(secs(60));
        assert_eq!(scene.world.outcome(conn), Outcome::Done, "run {seed}");
    }
}
