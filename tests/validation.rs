//! Is a client where it says it is? Retry, tokens for later, and who waits for an answer (RFC 9000, Sections 5.2.2, 8.1).

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use peregrine::{
    AcceptError, AddressProof, Arrival, ClientConfig, CloseReason, Code, ConnectionEvent, DropReason,
    Endpoint, EndpointConfig, Event, FourTuple, IncomingHandle, Instant, Local, Output, RetryError,
    SeededRng, ServerConfig, TransportConfig, UnknownIncoming, VarInt,
};

use sim::{
    Client, Conn, Datagram, HostId, Kind, Link, Meanwhile, Outcome, Server, Shape, Verdict, World, addr, ms,
    secs, tls,
};

const SERVER: &str = "45.0.0.1:443";
const CLIENT: &str = "192.0.2.1:5000";
const SECRET: [u8; 32] = [7; 32];

fn settings() -> EndpointConfig {
    EndpointConfig::server(Arc::new(ServerConfig::new(tls::server())))
}

/// Settings of a server that has every client prove its address.
fn wary() -> EndpointConfig {
    settings().half_open_limit(0)
}

fn server(world: &mut World, config: EndpointConfig) -> HostId {
    world.host(SERVER, config, Some(|| Box::new(Server::default())))
}

/// A client's settings with this token.
fn showing(token: &[u8]) -> Arc<ClientConfig> {
    Arc::new(ClientConfig::new(tls::client()).token(token).expect("a token of a fitting length"))
}

/// Every datagram from now on, as it is sent.
fn record(world: &mut World) -> Rc<RefCell<Vec<Datagram>>> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let tape = Rc::clone(&seen);
    world.tap(move |_, datagram| {
        tape.borrow_mut().push(datagram.clone());
        Verdict::Pass
    });
    seen
}

fn retries(tape: &RefCell<Vec<Datagram>>) -> usize {
    tape.borrow().iter().filter(|datagram| Shape::of(&datagram.payload).has(Kind::Retry)).count()
}

fn connected_at(world: &World, conn: Conn) -> Option<Instant> {
    world.when(conn, |event| matches!(event, ConnectionEvent::Connected { .. }))
}

/// The tokens that a client was given on a connection.
fn tokens(world: &World, conn: Conn) -> Vec<Vec<u8>> {
    let said = world.at(conn.host).said(conn.handle);
    let tokens = said.filter_map(|(_, event)| match event {
        ConnectionEvent::NewToken(token) => Some(token.clone()),
        _ => None,
    });
    tokens.collect()
}

/// Why the peer ended a connection.
fn refused_with(world: &World, conn: Conn) -> Option<Code> {
    match world.closed(conn)? {
        CloseReason::Peer { code, .. } => Some(*code),
        _ => None,
    }
}

// ---- Retry ----------------------------------------------------------------------------------------

#[test]
fn a_handshake_with_a_retry_takes_one_round_trip_more() {
    let mut world = World::new();
    world.links(Link::rtt(ms(20)));
    let tape = record(&mut world);
    server(&mut world, wary());
    let client = world.client(CLIENT);
    let conn = world.connect(client, SERVER, Client::echoes(1, Duration::ZERO));
    world.run_until_done(secs(1));
    assert_eq!(world.outcome(conn), Outcome::Done);
    assert_eq!((connected_at(&world, conn), retries(&tape)), (Some(Instant::from_millis(40)), 1));
}

#[test]
fn without_need_there_is_no_retry() {
    let mut world = World::new();
    let tape = record(&mut world);
    server(&mut world, settings());
    let client = world.client(CLIENT);
    let conn = world.connect(client, SERVER, Client::echoes(1, Duration::ZERO));
    world.run_until_done(secs(1));
    assert_eq!((world.outcome(conn), retries(&tape)), (Outcome::Done, 0));
}

#[test]
fn whichever_datagram_is_lost_the_handshake_with_a_retry_completes() {
    for lost in 0..10 {
        let mut world = World::new();
        let mut number = 0;
        world.tap(move |_, _| {
            number += 1;
            if number - 1 == lost { Verdict::Drop } else { Verdict::Pass }
        });
        server(&mut world, wary());
        let client = world.client(CLIENT);
        let conn = world.connect(client, SERVER, Client::echoes(1, Duration::ZERO));
        world.run_until_done(secs(20));
        assert_eq!(world.outcome(conn), Outcome::Done, "without datagram {lost}");
    }
}

