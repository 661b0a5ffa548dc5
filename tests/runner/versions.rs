//! Cases in which the version changes (RFC 9368, RFC 9369).

use std::collections::BTreeSet;

use peregrine::Version;

use crate::keys::{V1, V2};
use crate::lab::{KB, Keep, Lab, link, report};
use crate::sniffer::Packet;
use crate::tls::Tls;
use sim::{Client, Kind};

/// The versions of one side's packets of this type.
fn versions(packets: &[Packet], from_server: bool, kind: Kind) -> BTreeSet<u32> {
    let such = packets.iter().filter(|packet| packet.from_server == from_server && packet.kind == kind);
    such.map(|packet| packet.version).collect()
}

/// The client begins in version 1 and names version 2; the server goes over.
#[test]
fn v2() {
    let mut lab = Lab::new(link(), Tls::new(), Keep::All);
    let config = lab.config().versions(&[Version::V2, Version::V1]).expect("versions");
    let config = config.first_version(Version::V1).expect("one of them");
    lab.connect_with(config, Client::download(KB).then_close());
    lab.world.run_well(crate::lab::LIMIT);
    let packets = lab.packets();
    assert!(versions(&packets, false, Kind::Initial).contains(&V1));
    assert!(versions(&packets, true, Kind::Initial).contains(&V2));
    for from_server in [false, true] {
        assert_eq!(versions(&packets, from_server, Kind::Handshake), BTreeSet::from([V2]));
    }
    assert!(packets.iter().all(|packet| packet.inside.is_some()), "a packet could not be opened");
    report("v2", None);
}

/// The client begins with a reserved version, as the runner's client does. That one gives up upon the server's list of
/// versions; ours goes on with one of them.
#[test]
fn versionnegotiation() {
    let mut lab = Lab::new(link(), Tls::new(), Keep::All);
    let config = lab.config().grease_version();
    lab.connect_with(config, Client::download(KB).then_close());
    lab.world.run_well(crate::lab::LIMIT);
    let packets = lab.packets();
    let first = packets.first().expect("the client has begun");
    assert_eq!(first.version & 0x0f0f_0f0f, 0x0a0a_0a0a, "a reserved version");
    let answer = packets.iter().find(|packet| packet.kind == Kind::Version).expect("the server has answered");
    assert!(answer.from_server && answer.scid == first.dcid && answer.dcid == first.scid);
    report("versionnegotiation", None);
}
