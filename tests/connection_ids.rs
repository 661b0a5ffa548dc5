//! Connection IDs that name their server: behind a load balancer, through a move, and before strangers.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use peregrine::{
    Arrival, ConnectionId, ConnectionIdGenerator, DropReason, Ecn, EndpointConfig, Event, FourTuple,
    MoveOrder, Owner, QuicLbConfig, QuicLbIds, QuicLbRouter, RandomIds, RelocationPlan, Rng, SeededRng,
    ServerId, SocketKey, peek,
};

use sim::{
    Client, Conn, Datagram, Filtering, HostId, Kind, Nat, Server, Shape, Verdict, World, addr, ip, ms, secs,
};
use stage::moves::{AWAY, HOME, Play, Stage, target};

const STRANGER: &str = "198.51.100.66:6666";
const KEY: [u8; 16] = [0x42; 16];

/// A generator that notes what it has made.
#[derive(Debug)]
struct Noting {
    ids: QuicLbIds,
    made: Mutex<Vec<ConnectionId>>,
}

impl ConnectionIdGenerator for Noting {
    fn generate(&self, rng: &mut dyn Rng) -> ConnectionId {
        let id = self.ids.generate(rng);
        self.made.lock().expect("nobody panicked").push(id);
        id
    }

    fn id_len(&self) -> usize {
        self.ids.id_len()
    }

    fn owner(&self, id: &ConnectionId) -> Owner {
        self.ids.owner(id)
    }

    fn may_reset(&self, id: &ConnectionId) -> bool {
        self.ids.may_reset(id)
    }
}

impl Noting {
    fn made(&self) -> Vec<ConnectionId> {
        self.made.lock().expect("nobody panicked").clone()
    }
}

fn config() -> QuicLbConfig {
    QuicLbConfig::new(3, 2, 6).expect("it can be").key(KEY)
}

fn name(byte: u8) -> ServerId {
    ServerId::new(&[0, byte]).expect("two bytes")
}

fn ids(byte: u8) -> Arc<Noting> {
    let mut rng = SeededRng::new(byte.into());
    let ids = QuicLbIds::new(config(), name(byte), &mut rng).expect("two bytes are asked for");
    Arc::new(Noting { ids, made: Mutex::new(Vec::new()) })
}

/// The endpoint of a server that issues these IDs, and shares its reset secret with the others.
fn endpoint(play: Play, ids: &Arc<Noting>) -> EndpointConfig {
    let server = Arc::new(Stage::new(play).server_config());
    let ids = Arc::clone(ids) as Arc<dyn ConnectionIdGenerator>;
    EndpointConfig::server(server).reset_secret([7; 32]).connection_ids(ids).expect("a length that can be")
}

/// Two servers at one address, and a balancer before it that knows them by their IDs; strangers it sends to a server by
/// their address.
struct Pool {
    world: World,
    servers: [HostId; 2],
    ids: [Arc<Noting>; 2],
    play: Play,
}

impl Pool {
    fn new(play: Play) -> Self {
        let mut world = World::new();
        let ids = [ids(1), ids(2)];
        let servers = [0, 1].map(|index: usize| {
            let serve = || Box::new(Server::default()) as Box<dyn sim::App>;
            world.host_with_secret(HOME, endpoint(play, &ids[index]), Some(serve))
        });
        let mut router = QuicLbRouter::new();
        router.insert(config());
        let by_name = BTreeMap::from([(name(1), servers[0]), (name(2), servers[1])]);
        world.balance(move |datagram| {
            if ![addr(HOME), addr(AWAY)].contains(&datagram.to) {
                return None;
            }
            let id = peek(&datagram.payload, router.id_len())?;
            let named = router.server_id_of(&id).and_then(|server| by_name.get(&server).copied());
            Some(named.unwrap_or_else(|| by_address(datagram.from.ip(), &servers)))
        });
        Self { world, servers, ids, play }
    }

