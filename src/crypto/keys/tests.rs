//! Published packets, two rings that talk to each other, and peers that break the rules.

use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::error::Code;
use crate::frame::{Padding, Ping};
use crate::id::SpaceId;
use crate::packet::vectors::{hex, vector};
use crate::packet::{Allowance, DatagramWriter, Header, TAG_LEN, Version};

pub(super) const PTO: Duration = Duration::from_millis(100);

pub(super) fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn secret(byte: u8, suite: Suite) -> Secret {
    Secret::new(&[byte; 48][..suite.secret_len()]).expect("a secret fits")
}

pub(super) fn pair_of(suite: Suite) -> (KeyRing, KeyRing) {
    let (a, b) = (secret(1, suite), secret(2, suite));
    (KeyRing::one_rtt(Version::V1, suite, a.clone(), b.clone()), KeyRing::one_rtt(Version::V1, suite, b, a))
}

pub(super) fn pair() -> (KeyRing, KeyRing) {
    pair_of(Suite::Aes128Gcm)
}

/// Packets with numbers above all that these tests use are still to be sealed.
pub(super) const STANDING: Standing = Standing { pto: PTO, next_number: 1000 };

impl KeyRing {
    /// Begins a key phase, as a peer may that keeps no rules.
    pub(crate) fn force_update(&mut self) {
        self.turn = Turn::Acknowledged { another_from: at(0) };
        self.update(at(0), 0, 0).expect("nothing stands against it");
    }

    /// As if so many packets had been sealed in this phase.
    pub(crate) fn age(&mut self, packets: u64) {
        self.sealed = packets;
    }
}

/// A sealed 1-RTT packet with an eight-byte ID and a PING in it.
pub(super) fn sealed(ring: &mut KeyRing, number: PacketNumber) -> Vec<u8> {
    let (mut buf, mut records) = ([0; 64], Vec::new());
    let mut datagram = DatagramWriter::new(&mut buf, &mut records);
    let dcid = ConnectionId::new(&[7; 8]).expect("a connection ID");
    let mut packet =
        datagram.begin(&Header::Short { dcid }, number, None, Allowance::Full).expect("there is room");
    packet.write(&Ping).expect("there is room");
    packet.write(&Padding(3)).expect("there is room");
    let draft = packet.finish();
    assert!(datagram.keep(draft));
    let len = datagram.seal(|draft, packet| ring.seal(draft, packet).expect("the key is fresh"));
    buf[..len].to_vec()
}

/// Opens a packet of [`sealed`]; its number and whether it began a key phase.
pub(super) fn open(
    ring: &mut KeyRing,
    packet: &[u8],
    expected: PacketNumber,
    now: Instant,
) -> Result<(PacketNumber, bool), OpenError> {
    let mut packet = packet.to_vec();
    let opened = ring.open(&mut packet, 9, expected, now, || STANDING)?;
    assert_eq!(packet[opened.payload], [1, 0, 0, 0]);
    Ok((opened.number, opened.key_updated))
}

pub(super) fn fault(result: Result<(PacketNumber, bool), OpenError>) -> Code {
    match result {
        Err(OpenError::Fault(fault)) => fault.code,
        other => panic!("a fault was expected, not {other:?}"),
    }
}

pub(super) const DROPPED: Result<(PacketNumber, bool), OpenError> =
    Err(OpenError::Dropped(DropReason::Undecryptable));

/// A draft as if it stood behind `start` bytes of other packets.
fn draft(start: usize, number: PacketNumber, number_at: usize, payload_at: usize, end: usize) -> Draft {
    Draft {
        space: SpaceId::Data,
        number,
        start,
        number_at: start + number_at,
        payload_at: start + payload_at,
        end: start + end,
        ack_eliciting: true,
        in_flight: true,
        probing: false,
        is_long: false,
        records: 0..0,
    }
}

/// Seals `header` and `payload` as they are written in a vector.
fn seal_vector(ring: &mut KeyRing, header: &[u8], number_at: usize, payload: &[u8], number: u64) -> Vec<u8> {
    let mut packet = [header, payload, &[0; TAG_LEN]].concat();
    let end = header.len() + payload.len();
    ring.seal(&draft(100, number, number_at, header.len(), end), &mut packet).expect("the key is fresh");
    packet
}

/// Numbers beyond 2^53 may be strings in the vectors.
fn int(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).expect("a number")
}

