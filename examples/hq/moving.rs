//! The server's own move: `--migrate STRATEGY:ADDRESS@WHEN`, and what it takes to carry it out.

use std::net::SocketAddr;

use clap::ValueEnum;
use peregrine::{
    ConnectionEvent, Endpoint, Event, Instant, MigrationConfig, RelocationEvent, RelocationPlan, SocketKey,
};

use crate::driver::Driver;
use crate::variant::{Variant, target};
use crate::when::When;

/// An order to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    how: Variant,
    to: SocketAddr,
    when: When,
}

impl Order {
    /// Reads `STRATEGY:ADDRESS@WHEN`, as in `symmetric:127.0.0.2:4433@2s`.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong and what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form = || "use STRATEGY:ADDRESS:PORT@WHEN, as in symmetric:127.0.0.2:4433@2s".to_owned();
        let (how, rest) = text.split_once(':').ok_or_else(form)?;
        let (to, when) = rest.rsplit_once('@').ok_or_else(form)?;
        let how = Variant::from_str(how, true).map_err(|_| {
            let names = Variant::value_variants().iter().map(|variant| variant.name());
            format!("`{how}` is no strategy; use one of {}", names.collect::<Vec<_>>().join(", "))
        })?;
        let to: SocketAddr = to.parse().map_err(|_| form())?;
        if to.port() == 0 || to.ip().is_unspecified() {
            return Err(format!("{to} is not one place; clients must be told an address and a port"));
        }
        Ok(Self { how, to, when: When::parse(when)? })
    }

    /// What the server permits and tells its clients.
    pub fn permission(&self) -> MigrationConfig {
        self.how.server(&[target(self.to)])
    }
}

/// How far the move is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It has not begun.
    Home,
    /// Clients are being told.
    Preparing,
    /// All of them know.
    Ready,
    /// The server is at its new place.
    Away,
}

/// Carries out an order.
#[derive(Debug)]
pub struct Mover {
    order: Order,
    stage: Stage,
    /// When the first client had connected.
    since: Option<Instant>,
}

impl Mover {
    /// A mover that waits for its time.
    pub fn new(order: Order) -> Self {
        Self { order, stage: Stage::Home, since: None }
    }

    /// Something happened.
    pub fn on_event(&mut self, now: Instant, event: &Event) {
        match event {
            Event::Connection(_, ConnectionEvent::Connected { .. }) => {
                self.since.get_or_insert(now);
            }
            Event::Relocation(RelocationEvent::Ready { .. }) => self.stage = Stage::Ready,
            Event::Relocation(RelocationEvent::Settled { moved, lost }) => {
                println!("{moved} connections have followed, {lost} have not");
            }
            _ => {}
        }
    }

    /// Takes the next step if it is time; whether it did.
    ///
    /// # Errors
    ///
    /// Why the server cannot move.
    pub fn steer(
        &mut self,
        driver: &mut Driver,
        endpoint: &mut Endpoint,
        socket: SocketKey,
    ) -> Result<bool, String> {
        let Order { how, to, .. } = self.order;
        match self.stage {
            Stage::Home if self.is_due(driver.now(), endpoint) => {
                let plan = RelocationPlan::uniform(how.order(target(to)));
                endpoint
                    .prepare_relocation(driver.now(), plan)
                    .map_err(|error| format!("cannot prepare the move: {error}"))?;
                self.stage = Stage::Preparing;
            }
            Stage::Ready => {
                driver.rebind(socket, to).map_err(|error| format!("cannot move to {to}: {error}"))?;
                endpoint
                    .relocated(driver.now(), &[(socket, driver.local(socket))])
                    .map_err(|error| format!("cannot move to {to}: {error}"))?;
                println!("moved to {to}");
                self.stage = Stage::Away;
            }
            Stage::Home | Stage::Preparing | Stage::Away => return Ok(false),
        }
        Ok(true)
    }

    fn is_due(&self, now: Instant, endpoint: &Endpoint) -> bool {
        self.order.when.is_due(now, self.since, endpoint.stats().bytes_sent)
    }

    /// When it wants to be asked next.
    pub fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Home => self.order.when.deadline(self.since),
            Stage::Preparing | Stage::Ready | Stage::Away => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_order_says_how_and_where_to_and_when() {
        let to = "127.0.0.2:4433".parse().expect("an address");
        let when = When::After(Duration::from_secs(2));
        assert_eq!(Order::parse("pool:127.0.0.2:4433@2s"), Ok(Order { how: Variant::Pool, to, when }));
        let when = When::After(Duration::from_millis(50));
        let how = Variant::ExplicitReactive;
        assert_eq!(Order::parse("explicit:127.0.0.2:4433@50ms"), Ok(Order { how, to, when }));
        let (how, to) = (Variant::Symmetric, "[::1]:4433".parse().expect("an address"));
        assert_eq!(
            Order::parse("symmetric:[::1]:4433@1M"),
            Ok(Order { how, to, when: When::Bytes(1 << 20) })
        );
    }

    #[test]
    fn what_is_no_order_is_refused_with_a_reason() {
        for text in [
            "",
            "pool",
            "pool:127.0.0.2:4433",
            "pool:127.0.0.2@2s",
            "pool:127.0.0.2:0@2s",
            "pool:0.0.0.0:1@2s",
            "swim:127.0.0.2:4433@2s",
            "pool:127.0.0.2:4433@",
            "pool:127.0.0.2:4433@soon",
        ] {
            assert!(Order::parse(text).is_err(), "{text}");
        }
    }
}
