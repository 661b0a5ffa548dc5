//! A peer that says anything: frames of all types with values near their bounds, in packets of all types, at random.
//!
//! Nobody panics, nobody blames itself, and after the end there is silence. `SIM_SEEDS=10000` tries as many.

use peregrine::{CloseReason, Code, Dir, TransportConfig, VarInt};

use crate::forger::wire::{self, LARGEST, words};
use crate::forger::{Draft, Setup, Space, Stage, Victim};
use sim::{Dice, for_seeds, ms};

/// Packets that are said to each of our endpoints under each seed.
const PACKETS: usize = 60;

/// What is said next.
struct Chance(Dice);

impl Chance {
    /// One of so many.
    fn below(&mut self, count: u64) -> u64 {
        self.0.word() % count
    }
}

/// A number near one of the bounds that there are.
fn number(dice: &mut Chance) -> u64 {
    let near = [0, 1, 3, 8, 64, 400, 16_383, 65_536, 1 << 20, 1 << 60, LARGEST - 4];
    (near[dice.below(near.len() as u64) as usize] + dice.below(5)).min(LARGEST)
}

/// A stream, most often one that may be.
fn stream(dice: &mut Chance) -> u64 {
    if dice.below(8) == 0 { number(dice) } else { dice.below(16) }
}

/// A small number, most often.
fn small(dice: &mut Chance) -> u64 {
    if dice.below(8) == 0 { number(dice) } else { dice.below(12) }
}

fn frame(dice: &mut Chance) -> Vec<u8> {
    let data = vec![7; dice.below(40) as usize];
    match dice.below(26) {
        0 => words(&[wire::PING]),
        1 => {
            let high = (small(dice) + 3).min(LARGEST);
            wire::ack(&[(high - dice.below(4), high)])
        }
        2 => words(&[wire::RESET_STREAM, stream(dice), number(dice), small(dice)]),
        3 => words(&[wire::STOP_SENDING, stream(dice), number(dice)]),
        4 => wire::crypto(small(dice), &data),
        5 => wire::new_token(&data),
        6..=9 => wire::stream(stream(dice), small(dice), &data),
        10 | 11 => wire::stream_end(stream(dice), small(dice), &data),
        12 => words(&[wire::MAX_DATA, number(dice)]),
        13 => words(&[wire::MAX_STREAM_DATA, stream(dice), number(dice)]),
        14 => words(&[wire::MAX_STREAMS_BIDI + dice.below(2), number(dice)]),
        15 => words(&[wire::DATA_BLOCKED, number(dice)]),
        16 => words(&[wire::STREAM_DATA_BLOCKED, stream(dice), number(dice)]),
        17 => words(&[wire::STREAMS_BLOCKED_BIDI + dice.below(2), number(dice)]),
        18 | 19 => {
            let sequence = small(dice);
            wire::new_connection_id(sequence, small(dice).min(sequence), 8)
        }
        20 => words(&[wire::RETIRE_CONNECTION_ID, small(dice)]),
        21 => wire::path(wire::PATH_CHALLENGE, number(dice)),
        22 => wire::path(wire::PATH_RESPONSE, number(dice)),
        23 => wire::datagram(&data),
        24 => words(&[0xaf, number(dice), number(dice), number(dice), number(dice)]),
        _ => match dice.below(6) {
            0 => words(&[wire::HANDSHAKE_DONE]),
            1 => words(&[wire::CONNECTION_CLOSE, number(dice), 0, 0]),
            2 => words(&[wire::APPLICATION_CLOSE, number(dice), 0]),
            3 => words(&[number(dice)]),
            _ => words(&[0x1f]),
        },
    }
}

/// Our application does something as well.
fn act(dice: &mut Chance, stage: &mut Stage) {
    if stage.connection().is_none() || stage.end().is_some() {
        return;
    }
    let (what, dir) = (dice.below(5), if dice.below(2) == 0 { Dir::Bi } else { Dir::Uni });
    stage.speak(|_, ours| match what {
        0 => {
            if let Some(id) = ours.open(dir) {
                let mut stream = ours.send(id).expect("it was just opened");
                let _ = stream.write(&[7; 3000]);
                let _ = stream.finish();
            }
        }
        1 => {
            while let Some(id) = ours.accept(dir) {
                if let Some(mut stream) = ours.recv(id) {
                    let _ = stream.read(&mut [0; 100]);
                }
                if let Some(mut stream) = ours.send(id) {
                    let _ = stream.write(&[7; 100]);
                }
            }
        }
        2 => {
            if let Some(id) = ours.accept(dir)
                && let Some(mut stream) = ours.recv(id)
            {
                let _ = stream.stop(VarInt::from_u32(7));
            }
        }
        3 => while ours.datagrams().recv().is_some() {},
        _ => drop(ours.datagrams().send(&[7; 100])),
    });
}

/// One life, from wherever in the handshake on.
fn live(seed: u64, victim: Victim) {
    let mut dice = Chance(Dice::named(seed, "anything"));
    let transport = TransportConfig::builder().datagram_receive_buffer(Some(5000)).max_bidi_streams(5);
    let transport = transport.build().expect("permitted settings");
    let mut stage = Stage::with(victim, transport, &Setup::default());
    let rounds = dice.below(4);
    (0..rounds).for_each(|_| stage.shake_in(Space::ALL[dice.below(3) as usize]));
    if dice.below(4) > 0 {
        stage.shake();
    }
    for _ in 0..PACKETS {
        let frames: Vec<u8> = (0..=dice.below(3)).flat_map(|_| frame(&mut dice)).collect();
        let space = if dice.below(8) == 0 { Space::ALL[dice.below(2) as usize] } else { Space::OneRtt };
        if stage.forger.can_speak(space) {
            let number = (dice.below(10) == 0).then(|| stage.forger.next_number(space) + dice.below(50));
            let datagram = stage.forger.seal(space, Draft { number, ..Draft::new(&frames) });
            (0..=dice.below(8) / 7).for_each(|_| stage.send(datagram.clone()));
        }
        if dice.below(3) == 0 {
            act(&mut dice, &mut stage);
        }
        if dice.below(4) == 0 {
            stage.shake_in(Space::ALL[dice.below(3) as usize]);
        } else {
            stage.listen_for(ms(dice.below(30)));
        }
    }
    stage.listen_for(ms(60_000));
    if let Some(CloseReason::Fault(fault)) = stage.end() {
        assert_ne!(fault.code, Code::INTERNAL_ERROR, "{fault}");
    }
    assert!(stage.connection().is_none() || stage.end().is_none(), "it is not forgotten");
}

#[test]
fn whatever_a_peer_says_nobody_panics_and_nobody_blames_itself() {
    for_seeds(30, |seed| Victim::BOTH.into_iter().for_each(|victim| live(seed, victim)));
}
