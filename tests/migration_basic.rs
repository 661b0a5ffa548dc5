//! A server and its clients in memory: each strategy moves a running transfer, and plans are carried out, refused and
//! called off as the rules say.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use peregrine::*;

const DELAY: Duration = Duration::from_millis(10);
const SECOND: Duration = Duration::from_secs(1);

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 443))
}

fn target(last: u8) -> MigrationTarget {
    MigrationTarget::single(address(last)).expect("a whole endpoint")
}

fn tls() -> (Arc<rustls::ServerConfig>, Arc<rustls::ClientConfig>) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
    let params = rcgen::CertificateParams::new(vec!["localhost".into()]).expect("a name");
    let der = params.self_signed(&key).expect("a certificate").der().clone();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let private = rustls::pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![der.clone()], private)
        .expect("a chain");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(der).expect("a root");
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

struct Flying {
    at: Instant,
    from: SocketAddr,
    to: SocketAddr,
    bytes: Vec<u8>,
}

/// One server that can move, and clients at addresses of their own, ten milliseconds away.
struct World {
    now: Instant,
    server: Endpoint,
    server_at: SocketAddr,
    clients: Vec<(SocketAddr, Endpoint)>,
    flying: VecDeque<Flying>,
    client_config: Arc<ClientConfig>,
    server_events: Vec<Event>,
    client_events: Vec<Event>,
}

impl World {
    fn new(strategies: &[Strategy], pool: &[u8], seek: SeekPolicy) -> Self {
        let (server_tls, client_tls) = tls();
        let set = strategies.iter().copied().collect::<StrategySet>();
        let config = MigrationConfig::new(set).seek(seek);
        let members = pool.iter().map(|last| target(*last)).collect();
        let server = ServerConfig::new(server_tls).migration(config.clone().pool(members)).expect("sound");
        let client = ClientConfig::new(client_tls).migration(config).expect("sound");
        Self {
            now: Instant::from_millis(1000),
            server: Endpoint::new(EndpointConfig::server(Arc::new(server)), Box::new(SeededRng::new(1))),
            server_at: address(2),
            clients: Vec::new(),
            flying: VecDeque::new(),
            client_config: Arc::new(client),
            server_events: Vec::new(),
            client_events: Vec::new(),
        }
    }

    /// A world with one connected client.
    fn connected(strategies: &[Strategy], pool: &[u8]) -> Self {
        let mut world = Self::new(strategies, pool, SeekPolicy::Reactive);
        world.connect();
        world.run(SECOND);
        world
    }

    fn connect(&mut self) -> ConnectionHandle {
        let number = u8::try_from(self.clients.len()).expect("a few clients");
        let rng = Box::new(SeededRng::new(100 + u64::from(number)));
        let mut endpoint = Endpoint::new(EndpointConfig::client(), rng);
        let path = FourTuple { local: Local::default(), remote: self.server_at };
        let config = Arc::clone(&self.client_config);
        let handle = endpoint.connect(self.now, path, config, "localhost").expect("a connection");
        self.clients.push((address(100 + number), endpoint));
        handle
    }

    fn server_local(&self) -> Local {
        Local { ip: Some(self.server_at.ip()), ..Local::default() }
    }

    fn server_handles(&self) -> Vec<ConnectionHandle> {
        self.server.connections().map(|(handle, _)| handle).collect()
    }

    fn server_connection(&mut self) -> &mut Connection {
        let handle = self.server_handles()[0];
        self.server.connection_mut(handle).expect("a connection")
    }

    fn client_connection(&mut self) -> &mut Connection {
        let endpoint = &mut self.clients[0].1;
        let handle = endpoint.connections().map(|(handle, _)| handle).next().expect("a connection");
        endpoint.connection_mut(handle).expect("a connection")
    }

