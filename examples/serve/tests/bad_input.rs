//! Controllers that say what cannot be understood, or too much, or nothing, or do not listen.

use std::io::Write;

use serde_json::Value;

use super::{LARGE, Served};

#[test]
fn whatever_is_no_command_gets_one_line_and_the_next_line_is_read_as_ever() {
    let served = Served::start(&[], "");
    let mut phone = served.call();
    for (line, error) in [
        (&b"hello"[..], "not_json"),
        (b"", "not_json"),
        (b"\xff\xfe\x00", "not_json"),
        (br#"{"command":"status""#, "not_json"),
        (b"[1,2,3]", "no_command"),
        (br#"{"strategy":"pool"}"#, "no_command"),
        (br#"{"command":17}"#, "no_command"),
        (br#"{"command":"dance"}"#, "unknown_command"),
        (br#"{"command":"prepare"}"#, "bad_field"),
        (br#"{"command":"prepare","strategy":"explicit"}"#, "bad_field"),
        (br#"{"command":"prepare","strategy":7}"#, "bad_field"),
        (br#"{"command":"relocated","listen":true}"#, "bad_field"),
    ] {
        phone.write(line);
        phone.write(b"\n");
        let answer = phone.read();
        assert_eq!((&answer["ok"], &answer["error"]), (&Value::from(false), &Value::from(error)), "{answer}");
        assert!(answer["message"].as_str().is_some_and(|message| !message.is_empty()), "{answer}");
        assert_eq!(phone.status()["state"], "home");
    }
}

#[test]
fn a_line_of_more_than_64_kib_gets_one_line_whatever_is_in_it() {
    let served = Served::start(&[], "");
    let mut phone = served.call();
    let longest = format!(r#"{{"command":"status"{}}}"#, " ".repeat((64 << 10) - 20));
    assert_eq!(longest.len(), 64 << 10);
    assert_eq!(phone.ask(&longest)["ok"], true);
    assert_eq!(phone.ask(&format!("{longest} "))["error"], "line_too_long");
    assert_eq!(phone.status()["ok"], true);
    // Commands in it are not carried out, and its end is where it ends.
    for _ in 0..100 {
        phone.write(br#"{"command":"prepare","strategy":"symmetric"} "#.repeat(1000).as_slice());
    }
    phone.write(b"\n");
    assert_eq!(phone.read()["error"], "line_too_long");
    assert_eq!(phone.status()["state"], "home");
}

#[test]
fn controllers_that_misbehave_keep_nobody_waiting() {
    let served = Served::start(&[LARGE], "");
    let mut deaf = served.call();
    deaf.write(b"{\"command\":\"subscribe\"}\n");
    let silent: Vec<_> = (0..8).map(|_| served.call()).collect();
    let flood = std::os::unix::net::UnixStream::connect(served.control()).expect("it is listened to");
    let mut flooding = flood.try_clone().expect("it is open");
    // Never reads an answer, and says as much as it can.
    let flooder = std::thread::spawn(move || while flooding.write_all(&[b'\n'; 4096]).is_ok() {});
    let mut endless = std::os::unix::net::UnixStream::connect(served.control()).expect("it is listened to");
    let pouring = endless.try_clone().expect("it is open");
    let pourer = std::thread::spawn(move || while endless.write_all(&[b'a'; 4096]).is_ok() {});

    let mut phone = served.call().listening();
    let visit = served.visit(0, "--migrate");
    phone.event("connected");
    let away = served.away(2);
    assert_eq!(phone.ask(r#"{"command":"prepare","strategy":"symmetric"}"#)["ok"], true);
    assert_eq!(phone.ask(&format!(r#"{{"command":"relocated","listen":"{away}"}}"#))["ok"], true);
    assert_eq!(phone.event("settled")["lost"], 0);
    served.see_off(visit);

    for stream in [flood, pouring] {
        stream.shutdown(std::net::Shutdown::Both).expect("it is open");
    }
    flooder.join().expect("it ends");
    pourer.join().expect("it ends");
    drop(silent);
}

#[test]
fn more_controllers_than_there_is_room_for_are_served_all_the_same() {
    let served = Served::start(&[], "");
    let mut phones: Vec<_> = (0..100).map(|_| served.call()).collect();
    assert_eq!(phones[99].status()["state"], "home");
    let mut newcomer = served.call();
    assert_eq!(newcomer.status()["state"], "home");
}

/// Clients decide how many files are open. That must not keep those out who could do something about it.
#[test]
fn a_server_whose_clients_have_all_files_open_is_steered_all_the_same() {
    const LIMIT: u32 = 24;
    let served = Served::start(&[1 << 20; 100], "");
    served.process.limit_files(LIMIT.into());
    let url = |file| format!("https://localhost:{}/file-{file}", served.here.port());
    let urls: Vec<String> = (1..100).map(url).collect();
    let visit = served.visit(0, &urls.join(" "));
    while served.process.open_files() < LIMIT as usize {
        std::thread::yield_now();
    }
    // The client takes nothing meanwhile, so that they stay open.
    visit.stop();
    for _ in 0..10 {
        assert_eq!(served.call().status()["state"], "home");
    }
    let mut phones: Vec<_> = (0..30).map(|_| served.call()).collect();
    assert_eq!(phones[29].status()["connections"].as_array().map(Vec::len), Some(1));
    visit.signal(rustix::process::Signal::CONT);
    // It got what could be opened, and was told of the rest.
    assert!(visit.end().expect_err("there were too many").contains("the server cannot read the file"));
}
