//! A server with ten thousand connections that say nothing; every millisecond one of them is to be kept alive.

use std::time::Duration;

use peregrine::{Instant, TimerKind, Transmit};

use super::pair::{End, Pair, datagrams};

/// Connections that the server holds.
const CONNECTIONS: usize = 10_000;
/// From one connection to the next, and so from one tick to the next.
const SPACING: Duration = Duration::from_millis(1);
/// How long a connection is silent before it is kept alive: all are established before the first is.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Lets every connection be due once, and returns how many ticks it took.
pub fn run() -> u64 {
    let mut pair = Pair::new(Some(KEEP_ALIVE));
    for _ in 0..CONNECTIONS {
        let next = pair.now + SPACING;
        pair.connect();
        pair.rest_until(next);
    }
    let before = packets_sent(&pair.server);
    assert_eq!(before.len(), CONNECTIONS, "all connections are established");
    let mut spare = vec![0; pair.wire.len()];
    for _ in 0..CONNECTIONS {
        let due = rest_until_server_is_due(&mut pair);
        pair.now = pair.now.max(due);
        let ping = tick(&mut pair.server, pair.now, &mut pair.wire, &mut spare);
        assert_eq!(datagrams(ping), 1, "one connection was due");
        pair.pass();
        pair.client.take(pair.now, &mut pair.wire, ping);
        pair.settle();
    }
    let after = packets_sent(&pair.server);
    assert!(before.iter().zip(&after).all(|(before, after)| before + 1 == *after), "each was due once");
    assert_eq!(after.len(), CONNECTIONS, "all connections are alive");
    CONNECTIONS as u64
}

/// What each connection that is established has sent, in packets.
fn packets_sent(end: &End) -> Vec<u64> {
    let established = end.endpoint.connections().filter(|(_, connection)| connection.is_confirmed());
    established.map(|(_, connection)| connection.stats().packets_sent).collect()
}

/// Lets every other timer run out until the next is one that keeps a connection alive.
fn rest_until_server_is_due(pair: &mut Pair) -> Instant {
    loop {
        let next = pair.wake().expect("connections are to be kept alive");
        match pair.server.wake {
            Some(wake) if wake.at == next && wake.timer == TimerKind::KeepAlive => return next,
            Some(_) | None => pair.expire(),
        }
    }
}

/// The clock has come to a deadline: the server says what there is to say, and rests.
#[inline(never)]
pub fn tick(server: &mut End, now: Instant, wire: &mut [u8], spare: &mut [u8]) -> Transmit {
    server.endpoint.handle_timeout(now);
    let ping = server.speak(now, wire, |_, _, event| panic!("nothing happens: {event:?}"));
    let more = server.speak(now, spare, |_, _, event| panic!("nothing happens: {event:?}"));
    assert!(more.is_none(), "one connection is due at a time");
    ping.expect("a connection is due")
}
