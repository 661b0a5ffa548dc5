//! The command line, and what comes of it once it is checked.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use peregrine::MigrationTarget;

use crate::command::target_of;
use crate::ctl::Ctl;
use crate::way::Way;
use crate::when::When;

const EXAMPLES: &str = "\
Examples:
  Serve this folder, and be steered at /run/serve.sock:
      cargo run --release --example serve -- --listen 127.0.0.1:4433 --root . --cert cert.pem --key key.pem \\
          --control /run/serve.sock

  Move it to another address while somebody fetches a file from it:
      cargo run --release --example hq -- client --ca ca.pem --migrate https://localhost:4433/FILE &
      serve=\"cargo run --release --example serve -- ctl --control /run/serve.sock\"
      $serve prepare --strategy explicit --target 127.0.0.2:4433 --wait
      $serve relocated --listen 127.0.0.2:4433 --wait

docs/criu.md moves the whole process to another host, and has everything that can be said on the control socket.";

/// Serves files by HTTP/0.9 over QUIC (ALPN hq-interop), and moves when it is told to, connections and all.
#[derive(Debug, Parser)]
#[command(name = "serve", after_help = EXAMPLES, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Options {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    serve: Option<ServeOptions>,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Steer a server that runs
    Ctl(Ctl),
}

#[derive(Debug, Args)]
struct ServeOptions {
    /// Where to listen; 0.0.0.0 or [::] for a process that is moved to a host with another address
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: SocketAddr,

    /// What to serve
    #[arg(long, value_name = "DIR")]
    root: PathBuf,

    /// The certificate and those above it, in PEM
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,

    /// The certificate's private key, in PEM
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// Where to be steered: a Unix socket that is made here, for this user alone
    #[arg(long, value_name = "PATH")]
    control: PathBuf,

    /// Where it may move to by the strategy pool, told to every client; a client that has been told moves by no other
    /// strategy
    #[arg(long, value_name = "ADDRESS:PORT")]
    pool: Vec<SocketAddr>,

    /// By which strategies it may move, with commas between [default: all; pool only if there is a --pool]
    #[arg(long, value_name = "LIST", value_enum, value_delimiter = ',')]
    strategies: Vec<Way>,

    /// How long a move, and the silence of a client, may take: longer than the server is frozen
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "30s")]
    patience: Duration,
}

/// What to do.
#[derive(Debug)]
pub enum Task {
    /// Serve.
    Serve(Plan),
    /// Steer.
    Steer(Ctl),
}

/// How to serve.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where.
    pub listen: SocketAddr,
    /// What.
    pub root: PathBuf,
    /// As whom.
    pub cert: PathBuf,
    /// The key to that.
    pub key: PathBuf,
    /// Where it is steered.
    pub control: PathBuf,
    /// Where it may go by the strategy pool.
    pub pool: Vec<MigrationTarget>,
    /// By which strategies it may move.
    pub strategies: Vec<Way>,
    /// How long a move may take.
    pub patience: Duration,
}

/// Reads `2s` or `500ms`.
///
/// # Errors
///
/// A sentence that says what would be right.
pub fn time(text: &str) -> Result<Duration, String> {
    match When::parse(text) {
        Ok(When::After(time)) if !time.is_zero() => Ok(time),
        Ok(_) | Err(_) => Err(format!("{text} is no time; use 2s or 500ms")),
    }
}

impl Options {
    /// Checks them.
    ///
    /// # Errors
    ///
    /// Why they make no plan.
    pub fn task(self) -> Result<Task, String> {
        match (self.role, self.serve) {
            (Some(Role::Ctl(ctl)), _) => Ok(Task::Steer(ctl)),
            (None, Some(serve)) => serve.plan().map(Task::Serve),
            (None, None) => Err("say how to serve, or `ctl`; --help says more".to_owned()),
        }
    }
}

impl ServeOptions {
    fn plan(self) -> Result<Plan, String> {
        let Self { listen, root, cert, key, control, pool, mut strategies, patience } = self;
        let member =
            |place: &SocketAddr| target_of(&[*place]).map_err(|why| format!("--pool {place}: {why}"));
        let pool = pool.iter().map(member).collect::<Result<Vec<_>, _>>()?;
        if strategies.is_empty() {
            strategies = vec![Way::Explicit, Way::Symmetric, Way::Synchronized];
            strategies.extend((!pool.is_empty()).then_some(Way::Pool));
        }
        if pool.is_empty() == strategies.contains(&Way::Pool) {
            return Err("the strategy pool and a --pool need each other".to_owned());
        }
        Ok(Plan { listen, root, cert, key, control, pool, strategies, patience })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    const SERVE: &str = "serve --listen 127.0.0.1:4433 --root www --cert c.pem --key k.pem --control at";

    fn plan(more: &str) -> Result<Plan, String> {
        let options = Options::try_parse_from(format!("{SERVE}{more}").split_whitespace());
        match options.map_err(|error| error.to_string())?.task()? {
            Task::Serve(plan) => Ok(plan),
            Task::Steer(ctl) => Err(format!("{ctl:?}")),
        }
    }

    #[test]
    fn the_options_themselves_are_sound() {
        Options::command().debug_assert();
    }

    #[test]
    fn a_server_may_move_by_all_strategies_that_make_sense() {
        let plain = plan("").expect("it is a plan");
        assert_eq!(plain.strategies, [Way::Explicit, Way::Symmetric, Way::Synchronized]);
        assert_eq!((plain.pool.len(), plain.patience), (0, Duration::from_secs(30)));
        let pooled = plan(" --pool 127.0.0.2:4433 --pool 127.0.0.3:4433 --patience 15s").expect("a plan");
        assert!(pooled.strategies.contains(&Way::Pool));
        assert_eq!((pooled.pool.len(), pooled.patience), (2, Duration::from_secs(15)));
        let chosen = plan(" --strategies explicit,synchronized").expect("it is a plan");
        assert_eq!(chosen.strategies, [Way::Explicit, Way::Synchronized]);
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_a_reason() {
        for more in [
            " --strategies pool",
            " --strategies explicit --pool 127.0.0.2:4433",
            " --pool 0.0.0.0:4433",
            " --pool 127.0.0.2:0",
            " --pool nowhere",
            " --strategies swim",
            " --patience 0s",
            " --patience 5M",
            " --patience soon",
            " ctl --control at status",
        ] {
            assert!(plan(more).is_err_and(|why| !why.is_empty()), "{more}");
        }
        for line in ["serve", "serve --listen 127.0.0.1:4433", "serve ctl", "serve ctl --control at"] {
            let options = Options::try_parse_from(line.split(' '));
            assert!(options.map_err(|error| error.to_string()).and_then(Options::task).is_err(), "{line}");
        }
    }
}
