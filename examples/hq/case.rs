//! The test cases of the QUIC interop runner, and what each asks of a client and of a server.
//!
//! The runner passes some cases under another's name (a `longrtt` run says `handshake`, the lossy handshakes say
//! `multiconnect`); all names are understood here, so that a case can be tried by the name its results go by.

use peregrine::Version;

use crate::tls::Cipher;

/// Which versions of QUIC an end speaks, and how it comes to speak one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Versions {
    /// Both; it is left to the other end to go over to version 2.
    #[default]
    Both,
    /// Both, and rather version 2; a client begins with version 1 all the same.
    PreferSecond,
    /// Both; a client begins with a version that nobody speaks.
    BeginReserved,
    /// One alone.
    Only(Version),
}

/// How a client spreads what it fetches over connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Split {
    /// One connection fetches all files.
    #[default]
    Together,
    /// One connection a file, one after the other.
    Each,
    /// A connection for the first file, and one that resumes it for the others.
    FirstThenRest,
}

/// What a test case asks of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClientPart {
    /// How many connections, and what each fetches.
    pub split: Split,
    /// The only cipher suite to offer; all three if there is none.
    pub cipher: Option<Cipher>,
    /// Which versions.
    pub versions: Versions,
    /// Whether to update keys early in the transfer.
    pub key_update: bool,
    /// Whether a connection that resumes another asks before its handshake is complete.
    pub zero_rtt: bool,
}

/// What a test case asks of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServerPart {
    /// The only cipher suite to accept; all three if there is none.
    pub cipher: Option<Cipher>,
    /// Whether every client has to prove its address first.
    pub retry: bool,
    /// Which versions.
    pub versions: Versions,
    /// Whether to answer requests that come before the handshake is complete.
    pub zero_rtt: bool,
    /// Whether to have clients come to another address of the server's.
    pub preferred: bool,
}

/// A test case, as both ends play it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// The client's part.
    pub client: ClientPart,
    /// The server's part.
    pub server: ServerPart,
}

impl Case {
    /// The case of this name; `None` if it is unknown, or asks for what is not there.
    pub fn named(name: &str) -> Option<Self> {
        let plain = Self { client: ClientPart::default(), server: ServerPart::default() };
        let chacha = Some(Cipher::ChaCha20);
        Some(match name {
            "handshake" | "transfer" | "longrtt" | "multiplexing" | "amplificationlimit" | "blackhole"
            | "transferloss" | "transfercorruption" | "ecn" | "rebind-port" | "rebind-addr" | "ipv6"
            | "goodput" | "crosstraffic" => plain,
            "chacha20" => Self {
                client: ClientPart { cipher: chacha, ..plain.client },
                server: ServerPart { cipher: chacha, ..plain.server },
            },
            "retry" => Self { server: ServerPart { retry: true, ..plain.server }, ..plain },
            "multiconnect" | "handshakeloss" | "handshakecorruption" => {
                Self { client: ClientPart { split: Split::Each, ..plain.client }, ..plain }
            }
            "resumption" => {
                Self { client: ClientPart { split: Split::FirstThenRest, ..plain.client }, ..plain }
            }
            "zerortt" => Self {
                client: ClientPart { split: Split::FirstThenRest, zero_rtt: true, ..plain.client },
                server: ServerPart { zero_rtt: true, ..plain.server },
            },
            "connectionmigration" => Self { server: ServerPart { preferred: true, ..plain.server }, ..plain },
            "keyupdate" => Self { client: ClientPart { key_update: true, ..plain.client }, ..plain },
            "v2" => Self {
                client: ClientPart { versions: Versions::PreferSecond, ..plain.client },
                server: ServerPart { versions: Versions::PreferSecond, ..plain.server },
            },
            "versionnegotiation" => {
                Self { client: ClientPart { versions: Versions::BeginReserved, ..plain.client }, ..plain }
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every case there is, and whether it can be played.
    const CASES: [(&str, bool); 26] = [
        ("handshake", true),
        ("transfer", true),
        ("longrtt", true),
        ("chacha20", true),
        ("multiplexing", true),
        ("retry", true),
        ("resumption", true),
        ("zerortt", true),
        ("amplificationlimit", true),
        ("blackhole", true),
        ("keyupdate", true),
        ("multiconnect", true),
        ("handshakeloss", true),
        ("transferloss", true),
        ("handshakecorruption", true),
        ("transfercorruption", true),
        ("ecn", true),
        ("rebind-port", true),
        ("rebind-addr", true),
        ("ipv6", true),
        ("connectionmigration", true),
        ("v2", true),
        ("versionnegotiation", true),
        ("goodput", true),
        ("crosstraffic", true),
        ("http3", false),
    ];

    #[test]
    fn a_case_is_played_only_if_all_that_it_asks_for_is_there() {
        for (name, is_there) in CASES {
            assert_eq!(Case::named(name).is_some(), is_there, "{name}");
        }
        assert_eq!(Case::named("handshakes"), None);
    }

    #[test]
    fn only_one_case_has_a_retry() {
        let retries =
            CASES.iter().filter(|(name, _)| Case::named(name).is_some_and(|case| case.server.retry));
        assert_eq!(retries.map(|(name, _)| *name).collect::<Vec<_>>(), ["retry"]);
    }
}