    /// A client that the balancer sends to one of the servers by its address.
    fn connect(&mut self, number: u16, app: Client) -> Conn {
        let host = self.world.client(&format!("30.0.0.{number}:{}", 5000 + number));
        self.world.connect_with(host, HOME, Stage::new(self.play).client_config(self.play), app)
    }

    fn server_of(&self, conn: Conn) -> HostId {
        self.world.server_side(conn).expect("a server has it").host
    }

    fn dropped(&self, reason: DropReason) -> [u64; 2] {
        self.servers.map(|server| self.world.at(server).endpoint().stats().dropped(reason))
    }
}

/// The server of a stranger's packet: by whether the last byte of its address is odd.
fn by_address(ip: IpAddr, servers: &[HostId; 2]) -> HostId {
    let IpAddr::V4(ip) = ip else { panic!("{ip} is not of this world") };
    servers[usize::from(ip.octets()[3] % 2)]
}

fn misrouted(world: &World, host: HostId) -> Vec<ConnectionId> {
    let events = world.at(host).events().iter().filter_map(|(_, event)| match event {
        Event::Misrouted(id) => Some(*id),
        _ => None,
    });
    events.collect()
}

/// What looks like a 1-RTT packet with this ID, of `len` bytes.
fn short(id: &[u8], len: usize) -> Vec<u8> {
    let mut payload = [&[0x40][..], id].concat();
    payload.resize(len, 0x55);
    payload
}

/// What looks like a Handshake packet with this ID.
fn handshake(id: &[u8]) -> Vec<u8> {
    let mut payload = vec![0xe0, 0, 0, 0, 1, u8::try_from(id.len()).expect("short")];
    payload.extend(id);
    payload.resize(200, 0);
    payload
}

/// A lone server, without a balancer.
fn lone() -> (World, HostId, Arc<Noting>) {
    lone_with(Play::Symmetric)
}

fn lone_with(play: Play) -> (World, HostId, Arc<Noting>) {
    let (mut world, ids) = (World::new(), ids(1));
    let serve = || Box::new(Server::default()) as Box<dyn sim::App>;
    let server = world.host_with_secret(HOME, endpoint(play, &ids), Some(serve));
    (world, server, ids)
}

/// An ID of a server that is called this, made beforehand.
fn id_of(byte: u8) -> ConnectionId {
    ids(byte).ids.generate(&mut SeededRng::new(99))
}

/// The lengths of all datagrams that are sent to the stranger.
fn answers(world: &mut World) -> Rc<RefCell<Vec<usize>>> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let tap = Rc::clone(&seen);
    world.tap(move |_, datagram| {
        if datagram.to == addr(STRANGER) {
            tap.borrow_mut().push(datagram.payload.len());
        }
        Verdict::Pass
    });
    seen
}

fn inject(world: &mut World, to: &str, payload: Vec<u8>) {
    world.inject(Datagram::new(addr(STRANGER), addr(to), payload));
    world.run_for(ms(100));
}

#[test]
fn two_servers_behind_a_balancer_keep_their_clients_when_one_moves() {
    let mut pool = Pool::new(Play::Reactive);
    let conns: Vec<Conn> = (1..=6).map(|number| pool.connect(number, Client::echoes(200, ms(20)))).collect();
    pool.world.run_for(secs(1));
    let [moving, staying] = pool.servers;
    let homes: Vec<HostId> = conns.iter().map(|conn| pool.server_of(*conn)).collect();
    assert_eq!(homes, [staying, moving, staying, moving, staying, moving]);
    let plan = RelocationPlan::uniform(MoveOrder::Explicit(target(AWAY)));
    pool.world.relocate_by(moving, plan, AWAY, ms(200));
    pool.world.run_well(secs(30));
    for (conn, home) in conns.iter().zip(homes) {
        let at = if home == moving { AWAY } else { HOME };
        assert_eq!(pool.world.connection(*conn).expect("open").remote(), addr(at));
    }
    assert_eq!(pool.dropped(DropReason::Misrouted), [0, 0]);
    assert_eq!(pool.dropped(DropReason::UnknownConnection), [0, 0]);
}

