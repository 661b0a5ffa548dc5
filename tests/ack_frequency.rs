//! Acknowledgements as wished (draft-ietf-quic-ack-frequency): how many there are, what they cost and spare, and that a
//! peer which knows nothing of it sees nothing of it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use peregrine::{AckFrequency, ClientConfig, ServerConfig, TransportConfig, TransportConfigBuilder};

use sim::{Client, Conn, Link, Queue, Verdict, World, addr, ms, secs, tls};
use stage::moves::{AWAY, Play, Stage};

const SERVER: &str = "45.0.0.1:443";
const CLIENT: &str = "192.0.2.1:5000";

fn builder() -> TransportConfigBuilder {
    TransportConfig::builder()
}

/// A server that wishes for one ACK for so many packets.
fn every(packets: u32) -> TransportConfigBuilder {
    builder().ack_frequency(Some(AckFrequency::every(packets)))
}

/// Counts the datagrams that leave an address.
fn count(world: &mut World, from: &str) -> Rc<RefCell<u64>> {
    let (count, from) = (Rc::<RefCell<u64>>::default(), addr(from));
    let counted = Rc::clone(&count);
    world.tap(move |_, datagram| {
        *counted.borrow_mut() += u64::from(datagram.from == from);
        Verdict::Pass
    });
    count
}

/// A download between two such ends: the client's datagrams, how long it took, and the packets that the server lost.
struct Download {
    acks: u64,
    took: Duration,
    lost: u64,
}

fn download(
    bytes: u64,
    link: Link,
    server: TransportConfigBuilder,
    client: TransportConfigBuilder,
) -> Download {
    let mut world = World::seeded(1);
    world.links(link);
    let acks = count(&mut world, CLIENT);
    let conn = pair(&mut world, server, client, Client::download(bytes));
    world.run_well(secs(60));
    let far = world.server_side(conn).expect("a server's side");
    let lost = world.connection(far).expect("open").stats().packets_lost;
    Download { acks: acks.take(), took: world.app::<Client>(conn).served()[0].took, lost }
}

fn pair(
    world: &mut World,
    server: TransportConfigBuilder,
    client: TransportConfigBuilder,
    app: Client,
) -> Conn {
    let [server, client] =
        [server, client].map(|config| Arc::new(config.build().expect("settings that can be")));
    world.server_with(SERVER, ServerConfig::new(tls::server()).transport(server));
    let host = world.client(CLIENT);
    world.connect_with(host, SERVER, Arc::new(ClientConfig::new(tls::client()).transport(client)), app)
}

fn link() -> Link {
    Link::rtt(ms(80)).bandwidth(20_000_000).queue(Queue::Packets(1000))
}

#[test]
fn a_wish_for_fewer_acks_is_fulfilled_and_costs_no_time() {
    let usual = download(3_000_000, link(), builder(), builder());
    let wished = download(3_000_000, link(), every(10), builder());
    println!("3 MB over 20 Mbit/s and 80 ms, ACKs and time: usual {} and {:?}", usual.acks, usual.took);
    println!("one ACK for ten packets {} and {:?}", wished.acks, wished.took);
    assert!(usual.acks > 900, "{}", usual.acks);
    assert!(wished.acks * 2 < usual.acks, "{} of {}", wished.acks, usual.acks);
    assert!(wished.took <= usual.took + ms(60), "{:?} against {:?}", wished.took, usual.took);
    assert_eq!(wished.lost, usual.lost);
}

#[test]
fn a_wish_for_an_ack_for_every_packet_is_fulfilled() {
    let usual = download(300_000, link(), builder(), builder());
    let wished = download(300_000, link(), every(1), builder());
    assert!(wished.acks * 10 > usual.acks * 16, "{} of {}", wished.acks, usual.acks);
}

#[test]
fn a_peer_that_takes_no_wishes_sees_none() {
    // It would end the connection: to it the frames are unknown.
    let deaf = || builder().min_ack_delay(None);
    let usual = download(1_000_000, link(), builder(), deaf());
    let wished = download(1_000_000, link().loss(0.01), every(10), deaf());
    let clean = download(1_000_000, link(), every(10), deaf());
    assert_eq!((clean.acks, clean.took), (usual.acks, usual.took));
    assert!(wished.lost > 0);
}

#[test]
fn loss_is_repaired_as_fast_with_few_acks() {
    let lossy = || link().loss(0.01);
    let usual = download(2_000_000, lossy(), builder(), builder());
    let wished = download(2_000_000, lossy(), every(10), builder());
    println!(
        "2 MB with 1 % loss, ACKs, packets lost and time: usual {} {} {:?}",
        usual.acks, usual.lost, usual.took
    );
    println!("one ACK for ten packets {} {} {:?}", wished.acks, wished.lost, wished.took);
    assert!(wished.acks < usual.acks, "{} of {}", wished.acks, usual.acks);
    assert!(wished.took < usual.took.mul_f64(1.3), "{:?} against {:?}", wished.took, usual.took);
}

