//! A client: its machine, and as much of a connection around it as the machine can tell from a whole one.
//!
//! Follows `connection/`: `gate.rs`, `steer.rs`, `timers.rs`. One datagram goes to each address that something is for.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use super::facsimile::Seat;
use super::ledger::Ledger;
use super::mutant::Mutant;
use super::network::{Frame, Numbers, Packet, Place};
use super::scenario::Scenario;
use super::{DEADLINE, IDLE_TIMEOUT, PATIENCE, TICK};
use crate::frame::{MigrationTarget, ServerMigration};
use crate::migration::client::{Client as Machine, ClientInput, ClientSettings, Heard};
use crate::migration::policy::AddressPolicy;
use crate::migration::scheduler::Cycle;
use crate::migration::{Action, Facts, MigrationEvent};
use crate::time::Instant;

/// Permits every address: policies have tests of their own.
struct Permissive;

impl AddressPolicy for Permissive {
    fn permits(&self, _: std::net::SocketAddr, _: std::net::SocketAddr) -> bool {
        true
    }
}

/// A challenge that may still be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Challenge {
    data: u8,
    to: Place,
    /// The packet's number, if it was of full size.
    padded: Option<u8>,
}

/// A path beside home.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Candidate {
    place: Place,
    has_spoken: bool,
}

/// Where the application's request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Request {
    None,
    Due,
    Sent,
    Answered,
}

/// What the client's application heard of moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Heardsay {
    pub completed: u8,
    pub returned: u8,
    pub failed: u8,
}

/// A client's connection.
#[derive(Debug, Clone, PartialEq, Hash)]
pub struct Client {
    machine: Seat,
    mutant: Option<Mutant>,
    pub home: Place,
    former: Option<(Place, Instant)>,
    candidates: Vec<Candidate>,
    ledger: Ledger<Frame>,
    challenges: Vec<Challenge>,
    /// Whom a challenge is to be sent to.
    wanted: SmallVec<[Place; 2]>,
    next_data: u8,
    ping: bool,
    ping_former: bool,
    /// Where a challenge of the server's is to be answered.
    owes_answer: Option<Place>,
    request: Request,
    heard_at: Instant,
    pub is_open: bool,
    /// Whether home was ever moved to an address that had not answered.
    pub leapt: bool,
    /// Whether the server was ever found to break the rules.
    pub found_fault: bool,
    pub said: Heardsay,
}

impl Client {
    pub fn new(now: Instant, scenario: &Scenario) -> Self {
        let settings = ClientSettings {
            seek: scenario.seek,
            deadline: DEADLINE,
            pool_limit: 3,
            policy: Arc::new(Permissive),
            scheduler: Box::new(Cycle::default()),
        };
        Self {
            machine: Seat::new(Machine::new(now, scenario.agreement(), settings)),
            mutant: scenario.mutant,
            home: Place::Home,
            former: None,
            candidates: Vec::new(),
            ledger: Ledger::new(now),
            challenges: Vec::new(),
            wanted: SmallVec::new(),
            next_data: 0,
            ping: false,
            ping_former: false,
            owes_answer: None,
            request: Request::None,
            heard_at: now,
            is_open: true,
            leapt: false,
            found_fault: false,
            said: Heardsay::default(),
        }
    }

    // ---- questions --------------------------------------------------------------------------------

    /// Whether home is proved, and no other address is believed.
    pub fn is_at_rest(&self, now: Instant) -> bool {
        !self.machine.look().rechecks() && self.machine.look().lead(now).is_none()
    }

    /// Whether the application's request, if there was one, arrived.
    pub fn is_served(&self) -> bool {
        matches!(self.request, Request::None | Request::Answered)
    }

    /// Whether an announcement is in force or a search under way.
    pub fn expects_a_move(&self) -> bool {
        self.machine.look().held_until().is_some()
    }

    /// The server's packets that it has processed.
    pub fn received(&self) -> Numbers {
        self.ledger.received()
    }

    /// Whether home counts as a candidate, or the former home is home.
    pub fn has_two_homes(&self) -> bool {
        self.candidates.iter().any(|candidate| candidate.place == self.home)
            || self.former.is_some_and(|(former, _)| former == self.home)
    }

