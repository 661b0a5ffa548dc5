//! The command line, and what comes of it once it is checked.

use clap::Parser;

use crate::sizes;
use crate::terms::DATAGRAM;

/// The most that is transferred, in bytes.
const MOST_BYTES: u64 = 64 << 30;
/// The most connections of one client.
const MOST_CONNECTIONS: u16 = 1000;
/// The most turns of each library.
const MOST_ROUNDS: u16 = 99;
/// The largest datagram that the drivers have room for.
const MOST_MTU: u16 = 65_507;
/// The most that one connection carries, in bytes: an AES-GCM key seals 2^23 packets, and Peregrine begins no key
/// update of its own.
const MOST_A_CONNECTION: u64 = 10 << 30;

const EXAMPLES: &str = "\
Examples:
  One connection, 1 GiB, three rounds:
      cargo run --release --example throughput

  Eight connections of one client, 4 GiB, five rounds:
      cargo run --release --example throughput -- --size 4G --connections 8 --rounds 5

Exit status: 0 if every byte of every transfer was verified, 1 if not, 2 if the options cannot be used.";

/// Transfers the same bytes over loopback UDP by Peregrine and by quinn, in turn, and compares them.
///
/// A client and a server run on a thread each. The client sends over as many connections as it is told, one
/// stream on each; the server verifies every byte. What is measured is the time it takes and the processor
/// time it costs, that of the kernel included.
#[derive(Debug, Parser)]
#[command(name = "throughput", after_help = EXAMPLES, verbatim_doc_comment)]
pub struct Options {
    /// How much is transferred, in bytes or with k, M or G (steps of 1024)
    #[arg(long, value_name = "BYTES", default_value = "1G", value_parser = size, allow_negative_numbers = true)]
    size: u64,

    /// Over how many connections of one client
    #[arg(long, value_name = "N", default_value = "1", value_parser = connections, allow_negative_numbers = true)]
    connections: u16,

    /// How often each of the two has its turn; the medians count
    #[arg(long, value_name = "N", default_value = "3", value_parser = rounds, allow_negative_numbers = true)]
    rounds: u16,

    /// Search for larger datagrams than 1452 bytes, up to so many; loopback carries 9000 and more
    #[arg(long, value_name = "BYTES", value_parser = largest, allow_negative_numbers = true)]
    mtu: Option<u16>,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Bytes that all connections carry together.
    pub size: u64,
    /// Connections of one client.
    pub connections: u16,
    /// Turns of each library.
    pub rounds: u16,
    /// The largest datagram that is looked for, in bytes of UDP payload; `None`: none larger than all are at first.
    pub mtu: Option<u16>,
}

impl Options {
    /// The command line, checked; ends the program with status 2 and one line if it cannot be used.
    pub fn plan() -> Plan {
        let refuse = |what: String| -> ! {
            eprintln!("throughput: {what}; --help says more");
            std::process::exit(2)
        };
        match Self::try_parse() {
            Ok(options) => options.check().unwrap_or_else(|what| refuse(what)),
            Err(error) if error.use_stderr() => refuse(first_line(&error)),
            Err(asked_for) => asked_for.exit(),
        }
    }

    fn check(self) -> Result<Plan, String> {
        let Self { size, connections, rounds, mtu } = self;
        if size < connections.into() {
            return Err(format!(
                "{size} bytes cannot be split over {connections} connections; use --connections 1 to {size}"
            ));
        }
        let least = size.div_ceil(MOST_A_CONNECTION);
        if u64::from(connections) < least {
            return Err(format!(
                "one connection carries at most {}G with one key; use --connections {least} or more",
                MOST_A_CONNECTION >> 30
            ));
        }
        Ok(Plan { size, connections, rounds, mtu })
    }
}

impl Plan {
    /// The bytes each connection carries: equal parts, the first ones perhaps a byte longer.
    pub fn parts(&self) -> impl Iterator<Item = u64> + use<> {
        let connections = u64::from(self.connections);
        let (part, longer) = (self.size / connections, self.size % connections);
        (0..connections).map(move |number| part + u64::from(number < longer))
    }
}

fn size(text: &str) -> Result<u64, String> {
    match sizes::parse(text)? {
        0 => Err("a transfer of no bytes shows nothing; use 1 to 64G".to_owned()),
        size if size > MOST_BYTES => Err(format!("that takes too long; use at most {}G", MOST_BYTES >> 30)),
        size => Ok(size),
    }
}

fn connections(text: &str) -> Result<u16, String> {
    count(text, MOST_CONNECTIONS)
}

fn rounds(text: &str) -> Result<u16, String> {
    count(text, MOST_ROUNDS)
}

fn largest(text: &str) -> Result<u16, String> {
    let bytes = text.parse().ok().filter(|bytes| (DATAGRAM..=MOST_MTU).contains(bytes));
    bytes.ok_or_else(|| format!("use a whole number from {DATAGRAM} to {MOST_MTU}"))
}

fn count(text: &str, most: u16) -> Result<u16, String> {
    let count = text.parse().ok().filter(|count| (1..=most).contains(count));
    count.ok_or_else(|| format!("use a whole number from 1 to {most}"))
}

/// What clap has to say, without the lines that point elsewhere.
fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn checked(arguments: &[&str]) -> Result<Plan, String> {
        Options::try_parse_from([&["throughput"], arguments].concat())
            .map_err(|error| first_line(&error))?
            .check()
    }

    #[test]
    fn the_options_themselves_are_sound() {
        Options::command().debug_assert();
    }

    #[test]
    fn nothing_said_means_one_gibibyte_over_one_connection() {
        assert_eq!(checked(&[]), Ok(Plan { size: 1 << 30, connections: 1, rounds: 3, mtu: None }));
    }

    #[test]
    fn the_parts_make_up_the_whole() {
        let plan = checked(&["--size", "1000003", "--connections", "1000"]).expect("it can be split");
        let parts: Vec<u64> = plan.parts().collect();
        assert_eq!((parts.len(), parts.iter().sum(), parts[0], parts[999]), (1000, 1_000_003, 1001, 1000));
    }

    #[test]
    fn what_cannot_be_run_is_refused_in_one_line_that_says_what_to_use() {
        for arguments in [
            &["--size", "0"][..],
            &["--size", "65G"],
            &["--size", "much"],
            &["--size", "-1"],
            &["--connections", "0"],
            &["--connections", "1001"],
            &["--connections", "many"],
            &["--connections", "-1"],
            &["--size", "10", "--connections", "11"],
            &["--size", "64G", "--connections", "6"],
            &["--rounds", "0"],
            &["--mtu", "1451"],
            &["--mtu", "65508"],
            &["--sise", "1G"],
        ] {
            let refusal = checked(arguments).expect_err("it cannot be run");
            assert!(!refusal.is_empty() && !refusal.contains('\n'), "{arguments:?}: {refusal}");
        }
    }
}