/// A server whose address asks for a Retry, and a client's Initial with the token of that Retry.
fn answered_retry(world: &mut World) -> (HostId, Datagram) {
    world.links(Link::rtt(ms(20)));
    let tape = record(world);
    let host = server(world, wary());
    let client = world.client(CLIENT);
    world.connect(client, SERVER, Client::idle());
    world.run_for(ms(25));
    let sent = tape.borrow().iter().rfind(|datagram| datagram.from == addr(CLIENT)).cloned();
    (host, sent.expect("the client has answered the Retry"))
}

#[test]
fn a_retry_token_from_another_address_is_refused_as_invalid() {
    let mut world = World::new();
    let (host, mut initial) = answered_retry(&mut world);
    world.run_for(secs(1));
    initial.from = addr("192.0.2.66:5000");
    let tape = record(&mut world);
    world.inject(initial);
    world.run_for(ms(100));
    let endpoint = world.at(host).endpoint();
    assert_eq!(endpoint.stats().dropped(DropReason::InvalidToken), 1);
    assert_eq!(endpoint.connections().count(), 1, "the honest client alone");
    let answers = tape.borrow().iter().filter(|d| d.to == addr("192.0.2.66:5000")).count();
    assert_eq!(answers, 1, "it is told so, once");
}

#[test]
fn a_copy_from_elsewhere_of_an_answer_to_a_retry_harms_nobody() {
    let mut world = World::new();
    world.links(Link::rtt(ms(20)));
    server(&mut world, wary());
    let client = world.client(CLIENT);
    let conn = world.connect(client, SERVER, Client::idle());
    // Whatever the client sends comes from elsewhere as well, the answer to the Retry too.
    world.tap(move |_, datagram| {
        let answers = datagram.from == addr(CLIENT);
        if !answers {
            return Verdict::Pass;
        }
        Verdict::Copy { from: addr("192.0.2.1:5001"), to: datagram.to, after: Duration::ZERO }
    });
    world.run_for(secs(2));
    assert!(connected_at(&world, conn).is_some());
}

#[test]
fn a_retry_token_is_void_after_its_time() {
    let mut world = World::new();
    let (host, initial) = answered_retry(&mut world);
    // The connection that the token made is long over.
    world.run_for(secs(60));
    world.inject(initial);
    world.run_for(ms(100));
    let endpoint = world.at(host).endpoint();
    assert_eq!(endpoint.stats().dropped(DropReason::InvalidToken), 1);
    assert_eq!(endpoint.connections().count(), 0);
}

#[test]
fn after_a_retry_the_limit_of_three_is_gone() {
    let sent_by = |config: EndpointConfig| {
        let mut server = Endpoint::new(config, Box::new(SeededRng::new(1)));
        let mut client = Endpoint::new(EndpointConfig::client(), Box::new(SeededRng::new(2)));
        let config = Arc::new(ClientConfig::new(tls::client()));
        client.connect(Instant::ZERO, path(SERVER), config, tls::NAME).expect("a sound configuration");
        // One Initial without a token, one with; then the client is silent for ever.
        let mut sent = 0;
        for _ in 0..2 {
            for datagram in drain(&mut client, Instant::ZERO) {
                give(&mut server, Instant::ZERO, CLIENT, datagram);
            }
            for datagram in drain(&mut server, Instant::ZERO) {
                sent += datagram.len();
                if Shape::of(&datagram).has(Kind::Retry) {
                    give(&mut client, Instant::ZERO, SERVER, datagram);
                }
            }
        }
        for millis in (0..9_000).step_by(10) {
            server.handle_timeout(Instant::from_millis(millis));
            sent += drain(&mut server, Instant::from_millis(millis)).iter().map(Vec::len).sum::<usize>();
        }
        sent
    };
    assert!(sent_by(settings()) <= 3600);
    assert!(sent_by(wary()) > 3600 * 2);
}

