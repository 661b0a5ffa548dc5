//! Congestion control on simulated links (RFC 9002, Section 7): persistent congestion, windows that are not used, rest,
//! bursts, slow start, and what [`Connection::path`](peregrine::Connection::path) says of all that.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use peregrine::{
    Algorithm, ClientConfig, CongestionStage, Dir, Instant, Limit, PathStats, ServerConfig, Stats,
    TransportConfig, TransportConfigBuilder, VarInt,
};

use sim::{Client, Conn, HostId, Link, Queue, Request, Verdict, World, addr, ms, secs, tls};
use stage::moves::{AWAY, Play, Stage};

const SERVER: &str = "45.0.0.1:443";
const CLIENT: &str = "192.0.2.1:5000";
/// Ten datagrams, with which a path begins.
const INITIAL_WINDOW: u64 = 12_000;

const ALGORITHMS: [Algorithm; 2] = [Algorithm::NewReno, Algorithm::Cubic];

/// Datagrams of 1200 bytes throughout, so that windows can be counted in them.
fn builder() -> TransportConfigBuilder {
    TransportConfig::builder().mtu_discovery(None)
}

/// A server and a client, each with its settings.
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

/// A client whose server has these settings, over such links, and the server's side once there is one.
fn served(link: Link, server: TransportConfigBuilder, app: Client) -> (World, Conn, Conn) {
    let mut world = World::seeded(1);
    world.links(link);
    let conn = pair(&mut world, server, builder(), app);
    world.run_until(|world| world.is_connected(conn), secs(5));
    let far = world.server_side(conn).expect("a server's side");
    (world, conn, far)
}

fn link() -> Link {
    Link::rtt(ms(40)).bandwidth(20_000_000)
}

fn path(world: &World, conn: Conn) -> PathStats {
    world.connection(conn).expect("open").path()
}

fn stats(world: &World, conn: Conn) -> Stats {
    world.connection(conn).expect("open").stats().clone()
}

/// Runs until this limits the connection.
fn run_until_limited(world: &mut World, conn: Conn, by: Limit) {
    world.run_until(|world| path(world, conn).limited_by == by, secs(5));
}

// ---- persistent congestion -------------------------------------------------------------------------

/// A download whose link dies for so long once it is in full swing; what the server counted and has, as soon as the first
/// answer has come through, and its window before.
fn outage(algorithm: Algorithm, length: Duration) -> (Stats, PathStats, u64) {
    let (mut world, conn, far) = served(link(), builder().congestion(algorithm), Client::download(3_000_000));
    world.run_for(ms(500));
    let before = path(&world, far);
    world.links(link().down());
    world.run_for(length);
    world.links(link());
    world.run_until(|world| path(world, far).pto_count == 0, secs(20));
    let after = (stats(&world, far), path(&world, far), before.window);
    world.run_well(secs(20));
    assert_eq!(world.app::<Client>(conn).received(), 3_000_000);
    after
}

#[test]
fn a_link_that_dies_for_long_takes_the_window_to_its_minimum() {
    for algorithm in ALGORITHMS {
        let (stats, path, before) = outage(algorithm, secs(3));
        assert!(before > 100_000, "{algorithm:?}: {before}");
        assert_eq!(stats.persistent_congestions, 1, "{algorithm:?}");
        assert_eq!(path.window, 2400, "{algorithm:?}: {path:?}");
        assert_eq!(path.stage, CongestionStage::SlowStart, "{algorithm:?}");
        assert!(path.slow_start_threshold.is_some_and(|bytes| bytes > 40_000), "{algorithm:?}: {path:?}");
    }
}

#[test]
fn a_link_that_is_dead_for_a_moment_takes_it_to_its_half() {
    for algorithm in ALGORITHMS {
        let (stats, path, before) = outage(algorithm, ms(150));
        assert_eq!(stats.persistent_congestions, 0, "{algorithm:?}");
        assert!(stats.packets_lost > 50 && path.window >= before * 45 / 100, "{algorithm:?}: {path:?}");
    }
}

// ---- windows that are not used -----------------------------------------------------------------------

