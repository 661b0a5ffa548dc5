//! A scenario in progress: sets the world up, plays the moves one after the other, and examines what is left.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use peregrine::{
    ClientConfig, Connection, ConnectionEvent, EndpointConfig, MigrationConfig, MigrationEvent,
    MigrationTarget, MoveOrder, RelocationEvent, RelocationPlan, SeekPolicy, ServerConfig, StrategySet,
    TransportConfig, VarInt,
};

use sim::{App, Client, Conn, HostId, Link, Nat, Outcome, Server, World, addr, ip, ms, secs, tls};
use stage::moves::Play;

use super::phase::Phase;
use super::places::{PUBLIC, Places};
use super::prospect;
use super::scenario::{Busy, End, Move, Part, Scenario};
use super::watcher::Watcher;

/// The migration deadline of both ends.
const DEADLINE: Duration = Duration::from_secs(30);
/// The idle timeout of both ends: clients that have nothing to say outlive a move that never happens.
const IDLE: Duration = Duration::from_secs(400);

/// A client of the run.
#[derive(Debug)]
pub struct Actor {
    /// Its connection.
    pub conn: Conn,
    /// How often it has gone to another address.
    pub moved: usize,
    /// Whether it must have outlived everything so far.
    pub safe: bool,
}

/// A scenario in progress.
pub struct Run {
    pub scenario: Scenario,
    /// What is said of it when it fails.
    pub words: String,
    pub world: World,
    pub server: HostId,
    pub actors: Vec<Actor>,
    pub newcomers: usize,
    pub places: Places,
    /// Where the server is.
    pub place: usize,
    /// Nothing is done to datagrams any more.
    pub calm: Rc<Cell<bool>>,
    pub watcher: Watcher,
    client_tls: Arc<rustls::ClientConfig>,
}

impl Run {
    /// Everybody is there, and has tried to connect.
    pub fn begin(scenario: Scenario) -> Self {
        let places = Places { v6: scenario.v6, translated: scenario.nat.is_some() };
        let mut world = World::seeded(scenario.seed);
        let watcher = Watcher::new(&mut world, places.servers(), prospect::keeps_ids_apart(&scenario));
        watcher.permit(addr(places.stranger()));
        world.relay(places.stranger());
        let (server_tls, client_tls) = (tls::server(), tls::resuming_client());
        let config = server_config(&scenario, places, &server_tls);
        let mut endpoint = EndpointConfig::server(Arc::new(config));
        if scenario.retry {
            endpoint = endpoint.half_open_limit(0);
        }
        let serve: fn() -> Box<dyn App> = || Box::new(Server::default());
        let server = world.host(places.server(0), endpoint, Some(serve));
        let words = scenario.to_string();
        let mut run = Self {
            scenario,
            words,
            world,
            server,
            actors: Vec::new(),
            newcomers: 0,
            places,
            place: 0,
            calm: Rc::default(),
            watcher,
            client_tls,
        };
        run.translate();
        run.connect_all();
        run
    }

    fn translate(&mut self) {
        let Some((filtering, mapping)) = self.scenario.nat else { return };
        let inside: Vec<_> = (0..self.scenario.parts.len())
            .flat_map(|number| (0..20).map(move |moved| (number, moved)))
            .map(|(number, moved)| addr(&self.places.client(number, moved)).ip())
            .collect();
        self.world.nat(Nat::new(&inside, ip(PUBLIC[0]), filtering).mapping(mapping));
    }

