//! Transport parameters (RFC 9000, Sections 7.3, 7.4 and 18.2).

use peregrine::{CloseReason, Code};

use crate::forger::wire::{LARGEST, varint};
use crate::forger::{Params, Setup, Stage, Victim};

const ORIGINAL_DESTINATION_CONNECTION_ID: u64 = 0x00;
const STATELESS_RESET_TOKEN: u64 = 0x02;
const MAX_UDP_PAYLOAD_SIZE: u64 = 0x03;
const INITIAL_MAX_STREAMS_BIDI: u64 = 0x08;
const INITIAL_MAX_STREAMS_UNI: u64 = 0x09;
const ACK_DELAY_EXPONENT: u64 = 0x0a;
const MAX_ACK_DELAY: u64 = 0x0b;
const DISABLE_ACTIVE_MIGRATION: u64 = 0x0c;
const PREFERRED_ADDRESS: u64 = 0x0d;
const ACTIVE_CONNECTION_ID_LIMIT: u64 = 0x0e;
const INITIAL_SOURCE_CONNECTION_ID: u64 = 0x0f;
const RETRY_SOURCE_CONNECTION_ID: u64 = 0x10;
const VERSION_INFORMATION: u64 = 0x11;
const GREASE_QUIC_BIT: u64 = 0x2ab2;

/// Our endpoint refuses these parameters with this error.
#[track_caller]
fn refused_as(code: Code, victim: Victim, say: impl Fn(Params) -> Params + 'static) {
    let mut stage = Stage::new(victim, &Setup::params(say));
    stage.shake();
    assert!(!stage.is_connected(), "{victim:?} takes them");
    stage.ends_with(code, 0);
}

/// Our endpoint refuses these parameters.
#[track_caller]
fn refused(victim: Victim, say: impl Fn(Params) -> Params + 'static) {
    refused_as(Code::TRANSPORT_PARAMETER_ERROR, victim, say);
}

#[track_caller]
fn refused_by_both(say: impl Fn(Params) -> Params + Clone + 'static) {
    Victim::BOTH.into_iter().for_each(|victim| refused(victim, say.clone()));
}

/// Our endpoint takes these parameters.
#[track_caller]
fn taken(victim: Victim, say: impl Fn(Params) -> Params + 'static) {
    let mut stage = Stage::new(victim, &Setup::params(say));
    stage.still_connects();
}

#[track_caller]
fn taken_by_both(say: impl Fn(Params) -> Params + Clone + 'static) {
    Victim::BOTH.into_iter().for_each(|victim| taken(victim, say.clone()));
}

// ---- values ---------------------------------------------------------------------------------------

#[test]
fn a_value_out_of_its_bounds_is_a_transport_parameter_error() {
    for (id, value) in [
        (MAX_UDP_PAYLOAD_SIZE, 1199),
        (INITIAL_MAX_STREAMS_BIDI, (1 << 60) + 1),
        (INITIAL_MAX_STREAMS_UNI, (1 << 60) + 1),
        (ACK_DELAY_EXPONENT, 21),
        (ACK_DELAY_EXPONENT, LARGEST),
        (MAX_ACK_DELAY, 1 << 14),
        (ACTIVE_CONNECTION_ID_LIMIT, 0),
        (ACTIVE_CONNECTION_ID_LIMIT, 1),
    ] {
        refused_by_both(move |params| params.integer(id, value));
    }
}

#[test]
fn a_value_at_its_bound_is_taken() {
    for (id, value) in [
        (0x01, LARGEST),
        (MAX_UDP_PAYLOAD_SIZE, 1200),
        (MAX_UDP_PAYLOAD_SIZE, LARGEST),
        (0x04, LARGEST),
        (INITIAL_MAX_STREAMS_BIDI, 1 << 60),
        (INITIAL_MAX_STREAMS_UNI, 1 << 60),
        (ACK_DELAY_EXPONENT, 20),
        (MAX_ACK_DELAY, (1 << 14) - 1),
        (ACTIVE_CONNECTION_ID_LIMIT, 2),
        (ACTIVE_CONNECTION_ID_LIMIT, LARGEST),
    ] {
        taken_by_both(move |params| params.integer(id, value));
    }
}

