//! Whole handshakes in memory, and peers that do not keep to them.

use std::sync::Mutex;

use ::rustls::{ClientConfig, ServerConfig};

use super::*;
use crate::crypto::{KeyRing, Standing, testing};
use crate::frame::Ping;
use crate::id::ConnectionId;
use crate::packet::{Allowance, DatagramWriter, Header};
use crate::time::Instant;

/// Makes configurations of both sides that trust each other.
struct Configs {
    client: ClientConfig,
    server: ServerConfig,
}

fn configs_with(suite: Option<CipherSuite>) -> Configs {
    let (client, server) = testing::pair(suite);
    Configs { client, server }
}

fn configs() -> Configs {
    configs_with(None)
}

/// One side of a handshake, and what it has said so far.
struct End {
    tls: Handshake,
    rings: Vec<(Level, KeyRing)>,
    early: Option<KeyRing>,
    /// The limits that a server promises; `None`: it takes no 0-RTT data.
    limits: Option<Box<[u64]>>,
    said: Vec<(Level, Vec<u8>)>,
    exporter: Option<Exporter>,
}

impl End {
    fn new(tls: Handshake) -> Self {
        let mut end =
            Self { tls, rings: Vec::new(), early: None, limits: None, said: Vec::new(), exporter: None };
        end.listen();
        end
    }

    fn listen(&mut self) {
        while let Some(output) = self.tls.write() {
            match output {
                Output::Bytes(level, bytes) => self.said.push((level, bytes)),
                Output::Keys(level, ring) => self.rings.push((level, ring)),
                Output::EarlyKeys(ring) => self.early = Some(ring),
            }
        }
    }

    fn hear(&mut self, level: Level, bytes: &[u8]) -> Result<(), TransportError> {
        self.tls.read(level, bytes)?;
        if self.tls.offered_params().is_some() {
            self.tls.begin(b"server params".to_vec(), self.limits.clone())?;
        }
        self.listen();
        Ok(())
    }

    fn ring(&mut self, level: Level) -> &mut KeyRing {
        let mut rings = self.rings.iter_mut();
        rings.find(|(of, _)| *of == level).map(|(_, ring)| ring).expect("there are keys")
    }
}

fn ends(configs: Configs) -> (End, End) {
    let name = ServerName::try_from("server.test").expect("a name");
    let client = Handshake::client(
        &Arc::new(configs.client),
        name,
        b"client params".to_vec(),
        Version::V1,
        Resume::Early,
    );
    let server = Handshake::server(&Arc::new(configs.server), Version::V1);
    (End::new(client.expect("TLS begins")), End::new(server))
}

/// Carries what is said back and forth, in pieces of at most `piece` bytes, until both are silent.
fn talk(client: &mut End, server: &mut End, piece: usize) -> Result<(), TransportError> {
    while !client.said.is_empty() || !server.said.is_empty() {
        for (level, bytes) in std::mem::take(&mut client.said) {
            bytes.chunks(piece).try_for_each(|piece| server.hear(level, piece))?;
        }
        for (level, bytes) in std::mem::take(&mut server.said) {
            bytes.chunks(piece).try_for_each(|piece| client.hear(level, piece))?;
        }
    }
    Ok(())
}

/// A second connection of two who know each other, as far as the client's ClientHello; these are the limits then, and now.
fn again(then: &[u64], now: Option<&[u64]>) -> (End, End) {
    let configs = configs();
    let limits = |limits: &[u64]| Some(Box::from(limits));
    let (mut client, mut server) =
        ends(Configs { client: configs.client.clone(), server: configs.server.clone() });
    server.limits = limits(then);
    talk(&mut client, &mut server, usize::MAX).expect("they agree");
    assert!(client.early.is_none() && server.early.is_none());
    assert!(!client.tls.summary().resumed && client.tls.remembered_params().is_none());
    let (client, mut server) = ends(configs);
    server.limits = now.and_then(limits);
    (client, server)
}

#[test]
fn a_client_that_was_here_has_keys_for_early_data_and_a_server_that_takes_it_has_the_same() {
    let (mut client, mut server) = again(&[7, 8], Some(&[7, 9]));
    assert_eq!(client.tls.remembered_params(), Some(&b"server params"[..]));
    let hello = client.said.remove(0);
    server.hear(hello.0, &hello.1).expect("a hello");
    let header =
        Header::ZeroRtt { version: Version::V1, dcid: ConnectionId::EMPTY, scid: ConnectionId::EMPTY };
    {
        let (ours, theirs) = (client.early.as_mut().expect("keys"), server.early.as_mut().expect("keys"));
        assert!(!carry(ours, theirs, &header, 0));
    }
    talk(&mut client, &mut server, usize::MAX).expect("they agree");
    assert!(client.tls.is_early_data_accepted());
    assert!(client.tls.summary().resumed && server.tls.summary().resumed);
    assert_eq!(client.tls.remembered_params(), None);
}