    pub fn knows(&self, place: Place) -> bool {
        self.machine.look().names(place.address())
    }

    fn facts(&self) -> Facts {
        Facts {
            home: self.home.address(),
            pto: TICK,
            patience: PATIENCE,
            spare_ids: 8,
            quiet: self.ledger.is_quiet(),
            receiving: true,
            former: self.former.map(|(place, _)| place.address()),
        }
    }

    // ---- inputs -----------------------------------------------------------------------------------

    pub fn request(&mut self, now: Instant) -> Vec<Packet> {
        self.request = Request::Due;
        self.flush(now)
    }

    /// A packet arrives.
    pub fn receive(&mut self, now: Instant, packet: &Packet) -> Vec<Packet> {
        let Packet { from, number, .. } = *packet;
        if !self.is_open {
            return Vec::new();
        }
        if self.ledger.has(number) {
            if from == self.home {
                self.tell(now, ClientInput::Duplicate { number: number.into() });
            }
            return self.flush(now);
        }
        if !self.admits(from, number) {
            return Vec::new();
        }
        for frame in &packet.frames {
            self.on_frame(now, from, number, *frame);
        }
        self.heard_at = now;
        self.ledger.on_received(number, packet.is_ack_eliciting());
        let arrived = ClientInput::Arrived {
            from: from.address(),
            number: number.into(),
            says_more: packet.says_more(),
        };
        self.tell(now, arrived);
        if self.mutant == Some(Mutant::CompletesOnTheFirstPacket) && from != self.home {
            self.tell(
                now,
                ClientInput::Proved { address: from.address(), padded: true, number: number.into() },
            );
        }
        self.flush(now)
    }

    /// The gate: home, the former home, or what the machine welcomes and thereby makes a candidate.
    fn admits(&mut self, from: Place, number: u8) -> bool {
        if from == self.home {
            return true;
        }
        let welcome = self.machine.look().welcomes(from.address(), number.into(), self.home.address());
        let former = self.former.is_some_and(|(former, _)| former == from);
        if welcome && !former {
            self.candidate(from).has_spoken = true;
        }
        former || welcome
    }

    fn candidate(&mut self, place: Place) -> &mut Candidate {
        let at = self.candidates.iter().position(|known| known.place == place).unwrap_or_else(|| {
            self.candidates.push(Candidate { place, has_spoken: false });
            self.candidates.len() - 1
        });
        &mut self.candidates[at]
    }

    fn on_frame(&mut self, now: Instant, from: Place, number: u8, frame: Frame) {
        let target = |place: Place| MigrationTarget::single(place.address()).expect("a whole endpoint");
        match frame {
            Frame::Ack(acked) => self.on_ack(now, acked, number),
            Frame::Response { data } => self.on_response(now, from, data, number),
            Frame::MoveTo(place) => {
                self.hear(now, from, number, Heard::Migration(ServerMigration::MoveTo(target(place))));
            }
            Frame::Announce => self.hear(now, from, number, Heard::Migration(ServerMigration::Announce)),
            Frame::Migrated => self.hear(now, from, number, Heard::Migrated),
            Frame::PoolAddress(place) => self.hear(now, from, number, Heard::Pool(Some(target(place)))),
            Frame::Ping => {}
            Frame::Challenge { .. } => self.owes_answer = Some(from),
            Frame::Request => unreachable!("only a client sends it"),
        }
    }

    fn hear(&mut self, now: Instant, from: Place, number: u8, frame: Heard) {
        let late = self.mutant == Some(Mutant::BelievesLateFrames);
        let number = if late { u64::MAX } else { number.into() };
        self.tell(now, ClientInput::Frame { number, from: from.address(), frame });
    }

    fn on_ack(&mut self, now: Instant, acked: Numbers, number: u8) {
        let fates = self.ledger.on_ack(acked);
        if fates.acked.contains(&Frame::Request) {
            self.request = Request::Answered;
        }
        self.resend(&fates.lost);
        let home = self.home;
        let carried = |challenge: &Challenge| {
            challenge.to == home && challenge.padded.is_some_and(|number| acked.has(number))
        };
        if self.machine.look().rechecks() && self.challenges.iter().any(carried) {
            let address = home.address();
            self.tell(now, ClientInput::Proved { address, padded: true, number: number.into() });
        }
    }

