//! What both sides of a connection set for its transport.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::MIN_DATAGRAM;
use crate::error::ConfigError;
use crate::recovery::AckFrequency;
use crate::recovery::congestion::{Algorithm, Controller};
use crate::varint::VarInt;

/// What an Ethernet frame leaves for the UDP payload under IPv6.
const ETHERNET: u16 = 1452;

/// The largest datagram there is (RFC 9000, Section 18.2).
const MAX_DATAGRAM: u16 = 65_527;

/// What both sides of a connection set for its transport. Made by [`TransportConfig::builder`].
#[derive(Debug, Clone)]
pub struct TransportConfig {
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) keep_alive: Option<Duration>,
    pub(crate) handshake_timeout: Duration,
    pub(crate) receive_window: u64,
    pub(crate) stream_receive_window: u64,
    pub(crate) send_buffer: u64,
    pub(crate) max_bidi_streams: u64,
    pub(crate) max_uni_streams: u64,
    pub(crate) datagram_size: u16,
    pub(crate) mtu_discovery: Option<u16>,
    pub(crate) max_udp_payload_size: u16,
    pub(crate) burst: usize,
    pub(crate) initial_rtt: Duration,
    pub(crate) max_ack_delay: Duration,
    pub(crate) congestion: Congestion,
    pub(crate) initial_window: Option<u64>,
    pub(crate) pacing: bool,
    pub(crate) active_connection_ids: u64,
    pub(crate) datagram_receive_buffer: Option<usize>,
    pub(crate) datagram_send_buffer: usize,
    pub(crate) ecn: bool,
    pub(crate) min_ack_delay: Option<Duration>,
    pub(crate) ack_frequency: Option<AckFrequency>,
    pub(crate) key_update_after: u64,
    pub(crate) grease_quic_bit: bool,
    pub(crate) spin_bit: bool,
}

impl TransportConfig {
    /// Starts from the defaults.
    pub fn builder() -> TransportConfigBuilder {
        TransportConfigBuilder(Self {
            idle_timeout: Some(Duration::from_secs(30)),
            keep_alive: None,
            handshake_timeout: Duration::from_secs(10),
            receive_window: 16 << 20,
            stream_receive_window: 4 << 20,
            send_buffer: 8 << 20,
            max_bidi_streams: 100,
            max_uni_streams: 100,
            datagram_size: MIN_DATAGRAM,
            mtu_discovery: Some(ETHERNET),
            max_udp_payload_size: MAX_DATAGRAM,
            burst: 10,
            initial_rtt: Duration::from_millis(333),
            max_ack_delay: Duration::from_millis(25),
            congestion: Congestion::Known(Algorithm::Cubic),
            initial_window: None,
            pacing: true,
            active_connection_ids: 32,
            datagram_receive_buffer: None,
            datagram_send_buffer: 1 << 20,
            ecn: true,
            min_ack_delay: Some(Duration::from_millis(1)),
            ack_frequency: None,
            key_update_after: 1 << 22,
            grease_quic_bit: true,
            spin_bit: false,
        })
    }
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self::builder().0
    }
}

/// Makes the congestion controller of one path; the argument is the size of its datagrams in bytes.
pub type MakeController = Arc<dyn Fn(u16) -> Box<dyn Controller> + Send + Sync>;

/// Where a path's congestion controller comes from.
#[derive(Clone)]
pub(crate) enum Congestion {
    /// One of ours.
    Known(Algorithm),
    /// The embedder's.
    Own(MakeController),
}

impl fmt::Debug for Congestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(algorithm) => algorithm.fmt(f),
            Self::Own(_) => f.write_str("Own"),
        }
    }
}

/// Builds a [`TransportConfig`].
#[derive(Debug, Clone)]
pub struct TransportConfigBuilder(TransportConfig);

