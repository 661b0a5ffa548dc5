//! The server's moves, one after the other, as controllers ask for them: each has a number, and what was asked twice is
//! done once and answered twice.
//!
//! Orders may come again, since whoever gave them may have ended before he was answered. One that repeats the move
//! that is known is answered as it was; one that is a move of its own says the next number, or differs from the last.

use std::net::SocketAddr;

use peregrine::{
    ConnectionId, Endpoint, Instant, MigrationTarget, MoveOrder, RelocationError, RelocationEvent,
    RelocationPlan, SocketKey,
};
use serde_json::{Value, json};

use crate::command::{Notice, Orders};
use crate::complaint::{Complaint, Kind};
use crate::driver::{Driver, Socket};
use crate::roster::Roster;

/// How far the last move is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// There was none.
    Home,
    /// Clients are being told.
    Preparing,
    /// The server may be moved.
    Ready { prepared: usize, closed: usize },
    /// It was, and some clients have not followed.
    Settling { listen: Option<SocketAddr> },
    /// No client is left to wait for.
    Settled { listen: Option<SocketAddr>, moved: usize, lost: usize },
    /// It was called off.
    Cancelled,
    /// Nobody carried it out in time.
    Expired,
}

impl Stage {
    fn word(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::Preparing => "preparing",
            Self::Ready { .. } => "ready",
            Self::Settling { .. } => "settling",
            Self::Settled { .. } => "settled",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    fn is_pending(self) -> bool {
        matches!(self, Self::Preparing | Self::Ready { .. })
    }

    /// Where it was said to have moved to, if it has.
    fn moved_to(self) -> Option<Option<SocketAddr>> {
        match self {
            Self::Settling { listen } | Self::Settled { listen, .. } => Some(listen),
            Self::Home | Self::Preparing | Self::Ready { .. } | Self::Cancelled | Self::Expired => None,
        }
    }
}

/// What is moved.
#[derive(Debug)]
pub struct Belongings<'a> {
    pub driver: &'a mut Driver,
    pub endpoint: &'a mut Endpoint,
    pub socket: SocketKey,
    pub roster: &'a mut Roster,
}

/// Carries out moves.
#[derive(Debug)]
pub struct Mover {
    /// Of the last move, from 1; 0 if there was none.
    number: u64,
    /// How the last move was to be prepared, if it was.
    notice: Option<Notice>,
    stage: Stage,
}

impl Mover {
    /// A server that has not moved.
    pub fn new() -> Self {
        Self { number: 0, notice: None, stage: Stage::Home }
    }

    /// Whether a move is prepared and was not carried out.
    pub fn is_pending(&self) -> bool {
        self.stage.is_pending()
    }

    /// Prepares a move.
    ///
    /// # Errors
    ///
    /// Why not; nothing has changed then.
    pub fn prepare(
        &mut self,
        now: Instant,
        Belongings { driver, endpoint, socket, roster }: Belongings<'_>,
        number: Option<u64>,
        notice: Notice,
    ) -> Result<Value, Complaint> {
        let is_the_last = self.is_the_last(number)?.unwrap_or(self.is_pending());
        if is_the_last {
            return if self.notice.as_ref() == Some(&notice) {
                Ok(self.answer("prepare"))
            } else if self.is_pending() {
                Err(Complaint::new(
                    Kind::Busy,
                    format!("move {} is another one; cancel it first", self.number),
                ))
            } else {
                Err(self.stale())
            };
        }
        if self.is_pending() {
            return Err(Complaint::new(
                Kind::Busy,
                format!("move {} is pending; cancel it first", self.number),
            ));
        }
        let here = driver.address(socket);
        if targets(&notice.orders).any(|target| is_here(target, here, endpoint)) {
            return Err(Complaint::new(Kind::Target, "the server is there already"));
        }
        endpoint.prepare_relocation(now, plan(&notice, roster)?)?;
        roster.begin();
        (self.number, self.notice, self.stage) = (self.number + 1, Some(notice), Stage::Preparing);
        Ok(self.answer("prepare"))
    }

