//! What a client has to tell of a connection, in words.

use peregrine::{Agreement, Connection, MigrationEvent, PathEvent, Strategy, Version};

/// It is connected.
pub fn connected(connection: &Connection) -> String {
    let version = match connection.version() {
        Version::V1 => 1,
        Version::V2 => 2,
    };
    let resumed = if connection.is_resumed() { ", resumed" } else { "" };
    format!("QUIC version {version}{resumed}")
}

/// How its server may move.
pub fn agreed(agreement: Agreement) -> String {
    let names: Vec<_> = agreement.strategies().iter().map(strategy).collect();
    match &*names {
        [] => "the server may not move".to_owned(),
        names => format!("the server may move: {}", names.join(", ")),
    }
}

/// What is worth saying of a path.
pub fn path(event: &PathEvent) -> Option<String> {
    match event {
        PathEvent::Validated { path, .. } => Some(format!("reaches {} by another path", path.remote)),
        PathEvent::Failed { path } => Some(format!("does not reach {} by another path", path.remote)),
        PathEvent::Preferred { path } => {
            Some(format!("goes on at {}, which the server prefers", path.remote))
        }
        PathEvent::Refused { address } => Some(format!("does not go to {address}, which the server prefers")),
        _ => None,
    }
}

/// What is worth saying of a server's move.
pub fn migration(event: &MigrationEvent) -> Option<String> {
    Some(match event {
        MigrationEvent::PoolAddress { target } => format!("the server may move to {}", places(target)),
        MigrationEvent::PoolFull { target } => {
            format!("the server names {}, which is one too many", places(target))
        }
        MigrationEvent::Refused { target } => format!("does not go to {}", places(target)),
        MigrationEvent::Announced { strategy: by } => {
            format!("the server is going to move ({})", strategy(*by))
        }
        MigrationEvent::Seeking { address, .. } => format!("looks for the server at {address}"),
        MigrationEvent::Migrated => "the server says that it has moved".to_owned(),
        MigrationEvent::Returned { address } => format!("the server is at {address} after all"),
        MigrationEvent::Completed { strategy: by, address } => {
            let place = address.map_or_else(String::new, |address| format!(" at {address}"));
            format!("goes on{place} ({})", strategy(*by))
        }
        MigrationEvent::Failed { strategy: by, reason } => {
            format!("does not find the server ({}): {reason}", strategy(*by))
        }
        _ => return None,
    })
}

fn strategy(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Explicit => "explicit",
        Strategy::Pool => "pool",
        Strategy::Symmetric => "symmetric",
        Strategy::SynchronizedSymmetric => "synchronized",
    }
}

fn places(target: &peregrine::MigrationTarget) -> String {
    let v4 = target.v4().map(|address| address.to_string());
    let v6 = target.v6().map(|address| address.to_string());
    v4.into_iter().chain(v6).collect::<Vec<_>>().join(" or ")
}
