//! The command line and the environment, and what comes of both once they are checked.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use peregrine::{SeekPolicy, Version};

use crate::case::{Case, Split, Versions};
use crate::environment::Environment;
use crate::moving::Order;
use crate::plan::{Certificate, ClientPlan, Plan, Refusal, ServerPlan};
use crate::session::Errand;
use crate::tls::{Cipher, Trust};
use crate::url::{Authority, Url};
use crate::when::When;

/// The port of the runner's servers.
const RUNNER_PORT: u16 = 443;
/// Where a server listens if nobody says.
const LISTEN: &str = "127.0.0.1:4433";
/// Where the certificate goes that a server makes for itself.
const MADE: &str = "target/hq-ca.pem";

const EXAMPLES: &str = "\
Examples:
  Serve this folder on 127.0.0.1:4433, with a certificate made on the spot:
      cargo run --release --example hq -- server --root .

  Fetch two files from there, into target/fetched:
      cargo run --release --example hq -- client --ca target/hq-ca.pem --out target/fetched \\
          https://localhost:4433/Cargo.toml https://localhost:4433/README.md

  The same in version 2 of QUIC, with new keys and from another port after the first megabyte:
      cargo run --release --example hq -- client --ca target/hq-ca.pem --version 2 --key-update --rebind \\
          https://localhost:4433/FILE

  Twice, the second time over a resumed connection that asks in its first flight (the server says --zero-rtt too):
      cargo run --release --example hq -- client --ca target/hq-ca.pem --zero-rtt \\
          https://localhost:4433/FILE https://localhost:4433/OTHER

  Let the server move to another address two seconds after its first client has come:
      cargo run --release --example hq -- server --migrate symmetric:127.0.0.2:4433@2s
      cargo run --release --example hq -- client --ca target/hq-ca.pem --migrate https://localhost:4433/FILE

As an endpoint of the QUIC interop runner it needs no options: ROLE, TESTCASE, REQUESTS, SSLKEYLOGFILE, HOST,
PORT, WWW, DOWNLOADS and CERTS say everything, and any option overrides them. docs/interop.md has more.

Exit status: 0 if every file was fetched, 1 if not, 2 if the options cannot be used, 127 if the test case is
unknown or asks for what is not there.";

/// Serves files, or fetches them, by HTTP/0.9 over QUIC (ALPN hq-interop).
///
/// Each file has a stream of its own: `GET /path` goes up, the file comes down. A server streams files in
/// pieces, and serves nothing outside its folder. A client stores files under their own paths.
#[derive(Debug, Parser)]
#[command(name = "hq", after_help = EXAMPLES, verbatim_doc_comment)]
pub struct Options {
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Serve the files of a folder until stopped
    #[command(after_help = EXAMPLES)]
    Server(ServerOptions),
    /// Fetch files, store them, and exit
    #[command(after_help = EXAMPLES)]
    Client(ClientOptions),
}

/// When a client looks for a server that has said where it goes.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Seeking {
    /// When it falls silent
    Reactive,
    /// At once
    Proactive,
}

impl From<Seeking> for SeekPolicy {
    fn from(seeking: Seeking) -> Self {
        match seeking {
            Seeking::Reactive => Self::Reactive,
            Seeking::Proactive => Self::Proactive,
        }
    }
}

/// What both roles have.
#[derive(Debug, Default, Args)]
struct Common {
    /// Play a test case of the interop runner [env: TESTCASE]
    #[arg(long, value_name = "NAME")]
    testcase: Option<String>,

    /// Speak only this cipher suite [default: all of them]
    #[arg(long, value_name = "NAME", value_enum)]
    cipher: Option<Cipher>,

    /// Speak only this version of QUIC, 1 or 2 [default: both]
    #[arg(long, value_name = "N", value_parser = version)]
    version: Option<Version>,

    /// Append the secrets of all connections to this file, for Wireshark [env: SSLKEYLOGFILE]
    #[arg(long, value_name = "FILE")]
    keylog: Option<PathBuf>,
}

#[derive(Debug, Default, Args)]
struct ServerOptions {
    /// Where to listen [env: HOST and PORT] [default: 127.0.0.1:4433]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,

    /// What to serve [env: WWW] [default: this folder]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,

    /// The certificate and those above it, in PEM; made on the spot if there is none [env: CERTS, cert.pem there]
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,

    /// The certificate's private key, in PEM [env: CERTS, priv.key there]
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,

    /// Where to put a certificate that is made on the spot
    #[arg(long, value_name = "FILE", default_value = MADE)]
    made_cert: PathBuf,

    /// Have every client prove its address first, by a Retry
    #[arg(long)]
    retry: bool,

    /// Answer requests that come before the handshake is complete (0-RTT): they can be replays
    #[arg(long)]
    zero_rtt: bool,

