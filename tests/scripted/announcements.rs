//! What a server says that has moved, and when it stops (server-migration rules, 2.10 and 3.1 to 3.4).

use peregrine::{MigrationConfig, MigrationEvent, MigrationTarget, MoveOrder, Strategy, StrategySet};

use crate::forger::params::POOL;
use crate::forger::wire;
use crate::script::{AWAY, HOME, Said, Script, bare};
use sim::{addr, ms};

/// Explicit, Symmetric and Synchronized Symmetric.
const SUITE: u64 = 13;
/// Where the client may be as well.
const ROAMING: &str = "45.0.0.80:4000";

fn server() -> Script {
    Script::before_server(MigrationConfig::new(StrategySet::ALL), SUITE, 8)
}

fn explicit() -> MoveOrder {
    MoveOrder::Explicit(MigrationTarget::single(addr(AWAY)).expect("a whole endpoint"))
}

fn says(said: &Said, kind: u64) -> bool {
    said.kinds().contains(&kind)
}

fn completed(script: &Script) -> bool {
    script.told().iter().any(|event| matches!(event, MigrationEvent::Completed { .. }))
}

#[test]
fn a_server_says_that_it_has_moved_in_full_datagrams_again_and_again_until_it_is_heard() {
    for order in [MoveOrder::Symmetric, MoveOrder::SynchronizedSymmetric, explicit()] {
        let mut script = server();
        script.relocate(Some(order));
        let moved = script.stage.world.now();
        let said = script.hear(6000);
        assert!(said.iter().all(|said| said.from == addr(AWAY) && said.len == 1200));
        assert!(said.iter().all(|said| said.frames.iter().any(|frame| frame.elicits())));
        let by_frame = said.iter().filter(|said| says(said, wire::SERVER_MIGRATED)).count();
        assert_eq!(by_frame, if order == explicit() { 0 } else { said.len() });
        assert_eq!(said[0].at, moved, "at once");
        let gaps: Vec<_> = said.windows(2).map(|two| two[1].at.since(two[0].at)).collect();
        assert!(gaps.is_sorted() && gaps.last() == Some(&ms(1000)), "{gaps:?}");
        script.acknowledge(HOME);
        script.hear(5);
        assert_eq!(script.hear(3000), [], "it was heard");
    }
}

#[test]
fn a_lost_announcement_is_not_said_again_once_another_was_acknowledged() {
    let mut script = server();
    script.relocate(Some(MoveOrder::Symmetric));
    let said = script.hear(2000);
    assert!(said.len() >= 3);
    let last = *script.stage.forger.numbers.last().expect("it was heard");
    script.say(HOME, &wire::ack(&[(last, last)]));
    script.write(100);
    let later = script.hear(3000);
    assert!(
        later.iter().any(Said::has_stream) && !later.iter().any(|said| says(said, wire::SERVER_MIGRATED))
    );
}

#[test]
fn two_datagrams_of_data_go_with_each_announcement_until_it_is_heard_and_their_loss_costs_no_window() {
    let mut script = server();
    script.relocate(Some(MoveOrder::Symmetric));
    script.write(50_000);
    let said = script.hear(1160);
    let groups: Vec<_> = said.chunk_by(|one, next| one.at == next.at).collect();
    assert_eq!(groups.iter().map(|group| group.len()).collect::<Vec<_>>(), [3, 3, 3]);
    assert!(groups.iter().all(|group| says(&group[0], wire::SERVER_MIGRATED)));
    assert!(said.iter().filter(|said| said.has_stream()).count() >= 6);
    let last = *script.stage.forger.numbers.last().expect("it was heard");
    script.say(HOME, &wire::ack(&[(last, last)]));
    assert!(script.hear(40).iter().filter(|said| said.has_stream()).count() >= 8, "a whole window follows");
    let path = script.stage.connection().expect("it is open").path();
    assert!(path.window >= 12_000 && path.slow_start_threshold.is_none(), "{path:?}");
}

#[test]
fn window_round_trip_and_datagram_size_begin_afresh_however_bad_the_old_path_was() {
    let mut script = server();
    script.spoil();
    script.relocate(None);
    let moved = script.stage.world.now();
    let path = script.stage.connection().expect("it is open").path();
    assert_eq!((path.window, path.slow_start_threshold, path.pto_count), (12_000, None, 0));
    assert_eq!((path.datagram_size, path.carries_ecn), (1200, false));
    // The old round trip is good for the first repetition alone.
    let said = script.hear(1500);
    let said: Vec<_> =
        said.iter().filter(|said| says(said, wire::SERVER_MIGRATED)).map(|said| said.at).collect();
    assert_eq!(said[0], moved);
    let waits: Vec<_> = said.windows(2).map(|two| two[1].since(two[0])).collect();
    assert!(waits[0] < ms(300) && waits[1] == ms(1000), "{waits:?}");
}

