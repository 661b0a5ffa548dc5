//! What is done to our server before the client, and what the client makes of it.

use peregrine::{ConnectionEvent, Dir, Event, MigrationError, MigrationEvent, MoveOrder};

use super::client::Client;
use super::forger::wire;
use super::model;
use sim::{addr, ms};

impl Client {
    // ---- our server ---------------------------------------------------------------------------

    /// Orders the connection a move.
    pub fn order(&mut self, order: MoveOrder) -> Result<(), MigrationError> {
        self.world.speak(self.server, |now, endpoint| {
            let (handle, _) = endpoint.connections().next().expect("the server has it");
            endpoint.connection_mut(handle).expect("it is open").migration().prepare(now, order)
        })
    }

    /// Orders the connection a move, and awaits that it is ready.
    #[track_caller]
    pub fn prepare(&mut self, order: MoveOrder) {
        assert_eq!(self.order(order), Ok(()));
        self.run_until(Self::is_ready, ms(1000));
    }

    /// Whether the connection has been ready for a move since it was ordered one.
    pub fn is_ready(&self) -> bool {
        let last = self.said().last();
        matches!(last, Some(MigrationEvent::Ready { .. }))
    }

    /// Takes the order back, if there is one.
    pub fn try_cancel(&mut self) -> Result<(), MigrationError> {
        self.world.speak(self.server, |now, endpoint| {
            let (handle, _) = endpoint.connections().next().expect("the server has it");
            endpoint.connection_mut(handle).expect("it is open").migration().cancel(now)
        })
    }

    /// Takes the order back.
    #[track_caller]
    pub fn cancel(&mut self) {
        assert_eq!(self.try_cancel(), Ok(()));
        self.run_for(ms(50));
    }

    /// The server moves there.
    pub fn server_moves(&mut self, to: &str) {
        self.world.relocate(self.server, to, ms(20));
    }

    /// The server says something to the client, unasked, on a stream of its own.
    pub fn server_says(&mut self, data: &[u8]) {
        self.world.speak(self.server, |_, endpoint| {
            let (handle, _) = endpoint.connections().next().expect("the server has it");
            let connection = endpoint.connection_mut(handle).expect("it is open");
            let id = connection.open(Dir::Bi).expect("the client permits it");
            let mut stream = connection.send(id).expect("it is open");
            assert_eq!(stream.write(data), Ok(data.len()));
            stream.finish().expect("it is open");
        });
    }

    /// What our server said of the connection's moves.
    pub fn said(&self) -> impl DoubleEndedIterator<Item = MigrationEvent> {
        self.world.at(self.server).events().iter().filter_map(|(_, event)| match event {
            Event::Connection(_, ConnectionEvent::Migration(event)) => Some(*event),
            _ => None,
        })
    }

    /// The moves that our server has seen completed.
    pub fn completed(&self) -> usize {
        self.said().filter(|event| matches!(event, MigrationEvent::Completed { .. })).count()
    }

    // ---- what came of it ----------------------------------------------------------------------

    /// How many datagrams it could not read.
    pub fn unreadable(&self) -> usize {
        self.forger.unreadable.len()
    }

    /// How many frames of this type it heard.
    pub fn count(&self, kind: u64) -> usize {
        self.heard.iter().flat_map(|packet| &packet.frames).filter(|frame| frame.kind == kind).count()
    }

    /// How many migration frames it heard, of any type.
    pub fn count_all(&self) -> usize {
        [wire::SERVER_MIGRATION, wire::SERVER_MIGRATED, wire::POOL_MIGRATION_ADDRESS]
            .map(|kind| self.count(kind))
            .iter()
            .sum()
    }

    /// Why it would close if it heard these frames from there now.
    pub fn would_close(&self, from: &str, frames: &[u8]) -> Option<String> {
        let number = self.heard.iter().map(|packet| packet.number).max().expect("it heard something") + 1;
        let heard = model::frames(frames);
        let judged = heard.and_then(|frames| self.model.clone().on_packet(addr(from), number, &frames));
        judged.err().map(|close| close.reason)
    }

    /// It is content: it closed nothing, nobody else did, and it is served.
    #[track_caller]
    pub fn goes_on(&mut self) {
        let id = self.asks();
        self.run_until(|client| client.is_over() || client.is_answered(id), ms(8000));
        assert!(!self.is_over(), "{self:?}");
    }
}
