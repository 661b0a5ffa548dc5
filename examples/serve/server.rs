//! The server: one socket for clients, one for controllers, until it is told to end.

use std::sync::Arc;

use peregrine::{
    Endpoint, EndpointConfig, Event, Instant, MigrationConfig, ServerConfig, SocketKey, StrategySet,
    SystemRng, VarInt,
};
use rustix::event::PollFd;
use serde_json::{Value, json};
use smallvec::SmallVec;

use crate::command::Command;
use crate::complaint::{Complaint, Kind};
use crate::control::{Control, LONGEST, Line, Reply};
use crate::desk::Desk;
use crate::driver::Driver;
use crate::ending::Ending;
use crate::mover::{Belongings, Mover};
use crate::options::Plan;
use crate::root::Root;
use crate::roster::Roster;
use crate::terms;
use crate::tls::{self, Identity};
use crate::way::Way;

/// How often it speaks before it ends: each time as much as is sent at once.
const LAST_WORDS: usize = 64;

/// Serves until the process is told to end.
///
/// # Errors
///
/// What keeps it from beginning, or a socket that is beyond use.
pub fn run(plan: &Plan) -> Result<(), String> {
    let mut ending = Ending::new().map_err(|error| format!("cannot listen for signals: {error}"))?;
    let mut house = House::open(plan)?;
    let mut control = Control::open(&plan.control)?;
    println!("listening on {}", house.driver.address(house.socket));
    println!("steered at {}", plan.control.display());
    loop {
        let called = house.receive(&control, &ending)?;
        if called && ending.has_come() {
            house.end();
            return Ok(());
        }
        if called || control.has_more() {
            let mut has_moved = false;
            control.turn(|line| house.answer(line, &mut has_moved));
            if has_moved {
                control.look_at_file();
            }
        }
        house.speak();
        for event in house.news.drain(..) {
            control.publish(&event.to_string());
        }
    }
}

/// Everything but those who steer it.
struct House {
    driver: Driver,
    endpoint: Endpoint,
    socket: SocketKey,
    desk: Desk,
    mover: Mover,
    roster: Roster,
    /// What controllers are to be told.
    news: Vec<Value>,
    permitted: Vec<Way>,
    /// When the endpoint wants to be spoken to.
    wake: Option<Instant>,
}

impl House {
    fn open(plan: &Plan) -> Result<Self, String> {
        let root = Root::new(&plan.root);
        let root = root.map_err(|error| format!("cannot serve {}: {error}", plan.root.display()))?;
        let tls = tls::server(Identity::read(&plan.cert, &plan.key)?, None, None)?;
        let mut driver = Driver::starting_at(Instant::ZERO);
        let socket = driver.bind(plan.listen);
        let socket = socket.map_err(|error| format!("cannot listen on {}: {error}", plan.listen))?;
        let transport = terms::transport().idle_timeout(Some(plan.patience)).build();
        let strategies = plan.strategies.iter().map(|way| way.strategy());
        let migration = MigrationConfig::new(strategies.fold(StrategySet::EMPTY, StrategySet::with))
            .pool(plan.pool.clone())
            .deadline(plan.patience);
        let config = ServerConfig::new(tls)
            .transport(Arc::new(transport.map_err(|error| error.to_string())?))
            .migration(migration)
            .map_err(|error| error.to_string())?;
        let endpoint = EndpointConfig::server(Arc::new(config)).max_connections(terms::CONNECTIONS);
        Ok(Self {
            driver,
            endpoint: Endpoint::new(endpoint, Box::new(SystemRng::default())),
            socket,
            desk: Desk::new(root),
            mover: Mover::new(),
            roster: Roster::default(),
            news: Vec::new(),
            permitted: plan.strategies.clone(),
            wake: None,
        })
    }

