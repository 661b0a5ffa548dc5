//! Which version of QUIC two ends come to speak, on good and bad networks, and what somebody in between can do about it
//! (RFC 9368; RFC 9369).

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use peregrine::Version::{V1, V2};
use peregrine::{
    ClientConfig, CloseReason, Code, ConnectionEvent, DropReason, EndpointConfig, Instant, MigrationConfig,
    ServerConfig, Strategy, StrategySet, Version,
};

use sim::{
    Client, Conn, Datagram, HostId, Kind, Link, Outcome, Shape, Verdict, World, addr, for_seeds, ms, secs,
    tls,
};
use stage::moves::{AWAY, Play, Stage};

const SERVER: &str = "45.0.0.1:443";
const CLIENT: &str = "192.0.2.1:5000";

const ONE: u32 = 0x0000_0001;
const TWO: u32 = 0x6b33_43cf;

/// Packets with long headers, in the order they were sent: whether the client sent them, and what they are.
type Tape = Rc<RefCell<Vec<(bool, Kind, u32)>>>;

fn record(world: &mut World) -> Tape {
    let tape = Tape::default();
    let log = Rc::clone(&tape);
    world.tap(move |_, datagram| {
        let by_client = datagram.from == addr(CLIENT);
        let packets = Shape::of(&datagram.payload);
        let long = packets.packets().filter(|(kind, _)| *kind != Kind::OneRtt);
        log.borrow_mut().extend(long.map(|(kind, version)| (by_client, kind, version)));
        Verdict::Pass
    });
    tape
}

/// A server that speaks these versions, the preferred one first; by default both.
fn server(versions: Option<&[Version]>) -> ServerConfig {
    let config = ServerConfig::new(tls::server());
    match versions {
        Some(versions) => config.versions(versions).expect("versions"),
        None => config,
    }
}

/// A client that prefers these versions and begins with the first named.
fn client(first: Version, preferred: &[Version]) -> ClientConfig {
    let config = ClientConfig::new(tls::client()).versions(preferred).expect("versions");
    config.first_version(first).expect("one of them")
}

/// A server, and a client of it that asks for one echo.
fn pair(world: &mut World, server: ServerConfig, client: ClientConfig) -> (HostId, Conn) {
    let host = world.server_with(SERVER, server);
    let from = world.client(CLIENT);
    (host, world.connect_with(from, SERVER, Arc::new(client), Client::echoes(1, Duration::ZERO)))
}

fn connected_at(world: &World, conn: Conn) -> Option<Instant> {
    world.when(conn, |event| matches!(event, ConnectionEvent::Connected { .. }))
}

/// The version that both ends say they speak.
fn version_of(world: &World, conn: Conn) -> Version {
    let server_side = world.server_side(conn).expect("the server has it too");
    let [ours, theirs] = [conn, server_side].map(|end| world.connection(end).expect("open").version());
    assert_eq!(ours, theirs);
    ours
}

/// The codes with which a connection ended, at its client and at its server.
fn ended(world: &World, conn: Conn) -> Option<Code> {
    match world.closed(conn)? {
        CloseReason::Fault(fault) => Some(fault.code),
        CloseReason::Peer { code, .. } => Some(*code),
        other => panic!("{other:?}"),
    }
}

// ---- whom agrees with whom ------------------------------------------------------------------------

