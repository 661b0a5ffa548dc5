//! A datagram: taken apart without a panic, and headers are read as they are written.

#![no_main]

use libfuzzer_sys::fuzz_target;
use peregrine::ConnectionId;
use peregrine::internals::{
    Allowance, DatagramWriter, Header, Invariant, PacketHeader, Packets, Ping, number, reset, retry,
};

/// The header as we would write it, if we write such packets.
fn outgoing<'a>(header: &PacketHeader, packet: &'a [u8]) -> Option<Header<'a>> {
    Some(match *header {
        PacketHeader::Short { dcid } => Header::Short { dcid },
        PacketHeader::Initial { version, dcid, scid, ref token } => {
            Header::Initial { version, dcid, scid, token: packet.get(token.clone())? }
        }
        PacketHeader::Handshake { version, dcid, scid } => Header::Handshake { version, dcid, scid },
        PacketHeader::ZeroRtt { .. }
        | PacketHeader::Retry { .. }
        | PacketHeader::VersionNegotiation { .. }
        | PacketHeader::OtherVersion { .. } => return None,
    })
}

/// Whether two headers say the same; where a token stands may differ with the length of its length.
fn alike(one: &PacketHeader, other: &PacketHeader) -> bool {
    match (one, other) {
        (
            PacketHeader::Initial { version, dcid, scid, token },
            PacketHeader::Initial { version: version2, dcid: dcid2, scid: scid2, token: token2 },
        ) => version == version2 && dcid == dcid2 && scid == scid2 && token.len() == token2.len(),
        (one, other) => one == other,
    }
}

fn check_numbers(number: u64, acked: Option<u64>) {
    let number = number & ((1 << 62) - 1);
    let acked = acked.map(|acked| acked & ((1 << 62) - 1)).filter(|acked| *acked < number);
    // Beyond that distance a sender has no number to write; a connection never comes there.
    if number - acked.map_or(0, |acked| acked + 1) >= 1 << 30 {
        return;
    }
    let len = number::encoded_len(number, acked);
    let bits = len * 8;
    let truncated = u32::try_from(number & ((1 << bits) - 1)).unwrap();
    assert_eq!(number::expand(truncated, len, acked.map_or(0, |acked| acked + 1)), number);
}

/// Takes a number off the front.
fn take(input: &mut &[u8]) -> Option<u64> {
    let (first, rest) = input.split_first_chunk()?;
    *input = rest;
    Some(u64::from_be_bytes(*first))
}

fuzz_target!(|input: &[u8]| {
    // The length of our connection IDs, two numbers, and a datagram.
    let Some((id_len, mut input)) = input.split_first() else { return };
    let id_len = usize::from(id_len % 21);
    let (Some(sent), Some(acked)) = (take(&mut input), take(&mut input)) else { return };
    check_numbers(sent, (acked % 5 != 0).then_some(acked));
    let mut datagram = input.to_vec();
    let _ = (Invariant::read(&datagram, id_len), reset::token_of(&datagram));
    let _ = retry::Retry::read(&datagram, &ConnectionId::EMPTY);
    let mut total = 0;
    let len = datagram.len();
    for packet in Packets::new(&mut datagram, id_len).filter_map(Result::ok) {
        assert!(packet.number_at <= packet.bytes.len());
        total += packet.bytes.len();
        let Some(header) = outgoing(&packet.header, packet.bytes) else { continue };
        let (mut buf, mut records) = (vec![0; packet.bytes.len() + 100], Vec::new());
        let mut writer = DatagramWriter::new(&mut buf, &mut records);
        let Some(mut out) = writer.begin(&header, 0, None, Allowance::Full) else { continue };
        assert!(out.write(&Ping).is_ok());
        let draft = out.finish();
        writer.keep(draft);
        let len = writer.seal(|_, _| {});
        let again: Vec<_> = Packets::new(&mut buf[..len], id_len).collect();
        assert_eq!(again.len(), 1);
        assert!(again.iter().all(|again| matches!(again, Ok(again) if alike(&again.header, &packet.header))));
    }
    assert!(total <= len, "packets do not overlap");
});
