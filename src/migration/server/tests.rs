//! A server's machine, from orders and inputs to frames and actions; its client is at 10.9.9.9.

use super::*;
use crate::frame::{FrameKind, Record, ServerMigration};
use crate::id::ConnectionId;
use crate::negotiation::Strategy::{self, Explicit, Pool as Pooled, Symmetric, SynchronizedSymmetric};
use crate::negotiation::{StrategySet, select};
use crate::packet::{Allowance, DatagramWriter, Header};

mod acks;
mod anything;
mod moves;
mod orders;
mod waiting;

const PTO: Duration = Duration::from_millis(100);
const DEADLINE: Duration = Duration::from_secs(30);

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn target(last: u8) -> MigrationTarget {
    MigrationTarget::single(std::net::SocketAddr::from(([10, 0, 0, last], 443))).expect("a whole endpoint")
}

fn facts() -> Facts {
    Facts {
        home: std::net::SocketAddr::from(([10, 9, 9, 9], 4000)),
        pto: PTO,
        patience: Duration::from_secs(3),
        spare_ids: 2,
        quiet: true,
        receiving: false,
        former: None,
    }
}

fn server_with(strategies: &[Strategy], pool: &[MigrationTarget]) -> Server {
    let set: StrategySet = strategies.iter().copied().collect();
    let agreement = select(Some(set), Some(set.into())).expect("a sound offer").expect("both take part");
    let mut server = Server::new(at(0), agreement, pool, DEADLINE);
    assert!(step(&mut server, 0, ServerInput::Acked(Record::HandshakeDone)).is_empty());
    server
}

fn server(strategies: &[Strategy]) -> Server {
    server_with(strategies, &[])
}

/// The records of what the server writes now.
fn written(server: &mut Server) -> Vec<Record> {
    let (mut buf, mut records) = ([0; 1200], Vec::new());
    let mut datagram = DatagramWriter::new(&mut buf, &mut records);
    let header = Header::Short { dcid: ConnectionId::EMPTY };
    let mut packet = datagram.begin(&header, 0, None, Allowance::Full).expect("1200 bytes hold a packet");
    server.write(&mut packet);
    let draft = packet.finish();
    datagram.keep(draft);
    records
}

fn prepare(server: &mut Server, now: u64, order: MoveOrder) -> Result<Vec<Action>, MigrationError> {
    server.prepare(at(now), order, &facts()).map(|actions| actions.to_vec())
}

fn step(server: &mut Server, now: u64, input: ServerInput) -> Vec<Action> {
    server.step(at(now), input, &facts()).to_vec()
}

fn relocate(server: &mut Server, now: u64) {
    step(server, now, ServerInput::Relocated { announce_at: at(now) });
}

fn acked(server: &mut Server, now: u64, record: Record) -> Vec<Action> {
    step(server, now, ServerInput::Acked(record))
}

fn ready(strategy: Strategy) -> Action {
    Action::Emit(MigrationEvent::Ready { strategy })
}

fn completed(strategy: Strategy) -> Action {
    Action::Emit(MigrationEvent::Completed { strategy, address: None })
}

fn failed(strategy: Strategy) -> Action {
    Action::Emit(MigrationEvent::Failed { strategy, reason: MigrationError::Deadline })
}

fn acknowledged(kind: FrameKind) -> Action {
    Action::Emit(MigrationEvent::FrameAcknowledged { kind })
}

/// The notice that the server writes now, which must be one.
fn notice(server: &mut Server) -> Record {
    let records = written(server);
    assert!(matches!(records[..], [Record::ServerMigration { .. }]), "{records:?}");
    records[0]
}
