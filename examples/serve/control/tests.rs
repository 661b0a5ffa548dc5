use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::*;
use crate::folder::Folder;

/// A control socket in a folder of its own. Every line is answered by its length.
struct Desk {
    folder: Folder,
    control: Control,
}

impl Desk {
    fn new() -> Self {
        let folder = Folder::new();
        let control = Control::open(&folder.path().join("control")).expect("it can be made");
        Self { folder, control }
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.folder.path().join("control")).expect("it is listened to");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("more than zero");
        stream
    }

    fn turn(&mut self) {
        self.control.turn(|line| match line {
            Line::Whole(line) => {
                Reply { line: line.len().to_string(), subscribes: line.starts_with(b"subscribe") }
            }
            Line::TooLong => Reply { line: "too long".to_owned(), subscribes: false },
        });
    }

    /// Turns until nothing is left to do without waiting.
    fn turn_all(&mut self) {
        self.turn();
        while self.control.has_more() {
            self.turn();
        }
    }
}

fn say(mut stream: &UnixStream, what: &[u8]) {
    stream.write_all(what).expect("there is room");
}

fn heard(stream: &UnixStream) -> String {
    let mut line = String::new();
    BufReader::with_capacity(1, stream).read_line(&mut line).expect("something comes");
    line
}

#[test]
fn its_file_is_its_owners_alone_and_goes_with_it() {
    let Desk { folder, control } = Desk::new();
    let path = folder.path().join("control");
    assert_eq!(path.metadata().expect("it is there").permissions().mode() & 0o777, 0o600);
    drop(control);
    assert!(!path.exists());
}

#[test]
fn what_a_dead_server_left_is_put_away_and_nothing_else() {
    let folder = Folder::new();
    let stale = folder.path().join("stale");
    drop(UnixListener::bind(&stale).expect("it can be made"));
    assert!(stale.exists());
    let living = Control::open(&stale).expect("nobody listens there");
    assert!(Control::open(&stale).expect_err("somebody does").contains("another server"));
    drop(living);
    let file = folder.write("file", b"precious");
    assert!(Control::open(&file).expect_err("it is no socket").contains("no socket"));
    assert_eq!(std::fs::read(&file).expect("it is there"), b"precious");
    assert!(Control::open(&folder.path().join("nowhere/control")).is_err());
}

#[test]
fn a_copy_that_was_left_behind_takes_nothing_away() {
    let Desk { folder, control } = Desk::new();
    let path = folder.path().join("control");
    std::fs::remove_file(&path).expect("it is there");
    let restored = UnixListener::bind(&path).expect("it can be made again");
    drop(control);
    assert!(path.exists());
    drop(restored);
}

#[test]
fn a_restored_socket_is_known_again() {
    let Desk { folder, mut control } = Desk::new();
    let path = folder.path().join("control");
    std::fs::remove_file(&path).expect("it is there");
    let _restored = UnixListener::bind(&path).expect("it can be made again");
    control.look_at_file();
    drop(control);
    assert!(!path.exists());
}

#[test]
fn commands_are_answered_in_their_order_however_they_come() {
    let mut desk = Desk::new();
    let one = desk.connect();
    let other = desk.connect();
    say(&one, b"a\nbb\ncc");
    say(&other, b"\n");
    desk.turn_all();
    assert_eq!([heard(&one), heard(&one), heard(&other)], ["1\n", "2\n", "0\n"]);
    say(&one, b"c\n");
    desk.turn_all();
    assert_eq!(heard(&one), "3\n");
}

#[test]
fn who_has_said_all_gets_his_answers_and_is_let_go() {
    let mut desk = Desk::new();
    let stream = desk.connect();
    say(&stream, b"a\nbb");
    stream.shutdown(Shutdown::Write).expect("it is open");
    desk.turn_all();
    let mut all = String::new();
    (&stream).read_to_string(&mut all).expect("it ends");
    assert_eq!((all.as_str(), desk.control.controllers.len()), ("1\n2\n", 0));
}

