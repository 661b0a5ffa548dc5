//! Datagrams taken apart: well-formed ones, and those from hell.

use proptest::prelude::*;

use super::vectors::{hex, vector};
use super::*;
use crate::frame::{Padding, Ping};
use crate::id::SpaceId;

fn id(bytes: &[u8]) -> ConnectionId {
    ConnectionId::new(bytes).expect("at most 20 bytes")
}

/// A Handshake packet to `dcid` whose protected part is `body`.
fn handshake(dcid: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0xe0, 0, 0, 0, 1, 1, dcid, 1, 9, u8::try_from(body.len()).expect("short")];
    packet.extend(body);
    packet
}

/// What a datagram holds: the last byte of each packet, or why it was dropped.
fn apart(datagram: &[u8]) -> Vec<Result<u8, DropReason>> {
    let mut datagram = datagram.to_vec();
    let last = |packet: Packet<'_>| packet.bytes.last().copied().unwrap_or_default();
    Packets::new(&mut datagram, 1).map(|packet| packet.map(last)).collect()
}

#[test]
fn the_client_initial_of_rfc_9001_a_2_is_read() {
    let mut datagram = hex(&vector("rfc9001_appendix_a.json")["client_initial_packet"]["packet"]);
    let mut packets = Packets::new(&mut datagram, 8);
    let packet = packets.next().expect("a packet").expect("it is well-formed");
    let dcid = id(&[0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08]);
    assert_eq!(
        packet.header,
        PacketHeader::Initial { version: Version::V1, dcid, scid: ConnectionId::EMPTY, token: 16..16 }
    );
    assert_eq!((packet.number_at, packet.bytes.len()), (18, 1200));
    assert!(packets.next().is_none());
}

#[test]
fn the_client_initial_of_rfc_9369_a_2_is_read() {
    let mut datagram = hex(&vector("rfc9369_appendix_a.json")["client_initial_packet"]["packet"]);
    let packet = Packets::new(&mut datagram, 8).next().expect("a packet").expect("it is well-formed");
    let dcid = id(&[0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08]);
    let header =
        PacketHeader::Initial { version: Version::V2, dcid, scid: ConnectionId::EMPTY, token: 16..16 };
    assert_eq!((packet.header, packet.number_at, packet.bytes.len()), (header, 18, 1200));
}

#[test]
fn coalesced_packets_are_told_apart() {
    let mut datagram = handshake(7, &[1; 20]);
    datagram.extend(handshake(7, &[2; 30]));
    datagram.extend([0x40, 7, 3]);
    assert_eq!(apart(&datagram), [Ok(1), Ok(2), Ok(3)]);
}

#[test]
fn a_packet_for_another_connection_is_dropped_and_the_next_one_read() {
    let mut datagram = handshake(7, &[1; 20]);
    datagram.extend(handshake(8, &[2; 20]));
    datagram.extend(handshake(7, &[3; 20]));
    datagram.extend([0x40, 8, 4]);
    assert_eq!(apart(&datagram), [Ok(1), Err(DropReason::ForeignId), Ok(3), Err(DropReason::ForeignId)]);
}

#[test]
fn a_long_packet_without_the_fixed_bit_is_dropped_and_the_next_one_read() {
    let mut datagram = handshake(7, &[1; 20]);
    datagram[0] &= !FIXED;
    datagram.extend([0x40, 7, 2]);
    assert_eq!(apart(&datagram), [Err(DropReason::Malformed), Ok(2)]);
}

#[test]
fn a_short_packet_without_the_fixed_bit_is_dropped() {
    assert_eq!(apart(&[0x00, 7, 0, 0]), [Err(DropReason::Malformed)]);
}

#[test]
fn where_it_is_greased_the_fixed_bit_says_nothing() {
    let mut datagram = handshake(7, &[1; 20]);
    datagram[0] &= !FIXED;
    datagram.extend([0x00, 7, 2]);
    let mut packets = Packets::new(&mut datagram, 1).greased(true);
    assert!(matches!(packets.next(), Some(Ok(Packet { header: PacketHeader::Handshake { .. }, .. }))));
    assert!(matches!(packets.next(), Some(Ok(Packet { header: PacketHeader::Short { .. }, .. }))));
}

#[test]
fn a_length_beyond_the_datagram_drops_the_rest() {
    let mut datagram = handshake(7, &[1; 20]);
    datagram.pop();
    assert_eq!(apart(&datagram), [Err(DropReason::Malformed)]);
}

