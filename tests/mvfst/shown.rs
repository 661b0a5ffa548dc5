//! Where each of the 44 scripts is shown of our server: by a test that it never does what closed the client, or does what
//! the client bore. A test that does not exist does not compile.

use std::collections::{BTreeMap, BTreeSet};

use super::{moves, orders, scripts, tolerance};

/// A script, and a test that shows it.
type Shown = (&'static str, fn());

/// What our server never does.
const NEVER: [Shown; 27] = [
    ("c1-migrated", orders::a_client_that_offered_nothing_hears_no_migration_frame),
    ("c1-migration", orders::a_client_that_offered_nothing_hears_no_migration_frame),
    ("c1-pool", orders::a_client_that_offered_nothing_hears_no_migration_frame),
    ("c1-suite0", orders::a_client_with_which_nothing_is_in_common_hears_no_migration_frame),
    ("unsolicited-suite", orders::a_suite_is_answered_only_to_whom_offers_one),
    ("answer-above-15", orders::an_answer_holds_nothing_that_was_not_offered),
    ("answer-not-offered", orders::an_answer_holds_nothing_that_was_not_offered),
    ("no-answer", orders::a_server_that_permits_nothing_says_no_migration_frame),
    ("c2", orders::a_pool_is_told_only_to_whom_agreed_on_it),
    ("c3", orders::a_pool_and_another_strategy_are_not_announced_on_one_connection),
    ("c5-zero", orders::what_is_no_whole_address_is_no_target),
    ("c5-v6only", orders::a_pool_member_is_told_only_to_clients_of_its_family),
    ("c6", orders::explicit_is_not_announced_where_it_was_not_agreed),
    ("c7", orders::after_a_cancelled_synchronized_notice_no_target_is_announced),
    ("c8", orders::a_target_of_another_family_is_refused),
    ("c8-half", orders::what_is_no_whole_address_is_no_target),
    ("c9", orders::the_address_in_use_is_refused_as_a_target),
    ("c10", orders::a_second_target_is_not_announced_before_a_move_completes),
    ("c11", orders::synchronized_is_not_announced_where_it_was_not_agreed),
    ("c12", orders::after_a_cancelled_target_no_synchronized_notice_is_said),
    ("truncated-32", orders::every_migration_frame_is_whole_and_a_cut_one_would_be_noticed),
    ("truncated-34", orders::every_migration_frame_is_whole_and_a_cut_one_would_be_noticed),
    ("c13", orders::a_client_that_cannot_follow_is_closed_at_home_and_hears_nothing_from_elsewhere),
    ("c14", orders::after_a_target_was_announced_nobody_says_server_migrated),
    ("c15-ping-off", orders::a_client_that_cannot_follow_is_closed_at_home_and_hears_nothing_from_elsewhere),
    (
        "c16-ping-explicit",
        orders::a_client_that_cannot_follow_is_closed_at_home_and_hears_nothing_from_elsewhere,
    ),
    (
        "move-syncsym-no-notice",
        orders::a_client_that_agreed_on_synchronized_alone_is_not_moved_without_notice,
    ),
];

/// What our server does, and the client bears.
const DONE: [Shown; 17] = [
    ("duplicate-announcement", moves::a_repeated_announcement_changes_nothing),
    ("duplicate-empty", moves::a_repeated_announcement_changes_nothing),
    ("migrated-from-current", moves::a_move_that_the_client_cannot_see_does_no_harm),
    ("migrated-from-current-explicit", moves::a_server_migrated_from_home_does_no_harm_after_a_target_either),
    ("long-type", tolerance::a_frame_type_of_two_bytes_is_read_as_that_client_reads_it),
    ("both-families", moves::a_client_that_asks_finds_a_server_that_named_its_target),
    ("move-explicit", moves::a_client_that_asks_finds_a_server_that_named_its_target),
    ("move-explicit-both-families", moves::a_client_that_asks_finds_a_server_that_named_its_target),
    (
        "move-explicit-ping-idle",
        moves::an_idle_client_acknowledges_where_its_server_was_and_follows_when_it_asks,
    ),
    ("move-pool", moves::a_client_that_asks_finds_a_server_that_has_a_pool),
    ("move-pool-ping-idle", moves::an_idle_client_acknowledges_where_its_server_was_and_follows_when_it_asks),
    ("move-symmetric", moves::a_client_challenges_at_once_a_server_that_says_it_has_migrated),
    ("move-symmetric-ping", moves::a_lost_server_migrated_is_made_good_and_a_ping_in_its_place_would_do),
    ("move-symmetric-twice-frame", moves::a_second_server_migrated_changes_nothing),
    ("move-syncsym", moves::a_client_challenges_at_once_a_server_that_says_it_has_migrated),
    ("move-syncsym-ping", moves::a_lost_server_migrated_is_made_good_and_a_ping_in_its_place_would_do),
    ("move-symmetric-of-all", moves::a_client_challenges_at_once_a_server_that_says_it_has_migrated),
];

#[test]
fn every_script_is_shown_once_and_as_what_it_is() {
    let recorded = scripts::recorded();
    let closes: BTreeMap<_, _> =
        recorded.iter().map(|script| (&*script.name, script.outcome.close.is_some())).collect();
    assert_eq!((recorded.len(), closes.len()), (44, 44));
    let named = |shown: &[Shown]| shown.iter().map(|(script, _)| *script).collect::<BTreeSet<_>>();
    let of =
        |closing: bool| closes.iter().filter(move |(_, closes)| **closes == closing).map(|(name, _)| *name);
    assert_eq!(named(&NEVER), of(true).collect());
    assert_eq!(named(&DONE), of(false).collect());
}
