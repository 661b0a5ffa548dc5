//! Key updates (RFC 9001, Section 6) that we begin, follow and cross, and what is told of secrets: exported and logged.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use peregrine::{
    ClientConfig, DropReason, ExportError, KeyUpdateError, ServerConfig, Stats, TransportConfig, VarInt,
    Version,
};
use rustls::crypto::ring::cipher_suite::{
    TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
};
use rustls::{KeyLog, SupportedCipherSuite};

use sim::{Client, Conn, Link, Queue, Verdict, World, addr, ms, secs, tls};
use stage::moves::{AWAY, Play, Stage};

const SERVER: &str = "192.0.2.2:443";
const CLIENT: &str = "192.0.2.1:5000";

const SUITES: [SupportedCipherSuite; 3] =
    [TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256];

/// Both ends of one connection.
struct Pair {
    world: World,
    client: Conn,
    server: Conn,
}

impl Pair {
    /// Connected over such links with such a suite, both ends confirmed, and the application at work.
    fn new(link: Link, suite: SupportedCipherSuite, app: Client) -> Self {
        Self::with(link, app, ServerConfig::new(tls::server()), tls::client_with(suite))
    }

    fn with(link: Link, app: Client, server: ServerConfig, client: rustls::ClientConfig) -> Self {
        let mut world = World::new();
        world.links(link);
        world.server_with(SERVER, server);
        let host = world.client(CLIENT);
        let config = Arc::new(ClientConfig::new(Arc::new(client)));
        let client = world.connect_with(host, SERVER, config, app);
        Self::confirmed(world, client)
    }

    fn confirmed(mut world: World, client: Conn) -> Self {
        let confirmed = |world: &World| world.connection(client).is_some_and(|c| c.is_confirmed());
        world.run_until(confirmed, secs(20));
        let server = world.server_side(client).expect("the server has it, too");
        Self { world, client, server }
    }

    fn ends(&self) -> [Conn; 2] {
        [self.client, self.server]
    }

    fn update(&mut self, end: Conn) -> Result<(), KeyUpdateError> {
        self.world.with(end, |now, connection| connection.update_keys(now))
    }

    fn stats(&self, end: Conn) -> &Stats {
        self.world.connection(end).expect("it lives").stats()
    }

    /// How many key updates an end has begun and followed.
    fn updates(&self, end: Conn) -> (u64, u64) {
        (self.stats(end).own_key_updates, self.stats(end).key_updates)
    }

    fn undecryptable(&self) -> u64 {
        self.ends().map(|end| self.stats(end).dropped(DropReason::Undecryptable)).iter().sum()
    }

    /// Runs until both ends are in the same phase, which takes no longer than a packet.
    fn assert_in_step(&mut self) {
        self.world.run_for(secs(1));
        let phases = self.ends().map(|end| self.stats(end).own_key_updates + self.stats(end).key_updates);
        assert_eq!(phases[0], phases[1]);
    }
}

/// With datagrams of 1200 bytes throughout: updates are due by packets.
fn transport(key_update_after: u64) -> TransportConfig {
    let builder = TransportConfig::builder().key_update_after(key_update_after);
    builder.build().expect("settings that can be")
}

fn link() -> Link {
    Link::rtt(ms(20)).bandwidth(20_000_000)
}

