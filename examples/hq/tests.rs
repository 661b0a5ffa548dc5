//! Both ends as processes on loopback, told what to do as the runner tells them: by their environment alone.

use std::path::Path;
use std::process::{Command, Output};

use clap::Parser;

use crate::options::Options;
use crate::places::Places;
use crate::process::{self, Process};
use crate::tls::Identity;

/// Not a test: the other tests run this very executable, and here it becomes the program.
#[test]
fn the_program() {
    if let Some(line) = process::line_to_be() {
        std::process::exit(crate::run(Options::parse_from(line.split_whitespace())).into());
    }
}

/// The program, with these arguments and no environment of the runner's.
pub fn program(arguments: &str) -> Command {
    process::program(&format!("hq {arguments}"))
}

/// A server that runs until it is dropped.
pub struct Server {
    process: Process,
    pub port: u16,
}

impl Server {
    fn start(command: Command) -> Self {
        let mut process = Process::start(command);
        let line = process.line("listening on ");
        let port = line.rsplit_once(':').expect("an address").1.parse().expect("a port");
        Self { process, port }
    }
}

impl Places {
    fn environment(&self, command: &mut Command, role: &str, case: &str) {
        command.env("ROLE", role).env("TESTCASE", case);
        command.env("SSLKEYLOGFILE", self.place(&format!("{role}.keys")));
        for (variable, name) in [("WWW", "www"), ("DOWNLOADS", "downloads"), ("CERTS", "certs")] {
            command.env(variable, self.place(name));
        }
    }

    pub fn server(&self, case: &str, host: &str) -> Server {
        let mut command = program("");
        self.environment(&mut command, "server", case);
        Server::start({
            command.env("HOST", host).env("PORT", "0");
            command
        })
    }

