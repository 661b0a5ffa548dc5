//! How a connection ends: by a code, by silence, and by the loss of one end.

use std::sync::Arc;
use std::time::Duration;

use peregrine::{CloseReason, Dir, TransportConfig};
use quinn::{Connection, ConnectionError, EndpointConfig};
use quinn_proto::RandomConnectionIdGenerator;

use crate::certificates::Identity;
use crate::driver::Host;
use crate::foreign::{Foreign, accept, bind, client_config, connect, server_config};
use crate::pair::{DONE, closed, connected, our_client, our_server, with_quinn_client, with_quinn_server};

/// An idle timeout that a test can wait for.
const SOON: Duration = Duration::from_millis(300);

#[test]
fn a_code_with_which_quinn_closes_is_reported() {
    let (code, words) = DONE;
    let closes = move |_, connection: Connection| async move { connection.close(code.into(), words) };
    for mut pair in [with_quinn_server(closes), with_quinn_client(closes)] {
        let reported = CloseReason::Application { code: code.into(), reason: words.to_vec() };
        assert_eq!(closed(&mut pair.host), reported);
        pair.quinn.outcome(&mut pair.host);
    }
}

#[test]
fn silence_ends_the_connection_at_both_ends_after_the_shorter_timeout() {
    let transport = TransportConfig::builder().idle_timeout(Some(SOON)).build().expect("the settings can be");
    let identity = Identity::fresh();
    let quinn = Foreign::server(server_config(identity.server()), |endpoint| async move {
        accept(&endpoint).await.closed().await
    });
    let mut host = Host::client();
    host.connect(quinn.address, our_client(identity.client()).transport(Arc::new(transport)));
    connected(&mut host);
    let since = host.now();
    assert_eq!(closed(&mut host), CloseReason::TimedOut);
    let silence = host.now().since(since);
    assert!(silence > SOON / 2 && silence < 5 * SOON, "ended after {silence:?}");
    assert_eq!(quinn.outcome(&mut host), ConnectionError::TimedOut);
}

#[test]
fn the_idle_timeout_of_quinn_holds_for_us_too() {
    let mut transport = quinn::TransportConfig::default();
    transport.max_idle_timeout(Some(SOON.try_into().expect("a short time")));
    let identity = Identity::fresh();
    let mut host = Host::server(our_server(identity.server()));
    let (to, mut config) = (host.address(), client_config(identity.client()));
    config.transport_config(Arc::new(transport));
    let quinn = Foreign::client(EndpointConfig::default(), move |endpoint| async move {
        connect(&endpoint, to, config).await.expect("the handshake completes").closed().await
    });
    connected(&mut host);
    let since = host.now();
    assert_eq!(closed(&mut host), CloseReason::TimedOut);
    let silence = host.now().since(since);
    assert!(silence > SOON / 2 && silence < 5 * SOON, "ended after {silence:?}");
    assert_eq!(quinn.outcome(&mut host), ConnectionError::TimedOut);
}

#[test]
fn a_quinn_client_learns_that_our_server_has_lost_everything() {
    let identity = Identity::fresh();
    let server = Arc::new(our_server(identity.server()));
    let config = || peregrine::EndpointConfig::server(Arc::clone(&server)).reset_secret([7; 32]);
    let mut host = Host::new(config());
    let (to, mut client) = (host.address(), client_config(identity.client()));
    let mut talkative = quinn::TransportConfig::default();
    talkative.keep_alive_interval(Some(Duration::from_millis(20)));
    client.transport_config(Arc::new(talkative));
    let quinn = Foreign::client(EndpointConfig::default(), move |endpoint| async move {
        connect(&endpoint, to, client).await.expect("the handshake completes").closed().await
    });
    connected(&mut host);
    host.lose_everything(config());
    assert_eq!(quinn.outcome(&mut host), ConnectionError::Reset);
}

#[test]
fn our_client_learns_that_a_quinn_server_has_lost_everything() {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &[7; 32]);
    let config = || {
        let mut config = EndpointConfig::new(Arc::new(key.clone()));
        config.cid_generator(|| Box::new(RandomConnectionIdGenerator::new(8)));
        config
    };
    let identity = Identity::fresh();
    let socket = bind();
    let same = socket.try_clone().expect("the system has a descriptor left");
    let first =
        Foreign::start(socket, config(), Some(server_config(identity.server())), |endpoint| async move {
            // Nothing is said any more, not even that it ends.
            std::mem::forget(accept(&endpoint).await);
        });
    let mut host = Host::client();
    host.connect(first.address, our_client(identity.client()));
    let handle = connected(&mut host);
    first.outcome(&mut host);
    let second = Foreign::start(same, config(), Some(server_config(identity.server())), |_| async move {
        tokio::time::sleep(SOON).await;
    });
    let stream = host.connection(handle).open(Dir::Uni).expect("quinn permits 100 streams");
    host.connection(handle).send(stream).expect("a new stream").write(&[0; 1000]).expect("there is room");
    assert_eq!(closed(&mut host), CloseReason::Reset);
    second.outcome(&mut host);
}
