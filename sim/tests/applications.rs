//! What an application is told, and when.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use peregrine::{
    ClientConfig, CloseReason, Connection, ConnectionEvent, Instant, MigrationConfig, MigrationEvent,
    ServerConfig, Strategy, VarInt,
};
use peregrine_sim::{App, Client, Conn, HostId, Outcome, World, ms, secs, tls};

/// Writes down what it is told, and wants to be asked every second.
#[derive(Debug, Default)]
struct Diary {
    next: Option<Instant>,
    ticks: Vec<Instant>,
    migrated: bool,
    is_over: bool,
}

impl App for Diary {
    fn on_connected(&mut self, now: Instant, _: &mut Connection) {
        self.next = Some(now + secs(1));
    }

    fn on_event(&mut self, _: Instant, _: &mut Connection, event: &ConnectionEvent) {
        self.migrated |= matches!(event, ConnectionEvent::Migration(MigrationEvent::Completed { .. }));
    }

    fn on_closed(&mut self, _: &CloseReason) {
        self.is_over = true;
    }

    fn deadline(&self) -> Option<Instant> {
        self.next
    }

    fn on_deadline(&mut self, now: Instant, _: &mut Connection) {
        self.ticks.push(now);
        self.next = Some(now + secs(1));
    }

    fn outcome(&self) -> Outcome {
        if self.ticks.len() < 3 { Outcome::Running } else { Outcome::Done }
    }
}

/// A server and a client of it, both with a diary.
fn diaries() -> (World, HostId, Conn) {
    let migration = || MigrationConfig::new(Strategy::Symmetric.into());
    let mut world = World::new();
    let config = ServerConfig::new(tls::server()).migration(migration()).expect("a permit");
    let server = world.serve("45.0.0.1:443", config, Diary::default);
    let host = world.client("30.0.0.1:5000");
    let config = ClientConfig::new(tls::client()).migration(migration()).expect("an offer");
    let conn = world.connect_with(host, "45.0.0.1:443", Arc::new(config), Diary::default());
    (world, server, conn)
}

/// When both diaries have three entries, with the server frozen for so long.
fn both_are_done(freeze: Duration) -> Instant {
    let (mut world, server, _) = diaries();
    world.run_for(ms(1500));
    world.freeze(server);
    world.run_for(freeze);
    world.thaw(server);
    world.run_well(secs(60));
    world.now()
}

#[test]
fn a_deadline_waits_while_its_host_is_frozen() {
    // The server is connected half a round trip after its client.
    assert_eq!(both_are_done(Duration::ZERO), Instant::from_millis(3030));
    assert_eq!(both_are_done(ms(2300)), Instant::from_millis(5330));
}

#[test]
fn it_is_told_of_moves_and_of_the_end() {
    let (mut world, server, conn) = diaries();
    world.run_for(ms(200));
    world.relocate(server, "46.0.0.1:443", ms(50));
    world.run_for(secs(4));
    assert!(world.app::<Diary>(conn).migrated && !world.app::<Diary>(conn).is_over);
    world.with(conn, |now, connection| connection.close(now, VarInt::ZERO, b"enough"));
    world.run_for(secs(4));
    let diary = world.app::<Diary>(conn);
    assert!(diary.is_over && diary.ticks.len() <= 5, "it is not asked after the end");
}

#[test]
fn who_is_at_work_when_the_connection_ends_has_failed() {
    let (mut world, _, conn) = diaries();
    world.run_for(ms(1500));
    world.with(conn, |now, connection| connection.close(now, VarInt::ZERO, b"enough"));
    world.run_until_done(secs(10));
    assert!(matches!(world.outcome(conn), Outcome::Failed(_)));
    assert_eq!(world.app::<Diary>(conn).outcome(), Outcome::Running, "it knows nothing of it");
}

#[test]
fn each_connection_gets_what_the_server_makes() {
    let mut world = World::new();
    let made = Rc::new(Cell::new(0));
    let count = Rc::clone(&made);
    world.serve("45.0.0.1:443", ServerConfig::new(tls::server()), move || {
        count.set(count.get() + 1);
        Diary::default()
    });
    for client in 1..=5 {
        let host = world.client(&format!("30.0.0.{client}:5000"));
        world.connect(host, "45.0.0.1:443", Diary::default());
        world.connect(host, "45.0.0.1:443", Diary::default());
    }
    assert_eq!(world.running(), 10);
    world.run_well(secs(10));
    assert_eq!((made.get(), world.running()), (10, 0));
}

#[test]
fn one_speaks_to_it_at_any_time() {
    let mut world = World::new();
    world.server("45.0.0.1:443");
    let host = world.client("30.0.0.1:5000");
    let conn = world.connect(host, "45.0.0.1:443", Client::idle());
    world.run_well(secs(1));
    world.with_app(conn, |now, client: &mut Client, connection| client.ask(now, connection, Client::echo()));
    assert_eq!(world.running(), 1);
    world.run_well(secs(1));
    assert_eq!(world.app::<Client>(conn).served().len(), 1);
}
