//! Random lives of servers and clients: whatever is done to them, in whatever order, the rules hold and every run ends.
//!
//! What holds at every datagram is checked by the world itself: no more than three times what arrived goes to an address
//! that has not answered, and seeks are small and few. Here streams are checked, and that moves settle and all ends.

use std::time::Duration;

use peregrine::{Connection, Instant, RelocationEvent, SocketKey, VarInt};

use sim::{
    Client, Conn, Dice, Filtering, Link, Mapping, Meanwhile, Outcome, Request, World, addr, for_seeds, ms,
    secs,
};
use stage::moves::{AWAY, BEYOND, HOME, Play, Scene, Stage};

/// Operations in one run.
const OPERATIONS: u64 = 14;

/// What is done to a scene.
#[derive(Debug, Clone, Copy)]
enum Operation {
    /// A client asks for more.
    Ask(Request),
    /// A client's translator forgets.
    Rebind,
    /// All paths behave otherwise.
    Weather { loss: u64, late: u64, twice: u64 },
    /// Nothing arrives for so long.
    Blackout(Duration),
    /// The server gets notice.
    Prepare,
    /// The notice is taken back.
    Cancel,
    /// The server moves, ready or not.
    Move { freeze: Duration, keeps: bool },
    /// A client looks for its server.
    SeekNow,
    /// A client comes.
    Come,
    /// Either end of a connection updates its keys.
    UpdateKeys { server: bool },
    /// A client moves to an address of its own, or tries it.
    Roam { probes: bool, to: u64 },
    /// A client goes.
    Close,
    /// Nothing.
    Wait(Duration),
}

impl Operation {
    fn draw(dice: &mut Dice) -> Self {
        let mut below = |limit: u64| dice.word() % limit;
        match below(18) {
            0 | 1 => Self::Ask(Request { dir: peregrine::Dir::Bi, up: below(60_000), down: below(60_000) }),
            2 => Self::Ask(Request { dir: peregrine::Dir::Uni, up: below(30_000), down: 0 }),
            3 => Self::Rebind,
            4 => Self::Weather { loss: below(11), late: below(30), twice: below(20) },
            5 => Self::Blackout(ms(below(3000))),
            6 | 7 => Self::Prepare,
            8 => Self::Cancel,
            9 | 10 => Self::Move { freeze: ms(below(3000)), keeps: below(2) == 0 },
            11 => Self::SeekNow,
            12 => Self::Come,
            13 if below(4) == 0 => Self::Close,
            16 | 17 => Self::Roam { probes: below(2) == 0, to: below(3) },
            14 => Self::UpdateKeys { server: below(2) == 0 },
            _ => Self::Wait(ms(below(1500))),
        }
    }
}

/// A life in progress.
struct Life {
    scene: Scene,
    play: Play,
    dice: Dice,
    link: Link,
    /// Where the server is, of `PLACES`.
    place: usize,
    translated: bool,
}

const PLACES: [&str; 3] = [HOME, AWAY, BEYOND];

impl Life {
    fn begin(seed: u64) -> Self {
        let mut dice = Dice::named(seed, "life");
        let play = Play::ALL[(dice.word() % 5) as usize];
        let link = Link::rtt(ms(4 + dice.word() % 100)).bandwidth(10_000_000);
        let mut stage = Stage::new(play).seed(seed).link(link.clone());
        if matches!(play, Play::Pool(_)) {
            stage = stage.pool(&PLACES);
        }
        let translated = dice.chance(0.7);
        if translated {
            let filterings = [
                Filtering::EndpointIndependent,
                Filtering::AddressDependent,
                Filtering::AddressAndPortDependent,
            ];
            let filtering = filterings[(dice.word() % 3) as usize];
            stage = stage.behind(filtering);
            // Else a challenge to an old port is answered from a new one, which proves the old one to the server, and not
            // to who watches from outside.
            if filtering == Filtering::AddressAndPortDependent && dice.chance(0.5) {
                stage = stage.mapping(Mapping::PerDestination);
            }
        }
        let clients = 1 + dice.word() % 3;
        let scene = stage.clients((0..clients).map(|_| Client::download(50_000)));
        Self { scene, play, dice, link, place: 0, translated }
    }

    fn anyone(&mut self) -> Option<Conn> {
        let open = self.scene.conns.iter().copied().filter(|conn| {
            self.scene.world.closed(*conn).is_none() && self.scene.world.connection(*conn).is_some()
        });
        let open: Vec<Conn> = open.collect();
        let index = self.dice.word() as usize;
        open.get(index % open.len().max(1)).copied()
    }

