//! A client of mvfst's, as far as server migration goes: what it checks in every packet, what it does, when it closes.
//!
//! A pure machine, written from the description of that client and held against its recorded reactions: packets and
//! probe timeouts in, [`Deed`]s or a [`Close`] out. It judges in the order in which that client does.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::forger::wire::{self, Heard, Reader};

/// The bits of the suite.
pub const EXPLICIT: u64 = 1;
pub const POOL: u64 = 2;
pub const SYMMETRIC: u64 = 4;
pub const SYNCHRONIZED: u64 = 8;

const FRAME_ENCODING_ERROR: u64 = 0x07;
const TRANSPORT_PARAMETER_ERROR: u64 = 0x08;
const PROTOCOL_VIOLATION: u64 = 0x0a;
const INVALID_MIGRATION: u64 = 0x0c;
const INTERNAL_ERROR: u64 = 0x01;

/// A CONNECTION_CLOSE that the client sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    pub code: u64,
    pub reason: String,
}

impl Close {
    fn new(code: u64, reason: &str) -> Self {
        Self { code, reason: reason.to_owned() }
    }
}

/// `Err` if this is not so.
fn must(so: bool, code: u64, reason: &str) -> Result<(), Close> {
    if so { Ok(()) } else { Err(Close::new(code, reason)) }
}

/// What a client does because of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// It tells its application.
    Tell(String),
    /// It challenges the address it now sends to.
    Challenge,
    /// It answers a challenge with this data, and goes over to the next connection ID.
    Answer([u8; 8]),
    /// Its peer has ended the connection.
    End,
}

/// The target of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    v4: (Ipv4Addr, u16),
    v6: (Ipv6Addr, u16),
}

impl Target {
    /// Reads 24 bytes.
    pub fn read(bytes: &[u8]) -> Self {
        let mut reader = Reader(bytes);
        let mut word = |len| reader.take(len).iter().fold(0_u128, |word, byte| word << 8 | u128::from(*byte));
        let v4 = (Ipv4Addr::from(word(4) as u32), word(2) as u16);
        Self { v4, v6: (Ipv6Addr::from(word(16)), word(2) as u16) }
    }

    fn is_empty(self) -> bool {
        self.v4 == (Ipv4Addr::UNSPECIFIED, 0) && self.v6 == (Ipv6Addr::UNSPECIFIED, 0)
    }

    /// The address of this one's family, if it is whole.
    fn like(self, address: SocketAddr) -> Option<SocketAddr> {
        let (ip, port) = match address {
            SocketAddr::V4(_) => (IpAddr::V4(self.v4.0), self.v4.1),
            SocketAddr::V6(_) => (IpAddr::V6(self.v6.0), self.v6.1),
        };
        (!ip.is_unspecified() && port != 0).then_some(SocketAddr::new(ip, port))
    }

    fn holds(self, address: SocketAddr) -> bool {
        self.like(address) == Some(address)
    }

    /// As that client's application prints it.
    fn printed(self) -> String {
        format!("{}:{}||[{}]:{}", self.v4.0, self.v4.1, self.v6.0, self.v6.1)
    }
}

/// Where an announced server is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Search {
    /// Nowhere yet.
    Resting,
    /// Everything is sent to where the server may be; it was last seen there.
    Probing { from: SocketAddr },
    /// It was found.
    Finished,
}

/// What has been announced.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Nothing,
    Explicit { target: Target, search: Search, told: bool },
    Pool { members: Vec<Target>, search: Search, cycle: Vec<SocketAddr> },
    Symmetric { told: bool, validating: bool },
    Synchronized { told: bool, validating: bool },
}

/// What is known of a packet once its frames were handled.
#[derive(Debug, Clone, Copy)]
struct Seen {
    from: SocketAddr,
    number: u64,
    /// It is the highest of all, and says more than that a path exists.
    leads: bool,
    validates: bool,
}

/// The client.
#[derive(Debug, Clone)]
pub struct Model {
    agreed: Option<u64>,
    /// Where it sends.
    pub home: SocketAddr,
    state: State,
    moving: bool,
    moves: u32,
    processed: Option<u64>,
    largest: Option<u64>,
    challenge: Option<[u8; 8]>,
    /// Connection IDs of the server that it has not used yet.
    spare_ids: u64,
    ids: Vec<(u64, Vec<u8>)>,
}

/// What the two have agreed on; the close of a client that is not content with the answer.
pub fn agree(offer: Option<u64>, answer: Option<u64>) -> Result<Option<u64>, Close> {
    let Some(answer) = answer else { return Ok(None) };
    let unasked = "Received server_migration_suite with server migration disabled";
    let offer = offer.ok_or_else(|| Close::new(TRANSPORT_PARAMETER_ERROR, unasked))?;
    must(answer <= 15, TRANSPORT_PARAMETER_ERROR, "Unknown protocol in server_migration_suite")?;
    must(answer & !offer == 0, TRANSPORT_PARAMETER_ERROR, "Unsupported protocol in server_migration_suite")?;
    Ok(Some(answer))
}

