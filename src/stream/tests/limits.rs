//! Flow control in both directions (RFC 9000, Section 4), and the bounds that hostile peers meet.

use super::*;
use crate::error::WriteError;

const MAX: u64 = (1 << 62) - 1;

#[test]
fn data_beyond_the_streams_window_is_a_flow_control_error() {
    let mut server = server();
    let id = bidi(Side::Client, 0);
    let window = LIMITS.stream_receive_window;
    assert_eq!(server.on_stream(&data(id, window - 1, b"x", false)), Ok(()));
    assert_eq!(code(server.on_stream(&data(id, window, b"x", false))), Some(Code::FLOW_CONTROL_ERROR));
    let reset = frame::ResetStream { id, code: 0, final_size: window + 1 };
    assert_eq!(code(server.on_reset_stream(&reset)), Some(Code::FLOW_CONTROL_ERROR));
}

#[test]
fn data_beyond_the_connections_window_is_a_flow_control_error() {
    let mut server = server();
    for index in 0..4 {
        let id = bidi(Side::Client, index);
        assert_eq!(server.on_stream(&data(id, LIMITS.stream_receive_window - 1, b"x", false)), Ok(()));
    }
    let id = bidi(Side::Client, 4);
    assert_eq!(server.on_stream(&data(id, 0, b"", false)), Ok(()));
    assert_eq!(code(server.on_stream(&data(id, 0, b"x", false))), Some(Code::FLOW_CONTROL_ERROR));
}

#[test]
fn the_largest_offsets_are_an_error_and_no_more() {
    let id = uni(Side::Client, 0);
    assert_eq!(code(server().on_stream(&data(id, MAX - 1, b"x", true))), Some(Code::FLOW_CONTROL_ERROR));
    assert_eq!(code(server().on_stream(&data(id, u64::MAX, b"x", true))), Some(Code::FLOW_CONTROL_ERROR));
    let limits = StreamLimits { receive_window: MAX, stream_receive_window: MAX, ..LIMITS };
    let mut server = streams(Side::Server, limits, LIMITS);
    assert_eq!(server.on_stream(&data(id, MAX - 1, b"x", true)), Ok(()));
    let reset = frame::ResetStream { id, code: MAX, final_size: MAX };
    assert_eq!(server.on_reset_stream(&reset), Ok(()));
    assert_eq!(server.on_max_data(&frame::MaxData { limit: MAX }), Ok(()));
    assert_eq!(said(&mut server), Vec::<String>::new());
}

#[test]
fn the_end_of_a_stream_cannot_move() {
    let id = uni(Side::Client, 0);
    let reset = |final_size| frame::ResetStream { id, code: 0, final_size };
    let mut server = server();
    assert_eq!(server.on_stream(&data(id, 6, b"tail", true)), Ok(()));
    for result in [
        server.on_stream(&data(id, 10, b"x", false)),
        server.on_stream(&data(id, 0, b"x", true)),
        server.on_reset_stream(&reset(9)),
        server.on_reset_stream(&reset(11)),
    ] {
        assert_eq!(code(result), Some(Code::FINAL_SIZE_ERROR));
    }
    assert_eq!(server.on_reset_stream(&reset(10)), Ok(()));
    assert_eq!(code(server.on_stream(&data(id, 10, b"x", false))), Some(Code::FINAL_SIZE_ERROR));
}

#[test]
fn a_stream_cannot_end_before_data_that_was_received() {
    let mut server = server();
    let id = uni(Side::Client, 0);
    assert_eq!(server.on_stream(&data(id, 6, b"tail", false)), Ok(()));
    assert_eq!(code(server.on_stream(&data(id, 0, b"x", true))), Some(Code::FINAL_SIZE_ERROR));
    let reset = frame::ResetStream { id, code: 0, final_size: 9 };
    assert_eq!(code(server.on_reset_stream(&reset)), Some(Code::FINAL_SIZE_ERROR));
}