fn path(remote: &str) -> FourTuple {
    FourTuple { local: Local::default(), remote: addr(remote) }
}

fn give(endpoint: &mut Endpoint, now: Instant, from: &str, mut datagram: Vec<u8>) {
    endpoint.handle_datagrams(now, Arrival::single(path(from)), &mut datagram);
}

/// All datagrams that an endpoint has to send.
fn drain(endpoint: &mut Endpoint, now: Instant) -> Vec<Vec<u8>> {
    let (mut out, mut all) = (vec![0; 1200], Vec::new());
    loop {
        match endpoint.poll(now, &mut out) {
            Output::Transmit(transmit) => all.extend(transmit.datagrams(&out).map(<[u8]>::to_vec)),
            Output::Event(_) => {}
            Output::TooSmall => panic!("the buffer holds a datagram"),
            Output::Idle { .. } => return all,
        }
    }
}

/// A client's first datagram, with this token.
fn first_datagram(seed: u64, token: &[u8]) -> Vec<u8> {
    let mut client = Endpoint::new(EndpointConfig::client(), Box::new(SeededRng::new(seed)));
    let config = if token.is_empty() { Arc::new(ClientConfig::new(tls::client())) } else { showing(token) };
    client.connect(Instant::ZERO, path(SERVER), config, tls::NAME).expect("a sound configuration");
    drain(&mut client, Instant::ZERO).swap_remove(0)
}

// ---- half-open connections ------------------------------------------------------------------------

/// A thousand strangers send one Initial each and nothing more.
fn flood(world: &mut World) {
    for stranger in 0..1000_u32 {
        let from = format!("198.51.{}.{}:4000", stranger / 200, 1 + stranger % 200);
        let datagram = Datagram::new(addr(&from), addr(SERVER), first_datagram(stranger.into(), b""));
        world.plan(ms(u64::from(stranger)), move |world| world.inject(datagram));
    }
}

#[test]
fn a_flood_of_half_open_connections_is_answered_by_retry_and_honest_clients_connect() {
    let mut world = World::new();
    let host = server(&mut world, settings().half_open_limit(50));
    flood(&mut world);
    world.run_for(ms(500));
    assert_eq!(world.at(host).endpoint().connections().count(), 50);
    let client = world.client(CLIENT);
    let conn = world.connect(client, SERVER, Client::echoes(3, ms(100)));
    world.run_until_done(secs(5));
    assert_eq!(world.outcome(conn), Outcome::Done);
    assert!(world.at(host).endpoint().stats().dropped(DropReason::Unproved) > 900);
    assert!(world.at(host).endpoint().connections().count() <= 51);
}

#[test]
fn honest_clients_are_no_half_open_connections_for_long() {
    let mut world = World::new();
    let tape = record(&mut world);
    server(&mut world, settings().half_open_limit(2));
    for number in 0..20 {
        let client = world.client(&format!("192.0.2.{}:5000", 10 + number));
        let conn = world.connect(client, SERVER, Client::echoes(1, Duration::ZERO));
        world.run_for(ms(300));
        assert_eq!(world.outcome(conn), Outcome::Done);
    }
    assert_eq!(retries(&tape), 0);
}

#[test]
fn half_open_connections_that_were_given_up_do_not_count() {
    let mut world = World::new();
    let host = server(&mut world, settings().half_open_limit(50));
    flood(&mut world);
    world.run_for(secs(20));
    assert_eq!(world.at(host).endpoint().connections().count(), 0);
    let tape = record(&mut world);
    let client = world.client(CLIENT);
    let conn = world.connect(client, SERVER, Client::echoes(1, Duration::ZERO));
    world.run_until_done(secs(5));
    assert_eq!((world.outcome(conn), retries(&tape)), (Outcome::Done, 0));
}

// ---- tokens for later -----------------------------------------------------------------------------

/// A token that this server gives to a client on a connection, which it then closes.
fn earn(world: &mut World, client: HostId) -> Vec<u8> {
    let conn = world.connect(client, SERVER, Client::echoes(1, Duration::ZERO));
    world.run_for(secs(1));
    world.with(conn, |now, connection| connection.close(now, VarInt::ZERO, b"done"));
    world.run_for(secs(2));
    let mut given = tokens(world, conn);
    assert_eq!(given.len(), 1, "a server gives one token");
    given.remove(0)
}

