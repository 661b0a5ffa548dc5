//! One of our endpoints before a peer that follows a script, with every datagram and every frame in sight: what a client
//! sends to a server that may have moved, and what a server says that has (server-migration rules, 2 and 3).

#[path = "../forger/mod.rs"]
mod forger;

mod adoption;
mod announcements;
mod candidates;
mod endings;
mod ids;
mod script;
