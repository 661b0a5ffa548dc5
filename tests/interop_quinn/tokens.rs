//! Proofs of an address: our Retry and our tokens at quinn, quinn's at us.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use peregrine::{ConnectionEvent, DropReason, EndpointConfig, Event, ServerConfig};
use quinn::{TokenLog, TokenReuseError, ValidationTokenConfig};

use crate::certificates::Identity;
use crate::driver::Host;
use crate::foreign::{Foreign, client_config, connect, exchange, server_config};
use crate::load::{Exchange, Load};
use crate::pair::{Pair, close, connected, exchanges_a_little, no_talk, our_client, our_server};

/// A server of ours that has every client prove its address.
fn wary(config: ServerConfig) -> Host {
    Host::new(EndpointConfig::server(Arc::new(config)).half_open_limit(0))
}

fn retries(host: &Host) -> u64 {
    host.endpoint.stats().dropped(DropReason::Unproved)
}

#[test]
fn a_quinn_client_obeys_our_retry() {
    let identity = Identity::fresh();
    let mut host = wary(our_server(identity.server()));
    let (to, config) = (host.address(), client_config(identity.client()));
    let quinn = Foreign::client(quinn::EndpointConfig::default(), move |endpoint| async move {
        let connection = connect(&endpoint, to, config).await.expect("the handshake completes");
        exchanges_a_little(endpoint, connection).await
    });
    let handle = connected(&mut host);
    Exchange::run(&mut host, handle, Load::SMALL, no_talk);
    assert_eq!(retries(&host), 1);
    Pair { host, handle, quinn }.close();
}

#[test]
fn a_quinn_client_that_has_our_token_needs_no_retry() {
    let identity = Identity::fresh();
    let mut host = wary(our_server(identity.server()));
    let (to, config) = (host.address(), client_config(identity.client()));
    let quinn = Foreign::client(quinn::EndpointConfig::default(), move |endpoint| async move {
        // The configuration keeps the tokens.
        for _ in 0..2 {
            let connection = connect(&endpoint, to, config.clone()).await.expect("the handshake completes");
            exchange(&connection, Load::SMALL).await;
            connection.closed().await;
        }
    });
    for _ in 0..2 {
        let handle = connected(&mut host);
        Exchange::run(&mut host, handle, Load::SMALL, no_talk);
        close(&mut host, handle);
    }
    quinn.outcome(&mut host);
    assert_eq!(retries(&host), 1);
}

/// Believes every token of its own.
struct Trusting;

impl TokenLog for Trusting {
    fn check_and_insert(&self, _: u128, _: SystemTime, _: Duration) -> Result<(), TokenReuseError> {
        Ok(())
    }
}

fn no_talk_but_tokens(event: &ConnectionEvent) {
    if !matches!(event, ConnectionEvent::NewToken(_)) {
        no_talk(event);
    }
}

#[test]
fn our_client_shows_a_quinn_server_its_token_and_needs_no_retry() {
    let identity = Identity::fresh();
    let mut config = server_config(identity.server());
    let mut tokens = ValidationTokenConfig::default();
    tokens.log(Arc::new(Trusting)).sent(2);
    config.validation_token_config(tokens);
    let quinn = Foreign::server(config, |endpoint| async move {
        let mut retries = 0;
        for _ in 0..2 {
            let mut incoming = endpoint.accept().await.expect("the endpoint is open");
            if !incoming.remote_address_validated() {
                incoming.retry().expect("the first Initial has no token of a Retry");
                retries += 1;
                incoming = endpoint.accept().await.expect("the endpoint is open");
            }
            let connection = incoming.await.expect("the handshake completes");
            exchange(&connection, Load::SMALL).await;
            connection.closed().await;
        }
        retries
    });
    let mut host = Host::client();
    let handle = host.connect(quinn.address, our_client(identity.client()));
    connected(&mut host);
    let token = host.await_event("a token comes", |_, event| match event {
        Event::Connection(_, ConnectionEvent::NewToken(token)) => Some(token.clone()),
        _ => None,
    });
    Exchange::run(&mut host, handle, Load::SMALL, no_talk_but_tokens);
    close(&mut host, handle);
    let config = our_client(identity.client()).token(&token).expect("it is not too long");
    let handle = host.connect(quinn.address, config);
    connected(&mut host);
    Exchange::run(&mut host, handle, Load::SMALL, no_talk_but_tokens);
    close(&mut host, handle);
    assert_eq!(quinn.outcome(&mut host), 1);
}
