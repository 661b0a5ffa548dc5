//! What a client wrote in 0-RTT, under whatever limits it turns out to have been.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::error::WriteError;

/// What the server permitted in an earlier connection.
const REMEMBERED: StreamLimits =
    StreamLimits { max_bidi: 6, max_uni: 6, receive_window: 40_000, stream_receive_window: 15_000, ..LIMITS };

/// A client that goes by what it remembers.
fn early() -> Streams {
    streams(Side::Client, LIMITS, REMEMBERED)
}

/// The server took nothing of these packets, and has these limits.
fn reject(client: &mut Streams, sent: &[Sent], limits: StreamLimits) {
    sent.iter().for_each(|sent| lose(client, sent));
    client.on_early_rejected(told(limits));
}

#[test]
fn what_was_not_taken_is_sent_again_from_the_first_byte() {
    let (mut client, mut server) = (early(), server());
    let id = client.open(Dir::Bi).expect("permitted");
    assert_eq!(write(&mut client, id, &[7; 3_000]), 3_000);
    finish(&mut client, id);
    let sent: Vec<_> = std::iter::from_fn(|| send(&mut client, 1200)).collect();
    assert_eq!(sent.len(), 3);
    reject(&mut client, &sent, LIMITS);
    assert_eq!(carry(&mut client, &mut server), 3);
    assert_eq!(server.accept(Dir::Bi), Some(id));
    assert_eq!(read(&mut server, id), (vec![7; 3_000], true));
}

#[test]
fn what_was_taken_goes_on_under_the_higher_limit() {
    let mut client = early();
    let id = client.open(Dir::Bi).expect("permitted");
    assert_eq!(write(&mut client, id, &[7; 16_000]), 15_000);
    assert!(!said(&mut client).is_empty());
    client.on_early_accepted(told(LIMITS));
    assert_eq!(events(&mut client), [StreamEvent::Writable { id }]);
    assert_eq!(write(&mut client, id, &[7; 100_000]), 100_000);
}

#[test]
fn what_exceeds_a_lower_limit_waits_and_says_so() {
    let mut client = early();
    let id = client.open(Dir::Uni).expect("permitted");
    assert_eq!(write(&mut client, id, &[7; 3_000]), 3_000);
    finish(&mut client, id);
    reject(&mut client, &[], StreamLimits { stream_receive_window: 1_000, ..LIMITS });
    assert_eq!(said(&mut client), ["STREAM", "STREAM_DATA_BLOCKED"]);
    assert_eq!(client.on_max_stream_data(&frame::MaxStreamData { id, limit: 2_500 }), Ok(()));
    let more = said(&mut client);
    assert_eq!((more.first(), more.last()), (Some(&"STREAM".into()), Some(&"STREAM_DATA_BLOCKED".into())));
    assert_eq!(client.on_max_stream_data(&frame::MaxStreamData { id, limit: 4_000 }), Ok(()));
    let last = send(&mut client, 1200).expect("the rest");
    let fins = Frames::new(&last.payload).filter(|frame| matches!(frame, Ok(Frame::Stream(s)) if s.fin));
    assert_eq!(fins.count(), 1);
    assert!(!client.holds_back);
}

#[test]
fn a_stream_that_is_not_permitted_any_more_says_nothing_until_it_is() {
    let mut client = early();
    let ids = [(); 2].map(|()| client.open(Dir::Bi).expect("permitted"));
    assert_eq!(client.send(ids[1]).expect("open").reset(number(9)), Ok(()));
    reject(&mut client, &[], StreamLimits { max_bidi: 1, ..LIMITS });
    assert_eq!(client.recv(ids[1]).expect("open").stop(number(9)), Ok(()));
    assert_eq!(client.send(ids[1]).expect("open").write(b"x"), Err(WriteError::Closed));
    assert_eq!(said(&mut client), ["STREAMS_BLOCKED"]);
    assert_eq!(client.open(Dir::Bi), None);
    assert_eq!(client.on_max_streams(&frame::MaxStreams { dir: Dir::Bi, limit: 2 }), Ok(()));
    assert_eq!(said(&mut client), ["RESET_STREAM", "STOP_SENDING"]);
    assert_eq!(client.on_max_streams(&frame::MaxStreams { dir: Dir::Bi, limit: 3 }), Ok(()));
    assert_eq!(events(&mut client), [StreamEvent::Available { dir: Dir::Bi }]);
}

#[test]
fn what_was_reset_before_costs_no_credit_after() {
    let mut client = early();
    let id = client.open(Dir::Uni).expect("permitted");
    assert_eq!(write(&mut client, id, &[7; 3_000]), 3_000);
    let sent = send(&mut client, 1200).expect("data");
    assert_eq!(client.send(id).expect("open").reset(number(9)), Ok(()));
    reject(&mut client, &[sent], StreamLimits { receive_window: 500, ..LIMITS });
    let reset = send(&mut client, 1200).expect("the reset");
    let mut frames = Frames::new(&reset.payload);
    assert_eq!(
        frames.next(),
        Some(Ok(Frame::ResetStream(frame::ResetStream { id, code: 9, final_size: 0 })))
    );
    assert_eq!(client.shared.limits.credit().room(), 500);
}

