//! Streams end to end: data in order and once, limits kept both ways, ends of all kinds.

use std::sync::Arc;
use std::time::Duration;

use peregrine::{
    ClientConfig, ConnectionEvent, Dir, EndpointConfig, ReadError, ServerConfig, StreamEvent, StreamId,
    TransportConfig, TransportConfigBuilder, VarInt, WriteError,
};

use sim::{Client, Conn, Link, Recorder, World, for_seeds, ms, secs, tls};

const SERVER: &str = "45.0.0.1:443";
const CLIENT: &str = "192.0.2.1:5000";

/// A world 20 ms across, and in it a client that runs this against a server with these transport settings at both ends.
fn world_with(builder: TransportConfigBuilder, app: Client) -> (World, Conn) {
    let mut world = World::new();
    world.links(Link::rtt(ms(20)));
    let transport = Arc::new(builder.build().expect("settings that can be"));
    world.server_with(SERVER, ServerConfig::new(tls::server()).transport(Arc::clone(&transport)));
    let client = world.client(CLIENT);
    let config = ClientConfig::new(tls::client()).transport(transport);
    let conn = world.connect_with(client, SERVER, Arc::new(config), app);
    (world, conn)
}

fn world(app: Client) -> (World, Conn) {
    world_with(TransportConfig::builder(), app)
}

/// A connection whose both ends only write down what happens, and those ends.
fn recorded(builder: TransportConfigBuilder) -> (World, Conn, Conn) {
    let mut world = World::new();
    world.links(Link::rtt(ms(20)));
    let transport = Arc::new(builder.build().expect("settings that can be"));
    let config = ServerConfig::new(tls::server()).transport(Arc::clone(&transport));
    world.host(SERVER, EndpointConfig::server(Arc::new(config)), Some(|| Box::new(Recorder::default())));
    let client = world.client(CLIENT);
    let config = Arc::new(ClientConfig::new(tls::client()).transport(transport));
    let conn = world.connect_with(client, SERVER, config, Recorder::default());
    world.run_for(ms(100));
    let server_side = world.server_side(conn).expect("the server has it too");
    (world, conn, server_side)
}

/// Opens a stream and writes this on it.
fn open_and_write(world: &mut World, conn: Conn, dir: Dir, data: &[u8]) -> StreamId {
    world.with(conn, |_, connection| {
        let id = connection.open(dir).expect("there is credit");
        assert_eq!(connection.send(id).expect("ours to send on").write(data), Ok(data.len()));
        id
    })
}

fn write(world: &mut World, conn: Conn, id: StreamId, data: &[u8]) -> Result<usize, WriteError> {
    world.with(conn, |_, connection| {
        connection.send(id).map_or(Err(WriteError::Closed), |mut s| s.write(data))
    })
}

/// Reads what lies ready, and says what ended the reading.
fn read(world: &mut World, conn: Conn, id: StreamId) -> (Vec<u8>, Result<(), ReadError>) {
    world.with(conn, |_, connection| {
        while connection.accept(id.dir()).is_some() {}
        let (mut all, mut buffer) = (Vec::new(), [0; 1000]);
        let Some(mut stream) = connection.recv(id) else { return (all, Err(ReadError::Closed)) };
        loop {
            match stream.read(&mut buffer) {
                Ok(Some(len)) => all.extend_from_slice(&buffer[..len]),
                Ok(None) => return (all, Ok(())),
                Err(error) => return (all, Err(error)),
            }
        }
    })
}

fn events(world: &World, conn: Conn) -> &[StreamEvent] {
    world.app::<Recorder>(conn).events()
}

fn code(number: u32) -> VarInt {
    VarInt::from(number)
}

#[test]
fn a_download_arrives_whole() {
    let (mut world, conn) = world(Client::download(1_000_000));
    world.run_well(secs(10));
    assert_eq!(world.app::<Client>(conn).received(), 1_000_000);
}

#[test]
fn an_upload_arrives_whole() {
    let (mut world, _) = world(Client::upload(1_000_000));
    world.run_well(secs(10));
}

#[test]
fn nothing_at_all_arrives_whole() {
    let (mut world, conn) = world(Client::download(0));
    world.run_well(secs(1));
    assert_eq!(world.app::<Client>(conn).served().len(), 1);
}

#[test]
fn many_streams_share_a_connection() {
    let (mut world, conn) = world(Client::downloads(90, 10_000));
    world.run_well(secs(10));
    assert_eq!(world.app::<Client>(conn).served().len(), 90);
}

