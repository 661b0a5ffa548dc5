//! The machines of migration and relocation under any list of inputs: nothing panics, no time is waited for twice, and
//! no migration completes before the new address was proved.

#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use peregrine::internals::{
    Action, Client, ClientInput, ClientSettings, Facts, Heard, Record, Relocation, Server, ServerInput,
    ServerMigration, handle, relocation, select, terms,
};
use peregrine::{
    AddressPolicy, Agreement, Cycle, Instant, MigrationEvent, MigrationTarget, MoveOrder, RelocationEvent,
    RelocationPlan, SeekPolicy, Strategy, StrategySet,
};

/// Longest wait between two inputs that the machines are shown, in milliseconds.
const LONGEST_WAIT: u64 = 60_000;

#[derive(Debug, Arbitrary)]
struct Case {
    strategies: u8,
    proactive: bool,
    pto: u8,
    client: Vec<(u16, ForClient)>,
    server: Vec<(u16, ForServer)>,
    relocation: Vec<(u16, ForRelocation)>,
}

/// One of a few addresses, so that they meet again.
#[derive(Debug, Clone, Copy, Arbitrary)]
struct Address(u8);

impl Address {
    fn get(self) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, self.0 % 6], 443))
    }

    fn target(self) -> MigrationTarget {
        let v6 = SocketAddr::from(([0x2001, 0xdb9, 0, 0, 0, 0, 0, 1], 443));
        let address = if self.0 >= 250 { v6 } else { self.get() };
        MigrationTarget::single(address).expect("a whole endpoint")
    }
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum ForClient {
    MoveTo { number: u16, from: Address, target: Address },
    Announce { number: u16, from: Address },
    Migrated { number: u16, from: Address },
    Pool { number: u16, from: Address, target: Option<Address> },
    AckSent,
    Arrived { from: Address, number: u16, says_more: bool },
    Refused { from: Address },
    Duplicate { number: u16 },
    LossTimeout,
    Proved { address: Address, padded: bool, number: u16 },
    Reset,
    SeekNow,
    Due,
    Facts { spare_ids: u8, quiet: bool, receiving: bool, forgets_former: bool },
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Order {
    Explicit(Address),
    Pool,
    Symmetric,
    Synchronized,
}

impl Order {
    fn get(self) -> MoveOrder {
        match self {
            Self::Explicit(address) => MoveOrder::Explicit(address.target()),
            Self::Pool => MoveOrder::Pool,
            Self::Symmetric => MoveOrder::Symmetric,
            Self::Synchronized => MoveOrder::SynchronizedSymmetric,
        }
    }
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum ForServer {
    Prepare(Order),
    Cancel,
    Relocated { after: u16 },
    AckedNotice(u8),
    AckedMigrated(u8),
    AckedMember(u16),
    AckedResponse,
    AckedHandshakeDone,
    LostNotice(u8),
    LostMember(u16),
    AckedAfterSwitch,
    Arrived(bool),
    Challenged,
    Announced,
    DataSent,
    Due,
}

#[derive(Debug, Clone, Arbitrary)]
enum ForRelocation {
    Plan { movers: Vec<u8>, leaving: Vec<u8>, deadline: Option<u16>, refuses: bool },
    Cancel,
    Relocated { participants: Vec<u8>, bystanders: Vec<u8> },
    Ready(u8),
    Failed(u8),
    Closed(u8),
    Done(u8),
    Deadline,
}

struct Anywhere;

impl AddressPolicy for Anywhere {
    fn permits(&self, _: SocketAddr, target: SocketAddr) -> bool {
        target.port() != 0
    }
}

fn agreement(bits: u8) -> Option<Agreement> {
    let chosen = |(index, _): &(usize, Strategy)| bits & (1 << index) != 0;
    let set: StrategySet =
        Strategy::ALL.into_iter().enumerate().filter(chosen).map(|(_, strategy)| strategy).collect();
    select(Some(set), Some(set.into())).ok().flatten()
}

fn facts(pto: u8) -> Facts {
    Facts {
        home: Address(0).get(),
        pto: Duration::from_millis(u64::from(pto) + 1),
        patience: Duration::from_millis(3 * (u64::from(pto) + 1)),
        spare_ids: 8,
        quiet: true,
        receiving: true,
        former: None,
    }
}

fn drive_client(agreement: Agreement, case: &Case) {
    let settings = ClientSettings {
        seek: if case.proactive { SeekPolicy::Proactive } else { SeekPolicy::Reactive },
        deadline: Duration::from_secs(30),
        pool_limit: 16,
        policy: Arc::new(Anywhere),
        scheduler: Box::new(Cycle::default()),
    };
    let mut now = Instant::from_millis(1_000_000);
    let mut client = Client::new(now, agreement, settings);
    let mut facts = facts(case.pto);
    for (wait, input) in &case.client {
        now += Duration::from_millis(u64::from(*wait) % LONGEST_WAIT);
        let input = match *input {
            ForClient::Facts { spare_ids, quiet, receiving, forgets_former } => {
                facts.spare_ids = spare_ids.into();
                (facts.quiet, facts.receiving) = (quiet, receiving);
                facts.former = facts.former.filter(|_| !forgets_former);
                continue;
            }
            ForClient::MoveTo { number, from, target } => {
                let frame = Heard::Migration(ServerMigration::MoveTo(target.target()));
                ClientInput::Frame { number: number.into(), from: from.get(), frame }
            }
            ForClient::Announce { number, from } => {
                let frame = Heard::Migration(ServerMigration::Announce);
                ClientInput::Frame { number: number.into(), from: from.get(), frame }
            }
            ForClient::Migrated { number, from } => {
                ClientInput::Frame { number: number.into(), from: from.get(), frame: Heard::Migrated }
            }
            ForClient::Pool { number, from, target } => {
                let frame = Heard::Pool(target.map(Address::target));
                ClientInput::Frame { number: number.into(), from: from.get(), frame }
            }
            ForClient::AckSent => ClientInput::AckSent,
            ForClient::Arrived { from, number, says_more } => {
                ClientInput::Arrived { from: from.get(), number: number.into(), says_more }
            }
            ForClient::Refused { from } => ClientInput::Refused { from: from.get() },
            ForClient::Duplicate { number } => ClientInput::Duplicate { number: number.into() },
            ForClient::LossTimeout => ClientInput::LossTimeout,
            ForClient::Proved { address, padded, number } => {
                ClientInput::Proved { address: address.get(), padded, number: number.into() }
            }
            ForClient::Reset => ClientInput::Reset,
            ForClient::SeekNow => ClientInput::SeekNow,
            ForClient::Due => ClientInput::Due,
        };
        let Ok(actions) = client.step(now, input, &facts) else { return };
        check_client_actions(&input, &actions, &facts);
        for action in &actions {
            match *action {
                Action::Adopt(address) => facts.former = Some(std::mem::replace(&mut facts.home, address)),
                Action::GoBack => facts.home = facts.former.take().expect("there is somewhere to go back to"),
                Action::EndByReset => return,
                _ => {}
            }
        }
        let _ = (client.lead(now), client.held_until(), client.awaits_ack());
        if input == ClientInput::Due {
            assert!(client.due(&facts).is_none_or(|at| at > now), "what was due is due no more");
        }
    }
}

fn check_client_actions(input: &ClientInput, actions: &[Action], facts: &Facts) {
    let proved = match input {
        ClientInput::Proved { address, .. } => Some(*address),
        _ => None,
    };
    let mut sought = BTreeSet::new();
    for action in actions {
        match *action {
            Action::Seek(address) => {
                assert!(sought.insert(address), "one seek for each address and step");
                assert_ne!(address, facts.home, "home is asked, never sought");
            }
            Action::Adopt(address) => assert_eq!(Some(address), proved, "who was not proved is not adopted"),
            Action::Emit(MigrationEvent::Completed { address, .. }) => {
                assert_eq!(address, proved, "no migration completes before its address was proved");
                assert!(address.is_some() && actions.contains(&Action::Adopt(address.unwrap())));
            }
            _ => {}
        }
    }
}

fn drive_server(agreement: Agreement, case: &Case) {
    let mut now = Instant::from_millis(1_000_000);
    let pool = [Address(1).target(), Address(2).target()];
    let mut server = Server::new(now, agreement, &pool, Duration::from_secs(30));
    let facts = facts(case.pto);
    for (wait, input) in &case.server {
        now += Duration::from_millis(u64::from(*wait) % LONGEST_WAIT);
        let had_moved = server.has_moved();
        let input = match *input {
            ForServer::Prepare(order) => {
                let fits = server.check(order.get(), &facts);
                assert_eq!(server.prepare(now, order.get(), &facts).map(|_| ()), fits);
                continue;
            }
            ForServer::Cancel => {
                let pending = server.is_busy() && !had_moved;
                assert_eq!(server.cancel(now).is_ok(), pending);
                assert!(server.cancel(now).is_err(), "what is cancelled cannot be cancelled again");
                continue;
            }
            ForServer::Relocated { after } => {
                ServerInput::Relocated { announce_at: now + Duration::from_millis(after.into()) }
            }
            ForServer::AckedNotice(migration) => {
                ServerInput::Acked(Record::ServerMigration { migration: migration.into() })
            }
            ForServer::AckedMigrated(migration) => {
                ServerInput::Acked(Record::ServerMigrated { migration: migration.into() })
            }
            ForServer::AckedMember(member) => ServerInput::Acked(Record::PoolMigrationAddress { member }),
            ForServer::AckedResponse => ServerInput::Acked(Record::PathResponse),
            ForServer::AckedHandshakeDone => ServerInput::Acked(Record::HandshakeDone),
            ForServer::LostNotice(migration) => {
                ServerInput::Lost(Record::ServerMigration { migration: migration.into() })
            }
            ForServer::LostMember(member) => ServerInput::Lost(Record::PoolMigrationAddress { member }),
            ForServer::AckedAfterSwitch => ServerInput::AckedAfterSwitch,
            ForServer::Arrived(says_more) => ServerInput::Arrived { says_more },
            ForServer::Challenged => ServerInput::Challenged,
            ForServer::Announced => ServerInput::Announced,
            ForServer::DataSent => ServerInput::DataSent,
            ForServer::Due => ServerInput::Due,
        };
        for action in server.step(now, input, &facts) {
            match action {
                Action::Emit(MigrationEvent::Completed { .. }) => {
                    assert!(had_moved, "who did not move is not done")
                }
                Action::Emit(MigrationEvent::Ready { .. }) => assert!(!had_moved && server.is_busy()),
                Action::Prompt => assert!(had_moved, "who did not move has nothing to be challenged for"),
                Action::PullBack => assert!(!had_moved, "from a place that was left nobody is pulled back"),
                Action::Emit(_) | Action::Ask => {}
                other => panic!("a server does not {other:?}"),
            }
        }
        if input == ServerInput::Due {
            assert!(server.due(&facts).is_none_or(|at| at > now), "what was due is due no more");
        }
    }
}

fn drive_relocation(case: &Case) {
    let mut now = Instant::from_millis(1_000_000);
    let mut machine = Relocation::default();
    let (mut planned, mut told, mut moved) = (BTreeMap::new(), false, false);
    let handles = |ids: &[u8]| ids.iter().map(|id| handle(u32::from(id % 16))).collect::<BTreeSet<_>>();
    for (wait, input) in &case.relocation {
        now += Duration::from_millis(u64::from(*wait) % LONGEST_WAIT);
        let report = |id: u8, report| relocation::Input::Connection(handle(u32::from(id % 16)), report);
        let input = match input {
            ForRelocation::Plan { movers, leaving, deadline, refuses } => {
                let movers = handles(movers);
                let leaving = handles(leaving).difference(&movers).copied().collect();
                let orders: BTreeMap<_, _> = movers.iter().map(|id| (*id, MoveOrder::Symmetric)).collect();
                let plan = RelocationPlan::uniform(MoveOrder::Symmetric);
                let plan = if *refuses { plan.refuse_initials() } else { plan };
                let plan = match deadline {
                    Some(after) => plan.deadline(Duration::from_millis((*after).into())),
                    None => plan,
                };
                let terms = terms(&plan);
                let migration_deadline = Duration::from_secs(30);
                if machine.admits() {
                    (planned, told) = (orders.clone(), false);
                }
                let plan = relocation::CheckedPlan { orders, leaving, terms, migration_deadline };
                relocation::Input::Plan(plan)
            }
            ForRelocation::Cancel => relocation::Input::Cancel,
            ForRelocation::Relocated { participants, bystanders } => {
                moved = true;
                let participants = handles(participants);
                let bystanders = handles(bystanders).difference(&participants).copied().collect();
                relocation::Input::Relocated { participants, bystanders }
            }
            ForRelocation::Ready(id) => report(*id, relocation::Report::Ready),
            ForRelocation::Failed(id) => report(*id, relocation::Report::Failed),
            ForRelocation::Closed(id) => report(*id, relocation::Report::Closed),
            ForRelocation::Done(id) => report(*id, relocation::Report::Done),
            ForRelocation::Deadline => relocation::Input::Deadline,
        };
        let Ok(actions) = machine.step(now, input) else { continue };
        for action in actions {
            match action {
                relocation::Action::Prepare(handle, _) => assert!(planned.contains_key(&handle)),
                relocation::Action::Emit(RelocationEvent::Ready { .. }) => {
                    assert!(!std::mem::replace(&mut told, true), "readiness is told once for each plan");
                }
                relocation::Action::Emit(RelocationEvent::Settled { .. }) => {
                    assert!(std::mem::take(&mut moved), "a move is settled once");
                }
                relocation::Action::Close(_) | relocation::Action::Resume(_) => {}
            }
        }
    }
}

fuzz_target!(|case: Case| {
    if let Some(agreement) = agreement(case.strategies) {
        drive_client(agreement, &case);
        drive_server(agreement, &case);
    }
    drive_relocation(&case);
});
