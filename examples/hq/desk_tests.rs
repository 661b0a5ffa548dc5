//! The desk against clients that no honest program is: both ends in memory, in a time of their own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use peregrine::{
    Arrival, ClientConfig, Connection, ConnectionEvent, ConnectionHandle, Dir, Endpoint, EndpointConfig,
    Event, FourTuple, Instant, Local, Output, ReadError, ServerConfig, SocketKey, StreamEvent, StreamId,
    SystemRng, TransportConfig, VarInt,
};

use crate::desk::Desk;
use crate::folder::Folder;
use crate::request::Fault;
use crate::root::Root;
use crate::tls::{self, Identity, Trust};

/// Two ends with nothing between them.
struct Pair {
    now: Instant,
    client: Endpoint,
    handle: ConnectionHandle,
    server: Endpoint,
    desk: Desk,
    /// Streams that the server has abandoned, and why.
    abandoned: BTreeMap<StreamId, VarInt>,
    _folder: Folder,
}

fn path(remote: u16) -> FourTuple {
    FourTuple { local: Local { socket: SocketKey(0), ip: None }, remote: ([127, 0, 0, 1], remote).into() }
}

impl Pair {
    /// A client that takes at most `window` bytes which it has not read, of a desk with a file of `len` bytes.
    fn new(len: usize, window: u64) -> Self {
        let folder = Folder::new();
        folder.write("www/file", &vec![7; len]);
        let authority = folder.path().join("ca.pem");
        let identity = Identity::make(&authority).expect("a certificate can be made");
        let server = tls::server(identity, None, None).expect("it can be used");
        let server = EndpointConfig::server(Arc::new(ServerConfig::new(server)));
        let trust = Trust::Authorities { file: authority, above: None };
        let transport =
            TransportConfig::builder().stream_receive_window(window).keep_alive(Some(Duration::from_secs(5)));
        let config = ClientConfig::new(tls::client(&trust, None, None).expect("it can be used"))
            .transport(Arc::new(transport.build().expect("settings that can be")));
        let mut client = Endpoint::new(EndpointConfig::client(), Box::new(SystemRng::default()));
        let handle = client.connect(Instant::ZERO, path(443), Arc::new(config), "localhost").expect("a name");
        let desk = Desk::new(Root::new(&folder.path().join("www")).expect("it is there"));
        let server = Endpoint::new(server, Box::new(SystemRng::default()));
        let mut pair = Self {
            now: Instant::ZERO,
            client,
            handle,
            server,
            desk,
            abandoned: BTreeMap::new(),
            _folder: folder,
        };
        pair.run(Duration::from_secs(1));
        assert!(pair.connection().is_established());
        pair
    }

    fn connection(&mut self) -> &mut Connection {
        self.client.connection_mut(self.handle).expect("it is open")
    }

    /// Lets both ends speak for so long.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            while self.carry() {}
            self.now += Duration::from_millis(10);
            self.client.handle_timeout(self.now);
            self.server.handle_timeout(self.now);
            self.desk.clean(self.now, &mut self.server);
        }
    }

    /// Carries what both ends have to say; whether there was anything.
    fn carry(&mut self) -> bool {
        let (now, mut buffer, mut any) = (self.now, vec![0; 64 << 10], false);
        loop {
            match self.client.poll(now, &mut buffer) {
                Output::Transmit(transmit) => {
                    any = true;
                    for datagram in transmit.datagrams(&buffer) {
                        self.server.handle_datagrams(
                            now,
                            Arrival::single(path(5000)),
                            &mut datagram.to_vec(),
                        );
                    }
                }
                Output::Event(Event::Connection(
                    _,
                    ConnectionEvent::Stream(StreamEvent::Reset { id, code }),
                )) => {
                    self.abandoned.insert(id, code);
                }
                Output::Event(_) => {}
                Output::Idle { .. } | Output::TooSmall => break,
            }
        }
        loop {
            match self.server.poll(now, &mut buffer) {
                Output::Transmit(transmit) => {
                    any = true;
                    for datagram in transmit.datagrams(&buffer) {
                        self.client.handle_datagrams(now, Arrival::single(path(443)), &mut datagram.to_vec());
                    }
                }
                Output::Event(event) => self.on_event(&event),
                Output::Idle { .. } | Output::TooSmall => return any,
            }
        }
    }

    fn on_event(&mut self, event: &Event) {
        self.desk.on_event(self.now, &mut self.server, event);
    }

    /// Opens a stream and says this on it, and no more.
    fn say(&mut self, what: &[u8]) -> StreamId {
        let id = self.connection().open(Dir::Bi).expect("a stream is permitted");
        self.go_on(id, what);
        id
    }

    fn go_on(&mut self, id: StreamId, what: &[u8]) {
        let taken = self.connection().send(id).expect("it is open").write(what);
        assert_eq!(taken, Ok(what.len()));
        self.run(Duration::from_millis(50));
    }

    /// Reads what has come: how much, and what the stream says then.
    fn hear(&mut self, id: StreamId) -> (usize, Result<(), ReadError>) {
        if let Some(code) = self.abandoned.get(&id) {
            return (0, Err(ReadError::Reset(*code)));
        }
        let (mut heard, mut buffer) = (0, [0; 4096]);
        let Some(mut stream) = self.connection().recv(id) else { return (0, Err(ReadError::Closed)) };
        loop {
            match stream.read(&mut buffer) {
                Ok(Some(len)) => heard += len,
                Ok(None) => return (heard, Ok(())),
                Err(error) => return (heard, Err(error)),
            }
        }
    }
}

