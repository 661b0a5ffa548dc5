//! Two endpoints in memory, and what is kept of those who come.

use std::time::Duration;

use super::*;
use crate::config::{ClientConfig, EndpointConfig, TransportConfig};
use crate::crypto::{KeyRing, Opened, Standing, testing};
use crate::error::CloseReason;
use crate::event::{ConnectionEvent, Event, Output};
use crate::id::{Side, SpaceId};
use crate::net::{Arrival, Local};
use crate::packet::{Draft, FIXED, PacketHeader, Packets};
use crate::rng::SeededRng;

const CLIENT: &str = "192.0.2.1:5000";
const SERVER: &str = "192.0.2.9:443";

fn path(remote: &str) -> FourTuple {
    FourTuple { local: Local::default(), remote: remote.parse().expect("an address and a port") }
}

/// Configurations of both sides that trust each other.
fn configs() -> (Arc<ClientConfig>, EndpointConfig) {
    let (client, server) = testing::pair(None);
    let server = EndpointConfig::server(Arc::new(ServerConfig::new(Arc::new(server))));
    (Arc::new(ClientConfig::new(Arc::new(client))), server)
}

/// A client and a server, connected by nothing but this test.
struct Pair {
    client: Endpoint,
    server: Endpoint,
    /// What the client and the server have said of their connections.
    said: [Vec<ConnectionEvent>; 2],
}

impl Pair {
    fn new(change: impl FnOnce(EndpointConfig) -> EndpointConfig) -> Self {
        let (config, server) = configs();
        let mut client = Endpoint::new(EndpointConfig::client(), Box::new(SeededRng::new(1)));
        let server = Endpoint::new(change(server), Box::new(SeededRng::new(2)));
        client.connect(Instant::ZERO, path(SERVER), config, "server.test").expect("a sound configuration");
        Self { client, server, said: [Vec::new(), Vec::new()] }
    }

    /// Lets each say what it has to say, and hear it if it may; false if there was nothing.
    fn turn(&mut self, now: Instant) -> bool {
        let to_server = speak(&mut self.client, now, &mut self.said[0]);
        hear(&mut self.server, now, CLIENT, &to_server);
        let to_client = speak(&mut self.server, now, &mut self.said[1]);
        hear(&mut self.client, now, SERVER, &to_client);
        !to_server.is_empty() || !to_client.is_empty()
    }

    fn settle(&mut self, now: Instant) {
        while self.turn(now) {}
    }

    fn connection(endpoint: &mut Endpoint) -> &mut Connection {
        let (handle, _) = endpoint.connections().next().expect("there is one");
        endpoint.connection_mut(handle).expect("it lives")
    }
}

fn speak(endpoint: &mut Endpoint, now: Instant, said: &mut Vec<ConnectionEvent>) -> Vec<Vec<u8>> {
    let (mut out, mut all) = (vec![0; 1200], Vec::new());
    loop {
        match endpoint.poll(now, &mut out) {
            Output::Transmit(transmit) => all.push(out[..transmit.len].to_vec()),
            Output::Event(Event::Connection(_, event)) => said.push(event),
            Output::Event(_) => {}
            Output::TooSmall => panic!("the buffer holds a datagram"),
            Output::Idle { .. } => return all,
        }
    }
}

fn hear(endpoint: &mut Endpoint, now: Instant, from: &str, datagrams: &[Vec<u8>]) {
    for datagram in datagrams {
        endpoint.handle_datagrams(now, Arrival::single(path(from)), &mut datagram.clone());
    }
}

#[test]
fn a_connection_is_half_open_until_its_client_has_answered() {
    let mut pair = Pair::new(|config| config);
    pair.turn(Instant::ZERO);
    assert_eq!(pair.server.half_open, 1);
    pair.settle(Instant::from_millis(10));
    assert_eq!((pair.server.half_open, pair.server.slots.len()), (0, 1));
}

#[test]
fn a_connection_that_proved_its_address_before_is_never_half_open() {
    let mut pair = Pair::new(|config| config.half_open_limit(0));
    pair.turn(Instant::ZERO);
    pair.turn(Instant::ZERO);
    assert_eq!((pair.server.half_open, pair.server.slots.len()), (0, 1));
}

#[test]
fn a_half_open_connection_that_was_given_up_does_not_count_any_more() {
    let mut pair = Pair::new(|config| config);
    pair.turn(Instant::ZERO);
    let late = Instant::ZERO + Duration::from_secs(20);
    pair.server.handle_timeout(late);
    speak(&mut pair.server, late, &mut pair.said[1]);
    assert_eq!((pair.server.half_open, pair.server.slots.len()), (0, 0));
}

#[test]
fn of_a_flood_that_is_answered_by_retry_nothing_is_kept_but_the_answers() {
    let mut pair = Pair::new(|config| config.half_open_limit(0));
    let initial = speak(&mut pair.client, Instant::ZERO, &mut pair.said[0]);
    for host in 0..=255_u8 {
        hear(&mut pair.server, Instant::ZERO, &format!("198.51.100.{host}:9"), &initial);
    }
    assert_eq!((pair.server.answers.len(), pair.server.slots.len()), (MAX_ANSWERS, 0));
    assert_eq!(pair.server.waiting.unproved(), 0);
    // An honest client that comes when there is room again is answered.
    assert_eq!(speak(&mut pair.server, Instant::ZERO, &mut pair.said[1]).len(), MAX_ANSWERS);
    hear(&mut pair.server, Instant::ZERO, CLIENT, &initial);
    pair.settle(Instant::ZERO);
    assert_eq!(pair.server.slots.len(), 1);
}

