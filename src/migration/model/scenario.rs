//! What is explored: a client, a server and an operator, the network between them, and time.
//!
//! Time goes on, by one probe timeout, when nothing flies. Everything else happens in any order.

use stateright::Model;

use super::TICK;
use super::client::Client;
use super::mutant::Mutant;
use super::network::{Network, Packet, Place};
use super::properties;
use super::server::Server;
use crate::frame::MigrationTarget;
use crate::migration::{MoveOrder, SeekPolicy};
use crate::negotiation::{Agreement, StrategySet, select};
use crate::time::Instant;

/// A server is frozen for this many ticks at most.
const FREEZE: u8 = 2;

/// What an operator does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// Orders a move.
    Prepare(MoveOrder),
    /// Takes the order back.
    Cancel,
    /// Stops the server, which is to move.
    Freeze,
    /// Moves the server, which is ready.
    Move(Place),
    /// Moves the server, ready or not.
    MoveHastily(Place),
}

/// What happens next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Event {
    /// The operator acts.
    Act(Act),
    /// The client's application asks for something.
    Request,
    /// A packet arrives, or finds nobody.
    Deliver(Packet),
    /// A packet is late, or lost.
    Withhold(Packet),
    /// A packet arrives, and a copy of it will arrive again, or not.
    Copy(Packet),
    /// A copy of a packet comes from elsewhere.
    Forge(Packet),
    /// A late packet or a copy is on its way again.
    Release(Packet),
    /// The client is gone.
    Vanish,
    /// A probe timeout passes.
    Tick,
}

/// What may happen.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub offer: StrategySet,
    pub seek: SeekPolicy,
    /// The addresses that the server tells its client.
    pub pool: Vec<Place>,
    /// What the operator does, in this order, if he does.
    pub acts: Vec<Act>,
    /// An operator that has not done the next thing so many ticks after the last trouble never does it; with zero, he
    /// does everything as soon as he may.
    pub hesitation: u8,
    /// Whether the application may ask for something, once.
    pub requests: bool,
    /// Whether the client may vanish.
    pub vanishes: bool,
    /// How many packets may be late, lost or copied.
    pub troubles: u8,
    /// For how many ticks a packet may be late that is not lost.
    pub lateness: u8,
    /// How many copies may come from elsewhere.
    pub forgeries: u8,
    /// Ticks after the last trouble by which all must have ended well.
    pub rest: u8,
    pub mutant: Option<Mutant>,
}

/// An address as a frame names it.
pub fn target(place: Place) -> MigrationTarget {
    MigrationTarget::single(place.address()).expect("a whole endpoint")
}

impl Scenario {
    pub fn agreement(&self) -> Agreement {
        select(Some(self.offer), Some(self.offer.into())).expect("a sound offer").expect("both take part")
    }

    /// How often the operator moves the server, if he does.
    pub fn moves(&self) -> u8 {
        self.acts.iter().map(|act| u8::from(matches!(act, Act::Move(_) | Act::MoveHastily(_)))).sum()
    }

    /// Whether a server may be frozen for longer than a client looks for it.
    pub fn freezes(&self) -> bool {
        self.acts.contains(&Act::Freeze)
    }

    fn may(&self, act: Act, state: &State) -> bool {
        let server = &state.server;
        match act {
            Act::Prepare(order) => server.may_prepare(order),
            Act::Cancel => server.is_pending() && !server.is_frozen,
            Act::Freeze => server.is_prepared(),
            Act::Move(_) => server.is_prepared(),
            Act::MoveHastily(_) => server.is_open,
        }
    }
}

/// Everything there is at one moment.
#[derive(Debug, Clone, PartialEq, Hash)]
pub struct State {
    pub now: Instant,
    pub client: Client,
    pub server: Server,
    pub network: Network,
    pub is_client_gone: bool,
    /// How many of the operator's acts are done.
    pub acts: u8,
    has_requested: bool,
    troubles: u8,
    forgeries: u8,
    /// Ticks since the last trouble.
    pub calm: u8,
    /// Whether the server ever took a move for complete too early.
    pub is_premature: bool,
    /// Whether the server was ever ready though the client did not know.
    pub is_unheard: bool,
}

impl State {
    /// What somebody did counts as trouble: from now on it is to be calm.
    fn is_disturbed(&mut self) {
        self.calm = 0;
    }

