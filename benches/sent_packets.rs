//! The ring of sent packets: trains go out, one ACK a train comes back, whole or with holes.

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use peregrine::internals::{
    AckOut, Encode, Fates, Frame, Frames, PathId, RangeSet, Record, Recovery, RttView, Sent, SpaceId, Writer,
};
use peregrine::{Dir, Instant, Side, StreamId};

/// Datagrams in a train.
const TRAIN: u64 = 32;
/// Trains in flight.
const DEPTH: u64 = 16;
/// Stream data in one packet.
const PIECE: u16 = 1400;

const RTT: RttView = RttView {
    smoothed: Duration::from_millis(20),
    variance: Duration::from_millis(5),
    min: Duration::from_millis(20),
    latest: Duration::from_millis(20),
    max_ack_delay: Duration::from_millis(25),
    has_sample: true,
};

/// A sender with a full window.
struct Flow {
    recovery: Recovery,
    fates: Fates,
    now: Instant,
    /// What the peer has received.
    received: RangeSet,
    /// Every so many packets one is lost; 0: none.
    loss: u64,
    acked: u64,
    bytes: Vec<u8>,
}

impl Flow {
    fn new(loss: u64) -> Self {
        let mut flow = Self {
            recovery: Recovery::new(),
            fates: Fates::default(),
            now: Instant::ZERO,
            received: RangeSet::new(),
            loss,
            acked: 0,
            bytes: Vec::new(),
        };
        (0..DEPTH).for_each(|_| flow.send());
        flow
    }

    fn send(&mut self) {
        let id = StreamId::new(Side::Client, Dir::Uni, 0);
        for _ in 0..TRAIN {
            let number = self.recovery.next_number(SpaceId::Data);
            let record = Record::Stream { id, offset: number * u64::from(PIECE), len: PIECE, fin: false };
            let sent = Sent {
                number,
                path: PathId(0),
                len: PIECE + 40,
                ack_eliciting: true,
                in_flight: true,
                marked: false,
            };
            self.recovery.on_sent(self.now, SpaceId::Data, sent, &[record]);
        }
    }

    /// The peer acknowledges the oldest train, and what it keeps of those before.
    fn acknowledge(&mut self) -> usize {
        for number in self.acked..self.acked + TRAIN {
            if self.loss == 0 || number % self.loss != 1 {
                self.received.insert_one(number);
            }
        }
        self.acked += TRAIN;
        while self.received.len() > 8 {
            self.received.pop_first();
        }
        let out = AckOut { ranges: &self.received, limit: 8, delay: 0, ecn: None, due: true };
        self.bytes.resize(out.encoded_len(), 0);
        out.encode(&mut Writer::new(&mut self.bytes));
        let Some(Ok(Frame::Ack(ack))) = Frames::new(&self.bytes).next() else { panic!("it is an ACK") };
        self.fates.clear();
        let seen = self.recovery.on_ack(self.now, SpaceId::Data, &ack, |_| RTT, &mut self.fates);
        seen.expect("the peer is honest");
        self.fates.acked.len() + self.fates.lost.len()
    }

    fn step(&mut self) -> usize {
        self.now += Duration::from_micros(500);
        self.send();
        self.acknowledge()
    }
}

fn sent_packets(c: &mut Criterion) {
    let mut group = c.benchmark_group("sent packets");
    group.throughput(Throughput::Elements(TRAIN));
    for (name, loss) in [("none lost", 0), ("one in 100 lost", 100), ("one in 4 lost", 4)] {
        let mut flow = Flow::new(loss);
        group.bench_function(format!("send and acknowledge a train, {name}"), |b| b.iter(|| flow.step()));
    }
    group.finish();
}

criterion_group!(benches, sent_packets);
criterion_main!(benches);