#[test]
fn a_window_that_flow_control_keeps_empty_does_not_grow() {
    for algorithm in ALGORITHMS {
        let mut world = World::seeded(1);
        world.links(link());
        let narrow = builder().receive_window(8_000).stream_receive_window(8_000);
        let conn = pair(&mut world, builder().congestion(algorithm), narrow, Client::download(400_000));
        world.run_until(|world| world.is_connected(conn), secs(5));
        let far = world.server_side(conn).expect("a server's side");
        run_until_limited(&mut world, far, Limit::FlowControl);
        world.run_well(secs(20));
        assert_eq!(path(&world, far).window, INITIAL_WINDOW, "{algorithm:?}");
    }
}

#[test]
fn a_window_that_the_application_keeps_empty_does_not_grow() {
    for algorithm in ALGORITHMS {
        let (mut world, conn, far) =
            served(link(), builder().congestion(algorithm), Client::echoes(100, ms(5)));
        world.run_well(secs(20));
        for end in [conn, far] {
            let path = path(&world, end);
            assert_eq!((path.window, path.limited_by), (INITIAL_WINDOW, Limit::Application), "{algorithm:?}");
        }
    }
}

#[test]
fn a_window_that_the_send_buffer_keeps_empty_does_not_grow() {
    let server = builder().send_buffer(6_000);
    let (mut world, _, far) = served(link(), server, Client::download(300_000));
    run_until_limited(&mut world, far, Limit::SendBuffer);
    world.run_well(secs(20));
    assert_eq!(path(&world, far).window, INITIAL_WINDOW);
}

#[test]
fn a_window_that_the_pacer_keeps_from_being_full_grows() {
    for algorithm in ALGORITHMS {
        let (mut world, _, far) = served(link(), builder().congestion(algorithm), Client::download(500_000));
        run_until_limited(&mut world, far, Limit::Pacer);
        world.run_for(ms(250));
        assert!(path(&world, far).window > 8 * INITIAL_WINDOW, "{algorithm:?}: {:?}", path(&world, far));
    }
}

#[test]
fn unreliable_datagrams_that_the_pacer_held_back_leave_in_time() {
    let mut world = World::seeded(1);
    world.links(Link::rtt(ms(200)));
    let takes = builder().datagram_receive_buffer(Some(1 << 20));
    let conn = pair(&mut world, takes.clone(), takes, Client::upload(300_000));
    world.run_well(secs(20));
    world.run_for(ms(50));
    assert!(path(&world, conn).window > 4 * INITIAL_WINDOW, "{:?}", path(&world, conn));
    let before = world.now();
    world.with(conn, |_, connection| {
        // Twice what the pacer's bucket holds.
        (0..20).for_each(|_| connection.datagrams().send(&[7; 1000]).expect("there is room"));
    });
    assert_eq!(path(&world, conn).limited_by, Limit::Pacer);
    world.run_until(|world| path(world, conn).limited_by == Limit::Application, secs(5));
    // Without a timer of the pacer's they would wait for an answer, 200 ms.
    assert!(world.now().since(before) < ms(100), "{:?}", world.now().since(before));
}

// ---- rest and bursts ---------------------------------------------------------------------------------

/// When how many bytes left an address.
type Log = Rc<RefCell<Vec<(Instant, u64)>>>;

fn watch(world: &mut World, from: &str) -> Log {
    let (log, from) = (Log::default(), addr(from));
    let seen = Rc::clone(&log);
    world.tap(move |now, datagram| {
        if datagram.from == from {
            seen.borrow_mut().push((now, datagram.payload.len() as u64));
        }
        Verdict::Pass
    });
    log
}

/// The most bytes that left within so long.
fn burst(log: &Log, within: Duration) -> u64 {
    let log = log.borrow();
    let runs = (0..log.len()).map(|first| {
        let run = log[first..].iter().take_while(|(at, _)| at.since(log[first].0) <= within);
        run.map(|(_, bytes)| bytes).sum()
    });
    runs.max().unwrap_or(0)
}

/// A server that has sent a lot and then nothing for so long.
fn rested(algorithm: Algorithm, pause: Duration) -> (World, Conn, Conn, u64) {
    let fast = Link::rtt(ms(100)).bandwidth(100_000_000).queue(Queue::Packets(2000));
    let (mut world, conn, far) = served(fast, builder().congestion(algorithm), Client::download(3_000_000));
    world.run_well(secs(20));
    let before = path(&world, far).window;
    assert!(before > 400_000, "{algorithm:?}: {before}");
    world.run_for(pause);
    (world, conn, far, before)
}