    fn connect_all(&mut self) {
        let home = self.places.server(0);
        self.watcher.permit(addr(home));
        let parts = self.scenario.parts.clone();
        let hosts: Vec<HostId> =
            (0..parts.len()).map(|number| self.world.client(&self.places.client(number, 0))).collect();
        for (host, _) in hosts.iter().zip(&parts).filter(|(_, part)| part.early) {
            // A ticket to show.
            let config = Arc::new(ClientConfig::new(Arc::clone(&self.client_tls)));
            let conn =
                self.world.connect_with(*host, home, config, Client::echoes(1, Duration::ZERO).then_close());
            self.world.run_until_done(secs(10));
            self.world.run_for(secs(5));
            assert!(self.world.closed(conn).is_some());
        }
        let seed = self.scenario.seed;
        self.scenario.weather.set(&mut self.world, seed, &self.calm);
        for (host, part) in hosts.into_iter().zip(&parts) {
            let config = self.client_config(part);
            let conn = self.world.connect_with(host, home, config, app(part.busy));
            self.watcher.on_connect(&self.world, conn, addr(home));
            self.actors.push(Actor { conn, moved: 0, safe: false });
        }
        let conns: Vec<Conn> = self.actors.iter().map(|actor| actor.conn).collect();
        let until = self.world.now() + secs(50);
        while self.world.now() < until && !conns.iter().all(|conn| is_confirmed(&self.world, *conn)) {
            self.run_for(ms(20));
        }
        for (client, actor) in self.actors.iter_mut().enumerate() {
            actor.safe = is_confirmed(&self.world, actor.conn) && !prospect::is_deaf(&self.scenario, client);
        }
    }

    /// What a client connects with.
    pub fn client_config(&self, part: &Part) -> Arc<ClientConfig> {
        let offer = MigrationConfig::new(part.strategies()).seek(seek_of(part.play)).deadline(DEADLINE);
        let config = ClientConfig::new(Arc::clone(&self.client_tls)).transport(transport(part.kept_alive));
        Arc::new(config.early_data(part.early).migration(offer).expect("an offer that can be"))
    }

    /// Runs for so long, and looks at every step.
    pub fn run_for(&mut self, time: Duration) {
        let until = self.world.now() + time;
        self.world.plan(time, |_| ());
        let watcher = &self.watcher;
        self.world.run_until(
            |world| {
                watcher.look(world);
                world.now() >= until
            },
            time,
        );
    }

    // ---- moves --------------------------------------------------------------------------------------

    /// Plays the whole scenario.
    pub fn play(&mut self) {
        for step in self.scenario.moves.clone() {
            self.carry_out(&step);
        }
        self.examine();
    }

    fn carry_out(&mut self, step: &Move) {
        let before: Vec<usize> = self.actors.iter().map(|actor| self.far_events(actor.conn)).collect();
        self.enter(step, Phase::Before);
        self.run_for(self.scenario.weather.round_trip() / 2);
        let ready = match step.end {
            End::Unannounced => BTreeSet::new(),
            End::Carried | End::Cancelled | End::Never => self.give_notice(step, &before),
        };
        match step.end {
            End::Cancelled => {
                // At the deadline there is nothing left to take back.
                let _ = self.world.speak(self.server, |now, endpoint| endpoint.cancel_relocation(now));
                self.run_for(secs(1));
                return;
            }
            End::Never => {
                self.run_for(DEADLINE + secs(5));
                return self.assert_failed_in_time(&ready);
            }
            End::Carried | End::Unannounced => {}
        }
        for index in 0..self.actors.len() {
            let safe = prospect::follows(self, step, index, ready.contains(&index));
            self.actors[index].safe &= safe;
        }
        let before = self.settled();
        self.switch(step);
        self.settle(before);
    }

    fn switch(&mut self, step: &Move) {
        self.world.freeze_with(self.server, step.meanwhile);
        self.place = step.to;
        self.world.move_to(self.server, self.places.server(step.to));
        self.enter(step, Phase::Frozen);
        self.run_for(step.freeze);
        self.world.thaw_with(self.server, step.clock);
        self.world.relocated(self.server);
        self.enter(step, Phase::Switched);
        self.run_for(self.scenario.weather.round_trip() / 2 + ms(2));
        self.enter(step, Phase::Validating);
    }

    /// Gives notice and waits; the clients whose connections are ready.
    fn give_notice(&mut self, step: &Move, before: &[usize]) -> BTreeSet<usize> {
        let plan = self.plan(step);
        let refused =
            self.world.speak(self.server, |now, endpoint| endpoint.prepare_relocation(now, plan)).is_err();
        let noticed = self.world.now();
        self.enter(step, Phase::Preparing);
        let patience = if step.patient { secs(25) } else { self.scenario.weather.round_trip() };
        let all: BTreeSet<usize> = (0..self.actors.len()).collect();
        let mut ready = BTreeSet::new();
        while self.world.now() < noticed + patience && ready != all && !refused {
            self.run_for(ms(10));
            ready = all.iter().copied().filter(|index| self.is_ready(*index, before[*index])).collect();
        }
        ready
    }