    /// The server has moved: it listens at `listen` from now on, or with the socket that it has.
    ///
    /// # Errors
    ///
    /// Why it cannot be so; nothing has changed then, and a move that was prepared still is.
    pub fn relocated(
        &mut self,
        Belongings { driver, endpoint, socket, roster }: Belongings<'_>,
        number: Option<u64>,
        listen: Option<SocketAddr>,
    ) -> Result<Value, Complaint> {
        let moved_to = self.stage.moved_to();
        let is_the_last = self.is_the_last(number)?.unwrap_or(self.is_pending() || moved_to == Some(listen));
        match (is_the_last, self.is_pending()) {
            (true, false) if moved_to == Some(listen) => return Ok(self.answer("relocated")),
            (true, false) => return Err(self.stale()),
            (false, true) => {
                return Err(Complaint::new(
                    Kind::Stale,
                    format!("move {} is the one that is pending", self.number),
                ));
            }
            (true, true) | (false, false) => {}
        }
        settle_down(driver, endpoint, socket, listen)?;
        if !is_the_last {
            roster.begin();
            (self.number, self.notice) = (self.number + 1, None);
        }
        self.stage = Stage::Settling { listen };
        Ok(self.answer("relocated"))
    }

    /// Calls the move off.
    ///
    /// # Errors
    ///
    /// There is none, or it was carried out.
    pub fn cancel(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        number: Option<u64>,
    ) -> Result<Value, Complaint> {
        if self.is_the_last(number)? == Some(false) {
            return Err(self.stale());
        }
        match self.stage {
            Stage::Preparing | Stage::Ready { .. } => {
                endpoint.cancel_relocation(now)?;
                self.stage = Stage::Cancelled;
            }
            Stage::Cancelled | Stage::Expired => {}
            Stage::Home => return Err(Complaint::new(Kind::NotPrepared, "no move was prepared")),
            Stage::Settling { .. } | Stage::Settled { .. } => {
                return Err(Complaint::new(Kind::NotPrepared, "the server has moved already"));
            }
        }
        Ok(self.answer("cancel"))
    }

    /// The endpoint has come further with its move; what is to be told of it.
    pub fn on_event(&mut self, event: &RelocationEvent) -> Option<Value> {
        match (event, self.stage) {
            (RelocationEvent::Ready { prepared, closed }, Stage::Preparing) => {
                self.stage = Stage::Ready { prepared: *prepared, closed: *closed };
            }
            (RelocationEvent::Settled { moved, lost }, Stage::Settling { listen }) => {
                self.stage = Stage::Settled { listen, moved: *moved, lost: *lost };
            }
            // Overtaken: the server moved before all were ready, or a move was prepared before all had followed.
            (RelocationEvent::Ready { .. } | RelocationEvent::Settled { .. }, _) => return None,
        }
        Some(self.event())
    }

    /// Sees whether the move was given up meanwhile; what is to be told of it.
    pub fn look(&mut self, endpoint: &Endpoint) -> Option<Value> {
        if !self.is_pending() || endpoint.is_relocation_pending() {
            return None;
        }
        self.stage = Stage::Expired;
        Some(self.event())
    }

    /// Where the move stands, as an event.
    pub fn event(&self) -> Value {
        let mut event = self.describe();
        event["event"] = json!(self.stage.word());
        event
    }

    /// Where the move stands.
    pub fn describe(&self) -> Value {
        let mut all = json!({ "move": self.number, "state": self.stage.word() });
        match self.stage {
            Stage::Home | Stage::Preparing | Stage::Settling { .. } | Stage::Cancelled | Stage::Expired => {}
            Stage::Ready { prepared, closed } => {
                (all["prepared"], all["closed"]) = (json!(prepared), json!(closed));
            }
            Stage::Settled { moved, lost, .. } => {
                (all["moved"], all["lost"]) = (json!(moved), json!(lost));
            }
        }
        all
    }

