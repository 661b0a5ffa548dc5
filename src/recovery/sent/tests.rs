//! The ring by example, and against a map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn packet(number: PacketNumber, in_flight: bool) -> Sent {
    Sent { number, path: PathId(0), len: 100, ack_eliciting: in_flight, in_flight, marked: false }
}

fn ring(numbers: impl IntoIterator<Item = u64>) -> SentPackets {
    let mut ring = SentPackets::new();
    numbers.into_iter().for_each(|n| ring.push(Instant::ZERO, &packet(n, true), &[]));
    ring
}

fn waiting(ring: &SentPackets) -> Vec<u64> {
    let positions = ring.start()..ring.end();
    let states = ring.iter(positions.clone()).map(|entry| entry.state);
    positions.zip(states).filter(|(_, s)| *s == State::Waiting).map(|(at, _)| ring.number_at(at)).collect()
}

fn retire(ring: &mut SentPackets, numbers: RangeInclusive<u64>) -> Vec<Record> {
    let mut told = Vec::new();
    let mut telling = Telling::new(&mut told);
    let run = ring.positions(&numbers);
    let (entries, further) = ring.run(run.clone());
    for (position, entry) in run.zip(entries).filter(|(_, entry)| entry.state == State::Waiting) {
        entry.state = State::Acked;
        further.tell(position, entry, &mut telling);
    }
    telling.finish();
    ring.settle();
    told
}

fn further_len(ring: &SentPackets) -> usize {
    ring.further.records.as_ref().map_or(0, |queue| queue.len())
}

#[test]
fn a_jump_of_many_numbers_costs_one_segment() {
    let mut ring = ring([0, 1, 200_000, 200_001]);
    assert_eq!(ring.len(), 4);
    assert_eq!(waiting(&ring), [0, 1, 200_000, 200_001]);
    retire(&mut ring, 0..=100_000);
    assert_eq!((waiting(&ring), ring.older().len()), (vec![200_000, 200_001], 0));
}

#[test]
fn a_skipped_number_leaves_a_hole() {
    let mut ring = ring([5, 6, 8]);
    assert_eq!((ring.len(), waiting(&ring)), (4, vec![5, 6, 8]));
    retire(&mut ring, 7..=7);
    assert_eq!(waiting(&ring), [5, 6, 8]);
}

#[test]
fn all_records_of_a_packet_come_out_and_the_stream_lies_in_the_entry() {
    let mut ring = SentPackets::new();
    let stream = Record::Stream { id: crate::id::StreamId::from_wire(0), offset: 0, len: 9, fin: false };
    let first = [Record::Ack { largest: 3 }, stream, Record::MaxData { limit: 7 }];
    ring.push(Instant::ZERO, &packet(0, true), &first);
    ring.push(Instant::ZERO, &packet(1, true), &[Record::HandshakeDone, Record::PathResponse]);
    assert_eq!(retire(&mut ring, 1..=1), [Record::PathResponse, Record::HandshakeDone]);
    assert_eq!(retire(&mut ring, 0..=0), [first[0], first[2], stream]);
    assert!(ring.is_empty() && further_len(&ring) == 0);
}

#[test]
fn an_ack_and_another_record_need_no_queue() {
    let mut ring = SentPackets::new();
    let ack = |largest| Record::Ack { largest };
    let said = [[ack(1 << 40), Record::HandshakeDone], [ack((1 << 40) + 9), Record::PathResponse]];
    said.iter().zip(0..).for_each(|(records, n)| ring.push(Instant::ZERO, &packet(n, true), records));
    assert!(ring.further.records.is_none());
    assert_eq!(retire(&mut ring, 0..=1), said.concat());
}

#[test]
fn an_ack_far_from_the_first_in_the_ring_is_remembered_exactly() {
    let acks = [100, 99, 100 + (1 << 32) - 2, 100 + (1 << 32) - 1, (1 << 62) - 1];
    let mut ring = SentPackets::new();
    let records = acks.map(|largest| [Record::Ack { largest }, Record::HandshakeDone]);
    records.iter().zip(0..).for_each(|(records, n)| ring.push(Instant::ZERO, &packet(n, true), records));
    for (records, n) in records.iter().zip(0..) {
        let mut told = retire(&mut ring, n..=n);
        told.sort_by_key(|record| *record == Record::HandshakeDone);
        assert_eq!(told, records);
    }
}