    fn plan(&self, step: &Move) -> RelocationPlan {
        let orders = self.actors.iter().zip(&step.plays).filter_map(|(actor, play)| {
            Some((self.world.server_side(actor.conn)?.handle, self.order(*play, step.to)))
        });
        RelocationPlan::per_connection(orders.collect::<Vec<_>>()).keep_unfit()
    }

    fn order(&self, play: Play, to: usize) -> MoveOrder {
        match play {
            Play::Reactive | Play::Proactive => {
                MoveOrder::Explicit(self.places.target(to, self.scenario.dual))
            }
            Play::Pool(_) => MoveOrder::Pool,
            Play::Symmetric => MoveOrder::Symmetric,
            Play::Synchronized => MoveOrder::SynchronizedSymmetric,
        }
    }

    /// How much a client's connection has said at the server.
    fn far_events(&self, conn: Conn) -> usize {
        self.world.server_side(conn).map_or(0, |far| self.world.at(far.host).said(far.handle).count())
    }

    fn is_ready(&self, index: usize, before: usize) -> bool {
        let Some(far) = self.world.server_side(self.actors[index].conn) else { return false };
        let mut said = self.world.at(far.host).said(far.handle).skip(before);
        said.any(|(_, event)| matches!(event, ConnectionEvent::Migration(MigrationEvent::Ready { .. })))
    }

    /// What was ready and did not move has failed by now, and nothing else has changed.
    fn assert_failed_in_time(&self, ready: &BTreeSet<usize>) {
        for index in ready {
            let Some(far) = self.world.server_side(self.actors[*index].conn) else { continue };
            let last = self.world.at(far.host).said(far.handle).filter_map(|(_, event)| match event {
                ConnectionEvent::Migration(event) => Some(*event),
                _ => None,
            });
            let last = last.last();
            assert!(matches!(last, Some(MigrationEvent::Failed { .. })), "client {index} waits: {last:?}");
        }
    }

    /// Runs until the server's move is settled, which it must be soon after the deadline.
    fn settle(&mut self, before: usize) {
        let until = self.world.now() + DEADLINE + secs(5);
        while self.world.now() < until && self.settled() == before {
            self.run_for(ms(50));
        }
        let said = self.world.at(self.server).relocations().last();
        assert_eq!(self.settled(), before + 1, "the move is not settled: {said:?}");
        self.run_for(secs(1));
    }

    /// How many moves of the server are settled.
    fn settled(&self) -> usize {
        let said = self.world.at(self.server).relocations();
        said.filter(|(_, event)| matches!(event, RelocationEvent::Settled { .. })).count()
    }

    // ---- the end ------------------------------------------------------------------------------------

    /// The weather is fair, and whoever must be there is asked for one thing more; then all goes away.
    fn examine(&mut self) {
        self.calm.set(true);
        self.world.links(Link::rtt(ms(20)));
        self.run_for(secs(5));
        let safe: Vec<(usize, Conn)> = self.conns(|actor| actor.safe);
        for (client, conn) in &safe {
            assert!(self.is_open(*conn), "client {client} is lost: {:?}", self.world.closed(*conn));
        }
        let open: Vec<(usize, Conn)> =
            self.conns(|_| true).into_iter().filter(|(_, c)| self.is_open(*c)).collect();
        open.iter().for_each(|(_, conn)| self.world.ask(*conn, Client::echo()));
        // Whoever has backed off for long takes its time.
        self.await_all(&safe, IDLE);
        for (client, conn) in safe {
            let connection = self.world.connection(conn).expect("it was asked just now");
            assert_eq!(
                connection.remote(),
                addr(self.places.server(self.place)),
                "client {client} is elsewhere"
            );
            assert_eq!(self.world.outcome(conn), Outcome::Done, "client {client} is lost");
        }
        self.await_all(&open, IDLE + secs(60));
        for (client, conn) in self.conns(|_| true) {
            let outcome = self.world.outcome(conn);
            assert_intact(&format!("client {client}"), &outcome);
            assert!(
                outcome != Outcome::Running,
                "client {client} waits for ever: {:?}",
                self.world.at(conn.host)
            );
        }
        self.close_all();
    }

