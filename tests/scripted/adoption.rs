//! What begins afresh when a client takes another place for its server's, and what is kept of the old one
//! (server-migration rules, 2.5 and 2.10).

use peregrine::DropReason;

use crate::forger::{Space, wire};
use crate::script::{AWAY, BEYOND, HOME, Said, Script, bare, response};
use sim::{addr, ms};

/// The server speaks from there and answers the challenge that this brings; what the client sends at once thereafter.
fn move_to(script: &mut Script, place: &str) -> Vec<Said> {
    script.say_at_length(place, &bare(wire::PING));
    let data = script.hear_at(place, 5).iter().find_map(Said::challenge).expect("it is challenged");
    script.say(place, &response(&data));
    let said = script.hear(5);
    assert_eq!(script.home(), addr(place));
    said
}

fn gate(script: &Script) -> u64 {
    script.stage.connection().expect("it is open").stats().dropped(DropReason::Gate)
}

/// Whether a PING from there is acknowledged in time.
fn hears(script: &mut Script, place: &str) -> bool {
    let number = script.stage.forger.next_number(Space::OneRtt);
    script.say(place, &bare(wire::PING));
    script.hear(60).iter().any(|said| said.frames.iter().any(|frame| frame.acknowledges(number)))
}

#[test]
fn window_round_trip_and_datagram_size_begin_afresh_however_bad_the_old_path_was() {
    let mut script = Script::announced();
    script.spoil();
    move_to(&mut script, AWAY);
    let path = script.stage.connection().expect("it is open").path();
    assert_eq!((path.window, path.slow_start_threshold, path.pto_count), (12_000, None, 0));
    assert_eq!(path.datagram_size, 1200);
    assert_eq!(path.rtt, ms(5), "the challenge was answered then");
    assert!(!path.carries_ecn);
}

#[test]
fn what_was_on_its_way_to_the_old_home_is_sent_again_at_once_without_shrinking_the_window() {
    let mut script = Script::announced();
    script.write(3000);
    assert!(script.hear_at(HOME, 1).iter().any(Said::has_stream));
    let said = move_to(&mut script, AWAY);
    let again: usize =
        said.iter().filter(|said| said.to == addr(AWAY) && said.has_stream()).map(|s| s.len).sum();
    assert!(again >= 3000, "{again} bytes");
    assert!(said.iter().all(|said| said.to != addr(HOME)));
    assert_eq!(script.stage.connection().expect("it is open").path().window, 12_000);
}

#[test]
fn a_late_acknowledgement_of_the_old_path_neither_measures_the_new_one_nor_opens_its_window() {
    let mut script = Script::announced();
    script.write(3000);
    script.hear(1);
    let sent: Vec<_> = script.stage.forger.numbers.clone();
    move_to(&mut script, AWAY);
    let before = script.stage.connection().expect("it is open").path();
    let (first, last) = (sent[0], sent[sent.len() - 1]);
    script.hear(500);
    script.say(HOME, &wire::ack(&[(first, last)]));
    script.hear(3);
    let after = script.stage.connection().expect("it is open").path();
    assert_eq!((after.window, after.rtt), (before.window, before.rtt));
}

#[test]
fn packets_from_the_former_home_are_heard_for_three_timeouts_and_move_nothing() {
    let mut script = Script::announced();
    move_to(&mut script, AWAY);
    assert!(hears(&mut script, HOME));
    assert_eq!(script.home(), addr(AWAY));
    script.acknowledge(AWAY);
    script.hear(3000);
    let before = gate(&script);
    assert!(!hears(&mut script, HOME), "its time is over");
    assert_eq!((script.home(), gate(&script)), (addr(AWAY), before + 1));
}

#[test]
fn the_id_of_a_candidate_that_was_not_the_one_is_given_back_at_adoption() {
    let mut script = Script::symmetric();
    script.say_at_length(BEYOND, &bare(wire::PING));
    assert_eq!(script.hear_at(BEYOND, 5)[0].dcid, wire::id(1, 8));
    let said = move_to(&mut script, AWAY);
    assert!(said.iter().filter(|said| said.to == addr(AWAY)).all(|said| said.dcid == wire::id(2, 8)));
    let retired = said.iter().flat_map(|said| &said.frames);
    let retired: Vec<_> = retired
        .filter(|frame| frame.kind == wire::RETIRE_CONNECTION_ID)
        .map(|frame| frame.words[0])
        .collect();
    assert_eq!(retired, [1]);
}