    /// Have clients come to this address of the server's after the handshake, one of IPv4 and one of IPv6 at most;
    /// port 0 for any
    #[arg(long, value_name = "ADDRESS:PORT")]
    preferred: Vec<SocketAddr>,

    /// Move once, with all connections: explicit, pool, symmetric or synchronized, where to, and when: so long
    /// after the first client has come (2s, 500ms), or after so many bytes (10M)
    #[arg(long, value_name = "STRATEGY:ADDRESS:PORT@WHEN", value_parser = Order::parse)]
    migrate: Option<Order>,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Default, Args)]
struct ClientOptions {
    /// What to fetch: https://SERVER:PORT/FILE; or /FILE, of HOST and PORT [env: REQUESTS]
    #[arg(value_name = "URL")]
    urls: Vec<String>,

    /// Believe servers that are certified by one of these, in PEM [env: CERTS, ca.pem there]
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    ca: Option<PathBuf>,

    /// Believe any server, whoever it is
    #[arg(long)]
    insecure: bool,

    /// Where to store files [env: DOWNLOADS] [default: this folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Fetch the first file, then the others over a connection that resumes the first one
    #[arg(long)]
    resume: bool,

    /// The same, and ask for the others before the handshake is complete (0-RTT)
    #[arg(long)]
    zero_rtt: bool,

    /// Update keys early in the transfer
    #[arg(long)]
    key_update: bool,

    /// Move once to another port: after the first megabyte, or so long after connecting (=2s, =500ms), or after so many
    /// bytes (=10M)
    #[arg(
        long,
        value_name = "WHEN",
        value_parser = When::parse,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1M"
    )]
    rebind: Option<When>,

    /// Follow a server that moves, and tell what happens: look for it when it falls silent (=reactive), or as soon as it
    /// has said where it goes (=proactive)
    #[arg(
        long,
        value_name = "HOW",
        value_enum,
        alias = "follow",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "reactive"
    )]
    migrate: Option<Seeking>,

    #[command(flatten)]
    common: Common,
}

impl Options {
    /// Puts options before environment, and both before what is usual.
    ///
    /// # Errors
    ///
    /// Why that makes no plan.
    pub fn plan(self, environment: &Environment) -> Result<Plan, Refusal> {
        let role = match (self.role, environment.role.as_deref()) {
            (Some(role), _) => role,
            (None, Some("server")) => {
                Role::Server(ServerOptions { made_cert: MADE.into(), ..Default::default() })
            }
            (None, Some("client")) => Role::Client(ClientOptions::default()),
            (None, Some(other)) => {
                return Err(Refusal::Usage(format!("ROLE={other} is no role; use server or client")));
            }
            (None, None) => {
                return Err(Refusal::Usage("say server or client, or set ROLE; --help says more".to_owned()));
            }
        };
        match role {
            Role::Server(options) => options.plan(environment).map(Plan::Server),
            Role::Client(options) => options.plan(environment).map(Plan::Client),
        }
    }
}

impl Common {
    fn case(&self, environment: &Environment) -> Result<Option<Case>, Refusal> {
        let Some(name) = self.testcase.as_ref().or(environment.testcase.as_ref()) else { return Ok(None) };
        Case::named(name).map(Some).ok_or_else(|| Refusal::UnknownCase(name.clone()))
    }

    fn key_log(&self, environment: &Environment) -> Option<PathBuf> {
        self.keylog.clone().or_else(|| environment.keylog.clone())
    }
}

impl ServerOptions {
    fn plan(self, environment: &Environment) -> Result<ServerPlan, Refusal> {
        let mut part = self.common.case(environment)?.map(|case| case.server).unwrap_or_default();
        part.cipher = self.common.cipher.or(part.cipher);
        part.retry |= self.retry;
        part.zero_rtt |= self.zero_rtt;
        let families = [SocketAddr::is_ipv4, SocketAddr::is_ipv6];
        if families.iter().any(|is_such| self.preferred.iter().filter(|place| is_such(place)).count() > 1) {
            return Err(Refusal::Usage("a server prefers one address of a family; name one each".to_owned()));
        }
        part.versions = self.common.version.map_or(part.versions, Versions::Only);
        let files = |name| environment.certificate(name);
        let certificate = match (self.cert, self.key, files("cert.pem"), files("priv.key")) {
            (Some(chain), Some(key), _, _) | (_, _, Some(chain), Some(key)) => {
                Certificate::Files { chain, key }
            }
            _ => Certificate::MadeInto(self.made_cert),
        };
        Ok(ServerPlan {
            listen: listen(self.listen.as_deref(), environment)?,
            root: self.root.or_else(|| environment.www()).unwrap_or_else(|| ".".into()),
            certificate,
            part,
            preferred: self.preferred,
            migrate: self.migrate,
            key_log: self.common.key_log(environment),
        })
    }
}