    fn conns(&self, such: impl Fn(&Actor) -> bool) -> Vec<(usize, Conn)> {
        self.actors.iter().enumerate().filter(|(_, a)| such(a)).map(|(client, a)| (client, a.conn)).collect()
    }

    /// Runs until these are done or have failed, at most so long.
    fn await_all(&mut self, conns: &[(usize, Conn)], limit: Duration) {
        let until = self.world.now() + limit;
        while self.world.now() < until && conns.iter().any(|(_, conn)| self.is_running(*conn)) {
            self.run_for(ms(100));
        }
    }

    fn close_all(&mut self) {
        for (_, outcome) in self.world.at(self.server).outcomes() {
            assert_intact("the server", &outcome);
        }
        for (_, conn) in
            self.conns(|_| true).into_iter().filter(|(_, c)| self.is_open(*c)).collect::<Vec<_>>()
        {
            self.world.with(conn, |now, connection| connection.close(now, VarInt::ZERO, b"enough"));
        }
        assert!(self.world.run_out(secs(600)), "it goes on and on");
        assert_eq!(
            self.world.at(self.server).endpoint().connections().count(),
            0,
            "the server keeps nothing"
        );
    }

    /// Whether a client's connection lives.
    pub fn is_open(&self, conn: Conn) -> bool {
        self.world.connection(conn).is_some() && self.world.closed(conn).is_none()
    }

    fn is_running(&self, conn: Conn) -> bool {
        self.world.outcome(conn) == Outcome::Running
    }
}

/// Wrong bytes are never the end of an application.
fn assert_intact(who: &str, outcome: &Outcome) {
    if let Outcome::Failed(how) = outcome {
        let wrong = ["is wrong", "were to come", "it ended at", "gone before"];
        assert!(!wrong.iter().any(|text| how.contains(text)), "{who}: {how}");
    }
}

fn is_confirmed(world: &World, conn: Conn) -> bool {
    let ends = [Some(conn), world.server_side(conn)];
    ends.into_iter()
        .all(|end| end.and_then(|end| world.connection(end)).is_some_and(Connection::is_confirmed))
}

fn seek_of(play: Play) -> SeekPolicy {
    match play {
        Play::Proactive => SeekPolicy::Proactive,
        Play::Reactive | Play::Pool(_) | Play::Symmetric | Play::Synchronized => SeekPolicy::Reactive,
    }
}

fn app(busy: Busy) -> Client {
    match busy {
        Busy::Receiving(bytes) => Client::download(bytes),
        Busy::Sending(bytes) => Client::upload(bytes),
        Busy::Talking(requests) => Client::echoes(requests, ms(30)),
        Busy::Idle => Client::idle(),
    }
}

fn transport(kept_alive: bool) -> Arc<TransportConfig> {
    let builder = TransportConfig::builder().idle_timeout(Some(IDLE)).handshake_timeout(secs(60));
    Arc::new(builder.keep_alive(kept_alive.then_some(secs(1))).build().expect("settings that can be"))
}

fn server_config(scenario: &Scenario, places: Places, tls: &Arc<rustls::ServerConfig>) -> ServerConfig {
    let permits = MigrationConfig::new(StrategySet::ALL).pool(pool(scenario, places)).deadline(DEADLINE);
    let config = ServerConfig::new(Arc::clone(tls)).transport(transport(false)).early_data(true);
    config.migration(permits).expect("a permit that can be")
}

/// Where the server says it may be: its true places come last, but before those that are too many.
fn pool(scenario: &Scenario, places: Places) -> Vec<MigrationTarget> {
    let (size, dual) = (scenario.pool, scenario.dual);
    let truth: Vec<usize> = [1, 2, 0].into_iter().take(size).filter(|_| scenario.pool_is_true).collect();
    let others = (1..=size - truth.len()).map(|number| places.nowhere(number, dual));
    let mut pool: Vec<_> = others.collect();
    let at = pool.len().min(13);
    truth.iter().for_each(|place| pool.insert(at, places.target(*place, dual)));
    pool
}