/// The Initial packets of both sides in the file `name` of vectors.
fn check_initial_packets(version: Version, name: &str) {
    let vector = vector(name);
    let dcid = ConnectionId::new(&hex(&vector["dcid"])).expect("a connection ID");
    let mut client = KeyRing::initial(version, &dcid, Side::Client);
    let mut server = KeyRing::initial(version, &dcid, Side::Server);

    let case = &vector["client_initial_packet"];
    let mut payload = hex(&case["crypto_frame"]);
    payload.resize(1162, 0);
    let packet = hex(&case["packet"]);
    assert_eq!(seal_vector(&mut client, &hex(&case["unprotected_header"]), 18, &payload, 2), packet);
    let mut received = packet;
    let opened = server.open(&mut received, 18, 0, at(0), || STANDING).expect("it is authentic");
    assert_eq!((opened.number, &received[opened.payload]), (2, &payload[..]));

    let case = &vector["server_initial_packet"];
    let payload = hex(&case["payload"]);
    let packet = hex(&case["packet"]);
    assert_eq!(seal_vector(&mut server, &hex(&case["unprotected_header"]), 18, &payload, 1), packet);
    let mut received = packet;
    let opened = client.open(&mut received, 18, 0, at(0), || STANDING).expect("it is authentic");
    assert_eq!((opened.number, &received[opened.payload]), (1, &payload[..]));
}

#[test]
fn the_initial_packets_of_rfc_9001_a_2_and_a_3_are_sealed_and_opened() {
    check_initial_packets(Version::V1, "rfc9001_appendix_a.json");
}

#[test]
fn the_initial_packets_of_rfc_9369_a_2_and_a_3_are_sealed_and_opened() {
    check_initial_packets(Version::V2, "rfc9369_appendix_a.json");
}

/// The packet with a short header in the file `name` of vectors.
fn check_chacha20_packet(version: Version, name: &str) {
    let case = &vector(name)["chacha20_short_header"];
    let secret = Secret::new(&hex(&case["secret"])).expect("32 bytes");
    let mut ring = KeyRing::one_rtt(version, Suite::ChaCha20Poly1305, secret.clone(), secret);
    let number = int(&case["packet_number"]);
    let packet = hex(&case["packet"]);
    assert_eq!(seal_vector(&mut ring, &hex(&case["unprotected_header"]), 1, &[1], number), packet);
    let mut received = packet;
    let opened = ring.open(&mut received, 1, number, at(0), || STANDING).expect("it is authentic");
    assert_eq!((opened.number, &received[opened.payload]), (number, &[1][..]));
}

#[test]
fn the_chacha20_packets_of_rfc_9001_a_5_and_rfc_9369_a_5_are_sealed_and_opened() {
    check_chacha20_packet(Version::V1, "rfc9001_appendix_a.json");
    check_chacha20_packet(Version::V2, "rfc9369_appendix_a.json");
}

#[test]
fn packets_of_four_key_phases_are_sealed_and_opened_with_every_suite_in_both_versions() {
    let vector = vector("key_update_chain.json");
    let cases = vector["cases"].as_array().expect("a list");
    let mut seen = 0;
    for case in cases {
        let version = match case["version"].as_str().expect("a number") {
            "0x00000001" => Version::V1,
            _ => Version::V2,
        };
        let suite = match case["aead"].as_str().expect("a name") {
            "aes128gcm" => Suite::Aes128Gcm,
            "aes256gcm" => Suite::Aes256Gcm,
            _ => Suite::ChaCha20Poly1305,
        };
        let generations = case["generations"].as_array().expect("a list");
        let first = Secret::new(&hex(&generations[0]["secret"])).expect("a secret fits");
        let mut ring = KeyRing::one_rtt(version, suite, first.clone(), first);
        for generation in generations {
            let number = int(&generation["packet_number"]);
            let (packet, plaintext) = (hex(&generation["packet"]), hex(&generation["plaintext"]));
            let mut received = packet.clone();
            let opened = ring.open(&mut received, 9, number, at(0), || STANDING).expect("it is authentic");
            assert_eq!((opened.number, &received[opened.payload]), (number, &plaintext[..]));
            assert_eq!(opened.key_updated, int(&generation["generation"]) > 0);
            // Our sending keys have followed. The header of the vector has the phase set already; we set it again.
            let header = hex(&generation["unprotected_header"]);
            assert_eq!(seal_vector(&mut ring, &header, 9, &plaintext, number), packet);
            seen += 1;
        }
    }
    assert_eq!(seen, 24);
}

#[test]
fn a_packet_changed_anywhere_is_dropped() {
    let (mut a, mut b) = pair();
    let packet = sealed(&mut a, 5);
    // The bytes of the ID are authenticated, too, though nothing masks them.
    for at_byte in 0..packet.len() {
        let mut changed = packet.clone();
        changed[at_byte] ^= 0x10;
        assert_eq!(open(&mut b, &changed, 0, at(0)), DROPPED);
    }
    assert_eq!(open(&mut b, &packet, 0, at(0)), Ok((5, false)));
    assert_eq!(b.failed, packet.len() as u64);
}