    fn on_response(&mut self, now: Instant, from: Place, data: u8, number: u8) {
        let Some(challenge) = self.challenges.iter().copied().find(|challenge| challenge.data == data) else {
            return;
        };
        // What comes from home proves of another address only that home is alive (rules, 2.5).
        if from == self.home && challenge.to != self.home {
            return;
        }
        self.challenges.retain(|other| other.to != challenge.to);
        let (address, padded) = (challenge.to.address(), challenge.padded.is_some());
        self.tell_proved(now, ClientInput::Proved { address, padded, number: number.into() });
    }

    /// Time has come on.
    pub fn expire(&mut self, now: Instant) -> Vec<Packet> {
        if !self.is_open {
            return Vec::new();
        }
        if self
            .former
            .is_some_and(|(place, until)| until <= now && !self.machine.look().keeps(place.address()))
        {
            self.former = None;
        }
        let held = self.machine.look().held_until();
        if let Some(offered) = self.ledger.expire(now, held.is_some()) {
            self.resend(&offered);
            self.ping = true;
            self.tell(now, ClientInput::LossTimeout);
            self.leap_if_mutant(now);
        }
        if self.machine.look().due(&self.facts()).is_some_and(|at| at <= now) {
            self.tell(now, ClientInput::Due);
        }
        let idle = self.heard_at + IDLE_TIMEOUT;
        if self.machine.look().held_until().map_or(idle, |held| idle.max(held)) <= now {
            self.is_open = false;
        }
        self.flush(now)
    }

    fn leap_if_mutant(&mut self, now: Instant) {
        if self.mutant == Some(Mutant::LeapsInSilence)
            && let Some(place) = self.candidates.first().map(|candidate| candidate.place)
        {
            self.tell(now, ClientInput::Proved { address: place.address(), padded: true, number: 0 });
        }
    }

    // ---- what the machine decides -----------------------------------------------------------------

    fn tell(&mut self, now: Instant, input: ClientInput) {
        self.carry_out(now, input, false);
    }

    /// The same for the only input that may move home.
    fn tell_proved(&mut self, now: Instant, input: ClientInput) {
        self.carry_out(now, input, true);
    }

    fn carry_out(&mut self, now: Instant, input: ClientInput, proved: bool) {
        let facts = self.facts();
        let Ok(actions) = self.machine.hold().step(now, input, &facts) else {
            self.found_fault = true;
            self.is_open = false;
            return;
        };
        for action in actions {
            match action {
                Action::Seek(address) => {
                    let place = Place::at(address);
                    self.candidate(place);
                    self.want(place);
                }
                Action::Forget(address) => self.forget(Place::at(address)),
                Action::Recall(_) => self.abandon(),
                Action::Adopt(address) => {
                    self.leapt |= !proved;
                    self.adopt(now, Place::at(address));
                }
                Action::Ask => self.ping = true,
                Action::AskFormer => self.ping_former = true,
                Action::ProveHome => self.want(self.home),
                Action::GoBack => self.go_back(),
                Action::EndByReset => self.is_open = false,
                Action::Prompt | Action::PullBack => unreachable!("a client does nothing of a server's"),
                Action::Emit(event) => self.note(event),
            }
        }
    }

    fn want(&mut self, place: Place) {
        if self.mutant == Some(Mutant::SeeksOnce) && self.next_data > 0 {
            return;
        }
        if !self.wanted.contains(&place) {
            self.wanted.push(place);
        }
    }

    fn note(&mut self, event: MigrationEvent) {
        match event {
            MigrationEvent::Completed { .. } => self.said.completed += 1,
            MigrationEvent::Returned { .. } => self.said.returned += 1,
            MigrationEvent::Failed { .. } => self.said.failed += 1,
            _ => {}
        }
    }

