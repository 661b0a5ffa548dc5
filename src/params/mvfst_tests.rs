//! Every transport parameter extension that mvfst and its peers were seen to send.

use serde_json::Value;

use super::entries::Entries;
use super::*;
use crate::error::Code;
use crate::negotiation::{Strategy, StrategySet, confirm, select};

struct Seen {
    file: String,
    client: bool,
    bytes: Vec<u8>,
    in_order: Vec<Vec<u8>>,
}

fn bytes(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().expect("a text").as_bytes();
    hex.chunks(2).map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 16).unwrap()).collect()
}

fn seen() -> Vec<Seen> {
    let data: Value = serde_json::from_str(include_str!("../../tests/data/mvfst.json")).expect("JSON");
    let extensions = data["transport_parameters"].as_array().expect("a list");
    extensions
        .iter()
        .map(|extension| Seen {
            file: extension["file"].as_str().expect("a text").to_owned(),
            client: extension["side"] == "client",
            bytes: bytes(&extension["bytes"]),
            in_order: extension["in_order"].as_array().expect("a list").iter().map(bytes).collect(),
        })
        .collect()
}

fn of(file: &str, client: bool) -> Seen {
    let found = seen().into_iter().find(|seen| seen.file == file && seen.client == client);
    found.expect("the scenario was recorded")
}

fn again(seen: &Seen) -> Vec<u8> {
    let mut out = Vec::new();
    if seen.client {
        ClientParams::decode(&seen.bytes).expect(&seen.file).encode(&mut out);
    } else {
        ServerParams::decode(&seen.bytes).expect(&seen.file).encode(&mut out);
    }
    out
}

/// One parameter of a list, written as it stands in a list.
fn parts(list: &[u8]) -> Vec<(u64, Vec<u8>)> {
    Entries::new(list)
        .map(|entry| {
            let entry = entry.expect("a proper list");
            let mut out = Vec::new();
            put(&mut out, entry.id, entry.bytes());
            (entry.id, out)
        })
        .collect()
}

#[test]
fn every_extension_is_read_parameter_by_parameter() {
    let seen = seen();
    assert_eq!(seen.len(), 102);
    for seen in seen {
        let parts: Vec<Vec<u8>> = parts(&seen.bytes).into_iter().map(|(_, bytes)| bytes).collect();
        assert_eq!(parts, seen.in_order, "{}", seen.file);
    }
}

#[test]
fn every_parameter_that_is_modelled_is_written_again_to_the_same_bytes() {
    let mut compared = 0;
    for seen in seen() {
        let ours = parts(&again(&seen));
        for (id, bytes) in parts(&seen.bytes) {
            let again = ours.iter().find(|(our, _)| *our == id).map(|(_, our)| our);
            assert_eq!(again, Some(&bytes), "{} parameter {id:#x}", seen.file);
            compared += 1;
        }
    }
    assert!(compared > 1200, "{compared}");
}

#[test]
fn a_list_written_again_is_read_the_same() {
    for seen in seen() {
        let ours = again(&seen);
        if seen.client {
            assert_eq!(ClientParams::decode(&ours), ClientParams::decode(&seen.bytes));
        } else {
            assert_eq!(ServerParams::decode(&ours), ServerParams::decode(&seen.bytes));
        }
    }
}

#[test]
fn the_suite_is_the_last_parameter_on_both_sides_as_it_is_on_ours() {
    for seen in seen() {
        let has_suite = parts(&seen.bytes).iter().any(|(id, _)| *id == SERVER_MIGRATION_SUITE);
        let last = parts(&again(&seen)).last().map(|(id, _)| *id);
        assert_eq!(last == Some(SERVER_MIGRATION_SUITE), has_suite, "{}", seen.file);
    }
}

fn offer(file: &str) -> Option<Suite> {
    ClientParams::decode(&of(file, true).bytes).expect(file).suite_offer
}

fn answer(file: &str) -> Option<Suite> {
    ServerParams::decode(&of(file, false).bytes).expect(file).suite_answer
}

#[test]
fn a_server_of_ours_answers_an_mvfst_client_as_mvfst_does() {
    let cases = [
        ("negotiation-all", Some(StrategySet::ALL)),
        ("negotiation-subset", Some([Strategy::Explicit, Strategy::Symmetric].into_iter().collect())),
        ("negotiation-nothing-in-common", Some([Strategy::Explicit, Strategy::Pool].into_iter().collect())),
        ("negotiation-server-off", None),
        ("negotiation-client-off", Some(StrategySet::ALL)),
        ("suite-only-unknown-bit", Some(StrategySet::ALL)),
        ("suite-answer-not-offered", Some(StrategySet::ALL)),
    ];
    for (file, enabled) in cases {
        let agreement = select(enabled, offer(file)).expect(file);
        assert_eq!(agreement.map(|a| a.strategies().into()), answer(file), "{file}");
    }
}

#[test]
fn a_client_of_ours_takes_the_answer_of_an_mvfst_server() {
    for file in
        ["negotiation-all", "negotiation-subset", "negotiation-nothing-in-common", "negotiation-server-off"]
    {
        let offered = offer(file).expect(file).known();
        let agreement = confirm(Some(offered), answer(file)).expect(file);
        assert_eq!(agreement.map(|a| a.strategies().into()), answer(file), "{file}");
    }
}

#[test]
fn the_offer_of_zero_is_read_and_then_refused() {
    let refused = select(Some(StrategySet::ALL), offer("suite-zero")).map_err(|e| e.code);
    assert_eq!(refused, Err(Code::TRANSPORT_PARAMETER_ERROR));
}