#[test]
fn a_hundred_updates_from_both_sides_under_loss_and_reordering_cost_no_packet() {
    for (suite, bytes, least) in
        [(SUITES[0], 4_000_000, 100), (SUITES[1], 1_000_000, 20), (SUITES[2], 1_000_000, 20)]
    {
        let bad = Link::rtt(ms(10))
            .bandwidth(800_000)
            .queue(Queue::Packets(5))
            .loss(0.01)
            .reordering(0.2, ms(8))
            .duplication(0.05);
        let mut pair = Pair::new(bad, suite, Client::download(bytes));
        assert_eq!(pair.world.connection(pair.server).expect("it lives").cipher_suite(), Some(suite.suite()));
        let (mut updates, mut step) = (0, 0);
        while pair.world.outcome(pair.client) == sim::Outcome::Running {
            pair.world.run_for(ms(7));
            // For twenty seconds each has its turn, which the other follows; then they may cross.
            step += 1;
            let alone = pair.ends()[step / 64 % 2];
            let turns = if step < 3072 { vec![alone] } else { pair.ends().to_vec() };
            updates += turns.into_iter().filter(|end| pair.update(*end).is_ok()).count();
        }
        assert!(updates >= least, "{updates}");
        pair.world.run_well(secs(1));
        pair.assert_in_step();
        let (begun, followed) = pair.updates(pair.client);
        assert!(begun > 2 && followed > 2, "{begun}, {followed}");
        assert_eq!(pair.undecryptable(), 0);
    }
}

#[test]
fn an_update_is_followed_at_once_though_nobody_has_anything_to_say() {
    for suite in SUITES {
        let mut pair = Pair::new(link(), suite, Client::idle());
        pair.world.run_for(secs(1));
        let (client, server) = (pair.client, pair.server);
        assert_eq!(pair.update(client), Ok(()));
        pair.world.run_for(ms(11));
        assert_eq!((pair.updates(client), pair.updates(server)), ((1, 0), (0, 1)));
        pair.world.run_for(ms(11));
        assert_eq!(pair.update(client), Err(KeyUpdateError::TooSoon));
        // The server has said nothing yet that asks for an acknowledgement; now it does.
        pair.world.run_for(secs(1));
        assert_eq!(pair.update(server), Err(KeyUpdateError::Unacknowledged));
        pair.world.run_for(secs(1));
        assert_eq!(pair.update(server), Ok(()));
        pair.world.run_for(ms(11));
        assert_eq!((pair.updates(client), pair.updates(server)), ((1, 1), (1, 1)));
        assert_eq!(pair.undecryptable(), 0);
    }
}

#[test]
fn updates_that_both_begin_at_once_are_one() {
    for suite in SUITES {
        let mut pair = Pair::new(link(), suite, Client::download(500_000));
        pair.world.run_for(ms(100));
        for end in pair.ends() {
            assert_eq!(pair.update(end), Ok(()));
        }
        pair.world.run_well(secs(10));
        pair.assert_in_step();
        assert_eq!((pair.updates(pair.client), pair.updates(pair.server)), ((1, 0), (1, 0)));
        assert_eq!(pair.undecryptable(), 0);
    }
}

#[test]
fn an_update_has_to_wait_for_confirmation() {
    let mut world = World::new();
    world.links(link());
    world.server(SERVER);
    let host = world.client(CLIENT);
    let client = world.connect(host, SERVER, Client::idle());
    let update = |world: &mut World| world.with(client, |now, connection| connection.update_keys(now));
    assert_eq!(update(&mut world), Err(KeyUpdateError::NotConfirmed));
    world.run_until(|world| world.is_connected(client), secs(1));
    assert!(!world.connection(client).expect("it lives").is_confirmed());
    assert_eq!(update(&mut world), Err(KeyUpdateError::NotConfirmed));
    let mut pair = Pair::confirmed(world, client);
    pair.world.run_for(ms(200));
    assert_eq!(pair.update(client), Ok(()));
}

#[test]
fn an_update_has_to_wait_until_the_last_is_acknowledged_and_three_probe_timeouts_more() {
    let mut pair = Pair::new(link(), SUITES[0], Client::idle());
    pair.world.run_for(secs(1));
    let client = pair.client;
    assert_eq!(pair.update(client), Ok(()));
    pair.world.run_for(ms(19));
    assert_eq!(pair.update(client), Err(KeyUpdateError::Unacknowledged));
    pair.world.run_for(ms(3));
    assert_eq!(pair.update(client), Err(KeyUpdateError::TooSoon));
    // Three probe timeouts of a path whose round trip takes 20 ms are no less than three round trips.
    pair.world.run_for(ms(60));
    assert_eq!(pair.update(client), Err(KeyUpdateError::TooSoon));
    pair.world.run_for(ms(200));
    assert_eq!(pair.update(client), Ok(()));
    pair.world.with(client, |now, connection| connection.close(now, VarInt::ZERO, b""));
    assert_eq!(pair.update(client), Err(KeyUpdateError::Closed));
}

