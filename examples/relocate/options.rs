//! The command line, and what comes of it once it is checked.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, ValueEnum};

use crate::sizes;
use crate::source::Source;
use crate::variant::Variant;

/// What a client of default settings keeps of a pool.
const MOST_TARGETS: usize = 16;

const EXAMPLES: &str = "\
Examples:
  All five variants, each with four clients that download 32 MiB:
      cargo run --release --example relocate

  One variant, more clients, more bytes:
      cargo run --release --example relocate -- --strategy symmetric --clients 16 --size 256M

  From one address of this machine to another, with a pool of two:
      cargo run --release --example relocate -- --strategy pool --to 127.0.0.5 --to 127.0.0.6

  Over IPv6, to another port of the same address:
      cargo run --release --example relocate -- --from ::1 --to ::1

  Serve a file, and leave the results to a program:
      cargo run --release --example relocate -- --file Cargo.lock --json

Exit status: 0 if every byte of every client was verified and nobody had to shake hands again, 1 if not,
2 if the options cannot be used.";

/// Moves a live QUIC server to another address while its clients download.
///
/// A server and its clients run in this process, on real UDP sockets, in one thread. When half of all
/// bytes have arrived the server is told to prepare; when all connections are ready it closes its socket,
/// opens one at another address, says so to the library and goes on. Every client hashes what it gets,
/// and the hash is compared with that of what is served.
#[derive(Debug, Parser)]
#[command(name = "relocate", after_help = EXAMPLES, verbatim_doc_comment)]
pub struct Options {
    /// Only this variant; may be given several times [default: all five]
    #[arg(long = "strategy", value_name = "NAME", value_enum)]
    strategies: Vec<Variant>,

    /// How many clients download at a time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=500))]
    clients: u16,

    /// How much each client downloads, in bytes or with k, M or G (steps of 1024)
    #[arg(long, value_name = "BYTES", default_value = "32M", value_parser = size, conflicts_with = "file")]
    size: u64,

    /// Where the server is at first: an address of this machine, perhaps with a port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1", value_parser = place)]
    from: SocketAddr,

    /// Where it goes; given several times they are the pool, and it goes to the first.
    /// Default: 127.0.0.2, with 127.0.0.3 in the pool; another port where there are none
    #[arg(long, value_name = "ADDR", value_parser = place, verbatim_doc_comment)]
    to: Vec<SocketAddr>,

    /// Serve this file instead of made-up bytes
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,

    /// Where the picture of received bytes over time goes
    #[arg(long, value_name = "PATH", default_value = "target/relocate.svg")]
    svg: PathBuf,

    /// Print one line of JSON for each run to standard output, and nothing else
    #[arg(long)]
    json: bool,
}

/// What to do.
#[derive(Debug)]
pub struct Plan {
    /// Which variants, in order.
    pub variants: Vec<Variant>,
    /// How many clients.
    pub clients: usize,
    /// How many bytes each of them downloads.
    pub size: u64,
    /// Where the server is at first; port 0 means any.
    pub from: SocketAddr,
    /// Where it may go, and goes to the first; port 0 means any.
    pub to: Vec<SocketAddr>,
    /// What it serves.
    pub source: Source,
    /// Where the picture goes.
    pub svg: PathBuf,
    /// Whether results are JSON.
    pub json: bool,
}

impl Options {
    /// The command line, checked; ends the program with status 2 and a sentence if it cannot be used.
    pub fn plan() -> Plan {
        Self::parse()
            .check()
            .unwrap_or_else(|what| Self::command().error(ErrorKind::ValueValidation, what).exit())
    }

