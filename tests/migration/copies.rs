//! Somebody sees packets and sends them again from elsewhere: the source of a datagram proves nothing (RFC 9000, Sections
//! 9 and 9.3; migration rules, 2.1 to 2.6).

use std::cell::RefCell;
use std::rc::Rc;

use peregrine::MigrationEvent;

use crate::forger::wire::{CONNECTION_CLOSE, words};
use crate::forger::{Draft, Setup, Space, Stage as Forged, Victim};
use sim::{Client, Datagram, Kind, Shape, Verdict, addr, ms, secs};
use stage::moves::{AWAY, HOME, Play, Scene, Stage};

const ELSEWHERE: &str = "40.0.0.6:443";

/// What the server sent last, which is held up on its way.
type Stolen = Rc<RefCell<Vec<Vec<u8>>>>;

/// Holds up the server's next datagrams, so many of them, for ten milliseconds, or for ever.
fn steal(scene: &mut Scene, count: usize, for_ever: bool) -> Stolen {
    let stolen = Stolen::default();
    let taken = Rc::clone(&stolen);
    let mut left = count;
    scene.world.tap(move |_, datagram| {
        if datagram.from != addr(HOME) || left == 0 {
            return Verdict::Pass;
        }
        left -= 1;
        taken.borrow_mut().push(datagram.payload.clone());
        if for_ever { Verdict::Drop } else { Verdict::Delay(ms(10)) }
    });
    stolen
}

/// Lets the client have what was stolen, from elsewhere; returns how many bytes that was.
fn deliver(scene: &mut Scene, stolen: &Stolen) -> usize {
    let to = scene.world.at(scene.conn().host).address();
    let payloads: Vec<_> = stolen.borrow_mut().drain(..).collect();
    let bytes = payloads.iter().map(Vec::len).sum();
    payloads.into_iter().for_each(|payload| scene.world.inject(Datagram::new(addr(ELSEWHERE), to, payload)));
    bytes
}

/// How many bytes went there.
fn count_bytes_to(scene: &mut Scene, place: &str) -> Rc<RefCell<usize>> {
    let bytes = Rc::new(RefCell::new(0));
    let (seen, place) = (Rc::clone(&bytes), addr(place));
    scene.world.tap(move |_, datagram| {
        *seen.borrow_mut() += if datagram.to == place { datagram.payload.len() } else { 0 };
        Verdict::Pass
    });
    bytes
}

/// The client is where it was, has moved nowhere meanwhile, and follows its server when that really moves.
fn is_none_the_worse(mut scene: Scene) {
    assert_eq!(scene.world.connection(scene.conn()).expect("open").remote(), addr(HOME));
    assert_eq!(scene.completed(scene.conn()), 0, "{:?}", scene.said(scene.conn()));
    scene.world.relocate(scene.server, AWAY, ms(50));
    scene.run_well(secs(20));
    scene.assert_followed(AWAY);
}

#[test]
fn one_copied_packet_does_not_move_the_client() {
    for play in Play::ALL {
        for announced in [false, true] {
            let mut scene = Stage::new(play).client(Client::echoes(200, ms(5)));
            scene.world.run_for(ms(300));
            if announced {
                scene.prepare(AWAY);
            }
            let astray = count_bytes_to(&mut scene, ELSEWHERE);
            let stolen = steal(&mut scene, 1, false);
            scene.world.run_until(|_| !stolen.borrow().is_empty(), secs(1));
            // The copy is there ten milliseconds before the packet.
            let copied = deliver(&mut scene, &stolen);
            scene.world.run_for(secs(1));
            assert!(*astray.borrow() <= 3 * copied, "{play:?}: {} bytes for {copied}", astray.borrow());
            if !announced {
                scene.prepare(AWAY);
            }
            is_none_the_worse(scene);
        }
    }
}

#[test]
fn a_client_that_follows_by_announced_addresses_alone_says_nothing_to_a_copys_source() {
    for play in Play::NAMED {
        let mut scene = Stage::new(play).client(Client::echoes(100, ms(5)));
        scene.world.run_for(ms(300));
        scene.prepare(AWAY);
        let astray = count_bytes_to(&mut scene, ELSEWHERE);
        let stolen = steal(&mut scene, 20, false);
        for _ in 0..100 {
            scene.world.run_for(ms(5));
            deliver(&mut scene, &stolen);
        }
        assert_eq!(*astray.borrow(), 0, "{play:?}");
        is_none_the_worse(scene);
    }
}