#[test]
fn the_final_size_counts_once_and_returns_with_the_reset() {
    let mut server = server();
    let id = uni(Side::Client, 0);
    let size = LIMITS.stream_receive_window;
    assert_eq!(server.on_stream(&data(id, 100, b"x", false)), Ok(()));
    let reset = frame::ResetStream { id, code: 0, final_size: size };
    for _ in 0..3 {
        assert_eq!(server.on_reset_stream(&reset), Ok(()));
        assert_eq!(server.shared.limits.window().received(), size);
        assert_eq!(server.shared.limits.window().waiting(), 0);
    }
}

#[test]
fn what_arrives_on_a_stopped_stream_is_counted_and_returned() {
    let mut server = server();
    let id = uni(Side::Client, 0);
    assert_eq!(server.on_stream(&data(id, 10, b"x", false)), Ok(()));
    server.accept(Dir::Uni);
    assert_eq!(server.recv(id).map(|mut s| s.stop(number(0))), Some(Ok(())));
    assert_eq!((server.shared.limits.window().received(), server.shared.limits.window().waiting()), (11, 0));
    assert_eq!(server.on_stream(&data(id, 0, &[0; 50], false)), Ok(()));
    assert_eq!((server.shared.limits.window().received(), server.shared.limits.window().waiting()), (50, 0));
    let limit = LIMITS.stream_receive_window;
    assert_eq!(code(server.on_stream(&data(id, limit, b"x", false))), Some(Code::FLOW_CONTROL_ERROR));
}

#[test]
fn windows_are_raised_when_half_was_consumed_and_never_after_the_end() {
    let mut server = server();
    let id = uni(Side::Client, 0);
    let half = vec![0; 128 << 10];
    assert_eq!(server.on_stream(&data(id, 0, &half[1..], false)), Ok(()));
    server.accept(Dir::Uni);
    read(&mut server, id);
    assert_eq!(said(&mut server), Vec::<String>::new());
    assert_eq!(server.on_stream(&data(id, half.len() as u64 - 1, b"x", false)), Ok(()));
    read(&mut server, id);
    assert_eq!(said(&mut server), ["MAX_STREAM_DATA"]);
    assert_eq!(server.on_stream(&data(id, half.len() as u64, &half, true)), Ok(()));
    let mut stream = server.recv(id).expect("not read to the end");
    stream.consume(half.len());
    assert_eq!(said(&mut server), Vec::<String>::new());
}

#[test]
fn a_lost_limit_is_said_again_unless_a_newer_one_was() {
    let mut server = server();
    let id = uni(Side::Client, 0);
    let half = vec![0; 128 << 10];
    let mut sent = Vec::new();
    for round in 0..2 {
        assert_eq!(server.on_stream(&data(id, round * half.len() as u64, &half, false)), Ok(()));
        server.accept(Dir::Uni);
        read(&mut server, id);
        sent.push(send(&mut server, 1200).expect("MAX_STREAM_DATA"));
    }
    lose(&mut server, &sent[0]);
    assert_eq!(said(&mut server), Vec::<String>::new());
    lose(&mut server, &sent[1]);
    assert_eq!(said(&mut server), ["MAX_STREAM_DATA"]);
}

#[test]
fn a_full_stream_window_is_seen_at_once_and_said_when_all_was_sent() {
    let mut client = client();
    let id = client.open(Dir::Uni).expect("credit");
    let window = LIMITS.stream_receive_window as usize;
    assert_eq!(write(&mut client, id, &vec![0; window + 1]), window);
    assert_eq!(client.send(id).map(|mut s| s.write(b"x")), Some(Err(WriteError::Blocked)));
    let kinds = said(&mut client);
    assert_eq!(kinds.iter().filter(|kind| *kind != "STREAM").collect::<Vec<_>>(), ["STREAM_DATA_BLOCKED"]);
    assert_eq!(events(&mut client), []);
    assert_eq!(client.on_max_stream_data(&frame::MaxStreamData { id, limit: window as u64 }), Ok(()));
    assert_eq!(events(&mut client), []);
    assert_eq!(client.on_max_stream_data(&frame::MaxStreamData { id, limit: window as u64 + 5 }), Ok(()));
    assert_eq!(events(&mut client), [StreamEvent::Writable { id }]);
    assert_eq!(write(&mut client, id, b"123456789"), 5);
}