    /// Passes on what is due and what both sides have to say, millisecond by millisecond.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += Duration::from_millis(1);
            self.tick();
        }
    }

    fn tick(&mut self) {
        let now = self.now;
        while self.flying.front().is_some_and(|flying| flying.at <= now) {
            let Some(mut flying) = self.flying.pop_front() else { break };
            if flying.to == self.server_at {
                let path = FourTuple { local: self.server_local(), remote: flying.from };
                self.server.handle_datagrams(now, Arrival::single(path), &mut flying.bytes);
            } else if let Some((_, client)) = self.clients.iter_mut().find(|(at, _)| *at == flying.to) {
                let path = FourTuple { local: Local::default(), remote: flying.from };
                client.handle_datagrams(now, Arrival::single(path), &mut flying.bytes);
            }
        }
        self.server.handle_timeout(now);
        drain(now, &mut self.server, self.server_at, &mut self.flying, &mut self.server_events);
        for (at, client) in &mut self.clients {
            client.handle_timeout(now);
            drain(now, client, *at, &mut self.flying, &mut self.client_events);
        }
    }

    /// The server runs at another address from now on, and its packets come from there.
    fn relocate(&mut self, last: u8) -> Result<(), RelocationError> {
        self.server_at = address(last);
        let local = self.server_local();
        self.server.relocated(self.now, &[(SocketKey(0), local)])
    }

    fn relocation_events(&self) -> Vec<RelocationEvent> {
        self.server_events
            .iter()
            .filter_map(|event| match event {
                Event::Relocation(event) => Some(event.clone()),
                _ => None,
            })
            .collect()
    }

    fn has(&self, events: &[Event], wanted: MigrationEvent) -> bool {
        events.iter().any(
            |event| matches!(event, Event::Connection(_, ConnectionEvent::Migration(event)) if *event == wanted),
        )
    }

    fn client_saw(&self, wanted: MigrationEvent) -> bool {
        self.has(&self.client_events, wanted)
    }

    fn server_saw(&self, wanted: MigrationEvent) -> bool {
        self.has(&self.server_events, wanted)
    }

    fn closed(&self) -> Vec<CloseReason> {
        self.client_events
            .iter()
            .filter_map(|event| match event {
                Event::Connection(_, ConnectionEvent::Closed(reason)) => Some(reason.clone()),
                _ => None,
            })
            .collect()
    }

    /// Begins a transfer from the server and returns how to go on with it.
    fn transfer(&mut self, total: usize) -> Transfer {
        let stream = self.server_connection().open(Dir::Uni).expect("a stream");
        Transfer { stream, total, sent: 0, got: 0, done: false }
    }
}

fn drain(
    now: Instant,
    endpoint: &mut Endpoint,
    from: SocketAddr,
    flying: &mut VecDeque<Flying>,
    events: &mut Vec<Event>,
) {
    let mut out = vec![0; 65_536];
    loop {
        match endpoint.poll(now, &mut out) {
            Output::Transmit(transmit) => {
                let segment = transmit.segment.map_or(transmit.len, |len| usize::from(len.get()));
                for bytes in out[..transmit.len].chunks(segment) {
                    let (at, to, bytes) = (now + DELAY, transmit.path.remote, bytes.to_vec());
                    flying.push_back(Flying { at, from, to, bytes });
                }
            }
            Output::Event(event) => events.push(event),
            Output::TooSmall => panic!("the buffer is large enough"),
            Output::Idle { .. } => return,
        }
    }
}

/// Bytes on their way from the server to its first client.
struct Transfer {
    stream: StreamId,
    total: usize,
    sent: usize,
    got: usize,
    done: bool,
}

impl Transfer {
    /// Goes on until so much has arrived.
    fn run(&mut self, world: &mut World, until: usize) {
        let deadline = world.now + SECOND * 20;
        while self.got < until || until == self.total && !self.done {
            assert!(world.now < deadline, "the transfer hangs at {} of {}", self.got, self.total);
            self.turn(world);
        }
    }

    fn turn(&mut self, world: &mut World) {
        self.write(world);
        world.run(Duration::from_millis(1));
        self.read(world);
    }

    fn write(&mut self, world: &mut World) {
        let (stream, total) = (self.stream, self.total);
        let Some(mut send) = world.server_connection().send(stream) else { return };
        while self.sent < total {
            let chunk: Vec<u8> =
                (self.sent..total.min(self.sent + 4096)).map(|at| (at % 251) as u8).collect();
            match send.write(&chunk) {
                Ok(len) => self.sent += len,
                Err(WriteError::Blocked) => return,
                Err(error) => panic!("{error}"),
            }
            if self.sent == total {
                send.finish().expect("the first end");
            }
        }
    }