fn version(text: &str) -> Result<Version, String> {
    match text {
        "1" => Ok(Version::V1),
        "2" => Ok(Version::V2),
        other => Err(format!("there is no version {other} of QUIC; use 1 or 2")),
    }
}

/// Where a server listens: in the runner at all addresses of both families, or of one where there is but one.
fn listen(said: Option<&str>, environment: &Environment) -> Result<Vec<SocketAddr>, String> {
    let port = port(environment)?;
    let places: Vec<String> = match (said, &environment.host) {
        (Some(place), _) => vec![place.to_owned()],
        (None, Some(host)) => vec![Authority { host: host.clone(), port }.to_string()],
        (None, None) if environment.is_a_run() => vec![format!("[::]:{port}"), format!("0.0.0.0:{port}")],
        (None, None) => vec![LISTEN.to_owned()],
    };
    let mut found = Vec::new();
    for place in &places {
        let addresses = place.to_socket_addrs();
        found.extend(
            addresses.map_err(|error| format!("{place} is no place to listen: {error}; use {LISTEN}"))?,
        );
    }
    Ok(found)
}

fn port(environment: &Environment) -> Result<u16, String> {
    let Some(port) = &environment.port else { return Ok(RUNNER_PORT) };
    port.parse().map_err(|_| format!("PORT={port} is no port; use a number below 65536"))
}

impl ClientOptions {
    fn plan(self, environment: &Environment) -> Result<ClientPlan, Refusal> {
        let mut part = self.common.case(environment)?.map(|case| case.client).unwrap_or_default();
        part.cipher = self.common.cipher.or(part.cipher);
        part.versions = self.common.version.map_or(part.versions, Versions::Only);
        part.key_update |= self.key_update;
        part.zero_rtt |= self.zero_rtt;
        if self.resume || self.zero_rtt {
            part.split = Split::FirstThenRest;
        }
        let trust = match (self.insecure, self.ca, environment.certificate("ca.pem")) {
            (true, _, _) => Trust::Anybody,
            (false, Some(file), _) => Trust::Authorities { file, above: None },
            (false, None, Some(file)) => {
                let above = environment.certificate("cert.pem").filter(|file| file.exists());
                Trust::Authorities { file, above }
            }
            (false, None, None) => {
                return Err(Refusal::Usage(
                    "there is nothing to verify servers by: name their CA's certificate by --ca, or say --insecure \
                     to believe anybody"
                        .to_owned(),
                ));
            }
        };
        let mut urls = self.urls;
        if urls.is_empty() {
            urls = environment
                .requests
                .iter()
                .flat_map(|urls| urls.split_whitespace())
                .map(str::to_owned)
                .collect();
        }
        let out = self.out.or_else(|| environment.downloads()).unwrap_or_else(|| ".".into());
        Ok(ClientPlan {
            errands: errands(&urls, &out, environment)?,
            trust,
            part,
            rebind: self.rebind,
            follows: self.migrate.map(SeekPolicy::from),
            key_log: self.common.key_log(environment),
        })
    }
}