#[test]
fn a_source_that_never_answers_costs_the_client_neither_its_path_nor_its_data() {
    for play in Play::SHOWN {
        let mut scene = Stage::new(play).client(Client::echoes(200, ms(5)));
        scene.world.run_for(ms(300));
        scene.prepare(AWAY);
        // Everything the server says for a while comes from elsewhere alone, and nobody is there.
        let stolen = steal(&mut scene, 20, true);
        for _ in 0..200 {
            scene.world.run_for(ms(5));
            deliver(&mut scene, &stolen);
        }
        scene.world.run_well(secs(20));
        is_none_the_worse(scene);
    }
}

#[test]
fn a_spoken_candidate_gets_no_more_than_three_times_what_came_from_it_probes_included() {
    let mut scene = Stage::new(Play::Symmetric).client(Client::upload(3_000_000));
    scene.await_connected();
    scene.world.run_for(ms(300));
    let astray = count_bytes_to(&mut scene, ELSEWHERE);
    let stolen = steal(&mut scene, 1, true);
    scene.world.run_until(|_| !stolen.borrow().is_empty(), secs(1));
    // From now on nothing comes from home, and the client has megabytes to send and probes.
    scene.world.one_way(Some("20.0.0.1"), None, sim::Link::rtt(ms(20)).down());
    let copied = deliver(&mut scene, &stolen);
    scene.world.run_for(secs(20));
    let bytes = *astray.borrow();
    assert!(bytes > 0 && bytes <= 3 * copied, "{bytes} bytes for {copied}");
}

#[test]
fn each_datagram_counts_with_its_own_source_though_they_come_together() {
    let mut scene = Stage::new(Play::Symmetric).client(Client::download(400_000));
    scene.await_connected();
    scene.world.run_for(ms(50));
    let astray = count_bytes_to(&mut scene, ELSEWHERE);
    // Of two datagrams in a row one comes from elsewhere as well, at the same time as from home.
    let (mut number, copied) = (0, Rc::new(RefCell::new(0)));
    let count = Rc::clone(&copied);
    scene.world.tap(move |_, datagram| {
        number += usize::from(datagram.from == addr(HOME));
        if datagram.from != addr(HOME) || number % 2 == 1 || number > 40 {
            return Verdict::Pass;
        }
        *count.borrow_mut() += datagram.payload.len();
        Verdict::Copy { from: addr(ELSEWHERE), to: datagram.to, after: ms(0) }
    });
    scene.world.run_well(secs(20));
    assert!(*astray.borrow() <= 3 * *copied.borrow(), "{} for {}", astray.borrow(), copied.borrow());
    let said = scene.said(scene.conn());
    assert!(!said.iter().any(|event| matches!(event, MigrationEvent::Completed { .. })), "{said:?}");
}

// ---- before the handshake is confirmed ------------------------------------------------------------------

#[test]
fn packets_of_the_handshake_from_a_second_address_do_not_end_it() {
    for play in Play::ALL {
        for first in [false, true] {
            let mut scene = Stage::new(play).client(Client::echoes(5, ms(5)));
            let astray = count_bytes_to(&mut scene, ELSEWHERE);
            scene.world.tap(move |_, datagram| {
                let shape = Shape::of(&datagram.payload);
                let of_the_handshake = shape.has(Kind::Initial) || shape.has(Kind::Handshake);
                match datagram.from == addr(HOME) && of_the_handshake {
                    true => Verdict::Copy { from: addr(ELSEWHERE), to: datagram.to, after: ms(0) },
                    false => Verdict::Pass,
                }
            });
            if first {
                // The copies run on a faster path.
                scene.world.one_way(Some("40.0.0.6"), None, sim::Link::delay(ms(5)));
            }
            scene.world.run_well(secs(5));
            assert_eq!(*astray.borrow(), 0, "{play:?}");
        }
    }
}

#[test]
fn a_forged_initial_from_elsewhere_does_not_end_the_handshake() {
    let mut stage = Forged::new(Victim::Client, &Setup::default());
    // The keys of Initial packets are known to whoever sees the first one.
    let close = words(&[CONNECTION_CLOSE, 2, 0, 0]);
    let forged = stage.forger.seal(Space::Initial, Draft { number: Some(1000), ..Draft::new(&close) });
    stage.send_from(ELSEWHERE, forged);
    stage.still_connects();
}
