//! What a server-migrating mvfst says and bears, as it was recorded, against our endpoints.
//!
//! [`model`] is what a client of it checks and does when its server moves; [`scripts`] holds that model against its
//! recorded reactions to 44 scripted servers, [`traces`] against 27 recorded connections. [`client`] puts the model, with
//! real keys, before our server: it follows ([`moves`]), and has no reason to close ([`orders`], [`whatever`]); [`shown`]
//! says which script is shown where. [`server`] says to our client, packet by packet, what servers of it have said
//! ([`recording`], [`follows`]). [`tolerance`] is what else is odd about such a peer.

#[path = "../forger/mod.rs"]
mod forger;

mod client;
mod follows;
mod model;
mod moves;
mod operator;
mod orders;
mod recording;
mod scripts;
mod server;
mod shown;
mod tolerance;
mod traces;
mod whatever;
