//! The state machines of RFC 9000, Section 3, transition by transition.

use super::*;
use crate::error::{ReadError, WriteError};

#[test]
fn data_and_end_make_the_round_trip_and_leave_nothing() {
    let (mut client, mut server) = (client(), server());
    let id = client.open(Dir::Bi).expect("credit");
    assert_eq!(write(&mut client, id, b"ping"), 4);
    finish(&mut client, id);
    assert_eq!(carry(&mut client, &mut server), 1);
    assert_eq!(events(&mut client), [StreamEvent::Finished { id }]);
    assert_eq!(events(&mut server), [StreamEvent::Opened { dir: Dir::Bi }]);
    assert_eq!((server.accept(Dir::Bi), server.accept(Dir::Bi)), (Some(id), None));
    assert_eq!(events(&mut server), [StreamEvent::Readable { id }]);
    assert_eq!(read(&mut server, id), (b"ping".to_vec(), true));
    assert!(server.recv(id).is_none());
    write(&mut server, id, b"pong");
    finish(&mut server, id);
    carry(&mut server, &mut client);
    assert_eq!(events(&mut server), [StreamEvent::Finished { id }]);
    assert_eq!(events(&mut client), [StreamEvent::Readable { id }]);
    assert_eq!(read(&mut client, id), (b"pong".to_vec(), true));
    assert!(events(&mut client).is_empty() && events(&mut server).is_empty());
    for streams in [&client, &server] {
        assert!(streams.slots.is_empty() && streams.table(id).slot(0).is_none());
        assert!(!streams.is_receiving() && !streams.has_data_to_send());
    }
}

#[test]
fn a_lone_fin_ends_an_empty_stream() {
    let (mut client, mut server) = (client(), server());
    let id = client.open(Dir::Uni).expect("credit");
    finish(&mut client, id);
    assert_eq!(client.send(id).map(|mut s| s.write(b"more")), Some(Err(WriteError::Closed)));
    assert_eq!(client.send(id).map(|mut s| s.finish()), Some(Err(WriteError::Closed)));
    carry(&mut client, &mut server);
    assert_eq!(server.accept(Dir::Uni), Some(id));
    assert_eq!(server.recv(id).map(|mut s| s.chunk() == Ok(None)), Some(true));
}

#[test]
fn the_half_is_over_only_when_data_and_end_are_acknowledged() {
    let mut client = client();
    let id = client.open(Dir::Uni).expect("credit");
    write(&mut client, id, b"data");
    let first = send(&mut client, 1200).expect("data");
    finish(&mut client, id);
    let second = send(&mut client, 1200).expect("the end");
    ack(&mut client, &second);
    assert_eq!(events(&mut client), []);
    ack(&mut client, &first);
    assert_eq!(events(&mut client), [StreamEvent::Finished { id }]);
    assert!(client.send(id).is_none());
}

#[test]
fn a_lost_end_is_said_again_and_an_acknowledged_one_is_not() {
    let mut client = client();
    let id = client.open(Dir::Uni).expect("credit");
    write(&mut client, id, b"data");
    finish(&mut client, id);
    let first = send(&mut client, 1200).expect("data");
    lose(&mut client, &first);
    let second = send(&mut client, 1200).expect("data again");
    assert_eq!(second.payload, first.payload);
    ack(&mut client, &first);
    lose(&mut client, &second);
    assert!(send(&mut client, 1200).is_none());
}

#[test]
fn a_reset_stream_is_told_once_and_forgotten() {
    let (mut client, mut server) = (client(), server());
    let id = client.open(Dir::Uni).expect("credit");
    write(&mut client, id, &[1; 5000]);
    let first = send(&mut client, 1200).expect("data");
    receive(&mut server, &first.payload).expect("honest");
    assert_eq!(client.send(id).map(|mut s| s.reset(number(7))), Some(Ok(())));
    assert_eq!(client.send(id).map(|mut s| s.reset(number(8))), Some(Err(WriteError::Closed)));
    carry(&mut client, &mut server);
    assert_eq!(server.accept(Dir::Uni), Some(id));
    assert_eq!(events(&mut server), [StreamEvent::Reset { id, code: number(7) }]);
    assert!(server.recv(id).is_none() && server.slots.is_empty());
    lose(&mut client, &first);
    assert!(send(&mut client, 1200).is_none() && client.slots.is_empty());
}

#[test]
fn a_reset_that_was_read_is_not_told_again() {
    let mut server = server();
    let id = uni(Side::Client, 0);
    let reset = frame::ResetStream { id, code: 3, final_size: 10 };
    assert_eq!(server.on_reset_stream(&reset), Ok(()));
    server.accept(Dir::Uni);
    assert_eq!(server.recv(id).map(|mut s| s.read(&mut [0; 4])), Some(Err(ReadError::Reset(number(3)))));
    assert_eq!(events(&mut server), []);
    assert_eq!(server.on_reset_stream(&reset), Ok(()));
    assert!(server.slots.is_empty());
}