#[test]
fn reordering_that_is_no_loss_needs_no_acks() {
    let jumbled = || link().reordering(0.2, Duration::from_micros(900));
    let usual = download(2_000_000, jumbled(), builder(), builder());
    let wished = download(2_000_000, jumbled(), every(10), builder());
    assert!(wished.acks * 3 < usual.acks * 2, "{} of {}", wished.acks, usual.acks);
    assert_eq!(wished.lost, 0);
}

/// How many datagrams a client sends in a download of which a few datagrams are lost, from the one with this number on.
fn acks_around_a_hole(first: usize, server: TransportConfigBuilder) -> u64 {
    let mut world = World::seeded(1);
    world.links(link());
    pair(&mut world, server, builder(), Client::download(1_500_000));
    let mut seen = 0;
    world.tap(move |_, datagram| {
        seen += usize::from(datagram.from == addr(SERVER));
        let hole = datagram.from == addr(SERVER) && (first..first + 4).contains(&seen);
        if hole { Verdict::Drop } else { Verdict::Pass }
    });
    let acks = count(&mut world, CLIENT);
    world.run_well(secs(60));
    acks.take()
}

#[test]
fn wishes_that_are_lost_are_said_again() {
    // The wishes are somewhere in the second to the fourth round trip.
    for first in (80..240).step_by(40) {
        let (usual, wished) = (acks_around_a_hole(first, builder()), acks_around_a_hole(first, every(10)));
        assert!(wished * 4 < usual * 3, "{first}: {wished} of {usual}");
    }
}

#[test]
fn a_delay_that_is_wished_for_counts_in_the_probe_timeout() {
    let wish = AckFrequency::every(10).max_delay(ms(60));
    let mut world = World::seeded(1);
    world.links(link());
    let conn = pair(&mut world, builder().ack_frequency(Some(wish)), builder(), Client::download(2_000_000));
    world.run_until(|world| world.is_connected(conn), secs(5));
    let far = world.server_side(conn).expect("a server's side");
    let delay = |world: &World| {
        let path = world.connection(far).expect("open").path();
        path.pto - path.rtt - (4 * path.rtt_variation).max(ms(1))
    };
    assert_eq!(delay(&world), ms(25));
    world.run_until(|world| delay(world) == ms(60), secs(5));
    world.run_well(secs(60));
    assert_eq!(delay(&world), ms(60));
}

#[test]
fn probes_ask_for_an_answer_at_once() {
    let wish = AckFrequency::every(10).max_delay(ms(200));
    let mut world = World::seeded(1);
    world.links(Link::rtt(ms(40)));
    let conn = pair(&mut world, builder().ack_frequency(Some(wish)), builder(), Client::download(1_000_000));
    world.run_well(secs(5));
    world.run_for(secs(2));
    let far = world.server_side(conn).expect("a server's side");
    let timeouts = move |world: &World| world.connection(far).expect("open").path().pto_count;
    let mut dropped = 0;
    world.tap(move |_, datagram| {
        dropped += usize::from(datagram.from == addr(SERVER));
        if datagram.from == addr(SERVER) && dropped <= 1 { Verdict::Drop } else { Verdict::Pass }
    });
    // The response is lost. Two probes are too few for an ACK by the wish, which would come a round trip later.
    world.ask(conn, Client::echo());
    world.run_until(|world| timeouts(world) > 0, secs(5));
    let probed = world.now();
    world.run_until(|world| timeouts(world) == 0, secs(5));
    let answered = world.now().since(probed);
    assert!(answered < ms(50), "{answered:?}");
}

/// How long after its move a server, which had wished for few ACKs before, has a window of 100 KB again.
fn after_a_move(client: TransportConfigBuilder) -> Duration {
    let server = builder().ack_frequency(Some(AckFrequency::every(10).max_delay(ms(200))));
    let mut scene = Stage::new(Play::Symmetric)
        .link(link())
        .transports(server, client)
        .client(Client::download(4_000_000));
    scene.await_connected();
    scene.world.run_for(ms(900));
    scene.prepare(AWAY);
    let far = scene.far_end();
    scene.world.relocate(scene.server, AWAY, ms(20));
    let moved = scene.world.now();
    scene.world.run_until(|world| world.connection(far).expect("open").path().window > 100_000, secs(10));
    let took = scene.world.now().since(moved);
    scene.run_well(secs(20));
    took
}

#[test]
fn a_move_is_not_slowed_by_few_acks() {
    let usual = after_a_move(builder().min_ack_delay(None));
    let wished = after_a_move(builder());
    println!("window of 100 KB after a move: usual {usual:?}, wished for few ACKs before {wished:?}");
    assert!(wished <= usual + ms(40), "{wished:?} against {usual:?}");
}