fn download(world: &mut World, conn: Conn, bytes: u64) {
    world.ask(conn, Request { dir: Dir::Bi, up: 0, down: bytes });
}

#[test]
fn after_a_long_rest_a_path_begins_as_it_did_at_first_and_no_burst_enters_it() {
    for algorithm in ALGORITHMS {
        let (mut world, conn, far, before) = rested(algorithm, secs(20));
        let log = watch(&mut world, SERVER);
        download(&mut world, conn, 1_000_000);
        world.run_until(|world| path(world, far).in_flight > 0, secs(1));
        assert_eq!(path(&world, far).window, INITIAL_WINDOW, "{algorithm:?}");
        world.run_for(ms(90));
        // Ten datagrams at once, and what trickles in in a millisecond at five quarters of 12 KB in 100 ms.
        let most = burst(&log, ms(1));
        assert!(most <= INITIAL_WINDOW + 300, "{algorithm:?}: {most} bytes in a millisecond");
        world.run_well(secs(20));
        // What was known of the path is not lost: slow start comes back to what it was.
        let path = path(&world, far);
        assert!(path.window > before / 4, "{algorithm:?}: {path:?} after {before}");
    }
}

#[test]
fn a_short_rest_takes_half_of_the_window_for_each_probe_timeout() {
    for algorithm in ALGORITHMS {
        let (mut world, conn, far, before) = rested(algorithm, Duration::ZERO);
        // The last answer came 75 ms after the last byte, and the next request travels for 50 ms.
        world.run_for(ms(100));
        let pto = path(&world, far).pto;
        world.run_for(pto.mul_f64(1.5) - ms(75));
        download(&mut world, conn, 200_000);
        world.run_until(|world| path(world, far).in_flight > 0, secs(1));
        let after = path(&world, far).window;
        assert_eq!(after, before / 2, "{algorithm:?}");
        world.run_well(secs(20));
    }
}

#[test]
fn a_pause_shorter_than_a_probe_timeout_takes_nothing() {
    let (mut world, conn, far, before) = rested(Algorithm::Cubic, ms(5));
    download(&mut world, conn, 200_000);
    world.run_until(|world| path(world, far).in_flight > 0, secs(1));
    assert_eq!(path(&world, far).window, before);
}

// ---- slow start --------------------------------------------------------------------------------------

/// Packets lost, and the most bytes in flight beyond what the path holds, of the first slow start on a link whose queue holds eight times what
/// the path does.
fn slow_start(algorithm: Algorithm) -> (u64, u64) {
    let bloated = Link::rtt(ms(60)).bandwidth(10_000_000).queue(Queue::Packets(500));
    let (mut world, _, far) = served(bloated, builder().congestion(algorithm), Client::download(3_200_000));
    let mut largest = 0;
    while path(&world, far).stage == CongestionStage::SlowStart {
        world.run_for(ms(1));
        largest = largest.max(path(&world, far).in_flight);
    }
    world.run_for(ms(600));
    (stats(&world, far).packets_lost, largest.saturating_sub(75_000))
}

#[test]
fn hystart_leaves_slow_start_before_a_bloated_queue_overflows() {
    let (lost, queued) = slow_start(Algorithm::Cubic);
    let (classic_lost, classic_queued) = slow_start(Algorithm::NewReno);
    println!("slow start on a bloated link, packets lost and bytes in flight beyond what the path holds:");
    println!("with HyStart++ {lost} and {queued}, without {classic_lost} and {classic_queued}");
    assert!(classic_lost > 100, "{classic_lost}");
    assert!(lost == 0, "{lost} against {classic_lost}");
    assert!(queued * 2 < classic_queued, "{queued} against {classic_queued}");
}

// ---- what limits -------------------------------------------------------------------------------------

