//! `serve ctl`: says one thing to a server's control socket, prints what is answered, and waits if it is to.
//!
//! Made for scripts: the exit status says how it went, and when it exits, the server has hung up too, so that no
//! connection to a controller is in the way of freezing it.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::options::time;
use crate::way::Way;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

const STATUSES: &str = "\
Exit status:
  0  it was done, and what was waited for has come
  1  the server refuses, and says why
  2  the options cannot be used
  3  the server cannot be reached, or has hung up
  4  what was waited for has not come in time
  5  it will not come: the move was cancelled or given up, or clients were lost";

/// Whom to steer, and what to say.
#[derive(Debug, Args)]
#[command(after_help = STATUSES)]
pub struct Ctl {
    /// The server's control socket
    #[arg(long, value_name = "PATH")]
    control: PathBuf,
    #[command(subcommand)]
    order: Order,
}

#[derive(Debug, Subcommand)]
enum Order {
    /// Tell all clients that the server is going to move
    #[command(after_help = STATUSES)]
    Prepare(Prepare),
    /// Tell how things stand
    Status,
    /// Say that the server has moved
    #[command(after_help = STATUSES)]
    Relocated(Relocated),
    /// Call the move off
    Cancel {
        #[command(flatten)]
        number: Number,
    },
    /// Tell what happens, a line for each event, until the server ends
    Events,
}

#[derive(Debug, Args)]
struct Number {
    /// Which move is meant, by its number: the last one, or the next one. Makes sure that an order that is given again
    /// is not taken for another move
    #[arg(long = "move", value_name = "N")]
    number: Option<u64>,
}

#[derive(Debug, Args)]
struct Prepare {
    /// By which strategy all connections move
    #[arg(long, value_enum, required_unless_present = "connection", conflicts_with = "connection")]
    strategy: Option<Way>,

    /// Where to, if clients are told; twice for one address of each family
    #[arg(long, value_name = "ADDRESS:PORT", requires = "strategy")]
    target: Vec<SocketAddr>,

    /// How this connection moves; those that are not named are closed
    #[arg(long, value_name = "ID=STRATEGY[@ADDRESS:PORT]", value_parser = named)]
    connection: Vec<Value>,

    /// Close connections that are not ready by then (2s, 500ms) [default: wait for all]
    #[arg(long, value_name = "TIME", value_parser = time)]
    deadline: Option<Duration>,

    /// Leave connections that cannot follow their order as they are, instead of closing them
    #[arg(long)]
    keep_unfit: bool,

    /// Refuse new clients until the move is over, instead of letting them try again
    #[arg(long)]
    refuse_initials: bool,

    /// How many clients a second hear from the new address [default: 20000]
    #[arg(long, value_name = "N")]
    announce_rate: Option<u32>,

    #[command(flatten)]
    number: Number,

    /// Wait until the server may be moved [default: for 30s at most]
    #[arg(long, value_name = "TIME", value_parser = time, num_args = 0..=1, require_equals = true, default_missing_value = "30s")]
    wait: Option<Duration>,
}

#[derive(Debug, Args)]
struct Relocated {
    /// Where to listen from now on, on a new socket [default: on the socket it has, all its options set again]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,

    #[command(flatten)]
    number: Number,

    /// Wait until all clients have followed [default: for 30s at most]
    #[arg(long, value_name = "TIME", value_parser = time, num_args = 0..=1, require_equals = true, default_missing_value = "30s")]
    wait: Option<Duration>,
}

fn named(text: &str) -> Result<Value, String> {
    let (id, how) = text.split_once('=').ok_or("use ID=STRATEGY, or ID=explicit@ADDRESS:PORT")?;
    let (strategy, target) = how.split_once('@').map_or((how, None), |(how, target)| (how, Some(target)));
    Ok(fields([("id", json!(id)), ("strategy", json!(strategy)), ("target", json!(target))]))
}

/// An object of those fields that say something.
fn fields<const N: usize>(all: [(&str, Value); N]) -> Value {
    let said = all.into_iter().filter(|(_, value)| *value != Value::Null && *value != json!([]));
    Value::Object(said.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    /// The server may be moved.
    Ready,
    /// All have followed.
    Settled,
}

/// Why it went wrong; the exit status says which.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Trouble {
    Refused,
    Unreachable(String),
    TooLate,
    Otherwise,
}

impl Trouble {
    fn status(&self) -> u8 {
        match self {
            Self::Refused => 1,
            Self::Unreachable(_) => 3,
            Self::TooLate => 4,
            Self::Otherwise => 5,
        }
    }
}

