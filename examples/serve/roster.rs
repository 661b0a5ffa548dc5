//! The clients by name, and how far each has come in the server's move.

use std::collections::BTreeMap;

use peregrine::{
    Agreement, Connection, ConnectionEvent, ConnectionHandle, ConnectionId, Endpoint, MigrationEvent,
};
use serde_json::{Value, json};

use crate::way::Way;

/// How far one client is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    /// It has said nothing in this move.
    Connected,
    /// It may be moved.
    Ready,
    /// It is served at the new address.
    Moved,
    /// Its move came to nothing, and why.
    Failed(String),
}

impl Standing {
    fn word(&self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Ready => "ready",
            Self::Moved => "moved",
            Self::Failed(_) => "failed",
        }
    }
}

#[derive(Debug)]
struct Guest {
    id: ConnectionId,
    standing: Standing,
}

/// All clients whose handshake is complete.
#[derive(Debug, Default)]
pub struct Roster {
    guests: BTreeMap<ConnectionHandle, Guest>,
}

impl Roster {
    /// A move begins: nobody has said anything yet.
    pub fn begin(&mut self) {
        self.guests.values_mut().for_each(|guest| guest.standing = Standing::Connected);
    }

    /// The client of this name.
    pub fn handle(&self, id: ConnectionId) -> Option<ConnectionHandle> {
        self.guests.iter().find(|(_, guest)| guest.id == id).map(|(handle, _)| *handle)
    }

    /// Something happened on a connection; what is to be told of it.
    pub fn on_event(
        &mut self,
        endpoint: &Endpoint,
        handle: ConnectionHandle,
        event: &ConnectionEvent,
    ) -> Option<Value> {
        if let ConnectionEvent::Connected { migration } = event {
            let connection = endpoint.connection(handle)?;
            let id = connection.original_id();
            self.guests.insert(handle, Guest { id, standing: Standing::Connected });
            return Some(happening(
                id,
                "connected",
                json!({
                    "peer": connection.remote().to_string(),
                    "strategies": strategies(*migration),
                }),
            ));
        }
        let guest = self.guests.get_mut(&handle)?;
        let id = guest.id;
        match event {
            ConnectionEvent::Migration(MigrationEvent::Ready { strategy }) => {
                guest.standing = Standing::Ready;
                Some(happening(id, "ready", json!({ "strategy": Way::from(*strategy).name() })))
            }
            ConnectionEvent::Migration(MigrationEvent::Completed { strategy, .. }) => {
                guest.standing = Standing::Moved;
                Some(happening(id, "moved", json!({ "strategy": Way::from(*strategy).name() })))
            }
            ConnectionEvent::Migration(MigrationEvent::Failed { strategy, reason }) => {
                let reason = reason.to_string();
                guest.standing = Standing::Failed(reason.clone());
                let strategy = Way::from(*strategy).name();
                Some(happening(id, "failed", json!({ "strategy": strategy, "reason": reason })))
            }
            ConnectionEvent::PeerMoved { to, .. } => {
                Some(happening(id, "client_moved", json!({ "peer": to.to_string() })))
            }
            ConnectionEvent::Closed(reason) => {
                self.guests.remove(&handle);
                Some(happening(id, "closed", json!({ "reason": reason.to_string() })))
            }
            _ => None,
        }
    }

    /// Everybody, as a status tells of them.
    pub fn describe(&mut self, endpoint: &mut Endpoint) -> Vec<Value> {
        let describe = |(handle, guest): (&ConnectionHandle, &Guest)| {
            let connection: &mut Connection = endpoint.connection_mut(*handle)?;
            let mut all = json!({
                "id": guest.id.to_string(),
                "peer": connection.remote().to_string(),
                "local": connection.local().ip.map(|ip| ip.to_string()),
                "strategies": strategies(connection.migration().agreement()),
                "state": guest.standing.word(),
            });
            if let Standing::Failed(reason) = &guest.standing {
                all["reason"] = json!(reason);
            }
            Some(all)
        };
        self.guests.iter().filter_map(describe).collect()
    }
}

fn strategies(agreement: Option<Agreement>) -> Vec<&'static str> {
    agreement.into_iter().flat_map(|all| all.strategies().iter()).map(|one| Way::from(one).name()).collect()
}

/// An event of a connection, with what else there is to say of it.
fn happening(id: ConnectionId, what: &str, mut more: Value) -> Value {
    more["event"] = json!("connection");
    more["id"] = json!(id.to_string());
    more["what"] = json!(what);
    more
}