impl Model {
    /// After the handshake with a server at this address.
    pub fn new(home: SocketAddr, agreed: Option<u64>) -> Self {
        Self {
            agreed,
            home,
            state: State::Nothing,
            moving: false,
            moves: 0,
            processed: None,
            largest: None,
            challenge: None,
            spare_ids: 0,
            ids: Vec::new(),
        }
    }

    /// How many moves it has completed.
    pub fn moves(&self) -> u32 {
        self.moves
    }

    /// Whether this was agreed.
    pub fn agreed_on(&self, strategy: u64) -> bool {
        self.agreed.is_some_and(|agreed| agreed & strategy != 0)
    }

    /// Whether it looks for its server where it was told to, and nowhere else.
    pub fn was_told_where(&self) -> bool {
        matches!(self.state, State::Explicit { .. } | State::Pool { .. })
    }

    /// Whether a server that it was told of can be found there.
    pub fn would_look_at(&self, place: SocketAddr) -> bool {
        match &self.state {
            State::Explicit { target, .. } => target.holds(place),
            State::Pool { members, .. } => members.iter().any(|member| member.holds(place)),
            State::Nothing | State::Symmetric { .. } | State::Synchronized { .. } => false,
        }
    }

    /// It sends this challenge to where it is at home.
    pub fn challenges_with(&mut self, data: [u8; 8]) {
        self.challenge = Some(data);
    }

    /// Whether it waits for the answer to a challenge.
    pub fn is_validating(&self) -> bool {
        self.challenge.is_some()
    }

    /// It has waited too long for the answer.
    pub fn gives_up(&self) -> Close {
        Close::new(INVALID_MIGRATION, "Path validation timed out")
    }

    /// Takes a 1-RTT packet.
    pub fn on_packet(&mut self, from: SocketAddr, number: u64, frames: &[Heard]) -> Result<Vec<Deed>, Close> {
        let mut deeds = Vec::new();
        let is_highest = self.largest.is_none_or(|largest| number >= largest);
        self.largest = self.largest.max(Some(number));
        let mut seen = Seen { from, number, leads: false, validates: false };
        for frame in frames {
            // Only these say no more than that a path exists; DATAGRAM is one of them to this client.
            seen.leads |= is_highest
                && !matches!(
                    frame.kind,
                    wire::PATH_CHALLENGE
                        | wire::PATH_RESPONSE
                        | wire::NEW_CONNECTION_ID
                        | 0x30
                        | wire::DATAGRAM
                );
            match frame.kind {
                wire::SERVER_MIGRATION => self.on_migration(seen, frame, &mut deeds)?,
                wire::SERVER_MIGRATED => self.on_migrated(seen, &mut deeds)?,
                wire::POOL_MIGRATION_ADDRESS => self.on_pool(seen, frame, &mut deeds)?,
                wire::NEW_CONNECTION_ID => self.on_new_id(frame)?,
                wire::PATH_CHALLENGE => {
                    let reason = "No more connection ids to use for new path.";
                    must(self.spare_ids > 0, INVALID_MIGRATION, reason)?;
                    self.spare_ids -= 1;
                    deeds.push(Deed::Answer(data_of(frame)));
                }
                wire::PATH_RESPONSE if from == self.home => {
                    seen.validates |= self.challenge == Some(data_of(frame));
                }
                wire::CONNECTION_CLOSE | wire::APPLICATION_CLOSE => deeds.push(Deed::End),
                _ => {}
            }
        }
        match &self.state {
            State::Explicit { .. } | State::Pool { .. } if seen.leads => self.find(from, &mut deeds),
            State::Explicit { .. } | State::Pool { .. } => {}
            State::Nothing | State::Symmetric { .. } | State::Synchronized { .. } => {
                if from != self.home && seen.leads {
                    self.follow(seen, &mut deeds)?;
                }
            }
        }
        if seen.validates {
            self.complete(seen, &mut deeds);
        }
        Ok(deeds)
    }

