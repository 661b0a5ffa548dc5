//! The applications of a host by their connections: how many are at work, and which wants to be asked when.

use std::collections::{BTreeMap, BTreeSet};

use peregrine::{CloseReason, ConnectionHandle, Instant};

use crate::app::{App, Outcome};

/// An application, and what it said when it was called last.
#[derive(Debug)]
struct Part {
    app: Box<dyn App>,
    deadline: Option<Instant>,
    is_running: bool,
    /// Why its connection ended, once it has.
    ended: Option<CloseReason>,
}

impl Part {
    /// Where it stands; who was still at work when the connection ended has failed.
    fn outcome(&self) -> Outcome {
        match (self.app.outcome(), &self.ended) {
            (Outcome::Running, Some(reason)) => Outcome::Failed(reason.to_string()),
            (outcome, _) => outcome,
        }
    }
}

/// All applications of one host. Times are those of the host's clock.
#[derive(Debug, Default)]
pub(crate) struct Apps {
    parts: BTreeMap<ConnectionHandle, Part>,
    deadlines: BTreeSet<(Instant, ConnectionHandle)>,
    running: usize,
}

impl Apps {
    /// Runs this on a connection, in place of what ran there.
    pub(crate) fn install(&mut self, handle: ConnectionHandle, app: Box<dyn App>) {
        self.remove(handle);
        self.parts.insert(handle, Part { app, deadline: None, is_running: false, ended: None });
        self.call(handle, |_| ());
    }

    fn remove(&mut self, handle: ConnectionHandle) {
        self.forget_deadline(handle);
        if self.parts.remove(&handle).is_some_and(|part| part.is_running) {
            self.running -= 1;
        }
    }

    /// What runs on a connection.
    pub(crate) fn get(&self, handle: ConnectionHandle) -> Option<&dyn App> {
        self.parts.get(&handle).map(|part| &*part.app)
    }

    /// Calls what runs on a connection, and asks it how it stands.
    pub(crate) fn call<T>(
        &mut self,
        handle: ConnectionHandle,
        call: impl FnOnce(&mut dyn App) -> T,
    ) -> Option<T> {
        let part = self.parts.get_mut(&handle)?;
        let answer = call(&mut *part.app);
        let deadline = part.app.deadline();
        if deadline != part.deadline {
            part.deadline.map(|at| self.deadlines.remove(&(at, handle)));
            self.deadlines.extend(deadline.map(|at| (at, handle)));
            part.deadline = deadline;
        }
        self.running -= usize::from(part.is_running);
        part.is_running = part.outcome() == Outcome::Running;
        self.running += usize::from(part.is_running);
        Some(answer)
    }

    /// The connection is over: tells what runs there, which is not asked any more.
    pub(crate) fn end(&mut self, handle: ConnectionHandle, reason: &CloseReason) {
        if let Some(part) = self.parts.get_mut(&handle) {
            part.ended = Some(reason.clone());
        }
        self.call(handle, |app| app.on_closed(reason));
        self.forget_deadline(handle);
    }

    /// Where what runs on a connection stands.
    pub(crate) fn outcome(&self, handle: ConnectionHandle) -> Option<Outcome> {
        self.parts.get(&handle).map(Part::outcome)
    }

    /// Its connection is gone: its deadline does not come any more.
    pub(crate) fn forget_deadline(&mut self, handle: ConnectionHandle) {
        if let Some(at) = self.parts.get_mut(&handle).and_then(|part| part.deadline.take()) {
            self.deadlines.remove(&(at, handle));
        }
    }

    /// The first deadline, and whose it is.
    pub(crate) fn first(&self) -> Option<(Instant, ConnectionHandle)> {
        self.deadlines.first().copied()
    }

    /// Those whose deadline has come, in the order of the deadlines.
    pub(crate) fn due(&self, now: Instant) -> Vec<ConnectionHandle> {
        self.deadlines.iter().take_while(|(at, _)| *at <= now).map(|(_, handle)| *handle).collect()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.parts.len()
    }

    /// How many are neither done nor have failed.
    pub(crate) fn running(&self) -> usize {
        self.running
    }

    /// Where each stands, in the order of their connections' handles.
    pub(crate) fn outcomes(&self) -> impl Iterator<Item = (ConnectionHandle, Outcome)> + '_ {
        self.parts.iter().map(|(handle, part)| (*handle, part.outcome()))
    }
}
