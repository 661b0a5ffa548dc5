//! What to do with a datagram that belongs to no connection: a pure decision on its first packet.
//!
//! Everything here costs constant work and no memory, whatever the datagram claims.

use crate::config::MIN_DATAGRAM;
use crate::id::ConnectionId;
use crate::packet::{Invariant, LongType, Version};
use crate::stats::DropReason;

/// Shortest connection ID a client may pick for its first Initial, in bytes (RFC 9000, Section 7.2).
const MIN_FIRST_DCID: usize = 8;

/// What a first packet asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// A client wants to connect.
    Connect {
        /// The version it speaks, one of those accepted.
        version: Version,
        /// The random ID it sent to.
        dcid: ConnectionId,
        /// The ID it wants to be called.
        scid: ConnectionId,
    },
    /// A version we do not speak, in a datagram large enough to be answered.
    OtherVersion,
    /// A 1-RTT packet of a connection that is not here (any more).
    Stray {
        /// The ID it was sent to.
        dcid: ConnectionId,
    },
    /// A Handshake packet of a connection that is not here (any more).
    Late {
        /// The ID it was sent to.
        dcid: ConnectionId,
    },
    /// Nothing to be answered.
    Nothing(DropReason),
}

/// Reads the first packet of a datagram of which no connection is known; `cid_len` is the length of our own IDs, and
/// `accepted` the versions in which a client may begin.
pub fn judge(datagram: &[u8], cid_len: usize, accepted: &[Version]) -> First {
    match Invariant::read(datagram, cid_len) {
        Ok(Invariant::Short { dcid, .. }) => ConnectionId::new(dcid)
            .map_or(First::Nothing(DropReason::Malformed), |dcid| First::Stray { dcid }),
        Ok(Invariant::Long { first, version, dcid, scid, .. }) => {
            judge_long(datagram.len(), accepted, (first, version, dcid, scid))
        }
        Err(_) => First::Nothing(DropReason::Malformed),
    }
}

fn judge_long(len: usize, accepted: &[Version], header: (u8, u32, &[u8], &[u8])) -> First {
    let (first, version, dcid, scid) = header;
    if version == 0 {
        // A Version Negotiation packet answers a client; without a connection there is none.
        return First::Nothing(DropReason::UnexpectedType);
    }
    let spoken = Version::from_wire(version);
    let long = spoken.map(|version| version.long_type(first));
    // A Handshake packet goes to an ID that its receiver issued; an Initial or a 0-RTT packet may go to one that its
    // client made up, which tells nothing.
    if long == Some(LongType::Handshake) {
        return ConnectionId::new(dcid)
            .map_or(First::Nothing(DropReason::Malformed), |dcid| First::Late { dcid });
    }
    if len < usize::from(MIN_DATAGRAM) {
        return First::Nothing(DropReason::SmallInitial);
    }
    let Some(version) = spoken.filter(|version| accepted.contains(version)) else {
        return First::OtherVersion;
    };
    if long != Some(LongType::Initial) {
        return First::Nothing(DropReason::UnknownConnection);
    }
    match (ConnectionId::new(dcid), ConnectionId::new(scid)) {
        (Some(dcid), Some(scid)) if dcid.len() >= MIN_FIRST_DCID => First::Connect { version, dcid, scid },
        _ => First::Nothing(DropReason::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is made of a datagram by an endpoint with IDs of eight bytes that accepts version 1.
    fn judged(datagram: &[u8]) -> First {
        judge(datagram, 8, &[Version::V1])
    }

    fn long(first: u8, version: u32, dcid: &[u8], len: usize) -> Vec<u8> {
        let mut datagram = vec![first];
        datagram.extend(version.to_be_bytes());
        datagram.push(u8::try_from(dcid.len()).expect("short"));
        datagram.extend(dcid);
        datagram.push(0);
        datagram.resize(len, 0);
        datagram
    }

    #[test]
    fn a_large_initial_wants_to_connect() {
        let dcid = ConnectionId::new(&[7; 8]).expect("eight bytes are a connection ID");
        let first = judged(&long(0xc0, 1, &[7; 8], 1200));
        assert_eq!(first, First::Connect { version: Version::V1, dcid, scid: ConnectionId::EMPTY });
    }

    #[test]
    fn a_small_initial_is_answered_by_nothing() {
        assert_eq!(judged(&long(0xc0, 1, &[7; 8], 1199)), First::Nothing(DropReason::SmallInitial));
        assert_eq!(judged(&long(0xc0, 0xabcd, &[7; 8], 1199)), First::Nothing(DropReason::SmallInitial));
    }

    #[test]
    fn a_first_connection_id_of_seven_bytes_is_refused() {
        assert_eq!(judged(&long(0xc0, 1, &[7; 7], 1200)), First::Nothing(DropReason::Malformed));
    }

    #[test]
    fn another_version_is_told_apart_whatever_its_connection_id() {
        assert_eq!(judged(&long(0xc0, 0xabcd, &[7; 200], 1200)), First::OtherVersion);
        assert_eq!(judged(&long(0xd0, 0x6b33_43cf, &[7; 8], 1200)), First::OtherVersion);
        assert_eq!(judged(&long(0xc0, 0, &[7; 8], 1200)), First::Nothing(DropReason::UnexpectedType));
    }

    #[test]
    fn a_handshake_packet_of_any_size_is_late_and_a_0_rtt_packet_is_not() {
        let dcid = ConnectionId::new(&[7; 8]).expect("eight bytes are a connection ID");
        assert_eq!(judged(&long(0xe0, 1, &[7; 8], 100)), First::Late { dcid });
        assert_eq!(judged(&long(0xf0, 0x6b33_43cf, &[7; 8], 100)), First::Late { dcid });
        assert_eq!(judged(&long(0xe0, 1, &[7; 21], 100)), First::Nothing(DropReason::Malformed));
        assert_eq!(judged(&long(0xd0, 1, &[7; 8], 1200)), First::Nothing(DropReason::UnknownConnection));
    }

    #[test]
    fn nothing_at_all_is_malformed() {
        assert_eq!(judged(&[]), First::Nothing(DropReason::Malformed));
        assert_eq!(judged(&[0x40; 8]), First::Nothing(DropReason::Malformed));
    }
}