    /// Nothing was heard of what it sent. It may send elsewhere now.
    pub fn on_probe_timeout(&mut self) -> Result<Vec<Deed>, Close> {
        let mut deeds = Vec::new();
        let home = self.home;
        match &mut self.state {
            State::Explicit { target, search: search @ Search::Resting, told } => {
                *search = Search::Probing { from: home };
                self.home = target.like(home).expect("it was looked at when it came");
                if !std::mem::replace(told, true) {
                    deeds.push(Deed::Tell(format!("onServerMigrationProbingStarted {}", self.home)));
                }
            }
            State::Pool { members, search, cycle } if *search != Search::Finished => {
                if *search == Search::Resting {
                    *search = Search::Probing { from: home };
                }
                let Search::Probing { from } = *search else { return Ok(deeds) };
                if cycle.is_empty() {
                    let others = members.iter().filter_map(|member| member.like(from));
                    let mut others: Vec<_> = others.filter(|member| *member != from).collect();
                    must(!others.is_empty(), INTERNAL_ERROR, "Internal error")?;
                    others.sort();
                    cycle.push(from);
                    cycle.extend(others);
                }
                self.home = cycle.remove(0);
                deeds.push(Deed::Tell(format!("onServerMigrationProbingStarted {}", self.home)));
            }
            _ => {}
        }
        Ok(deeds)
    }

    /// The checks that come before all others; whether the frame is new.
    fn admit(&mut self, seen: Seen, is_pool: bool) -> Result<bool, Close> {
        self.must_be_enabled()?;
        if !is_pool && self.processed >= Some(seen.number) {
            return Ok(false);
        }
        self.processed = self.processed.max(Some(seen.number));
        Ok(true)
    }

    fn must_be_enabled(&self) -> Result<(), Close> {
        let enabled = self.agreed.is_some_and(|agreed| agreed != 0);
        must(enabled, PROTOCOL_VIOLATION, "Server migration is disabled")
    }

    fn on_migration(&mut self, seen: Seen, frame: &Heard, deeds: &mut Vec<Deed>) -> Result<(), Close> {
        if !self.admit(seen, false)? {
            return Ok(());
        }
        let target = Target::read(&frame.data);
        let told = Deed::Tell(format!("onServerMigrationReceived {}", target.printed()));
        if target.is_empty() {
            let reason = "Synchronized Symmetric protocol not negotiated";
            must(self.agreed_on(SYNCHRONIZED), PROTOCOL_VIOLATION, reason)?;
            let reason = "Synchronized Symmetric protocol took the place of another protocol";
            let fits = matches!(self.state, State::Nothing | State::Synchronized { .. });
            must(fits, PROTOCOL_VIOLATION, reason)?;
            if self.state == State::Nothing {
                self.state = State::Synchronized { told: false, validating: false };
                self.moving = true;
                deeds.push(told);
            }
            return Ok(());
        }
        must(self.agreed_on(EXPLICIT), PROTOCOL_VIOLATION, "Explicit protocol not negotiated")?;
        let fits = matches!(self.state, State::Nothing | State::Explicit { .. });
        must(fits, PROTOCOL_VIOLATION, "Explicit protocol took the place of another protocol")?;
        let reason = "Received a SERVER_MIGRATION frame not carrying an address of a supported family";
        must(target.like(self.home).is_some(), PROTOCOL_VIOLATION, reason)?;
        let probing = matches!(self.state, State::Explicit { search: Search::Probing { .. }, .. });
        let reason = "Received a SERVER_MIGRATION frame carrying the current address of the peer";
        must(probing || !target.holds(self.home), PROTOCOL_VIOLATION, reason)?;
        match &self.state {
            State::Explicit { target: known, .. } => {
                let reason = "Received multiple SERVER_MIGRATION frames with different addresses";
                must(*known == target, PROTOCOL_VIOLATION, reason)?;
            }
            _ => {
                self.state = State::Explicit { target, search: Search::Resting, told: false };
                self.moving = true;
                deeds.push(told);
            }
        }
        Ok(())
    }

    fn on_migrated(&mut self, seen: Seen, deeds: &mut Vec<Deed>) -> Result<(), Close> {
        if !self.admit(seen, false)? || seen.from == self.home {
            return Ok(());
        }
        match &self.state {
            State::Nothing => {
                must(self.agreed_on(SYMMETRIC), PROTOCOL_VIOLATION, "Symmetric protocol not negotiated")?;
                self.state = State::Symmetric { told: false, validating: false };
            }
            State::Explicit { .. } | State::Pool { .. } => {
                let reason =
                    "Symmetric or Synchronized Symmetric protocol took the place of another protocol";
                return Err(Close::new(PROTOCOL_VIOLATION, reason));
            }
            State::Symmetric { .. } | State::Synchronized { .. } => {}
        }
        if let State::Symmetric { told, .. } | State::Synchronized { told, .. } = &mut self.state
            && !std::mem::replace(told, true)
        {
            deeds.push(Deed::Tell("onServerMigratedReceived".into()));
        }
        Ok(())
    }