#[test]
fn two_ends_come_to_speak_what_the_server_prefers_or_else_the_client() {
    /// The server's versions, the client's, the one it begins with; what is spoken, and after how many round trips.
    type Row = (Option<&'static [Version]>, &'static [Version], Version, Version, u64);
    let table: [Row; 14] = [
        (None, &[V1, V2], V1, V1, 1),
        (None, &[V2, V1], V1, V2, 1),
        (None, &[V2, V1], V2, V2, 1),
        (None, &[V1, V2], V2, V1, 1),
        (None, &[V1], V1, V1, 1),
        (None, &[V2], V2, V2, 1),
        (Some(&[V1, V2]), &[V2, V1], V1, V1, 1),
        (Some(&[V1, V2]), &[V2, V1], V2, V1, 1),
        (Some(&[V2, V1]), &[V1, V2], V1, V2, 1),
        (Some(&[V2, V1]), &[V1], V1, V1, 1),
        (Some(&[V1]), &[V2, V1], V1, V1, 1),
        (Some(&[V1]), &[V2, V1], V2, V1, 2),
        (Some(&[V2]), &[V1, V2], V1, V2, 2),
        (Some(&[V2]), &[V2, V1], V2, V2, 1),
    ];
    for (servers, clients, first, spoken, round_trips) in table {
        let mut world = World::new();
        world.links(Link::rtt(ms(20)));
        let tape = record(&mut world);
        let (_, conn) = pair(&mut world, server(servers), client(first, clients));
        world.run_well(secs(1));
        let at = Some(Instant::from_millis(20 * round_trips));
        let row = format!("{servers:?} {clients:?} {first}");
        assert_eq!((version_of(&world, conn), connected_at(&world, conn)), (spoken, at), "{row}");
        let tape = tape.borrow();
        assert_eq!(tape.first(), Some(&(true, Kind::Initial, first.wire())), "{row}");
        let handshakes = tape.iter().filter(|(_, kind, _)| *kind == Kind::Handshake);
        assert!(handshakes.map(|(_, _, version)| *version).all(|version| version == spoken.wire()), "{row}");
        // All that the server says of its handshake, and all that the client says once it has heard it.
        let heard = tape.iter().position(|(by_client, kind, _)| !by_client && *kind == Kind::Initial);
        let after = tape.iter().skip(heard.expect("the server spoke"));
        let mut initials = after.filter(|(_, kind, _)| *kind == Kind::Initial);
        assert!(initials.all(|(_, _, version)| *version == spoken.wire()), "{row}");
        assert_eq!(tape.iter().any(|(_, kind, _)| *kind == Kind::Version), round_trips == 2, "{row}");
    }
}

#[test]
fn without_a_common_version_the_client_is_told_which_there_are() {
    let mut world = World::new();
    let (host, conn) = pair(&mut world, server(Some(&[V2])), client(V1, &[V1]));
    assert!(world.run_out(secs(1)));
    let Some(CloseReason::NoCommonVersion { offered }) = world.closed(conn) else {
        panic!("{:?}", world.closed(conn));
    };
    assert_eq!((offered.len(), offered[0], offered[1] & 0x0f0f_0f0f), (2, TWO, 0x0a0a_0a0a));
    assert_eq!(world.now(), Instant::from_millis(20), "at once");
    assert_eq!(world.at(host).endpoint().connections().count(), 0);
}

#[test]
fn a_client_that_greases_begins_with_a_version_of_nobody_and_then_with_its_preferred_one() {
    for (preferred, spoken) in [(&[V1, V2], V1), (&[V2, V1], V2)] {
        let mut world = World::new();
        world.links(Link::rtt(ms(20)));
        let tape = record(&mut world);
        let greasing = client(V1, preferred).grease_version();
        let (host, conn) = pair(&mut world, server(None), greasing);
        world.run_well(secs(1));
        assert_eq!(version_of(&world, conn), spoken);
        assert_eq!(connected_at(&world, conn), Some(Instant::from_millis(40)));
        let tape = tape.borrow();
        let (by_client, _, number) = tape[0];
        assert!(by_client && number & 0x0f0f_0f0f == 0x0a0a_0a0a, "{number:#x}");
        assert_eq!(tape[1..3], [(false, Kind::Version, 0), (true, Kind::Initial, spoken.wire())]);
        assert_eq!(world.at(host).endpoint().stats().dropped(DropReason::Version), 1);
    }
}

#[test]
fn an_application_may_accept_with_versions_of_its_own() {
    let mut world = World::new();
    let config = EndpointConfig::server(Arc::new(server(None))).ask_for_each();
    let host = world.host(SERVER, config, Some(|| Box::<sim::Server>::default()));
    let from = world.client(CLIENT);
    let conn = world.connect_with(from, SERVER, Arc::new(client(V1, &[V1, V2])), Client::idle());
    world.run_for(ms(30));
    let asked = world.at(host).events().iter().find_map(|(_, event)| match event {
        peregrine::Event::Incoming(handle) => Some(*handle),
        _ => None,
    });
    let config = Arc::new(server(Some(&[V2])));
    let asked = asked.expect("the client waits");
    world.speak(host, |now, endpoint| endpoint.accept(now, asked, config)).expect("it waits");
    world.run_for(ms(100));
    assert_eq!(version_of(&world, conn), V2);
}