#[test]
fn an_update_that_nobody_hears_of_stays_the_only_one_and_is_followed_in_the_end() {
    let mut pair = Pair::new(link(), SUITES[0], Client::idle());
    pair.world.run_for(secs(1));
    let client = pair.client;
    pair.world.links(link().down());
    assert_eq!(pair.update(client), Ok(()));
    pair.world.run_for(secs(5));
    assert_eq!(pair.update(client), Err(KeyUpdateError::Unacknowledged));
    // The server is at the old phase all the while, and what it says is read.
    pair.world.links(link());
    pair.world.with(pair.server, |_, connection| {
        let id = connection.open(peregrine::Dir::Uni).expect("the client permits it");
        connection.send(id).expect("it is ours").write(b"old").expect("there is room");
    });
    pair.world.run_for(secs(10));
    assert_eq!((pair.updates(pair.client), pair.updates(pair.server)), ((1, 0), (0, 1)));
    assert_eq!(pair.undecryptable(), 0);
}

#[test]
fn a_connection_that_sends_much_updates_its_keys_by_itself() {
    let mut world = World::new();
    world.links(Link::rtt(ms(20)).bandwidth(4_000_000).queue(Queue::Packets(20)));
    world.server_with(SERVER, ServerConfig::new(tls::server()).transport(Arc::new(transport(100))));
    let host = world.client(CLIENT);
    let client = world.connect(host, SERVER, Client::download(1_000_000));
    let mut pair = Pair::confirmed(world, client);
    pair.world.run_well(secs(20));
    pair.assert_in_step();
    let (begun, followed) = pair.updates(pair.server);
    // Some 800 packets in two seconds: as often as three probe timeouts permit, not every hundred.
    assert!((3..=20).contains(&begun), "{begun}");
    assert_eq!(followed, 0);
    assert_eq!(pair.updates(client), (0, begun));
    assert_eq!(pair.undecryptable(), 0);
}

#[test]
fn who_does_nothing_but_acknowledge_updates_its_keys_by_itself_as_well() {
    let mut world = World::new();
    world.links(Link::rtt(ms(20)).bandwidth(4_000_000).queue(Queue::Packets(20)));
    world.server(SERVER);
    let host = world.client(CLIENT);
    let config = Arc::new(ClientConfig::new(tls::client()).transport(Arc::new(transport(50))));
    let client = world.connect_with(host, SERVER, config, Client::download(1_000_000));
    let mut pair = Pair::confirmed(world, client);
    pair.world.run_well(secs(20));
    pair.assert_in_step();
    let (begun, followed) = pair.updates(client);
    assert!((3..=20).contains(&begun), "{begun}");
    assert_eq!((followed, pair.undecryptable()), (0, 0));
}

#[test]
fn keys_of_version_2_are_updated_by_its_own_label() {
    let mut world = World::new();
    world.links(link());
    world.server(SERVER);
    let host = world.client(CLIENT);
    let config = ClientConfig::new(tls::client()).versions(&[Version::V2]).expect("a version");
    let client = world.connect_with(host, SERVER, Arc::new(config), Client::download(200_000));
    let mut pair = Pair::confirmed(world, client);
    assert_eq!(pair.world.connection(client).expect("it lives").version(), Version::V2);
    pair.world.run_for(ms(100));
    assert_eq!(pair.update(pair.server), Ok(()));
    pair.world.run_well(secs(20));
    pair.assert_in_step();
    assert_eq!((pair.updates(pair.client), pair.updates(pair.server)), ((0, 1), (1, 0)));
    assert_eq!(pair.undecryptable(), 0);
}

