//! A server: the machine of one connection, the relocation of its endpoint, and what lies between and around them.
//!
//! Follows `connection/`: `steer.rs`, `switch.rs`, `delivery.rs`; and `endpoint/relocate.rs`.

use std::collections::{BTreeMap, BTreeSet};

use smallvec::SmallVec;

use super::ledger::{Ledger, Records};
use super::mutant::Mutant;
use super::network::{Frame, Numbers, Packet, Place};
use super::scenario::{Scenario, target};
use super::{DEADLINE, IDLE_TIMEOUT, PATIENCE, TICK};
use crate::frame::Record;
use crate::id::{ConnectionHandle, ConnectionId};
use crate::migration::relocation::{self, CheckedPlan, Input, RelocationEvent, Report, Terms};
use crate::migration::server::{Server as Machine, ServerInput};
use crate::migration::{Action, Facts, MigrationEvent, MoveOrder, Relocation};
use crate::packet::{Allowance, DatagramWriter, Header};
use crate::time::Instant;

/// Packet numbers skipped at a switch: enough to see whether anybody minds.
const SKIPPED: u8 = 4;

const HANDLE: ConnectionHandle = ConnectionHandle { slot: 0, generation: 0 };

/// What the server's embedder heard of moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Heardsay {
    /// Readiness of the connection, and of the endpoint.
    pub ready: u8,
    pub all_ready: u8,
    pub completed: u8,
    pub failed: u8,
    pub settled: u8,
    /// Connections that were lost, of all moves.
    pub lost: u8,
}

/// A server of one connection.
#[derive(Debug, Clone, PartialEq, Hash)]
pub struct Server {
    machine: Machine,
    relocation: Relocation,
    mutant: Option<Mutant>,
    /// The last order, whose target a notice names.
    order: Option<MoveOrder>,
    pool: Vec<Place>,
    pub at: Place,
    /// The first packet number after the last move.
    switch: Option<u8>,
    ledger: Ledger<Record>,
    /// Answers owed.
    owed: SmallVec<[u8; 2]>,
    ping: bool,
    /// Whether the client is to be challenged, so that it has something to say.
    prompt: bool,
    heard_at: Instant,
    pub is_open: bool,
    pub is_frozen: bool,
    pub moves: u8,
    has_announced: bool,
    /// The packets with answers to challenges that came after the last move.
    answers: Numbers,
    /// The last challenge, or the first acknowledgement, since the last move.
    asked_at: Option<Instant>,
    pub said: Heardsay,
}

impl Server {
    pub fn new(now: Instant, scenario: &Scenario) -> Self {
        let pool: Vec<_> = scenario.pool.iter().copied().map(target).collect();
        let mut machine = Machine::new(now, scenario.agreement(), &pool, DEADLINE);
        let _ = machine.step(now, ServerInput::Acked(Record::HandshakeDone), &facts());
        Self {
            machine,
            relocation: Relocation::default(),
            mutant: scenario.mutant,
            order: None,
            pool: scenario.pool.clone(),
            at: Place::Home,
            switch: None,
            ledger: Ledger::new(now),
            owed: SmallVec::new(),
            ping: false,
            prompt: false,
            heard_at: now,
            is_open: true,
            is_frozen: false,
            moves: 0,
            has_announced: false,
            answers: Numbers::default(),
            asked_at: None,
            said: Heardsay::default(),
        }
    }

    // ---- questions --------------------------------------------------------------------------------

    /// Whether no move is ordered or under way.
    pub fn is_at_rest(&self) -> bool {
        !self.machine.is_busy() && self.relocation.admits()
    }

    /// Whether a client that received these packets has an answer to a challenge of after the move, or did not ask for
    /// three PTO.
    pub fn is_done_with(&self, now: Instant, received: Numbers) -> bool {
        received.meets(self.answers) || self.asked_at.is_some_and(|asked| now >= asked + TICK * 3)
    }

    /// Whether a plan is pending that waits for its connection.
    pub fn awaits_readiness(&self) -> bool {
        !self.relocation.admits() && !self.relocation.is_prepared()
    }

    /// Whether the move is awaited.
    pub fn is_prepared(&self) -> bool {
        self.relocation.is_prepared()
    }

    /// The last order.
    pub fn order(&self) -> Option<MoveOrder> {
        self.order
    }

    /// Whether a plan is pending.
    pub fn is_pending(&self) -> bool {
        !self.relocation.admits()
    }

    pub fn may_prepare(&self, order: MoveOrder) -> bool {
        self.is_open && self.relocation.admits() && self.machine.check(order, &facts()).is_ok()
    }

    // ---- what the operator does -------------------------------------------------------------------

    pub fn prepare(&mut self, now: Instant, order: MoveOrder) -> Vec<Packet> {
        self.order = Some(order);
        let plan = CheckedPlan {
            orders: BTreeMap::from([(HANDLE, order)]),
            leaving: BTreeSet::new(),
            terms: Terms::default(),
            migration_deadline: DEADLINE,
        };
        self.relocate(now, Input::Plan(plan));
        self.flush(now)
    }

