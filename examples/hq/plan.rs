//! What to do, once the command line and the environment have been understood.

use std::net::SocketAddr;
use std::path::PathBuf;

use peregrine::SeekPolicy;

use crate::case::{ClientPart, ServerPart};
use crate::moving::Order;
use crate::session::Errand;
use crate::tls::Trust;
use crate::when::When;

/// What to do.
#[derive(Debug)]
pub enum Plan {
    /// Serve.
    Server(ServerPlan),
    /// Fetch.
    Client(ClientPlan),
}

/// Where a server's certificate comes from.
#[derive(Debug, PartialEq, Eq)]
pub enum Certificate {
    /// From PEM files.
    Files {
        /// Its own, and those above it.
        chain: PathBuf,
        /// Its key.
        key: PathBuf,
    },
    /// Made on the spot, and left here for clients.
    MadeInto(PathBuf),
}

/// How to serve.
#[derive(Debug)]
pub struct ServerPlan {
    /// Where: the first of these that will do.
    pub listen: Vec<SocketAddr>,
    /// What.
    pub root: PathBuf,
    /// As whom.
    pub certificate: Certificate,
    /// What the test case asks for.
    pub part: ServerPart,
    /// Where clients are to come after the handshake.
    pub preferred: Vec<SocketAddr>,
    /// Where to, and when.
    pub migrate: Option<Order>,
    /// Where secrets go.
    pub key_log: Option<PathBuf>,
}

/// How to fetch.
#[derive(Debug)]
pub struct ClientPlan {
    /// What, and where it goes.
    pub errands: Vec<Errand>,
    /// From whom.
    pub trust: Trust,
    /// What the test case asks for.
    pub part: ClientPart,
    /// When to move to another port.
    pub rebind: Option<When>,
    /// How to follow a server that moves, if at all.
    pub follows: Option<SeekPolicy>,
    /// Where secrets go.
    pub key_log: Option<PathBuf>,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The options, or the environment, cannot be used; a sentence says why.
    Usage(String),
    /// The test case of this name is unknown, or asks for what is not there.
    UnknownCase(String),
}

impl From<String> for Refusal {
    fn from(what: String) -> Self {
        Self::Usage(what)
    }
}
