//! Our server moves, and a client of mvfst's follows: each way of moving that the scripts show to be safe, and more.

use peregrine::{MigrationConfig, MoveOrder, Strategy};

use super::client::{AWAY, BEYOND, Client, HOME};
use super::forger::wire;
use super::model::{EXPLICIT, POOL, SYMMETRIC, SYNCHRONIZED};
use super::orders::{all, both_families, explicit, pooled};
use sim::{Link, addr, ms, secs};

const COMPLETED: &str = "onServerMigrationCompleted";
const MIGRATED: &str = "onServerMigratedReceived";
const NOTED: &str = "onServerMigrationReceived 127.0.0.2:6001||[::]:0";
const NOTED_BOTH: &str = "onServerMigrationReceived 127.0.0.2:6001||[::1]:6001";
const NOTED_NOTHING: &str = "onServerMigrationReceived 0.0.0.0:0||[::]:0";
const PROBES_AWAY: &str = "onServerMigrationProbingStarted 127.0.0.2:6001";
const PROBES_HOME: &str = "onServerMigrationProbingStarted 127.0.0.1:6000";
const MEMBER: &str = "onPoolMigrationAddressReceived 127.0.0.2:6001||[::]:0";
const OTHER_MEMBER: &str = "onPoolMigrationAddressReceived 127.0.0.3:6002||[::]:0";

impl Client {
    /// Both ends have seen it follow there, and it has told its application this in all.
    #[track_caller]
    fn has_followed(&mut self, to: &str, told: &[&str]) {
        self.run_until(|client| client.completed() > 0 && client.model.moves() > 0, secs(3));
        assert_eq!(
            (self.told.iter().map(String::as_str).collect::<Vec<_>>(), self.model.home),
            (told.to_vec(), addr(to))
        );
        assert_eq!((self.model.moves(), self.completed()), (1, 1));
        self.goes_on();
    }

    /// The only challenges went there.
    #[track_caller]
    fn has_challenged_only(&self, there: &str) {
        let challenges = self.sent.iter().filter(|(_, _, frames)| has(frames, wire::PATH_CHALLENGE));
        let places: Vec<_> = challenges.map(|(to, size, _)| (*to, (35..=60).contains(size))).collect();
        assert_eq!(places, [(addr(there), true)]);
    }
}

fn has(frames: &[wire::Heard], kind: u64) -> bool {
    frames.iter().any(|frame| frame.kind == kind)
}

#[test]
pub fn a_repeated_announcement_changes_nothing() {
    for (offer, order, noted) in
        [(EXPLICIT, explicit(AWAY), NOTED), (SYNCHRONIZED, MoveOrder::SynchronizedSymmetric, NOTED_NOTHING)]
    {
        let mut client = Client::offering(Some(offer), all());
        assert_eq!(client.order(order), Ok(()));
        // The acknowledgement is lost, so it is said again.
        client.run_for(ms(10));
        client.mute_for = 1;
        client.run_until(Client::is_ready, secs(1));
        assert!(client.count(wire::SERVER_MIGRATION) >= 2, "{client:?}");
        assert_eq!(client.told, [noted]);
        client.goes_on();
    }
}

#[test]
pub fn a_move_that_the_client_cannot_see_does_no_harm() {
    for (offer, order) in [
        (SYMMETRIC, MoveOrder::Symmetric),
        (SYNCHRONIZED, MoveOrder::SynchronizedSymmetric),
        (EXPLICIT | SYMMETRIC, explicit(AWAY)),
    ] {
        let mut client = Client::offering(Some(offer), all());
        client.prepare(order);
        client.server_moves(HOME);
        client.run_for(secs(2));
        assert_eq!((client.model.moves(), client.completed()), (0, 1));
        let told = usize::from(!matches!(order, MoveOrder::Explicit(_)));
        assert_eq!(client.count(wire::SERVER_MIGRATED), told);
        client.goes_on();
    }
}

#[test]
pub fn a_server_migrated_from_home_does_no_harm_after_a_target_either() {
    let mut client = Client::offering(Some(EXPLICIT), all());
    client.prepare(explicit(AWAY));
    assert_eq!(client.would_close(HOME, &[wire::SERVER_MIGRATED as u8]), None);
    client.goes_on();
}