#[test]
fn packets_nobody_acknowledges_do_not_pile_up_behind_one_that_is_withheld() {
    let mut ring = ring([0]);
    for n in 1..100_000 {
        ring.push(Instant::ZERO, &packet(n, false), &[Record::Ack { largest: n }, Record::PathResponse]);
    }
    assert!(ring.len() <= 1 + MAX_QUIET as usize && further_len(&ring) <= ring.len());
    ring.push(Instant::ZERO, &packet(100_000, true), &[]);
    assert!(waiting(&ring).starts_with(&[0]) && waiting(&ring).ends_with(&[100_000]));
    assert!(ring.older().len() <= 2);
}

#[test]
fn a_few_packets_that_are_not_in_flight_are_remembered() {
    let mut ring = ring([0]);
    (1..=60).for_each(|n| ring.push(Instant::ZERO, &packet(n, false), &[Record::Ack { largest: n }]));
    assert_eq!(retire(&mut ring, 60..=60), [Record::Ack { largest: 60 }]);
}

#[test]
fn an_empty_ring_gives_its_memory_back() {
    let mut ring = ring(0..1000);
    retire(&mut ring, 0..=999);
    ring.release();
    assert_eq!(ring.entries.capacity(), 0);
    ring.push(Instant::ZERO, &packet(1000, true), &[]);
    assert_eq!(waiting(&ring), [1000]);
}

#[test]
fn a_steady_flow_needs_no_more_memory_than_its_window() {
    let mut ring = SentPackets::new();
    let memory = |ring: &SentPackets| {
        (ring.entries.capacity(), ring.further.records.as_ref().map(|queue| queue.capacity()))
    };
    let mut before = (0, None);
    for n in 0..100_000 {
        let number = n + n / 50;
        let records = [Record::Ack { largest: n }, Record::MaxData { limit: n }, Record::HandshakeDone];
        ring.push(Instant::ZERO, &packet(number, true), &records[..2 + usize::from(n % 10 == 0)]);
        if n >= 100 {
            retire(&mut ring, 0..=number - 100);
        }
        if n == 1000 {
            before = memory(&ring);
        }
    }
    assert_eq!((memory(&ring), ring.older.is_none()), (before, true));
}

#[derive(Debug, Clone)]
enum Op {
    Send { gap: u64, in_flight: bool, records: u8 },
    Retire { back: u64, len: u64 },
}

fn any_op() -> impl Strategy<Value = Op> {
    let gap = prop_oneof![8 => Just(0u64), 2 => 1u64..12, 1 => Just(1u64 << 17)];
    prop_oneof![
        3 => (gap, prop::bool::weighted(0.8), 0u8..4)
            .prop_map(|(gap, in_flight, records)| Op::Send { gap, in_flight, records }),
        1 => (0u64..40, 0u64..12).prop_map(|(back, len)| Op::Retire { back, len }),
        1 => (0u64..1 << 18, 0u64..1 << 18).prop_map(|(back, len)| Op::Retire { back, len }),
    ]
}

proptest! {
    #[test]
    fn it_behaves_like_a_map_from_numbers_to_records(ops in prop::collection::vec(any_op(), 0..200)) {
        let mut ring = SentPackets::new();
        let mut model = BTreeMap::<u64, Vec<Record>>::new();
        let mut next = 0;
        let mut quiet = 0;
        for op in ops {
            match op {
                Op::Send { gap, in_flight, records } => {
                    // The model does not forget: stay below the bound.
                    quiet = if in_flight { 0 } else { quiet + 1 };
                    let in_flight = in_flight || quiet >= MAX_QUIET;
                    let number = next + gap;
                    next = number + 1;
                    let records: Vec<_> =
                        (0..u64::from(records)).map(|n| Record::MaxData { limit: number * 4 + n }).collect();
                    ring.push(Instant::ZERO, &packet(number, in_flight), &records);
                    model.insert(number, records);
                }
                Op::Retire { back, len } => {
                    let last = next.saturating_sub(back);
                    let numbers = last.saturating_sub(len)..=last;
                    let told: Vec<_> = retire(&mut ring, numbers.clone());
                    let mut expected = Vec::new();
                    let hit: Vec<_> = model.range(numbers).map(|(number, _)| *number).collect();
                    for mut records in hit.iter().filter_map(|number| model.remove(number)) {
                        // The first record lies in the entry and comes last.
                        let first = usize::from(!records.is_empty());
                        records.rotate_left(first);
                        expected.extend(records);
                    }
                    prop_assert_eq!(told, expected);
                }
            }
            prop_assert_eq!(waiting(&ring), model.keys().copied().collect::<Vec<_>>());
            prop_assert_eq!(ring.front_number(), model.keys().next().copied());
            prop_assert!(model.is_empty() == ring.is_empty());
        }
    }
}