/// Says it; returns the exit status.
pub fn run(ctl: &Ctl) -> u8 {
    match steer(ctl) {
        Ok(()) => 0,
        Err(trouble) => {
            if let Trouble::Unreachable(why) = &trouble {
                eprintln!("serve ctl: {}: {why}", ctl.control.display());
            }
            trouble.status()
        }
    }
}

fn steer(ctl: &Ctl) -> Result<(), Trouble> {
    let mut line = Telephone::call(&ctl.control)?;
    let (command, wait) = match &ctl.order {
        Order::Status => (json!({ "command": "status" }), None),
        Order::Cancel { number } => {
            (fields([("command", json!("cancel")), ("move", json!(number.number))]), None)
        }
        Order::Prepare(prepare) => (prepare.command(), prepare.wait.map(|wait| (Goal::Ready, wait))),
        Order::Relocated(relocated) => {
            (relocated.command(), relocated.wait.map(|wait| (Goal::Settled, wait)))
        }
        Order::Events => return line.listen(),
    };
    // Asked for first: nothing is missed then.
    if wait.is_some() {
        line.ask(&json!({ "command": "subscribe" }), PATIENCE)?;
    }
    let answer = line.ask(&command, PATIENCE)?;
    println!("{answer}");
    if answer["ok"] != true {
        return Err(Trouble::Refused);
    }
    if let Some((goal, wait)) = wait {
        line.await_goal(goal, &answer["move"], wait)?;
    }
    line.hang_up();
    Ok(())
}

impl Prepare {
    fn command(&self) -> Value {
        fields([
            ("command", json!("prepare")),
            ("move", json!(self.number.number)),
            ("strategy", json!(self.strategy.map(Way::name))),
            ("target", json!(self.target)),
            ("connections", json!(self.connection)),
            (
                "deadline_ms",
                json!(self.deadline.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))),
            ),
            ("keep_unfit", json!(self.keep_unfit)),
            ("refuse_initials", json!(self.refuse_initials)),
            ("announce_rate", json!(self.announce_rate)),
        ])
    }
}

impl Relocated {
    fn command(&self) -> Value {
        let Self { listen, number, .. } = self;
        fields([("command", json!("relocated")), ("move", json!(number.number)), ("listen", json!(listen))])
    }
}

/// Whether a status says that it has come, or that it never will.
fn judge(goal: Goal, number: &Value, status: &Value) -> Option<Result<(), Trouble>> {
    if status["move"] != *number {
        return Some(Err(Trouble::Otherwise)); // another move has begun
    }
    match (goal, status["state"].as_str().unwrap_or_default()) {
        (Goal::Ready, "preparing") | (Goal::Settled, "settling") => None,
        (Goal::Ready, "ready" | "settling" | "settled") => Some(Ok(())),
        (Goal::Settled, "settled") if status["lost"] == 0 => Some(Ok(())),
        _ => Some(Err(Trouble::Otherwise)),
    }
}

/// A connection to the control socket.
struct Telephone {
    stream: BufReader<UnixStream>,
    /// What came of a line whose end has not come.
    partial: Vec<u8>,
}

impl Telephone {
    fn call(path: &std::path::Path) -> Result<Self, Trouble> {
        let stream = UnixStream::connect(path).map_err(unreachable)?;
        stream.set_write_timeout(Some(PATIENCE)).map_err(unreachable)?;
        Ok(Self { stream: BufReader::new(stream), partial: Vec::new() })
    }

