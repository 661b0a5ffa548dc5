//! What a peer can make us keep, send and do: each bound met with malice, and by an honest peer not met.
//!
//! `docs/bounds.md` lists the bounds. Floods are said by the forger of [`forger`], over the simulator. Where memory is
//! bounded, the same flood is said again and again, and nothing more may be held in the end.

mod forger;

use std::alloc::System;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use peregrine::{CloseReason, Code, ConnectionEvent, Dir, DropReason, Event, TransportConfig};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use forger::wire::{self, stream, stream_end, words};
use forger::{Draft, Setup, Space, Stage, Victim};
use sim::{addr, ms};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How often a flood is said again while memory is counted.
const AGAIN: u64 = 4;
/// What that may leave behind, in bytes: queues that grow by doubling, and the simulator's own books. Floods are of so many
/// packets that 33 bytes kept of each were more; what is known of a packet that was sent takes 48.
const NOISE: usize = 128 << 10;

/// Memory is counted for the whole process, so one test runs at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes that are held now.
fn held() -> usize {
    let stats = HEAP.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// Says a flood, and four times more: nothing more is held then. `flood` is told which time it is.
#[track_caller]
fn holds_no_more(stage: &mut Stage, mut flood: impl FnMut(&mut Stage, u64)) {
    flood(stage, 0);
    stage.forger.forget();
    let before = held();
    for round in 1..=AGAIN {
        flood(stage, round);
        stage.forger.forget();
    }
    let more = held().saturating_sub(before);
    assert!(more <= NOISE, "{more} bytes more are held");
}

fn with(victim: Victim, transport: peregrine::TransportConfigBuilder) -> Stage {
    Stage::connected_with(victim, transport.build().expect("permitted settings"), &Setup::default())
}

/// Our endpoint writes so many bytes on a stream of its own, as far as it may.
fn write(stage: &mut Stage, bytes: usize) -> usize {
    stage.speak(|_, ours| {
        let id = ours.open(Dir::Uni).expect("a stream is permitted");
        ours.send(id).expect("it is open").write(&vec![7; bytes]).expect("it can be written to")
    })
}

/// Bytes of stream data that the forger heard.
fn data_heard(stage: &Stage) -> usize {
    let frames = stage.forger.heard.iter().map(|(_, frame)| frame);
    frames.filter(|frame| frame.kind & !1 == wire::STREAM).map(|frame| frame.data.len()).sum()
}

// ---- a peer that withholds acknowledgements -------------------------------------------------------

#[test]
fn who_acknowledges_nothing_is_sent_a_window_and_probes_alone() {
    let _alone = alone();
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        assert_eq!(write(&mut stage, 4 << 20), 4 << 20);
        stage.forger.heard.clear();
        stage.listen_for(ms(5_000));
        // Ten datagrams of the first window (RFC 9002, Section 7.2), and two at each probe timeout.
        let heard = data_heard(&stage);
        assert!((10_000..40_000).contains(&heard), "{heard} bytes were sent");
    }
}

#[test]
fn who_acknowledges_gets_everything() {
    let _alone = alone();
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        assert_eq!(write(&mut stage, 200_000), 200_000);
        stage.forger.heard.clear();
        for _ in 0..40 {
            stage.shake();
        }
        assert!(data_heard(&stage) >= 200_000);
        stage.goes_on();
    }
}

#[test]
fn acknowledgements_that_are_not_acknowledged_are_forgotten() {
    let _alone = alone();
    for victim in Victim::BOTH {
        // A small window is soon full of the PINGs that ask for an acknowledgement of them.
        let mut stage = with(victim, TransportConfig::builder().initial_window(Some(2400)));
        stage.forger.acknowledges = false;
        holds_no_more(&mut stage, |stage, round| {
            for _ in 0..if round == 0 { 3000 } else { 1000 } {
                stage.shout(&words(&[wire::PING]));
                stage.listen_for(ms(1));
            }
        });
        stage.goes_on();
    }
}

// ---- paths ----------------------------------------------------------------------------------------

#[test]
fn of_a_flood_of_path_challenges_the_newest_four_are_answered() {
    let _alone = alone();
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        stage.say(&challenges(0..100));
        let answers = stage.heard(wire::PATH_RESPONSE);
        assert_eq!(answers.iter().map(|frame| frame.data[7]).collect::<Vec<_>>(), [96, 97, 98, 99]);
        stage.goes_on();
    }
}

