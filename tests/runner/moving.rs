//! Cases in which the client's address changes.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::frames::Frame;
use crate::lab::{CLIENT, Keep, LIMIT, Lab, MB, link, report};
use crate::sim::{Client, Filtering, Nat, addr, ip, ms};
use crate::sniffer::Packet;
use crate::tls::Tls;

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