#[test]
fn a_client_that_changes_its_address_stays_at_its_server() {
    let mut pool = Pool::new(Play::Symmetric);
    pool.world.nat(Nat::new(&[ip("30.0.0.1")], ip("30.0.7.1"), Filtering::AddressAndPortDependent));
    let conn = pool.connect(1, Client::echoes(100, ms(20)));
    pool.world.run_for(secs(1));
    let home = pool.server_of(conn);
    assert_eq!(home, by_address(ip("30.0.7.1"), &pool.servers));
    // By its address it would come to the other server now.
    pool.world.rebind_nat(conn.host, Some("30.0.7.2"));
    pool.world.run_well(secs(20));
    assert_eq!(pool.server_of(conn), home);
    let far = pool.world.server_side(conn).expect("the server has it");
    assert_eq!(pool.world.connection(far).expect("open").remote().ip(), ip("30.0.7.2"));
    assert_eq!(pool.dropped(DropReason::Misrouted), [0, 0]);
}

#[test]
fn all_ids_that_a_server_issues_lead_to_it() {
    let mut pool = Pool::new(Play::Reactive);
    let used = Rc::new(RefCell::new(Vec::new()));
    let tap = Rc::clone(&used);
    pool.world.tap(move |_, datagram| {
        let to_server = [addr(HOME), addr(AWAY)].contains(&datagram.to);
        if to_server && !Shape::of(&datagram.payload).has(Kind::Initial) {
            tap.borrow_mut().extend(peek(&datagram.payload, config().id_len()));
        }
        Verdict::Pass
    });
    let conns = [1, 2, 3, 4].map(|number| pool.connect(number, Client::echoes(100, ms(20))));
    pool.world.run_for(secs(1));
    let plan = RelocationPlan::uniform(MoveOrder::Explicit(target(AWAY)));
    pool.world.relocate_by(pool.servers[0], plan, AWAY, ms(200));
    pool.world.run_well(secs(30));
    let mut router = QuicLbRouter::new();
    router.insert(config());
    let all: Vec<ConnectionId> = pool.ids.iter().flat_map(|ids| ids.made()).collect();
    for (ids, server) in pool.ids.iter().zip([name(1), name(2)]) {
        let made = ids.made();
        // Each of the two connections has the ID of its handshake and some to spare.
        assert!(made.len() >= 2 * 3, "only {}", made.len());
        assert!(made.iter().all(|id| router.server_id_of(id) == Some(server)));
    }
    // No client has sent to an ID of another origin after its Initials.
    let used = used.borrow();
    assert!(!used.is_empty() && used.iter().all(|id| all.contains(id)));
    assert!(conns.iter().all(|conn| pool.world.closed(*conn).is_none()));
}

#[test]
fn nobody_can_tell_by_their_ids_which_connections_share_a_server() {
    let mut pool = Pool::new(Play::Symmetric);
    for number in 1..=40 {
        pool.connect(number, Client::echoes(1, ms(20)));
    }
    pool.world.run_well(secs(20));
    for ids in &pool.ids {
        let made = ids.made();
        for at in 1..config().id_len() {
            let counts = made.iter().fold(BTreeMap::new(), |mut counts: BTreeMap<u8, usize>, id| {
                *counts.entry(id[at]).or_default() += 1;
                counts
            });
            // Each byte of each ID is as good as random: no value is common.
            let most = counts.values().max().copied().unwrap_or_default();
            assert!(most * 8 < made.len(), "byte {at}: {most} of {}", made.len());
        }
        let firsts = made.iter().filter(|id| id[0] == made[0][0]).count();
        assert!(firsts * 4 < made.len(), "the first octet: {firsts} of {}", made.len());
    }
}

