//! Cases on a link that loses nothing but what its queue cannot hold.

use peregrine::Ecn;

use crate::frames::Frame;
use crate::lab::{CLIENT, KB, Keep, LIMIT, Lab, MB, SERVER, link, report};
use crate::sniffer::Packet;
use crate::tls::Tls;
use sim::{Client, Kind, Link, Queue, ms};

/// What a handshake must be in nearly all cases: one, in version 1.
fn assert_one_handshake(lab: &Lab) {
    assert_eq!(lab.handshakes(), 1);
    let packets = lab.packets();
    let versions = packets.iter().filter(|packet| packet.kind != Kind::OneRtt).map(|packet| packet.version);
    assert_eq!(versions.max(), Some(1));
}

fn is_client_hello(frame: &Frame) -> bool {
    matches!(frame, Frame::Crypto { offset: 0, data } if data.first() == Some(&1))
}

#[test]
fn handshake() {
    let mut lab = Lab::new(link(), Tls::new(), Keep::All);
    lab.fetch(Client::download(KB).then_close());
    assert_one_handshake(&lab);
    assert!(!lab.saw(Kind::Retry));
    assert!(lab.packets().iter().all(|packet| packet.inside.is_some()), "a packet could not be opened");
    report("handshake", None);
}

/// Two files of 1 MB instead of three of 2 to 5, and the end: "connection close completes with a zero error code".
#[test]
fn transfer() {
    let mut lab = Lab::new(link(), Tls::new(), Keep::All);
    lab.fetch(Client::downloads(2, MB).then_close());
    assert_one_handshake(&lab);
    let packets = lab.packets();
    let closes = packets.iter().flat_map(Packet::frames).filter(|frame| matches!(frame, Frame::Close { .. }));
    let closes: Vec<_> = closes.collect();
    assert!(!closes.is_empty());
    assert!(closes.iter().all(|close| **close == Frame::Close { application: true, code: 0 }), "{closes:?}");
    report("transfer", None);
}

#[test]
fn longrtt() {
    let link = Link::delay(ms(750)).bandwidth(10_000_000).queue(Queue::Packets(25));
    let mut lab = Lab::new(link, Tls::new(), Keep::All);
    lab.fetch(Client::download(KB).then_close());
    assert_one_handshake(&lab);
    assert!(!lab.saw(Kind::Retry));
    let packets = lab.packets();
    let hellos = packets.iter().filter(|packet| !packet.from_server && packet.has(is_client_hello));
    assert!(hellos.count() >= 2, "a probe repeats the ClientHello before the first answer can have come");
    report("longrtt", None);
}

/// A quarter of the runner's 3 MB.
#[test]
fn chacha20() {
    let mut lab = Lab::new(link(), Tls::chacha20(), Keep::All);
    lab.fetch(Client::download(3 * MB / 4).then_close());
    assert_one_handshake(&lab);
    let packets = lab.packets();
    let hello = packets.iter().flat_map(Packet::frames).find(|frame| is_client_hello(frame));
    let Some(Frame::Crypto { data, .. }) = hello else { panic!("no ClientHello") };
    // Type, length, version, random; a session ID; then the suites, by their number of bytes.
    let suites = &data[4 + 2 + 32 + 1 + usize::from(data[38])..];
    assert_eq!(suites[..4], [0, 2, 0x13, 0x03], "only ChaCha20 is offered");
    report("chacha20", None);
}

/// All of the runner's 1999 files.
#[test]
fn multiplexing() {
    let mut lab = Lab::new(link(), Tls::new(), Keep::All);
    let conn = lab.fetch(Client::downloads(1999, 32).then_close());
    assert_one_handshake(&lab);
    assert_eq!(lab.world.app::<Client>(conn).served().len(), 1999);
    let limit = initial_max_streams_bidi(&lab.packets()).expect("the server has transport parameters");
    assert!((1..=1000).contains(&limit), "{limit}");
    report("multiplexing", None);
}

