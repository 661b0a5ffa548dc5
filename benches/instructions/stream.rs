//! Short exchanges on one connection: 1 KiB each way on a bidirectional stream of its own, 100 at a time.

use bytes::Bytes;
use peregrine::{
    Connection, ConnectionEvent, ConnectionHandle, Dir, Endpoint, ReadError, StreamEvent, StreamId,
};

use super::pair::{Link, Pair};

/// Exchanges that begin together, and how often they do.
const AT_A_TIME: usize = 100;
const ROUNDS: usize = 40;

/// A request, and a response.
static MESSAGE: [u8; 1024] = [0x5a; 1024];

/// Bytes and ends that came to one side.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Received {
    bytes: usize,
    ends: usize,
}

impl Received {
    /// Reads all there is. Returns whether the stream has come to its end.
    fn read(&mut self, connection: &mut Connection, stream: StreamId) -> bool {
        let Some(mut stream) = connection.recv(stream) else { return false };
        loop {
            match stream.chunk() {
                Ok(Some(chunk)) => {
                    let len = chunk.len();
                    std::hint::black_box((chunk.first(), chunk.last()));
                    self.bytes += len;
                    stream.consume(len);
                }
                Ok(None) => {
                    self.ends += 1;
                    return true;
                }
                Err(ReadError::Blocked | ReadError::Closed) => return false,
                Err(error) => panic!("the stream broke: {error}"),
            }
        }
    }
}

/// Makes all exchanges, and returns how many there were.
pub fn run() -> u64 {
    let mut pair = Pair::new(None);
    let link = pair.connect();
    for _ in 0..ROUNDS {
        exchange(&mut pair, link);
    }
    for (end, handle) in [(&pair.client, link.client), (&pair.server, link.server)] {
        let stats = end.endpoint.connection(handle).expect("the connection lives").stats();
        assert_eq!((stats.packets_lost, stats.probe_timeouts), (0, 0), "nothing is lost, nothing is late");
    }
    (ROUNDS * AT_A_TIME) as u64
}

/// The client asks on new streams, and reads until every one is answered.
#[inline(never)]
pub fn exchange(pair: &mut Pair, link: Link) {
    let connection = pair.client.endpoint.connection_mut(link.client).expect("the connection lives");
    for _ in 0..AT_A_TIME {
        let stream = connection.open(Dir::Bi).expect("more streams are permitted than begin together");
        say(connection, stream);
    }
    let (mut answers, mut requests) = (Received::default(), Received::default());
    while answers.ends < AT_A_TIME {
        let has_spoken = pair.turn(
            |client, handle, event| {
                if let ConnectionEvent::Stream(StreamEvent::Readable { id }) = event {
                    answers.read(connection_of(client, handle), id);
                }
            },
            |server, handle, event| match event {
                ConnectionEvent::Stream(StreamEvent::Opened { dir }) => {
                    let connection = connection_of(server, handle);
                    while let Some(stream) = connection.accept(dir) {
                        answer(&mut requests, connection, stream);
                    }
                }
                ConnectionEvent::Stream(StreamEvent::Readable { id }) => {
                    answer(&mut requests, connection_of(server, handle), id);
                }
                _ => {} // nothing else concerns a server that answers
            },
        );
        // The last answer may leave its reader with nothing to say.
        let missing = AT_A_TIME - answers.ends;
        assert!(has_spoken || missing == 0, "nobody waits while {missing} answers are missing");
    }
    let all = Received { bytes: AT_A_TIME * MESSAGE.len(), ends: AT_A_TIME };
    assert_eq!([answers, requests], [all; 2], "all bytes arrive");
}

fn connection_of(endpoint: &mut Endpoint, handle: ConnectionHandle) -> &mut Connection {
    endpoint.connection_mut(handle).expect("it has just spoken")
}

/// Reads a request, and answers when it is complete.
fn answer(requests: &mut Received, connection: &mut Connection, stream: StreamId) {
    if requests.read(connection, stream) {
        say(connection, stream);
    }
}

/// Writes a message and ends the stream.
fn say(connection: &mut Connection, stream: StreamId) {
    let mut stream = connection.send(stream).expect("the stream is open");
    let written = stream.write_chunk(&mut Bytes::from_static(&MESSAGE));
    assert_eq!(written, Ok(MESSAGE.len()), "a short message fits");
    stream.finish().expect("it ends once");
}
