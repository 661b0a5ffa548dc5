//! What an mvfst peer does that RFC 9000 or its own description would not lead one to expect, and that we bear.

use peregrine::{MigrationEvent, MoveOrder, TransportConfig};

use super::client::{AWAY, BEYOND, Client, HOME};
use super::follows::{follows, offer, recorded};
use super::forger::wire::{self, words};
use super::forger::{Draft, Params, Setup, Space, Stage, Victim};
use super::model::{EXPLICIT, POOL, SYMMETRIC, SYNCHRONIZED};
use super::orders::{all, explicit, pooled};
use super::recording::Cue;
use sim::{addr, ms, secs};

#[test]
fn a_second_id_under_the_number_of_the_handshake_is_passed_over_and_the_others_are_used() {
    let mut client = Client::offering(Some(SYMMETRIC), all());
    client.prepare(MoveOrder::Symmetric);
    client.server_moves(AWAY);
    client.run_until(|client| client.completed() > 0, secs(3));
    client.goes_on();
    // The first ID that it issued has the number 0 again.
    let [second, third] = [1, 2].map(|number| wire::id(number, 8));
    assert!(client.heard.iter().all(|packet| packet.dcid != second));
    assert!(client.heard.iter().any(|packet| packet.dcid == third));
    assert_eq!(client.count(wire::RETIRE_CONNECTION_ID), 1);
}

#[test]
fn an_id_that_is_retired_twice_is_retired_once() {
    let mut stage = Stage::connected(Victim::Client);
    let (last, second) = (*stage.forger.ids.keys().last().expect("spare ones"), stage.forger.ids[&1].clone());
    for _ in 0..2 {
        let retire = Draft::new(&words(&[wire::RETIRE_CONNECTION_ID, 0]));
        stage.say_as(Space::OneRtt, Draft { dcid: Some(second.clone()), ..retire });
    }
    stage.forger.dcid = second;
    stage.goes_on();
    // It was replaced once.
    assert_eq!(stage.forger.ids.keys().last(), Some(&(last + 1)));
    // So it is in the recording of three moves.
    follows(recorded!("sequence"), offer());
}

#[test]
fn a_ping_in_place_of_server_migrated_announces_a_move() {
    for name in [recorded!("symmetric"), recorded!("synchronized-symmetric")] {
        follows(name.with(wire::SERVER_MIGRATED, "01"), offer());
    }
}

#[test]
fn an_ack_in_place_of_server_migrated_announces_a_move() {
    for name in [recorded!("symmetric"), recorded!("synchronized-symmetric")] {
        follows(name.with(wire::SERVER_MIGRATED, "00"), offer());
    }
}

#[test]
pub fn a_frame_type_of_two_bytes_is_read_as_that_client_reads_it() {
    let client = Client::offering(Some(EXPLICIT), all());
    let frame = [&[1, 0x40, 0x32, 127, 0, 0, 2, 0x17, 0x71][..], &[0; 18]].concat();
    assert_eq!(client.would_close(HOME, &frame), None);
    follows(recorded!("explicit-reactive").with(wire::SERVER_MIGRATION, "4032.."), offer());
    follows(recorded!("pool-of-addresses").with(wire::POOL_MIGRATION_ADDRESS, "4034.."), offer());
    follows(recorded!("symmetric").with(wire::SERVER_MIGRATED, "4033"), offer());
}

#[test]
fn a_pool_stands_between_handshake_done_and_the_connection_ids() {
    let recording = recorded!("pool-of-addresses");
    let [done, member, id] = [wire::HANDSHAKE_DONE, wire::POOL_MIGRATION_ADDRESS, wire::NEW_CONNECTION_ID];
    assert_eq!(recording.kinds(0)[..5], [done, member, member, member, id]);
    let server = follows(recording, offer());
    let told = server.said().take_while(|event| matches!(event, MigrationEvent::PoolAddress { .. })).count();
    assert_eq!(told, 3);
}

