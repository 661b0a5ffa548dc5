use proptest::prelude::*;

use super::*;

const PTO: Duration = Duration::from_millis(100);
const DEADLINE: Duration = Duration::from_secs(30);

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 443))
}

fn home() -> SocketAddr {
    address(1)
}

fn facts() -> Facts {
    Facts {
        home: home(),
        pto: PTO,
        patience: Duration::from_secs(3),
        spare_ids: 8,
        quiet: true,
        receiving: true,
        former: None,
    }
}

fn stray(until: u64) -> Origin {
    Origin::Stray { until: at(until) }
}

/// A search and what it asked for so far.
struct Table {
    seek: Seek,
    named: Vec<SocketAddr>,
    facts: Facts,
}

impl Table {
    fn new(named: &[u8]) -> Self {
        let named = named.iter().map(|last| address(*last)).collect();
        Self { seek: Seek::new(at(0), DEADLINE), named, facts: facts() }
    }

    /// Carries out what is due; the addresses sought.
    fn look(&mut self, now: u64) -> Vec<SocketAddr> {
        self.actions(now).iter().filter_map(|action| sought(*action)).collect()
    }

    fn actions(&mut self, now: u64) -> Actions {
        let mut actions = Actions::new();
        if self.seek.is_round_due(at(now)) {
            self.seek.make_round(at(now), self.named.clone(), &self.facts, &mut actions);
        }
        self.seek.tick(at(now), &self.facts, &mut actions);
        actions
    }

    fn start(&mut self, now: u64, proactive: bool) -> Vec<SocketAddr> {
        self.seek.start(at(now), self.named.clone(), proactive, true);
        self.look(now)
    }

    fn home(&mut self, now: u64, number: PacketNumber) -> bool {
        self.seek.on_home(at(now), home(), number, PTO, &mut Actions::new())
    }

    fn candidate(&mut self, now: u64, last: u8, origin: Origin, number: PacketNumber) -> Actions {
        let mut actions = Actions::new();
        self.seek.on_candidate(at(now), address(last), origin, number, &mut actions);
        self.seek.tick(at(now), &self.facts, &mut actions);
        actions
    }

    /// The times, in milliseconds, at which anything is sought until `end`.
    fn times(&mut self, end: u64) -> Vec<u64> {
        let mut times = Vec::new();
        while let Some(due) = self.seek.due(PTO, false).filter(|due| *due < at(end)) {
            let now = due.as_micros() / 1000;
            times.extend(std::iter::repeat_n(now, self.look(now).len()));
            if self.seek.fail(due, false) {
                break;
            }
        }
        times
    }
}

fn sought(action: Action) -> Option<SocketAddr> {
    match action {
        Action::Seek(address) => Some(address),
        _ => None,
    }
}

#[test]
fn a_search_makes_three_quick_rounds_the_wait_doubling_and_slow_seeks_from_a_pto_of_silence() {
    let mut table = Table::new(&[2]);
    assert_eq!(table.start(100, false), [address(2)]);
    // Of eight IDs one is kept, one left to a server that speaks, and one to its challenge: five seeks a second.
    assert_eq!(table.times(1500), [200, 350, 400, 600, 1100, 1350]);
}

#[test]
fn quick_rounds_are_never_closer_than_twenty_milliseconds() {
    let mut table = Table::new(&[2]);
    table.facts.pto = Duration::from_millis(2);
    table.start(0, false);
    assert!(table.look(19).is_empty());
    assert_eq!(table.look(20), [address(2)]);
    assert!(table.look(59).is_empty());
    assert_eq!(table.look(60), [address(2)]);
}

#[test]
fn a_whole_pool_is_sought_in_one_round_in_the_order_given() {
    let mut table = Table::new(&[4, 2, 3]);
    assert_eq!(table.start(0, false), [address(4), address(2), address(3)]);
    assert_eq!(table.look(100), [address(4), address(2), address(3)]);
}

#[test]
fn slow_seeks_go_round_robin() {
    let mut table = Table::new(&[2, 3, 4]);
    table.start(0, false);
    [100, 300].into_iter().for_each(|now| {
        table.look(now);
    });
    let slow: Vec<_> = [550, 800, 1050, 1300].into_iter().flat_map(|now| table.look(now)).collect();
    assert_eq!(slow.len(), 4);
    assert_eq!(slow[0], slow[3]);
    assert!(slow[0] != slow[1] && slow[1] != slow[2] && slow[2] != slow[0]);
}

#[test]
fn slow_seeks_wait_while_home_is_heard() {
    let mut table = Table::new(&[2]);
    table.start(0, true);
    table.home(90, 5);
    assert_eq!(table.seek.slow_due(PTO), Some(at(250)));
    table.home(200, 6);
    assert_eq!(table.seek.slow_due(PTO), Some(at(300)));
}

#[test]
fn an_address_is_never_challenged_more_often_in_a_second_than_there_are_ids() {
    let mut table = Table::new(&[2]);
    table.facts.spare_ids = 3;
    table.start(0, false);
    let mut times = vec![0];
    times.extend(table.times(5000));
    assert!(times.windows(3).all(|three| three[2] - three[0] >= 1000), "{times:?}");
}

