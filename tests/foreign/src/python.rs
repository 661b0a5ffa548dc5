//! aioquic, in a process of its own and in a virtual environment that is made when it is first wanted.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use crate::pki::Identity;

/// What is installed.
const RELEASE: &str = "aioquic==1.7.2";

/// An aioquic client at work.
#[derive(Debug)]
pub struct Aioquic {
    /// There until it is asked what it saw.
    child: Option<Child>,
    _certs: Certs,
}

impl Aioquic {
    /// Lets a client fetch files from `server`; `options` are those of `peer.py`.
    ///
    /// # Panics
    ///
    /// If there is no Python.
    pub fn client(identity: &Identity, server: SocketAddr, options: &[&str]) -> Self {
        let certs = Certs::new(identity);
        let mut command = command("client", &certs);
        let at =
            ["--host".to_owned(), server.ip().to_string(), "--port".to_owned(), server.port().to_string()];
        let child = command.args(at).args(options).spawn().expect("Python starts");
        Self { child: Some(child), _certs: certs }
    }

    /// Whether it has ended.
    ///
    /// # Panics
    ///
    /// If the system cannot tell.
    pub fn is_done(&mut self) -> bool {
        let ended = self.child.as_mut().map(Child::try_wait);
        ended.is_none_or(|ended| ended.expect("the system knows its processes").is_some())
    }

    /// What it saw, one text a connection.
    ///
    /// # Panics
    ///
    /// If it did not get what it wanted.
    pub fn seen(mut self) -> Vec<String> {
        let child = self.child.take().expect("it is asked once");
        let Output { status, stdout, stderr } = child.wait_with_output().expect("its output can be read");
        let (said, complaint) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(status.success(), "aioquic failed: {complaint}");
        said.lines().filter_map(|line| line.strip_prefix("seen ")).map(str::to_owned).collect()
    }
}

impl Drop for Aioquic {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // A test has failed; an error means that the client has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// An aioquic server at work.
#[derive(Debug)]
pub struct AioquicServer {
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
    said: BufReader<ChildStdout>,
    _certs: Certs,
}

impl AioquicServer {
    /// Starts a server at a free port of 127.0.0.1; `options` are those of `peer.py`.
    ///
    /// # Panics
    ///
    /// If there is no Python, or aioquic does not start.
    pub fn start(identity: &Identity, options: &[&str]) -> Self {
        Self::at("127.0.0.1", identity, options)
    }

    /// Starts a server at another address of this machine.
    ///
    /// # Panics
    ///
    /// As [`AioquicServer::start`].
    pub fn at(host: &str, identity: &Identity, options: &[&str]) -> Self {
        let certs = Certs::new(identity);
        let mut command = command("server", &certs);
        let mut child = command
            .args(["--host", host])
            .args(options)
            .stdin(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let mut said = BufReader::new(child.stdout.take().expect("its output is ours"));
        let mut line = String::new();
        said.read_line(&mut line).expect("its output can be read");
        let port = line.trim().strip_prefix("listening ").and_then(|port| port.parse().ok());
        let port = port.unwrap_or_else(|| panic!("aioquic did not start: {line:?}"));
        let address = SocketAddr::new(host.parse().expect("an address"), port);
        Self { address, child, said, _certs: certs }
    }

    /// Waits until it has seen a connection end, and says what it saw of it.
    ///
    /// # Panics
    ///
    /// If it sees none.
    pub fn seen(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("its output can be read");
        let seen = line.trim().strip_prefix("seen ");
        seen.unwrap_or_else(|| panic!("aioquic said {line:?}")).to_owned()
    }
}

impl Drop for AioquicServer {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder of PEM files that is gone when it is not needed any more.
#[derive(Debug)]
struct Certs(PathBuf);

impl Certs {
    fn new(identity: &Identity) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = workshop().join(format!("certs-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).expect("the target folder can be written to");
        identity.write_to(&folder).expect("the target folder can be written to");
        Self(folder)
    }
}

impl Drop for Certs {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn command(role: &str, certs: &Certs) -> Command {
    let mut command = Command::new(python());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("aioquic/peer.py");
    command.arg(script).arg(role).arg("--certs").arg(&certs.0).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Where the virtual environment is, beside what cargo builds.
fn workshop() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target")).join("foreign")
}

/// The Python of the virtual environment, which is made first if it is not there.
fn python() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    static MAKING: Mutex<()> = Mutex::new(());
    let _alone = MAKING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    MADE.get_or_init(|| {
        let place = workshop().join(RELEASE);
        let python = place.join("bin/python");
        let ready = place.join("ready");
        if !ready.exists() {
            let venv = place.to_str().expect("the target folder has a plain name");
            run("python3", &["-m", "venv", "--clear", venv]);
            run(python.to_str().expect("as above"), &["-m", "pip", "install", "--quiet", RELEASE]);
            fs::write(&ready, RELEASE).expect("the target folder can be written to");
        }
        python
    })
}

fn run(program: &str, arguments: &[&str]) {
    let outcome = Command::new(program).args(arguments).output();
    let Output { status, stderr, .. } = outcome.unwrap_or_else(|error| {
        panic!("the tests against aioquic need Python 3.10 or newer with venv as `{program}`: {error}")
    });
    let complaint = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "`{program} {}` failed; is there a network? {complaint}", arguments.join(" "));
}