#[test]
fn who_asks_for_its_path_and_acknowledges_nothing_gets_a_window_of_answers() {
    let _alone = alone();
    for victim in Victim::BOTH {
        let mut stage = with(victim, TransportConfig::builder().initial_window(Some(12_000)));
        stage.forger.acknowledges = false;
        holds_no_more(&mut stage, |stage, round| {
            for number in 1000 * round..1000 * (round + 1) {
                stage.shout(&challenges(number..number + 1));
                stage.listen_for(ms(1));
            }
        });
        let path = stage.connection().map(|ours| ours.path()).expect("it goes on");
        assert!(path.in_flight <= 12_000 + 2 * 1200, "{} bytes are in flight", path.in_flight);
        stage.goes_on();
    }
}

/// PATH_CHALLENGE frames with these numbers.
fn challenges(numbers: std::ops::Range<u64>) -> Vec<u8> {
    numbers.flat_map(|number| wire::path(wire::PATH_CHALLENGE, number)).collect()
}

#[test]
fn an_honest_peers_challenges_are_all_answered() {
    let _alone = alone();
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        for number in 0..20 {
            stage.say(&wire::path(wire::PATH_CHALLENGE, number));
            stage.shake();
        }
        let answered: BTreeSet<_> = stage.heard(wire::PATH_RESPONSE).iter().map(|f| f.data[7]).collect();
        assert_eq!(answered, (0..20).collect());
    }
}

#[test]
fn a_client_that_speaks_from_everywhere_and_acknowledges_nothing_is_answered_at_32_places() {
    let _alone = alone();
    let mut stage = with(Victim::Server, TransportConfig::builder().initial_window(Some(2400)));
    let tape = stage.record();
    holds_no_more(&mut stage, |stage, _| {
        for port in 0..1000 {
            // A probing packet: the server answers it there, and does not move.
            let draft = Draft::new(&wire::path(wire::PATH_CHALLENGE, port));
            let datagram = stage.forger.seal(Space::OneRtt, draft);
            stage.send_from(&format!("45.0.0.66:{}", 10_000 + port), datagram);
        }
        stage.listen_for(ms(400));
        tape.borrow_mut().retain(|to| (10_000..11_000).contains(&to.port()));
        tape.borrow_mut().sort_unstable();
        tape.borrow_mut().dedup();
    });
    assert_eq!(tape.borrow().len(), 32);
    stage.goes_on();
}

#[test]
fn a_client_that_acknowledges_may_speak_from_everywhere() {
    let _alone = alone();
    let mut stage = Stage::connected(Victim::Server);
    for port in 10_000..10_200 {
        let draft = Draft::new(&words(&[wire::PING]));
        let datagram = stage.forger.seal(Space::OneRtt, draft);
        let from = format!("45.0.0.66:{port}");
        stage.send_from(&from, datagram);
        stage.hear_at(&from);
        assert_eq!(stage.connection().map(|ours| ours.remote()), Some(addr(&from)));
    }
    assert_eq!((stage.end(), stage.close()), (None, None));
}

// ---- connection IDs -------------------------------------------------------------------------------

#[test]
fn ids_to_give_back_that_are_not_acknowledged_end_the_connection_at_twice_the_limit() {
    let _alone = alone();
    for victim in Victim::BOTH {
        let mut stage = with(victim, TransportConfig::builder().active_connection_ids(4));
        stage.forger.acknowledges = false;
        let mut issued = 0;
        while stage.end().is_none() && issued < 100 {
            issued += 1;
            stage.say(&wire::new_connection_id(issued, issued, 8));
        }
        stage.ends_with(Code::CONNECTION_ID_LIMIT_ERROR, wire::NEW_CONNECTION_ID);
        assert_eq!(issued, 9);
    }
}

#[test]
fn ids_to_give_back_that_are_acknowledged_may_be_as_many_as_one_likes() {
    let _alone = alone();
    for victim in Victim::BOTH {
        let mut stage = with(victim, TransportConfig::builder().active_connection_ids(4));
        let mut said = 0;
        holds_no_more(&mut stage, |stage, _| {
            for _ in 0..200 {
                said += 1;
                stage.say(&wire::new_connection_id(said, said, 8));
                stage.shake();
            }
        });
        stage.goes_on();
    }
}

#[test]
fn giving_back_ids_brings_no_more_than_a_few_in_a_round_trip() {
    let _alone = alone();
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        let (highest, _) = stage.forger.ids.last_key_value().expect("our endpoint issues some");
        let highest = *highest;
        // All but the one in use, again and again, and those that do not exist yet are left out.
        let flood: Vec<u8> = (1..=highest).flat_map(|id| words(&[wire::RETIRE_CONNECTION_ID, id])).collect();
        for _ in 0..100 {
            stage.shout(&flood);
        }
        stage.listen();
        let now = stage.forger.ids.last_key_value().map(|(number, _)| *number);
        assert_eq!(now, Some(2 * highest), "each is replaced once");
        stage.goes_on();
    }
}

