//! What holds whatever comes.

use proptest::prelude::*;

use super::*;

proptest! {
    /// Nothing completes that did not move, nothing is ready that was not ordered, and time only goes forward.
    #[test]
    fn a_server_completes_only_what_moved(steps in proptest::collection::vec((0u64..3000, 0u8..14, 0u32..4), 1..80)) {
        let mut server = server_with(&[Explicit, Symmetric, SynchronizedSymmetric], &[]);
        let mut now = 0;
        for (wait, what, number) in steps {
            now += wait;
            let had_moved = server.has_moved();
            let input = match what {
                0 => { let _ = prepare(&mut server, now, MoveOrder::Explicit(target(2))); continue }
                1 => { let _ = prepare(&mut server, now, MoveOrder::SynchronizedSymmetric); continue }
                2 => { let _ = prepare(&mut server, now, MoveOrder::Symmetric); continue }
                3 => { let _ = server.cancel(at(now)); continue }
                4 => { let _ = written(&mut server); continue }
                5 => ServerInput::Relocated { announce_at: at(now + u64::from(number)) },
                6 => ServerInput::Acked(Record::ServerMigration { migration: number }),
                7 => ServerInput::Lost(Record::ServerMigration { migration: number }),
                8 => ServerInput::Acked(Record::PathResponse),
                9 => ServerInput::AckedAfterSwitch,
                10 => ServerInput::Arrived { says_more: number > 1 },
                11 => ServerInput::Challenged,
                12 => ServerInput::Announced,
                _ => ServerInput::Due,
            };
            for action in step(&mut server, now, input) {
                match action {
                    Action::Emit(MigrationEvent::Completed { .. }) => prop_assert!(had_moved),
                    Action::Emit(MigrationEvent::Ready { .. }) => prop_assert!(server.is_busy() && !had_moved),
                    Action::Emit(_) | Action::Ask | Action::Prompt | Action::PullBack => {}
                    other => prop_assert!(false, "a server does not {:?}", other),
                }
            }
            step(&mut server, now, ServerInput::Due);
            prop_assert!(server.due(&facts()).is_none_or(|due| due > at(now)));
        }
    }
}
