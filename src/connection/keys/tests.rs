//! Two connections in memory: what becomes of keys that are used up, and of a peer that misuses updates.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::{CipherSuite, KeyLog};

use super::*;
use crate::cid::RandomIds;
use crate::config::{ClientConfig, ServerConfig};
use crate::connection::{Caller, Issuer, Polled};
use crate::crypto::{KeyRing, ResetKey, Secret, Suite, testing};
use crate::error::{CloseReason, Code};
use crate::event::ConnectionEvent;
use crate::id::{ConnectionId, Dir};
use crate::net::{Ecn, FourTuple, Local};
use crate::packet::{PacketHeader, Packets, Version};
use crate::rng::SeededRng;

/// The first traffic secrets, by their label.
#[derive(Debug, Default)]
struct Secrets(Mutex<BTreeMap<String, Vec<u8>>>);

impl KeyLog for Secrets {
    fn log(&self, label: &str, _: &[u8], secret: &[u8]) {
        self.0.lock().expect("nobody panics").insert(label.to_owned(), secret.to_vec());
    }
}

impl Secrets {
    fn of(&self, label: &str) -> Secret {
        Secret::new(&self.0.lock().expect("nobody panics")[label]).expect("a secret fits")
    }
}

/// Configurations of both sides that trust each other, and what the client's key log is told.
fn configs() -> (ClientConfig, ServerConfig, Arc<Secrets>) {
    let (mut client, server) = testing::pair(Some(CipherSuite::TLS13_AES_128_GCM_SHA256));
    let secrets = Arc::new(Secrets::default());
    client.key_log = Arc::clone(&secrets) as Arc<dyn KeyLog>;
    (ClientConfig::new(Arc::new(client)), ServerConfig::new(Arc::new(server)), secrets)
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address and a port")
}

fn path(remote: &str) -> FourTuple {
    FourTuple { local: Local::default(), remote: address(remote) }
}

const CLIENT: &str = "192.0.2.1:5000";
const SERVER: &str = "192.0.2.9:443";

/// Two connections, confirmed, with nothing but this test between them. Time stands still unless a test says otherwise.
struct Pair {
    client: Connection,
    server: Connection,
    secrets: Arc<Secrets>,
    now: Instant,
}

impl Pair {
    fn new() -> Self {
        let (client, server, secrets) = configs();
        let now = Instant::from_millis(1);
        let issuer = |byte| Arc::new(Issuer::new(Arc::new(RandomIds::DEFAULT), ResetKey::new([byte; 32])));
        let id = |byte| ConnectionId::new(&[byte; 8]).expect("an ID");
        let client = Connection::client(
            now,
            path(SERVER),
            Arc::new(client),
            "server.test",
            Box::new(SeededRng::new(1)),
            id(1),
            issuer(1),
        );
        let mut client = client.expect("a sound configuration");
        let mut first = speak(&mut client, now).remove(0);
        let packet = Packets::new(&mut first, 8).next().expect("a packet").expect("it can be read");
        let PacketHeader::Initial { dcid, scid, .. } = packet.header else { panic!("a client's Initial") };
        let caller = Caller { version: Version::V1, dcid, scid, before_retry: None, proved: true };
        let rng = Box::new(SeededRng::new(2));
        let mut server =
            Connection::server(now, path(CLIENT), Arc::new(server), caller, rng, id(2), issuer(2));
        hear(&mut server, now, CLIENT, vec![first]);
        let mut pair = Self { client, server, secrets, now };
        pair.settle();
        assert!(pair.client.is_confirmed() && pair.server.is_confirmed());
        pair
    }

    /// Lets each say what it has to say, and hear it.
    fn turn(&mut self) -> bool {
        let said = speak(&mut self.client, self.now);
        let mut silent = said.is_empty();
        hear(&mut self.server, self.now, CLIENT, said);
        let said = speak(&mut self.server, self.now);
        silent &= said.is_empty();
        hear(&mut self.client, self.now, SERVER, said);
        !silent
    }

    /// A second passes, in which each hears the other at once.
    fn settle(&mut self) {
        for _ in 0..200 {
            self.now += Duration::from_millis(5);
            for end in [&mut self.client, &mut self.server] {
                end.handle_timeout(self.now);
            }
            while self.turn() {}
        }
    }