#[test]
fn a_server_that_pours_out_tokens_is_listened_to_eight_times() {
    let mut pair = Pair::new(|config| config.new_tokens(false));
    pair.settle(Instant::ZERO);
    for number in 0..20 {
        Pair::connection(&mut pair.server).give_token(vec![number; 300]);
        pair.settle(Instant::from_millis(100 * u64::from(number)));
    }
    let tokens = pair.said[0].iter().filter(|event| matches!(event, ConnectionEvent::NewToken(_)));
    assert_eq!(tokens.count(), 8);
    assert!(Pair::connection(&mut pair.client).is_established(), "it is no fault");
}

#[test]
fn a_token_that_would_leave_no_room_is_not_told_of() {
    let mut pair = Pair::new(|config| config.new_tokens(false));
    pair.settle(Instant::ZERO);
    for len in [769, 768] {
        Pair::connection(&mut pair.server).give_token(vec![7; len]);
        pair.settle(Instant::from_millis(len as u64));
    }
    let tokens = pair.said[0].iter().filter_map(|event| match event {
        ConnectionEvent::NewToken(token) => Some(token.len()),
        _ => None,
    });
    assert_eq!(tokens.collect::<Vec<_>>(), [768]);
}

/// Why a server ended the connection after its client said this.
fn objection(say: impl FnOnce(&mut Connection)) -> Option<Code> {
    let mut pair = Pair::new(|config| config);
    pair.settle(Instant::ZERO);
    say(Pair::connection(&mut pair.client));
    pair.settle(Instant::from_millis(100));
    pair.said[1].iter().find_map(|event| match event {
        ConnectionEvent::Closed(CloseReason::Fault(fault)) => Some(fault.code),
        _ => None,
    })
}

#[test]
fn a_token_from_a_client_breaks_the_protocol() {
    let objection = objection(|client| client.give_token(vec![7; 40]));
    assert_eq!(objection, Some(Code::PROTOCOL_VIOLATION));
}

#[test]
fn an_invalid_retry_token_ends_in_invalid_token_and_keeps_nothing() {
    let mut pair = Pair::new(|config| config.half_open_limit(0));
    pair.turn(Instant::ZERO);
    // The client answers the Retry when the token has expired.
    let late = Instant::ZERO + Duration::from_secs(16);
    let answer = speak(&mut pair.client, Instant::ZERO, &mut pair.said[0]);
    hear(&mut pair.server, late, CLIENT, &answer);
    let reply = speak(&mut pair.server, late, &mut pair.said[1]);
    assert_eq!((reply.len(), pair.server.slots.len()), (1, 0));
    assert!(reply[0].len() < 200, "{} bytes", reply[0].len());
    hear(&mut pair.client, Instant::ZERO, SERVER, &reply);
    pair.settle(Instant::ZERO);
    let closed = pair.said[0].iter().find_map(|event| match event {
        ConnectionEvent::Closed(CloseReason::Peer { code, .. }) => Some(*code),
        _ => None,
    });
    assert_eq!(closed, Some(Code::INVALID_TOKEN));
}

#[test]
fn the_keys_of_a_garbled_answer_to_a_retry_do_not_fit_and_it_is_not_answered() {
    let mut pair = Pair::new(|config| config.half_open_limit(0));
    pair.turn(Instant::ZERO);
    let mut answer = speak(&mut pair.client, Instant::ZERO, &mut pair.said[0]);
    *answer[0].last_mut().expect("not empty") ^= 1;
    hear(&mut pair.server, Instant::ZERO + Duration::from_secs(16), CLIENT, &answer[..1]);
    assert!(pair.server.answers.is_empty());
    assert_eq!(pair.server.stats.dropped(DropReason::Undecryptable), 1);
}

/// A client's Initial, sealed again with its QUIC bit clear.
fn cleared(datagram: &[u8]) -> Vec<u8> {
    let mut bytes = datagram.to_vec();
    let packet = Packets::new(&mut bytes, 8).next().expect("a packet").expect("it is well-formed");
    let PacketHeader::Initial { version, dcid, .. } = packet.header else { panic!("an Initial") };
    let number_at = packet.number_at;
    let mut server = KeyRing::initial(version, &dcid, Side::Server);
    let standing = || Standing { pto: Duration::ZERO, next_number: 0 };
    let opened = server.open(packet.bytes, number_at, 0, Instant::ZERO, standing);
    let Opened { number, payload, .. } = opened.expect("it is authentic");
    let draft = Draft {
        space: SpaceId::Initial,
        number,
        start: 0,
        number_at,
        payload_at: payload.start,
        end: payload.end,
        ack_eliciting: true,
        in_flight: true,
        probing: false,
        is_long: true,
        records: 0..0,
    };
    bytes[0] &= !FIXED;
    KeyRing::initial(version, &dcid, Side::Client).seal(&draft, &mut bytes).expect("the key is fresh");
    bytes
}

#[test]
fn a_first_packet_may_have_its_quic_bit_clear_where_that_was_ever_said() {
    for greases in [true, false] {
        let mut pair = Pair::new(|mut config| {
            let transport = TransportConfig::builder().grease_quic_bit(greases).build();
            let mut server = ServerConfig::clone(config.server.as_ref().expect("a server"));
            server.transport = Arc::new(transport.expect("settings that can be"));
            config.server = Some(Arc::new(server));
            config
        });
        let first = speak(&mut pair.client, Instant::ZERO, &mut pair.said[0]);
        hear(&mut pair.server, Instant::ZERO, CLIENT, &[cleared(&first[0])]);
        assert_eq!(pair.server.slots.len(), usize::from(greases));
        assert_eq!(pair.server.stats.dropped(DropReason::Malformed), u64::from(!greases));
    }
}