#[test]
fn a_full_connection_window_is_said_and_all_who_wait_are_woken() {
    let theirs = StreamLimits { receive_window: 1000, ..LIMITS };
    let mut client = streams(Side::Client, LIMITS, theirs);
    let ids = [0, 1].map(|index| bidi(Side::Client, index));
    assert_eq!([client.open(Dir::Bi), client.open(Dir::Bi)], ids.map(Some));
    assert_eq!(write(&mut client, ids[0], &[0; 1500]), 1000);
    assert_eq!(client.send(ids[1]).map(|mut s| s.write(b"x")), Some(Err(WriteError::Blocked)));
    assert_eq!(said(&mut client), ["STREAM", "DATA_BLOCKED"]);
    assert_eq!(client.on_max_data(&frame::MaxData { limit: 2000 }), Ok(()));
    assert_eq!(events(&mut client), ids.map(|id| StreamEvent::Writable { id }));
    assert_eq!(said(&mut client), Vec::<String>::new());
}

#[test]
fn the_send_buffer_frees_as_it_is_acknowledged_and_wakes_late() {
    let ours = StreamLimits { send_buffer: 80_000, ..LIMITS };
    let mut client = streams(Side::Client, ours, LIMITS);
    let id = client.open(Dir::Uni).expect("credit");
    assert_eq!(write(&mut client, id, &[0; 100_000]), 80_000);
    let mut flight: Vec<_> = std::iter::from_fn(|| send(&mut client, 1200)).collect();
    flight.drain(..8).for_each(|sent| ack(&mut client, &sent));
    assert_eq!(events(&mut client), []);
    flight.drain(..1).for_each(|sent| ack(&mut client, &sent));
    assert_eq!(events(&mut client), [StreamEvent::Writable { id }]);
}

#[test]
fn a_reset_returns_credit_for_what_was_never_sent() {
    let mut client = client();
    let id = client.open(Dir::Uni).expect("credit");
    write(&mut client, id, &[0; 50_000]);
    let sent = send(&mut client, 1200).expect("data");
    assert_eq!(client.send(id).map(|mut s| s.reset(number(0))), Some(Ok(())));
    let Some(Record::Stream { len, .. }) = sent.records.first().copied() else { panic!("STREAM was sent") };
    assert_eq!(client.shared.room(), LIMITS.receive_window - u64::from(len));
    assert_eq!(client.shared.limits.credit().used(), u64::from(len));
}

#[test]
fn a_stream_beyond_the_limit_waits_for_max_streams() {
    let theirs = StreamLimits { max_bidi: 1, ..LIMITS };
    let mut client = streams(Side::Client, LIMITS, theirs);
    assert_eq!(client.open(Dir::Bi), Some(bidi(Side::Client, 0)));
    assert_eq!((client.open(Dir::Bi), client.open(Dir::Bi)), (None, None));
    assert_eq!(said(&mut client), ["STREAMS_BLOCKED"]);
    assert_eq!(client.on_max_streams(&frame::MaxStreams { dir: Dir::Bi, limit: 1 }), Ok(()));
    assert_eq!(events(&mut client), []);
    assert_eq!(client.on_max_streams(&frame::MaxStreams { dir: Dir::Bi, limit: 2 }), Ok(()));
    assert_eq!(events(&mut client), [StreamEvent::Available { dir: Dir::Bi }]);
    assert_eq!(client.open(Dir::Bi), Some(bidi(Side::Client, 1)));
}

#[test]
fn a_peer_that_opens_and_resets_streams_without_acknowledging_is_held() {
    let mut server = server();
    let mut opened = 0;
    loop {
        let id = uni(Side::Client, opened);
        if server.on_reset_stream(&frame::ResetStream { id, code: 0, final_size: 0 }).is_err() {
            break;
        }
        opened += 1;
        while server.accept(Dir::Uni).is_some() {}
        events(&mut server);
        said(&mut server);
    }
    assert!((288..300).contains(&opened), "{opened} streams");
    assert!(server.slots.is_empty());
}

