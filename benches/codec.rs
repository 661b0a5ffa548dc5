//! The wire: variable-length integers, and the frames of a busy connection, in and out.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use peregrine::internals::{AckOut, Encode, Frames, RangeSet, Reader, Stream, Writer};
use peregrine::{Dir, Side, StreamId};

/// The payload of a full datagram.
const PAYLOAD: usize = 1400;

fn encode(frame: &impl Encode) -> Vec<u8> {
    let mut bytes = vec![0; frame.encoded_len()];
    frame.encode(&mut Writer::new(&mut bytes));
    bytes
}

fn varints(c: &mut Criterion) {
    let values: Vec<u64> = (0..1024).map(|n| [n % 64, n, n << 10, n << 40][n as usize % 4]).collect();
    let mut bytes = vec![0; 8 * values.len()];
    let mut out = Writer::new(&mut bytes);
    values.iter().for_each(|value| out.varint(*value));
    let len = out.written();
    bytes.truncate(len);
    let mut group = c.benchmark_group("varint");
    group.throughput(Throughput::Elements(values.len() as u64));
    group.bench_function("read 1024 of all lengths", |b| {
        b.iter(|| {
            let mut reader = Reader::new(black_box(&bytes));
            let mut sum = 0u64;
            while let Ok(value) = reader.varint() {
                sum = sum.wrapping_add(value);
            }
            sum
        });
    });
    let mut into = vec![0; len];
    group.bench_function("write 1024 of all lengths", |b| {
        b.iter(|| {
            let mut out = Writer::new(&mut into);
            black_box(&values).iter().for_each(|value| out.varint(*value));
            out.written()
        });
    });
    group.finish();
}

fn frames(c: &mut Criterion) {
    let data = [0x5a; PAYLOAD];
    let id = StreamId::new(Side::Client, Dir::Uni, 7);
    let stream = Stream { id, offset: 1 << 20, fin: false, data: &data };
    let full = encode(&stream);
    let small: Vec<u8> =
        (0..20).flat_map(|n| encode(&Stream { offset: n << 20, data: &data[..60], ..stream })).collect();
    let mut ranges = RangeSet::new();
    (0..32u64).for_each(|n| {
        ranges.insert(n * 100..n * 100 + 98);
    });
    let ack = encode(&AckOut { ranges: &ranges, limit: 32, delay: 100, ecn: None, due: true });
    let padding = vec![0; PAYLOAD];
    let mut group = c.benchmark_group("frames");
    for (name, payload) in [
        ("one full STREAM", &full),
        ("20 small STREAMs", &small),
        ("an ACK of 32 ranges", &ack),
        ("PADDING", &padding),
    ] {
        group.bench_function(format!("read {name}"), |b| {
            b.iter(|| Frames::new(black_box(payload)).filter(Result::is_ok).count());
        });
    }
    let mut into = vec![0; full.len()];
    group.bench_function("write one full STREAM", |b| {
        b.iter(|| black_box(&stream).encode(&mut Writer::new(&mut into)));
    });
    group.finish();
}

criterion_group!(benches, varints, frames);
criterion_main!(benches);
