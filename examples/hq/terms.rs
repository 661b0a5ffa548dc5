//! What a server grants its clients: how much of what may wait, and for how long.

use std::time::Duration;

use peregrine::{TransportConfig, TransportConfigBuilder};

/// Connections at a time; each holds at most its windows and send buffer.
pub const CONNECTIONS: usize = 1000;
/// Bytes that wait for a client, on all of its streams together.
const SEND_BUFFER: u64 = 2 << 20;
/// Streams a client may have open at a time; the runner wants at most 1000.
const STREAMS: u64 = 100;
/// Bytes of requests that may wait for us, on one stream and on all of them.
const WINDOWS: (u64, u64) = (8 << 10, 256 << 10);
/// How long a handshake may take: the runner has links that lose a third of all datagrams.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// The transport of a server that hands out files.
pub fn transport() -> TransportConfigBuilder {
    let (stream_window, window) = WINDOWS;
    TransportConfig::builder()
        .send_buffer(SEND_BUFFER)
        .max_bidi_streams(STREAMS)
        .max_uni_streams(0)
        .stream_receive_window(stream_window)
        .receive_window(window)
        .handshake_timeout(HANDSHAKE)
}
