//! Random traffic against a naive model of the pseudocode.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What the pseudocode of Appendix A keeps, one map from numbers to packets, without its speed.
#[derive(Default)]
struct Model {
    waiting: BTreeMap<u64, (Instant, bool)>,
    /// Every number that was really sent, to count over skipped ones.
    sent: Vec<u64>,
    largest: Option<u64>,
}

impl Model {
    fn acked(&mut self, ranges: &[RangeInclusive<u64>]) -> Vec<u64> {
        let hit = |number: &u64| ranges.iter().any(|range| range.contains(number));
        let acked: Vec<u64> = self.waiting.keys().copied().filter(hit).collect();
        for number in &acked {
            let (_, in_flight) = self.waiting.remove(number).expect("it was listed");
            if in_flight {
                self.largest = self.largest.max(Some(*number));
            }
        }
        acked
    }

    fn lost(&mut self, now: Instant, delay: Duration) -> Vec<u64> {
        let Some(largest) = self.largest else { return vec![] };
        let place = |number: u64| self.sent.binary_search(&number).expect("it was sent");
        let is_lost = |(number, (time, in_flight)): (&u64, &(Instant, bool))| {
            let late = place(largest) >= place(*number) + 3 || *time + delay <= now;
            (*number < largest && *in_flight && late).then_some(*number)
        };
        let lost: Vec<u64> = self.waiting.iter().filter_map(is_lost).collect();
        self.waiting.retain(|number, _| !lost.contains(number));
        lost
    }
}

#[derive(Debug, Clone)]
enum Op {
    Send { after: u64, in_flight: bool },
    Skip(u64),
    Ack { after: u64, back: u64, lens: Vec<(u64, u64)> },
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0u64..20, prop::bool::weighted(0.8))
            .prop_map(|(after, in_flight)| Op::Send { after, in_flight }),
        1 => prop_oneof![Just(1u64), Just(9), Just(1 << 17)].prop_map(Op::Skip),
        2 => (0u64..50, 0u64..6, prop::collection::vec((0u64..4, 0u64..4), 1..8))
            .prop_map(|(after, back, lens)| Op::Ack { after, back, lens }),
    ]
}

proptest! {
    #[test]
    fn it_agrees_with_the_pseudocode(ops in prop::collection::vec(any_op(), 0..150)) {
        let (mut bench, mut model) = (bench(), Model::default());
        let mut now = at(0);
        for op in ops {
            match op {
                Op::Send { after, in_flight } => {
                    now += ms(after);
                    let number = bench.recovery.next_number(SpaceId::Data);
                    let sent = Sent { number, path: HOME, len: 1000, ack_eliciting: in_flight, in_flight, marked: false };
                    bench.recovery.on_sent(now, SpaceId::Data, sent, &[record(number)]);
                    model.waiting.insert(number, (now, in_flight));
                    model.sent.push(number);
                }
                Op::Skip(count) => bench.recovery.skip(SpaceId::Data, count),
                Op::Ack { after, back, lens } => {
                    now += ms(after);
                    // Ranges over packets that were sent, from the newest down.
                    let mut newest_first = model.sent.iter().rev().copied().skip(back as usize);
                    let mut ranges = Vec::new();
                    for (gap, len) in lens {
                        let run = newest_first.by_ref().skip(gap as usize).take(1 + len as usize);
                        ranges.extend(run.map(|n| n..=n));
                    }
                    if ranges.is_empty() {
                        continue;
                    }
                    bench.ack(now, &ranges).expect("all were sent");
                    let expected = model.acked(&ranges);
                    let mut told = bench.acked();
                    told.sort_unstable();
                    // Packets that are only ACKs are forgotten once later ones arrived.
                    let is_old = |n: &u64| model.largest.is_some_and(|largest| *n < largest);
                    prop_assert!(told.iter().all(|n| expected.contains(n)));
                    prop_assert!(expected.iter().all(|n| told.contains(n) || is_old(n)));
                    if bench.fates.newly_acked_largest.is_some() {
                        let latest = bench.fates.rtt_sample.map_or(ms(80), |(_, sample)| sample.max(ms(80)));
                        prop_assert_eq!(bench.lost(), model.lost(now, latest + latest / 8));
                    }
                    let in_flight = model.waiting.values().any(|(_, in_flight)| *in_flight);
                    prop_assert_eq!(bench.recovery.has_ack_eliciting_in_flight(SpaceId::Data), in_flight);
                }
            }
        }
    }
}