    /// Whether this number is the last move's or the next one's; `None` if it was not said.
    fn is_the_last(&self, number: Option<u64>) -> Result<Option<bool>, Complaint> {
        match number {
            None => Ok(None),
            Some(number) if number == self.number && number > 0 => Ok(Some(true)),
            Some(number) if number == self.number + 1 => Ok(Some(false)),
            Some(_) => Err(self.stale()),
        }
    }

    fn stale(&self) -> Complaint {
        Complaint::new(
            Kind::Stale,
            format!("move {} is the last one; it is {}", self.number, self.stage.word()),
        )
    }

    fn answer(&self, command: &str) -> Value {
        json!({ "ok": true, "answer": command, "move": self.number })
    }
}

fn targets(orders: &Orders) -> impl Iterator<Item = MigrationTarget> {
    let uniform = if let Orders::Uniform(order) = orders { Some(order) } else { None };
    let each = if let Orders::PerConnection(orders) = orders { Some(orders.values()) } else { None };
    uniform.into_iter().chain(each.into_iter().flatten()).filter_map(|order| match order {
        MoveOrder::Explicit(target) => Some(*target),
        MoveOrder::Pool | MoveOrder::Symmetric | MoveOrder::SynchronizedSymmetric => None,
    })
}

/// Whether a target is where the server is: what the endpoint, which knows no ports, cannot tell.
fn is_here(target: MigrationTarget, here: SocketAddr, endpoint: &Endpoint) -> bool {
    // A socket of all addresses is wherever a client reaches it.
    let reached = endpoint.connections().filter_map(|(_, connection)| connection.local().ip);
    let mut reached = reached.map(|ip| SocketAddr::new(ip, here.port()));
    target.names(here) || reached.any(|place| target.names(place))
}

fn plan(notice: &Notice, roster: &Roster) -> Result<RelocationPlan, Complaint> {
    let mut plan = match &notice.orders {
        Orders::Uniform(order) => RelocationPlan::uniform(*order),
        Orders::PerConnection(orders) => {
            let find = |(id, order): (&ConnectionId, &MoveOrder)| match roster.handle(*id) {
                Some(handle) => Ok((handle, *order)),
                None => Err(Complaint::new(Kind::UnknownConnection, format!("there is no connection {id}"))),
            };
            RelocationPlan::per_connection(orders.iter().map(find).collect::<Result<Vec<_>, _>>()?)
        }
    };
    if let Some(after) = notice.deadline {
        plan = plan.deadline(after);
    }
    if notice.keep_unfit {
        plan = plan.keep_unfit();
    }
    if notice.refuse_initials {
        plan = plan.refuse_initials();
    }
    Ok(notice.announce_rate.into_iter().fold(plan, RelocationPlan::announce_rate))
}

/// Takes the new place for its own: on a new socket, or on the one there is with all its options set again.
fn settle_down(
    driver: &mut Driver,
    endpoint: &mut Endpoint,
    socket: SocketKey,
    listen: Option<SocketAddr>,
) -> Result<(), Complaint> {
    let cannot = |error: std::io::Error| {
        let place = listen.map_or_else(|| "there".to_owned(), |listen| format!("at {listen}"));
        Complaint::new(Kind::CannotListen, format!("cannot listen {place}: {error}"))
    };
    let here = driver.address(socket);
    let Some(listen) = listen.filter(|listen| *listen != here) else {
        driver.refresh(socket).map_err(cannot)?;
        return Ok(endpoint.relocated(driver.now(), &[(socket, driver.local(socket))])?);
    };
    if listen.is_ipv4() != here.is_ipv4() {
        return Err(RelocationError::Family.into());
    }
    // The old socket is kept until all is well, and until then it is the one in use.
    let opened = Socket::bind(socket, listen).map_err(cannot)?;
    endpoint.relocated(driver.now(), &[(socket, opened.local())])?;
    driver.take_up(opened);
    Ok(())
}
