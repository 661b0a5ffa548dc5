//! Cases in which the client's address changes.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use peregrine::{Local, ServerConfig, SocketKey};

use crate::frames::Frame;
use crate::lab::{CLIENT, Keep, LIMIT, Lab, MB, SERVER, link, report};
use crate::sniffer::Packet;
use crate::tls::Tls;
use sim::{Client, Filtering, Kind, Nat, addr, ip, ms};

/// Where the client is seen at first.
const PUBLIC: &str = "193.167.0.1";
/// When its translator forgets it first, and how often after that, in milliseconds.
const REBINDS: [u64; 2] = [1000, 6000];

/// A download of 10 MB, as the runner's, from behind a translator that forgets.
fn rebind(public: [Option<&'static str>; 2]) -> Vec<Packet> {
    let mut lab = Lab::new(link(), Tls::new(), Keep::All);
    lab.world.nat(Nat::new(&[addr(CLIENT).ip()], ip(PUBLIC), Filtering::AddressAndPortDependent));
    let client = lab.client;
    for (after, public) in REBINDS.into_iter().zip(public) {
        lab.world.plan(ms(after), move |world| world.rebind_nat(client, public));
    }
    lab.connect(Client::download(10 * MB).then_close());
    lab.world.run_well(LIMIT);
    assert_eq!(lab.handshakes(), 1);
    lab.packets()
}

/// The server's first packet to each new place challenges it, and the client answers every such challenge.
fn assert_new_paths_are_validated(packets: &[Packet]) -> BTreeSet<SocketAddr> {
    let (mut places, mut challenges) = (BTreeSet::new(), Vec::new());
    for packet in packets.iter().filter(|packet| packet.from_server) {
        if !places.insert(packet.to) || places.len() == 1 {
            continue;
        }
        let challenge = packet.frames().iter().find_map(|frame| match frame {
            Frame::PathChallenge(data) => Some(*data),
            _ => None,
        });
        challenges.push(challenge.expect("the first packet on a new path challenges it"));
    }
    for challenge in challenges {
        let answered = |packet: &Packet| packet.has(|frame| *frame == Frame::PathResponse(challenge));
        assert!(packets.iter().any(|packet| !packet.from_server && answered(packet)), "no answer");
    }
    places
}

#[test]
fn rebind_port() {
    let places = assert_new_paths_are_validated(&rebind([None, None]));
    assert_eq!(places.len(), 3, "{places:?}");
    report("rebind-port", None);
}

#[test]
fn rebind_addr() {
    let places = assert_new_paths_are_validated(&rebind([Some("193.167.0.77"), Some("193.167.0.78")]));
    let ips: BTreeSet<_> = places.iter().map(SocketAddr::ip).collect();
    assert_eq!(ips.len(), 3, "{places:?}");
    report("rebind-addr", None);
}

/// The server prefers another port of its own, and the client goes there.
#[test]
fn connectionmigration() {
    let SocketAddr::V4(preferred) = addr("193.167.100.100:444") else { panic!("an IPv4 address") };
    let local = Local { socket: SocketKey(1), ip: Some(addr(SERVER).ip()) };
    let prefer = |config: ServerConfig| config.preferred_v4(preferred, local).expect("an address");
    let mut lab = Lab::serving(link(), Tls::new(), Keep::All, prefer, |config| config);
    let socket = lab.world.add_socket(lab.server, "193.167.100.100:444");
    assert_eq!(socket, local.socket);
    lab.connect(Client::download(2 * MB).then_close());
    lab.world.run_well(LIMIT);
    assert_eq!(lab.handshakes(), 1);
    let packets = lab.packets();
    let moved =
        packets.iter().position(|packet| packet.to == preferred.into()).expect("the client has moved");
    let (before, after) = packets.split_at(moved);
    let mut former = before.iter().filter(|packet| !packet.from_server && packet.kind == Kind::OneRtt);
    assert!(former.all(|packet| packet.dcid != after[0].dcid), "a connection ID was used on two paths");
    let mut answers = after.iter().filter(|packet| packet.from == preferred.into());
    let first = answers.next().expect("the server answers from there");
    assert!(first.has(|frame| matches!(frame, Frame::PathChallenge(_))), "{first:?}");
    let data =
        answers.filter(|packet| packet.inside.as_ref().is_some_and(|inside| inside.len > 1000)).count();
    assert!(data > 1000, "nearly all of the file comes from there: {data} packets");
    report("connectionmigration", None);
}
