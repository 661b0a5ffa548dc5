//! ECN marks on paths that keep, change or drop them (RFC 9000, Section 13.4), and what congestion marks do.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use peregrine::{ClientConfig, Ecn, Instant, ServerConfig, TransportConfig};

use sim::{Client, Conn, Link, Marking, Queue, World, addr, ms, secs, tls};
use stage::moves::{AWAY, Play, Stage};

const SERVER: &str = "45.0.0.1:443";
const CLIENT: &str = "192.0.2.1:5000";

/// When datagrams with each mark were sent from one address.
type Log = Rc<RefCell<Vec<(Instant, Ecn)>>>;

/// Notes the marks of what leaves this address.
fn watch(world: &mut World, from: &str) -> Log {
    let (log, from) = (Log::default(), addr(from));
    let seen = Rc::clone(&log);
    world.tap(move |now, datagram| {
        if datagram.from == from {
            seen.borrow_mut().push((now, datagram.ecn));
        }
        sim::Verdict::Pass
    });
    log
}

fn marked(log: &Log) -> usize {
    log.borrow().iter().filter(|(_, ecn)| *ecn == Ecn::Ect0).count()
}

/// A client that downloads this much over such links, and what leaves its server.
fn download(bytes: u64, link: Link, ecn: bool) -> (World, Conn, Log) {
    let mut world = World::seeded(1);
    world.links(link);
    let log = watch(&mut world, SERVER);
    let transport = Arc::new(TransportConfig::builder().ecn(ecn).build().expect("settings that can be"));
    world.server_with(SERVER, ServerConfig::new(tls::server()).transport(Arc::clone(&transport)));
    let client = world.client(CLIENT);
    let config = Arc::new(ClientConfig::new(tls::client()).transport(transport));
    let conn = world.connect_with(client, SERVER, config, Client::download(bytes));
    (world, conn, log)
}

fn link() -> Link {
    Link::rtt(ms(40)).bandwidth(20_000_000).queue(Queue::Packets(1000))
}

/// How long a download of a megabyte takes over such links, and how many datagrams its server marked.
fn megabyte(link: Link) -> (Duration, usize) {
    let (mut world, _, log) = download(1_000_000, link, true);
    world.run_well(secs(60));
    (world.now().since(Instant::ZERO), marked(&log))
}

#[test]
fn a_path_that_keeps_marks_is_marked_throughout() {
    let (_, marks) = megabyte(link());
    assert!(marks > 600, "{marks}");
}

#[test]
fn marks_that_are_bleached_are_given_up_and_nothing_stalls() {
    let (honest, _) = megabyte(link());
    for marking in [Marking::Bleach, Marking::Remark(Ecn::Ect1)] {
        let (time, marks) = megabyte(link().marking(marking));
        assert!((1..=30).contains(&marks), "{marking:?}: {marks}");
        assert!(time <= honest + ms(100), "{marking:?}: {time:?} against {honest:?}");
    }
}

#[test]
fn a_path_that_drops_what_is_marked_is_survived() {
    let (honest, _) = megabyte(link());
    let (time, marks) = megabyte(link().marking(Marking::Drop));
    assert!((1..=30).contains(&marks), "{marks}");
    assert!(time <= honest + secs(2), "{time:?} against {honest:?}");
}

#[test]
fn acks_that_are_lost_for_their_marks_are_not_repeated_in_vain() {
    // Only the way back drops what is marked: the client sends nothing whose loss would tell it so.
    let mut world = World::seeded(1);
    world.links(link());
    world.one_way(Some("192.0.2.1"), None, link().marking(Marking::Drop));
    world.server(SERVER);
    let client = world.client(CLIENT);
    let conn = world.connect(client, SERVER, Client::download(500_000));
    world.run_well(secs(60));
    let took = world.app::<Client>(conn).served()[0].took;
    assert!(took < ms(900), "{took:?}");
}

#[test]
fn congestion_marks_shrink_the_window_without_a_loss() {
    let (mut world, conn, _) = download(4_000_000, link().marking(Marking::Congested(50)), true);
    world.run_until(|world| world.is_connected(conn), secs(5));
    world.run_for(ms(1500));
    let server = world.server_side(conn).expect("a server's side");
    let stats = world.connection(server).expect("open").stats();
    assert!(stats.congestion_events > 0, "no congestion");
    assert!(stats.congestion_events < 40, "more than once a round trip: {}", stats.congestion_events);
    assert_eq!(stats.packets_lost, 0);
    world.run_well(secs(60));
}

#[test]
fn a_path_that_does_not_carry_marks_is_counted_once_and_told() {
    for (marking, failures) in [(Marking::Keep, 0), (Marking::Bleach, 1), (Marking::Drop, 1)] {
        let (mut world, conn, _) = download(500_000, link().marking(marking), true);
        world.run_well(secs(60));
        let server = world.server_side(conn).expect("a server's side");
        let server = world.connection(server).expect("open");
        assert_eq!(server.stats().ecn_failures, failures, "{marking:?}");
        assert_eq!(server.path().carries_ecn, failures == 0, "{marking:?}");
    }
}

#[test]
fn who_wants_no_marks_makes_none() {
    let (mut world, _, log) = download(200_000, link(), false);
    world.run_well(secs(60));
    assert_eq!(marked(&log), 0);
}

#[test]
fn a_server_that_moved_tests_its_new_path() {
    let mut scene = Stage::new(Play::Symmetric).client(Client::download(2_000_000));
    let (ip, _) = AWAY.split_once(':').expect("an address and a port");
    scene.world.one_way(Some(ip), None, link().marking(Marking::Bleach));
    let (home, away) = (watch(&mut scene.world, stage::moves::HOME), watch(&mut scene.world, AWAY));
    scene.await_connected();
    scene.world.run_for(ms(200));
    scene.relocate(AWAY, ms(100));
    scene.run_well(secs(10));
    assert!(marked(&home) > 30, "{}", marked(&home));
    assert!((1..=30).contains(&marked(&away)), "{}", marked(&away));
}