#[test]
fn a_token_of_an_earlier_connection_saves_the_retry_once() {
    let mut world = World::new();
    server(&mut world, wary());
    let client = world.client(CLIENT);
    let token = earn(&mut world, client);
    for expected in [0, 1] {
        let tape = record(&mut world);
        let conn = world.connect_with(client, SERVER, showing(&token), Client::echoes(1, Duration::ZERO));
        world.run_until_done(secs(2));
        assert_eq!((world.outcome(conn), retries(&tape)), (Outcome::Done, expected));
    }
}

#[test]
fn a_token_from_another_address_or_of_yesterday_saves_nothing_and_does_no_harm() {
    let mut world = World::new();
    server(&mut world, wary().token_lifetime(secs(100)));
    let client = world.client(CLIENT);
    let other = world.client("192.0.2.2:5000");
    let token = earn(&mut world, client);
    let tape = record(&mut world);
    let conn = world.connect_with(other, SERVER, showing(&token), Client::echoes(1, Duration::ZERO));
    world.run_until_done(secs(2));
    assert_eq!((world.outcome(conn), retries(&tape)), (Outcome::Done, 1));
    world.run_for(secs(101));
    let tape = record(&mut world);
    let conn = world.connect_with(client, SERVER, showing(&token), Client::echoes(1, Duration::ZERO));
    world.run_until_done(secs(2));
    assert_eq!((world.outcome(conn), retries(&tape)), (Outcome::Done, 1));
}

#[test]
fn a_token_is_given_again_until_it_arrives() {
    for lost in 0..12 {
        let mut world = World::new();
        let mut number = 0;
        world.tap(move |_, _| {
            number += 1;
            if number - 1 == lost { Verdict::Drop } else { Verdict::Pass }
        });
        server(&mut world, settings());
        let client = world.client(CLIENT);
        let conn = world.connect(client, SERVER, Client::echoes(3, ms(50)));
        world.run_for(secs(5));
        assert!(!tokens(&world, conn).is_empty(), "without datagram {lost}");
    }
}

#[test]
fn a_server_that_is_told_so_gives_no_tokens() {
    let mut world = World::new();
    server(&mut world, settings().new_tokens(false));
    let client = world.client(CLIENT);
    let conn = world.connect(client, SERVER, Client::echoes(1, Duration::ZERO));
    world.run_for(secs(1));
    assert!(world.is_connected(conn) && tokens(&world, conn).is_empty());
}

#[test]
fn another_server_with_the_secret_believes_the_token_and_one_without_does_not() {
    for (secret, expected) in [(SECRET, 0), ([8; 32], 1)] {
        let mut world = World::new();
        server(&mut world, wary().token_secret(SECRET));
        let client = world.client(CLIENT);
        let token = earn(&mut world, client);
        let config = wary().token_secret(secret);
        world.host("45.0.0.2:443", config, Some(|| Box::new(Server::default())));
        let tape = record(&mut world);
        let app = Client::echoes(1, Duration::ZERO);
        let conn = world.connect_with(client, "45.0.0.2:443", showing(&token), app);
        world.run_until_done(secs(2));
        assert_eq!((world.outcome(conn), retries(&tape)), (Outcome::Done, expected));
    }
}

#[test]
fn a_server_that_was_frozen_and_moved_believes_its_tokens() {
    let mut world = World::new();
    let host = server(&mut world, wary());
    let client = world.client(CLIENT);
    let token = earn(&mut world, client);
    world.relocate(host, "45.0.0.9:443", secs(300));
    world.run_for(secs(1));
    let tape = record(&mut world);
    let app = Client::echoes(1, Duration::ZERO);
    let conn = world.connect_with(client, "45.0.0.9:443", showing(&token), app);
    world.run_until_done(secs(2));
    assert_eq!((world.outcome(conn), retries(&tape)), (Outcome::Done, 0));
}