fn reset_with(fault: Fault) -> (usize, Result<(), ReadError>) {
    (0, Err(ReadError::Reset(fault.code())))
}

#[test]
fn a_request_is_answered_before_its_stream_has_ended() {
    let mut pair = Pair::new(1000, 1 << 20);
    let id = pair.say(b"GET /file\r\n");
    assert_eq!(pair.hear(id), (1000, Ok(())));
}

#[test]
fn a_request_without_an_end_is_given_up_in_time() {
    let mut pair = Pair::new(1000, 1 << 20);
    let id = pair.say(b"GET /fi");
    pair.run(Duration::from_secs(28));
    assert_eq!(pair.hear(id), (0, Err(ReadError::Blocked)));
    pair.run(Duration::from_secs(4));
    assert_eq!(pair.hear(id), reset_with(Fault::TooSlow));
}

#[test]
fn a_request_that_is_too_long_is_refused_whatever_follows() {
    let mut pair = Pair::new(1000, 1 << 20);
    let id = pair.say(&[b"GET /".as_slice(), &[b'a'; 5000]].concat());
    assert_eq!(pair.hear(id), reset_with(Fault::BadRequest));
    let id = pair.say(&[b"GET /file\r\n".as_slice(), &[b'a'; 5000]].concat());
    assert_eq!(pair.hear(id).1, Err(ReadError::Reset(Fault::BadRequest.code())));
}

#[test]
fn a_request_can_come_byte_by_byte() {
    let mut pair = Pair::new(1000, 1 << 20);
    let id = pair.say(b"G");
    b"ET /file\r\n".iter().for_each(|byte| pair.go_on(id, &[*byte]));
    assert_eq!(pair.hear(id), (1000, Ok(())));
}

#[test]
fn what_is_not_served_is_refused_with_its_reason() {
    let mut pair = Pair::new(1000, 1 << 20);
    for request in
        ["GET /nothing\r\n", "GET /../ca.pem\r\n", "GET /%2e%2e/ca.pem\r\n", "GET //etc/hostname\r\n"]
    {
        let id = pair.say(request.as_bytes());
        assert_eq!(pair.hear(id), reset_with(Fault::NotFound), "{request}");
    }
    let id = pair.say(b"PUT /file\r\n");
    assert_eq!(pair.hear(id), reset_with(Fault::BadRequest));
}

#[test]
fn a_client_that_reads_slowly_is_served_and_one_that_never_reads_is_not() {
    let mut pair = Pair::new(10_000_000, 100_000);
    let (slow, stuck) = (pair.say(b"GET /file\r\n"), pair.say(b"GET /file\r\n"));
    let mut heard = 0;
    for _ in 0..8 {
        pair.run(Duration::from_secs(5));
        heard += pair.hear(slow).0;
    }
    // The kept-alive connection has long been open for more than the desk's patience.
    assert_eq!(heard, 8 * 100_000);
    assert_eq!(pair.hear(stuck), reset_with(Fault::TooSlow));
}

#[test]
fn a_client_may_stop_an_answer_or_abandon_a_request() {
    let mut pair = Pair::new(10_000_000, 100_000);
    let (stopped, abandoned) = (pair.say(b"GET /file\r\n"), pair.say(b"GET /fi"));
    let code = VarInt::from_u32(7);
    pair.connection().recv(stopped).expect("it is open").stop(code).expect("it can be stopped");
    pair.connection().send(abandoned).expect("it is open").reset(code).expect("it can be reset");
    pair.run(Duration::from_millis(100));
    assert_eq!(pair.desk.open(), 0);
    let id = pair.say(b"GET /file\r\n");
    assert!(pair.hear(id).0 > 0, "others are served all the same");
}