#[test]
fn a_peer_that_gives_back_ids_for_ever_makes_us_hold_nothing_more() {
    let _alone = alone();
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        let mut next = 1;
        holds_no_more(&mut stage, |stage, _| {
            for _ in 0..200 {
                stage.say(&words(&[wire::RETIRE_CONNECTION_ID, next]));
                stage.shake();
                stage.forger.ids.remove(&next);
                next += 1;
            }
        });
        stage.goes_on();
    }
}

// ---- CRYPTO ---------------------------------------------------------------------------------------

#[test]
fn handshake_data_in_too_many_pieces_is_crypto_buffer_exceeded() {
    let _alone = alone();
    for victim in Victim::BOTH {
        let mut stage = Stage::new(victim, &Setup::default());
        // Every second byte: 300 pieces, a hole before each.
        for at in 0..10 {
            let pieces: Vec<u8> =
                (30 * at..30 * (at + 1)).flat_map(|n| wire::crypto(2 * n + 1, &[0])).collect();
            stage.say_in(Space::Initial, &pieces);
        }
        stage.ends_with(Code::CRYPTO_BUFFER_EXCEEDED, wire::CRYPTO);
    }
}

#[test]
fn a_hello_in_pieces_of_two_bytes_out_of_order_is_taken() {
    let _alone = alone();
    let mut stage = Stage::new(Victim::Server, &Setup::default());
    stage.forger.turn();
    let hello = stage.forger.unsent(Space::Initial);
    let pieces: Vec<(usize, &[u8])> = (0..).step_by(2).zip(hello.chunks(2)).collect();
    assert!(pieces.len() > 100);
    // First every second one, from the last to the first, then the others.
    for parity in [1, 0] {
        let half: Vec<_> = pieces.iter().skip(parity).step_by(2).rev().collect();
        for some in half.chunks(40) {
            let frames: Vec<u8> =
                some.iter().flat_map(|(at, piece)| wire::crypto(*at as u64, piece)).collect();
            stage.say_in(Space::Initial, &frames);
        }
    }
    stage.still_connects();
}

#[test]
fn handshake_data_far_ahead_takes_no_more_memory_than_is_kept() {
    let _alone = alone();
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        let offset = stage.forger.crypto_offset(Space::OneRtt);
        let before = held();
        // The last byte that is kept, and a few before it.
        stage.say(&wire::crypto(offset + 65_000, &[0]));
        stage.say(&wire::crypto(offset + 60_000, &[0]));
        stage.forger.forget();
        let more = held().saturating_sub(before);
        assert!(more <= 160 << 10, "{more} bytes are held");
        stage.goes_on();
    }
}

#[test]
fn tickets_without_end_are_not_kept() {
    let _alone = alone();
    let mut stage = with(Victim::Client, TransportConfig::builder().initial_window(Some(2400)));
    let mut offset = stage.forger.crypto_offset(Space::OneRtt);
    // A ticket of 200 bytes for an hour.
    let ticket = [&[4, 0, 0, 213, 0, 0, 0x0e, 0x10, 0, 0, 0, 0, 0, 0, 200][..], &[7; 200], &[0, 0]].concat();
    holds_no_more(&mut stage, |stage, _| {
        for _ in 0..1000 {
            stage.shout(&wire::crypto(offset, &ticket));
            offset += ticket.len() as u64;
        }
        stage.listen_for(ms(400));
    });
    stage.goes_on();
}

// ---- streams --------------------------------------------------------------------------------------

/// Settings with small windows: 64 gaps a stream and no more.
fn small() -> peregrine::TransportConfigBuilder {
    TransportConfig::builder().stream_receive_window(16 << 10).receive_window(32 << 10)
}

/// So many bytes of a stream with a hole before each.
fn holes(id: u64, count: u64) -> Vec<Vec<u8>> {
    let pieces: Vec<u64> = (0..count).collect();
    let packet = |some: &[u64]| some.iter().flat_map(|n| stream(id, 2 * n + 1, &[7])).collect();
    pieces.chunks(100).map(packet).collect()
}

#[test]
fn data_with_too_many_holes_ends_the_connection() {
    let _alone = alone();
    for victim in Victim::BOTH {
        let mut stage = with(victim, small());
        for packet in holes(victim.forgers_uni(), 1000) {
            stage.say(&packet);
        }
        stage.ends_with(Code::INTERNAL_ERROR, 0x08);
    }
}

