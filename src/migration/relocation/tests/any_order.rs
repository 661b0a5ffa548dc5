//! What holds in whatever order things happen: each account is given once and adds up, and nothing hangs.

use proptest::prelude::*;

use super::*;

const HANDLES: [ConnectionHandle; 4] = [A, B, C, D];

fn any_handles() -> impl Strategy<Value = Vec<ConnectionHandle>> {
    proptest::sample::subsequence(HANDLES.to_vec(), 0..=4)
}

fn any_report() -> impl Strategy<Value = Report> {
    proptest::sample::select(vec![Report::Ready, Report::Failed, Report::Closed, Report::Done])
}

fn any_input() -> impl Strategy<Value = Input> {
    let any_plan = (any_handles(), any_handles(), any::<bool>(), proptest::option::of(0..5u64)).prop_map(
        |(orders, leaving, keep_unfit, deadline)| {
            let deadline = deadline.map(Duration::from_secs);
            plan(&orders, &leaving, Terms { deadline, keep_unfit, ..Terms::default() })
        },
    );
    prop_oneof![
        2 => any_plan,
        1 => Just(Input::Cancel),
        2 => (any_handles(), any_handles()).prop_map(|(moving, left)| relocated(&moving, &left)),
        8 => (proptest::sample::select(HANDLES.to_vec()), any_report())
            .prop_map(|(handle, report)| Input::Connection(handle, report)),
        2 => Just(Input::Deadline),
    ]
}

/// What an observer of inputs and actions knows.
#[derive(Default)]
struct Observer {
    /// Connections that a pending plan orders or closes; none once its readiness was reported.
    planned: Option<BTreeSet<ConnectionHandle>>,
    closed: BTreeSet<ConnectionHandle>,
    /// Connections of a move that is not settled: those that move, and those left.
    moving: Option<(BTreeSet<ConnectionHandle>, BTreeSet<ConnectionHandle>)>,
}

impl Observer {
    fn asked(&mut self, input: &Input) {
        match input {
            Input::Plan(CheckedPlan { orders, leaving, .. }) => {
                self.planned = Some(orders.keys().chain(leaving).copied().collect());
                self.closed.clear();
            }
            Input::Relocated { participants, bystanders } => {
                self.planned = None;
                let (moving, left) = self.moving.get_or_insert_default();
                moving.extend(participants);
                left.extend(bystanders);
            }
            Input::Cancel => self.planned = None,
            Input::Connection(..) | Input::Deadline => {}
        }
    }

    fn answered(&mut self, action: Action) {
        match action {
            Action::Close(handle) => {
                assert!(self.planned.as_ref().unwrap().contains(&handle), "{handle:?} is none of the plan's");
                assert!(self.closed.insert(handle), "{handle:?} closed twice");
            }
            Action::Prepare(handle, _) => assert!(!self.closed.contains(&handle)),
            Action::Resume(handle) => assert!(!self.closed.contains(&handle)),
            Action::Emit(RelocationEvent::Ready { prepared, closed }) => {
                let planned = self.planned.take().expect("readiness comes once for a plan");
                assert!(prepared + closed <= planned.len() && closed >= self.closed.len());
            }
            Action::Emit(RelocationEvent::Settled { moved, lost }) => {
                let (moving, left) = self.moving.take().expect("a move is settled once");
                let all = moving.union(&left).count();
                assert!(moving.len() <= moved + lost && moved + lost <= all);
                assert!(moved <= moving.len());
            }
        }
    }
}

proptest! {
    /// Each plan is ready at most once, each move is settled exactly once, and the counts add up.
    #[test]
    fn every_account_is_given_once_and_adds_up(
        inputs in proptest::collection::vec((0..3000u64, any_input()), 0..60),
    ) {
        let mut relocation = Relocation::default();
        let mut observer = Observer::default();
        let mut now = at(0);
        for (pause, input) in inputs {
            now += Duration::from_millis(pause);
            let before = relocation.clone();
            let Ok(actions) = relocation.step(now, input.clone()) else {
                prop_assert_eq!(&relocation, &before);
                continue;
            };
            let mut actions: Vec<_> = actions.into_iter().collect();
            // A plan closes the account of the move before it.
            if matches!(input, Input::Plan(_)) && matches!(before.phase, Phase::Settling(_)) {
                observer.answered(actions.remove(0));
            }
            observer.asked(&input);
            for action in actions {
                observer.answered(action);
            }
            // The phase and what was said about it agree.
            prop_assert_eq!(observer.moving.is_some(), matches!(relocation.phase, Phase::Settling(_)));
            prop_assert_eq!(observer.planned.is_some(), matches!(relocation.phase, Phase::Preparing(_)));
        }
    }

    /// One report of each connection ends the preparation, whatever it is; a final one ends the settling.
    #[test]
    fn nothing_hangs_once_every_connection_has_reported(
        inputs in proptest::collection::vec(any_input(), 0..40),
        reports in proptest::collection::vec(any_report(), 4),
    ) {
        let mut relocation = Relocation::default();
        for input in inputs {
            let _ = relocation.step(at(0), input);
        }
        let was_settling = matches!(relocation.phase, Phase::Settling(_));
        for (handle, last) in HANDLES.into_iter().zip(reports) {
            let last = if was_settling && last == Report::Ready { Report::Done } else { last };
            report(&mut relocation, handle, last);
        }
        prop_assert!(matches!(relocation.phase, Phase::Steady | Phase::Ready(_)));
    }

    /// With every connection accounted for by its first report, prepared and closed are all there are.
    #[test]
    fn without_kept_or_departed_connections_prepared_and_closed_are_all_there_are(
        orders in any_handles(), leaving in any_handles(),
        reports in proptest::collection::vec(proptest::bool::ANY, 4),
    ) {
        let mut relocation = Relocation::default();
        let mut actions = step(&mut relocation, at(0), plan(&orders, &leaving, Terms::default()));
        for (handle, fits) in HANDLES.into_iter().zip(reports) {
            let answer = if fits { Report::Ready } else { Report::Failed };
            actions.extend(report(&mut relocation, handle, answer));
        }
        let all: BTreeSet<_> = orders.iter().chain(&leaving).collect();
        let Some(Action::Emit(RelocationEvent::Ready { prepared, closed })) = actions.pop() else {
            return Err(TestCaseError::fail("not ready"));
        };
        prop_assert_eq!(prepared + closed, all.len());
        prop_assert_eq!(closed, actions.iter().filter(|action| matches!(action, Action::Close(_))).count());
    }
}