#[test]
fn a_reset_after_everything_arrived_is_withheld() {
    let mut server = server();
    let id = uni(Side::Client, 0);
    assert_eq!(server.on_stream(&data(id, 0, b"all", true)), Ok(()));
    assert_eq!(server.on_reset_stream(&frame::ResetStream { id, code: 3, final_size: 3 }), Ok(()));
    server.accept(Dir::Uni);
    assert_eq!(read(&mut server, id), (b"all".to_vec(), true));
}

#[test]
fn a_stopped_sender_resets_with_the_code_it_was_given() {
    let (mut client, mut server) = (client(), server());
    let id = client.open(Dir::Bi).expect("credit");
    write(&mut client, id, b"unwanted");
    carry(&mut client, &mut server);
    server.accept(Dir::Bi);
    assert_eq!(server.recv(id).map(|mut s| s.stop(number(9))), Some(Ok(())));
    assert_eq!(server.recv(id).map(|mut s| s.stop(number(9))), Some(Err(ReadError::Closed)));
    carry(&mut server, &mut client);
    assert_eq!(client.send(id).map(|mut s| s.write(b"x")), Some(Err(WriteError::Stopped(number(9)))));
    assert_eq!(client.send(id).map(|mut s| s.reset(number(1))), Some(Ok(())));
    assert_eq!(events(&mut client), [StreamEvent::Stopped { id, code: number(9) }]);
    assert_eq!(said(&mut client), ["RESET_STREAM"]);
    let reset = frame::ResetStream { id, code: 9, final_size: 8 };
    assert_eq!(server.on_reset_stream(&reset), Ok(()));
    assert!(server.recv(id).is_none());
    assert_eq!(events(&mut server), []);
}

#[test]
fn stopping_what_was_received_whole_says_nothing() {
    let mut server = server();
    let id = uni(Side::Client, 0);
    assert_eq!(server.on_stream(&data(id, 0, b"whole", true)), Ok(()));
    server.accept(Dir::Uni);
    assert_eq!(server.recv(id).map(|mut s| s.stop(number(1))), Some(Ok(())));
    assert_eq!(said(&mut server), Vec::<String>::new());
    assert!(events(&mut server).is_empty() && server.slots.is_empty());
}

#[test]
fn a_stopped_receiver_that_knows_the_size_waits_for_its_request_alone() {
    let mut server = server();
    let id = uni(Side::Client, 0);
    assert_eq!(server.on_stream(&data(id, 5, b"tail", true)), Ok(()));
    server.accept(Dir::Uni);
    assert_eq!(server.recv(id).map(|mut s| s.stop(number(1))), Some(Ok(())));
    let sent = send(&mut server, 1200).expect("STOP_SENDING");
    lose(&mut server, &sent);
    let sent = send(&mut server, 1200).expect("STOP_SENDING again");
    ack(&mut server, &sent);
    assert!(server.slots.is_empty());
    assert_eq!(server.on_stream(&data(id, 0, b"head", false)), Ok(()));
}

#[test]
fn stop_sending_and_data_and_reset_in_one_packet_are_three_plain_facts() {
    let mut server = server();
    let id = bidi(Side::Client, 0);
    assert_eq!(server.on_stop_sending(&frame::StopSending { id, code: 5 }), Ok(()));
    assert_eq!(server.on_stream(&data(id, 0, b"x", true)), Ok(()));
    assert_eq!(server.on_reset_stream(&frame::ResetStream { id, code: 6, final_size: 1 }), Ok(()));
    assert_eq!(server.accept(Dir::Bi), Some(id));
    assert_eq!(
        events(&mut server),
        [StreamEvent::Readable { id }, StreamEvent::Stopped { id, code: number(5) }]
    );
    assert_eq!(server.send(id).map(|mut s| s.write(b"y")), Some(Err(WriteError::Stopped(number(5)))));
    assert_eq!(read(&mut server, id), (b"x".to_vec(), true));
}

#[test]
fn a_higher_stream_opens_the_lower_ones_in_order() {
    let mut server = server();
    assert_eq!(server.on_stream(&data(uni(Side::Client, 2), 0, b"c", false)), Ok(()));
    assert_eq!(server.slots.len(), 1);
    assert_eq!(events(&mut server), [StreamEvent::Opened { dir: Dir::Uni }]);
    let accepted: Vec<_> = std::iter::from_fn(|| server.accept(Dir::Uni)).collect();
    assert_eq!(accepted, [0, 1, 2].map(|index| uni(Side::Client, index)));
    assert_eq!(server.recv(accepted[0]).map(|mut s| s.read(&mut [0; 1])), Some(Err(ReadError::Blocked)));
    assert_eq!(server.on_stream(&data(accepted[0], 0, b"a", false)), Ok(()));
    assert_eq!(
        events(&mut server),
        [StreamEvent::Readable { id: accepted[2] }, StreamEvent::Readable { id: accepted[0] }]
    );
}