#[test]
fn numbers_that_are_left_out_mean_nothing() {
    let recording = recorded!("explicit-reactive");
    let gaps = recording.said.windows(2).filter(|pair| pair[1].number > pair[0].number + 1).count();
    assert_eq!(gaps, 3);
    follows(recording, offer());
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        for number in [50, 52, 10_000] {
            let ping = Draft::new(&words(&[wire::PING]));
            stage.say_as(Space::OneRtt, Draft { number: Some(number), ..ping });
            assert!(stage.forger.heard.iter().any(|(_, frame)| frame.acknowledges(number)));
        }
        assert_eq!((stage.end(), stage.close()), (None, None));
    }
}

#[test]
fn a_challenge_that_is_not_padded_is_answered_at_once() {
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        let challenge =
            stage.forger.seal_small(Space::OneRtt, Draft::new(&wire::path(wire::PATH_CHALLENGE, 7)));
        assert!((35..=47).contains(&challenge.len()));
        stage.send(challenge);
        stage.listen_for(ms(25));
        assert_eq!(stage.heard(wire::PATH_RESPONSE).len(), 1);
    }
}

#[test]
fn a_stateless_reset_after_a_close_changes_nothing() {
    let token = wire::token(99);
    let setup = Setup::params(move |params: Params| params.bytes(0x02, &token));
    let mut stage = Stage::connected_with(Victim::Client, TransportConfig::default(), &setup);
    let close = words(&[wire::CONNECTION_CLOSE, 0, wire::CONNECTION_CLOSE, 11]);
    stage.say(&[&close[..], b"Peer closed"].concat());
    let end = format!("{:?}", stage.end().expect("it was told"));
    let reset = [&[0x41; 24][..], &token].concat();
    assert_eq!(reset.len(), 40);
    stage.send(reset);
    stage.listen_for(secs(1));
    assert_eq!(stage.end().map(|end| format!("{end:?}")), Some(end));
}

#[test]
fn no_move_makes_us_update_keys() {
    let mut client = Client::offering(Some(EXPLICIT | SYMMETRIC | SYNCHRONIZED), all());
    for (order, to) in
        [(explicit(AWAY), AWAY), (MoveOrder::Symmetric, BEYOND), (MoveOrder::SynchronizedSymmetric, HOME)]
    {
        client.prepare(order);
        client.server_moves(to);
        client.goes_on();
        client.run_for(secs(1));
    }
    assert_eq!((client.model.moves(), client.unreadable()), (3, 0));
    assert_eq!(follows(recorded!("sequence"), offer()).unreadable(), 0);
}

#[test]
fn nobody_is_given_more_ids_than_it_keeps() {
    let members: Vec<String> = (2..=20).map(|host| format!("127.0.0.{host}:6001")).collect();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    let mut client = Client::offering(Some(POOL), pooled(&members));
    client.prepare(MoveOrder::Pool);
    // It keeps ten, and has the one of the handshake.
    assert_eq!(client.count(wire::NEW_CONNECTION_ID), 9);
    let server = follows(recorded!("other-client-explicit"), offer());
    // It keeps ten as well, and eight spare ones are enough.
    assert_eq!(server.kept_ids(), 9);
}

#[test]
fn our_client_challenges_nobody_between_an_announcement_and_the_move() {
    for name in [
        recorded!("explicit-reactive"),
        recorded!("synchronized-symmetric"),
        recorded!("sequence"),
        recorded!("other-client-explicit"),
        recorded!("other-client-synchronized-symmetric"),
    ] {
        let server = follows(name, offer());
        assert_eq!(server.challenges_too_early(), 0);
    }
}

#[test]
fn our_client_that_moves_between_an_announcement_and_the_move_challenges_nobody_either() {
    let mut recording = recorded!("both-move");
    let (at, _) = recording.client_move.as_mut().expect("it moves");
    *at = ms(150);
    let greeting = recording.said.iter_mut().find(|said| said.cue == Cue::Came);
    greeting.expect("the server challenges it").from = addr(&recording.server);
    let server = follows(recording, offer());
    assert_eq!(server.challenges_too_early(), 0);
}
