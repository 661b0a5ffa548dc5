//! Our endpoints against quinn's, over real sockets on loopback: our client and its server, our server and its client.
//!
//! quinn knows nothing of server migration. We offer or permit it all the same, in every test, since nothing else may
//! change for such a peer.

#[path = "interop_quinn/acks.rs"]
mod acks;
#[path = "interop_quinn/certificates.rs"]
mod certificates;
#[path = "interop_quinn/changes.rs"]
mod changes;
#[path = "interop_quinn/datagrams.rs"]
mod datagrams;
#[path = "interop_quinn/driver.rs"]
mod driver;
#[path = "interop_quinn/early_data.rs"]
mod early_data;
#[path = "interop_quinn/endings.rs"]
mod endings;
#[path = "interop_quinn/foreign.rs"]
mod foreign;
#[path = "interop_quinn/handshakes.rs"]
mod handshakes;
#[path = "interop_quinn/load.rs"]
mod load;
#[path = "interop_quinn/pair.rs"]
mod pair;
#[path = "interop_quinn/places.rs"]
mod places;
#[path = "interop_quinn/streams.rs"]
mod streams;
#[path = "interop_quinn/tokens.rs"]
mod tokens;
#[path = "interop_quinn/versions.rs"]
mod versions;