#[test]
fn every_frame_that_may_name_an_unopened_stream_opens_it() {
    let id = bidi(Side::Client, 0);
    let open = [
        |s: &mut Streams, id| s.on_stream(&data(id, 0, b"", false)),
        |s: &mut Streams, id| s.on_reset_stream(&frame::ResetStream { id, code: 0, final_size: 0 }),
        |s: &mut Streams, id| s.on_stop_sending(&frame::StopSending { id, code: 0 }),
        |s: &mut Streams, id| s.on_max_stream_data(&frame::MaxStreamData { id, limit: 9 }),
        |s: &mut Streams, id| s.on_stream_data_blocked(&frame::StreamDataBlocked { id, limit: 9 }),
    ];
    for frame in open {
        let mut server = server();
        assert_eq!(frame(&mut server, id), Ok(()));
        assert_eq!(server.accept(Dir::Bi), Some(id));
        // And none of them opens one beyond the limit, or one that is ours.
        assert_eq!(code(frame(&mut server, bidi(Side::Client, 100))), Some(Code::STREAM_LIMIT_ERROR));
        assert_eq!(code(frame(&mut server, bidi(Side::Server, 0))), Some(Code::STREAM_STATE_ERROR));
    }
}

#[test]
fn a_frame_against_the_direction_of_a_stream_is_an_error() {
    let mut server = server();
    let ours = server.open(Dir::Uni).expect("credit");
    let theirs = uni(Side::Client, 0);
    let reset = frame::ResetStream { id: ours, code: 0, final_size: 0 };
    let stop = frame::StopSending { id: theirs, code: 0 };
    for result in [
        server.on_stream(&data(ours, 0, b"", false)),
        server.on_reset_stream(&reset),
        server.on_stream_data_blocked(&frame::StreamDataBlocked { id: ours, limit: 0 }),
        server.on_stop_sending(&stop),
        server.on_max_stream_data(&frame::MaxStreamData { id: theirs, limit: 0 }),
    ] {
        assert_eq!(code(result), Some(Code::STREAM_STATE_ERROR));
    }
}

#[test]
fn a_fault_names_the_frame_at_fault() {
    let mut server = server();
    let reset = frame::ResetStream { id: uni(Side::Client, 100), code: 0, final_size: 0 };
    assert_eq!(server.on_reset_stream(&reset).map_err(|e| e.frame), Err(0x04));
}

#[test]
fn a_reader_is_told_again_only_of_what_arrives_after_it_read() {
    let mut server = server();
    let id = uni(Side::Client, 0);
    assert_eq!(server.on_stream(&data(id, 0, b"abcd", false)), Ok(()));
    server.accept(Dir::Uni);
    assert_eq!(events(&mut server), [StreamEvent::Readable { id }]);
    assert_eq!(server.on_stream(&data(id, 4, b"ef", false)), Ok(()));
    assert_eq!(events(&mut server), []);
    assert_eq!(read(&mut server, id), (b"abcdef".to_vec(), false));
    assert_eq!(server.on_stream(&data(id, 8, b"i", false)), Ok(()));
    assert_eq!(events(&mut server), []);
    assert_eq!(server.on_stream(&data(id, 6, b"gh", false)), Ok(()));
    assert_eq!(events(&mut server), [StreamEvent::Readable { id }]);
}

#[test]
fn an_event_that_is_no_longer_true_is_not_told() {
    let mut server = server();
    let id = uni(Side::Client, 0);
    assert_eq!(server.on_stream(&data(id, 0, b"abcd", false)), Ok(()));
    server.accept(Dir::Uni);
    assert_eq!(read(&mut server, id), (b"abcd".to_vec(), false));
    assert_eq!(events(&mut server), []);
    assert_eq!(server.on_stream(&data(id, 4, b"e", false)), Ok(()));
    assert_eq!(events(&mut server), [StreamEvent::Readable { id }]);
}

#[test]
fn higher_priority_is_sent_first_and_equals_take_turns() {
    let mut client = client();
    let ids = [0, 1, 2].map(|index| uni(Side::Client, index));
    for id in ids {
        assert_eq!(client.open(Dir::Uni), Some(id));
        write(&mut client, id, &[0; 2500]);
    }
    client.send(ids[2]).expect("open").set_priority(1);
    let mut order = Vec::new();
    while let Some(sent) = send(&mut client, 1200) {
        for frame in Frames::new(&sent.payload) {
            let Ok(Frame::Stream(frame)) = frame else { panic!("only STREAM is due") };
            order.push(frame.id.index());
        }
    }
    order.dedup();
    assert_eq!(order, [2, 0, 1, 0, 1, 0, 1]);
}
