//! Which sentences of the RFCs are about an error, and which test shows what our endpoints make of it.
//!
//! An ID names RFC, section and how many sentences of this kind stand before it in that section; the words are ours. What
//! has no test says why. The list is complete for RFC 8999, 9000, 9001, 9221, 9287, 9368
//! and 9369; RFC 9002 names no error.

use std::collections::BTreeSet;

use stage::sources::has_test;

/// A sentence about an error.
struct Requirement {
    id: &'static str,
    /// What happens.
    offence: &'static str,
    shown: Shown,
}

/// What shows how it is met.
enum Shown {
    /// These tests, each after its module here.
    Here(&'static [&'static str]),
    /// This test of another file.
    There { file: &'static str, test: &'static str },
    /// Nothing, and why.
    Nothing(&'static str),
}

const fn here(id: &'static str, offence: &'static str, tests: &'static [&'static str]) -> Requirement {
    Requirement { id, offence, shown: Shown::Here(tests) }
}

const fn there(
    id: &'static str,
    offence: &'static str,
    file: &'static str,
    test: &'static str,
) -> Requirement {
    Requirement { id, offence, shown: Shown::There { file, test } }
}

const fn none(id: &'static str, offence: &'static str, why: &'static str) -> Requirement {
    Requirement { id, offence, shown: Shown::Nothing(why) }
}

/// How many sentences of each RFC are listed.
const COUNTS: [(&str, usize); 7] = [
    ("rfc9000", 105),
    ("rfc9001", 30),
    ("rfc9221", 3),
    ("rfc8999", 2),
    ("rfc9287", 1),
    ("rfc9368", 15),
    ("rfc9369", 2),
];