#[test]
fn the_path_tells_the_variables_of_recovery() {
    let (mut world, _, far) = served(link(), builder(), Client::download(2_000_000));
    world.run_for(ms(400));
    let told = path(&world, far);
    assert!((ms(40)..ms(200)).contains(&told.rtt) && told.latest_rtt >= ms(40), "{told:?}");
    assert!((ms(40)..ms(45)).contains(&told.min_rtt), "{told:?}");
    let pto = told.rtt + (4 * told.rtt_variation).max(ms(1)) + ms(25);
    assert_eq!((told.pto, told.pto_count, told.datagram_size), (pto, 0, 1200));
    assert!(told.in_flight > 0 && told.in_flight <= told.window, "{told:?}");
    let rate = told.window as f64 * 1.25 / told.rtt.as_secs_f64();
    assert!(told.pacing_rate.is_some_and(|bytes| (bytes as f64 / rate - 1.0).abs() < 0.01), "{told:?}");
    world.links(link().down());
    world.run_for(secs(1));
    assert!(path(&world, far).pto_count >= 2);
}

#[test]
fn an_open_window_that_is_full_is_said_to_be_the_limit() {
    let (mut world, _, far) = served(link(), builder().pacing(false), Client::download(2_000_000));
    run_until_limited(&mut world, far, Limit::CongestionWindow);
    let path = path(&world, far);
    assert!(path.in_flight + 1200 > path.window && path.pacing_rate.is_none(), "{path:?}");
}

#[test]
fn a_connection_that_just_began_is_limited_by_its_handshake() {
    let mut world = World::seeded(1);
    world.links(link());
    let conn = pair(&mut world, builder(), builder(), Client::idle());
    assert_eq!(path(&world, conn).limited_by, Limit::Handshake);
    world.run_for(secs(1));
    assert_eq!(path(&world, conn).limited_by, Limit::Application);
    world.with(conn, |now, connection| connection.close(now, VarInt::from(0u32), b""));
    assert_eq!(path(&world, conn).limited_by, Limit::Closed);
}

#[test]
fn a_server_whose_client_does_not_answer_is_limited_by_what_that_has_paid() {
    let mut world = World::seeded(1);
    world.links(link());
    pair(&mut world, builder(), builder(), Client::idle());
    // Its first datagram is on its way.
    world.tap(|_, datagram| if datagram.from == addr(CLIENT) { Verdict::Drop } else { Verdict::Pass });
    let server = HostId(0);
    let limits = |world: &World| -> Vec<Limit> {
        world
            .at(server)
            .endpoint()
            .connections()
            .map(|(_, connection)| connection.path().limited_by)
            .collect()
    };
    world.run_until(|world| limits(world) == [Limit::Amplification], secs(5));
}

#[test]
fn what_waits_for_the_next_poll_is_limited_by_nothing() {
    let (mut world, conn, _) = served(link(), builder(), Client::idle());
    world.run_for(secs(1));
    let limit = world.with(conn, |_, connection| {
        let id = connection.open(Dir::Bi).expect("a stream may be opened");
        connection.send(id).expect("it is open").write(b"hello").expect("there is room");
        connection.path().limited_by
    });
    assert_eq!(limit, Limit::Nothing);
}

#[test]
fn who_waits_for_more_streams_is_limited_by_flow_control() {
    let mut world = World::seeded(1);
    world.links(link());
    let conn = pair(&mut world, builder().max_bidi_streams(1), builder(), Client::idle());
    world.run_for(secs(1));
    let limits = world.with(conn, |_, connection| {
        connection.open(Dir::Bi).expect("one stream may be opened");
        let before = connection.path().limited_by;
        assert_eq!(connection.open(Dir::Bi), None);
        (before, connection.path().limited_by)
    });
    assert_eq!(limits, (Limit::Application, Limit::FlowControl));
}

#[test]
fn a_server_that_moved_waits_for_its_client_to_answer() {
    let mut scene = Stage::new(Play::Symmetric).client(Client::download(3_000_000));
    scene.await_connected();
    scene.world.run_for(ms(300));
    scene.prepare(AWAY);
    let far = scene.far_end();
    scene.world.relocate(scene.server, AWAY, ms(50));
    scene.world.run_until(|world| path(world, far).limited_by == Limit::Validation, ms(20));
    scene.world.run_until(|world| path(world, far).limited_by != Limit::Validation, ms(200));
    scene.run_well(secs(10));
}
