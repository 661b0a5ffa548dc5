//! Putting received stream data in order: as it should come, reordered, and with every other piece late.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use peregrine::internals::{Assembler, Blocks};

/// Bytes of stream data in a full datagram.
const PIECE: usize = 1400;
/// Pieces in one round.
const PIECES: u64 = 512;

/// Inserts pieces in this order, and reads whatever is ready after each train of 32.
fn round(assembler: &mut Assembler, blocks: &mut Blocks, order: &[u64]) -> u64 {
    let piece = [0x5a; PIECE];
    let start = assembler.read_offset();
    for train in order.chunks(32) {
        for at in train {
            let offset = start + at * PIECE as u64;
            assembler.insert(blocks, offset, &piece, usize::MAX).expect("as many gaps as there are");
        }
        while !assembler.chunk().is_empty() {
            let len = assembler.chunk().len();
            assembler.consume(blocks, len);
        }
    }
    assembler.read_offset() - start
}

fn assembler(c: &mut Criterion) {
    let in_order: Vec<u64> = (0..PIECES).collect();
    let swapped: Vec<u64> = (0..PIECES).map(|n| n ^ 1).collect();
    let late: Vec<u64> = (0..PIECES).step_by(2).chain((1..PIECES).step_by(2)).collect();
    let backwards: Vec<u64> = (0..PIECES).rev().collect();
    let mut group = c.benchmark_group("assembler");
    group.throughput(Throughput::Bytes(PIECES * PIECE as u64));
    for (name, order) in [
        ("in order", &in_order),
        ("neighbours swapped", &swapped),
        ("every other piece late", &late),
        ("backwards", &backwards),
    ] {
        let (mut assembler, mut blocks) = (Assembler::new(), Blocks::new());
        group.bench_function(name, |b| {
            b.iter(|| assert_eq!(round(&mut assembler, &mut blocks, order), PIECES * PIECE as u64));
        });
    }
    group.finish();
}

criterion_group!(benches, assembler);
criterion_main!(benches);
