//! Cases with a second connection that stands on a ticket of the first.

use peregrine::{Dir, ServerConfig, VarInt};

use crate::frames::Frame;
use crate::lab::{KB, Keep, LIMIT, Lab, link, report};
use crate::sniffer::Packet;
use crate::tls::Tls;
use sim::{App, Client, Conn, Kind, Request, ms};

/// What the type of a TLS message is that carries certificates.
const CERTIFICATE: u8 = 11;

/// Fetches the first file, closes, and connects again for the others.
fn first_then_rest(lab: &mut Lab, early: bool, first: impl App, rest: impl App) -> [Conn; 2] {
    let connect = |lab: &mut Lab, conn: Option<Conn>| {
        lab.world.run_well(LIMIT);
        if let Some(conn) = conn {
            lab.world.run_for(ms(100));
            lab.world.with(conn, |now, connection| connection.close(now, VarInt::ZERO, b""));
        }
    };
    let config = |lab: &Lab| lab.config().early_data(early);
    let settings = config(lab);
    let first = lab.connect_with(settings, first);
    connect(lab, Some(first));
    let settings = config(lab);
    let rest = lab.connect_with(settings, rest);
    connect(lab, None);
    [first, rest]
}

/// The TLS messages that the server protected by Handshake keys, by their types: of each connection.
fn server_messages(packets: &[Packet]) -> Vec<Vec<u8>> {
    let mut connections: Vec<(&[u8], Vec<u8>)> = Vec::new();
    for packet in packets.iter().filter(|packet| packet.from_server && packet.kind == Kind::Handshake) {
        if connections.last().is_none_or(|(id, _)| *id != packet.scid) {
            connections.push((&packet.scid, Vec::new()));
        }
        let (_, stream) = connections.last_mut().expect("there is one");
        for frame in packet.frames() {
            // What is repeated begins before the end of what is there.
            if let Frame::Crypto { offset, data } = frame
                && usize::try_from(*offset) == Ok(stream.len())
            {
                stream.extend(data);
            }
        }
    }
    connections.iter().map(|(_, stream)| message_types(stream)).collect()
}

fn message_types(mut stream: &[u8]) -> Vec<u8> {
    let mut types = Vec::new();
    while let [kind, high, middle, low, rest @ ..] = stream {
        types.push(*kind);
        let len = usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low);
        stream = rest.get(len..).unwrap_or_default();
    }
    types
}

#[test]
fn resumption() {
    let mut lab = Lab::new(link(), Tls::new(), Keep::All);
    first_then_rest(&mut lab, false, Client::download(5 * KB), Client::download(10 * KB));
    assert_eq!(lab.handshakes(), 2);
    let messages = server_messages(&lab.packets());
    assert_eq!(messages.len(), 2);
    assert!(messages[0].contains(&CERTIFICATE), "{messages:?}");
    assert!(!messages[1].contains(&CERTIFICATE), "{messages:?}");
    assert!(!lab.saw(Kind::ZeroRtt));
    report("resumption", None);
}

/// The runner's 40 files, asked for by requests as long as its are: 250 bytes of name, and little else.
#[test]
fn zerortt() {
    let early = |config: ServerConfig| config.early_data(true);
    let mut lab = Lab::serving(link(), Tls::new(), Keep::All, early, |config| config);
    let request = Request { dir: Dir::Bi, up: 250 - 24, down: 32 };
    let (first, rest) = (Client::asking([request]), Client::asking([request; 39]));
    let [_, rest] = first_then_rest(&mut lab, true, first, rest);
    assert_eq!(lab.world.app::<Client>(rest).served().len(), 39);
    assert_eq!(lab.handshakes(), 2);
    let packets = lab.packets();
    let sent = |kind: Kind| -> usize {
        let such = packets.iter().filter(|packet| !packet.from_server && packet.kind == kind);
        such.filter_map(|packet| packet.inside.as_ref()).map(|inside| inside.len).sum()
    };
    let (early, late) = (sent(Kind::ZeroRtt), sent(Kind::OneRtt));
    assert!(early > 39 * 250, "{early} bytes in 0-RTT packets");
    assert!(late <= 40 * 250 / 2, "{late} bytes in 1-RTT packets");
    report("zerortt", Some(format!("{early} bytes")));
}
