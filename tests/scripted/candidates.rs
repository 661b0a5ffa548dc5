//! What a client sends where, before it knows where its server is, and when it knows (server-migration rules, 2.3 to 2.6).

use peregrine::{MigrationConfig, MigrationEvent, MigrationTarget, Strategy};

use crate::forger::params::{EXPLICIT, POOL, SYMMETRIC};
use crate::forger::wire;
use crate::script::{AWAY, BEYOND, HOME, Said, Script, bare, response};
use sim::addr;

fn only(strategy: Strategy) -> MigrationConfig {
    MigrationConfig::new(strategy.into())
}

#[test]
fn a_silent_candidate_is_sent_seeks_and_nothing_else_while_data_goes_home() {
    let mut script = Script::announced();
    script.write(5000);
    let said = script.hear(2000);
    let (seeks, home): (Vec<_>, Vec<_>) = said.iter().partition(|said| said.to == addr(AWAY));
    assert!((5..=11).contains(&seeks.len()), "{}", seeks.len());
    for seek in &seeks {
        assert_eq!(seek.kinds(), [wire::PATH_CHALLENGE, wire::PING]);
        assert!(seek.len <= 60, "{} bytes", seek.len);
    }
    let mut data: Vec<_> = seeks.iter().map(|seek| seek.challenge()).collect();
    data.sort();
    data.dedup();
    assert_eq!(data.len(), seeks.len(), "each challenge is another");
    assert!(home.iter().any(|said| said.has_stream()));
    assert!(home.iter().all(|said| said.challenge().is_none()), "home is asked and never sought");
}

#[test]
fn seeks_fill_no_window_and_count_as_no_loss() {
    let mut script = Script::announced();
    script.write(100);
    script.hear(5);
    script.acknowledge(HOME);
    script.hear(5);
    script.stage.speak(|now, client| client.migration().seek_now(now)).expect("it was announced");
    assert_eq!(script.hear_at(AWAY, 5).len(), 1);
    let client = script.stage.connection().expect("it is open");
    assert_eq!(client.path().in_flight, 0);
    let lost = client.stats().packets_lost;
    script.hear(1000);
    assert_eq!(script.stage.connection().expect("it is open").stats().packets_lost, lost);
}

#[test]
fn a_candidate_that_speaks_at_length_is_challenged_at_length_with_acks_and_data_in_the_same_flight() {
    let mut script = Script::announced();
    // More than the window of home lets go: the rest waits when the candidate speaks.
    script.write(20_000);
    script.hear(0);
    script.say_at_length(AWAY, &bare(wire::PING));
    let said = script.hear_at(AWAY, 5);
    assert_eq!(said[0].kinds()[..2], [wire::PATH_CHALLENGE, wire::ACK]);
    assert!(said[0].has_stream(), "{:?}", said[0].kinds());
    assert_eq!(said[0].len, 1200);
}

#[test]
fn a_candidate_known_by_its_source_alone_is_sent_three_times_what_came_from_it_at_most() {
    for len in [40, 100, 300, 1200] {
        let mut script = Script::symmetric();
        let mut frames = bare(wire::PING);
        frames.resize(len - 29, 0);
        script.say(AWAY, &frames);
        script.write(5000);
        let said = script.hear(3500);
        let sent: usize = said.iter().filter(|said| said.to == addr(AWAY)).map(|said| said.len).sum();
        assert!(sent <= 3 * len, "{sent} bytes for {len}");
        assert!(sent > 0);
        assert!(said.iter().any(|said| said.to == addr(HOME) && said.has_stream()), "the rest goes home");
    }
}