/// The server's limit, out of its EncryptedExtensions (RFC 9001, Section 8.2).
fn initial_max_streams_bidi(packets: &[Packet]) -> Option<u64> {
    let hello = packets.iter().filter(|packet| packet.from_server && packet.kind == Kind::Handshake);
    let data = hello.flat_map(Packet::frames).find_map(|frame| match frame {
        Frame::Crypto { offset: 0, data } => Some(data.clone()),
        _ => None,
    })?;
    let at = data.windows(2).position(|pair| pair == [0, 0x39])?;
    let mut rest = data.get(at + 4..)?;
    loop {
        let (id, len) = (crate::frames::varint(&mut rest)?, crate::frames::varint(&mut rest)?);
        let mut value = crate::frames::take(&mut rest, len)?;
        if id == 0x08 {
            return crate::frames::varint(&mut value);
        }
    }
}

#[test]
fn retry() {
    let wary = |config: peregrine::EndpointConfig| config.half_open_limit(0);
    let mut lab = Lab::serving(link(), Tls::new(), Keep::All, |config| config, wary);
    lab.fetch(Client::download(10 * KB).then_close());
    assert_one_handshake(&lab);
    let packets = lab.packets();
    let retries: Vec<_> = packets.iter().filter(|p| p.from_server && p.kind == Kind::Retry).collect();
    assert_eq!(retries.len(), 1);
    let number = |packet: &Packet| packet.inside.as_ref().map(|inside| inside.number);
    let initials = packets.iter().filter(|packet| !packet.from_server && packet.kind == Kind::Initial);
    let before = initials.take_while(|packet| packet.token.is_empty()).filter_map(number).max();
    let mut with_token = packets.iter().filter(|packet| !packet.from_server && !packet.token.is_empty());
    let first = with_token.next().expect("the token came back");
    assert_eq!(first.token, retries[0].token);
    assert!(number(first) > before, "packet numbers go on after a Retry (RFC 9000, Section 17.2.5.3)");
    report("retry", None);
}

/// The client updates within the first megabyte of the runner's three.
#[test]
fn keyupdate() {
    let mut lab = Lab::new(link(), Tls::new(), Keep::All);
    let conn = lab.connect(Client::download(3 * MB).then_close());
    lab.world.run_until(move |world| world.app::<Client>(conn).received() > 100 * KB, LIMIT);
    lab.world.with(conn, |now, connection| connection.update_keys(now)).expect("it is time");
    assert!(lab.world.app::<Client>(conn).received() < MB);
    lab.world.run_well(LIMIT);
    assert_one_handshake(&lab);
    let packets = lab.packets();
    assert!(packets.iter().all(|packet| packet.inside.is_some()), "a packet could not be opened");
    for from_server in [false, true] {
        let of_phase = |phase| {
            let such = |packet: &&Packet| packet.kind == Kind::OneRtt && packet.from_server == from_server;
            let inside = packets.iter().filter(such).filter_map(|packet| packet.inside.as_ref());
            inside.filter(|inside| inside.phase == phase).count()
        };
        assert!(of_phase(false) > 0 && of_phase(true) > 0, "{} and {}", of_phase(false), of_phase(true));
    }
    report("keyupdate", None);
}

#[test]
fn ecn() {
    let mut lab = Lab::new(link(), Tls::new(), Keep::All);
    lab.fetch(Client::download(100 * KB).then_close());
    assert_one_handshake(&lab);
    let packets = lab.packets();
    for from_server in [false, true] {
        let sent = || packets.iter().filter(move |packet| packet.from_server == from_server);
        assert!(sent().any(|packet| packet.ecn == Ecn::Ect0), "nothing is marked");
        assert!(sent().all(|packet| packet.ecn != Ecn::Ce), "a sender marks no congestion");
        let counts = sent().filter(|packet| packet.has(|frame| *frame == Frame::Ack { ecn: true }));
        assert!(counts.count() > 0, "no ACK_ECN");
    }
    report("ecn", None);
}

#[test]
fn ipv6() {
    let same = |config| config;
    let (server, client) = ("[fd00:cafe:cafe:100::100]:443", "[fd00:cafe:cafe::100]:5000");
    let mut lab = Lab::at(server, client, link(), Tls::new(), Keep::All, same, |config| config);
    lab.fetch(Client::downloads(2, 10 * KB).then_close());
    assert_one_handshake(&lab);
    assert!(lab.packets().iter().all(|packet| packet.from.is_ipv6() && packet.to.is_ipv6()));
    assert_ne!((SERVER, CLIENT), (server, client));
    report("ipv6", None);
}