#[test]
fn data_with_the_holes_of_a_bad_network_is_read() {
    let _alone = alone();
    for victim in Victim::BOTH {
        let mut stage = with(victim, small());
        let id = victim.forgers_uni();
        for packet in holes(id, 60) {
            stage.say(&packet);
        }
        for n in 0..60 {
            stage.shout(&stream(id, 2 * n, &[7]));
        }
        stage.goes_on();
        let mut out = [0; 200];
        let read = stage.speak(|_, ours| {
            let id = ours.accept(Dir::Uni).expect("the peer has opened it");
            ours.recv(id).expect("it is there").read(&mut out)
        });
        assert_eq!(read, Ok(Some(120)));
    }
}

#[test]
fn tiny_pieces_on_all_streams_hold_little_more_than_the_window() {
    let _alone = alone();
    for victim in Victim::BOTH {
        let mut stage = with(victim, small().max_uni_streams(100));
        let before = held();
        for number in 0..100 {
            for packet in holes(victim.forgers_uni() + 4 * number, 60) {
                stage.shout(&packet);
            }
            stage.listen_for(ms(1));
        }
        stage.goes_on();
        stage.forger.forget();
        // Each stream has one block for its gaps, whatever is in it.
        let more = held().saturating_sub(before);
        assert!(more <= 1 << 20, "{more} bytes are held");
    }
}

#[test]
fn streams_opened_and_reset_without_end_are_held_to_three_hundred_if_no_limit_is_acknowledged() {
    let _alone = alone();
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        stage.forger.acknowledges = false;
        let mut limit = 100;
        for number in 0..10_000 {
            limit = stage.heard(wire::MAX_STREAMS_UNI).iter().map(|f| f.words[0]).max().unwrap_or(limit);
            if number >= limit {
                break;
            }
            let id = victim.forgers_uni() + 4 * number;
            stage.shout(&words(&[wire::RESET_STREAM, id, 7, 0]));
            stage.listen_for(ms(1));
            accept_all(&mut stage);
        }
        // A hundred at a time, and two hundred more than were acknowledged; an eighth of a hundred is said at once.
        assert!((288..=300).contains(&limit), "{limit}");
        let one_more = words(&[wire::RESET_STREAM, victim.forgers_uni() + 4 * limit, 7, 0]);
        stage.say_and_end(&one_more, Code::STREAM_LIMIT_ERROR, wire::RESET_STREAM);
    }
}

/// Our application takes all streams that the peer opened, and hears that they were reset.
fn accept_all(stage: &mut Stage) {
    stage.speak(|_, ours| {
        while let Some(id) = ours.accept(Dir::Uni) {
            if let Some(mut stream) = ours.recv(id) {
                while matches!(stream.read(&mut [0; 16]), Ok(Some(_))) {}
            }
        }
    });
}

#[test]
fn streams_opened_and_ended_by_an_honest_peer_have_no_number() {
    let _alone = alone();
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        let mut number = 0;
        holds_no_more(&mut stage, |stage, _| {
            for _ in 0..1000 {
                stage.shout(&stream_end(victim.forgers_uni() + 4 * number, 0, b"honest"));
                number += 1;
                if number % 20 == 0 {
                    stage.shake();
                    accept_all(stage);
                }
            }
        });
        stage.goes_on();
    }
}

// ---- acknowledgements of what was not received ----------------------------------------------------

#[test]
fn who_acknowledges_more_than_it_received_is_found_out() {
    let _alone = alone();
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        write(&mut stage, 4 << 20);
        for _ in 0..200 {
            stage.listen_for(ms(20));
            // All numbers up to the highest, those that were left out as well.
            let highest = *stage.forger.numbers.iter().max().expect("packets were heard");
            stage.shout(&wire::ack(&[(0, highest)]));
            if stage.end().is_some() {
                break;
            }
        }
        let Some(CloseReason::Fault(fault)) = stage.end() else { panic!("{:?}", stage.end()) };
        assert_eq!((fault.code, fault.frame), (Code::PROTOCOL_VIOLATION, wire::ACK));
    }
}

#[test]
fn who_acknowledges_what_it_received_is_not() {
    let _alone = alone();
    for victim in Victim::BOTH {
        let mut stage = Stage::connected(victim);
        write(&mut stage, 1 << 20);
        for _ in 0..60 {
            stage.shake_in(Space::OneRtt);
        }
        assert!(stage.forger.numbers.len() > 512, "more packets than the first two lures need");
        stage.goes_on();
    }
}