    fn arrive(&mut self, packet: &Packet) {
        let sent = if packet.to == Place::Client {
            if self.is_client_gone { Vec::new() } else { self.client.receive(self.now, packet) }
        } else if packet.to == self.server.at {
            self.server.receive(self.now, packet)
        } else {
            Vec::new()
        };
        self.network.send(sent);
    }

    fn act(&mut self, act: Act) {
        self.acts += 1;
        let sent = match act {
            Act::Prepare(order) => self.server.prepare(self.now, order),
            Act::Cancel => self.server.cancel(self.now),
            Act::Freeze => {
                self.server.is_frozen = true;
                Vec::new()
            }
            Act::Move(place) | Act::MoveHastily(place) => self.server.move_to(self.now, place),
        };
        self.network.send(sent);
    }

    fn tick(&mut self) {
        self.now += TICK;
        self.calm += 1;
        self.network.tick();
        let sent = self.server.expire(self.now);
        self.network.send(sent);
        if !self.is_client_gone {
            let sent = self.client.expire(self.now);
            self.network.send(sent);
        }
    }
}

impl Model for Scenario {
    type State = State;
    type Action = Event;

    fn init_states(&self) -> Vec<State> {
        let now = Instant::from_millis(1000);
        let mut server = Server::new(now, self);
        let mut network = Network::default();
        network.send(server.flush(now));
        vec![State {
            now,
            client: Client::new(now, self),
            server,
            network,
            is_client_gone: false,
            acts: 0,
            has_requested: !self.requests,
            troubles: self.troubles,
            forgeries: self.forgeries,
            calm: 0,
            is_premature: false,
            is_unheard: false,
        }]
    }

    fn actions(&self, state: &State, events: &mut Vec<Event>) {
        if state.calm == self.rest {
            return;
        }
        let act = self.acts.get(usize::from(state.acts));
        let is_in_time = self.hesitation == 0 || state.calm <= self.hesitation;
        let act = act.filter(|act| is_in_time && self.may(**act, state));
        events.extend(act.copied().map(Event::Act));
        if !state.has_requested && state.calm <= self.hesitation {
            events.push(Event::Request);
        }
        if self.vanishes && !state.is_client_gone {
            events.push(Event::Vanish);
        }
        let flying = || state.network.flying().iter().cloned();
        events.extend(flying().map(Event::Deliver));
        if state.troubles > 0 {
            events.extend(flying().map(Event::Withhold));
            events.extend(flying().map(Event::Copy));
        }
        if state.forgeries > 0 {
            let of_the_server =
                |packet: &Packet| packet.to == Place::Client && packet.from != Place::Elsewhere;
            events.extend(flying().filter(of_the_server).map(Event::Forge));
        }
        events.extend(state.network.withheld().cloned().map(Event::Release));
        // Nothing changes before the first act, and nobody freezes a server for ever.
        let is_pressed = state.acts == 0 || state.server.is_frozen && state.calm >= FREEZE;
        let waits = is_pressed || self.hesitation == 0 && act.is_some();
        if state.network.flying().is_empty() && !waits {
            events.push(Event::Tick);
        }
    }

    fn next_state(&self, state: &State, event: Event) -> Option<State> {
        let mut next = state.clone();
        if !matches!(event, Event::Deliver(_) | Event::Tick) {
            next.is_disturbed();
        }
        match event {
            Event::Act(act) => next.act(act),
            Event::Request => {
                next.has_requested = true;
                let sent = next.client.request(next.now);
                next.network.send(sent);
            }
            Event::Deliver(packet) => {
                next.network.take(&packet);
                next.arrive(&packet);
            }
            Event::Withhold(packet) => {
                next.troubles -= 1;
                next.network.withhold(packet, self.lateness);
            }
            Event::Copy(packet) => {
                next.troubles -= 1;
                next.network.take(&packet);
                next.network.keep(packet.clone(), self.lateness);
                next.arrive(&packet);
            }
            Event::Forge(packet) => {
                next.forgeries -= 1;
                next.network.send([Packet { from: Place::Elsewhere, ..packet }]);
            }
            Event::Release(packet) => next.network.release(packet),
            Event::Vanish => next.is_client_gone = true,
            Event::Tick => next.tick(),
        }
        properties::watch(self, state, &mut next);
        Some(next)
    }

    fn properties(&self) -> Vec<stateright::Property<Self>> {
        properties::all()
    }
}