#[test]
fn a_value_of_another_form_is_a_transport_parameter_error() {
    for id in (0x01..=0x0b).filter(|id| *id != STATELESS_RESET_TOKEN).chain([0x0e, 0x20]) {
        refused_by_both(move |params| params.bytes(id, &[]));
        refused_by_both(move |params| params.bytes(id, &[0x40]));
        refused_by_both(move |params| params.bytes(id, &[7, 7]));
    }
    refused_by_both(|params| params.bytes(DISABLE_ACTIVE_MIGRATION, &[1]));
    refused_by_both(|params| params.bytes(GREASE_QUIC_BIT, &[1]));
    refused(Victim::Client, |params| params.bytes(STATELESS_RESET_TOKEN, &[7; 15]));
    refused(Victim::Client, |params| params.bytes(STATELESS_RESET_TOKEN, &[7; 17]));
}

#[test]
fn parameters_that_end_too_early_are_a_transport_parameter_error() {
    // An entry that claims more than there is.
    refused_by_both(|params| params.also(0x1b, &[0; 20]).cut(1));
    refused_by_both(|params| params.also(0x1b, &[0; 20]).cut(21));
}

#[test]
fn a_parameter_said_twice_is_a_transport_parameter_error() {
    refused_by_both(|params| params.also(MAX_ACK_DELAY, &varint(5)).also(MAX_ACK_DELAY, &varint(5)));
    refused_by_both(|params| params.also(0x1b, b"").also(0x1b, b""));
}

#[test]
fn an_unknown_parameter_is_ignored() {
    taken_by_both(|params| params.also(0x1b, b"anything").also(LARGEST, &[7; 300]));
}

// ---- connection IDs -------------------------------------------------------------------------------

#[test]
fn without_its_own_id_parameters_are_a_transport_parameter_error() {
    refused_by_both(|params| params.without(INITIAL_SOURCE_CONNECTION_ID));
}

#[test]
fn without_the_clients_first_id_a_servers_parameters_are_a_transport_parameter_error() {
    refused(Victim::Client, |params| params.without(ORIGINAL_DESTINATION_CONNECTION_ID));
}

#[test]
fn an_id_that_is_not_the_headers_is_a_transport_parameter_error() {
    refused_by_both(|params| params.bytes(INITIAL_SOURCE_CONNECTION_ID, &[9; 8]));
    refused_by_both(|params| params.bytes(INITIAL_SOURCE_CONNECTION_ID, &[]));
    refused(Victim::Client, |params| params.bytes(ORIGINAL_DESTINATION_CONNECTION_ID, &[9; 8]));
}

#[test]
fn an_id_of_a_retry_that_there_was_not_is_a_transport_parameter_error() {
    refused(Victim::Client, |params| params.bytes(RETRY_SOURCE_CONNECTION_ID, &[9; 8]));
}

#[test]
fn an_id_of_more_than_20_bytes_is_a_transport_parameter_error() {
    refused_by_both(|params| params.bytes(INITIAL_SOURCE_CONNECTION_ID, &[9; 21]));
}

// ---- only from a server ---------------------------------------------------------------------------

#[test]
fn what_only_a_server_may_say_is_a_transport_parameter_error_of_a_client() {
    for id in [
        ORIGINAL_DESTINATION_CONNECTION_ID,
        STATELESS_RESET_TOKEN,
        PREFERRED_ADDRESS,
        RETRY_SOURCE_CONNECTION_ID,
    ] {
        for value in [&[][..], &[7; 8], &[7; 16]] {
            refused(Victim::Server, move |params| params.bytes(id, value));
        }
    }
}

/// A preferred address with an ID of so many bytes.
fn preferred(id_len: u8) -> Vec<u8> {
    let mut value = vec![45, 0, 0, 67, 0x11, 0x51];
    value.extend([0; 18]);
    value.push(id_len);
    value.extend(vec![0xee; id_len.into()]);
    value.extend([5; 16]);
    value
}