    /// Takes in what has come from clients, or waits; whether a controller or a signal has something.
    fn receive(&mut self, control: &Control, ending: &Ending) -> Result<bool, String> {
        let Self { driver, endpoint, desk, wake, .. } = self;
        let at_once = control.has_more().then_some(Instant::ZERO);
        let until = [*wake, desk.deadline(), at_once].into_iter().flatten().min();
        let others: SmallVec<[PollFd<'_>; 32]> =
            std::iter::once(ending.interest()).chain(control.interests()).collect();
        let deliver = |now, arrival, datagrams: &mut [u8]| endpoint.handle_datagrams(now, arrival, datagrams);
        let called = driver.receive_beside(until, &others, deliver);
        let now = driver.now();
        endpoint.handle_timeout(now);
        desk.clean(now, endpoint);
        called.map_err(|error| format!("the socket is broken: {error}"))
    }

    /// Says to clients what there is to say, and notes what happened.
    fn speak(&mut self) {
        let Self { driver, endpoint, desk, mover, roster, news, .. } = self;
        self.wake = driver.speak(endpoint, |now, endpoint, event| {
            desk.on_event(now, endpoint, &event);
            news.extend(match &event {
                Event::Connection(handle, event) => roster.on_event(endpoint, *handle, event),
                Event::Relocation(event) => mover.on_event(event),
                _ => None,
            });
        });
        self.news.extend(self.mover.look(&self.endpoint));
    }

    /// Does what a controller asks for.
    fn answer(&mut self, line: Line, has_moved: &mut bool) -> Reply {
        let command = match line {
            Line::Whole(line) => Command::parse(&line),
            Line::TooLong => Err(Complaint::new(
                Kind::LineTooLong,
                format!("a line has {LONGEST} bytes at most; what follows it is read again"),
            )),
        };
        let subscribes = command == Ok(Command::Subscribe);
        *has_moved |= matches!(command, Ok(Command::Relocated { .. }));
        let answer = command.and_then(|command| self.obey(command));
        let line = answer.unwrap_or_else(|complaint| complaint.answer()).to_string();
        Reply { line, subscribes }
    }

    fn obey(&mut self, command: Command) -> Result<Value, Complaint> {
        let now = self.driver.now();
        self.news.extend(self.mover.look(&self.endpoint));
        let before = self.mover.describe();
        let Self { driver, endpoint, socket, mover, roster, .. } = self;
        let belongings = Belongings { driver, endpoint, socket: *socket, roster };
        let answer = match command {
            Command::Status => return Ok(self.status()),
            Command::Subscribe => return Ok(json!({ "ok": true, "answer": "subscribe" })),
            Command::Prepare { number, notice } => mover.prepare(now, belongings, number, notice),
            Command::Relocated { number, listen } => mover.relocated(belongings, number, listen),
            Command::Cancel { number } => mover.cancel(now, endpoint, number),
        };
        if self.mover.describe() != before {
            self.news.push(self.mover.event());
        }
        answer
    }

    fn status(&mut self) -> Value {
        let Self { driver, endpoint, socket, mover, roster, permitted, .. } = self;
        let mut all = mover.describe();
        all["ok"] = json!(true);
        all["answer"] = json!("status");
        all["listening"] = json!(driver.address(*socket).to_string());
        all["strategies"] = json!(permitted.iter().map(|way| way.name()).collect::<Vec<_>>());
        all["admitting"] = json!(!endpoint.is_relocation_pending());
        all["connections"] = json!(roster.describe(endpoint));
        all
    }

    /// Says goodbye. Not if a move is pending: then this may be the copy that is left behind, which must not be heard.
    fn end(&mut self) {
        if self.mover.is_pending() {
            return;
        }
        let now = self.driver.now();
        let handles: Vec<_> = self.endpoint.connections().map(|(handle, _)| handle).collect();
        for handle in handles {
            if let Some(connection) = self.endpoint.connection_mut(handle) {
                connection.close(now, VarInt::ZERO, b"the server ends");
            }
        }
        for _ in 0..LAST_WORDS {
            self.speak();
            self.news.clear();
            if self.wake.is_none_or(|wake| wake > self.driver.now()) {
                return;
            }
        }
    }
}