#[test]
fn one_that_accepts_with_a_version_the_client_has_not_ends_the_connection() {
    let mut world = World::new();
    let config = EndpointConfig::server(Arc::new(server(None))).ask_for_each();
    let host = world.host(SERVER, config, Some(|| Box::<sim::Server>::default()));
    let from = world.client(CLIENT);
    let conn = world.connect_with(from, SERVER, Arc::new(client(V1, &[V1])), Client::idle());
    world.run_for(ms(30));
    let asked = world.at(host).events().iter().find_map(|(_, event)| match event {
        peregrine::Event::Incoming(handle) => Some(*handle),
        _ => None,
    });
    let config = Arc::new(server(Some(&[V2])));
    let asked = asked.expect("the client waits");
    world.speak(host, |now, endpoint| endpoint.accept(now, asked, config)).expect("it waits");
    world.run_out(secs(5));
    assert_eq!(ended(&world, conn), Some(Code::VERSION_NEGOTIATION_ERROR));
}

// ---- Retry, large first flights, bad networks -----------------------------------------------------

/// A server that asks every client to prove its address and goes over to version 2.
fn wary() -> EndpointConfig {
    EndpointConfig::server(Arc::new(server(Some(&[V2, V1])))).half_open_limit(0)
}

#[test]
fn a_retry_is_of_the_version_it_answers_and_the_handshake_of_the_one_that_is_agreed_on() {
    for (first, preferred) in [(V1, &[V2, V1][..]), (V1, &[V1]), (V2, &[V2, V1])] {
        let mut world = World::new();
        let tape = record(&mut world);
        world.host(SERVER, wary(), Some(|| Box::<sim::Server>::default()));
        let from = world.client(CLIENT);
        let config = Arc::new(client(first, preferred));
        let conn = world.connect_with(from, SERVER, config, Client::echoes(1, Duration::ZERO));
        world.run_well(secs(1));
        assert_eq!(version_of(&world, conn), preferred[0]);
        let begun = [
            (true, Kind::Initial, first.wire()),
            (false, Kind::Retry, first.wire()),
            (true, Kind::Initial, first.wire()),
            (false, Kind::Initial, preferred[0].wire()),
        ];
        assert_eq!(tape.borrow()[..4], begun);
    }
}

/// The token that such a server gives a client whose connection becomes one of version 2.
fn earned(world: &mut World, from: HostId) -> Vec<u8> {
    let config = Arc::new(client(V1, &[V2, V1]));
    let conn = world.connect_with(from, SERVER, config, Client::echoes(1, Duration::ZERO));
    world.run_for(secs(1));
    assert_eq!(version_of(world, conn), V2);
    let token = world.at(from).said(conn.handle).find_map(|(_, event)| match event {
        ConnectionEvent::NewToken(token) => Some(token.clone()),
        _ => None,
    });
    token.expect("a server gives a token")
}

#[test]
fn a_token_saves_the_retry_in_the_version_it_was_given_in_alone() {
    for (first, retries) in [(V2, 0), (V1, 1)] {
        let mut world = World::new();
        world.host(SERVER, wary(), Some(|| Box::<sim::Server>::default()));
        let from = world.client(CLIENT);
        let token = earned(&mut world, from);
        let tape = record(&mut world);
        let config = Arc::new(client(first, &[V2, V1]).token(&token).expect("a token"));
        let conn = world.connect_with(from, SERVER, config, Client::echoes(1, Duration::ZERO));
        world.run_well(secs(2));
        assert_eq!(version_of(&world, conn), V2);
        let seen = tape.borrow().iter().filter(|(_, kind, _)| *kind == Kind::Retry).count();
        assert_eq!(seen, retries, "{first}");
    }
}