#[test]
pub fn a_client_that_asks_finds_a_server_that_named_its_target() {
    for (order, noted) in [(explicit(AWAY), NOTED), (MoveOrder::Explicit(both_families()), NOTED_BOTH)] {
        let mut client = Client::offering(Some(EXPLICIT), all());
        client.prepare(order);
        client.server_moves(AWAY);
        client.run_for(ms(5));
        client.asks();
        client.has_followed(AWAY, &[noted, PROBES_AWAY, COMPLETED]);
        client.has_challenged_only(AWAY);
    }
}

#[test]
pub fn a_client_that_asks_finds_a_server_that_has_a_pool() {
    let mut client = Client::offering(Some(POOL), pooled(&[AWAY, BEYOND]));
    client.prepare(MoveOrder::Pool);
    client.server_moves(AWAY);
    client.run_for(ms(5));
    client.asks();
    // It looks where it was first, and our announcement, said again, ends its search.
    client.has_followed(AWAY, &[MEMBER, OTHER_MEMBER, PROBES_HOME, COMPLETED]);
    client.has_challenged_only(AWAY);
}

#[test]
pub fn an_idle_client_acknowledges_where_its_server_was_and_follows_when_it_asks() {
    for (offer, order, told) in [
        (EXPLICIT, explicit(AWAY), vec![NOTED, PROBES_AWAY, COMPLETED]),
        (POOL, MoveOrder::Pool, vec![MEMBER, OTHER_MEMBER, PROBES_HOME, PROBES_AWAY, COMPLETED]),
    ] {
        let mut client =
            Client::offering(Some(offer), pooled(if offer == POOL { &[AWAY, BEYOND] } else { &[] }));
        client.prepare(order);
        client.server_moves(AWAY);
        client.run_for(ms(40));
        let (to, _, frames) = client.sent.last().expect("it has acknowledged");
        assert_eq!((to, frames.len(), has(frames, wire::ACK)), (&addr(HOME), 1, true));
        client.asks();
        client.has_followed(AWAY, &told);
    }
}

#[test]
fn an_idle_client_follows_by_its_answer_to_what_the_server_says() {
    let mut client = Client::offering(Some(EXPLICIT), all());
    client.prepare(explicit(AWAY));
    client.server_moves(AWAY);
    client.server_says(b"hello");
    client.has_followed(AWAY, &[NOTED, PROBES_AWAY, COMPLETED]);
    let echoes = client.sent.iter().filter(|(_, _, frames)| {
        frames.iter().any(|frame| (frame.kind, &*frame.data) == (wire::STREAM_FIN, &b"hello"[..]))
    });
    let places: Vec<_> = echoes.map(|(to, ..)| *to).collect();
    assert_eq!((places.first(), places.last()), (Some(&addr(HOME)), Some(&addr(AWAY))));
}

#[test]
fn datagrams_that_come_twice_change_nothing() {
    for (order, told) in [
        (explicit(AWAY), vec![NOTED, PROBES_AWAY, COMPLETED]),
        (MoveOrder::Symmetric, vec![MIGRATED, COMPLETED]),
        (MoveOrder::SynchronizedSymmetric, vec![NOTED_NOTHING, MIGRATED, COMPLETED]),
    ] {
        let mut client = Client::offering(Some(EXPLICIT | SYMMETRIC | SYNCHRONIZED), all());
        client.world.links(Link::delay(ms(5)).duplication(1.0));
        client.prepare(order);
        client.server_moves(AWAY);
        client.run_for(ms(5));
        client.asks();
        client.has_followed(AWAY, &told);
    }
}

#[test]
fn an_idle_client_that_never_asks_is_made_to_follow() {
    for (offer, order) in [(EXPLICIT, explicit(AWAY)), (POOL, MoveOrder::Pool)] {
        let mut client =
            Client::offering(Some(offer), pooled(if offer == POOL { &[AWAY, BEYOND] } else { &[] }));
        client.prepare(order);
        client.server_moves(AWAY);
        client.run_until(|client| client.completed() > 0 || client.is_over(), secs(10));
        assert_eq!((client.completed(), client.model.home), (1, addr(AWAY)), "{client:?}");
        client.goes_on();
    }
}