#[test]
fn connections_go_over_to_a_new_configuration_and_retire_the_ids_of_the_old_one() {
    let mut pool = Pool::new(Play::Reactive);
    let conns = [2, 4].map(|number| pool.connect(number, Client::echoes(100, ms(20))));
    pool.world.run_for(ms(500));
    let (server, old) = (pool.servers[0], pool.ids[0].made());
    let next = QuicLbConfig::new(4, 3, 5).expect("it can be").key([9; 16]);
    let next_name = ServerId::new(b"new").expect("three bytes");
    let mut router = QuicLbRouter::new();
    router.insert(next.clone());
    let over = Rc::new(Cell::new(false));
    let (forgotten, strays) = (Rc::clone(&over), Rc::new(Cell::new(0)));
    let counted = Rc::clone(&strays);
    pool.world.balance(move |datagram| {
        if datagram.to != addr(HOME) {
            return None;
        }
        // Once all are to have gone over, the balancer knows the new configuration only.
        let named = peek(&datagram.payload, router.id_len()).and_then(|id| router.server_id_of(&id));
        if forgotten.get() && named != Some(next_name) {
            counted.set(counted.get() + 1);
        }
        Some(server)
    });
    let mut rng = SeededRng::new(5);
    let ids = QuicLbIds::new(next.clone(), next_name, &mut rng).expect("three bytes are asked for");
    let ids = Arc::new(ids.formerly(config(), name(1)).expect("it can be"));
    pool.world.speak(server, |_, endpoint| endpoint.renew_connection_ids(ids)).expect("the same length");
    pool.world.run_for(ms(100));
    over.set(true);
    pool.world.run_well(secs(20));
    assert_eq!(strays.get(), 0, "no client uses an old ID");
    assert!(conns.iter().all(|conn| pool.world.closed(*conn).is_none()));
    // The old ones are retired: nobody has them, so they are reset, being ours.
    let answers = answers(&mut pool.world);
    old.iter().for_each(|id| inject(&mut pool.world, HOME, short(id, 100)));
    assert_eq!(answers.borrow().len(), old.len());
}

/// Other IDs of the same length for the first server of a pool.
fn renewed() -> Arc<QuicLbIds> {
    let next = QuicLbConfig::new(4, 2, 6).expect("it can be").key([9; 16]);
    let ids = QuicLbIds::new(next, name(1), &mut SeededRng::new(5)).expect("two bytes are asked for");
    Arc::new(ids.formerly(config(), name(1)).expect("it can be"))
}

#[test]
fn ids_may_be_renewed_at_any_time_of_a_handshake_and_of_a_move() {
    for play in Play::ALL {
        for after in [5, 15, 25, 35, 45, 400, 800, 820, 840, 900] {
            let (mut world, server, _) = lone_with(play);
            let client = world.client("30.0.0.1:5000");
            let stage = Stage::new(play);
            let conn =
                world.connect_with(client, HOME, stage.client_config(play), Client::echoes(100, ms(20)));
            world.plan(ms(after), move |world| {
                if !world.at(server).is_frozen() {
                    world
                        .speak(server, |_, endpoint| endpoint.renew_connection_ids(renewed()))
                        .expect("as long");
                }
            });
            world.run_to(peregrine::Instant::from_millis(800));
            world.relocate_by(server, RelocationPlan::uniform(play.order(AWAY)), AWAY, ms(50));
            world.run_well(secs(30));
            assert_eq!(world.connection(conn).expect("open").remote(), addr(AWAY), "{play:?} {after}");
        }
    }
}

#[test]
fn an_endpoint_does_not_change_the_length_of_its_ids() {
    let (mut world, server, _) = lone();
    let longer = Arc::new(RandomIds::new(12).expect("a length that can be"));
    assert!(world.speak(server, |_, endpoint| endpoint.renew_connection_ids(longer)).is_err());
    let same = Arc::new(RandomIds::new(9).expect("a length that can be"));
    assert!(world.speak(server, |_, endpoint| endpoint.renew_connection_ids(same)).is_ok());
}