#[test]
fn a_client_that_begins_anew_in_another_version_does_not_show_its_token() {
    // The token of the first Initial of each version, as it stands behind the two IDs of eight bytes.
    let mut world = World::new();
    let tokens: Rc<RefCell<Vec<(u32, u8)>>> = Rc::default();
    let seen = Rc::clone(&tokens);
    world.tap(move |_, datagram| {
        if datagram.from == addr(CLIENT) && Shape::of(&datagram.payload).has(Kind::Initial) {
            let version = u32::from_be_bytes(datagram.payload[1..5].try_into().expect("four"));
            seen.borrow_mut().push((version, datagram.payload[23]));
        }
        Verdict::Pass
    });
    let config = client(V1, &[V1, V2]).token(&[7; 20]).expect("a token");
    let (_, conn) = pair(&mut world, server(Some(&[V2])), config);
    world.run_well(secs(1));
    assert_eq!(version_of(&world, conn), V2);
    let tokens = tokens.borrow();
    assert_eq!((tokens[0], tokens[1]), ((ONE, 20), (TWO, 0)));
}

/// A client whose ClientHello fills two datagrams.
fn long_winded() -> ClientConfig {
    let names: Vec<Vec<u8>> = (0..60u8).map(|number| vec![b'a' + number % 26; 20]).collect();
    let offered: Vec<&[u8]> = names.iter().map(Vec::as_slice).chain([tls::ALPN]).collect();
    ClientConfig::new(tls::client_offering(&offered)).versions(&[V2, V1]).expect("versions")
}

#[test]
fn a_server_that_has_half_a_client_hello_answers_in_the_clients_version() {
    let mut world = World::new();
    world.links(Link::rtt(ms(20)));
    let mut number = 0;
    // The second half comes a little later.
    world.tap(move |_, datagram| {
        number += usize::from(datagram.from == addr(CLIENT));
        if number == 2 && datagram.from == addr(CLIENT) { Verdict::Delay(ms(60)) } else { Verdict::Pass }
    });
    let tape = record(&mut world);
    let (_, conn) = pair(&mut world, server(None), long_winded());
    world.run_well(secs(2));
    assert_eq!(version_of(&world, conn), V2);
    let by_server = tape.borrow().iter().filter(|entry| !entry.0).copied().collect::<Vec<_>>();
    assert_eq!(by_server.first(), Some(&(false, Kind::Initial, ONE)));
    assert!(by_server.contains(&(false, Kind::Initial, TWO)), "{by_server:x?}");
}

#[test]
fn a_server_that_is_not_heard_goes_on_reading_the_clients_first_version() {
    let mut world = World::new();
    let tape = record(&mut world);
    world.tap(|now, datagram| {
        let is_lost = datagram.from == addr(SERVER) && now < Instant::from_millis(2500);
        if is_lost { Verdict::Drop } else { Verdict::Pass }
    });
    let (_, conn) = pair(&mut world, server(Some(&[V2, V1])), client(V1, &[V1, V2]));
    world.run_well(secs(20));
    assert_eq!(version_of(&world, conn), V2);
    let tape = tape.borrow();
    let answers = tape.iter().position(|entry| *entry == (false, Kind::Initial, TWO)).expect("an answer");
    let asked_again = tape[answers..].iter().filter(|entry| **entry == (true, Kind::Initial, ONE)).count();
    assert!(asked_again >= 2, "{asked_again}");
    let server_side = world.server_side(conn).expect("the server has it too");
    let stats = world.connection(server_side).expect("open").stats();
    let unread = [DropReason::Version, DropReason::Undecryptable].map(|reason| stats.dropped(reason));
    assert_eq!(unread, [0, 0]);
}

#[test]
fn whichever_two_datagrams_are_lost_both_ends_come_to_speak_the_same() {
    for first in 0..8 {
        for second in first..8 {
            let mut world = World::new();
            let mut number = 0;
            world.tap(move |_, _| {
                number += 1;
                if number - 1 == first || number - 1 == second { Verdict::Drop } else { Verdict::Pass }
            });
            let (_, conn) = pair(&mut world, server(Some(&[V2, V1])), client(V1, &[V1, V2]));
            world.run_until_done(secs(20));
            assert_eq!(world.outcome(conn), Outcome::Done, "without datagrams {first} and {second}");
            assert_eq!(version_of(&world, conn), V2);
        }
    }
}