#[test]
pub fn a_client_challenges_at_once_a_server_that_says_it_has_migrated() {
    let permits = [SYMMETRIC, EXPLICIT | POOL | SYMMETRIC | SYNCHRONIZED];
    for offer in permits {
        let mut client = Client::offering(Some(offer), all());
        client.prepare(MoveOrder::Symmetric);
        client.server_moves(AWAY);
        client.has_followed(AWAY, &[MIGRATED, COMPLETED]);
        client.has_challenged_only(AWAY);
    }
    let mut client = Client::offering(Some(SYNCHRONIZED), all());
    client.prepare(MoveOrder::SynchronizedSymmetric);
    client.server_moves(AWAY);
    client.has_followed(AWAY, &[NOTED_NOTHING, MIGRATED, COMPLETED]);
    client.has_challenged_only(AWAY);
}

#[test]
pub fn a_lost_server_migrated_is_made_good_and_a_ping_in_its_place_would_do() {
    for (offer, order, told) in [
        (SYMMETRIC, MoveOrder::Symmetric, vec![MIGRATED, COMPLETED]),
        (SYNCHRONIZED, MoveOrder::SynchronizedSymmetric, vec![NOTED_NOTHING, MIGRATED, COMPLETED]),
    ] {
        let mut client = Client::offering(Some(offer), all());
        client.prepare(order);
        client.server_moves(AWAY);
        client.deaf_for = 1;
        client.run_for(ms(8));
        assert_eq!((client.deaf_for, client.count(wire::SERVER_MIGRATED)), (0, 0));
        assert_eq!(client.would_close(AWAY, &[wire::PING as u8]), None);
        client.has_followed(AWAY, &told);
    }
}

#[test]
pub fn a_second_server_migrated_changes_nothing() {
    let mut client = Client::offering(Some(SYMMETRIC), all());
    client.prepare(MoveOrder::Symmetric);
    client.server_moves(AWAY);
    // The challenge is lost with its acknowledgement, so the server says it again.
    client.mute_for = 1;
    client.run_until(|client| client.count(wire::SERVER_MIGRATED) == 2, secs(1));
    client.has_followed(AWAY, &[MIGRATED, COMPLETED]);
}

#[test]
fn one_connection_moves_by_three_strategies_and_comes_home() {
    let mut client = Client::offering(Some(EXPLICIT | SYMMETRIC | SYNCHRONIZED), all());
    for (number, (order, to)) in
        [(explicit(AWAY), AWAY), (MoveOrder::Symmetric, BEYOND), (MoveOrder::SynchronizedSymmetric, HOME)]
            .into_iter()
            .enumerate()
    {
        client.prepare(order);
        client.server_moves(to);
        client.run_for(ms(30));
        client.asks();
        client.run_until(|client| client.completed() > number, secs(3));
        assert_eq!((client.model.moves() as usize, client.model.home), (number + 1, addr(to)));
        client.goes_on();
    }
}

#[test]
fn a_client_that_leapt_before_the_move_is_pulled_back_with_what_it_had_to_say_and_follows_later() {
    let mut client = Client::offering(Some(EXPLICIT), all());
    client.prepare(explicit(AWAY));
    client.mute_for = 1;
    let id = client.asks();
    client.run_until(|client| client.model.home == addr(AWAY), secs(1));
    // A PING alone would bring an ACK home, and everything else to the target for ever.
    client.run_until(|client| client.is_answered(id), secs(2));
    assert_eq!((client.model.home, client.count(wire::PATH_CHALLENGE)), (addr(HOME), 1));
    client.server_moves(AWAY);
    client.run_for(ms(5));
    client.asks();
    client.has_followed(AWAY, &[NOTED, PROBES_AWAY, COMPLETED]);
}

#[test]
fn an_idle_client_that_did_not_leap_is_asked_and_not_challenged() {
    let mut client = Client::offering(Some(EXPLICIT), all());
    client.prepare(explicit(AWAY));
    client.run_for(secs(10));
    assert_eq!(client.count(wire::PATH_CHALLENGE), 0);
    assert!(client.count(wire::PING) >= 5);
    client.goes_on();
}

#[test]
fn permits_of_one_strategy_are_enough() {
    let mut client = Client::offering(Some(15), MigrationConfig::new(Strategy::Symmetric.into()));
    client.prepare(MoveOrder::Symmetric);
    client.server_moves(AWAY);
    client.has_followed(AWAY, &[MIGRATED, COMPLETED]);
}