#[test]
fn an_announced_candidate_without_a_budget_is_still_sought() {
    let mut script = Script::announced();
    // 40 bytes buy 120: two bare challenges, and there are three rounds.
    script.say(AWAY, &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let said = script.hear_at(AWAY, 1000);
    assert!(said.len() >= 3, "{} challenges", said.len());
    assert!(said.iter().all(|said| said.challenge().is_some() && said.len <= 120));
}

#[test]
fn what_a_small_challenge_proved_is_proved_at_length_after_adoption() {
    let mut script = Script::announced();
    script.stage.speak(|now, client| client.migration().seek_now(now)).expect("it was announced");
    let seek = script.hear_at(AWAY, 5).remove(0);
    script.say(AWAY, &response(&seek.challenge().expect("a challenge")));
    let said = script.hear_at(AWAY, 5);
    assert_eq!(script.home(), addr(AWAY));
    let again = said.iter().find(|said| said.challenge().is_some()).expect("it is asked again");
    assert_eq!(again.len, 1200);
    script.say(AWAY, &response(&again.challenge().expect("a challenge")));
    let later = script.hear_at(AWAY, 2000);
    assert!(later.iter().all(|said| said.challenge().is_none()), "once was enough");
}

#[test]
fn a_path_that_carries_no_full_datagram_is_given_up_for_the_former_home() {
    let mut script = Script::announced();
    script.stage.speak(|now, client| client.migration().seek_now(now)).expect("it was announced");
    let seek = script.hear_at(AWAY, 5).remove(0);
    script.say(AWAY, &response(&seek.challenge().expect("a challenge")));
    let said = script.hear_at(AWAY, 3000);
    let large = said.iter().filter(|said| said.challenge().is_some() && said.len == 1200);
    assert_eq!(large.count(), 3);
    assert_eq!(script.home(), addr(HOME));
    assert!(script.told().contains(&MigrationEvent::Returned { address: addr(HOME) }));
}

#[test]
fn an_answer_from_home_proves_nothing_of_a_candidate() {
    let mut script = Script::symmetric();
    script.say_at_length(AWAY, &bare(wire::PING));
    let data = script.hear_at(AWAY, 5)[0].challenge().expect("a challenge");
    script.say(HOME, &response(&data));
    script.hear(5);
    assert_eq!(script.home(), addr(HOME));
    script.say(AWAY, &response(&data));
    script.hear(5);
    assert_eq!(script.home(), addr(AWAY), "it stays answerable");
}

#[test]
fn an_answer_from_another_candidate_proves_who_was_asked() {
    let mut script = Script::new(only(Strategy::Pool), POOL, 3);
    for member in [AWAY, BEYOND] {
        script.say(HOME, &wire::naming(wire::POOL_MIGRATION_ADDRESS, Some(member)));
    }
    script.hear(60);
    script.stage.speak(|now, client| client.migration().seek_now(now)).expect("there is a pool");
    let data = script.hear_at(AWAY, 5)[0].challenge().expect("a challenge");
    script.say(AWAY, &bare(wire::PING));
    script.hear(5);
    assert_eq!(script.home(), addr(HOME));
    script.say(BEYOND, &response(&data));
    script.hear(5);
    assert_eq!(script.home(), addr(AWAY));
}

#[test]
fn a_challenge_under_way_when_a_false_alarm_ends_stays_answerable() {
    let mut script = Script::announced();
    script.write(100);
    let said = script.hear(300);
    let data =
        said.iter().filter(|said| said.to == addr(AWAY)).find_map(Said::challenge).expect("it is sought");
    script.say(HOME, &bare(wire::PING));
    script.hear(5);
    assert_eq!(script.told().last(), Some(&MigrationEvent::Returned { address: addr(HOME) }));
    script.say(AWAY, &response(&data));
    script.hear(5);
    assert_eq!(script.home(), addr(AWAY));
}

#[test]
fn what_was_sent_to_a_candidate_that_home_outspeaks_goes_home_again() {
    let mut script = Script::symmetric();
    script.say_at_length(AWAY, &bare(wire::PING));
    assert!(!script.hear_at(AWAY, 5).iter().any(Said::has_stream));
    script.write(300);
    assert!(script.hear_at(AWAY, 1).iter().any(Said::has_stream), "it leads");
    script.say(HOME, &bare(wire::PING));
    assert!(script.hear_at(HOME, 5).iter().any(Said::has_stream));
    assert_eq!(script.home(), addr(HOME));
}

#[test]
fn a_home_that_was_left_for_a_mere_source_is_asked_and_taken_back_if_it_speaks_and_answers() {
    let mut script = Script::symmetric();
    script.say_at_length(AWAY, &bare(wire::PING));
    let data = script.hear_at(AWAY, 5)[0].challenge().expect("a challenge");
    script.say(AWAY, &response(&data));
    let asked = script.hear_at(HOME, 5);
    assert!(asked.iter().any(|said| said.kinds().contains(&wire::PING)), "{asked:?}");
    script.say_at_length(HOME, &bare(wire::PING));
    let data = script.hear_at(HOME, 5).iter().find_map(Said::challenge).expect("it is challenged");
    script.say(HOME, &response(&data));
    script.hear(5);
    assert_eq!(script.home(), addr(HOME));
    assert_eq!(script.told().last(), Some(&MigrationEvent::Returned { address: addr(HOME) }));
}

#[test]
fn home_is_probed_every_second_at_least_while_its_server_is_sought() {
    let mut script = Script::announced();
    script.write(100);
    script.hear(10_000);
    let to_home = script.hear_at(HOME, 10_000);
    assert!((9..=22).contains(&to_home.len()), "{} in ten seconds", to_home.len());
}

#[test]
fn frames_of_migration_and_the_proof_of_a_candidate_are_acknowledged_at_once() {
    fn is_acknowledged(script: &mut Script, from: &str, frames: &[u8]) -> bool {
        let number = script.stage.forger.next_number(crate::forger::Space::OneRtt);
        script.say(from, frames);
        script.hear(4).iter().any(|said| said.frames.iter().any(|frame| frame.acknowledges(number)))
    }
    let mut explicit = Script::new(only(Strategy::Explicit), EXPLICIT, 3);
    assert!(!is_acknowledged(&mut explicit, HOME, &bare(wire::PING)), "a lone PING may wait");
    explicit.hear(60);
    assert!(is_acknowledged(&mut explicit, HOME, &wire::naming(wire::SERVER_MIGRATION, Some(AWAY))));
    explicit.stage.speak(|now, client| client.migration().seek_now(now)).expect("it was announced");
    let data = explicit.hear_at(AWAY, 4)[0].challenge().expect("a challenge");
    assert!(is_acknowledged(&mut explicit, AWAY, &response(&data)));
    let mut pool = Script::new(only(Strategy::Pool), POOL, 3);
    assert!(is_acknowledged(&mut pool, HOME, &wire::naming(wire::POOL_MIGRATION_ADDRESS, Some(AWAY))));
    let mut symmetric = Script::symmetric();
    assert!(is_acknowledged(&mut symmetric, HOME, &bare(wire::SERVER_MIGRATED)));
}

#[test]
fn before_the_handshake_is_confirmed_nobody_is_a_candidate() {
    let mut script = Script::unconfirmed(only(Strategy::Symmetric), SYMMETRIC);
    script.say_at_length(AWAY, &bare(wire::PING));
    assert_eq!(script.hear_at(AWAY, 500), []);
    script.say(HOME, &bare(wire::HANDSHAKE_DONE));
    script.say_at_length(AWAY, &bare(wire::PING));
    assert!(script.hear_at(AWAY, 5)[0].challenge().is_some());
}

#[test]
fn a_server_that_shows_itself_in_a_narrower_scope_is_reported_and_nothing_is_sent_there() {
    let mut script = Script::symmetric();
    for place in ["10.1.1.1:443", "127.0.0.1:443", "10.1.1.1:443"] {
        script.say_at_length(place, &bare(wire::PING));
        assert!(script.hear_at(place, 300).is_empty());
    }
    let refused = ["10.1.1.1:443", "127.0.0.1:443"].map(|place| {
        let target = MigrationTarget::single(addr(place)).expect("a whole endpoint");
        MigrationEvent::Refused { target }
    });
    assert_eq!(script.told(), refused);
    assert_eq!(script.stage.end(), None);
}
