//! Transport parameters by hand: what is read, what is written, and everything that is refused.

use proptest::prelude::*;

use super::*;
use crate::error::Code;
use crate::negotiation::{Strategy, StrategySet, confirm, select};

const REFUSED: Code = Code::TRANSPORT_PARAMETER_ERROR;

fn id(bytes: &[u8]) -> ConnectionId {
    ConnectionId::new(bytes).expect("at most 20 bytes")
}

fn client(bytes: &[u8]) -> Result<ClientParams, Code> {
    ClientParams::decode(bytes).map_err(|e| e.code)
}

fn server(bytes: &[u8]) -> Result<ServerParams, Code> {
    ServerParams::decode(bytes).map_err(|e| e.code)
}

fn common(bytes: &[u8]) -> Result<Common, Code> {
    client(bytes).map(|params| params.common)
}

/// A value refused from both sides.
fn refused(bytes: &[u8]) -> bool {
    client(bytes) == Err(REFUSED) && server(bytes) == Err(REFUSED)
}

fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out);
    out
}

fn server_params() -> ServerParams {
    ServerParams {
        common: Common { initial_source_connection_id: Some(id(&[3; 8])), ..Common::default() },
        original_destination_connection_id: Some(id(&[1; 8])),
        stateless_reset_token: Some(ResetToken([9; 16])),
        preferred_address: None,
        retry_source_connection_id: None,
        suite_answer: None,
    }
}

#[test]
fn an_ack_delay_that_may_be_asked_for_is_not_above_the_longest() {
    let least = |bytes: &[u8]| [&[0xc0, 0, 0, 0, 0xff, 0x04, 0xde, 0x1b][..], bytes].concat();
    // 25 ms are the default of max_ack_delay; here 11 ms, before and after.
    assert!(common(&least(&[4, 0x80, 0, 0x61, 0xa8])).is_ok());
    assert!(refused(&least(&[4, 0x80, 0, 0x61, 0xa9])));
    assert!(refused(&[&least(&[4, 0x80, 0, 0x2a, 0xf9])[..], &[0x0b, 1, 11]].concat()));
    assert!(refused(&[&[0x0b, 1, 11][..], &least(&[4, 0x80, 0, 0x2a, 0xf9])].concat()));
    assert!(common(&[&[0x0b, 1, 11][..], &least(&[4, 0x80, 0, 0x2a, 0xf8])].concat()).is_ok());
    assert!(refused(&least(&[2, 0x80, 0])));
}

// ---- what is read and written -----------------------------------------------------------------------

#[test]
fn what_is_not_said_has_its_default() {
    let common = common(&[]).expect("an empty list");
    assert_eq!(common.max_udp_payload_size, 65_527);
    assert_eq!(common.max_ack_delay, Duration::from_millis(25));
    assert_eq!((common.ack_delay_exponent, common.active_connection_id_limit), (3, 2));
    assert_eq!((common.initial_max_data, common.initial_max_streams_bidi), (0, 0));
    assert_eq!(common.max_idle_timeout, Duration::ZERO);
    assert_eq!((common.disable_active_migration, common.initial_source_connection_id), (false, None));
}

#[test]
fn each_parameter_is_read_where_it_belongs() {
    let list = [
        [0x01, 2, 0x40, 0x64].as_slice(),
        &[0x03, 2, 0x45, 0xdc],
        &[0x04, 1, 4],
        &[0x05, 1, 5],
        &[0x06, 1, 6],
        &[0x07, 1, 7],
        &[0x08, 1, 8],
        &[0x09, 1, 9],
        &[0x0a, 1, 10],
        &[0x0b, 1, 11],
        &[0x0c, 0],
        &[0x0e, 1, 14],
        &[0x0f, 2, 0xca, 0xfe],
        &[0xc0, 0, 0, 0, 0xff, 0x04, 0xde, 0x1b, 2, 0x43, 0xe8],
        &[0x11, 12, 0, 0, 0, 1, 0x6b, 0x33, 0x43, 0xcf, 0, 0, 0, 1],
        &[0x6a, 0xb2, 0],
        &[0x40, 0x64, 1, 15],
    ]
    .concat();
    let expected = Common {
        grease_quic_bit: true,
        version_information: Some(VersionInformation { chosen: 1, available: vec![0x6b33_43cf, 1] }),
        max_datagram_frame_size: 0,
        min_ack_delay: Some(Duration::from_millis(1)),
        max_idle_timeout: Duration::from_millis(100),
        max_udp_payload_size: 1500,
        initial_max_data: 4,
        initial_max_stream_data_bidi_local: 5,
        initial_max_stream_data_bidi_remote: 6,
        initial_max_stream_data_uni: 7,
        initial_max_streams_bidi: 8,
        initial_max_streams_uni: 9,
        ack_delay_exponent: 10,
        max_ack_delay: Duration::from_millis(11),
        disable_active_migration: true,
        active_connection_id_limit: 14,
        initial_source_connection_id: Some(id(&[0xca, 0xfe])),
    };
    let params = client(&list).expect("a proper list");
    assert_eq!(params, ClientParams { common: expected, suite_offer: Some(StrategySet::ALL.into()) });
    // Our own order and forms are the same, so it is also a vector for writing.
    assert_eq!(encoded(|out| params.encode(out)), list);
}