#[test]
fn a_server_whose_limits_shrank_falls_back_to_a_whole_handshake() {
    let (mut client, mut server) = again(&[7, 8], Some(&[7, 7]));
    talk(&mut client, &mut server, usize::MAX).expect("they agree");
    assert!(client.early.is_some() && server.early.is_none());
    assert!(!client.tls.is_early_data_accepted() && !client.tls.summary().resumed);
}

#[test]
fn a_server_that_takes_no_early_data_any_more_resumes_without() {
    let (mut client, mut server) = again(&[7, 8], None);
    talk(&mut client, &mut server, usize::MAX).expect("they agree");
    assert!(client.early.is_some() && server.early.is_none());
    assert!(!client.tls.is_early_data_accepted() && client.tls.summary().resumed);
}

fn established(configs: Configs) -> (End, End) {
    let (mut client, mut server) = ends(configs);
    talk(&mut client, &mut server, usize::MAX).expect("they agree");
    (client, server)
}

/// Seals a PING under one ring and opens it under the other.
fn carry(from: &mut KeyRing, to: &mut KeyRing, header: &Header<'_>, number: u64) -> bool {
    let (mut buf, mut records) = ([0; 64], Vec::new());
    let mut datagram = DatagramWriter::new(&mut buf, &mut records);
    let mut packet = datagram.begin(header, number, None, Allowance::Full).expect("there is room");
    packet.write(&Ping).expect("there is room");
    let draft = packet.finish();
    assert!(datagram.keep(draft));
    let number_at = datagram.drafts()[0].number_at;
    let len = datagram.seal(|draft, packet| from.seal(draft, packet).expect("the key is fresh"));
    let opened = to.open(&mut buf[..len], number_at, number, Instant::ZERO, Standing::default);
    let opened = opened.expect("the rings fit");
    assert_eq!((opened.number, &buf[opened.payload.start]), (number, &1));
    opened.key_updated
}

fn code(outcome: Result<(), TransportError>) -> Code {
    outcome.expect_err("it must fail").code
}

#[test]
fn a_handshake_ends_in_rings_that_open_each_others_packets_and_follow_an_update() {
    for suite in [
        CipherSuite::TLS13_AES_128_GCM_SHA256,
        CipherSuite::TLS13_AES_256_GCM_SHA384,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    ] {
        let (mut client, mut server) = established(configs_with(Some(suite)));
        assert!(client.tls.is_complete() && server.tls.is_complete());
        let long =
            Header::Handshake { version: Version::V1, dcid: ConnectionId::EMPTY, scid: ConnectionId::EMPTY };
        let short = Header::Short { dcid: ConnectionId::EMPTY };
        for (level, header) in [(Level::Handshake, long), (Level::OneRtt, short)] {
            let (client, server) = (client.ring(level), server.ring(level));
            assert!(!carry(client, server, &header, 0));
            assert!(!carry(server, client, &header, 0));
        }
        let (client, server) = (client.ring(Level::OneRtt), server.ring(Level::OneRtt));
        client.force_update();
        assert!(carry(client, server, &short, 1));
        assert!(!carry(server, client, &short, 1));
    }
}

#[test]
fn a_handshake_in_single_bytes_comes_to_the_same() {
    let (mut client, mut server) = ends(configs());
    assert_eq!(talk(&mut client, &mut server, 1), Ok(()));
    assert!(client.tls.is_complete() && server.tls.is_complete());
}

#[test]
fn both_sides_know_what_they_agreed_on() {
    let (mut client, mut server) = established(configs());
    assert_eq!(client.tls.peer_params(), Some(&b"server params"[..]));
    assert_eq!(server.tls.peer_params(), Some(&b"client params"[..]));
    let (client, server) = (client.tls.summary(), server.tls.summary());
    assert_eq!((client.alpn.as_deref(), server.alpn.as_deref()), (Some(&b"test"[..]), Some(&b"test"[..])));
    assert_eq!(client.server_name.as_deref(), Some("server.test"));
    assert_eq!(server.server_name.as_deref(), Some("server.test"));
    assert_eq!((client.peer_certificates.len(), server.peer_certificates.len()), (1, 0));
    assert!(client.suite.is_some() && client.suite == server.suite);
}