#[test]
fn what_a_reset_gives_back_is_for_those_who_wait() {
    let limits = StreamLimits { receive_window: 600, ..LIMITS };
    for by_peer in [false, true] {
        let (mut client, mut server) = (early(), streams(Side::Server, limits, LIMITS));
        let [first, second] = [(); 2].map(|()| client.open(Dir::Uni).expect("permitted"));
        assert_eq!(write(&mut client, first, &[7; 600]) + write(&mut client, second, &[8; 600]), 1200);
        reject(&mut client, &[], limits);
        if by_peer {
            assert_eq!(client.on_stop_sending(&frame::StopSending { id: first, code: 9 }), Ok(()));
        } else {
            assert_eq!(client.send(first).expect("open").reset(number(9)), Ok(()));
        }
        let more = client.send(second).expect("open").write(&[9; 10]);
        assert_eq!(more, Err(WriteError::Blocked), "before what was written early nothing can be sent");
        carry(&mut client, &mut server);
        assert_eq!([server.accept(Dir::Uni), server.accept(Dir::Uni)], [Some(first), Some(second)]);
        assert_eq!(read(&mut server, second), (vec![8; 600], false));
    }
}

/// A byte of a stream, which tells where it belongs.
fn byte_at(id: StreamId, offset: usize) -> u8 {
    (offset as u64 * 7 + id.into_inner() * 13 + (offset as u64 >> 8)).to_le_bytes()[0]
}

/// A client's application.
#[derive(Default)]
struct Author {
    /// Bytes written on each stream, and whether they still count.
    streams: BTreeMap<StreamId, (usize, bool)>,
    sent: Vec<Sent>,
}

impl Author {
    fn act(&mut self, client: &mut Streams, (op, n, len): (u8, usize, usize)) {
        let dir = if n % 2 == 0 { Dir::Bi } else { Dir::Uni };
        let chosen = self.streams.iter_mut().nth(n);
        match op {
            0 => {
                if let Some(id) = client.open(dir) {
                    self.streams.insert(id, (0, true));
                }
            }
            1..=3 => {
                let Some((id, (written, _))) = chosen else { return };
                let Some(mut stream) = client.send(*id) else { return };
                let text: Vec<u8> = (*written..*written + len).map(|at| byte_at(*id, at)).collect();
                *written += stream.write(&text).unwrap_or(0);
            }
            4 => {
                let Some((id, _)) = chosen else { return };
                client.send(*id).and_then(|mut stream| stream.finish().ok());
            }
            5 => {
                let Some((id, (_, counts))) = chosen else { return };
                *counts &= client.send(*id).is_none_or(|mut stream| stream.reset(number(1)).is_err());
            }
            _ => self.sent.extend(send(client, 1200)),
        }
    }
}

/// A server's application: it takes all there is, and has nothing to say.
#[derive(Default)]
struct Reader(BTreeMap<StreamId, (Vec<u8>, bool)>);

impl Reader {
    fn act(&mut self, server: &mut Streams) {
        while server.poll_event().is_some() {}
        for dir in [Dir::Bi, Dir::Uni] {
            while let Some(id) = server.accept(dir) {
                self.0.insert(id, (Vec::new(), false));
                if dir == Dir::Bi {
                    finish(server, id);
                }
            }
        }
        for (id, (bytes, has_ended)) in &mut self.0 {
            let (more, ended) = read(server, *id);
            bytes.extend(more);
            *has_ended |= ended;
        }
    }
}

proptest! {
    #[test]
    fn under_any_limits_all_of_it_arrives_once_and_none_is_broken(
        before in prop::collection::vec((0u8..8, 0usize..12, 1usize..6_000), 1..60),
        after in prop::collection::vec((0u8..6, 0usize..12, 1usize..6_000), 0..30),
        (max_bidi, max_uni) in (1u64..8, 1u64..8),
        (receive_window, stream_receive_window) in (500u64..60_000, 200u64..20_000),
    ) {
        let limits = StreamLimits { max_bidi, max_uni, receive_window, stream_receive_window, ..LIMITS };
        let (mut client, mut server) = (early(), streams(Side::Server, limits, LIMITS));
        let (mut author, mut reader) = (Author::default(), Reader::default());
        before.into_iter().for_each(|op| author.act(&mut client, op));
        reject(&mut client, &std::mem::take(&mut author.sent), limits);
        after.into_iter().for_each(|op| author.act(&mut client, op));
        for id in author.streams.keys() {
            client.send(*id).and_then(|mut stream| stream.finish().ok());
        }
        // Each round consumes a window, or ends as many streams as may be open.
        for _ in 0..400 {
            carry(&mut client, &mut server);
            reader.act(&mut server);
            carry(&mut server, &mut client);
            while client.poll_event().is_some() {}
            for id in author.streams.keys() {
                read(&mut client, *id);
            }
        }
        prop_assert!(!client.holds_back);
        for (id, (written, counts)) in author.streams {
            let Some((bytes, has_ended)) = reader.0.get(&id).filter(|_| counts) else {
                prop_assert!(!counts, "{} never came", id);
                continue;
            };
            prop_assert_eq!((bytes.len(), *has_ended), (written, true));
            prop_assert!(bytes.iter().enumerate().all(|(at, byte)| *byte == byte_at(id, at)));
        }
    }
}