impl TransportConfigBuilder {
    /// Ends the connection after this time without a packet; `None`: never. Default 30 s. The smaller of both sides'
    /// values holds (RFC 9000, Section 10.1).
    pub fn idle_timeout(mut self, after: Option<Duration>) -> Self {
        self.0.idle_timeout = after;
        self
    }

    /// Sends a PING after this time without a packet; `None`, the default: never.
    pub fn keep_alive(mut self, after: Option<Duration>) -> Self {
        self.0.keep_alive = after;
        self
    }

    /// Gives a handshake up after this time. Default 10 s.
    pub fn handshake_timeout(mut self, after: Duration) -> Self {
        self.0.handshake_timeout = after;
        self
    }

    /// How many received bytes may wait for the application, on all streams together. Default 16 MiB.
    pub fn receive_window(mut self, bytes: u64) -> Self {
        self.0.receive_window = bytes;
        self
    }

    /// How many received bytes may wait for the application on one stream. Default 4 MiB.
    pub fn stream_receive_window(mut self, bytes: u64) -> Self {
        self.0.stream_receive_window = bytes;
        self
    }

    /// How many written bytes are kept until they are acknowledged, on all streams together. Default 8 MiB.
    pub fn send_buffer(mut self, bytes: u64) -> Self {
        self.0.send_buffer = bytes;
        self
    }

    /// How many bidirectional streams the peer may have open at a time. Default 100.
    pub fn max_bidi_streams(mut self, streams: u64) -> Self {
        self.0.max_bidi_streams = streams;
        self
    }

    /// How many unidirectional streams the peer may have open at a time. Default 100.
    pub fn max_uni_streams(mut self, streams: u64) -> Self {
        self.0.max_uni_streams = streams;
        self
    }

    /// Largest datagram to send before larger ones are known to arrive, in UDP payload bytes; the path must be known to
    /// carry it. Default 1200.
    pub fn datagram_size(mut self, bytes: u16) -> Self {
        self.0.datagram_size = bytes;
        self
    }

    /// Looks on each path for the largest datagram that it carries, up to so many bytes of UDP payload; `None`: every path
    /// is taken to carry [`datagram_size`](Self::datagram_size). Default 1452, what Ethernet carries of IPv6.
    ///
    /// Sizes are found by probes (RFC 8899): datagrams that are lost if they are too large, without harm to others. So
    /// sockets must not fragment: they set "don't fragment", and drop what the interface does not take. Buffers of
    /// [`Endpoint::poll`](crate::Endpoint::poll) should hold as many bytes; no larger datagram than they hold is tried.
    /// A path other than the first begins with 1200 bytes, and with what the path before it carried as its first probe.
    pub fn mtu_discovery(mut self, up_to: Option<u16>) -> Self {
        self.0.mtu_discovery = up_to;
        self
    }

    /// Largest datagram to receive, in UDP payload bytes; the peer is told to send no larger ones (RFC 9000, Section 18.2).
    /// Default 65527: all there are.
    pub fn max_udp_payload_size(mut self, bytes: u16) -> Self {
        self.0.max_udp_payload_size = bytes;
        self
    }

    /// Whether datagrams are marked ECT(0) on paths that carry such marks (RFC 9000, Section 13.4). Default true.
    pub fn ecn(mut self, marked: bool) -> Self {
        self.0.ecn = marked;
        self
    }

    /// How many packets are sealed with one key before the connection [updates its keys](crate::Connection::update_keys)
    /// by itself, as soon as it may (RFC 9001, Section 6.6). Default 2^22, which is also the most that holds with
    /// AES-GCM: half of what it permits.
    pub fn key_update_after(mut self, packets: u64) -> Self {
        self.0.key_update_after = packets;
        self
    }

    /// Tells the peer that packets are taken whatever their second bit, the QUIC bit; to a peer that says the same they
    /// are sent with one or the other at random (RFC 9287). Default true. Switch it off where something in between, or
    /// who shares the port, tells QUIC from other protocols by that bit.
    pub fn grease_quic_bit(mut self, on: bool) -> Self {
        self.0.grease_quic_bit = on;
        self
    }