#[test]
fn numbers_are_skipped_and_another_id_is_shown_at_the_new_address_and_kept() {
    let mut script = server();
    let before = script.hear(0);
    assert_eq!(before, []);
    let last = *script.stage.forger.numbers.last().expect("it was heard");
    script.relocate(None);
    let said = script.hear(10);
    let first = *script.stage.forger.numbers.iter().find(|number| **number > last).expect("it was heard");
    assert!(((1 << 16)..(1 << 17) + 10).contains(&(first - last)), "{last} and then {first}");
    assert_eq!(said[0].dcid, wire::id(1, 8));
    let retires = said[0].frames.iter().find(|frame| frame.kind == wire::RETIRE_CONNECTION_ID);
    assert_eq!(retires.map(|frame| frame.words[0]), Some(0));
    for data in 0..3 {
        script.say(HOME, &wire::path(wire::PATH_CHALLENGE, data));
        assert!(script.hear(5).iter().all(|said| said.dcid == wire::id(1, 8)));
    }
}

#[test]
fn a_challenge_is_answered_before_anything_else_where_it_came_from() {
    let mut script = server();
    script.relocate(Some(explicit()));
    script.write(3000);
    script.hear(5);
    script.say(HOME, &wire::path(wire::PATH_CHALLENGE, 7));
    let said = script.hear(5);
    assert_eq!(said[0].kinds()[0], wire::PATH_RESPONSE);
    assert_eq!(said[0].to, addr(HOME));
}

#[test]
fn the_answer_to_a_challenge_of_before_the_move_ends_no_move_and_one_of_after_it_does() {
    let mut script = server();
    script.say(HOME, &wire::path(wire::PATH_CHALLENGE, 7));
    assert!(script.hear(5).iter().any(|said| says(said, wire::PATH_RESPONSE)));
    let answered = *script.stage.forger.numbers.last().expect("it was heard");
    script.relocate(None);
    script.say(HOME, &wire::ack(&[(answered, answered)]));
    script.hear(5);
    assert!(!completed(&script));
    script.say(HOME, &wire::path(wire::PATH_CHALLENGE, 8));
    assert!(script.hear(5).iter().any(|said| says(said, wire::PATH_RESPONSE)));
    script.acknowledge(HOME);
    script.hear(5);
    assert!(completed(&script));
}

#[test]
fn a_client_at_an_unproved_address_is_told_within_three_times_what_came_from_it() {
    let mut script = server();
    // 500 bytes buy 1500: a challenge of 1200, and not quite as much for the announcement as it would like.
    script.say(ROAMING, &[&bare(wire::PING)[..], &[0; 470]].concat());
    let challenge = script.hear(5).remove(0);
    assert_eq!((challenge.to, challenge.len), (addr(ROAMING), 1200));
    script.relocate(None);
    let said = script.hear(3000);
    assert!(said.iter().any(|said| says(said, wire::SERVER_MIGRATED)));
    assert!(said.iter().all(|said| said.to == addr(ROAMING)));
    let there: usize = said.iter().map(|said| said.len).sum();
    assert!(there <= 300, "{there} bytes");
}

#[test]
fn as_many_ids_are_issued_as_the_pool_has_members_and_two_more_before_the_pool_is_told() {
    let members = ["45.0.0.67:4433", "45.0.0.68:4433", "45.0.0.69:4433"];
    for (kept, issued) in [(8, 5), (100, 5), (4, 3)] {
        let pool = members.map(|to| MigrationTarget::single(addr(to)).expect("a whole endpoint")).to_vec();
        let permits = MigrationConfig::new(Strategy::Pool.into()).pool(pool);
        let script = Script::before_server(permits, POOL, kept);
        let kinds: Vec<_> = script.stage.forger.heard.iter().map(|(_, frame)| frame.kind).collect();
        let first = |kind| kinds.iter().position(|heard| *heard == kind);
        assert_eq!(kinds.iter().filter(|kind| **kind == wire::POOL_MIGRATION_ADDRESS).count(), 3);
        assert_eq!(kinds.iter().filter(|kind| **kind == wire::NEW_CONNECTION_ID).count(), issued, "{kept}");
        assert!(first(wire::NEW_CONNECTION_ID) < first(wire::POOL_MIGRATION_ADDRESS));
    }
}
