//! What an endpoint said, in order and by whom it concerns.

use std::collections::BTreeMap;

use peregrine::{ConnectionEvent, ConnectionHandle, Event, Instant, RelocationEvent};

/// All events but those of streams, with the world's time.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    events: Vec<(Instant, Event)>,
    /// Where in `events` something of a connection stands.
    of_connections: BTreeMap<ConnectionHandle, Vec<usize>>,
    of_moves: Vec<usize>,
}

impl Journal {
    /// Writes down an event.
    pub(crate) fn write(&mut self, at: Instant, event: Event) {
        let index = self.events.len();
        match &event {
            Event::Connection(handle, _) => self.of_connections.entry(*handle).or_default().push(index),
            Event::Relocation(_) => self.of_moves.push(index),
            _ => {}
        }
        self.events.push((at, event));
    }

    /// Everything.
    pub(crate) fn all(&self) -> &[(Instant, Event)] {
        &self.events
    }

    /// What a connection said.
    pub(crate) fn of(&self, handle: ConnectionHandle) -> impl Iterator<Item = (Instant, &ConnectionEvent)> {
        let of_it = self.of_connections.get(&handle).into_iter().flatten();
        of_it.filter_map(|index| match &self.events[*index] {
            (at, Event::Connection(_, event)) => Some((*at, event)),
            _ => None,
        })
    }

    /// What was said of the endpoint's moves.
    pub(crate) fn moves(&self) -> impl Iterator<Item = (Instant, &RelocationEvent)> {
        self.of_moves.iter().filter_map(|index| match &self.events[*index] {
            (at, Event::Relocation(event)) => Some((*at, event)),
            _ => None,
        })
    }
}