#[test]
fn what_is_exported_is_what_tls_itself_exports() {
    for suite in [
        CipherSuite::TLS13_AES_128_GCM_SHA256,
        CipherSuite::TLS13_AES_256_GCM_SHA384,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    ] {
        let (mut client, mut server) = established(configs_with(Some(suite)));
        for (label, context) in [(&b"label"[..], None), (b"label", Some(&b"context"[..])), (b"x", Some(b""))]
        {
            let Stage::Running(tls) = &client.tls.stage else { panic!("TLS has begun") };
            let theirs = tls.export_keying_material([0; 77], label, context).expect("it is exported");
            for end in [&mut client, &mut server] {
                let exporter =
                    end.exporter.get_or_insert_with(|| end.tls.summary().exporter.expect("a secret"));
                let mut ours = [0; 77];
                exporter.export(&mut ours, label, context.unwrap_or_default()).expect("it is exported");
                assert_eq!(ours, theirs);
            }
        }
    }
}

#[test]
fn the_servers_tickets_are_1_rtt_bytes() {
    let (mut client, mut server) = ends(configs());
    let hello = client.said.remove(0);
    server.hear(hello.0, &hello.1).expect("a hello");
    for (level, bytes) in std::mem::take(&mut server.said) {
        client.hear(level, &bytes).expect("a flight");
    }
    assert_eq!(client.said.iter().map(|(level, _)| *level).collect::<Vec<_>>(), [Level::Handshake]);
    let (level, finished) = client.said.remove(0);
    server.hear(level, &finished).expect("a finished handshake");
    assert!(!server.said.is_empty() && server.said.iter().all(|(level, _)| *level == Level::OneRtt));
    let tickets = server.said.remove(0);
    assert_eq!(client.hear(tickets.0, &tickets.1), Ok(()));
}

#[test]
fn the_clients_parameters_are_offered_once_its_hello_is_whole() {
    let (client, mut server) = ends(configs());
    let (_, hello) = &client.said[0];
    let (last, fragment) = hello.split_last().expect("it is not empty");
    assert_eq!(server.tls.read(Level::Initial, fragment), Ok(()));
    assert_eq!(server.tls.offered_params(), None);
    assert_eq!(server.tls.read(Level::Initial, &[*last]), Ok(()));
    assert_eq!(server.tls.offered_params(), Some(&b"client params"[..]));
    assert_eq!(server.tls.begin(Vec::new(), None), Ok(()));
    assert_eq!(server.tls.offered_params(), None);
    assert_eq!(server.tls.peer_params(), None);
}

#[test]
fn no_protocol_in_common_is_alert_120() {
    let mut configs = configs();
    configs.server.alpn_protocols = vec![b"other".to_vec()];
    let (mut client, mut server) = ends(configs);
    assert_eq!(code(talk(&mut client, &mut server, usize::MAX)), Code::crypto(120));
}