fn errands(urls: &[String], out: &std::path::Path, environment: &Environment) -> Result<Vec<Errand>, String> {
    if urls.is_empty() {
        return Err("there is nothing to fetch; name URLs, or set REQUESTS".to_owned());
    }
    let port = port(environment)?;
    let home = environment.host.clone().map(|host| Authority { host, port });
    let mut taken = std::collections::BTreeSet::new();
    let errand = |text: &String| {
        let url = Url::parse(text, home.as_ref(), port)?;
        let file = out.join(url.file()?);
        if !taken.insert(file.clone()) {
            return Err(format!("{url} would be stored as {}, and so would another", file.display()));
        }
        Ok(Errand { url, file })
    };
    urls.iter().map(errand).collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn planned(line: &str, variables: &[(&str, &str)]) -> Result<Plan, Refusal> {
        let options =
            Options::try_parse_from(line.split(' ')).map_err(|error| Refusal::Usage(error.to_string()))?;
        options.plan(&Environment::read(|name| {
            variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
        }))
    }

    fn server(line: &str, variables: &[(&str, &str)]) -> ServerPlan {
        match planned(line, variables) {
            Ok(Plan::Server(plan)) => plan,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn client(line: &str, variables: &[(&str, &str)]) -> ClientPlan {
        match planned(line, variables) {
            Ok(Plan::Client(plan)) => plan,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_options_themselves_are_sound() {
        Options::command().debug_assert();
    }

    #[test]
    fn the_runner_says_everything_by_its_environment() {
        let plan = server("hq", &[("ROLE", "server"), ("TESTCASE", "retry")]);
        assert_eq!(plan.listen, ["[::]:443".parse().expect("one"), "0.0.0.0:443".parse().expect("one")]);
        assert_eq!(plan.root, PathBuf::from("/www"));
        let certificate =
            Certificate::Files { chain: "/certs/cert.pem".into(), key: "/certs/priv.key".into() };
        assert_eq!((plan.certificate, plan.part.retry), (certificate, true));

        let requests = ("REQUESTS", "https://server4:443/a https://server4:443/b");
        let plan = client("hq", &[("ROLE", "client"), ("TESTCASE", "chacha20"), requests]);
        let files = plan.errands.iter().map(|errand| errand.file.display().to_string());
        assert_eq!(files.collect::<Vec<_>>(), ["/downloads/a", "/downloads/b"]);
        assert_eq!(plan.trust, Trust::Authorities { file: "/certs/ca.pem".into(), above: None });
        assert_eq!(plan.part.cipher, Some(Cipher::ChaCha20));
    }

    #[test]
    fn options_override_the_environment() {
        let run = [("ROLE", "client"), ("TESTCASE", "handshake"), ("HOST", "::1"), ("PORT", "4433")];
        let plan = server("hq server --root here --testcase retry --cert a --key b", &run);
        assert_eq!((plan.root, plan.part.retry), ("here".into(), true));
        assert_eq!(plan.listen, ["[::1]:4433".parse().expect("an address")]);
        assert_eq!(plan.certificate, Certificate::Files { chain: "a".into(), key: "b".into() });

        let plan = client("hq client --ca x --out there --cipher aes256 --keylog k /file", &run);
        assert_eq!(plan.errands[0].url.to_string(), "https://[::1]:4433/file");
        assert_eq!(plan.errands[0].file, PathBuf::from("there/file"));
        assert_eq!(
            (plan.trust, plan.key_log),
            (Trust::Authorities { file: "x".into(), above: None }, Some("k".into()))
        );
        assert_eq!(plan.part.cipher, Some(Cipher::Aes256));
    }

    #[test]
    fn a_server_of_ones_own_needs_no_options() {
        let plan = server("hq server", &[]);
        assert_eq!(plan.listen, ["127.0.0.1:4433".parse().expect("an address")]);
        assert_eq!((plan.root, plan.certificate), (".".into(), Certificate::MadeInto(MADE.into())));
    }

    #[test]
    fn a_client_without_trust_is_told_to_choose() {
        let refusal = planned("hq client https://localhost:4433/a", &[]).expect_err("nobody to believe");
        assert!(
            matches!(&refusal, Refusal::Usage(what) if what.contains("--ca") && what.contains("--insecure"))
        );
        let plan = client("hq client --insecure https://localhost:4433/a", &[]);
        assert_eq!(plan.trust, Trust::Anybody);
    }

    #[test]
    fn a_client_follows_a_server_in_the_way_it_is_told_to() {
        let follows = |how: &str| {
            let line = format!("hq client --insecure{how} https://localhost:4433/a");
            planned(&line, &[]).map(|plan| match plan {
                Plan::Client(plan) => plan.follows,
                Plan::Server(_) => panic!("it is a client"),
            })
        };
        assert_eq!(follows(""), Ok(None));
        assert_eq!(follows(" --migrate"), Ok(Some(SeekPolicy::Reactive)));
        assert_eq!(follows(" --follow"), Ok(Some(SeekPolicy::Reactive)));
        assert_eq!(follows(" --migrate=proactive"), Ok(Some(SeekPolicy::Proactive)));
        assert!(follows(" --migrate=never").is_err());
    }

    #[test]
    fn a_case_that_is_unknown_is_told_from_options_that_are_wrong() {
        for name in ["http3", "handshakes", "dance"] {
            let refusal =
                planned("hq", &[("ROLE", "server"), ("TESTCASE", name)]).expect_err("it is unknown");
            assert_eq!(refusal, Refusal::UnknownCase(name.to_owned()));
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_a_reason() {
        for line in [
            "hq",
            "hq client --insecure",
            "hq client --insecure --ca x https://a/b",
            "hq client --insecure http://a/b",
            "hq client --insecure /file",
            "hq client --insecure https://a/b https://c/b",
            "hq client --insecure https://a/../b",
            "hq server --cert a",
            "hq server --key a",
            "hq server --listen nowhere",
            "hq server --migrate swim",
            "hq server --cipher rot13",
            "hq server --version 3",
            "hq server --preferred 127.0.0.1:0 --preferred 127.0.0.2:0",
            "hq client --insecure --rebind=soon https://a/b",
        ] {
            assert!(matches!(planned(line, &[]), Err(Refusal::Usage(what)) if !what.is_empty()), "{line}");
        }
        for variables in [[("ROLE", "server"), ("PORT", "x")], [("ROLE", "referee"), ("PORT", "1")]] {
            assert!(matches!(planned("hq", &variables), Err(Refusal::Usage(_))), "{variables:?}");
        }
    }
}
