//! Connection IDs of a client whose server may move: how many it issues, and which it shows where (server-migration
//! rules, 2.10).

use peregrine::{MigrationConfig, MigrationEvent, Strategy};

use crate::forger::params::EXPLICIT;
use crate::forger::wire::{self, words};
use crate::script::{AWAY, HOME, Said, Script, bare, response};
use sim::addr;

fn explicit() -> MigrationConfig {
    MigrationConfig::new(Strategy::Explicit.into())
}

/// How many connection IDs the forger was issued beside the first.
fn issued(script: &Script) -> usize {
    script.stage.forger.ids.keys().filter(|sequence| **sequence > 0).count()
}

#[test]
fn eight_spare_ids_are_issued_or_one_less_than_the_server_keeps() {
    for (kept, spare) in [(2, 1), (4, 3), (8, 7), (9, 8), (100, 8)] {
        assert_eq!(issued(&Script::keeping(kept, explicit(), EXPLICIT)), spare, "{kept} are kept");
    }
}

#[test]
fn without_an_agreement_two_are_enough() {
    assert_eq!(issued(&Script::keeping(100, explicit(), 0)), 2);
}

#[test]
fn an_id_that_the_server_gives_back_is_replaced() {
    let mut script = Script::keeping(8, explicit(), EXPLICIT);
    for sequence in [1, 2, 3] {
        script.say(HOME, &words(&[wire::RETIRE_CONNECTION_ID, sequence]));
    }
    script.hear(60);
    assert_eq!(issued(&script), 10);
}

/// A client whose server has issued so many IDs beside the one in use, told that it goes away.
fn announced(offer: MigrationConfig, issued: u64) -> Script {
    let mut script = Script::new(offer, EXPLICIT, issued);
    script.say(HOME, &wire::naming(wire::SERVER_MIGRATION, Some(AWAY)));
    script.hear(60);
    script
}

fn seek(script: &mut Script) -> Vec<Said> {
    script.stage.speak(|now, client| client.migration().seek_now(now)).expect("it was announced");
    script.hear_at(AWAY, 5)
}

#[test]
fn false_alarms_show_one_id_time_and_again_and_give_none_back() {
    let mut script = announced(explicit(), 3);
    let mut shown = Vec::new();
    for _ in 0..5 {
        script.write(10);
        let said = script.hear(400);
        shown.extend(said.iter().filter(|said| said.to == addr(AWAY)).map(|said| said.dcid.clone()));
        let retired = said.iter().any(|said| said.kinds().contains(&wire::RETIRE_CONNECTION_ID));
        assert!(!retired, "nothing is given back");
        script.acknowledge(HOME);
        script.say(HOME, &bare(wire::PING));
        script.hear(60);
        assert_eq!(script.told().last(), Some(&MigrationEvent::Returned { address: addr(HOME) }));
    }
    shown.dedup();
    assert_eq!(shown, [wire::id(1, 8)]);
}

#[test]
fn the_old_homes_id_is_given_back_when_the_old_home_is_forgotten() {
    let mut script = announced(explicit(), 3);
    let challenge = seek(&mut script)[0].challenge().expect("a challenge");
    script.say_at_length(AWAY, &response(&challenge));
    let again = script.hear_at(AWAY, 5);
    let challenge = again.iter().find_map(Said::challenge).expect("it is asked at length");
    script.say(AWAY, &response(&challenge));
    let said = script.hear(5000);
    let retired: Vec<_> = said
        .iter()
        .flat_map(|said| &said.frames)
        .filter(|frame| frame.kind == wire::RETIRE_CONNECTION_ID)
        .map(|frame| frame.words[0])
        .collect();
    assert!(!retired.is_empty() && retired.iter().all(|sequence| *sequence == 0), "{retired:?}");
    assert!(said.iter().all(|said| said.dcid == wire::id(1, 8)), "the candidate's is home's now");
}

#[test]
fn a_server_that_has_issued_no_id_is_sought_with_the_one_in_use_unless_that_is_forbidden() {
    let mut script = announced(explicit(), 0);
    let home = script.stage.forger.scid.clone();
    assert_eq!(seek(&mut script)[0].dcid, home);
    let mut strict = announced(explicit().strict_ids(), 0);
    assert_eq!(seek(&mut strict), []);
    assert!(strict.hear_at(AWAY, 3000).is_empty());
}

#[test]
fn with_an_id_to_show_a_strict_client_seeks_as_any_other() {
    let mut script = announced(explicit().strict_ids(), 1);
    assert_eq!(seek(&mut script)[0].dcid, wire::id(1, 8));
}
