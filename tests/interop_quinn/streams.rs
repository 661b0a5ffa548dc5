//! Streams: everything that was said is heard, more of them than are permitted at once, and broken off.

use peregrine::{ConnectionEvent, Dir, Event, StreamEvent};
use quinn::{Connection, ConnectionError, Endpoint};

use crate::foreign::exchange;
use crate::load::{Exchange, Load};
use crate::pair::{DONE, no_talk, with_quinn_client, with_quinn_server};

async fn exchanges_everything(_: Endpoint, connection: Connection) -> ConnectionError {
    exchange(&connection, Load::FULL).await;
    connection.closed().await
}

#[test]
fn our_client_and_a_quinn_server_exchange_everything() {
    let mut pair = with_quinn_server(exchanges_everything);
    Exchange::run(&mut pair.host, pair.handle, Load::FULL, no_talk);
    pair.close();
}

#[test]
fn our_server_and_a_quinn_client_exchange_everything() {
    let mut pair = with_quinn_client(exchanges_everything);
    Exchange::run(&mut pair.host, pair.handle, Load::FULL, no_talk);
    pair.close();
}

#[test]
fn streams_beyond_the_first_hundred_are_permitted_as_others_end() {
    const MANY: Load = Load { streams: 1000, bytes: 1_000_000 };
    async fn exchanges_many(_: Endpoint, connection: Connection) -> ConnectionError {
        exchange(&connection, MANY).await;
        connection.closed().await
    }
    for mut pair in [with_quinn_server(exchanges_many), with_quinn_client(exchanges_many)] {
        Exchange::run(&mut pair.host, pair.handle, MANY, no_talk);
        pair.close();
    }
}

#[test]
fn quinn_stops_and_resets_a_stream() {
    let (code, _) = DONE;
    let stops = move |_, connection: Connection| async move {
        let (mut send, mut recv) = connection.accept_bi().await.expect("we open one");
        recv.stop(code.into()).expect("the stream is open");
        send.reset(code.into()).expect("the stream is open");
        connection.closed().await
    };
    for mut pair in [with_quinn_server(stops), with_quinn_client(stops)] {
        let stream = pair.host.connection(pair.handle).open(Dir::Bi).expect("quinn permits 100 streams");
        pair.host
            .connection(pair.handle)
            .send(stream)
            .expect("a new stream")
            .write(b"hello")
            .expect("there is room");
        let mut missing = vec![
            StreamEvent::Stopped { id: stream, code: code.into() },
            StreamEvent::Reset { id: stream, code: code.into() },
        ];
        pair.host.await_event("both directions end", |_, event| {
            missing.retain(|one| *event != Event::Connection(pair.handle, ConnectionEvent::Stream(*one)));
            missing.is_empty().then_some(())
        });
        pair.close();
    }
}

#[test]
fn our_stop_and_our_reset_reach_quinn() {
    let (code, _) = DONE;
    let is_stopped = move |_, connection: Connection| async move {
        let (mut send, mut recv) = connection.open_bi().await.expect("we permit 100 streams");
        send.write_all(b"hello").await.expect("there is room");
        assert_eq!(send.stopped().await, Ok(Some(code.into())));
        let heard = recv.read_to_end(100).await;
        assert_eq!(heard, Err(quinn::ReadToEndError::Read(quinn::ReadError::Reset(code.into()))));
        let mut seen = connection.open_uni().await.expect("we permit 100 streams");
        seen.write_all(b"seen").await.expect("there is room");
        connection.closed().await
    };
    for mut pair in [with_quinn_server(is_stopped), with_quinn_client(is_stopped)] {
        let stream = pair
            .host
            .await_event("quinn opens a stream", |host, _| host.connection(pair.handle).accept(Dir::Bi));
        let connection = pair.host.connection(pair.handle);
        connection.recv(stream).expect("a new stream").stop(code.into()).expect("the stream is open");
        connection.send(stream).expect("a new stream").reset(code.into()).expect("the stream is open");
        pair.host.await_event("quinn has seen both and says so", |host, _| {
            host.connection(pair.handle).accept(Dir::Uni)
        });
        pair.close();
    }
}