    /// Whether observers may read the round trip from the spin bit, if the peer lets them too (RFC 9000, Section 17.4). One
    /// path in sixteen keeps it to itself all the same. Default false: the bit means nothing then.
    pub fn spin_bit(mut self, on: bool) -> Self {
        self.0.spin_bit = on;
        self
    }

    /// The longest delay of our ACKs, in whole milliseconds. Default 25 ms. The peer may ask for another.
    pub fn max_ack_delay(mut self, delay: Duration) -> Self {
        self.0.max_ack_delay = delay;
        self
    }

    /// The shortest delay of our ACKs that the peer may ask for, by ACK_FREQUENCY (draft-ietf-quic-ack-frequency); `None`:
    /// it may ask for nothing, IMMEDIATE_ACK included. Default 1 ms. However seldom it wants ACKs, one is sent for 255
    /// packets.
    pub fn min_ack_delay(mut self, delay: Option<Duration>) -> Self {
        self.0.min_ack_delay = delay;
        self
    }

    /// How often the peer is to acknowledge what we send, if it takes such wishes. `None`, the default: every second packet,
    /// as usual. Whatever is said here, a peer that takes wishes is asked to answer at once after a move and to probes.
    pub fn ack_frequency(mut self, wish: Option<AckFrequency>) -> Self {
        self.0.ack_frequency = wish;
        self
    }

    /// How many datagrams one [`poll`](crate::Endpoint::poll) may write at most, if the buffer holds them. Default 10.
    pub fn burst(mut self, datagrams: usize) -> Self {
        self.0.burst = datagrams;
        self
    }

    /// The round-trip time assumed before one was measured. Default 333 ms (RFC 9002, Section 6.2.2).
    pub fn initial_rtt(mut self, rtt: Duration) -> Self {
        self.0.initial_rtt = rtt;
        self
    }

    /// Which congestion controller. Default CUBIC.
    pub fn congestion(mut self, algorithm: Algorithm) -> Self {
        self.0.congestion = Congestion::Known(algorithm);
        self
    }

    /// A congestion controller of the embedder's, made anew for every path.
    pub fn controller(mut self, make: MakeController) -> Self {
        self.0.congestion = Congestion::Own(make);
        self
    }

    /// The first congestion window in bytes; `None`, the default: as RFC 9002, Section 7.2 says.
    pub fn initial_window(mut self, bytes: Option<u64>) -> Self {
        self.0.initial_window = bytes;
        self
    }

    /// Whether datagrams are spread over the round trip (RFC 9002, Section 7.7). Default true.
    pub fn pacing(mut self, on: bool) -> Self {
        self.0.pacing = on;
        self
    }

    /// How many connection IDs of the peer we keep at a time. Default 32.
    pub fn active_connection_ids(mut self, limit: u64) -> Self {
        self.0.active_connection_ids = limit;
        self
    }

    /// How many bytes of unreliable datagrams may wait for the application, each counted with 16 bytes more; the oldest
    /// make room for the newest. `None`, the default: the peer may send none (RFC 9221, Section 3).
    pub fn datagram_receive_buffer(mut self, bytes: Option<usize>) -> Self {
        self.0.datagram_receive_buffer = bytes;
        self
    }