#[test]
fn an_empty_bucket_grants_the_first_round_and_nothing_quick_beyond_it() {
    let mut table = Table::new(&[2]);
    table.seek.quick = Bucket::full(0, at(0));
    assert_eq!(table.start(0, true), [address(2)]);
    table.home(50, 1);
    assert!(table.look(100).is_empty());
}

#[test]
fn the_quick_bucket_is_refilled_while_home_answers_only() {
    let mut table = Table::new(&[2]);
    while table.seek.quick.take() {}
    table.home(100_000, 1);
    assert!(table.seek.quick.take(), "no more than one token for a long silence");
    assert!(!table.seek.quick.take());
}

#[test]
fn a_third_stray_replaces_the_oldest() {
    let mut table = Table::new(&[]);
    table.candidate(0, 2, stray(3000), 10);
    table.candidate(1, 3, stray(3001), 11);
    let actions = table.candidate(2, 4, stray(3002), 12);
    assert!(actions.contains(&Action::Forget(address(2))));
    assert!(!table.seek.has(address(2)) && table.seek.has(address(3)) && table.seek.has(address(4)));
}

#[test]
fn a_stray_is_dropped_when_its_time_is_over_and_a_named_candidate_is_not() {
    let mut table = Table::new(&[2]);
    table.candidate(0, 3, stray(3000), 10);
    table.candidate(0, 2, Origin::Named, 11);
    assert!(table.actions(2999).iter().all(|action| !matches!(action, Action::Forget(_))));
    assert!(table.actions(3000).contains(&Action::Forget(address(3))));
    assert!(table.seek.has(address(2)));
}

#[test]
fn a_stray_that_is_named_afterwards_is_not_dropped_by_time() {
    let mut table = Table::new(&[]);
    table.candidate(0, 2, stray(3000), 10);
    table.candidate(5, 2, Origin::Named, 11);
    table.actions(4000);
    assert!(table.seek.has(address(2)));
}

#[test]
fn strays_pay_from_a_bucket_of_their_own() {
    let mut table = Table::new(&[2]);
    while table.seek.strays.take() {}
    assert!(table.candidate(0, 3, stray(3000), 10).is_empty());
    assert_eq!(table.start(0, false), [address(2)]);
}

#[test]
fn a_candidate_that_speaks_is_challenged_at_once_and_leads() {
    let mut table = Table::new(&[]);
    table.home(0, 9);
    let actions = table.candidate(10, 2, stray(3000), 10);
    assert_eq!(actions[..], [Action::Seek(address(2))]);
    assert_eq!(table.seek.lead(at(10)), Some(address(2)));
}

#[test]
fn a_candidate_with_a_late_packet_does_not_lead() {
    let mut table = Table::new(&[]);
    table.home(0, 9);
    table.candidate(10, 2, Origin::Named, 5);
    assert_eq!(table.seek.lead(at(10)), None);
}

#[test]
fn one_copied_packet_does_not_move_the_data() {
    let mut table = Table::new(&[]);
    table.candidate(0, 2, stray(3000), 10);
    let mut actions = Actions::new();
    table.seek.on_duplicate(at(5), 10, PTO, &mut actions);
    assert_eq!(actions[..], [Action::Recall(address(2))]);
    assert_eq!(table.seek.lead(at(5)), None);
}

#[test]
fn home_does_not_outspeak_a_candidate_with_an_earlier_packet() {
    let mut table = Table::new(&[]);
    table.candidate(0, 2, Origin::Named, 10);
    let mut actions = Actions::new();
    table.seek.on_home(at(5), home(), 9, PTO, &mut actions);
    assert!(actions.is_empty());
    assert_eq!(table.seek.lead(at(5)), Some(address(2)));
}

#[test]
fn an_outspoken_candidate_may_lead_again_a_pto_later_if_it_has_the_last_word() {
    let mut table = Table::new(&[]);
    table.candidate(0, 2, Origin::Named, 10);
    table.home(5, 11);
    table.candidate(10, 2, Origin::Named, 12);
    assert_eq!(table.seek.lead(at(104)), None);
    assert_eq!(table.seek.lead(at(105)), Some(address(2)));
}

#[test]
fn a_duplicate_ends_the_silence_only_if_it_outspeaks() {
    let mut table = Table::new(&[2]);
    table.home(0, 20);
    table.seek.on_duplicate(at(1000), 20, PTO, &mut Actions::new());
    assert_eq!(table.seek.deadline(), at(30_000));
    table.candidate(1000, 2, Origin::Named, 21);
    table.seek.on_duplicate(at(2000), 21, PTO, &mut Actions::new());
    assert_eq!(table.seek.deadline(), at(32_000));
}

#[test]
fn a_packet_from_home_ends_a_search_that_nobody_answers() {
    let mut table = Table::new(&[2]);
    table.start(0, false);
    assert!(table.home(10, 1));
    assert!(!table.seek.is_running());
}

