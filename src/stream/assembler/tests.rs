use proptest::prelude::*;

use super::super::blocks::SMALL;
use super::*;

fn read_all(assembler: &mut Assembler, blocks: &mut Blocks) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let chunk = assembler.chunk();
        if chunk.is_empty() {
            return out;
        }
        let len = chunk.len();
        out.extend_from_slice(chunk);
        assembler.consume(blocks, len);
    }
}

#[test]
fn pieces_in_order_are_ready_at_once() {
    let (mut assembler, mut blocks) = (Assembler::new(), Blocks::new());
    assert_eq!(assembler.insert(&mut blocks, 0, b"hello, ", 0), Ok(()));
    assert_eq!(assembler.insert(&mut blocks, 7, b"world", 0), Ok(()));
    assert_eq!(assembler.chunk(), b"hello, world");
}

#[test]
fn a_piece_ahead_waits_for_the_one_before_it() {
    let (mut assembler, mut blocks) = (Assembler::new(), Blocks::new());
    assert_eq!(assembler.insert(&mut blocks, 4, b"5678", 1), Ok(()));
    assert_eq!((assembler.chunk(), assembler.gaps()), (&b""[..], 1));
    assert_eq!(assembler.insert(&mut blocks, 0, b"1234", 1), Ok(()));
    assert_eq!((assembler.chunk(), assembler.gaps()), (&b"12345678"[..], 0));
}

#[test]
fn of_two_pieces_that_differ_the_first_wins() {
    let (mut assembler, mut blocks) = (Assembler::new(), Blocks::new());
    for (offset, data) in [(2, &b"cd"[..]), (6, b"gh"), (0, b"XXXXXXXXXX"), (0, b"YYYY")] {
        assert_eq!(assembler.insert(&mut blocks, offset, data, 9), Ok(()));
    }
    assert_eq!(read_all(&mut assembler, &mut blocks), b"XXcdXXghXX");
    assert_eq!(assembler.insert(&mut blocks, 0, b"ZZZZZZZZZZZ", 9), Ok(()));
    assert_eq!(read_all(&mut assembler, &mut blocks), b"Z");
}

#[test]
fn tiny_fragments_with_gaps_meet_the_bound() {
    let (mut assembler, mut blocks) = (Assembler::new(), Blocks::new());
    let taken = (0..1000).take_while(|i| assembler.insert(&mut blocks, 1 + 2 * i, b"x", 64).is_ok()).count();
    assert_eq!((taken, assembler.gaps()), (64, 64));
    // What closes a gap or extends an island is welcome even then.
    assert_eq!(assembler.insert(&mut blocks, 0, b"abc", 64), Ok(()));
    assert_eq!((assembler.gaps(), assembler.chunk()), (62, &b"axcx"[..]));
}

#[test]
fn a_slow_reader_of_contiguous_pieces_never_meets_the_bound() {
    let (mut assembler, mut blocks) = (Assembler::new(), Blocks::new());
    assert_eq!(assembler.insert(&mut blocks, 1, &[7; 1], 1), Ok(()));
    for i in 0..2049 {
        assert_eq!(assembler.insert(&mut blocks, 2 + 1200 * i, &[7; 1200], 1), Ok(()));
    }
    assert_eq!(assembler.gaps(), 1);
    assert_eq!(assembler.insert(&mut blocks, 0, &[7; 1], 1), Ok(()));
    assert_eq!(read_all(&mut assembler, &mut blocks), vec![7; 2 + 2049 * 1200]);
}

#[test]
fn a_reader_that_keeps_up_holds_no_memory_and_needs_no_new_one() {
    let (mut assembler, mut blocks) = (Assembler::new(), Blocks::new());
    for i in 0..1000 {
        assert_eq!(assembler.insert(&mut blocks, 1200 * i, &[1; 1200], 0), Ok(()));
        assert_eq!(read_all(&mut assembler, &mut blocks), [1; 1200]);
        assert_eq!(assembler.held(), 0);
    }
    assert_eq!(blocks.free_bytes(), SMALL + 2 * MEDIUM);
}

#[test]
fn one_byte_far_ahead_holds_one_block() {
    let (mut assembler, mut blocks) = (Assembler::new(), Blocks::new());
    assert_eq!(assembler.insert(&mut blocks, (1 << 62) - 2, b"x", 1), Ok(()));
    assert_eq!(assembler.held(), MEDIUM);
    assert_eq!(assembler.insert(&mut blocks, 5, b"x", 2), Ok(()));
    assert_eq!(assembler.held(), MEDIUM + SMALL);
}

#[test]
fn a_short_stream_grows_out_of_its_small_block() {
    let (mut assembler, mut blocks) = (Assembler::new(), Blocks::new());
    assert_eq!(assembler.insert(&mut blocks, 0, &[1; 2000], 0), Ok(()));
    assert_eq!(assembler.held(), SMALL);
    assert_eq!(assembler.insert(&mut blocks, 2000, &[2; 2000], 0), Ok(()));
    assert_eq!(assembler.held(), MEDIUM);
    assert_eq!(read_all(&mut assembler, &mut blocks), [[1; 2000], [2; 2000]].concat());
}

proptest! {
    #[test]
    fn it_agrees_with_a_naive_model(
        pieces in prop::collection::vec((0usize..60_000, 0usize..12_000, any::<u8>(), 0usize..20_000), 0..60),
    ) {
        let (mut assembler, mut blocks) = (Assembler::new(), Blocks::new());
        let mut model: Vec<Option<u8>> = vec![None; 80_000];
        let mut read = 0;
        for (offset, len, fill, consumed) in pieces {
            let data: Vec<u8> = (0..len).map(|i| fill.wrapping_add((i % 251) as u8)).collect();
            for (slot, byte) in model[offset..].iter_mut().zip(&data) {
                slot.get_or_insert(*byte);
            }
            let gaps = assembler.gaps();
            prop_assert_eq!(assembler.insert(&mut blocks, offset as u64, &data, 1000), Ok(()));
            prop_assert!(assembler.gaps() <= gaps + 1);
            let ready = model.iter().take_while(|byte| byte.is_some()).count();
            prop_assert_eq!(assembler.ready_offset(), ready as u64);
            let islands = model[ready..].windows(2).filter(|w| w[0].is_none() && w[1].is_some()).count();
            prop_assert_eq!(assembler.gaps(), islands);
            let chunk = assembler.chunk();
            prop_assert_eq!(chunk.is_empty(), read == ready);
            let expected: Vec<u8> = model[read..].iter().take(chunk.len()).map(|byte| byte.unwrap_or(0)).collect();
            prop_assert!(chunk == expected);
            let passed = assembler.consume(&mut blocks, consumed.min(chunk.len()));
            read += passed as usize;
        }
        let rest = read_all(&mut assembler, &mut blocks);
        let expected: Vec<u8> = model[read..].iter().map_while(|byte| *byte).collect();
        prop_assert!(rest == expected);
    }

    #[test]
    fn reverse_order_is_put_right(len in 1usize..50_000, step in 1usize..3000) {
        let (mut assembler, mut blocks) = (Assembler::new(), Blocks::new());
        let data: Vec<u8> = (0..len).map(|i| (i % 253) as u8).collect();
        for (i, piece) in data.chunks(step).enumerate().rev() {
            prop_assert_eq!(assembler.insert(&mut blocks, (i * step) as u64, piece, 1), Ok(()));
        }
        prop_assert!(read_all(&mut assembler, &mut blocks) == data);
        prop_assert_eq!(assembler.held(), 0);
    }
}