    /// The client's first keys, for packets after these.
    fn old_keys(&self) -> KeyRing {
        let (ours, theirs) = ("CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0");
        KeyRing::one_rtt(Version::V1, Suite::Aes128Gcm, self.secrets.of(ours), self.secrets.of(theirs))
    }
}

fn speak(connection: &mut Connection, now: Instant) -> Vec<Vec<u8>> {
    let (mut out, mut all) = (vec![0; 1200], Vec::new());
    while let Polled::Transmit(transmit) | Polled::Last(transmit) | Polled::Burst(transmit) =
        connection.poll_transmit(now, &mut out)
    {
        all.push(out[..transmit.len].to_vec());
    }
    all
}

fn hear(connection: &mut Connection, now: Instant, from: &str, datagrams: Vec<Vec<u8>>) {
    for mut datagram in datagrams {
        connection.handle_datagram(now, &path(from), Ecn::NotEct, &mut datagram);
    }
}

fn keys(connection: &mut Connection) -> &mut KeyRing {
    &mut connection.spaces.get_mut(SpaceId::Data).expect("it is established").keys
}

/// With which code a connection ended, if it has.
fn fault(connection: &mut Connection) -> Option<Code> {
    std::iter::from_fn(|| connection.poll_event()).find_map(|event| match event {
        ConnectionEvent::Closed(CloseReason::Fault(fault)) => Some(fault.code),
        ConnectionEvent::Closed(CloseReason::Peer { code, .. }) => Some(code),
        _ => None,
    })
}

fn say_something(connection: &mut Connection) {
    let id = connection.open(Dir::Uni).expect("the peer permits it");
    connection.send(id).expect("it is ours").write(b"something").expect("there is room");
}

#[test]
fn a_key_that_was_never_acknowledged_ends_the_connection_before_it_is_used_up() {
    let mut pair = Pair::new();
    assert_eq!(pair.server.update_keys(pair.now), Ok(()));
    // Nobody hears of it.
    speak(&mut pair.server, pair.now);
    keys(&mut pair.server).age((1 << 23) - 1026);
    say_something(&mut pair.server);
    assert!(!speak(&mut pair.server, pair.now).is_empty());
    assert_eq!(fault(&mut pair.server), None);
    say_something(&mut pair.server);
    pair.turn();
    assert_eq!(fault(&mut pair.server), Some(Code::AEAD_LIMIT_REACHED));
    // The key is good for saying so.
    assert_eq!(fault(&mut pair.client), Some(Code::AEAD_LIMIT_REACHED));
    assert_eq!(pair.server.update_keys(pair.now), Err(KeyUpdateError::Closed));
}

#[test]
fn a_key_that_has_sealed_much_is_replaced_and_the_connection_goes_on() {
    let mut pair = Pair::new();
    for updates in 1..4 {
        say_something(&mut pair.server);
        pair.settle();
        keys(&mut pair.server).age((1 << 23) - 1025);
        say_something(&mut pair.server);
        pair.settle();
        assert_eq!(pair.server.stats().own_key_updates, updates);
        assert_eq!(pair.client.stats().key_updates, updates);
    }
    assert_eq!((fault(&mut pair.client), fault(&mut pair.server)), (None, None));
}

#[test]
fn an_old_key_that_acknowledges_a_packet_with_a_new_one_ends_the_connection() {
    let mut pair = Pair::new();
    assert_eq!(pair.server.update_keys(pair.now), Ok(()));
    let said = speak(&mut pair.server, pair.now);
    hear(&mut pair.client, pair.now, SERVER, said);
    assert_eq!(pair.client.stats().key_updates, 1);
    *keys(&mut pair.client) = pair.old_keys();
    pair.turn();
    assert_eq!(fault(&mut pair.server), Some(Code::KEY_UPDATE_ERROR));
}

#[test]
fn a_peer_that_does_nothing_but_update_is_not_borne_for_ever() {
    let mut pair = Pair::new();
    let mut updates = 0;
    while fault(&mut pair.server).is_none() {
        keys(&mut pair.client).force_update();
        pair.client.control.ask();
        pair.turn();
        updates += 1;
        assert!(updates <= 10_001, "it is borne and borne");
    }
    assert!(updates > 1000, "{updates}");
    assert_eq!(pair.server.stats().key_updates, updates);
}
