//! What holds whatever comes.

use proptest::prelude::*;

use super::*;

fn any_input() -> impl proptest::strategy::Strategy<Value = ClientInput> {
    use proptest::strategy::Strategy as _;

    let last = 1u8..7;
    let number = 0u64..60;
    prop_oneof![
        (number.clone(), last.clone(), last.clone()).prop_map(|(number, from, to)| ClientInput::Frame {
            number,
            from: address(from),
            frame: Heard::Migration(ServerMigration::MoveTo(target(to))),
        }),
        (number.clone(), last.clone()).prop_map(|(number, from)| ClientInput::Frame {
            number,
            from: address(from),
            frame: Heard::Migrated,
        }),
        (number.clone(), last.clone()).prop_map(|(number, to)| ClientInput::Frame {
            number,
            from: address(1),
            frame: Heard::Pool(Some(target(to))),
        }),
        (last.clone(), number.clone(), any::<bool>()).prop_map(|(from, number, says_more)| {
            ClientInput::Arrived { from: address(from), number, says_more }
        }),
        number.clone().prop_map(|number| ClientInput::Duplicate { number }),
        (last, any::<bool>(), number).prop_map(|(last, padded, number)| ClientInput::Proved {
            address: address(last),
            padded,
            number,
        }),
        Just(ClientInput::AckSent),
        Just(ClientInput::LossTimeout),
        Just(ClientInput::Reset),
        Just(ClientInput::SeekNow),
        Just(ClientInput::Due),
    ]
}

proptest! {
    /// There is one home, nothing but a proof changes it for a candidate, and time only goes forward.
    #[test]
    fn nobody_is_adopted_without_proof(
        explicit: bool,
        inputs in proptest::collection::vec((0u64..2000, any_input()), 1..80),
    ) {
        let strategies = if explicit { [Explicit, Symmetric] } else { [Pool, Symmetric] };
        let mut table = client(&strategies, SeekPolicy::Proactive);
        table.facts.quiet = true;
        let mut now = 0;
        for (wait, input) in inputs {
            now += wait;
            let before = table.facts.home;
            let Ok(actions) = table.client.step(at(now), input, &table.facts) else { return Ok(()) };
            let proved = match input {
                ClientInput::Proved { address, .. } => Some(address),
                _ => None,
            };
            let mut sought = Vec::new();
            for action in &actions {
                match *action {
                    Action::Seek(address) => {
                        prop_assert!(address != before && !sought.contains(&address));
                        sought.push(address);
                    }
                    Action::Adopt(address) => {
                        prop_assert_eq!(Some(address), proved);
                        prop_assert_eq!(table.facts.home, before, "one adoption in a step");
                        table.facts.former = Some(std::mem::replace(&mut table.facts.home, address));
                    }
                    Action::Emit(MigrationEvent::Completed { address, .. }) => prop_assert_eq!(address, proved),
                    Action::GoBack => {
                        table.facts.home = table.facts.former.take().expect("there is a former home");
                    }
                    Action::EndByReset => return Ok(()),
                    _ => {}
                }
            }
            table.client.step(at(now), ClientInput::Due, &table.facts).expect("time is no fault");
        }
    }

    /// Whoever waits for the deadline and calls is not told the same deadline again.
    #[test]
    fn what_was_due_is_due_no_more(inputs in proptest::collection::vec((0u64..2000, any_input()), 1..60)) {
        let mut table = client(&[Explicit, Symmetric], SeekPolicy::Reactive);
        table.facts.quiet = true;
        let mut now = 0;
        for (wait, input) in inputs {
            now += wait;
            if table.client.step(at(now), input, &table.facts).is_err() {
                return Ok(());
            }
            for _ in 0..20 {
                let Some(due) = table.client.due(&table.facts) else { break };
                let due = due.max(at(now));
                let Ok(actions) = table.client.step(due, ClientInput::Due, &table.facts) else { break };
                if actions.contains(&Action::EndByReset) {
                    return Ok(());
                }
                prop_assert!(table.client.due(&table.facts).is_none_or(|next| next > due));
                now = due.as_micros().div_ceil(1000);
            }
        }
    }
}
