//! Cases on links that lose, corrupt or fall silent.

use std::time::Duration;

use peregrine::Instant;

use crate::frames::Frame;
use crate::lab::{CLIENT, KB, Keep, LIMIT, Lab, MB, SERVER, link, report};
use crate::tls::Tls;
use sim::{Client, Kind, Link, Outcome, Verdict, addr, secs};

/// Connections of the runner's lossy handshakes.
const CONNECTIONS: usize = 50;
/// How many datagrams in a row the runner's links lose or corrupt at most.
const BURST: u32 = 4;

/// Connections one after the other from there, each fetching 1 KB, on a link like this. The client's address names the
/// dice of the link.
fn multiconnect(case: &str, client: &str, link: Link) {
    let (tls, keep) = (Tls::new(), Keep::Handshakes);
    let mut lab = Lab::at(SERVER, client, link, tls, keep, |config| config, |config| config);
    for number in 0..CONNECTIONS {
        let conn = lab.connect(Client::download(KB).then_close());
        lab.world.run_until(|world| world.outcome(conn) != Outcome::Running, LIMIT);
        assert_eq!(lab.world.outcome(conn), Outcome::Done, "{case}: connection {number}");
    }
    assert_eq!(lab.handshakes(), CONNECTIONS, "{case}");
    let took = lab.world.now().since(Instant::ZERO);
    // The runner's limit for all fifty.
    assert!(took < secs(300), "{case}: {took:?}");
    report(case, Some(format!("{:.1} s", took.as_secs_f64())));
}

#[test]
fn handshakeloss() {
    multiconnect("handshakeloss", CLIENT, link().loss(0.3).in_a_row(BURST));
}

/// Some dice corrupt the version of an Initial, and then, in the Version Negotiation packet that answers it, this very
/// version. No client can tell that from an honest answer before the handshake, and after it has to close (RFC 9368,
/// Section 4): such dice say nothing of ours.
#[test]
fn handshakecorruption() {
    multiconnect(
        "handshakecorruption",
        "193.167.0.101:5000",
        link().corruption(0.3).corrupt_within(50).in_a_row(BURST),
    );
}

/// 2 MB, as the runner's.
fn transfer(case: &str, link: Link) {
    let mut lab = Lab::new(link, Tls::new(), Keep::Handshakes);
    lab.fetch(Client::download(2 * MB).then_close());
    let took = lab.world.now().since(Instant::ZERO);
    assert_eq!(lab.handshakes(), 1, "{case}");
    report(case, Some(format!("{:.1} s", took.as_secs_f64())));
}

#[test]
fn transferloss() {
    transfer("transferloss", link().loss(0.02).in_a_row(BURST));
}

#[test]
fn transfercorruption() {
    transfer("transfercorruption", link().corruption(0.02).corrupt_within(50).in_a_row(BURST));
}

/// The link dies after 5 s, for 2 s, under the runner's 10 MB.
#[test]
fn blackhole() {
    let second = |number: u64| Instant::from_millis(1000 * number);
    let outages = [5, 12, 19, 26].map(|on| second(on)..second(on + 2));
    let link = outages.into_iter().fold(link(), Link::outage);
    let mut lab = Lab::new(link, Tls::new(), Keep::Handshakes);
    lab.fetch(Client::download(10 * MB).then_close());
    let took = lab.world.now().since(Instant::ZERO);
    assert!(took > secs(7), "the link died in the middle of it: {took:?}");
    assert_eq!(lab.handshakes(), 1);
    report("blackhole", Some(format!("{:.1} s", took.as_secs_f64())));
}

/// The ClientHello passes, and the six datagrams after it do not; the server's certificates are long.
#[test]
fn amplificationlimit() {
    let mut lab = Lab::new(link(), Tls::certified_by(9), Keep::All);
    let mut number = 0;
    let mut allowed: Option<i64> = Some(0);
    lab.world.tap(move |_, datagram| {
        let len = i64::try_from(datagram.payload.len()).expect("a datagram is short");
        if datagram.from == addr(SERVER) {
            if let Some(allowed) = &mut allowed {
                *allowed -= len;
                assert!(*allowed >= 0, "more than three times what was received (RFC 9000, Section 8.1)");
            }
            return Verdict::Pass;
        }
        number += 1;
        if (2..=7).contains(&number) {
            return Verdict::Drop;
        }
        // From the first datagram that can only be an answer on, the address is validated.
        let is_answer = number > 7 && sim::Shape::of(&datagram.payload).has(Kind::Handshake);
        allowed = allowed.filter(|_| !is_answer).map(|allowed| allowed + 3 * len);
        Verdict::Pass
    });
    let conn = lab.connect(Client::download(5 * KB).then_close());
    lab.world.run_until(|world| world.outcome(conn) != Outcome::Running, LIMIT + Duration::from_secs(60));
    assert_eq!(lab.world.outcome(conn), Outcome::Done);
    assert_eq!(lab.handshakes(), 1);
    let packets = lab.packets();
    let of_the_server = packets.iter().filter(|packet| packet.from_server && packet.kind == Kind::Handshake);
    let ends = of_the_server.flat_map(|packet| packet.frames()).filter_map(|frame| match frame {
        Frame::Crypto { offset, data } => Some(offset + data.len() as u64),
        _ => None,
    });
    assert!(ends.max() >= Some(7500), "the chain was to be long");
    report("amplificationlimit", None);
}