#[test]
fn whichever_datagram_is_lost_a_client_that_began_anew_gets_there() {
    for lost in 0..8 {
        let mut world = World::new();
        let mut number = 0;
        world.tap(move |_, _| {
            number += 1;
            if number - 1 == lost { Verdict::Drop } else { Verdict::Pass }
        });
        let (_, conn) = pair(&mut world, server(None), client(V1, &[V2, V1]).grease_version());
        world.run_until_done(secs(20));
        assert_eq!(world.outcome(conn), Outcome::Done, "without datagram {lost}");
        assert_eq!(version_of(&world, conn), V2);
    }
}

#[test]
fn on_a_network_that_loses_repeats_and_reorders_both_ends_come_to_speak_the_same() {
    for_seeds(20, |seed| {
        let mut world = World::seeded(seed);
        world.links(Link::rtt(ms(40)).loss(0.1).duplication(0.1).reordering(0.3, ms(30)));
        let (_, conn) = pair(&mut world, server(Some(&[V2, V1])), long_winded());
        world.run_until_done(secs(60));
        assert_eq!(world.outcome(conn), Outcome::Done);
        assert_eq!(version_of(&world, conn), V2);
    });
}

#[test]
fn a_server_moves_and_is_followed_in_version_2() {
    for play in Play::ALL {
        let mut scene = Stage::new(play).version(V2).client(Client::download(2_000_000));
        scene.await_connected();
        assert_eq!(version_of(&scene.world, scene.conn()), V2);
        scene.world.run_for(ms(200));
        scene.relocate(AWAY, ms(100));
        scene.run_well(secs(20));
        scene.assert_followed(AWAY);
    }
}

#[test]
fn a_client_that_began_anew_agrees_on_migration_like_any_other() {
    let offer = || MigrationConfig::new(StrategySet::ALL);
    let mut world = World::new();
    let server = server(Some(&[V2])).migration(offer()).expect("a permit that can be");
    let client = client(V1, &[V1, V2]).migration(offer()).expect("an offer that can be");
    let (_, conn) = pair(&mut world, server, client);
    world.run_well(secs(1));
    assert_eq!(version_of(&world, conn), V2);
    let agreement = world.with(conn, |_, connection| connection.migration().agreement());
    assert!(agreement.is_some_and(|agreed| agreed.strategies().contains(Strategy::Symmetric)));
}

// ---- Version Negotiation by servers, honest ones --------------------------------------------------

/// A first packet of this version with these IDs, in a datagram of `len` bytes.
fn first_packet(version: u32, dcid: &[u8], scid: &[u8], len: usize) -> Vec<u8> {
    let mut payload = vec![0xc0];
    payload.extend(version.to_be_bytes());
    for id in [dcid, scid] {
        payload.push(u8::try_from(id.len()).expect("short"));
        payload.extend(id);
    }
    payload.resize(len, 0);
    payload
}

/// What a server answers to these datagrams.
fn answers(payloads: impl IntoIterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    let mut world = World::new();
    world.server(SERVER);
    let _client = world.client(CLIENT);
    let log: Rc<RefCell<Vec<Vec<u8>>>> = Rc::default();
    let seen = Rc::clone(&log);
    world.tap(move |_, datagram| {
        if datagram.from == addr(SERVER) {
            seen.borrow_mut().push(datagram.payload.clone());
        }
        Verdict::Pass
    });
    for payload in payloads {
        world.inject(Datagram::new(addr(CLIENT), addr(SERVER), payload));
    }
    world.run_for(ms(500));
    log.take()
}

#[test]
fn a_server_names_all_its_versions_and_a_reserved_one_but_not_the_one_it_answers() {
    for tried in [0x1a2a_3a4a, 0xfafa_fafa, 0xabcd] {
        let answer = answers([first_packet(tried, &[7; 200], &[9; 3], 1200)]).pop().expect("an answer");
        assert_eq!(answer[1..5], [0; 4]);
        assert_eq!(
            (answer[5], &answer[6..9], answer[9], &answer[10..210]),
            (3, &[9; 3][..], 200, &[7; 200][..])
        );
        let named: Vec<u32> = answer[210..]
            .chunks(4)
            .map(|number| u32::from_be_bytes(number.try_into().expect("four")))
            .collect();
        assert_eq!((named.len(), &named[..2], named[2] & 0x0f0f_0f0f), (3, &[ONE, TWO][..], 0x0a0a_0a0a));
        assert!(!named.contains(&tried));
    }
}