#[test]
fn the_answer_to_a_retry_that_waited_for_a_frozen_server_is_believed() {
    let mut world = World::new();
    world.links(Link::rtt(ms(20)));
    let host = server(&mut world, wary());
    let client = world.client(CLIENT);
    let transport = TransportConfig::builder()
        .handshake_timeout(secs(100))
        .idle_timeout(None)
        .build()
        .expect("they can be");
    let config = ClientConfig::new(tls::client()).transport(Arc::new(transport));
    let conn = world.connect_with(client, SERVER, Arc::new(config), Client::echoes(1, Duration::ZERO));
    world.run_for(ms(15));
    world.freeze_with(host, Meanwhile::Queued);
    world.run_for(secs(40));
    world.thaw(host);
    world.run_until_done(secs(20));
    assert_eq!(world.outcome(conn), Outcome::Done);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_token_of_random_bytes_is_no_token(token in prop::collection::vec(any::<u8>(), 1..300)) {
        let mut server = Endpoint::new(wary(), Box::new(SeededRng::new(1)));
        give(&mut server, Instant::ZERO, CLIENT, first_datagram(2, &token));
        let answers = drain(&mut server, Instant::ZERO);
        prop_assert_eq!(answers.len(), 1);
        prop_assert!(Shape::of(&answers[0]).has(Kind::Retry));
        prop_assert_eq!(server.connections().count(), 0);
    }
}

// ---- who waits for an answer ----------------------------------------------------------------------

/// A server that asks for each client, and the clients that it asked for.
struct Asking {
    endpoint: Endpoint,
    /// What it has sent since it was last asked.
    sent: Vec<Vec<u8>>,
}

impl Asking {
    fn new(config: EndpointConfig) -> Self {
        Self { endpoint: Endpoint::new(config.ask_for_each(), Box::new(SeededRng::new(1))), sent: Vec::new() }
    }

    fn hear(&mut self, from: &str, datagram: &[u8]) {
        give(&mut self.endpoint, Instant::ZERO, from, datagram.to_vec());
    }

    fn asked(&mut self, now: Instant) -> Vec<IncomingHandle> {
        let (mut out, mut asked) = (vec![0; 1200], Vec::new());
        self.sent.clear();
        loop {
            match self.endpoint.poll(now, &mut out) {
                Output::Event(Event::Incoming(handle)) => asked.push(handle),
                Output::Transmit(transmit) => self.sent.push(out[..transmit.len].to_vec()),
                Output::Event(_) => {}
                Output::TooSmall => panic!("the buffer holds a datagram"),
                Output::Idle { .. } => return asked,
            }
        }
    }

    fn only(&mut self) -> IncomingHandle {
        let asked = self.asked(Instant::ZERO);
        assert_eq!(asked.len(), 1);
        asked[0]
    }

    fn config() -> Arc<ServerConfig> {
        Arc::new(ServerConfig::new(tls::server()))
    }
}

/// Runs a world in which a server answers the first question by this, and returns what the client made of it.
fn answering(
    config: EndpointConfig,
    mut answer: impl FnMut(Instant, &mut Endpoint, IncomingHandle),
) -> (World, HostId, Conn) {
    let mut world = World::new();
    let host = server(&mut world, config.ask_for_each());
    let client = world.client(CLIENT);
    let conn = world.connect(client, SERVER, Client::echoes(1, Duration::ZERO));
    let mut answered = 0;
    for _ in 0..200 {
        world.run_for(ms(10));
        let asked: Vec<_> = world.at(host).events().iter().filter_map(incoming).collect();
        for handle in asked.into_iter().skip(answered) {
            answered += 1;
            world.speak(host, |now, endpoint| answer(now, endpoint, handle));
        }
    }
    (world, host, conn)
}

fn incoming((_, event): &(Instant, Event)) -> Option<IncomingHandle> {
    match event {
        Event::Incoming(handle) => Some(*handle),
        _ => None,
    }
}

#[test]
fn a_client_that_is_accepted_connects() {
    let (world, _, conn) = answering(settings(), |now, endpoint, handle| {
        let waiting = endpoint.incoming(handle).expect("it waits");
        assert_eq!((waiting.remote(), waiting.validated()), (addr(CLIENT), None));
        endpoint.accept(now, handle, Asking::config()).expect("there is room");
        assert!(endpoint.incoming(handle).is_none());
    });
    assert_eq!(world.outcome(conn), Outcome::Done);
}