#[test]
fn a_line_that_is_too_long_is_answered_once_and_the_next_one_as_ever() {
    let mut desk = Desk::new();
    let stream = desk.connect();
    desk.turn();
    for _ in 0..20 {
        say(&stream, &[b'a'; 16 << 10]);
        desk.turn_all();
    }
    say(&stream, b"\nbb\n");
    desk.turn_all();
    assert_eq!([heard(&stream), heard(&stream)], ["too long\n", "2\n"]);
}

#[test]
fn who_does_not_read_his_answers_is_not_read_from() {
    let mut desk = Desk::new();
    let stream = desk.connect();
    stream.set_nonblocking(true).expect("it is open");
    let mut said = 0;
    // As much as the kernel takes, and as often as it takes some more.
    for _ in 0..1000 {
        said += (&stream).write(&[b'\n'; 4096]).unwrap_or_default();
        desk.turn();
    }
    let waiting = desk.control.controllers[0].waiting();
    assert!(said < 1_000_000 && waiting < 64, "{said} bytes were taken, {waiting} wait");
    // And who reads on gets all of them.
    stream.set_nonblocking(false).expect("it is open");
    stream.shutdown(Shutdown::Write).expect("it is open");
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        (&stream).read_to_end(&mut all).map(|_| all)
    });
    while !desk.control.controllers.is_empty() {
        desk.turn();
    }
    let all = reader.join().expect("it reads").expect("it ends");
    assert_eq!(all.len(), 2 * said);
}

#[test]
fn events_are_told_to_those_who_asked() {
    let mut desk = Desk::new();
    let (one, other) = (desk.connect(), desk.connect());
    say(&one, b"subscribe\n");
    say(&other, b"status\n");
    desk.turn_all();
    desk.control.publish("it happened");
    say(&other, b"\n");
    desk.turn_all();
    assert_eq!([heard(&one), heard(&one)], ["9\n", "it happened\n"]);
    assert_eq!([heard(&other), heard(&other)], ["6\n", "0\n"]);
}

#[test]
fn who_does_not_read_events_misses_some_and_learns_how_many() {
    let mut desk = Desk::new();
    let stream = desk.connect();
    say(&stream, b"subscribe\n");
    desk.turn_all();
    let event = "e".repeat(1000);
    for _ in 0..10_000 {
        desk.control.publish(&event);
    }
    let waiting = desk.control.controllers[0].waiting();
    assert!((200 << 10..=256 << 10).contains(&waiting), "{waiting}");
    assert_eq!(heard(&stream), "9\n");
    let mut told = 0;
    let missed: u64 = loop {
        desk.control.publish("the end");
        let line = heard(&stream);
        if line.starts_with('{') {
            let gap: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            assert_eq!(gap["event"], "missed");
            break gap["count"].as_u64().expect("a number");
        }
        told += u64::from(line.len() == 1001);
    };
    // What was published while it was read was missed too, up to where there was room again.
    assert!(told > 250 && missed >= 10_000 - told, "{told} {missed}");
}

#[test]
fn the_longest_silent_controller_makes_room_and_those_that_listen_are_the_last() {
    let mut desk = Desk::new();
    let listening = desk.connect();
    say(&listening, b"subscribe\n");
    desk.turn_all();
    let silent: Vec<UnixStream> = (1..CONTROLLERS).map(|_| desk.connect()).collect();
    desk.turn_all();
    say(&silent[0], b"a\n");
    desk.turn_all();
    let newcomer = desk.connect();
    say(&newcomer, b"bb\n");
    desk.turn_all();
    assert_eq!(desk.control.controllers.len(), CONTROLLERS);
    assert_eq!([heard(&newcomer), heard(&silent[0])], ["2\n", "1\n"]);
    // The second one had to go: its stream is at its end.
    assert_eq!(heard(&silent[1]), "");
    desk.control.publish("still here");
    assert_eq!([heard(&listening), heard(&listening)], ["9\n", "still here\n"]);
}

#[test]
fn a_controller_that_hangs_up_is_forgotten() {
    let mut desk = Desk::new();
    let stream = desk.connect();
    say(&stream, b"subscribe\n");
    desk.turn_all();
    drop(stream);
    desk.turn_all();
    assert!(desk.control.controllers.is_empty());
}