#[test]
fn a_thousand_short_streams_in_a_row_are_never_held() {
    let (mut client, mut server) = (client(), server());
    for index in 0..1000 {
        let id = client.open(Dir::Uni);
        assert_eq!(id, Some(uni(Side::Client, index)));
        let id = uni(Side::Client, index);
        write(&mut client, id, &[7; 1024]);
        finish(&mut client, id);
        carry(&mut client, &mut server);
        assert_eq!(server.accept(Dir::Uni), Some(id));
        assert_eq!(read(&mut server, id), (vec![7; 1024], true));
        events(&mut server);
        events(&mut client);
        carry(&mut server, &mut client);
    }
    assert!(client.slots.is_empty() && server.slots.is_empty());
}

/// One byte in every second place, on as many streams as permitted, until it is refused.
fn tiny_fragments(server: &mut Streams, streams: u64) -> (u64, Option<Code>) {
    let mut taken = 0;
    for place in 0..LIMITS.stream_receive_window / 2 {
        for index in 0..streams {
            if let Err(error) = server.on_stream(&data(uni(Side::Client, index), 2 * place + 1, b"x", false))
            {
                return (taken, Some(error.code));
            }
            taken += 1;
        }
    }
    (taken, None)
}

#[test]
fn tiny_fragments_on_one_stream_meet_its_bound() {
    let (taken, code) = tiny_fragments(&mut server(), 1);
    assert_eq!((taken, code), (LIMITS.stream_receive_window / 512, Some(Code::INTERNAL_ERROR)));
}

#[test]
fn tiny_fragments_on_many_streams_meet_the_bound_of_the_connection() {
    let mut server = server();
    let (taken, code) = tiny_fragments(&mut server, 100);
    assert_eq!((taken, code), (100 * 64 + LIMITS.receive_window / 512, Some(Code::INTERNAL_ERROR)));
}

#[test]
fn what_is_held_is_bounded_by_the_window_and_a_block_a_stream() {
    let mut server = server();
    // One byte where a block begins, as often as the connection's window permits.
    let places = (0..).flat_map(|place| (0..100).map(move |index| (index, place * 16_384 + 2048)));
    for (index, offset) in places {
        if server.on_stream(&data(uni(Side::Client, index), offset, b"x", false)).is_err() {
            break;
        }
    }
    let halves = server.slots.iter().filter_map(|(_, stream)| stream.recv.as_ref());
    let held: usize = halves.map(RecvHalf::held).sum();
    assert!(held as u64 <= LIMITS.receive_window + 100 * 16_384, "{held} bytes");
}

#[test]
fn a_slow_reader_of_an_honest_transfer_with_a_loss_is_not_punished() {
    let limits = StreamLimits { receive_window: 4 << 20, stream_receive_window: 4 << 20, ..LIMITS };
    let mut server = streams(Side::Server, limits, LIMITS);
    let id = uni(Side::Client, 0);
    for piece in 1..3000 {
        assert_eq!(server.on_stream(&data(id, piece * 1200, &[1; 1200], false)), Ok(()));
    }
    assert_eq!(server.on_stream(&data(id, 0, &[1; 1200], false)), Ok(()));
    server.accept(Dir::Uni);
    assert_eq!(read(&mut server, id).0.len(), 3000 * 1200);
}

#[test]
fn repeated_frames_make_no_list_grow() {
    let mut server = server();
    let id = server.open(Dir::Bi).expect("credit");
    for limit in 0..10_000 {
        assert_eq!(server.on_stop_sending(&frame::StopSending { id, code: limit }), Ok(()));
        assert_eq!(server.on_max_stream_data(&frame::MaxStreamData { id, limit }), Ok(()));
        assert_eq!(server.on_stream(&data(id, 0, b"x", false)), Ok(()));
    }
    assert!(
        server.control.len() <= 1 && server.events.streams.len() <= 1 && server.events.waiting.is_empty()
    );
    assert_eq!(
        events(&mut server),
        [StreamEvent::Readable { id }, StreamEvent::Stopped { id, code: number(0) }]
    );
}
