//! Counters, and the reasons for which packets are thrown away.
//!
//! Nothing is dropped silently to the embedder: whoever asks why nothing happened finds a number here.

/// Why a packet or a datagram was discarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DropReason {
    /// The header cannot be read, or a length contradicts the datagram.
    Malformed,
    /// A version we do not speak.
    Version,
    /// A packet type that cannot be used here: Retry, 0-RTT, or one the other side does not send.
    UnexpectedType,
    /// A later packet of the datagram names another connection ID.
    ForeignId,
    /// No connection has this connection ID.
    UnknownConnection,
    /// Keys for it are not there yet, and there is no room to keep it.
    NoKeysYet,
    /// Keys for it were discarded.
    NoKeysAnyMore,
    /// It does not decrypt.
    Undecryptable,
    /// Its number was seen before.
    Duplicate,
    /// It came from an address that is neither the peer's nor one it may move to.
    Gate,
    /// It came to a local address that is not this connection's.
    LocalAddress,
    /// A client's Initial in a datagram of less than 1200 bytes.
    SmallInitial,
    /// New connections are not admitted now.
    NotAdmitted,
    /// The connection is closing or draining.
    Closing,
    /// Its connection ID is another server's.
    Misrouted,
    /// A client has to prove its address first: it was sent a Retry, unless too many answers waited.
    Unproved,
    /// A Retry's token that is not of this client, not for this Initial, or not valid any more.
    InvalidToken,
}

impl DropReason {
    const COUNT: usize = Self::InvalidToken as usize + 1;
}

/// What one connection, or one endpoint, has counted so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// UDP datagrams received.
    pub datagrams_received: u64,
    /// UDP payload bytes received.
    pub bytes_received: u64,
    /// UDP datagrams sent.
    pub datagrams_sent: u64,
    /// UDP payload bytes sent.
    pub bytes_sent: u64,
    /// Packets that were authentic, new and processed.
    pub packets_received: u64,
    /// Packets sent.
    pub packets_sent: u64,
    /// Packets declared lost.
    pub packets_lost: u64,
    /// Congestion events.
    pub congestion_events: u64,
    /// Persistent congestion (RFC 9002, Section 7.6): how often a window fell to its minimum.
    pub persistent_congestions: u64,
    /// Paths that turned out not to carry ECN marks (RFC 9000, Section 13.4.2), and are marked no more.
    pub ecn_failures: u64,
    /// Probe timeouts that fired.
    pub probe_timeouts: u64,
    /// Seeks sent to candidate addresses.
    pub seeks: u64,
    /// Server migrations completed.
    pub migrations: u64,
    /// Retry packets obeyed: one at most, and none at a server.
    pub retries: u64,
    /// Probes of larger datagrams sent.
    pub mtu_probes: u64,
    /// Those among them that are lost.
    pub mtu_probes_lost: u64,
    /// Times that a path turned out not to carry any more what it had carried.
    pub black_holes: u64,
    /// Key updates followed.
    pub key_updates: u64,
    /// Key updates begun, by request or by themselves.
    pub own_key_updates: u64,
    /// There once something was dropped.
    dropped: Option<Box<[u64; DropReason::COUNT]>>,
}

impl Stats {
    /// How many packets or datagrams were discarded for `reason`.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped.as_ref().map_or(0, |dropped| dropped[reason as usize])
    }

    #[cold]
    pub(crate) fn drop(&mut self, reason: DropReason) {
        self.dropped.get_or_insert_default()[reason as usize] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_counted_by_reason() {
        let mut stats = Stats::default();
        stats.drop(DropReason::Closing);
        stats.drop(DropReason::Closing);
        assert_eq!((stats.dropped(DropReason::Closing), stats.dropped(DropReason::Malformed)), (2, 0));
    }
}
