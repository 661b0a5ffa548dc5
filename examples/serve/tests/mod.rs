//! The server, its controllers and its clients as processes on loopback, where 127.0.0.2 is another host.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output};
use std::time::Duration;

use clap::Parser;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::Value;

use crate::options::Options;
use crate::places::Places;
use crate::process::{self, Process};

mod bad_input;
mod ctl;
mod endings;
mod moves;
mod scripts;
mod steering;
mod visitor;

/// Not a test: the other tests run this very executable, and here it becomes the program, or a client.
#[test]
fn the_program() {
    let Some(line) = process::line_to_be() else { return };
    let status = match line.split_once(' ') {
        Some(("serve", _)) => crate::run(Options::parse_from(line.split_whitespace())),
        _ => visitor::run(&line),
    };
    std::process::exit(status.into());
}

/// Enough bytes to be on their way while a server moves.
const LARGE: usize = 128 << 20;

/// A server of files, and where it is.
struct Served {
    places: Places,
    process: Process,
    here: SocketAddr,
}

impl Served {
    /// One that serves files of these lengths, with these options beside those that it needs.
    fn start(lengths: &[usize], more: &str) -> Self {
        let places = Places::new();
        places.files(lengths);
        Self::at("127.0.0.1:0", places, more)
    }

    fn at(listen: &str, places: Places, more: &str) -> Self {
        let place = |name: &str| places.place(name).display().to_string();
        let mut process = Process::start(process::program(&format!(
            "serve --listen {listen} --root {} --cert {} --key {} --control {} {more}",
            place("www"),
            place("certs/cert.pem"),
            place("certs/priv.key"),
            place("control"),
        )));
        let here = process.line("listening on ").parse().expect("an address");
        process.line("steered at ");
        Self { places, process, here }
    }

    /// The same port on another host, so to speak.
    fn away(&self, host: u8) -> SocketAddr {
        ([127, 0, 0, host], self.here.port()).into()
    }

    fn control(&self) -> PathBuf {
        self.places.place("control")
    }

    fn call(&self) -> Phone {
        Phone::new(UnixStream::connect(self.control()).expect("it is listened to"))
    }

    /// Runs `serve ctl`; returns its exit status and the lines it printed.
    fn ctl(&self, line: &str) -> (i32, Vec<Value>) {
        let output = self.steer(line).output().expect("it can be run");
        let said = String::from_utf8_lossy(&output.stdout);
        let lines = said.lines().filter(|line| line.starts_with('{'));
        let lines = lines.map(|line| serde_json::from_str(line).expect("JSON")).collect();
        (output.status.code().expect("it ended by itself"), lines)
    }

    fn steer(&self, line: &str) -> Command {
        process::program(&format!("serve ctl --control {} {line}", self.control().display()))
    }

    /// Begins to fetch a file of the server's, as `hq client` does with these options.
    fn visit(&self, file: usize, more: &str) -> Visit {
        let line = format!(
            "hq client --ca {} --out {} {more} https://localhost:{}/file-{file}",
            self.places.place("certs/ca.pem").display(),
            self.places.place("downloads").display(),
            self.here.port(),
        );
        Visit { child: process::program(&line).spawn().expect("it can be run") }
    }

    /// The client is through with the first file, which has arrived as it was; what it said.
    fn see_off(&self, visit: Visit) -> String {
        let said = visit.end().expect("it is fetched");
        self.assert_fetched(&[0]);
        said
    }

    fn assert_fetched(&self, files: &[usize]) {
        let names: Vec<String> = files.iter().map(|file| format!("file-{file}")).collect();
        self.places.assert_fetched(&names);
    }
}

impl Process {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    /// Waits for its end; its exit status, unless it was killed.
    fn wait(&mut self) -> Option<i32> {
        self.child.wait().expect("it can be waited for").code()
    }

    /// Lets it have so many files and sockets open, and no more.
    fn limit_files(&self, files: u64) {
        let limit = Rlimit { current: Some(files), maximum: Some(files) };
        prlimit(Some(Pid::from_child(&self.child)), Resource::Nofile, limit).expect("it runs");
    }

    /// How many files and sockets it has open.
    fn open_files(&self) -> usize {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.child.id()));
        files.expect("it runs").count()
    }
}

/// A server of one file so long, with these options; who hears what happens there; and a client that has begun to fetch it.
fn scene(length: usize, more: &str) -> (Served, Phone, Visit) {
    let served = Served::start(&[length], more);
    let mut phone = served.call().listening();
    let visit = served.visit(0, "--migrate");
    phone.event("connected");
    (served, phone, visit)
}

/// A client on its way.
struct Visit {
    child: Child,
}

impl Visit {
    /// Waits for its end; what it said, if it has fetched the file.
    fn end(self) -> Result<String, String> {
        let Output { status, stdout, stderr } = self.child.wait_with_output().expect("it can be waited for");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if status.success() { Ok(text(&stdout)) } else { Err(text(&stderr)) }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    /// Stops it until it is told to go on; returns when it has.
    fn stop(&self) {
        self.signal(Signal::STOP);
        let stat = format!("/proc/{}/stat", self.child.id());
        let has_stopped = || std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") T "));
        while !has_stopped() {
            std::thread::yield_now();
        }
    }
}

/// A connection to the control socket.
struct Phone {
    stream: BufReader<UnixStream>,
}

impl Phone {
    fn new(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("more than zero");
        Self { stream: BufReader::new(stream) }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).expect("it is read");
    }

    fn read(&mut self) -> Value {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("something comes");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Says a line; what is answered.
    fn ask(&mut self, line: &str) -> Value {
        self.write(format!("{line}\n").as_bytes());
        loop {
            let line = self.read();
            if line.get("event").is_none() {
                return line;
            }
        }
    }

    fn listening(mut self) -> Self {
        assert_eq!(self.ask(r#"{"command":"subscribe"}"#)["ok"], true);
        self
    }

    /// The next event of this kind: of the move, or of a connection.
    fn event(&mut self, name: &str) -> Value {
        loop {
            let event = self.read();
            if event["event"] == name || (event["event"] == "connection" && event["what"] == name) {
                return event;
            }
        }
    }

    fn status(&mut self) -> Value {
        self.ask(r#"{"command":"status"}"#)
    }
}