    fn adopt(&mut self, now: Instant, place: Place) {
        self.candidates.retain(|candidate| candidate.place != place);
        self.former = Some((std::mem::replace(&mut self.home, place), now + TICK * 3));
        self.abandon();
    }

    fn go_back(&mut self) {
        let Some((former, _)) = self.former.take() else { return };
        let failed = std::mem::replace(&mut self.home, former);
        self.candidates.retain(|candidate| candidate.place != former);
        self.challenges.retain(|challenge| challenge.to != failed);
        self.abandon();
    }

    fn forget(&mut self, place: Place) {
        self.candidates.retain(|candidate| candidate.place != place);
        if self.former.is_none_or(|(former, _)| former != place) {
            self.challenges.retain(|challenge| challenge.to != place);
        }
        self.wanted.retain(|wanted| *wanted != place);
    }

    /// What is on its way to another address goes again.
    fn abandon(&mut self) {
        let lost = self.ledger.abandon();
        self.resend(&lost);
    }

    fn resend(&mut self, lost: &[Frame]) {
        if self.request == Request::Sent && lost.contains(&Frame::Request) {
            self.request = Request::Due;
        }
    }

    // ---- sending ----------------------------------------------------------------------------------

    /// Everything that is to be sent now.
    fn flush(&mut self, now: Instant) -> Vec<Packet> {
        let mut packets = Vec::new();
        while self.is_open
            && let Some(to) = self.next_destination(now)
        {
            packets.push(self.write(now, to));
        }
        packets
    }

    fn next_destination(&self, now: Instant) -> Option<Place> {
        let lead = self.lead(now);
        if self.ledger.owes_ack() || self.request == Request::Due {
            return Some(lead);
        }
        if self.owes_answer.is_some() {
            return self.owes_answer;
        }
        let former = self.former.filter(|_| self.ping_former).map(|(place, _)| place);
        self.wanted.first().copied().or(former).or(self.ping.then_some(self.home))
    }

    /// Where acknowledgements and new data go (rules, 2.4).
    fn lead(&self, now: Instant) -> Place {
        let lead = self.machine.look().lead(now).map(Place::at);
        lead.filter(|lead| self.candidates.iter().any(|known| known.place == *lead)).unwrap_or(self.home)
    }

    fn write(&mut self, now: Instant, to: Place) -> Packet {
        let mut packet =
            Packet { from: Place::Client, to, number: self.ledger.number(), frames: smallvec![] };
        let mut in_flight = None;
        let ack = if to == self.lead(now) { self.ledger.ack() } else { None };
        packet.frames.extend(ack.map(Frame::Ack));
        if self.wanted.contains(&to) {
            self.wanted.retain(|wanted| *wanted != to);
            packet.frames.extend([self.challenge(to, packet.number), Frame::Ping]);
        }
        if to == self.lead(now) && self.request == Request::Due {
            packet.frames.push(Frame::Request);
            self.request = Request::Sent;
            in_flight = Some(Frame::Request);
        }
        if self.owes_answer.take_if(|from| *from == to).is_some() {
            packet.frames.push(Frame::Response { data: 0 });
            in_flight = in_flight.or(Some(Frame::Ping));
        }
        let is_former = self.former.is_some_and(|(former, _)| former == to);
        if to == self.home && std::mem::take(&mut self.ping)
            || is_former && std::mem::take(&mut self.ping_former)
        {
            if !packet.is_ack_eliciting() {
                packet.frames.push(Frame::Ping);
            }
            in_flight = in_flight.or((to == self.home).then_some(Frame::Ping));
        }
        if let Some(frame) = in_flight {
            self.ledger.on_sent(now, packet.number, smallvec![frame]);
        }
        if ack.is_some() && self.machine.look().awaits_ack() {
            self.tell(now, ClientInput::AckSent);
        }
        packet
    }

    fn challenge(&mut self, to: Place, number: u8) -> Frame {
        let data = self.next_data;
        self.next_data += 1;
        let has_spoken = self.candidates.iter().all(|known| known.place != to || known.has_spoken);
        let padded = has_spoken.then_some(number);
        self.challenges.push(Challenge { data, to, padded });
        Frame::Challenge { data }
    }
}