#[test]
fn a_clients_first_packet_goes_to_random_bytes_and_its_own_id_is_generated() {
    let mut world = World::new();
    let server = world.server(HOME);
    let ids = ids(1);
    let generator = Arc::clone(&ids) as Arc<dyn ConnectionIdGenerator>;
    let endpoint = EndpointConfig::client().connection_ids(generator).expect("a length that can be");
    let client = world.host("30.0.0.1:5000", endpoint, None);
    let first = Rc::new(Cell::new(None));
    let tap = Rc::clone(&first);
    world.tap(move |_, datagram| {
        if tap.get().is_none() {
            tap.set(peek(&datagram.payload, 8));
        }
        Verdict::Pass
    });
    let conn = world.connect(client, HOME, Client::echoes(3, ms(10)));
    world.run_well(secs(5));
    assert!(world.is_connected(conn) && world.at(server).endpoint().connections().count() == 1);
    let first = first.get().expect("it has sent");
    assert_eq!((first.len(), ids.made().contains(&first)), (8, false));
    assert!(ids.made().len() >= 3);
}

#[test]
fn a_packet_of_another_server_is_reported_and_never_answered() {
    let (mut world, server, _) = lone();
    let answers = answers(&mut world);
    let foreign = id_of(2);
    inject(&mut world, HOME, short(&foreign, 100));
    inject(&mut world, HOME, handshake(&foreign));
    assert_eq!(misrouted(&world, server), [foreign, foreign]);
    assert_eq!(world.at(server).endpoint().stats().dropped(DropReason::Misrouted), 2);
    assert_eq!(world.at(server).endpoint().connections().count(), 0);
    assert!(answers.borrow().is_empty());
}

#[test]
fn a_packet_of_a_connection_that_is_over_is_reset() {
    let (mut world, server, _) = lone();
    let answers = answers(&mut world);
    inject(&mut world, HOME, short(&id_of(1), 100));
    assert_eq!(answers.borrow().len(), 1);
    assert!(misrouted(&world, server).is_empty());
    // A Handshake packet is dropped: its sender has no token yet.
    inject(&mut world, HOME, handshake(&id_of(1)));
    assert_eq!(answers.borrow().len(), 1);
    assert!(misrouted(&world, server).is_empty());
}

#[test]
fn an_id_that_tells_nothing_is_neither_reported_nor_reset() {
    let (mut world, server, _) = lone();
    let answers = answers(&mut world);
    for first in [0xff, 0x00] {
        inject(&mut world, HOME, short(&[first; 9], 100));
    }
    assert!(misrouted(&world, server).is_empty() && answers.borrow().is_empty());
    assert_eq!(world.at(server).endpoint().stats().dropped(DropReason::UnknownConnection), 2);
}

#[test]
fn an_initial_to_an_id_that_looks_like_anothers_is_not_reported() {
    let (mut world, server, _) = lone();
    let mut payload = handshake(&id_of(2));
    payload[0] = 0xc0;
    payload.resize(1200, 0);
    inject(&mut world, HOME, payload);
    assert!(misrouted(&world, server).is_empty());
    assert_eq!(world.at(server).endpoint().stats().dropped(DropReason::Undecryptable), 1);
    assert_eq!(world.at(server).endpoint().connections().count(), 0);
}

#[test]
fn a_flood_of_misrouted_packets_is_counted_and_the_first_are_reported() {
    let (mut world, server, _) = lone();
    let (foreign, answers) = (id_of(2), answers(&mut world));
    let flood = |world: &mut World, count: usize| {
        let mut train = short(&foreign, 100).repeat(count);
        let local = world.at(server).local(SocketKey(0));
        let path = FourTuple { local, remote: addr(STRANGER) };
        let arrival = Arrival { path, ecn: Ecn::NotEct, segment: NonZeroU16::new(100) };
        world.speak(server, |now, endpoint| endpoint.handle_datagrams(now, arrival, &mut train));
    };
    flood(&mut world, 5000);
    assert_eq!(misrouted(&world, server).len(), 64);
    // Once the embedder has been told there is room again.
    flood(&mut world, 10);
    assert_eq!(misrouted(&world, server).len(), 74);
    assert_eq!(world.at(server).endpoint().stats().dropped(DropReason::Misrouted), 5010);
    world.run_for(secs(1));
    assert!(answers.borrow().is_empty());
}

