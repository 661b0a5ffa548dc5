//! What a user puts on connections: an application, driven by events alone, and what becomes of it.

use std::any::Any;
use std::fmt;

use peregrine::{CloseReason, Connection, ConnectionEvent, Instant, StreamEvent};

/// Where an application stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is not done yet: [`World::run_until_done`](crate::World::run_until_done) waits for it.
    Running,
    /// It has done all it was to do.
    Done,
    /// It cannot do it any more, and why.
    Failed(String),
}

/// What runs on one connection, at either end.
///
/// It is called when something has happened on its connection, and may do there what it likes. All times are those of
/// its host's clock. [`App::deadline`] and [`App::outcome`] are asked after each call and are not to change between calls.
/// All methods have a default that does nothing, so that an application implements what concerns it.
pub trait App: Any + fmt::Debug {
    /// Data can be exchanged from now on. Called when the handshake is complete, and with early data (0-RTT) once before.
    fn on_connected(&mut self, _now: Instant, _connection: &mut Connection) {}

    /// Something happened on a stream.
    fn on_stream(&mut self, _now: Instant, _connection: &mut Connection, _event: StreamEvent) {}

    /// Something else happened: to a path, to the server's move, to unreliable datagrams, to early data.
    fn on_event(&mut self, _now: Instant, _connection: &mut Connection, _event: &ConnectionEvent) {}

    /// The connection is over. Nothing is called after this.
    fn on_closed(&mut self, _reason: &CloseReason) {}

    /// When [`App::on_deadline`] is to be called; `None`: not at all.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// The deadline has come. Unless another is set, this is called again at once, and the world ends such a loop with a
    /// panic.
    fn on_deadline(&mut self, _now: Instant, _connection: &mut Connection) {}

    /// Where it stands. Who is still running when the connection ends has failed. A server's application is done when it has nothing more to do of its own accord.
    fn outcome(&self) -> Outcome {
        Outcome::Done
    }
}

/// Makes what runs on a connection that was made to a host.
pub type Serve = fn() -> Box<dyn App>;