#[test]
fn a_server_does_not_answer_small_datagrams_nor_version_negotiation() {
    assert_eq!(answers([first_packet(0xabcd, &[7; 8], &[], 1199)]), Vec::<Vec<u8>>::new());
    assert_eq!(answers([first_packet(0, &[7; 8], &[], 1200)]), Vec::<Vec<u8>>::new());
}

#[test]
fn a_flood_of_unknown_versions_gets_two_hundred_answers_a_second() {
    let flood = (0..2000u16).map(|number| first_packet(0xabcd, &[7; 8], &number.to_be_bytes(), 1200));
    let answers = answers(flood);
    assert!((100..=200).contains(&answers.len()), "{}", answers.len());
    assert!(answers.iter().all(|answer| answer.len() < 40));
}

// ---- somebody in between --------------------------------------------------------------------------

/// A Version Negotiation packet that answers a client's first packet and names these versions.
fn negotiation(answered: &[u8], versions: &[u32]) -> Vec<u8> {
    let dcid_len = usize::from(answered[5]);
    let (dcid, rest) = answered[6..].split_at(dcid_len);
    let scid = &rest[1..=usize::from(rest[0])];
    let mut packet = vec![0xc0, 0, 0, 0, 0];
    for id in [scid, dcid] {
        packet.push(u8::try_from(id.len()).expect("short"));
        packet.extend(id);
    }
    packet.extend(versions.iter().flat_map(|version| version.to_be_bytes()));
    packet
}

/// A client of a server that speaks both versions, whose first packet somebody answers with what `forge` makes of it, a
/// little before the server does. The original goes on.
fn forged(
    world: &mut World,
    config: ClientConfig,
    from: &'static str,
    forge: impl Fn(&[u8]) -> Vec<u8> + 'static,
) -> Conn {
    world.links(Link::rtt(ms(20)));
    let seen: Rc<RefCell<Option<Vec<u8>>>> = Rc::default();
    let first = Rc::clone(&seen);
    world.tap(move |_, datagram| {
        if datagram.from == addr(CLIENT) {
            first.borrow_mut().get_or_insert_with(|| datagram.payload.clone());
        }
        Verdict::Pass
    });
    let (_, conn) = pair(world, server(None), config);
    world.plan(ms(5), move |world| {
        let payload = forge(seen.borrow().as_ref().expect("the client spoke"));
        world.inject(Datagram::new(addr(from), addr(CLIENT), payload));
    });
    conn
}

#[test]
fn an_attacker_who_hides_the_version_both_prefer_is_found_out() {
    let mut world = World::new();
    let conn = forged(&mut world, client(V1, &[V1, V2]), SERVER, |first| negotiation(first, &[TWO]));
    world.run_for(ms(200));
    assert_eq!(ended(&world, conn), Some(Code::VERSION_NEGOTIATION_ERROR));
    assert_eq!(connected_at(&world, conn), None);
}

#[test]
fn an_attacker_who_leads_a_client_to_where_it_would_go_anyway_does_no_harm() {
    let mut world = World::new();
    let conn = forged(&mut world, client(V1, &[V2, V1]), SERVER, |first| negotiation(first, &[TWO]));
    world.run_well(secs(2));
    assert_eq!(version_of(&world, conn), V2);
}