#[test]
fn a_server_gives_no_token_away_for_a_connection_of_another_with_the_same_secret() {
    let mut pool = Pool::new(Play::Symmetric);
    let conn = pool.connect(1, Client::echoes(50, ms(20)));
    pool.world.run_for(ms(500));
    let (home, answers) = (pool.server_of(conn), answers(&mut pool.world));
    let other = if home == pool.servers[0] { pool.servers[1] } else { pool.servers[0] };
    // A stranger who has seen the connection's IDs, and has a way around the balancer.
    pool.world.balance(move |datagram| (datagram.from == addr(STRANGER)).then_some(other));
    let made = pool.ids.iter().flat_map(|ids| ids.made()).collect::<Vec<_>>();
    made.iter().for_each(|id| inject(&mut pool.world, HOME, short(id, 100)));
    assert_eq!(misrouted(&pool.world, other).len(), made.len());
    assert!(answers.borrow().is_empty());
    assert!(pool.world.closed(conn).is_none());
}

#[test]
fn a_packet_to_an_id_in_use_is_not_reset() {
    let mut pool = Pool::new(Play::Symmetric);
    let conn = pool.connect(1, Client::echoes(50, ms(20)));
    pool.world.run_for(ms(500));
    let answers = answers(&mut pool.world);
    let made = pool.ids.iter().flat_map(|ids| ids.made()).collect::<Vec<_>>();
    made.iter().for_each(|id| inject(&mut pool.world, HOME, short(id, 100)));
    assert!(answers.borrow().is_empty());
    pool.world.run_well(secs(10));
    assert!(pool.world.closed(conn).is_none());
}

#[test]
fn no_reset_is_sent_while_a_move_is_under_way_and_some_are_before_and_after() {
    let mut pool = Pool::new(Play::Symmetric);
    let conn = pool.connect(2, Client::echoes(100, ms(20)));
    pool.world.run_for(ms(500));
    let (server, answers) = (pool.server_of(conn), answers(&mut pool.world));
    assert_eq!(server, pool.servers[0]);
    let stray = short(&id_of(1), 100);
    inject(&mut pool.world, HOME, stray.clone());
    assert_eq!(answers.borrow().len(), 1);
    pool.world.prepare(server, RelocationPlan::uniform(MoveOrder::Symmetric));
    inject(&mut pool.world, HOME, stray.clone());
    pool.world.run_until_ready(server, secs(2));
    inject(&mut pool.world, HOME, stray.clone());
    assert_eq!(answers.borrow().len(), 1);
    pool.world.relocate(server, AWAY, ms(100));
    pool.world.run_well(secs(20));
    pool.world.run_for(secs(3));
    inject(&mut pool.world, AWAY, stray);
    assert_eq!(answers.borrow().len(), 2);
}

#[test]
fn a_reset_is_smaller_than_what_it_answers() {
    let (mut world, _, _) = lone();
    let answers = answers(&mut world);
    for len in [10, 20, 21, 22, 23, 40, 41, 42, 43, 60, 100, 1200] {
        let before = answers.borrow().len();
        inject(&mut world, HOME, short(&id_of(1), len));
        let sent: Vec<usize> = answers.borrow()[before..].to_vec();
        assert_eq!(sent.len(), usize::from(len >= 22), "{len}");
        assert!(sent.iter().all(|sent| *sent < len && *sent >= 21), "{len}: {sent:?}");
    }
}

#[test]
fn resets_are_at_most_200_a_second() {
    let (mut world, _, _) = lone();
    let answers = answers(&mut world);
    let flood = |world: &mut World| {
        for _ in 0..1000 {
            world.inject(Datagram::new(addr(STRANGER), addr(HOME), short(&id_of(1), 100)));
        }
        world.run_for(ms(500));
    };
    flood(&mut world);
    assert_eq!(answers.borrow().len(), 200);
    world.run_for(secs(1));
    flood(&mut world);
    assert_eq!(answers.borrow().len(), 400);
}