    fn carry_out(&mut self, operation: Operation) {
        let server = self.scene.server;
        let target = PLACES[(self.place + 1) % PLACES.len()];
        let someone = self.anyone();
        let world = &mut self.scene.world;
        match operation {
            Operation::Ask(request) => {
                if let Some(conn) = someone.filter(|conn| world.is_connected(*conn)) {
                    world.ask(conn, request);
                }
            }
            Operation::Rebind => {
                if let Some(conn) = self.scene.conns.first().filter(|_| self.translated) {
                    world.rebind_nat(conn.host, None);
                }
            }
            Operation::Weather { loss, late, twice } => {
                let link = self.link.clone().loss(loss as f64 / 100.0);
                self.link = link.reordering(late as f64 / 100.0, ms(20)).duplication(twice as f64 / 100.0);
                world.links(self.link.clone());
            }
            Operation::Blackout(time) => {
                world.links(self.link.clone().down());
                let link = self.link.clone();
                world.plan(time, move |world| world.links(link));
            }
            Operation::Prepare => {
                let plan = self.scene.plan(target).keep_unfit();
                // It may be refused: one is pending, or a former one binds.
                let _ = self.scene.world.speak(server, |now, at| at.prepare_relocation(now, plan));
            }
            Operation::Cancel => {
                let _ = world.speak(server, |now, at| at.cancel_relocation(now));
            }
            Operation::Move { freeze, keeps } => self.relocate(target, freeze, keeps),
            Operation::SeekNow => {
                if let Some(conn) = someone {
                    let _ = world.with(conn, |now, connection| connection.migration().seek_now(now));
                }
            }
            Operation::Come => {
                let place = PLACES[self.place];
                self.scene.newcomer_at(self.play, place, Client::echoes(2, ms(100)));
            }
            Operation::Roam { probes, to } => {
                if let Some(conn) = someone {
                    roam(world, conn, probes, to);
                }
            }
            Operation::UpdateKeys { server } => {
                let far = someone.and_then(|conn| world.server_side(conn));
                if let Some(end) = if server { far } else { someone } {
                    // It may have to wait.
                    let _ = world.with(end, |now, connection| connection.update_keys(now));
                }
            }
            Operation::Close => {
                if let Some(conn) = someone {
                    world.with(conn, |now, connection| connection.close(now, VarInt::ZERO, b"enough"));
                }
            }
            Operation::Wait(time) => world.run_for(time),
        }
    }

    fn relocate(&mut self, to: &str, freeze: Duration, keeps: bool) {
        let (world, server) = (&mut self.scene.world, self.scene.server);
        world.freeze_with(server, if keeps { Meanwhile::Queued } else { Meanwhile::Lost });
        world.move_to(server, to);
        world.run_for(freeze);
        world.thaw(server);
        world.relocated(server);
        self.place = (self.place + 1) % PLACES.len();
    }

    /// Good weather from now on; everything comes to an end.
    fn end(&mut self) {
        self.scene.world.run_for(secs(3));
        self.scene.world.links(Link::rtt(ms(20)));
        self.scene.world.run_for(secs(100));
        // One whose Explicit order was taken back is kept alive by questions, for as long as nobody closes it.
        for conn in self.scene.conns.clone() {
            if self.scene.world.closed(conn).is_none() {
                let goodbye = |now: Instant, connection: &mut Connection| {
                    connection.close(now, VarInt::ZERO, b"enough")
                };
                self.scene.world.with(conn, goodbye);
            }
        }
        assert!(self.scene.world.run_out(secs(600)), "it goes on and on");
        for conn in &self.scene.conns {
            let (outcome, closed) = (self.scene.world.outcome(*conn), self.scene.world.closed(*conn));
            assert!(closed.is_some(), "{conn:?} has neither closed nor gone on: {outcome:?}");
            self.assert_intact(*conn, &outcome);
        }
        let ends = self.scene.world.at(self.scene.server).endpoint().connections().count();
        assert_eq!(ends, 0, "the server keeps nothing");
        self.assert_settled();
    }

    /// Wrong bytes are never the end of an application.
    fn assert_intact(&self, conn: Conn, outcome: &Outcome) {
        if let Outcome::Failed(how) = outcome {
            let wrong = ["is wrong", "were to come", "it ended at", "gone before"];
            assert!(!wrong.iter().any(|text| how.contains(text)), "{conn:?}: {how}");
        }
    }

    /// The last thing the server said of its moves is not that it waits, unless nobody carried the plan out.
    fn assert_settled(&self) {
        let mut moves = self.scene.world.at(self.scene.server).relocations();
        let pending = moves.by_ref().filter(|(_, e)| matches!(e, RelocationEvent::Settled { .. })).count();
        assert!(pending > 0 || self.place == 0, "a move has not settled");
    }
}

/// A client moves to one of its other addresses, or tries it, if that is permitted now.
fn roam(world: &mut World, conn: Conn, probes: bool, to: u64) {
    let address = format!("30.2.{to}.{}:5000", conn.host.0);
    let known = world.at(conn.host).sockets().iter().position(|socket| *socket == addr(&address));
    let socket = match known {
        Some(index) => SocketKey(u32::try_from(index).expect("few sockets")),
        None => world.add_socket(conn.host, &address),
    };
    let local = world.at(conn.host).local(socket);
    let _ =
        world.with(
            conn,
            |now, connection| {
                if probes { connection.probe(now, local) } else { connection.rebind(now, local) }
            },
        );
}

#[test]
fn whatever_is_done_the_rules_hold_and_every_run_ends() {
    for_seeds(300, |seed| {
        let mut life = Life::begin(seed);
        life.scene.world.run_for(ms(life.dice.word() % 400));
        for _ in 0..OPERATIONS {
            let operation = Operation::draw(&mut life.dice);
            if std::env::var_os("SIM_LOG").is_some() {
                eprintln!("{operation:?}");
            }
            life.carry_out(operation);
            let pause = ms(life.dice.word() % 300);
            life.scene.world.run_for(pause);
        }
        life.end();
    });
}

#[test]
fn the_same_seed_is_the_same_life() {
    let live = || {
        let mut life = Life::begin(5);
        life.scene.world.run_for(ms(200));
        for _ in 0..OPERATIONS {
            let operation = Operation::draw(&mut life.dice);
            life.carry_out(operation);
        }
        life.end();
        trace(&life.scene.world)
    };
    assert_eq!(live(), live());
}

fn trace(world: &World) -> (u64, Instant) {
    (world.trace().hash(), world.now())
}