#[test]
fn an_unknown_version_takes_the_whole_datagram() {
    let mut datagram = handshake(7, &[1; 20]);
    datagram[4] = 0x2a;
    datagram.extend([0x40, 7, 2]);
    let mut packets = Packets::new(&mut datagram, 1);
    let packet = packets.next().expect("a packet").expect("its version is another's");
    assert_eq!(packet.header, PacketHeader::OtherVersion { version: 0x2a });
    assert!(packets.next().is_none());
}

#[test]
fn a_token_is_a_range_of_its_packet() {
    let mut datagram = vec![0xc0, 0, 0, 0, 1, 1, 7, 0, 3, b'a', b'b', b'c', 2, 0, 0];
    let packet = Packets::new(&mut datagram, 1).next().expect("a packet").expect("it is well-formed");
    let PacketHeader::Initial { token, .. } = packet.header else { panic!("an Initial") };
    assert_eq!((&packet.bytes[token], packet.number_at), (&b"abc"[..], 13));
}

#[test]
fn an_empty_datagram_holds_nothing() {
    assert_eq!(apart(&[]), []);
}

#[test]
fn a_datagram_shorter_than_our_ids_is_dropped() {
    assert_eq!(apart(&[0x40]), [Err(DropReason::Malformed)]);
}

fn any_id() -> impl Strategy<Value = ConnectionId> {
    prop::collection::vec(any::<u8>(), 0..=20).prop_map(|bytes| id(&bytes))
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_taken_apart_without_a_panic(
        mut data in prop::collection::vec(any::<u8>(), 0..200),
        cid_len in 0usize..30,
    ) {
        let len = data.len();
        let mut seen = 0;
        for packet in Packets::new(&mut data, cid_len).flatten() {
            prop_assert!(packet.number_at <= packet.bytes.len());
            seen += packet.bytes.len();
        }
        prop_assert!(seen <= len);
    }

    #[test]
    fn almost_packets_are_taken_apart_without_a_panic(
        first in 0x80u8..,
        version in prop_oneof![Just(0u32), Just(1), Just(0x6b33_43cf)],
        tail in prop::collection::vec(prop_oneof![0u8..24, any::<u8>()], 0..120),
    ) {
        let mut data = vec![first];
        data.extend(version.to_be_bytes());
        data.extend(tail);
        prop_assert!(Packets::new(&mut data, 8).count() >= 1);
    }

    #[test]
    fn what_the_writer_writes_is_read(
        version in prop_oneof![Just(Version::V1), Just(Version::V2)],
        dcid in any_id(),
        scid in any_id(),
        token in prop::collection::vec(any::<u8>(), 0..100),
        padding in (1usize..300, 1usize..300, 1usize..300),
        numbers in (0u64..1 << 31, 0u64..1 << 31, 0u64..1 << 31),
    ) {
        let (mut buf, mut records) = ([0xee; 1500], Vec::new());
        let mut datagram = DatagramWriter::new(&mut buf, &mut records);
        let headers = [
            (Header::Initial { version, dcid, scid, token: &token }, numbers.0, padding.0),
            (Header::Handshake { version, dcid, scid }, numbers.1, padding.1),
            (Header::Short { dcid }, numbers.2, padding.2),
        ];
        for (header, number, padding) in headers {
            let mut packet = datagram.begin(&header, number, None, Allowance::Full).expect("there is room");
            prop_assert_eq!(packet.write(&Padding(padding)), Ok(()));
            prop_assert_eq!(packet.write(&Ping), Ok(()));
            let draft = packet.finish();
            prop_assert!(datagram.keep(draft));
        }
        let mut drafts = Vec::new();
        let len = datagram.seal(|draft, packet| drafts.push((draft.clone(), packet.to_vec())));
        let mut read = 0;
        for (packet, (draft, written)) in Packets::new(&mut buf[..len], dcid.len()).zip(&drafts) {
            let packet = packet.expect("it was written well");
            prop_assert_eq!(&packet.bytes, written);
            prop_assert_eq!(packet.number_at, draft.number_at - draft.start);
            prop_assert_eq!(packet.header.dcid(), Some(&dcid));
            prop_assert_eq!(packet.header.version(), (draft.space != SpaceId::Data).then_some(version));
            if let PacketHeader::Initial { token: range, scid: read_scid, .. } = packet.header {
                prop_assert_eq!(&packet.bytes[range], &token);
                prop_assert_eq!(read_scid, scid);
            }
            read += 1;
        }
        prop_assert_eq!(read, 3);
    }
}