    /// Runs a client; returns its exit status and what it complains of.
    fn client(&self, case: &str, port: u16, names: &[String]) -> (Option<i32>, String) {
        let output = self.output(case, port, names);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    pub fn output(&self, case: &str, port: u16, names: &[String]) -> Output {
        let mut command = program("");
        self.environment(&mut command, "client", case);
        let urls = names.iter().map(|name| format!("https://localhost:{port}/{name}"));
        command.env("REQUESTS", urls.collect::<Vec<_>>().join(" "));
        command.output().expect("it can be run")
    }

    /// How often a secret of this name was logged.
    pub fn secrets(&self, role: &str, label: &str) -> usize {
        let log = std::fs::read_to_string(self.place(&format!("{role}.keys"))).expect("secrets were logged");
        log.lines().filter(|line| line.starts_with(label)).count()
    }

    /// Plays a case with files of these lengths; returns how many handshakes it took.
    fn play(&self, case: &str, lengths: &[usize]) -> usize {
        self.play_and_hear(case, lengths).0
    }

    /// The same, and what the client said.
    fn play_and_hear(&self, case: &str, lengths: &[usize]) -> (usize, String) {
        let names = self.files(lengths);
        let server = self.server(case, "127.0.0.1");
        let output = self.output(case, server.port, &names);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{case}: {complaint}");
        self.assert_fetched(&names);
        let handshakes = self.secrets("client", "CLIENT_TRAFFIC_SECRET_0");
        assert_eq!(handshakes, self.secrets("server", "CLIENT_TRAFFIC_SECRET_0"), "{case}");
        (handshakes, String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

#[test]
fn a_transfer_fetches_all_files_over_one_connection() {
    for case in ["handshake", "transfer", "longrtt", "amplificationlimit", "blackhole", "transferloss", "ecn"]
    {
        assert_eq!(Places::new().play(case, &[0, 1, 100_000]), 1, "{case}");
    }
}

#[test]
fn other_names_of_a_transfer_are_played_as_one() {
    for case in ["transfercorruption", "rebind-port", "rebind-addr", "ipv6", "goodput", "crosstraffic"] {
        assert_eq!(Places::new().play(case, &[5000]), 1, "{case}");
    }
}

#[test]
fn a_transfer_needs_more_than_its_first_windows() {
    assert_eq!(Places::new().play("transfer", &[2_000_000, 3_000_000]), 1);
}

#[test]
fn many_more_files_than_streams_fit_into_one_connection() {
    assert_eq!(Places::new().play("multiplexing", &[32; 500]), 1);
}

#[test]
fn a_client_proves_its_address_upon_a_retry() {
    assert_eq!(Places::new().play("retry", &[10_000]), 1);
}

#[test]
fn chacha20_alone_will_do() {
    assert_eq!(Places::new().play("chacha20", &[30_000]), 1);
}

#[test]
fn a_long_chain_of_certificates_is_verified() {
    let places = Places::new();
    places.certify(9);
    assert_eq!(places.play("amplificationlimit", &[5000]), 1);
}

#[test]
fn each_file_can_have_a_connection_of_its_own() {
    for case in ["multiconnect", "handshakeloss", "handshakecorruption"] {
        assert_eq!(Places::new().play(case, &[1024; 10]), 10, "{case}");
    }
}

#[test]
fn keys_are_updated_early_by_the_client_and_then_by_the_server() {
    let places = Places::new();
    assert_eq!(places.play("keyupdate", &[3_000_000]), 1);
    for (role, label) in [("client", "CLIENT_TRAFFIC_SECRET_1"), ("server", "SERVER_TRAFFIC_SECRET_1")] {
        assert!(places.secrets(role, label) >= 1, "{role}");
    }
}

#[test]
fn a_connection_is_resumed_with_and_without_early_data() {
    for (case, notes) in [("resumption", 0), ("zerortt", 1)] {
        let (handshakes, said) = Places::new().play_and_hear(case, &[5000, 10_000, 32, 32]);
        assert_eq!(handshakes, 2, "{case}");
        assert_eq!(said.matches(", resumed\n").count(), 1, "{case}: {said}");
        assert_eq!(said.matches("0-RTT was accepted\n").count(), notes, "{case}: {said}");
    }
}

#[test]
fn a_server_that_takes_no_early_data_fails_a_run_that_wants_it() {
    let places = Places::new();
    let names = places.files(&[1000, 2000]);
    let server = places.server("resumption", "127.0.0.1");
    let (status, complaint) = places.client("zerortt", server.port, &names);
    assert_eq!(status, Some(1));
    assert!(complaint.contains("0-RTT"), "{complaint}");
    places.assert_fetched(&names);
}

#[test]
fn a_client_comes_to_the_address_that_its_server_prefers() {
    let (handshakes, said) = Places::new().play_and_hear("connectionmigration", &[2_000_000]);
    assert_eq!(handshakes, 1);
    assert!(said.contains("prefers"), "{said}");
}

#[test]
fn version_2_is_gone_over_to_from_version_1_and_from_none() {
    for (case, version) in [("v2", 2), ("versionnegotiation", 1), ("transfer", 1)] {
        let (handshakes, said) = Places::new().play_and_hear(case, &[1000]);
        assert_eq!(handshakes, 1, "{case}");
        assert!(said.contains(&format!("QUIC version {version}\n")), "{case}: {said}");
    }
}

#[test]
fn a_client_moves_to_another_port_and_speaks_one_version_alone() {
    let places = Places::new();
    let names = places.files(&[4_000_000]);
    let server = places.server("transfer", "127.0.0.1");
    let client = program(&format!(
        "client --ca {} --out {} --version 2 --rebind https://localhost:{}/{}",
        places.place("certs/ca.pem").display(),
        places.place("downloads").display(),
        server.port,
        names[0],
    ))
    .output()
    .expect("it can be run");
    let said = String::from_utf8_lossy(&client.stdout);
    assert!(client.status.success(), "{}", String::from_utf8_lossy(&client.stderr));
    assert!(said.contains("QUIC version 2\n") && said.contains("by another path\n"), "{said}");
    places.assert_fetched(&names);
}

#[test]
fn a_server_of_all_addresses_serves_both_families() {
    let places = Places::new();
    let names = places.files(&[1000]);
    let server = places.server("ipv6", "::");
    let (status, complaint) = places.client("ipv6", server.port, &names);
    assert_eq!(status, Some(0), "{complaint}");
    places.assert_fetched(&names);
}

#[test]
fn a_file_that_is_missing_fails_the_run_but_not_the_others() {
    let places = Places::new();
    let names = [places.files(&[1000, 2000]), vec!["nothing".to_owned()]].concat();
    let server = places.server("transfer", "127.0.0.1");
    let output = places.output("transfer", server.port, &names);
    let [said, complaint] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert_eq!(output.status.code(), Some(1));
    assert!(complaint.contains("/nothing: the server has no such file"), "{complaint}");
    assert!(said.contains("2 of 3 files"), "{said}");
    places.assert_fetched(&names[..2]);
    assert!(!places.place("downloads/nothing").exists());
}

#[test]
fn a_server_that_cannot_be_verified_gets_no_request() {
    let places = Places::new();
    let names = places.files(&[1000]);
    let server = places.server("transfer", "127.0.0.1");
    Identity::make(&places.place("certs/ca.pem")).expect("another CA can be made");
    let (status, complaint) = places.client("transfer", server.port, &names);
    assert_eq!(status, Some(1));
    assert!(complaint.contains("certificate"), "{complaint}");
    assert!(!places.place("downloads/file-0").exists());
}

#[test]
fn a_case_that_cannot_be_played_is_told_by_its_status() {
    for case in ["http3", "dance"] {
        let places = Places::new();
        assert_eq!(places.client(case, 1, &["file".to_owned()]).0, Some(127), "{case}");
        let mut server = program("");
        places.environment(&mut server, "server", case);
        assert_eq!(server.status().expect("it can be run").code(), Some(127), "{case}");
    }
}

#[test]
fn a_server_makes_its_own_certificate_and_moves_while_it_serves() {
    let places = Places::new();
    let names = places.files(&[8_000_000]);
    let path = |name: &str| Path::new(&places.place(name)).display().to_string();
    for strategy in ["explicit", "symmetric"] {
        let to = std::net::UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let to = to.expect("loopback has a free port");
        let mut server = Server::start(program(&format!(
            "server --listen 127.0.0.1:0 --root {} --made-cert {} --migrate {strategy}:{to}@1M",
            path("www"),
            path("made.pem"),
        )));
        let client = program(&format!(
            "client --ca {} --out {} --migrate https://localhost:{}/{}",
            path("made.pem"),
            path("downloads"),
            server.port,
            names[0],
        ))
        .output()
        .expect("it can be run");
        assert!(client.status.success(), "{strategy}: {}", String::from_utf8_lossy(&client.stderr));
        places.assert_fetched(&names);
        let said = String::from_utf8_lossy(&client.stdout);
        assert!(said.contains(&format!("the server may move: {strategy}\n")), "{said}");
        assert!(said.contains(&format!("goes on at {to} ({strategy})\n")), "{said}");
        assert_eq!(server.process.line("moved to "), to.to_string());
    }
}