#[test]
fn a_key_that_cannot_be_replaced_is_used_on() {
    let mut world = World::new();
    world.links(link());
    world.server_with(SERVER, ServerConfig::new(tls::server()).transport(Arc::new(transport(1))));
    let host = world.client(CLIENT);
    let client = world.connect(host, SERVER, Client::download(100_000));
    let mut pair = Pair::confirmed(world, client);
    // From then on nothing of the client's arrives.
    pair.world.one_way(Some("192.0.2.1"), None, link().down());
    pair.world.run_for(secs(1));
    let (sent, updates) = (pair.stats(pair.server).packets_sent, pair.updates(pair.server));
    assert!(updates.0 > 0);
    pair.world.run_for(secs(5));
    assert_eq!(pair.updates(pair.server), updates);
    assert!(pair.stats(pair.server).packets_sent >= sent + 4);
    assert_eq!(pair.world.closed(pair.server), None);
    pair.world.one_way(Some("192.0.2.1"), None, link());
    pair.world.run_well(secs(20));
}

/// The server says something while its peer updates the keys, and it arrives so much later than what it says next.
fn undecryptable_after(delay: Duration) -> u64 {
    let mut pair = Pair::new(link(), SUITES[0], Client::idle());
    pair.world.run_for(secs(1));
    let late = Rc::new(Cell::new(true));
    let next = Rc::clone(&late);
    pair.world.tap(move |_, datagram| match datagram.from == addr(SERVER) && next.take() {
        true => Verdict::Delay(delay),
        false => Verdict::Pass,
    });
    pair.world.with(pair.server, |_, connection| {
        let id = connection.open(peregrine::Dir::Uni).expect("the client permits it");
        connection.send(id).expect("it is ours").write(b"late").expect("there is room");
    });
    assert!(!late.get(), "something was said");
    let client = pair.client;
    assert_eq!(pair.update(client), Ok(()));
    pair.world.run_for(secs(5));
    assert_eq!((pair.updates(pair.client), pair.updates(pair.server)), ((1, 0), (0, 1)));
    pair.undecryptable()
}

#[test]
fn a_delayed_packet_is_read_for_three_probe_timeouts_and_dropped_after() {
    // The client hears the new phase after 20 ms.
    assert_eq!(undecryptable_after(ms(80)), 0);
    assert_eq!(undecryptable_after(ms(600)), 1);
}

#[test]
fn a_server_that_moves_in_the_middle_of_an_update_goes_on() {
    for play in Play::ALL {
        for (before, meanwhile) in [(0, 10), (1, 0), (12, 10)] {
            let mut scene = Stage::new(play).client(Client::download(400_000));
            scene.await_connected();
            scene.world.run_for(ms(30));
            scene.prepare(AWAY);
            let (near, far) = (scene.conn(), scene.far_end());
            // Whether the client has heard of it or not, has answered or not; and it has a wish of its own.
            let update = |world: &mut World, end| world.with(end, |now, at| at.update_keys(now));
            assert_eq!(update(&mut scene.world, far), Ok(()));
            scene.world.run_for(ms(before));
            scene.world.plan(ms(meanwhile), move |world| {
                let _ = update(world, near);
            });
            scene.world.relocate(scene.server, AWAY, ms(100));
            assert!(!scene.is_done(), "the server moves in the middle of it");
            scene.run_well(secs(20));
            scene.assert_followed(AWAY);
            let mut pair = Pair { world: scene.world, client: near, server: far };
            pair.assert_in_step();
            assert_eq!(pair.undecryptable(), 0);
            pair.world.run_for(secs(1));
            assert_eq!(pair.update(far), Ok(()));
            pair.assert_in_step();
        }
    }
}