#[test]
fn a_preferred_address_without_an_id_is_a_transport_parameter_error() {
    refused(Victim::Client, |params| params.bytes(PREFERRED_ADDRESS, &preferred(0)));
}

#[test]
fn a_preferred_address_of_a_server_without_an_id_is_a_transport_parameter_error() {
    let params: fn(Params) -> Params = |params| params.bytes(PREFERRED_ADDRESS, &preferred(8));
    let setup = Setup { scid: Vec::new(), params: Box::new(params), ..Setup::default() };
    let mut stage = Stage::new(Victim::Client, &setup);
    stage.shake();
    stage.ends_with(Code::TRANSPORT_PARAMETER_ERROR, 0);
}

#[test]
fn a_preferred_address_of_another_length_is_a_transport_parameter_error() {
    refused(Victim::Client, |params| params.bytes(PREFERRED_ADDRESS, &preferred(21)));
    refused(Victim::Client, |params| params.bytes(PREFERRED_ADDRESS, &preferred(8)[1..]));
    refused(Victim::Client, |params| params.bytes(PREFERRED_ADDRESS, &[&preferred(8)[..], &[0]].concat()));
}

#[test]
fn a_preferred_address_with_an_id_is_taken() {
    taken(Victim::Client, |params| params.bytes(PREFERRED_ADDRESS, &preferred(8)));
}

#[test]
fn a_refusal_is_told_to_the_application_too() {
    let mut stage =
        Stage::new(Victim::Client, &Setup::params(|params| params.integer(ACK_DELAY_EXPONENT, 21)));
    stage.shake();
    let Some(CloseReason::Fault(fault)) = stage.end() else { panic!("{:?}", stage.end()) };
    assert_eq!(fault.code, Code::TRANSPORT_PARAMETER_ERROR);
}

// ---- versions -------------------------------------------------------------------------------------

/// A version that there is none of.
const NOBODYS: u32 = 0x1a2a_3a4a;
/// RFC 9369.
const TWO: u32 = 0x6b33_43cf;

/// These version numbers, the chosen one first.
fn row(versions: &[u32]) -> Vec<u8> {
    versions.iter().flat_map(|version| version.to_be_bytes()).collect()
}

#[test]
fn version_information_that_is_no_row_of_versions_is_a_transport_parameter_error() {
    for value in [&[][..], &[0, 0, 1], &[0, 0, 0, 1, 0], &[0, 0, 0, 1, 0, 0, 0, 1, 0, 0]] {
        refused_by_both(move |params| params.bytes(VERSION_INFORMATION, value));
    }
}

#[test]
fn version_information_with_a_zero_is_a_transport_parameter_error() {
    refused_by_both(|params| params.bytes(VERSION_INFORMATION, &row(&[0, 1])));
    refused_by_both(|params| params.bytes(VERSION_INFORMATION, &row(&[1, 1, 0])));
}

#[test]
fn a_client_that_cannot_speak_what_it_chose_is_a_transport_parameter_error() {
    refused(Victim::Server, |params| params.bytes(VERSION_INFORMATION, &row(&[1, NOBODYS])));
    refused(Victim::Server, |params| params.bytes(VERSION_INFORMATION, &row(&[1])));
}

#[test]
fn a_choice_that_is_not_the_packets_version_is_a_version_negotiation_error() {
    for chosen in [TWO, NOBODYS] {
        for victim in Victim::BOTH {
            let say = move |params: Params| params.bytes(VERSION_INFORMATION, &row(&[chosen, chosen, 1]));
            refused_as(Code::VERSION_NEGOTIATION_ERROR, victim, say);
        }
    }
}

#[test]
fn version_information_of_the_version_in_use_is_taken() {
    taken_by_both(|params| params.bytes(VERSION_INFORMATION, &row(&[1, NOBODYS, 1])));
    taken(Victim::Client, |params| params.bytes(VERSION_INFORMATION, &row(&[1])));
    taken(Victim::Client, |params| params.without(VERSION_INFORMATION));
}