    fn read(&mut self, world: &mut World) {
        let client = world.client_connection();
        let _ = client.accept(Dir::Uni);
        let Some(mut recv) = client.recv(self.stream) else { return };
        let mut buf = [0; 4096];
        loop {
            match recv.read(&mut buf) {
                Ok(Some(len)) => {
                    let intact =
                        buf[..len].iter().zip(self.got..).all(|(byte, at)| usize::from(*byte) == at % 251);
                    assert!(intact, "the bytes are those that were sent");
                    self.got += len;
                }
                Ok(None) => {
                    self.done = true;
                    return;
                }
                Err(ReadError::Blocked) => return,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

const TOTAL: usize = 8 << 20;

/// Moves the server in the middle of a transfer.
fn move_in_transfer(
    strategies: &[Strategy],
    pool: &[u8],
    seek: SeekPolicy,
    order: MoveOrder,
    strategy: Strategy,
) {
    let mut world = World::new(strategies, pool, seek);
    world.connect();
    world.run(SECOND);
    let mut transfer = world.transfer(TOTAL);
    transfer.run(&mut world, TOTAL / 32);
    let now = world.now;
    world.server.prepare_relocation(now, RelocationPlan::uniform(order)).expect("a sound plan");
    (0..50).for_each(|_| transfer.turn(&mut world));
    assert!(transfer.got < TOTAL, "the transfer is under way when the server moves");
    assert_eq!(world.relocation_events(), [RelocationEvent::Ready { prepared: 1, closed: 0 }]);
    assert!(world.server_saw(MigrationEvent::Ready { strategy }));
    world.relocate(3).expect("a move");
    transfer.run(&mut world, TOTAL);
    world.run(SECOND * 2);
    assert_eq!(world.client_connection().remote(), address(3));
    assert!(world.client_saw(MigrationEvent::Completed { strategy, address: Some(address(3)) }));
    assert_eq!(world.relocation_events().last(), Some(&RelocationEvent::Settled { moved: 1, lost: 0 }));
    assert!(world.closed().is_empty());
}

#[test]
fn symmetric_moves_a_running_transfer() {
    let order = MoveOrder::Symmetric;
    move_in_transfer(&[Strategy::Symmetric], &[], SeekPolicy::Reactive, order, Strategy::Symmetric);
}

#[test]
fn synchronized_symmetric_moves_a_running_transfer() {
    let strategy = Strategy::SynchronizedSymmetric;
    move_in_transfer(&[strategy], &[], SeekPolicy::Reactive, MoveOrder::SynchronizedSymmetric, strategy);
}

#[test]
fn explicit_moves_a_running_transfer() {
    for seek in [SeekPolicy::Reactive, SeekPolicy::Proactive] {
        let order = MoveOrder::Explicit(target(3));
        move_in_transfer(&[Strategy::Explicit], &[], seek, order, Strategy::Explicit);
    }
}

#[test]
fn a_pool_moves_a_running_transfer() {
    let order = MoveOrder::Pool;
    move_in_transfer(&[Strategy::Pool], &[4, 3, 5], SeekPolicy::Reactive, order, Strategy::Pool);
}

#[test]
fn a_move_without_notice_is_followed_by_symmetric() {
    let mut world = World::connected(&[Strategy::Symmetric], &[]);
    let mut transfer = world.transfer(TOTAL);
    transfer.run(&mut world, TOTAL / 2);
    world.relocate(3).expect("a move");
    transfer.run(&mut world, TOTAL);
    assert_eq!(world.client_connection().remote(), address(3));
}

#[test]
fn a_connection_moves_again_and_again_by_whatever_is_agreed_and_home_again() {
    let all = [Strategy::Explicit, Strategy::Symmetric, Strategy::SynchronizedSymmetric];
    let mut world = World::connected(&all, &[]);
    let mut transfer = world.transfer(4 * TOTAL);
    let orders = [
        (MoveOrder::Explicit(target(3)), 3),
        (MoveOrder::Symmetric, 4),
        (MoveOrder::SynchronizedSymmetric, 5),
        (MoveOrder::Explicit(target(6)), 6),
        (MoveOrder::Symmetric, 2),
    ];
    for (number, (order, to)) in (1usize..).zip(orders) {
        transfer.run(&mut world, number * TOTAL / 2);
        let now = world.now;
        world.server.prepare_relocation(now, RelocationPlan::uniform(order)).expect("a sound plan");
        transfer.run(&mut world, number * TOTAL / 2 + TOTAL / 8);
        world.relocate(to).expect("a move");
        transfer.run(&mut world, number * TOTAL / 2 + TOTAL / 4);
        world.run(SECOND * 2);
        assert_eq!(world.client_connection().remote(), address(to));
        assert_eq!(world.relocation_events().last(), Some(&RelocationEvent::Settled { moved: 1, lost: 0 }));
    }
    transfer.run(&mut world, 4 * TOTAL);
    assert!(world.closed().is_empty());
}

#[test]
fn an_idle_client_follows_too() {
    for (strategy, order) in [
        (Strategy::Symmetric, MoveOrder::Symmetric),
        (Strategy::SynchronizedSymmetric, MoveOrder::SynchronizedSymmetric),
        (Strategy::Explicit, MoveOrder::Explicit(target(3))),
        (Strategy::Pool, MoveOrder::Pool),
    ] {
        let pool: &[u8] = if strategy == Strategy::Pool { &[3] } else { &[] };
        let mut world = World::connected(&[strategy], pool);
        let now = world.now;
        world.server.prepare_relocation(now, RelocationPlan::uniform(order)).expect("a sound plan");
        world.run(SECOND);
        world.relocate(3).expect("a move");
        world.run(SECOND * 2);
        assert_eq!(world.client_connection().remote(), address(3), "{strategy:?}");
        assert_eq!(world.relocation_events().last(), Some(&RelocationEvent::Settled { moved: 1, lost: 0 }));
    }
}

#[test]
fn a_plan_called_off_leaves_everything_as_it_was_and_binds_the_next() {
    let mut world = World::connected(&[Strategy::Explicit, Strategy::Symmetric], &[]);
    let now = world.now;
    let explicit = |last| RelocationPlan::uniform(MoveOrder::Explicit(target(last)));
    world.server.prepare_relocation(now, explicit(3)).expect("a sound plan");
    world.run(SECOND);
    let now = world.now;
    assert_eq!(world.server.prepare_relocation(now, explicit(3)), Err(RelocationError::Busy));
    world.server.cancel_relocation(now).expect("a plan");
    assert_eq!(world.server.cancel_relocation(now), Err(RelocationError::NotPrepared));
    let bound = Err(MigrationError::Bound { to: Binding::SameTarget });
    assert_eq!(world.server_connection().migration().prepare(now, MoveOrder::Symmetric), bound);
    let mut transfer = world.transfer(TOTAL);
    transfer.run(&mut world, TOTAL);
    assert_eq!(world.client_connection().remote(), address(2));
    let now = world.now;
    world.server.prepare_relocation(now, explicit(3)).expect("the same target");
    world.run(SECOND);
    world.relocate(3).expect("a move");
    world.run(SECOND * 2);
    assert_eq!(world.client_connection().remote(), address(3));
}

#[test]
fn a_plan_with_a_stale_handle_or_a_useless_target_changes_nothing() {
    let mut world = World::connected(&[Strategy::Explicit], &[]);
    let now = world.now;
    let handle = world.server_handles()[0];
    let v6 = MigrationTarget::single("[fd00::1]:443".parse().expect("an address")).expect("whole");
    let plan = RelocationPlan::uniform(MoveOrder::Explicit(v6));
    assert_eq!(world.server.prepare_relocation(now, plan), Err(RelocationError::Target));
    world.server_connection().close(now, VarInt::ZERO, b"");
    world.run(SECOND * 5);
    let plan = RelocationPlan::per_connection([(handle, MoveOrder::Explicit(target(3)))]);
    assert_eq!(world.server.prepare_relocation(world.now, plan), Err(RelocationError::UnknownConnection));
    assert!(world.relocation_events().is_empty());
}

#[test]
fn a_move_to_another_family_is_refused_and_the_plan_stays() {
    let mut world = World::connected(&[Strategy::Symmetric], &[]);
    let now = world.now;
    world
        .server
        .prepare_relocation(now, RelocationPlan::uniform(MoveOrder::Symmetric))
        .expect("a sound plan");
    let v6: IpAddr = "fd00::1".parse().expect("an address");
    let local = Local { ip: Some(v6), ..Local::default() };
    let refused = world.server.relocated(now, &[(SocketKey(0), local)]);
    assert_eq!(refused, Err(RelocationError::Family));
    world.run(SECOND);
    world.relocate(3).expect("a move");
    world.run(SECOND * 2);
    assert_eq!(world.client_connection().remote(), address(3));
}

#[test]
fn who_cannot_follow_is_closed_with_the_embedders_words_or_kept_if_the_plan_says_so() {
    for keep in [false, true] {
        let mut world = World::connected(&[Strategy::Symmetric], &[]);
        let plan = RelocationPlan::uniform(MoveOrder::SynchronizedSymmetric)
            .close_with(VarInt::from_u32(7), b"away");
        let plan = if keep { plan.keep_unfit() } else { plan };
        let now = world.now;
        world.server.prepare_relocation(now, plan).expect("a sound plan");
        world.run(SECOND);
        if keep {
            assert!(world.closed().is_empty());
        } else {
            let reason = CloseReason::Application { code: VarInt::from_u32(7), reason: b"away".to_vec() };
            assert_eq!(world.closed(), [reason]);
        }
    }
}

#[test]
fn newcomers_wait_for_the_move_or_are_refused_if_the_plan_says_so() {
    for refuses in [false, true] {
        let mut world = World::connected(&[Strategy::Symmetric], &[]);
        let plan = RelocationPlan::uniform(MoveOrder::Symmetric);
        let plan = if refuses { plan.refuse_initials() } else { plan };
        let now = world.now;
        world.server.prepare_relocation(now, plan).expect("a sound plan");
        world.run(SECOND);
        world.connect();
        world.run(SECOND);
        assert_eq!(world.closed().len(), usize::from(refuses));
        assert_eq!(world.server_handles().len(), 1);
        world.server.cancel_relocation(world.now).expect("a plan");
        world.run(SECOND * 5);
        assert_eq!(world.server_handles().len(), if refuses { 1 } else { 2 });
    }
}

#[test]
fn announcements_of_many_connections_are_spread_and_all_follow() {
    let mut world = World::new(&[Strategy::Symmetric], &[], SeekPolicy::Reactive);
    for _ in 0..20 {
        world.connect();
    }
    world.run(SECOND);
    let now = world.now;
    let plan = RelocationPlan::uniform(MoveOrder::Symmetric).announce_rate(10);
    world.server.prepare_relocation(now, plan).expect("a sound plan");
    world.run(SECOND);
    world.relocate(3).expect("a move");
    world.run(SECOND);
    let moved = |world: &World| {
        let remotes =
            world.clients.iter().flat_map(|(_, client)| client.connections().map(|(_, c)| c.remote()));
        remotes.filter(|remote| *remote == address(3)).count()
    };
    let early = moved(&world);
    assert!((8..=12).contains(&early), "{early} after a second");
    world.run(SECOND * 2);
    assert_eq!(moved(&world), 20);
    assert_eq!(world.relocation_events().last(), Some(&RelocationEvent::Settled { moved: 20, lost: 0 }));
}

#[test]
fn a_freeze_of_twenty_seconds_completes() {
    let mut world = World::connected(&[Strategy::Symmetric], &[]);
    let now = world.now;
    world
        .server
        .prepare_relocation(now, RelocationPlan::uniform(MoveOrder::Symmetric))
        .expect("a sound plan");
    world.run(SECOND);
    // The server is frozen and its time with it: nothing runs, and the host's clock goes on.
    world.now += SECOND * 20;
    world.relocate(3).expect("a move");
    world.run(SECOND * 2);
    assert_eq!(world.client_connection().remote(), address(3));
}

#[test]
fn one_connection_moves_on_an_order_of_its_own() {
    let mut world = World::connected(&[Strategy::Symmetric], &[]);
    let now = world.now;
    world.server_connection().migration().prepare(now, MoveOrder::Symmetric).expect("an order");
    world.server_at = address(3);
    let local = world.server_local();
    world.server_connection().migration().relocated(now, local).expect("a move");
    world.run(SECOND * 2);
    assert_eq!(world.client_connection().remote(), address(3));
    let strategy = Strategy::Symmetric;
    assert!(world.server_events.iter().any(|event| matches!(
        event,
        Event::Connection(_, ConnectionEvent::Migration(MigrationEvent::Completed { strategy: s, .. })) if *s == strategy
    )));
}