#[rustfmt::skip] // A table: one sentence a line.
const REQUIREMENTS: &[Requirement] = &[
    here("rfc9000-2.2-3", "other data at the same offset", &["streams::other_data_at_the_same_offset_does_not_replace_what_was_read"]),
    here("rfc9000-4.1-2", "more data than a limit permits", &["streams::stream_data_beyond_the_streams_limit_is_a_flow_control_error", "streams::stream_data_beyond_the_connections_limit_is_a_flow_control_error"]),
    here("rfc9000-4.1-3", "limits of data that are lowered", &["streams::limits_that_are_lowered_are_ignored"]),
    here("rfc9000-4.6-1", "a limit of more than 2^60 streams", &["streams::a_number_of_streams_beyond_2_to_the_60_is_a_frame_encoding_error", "parameters::a_value_out_of_its_bounds_is_a_transport_parameter_error"]),
    here("rfc9000-4.6-3", "a stream beyond the limit, in any frame", &["streams::a_frame_for_a_stream_beyond_the_limit_is_a_stream_limit_error"]),
    here("rfc9000-4.6-4", "limits of streams that are lowered", &["streams::a_stream_limit_that_is_lowered_is_ignored"]),
    here("rfc9000-5.1.1-6", "more connection IDs than are kept", &["ids::one_id_more_than_is_kept_is_a_connection_id_limit_error"]),
    there("rfc9000-5.1.2-7", "more connection IDs to give back than are kept", "src/cid/remote_tests.rs", "a_peer_that_retires_without_hearing_of_it_is_stopped_at_twice_the_limit"),
    here("rfc9000-5.2-2", "an error behind what was processed already", &["frames::what_stands_before_a_frame_that_cannot_be_read_does_not_hide_the_error"]),
    here("rfc9000-5.2.1-3", "another version than the client's", &["packets::a_packet_of_another_version_is_dropped_by_a_client"]),
    here("rfc9000-5.2.2-3", "a small datagram of an unknown version", &["packets::a_small_datagram_of_an_unknown_version_is_not_answered"]),
    here("rfc9000-5.2.2-8", "packets of no connection that begin none", &["packets::a_handshake_packet_of_no_connection_is_not_answered"]),
    here("rfc9000-6.1-1", "Version Negotiation to a server", &["packets::version_negotiation_to_a_server_is_not_answered"]),
    here("rfc9000-6.2-2", "Version Negotiation that comes late", &["retries::version_negotiation_after_an_initial_is_dropped"]),
    here("rfc9000-6.2-3", "Version Negotiation that lists the version in use", &["retries::version_negotiation_that_lists_the_version_in_use_is_dropped"]),
    here("rfc9000-7.2-3", "a source that changes, at a client", &["packets::packets_of_another_source_than_the_first_are_dropped"]),
    here("rfc9000-7.2-6", "a source that changes, in Initials", &["packets::packets_of_another_source_than_the_first_are_dropped"]),
    here("rfc9000-7.3-2", "connection IDs in parameters that are not those of the headers", &["parameters::an_id_that_is_not_the_headers_is_a_transport_parameter_error"]),
    here("rfc9000-7.3-3", "connection IDs that are missing in parameters", &["parameters::without_its_own_id_parameters_are_a_transport_parameter_error", "parameters::without_the_clients_first_id_a_servers_parameters_are_a_transport_parameter_error"]),
    here("rfc9000-7.3-4", "connection IDs in parameters that contradict a Retry, or its absence", &["parameters::an_id_that_is_not_the_headers_is_a_transport_parameter_error", "parameters::an_id_of_a_retry_that_there_was_not_is_a_transport_parameter_error", "retries::without_the_id_of_its_retry_a_servers_parameters_are_a_transport_parameter_error"]),
    here("rfc9000-7.4-1", "a parameter of an invalid value", &["parameters::a_value_out_of_its_bounds_is_a_transport_parameter_error", "parameters::a_value_of_another_form_is_a_transport_parameter_error"]),
    here("rfc9000-7.4-2", "a parameter said twice", &["parameters::a_parameter_said_twice_is_a_transport_parameter_error"]),
    there("rfc9000-7.4.1-9", "early data under parameters that hold no more", "tests/early_data/refused.rs", "a_server_that_lowered_a_limit_does_not_take_early_data"),
    here("rfc9000-7.4.2-1", "an unknown parameter", &["parameters::an_unknown_parameter_is_ignored"]),
    here("rfc9000-7.5-3", "more CRYPTO data than is kept", &["tls::handshake_data_further_ahead_than_is_kept_is_crypto_buffer_exceeded"]),
    none("rfc9000-7.5-6", "CRYPTO data that is thrown away", "none is thrown away: too much of it ends the connection"),
    here("rfc9000-8.2.1-7", "a small datagram with PATH_CHALLENGE", &["packets::a_path_challenge_in_a_small_datagram_is_answered"]),
    there("rfc9000-9-3", "a client that moves though it was told not to", "tests/client_migration.rs", "a_server_that_wants_its_clients_to_stay_bears_with_their_translators"),
    here("rfc9000-9-7", "packets from an address that is not the server's", &["packets::a_client_takes_nothing_from_another_address"]),
    none("rfc9000-9.3.2-2", "a path that fails when there is no earlier one", "an address that was validated is kept until the next one is"),
    here("rfc9000-10.2.1-7", "packets from elsewhere while closing", &["endings::a_closing_endpoint_sends_nothing_to_an_address_that_is_not_the_peers"]),
    here("rfc9000-10.2.2-1", "packets while draining", &["endings::who_was_told_that_it_is_over_says_nothing_more"]),
    here("rfc9000-10.2.2-3", "packets after the peer's CONNECTION_CLOSE", &["endings::who_was_told_that_it_is_over_says_nothing_more"]),
    here("rfc9000-10.2.3-1", "an error once the handshake is confirmed", &["endings::an_error_is_said_in_one_rtt_packets_alone_once_the_handshake_is_confirmed"]),
    here("rfc9000-10.2.3-6", "an application's close within the handshake", &["endings::an_application_that_closes_within_the_handshake_tells_nobody_why"]),
    here("rfc9000-10.2.3-7", "its reason", &["endings::an_application_that_closes_within_the_handshake_tells_nobody_why"]),
    here("rfc9000-10.3-2", "a fatal error while CONNECTION_CLOSE can be sent", &["endings::an_error_is_said_in_one_rtt_packets_alone_once_the_handshake_is_confirmed"]),
    here("rfc9000-10.3-7", "packets too small to be any", &["packets::a_packet_too_short_to_be_sampled_is_dropped", "packets::a_datagram_too_short_for_a_packet_is_not_answered_at_all"]),
    here("rfc9000-10.3-9", "a token behind a long header", &["endings::a_stateless_reset_with_a_long_header_ends_the_connection"]),
    here("rfc9000-10.3.1-3", "tokens of IDs not in use, or given back", &["endings::a_token_of_an_id_that_is_not_in_use_resets_nothing", "endings::a_token_of_an_id_that_was_given_back_resets_nothing"]),
    here("rfc9000-10.3.1-5", "a token of an ID in use", &["endings::a_stateless_reset_ends_the_connection_without_a_word"]),
    here("rfc9000-11.1-1", "an error of the whole connection", &["endings::an_error_is_said_in_one_rtt_packets_alone_once_the_handshake_is_confirmed"]),
    here("rfc9000-12.2-7", "a packet that does not decrypt before others", &["packets::what_follows_a_packet_that_does_not_decrypt_is_read"]),
    none("rfc9000-12.3-3", "the last packet number", "a key seals at most 2^23 packets, and nobody lives to see 2^62"),
    here("rfc9000-12.3-4", "a copy of a packet", &["packets::a_copy_of_a_packet_is_dropped", "packets::a_packet_with_a_number_used_before_is_dropped"]),
    here("rfc9000-12.4-2", "a packet without frames", &["frames::a_packet_without_frames_is_a_protocol_violation"]),
    here("rfc9000-12.4-3", "a frame in a packet that must not carry it", &["frames::a_frame_that_an_initial_must_not_carry_is_a_protocol_violation", "frames::a_frame_that_a_handshake_packet_must_not_carry_is_a_protocol_violation", "early_data::a_frame_that_0_rtt_does_not_permit_is_a_protocol_violation"]),
    here("rfc9000-12.4-4", "a frame of an unknown type", &["frames::a_frame_of_an_unknown_type_is_a_frame_encoding_error"]),
    here("rfc9000-12.5-3", "an application's close before 1-RTT", &["frames::a_frame_that_an_initial_must_not_carry_is_a_protocol_violation", "frames::a_frame_that_a_handshake_packet_must_not_carry_is_a_protocol_violation"]),
    here("rfc9000-12.5-5", "all other frames before 1-RTT", &["frames::a_frame_that_an_initial_must_not_carry_is_a_protocol_violation", "frames::a_frame_that_a_handshake_packet_must_not_carry_is_a_protocol_violation"]),
    here("rfc9000-13.3-5", "outdated frames", &["streams::limits_that_are_lowered_are_ignored", "ids::the_same_id_twice_is_fine"]),
    here("rfc9000-14-4", "a datagram that is too small", &["packets::an_initial_in_a_small_datagram_is_dropped_by_a_server"]),
    here("rfc9000-14.1-4", "an Initial in a datagram that is too small", &["packets::an_initial_in_a_small_datagram_is_dropped_by_a_server"]),
    none("rfc9000-14.2-4", "a path that carries no 1200 bytes", "a path that does not is one that is lost: nothing smaller is tried"),
    none("rfc9000-14.2.1-1", "an ICMP message that claims less than 1200 bytes", "the library hears of no ICMP messages"),
    here("rfc9000-17.2-1", "a long header without the fixed bit", &["packets::a_packet_without_the_fixed_bit_is_dropped"]),
    here("rfc9000-17.2-3", "a destination of more than 20 bytes", &["packets::ids_of_more_than_20_bytes_are_dropped"]),
    here("rfc9000-17.2-6", "a source of more than 20 bytes", &["packets::ids_of_more_than_20_bytes_are_dropped"]),
    here("rfc9000-17.2-9", "reserved bits of a long header", &["packets::reserved_bits_of_a_long_header_are_a_protocol_violation"]),
    here("rfc9000-17.2.1-1", "unused bits of Version Negotiation", &["retries::version_negotiation_that_lists_the_version_in_use_is_dropped"]),
    here("rfc9000-17.2.2-1", "a token in a server's Initial", &["packets::an_initial_with_a_token_is_not_taken_by_a_client"]),
    here("rfc9000-17.2.2-2", "a token in a server's Initial", &["packets::an_initial_with_a_token_is_not_taken_by_a_client"]),
    here("rfc9000-17.2.4-2", "other frames in a Handshake packet", &["frames::a_frame_that_a_handshake_packet_must_not_carry_is_a_protocol_violation"]),
    here("rfc9000-17.2.5-1", "unused bits of a Retry", &["retries::a_retry_that_fits_is_obeyed_whatever_its_unused_bits"]),
    here("rfc9000-17.2.5.1-2", "a Retry that keeps the client's first ID", &["retries::a_retry_that_keeps_the_clients_first_id_is_dropped"]),
    here("rfc9000-17.2.5.2-1", "a second Retry", &["retries::a_second_retry_is_dropped"]),
    here("rfc9000-17.2.5.2-2", "a Retry that comes late", &["retries::a_second_retry_is_dropped", "retries::a_retry_after_an_initial_is_dropped"]),
    here("rfc9000-17.2.5.2-3", "a Retry with a wrong tag", &["retries::a_retry_with_a_wrong_tag_is_dropped"]),
    here("rfc9000-17.2.5.2-4", "a Retry without a token", &["retries::a_retry_without_a_token_is_dropped"]),
    here("rfc9000-17.3.1-1", "a short header without the fixed bit", &["packets::a_packet_without_the_fixed_bit_is_dropped"]),
    here("rfc9000-17.3.1-3", "reserved bits of a short header", &["packets::reserved_bits_of_a_short_header_are_a_protocol_violation"]),
    here("rfc9000-17.4-5", "the spin bit", &["packets::the_spin_bit_means_nothing"]),
    here("rfc9000-18.2-5", "a preferred address of a server without an ID", &["parameters::a_preferred_address_of_a_server_without_an_id_is_a_transport_parameter_error"]),
    here("rfc9000-18.2-6", "a preferred address without an ID", &["parameters::a_preferred_address_without_an_id_is_a_transport_parameter_error"]),
    here("rfc9000-18.2-7", "either of them", &["parameters::a_preferred_address_of_a_server_without_an_id_is_a_transport_parameter_error", "parameters::a_preferred_address_without_an_id_is_a_transport_parameter_error"]),
    here("rfc9000-18.2-9", "a limit of less than two connection IDs", &["parameters::a_value_out_of_its_bounds_is_a_transport_parameter_error"]),
    here("rfc9000-18.2-11", "a client that says what only a server may", &["parameters::what_only_a_server_may_say_is_a_transport_parameter_error_of_a_client"]),
    here("rfc9000-19.3.1-1", "an ACK below number zero", &["frames::an_ack_below_number_zero_is_a_frame_encoding_error"]),
    here("rfc9000-19.4-1", "RESET_STREAM for a stream that only we send on", &["streams::a_frame_for_the_receiving_half_of_a_stream_that_only_we_send_on_is_a_stream_state_error"]),
    here("rfc9000-19.5-1", "STOP_SENDING for a stream of ours that there is not", &["streams::a_frame_for_a_stream_of_ours_that_was_not_opened_is_a_stream_state_error"]),
    here("rfc9000-19.5-2", "STOP_SENDING for a stream that we only receive on", &["streams::a_frame_for_the_sending_half_of_a_stream_that_only_the_peer_sends_on_is_a_stream_state_error"]),
    here("rfc9000-19.6-1", "CRYPTO beyond the largest offset", &["tls::handshake_data_beyond_the_largest_offset_is_a_frame_encoding_error"]),
    here("rfc9000-19.7-2", "an empty NEW_TOKEN", &["frames::an_empty_new_token_is_a_frame_encoding_error"]),
    here("rfc9000-19.7-4", "NEW_TOKEN from a client", &["frames::new_token_from_a_client_is_a_protocol_violation"]),
    here("rfc9000-19.8-1", "STREAM for a stream of ours that there is not, or that only we send on", &["streams::a_frame_for_a_stream_of_ours_that_was_not_opened_is_a_stream_state_error", "streams::a_frame_for_the_receiving_half_of_a_stream_that_only_we_send_on_is_a_stream_state_error"]),
    here("rfc9000-19.8-2", "STREAM beyond the largest offset", &["streams::stream_data_beyond_the_largest_offset_is_a_frame_encoding_error"]),
    here("rfc9000-19.9-2", "more data than MAX_DATA permits", &["streams::stream_data_beyond_the_connections_limit_is_a_flow_control_error"]),
    here("rfc9000-19.10-1", "MAX_STREAM_DATA for a stream of ours that there is not", &["streams::a_frame_for_a_stream_of_ours_that_was_not_opened_is_a_stream_state_error"]),
    here("rfc9000-19.10-2", "MAX_STREAM_DATA for a stream that we only receive on", &["streams::a_frame_for_the_sending_half_of_a_stream_that_only_the_peer_sends_on_is_a_stream_state_error"]),
    here("rfc9000-19.10-4", "more data than MAX_STREAM_DATA permits", &["streams::stream_data_beyond_the_streams_limit_is_a_flow_control_error", "streams::an_empty_end_beyond_the_streams_limit_is_a_flow_control_error"]),
    here("rfc9000-19.11-1", "MAX_STREAMS of more than 2^60", &["streams::a_number_of_streams_beyond_2_to_the_60_is_a_frame_encoding_error"]),
    here("rfc9000-19.11-2", "MAX_STREAMS that is lowered", &["streams::a_stream_limit_that_is_lowered_is_ignored"]),
    here("rfc9000-19.11-4", "more streams than MAX_STREAMS permits", &["streams::a_frame_for_a_stream_beyond_the_limit_is_a_stream_limit_error"]),
    here("rfc9000-19.13-2", "STREAM_DATA_BLOCKED for a stream that only we send on", &["streams::a_frame_for_the_receiving_half_of_a_stream_that_only_we_send_on_is_a_stream_state_error"]),
    here("rfc9000-19.14-2", "STREAMS_BLOCKED of more than 2^60", &["streams::a_number_of_streams_beyond_2_to_the_60_is_a_frame_encoding_error"]),
    here("rfc9000-19.15-1", "an issued ID of no bytes or too many", &["ids::an_id_not_of_1_to_20_bytes_is_a_frame_encoding_error"]),
    here("rfc9000-19.15-3", "an ID from a peer that has none", &["ids::an_id_from_a_peer_that_has_none_is_a_protocol_violation"]),
    here("rfc9000-19.15-4", "an ID issued in the same words again", &["ids::the_same_id_twice_is_fine"]),
    here("rfc9000-19.15-7", "an ID that retires itself", &["ids::an_id_that_retires_itself_is_a_frame_encoding_error"]),
    here("rfc9000-19.15-8", "a Retire Prior To that is lowered", &["ids::retire_prior_to_that_is_lowered_is_ignored"]),
    here("rfc9000-19.15-9", "an ID that comes after it was retired", &["ids::retire_prior_to_that_is_lowered_is_ignored"]),
    here("rfc9000-19.16-1", "an ID given back that was not issued", &["ids::giving_back_an_id_that_was_not_issued_is_a_protocol_violation"]),
    here("rfc9000-19.16-2", "the packet's own ID given back", &["ids::giving_back_the_id_that_the_packet_came_on_is_a_protocol_violation"]),
    there("rfc9000-19.16-4", "an ID without bytes given back", "src/cid/local.rs", "an_id_without_bytes_stays_the_only_one"),
    here("rfc9000-19.20-2", "HANDSHAKE_DONE from a client", &["frames::handshake_done_from_a_client_is_a_protocol_violation"]),
    here("rfc9001-4.1.3-2", "more handshake data at a level that is over", &["tls::more_handshake_data_at_a_level_that_is_over_is_a_protocol_violation"]),
    here("rfc9001-4.1.3-3", "handshake data that a change of keys leaves behind", &["tls::handshake_data_that_a_change_of_keys_leaves_behind_is_a_protocol_violation"]),
    here("rfc9001-4.2-2", "an older TLS", &["tls::an_older_tls_ends_the_connection"]),
    here("rfc9001-4.4-5", "a CertificateRequest after the handshake", &["tls::a_certificate_request_after_the_handshake_is_a_protocol_violation"]),
    here("rfc9001-4.4-6", "a CertificateRequest after the handshake", &["tls::a_certificate_request_after_the_handshake_is_a_protocol_violation"]),
    here("rfc9001-4.6.1-2", "a ticket with another measure of early data", &["tls::a_ticket_that_permits_early_data_by_the_byte_is_a_protocol_violation"]),
    here("rfc9001-4.6.2-1", "early data that was refused", &["early_data::an_acknowledgement_of_early_data_that_was_not_taken_is_a_protocol_violation"]),
    here("rfc9001-4.8-1", "a TLS alert", &["tls::a_tls_message_out_of_turn_is_a_fatal_alert"]),
    here("rfc9001-4.9.1-1", "Initial packets to a client that has sent a Handshake packet", &["tls::packets_of_a_level_that_is_over_are_dropped"]),
    here("rfc9001-4.9.1-2", "Initial packets to a server that has taken a Handshake packet", &["tls::packets_of_a_level_that_is_over_are_dropped"]),
    here("rfc9001-4.9.2-1", "Handshake packets once the handshake is confirmed", &["tls::packets_of_a_level_that_is_over_are_dropped"]),
    there("rfc9001-4.9.3-4", "early data after 1-RTT packets", "tests/early_data/replays.rs", "the_keys_of_early_data_are_gone_soon_after_the_handshake"),
    here("rfc9001-5.3-2", "a ClientHello with an unknown cipher suite", &["tls::an_unknown_cipher_suite_is_no_fault"]),
    here("rfc9001-5.4.2-1", "a packet too short to be sampled", &["packets::a_packet_too_short_to_be_sampled_is_dropped"]),
    here("rfc9001-5.5-1", "a packet that does not decrypt", &["packets::a_flipped_key_phase_that_does_not_decrypt_is_dropped", "tls::an_old_key_on_a_higher_number_is_not_even_tried"]),
    here("rfc9001-5.5-2", "a key update that does not decrypt", &["packets::a_flipped_key_phase_that_does_not_decrypt_is_dropped"]),
    here("rfc9001-5.6-6", "early data to a client", &["packets::a_0_rtt_packet_is_not_taken_by_a_client"]),
    here("rfc9001-5.6-7", "early data to a client", &["packets::a_0_rtt_packet_is_not_taken_by_a_client"]),
    here("rfc9001-5.7-2", "1-RTT packets to a server within the handshake", &["packets::one_rtt_packets_wait_until_the_handshake_is_complete"]),
    here("rfc9001-5.7-5", "1-RTT packets to a client within the handshake", &["packets::one_rtt_packets_wait_until_the_handshake_is_complete"]),
    here("rfc9001-6-3", "a KeyUpdate message", &["tls::a_key_update_message_is_an_unexpected_message"]),
    here("rfc9001-6.4-2", "an older key after a newer one", &["tls::a_newer_key_on_a_lower_number_is_a_key_update_error"]),
    there("rfc9001-6.6-7", "more forgeries than a key bears", "src/crypto/keys/tests.rs", "one_forgery_above_the_limit_ends_the_connection_whatever_the_phase"),
    here("rfc9001-8.1-2", "no protocol in common", &["tls::a_client_without_a_common_protocol_is_told_so"]),
    here("rfc9001-8.1-3", "no protocol in common, at a client", &["tls::a_server_that_selects_no_protocol_is_told_so"]),
    here("rfc9001-8.1-6", "no protocol in common, at a server", &["tls::a_client_without_a_common_protocol_is_told_so"]),
    here("rfc9001-8.1-7", "a protocol that was not offered", &["tls::a_server_that_selects_another_protocol_than_was_offered_is_not_accepted"]),
    here("rfc9001-8.2-1", "a ClientHello without transport parameters", &["tls::without_transport_parameters_a_client_hello_is_a_missing_extension"]),
    here("rfc9001-8.2-2", "EncryptedExtensions without transport parameters", &["tls::without_transport_parameters_encrypted_extensions_are_a_missing_extension"]),
    here("rfc9001-8.3-2", "CRYPTO in early data", &["early_data::a_frame_that_0_rtt_does_not_permit_is_a_protocol_violation"]),
    here("rfc9221-3-3", "DATAGRAM that was not asked for", &["frames::a_datagram_frame_that_was_not_asked_for_is_a_protocol_violation"]),
    here("rfc9221-3-4", "DATAGRAM larger than permitted", &["frames::a_datagram_frame_larger_than_was_permitted_is_a_protocol_violation"]),
    there("rfc9221-3-9", "a smaller limit of DATAGRAM after early data", "tests/early_data/refused.rs", "a_server_that_takes_early_data_and_less_of_a_datagram_breaks_the_protocol"),
    here("rfc8999-6-1", "unused bits of Version Negotiation", &["retries::version_negotiation_that_lists_the_version_in_use_is_dropped"]),
    here("rfc8999-6-2", "Version Negotiation that lists nothing", &["retries::version_negotiation_that_lists_nothing_is_dropped"]),
    here("rfc9287-3-1", "grease_quic_bit with a value", &["parameters::a_value_of_another_form_is_a_transport_parameter_error"]),
    there("rfc9368-2.1-4", "a server with no version in common", "tests/versions.rs", "without_a_common_version_the_client_is_told_which_there_are"),
    here("rfc9368-2.1-6", "Version Negotiation to a server", &["packets::version_negotiation_to_a_server_is_not_answered"]),
    none("rfc9368-2.3-2", "a first flight that cannot be read as another version's", "that of version 1 can be read as that of version 2, and the other way round"),
    here("rfc9368-4-1", "Version Negotiation that lists the original version", &["retries::version_negotiation_that_lists_the_version_in_use_is_dropped"]),
    here("rfc9368-4-2", "Version Negotiation after one that was obeyed", &["retries::a_second_advice_is_dropped"]),
    here("rfc9368-4-4", "version_information that cannot be read", &["parameters::version_information_that_is_no_row_of_versions_is_a_transport_parameter_error"]),
    here("rfc9368-4-5", "a version of zero", &["parameters::version_information_with_a_zero_is_a_transport_parameter_error"]),
    here("rfc9368-4-6", "a client's choice that is not among its versions", &["parameters::a_client_that_cannot_speak_what_it_chose_is_a_transport_parameter_error"]),
    here("rfc9368-4-9", "a client's choice that is not its packets' version", &["parameters::a_choice_that_is_not_the_packets_version_is_a_version_negotiation_error"]),
    here("rfc9368-4-10", "another choice than 1 over version 1", &["parameters::a_choice_that_is_not_the_packets_version_is_a_version_negotiation_error"]),
    here("rfc9368-4-13", "a server's choice that the client does not speak", &["parameters::a_choice_that_is_not_the_packets_version_is_a_version_negotiation_error"]),
    here("rfc9368-4-14", "no version_information after Version Negotiation", &["retries::a_server_that_says_nothing_of_versions_after_its_advice_is_a_version_negotiation_error"]),
    here("rfc9368-4-16", "versions that Version Negotiation had left out", &["retries::a_server_that_speaks_what_its_advice_left_out_is_a_version_negotiation_error"]),
    here("rfc9368-4-17", "no versions after Version Negotiation", &["retries::a_server_that_speaks_nothing_after_its_advice_is_a_version_negotiation_error"]),
    here("rfc9368-4-18", "a server's choice that is not its packets' version", &["parameters::a_choice_that_is_not_the_packets_version_is_a_version_negotiation_error"]),
    there("rfc9369-4.1-7", "Initials of the version before", "src/connection/versions/tests.rs", "a_server_reads_initials_of_the_version_before_until_it_forgets_the_keys"),
    here("rfc9369-4.1-9", "packets of any other version", &["packets::a_packet_of_another_version_is_dropped_by_a_client"]),
];

