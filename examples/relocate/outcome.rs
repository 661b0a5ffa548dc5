//! What came of a run: figures for a person, a line for a program, a panel for the picture.

use std::net::SocketAddr;
use std::time::Duration;

use indicatif::BinaryBytes;
use peregrine::Instant;
use serde_json::json;

use crate::options::named;
use crate::picture::Panel;
use crate::source::Hash;
use crate::variant::Variant;

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The socket could not be opened.
    #[error("cannot bind {place}: {1}", place = named(.0))]
    Bind(SocketAddr, std::io::Error),
    /// A socket is beyond use.
    #[error("a socket failed: {0}")]
    Socket(std::io::Error),
    /// The library refused a setting or a call.
    #[error("the library refused to {0}: {1}")]
    Library(&'static str, Box<dyn std::error::Error>),
    /// Nothing happened for too long.
    #[error("no progress for {0:?}: {1}")]
    Stalled(Duration, String),
    /// What is served could not be read.
    #[error("the server could not read what it serves: {0}")]
    Source(String),
    /// A download will never be complete.
    #[error("client {0} did not get its answer: {1}")]
    Broken(usize, String),
    /// A download is not what was served.
    #[error("client {client} got {got} bytes with SHA-256 {hash}, not the {want} bytes that were served")]
    Wrong { client: usize, got: u64, want: u64, hash: String },
    /// Somebody had to shake hands again.
    #[error(
        "there were {0} handshakes at the server and {1} at the clients; one for each of the {2} clients is right"
    )]
    Handshakes(usize, usize, usize),
    /// The library says that connections did not survive.
    #[error("{moved} connections moved and {lost} were lost; all {clients} should have moved")]
    Lost { moved: usize, lost: usize, clients: usize },
}

/// When what happened.
#[derive(Debug, Clone, Copy, Default)]
pub struct Moments {
    /// The server was told to prepare.
    pub notice: Option<Instant>,
    /// All connections were ready.
    pub ready: Option<Instant>,
    /// The server was at its new address.
    pub moved: Option<Instant>,
    /// It was over.
    pub end: Option<Instant>,
}

/// What came of one run.
#[derive(Debug)]
pub struct Outcome {
    /// Which variant.
    pub variant: Variant,
    /// How many clients.
    pub clients: usize,
    /// Where the server was, and where it was to go.
    pub places: Option<(SocketAddr, SocketAddr)>,
    /// When what happened.
    pub moments: Moments,
    /// The longest time any client waited for data within its download.
    pub longest_pause: Duration,
    /// Bytes that all clients got.
    pub bytes: u64,
    /// Handshakes that the server completed.
    pub handshakes: usize,
    /// For each client: when, and how many bytes it had by then.
    pub lines: Vec<Vec<(Duration, u64)>>,
    /// How it failed, if it did.
    pub failure: Option<Failure>,
}

impl Outcome {
    /// The first row of the table.
    pub const HEADINGS: &'static str =
        "variant             clients  notice to ready  longest pause        bytes     time  SHA-256";

    /// Its row in the table.
    pub fn row(&self) -> String {
        format!(
            "{:18} {:>8} {:>16} {:>14} {:>12} {:>8}  {}",
            self.variant.name(),
            self.clients,
            self.notice_to_ready().map_or_else(|| "-".to_owned(), |time| format!("{:.2} ms", millis(time))),
            format!("{:.2} ms", millis(self.longest_pause)),
            BinaryBytes(self.bytes).to_string(),
            self.moments.end.map_or_else(|| "-".to_owned(), |end| format!("{:.2} s", seconds(end))),
            if self.failure.is_none() { "verified" } else { "NOT VERIFIED" },
        )
    }

    /// Its line of JSON; what did not happen is null.
    pub fn json(&self, want: &Hash) -> String {
        json!({
            "variant": self.variant.name(),
            "clients": self.clients,
            "from": self.places.map(|(from, _)| from.to_string()),
            "to": self.places.map(|(_, to)| to.to_string()),
            "bytes": self.bytes,
            "notice_ms": self.moments.notice.map(|at| seconds(at) * 1e3),
            "moved_ms": self.moments.moved.map(|at| seconds(at) * 1e3),
            "end_ms": self.moments.end.map(|at| seconds(at) * 1e3),
            "notice_to_ready_ms": self.notice_to_ready().map(millis),
            "longest_pause_ms": millis(self.longest_pause),
            "handshakes": self.handshakes,
            "sha256": hex(want),
            "verified": self.failure.is_none(),
            "error": self.failure.as_ref().map(Failure::to_string),
        })
        .to_string()
    }

    /// Its panel of the picture.
    pub fn panel(&self) -> Panel {
        let since_start = |at: Instant| at.since(Instant::ZERO);
        let end = if self.failure.is_none() { "every byte verified" } else { "failed" };
        Panel {
            title: format!("{}: {end}", self.variant.name()),
            notice: self.moments.notice.map(since_start),
            moved: self.moments.moved.map(since_start),
            lines: self.lines.clone(),
        }
    }

    fn notice_to_ready(&self) -> Option<Duration> {
        Some(self.moments.ready?.since(self.moments.notice?))
    }
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn seconds(at: Instant) -> f64 {
    at.since(Instant::ZERO).as_secs_f64()
}