#[test]
fn streams_beyond_the_limit_wait_for_others_to_end() {
    let few = TransportConfig::builder().max_bidi_streams(7).max_uni_streams(3);
    let (mut world, conn) = world_with(few.clone(), Client::downloads(300, 1000));
    world.run_well(secs(30));
    assert_eq!(world.app::<Client>(conn).served().len(), 300);
    let (mut world, conn) = world_with(few, Client::messages(100, 1000));
    world.run_well(secs(30));
    assert_eq!(world.app::<Client>(conn).served().len(), 100);
}

#[test]
fn thousands_of_small_requests_are_served() {
    let (mut world, conn) = world(Client::downloads(3000, 100));
    world.run_well(secs(60));
    assert_eq!(world.app::<Client>(conn).served().len(), 3000);
}

#[test]
fn a_download_through_small_windows_arrives_whole() {
    let narrow = TransportConfig::builder().stream_receive_window(5_000).receive_window(8_000);
    let (mut world, _) = world_with(narrow, Client::downloads(4, 50_000));
    world.run_well(secs(30));
}

#[test]
fn an_upload_through_small_windows_and_a_small_buffer_arrives_whole() {
    let narrow =
        TransportConfig::builder().stream_receive_window(5_000).receive_window(8_000).send_buffer(3_000);
    let (mut world, _) = world_with(narrow, Client::upload(100_000));
    world.run_well(secs(30));
}

#[test]
fn windows_of_one_byte_move_one_byte_at_a_time() {
    let tiny = TransportConfig::builder().stream_receive_window(1).receive_window(1);
    let (mut world, _) = world_with(tiny, Client::download(50));
    world.run_well(secs(60));
}

#[test]
fn a_slow_reader_holds_the_sender_back() {
    let narrow = TransportConfig::builder().stream_receive_window(20_000).receive_window(20_000);
    let (mut world, conn) = world_with(narrow, Client::download(200_000).slowly(1000, ms(10)));
    world.run_for(ms(500));
    let server_side = world.server_side(conn).expect("the server has it too");
    let sent = world.connection(server_side).expect("open").stats().bytes_sent;
    let read = world.app::<Client>(conn).received();
    assert!(sent < read + 20_000 + 8_000, "{sent} bytes sent for {read} read");
    world.run_well(secs(10));
    // 200 meals of 1000 bytes, 10 ms apart.
    assert!(world.now().as_micros() > 2_000_000);
}

#[test]
fn one_stuck_stream_does_not_stop_the_others() {
    let narrow = TransportConfig::builder().stream_receive_window(4_000).receive_window(100_000);
    let (mut world, conn, server_side) = recorded(narrow);
    let stuck = open_and_write(&mut world, conn, Dir::Uni, &[7; 4_000]);
    assert_eq!(write(&mut world, conn, stuck, &[7]), Err(WriteError::Blocked));
    let free = open_and_write(&mut world, conn, Dir::Uni, b"hello");
    world.run_for(ms(50));
    assert_eq!(read(&mut world, server_side, free).0, b"hello");
    assert_eq!(read(&mut world, server_side, stuck).0.len(), 4_000);
    world.run_for(ms(50));
    assert!(events(&world, conn).contains(&StreamEvent::Writable { id: stuck }));
    assert_eq!(write(&mut world, conn, stuck, &[7]), Ok(1));
}

#[test]
fn both_ends_speak_at_once_on_one_stream() {
    let (mut world, conn, server_side) = recorded(TransportConfig::builder());
    let id = open_and_write(&mut world, conn, Dir::Bi, b"question");
    world.run_for(ms(50));
    assert_eq!(events(&world, server_side)[0], StreamEvent::Opened { dir: Dir::Bi });
    assert_eq!(read(&mut world, server_side, id), (b"question".to_vec(), Err(ReadError::Blocked)));
    assert_eq!(write(&mut world, server_side, id, b"answer"), Ok(6));
    world.with(server_side, |_, c| c.send(id).expect("open").finish()).expect("not finished before");
    world.run_for(ms(50));
    assert_eq!(read(&mut world, conn, id), (b"answer".to_vec(), Ok(())));
    assert_eq!(write(&mut world, conn, id, b"thanks"), Ok(6));
    world.with(conn, |_, c| c.send(id).expect("open").finish()).expect("not finished before");
    world.run_for(ms(50));
    assert_eq!(read(&mut world, server_side, id), (b"thanks".to_vec(), Ok(())));
    world.run_for(ms(50));
    assert!(events(&world, conn).contains(&StreamEvent::Finished { id }));
    assert!(events(&world, server_side).contains(&StreamEvent::Finished { id }));
}

