//! What controllers ask for: again, at once, in a wrong order, too late.

use std::time::Duration;

use serde_json::json;

use super::{LARGE, Served, scene};

const SYMMETRIC: &str = r#"{"command":"prepare","strategy":"symmetric"}"#;

#[test]
fn what_is_asked_again_is_answered_again_and_done_once() {
    let served = Served::start(&[], "");
    let (mut watcher, mut phone) = (served.call().listening(), served.call());
    let away = served.away(2);
    let prepare = format!(r#"{{"command":"prepare","strategy":"explicit","target":"{away}"}}"#);
    let relocated = format!(r#"{{"command":"relocated","listen":"{away}"}}"#);
    let mut thrice = |line: &str| {
        let answers = [phone.ask(line), phone.ask(line), phone.ask(line)];
        assert!(answers[0] == answers[1] && answers[1] == answers[2], "{answers:?}");
        answers[0].clone()
    };
    // Nobody is connected: it is ready and settled at once.
    assert_eq!(thrice(&prepare), json!({ "ok": true, "answer": "prepare", "move": 1 }));
    assert_eq!(thrice(r#"{"command":"cancel"}"#), json!({ "ok": true, "answer": "cancel", "move": 1 }));
    assert_eq!(thrice(&prepare)["move"], 2);
    assert_eq!(thrice(&relocated), json!({ "ok": true, "answer": "relocated", "move": 2 }));
    assert_eq!(thrice(r#"{"command":"cancel"}"#)["error"], "not_prepared");
    let mut told = [const { String::new() }; 7];
    for event in &mut told {
        let line = watcher.read();
        *event = format!("{} {}", line["event"].as_str().unwrap_or_default(), line["move"]);
    }
    let once = ["preparing 1", "ready 1", "cancelled 1", "preparing 2", "ready 2", "settling 2", "settled 2"];
    assert_eq!(told, once);
}

#[test]
fn a_number_tells_an_order_that_is_repeated_from_one_for_another_move() {
    let served = Served::start(&[], "");
    let mut phone = served.call();
    let numbered = |number: u64| format!(r#"{{"command":"prepare","strategy":"symmetric","move":{number}}}"#);
    assert_eq!(phone.ask(&numbered(2))["error"], "stale");
    assert_eq!(phone.ask(&numbered(0))["error"], "stale");
    let first = phone.ask(&numbered(1));
    assert_eq!(first["move"], 1);
    assert_eq!(phone.ask(r#"{"command":"relocated","move":2}"#)["error"], "stale");
    let moved = phone.ask(r#"{"command":"relocated","move":1}"#);
    assert_eq!(moved["move"], 1);
    // Whoever ended before he was answered asks again, even when all is over.
    assert_eq!(phone.ask(&numbered(1)), first);
    assert_eq!(phone.ask(r#"{"command":"relocated","move":1}"#), moved);
    assert_eq!(phone.status()["move"], 1);
    assert_eq!(phone.ask(r#"{"command":"cancel","move":2}"#)["error"], "stale");
    // A move without notice, to where it is.
    assert_eq!(phone.ask(r#"{"command":"relocated","move":2}"#)["move"], 2);
    assert_eq!(phone.ask(&numbered(1))["error"], "stale");
    assert_eq!(phone.ask(&numbered(3))["move"], 3);
    assert_eq!(phone.ask(&numbered(4))["error"], "busy");
}

#[test]
fn two_controllers_see_one_server() {
    let served = Served::start(&[LARGE], "");
    let (mut one, mut other) = (served.call().listening(), served.call().listening());
    let visit = served.visit(0, "--migrate");
    let id = one.event("connected")["id"].clone();
    assert_eq!(other.event("connected")["id"], id);
    assert_eq!(one.ask(SYMMETRIC)["move"], 1);
    assert_eq!(other.ask(SYMMETRIC)["move"], 1);
    let another = format!(r#"{{"command":"prepare","strategy":"explicit","target":"{}"}}"#, served.away(2));
    assert_eq!(other.ask(&another)["error"], "busy");
    assert_eq!(other.ask(r#"{"command":"cancel"}"#)["move"], 1);
    assert_eq!(one.event("cancelled")["move"], 1);
    assert_eq!(one.status(), other.status());
    served.see_off(visit);
}

#[test]
fn a_move_that_is_called_off_leaves_everything_as_it_was_and_may_come_later() {
    let (served, mut phone, visit) = scene(LARGE, "");
    let away = served.away(2);
    let prepare = format!(r#"{{"command":"prepare","strategy":"explicit","target":"{away}"}}"#);
    assert_eq!(phone.ask(&prepare)["move"], 1);
    phone.event("ready");
    assert_eq!(phone.status()["admitting"], false);
    assert_eq!(phone.ask(r#"{"command":"cancel"}"#)["ok"], true);
    let status = phone.status();
    assert_eq!((&status["state"], &status["admitting"]), (&json!("cancelled"), &json!(true)));
    assert_eq!(status["connections"].as_array().map(Vec::len), Some(1));
    assert_eq!(phone.ask(&prepare)["move"], 2);
    phone.event("ready");
    assert_eq!(phone.ask(&format!(r#"{{"command":"relocated","listen":"{away}"}}"#))["move"], 2);
    assert_eq!(phone.event("settled")["lost"], 0);
    served.see_off(visit);
}

#[test]
fn a_client_that_does_not_answer_is_closed_at_the_deadline() {
    let (served, mut phone, visit) = scene(LARGE, "");
    visit.stop();
    let away = served.away(2);
    let prepared = phone.ask(&format!(
        r#"{{"command":"prepare","strategy":"explicit","target":"{away}","deadline_ms":200}}"#
    ));
    assert_eq!(prepared["ok"], true);
    let ready = phone.event("ready");
    assert_eq!((&ready["prepared"], &ready["closed"]), (&json!(0), &json!(1)), "{ready}");
    visit.signal(rustix::process::Signal::CONT);
    assert!(visit.end().expect_err("it is closed").contains("server migrated"));
}

#[test]
fn a_move_that_nobody_carries_out_expires() {
    let served = Served::start(&[LARGE], "--patience 1s");
    let mut phone = served.call().listening();
    assert_eq!(phone.ask(SYMMETRIC)["ok"], true);
    assert_eq!(phone.event("ready")["prepared"], 0);
    assert_eq!(phone.event("expired")["move"], 1);
    let status = phone.status();
    assert_eq!((&status["state"], &status["admitting"]), (&json!("expired"), &json!(true)));
    // Clients are served again, and the next move is another one.
    let visit = served.visit(0, "--migrate");
    phone.event("connected");
    assert_eq!(phone.ask(SYMMETRIC)["move"], 2);
    phone.event("ready");
    assert_eq!(phone.ask(r#"{"command":"cancel"}"#)["move"], 2);
    served.see_off(visit);
}

#[test]
fn a_move_that_cannot_be_changes_nothing() {
    let (served, mut phone, visit) = scene(LARGE, "");
    let before = phone.status();
    for target in [r#""[fd00::2]:4433""#.to_owned(), format!(r#""{}""#, served.here)] {
        let line = format!(r#"{{"command":"prepare","strategy":"explicit","target":{target}}}"#);
        assert_eq!(phone.ask(&line)["error"], "target", "{target}");
    }
    assert_eq!(phone.ask(r#"{"command":"cancel"}"#)["error"], "not_prepared");
    // Nobody here has this address, and a socket of IPv6 serves no client of IPv4.
    for (listen, error) in [("192.0.2.1:4433", "cannot_listen"), ("[::1]:0", "family")] {
        let line = format!(r#"{{"command":"relocated","listen":"{listen}"}}"#);
        assert_eq!(phone.ask(&line)["error"], error, "{listen}");
    }
    assert_eq!(phone.status(), before);
    // Nor does a move that fails take back one that was prepared.
    assert_eq!(phone.ask(SYMMETRIC)["ok"], true);
    let ready = phone.event("ready");
    if ready["event"] == "connection" {
        phone.event("ready");
    }
    let prepared = phone.status();
    assert_eq!(phone.ask(r#"{"command":"relocated","listen":"192.0.2.1:4433"}"#)["error"], "cannot_listen");
    assert_eq!(phone.status(), prepared);
    let away = served.away(2);
    assert_eq!(phone.ask(&format!(r#"{{"command":"relocated","listen":"{away}"}}"#))["ok"], true);
    assert_eq!(phone.event("settled")["moved"], 1);
    served.see_off(visit);
}

#[test]
fn new_clients_come_once_the_move_is_over() {
    let served = Served::start(&[1000], "");
    let mut phone = served.call().listening();
    assert_eq!(phone.ask(SYMMETRIC)["ok"], true);
    let visit = served.visit(0, "--migrate");
    // It knocks, and nobody answers; it would for half a minute.
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(phone.status()["connections"], json!([]));
    assert_eq!(phone.ask(r#"{"command":"relocated"}"#)["ok"], true);
    phone.event("connected");
    served.see_off(visit);
}