#[test]
fn a_version_negotiation_packet_that_is_not_an_answer_changes_nothing() {
    /// What is wrong with it, and how it is made of the client's first packet.
    type Forgery = (&'static str, &'static str, fn(&[u8]) -> Vec<u8>);
    let forgeries: [Forgery; 6] = [
        ("names what was tried", SERVER, |first| negotiation(first, &[TWO, ONE])),
        ("names nothing", SERVER, |first| negotiation(first, &[])),
        ("from elsewhere", "198.51.100.66:6", |first| negotiation(first, &[TWO])),
        ("another source", SERVER, |first| {
            let mut packet = negotiation(first, &[TWO]);
            let at = packet.len() - 5;
            packet[at] ^= 1;
            packet
        }),
        ("a longer source", SERVER, |first| {
            let mut packet = negotiation(first, &[]);
            let at = 6 + usize::from(packet[5]);
            packet[at] += 4;
            packet.extend([ONE, TWO].into_iter().flat_map(u32::to_be_bytes));
            packet
        }),
        ("names half a version", SERVER, |first| {
            let mut packet = negotiation(first, &[TWO]);
            packet.truncate(packet.len() - 2);
            packet
        }),
    ];
    for (wrong, from, forge) in forgeries {
        let mut world = World::new();
        let conn = forged(&mut world, client(V1, &[V1, V2]), from, forge);
        world.run_well(secs(2));
        assert_eq!(version_of(&world, conn), V1, "{wrong}");
        let stats = world.connection(conn).expect("open").stats();
        let reasons =
            [DropReason::UnexpectedType, DropReason::Gate, DropReason::ForeignId, DropReason::Malformed];
        assert_eq!(reasons.map(|reason| stats.dropped(reason)).iter().sum::<u64>(), 1, "{wrong}");
    }
}

#[test]
fn a_version_negotiation_packet_that_comes_late_or_twice_changes_nothing() {
    // After the server's first flight, and after another such packet.
    for (after, greases) in [(ms(21), false), (ms(25), true), (ms(60), true)] {
        let mut world = World::new();
        world.links(Link::rtt(ms(20)));
        let seen: Rc<RefCell<Option<Vec<u8>>>> = Rc::default();
        let last = Rc::clone(&seen);
        world.tap(move |now, datagram| {
            if datagram.from == addr(CLIENT)
                && now < Instant::from_millis(22)
                && datagram.payload[0] & 0x80 != 0
            {
                last.replace(Some(datagram.payload.clone()));
            }
            Verdict::Pass
        });
        let mut config = client(V1, &[V1, V2]);
        if greases {
            config = config.grease_version();
        }
        let (_, conn) = pair(&mut world, server(None), config);
        world.plan(after, move |world| {
            let payload = negotiation(seen.borrow().as_ref().expect("the client spoke"), &[TWO]);
            world.inject(Datagram::new(addr(SERVER), addr(CLIENT), payload));
        });
        world.run_well(secs(2));
        assert_eq!(version_of(&world, conn), V1, "{after:?}");
    }
}

#[test]
fn a_version_negotiation_packet_to_a_server_changes_nothing() {
    let mut world = World::new();
    let (_, conn) = pair(&mut world, server(None), client(V1, &[V1, V2]));
    world.run_well(secs(2));
    let server_side = world.server_side(conn).expect("the server has it too");
    let own = world.connection(server_side).expect("open").original_id();
    let mut payload = first_packet(0, &own, &[1; 8], 0x19 - 1);
    payload.truncate(7 + own.len() + 8);
    payload.extend(TWO.to_be_bytes());
    world.inject(Datagram::new(addr(CLIENT), addr(SERVER), payload));
    world.run_for(ms(100));
    let server = world.connection(server_side).expect("open");
    assert_eq!((server.version(), server.stats().dropped(DropReason::UnexpectedType)), (V1, 1));
}

#[test]
fn an_attacker_who_writes_another_version_into_a_header_does_no_harm() {
    for (victim, version) in [(SERVER, TWO), (CLIENT, TWO), (SERVER, 0xabcd), (CLIENT, 0xabcd)] {
        let mut world = World::new();
        let mut number = 0;
        world.tap(move |_, datagram| {
            number += usize::from(datagram.to == addr(victim));
            if datagram.to != addr(victim) || number > 1 {
                return Verdict::Pass;
            }
            let mut payload = datagram.payload.clone();
            if version == TWO {
                payload[0] = payload[0] & !0x30 | 0x10;
            }
            payload[1..5].copy_from_slice(&version.to_be_bytes());
            Verdict::Replace(payload)
        });
        let (_, conn) = pair(&mut world, server(None), client(V1, &[V1, V2]));
        world.run_until_done(secs(20));
        // The server may have been asked in a version it does not know, and the client told so: the truth.
        assert_eq!(
            (world.outcome(conn), version_of(&world, conn)),
            (Outcome::Done, V1),
            "{victim} {version:#x}"
        );
    }
}