    pub fn cancel(&mut self, now: Instant) -> Vec<Packet> {
        self.relocate(now, Input::Cancel);
        self.flush(now)
    }

    /// The server runs elsewhere from now on.
    pub fn move_to(&mut self, now: Instant, place: Place) -> Vec<Packet> {
        (self.at, self.is_frozen) = (place, false);
        self.moves += 1;
        (self.has_announced, self.answers, self.asked_at) = (false, Numbers::default(), None);
        let everybody = BTreeSet::from([HANDLE]);
        let (mut participants, mut bystanders) = (BTreeSet::new(), BTreeSet::new());
        if self.is_open && self.machine.would_move().is_some() {
            participants = everybody;
            let lost = match self.mutant {
                // What was sent before is remembered as if it had been sent after.
                Some(Mutant::EndsOnAnyResponse) => Records::new(),
                _ => self.ledger.abandon(),
            };
            self.lose(now, &lost);
            self.owed.clear();
            self.ledger.skip(SKIPPED);
            self.switch = Some(self.ledger.next_number());
            self.heard_at = now;
            self.tell(now, ServerInput::Relocated { announce_at: now });
        } else if self.is_open {
            bystanders = everybody;
        }
        self.relocate(now, Input::Relocated { participants, bystanders });
        self.flush(now)
    }

    // ---- inputs -----------------------------------------------------------------------------------

    /// A packet arrives where the server is.
    pub fn receive(&mut self, now: Instant, packet: &Packet) -> Vec<Packet> {
        if !self.is_open || self.is_frozen || self.ledger.has(packet.number) {
            return Vec::new();
        }
        for frame in &packet.frames {
            match *frame {
                Frame::Ack(acked) => self.on_ack(now, acked),
                Frame::Challenge { data } => self.on_challenge(now, data),
                Frame::Ping | Frame::Request | Frame::Response { .. } => {}
                _ => unreachable!("only a server sends {frame:?}"),
            }
        }
        self.heard_at = now;
        let ack_eliciting = packet.is_ack_eliciting();
        self.ledger.on_received(packet.number, ack_eliciting);
        self.tell(now, ServerInput::Arrived { says_more: packet.says_more() });
        self.flush(now)
    }

    fn on_challenge(&mut self, now: Instant, data: u8) {
        self.owed.push(data);
        self.asked_at = self.asked_at.map(|_| now);
        self.tell(now, ServerInput::Challenged);
        if self.mutant == Some(Mutant::EndsWhenChallenged) {
            self.tell(now, ServerInput::Acked(Record::PathResponse));
        }
    }

    fn on_ack(&mut self, now: Instant, acked: Numbers) {
        let fates = self.ledger.on_ack(acked);
        for record in fates.acked {
            self.tell(now, ServerInput::Acked(record));
        }
        self.lose(now, &fates.lost);
        let after_switch = |largest| self.switch.is_some_and(|first| largest >= first);
        if fates.largest.is_some_and(after_switch) && self.machine.hurries() {
            self.asked_at = Some(now);
            self.tell(now, ServerInput::AckedAfterSwitch);
        }
    }

    fn lose(&mut self, now: Instant, records: &[Record]) {
        for record in records.iter().filter(|record| **record != Record::PathResponse) {
            self.tell(now, ServerInput::Lost(*record));
        }
    }

    /// Time has come on.
    pub fn expire(&mut self, now: Instant) -> Vec<Packet> {
        if self.is_frozen {
            return Vec::new();
        }
        if self.relocation.deadline().is_some_and(|at| at <= now) {
            self.relocate(now, Input::Deadline);
        }
        if !self.is_open {
            return Vec::new();
        }
        let hurried = self.machine.hurries();
        if let Some(offered) = self.ledger.expire(now, hurried) {
            self.lose(now, &offered);
            // A server that has moved announces on a clock of its own.
            self.ping |= !hurried;
        }
        if self.machine.due(&facts()).is_some_and(|at| at <= now) {
            self.tell(now, ServerInput::Due);
        }
        let idle = self.heard_at + IDLE_TIMEOUT;
        if self.machine.held_until(now).map_or(idle, |held| idle.max(held)) <= now {
            self.end(now);
        }
        self.flush(now)
    }

    fn end(&mut self, now: Instant) {
        self.is_open = false;
        if self.mutant != Some(Mutant::WaitsForTheDead) {
            self.relocate(now, Input::Connection(HANDLE, Report::Closed));
        }
    }

    // ---- what the machines decide -----------------------------------------------------------------

    fn tell(&mut self, now: Instant, input: ServerInput) {
        let actions = self.machine.step(now, input, &facts());
        self.carry_out(now, actions);
    }