#[test]
fn every_sentence_about_an_error_has_a_test_or_a_reason() {
    for Requirement { id, offence, shown } in REQUIREMENTS {
        assert!(!offence.is_empty(), "{id} says nothing");
        match shown {
            Shown::Here(tests) => {
                assert!(!tests.is_empty(), "{id} is shown by nothing");
                for test in *tests {
                    let (module, name) = test.split_once("::").expect("a module and a test");
                    let file = format!("tests/offences/{module}.rs");
                    assert!(has_test(&file, name), "{id}: there is no test {test}");
                }
            }
            Shown::There { file, test } => assert!(has_test(file, test), "{id}: no test {test} in {file}"),
            Shown::Nothing(why) => assert!(why.len() > 20, "{id} has no test and no reason"),
        }
    }
}

#[test]
fn no_sentence_is_listed_twice_and_none_is_lost() {
    let ids: BTreeSet<_> = REQUIREMENTS.iter().map(|requirement| requirement.id).collect();
    assert_eq!(ids.len(), REQUIREMENTS.len());
    for (rfc, count) in COUNTS {
        let listed = ids.iter().filter(|id| id.split('-').next() == Some(rfc)).count();
        assert_eq!(listed, count, "{rfc}");
    }
    assert_eq!(COUNTS.iter().map(|(_, count)| count).sum::<usize>(), ids.len());
}
