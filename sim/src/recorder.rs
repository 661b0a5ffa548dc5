//! The ready-made application that does nothing.

use peregrine::{Connection, Instant, StreamEvent};

use super::app::App;

/// Writes down what happens on streams and does nothing about it: for tests that speak to the
/// connection themselves, with [`World::with`](crate::World::with).
#[derive(Debug, Default)]
pub struct Recorder(Vec<StreamEvent>);

impl Recorder {
    /// What happened, in order.
    pub fn events(&self) -> &[StreamEvent] {
        &self.0
    }
}

impl App for Recorder {
    fn on_stream(&mut self, _: Instant, _: &mut Connection, event: StreamEvent) {
        self.0.push(event);
    }
}