    /// The next line; `None` if it does not come in time.
    fn read(&mut self, patience: Option<Duration>) -> Result<Option<Value>, Trouble> {
        // The kernel takes zero for no limit.
        let patience = patience.map(|patience| patience.max(Duration::from_millis(1)));
        self.stream.get_ref().set_read_timeout(patience).map_err(unreachable)?;
        match self.stream.read_until(b'\n', &mut self.partial) {
            Ok(0) => Err(Trouble::Unreachable("the server has hung up".to_owned())),
            Ok(_) => {
                let line = std::mem::take(&mut self.partial);
                let value = serde_json::from_slice(&line);
                value.map(Some).map_err(|error| Trouble::Unreachable(format!("it speaks no JSON: {error}")))
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(None),
            Err(error) => Err(unreachable(error)),
        }
    }

    /// Asks, and returns the answer.
    fn ask(&mut self, what: &Value, patience: Duration) -> Result<Value, Trouble> {
        self.stream.get_mut().write_all(format!("{what}\n").as_bytes()).map_err(unreachable)?;
        let until = deadline(patience);
        loop {
            match self.read(Some(left(until)))? {
                Some(line) if line.get("event").is_none() => return Ok(line),
                Some(_) => {}
                None => return Err(Trouble::Unreachable("the server does not answer".to_owned())),
            }
        }
    }

    fn await_goal(&mut self, goal: Goal, number: &Value, patience: Duration) -> Result<(), Trouble> {
        let until = deadline(patience);
        loop {
            let status = self.ask(&json!({ "command": "status" }), PATIENCE)?;
            if let Some(verdict) = judge(goal, number, &status) {
                println!("{status}");
                return verdict;
            }
            while self.read(Some(left(until)))?.ok_or(Trouble::TooLate)?["event"] == "connection" {}
        }
    }

    /// Prints events until the server ends.
    fn listen(&mut self) -> Result<(), Trouble> {
        self.ask(&json!({ "command": "subscribe" }), PATIENCE)?;
        loop {
            match self.read(None) {
                Ok(Some(event)) => println!("{event}"),
                Ok(None) => {}
                Err(_) => return Ok(()), // the server has ended
            }
        }
    }

    /// Waits until the server has hung up too.
    fn hang_up(mut self) {
        // It may be gone, which is as good.
        let _ = self.stream.get_ref().shutdown(Shutdown::Write);
        let until = deadline(PATIENCE);
        while self.read(Some(left(until))).is_ok_and(|line| line.is_some()) {}
    }
}

fn unreachable(error: std::io::Error) -> Trouble {
    Trouble::Unreachable(error.to_string())
}

#[expect(clippy::disallowed_methods, reason = "a program that waits is who reads the clock")]
fn deadline(patience: Duration) -> Instant {
    Instant::now() + patience
}

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(deadline(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        ctl: Ctl,
    }

    fn command(line: &str) -> Value {
        let line = Line::try_parse_from(format!("ctl --control at {line}").split(' '));
        match line.expect("it can be read").ctl.order {
            Order::Prepare(prepare) => prepare.command(),
            Order::Relocated(relocated) => relocated.command(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_become_the_fields_of_a_command() {
        assert_eq!(
            command(
                "prepare --strategy explicit --target 10.0.0.2:1 --target [fd00::2]:1 --deadline 2s --move 3"
            ),
            json!({ "command": "prepare", "strategy": "explicit", "target": ["10.0.0.2:1", "[fd00::2]:1"],
                "deadline_ms": 2000, "keep_unfit": false, "refuse_initials": false, "move": 3 })
        );
        assert_eq!(
            command("prepare --connection 01=pool --connection 02=explicit@10.0.0.2:1 --keep-unfit"),
            json!({ "command": "prepare", "keep_unfit": true, "refuse_initials": false, "connections": [
                { "id": "01", "strategy": "pool" },
                { "id": "02", "strategy": "explicit", "target": "10.0.0.2:1" },
            ] })
        );
        assert_eq!(command("relocated"), json!({ "command": "relocated" }));
        assert_eq!(
            command("relocated --listen 127.0.0.2:1 --wait=5s"),
            json!({ "command": "relocated", "listen": "127.0.0.2:1" })
        );
    }

    #[test]
    fn a_wait_ends_when_it_is_over_one_way_or_the_other() {
        let judge = |goal, status: &Value| judge(goal, &json!(2), status);
        let at = |state: &str| json!({ "move": 2, "state": state, "lost": 0 });
        assert_eq!(judge(Goal::Ready, &at("preparing")), None);
        assert_eq!(judge(Goal::Settled, &at("settling")), None);
        for state in ["ready", "settling", "settled"] {
            assert_eq!(judge(Goal::Ready, &at(state)), Some(Ok(())), "{state}");
        }
        assert_eq!(judge(Goal::Settled, &at("settled")), Some(Ok(())));
        let otherwise = Some(Err(Trouble::Otherwise));
        for state in ["cancelled", "expired"] {
            assert_eq!(judge(Goal::Ready, &at(state)), otherwise, "{state}");
            assert_eq!(judge(Goal::Settled, &at(state)), otherwise, "{state}");
        }
        let with_losses = json!({ "move": 2, "state": "settled", "lost": 1 });
        assert_eq!(judge(Goal::Settled, &with_losses), otherwise);
        assert_eq!(judge(Goal::Ready, &json!({ "move": 3, "state": "ready" })), otherwise);
    }
}
