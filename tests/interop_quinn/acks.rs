//! Wishes about acknowledgements (draft-ietf-quic-ack-frequency): quinn takes ours, and we take
//! quinn's.

use std::sync::Arc;

use peregrine::{AckFrequency, ClientConfig, ConnectionHandle, ServerConfig, TransportConfig};
use quinn::{AckFrequencyConfig, Connection, ConnectionStats, EndpointConfig};

use crate::certificates::Identity;
use crate::driver::Host;
use crate::foreign::{Foreign, accept, client_config, connect, exchange, server_config};
use crate::load::{Exchange, Load};
use crate::pair::{close, connected, no_talk, our_client, our_server};

/// Enough for windows to grow.
const LOAD: Load = Load { streams: 4, bytes: 2 << 20 };

/// Whose wish it is, if anybody's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish {
    Nobody,
    Ours,
    Quinns,
}

impl Wish {
    fn transport(self) -> Arc<TransportConfig> {
        let wish = (self == Self::Ours).then(|| AckFrequency::every(16));
        Arc::new(TransportConfig::builder().ack_frequency(wish).build().expect("settings that can be"))
    }

    fn quinns(self) -> Arc<quinn::TransportConfig> {
        let mut transport = quinn::TransportConfig::default();
        if self == Self::Quinns {
            let mut wish = AckFrequencyConfig::default();
            wish.ack_eliciting_threshold(15u32.into());
            transport.ack_frequency_config(Some(wish));
        }
        Arc::new(transport)
    }
}

/// quinn exchanges everything, and says what it has counted by then.
async fn counts(connection: Connection) -> ConnectionStats {
    exchange(&connection, LOAD).await;
    let stats = connection.stats();
    connection.closed().await;
    stats
}

fn finish(mut host: Host, handle: ConnectionHandle, quinn: Foreign<ConnectionStats>) -> ConnectionStats {
    Exchange::run(&mut host, handle, LOAD, no_talk);
    close(&mut host, handle);
    quinn.outcome(&mut host)
}

fn our_client_with(wish: Wish) -> ConnectionStats {
    let identity = Identity::fresh();
    let mut config = server_config(identity.server());
    config.transport_config(wish.quinns());
    let quinn = Foreign::server(config, |endpoint| async move { counts(accept(&endpoint).await).await });
    let mut host = Host::client();
    let ours: ClientConfig = our_client(identity.client()).transport(wish.transport());
    host.connect(quinn.address, ours);
    let handle = connected(&mut host);
    finish(host, handle, quinn)
}

fn our_server_with(wish: Wish) -> ConnectionStats {
    let identity = Identity::fresh();
    let ours: ServerConfig = our_server(identity.server()).transport(wish.transport());
    let mut host = Host::server(ours);
    let (to, mut config) = (host.address(), client_config(identity.client()));
    config.transport_config(wish.quinns());
    let quinn = Foreign::client(EndpointConfig::default(), move |endpoint| async move {
        counts(connect(&endpoint, to, config).await.expect("the handshake completes")).await
    });
    let handle = connected(&mut host);
    finish(host, handle, quinn)
}

/// Each understands the other's wish, and everything arrives; how many ACKs that makes on loopback is up to the sockets.
fn wishes_are_taken(play: fn(Wish) -> ConnectionStats) {
    let nobodys = play(Wish::Nobody);
    assert_eq!((nobodys.frame_rx.ack_frequency, nobodys.frame_tx.ack_frequency), (0, 0));
    let ours = play(Wish::Ours);
    assert!(ours.frame_rx.ack_frequency > 0 && ours.frame_tx.ack_frequency == 0, "{ours:?}");
    let quinns = play(Wish::Quinns);
    assert!(quinns.frame_tx.ack_frequency > 0 && quinns.frame_rx.ack_frequency == 0, "{quinns:?}");
}

#[test]
fn our_client_and_a_quinn_server_take_each_others_wishes() {
    wishes_are_taken(our_client_with);
}

#[test]
fn our_server_and_a_quinn_client_take_each_others_wishes() {
    wishes_are_taken(our_server_with);
}