#[test]
fn a_servers_own_parameters_are_read_and_written() {
    let params = ServerParams {
        preferred_address: Some(PreferredAddress {
            v4: Some("192.0.2.7:6666".parse().expect("an address")),
            v6: None,
            id: id(&[4; 4]),
            token: ResetToken([8; 16]),
        }),
        retry_source_connection_id: Some(id(&[2; 8])),
        suite_answer: Some(StrategySet::EMPTY.into()),
        ..server_params()
    };
    let bytes = encoded(|out| params.encode(out));
    assert_eq!(server(&bytes), Ok(params));
    assert!(bytes.starts_with(&[0x00, 8, 1, 1, 1, 1, 1, 1, 1, 1]));
    assert!(bytes.ends_with(&[0x10, 8, 2, 2, 2, 2, 2, 2, 2, 2, 0x40, 0x64, 1, 0]));
}

#[test]
fn unknown_parameters_are_ignored() {
    let reserved = [0x1b, 3, 1, 2, 3, 0x04, 1, 7, 0x21, 2, 0xff, 0xff];
    assert_eq!(common(&reserved).map(|c| c.initial_max_data), Ok(7));
}

#[test]
fn times_are_sent_in_milliseconds_rounded_up() {
    let common = Common {
        max_idle_timeout: Duration::from_micros(1),
        max_ack_delay: Duration::from_micros(25_001),
        ..Common::default()
    };
    let bytes = encoded(|out| common.encode(out));
    let read = self::common(&bytes).expect("our own list");
    assert_eq!(read.max_idle_timeout, Duration::from_millis(1));
    assert_eq!(read.max_ack_delay, Duration::from_millis(26));
}