    fn on_pool(&mut self, seen: Seen, frame: &Heard, deeds: &mut Vec<Deed>) -> Result<(), Close> {
        self.admit(seen, true)?;
        let target = Target::read(&frame.data);
        must(self.agreed_on(POOL), PROTOCOL_VIOLATION, "Pool of Addresses protocol not negotiated")?;
        let fits = matches!(self.state, State::Nothing | State::Pool { .. });
        must(fits, PROTOCOL_VIOLATION, "Pool of Addresses protocol took the place of another protocol")?;
        if matches!(&self.state, State::Pool { members, .. } if members.contains(&target)) {
            return Ok(());
        }
        // No reason text of this one was recorded.
        let late = "Received a POOL_MIGRATION_ADDRESS frame after a migration";
        must(!self.moving && self.moves == 0, PROTOCOL_VIOLATION, late)?;
        let reason = "Received a POOL_MIGRATION_ADDRESS frame not carrying an address of a supported family";
        must(target.like(self.home).is_some(), PROTOCOL_VIOLATION, reason)?;
        if self.state == State::Nothing {
            self.state = State::Pool { members: Vec::new(), search: Search::Resting, cycle: Vec::new() };
        }
        if let State::Pool { members, .. } = &mut self.state {
            members.push(target);
        }
        deeds.push(Deed::Tell(format!("onPoolMigrationAddressReceived {}", target.printed())));
        Ok(())
    }

    fn on_new_id(&mut self, frame: &Heard) -> Result<(), Close> {
        let (sequence, id) = (frame.words[0], frame.data.clone());
        let other = self.ids.iter().any(|(number, known)| *known == id && *number != sequence);
        must(!other, PROTOCOL_VIOLATION, "Repeated connection id with different sequence number.")?;
        if !self.ids.contains(&(sequence, id.clone())) {
            self.ids.push((sequence, id));
            self.spare_ids += 1;
        }
        Ok(())
    }

    /// Explicit and Pool: a packet leads. Is it from where the server was, or from where it may be?
    fn find(&mut self, source: SocketAddr, deeds: &mut Vec<Deed>) {
        let (State::Explicit { search, .. } | State::Pool { search, .. }) = &mut self.state else { return };
        let Search::Probing { from } = *search else { return };
        let found = match &self.state {
            State::Explicit { target, .. } => target.holds(source),
            State::Pool { members, .. } => members.iter().any(|member| member.holds(source)),
            _ => false,
        };
        if source != from && !found {
            return;
        }
        self.home = source;
        let (State::Explicit { search, .. } | State::Pool { search, .. }) = &mut self.state else { return };
        *search = if source == from { Search::Resting } else { Search::Finished };
        if let State::Pool { cycle, .. } = &mut self.state {
            cycle.clear();
        }
        if source != from {
            self.moving = true;
            deeds.push(Deed::Challenge);
        }
    }

    /// Symmetric: a packet leads that comes from elsewhere.
    fn follow(&mut self, seen: Seen, deeds: &mut Vec<Deed>) -> Result<(), Close> {
        self.must_be_enabled()?;
        if self.state == State::Nothing {
            must(self.agreed_on(SYMMETRIC), PROTOCOL_VIOLATION, "Symmetric protocol not negotiated")?;
            self.state = State::Symmetric { told: false, validating: false };
        }
        let (State::Symmetric { validating, .. } | State::Synchronized { validating, .. }) = &mut self.state
        else {
            return Ok(());
        };
        if !std::mem::replace(validating, true) {
            self.processed = self.processed.max(Some(seen.number));
            self.home = seen.from;
            self.moving = true;
            deeds.push(Deed::Challenge);
        }
        Ok(())
    }

    fn complete(&mut self, seen: Seen, deeds: &mut Vec<Deed>) {
        self.challenge = None;
        if !self.moving || self.state == State::Nothing {
            return;
        }
        self.moving = false;
        self.moves += 1;
        match &mut self.state {
            State::Pool { search, .. } => *search = Search::Resting,
            state => *state = State::Nothing,
        }
        self.processed = self.processed.max(Some(seen.number));
        deeds.push(Deed::Tell("onServerMigrationCompleted".into()));
    }
}

/// The frames of a packet; the close if it is one of a migration's that is cut short.
pub fn frames(payload: &[u8]) -> Result<Vec<Heard>, Close> {
    let mut reader = Reader(payload);
    let kind = if payload.is_empty() { wire::PADDING } else { reader.varint() };
    let named = matches!(kind, wire::SERVER_MIGRATION | wire::POOL_MIGRATION_ADDRESS);
    let invalid = format!("Frame format invalid, type={kind}");
    must(!named || reader.0.len() >= 24, FRAME_ENCODING_ERROR, &invalid)?;
    Ok(Heard::all(payload))
}

fn data_of(frame: &Heard) -> [u8; 8] {
    frame.data.as_slice().try_into().expect("eight bytes")
}