    fn carry_out(&mut self, now: Instant, actions: crate::migration::Actions) {
        for action in actions {
            match action {
                Action::Ask => self.ping = true,
                Action::Prompt => self.prompt = true,
                Action::PullBack => self.prompt |= self.ledger.received().have_gap(),
                Action::Emit(event) => self.note(now, event),
                _ => unreachable!("a server does nothing of a client's: {action:?}"),
            }
        }
    }

    fn note(&mut self, now: Instant, event: MigrationEvent) {
        let (count, report) = match event {
            MigrationEvent::Ready { .. } => (&mut self.said.ready, Report::Ready),
            MigrationEvent::Completed { .. } => (&mut self.said.completed, Report::Done),
            MigrationEvent::Failed { .. } => (&mut self.said.failed, Report::Failed),
            _ => return,
        };
        *count += 1;
        self.relocate(now, Input::Connection(HANDLE, report));
    }

    fn relocate(&mut self, now: Instant, input: Input) {
        let Ok(actions) = self.relocation.step(now, input) else { return };
        for action in actions {
            match action {
                relocation::Action::Prepare(_, order) => match self.machine.prepare(now, order, &facts()) {
                    Ok(actions) => self.carry_out(now, actions),
                    Err(_) => self.relocate(now, Input::Connection(HANDLE, Report::Failed)),
                },
                relocation::Action::Close(_) => self.is_open = false,
                relocation::Action::Resume(_) => {
                    let _ = self.machine.cancel(now);
                }
                relocation::Action::Emit(RelocationEvent::Ready { .. }) => self.said.all_ready += 1,
                relocation::Action::Emit(RelocationEvent::Settled { lost, .. }) => {
                    self.said.settled += 1;
                    self.said.lost += lost as u8;
                }
            }
        }
    }

    // ---- sending ----------------------------------------------------------------------------------

    /// What is to be sent now: one datagram holds it all.
    pub fn flush(&mut self, now: Instant) -> Vec<Packet> {
        if !self.is_open || self.is_frozen {
            return Vec::new();
        }
        if self.mutant == Some(Mutant::AnnouncesOnce) && self.has_announced && self.machine.announces() {
            self.tell(now, ServerInput::Announced);
            self.prompt = false;
        }
        let announces = self.machine.announces();
        let records = self.written();
        let mut frames: SmallVec<[Frame; 3]> = self.ledger.ack().map(Frame::Ack).into_iter().collect();
        frames.extend(records.iter().map(|record| self.frame(record)));
        frames.extend(self.owed.iter().map(|data| Frame::Response { data: *data }));
        let mut records = records;
        let answers = !self.owed.is_empty();
        records.extend(self.owed.drain(..).map(|_| Record::PathResponse));
        frames.extend(std::mem::take(&mut self.prompt).then_some(Frame::Challenge { data: 0 }));
        let pings = std::mem::take(&mut self.ping) || announces;
        if pings && records.is_empty() {
            frames.push(Frame::Ping);
        }
        if frames.is_empty() {
            return Vec::new();
        }
        let packet = Packet { from: self.at, to: Place::Client, number: self.ledger.number(), frames };
        if answers {
            self.answers.insert(packet.number);
        }
        if packet.is_ack_eliciting() {
            self.ledger.on_sent(now, packet.number, records.clone());
        }
        if announces {
            self.has_announced = true;
            self.tell(now, ServerInput::Announced);
        }
        if self.mutant == Some(Mutant::IsReadyUnheard) {
            for record in records.iter().filter(|record| matches!(record, Record::ServerMigration { .. })) {
                self.tell(now, ServerInput::Acked(*record));
            }
        }
        vec![packet]
    }

    /// What the machine writes.
    fn written(&mut self) -> Records<Record> {
        let (mut buf, mut records) = ([0; 1200], Vec::new());
        let mut datagram = DatagramWriter::new(&mut buf, &mut records);
        let header = Header::Short { dcid: ConnectionId::EMPTY };
        let mut packet = datagram.begin(&header, 0, None, Allowance::Full).expect("1200 bytes hold a packet");
        self.machine.write(&mut packet);
        let draft = packet.finish();
        datagram.keep(draft);
        records.into_iter().collect()
    }

    fn frame(&self, record: &Record) -> Frame {
        match (*record, self.order) {
            (Record::ServerMigration { .. }, Some(MoveOrder::Explicit(target))) => {
                let address = target.like(Place::Client.address()).expect("an address of the family in use");
                Frame::MoveTo(Place::at(address))
            }
            (Record::ServerMigration { .. }, _) => Frame::Announce,
            (Record::ServerMigrated { .. }, _) => Frame::Migrated,
            (Record::PoolMigrationAddress { member }, _) => {
                Frame::PoolAddress(self.pool[usize::from(member)])
            }
            _ => unreachable!("the machine writes nothing else: {record:?}"),
        }
    }
}

fn facts() -> Facts {
    Facts {
        home: Place::Client.address(),
        pto: TICK,
        patience: PATIENCE,
        spare_ids: 8,
        quiet: true,
        receiving: false,
        former: None,
    }
}
