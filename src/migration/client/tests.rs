//! A client's machine, from inputs to actions: its server is at 10.0.0.1, and what the connection would keep of it is in
//! the [`Table`].

use super::*;
use crate::error::Code;
use crate::frame::ServerMigration;
use crate::migration::Cycle;
use crate::negotiation::Strategy::{self, Explicit, Pool, Symmetric, SynchronizedSymmetric};
use crate::negotiation::{StrategySet, select};

mod adoption;
mod anything;
mod frames;
mod pool;
mod search;
mod shown;
mod welcome;

const PTO: Duration = Duration::from_millis(100);

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 443))
}

fn target(last: u8) -> MigrationTarget {
    MigrationTarget::single(address(last)).expect("a whole endpoint")
}

/// Refuses what ends in 200 and above.
struct Below200;

impl AddressPolicy for Below200 {
    fn permits(&self, _: SocketAddr, target: SocketAddr) -> bool {
        match target {
            SocketAddr::V4(v4) => v4.ip().octets()[3] < 200,
            SocketAddr::V6(_) => true,
        }
    }
}

fn agreement(strategies: &[Strategy]) -> Agreement {
    let set: StrategySet = strategies.iter().copied().collect();
    select(Some(set), Some(set.into())).expect("a sound offer").expect("both take part")
}

/// A client whose server is at 10.0.0.1, and what the connection would keep of it.
struct Table {
    client: Client,
    facts: Facts,
}

fn client(strategies: &[Strategy], seek: SeekPolicy) -> Table {
    client_of(Arc::new(Below200), strategies, seek)
}

fn client_of(policy: Arc<dyn AddressPolicy>, strategies: &[Strategy], seek: SeekPolicy) -> Table {
    let settings = ClientSettings {
        seek,
        deadline: Duration::from_secs(30),
        pool_limit: 3,
        policy,
        scheduler: Box::new(Cycle::default()),
    };
    let facts = Facts {
        home: address(1),
        pto: PTO,
        patience: Duration::from_secs(3),
        spare_ids: 8,
        quiet: false,
        receiving: false,
        former: None,
    };
    Table { client: Client::new(at(0), agreement(strategies), settings), facts }
}

impl Table {
    fn step(&mut self, now: u64, input: ClientInput) -> Actions {
        let actions = self.client.step(at(now), input, &self.facts).expect("no fault");
        for action in &actions {
            match *action {
                Action::Adopt(to) => self.facts.former = Some(std::mem::replace(&mut self.facts.home, to)),
                Action::GoBack => self.facts.home = self.facts.former.take().expect("a former home"),
                _ => {}
            }
        }
        actions
    }

    fn hear(&mut self, now: u64, number: PacketNumber, last: u8, frame: Heard) -> Result<Actions, Code> {
        let input = ClientInput::Frame { number, from: address(last), frame };
        self.client.step(at(now), input, &self.facts).map_err(|fault| fault.code)
    }

    fn move_to(&mut self, now: u64, number: PacketNumber, last: u8) -> Result<Actions, Code> {
        self.hear(now, number, 1, Heard::Migration(ServerMigration::MoveTo(target(last))))
    }

    fn announce(&mut self, now: u64, number: PacketNumber) -> Result<Actions, Code> {
        self.hear(now, number, 1, Heard::Migration(ServerMigration::Announce))
    }

    fn pool(&mut self, now: u64, number: PacketNumber, last: u8) -> Result<Actions, Code> {
        self.hear(now, number, 1, Heard::Pool(Some(target(last))))
    }

    fn arrive(&mut self, now: u64, last: u8, number: PacketNumber) -> Actions {
        self.step(now, ClientInput::Arrived { from: address(last), number, says_more: true })
    }

    fn prove(&mut self, now: u64, last: u8, number: PacketNumber, padded: bool) -> Actions {
        self.step(now, ClientInput::Proved { address: address(last), padded, number })
    }
}

fn emit(event: MigrationEvent) -> Action {
    Action::Emit(event)
}

fn announced(strategy: Strategy) -> Action {
    emit(MigrationEvent::Announced { strategy })
}

fn completed(strategy: Strategy, last: u8) -> Action {
    emit(MigrationEvent::Completed { strategy, address: Some(address(last)) })
}

fn returned(last: u8) -> Action {
    emit(MigrationEvent::Returned { address: address(last) })
}
