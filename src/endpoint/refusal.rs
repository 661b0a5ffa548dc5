//! Turning a client away before there is a connection: CONNECTION_CLOSE in an Initial packet (RFC 9000, Sections 5.2.2
//! and 8.1.3).
//!
//! Costs the keys of Initial packets, one packet opened and one sealed; TLS is not begun, nothing is kept.

use crate::config::MIN_DATAGRAM;
use crate::connection::Caller;
use crate::crypto::{KeyRing, Standing};
use crate::error::TransportError;
use crate::frame::ConnectionClose;
use crate::id::{ConnectionId, Side};
use crate::packet::{Allowance, DatagramWriter, Header, PacketHeader, Packets};
use crate::time::Instant;

/// The datagram that tells a client why it is turned away; `None` if no Initial packet in `datagram` is authentic.
///
/// `own` is what we call ourselves in it, once. The QUIC bit of `datagram` was looked at already.
pub fn refusal(
    now: Instant,
    caller: &Caller,
    own: ConnectionId,
    fault: &TransportError,
    datagram: &mut [u8],
) -> Option<Vec<u8>> {
    let mut keys = KeyRing::initial(caller.version, &caller.dcid, Side::Server);
    let mut packets = Packets::new(datagram, own.len()).greased(true).map_while(Result::ok);
    let authentic = packets.any(|packet| {
        matches!(packet.header, PacketHeader::Initial { version, .. } if version == caller.version)
            && keys.open(packet.bytes, packet.number_at, 0, now, Standing::default).is_ok()
    });
    if !authentic {
        return None;
    }
    let (mut bytes, mut records) = (vec![0; usize::from(MIN_DATAGRAM)], Vec::new());
    let mut datagram = DatagramWriter::new(&mut bytes, &mut records);
    let header = Header::Initial { version: caller.version, dcid: caller.scid, scid: own, token: &[] };
    let mut packet = datagram.begin(&header, 0, None, Allowance::Full)?;
    packet.write(&ConnectionClose::fault(fault)).ok()?;
    let draft = packet.finish();
    datagram.keep(draft);
    // The first packet under a key is far below the AEAD's limit.
    let len = datagram.seal(|draft, packet| keys.seal(draft, packet).unwrap_or_default());
    bytes.truncate(len);
    Some(bytes)
}