#[test]
fn a_client_that_is_refused_hears_of_it() {
    let (world, host, conn) =
        answering(settings(), |now, endpoint, handle| endpoint.refuse(now, handle).expect("it waits"));
    assert_eq!(refused_with(&world, conn), Some(Code::CONNECTION_REFUSED));
    assert_eq!(world.at(host).endpoint().connections().count(), 0);
}

#[test]
fn a_client_that_is_retried_comes_again_with_a_proof() {
    let mut proofs = Vec::new();
    let mut ids = Vec::new();
    let (world, _, conn) = answering(settings(), |now, endpoint, handle| {
        let waiting = endpoint.incoming(handle).expect("it waits");
        proofs.push(waiting.validated());
        ids.push(waiting.original_dcid());
        if waiting.validated().is_none() {
            endpoint.retry(now, handle).expect("it was not retried before");
            assert!(endpoint.incoming(handle).is_none(), "nothing is kept of it");
        } else {
            assert_eq!(endpoint.retry(now, handle), Err(RetryError::Validated));
            endpoint.accept(now, handle, Asking::config()).expect("it waits on");
        }
    });
    assert_eq!(world.outcome(conn), Outcome::Done);
    assert_eq!(proofs, [None, Some(AddressProof::Retry)]);
    assert_eq!(ids[0], ids[1], "its very first Initial went there");
}

#[test]
fn a_client_that_is_ignored_hears_nothing_and_may_ask_again() {
    let mut asked = 0;
    let (world, _, conn) = answering(settings(), |now, endpoint, handle| {
        asked += 1;
        if asked == 1 {
            endpoint.ignore(handle).expect("it waits");
        } else {
            endpoint.accept(now, handle, Asking::config()).expect("there is room");
        }
    });
    assert_eq!((world.outcome(conn), asked), (Outcome::Done, 2));
}

#[test]
fn a_server_that_asks_retries_by_itself_where_it_must() {
    let mut proofs = Vec::new();
    let (world, _, conn) = answering(wary(), |now, endpoint, handle| {
        proofs.extend(endpoint.incoming(handle).map(peregrine::Incoming::validated));
        endpoint.accept(now, handle, Asking::config()).expect("there is room");
    });
    assert_eq!(world.outcome(conn), Outcome::Done);
    assert_eq!(proofs, [Some(AddressProof::Retry)]);
}

#[test]
fn copies_of_an_initial_are_of_one_client_whatever_becomes_of_it() {
    let mut server = Asking::new(settings());
    let initial = first_datagram(2, b"");
    for _ in 0..5 {
        server.hear(CLIENT, &initial);
    }
    let handle = server.only();
    assert_eq!(server.endpoint.retry(Instant::ZERO, handle), Ok(()));
    // The copy that comes after the Retry is another client; the first handle stays void.
    server.hear(CLIENT, &initial);
    let again = server.only();
    assert_ne!(handle, again);
    assert_eq!(server.endpoint.ignore(handle), Err(UnknownIncoming));
    assert_eq!(server.endpoint.retry(Instant::ZERO, handle), Err(RetryError::Unknown));
    assert_eq!(server.endpoint.ignore(again), Ok(()));
    server.hear(CLIENT, &initial);
    let third = server.only();
    assert!(server.endpoint.accept(Instant::ZERO, third, Asking::config()).is_ok());
    server.hear(CLIENT, &initial);
    assert!(server.asked(Instant::ZERO).is_empty(), "it belongs to the connection now");
}