    /// How many bytes of unreliable datagrams may wait to be sent, each counted with 16 bytes more. Default 1 MiB.
    pub fn datagram_send_buffer(mut self, bytes: usize) -> Self {
        self.0.datagram_send_buffer = bytes;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// The first setting that cannot be, and what would be right.
    pub fn build(self) -> Result<TransportConfig, ConfigError> {
        let config = self.0;
        let refuse = |setting, reason| Err(ConfigError { setting, reason });
        let largest = VarInt::MAX.into_inner();
        if config.datagram_size < MIN_DATAGRAM {
            return refuse("datagram_size", "use at least 1200 bytes");
        }
        if config.mtu_discovery.is_some_and(|bytes| !(MIN_DATAGRAM..=MAX_DATAGRAM).contains(&bytes)) {
            return refuse("mtu_discovery", "use 1200 to 65527 bytes, or None");
        }
        if !(MIN_DATAGRAM..=MAX_DATAGRAM).contains(&config.max_udp_payload_size) {
            return refuse("max_udp_payload_size", "use 1200 to 65527 bytes");
        }
        if config.burst == 0 || config.burst > 64 {
            return refuse("burst", "use 1 to 64 datagrams");
        }
        if config.receive_window > largest || config.stream_receive_window > largest {
            return refuse("receive_window", "use less than 2^62 bytes");
        }
        if config.receive_window == 0 || config.stream_receive_window == 0 || config.send_buffer == 0 {
            return refuse("receive_window", "a window or buffer of no bytes carries nothing");
        }
        if config.max_bidi_streams > 1 << 60 || config.max_uni_streams > 1 << 60 {
            return refuse("max_streams", "use at most 2^60 streams");
        }
        if config.active_connection_ids < 2 || config.active_connection_ids > 256 {
            return refuse("active_connection_ids", "use 2 to 256");
        }
        if config.max_ack_delay >= Duration::from_millis(1 << 14) {
            return refuse("max_ack_delay", "use less than 2^14 milliseconds");
        }
        if config.min_ack_delay.is_some_and(|delay| delay > config.max_ack_delay) {
            return refuse("min_ack_delay", "use at most max_ack_delay");
        }
        if config.initial_rtt.is_zero() || config.initial_rtt > Duration::from_secs(10) {
            return refuse("initial_rtt", "use more than zero and at most ten seconds");
        }
        if config.initial_window.is_some_and(|window| window < 2 * u64::from(config.datagram_size)) {
            return refuse("initial_window", "use at least two datagrams");
        }
        if config.keep_alive.is_some_and(|after| after.is_zero()) {
            return refuse("keep_alive", "use more than zero");
        }
        if config.datagram_receive_buffer.is_some_and(|bytes| bytes < MIN_DATAGRAM.into()) {
            return refuse("datagram_receive_buffer", "use at least 1200 bytes, or None");
        }
        if config.key_update_after == 0 || config.key_update_after > 1 << 62 {
            return refuse("key_update_after", "use 1 to 2^62 packets");
        }
        if config.datagram_send_buffer < MIN_DATAGRAM.into() {
            return refuse("datagram_send_buffer", "use at least 1200 bytes");
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(builder: TransportConfigBuilder) -> &'static str {
        builder.build().expect_err("the setting cannot be").setting
    }

    #[test]
    fn the_defaults_are_permitted() {
        assert!(TransportConfig::builder().build().is_ok());
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        assert_eq!(refused(TransportConfig::builder().datagram_size(1199)), "datagram_size");
        assert_eq!(refused(TransportConfig::builder().mtu_discovery(Some(1199))), "mtu_discovery");
        assert_eq!(refused(TransportConfig::builder().mtu_discovery(Some(65_528))), "mtu_discovery");
        assert_eq!(refused(TransportConfig::builder().max_udp_payload_size(1199)), "max_udp_payload_size");
        assert_eq!(refused(TransportConfig::builder().burst(0)), "burst");
        assert_eq!(
            refused(TransportConfig::builder().max_ack_delay(Duration::from_millis(16_384))),
            "max_ack_delay"
        );
        assert_eq!(
            refused(TransportConfig::builder().max_ack_delay(Duration::from_micros(999))),
            "min_ack_delay"
        );
        assert_eq!(refused(TransportConfig::builder().receive_window(1 << 62)), "receive_window");
        assert_eq!(refused(TransportConfig::builder().max_uni_streams(1 << 61)), "max_streams");
        assert_eq!(refused(TransportConfig::builder().active_connection_ids(1)), "active_connection_ids");
        assert_eq!(refused(TransportConfig::builder().initial_window(Some(1200))), "initial_window");
    }
}