#[test]
fn a_server_may_begin_streams() {
    let (mut world, conn, server_side) = recorded(TransportConfig::builder());
    let id = open_and_write(&mut world, server_side, Dir::Uni, b"news");
    world.run_for(ms(50));
    assert_eq!(read(&mut world, conn, id), (b"news".to_vec(), Err(ReadError::Blocked)));
}

#[test]
fn a_reset_tells_the_reader_and_nothing_more_is_read() {
    let (mut world, conn, server_side) = recorded(TransportConfig::builder());
    let id = open_and_write(&mut world, conn, Dir::Bi, &[7; 100_000]);
    world.run_for(ms(15));
    assert_eq!(world.with(server_side, |_, connection| connection.accept(Dir::Bi)), Some(id));
    world.with(conn, |_, c| c.send(id).expect("open").reset(code(5))).expect("not reset before");
    world.run_for(ms(100));
    assert!(events(&world, server_side).contains(&StreamEvent::Reset { id, code: code(5) }));
    assert_eq!(write(&mut world, conn, id, b"more"), Err(WriteError::Closed));
    // The other direction lives on.
    assert_eq!(write(&mut world, server_side, id, b"still here"), Ok(10));
    world.run_for(ms(50));
    assert_eq!(read(&mut world, conn, id).0, b"still here");
}

#[test]
fn a_reader_that_stops_stops_the_writer() {
    let (mut world, conn, server_side) = recorded(TransportConfig::builder());
    let id = open_and_write(&mut world, conn, Dir::Bi, b"a long story");
    world.run_for(ms(50));
    let stopped = world.with(server_side, |_, connection| {
        connection.accept(Dir::Bi);
        connection.recv(id).expect("open").stop(code(6))
    });
    stopped.expect("not stopped before");
    world.run_for(ms(50));
    assert!(events(&world, conn).contains(&StreamEvent::Stopped { id, code: code(6) }));
    assert!(write(&mut world, conn, id, b"more").is_err());
    assert_eq!(read(&mut world, server_side, id).1, Err(ReadError::Closed));
}

#[test]
fn resets_give_connection_credit_back() {
    let narrow = TransportConfig::builder().receive_window(50_000).stream_receive_window(50_000);
    let (mut world, conn, server_side) = recorded(narrow);
    // Each takes most of the connection's window, and none is ever read.
    for _ in 0..20 {
        let id = open_and_write(&mut world, conn, Dir::Uni, &[7; 40_000]);
        world.run_for(ms(100));
        world.with(conn, |_, c| c.send(id).expect("open").reset(code(1))).expect("not reset before");
        world.with(server_side, |_, connection| while connection.accept(Dir::Uni).is_some() {});
        world.run_for(ms(100));
    }
    assert!(world.closed(conn).is_none());
}

#[test]
fn data_written_before_a_close_of_the_stream_is_still_delivered_under_loss() {
    for_seeds(20, |seed| {
        let mut world = World::seeded(seed);
        world.links(Link::rtt(ms(20)).loss(0.1));
        world.server(SERVER);
        let client = world.client(CLIENT);
        let conn = world.connect(client, SERVER, Client::messages(50, 2_000));
        world.run_well(secs(60));
        assert_eq!(world.app::<Client>(conn).served().len(), 50);
    });
}

#[test]
fn echoes_take_one_round_trip_each() {
    let (mut world, conn) = world(Client::echoes(50, ms(7)));
    world.run_well(secs(10));
    let slow = world.app::<Client>(conn).served().iter().find(|served| served.took > ms(21));
    assert_eq!(slow, None);
}

#[test]
fn streams_are_opened_only_when_the_handshake_is_complete() {
    let mut world = World::new();
    world.server(SERVER);
    let client = world.client(CLIENT);
    let conn = world.connect(client, SERVER, Client::idle());
    assert_eq!(world.with(conn, |_, connection| connection.open(Dir::Bi)), None);
    world.run_until(|world| world.is_connected(conn), secs(1));
    assert!(world.with(conn, |_, connection| connection.open(Dir::Bi)).is_some());
    assert!(world.when(conn, |event| matches!(event, ConnectionEvent::Closed(_))).is_none());
    world.run_for(Duration::from_millis(100));
}

#[test]
fn nothing_is_said_of_a_stream_after_the_end() {
    let mut world = World::new();
    world.server(SERVER);
    let client = world.client(CLIENT);
    // The client closes when the last of its responses has come, while others wait to be told that their requests have
    // arrived; the world looks whether they still are.
    world.connect(client, SERVER, Client::downloads(50, 10).then_close());
    world.run_well(secs(10));
    world.run_for(secs(1));
}