#[test]
fn a_packet_cut_anywhere_is_dropped() {
    let (mut a, mut b) = pair();
    let packet = sealed(&mut a, 5);
    for len in 0..packet.len() {
        assert_eq!(open(&mut b, &packet[..len], 0, at(0)), DROPPED);
    }
}

#[test]
fn an_empty_payload_is_opened_only_with_its_tag() {
    let (mut a, mut b) = pair();
    let header = [0x43, 7, 7, 7, 7, 7, 7, 7, 7, 0, 0, 0, 9];
    let packet = seal_vector(&mut a, &header, 9, &[], 9);
    let opened = b.open(&mut packet.clone(), 9, 0, at(0), || STANDING).expect("it is authentic");
    assert!(opened.payload.is_empty());
    let mut changed = packet;
    *changed.last_mut().expect("a tag") ^= 1;
    let dropped = OpenError::Dropped(DropReason::Undecryptable);
    assert_eq!(b.open(&mut changed, 9, 0, at(0), || STANDING), Err(dropped));
}

#[test]
fn reserved_bits_are_a_fault_only_in_an_authentic_packet() {
    let (mut a, mut b) = pair();
    let header = [0x43 | 0x08, 7, 7, 7, 7, 7, 7, 7, 7, 0, 0, 0, 9];
    let packet = seal_vector(&mut a, &header, 9, &[1, 0, 0, 0], 9);
    assert_eq!(fault(open(&mut b, &packet, 0, at(0))), Code::PROTOCOL_VIOLATION);
    let mut forged = packet;
    *forged.last_mut().expect("a tag") ^= 1;
    assert_eq!(open(&mut b, &forged, 0, at(0)), DROPPED);
}

#[test]
fn an_update_is_followed_in_both_directions() {
    let (mut a, mut b) = pair();
    assert_eq!(open(&mut b, &sealed(&mut a, 0), 0, at(0)), Ok((0, false)));
    a.force_update();
    assert_eq!(open(&mut b, &sealed(&mut a, 1), 1, at(0)), Ok((1, true)));
    assert_eq!(open(&mut b, &sealed(&mut a, 2), 2, at(0)), Ok((2, false)));
    assert_eq!(open(&mut a, &sealed(&mut b, 0), 0, at(0)), Ok((0, false)));
}

#[test]
fn a_delayed_packet_of_the_phase_before_opens_for_three_probe_timeouts() {
    let (mut a, mut b) = pair();
    let delayed = [sealed(&mut a, 0), sealed(&mut a, 1)];
    a.force_update();
    assert_eq!(open(&mut b, &sealed(&mut a, 2), 0, at(1000)), Ok((2, true)));
    assert_eq!(b.deadline(), Some(at(1300)));
    assert_eq!(open(&mut b, &delayed[0], 3, at(1299)), Ok((0, false)));
    assert_eq!(open(&mut b, &delayed[1], 3, at(1300)), DROPPED);
    b.expire(at(1299));
    assert_eq!(b.deadline(), Some(at(1300)));
    b.expire(at(1300));
    assert_eq!(b.deadline(), None);
}

#[test]
fn a_copy_of_the_packet_that_began_a_phase_begins_no_other() {
    let (mut a, mut b) = pair();
    a.force_update();
    let packet = sealed(&mut a, 0);
    assert_eq!(open(&mut b, &packet, 0, at(0)), Ok((0, true)));
    assert_eq!(open(&mut b, &packet, 1, at(0)), Ok((0, false)));
}

#[test]
fn a_second_update_is_followed_once_we_have_spoken_in_the_first() {
    let (mut a, mut b) = pair();
    a.force_update();
    assert_eq!(open(&mut b, &sealed(&mut a, 0), 0, at(0)), Ok((0, true)));
    assert_eq!(open(&mut a, &sealed(&mut b, 0), 0, at(0)), Ok((0, false)));
    a.force_update();
    assert_eq!(open(&mut b, &sealed(&mut a, 1), 1, at(1)), Ok((1, true)));
    assert_eq!(open(&mut a, &sealed(&mut b, 1), 1, at(1)), Ok((1, false)));
}

#[test]
fn two_updates_in_a_row_are_an_error() {
    let (mut a, mut b) = pair();
    a.force_update();
    assert_eq!(open(&mut b, &sealed(&mut a, 0), 0, at(0)), Ok((0, true)));
    a.force_update();
    let packet = sealed(&mut a, 1);
    assert_eq!(fault(open(&mut b, &packet, 1, at(0))), Code::KEY_UPDATE_ERROR);
}