#[test]
fn a_proactive_search_does_not_end_before_its_quick_rounds_are_over() {
    let mut table = Table::new(&[2]);
    table.start(0, true);
    assert!(!table.home(10, 1));
    table.look(100);
    assert!(!table.home(200, 2));
    table.look(300);
    assert!(table.home(301, 3));
}

#[test]
fn a_search_goes_on_while_a_candidate_contradicts_home() {
    let mut table = Table::new(&[2]);
    table.start(0, false);
    table.candidate(5, 2, Origin::Named, 10);
    assert!(!table.home(10, 9));
    assert!(table.home(20, 11));
}

#[test]
fn a_candidate_that_has_spoken_is_challenged_until_its_rounds_are_over_though_the_search_ended() {
    let mut table = Table::new(&[2]);
    table.start(0, false);
    table.candidate(0, 2, Origin::Named, 10);
    assert!(table.home(10, 11));
    assert_eq!(table.look(100), [address(2)]);
    assert_eq!(table.look(300), [address(2)]);
    assert_eq!(table.seek.due(PTO, false), None);
}

#[test]
fn silence_until_the_deadline_fails_the_search_and_only_a_sign_of_life_begins_another() {
    let mut table = Table::new(&[2]);
    table.start(100, false);
    assert!(!table.seek.fail(at(29_999), false));
    assert!(table.seek.fail(at(30_000), false));
    assert_eq!(table.start(30_001, false), []);
    assert_eq!(table.seek.due(PTO, true), None);
    table.home(40_000, 1);
    assert_eq!(table.start(40_001, false), [address(2)]);
}

#[test]
fn after_a_failure_a_candidates_packet_begins_a_clock_of_its_own() {
    let mut table = Table::new(&[2]);
    table.start(100, false);
    assert!(table.seek.fail(at(30_000), false));
    table.candidate(50_000, 2, Origin::Named, 7);
    table.start(50_000, false);
    assert!(table.seek.is_running() && !table.seek.fail(at(79_999), false));
    assert!(table.seek.fail(at(80_000), false));
}

#[test]
fn an_announced_move_fails_in_silence_though_there_is_nowhere_to_look() {
    let mut table = Table::new(&[]);
    assert_eq!(table.seek.due(PTO, true), Some(at(30_000)));
    assert!(!table.seek.fail(at(30_000), false));
    assert!(table.seek.fail(at(30_000), true));
}

#[test]
fn who_listened_to_nobody_has_the_whole_deadline_for_a_search() {
    let mut table = Table::new(&[2]);
    table.seek.start(at(600_000), [address(2)], false, false);
    assert!(!table.seek.fail(at(629_999), false));
    assert!(table.seek.fail(at(630_000), false));
}

#[test]
fn adoption_forgets_the_others_and_fills_the_bucket() {
    let mut table = Table::new(&[2, 3]);
    table.start(0, false);
    while table.seek.quick.take() {}
    let mut actions = Actions::new();
    table.seek.adopt(at(50), address(2), &mut actions);
    assert_eq!(actions[..], [Action::Forget(address(3))]);
    assert!(!table.seek.is_running() && !table.seek.has(address(2)));
    assert!(table.seek.quick.take());
}

proptest! {
    /// Whatever arrives, one step asks an address once, and what was due is due no more.
    #[test]
    fn no_step_asks_twice_and_no_time_comes_twice(
        steps in proptest::collection::vec((0u64..2000, 0u8..5, 2u8..7, 0u64..50), 1..80),
    ) {
        let mut table = Table::new(&[2, 3]);
        let mut now = 1000;
        for (wait, what, last, number) in steps {
            now += wait;
            let actions = match what {
                0 => { table.home(now, number); Actions::new() }
                1 => table.candidate(now, last, Origin::Named, number),
                2 => table.candidate(now, last, stray(now + 3000), number),
                3 => { table.seek.start(at(now), table.named.clone(), number > 25, true); Actions::new() }
                _ => { table.seek.fail(at(now), number > 25); table.actions(now) }
            };
            let mut asked: Vec<_> = actions.iter().filter_map(|action| sought(*action)).collect();
            let count = asked.len();
            asked.sort();
            asked.dedup();
            prop_assert_eq!(asked.len(), count);
            table.seek.fail(at(now), false);
            table.actions(now);
            prop_assert!(table.seek.due(PTO, false).is_none_or(|due| due > at(now)));
            prop_assert!(table.seek.candidates.iter().filter(|c| c.is_stray()).count() <= MAX_STRAYS);
        }
    }

    /// A second of hostile first words costs at most the bucket, and the allotment of each address.
    #[test]
    fn strays_never_cost_more_than_their_bucket(sources in proptest::collection::vec(2u8..250, 1..300)) {
        let mut table = Table::new(&[]);
        let mut asked = 0;
        for (number, last) in (1u64..).zip(sources) {
            let now = 1000 + number * 3;
            asked += table.candidate(now, last, stray(now + 3000), number).iter().filter_map(|a| sought(*a)).count();
        }
        prop_assert!(asked <= 17);
    }
}