#[test]
fn the_ids_before_and_after_a_retry_are_never_confused() {
    let mut client = Endpoint::new(EndpointConfig::client(), Box::new(SeededRng::new(2)));
    let config = Arc::new(ClientConfig::new(tls::client()));
    client.connect(Instant::ZERO, path(SERVER), config, tls::NAME).expect("a sound configuration");
    let first = drain(&mut client, Instant::ZERO).swap_remove(0);
    let mut server = Asking::new(settings());
    server.hear(CLIENT, &first);
    let before = server.only();
    let name = server.endpoint.incoming(before).expect("it waits").original_dcid();
    server.endpoint.retry(Instant::ZERO, before).expect("it has proved nothing");
    assert!(server.asked(Instant::ZERO).is_empty());
    give(&mut client, Instant::ZERO, SERVER, server.sent.swap_remove(0));
    let second = drain(&mut client, Instant::ZERO).swap_remove(0);
    // The client with its proof, and a late copy of its first Initial, wait at the same time.
    server.hear(CLIENT, &second);
    let proved = server.only();
    server.hear(CLIENT, &first);
    let copy = server.only();
    let view = |server: &Asking, handle| {
        server.endpoint.incoming(handle).map(|waiting| (waiting.original_dcid(), waiting.validated()))
    };
    assert_eq!(view(&server, proved), Some((name, Some(AddressProof::Retry))));
    assert_eq!(view(&server, copy), Some((name, None)));
    // Whatever becomes of the one, the other waits on; and who comes again waits anew.
    server.endpoint.refuse(Instant::ZERO, proved).expect("it waits");
    assert_eq!((view(&server, proved), view(&server, copy)), (None, Some((name, None))));
    server.hear(CLIENT, &second);
    let again = server.only();
    assert_eq!(view(&server, again), Some((name, Some(AddressProof::Retry))));
    server.endpoint.ignore(copy).expect("it waits");
    server.endpoint.accept(Instant::ZERO, again, Asking::config()).expect("it is authentic");
    assert_eq!(server.endpoint.connections().count(), 1);
}

#[test]
fn a_forged_initial_is_not_accepted_and_the_one_that_follows_is() {
    let mut server = Asking::new(settings());
    let initial = first_datagram(2, b"");
    let mut forged = initial.clone();
    *forged.last_mut().expect("not empty") ^= 1;
    server.hear(CLIENT, &forged);
    let handle = server.only();
    let accepted = server.endpoint.accept(Instant::ZERO, handle, Asking::config());
    assert_eq!(accepted, Err(AcceptError::Undecryptable));
    server.hear(CLIENT, &initial);
    let handle = server.only();
    assert!(server.endpoint.accept(Instant::ZERO, handle, Asking::config()).is_ok());
}

#[test]
fn no_more_wait_than_the_limit_and_none_for_ever() {
    let mut server = Asking::new(settings().waiting_limit(100));
    for seed in 0..300_u64 {
        server.hear(&format!("192.0.2.{}:{}", 1 + seed % 200, 5000 + seed), &first_datagram(seed, b""));
    }
    assert_eq!(server.asked(Instant::ZERO).len(), 100);
    assert_eq!(server.endpoint.stats().dropped(DropReason::NotAdmitted), 200);
    let late = Instant::from_millis(10_000);
    server.endpoint.handle_timeout(late);
    server.hear(CLIENT, &first_datagram(1000, b""));
    let handle = server.asked(late);
    assert_eq!(handle.len(), 1, "there is room again");
    assert!(server.endpoint.incoming(handle[0]).is_some());
}

#[test]
fn clients_that_wait_without_a_proof_are_half_open_too() {
    let mut server = Asking::new(settings().half_open_limit(2));
    for seed in 0..3 {
        server.hear(&format!("192.0.2.{}:5000", 1 + seed), &first_datagram(seed, b""));
    }
    let asked = server.asked(Instant::ZERO);
    assert_eq!((asked.len(), server.endpoint.stats().dropped(DropReason::Unproved)), (2, 1));
    assert_eq!(server.endpoint.ignore(asked[0]), Ok(()));
    server.hear("192.0.2.3:5000", &first_datagram(2, b""));
    assert_eq!(server.asked(Instant::ZERO).len(), 1);
}

#[test]
fn a_server_without_room_keeps_the_client_waiting() {
    let mut server = Asking::new(settings().max_connections(1));
    server.hear(CLIENT, &first_datagram(2, b""));
    let first = server.only();
    server.hear("192.0.2.2:5000", &first_datagram(3, b""));
    let second = server.only();
    assert!(server.endpoint.accept(Instant::ZERO, first, Asking::config()).is_ok());
    let full = server.endpoint.accept(Instant::ZERO, second, Asking::config());
    assert_eq!(full, Err(AcceptError::NotAdmitted));
    assert!(server.endpoint.incoming(second).is_some());
}