#[test]
fn both_sides_export_the_same_and_for_other_purposes_something_else() {
    for suite in SUITES {
        let pair = Pair::new(link(), suite, Client::idle());
        let export = |end: Conn, label: &[u8], context: Option<&[u8]>| {
            let mut out = [0; 40];
            let connection = pair.world.connection(end).expect("it lives");
            connection.export_keying_material(&mut out, label, context).expect("it can be exported");
            out
        };
        let asked: [(&[u8], Option<&[u8]>); 4] =
            [(b"one", None), (b"two", None), (b"one", Some(b"here")), (b"one", Some(b"there"))];
        let values: BTreeSet<_> = asked
            .iter()
            .map(|(label, context)| {
                let value = export(pair.client, label, *context);
                assert_eq!(export(pair.server, label, *context), value);
                value
            })
            .collect();
        assert_eq!(values.len(), asked.len());
        assert_eq!(export(pair.client, b"one", Some(b"")), export(pair.server, b"one", None));
    }
}

#[test]
fn nothing_is_exported_before_the_handshake_is_complete() {
    let mut world = World::new();
    world.links(link());
    world.server(SERVER);
    let host = world.client(CLIENT);
    let client = world.connect(host, SERVER, Client::idle());
    let export = |world: &World| {
        let connection = world.connection(client).expect("it lives");
        connection.export_keying_material(&mut [0; 8], b"label", None)
    };
    assert_eq!(export(&world), Err(ExportError::HandshakeNotComplete));
    world.run_until(|world| world.is_connected(client), secs(1));
    assert_eq!(export(&world), Ok(()));
}

/// Label, client random and secret.
type Line = (String, Vec<u8>, Vec<u8>);

/// A key log in memory.
#[derive(Debug, Default)]
struct Lines(Mutex<BTreeSet<Line>>);

impl Lines {
    fn all(&self) -> BTreeSet<Line> {
        self.0.lock().expect("nobody panics").clone()
    }
}

impl KeyLog for Lines {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let line = (label.to_owned(), client_random.to_vec(), secret.to_vec());
        assert!(self.0.lock().expect("nobody panics").insert(line), "{label} is told twice");
    }
}

#[test]
fn both_sides_log_the_same_secrets_those_after_key_updates_included() {
    let (of_client, of_server) = (Arc::new(Lines::default()), Arc::new(Lines::default()));
    let mut client = tls::client_with(SUITES[1]);
    client.key_log = Arc::clone(&of_client) as Arc<dyn KeyLog>;
    let mut server = rustls::ServerConfig::clone(&tls::server());
    server.key_log = Arc::clone(&of_server) as Arc<dyn KeyLog>;
    let mut pair = Pair::with(link(), Client::idle(), ServerConfig::new(Arc::new(server)), client);
    for end in [pair.client, pair.server, pair.server] {
        while pair.update(end).is_err() {
            pair.world.run_for(secs(1));
        }
    }
    pair.assert_in_step();
    let lines = of_client.all();
    assert_eq!(lines, of_server.all());
    let labels: Vec<_> = lines.iter().map(|(label, _, _)| label.as_str()).collect();
    let expected = [
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "CLIENT_TRAFFIC_SECRET_1",
        "CLIENT_TRAFFIC_SECRET_2",
        "CLIENT_TRAFFIC_SECRET_3",
        "EXPORTER_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_1",
        "SERVER_TRAFFIC_SECRET_2",
        "SERVER_TRAFFIC_SECRET_3",
    ];
    assert_eq!(labels, expected);
    let randoms: BTreeSet<_> = lines.iter().map(|(_, client_random, _)| client_random).collect();
    assert_eq!(randoms.len(), 1);
    let secrets: BTreeSet<_> = lines.iter().map(|(_, _, secret)| secret).collect();
    assert_eq!(secrets.len(), expected.len());
}

#[test]
fn settings_that_mean_nothing_are_refused() {
    let build = |packets| TransportConfig::builder().key_update_after(packets).build();
    assert!(build(0).is_err());
    assert!(build(1).is_ok());
    assert!(build(1 << 62).is_ok());
    assert!(build((1 << 62) + 1).is_err());
}