#[test]
fn the_largest_idle_timeout_is_read_without_overflow() {
    let common = common(&[0x01, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).expect("a number");
    assert_eq!(common.max_idle_timeout, Duration::from_millis((1 << 62) - 1));
}

// ---- what is refused --------------------------------------------------------------------------------

#[test]
fn a_malformed_or_repeated_parameter_is_refused() {
    assert!(refused(&[0x04]));
    assert!(refused(&[0x04, 2, 0]));
    assert!(refused(&[0x04, 1, 7, 0x04, 1, 7]));
    assert!(refused(&[0x1b, 0, 0x1b, 0]));
}

#[test]
fn an_integer_that_is_not_all_of_its_value_is_refused() {
    for id in [0x01, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0e] {
        assert!(refused(&[id, 0]), "{id:#x} empty");
        assert!(refused(&[id, 1, 0x40]), "{id:#x} truncated");
        assert!(refused(&[id, 3, 0x40, 20, 0]), "{id:#x} with more behind it");
    }
}

#[test]
fn a_value_out_of_its_range_is_refused_and_the_last_one_in_it_is_not() {
    assert!(refused(&[0x03, 2, 0x44, 0xaf]));
    assert!(client(&[0x03, 2, 0x44, 0xb0]).is_ok());
    assert!(refused(&[0x0a, 1, 21]));
    assert!(client(&[0x0a, 1, 20]).is_ok());
    assert!(refused(&[0x0a, 2, 0x41, 0x00]));
    assert!(refused(&[0x0b, 4, 0x80, 0, 0x40, 0]));
    assert!(client(&[0x0b, 2, 0x7f, 0xff]).is_ok());
    assert!(refused(&[0x0e, 1, 1]));
    assert!(client(&[0x0e, 1, 2]).is_ok());
    for id in [0x08, 0x09] {
        assert!(refused(&[id, 8, 0xd0, 0, 0, 0, 0, 0, 0, 1]));
        assert!(client(&[id, 8, 0xd0, 0, 0, 0, 0, 0, 0, 0]).is_ok());
    }
}

#[test]
fn a_flag_with_a_value_is_refused() {
    assert!(refused(&[0x0c, 1, 1]));
    assert!(refused(&[0x6a, 0xb2, 1, 0]));
}

#[test]
fn version_information_that_cannot_be_read_is_refused() {
    assert!(refused(&[0x11, 0]));
    assert!(refused(&[0x11, 3, 0, 0, 1]));
    assert!(refused(&[0x11, 9, 0, 0, 0, 1, 0, 0, 0, 1, 0]));
    assert!(refused(&[0x11, 8, 0, 0, 0, 0, 0, 0, 0, 1]));
    assert!(refused(&[0x11, 8, 0, 0, 0, 1, 0, 0, 0, 0]));
}

#[test]
fn a_client_has_the_version_it_chose_and_a_server_need_not() {
    let none = [0x11, 4, 0, 0, 0, 1];
    let another = [0x11, 8, 0, 0, 0, 1, 0x6b, 0x33, 0x43, 0xcf];
    assert_eq!((client(&none), client(&another)), (Err(REFUSED), Err(REFUSED)));
    assert!(server(&none).is_ok() && server(&another).is_ok());
}

#[test]
fn a_connection_id_of_more_than_twenty_bytes_is_refused() {
    for parameter in [0x00, 0x0f, 0x10] {
        let with = |len: u8| server(&[&[parameter, len][..], &vec![7; len.into()]].concat());
        assert!(with(20).is_ok());
        assert_eq!(with(21), Err(REFUSED));
    }
}

#[test]
fn a_reset_token_of_another_length_is_refused() {
    assert!(server(&[&[0x02, 16][..], &[7; 16]].concat()).is_ok());
    assert_eq!(server(&[&[0x02, 15][..], &[7; 15]].concat()), Err(REFUSED));
    assert_eq!(server(&[&[0x02, 17][..], &[7; 17]].concat()), Err(REFUSED));
}

#[test]
fn a_client_that_sends_what_only_a_server_may_is_refused() {
    assert_eq!(client(&[0x00, 1, 7]), Err(REFUSED));
    assert_eq!(client(&[&[0x02, 16][..], &[7; 16]].concat()), Err(REFUSED));
    assert_eq!(client(&[&[0x0d, 42][..], &[1; 24], &[1, 7], &[7; 16]].concat()), Err(REFUSED));
    assert_eq!(client(&[0x10, 1, 7]), Err(REFUSED));
}

#[test]
fn a_server_without_a_connection_id_may_not_prefer_an_address() {
    let preferred = [&[0x0d, 42][..], &[1; 24], &[1, 7], &[7; 16]].concat();
    assert!(server(&preferred).is_ok());
    assert_eq!(server(&[&preferred[..], &[0x0f, 0]].concat()), Err(REFUSED));
    assert_eq!(server(&[&[0x0f, 0], &preferred[..]].concat()), Err(REFUSED));
    assert!(server(&[&[0x0f, 1, 7], &preferred[..]].concat()).is_ok());
}

#[test]
fn every_truncation_of_a_proper_list_is_refused_or_ends_between_parameters() {
    let bytes = encoded(|out| server_params().encode(out));
    let whole = (0..=bytes.len()).filter(|len| server(&bytes[..*len]).is_ok()).count();
    // The empty list, and one more for each parameter that is complete.
    assert_eq!(whole, 1 + Entries::new(&bytes).count());
}

// ---- the migration suite ----------------------------------------------------------------------------

#[test]
fn three_strategies_are_written_as_seven_under_identifier_0x64() {
    let three =
        [Strategy::Explicit, Strategy::Pool, Strategy::Symmetric].into_iter().collect::<StrategySet>();
    let client = ClientParams { common: Common::default(), suite_offer: Some(three.into()) };
    assert!(encoded(|out| client.encode(out)).ends_with(&[0x40, 0x64, 1, 7]));
    let server = ServerParams { suite_answer: Some(three.into()), ..server_params() };
    assert!(encoded(|out| server.encode(out)).ends_with(&[0x40, 0x64, 1, 7]));
}

#[test]
fn a_suite_that_is_not_one_integer_is_refused() {
    assert!(refused(&[0x40, 0x64, 0]));
    assert!(refused(&[0x40, 0x64, 1, 0x40]));
    assert!(refused(&[0x40, 0x64, 2, 1, 1]));
    assert!(refused(&[0x40, 0x64, 1, 1, 0x40, 0x64, 1, 4]));
}

#[test]
fn only_identifier_0x64_is_a_suite() {
    assert_eq!(client(&[0x40, 0x65, 1, 7]).map(|p| p.suite_offer), Ok(None));
    assert_eq!(server(&[0x40, 0x63, 1, 7]).map(|p| p.suite_answer), Ok(None));
}

#[test]
fn a_suite_of_any_value_survives_the_list() {
    let value = client(&[0x40, 0x64, 4, 0x80, 0, 0x01, 0x35]).expect("a proper list");
    let again = client(&encoded(|out| value.encode(out))).expect("our own list");
    assert_eq!(again.suite_offer.map(|suite| suite.bits()), Some(0x135));
}

#[test]
fn a_suite_of_zero_is_told_apart_from_none() {
    assert!(server(&[0x40, 0x64, 1, 0]).expect("a proper list").suite_answer.is_some_and(|s| s.is_zero()));
    assert!(server(&[]).expect("an empty list").suite_answer.is_none());
}

#[test]
fn a_server_that_permits_explicit_answers_explicit_to_an_offer_of_three() {
    let offer = client(&[0x40, 0x64, 1, 7]).expect("a proper list").suite_offer;
    let agreement = select(Some(Strategy::Explicit.into()), offer).expect("a proper offer");
    let answer = agreement.map(|a| a.strategies().into());
    let bytes = encoded(|out| ServerParams { suite_answer: answer, ..server_params() }.encode(out));
    assert!(bytes.ends_with(&[0x40, 0x64, 1, 1]));
}

#[test]
fn a_server_answers_nothing_to_a_client_that_offers_nothing() {
    let offer = client(&[]).expect("an empty list").suite_offer;
    let agreement = select(Some(StrategySet::ALL), offer).expect("no offer");
    assert_eq!(agreement, None);
    let answer = agreement.map(|a| a.strategies().into());
    let bytes = encoded(|out| ServerParams { suite_answer: answer, ..server_params() }.encode(out));
    assert!(Entries::new(&bytes).all(|entry| entry.expect("our own list").id != SERVER_MIGRATION_SUITE));
}

#[test]
fn a_client_hears_the_answer_of_its_server() {
    let heard = |bytes: &[u8], offered| {
        let answer = server(bytes).expect("a proper list").suite_answer;
        confirm(offered, answer).map(|a| a.map(|a| a.strategies())).map_err(|e| e.code)
    };
    let explicit = StrategySet::from(Strategy::Explicit);
    assert_eq!(heard(&[0x40, 0x64, 1, 1], Some(StrategySet::ALL)), Ok(Some(explicit)));
    assert_eq!(heard(&[0x40, 0x64, 1, 1], None), Err(REFUSED));
    assert_eq!(heard(&[], Some(explicit)), Ok(None));
}

// ---- the connection IDs -----------------------------------------------------------------------------

#[test]
fn a_clients_id_is_the_one_its_packets_came_from() {
    let params = |own| ClientParams {
        common: Common { initial_source_connection_id: own, ..Common::default() },
        suite_offer: None,
    };
    let outcome = |own| params(own).validate_ids(id(&[3; 8])).map_err(|e| e.code);
    assert_eq!(outcome(Some(id(&[3; 8]))), Ok(()));
    assert_eq!(outcome(Some(id(&[3; 7]))), Err(REFUSED));
    assert_eq!(outcome(None), Err(REFUSED));
    assert_eq!(params(Some(ConnectionId::EMPTY)).validate_ids(ConnectionId::EMPTY), Ok(()));
    assert!(params(None).validate_ids(ConnectionId::EMPTY).is_err());
}

#[test]
fn a_servers_three_ids_are_those_of_the_packets() {
    let (first, own, retry) = (id(&[1; 8]), id(&[3; 8]), id(&[2; 8]));
    let good = server_params();
    let retried = ServerParams { retry_source_connection_id: Some(retry), ..good.clone() };
    let outcome =
        |params: &ServerParams, first, own, retry| params.validate_ids(first, own, retry).map_err(|e| e.code);
    assert_eq!(outcome(&good, first, own, None), Ok(()));
    assert_eq!(outcome(&retried, first, own, Some(retry)), Ok(()));
    assert_eq!(outcome(&good, own, own, None), Err(REFUSED));
    assert_eq!(outcome(&good, first, first, None), Err(REFUSED));
    assert_eq!(outcome(&good, first, own, Some(retry)), Err(REFUSED));
    assert_eq!(outcome(&retried, first, own, None), Err(REFUSED));
    assert_eq!(outcome(&retried, first, own, Some(own)), Err(REFUSED));
    let silent = ServerParams { original_destination_connection_id: None, ..good.clone() };
    assert_eq!(outcome(&silent, first, own, None), Err(REFUSED));
    let nameless = ServerParams { common: Common::default(), ..good };
    assert_eq!(outcome(&nameless, first, own, None), Err(REFUSED));
}

// ---- anything at all --------------------------------------------------------------------------------

prop_compose! {
    fn any_common()(
        numbers in prop::array::uniform7(0u64..1 << 62),
        streams in prop::array::uniform2(0u64..=1 << 60),
        payload in 1200u64..1 << 62,
        exponent in 0u8..=20,
        delay in 0u64..1 << 14,
        flags in any::<[bool; 2]>(),
        own in prop::option::of(prop::collection::vec(any::<u8>(), 0..=20)),
        own_delay in prop::option::of(0u64..=1000),
        versions in prop::option::of(prop::collection::vec(1u32.., 1..9)),
    ) -> Common {
        let [idle, data, local, remote, uni, limit, frame] = numbers;
        Common {
            max_datagram_frame_size: frame,
            min_ack_delay: own_delay.map(|thousandths| Duration::from_micros(delay * thousandths)),
            max_idle_timeout: Duration::from_millis(idle),
            max_udp_payload_size: payload,
            initial_max_data: data,
            initial_max_stream_data_bidi_local: local,
            initial_max_stream_data_bidi_remote: remote,
            initial_max_stream_data_uni: uni,
            initial_max_streams_bidi: streams[0],
            initial_max_streams_uni: streams[1],
            ack_delay_exponent: exponent,
            max_ack_delay: Duration::from_millis(delay),
            disable_active_migration: flags[0],
            grease_quic_bit: flags[1],
            active_connection_id_limit: limit.max(2),
            initial_source_connection_id: own.map(|bytes| id(&bytes)),
            version_information: versions
                .map(|available| VersionInformation { chosen: available[0], available }),
        }
    }
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(common in any_common(), suite in prop::option::of(0u8..64)) {
        let suite_offer = suite.map(|bits| Suite::decode(&[bits]).expect("one byte is an integer"));
        let params = ClientParams { common, suite_offer };
        prop_assert_eq!(client(&encoded(|out| params.encode(out))), Ok(params));
    }

    #[test]
    fn whatever_is_decoded_is_the_same_when_it_is_encoded_and_decoded_again(
        bytes in prop::collection::vec(any::<u8>(), 0..80)
    ) {
        if let Ok(params) = server(&bytes) {
            prop_assert_eq!(server(&encoded(|out| params.encode(out))), Ok(params));
        }
        if let Ok(params) = client(&bytes) {
            prop_assert_eq!(client(&encoded(|out| params.encode(out))), Ok(params));
        }
    }

    #[test]
    fn small_lists_of_known_parameters_never_panic(
        entries in prop::collection::vec((0u64..0x12, prop::collection::vec(any::<u8>(), 0..44)), 0..6)
    ) {
        let bytes = encoded(|out| entries.iter().for_each(|(id, value)| put(out, *id, value)));
        if let Ok(params) = server(&bytes) {
            prop_assert_eq!(server(&encoded(|out| params.encode(out))), Ok(params));
        }
    }
}

// ---- what is remembered -----------------------------------------------------------------------

#[test]
fn none_of_the_eight_limits_of_early_data_may_be_lowered() {
    let before = Common {
        active_connection_id_limit: 3,
        initial_max_data: 4,
        initial_max_stream_data_bidi_local: 5,
        initial_max_stream_data_bidi_remote: 6,
        initial_max_stream_data_uni: 7,
        initial_max_streams_bidi: 8,
        initial_max_streams_uni: 9,
        max_datagram_frame_size: 10,
        ..Common::default()
    };
    let limits = before.limits();
    assert_eq!(limits, [3, 4, 5, 6, 7, 8, 9, 10]);
    assert_eq!(before.keeps(&limits), Ok(()));
    for raised in 0..LIMITS {
        let mut remembered = limits;
        remembered[raised] += 1;
        assert_eq!(before.keeps(&remembered).map_err(|fault| fault.code), Err(Code::PROTOCOL_VIOLATION));
        remembered = limits.map(|limit| limit - 1);
        assert_eq!(before.keeps(&remembered), Ok(()));
    }
}