#[test]
fn alpn_may_be_left_out() {
    let mut configs = configs();
    configs.server.alpn_protocols.clear();
    configs.client.alpn_protocols.clear();
    let (mut client, _) = established(configs);
    assert_eq!(client.tls.summary().alpn, None);
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_an_alert() {
    let (trusted, other) = (configs(), configs());
    let (mut client, mut server) = ends(Configs { client: trusted.client, server: other.server });
    let fault = talk(&mut client, &mut server, usize::MAX).expect_err("it must fail");
    assert!((0x100..0x200).contains(&fault.code.into_inner()));
    assert_eq!(fault.reason, "the peer's certificate does not verify");
}

#[test]
fn a_message_at_the_level_before_its_own_is_refused() {
    let (mut client, mut server) = ends(configs());
    let hello = client.said.remove(0);
    server.hear(hello.0, &hello.1).expect("a hello");
    let [(Level::Initial, server_hello), (Level::Handshake, flight)] = &server.said[..] else {
        panic!("a ServerHello and a flight");
    };
    // All of it in Initial packets, which anybody can write, in one piece.
    let early = [server_hello.as_slice(), flight].concat();
    assert_eq!(code(client.hear(Level::Initial, &early)), Code::PROTOCOL_VIOLATION);
}

#[test]
fn a_message_that_begins_at_one_level_does_not_end_at_another() {
    let (mut client, mut server) = ends(configs());
    let hello = client.said.remove(0);
    server.hear(hello.0, &hello.1).expect("a hello");
    let (_, server_hello) = server.said.remove(0);
    let (_, flight) = server.said.remove(0);
    let (begun, ended) = flight.split_at(7);
    client.hear(Level::Initial, &server_hello).expect("a ServerHello");
    assert_eq!(code(client.hear(Level::Initial, begun)), Code::PROTOCOL_VIOLATION);
    client.hear(Level::Handshake, begun).expect("the right level");
    assert_eq!(code(client.hear(Level::OneRtt, ended)), Code::PROTOCOL_VIOLATION);
    assert_eq!(client.hear(Level::Handshake, ended), Ok(()));
}

#[test]
fn a_second_client_hello_is_refused() {
    let (mut client, mut server) = ends(configs());
    let (level, hello) = client.said.remove(0);
    server.hear(level, &hello).expect("a hello");
    assert_eq!(code(server.hear(Level::Initial, &hello)), Code::PROTOCOL_VIOLATION);
    let (client, mut server) = ends(configs());
    let twice = [client.said[0].1.as_slice(), &client.said[0].1].concat();
    assert_eq!(code(server.hear(Level::Initial, &twice)), Code::PROTOCOL_VIOLATION);
}

#[test]
fn a_hello_at_another_level_is_refused() {
    let (client, mut server) = ends(configs());
    assert_eq!(code(server.hear(Level::Handshake, &client.said[0].1)), Code::PROTOCOL_VIOLATION);
}

#[test]
fn a_tls_key_update_is_an_unexpected_message() {
    let (mut client, _) = established(configs());
    // RFC 9001, Section 6: the update of TLS has no place in QUIC.
    assert_eq!(code(client.hear(Level::OneRtt, &[24, 0, 0, 1, 0])), Code::crypto(10));
}

#[test]
fn handshake_bytes_after_the_handshake_are_refused() {
    let (mut client, mut server) = established(configs());
    assert_eq!(code(client.hear(Level::Handshake, &[20])), Code::PROTOCOL_VIOLATION);
    assert_eq!(code(server.hear(Level::Handshake, &[20])), Code::PROTOCOL_VIOLATION);
}

#[test]
fn a_message_longer_than_tls_has_any_is_refused_by_its_length() {
    let (mut client, mut server) = ends(configs());
    let hello = client.said.remove(0);
    server.hear(hello.0, &hello.1).expect("a hello");
    let server_hello = server.said.remove(0);
    client.hear(server_hello.0, &server_hello.1).expect("a ServerHello");
    assert!(client.hear(Level::Handshake, &[8, 0xff, 0xff, 0xff, 0]).is_err());
}

#[test]
fn after_a_hello_retry_the_parameters_are_still_those_that_were_answered() {
    let mut configs = configs();
    let mut provider = ::rustls::crypto::ring::default_provider();
    // The client shows a share of one group only, and the server knows only another.
    provider.kx_groups = vec![::rustls::crypto::ring::kx_group::SECP384R1];
    configs.server = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&::rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(&configs.server.cert_resolver));
    configs.server.alpn_protocols = vec![b"test".to_vec()];
    let (mut client, mut server) = ends(configs);
    assert_eq!(talk(&mut client, &mut server, 100), Ok(()));
    assert!(client.tls.is_complete() && server.tls.is_complete());

    server.tls.answered = Some(b"other params".to_vec());
    assert_eq!(server.tls.check_answer().map_err(|fault| fault.code), Err(Code::crypto(47)));
}

#[test]
fn the_embedders_key_log_hears_what_it_asked_for() {
    #[derive(Debug, Default)]
    struct Asked(Mutex<Vec<String>>);
    impl KeyLog for Asked {
        fn log(&self, label: &str, _: &[u8], _: &[u8]) {
            self.0.lock().expect("nobody panics").push(label.to_owned());
        }
        fn will_log(&self, label: &str) -> bool {
            label == "CLIENT_TRAFFIC_SECRET_0" || label == "CLIENT_EARLY_TRAFFIC_SECRET"
        }
    }
    let log = Arc::new(Asked::default());
    let mut configs = configs();
    configs.client.key_log = Arc::clone(&log) as Arc<dyn KeyLog>;
    configs.server.key_log = Arc::clone(&log) as Arc<dyn KeyLog>;
    let again = Configs { client: configs.client.clone(), server: configs.server.clone() };
    let (mut client, mut server) = ends(configs);
    server.limits = Some([1].into());
    talk(&mut client, &mut server, usize::MAX).expect("they agree");
    assert_eq!(*log.0.lock().expect("nobody panics"), ["CLIENT_TRAFFIC_SECRET_0"; 2]);
    assert_eq!((client.rings.len(), server.rings.len()), (2, 2));
    assert!(client.ring(Level::OneRtt).check().is_ok() && server.ring(Level::OneRtt).check().is_ok());

    log.0.lock().expect("nobody panics").clear();
    let (mut client, mut server) = ends(again);
    server.limits = Some([1].into());
    assert!(talk(&mut client, &mut server, usize::MAX).is_ok());
    let heard = log.0.lock().expect("nobody panics");
    assert_eq!(heard[..2], ["CLIENT_EARLY_TRAFFIC_SECRET"; 2], "of the second connection both tell it");
}

#[test]
fn a_handshake_prints_no_secret() {
    let (client, _) = established(configs());
    let printed = format!("{:?} {:?}", client.tls, client.tls.secrets);
    assert!(printed.starts_with("Handshake { side: Client, reading: OneRtt, writing: OneRtt, suite: Some("));
    assert!(printed.ends_with(", .. } SecretLog(..)"));
}