#[test]
fn an_acknowledgement_names_no_more_than_64_ranges() {
    let _alone = alone();
    for victim in Victim::BOTH {
        let mut stage = with(victim, TransportConfig::builder().initial_window(Some(2400)));
        let mut number = stage.forger.next_number(Space::OneRtt);
        holds_no_more(&mut stage, |stage, _| {
            for _ in 0..1000 {
                number += 2;
                let draft = Draft { number: Some(number), ..Draft::new(&words(&[wire::PING])) };
                let datagram = stage.forger.seal(Space::OneRtt, draft);
                stage.send(datagram);
                stage.listen_for(ms(1));
            }
            let most = stage.heard(wire::ACK).iter().map(|frame| frame.words.len() / 2).max();
            assert_eq!(most, Some(64));
        });
    }
}

// ---- what waits and what is told ------------------------------------------------------------------

#[test]
fn of_packets_that_come_before_their_keys_the_first_eight_are_kept() {
    let _alone = alone();
    for (said, read) in [(5, 5), (8, 8), (30, 8)] {
        for victim in Victim::BOTH {
            let mut stage = Stage::new(victim, &Setup::default());
            stage.shake_in(Space::Initial);
            for number in 0..said {
                stage.shout(&stream(victim.forgers_uni() + 4 * number, 0, b"early"));
            }
            stage.listen_for(ms(15));
            stage.still_connects();
            let opened = stage.speak(|_, ours| {
                let mut ids = std::iter::from_fn(|| ours.accept(Dir::Uni));
                ids.by_ref().count() as u64
            });
            assert_eq!(opened, read, "of {said}, at a {victim:?}");
        }
    }
}

#[test]
fn of_tokens_without_end_the_first_eight_are_told() {
    let _alone = alone();
    for (said, told) in [(3, 3), (100, 8)] {
        let mut stage = Stage::connected(Victim::Client);
        for number in 0..said {
            stage.say(&wire::new_token(&[7, number]));
        }
        let events = stage.world.at(stage.host).events().iter();
        let is_token = |event: &Event| matches!(event, Event::Connection(_, ConnectionEvent::NewToken(_)));
        assert_eq!(events.filter(|(_, event)| is_token(event)).count(), told);
        stage.goes_on();
    }
}

#[test]
fn packets_that_bring_nothing_are_not_borne_for_ever() {
    let _alone = alone();
    let mut stage = Stage::connected(Victim::Server);
    let mut said = 0;
    while stage.end().is_none() && said < 15_000 {
        for _ in 0..500 {
            stage.shout(&words(&[wire::PING]));
        }
        said += 500;
        stage.world.run_for(ms(11));
    }
    let Some(CloseReason::Fault(fault)) = stage.end() else { panic!("{:?}", stage.end()) };
    assert_eq!(fault.code, Code::PROTOCOL_VIOLATION);
    assert!((10_000..=11_000).contains(&said), "after {said}");
}

#[test]
fn packets_that_ask_now_and_then_are_borne() {
    let _alone = alone();
    let mut stage = Stage::connected(Victim::Server);
    for _ in 0..1000 {
        stage.shout(&words(&[wire::PING]));
        stage.listen_for(ms(5));
    }
    stage.goes_on();
    assert_eq!(stage.connection().map(|ours| ours.stats().dropped(DropReason::Duplicate)), Some(0));
}

// ---- the page -------------------------------------------------------------------------------------

/// All sources below a folder.
fn sources(folder: &Path) -> String {
    let entries =
        fs::read_dir(folder).expect("a folder of tests").map(|entry| entry.expect("an entry").path());
    let text = |path: &Path| match path.extension() {
        _ if path.is_dir() => sources(path),
        Some(ending) if ending == "rs" => fs::read_to_string(path).expect("a source"),
        _ => String::new(),
    };
    entries.map(|path| text(&path)).collect()
}

#[test]
fn every_test_that_the_page_of_bounds_names_is_there() {
    let _alone = alone();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/bounds.md")).expect("the page");
    let tests = sources(&root.join("tests")) + &sources(&root.join("src"));
    let quoted = page.split('`').skip(1).step_by(2);
    let names: BTreeSet<_> = quoted.filter(|name| !name.contains(['/', '.']) && name.contains('_')).collect();
    assert!(names.len() > 40);
    for name in names
        .into_iter()
        .filter(|name| name.chars().all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit()))
    {
        assert!(tests.contains(&format!("fn {name}() {{")), "there is no test {name}");
    }
}