#[test]
fn a_phase_that_begins_below_a_number_already_received_is_an_error() {
    let (mut a, mut b) = pair();
    assert_eq!(open(&mut b, &sealed(&mut a, 5), 0, at(0)), Ok((5, false)));
    a.force_update();
    let packet = sealed(&mut a, 4);
    assert_eq!(fault(open(&mut b, &packet, 6, at(0))), Code::KEY_UPDATE_ERROR);
}

#[test]
fn a_newer_key_below_an_older_one_is_an_error_even_when_reordered() {
    let (mut a, mut b) = pair();
    let older = sealed(&mut a, 7);
    a.force_update();
    let newer = [sealed(&mut a, 9), sealed(&mut a, 6)];
    assert_eq!(open(&mut b, &newer[0], 0, at(0)), Ok((9, true)));
    assert_eq!(open(&mut b, &older, 10, at(0)), Ok((7, false)));
    assert_eq!(fault(open(&mut b, &newer[1], 10, at(0))), Code::KEY_UPDATE_ERROR);
}

#[test]
fn reordering_within_a_new_phase_is_honest() {
    let (mut a, mut b) = pair();
    let older = sealed(&mut a, 0);
    a.force_update();
    let newer = [sealed(&mut a, 1), sealed(&mut a, 2), sealed(&mut a, 3)];
    assert_eq!(open(&mut b, &newer[2], 0, at(0)), Ok((3, true)));
    assert_eq!(open(&mut b, &newer[0], 4, at(0)), Ok((1, false)));
    assert_eq!(open(&mut b, &older, 4, at(0)), Ok((0, false)));
    assert_eq!(open(&mut b, &newer[1], 4, at(0)), Ok((2, false)));
}

#[test]
fn a_forged_key_phase_begins_nothing() {
    let (mut a, mut b) = pair();
    let mut packet = sealed(&mut a, 0);
    packet[0] ^= KEY_PHASE;
    assert_eq!(open(&mut b, &packet, 0, at(0)), DROPPED);
    assert_eq!((b.deadline(), b.phase), (None, false));
}

#[test]
fn a_key_that_is_nearly_used_up_says_so_and_still_seals_a_farewell() {
    let (mut a, mut b) = pair();
    a.sealed = (1 << 23) - FAREWELLS - 1;
    assert_eq!(a.check(), Ok(()));
    assert_eq!(open(&mut b, &sealed(&mut a, 0), 0, at(0)), Ok((0, false)));
    assert_eq!(a.check().map_err(|fault| fault.code), Err(Code::AEAD_LIMIT_REACHED));
    assert_eq!(open(&mut b, &sealed(&mut a, 1), 1, at(0)), Ok((1, false)));
}

#[test]
fn a_key_that_is_used_up_leaves_no_plaintext_in_the_packet() {
    let (mut a, _) = pair();
    a.sealed = 1 << 23;
    let mut packet = vec![0x43; 40];
    let sealed = a.seal(&draft(0, 0, 9, 13, 24), &mut packet);
    assert_eq!(sealed.map_err(|fault| fault.code), Err(Code::AEAD_LIMIT_REACHED));
    assert_eq!(packet, [0; 40]);
}

#[test]
fn following_an_update_renews_what_may_be_sealed() {
    let (mut a, mut b) = pair();
    b.sealed = (1 << 23) - FAREWELLS;
    a.force_update();
    assert_eq!(open(&mut b, &sealed(&mut a, 0), 0, at(0)), Ok((0, true)));
    assert_eq!(b.check(), Ok(()));
}

#[test]
fn one_forgery_above_the_limit_ends_the_connection_whatever_the_phase() {
    for (suite, limit) in [(Suite::Aes256Gcm, 1 << 52), (Suite::ChaCha20Poly1305, 1 << 36)] {
        let (mut a, mut b) = pair_of(suite);
        b.failed = limit - 1;
        a.force_update();
        let packet = sealed(&mut a, 0);
        assert_eq!(open(&mut b, &packet, 0, at(0)), Ok((0, true)));
        let mut forged = packet;
        forged[20] ^= 1;
        assert_eq!(open(&mut b, &forged, 0, at(0)), DROPPED);
        assert_eq!(fault(open(&mut b, &forged, 0, at(0))), Code::AEAD_LIMIT_REACHED);
    }
}

#[test]
fn a_ring_prints_its_counts_and_no_secret() {
    let printed = format!("{:?}", pair().0);
    assert_eq!(printed, "KeyRing { suite: Aes128Gcm, updates: 0, sealed: 0, failed: 0, .. }");
}