    fn check(self) -> Result<Plan, String> {
        let to = if self.to.is_empty() { elsewhere(self.from) } else { self.to };
        if to.len() > MOST_TARGETS {
            return Err(format!("a pool has at most {MOST_TARGETS} addresses, not {}", to.len()));
        }
        for (number, target) in to.iter().enumerate() {
            if target.is_ipv4() != self.from.is_ipv4() {
                let (from, to) = (named(&self.from), named(target));
                return Err(format!("{from} and {to} are of two families; a move keeps the family"));
            }
            if target.port() != 0 && *target == self.from {
                return Err(format!(
                    "the server is at {target} already; name another address or port to go to"
                ));
            }
            if target.port() != 0 && to[..number].contains(target) {
                return Err(format!("{target} is named twice"));
            }
        }
        let (source, size) = match self.file {
            None => (Source::Generated, self.size),
            Some(path) => {
                let size =
                    file_size(&path).map_err(|what| format!("cannot serve {}: {what}", path.display()))?;
                (Source::File(path), size)
            }
        };
        if size.checked_mul(u64::from(self.clients)).is_none() {
            return Err("all clients together would download more than 2^64 bytes".to_owned());
        }
        let mut variants = self.strategies;
        if variants.is_empty() {
            variants = Variant::value_variants().to_vec();
        }
        let clients = self.clients.into();
        Ok(Plan { variants, clients, size, from: self.from, to, source, svg: self.svg, json: self.json })
    }
}

/// Where to go if nobody says: another loopback address where there is one, else another port.
fn elsewhere(from: SocketAddr) -> Vec<SocketAddr> {
    let neighbours = [2, 3].map(|last| SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0)));
    let near = from.ip() == IpAddr::from(Ipv4Addr::LOCALHOST);
    if near && neighbours.iter().all(|neighbour| UdpSocket::bind(neighbour).is_ok()) {
        neighbours.to_vec()
    } else {
        vec![SocketAddr::new(from.ip(), 0)]
    }
}

fn size(text: &str) -> Result<u64, String> {
    match sizes::parse(text)? {
        0 => Err("a download of no bytes proves nothing; use at least 1".to_owned()),
        size => Ok(size),
    }
}

/// An address as it was given: without its port if any will do.
pub fn named(place: &SocketAddr) -> String {
    if place.port() == 0 { place.ip().to_string() } else { place.to_string() }
}

/// Reads an address, perhaps with a port, that a server can be at.
fn place(text: &str) -> Result<SocketAddr, String> {
    let with_any_port = |_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 0));
    let place = text.parse::<SocketAddr>().or_else(with_any_port).map_err(|_| {
        "not an IP address, with or without a port; write 127.0.0.2, 127.0.0.2:4433, ::1 or [::1]:4433"
            .to_owned()
    })?;
    let broadcast = place.ip() == IpAddr::from(Ipv4Addr::BROADCAST);
    if place.ip().is_unspecified() || place.ip().is_multicast() || broadcast {
        return Err("clients cannot connect there; name one address of this machine".to_owned());
    }
    Ok(place)
}

fn file_size(path: &std::path::Path) -> Result<u64, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let about = file.metadata().map_err(|error| error.to_string())?;
    match about.len() {
        _ if !about.is_file() => Err("it is not a regular file".to_owned()),
        0 => Err("it is empty".to_owned()),
        size => Ok(size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(arguments: &[&str]) -> Result<Plan, String> {
        Options::try_parse_from([&["relocate"], arguments].concat())
            .map_err(|error| error.to_string())?
            .check()
    }

    #[test]
    fn the_options_themselves_are_sound() {
        Options::command().debug_assert();
    }

    #[test]
    fn nothing_said_means_all_variants() {
        let plan = checked(&[]).expect("the defaults are usable");
        assert_eq!((plan.variants.len(), plan.clients, plan.size), (5, 4, 32 << 20));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for arguments in [
            &["--clients", "0"][..],
            &["--size", "0"],
            &["--size", "4x"],
            &["--size", "17179869183G"],
            &["--size", "1k", "--file", "Cargo.toml"],
            &["--file", "no such file"],
            &["--file", "src"],
            &["--strategy", "teleport"],
            &["--from", "0.0.0.0"],
            &["--to", "255.255.255.255"],
            &["--to", "example.org"],
            &["--to", "::1"],
            &["--from", "127.0.0.1:4433", "--to", "127.0.0.1:4433"],
            &["--to", "127.0.0.2:4433", "--to", "127.0.0.2:4433"],
        ] {
            assert!(checked(arguments).is_err(), "{arguments:?}");
        }
    }
}
